/*
 * Requests this side handles: each runs in a coroutine of its own, and its record (rpc_in_state)
 * lives until that coroutine ends. A request is "known" to its sender's pings until it has been
 * replied to; the reply then precedes any later pong, because both go through the same queue.
 */
#define LOG_FACILITY "rpc"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/err.h"
#include "base/iov.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/rpc/rpc_internal.h"

int
rpc_register(struct rpc_ep *ep, uint32_t opc, rpc_handler_t handler, void *arg)
{
	struct rpc_op *page;

	if (opc >= RPC_OPC_PAGES * RPC_OPC_PAGE || handler == NULL)
		return -DER_INVAL;
	page = ep->ops[opc / RPC_OPC_PAGE];
	if (page == NULL) {
		page = mem_calloc(RPC_OPC_PAGE, sizeof(*page));
		if (page == NULL)
			return -DER_NOMEM;
		ep->ops[opc / RPC_OPC_PAGE] = page;
	}
	page[opc % RPC_OPC_PAGE] = (struct rpc_op){.handler = handler, .arg = arg};
	return 0;
}

static const struct rpc_op *
op_find(const struct rpc_ep *ep, uint32_t opc)
{
	const struct rpc_op *page;

	if (opc >= RPC_OPC_PAGES * RPC_OPC_PAGE)
		return NULL;
	page = ep->ops[opc / RPC_OPC_PAGE];
	if (page == NULL || page[opc % RPC_OPC_PAGE].handler == NULL)
		return NULL;
	return &page[opc % RPC_OPC_PAGE];
}

/* --- replying --------------------------------------------------------------------------------- */

static void
reply_send(struct rpc_peer *peer, const struct wire_frame *frame, const struct iovec *body,
	   uint32_t body_nr)
{
	int rc = rpc_peer_queue(peer, frame, body, body_nr);

	if (rc == 0)
		return;
	/* The caller's ping will find out that the request is not known any more. */
	peer->ep->stats.dropped_nr++;
	log_every(1000, LOG_LVL_WARN, "reply to %s dropped: " ERR_F, peer->uri, ERR_P(rc));
}

void
rpc_serve_refuse(struct rpc_peer *peer, uint64_t id, int status)
{
	struct wire_frame frame = {.type = WIRE_REPLY, .id = id, .opc_status = (uint32_t)status};

	reply_send(peer, &frame, NULL, 0);
}

void
rpc_reply_set(struct rpc_in *in, uint32_t map_ver, uint64_t hlc)
{
	struct rpc_in_state *is = container_of(in, struct rpc_in_state, in);

	is->reply_map_ver = map_ver;
	is->reply_hlc = hlc;
}

void
rpc_reply(struct rpc_in *in, int status, const struct iovec *body, uint32_t body_nr)
{
	struct rpc_in_state *is = container_of(in, struct rpc_in_state, in);
	uint64_t body_len = iov_total(body, (int)body_nr);
	struct wire_frame frame;

	assert(!is->replied);
	if (body_len > RPC_INLINE_MAX) {
		log_err("reply to %#x of %lu bytes does not fit", in->opc, (unsigned long)body_len);
		status = -DER_OVERFLOW;
		body_len = 0;
		body_nr = 0;
	}
	frame = (struct wire_frame){
	    .type = WIRE_REPLY,
	    .body_len = (uint32_t)body_len,
	    .id = is->id,
	    .opc_status = (uint32_t)status,
	    .map_ver = is->reply_map_ver,
	    .hlc = is->reply_hlc,
	};
	is->replied = true;
	reply_send(in->peer, &frame, body, body_nr);
	list_del(&is->link);
	/* After the copy above: the reply may be made of the request. */
	rpc_body_drop(in->ep, &is->rx, &is->heap);
	in->body = NULL;
	in->body_len = 0;
}

/* --- handling --------------------------------------------------------------------------------- */

static struct rpc_in_state *
in_get(struct rpc_ep *ep)
{
	struct rpc_in_state *is = list_first(&ep->in_pool, struct rpc_in_state, link);

	if (is != NULL) {
		list_del(&is->link);
		ep->in_pool_nr--;
	} else {
		is = mem_alloc(sizeof(*is));
		if (is == NULL)
			return NULL;
	}
	memset(is, 0, offsetof(struct rpc_in_state, copy));
	list_init(&is->link);
	list_init(&is->xfers);
	return is;
}

static void
in_put(struct rpc_ep *ep, struct rpc_in_state *is)
{
	rpc_body_drop(ep, &is->rx, &is->heap);
	list_del(&is->link);
	if (ep->in_pool_nr < RPC_POOL_MAX) {
		list_push_front(&ep->in_pool, &is->link);
		ep->in_pool_nr++;
	} else {
		free(is);
	}
}

static void
serve_entry(void *arg)
{
	struct rpc_in_state *is = arg;
	struct rpc_ep *ep = is->in.ep;
	struct rpc_peer *peer = is->in.peer;

	is->handler(&is->in, is->arg);
	if (!is->replied) {
		log_err("no reply to %#x from %s", is->in.opc, peer->uri);
		rpc_reply(&is->in, -DER_MISC, NULL, 0);
	}
	assert(is->rma_nr == 0);
	in_put(ep, is);
	rpc_peer_put(peer);
	ep->stream_nr--;
	if (ep->closing)
		rpc_ep_idle_check(ep);
}

static int
serve_start(struct rpc_peer *peer, const struct wire_frame *frame, struct fab_rx *rx)
{
	struct rpc_ep *ep = peer->ep;
	const struct rpc_op *op;
	struct rpc_in_state *is;
	int rc;

	if (ep->closing)
		return -DER_SHUTDOWN;
	if (!ep->accept_calls)
		return -DER_NO_PERM;
	if (frame->body_len > RPC_INLINE_MAX)
		return -DER_PROTO;
	op = op_find(ep, frame->opc_status);
	if (op == NULL)
		return -DER_UNREG;
	if (ep->stream_nr >= ep->stream_nr_max)
		return -DER_AGAIN;
	is = in_get(ep);
	if (is == NULL)
		return -DER_NOMEM;
	is->id = frame->id;
	is->handler = op->handler;
	is->arg = op->arg;
	is->in.ep = ep;
	is->in.peer = peer;
	is->in.opc = frame->opc_status;
	is->in.map_ver = frame->map_ver;
	is->in.hlc = frame->hlc;
	is->in.deadline_ns = xs_now_ns(ep->xs) + frame->left_ms * MSEC;
	is->in.body_len = frame->body_len;
	is->in.body =
	    rpc_body_keep(ep, rx, frame->body, frame->body_len, is->copy, &is->rx, &is->heap);
	rc = is->in.body == NULL ? -DER_NOMEM : co_spawn(ep->xs, serve_entry, is);
	if (rc != 0) {
		in_put(ep, is);
		return rc;
	}
	ep->stream_nr++;
	rpc_peer_hold(peer);
	list_push_back(&peer->ins, &is->link);
	return 0;
}

void
rpc_serve_request(struct rpc_peer *peer, const struct wire_frame *frame, struct fab_rx *rx)
{
	int rc = serve_start(peer, frame, rx);

	if (rc != 0)
		rpc_serve_refuse(peer, frame->id, rc);
}

/* --- cancellation and pings ------------------------------------------------------------------- */

static struct rpc_in_state *
in_find(const struct rpc_peer *peer, uint64_t id)
{
	struct rpc_in_state *is;
	struct list *pos;

	list_for_each (pos, &peer->ins) {
		is = list_entry(pos, struct rpc_in_state, link);
		if (is->id == id)
			return is;
	}
	return NULL;
}

bool
rpc_serve_knows(const struct rpc_peer *peer, uint64_t id)
{
	return in_find(peer, id) != NULL;
}

bool
rpc_in_cancelled(const struct rpc_in *in)
{
	const struct rpc_in_state *is = container_of(in, struct rpc_in_state, in);

	return is->cancelled || in->ep->closing || xs_now_ns(in->ep->xs) >= in->deadline_ns;
}

static void
cancelled_send(struct rpc_peer *peer, uint64_t id)
{
	struct wire_frame frame = {.type = WIRE_CANCELLED, .id = id};

	reply_send(peer, &frame, NULL, 0);
}

void
rpc_serve_cancel(struct rpc_peer *peer, uint64_t id)
{
	struct rpc_in_state *is = in_find(peer, id);

	if (is != NULL) {
		is->cancelled = true;
		rpc_bulk_wake(is, -DER_CANCELED);
	}
	if (is == NULL || is->rma_nr == 0)
		cancelled_send(peer, id);
	else
		is->cancel_ack = true;
}

void
rpc_serve_settle(struct rpc_in_state *is)
{
	if (is->rma_nr != 0 || !is->cancel_ack)
		return;
	is->cancel_ack = false;
	cancelled_send(is->in.peer, is->id);
}

void
rpc_serve_close(struct rpc_ep *ep)
{
	struct rpc_peer *peer;
	struct list *pos, *in;

	list_for_each (pos, &ep->peers) {
		peer = list_entry(pos, struct rpc_peer, link);
		list_for_each (in, &peer->ins)
			rpc_bulk_wake(list_entry(in, struct rpc_in_state, link), -DER_SHUTDOWN);
	}
}

/* After fork(): requests the parent is handling. */
void
rpc_serve_drop(struct rpc_ep *ep)
{
	struct rpc_in_state *is;
	struct rpc_peer *peer;
	struct list *pos;

	list_for_each (pos, &ep->peers) {
		peer = list_entry(pos, struct rpc_peer, link);
		while ((is = list_first(&peer->ins, struct rpc_in_state, link)) != NULL) {
			in_put(ep, is);
			peer->ref--;
		}
	}
}

void
rpc_serve_fini(struct rpc_ep *ep)
{
	struct rpc_in_state *is;
	uint32_t i;

	while ((is = list_first(&ep->in_pool, struct rpc_in_state, link)) != NULL) {
		list_del(&is->link);
		free(is);
	}
	for (i = 0; i < RPC_OPC_PAGES; i++)
		free(ep->ops[i]);
}
