/*
 * The simulated cluster at work.
 *
 *	test_sim_cluster			the fixed scenario, then SIM_RUNS (4) seeds with
 *faults SIM_SEED=0x1234 test_sim_cluster	that seed alone, with faults: replays it exactly
 *
 * Fixed scenario: three engines, two clients; make a pool and a container, write, crash an engine,
 *restart it, read back. With faults: messages are lost, doubled, late and out of order, engines
 *lose power at any write and come back, links are cut, clocks differ. Always: what was acknowledged
 *is read back. In the end, when the faults are over: every operation ends, everything is there,
 *also after a restart of the whole cluster.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "proto/mgmt.pb-c.h"
#include "proto/opcodes.h"
#include "server/engine/engine_internal.h"
#include "workload.h"

enum {
	ENGINE_NR = 3,
	TARGET_NR = 2,
	CLIENT_NR = 2,
	SCM_BYTES = 24 << 20, /* per target */
	NVME_BYTES = 64 << 20,
	CHURN_BYTES = 16 << 20,
};

static void
make_pool(struct sc *sc)
{
	SC_RC(sc_pool_create(sc, "tank", (uint64_t)SCM_BYTES * TARGET_NR,
			     (uint64_t)NVME_BYTES * TARGET_NR));
}

/* Replicated objects are read with any one engine away, from the copies that are left. (What a
 * leader decided and could not tell, members ask about within seconds.) */
static void
verify_copies(struct sc *sc, struct wl *wl)
{
	sim_run_for(sc->sim, 5 * SC_SEC);
	for (uint32_t node = 0; node < ENGINE_NR; node++) {
		sc_stop(sc, node);
		wl_verify(wl);
		sc_start(sc, node);
		SC_CHECK(sc_wait_joined(sc, 60 * SC_SEC));
	}
}

/* --- the fixed scenario --- */

static uint64_t
run_fixed(uint64_t seed, bool replicated)
{
	struct sc_conf conf = {
	    .seed = seed,
	    .engine_nr = ENGINE_NR,
	    .target_nr = TARGET_NR,
	    .client_nr = CLIENT_NR,
	};
	struct sc sc;
	struct wl wl;

	sc_open(&sc, &conf);
	SC_CHECK(sc_wait_replicas(&sc, 3, 60 * SC_SEC));
	make_pool(&sc);
	wl_open(&wl, &sc, "tank", replicated);
	while (wl.done_nr < 300)
		wl_turn(&wl, 8, 2 * SC_MS);
	for (uint32_t node = 0; node < ENGINE_NR; node++) {
		uint64_t enough = wl.done_nr + 50;

		/* operations are under way: those that need the lost engine wait for it */
		sc_crash(&sc, node);
		for (int i = 0; i < 100; i++)
			wl_turn(&wl, 8, 5 * SC_MS);
		sc_start(&sc, node);
		while (wl.done_nr < enough)
			wl_turn(&wl, 8, 5 * SC_MS);
	}
	SC_CHECK(wl_drain(&wl, 60 * SC_SEC));
	wl_verify(&wl);
	if (replicated)
		verify_copies(&sc, &wl);
	wl_close(&wl);
	return sc_close(&sc);
}

/* --- pools that come and go --- */

/* A coroutine of the administrator that makes and removes pools all the time. */
struct churn {
	struct sc *sc;
	bool stop;
	struct co_future ended;
	uint32_t serial;
	uint32_t made_nr, removed_nr, failed_nr;
};

static int co_fn
destroy_pool(struct sc *sc, const char *label)
{
	Mgmt__PoolDestroyReq req = MGMT__POOL_DESTROY_REQ__INIT;
	struct ms_cmd cmd;
	int rc;

	ms_cmd_begin(sc->admin_ms, &cmd);
	req.id = &cmd.id;
	req.pool = (char *)label;
	req.force = true;
	req.recursive = true;
	rc = ms_call(sc->admin_ms, OPC_MS_POOL_DESTROY, &req.base, NULL, NULL,
		     xs_now_ns(sc->admin_xs) + 60 * SC_SEC);
	ms_cmd_end(&cmd);
	return rc;
}

static void co_fn
churn_run(void *arg)
{
	struct churn *ch = arg;

	while (!ch->stop) {
		char label[32];
		int rc;

		snprintf(label, sizeof(label), "pool%u", ++ch->serial);
		rc = sc_pool_create_co(ch->sc, label, (uint64_t)CHURN_BYTES * TARGET_NR, 0);
		if (rc != 0) {
			ch->failed_nr++; /* an engine was down: nothing of it may remain */
			co_sleep_ns(300 * SC_MS);
			continue;
		}
		ch->made_nr++;
		co_sleep_ns(700 * SC_MS);
		do {
			rc = destroy_pool(ch->sc, label);
		} while (rc == -DER_TIMEDOUT);
		if (rc != 0 && rc != -DER_NONEXIST)
			sc_fail_rc(__FILE__, __LINE__, "destroying a pool", rc);
		ch->removed_nr++;
	}
	co_future_complete(&ch->ended, 0);
}

static int co_fn
churn_begin(struct sc *sc, void *arg)
{
	struct churn *ch = arg;

	co_future_init(&ch->ended);
	return co_spawn(sc->admin_xs, churn_run, ch);
}

static int co_fn
churn_end(struct sc *sc, void *arg)
{
	struct churn *ch = arg;

	ch->stop = true;
	return co_future_wait(&ch->ended, xs_now_ns(sc->admin_xs) + 300 * SC_SEC);
}

/* Every engine has the one pool that is left, and nothing else. */
static bool
only_tank_left(const struct sc *sc)
{
	for (uint32_t i = 0; i < ENGINE_NR; i++) {
		const struct superblock *sb = sc->nodes[i].engine->sb;

		if (sb == NULL || sb->pool_nr != 1)
			return false;
	}
	return true;
}

/* --- with faults --- */

struct storm {
	struct sc sc;
	struct wl wl;
	struct churn churn;
	uint64_t restart_ns[ENGINE_NR]; /* when a lost engine comes back */
	uint64_t mend_ns;               /* when cut links do; 0 = none cut */
	uint32_t crash_nr, cut_nr;
};

static uint64_t
roll(struct storm *st, uint64_t below)
{
	return sim_rand_below(st->sc.sim, below);
}

static void
rough_links(struct storm *st)
{
	struct sim_link link = sim_link_default;

	link.delay_max_ns = link.delay_min_ns + roll(st, 2 * SC_MS);
	if (roll(st, 2) == 0)
		link.loss = (double)roll(st, 20) / 1000;
	if (roll(st, 2) == 0)
		link.dup = (double)roll(st, 20) / 1000;
	if (roll(st, 2) == 0) {
		link.reorder = (double)roll(st, 100) / 1000;
		link.reorder_ns = roll(st, 5 * SC_MS);
	}
	SC_RC(sim_net_set_link(st->sc.sn, SIM_NODE_ANY, SIM_NODE_ANY, &link));
}

static void
lose_engine(struct storm *st, uint32_t node)
{
	sc_crash(&st->sc, node);
	st->restart_ns[node] = sim_now_ns(st->sc.sim) + roll(st, 3 * SC_SEC);
	st->crash_nr++;
}

/* Engines whose disk stopped at the write chosen earlier are gone; engines whose time has come
 * return. */
static void
look_after_engines(struct storm *st)
{
	for (uint32_t i = 0; i < ENGINE_NR; i++) {
		struct sc_node *n = &st->sc.nodes[i];

		if (n->engine != NULL && mem_disk_stopped(n->disk))
			lose_engine(st, i);
		else if (n->engine == NULL && sim_now_ns(st->sc.sim) >= st->restart_ns[i])
			sc_start(&st->sc, i);
		if (n->error[0] != '\0' && !mem_disk_stopped(n->disk))
			sc_fail(__FILE__, __LINE__, n->error);
	}
}

static void
do_harm(struct storm *st)
{
	uint32_t node = (uint32_t)roll(st, ENGINE_NR);
	struct sc_node *n = &st->sc.nodes[node];

	switch (roll(st, 5)) {
	case 0: /* power fails now */
		if (n->engine != NULL)
			lose_engine(st, node);
		break;
	case 1: /* or at a certain write */
		if (n->engine != NULL)
			mem_disk_stop_at(n->disk, mem_disk_writes(n->disk) + 1 + roll(st, 60));
		break;
	case 2: /* all at once */
		for (uint32_t i = 0; roll(st, 3) == 0 && i < ENGINE_NR; i++) {
			if (st->sc.nodes[i].engine != NULL)
				lose_engine(st, i);
		}
		break;
	case 3: /* a link in one or both directions */
		if (st->mend_ns == 0) {
			uint32_t other = roll(st, 2) == 0
					     ? (uint32_t)roll(st, ENGINE_NR)
					     : SC_CLIENT_NODE + (uint32_t)roll(st, CLIENT_NR);

			if (other == node)
				break;
			SC_RC(sim_net_cut(st->sc.sn, node, other, true));
			if (roll(st, 2) == 0)
				SC_RC(sim_net_cut(st->sc.sn, other, node, true));
			st->mend_ns = sim_now_ns(st->sc.sim) + roll(st, 6 * SC_SEC);
			st->cut_nr++;
		}
		break;
	case 4:
		rough_links(st);
		break;
	}
}

static void
end_faults(struct storm *st)
{
	SC_RC(sim_net_set_link(st->sc.sn, SIM_NODE_ANY, SIM_NODE_ANY, &sim_link_default));
	sim_net_heal(st->sc.sn);
	for (uint32_t i = 0; i < ENGINE_NR; i++) {
		struct sc_node *n = &st->sc.nodes[i];

		if (n->engine != NULL && mem_disk_stopped(n->disk))
			sc_crash(&st->sc, i);
		mem_disk_stop_at(n->disk, 0);
		if (n->engine == NULL)
			sc_start(&st->sc, i);
	}
}

static uint64_t
run_storm(uint64_t seed, bool quiet)
{
	struct sc_conf conf = {
	    .seed = seed,
	    .engine_nr = ENGINE_NR,
	    .target_nr = TARGET_NR,
	    .client_nr = CLIENT_NR,
	    .skew_ns = 200 * SC_MS,
	};
	struct storm *st = calloc(1, sizeof(*st));
	uint64_t hash, until;

	SC_CHECK(st != NULL);
	sc_open(&st->sc, &conf);
	SC_CHECK(sc_wait_replicas(&st->sc, 3, 60 * SC_SEC));
	make_pool(&st->sc);
	wl_open(&st->wl, &st->sc, "tank", seed % 2 == 0);

	st->churn.sc = &st->sc;
	SC_RC(sc_admin(&st->sc, churn_begin, &st->churn));

	until = sim_now_ns(st->sc.sim) + 30 * SC_SEC;
	while (sim_now_ns(st->sc.sim) < until) {
		wl_turn(&st->wl, 6, 10 * SC_MS);
		look_after_engines(st);
		if (st->mend_ns != 0 && sim_now_ns(st->sc.sim) >= st->mend_ns) {
			sim_net_heal(st->sc.sn);
			st->mend_ns = 0;
		}
		if (roll(st, 60) == 0)
			do_harm(st);
	}
	end_faults(st);
	SC_CHECK(wl_drain(&st->wl, 120 * SC_SEC));
	SC_CHECK(sc_wait_joined(&st->sc, 60 * SC_SEC));
	SC_RC(sc_admin(&st->sc, churn_end, &st->churn));
	for (int i = 0; i < 120 && !only_tank_left(&st->sc); i++)
		sim_run_for(st->sc.sim, SC_SEC);
	SC_CHECK(only_tank_left(&st->sc));
	wl_verify(&st->wl);
	if (seed % 2 == 0)
		verify_copies(&st->sc, &st->wl);
	/* the whole cluster, in order and by force */
	for (uint32_t i = 0; i < ENGINE_NR; i++)
		sc_stop(&st->sc, i);
	for (uint32_t i = 0; i < ENGINE_NR; i++)
		sc_start(&st->sc, i);
	wl_verify(&st->wl);
	for (uint32_t i = 0; i < ENGINE_NR; i++)
		sc_crash(&st->sc, i);
	for (uint32_t i = 0; i < ENGINE_NR; i++)
		sc_start(&st->sc, i);
	wl_verify(&st->wl);
	if (!quiet)
		printf("sim: seed %#" PRIx64 ": %" PRIu64 " operations (%" PRIu64
		       " writes, %" PRIu64 " punches, %" PRIu64
		       " checks), %u pools made and removed, %u not made, "
		       "%u engines lost, %u links cut, %" PRIu64 " s\n",
		       seed, st->wl.done_nr, st->wl.put_nr, st->wl.punch_nr, st->wl.check_nr,
		       st->churn.removed_nr, st->churn.failed_nr, st->crash_nr, st->cut_nr,
		       (uint64_t)(sim_now_ns(st->sc.sim) / SC_SEC));
	wl_close(&st->wl);
	hash = sc_close(&st->sc);
	free(st);
	return hash;
}

static void
hint(const char *program, uint64_t seed)
{
	char text[200];

	snprintf(text, sizeof(text), "replay: SIM_SEED=%#" PRIx64 " %s", seed, program);
	sc_fail_hint(text);
}

int
main(int argc, char **argv)
{
	const char *one = getenv("SIM_SEED");
	const char *runs = getenv("SIM_RUNS");
	const char *longer = getenv("DAOS_TEST_LONG");
	uint64_t run_nr = longer != NULL && atoi(longer) != 0 ? 200 : 4;
	uint64_t first = 1, a, b;

	if (runs != NULL)
		run_nr = strtoull(runs, NULL, 0);
	setvbuf(stdout, NULL, _IOLBF, 0);
	log_set_level(LOG_LVL_NONE);
	if (getenv("D_LOG_MASK") != NULL)
		log_set_mask(getenv("D_LOG_MASK"));
	if (one != NULL) {
		uint64_t seed = strtoull(one, NULL, 0);

		hint(argv[0], seed);
		printf("sim: seed %#" PRIx64 ", digest %#" PRIx64 "\n", seed,
		       run_storm(seed, false));
		return 0;
	}
	hint(argv[0], 0);
	printf("sim: fixed scenario: digest %#" PRIx64 "\n", run_fixed(1, false));
	printf("sim: fixed scenario, replicated: digest %#" PRIx64 "\n", run_fixed(1, true));
	if (getenv("SIM_FIRST") != NULL) {
		if (strcmp(getenv("SIM_FIRST"), "random") == 0)
			first = (uint64_t)time(NULL) << 8;
		else
			first = strtoull(getenv("SIM_FIRST"), NULL, 0);
	}
	for (uint64_t seed = first; seed < first + run_nr; seed++) {
		hint(argv[0], seed);
		run_storm(seed, false);
	}
	/* a seed replays exactly */
	hint(argv[0], first);
	a = run_storm(first, true);
	b = run_storm(first, true);
	if (a != b) {
		fprintf(stderr,
			"seed %#" PRIx64 " gave two different runs: %#" PRIx64 " and %#" PRIx64
			"\n",
			first, a, b);
		return 1;
	}
	printf("sim: seed %#" PRIx64 " replayed: digest %#" PRIx64 "\n", first, a);
	return 0;
}
