/*
 * Random operations on VOS and on the reference model: updates and punches at all levels with
 * epochs out of order, conditions, reads at all epochs that must be answered, listings in pieces,
 * queries, aggregation, restarts. VOS_SEED=n replays one run, VOS_STEPS=n makes it longer.
 */
#include "store/vos/test_vos_util.h"

#include "base/mem.h"
#include "store/vos/vos_model.h"

enum { KEEP_MAX = 6, LAG = 30 };

struct run {
	struct tpool t;
	uint64_t seed;
	uint32_t steps;
	bool all; /* keep all history; otherwise only the latest */
	struct vos_cont_conf conf;
	struct vm_rng rng;
	struct vm_model *model;
	struct vos_cont *cont;
	uint64_t now;   /* epochs in use are at most this */
	uint64_t below; /* aggregated up to here */
	uint64_t keep[KEEP_MAX];
	uint32_t keep_nr;
	struct vm_op op;
	uint32_t step;
	uint32_t restarted; /* reads at epochs out of reach */
};

static const uuid_t cont_uuid = {0xc0};

/* Must a read at this epoch be answered? */
static bool
in_reach(const struct run *r, uint64_t epoch)
{
	uint32_t i;

	for (i = 0; i < r->keep_nr; i++)
		if (r->keep[i] == epoch)
			return true;
	return epoch == UINT64_MAX || (r->all && epoch >= r->below);
}

static int
compare_at(struct run *r, uint64_t epoch, uint32_t obj)
{
	int rc = vm_compare(r->model, r->cont, epoch, obj, &r->rng, false);

	if (rc == -DER_TX_RESTART && !in_reach(r, epoch)) {
		r->restarted++;
		return 0;
	}
	check_rc(rc, 0);
	return 0;
}

static int
do_op(struct run *r)
{
	uint64_t epoch = r->now - vm_below(&r->rng, vm_below(&r->rng, 2) ? 3 : LAG);
	uint32_t obj = r->op.obj, dkey = r->op.dkey;
	int want, rc;

	if (epoch <= r->below)
		epoch = r->below + 1;
	vm_op_random(&r->rng, epoch, 9000, &r->op);
	/* stay at one place for a while */
	if (r->now > 110 && vm_below(&r->rng, 3) != 0) {
		r->op.obj = obj;
		r->op.dkey = dkey;
	}
	want = vm_expect(r->model, &r->op);
	rc = vm_run(r->cont, &r->op, NULL);
	if (rc == -DER_TX_RESTART && r->op.cond != 0 && !in_reach(r, epoch)) {
		r->restarted++;
		return 0;
	}
	check_rc(rc, want);
	if (rc == 0)
		vm_apply(r->model, &r->op);
	return 0;
}

static int
do_aggregate(struct run *r)
{
	uint64_t below = r->now - vm_below(&r->rng, LAG + 60);
	uint64_t keep[KEEP_MAX];
	uint32_t keep_nr = 0, i;
	bool more;

	if (below <= r->below + 1 || below > r->now)
		return 0;
	/* only epochs that are still whole can be kept */
	for (i = 0; i < r->keep_nr; i++)
		if (vm_below(&r->rng, 3) != 0)
			keep[keep_nr++] = r->keep[i];
	if (r->all && keep_nr < KEEP_MAX)
		keep[keep_nr++] = r->below + 1 + vm_below(&r->rng, below - r->below - 1);
	r->below = below;
	memcpy(r->keep, keep, sizeof(keep));
	r->keep_nr = keep_nr;
	do {
		check_rc(vos_aggregate(r->cont, below, keep, keep_nr, vm_below(&r->rng, 2) * 20000,
				       &more),
			 0);
		r->now++;
		if (more && vm_below(&r->rng, 2))
			check_rc(do_op(r), 0);
	} while (more);
	return 0;
}

static int
do_restart(struct run *r)
{
	struct tpool *t = &r->t;

	if (vm_below(&r->rng, 2))
		vos_pool_settle(t->pool);
	check_rc(vos_pool_verify(t->pool), 0);
	vos_cont_close(r->cont);
	vos_pool_close(t->pool);
	check_rc(vos_pool_open(t->dir, t->xs, &t->conf, &t->pool), 0);
	check_rc(vos_cont_open(t->pool, cont_uuid, &r->cont), 0);
	check_rc(vos_pool_verify(t->pool), 0);
	return 0;
}

static uint64_t
some_epoch(struct run *r)
{
	if (vm_below(&r->rng, 4) == 0)
		return UINT64_MAX;
	if (r->keep_nr != 0 && vm_below(&r->rng, 3) == 0)
		return r->keep[vm_below(&r->rng, r->keep_nr)];
	return 1 + vm_below(&r->rng, r->now);
}

static int
run_steps(struct run *r)
{
	for (r->step = 0; r->step < r->steps; r->step++) {
		uint64_t dice = vm_below(&r->rng, 1000);

		r->now += 1 + vm_below(&r->rng, 3);
		if (dice < 6)
			check_rc(do_restart(r), 0);
		else if (dice < 30)
			check_rc(do_aggregate(r), 0);
		else if (dice < 120)
			check_rc(compare_at(r, some_epoch(r), vm_below(&r->rng, VM_OBJS)), 0);
		else if (dice < 130)
			check_rc(compare_at(r, some_epoch(r), VM_OBJS), 0);
		else
			check_rc(do_op(r), 0);
		/* what was just touched */
		if (dice % 4 == 0)
			check_rc(compare_at(r, UINT64_MAX, r->op.obj), 0);
		if (dice % 4 == 1)
			check_rc(compare_at(r, r->op.epoch, r->op.obj), 0);
	}
	check_rc(compare_at(r, UINT64_MAX, VM_OBJS), 0);
	return do_restart(r);
}

static int
run_main(void *arg)
{
	struct run *r = arg;
	struct tpool *t = &r->t;

	r->model = vm_create();
	check_rc(vos_pool_create(t->dir, t->xs, &t->conf), 0);
	check_rc(vos_pool_open(t->dir, t->xs, &t->conf, &t->pool), 0);
	check_rc(vos_cont_create_with(t->pool, cont_uuid, &r->conf), 0);
	check_rc(vos_cont_open(t->pool, cont_uuid, &r->cont), 0);
	if (r->all)
		check_rc(vos_cont_set_keep(r->cont, 1, NULL, 0), 0);
	r->now = 100;
	r->op.epoch = 1;
	if (run_steps(r) != 0) {
		fprintf(stderr, "seed %llu, step %u; last operation:\n",
			(unsigned long long)r->seed, r->step);
		vm_op_print(&r->op);
		return -DER_MISC;
	}
	vos_cont_close(r->cont);
	vos_pool_close(t->pool);
	vm_destroy(r->model);
	return 0;
}

/* Three of four with checksums, mostly in chunks smaller than what is written. */
static void
conf_random(struct run *r)
{
	static const uint32_t chunk[] = {256, 1000, 4096, 5000, 32768};

	r->conf = (struct vos_cont_conf){0};
	if (vm_below(&r->rng, 4) == 0)
		return;
	r->conf.csum_type = vm_below(&r->rng, 2) ? DAOS_PROP_CO_CSUM_CRC32
						 : 1 + vm_below(&r->rng, DAOS_PROP_CO_CSUM_ADLER32);
	r->conf.csum_chunk = chunk[vm_below(&r->rng, sizeof(chunk) / sizeof(chunk[0]))];
	r->conf.csum_verify = vm_below(&r->rng, 2);
}

static void
run_seed(uint64_t seed, uint32_t steps)
{
	struct run r = {.seed = seed, .steps = steps, .rng.state = seed << 32};

	r.all = vm_rand(&r.rng) & 1;
	tpool_init(&r.t, 32 << 20, vm_below(&r.rng, 4) ? 64 << 20 : 0);
	r.t.conf.scm_cache_bytes = vm_below(&r.rng, 3) ? 0 : 512 << 10;
	r.t.conf.data_thresh = vm_below(&r.rng, 2) ? 0 : 512;
	conf_random(&r);
	tpool_run(&r.t, run_main, &r);
	tpool_fini(&r.t);
}

static void
test_model(void **state)
{
	const char *seed_s = getenv("VOS_SEED"), *steps_s = getenv("VOS_STEPS");
	uint64_t seed = seed_s != NULL ? strtoull(seed_s, NULL, 0) : 1;
	uint32_t nr = seed_s != NULL ? 1 : 12, i;
	uint32_t steps = steps_s != NULL ? strtoul(steps_s, NULL, 0) : 400;

	for (i = 0; i < nr; i++)
		run_seed(seed + i, steps);
}

/* Every allocation of an operation fails once: it answers so and has changed nothing. */
static int
nomem_main(void *arg)
{
	struct run *r = arg;
	struct tpool *t = &r->t;
	uint32_t nomem = 0, i, nth;

	r->model = vm_create();
	check_rc(vos_pool_create(t->dir, t->xs, &t->conf), 0);
	check_rc(vos_pool_open(t->dir, t->xs, &t->conf, &t->pool), 0);
	check_rc(vos_cont_create_with(t->pool, cont_uuid, &r->conf), 0);
	check_rc(vos_cont_open(t->pool, cont_uuid, &r->cont), 0);
	check_rc(vos_cont_set_keep(r->cont, 1, NULL, 0), 0);
	for (i = 0; i < r->steps; i++) {
		vm_op_random(&r->rng, 100 + i, 9000, &r->op);
		for (nth = 1;; nth++) {
			int want = vm_expect(r->model, &r->op), rc;

			mem_fail_at(nth);
			rc = vm_run(r->cont, &r->op, NULL);
			mem_fail_at(0);
			if (rc == want) {
				if (rc == 0)
					vm_apply(r->model, &r->op);
				break;
			}
			check_rc(rc, -DER_NOMEM);
			nomem++;
		}
		if (i % 8 == 0)
			check_rc(vm_compare(r->model, r->cont, UINT64_MAX, r->op.obj, NULL, false),
				 0);
	}
	check_rc(vm_compare(r->model, r->cont, UINT64_MAX, VM_OBJS, NULL, false), 0);
	check_rc(vos_pool_verify(t->pool), 0);
	check(nomem > r->steps / 10);
	vos_cont_close(r->cont);
	vos_pool_close(t->pool);
	vm_destroy(r->model);
	return 0;
}

static void
test_nomem(void **state)
{
	struct run r = {.seed = 5,
			.steps = 300,
			.rng.state = 5,
			.conf = {.csum_type = DAOS_PROP_CO_CSUM_CRC64, .csum_chunk = 1000}};

	tpool_init(&r.t, 32 << 20, 64 << 20);
	tpool_run(&r.t, nomem_main, &r);
	tpool_fini(&r.t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_model),
	    cmocka_unit_test(test_nomem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
