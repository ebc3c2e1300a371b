/*
 * Fabric: what the RPC layer needs from a network, and nothing more.
 *
 * An endpoint sends and receives whole messages of at most FAB_MSG_MAX bytes, and moves bytes
 * between local memory and memory that a peer registered (RMA). Messages between two endpoints
 * arrive whole and normally in order, but a broken connection loses what was under way without a
 * word: liveness, deadlines and repetition are the business of the layer above.
 *
 * Implementations: TCP sockets (fabric_tcp.c), libfabric for everything else (fabric_ofi.c), and
 * the simulated network (fabric_sim.c).
 *
 * All calls and callbacks happen on the thread of the endpoint's xstream. Callbacks run in the
 * event loop, outside any coroutine, and never from inside a call into the fabric, except those of
 * fab_peer_reset(), which says so.
 */
#ifndef NET_FABRIC_H
#define NET_FABRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <daos_errno.h>

#include "base/list.h"
#include "runtime/xs.h"

enum {
	FAB_MSG_MAX = 49 * 1024, /* bytes of one message */
	FAB_URI_MAX = 96,        /* with the final zero */
	FAB_RMA_IOV_MAX = 4,     /* local segments of one RMA operation */
	FAB_PRIV_WORDS = 36,     /* room for the implementation inside an operation */
};

struct fab_ep;
struct fab_peer; /* the address of a remote endpoint, in the form the implementation wants */
struct fab_rx;   /* a receive buffer */

/* --- messages --------------------------------------------------------------------------------- */

/* A message to send. Owned by the caller until fab_send() returned 0, then by the fabric until
 * done() is called. */
struct fab_tx {
	struct list link; /* for the owner */
	uint8_t *buf;
	uint32_t len;
	uint32_t cap;
	void (*done)(struct fab_tx *tx, int rc); /* the buffer is the owner's again */
	void *arg;                               /* for the owner, and so are these: */
	uint64_t since_ns;
	uint32_t frame_nr;
	uint64_t priv[FAB_PRIV_WORDS];
};

/* What an endpoint tells its owner. */
struct fab_events {
	/* A message arrived; it is valid during the call unless fab_rx_hold() is called. */
	void (*recv)(void *arg, struct fab_rx *rx, const uint8_t *msg, uint32_t len);
	/* Something moved since a call returned -DER_AGAIN: worth trying again. */
	void (*ready)(void *arg);
	/* A connection with the peer broke by itself; what was under way may be lost. Not every
	 * network notices. peer_arg is what fab_peer_open() was given. */
	void (*lost)(void *arg, void *peer_arg);
};

/* --- remote memory ---------------------------------------------------------------------------- */

enum fab_access {
	FAB_REMOTE_READ = 1,
	FAB_REMOTE_WRITE = 2,
};

/* Registered memory. (key, addr + n) is how a peer names its n-th byte. */
struct fab_mr {
	uint64_t key;
	uint64_t addr;
};

/* One transfer: the local pieces against a contiguous remote piece of the same total length. A put
 * is done when the bytes are in the peer's memory. Like fab_tx, owned by the fabric from
 * fab_rma() == 0 until done(). */
struct fab_rma {
	struct list link; /* for the owner */
	bool put;
	uint32_t iov_nr;
	struct iovec iov[FAB_RMA_IOV_MAX];
	uint64_t key;
	uint64_t addr;
	void (*done)(struct fab_rma *op, int rc);
	void *arg;
	uint64_t priv[FAB_PRIV_WORDS];
};

/* --- implementations -------------------------------------------------------------------------- */

struct fab_ep_conf {
	struct xs *xs;
	uint16_t port; /* 0 = any */
	const struct fab_events *events;
	void *arg;
};

struct net;
struct net_ops {
	void (*close)(struct net *net);
	int (*ep_open)(struct net *net, const struct fab_ep_conf *conf, struct fab_ep **ret_ep);
};
struct net {
	const struct net_ops *ops;
	char provider[48];
};

struct fab_ops {
	void (*ep_close)(struct fab_ep *ep);
	int (*peer_open)(struct fab_ep *ep, const char *uri, void *peer_arg,
			 struct fab_peer **ret_peer);
	void (*peer_close)(struct fab_ep *ep, struct fab_peer *peer);
	int (*peer_probe)(struct fab_ep *ep, struct fab_peer *peer);
	int (*peer_reset)(struct fab_ep *ep, struct fab_peer *peer);
	struct fab_tx *(*tx_alloc)(struct fab_ep *ep, uint32_t cap);
	void (*tx_free)(struct fab_ep *ep, struct fab_tx *tx);
	int (*send)(struct fab_ep *ep, struct fab_peer *peer, struct fab_tx *tx);
	void (*rx_hold)(struct fab_ep *ep, struct fab_rx *rx);
	void (*rx_put)(struct fab_ep *ep, struct fab_rx *rx);
	int (*mr_open)(struct fab_ep *ep, void *buf, size_t len, uint32_t access,
		       struct fab_mr **ret_mr);
	void (*mr_close)(struct fab_ep *ep, struct fab_mr *mr);
	int (*rma)(struct fab_ep *ep, struct fab_peer *peer, struct fab_rma *op);
	int (*rma_cancel)(struct fab_ep *ep, struct fab_rma *op); /* NULL: cannot */
};
struct fab_ep {
	const struct fab_ops *ops;
	struct xs *xs;
	const struct fab_events *events;
	void *arg;
	bool revokes; /* fab_mr_close() ends the transfers that have begun, too */
	char uri[FAB_URI_MAX];
};

/* --- calls ------------------------------------------------------------------------------------ */

static inline int
fab_ep_open(struct net *net, const struct fab_ep_conf *conf, struct fab_ep **ret_ep)
{
	return net->ops->ep_open(net, conf, ret_ep);
}

/* Ends everything under way without further callbacks; after return nothing touches local memory,
 * and the buffers of sends and transfers are the caller's (freed with the endpoint's pools). */
static inline void
fab_ep_close(struct fab_ep *ep)
{
	if (ep != NULL)
		ep->ops->ep_close(ep);
}

/* -DER_INVAL for an address of another network. No contact is made. */
static inline int
fab_peer_open(struct fab_ep *ep, const char *uri, void *peer_arg, struct fab_peer **ret_peer)
{
	return ep->ops->peer_open(ep, uri, peer_arg, ret_peer);
}

static inline void
fab_peer_close(struct fab_ep *ep, struct fab_peer *peer)
{
	if (peer != NULL)
		ep->ops->peer_close(ep, peer);
}

/* Is anybody there? 0: yes or no way to know; -DER_UNREACH: certainly nobody (refused);
 * -DER_AGAIN: being found out, ask again in a few milliseconds. */
static inline int
fab_peer_probe(struct fab_ep *ep, struct fab_peer *peer)
{
	return ep->ops->peer_probe(ep, peer);
}

/*
 * Break with the peer: when this returns, nothing the peer sent or asked for before can touch local
 * memory any more, and every send and transfer to it has been ended (their done() may be called
 * from inside this call, or soon after). The next send makes a new connection. -DER_NOSYS where
 * the network cannot do that; there, closing a registration is enough by itself.
 */
static inline int
fab_peer_reset(struct fab_ep *ep, struct fab_peer *peer)
{
	return ep->ops->peer_reset(ep, peer);
}

/* A message buffer of at least cap bytes (cap <= FAB_MSG_MAX); NULL without memory. */
static inline struct fab_tx *
fab_tx_alloc(struct fab_ep *ep, uint32_t cap)
{
	return ep->ops->tx_alloc(ep, cap);
}

static inline void
fab_tx_free(struct fab_ep *ep, struct fab_tx *tx)
{
	if (tx != NULL)
		ep->ops->tx_free(ep, tx);
}

/* 0: accepted. -DER_AGAIN: not now, events->ready() tells when to try again (but nothing does if
 * the peer never answers: use a timer as well). -DER_UNREACH: nobody is there. Otherwise failed. */
static inline int
fab_send(struct fab_ep *ep, struct fab_peer *peer, struct fab_tx *tx)
{
	return ep->ops->send(ep, peer, tx);
}

/* Keep the message of the current recv() callback valid until as many fab_rx_put(). */
static inline void
fab_rx_hold(struct fab_ep *ep, struct fab_rx *rx)
{
	ep->ops->rx_hold(ep, rx);
}

static inline void
fab_rx_put(struct fab_ep *ep, struct fab_rx *rx)
{
	ep->ops->rx_put(ep, rx);
}

static inline int
fab_mr_open(struct fab_ep *ep, void *buf, size_t len, uint32_t access, struct fab_mr **ret_mr)
{
	return ep->ops->mr_open(ep, buf, len, access, ret_mr);
}

/* After return no new transfer reaches the memory; one that had begun may still touch it, unless
 * ep->revokes. See fab_peer_reset(). */
static inline void
fab_mr_close(struct fab_ep *ep, struct fab_mr *mr)
{
	if (mr != NULL)
		ep->ops->mr_close(ep, mr);
}

/* Results as fab_send(). */
static inline int
fab_rma(struct fab_ep *ep, struct fab_peer *peer, struct fab_rma *op)
{
	return ep->ops->rma(ep, peer, op);
}

/* Take back a transfer that has not ended: local memory is not touched any more and done() will not
 * be called. -DER_NOSYS where the network cannot do that: then fab_peer_reset() ends it. */
static inline int
fab_rma_cancel(struct fab_ep *ep, struct fab_rma *op)
{
	return ep->ops->rma_cancel != NULL ? ep->ops->rma_cancel(ep, op) : -DER_NOSYS;
}

#endif
