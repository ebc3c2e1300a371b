/*
 * The harness of the crash points: runs scenarios, recovers and checks. crash_search.c makes the
 * states.
 *
 * What was acknowledged is kept as marks in the disk's journal, between the events of the disk. A
 * replay passes them in order, so at each crash point struct crash_expect says what must be there:
 * every acknowledged operation, and for each one under way either all of it or nothing.
 *
 * A recovery is recorded too, for some of the states, and the states its own crash could leave are
 * checked in the same way, with what it acknowledged.
 */
#define LOG_FACILITY "test"
#include "tests/crash/crash_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPS_AFTER = 2 /* of each worker, after a recovery */ };

static const uuid_t uuid_a = {0xa}, uuid_b = {0xb};

/* --- what is expected --------------------------------------------------------------------------
 */

void
crash_expect_init(struct crash_expect *ex)
{
	uint32_t i;

	memset(ex, 0, sizeof(*ex));
	ex->epoch = 100;
	ex->floor = UINT64_MAX;
	for (i = 0; i < CRASH_WORKERS_MAX; i++)
		ex->model[i] = vm_create();
}

void
crash_expect_fini(struct crash_expect *ex)
{
	uint32_t i;

	for (i = 0; i < CRASH_WORKERS_MAX; i++)
		vm_destroy(ex->model[i]);
}

void
crash_expect_copy(struct crash_expect *to, const struct crash_expect *from)
{
	uint32_t i;

	*to = *from;
	for (i = 0; i < CRASH_WORKERS_MAX; i++)
		to->model[i] = vm_clone(from->model[i]);
}

void
crash_expect_mark(struct crash_expect *ex, const struct crash_mark *m)
{
	switch (m->kind) {
	case MARK_BEGIN:
		ex->flight[m->worker] = m->flight;
		ex->flight[m->worker].on = true;
		if (m->flight.op.epoch > ex->epoch)
			ex->epoch = m->flight.op.epoch;
		if (m->flight.id.seq > ex->seq)
			ex->seq = m->flight.id.seq;
		break;
	case MARK_END:
		if (m->applied)
			vm_apply(ex->model[m->worker], &ex->flight[m->worker].op);
		ex->flight[m->worker].on = false;
		break;
	case MARK_B:
		ex->b = m->value;
		break;
	case MARK_POOL:
		ex->pool_there = true;
		break;
	case MARK_CONT:
		ex->cont_there = true;
		break;
	case MARK_FLOOR:
		ex->floor = m->value;
		break;
	case MARK_BELOW:
		ex->below = m->value;
		break;
	case MARK_WATCH:
		break;
	}
}

static void
mark(struct crash_run *r, struct crash_mark m)
{
	crash_expect_mark(&r->ex, &m);
	if (r->journal != NULL) {
		struct crash_mark *copy = malloc(sizeof(*copy));

		if (copy == NULL)
			abort();
		*copy = m;
		crash_journal_mark(r->journal, copy);
	}
}

void
crash_fail(struct crash_run *r, const char *what, int rc)
{
	uint32_t i;

	if (r->failed)
		return;
	r->failed = true;
	fprintf(stderr, "%s (%d)\n  again: test_crash_points %s --seed %llu", what, rc, r->sc->name,
		(unsigned long long)r->seed);
	for (i = 0; i < r->place.depth; i++)
		fprintf(stderr, " --point %llu --variant %llu",
			(unsigned long long)r->place.point[i],
			(unsigned long long)r->place.variant[i]);
	fprintf(stderr, "\n");
}

/* --- for scenarios ------------------------------------------------------------------------------
 */

struct vos_pool *
crash_pool(struct crash_run *r)
{
	return r->pool;
}

struct vos_cont *
crash_cont(struct crash_run *r)
{
	return r->cont;
}

struct vm_rng *
crash_rng(struct crash_run *r)
{
	return &r->rng;
}

struct crash_expect *
crash_expect(struct crash_run *r)
{
	return &r->ex;
}

void
crash_watch(struct crash_run *r, bool on)
{
	mark(r, (struct crash_mark){.kind = MARK_WATCH, .applied = on});
}

/* Is this what an injected fault does? */
static bool
by_fault(struct crash_run *r, int rc)
{
	if (!r->faulty || (rc != -DER_IO && rc != -DER_SHUTDOWN && rc != -DER_NOMEM))
		return false;
	if (r->fault_rc == 0)
		r->fault_rc = rc;
	return true;
}

bool
crash_must(struct crash_run *r, int rc, const char *what)
{
	if (rc != 0 && !by_fault(r, rc))
		crash_fail(r, what, rc);
	return rc == 0;
}

/* May this answer come although the model says otherwise? */
static bool
excused(const struct crash_run *r, const struct vm_op *op, int rc)
{
	if (rc == -DER_NOSPACE)
		return r->sc->may_be_full;
	/* at or below what was aggregated; or a condition at an epoch whose history is gone */
	return rc == -DER_TX_RESTART &&
	       (op->epoch <= r->ex.below || (r->ex.floor == UINT64_MAX && op->cond != 0));
}

static void co_fn
op_run(struct crash_run *r, uint32_t worker)
{
	const struct crash_flight *f = &r->ex.flight[worker];
	int want = vm_expect(r->ex.model[worker], &f->op), rc;

	rc = vm_run(r->cont, &f->op, &f->id);
	if (by_fault(r, rc)) {
		/* without memory nothing was done; otherwise nobody knows: it stays under way */
		if (rc == -DER_NOMEM)
			mark(r, (struct crash_mark){.kind = MARK_END, .worker = worker});
		return;
	}
	if (rc != want && !excused(r, &f->op, rc)) {
		vm_op_print(&f->op);
		crash_fail(r, "answer to an operation", rc);
	}
	mark(r, (struct crash_mark){.kind = MARK_END, .worker = worker, .applied = rc == 0});
}

void co_fn
crash_op_do(struct crash_run *r, uint32_t worker, const struct vm_op *op)
{
	struct crash_mark m = {.kind = MARK_BEGIN, .worker = worker, .flight.op = *op};

	m.flight.op.obj = worker;
	m.flight.id = (struct vos_opid){.client = {7, worker}, .seq = r->ex.seq + 1, .low_seq = 1};
	mark(r, m);
	op_run(r, worker);
}

void co_fn
crash_op(struct crash_run *r, uint32_t worker)
{
	struct vm_op op;

	vm_op_random(&r->rng, r->ex.epoch + 1, r->sc->max_bytes, &op);
	/* late ones too; but a late condition may be refused for want of history */
	if ((op.cond == 0 || r->ex.floor != UINT64_MAX) && r->sc->lag != 0)
		op.epoch -= vm_below(&r->rng, r->sc->lag);
	if (op.epoch <= r->ex.below)
		op.epoch = r->ex.below + 1;
	crash_op_do(r, worker, &op);
}

struct worker {
	struct crash_run *r;
	uint32_t i, ops;
};

static int co_fn
worker_main(void *arg)
{
	struct worker *w = arg;
	uint32_t n;

	for (n = 0; n < w->ops && !w->r->failed && !w->r->ex.flight[w->i].on; n++) {
		crash_op(w->r, w->i);
		if (vm_below(&w->r->rng, 4) == 0)
			co_sleep_ns(vm_below(&w->r->rng, 1000000));
	}
	w->r->workers_left--;
	return 0;
}

void co_fn
crash_work(struct crash_run *r, uint32_t ops_each, void co_fn (*beside)(struct crash_run *),
	   uint32_t rounds)
{
	struct worker w[CRASH_WORKERS_MAX];
	struct co_group group;
	uint32_t i;

	r->workers_left = r->sc->workers;
	co_group_init(&group);
	for (i = 0; i < r->sc->workers; i++) {
		w[i] = (struct worker){.r = r, .i = i, .ops = ops_each};
		if (co_group_spawn(&group, worker_main, &w[i]) != 0)
			abort();
	}
	for (i = 0; beside != NULL && i < rounds && r->workers_left > 0 && !r->failed; i++) {
		beside(r);
		co_sleep_ns(vm_below(&r->rng, 500000));
	}
	co_group_join(&group);
}

static void co_fn
fill_b(struct crash_run *r)
{
	struct vos_cont *cont = NULL;
	struct vm_op op;
	int i, rc;

	rc = vos_cont_open(r->pool, uuid_b, &cont);
	for (i = 0; rc == 0 && i < 4; i++) {
		vm_op_random(&r->rng, r->ex.epoch + 1, r->sc->max_bytes, &op);
		op.cond = 0;
		rc = vm_run(cont, &op, NULL);
	}
	vos_cont_close(cont);
	if (rc != -DER_NOSPACE || !r->sc->may_be_full)
		crash_must(r, rc, "filling a container");
}

void co_fn
crash_step_b(struct crash_run *r)
{
	int rc;

	switch (r->ex.b) {
	case CRASH_B_NONE:
		mark(r, (struct crash_mark){.kind = MARK_B, .value = CRASH_B_CREATING});
		rc = vos_cont_create(r->pool, uuid_b);
		if (rc == -DER_NOSPACE && r->sc->may_be_full) {
			mark(r, (struct crash_mark){.kind = MARK_B, .value = CRASH_B_NONE});
			break;
		}
		if (crash_must(r, rc, "creating a container"))
			mark(r, (struct crash_mark){.kind = MARK_B, .value = CRASH_B_THERE});
		break;
	case CRASH_B_THERE:
		if (vm_below(&r->rng, 3) != 0) {
			fill_b(r);
			break;
		}
		mark(r, (struct crash_mark){.kind = MARK_B, .value = CRASH_B_GOING});
		if (crash_must(r, vos_cont_destroy(r->pool, uuid_b), "destroying a container"))
			mark(r, (struct crash_mark){.kind = MARK_B, .value = CRASH_B_NONE});
		break;
	default:
		break;
	}
}

void co_fn
crash_aggregate(struct crash_run *r, uint64_t behind)
{
	uint64_t below;
	bool more = true;

	if (r->ex.epoch <= behind + 1)
		return;
	below = r->ex.epoch - behind;
	mark(r, (struct crash_mark){.kind = MARK_BELOW, .value = below});
	/* what is read afterwards is at or above it */
	if (r->ex.floor != UINT64_MAX && below > r->ex.floor)
		mark(r, (struct crash_mark){.kind = MARK_FLOOR, .value = below});
	crash_must(r, vos_aggregate(r->cont, below, NULL, 0, 1000, &more), "aggregation");
}

void co_fn
crash_checkpoint(struct crash_run *r)
{
	crash_must(r, heap_checkpoint(r->pool->heap), "checkpoint");
}

/* --- running ------------------------------------------------------------------------------------
 */

static void co_fn
shut(struct crash_run *r)
{
	vos_cont_close(r->cont);
	r->cont = NULL;
	if (r->pool != NULL)
		vos_pool_close(r->pool);
	r->pool = NULL;
}

static int co_fn
make_pool(struct crash_run *r)
{
	int rc = vos_pool_create(r->dir, r->xs, &r->conf);

	if (rc != 0)
		return rc;
	mark(r, (struct crash_mark){.kind = MARK_POOL});
	return vos_pool_open(r->dir, r->xs, &r->conf, &r->pool);
}

static int co_fn
make_cont(struct crash_run *r)
{
	int rc = vos_cont_create(r->pool, uuid_a);

	if (rc != 0)
		return rc;
	mark(r, (struct crash_mark){.kind = MARK_CONT});
	return vos_cont_open(r->pool, uuid_a, &r->cont);
}

static int co_fn
keep_history(struct crash_run *r)
{
	int rc = 0;

	if (r->sc->history && r->ex.floor == UINT64_MAX) {
		rc = vos_cont_set_keep(r->cont, 1, NULL, 0);
		/* what was dropped before is gone: nothing was written before */
		if (rc == 0)
			mark(r, (struct crash_mark){.kind = MARK_FLOOR, .value = 1});
	}
	return rc;
}

int co_fn
crash_scenario_main(void *arg)
{
	struct crash_run *r = arg;

	if (crash_must(r, make_pool(r), "creating the pool") &&
	    crash_must(r, make_cont(r), "creating the container") &&
	    crash_must(r, keep_history(r), "keeping history"))
		r->sc->main(r);
	shut(r);
	return 0;
}

/* --- checking -----------------------------------------------------------------------------------
 */

/* The object of a worker at an epoch: as the model says, or with the operation that was under way.
 */
static int co_fn
check_obj(struct crash_run *r, uint32_t i, uint64_t epoch)
{
	const struct crash_flight *f = &r->ex.flight[i];
	struct vm_model *with;
	int rc, rc2;

	rc = vm_compare(r->ex.model[i], r->cont, epoch, i, &r->rng, f->on);
	if (!f->on || rc <= 0)
		return rc;
	with = vm_clone(r->ex.model[i]);
	if (vm_expect(with, &f->op) == 0)
		vm_apply(with, &f->op);
	rc2 = vm_compare(with, r->cont, epoch, i, &r->rng, false);
	if (rc2 == 1) {
		fprintf(stderr, "and without what was under way:\n");
		vm_op_print(&f->op);
		vm_compare(r->ex.model[i], r->cont, epoch, i, &r->rng, false);
	}
	vm_destroy(with);
	return rc2;
}

static int co_fn
check_objs(struct crash_run *r)
{
	uint64_t floor = r->ex.floor;
	uint32_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < r->sc->workers; i++)
		rc = check_obj(r, i, UINT64_MAX);
	if (rc == 0 && floor < r->ex.epoch) {
		i = vm_below(&r->rng, r->sc->workers);
		rc = check_obj(r, i, floor + vm_below(&r->rng, r->ex.epoch - floor));
	}
	return rc;
}

static int co_fn
check_b(struct crash_run *r)
{
	struct vos_cont *b;
	int rc;

	rc = vos_cont_open(r->pool, uuid_b, &b);
	if (rc == 0)
		vos_cont_close(b);
	if (rc != 0 && rc != -DER_NONEXIST)
		return rc;
	if ((r->ex.b == CRASH_B_NONE && rc == 0) || (r->ex.b == CRASH_B_THERE && rc != 0)) {
		fprintf(stderr, "second container: opening gives %d, its state was %d\n", rc,
			r->ex.b);
		return 1;
	}
	if (r->go_on && (r->ex.b == CRASH_B_CREATING || r->ex.b == CRASH_B_GOING))
		mark(r, (struct crash_mark){.kind = MARK_B,
					    .value = rc == 0 ? CRASH_B_THERE : CRASH_B_NONE});
	return 0;
}

/* Repeat what was under way: done before, or done now. */
static int co_fn
resolve(struct crash_run *r, uint32_t i)
{
	struct crash_flight *f = &r->ex.flight[i];
	bool applied;
	int want, rc;

	if (!f->on)
		return 0;
	want = vm_expect(r->ex.model[i], &f->op);
	rc = vm_run(r->cont, &f->op, &f->id);
	if (excused(r, &f->op, rc)) /* it was not done, and cannot be now */
		want = rc;
	applied = rc == 0 || (rc == -DER_ALREADY && want == 0);
	if (rc != want && !(rc == -DER_ALREADY && want == 0)) {
		vm_op_print(&f->op);
		return rc == 0 ? 1 : rc;
	}
	mark(r, (struct crash_mark){.kind = MARK_END, .worker = i, .applied = applied});
	return vm_compare(r->ex.model[i], r->cont, UINT64_MAX, i, &r->rng, false);
}

static int co_fn
open_all(struct crash_run *r)
{
	int rc = vos_pool_open(r->dir, r->xs, &r->conf, &r->pool);

	if (rc == -DER_NONEXIST && !r->ex.pool_there)
		rc = make_pool(r); /* not complete: it can simply be created again */
	if (rc != 0)
		return rc;
	r->ex.pool_there = true;
	rc = vos_cont_open(r->pool, uuid_a, &r->cont);
	if (rc == -DER_NONEXIST && !r->ex.cont_there)
		rc = make_cont(r);
	if (rc == 0)
		r->ex.cont_there = true;
	return rc;
}

static int co_fn
reopen(struct crash_run *r)
{
	shut(r);
	return open_all(r);
}

int co_fn
crash_recovery_main(void *arg)
{
	struct crash_run *r = arg;
	uint32_t i;
	int rc;

	rc = open_all(r);
	if (rc == 0)
		rc = vos_pool_verify(r->pool);
	if (rc == 0)
		rc = check_objs(r);
	if (rc == 0)
		rc = check_b(r);
	crash_must(r, rc, "state after recovery");
	if (rc == 0 && (r->longer || r->go_on)) {
		vos_pool_settle(r->pool);
		rc = vos_pool_verify(r->pool);
	}
	if (rc == 0 && r->longer)
		rc = reopen(r);
	if (rc == 0 && r->go_on) {
		if (r->sc->history)
			rc = keep_history(r);
		for (i = 0; rc == 0 && i < r->sc->workers; i++)
			rc = resolve(r, i);
		if (rc == 0)
			crash_work(r, OPS_AFTER, NULL, 0);
		if (rc == 0 && !r->failed)
			rc = reopen(r);
	}
	if (rc == 0 && (r->longer || r->go_on) && !r->failed) {
		rc = vos_pool_verify(r->pool);
		if (rc == 0)
			rc = check_objs(r);
	}
	crash_must(r, rc, "after going on");
	/* most states need no orderly end */
	if (!r->go_on)
		crash_disk_power(r->disk, false);
	shut(r);
	crash_disk_power(r->disk, true);
	return 0;
}

struct vos_pool_conf
crash_conf(const struct crash_scenario *sc)
{
	struct vos_pool_conf conf = sc->conf;

	conf.name = "crash";
	if (conf.scm_bytes == 0)
		conf.scm_bytes = 4 << 20;
	if (conf.wal_bytes == 0)
		conf.wal_bytes = 4 << 20;
	if (conf.cache_bytes == 0)
		conf.cache_bytes = 4 << 20;
	return conf;
}
