/*
 * The fabric on libfabric: reliable datagram endpoints, one domain, endpoint, address vector and
 * completion queue per xstream, manual progress.
 *
 * libfabric is loaded when the first network is opened, not when the program starts: on Debian 12
 * loading it costs 0.2 s (a library it depends on calibrates a clock) and its first call another
 * 0.08 s, which programs that never use a network should not pay.
 *
 * What the library does and does not do, and what follows (provider "net" of 1.17, called "tcp"
 * from 1.18 on):
 *  - fi_trywait() of "net" never resets the signal descriptor of a completion queue, so a loop that
 *    slept on it would spin. Its completions arise only inside our own calls; so only the
 *    provider's epoll set is watched, which FI_WAIT_POLLFD reveals once fi_cq_sread() has run.
 *  - A receive buffer that can hold several messages (FI_MULTI_RECV) can leave connections stalled
 *    for ever when several ran out of buffers at once. Each buffer takes one message, and each
 *    buffer that is posted again revives one connection.
 *  - A connection that dies while a read response arrives is safe only if the end of the stream is
 *    what ends it: so a connection is broken by shutting its socket down, never by closing the
 *    endpoint under it (but at the very end).
 *  - A request to connect whose sender falls silent after the header would block the whole thread
 *    in recv(): accepted sockets inherit a receive time-out from the listening one.
 *  - Nothing reports the death of a peer. See rpc_peer.c, and peer_probe() here.
 */
#define LOG_FACILITY "net"

#include <arpa/inet.h>
#include <assert.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>

#include <daos_errno.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/fabric/fabric.h"
#include "net/fabric/fabric_internal.h"
#include "net/fabric/ip.h"
#include "net/rpc/rpc.h"
#include "runtime/fork_gen.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif

enum {
	OFI_RX_NR = 12, /* receive buffers; the RPC layer keeps at most half of them */
	OFI_CQ_SIZE = 512,
	OFI_CQ_BATCH = 32,    /* completions taken at a time */
	OFI_POLL_BATCHES = 8, /* and in one poll */
	OFI_TX_SMALL = 4096,
	OFI_TX_KEEP_SMALL = 64, /* free message buffers kept */
	OFI_TX_KEEP_LARGE = 16,
	OFI_SILENT_MS = 1000, /* see peer_sockets_shut() */
	OFI_SHUT_TURNS = 10000,
	OFI_WAIT_TURNS = 100,
};

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
/* libfabric 1.17 forgets an fi_info for each endpoint and connection; the leak checker of every
 * program that opens one would complain. */
const char *__lsan_default_suppressions(void);
__attribute__((weak, visibility("default"))) const char *
__lsan_default_suppressions(void)
{
	return "leak:libfabric.so\n";
}
#endif

/* --- the library ------------------------------------------------------------------------------ */

struct ofi_lib {
	int (*getinfo)(uint32_t version, const char *node, const char *service, uint64_t flags,
		       const struct fi_info *hints, struct fi_info **info);
	void (*freeinfo)(struct fi_info *info);
	struct fi_info *(*dupinfo)(const struct fi_info *info);
	int (*fabric)(struct fi_fabric_attr *attr, struct fid_fabric **fabric, void *context);
	uint32_t (*version)(void);
	const char *(*strerror)(int errnum);
};

static int
lib_load(struct ofi_lib *lib)
{
	const struct {
		const char *name;
		void **fn;
	} syms[] = {
	    {"fi_getinfo", (void **)&lib->getinfo}, {"fi_freeinfo", (void **)&lib->freeinfo},
	    {"fi_dupinfo", (void **)&lib->dupinfo}, {"fi_fabric", (void **)&lib->fabric},
	    {"fi_version", (void **)&lib->version}, {"fi_strerror", (void **)&lib->strerror},
	};
	void *handle = dlopen("libfabric.so.1", RTLD_NOW | RTLD_LOCAL);
	size_t i;

	if (handle == NULL) {
		log_err("cannot load libfabric: %s", dlerror());
		return -DER_NOSYS;
	}
	/* Stays loaded for the life of the process: it cannot be unloaded safely. */
	for (i = 0; i < sizeof(syms) / sizeof(syms[0]); i++) {
		*syms[i].fn = dlsym(handle, syms[i].name);
		if (*syms[i].fn == NULL) {
			log_err("libfabric lacks %s", syms[i].name);
			return -DER_NOSYS;
		}
	}
	return 0;
}

struct ofi_net {
	struct net net;
	struct ofi_lib lib;
	struct fi_info *info;
	struct fid_fabric *fabric;
	bool ip;          /* addresses are struct sockaddr_in */
	bool sleep_trick; /* the first item of the list at the top */
};

/* What an operation needs inside the library; first in the priv of fab_tx and fab_rma. */
enum ofi_kind {
	OFI_TX = 1,
	OFI_RX,
	OFI_RMA,
};
struct ofi_op {
	struct fi_context2 ctx; /* the library's, must be first */
	enum ofi_kind kind;
	uint32_t mr_nr;
	struct fid_mr *mr[FAB_RMA_IOV_MAX]; /* of local memory, where that must be registered */
};
static_assert(sizeof(struct ofi_op) <= FAB_PRIV_WORDS * sizeof(uint64_t), "ofi_op fits");

struct fab_rx {
	struct ofi_op op;
	struct list link; /* ep->rx_unposted */
	struct ofi_ep *ep;
	uint32_t ref;
	uint8_t *buf;
};

struct ofi_tx {
	struct fab_tx tx;
	struct fid_mr *mr; /* NULL where not needed */
	_Alignas(16) uint8_t bytes[];
};

struct ofi_mr {
	struct fab_mr mr;
	struct fid_mr *fid;
};

struct fab_peer {
	fi_addr_t addr;
	struct sockaddr_in sin; /* IP providers */
	int probe_fd;           /* a connection being tried, -1 = none */
};

struct ofi_ep {
	struct fab_ep base;
	struct ofi_net *net;
	struct fi_info *info;
	struct fid_domain *domain;
	struct fid_cq *cq;
	struct fid_av *av;
	struct fid_ep *ep;
	struct xs_source src;
	bool src_added;
	bool refused; /* something got -DER_AGAIN since the last ready() */
	uint32_t fork_gen;
	uint64_t mr_mode;
	uint64_t next_key;
	struct sockaddr_in sin; /* our own */
	struct list tx_small;
	struct list tx_large;
	uint32_t tx_small_nr;
	uint32_t tx_large_nr;
	struct list rx_unposted;
	uint8_t *rx_mem;
	struct fid_mr *rx_mr;
	struct fab_rx rx[OFI_RX_NR];
};

static struct ofi_ep *
ofi_ep(struct fab_ep *base)
{
	return container_of(base, struct ofi_ep, base);
}

static int
ofi_err(ssize_t rc)
{
	switch (-rc) {
	case 0:
		return 0;
	case FI_EAGAIN:
		return -DER_AGAIN;
	case FI_ENOMEM:
		return -DER_NOMEM;
	case FI_EINVAL:
		return -DER_INVAL;
	case FI_ECANCELED:
	case FI_ECONNREFUSED:
	case FI_ECONNRESET:
	case FI_ECONNABORTED:
	case FI_ENOTCONN:
	case FI_EHOSTUNREACH:
	case FI_ENETUNREACH:
	case FI_ETIMEDOUT:
		return -DER_UNREACH;
	case FI_EADDRINUSE:
		return -DER_BUSY;
	case FI_ENODATA:
		return -DER_NONEXIST;
	default:
		return -DER_HG;
	}
}

static int
ofi_failed(const struct ofi_net *net, const char *what, ssize_t rc)
{
	log_err("%s: %s (%zd)", what, net->lib.strerror((int)-rc), rc);
	return ofi_err(rc);
}

/* --- memory ----------------------------------------------------------------------------------- */

/* Keys are never used twice and not to be guessed from one another. */
static uint64_t
key_next(struct ofi_ep *ep)
{
	uint64_t key = hash_u64(ep->next_key++);
	size_t size = ep->info->domain_attr->mr_key_size;

	return size < 8 ? key & ((1ull << (size * 8)) - 1) : key;
}

static int
mr_register(struct ofi_ep *ep, void *buf, size_t len, uint64_t access, struct fid_mr **ret_mr)
{
	int rc;

	rc = fi_mr_reg(ep->domain, buf, len, access, 0, key_next(ep), 0, ret_mr, NULL);
	if (rc != 0)
		return ofi_failed(ep->net, "fi_mr_reg", rc);
	if ((ep->mr_mode & FI_MR_ENDPOINT) == 0)
		return 0;
	rc = fi_mr_bind(*ret_mr, &ep->ep->fid, 0);
	if (rc == 0)
		rc = fi_mr_enable(*ret_mr);
	if (rc != 0) {
		fi_close(&(*ret_mr)->fid);
		return ofi_failed(ep->net, "fi_mr_enable", rc);
	}
	return 0;
}

/* Memory this side only sends from and receives into. */
static int
mr_register_local(struct ofi_ep *ep, void *buf, size_t len, struct fid_mr **ret_mr)
{
	*ret_mr = NULL;
	if ((ep->mr_mode & FI_MR_LOCAL) == 0)
		return 0;
	return mr_register(ep, buf, len, FI_SEND | FI_RECV | FI_READ | FI_WRITE, ret_mr);
}

static void *
mr_desc(struct fid_mr *mr)
{
	return mr != NULL ? fi_mr_desc(mr) : NULL;
}

static void
mr_unregister(struct fid_mr *mr)
{
	if (mr != NULL)
		fi_close(&mr->fid);
}

static int
ofi_mr_open(struct fab_ep *base, void *buf, size_t len, uint32_t access, struct fab_mr **ret_mr)
{
	struct ofi_ep *ep = ofi_ep(base);
	struct ofi_mr *mr = mem_new(struct ofi_mr);
	uint64_t flags = 0;
	int rc;

	if (mr == NULL)
		return -DER_NOMEM;
	if ((access & FAB_REMOTE_READ) != 0)
		flags |= FI_REMOTE_READ;
	if ((access & FAB_REMOTE_WRITE) != 0)
		flags |= FI_REMOTE_WRITE;
	rc = mr_register(ep, buf, len, flags, &mr->fid);
	if (rc != 0) {
		free(mr);
		return rc;
	}
	mr->mr.key = fi_mr_key(mr->fid);
	mr->mr.addr = (ep->mr_mode & FI_MR_VIRT_ADDR) != 0 ? (uintptr_t)buf : 0;
	*ret_mr = &mr->mr;
	return 0;
}

static void
ofi_mr_close(struct fab_ep *base, struct fab_mr *fmr)
{
	struct ofi_mr *mr = container_of(fmr, struct ofi_mr, mr);

	fi_close(&mr->fid->fid);
	free(mr);
}

/* --- messages --------------------------------------------------------------------------------- */

static struct fab_tx *
ofi_tx_alloc(struct fab_ep *base, uint32_t cap)
{
	struct ofi_ep *ep = ofi_ep(base);
	bool small = cap <= OFI_TX_SMALL;
	struct list *pool = small ? &ep->tx_small : &ep->tx_large;
	struct ofi_tx *otx;
	struct fab_tx *tx;

	assert(cap <= FAB_MSG_MAX);
	tx = list_first(pool, struct fab_tx, link);
	if (tx != NULL) {
		list_del(&tx->link);
		*(small ? &ep->tx_small_nr : &ep->tx_large_nr) -= 1;
		return tx;
	}
	cap = small ? OFI_TX_SMALL : FAB_MSG_MAX;
	otx = mem_alloc(sizeof(*otx) + cap);
	if (otx == NULL)
		return NULL;
	memset(otx, 0, sizeof(*otx));
	list_init(&otx->tx.link);
	otx->tx.buf = otx->bytes;
	otx->tx.cap = cap;
	if (mr_register_local(ep, otx->bytes, cap, &otx->mr) != 0) {
		free(otx);
		return NULL;
	}
	return &otx->tx;
}

static void
tx_destroy(struct fab_tx *tx)
{
	struct ofi_tx *otx = container_of(tx, struct ofi_tx, tx);

	mr_unregister(otx->mr);
	free(otx);
}

static void
ofi_tx_free(struct fab_ep *base, struct fab_tx *tx)
{
	struct ofi_ep *ep = ofi_ep(base);
	bool small = tx->cap <= OFI_TX_SMALL;
	uint32_t *nr = small ? &ep->tx_small_nr : &ep->tx_large_nr;

	if (*nr >= (small ? OFI_TX_KEEP_SMALL : OFI_TX_KEEP_LARGE)) {
		tx_destroy(tx);
		return;
	}
	++*nr;
	list_push_front(small ? &ep->tx_small : &ep->tx_large, &tx->link);
}

static int
ofi_result(struct ofi_ep *ep, ssize_t rc)
{
	int err = ofi_err(rc);

	if (err == -DER_AGAIN)
		ep->refused = true;
	return err;
}

static int
ofi_send(struct fab_ep *base, struct fab_peer *peer, struct fab_tx *tx)
{
	struct ofi_ep *ep = ofi_ep(base);
	struct ofi_tx *otx = container_of(tx, struct ofi_tx, tx);
	struct ofi_op *op = (struct ofi_op *)tx->priv;

	op->kind = OFI_TX;
	return ofi_result(ep, fi_send(ep->ep, tx->buf, tx->len, mr_desc(otx->mr), peer->addr, op));
}

static void
rx_post(struct ofi_ep *ep, struct fab_rx *rx)
{
	ssize_t rc;

	rc = fi_recv(ep->ep, rx->buf, FAB_MSG_MAX, mr_desc(ep->rx_mr), FI_ADDR_UNSPEC, &rx->op);
	if (rc == 0)
		return;
	/* Poll tries again. */
	if (rc != -FI_EAGAIN)
		(void)ofi_failed(ep->net, "fi_recv", rc);
	list_push_back(&ep->rx_unposted, &rx->link);
}

static void
ofi_rx_hold(struct fab_ep *base, struct fab_rx *rx)
{
	rx->ref++;
}

static void
ofi_rx_put(struct fab_ep *base, struct fab_rx *rx)
{
	if (--rx->ref == 0)
		rx_post(ofi_ep(base), rx);
}

/* --- transfers -------------------------------------------------------------------------------- */

static void
rma_release(struct ofi_op *op)
{
	while (op->mr_nr > 0)
		mr_unregister(op->mr[--op->mr_nr]);
}

static int
ofi_rma(struct fab_ep *base, struct fab_peer *peer, struct fab_rma *rma)
{
	struct ofi_ep *ep = ofi_ep(base);
	struct ofi_op *op = (struct ofi_op *)rma->priv;
	void *desc[FAB_RMA_IOV_MAX] = {NULL};
	struct fi_rma_iov remote = {.addr = rma->addr, .key = rma->key};
	struct fi_msg_rma msg = {
	    .msg_iov = rma->iov,
	    .desc = desc,
	    .iov_count = rma->iov_nr,
	    .addr = peer->addr,
	    .rma_iov = &remote,
	    .rma_iov_count = 1,
	    .context = op,
	};
	uint32_t i;
	int rc;

	op->kind = OFI_RMA;
	op->mr_nr = 0;
	for (i = 0; i < rma->iov_nr; i++) {
		remote.len += rma->iov[i].iov_len;
		if ((ep->mr_mode & FI_MR_LOCAL) == 0)
			continue;
		rc = mr_register_local(ep, rma->iov[i].iov_base, rma->iov[i].iov_len, &op->mr[i]);
		if (rc != 0) {
			rma_release(op);
			return rc;
		}
		op->mr_nr++;
		desc[i] = mr_desc(op->mr[i]);
	}
	/* A put must have arrived when it ends: the reply that follows might take a new connection
	 * after this one broke. */
	if (rma->put)
		rc =
		    ofi_result(ep, fi_writemsg(ep->ep, &msg, FI_COMPLETION | FI_DELIVERY_COMPLETE));
	else
		rc = ofi_result(ep, fi_readmsg(ep->ep, &msg, FI_COMPLETION));
	if (rc != 0)
		rma_release(op);
	return rc;
}

/* --- completions ------------------------------------------------------------------------------ */

static void
op_ended(struct ofi_ep *ep, struct ofi_op *op, size_t len, int rc)
{
	struct fab_rma *rma;
	struct fab_tx *tx;
	struct fab_rx *rx;

	switch (op->kind) {
	case OFI_TX:
		tx = (struct fab_tx *)((char *)op - offsetof(struct fab_tx, priv));
		tx->done(tx, rc);
		break;
	case OFI_RMA:
		rma_release(op);
		rma = (struct fab_rma *)((char *)op - offsetof(struct fab_rma, priv));
		rma->done(rma, rc);
		break;
	case OFI_RX:
		/* Failed: its connection broke, or the message was too long. */
		rx = container_of(op, struct fab_rx, op);
		rx->ref = 1;
		if (rc == 0)
			ep->base.events->recv(ep->base.arg, rx, rx->buf, (uint32_t)len);
		ofi_rx_put(&ep->base, rx);
		break;
	}
}

static uint32_t
cq_error(struct ofi_ep *ep)
{
	struct fi_cq_err_entry err = {0};
	ssize_t n = fi_cq_readerr(ep->cq, &err, 0);

	if (n <= 0)
		return 0;
	if (err.op_context != NULL)
		op_ended(ep, err.op_context, 0, err.err != 0 ? ofi_err(-err.err) : -DER_HG);
	return 1;
}

/* Take completions; returns how many. */
static uint32_t
cq_drain(struct ofi_ep *ep)
{
	struct fi_cq_msg_entry entries[OFI_CQ_BATCH];
	uint32_t nr = 0;
	uint32_t round;
	ssize_t i, n;

	for (round = 0; round < OFI_POLL_BATCHES; round++) {
		n = fi_cq_read(ep->cq, entries, OFI_CQ_BATCH);
		if (n == -FI_EAVAIL) {
			nr += cq_error(ep);
			continue;
		}
		if (n <= 0)
			break;
		for (i = 0; i < n; i++)
			op_ended(ep, entries[i].op_context, entries[i].len, 0);
		nr += (uint32_t)n;
	}
	return nr;
}

static uint32_t
ofi_poll(struct xs_source *src)
{
	struct ofi_ep *ep = src->arg;
	struct fab_rx *rx;
	struct list again;
	uint32_t nr;

	nr = cq_drain(ep);
	list_init(&again);
	list_splice_back(&again, &ep->rx_unposted);
	while ((rx = list_first(&again, struct fab_rx, link)) != NULL) {
		list_del(&rx->link);
		rx_post(ep, rx);
	}
	if (ep->refused) {
		ep->refused = false;
		ep->base.events->ready(ep->base.arg);
	}
	return nr;
}

static bool
ofi_prepare_sleep(struct xs_source *src)
{
	struct ofi_ep *ep = src->arg;
	struct fid *fid = &ep->cq->fid;

	return ep->net->sleep_trick || fi_trywait(ep->net->fabric, &fid, 1) == 0;
}

/* --- peers ------------------------------------------------------------------------------------ */

/* Addresses that are not IP travel as hexadecimal digits. */
static int
raw_parse(const char *addr, uint8_t *raw, size_t size)
{
	size_t i, len = strlen(addr);
	unsigned int byte;

	if (len == 0 || len % 2 != 0 || len / 2 > size)
		return -DER_INVAL;
	for (i = 0; i < len / 2; i++) {
		if (sscanf(addr + 2 * i, "%2x", &byte) != 1)
			return -DER_INVAL;
		raw[i] = (uint8_t)byte;
	}
	return 0;
}

static int
ofi_peer_open(struct fab_ep *base, const char *uri, void *peer_arg, struct fab_peer **ret_peer)
{
	struct ofi_ep *ep = ofi_ep(base);
	const char *addr = strstr(uri, "://");
	uint8_t raw[FAB_URI_MAX / 2] = {0};
	struct fab_peer *peer;
	int rc;

	if (addr == NULL)
		return -DER_INVAL;
	peer = mem_new(struct fab_peer);
	if (peer == NULL)
		return -DER_NOMEM;
	peer->probe_fd = -1;
	if (ep->net->ip)
		rc = ip_parse(addr + 3, &peer->sin);
	else
		rc = raw_parse(addr + 3, raw, sizeof(raw));
	if (rc == 0 && fi_av_insert(ep->av, ep->net->ip ? (void *)&peer->sin : raw, 1, &peer->addr,
				    0, NULL) != 1)
		rc = -DER_INVAL;
	if (rc != 0) {
		free(peer);
		return rc;
	}
	*ret_peer = peer;
	return 0;
}

static void
ofi_peer_close(struct fab_ep *base, struct fab_peer *peer)
{
	struct ofi_ep *ep = ofi_ep(base);

	close_fdp(&peer->probe_fd);
	fi_av_remove(ep->av, &peer->addr, 1, 0);
	free(peer);
}

static int
ofi_peer_probe(struct fab_ep *base, struct fab_peer *peer)
{
	return ofi_ep(base)->net->ip ? ip_probe(&peer->sin, &peer->probe_fd) : 0;
}

/* --- breaking connections --------------------------------------------------------------------- */

static uint32_t
tcp_silent_ms(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
		return 0;
	return info.tcpi_last_data_recv;
}

/* Call fn for each descriptor of this endpoint: what its epoll set watches. */
static void
ep_fds(const struct ofi_ep *ep, void (*fn)(const struct ofi_ep *ep, int fd, void *arg), void *arg)
{
	char path[64];
	char line[256];
	FILE *f;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", ep->src.fd);
	f = fopen(path, "re");
	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "tfd: %d", &fd) == 1)
			fn(ep, fd, arg);
	fclose(f);
}

/*
 * Which sockets lead to the peer? One that we connected has the peer's address as its other end.
 * One that the peer connected comes from an arbitrary port of its host, and the library does not
 * tell whose it is: of those from its host, the ones over which nothing has come for a second are
 * taken. If an innocent one is among them, its two ends just connect again.
 */
struct shut {
	const struct fab_peer *peer;
	uint32_t nr; /* shut down */
};

static void
shut_one(const struct ofi_ep *ep, int fd, void *arg)
{
	struct sockaddr_in here = {0}, there = {0};
	socklen_t len = sizeof(here);
	struct shut *s = arg;

	if (getsockname(fd, (struct sockaddr *)&here, &len) != 0)
		return;
	len = sizeof(there);
	if (getpeername(fd, (struct sockaddr *)&there, &len) != 0)
		return;
	if (ip_same(&there, &s->peer->sin)) {
		s->nr++;
		shutdown(fd, SHUT_RDWR);
		return;
	}
	if (!ip_same(&here, &ep->sin) || there.sin_addr.s_addr != s->peer->sin.sin_addr.s_addr)
		return;
	if (tcp_silent_ms(fd) >= OFI_SILENT_MS) {
		s->nr++;
		shutdown(fd, SHUT_RDWR);
	}
}

static int
ofi_peer_reset(struct fab_ep *base, struct fab_peer *peer)
{
	struct ofi_ep *ep = ofi_ep(base);
	struct shut s = {.peer = peer};
	uint32_t turn;

	if (!ep->net->ip || !ep->net->sleep_trick)
		return -DER_NOSYS;
	ep_fds(ep, shut_one, &s);
	if (s.nr == 0)
		return 0;
	/* Read what had arrived, up to the end of the stream: then the library lets go of it. */
	for (turn = 0; turn < OFI_SHUT_TURNS; turn++) {
		struct pollfd pfd = {.fd = ep->src.fd, .events = POLLIN};

		if (cq_drain(ep) == 0 && poll(&pfd, 1, 0) == 0)
			break;
	}
	return 0;
}

/* --- opening an endpoint ---------------------------------------------------------------------- */

static bool
is_epoll(int fd)
{
	char path[32];
	char target[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = 0;
	return strstr(target, "[eventpoll]") != NULL;
}

/* The provider's epoll set among what the completion queue waits on, -1 if it is not there. */
static int
cq_epoll_fd(struct ofi_ep *ep)
{
	struct pollfd fds[16];
	struct fi_wait_pollfd wait = {.nfds = 16, .fd = fds};
	uint64_t i;

	if (fi_control(&ep->cq->fid, FI_GETWAIT, &wait) != 0)
		return -1;
	for (i = 0; i < wait.nfds && i < 16; i++)
		if (is_epoll(fds[i].fd))
			return fds[i].fd;
	return -1;
}

/* The descriptor to sleep on, see the top. */
static int
ep_wait_fd(struct ofi_ep *ep)
{
	struct fi_cq_msg_entry entry;
	int turn, rc;

	ep->src.fd = -1;
	if (!ep->net->sleep_trick) {
		rc = fi_control(&ep->cq->fid, FI_GETWAIT, &ep->src.fd);
		return rc != 0 ? ofi_failed(ep->net, "FI_GETWAIT", rc) : 0;
	}
	/* Descriptors are added to the set inside a wait; one that finds its time over before it
	 * began does not wait. */
	for (turn = 0; turn < OFI_WAIT_TURNS && ep->src.fd < 0; turn++) {
		(void)fi_cq_sread(ep->cq, &entry, 1, NULL, 1);
		ep->src.fd = cq_epoll_fd(ep);
	}
	if (ep->src.fd >= 0)
		return 0;
	log_err("provider %s gives no descriptor to wait on", ep->net->net.provider);
	return -DER_NOSYS;
}

static void
listener_tune(const struct ofi_ep *ep, int fd, void *arg)
{
	struct timeval tv = {.tv_usec = 1000};
	socklen_t len = sizeof(int);
	int val = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &val, &len) != 0 || val == 0)
		return;
	/* Inherited by what it accepts. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	val = 1;
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &val, sizeof(val));
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static int
ep_objects(struct ofi_ep *ep)
{
	struct fi_cq_attr cq_attr = {.size = OFI_CQ_SIZE, .format = FI_CQ_FORMAT_MSG};
	struct fi_av_attr av_attr = {.type = FI_AV_TABLE};
	struct ofi_net *net = ep->net;
	int rc;

	cq_attr.wait_obj = net->sleep_trick ? FI_WAIT_POLLFD : FI_WAIT_FD;
	rc = fi_domain(net->fabric, ep->info, &ep->domain, NULL);
	if (rc != 0)
		return ofi_failed(net, "fi_domain", rc);
	rc = fi_cq_open(ep->domain, &cq_attr, &ep->cq, NULL);
	if (rc != 0)
		return ofi_failed(net, "fi_cq_open", rc);
	rc = fi_av_open(ep->domain, &av_attr, &ep->av, NULL);
	if (rc != 0)
		return ofi_failed(net, "fi_av_open", rc);
	rc = fi_endpoint(ep->domain, ep->info, &ep->ep, NULL);
	if (rc != 0)
		return ofi_failed(net, "fi_endpoint", rc);
	rc = fi_ep_bind(ep->ep, &ep->av->fid, 0);
	if (rc == 0)
		rc = fi_ep_bind(ep->ep, &ep->cq->fid, FI_TRANSMIT | FI_RECV);
	if (rc == 0)
		rc = fi_enable(ep->ep);
	return rc != 0 ? ofi_failed(net, "fi_enable", rc) : 0;
}

static int
ep_name(struct ofi_ep *ep)
{
	uint8_t raw[FAB_URI_MAX / 2];
	size_t i, len;
	int n, rc;

	n = snprintf(ep->base.uri, sizeof(ep->base.uri), "ofi+%s://", ep->net->net.provider);
	len = ep->net->ip ? sizeof(ep->sin) : sizeof(raw);
	rc = fi_getname(&ep->ep->fid, ep->net->ip ? (void *)&ep->sin : raw, &len);
	if (rc != 0)
		return ofi_failed(ep->net, "fi_getname", rc);
	if (ep->net->ip) {
		return ip_uri(ep->net->net.provider, &ep->sin, ep->base.uri, sizeof(ep->base.uri));
	}
	if ((size_t)n + 2 * len >= sizeof(ep->base.uri))
		return -DER_OVERFLOW;
	for (i = 0; i < len; i++)
		sprintf(ep->base.uri + n + 2 * i, "%02x", raw[i]);
	return 0;
}

static int
ep_receive(struct ofi_ep *ep)
{
	size_t size = (size_t)OFI_RX_NR * FAB_MSG_MAX;
	uint32_t i;
	int rc;

	ep->rx_mem = mem_alloc(size);
	if (ep->rx_mem == NULL)
		return -DER_NOMEM;
	rc = mr_register_local(ep, ep->rx_mem, size, &ep->rx_mr);
	if (rc != 0)
		return rc;
	for (i = 0; i < OFI_RX_NR; i++) {
		ep->rx[i].op.kind = OFI_RX;
		ep->rx[i].ep = ep;
		ep->rx[i].buf = ep->rx_mem + (size_t)i * FAB_MSG_MAX;
		list_init(&ep->rx[i].link);
		rx_post(ep, &ep->rx[i]);
	}
	return 0;
}

static void
fid_close(void *fid)
{
	if (fid != NULL)
		fi_close(fid);
}

static void
tx_list_free(struct list *pool)
{
	struct fab_tx *tx;

	while ((tx = list_first(pool, struct fab_tx, link)) != NULL) {
		list_del(&tx->link);
		tx_destroy(tx);
	}
}

static void
ofi_ep_close(struct fab_ep *base)
{
	struct ofi_ep *ep = ofi_ep(base);

	if (ep->src_added)
		xs_source_del(base->xs, &ep->src);
	/* In the child of a fork the library's descriptors are the parent's: leave them alone. */
	if (ep->fork_gen != fork_gen())
		return;
	fid_close(ep->ep);
	tx_list_free(&ep->tx_small);
	tx_list_free(&ep->tx_large);
	mr_unregister(ep->rx_mr);
	fid_close(ep->cq);
	fid_close(ep->av);
	fid_close(ep->domain);
	if (ep->info != NULL)
		ep->net->lib.freeinfo(ep->info);
	free(ep->rx_mem);
	free(ep);
}

static const struct fab_ops ofi_ops = {
    .ep_close = ofi_ep_close,
    .peer_open = ofi_peer_open,
    .peer_close = ofi_peer_close,
    .peer_probe = ofi_peer_probe,
    .peer_reset = ofi_peer_reset,
    .tx_alloc = ofi_tx_alloc,
    .tx_free = ofi_tx_free,
    .send = ofi_send,
    .rx_hold = ofi_rx_hold,
    .rx_put = ofi_rx_put,
    .mr_open = ofi_mr_open,
    .mr_close = ofi_mr_close,
    .rma = ofi_rma,
};

static int
ep_setup(struct ofi_ep *ep, uint16_t port)
{
	int rc;

	ep->info = ep->net->lib.dupinfo(ep->net->info);
	if (ep->info == NULL)
		return -DER_NOMEM;
	if (ep->net->ip)
		((struct sockaddr_in *)ep->info->src_addr)->sin_port = htons(port);
	ep->mr_mode = (uint64_t)ep->info->domain_attr->mr_mode;
	ep->next_key = env_rand_u64(xs_env(ep->base.xs));
	rc = ep_objects(ep);
	if (rc == 0)
		rc = ep_name(ep);
	/* In this order: nothing can complete while ep_wait_fd() looks away. */
	if (rc == 0)
		rc = ep_wait_fd(ep);
	if (rc == 0)
		rc = ep_receive(ep);
	if (rc != 0)
		return rc;
	if (ep->net->sleep_trick)
		ep_fds(ep, listener_tune, NULL);
	rc = xs_source_add(ep->base.xs, &ep->src);
	ep->src_added = rc == 0;
	return rc;
}

static int
ofi_ep_open(struct net *net, const struct fab_ep_conf *conf, struct fab_ep **ret_ep)
{
	struct ofi_ep *ep = mem_new(struct ofi_ep);
	int rc;

	if (ep == NULL)
		return -DER_NOMEM;
	ep->base.ops = &ofi_ops;
	ep->base.xs = conf->xs;
	ep->base.events = conf->events;
	ep->base.arg = conf->arg;
	ep->net = container_of(net, struct ofi_net, net);
	ep->fork_gen = fork_gen();
	list_init(&ep->tx_small);
	list_init(&ep->tx_large);
	list_init(&ep->rx_unposted);
	ep->src.poll = ofi_poll;
	ep->src.prepare_sleep = ofi_prepare_sleep;
	ep->src.arg = ep;
	rc = ep_setup(ep, conf->port);
	if (rc != 0) {
		ofi_ep_close(&ep->base);
		return rc;
	}
	*ret_ep = &ep->base;
	return 0;
}

/* --- opening the network ---------------------------------------------------------------------- */

static int
provider_set(struct ofi_net *net, const char *name)
{
	uint32_t version = net->lib.version();

	net->ip = strcmp(name, "net") == 0;
	if (net->ip && FI_VERSION_GE(version, FI_VERSION(1, 18)))
		name = "tcp"; /* its later name */
	if (strlen(name) >= sizeof(net->net.provider))
		return -DER_INVAL;
	strcpy(net->net.provider, name);
	net->sleep_trick = strcmp(name, "net") == 0;
	return 0;
}

static int
net_info(struct ofi_net *net, const char *interface)
{
	char ip[INET_ADDRSTRLEN] = "";
	struct fi_info *hints;
	struct in_addr in;
	int rc;

	if (net->ip) {
		rc = ip_of_interface(interface, &in);
		if (rc != 0)
			return rc;
		inet_ntop(AF_INET, &in, ip, sizeof(ip));
	}
	hints = net->lib.dupinfo(NULL);
	if (hints == NULL)
		return -DER_NOMEM;
	hints->caps = FI_MSG | FI_RMA | FI_SEND | FI_RECV | FI_READ | FI_WRITE | FI_REMOTE_READ |
		      FI_REMOTE_WRITE;
	hints->mode = FI_CONTEXT | FI_CONTEXT2;
	hints->ep_attr->type = FI_EP_RDM;
	hints->addr_format = net->ip ? FI_SOCKADDR_IN : FI_FORMAT_UNSPEC;
	hints->domain_attr->threading = FI_THREAD_DOMAIN;
	hints->domain_attr->data_progress = FI_PROGRESS_MANUAL;
	hints->domain_attr->control_progress = FI_PROGRESS_MANUAL;
	hints->domain_attr->av_type = FI_AV_TABLE;
	hints->domain_attr->mr_mode =
	    FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY | FI_MR_ENDPOINT;
	hints->fabric_attr->prov_name = strdup(net->net.provider);
	if (!net->ip && interface != NULL)
		hints->domain_attr->name = strdup(interface);
	rc = net->lib.getinfo(FI_VERSION(1, 17), net->ip ? ip : NULL, NULL, net->ip ? FI_SOURCE : 0,
			      hints, &net->info);
	net->lib.freeinfo(hints);
	if (rc != 0)
		return ofi_failed(net, "fi_getinfo", rc);
	return 0;
}

static void
ofi_net_close(struct net *base)
{
	struct ofi_net *net = container_of(base, struct ofi_net, net);

	fid_close(net->fabric);
	if (net->info != NULL)
		net->lib.freeinfo(net->info);
	free(net);
}

static const struct net_ops ofi_net_ops = {
    .close = ofi_net_close,
    .ep_open = ofi_ep_open,
};

static int
net_setup(struct ofi_net *net, const struct net_conf *conf, const char *provider)
{
	int rc;

	rc = lib_load(&net->lib);
	if (rc == 0)
		rc = provider_set(net, provider);
	if (rc == 0)
		rc = net_info(net, conf->interface);
	if (rc != 0)
		return rc;
	rc = net->lib.fabric(net->info->fabric_attr, &net->fabric, NULL);
	return rc != 0 ? ofi_failed(net, "fi_fabric", rc) : 0;
}

int
net_open_ofi(const struct net_conf *conf, const char *provider, struct net **ret_net)
{
	struct ofi_net *net = mem_new(struct ofi_net);
	int rc;

	if (net == NULL)
		return -DER_NOMEM;
	net->net.ops = &ofi_net_ops;
	rc = net_setup(net, conf, provider);
	if (rc != 0) {
		ofi_net_close(&net->net);
		return rc;
	}
	*ret_net = &net->net;
	return 0;
}
