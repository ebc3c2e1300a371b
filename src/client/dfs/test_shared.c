/* One mount used by several threads, and several mounts of one container: meant for TSan. */
#include <pthread.h>

#include "client/dfs/test_dfs.h"

enum { THREADS = 4, ROUNDS = 60 };

static dfs_sys_t *t_sys;
static dfs_t *mounts[2];
static int winners;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void
run_threads(void *(*fn)(void *))
{
	pthread_t t[THREADS];
	intptr_t i;

	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, fn, (void *)i), 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
}

/* Everything in a directory of one's own, on the shared mount. */
static void *
own_directory(void *arg)
{
	char name[32], buf[32];
	dfs_obj_t *d, *f, *root;
	struct dirent ents[8];
	struct stat st, sts[8];
	d_iov_t iov;
	d_sg_list_t sgl = {.sg_nr = 1, .sg_iovs = &iov};
	daos_size_t got;
	int i;

	snprintf(name, sizeof(name), "d%d", (int)(intptr_t)arg);
	ok(dfs_open(t_dfs, NULL, name, S_IFDIR | 0755, O_CREAT | O_RDWR, 0, 0, NULL, &d));
	for (i = 0; i < ROUNDS; i++) {
		daos_anchor_t anchor = {0};
		uint32_t nr = 8;

		snprintf(name, sizeof(name), "f%d", i);
		ok(dfs_open(t_dfs, d, name, S_IFREG | 0644, O_CREAT | O_RDWR, 0, 0, NULL, &f));
		d_iov_set(&iov, name, strlen(name));
		ok(dfs_write(t_dfs, f, &sgl, 0, NULL));
		d_iov_set(&iov, buf, sizeof(buf));
		ok(dfs_read(t_dfs, f, &sgl, 0, &got, NULL));
		assert_int_equal(got, strlen(name));
		ok(dfs_ostat(t_dfs, f, &st));
		ok(dfs_setxattr(t_dfs, f, "user.x", "y", 1, 0));
		ok(dfs_release(f));
		ok(dfs_readdirplus(t_dfs, d, &anchor, &nr, ents, sts));
		ok(dfs_chmod(t_dfs, d, name, 0600));
		ok(dfs_move(t_dfs, d, name, d, "moved", NULL));
		if (i % 10 == 0) {
			ok(dfs_lookup(t_dfs, "/", O_RDWR, &root, NULL, NULL));
			ok(dfs_obj_set_chunk_size(t_dfs, root, 0, 4096 * (i + 1)));
			ok(dfs_chmod(t_dfs, NULL, "/", 0700 + i % 8));
			ok(dfs_release(root));
		}
	}
	ok(dfs_release(d));
	return NULL;
}

static void
test_shared_mount(void **state)
{
	run_threads(own_directory);
}

/* All in one directory, where names collide. */
static void *
collide(void *arg)
{
	int me = (int)(intptr_t)arg, i, rc;
	dfs_t *dfs = mounts[me % 2];
	char name[32], to[32];
	dfs_obj_t *f;

	for (i = 0; i < ROUNDS; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		rc = dfs_open(dfs, NULL, name, S_IFREG | 0644, O_CREAT | O_EXCL | O_RDWR, 0, 0,
			      NULL, &f);
		if (rc == 0) {
			pthread_mutex_lock(&lock);
			winners++;
			pthread_mutex_unlock(&lock);
			ok(dfs_release(f));
		} else {
			assert_int_equal(rc, EEXIST);
		}
		snprintf(to, sizeof(to), "m%d", i);
		rc = dfs_move(dfs, NULL, name, NULL, to, NULL);
		assert_true(rc == 0 || rc == ENOENT);
	}
	return NULL;
}

static void
test_two_mounts(void **state)
{
	ok(dfs_mount(t_poh, t_coh, O_RDWR, &mounts[0]));
	ok(dfs_mount(t_poh, t_coh, O_RDWR, &mounts[1]));
	winners = 0;
	run_threads(collide);
	assert_in_range(winners, ROUNDS, ROUNDS * THREADS);
	ok(dfs_umount(mounts[0]));
	ok(dfs_umount(mounts[1]));
}

/* Two mounts never hand out the same object id. */
static void
test_object_ids(void **state)
{
	enum { EACH = 100 };
	daos_obj_id_t ids[2 * EACH];
	dfs_t *other;
	int i, j;

	ok(dfs_mount(t_poh, t_coh, O_RDWR, &other));
	for (i = 0; i < EACH; i++) {
		ok(oid_new(t_dfs, false, OC_S1, &ids[2 * i]));
		ok(oid_new(other, false, OC_S1, &ids[2 * i + 1]));
	}
	for (i = 0; i < 2 * EACH; i++)
		for (j = 0; j < i; j++)
			assert_false(same_oid(ids[i], ids[j]));
	ok(dfs_umount(other));
}

static void
one_of(const char *what, int rc, int a, int b)
{
	if (rc != 0 && rc != a && rc != b)
		fail_msg("%s: %s", what, strerror(rc));
}

/* The cache of the path layer, with directories coming and going. */
static void *
paths(void *arg)
{
	int me = (int)(intptr_t)arg, i;
	char path[64];
	struct stat st;

	for (i = 0; i < ROUNDS; i++) {
		snprintf(path, sizeof(path), "/p/%d", i % 3);
		one_of("mkdir_p", dfs_sys_mkdir_p(t_sys, path, 0755, 0), ENOENT, 0);
		snprintf(path, sizeof(path), "/p/%d/f%d", i % 3, me);
		one_of("mknod", dfs_sys_mknod(t_sys, path, S_IFREG | 0644, 0, 0), ENOENT, EEXIST);
		one_of("stat", dfs_sys_stat(t_sys, path, 0, &st), ENOENT, 0);
		snprintf(path, sizeof(path), "/p/%d", (i + me) % 3);
		one_of("remove", dfs_sys_remove(t_sys, path, true, NULL), ENOENT, ENOTEMPTY);
	}
	return NULL;
}

static void
test_path_layer(void **state)
{
	ok(dfs_sys_mount(t_poh, t_coh, O_RDWR, 0, &t_sys));
	run_threads(paths);
	ok(dfs_sys_umount(t_sys));
}

static void *
connect_often(void *arg)
{
	dfs_t *dfs;
	int i;

	for (i = 0; i < ROUNDS / 4; i++) {
		ok(dfs_connect("tank", NULL, "shared", O_RDWR | O_CREAT, NULL, &dfs));
		ok(dfs_sync(dfs));
		ok(dfs_disconnect(dfs));
	}
	return NULL;
}

static void
test_connections(void **state)
{
	ok(dfs_init());
	run_threads(connect_often);
	ok(dfs_fini());
}

#define T(_f) cmocka_unit_test_setup_teardown(_f, t_setup, t_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_shared_mount), T(test_two_mounts),  T(test_object_ids),
	    T(test_path_layer),   T(test_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
