/* Block cache and merging writer, on a simulated disk with latencies: many coroutines, small cache.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/log.h"
#include "runtime/sim.h"
#include "runtime/xs.h"
#include "store/space/data.h"

enum { BLKS = 4096, WORKERS = 24, STEPS = 150 };

struct fixture {
	struct sim *sim;
	struct xs *xs;
	struct mem_disk *disk;
	struct dev_dir *dir;
	struct dev *dev;
	struct data *data;
	uint64_t rnd;
	uint8_t val[BLKS]; /* what each block is filled with */
	bool busy[BLKS];   /* somebody writes it */
	uint32_t next;
};

static uint64_t
rnd(struct fixture *f)
{
	f->rnd = f->rnd * 6364136223846793005ull + 1442695040888963407ull;
	return f->rnd >> 33;
}

static int
do_open(void *arg)
{
	struct fixture *f = arg;
	struct data_conf conf = {.xs = f->xs, .cache_bytes = 4 << 20, .idle_ms = 1000};

	assert_int_equal(mem_disk_open(f->disk, &f->dir), 0);
	assert_int_equal(
	    f->dir->ops->create(f->dir, f->xs, "data", BLKS * SPACE_BLOCK, false, &f->dev), 0);
	assert_int_equal(data_open(&conf, f->dev, &f->data), 0);
	return 0;
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct xs_conf xc = {.name = "test", .cpu = -1};

	assert_int_equal(sim_create(77, &f->sim), 0);
	xc.env = sim_env_create(f->sim, 0);
	assert_int_equal(xs_create(&xc, &f->xs), 0);
	assert_int_equal(mem_disk_create(f->sim, 64 << 20, &f->disk), 0);
	f->rnd = 3;
	assert_int_equal(xs_call(f->xs, do_open, f), 0);
	*state = f;
	return 0;
}

static int
do_close(void *arg)
{
	struct fixture *f = arg;

	data_close(f->data);
	dev_close(f->dev);
	dev_dir_close(f->dir);
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	xs_call(f->xs, do_close, f);
	xs_destroy(f->xs);
	mem_disk_destroy(f->disk);
	sim_destroy(f->sim);
	free(f);
	return 0;
}

static void
check_view(struct fixture *f, const struct data_view *v, const uint8_t *want)
{
	uint32_t seg, i, pos = 0;

	for (seg = 0; seg < v->iov_nr; seg++) {
		const uint8_t *p = v->iov[seg].iov_base;

		for (i = 0; i < v->iov[seg].iov_len; i += 512, pos += 512)
			assert_int_equal(p[i], want[pos / SPACE_BLOCK]);
	}
	assert_int_equal(pos, v->blk_nr * SPACE_BLOCK);
}

static bool
lock_range(struct fixture *f, uint32_t blk, uint32_t nr, bool lock)
{
	uint32_t i;

	for (i = 0; lock && i < nr; i++) {
		if (f->busy[blk + i])
			return false;
	}
	for (i = 0; i < nr; i++)
		f->busy[blk + i] = lock;
	return true;
}

static int
worker(void *arg)
{
	struct fixture *f = arg;
	int step;

	for (step = 0; step < STEPS; step++) {
		uint32_t nr = 1 + rnd(f) % (rnd(f) % 8 == 0 ? 200 : 6);
		uint32_t blk = rnd(f) % (BLKS - nr), seg;
		uint8_t want[200], v = rnd(f);
		struct data_view view;

		if (!lock_range(f, blk, nr, true)) {
			co_yield();
			continue;
		}
		if (rnd(f) % 2) {
			assert_int_equal(data_view_alloc(f->data, blk, nr, &view), 0);
			for (seg = 0; seg < view.iov_nr; seg++)
				memset(view.iov[seg].iov_base, v, view.iov[seg].iov_len);
			assert_int_equal(data_view_write(&view), 0);
			memset(&f->val[blk], v, nr);
		} else {
			assert_int_equal(data_view_read(f->data, blk, nr, &view), 0);
			memcpy(want, &f->val[blk], nr);
			check_view(f, &view, want);
			if (rnd(f) % 2) { /* pinned content stays while others go on */
				co_sleep_ns(rnd(f) % 500000);
				check_view(f, &view, want);
			}
		}
		data_view_put(&view);
		lock_range(f, blk, nr, false);
		if (rnd(f) % 50 == 0)
			data_forget(f->data, rnd(f) % BLKS, 1);
	}
	return 0;
}

static int
do_random(void *arg)
{
	struct fixture *f = arg;
	struct co_group group;
	struct data_stats st;
	uint8_t *buf = dev_buf_alloc(SPACE_BLOCK);
	uint32_t i;

	co_group_init(&group);
	for (i = 0; i < WORKERS; i++)
		assert_int_equal(co_group_spawn(&group, worker, f), 0);
	co_group_join(&group);
	data_stats(f->data, &st);
	assert_int_equal(st.pinned_bytes, 0);
	assert_true(st.cache_bytes <= 4 << 20);
	assert_true(st.hit_nr > 0 && st.miss_nr > 0);
	/* The device has it too. */
	for (i = 0; i < BLKS; i++) {
		assert_int_equal(dev_read(f->dev, (uint64_t)i * SPACE_BLOCK, buf, SPACE_BLOCK), 0);
		assert_int_equal(buf[i % SPACE_BLOCK], f->val[i]);
	}
	dev_buf_free(buf, SPACE_BLOCK);
	/* Idle: the memory goes back, and comes again. */
	co_sleep_ns(3000000000ull);
	data_stats(f->data, &st);
	assert_int_equal(st.cache_bytes, 0);
	worker(f);
	return 0;
}

static void
test_random(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xs_call(f->xs, do_random, f), 0);
}

static int
small_writer(void *arg)
{
	struct fixture *f = arg;
	uint32_t blk = f->next++;
	uint8_t v = blk;
	char text[5] = {v, v, v, v, v};
	struct iovec iov = {.iov_base = text, .iov_len = sizeof(text)};

	return data_write(f->data, blk, &iov, 1);
}

static int
do_merge(void *arg)
{
	struct fixture *f = arg;
	struct data_stats st;
	struct co_group group;
	uint8_t buf[10];
	uint32_t i;

	co_group_init(&group);
	for (i = 0; i < 64; i++)
		assert_int_equal(co_group_spawn(&group, small_writer, f), 0);
	assert_int_equal(co_group_join(&group), 0);
	data_stats(f->data, &st);
	assert_int_equal(st.write_req_nr, 64);
	assert_true(st.write_nr <= 32); /* the simulator lets turns end in between */
	for (i = 0; i < 64; i++) {
		assert_int_equal(data_read(f->data, (uint64_t)i * SPACE_BLOCK + 2, buf, 10), 0);
		assert_int_equal(buf[0], i);
		assert_int_equal(buf[2], i);
		assert_int_equal(buf[3], 0);
	}
	return 0;
}

static void
test_merge(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xs_call(f->xs, do_merge, f), 0);
}

/* Two views at a time each, more than the cache holds: nobody waits for ever. */
static int
greedy(void *arg)
{
	struct fixture *f = arg;
	struct data_view a, b;

	assert_int_equal(data_view_read(f->data, rnd(f) % 3000, 600, &a), 0);
	co_sleep_ns(1000);
	assert_int_equal(data_view_alloc(f->data, rnd(f) % 3000, 600, &b), 0);
	data_view_put(&b);
	data_view_put(&a);
	return 0;
}

static int
read_bad(void *arg)
{
	struct fixture *f = arg;
	struct data_view v;

	return data_view_read(f->data, 9, 1, &v) == -DER_IO ? 0 : -DER_MISC;
}

static void
write_block(struct fixture *f, uint64_t blk, uint8_t fill, struct data_view *v)
{
	assert_int_equal(data_view_alloc(f->data, blk, 1, v), 0);
	memset(v->iov[0].iov_base, fill, SPACE_BLOCK);
	assert_int_equal(data_view_write(v), 0);
}

/* A block is written again while somebody still holds its old content. */
static void
check_rewrite(struct fixture *f)
{
	struct data_view old, new, v;
	uint32_t i;

	write_block(f, 50, 1, &old);
	write_block(f, 50, 2, &new);
	data_view_put(&new);
	assert_int_equal(*(uint8_t *)old.iov[0].iov_base, 1);
	assert_int_equal(data_view_read(f->data, 50, 1, &v), 0);
	assert_int_equal(*(uint8_t *)v.iov[0].iov_base, 2);
	data_view_put(&v);
	/* Push the new one out; the old one must not come forth. */
	for (i = 0; i < 3; i++) {
		assert_int_equal(data_view_read(f->data, 1000 + i * 1000, 900, &v), 0);
		data_view_put(&v);
	}
	assert_int_equal(data_view_read(f->data, 50, 1, &v), 0);
	assert_int_equal(*(uint8_t *)v.iov[0].iov_base, 2);
	data_view_put(&v);
	data_view_put(&old);
}

static int
do_faults(void *arg)
{
	struct fixture *f = arg;
	struct data_view v, w;
	struct data_stats st;
	struct co_group group;
	int i;

	co_group_init(&group);
	for (i = 0; i < 3; i++)
		assert_int_equal(co_group_spawn(&group, greedy, f), 0);
	assert_int_equal(co_group_join(&group), 0);
	data_stats(f->data, &st);
	assert_true(st.cache_bytes <= 4 << 20);

	data_forget(f->data, 0, BLKS);
	assert_int_equal(data_view_read(f->data, BLKS, 1, &v), -DER_INVAL);
	mem_disk_fail_at(f->disk, 1, 0);
	assert_int_equal(data_view_read(f->data, 5, 3, &v), -DER_IO);
	assert_int_equal(data_view_read(f->data, 5, 3, &v), 0);
	data_view_put(&v);
	/* Whoever waits for a read that fails is told so. */
	mem_disk_fail_at(f->disk, 1, 0);
	co_group_init(&group);
	for (i = 0; i < 3; i++)
		assert_int_equal(co_group_spawn(&group, read_bad, f), 0);
	assert_int_equal(co_group_join(&group), 0);
	check_rewrite(f);
	mem_disk_fail_at(f->disk, 0, 1);
	assert_int_equal(data_view_alloc(f->data, 5, 1, &v), 0);
	memset(v.iov[0].iov_base, 9, SPACE_BLOCK);
	assert_int_equal(data_view_write(&v), -DER_IO);
	assert_int_equal(data_view_read(f->data, 5, 1, &w), 0);
	assert_int_equal(*(uint8_t *)w.iov[0].iov_base, 0);
	data_view_put(&w);
	data_view_put(&v);
	data_view_put(&v); /* harmless */
	return 0;
}

static void
test_faults(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xs_call(f->xs, do_faults, f), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_random, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_merge, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
