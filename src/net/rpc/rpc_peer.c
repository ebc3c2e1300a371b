/*
 * Peers: their addresses, what waits to be sent to them, and whether they are still alive.
 *
 * Sending. Frames for one peer are gathered into one message until the end of the loop turn; then
 * the messages are handed to the fabric, at most RPC_PEER_TX_MAX at a time, and what comes
 * meanwhile is gathered again. When the fabric refuses (no connection yet), the peer is tried again
 * at growing intervals, from the fabric's ready event and from the tick, never in a loop.
 *
 * Liveness. A fabric does not tell that a peer died, so while calls wait for a peer:
 *  - after 50 ms without hearing anything, and whenever a connection is slow to come up or a send
 *    was cancelled, fab_peer_probe() asks whether anybody listens there: "refused" ends the calls
 * at once;
 *  - calls that wait longer than 250 ms are named in a ping, once a second. The pong names those
 *    that the peer does not know: their request or reply was lost with a connection, they end with
 *    -DER_UNREACH instead of waiting for their deadline;
 *  - a peer from which nothing comes for 3 s after a ping is given up;
 *  - so is one that cannot be connected to for 1 s.
 * A packet from a new incarnation ends all calls to the old one.
 */
#define LOG_FACILITY "rpc"

#include <assert.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/iov.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/rpc/rpc_internal.h"

/* "anything://addr" -> "addr". */
static const char *
uri_addr(const char *uri)
{
	const char *p = strstr(uri, "://");

	return p != NULL ? p + 3 : uri;
}

static uint64_t
addr_hash(const char *addr, size_t len)
{
	return hash_bytes(addr, len, 0);
}

static struct rpc_peer *
peer_find(struct rpc_ep *ep, const char *addr, size_t len)
{
	struct rpc_peer *peer;
	const char *have;
	struct hnode *n;

	for (n = htable_first(&ep->by_uri, addr_hash(addr, len)); n != NULL; n = htable_next(n)) {
		peer = container_of(n, struct rpc_peer, uri_node);
		have = uri_addr(peer->uri);
		if (strlen(have) == len && memcmp(have, addr, len) == 0)
			return peer;
	}
	return NULL;
}

static bool
peer_idle(const struct rpc_peer *peer)
{
	return peer->ref == 0 && peer->tx_nr == 0 && peer->unsettled_nr == 0 &&
	       list_empty(&peer->txq) && list_empty(&peer->calls) && list_empty(&peer->ins);
}

static void
peer_unhash(struct rpc_peer *peer)
{
	struct rpc_ep *ep = peer->ep;

	htable_remove(&ep->by_uri, &peer->uri_node);
	if (peer->inc != 0)
		htable_remove(&ep->by_inc, &peer->inc_node);
	list_del(&peer->link);
	list_del(&peer->active_link);
	list_del(&peer->dirty_link);
	list_del(&peer->blocked_link);
	fab_peer_close(ep->fab, peer->fab);
	peer->fab = NULL;
	ep->peer_nr--;
}

/* Forget the peers that have been idle longest, down to the bound. */
static void
peers_trim(struct rpc_ep *ep)
{
	struct list *pos, *tmp;
	struct rpc_peer *peer;

	list_for_each_safe (pos, tmp, &ep->peers) {
		if (ep->peer_nr < RPC_PEER_IDLE_MAX)
			break;
		peer = list_entry(pos, struct rpc_peer, link);
		if (!peer_idle(peer))
			continue;
		peer_unhash(peer);
		free(peer);
	}
}

int
rpc_peer_get(struct rpc_ep *ep, const char *uri, struct rpc_peer **ret_peer)
{
	const char *addr = uri_addr(uri);
	size_t len = strlen(addr);
	struct rpc_peer *peer;
	int rc;

	if (ep->closing)
		return -DER_CANCELED;
	peer = peer_find(ep, addr, len);
	if (peer != NULL) {
		peer->ref++;
		*ret_peer = peer;
		return 0;
	}
	if (len == 0 || len > WIRE_ADDR_MAX)
		return -DER_INVAL;
	if (ep->peer_nr >= RPC_PEER_IDLE_MAX)
		peers_trim(ep);
	peer = mem_new(struct rpc_peer);
	if (peer == NULL)
		return -DER_NOMEM;
	rc = snprintf(peer->uri, sizeof(peer->uri), "ofi+%s://%s", net_provider(ep->net), addr);
	if (rc >= (int)sizeof(peer->uri)) {
		free(peer);
		return -DER_INVAL;
	}
	rc = fab_peer_open(ep->fab, peer->uri, peer, &peer->fab);
	if (rc != 0) {
		free(peer);
		return rc;
	}
	peer->ep = ep;
	peer->ref = 1;
	list_init(&peer->active_link);
	list_init(&peer->dirty_link);
	list_init(&peer->blocked_link);
	list_init(&peer->txq);
	list_init(&peer->calls);
	list_init(&peer->ins);
	list_push_back(&ep->peers, &peer->link);
	htable_insert(&ep->by_uri, &peer->uri_node, addr_hash(addr, len));
	ep->peer_nr++;
	*ret_peer = peer;
	return 0;
}

void
rpc_peer_hold(struct rpc_peer *peer)
{
	peer->ref++;
}

void
rpc_peer_put(struct rpc_peer *peer)
{
	if (peer == NULL)
		return;
	assert(peer->ref > 0);
	if (--peer->ref > 0)
		return;
	if (peer->ep == NULL) {
		free(peer);
		return;
	}
	list_del(&peer->link);
	list_push_back(&peer->ep->peers, &peer->link);
}

struct rpc_peer *
rpc_peer_by_inc(struct rpc_ep *ep, uint64_t inc)
{
	struct rpc_peer *peer;
	struct hnode *n;

	for (n = htable_first(&ep->by_inc, hash_u64(inc)); n != NULL; n = htable_next(n)) {
		peer = container_of(n, struct rpc_peer, inc_node);
		if (peer->inc == inc)
			return peer;
	}
	return NULL;
}

/*
 * Somebody new lives at the peer's address: calls made to the one before have lost their answer.
 * Those made while in doubt who would be there go on; if the old one got them after all, a ping
 * finds out.
 */
void
rpc_peer_set_inc(struct rpc_peer *peer, uint64_t inc)
{
	struct rpc_call_state *st;
	struct list *pos, *tmp;

	if (peer->inc != 0) {
		htable_remove(&peer->ep->by_inc, &peer->inc_node);
		peer->old_inc = peer->inc;
		rpc_unsettled_clear(peer);
		list_for_each_safe (pos, tmp, &peer->calls) {
			st = list_entry(pos, struct rpc_call_state, peer_link);
			if (st->inc != 0)
				rpc_call_end(st, -DER_UNREACH);
		}
	}
	peer->inc = inc;
	htable_insert(&peer->ep->by_inc, &peer->inc_node, hash_u64(inc));
}

/* --- sending ---------------------------------------------------------------------------------- */

void
rpc_peer_activate(struct rpc_peer *peer)
{
	if (list_empty(&peer->active_link))
		list_push_back(&peer->ep->active, &peer->active_link);
}

static void
peer_set_dirty(struct rpc_peer *peer)
{
	if (list_empty(&peer->dirty_link))
		list_push_back(&peer->ep->dirty, &peer->dirty_link);
}

static void
peer_unblock(struct rpc_peer *peer)
{
	peer->blocked_ns = 0;
	list_del(&peer->blocked_link);
}

/* Something went wrong on the way to the peer: find out now. */
void
rpc_peer_suspect(struct rpc_peer *peer)
{
	struct rpc_ep *ep = peer->ep;

	if (list_empty(&peer->calls) && list_empty(&peer->txq))
		return;
	peer->ping_now = true;
	peer->probe_ns = 1;
	rpc_peer_activate(peer);
	rpc_ep_tick_by(ep, xs_now_ns(ep->xs));
}

static void
tx_done(struct fab_tx *tx, int rc)
{
	struct rpc_peer *peer = tx->arg;
	struct rpc_ep *ep = peer->ep;

	peer->tx_nr--;
	fab_tx_free(ep->fab, tx);
	if (rc != 0)
		rpc_peer_suspect(peer);
	if (!list_empty(&peer->txq))
		peer_set_dirty(peer);
	if (ep->closing)
		rpc_ep_idle_check(ep);
}

/* A message with room for a frame of that size: the one being gathered, or a new one. */
static struct fab_tx *
peer_tx(struct rpc_peer *peer, uint32_t size)
{
	struct rpc_ep *ep = peer->ep;
	struct fab_tx *tx;
	uint32_t need;

	if (!list_empty(&peer->txq)) {
		tx = list_entry(peer->txq.prev, struct fab_tx, link);
		if (size <= tx->cap - tx->len && tx->frame_nr < UINT16_MAX)
			return tx;
	}
	need = wire_pkt_size(ep->addr_len) + size;
	if (need <= RPC_TX_SMALL && list_empty(&peer->txq))
		need = RPC_TX_SMALL;
	else
		need = FAB_MSG_MAX;
	tx = fab_tx_alloc(ep->fab, need);
	if (tx == NULL)
		return NULL;
	tx->len = wire_pkt_encode(tx->buf, ep->inc, peer->inc, ep->addr, ep->addr_len);
	tx->frame_nr = 0;
	tx->since_ns = xs_now_ns(ep->xs);
	tx->done = tx_done;
	tx->arg = peer;
	list_push_back(&peer->txq, &tx->link);
	peer->txq_bytes += tx->len;
	return tx;
}

int
rpc_peer_queue(struct rpc_peer *peer, const struct wire_frame *frame, const struct iovec *body,
	       uint32_t body_nr)
{
	uint32_t size = wire_frame_size(frame->body_len);
	struct fab_tx *tx;
	uint8_t *p;
	uint32_t i;

	if (peer->txq_bytes + size > RPC_PEER_QUEUE_MAX)
		return -DER_AGAIN;
	tx = peer_tx(peer, size);
	if (tx == NULL)
		return -DER_NOMEM;
	p = wire_frame_encode(tx->buf + tx->len, frame);
	for (i = 0; i < body_nr; i++) {
		if (body[i].iov_len != 0)
			memcpy(p, body[i].iov_base, body[i].iov_len);
		p += body[i].iov_len;
	}
	tx->len += size;
	tx->frame_nr++;
	peer->txq_bytes += size;
	peer_set_dirty(peer);
	return 0;
}

/* Requests that waited in the queue have less time left than they say. */
static void
tx_age(struct fab_tx *tx, uint64_t now, uint32_t hdr)
{
	uint64_t older_ms = (now - tx->since_ns) / MSEC;
	uint32_t off = hdr;

	if (older_ms < 10)
		return;
	while (off < tx->len)
		off += wire_frame_age(tx->buf + off, (uint32_t)older_ms);
	tx->since_ns += older_ms * MSEC;
}

static void
peer_blocked(struct rpc_peer *peer, uint64_t now)
{
	struct rpc_ep *ep = peer->ep;

	if (peer->blocked_ns == 0) {
		peer->blocked_ns = now;
		peer->retry_gap_ns = RPC_RETRY_MIN_NS;
		list_push_back(&ep->blocked, &peer->blocked_link);
	} else if (peer->retry_gap_ns < RPC_RETRY_MAX_NS) {
		peer->retry_gap_ns *= 2;
	}
	peer->retry_ns = now + peer->retry_gap_ns;
	rpc_peer_activate(peer);
	rpc_ep_tick_by(ep, peer->retry_ns);
}

static void
peer_flush(struct rpc_peer *peer)
{
	struct rpc_ep *ep = peer->ep;
	uint64_t now = xs_now_ns(ep->xs);
	struct fab_tx *tx;
	int rc;

	while (!list_empty(&peer->txq) && peer->tx_nr < RPC_PEER_TX_MAX) {
		tx = list_first(&peer->txq, struct fab_tx, link);
		tx_age(tx, now, wire_pkt_size(ep->addr_len));
		wire_pkt_finish(tx->buf, tx->frame_nr, tx->len, peer->doubt ? 0 : peer->inc);
		rc = fab_send(ep->fab, peer->fab, tx);
		if (rc == -DER_AGAIN) {
			peer_blocked(peer, now);
			return;
		}
		list_del(&tx->link);
		peer->txq_bytes -= tx->len;
		if (rc != 0) {
			fab_tx_free(ep->fab, tx);
			if (rc == -DER_UNREACH) {
				rpc_peer_fail(peer);
				return;
			}
			log_every(1000, LOG_LVL_WARN, "send to %s: " ERR_F, peer->uri, ERR_P(rc));
			rpc_peer_suspect(peer);
			continue;
		}
		peer->tx_nr++;
		ep->stats.packet_out_nr++;
		ep->stats.frame_out_nr += tx->frame_nr;
	}
	peer_unblock(peer);
}

void
rpc_peers_flush(struct rpc_ep *ep)
{
	struct rpc_peer *peer;

	while ((peer = list_first(&ep->dirty, struct rpc_peer, dirty_link)) != NULL) {
		list_del(&peer->dirty_link);
		if (peer->blocked_ns == 0)
			peer_flush(peer);
	}
}

void
rpc_peers_retry(struct rpc_ep *ep)
{
	uint64_t now = xs_now_ns(ep->xs);
	struct list *pos, *tmp;
	struct rpc_peer *peer;

	list_for_each_safe (pos, tmp, &ep->blocked) {
		peer = list_entry(pos, struct rpc_peer, blocked_link);
		if (now >= peer->retry_ns)
			peer_flush(peer);
	}
}

/* --- liveness --------------------------------------------------------------------------------- */

void
rpc_peer_heard(struct rpc_peer *peer)
{
	peer->heard_ns = xs_now_ns(peer->ep->xs);
	peer->ping_silent_ns = 0;
	peer->probe_ns = 0;
	peer->doubt = false;
}

int
rpc_peer_break(struct rpc_peer *peer)
{
	int rc = fab_peer_reset(peer->ep->fab, peer->fab);

	if (rc == 0)
		peer->ep->stats.reset_nr++;
	rpc_unsettled_clear(peer);
	return rc;
}

void
rpc_peer_fail(struct rpc_peer *peer)
{
	struct rpc_ep *ep = peer->ep;
	struct rpc_call_state *st;
	struct fab_tx *tx;

	ep->stats.unreach_nr++;
	peer->doubt = true;
	while ((tx = list_first(&peer->txq, struct fab_tx, link)) != NULL) {
		list_del(&tx->link);
		fab_tx_free(ep->fab, tx);
	}
	peer->txq_bytes = 0;
	peer_unblock(peer);
	(void)rpc_peer_break(peer);
	while ((st = list_first(&peer->calls, struct rpc_call_state, peer_link)) != NULL)
		rpc_call_end(st, -DER_UNREACH);
	peer->ping_silent_ns = 0;
	peer->ping_now = false;
	peer->probe_ns = 0;
}

static void
peer_ping(struct rpc_peer *peer, uint64_t now)
{
	struct wire_frame frame = {.type = WIRE_PING, .id = ++peer->ping_seq};
	uint64_t ids[RPC_PING_IDS];
	struct rpc_call_state *st;
	struct iovec body;
	struct list *pos;
	uint32_t nr = 0;

	list_for_each (pos, &peer->calls) {
		st = list_entry(pos, struct rpc_call_state, peer_link);
		if (nr == RPC_PING_IDS ||
		    (!peer->ping_now && now - st->sent_ns < RPC_PING_FIRST_NS))
			break;
		ids[nr++] = htole64(st->id);
	}
	body.iov_base = ids;
	body.iov_len = nr * sizeof(ids[0]);
	frame.body_len = (uint32_t)body.iov_len;
	peer->ping_ns = now;
	if (peer->ping_silent_ns == 0)
		peer->ping_silent_ns = now;
	peer->ping_now = false;
	/* Not sent for want of room or memory: then there is silence enough. */
	(void)rpc_peer_queue(peer, &frame, &body, 1);
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* True when nobody is there; otherwise *next says when to ask again. */
static bool
peer_probe(struct rpc_peer *peer, uint64_t now, uint64_t *next)
{
	int rc;

	if (now < peer->probe_ns) {
		*next = earlier(*next, peer->probe_ns);
		return false;
	}
	rc = fab_peer_probe(peer->ep->fab, peer->fab);
	if (rc == -DER_UNREACH)
		return true;
	if (rc == -DER_AGAIN) {
		peer->probe_ns = now + RPC_PROBE_AGAIN_NS;
	} else {
		if (peer->probe_ns <= 1)
			peer->probe_gap_ns = RPC_PROBE_FIRST_NS;
		else
			peer->probe_gap_ns = earlier(2 * peer->probe_gap_ns, RPC_PING_EVERY_NS);
		peer->probe_ns = now + peer->probe_gap_ns;
	}
	*next = earlier(*next, peer->probe_ns);
	return false;
}

/* The part about calls that wait. */
static bool
peer_check_calls(struct rpc_peer *peer, uint64_t now, uint64_t *next)
{
	struct rpc_call_state *oldest;
	uint64_t quiet_ns;
	uint64_t ping_ns;

	oldest = list_first(&peer->calls, struct rpc_call_state, peer_link);
	quiet_ns = peer->heard_ns > oldest->sent_ns ? peer->heard_ns : oldest->sent_ns;
	if (peer->probe_ns != 0 || now - quiet_ns >= RPC_PROBE_FIRST_NS) {
		if (peer_probe(peer, now, next))
			return true;
	} else {
		*next = earlier(*next, quiet_ns + RPC_PROBE_FIRST_NS);
	}
	if (peer->ping_silent_ns != 0) {
		if (now - peer->ping_silent_ns >= RPC_PING_DEAD_NS)
			return true;
		*next = earlier(*next, peer->ping_silent_ns + RPC_PING_DEAD_NS);
	}
	ping_ns = oldest->sent_ns + RPC_PING_FIRST_NS;
	if (ping_ns < peer->ping_ns + RPC_PING_EVERY_NS)
		ping_ns = peer->ping_ns + RPC_PING_EVERY_NS;
	if (peer->ping_now || now >= ping_ns) {
		peer_ping(peer, now);
		ping_ns = now + RPC_PING_EVERY_NS;
	}
	*next = earlier(*next, ping_ns);
	return false;
}

static uint64_t
peer_expire(struct rpc_peer *peer, uint64_t now)
{
	struct rpc_call_state *st;
	struct list *pos, *tmp;
	uint64_t next = UINT64_MAX;

	list_for_each_safe (pos, tmp, &peer->calls) {
		st = list_entry(pos, struct rpc_call_state, peer_link);
		if (now >= st->deadline_ns)
			rpc_call_end(st, -DER_TIMEDOUT);
		else
			next = earlier(next, st->deadline_ns);
	}
	return next;
}

uint64_t
rpc_peer_check(struct rpc_peer *peer, uint64_t now)
{
	uint64_t next = peer_expire(peer, now);
	bool dead = false;

	if (list_empty(&peer->calls) && peer->blocked_ns == 0) {
		peer->ping_now = false;
		peer->ping_silent_ns = 0;
		peer->probe_ns = 0;
		list_del(&peer->active_link);
		return UINT64_MAX;
	}
	if (peer->blocked_ns != 0) {
		if (peer->probe_ns == 0 && now - peer->blocked_ns >= 2 * MSEC)
			peer->probe_ns = 1;
		dead = peer->tx_nr == 0 && now - peer->blocked_ns >= RPC_BLOCKED_NS;
		if (!dead && peer->probe_ns != 0)
			dead = peer_probe(peer, now, &next);
		next = earlier(next, earlier(peer->retry_ns, peer->blocked_ns + RPC_BLOCKED_NS));
		if (peer->tx_nr != 0)
			next = earlier(next, now + RPC_BLOCKED_NS);
	}
	if (!dead && !list_empty(&peer->calls))
		dead = peer_check_calls(peer, now, &next);
	if (!dead)
		return next;
	log_info("%s is unreachable", peer->uri);
	rpc_peer_fail(peer);
	list_del(&peer->active_link);
	return UINT64_MAX;
}

void
rpc_peer_pong(struct rpc_peer *peer, const struct wire_frame *frame)
{
	uint32_t i;

	for (i = 0; i < frame->body_len / 8; i++)
		rpc_call_unknown(peer, wire_frame_id_at(frame, i));
}

/* The endpoint closes: its fabric is gone. Peers still referred to outlive it as shells. */
void
rpc_peers_close(struct rpc_ep *ep)
{
	struct rpc_peer *peer;
	struct fab_tx *tx;

	while ((peer = list_first(&ep->peers, struct rpc_peer, link)) != NULL) {
		/* What could not leave while the endpoint drained. */
		while ((tx = list_first(&peer->txq, struct fab_tx, link)) != NULL) {
			list_del(&tx->link);
			fab_tx_free(ep->fab, tx);
		}
		peer_unhash(peer);
		peer->ep = NULL;
		if (peer->ref == 0)
			free(peer);
	}
}
