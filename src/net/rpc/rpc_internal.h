/*
 * Inside of the RPC layer: who owns what, and the calls between its files.
 *
 *	rpc_ep.c     endpoint: opening, closing, taking packets apart, the tick
 *	rpc_peer.c   peers: addresses, send queues, liveness
 *	rpc_call.c   calls this side makes
 *	rpc_serve.c  requests this side handles
 *	rpc_bulk.c   registered memory and transfers
 */
#ifndef NET_RPC_INTERNAL_H
#define NET_RPC_INTERNAL_H

#include "base/htable.h"
#include "base/list.h"
#include "net/fabric/fabric.h"
#include "net/rpc/rpc.h"
#include "net/rpc/wire.h"
#include "runtime/co.h"
#include "runtime/xs.h"

#define MSEC 1000000ull
#define SEC  1000000000ull

enum {
	RPC_COPY_MAX = 1024, /* bodies up to this are copied out of the receive buffer */
	RPC_RX_HELD_MAX = 6, /* receive buffers that may be kept; beyond it bodies are copied */
	RPC_TX_SMALL = 4096, /* buffer that small frames are gathered in */
	RPC_PEER_TX_MAX = 8, /* messages to one peer that the fabric works on at a time */
	RPC_PEER_QUEUE_MAX = 8 << 20, /* bytes queued for one peer */
	RPC_PEER_IDLE_MAX = 4096,     /* peers kept that nobody refers to */
	RPC_CALL_NR_MAX = 1 << 16,    /* calls under way of one endpoint */
	RPC_STREAM_NR_DEFAULT = 4096,
	RPC_PING_IDS = 256,
	RPC_POOL_MAX = 256, /* idle call and request records kept */
	RPC_OPC_PAGE = 256,
	RPC_OPC_PAGES = 256,
};

/* Liveness. See rpc_peer.c. */
#define RPC_PROBE_FIRST_NS (50 * MSEC)
#define RPC_PROBE_AGAIN_NS (1 * MSEC)
#define RPC_PING_FIRST_NS  (250 * MSEC)
#define RPC_PING_EVERY_NS  (1 * SEC)
#define RPC_PING_DEAD_NS   (3 * SEC)
#define RPC_BLOCKED_NS     (1 * SEC)
#define RPC_RETRY_MIN_NS   (100000ull)
#define RPC_RETRY_MAX_NS   (10 * MSEC)
#define RPC_SETTLE_NS      (200 * MSEC)
#define RPC_DRAIN_NS       (200 * MSEC)
#define RPC_BREAK_NS       (500 * MSEC)

struct rpc_op {
	rpc_handler_t handler;
	void *arg;
};

struct rpc_slot {
	struct rpc_call_state *call; /* NULL = free */
	uint64_t gen;                /* of the present or next user; never 0 */
	uint32_t next_free;
};

struct rpc_ep {
	struct xs *xs;
	struct net *net;
	struct fab_ep *fab;
	uint64_t inc; /* this endpoint's incarnation */
	bool accept_calls;
	bool closing;
	uint32_t fork_gen;
	const char *addr; /* uri without the provider */
	uint32_t addr_len;

	struct htable by_uri;
	struct htable by_inc;
	struct list peers;   /* all, least recently made idle first */
	struct list active;  /* those the tick looks after */
	struct list dirty;   /* with something to send at the end of this turn */
	struct list blocked; /* with something the fabric would not take */
	uint32_t peer_nr;

	struct rpc_slot *slots;
	uint32_t slot_nr;
	uint32_t slot_free; /* first free, UINT32_MAX = none */
	uint32_t call_nr;   /* coroutines inside rpc_call_send() */
	struct list states; /* every rpc_call_state in use */
	struct list state_pool;
	uint32_t state_pool_nr;

	struct rpc_op *ops[RPC_OPC_PAGES]; /* by opc / RPC_OPC_PAGE */
	uint32_t stream_nr;
	uint32_t stream_nr_max;
	struct list in_pool;
	uint32_t in_pool_nr;
	uint32_t rx_held_nr;

	struct list bulks;
	struct list unsettled; /* calls that ended without an answer, see rpc_call.c */
	uint64_t call_seq;
	uint64_t key_secret;

	struct co_waitq idle; /* closing: woken when stream_nr, call_nr or a queue shrinks */
	struct xs_hook hook;
	struct xs_timer tick;

	struct rpc_ep_stats stats;
};

/*
 * A peer. Invariants: txq non-empty or calls non-empty or unsettled_nr > 0 => on ep->active;
 * fab != NULL; in by_inc exactly when inc != 0.
 */
struct rpc_peer {
	struct rpc_ep *ep; /* NULL after the endpoint was closed under a reference */
	struct list link;
	struct list active_link;
	struct list dirty_link;
	struct list blocked_link;
	struct hnode uri_node;
	struct hnode inc_node;
	uint32_t ref;
	char uri[RPC_URI_MAX];
	struct fab_peer *fab;
	uint64_t inc;     /* 0 = nothing heard yet */
	uint64_t old_inc; /* the one before, whose stragglers are dropped */
	bool doubt;       /* given up: whoever answers next may be another incarnation */

	struct list txq; /* fab_tx not yet taken by the fabric; the last may still grow */
	uint64_t txq_bytes;
	uint32_t tx_nr; /* taken, not yet done */

	struct list calls; /* rpc_call_state waiting for this peer, oldest first */
	struct list ins;   /* requests of this peer being handled */
	uint32_t unsettled_nr;

	uint64_t heard_ns;       /* last time anything came from it */
	uint64_t ping_ns;        /* last ping sent, 0 = none */
	uint64_t ping_silent_ns; /* first ping since it was last heard, 0 = none */
	uint64_t ping_seq;
	bool ping_now;     /* something looks wrong: do not wait for the usual time */
	uint64_t probe_ns; /* next probe, 0 = not in a quiet period */
	uint64_t probe_gap_ns;
	uint64_t blocked_ns; /* since when the fabric has refused, 0 = it does not */
	uint64_t retry_ns;
	uint64_t retry_gap_ns;
};

struct rpc_call_state {
	struct list link; /* ep->states or ep->state_pool */
	struct list peer_link;
	struct rpc_ep *ep; /* NULL after the endpoint was closed */
	struct rpc_peer *peer;
	struct rpc_call *call;
	struct co *waiter;
	uint64_t id;
	uint64_t seq;
	uint64_t inc; /* whom it was meant for, 0 = whoever is there */
	uint64_t sent_ns;
	uint64_t deadline_ns;
	int rc;
	bool done;
	struct fab_rx *rx; /* holds the reply, or */
	uint8_t *heap;     /* owns the reply, or neither: copy */
	uint8_t copy[RPC_COPY_MAX];
};

/* A request being handled. */
struct rpc_in_state {
	struct rpc_in in; /* first */
	struct list link; /* peer->ins or ep->in_pool */
	uint64_t id;
	bool replied;
	bool cancelled;    /* the caller gave up: no new transfers */
	bool cancel_ack;   /* tell it when the last transfer is over */
	uint32_t rma_nr;   /* pieces of transfers under way */
	struct list xfers; /* its transfers, see rpc_bulk.c */
	uint32_t reply_map_ver;
	uint64_t reply_hlc;
	rpc_handler_t handler;
	void *arg;
	struct fab_rx *rx;
	uint8_t *heap;
	uint8_t copy[RPC_COPY_MAX];
};

/* A call that ended without an answer while memory was registered. */
struct rpc_unsettled {
	struct list link;
	struct rpc_peer *peer; /* referenced */
	uint64_t id;
	uint64_t seq;
	struct co_future *settled; /* of the coroutine still inside rpc_call_send(), NULL = left */
};

/* --- rpc_ep.c --------------------------------------------------------------------------------- */
/* Have the tick run at t or earlier. */
void rpc_ep_tick_by(struct rpc_ep *ep, uint64_t t);
void rpc_ep_idle_check(struct rpc_ep *ep);
/* Keep a body beyond the recv callback: copy is used for small ones. NULL: no memory. */
const uint8_t *rpc_body_keep(struct rpc_ep *ep, struct fab_rx *rx, const uint8_t *body,
			     uint32_t len, uint8_t *copy, struct fab_rx **ret_rx,
			     uint8_t **ret_heap);
void rpc_body_drop(struct rpc_ep *ep, struct fab_rx **rx, uint8_t **heap);

/* --- rpc_peer.c ------------------------------------------------------------------------------- */
struct rpc_peer *rpc_peer_by_inc(struct rpc_ep *ep, uint64_t inc);
void rpc_peer_set_inc(struct rpc_peer *peer, uint64_t inc);
void rpc_peer_hold(struct rpc_peer *peer);
/* Queue a frame; body pieces are copied. */
int rpc_peer_queue(struct rpc_peer *peer, const struct wire_frame *frame, const struct iovec *body,
		   uint32_t body_nr);
void rpc_peer_heard(struct rpc_peer *peer);
/* Something went wrong on the way to the peer: find out now whether it is there. */
void rpc_peer_suspect(struct rpc_peer *peer);
void rpc_peer_activate(struct rpc_peer *peer);
/* The peer is gone: all that waits for it ends with -DER_UNREACH, what is queued is dropped, its
 * connection is broken. */
void rpc_peer_fail(struct rpc_peer *peer);
/* fab_peer_reset() and what follows from it. */
int rpc_peer_break(struct rpc_peer *peer);
/* Liveness of one active peer; returns when to look again. */
uint64_t rpc_peer_check(struct rpc_peer *peer, uint64_t now);
void rpc_peers_flush(struct rpc_ep *ep);
void rpc_peers_retry(struct rpc_ep *ep);
void rpc_peer_pong(struct rpc_peer *peer, const struct wire_frame *frame);
void rpc_peers_close(struct rpc_ep *ep);

/* --- rpc_call.c ------------------------------------------------------------------------------- */
void rpc_call_reply(struct rpc_peer *peer, const struct wire_frame *frame, struct fab_rx *rx);
void rpc_call_end(struct rpc_call_state *st, int rc);
void rpc_call_unknown(struct rpc_peer *peer, uint64_t id);
void rpc_call_cancelled(struct rpc_peer *peer, uint64_t id);
/* Nothing of this peer can touch local memory any more. */
void rpc_unsettled_clear(struct rpc_peer *peer);
void rpc_calls_close(struct rpc_ep *ep);
void rpc_calls_drop(struct rpc_ep *ep);
void rpc_calls_fini(struct rpc_ep *ep);

/* --- rpc_serve.c ------------------------------------------------------------------------------ */
void rpc_serve_request(struct rpc_peer *peer, const struct wire_frame *frame, struct fab_rx *rx);
void rpc_serve_refuse(struct rpc_peer *peer, uint64_t id, int status);
void rpc_serve_cancel(struct rpc_peer *peer, uint64_t id);
bool rpc_serve_knows(const struct rpc_peer *peer, uint64_t id);
void rpc_serve_settle(struct rpc_in_state *is);
/* Closing: end the transfers of all handlers. */
void rpc_serve_close(struct rpc_ep *ep);
void rpc_serve_drop(struct rpc_ep *ep);
void rpc_serve_fini(struct rpc_ep *ep);

/* --- rpc_bulk.c ------------------------------------------------------------------------------- */
void rpc_bulks_fini(struct rpc_ep *ep);
/* End the transfers made for a request with rc. */
void rpc_bulk_wake(struct rpc_in_state *is, int rc);

#endif
