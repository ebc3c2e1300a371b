/*
 * A heap larger than the memory it may have, checkpoints beside the work of others, and a log that
 * is much too small on a disk that is much too slow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <cmocka.h>

#include "store/heap/heap_fixture.h"

enum {
	OBJS = 6000, /* 20 MiB */
	HOT = 64,
	RESIDENT = 4 << 20,
	WORKERS = 8,
};

struct obj {
	uint64_t off;
	uint32_t size;
	uint32_t version; /* of the content; committed */
};

struct load {
	struct fixture *f;
	struct obj obj[OBJS];
	int left;      /* operations to do */
	uint64_t most; /* pages resident, at most */
	bool done;
	double longest; /* CPU seconds of the loop between two turns of ours */
};

static uint64_t
resident(struct fixture *f)
{
	struct heap_stats st;

	heap_stats(f->heap, &st);
	return st.resident_bytes;
}

static uint64_t
faults(struct fixture *f)
{
	struct heap_stats st;

	heap_stats(f->heap, &st);
	return st.fault_nr;
}

/* --- content: every 8 bytes of an object say which object and version it is ------------------- */

static void
fill(uint8_t *p, uint32_t size, uint64_t word)
{
	uint32_t i;

	for (i = 0; i + 8 <= size; i += 8)
		memcpy(p + i, &word, 8);
}

static uint64_t
word_of(const struct load *l, uint32_t i, uint32_t version)
{
	return (uint64_t)(i + 1) << 32 | version;
}

struct change {
	struct load *l;
	uint32_t i;
	uint32_t version;
	uint64_t off;
};

static int
make_tx(struct heap_tx *tx, void *arg)
{
	struct change *c = arg;
	int rc;

	rc = heap_alloc(tx, c->l->obj[c->i].size, 0, &c->off);
	if (rc == 0)
		fill(heap_ptr(c->l->f->heap, c->off), c->l->obj[c->i].size,
		     word_of(c->l, c->i, c->version));
	return rc;
}

static int
change_tx(struct heap_tx *tx, void *arg)
{
	struct change *c = arg;
	const struct obj *o = &c->l->obj[c->i];
	int rc;

	rc = heap_tx_add(tx, o->off, o->size);
	if (rc == 0)
		fill(heap_ptr(c->l->f->heap, o->off), o->size, word_of(c->l, c->i, c->version));
	return rc;
}

static void
make_objs(struct load *l)
{
	uint32_t i;

	for (i = 0; i < OBJS; i++) {
		struct change c = {.l = l, .i = i, .version = 1};

		l->obj[i].size = (8 + next_rnd(&l->f->rnd) % 6500) / 8 * 8;
		assert_int_equal(heap_tx_run(l->f->heap, 32 << 10, 0, 0, make_tx, &c, NULL), 0);
		l->obj[i].off = c.off;
		l->obj[i].version = 1;
	}
}

static void
check_obj(struct load *l, uint32_t i)
{
	const struct obj *o = &l->obj[i];
	const uint8_t *p;
	uint32_t at;
	int rc;

	do {
		p = heap_try(l->f->heap, o->off, o->size);
		rc = p == NULL ? HEAP_MISS : 0;
	} while (heap_retry(l->f->heap, &rc));
	assert_int_equal(rc, 0);
	for (at = 0; at + 8 <= o->size; at += 8) {
		uint64_t word;

		memcpy(&word, p + at, 8);
		assert_int_equal(word, word_of(l, i, o->version));
	}
}

static void
check_objs(struct load *l)
{
	uint32_t i;

	for (i = 0; i < OBJS; i++)
		check_obj(l, i);
}

/* --- larger than memory ------------------------------------------------------------------------
 */

/* Each worker has its own objects: what it knows of them is what the heap must say. */
struct worker {
	struct load *l;
	uint32_t nr;
};

static int
work(void *arg)
{
	struct worker *w = arg;
	struct load *l = w->l;

	while (l->left-- > 0) {
		uint32_t i = next_rnd(&l->f->rnd) % (OBJS / WORKERS) * WORKERS + w->nr;
		struct change c = {.l = l, .i = i, .version = l->obj[i].version + 1};

		check_obj(l, i);
		if (next_rnd(&l->f->rnd) % 3 == 0) {
			assert_int_equal(
			    heap_tx_run(l->f->heap, 32 << 10, 0, 0, change_tx, &c, NULL), 0);
			l->obj[i].version = c.version;
		}
		if (resident(l->f) > l->most)
			l->most = resident(l->f);
	}
	return 0;
}

static void
run_work(struct load *l, int ops)
{
	struct worker w[WORKERS];
	struct co_group group;
	int i;

	l->left = ops;
	l->most = 0;
	co_group_init(&group);
	for (i = 0; i < WORKERS; i++) {
		w[i] = (struct worker){.l = l, .nr = i};
		assert_int_equal(co_group_spawn(&group, work, &w[i]), 0);
	}
	assert_int_equal(co_group_join(&group), 0);
}

static int
do_larger(void *arg)
{
	struct load *l = calloc(1, sizeof(*l));
	uint64_t before, hot = 0;
	int i, round;

	l->f = arg;
	l->f->conf.resident_max = RESIDENT;
	reopen(l->f, false);
	make_objs(l);
	for (round = 0; round < 3; round++) {
		run_work(l, 4000);
		/* soft: what is dirty or on its way stays */
		assert_in_range(l->most, RESIDENT / 2, 2 * RESIDENT);
		assert_int_equal(heap_checkpoint(l->f->heap), 0);
		assert_in_range(resident(l->f), 1, RESIDENT + 64 * HEAP_PAGE);
		assert_int_equal(heap_verify(l->f->heap, NULL, NULL), 0);
	}
	/* what is used again and again stays, whatever else comes and goes */
	for (i = 0; i < 3000; i++) {
		before = faults(l->f);
		check_obj(l, i % HOT);
		if (i >= HOT)
			hot += faults(l->f) - before;
		check_obj(l, HOT + next_rnd(&l->f->rnd) % (OBJS - HOT));
	}
	assert_in_range(hot, 0, 3000 / 10);
	run_work(l, 4000);
	reopen(l->f, false);
	check_objs(l);
	reopen(l->f, true);
	check_objs(l);
	assert_int_equal(heap_verify(l->f->heap, NULL, NULL), 0);
	free(l);
	return 0;
}

static void
test_larger(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xs_call(f->xs, do_larger, f), 0);
}

/* --- a checkpoint beside others
 * -------------------------------------------------------------------
 */

static double
cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Its turns show how long everybody else together kept the loop. */
static int
ticker(void *arg)
{
	struct load *l = arg;
	double last = cpu_now(), now;

	while (!l->done) {
		co_yield();
		now = cpu_now();
		if (now - last > l->longest)
			l->longest = now - last;
		last = now;
	}
	return 0;
}

static int
do_pause(void *arg)
{
	struct load *l = calloc(1, sizeof(*l));
	struct heap_stats st;
	struct co_group group;

	l->f = arg;
	l->f->conf.shadow = false;
	reopen(l->f, true);
	make_objs(l);
	heap_stats(l->f->heap, &st);
	assert_true(st.dirty_bytes > 0);
	co_group_init(&group);
	assert_int_equal(co_group_spawn(&group, ticker, l), 0);
	assert_int_equal(heap_checkpoint(l->f->heap), 0);
	l->done = true;
	assert_int_equal(co_group_join(&group), 0);
	heap_stats(l->f->heap, &st);
	assert_int_equal(st.dirty_bytes, 0);
	/* about 0.1 ms; the bound leaves room for sanitizers and a machine busy with other things
	 */
	assert_true(l->longest < 0.020);
	free(l);
	return 0;
}

static void
test_pause(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xs_call(f->xs, do_pause, f), 0);
}

/* --- a small log on a slow disk
 * -------------------------------------------------------------------
 */

struct writer {
	struct fixture *f;
	struct load *l;
	uint32_t nr;
	uint64_t longest_ns;
};

static int
slow_writer(void *arg)
{
	struct writer *w = arg;
	int i;

	for (i = 0; i < 12; i++) {
		uint32_t at = w->nr * 12 + i;
		struct change c = {.l = w->l, .i = at, .version = 1};
		uint64_t start = xs_now_ns(w->f->xs), took, lsn;

		w->l->obj[at].size = 9000;
		assert_int_equal(heap_tx_run(w->f->heap, 16 << 10, 0, 0, make_tx, &c, &lsn), 0);
		assert_int_equal(heap_wait_durable(w->f->heap, lsn), 0);
		w->l->obj[at].off = c.off;
		w->l->obj[at].version = 1;
		took = xs_now_ns(w->f->xs) - start;
		if (took > w->longest_ns)
			w->longest_ns = took;
	}
	return 0;
}

enum { SLOW_WRITERS = 64 };

static int
do_slow(void *arg)
{
	struct fixture *f = arg;
	struct load *l = calloc(1, sizeof(*l));
	struct writer w[SLOW_WRITERS];
	struct heap_stats st;
	struct co_group group;
	uint64_t start = xs_now_ns(f->xs), longest = 0;
	uint32_t i;

	l->f = f;
	/* a disk that turns: 10 ms for everything */
	mem_disk_latency(f->disk, 10000000, 10000000, 10000000);
	co_group_init(&group);
	for (i = 0; i < SLOW_WRITERS; i++) {
		w[i] = (struct writer){.f = f, .l = l, .nr = i};
		assert_int_equal(co_group_spawn(&group, slow_writer, &w[i]), 0);
	}
	assert_int_equal(co_group_join(&group), 0);
	for (i = 0; i < SLOW_WRITERS; i++)
		if (w[i].longest_ns > longest)
			longest = w[i].longest_ns;
	heap_stats(f->heap, &st);
	/* the log went round many times, and all had their turn: who waits longest does not wait
	 * much longer than a fair share of the whole */
	assert_true(st.log_written_bytes > 8 * f->log_bytes);
	assert_true(st.ckpt_nr > 8);
	assert_true(longest < (xs_now_ns(f->xs) - start) / 12 * 4);
	for (i = 0; i < SLOW_WRITERS * 12; i++)
		check_obj(l, i);
	assert_int_equal(heap_verify(f->heap, NULL, NULL), 0);
	free(l);
	return 0;
}

static void
test_slow(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xs_call(f->xs, do_slow, f), 0);
}

static int
setup_slow(void **state)
{
	struct sim *sim;

	assert_int_equal(sim_create(42, &sim), 0);
	return setup_sized(state, sim, 32 * MIB, 512 << 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_larger, setup_sim, teardown),
	    cmocka_unit_test_setup_teardown(test_pause, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_slow, setup_slow, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
