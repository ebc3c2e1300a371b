/* Pool maps from and to the wire, inconsistent messages, and object classes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <daos_errno.h>

#include "cluster/map/map.h"
#include "cluster/map/map_testing.h"
#include "proto/mgmt.pb-c.h"

static const uint32_t four[] = {4};
static const uint32_t one[] = {1};

static void
test_round_trip(void **state)
{
	struct test_map tm;
	struct pool_map *map, *again;
	uint8_t *buf, *buf2;
	size_t len, len2;
	uuid_t uuid;

	test_map_init(&tm, 3, 2, four, 1);
	tm.msg->version = 17;
	test_map_state(&tm, 5, TGT_ST_DOWN, 9);
	test_map_state(&tm, 6, TGT_ST_DRAIN, 10);
	test_map_state(&tm, 7, TGT_ST_NEW, 0);
	map = test_map_make(&tm);
	assert_int_equal(pool_map_pack(map, &buf, &len), 0);
	assert_int_equal(pool_map_unpack(buf, len, &again), 0);
	assert_int_equal(pool_map_pack(again, &buf2, &len2), 0);
	assert_int_equal(len, len2);
	assert_memory_equal(buf, buf2, len);

	assert_int_equal(pool_map_version(again), 17);
	pool_map_uuid(again, uuid);
	assert_int_equal(uuid[3], 0x5a);
	assert_int_equal(pool_map_target_nr(again), 24);
	assert_int_equal(pool_map_member_nr(again), 23);
	assert_int_equal(pool_map_target_active_nr(again), 22);
	assert_int_equal(pool_map_rank_nr(again), 6);
	assert_int_equal(pool_map_domain_nr(again), 3);
	assert_int_equal(pool_map_member_domain_nr(again, true), 6);
	assert_int_equal(pool_map_target_find(again, 5)->state, TGT_ST_DOWN);
	assert_int_equal(pool_map_target_find(again, 5)->fseq, 9);
	assert_int_equal(pool_map_target_find(again, 5)->rank, 1);
	assert_int_equal(pool_map_target_find(again, 5)->index, 1);
	assert_int_equal(pool_map_target_find(again, 7)->state, TGT_ST_NEW);
	assert_null(pool_map_target_find(again, 24));
	assert_string_equal(pool_map_rank_find(again, 3)->uri, "sim://3");
	assert_null(pool_map_rank_find(again, 6));
	assert_null(pool_map_target(again, 24));
	assert_null(pool_map_rank(again, 6));

	/* every cut of the bytes is refused or consistent */
	for (size_t cut = 0; cut < len; cut++) {
		struct pool_map *part = NULL;

		if (pool_map_unpack(buf, cut, &part) == 0)
			pool_map_put(part);
	}
	pool_map_put(pool_map_get(again));
	pool_map_put(again);
	pool_map_put(map);
	pool_map_put(NULL);
	free(buf);
	free(buf2);
	test_map_fini(&tm);
}

static int
refused(const struct test_map *tm)
{
	struct pool_map *map = NULL;
	int rc = pool_map_from_msg(tm->msg, &map);

	if (rc == 0)
		pool_map_put(map);
	return rc;
}

static void
test_inconsistent(void **state)
{
	struct test_map tm;
	Mgmt__PoolMap *m;

	test_map_init(&tm, 2, 1, four, 1);
	m = tm.msg;
	assert_int_equal(refused(&tm), 0);
#define CHECK_REFUSED(field, value)                                                                \
	do {                                                                                       \
		__typeof__(field) was_ = (field);                                                  \
		(field) = (value);                                                                 \
		assert_int_equal(refused(&tm), -DER_INVAL);                                        \
		(field) = was_;                                                                    \
		assert_int_equal(refused(&tm), 0);                                                 \
	} while (0)
	CHECK_REFUSED(m->pool_uuid.len, 15);
	CHECK_REFUSED(m->n_targets, 0);
	CHECK_REFUSED(m->n_ranks, 0);
	CHECK_REFUSED(m->ranks[1]->rank, 0); /* twice the same rank */
	CHECK_REFUSED(m->ranks[1]->rank, MGMT_RANK_NONE);
	CHECK_REFUSED(m->ranks[1]->target_nr, 3);          /* index beyond the rank */
	CHECK_REFUSED(m->ranks[1]->target_nr, 0x7fffffff); /* absurd */
	CHECK_REFUSED(m->targets[3]->id, 2);               /* twice the same id */
	CHECK_REFUSED(m->targets[3]->id, 9);               /* order */
	CHECK_REFUSED(m->targets[7]->id, 1u << 30);
	CHECK_REFUSED(m->targets[3]->rank, 7);  /* unknown rank */
	CHECK_REFUSED(m->targets[3]->index, 2); /* place taken */
	CHECK_REFUSED(m->targets[3]->state, 3);
	test_map_fini(&tm);
}

static void
check_shape(const struct pool_map *map, daos_oclass_id_t cid, uint32_t groups, uint32_t size,
	    uint32_t k, uint32_t p)
{
	struct oclass_shape shape;

	assert_int_equal(oclass_shape(map, cid, false, &shape), 0);
	assert_int_equal(shape.group_nr, groups);
	assert_int_equal(shape.group_size, size);
	assert_int_equal(shape.data_nr, k);
	assert_int_equal(shape.parity_nr, p);
}

static void
test_oclass(void **state)
{
	static const struct {
		uint32_t redun, size, k, p;
	} all[] = {{OR_RP_1, 1, 1, 0},     {OR_RP_2, 2, 1, 0},      {OR_RP_3, 3, 1, 0},
		   {OR_RP_4, 4, 1, 0},     {OR_RP_5, 5, 1, 0},      {OR_RP_6, 6, 1, 0},
		   {OR_RP_8, 8, 1, 0},     {OR_RP_12, 12, 1, 0},    {OR_RP_16, 16, 1, 0},
		   {OR_RP_24, 24, 1, 0},   {OR_RP_32, 32, 1, 0},    {OR_RP_48, 48, 1, 0},
		   {OR_RP_64, 64, 1, 0},   {OR_RP_128, 128, 1, 0},  {OR_RS_2P1, 3, 2, 1},
		   {OR_RS_2P2, 4, 2, 2},   {OR_RS_4P1, 5, 4, 1},    {OR_RS_4P2, 6, 4, 2},
		   {OR_RS_4P3, 7, 4, 3},   {OR_RS_8P1, 9, 8, 1},    {OR_RS_8P2, 10, 8, 2},
		   {OR_RS_8P3, 11, 8, 3},  {OR_RS_16P1, 17, 16, 1}, {OR_RS_16P2, 18, 16, 2},
		   {OR_RS_16P3, 19, 16, 3}};
	struct oclass_shape shape;
	struct test_map tm;
	struct pool_map *map;
	uint32_t groups;

	test_map_init(&tm, 128, 1, four, 1);
	map = test_map_make(&tm);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		check_shape(map, all[i].redun << OC_REDUN_SHIFT | 4, 4, all[i].size, all[i].k,
			    all[i].p);
	assert_int_equal(oclass_shape(map, OC_UNKNOWN, false, &shape), -DER_INVAL);
	assert_int_equal(oclass_shape(map, OC_TINY, false, &shape), -DER_INVAL);
	assert_int_equal(oclass_shape(map, OC_RP_XSF, false, &shape), -DER_INVAL);
	assert_int_equal(oclass_shape(map, 7u << OC_REDUN_SHIFT | 1, false, &shape), -DER_INVAL);
	assert_int_equal(oclass_shape(map, OR_RP_1 << OC_REDUN_SHIFT, false, &shape), -DER_INVAL);
	assert_int_equal(oclass_shape(map, OR_RP_1 << OC_REDUN_SHIFT | 512, false, &shape), 0);
	assert_int_equal(oclass_shape(map, OR_RP_1 << OC_REDUN_SHIFT | 513, false, &shape),
			 -DER_INVAL);

	/* 128 domains: 6 % would be 7, but 127 of them with 4 % (5 domains, 20 targets) in reserve
	 * give more */
	check_shape(map, OC_RP_2GX, 256 - 10, 2, 1, 0);
	assert_int_equal(oclass_max_groups(map, OC_SX, false, 0, 0, &groups), 0);
	assert_int_equal(groups, 512 - 20);
	assert_int_equal(oclass_max_groups(map, OC_SX, false, 0, 100, &groups), 0);
	assert_int_equal(groups, 412);
	pool_map_put(map);
	test_map_fini(&tm);

	/* 20 domains of 4 targets, 16+3: the reserve of (3 + 1) * 4 targets is one group of four;
	 * but 16 domains of the step below would give more with 12 */
	test_map_init(&tm, 20, 1, four, 1);
	map = test_map_make(&tm);
	check_shape(map, OC_EC_16P3GX, 3, 19, 16, 3);
	check_shape(map, OC_SX, 76, 1, 1, 0);
	assert_int_equal(oclass_shape(map, OR_RP_24 << OC_REDUN_SHIFT | 1, false, &shape),
			 -DER_INVAL);
	pool_map_put(map);
	test_map_fini(&tm);

	/* one machine: separation by node fits nothing redundant, by rank it does */
	test_map_init(&tm, 1, 4, one, 1);
	map = test_map_make(&tm);
	check_shape(map, OC_SX, 4, 1, 1, 0);
	check_shape(map, OC_S1, 1, 1, 1, 0);
	assert_int_equal(oclass_shape(map, OC_RP_2G1, false, &shape), -DER_INVAL);
	assert_int_equal(oclass_shape(map, OC_RP_2G1, true, &shape), 0);
	assert_int_equal(oclass_shape(map, OC_EC_2P1GX, true, &shape), 0);
	assert_int_equal(shape.group_nr, 1);
	pool_map_put(map);
	/* lost targets change nothing */
	for (uint32_t id = 0; id < 4; id++)
		test_map_state(&tm, id, id & 1 ? TGT_ST_DOWN : TGT_ST_DOWNOUT, 5);
	map = test_map_make(&tm);
	check_shape(map, OC_SX, 4, 1, 1, 0);
	pool_map_put(map);
	test_map_fini(&tm);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_inconsistent),
	    cmocka_unit_test(test_oclass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
