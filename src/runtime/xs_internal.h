/* Private to the runtime: what an xstream and a coroutine are made of. */
#ifndef RUNTIME_XS_INTERNAL_H
#define RUNTIME_XS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "runtime/co.h"
#include "runtime/co_switch.h"
#include "runtime/xs.h"

/*
 * Before each step of the mailbox that other threads can see: where test_mail_model.c, which
 * compiles xs.c into itself, lets another thread go on instead.
 */
#ifndef MODEL_POINT
#define MODEL_POINT() ((void)0)
#endif

enum co_state {
	CO_FREE,    /* on the list of cached coroutines */
	CO_READY,   /* on the run queue */
	CO_RUNNING, /* it is the one that runs */
	CO_PARKED,  /* waits for co_wake() */
	CO_DONE,    /* its entry function has returned; for a moment only */
};

/* A coroutine lives at the top of its own stack and is reused with it. */
struct co {
	struct co_ctx ctx;
	struct xs *xs;
	struct list link; /* run queue or cache */
	enum co_state state;
	bool token;   /* a wake came before the park */
	bool started; /* the entry function has been called */
	co_entry_t entry;
	void *arg;
	co_group_fn_t group_fn; /* instead of entry, when group is set */
	struct co_group *group;
	uint64_t id;
	struct co_stack stack;
};

/* 4-ary min-heap by (at_ns, seq); slot 0 is unused so that heap_idx 0 means "not armed". */
struct timer_slot {
	uint64_t at_ns;
	uint64_t seq;
	struct xs_timer *timer;
};
struct timer_heap {
	struct timer_slot *slots;
	uint32_t nr;
	uint32_t cap;
	uint64_t seq;
};
void timer_heap_fini(struct timer_heap *h);
/* Fire what is due at now; returns how many. */
uint32_t timer_heap_fire(struct timer_heap *h, uint64_t now_ns);

enum {
	XS_RUN_MAX = 128,   /* coroutines resumed in one turn before the sources are polled again */
	XS_STACK_KEEP = 64, /* cached stacks kept for good */
	XS_STACK_TRIM = 16, /* of the others, released per sleep */
	XS_SPIN_FULL = 16,  /* credit for spinning: top of xs.c */
	XS_SPIN_MIN = 4,
	XS_SPIN_DEFAULT = 50, /* us */
};

struct xs {
	/* Used every turn. */
	struct list runq;    /* struct co: ready to run */
	struct list yielded; /* struct co: ready, but only in the next turn */
	uint64_t now_ns;     /* the clock as of this turn */
	uint64_t last_progress_ns;
	uint32_t turn_events; /* messages and sources' events of the last turn */
	struct timer_heap timers;
	struct list sources;
	struct list *source_next; /* cursor of the walk, moved by a deletion */
	struct list hooks;
	struct list *hook_next;
	struct env *env;
	struct sim *sim;
	bool in_turn;
	uint32_t spin_credit;
	uint64_t spin_ns;
	struct co_ctx loop_ctx;

	/* Coroutines. */
	struct list free_cos;
	uint32_t free_nr;
	uint32_t live_nr; /* spawned and not ended */
	uint32_t color;   /* next offset of a new stack's top */
	uint64_t next_co_id;
	size_t stack_bytes;

	struct uring *uring; /* NULL until first used */

	/* Written by other threads. */
	_Alignas(64) _Atomic(struct xs_msg *) mail; /* newest first; MAIL_ASLEEP when asleep */
	_Atomic bool stop;
	_Atomic uint64_t kicks_done; /* writes of event_fd, counted after each */

	_Alignas(64) int epoll_fd; /* -1 in the simulator */
	int event_fd;
	uint32_t fork_gen;
	int cpu;
	char name[32];
	bool threaded; /* has (or, in the simulator, plays) a thread of its own */
	pthread_t thread;
	uint64_t kicks_owed; /* sleeps that somebody else has ended */
	uint64_t wake_nr;    /* how often the loop slept and woke: for tests and statistics */

	/* The simulator's. */
	struct list sim_link;
	uint32_t sim_id;
	uint32_t sim_on; /* how many reasons there are to schedule it */
	bool sim_frozen;
	uint64_t sim_busy_until_ns;
	struct xs_msg *sim_mail; /* under way or arrived, unordered */
};

/* Current loop and coroutine of this thread. */
struct co_tls {
	struct xs *xs;
	struct co *co;
};
extern __thread struct co_tls co_tls __attribute__((tls_model("initial-exec")));

/* Whether code running here may touch xs: in its loop, in no loop, or before it has a thread. */
static inline bool
xs_is_mine(const struct xs *xs)
{
	return co_tls.xs == xs || co_tls.xs == NULL || !xs->threaded;
}

/* co.c */
void co_resume(struct xs *xs, struct co *co);
/* Release cached stacks beyond keep, at most max of them. */
void co_trim(struct xs *xs, uint32_t keep, uint32_t max);
/* Release coroutines that never ran, and the cache. */
void co_drop_unstarted(struct xs *xs);

/* xs.c */
bool xs_turn(struct xs *xs);
bool xs_has_work(struct xs *xs);

/* uring.c */
void uring_destroy(struct xs *xs);

/* sim.c: what the loop asks the simulator to do. */
void sim_xs_attach(struct sim *sim, struct xs *xs);
void sim_xs_detach(struct sim *sim, struct xs *xs);
void sim_post(struct sim *sim, struct xs *to, struct xs_msg *msg);
uint32_t sim_mail_take(struct sim *sim, struct xs *xs);
bool sim_mail_due(const struct sim *sim, const struct xs *xs);
struct co *sim_pick_co(struct sim *sim, struct xs *xs);
uint32_t sim_run_budget(struct sim *sim);
bool sim_may_yield(struct sim *sim);
int sim_drive(struct sim *sim, struct xs *xs, bool (*done)(void *arg), void *arg,
	      uint64_t deadline_ns);

#endif
