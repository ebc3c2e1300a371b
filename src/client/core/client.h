/*
 * A client: what one process (or one simulated node) is to the system. It knows where the system
 * is, holds the handles, and lends contexts.
 *
 * Context: an xstream without a thread and its rpc endpoint. Whoever waits for an operation drives
 * the context the operation runs on; there are no hidden threads. A blocking call uses the context
 * of its thread, an event queue has its own, events without a queue share one. A context is driven
 * by one thread at a time; everything in struct ctx belongs to that thread.
 *
 * Operation: a function (co_fn) that runs as a coroutine on a context. It is written once and used
 * by the blocking, the event and the task form of a call.
 *
 * After fork() the child may not touch what the parent opened: contexts and the network of another
 * fork generation are abandoned and made anew at the next use. Handles stay valid.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uuid/uuid.h>
#include <daos_types.h>

#include "base/htable.h"
#include "base/list.h"
#include "client/core/handle.h"
#include "client/core/ms.h"
#include "net/rpc/rpc.h"
#include "runtime/xs.h"

struct client;

/* --- client --- */

struct client_conf {
	struct env *env; /* clock and randomness, not owned; NULL: the real ones */
	struct net *net; /* not owned; NULL: opened by the provider that the agent names */

	/* Where the system is. With uris given the agent is not asked: for tests and the
	 * simulator, and for programs that are part of the system. */
	const char *const *ms_uris; /* copied */
	uint32_t ms_uri_nr;
	const char *system; /* with ms_uris: its name; NULL = any */
	const char *user;   /* with ms_uris: who asks, "name@"; NULL = the process' user */
	const char *group;
};

int client_create(const struct client_conf *conf, struct client **ret_client);
/* Closes what is still open here (servers are not told). No call may be under way. */
void client_destroy(struct client *client);

/*
 * The process-wide client behind the public functions, NULL before daos_init(). Tests may put one
 * of their own there; the old one is returned.
 */
struct client *client_default(void);
struct client *client_set_default(struct client *client);

struct env *client_env(const struct client *client);
struct handle_tbl *client_handles(struct client *client);
/*
 * Make sure the client knows the system (asks the agent the first time). system NULL or "" = the
 * default one. Blocking, not from a coroutine. -DER_AGENT_COMM, -DER_NONEXIST (another system).
 */
int client_attach(struct client *client, const char *system);
/* What the agent said; NULL before client_attach() and for clients that were given addresses. */
const Mgmt__AttachInfoRep *client_attach_info(const struct client *client);
/* Who asks: signed by the agent, or made here for clients that were given addresses. Freed with
 * mgmt__credential__free_unpacked(). Blocking. */
int client_credential(struct client *client, Mgmt__Credential **ret_cred);
/* Additional addresses of the management service, learned from maps. */
void client_learn_uris(struct client *client, const char *const *uris, uint32_t nr);

/* The highest clock stamp any server told us: sent with requests, so that what we were told before
 * lies in the past of what we ask for. */
uint64_t client_hlc(const struct client *client);
void client_hlc_note(struct client *client, uint64_t hlc);

/* --- context --- */

enum {
	CTX_BUF_BYTES = RPC_INLINE_MAX, /* message buffers, kept for reuse … */
	CTX_BUF_KEEP = 16,              /* … up to this many */
	CTX_OP_KEEP = 64,
};

struct ctx {
	struct client *client;
	struct xs *xs;
	struct rpc_ep *ep;  /* opened at the first operation that needs the network */
	struct ms_conn *ms; /* likewise */
	struct list link;   /* of the client */
	uint32_t fork_gen;

	/* Identity of operations that change data (OPC_OBJ_*): one incarnation per context, so that
	 * sequences need no lock. */
	uint64_t incarnation[2];
	uint64_t seq;
	struct list idents; /* struct op_ident under way, oldest first */

	struct htable peers; /* struct ctx_peer by rank and tag */
	void *bufs;          /* free message buffers, chained by their first word */
	uint32_t buf_nr;

	/* Sharing: drivers take turns; see ctx_enter(). Unused by a thread's own context. */
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool busy;
	uint32_t waiter_nr;
	pthread_mutex_t ev_lock; /* state of events without a queue, and: */
	struct list ended_tasks; /* calls made for tasks (lib/task.c) */
	struct list done;        /* operations that ended, for the driver to complete */
	struct list ops;         /* operations that have not ended */
	struct xs_msg sweep_msg;
	_Atomic bool sweeping; /* sweep_msg is posted */
};

/* A context of its own; xs_name is for logs. */
int ctx_create(struct client *client, struct ctx **ret_ctx);
/* Ends what is under way (-DER_CANCELED) and frees; not from a coroutine. */
void ctx_destroy(struct ctx *ctx);

/* The endpoint and the connection to the management service. In a coroutine of the context; the
 * client must be attached. */
int ctx_ep(struct ctx *ctx, struct rpc_ep **ret_ep);
int ctx_ms(struct ctx *ctx, struct ms_conn **ret_ms);
/* Peer for tag of the rank whose tag 0 is at uri; borrowed until the next yield. */
int ctx_peer(struct ctx *ctx, uint32_t rank, const char *uri, uint32_t tag,
	     struct rpc_peer **ret_peer);

/* Nobody answered there just now: for a second, and twice as long each time that it happens again
 * within a minute, whoever has a choice had better ask elsewhere. */
void ctx_peer_doubt(struct ctx *ctx, uint32_t rank, uint32_t tag);
bool ctx_peer_doubted(struct ctx *ctx, uint32_t rank, uint32_t tag);

/* A buffer of CTX_BUF_BYTES; NULL without memory. */
void *ctx_buf_get(struct ctx *ctx);
void ctx_buf_put(struct ctx *ctx, void *buf);

/* --- operation --- */

struct op;
typedef int (*op_fn_t)(struct op *op, void *args); /* co_fn */

struct op {
	struct ctx *ctx;
	op_fn_t fn;
	void *args;
	uint64_t deadline_ns; /* monotonic, 0 = none: where the user asked for one */
	int rc;
	bool ended;
	_Atomic bool aborted;   /* the caller wants it to end: no more retries */
	struct co_waitq sleepq; /* where retries sleep; woken by an abort */
	struct list calls;      /* struct op_rpc_call: requests under way */
	struct list ms_calls;   /* struct ms_handle: requests to the management service */
	/* In the event and task forms: told by the driver, outside any coroutine, when ended. */
	void (*complete)(struct op *op);
	struct list link; /* ctx->ops, then ctx->done */
	struct xs_msg msg;
};

/* Run fn on the calling thread's context and wait. From a coroutine of that context it is called
 * directly. */
int op_call(struct client *client, op_fn_t fn, void *args);

/*
 * Start op (ctx, fn, args, complete set; the rest zero) on its shared context. complete() is called
 * by whoever drives the context, never before op_start() returned… unless op_start() itself ran it
 * to the end: then it is called by the next driver.
 */
void op_start(struct op *op);
/* Thread-safe: ask op to end soon with -DER_OP_CANCELED. complete() must not have been called yet.
 */
void op_abort(struct op *op);

/*
 * Drive a shared context until done(arg) is true (asked after each batch of completions), or the
 * deadline (monotonic ns, 0 = none): -DER_TIMEDOUT. poll_once: one turn, no waiting. When another
 * thread is driving, wait for it.
 */
int ctx_drive(struct ctx *ctx, bool (*done)(void *arg), void *arg, uint64_t deadline_ns,
	      bool poll_once);
/* Let waiting drivers look again at their conditions. */
void ctx_kick(struct ctx *ctx);

/* A request with op's deadline and abort. As rpc_call_send(). */
int co_fn op_rpc(struct op *op, struct rpc_peer *peer, struct rpc_call *call);
/* A request to the management service, see ms_call(), with op's abort and deadline. */
int co_fn op_ms_call(struct op *op, uint32_t opc, const ProtobufCMessage *req,
		     const ProtobufCMessageDescriptor *rep_desc, ProtobufCMessage **ret_rep);
/* The same with an earlier deadline. */
int co_fn op_ms_call_until(struct op *op, uint32_t opc, const ProtobufCMessage *req,
			   const ProtobufCMessageDescriptor *rep_desc, ProtobufCMessage **ret_rep,
			   uint64_t deadline_ns);
/* Sleep between retries: 0, -DER_OP_CANCELED after an abort, -DER_TIMEDOUT at op's deadline. */
int co_fn op_sleep(struct op *op, uint64_t ns);

/*
 * Identity of one change of data, constant over retries: an incarnation of the context and a
 * sequence number. What is below the mark that requests carry has been answered: its fate is known.
 * A change that is given up without an answer must never fall below a mark, so from then on the
 * context goes by a new incarnation, and nothing of the old one moves that one's mark any more.
 */
struct op_ident {
	struct list link;
	uint64_t client[2];
	uint64_t seq;
	bool open; /* sent, and nothing has said yet what became of it */
};
void op_ident_begin(struct op *op, struct op_ident *id);
/* The lowest sequence of this incarnation that is still unanswered; 0 = do not move the mark. */
uint64_t op_ident_low(const struct op *op, const struct op_ident *id);
void op_ident_end(struct op *op, struct op_ident *id);

/*
 * Run fn(arg, i) for i in [0, nr) with at most par at a time, as coroutines when there is more than
 * one; the first non-zero result ends the handing-out and is returned.
 */
int co_fn op_for_each(uint32_t nr, uint32_t par, int (*fn)(void *arg, uint32_t i), void *arg);

#endif
