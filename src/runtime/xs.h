/*
 * Xstream: one thread (or, in the simulator, one virtual thread), one event loop. It runs
 * coroutines, timers, event sources (network endpoint, io_uring) and a mailbox for other threads.
 *
 * The loop: take the mail, poll the sources, fire timers, run what is runnable, flush; after the
 * last progress keep polling for about 50 us (less where that has not paid lately), then sleep in
 * one wait on every source's descriptor and the mailbox until the next timer. An xstream driven by
 * its user (client contexts, tests) is not given a thread: the user calls xs_step(),
 * xs_run_until() or xs_call(), from one thread at a time.
 *
 * Clock, randomness, network and disk reach an xstream through struct env and through what is built
 * on it; nothing below src/posix and src/cli calls the system clock, getrandom, sockets or files in
 * another way.
 */
#ifndef RUNTIME_XS_H
#define RUNTIME_XS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "runtime/co.h"

/* Edges: clock and randomness (network: net/fabric/fabric.h; disk: store/dev/dev.h). */

struct clock_ops {
	uint64_t (*mono_ns)(void *ctx); /* never goes back */
	uint64_t (*real_ns)(void *ctx); /* ns since 1970-01-01 UTC, may jump */
};
struct rand_ops {
	void (*fill)(void *ctx, void *buf, size_t len);
};
/* One per process (or per simulated node); shared by its xstreams; outlives them. */
struct env {
	const struct clock_ops *clock;
	void *clock_ctx;
	const struct rand_ops *rand;
	void *rand_ctx;
	struct sim *sim; /* NULL outside the simulator (runtime/sim.h) */
};
/* The real clock and kernel randomness. */
void env_init_real(struct env *env);

uint64_t env_mono_ns(const struct env *env);
uint64_t env_real_ns(const struct env *env);
uint64_t env_rand_u64(const struct env *env);
uint64_t env_rand_below(const struct env *env, uint64_t bound); /* uniform in [0, bound) */
void env_rand_fill(const struct env *env, void *buf, size_t len);

/* Xstreams. */

struct xs_conf {
	const char *name; /* for logs and thread names, copied */
	struct env *env;  /* not owned */
	uint32_t spin_us; /* polling after last progress before sleeping; 0 = the default of 50 */
	uint32_t stack_bytes; /* coroutine stacks; 0 = default (128 KiB; more under sanitizers) */
	int cpu;              /* pin the thread of xs_thread_start() to this core, -1 = do not */
};
int xs_create(const struct xs_conf *conf, struct xs **ret_xs);
/*
 * All coroutines must have ended (or never started), sources, hooks and timers must be gone, and
 * nobody may post any more. NULL is fine. In a forked child it frees memory and touches nothing
 * that the parent uses.
 */
void xs_destroy(struct xs *xs);

struct env *xs_env(const struct xs *xs);
const char *xs_name(const struct xs *xs);
/* The xstream whose loop is running on this thread (coroutine, timer, source, mail), else NULL. */
struct xs *xs_self(void);
/* Clock of the xstream: read once per loop turn (cheap); the fresh variant reads it again. */
uint64_t xs_now_ns(struct xs *xs);
uint64_t xs_now_fresh_ns(struct xs *xs);

/* Run the loop on the calling thread until xs_stop(); then nothing more runs and it returns. */
void xs_run(struct xs *xs);
/*
 * Thread-safe: ask xs_run()/xs_run_until() to return at its next turn. It takes effect once: a
 * later xs_run() goes on. Before the loop has started it is remembered.
 */
void xs_stop(struct xs *xs);
/*
 * Convenience: start a thread that does xs_run(); joined by xs_thread_join() after xs_stop(). In
 * the simulator it registers the xstream with the scheduler instead of creating a thread, and
 * joining takes it off again.
 */
int xs_thread_start(struct xs *xs);
void xs_thread_join(struct xs *xs);

/* One turn without sleeping. True when anything ran or arrived. */
bool xs_step(struct xs *xs);
/*
 * Drive the loop on the calling thread until done(arg) is true (checked before every turn), the
 * deadline (monotonic ns, 0 = none) passes: -DER_TIMEDOUT, or xs_stop(): -DER_CANCELED. Sleeps when
 * idle. In the simulator it drives the whole simulation (-DER_SHUTDOWN: nothing in it can happen
 * any more). Not from inside a coroutine or a callback of a loop. -DER_UNINIT in a child forked
 * after the xstream was made.
 */
int xs_run_until(struct xs *xs, bool (*done)(void *arg), void *arg, uint64_t deadline_ns);
/*
 * Run fn(arg) as a coroutine on xs, wait until it returned, return its result (-DER_NOMEM if it
 * could not start). Works from everywhere but a loop's callbacks: on an xstream without a thread it
 * drives the loop; on one that was given a thread it waits for that thread; inside a coroutine it
 * waits as coroutines do (so there it may yield).
 */
int co_fn xs_call(struct xs *xs, int (*fn)(void *arg), void *arg);
/* Monotonic ns of the earliest timer, UINT64_MAX if none. */
uint64_t xs_next_timer_ns(const struct xs *xs);

/* Timers. Those due at the same instant fire in the order they were armed in. */

struct xs_timer {
	uint64_t at_ns;    /* monotonic; valid while armed */
	uint32_t heap_idx; /* 0 = not armed */
	struct xs *xs;
	void (*fn)(
	    struct xs_timer *t); /* runs in the loop, outside any coroutine: must not yield */
	void *arg;
};
void xs_timer_init(struct xs_timer *t, void (*fn)(struct xs_timer *t), void *arg);
void xs_timer_arm(struct xs *xs, struct xs_timer *t, uint64_t at_ns); /* re-arming moves it */
void xs_timer_cancel(struct xs_timer *t);                             /* harmless when not armed */

/*
 * Event sources. poll() makes progress without blocking and returns how many events it handled.
 * prepare_sleep() is called before the loop sleeps; it returns false when there is something to do
 * already (then the loop does not sleep). In the simulator it is how the scheduler learns that
 * poll() would do something, so there a source needs one. fd, when >= 0, is added to the loop's
 * epoll set (level-triggered EPOLLIN).
 */
struct xs_source {
	struct list link;
	int fd;
	uint32_t (*poll)(struct xs_source *src);
	bool (*prepare_sleep)(struct xs_source *src); /* may be NULL */
	void *arg;
};
int xs_source_add(struct xs *xs, struct xs_source *src);
void xs_source_del(struct xs *xs, struct xs_source *src);

/*
 * Hooks run at the end of every turn in which something ran (to flush: coalesced sends, queued
 * device writes). They must not yield.
 */
struct xs_hook {
	struct list link;
	void (*fn)(struct xs_hook *h);
	void *arg;
};
void xs_hook_add(struct xs *xs, struct xs_hook *h);
void xs_hook_del(struct xs *xs, struct xs_hook *h);

/*
 * Mailbox: the only way in from another thread. Messages of one sender may overtake each other in
 * the simulator: no order is promised.
 */
struct xs_msg {
	struct xs_msg *next;
	void (*fn)(struct xs_msg *msg); /* runs on the receiving xstream, outside any coroutine:
					   must not yield */
	uint64_t sim_at_ns;             /* the simulator's: when it arrives */
};
/* Thread-safe, lock-free, wakes the receiver if it sleeps. msg must stay in place until fn ran. */
void xs_post(struct xs *to, struct xs_msg *msg);
/* From a coroutine of one xstream: run fn(arg) as a coroutine on another and wait for its result.
 */
int co_fn xs_call_remote(struct xs *to, int (*fn)(void *arg), void *arg);

#endif
