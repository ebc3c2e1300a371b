/* The superblock: round trip, a crash at every write of a series of changes, rot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <daos_errno.h>

#include "base/hash.h"
#include "runtime/xs.h"
#include "server/engine/superblock.h"

static struct xs *xs;
static struct env env;

static struct sb_pool
make_pool(uint8_t n)
{
	struct sb_pool p = {
	    .scm_bytes = n * 1000ull, .nvme_bytes = n * 1000000ull, .data_thresh = n};

	memset(p.uuid, n, sizeof(p.uuid));
	return p;
}

static int
round_trip(void *arg)
{
	char *uris[] = {"sim://1", "sim://2", ""};
	struct mem_disk *disk = arg;
	struct superblock *sb;
	struct sb_pool pool;
	struct dev_dir *dir;
	bool is_new;

	assert_int_equal(mem_disk_open(disk, &dir), 0);
	assert_int_equal(sb_open(dir, xs, &sb, &is_new), 0);
	assert_true(is_new);
	memset(sb->uuid, 7, sizeof(sb->uuid));
	strcpy(sb->system_name, "daos_server");
	sb->target_nr = 4;
	assert_int_equal(sb_write(sb), 0);
	sb_close(sb);

	assert_int_equal(sb_open(dir, xs, &sb, &is_new), 0);
	assert_false(is_new);
	assert_int_equal(sb->uuid[5], 7);
	assert_int_equal(sb->rank, UINT32_MAX);
	assert_int_equal(sb->pool_nr, 0);
	sb->rank = 3;
	sb->epoch_ceiling = 1ull << 60;
	for (uint8_t n = 1; n <= 40; n++) {
		pool = make_pool(n);
		assert_int_equal(sb_pool_add(sb, &pool), 0);
		assert_int_equal(sb_pool_add(sb, &pool), -DER_EXIST);
	}
	pool = make_pool(17);
	sb_pool_del(sb, pool.uuid);
	sb_pool_del(sb, pool.uuid);
	assert_true(sb_set_uris(sb, uris, 3));
	assert_false(sb_set_uris(sb, uris, 3));
	assert_int_equal(sb_write(sb), 0);
	sb_close(sb);

	assert_int_equal(sb_open(dir, xs, &sb, &is_new), 0);
	assert_false(is_new);
	assert_int_equal(sb->rank, 3);
	assert_int_equal(sb->epoch_ceiling, 1ull << 60);
	assert_string_equal(sb->system_name, "daos_server");
	assert_int_equal(sb->pool_nr, 39);
	assert_null(sb_pool_find(sb, pool.uuid));
	pool = make_pool(40);
	assert_int_equal(sb_pool_find(sb, pool.uuid)->nvme_bytes, 40000000);
	assert_int_equal(sb->uri_nr, 2);
	assert_string_equal(sb->uris[1], "sim://2");
	sb_close(sb);
	dev_dir_close(dir);
	return 0;
}

static void
test_round_trip(void **state)
{
	struct mem_disk *disk;

	assert_int_equal(mem_disk_create(NULL, 1 << 20, &disk), 0);
	assert_int_equal(xs_call(xs, round_trip, disk), 0);
	mem_disk_destroy(disk);
}

/* --- crashes --- */

struct crash {
	struct mem_disk *disk;
	uint64_t stop_at;
	uint64_t written; /* ceiling whose write was acknowledged */
	uint64_t tried;
	bool survived;
	uint64_t rnd;
};

static uint64_t
crash_rnd(void *arg)
{
	struct crash *c = arg;

	return hash_u64(c->rnd++);
}

static int
crash_run(void *arg)
{
	struct crash *c = arg;
	struct superblock *sb;
	struct dev_dir *dir;
	bool is_new;
	int rc;

	assert_int_equal(mem_disk_open(c->disk, &dir), 0);
	mem_disk_stop_at(c->disk, c->stop_at);
	rc = sb_open(dir, xs, &sb, &is_new);
	if (rc == 0) {
		assert_true(is_new);
		for (uint64_t n = 1; n <= 6 && rc == 0; n++) {
			sb->epoch_ceiling = n;
			c->tried = n;
			rc = sb_write(sb);
			if (rc == 0)
				c->written = n;
		}
		c->survived = rc == 0;
		sb_close(sb);
	}
	dev_dir_close(dir);
	return 0;
}

static int
crash_check(void *arg)
{
	struct crash *c = arg;
	struct superblock *sb;
	struct dev_dir *dir;
	bool is_new;
	int rc;

	assert_int_equal(mem_disk_open(c->disk, &dir), 0);
	rc = sb_open(dir, xs, &sb, &is_new);
	assert_int_equal(rc, 0);
	if (is_new)
		assert_int_equal(c->written, 0);
	else
		assert_true(sb->epoch_ceiling >= c->written && sb->epoch_ceiling <= c->tried);
	sb_close(sb);
	dev_dir_close(dir);
	return 0;
}

static void
test_crash_points(void **state)
{
	uint32_t points = 0;

	for (uint64_t variant = 0; variant < 8; variant++) {
		for (uint64_t n = 1;; n++) {
			struct crash c = {.stop_at = n, .rnd = variant * 1000 + n};

			assert_int_equal(mem_disk_create(NULL, 1 << 20, &c.disk), 0);
			assert_int_equal(xs_call(xs, crash_run, &c), 0);
			mem_disk_stop(c.disk);
			mem_disk_restart(c.disk, variant == 0 ? NULL : crash_rnd, &c);
			assert_int_equal(xs_call(xs, crash_check, &c), 0);
			mem_disk_destroy(c.disk);
			points++;
			if (c.survived)
				break;
		}
	}
	printf("crash states: %u of the superblock\n", points);
	assert_true(points > 40);
}

/* --- rot --- */

static int
rot_open(void *arg)
{
	struct mem_disk *disk = arg;
	struct superblock *sb;
	struct dev_dir *dir;
	bool is_new = false;
	int rc;

	assert_int_equal(mem_disk_open(disk, &dir), 0);
	rc = sb_open(dir, xs, &sb, &is_new);
	if (rc == 0) {
		if (is_new) {
			for (uint64_t n = 1; n <= 3; n++) {
				sb->epoch_ceiling = n;
				assert_int_equal(sb_write(sb), 0);
			}
			rc = 100;
		} else {
			rc = (int)sb->epoch_ceiling;
		}
		sb_close(sb);
	}
	dev_dir_close(dir);
	return rc;
}

static void
test_rot(void **state)
{
	struct mem_disk *disk;

	assert_int_equal(mem_disk_create(NULL, 1 << 20, &disk), 0);
	assert_int_equal(xs_call(xs, rot_open, disk), 100);
	assert_int_equal(xs_call(xs, rot_open, disk), 3);
	/* the newest state is in slot 0: its rot leaves the one before */
	assert_int_equal(mem_disk_flip_bit(disk, SB_DEV_NAME, 40 * 8), 0);
	assert_int_equal(xs_call(xs, rot_open, disk), 2);
	/* both rotten: never taken for new */
	assert_int_equal(mem_disk_flip_bit(disk, SB_DEV_NAME, (64 * 1024 + 40) * 8), 0);
	assert_int_equal(xs_call(xs, rot_open, disk), -DER_CSUM);
	mem_disk_destroy(disk);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_crash_points),
	    cmocka_unit_test(test_rot),
	};
	struct xs_conf conf = {.name = "t", .env = &env, .cpu = -1};
	int rc;

	env_init_real(&env);
	if (xs_create(&conf, &xs) != 0)
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	xs_destroy(xs);
	return rc;
}
