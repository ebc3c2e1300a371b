/*
 * One bit of a pool's files is wrong: in super blocks, double-write area, table of checksums,
 *pages, log and data blocks. Each bit flip is tried on its own on a pool with known content, some
 *of it in pages, some only in the log; data carry checksums. Then either
 *
 *   - the bit did not matter (a second copy, a place in no use, a page that the log makes anew):
 *     everything is as it was,
 *   - or it is detected: an error code and at least one line in the log; what can still be read is
 *     right, and a wrong data block costs nothing but the values in it,
 *   - or it was in the log's last write, which then looks as if the power had failed during it: one
 *     operation is missing.
 *
 * Never does the program end, and never does a read give something else without saying so.
 *
 *	test_flips [BITS]	bits flipped in each block that was ever written
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <daos_prop.h>

#include "base/hash.h"
#include "base/log.h"
#include "runtime/sim.h"
#include "store/vos/vos_internal.h"
#include "store/vos/vos_model.h"
#include "tests/crash/crash_disk.h"

enum {
	OPS = 60,
	OBJS = 4,
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	BITS_DEFAULT = 1,
	EACH_BLOCK = 9, /* one block in so many */
#else
	BITS_DEFAULT = 20,
	EACH_BLOCK = 1,
#endif
};

enum outcome { UNHARMED, DETECTED_OPEN, DETECTED_VERIFY, DETECTED_READ, LAST_LOST, OUTCOMES };
static const char *const outcome_names[OUTCOMES] = {
    "without effect", "open refused", "found by verify", "found by a read", "last log write lost"};

struct flips {
	struct xs *xs;
	struct crash_disk *disk;
	struct dev_dir *dir;
	struct vos_pool_conf conf;
	struct vos_pool *pool;
	struct vos_cont *cont;
	struct vm_model *model, *before_last;
	uint32_t lines; /* logged since the flip */
	enum outcome outcome;
	uint32_t bad_objs;
	int rc;
};

static const uuid_t cont_uuid = {0xf1};

static void
count_line(void *ctx, const struct log_rec *rec)
{
	struct flips *f = ctx;

	if (rec->level <= LOG_LVL_WARN)
		f->lines++;
	if (getenv("CRASH_LOG") != NULL)
		fprintf(stderr, "  log: %s\n", rec->text);
}

/* --- the pool ----------------------------------------------------------------------------------
 */

static int co_fn
ops(struct flips *f, uint32_t nr, struct vm_rng *rng, uint64_t *epoch)
{
	struct vm_op op;
	uint32_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < nr; i++) {
		vm_op_random(rng, ++*epoch, 9000, &op);
		op.cond = 0;
		op.obj %= OBJS;
		rc = vm_run(f->cont, &op, NULL);
		if (rc == 0)
			vm_apply(f->model, &op);
	}
	return rc;
}

static int
build(void *arg)
{
	struct flips *f = arg;
	struct vos_cont_conf conf = {.csum_type = DAOS_PROP_CO_CSUM_CRC32, .csum_chunk = 1000};
	struct vm_op last = {.kind = VM_UPDATE, .iod_nr = 1, .iod = {{.akey = 0, .size = 20}}};
	struct vm_rng rng = {.state = 7};
	uint64_t epoch = 100;
	int rc;

	f->model = vm_create();
	rc = vos_pool_create(f->dir, f->xs, &f->conf);
	if (rc == 0)
		rc = vos_pool_open(f->dir, f->xs, &f->conf, &f->pool);
	if (rc == 0)
		rc = vos_cont_create_with(f->pool, cont_uuid, &conf);
	if (rc == 0)
		rc = vos_cont_open(f->pool, cont_uuid, &f->cont);
	if (rc == 0)
		rc = vos_cont_set_keep(f->cont, 1, NULL, 0);
	if (rc == 0)
		rc = ops(f, OPS, &rng, &epoch);
	if (rc == 0)
		rc = heap_checkpoint(f->pool->heap);
	if (rc == 0)
		rc = ops(f, OPS / 4, &rng, &epoch);
	f->before_last = vm_clone(f->model);
	last.epoch = ++epoch;
	if (rc == 0)
		rc = vm_run(f->cont, &last, NULL);
	vm_apply(f->model, &last);
	/* the power goes off: much is in the log only */
	crash_disk_power(f->disk, false);
	vos_cont_close(f->cont);
	vos_pool_close(f->pool);
	crash_disk_power(f->disk, true);
	return rc;
}

/* --- one flip ----------------------------------------------------------------------------------
 */

/* Compare all; 1: something wrong was given as right. */
static int co_fn
read_all(struct flips *f)
{
	uint32_t i, as_before = 0;
	int rc, bad = 0;

	f->bad_objs = 0;
	for (i = 0; i < OBJS; i++) {
		rc = vm_compare(f->model, f->cont, UINT64_MAX, i, NULL, true);
		if (rc == 1 &&
		    vm_compare(f->before_last, f->cont, UINT64_MAX, i, NULL, true) == 0) {
			as_before++;
			continue;
		}
		if (rc == 1) {
			vm_compare(f->model, f->cont, UINT64_MAX, i, NULL, false);
			return 1;
		}
		if (rc != 0) {
			f->bad_objs++;
			bad = rc;
		}
	}
	if (as_before > 0)
		f->outcome = LAST_LOST;
	return bad;
}

static int
try_one(void *arg)
{
	struct flips *f = arg;
	int rc;

	f->rc = 0;
	f->lines = 0;
	f->outcome = UNHARMED;
	f->pool = NULL;
	f->cont = NULL;
	rc = vos_pool_open(f->dir, f->xs, &f->conf, &f->pool);
	if (rc != 0) {
		f->outcome = DETECTED_OPEN;
		f->rc = rc;
		return 0;
	}
	rc = vos_cont_open(f->pool, cont_uuid, &f->cont);
	if (rc == 0)
		rc = read_all(f);
	if (rc != 0)
		f->outcome = DETECTED_READ;
	f->rc = rc;
	rc = vos_pool_verify(f->pool);
	if (rc != 0 && f->outcome == UNHARMED) {
		f->outcome = DETECTED_VERIFY;
		f->rc = rc;
	}
	vos_cont_close(f->cont);
	crash_disk_power(f->disk, false);
	vos_pool_close(f->pool);
	crash_disk_power(f->disk, true);
	return 0;
}

static bool
judge(const struct flips *f, const char *file, uint64_t bit)
{
	const char *wrong = NULL;
	bool data = strstr(file, ".data") != NULL, log = strstr(file, ".wal") != NULL;

	if (f->rc == 1)
		wrong = "something else was read";
	else if (f->outcome != UNHARMED && f->outcome != LAST_LOST && f->lines == 0)
		wrong = "nothing was logged";
	else if (f->outcome == LAST_LOST && !log)
		wrong = "an operation is missing";
	else if (f->rc != 0 && f->rc != -DER_CSUM && f->rc != -DER_DF_INVAL &&
		 f->rc != -DER_DF_INCOMPT)
		wrong = "the error code is none of those for damage";
	else if (data && f->bad_objs > 1)
		wrong = "a wrong block costs more than one value";
	else if (data && f->outcome == DETECTED_OPEN)
		wrong = "a wrong data block costs the pool";
	if (wrong != NULL)
		fprintf(stderr, "%s, bit %" PRIu64 " (block %" PRIu64 "): %s: %s, %d\n", file, bit,
			bit / 8 / DEV_BLOCK, wrong, outcome_names[f->outcome], f->rc);
	return wrong == NULL;
}

struct tally {
	struct flips *f;
	uint64_t bits, flips, by[OUTCOMES], failed;
	uint64_t last_block; /* where the log's last write is */
	uint64_t last_blocks;
};

static void
flip_block(const char *file, uint64_t blk, void *arg)
{
	struct tally *t = arg;
	struct flips *f = t->f;
	size_t before = crash_disk_height(f->disk);
	uint64_t i, h = hash_combine(hash_bytes(file, strlen(file), 1), blk);

	if (hash_u64(h) % EACH_BLOCK != 0)
		return;
	for (i = 0; i < t->bits; i++) {
		/* headers are at the beginning */
		uint64_t in = hash_u64(h + i) % ((i % 2 ? 1 : 64) * (uint64_t)DEV_BLOCK * 8 / 64);
		uint64_t bit = blk * DEV_BLOCK * 8 + in;

		crash_disk_flip(f->disk, file, bit);
		if (xs_call(f->xs, try_one, f) != 0)
			abort();
		crash_disk_rollback(f->disk, before);
		t->flips++;
		t->by[f->outcome]++;
		if (!judge(f, file, bit))
			t->failed++;
		if (f->outcome == LAST_LOST && blk != t->last_block) {
			t->last_block = blk;
			t->last_blocks++;
		}
	}
}

int
main(int argc, char **argv)
{
	struct xs_conf xc = {.name = "flips", .cpu = -1};
	struct flips f = {.conf = {.name = "flips",
				   .scm_bytes = 4 << 20,
				   .nvme_bytes = 6 << 20,
				   .wal_bytes = 4 << 20,
				   .cache_bytes = 4 << 20,
				   .data_thresh = 1024}};
	struct tally t = {.f = &f, .bits = BITS_DEFAULT, .last_block = UINT64_MAX};
	struct sim *sim;
	uint32_t i;

	if (argc > 1)
		t.bits = strtoull(argv[1], NULL, 0);
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	log_set_level(LOG_LVL_WARN);
	log_set_sink(count_line, &f);
	if (sim_create(1, &sim) != 0)
		return 1;
	xc.env = sim_env_create(sim, 0);
	if (xs_create(&xc, &f.xs) != 0)
		return 1;
	f.disk = crash_disk_create();
	f.dir = crash_disk_open(f.disk, NULL);
	if (xs_call(f.xs, build, &f) != 0) {
		fprintf(stderr, "the pool could not be made\n");
		return 1;
	}
	crash_disk_commit(f.disk);
	crash_disk_blocks(f.disk, flip_block, &t);
	printf("bit flips: %" PRIu64 ":", t.flips);
	for (i = 0; i < OUTCOMES; i++)
		printf(" %" PRIu64 " %s%s", t.by[i], outcome_names[i],
		       i + 1 < OUTCOMES ? "," : "\n");
	if (t.last_blocks > 1) {
		fprintf(stderr, "%" PRIu64 " blocks of the log pass for its last write\n",
			t.last_blocks);
		t.failed++;
	}
	log_set_sink(NULL, NULL);
	vm_destroy(f.model);
	vm_destroy(f.before_last);
	dev_dir_close(f.dir);
	crash_disk_destroy(f.disk);
	xs_destroy(f.xs);
	sim_destroy(sim);
	return t.failed == 0 ? 0 : 1;
}
