/*
 * The public interface before real engines: the scenes of client/lib/scenes.h, and what only real
 * engines can show: that what they acknowledged outlives them, and that nothing happens twice.
 *
 * usage: test_api [SEED]; seed 0: with real threads over the loopback interface, without the
 * faults.
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
#include "net/fabric/sim.h"
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
	char key[16], val[32], back[32];
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

/* Messages get lost, doubled, late: every change happens once all the same. A condition shows it:
 * an insertion that was executed twice would fail. */
static void
test_lossy(void **state)
{
	struct sim_link link = sim_link_default;
	daos_handle_t oh = scene_open_obj(DAOS_OT_MULTI_HASHED, OC_SX);
	static uint8_t val[40000], back[40000];
	char key[16];
	struct scene_io o;
	int i;

	link.loss = 0.03;
	link.dup = 0.05;
	link.reorder = 0.05;
	link.reorder_ns = 2000000;
	assert_int_equal(sim_net_set_link(cluster.sn, SIM_NODE_ANY, SIM_NODE_ANY, &link), 0);
	for (i = 0; i < 60; i++) {
		size_t len = i % 3 == 0 ? sizeof(val) : 100; /* by bulk, inline */

		snprintf(key, sizeof(key), "k%d", i);
		scene_fill(val, len, i);
		scene_one_single(&o, key, "a", val, len);
		assert_int_equal(scene_put(oh, &o, DAOS_COND_DKEY_INSERT), 0);
		scene_one_single(&o, key, "a", back, len);
		assert_int_equal(scene_get(oh, &o, DAOS_COND_DKEY_FETCH), 0);
		assert_memory_equal(back, val, len);
		if (i % 2 == 0) {
			assert_int_equal(daos_obj_punch_dkeys(oh, DAOS_TX_NONE, DAOS_COND_PUNCH, 1,
							      &o.dkey, NULL),
					 0);
			assert_int_equal(scene_get(oh, &o, DAOS_COND_DKEY_FETCH), -DER_NONEXIST);
		}
	}
	assert_int_equal(
	    sim_net_set_link(cluster.sn, SIM_NODE_ANY, SIM_NODE_ANY, &sim_link_default), 0);
	assert_int_equal(daos_obj_close(oh, NULL), 0);
}

/* Engines lose their power while writes are under way; each write is acknowledged once, and then it
 * is there. */
static void
test_kill_under_load(void **state)
{
	enum { NR = 16, ROUNDS = 6 };
	daos_handle_t oh = scene_open_obj(DAOS_OT_MULTI_HASHED, OC_SX), eqh;
	static uint8_t val[NR][36000], back[36000];
	struct scene_io o[NR], g;
	daos_event_t evs[NR], *done[NR];
	char keys[NR][16];
	int i, n, r;

	assert_int_equal(daos_eq_create(&eqh), 0);
	for (i = 0; i < NR; i++)
		assert_int_equal(daos_event_init(&evs[i], eqh, NULL), 0);
	for (r = 0; r < ROUNDS; r++) {
		int e = (int)sim_rand_below(cluster.sim, ENGINE_NR);

		for (i = 0; i < NR; i++) {
			size_t len = i % 4 == 0 ? sizeof(val[i]) : 50;

			snprintf(keys[i], sizeof(keys[i]), "r%d-%d", r, i);
			scene_fill(val[i], len, r * 100 + i);
			scene_one_single(&o[i], keys[i], "a", val[i], len);
			assert_int_equal(daos_obj_update(oh, DAOS_TX_NONE, DAOS_COND_DKEY_INSERT,
							 &o[i].dkey, 1, &o[i].iod, &o[i].sgl,
							 &evs[i]),
					 0);
		}
		n = daos_eq_poll(eqh, 0, (int64_t)sim_rand_below(cluster.sim, 400), NR, done);
		assert_true(n >= 0);
		cluster_kill(&cluster, e);
		assert_int_equal(cluster_restart(&cluster, e), 0);
		while (n < NR) {
			int k = daos_eq_poll(eqh, 1, DAOS_EQ_WAIT, NR, done);

			assert_true(k > 0);
			n += k;
		}
		for (i = 0; i < NR; i++) {
			assert_int_equal(evs[i].ev_error, 0);
			scene_one_single(&g, keys[i], "a", back, o[i].iod.iod_size);
			assert_int_equal(scene_get(oh, &g, 0), 0);
			assert_memory_equal(back, val[i], o[i].iod.iod_size);
		}
	}
	for (i = 0; i < NR; i++)
		assert_int_equal(daos_event_fini(&evs[i]), 0);
	assert_int_equal(daos_eq_destroy(eqh, 0), 0);
	assert_int_equal(daos_obj_close(oh, NULL), 0);
}

int
main(int argc, char **argv)
{
#define SCENE(fn) cmocka_unit_test(fn),
	const struct CMUnitTest scenes[] = {SCENES(SCENE)};
	const struct CMUnitTest faults[] = {
	    cmocka_unit_test(test_kill_each),
	    cmocka_unit_test(test_lossy),
	    cmocka_unit_test(test_kill_under_load),
	};
	int rc;

	if (argc > 1)
		seed = strtoull(argv[1], NULL, 0);
	printf("seed %llu%s\n", (unsigned long long)seed, seed == 0 ? ": real threads" : "");
	rc = cmocka_run_group_tests(scenes, start, stop);
	if (rc == 0 && seed != 0)
		rc = cmocka_run_group_tests(faults, start, stop);
	return rc;
}
