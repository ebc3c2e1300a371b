/*
 * The simulator's kernel.
 *
 * Each xstream with something to do and whose previous turn is over is a candidate; the seed picks
 * one and it takes a turn, which keeps it busy for a small random span of virtual time while the
 * others may run: so many xstreams run "in parallel" on the one real thread. Events that are due
 * come first. When there is neither candidate nor due event, time jumps to the next event, timer,
 * message or end of a turn; when there is none of these either, nothing can ever happen again: a
 * deadlock.
 *
 * Further choices of the seed: which runnable coroutine an xstream resumes, how many in one turn,
 * how long a message between xstreams is under way, whether a function that may yield does so.
 *
 * Nothing here depends on addresses, real time or the order of a hash table, so equal seeds give
 * equal runs; the digest of the schedule proves it.
 */
#define LOG_FACILITY "sim"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/sim.h"
#include "runtime/xs_internal.h"

enum {
	SIM_START_NS = 1000000000, /* virtual monotonic time begins here: 0 means "none" to many */
	TURN_MIN_NS = 200,         /* what a turn costs */
	TURN_SPREAD_NS = 2000,
	PICK_DEPTH = 8, /* how far back in the run queue the seed may reach */
	RUN_BUDGET_MAX = 16,
	MAIL_SPREAD_NS = 20000, /* usual delay of a message … */
	MAIL_SLOW_ONE_IN = 64,  /* … and now and then */
	MAIL_SLOW_SPREAD_NS = 1000000,
	YIELD_ONE_IN = 8,
};
/* 2025-01-01 00:00:00 UTC */
#define SIM_REAL_START_NS 1735689600000000000ull

/* splitmix64: one word of state, any seed is good. */
struct rng {
	uint64_t state;
};

static uint64_t
rng_next(struct rng *r)
{
	uint64_t v = hash_u64(r->state);

	r->state += 0x9e3779b97f4a7c15ull;
	return v;
}

struct sim_node {
	struct env env;
	struct list link;
	struct sim *sim;
	struct rng rng;
	int64_t skew_ns;
};

struct sim {
	uint64_t seed;
	uint64_t now_ns;
	uint64_t hash;
	struct rng rng;
	struct list nodes;
	uint64_t node_nr;
	struct list xss; /* in order of creation */
	uint32_t xs_nr;
	uint32_t next_xs_id;
	struct xs **candidates; /* room for xs_cap */
	uint32_t xs_cap;
	struct sim_event **heap; /* binary min-heap by (at_ns, seq), slots from 1 */
	uint32_t event_nr;
	uint32_t event_cap;
	uint64_t event_seq;
	bool driving;
};

int
sim_create(uint64_t seed, struct sim **ret_sim)
{
	struct sim *sim = mem_new(struct sim);

	if (sim == NULL)
		return -DER_NOMEM;
	sim->seed = seed;
	sim->rng.state = hash_u64(seed);
	sim->hash = hash_u64(seed);
	sim->now_ns = SIM_START_NS;
	list_init(&sim->nodes);
	list_init(&sim->xss);
	*ret_sim = sim;
	return 0;
}

void
sim_destroy(struct sim *sim)
{
	struct list *l;
	struct list *tmp;

	if (sim == NULL)
		return;
	assert(!sim->driving && list_empty(&sim->xss));
	list_for_each_safe (l, tmp, &sim->nodes)
		free(list_entry(l, struct sim_node, link));
	free(sim->candidates);
	free(sim->heap);
	free(sim);
}

uint64_t
sim_seed(const struct sim *sim)
{
	return sim->seed;
}

uint64_t
sim_now_ns(const struct sim *sim)
{
	return sim->now_ns;
}

uint64_t
sim_rand_u64(struct sim *sim)
{
	return rng_next(&sim->rng);
}

uint64_t
sim_rand_below(struct sim *sim, uint64_t bound)
{
	assert(bound > 0);
	/* the bias of at most bound / 2^64 does not matter here */
	return (uint64_t)(((unsigned __int128)rng_next(&sim->rng) * bound) >> 64);
}

bool
sim_chance(struct sim *sim, double p)
{
	return (double)(rng_next(&sim->rng) >> 11) * 0x1p-53 < p;
}

uint64_t
sim_hash(const struct sim *sim)
{
	return sim->hash;
}

void
sim_hash_add(struct sim *sim, uint64_t v)
{
	sim->hash = hash_combine(sim->hash, v);
}

/* --- the edges clock and randomness ------------------------------------------------------------
 */

static uint64_t
node_mono_ns(void *ctx)
{
	struct sim_node *node = ctx;

	return node->sim->now_ns;
}

static uint64_t
node_real_ns(void *ctx)
{
	struct sim_node *node = ctx;

	return SIM_REAL_START_NS + node->sim->now_ns + (uint64_t)node->skew_ns;
}

static void
node_fill(void *ctx, void *buf, size_t len)
{
	struct sim_node *node = ctx;
	uint8_t *p = buf;

	while (len > 0) {
		uint64_t v = rng_next(&node->rng);
		size_t n = len < sizeof(v) ? len : sizeof(v);

		memcpy(p, &v, n);
		p += n;
		len -= n;
	}
}

static const struct clock_ops node_clock = {.mono_ns = node_mono_ns, .real_ns = node_real_ns};
static const struct rand_ops node_rand = {.fill = node_fill};

struct env *
sim_env_create(struct sim *sim, int64_t skew_ns)
{
	struct sim_node *node = mem_new(struct sim_node);

	if (node == NULL)
		return NULL;
	node->sim = sim;
	node->skew_ns = skew_ns;
	node->rng.state = hash_combine(hash_u64(sim->seed), ++sim->node_nr);
	node->env = (struct env){.clock = &node_clock,
				 .clock_ctx = node,
				 .rand = &node_rand,
				 .rand_ctx = node,
				 .sim = sim};
	list_push_back(&sim->nodes, &node->link);
	return &node->env;
}

void
sim_env_skew(struct env *env, int64_t skew_ns)
{
	container_of(env, struct sim_node, env)->skew_ns = skew_ns;
}

/* --- events ----------------------------------------------------------------------------------- */

static inline bool
event_before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->seq < b->seq);
}

static void
event_put(struct sim *sim, uint32_t idx, struct sim_event *ev)
{
	sim->heap[idx] = ev;
	ev->heap_idx = idx;
}

static void
event_up(struct sim *sim, uint32_t idx, struct sim_event *ev)
{
	for (; idx > 1 && event_before(ev, sim->heap[idx / 2]); idx /= 2)
		event_put(sim, idx, sim->heap[idx / 2]);
	event_put(sim, idx, ev);
}

static void
event_down(struct sim *sim, uint32_t idx, struct sim_event *ev)
{
	for (;;) {
		uint32_t child = 2 * idx;

		if (child > sim->event_nr)
			break;
		if (child < sim->event_nr && event_before(sim->heap[child + 1], sim->heap[child]))
			child++;
		if (!event_before(sim->heap[child], ev))
			break;
		event_put(sim, idx, sim->heap[child]);
		idx = child;
	}
	event_put(sim, idx, ev);
}

void
sim_event_at(struct sim *sim, struct sim_event *ev, uint64_t at_ns)
{
	sim_event_cancel(sim, ev);
	if (sim->event_nr + 2 > sim->event_cap) {
		uint32_t cap = sim->event_cap == 0 ? 256 : sim->event_cap * 2;
		struct sim_event **heap = realloc(sim->heap, cap * sizeof(*heap));

		if (heap == NULL)
			abort(); /* a test program out of memory */
		sim->heap = heap;
		sim->event_cap = cap;
	}
	ev->at_ns = at_ns > sim->now_ns ? at_ns : sim->now_ns;
	ev->seq = sim->event_seq++;
	event_up(sim, ++sim->event_nr, ev);
}

static void
delay_over(struct sim_event *ev)
{
	co_future_complete(ev->arg, 0);
}

void co_fn
sim_delay(struct sim *sim, uint64_t ns)
{
	struct co_future over;
	struct sim_event ev = {.fn = delay_over, .arg = &over};

	if (sim == NULL)
		return;
	co_future_init(&over);
	sim_event_at(sim, &ev, sim_now_ns(sim) + ns / 2 + sim_rand_below(sim, ns + 1));
	co_future_wait(&over, 0);
}

void
sim_event_cancel(struct sim *sim, struct sim_event *ev)
{
	struct sim_event *last;
	uint32_t idx = ev->heap_idx;

	if (idx == 0)
		return;
	last = sim->heap[sim->event_nr--];
	ev->heap_idx = 0;
	if (idx > sim->event_nr)
		return;
	if (idx > 1 && event_before(last, sim->heap[idx / 2]))
		event_up(sim, idx, last);
	else
		event_down(sim, idx, last);
}

static bool
fire_event(struct sim *sim)
{
	struct sim_event *ev;

	if (sim->event_nr == 0 || sim->heap[1]->at_ns > sim->now_ns)
		return false;
	ev = sim->heap[1];
	sim_event_cancel(sim, ev);
	sim_hash_add(sim, sim->now_ns);
	sim_hash_add(sim, ev->seq);
	ev->fn(ev);
	return true;
}

/* --- xstreams --------------------------------------------------------------------------------- */

void
sim_xs_attach(struct sim *sim, struct xs *xs)
{
	if (sim->xs_nr == sim->xs_cap) {
		uint32_t cap = sim->xs_cap == 0 ? 64 : sim->xs_cap * 2;
		struct xs **arr = realloc(sim->candidates, cap * sizeof(*arr));

		if (arr == NULL)
			abort();
		sim->candidates = arr;
		sim->xs_cap = cap;
	}
	sim->xs_nr++;
	xs->sim_id = ++sim->next_xs_id;
	list_push_back(&sim->xss, &xs->sim_link);
}

void
sim_xs_detach(struct sim *sim, struct xs *xs)
{
	list_del(&xs->sim_link);
	sim->xs_nr--;
}

void
sim_freeze(struct xs *xs, bool frozen)
{
	xs->sim_frozen = frozen;
}

void
sim_post(struct sim *sim, struct xs *to, struct xs_msg *msg)
{
	uint64_t spread = MAIL_SPREAD_NS;

	if (sim_rand_below(sim, MAIL_SLOW_ONE_IN) == 0)
		spread = MAIL_SLOW_SPREAD_NS;
	msg->sim_at_ns = sim->now_ns + sim_rand_below(sim, spread);
	msg->next = to->sim_mail;
	to->sim_mail = msg;
}

static uint64_t
mail_next_ns(const struct xs *xs)
{
	const struct xs_msg *m;
	uint64_t at = UINT64_MAX;

	for (m = xs->sim_mail; m != NULL; m = m->next) {
		if (m->sim_at_ns < at)
			at = m->sim_at_ns;
	}
	return at;
}

bool
sim_mail_due(const struct sim *sim, const struct xs *xs)
{
	return mail_next_ns(xs) <= sim->now_ns;
}

/* Deliver what has arrived, in order of arrival. */
uint32_t
sim_mail_take(struct sim *sim, struct xs *xs)
{
	uint32_t nr;

	for (nr = 0; sim_mail_due(sim, xs); nr++) {
		uint64_t at = mail_next_ns(xs);
		struct xs_msg **pp = &xs->sim_mail;
		struct xs_msg *msg;

		while ((*pp)->sim_at_ns != at)
			pp = &(*pp)->next;
		msg = *pp;
		*pp = msg->next;
		msg->fn(msg); /* msg is gone now */
	}
	return nr;
}

struct co *
sim_pick_co(struct sim *sim, struct xs *xs)
{
	struct list *l;
	uint64_t steps;
	uint32_t depth = 0;

	for (l = xs->runq.next; l != &xs->runq && depth < PICK_DEPTH; l = l->next)
		depth++;
	l = xs->runq.next;
	if (depth > 1) {
		for (steps = sim_rand_below(sim, depth); steps > 0; steps--)
			l = l->next;
	}
	return list_entry(l, struct co, link);
}

uint32_t
sim_run_budget(struct sim *sim)
{
	return 1 + (uint32_t)sim_rand_below(sim, RUN_BUDGET_MAX);
}

bool
sim_may_yield(struct sim *sim)
{
	return sim_rand_below(sim, YIELD_ONE_IN) == 0;
}

/* --- the scheduler -----------------------------------------------------------------------------
 */

static bool
xs_is_scheduled(const struct xs *xs)
{
	return xs->sim_on > 0 && !xs->sim_frozen &&
	       !(xs->threaded && atomic_load_explicit(&xs->stop, memory_order_relaxed));
}

/* When xs may do something next: now if it could at once, UINT64_MAX if only others can wake it. */
static uint64_t
xs_ready_ns(struct xs *xs, uint64_t now)
{
	uint64_t at;

	if (xs_has_work(xs)) {
		at = now;
	} else {
		uint64_t mail = mail_next_ns(xs);

		at = xs_next_timer_ns(xs);
		if (mail < at)
			at = mail;
	}
	return at < xs->sim_busy_until_ns ? xs->sim_busy_until_ns : at;
}

static void
run_xs(struct sim *sim, struct xs *xs)
{
	sim_hash_add(sim, sim->now_ns);
	sim_hash_add(sim, xs->sim_id);
	xs_turn(xs);
	xs->sim_busy_until_ns = sim->now_ns + TURN_MIN_NS + sim_rand_below(sim, TURN_SPREAD_NS);
}

/* One event, one turn or one jump in time (never past limit). False: nothing can happen any more.
 */
static bool
sim_step(struct sim *sim, uint64_t limit_ns)
{
	uint64_t next = UINT64_MAX;
	uint32_t nr = 0;
	struct list *l;

	if (fire_event(sim))
		return true;
	if (sim->event_nr > 0)
		next = sim->heap[1]->at_ns;
	list_for_each (l, &sim->xss) {
		struct xs *xs = list_entry(l, struct xs, sim_link);
		uint64_t at;

		if (!xs_is_scheduled(xs))
			continue;
		at = xs_ready_ns(xs, sim->now_ns);
		if (at <= sim->now_ns)
			sim->candidates[nr++] = xs;
		else if (at < next)
			next = at;
	}
	if (nr > 0) {
		run_xs(sim, sim->candidates[nr == 1 ? 0 : sim_rand_below(sim, nr)]);
		return true;
	}
	if (next == UINT64_MAX)
		return false;
	sim->now_ns = limit_ns != 0 && limit_ns < next ? limit_ns : next;
	return true;
}

static int
sim_loop(struct sim *sim, struct xs *xs, bool (*done)(void *arg), void *arg, uint64_t limit_ns)
{
	int rc;

	assert(!sim->driving && co_tls.xs == NULL && co_tls.co == NULL);
	sim->driving = true;
	for (;;) {
		if (done != NULL && done(arg)) {
			rc = 0;
			break;
		}
		if (xs != NULL && atomic_exchange(&xs->stop, false)) {
			rc = -DER_CANCELED;
			break;
		}
		if (limit_ns != 0 && sim->now_ns >= limit_ns) {
			rc = -DER_TIMEDOUT;
			break;
		}
		if (!sim_step(sim, limit_ns)) {
			/* with nothing left to happen, time simply passes */
			if (limit_ns != 0) {
				sim->now_ns = limit_ns;
				continue;
			}
			log_err("nothing can happen any more (seed %#lx, at %lu ns)", sim->seed,
				sim->now_ns);
			rc = -DER_SHUTDOWN;
			break;
		}
	}
	sim->driving = false;
	return rc;
}

int
sim_drive(struct sim *sim, struct xs *xs, bool (*done)(void *arg), void *arg, uint64_t deadline_ns)
{
	int rc;

	xs->sim_on++;
	rc = sim_loop(sim, xs->threaded ? NULL : xs, done, arg, deadline_ns);
	xs->sim_on--;
	return rc;
}

int
sim_run_until(struct sim *sim, bool (*done)(void *arg), void *arg, uint64_t limit_ns)
{
	int rc = sim_loop(sim, NULL, done, arg, limit_ns);

	return rc == -DER_SHUTDOWN ? -DER_CANCELED : rc;
}

void
sim_run_for(struct sim *sim, uint64_t ns)
{
	sim_loop(sim, NULL, NULL, NULL, sim->now_ns + ns);
}
