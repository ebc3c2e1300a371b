/* Devices: the same rules for files and for the in-memory twin; crash behaviour and faults of the
 * twin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include <daos_errno.h>

#include "base/log.h"
#include "runtime/xs.h"
#include "store/dev/dev.h"

#define MIB (1ull << 20)

struct fixture {
	struct env env;
	struct xs *xs;
	struct mem_disk *disk; /* or NULL */
	char path[128];
	struct dev_dir *dir;
	uint64_t rnd;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct xs_conf xc = {.name = "test", .env = &f->env, .cpu = -1};

	env_init_real(&f->env);
	assert_int_equal(xs_create(&xc, &f->xs), 0);
	f->rnd = 5;
	*state = f;
	return 0;
}

static int
setup_mem(void **state)
{
	struct fixture *f;

	setup(state);
	f = *state;
	assert_int_equal(mem_disk_create(NULL, 64 * MIB, &f->disk), 0);
	assert_int_equal(mem_disk_open(f->disk, &f->dir), 0);
	return 0;
}

static int
setup_files(void **state)
{
	const char *tmp = getenv("TMPDIR");
	struct fixture *f;

	setup(state);
	f = *state;
	snprintf(f->path, sizeof(f->path), "%s/test_dev.XXXXXX", tmp != NULL ? tmp : "/var/tmp");
	assert_non_null(mkdtemp(f->path));
	assert_int_equal(dev_dir_open_files(f->path, &f->dir), 0);
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	dev_dir_close(f->dir);
	if (f->disk != NULL)
		mem_disk_destroy(f->disk);
	else
		rmdir(f->path);
	xs_destroy(f->xs);
	free(f);
	return 0;
}

static int
collect(const char *name, uint64_t size, void *arg)
{
	char *all = arg;

	sprintf(all + strlen(all), "%s:%llu ", name, (unsigned long long)size);
	return 0;
}

static void
expect_list(struct fixture *f, const char *want)
{
	char all[512] = "";

	assert_int_equal(f->dir->ops->list(f->dir, collect, all), 0);
	assert_string_equal(all, want);
}

static int
do_common(void *arg)
{
	struct fixture *f = arg;
	const struct dev_dir_ops *ops = f->dir->ops;
	struct dev *a, *b;
	uint64_t free_bytes, total;
	uint8_t *buf = dev_buf_alloc(8 * DEV_BLOCK), *back = dev_buf_alloc(8 * DEV_BLOCK);
	struct iovec iov[3];
	uint32_t i;

	assert_int_equal(ops->create(f->dir, f->xs, "bad/name", MIB, false, &a), -DER_INVAL);
	assert_int_equal(ops->create(f->dir, f->xs, "a", MIB + 1, false, &a), -DER_INVAL);
	assert_int_equal(ops->open(f->dir, f->xs, "a", false, &a), -DER_NONEXIST);
	assert_int_equal(ops->create(f->dir, f->xs, "b.log", 2 * MIB, true, &b), 0);
	assert_int_equal(ops->create(f->dir, f->xs, "a", MIB, false, &a), 0);
	assert_int_equal(ops->create(f->dir, f->xs, "a", MIB, false, &b), -DER_EXIST);
	expect_list(f, "a:1048576 b.log:2097152 ");
	assert_int_equal(ops->space(f->dir, &free_bytes, &total), 0);
	assert_true(free_bytes < total);

	/* What is written is read, also over several segments and beside zeros. */
	for (i = 0; i < 8 * DEV_BLOCK; i++)
		buf[i] = i / 7;
	iov[0] = (struct iovec){.iov_base = buf + 2 * DEV_BLOCK, .iov_len = DEV_BLOCK};
	iov[1] = (struct iovec){.iov_base = buf, .iov_len = 2 * DEV_BLOCK};
	assert_int_equal(dev_writev(b, 5 * DEV_BLOCK, iov, 2, DEV_WRITE_SYNC), 0);
	assert_int_equal(dev_write(a, 0, buf, 8 * DEV_BLOCK, 0), 0);
	assert_int_equal(dev_sync(a), 0);
	assert_int_equal(dev_read(b, 4 * DEV_BLOCK, back, 5 * DEV_BLOCK), 0);
	for (i = 0; i < DEV_BLOCK; i++) {
		assert_int_equal(back[i], 0);
		assert_int_equal(back[4 * DEV_BLOCK + i], 0);
	}
	assert_memory_equal(back + DEV_BLOCK, buf + 2 * DEV_BLOCK, DEV_BLOCK);
	assert_memory_equal(back + 2 * DEV_BLOCK, buf, 2 * DEV_BLOCK);
	iov[0] = (struct iovec){.iov_base = back + 4 * DEV_BLOCK, .iov_len = 4 * DEV_BLOCK};
	iov[1] = (struct iovec){.iov_base = back, .iov_len = 4 * DEV_BLOCK};
	assert_int_equal(dev_readv(a, 0, iov, 2), 0);
	assert_memory_equal(back + 4 * DEV_BLOCK, buf, 4 * DEV_BLOCK);
	assert_memory_equal(back, buf + 4 * DEV_BLOCK, 4 * DEV_BLOCK);

	/* Outside the device. */
	log_set_level(LOG_LVL_CRIT);
	assert_int_equal(dev_read(a, MIB, back, DEV_BLOCK), -DER_IO);
	assert_int_equal(dev_write(a, MIB - DEV_BLOCK, back, 2 * DEV_BLOCK, 0), -DER_IO);
	log_set_level(LOG_LVL_ERR);
	assert_int_equal(dev_discard(a, 0, DEV_BLOCK), 0);

	dev_close(a);
	dev_close(b);
	assert_int_equal(ops->open(f->dir, f->xs, "a", true, &a), 0);
	assert_int_equal(a->size_bytes, MIB);
	assert_int_equal(dev_read(a, DEV_BLOCK, back, DEV_BLOCK), 0);
	assert_memory_equal(back, buf + DEV_BLOCK, DEV_BLOCK);
	log_set_level(LOG_LVL_CRIT);
	assert_int_not_equal(dev_write(a, 0, buf, DEV_BLOCK, 0), 0);
	log_set_level(LOG_LVL_ERR);
	dev_close(a);
	assert_int_equal(ops->rename(f->dir, "b.log", "a"), 0);
	expect_list(f, "a:2097152 ");
	assert_int_equal(ops->unlink(f->dir, "b.log"), -DER_NONEXIST);
	assert_int_equal(ops->unlink(f->dir, "a"), 0);
	expect_list(f, "");
	dev_buf_free(buf, 0);
	dev_buf_free(back, 0);
	return 0;
}

static void
test_common(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xs_call(f->xs, do_common, f), 0);
}

/* A second opener is refused; leftovers of a broken creation disappear. */
static void
test_files_lock(void **state)
{
	struct fixture *f = *state;
	struct dev_dir *dir;
	char name[160];
	FILE *fp;

	assert_int_equal(dev_dir_open_files(f->path, &dir), -DER_BUSY);
	dev_dir_close(f->dir);
	snprintf(name, sizeof(name), "%s/x~", f->path);
	fp = fopen(name, "w");
	assert_non_null(fp);
	fclose(fp);
	assert_int_equal(dev_dir_open_files(f->path, &f->dir), 0);
	assert_int_equal(access(name, F_OK), -1);
	expect_list(f, "");
}

/* Looking only: nothing can be changed, several may look, none while somebody writes. */
static int
do_files_ro(void *arg)
{
	struct fixture *f = arg;
	struct dev_dir *ro, *ro2, *rw;
	struct dev *d;

	assert_int_equal(f->dir->ops->create(f->dir, f->xs, "a", MIB, true, &d), 0);
	dev_close(d);
	assert_int_equal(dev_dir_open_files_ro(f->path, false, &ro), -DER_BUSY);
	assert_int_equal(dev_dir_open_files_ro(f->path, true, &ro), 0);
	assert_int_equal(ro->ops->open(ro, f->xs, "a", true, &d), 0);
	dev_close(d);
	dev_dir_close(ro);
	dev_dir_close(f->dir);
	assert_int_equal(dev_dir_open_files_ro("/nonexistent", false, &ro), -DER_NONEXIST);
	assert_int_equal(dev_dir_open_files_ro(f->path, false, &ro), 0);
	assert_int_equal(dev_dir_open_files_ro(f->path, false, &ro2), 0);
	assert_int_equal(dev_dir_open_files(f->path, &rw), -DER_BUSY);
	assert_int_equal(ro->ops->open(ro, f->xs, "a", false, &d), -DER_NO_PERM);
	assert_int_equal(ro->ops->create(ro, f->xs, "b", MIB, false, &d), -DER_NO_PERM);
	assert_int_equal(ro->ops->rename(ro, "a", "b"), -DER_NO_PERM);
	assert_int_equal(ro->ops->unlink(ro, "a"), -DER_NO_PERM);
	dev_dir_close(ro2);
	dev_dir_close(ro);
	assert_int_equal(dev_dir_open_files(f->path, &f->dir), 0);
	expect_list(f, "a:1048576 ");
	assert_int_equal(f->dir->ops->unlink(f->dir, "a"), 0);
	return 0;
}

static void
test_files_ro(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xs_call(f->xs, do_files_ro, f), 0);
}

static int
do_overlay(void *arg)
{
	struct fixture *f = arg;
	struct dev_dir *lower = f->dir, *over;
	uint8_t *buf = dev_buf_alloc(4 * DEV_BLOCK);
	uint64_t before;
	struct dev *a, *b;

	assert_int_equal(lower->ops->create(lower, f->xs, "a", 4 * MIB, true, &a), 0);
	memset(buf, 1, 4 * DEV_BLOCK);
	assert_int_equal(dev_write(a, 2 * MIB - DEV_BLOCK, buf, 4 * DEV_BLOCK, DEV_WRITE_SYNC), 0);
	dev_close(a);
	if (f->disk == NULL) {
		dev_dir_close(lower);
		assert_int_equal(dev_dir_open_files_ro(f->path, false, &lower), 0);
	}
	before = f->disk != NULL ? mem_disk_writes(f->disk) : 0;
	assert_int_equal(dev_dir_overlay(lower, &over), 0);
	f->dir = over;
	expect_list(f, "a:4194304 ");
	assert_int_equal(over->ops->open(over, f->xs, "a", false, &a), 0);

	/* Across the border of two tables, the middle two of four blocks. */
	memset(buf, 2, 2 * DEV_BLOCK);
	assert_int_equal(dev_write(a, 2 * MIB, buf, 2 * DEV_BLOCK, DEV_WRITE_SYNC), 0);
	assert_int_equal(dev_sync(a), 0);
	assert_int_equal(dev_read(a, 2 * MIB - DEV_BLOCK, buf, 4 * DEV_BLOCK), 0);
	assert_int_equal(buf[DEV_BLOCK - 1], 1);
	assert_int_equal(buf[DEV_BLOCK], 2);
	assert_int_equal(buf[3 * DEV_BLOCK - 1], 2);
	assert_int_equal(buf[3 * DEV_BLOCK], 1);
	assert_int_equal(dev_overlay_bytes(over), 2 * DEV_BLOCK);
	assert_int_equal(over->ops->unlink(over, "a"), -DER_BUSY);
	dev_close(a);

	/* Closed and renamed, it is still there. */
	assert_int_equal(over->ops->create(over, f->xs, "b", MIB, false, &b), 0);
	assert_int_equal(over->ops->create(over, f->xs, "a", MIB, false, &a), -DER_EXIST);
	assert_int_equal(dev_write(b, 0, buf, DEV_BLOCK, 0), 0);
	assert_int_equal(dev_read(b, 0, buf, 2 * DEV_BLOCK), 0);
	assert_int_equal(buf[0], 1);
	assert_int_equal(buf[DEV_BLOCK], 0);
	assert_int_equal(over->ops->rename(over, "a", "b"), -DER_BUSY);
	dev_close(b);
	assert_int_equal(over->ops->rename(over, "a", "b"), 0);
	expect_list(f, "b:4194304 ");
	assert_int_equal(over->ops->open(over, f->xs, "a", true, &a), -DER_NONEXIST);
	assert_int_equal(over->ops->open(over, f->xs, "b", true, &b), 0);
	assert_int_equal(dev_read(b, 2 * MIB, buf, 4 * DEV_BLOCK), 0);
	assert_int_equal(buf[0], 2);
	assert_int_equal(buf[2 * DEV_BLOCK], 1);
	assert_int_equal(buf[3 * DEV_BLOCK], 0);
	assert_int_equal(dev_write(b, 0, buf, DEV_BLOCK, 0), -DER_NO_PERM);
	dev_close(b);
	assert_int_equal(over->ops->unlink(over, "b"), 0);
	expect_list(f, "");
	assert_int_equal(dev_overlay_bytes(over), 0);
	dev_dir_close(over);

	/* Nothing of this reached what lies beneath. */
	f->dir = lower;
	expect_list(f, "a:4194304 ");
	assert_int_equal(f->disk != NULL ? mem_disk_writes(f->disk) : 0, before);
	assert_int_equal(lower->ops->open(lower, f->xs, "a", true, &a), 0);
	assert_int_equal(dev_read(a, 2 * MIB, buf, DEV_BLOCK), 0);
	assert_int_equal(buf[0], 1);
	dev_close(a);
	if (f->disk == NULL) {
		dev_dir_close(lower);
		assert_int_equal(dev_dir_open_files(f->path, &f->dir), 0);
	}
	assert_int_equal(f->dir->ops->unlink(f->dir, "a"), 0);
	dev_buf_free(buf, 0);
	return 0;
}

static void
test_overlay(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xs_call(f->xs, do_overlay, f), 0);
}

/* An overlay of nothing is a directory like any other. */
static int
do_overlay_common(void *arg)
{
	struct fixture *f = arg;
	struct dev_dir *lower = f->dir;
	int rc;

	assert_int_equal(dev_dir_overlay(lower, &f->dir), 0);
	rc = do_common(f);
	dev_dir_close(f->dir);
	f->dir = lower;
	return rc;
}

static void
test_overlay_common(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xs_call(f->xs, do_overlay_common, f), 0);
}

static uint64_t
rnd(void *arg)
{
	uint64_t *s = arg;

	*s = *s * 6364136223846793005ull + 1442695040888963407ull;
	return *s >> 33;
}

static void
fill(uint8_t *buf, uint8_t v, uint32_t blocks)
{
	memset(buf, v, (size_t)blocks * DEV_BLOCK);
}

static void
power_cycle(struct fixture *f, struct dev **dev, bool random)
{
	mem_disk_stop(f->disk);
	dev_close(*dev);
	dev_dir_close(f->dir);
	mem_disk_restart(f->disk, random ? rnd : NULL, &f->rnd);
	assert_int_equal(mem_disk_open(f->disk, &f->dir), 0);
	assert_int_equal(f->dir->ops->open(f->dir, f->xs, "d", false, dev), 0);
}

static int
do_crash(void *arg)
{
	struct fixture *f = arg;
	uint8_t *buf = dev_buf_alloc(4 * DEV_BLOCK);
	uint32_t kept = 0, lost = 0, torn = 0, i, s;
	struct dev *d;

	assert_int_equal(f->dir->ops->create(f->dir, f->xs, "d", MIB, true, &d), 0);
	/* Synced and synchronous writes stay, others go; a synchronous one does not take others
	 * along. */
	fill(buf, 1, 4);
	assert_int_equal(dev_write(d, 0, buf, 4 * DEV_BLOCK, 0), 0);
	assert_int_equal(dev_sync(d), 0);
	fill(buf, 2, 4);
	assert_int_equal(dev_write(d, 0, buf, DEV_BLOCK, 0), 0);
	assert_int_equal(dev_write(d, DEV_BLOCK, buf, DEV_BLOCK, DEV_WRITE_SYNC), 0);
	power_cycle(f, &d, false);
	assert_int_equal(dev_read(d, 0, buf, 4 * DEV_BLOCK), 0);
	assert_int_equal(buf[0], 1);
	assert_int_equal(buf[DEV_BLOCK], 2);
	assert_int_equal(buf[2 * DEV_BLOCK], 1);

	/* An older unsynced write never comes back over a newer durable one. */
	for (i = 0; i < 50; i++) {
		fill(buf, 3, 1);
		assert_int_equal(dev_write(d, 0, buf, DEV_BLOCK, 0), 0);
		fill(buf, 4, 1);
		assert_int_equal(dev_write(d, 0, buf, DEV_BLOCK, DEV_WRITE_SYNC), 0);
		power_cycle(f, &d, true);
		assert_int_equal(dev_read(d, 0, buf, DEV_BLOCK), 0);
		for (s = 0; s < DEV_BLOCK; s++)
			assert_int_equal(buf[s], 4);
	}

	/* Unsynced ones are kept, lost and torn at sectors. */
	for (i = 0; i < 100; i++) {
		uint32_t new_nr = 0;

		fill(buf, 5, 1);
		assert_int_equal(dev_write(d, 0, buf, DEV_BLOCK, DEV_WRITE_SYNC), 0);
		fill(buf, 6, 1);
		assert_int_equal(dev_write(d, 0, buf, DEV_BLOCK, 0), 0);
		power_cycle(f, &d, true);
		assert_int_equal(dev_read(d, 0, buf, DEV_BLOCK), 0);
		for (s = 0; s < DEV_BLOCK; s++) {
			assert_int_equal(buf[s], buf[s / DEV_SECTOR * DEV_SECTOR]);
			new_nr += buf[s] == 6;
		}
		kept += new_nr == DEV_BLOCK;
		lost += new_nr == 0;
		torn += new_nr != 0 && new_nr != DEV_BLOCK;
	}
	assert_true(kept > 10 && lost > 10 && torn > 10);

	/* The n-th write is where the power goes; nothing works after it. */
	mem_disk_stop_at(f->disk, mem_disk_writes(f->disk) + 2);
	assert_int_equal(dev_write(d, 0, buf, DEV_BLOCK, 0), 0);
	assert_int_equal(dev_sync(d), -DER_SHUTDOWN);
	assert_int_equal(dev_read(d, 0, buf, DEV_BLOCK), -DER_SHUTDOWN);
	assert_int_equal(dev_write(d, 0, buf, DEV_BLOCK, 0), -DER_SHUTDOWN);
	power_cycle(f, &d, false);

	/* Faults. */
	mem_disk_fail_at(f->disk, 2, 1);
	assert_int_equal(dev_read(d, 0, buf, DEV_BLOCK), 0);
	assert_int_equal(dev_read(d, 0, buf, DEV_BLOCK), -DER_IO);
	assert_int_equal(dev_read(d, 0, buf, DEV_BLOCK), 0);
	assert_int_equal(dev_write(d, 0, buf, DEV_BLOCK, 0), -DER_IO);
	fill(buf, 0, 1);
	assert_int_equal(dev_write(d, 0, buf, DEV_BLOCK, DEV_WRITE_SYNC), 0);
	assert_int_equal(mem_disk_flip_bit(f->disk, "d", 8 * 100 + 3), 0);
	assert_int_equal(mem_disk_flip_bit(f->disk, "d", 8 * MIB), -DER_INVAL);
	assert_int_equal(mem_disk_flip_bit(f->disk, "e", 0), -DER_NONEXIST);
	power_cycle(f, &d, false);
	assert_int_equal(dev_read(d, 0, buf, DEV_BLOCK), 0);
	assert_int_equal(buf[100], 8);
	dev_close(d);
	dev_buf_free(buf, 0);
	return 0;
}

static void
test_crash(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xs_call(f->xs, do_crash, f), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_common, setup_mem, teardown),
	    cmocka_unit_test_setup_teardown(test_common, setup_files, teardown),
	    cmocka_unit_test_setup_teardown(test_files_lock, setup_files, teardown),
	    cmocka_unit_test_setup_teardown(test_files_ro, setup_files, teardown),
	    cmocka_unit_test_setup_teardown(test_overlay, setup_mem, teardown),
	    cmocka_unit_test_setup_teardown(test_overlay, setup_files, teardown),
	    cmocka_unit_test_setup_teardown(test_overlay_common, setup_mem, teardown),
	    cmocka_unit_test_setup_teardown(test_crash, setup_mem, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
