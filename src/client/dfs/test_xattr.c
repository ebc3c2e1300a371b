/* Extended attributes. */
#include "client/dfs/test_dfs.h"

static dfs_obj_t *obj;

static void
test_set_get(void **state)
{
	char buf[16];
	daos_size_t size;

	ok(dfs_setxattr(t_dfs, obj, "user.a", "value", 5, 0));
	size = sizeof(buf);
	ok(dfs_getxattr(t_dfs, obj, "user.a", buf, &size));
	assert_int_equal(size, 5);
	assert_memory_equal(buf, "value", 5);
	/* how long is it? */
	size = 0;
	ok(dfs_getxattr(t_dfs, obj, "user.a", NULL, &size));
	assert_int_equal(size, 5);
	size = 0;
	ok(dfs_getxattr(t_dfs, obj, "user.a", buf, &size));
	assert_int_equal(size, 5);
	size = 4;
	rc_is(dfs_getxattr(t_dfs, obj, "user.a", buf, &size), ERANGE);
	assert_int_equal(size, 5);
	size = 5;
	ok(dfs_getxattr(t_dfs, obj, "user.a", buf, &size));
	/* replaced by a longer and a shorter one */
	ok(dfs_setxattr(t_dfs, obj, "user.a", "a longer one", 12, 0));
	ok(dfs_setxattr(t_dfs, obj, "user.a", "s", 1, 0));
	size = sizeof(buf);
	ok(dfs_getxattr(t_dfs, obj, "user.a", buf, &size));
	assert_int_equal(size, 1);
	assert_int_equal(buf[0], 's');
}

static void
test_empty(void **state)
{
	char buf[4];
	daos_size_t size = sizeof(buf);

	ok(dfs_setxattr(t_dfs, obj, "user.none", NULL, 0, XATTR_CREATE));
	ok(dfs_getxattr(t_dfs, obj, "user.none", buf, &size));
	assert_int_equal(size, 0);
	size = 0;
	ok(dfs_getxattr(t_dfs, obj, "user.none", NULL, &size));
	assert_int_equal(size, 0);
	rc_is(dfs_setxattr(t_dfs, obj, "user.none", "x", 1, XATTR_CREATE), EEXIST);
	ok(dfs_setxattr(t_dfs, obj, "user.none", "x", 1, XATTR_REPLACE));
}

static void
test_flags(void **state)
{
	daos_size_t size = 0;

	rc_is(dfs_setxattr(t_dfs, obj, "user.a", "x", 1, XATTR_REPLACE), ENODATA);
	ok(dfs_setxattr(t_dfs, obj, "user.a", "x", 1, XATTR_CREATE));
	rc_is(dfs_setxattr(t_dfs, obj, "user.a", "y", 1, XATTR_CREATE), EEXIST);
	ok(dfs_setxattr(t_dfs, obj, "user.a", "z", 1, XATTR_REPLACE));
	rc_is(dfs_setxattr(t_dfs, obj, "user.a", "z", 1, 77), EINVAL);
	rc_is(dfs_setxattr(t_dfs, obj, "user.a", NULL, 1, 0), EINVAL);
	ok(dfs_removexattr(t_dfs, obj, "user.a"));
	rc_is(dfs_removexattr(t_dfs, obj, "user.a"), ENODATA);
	rc_is(dfs_getxattr(t_dfs, obj, "user.a", NULL, &size), ENODATA);
	rc_is(dfs_getxattr(t_dfs, obj, "user.a", NULL, NULL), EINVAL);
}

static void
test_limits(void **state)
{
	static char big[DFS_MAX_XATTR_LEN + 1], got[DFS_MAX_XATTR_LEN];
	char name[DFS_MAX_XATTR_NAME + 2];
	daos_size_t size = sizeof(got);

	memset(big, 'b', sizeof(big));
	memset(name, 'n', sizeof(name));
	name[DFS_MAX_XATTR_NAME + 1] = '\0';
	rc_is(dfs_setxattr(t_dfs, obj, name, "x", 1, 0), ENAMETOOLONG);
	rc_is(dfs_setxattr(t_dfs, obj, "", "x", 1, 0), EINVAL);
	rc_is(dfs_setxattr(t_dfs, obj, "user.big", big, sizeof(big), 0), E2BIG);
	name[DFS_MAX_XATTR_NAME] = '\0';
	ok(dfs_setxattr(t_dfs, obj, name, big, DFS_MAX_XATTR_LEN, 0));
	ok(dfs_getxattr(t_dfs, obj, name, got, &size));
	assert_int_equal(size, DFS_MAX_XATTR_LEN);
	assert_memory_equal(big, got, sizeof(got));
	size = 0;
	ok(dfs_listxattr(t_dfs, obj, NULL, &size));
	assert_int_equal(size, DFS_MAX_XATTR_NAME + 1);
}

static void
test_list(void **state)
{
	char list[4096], name[32];
	daos_size_t size = sizeof(list);
	int i;

	ok(dfs_listxattr(t_dfs, obj, list, &size));
	assert_int_equal(size, 0);
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "user.name%03d", i);
		ok(dfs_setxattr(t_dfs, obj, name, "v", 1, 0));
	}
	memdaos_set_page(9, true);
	size = sizeof(list);
	ok(dfs_listxattr(t_dfs, obj, list, &size));
	assert_int_equal(size, 100 * 13);
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "user.name%03d", i);
		assert_non_null(memmem(list, size, name, 13));
	}
	size = 100;
	rc_is(dfs_listxattr(t_dfs, obj, list, &size), ERANGE);
	assert_int_equal(size, 100 * 13);
	size = 0;
	ok(dfs_listxattr(t_dfs, obj, NULL, &size));
	assert_int_equal(size, 100 * 13);
}

/* A name that is gone must not come back as something that has attributes only. */
static void
test_gone(void **state)
{
	daos_size_t size = 0;
	uint32_t nr = 10;
	struct dirent ents[10];
	daos_anchor_t anchor = {0};
	dfs_obj_t *root;

	ok(dfs_remove(t_dfs, NULL, "f", false, NULL));
	rc_is(dfs_setxattr(t_dfs, obj, "user.a", "x", 1, 0), ENOENT);
	rc_is(dfs_setxattr(t_dfs, obj, "user.a", "x", 1, XATTR_CREATE), ENOENT);
	rc_is(dfs_setxattr(t_dfs, obj, "user.a", "x", 1, XATTR_REPLACE), ENOENT);
	rc_is(dfs_getxattr(t_dfs, obj, "user.a", NULL, &size), ENODATA);
	ok(dfs_lookup(t_dfs, "/", O_RDONLY, &root, NULL, NULL));
	ok(dfs_readdir(t_dfs, root, &anchor, &nr, ents));
	assert_int_equal(nr, 0);
	ok(dfs_release(root));
	t_file(NULL, "f", "");
}

static void
test_kinds(void **state)
{
	dfs_obj_t *d = t_dir(NULL, "d"), *l, *root;
	char buf[8];
	daos_size_t size;

	t_link(NULL, "l", "d");
	ok(dfs_lookup(t_dfs, "/l", O_RDWR | O_NOFOLLOW, &l, NULL, NULL));
	ok(dfs_lookup(t_dfs, "/", O_RDWR, &root, NULL, NULL));
	ok(dfs_setxattr(t_dfs, d, "user.k", "dir", 3, 0));
	ok(dfs_setxattr(t_dfs, l, "user.k", "link", 4, 0));
	ok(dfs_setxattr(t_dfs, root, "user.k", "root!", 5, 0));
	size = sizeof(buf);
	ok(dfs_getxattr(t_dfs, d, "user.k", buf, &size));
	assert_int_equal(size, 3);
	size = sizeof(buf);
	ok(dfs_getxattr(t_dfs, l, "user.k", buf, &size));
	assert_int_equal(size, 4);
	size = sizeof(buf);
	ok(dfs_getxattr(t_dfs, root, "user.k", buf, &size));
	assert_int_equal(size, 5);
	ok(dfs_release(root));
	ok(dfs_release(l));
	ok(dfs_release(d));
}

static int
setup(void **state)
{
	t_setup(state);
	t_file(NULL, "f", "content");
	return dfs_lookup(t_dfs, "/f", O_RDWR, &obj, NULL, NULL);
}

static int
teardown(void **state)
{
	ok(dfs_release(obj));
	return t_teardown(state);
}

#define T(_f) cmocka_unit_test_setup_teardown(_f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_set_get), T(test_empty), T(test_flags), T(test_limits),
	    T(test_list),    T(test_gone),  T(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
