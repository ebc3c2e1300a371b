/*
 * Properties of placement: even load, no two shards of a group in one fault domain, a lost target
 * moves only its own shards, a new one takes only its part, integer dkeys in a row, speed; and
 * fixed results, because placement may never change by accident.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include <daos_errno.h>

#include "base/hash.h"
#include "cluster/map/map.h"
#include "cluster/map/map_testing.h"
#include "proto/mgmt.pb-c.h"

static const uint32_t four[] = {4};

#define FIXED_SUM 0xb7caaec9cee7a70ull

static daos_obj_id_t
make_oid(uint64_t n)
{
	/* as libdfs makes them: lo per mount, hi counts in steps */
	daos_obj_id_t oid = {.lo = 1 + n / 1000000, .hi = (n * 999999937) & 0xffffffff};

	oid.hi |= (uint64_t)DAOS_OT_ARRAY_BYTE << OID_FMT_TYPE_SHIFT;
	return oid;
}

static struct oclass_shape
make_shape(const struct pool_map *map, daos_oclass_id_t cid)
{
	struct oclass_shape shape;

	assert_int_equal(oclass_shape(map, cid, false, &shape), 0);
	return shape;
}

/* Shards per target over many objects; returns the largest deviation from the share expected of a
 * target. */
static double
worst_load(const struct pool_map *map, daos_oclass_id_t cid, uint32_t obj_nr, bool print)
{
	struct oclass_shape shape = make_shape(map, cid);
	uint32_t target_nr = pool_map_target_nr(map);
	uint32_t *load = calloc(target_nr, sizeof(*load));
	struct place_shard shards[PLACE_SHARD_MAX];
	double share, worst = 0;

	for (uint32_t n = 0; n < obj_nr; n++) {
		for (uint32_t g = 0; g < shape.group_nr; g++) {
			assert_int_equal(place_group(map, make_oid(n), &shape, g, shards), 0);
			for (uint32_t i = 0; i < shape.group_size; i++)
				load[shards[i].target_id]++;
		}
	}
	share = (double)obj_nr * shape.group_nr * shape.group_size / target_nr;
	for (uint32_t t = 0; t < target_nr; t++) {
		double dev = load[t] / share - 1;

		if (dev < 0)
			dev = -dev;
		if (dev > worst)
			worst = dev;
	}
	if (print)
		printf("class %08x on %u targets: %.0f shards a target, worst %.1f %%\n", cid,
		       target_nr, share, worst * 100);
	free(load);
	return worst;
}

static void
test_balance(void **state)
{
	static const uint32_t uneven[] = {2, 4, 4, 6};
	struct test_map tm;
	struct pool_map *map;

	/* The numbers of objects keep chance alone (4.5 sigma) well within the bound. */
	test_map_init(&tm, 250, 1, four, 1);
	map = test_map_make(&tm);
	assert_true(worst_load(map, OC_S1, 6000000, true) < 0.05);
	assert_true(worst_load(map, OC_RP_3G1, 2000000, true) < 0.05);
	assert_true(worst_load(map, OC_EC_16P2G1, 300000, true) < 0.05);
	pool_map_put(map);
	test_map_fini(&tm);

	/* hardly more domains than members: 20 nodes for 16 + 3 */
	test_map_init(&tm, 20, 1, four, 1);
	map = test_map_make(&tm);
	assert_true(worst_load(map, OC_EC_16P3G1, 50000, true) < 0.05);
	assert_true(worst_load(map, OC_S1, 1000000, true) < 0.05);
	pool_map_put(map);
	test_map_fini(&tm);

	test_map_init(&tm, 4, 1, four, 1);
	map = test_map_make(&tm);
	assert_true(worst_load(map, OC_S1, 200000, true) < 0.05);
	assert_true(worst_load(map, OC_S4, 100000, true) < 0.05);
	pool_map_put(map);
	test_map_fini(&tm);

	/* nodes of different size: targets are loaded alike, not nodes */
	test_map_init(&tm, 40, 1, uneven, 4);
	map = test_map_make(&tm);
	assert_true(worst_load(map, OC_S1, 1000000, true) < 0.05);
	assert_true(worst_load(map, OC_RP_3G1, 400000, true) < 0.08);
	pool_map_put(map);
	test_map_fini(&tm);
}

/* An object with a shard for every target loads each once. */
static void
test_one_object_even(void **state)
{
	static const uint32_t sizes[] = {1, 2, 3, 4, 7, 64, 250, 1000};

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		static const uint32_t single[] = {1};
		uint32_t nr = sizes[s], doubled = 0;
		struct oclass_shape shape;
		struct test_map tm;
		struct pool_map *map;

		test_map_init(&tm, nr, 1, single, 1);
		map = test_map_make(&tm);
		shape = make_shape(map, OR_RP_1 << OC_REDUN_SHIFT | nr);
		for (uint32_t n = 0; n < 100; n++) {
			uint8_t *seen = calloc(nr, 1);

			for (uint32_t g = 0; g < nr; g++) {
				struct place_shard shard;

				assert_int_equal(place_group(map, make_oid(n), &shape, g, &shard),
						 0);
				assert_int_equal(shard.shard, g);
				assert_false(shard.absent);
				doubled += seen[shard.target_id];
				seen[shard.target_id] = 1;
			}
			free(seen);
		}
		/* only walks that gave up may meet another's target */
		assert_true(doubled <= 100 * nr / 10000);
		pool_map_put(map);
		test_map_fini(&tm);
	}
}

static void
test_domains(void **state)
{
	static const uint32_t nodes[] = {19, 20, 40, 300};
	struct place_shard shards[PLACE_SHARD_MAX];

	for (size_t k = 0; k < sizeof(nodes) / sizeof(nodes[0]); k++) {
		struct oclass_shape shape;
		struct test_map tm;
		struct pool_map *map;

		test_map_init(&tm, nodes[k], 2, four, 1);
		for (uint32_t lost = 0; lost < 6; lost++) {
			map = test_map_make(&tm);
			shape = make_shape(map, OC_EC_16P3GX);
			for (uint32_t n = 0; n < 300; n++) {
				uint32_t group = n % shape.group_nr;
				uint8_t used[512] = {0};

				assert_int_equal(
				    place_group(map, make_oid(n), &shape, group, shards), 0);
				for (uint32_t i = 0; i < shape.group_size; i++) {
					const struct map_target *t =
					    pool_map_target_find(map, shards[i].target_id);

					assert_int_equal(used[t->domain], 0);
					used[t->domain] = 1;
					assert_true(shards[i].absent || t->state == TGT_ST_UPIN);
				}
			}
			pool_map_put(map);
			test_map_state(&tm, (uint32_t)(hash_u64(lost) % tm.msg->n_targets),
				       TGT_ST_DOWNOUT, lost + 2);
		}
		test_map_fini(&tm);
	}
	/* by rank: two ranks of one node may serve one group */
	{
		static const uint32_t two[] = {2};
		struct oclass_shape shape;
		struct test_map tm;
		struct pool_map *map;

		test_map_init(&tm, 1, 4, two, 1);
		map = test_map_make(&tm);
		assert_int_equal(oclass_shape(map, OC_RP_4G2, true, &shape), 0);
		for (uint32_t n = 0; n < 200; n++) {
			uint32_t seen = 0;

			assert_int_equal(place_group(map, make_oid(n), &shape, n & 1, shards), 0);
			for (uint32_t i = 0; i < 4; i++)
				seen |= 1u << pool_map_target_find(map, shards[i].target_id)->rank;
			assert_int_equal(seen, 15);
		}
		pool_map_put(map);
		test_map_fini(&tm);
	}
}

/* Losses one after the other: at each only shards of the lost target move, and none moves back. */
static void
test_loss_moves_its_own(void **state)
{
	static const daos_oclass_id_t classes[] = {OC_RP_3G1, OC_EC_4P2G2, OC_RP_2G1, OC_EC_16P3G1};
	enum { OBJ_NR = 2000, LOSSES = 12 };

	for (size_t c = 0; c < sizeof(classes) / sizeof(classes[0]); c++) {
		struct oclass_shape shape;
		struct place_shard(*before)[40], now[PLACE_SHARD_MAX];
		struct pool_map *map;
		struct test_map tm;
		uint32_t moved = 0;

		test_map_init(&tm, 24, 1, four, 1);
		map = test_map_make(&tm);
		shape = make_shape(map, classes[c]);
		before = calloc(OBJ_NR, sizeof(*before));
		for (uint32_t n = 0; n < OBJ_NR; n++)
			assert_int_equal(place_group(map, make_oid(n), &shape, 0, before[n]), 0);
		pool_map_put(map);
		for (uint32_t l = 0; l < LOSSES; l++) {
			uint32_t lost = (uint32_t)(hash_u64(100 + l) % 96);

			test_map_state(&tm, lost, TGT_ST_DOWNOUT, l + 2);
			map = test_map_make(&tm);
			for (uint32_t n = 0; n < OBJ_NR; n++) {
				assert_int_equal(place_group(map, make_oid(n), &shape, 0, now), 0);
				for (uint32_t i = 0; i < shape.group_size; i++) {
					if (before[n][i].target_id == lost || before[n][i].absent) {
						moved += now[i].target_id != before[n][i].target_id;
						assert_true(now[i].absent ||
							    now[i].target_id != lost);
						continue;
					}
					assert_int_equal(now[i].target_id, before[n][i].target_id);
					assert_false(now[i].absent);
				}
				memcpy(before[n], now, sizeof(now[0]) * shape.group_size);
			}
			pool_map_put(map);
		}
		assert_true(moved > 0);
		free(before);
		test_map_fini(&tm);
	}
}

/* DOWN: everything stays where it is, marked absent. The shards of a class without redundancy never
 * move. */
static void
test_down_waits(void **state)
{
	struct oclass_shape single, rp;
	struct place_shard a[8], b[8];
	struct pool_map *map, *down, *out;
	struct test_map tm;
	uint32_t absent_nr = 0;

	test_map_init(&tm, 10, 1, four, 1);
	map = test_map_make(&tm);
	single = make_shape(map, OC_S1);
	rp = make_shape(map, OC_RP_3G1);
	test_map_state(&tm, 7, TGT_ST_DOWN, 2);
	down = test_map_make(&tm);
	test_map_state(&tm, 7, TGT_ST_DOWNOUT, 2);
	out = test_map_make(&tm);
	for (uint32_t n = 0; n < 1000; n++) {
		assert_int_equal(place_group(map, make_oid(n), &rp, 0, a), 0);
		assert_int_equal(place_group(down, make_oid(n), &rp, 0, b), 0);
		for (uint32_t i = 0; i < 3; i++) {
			assert_int_equal(a[i].target_id, b[i].target_id);
			assert_int_equal(b[i].absent, a[i].target_id == 7);
		}
		assert_int_equal(place_group(map, make_oid(n), &single, 0, a), 0);
		assert_int_equal(place_group(down, make_oid(n), &single, 0, b), 0);
		assert_int_equal(a[0].target_id, b[0].target_id);
		assert_int_equal(b[0].absent, a[0].target_id == 7);
		assert_int_equal(place_group(out, make_oid(n), &single, 0, b), 0);
		assert_int_equal(a[0].target_id, b[0].target_id);
		assert_int_equal(b[0].absent, a[0].target_id == 7);
		absent_nr += b[0].absent;
	}
	assert_true(absent_nr > 5);
	pool_map_put(map);
	pool_map_put(down);
	pool_map_put(out);
	test_map_fini(&tm);
}

/* What a lost target held spreads over the others. */
static void
test_loss_spreads(void **state)
{
	struct oclass_shape shape;
	struct place_shard a[8], b[8];
	struct pool_map *map, *out;
	struct test_map tm;
	uint32_t got[400] = {0}, sum = 0, most = 0;

	test_map_init(&tm, 100, 1, four, 1);
	map = test_map_make(&tm);
	shape = make_shape(map, OC_RP_3G1);
	test_map_state(&tm, 111, TGT_ST_DOWNOUT, 2);
	out = test_map_make(&tm);
	for (uint32_t n = 0; n < 600000; n++) {
		assert_int_equal(place_group(map, make_oid(n), &shape, 0, a), 0);
		if (a[0].target_id != 111 && a[1].target_id != 111 && a[2].target_id != 111)
			continue;
		assert_int_equal(place_group(out, make_oid(n), &shape, 0, b), 0);
		for (uint32_t i = 0; i < 3; i++) {
			if (a[i].target_id == 111) {
				got[b[i].target_id]++;
				sum++;
			}
		}
	}
	for (uint32_t t = 0; t < 400; t++)
		most = got[t] > most ? got[t] : most;
	printf("%u shards of a lost target: at most %u on one of 399\n", sum, most);
	assert_true(sum > 3000);
	assert_true(most < sum / 399 * 4);
	pool_map_put(map);
	pool_map_put(out);
	test_map_fini(&tm);
}

/* A node is added: what moves, moves to it (but for a few shards displaced within their group), and
 * it gets its share. */
static void
test_addition_takes_its_part(void **state)
{
	static const daos_oclass_id_t classes[] = {OC_S1, OC_RP_3G1, OC_EC_16P2G1};
	static const uint32_t nodes[] = {60, 64, 127, 128}; /* also across powers of two */

	for (size_t c = 0; c < sizeof(classes) / sizeof(classes[0]); c++) {
		for (size_t k = 0; k < sizeof(nodes) / sizeof(nodes[0]); k++) {
			struct place_shard a[PLACE_SHARD_MAX], b[PLACE_SHARD_MAX];
			uint32_t obj_nr = classes[c] == OC_EC_16P2G1 ? 20000 : 60000;
			uint32_t all = 0, taken = 0, other = 0;
			struct pool_map *map, *more;
			struct oclass_shape shape;
			struct test_map tm;
			double part, share;

			test_map_init(&tm, nodes[k], 1, four, 1);
			map = test_map_make(&tm);
			tm.msg->version++;
			test_map_add_rank(&tm, "/new", 4);
			more = test_map_make(&tm);
			shape = make_shape(map, classes[c]);
			for (uint32_t n = 0; n < obj_nr; n++) {
				assert_int_equal(place_group(map, make_oid(n), &shape, 0, a), 0);
				assert_int_equal(place_group(more, make_oid(n), &shape, 0, b), 0);
				for (uint32_t i = 0; i < shape.group_size; i++) {
					all++;
					if (a[i].target_id == b[i].target_id)
						continue;
					if (b[i].target_id >= nodes[k] * 4)
						taken++;
					else
						other++;
				}
			}
			part = (double)taken / all;
			share = 1.0 / (nodes[k] + 1);
			printf("class %08x, %u nodes and one: takes %.2f %% of %.2f %%, displaces "
			       "%.3f %%\n",
			       classes[c], nodes[k], part * 100, share * 100, 100.0 * other / all);
			assert_true(part > share * 0.85 && part < share * 1.15);
			if (shape.group_size == 1)
				assert_int_equal(other, 0);
			else
				assert_true((double)other / all <=
					    share * shape.group_size / nodes[k] * 1.5);
			pool_map_put(map);
			pool_map_put(more);
			test_map_fini(&tm);
		}
	}
}

static void
test_dkey_groups(void **state)
{
	struct oclass_shape shape;
	struct test_map tm;
	struct pool_map *map;
	uint32_t first[64] = {0}, hashed[16] = {0};

	test_map_init(&tm, 16, 1, four, 1);
	map = test_map_make(&tm);
	shape = make_shape(map, OC_SX);
	for (uint32_t n = 0; n < 6400; n++) {
		daos_obj_id_t oid = make_oid(n);
		uint64_t dkey = 0;
		uint32_t g = place_dkey_group(oid, &shape, &dkey, 8);

		first[g % 64]++;
		for (dkey = 1; dkey < 200; dkey++) {
			uint32_t next = place_dkey_group(oid, &shape, &dkey, 8);

			assert_int_equal(next, (g + 1) % shape.group_nr);
			g = next;
		}
		dkey = UINT64_MAX;
		assert_true(place_dkey_group(oid, &shape, &dkey, 8) < shape.group_nr);
	}
	for (uint32_t g = 0; g < shape.group_nr; g++)
		assert_true(first[g] > 30); /* rotated: not all objects begin at the same group */

	shape = make_shape(map, OC_S16);
	for (uint32_t n = 0; n < 16000; n++) {
		daos_obj_id_t oid = {.lo = 7, .hi = 3};
		char name[32];

		snprintf(name, sizeof(name), "file.%u", n);
		hashed[place_dkey_group(oid, &shape, name, strlen(name))]++;
	}
	for (uint32_t g = 0; g < 16; g++)
		assert_in_range(hashed[g], 850, 1150);
	shape = make_shape(map, OC_S1);
	assert_int_equal(place_dkey_group(make_oid(1), &shape, "x", 1), 0);
	assert_int_equal(place_group(map, make_oid(1), &shape, 1, (struct place_shard[1]){{0}}),
			 -DER_INVAL);
	pool_map_put(map);
	test_map_fini(&tm);
}

/* Stored data is found again by later versions of the program only if these never change. */
static void
test_fixed_results(void **state)
{
	static const daos_oclass_id_t classes[] = {OC_S1, OC_SX, OC_RP_3G1, OC_EC_4P2GX};
	struct place_shard shards[PLACE_SHARD_MAX];
	struct test_map tm;
	struct pool_map *map;
	uint64_t sum = 0;

	test_map_init(&tm, 20, 1, four, 1);
	test_map_state(&tm, 3, TGT_ST_DOWNOUT, 2);
	test_map_state(&tm, 33, TGT_ST_DOWN, 3);
	map = test_map_make(&tm);
	for (size_t c = 0; c < sizeof(classes) / sizeof(classes[0]); c++) {
		struct oclass_shape shape = make_shape(map, classes[c]);

		for (uint32_t n = 0; n < 1000; n++) {
			uint64_t dkey = n;

			assert_int_equal(
			    place_group(map, make_oid(n), &shape, n % shape.group_nr, shards), 0);
			for (uint32_t i = 0; i < shape.group_size; i++)
				sum = hash_combine(sum, shards[i].target_id);
			sum = hash_combine(sum, place_dkey_group(make_oid(n), &shape, &dkey, 8));
			sum = hash_combine(sum, place_dkey_group(make_oid(n), &shape, &dkey, 3));
		}
	}
	pool_map_put(map);
	test_map_fini(&tm);
	printf("sum %#lx\n", (unsigned long)sum);
	assert_int_equal(sum, FIXED_SUM);
}

/* Leaders are spread evenly, over keys and over objects; those of erasure-coded groups hold parity.
 */
static void
test_leaders(void **state)
{
	static const struct oclass_shape rp3 = {
	    .group_nr = 4, .group_size = 3, .data_nr = 1, .parity_nr = 0};
	static const struct oclass_shape ec = {
	    .group_nr = 1, .group_size = 6, .data_nr = 4, .parity_nr = 2};
	static const struct oclass_shape one = {.group_nr = 9, .group_size = 1, .data_nr = 1};
	uint32_t by_key[3] = {0}, by_obj[3] = {0};

	for (uint64_t n = 0; n < 30000; n++) {
		by_key[place_leader(make_oid(7), &rp3, &n, sizeof(n))]++;
		by_obj[place_leader(make_oid(n), &rp3, NULL, 0)]++;
		assert_in_range(place_leader(make_oid(7), &ec, &n, sizeof(n)), 4, 5);
		assert_int_equal(place_leader(make_oid(7), &one, &n, sizeof(n)), 0);
	}
	for (int i = 0; i < 3; i++) {
		assert_in_range(by_key[i], 9700, 10300);
		assert_in_range(by_obj[i], 9700, 10300);
	}
}

static double
time_groups(const struct pool_map *map, daos_oclass_id_t cid)
{
	enum { ROUNDS = 100000 };
	struct oclass_shape shape = make_shape(map, cid);
	struct place_shard shards[PLACE_SHARD_MAX];
	struct timespec a, b;
	uint32_t sum = 0;

	clock_gettime(CLOCK_MONOTONIC, &a);
	for (uint32_t n = 0; n < ROUNDS; n++) {
		assert_int_equal(place_group(map, make_oid(n), &shape, n % shape.group_nr, shards),
				 0);
		sum += shards[0].target_id;
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_true(sum > 0);
	return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / ROUNDS;
}

static void
test_speed(void **state)
{
	struct test_map tm;
	struct pool_map *map;

	test_map_init(&tm, 250, 1, four, 1);
	map = test_map_make(&tm);
	printf("one group, 1000 targets: S1 %.0f ns, SX %.0f ns, RP_3 %.0f ns, EC_16P3 %.0f ns\n",
	       time_groups(map, OC_S1), time_groups(map, OC_SX), time_groups(map, OC_RP_3G1),
	       time_groups(map, OC_EC_16P3G1));
	pool_map_put(map);
	test_map_fini(&tm);
	test_map_init(&tm, 20, 1, four, 1);
	map = test_map_make(&tm);
	printf("one group, 80 targets in 20 domains: EC_16P3 %.0f ns\n",
	       time_groups(map, OC_EC_16P3G1));
	pool_map_put(map);
	test_map_fini(&tm);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_balance),
	    cmocka_unit_test(test_one_object_even),
	    cmocka_unit_test(test_domains),
	    cmocka_unit_test(test_loss_moves_its_own),
	    cmocka_unit_test(test_down_waits),
	    cmocka_unit_test(test_loss_spreads),
	    cmocka_unit_test(test_addition_takes_its_part),
	    cmocka_unit_test(test_dkey_groups),
	    cmocka_unit_test(test_leaders),
	    cmocka_unit_test(test_fixed_results),
	    cmocka_unit_test(test_speed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
