/*
 * Coroutines: straight-line code that waits without holding a thread.
 *
 * A coroutine belongs to one xstream (runtime/xs.h), runs only on its thread and runs to the end of
 * its entry function; it is cancelled by a flag its own code looks at, never by freeing its stack.
 * Everything here must be called on the thread of the xstream concerned. A function that may yield
 * is marked co_fn; after it returns, other coroutines of the xstream may have run, so anything they
 * can change must be looked up again.
 */
#ifndef RUNTIME_CO_H
#define RUNTIME_CO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

#define co_fn /* marks a function that may yield */

struct xs;
struct co;

typedef void (*co_entry_t)(void *arg);

/* Start a coroutine on xs; it is queued and first runs from the loop. 0 or -DER_NOMEM. */
int co_spawn(struct xs *xs, co_entry_t entry, void *arg);

/* The running coroutine, or NULL when called from outside any coroutine. */
struct co *co_self(void);

/* The xstream of the running coroutine (must be in one). */
struct xs *co_xs(void);

/* A number for logs, unique on its xstream; 0 outside coroutines. */
uint64_t co_self_id(void);

/* Let the other runnable coroutines and the event sources have a turn. */
void co_fn co_yield(void);

/* Sleep for ns on the monotonic clock of the xstream. */
void co_fn co_sleep_ns(uint64_t ns);

/*
 * Low-level park and wake. co_park() gives up the processor until somebody calls co_wake() on this
 * coroutine. A wake that comes before the park is remembered (one token), so the pair has no lost
 * wake-ups; a token left over from earlier makes co_park() return at once, so park in a loop around
 * the condition waited for. Only for building the primitives below and I/O completions.
 */
void co_fn co_park(void);
void co_wake(struct co *co);

/*
 * For implementers of functions that may yield: on a path that happens not to need to wait, give
 * the simulator the chance to let others run nevertheless. Nothing at all outside the simulator.
 */
void co_fn co_may_yield(void);

/* Wait queue: FIFO of parked coroutines. Zero-cost when empty. */
struct co_waitq {
	struct list waiters;
};
void co_waitq_init(struct co_waitq *wq);
/* Park on wq; returns 0 when woken, -DER_TIMEDOUT when deadline_ns (monotonic, 0 = none) passed
 * first. */
int co_fn co_waitq_wait(struct co_waitq *wq, uint64_t deadline_ns);
void co_waitq_wake_one(struct co_waitq *wq);
void co_waitq_wake_all(struct co_waitq *wq);

/* One-shot completion with a result: one or more coroutines wait, one party completes. */
struct co_future {
	struct co_waitq wq;
	bool done;
	int rc;
};
void co_future_init(struct co_future *f);
void co_future_complete(struct co_future *f, int rc); /* idempotent: the first result wins */
/* Returns the result, or -DER_TIMEDOUT when the deadline (monotonic ns, 0 = none) passed first. */
int co_fn co_future_wait(struct co_future *f, uint64_t deadline_ns);

/* Mutex between coroutines of one xstream (fair, not recursive). */
struct co_mutex {
	struct co_waitq wq;
	struct co *owner;
};
void co_mutex_init(struct co_mutex *m);
void co_fn co_mutex_lock(struct co_mutex *m);
bool co_mutex_trylock(struct co_mutex *m);
void co_mutex_unlock(struct co_mutex *m);

/* Counting semaphore: a bound on concurrency. */
struct co_sem {
	struct co_waitq wq;
	uint32_t free_nr;
};
void co_sem_init(struct co_sem *s, uint32_t nr);
void co_fn co_sem_get(struct co_sem *s);
void co_sem_put(struct co_sem *s);

/*
 * Fork-join: run several functions concurrently on the xstream of the caller and wait for all.
 *	struct co_group g; co_group_init(&g);
 *	co_group_spawn(&g, fn, arg); ...      (fn returns a code; the first non-zero one is the
 *result) rc = co_group_join(&g);               (always join before g leaves scope)
 */
struct co_group {
	struct co_waitq wq;
	uint32_t running_nr;
	int rc;
};
typedef int (*co_group_fn_t)(void *arg);
void co_group_init(struct co_group *g);
/* 0 or -DER_NOMEM: then fn will not run; the group itself is unaffected. */
int co_group_spawn(struct co_group *g, co_group_fn_t fn, void *arg);
int co_fn co_group_join(struct co_group *g);

#endif
