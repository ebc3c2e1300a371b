/*
 * The harness of the crash points: runs scenarios, makes the states, recovers and checks them.
 *
 * What was acknowledged is kept as marks in the disk's journal, between the events of the disk. A
 * replay passes them in order, so at each crash point struct crash_expect says what must be there:
 * every acknowledged operation, and for each one under way either all of it or nothing.
 *
 * A recovery is recorded too, for some of the states, and the states its own crash could leave are
 * checked in the same way, with what it acknowledged.
 */
#define LOG_FACILITY "test"
#include "tests/crash/crash.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/log.h"
#include "runtime/sim.h"

enum {
	VARIANTS_MAX = 16, /* of each crash point */
	DEEP_EACH = 24,    /* one in so many states goes on working and is recorded */
	LONGER_EACH = 8,   /* one in so many is closed and opened again */
	DEEP_POINTS = 40,  /* crash points looked at in a recovery */
	DEEP_VARIANTS = 3,
	DEPTH_MAX = 2,
	OPS_AFTER = 2, /* of each worker, after a recovery */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	STATES_DEFAULT = 250,
#else
	STATES_DEFAULT = 10400,
#endif
};

static const uuid_t uuid_a = {0xa}, uuid_b = {0xb};

/* Where we are, for messages and to replay one state. */
struct place {
	uint64_t point[DEPTH_MAX], variant[DEPTH_MAX];
	uint32_t depth;
};

struct crash_run {
	const struct crash_scenario *sc;
	uint64_t seed;
	struct crash_disk *disk;
	struct crash_journal *journal; /* marks go here; NULL: nowhere */
	struct dev_dir *dir;
	struct xs *xs;
	struct vos_pool_conf conf;
	struct vos_pool *pool;
	struct vos_cont *cont;
	struct crash_expect ex;
	struct vm_rng rng;
	uint32_t workers_left;
	bool failed;
	struct place place;
	/* what a recovery shall do */
	bool go_on; /* work, clean shutdown, open again */
	bool longer;
};

/* --- what is expected --------------------------------------------------------------------------
 */

struct mark {
	enum {
		MARK_BEGIN,
		MARK_END,
		MARK_B,
		MARK_POOL,
		MARK_CONT,
		MARK_FLOOR,
		MARK_BELOW,
		MARK_WATCH
	} kind;
	uint32_t worker;
	bool applied; /* END: it changed something; WATCH: on */
	uint64_t value;
	struct crash_flight flight;
};

static void
expect_init(struct crash_expect *ex)
{
	uint32_t i;

	memset(ex, 0, sizeof(*ex));
	ex->epoch = 100;
	ex->floor = UINT64_MAX;
	for (i = 0; i < CRASH_WORKERS_MAX; i++)
		ex->model[i] = vm_create();
}

static void
expect_fini(struct crash_expect *ex)
{
	uint32_t i;

	for (i = 0; i < CRASH_WORKERS_MAX; i++)
		vm_destroy(ex->model[i]);
}

static void
expect_copy(struct crash_expect *to, const struct crash_expect *from)
{
	uint32_t i;

	*to = *from;
	for (i = 0; i < CRASH_WORKERS_MAX; i++)
		to->model[i] = vm_clone(from->model[i]);
}

static void
expect_mark(struct crash_expect *ex, const struct mark *m)
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
mark(struct crash_run *r, struct mark m)
{
	expect_mark(&r->ex, &m);
	if (r->journal != NULL) {
		struct mark *copy = malloc(sizeof(*copy));

		if (copy == NULL)
			abort();
		*copy = m;
		crash_journal_mark(r->journal, copy);
	}
}

static void
fail(struct crash_run *r, const char *what, int rc)
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
crash_must(struct crash_run *r, int rc, const char *what)
{
	if (rc != 0)
		fail(r, what, rc);
}

void
crash_watch(struct crash_run *r, bool on)
{
	mark(r, (struct mark){.kind = MARK_WATCH, .applied = on});
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
	if (rc != want && !excused(r, &f->op, rc)) {
		vm_op_print(&f->op);
		fail(r, "answer to an operation", rc);
	}
	mark(r, (struct mark){.kind = MARK_END, .worker = worker, .applied = rc == 0});
}

void co_fn
crash_op_do(struct crash_run *r, uint32_t worker, const struct vm_op *op)
{
	struct mark m = {.kind = MARK_BEGIN, .worker = worker, .flight.op = *op};

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

	for (n = 0; n < w->ops && !w->r->failed; n++) {
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
		mark(r, (struct mark){.kind = MARK_B, .value = CRASH_B_CREATING});
		rc = vos_cont_create(r->pool, uuid_b);
		if (rc == -DER_NOSPACE && r->sc->may_be_full) {
			mark(r, (struct mark){.kind = MARK_B, .value = CRASH_B_NONE});
			break;
		}
		crash_must(r, rc, "creating a container");
		mark(r, (struct mark){.kind = MARK_B, .value = CRASH_B_THERE});
		break;
	case CRASH_B_THERE:
		if (vm_below(&r->rng, 3) != 0) {
			fill_b(r);
			break;
		}
		mark(r, (struct mark){.kind = MARK_B, .value = CRASH_B_GOING});
		crash_must(r, vos_cont_destroy(r->pool, uuid_b), "destroying a container");
		mark(r, (struct mark){.kind = MARK_B, .value = CRASH_B_NONE});
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
	mark(r, (struct mark){.kind = MARK_BELOW, .value = below});
	/* what is read afterwards is at or above it */
	if (r->ex.floor != UINT64_MAX && below > r->ex.floor)
		mark(r, (struct mark){.kind = MARK_FLOOR, .value = below});
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
	mark(r, (struct mark){.kind = MARK_POOL});
	return vos_pool_open(r->dir, r->xs, &r->conf, &r->pool);
}

static int co_fn
make_cont(struct crash_run *r)
{
	int rc = vos_cont_create(r->pool, uuid_a);

	if (rc != 0)
		return rc;
	mark(r, (struct mark){.kind = MARK_CONT});
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
			mark(r, (struct mark){.kind = MARK_FLOOR, .value = 1});
	}
	return rc;
}

static int
scenario_main(void *arg)
{
	struct crash_run *r = arg;

	crash_must(r, make_pool(r), "creating the pool");
	if (!r->failed)
		crash_must(r, make_cont(r), "creating the container");
	if (!r->failed)
		crash_must(r, keep_history(r), "keeping history");
	if (!r->failed)
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
		mark(r, (struct mark){.kind = MARK_B,
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
	mark(r, (struct mark){.kind = MARK_END, .worker = i, .applied = applied});
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

static int
recovery_main(void *arg)
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
	if (rc != 0)
		fail(r, "state after recovery", rc);
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
	if (rc != 0)
		fail(r, "after going on", rc);
	/* most states need no orderly end */
	if (!r->go_on)
		crash_disk_power(r->disk, false);
	shut(r);
	crash_disk_power(r->disk, true);
	return 0;
}

/* --- all states ---------------------------------------------------------------------------------
 */

/* Hashes of the states seen: open addressing. */
struct seen {
	uint64_t *v;
	uint64_t nr, cap;
};

static bool
seen_add(struct seen *s, uint64_t hash)
{
	uint64_t i, *old = s->v, old_cap = s->cap;

	hash += hash == 0;
	if (s->nr * 2 >= s->cap) {
		s->cap = s->cap == 0 ? 4096 : s->cap * 2;
		s->v = calloc(s->cap, sizeof(*s->v));
		if (s->v == NULL)
			abort();
		s->nr = 0;
		for (i = 0; i < old_cap; i++)
			if (old[i] != 0)
				seen_add(s, old[i]);
		free(old);
	}
	for (i = hash & (s->cap - 1); s->v[i] != 0; i = (i + 1) & (s->cap - 1))
		if (s->v[i] == hash)
			return false;
	s->v[i] = hash;
	s->nr++;
	return true;
}

struct search {
	const struct crash_scenario *sc;
	uint64_t seed;
	uint64_t want;       /* states */
	struct place only;   /* depth != 0: this state only */
	struct seen images;  /* distinct disk images: what is counted */
	struct seen checked; /* image and what was expected of it */
	uint64_t points, recoveries, deep;
	struct sim *sim; /* of the recoveries */
	struct xs *xs;
	struct crash_disk *disk;
	bool failed;
};

struct level {
	struct search *s;
	struct crash_expect ex;
	bool watch;
};

static void
on_mark(const void *m, void *arg)
{
	struct level *l = arg;
	const struct mark *mk = m;

	if (mk->kind == MARK_WATCH)
		l->watch = mk->applied;
	expect_mark(&l->ex, mk);
}

static void explore(struct search *s, const struct crash_journal *journal,
		    const struct crash_expect *ex, struct place place, bool undo);

/* Cheap identity of what is expected: it only ever grows along a journal. */
static uint64_t
expect_hash(const struct crash_expect *ex)
{
	uint64_t h = hash_combine(ex->seq, ex->b);
	uint32_t i;

	for (i = 0; i < CRASH_WORKERS_MAX; i++)
		h = hash_combine(h, ex->flight[i].on);
	return hash_combine(h, ex->pool_there + 2 * ex->cont_there);
}

static struct vos_pool_conf
conf_for(const struct crash_scenario *sc)
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

/* The disk is as the crash left it: recover and check. Leaves the disk changed. */
static void
check_state(struct search *s, const struct crash_expect *ex, struct place place)
{
	uint32_t d = place.depth - 1;
	uint64_t salt = hash_combine(hash_combine(s->seed, place.point[d]), place.variant[d]);
	struct crash_run r = {
	    .sc = s->sc,
	    .seed = s->seed,
	    .disk = s->disk,
	    .xs = s->xs,
	    .conf = conf_for(s->sc),
	    .rng.state = salt << 32,
	    .place = place,
	    .go_on = hash_u64(salt) % DEEP_EACH == 0,
	    .longer = hash_u64(salt + 1) % LONGER_EACH == 0,
	};
	size_t before = crash_disk_height(s->disk);

	r.conf.debug_shadow = r.go_on;
	expect_copy(&r.ex, ex);
	r.dir = crash_disk_open(s->disk, NULL);
	if (r.go_on && place.depth < DEPTH_MAX)
		r.journal = crash_journal_create();
	crash_disk_record(s->disk, r.journal);
	if (xs_call(s->xs, recovery_main, &r) != 0)
		fail(&r, "recovery could not run", -1);
	crash_disk_record(s->disk, NULL);
	dev_dir_close(r.dir);
	s->recoveries++;
	s->failed = s->failed || r.failed;
	if (r.journal != NULL && !s->failed) {
		s->deep++;
		crash_disk_rollback(s->disk, before);
		explore(s, r.journal, ex, place, true);
	}
	crash_journal_destroy(r.journal);
	expect_fini(&r.ex);
}

static void
one_point(struct search *s, struct crash_replay *replay, const struct crash_expect *ex,
	  struct place place)
{
	uint32_t d = place.depth - 1, open = crash_replay_open_sectors(replay);
	uint64_t nr = open == 0 ? 1 : open < VARIANTS_MAX ? open + 2 : VARIANTS_MAX, v;
	size_t before = crash_disk_height(s->disk);

	if (d > 0 && nr > DEEP_VARIANTS)
		nr = DEEP_VARIANTS;
	for (v = 0; v < nr && !s->failed; v++) {
		uint64_t image;

		place.variant[d] = v;
		if (d < s->only.depth && v != s->only.variant[d])
			continue;
		crash_replay_survive(replay, v, hash_combine(s->seed, place.point[d]));
		image = crash_disk_hash(s->disk);
		seen_add(&s->images, image);
		if (seen_add(&s->checked, hash_combine(image, expect_hash(ex))))
			check_state(s, ex, place);
		crash_disk_rollback(s->disk, before);
	}
}

/* Every point of a journal. The disk must be as it was when that began; with undo it is so again
 * afterwards. */
static void
explore(struct search *s, const struct crash_journal *journal, const struct crash_expect *ex,
	struct place place, bool undo)
{
	struct level l = {.s = s, .watch = true};
	struct crash_replay *replay;
	size_t before = crash_disk_height(s->disk);
	uint32_t d = place.depth++;
	/* when few states are wanted, points from the whole scenario */
	uint64_t nr = 0, stride = 1 + (d == 0 ? crash_journal_len(journal) / s->want : 0);

	expect_copy(&l.ex, ex);
	replay = crash_replay_create(s->disk, journal, undo, on_mark, &l);
	while (!s->failed && s->images.nr < s->want && crash_replay_next(replay)) {
		nr++;
		if (d > 0 && nr > DEEP_POINTS)
			break;
		if (!l.watch || (s->only.depth == 0 && hash_u64(s->seed + nr) % stride != 0) ||
		    (d < s->only.depth && nr != s->only.point[d]))
			continue;
		place.point[d] = nr;
		s->points++;
		one_point(s, replay, &l.ex, place);
	}
	crash_replay_destroy(replay);
	expect_fini(&l.ex);
	if (undo)
		crash_disk_rollback(s->disk, before);
}

/* One run of the scenario and all its states. */
static void
one_seed(struct search *s)
{
	struct crash_journal *journal = crash_journal_create();
	struct crash_expect fresh;
	struct crash_run r = {
	    .sc = s->sc,
	    .seed = s->seed,
	    .journal = journal,
	    .conf = conf_for(s->sc),
	    .rng.state = s->seed << 32,
	};
	struct place place = {0};
	struct sim *sim;
	struct xs_conf xc = {.name = "crash", .cpu = -1};

	s->disk = r.disk = crash_disk_create();
	/* other identities in each scenario: no image is counted in two of them */
	if (sim_create(hash_bytes(s->sc->name, strlen(s->sc->name), s->seed), &sim) != 0)
		abort();
	xc.env = sim_env_create(sim, 0);
	if (xs_create(&xc, &r.xs) != 0)
		abort();
	expect_init(&r.ex);
	expect_init(&fresh);
	r.conf.debug_shadow = true;
	r.dir = crash_disk_open(r.disk, sim);
	crash_disk_record(r.disk, journal);
	if (xs_call(r.xs, scenario_main, &r) != 0)
		fail(&r, "the scenario could not run", -1);
	crash_disk_record(r.disk, NULL);
	dev_dir_close(r.dir);
	xs_destroy(r.xs);
	sim_destroy(sim);
	crash_disk_rollback(r.disk, 0);
	s->failed = r.failed;
	if (!s->failed)
		explore(s, journal, &fresh, place, false);
	crash_disk_destroy(s->disk);
	crash_journal_destroy(journal);
	expect_fini(&r.ex);
	expect_fini(&fresh);
}

static double
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static bool
run_scenario(const struct crash_scenario *sc, uint64_t want, uint64_t seed,
	     const struct place *only)
{
	struct search s = {.sc = sc, .seed = seed, .want = want, .only = *only};
	struct xs_conf xc = {.name = "recover", .cpu = -1};
	double start = now_s(), took;
	uint64_t seeds = 0;

	if (sim_create(1, &s.sim) != 0)
		abort();
	xc.env = sim_env_create(s.sim, 0);
	if (xs_create(&xc, &s.xs) != 0)
		abort();
	do {
		one_seed(&s);
		s.seed++;
		seeds++;
	} while (!s.failed && s.images.nr < want && only->depth == 0);
	took = now_s() - start;
	printf("crash states: %llu distinct (%s: %llu points of %llu runs, %llu recoveries, %llu "
	       "of them crashed again; %.0f states/s)\n",
	       (unsigned long long)s.images.nr, sc->name, (unsigned long long)s.points,
	       (unsigned long long)seeds, (unsigned long long)s.recoveries,
	       (unsigned long long)s.deep, s.images.nr / (took + 1e-9));
	fflush(stdout);
	free(s.images.v);
	free(s.checked.v);
	xs_destroy(s.xs);
	sim_destroy(s.sim);
	return !s.failed;
}

static uint64_t
number(const char *s)
{
	char *end;
	uint64_t v = strtoull(s, &end, 0);

	if (*s == '\0' || *end != '\0') {
		fprintf(stderr, "not a number: %s\n", s);
		exit(2);
	}
	return v;
}

static void
usage(void)
{
	const struct crash_scenario *sc;

	printf("usage: test_crash_points [SCENARIO...] [--states N] [--seed S]\n"
	       "                         [--point P --variant V [--point P --variant V]]\n"
	       "Without a scenario: all. With --point: only this state, the second pair in the\n"
	       "recovery from the first. DAOS_TEST_LONG=1: ten times the states, "
	       "DAOS_TEST_BRIEF=1: a twentieth.\n\n");
	for (sc = crash_scenarios; sc->name != NULL; sc++)
		printf("  %-10s %s\n", sc->name, sc->what);
}

int
main(int argc, char **argv)
{
	const char *is_long = getenv("DAOS_TEST_LONG");
	uint64_t want = STATES_DEFAULT, seed = 1;
	const struct crash_scenario *sc;
	struct place only = {0};
	bool named = false, ok = true;
	int i;

	/* memory is taken and given back for every state: keep it */
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	log_set_level(LOG_LVL_NONE);
	if (getenv("CRASH_LOG") != NULL)
		log_set_level(LOG_LVL_WARN);
	if (is_long != NULL && strcmp(is_long, "1") == 0)
		want *= 10;
	if (getenv("DAOS_TEST_BRIEF") != NULL)
		want /= 20;
	for (i = 1; i < argc; i++) {
		const char *next = i + 1 < argc ? argv[i + 1] : NULL;

		if (argv[i][0] != '-') {
			named = true;
			continue;
		}
		if (strcmp(argv[i], "--help") == 0) {
			usage();
			return 0;
		}
		if (next == NULL) {
			fprintf(stderr, "%s needs a number\n", argv[i]);
			return 2;
		}
		if (strcmp(argv[i], "--states") == 0)
			want = number(next);
		else if (strcmp(argv[i], "--seed") == 0)
			seed = number(next);
		else if (strcmp(argv[i], "--point") == 0 && only.depth < DEPTH_MAX)
			only.point[only.depth++] = number(next);
		else if (strcmp(argv[i], "--variant") == 0 && only.depth > 0)
			only.variant[only.depth - 1] = number(next);
		else {
			fprintf(stderr, "unknown option %s (--help)\n", argv[i]);
			return 2;
		}
		i++;
		argv[i] = "-";
	}
	for (sc = crash_scenarios; sc->name != NULL && ok; sc++) {
		bool mine = !named;

		for (i = 1; i < argc; i++)
			mine = mine || strcmp(argv[i], sc->name) == 0;
		if (mine)
			ok = run_scenario(sc, want, seed, &only);
	}
	return ok ? 0 : 1;
}
