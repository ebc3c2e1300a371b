/* Sets of groups against a model: a set of numbers that may be too large but never too small. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/hash.h"
#include "proto/obj_groups.h"

static uint64_t rnd_state = 1;

static uint32_t
rnd_below(uint32_t n)
{
	rnd_state = hash_u64(rnd_state);
	return (uint32_t)(rnd_state % n);
}

enum { TOTAL_MAX = 3000 };

/* Everything a set tells must agree with itself, and hold what was put in. */
static void
check(const struct obj_groups *set, uint32_t total, const bool *put)
{
	uint32_t nr = obj_groups_nr(set), at = 0, next;

	assert_true(obj_groups_valid(set));
	assert_true(nr >= 1 && nr <= total);
	for (uint32_t g = 0; g < total; g++) {
		bool have = at < nr && obj_groups_at(set, at) == g;

		assert_int_equal(obj_groups_have(set, g, g), have);
		assert_true(have || !put[g]);
		if (at < nr) {
			assert_true(obj_groups_next(set, g, &next));
			assert_int_equal(next, obj_groups_at(set, at));
		} else {
			assert_false(obj_groups_next(set, g, &next));
		}
		if (have)
			at++;
	}
	assert_int_equal(at, nr);
}

static void
test_random(void **state)
{
	static bool put[TOTAL_MAX];

	for (int round = 0; round < 300; round++) {
		uint32_t total = 1 + rnd_below(round % 3 == 0 ? 10 : TOTAL_MAX);
		bool dense = rnd_below(2) == 0;
		uint32_t changes = 0, log2 = 0, before;
		struct obj_groups set = obj_groups_first(total > 1 ? 1 + rnd_below(2) : 1);

		while (1u << log2 < total)
			log2++;
		memset(put, 0, sizeof(put));
		for (int i = 0; i < 60; i++) {
			uint32_t first = rnd_below(total);
			uint32_t last = first;
			bool changed;

			if (dense && rnd_below(3) == 0)
				last = first + rnd_below(total - first);
			before = obj_groups_nr(&set);
			changed = obj_groups_add(&set, total, first, last, dense);
			assert_int_equal(changed, obj_groups_nr(&set) != before);
			assert_true(obj_groups_nr(&set) >= before);
			assert_true(obj_groups_have(&set, first, last));
			for (uint32_t g = first; g <= last; g++)
				put[g] = true;
			changes += changed;
			check(&set, total, put);
		}
		/* each step doubles the beginning or names one more group */
		assert_true(changes <= (log2 + 1) * (1 + OBJ_GROUPS_SINGLE_MAX));
	}
}

/* A file written from front to back. */
static void
test_sequential(void **state)
{
	struct obj_groups set = obj_groups_first(1);
	uint32_t changes = 0;

	for (uint32_t g = 0; g < 1000; g++) {
		changes += obj_groups_add(&set, 1000, g, g, true);
		assert_true(obj_groups_nr(&set) < 2 * (g + 1) || obj_groups_nr(&set) == 1000);
		assert_int_equal(set.nr, 0);
	}
	assert_int_equal(changes, 10);
	assert_int_equal(set.prefix, 1000);
	assert_false(obj_groups_add(&set, 1000, 0, 999, true));
}

/* A few keys by hash are named one by one, many are all groups. */
static void
test_hashed(void **state)
{
	struct obj_groups set = obj_groups_first(1);

	for (uint32_t i = 0; i < OBJ_GROUPS_SINGLE_MAX; i++)
		assert_true(obj_groups_add(&set, 1000, 999 - 100 * i, 999 - 100 * i, false));
	assert_int_equal(obj_groups_nr(&set), 1 + OBJ_GROUPS_SINGLE_MAX);
	assert_int_equal(set.single[0], 299);
	assert_false(obj_groups_have(&set, 300, 300));
	assert_true(obj_groups_add(&set, 1000, 5, 5, false));
	assert_int_equal(set.prefix, 1000);
	assert_int_equal(set.nr, 0);
}

static void
test_valid(void **state)
{
	assert_false(obj_groups_valid(&(struct obj_groups){0}));
	assert_false(obj_groups_valid(&(struct obj_groups){.prefix = 1, .nr = 9}));
	assert_false(obj_groups_valid(&(struct obj_groups){.prefix = 3, .nr = 1, .single = {2}}));
	assert_false(
	    obj_groups_valid(&(struct obj_groups){.prefix = 1, .nr = 2, .single = {4, 4}}));
	assert_false(
	    obj_groups_valid(&(struct obj_groups){.prefix = 1, .nr = 1, .single = {UINT32_MAX}}));
	assert_true(obj_groups_valid(&(struct obj_groups){.prefix = 1, .nr = 2, .single = {4, 5}}));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random),
	    cmocka_unit_test(test_sequential),
	    cmocka_unit_test(test_hashed),
	    cmocka_unit_test(test_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
