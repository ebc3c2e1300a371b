/* The log alone: records come back in order, wrap, torn ends, damage in the middle, space and
 * waiting. */
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
#include "store/wal/wal.h"
#include "store/wal/wal_format.h"
#include "store/wal/wal_inspect.h"

enum { LOG_BYTES = 512 << 10, REC_MAX = 60000, RECS_MAX = 4000 };

struct fixture {
	struct env env;
	struct xs *xs;
	struct mem_disk *disk;
	struct dev_dir *dir;
	struct dev *dev;
	struct wal *wal;
	uint32_t pressed, failed;
	uint32_t asked;         /* batches that check() was called for */
	uint32_t missing_nr;    /* the record that check() says is not whole; 0: none */
	uint32_t next_nr;       /* number of the next record appended */
	uint32_t first_nr;      /* of the first one replay must show */
	uint32_t seen_nr;       /* of the next one replay must show */
	uint64_t end[RECS_MAX]; /* lsn behind each record */
	uint64_t rnd;
};

static uint64_t
rnd(void *arg)
{
	uint64_t *s = arg;

	*s = *s * 6364136223846793005ull + 1442695040888963407ull;
	return *s >> 33;
}

/* A record is {length, number, bytes made from the number}. */
static uint32_t
rec_len(uint32_t nr)
{
	uint64_t s = nr * 77 + 5;
	uint64_t r = rnd(&s);

	return 8 + (r % 50 == 0 ? r % REC_MAX : r % 300);
}

static void
rec_fill(uint8_t *p, uint32_t nr)
{
	uint32_t len = rec_len(nr);

	memcpy(p, &len, 4);
	memcpy(p + 4, &nr, 4);
	memset(p + 8, nr, len - 8);
}

static int
replay(void *arg, const struct wal_replay_batch *batches, uint32_t batch_nr)
{
	struct fixture *f = arg;
	uint32_t b, i;

	for (b = 0; b < batch_nr; b++) {
		const uint8_t *p = batches[b].recs;

		for (i = 0; i < batches[b].rec_nr; i++) {
			uint32_t len, nr, j;

			memcpy(&len, p, 4);
			memcpy(&nr, p + 4, 4);
			if (f->seen_nr == UINT32_MAX) /* the first one says where the tail is */
				f->seen_nr = nr;
			assert_int_equal(nr, f->seen_nr);
			assert_int_equal(len, rec_len(nr));
			for (j = 8; j < len; j++)
				assert_int_equal(p[j], (uint8_t)nr);
			f->seen_nr++;
			p += len;
		}
		assert_ptr_equal(p, batches[b].recs + batches[b].len_bytes);
	}
	return 0;
}

static int
check(void *arg, const struct wal_replay_batch *batch)
{
	struct fixture *f = arg;
	const uint8_t *p = batch->recs;
	uint32_t i, len, nr;

	f->asked++;
	for (i = 0; i < batch->rec_nr; i++) {
		memcpy(&len, p, 4);
		memcpy(&nr, p + 4, 4);
		if (f->missing_nr != 0 && nr == f->missing_nr)
			return -DER_CSUM;
		p += len;
	}
	return 0;
}

static void
on_pressure(void *arg)
{
	((struct fixture *)arg)->pressed++;
}

static void
on_failed(void *arg, int rc)
{
	((struct fixture *)arg)->failed++;
}

static const uint64_t log_id[2] = {11, 22};

static int
open_wal(struct fixture *f)
{
	struct wal_conf conf = {
	    .xs = f->xs,
	    .id = {log_id[0], log_id[1]},
	    .replay = replay,
	    .check = check,
	    .pressure = on_pressure,
	    .failed = on_failed,
	    .arg = f,
	    .fill_pct = 50,
	};

	f->asked = 0;
	f->seen_nr = UINT32_MAX;
	return wal_open(&conf, f->dev, &f->wal);
}

/* Expect records [first, last) to come back. */
static void
reopen(struct fixture *f, uint32_t first, uint32_t last)
{
	wal_close(f->wal);
	assert_int_equal(open_wal(f), 0);
	assert_int_equal(f->seen_nr, first == last ? UINT32_MAX : last);
	f->next_nr = last;
}

static uint64_t
append(struct fixture *f)
{
	uint32_t len = rec_len(f->next_nr);
	uint64_t lsn;

	assert_int_equal(wal_ensure(f->wal, len), 0);
	rec_fill(wal_rec_begin(f->wal), f->next_nr);
	lsn = wal_rec_end(f->wal, len);
	f->end[f->next_nr++] = lsn;
	return lsn;
}

static int
do_start(void *arg)
{
	struct fixture *f = arg;

	assert_int_equal(mem_disk_open(f->disk, &f->dir), 0);
	assert_int_equal(f->dir->ops->create(f->dir, f->xs, "log", LOG_BYTES, true, &f->dev), 0);
	log_set_level(LOG_LVL_CRIT);
	assert_int_equal(open_wal(f), -DER_DF_INVAL);
	log_set_level(LOG_LVL_ERR);
	assert_int_equal(wal_format(f->dev, log_id), 0);
	assert_int_equal(open_wal(f), 0);
	return 0;
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct xs_conf xc = {.name = "test", .env = &f->env, .cpu = -1};

	env_init_real(&f->env);
	assert_int_equal(xs_create(&xc, &f->xs), 0);
	assert_int_equal(mem_disk_create(NULL, 16 << 20, &f->disk), 0);
	f->rnd = 1;
	assert_int_equal(xs_call(f->xs, do_start, f), 0);
	*state = f;
	return 0;
}

static int
do_stop(void *arg)
{
	struct fixture *f = arg;

	wal_close(f->wal);
	dev_close(f->dev);
	dev_dir_close(f->dir);
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	xs_call(f->xs, do_stop, f);
	xs_destroy(f->xs);
	mem_disk_destroy(f->disk);
	free(f);
	return 0;
}

/* Many records, tails and reopenings: several laps of the ring. */
static int
do_laps(void *arg)
{
	struct fixture *f = arg;
	uint32_t first = 0;
	int i;

	for (i = 0; i < 60; i++) {
		uint32_t n = 1 + rnd(&f->rnd) % 40, keep;
		uint64_t lsn = 0, open_lsn;
		struct wal_stats st;

		while (n-- > 0)
			lsn = append(f);
		assert_true(wal_durable_lsn(f->wal) < lsn);
		assert_int_equal(wal_wait(f->wal, lsn), 0);
		assert_true(wal_durable_lsn(f->wal) >= lsn);
		open_lsn = wal_open_lsn(f->wal);
		keep = f->next_nr;
		if (rnd(&f->rnd) % 2) {
			assert_int_equal(wal_wait(f->wal, append(f)), 0);
			assert_int_equal(wal_wait(f->wal, append(f)), 0);
		}
		wal_stats(f->wal, &st);
		if (st.used_bytes > st.ring_bytes / 3 || rnd(&f->rnd) % 4 == 0) {
			assert_int_equal(wal_trim(f->wal, open_lsn), 0);
			first = keep;
		}
		if (rnd(&f->rnd) % 3 == 0)
			reopen(f, first, f->next_nr);
	}
	reopen(f, first, f->next_nr);
	assert_true(wal_durable_lsn(f->wal) > 2 * LOG_BYTES);
	return 0;
}

/* Flip a bit inside the record nr as it lies on the device. */
static void
damage(struct fixture *f, uint32_t nr)
{
	uint64_t ring = LOG_BYTES - WAL_SUPER_NR * DEV_BLOCK;
	uint64_t at = WAL_SUPER_NR * DEV_BLOCK + (f->end[nr] - 1) % ring;

	assert_int_equal(mem_disk_flip_bit(f->disk, "log", at * 8), 0);
}

static int co_fn
count_batch(const struct wal_inspect_batch *batch, void *arg)
{
	uint32_t *nr = arg, len, no;

	memcpy(&len, batch->recs, 4);
	memcpy(&no, batch->recs + 4, 4);
	assert_int_equal(no, *nr);
	assert_int_equal(len, rec_len(no));
	*nr += batch->rec_nr;
	return 0;
}

/* The log, looked at while closed, has records 0 to nr and ends so. */
static void
expect_look(struct fixture *f, uint32_t nr, enum wal_inspect_end end)
{
	uint64_t writes = mem_disk_writes(f->disk);
	struct wal_inspect wi;
	uint32_t seen = 0;

	assert_int_equal(wal_inspect(f->xs, f->dev, count_batch, &seen, &wi), 0);
	assert_int_equal(seen, nr);
	assert_int_equal(wi.rec_nr, nr);
	assert_int_equal(wi.end, end);
	assert_true(wi.super[wi.super_used].valid);
	assert_int_equal(wi.super[wi.super_used].id[1], log_id[1]);
	assert_int_equal(mem_disk_writes(f->disk), writes);
}

static int
do_damage(void *arg)
{
	struct fixture *f = arg;
	struct wal_inspect wi;
	uint32_t i, kept;

	for (i = 0; i < 30; i++)
		assert_int_equal(wal_wait(f->wal, append(f)), 0);
	reopen(f, 0, 30);
	expect_look(f, 30, WAL_END_CLEAN);
	/* The last batch: taken for a torn end. */
	damage(f, 29);
	expect_look(f, 29, WAL_END_TORN);
	reopen(f, 0, 29);
	assert_int_equal(wal_wait(f->wal, append(f)), 0);
	assert_int_equal(wal_wait(f->wal, append(f)), 0);
	reopen(f, 0, 31);
	/* In the middle: somebody acknowledged what follows, so this is no crash. */
	damage(f, 12);
	wal_close(f->wal);
	f->wal = NULL;
	log_set_level(LOG_LVL_CRIT);
	assert_int_equal(open_wal(f), -DER_CSUM);
	expect_look(f, 12, WAL_END_DAMAGED);
	damage(f, 12); /* and back */
	assert_int_equal(open_wal(f), 0);
	assert_int_equal(f->seen_nr, 31);
	/* One super block may be lost, not both. */
	wal_close(f->wal);
	f->wal = NULL;
	mem_disk_flip_bit(f->disk, "log", 8 * 30);
	assert_int_equal(open_wal(f), 0);
	kept = f->seen_nr;
	assert_int_equal(kept, 31);
	wal_close(f->wal);
	f->wal = NULL;
	mem_disk_flip_bit(f->disk, "log", 8 * 30);
	mem_disk_flip_bit(f->disk, "log", 8 * (DEV_BLOCK + 30));
	mem_disk_flip_bit(f->disk, "log", 8 * 31);
	assert_int_equal(open_wal(f), -DER_DF_INVAL);
	assert_int_equal(wal_inspect(f->xs, f->dev, NULL, NULL, &wi), -DER_DF_INVAL);
	assert_false(wi.super[0].valid || wi.super[1].valid);
	log_set_level(LOG_LVL_ERR);
	return 0;
}

struct waiter {
	struct fixture *f;
	bool done;
	int rc;
};

static int
reserve_all(void *arg)
{
	struct waiter *w = arg;

	w->rc = wal_reserve(w->f->wal, 200 << 10, false, false);
	w->done = true;
	return 0;
}

static void
called(struct durable_cb *cb, int rc)
{
	cb->lsn = rc == 0 ? 1 : 2;
}

static int
do_space(void *arg)
{
	struct fixture *f = arg;
	struct waiter w = {.f = f};
	struct durable_cb cb = {.fn = called}, cb2 = {.fn = called};
	struct co_group group;
	uint64_t lsn, ring = LOG_BYTES - WAL_SUPER_NR * DEV_BLOCK;
	int i;

	assert_int_equal(wal_reserve(f->wal, ring + 1, true, false), -DER_INVAL);
	assert_int_equal(wal_reserve(f->wal, 300 << 10, false, true), 0);
	assert_int_equal(wal_reserve(f->wal, 200 << 10, false, true), -DER_AGAIN);
	/* The last part is for those who free space. */
	assert_int_equal(wal_reserve(f->wal, 200 << 10, true, true), 0);
	wal_unreserve(f->wal, 200 << 10);
	co_group_init(&group);
	assert_int_equal(co_group_spawn(&group, reserve_all, &w), 0);
	co_yield();
	assert_false(w.done);
	assert_true(f->pressed > 0);
	wal_unreserve(f->wal, 300 << 10);
	assert_int_equal(co_group_join(&group), 0);
	assert_true(w.done && w.rc == 0);
	wal_unreserve(f->wal, 200 << 10);

	/* Waiting for the tail to move. */
	for (i = 0; i < 90; i++)
		assert_int_equal(wal_wait(f->wal, append(f)), 0);
	w.done = false;
	co_group_init(&group);
	assert_int_equal(co_group_spawn(&group, reserve_all, &w), 0);
	co_yield();
	assert_false(w.done);
	assert_int_equal(wal_trim(f->wal, wal_open_lsn(f->wal)), 0);
	assert_int_equal(co_group_join(&group), 0);
	assert_true(w.done && w.rc == 0);
	wal_unreserve(f->wal, 200 << 10);

	/* Callbacks; then the device fails. */
	lsn = append(f);
	wal_on_durable(f->wal, &cb, lsn);
	assert_int_equal(cb.lsn, lsn);
	assert_int_equal(wal_wait(f->wal, lsn), 0);
	assert_int_equal(cb.lsn, 1);
	wal_on_durable(f->wal, &cb, lsn);
	assert_int_equal(cb.lsn, 1);
	log_set_level(LOG_LVL_CRIT);
	mem_disk_fail_at(f->disk, 0, 1);
	lsn = append(f);
	wal_on_durable(f->wal, &cb2, lsn);
	assert_int_equal(wal_wait(f->wal, lsn), -DER_IO);
	assert_int_equal(cb2.lsn, 2);
	assert_int_equal(f->failed, 1);
	assert_int_equal(wal_reserve(f->wal, 100, false, false), -DER_IO);
	assert_int_equal(wal_wait(f->wal, append(f)), -DER_IO);
	log_set_level(LOG_LVL_ERR);
	return 0;
}

/* As many of the smallest records as reservations fit, each written alone: the ring never
 * overflows. */
static int
do_smallest(void *arg)
{
	struct fixture *f = arg;
	struct wal_stats st;
	uint32_t nr = 0;

	while (wal_reserve(f->wal, wal_cost(8), true, true) == 0)
		nr++;
	assert_true(nr > 50);
	while (nr-- > 0) {
		uint64_t lsn;

		assert_int_equal(wal_ensure(f->wal, 8), 0);
		memset(wal_rec_begin(f->wal), 1, 8);
		lsn = wal_rec_end(f->wal, 8);
		wal_unreserve(f->wal, wal_cost(8));
		assert_int_equal(wal_wait(f->wal, lsn), 0);
		wal_stats(f->wal, &st);
		assert_true(st.used_bytes + st.reserved_bytes <= st.ring_bytes);
	}
	return 0;
}

#define RUN(name)                                                                                  \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		struct fixture *f = *state;                                                        \
                                                                                                   \
		assert_int_equal(xs_call(f->xs, do_##name, f), 0);                                 \
	}
RUN(laps)
RUN(damage)
RUN(space)
RUN(smallest)

/* --- two writes in flight, the first of which is lost -------------------------------------------
 */

struct raw {
	struct wal *wal;
	uint32_t len;
	uint8_t fill;
	uint64_t lsn;
};

static int
put_raw(void *arg)
{
	struct raw *r = arg;

	assert_int_equal(wal_ensure(r->wal, r->len), 0);
	memset(wal_rec_begin(r->wal), r->fill, r->len);
	r->lsn = wal_rec_end(r->wal, r->len);
	return wal_wait(r->wal, r->lsn);
}

static int
count_batches(void *arg, const struct wal_replay_batch *batches, uint32_t batch_nr)
{
	*(uint32_t *)arg += batch_nr;
	return 0;
}

static int
do_overtake(void *arg)
{
	struct fixture *f = arg;
	uint32_t seen = 0;
	struct wal_conf conf = {
	    .xs = f->xs, .id = {1, 2}, .replay = count_batches, .arg = &seen, .fill_pct = 50};
	struct raw a, b;
	struct co_group group;
	struct dev_dir *dir;
	struct wal_stats st;
	struct dev *dev;
	struct wal *wal;

	assert_int_equal(mem_disk_open(f->disk, &dir), 0);
	assert_int_equal(dir->ops->create(dir, f->xs, "log", LOG_BYTES, true, &dev), 0);
	assert_int_equal(wal_format(dev, conf.id), 0);
	assert_int_equal(wal_open(&conf, dev, &wal), 0);
	/* b leaves before a is durable. */
	a = (struct raw){.wal = wal, .len = 5000, .fill = 1};
	b = (struct raw){.wal = wal, .len = 60000, .fill = 2};
	co_group_init(&group);
	assert_int_equal(co_group_spawn(&group, put_raw, &a), 0);
	do {
		co_yield();
		wal_stats(wal, &st);
	} while (st.write_nr == 0);
	assert_int_equal(co_group_spawn(&group, put_raw, &b), 0);
	assert_int_equal(co_group_join(&group), 0);
	wal_close(wal);
	/* a is torn: nothing is left, and that is no damage. */
	mem_disk_flip_bit(f->disk, "log", (WAL_SUPER_NR * DEV_BLOCK + a.lsn - 1) * 8ull);
	assert_int_equal(wal_open(&conf, dev, &wal), 0);
	assert_int_equal(seen, 0);
	/* Something as long as a takes its place: b, still behind it, must not be taken for what
	 * follows. */
	a.wal = wal;
	a.fill = 3;
	assert_int_equal(put_raw(&a), 0);
	wal_close(wal);
	assert_int_equal(wal_open(&conf, dev, &wal), 0);
	assert_int_equal(seen, 1);
	assert_true(a.lsn < b.lsn && wal_durable_lsn(wal) < b.lsn);
	wal_close(wal);
	dev_close(dev);
	dev_dir_close(dir);
	return 0;
}

/* Wait until everything appended was written, held or not. */
static void
settle(struct fixture *f)
{
	struct wal_stats a, b = {0};

	do {
		a = b;
		co_sleep_ns(1000000);
		wal_stats(f->wal, &b);
	} while (a.write_nr != b.write_nr || a.rec_nr != b.rec_nr);
}

/* A batch on hold is not durable, nor what follows; what was held and is missing ends the log. */
static int
do_hold(void *arg)
{
	struct fixture *f = arg;
	uint64_t held, lsn = 0;
	uint32_t i, held_nr;

	for (i = 0; i < 5; i++)
		lsn = append(f);
	assert_int_equal(wal_wait(f->wal, lsn), 0);
	held_nr = f->next_nr;
	held = append(f);
	wal_hold(f->wal, held);
	wal_hold(f->wal, held);
	settle(f);
	lsn = append(f);
	settle(f);
	assert_true(wal_durable_lsn(f->wal) < held);
	wal_release(f->wal, held, 0);
	settle(f);
	assert_true(wal_durable_lsn(f->wal) < held);
	wal_release(f->wal, held, 0);
	assert_true(wal_durable_lsn(f->wal) >= lsn);
	/* durable, but nothing in the log says so, until the next batch */
	assert_true(wal_proven_lsn(f->wal) < held);

	/* recovery asks about it, not about the first five */
	reopen(f, 0, f->next_nr);
	assert_int_equal(f->asked, 2);
	f->missing_nr = held_nr;
	reopen(f, 0, held_nr);
	assert_int_equal(f->asked, 1);
	/* it stays so; and what is written now is not followed by what was cut off */
	f->missing_nr = 0;
	reopen(f, 0, held_nr);
	lsn = append(f);
	assert_int_equal(wal_wait(f->wal, lsn), 0);
	reopen(f, 0, held_nr + 1);

	/* proven by what follows: nothing is asked, nothing can be missing */
	held_nr = f->next_nr;
	held = append(f);
	wal_hold(f->wal, held);
	settle(f);
	wal_release(f->wal, held, 0);
	lsn = append(f);
	assert_int_equal(wal_wait(f->wal, lsn), 0);
	assert_true(wal_proven_lsn(f->wal) >= held);
	f->missing_nr = held_nr;
	reopen(f, 0, f->next_nr);
	f->missing_nr = 0;

	/* what cannot become whole fails the log */
	held = append(f);
	wal_hold(f->wal, held);
	settle(f);
	wal_release(f->wal, held, -DER_IO);
	assert_int_equal(f->failed, 1);
	assert_int_equal(wal_error(f->wal), -DER_IO);
	assert_int_equal(wal_wait(f->wal, held), -DER_IO);
	return 0;
}

static void
test_hold(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xs_call(f->xs, do_hold, f), 0);
}

static void
test_overtake(void **state)
{
	struct fixture f = {0};
	struct xs_conf xc = {.name = "test", .cpu = -1};
	struct sim *sim;

	assert_int_equal(sim_create(9, &sim), 0);
	xc.env = sim_env_create(sim, 0);
	assert_int_equal(xs_create(&xc, &f.xs), 0);
	assert_int_equal(mem_disk_create(sim, 16 << 20, &f.disk), 0);
	assert_int_equal(xs_call(f.xs, do_overtake, &f), 0);
	xs_destroy(f.xs);
	mem_disk_destroy(f.disk);
	sim_destroy(sim);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_laps, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_space, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_smallest, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_hold, setup, teardown),
	    cmocka_unit_test(test_overtake),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
