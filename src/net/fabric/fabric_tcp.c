/*
 * The fabric on TCP sockets: one listening socket, one epoll set and any number of connections per
 * endpoint, all driven from the endpoint's event source.
 *
 * libfabric can do this too, but its TCP provider of Debian 12 costs 0.28 s and 3.5 MiB to start,
 * cannot take a transfer back, does not tell when a connection breaks, and loses its way in several
 * of the situations that tests of a storage system create (see fabric_ofi.c). Here:
 *  - closing a registration, or cancelling a transfer, ends what is under way at once: the rest of
 *    an arriving payload is thrown away, the rest of a leaving one is replaced by zeros, and a
 *    trailer behind the payload says that it is void. The connection goes on;
 *  - a connection that breaks is reported, so a killed peer is noticed within a millisecond;
 *  - everything waiting for a connection that broke ends with an error.
 *
 * Wire format, all integers little-endian. A stream of blocks, each
 *
 *	 0 u8  type
 *	 1 u8, u16 zero
 *	 4 u32 len, of the payload
 * and for the types from READ on
 *	 8 u64 id of the transfer
 *	16 u64 key, or status of the answer
 *	24 u64 address
 * then the payload, and behind a non-empty payload of DATA and WRITE
 *	   u64 zero, or a code: the payload is void
 *
 *	HELLO	first on each connection, from who made it: u64 magic, u16 port it listens on, u16
 *		version, u32 zero
 *	MSG	payload: a message
 *	READ	wants `want` bytes from (key, address); the payload is that number, u32, and u32
 *zero DATA	answers READ: a status, and the bytes if that is zero WRITE	payload: bytes for
 *(key, address) DONE	answers WRITE: a status
 *
 * Messages to a peer leave on one connection, the peer's "tx"; an answer to a transfer leaves on
 *the connection its request came on. Whoever sends first connects; when both do so at the same time
 * there are two connections and each side sends on its own.
 *
 * Receiving. Bytes are read into a block shared by the endpoint's connections and taken apart
 *there; a message that lies in it whole is handed on in place. One that does not, and payloads, are
 *read straight to where they belong.
 *
 * Lifetime. Closing a connection only marks it; it is freed at the end of the poll, so callbacks
 *may break any connection at any time.
 */
#define LOG_FACILITY "net"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <daos_errno.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/htable.h"
#include "base/iov.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/fabric/fabric.h"
#include "net/fabric/fabric_internal.h"
#include "net/fabric/ip.h"
#include "net/rpc/rpc.h"

#define TCP_MAGIC 0x31504354534f4144ull /* "DAOSTCP1" */

enum {
	TCP_VERSION = 1,
	TCP_HEAD = 8,
	TCP_HEAD_LONG = 32,
	TCP_TRAILER = 8,
	TCP_HELLO = 16,
	TCP_WANT = 8,
	TCP_RMA_MAX = 64 << 20, /* bytes of one transfer */
	TCP_RX_BLOCK = 64 * 1024,
	TCP_RX_READ =
	    32 * 1024,      /* of it per read: what of a payload lands there is copied once more */
	TCP_TURN = 1 << 20, /* bytes moved on one connection before others have their turn */
	TCP_ANSWER_MAX = 4096, /* of one connection, waiting to be sent */
	TCP_RX_KEEP = 4,       /* free blocks kept */
	TCP_TX_IOV = 64,       /* pieces in one send */
	TCP_TX_SMALL = 4096,
	TCP_TX_KEEP_SMALL = 64,
	TCP_TX_KEEP_LARGE = 16,
	TCP_ANSWER_KEEP = 64,
	TCP_EVENTS = 64,
	TCP_BACKLOG = 1024,
	TCP_STRANGERS = 256, /* connections that have not said who they are */
	TCP_KEEPALIVE_S = 30,
};

enum block_type {
	BLOCK_HELLO = 1,
	BLOCK_MSG,
	BLOCK_READ,
	BLOCK_DATA,
	BLOCK_WRITE,
	BLOCK_DONE,
	BLOCK_END,
};

/* Something to send: a block, in the order head, payload, zeros, trailer. */
enum item_kind {
	ITEM_MSG,    /* inside a fab_tx */
	ITEM_RMA,    /* inside a fab_rma: READ or WRITE */
	ITEM_ANSWER, /* by itself: HELLO, DATA, DONE, or what is left of a cancelled RMA */
};
struct tcp_item {
	struct list link;    /* conn->txq, or ep->answers */
	struct list mr_link; /* DATA: mr->items */
	enum item_kind kind;
	uint8_t head_len;
	uint8_t head_off;
	uint8_t iov_idx;
	uint8_t iov_nr;
	uint8_t trail_len;
	uint8_t trail_off;
	bool started;       /* some of it has left */
	uint64_t zero_left; /* zeros in place of the payload that was taken back */
	struct iovec iov[FAB_RMA_IOV_MAX];
	uint8_t head[TCP_HEAD_LONG + TCP_HELLO];
	uint8_t trail[TCP_TRAILER];
};

/* An operation that has ended and whose done() is due. */
struct tcp_end {
	struct list link;  /* ep->ended */
	struct fab_tx *tx; /* one of the two */
	struct fab_rma *rma;
	int rc;
};

struct tcp_tx_priv {
	struct tcp_item item;
	struct tcp_end end;
};
static_assert(sizeof(struct tcp_tx_priv) <= FAB_PRIV_WORDS * 8, "fits");

enum rma_state {
	RMA_QUEUED,   /* item in conn->txq */
	RMA_WAITING,  /* for its answer */
	RMA_ARRIVING, /* READ: bytes are being received */
	RMA_ENDED,
};
struct tcp_rma_priv {
	struct tcp_item item;
	struct tcp_end end;
	struct tcp_conn *conn;
	struct list conn_link; /* conn->rmas, until ended */
	struct hnode node;     /* ep->rmas, until ended */
	uint64_t id;
	enum rma_state state;
};

static_assert(sizeof(struct tcp_rma_priv) <= FAB_PRIV_WORDS * 8, "fits");

struct fab_rx {
	struct list link; /* ep->rx_pool */
	uint32_t ref;
	_Alignas(16) uint8_t bytes[TCP_RX_BLOCK];
};

struct tcp_mr {
	struct fab_mr mr;
	struct hnode node;
	uint8_t *buf;
	size_t len;
	uint32_t access;
	struct list items; /* DATA being sent from it */
	struct list conns; /* WRITE being received into it */
};

enum rx_state {
	RX_HEAD,
	RX_MSG,     /* the rest of a message, into msg */
	RX_PAYLOAD, /* into iov, or thrown away */
	RX_TRAILER,
};

struct tcp_conn {
	struct list link;  /* ep->conns, then ep->dead */
	struct hnode node; /* ep->by_sin, if known */
	struct list flush_link;
	struct tcp_ep *ep;
	int fd;
	bool closed;
	bool connecting;
	bool accepted;
	bool known;             /* HELLO has been sent or received */
	bool pollout;           /* EPOLLOUT is asked for */
	struct sockaddr_in sin; /* the listening address of the other end; valid if known */
	struct fab_peer *peer;  /* NULL: nobody has opened that address */
	struct list txq;
	uint32_t answer_nr; /* ITEM_ANSWER in it */
	struct list rmas;

	enum rx_state rx;
	uint8_t head[TCP_HEAD_LONG + TCP_HELLO];
	uint32_t head_nr; /* bytes of it read */
	struct fab_rx *msg;
	uint32_t msg_len;
	uint32_t msg_nr;
	uint64_t left; /* of the payload */
	struct iovec iov[FAB_RMA_IOV_MAX];
	uint32_t iov_nr; /* 0: throw the payload away */
	uint32_t iov_idx;
	int32_t rx_rc;        /* what the answer to WRITE will say */
	struct tcp_mr *rx_mr; /* WRITE: where it goes */
	struct list mr_link;
	struct fab_rma *rx_rma; /* DATA: whose it is */
	uint8_t trail[TCP_TRAILER];
	uint32_t trail_nr;
};

struct fab_peer {
	struct hnode node; /* ep->peers */
	struct sockaddr_in sin;
	void *arg;
	struct tcp_conn *tx; /* messages leave here, NULL = not connected */
	int probe_fd;
	bool lost;
	struct list lost_link;
};

struct tcp_net {
	struct net net;
	struct in_addr ip;
};

struct tcp_ep {
	struct fab_ep base;
	struct sockaddr_in sin;
	int listen_fd;
	struct xs_source src; /* src.fd is the epoll set */
	bool src_added;
	struct list conns; /* oldest first */
	struct list dead;  /* closed, to be freed */
	struct list flush; /* connections with something new to send */
	struct list ended; /* struct tcp_end */
	struct list lost;  /* peers */
	struct htable peers;
	struct htable by_sin; /* connections, newest first */
	struct htable mrs;
	struct htable rmas;
	uint64_t next_id;
	uint64_t next_key;
	uint32_t stranger_nr;
	bool accept_off; /* out of descriptors: the timer takes it up again */
	struct xs_timer accept_timer;
	struct fab_rx *rx; /* what bytes are read into */
	struct list rx_pool;
	uint32_t rx_pool_nr;
	struct list tx_small;
	struct list tx_large;
	uint32_t tx_small_nr;
	uint32_t tx_large_nr;
	struct list answers; /* free ITEM_ANSWER */
	uint32_t answer_nr;
};

static const uint8_t zeros[16 * 1024];

static struct tcp_ep *
tcp_ep(struct fab_ep *base)
{
	return container_of(base, struct tcp_ep, base);
}

static struct tcp_rma_priv *
rma_priv(struct fab_rma *op)
{
	return (struct tcp_rma_priv *)op->priv;
}

static struct fab_rma *
rma_of_item(struct tcp_item *item)
{
	return (struct fab_rma *)((char *)item - offsetof(struct fab_rma, priv));
}

static struct fab_tx *
tx_of_item(struct tcp_item *item)
{
	return (struct fab_tx *)((char *)item - offsetof(struct fab_tx, priv));
}

/* --- pools -------------------------------------------------------------------------------------
 */

static struct fab_rx *
rx_get(struct tcp_ep *ep)
{
	struct fab_rx *rx = list_first(&ep->rx_pool, struct fab_rx, link);

	if (rx != NULL) {
		list_del(&rx->link);
		ep->rx_pool_nr--;
	} else {
		rx = mem_alloc(sizeof(*rx));
		if (rx == NULL)
			return NULL;
		list_init(&rx->link);
	}
	rx->ref = 1;
	return rx;
}

static void
rx_put(struct tcp_ep *ep, struct fab_rx *rx)
{
	if (rx == NULL || --rx->ref > 0)
		return;
	if (ep->rx_pool_nr >= TCP_RX_KEEP) {
		free(rx);
		return;
	}
	list_push_front(&ep->rx_pool, &rx->link);
	ep->rx_pool_nr++;
}

static void
tcp_rx_hold(struct fab_ep *base, struct fab_rx *rx)
{
	rx->ref++;
}

static void
tcp_rx_put(struct fab_ep *base, struct fab_rx *rx)
{
	rx_put(tcp_ep(base), rx);
}

static struct fab_tx *
tcp_tx_alloc(struct fab_ep *base, uint32_t cap)
{
	struct tcp_ep *ep = tcp_ep(base);
	bool small = cap <= TCP_TX_SMALL;
	struct fab_tx *tx;

	assert(cap <= FAB_MSG_MAX);
	tx = list_first(small ? &ep->tx_small : &ep->tx_large, struct fab_tx, link);
	if (tx != NULL) {
		list_del(&tx->link);
		*(small ? &ep->tx_small_nr : &ep->tx_large_nr) -= 1;
		return tx;
	}
	cap = small ? TCP_TX_SMALL : FAB_MSG_MAX;
	tx = mem_alloc(sizeof(*tx) + cap);
	if (tx == NULL)
		return NULL;
	memset(tx, 0, sizeof(*tx));
	list_init(&tx->link);
	tx->buf = (uint8_t *)(tx + 1);
	tx->cap = cap;
	return tx;
}

static void
tcp_tx_free(struct fab_ep *base, struct fab_tx *tx)
{
	struct tcp_ep *ep = tcp_ep(base);
	bool small = tx->cap <= TCP_TX_SMALL;
	uint32_t *nr = small ? &ep->tx_small_nr : &ep->tx_large_nr;

	if (*nr >= (small ? TCP_TX_KEEP_SMALL : TCP_TX_KEEP_LARGE)) {
		free(tx);
		return;
	}
	++*nr;
	list_push_front(small ? &ep->tx_small : &ep->tx_large, &tx->link);
}

static void
item_init(struct tcp_item *item, enum item_kind kind)
{
	memset(item, 0, sizeof(*item));
	list_init(&item->link);
	list_init(&item->mr_link);
	item->kind = kind;
}

static struct tcp_item *
answer_get(struct tcp_ep *ep)
{
	struct tcp_item *item = list_first(&ep->answers, struct tcp_item, link);

	if (item != NULL) {
		list_del(&item->link);
		ep->answer_nr--;
	} else {
		item = mem_alloc(sizeof(*item));
		if (item == NULL)
			return NULL;
	}
	item_init(item, ITEM_ANSWER);
	return item;
}

static void
answer_put(struct tcp_ep *ep, struct tcp_item *item)
{
	list_del(&item->mr_link);
	if (ep->answer_nr >= TCP_ANSWER_KEEP) {
		free(item);
		return;
	}
	ep->answer_nr++;
	list_push_front(&ep->answers, &item->link);
}

/* --- ended operations --------------------------------------------------------------------------
 */

static void
tx_end(struct tcp_ep *ep, struct fab_tx *tx, int rc)
{
	struct tcp_end *end = &((struct tcp_tx_priv *)tx->priv)->end;

	*end = (struct tcp_end){.tx = tx, .rc = rc};
	list_push_back(&ep->ended, &end->link);
}

/* Nothing of the connection refers to it any more. */
static void
rma_detach(struct tcp_ep *ep, struct tcp_rma_priv *p)
{
	htable_remove(&ep->rmas, &p->node);
	list_del(&p->conn_link);
	list_del(&p->item.link);
	p->state = RMA_ENDED;
}

static void
rma_end(struct tcp_ep *ep, struct fab_rma *op, int rc)
{
	struct tcp_rma_priv *p = rma_priv(op);

	rma_detach(ep, p);
	p->end = (struct tcp_end){.rma = op, .rc = rc};
	list_push_back(&ep->ended, &p->end.link);
}

static uint32_t
ended_report(struct tcp_ep *ep)
{
	struct tcp_end *e, end;
	uint32_t nr = 0;

	while ((e = list_first(&ep->ended, struct tcp_end, link)) != NULL) {
		list_del(&e->link);
		end = *e; /* done() may free or reuse the operation */
		nr++;
		if (end.tx != NULL)
			end.tx->done(end.tx, end.rc);
		else
			end.rma->done(end.rma, end.rc);
	}
	return nr;
}

/* --- closing connections ------------------------------------------------------------------------
 */

static void
conn_close(struct tcp_conn *conn, bool lost)
{
	struct tcp_ep *ep = conn->ep;
	struct fab_peer *peer = conn->peer;
	struct tcp_rma_priv *p;
	struct tcp_item *item;

	if (conn->closed)
		return;
	conn->closed = true;
	close(conn->fd);
	list_del(&conn->link);
	list_push_back(&ep->dead, &conn->link);
	list_del(&conn->flush_link);
	list_del(&conn->mr_link);
	rx_put(ep, conn->msg);
	conn->msg = NULL;
	while ((p = list_first(&conn->rmas, struct tcp_rma_priv, conn_link)) != NULL)
		rma_end(ep, rma_of_item(&p->item), -DER_UNREACH);
	while ((item = list_first(&conn->txq, struct tcp_item, link)) != NULL) {
		list_del(&item->link);
		if (item->kind == ITEM_MSG)
			tx_end(ep, tx_of_item(item), -DER_UNREACH);
		else
			answer_put(ep, item);
	}
	if (conn->known)
		htable_remove(&ep->by_sin, &conn->node);
	else
		ep->stranger_nr--;
	if (peer == NULL)
		return;
	if (peer->tx == conn)
		peer->tx = NULL;
	if (lost && list_empty(&peer->lost_link))
		list_push_back(&ep->lost, &peer->lost_link);
}

static void
dead_free(struct tcp_ep *ep)
{
	struct tcp_conn *conn;

	while ((conn = list_first(&ep->dead, struct tcp_conn, link)) != NULL) {
		list_del(&conn->link);
		free(conn);
	}
}

/* The other end does not keep to the format. */
static void
conn_bad(struct tcp_conn *conn, const char *what)
{
	char ip[INET_ADDRSTRLEN] = "?";
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	if (getpeername(conn->fd, (struct sockaddr *)&sin, &len) == 0)
		inet_ntop(AF_INET, &sin.sin_addr, ip, sizeof(ip));
	log_every(1000, LOG_LVL_WARN, "connection from %s closed: %s", ip, what);
	conn_close(conn, true);
}

/* --- sending ------------------------------------------------------------------------------------
 */

static void
put32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static void
put64(uint8_t *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
}

static uint32_t
get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t
get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static void
head_put(struct tcp_item *item, enum block_type type, uint32_t len)
{
	put32(item->head, (uint32_t)type);
	put32(item->head + 4, len);
	item->head_len = TCP_HEAD;
}

static void
head_put_long(struct tcp_item *item, enum block_type type, uint32_t len, uint64_t id, uint64_t key,
	      uint64_t addr)
{
	head_put(item, type, len);
	put64(item->head + 8, id);
	put64(item->head + 16, key);
	put64(item->head + 24, addr);
	item->head_len = TCP_HEAD_LONG;
}

static void
conn_flush_later(struct tcp_conn *conn)
{
	if (list_empty(&conn->flush_link))
		list_push_back(&conn->ep->flush, &conn->flush_link);
}

static void
conn_push(struct tcp_conn *conn, struct tcp_item *item)
{
	list_push_back(&conn->txq, &item->link);
	conn_flush_later(conn);
}

/* An item of our own, out of the pool. NULL: no memory, or the other end asks and asks but does not
 * read the answers; then the connection is closed. */
static struct tcp_item *
conn_answer(struct tcp_conn *conn)
{
	struct tcp_item *item = NULL;

	if (conn->answer_nr < TCP_ANSWER_MAX)
		item = answer_get(conn->ep);
	if (item == NULL)
		conn_close(conn, true);
	else
		conn->answer_nr++;
	return item;
}

static void
conn_pollout(struct tcp_conn *conn, bool on)
{
	struct epoll_event ev = {.events = EPOLLIN | (on ? EPOLLOUT : 0), .data.ptr = conn};

	if (conn->pollout == on)
		return;
	conn->pollout = on;
	(void)epoll_ctl(conn->ep->src.fd, EPOLL_CTL_MOD, conn->fd, &ev);
}

/* The pieces of an item that have not left; returns how many. */
static uint32_t
item_gather(struct tcp_item *item, struct iovec *iov, uint32_t max)
{
	uint64_t zero_left = item->zero_left;
	uint32_t nr = 0;
	uint32_t i;
	size_t n;

	if (item->head_off < item->head_len)
		iov[nr++] = (struct iovec){.iov_base = item->head + item->head_off,
					   .iov_len = item->head_len - item->head_off};
	for (i = item->iov_idx; i < item->iov_nr && nr < max; i++)
		iov[nr++] = item->iov[i];
	for (; zero_left > 0 && nr < max; zero_left -= n) {
		n = zero_left < sizeof(zeros) ? zero_left : sizeof(zeros);
		iov[nr++] = (struct iovec){.iov_base = (void *)zeros, .iov_len = n};
	}
	if (i == item->iov_nr && zero_left == 0 && item->trail_off < item->trail_len && nr < max)
		iov[nr++] = (struct iovec){.iov_base = item->trail + item->trail_off,
					   .iov_len = item->trail_len - item->trail_off};
	return nr;
}

static size_t
take(size_t *n, size_t max)
{
	size_t m = *n < max ? *n : max;

	*n -= m;
	return m;
}

/* n bytes of the queue have left, some of them of this item. True when it is complete. */
static bool
item_advance(struct tcp_item *item, size_t *n)
{
	struct iovec *v;
	size_t m;

	if (*n > 0)
		item->started = true;
	item->head_off += (uint8_t)take(n, item->head_len - item->head_off);
	while (item->iov_idx < item->iov_nr) {
		v = &item->iov[item->iov_idx];
		m = take(n, v->iov_len);
		v->iov_base = (uint8_t *)v->iov_base + m;
		v->iov_len -= m;
		if (v->iov_len > 0)
			return false;
		item->iov_idx++;
	}
	item->zero_left -= take(n, item->zero_left);
	if (item->zero_left > 0)
		return false;
	item->trail_off += (uint8_t)take(n, item->trail_len - item->trail_off);
	return item->head_off == item->head_len && item->trail_off == item->trail_len;
}

static void
item_sent(struct tcp_conn *conn, struct tcp_item *item)
{
	list_del(&item->link);
	switch (item->kind) {
	case ITEM_MSG:
		tx_end(conn->ep, tx_of_item(item), 0);
		break;
	case ITEM_RMA:
		((struct tcp_rma_priv *)item)->state = RMA_WAITING;
		break;
	case ITEM_ANSWER:
		conn->answer_nr--;
		answer_put(conn->ep, item);
		break;
	}
}

static void
conn_flush(struct tcp_conn *conn)
{
	struct iovec iov[TCP_TX_IOV];
	struct msghdr msg = {.msg_iov = iov};
	struct tcp_item *item;
	struct list *pos;
	size_t total = 0;
	ssize_t sent;
	size_t n;

	list_del(&conn->flush_link);
	if (conn->connecting)
		return;
	while (!list_empty(&conn->txq)) {
		if (total >= TCP_TURN) {
			conn_flush_later(conn);
			return;
		}
		msg.msg_iovlen = 0;
		list_for_each (pos, &conn->txq) {
			item = list_entry(pos, struct tcp_item, link);
			if (msg.msg_iovlen + FAB_RMA_IOV_MAX + 2 > TCP_TX_IOV)
				break;
			msg.msg_iovlen += item_gather(item, iov + msg.msg_iovlen,
						      TCP_TX_IOV - (uint32_t)msg.msg_iovlen);
		}
		sent = sendmsg(conn->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0) {
			if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
				conn_pollout(conn, true);
			else
				conn_close(conn, true);
			return;
		}
		n = (size_t)sent;
		total += n;
		while ((item = list_first(&conn->txq, struct tcp_item, link)) != NULL) {
			if (!item_advance(item, &n))
				break;
			item_sent(conn, item);
		}
	}
	conn_pollout(conn, false);
}

/* --- connecting ---------------------------------------------------------------------------------
 */

static uint64_t
sin_hash(const struct sockaddr_in *sin)
{
	return hash_u64((uint64_t)sin->sin_addr.s_addr << 16 | sin->sin_port);
}

static void
socket_tune(int fd)
{
	int idle = TCP_KEEPALIVE_S, every = 10, nr = 3, one = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &nr, sizeof(nr));
}

/* Within a host there is nothing to be polite to: congestion control that paces (BBR) costs a third
 * of the throughput there. */
static void
socket_tune_local(const struct tcp_ep *ep, int fd, const struct sockaddr_in *there)
{
	if (there->sin_addr.s_addr == ep->sin.sin_addr.s_addr)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}

/* Takes over fd. */
static struct tcp_conn *
conn_new(struct tcp_ep *ep, int fd, bool accepted)
{
	struct tcp_conn *conn = mem_new(struct tcp_conn);
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = conn};

	if (conn == NULL || epoll_ctl(ep->src.fd, EPOLL_CTL_ADD, fd, &ev) != 0) {
		free(conn);
		close(fd);
		return NULL;
	}
	conn->ep = ep;
	conn->fd = fd;
	conn->accepted = accepted;
	list_init(&conn->flush_link);
	list_init(&conn->mr_link);
	list_init(&conn->txq);
	list_init(&conn->rmas);
	list_push_back(&ep->conns, &conn->link);
	ep->stranger_nr++;
	return conn;
}

static struct fab_peer *
peer_find(const struct tcp_ep *ep, const struct sockaddr_in *sin)
{
	struct fab_peer *peer;
	struct hnode *n;

	for (n = htable_first(&ep->peers, sin_hash(sin)); n != NULL; n = htable_next(n)) {
		peer = container_of(n, struct fab_peer, node);
		if (ip_same(&peer->sin, sin))
			return peer;
	}
	return NULL;
}

/* It is known now who is at the other end. */
static void
conn_identify(struct tcp_conn *conn, const struct sockaddr_in *sin)
{
	struct tcp_ep *ep = conn->ep;
	struct tcp_conn *old;
	struct hnode *n, *next;

	/* Who connects again has lost its earlier connection, perhaps with its life. */
	for (n = htable_first(&ep->by_sin, sin_hash(sin)); conn->accepted && n != NULL; n = next) {
		next = htable_next(n);
		old = container_of(n, struct tcp_conn, node);
		if (old->accepted && ip_same(&old->sin, sin))
			conn_close(old, true);
	}
	conn->sin = *sin;
	conn->known = true;
	ep->stranger_nr--;
	htable_insert(&ep->by_sin, &conn->node, sin_hash(sin));
	conn->peer = peer_find(ep, sin);
	if (conn->peer != NULL && conn->peer->tx == NULL)
		conn->peer->tx = conn;
}

static int
hello_push(struct tcp_conn *conn)
{
	struct tcp_item *item = conn_answer(conn);

	if (item == NULL)
		return -DER_NOMEM;
	head_put(item, BLOCK_HELLO, TCP_HELLO);
	put64(item->head + 8, TCP_MAGIC);
	put32(item->head + 16, ntohs(conn->ep->sin.sin_port) | (uint32_t)TCP_VERSION << 16);
	put32(item->head + 20, 0);
	item->head_len = TCP_HEAD + TCP_HELLO;
	conn_push(conn, item);
	return 0;
}

static int
connect_err(int err)
{
	switch (err) {
	case ECONNREFUSED:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ETIMEDOUT:
	case ECONNRESET:
	case EADDRNOTAVAIL: /* no local port left, or a connection to itself */
		return -DER_UNREACH;
	default:
		return err_from_errno(err);
	}
}

/* Socket, bound to our interface and on its way to the peer. */
static int
socket_connect(const struct tcp_ep *ep, const struct sockaddr_in *to, int *ret_fd,
	       bool *ret_connecting)
{
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr = ep->sin.sin_addr};
	int one = 1;
	int rc = 0;
	int fd;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_from_errno(errno);
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	socket_tune(fd);
	socket_tune_local(ep, fd, to);
	*ret_connecting = false;
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0 ||
	    connect(fd, (const struct sockaddr *)to, sizeof(*to)) != 0) {
		*ret_connecting = errno == EINPROGRESS;
		rc = *ret_connecting ? 0 : connect_err(errno);
	}
	if (rc != 0)
		close(fd);
	*ret_fd = fd;
	return rc;
}

/* The connection messages to the peer leave on, made if there is none. */
static int
peer_conn(struct tcp_ep *ep, struct fab_peer *peer, struct tcp_conn **ret_conn)
{
	struct tcp_conn *conn;
	struct hnode *n;
	bool connecting = false;
	int fd = -1;
	int rc;

	for (n = htable_first(&ep->by_sin, sin_hash(&peer->sin)); peer->tx == NULL && n != NULL;
	     n = htable_next(n)) {
		conn = container_of(n, struct tcp_conn, node);
		if (ip_same(&conn->sin, &peer->sin))
			peer->tx = conn;
	}
	*ret_conn = peer->tx;
	if (peer->tx != NULL)
		return 0;
	rc = socket_connect(ep, &peer->sin, &fd, &connecting);
	if (rc != 0)
		return rc;
	conn = conn_new(ep, fd, false);
	if (conn == NULL)
		return -DER_NOMEM;
	conn_identify(conn, &peer->sin);
	rc = hello_push(conn);
	if (rc != 0)
		return rc;
	conn->connecting = connecting;
	conn_pollout(conn, connecting);
	*ret_conn = conn;
	return 0;
}

static void
conn_connected(struct tcp_conn *conn)
{
	socklen_t len = sizeof(int);
	int err = 0;

	(void)getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err != 0) {
		conn_close(conn, true);
		return;
	}
	conn->connecting = false;
	conn_flush(conn);
}

/* --- accepting ----------------------------------------------------------------------------------
 */

static void
listen_watch(struct tcp_ep *ep, bool on)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};

	(void)epoll_ctl(ep->src.fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, ep->listen_fd, &ev);
	ep->accept_off = !on;
}

static void
accept_again(struct xs_timer *t)
{
	listen_watch(t->arg, true);
}

/* Make room among those that never said who they are. */
static void
strangers_trim(struct tcp_ep *ep)
{
	struct tcp_conn *conn;
	struct list *pos;

	if (ep->stranger_nr < TCP_STRANGERS)
		return;
	list_for_each (pos, &ep->conns) {
		conn = list_entry(pos, struct tcp_conn, link);
		if (!conn->known) {
			conn_close(conn, false);
			return;
		}
	}
}

static uint32_t
ep_accept(struct tcp_ep *ep)
{
	uint32_t nr;
	int fd;

	for (nr = 0; nr < TCP_EVENTS; nr++) {
		fd = accept4(ep->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == ECONNABORTED || errno == EINTR)
				continue;
			if (errno != EAGAIN) {
				/* Out of descriptors or memory: look again in a while. */
				log_every(10000, LOG_LVL_ERR, "accept: %s", strerror(errno));
				listen_watch(ep, false);
				xs_timer_arm(ep->base.xs, &ep->accept_timer,
					     xs_now_ns(ep->base.xs) + 100000000);
			}
			break;
		}
		socket_tune(fd);
		strangers_trim(ep);
		(void)conn_new(ep, fd, true);
	}
	return nr;
}

/* --- transfers, this side's ---------------------------------------------------------------------
 */

static struct fab_rma *
rma_find(struct tcp_conn *conn, uint64_t id)
{
	struct tcp_rma_priv *p;
	struct hnode *n;

	for (n = htable_first(&conn->ep->rmas, hash_u64(id)); n != NULL; n = htable_next(n)) {
		p = container_of(n, struct tcp_rma_priv, node);
		if (p->id == id && p->conn == conn && p->state == RMA_WAITING)
			return rma_of_item(&p->item);
	}
	return NULL;
}

static int
tcp_rma(struct fab_ep *base, struct fab_peer *peer, struct fab_rma *op)
{
	uint64_t len = iov_total(op->iov, (int)op->iov_nr);
	struct tcp_rma_priv *p = rma_priv(op);
	struct tcp_ep *ep = tcp_ep(base);
	struct tcp_conn *conn;
	int rc;

	if (len == 0 || len > TCP_RMA_MAX)
		return -DER_INVAL;
	rc = peer_conn(ep, peer, &conn);
	if (rc != 0)
		return rc;
	item_init(&p->item, ITEM_RMA);
	p->id = ++ep->next_id;
	p->conn = conn;
	p->state = RMA_QUEUED;
	if (op->put) {
		head_put_long(&p->item, BLOCK_WRITE, (uint32_t)len, p->id, op->key, op->addr);
		memcpy(p->item.iov, op->iov, op->iov_nr * sizeof(op->iov[0]));
		p->item.iov_nr = (uint8_t)op->iov_nr;
		p->item.trail_len = TCP_TRAILER;
	} else {
		head_put_long(&p->item, BLOCK_READ, TCP_WANT, p->id, op->key, op->addr);
		put32(p->item.head + TCP_HEAD_LONG, (uint32_t)len);
		put32(p->item.head + TCP_HEAD_LONG + 4, 0);
		p->item.head_len = TCP_HEAD_LONG + TCP_WANT;
	}
	htable_insert(&ep->rmas, &p->node, hash_u64(p->id));
	list_push_back(&conn->rmas, &p->conn_link);
	conn_push(conn, &p->item);
	return 0;
}

/* Replace what has not left of the payload by zeros, and say so behind it. */
static void
item_void(struct tcp_item *item)
{
	uint8_t i;

	for (i = item->iov_idx; i < item->iov_nr; i++)
		item->zero_left += item->iov[i].iov_len;
	item->iov_nr = 0;
	item->iov_idx = 0;
	if (item->trail_off == 0)
		item->trail[0] = 1;
}

static int
tcp_rma_cancel(struct fab_ep *base, struct fab_rma *op)
{
	struct tcp_rma_priv *p = rma_priv(op);
	struct tcp_conn *conn = p->conn;
	struct tcp_ep *ep = tcp_ep(base);
	struct tcp_item *rest;

	switch (p->state) {
	case RMA_ENDED:
		list_del(&p->end.link);
		return 0;
	case RMA_QUEUED:
		if (!p->item.started)
			break;
		/* The rest must be sent, or the connection is lost. */
		rest = conn_answer(conn);
		if (rest == NULL) {
			list_del(&p->end.link);
			return 0;
		}
		*rest = p->item;
		rest->kind = ITEM_ANSWER;
		list_init(&rest->mr_link);
		list_insert_between(&rest->link, p->item.link.prev, &p->item.link);
		item_void(rest);
		break;
	case RMA_WAITING:
		break; /* its answer will find nobody */
	case RMA_ARRIVING:
		conn->iov_nr = 0;
		conn->rx_rma = NULL;
		break;
	}
	rma_detach(ep, p);
	return 0;
}

/* --- transfers, the other side's ----------------------------------------------------------------
 */

static int
tcp_mr_open(struct fab_ep *base, void *buf, size_t len, uint32_t access, struct fab_mr **ret_mr)
{
	struct tcp_ep *ep = tcp_ep(base);
	struct tcp_mr *mr = mem_new(struct tcp_mr);

	if (mr == NULL)
		return -DER_NOMEM;
	/* Never used twice, and not to be guessed from one another. */
	mr->mr.key = hash_u64(ep->next_key++);
	mr->buf = buf;
	mr->len = len;
	mr->access = access;
	list_init(&mr->items);
	list_init(&mr->conns);
	htable_insert(&ep->mrs, &mr->node, hash_u64(mr->mr.key));
	*ret_mr = &mr->mr;
	return 0;
}

static void
tcp_mr_close(struct fab_ep *base, struct fab_mr *fmr)
{
	struct tcp_mr *mr = container_of(fmr, struct tcp_mr, mr);
	struct tcp_item *item;
	struct tcp_conn *conn;

	while ((item = list_first(&mr->items, struct tcp_item, mr_link)) != NULL) {
		list_del(&item->mr_link);
		item_void(item);
	}
	while ((conn = list_first(&mr->conns, struct tcp_conn, mr_link)) != NULL) {
		list_del(&conn->mr_link);
		conn->iov_nr = 0;
		conn->rx_mr = NULL;
		conn->rx_rc = -DER_CANCELED;
	}
	htable_remove(&tcp_ep(base)->mrs, &mr->node);
	free(mr);
}

/* The registration that allows this, or NULL. */
static struct tcp_mr *
mr_find(const struct tcp_ep *ep, uint64_t key, uint64_t addr, uint64_t len, uint32_t access)
{
	struct tcp_mr *mr;
	struct hnode *n;

	for (n = htable_first(&ep->mrs, hash_u64(key)); n != NULL; n = htable_next(n)) {
		mr = container_of(n, struct tcp_mr, node);
		if (mr->mr.key == key)
			return (mr->access & access) != 0 && addr <= mr->len &&
				       len <= mr->len - addr
				   ? mr
				   : NULL;
	}
	return NULL;
}

static void
read_serve(struct tcp_conn *conn, uint64_t id, uint64_t key, uint64_t addr, uint32_t want)
{
	struct tcp_mr *mr = mr_find(conn->ep, key, addr, want, FAB_REMOTE_READ);
	struct tcp_item *item = conn_answer(conn);

	if (item == NULL)
		return;
	if (mr == NULL) {
		head_put_long(item, BLOCK_DATA, 0, id, (uint64_t)DER_CANCELED, 0);
	} else {
		head_put_long(item, BLOCK_DATA, want, id, 0, 0);
		item->iov[0] = (struct iovec){.iov_base = mr->buf + addr, .iov_len = want};
		item->iov_nr = 1;
		item->trail_len = TCP_TRAILER;
		list_push_back(&mr->items, &item->mr_link);
	}
	conn_push(conn, item);
}

static void
write_answer(struct tcp_conn *conn, uint64_t id, int rc)
{
	struct tcp_item *item = conn_answer(conn);

	if (item == NULL)
		return;
	head_put_long(item, BLOCK_DONE, 0, id, (uint64_t)-rc, 0);
	conn_push(conn, item);
}

/* --- receiving ----------------------------------------------------------------------------------
 */

static void
rx_head_next(struct tcp_conn *conn)
{
	conn->rx = RX_HEAD;
	conn->head_nr = 0;
}

static void
hello_take(struct tcp_conn *conn)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	uint32_t word = get32(conn->head + 16);

	if (conn->known || get64(conn->head + 8) != TCP_MAGIC || word >> 16 != TCP_VERSION ||
	    (word & 0xffff) == 0 || get32(conn->head + 20) != 0 ||
	    getpeername(conn->fd, (struct sockaddr *)&sin, &len) != 0) {
		conn_bad(conn, "not one of ours");
		return;
	}
	sin.sin_port = htons((uint16_t)word);
	socket_tune_local(conn->ep, conn->fd, &sin);
	conn_identify(conn, &sin);
	rx_head_next(conn);
}

static void
data_begin(struct tcp_conn *conn, uint32_t len)
{
	struct fab_rma *op = rma_find(conn, get64(conn->head + 8));
	uint64_t status = get64(conn->head + 16);

	if (op != NULL && op->put)
		op = NULL;
	if ((status != 0) != (len == 0)) {
		conn_bad(conn, "answer with both status and data");
		return;
	}
	if (op != NULL && len != 0 && len != iov_total(op->iov, (int)op->iov_nr)) {
		conn_bad(conn, "answer of another length");
		return;
	}
	if (len == 0) {
		if (op != NULL)
			rma_end(conn->ep, op, -DER_CANCELED);
		rx_head_next(conn);
		return;
	}
	conn->rx = RX_PAYLOAD;
	conn->left = len;
	conn->iov_idx = 0;
	conn->iov_nr = 0;
	conn->rx_rma = op;
	if (op == NULL)
		return;
	rma_priv(op)->state = RMA_ARRIVING;
	memcpy(conn->iov, op->iov, op->iov_nr * sizeof(op->iov[0]));
	conn->iov_nr = op->iov_nr;
}

static void
write_begin(struct tcp_conn *conn, uint32_t len)
{
	struct tcp_mr *mr;

	mr = mr_find(conn->ep, get64(conn->head + 16), get64(conn->head + 24), len,
		     FAB_REMOTE_WRITE);
	conn->rx = RX_PAYLOAD;
	conn->left = len;
	conn->iov_idx = 0;
	conn->iov_nr = 0;
	conn->rx_mr = mr;
	conn->rx_rc = mr != NULL ? 0 : -DER_CANCELED;
	if (mr == NULL)
		return;
	conn->iov[0] = (struct iovec){.iov_base = mr->buf + get64(conn->head + 24), .iov_len = len};
	conn->iov_nr = 1;
	list_push_back(&mr->conns, &conn->mr_link);
}

static void
done_take(struct tcp_conn *conn)
{
	struct fab_rma *op = rma_find(conn, get64(conn->head + 8));

	if (op != NULL && op->put)
		rma_end(conn->ep, op, get64(conn->head + 16) == 0 ? 0 : -DER_CANCELED);
	rx_head_next(conn);
}

/* Length of the fixed part of a block, 0 if there is no such block. */
static uint32_t
head_len(const uint8_t *head)
{
	uint32_t len = get32(head + 4);

	switch (get32(head)) {
	case BLOCK_HELLO:
		return len == TCP_HELLO ? TCP_HEAD + TCP_HELLO : 0;
	case BLOCK_MSG:
		return len > 0 && len <= FAB_MSG_MAX ? TCP_HEAD : 0;
	case BLOCK_READ:
		return len == TCP_WANT ? TCP_HEAD_LONG + TCP_WANT : 0;
	case BLOCK_DATA:
		return len <= TCP_RMA_MAX ? TCP_HEAD_LONG : 0;
	case BLOCK_WRITE:
		return len > 0 && len <= TCP_RMA_MAX ? TCP_HEAD_LONG : 0;
	case BLOCK_DONE:
		return len == 0 ? TCP_HEAD_LONG : 0;
	default:
		return 0;
	}
}

/* The fixed part of a block is complete. */
static void
head_take(struct tcp_conn *conn)
{
	uint32_t type = get32(conn->head);
	uint32_t len = get32(conn->head + 4);
	uint32_t want;

	if (!conn->known && type != BLOCK_HELLO) {
		conn_bad(conn, "no introduction");
		return;
	}
	switch (type) {
	case BLOCK_HELLO:
		hello_take(conn);
		break;
	case BLOCK_MSG:
		conn->rx = RX_MSG;
		conn->msg_len = len;
		conn->msg_nr = 0;
		break;
	case BLOCK_READ:
		want = get32(conn->head + TCP_HEAD_LONG);
		if (want == 0 || want > TCP_RMA_MAX || get32(conn->head + TCP_HEAD_LONG + 4) != 0) {
			conn_bad(conn, "request for too much");
			return;
		}
		rx_head_next(conn);
		read_serve(conn, get64(conn->head + 8), get64(conn->head + 16),
			   get64(conn->head + 24), want);
		break;
	case BLOCK_DATA:
		data_begin(conn, len);
		break;
	case BLOCK_WRITE:
		write_begin(conn, len);
		break;
	default:
		done_take(conn);
		break;
	}
}

/* What of the fixed part is in p; returns the bytes used. */
static size_t
head_read(struct tcp_conn *conn, const uint8_t *p, size_t n)
{
	uint32_t need = conn->head_nr < TCP_HEAD ? TCP_HEAD : head_len(conn->head);
	size_t m = n < need - conn->head_nr ? n : need - conn->head_nr;

	memcpy(conn->head + conn->head_nr, p, m);
	conn->head_nr += (uint32_t)m;
	if (conn->head_nr < need)
		return m;
	need = head_len(conn->head);
	if (need == 0)
		conn_bad(conn, "unknown block");
	else if (conn->head_nr == need)
		head_take(conn);
	return m;
}

static void
msg_deliver(struct tcp_conn *conn, struct fab_rx *rx, const uint8_t *msg, uint32_t len)
{
	struct fab_ep *base = &conn->ep->base;

	rx_head_next(conn);
	base->events->recv(base->arg, rx, msg, len);
}

static void
msg_complete(struct tcp_conn *conn)
{
	struct tcp_ep *ep = conn->ep;
	struct fab_rx *rx = conn->msg;

	conn->msg = NULL;
	msg_deliver(conn, rx, rx->bytes, conn->msg_len);
	rx_put(ep, rx);
}

/* A message in the block, or a part of one. */
static size_t
msg_read(struct tcp_conn *conn, const uint8_t *p, size_t n)
{
	size_t m = n < conn->msg_len - conn->msg_nr ? n : conn->msg_len - conn->msg_nr;

	if (conn->msg == NULL && m == conn->msg_len) {
		msg_deliver(conn, conn->ep->rx, p, conn->msg_len);
		return m;
	}
	if (conn->msg == NULL)
		conn->msg = rx_get(conn->ep);
	if (conn->msg == NULL) {
		conn_close(conn, true);
		return m;
	}
	memcpy(conn->msg->bytes + conn->msg_nr, p, m);
	conn->msg_nr += (uint32_t)m;
	if (conn->msg_nr == conn->msg_len)
		msg_complete(conn);
	return m;
}

/* n bytes of the payload have been dealt with. */
static void
payload_advance(struct tcp_conn *conn, size_t n)
{
	struct iovec *v;
	size_t m;

	conn->left -= n;
	while (n > 0 && conn->iov_idx < conn->iov_nr) {
		v = &conn->iov[conn->iov_idx];
		m = take(&n, v->iov_len);
		v->iov_base = (uint8_t *)v->iov_base + m;
		v->iov_len -= m;
		if (v->iov_len == 0)
			conn->iov_idx++;
	}
	if (conn->left > 0)
		return;
	conn->rx = RX_TRAILER;
	conn->trail_nr = 0;
}

static size_t
payload_read(struct tcp_conn *conn, const uint8_t *p, size_t n)
{
	size_t m = n < conn->left ? n : conn->left;

	if (conn->iov_idx < conn->iov_nr)
		iov_from_buf(conn->iov + conn->iov_idx, (int)(conn->iov_nr - conn->iov_idx), 0, p,
			     m);
	payload_advance(conn, m);
	return m;
}

static void
trailer_take(struct tcp_conn *conn)
{
	bool is_void = get64(conn->trail) != 0;
	uint64_t id = get64(conn->head + 8);
	struct fab_rma *op = conn->rx_rma;

	rx_head_next(conn);
	if (get32(conn->head) == BLOCK_DATA) {
		conn->rx_rma = NULL;
		if (op != NULL)
			rma_end(conn->ep, op, is_void ? -DER_CANCELED : 0);
		return;
	}
	list_del(&conn->mr_link);
	conn->rx_mr = NULL;
	if (!is_void)
		write_answer(conn, id, conn->rx_rc);
}

static size_t
trailer_read(struct tcp_conn *conn, const uint8_t *p, size_t n)
{
	size_t m = n < TCP_TRAILER - conn->trail_nr ? n : TCP_TRAILER - conn->trail_nr;

	memcpy(conn->trail + conn->trail_nr, p, m);
	conn->trail_nr += (uint32_t)m;
	if (conn->trail_nr == TCP_TRAILER)
		trailer_take(conn);
	return m;
}

/* Take bytes apart. */
static void
conn_parse(struct tcp_conn *conn, const uint8_t *p, size_t n)
{
	size_t m = 0;

	while (n > 0 && !conn->closed) {
		switch (conn->rx) {
		case RX_HEAD:
			m = head_read(conn, p, n);
			break;
		case RX_MSG:
			m = msg_read(conn, p, n);
			break;
		case RX_PAYLOAD:
			m = payload_read(conn, p, n);
			break;
		case RX_TRAILER:
			m = trailer_read(conn, p, n);
			break;
		}
		p += m;
		n -= m;
	}
}

/* Where the next bytes go without passing through the block; what follows them goes into it. */
static uint32_t
rx_gather(struct tcp_conn *conn, struct iovec *iov, size_t *ret_direct)
{
	uint32_t nr = 0;
	uint32_t i;

	*ret_direct = 0;
	if (conn->rx == RX_MSG && conn->msg != NULL)
		iov[nr++] = (struct iovec){.iov_base = conn->msg->bytes + conn->msg_nr,
					   .iov_len = conn->msg_len - conn->msg_nr};
	for (i = conn->iov_idx; conn->rx == RX_PAYLOAD && i < conn->iov_nr; i++)
		iov[nr++] = conn->iov[i];
	for (i = 0; i < nr; i++)
		*ret_direct += iov[i].iov_len;
	iov[nr++] = (struct iovec){.iov_base = conn->ep->rx->bytes, .iov_len = TCP_RX_READ};
	return nr;
}

static void
direct_advance(struct tcp_conn *conn, size_t n)
{
	if (n == 0)
		return;
	if (conn->rx == RX_PAYLOAD) {
		payload_advance(conn, n);
		return;
	}
	conn->msg_nr += (uint32_t)n;
	if (conn->msg_nr == conn->msg_len)
		msg_complete(conn);
}

/* The block is fresh unless the owner kept a message in it. */
static bool
block_ready(struct tcp_ep *ep)
{
	if (ep->rx != NULL && ep->rx->ref > 1) {
		rx_put(ep, ep->rx);
		ep->rx = NULL;
	}
	if (ep->rx == NULL)
		ep->rx = rx_get(ep);
	return ep->rx != NULL;
}

/* Read what there is, within bounds; returns the number of reads that brought something. */
static uint32_t
conn_read(struct tcp_conn *conn)
{
	struct iovec iov[FAB_RMA_IOV_MAX + 1];
	size_t direct, n, total = 0;
	uint32_t nr, reads = 0;
	ssize_t got;

	while (total < TCP_TURN && !conn->closed && block_ready(conn->ep)) {
		nr = rx_gather(conn, iov, &direct);
		got = nr == 1 ? recv(conn->fd, iov[0].iov_base, iov[0].iov_len, 0)
			      : readv(conn->fd, iov, (int)nr);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			break;
		reads++;
		if (got <= 0) {
			conn_close(conn, true);
			break;
		}
		n = (size_t)got < direct ? (size_t)got : direct;
		direct_advance(conn, n);
		if (!conn->closed)
			conn_parse(conn, conn->ep->rx->bytes, (size_t)got - n);
		total += (size_t)got;
		/* Less than asked for: there is no more at present. */
		if ((size_t)got < direct + TCP_RX_READ)
			break;
	}
	return reads;
}

/* --- the loop's side ----------------------------------------------------------------------------
 */

static uint32_t
lost_report(struct tcp_ep *ep)
{
	struct fab_peer *peer;
	uint32_t nr = 0;

	while ((peer = list_first(&ep->lost, struct fab_peer, lost_link)) != NULL) {
		list_del(&peer->lost_link);
		ep->base.events->lost(ep->base.arg, peer->arg);
		nr++;
	}
	return nr;
}

static uint32_t
ep_flush(struct tcp_ep *ep)
{
	struct tcp_conn *conn;
	struct list todo; /* one that is not finished comes again at the next poll */
	uint32_t nr = 0;

	list_init(&todo);
	list_splice_back(&todo, &ep->flush);
	while ((conn = list_first(&todo, struct tcp_conn, flush_link)) != NULL) {
		conn_flush(conn);
		nr++;
	}
	return nr;
}

static uint32_t
conn_event(struct tcp_conn *conn, uint32_t events)
{
	uint32_t nr = 0;

	if (conn->closed)
		return 0;
	if (conn->connecting) {
		if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0)
			conn_connected(conn);
		return 1;
	}
	if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0)
		nr += conn_read(conn);
	if ((events & EPOLLOUT) != 0 && !conn->closed) {
		conn_flush(conn);
		nr++;
	}
	return nr;
}

static uint32_t
tcp_poll(struct xs_source *src)
{
	struct epoll_event events[TCP_EVENTS];
	struct tcp_ep *ep = src->arg;
	uint32_t nr;
	int i, n;

	nr = ep_flush(ep);
	nr += ended_report(ep);
	n = epoll_wait(src->fd, events, TCP_EVENTS, 0);
	for (i = 0; i < n; i++) {
		if (events[i].data.ptr == NULL)
			nr += ep_accept(ep);
		else
			nr += conn_event(events[i].data.ptr, events[i].events);
	}
	nr += ep_flush(ep);
	nr += ended_report(ep);
	nr += lost_report(ep);
	dead_free(ep);
	return nr;
}

static bool
tcp_prepare_sleep(struct xs_source *src)
{
	struct tcp_ep *ep = src->arg;

	return list_empty(&ep->ended) && list_empty(&ep->flush) && list_empty(&ep->lost);
}

/* --- peers and messages -------------------------------------------------------------------------
 */

static int
tcp_send(struct fab_ep *base, struct fab_peer *peer, struct fab_tx *tx)
{
	struct tcp_item *item = &((struct tcp_tx_priv *)tx->priv)->item;
	struct tcp_ep *ep = tcp_ep(base);
	struct tcp_conn *conn;
	int rc;

	rc = peer_conn(ep, peer, &conn);
	if (rc != 0)
		return rc;
	item_init(item, ITEM_MSG);
	head_put(item, BLOCK_MSG, tx->len);
	item->iov[0] = (struct iovec){.iov_base = tx->buf, .iov_len = tx->len};
	item->iov_nr = 1;
	conn_push(conn, item);
	/* The owner has gathered already: no reason to wait. */
	conn_flush(conn);
	return 0;
}

static int
tcp_peer_open(struct fab_ep *base, const char *uri, void *peer_arg, struct fab_peer **ret_peer)
{
	struct tcp_ep *ep = tcp_ep(base);
	const char *addr = strstr(uri, "://");
	struct fab_peer *peer;
	struct tcp_conn *conn;
	struct sockaddr_in sin;
	struct hnode *n;

	if (addr == NULL || ip_parse(addr + 3, &sin) != 0)
		return -DER_INVAL;
	peer = mem_new(struct fab_peer);
	if (peer == NULL)
		return -DER_NOMEM;
	peer->sin = sin;
	peer->arg = peer_arg;
	peer->probe_fd = -1;
	list_init(&peer->lost_link);
	htable_insert(&ep->peers, &peer->node, sin_hash(&sin));
	/* It may have come to us first. */
	for (n = htable_first(&ep->by_sin, sin_hash(&sin)); n != NULL; n = htable_next(n)) {
		conn = container_of(n, struct tcp_conn, node);
		if (!ip_same(&conn->sin, &sin))
			continue;
		conn->peer = peer;
		if (peer->tx == NULL)
			peer->tx = conn;
	}
	*ret_peer = peer;
	return 0;
}

static void
peer_conns_close(struct tcp_ep *ep, struct fab_peer *peer)
{
	struct tcp_conn *conn;
	struct hnode *n, *next;

	for (n = htable_first(&ep->by_sin, sin_hash(&peer->sin)); n != NULL; n = next) {
		next = htable_next(n);
		conn = container_of(n, struct tcp_conn, node);
		if (ip_same(&conn->sin, &peer->sin))
			conn_close(conn, false);
	}
}

static void
tcp_peer_close(struct fab_ep *base, struct fab_peer *peer)
{
	struct tcp_ep *ep = tcp_ep(base);

	peer_conns_close(ep, peer);
	htable_remove(&ep->peers, &peer->node);
	list_del(&peer->lost_link);
	close_fdp(&peer->probe_fd);
	free(peer);
}

static int
tcp_peer_reset(struct fab_ep *base, struct fab_peer *peer)
{
	peer_conns_close(tcp_ep(base), peer);
	return 0;
}

static int
tcp_peer_probe(struct fab_ep *base, struct fab_peer *peer)
{
	return ip_probe(&peer->sin, &peer->probe_fd);
}

/* --- opening and closing ------------------------------------------------------------------------
 */

static void
list_free_items(struct list *head)
{
	struct tcp_item *item;

	while ((item = list_first(head, struct tcp_item, link)) != NULL) {
		list_del(&item->link);
		free(item);
	}
}

static void
list_free_tx(struct list *head)
{
	struct fab_tx *tx;

	while ((tx = list_first(head, struct fab_tx, link)) != NULL) {
		list_del(&tx->link);
		free(tx);
	}
}

static void
ep_free(struct tcp_ep *ep)
{
	struct fab_rx *rx;
	struct tcp_end *end;

	while ((end = list_first(&ep->ended, struct tcp_end, link)) != NULL) {
		list_del(&end->link);
		if (end->tx != NULL)
			free(end->tx);
	}
	dead_free(ep);
	list_free_tx(&ep->tx_small);
	list_free_tx(&ep->tx_large);
	list_free_items(&ep->answers);
	rx_put(ep, ep->rx);
	while ((rx = list_first(&ep->rx_pool, struct fab_rx, link)) != NULL) {
		list_del(&rx->link);
		free(rx);
	}
	htable_fini(&ep->peers);
	htable_fini(&ep->by_sin);
	htable_fini(&ep->mrs);
	htable_fini(&ep->rmas);
	free(ep);
}

static void
tcp_ep_close(struct fab_ep *base)
{
	struct tcp_ep *ep = tcp_ep(base);
	struct tcp_conn *conn;

	if (ep->src_added)
		xs_source_del(base->xs, &ep->src);
	xs_timer_cancel(&ep->accept_timer);
	/* In the child of a fork these close only its own copies of the descriptors. */
	while ((conn = list_first(&ep->conns, struct tcp_conn, link)) != NULL)
		conn_close(conn, false);
	close_fdp(&ep->listen_fd);
	close_fdp(&ep->src.fd);
	ep_free(ep);
}

static const struct fab_ops tcp_ops = {
    .ep_close = tcp_ep_close,
    .peer_open = tcp_peer_open,
    .peer_close = tcp_peer_close,
    .peer_probe = tcp_peer_probe,
    .peer_reset = tcp_peer_reset,
    .tx_alloc = tcp_tx_alloc,
    .tx_free = tcp_tx_free,
    .send = tcp_send,
    .rx_hold = tcp_rx_hold,
    .rx_put = tcp_rx_put,
    .mr_open = tcp_mr_open,
    .mr_close = tcp_mr_close,
    .rma = tcp_rma,
    .rma_cancel = tcp_rma_cancel,
};

static int
ep_listen(struct tcp_ep *ep, struct in_addr ip, uint16_t port)
{
	socklen_t len = sizeof(ep->sin);
	int one = 1;

	ep->src.fd = epoll_create1(EPOLL_CLOEXEC);
	ep->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (ep->src.fd < 0 || ep->listen_fd < 0)
		return err_from_errno(errno);
	ep->sin =
	    (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = ip, .sin_port = htons(port)};
	(void)setsockopt(ep->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(ep->listen_fd, (struct sockaddr *)&ep->sin, len) != 0 ||
	    listen(ep->listen_fd, TCP_BACKLOG) != 0 ||
	    getsockname(ep->listen_fd, (struct sockaddr *)&ep->sin, &len) != 0) {
		if (errno == EADDRINUSE) {
			log_err("port %u is in use", port);
			return -DER_BUSY;
		}
		return err_from_errno(errno);
	}
	listen_watch(ep, true);
	return ip_uri("tcp", &ep->sin, ep->base.uri, sizeof(ep->base.uri));
}

static int
tcp_ep_open(struct net *base, const struct fab_ep_conf *conf, struct fab_ep **ret_ep)
{
	struct tcp_net *net = container_of(base, struct tcp_net, net);
	struct tcp_ep *ep = mem_new(struct tcp_ep);
	int rc;

	if (ep == NULL)
		return -DER_NOMEM;
	ep->base.ops = &tcp_ops;
	ep->base.xs = conf->xs;
	ep->base.events = conf->events;
	ep->base.arg = conf->arg;
	ep->base.revokes = true;
	ep->listen_fd = -1;
	ep->src.fd = -1;
	ep->src.poll = tcp_poll;
	ep->src.prepare_sleep = tcp_prepare_sleep;
	ep->src.arg = ep;
	ep->next_key = env_rand_u64(xs_env(conf->xs));
	list_init(&ep->conns);
	list_init(&ep->dead);
	list_init(&ep->flush);
	list_init(&ep->ended);
	list_init(&ep->lost);
	list_init(&ep->rx_pool);
	list_init(&ep->tx_small);
	list_init(&ep->tx_large);
	list_init(&ep->answers);
	htable_init(&ep->peers);
	htable_init(&ep->by_sin);
	htable_init(&ep->mrs);
	htable_init(&ep->rmas);
	xs_timer_init(&ep->accept_timer, accept_again, ep);
	rc = ep_listen(ep, net->ip, conf->port);
	if (rc == 0) {
		rc = xs_source_add(conf->xs, &ep->src);
		ep->src_added = rc == 0;
	}
	if (rc != 0) {
		tcp_ep_close(&ep->base);
		return rc;
	}
	*ret_ep = &ep->base;
	return 0;
}

static void
tcp_net_close(struct net *base)
{
	free(container_of(base, struct tcp_net, net));
}

static const struct net_ops tcp_net_ops = {
    .close = tcp_net_close,
    .ep_open = tcp_ep_open,
};

int
net_open_tcp(const struct net_conf *conf, struct net **ret_net)
{
	struct tcp_net *net = mem_new(struct tcp_net);
	int rc;

	if (net == NULL)
		return -DER_NOMEM;
	rc = ip_of_interface(conf->interface, &net->ip);
	if (rc != 0) {
		free(net);
		return rc;
	}
	net->net.ops = &tcp_net_ops;
	snprintf(net->net.provider, sizeof(net->net.provider), "tcp");
	*ret_net = &net->net;
	return 0;
}
