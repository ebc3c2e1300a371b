/*
 * The RPC endpoint: opening and closing, taking arriving packets apart, and the tick.
 *
 * One timer serves all deadlines and liveness checks of an endpoint. It is armed for the earliest
 * moment anything can happen and looks only at peers that something waits for, so a busy endpoint
 * pays a few dozen ticks a second and an idle one none.
 */
#define LOG_FACILITY "rpc"

#include <assert.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/rpc/rpc_internal.h"
#include "runtime/fork_gen.h"

/* --- bodies ----------------------------------------------------------------------------------- */

const uint8_t *
rpc_body_keep(struct rpc_ep *ep, struct fab_rx *rx, const uint8_t *body, uint32_t len,
	      uint8_t *copy, struct fab_rx **ret_rx, uint8_t **ret_heap)
{
	if (len <= RPC_COPY_MAX) {
		memcpy(copy, body, len);
		return copy;
	}
	/* Receive buffers are few: when several are kept already, copy instead of starving. */
	if (ep->rx_held_nr < RPC_RX_HELD_MAX) {
		fab_rx_hold(ep->fab, rx);
		ep->rx_held_nr++;
		*ret_rx = rx;
		return body;
	}
	*ret_heap = mem_dup(body, len);
	return *ret_heap;
}

void
rpc_body_drop(struct rpc_ep *ep, struct fab_rx **rx, uint8_t **heap)
{
	if (*rx != NULL) {
		fab_rx_put(ep->fab, *rx);
		ep->rx_held_nr--;
	}
	*rx = NULL;
	free(*heap);
	*heap = NULL;
}

/* --- the tick --------------------------------------------------------------------------------- */

void
rpc_ep_tick_by(struct rpc_ep *ep, uint64_t t)
{
	if (ep->tick.heap_idx == 0 || t < ep->tick.at_ns)
		xs_timer_arm(ep->xs, &ep->tick, t);
}

static void
ep_tick(struct xs_timer *t)
{
	struct rpc_ep *ep = t->arg;
	uint64_t now = xs_now_ns(ep->xs);
	uint64_t next = UINT64_MAX;
	struct list *pos, *tmp;
	uint64_t at;

	rpc_peers_retry(ep);
	list_for_each_safe (pos, tmp, &ep->active) {
		at = rpc_peer_check(list_entry(pos, struct rpc_peer, active_link), now);
		if (at < next)
			next = at;
	}
	if (next != UINT64_MAX)
		rpc_ep_tick_by(ep, next);
}

/* --- receiving -------------------------------------------------------------------------------- */

/* Who sent this packet; NULL when it is to be dropped. The result is referenced. */
static struct rpc_peer *
packet_peer(struct rpc_ep *ep, const struct wire_pkt *pkt)
{
	char addr[WIRE_ADDR_MAX + 1];
	struct rpc_peer *peer = rpc_peer_by_inc(ep, pkt->src_inc);

	if (peer != NULL) {
		rpc_peer_hold(peer);
		return peer;
	}
	memcpy(addr, pkt->addr, pkt->addr_len);
	addr[pkt->addr_len] = 0;
	if (rpc_peer_get(ep, addr, &peer) != 0) {
		ep->stats.malformed_nr++;
		return NULL;
	}
	if (pkt->src_inc == peer->old_inc) {
		ep->stats.stale_nr++;
		rpc_peer_put(peer);
		return NULL;
	}
	rpc_peer_set_inc(peer, pkt->src_inc);
	return peer;
}

static void
ping_answer(struct rpc_peer *peer, const struct wire_frame *ping)
{
	struct wire_frame pong = {.type = WIRE_PONG, .id = ping->id};
	uint64_t ids[WIRE_IDS_MAX];
	struct iovec body = {.iov_base = ids};
	uint64_t id;
	uint32_t i, nr = 0;

	for (i = 0; i < ping->body_len / 8; i++) {
		id = wire_frame_id_at(ping, i);
		if (!rpc_serve_knows(peer, id))
			ids[nr++] = htole64(id);
	}
	body.iov_len = nr * sizeof(ids[0]);
	pong.body_len = (uint32_t)body.iov_len;
	(void)rpc_peer_queue(peer, &pong, &body, 1);
}

static void
frame_take(struct rpc_peer *peer, const struct wire_frame *frame, struct fab_rx *rx)
{
	switch (frame->type) {
	case WIRE_REQUEST:
		rpc_serve_request(peer, frame, rx);
		break;
	case WIRE_REPLY:
		rpc_call_reply(peer, frame, rx);
		break;
	case WIRE_PING:
		ping_answer(peer, frame);
		break;
	case WIRE_PONG:
		rpc_peer_pong(peer, frame);
		break;
	case WIRE_CANCEL:
		rpc_serve_cancel(peer, frame->id);
		break;
	case WIRE_CANCELLED:
		rpc_call_cancelled(peer, frame->id);
		break;
	case WIRE_RESET: /* the packet's incarnation said it all */
	case WIRE_TYPE_END:
		break;
	}
}

static void
packet_take(struct rpc_ep *ep, struct rpc_peer *peer, struct wire_pkt *pkt, struct fab_rx *rx)
{
	static const struct wire_frame reset = {.type = WIRE_RESET};
	struct wire_frame frame;
	bool known;
	int rc;

	rpc_peer_heard(peer);
	if (pkt->dst_inc != 0 && pkt->dst_inc != ep->inc) {
		ep->stats.stale_nr++;
		(void)rpc_peer_queue(peer, &reset, NULL, 0);
		return;
	}
	while ((rc = wire_frame_next(pkt, &frame, &known)) > 0) {
		ep->stats.frame_in_nr++;
		frame_take(peer, &frame, rx);
	}
	if (rc == 0)
		return;
	ep->stats.malformed_nr++;
	log_every(1000, LOG_LVL_WARN, "malformed frame from %s", peer->uri);
	if (known)
		rpc_serve_refuse(peer, frame.id, -DER_PROTO);
}

static void
ep_recv(void *arg, struct fab_rx *rx, const uint8_t *msg, uint32_t len)
{
	struct rpc_ep *ep = arg;
	struct rpc_peer *peer;
	struct wire_pkt pkt;

	ep->stats.packet_in_nr++;
	if (wire_pkt_decode(msg, len, &pkt) != 0) {
		ep->stats.malformed_nr++;
		log_every(1000, LOG_LVL_WARN, "%u bytes arrived that are no packet", len);
		return;
	}
	peer = packet_peer(ep, &pkt);
	if (peer == NULL)
		return;
	packet_take(ep, peer, &pkt, rx);
	rpc_peer_put(peer);
}

static void
ep_ready(void *arg)
{
	rpc_peers_retry(arg);
}

static void
ep_lost(void *arg, void *peer_arg)
{
	rpc_peer_suspect(peer_arg);
}

static void
ep_flush(struct xs_hook *hook)
{
	rpc_peers_flush(hook->arg);
}

/* --- opening and closing ---------------------------------------------------------------------- */

static const struct fab_events ep_events = {
    .recv = ep_recv,
    .ready = ep_ready,
    .lost = ep_lost,
};

int
rpc_ep_open(const struct rpc_ep_conf *conf, struct rpc_ep **ret_ep)
{
	struct fab_ep_conf fab_conf = {.xs = conf->xs, .port = conf->port, .events = &ep_events};
	struct rpc_ep *ep;
	int rc;

	ep = mem_new(struct rpc_ep);
	if (ep == NULL)
		return -DER_NOMEM;
	ep->xs = conf->xs;
	ep->net = conf->net;
	ep->accept_calls = conf->accept_calls;
	ep->stream_nr_max = conf->stream_nr_max != 0 ? conf->stream_nr_max : RPC_STREAM_NR_DEFAULT;
	ep->slot_free = UINT32_MAX;
	ep->fork_gen = fork_gen();
	htable_init(&ep->by_uri);
	htable_init(&ep->by_inc);
	list_init(&ep->peers);
	list_init(&ep->active);
	list_init(&ep->dirty);
	list_init(&ep->blocked);
	list_init(&ep->states);
	list_init(&ep->state_pool);
	list_init(&ep->in_pool);
	list_init(&ep->bulks);
	list_init(&ep->unsettled);
	co_waitq_init(&ep->idle);
	while (ep->inc == 0)
		ep->inc = env_rand_u64(xs_env(conf->xs));
	fab_conf.arg = ep;
	rc = fab_ep_open(conf->net, &fab_conf, &ep->fab);
	if (rc != 0) {
		htable_fini(&ep->by_uri);
		htable_fini(&ep->by_inc);
		free(ep);
		return rc;
	}
	ep->addr = strstr(ep->fab->uri, "://") + 3;
	ep->addr_len = (uint32_t)strlen(ep->addr);
	assert(ep->addr_len > 0 && ep->addr_len <= WIRE_ADDR_MAX);
	xs_timer_init(&ep->tick, ep_tick, ep);
	ep->hook.fn = ep_flush;
	ep->hook.arg = ep;
	xs_hook_add(ep->xs, &ep->hook);
	*ret_ep = ep;
	return 0;
}

/* Someone left: look whether that was the last one closing waits for. */
void
rpc_ep_idle_check(struct rpc_ep *ep)
{
	co_waitq_wake_all(&ep->idle);
}

static bool
ep_drained(struct rpc_ep *ep)
{
	struct rpc_peer *peer;
	struct list *pos;

	list_for_each (pos, &ep->peers) {
		peer = list_entry(pos, struct rpc_peer, link);
		if (peer->tx_nr != 0 || !list_empty(&peer->txq))
			return false;
	}
	return true;
}

static void
ep_free(struct rpc_ep *ep)
{
	xs_hook_del(ep->xs, &ep->hook);
	xs_timer_cancel(&ep->tick);
	rpc_bulks_fini(ep);
	rpc_calls_fini(ep);
	rpc_serve_fini(ep);
	rpc_peers_close(ep);
	fab_ep_close(ep->fab);
	htable_fini(&ep->by_uri);
	htable_fini(&ep->by_inc);
	free(ep);
}

void co_fn
rpc_ep_close(struct rpc_ep *ep)
{
	uint64_t drain_ns;

	if (ep == NULL)
		return;
	assert(!ep->closing && co_self() != NULL);
	ep->closing = true;
	rpc_calls_close(ep);
	rpc_serve_close(ep);
	while (ep->stream_nr != 0 || ep->call_nr != 0)
		(void)co_waitq_wait(&ep->idle, 0);
	/* Let the last replies leave. */
	drain_ns = xs_now_ns(ep->xs) + RPC_DRAIN_NS;
	while (!ep_drained(ep) && xs_now_ns(ep->xs) < drain_ns)
		(void)co_waitq_wait(&ep->idle, drain_ns);
	ep_free(ep);
}

void
rpc_ep_drop(struct rpc_ep *ep)
{
	if (ep == NULL)
		return;
	assert(ep->fork_gen != fork_gen());
	ep->closing = true;
	/* Coroutines of the parent that were waiting are not here to wake up. */
	rpc_calls_drop(ep);
	rpc_serve_drop(ep);
	ep_free(ep);
}

const char *
rpc_ep_uri(const struct rpc_ep *ep)
{
	return ep->fab->uri;
}

void
rpc_ep_stats(const struct rpc_ep *ep, struct rpc_ep_stats *ret_stats)
{
	*ret_stats = ep->stats;
}

/* The port is the last number of the address. */
int
rpc_uri_of_tag(const char *uri, uint32_t tag, char *buf, size_t len)
{
	const char *colon = strrchr(uri, ':');
	unsigned long port;
	char *end;
	int n;

	if (colon == NULL || colon[1] < '0' || colon[1] > '9')
		return -DER_INVAL;
	port = strtoul(colon + 1, &end, 10);
	if (*end != 0 || port == 0 || port + tag > UINT16_MAX)
		return -DER_INVAL;
	n = snprintf(buf, len, "%.*s:%lu", (int)(colon - uri), uri, port + tag);
	return n > 0 && (size_t)n < len ? 0 : -DER_TRUNC;
}
