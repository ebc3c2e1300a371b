/*
 * Bulk data: memory that a caller registers, and the transfers the server of its request makes.
 *
 * Description of a bulk, as it travels inside a body (little-endian):
 *	u8 version, u8 access, u16 segment count, u32 zero, u64 total bytes,
 *	then for each segment u64 key, u64 address, u64 bytes
 *
 * A transfer is cut into pieces of at most 1 MiB that stay inside one remote segment and a few
 * local ones; a few pieces are under way at a time. The function that started it returns only when
 * every piece has ended, so its operations may live on its stack. If the deadline passes first, or
 * the caller gives up, they are taken back, or the connection to the peer is broken.
 */
#define LOG_FACILITY "rpc"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/codec.h"
#include "base/iov.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/rpc/rpc_internal.h"

enum {
	BULK_VERSION = 1,
	BULK_HDR = 16,
	BULK_SEG = 24,
	BULK_PIECE = 1 << 20,
	BULK_WINDOW = 4,
};

struct rpc_bulk {
	struct list link;  /* ep->bulks */
	struct rpc_ep *ep; /* NULL after the endpoint was closed */
	uint64_t seq;      /* calls with a greater number may have been given it */
	uint32_t desc_len;
	uint8_t *desc;
	uint32_t mr_nr;
	struct fab_mr *mr[];
};

/* --- registration ----------------------------------------------------------------------------- */

static int
bulk_encode(struct rpc_bulk *bulk, const struct iovec *segs, uint32_t access, uint64_t total)
{
	struct codec_wr wr;
	uint32_t i;

	bulk->desc_len = BULK_HDR + bulk->mr_nr * BULK_SEG;
	bulk->desc = mem_alloc(bulk->desc_len);
	if (bulk->desc == NULL)
		return -DER_NOMEM;
	codec_wr_init_fixed(&wr, bulk->desc, bulk->desc_len);
	codec_wr_u8(&wr, BULK_VERSION);
	codec_wr_u8(&wr, (uint8_t)access);
	codec_wr_u16(&wr, (uint16_t)bulk->mr_nr);
	codec_wr_u32(&wr, 0);
	codec_wr_u64(&wr, total);
	for (i = 0; i < bulk->mr_nr; i++) {
		codec_wr_u64(&wr, bulk->mr[i]->key);
		codec_wr_u64(&wr, bulk->mr[i]->addr);
		codec_wr_u64(&wr, segs[i].iov_len);
	}
	assert(codec_wr_err(&wr) == 0 && wr.len == bulk->desc_len);
	return 0;
}

/* Neighbours become one, empty ones vanish. */
static uint32_t
segs_merge(const struct iovec *iov, uint32_t iov_nr, struct iovec *segs)
{
	uint32_t i, nr = 0;

	for (i = 0; i < iov_nr; i++) {
		if (iov[i].iov_len == 0)
			continue;
		if (nr > 0 && (char *)segs[nr - 1].iov_base + segs[nr - 1].iov_len ==
				  (char *)iov[i].iov_base) {
			segs[nr - 1].iov_len += iov[i].iov_len;
			continue;
		}
		if (nr == RPC_BULK_SEG_MAX)
			return UINT32_MAX;
		segs[nr++] = iov[i];
	}
	return nr;
}

int
rpc_bulk_create(struct rpc_ep *ep, const struct iovec *iov, uint32_t iov_nr, uint32_t access,
		struct rpc_bulk **ret_bulk)
{
	struct iovec segs[RPC_BULK_SEG_MAX];
	struct rpc_bulk *bulk;
	uint32_t i, nr;
	int rc = 0;

	if (access == 0 || (access & ~(uint32_t)(RPC_BULK_READ | RPC_BULK_WRITE)) != 0)
		return -DER_INVAL;
	if (ep->closing)
		return -DER_CANCELED;
	nr = segs_merge(iov, iov_nr, segs);
	if (nr > RPC_BULK_SEG_MAX)
		return -DER_OVERFLOW;
	bulk = mem_calloc(1, sizeof(*bulk) + nr * sizeof(bulk->mr[0]));
	if (bulk == NULL)
		return -DER_NOMEM;
	bulk->ep = ep;
	bulk->seq = ep->call_seq;
	list_push_back(&ep->bulks, &bulk->link);
	for (i = 0; i < nr && rc == 0; i++) {
		rc = fab_mr_open(ep->fab, segs[i].iov_base, segs[i].iov_len, access, &bulk->mr[i]);
		if (rc == 0)
			bulk->mr_nr++;
	}
	if (rc == 0)
		rc = bulk_encode(bulk, segs, access, iov_total(segs, (int)nr));
	if (rc != 0) {
		rpc_bulk_destroy(bulk);
		return rc;
	}
	*ret_bulk = bulk;
	return 0;
}

static void
bulk_close(struct rpc_bulk *bulk)
{
	uint32_t i;

	for (i = 0; i < bulk->mr_nr; i++)
		fab_mr_close(bulk->ep->fab, bulk->mr[i]);
	bulk->mr_nr = 0;
	list_del(&bulk->link);
}

/* A call after this bulk's creation may have handed it to a peer that has not let go of it. */
static struct rpc_peer *
bulk_suspect(const struct rpc_bulk *bulk)
{
	struct rpc_unsettled *u;
	struct list *pos;

	list_for_each (pos, &bulk->ep->unsettled) {
		u = list_entry(pos, struct rpc_unsettled, link);
		if (u->seq > bulk->seq)
			return u->peer;
	}
	return NULL;
}

void
rpc_bulk_destroy(struct rpc_bulk *bulk)
{
	struct rpc_peer *peer;

	if (bulk == NULL)
		return;
	if (bulk->ep != NULL) {
		bulk_close(bulk);
		/* Each round clears the unsettled calls of one peer. */
		while ((peer = bulk_suspect(bulk)) != NULL)
			(void)rpc_peer_break(peer);
	}
	free(bulk->desc);
	free(bulk);
}

struct rpc_bulk_desc
rpc_bulk_describe(const struct rpc_bulk *bulk)
{
	return (struct rpc_bulk_desc){.bytes = bulk->desc, .len = bulk->desc_len};
}

void
rpc_bulks_fini(struct rpc_ep *ep)
{
	struct rpc_bulk *bulk;

	while ((bulk = list_first(&ep->bulks, struct rpc_bulk, link)) != NULL) {
		bulk_close(bulk);
		bulk->ep = NULL;
	}
}

/* --- a peer's description --------------------------------------------------------------------- */

struct remote_seg {
	uint64_t key;
	uint64_t addr;
	uint64_t len;
};

/* Reads segment by segment; everything was checked by remote_init(). */
struct remote {
	struct codec_rd rd;
	uint32_t seg_nr; /* not yet read */
	uint32_t access;
	uint64_t total;
	struct remote_seg seg; /* what is left of the current one */
};

static void
remote_seg_read(struct codec_rd *rd, struct remote_seg *seg)
{
	seg->key = codec_rd_u64(rd);
	seg->addr = codec_rd_u64(rd);
	seg->len = codec_rd_u64(rd);
}

static int
remote_init(struct remote *r, const struct rpc_bulk_desc *desc)
{
	struct remote_seg seg;
	uint64_t sum = 0;
	uint32_t i, zero;
	uint8_t version;
	struct codec_rd rd;

	codec_rd_init(&rd, desc->bytes, desc->len);
	version = codec_rd_u8(&rd);
	r->access = codec_rd_u8(&rd);
	r->seg_nr = codec_rd_u16(&rd);
	zero = codec_rd_u32(&rd);
	r->total = codec_rd_u64(&rd);
	if (version != BULK_VERSION || zero != 0 || r->seg_nr > RPC_BULK_SEG_MAX)
		return -DER_PROTO;
	r->rd = rd;
	for (i = 0; i < r->seg_nr; i++) {
		remote_seg_read(&rd, &seg);
		if (seg.len == 0 || seg.len > r->total - sum || seg.addr + seg.len < seg.addr)
			return -DER_PROTO;
		sum += seg.len;
	}
	if (sum != r->total)
		return -DER_PROTO;
	r->seg.len = 0;
	return codec_rd_end(&rd);
}

static void
remote_next(struct remote *r)
{
	assert(r->seg_nr > 0);
	r->seg_nr--;
	remote_seg_read(&r->rd, &r->seg);
}

static void
remote_skip(struct remote *r, uint64_t len)
{
	uint64_t n;

	while (len > 0) {
		if (r->seg.len == 0)
			remote_next(r);
		n = len < r->seg.len ? len : r->seg.len;
		r->seg.addr += n;
		r->seg.len -= n;
		len -= n;
	}
}

uint64_t
rpc_bulk_desc_size(const struct rpc_bulk_desc *desc)
{
	struct remote r;

	return remote_init(&r, desc) == 0 ? r.total : 0;
}

/* --- moving ----------------------------------------------------------------------------------- */

struct xfer {
	struct list link; /* is->xfers */
	struct rpc_in_state *is;
	struct rpc_ep *ep;
	struct rpc_peer *peer;
	struct remote remote;
	struct iov_iter local;
	uint64_t left; /* bytes not yet given to the fabric */
	bool put;
	int rc;           /* the first error: nothing new is started */
	uint32_t busy;    /* bit i: the fabric has ops[i] */
	uint32_t free_nr; /* ops[free[0 .. free_nr - 1]] are idle */
	uint8_t free[BULK_WINDOW];
	bool ready; /* ops[free[free_nr - 1]] is filled in but was refused */
	struct co_waitq wq;
	struct fab_rma ops[BULK_WINDOW];
};

static void
op_done(struct fab_rma *op, int rc)
{
	struct xfer *x = op->arg;

	x->busy &= ~(1u << (op - x->ops));
	x->free[x->free_nr++] = (uint8_t)(op - x->ops);
	x->is->rma_nr--;
	if (rc != 0 && x->rc == 0)
		x->rc = rc;
	co_waitq_wake_all(&x->wq);
}

/* Take the next piece of both sides. */
static void
op_fill(struct xfer *x, struct fab_rma *op)
{
	uint64_t piece, len;
	size_t n;

	if (x->remote.seg.len == 0)
		remote_next(&x->remote);
	piece = x->remote.seg.len < BULK_PIECE ? x->remote.seg.len : BULK_PIECE;
	if (piece > x->left)
		piece = x->left;
	op->put = x->put;
	op->key = x->remote.seg.key;
	op->addr = x->remote.seg.addr;
	op->done = op_done;
	op->arg = x;
	op->iov_nr = 0;
	for (len = 0; len < piece && op->iov_nr < FAB_RMA_IOV_MAX; len += n) {
		if (!iov_iter_next(&x->local, piece - len, &op->iov[op->iov_nr].iov_base, &n))
			break;
		op->iov[op->iov_nr++].iov_len = n;
	}
	remote_skip(&x->remote, len);
	x->left -= len;
}

/* Give the fabric what it takes. -DER_AGAIN: it wants no more at present. */
static int
xfer_start(struct xfer *x)
{
	struct fab_rma *op;
	int rc;

	while (x->rc == 0 && x->free_nr > 0 && (x->left > 0 || x->ready)) {
		op = &x->ops[x->free[x->free_nr - 1]];
		if (!x->ready)
			op_fill(x, op);
		x->ready = false;
		x->free_nr--;
		rc = fab_rma(x->ep->fab, x->peer->fab, op);
		if (rc == 0) {
			x->busy |= 1u << (op - x->ops);
			x->is->rma_nr++;
			continue;
		}
		x->free[x->free_nr++] = (uint8_t)(op - x->ops);
		if (rc == -DER_AGAIN) {
			x->ready = true;
			return rc;
		}
		x->rc = rc;
	}
	return 0;
}

/* Refused: wait a while, at most until anything ends; find out whether the peer is there at all. */
static void co_fn
xfer_refused(struct xfer *x, uint64_t since_ns, uint64_t *gap_ns, uint64_t deadline_ns)
{
	uint64_t now = xs_now_ns(x->ep->xs);
	uint64_t until = now + *gap_ns;

	if (x->busy == 0) {
		if (now - since_ns >= 2 * MSEC &&
		    fab_peer_probe(x->ep->fab, x->peer->fab) == -DER_UNREACH)
			x->rc = -DER_UNREACH;
		else if (now - since_ns >= RPC_BLOCKED_NS)
			x->rc = -DER_UNREACH;
		if (x->rc != 0)
			return;
	}
	if (*gap_ns < RPC_RETRY_MAX_NS)
		*gap_ns *= 2;
	(void)co_waitq_wait(&x->wq, until < deadline_ns ? until : deadline_ns);
}

/* Whatever is still under way ends now, or soon. */
static void co_fn
xfer_abort(struct xfer *x)
{
	uint64_t again_ns;
	uint32_t i;

	for (i = 0; i < BULK_WINDOW; i++) {
		if ((x->busy & 1u << i) != 0 && fab_rma_cancel(x->ep->fab, &x->ops[i]) == 0)
			op_done(&x->ops[i], x->rc);
	}
	/* A network that cannot take them back: break the connection. Where that cannot be done
	 * either the network itself ends its transfers, and waiting for that is all there is. */
	while (x->busy != 0) {
		(void)rpc_peer_break(x->peer);
		again_ns = xs_now_ns(x->ep->xs) + RPC_BREAK_NS;
		while (x->busy != 0 && co_waitq_wait(&x->wq, again_ns) == 0)
			;
	}
}

static void co_fn
xfer_run(struct xfer *x, uint64_t deadline_ns)
{
	uint64_t since_ns = 0;
	uint64_t gap_ns = RPC_RETRY_MIN_NS;

	for (;;) {
		if (x->rc == 0 && xs_now_ns(x->ep->xs) >= deadline_ns)
			x->rc = -DER_TIMEDOUT;
		if (xfer_start(x) == -DER_AGAIN) {
			if (since_ns == 0)
				since_ns = xs_now_ns(x->ep->xs);
			xfer_refused(x, since_ns, &gap_ns, deadline_ns);
			continue;
		}
		since_ns = 0;
		gap_ns = RPC_RETRY_MIN_NS;
		if (x->rc != 0)
			xfer_abort(x);
		if (x->busy == 0 && (x->rc != 0 || x->left == 0))
			return;
		(void)co_waitq_wait(&x->wq, deadline_ns);
	}
}

/* The caller has given up, or this endpoint closes: no reason to wait for its memory. */
void
rpc_bulk_wake(struct rpc_in_state *is, int rc)
{
	struct xfer *x;
	struct list *pos;

	list_for_each (pos, &is->xfers) {
		x = list_entry(pos, struct xfer, link);
		if (x->rc == 0)
			x->rc = rc;
		co_waitq_wake_all(&x->wq);
	}
}

static int co_fn
bulk_move(struct rpc_in *in, const struct rpc_bulk_desc *desc, uint64_t remote_off,
	  const struct iovec *local, uint32_t local_nr, uint64_t deadline_ns, bool put)
{
	struct rpc_in_state *is = container_of(in, struct rpc_in_state, in);
	struct xfer x;
	uint32_t i;
	int rc;

	assert(!is->replied);
	if (is->cancelled)
		return -DER_CANCELED;
	if (in->ep->closing)
		return -DER_SHUTDOWN;
	rc = remote_init(&x.remote, desc);
	if (rc != 0)
		return rc;
	x.left = iov_total(local, (int)local_nr);
	if ((x.remote.access & (put ? RPC_BULK_WRITE : RPC_BULK_READ)) == 0)
		return -DER_NO_PERM;
	if (remote_off > x.remote.total || x.left > x.remote.total - remote_off)
		return -DER_INVAL;
	remote_skip(&x.remote, remote_off);
	iov_iter_init(&x.local, local, (int)local_nr);
	x.is = is;
	x.ep = in->ep;
	x.peer = in->peer;
	x.put = put;
	x.rc = 0;
	x.ready = false;
	x.busy = 0;
	x.free_nr = BULK_WINDOW;
	for (i = 0; i < BULK_WINDOW; i++)
		x.free[i] = (uint8_t)i;
	co_waitq_init(&x.wq);
	if (deadline_ns == 0)
		deadline_ns = xs_now_ns(in->ep->xs) + RPC_DEADLINE_DEFAULT_MS * MSEC;
	list_push_back(&is->xfers, &x.link);
	xfer_run(&x, deadline_ns);
	list_del(&x.link);
	rpc_serve_settle(is);
	return x.rc;
}

int co_fn
rpc_bulk_pull(struct rpc_in *in, const struct rpc_bulk_desc *desc, uint64_t remote_off,
	      const struct iovec *local, uint32_t local_nr, uint64_t deadline_ns)
{
	return bulk_move(in, desc, remote_off, local, local_nr, deadline_ns, false);
}

int co_fn
rpc_bulk_push(struct rpc_in *in, const struct rpc_bulk_desc *desc, uint64_t remote_off,
	      const struct iovec *local, uint32_t local_nr, uint64_t deadline_ns)
{
	return bulk_move(in, desc, remote_off, local, local_nr, deadline_ns, true);
}
