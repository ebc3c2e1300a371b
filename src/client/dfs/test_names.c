/* Names: lookup, links, open, create, prefix. */
#include "client/dfs/test_dfs.h"

static void
expect(const char *path, int flags, int rc, mode_t type)
{
	dfs_obj_t *obj = NULL;
	mode_t mode = 0;

	rc_is(dfs_lookup(t_dfs, path, flags, &obj, &mode, NULL), rc);
	if (rc != 0)
		return;
	assert_int_equal(mode & S_IFMT, type);
	ok(dfs_release(obj));
}

static void
test_lookup(void **state)
{
	dfs_obj_t *a = t_dir(NULL, "a"), *b = t_dir(a, "b"), *obj, *none;
	struct stat st;
	mode_t mode;

	t_file(b, "f", "abc");
	ok(dfs_lookup(t_dfs, "/a/b/f", O_RDONLY, &obj, &mode, &st));
	assert_int_equal(mode, S_IFREG | 0644);
	assert_int_equal(st.st_size, 3);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_blocks, 1);
	assert_int_equal(st.st_blksize, DFS_DEFAULT_CHUNK_SIZE);
	ok(dfs_release(obj));
	expect("/", O_RDONLY, 0, S_IFDIR);
	expect("//a///b//", O_RDONLY, 0, S_IFDIR);
	expect("/a/./b/.", O_RDONLY, 0, S_IFDIR);
	expect("/a/b/..", O_RDONLY, 0, S_IFDIR);
	expect("/a/b/../..", O_RDONLY, 0, S_IFDIR);
	expect("/../../a/b/../b/f", O_RDONLY, 0, S_IFREG);
	expect("/a/b/f/", O_RDONLY, ENOTDIR, 0);
	expect("/a/b/f/x", O_RDONLY, ENOTDIR, 0);
	expect("/a/x/f", O_RDONLY, ENOENT, 0);
	expect("/a/b/x", O_RDONLY, ENOENT, 0);
	expect("a/b", O_RDONLY, EINVAL, 0);
	expect("/a/b/f", O_RDWR | O_APPEND, ENOTSUP, 0);
	/* ".." leads to the very directory */
	ok(dfs_lookup(t_dfs, "/a/b/..", O_RDWR, &obj, NULL, &st));
	assert_string_equal(obj->name, "a");
	assert_true(same_oid(obj->oid, a->oid));
	ok(dfs_mkdir(t_dfs, obj, "made-here", 0755, 0));
	ok(t_exists(a, "made-here"));
	ok(dfs_chmod(t_dfs, obj, NULL, 0700));
	ok(dfs_stat(t_dfs, NULL, "a", &st));
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
	ok(dfs_release(obj));
	rc_is(dfs_lookup_rel(t_dfs, b, "a/b", O_RDONLY, &obj, NULL, NULL), EINVAL);
	rc_is(dfs_lookup_rel(t_dfs, b, "..", O_RDONLY, &obj, NULL, NULL), EINVAL);
	rc_is(dfs_lookup_rel(t_dfs, b, "", O_RDONLY, &obj, NULL, NULL), EINVAL);
	ok(dfs_lookup_rel(t_dfs, b, "f", O_RDONLY, &obj, NULL, NULL));
	rc_is(dfs_lookup_rel(t_dfs, obj, "f", O_RDONLY, &none, NULL, NULL), ENOTDIR);
	ok(dfs_release(obj));
	ok(dfs_release(b));
	ok(dfs_release(a));
}

static void
test_links(void **state)
{
	dfs_obj_t *a = t_dir(NULL, "a"), *b = t_dir(a, "b"), *obj, *from;
	daos_size_t size;
	char buf[64];
	mode_t mode;

	t_file(a, "f", "in a");
	t_file(b, "f", "in b");
	t_link(NULL, "abs", "/a/b/f");
	t_link(NULL, "rel", "a/b");
	t_link(b, "up", "../f");
	t_link(b, "upup", "../../a/f");
	t_link(b, "far", "../../../../a/b/f");
	t_link(b, "dot", ".");
	t_link(b, "dotdot", "..");
	t_link(b, "root", "/");
	t_link(NULL, "dangling", "nowhere/f");
	t_link(NULL, "chain", "rel/upup");
	t_link(NULL, "slash", "a/b/");
	expect("/abs", O_RDONLY, 0, S_IFREG);
	expect("/abs", O_RDONLY | O_NOFOLLOW, 0, S_IFLNK);
	expect("/rel", O_RDONLY, 0, S_IFDIR);
	expect("/rel/", O_RDONLY | O_NOFOLLOW, 0, S_IFDIR);
	expect("/rel/f", O_RDONLY | O_NOFOLLOW, 0, S_IFREG);
	expect("/rel/up", O_RDONLY, 0, S_IFREG);
	expect("/rel/dot/dot/dot/f", O_RDONLY, 0, S_IFREG);
	expect("/rel/dot", O_RDONLY, 0, S_IFDIR);
	expect("/rel/dotdot", O_RDONLY, 0, S_IFDIR);
	expect("/rel/root", O_RDONLY, 0, S_IFDIR);
	expect("/rel/root/a/b/far", O_RDONLY, 0, S_IFREG);
	expect("/slash", O_RDONLY, 0, S_IFDIR);
	expect("/slash/f", O_RDONLY, 0, S_IFREG);
	expect("/dangling", O_RDONLY, ENOENT, 0);
	expect("/dangling", O_RDONLY | O_NOFOLLOW, 0, S_IFLNK);
	expect("/abs/x", O_RDONLY, ENOTDIR, 0);
	expect("/abs/", O_RDONLY, ENOTDIR, 0);
	/* relative to an open directory, ".." needs the way one came */
	ok(dfs_lookup(t_dfs, "/a/b", O_RDONLY, &from, NULL, NULL));
	ok(dfs_lookup_rel(t_dfs, from, "upup", O_RDONLY, &obj, &mode, NULL));
	assert_true(same_oid(obj->oid, t_oid(a, "f")));
	ok(dfs_release(obj));
	ok(dfs_lookup_rel(t_dfs, from, "dotdot", O_RDONLY, &obj, &mode, NULL));
	assert_true(same_oid(obj->oid, a->oid));
	ok(dfs_release(obj));
	ok(dfs_release(from));
	ok(dfs_lookup(t_dfs, "/chain", O_RDONLY, &obj, NULL, NULL));
	assert_true(same_oid(obj->oid, t_oid(a, "f")));
	ok(dfs_release(obj));
	/* the target itself */
	ok(dfs_lookup(t_dfs, "/abs", O_RDONLY | O_NOFOLLOW, &obj, NULL, NULL));
	size = 0;
	ok(dfs_get_symlink_value(obj, NULL, &size));
	assert_int_equal(size, 7);
	size = 3;
	ok(dfs_get_symlink_value(obj, buf, &size));
	assert_int_equal(size, 7);
	assert_memory_equal(buf, "/a/", 3);
	size = sizeof(buf);
	ok(dfs_get_symlink_value(obj, buf, &size));
	assert_string_equal(buf, "/a/b/f");
	ok(dfs_release(obj));
	ok(dfs_release(b));
	ok(dfs_release(a));
}

static void
test_loops(void **state)
{
	char name[32], target[32];
	dfs_obj_t *obj;
	int i;

	t_link(NULL, "self", "self");
	t_link(NULL, "x", "y");
	t_link(NULL, "y", "/x");
	expect("/self", O_RDWR, ELOOP, 0);
	expect("/x", O_RDONLY, ELOOP, 0);
	expect("/x/f", O_RDONLY, ELOOP, 0);
	rc_is(dfs_lookup_rel(t_dfs, NULL, "self", O_RDWR, &obj, NULL, NULL), ELOOP);
	/* 40 in a row are followed, 41 are not */
	t_file(NULL, "l0", "end");
	for (i = 1; i <= 41; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		snprintf(target, sizeof(target), "l%d", i - 1);
		t_link(NULL, name, target);
	}
	expect("/l40", O_RDONLY, 0, S_IFREG);
	expect("/l41", O_RDONLY, ELOOP, 0);
}

static void
test_link_values(void **state)
{
	char longest[PATH_MAX + 1];
	daos_size_t size = 0;
	dfs_obj_t *obj;

	memset(longest, 'x', sizeof(longest));
	longest[PATH_MAX] = '\0';
	rc_is(dfs_open(t_dfs, NULL, "l", S_IFLNK | 0777, O_CREAT, 0, 0, longest, &obj),
	      ENAMETOOLONG);
	rc_is(dfs_open(t_dfs, NULL, "l", S_IFLNK | 0777, O_CREAT, 0, 0, "", &obj), EINVAL);
	rc_is(dfs_open(t_dfs, NULL, "l", S_IFLNK | 0777, O_CREAT, 0, 0, NULL, &obj), EINVAL);
	longest[PATH_MAX - 1] = '\0';
	t_link(NULL, "l", longest);
	ok(dfs_lookup(t_dfs, "/l", O_RDONLY | O_NOFOLLOW, &obj, NULL, NULL));
	ok(dfs_get_symlink_value(obj, NULL, &size));
	assert_int_equal(size, PATH_MAX);
	ok(dfs_release(obj));
	expect("/l", O_RDONLY, ENAMETOOLONG, 0);
}

static void
test_open(void **state)
{
	dfs_obj_t *obj, *dir;
	struct stat st;

	rc_is(dfs_open(t_dfs, NULL, "f", S_IFREG, O_RDWR, 0, 0, NULL, &obj), ENOENT);
	rc_is(dfs_open(t_dfs, NULL, "f", 0644, O_RDWR | O_CREAT, 0, 0, NULL, &obj), EINVAL);
	rc_is(dfs_open(t_dfs, NULL, "f", S_IFIFO | 0644, O_CREAT, 0, 0, NULL, &obj), ENOTSUP);
	rc_is(dfs_open(t_dfs, NULL, "f", S_IFREG, O_RDWR | O_CREAT | O_APPEND, 0, 0, NULL, &obj),
	      ENOTSUP);
	memdaos_count_reset();
	ok(dfs_open(t_dfs, NULL, "warm", S_IFREG | 0640, O_RDWR | O_CREAT, 0, 0, NULL, &obj));
	ok(dfs_release(obj));
	memdaos_count_reset();
	ok(dfs_open(t_dfs, NULL, "f", S_IFREG | 0640, O_RDWR | O_CREAT | O_EXCL, OC_S2, 8192, NULL,
		    &obj));
	assert_int_equal(memdaos_count_all(), 1); /* a creation is one request */
	ok(dfs_get_chunk_size(obj, &(daos_size_t){0}));
	assert_int_equal(obj->chunk_size, 8192);
	assert_int_equal(daos_obj_id2class(obj->oid), OC_S2);
	ok(dfs_ostat(t_dfs, obj, &st));
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(st.st_uid, geteuid());
	assert_int_equal(st.st_blksize, 8192);
	ok(dfs_release(obj));
	rc_is(dfs_open(t_dfs, NULL, "f", S_IFREG, O_RDWR | O_CREAT | O_EXCL, 0, 0, NULL, &obj),
	      EEXIST);
	t_file(NULL, "g", "12345");
	ok(dfs_open(t_dfs, NULL, "g", S_IFREG | 0600, O_RDWR | O_CREAT, 0, 0, NULL, &obj));
	ok(dfs_ostat(t_dfs, obj, &st));
	assert_int_equal(st.st_size, 5); /* opened, not made anew */
	ok(dfs_release(obj));
	ok(dfs_open(t_dfs, NULL, "g", S_IFREG, O_RDWR | O_TRUNC, 0, 0, NULL, &obj));
	ok(dfs_ostat(t_dfs, obj, &st));
	assert_int_equal(st.st_size, 0);
	ok(dfs_release(obj));
	dir = t_dir(NULL, "d");
	rc_is(dfs_open(t_dfs, NULL, "d", S_IFREG, O_RDWR, 0, 0, NULL, &obj), EISDIR);
	rc_is(dfs_open(t_dfs, NULL, "d", S_IFREG | 0644, O_RDWR | O_CREAT, 0, 0, NULL, &obj),
	      EISDIR);
	rc_is(dfs_open(t_dfs, NULL, "f", S_IFDIR, O_RDONLY, 0, 0, NULL, &obj), ENOTDIR);
	rc_is(dfs_mkdir(t_dfs, NULL, "d", 0755, 0), EEXIST);
	rc_is(dfs_mkdir(t_dfs, NULL, "f", 0755, 0), EEXIST);
	ok(dfs_release(dir));
	rc_is(dfs_release(NULL), EINVAL);
}

/* An object that cannot be opened gets no name. */
static void
test_open_fails(void **state)
{
	dfs_obj_t *obj;

	memdaos_refuse_class(OC_RP_3G1);
	rc_is(
	    dfs_open(t_dfs, NULL, "f", S_IFREG | 0644, O_CREAT | O_RDWR, OC_RP_3G1, 0, NULL, &obj),
	    ENOTSUP);
	rc_is(t_exists(NULL, "f"), ENOENT);
	rc_is(dfs_mkdir(t_dfs, NULL, "d", 0755, OC_RP_3G1), ENOTSUP);
	rc_is(t_exists(NULL, "d"), ENOENT);
	memdaos_refuse_class(0);
}

static void
test_long_names(void **state)
{
	char name[258];
	dfs_obj_t *obj;

	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	rc_is(dfs_mkdir(t_dfs, NULL, name, 0755, 0), ENAMETOOLONG);
	rc_is(dfs_open(t_dfs, NULL, name, S_IFREG, O_CREAT, 0, 0, NULL, &obj), ENAMETOOLONG);
	rc_is(t_exists(NULL, name), ENAMETOOLONG);
	name[255] = '\0';
	t_file(NULL, name, "long");
	t_content(NULL, name, "long");
	ok(dfs_move(t_dfs, NULL, name, NULL, "short", NULL));
	ok(dfs_move(t_dfs, NULL, "short", NULL, name, NULL));
	ok(dfs_remove(t_dfs, NULL, name, false, NULL));
	rc_is(dfs_mkdir(t_dfs, NULL, "a/b", 0755, 0), EINVAL);
	rc_is(dfs_mkdir(t_dfs, NULL, ".", 0755, 0), EINVAL);
	rc_is(dfs_remove(t_dfs, NULL, "..", true, NULL), EINVAL);
}

static void
test_prefix(void **state)
{
	dfs_obj_t *a = t_dir(NULL, "a");

	t_file(a, "f", "x");
	rc_is(dfs_set_prefix(t_dfs, "not/absolute"), EINVAL);
	ok(dfs_set_prefix(t_dfs, "/mnt/daos/"));
	expect("/mnt/daos/a/f", O_RDONLY, 0, S_IFREG);
	expect("/mnt/daos", O_RDONLY, 0, S_IFDIR);
	expect("/mnt/daos/", O_RDONLY, 0, S_IFDIR);
	expect("/mnt/daosx/a/f", O_RDONLY, EINVAL, 0);
	expect("/a/f", O_RDONLY, EINVAL, 0);
	ok(dfs_set_prefix(t_dfs, NULL));
	expect("/a/f", O_RDONLY, 0, S_IFREG);
	ok(dfs_release(a));
}

static void
test_defaults(void **state)
{
	dfs_obj_t *d = t_dir(NULL, "d"), *sub, *obj;
	dfs_obj_info_t info;
	daos_size_t chunk;

	ok(dfs_obj_set_oclass(t_dfs, d, 0, OC_S2));
	ok(dfs_obj_set_chunk_size(t_dfs, d, 0, 65536));
	rc_is(dfs_obj_set_oclass(t_dfs, d, 0, 12345), EINVAL);
	ok(dfs_obj_get_info(t_dfs, d, &info));
	assert_int_equal(info.doi_file_oclass_id, OC_S2);
	assert_int_equal(info.doi_dir_oclass_id, OC_S2);
	assert_int_equal(info.doi_chunk_size, 65536);
	/* what is made inside follows, and so does what is made inside that */
	ok(dfs_mkdir(t_dfs, d, "sub", 0755, OC_S4));
	ok(dfs_open(t_dfs, d, "sub", S_IFDIR, O_RDWR, 0, 0, NULL, &sub));
	assert_int_equal(daos_obj_id2class(sub->oid), OC_S4);
	ok(dfs_open(t_dfs, sub, "f", S_IFREG | 0644, O_CREAT | O_RDWR, 0, 0, NULL, &obj));
	assert_int_equal(daos_obj_id2class(obj->oid), OC_S2);
	ok(dfs_get_chunk_size(obj, &chunk));
	assert_int_equal(chunk, 65536);
	ok(dfs_obj_get_info(t_dfs, obj, &info));
	assert_int_equal(info.doi_oclass_id, OC_S2);
	assert_true(same_oid(info.doi_oid, obj->oid));
	rc_is(dfs_obj_set_oclass(t_dfs, obj, 0, OC_S1), ENOTSUP);
	ok(dfs_release(obj));
	/* an erasure code is for files */
	ok(dfs_obj_set_oclass(t_dfs, d, 0, OC_EC_2P1G1));
	ok(dfs_mkdir(t_dfs, d, "e", 0755, 0));
	assert_int_not_equal(daos_obj_id2class(t_oid(d, "e")), OC_EC_2P1G1);
	t_file(d, "ef", "");
	assert_int_equal(daos_obj_id2class(t_oid(d, "ef")), OC_EC_2P1G1);
	ok(dfs_release(sub));
	ok(dfs_release(d));
	/* of the root, through any handle */
	ok(dfs_lookup(t_dfs, "/", O_RDWR, &d, NULL, NULL));
	ok(dfs_obj_set_chunk_size(t_dfs, d, 0, 4096));
	ok(dfs_release(d));
	ok(dfs_open(t_dfs, NULL, "rf", S_IFREG | 0644, O_CREAT | O_RDWR, 0, 0, NULL, &obj));
	assert_int_equal(obj->chunk_size, 4096);
	ok(dfs_release(obj));
}

static void
test_dup(void **state)
{
	dfs_obj_t *d = t_dir(NULL, "d"), *f, *g, *e;
	struct stat st;

	t_file(d, "f", "dup");
	t_link(d, "l", "../d/f");
	ok(dfs_lookup(t_dfs, "/d/f", O_RDWR, &f, NULL, NULL));
	ok(dfs_dup(t_dfs, f, O_RDONLY, &g));
	rc_is(dfs_punch(t_dfs, g, 0, DFS_MAX_FSIZE), EPERM);
	ok(dfs_ostat(t_dfs, g, &st));
	assert_int_equal(st.st_size, 3);
	ok(dfs_release(f));
	ok(dfs_ostat(t_dfs, g, &st));
	ok(dfs_release(g));
	ok(dfs_dup(t_dfs, d, O_RDWR, &e));
	ok(dfs_release(d));
	ok(dfs_lookup_rel(t_dfs, e, "l", O_RDONLY, &f, NULL, NULL));
	ok(dfs_release(f));
	ok(dfs_release(e));
}

/* A directory passed to another process does not know what is above it. */
static void
test_passed_dir(void **state)
{
	dfs_obj_t *a = t_dir(NULL, "a"), *b = t_dir(a, "b"), *got, *obj;
	d_iov_t glob = {0};
	char buf[1024];

	t_file(a, "f", "x");
	t_link(b, "up", "../f");
	t_link(b, "upup", "../../a/f");
	d_iov_set(&glob, buf, sizeof(buf));
	ok(dfs_obj_local2global(t_dfs, b, &glob));
	ok(dfs_obj_global2local(t_dfs, O_RDWR, glob, &got));
	ok(dfs_lookup_rel(t_dfs, got, "up", O_RDONLY, &obj, NULL, NULL));
	ok(dfs_release(obj));
	rc_is(dfs_lookup_rel(t_dfs, got, "upup", O_RDONLY, &obj, NULL, NULL), ENOTSUP);
	ok(dfs_release(got));
	ok(dfs_release(b));
	ok(dfs_release(a));
}

#define T(_f) cmocka_unit_test_setup_teardown(_f, t_setup, t_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_lookup),   T(test_links),      T(test_loops),      T(test_link_values),
	    T(test_open),     T(test_open_fails), T(test_long_names), T(test_prefix),
	    T(test_defaults), T(test_dup),        T(test_passed_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
