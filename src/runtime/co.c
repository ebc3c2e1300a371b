/*
 * Coroutines and what they wait with.
 *
 * The loop resumes a coroutine and the coroutine switches back to the loop, never to another
 * coroutine, so that a deep chain of wake-ups costs no stack and every turn ends. A coroutine's
 * control block sits at the top of its own stack; when its entry function returns, block and stack
 * go to a cache as they are: the next spawn only fills in a new entry function, and the coroutine
 * goes round the loop in co_main() once more.
 *
 * The tops of different stacks are offset against each other by a few cache lines: all at the same
 * place of a page, the hot ends of more than eight stacks would compete for one set of the L1
 * cache.
 *
 * A loop may be driven by different threads one after the other (client contexts). Therefore no
 * function here looks at thread-local data after it has switched away and come back.
 */
#define LOG_FACILITY "rt"

#include <assert.h>
#include <string.h>

#include <daos_errno.h>

#include "base/log.h"
#include "runtime/sim.h"
#include "runtime/xs_internal.h"

__thread struct co_tls co_tls __attribute__((tls_model("initial-exec")));

__attribute__((noinline)) struct co *
co_self(void)
{
	return co_tls.co;
}

__attribute__((noinline)) struct xs *
xs_self(void)
{
	return co_tls.xs;
}

struct xs *
co_xs(void)
{
	struct co *self = co_self();

	assert(self != NULL);
	return self->xs;
}

uint64_t
co_self_id(void)
{
	struct co *self = co_self();

	return self == NULL ? 0 : self->id;
}

/* --- life ------------------------------------------------------------------------------------- */

static void
group_child_ended(struct co_group *g, int rc)
{
	if (rc != 0 && g->rc == 0)
		g->rc = rc;
	assert(g->running_nr > 0);
	if (--g->running_nr == 0)
		co_waitq_wake_all(&g->wq);
}

/* The body of every coroutine: one round per spawn. */
__attribute__((no_sanitize_address)) static void
co_main(void *arg)
{
	struct co *co = arg;

	co_ctx_entered(&co->ctx, &co->xs->loop_ctx);
	for (;;) {
		if (co->group != NULL)
			group_child_ended(co->group, co->group_fn(co->arg));
		else
			co->entry(co->arg);
		co->state = CO_DONE;
		co_ctx_switch(&co->ctx, &co->xs->loop_ctx, 1);
	}
}

static struct co *
co_create(struct xs *xs)
{
	enum { COLOR_STEP = 320, COLOR_NR = 12 };
	struct co_stack stack;
	struct co *co;
	uintptr_t top;

	if (co_stack_map(&stack, xs->stack_bytes) != 0)
		return NULL;
	top = (uintptr_t)stack.map + stack.map_size - sizeof(*co);
	top -= (xs->color++ % COLOR_NR) * COLOR_STEP;
	co = (struct co *)(top & ~(uintptr_t)63);
	memset(co, 0, sizeof(*co));
	co->xs = xs;
	co->stack = stack;
	co_ctx_make(&co->ctx, &stack, co, co_main, co);
	return co;
}

static void
co_destroy(struct co *co)
{
	struct co_stack stack = co->stack;

	co_ctx_fini(&co->ctx);
	co_stack_unmap(&stack);
}

void
co_trim(struct xs *xs, uint32_t keep, uint32_t max)
{
	for (; xs->free_nr > keep && max > 0; max--) {
		/* the coldest is at the end */
		struct co *co = list_entry(xs->free_cos.prev, struct co, link);

		list_del(&co->link);
		xs->free_nr--;
		co_destroy(co);
	}
}

void
co_drop_unstarted(struct xs *xs)
{
	struct list *l;
	struct list *tmp;

	list_splice_back(&xs->runq, &xs->yielded);
	list_for_each_safe (l, tmp, &xs->runq) {
		struct co *co = list_entry(l, struct co, link);

		if (co->started)
			continue;
		list_del(&co->link);
		xs->live_nr--;
		co_destroy(co);
	}
	co_trim(xs, 0, UINT32_MAX);
}

static struct co *
co_get(struct xs *xs)
{
	struct co *co;

	assert(xs_is_mine(xs));
	if (xs->free_nr > 0) {
		co = list_entry(xs->free_cos.next, struct co, link);
		list_del(&co->link);
		xs->free_nr--;
	} else {
		co = co_create(xs);
		if (co == NULL) {
			log_every(1000, LOG_LVL_ERR, "%s: no memory for a stack, %u coroutines",
				  xs->name, xs->live_nr);
			return NULL;
		}
	}
	co->state = CO_READY;
	co->token = false;
	co->started = false;
	co->id = ++xs->next_co_id;
	xs->live_nr++;
	list_push_back(&xs->runq, &co->link);
	return co;
}

int
co_spawn(struct xs *xs, co_entry_t entry, void *arg)
{
	struct co *co = co_get(xs);

	if (co == NULL)
		return -DER_NOMEM;
	co->entry = entry;
	co->arg = arg;
	co->group = NULL;
	return 0;
}

void
co_resume(struct xs *xs, struct co *co)
{
	assert(co->state == CO_READY && co_tls.co == NULL);
	co->state = CO_RUNNING;
	co->started = true;
	co_tls.co = co;
	co_ctx_thread(&xs->loop_ctx);
	co_ctx_switch(&xs->loop_ctx, &co->ctx, 0);
	co_tls.co = NULL;
	if (co->state == CO_DONE) {
		co->state = CO_FREE;
		xs->live_nr--;
		list_push_front(&xs->free_cos, &co->link);
		xs->free_nr++;
	}
}

/* --- park and wake ---------------------------------------------------------------------------- */

void co_fn
co_yield(void)
{
	struct co *self = co_self();

	assert(self != NULL);
	self->state = CO_READY;
	list_push_back(&self->xs->yielded, &self->link);
	co_ctx_switch(&self->ctx, &self->xs->loop_ctx, 0);
}

void co_fn
co_may_yield(void)
{
	struct co *self = co_self();

	if (self != NULL && self->xs->sim != NULL && sim_may_yield(self->xs->sim))
		co_yield();
}

void co_fn
co_park(void)
{
	struct co *self = co_self();

	assert(self != NULL);
	if (self->token) {
		self->token = false;
		return;
	}
	self->state = CO_PARKED;
	co_ctx_switch(&self->ctx, &self->xs->loop_ctx, 0);
}

void
co_wake(struct co *co)
{
	/* another thread's coroutine is reached by xs_post() only */
	assert(xs_is_mine(co->xs));
	assert(co->state != CO_FREE);
	if (co->state != CO_PARKED) {
		co->token = true;
		return;
	}
	co->state = CO_READY;
	list_push_back(&co->xs->runq, &co->link);
}

struct sleeper {
	struct co *co;
	bool over;
};

static void
sleep_over(struct xs_timer *t)
{
	struct sleeper *s = t->arg;

	s->over = true;
	co_wake(s->co);
}

void co_fn
co_sleep_ns(uint64_t ns)
{
	struct sleeper s = {.co = co_self()};
	struct xs_timer timer;
	uint64_t now;

	if (ns == 0) {
		co_yield();
		return;
	}
	now = xs_now_fresh_ns(co_xs());
	xs_timer_init(&timer, sleep_over, &s);
	xs_timer_arm(s.co->xs, &timer, now + ns < now ? UINT64_MAX : now + ns);
	while (!s.over)
		co_park();
}

/* --- wait queue ------------------------------------------------------------------------------- */

/* On the stack of the coroutine that waits. */
struct waiter {
	struct list link;
	struct co *co;
	bool woken;
	bool timed_out;
	struct xs_timer timer; /* valid when there is a deadline */
};

static void
waiter_expired(struct xs_timer *t)
{
	struct waiter *w = t->arg;

	if (w->woken)
		return;
	w->timed_out = true;
	list_del(&w->link);
	co_wake(w->co);
}

void
co_waitq_init(struct co_waitq *wq)
{
	list_init(&wq->waiters);
}

int co_fn
co_waitq_wait(struct co_waitq *wq, uint64_t deadline_ns)
{
	struct waiter w;

	w.co = co_self();
	assert(w.co != NULL);
	w.woken = false;
	w.timed_out = false;
	if (deadline_ns != 0) {
		if (deadline_ns <= xs_now_ns(w.co->xs))
			return -DER_TIMEDOUT;
		xs_timer_init(&w.timer, waiter_expired, &w);
		xs_timer_arm(w.co->xs, &w.timer, deadline_ns);
	}
	list_push_back(&wq->waiters, &w.link);
	while (!w.woken && !w.timed_out)
		co_park();
	if (deadline_ns != 0)
		xs_timer_cancel(&w.timer);
	return w.woken ? 0 : -DER_TIMEDOUT;
}

/* Wake the first; its coroutine, NULL if there is none. */
static struct co *
waitq_wake_first(struct co_waitq *wq)
{
	struct waiter *w = list_first(&wq->waiters, struct waiter, link);
	struct co *co;

	if (w == NULL)
		return NULL;
	list_del(&w->link);
	w->woken = true;
	co = w->co;
	co_wake(co);
	return co;
}

void
co_waitq_wake_one(struct co_waitq *wq)
{
	waitq_wake_first(wq);
}

void
co_waitq_wake_all(struct co_waitq *wq)
{
	while (waitq_wake_first(wq) != NULL)
		;
}

/* --- future ----------------------------------------------------------------------------------- */

void
co_future_init(struct co_future *f)
{
	co_waitq_init(&f->wq);
	f->done = false;
	f->rc = 0;
}

void
co_future_complete(struct co_future *f, int rc)
{
	if (f->done)
		return;
	f->done = true;
	f->rc = rc;
	co_waitq_wake_all(&f->wq);
}

int co_fn
co_future_wait(struct co_future *f, uint64_t deadline_ns)
{
	if (f->done) {
		co_may_yield();
		return f->rc;
	}
	if (co_waitq_wait(&f->wq, deadline_ns) != 0)
		return -DER_TIMEDOUT;
	return f->rc;
}

/* --- mutex: ownership is handed over, so nobody overtakes a waiter -----------------------------
 */

void
co_mutex_init(struct co_mutex *m)
{
	co_waitq_init(&m->wq);
	m->owner = NULL;
}

bool
co_mutex_trylock(struct co_mutex *m)
{
	struct co *self = co_self();

	assert(self != NULL);
	if (m->owner != NULL)
		return false;
	m->owner = self;
	return true;
}

void co_fn
co_mutex_lock(struct co_mutex *m)
{
	struct co *self = co_self();

	assert(self != NULL && m->owner != self);
	co_may_yield();
	if (co_mutex_trylock(m))
		return;
	co_waitq_wait(&m->wq, 0);
	assert(m->owner == self);
}

void
co_mutex_unlock(struct co_mutex *m)
{
	assert(m->owner != NULL && m->owner == co_self());
	m->owner = waitq_wake_first(&m->wq);
}

/* --- semaphore: units are handed over likewise -------------------------------------------------
 */

void
co_sem_init(struct co_sem *s, uint32_t nr)
{
	co_waitq_init(&s->wq);
	s->free_nr = nr;
}

void co_fn
co_sem_get(struct co_sem *s)
{
	co_may_yield();
	if (s->free_nr > 0)
		s->free_nr--;
	else
		co_waitq_wait(&s->wq, 0);
}

void
co_sem_put(struct co_sem *s)
{
	if (waitq_wake_first(&s->wq) == NULL)
		s->free_nr++;
}

/* --- group ------------------------------------------------------------------------------------ */

void
co_group_init(struct co_group *g)
{
	co_waitq_init(&g->wq);
	g->running_nr = 0;
	g->rc = 0;
}

int
co_group_spawn(struct co_group *g, co_group_fn_t fn, void *arg)
{
	struct co *co = co_get(co_xs());

	if (co == NULL)
		return -DER_NOMEM;
	co->group_fn = fn;
	co->arg = arg;
	co->group = g;
	g->running_nr++;
	return 0;
}

int co_fn
co_group_join(struct co_group *g)
{
	while (g->running_nr > 0)
		co_waitq_wait(&g->wq, 0);
	return g->rc;
}
