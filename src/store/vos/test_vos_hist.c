/*
 * Deep histories: thousands of versions of one value, written in any order of epochs, read at any
 * epoch, trimmed; for single values and for arrays. The index appears and goes, and agrees with the
 * list (vos_pool_verify).
 */
#include "store/vos/test_vos_util.h"

#include <time.h>

#include "base/hash.h"
#include "store/vos/vos_internal.h"

enum { DEPTH = 3000, LEN = 40 };

struct m {
	struct tpool t;
	struct vos_cont *cont;
	bool array;
	uint8_t present[DEPTH + 1]; /* versions, by epoch - 100; 2: a punch */
	uint8_t times[DEPTH + 1];   /* written */
};

static const uuid_t uuid = {1};
static const struct vos_oid oid = {.id = {.lo = 1, .hi = (uint64_t)DAOS_OT_MULTI_HASHED << 56}};

static uint8_t
byte_of(const struct m *m, uint64_t i)
{
	return hash_u64(i) + m->times[i];
}

static int co_fn
put(struct m *m, uint64_t i, bool punch)
{
	daos_recx_t recx = {.rx_idx = 7, .rx_nr = LEN};
	uint8_t data[LEN];

	m->times[i]++;
	memset(data, byte_of(m, i), sizeof(data));
	m->present[i] = punch ? 2 : 1;
	return tput(m->cont, oid, 100 + i, 0, skey("d"), "a", m->array ? &recx : NULL,
		    punch      ? 0
		    : m->array ? 1
			       : LEN,
		    data, punch ? 0 : LEN, NULL);
}

static int co_fn
check_at(struct m *m, uint64_t i)
{
	daos_recx_t recx = {.rx_idx = 7, .rx_nr = LEN};
	uint8_t data[LEN];
	uint64_t v = i;
	int64_t got;

	while (v > 0 && m->present[v] == 0)
		v--;
	got = tget(m->cont, oid, 100 + i, 0, skey("d"), "a", m->array ? &recx : NULL, data,
		   sizeof(data), NULL);
	if (m->present[v] != 1) {
		check(got == 0 || (m->array && data[0] == 0xee));
		return 0;
	}
	check(got == LEN);
	check(data[0] == byte_of(m, v) && data[LEN - 1] == byte_of(m, v));
	return 0;
}

static int co_fn
aggregate(struct m *m, uint64_t below, const uint64_t *keep, uint32_t keep_nr, uint32_t *ret_steps)
{
	bool more = true;

	for (*ret_steps = 0; more; ++*ret_steps)
		check_rc(vos_aggregate(m->cont, 100 + below, keep, keep_nr, 0, &more), 0);
	return 0;
}

static uint64_t
heap_used(const struct m *m)
{
	struct heap_stats hs;

	heap_stats(m->t.pool->heap, &hs);
	return hs.used_bytes;
}

static double
cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static int
deep(void *arg)
{
	struct m *m = arg;
	uint32_t order[DEPTH], i, steps;
	uint64_t keep[3], before;
	double t0, t1, first, last;

	for (i = 0; i < DEPTH; i++)
		order[i] = i + 1;
	for (i = DEPTH - 1; i > 0; i--) {
		uint32_t j = hash_u64(i) % (i + 1), x = order[i];

		order[i] = order[j];
		order[j] = x;
	}
	check_rc(vos_pool_create(m->t.dir, m->t.xs, &m->t.conf), 0);
	check_rc(vos_pool_open(m->t.dir, m->t.xs, &m->t.conf, &m->t.pool), 0);
	check_rc(vos_cont_create(m->t.pool, uuid), 0);
	check_rc(vos_cont_open(m->t.pool, uuid, &m->cont), 0);
	check_rc(vos_cont_set_keep(m->cont, 1, NULL, 0), 0);
	before = heap_used(m);
	for (i = 0; i < DEPTH; i++) {
		check_rc(put(m, order[i], order[i] % 50 == 0), 0);
		if (i < 40) {
			if (i % 3 == 2) /* once more: takes its own place */
				check_rc(put(m, order[i / 2], false), 0);
			check_rc(vos_pool_verify(m->t.pool), 0);
		}
		if (i % 10 == 0)
			check_rc(check_at(m, 1 + hash_u64(i) % DEPTH), 0);
	}
	check_rc(vos_pool_verify(m->t.pool), 0);
	for (i = 1; i <= DEPTH; i++)
		check_rc(check_at(m, i), 0);
	/* over some of them again: replaced, not added */
	for (i = 3; i <= DEPTH; i += 7)
		check_rc(put(m, i, false), 0);
	check_rc(vos_pool_verify(m->t.pool), 0);
	/* the oldest ones are found about as fast as the newest */
	for (i = 0, t0 = cpu_now(); i < 3000; i++)
		check_rc(check_at(m, DEPTH - 1 - i % 4), 0);
	for (i = 0, t1 = cpu_now(); i < 3000; i++)
		check_rc(check_at(m, 1 + i % 4), 0);
	first = t1 - t0;
	last = cpu_now() - t1;
	print_message("%s: read of the newest %.2f us, of the oldest %.2f us\n",
		      m->array ? "array" : "single value", first / 3000 * 1e6, last / 3000 * 1e6);
	check(last < first * 4);
	if (m->array) { /* a split divides all of it */
		daos_recx_t recx = {.rx_idx = 20, .rx_nr = 5};

		check_rc(
		    tput(m->cont, oid, 101 + DEPTH, 0, skey("d"), "a", &recx, 1, "hello", 5, NULL),
		    0);
		check_rc(vos_pool_verify(m->t.pool), 0);
		check_rc(vos_punch(m->cont, &oid, 102 + DEPTH, 0, NULL, NULL, 0, NULL), 0);
	} else {
		check_rc(vos_punch(m->cont, &oid, 102 + DEPTH, 0, NULL, NULL, 0, NULL), 0);
	}
	for (i = 1; i <= DEPTH; i += 11)
		check_rc(check_at(m, i), 0);
	/* all but a few go, little by little */
	keep[0] = 100 + 5;
	keep[1] = 100 + DEPTH / 2;
	keep[2] = 100 + DEPTH - 3;
	check_rc(aggregate(m, DEPTH + 1, keep, 3, &steps), 0);
	check(steps > DEPTH / 128);
	check_rc(vos_pool_verify(m->t.pool), 0);
	for (i = 0; i < 3; i++)
		check_rc(check_at(m, keep[i] - 100), 0);
	check_rc(aggregate(m, DEPTH + 2, NULL, 0, &steps), 0);
	vos_pool_settle(m->t.pool);
	check_rc(vos_pool_verify(m->t.pool), 0);
	check(heap_used(m) == before);
	vos_cont_close(m->cont);
	vos_pool_close(m->t.pool);
	return 0;
}

static void
run(bool array)
{
	struct m m = {.array = array};

	tpool_init(&m.t, 32 << 20, 64 << 20);
	tpool_run(&m.t, deep, &m);
	tpool_fini(&m.t);
}

static void
test_single(void **state)
{
	run(false);
}

static void
test_array(void **state)
{
	run(true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_single),
	    cmocka_unit_test(test_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
