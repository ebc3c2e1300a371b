/* The path layer: every call by path, and its cache of directories. */
#include "client/dfs/test_dfs.h"

static dfs_sys_t *s;

static int
stat_rc(const char *path, int flags)
{
	struct stat st;

	return dfs_sys_stat(s, path, flags, &st);
}

static struct stat
stat_of(const char *path, int flags)
{
	struct stat st;

	ok(dfs_sys_stat(s, path, flags, &st));
	return st;
}

static void
tree(void)
{
	ok(dfs_sys_mkdir(s, "/dir1", 0755, 0));
	ok(dfs_sys_mknod(s, "/dir1/file1", S_IFREG | 0644, 0, 0));
	ok(dfs_sys_symlink(s, "file1", "/dir1/sym1"));
}

static void
test_create_remove(void **state)
{
	daos_obj_id_t oid;

	tree();
	rc_is(dfs_sys_mkdir(s, "/dir1", 0755, 0), EEXIST);
	rc_is(dfs_sys_mkdir(s, "/", 0755, 0), EEXIST);
	rc_is(dfs_sys_mknod(s, "/dir1/file1", S_IFREG | 0644, 0, 0), EEXIST);
	rc_is(dfs_sys_mknod(s, "/dir1/fifo", S_IFIFO | 0644, 0, 0), ENOTSUP);
	rc_is(dfs_sys_symlink(s, "x", "/dir1/sym1"), EEXIST);
	rc_is(dfs_sys_mkdir(s, "/nodir/x", 0755, 0), ENOENT);
	rc_is(dfs_sys_mkdir(s, "/dir1/file1/x", 0755, 0), ENOTDIR);
	rc_is(dfs_sys_mkdir(s, "relative", 0755, 0), EINVAL);
	rc_is(dfs_sys_remove_type(s, "/dir1", false, S_IFREG, NULL), EISDIR);
	rc_is(dfs_sys_remove_type(s, "/dir1/file1", false, S_IFDIR, NULL), ENOTDIR);
	rc_is(dfs_sys_remove_type(s, "/dir1/sym1", false, S_IFREG, NULL), EINVAL);
	rc_is(dfs_sys_remove(s, "/dir1", false, NULL), ENOTEMPTY);
	rc_is(dfs_sys_remove(s, "/", true, NULL), EBUSY);
	ok(dfs_sys_remove_type(s, "/dir1/sym1", false, S_IFLNK, NULL));
	ok(dfs_sys_remove_type(s, "/dir1/file1", false, S_IFREG, &oid));
	ok(dfs_sys_remove_type(s, "/dir1/", false, S_IFDIR, NULL));
	rc_is(stat_rc("/dir1", 0), ENOENT);
	ok(dfs_sys_mkdir_p(s, "/a//b/c/", 0755, 0));
	ok(dfs_sys_mkdir_p(s, "/a/b/c", 0755, 0));
	ok(dfs_sys_mkdir_p(s, "/", 0755, 0));
	ok(dfs_sys_mknod(s, "/a/f", S_IFREG | 0644, 0, 0));
	rc_is(dfs_sys_mkdir_p(s, "/a/f", 0755, 0), EEXIST);
	rc_is(dfs_sys_mkdir_p(s, "/a/f/g", 0755, 0), ENOTDIR);
	ok(dfs_sys_remove(s, "/a", true, NULL));
	rc_is(stat_rc("/a/b/c", 0), ENOENT);
}

static void
test_attributes(void **state)
{
	struct timespec times[2] = {{.tv_sec = 100}, {.tv_sec = 200}};
	char buf[64];
	daos_size_t size;
	struct stat st;

	tree();
	assert_true(S_ISREG(stat_of("/dir1/sym1", 0).st_mode));
	assert_true(S_ISLNK(stat_of("/dir1/sym1", O_NOFOLLOW).st_mode));
	assert_true(S_ISDIR(stat_of("/", 0).st_mode));
	ok(dfs_sys_chmod(s, "/dir1/sym1", 0600));
	assert_int_equal(stat_of("/dir1/file1", 0).st_mode, S_IFREG | 0600);
	ok(dfs_sys_chown(s, "/dir1/sym1", 5, 6, O_NOFOLLOW));
	assert_int_equal(stat_of("/dir1/sym1", O_NOFOLLOW).st_uid, 5);
	ok(dfs_sys_utimens(s, "/dir1/sym1", times, 0));
	assert_int_equal(stat_of("/dir1/file1", 0).st_mtim.tv_sec, 200);
	times[1].tv_sec = 300;
	ok(dfs_sys_utimens(s, "/dir1/sym1", times, O_NOFOLLOW));
	assert_int_equal(stat_of("/dir1/sym1", O_NOFOLLOW).st_mtim.tv_sec, 300);
	assert_int_equal(stat_of("/dir1/sym1", 0).st_mtim.tv_sec, 200);
	ok(dfs_sys_utimens(s, "/dir1", times, 0));
	assert_int_equal(stat_of("/dir1", 0).st_mtim.tv_sec, 300);
	times[1].tv_nsec = UTIME_OMIT;
	ok(dfs_sys_utimens(s, "/dir1", times, 0));
	assert_int_equal(stat_of("/dir1", 0).st_mtim.tv_sec, 300);
	times[1].tv_nsec = UTIME_NOW;
	ok(dfs_sys_utimens(s, "/dir1", times, 0));
	assert_true(stat_of("/dir1", 0).st_mtim.tv_sec > 1000);
	times[1].tv_nsec = 1000000000;
	rc_is(dfs_sys_utimens(s, "/dir1", times, 0), EINVAL);
	ok(dfs_sys_utimens(s, "/dir1/file1", NULL, 0));
	st = (struct stat){.st_size = 77};
	ok(dfs_sys_setattr(s, "/dir1/file1", &st, DFS_SET_ATTR_SIZE, 0));
	assert_int_equal(stat_of("/dir1/file1", 0).st_size, 77);
	ok(dfs_sys_access(s, "/dir1/sym1", F_OK, 0));
	ok(dfs_sys_access(s, "/dir1/sym1", R_OK, O_NOFOLLOW));
	rc_is(dfs_sys_access(s, "/dir1/none", F_OK, 0), ENOENT);
	size = sizeof(buf);
	ok(dfs_sys_readlink(s, "/dir1/sym1", buf, &size));
	assert_string_equal(buf, "file1");
	rc_is(dfs_sys_readlink(s, "/dir1/file1", buf, &size), EINVAL);
	ok(dfs_sys_setxattr(s, "/dir1/sym1", "user.a", "file", 4, 0, 0));
	ok(dfs_sys_setxattr(s, "/dir1/sym1", "user.a", "link!", 5, 0, O_NOFOLLOW));
	size = sizeof(buf);
	ok(dfs_sys_getxattr(s, "/dir1/file1", "user.a", buf, &size, 0));
	assert_int_equal(size, 4);
	size = sizeof(buf);
	ok(dfs_sys_getxattr(s, "/dir1/sym1", "user.a", buf, &size, O_NOFOLLOW));
	assert_int_equal(size, 5);
	size = 2;
	rc_is(dfs_sys_listxattr(s, "/dir1/sym1", buf, &size, 0), ERANGE);
	ok(dfs_sys_removexattr(s, "/dir1/sym1", "user.a", 0));
	size = sizeof(buf);
	ok(dfs_sys_listxattr(s, "/dir1/file1", buf, &size, 0));
	assert_int_equal(size, 0);
}

/* Links that lead out of the directory of their name. */
static void
test_links_up(void **state)
{
	ok(dfs_sys_mkdir_p(s, "/usr/lib/arch", 0755, 0));
	ok(dfs_sys_mkdir(s, "/lib", 0755, 0));
	ok(dfs_sys_mknod(s, "/lib/x.so", S_IFREG | 0644, 0, 0));
	ok(dfs_sys_symlink(s, "../../../lib/x.so", "/usr/lib/arch/x.so"));
	ok(dfs_sys_symlink(s, "../usr/lib", "/lib/usr"));
	assert_true(S_ISREG(stat_of("/usr/lib/arch/x.so", 0).st_mode));
	assert_true(S_ISREG(stat_of("/lib/usr/arch/x.so", 0).st_mode));
	assert_true(S_ISREG(stat_of("/lib/usr/arch/../../lib/arch/x.so", 0).st_mode));
	assert_true(S_ISDIR(stat_of("/usr/lib/..", 0).st_mode));
	assert_true(S_ISDIR(stat_of("/usr/.", 0).st_mode));
}

static void
test_io(void **state)
{
	static char out[10000], in[10000];
	daos_event_t ev, *done;
	daos_size_t size;
	daos_handle_t eq;
	dfs_obj_t *obj;

	tree();
	memset(out, 'o', sizeof(out));
	rc_is(dfs_sys_open(s, "/dir1", S_IFREG, O_RDWR, 0, 0, NULL, &obj), EISDIR);
	ok(dfs_sys_open(s, "/dir1", S_IFDIR, O_RDWR, 0, 0, NULL, &obj));
	size = 10;
	rc_is(dfs_sys_write(s, obj, out, 0, &size, NULL), EINVAL);
	rc_is(dfs_sys_read(s, obj, in, 0, &size, NULL), EINVAL);
	rc_is(dfs_sys_punch(s, "/dir1", 0, 10), EINVAL);
	ok(dfs_sys_close(obj));
	ok(dfs_sys_open(s, "/dir1/sym1", S_IFREG, O_RDWR, 0, 0, NULL, &obj));
	size = sizeof(out);
	ok(dfs_sys_write(s, obj, out, 0, &size, NULL));
	assert_int_equal(size, sizeof(out));
	size = sizeof(in);
	ok(dfs_sys_read(s, obj, in, 100, &size, NULL));
	assert_int_equal(size, sizeof(out) - 100);
	assert_memory_equal(in, out, size);
	ok(dfs_sys_punch(s, "/dir1/file1", 0, sizeof(out)));
	size = sizeof(in);
	ok(dfs_sys_read(s, obj, in, 0, &size, NULL));
	assert_int_equal(size, 0);
	rc_is(dfs_sys_read(s, obj, NULL, 0, &size, NULL), EINVAL);
	/* with events, when the call's own frame is gone */
	memdaos_set_deferred(true);
	ok(daos_eq_create(&eq));
	ok(daos_event_init(&ev, eq, NULL));
	size = 500;
	ok(dfs_sys_write(s, obj, out, 0, &size, &ev));
	assert_int_equal(daos_eq_poll(eq, 1, DAOS_EQ_WAIT, 1, &done), 1);
	assert_int_equal(ev.ev_error, 0);
	memset(in, 0, sizeof(in));
	size = 600;
	ok(dfs_sys_read(s, obj, in, 0, &size, &ev));
	assert_int_equal(daos_eq_poll(eq, 1, DAOS_EQ_WAIT, 1, &done), 1);
	assert_int_equal(ev.ev_error, 0);
	assert_int_equal(size, 500);
	assert_memory_equal(in, out, 500);
	ok(daos_event_fini(&ev));
	ok(daos_eq_destroy(eq, 0));
	ok(dfs_sys_close(obj));
	/* create */
	memdaos_count_reset();
	ok(dfs_sys_open(s, "/dir1/new", S_IFREG | 0644, O_RDWR | O_CREAT, 0, 0, NULL, &obj));
	assert_int_equal(memdaos_count_all(), 1);
	ok(dfs_sys_close(obj));
	rc_is(dfs_sys_open(s, "/dir1/new", S_IFREG | 0644, O_RDWR | O_CREAT | O_EXCL, 0, 0, NULL,
			   &obj),
	      EEXIST);
	rc_is(dfs_sys_open(s, "/dir1/sym1", S_IFREG | 0644, O_RDWR | O_CREAT | O_EXCL, 0, 0, NULL,
			   &obj),
	      EEXIST);
	/* an existing link is followed, also with O_CREAT */
	ok(dfs_sys_open(s, "/dir1/sym1", S_IFREG | 0644, O_RDWR | O_CREAT, 0, 0, NULL, &obj));
	assert_string_equal(obj->name, "file1");
	ok(dfs_sys_close(obj));
	rc_is(dfs_sys_open(s, "/dir1/file1", S_IFDIR, O_RDWR, 0, 0, NULL, &obj), ENOTDIR);
	ok(dfs_sys_open(s, "/", S_IFDIR, O_RDWR, 0, 0, NULL, &obj));
	ok(dfs_sys_close(obj));
}

static void
test_readdir(void **state)
{
	struct dirent *e;
	char path[64];
	int i, nr = 0;
	DIR *d;

	ok(dfs_sys_mkdir(s, "/many", 0755, 0));
	for (i = 0; i < 250; i++) {
		snprintf(path, sizeof(path), "/many/f%d", i);
		ok(dfs_sys_mknod(s, path, S_IFREG | 0644, 0, 0));
	}
	ok(dfs_sys_symlink(s, "many", "/link"));
	ok(dfs_sys_opendir(s, "/link", 0, &d));
	for (;;) {
		ok(dfs_sys_readdir(s, d, &e));
		if (e == NULL)
			break;
		nr++;
	}
	assert_int_equal(nr, 250);
	ok(dfs_sys_closedir(d));
	rc_is(dfs_sys_opendir(s, "/link", O_NOFOLLOW, &d), ENOTDIR);
	rc_is(dfs_sys_opendir(s, "/many/f1", 0, &d), ENOTDIR);
	rc_is(dfs_sys_opendir(s, "/none", 0, &d), ENOENT);
}

/* --- the cache --- */

static void
test_cache_used(void **state)
{
	ok(dfs_sys_mkdir_p(s, "/a/b/c", 0755, 0));
	ok(dfs_sys_mknod(s, "/a/b/c/f", S_IFREG | 0644, 0, 0));
	memdaos_count_reset();
	ok(stat_rc("/a/b/c/f", O_NOFOLLOW));
	assert_int_equal(memdaos_count_all(), 2); /* entry, size; nothing for the way */
}

static void
test_cache_own_changes(void **state)
{
	dfs_t *base;

	ok(dfs_sys2base(s, &base));
	ok(dfs_sys_mkdir_p(s, "/a/b", 0755, 0));
	ok(dfs_sys_mknod(s, "/a/b/f", S_IFREG | 0644, 0, 0));
	/* renamed with a dfs call, and another made in its place */
	ok(dfs_move(base, NULL, "a", NULL, "z", NULL));
	rc_is(stat_rc("/a/b/f", 0), ENOENT);
	ok(stat_rc("/z/b/f", 0));
	ok(dfs_sys_mkdir_p(s, "/a/b", 0755, 0));
	rc_is(stat_rc("/a/b/f", 0), ENOENT);
	ok(dfs_exchange(base, NULL, "a", NULL, "z"));
	ok(stat_rc("/a/b/f", 0));
	rc_is(stat_rc("/z/b/f", 0), ENOENT);
	/* removed with everything in it */
	ok(dfs_sys_remove(s, "/a", true, NULL));
	rc_is(dfs_sys_mknod(s, "/a/b/g", S_IFREG | 0644, 0, 0), ENOENT);
}

static void
test_cache_other_mount(void **state)
{
	dfs_t *other;

	ok(dfs_mount(t_poh, t_coh, O_RDWR, &other));
	ok(dfs_sys_mkdir_p(s, "/a/b", 0755, 0));
	ok(dfs_sys_mknod(s, "/a/b/f", S_IFREG | 0644, 0, 0));
	ok(stat_rc("/a/b/f", 0));
	/* somebody else replaces the directory: what is there now is found */
	ok(dfs_move(other, NULL, "a", NULL, "old", NULL));
	ok(dfs_mkdir(other, NULL, "a", 0755, 0));
	{
		dfs_obj_t *a, *b;

		ok(dfs_lookup(other, "/a", O_RDWR, &a, NULL, NULL));
		ok(dfs_mkdir(other, a, "b", 0755, 0));
		ok(dfs_open(other, a, "b", S_IFDIR, O_RDWR, 0, 0, NULL, &b));
		ok(dfs_mkdir(other, b, "new", 0755, 0));
		ok(dfs_release(b));
		ok(dfs_release(a));
	}
	ok(stat_rc("/a/b/new", 0));
	ok(dfs_umount(other));
}

static void
test_no_cache_no_lock(void **state)
{
	dfs_sys_t *plain;
	dfs_t *base;

	ok(dfs_sys_mount(t_poh, t_coh, O_RDWR, DFS_SYS_NO_CACHE | DFS_SYS_NO_LOCK, &plain));
	ok(dfs_sys_mkdir_p(plain, "/p/q", 0755, 0));
	ok(dfs_sys_mknod(plain, "/p/q/f", S_IFREG | 0644, 0, 0));
	ok(dfs_sys2base(plain, &base));
	rc_is(dfs_sys_disconnect(plain), EINVAL);
	ok(dfs_sys_umount(plain));
	ok(stat_rc("/p/q/f", 0));
}

static void
test_connect(void **state)
{
	dfs_sys_t *c, *d;
	d_iov_t glob = {0};

	rc_is(dfs_sys_connect("tank", NULL, "c0", O_RDWR | O_CREAT, 0, NULL, &c), EACCES);
	ok(dfs_init());
	ok(dfs_sys_connect("tank", NULL, "c0", O_RDWR | O_CREAT, 0, NULL, &c));
	ok(dfs_sys_mkdir(c, "/d", 0755, 0));
	ok(dfs_sys_local2global_all(c, &glob));
	glob.iov_buf = malloc(glob.iov_buf_len);
	ok(dfs_sys_local2global_all(c, &glob));
	ok(dfs_sys_global2local_all(O_RDWR, 0, glob, &d));
	free(glob.iov_buf);
	ok(dfs_sys_mkdir(d, "/d/e", 0755, 0));
	rc_is(dfs_sys_umount(c), EINVAL);
	ok(dfs_sys_disconnect(d));
	ok(dfs_sys_disconnect(c));
	ok(dfs_fini());
}

static void
test_prefix(void **state)
{
	tree();
	ok(dfs_sys_set_prefix(s, "/mnt/x"));
	ok(stat_rc("/mnt/x/dir1/file1", 0));
	ok(stat_rc("/mnt/x", 0));
	rc_is(stat_rc("/dir1/file1", 0), EINVAL);
	ok(dfs_sys_set_prefix(s, NULL));
	ok(stat_rc("/dir1/file1", 0));
}

static int
setup(void **state)
{
	t_setup(state);
	return dfs_sys_mount(t_poh, t_coh, O_RDWR, 0, &s);
}

static int
teardown(void **state)
{
	ok(dfs_sys_umount(s));
	return t_teardown(state);
}

#define T(_f) cmocka_unit_test_setup_teardown(_f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_create_remove),
	    T(test_attributes),
	    T(test_links_up),
	    T(test_io),
	    T(test_readdir),
	    T(test_cache_used),
	    T(test_cache_own_changes),
	    T(test_cache_other_mount),
	    T(test_no_cache_no_lock),
	    T(test_connect),
	    T(test_prefix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
