/* Attributes: times, modes, owners, access. */
#include "client/dfs/test_dfs.h"

static struct stat
stat_of(dfs_obj_t *parent, const char *name)
{
	struct stat st;

	ok(dfs_stat(t_dfs, parent, name, &st));
	return st;
}

static bool
before(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

static void
put(dfs_obj_t *obj, const char *s)
{
	d_iov_t iov;
	d_sg_list_t sgl = {.sg_nr = 1, .sg_iovs = &iov};

	d_iov_set(&iov, (void *)s, strlen(s));
	ok(dfs_write(t_dfs, obj, &sgl, 0, NULL));
}

static void
set_mtime(dfs_obj_t *obj, time_t sec)
{
	struct stat st = {.st_mtim = {.tv_sec = sec, .tv_nsec = 123456789}};

	ok(dfs_osetattr(t_dfs, obj, &st, DFS_SET_ATTR_MTIME | DFS_SET_ATTR_ATIME));
	assert_int_equal(st.st_mtim.tv_sec, sec);
	assert_int_equal(st.st_mtim.tv_nsec, 123456789);
}

static void
test_file_times(void **state)
{
	struct stat made, written, st;
	dfs_obj_t *f;
	time_t t0 = time(NULL);

	ok(dfs_open(t_dfs, NULL, "f", S_IFREG | 0644, O_CREAT | O_RDWR, 0, 0, NULL, &f));
	made = stat_of(NULL, "f");
	assert_in_range(made.st_mtim.tv_sec, t0, t0 + 5);
	usleep(2000);
	put(f, "x");
	written = stat_of(NULL, "f");
	assert_true(before(made.st_mtim, written.st_mtim));
	assert_true(before(made.st_ctim, written.st_ctim));
	assert_false(before(written.st_atim, written.st_mtim));
	/* a time that is set stays, in the past and in the future, until the next write */
	set_mtime(f, 1000);
	assert_int_equal(stat_of(NULL, "f").st_mtim.tv_sec, 1000);
	ok(dfs_chmod(t_dfs, NULL, "f", 0600));
	st = stat_of(NULL, "f");
	assert_int_equal(st.st_mtim.tv_sec, 1000);
	assert_true(before(written.st_ctim, st.st_ctim));
	put(f, "y");
	assert_in_range(stat_of(NULL, "f").st_mtim.tv_sec, t0, t0 + 5);
	set_mtime(f, t0 + 100000);
	assert_int_equal(stat_of(NULL, "f").st_mtim.tv_sec, t0 + 100000);
	put(f, "z");
	assert_in_range(stat_of(NULL, "f").st_mtim.tv_sec, t0, t0 + 5);
	/* through a rename */
	set_mtime(f, 2000);
	ok(dfs_release(f));
	ok(dfs_move(t_dfs, NULL, "f", NULL, "g", NULL));
	assert_int_equal(stat_of(NULL, "g").st_mtim.tv_sec, 2000);
	/* cutting off is a change too */
	ok(dfs_lookup(t_dfs, "/g", O_RDWR, &f, NULL, NULL));
	ok(dfs_punch(t_dfs, f, 0, DFS_MAX_FSIZE));
	assert_in_range(stat_of(NULL, "g").st_mtim.tv_sec, t0, t0 + 5);
	/* before anything was ever written */
	ok(dfs_release(f));
	ok(dfs_open(t_dfs, NULL, "h", S_IFREG | 0644, O_CREAT | O_RDWR, 0, 0, NULL, &f));
	set_mtime(f, 3000);
	assert_int_equal(stat_of(NULL, "h").st_mtim.tv_sec, 3000);
	put(f, "x");
	assert_in_range(stat_of(NULL, "h").st_mtim.tv_sec, t0, t0 + 5);
	ok(dfs_release(f));
}

static void
test_dir_times(void **state)
{
	dfs_obj_t *d = t_dir(NULL, "d");
	struct stat a, b;

	a = stat_of(NULL, "d");
	usleep(2000);
	t_file(d, "f", "x");
	b = stat_of(NULL, "d");
	assert_true(before(a.st_mtim, b.st_mtim));
	usleep(2000);
	ok(dfs_remove(t_dfs, d, "f", false, NULL));
	a = stat_of(NULL, "d");
	assert_true(before(b.st_mtim, a.st_mtim));
	set_mtime(d, 5000);
	assert_int_equal(stat_of(NULL, "d").st_mtim.tv_sec, 5000);
	ok(dfs_mkdir(t_dfs, d, "sub", 0755, 0));
	assert_true(stat_of(NULL, "d").st_mtim.tv_sec > 5000);
	ok(dfs_ostat(t_dfs, d, &b));
	assert_true(b.st_mtim.tv_sec > 5000);
	ok(dfs_release(d));
	/* the root as well */
	ok(dfs_stat(t_dfs, NULL, NULL, &a));
	usleep(2000);
	t_file(NULL, "f", "x");
	ok(dfs_stat(t_dfs, NULL, "/", &b));
	assert_true(before(a.st_mtim, b.st_mtim));
	assert_int_equal(a.st_ino, b.st_ino);
}

static void
test_stat_kinds(void **state)
{
	dfs_obj_t *d = t_dir(NULL, "d"), *l;
	struct stat st;

	t_link(NULL, "l", "12345");
	st = stat_of(NULL, "l");
	assert_int_equal(st.st_size, 5);
	assert_true(S_ISLNK(st.st_mode));
	ok(dfs_lookup(t_dfs, "/l", O_RDONLY | O_NOFOLLOW, &l, NULL, &st));
	assert_int_equal(st.st_size, 5);
	ok(dfs_ostat(t_dfs, l, &st));
	assert_int_equal(st.st_size, 5);
	rc_is(dfs_stat(t_dfs, NULL, "a/b", &st), EINVAL);
	rc_is(dfs_stat(t_dfs, NULL, "none", &st), ENOENT);
	rc_is(dfs_stat(t_dfs, l, "none", &st), ENOTDIR);
	rc_is(dfs_stat(t_dfs, NULL, "l", NULL), EINVAL);
	/* one that was replaced is not the one that is open */
	ok(dfs_remove(t_dfs, NULL, "d", false, NULL));
	rc_is(dfs_ostat(t_dfs, d, &st), ENOENT);
	ok(dfs_mkdir(t_dfs, NULL, "d", 0755, 0));
	rc_is(dfs_ostat(t_dfs, d, &st), ENOENT);
	st.st_mode = 0700;
	rc_is(dfs_osetattr(t_dfs, d, &st, DFS_SET_ATTR_MODE), ENOENT);
	ok(dfs_release(l));
	ok(dfs_release(d));
}

static void
test_chmod_chown(void **state)
{
	dfs_obj_t *d = t_dir(NULL, "d"), *f;
	struct stat st;

	t_file(d, "f", "x");
	t_link(d, "l", "f");
	t_link(d, "up", "../d/f");
	ok(dfs_chmod(t_dfs, d, "f", 0751));
	assert_int_equal(stat_of(d, "f").st_mode, S_IFREG | 0751);
	ok(dfs_chmod(t_dfs, d, "f", S_IFREG | 04755));
	assert_int_equal(stat_of(d, "f").st_mode, S_IFREG | 04755);
	rc_is(dfs_chmod(t_dfs, d, "f", S_IFDIR | 0755), EINVAL);
	rc_is(dfs_chmod(t_dfs, d, "l", S_IFLNK | 0755), EINVAL);
	rc_is(dfs_chmod(t_dfs, d, "none", 0755), ENOENT);
	/* through links */
	ok(dfs_chmod(t_dfs, d, "l", 0600));
	assert_int_equal(stat_of(d, "f").st_mode, S_IFREG | 0600);
	ok(dfs_chmod(t_dfs, d, "up", 0644));
	assert_int_equal(stat_of(d, "f").st_mode, S_IFREG | 0644);
	ok(dfs_chown(t_dfs, d, "l", 12, -1, 0));
	st = stat_of(d, "f");
	assert_int_equal(st.st_uid, 12);
	assert_int_equal(st.st_gid, getegid());
	ok(dfs_chown(t_dfs, d, "l", 13, 14, O_NOFOLLOW));
	assert_int_equal(stat_of(d, "f").st_uid, 12);
	assert_int_equal(stat_of(d, "l").st_uid, 13);
	assert_int_equal(stat_of(d, "l").st_gid, 14);
	ok(dfs_chown(t_dfs, d, "f", -1, -1, 0));
	/* the directory itself, the root */
	ok(dfs_chmod(t_dfs, d, NULL, 0711));
	assert_int_equal(stat_of(NULL, "d").st_mode, S_IFDIR | 0711);
	ok(dfs_chmod(t_dfs, NULL, "/", 0700));
	ok(dfs_stat(t_dfs, NULL, NULL, &st));
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
	ok(dfs_chown(t_dfs, NULL, NULL, 7, 8, 0));
	ok(dfs_stat(t_dfs, NULL, NULL, &st));
	assert_int_equal(st.st_uid, 7);
	/* by object */
	ok(dfs_lookup(t_dfs, "/d/f", O_RDWR, &f, NULL, NULL));
	st = (struct stat){.st_mode = 0640, .st_uid = 3, .st_gid = 4, .st_size = 100};
	ok(dfs_osetattr(t_dfs, f, &st,
			DFS_SET_ATTR_MODE | DFS_SET_ATTR_UID | DFS_SET_ATTR_GID |
			    DFS_SET_ATTR_SIZE));
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(st.st_uid, 3);
	assert_int_equal(st.st_gid, 4);
	assert_int_equal(st.st_size, 100);
	rc_is(dfs_osetattr(t_dfs, f, &st, 1 << 12), EINVAL);
	rc_is(dfs_osetattr(t_dfs, d, &st, DFS_SET_ATTR_SIZE), EISDIR);
	ok(dfs_release(f));
	ok(dfs_lookup(t_dfs, "/d/l", O_RDWR | O_NOFOLLOW, &f, NULL, NULL));
	rc_is(dfs_osetattr(t_dfs, f, &st, DFS_SET_ATTR_MODE), ENOTSUP);
	ok(dfs_osetattr(t_dfs, f, &st, DFS_SET_ATTR_UID));
	ok(dfs_release(f));
	ok(dfs_release(d));
}

static void
test_access(void **state)
{
	t_file(NULL, "f", "x");
	t_link(NULL, "l", "f");
	ok(dfs_access(t_dfs, NULL, "f", F_OK));
	rc_is(dfs_access(t_dfs, NULL, "none", F_OK), ENOENT);
	rc_is(dfs_access(t_dfs, NULL, "f", 64), EINVAL);
	ok(dfs_chmod(t_dfs, NULL, "f", 0));
	ok(dfs_access(t_dfs, NULL, "l", F_OK));
	if (geteuid() == 0) {
		ok(dfs_access(t_dfs, NULL, "f", R_OK | W_OK));
		rc_is(dfs_access(t_dfs, NULL, "l", X_OK), EACCES);
		/* as somebody else */
		assert_int_equal(seteuid(12345), 0);
		rc_is(dfs_access(t_dfs, NULL, "f", R_OK), EACCES);
		assert_int_equal(seteuid(0), 0);
		ok(dfs_chmod(t_dfs, NULL, "f", 0604));
		assert_int_equal(seteuid(12345), 0);
		assert_int_equal(setegid(getegid()), 0);
		rc_is(dfs_access(t_dfs, NULL, "f", W_OK), EACCES);
		assert_int_equal(seteuid(0), 0);
		ok(dfs_chown(t_dfs, NULL, "f", 12345, -1, 0));
		assert_int_equal(seteuid(12345), 0);
		ok(dfs_access(t_dfs, NULL, "l", R_OK | W_OK));
		rc_is(dfs_access(t_dfs, NULL, "f", X_OK), EACCES);
		assert_int_equal(seteuid(0), 0);
	} else {
		rc_is(dfs_access(t_dfs, NULL, "f", R_OK), EACCES);
		ok(dfs_chmod(t_dfs, NULL, "f", 0400));
		ok(dfs_access(t_dfs, NULL, "f", R_OK));
		rc_is(dfs_access(t_dfs, NULL, "f", W_OK), EACCES);
	}
	ok(dfs_access(t_dfs, NULL, NULL, R_OK | W_OK | X_OK));
}

static void
test_create_as(void **state)
{
	const struct dfs_owner owner = {.uid = 42, .gid = 43};
	struct stat st, again;
	dfs_obj_t *f;

	ok(dfs_create_as(t_dfs, NULL, "f", S_IFREG | 0640, O_RDWR | O_EXCL, NULL, &owner, &f, &st));
	assert_int_equal(st.st_uid, 42);
	assert_int_equal(st.st_gid, 43);
	ok(dfs_ostat(t_dfs, f, &again));
	assert_memory_equal(&st, &again, sizeof(st));
	ok(dfs_release(f));
	rc_is(
	    dfs_create_as(t_dfs, NULL, "f", S_IFREG | 0640, O_RDWR | O_EXCL, NULL, &owner, &f, &st),
	    EEXIST);
	t_file(NULL, "g", "123");
	ok(dfs_create_as(t_dfs, NULL, "g", S_IFREG | 0640, O_RDWR, NULL, &owner, &f, &st));
	assert_int_equal(st.st_size, 3);
	assert_int_equal(st.st_uid, geteuid());
	ok(dfs_release(f));
	ok(dfs_create_as(t_dfs, NULL, "l", S_IFLNK | 0777, O_EXCL, "to", &owner, &f, &st));
	assert_int_equal(st.st_size, 2);
	ok(dfs_release(f));
	ok(dfs_create_as(t_dfs, NULL, "d", S_IFDIR | 0700, O_EXCL, NULL, &owner, &f, &st));
	ok(dfs_ostat(t_dfs, f, &again));
	assert_memory_equal(&st, &again, sizeof(st));
	ok(dfs_release(f));
}

static void
test_cont_owner(void **state)
{
	struct stat st;

	ok(dfs_cont_set_owner(t_coh, "alice@", 77, NULL, 0));
	ok(dfs_stat(t_dfs, NULL, NULL, &st));
	assert_int_equal(st.st_uid, 77);
	rc_is(dfs_cont_set_owner(t_coh, NULL, 77, NULL, 0), EINVAL);
}

static void
test_costs(void **state)
{
	struct stat st;

	t_file(NULL, "f", "x");
	memdaos_count_reset();
	ok(dfs_stat(t_dfs, NULL, "f", &st));
	assert_int_equal(memdaos_count(MEM_OP_FETCH), 1);
	assert_int_equal(memdaos_count(MEM_OP_ARRAY_SIZE), 1);
	assert_int_equal(memdaos_count_all(), 2);
}

#define T(_f) cmocka_unit_test_setup_teardown(_f, t_setup, t_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_file_times), T(test_dir_times), T(test_stat_kinds), T(test_chmod_chown),
	    T(test_access),     T(test_create_as), T(test_cont_owner), T(test_costs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
