/* The simulator's kernel: equal seeds give equal runs, time is virtual, deadlocks are found. */
#include "runtime/test_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <daos_errno.h>

#include "runtime/sim.h"
#include "runtime/uring.h"

#define US  1000ull
#define MS  1000000ull
#define SEC 1000000000ull

enum { NODES = 5, WORKERS = 4 };

struct node {
	struct env *env;
	struct xs *xs;
	uint64_t sum;
	struct co_mutex mutex;
};
struct cluster {
	struct sim *sim;
	struct node nodes[NODES];
	uint32_t running;
	uint64_t trace; /* what the program itself saw */
};

static void
cluster_open(struct cluster *c, uint64_t seed)
{
	int i;

	memset(c, 0, sizeof(*c));
	assert_int_equal(sim_create(seed, &c->sim), 0);
	for (i = 0; i < NODES; i++) {
		struct node *n = &c->nodes[i];
		char name[16];
		struct xs_conf conf = {.name = name, .cpu = -1};

		snprintf(name, sizeof(name), "node%d", i);
		n->env = sim_env_create(c->sim, i * 1000);
		assert_non_null(n->env);
		conf.env = n->env;
		assert_int_equal(xs_create(&conf, &n->xs), 0);
		assert_int_equal(xs_thread_start(n->xs), 0);
		co_mutex_init(&n->mutex);
	}
}

static void
cluster_close(struct cluster *c)
{
	int i;

	for (i = 0; i < NODES; i++) {
		xs_stop(c->nodes[i].xs);
		xs_thread_join(c->nodes[i].xs);
		xs_destroy(c->nodes[i].xs);
	}
	sim_destroy(c->sim);
}

struct work {
	struct cluster *c;
	uint32_t id;
};

static int
add_remote(void *arg)
{
	struct work *w = arg;
	struct cluster *c = w->c;
	struct node *n = NULL;
	int i;

	for (i = 0; i < NODES; i++) {
		if (c->nodes[i].xs == co_xs())
			n = &c->nodes[i];
	}
	assert_non_null(n);
	co_mutex_lock(&n->mutex);
	n->sum += w->id;
	co_mutex_unlock(&n->mutex);
	c->trace = c->trace * 31 + w->id + (uint64_t)(n - c->nodes) * 7;
	return 0;
}

static void
worker(void *arg)
{
	struct work *w = arg;
	struct env *env = xs_env(co_xs());
	int i;

	for (i = 0; i < 20; i++) {
		struct xs *to = w->c->nodes[env_rand_below(env, NODES)].xs;

		assert_int_equal(xs_call_remote(to, add_remote, w), 0);
		if (env_rand_below(env, 4) == 0)
			co_sleep_ns(env_rand_below(env, 3 * MS));
	}
	w->c->running--;
}

static bool
all_done(void *arg)
{
	struct cluster *c = arg;

	return c->running == 0;
}

static void
run_once(uint64_t seed, uint64_t *ret_hash, uint64_t *ret_trace)
{
	struct cluster c;
	struct work work[NODES * WORKERS];
	uint64_t sum = 0;
	int i;

	cluster_open(&c, seed);
	for (i = 0; i < NODES * WORKERS; i++) {
		work[i] = (struct work){.c = &c, .id = (uint32_t)i + 1};
		assert_int_equal(co_spawn(c.nodes[i % NODES].xs, worker, &work[i]), 0);
		c.running++;
	}
	assert_int_equal(sim_run_until(c.sim, all_done, &c, 100 * SEC), 0);
	for (i = 0; i < NODES; i++)
		sum += c.nodes[i].sum;
	assert_int_equal(sum, 20 * (NODES * WORKERS) * (NODES * WORKERS + 1) / 2);
	*ret_hash = sim_hash(c.sim);
	*ret_trace = c.trace;
	cluster_close(&c);
}

/* Take a few blocks of every size and a larger one, so that what comes next lies elsewhere. */
enum { SHIFT_NR = 8 * 64 + 1 };

static void
shift_heap(void *blocks[SHIFT_NR], size_t pages)
{
	int i;

	for (i = 0; i < SHIFT_NR - 1; i++)
		blocks[i] = malloc((size_t)(i / 8 + 1) * 16);
	blocks[i] = malloc(pages * 4096);
}

static void
test_determinism(void **state)
{
	static void *blocks[SHIFT_NR];
	int i;
	uint64_t first_hash = 0;
	uint64_t first_trace = 0;
	uint64_t seed;

	for (seed = 1; seed <= 20; seed++) {
		uint64_t hash[2];
		uint64_t trace[2];

		run_once(seed, &hash[0], &trace[0]);
		shift_heap(blocks, seed);
		run_once(seed, &hash[1], &trace[1]);
		for (i = 0; i < SHIFT_NR; i++)
			free(blocks[i]);
		assert_true(hash[0] == hash[1]);
		assert_true(trace[0] == trace[1]);
		if (seed == 1) {
			first_hash = hash[0];
			first_trace = trace[0];
		} else {
			assert_true(hash[0] != first_hash);
			assert_true(trace[0] != first_trace);
		}
	}
}

/* --- virtual time
 * ---------------------------------------------------------------------------------- */

static int
sleep_a_day(void *arg)
{
	struct env *env = xs_env(co_xs());
	uint64_t mono = env_mono_ns(env);
	uint64_t real = env_real_ns(env);

	co_sleep_ns(86400 * SEC);
	assert_true(env_mono_ns(env) >= mono + 86400 * SEC);
	assert_true(env_mono_ns(env) < mono + 86401 * SEC);
	assert_true(env_real_ns(env) - real == env_mono_ns(env) - mono);
	sim_env_skew(env, -5 * (int64_t)SEC);
	assert_true(env_real_ns(env) < real + 86400 * SEC);
	return 1;
}

static void
test_virtual_time(void **state)
{
	struct cluster c;
	struct timespec a;
	struct timespec b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	cluster_open(&c, 3);
	assert_int_equal(xs_call(c.nodes[2].xs, sleep_a_day, NULL), 1);
	assert_true(env_real_ns(c.nodes[1].env) - env_real_ns(c.nodes[0].env) == 1000);
	cluster_close(&c);
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_true(b.tv_sec - a.tv_sec < 3);
}

/* --- client-driven xstreams
 * --------------------------------------------------------------------------- */

static int
ask_node(void *arg)
{
	struct work *w = arg;

	return xs_call_remote(w->c->nodes[1].xs, add_remote, w);
}

static bool
never(void *arg)
{
	return false;
}

static void
test_driven(void **state)
{
	struct xs_conf conf = {.name = "client", .cpu = -1};
	struct cluster c;
	struct work w = {.c = &c, .id = 9};
	struct xs *client;
	uint64_t now;

	cluster_open(&c, 4);
	conf.env = sim_env_create(c.sim, 0);
	assert_int_equal(xs_create(&conf, &client), 0);
	assert_int_equal(xs_call(client, ask_node, &w), 0);
	assert_int_equal(c.nodes[1].sum, 9);
	now = sim_now_ns(c.sim);
	assert_int_equal(xs_run_until(client, never, NULL, now + 5 * SEC), -DER_TIMEDOUT);
	assert_true(sim_now_ns(c.sim) == now + 5 * SEC);
	xs_stop(client);
	assert_int_equal(xs_run_until(client, never, NULL, 0), -DER_CANCELED);
	sim_run_for(c.sim, SEC);
	assert_true(sim_now_ns(c.sim) == now + 6 * SEC);
	assert_int_equal(uring_probe(client), -DER_NOSYS);
	xs_destroy(client);
	cluster_close(&c);
}

/* --- deadlock
 * ------------------------------------------------------------------------------------------- */

static void
wait_for_ever(void *arg)
{
	co_waitq_wait(arg, 0);
}

static void
test_deadlock(void **state)
{
	struct cluster c;
	struct co_waitq wq;

	cluster_open(&c, 5);
	co_waitq_init(&wq);
	assert_int_equal(co_spawn(c.nodes[0].xs, wait_for_ever, &wq), 0);
	assert_int_equal(sim_run_until(c.sim, never, NULL, 0), -DER_CANCELED);
	assert_int_equal(xs_run_until(c.nodes[1].xs, never, NULL, 0), -DER_SHUTDOWN);
	/* with a limit, time simply passes */
	assert_int_equal(sim_run_until(c.sim, never, NULL, 7 * SEC), -DER_TIMEDOUT);
	co_waitq_wake_all(&wq);
	assert_int_equal(sim_run_until(c.sim, never, NULL, 0), -DER_CANCELED);
	cluster_close(&c);
}

/* --- events and sources
 * ------------------------------------------------------------------------------------ */

struct ticks {
	struct sim *sim;
	struct sim_event ev[40];
	uint64_t last_ns;
	uint32_t fired;
	struct co_waitq wq;
};

static void
tick(struct sim_event *ev)
{
	struct ticks *t = ev->arg;

	assert_null(co_self());
	assert_true(sim_now_ns(t->sim) >= t->last_ns);
	assert_true(sim_now_ns(t->sim) == ev->at_ns);
	t->last_ns = ev->at_ns;
	t->fired++;
	co_waitq_wake_one(&t->wq);
}

static int
wait_ticks(void *arg)
{
	struct ticks *t = arg;

	while (t->fired < 30)
		co_waitq_wait(&t->wq, 0);
	return (int)t->fired;
}

static void
test_events(void **state)
{
	struct ticks t = {0};
	struct cluster c;
	int i;

	cluster_open(&c, 6);
	t.sim = c.sim;
	co_waitq_init(&t.wq);
	for (i = 0; i < 40; i++) {
		t.ev[i] = (struct sim_event){.fn = tick, .arg = &t};
		sim_event_at(c.sim, &t.ev[i], sim_now_ns(c.sim) + sim_rand_below(c.sim, 10) * US);
	}
	for (i = 0; i < 40; i += 4) {
		sim_event_cancel(c.sim, &t.ev[i]);
		sim_event_cancel(c.sim, &t.ev[i]);
	}
	sim_event_at(c.sim, &t.ev[1], sim_now_ns(c.sim) + 3 * SEC); /* moved */
	assert_int_equal(xs_call(c.nodes[3].xs, wait_ticks, &t), 30);
	assert_true(sim_now_ns(c.sim) >= t.last_ns);
	assert_true(t.last_ns == t.ev[1].at_ns);
	cluster_close(&c);
}

/* What a simulated endpoint looks like: an event fills a queue, the source's poll empties it. */
struct inbox {
	struct xs_source src;
	struct sim_event ev;
	uint32_t queued;
	uint32_t taken;
};

static uint32_t
inbox_poll(struct xs_source *src)
{
	struct inbox *in = src->arg;
	uint32_t nr = in->queued;

	in->taken += nr;
	in->queued = 0;
	return nr;
}

static bool
inbox_empty(struct xs_source *src)
{
	struct inbox *in = src->arg;

	return in->queued == 0;
}

static void
inbox_deliver(struct sim_event *ev)
{
	struct inbox *in = ev->arg;

	in->queued += 3;
}

static bool
inbox_taken(void *arg)
{
	struct inbox *in = arg;

	return in->taken == 3;
}

static void
test_source(void **state)
{
	struct inbox in = {0};
	struct cluster c;

	cluster_open(&c, 7);
	in.src = (struct xs_source){
	    .fd = -1, .poll = inbox_poll, .prepare_sleep = inbox_empty, .arg = &in};
	in.ev = (struct sim_event){.fn = inbox_deliver, .arg = &in};
	assert_int_equal(xs_source_add(c.nodes[0].xs, &in.src), 0);
	sim_event_at(c.sim, &in.ev, sim_now_ns(c.sim) + MS);
	assert_int_equal(sim_run_until(c.sim, inbox_taken, &in, 0), 0);
	/* frozen: it is delivered to, but does not run */
	sim_freeze(c.nodes[0].xs, true);
	in.taken = 0;
	sim_event_at(c.sim, &in.ev, sim_now_ns(c.sim) + MS);
	sim_run_for(c.sim, SEC);
	assert_int_equal(in.queued, 3);
	assert_int_equal(in.taken, 0);
	sim_freeze(c.nodes[0].xs, false);
	assert_int_equal(sim_run_until(c.sim, inbox_taken, &in, 0), 0);
	xs_source_del(c.nodes[0].xs, &in.src);
	cluster_close(&c);
}

/* --- the seed really mixes
 * -------------------------------------------------------------------------------- */

struct race {
	struct co_mutex mutex;
	uint32_t winner;
	uint32_t left;
};

static int race_ids[4] = {1, 2, 3, 4};
static struct race race;

static void
racer(void *arg)
{
	co_mutex_lock(&race.mutex);
	if (race.winner == 0)
		race.winner = (uint32_t) * (int *)arg;
	co_mutex_unlock(&race.mutex);
	race.left--;
}

static bool
race_over(void *arg)
{
	return race.left == 0;
}

static void
test_mixes(void **state)
{
	uint32_t wins[5] = {0};
	uint64_t seed;
	int i;

	for (seed = 0; seed < 100; seed++) {
		struct cluster c;

		cluster_open(&c, seed);
		race = (struct race){.left = 4};
		co_mutex_init(&race.mutex);
		for (i = 0; i < 4; i++)
			assert_int_equal(co_spawn(c.nodes[0].xs, racer, &race_ids[i]), 0);
		assert_int_equal(sim_run_until(c.sim, race_over, NULL, 0), 0);
		wins[race.winner]++;
		cluster_close(&c);
	}
	for (i = 1; i <= 4; i++)
		assert_true(wins[i] >= 10);
}

static void
test_rand(void **state)
{
	struct sim *sim;
	uint32_t hits = 0;
	int i;

	assert_int_equal(sim_create(99, &sim), 0);
	assert_int_equal(sim_seed(sim), 99);
	for (i = 0; i < 10000; i++)
		hits += sim_chance(sim, 0.25);
	assert_true(hits > 2300 && hits < 2700);
	assert_false(sim_chance(sim, 0.0));
	assert_true(sim_chance(sim, 1.0));
	sim_destroy(sim);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_determinism), cmocka_unit_test(test_virtual_time),
	    cmocka_unit_test(test_driven),      cmocka_unit_test(test_deadlock),
	    cmocka_unit_test(test_events),      cmocka_unit_test(test_source),
	    cmocka_unit_test(test_mixes),       cmocka_unit_test(test_rand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
