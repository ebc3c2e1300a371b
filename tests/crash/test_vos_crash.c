/*
 * Power failures under VOS.
 *
 * A scenario runs on a simulated disk: several workers, each with an object of its own, doing
 * random updates and punches; beside them checkpoints, aggregation, and containers that come, are
 * filled and go. The disk stops at its n-th write, for n = 1, 2, 3 ... until the scenario survives
 * whole; what was not synced is then kept, dropped, torn or reordered at random. Recovery is
 * interrupted in the same way, up to three times. Then:
 *
 *   - every operation that was acknowledged is there, and equal to the reference model at latest;
 *   - an intent that was acknowledged is there and undecided until it is decided; it is seen if,
 * and only if, it is committed;
 *   - an operation that was under way is there as a whole or not at all, and repeating it under its
 *     identity says which;
 *   - a container whose creation (destruction) was acknowledged is there (gone);
 *   - every invariant of VOS, heap and space holds, nothing leaked;
 *   - and work goes on from there.
 *
 * VOS_CRASH_STATES=N checks until N states were seen; VOS_CRASH_SEED=S starts with this scenario,
 * VOS_CRASH_AT=n checks this one point of it only.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/log.h"
#include "runtime/co.h"
#include "runtime/sim.h"
#include "runtime/xs.h"
#include "store/vos/vos_internal.h"
#include "store/vos/vos_model.h"

enum {
	WORKERS = 4,
	OPS_EACH = 24,
	OPS_AFTER = 2, /* of each worker after a recovery */
	LAG = 4,
	SAFE_LAG = 64, /* aggregation stays this far behind */
	AUX_ROUNDS = 12,
	MAX_BYTES = 6000,
	STATES_DEFAULT = 700,
};

/* How far an operation is that goes by way of an intent; what was acknowledged holds. */
enum phase { PLAIN, PREPARING, PREPARED, COMMITTING, ABORTING };

/* One operation whose outcome is not known. */
struct flight {
	bool on;
	enum phase phase;
	struct vm_op op;
	struct vos_opid id;
};

enum b_state { B_NONE, B_CREATING, B_THERE, B_GOING };

struct run {
	uint64_t seed, stop_at;
	struct sim *sim;
	struct xs *xs;
	struct mem_disk *disk;
	struct dev_dir *dir;
	struct vos_pool_conf conf;
	struct vos_pool *pool;
	struct vos_cont *cont;
	struct vm_model *model;
	struct vm_rng rng;
	uint64_t epoch;
	uint64_t seq;
	struct flight flight[WORKERS];
	enum b_state b;
	bool pool_there; /* its creation was acknowledged */
	bool cont_there;
	uint32_t workers_left;
	uint32_t ops_each;
	bool failed;
	bool faulty; /* one read or write of the disk fails instead of all from some point on */
	uint64_t fail_read, fail_write;
};

static uint64_t extents_merged; /* by all scenarios */
static const uuid_t uuid_a = {0xa}, uuid_b = {0xb};

static void
fail_at(struct run *r, int line, const char *what, int rc)
{
	if (!r->failed)
		fprintf(stderr, "seed %llu, write %llu: line %d: %s (%d)\n",
			(unsigned long long)r->seed, (unsigned long long)r->stop_at, line, what,
			rc);
	r->failed = true;
}
#define crash_fail(r, what, rc) fail_at(r, __LINE__, what, rc)

static uint64_t
disk_rnd(void *arg)
{
	return vm_rand(arg) >> 8;
}

/* --- the scenario ------------------------------------------------------------------------------
 */

/* Did this go wrong because the power is off, or I/O fails? Otherwise it is a failure. */
static bool
power_off(struct run *r, const char *what, int rc)
{
	bool io = r->faulty && (rc == -DER_IO || rc == -DER_SHUTDOWN);

	if (!io && !mem_disk_stopped(r->disk))
		crash_fail(r, what, rc);
	return true;
}

static struct vos_dtx_ref
flight_ref(const struct flight *f)
{
	return (struct vos_dtx_ref){
	    .id = {.client = {f->id.client[0], f->id.client[1]}, .seq = f->id.seq},
	    .map_ver = 1,
	    .attempt = 1,
	    .epoch = f->op.epoch,
	};
}

static int co_fn
flight_prepare(struct run *r, struct flight *f)
{
	struct vos_dtx_ref ref = flight_ref(f);
	struct vm_built *b;
	struct vos_op op;
	int rc;

	rc = vm_build(r->cont, &f->op, &b);
	if (rc != 0)
		return rc;
	op = *vm_built_op(b);
	rc = vos_dtx_prepare(r->cont, &ref, 1, "who", 3, &op, 1, NULL);
	if (op.kind == VOS_OP_UPDATE)
		vos_update_cancel(op.up);
	vm_built_free(b);
	return rc;
}

/* Commit or abort what is prepared; acknowledged, it is over. */
static int co_fn
flight_decide(struct run *r, struct flight *f, bool commit)
{
	struct vos_dtx_ref ref = flight_ref(f);
	int rc;

	f->phase = commit ? COMMITTING : ABORTING;
	rc = commit ? vos_dtx_commit(r->cont, &ref) : vos_dtx_abort(r->cont, &ref);
	if (rc != 0)
		return rc;
	if (commit)
		vm_apply(r->model, &f->op);
	f->on = false;
	return 0;
}

/* An operation by way of an intent. */
static bool co_fn
one_intent(struct run *r, struct flight *f)
{
	int want = vm_expect(r->model, &f->op), rc;

	f->phase = PREPARING;
	rc = flight_prepare(r, f);
	if (rc != want)
		return !power_off(r, "answer to a prepare", rc);
	if (rc != 0) {
		f->on = false;
		return true;
	}
	f->phase = PREPARED;
	if (vm_below(&r->rng, 2))
		co_sleep_ns(vm_below(&r->rng, 1000000));
	rc = flight_decide(r, f, vm_below(&r->rng, 4) != 0);
	return rc == 0 || !power_off(r, "decision of an intent", rc);
}

/* Do one operation, or the one left over. False: the power is off. */
static bool co_fn
one_op(struct run *r, uint32_t i)
{
	struct flight *f = &r->flight[i];
	int want, rc;

	if (!f->on) {
		f->phase = PLAIN;
		vm_op_random(&r->rng, ++r->epoch, MAX_BYTES, &f->op);
		/* late ones too; but a late condition may be refused for want of history */
		if (f->op.cond == 0)
			f->op.epoch -= vm_below(&r->rng, LAG);
		f->op.obj = i;
		f->id = (struct vos_opid){.client = {7, i}, .seq = ++r->seq, .low_seq = 1};
		f->on = true;
		if (vm_below(&r->rng, 3) == 0) {
			/* above all there is of its object */
			f->op.epoch = ++r->epoch;
			return one_intent(r, f);
		}
	}
	want = vm_expect(r->model, &f->op);
	rc = vm_run(r->cont, &f->op, &f->id);
	if (rc != want)
		return !power_off(r, "answer to an operation", rc);
	if (rc == 0)
		vm_apply(r->model, &f->op);
	f->on = false;
	return true;
}

struct worker {
	struct run *r;
	uint32_t i;
};

static int co_fn
worker(void *arg)
{
	struct worker *w = arg;
	struct run *r = w->r;
	uint32_t n;

	for (n = 0; n < r->ops_each && one_op(r, w->i); n++)
		if (vm_below(&r->rng, 4) == 0)
			co_sleep_ns(vm_below(&r->rng, 1000000));
	r->workers_left--;
	return 0;
}

static bool co_fn
fill_b(struct run *r)
{
	struct vos_cont *cont;
	struct vm_op op;
	int i, rc;

	rc = vos_cont_open(r->pool, uuid_b, &cont);
	for (i = 0; rc == 0 && i < 3; i++) {
		vm_op_random(&r->rng, ++r->epoch, MAX_BYTES, &op);
		op.cond = 0;
		rc = vm_run(cont, &op, NULL);
	}
	vos_cont_close(cont);
	return rc == 0 || !power_off(r, "filling a container", rc);
}

static bool co_fn
step_b(struct run *r)
{
	int rc;

	switch (r->b) {
	case B_NONE:
		r->b = B_CREATING;
		rc = vos_cont_create(r->pool, uuid_b);
		if (rc != 0)
			return !power_off(r, "creating a container", rc);
		r->b = B_THERE;
		return true;
	case B_THERE:
		if (vm_below(&r->rng, 2))
			return fill_b(r);
		r->b = B_GOING;
		rc = vos_cont_destroy(r->pool, uuid_b);
		if (rc != 0)
			return !power_off(r, "destroying a container", rc);
		r->b = B_NONE;
		return true;
	default:
		return true;
	}
}

static bool co_fn
step_aggregate(struct run *r)
{
	bool more = true, whole = vm_below(&r->rng, 2) == 0;
	uint64_t below = r->epoch - SAFE_LAG, merged = r->pool->merged_nr;
	int rc = 0;

	if (r->epoch <= SAFE_LAG + 1)
		return true;
	do
		rc = vos_aggregate(r->cont, below, NULL, 0, 1000, &more);
	while (rc == 0 && more && whole);
	extents_merged += r->pool->merged_nr - merged;
	return rc == 0 || !power_off(r, "aggregation", rc);
}

/* Everything that goes on beside the workers. */
static int co_fn
aux(void *arg)
{
	struct run *r = arg;
	bool on = true;
	int n, rc;

	for (n = 0; on && n < AUX_ROUNDS && r->workers_left > 0; n++) {
		switch (vm_below(&r->rng, 4)) {
		case 0:
			rc = heap_checkpoint(r->pool->heap);
			on = rc == 0 || !power_off(r, "checkpoint", rc);
			break;
		case 1:
			on = step_aggregate(r);
			break;
		default:
			on = step_b(r);
			break;
		}
		co_sleep_ns(vm_below(&r->rng, 500000));
	}
	return 0;
}

static void co_fn
work(struct run *r, uint32_t ops_each)
{
	struct worker w[WORKERS];
	struct co_group group;
	uint32_t i;

	r->ops_each = ops_each;
	r->workers_left = WORKERS;
	co_group_init(&group);
	for (i = 0; i < WORKERS; i++) {
		w[i] = (struct worker){.r = r, .i = i};
		if (co_group_spawn(&group, worker, &w[i]) != 0)
			abort();
	}
	if (co_group_spawn(&group, aux, r) != 0)
		abort();
	co_group_join(&group);
}

static void co_fn
shut(struct run *r)
{
	vos_cont_close(r->cont);
	r->cont = NULL;
	if (r->pool != NULL)
		vos_pool_close(r->pool);
	r->pool = NULL;
	dev_dir_close(r->dir);
	r->dir = NULL;
}

static int
scenario(void *arg)
{
	struct run *r = arg;
	int rc;

	rc = mem_disk_open(r->disk, &r->dir);
	if (rc == 0)
		rc = vos_pool_create(r->dir, r->xs, &r->conf);
	if (rc == 0) {
		r->pool_there = true;
		rc = vos_pool_open(r->dir, r->xs, &r->conf, &r->pool);
	}
	if (rc == 0)
		rc = vos_cont_create(r->pool, uuid_a);
	if (rc == 0) {
		r->cont_there = true;
		rc = vos_cont_open(r->pool, uuid_a, &r->cont);
	}
	if (r->faulty)
		mem_disk_fail_at(r->disk, r->fail_read, r->fail_write);
	if (rc == 0)
		work(r, OPS_EACH);
	else
		power_off(r, "set-up", rc);
	mem_disk_fail_at(r->disk, 0, 0);
	shut(r);
	return 0;
}

/* --- the check
 * --------------------------------------------------------------------------------------- */

/* An intent is there if its prepare was acknowledged, its operation is seen if, and only if, it is
 * committed. */
static int co_fn
check_intent(struct run *r, uint32_t i)
{
	struct flight *f = &r->flight[i];
	struct vos_dtx_ref ref = flight_ref(f);
	enum vos_dtx_state s;
	struct vos_dtx_info info;
	struct vm_model *m;
	int rc;

	rc = vos_dtx_status(r->cont, &ref.id, &info);
	if (rc != 0)
		return rc;
	s = info.state;
	if (s != VOS_DTX_PREPARED && !(f->phase == PREPARING && s == VOS_DTX_UNKNOWN) &&
	    !(f->phase == COMMITTING && s == VOS_DTX_COMMITTED) &&
	    !(f->phase == ABORTING && s == VOS_DTX_ABORTED)) {
		fprintf(stderr, "intent in phase %d is in state %d\n", f->phase, s);
		return -DER_MISC;
	}
	m = vm_clone(r->model);
	if (s == VOS_DTX_COMMITTED)
		vm_apply(m, &f->op);
	rc = vm_compare(m, r->cont, UINT64_MAX, i, &r->rng, false);
	vm_destroy(m);
	return rc;
}

/* Decide what is left undecided, in the way it was begun if it was. */
static int co_fn
resolve_intent(struct run *r, uint32_t i)
{
	struct flight *f = &r->flight[i];
	struct vos_dtx_ref ref = flight_ref(f);
	struct vos_dtx_info info;
	int rc;

	rc = vos_dtx_status(r->cont, &ref.id, &info);
	if (rc == 0 && info.state == VOS_DTX_UNKNOWN)
		f->on = false; /* never prepared */
	else if (rc == 0)
		rc = flight_decide(
		    r, f, f->phase == COMMITTING || (f->phase != ABORTING && vm_below(&r->rng, 2)));
	return rc != 0 ? rc : vm_compare(r->model, r->cont, UINT64_MAX, i, &r->rng, false);
}

/* The object of a worker: as the model says, or with the operation that was under way. */
static int co_fn
check_obj(struct run *r, uint32_t i)
{
	struct flight *f = &r->flight[i];
	struct vm_model *with;
	int rc, rc2, want;

	if (f->on && f->phase != PLAIN)
		return check_intent(r, i);
	rc = vm_compare(r->model, r->cont, UINT64_MAX, i, &r->rng, f->on);
	if (!f->on || rc < 0)
		return rc;
	want = vm_expect(r->model, &f->op);
	with = vm_clone(r->model);
	if (want == 0)
		vm_apply(with, &f->op);
	rc2 = vm_compare(with, r->cont, UINT64_MAX, i, &r->rng, rc == 0);
	if (rc2 >= 0 && rc != 0 && rc2 != 0) {
		fprintf(stderr, "neither without nor with:\n");
		vm_op_print(&f->op);
		vm_compare(r->model, r->cont, UINT64_MAX, i, &r->rng, false);
	}
	vm_destroy(with);
	return rc2 < 0 ? rc2 : rc != 0 && rc2 != 0;
}

/* Repeat what was under way: done before, or done now. */
static int co_fn
resolve(struct run *r, uint32_t i)
{
	struct flight *f = &r->flight[i];
	int want, rc;

	if (!f->on)
		return 0;
	if (f->phase != PLAIN)
		return resolve_intent(r, i);
	want = vm_expect(r->model, &f->op);
	rc = vm_run(r->cont, &f->op, &f->id);
	if (rc == -DER_TX_RESTART) { /* an aggregation went by */
		f->op.epoch = ++r->epoch;
		want = vm_expect(r->model, &f->op);
		rc = vm_run(r->cont, &f->op, &f->id);
	}
	if (rc == -DER_ALREADY && want == 0)
		rc = 0;
	if (rc != want)
		return rc == 0 ? -DER_MISC : rc;
	if (rc == 0)
		vm_apply(r->model, &f->op);
	f->on = false;
	return vm_compare(r->model, r->cont, UINT64_MAX, i, &r->rng, false);
}

static int co_fn
check_b(struct run *r)
{
	struct vos_cont *b;
	int rc;

	rc = vos_cont_open(r->pool, uuid_b, &b);
	if (rc == 0)
		vos_cont_close(b);
	if (rc != 0 && rc != -DER_NONEXIST)
		return rc;
	if ((r->b == B_NONE && rc == 0) || (r->b == B_THERE && rc != 0))
		return -DER_MISC;
	r->b = rc == 0 ? B_THERE : B_NONE;
	return 0;
}

static int co_fn
check_all(struct run *r)
{
	uint32_t i;
	int rc;

	rc = vos_pool_verify(r->pool);
	for (i = 0; rc == 0 && i < WORKERS; i++)
		rc = check_obj(r, i);
	for (i = 0; rc == 0 && i < WORKERS; i++)
		rc = resolve(r, i);
	if (rc == 0)
		rc = check_b(r);
	if (rc == 0) {
		vos_pool_settle(r->pool);
		rc = vos_pool_verify(r->pool);
	}
	return rc;
}

/* One attempt. Returns 0 when it went through, whatever it found. */
static int
recover(void *arg)
{
	struct run *r = arg;
	int rc;

	rc = mem_disk_open(r->disk, &r->dir);
	if (rc == 0)
		rc = vos_pool_open(r->dir, r->xs, &r->conf, &r->pool);
	if (rc == -DER_NONEXIST && !r->pool_there) {
		/* not complete: it can simply be created again */
		rc = vos_pool_create(r->dir, r->xs, &r->conf);
		if (rc == 0)
			rc = vos_pool_open(r->dir, r->xs, &r->conf, &r->pool);
	}
	if (rc == 0) {
		r->pool_there = true;
		rc = vos_cont_open(r->pool, uuid_a, &r->cont);
	}
	if (rc == -DER_NONEXIST && r->pool_there && !r->cont_there) {
		rc = vos_cont_create(r->pool, uuid_a);
		if (rc == 0)
			rc = vos_cont_open(r->pool, uuid_a, &r->cont);
	}
	if (rc == 0) {
		r->cont_there = true;
		rc = check_all(r);
	}
	if (rc == 0)
		work(r, OPS_AFTER);
	shut(r);
	return rc;
}

static struct run *
run_create(uint64_t seed, uint64_t stop_at)
{
	struct run *r = calloc(1, sizeof(*r));
	struct xs_conf xc = {.name = "crash", .cpu = -1};

	assert_non_null(r);
	r->seed = seed;
	r->stop_at = stop_at;
	r->rng.state = seed << 32;
	r->epoch = 100;
	r->model = vm_create();
	r->conf = (struct vos_pool_conf){
	    .name = "crash",
	    .scm_bytes = 4 << 20,
	    .nvme_bytes = seed % 4 == 3 ? 0 : 6 << 20,
	    .wal_bytes = 4 << 20,
	    .cache_bytes = 4 << 20,
	    .data_thresh = seed % 2 ? 2048 : 0,
	    .scm_cache_bytes = seed % 3 ? 0 : 512 << 10,
	    .discard = seed % 2 == 0,
	    .discard_ms = 1,
	    .debug_shadow = true,
	};
	assert_int_equal(sim_create(seed, &r->sim), 0);
	xc.env = sim_env_create(r->sim, 0);
	assert_int_equal(xs_create(&xc, &r->xs), 0);
	assert_int_equal(mem_disk_create(r->sim, 64 << 20, &r->disk), 0);
	return r;
}

static void
run_destroy(struct run *r)
{
	vm_destroy(r->model);
	xs_destroy(r->xs);
	mem_disk_destroy(r->disk);
	sim_destroy(r->sim);
	free(r);
}

/* Returns whether the scenario met the crash. */
static bool
one_point(uint64_t seed, uint64_t stop_at, uint32_t *states)
{
	struct run *r = run_create(seed, stop_at);
	bool crashed;
	int rc = -1, again;

	mem_disk_stop_at(r->disk, stop_at);
	assert_int_equal(xs_call(r->xs, scenario, r), 0);
	crashed = mem_disk_stopped(r->disk);
	r->rng.state ^= stop_at * 7919;
	for (again = 0; !r->failed; again++) {
		mem_disk_restart(r->disk, disk_rnd, &r->rng);
		(*states)++;
		if (again < 3 && vm_below(&r->rng, 2))
			mem_disk_stop_at(r->disk,
					 mem_disk_writes(r->disk) + 1 + vm_below(&r->rng, 12));
		rc = xs_call(r->xs, recover, r);
		if (!mem_disk_stopped(r->disk)) {
			if (rc != 0)
				crash_fail(r, "state after recovery", rc);
			break;
		}
		if (rc == 1)
			crash_fail(r, "state differs after recovery", rc);
	}
	assert_false(r->failed);
	run_destroy(r);
	return crashed;
}

/* One I/O fails; afterwards, with or without a restart in between, all is well. */
static void
one_fault(uint64_t seed, uint64_t read_nr, uint64_t write_nr)
{
	struct run *r = run_create(seed, write_nr);
	int rc;

	r->faulty = true;
	r->fail_read = read_nr;
	r->fail_write = write_nr;
	assert_int_equal(xs_call(r->xs, scenario, r), 0);
	r->faulty = false;
	rc = xs_call(r->xs, recover, r);
	if (rc != 0)
		crash_fail(r, "state after an I/O error", rc);
	assert_false(r->failed);
	run_destroy(r);
}

static uint64_t
env_num(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s != NULL ? strtoull(s, NULL, 0) : otherwise;
}

static void
test_crash_points(void **state)
{
	uint32_t want = env_num("VOS_CRASH_STATES", STATES_DEFAULT), states = 0;
	uint64_t first = env_num("VOS_CRASH_SEED", 1), at = env_num("VOS_CRASH_AT", 0), seed, n;
	/* With few states wanted, skip some points, others in each scenario. */
	uint64_t stride = want > 20 * STATES_DEFAULT ? 1 : 3;
	uint64_t longest = 0;

	if (at != 0) {
		one_point(first, at, &states);
		return;
	}
	for (seed = first; states < want; seed++) {
		for (n = 1 + seed % stride; states < want && one_point(seed, n, &states);)
			n += stride;
		longest = n > longest ? n : longest;
	}
	print_message("%u crash states checked, %llu scenarios of up to %llu writes, %llu extents "
		      "merged\n",
		      states, (unsigned long long)(seed - first), (unsigned long long)longest,
		      (unsigned long long)extents_merged);
	assert_true(extents_merged > 0);
}

static void
test_io_errors(void **state)
{
	uint64_t n;

	if (getenv("VOS_CRASH_AT") != NULL)
		return;
	for (n = 1; n <= 60; n++)
		one_fault(n, 0, 1 + n * 3);
	for (n = 1; n <= 20; n++)
		one_fault(3 * n, 1 + n * 2, 0); /* with a small part of the heap in memory */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_crash_points),
	    cmocka_unit_test(test_io_errors),
	};

	log_set_level(LOG_LVL_NONE); /* every crash is an error for those who meet it */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
