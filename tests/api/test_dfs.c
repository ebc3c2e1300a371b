/*
 * libdfs before real engines in the simulator: random calls, compared with this machine's own file
 * system, while messages get lost and late, and engines lose their power.
 *
 * usage: test_dfs [SEED]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include <daos.h>
#include <daos_fs.h>

#include "net/fabric/sim.h"
#include "support/cluster.h"
#include "support/dfs_model.h"

#define MIB (1ull << 20)

enum { ENGINE_NR = 3, TARGET_NR = 2, STEPS = 300, KILL_EVERY = 60 };

static struct cluster cluster;
static uint64_t seed = 1;
static daos_handle_t poh;

static int
start(void **state)
{
	struct cluster_conf conf = {.seed = seed, .engine_nr = ENGINE_NR, .target_nr = TARGET_NR};

	assert_int_equal(cluster_start(&cluster, &conf), 0);
	client_set_default(cluster.client);
	assert_int_equal(cluster_pool_create(&cluster, "tank", 64 * MIB, 256 * MIB), 0);
	return daos_pool_connect("tank", NULL, DAOS_PC_RW, &poh, NULL, NULL);
}

static int
stop(void **state)
{
	assert_int_equal(daos_pool_disconnect(poh, NULL), 0);
	assert_int_equal(handle_nr(client_handles(cluster.client)), 0);
	client_set_default(NULL);
	cluster_stop(&cluster);
	return 0;
}

static void
model(void (*disturb)(void *arg, uint32_t step))
{
	struct dfs_model_conf conf = {.seed = seed, .steps = STEPS, .disturb = disturb};
	daos_handle_t coh;
	uuid_t uuid;
	dfs_t *dfs;

	assert_int_equal(dfs_cont_create(poh, &uuid, NULL, &coh, &dfs), 0);
	dfs_model_run(dfs, &conf);
	assert_int_equal(dfs_umount(dfs), 0);
	assert_int_equal(daos_cont_close(coh, NULL), 0);
}

static void
kill_some(void *arg, uint32_t step)
{
	uint32_t e = step / KILL_EVERY % ENGINE_NR;

	if (step % KILL_EVERY != KILL_EVERY - 1)
		return;
	cluster_kill(&cluster, e);
	assert_int_equal(cluster_restart(&cluster, e), 0);
}

static void
test_power(void **state)
{
	model(kill_some);
}

static void
test_lossy(void **state)
{
	struct sim_link link = sim_link_default;

	link.loss = 0.02;
	/*
	 * Not doubled as well: an engine remembers the identity of what it carried out, not of what
	 * it refused, so the late double of a creation that found the name taken (EEXIST) can make
	 * it when the name was removed meanwhile.
	 */
	link.reorder = 0.05;
	link.reorder_ns = 2000000;
	assert_int_equal(sim_net_set_link(cluster.sn, SIM_NODE_ANY, SIM_NODE_ANY, &link), 0);
	model(NULL);
	assert_int_equal(
	    sim_net_set_link(cluster.sn, SIM_NODE_ANY, SIM_NODE_ANY, &sim_link_default), 0);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_power),
	    cmocka_unit_test(test_lossy),
	};

	if (argc > 1)
		seed = strtoull(argv[1], NULL, 0);
	if (seed == 0)
		return 77; /* real threads: tests/cluster */
	printf("seed %llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, start, stop);
}
