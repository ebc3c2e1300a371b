/*
 * Events and event queues.
 *
 * An event's private words hold its state, its place in a list (the queue's running or completed
 * one, or its parent's children) and the operation it waits for. All of that is guarded by one
 * lock: the queue's, or for an event without a queue that of the shared context. Nobody takes a
 * context's driver lock while holding it, because drivers ask under their lock whether events are
 * complete.
 *
 * A queue has a context; an operation started with an event of the queue runs there, and whoever
 * polls the queue drives it. Completions arrive on the driver's stack (ctx.c): first the
 * application's callbacks, without any lock, then the change of state.
 *
 * A parent completes when its own operation does or, after daos_event_parent_barrier(), with the
 * last of its children. Children never show up in the queue.
 */
#define LOG_FACILITY "client"

#include <assert.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>
#include <daos/common.h>

#include "client/core/client_internal.h"
#include "client/event/event.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/fork_gen.h"

#define EV_MAGIC 0xdae0e4e27d005eedull

enum { EQ_YIELD_AFTER = 3 }; /* fruitless polls without waiting before the processor is yielded */

struct ev_cb {
	struct ev_cb *next;
	daos_event_comp_cb_t fn;
	void *arg;
};

struct ev_op;

struct ev {
	_Atomic int status; /* daos_ev_status_t */
	bool barrier;       /* completes with its last child */
	bool errno_rc;
	daos_handle_t eqh; /* 0: no queue */
	struct ctx *ctx;
	struct list link;
	struct list children;
	struct ev *parent;
	uint32_t child_nr;
	uint32_t child_running_nr;
	uint32_t child_done_nr;
	struct ev_cb *cbs; /* in the order of registration */
	struct ev_op *op;  /* NULL: none under way */
};
static_assert(sizeof(struct ev) <= sizeof(((daos_event_t *)0)->ev_private),
	      "an event must fit its public shell");
static_assert(sizeof(daos_event_t) == 176, "ABI");

struct ev_op {
	struct op op;
	struct ev *ev;
	uint64_t args[]; /* the operation's */
};

struct eq {
	struct ctx *ctx;
	pthread_mutex_t lock;
	struct list running;
	struct list completed;
	uint32_t running_nr;
	uint32_t completed_nr;
	_Atomic uint32_t idle_polls;
	_Atomic bool closing; /* set under the lock */
};

static struct ev *
ev_of(daos_event_t *event)
{
	return (struct ev *)&event->ev_private;
}

static daos_event_t *
event_of(struct ev *ev)
{
	return (daos_event_t *)((char *)ev - offsetof(daos_event_t, ev_private));
}

static bool
event_is_init(const daos_event_t *event)
{
	return event != NULL && event->ev_debug == EV_MAGIC;
}

/* --- the queue of an event --- */

static struct eq *
eq_get(daos_handle_t eqh)
{
	struct client *client = client_default();

	return client == NULL ? NULL : handle_get(client_handles(client), eqh, DAOS_HTYPE_EQ);
}

static void
eq_put(daos_handle_t eqh)
{
	handle_put(client_handles(client_default()), eqh);
}

/* What guards an event, held from ev_lock() to ev_unlock(); eq is NULL for one without a queue. */
struct ev_guard {
	struct eq *eq;
	daos_handle_t eqh;
	pthread_mutex_t *mutex;
};

static int
ev_lock(struct ev *ev, struct ev_guard *guard)
{
	guard->eq = NULL;
	guard->eqh = ev->eqh;
	if (daos_handle_is_valid(ev->eqh)) {
		guard->eq = eq_get(ev->eqh);
		if (guard->eq == NULL)
			return -DER_NONEXIST;
		guard->mutex = &guard->eq->lock;
	} else {
		guard->mutex = &ev->ctx->ev_lock;
	}
	pthread_mutex_lock(guard->mutex);
	return 0;
}

static void
ev_unlock(struct ev_guard *guard)
{
	pthread_mutex_unlock(guard->mutex);
	if (guard->eq != NULL)
		eq_put(guard->eqh);
}

/* --- completion --- */

/* The application's callbacks may replace a success by an error. */
static int
ev_call_back(struct ev *ev, int rc)
{
	int first = rc;

	while (ev->cbs != NULL) {
		struct ev_cb *cb = ev->cbs;
		int rc2;

		ev->cbs = cb->next;
		rc2 = cb->fn(cb->arg, event_of(ev), rc);
		free(cb);
		if (first == 0)
			first = rc2;
	}
	return first;
}

static void
ev_set_error(struct ev *ev, int rc)
{
	event_of(ev)->ev_error = ev->errno_rc ? daos_der2errno(rc) : rc;
}

/* The kind of result was asked for this operation; the event's next one may be another library's.
 * A parent keeps it: its children may still be under way. */
static void
ev_forget_kind(struct ev *ev)
{
	if (ev->child_nr == 0)
		ev->errno_rc = false;
}

/* Note that a child is complete. True when that completes the parent, whose result is *ret_rc. */
static bool
parent_child_done_locked(struct ev *parent, int rc, int *ret_rc)
{
	assert(parent->child_running_nr > 0);
	parent->child_running_nr--;
	parent->child_done_nr++;
	if (event_of(parent)->ev_error == 0 && rc != 0)
		ev_set_error(parent, rc);
	*ret_rc = event_of(parent)->ev_error;
	return parent->child_done_nr == parent->child_nr && parent->barrier &&
	       atomic_load(&parent->status) == DAOS_EVS_RUNNING;
}

static void
ev_complete(struct ev *ev, int rc)
{
	struct ev_guard guard;

	for (;;) {
		struct ev *parent = NULL;
		int parent_rc;

		rc = ev_call_back(ev, rc);
		if (ev_lock(ev, &guard) != 0) {
			log_crit("the queue of an event under way is gone");
			return;
		}
		if (!ev->barrier || event_of(ev)->ev_error == 0)
			ev_set_error(ev, rc);
		ev_forget_kind(ev);
		ev->op = NULL;
		if (ev->parent != NULL) {
			if (parent_child_done_locked(ev->parent, rc, &parent_rc))
				parent = ev->parent;
		} else if (guard.eq != NULL) {
			list_del(&ev->link);
			list_push_back(&guard.eq->completed, &ev->link);
			guard.eq->running_nr--;
			guard.eq->completed_nr++;
		}
		/* Last, because from here on another thread may take the event away. */
		atomic_store(&ev->status,
			     rc == -DER_OP_CANCELED ? DAOS_EVS_ABORTED : DAOS_EVS_COMPLETED);
		ev_unlock(&guard);
		if (parent == NULL)
			return;
		ev = parent;
		rc = parent_rc;
	}
}

static void
ev_op_complete(struct op *op)
{
	struct ev_op *eo = container_of(op, struct ev_op, op);
	struct ev *ev = eo->ev;
	int rc = op->rc;

	ev_complete(ev, rc);
	free(eo);
}

/* --- launching --- */

/* The event begins to wait. */
static int
ev_begin(struct ev *ev, struct ev_op *eo)
{
	struct ev_guard guard;
	int rc;

	if (ev->ctx->fork_gen != fork_gen()) {
		log_err("this event was made before fork()");
		return -DER_NO_PERM;
	}
	rc = ev_lock(ev, &guard);
	if (rc != 0)
		return rc;
	if (atomic_load(&ev->status) != DAOS_EVS_READY)
		rc = -DER_NO_PERM;
	else if (ev->child_nr > ev->child_running_nr + ev->child_done_nr)
		rc = -DER_NO_PERM; /* the children come first */
	else if (guard.eq != NULL && guard.eq->closing)
		rc = -DER_NONEXIST;
	if (rc == 0) {
		atomic_store(&ev->status, DAOS_EVS_RUNNING);
		if (ev->parent == NULL)
			event_of(ev)->ev_error = ev->barrier ? event_of(ev)->ev_error : 0;
		ev->op = eo;
		if (ev->parent != NULL) {
			ev->parent->child_running_nr++;
		} else if (guard.eq != NULL) {
			list_push_back(&guard.eq->running, &ev->link);
			guard.eq->running_nr++;
		}
	}
	ev_unlock(&guard);
	return rc;
}

static int
ev_launch(daos_event_t *event, op_fn_t fn, const void *args, size_t args_size)
{
	struct ev *ev = ev_of(event);
	struct ev_op *eo;
	int rc;

	if (!event_is_init(event))
		return -DER_INVAL;
	eo = mem_alloc(sizeof(*eo) + args_size);
	if (eo == NULL)
		return -DER_NOMEM;
	memset(&eo->op, 0, sizeof(eo->op));
	memcpy(eo->args, args, args_size);
	eo->ev = ev;
	eo->op.ctx = ev->ctx;
	eo->op.fn = fn;
	eo->op.args = eo->args;
	eo->op.complete = ev_op_complete;
	rc = ev_begin(ev, eo);
	if (rc != 0) {
		free(eo);
		return rc;
	}
	op_start(&eo->op);
	return 0;
}

int
op_run(daos_event_t *ev, op_fn_t fn, void *args, size_t args_size)
{
	struct client *client = client_default();

	if (client == NULL)
		return -DER_UNINIT;
	if (ev != NULL)
		return ev_launch(ev, fn, args, args_size);
	return op_call(client, fn, args);
}

int
op_done(daos_event_t *event, int rc)
{
	int rc2;

	if (event == NULL)
		return rc;
	if (!event_is_init(event))
		return -DER_INVAL;
	rc2 = ev_begin(ev_of(event), NULL);
	if (rc2 != 0)
		return rc2;
	ev_complete(ev_of(event), rc);
	return 0;
}

void
daos_event_errno_rc(struct daos_event *event)
{
	ev_of(event)->errno_rc = true;
}

/* --- events --- */

int
daos_event_init(daos_event_t *event, daos_handle_t eqh, daos_event_t *parent)
{
	struct client *client = client_default();
	struct ev *ev;
	int rc;

	if (event == NULL)
		return -DER_INVAL;
	if (client == NULL)
		return -DER_UNINIT;
	memset(event, 0, sizeof(*event));
	ev = ev_of(event);
	list_init(&ev->link);
	list_init(&ev->children);
	atomic_init(&ev->status, DAOS_EVS_READY);
	if (parent != NULL) {
		struct ev *pev = ev_of(parent);

		if (!event_is_init(parent) || atomic_load(&pev->status) != DAOS_EVS_READY)
			return -DER_INVAL;
		if (pev->parent != NULL)
			return -DER_NO_PERM;
		ev->eqh = pev->eqh;
		ev->ctx = pev->ctx;
		ev->parent = pev;
		list_push_back(&pev->children, &ev->link);
		pev->child_nr++;
	} else if (daos_handle_is_valid(eqh)) {
		struct eq *eq = eq_get(eqh);

		if (eq == NULL)
			return -DER_NONEXIST;
		ev->eqh = eqh;
		ev->ctx = eq->ctx;
		eq_put(eqh);
	} else {
		rc = client_shared_ctx(client, &ev->ctx);
		if (rc != 0)
			return rc;
	}
	event->ev_debug = EV_MAGIC;
	return 0;
}

/* Leave the parent. Its counts follow, so that the remaining children can still complete it. */
static void
ev_leave_parent_locked(struct ev *ev)
{
	struct ev *parent = ev->parent;

	if (parent == NULL)
		return;
	list_del(&ev->link);
	parent->child_nr--;
	if (atomic_load(&ev->status) != DAOS_EVS_READY && parent->child_done_nr > 0)
		parent->child_done_nr--;
	ev->parent = NULL;
}

int
daos_event_fini(daos_event_t *event)
{
	struct ev *ev = ev_of(event);
	struct ev_guard guard;
	struct list *pos;
	int rc;

	if (!event_is_init(event))
		return -DER_INVAL;
	rc = ev_lock(ev, &guard);
	if (rc != 0)
		return rc;
	if (atomic_load(&ev->status) == DAOS_EVS_RUNNING || ev->child_running_nr > 0)
		rc = -DER_BUSY;
	if (rc == 0 && ev->parent != NULL && atomic_load(&ev->parent->status) == DAOS_EVS_RUNNING)
		rc = -DER_INVAL;
	if (rc != 0)
		goto out;
	while (!list_empty(&ev->children)) {
		struct ev *child = list_first(&ev->children, struct ev, link);

		ev_leave_parent_locked(child);
		event_of(child)->ev_debug = 0;
	}
	if (ev->parent != NULL) {
		ev_leave_parent_locked(ev);
	} else if (guard.eq != NULL) {
		list_for_each (pos, &guard.eq->completed) {
			if (pos == &ev->link) {
				list_del(pos);
				guard.eq->completed_nr--;
				break;
			}
		}
	}
	while (ev->cbs != NULL) {
		struct ev_cb *cb = ev->cbs;

		ev->cbs = cb->next;
		free(cb);
	}
	event->ev_debug = 0;
out:
	ev_unlock(&guard);
	return rc;
}

daos_event_t *
daos_event_next(daos_event_t *parent, daos_event_t *child)
{
	struct ev *pev = ev_of(parent);
	struct list *next = child == NULL ? pev->children.next : ev_of(child)->link.next;

	return next == &pev->children ? NULL : event_of(list_entry(next, struct ev, link));
}

int
daos_event_register_comp_cb(struct daos_event *event, daos_event_comp_cb_t fn, void *arg)
{
	struct ev *ev = ev_of(event);
	struct ev_cb *cb, **end;
	struct ev_guard guard;
	int rc;

	if (!event_is_init(event) || fn == NULL)
		return -DER_INVAL;
	cb = mem_new(struct ev_cb);
	if (cb == NULL)
		return -DER_NOMEM;
	cb->fn = fn;
	cb->arg = arg;
	rc = ev_lock(ev, &guard);
	if (rc != 0) {
		free(cb);
		return rc;
	}
	if (atomic_load(&ev->status) != DAOS_EVS_READY)
		rc = -DER_NO_PERM; /* it would be called for what is under way already */
	for (end = &ev->cbs; rc == 0 && *end != NULL; end = &(*end)->next)
		;
	if (rc == 0)
		*end = cb;
	ev_unlock(&guard);
	if (rc != 0)
		free(cb);
	return rc;
}

int
daos_event_parent_barrier(struct daos_event *event)
{
	struct ev *ev = ev_of(event);
	struct ev_guard guard;
	bool all_done;
	int rc;

	if (!event_is_init(event) || ev->child_nr == 0)
		return -DER_INVAL;
	ev->barrier = true;
	rc = ev_begin(ev, NULL);
	if (rc != 0)
		return rc;
	rc = ev_lock(ev, &guard);
	if (rc != 0)
		return rc;
	all_done =
	    ev->child_done_nr == ev->child_nr && atomic_load(&ev->status) == DAOS_EVS_RUNNING;
	ev_unlock(&guard);
	if (all_done) {
		ev_complete(ev, event->ev_error);
		ctx_kick(ev->ctx);
	}
	return 0;
}

int
daos_event_abort(daos_event_t *event)
{
	struct ev *ev = ev_of(event);
	struct ev_guard guard;
	int rc;

	if (!event_is_init(event))
		return -DER_INVAL;
	rc = ev_lock(ev, &guard);
	if (rc != 0)
		return rc;
	if (atomic_load(&ev->status) != DAOS_EVS_RUNNING)
		rc = -DER_NO_PERM;
	else if (ev->op != NULL)
		op_abort(&ev->op->op);
	ev_unlock(&guard);
	return rc;
}

/* --- waiting --- */

static uint64_t
deadline_of(struct ctx *ctx, int64_t timeout_us)
{
	return timeout_us < 0 ? 0
			      : env_mono_ns(xs_env(ctx->xs)) + (uint64_t)timeout_us * 1000ull + 1;
}

struct ev_wait {
	struct ev *ev;
	bool done;
};

/* Take the event out when it is complete. */
static bool
ev_try_take(void *arg)
{
	struct ev_wait *wait = arg;
	struct ev *ev = wait->ev;
	struct ev_guard guard;
	int status;

	if (wait->done)
		return true;
	if (ev_lock(ev, &guard) != 0) {
		wait->done = true; /* the queue is gone */
		return true;
	}
	status = atomic_load(&ev->status);
	if (status == DAOS_EVS_READY) {
		wait->done = true; /* never launched, or another thread took it */
	} else if (status != DAOS_EVS_RUNNING && ev->child_running_nr == 0) {
		if (guard.eq != NULL && !list_empty(&ev->link)) {
			list_del(&ev->link);
			guard.eq->completed_nr--;
		}
		atomic_store(&ev->status, DAOS_EVS_READY);
		wait->done = true;
	}
	ev_unlock(&guard);
	return wait->done;
}

int
daos_event_test(struct daos_event *event, int64_t timeout, bool *flag)
{
	struct ev_wait wait = {.ev = ev_of(event)};
	struct ctx *ctx;
	int rc;

	if (!event_is_init(event) || flag == NULL)
		return -DER_INVAL;
	if (wait.ev->parent != NULL)
		return -DER_NO_PERM;
	ctx = wait.ev->ctx;
	if (ctx->fork_gen != fork_gen())
		return -DER_NO_PERM;
	rc = ctx_drive(ctx, ev_try_take, &wait, deadline_of(ctx, timeout), timeout == 0);
	*flag = wait.done;
	return rc == -DER_TIMEDOUT ? 0 : rc;
}

/* --- queues --- */

static void
eq_free(void *obj)
{
	struct eq *eq = obj;

	ctx_destroy(eq->ctx);
	pthread_mutex_destroy(&eq->lock);
	free(eq);
}

int
daos_eq_create(daos_handle_t *eqh)
{
	struct client *client = client_default();
	struct eq *eq;
	int rc;

	if (client == NULL)
		return -DER_UNINIT;
	if (eqh == NULL)
		return -DER_INVAL;
	eq = mem_new(struct eq);
	if (eq == NULL)
		return -DER_NOMEM;
	list_init(&eq->running);
	list_init(&eq->completed);
	pthread_mutex_init(&eq->lock, NULL);
	rc = ctx_create(client, &eq->ctx);
	if (rc == 0) {
		rc = handle_add(client_handles(client), DAOS_HTYPE_EQ, eq, eq_free, eqh);
		if (rc == 0)
			return 0;
		ctx_destroy(eq->ctx);
	}
	pthread_mutex_destroy(&eq->lock);
	free(eq);
	return rc;
}

struct eq_wait {
	struct eq *eq;
	bool only_running;
	uint32_t max;
	uint32_t nr;
	daos_event_t **events;
	bool idle; /* nothing is under way and the caller does not want to wait for that */
};

static bool
eq_try_take(void *arg)
{
	struct eq_wait *wait = arg;
	struct eq *eq = wait->eq;
	struct list *pos, *tmp;

	if (wait->nr > 0)
		return true;
	pthread_mutex_lock(&eq->lock);
	list_for_each_safe (pos, tmp, &eq->completed) {
		struct ev *ev = list_entry(pos, struct ev, link);

		if (wait->nr == wait->max)
			break;
		if (ev->child_running_nr > 0)
			continue;
		list_del(&ev->link);
		eq->completed_nr--;
		atomic_store(&ev->status, DAOS_EVS_READY);
		wait->events[wait->nr++] = event_of(ev);
	}
	wait->idle = wait->only_running && list_empty(&eq->running);
	pthread_mutex_unlock(&eq->lock);
	return wait->nr > 0 || wait->idle || eq->closing;
}

int
daos_eq_poll(daos_handle_t eqh, int wait_running, int64_t timeout, unsigned int nevents,
	     daos_event_t **events)
{
	struct eq_wait wait = {.only_running = wait_running != 0, .max = nevents, .events = events};
	int rc = 0;

	if (nevents == 0 || events == NULL)
		return -DER_INVAL;
	wait.eq = eq_get(eqh);
	if (wait.eq == NULL)
		return -DER_NONEXIST;
	if (wait.eq->ctx->fork_gen != fork_gen()) {
		rc = -DER_NONEXIST;
	} else if (!eq_try_take(&wait)) {
		rc = ctx_drive(wait.eq->ctx, eq_try_take, &wait, deadline_of(wait.eq->ctx, timeout),
			       timeout == 0);
		/* A program that polls in a loop must not keep the server off the processor. */
		if (wait.nr > 0)
			atomic_store_explicit(&wait.eq->idle_polls, 0, memory_order_relaxed);
		else if (timeout == 0 &&
			 atomic_fetch_add_explicit(&wait.eq->idle_polls, 1, memory_order_relaxed) >=
			     EQ_YIELD_AFTER)
			sched_yield();
	}
	if (wait.nr == 0 && wait.eq->closing)
		rc = -DER_NONEXIST;
	eq_put(eqh);
	if (rc == 0 || rc == -DER_TIMEDOUT)
		return (int)wait.nr;
	return rc;
}

int
daos_eq_query(daos_handle_t eqh, daos_eq_query_t query, unsigned int nevents, daos_event_t **events)
{
	struct eq *eq = eq_get(eqh);
	struct list *pos;
	uint32_t nr = 0;

	if (eq == NULL)
		return -DER_NONEXIST;
	pthread_mutex_lock(&eq->lock);
	if (nevents == 0 || events == NULL) {
		nr += (query & DAOS_EQR_COMPLETED) ? eq->completed_nr : 0;
		nr += (query & DAOS_EQR_WAITING) ? eq->running_nr : 0;
		goto out;
	}
	if (query & DAOS_EQR_COMPLETED)
		list_for_each (pos, &eq->completed)
			if (nr < nevents)
				events[nr++] = event_of(list_entry(pos, struct ev, link));
	if (query & DAOS_EQR_WAITING)
		list_for_each (pos, &eq->running)
			if (nr < nevents)
				events[nr++] = event_of(list_entry(pos, struct ev, link));
out:
	pthread_mutex_unlock(&eq->lock);
	eq_put(eqh);
	return (int)nr;
}

static bool
eq_is_quiet(void *arg)
{
	struct eq *eq = arg;
	bool quiet;

	pthread_mutex_lock(&eq->lock);
	quiet = eq->running_nr == 0;
	pthread_mutex_unlock(&eq->lock);
	return quiet;
}

/* Make every operation of the queue end soon; barriers complete with their children. */
static void
eq_abort_locked(struct eq *eq)
{
	struct list *pos, *cpos;

	list_for_each (pos, &eq->running) {
		struct ev *ev = list_entry(pos, struct ev, link);

		if (ev->op != NULL)
			op_abort(&ev->op->op);
		list_for_each (cpos, &ev->children) {
			struct ev *child = list_entry(cpos, struct ev, link);

			if (child->op != NULL)
				op_abort(&child->op->op);
		}
	}
}

int
daos_eq_destroy(daos_handle_t eqh, int flags)
{
	struct eq *eq = eq_get(eqh);
	bool force = (flags & DAOS_EQ_DESTROY_FORCE) != 0;
	bool stale;
	int rc = 0;

	if (eq == NULL)
		return -DER_NONEXIST;
	stale = eq->ctx->fork_gen != fork_gen();
	pthread_mutex_lock(&eq->lock);
	if (eq->closing) {
		rc = -DER_NONEXIST;
	} else if (!force && (eq->running_nr > 0 || eq->completed_nr > 0)) {
		rc = -DER_EQ_BUSY;
	} else {
		eq->closing = true; /* nothing is started any more */
		if (!stale)
			eq_abort_locked(eq);
	}
	pthread_mutex_unlock(&eq->lock);
	if (rc == 0) {
		if (!stale)
			ctx_drive(eq->ctx, eq_is_quiet, eq, 0, false);
		pthread_mutex_lock(&eq->lock);
		while (!list_empty(&eq->completed)) {
			struct ev *ev = list_first(&eq->completed, struct ev, link);

			list_del(&ev->link);
			atomic_store(&ev->status, DAOS_EVS_READY);
		}
		eq->completed_nr = 0;
		pthread_mutex_unlock(&eq->lock);
		handle_close(client_handles(client_default()), eqh, DAOS_HTYPE_EQ);
	}
	eq_put(eqh);
	return rc;
}
