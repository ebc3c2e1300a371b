/*
 * The public interface before real engines, in the simulator: the scenes of client/lib/scenes.h,
 * and what only real engines can show: an engine that dies and comes back with what it promised.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/scenes.h"
#include "support/cluster.h"

#define MIB (1ull << 20)

enum { ENGINE_NR = 3, TARGET_NR = 2 };

static struct cluster cluster;
static uint64_t seed = 1;

static int
start(void **state)
{
	struct cluster_conf conf = {.seed = seed, .engine_nr = ENGINE_NR, .target_nr = TARGET_NR};
	daos_handle_t poh, coh;

	assert_int_equal(cluster_start(&cluster, &conf), 0);
	client_set_default(cluster.client);
	assert_int_equal(cluster_pool_create(&cluster, "tank", 64 * MIB, 256 * MIB), 0);
	assert_int_equal(daos_pool_connect("tank", NULL, DAOS_PC_RW, &poh, NULL, NULL), 0);
	assert_int_equal(daos_cont_create_with_label(poh, "home", NULL, NULL, NULL), 0);
	assert_int_equal(daos_cont_open(poh, "home", DAOS_COO_RW, &coh, NULL, NULL), 0);
	scene = (struct scene){.poh = poh, .coh = coh, .target_nr = ENGINE_NR * TARGET_NR};
	return 0;
}

static int
stop(void **state)
{
	assert_int_equal(daos_cont_close(scene.coh, NULL), 0);
	assert_int_equal(daos_pool_disconnect(scene.poh, NULL), 0);
	assert_int_equal(handle_nr(client_handles(cluster.client)), 0);
	client_set_default(NULL);
	cluster_stop(&cluster);
	return 0;
}

/* Every acknowledged write is there after each engine in turn lost its power. */
static void
test_kill_each(void **state)
{
	daos_handle_t oh = scene_open_obj(DAOS_OT_MULTI_HASHED, OC_SX);
	char key[16], val[16], back[16];
	struct scene_io o;
	int i, e, n = 0;

	for (e = 0; e < ENGINE_NR; e++) {
		for (i = 0; i < 20; i++, n++) {
			snprintf(key, sizeof(key), "k%d", n);
			snprintf(val, sizeof(val), "value %d", n);
			scene_one_single(&o, key, "a", val, strlen(val));
			assert_int_equal(scene_put(oh, &o, 0), 0);
		}
		cluster_kill(&cluster, e);
		assert_int_equal(cluster_restart(&cluster, e), 0);
		for (i = 0; i < n; i++) {
			snprintf(key, sizeof(key), "k%d", i);
			snprintf(val, sizeof(val), "value %d", i);
			memset(back, 0, sizeof(back));
			scene_one_single(&o, key, "a", back, sizeof(back));
			o.iod.iod_size = DAOS_REC_ANY;
			assert_int_equal(scene_get(oh, &o, 0), 0);
			assert_string_equal(back, val);
		}
	}
	assert_int_equal(daos_obj_close(oh, NULL), 0);
}

int
main(int argc, char **argv)
{
#define T(fn) cmocka_unit_test(fn),
	const struct CMUnitTest tests[] = {SCENES(T) /* */
					   T(test_kill_each)};

	if (argc > 1)
		seed = strtoull(argv[1], NULL, 0);
	printf("seed %llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, start, stop);
}
