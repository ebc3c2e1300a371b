/*
 * Calls this side makes.
 *
 * A call under way occupies a slot; its id is (generation, slot), so a reply that is late, doubled
 * or made up finds nobody. The record of a call (rpc_call_state) lives from rpc_call_send() to
 * rpc_call_fini() because it carries the reply.
 *
 * Memory of the caller. When a call ends by its deadline or by cancellation, the peer may still be
 * moving data to or from memory that was registered before the call was sent. The peer is told
 * (WIRE_CANCEL), and answers (WIRE_CANCELLED) when its transfers for that request are over. Where
 * closing a registration ends the transfers that have begun, that is all. Elsewhere, until the
 * answer or until the connection to the peer has been broken, the call is "unsettled":
 * rpc_call_send() waits for the answer a moment, and rpc_bulk_destroy() breaks the connection
 * rather than return while an unsettled call might have been given that memory.
 */
#define LOG_FACILITY "rpc"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/iov.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/rpc/rpc_internal.h"

enum {
	SLOT_BITS = 16,
	SLOT_NR_FIRST = 64,
};

static uint32_t
id_slot(uint64_t id)
{
	return (uint32_t)(id & ((1u << SLOT_BITS) - 1));
}

static int
slots_grow(struct rpc_ep *ep)
{
	uint32_t nr = ep->slot_nr != 0 ? ep->slot_nr * 2 : SLOT_NR_FIRST;
	struct rpc_slot *slots;
	uint32_t i;

	if (nr > RPC_CALL_NR_MAX)
		return -DER_AGAIN;
	slots = mem_realloc(ep->slots, nr, sizeof(*slots));
	if (slots == NULL)
		return -DER_NOMEM;
	for (i = ep->slot_nr; i < nr; i++)
		slots[i] = (struct rpc_slot){
		    .gen = env_rand_u64(xs_env(ep->xs)) >> (SLOT_BITS + 1) | 1,
		    .next_free = i + 1 < nr ? i + 1 : UINT32_MAX,
		};
	ep->slots = slots;
	ep->slot_free = ep->slot_nr;
	ep->slot_nr = nr;
	return 0;
}

static int
slot_take(struct rpc_ep *ep, struct rpc_call_state *st)
{
	struct rpc_slot *slot;
	uint32_t idx;
	int rc;

	if (ep->slot_free == UINT32_MAX) {
		rc = slots_grow(ep);
		if (rc != 0)
			return rc;
	}
	idx = ep->slot_free;
	slot = &ep->slots[idx];
	ep->slot_free = slot->next_free;
	slot->call = st;
	st->id = slot->gen << SLOT_BITS | idx;
	return 0;
}

static void
slot_give(struct rpc_ep *ep, uint64_t id)
{
	struct rpc_slot *slot = &ep->slots[id_slot(id)];

	slot->call = NULL;
	slot->gen = (slot->gen + 1) & (UINT64_MAX >> SLOT_BITS);
	if (slot->gen == 0)
		slot->gen = 1;
	slot->next_free = ep->slot_free;
	ep->slot_free = id_slot(id);
}

/* The call that waits for this id from this peer, or NULL. */
static struct rpc_call_state *
call_find(struct rpc_peer *peer, uint64_t id)
{
	struct rpc_ep *ep = peer->ep;
	struct rpc_call_state *st;

	if (id_slot(id) >= ep->slot_nr)
		return NULL;
	st = ep->slots[id_slot(id)].call;
	return st != NULL && st->id == id && st->peer == peer ? st : NULL;
}

static struct rpc_call_state *
state_get(struct rpc_ep *ep)
{
	struct rpc_call_state *st = list_first(&ep->state_pool, struct rpc_call_state, link);

	if (st != NULL) {
		list_del(&st->link);
		ep->state_pool_nr--;
	} else {
		st = mem_alloc(sizeof(*st));
		if (st == NULL)
			return NULL;
	}
	memset(st, 0, offsetof(struct rpc_call_state, copy));
	st->ep = ep;
	list_init(&st->peer_link);
	list_push_back(&ep->states, &st->link);
	return st;
}

static void
state_put(struct rpc_call_state *st)
{
	struct rpc_ep *ep = st->ep;

	if (ep == NULL) {
		free(st->heap);
		free(st);
		return;
	}
	rpc_body_drop(ep, &st->rx, &st->heap);
	list_del(&st->link);
	if (ep->state_pool_nr < RPC_POOL_MAX) {
		list_push_front(&ep->state_pool, &st->link);
		ep->state_pool_nr++;
	} else {
		free(st);
	}
}

void
rpc_call_fini(struct rpc_call *call)
{
	if (call->priv != NULL)
		state_put(call->priv);
	call->priv = NULL;
	call->reply = NULL;
	call->reply_len = 0;
}

/* --- ending ----------------------------------------------------------------------------------- */

void
rpc_call_end(struct rpc_call_state *st, int rc)
{
	if (st->done)
		return;
	slot_give(st->ep, st->id);
	list_del(&st->peer_link);
	st->rc = rc;
	st->done = true;
	co_wake(st->waiter);
}

void
rpc_call_reply(struct rpc_peer *peer, const struct wire_frame *frame, struct fab_rx *rx)
{
	struct rpc_call_state *st = call_find(peer, frame->id);
	struct rpc_call *call;

	if (st == NULL) {
		peer->ep->stats.stale_nr++;
		return;
	}
	call = st->call;
	if (frame->body_len > RPC_INLINE_MAX) {
		rpc_call_end(st, -DER_PROTO);
		return;
	}
	call->reply =
	    rpc_body_keep(st->ep, rx, frame->body, frame->body_len, st->copy, &st->rx, &st->heap);
	if (call->reply == NULL) {
		rpc_call_end(st, -DER_NOMEM);
		return;
	}
	call->reply_len = frame->body_len;
	call->status = (int)(int32_t)frame->opc_status;
	call->reply_map_ver = frame->map_ver;
	call->reply_hlc = frame->hlc;
	rpc_call_end(st, 0);
}

void
rpc_call_unknown(struct rpc_peer *peer, uint64_t id)
{
	struct rpc_call_state *st = call_find(peer, id);

	if (st != NULL)
		rpc_call_end(st, -DER_UNREACH);
}

void
rpc_call_cancel(struct rpc_call *call)
{
	struct rpc_call_state *st = call->priv;

	if (st != NULL && st->waiter != NULL)
		rpc_call_end(st, -DER_CANCELED);
}

/* --- unsettled calls -------------------------------------------------------------------------- */

static void
unsettled_drop(struct rpc_unsettled *u)
{
	if (u->settled != NULL)
		co_future_complete(u->settled, 0);
	list_del(&u->link);
	u->peer->unsettled_nr--;
	rpc_peer_put(u->peer);
	free(u);
}

void
rpc_call_cancelled(struct rpc_peer *peer, uint64_t id)
{
	struct rpc_unsettled *u;
	struct list *pos;

	list_for_each (pos, &peer->ep->unsettled) {
		u = list_entry(pos, struct rpc_unsettled, link);
		if (u->peer == peer && u->id == id) {
			unsettled_drop(u);
			return;
		}
	}
}

void
rpc_unsettled_clear(struct rpc_peer *peer)
{
	struct rpc_unsettled *u;
	struct list *pos, *tmp;

	if (peer->unsettled_nr == 0)
		return;
	list_for_each_safe (pos, tmp, &peer->ep->unsettled) {
		u = list_entry(pos, struct rpc_unsettled, link);
		if (u->peer == peer)
			unsettled_drop(u);
	}
}

/* The call ended without an answer: have the peer stop what it does with our memory. */
static void co_fn
call_settle(struct rpc_ep *ep, struct rpc_peer *peer, uint64_t id, uint64_t seq)
{
	struct wire_frame frame = {.type = WIRE_CANCEL, .id = id};
	struct co_future settled;
	struct rpc_unsettled *u;

	bool queued = rpc_peer_queue(peer, &frame, NULL, 0) == 0;

	/* Without memory at stake this is only advice: no use in going on with it. */
	if (ep->fab->revokes || list_empty(&ep->bulks))
		return;
	if (!queued) {
		(void)rpc_peer_break(peer);
		return;
	}
	u = mem_new(struct rpc_unsettled);
	if (u == NULL) {
		(void)rpc_peer_break(peer);
		return;
	}
	co_future_init(&settled);
	*u = (struct rpc_unsettled){.peer = peer, .id = id, .seq = seq, .settled = &settled};
	rpc_peer_hold(peer);
	peer->unsettled_nr++;
	list_push_back(&ep->unsettled, &u->link);
	/* After success u is gone. */
	if (co_future_wait(&settled, xs_now_ns(ep->xs) + RPC_SETTLE_NS) != 0 && !settled.done)
		u->settled = NULL;
}

/* --- sending ---------------------------------------------------------------------------------- */

/* Queue the request, waiting for room while the peer is slow. */
static int co_fn
call_queue(struct rpc_call_state *st, const struct rpc_call *call, uint32_t body_len)
{
	struct wire_frame frame = {
	    .type = WIRE_REQUEST,
	    .body_len = body_len,
	    .id = st->id,
	    .opc_status = call->opc,
	    .map_ver = call->map_ver,
	    .hlc = call->hlc,
	};
	uint64_t left_ms;
	uint64_t now;
	int rc;

	for (;;) {
		now = xs_now_ns(st->ep->xs);
		if (now >= st->deadline_ns)
			return -DER_TIMEDOUT;
		left_ms = (st->deadline_ns - now + MSEC - 1) / MSEC;
		frame.left_ms = left_ms < UINT32_MAX ? (uint32_t)left_ms : UINT32_MAX;
		st->inc = st->peer->doubt ? 0 : st->peer->inc;
		rc = rpc_peer_queue(st->peer, &frame, call->body, call->body_nr);
		if (rc != -DER_AGAIN)
			return rc;
		co_sleep_ns(MSEC);
		if (st->done)
			return st->rc;
	}
}

static int co_fn
call_run(struct rpc_call_state *st, uint32_t body_len)
{
	struct rpc_ep *ep = st->ep;
	int rc;

	rc = slot_take(ep, st);
	if (rc != 0)
		return rc;
	st->seq = ++ep->call_seq;
	st->waiter = co_self();
	st->sent_ns = xs_now_ns(ep->xs);
	/* On the list from the start: a peer found dead meanwhile ends this call too. */
	list_push_back(&st->peer->calls, &st->peer_link);
	rpc_peer_activate(st->peer);
	rpc_ep_tick_by(ep, st->deadline_ns < st->sent_ns + RPC_PROBE_FIRST_NS
			       ? st->deadline_ns
			       : st->sent_ns + RPC_PROBE_FIRST_NS);
	rc = call_queue(st, st->call, body_len);
	if (rc != 0) {
		rpc_call_end(st, rc);
		return rc;
	}
	while (!st->done)
		co_park();
	if (st->rc == -DER_TIMEDOUT || st->rc == -DER_CANCELED)
		call_settle(ep, st->peer, st->id, st->seq);
	return st->rc;
}

int co_fn
rpc_call_send(struct rpc_ep *ep, struct rpc_peer *peer, struct rpc_call *call)
{
	uint64_t body_len = iov_total(call->body, (int)call->body_nr);
	struct rpc_call_state *st;
	uint64_t now;
	int rc;

	assert(co_self() != NULL && peer->ep == ep);
	rpc_call_fini(call);
	if (ep->closing)
		return -DER_CANCELED;
	if (body_len > RPC_INLINE_MAX)
		return -DER_INVAL;
	now = xs_now_ns(ep->xs);
	if (call->deadline_ns != 0 && now >= call->deadline_ns)
		return -DER_TIMEDOUT;
	st = state_get(ep);
	if (st == NULL)
		return -DER_NOMEM;
	st->peer = peer;
	st->call = call;
	st->deadline_ns =
	    call->deadline_ns != 0 ? call->deadline_ns : now + RPC_DEADLINE_DEFAULT_MS * MSEC;
	call->priv = st;
	ep->call_nr++;
	rpc_peer_hold(peer);
	rc = call_run(st, (uint32_t)body_len);
	st->waiter = NULL;
	rpc_peer_put(peer);
	ep->call_nr--;
	if (rc != 0)
		rpc_call_fini(call);
	if (ep->closing)
		rpc_ep_idle_check(ep);
	return rc;
}

/* --- closing ---------------------------------------------------------------------------------- */

static int
peer_calls_end(struct hnode *n, void *arg)
{
	struct rpc_peer *peer = container_of(n, struct rpc_peer, uri_node);
	struct rpc_call_state *st;

	while ((st = list_first(&peer->calls, struct rpc_call_state, peer_link)) != NULL)
		rpc_call_end(st, -DER_CANCELED);
	return 0;
}

void
rpc_calls_close(struct rpc_ep *ep)
{
	(void)htable_walk(&ep->by_uri, peer_calls_end, NULL);
}

/* After fork(): nobody waits any more. */
void
rpc_calls_drop(struct rpc_ep *ep)
{
	struct list *pos;

	list_for_each (pos, &ep->unsettled)
		list_entry(pos, struct rpc_unsettled, link)->settled = NULL;
}

/* The endpoint goes; replies not yet released keep their bytes. Before the fabric is closed. */
void
rpc_calls_fini(struct rpc_ep *ep)
{
	struct rpc_call_state *st;
	struct rpc_unsettled *u;

	while ((u = list_first(&ep->unsettled, struct rpc_unsettled, link)) != NULL)
		unsettled_drop(u);
	while ((st = list_first(&ep->states, struct rpc_call_state, link)) != NULL) {
		list_del(&st->link);
		if (st->rx != NULL) {
			st->heap = mem_dup(st->call->reply, st->call->reply_len);
			st->call->reply = st->heap;
			if (st->heap == NULL)
				st->call->reply_len = 0;
			fab_rx_put(ep->fab, st->rx);
			st->rx = NULL;
		}
		st->ep = NULL;
	}
	while ((st = list_first(&ep->state_pool, struct rpc_call_state, link)) != NULL) {
		list_del(&st->link);
		free(st);
	}
	free(ep->slots);
	ep->slots = NULL;
	ep->slot_nr = 0;
}
