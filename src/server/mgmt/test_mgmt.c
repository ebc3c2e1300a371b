/* The service with one replica and with three, over cardboard engines, in the simulator. */
#include "server/mgmt/test_cluster.h"

static const uint8_t ph[16] = {1};
static const uint8_t ch[16] = {2};
static const uint8_t cu[16] = {3};

/* --- one replica
 * -------------------------------------------------------------------------------------------- */

static void
body_single(struct tc *tc)
{
	uint8_t raw[CAP_BYTES];
	uint8_t ph2[16] = {9};
	uint8_t ch2[16] = {8};
	uint64_t first;
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
	tc_run(1, 2, body_single);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_single),
	};

	if (getenv("D_LOG_MASK") != NULL)
		log_set_mask(getenv("D_LOG_MASK"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
