/*
 * The event loop of an xstream, its mailbox and its sleep.
 *
 * Mailbox and sleep are one protocol on one word, xs->mail: NULL (awake, no mail), MAIL_ASLEEP
 * (asleep, no mail) or the newest message of a chain. A sender links its message in front by
 * compare-and-swap; if what it replaced was MAIL_ASLEEP it, and it alone, writes the eventfd. The
 * loop goes to sleep by replacing NULL with MAIL_ASLEEP: if mail has come meanwhile the exchange
 * fails and it does not sleep. So no wake-up is lost and there is at most one system call per sleep
 * on the sender's side, none while the receiver is awake. The eventfd is watched edge-triggered and
 * never read. Since the loop sees on waking that its mark was taken off, it knows how many kicks
 * were or will be given; destroying the xstream waits for the last of them.
 *
 * Spinning before a sleep pays only if something arrives soon. The loop keeps a credit of 0 to
 * XS_SPIN_FULL and spins from XS_SPIN_MIN on: a spin that caught something adds, one in vain takes
 * more than that away; without spinning, a short sleep (short enough that two loops which both
 * sleep, and wake each other at 24 us a wake, find out together) adds a little and a long one takes
 * it again. So a busy exchange spins, and an engine with nothing but its heartbeats, or a loop that
 * waits for a slow disk, sleeps at once instead of burning 50 us each time.
 */
#define LOG_FACILITY "rt"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <daos_errno.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/fork_gen.h"
#include "runtime/sim.h"
#include "runtime/xs_internal.h"

#define MAIL_ASLEEP ((struct xs_msg *)1)

enum { EPOLL_BATCH = 16 };

/* --- life ------------------------------------------------------------------------------------- */

static int
xs_open_fds(struct xs *xs)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET};

	xs->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	xs->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (xs->epoll_fd < 0 || xs->event_fd < 0 ||
	    epoll_ctl(xs->epoll_fd, EPOLL_CTL_ADD, xs->event_fd, &ev) != 0) {
		int rc = err_from_errno(-errno);

		log_err("%s: no event descriptors: %s", xs->name, strerror(errno));
		return rc;
	}
	return 0;
}

int
xs_create(const struct xs_conf *conf, struct xs **ret_xs)
{
	struct xs *xs;
	int rc;

	assert(conf->env != NULL);
	xs = aligned_alloc(64, (sizeof(*xs) + 63) & ~(size_t)63);
	if (xs == NULL)
		return -DER_NOMEM;
	memset(xs, 0, sizeof(*xs));
	list_init(&xs->runq);
	list_init(&xs->yielded);
	list_init(&xs->sources);
	list_init(&xs->hooks);
	list_init(&xs->free_cos);
	list_init(&xs->sim_link);
	atomic_init(&xs->mail, NULL);
	atomic_init(&xs->stop, false);
	xs->env = conf->env;
	xs->sim = conf->env->sim;
	xs->spin_ns = (conf->spin_us != 0 ? conf->spin_us : XS_SPIN_DEFAULT) * 1000ull;
	xs->spin_credit = XS_SPIN_FULL;
	xs->stack_bytes = conf->stack_bytes != 0 ? conf->stack_bytes : 128 * 1024;
#if defined(CO_ASAN) || defined(CO_TSAN)
	xs->stack_bytes *= 4;
#endif
	xs->cpu = conf->cpu;
	xs->fork_gen = fork_gen();
	xs->epoll_fd = -1;
	xs->event_fd = -1;
	strncpy(xs->name, conf->name != NULL ? conf->name : "xs", sizeof(xs->name) - 1);
	log_set_ult_fn(co_self_id);
	if (xs->sim == NULL) {
		rc = xs_open_fds(xs);
		if (rc != 0) {
			xs_destroy(xs);
			return rc;
		}
	} else {
		sim_xs_attach(xs->sim, xs);
	}
	xs->now_ns = env_mono_ns(xs->env);
	*ret_xs = xs;
	return 0;
}

/* Made before a fork, and this is the child: its descriptors are the parent's business. */
static bool
xs_is_stale(const struct xs *xs)
{
	return xs->fork_gen != fork_gen();
}

void
xs_destroy(struct xs *xs)
{
	if (xs == NULL)
		return;
	assert(!xs->in_turn);
	uring_destroy(xs);
	co_drop_unstarted(xs);
	if (!xs_is_stale(xs)) {
		if (xs->live_nr != 0)
			log_crit("%s: destroyed with %u coroutines waiting", xs->name, xs->live_nr);
		assert(xs->live_nr == 0);
		assert(list_empty(&xs->sources) && list_empty(&xs->hooks));
		assert(xs->timers.nr == 0);
	}
	if (xs->sim != NULL)
		sim_xs_detach(xs->sim, xs);
	timer_heap_fini(&xs->timers);
	if (!xs_is_stale(xs)) {
		/* a sender may have been preempted between its exchange and its kick */
		while (atomic_load_explicit(&xs->kicks_done, memory_order_acquire) !=
		       xs->kicks_owed)
			sched_yield();
	}
	if (xs->epoll_fd >= 0)
		close(xs->epoll_fd);
	if (xs->event_fd >= 0)
		close(xs->event_fd);
	free(xs);
}

struct env *
xs_env(const struct xs *xs)
{
	return xs->env;
}

const char *
xs_name(const struct xs *xs)
{
	return xs->name;
}

uint64_t
xs_now_ns(struct xs *xs)
{
	/* outside the loop nobody keeps the copy up to date */
	return xs->in_turn ? xs->now_ns : xs_now_fresh_ns(xs);
}

uint64_t
xs_now_fresh_ns(struct xs *xs)
{
	xs->now_ns = env_mono_ns(xs->env);
	return xs->now_ns;
}

/* --- sources and hooks ------------------------------------------------------------------------ */

int
xs_source_add(struct xs *xs, struct xs_source *src)
{
	assert(xs_is_mine(xs));
	if (xs->sim == NULL && src->fd >= 0) {
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = src};

		if (epoll_ctl(xs->epoll_fd, EPOLL_CTL_ADD, src->fd, &ev) != 0) {
			int rc = err_from_errno(-errno);

			log_err("%s: cannot watch descriptor %d: %s", xs->name, src->fd,
				strerror(errno));
			return rc;
		}
	}
	list_push_back(&xs->sources, &src->link);
	return 0;
}

void
xs_source_del(struct xs *xs, struct xs_source *src)
{
	assert(xs_is_mine(xs));
	if (xs->source_next == &src->link)
		xs->source_next = src->link.next;
	list_del(&src->link);
	if (xs->sim == NULL && src->fd >= 0 && !xs_is_stale(xs))
		epoll_ctl(xs->epoll_fd, EPOLL_CTL_DEL, src->fd, NULL);
}

void
xs_hook_add(struct xs *xs, struct xs_hook *h)
{
	assert(xs_is_mine(xs));
	list_push_back(&xs->hooks, &h->link);
}

void
xs_hook_del(struct xs *xs, struct xs_hook *h)
{
	assert(xs_is_mine(xs));
	if (xs->hook_next == &h->link)
		xs->hook_next = h->link.next;
	list_del(&h->link);
}

/* --- mailbox ---------------------------------------------------------------------------------- */

static void
xs_kick(struct xs *xs)
{
	uint64_t one = 1;

	MODEL_POINT();
	/* fails only when 2^64-2 kicks were never seen: then one is pending anyway */
	if (write(xs->event_fd, &one, sizeof(one)) < 0)
		assert(errno == EAGAIN);
	MODEL_POINT();
	atomic_fetch_add_explicit(&xs->kicks_done, 1, memory_order_release);
}

void
xs_post(struct xs *to, struct xs_msg *msg)
{
	struct xs_msg *old;

	if (to->sim != NULL) {
		sim_post(to->sim, to, msg);
		return;
	}
	MODEL_POINT();
	old = atomic_load_explicit(&to->mail, memory_order_relaxed);
	do {
		msg->next = old == MAIL_ASLEEP ? NULL : old;
		MODEL_POINT();
	} while (!atomic_compare_exchange_weak_explicit(&to->mail, &old, msg, memory_order_seq_cst,
							memory_order_relaxed));
	if (old == MAIL_ASLEEP)
		xs_kick(to);
}

void
xs_stop(struct xs *xs)
{
	struct xs_msg *old = MAIL_ASLEEP;

	MODEL_POINT();
	atomic_store(&xs->stop, true);
	MODEL_POINT();
	if (xs->sim == NULL && atomic_compare_exchange_strong(&xs->mail, &old, NULL))
		xs_kick(xs);
}

/*
 * Deliver what has arrived, oldest first. The loop is awake, so the mark of sleep is not there.
 */
static uint32_t
mail_take(struct xs *xs)
{
	struct xs_msg *newest;
	struct xs_msg *chain = NULL;
	uint32_t nr = 0;

	if (xs->sim != NULL)
		return sim_mail_take(xs->sim, xs);
	MODEL_POINT();
	if (atomic_load_explicit(&xs->mail, memory_order_relaxed) == NULL)
		return 0;
	MODEL_POINT();
	newest = atomic_exchange_explicit(&xs->mail, NULL, memory_order_acquire);
	assert(newest != MAIL_ASLEEP);
	while (newest != NULL) {
		struct xs_msg *next = newest->next;

		newest->next = chain;
		chain = newest;
		newest = next;
	}
	while (chain != NULL) {
		struct xs_msg *msg = chain;

		chain = msg->next;
		msg->fn(msg); /* msg is gone now */
		nr++;
	}
	return nr;
}

/* --- the loop --------------------------------------------------------------------------------- */

static uint32_t
run_ready(struct xs *xs)
{
	uint32_t max = xs->sim != NULL ? sim_run_budget(xs->sim) : XS_RUN_MAX;
	uint32_t nr;

	for (nr = 0; nr < max && !list_empty(&xs->runq); nr++) {
		struct co *co = xs->sim != NULL ? sim_pick_co(xs->sim, xs)
						: list_entry(xs->runq.next, struct co, link);

		list_del(&co->link);
		co_resume(xs, co);
	}
	list_splice_back(&xs->runq, &xs->yielded);
	return nr;
}

/* One round; true when anything ran or arrived. */
bool
xs_turn(struct xs *xs)
{
	struct co_tls saved = co_tls;
	struct list *l;
	uint32_t events;
	uint32_t ran;

	assert(saved.co == NULL && !xs->in_turn);
	co_tls.xs = xs;
	xs->in_turn = true;
	xs->now_ns = env_mono_ns(xs->env);
	events = mail_take(xs);
	for (l = xs->sources.next; l != &xs->sources; l = xs->source_next) {
		struct xs_source *src = list_entry(l, struct xs_source, link);

		xs->source_next = l->next;
		events += src->poll(src);
	}
	xs->source_next = NULL;
	ran = timer_heap_fire(&xs->timers, xs->now_ns);
	ran += run_ready(xs);
	if (events + ran > 0) {
		for (l = xs->hooks.next; l != &xs->hooks; l = xs->hook_next) {
			struct xs_hook *h = list_entry(l, struct xs_hook, link);

			xs->hook_next = l->next;
			h->fn(h);
		}
		xs->hook_next = NULL;
	}
	if (events + ran > 0)
		xs->last_progress_ns = xs->now_ns;
	xs->turn_events = events;
	xs->in_turn = false;
	co_tls = saved;
	return events + ran > 0;
}

/* Whether a turn would do something (but for I/O that only a poll can find). */
bool
xs_has_work(struct xs *xs)
{
	struct list *l;

	if (!list_empty(&xs->runq))
		return true;
	if (xs->sim != NULL && sim_mail_due(xs->sim, xs))
		return true;
	if (xs_next_timer_ns(xs) <= env_mono_ns(xs->env))
		return true;
	list_for_each (l, &xs->sources) {
		struct xs_source *src = list_entry(l, struct xs_source, link);

		if (src->prepare_sleep != NULL && !src->prepare_sleep(src))
			return true;
	}
	return false;
}

/* Wait for an event at most until the given time. */
static int
wait_events(struct xs *xs, uint64_t until_ns)
{
	struct epoll_event ev[EPOLL_BATCH];
	struct timespec ts;
	uint64_t now;
	int nr;

	if (until_ns == UINT64_MAX)
		return epoll_wait(xs->epoll_fd, ev, EPOLL_BATCH, -1);
	now = env_mono_ns(xs->env);
	if (until_ns <= now)
		return 0;
	ts.tv_sec = (time_t)((until_ns - now) / 1000000000ull);
	ts.tv_nsec = (long)((until_ns - now) % 1000000000ull);
	nr = epoll_pwait2(xs->epoll_fd, ev, EPOLL_BATCH, &ts, NULL);
	if (nr < 0 && errno == ENOSYS) { /* before Linux 5.11: whole milliseconds, rounded up */
		uint64_t ms = (until_ns - now + 999999) / 1000000;

		nr = epoll_wait(xs->epoll_fd, ev, EPOLL_BATCH, ms > 60000 ? 60000 : (int)ms);
	}
	return nr;
}

static void
spin_credit_add(struct xs *xs, int n)
{
	int credit = (int)xs->spin_credit + n;

	xs->spin_credit = (uint32_t)(credit < 0              ? 0
				     : credit > XS_SPIN_FULL ? XS_SPIN_FULL
							     : credit);
}

/*
 * Sleep until an event, the earliest timer or the deadline (0 = none). spun: a spin came before,
 * in vain.
 */
static void
xs_sleep(struct xs *xs, uint64_t deadline_ns, bool spun)
{
	uint64_t until = xs_next_timer_ns(xs);
	struct xs_msg *old = NULL;
	int nr;

	if (deadline_ns != 0 && deadline_ns < until)
		until = deadline_ns;
	if (xs_has_work(xs))
		return;
	MODEL_POINT();
	if (!atomic_compare_exchange_strong(&xs->mail, &old, MAIL_ASLEEP))
		return;
	MODEL_POINT();
	if (atomic_load(&xs->stop)) {
		nr = 0;
	} else {
		co_trim(xs, XS_STACK_KEEP, XS_STACK_TRIM);
		nr = wait_events(xs, until);
		xs->wake_nr++;
	}
	old = MAIL_ASLEEP;
	MODEL_POINT();
	if (!atomic_compare_exchange_strong(&xs->mail, &old, NULL))
		xs->kicks_owed++; /* whoever took the mark off kicks, or is about to */
	if (nr < 0 && errno != EINTR) {
		log_crit("%s: waiting for events failed: %s", xs->name, strerror(errno));
		abort();
	}
	if (spun)
		spin_credit_add(xs, -4);
	else if (nr > 0 && xs_now_fresh_ns(xs) - xs->last_progress_ns < 3 * xs->spin_ns)
		spin_credit_add(xs, 1);
	else
		spin_credit_add(xs, -1);
}

static bool
take_stop(struct xs *xs)
{
	MODEL_POINT();
	return atomic_load_explicit(&xs->stop, memory_order_relaxed) &&
	       atomic_exchange(&xs->stop, false);
}

static bool
xs_stop_asked(void *arg)
{
	return take_stop(arg);
}

static int
xs_loop(struct xs *xs, bool (*done)(void *arg), void *arg, uint64_t deadline_ns)
{
	bool spun = false;

	if (deadline_ns != 0)
		xs_now_fresh_ns(xs);
	for (;;) {
		if (done != NULL && done(arg))
			return 0;
		if (take_stop(xs))
			return -DER_CANCELED;
		if (deadline_ns != 0 && xs->now_ns >= deadline_ns)
			return -DER_TIMEDOUT;
		if (xs_turn(xs) || !list_empty(&xs->runq)) {
			if (spun && xs->turn_events > 0)
				spin_credit_add(xs, 2);
			spun = false;
			continue;
		}
		if (xs->spin_credit >= XS_SPIN_MIN &&
		    xs->now_ns - xs->last_progress_ns < xs->spin_ns) {
			/* Whoever we wait for may want this very core: a spin that kept it
			 * made round trips on one core last 97 us instead of 15. */
			sched_yield();
			spun = true;
			continue;
		}
		xs_sleep(xs, deadline_ns, spun);
		spun = false;
		if (deadline_ns != 0)
			xs_now_fresh_ns(xs);
	}
}

int
xs_run_until(struct xs *xs, bool (*done)(void *arg), void *arg, uint64_t deadline_ns)
{
	assert(co_tls.xs == NULL);
	if (xs_is_stale(xs))
		return -DER_UNINIT;
	if (xs->sim != NULL)
		return sim_drive(xs->sim, xs, done, arg, deadline_ns);
	return xs_loop(xs, done, arg, deadline_ns);
}

void
xs_run(struct xs *xs)
{
	assert(co_tls.xs == NULL);
	if (xs_is_stale(xs)) {
		log_crit("%s: run in a forked child", xs->name);
		abort();
	}
	if (xs->sim != NULL)
		sim_drive(xs->sim, xs, xs_stop_asked, xs, 0);
	else
		xs_loop(xs, NULL, NULL, 0);
}

bool
xs_step(struct xs *xs)
{
	return xs_turn(xs);
}

/* --- threads ---------------------------------------------------------------------------------- */

static void *
xs_thread_main(void *arg)
{
	struct xs *xs = arg;
	char name[16];

	memcpy(name, xs->name, sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	pthread_setname_np(pthread_self(), name);
	if (xs->cpu >= 0) {
		cpu_set_t set;
		int rc;

		CPU_ZERO(&set);
		CPU_SET(xs->cpu, &set);
		rc = pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
		if (rc != 0)
			log_warn("%s: cannot pin to core %d: %s", xs->name, xs->cpu, strerror(rc));
	}
	xs_run(xs);
	return NULL;
}

int
xs_thread_start(struct xs *xs)
{
	sigset_t all;
	sigset_t old;
	int rc;

	assert(!xs->threaded);
	xs->threaded = true;
	if (xs->sim != NULL) {
		xs->sim_on++;
		return 0;
	}
	/* signals are for the main thread */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&xs->thread, NULL, xs_thread_main, xs);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0) {
		xs->threaded = false;
		log_err("%s: cannot start a thread: %s", xs->name, strerror(rc));
		return err_from_errno(rc);
	}
	return 0;
}

void
xs_thread_join(struct xs *xs)
{
	if (!xs->threaded)
		return;
	if (xs->sim != NULL) {
		xs->sim_on--;
		take_stop(xs);
	} else {
		pthread_join(xs->thread, NULL);
	}
	xs->threaded = false;
}

/* --- calls ------------------------------------------------------------------------------------ */

/* On the caller's stack until done. */
struct call {
	struct xs_msg msg;
	struct xs *to;
	struct xs *from;      /* a coroutine of from waits … */
	struct co *waiter;    /* … this one */
	pthread_mutex_t lock; /* or, from NULL, a thread without a loop */
	pthread_cond_t cond;
	int (*fn)(void *arg);
	void *arg;
	int rc;
	bool done;
};

static bool
call_is_done(void *arg)
{
	struct call *c = arg;

	return c->done;
}

/* The answer has arrived where the caller waits. */
static void
call_answered(struct xs_msg *msg)
{
	struct call *c = container_of(msg, struct call, msg);

	c->done = true;
	co_wake(c->waiter);
}

static void
call_answer(struct call *c, int rc)
{
	c->rc = rc;
	if (c->from != NULL) {
		c->msg.fn = call_answered;
		xs_post(c->from, &c->msg);
	} else {
		pthread_mutex_lock(&c->lock);
		c->done = true;
		pthread_cond_signal(&c->cond);
		pthread_mutex_unlock(&c->lock);
	}
}

static void
call_entry(void *arg)
{
	struct call *c = arg;

	call_answer(c, c->fn(c->arg));
}

static void
call_arrived(struct xs_msg *msg)
{
	struct call *c = container_of(msg, struct call, msg);

	if (co_spawn(c->to, call_entry, c) != 0)
		call_answer(c, -DER_NOMEM);
}

int co_fn
xs_call_remote(struct xs *to, int (*fn)(void *arg), void *arg)
{
	struct call c = {.to = to, .from = co_xs(), .waiter = co_self(), .fn = fn, .arg = arg};

	if (to == c.from)
		return fn(arg);
	c.msg.fn = call_arrived;
	xs_post(to, &c.msg);
	while (!c.done)
		co_park();
	return c.rc;
}

/* From a thread that has no loop, to an xstream that has a thread. */
static int
call_thread(struct xs *xs, int (*fn)(void *arg), void *arg)
{
	struct call c = {.to = xs, .fn = fn, .arg = arg};

	c.msg.fn = call_arrived;
	pthread_mutex_init(&c.lock, NULL);
	pthread_cond_init(&c.cond, NULL);
	xs_post(xs, &c.msg);
	pthread_mutex_lock(&c.lock);
	while (!c.done)
		pthread_cond_wait(&c.cond, &c.lock);
	pthread_mutex_unlock(&c.lock);
	pthread_cond_destroy(&c.cond);
	pthread_mutex_destroy(&c.lock);
	return c.rc;
}

static void
local_call_entry(void *arg)
{
	struct call *c = arg;

	c->rc = c->fn(c->arg);
	c->done = true;
}

int co_fn
xs_call(struct xs *xs, int (*fn)(void *arg), void *arg)
{
	struct call c = {.to = xs, .fn = fn, .arg = arg};
	bool stopped = false;
	int rc;

	if (co_self() != NULL)
		return xs_call_remote(xs, fn, arg);
	assert(co_tls.xs == NULL);
	if (xs_is_stale(xs))
		return -DER_UNINIT;
	if (xs->threaded && xs->sim == NULL)
		return call_thread(xs, fn, arg);
	rc = co_spawn(xs, local_call_entry, &c);
	if (rc != 0)
		return rc;
	/* the coroutine uses our stack: a request to stop has to wait until it has ended */
	while ((rc = xs_run_until(xs, call_is_done, &c, 0)) == -DER_CANCELED)
		stopped = true;
	if (rc != 0) {
		log_crit("%s: a call can never end: nothing is left to run", xs->name);
		abort();
	}
	if (stopped)
		xs_stop(xs);
	return c.rc;
}
