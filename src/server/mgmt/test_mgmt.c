/* The service with one replica and with three, over cardboard engines, in the simulator. */
#include "server/mgmt/test_cluster.h"

static const uint8_t ph[16] = {1};
static const uint8_t ch[16] = {2};
static const uint8_t cu[16] = {3};

/* MGMT_SEED=N replays, or explores, another schedule. */
static uint64_t
seed_of(uint64_t otherwise)
{
	const char *s = getenv("MGMT_SEED");
	uint64_t seed = s != NULL ? strtoull(s, NULL, 0) : otherwise;

	print_message("seed %llu (MGMT_SEED)\n", (unsigned long long)seed);
	return seed;
}

/* --- one replica
 * -------------------------------------------------------------------------------------------- */

static void
body_single(struct tc *tc)
{
	uint8_t raw[CAP_BYTES];
	uint8_t ph2[16] = {9};
	uint8_t ch2[16] = {8};
	uint64_t first = 0;
	uuid_t pool;
	uuid_t other;

	tc_settle(tc, 2, 1);
	assert_int_equal(tc_pool_create(tc, "tank", TC_GIB, pool), 0);
	assert_int_equal(tc->nodes[0].pool_nr, 1);
	assert_int_equal(tc->nodes[1].pool_nr, 1);
	assert_int_equal(tc_pool_create(tc, "tank", TC_GIB, other), -DER_EXIST);
	assert_int_equal(tc_pool_create(tc, "huge", 100 * TC_GIB, other), -DER_NOSPACE);
	/* 9 of 10 are left. */
	assert_int_equal(tc_pool_create(tc, "big", 10 * TC_GIB, other), -DER_NOSPACE);
	assert_int_equal(tc_pool_create(tc, "big", 9 * TC_GIB, other), 0);
	assert_int_equal(tc_pool_destroy(tc, "big", false, false), 0);
	assert_int_equal(tc_pool_destroy(tc, "big", false, false), -DER_NONEXIST);
	assert_int_equal(tc_pool_create(tc, "big", 9 * TC_GIB, other), 0);
	assert_int_equal(tc_pool_nr(tc), 2);

	assert_int_equal(tc_connect(tc, "nopool", ph, DAOS_PC_RW), -DER_NONEXIST);
	assert_int_equal(tc_connect(tc, "tank", ph, 0), -DER_INVAL);
	assert_int_equal(tc_connect(tc, "tank", ph, DAOS_PC_RW), 0);
	assert_int_equal(tc_connect(tc, "tank", ph2, DAOS_PC_EX), -DER_BUSY);
	assert_int_equal(tc_connect(tc, "tank", ph2, DAOS_PC_RO), 0);
	assert_int_equal(tc_cont_create(tc, pool, ph2, cu, "home"), -DER_NO_PERM);
	assert_int_equal(tc_cont_create(tc, pool, cu, cu, "home"), -DER_NO_HDL);
	assert_int_equal(tc_cont_create(tc, pool, ph, cu, "home"), 0);
	assert_int_equal(tc_cont_create(tc, pool, ph, cu, "home2"), -DER_EXIST);
	assert_int_equal(tc_cont_create(tc, pool, ph, ch, "home"), -DER_EXIST);
	assert_int_equal(tc_cont_create(tc, pool, ph, ch, "a/b"), -DER_INVAL);
	assert_int_equal(tc_cont_open(tc, pool, ph, "nocont", ch, DAOS_COO_RW, NULL, NULL),
			 -DER_NONEXIST);
	assert_int_equal(tc_cont_open(tc, pool, ph2, "home", ch, DAOS_COO_RW, NULL, NULL),
			 -DER_NO_PERM);
	assert_int_equal(tc_cont_open(tc, pool, ph, "home", ch, DAOS_COO_RW, NULL, raw), 0);
	assert_int_equal(tc_cont_open(tc, pool, ph, "home", ch2, DAOS_COO_EX, NULL, NULL),
			 -DER_BUSY);
	assert_int_equal(tc_alloc(tc, pool, ch, 10, &first), 0);
	assert_int_equal(first, 1);
	assert_int_equal(tc_alloc(tc, pool, ch, 5, &first), 0);
	assert_int_equal(first, 11);
	assert_int_equal(tc_disconnect(tc, pool, ph), -DER_BUSY);
	assert_int_equal(tc_cont_destroy(tc, pool, ph, "home", false), -DER_BUSY);
	assert_int_equal(tc_cont_close(tc, pool, ch), 0);
	assert_int_equal(tc_cont_close(tc, pool, ch), 0);
	assert_int_equal(tc_pool_destroy(tc, "tank", false, true), -DER_BUSY);
	assert_int_equal(tc_disconnect(tc, pool, ph2), 0);

	/* Everything is there after a restart of everything. */
	tc_crash(tc, 1);
	tc_crash(tc, 0);
	tc_up(tc, 0);
	tc_up(tc, 1);
	assert_int_equal(tc_pool_nr(tc), 2);
	assert_int_equal(tc_cont_open(tc, pool, ph, "home", ch, DAOS_COO_EX, NULL, raw), 0);
	assert_int_equal(tc_alloc(tc, pool, ch, 1, &first), 0);
	assert_int_equal(first, 16);
	assert_int_equal(tc_cont_destroy(tc, pool, ph, "home", true), 0);
	assert_int_equal(tc_cont_destroy(tc, pool, ph, "home", true), -DER_NONEXIST);
	assert_int_equal(tc_alloc(tc, pool, ch, 1, &first), -DER_NO_HDL);
	tc_settle(tc, 2, 1);
	co_sleep_ns(5000000000ull);
	assert_int_equal(tc->nodes[0].dead_conts, 1);
	assert_int_equal(tc->nodes[1].dead_conts, 1);
	assert_int_equal(tc_disconnect(tc, pool, ph), 0);
	assert_int_equal(tc_pool_destroy(tc, "tank", false, false), 0);
	assert_int_equal(tc->nodes[0].pool_nr, 1);
}

static void
test_single(void **state)
{
	tc_run(seed_of(1), 2, body_single);
}

/* --- three replicas
 * --------------------------------------------------------------------------------------- */

static uint32_t
leader_node(struct tc *tc)
{
	uint32_t i;
	uint32_t tries;

	for (tries = 0; tries < 1000; tries++) {
		for (i = 0; i < tc->node_nr; i++)
			if (tc->nodes[i].up && tc->nodes[i].mgmt != NULL &&
			    mgmt_is_leader(tc->nodes[i].mgmt))
				return i;
		co_sleep_ns(10000000);
	}
	fail_msg("no leader");
	return 0;
}

static void
body_three(struct tc *tc)
{
	uint8_t raw[CAP_BYTES];
	uint64_t first = 0;
	uint64_t last = 0;
	uuid_t pool;
	uint32_t round;

	tc_settle(tc, 3, 3);
	assert_int_equal(tc_pool_create(tc, "tank", TC_GIB, pool), 0);
	assert_int_equal(tc_connect(tc, "tank", ph, DAOS_PC_RW), 0);
	assert_int_equal(tc_cont_create(tc, pool, ph, cu, "home"), 0);
	assert_int_equal(tc_cont_open(tc, pool, ph, "home", ch, DAOS_COO_RW, NULL, raw), 0);

	/* Whoever leads dies; the others go on, and it comes back. */
	for (round = 0; round < 6; round++) {
		uint32_t l = leader_node(tc);
		uint32_t i;

		if (round % 2 == 0)
			tc_crash(tc, l);
		else
			tc_stop(tc, l);
		for (i = 0; i < 20; i++) {
			assert_int_equal(tc_alloc(tc, pool, ch, 1, &first), 0);
			assert_true(first > last); /* never given twice */
			last = first;
		}
		tc_up(tc, l);
		assert_int_equal(tc_alloc(tc, pool, ch, 1, &first), 0);
		assert_true(first > last);
		last = first;
	}
	/* All at once. */
	tc_crash(tc, 0);
	tc_crash(tc, 1);
	tc_crash(tc, 2);
	tc_up(tc, 2);
	tc_up(tc, 1);
	assert_int_equal(tc_alloc(tc, pool, ch, 1, &first), 0);
	assert_int_equal(first, last + 1);
	tc_up(tc, 0);
	tc_settle(tc, 3, 3);
	/* Four of five calls and the rest: exactly as many ids as were asked for. */
	assert_int_equal(first, 6 * 21 + 1);
	assert_int_equal(tc_pool_nr(tc), 1);
}

static void
test_three(void **state)
{
	tc_run(seed_of(7), 3, body_three);
}

/* A leader cut off from the others must not answer, and serves again as a follower. */
static void
body_partition(struct tc *tc)
{
	uint64_t first = 0;
	uuid_t pool;
	uint32_t round;
	uint64_t last = 0;

	tc_settle(tc, 3, 3);
	assert_int_equal(tc_pool_create(tc, "tank", TC_GIB, pool), 0);
	assert_int_equal(tc_connect(tc, "tank", ph, DAOS_PC_RW), 0);
	assert_int_equal(tc_cont_create(tc, pool, ph, cu, "home"), 0);
	assert_int_equal(tc_cont_open(tc, pool, ph, "home", ch, DAOS_COO_RW, NULL, NULL), 0);
	for (round = 0; round < 4; round++) {
		uint32_t l = leader_node(tc);
		uint32_t i;

		for (i = 0; i < 3; i++) {
			if (i == l)
				continue;
			sim_net_cut(tc->sn, l, i, true);
			sim_net_cut(tc->sn, i, l, true);
		}
		/* The client still reaches both sides. */
		for (i = 0; i < 10; i++) {
			assert_int_equal(tc_alloc(tc, pool, ch, 1, &first), 0);
			assert_int_equal(first, last + 1);
			last = first;
		}
		assert_false(mgmt_is_leader(tc->nodes[l].mgmt));
		sim_net_heal(tc->sn);
		co_sleep_ns(2000000000ull);
	}
	tc_settle(tc, 3, 3);
}

static void
test_partition(void **state)
{
	tc_run(seed_of(11), 3, body_partition);
}

/* A replica whose disk was lost is replaced under a new id. */
static void
body_lost_disk(struct tc *tc)
{
	uint64_t before;
	uint32_t l;
	uint32_t i;
	uuid_t pool;

	tc_settle(tc, 3, 3);
	l = leader_node(tc);
	i = (l + 1) % 3;
	before = mgmt_raft_id(tc->nodes[i].mgmt);
	tc_crash(tc, i);
	mem_disk_destroy(tc->nodes[i].disk);
	assert_int_equal(mem_disk_create(tc->sim, 256 << 20, &tc->nodes[i].disk), 0);
	tc->nodes[i].no_bootstrap = true;
	tc_up(tc, i);
	co_sleep_ns(30000000000ull);
	tc_settle(tc, 3, 3);
	assert_non_null(tc->nodes[i].mgmt);
	assert_true(mgmt_raft_id(tc->nodes[i].mgmt) != before);
	/* It counts again: the service survives the loss of another one. */
	assert_int_equal(tc_pool_create(tc, "tank", TC_GIB, pool), 0);
	tc_crash(tc, l);
	assert_int_equal(tc_connect(tc, "tank", ph, DAOS_PC_RW), 0);
	tc_up(tc, l);
}

static void
test_lost_disk(void **state)
{
	tc_run(seed_of(13), 3, body_lost_disk);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_single),
	    cmocka_unit_test(test_three),
	    cmocka_unit_test(test_partition),
	    cmocka_unit_test(test_lost_disk),
	};

	if (getenv("D_LOG_MASK") != NULL)
		log_set_mask(getenv("D_LOG_MASK"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
