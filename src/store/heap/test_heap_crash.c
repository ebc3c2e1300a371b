/*
 * Crash points. A scenario of concurrent transactions (tree, allocator, overwritten objects,
 * checkpoints, log wrap) runs on a simulated disk that loses power at its n-th write, for n = 1, 2,
 * 3 ... until the scenario survives whole. What was unsynced is then kept, dropped, torn and
 * reordered at random; often the power fails again during recovery. The recovered heap must pass
 * its own checks and equal the model after some number of transactions, which is at least the
 * number that had been acknowledged.
 *
 * STORE_CRASH_STATES=N runs until N states were checked.
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
#include "store/heap/heap.h"
#include "store/tree/btree.h"

enum {
	WORKERS = 4,
	TXS_EACH = 40,
	KEYS = 60,
	STEPS_MAX = 3,
	OBJ_MAX = 3000,
	HEAP_BYTES = 4 << 20,
	LOG_BYTES = 256 << 10,
#if defined(__SANITIZE_THREAD__)
	STATES_DEFAULT = 50, /* giving memory back is slow there, and there is one thread */
#else
	STATES_DEFAULT = 1000,
#endif
};

struct step {
	uint64_t key;
	uint32_t size; /* 0: delete */
	uint8_t fill;
};

/* One committed transaction, in order of commit. */
struct rec {
	struct step step[STEPS_MAX];
	int nr;
};

/* What the tree maps a key to. */
struct val {
	uint64_t off;
	uint32_t size;
	uint32_t fill;
};

/* At the root: number of committed transactions, then the tree. */
struct root {
	uint64_t tx_nr;
	struct btree_root_df tree;
};

struct run {
	struct sim *sim;
	struct env *env;
	struct xs *xs;
	struct mem_disk *disk;
	struct dev_dir *dir;
	struct dev *pages, *log;
	struct heap *heap;
	uint64_t seed;
	uint64_t rnd;
	struct rec recs[WORKERS * TXS_EACH];
	uint32_t committed_nr; /* known to the model */
	uint32_t acked_nr;     /* every transaction up to this one was durable */
	bool acked[WORKERS * TXS_EACH];
	bool fresh_failed; /* the crash came before the heap was complete */
	uint32_t recoveries;
};

static uint64_t
rnd(void *arg)
{
	uint64_t *s = arg;

	*s = *s * 6364136223846793005ull + 1442695040888963407ull;
	return *s >> 33;
}

static struct heap_conf
conf_of(struct run *r)
{
	return (struct heap_conf){.xs = r->xs,
				  .ckpt_idle_ms = 3,
				  .ckpt_fill_pct = 30,
				  .resident_max = r->seed % 2 ? 400 << 10 : 0,
				  .shadow = true};
}

/* --- the scenario
 * ----------------------------------------------------------------------------------- */

struct job {
	struct run *run;
	struct rec rec;
	uint32_t nr; /* of the transaction */
};

static struct btree
tree_of(struct heap *heap)
{
	return btree_at(heap, heap_root(heap) + offsetof(struct root, tree));
}

static int
put_key(struct heap_tx *tx, const struct step *s)
{
	struct heap *heap = heap_tx_heap(tx);
	struct btree_key key = btree_key_num(s->key);
	struct val val = {.size = s->size, .fill = s->fill}, old = {0};
	uint64_t at;
	int rc;

	rc = btree_lookup(tree_of(heap), &key, &at);
	if (rc == 0)
		memcpy(&old, heap_ptr(heap, at), sizeof(old));
	else if (rc != -DER_NONEXIST)
		return rc;
	if (old.size == s->size) { /* overwrite in place */
		rc = heap_tx_add(tx, old.off, s->size);
		val.off = old.off;
	} else {
		rc = heap_alloc(tx, s->size, 0, &val.off);
		if (rc == 0)
			rc = heap_free(tx, old.off);
	}
	if (rc != 0)
		return rc;
	memset(heap_ptr(heap, val.off), s->fill, s->size);
	return btree_upsert(tx, tree_of(heap), &key, &val, NULL);
}

static int
del_key(struct heap_tx *tx, const struct step *s)
{
	struct btree_key key = btree_key_num(s->key);
	struct val old;
	int rc;

	rc = btree_delete(tx, tree_of(heap_tx_heap(tx)), &key, &old);
	if (rc == -DER_NONEXIST)
		return 0;
	return rc == 0 ? heap_free(tx, old.off) : rc;
}

static int
job_tx(struct heap_tx *tx, void *arg)
{
	struct job *job = arg;
	struct heap *heap = heap_tx_heap(tx);
	uint64_t nr;
	int i, rc = 0;

	for (i = 0; rc == 0 && i < job->rec.nr; i++)
		rc = job->rec.step[i].size == 0 ? del_key(tx, &job->rec.step[i])
						: put_key(tx, &job->rec.step[i]);
	if (rc == 0 && heap_try(heap, heap_root(heap), sizeof(nr)) == NULL)
		rc = HEAP_MISS;
	if (rc != 0)
		return rc;
	memcpy(&nr, heap_ptr(heap, heap_root(heap)), sizeof(nr));
	nr++;
	job->nr = nr;
	return heap_tx_write(tx, heap_root(heap), &nr, sizeof(nr));
}

static void
random_rec(struct run *r, struct rec *rec)
{
	int i;

	rec->nr = 1 + rnd(&r->rnd) % STEPS_MAX;
	for (i = 0; i < rec->nr; i++) {
		rec->step[i] = (struct step){
		    .key = rnd(&r->rnd) % KEYS,
		    .size = rnd(&r->rnd) % 4 == 0 ? 0 : 1 + rnd(&r->rnd) % 5 * (OBJ_MAX / 5),
		    .fill = rnd(&r->rnd),
		};
	}
}

static int
worker(void *arg)
{
	struct run *r = arg;
	int i;

	for (i = 0; i < TXS_EACH; i++) {
		struct job job = {.run = r};
		uint64_t lsn;

		random_rec(r, &job.rec);
		if (heap_tx_run(r->heap, 64 << 10, 0, 0, job_tx, &job, &lsn) != 0)
			return 0; /* the power is off */
		r->recs[job.nr - 1] = job.rec;
		if (job.nr > r->committed_nr)
			r->committed_nr = job.nr;
		if (heap_wait_durable(r->heap, lsn) != 0)
			return 0;
		r->acked[job.nr - 1] = true;
		if (rnd(&r->rnd) % 4 == 0)
			co_sleep_ns(rnd(&r->rnd) % 1000000);
	}
	return 0;
}

static int
make_tree(struct heap_tx *tx, void *arg)
{
	struct btree_conf conf = {.kind = BTREE_UINT, .val_bytes = sizeof(struct val)};

	return btree_create(tx, tree_of(arg).root_off, &conf);
}

static void
close_devs(struct run *r)
{
	dev_close(r->pages);
	dev_close(r->log);
	dev_dir_close(r->dir);
	r->pages = NULL;
	r->log = NULL;
	r->dir = NULL;
}

static int
format(struct run *r)
{
	struct heap_conf conf = conf_of(r);
	uint64_t lsn = 0;
	int rc;

	rc = mem_disk_open(r->disk, &r->dir);
	if (rc == 0)
		rc = r->dir->ops->create(r->dir, r->xs, "heap", HEAP_BYTES, false, &r->pages);
	if (rc == 0)
		rc = r->dir->ops->create(r->dir, r->xs, "log", LOG_BYTES, true, &r->log);
	if (rc == 0)
		rc = heap_create(&conf, r->pages, r->log);
	if (rc == 0)
		rc = heap_open(&conf, r->pages, r->log, &r->heap);
	if (rc == 0)
		rc = heap_tx_run(r->heap, 0, 0, 0, make_tree, r->heap, &lsn);
	if (rc == 0)
		rc = heap_wait_durable(r->heap, lsn);
	return rc;
}

static int
scenario(void *arg)
{
	struct run *r = arg;
	struct co_group group;
	int i;

	if (format(r) != 0) {
		r->fresh_failed = true;
	} else {
		co_group_init(&group);
		for (i = 0; i < WORKERS; i++)
			assert_int_equal(co_group_spawn(&group, worker, r), 0);
		co_group_join(&group);
	}
	heap_close(r->heap, rnd(&r->rnd) % 2 == 0);
	r->heap = NULL;
	close_devs(r);
	while (r->acked_nr < r->committed_nr && r->acked[r->acked_nr])
		r->acked_nr++;
	/* Later ones may be acknowledged only if earlier ones are durable too. */
	for (i = r->acked_nr; i < (int)r->committed_nr; i++) {
		if (r->acked[i])
			r->acked_nr = i + 1;
	}
	return 0;
}

/* --- the check
 * ----------------------------------------------------------------------------------------- */

struct owned {
	uint64_t off[KEYS * 4 + 64];
	uint32_t nr;
};

static int
note(void *arg, uint64_t off)
{
	struct owned *o = arg;

	o->off[o->nr++] = off;
	return 0;
}

static bool
is_owned(void *arg, uint64_t off, uint32_t size)
{
	const struct owned *o = arg;
	uint32_t i;

	for (i = 0; i < o->nr; i++) {
		if (o->off[i] == off)
			return true;
	}
	return false;
}

static void
check_key(struct run *r, uint64_t k, const struct step *want, struct owned *owned)
{
	struct btree_key key = btree_key_num(k);
	struct val val;
	const uint8_t *p;
	uint64_t at;
	uint32_t i;
	int rc;

	do
		rc = btree_lookup(tree_of(r->heap), &key, &at);
	while (heap_retry(r->heap, &rc));
	if (want->size == 0) {
		assert_int_equal(rc, -DER_NONEXIST);
		return;
	}
	assert_int_equal(rc, 0);
	memcpy(&val, heap_ptr(r->heap, at), sizeof(val));
	assert_int_equal(val.size, want->size);
	assert_int_equal(val.fill, want->fill);
	assert_int_equal(heap_fault(r->heap, val.off, val.size), 0);
	p = heap_ptr(r->heap, val.off);
	for (i = 0; i < val.size; i++)
		assert_int_equal(p[i], want->fill);
	note(owned, val.off);
}

static void
check_state(struct run *r)
{
	struct step want[KEYS] = {0};
	struct owned owned = {0};
	uint64_t nr, records, k, live = 0;
	uint32_t i;
	int j, rc;

	assert_int_equal(heap_fault(r->heap, heap_root(r->heap), sizeof(struct root)), 0);
	memcpy(&nr, heap_ptr(r->heap, heap_root(r->heap)), sizeof(nr));
	if (r->fresh_failed) { /* the tree may not be there yet */
		assert_int_equal(nr, 0);
		assert_int_equal(heap_verify(r->heap, NULL, NULL), 0);
		return;
	}
	assert_true(nr >= r->acked_nr);
	/* One more than the model knows: committed, and the worker did not get to note it. */
	assert_true(nr <= r->committed_nr);
	for (i = 0; i < nr; i++) {
		for (j = 0; j < r->recs[i].nr; j++)
			want[r->recs[i].step[j].key] = r->recs[i].step[j];
	}
	do {
		owned.nr = 0;
		rc = btree_verify(tree_of(r->heap), note, &owned, &records);
	} while (heap_retry(r->heap, &rc));
	assert_int_equal(rc, 0);
	for (k = 0; k < KEYS; k++) {
		live += want[k].size != 0;
		check_key(r, k, &want[k], &owned);
	}
	assert_int_equal(records, live);
	assert_int_equal(heap_verify(r->heap, is_owned, &owned), 0);
}

static int
open_devs(struct run *r)
{
	int rc;

	rc = mem_disk_open(r->disk, &r->dir);
	if (rc == 0)
		rc = r->dir->ops->open(r->dir, r->xs, "heap", false, &r->pages);
	if (rc == 0)
		rc = r->dir->ops->open(r->dir, r->xs, "log", false, &r->log);
	return rc;
}

/* One attempt; on success the heap is checked, and changed a little so that the next one differs.
 */
static int
recover(void *arg)
{
	struct run *r = arg;
	struct heap_conf conf = conf_of(r);
	int rc;

	rc = open_devs(r);
	if (rc == 0)
		rc = heap_open(&conf, r->pages, r->log, &r->heap);
	if (rc == 0) {
		check_state(r);
		/* Go on working from here; a crash now must not lose the older state either. */
		if (rnd(&r->rnd) % 2)
			rc = heap_checkpoint(r->heap);
		heap_close(r->heap, false);
		r->heap = NULL;
	}
	close_devs(r);
	/* A crash before the super block was written leaves no heap, and nothing was promised. */
	if (r->fresh_failed && (rc == -DER_DF_INVAL || rc == -DER_NONEXIST || rc == -DER_CSUM))
		rc = 0;
	return rc;
}

/* Returns whether the scenario met the crash. */
static bool
one_state(uint64_t seed, uint64_t stop_at, uint32_t *states)
{
	struct run *r = calloc(1, sizeof(*r));
	struct xs_conf xc = {.name = "crash", .cpu = -1};
	bool crashed;
	int rc, again;

	r->seed = seed;
	r->rnd = seed * 1000003 + 17;
	assert_int_equal(sim_create(seed, &r->sim), 0);
	r->env = sim_env_create(r->sim, 0);
	xc.env = r->env;
	assert_int_equal(xs_create(&xc, &r->xs), 0);
	assert_int_equal(mem_disk_create(r->sim, 64 << 20, &r->disk), 0);
	mem_disk_stop_at(r->disk, stop_at);
	assert_int_equal(xs_call(r->xs, scenario, r), 0);
	crashed = mem_disk_stopped(r->disk);
	/* Up to three crashes during recovery, at a random one of its writes, then it must go
	 * through. */
	r->rnd ^= stop_at * 7919;
	for (again = 0; again < 4; again++) {
		mem_disk_restart(r->disk, rnd, &r->rnd);
		(*states)++;
		if (again < 3 && rnd(&r->rnd) % 2)
			mem_disk_stop_at(r->disk, mem_disk_writes(r->disk) + 1 + rnd(&r->rnd) % 8);
		rc = xs_call(r->xs, recover, r);
		if (rc == 0 && !mem_disk_stopped(r->disk))
			break;
		if (!mem_disk_stopped(r->disk))
			print_error("seed %llu, write %llu: recovery failed: %d\n",
				    (unsigned long long)seed, (unsigned long long)stop_at, rc);
		assert_true(mem_disk_stopped(r->disk));
	}
	assert_false(mem_disk_stopped(r->disk));
	xs_destroy(r->xs);
	mem_disk_destroy(r->disk);
	sim_destroy(r->sim);
	free(r);
	return crashed;
}

static void
test_crash_points(void **state)
{
	const char *env = getenv("STORE_CRASH_STATES");
	uint32_t want = env != NULL ? strtoul(env, NULL, 10) : STATES_DEFAULT;
	uint32_t states = 0, longest = 0;
	uint64_t seed, n;

	/* With few states wanted, skip some crash points, different ones for each seed. */
	for (seed = 1; states < want; seed++) {
		for (n = 1 + (env == NULL ? seed % 3 : 0);; n += env == NULL ? 3 : 1) {
			if (!one_state(seed, n, &states))
				break;
		}
		longest = n > longest ? n : longest;
	}
	print_message("%u crash states checked, %llu scenarios of up to %u writes\n", states,
		      (unsigned long long)seed - 1, longest);
}

int
main(void)
{
	log_set_level(LOG_LVL_CRIT); /* every crash is an error for those who meet it */
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_crash_points),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
