/*
 * Contexts and the operations that run on them.
 *
 * A shared context is driven by whoever waits on it, one thread at a time: the driver marks it busy
 * and runs the loop, other waiting threads sleep on the condition and are woken when operations
 * complete or the driver leaves. A thread that starts an operation while somebody drives posts it
 * to the mailbox, which wakes the driver's loop if it sleeps.
 *
 * Completions are delivered by the driver between turns of the loop, on its own stack, because they
 * run code of the application, which may call back into the library.
 */
#define LOG_FACILITY "client"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/core/client_internal.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/fork_gen.h"

struct ctx_peer {
	struct hnode node;
	uint32_t rank;
	uint32_t tag;
	struct rpc_peer *peer;
	uint64_t doubt_ns;     /* until then */
	uint64_t doubt_ms;     /* the length of that */
	char uri[RPC_URI_MAX]; /* of tag 0 */
};
enum { DOUBT_MS = 1000, DOUBT_MAX_MS = 32000, DOUBT_OVER_MS = 60000 };

static void ctx_sweep(struct xs_msg *msg);

int
ctx_create(struct client *client, struct ctx **ret_ctx)
{
	struct xs_conf conf = {.name = "client", .env = client_env(client), .cpu = -1};
	struct ctx *ctx = mem_new(struct ctx);
	pthread_condattr_t attr;
	int rc;

	if (ctx == NULL)
		return -DER_NOMEM;
	rc = xs_create(&conf, &ctx->xs);
	if (rc != 0) {
		free(ctx);
		return rc;
	}
	ctx->client = client;
	ctx->fork_gen = fork_gen();
	env_rand_fill(client_env(client), ctx->incarnation, sizeof(ctx->incarnation));
	list_init(&ctx->idents);
	list_init(&ctx->done);
	list_init(&ctx->ops);
	list_init(&ctx->ended_tasks);
	htable_init(&ctx->peers);
	ctx->sweep_msg.fn = ctx_sweep;
	pthread_mutex_init(&ctx->lock, NULL);
	pthread_mutex_init(&ctx->ev_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&ctx->cond, &attr);
	pthread_condattr_destroy(&attr);
	client_ctx_link(client, ctx);
	*ret_ctx = ctx;
	return 0;
}

/* --- network --- */

int
ctx_ep(struct ctx *ctx, struct rpc_ep **ret_ep)
{
	int rc;

	if (ctx->ep == NULL) {
		struct rpc_ep_conf conf = {.xs = ctx->xs};

		rc = client_net(ctx->client, &conf.net);
		if (rc == 0)
			rc = rpc_ep_open(&conf, &ctx->ep);
		if (rc != 0) {
			log_err("cannot open a network endpoint: " ERR_F, ERR_P(rc));
			return rc;
		}
	}
	*ret_ep = ctx->ep;
	return 0;
}

int
ctx_ms(struct ctx *ctx, struct ms_conn **ret_ms)
{
	struct rpc_ep *ep;
	int rc;

	if (ctx->ms == NULL) {
		rc = ctx_ep(ctx, &ep);
		if (rc == 0)
			rc = client_make_ms(ctx->client, ep, &ctx->ms);
		if (rc != 0)
			return rc;
	}
	*ret_ms = ctx->ms;
	return 0;
}

static int
peer_bind(struct ctx *ctx, struct ctx_peer *cp, const char *uri)
{
	char tag_uri[RPC_URI_MAX];
	struct rpc_peer *peer;
	struct rpc_ep *ep;
	int rc;

	if (strlen(uri) >= sizeof(cp->uri))
		return -DER_INVAL;
	rc = ctx_ep(ctx, &ep);
	if (rc == 0)
		rc = rpc_uri_of_tag(uri, cp->tag, tag_uri, sizeof(tag_uri));
	if (rc == 0)
		rc = rpc_peer_get(ep, tag_uri, &peer);
	if (rc != 0)
		return rc;
	if (cp->peer != NULL)
		rpc_peer_put(cp->peer);
	cp->peer = peer;
	strcpy(cp->uri, uri);
	return 0;
}

static uint64_t
peer_hash(uint32_t rank, uint32_t tag)
{
	return hash_u64(((uint64_t)rank << 32) | tag);
}

static struct ctx_peer *
peer_find(struct ctx *ctx, uint32_t rank, uint32_t tag)
{
	struct hnode *n;

	for (n = htable_first(&ctx->peers, peer_hash(rank, tag)); n != NULL; n = htable_next(n)) {
		struct ctx_peer *cp = container_of(n, struct ctx_peer, node);

		if (cp->rank == rank && cp->tag == tag)
			return cp;
	}
	return NULL;
}

void
ctx_peer_doubt(struct ctx *ctx, uint32_t rank, uint32_t tag)
{
	struct ctx_peer *cp = peer_find(ctx, rank, tag);
	uint64_t now = xs_now_ns(ctx->xs);

	if (cp == NULL)
		return;
	if (cp->doubt_ms == 0 || now > cp->doubt_ns + DOUBT_OVER_MS * 1000000ull)
		cp->doubt_ms = DOUBT_MS;
	else if (cp->doubt_ns < now && cp->doubt_ms < DOUBT_MAX_MS)
		cp->doubt_ms *= 2;
	cp->doubt_ns = now + cp->doubt_ms * 1000000;
}

bool
ctx_peer_doubted(struct ctx *ctx, uint32_t rank, uint32_t tag)
{
	struct ctx_peer *cp = peer_find(ctx, rank, tag);

	return cp != NULL && cp->doubt_ns > xs_now_ns(ctx->xs);
}

int
ctx_peer(struct ctx *ctx, uint32_t rank, const char *uri, uint32_t tag, struct rpc_peer **ret_peer)
{
	struct ctx_peer *cp = peer_find(ctx, rank, tag);
	int rc;

	if (cp == NULL) {
		cp = mem_new(struct ctx_peer);
		if (cp == NULL)
			return -DER_NOMEM;
		cp->rank = rank;
		cp->tag = tag;
		htable_insert(&ctx->peers, &cp->node, peer_hash(rank, tag));
	}
	/* A rank that came back may have another address. */
	if (cp->peer == NULL || strcmp(cp->uri, uri) != 0) {
		rc = peer_bind(ctx, cp, uri);
		if (rc != 0)
			return rc;
	}
	*ret_peer = cp->peer;
	return 0;
}

static int
peer_free(struct hnode *n, void *arg)
{
	struct htable *peers = arg;
	struct ctx_peer *cp = container_of(n, struct ctx_peer, node);

	htable_remove(peers, n);
	if (cp->peer != NULL)
		rpc_peer_put(cp->peer);
	free(cp);
	return 0;
}

void *
ctx_buf_get(struct ctx *ctx)
{
	void *buf = ctx->bufs;

	if (buf == NULL)
		return mem_alloc(CTX_BUF_BYTES);
	ctx->bufs = *(void **)buf;
	ctx->buf_nr--;
	return buf;
}

void
ctx_buf_put(struct ctx *ctx, void *buf)
{
	if (buf == NULL)
		return;
	if (ctx->buf_nr == CTX_BUF_KEEP) {
		free(buf);
		return;
	}
	*(void **)buf = ctx->bufs;
	ctx->bufs = buf;
	ctx->buf_nr++;
}

/* --- destruction --- */

static int
ctx_close_net(void *arg)
{
	struct ctx *ctx = arg;

	htable_walk(&ctx->peers, peer_free, &ctx->peers);
	ms_conn_destroy(ctx->ms);
	if (ctx->ep != NULL)
		rpc_ep_close(ctx->ep);
	return 0;
}

static bool
ctx_no_ops(void *arg)
{
	const struct ctx *ctx = arg;

	return list_empty(&ctx->ops);
}

static void ctx_complete(struct ctx *ctx);

void
ctx_destroy(struct ctx *ctx)
{
	struct list *pos;

	client_ctx_unlink(ctx->client, ctx);
	if (ctx->fork_gen != fork_gen()) {
		/* The parent's: its descriptors, rings and connections are not ours to close. */
		xs_destroy(ctx->xs);
		free(ctx);
		return;
	}
	list_for_each (pos, &ctx->ops)
		atomic_store(&list_entry(pos, struct op, link)->aborted, true);
	if (ctx->ms != NULL)
		ms_conn_cancel(ctx->ms);
	ctx_sweep(&ctx->sweep_msg);
	if (!list_empty(&ctx->ops))
		xs_run_until(ctx->xs, ctx_no_ops, ctx, 0);
	ctx_complete(ctx);
	xs_call(ctx->xs, ctx_close_net, ctx);
	htable_fini(&ctx->peers);
	while (ctx->bufs != NULL) {
		void *buf = ctx->bufs;

		ctx->bufs = *(void **)buf;
		free(buf);
	}
	xs_destroy(ctx->xs);
	pthread_mutex_destroy(&ctx->lock);
	pthread_mutex_destroy(&ctx->ev_lock);
	pthread_cond_destroy(&ctx->cond);
	free(ctx);
}

/* --- operations --- */

static void
op_prepare(struct op *op)
{
	uint64_t timeout_ns = client_op_timeout_ns(op->ctx->client);

	co_waitq_init(&op->sleepq);
	list_init(&op->calls);
	list_init(&op->ms_calls);
	list_push_back(&op->ctx->ops, &op->link);
	op->ended = false;
	if (timeout_ns != 0 && op->deadline_ns == 0)
		op->deadline_ns = xs_now_fresh_ns(op->ctx->xs) + timeout_ns;
}

static void
op_end(struct op *op)
{
	list_del(&op->link);
	if (op->complete != NULL)
		list_push_back(&op->ctx->done, &op->link);
	op->ended = true; /* from here on a blocking caller may return and op be gone */
}

static void
op_entry(void *arg)
{
	struct op *op = arg;

	op->rc = op->fn(op, op->args);
	op_end(op);
}

static bool
op_has_ended(void *arg)
{
	const struct op *op = arg;

	return op->ended;
}

int
op_call(struct client *client, op_fn_t fn, void *args)
{
	struct op op = {.fn = fn, .args = args};
	int rc;

	rc = client_thread_ctx(client, &op.ctx);
	if (rc != 0)
		return rc;
	op_prepare(&op);
	if (co_self() != NULL) { /* a scenario of the simulator that calls public functions */
		assert(co_xs() == op.ctx->xs);
		op_entry(&op);
		return op.rc;
	}
	rc = co_spawn(op.ctx->xs, op_entry, &op);
	if (rc != 0) {
		list_del(&op.link);
		return rc;
	}
	while (!op.ended) {
		rc = xs_run_until(op.ctx->xs, op_has_ended, &op, 0);
		/* The simulator found that nothing can ever happen again: a bug. */
		assert(op.ended || rc == 0 || client_env(client)->sim == NULL);
	}
	return op.rc;
}

static void
op_spawn(struct op *op)
{
	op_prepare(op);
	op->rc = co_spawn(op->ctx->xs, op_entry, op);
	if (op->rc != 0)
		op_end(op);
}

static void
op_start_msg(struct xs_msg *msg)
{
	op_spawn(container_of(msg, struct op, msg));
}

static bool
ctx_try_enter(struct ctx *ctx)
{
	bool entered;

	pthread_mutex_lock(&ctx->lock);
	entered = !ctx->busy;
	ctx->busy = true;
	pthread_mutex_unlock(&ctx->lock);
	return entered;
}

static void
ctx_leave(struct ctx *ctx)
{
	pthread_mutex_lock(&ctx->lock);
	ctx->busy = false;
	if (ctx->waiter_nr > 0)
		pthread_cond_broadcast(&ctx->cond);
	pthread_mutex_unlock(&ctx->lock);
}

void
op_start(struct op *op)
{
	if (!ctx_try_enter(op->ctx)) {
		op->msg.fn = op_start_msg;
		xs_post(op->ctx->xs, &op->msg);
		return;
	}
	op_spawn(op);
	xs_step(op->ctx->xs);
	ctx_leave(op->ctx);
}

/* On the driver's thread: what was marked as aborted stops waiting. */
static void
ctx_sweep(struct xs_msg *msg)
{
	struct ctx *ctx = container_of(msg, struct ctx, sweep_msg);
	struct list *pos, *cpos;

	atomic_store(&ctx->sweeping, false);
	list_for_each (pos, &ctx->ops) {
		struct op *op = list_entry(pos, struct op, link);

		if (!atomic_load(&op->aborted))
			continue;
		list_for_each (cpos, &op->calls)
			rpc_call_cancel(list_entry(cpos, struct op_rpc_call, link)->call);
		list_for_each (cpos, &op->ms_calls)
			ms_cancel(list_entry(cpos, struct ms_handle, link));
		co_waitq_wake_all(&op->sleepq);
	}
}

void
op_abort(struct op *op)
{
	struct ctx *ctx = op->ctx;

	atomic_store(&op->aborted, true);
	if (!atomic_exchange(&ctx->sweeping, true))
		xs_post(ctx->xs, &ctx->sweep_msg);
}

/* --- driving --- */

/* Deliver what has ended. */
static void
ctx_complete(struct ctx *ctx)
{
	bool any = false;

	while (!list_empty(&ctx->done)) {
		struct op *op = list_first(&ctx->done, struct op, link);

		list_del(&op->link);
		op->complete(op);
		any = true;
	}
	if (any)
		ctx_kick(ctx);
}

void
ctx_kick(struct ctx *ctx)
{
	pthread_mutex_lock(&ctx->lock);
	if (ctx->waiter_nr > 0)
		pthread_cond_broadcast(&ctx->cond);
	pthread_mutex_unlock(&ctx->lock);
}

static bool
ctx_has_ended_ops(void *arg)
{
	const struct ctx *ctx = arg;

	return !list_empty(&ctx->done);
}

/* Become the driver. 0; 1: done() became true while waiting for another driver. */
static int
ctx_enter(struct ctx *ctx, bool (*done)(void *arg), void *arg, uint64_t deadline_ns, bool poll_once)
{
	struct timespec ts = {
	    .tv_sec = (time_t)(deadline_ns / 1000000000ull),
	    .tv_nsec = (long)(deadline_ns % 1000000000ull),
	};
	int rc = 0;

	pthread_mutex_lock(&ctx->lock);
	while (ctx->busy && rc == 0) {
		if (done(arg)) {
			rc = 1;
		} else if (poll_once) {
			rc = -DER_TIMEDOUT;
		} else {
			int err = 0;

			ctx->waiter_nr++;
			if (deadline_ns == 0)
				pthread_cond_wait(&ctx->cond, &ctx->lock);
			else
				err = pthread_cond_timedwait(&ctx->cond, &ctx->lock, &ts);
			ctx->waiter_nr--;
			if (err == ETIMEDOUT)
				rc = -DER_TIMEDOUT;
		}
	}
	if (rc == 0)
		ctx->busy = true;
	pthread_mutex_unlock(&ctx->lock);
	return rc;
}

int
ctx_drive(struct ctx *ctx, bool (*done)(void *arg), void *arg, uint64_t deadline_ns, bool poll_once)
{
	int rc = ctx_enter(ctx, done, arg, deadline_ns, poll_once);

	if (rc != 0)
		return rc == 1 ? 0 : rc;
	xs_step(ctx->xs);
	ctx_complete(ctx);
	while (!done(arg)) {
		if (poll_once || rc == -DER_TIMEDOUT) {
			rc = -DER_TIMEDOUT;
			break;
		}
		rc = xs_run_until(ctx->xs, ctx_has_ended_ops, ctx, deadline_ns);
		ctx_complete(ctx);
	}
	if (rc != -DER_TIMEDOUT || done(arg))
		rc = 0;
	ctx_leave(ctx);
	return rc;
}

/* --- inside operations --- */

int co_fn
op_rpc(struct op *op, struct rpc_peer *peer, struct rpc_call *call)
{
	struct op_rpc_call oc = {.call = call};
	int rc;

	if (atomic_load_explicit(&op->aborted, memory_order_relaxed))
		return -DER_OP_CANCELED;
	if (op->deadline_ns != 0 && (call->deadline_ns == 0 || op->deadline_ns < call->deadline_ns))
		call->deadline_ns = op->deadline_ns;
	list_push_back(&op->calls, &oc.link);
	rc = rpc_call_send(op->ctx->ep, peer, call);
	list_del(&oc.link);
	return rc == -DER_CANCELED && atomic_load(&op->aborted) ? -DER_OP_CANCELED : rc;
}

int co_fn
op_ms_call_until(struct op *op, uint32_t opc, const ProtobufCMessage *req,
		 const ProtobufCMessageDescriptor *rep_desc, ProtobufCMessage **ret_rep,
		 uint64_t deadline_ns)
{
	struct ms_handle handle = {0};
	struct ms_conn *ms;
	int rc = ctx_ms(op->ctx, &ms);

	if (rc != 0)
		return rc;
	if (atomic_load(&op->aborted))
		return -DER_OP_CANCELED;
	list_push_back(&op->ms_calls, &handle.link);
	rc = ms_call_cancelable(ms, opc, req, rep_desc, ret_rep, deadline_ns, &handle);
	list_del(&handle.link);
	return rc == -DER_CANCELED && handle.canceled ? -DER_OP_CANCELED : rc;
}

int co_fn
op_ms_call(struct op *op, uint32_t opc, const ProtobufCMessage *req,
	   const ProtobufCMessageDescriptor *rep_desc, ProtobufCMessage **ret_rep)
{
	return op_ms_call_until(op, opc, req, rep_desc, ret_rep, op->deadline_ns);
}

int co_fn
op_sleep(struct op *op, uint64_t ns)
{
	uint64_t until = xs_now_ns(op->ctx->xs) + ns;

	if (op->deadline_ns != 0 && op->deadline_ns < until)
		until = op->deadline_ns;
	if (!atomic_load(&op->aborted))
		co_waitq_wait(&op->sleepq, until);
	if (atomic_load(&op->aborted))
		return -DER_OP_CANCELED;
	if (op->deadline_ns != 0 && xs_now_ns(op->ctx->xs) >= op->deadline_ns)
		return -DER_TIMEDOUT;
	return 0;
}

void
op_ident_begin(struct op *op, struct op_ident *id)
{
	memcpy(id->client, op->ctx->incarnation, sizeof(id->client));
	id->seq = ++op->ctx->seq;
	id->open = false;
	list_push_back(&op->ctx->idents, &id->link);
}

static bool
ident_current(const struct ctx *ctx, const struct op_ident *id)
{
	return memcmp(id->client, ctx->incarnation, sizeof(id->client)) == 0;
}

uint64_t
op_ident_low(const struct op *op, const struct op_ident *id)
{
	const struct ctx *ctx = op->ctx;
	struct list *l;

	if (!ident_current(ctx, id))
		return 0;
	list_for_each (l, &ctx->idents) {
		const struct op_ident *other = list_entry(l, struct op_ident, link);

		if (ident_current(ctx, other))
			return other->seq;
	}
	return ctx->seq + 1;
}

void
op_ident_end(struct op *op, struct op_ident *id)
{
	struct ctx *ctx = op->ctx;

	list_del(&id->link);
	if (!id->open || !ident_current(ctx, id))
		return;
	env_rand_fill(client_env(ctx->client), ctx->incarnation, sizeof(ctx->incarnation));
	ctx->seq = 0;
}

struct each {
	uint32_t nr;
	uint32_t next;
	int rc;
	int (*fn)(void *arg, uint32_t i);
	void *arg;
};

static int co_fn
each_worker(void *arg)
{
	struct each *each = arg;

	while (each->rc == 0 && each->next < each->nr) {
		int rc = each->fn(each->arg, each->next++);

		if (rc != 0 && each->rc == 0)
			each->rc = rc;
	}
	return 0;
}

int co_fn
op_for_each(uint32_t nr, uint32_t par, int (*fn)(void *arg, uint32_t i), void *arg)
{
	struct each each = {.nr = nr, .fn = fn, .arg = arg};
	struct co_group group;
	uint32_t i;
	int rc = 0;

	if (nr == 1)
		return fn(arg, 0);
	co_group_init(&group);
	/* The caller is one of the workers. */
	for (i = 1; i < par && i < nr && rc == 0; i++)
		rc = co_group_spawn(&group, each_worker, &each);
	each_worker(&each); /* without memory for more coroutines it does all the work */
	co_group_join(&group);
	return each.rc;
}
