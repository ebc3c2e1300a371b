/*
 * Remote procedure calls between xstreams of engines and clients.
 *
 * A request: fixed header (magic, version, opcode, request id, sender's address, tag, map version,
 * hybrid clock, lengths) plus an inline body of at most RPC_INLINE_MAX bytes. Larger data never
 * travels in a body: the client registers its memory (rpc_bulk) and the server pulls or pushes it.
 * The body's encoding is the business of proto/.
 *
 * One rpc_ep per xstream: it owns the fabric endpoint, the table of calls under way, the handlers
 * and the per-peer send queues. Used only from its xstream (handlers run there as coroutines).
 * Small requests and replies queued in one loop turn for the same peer leave as one message.
 *
 * Every call has a deadline, which covers time spent queued; a peer whose process is gone, or that
 * does not answer liveness pings while a call is outstanding, fails its calls with -DER_UNREACH at
 * once; callers decide about retries. rpc_call_send returns only after its buffers can no longer be
 * touched by the peer.
 */
#ifndef NET_RPC_H
#define NET_RPC_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <sys/uio.h>

#include "runtime/co.h"
#include "runtime/xs.h"

enum {
	RPC_INLINE_MAX = 48 * 1024, /* body bytes of a request or reply */
	RPC_URI_MAX = 96,           /* with the final zero */
	RPC_BULK_SEG_MAX = 256,     /* segments of one bulk; more are coalesced by the caller */
	RPC_DEADLINE_DEFAULT_MS = 60000,
};

/* A network: real, of one provider, or simulated. Shared by the endpoints
 * of a process. */
struct net;
struct net_conf {
	/* NULL, "ofi+tcp", "ofi+tcp;ofi_rxm", "ofi+sockets": TCP sockets. Any other name, with or
	 * without "ofi+", is libfabric's provider of that name ("ofi+net": its own TCP). */
	const char *provider;
	/* "lo", "eth0"; a comma list is refused. NULL: the first that is up, loopback if there is
	 * no other. */
	const char *interface;
};
int net_open_fabric(const struct net_conf *conf, struct net **ret_net);
void net_close(struct net *net);
const char *net_provider(const struct net *net);

/* The simulated network (net/fabric/sim.h has the faults). node names the simulated host of the
 * endpoints opened through the returned net. */
struct sim_net;
struct sim;
int sim_net_create(struct sim *sim, struct sim_net **ret_net);
void sim_net_destroy(struct sim_net *sn);
int net_open_sim(struct sim_net *sn, uint32_t node, struct net **ret_net);

/* --- endpoint --------------------------------------------------------------------------------- */
struct rpc_ep;
struct rpc_ep_conf {
	struct xs *xs;
	struct net *net;
	uint16_t port;     /* 0 = any; an engine listens on base port + tag */
	bool accept_calls; /* false: a client: only replies and bulk arrive; requests are refused */
	uint32_t stream_nr_max; /* bound on handler coroutines at a time, 0 = default (4096); beyond
				   it: -DER_AGAIN */
};
int rpc_ep_open(const struct rpc_ep_conf *conf, struct rpc_ep **ret_ep);
/* Ends every outstanding call with -DER_CANCELED, refuses new ones, waits for handlers to finish.
 */
void co_fn rpc_ep_close(struct rpc_ep *ep);
/* In a child of fork(), whose copy of the xstream never runs again: close this process's copies of
 * the descriptors and free what can be freed, without a sign to anybody. Instead of close. */
void rpc_ep_drop(struct rpc_ep *ep);
/* This endpoint's own address, e.g. "ofi+net://127.0.0.1:31416". */
const char *rpc_ep_uri(const struct rpc_ep *ep);
struct rpc_ep_stats {
	uint64_t packet_out_nr;
	uint64_t packet_in_nr;
	uint64_t frame_out_nr;
	uint64_t frame_in_nr;
	uint64_t malformed_nr; /* packets and frames dropped because they made no sense */
	uint64_t stale_nr;     /* late, doubled or meant for an earlier incarnation */
	uint64_t dropped_nr;   /* replies dropped because their receiver does not take them */
	uint64_t unreach_nr;   /* times a peer was given up */
	uint64_t reset_nr;     /* connections broken to be sure of a caller's memory */
};
void rpc_ep_stats(const struct rpc_ep *ep, struct rpc_ep_stats *ret_stats);
/* The address of tag t of an engine whose tag 0 is at uri (port + t for IP providers). */
int rpc_uri_of_tag(const char *uri, uint32_t tag, char *buf, size_t len);

/* Peers are cached per endpoint and reference counted. */
struct rpc_peer;
int rpc_peer_get(struct rpc_ep *ep, const char *uri, struct rpc_peer **ret_peer);
void rpc_peer_put(struct rpc_peer *peer);

/* --- bulk ------------------------------------------------------------------------------------- */
enum rpc_bulk_access {
	RPC_BULK_READ = 1,  /* the peer may read it (writes by the application) */
	RPC_BULK_WRITE = 2, /* the peer may write it */
};
struct rpc_bulk; /* local registered memory */
/* What travels: produced by rpc_bulk_encode, opaque bytes inside a body. */
struct rpc_bulk_desc {
	const uint8_t *bytes;
	uint32_t len;
};
int rpc_bulk_create(struct rpc_ep *ep, const struct iovec *iov, uint32_t iov_nr, uint32_t access,
		    struct rpc_bulk **ret_bulk);
/* Closes the registration: after return no peer touches the memory. */
void rpc_bulk_destroy(struct rpc_bulk *bulk);
struct rpc_bulk_desc rpc_bulk_describe(const struct rpc_bulk *bulk);
uint64_t rpc_bulk_desc_size(const struct rpc_bulk_desc *desc); /* total bytes, 0 if malformed */

/* --- calling ---------------------------------------------------------------------------------- */
/* Zero what is not set. May be sent again, with or without rpc_call_fini() between. */
struct rpc_call {
	/* in */
	uint32_t opc;
	uint32_t map_ver;
	uint64_t hlc;             /* sender's hybrid clock, 0 = none */
	const struct iovec *body; /* pieces of the request body, copied or sent before return */
	uint32_t body_nr;
	uint64_t deadline_ns; /* monotonic; 0 = RPC_DEADLINE_DEFAULT_MS from now */
	/* out */
	int status; /* the handler's code, valid when rpc_call_send returned 0 */
	uint32_t reply_map_ver;
	uint64_t reply_hlc;
	const uint8_t *reply; /* body of the reply, owned by the call until rpc_call_fini */
	uint32_t reply_len;
	void *priv; /* the RPC layer's */
};
/* Send and wait for the reply. Returns 0 when a reply came (look at status), else the transport's
 * error: -DER_TIMEDOUT, -DER_UNREACH, -DER_CANCELED, -DER_INVAL (too large), -DER_PROTO. */
int co_fn rpc_call_send(struct rpc_ep *ep, struct rpc_peer *peer, struct rpc_call *call);
/* From another coroutine: make rpc_call_send of this call return -DER_CANCELED soon. */
void rpc_call_cancel(struct rpc_call *call);
void rpc_call_fini(struct rpc_call *call);

/* --- serving ---------------------------------------------------------------------------------- */
struct rpc_in { /* a request being handled */
	struct rpc_ep *ep;
	uint32_t opc;
	uint32_t map_ver;
	uint64_t hlc;
	const uint8_t *body;
	uint32_t body_len;
	struct rpc_peer *peer; /* where the reply and bulk go */
	uint64_t deadline_ns;  /* the caller waits no longer than this (monotonic) */
	void *priv;            /* the handler's */
};
/* Runs in a coroutine of its own. Must call rpc_reply exactly once (or return without: then
 * -DER_MISC is sent). */
typedef void (*rpc_handler_t)(struct rpc_in *in, void *arg);
int rpc_register(struct rpc_ep *ep, uint32_t opc, rpc_handler_t handler, void *arg);
/* body pieces are copied or sent before return. After it, in->body may no longer be used. */
void rpc_reply(struct rpc_in *in, int status, const struct iovec *body, uint32_t body_nr);
void rpc_reply_set(struct rpc_in *in, uint32_t map_ver,
		   uint64_t hlc); /* header fields of the reply, before rpc_reply */

/* The caller has given up (or its deadline has passed): a reply would find nobody. */
bool rpc_in_cancelled(const struct rpc_in *in);

/* Move data between local memory and the caller's bulk, starting at remote_off. Fails with
 * -DER_TIMEDOUT when the client does not make progress until deadline_ns (0 = 60 s). */
int co_fn rpc_bulk_pull(struct rpc_in *in, const struct rpc_bulk_desc *desc, uint64_t remote_off,
			const struct iovec *local, uint32_t local_nr, uint64_t deadline_ns);
int co_fn rpc_bulk_push(struct rpc_in *in, const struct rpc_bulk_desc *desc, uint64_t remote_off,
			const struct iovec *local, uint32_t local_nr, uint64_t deadline_ns);

#endif
