/*
 * Mixed load on one pool for a long time: updates and punches by several workers, snapshots,
 * aggregation, checkpoints, reads at the latest epoch and at snapshots compared with the reference
 * model, clean restarts and power failures between operations.
 *
 * Life goes by eras. In each a container is made, with checksums or without, used for some thousand
 * operations while the one before may still be reclaimed, and destroyed. Whenever no container is
 * left, free space of both tiers must be what it was at the beginning, to the byte.
 *
 *	test_store_soak [--seconds N] [--seed S]
 *
 * The default is short; DAOS_TEST_LONG=1: 30 minutes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <daos_prop.h>

#include "base/log.h"
#include "runtime/xs.h"
#include "store/vos/vos_internal.h"
#include "store/vos/vos_model.h"

enum {
	WORKERS = 4,
	ROUNDS_MAX = 12, /* of an era */
	OPS_ROUND = 40,  /* of each worker */
	SNAPS_MAX = 5,
	LAG = 6,
	MAX_BYTES = 20000,
	SECONDS_DEFAULT = 12,
	SECONDS_LONG = 1800,
};

struct soak {
	struct env env;
	struct xs *xs;
	struct mem_disk *disk;
	struct dev_dir *dir;
	struct vos_pool_conf conf;
	struct vos_pool *pool;
	struct vos_cont *cont;
	uuid_t uuid;
	struct vm_model *model;
	struct vm_rng rng;
	uint64_t seed;
	uint64_t epoch;
	uint64_t low; /* new epochs are above it: a snapshot was taken there */
	uint64_t snap[SNAPS_MAX];
	uint32_t snap_nr;
	uint64_t busy[WORKERS]; /* epoch of the operation under way, 0 = none */
	uint32_t workers_left;
	struct vos_space fresh;
	double end_s;
	int rc;
	uint64_t ops, eras, restarts, failures, snaps, aggregations, compares;
};

static double
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static int
note(struct soak *s, int line, const char *what, int rc)
{
	if (s->rc == 0 && rc != 0) {
		fprintf(stderr, "soak: seed %" PRIu64 ", era %" PRIu64 ", line %d: %s (%d)\n",
			s->seed, s->eras, line, what, rc);
		s->rc = rc;
	}
	return rc;
}
#define must(s, expr) note(s, __LINE__, #expr, expr)

static uint64_t
disk_rnd(void *arg)
{
	return vm_rand(arg) >> 8;
}

/* --- the load ----------------------------------------------------------------------------------
 */

static void co_fn
one_op(struct soak *s, uint32_t w)
{
	struct vm_op op;
	uint64_t epoch = ++s->epoch - vm_below(&s->rng, LAG);
	int want, rc;

	if (epoch <= s->low)
		epoch = s->epoch = s->low >= s->epoch ? s->low + 1 : s->epoch;
	vm_op_random(&s->rng, epoch, MAX_BYTES, &op);
	op.obj = w;
	s->busy[w] = epoch;
	want = vm_expect(s->model, &op);
	rc = vm_run(s->cont, &op, NULL);
	/* a condition at an epoch whose history is gone */
	if (rc == -DER_TX_RESTART && op.cond != 0)
		want = rc;
	if (rc != want) {
		vm_op_print(&op);
		note(s, __LINE__, "answer to an operation", rc != 0 ? rc : -DER_MISC);
	}
	if (rc == 0)
		vm_apply(s->model, &op);
	s->busy[w] = 0;
	s->ops++;
}

static void co_fn
compare(struct soak *s, uint32_t w)
{
	uint64_t at;
	uint32_t i;
	int rc;

	s->compares++;
	must(s, vm_compare(s->model, s->cont, UINT64_MAX, w, &s->rng, false));
	if (s->snap_nr == 0)
		return;
	/* others may be writing, but never at or below a snapshot */
	at = s->snap[vm_below(&s->rng, s->snap_nr)];
	rc = vm_compare(s->model, s->cont, at, w, &s->rng, false);
	for (i = 0; i < s->snap_nr && s->snap[i] != at; i++)
		;
	/* it may be removed meanwhile */
	if (rc != -DER_TX_RESTART || i < s->snap_nr)
		note(s, __LINE__, "comparison at a snapshot", rc);
}

struct worker {
	struct soak *s;
	uint32_t i;
};

static int co_fn
worker_main(void *arg)
{
	struct worker *w = arg;
	struct soak *s = w->s;
	uint32_t n;

	for (n = 0; n < OPS_ROUND && s->rc == 0; n++) {
		one_op(s, w->i);
		switch (vm_below(&s->rng, 32)) {
		case 0:
			compare(s, w->i);
			break;
		case 1:
			co_sleep_ns(vm_below(&s->rng, 200000));
			break;
		}
	}
	s->workers_left--;
	return 0;
}

/* Everything at or below the present epoch stays as it is, and readable. */
static void co_fn
snapshot(struct soak *s)
{
	uint64_t at = s->epoch;
	uint32_t i;

	if (s->snap_nr == SNAPS_MAX || at <= s->low)
		return;
	s->low = at;
	for (i = 0; i < WORKERS; i++)
		while (s->busy[i] != 0 && s->busy[i] <= at)
			co_sleep_ns(10000);
	/* what was overwritten above it meanwhile is still there: the floor keeps it */
	s->snap[s->snap_nr++] = at;
	must(s, vos_cont_set_keep(s->cont, at, s->snap, s->snap_nr));
	s->snaps++;
}

static void co_fn
aggregate(struct soak *s)
{
	uint32_t i, gone;
	bool more = true;

	if (s->low == 0 || s->snap_nr == 0)
		return;
	if (vm_below(&s->rng, 3) == 0) { /* a snapshot is removed */
		gone = vm_below(&s->rng, s->snap_nr);
		for (i = gone; i + 1 < s->snap_nr; i++)
			s->snap[i] = s->snap[i + 1];
		s->snap_nr--;
	}
	for (i = 0; more && s->rc == 0 && i < 200; i++) {
		uint64_t keep[SNAPS_MAX];

		memcpy(keep, s->snap, sizeof(keep));
		must(s, vos_aggregate(s->cont, s->low, keep, s->snap_nr, 50000, &more));
		co_yield();
	}
	s->aggregations++;
}

static int co_fn
beside(void *arg)
{
	struct soak *s = arg;

	while (s->workers_left > 0 && s->rc == 0) {
		switch (vm_below(&s->rng, 8)) {
		case 0:
			snapshot(s);
			break;
		case 1:
			aggregate(s);
			break;
		case 2:
			must(s, heap_checkpoint(s->pool->heap));
			break;
		}
		co_sleep_ns(vm_below(&s->rng, 400000));
	}
	return 0;
}

static void co_fn
one_round(struct soak *s)
{
	struct worker w[WORKERS];
	struct co_group group;
	uint32_t i;

	s->workers_left = WORKERS;
	co_group_init(&group);
	for (i = 0; i < WORKERS; i++) {
		w[i] = (struct worker){.s = s, .i = i};
		must(s, co_group_spawn(&group, worker_main, &w[i]));
	}
	must(s, co_group_spawn(&group, beside, s));
	co_group_join(&group);
}

/* --- restarts ----------------------------------------------------------------------------------
 */

static int co_fn
open_again(struct soak *s)
{
	int rc = 0;

	if (s->dir == NULL)
		rc = mem_disk_open(s->disk, &s->dir);
	if (rc == 0)
		rc = vos_pool_open(s->dir, s->xs, &s->conf, &s->pool);
	if (rc == 0 && s->model != NULL)
		rc = vos_cont_open(s->pool, s->uuid, &s->cont);
	return rc;
}

static void co_fn
restart(struct soak *s)
{
	if (vm_below(&s->rng, 4) == 0) {
		vos_pool_settle(s->pool);
		must(s, vos_pool_verify(s->pool));
	}
	vos_cont_close(s->cont);
	s->cont = NULL;
	if (vm_below(&s->rng, 2)) { /* the power fails: nothing is under way, nothing may be lost */
		mem_disk_stop(s->disk);
		vos_pool_close(s->pool);
		dev_dir_close(s->dir);
		s->dir = NULL;
		mem_disk_restart(s->disk, disk_rnd, &s->rng);
		s->failures++;
	} else {
		vos_pool_close(s->pool);
	}
	s->pool = NULL;
	s->restarts++;
	must(s, open_again(s));
}

/* --- eras --------------------------------------------------------------------------------------
 */

static void co_fn
cont_make(struct soak *s)
{
	static const uint32_t chunk[] = {256, 1000, 4096, 32768};
	struct vos_cont_conf conf = {0};

	if (vm_below(&s->rng, 2)) {
		conf.csum_type = 1 + vm_below(&s->rng, DAOS_PROP_CO_CSUM_ADLER32);
		conf.csum_chunk = chunk[vm_below(&s->rng, 4)];
	}
	memset(s->uuid, 0, sizeof(s->uuid));
	memcpy(s->uuid, &s->eras, sizeof(s->eras));
	s->uuid[15] = 1;
	s->model = vm_create();
	s->snap_nr = 0;
	s->low = s->epoch;
	must(s, vos_cont_create_with(s->pool, s->uuid, &conf));
	if (s->rc == 0)
		must(s, vos_cont_open(s->pool, s->uuid, &s->cont));
	/* so that a snapshot finds whole what it is taken of */
	if (s->rc == 0)
		must(s, vos_cont_set_keep(s->cont, s->epoch + 1, NULL, 0));
}

static void co_fn
cont_end(struct soak *s)
{
	uint32_t i;

	for (i = 0; s->rc == 0 && i < WORKERS; i++)
		compare(s, i);
	vos_cont_close(s->cont);
	s->cont = NULL;
	vm_destroy(s->model);
	s->model = NULL;
	if (s->rc == 0)
		must(s, vos_cont_destroy(s->pool, s->uuid));
}

static int
space_differs(const struct soak *s, const struct vos_space *now)
{
	if (s->fresh.scm_total == 0 || memcmp(now, &s->fresh, sizeof(*now)) == 0)
		return 0;
	fprintf(stderr,
		"soak: no container is left, and free are %" PRIu64 " of %" PRIu64
		" bytes (SCM), %" PRIu64 " of %" PRIu64 " (NVMe); at first %" PRIu64 " and %" PRIu64
		"\n",
		now->scm_free, now->scm_total, now->nvme_free, now->nvme_total, s->fresh.scm_free,
		s->fresh.nvme_free);
	return -DER_MISC;
}

static void co_fn
check_empty(struct soak *s)
{
	struct vos_space now;

	vos_pool_settle(s->pool);
	must(s, vos_pool_verify(s->pool));
	vos_pool_space(s->pool, &now);
	must(s, space_differs(s, &now));
}

static void co_fn
era(struct soak *s)
{
	uint64_t rounds = 1 + vm_below(&s->rng, ROUNDS_MAX);

	cont_make(s);
	while (s->rc == 0 && rounds-- > 0) {
		one_round(s);
		if (s->rc == 0 && vm_below(&s->rng, 3) == 0)
			restart(s);
	}
	cont_end(s);
	s->eras++;
	if (s->rc == 0 && vm_below(&s->rng, 2))
		check_empty(s);
}

static int
soak_main(void *arg)
{
	struct soak *s = arg;
	double said = now_s();

	must(s, mem_disk_open(s->disk, &s->dir));
	must(s, vos_pool_create(s->dir, s->xs, &s->conf));
	if (s->rc != 0)
		return s->rc;
	must(s, open_again(s));
	if (s->rc != 0)
		return s->rc;
	/* What the first container leaves behind for good (maps of blocks) belongs to the pool. */
	era(s);
	if (s->rc == 0) {
		vos_pool_settle(s->pool);
		vos_pool_space(s->pool, &s->fresh);
	}
	while (s->rc == 0 && now_s() < s->end_s) {
		era(s);
		if (now_s() - said > 60) {
			said = now_s();
			fprintf(stderr,
				"soak: %.0f s left, %" PRIu64 " operations, %" PRIu64 " eras\n",
				s->end_s - said, s->ops, s->eras);
		}
	}
	if (s->rc == 0)
		check_empty(s);
	if (s->rc == 0) {
		vos_pool_close(s->pool);
		dev_dir_close(s->dir);
	}
	return s->rc;
}

int
main(int argc, char **argv)
{
	const char *is_long = getenv("DAOS_TEST_LONG");
	uint64_t seconds =
	    is_long != NULL && strcmp(is_long, "1") == 0 ? SECONDS_LONG : SECONDS_DEFAULT;
	struct soak s = {.seed = 1};
	double start = now_s();
	int i, rc;

	for (i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--seconds") == 0)
			seconds = strtoull(argv[i + 1], NULL, 0);
		else if (strcmp(argv[i], "--seed") == 0)
			s.seed = strtoull(argv[i + 1], NULL, 0);
		else
			break;
	}
	if (i < argc) {
		fprintf(stderr, "usage: test_store_soak [--seconds N] [--seed S]\n");
		return 2;
	}
	log_set_level(LOG_LVL_NONE); /* power failures are errors for those who meet them */
	s.end_s = start + seconds;
	s.rng.state = s.seed << 32;
	s.epoch = 100;
	s.conf = (struct vos_pool_conf){
	    .name = "soak",
	    .scm_bytes = 64 << 20,
	    .nvme_bytes = 128 << 20,
	    .wal_bytes = 8 << 20,
	    .cache_bytes = 8 << 20,
	    .scm_cache_bytes = s.seed % 2 ? 2 << 20 : 0,
	    .data_thresh = 2048,
	    .discard = true,
	    .discard_ms = 1,
	    .debug_shadow = s.seed % 4 == 0,
	};
	env_init_real(&s.env);
	if (xs_create(&(struct xs_conf){.name = "soak", .env = &s.env, .cpu = -1}, &s.xs) != 0 ||
	    mem_disk_create(NULL, 1ull << 30, &s.disk) != 0)
		return 1;
	rc = xs_call(s.xs, soak_main, &s);
	printf("soak: %.0f s: %" PRIu64 " operations, %" PRIu64 " comparisons, %" PRIu64
	       " snapshots, %" PRIu64 " aggregations, %" PRIu64 " containers, %" PRIu64
	       " restarts, %" PRIu64 " of them after a power failure: %s\n",
	       now_s() - start, s.ops, s.compares, s.snaps, s.aggregations, s.eras, s.restarts,
	       s.failures, rc == 0 ? "space exact at the end" : "FAILED");
	if (rc != 0)
		return 1;
	mem_disk_destroy(s.disk);
	xs_destroy(s.xs);
	return 0;
}
