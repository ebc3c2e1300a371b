/*
 * The log's end, where what looks like its next batch is none: left by an earlier lap, by another
 * incarnation, or by a crash in which a later batch survived and the one before it did not. Batches
 * are forged on the device, with right checksums.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <daos_errno.h>

#include "base/log.h"
#include "runtime/sim.h"
#include "runtime/xs.h"
#include "store/wal/wal_internal.h"

enum { LOG_BYTES = 512 << 10, BASE = WAL_SUPER_NR * DEV_BLOCK };

struct fixture {
	struct sim *sim;
	struct xs *xs;
	struct mem_disk *disk;
	struct dev_dir *dir;
	struct dev *dev;
	struct wal *wal;
	uint32_t seen;     /* records replayed */
	uint8_t last_fill; /* of the last of them */
};

static int co_fn
replay(void *arg, const struct wal_replay_batch *batches, uint32_t batch_nr)
{
	struct fixture *f = arg;
	uint32_t i;

	for (i = 0; i < batch_nr; i++) {
		f->seen += batches[i].rec_nr;
		f->last_fill = batches[i].recs[batches[i].len_bytes - 1];
	}
	return 0;
}

static int co_fn
open_log(struct fixture *f)
{
	struct wal_conf conf = {.xs = f->xs, .id = {5, 6}, .replay = replay, .arg = f};

	f->seen = 0;
	return wal_open(&conf, f->dev, &f->wal);
}

static void co_fn
reopen(struct fixture *f, uint32_t records)
{
	wal_close(f->wal);
	assert_int_equal(open_log(f), 0);
	assert_int_equal(f->seen, records);
}

/* One batch with one record; returns where it begins. */
static uint64_t co_fn
put(struct fixture *f, uint32_t len, uint8_t fill)
{
	uint64_t lsn;

	assert_int_equal(wal_reserve(f->wal, wal_cost(len), false, false), 0);
	assert_int_equal(wal_ensure(f->wal, len), 0);
	lsn = wal_open_lsn(f->wal);
	memset(wal_rec_begin(f->wal), fill, len);
	assert_int_equal(wal_wait(f->wal, wal_rec_end(f->wal, len)), 0);
	wal_unreserve(f->wal, wal_cost(len));
	return lsn;
}

static void co_fn
head(struct fixture *f, uint64_t lsn, uint8_t *block, struct wal_batch_df *ret_hdr)
{
	assert_int_equal(dev_read(f->dev, BASE + lsn, block, DEV_BLOCK), 0);
	memcpy(ret_hdr, block, sizeof(*ret_hdr));
	assert_int_equal(ret_hdr->magic, WAL_BATCH_MAGIC);
}

/* Put a changed header in place, with its checksum made right. */
static void co_fn
forge(struct fixture *f, uint64_t lsn, uint8_t *block, struct wal_batch_df *hdr)
{
	hdr->crc = wal_batch_crc(hdr, block + sizeof(*hdr), hdr->len_bytes - sizeof(*hdr));
	memcpy(block, hdr, sizeof(*hdr));
	assert_int_equal(dev_write(f->dev, BASE + lsn, block, DEV_BLOCK, DEV_WRITE_SYNC), 0);
}

static int
do_forged(void *arg)
{
	struct fixture *f = arg;
	uint8_t *block = dev_buf_alloc(DEV_BLOCK);
	struct wal_batch_df first, second, hdr;
	uint64_t a, b;

	assert_non_null(block);
	a = put(f, 100, 1);
	head(f, a, block, &first);
	reopen(f, 1);
	b = put(f, 100, 2);
	head(f, b, block, &second);
	/* each opening has an incarnation of its own, and the chain goes on through it */
	assert_true(second.inc > first.inc);
	assert_int_equal(second.prev_crc, first.crc);
	reopen(f, 2);
	/* not the successor of what lies before it */
	hdr = second;
	hdr.prev_crc ^= 1;
	forge(f, b, block, &hdr);
	reopen(f, 1);
	/* older than what lies before it: the first is of a later incarnation now */
	b = put(f, 100, 3);
	put(f, 100, 4);
	reopen(f, 3);
	head(f, b, block, &second);
	b += DEV_BLOCK;
	head(f, b, block, &hdr);
	assert_true(second.inc > first.inc);
	hdr.inc = first.inc;
	forge(f, b, block, &hdr);
	reopen(f, 2);
	/* of another place in the stream */
	b = put(f, 100, 5);
	reopen(f, 3);
	head(f, b, block, &hdr);
	hdr.lsn += f->wal->ring_bytes;
	forge(f, b, block, &hdr);
	reopen(f, 2);
	assert_int_equal(f->last_fill, 3);
	dev_buf_free(block, DEV_BLOCK);
	return 0;
}

/* A batch that fills its blocks to the last byte, and one that is a byte longer. */
static int
do_borders(void *arg)
{
	struct fixture *f = arg;
	uint32_t len, nr = 0;

	for (len = DEV_BLOCK - sizeof(struct wal_batch_df) - 1; len < DEV_BLOCK; len += 1) {
		put(f, len, len);
		put(f, 3 * DEV_BLOCK - sizeof(struct wal_batch_df), 7);
		nr += 2;
		if (nr > 6)
			break;
		reopen(f, nr);
	}
	reopen(f, nr);
	return 0;
}

/* The tail is where the device says it is. */
static int
do_trim_fails(void *arg)
{
	struct fixture *f = arg;
	struct wal_stats before, after;
	uint64_t lsn;

	put(f, 30000, 1);
	put(f, 30000, 2);
	lsn = wal_open_lsn(f->wal);
	wal_stats(f->wal, &before);
	mem_disk_fail_at(f->disk, 0, 1);
	assert_int_equal(wal_trim(f->wal, lsn), -DER_IO);
	wal_stats(f->wal, &after);
	assert_int_equal(before.used_bytes, after.used_bytes);
	reopen(f, 2);
	return 0;
}

struct waiter {
	struct fixture *f;
	uint32_t len;
	bool early; /* it was told before its bytes were on the device */
};

static int co_fn
wait_and_look(void *arg)
{
	struct waiter *w = arg;
	struct fixture *f = w->f;
	uint8_t *block = dev_buf_alloc(DEV_BLOCK);
	struct wal_batch_df hdr;
	uint64_t lsn, end;

	assert_int_equal(wal_reserve(f->wal, wal_cost(w->len), false, false), 0);
	assert_int_equal(wal_ensure(f->wal, w->len), 0);
	lsn = wal_open_lsn(f->wal);
	memset(wal_rec_begin(f->wal), 1, w->len);
	end = wal_rec_end(f->wal, w->len);
	assert_int_equal(wal_wait(f->wal, end), 0);
	/* the disk shows a write when it is complete */
	mem_disk_latency(f->disk, 1, 2000000, 120000);
	assert_int_equal(dev_read(f->dev, BASE + lsn, block, DEV_BLOCK), 0);
	memcpy(&hdr, block, sizeof(hdr));
	w->early = hdr.magic != WAL_BATCH_MAGIC || hdr.lsn != lsn;
	wal_unreserve(f->wal, wal_cost(w->len));
	dev_buf_free(block, DEV_BLOCK);
	return 0;
}

/* Two writes under way: the end of the first says nothing of the second. */
static int
do_two_writes(void *arg)
{
	struct fixture *f = arg;
	struct waiter a = {.f = f, .len = 5000}, b = {.f = f, .len = 60000};
	struct co_group group;
	struct wal_stats st;

	mem_disk_latency(f->disk, 1, 100000, 120000);
	co_group_init(&group);
	assert_int_equal(co_group_spawn(&group, wait_and_look, &a), 0);
	do {
		co_yield();
		wal_stats(f->wal, &st);
	} while (st.write_nr == 0);
	/* the second takes much longer */
	mem_disk_latency(f->disk, 1, 20000000, 120000);
	assert_int_equal(co_group_spawn(&group, wait_and_look, &b), 0);
	assert_int_equal(co_group_join(&group), 0);
	assert_false(a.early);
	assert_false(b.early);
	return 0;
}

/* --- frame -------------------------------------------------------------------------------------
 */

struct test {
	struct fixture *f;
	int co_fn (*fn)(void *f);
};

static int
with_log(void *arg)
{
	struct test *t = arg;
	struct fixture *f = t->f;
	int rc;

	assert_int_equal(mem_disk_open(f->disk, &f->dir), 0);
	assert_int_equal(f->dir->ops->create(f->dir, f->xs, "log", LOG_BYTES, true, &f->dev), 0);
	assert_int_equal(wal_format(f->dev, (uint64_t[]){5, 6}), 0);
	assert_int_equal(open_log(f), 0);
	rc = t->fn(f);
	wal_close(f->wal);
	dev_close(f->dev);
	dev_dir_close(f->dir);
	return rc;
}

static void
run(int co_fn (*fn)(void *f))
{
	struct fixture f = {0};
	struct test t = {.f = &f, .fn = fn};
	struct xs_conf xc = {.name = "test", .cpu = -1};

	log_set_level(LOG_LVL_NONE);
	assert_int_equal(sim_create(3, &f.sim), 0);
	xc.env = sim_env_create(f.sim, 0);
	assert_int_equal(xs_create(&xc, &f.xs), 0);
	assert_int_equal(mem_disk_create(f.sim, 16 << 20, &f.disk), 0);
	assert_int_equal(xs_call(f.xs, with_log, &t), 0);
	xs_destroy(f.xs);
	mem_disk_destroy(f.disk);
	sim_destroy(f.sim);
}

static void
test_forged(void **state)
{
	run(do_forged);
}

static void
test_borders(void **state)
{
	run(do_borders);
}

static void
test_trim_fails(void **state)
{
	run(do_trim_fails);
}

static void
test_two_writes(void **state)
{
	run(do_two_writes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_forged),
	    cmocka_unit_test(test_borders),
	    cmocka_unit_test(test_trim_fails),
	    cmocka_unit_test(test_two_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
