/*
 * Fuzz target of the TCP fabric's stream format: bytes from a peer, cut into arbitrary reads, while
 * memory is registered and transfers wait, some of which are taken back on the way. Includes the
 * implementation to reach its inside.
 *
 * Built two ways: as a libFuzzer program (option fuzz), and with FUZZ_CORPUS_MAIN as an ordinary
 * test that runs every file of the directory given, each also cut short at every length and with
 * every byte disturbed.
 *
 * Input: u8 flags (1: the peer is known already, 2: transfers are taken back half way, 4: the
 * registration is closed half way, 8: messages are kept for a while), u8 size of the reads, bytes.
 */
#include "net/fabric/fabric_tcp.c"

#include "net/fuzz_corpus.h"
#include "runtime/xs.h"

#define FUZZ_KEY 0x4b4b4b4b4b4b4b4bull

enum { FUZZ_MEM = 4096 };

struct fuzz {
	struct env env;
	struct xs *xs;
	struct net *net;
	struct fab_ep *ep;
	struct fab_peer *peer;
	bool hold;
	struct fab_rx *held;
	uint32_t done_nr;
	uint64_t sum; /* so that every byte is read */
};

static void
fuzz_recv(void *arg, struct fab_rx *rx, const uint8_t *msg, uint32_t len)
{
	struct fuzz *f = arg;
	uint32_t i;

	for (i = 0; i < len; i++)
		f->sum += msg[i];
	if (!f->hold || f->held != NULL)
		return;
	fab_rx_hold(f->ep, rx);
	f->held = rx;
}

static void
fuzz_ready(void *arg)
{
}

static void
fuzz_lost(void *arg, void *peer_arg)
{
}

static void
fuzz_done(struct fab_rma *op, int rc)
{
	struct fuzz *f = op->arg;

	f->done_nr++;
}

static struct fuzz *
fuzz_open(void)
{
	static const struct fab_events events = {
	    .recv = fuzz_recv, .ready = fuzz_ready, .lost = fuzz_lost};
	static const struct net_conf conf = {.interface = "lo"};
	static struct fuzz *f;
	struct fab_ep_conf ec = {.events = &events};

	if (f != NULL)
		return f;
	log_set_level(LOG_LVL_NONE);
	f = calloc(1, sizeof(*f));
	env_init_real(&f->env);
	if (xs_create(&(struct xs_conf){.name = "fuzz", .env = &f->env, .cpu = -1}, &f->xs) != 0 ||
	    net_open_tcp(&conf, &f->net) != 0)
		abort();
	ec.xs = f->xs;
	ec.arg = f;
	if (fab_ep_open(f->net, &ec, &f->ep) != 0 ||
	    fab_peer_open(f->ep, "ofi+tcp://127.0.0.1:9", NULL, &f->peer) != 0)
		abort();
	return f;
}

/* A transfer that has been sent and waits for its answer, under a number the input can name. */
static struct fab_rma *
fuzz_rma(struct fuzz *f, struct tcp_conn *conn, bool put, uint64_t id)
{
	struct fab_rma *op = calloc(1, sizeof(*op));

	op->put = put;
	op->iov_nr = 2;
	op->iov[0] = (struct iovec){.iov_base = malloc(10), .iov_len = 10};
	op->iov[1] = (struct iovec){.iov_base = malloc(90), .iov_len = 90};
	op->done = fuzz_done;
	op->arg = f;
	tcp_ep(f->ep)->next_id = id - 1;
	if (tcp_rma(f->ep, f->peer, op) != 0 || rma_priv(op)->conn != conn)
		abort();
	list_del(&rma_priv(op)->item.link);
	rma_priv(op)->state = RMA_WAITING;
	return op;
}

static void
fuzz_rma_free(struct fab_rma *op)
{
	free(op->iov[0].iov_base);
	free(op->iov[1].iov_base);
	free(op);
}

static void
fuzz_stream(struct fuzz *f, struct tcp_conn *conn, const uint8_t *data, size_t size)
{
	struct fab_rma *ops[2];
	uint8_t *mem = malloc(FUZZ_MEM);
	struct tcp_ep *ep = tcp_ep(f->ep);
	size_t step = data[1] != 0 ? data[1] : 100000;
	size_t pos = 2, n;
	uint32_t ended, i;
	struct fab_mr *mr;
	bool half = false;

	memset(mem, 0x5a, FUZZ_MEM);
	if (tcp_mr_open(f->ep, mem, FUZZ_MEM, FAB_REMOTE_READ | FAB_REMOTE_WRITE, &mr) != 0)
		abort();
	htable_remove(&ep->mrs, &container_of(mr, struct tcp_mr, mr)->node);
	mr->key = FUZZ_KEY;
	htable_insert(&ep->mrs, &container_of(mr, struct tcp_mr, mr)->node, hash_u64(FUZZ_KEY));
	f->peer->tx = conn;
	f->hold = (data[0] & 8) != 0;
	f->done_nr = 0;
	for (i = 0; i < 2; i++)
		ops[i] = fuzz_rma(f, conn, i == 1, i + 1);
	while (pos < size && !conn->closed) {
		struct iovec iov[FAB_RMA_IOV_MAX + 1];
		size_t direct, left;

		n = size - pos < step ? size - pos : step;
		if (!block_ready(ep))
			abort();
		/* As conn_read(), with the bytes from here. */
		(void)rx_gather(conn, iov, &direct);
		left = direct < n ? direct : n;
		for (i = 0; left > 0; i++) {
			size_t m = iov[i].iov_len < left ? iov[i].iov_len : left;

			memcpy(iov[i].iov_base, data + pos, m);
			direct_advance(conn, m);
			pos += m;
			n -= m;
			left -= m;
		}
		if (n > TCP_RX_READ)
			n = TCP_RX_READ;
		memcpy(ep->rx->bytes, data + pos, n);
		if (!conn->closed)
			conn_parse(conn, ep->rx->bytes, n);
		pos += n;
		ep_flush(ep);
		if (half || pos < size / 2)
			continue;
		half = true;
		for (i = 0; i < 2 && (data[0] & 2) != 0; i++)
			(void)tcp_rma_cancel(f->ep, ops[i]);
		if ((data[0] & 4) != 0) {
			tcp_mr_close(f->ep, mr);
			mr = NULL;
			free(mem);
			mem = NULL;
		}
	}
	if (mr != NULL)
		tcp_mr_close(f->ep, mr);
	free(mem);
	conn_close(conn, true);
	f->peer->tx = NULL;
	ended = ended_report(ep);
	(void)lost_report(ep);
	if (htable_nr(&ep->rmas) != 0 || htable_nr(&ep->by_sin) != 0 || ep->stranger_nr != 0 ||
	    f->done_nr != ended)
		abort();
	for (i = 0; i < 2; i++)
		fuzz_rma_free(ops[i]);
	dead_free(ep);
	if (f->held != NULL)
		fab_rx_put(f->ep, f->held);
	f->held = NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(9)};
	struct fuzz *f = fuzz_open();
	struct tcp_conn *conn;
	int fds[2];

	if (size < 2)
		return 0;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0)
		abort();
	conn = conn_new(tcp_ep(f->ep), fds[0], true);
	if (conn == NULL)
		abort();
	if ((data[0] & 1) != 0)
		conn_identify(conn, &sin);
	fuzz_stream(f, conn, data, size);
	close(fds[1]);
	return 0;
}
