/* Remove, rename, exchange: every combination of kinds, races, and a stop after each step. */
#include "client/dfs/test_dfs.h"

/* --- remove --- */

static void
test_remove(void **state)
{
	dfs_obj_t *d = t_dir(NULL, "d"), *e = t_dir(d, "e"), *obj;
	daos_obj_id_t oid, got;

	t_file(e, "f", "x");
	t_link(d, "l", "nowhere");
	oid = t_oid(e, "f");
	assert_true(memdaos_object_exists(t_coh, oid));
	rc_is(dfs_remove(t_dfs, NULL, "d", false, NULL), ENOTEMPTY);
	rc_is(dfs_remove(t_dfs, d, "e", false, NULL), ENOTEMPTY);
	rc_is(dfs_remove(t_dfs, d, "x", false, NULL), ENOENT);
	ok(dfs_remove(t_dfs, d, "l", false, NULL));
	ok(dfs_remove(t_dfs, e, "f", false, &got));
	assert_true(same_oid(oid, got));
	assert_false(memdaos_object_exists(t_coh, oid));
	ok(dfs_remove(t_dfs, d, "e", false, NULL));
	ok(dfs_remove(t_dfs, NULL, "d", false, NULL));
	rc_is(dfs_lookup(t_dfs, "/d", O_RDONLY, &obj, NULL, NULL), ENOENT);
	ok(dfs_release(e));
	ok(dfs_release(d));
	assert_int_equal(memdaos_objects(t_coh), 1); /* the superblock */
}

static void
test_remove_tree(void **state)
{
	dfs_obj_t *d = t_dir(NULL, "d"), *sub;
	char name[32];
	int i, j;

	for (i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "sub%d", i);
		sub = t_dir(d, name);
		for (j = 0; j < 150; j++) {
			snprintf(name, sizeof(name), "f%d", j);
			t_file(sub, name, "1");
		}
		ok(dfs_release(sub));
	}
	ok(dfs_release(d));
	memdaos_set_page(7, true);
	ok(dfs_remove(t_dfs, NULL, "d", true, NULL));
	rc_is(t_exists(NULL, "d"), ENOENT);
	assert_int_equal(memdaos_objects(t_coh), 1);
}

static void
test_remove_costs(void **state)
{
	t_file(NULL, "f", "x");
	memdaos_count_reset();
	ok(dfs_remove(t_dfs, NULL, "f", false, NULL));
	assert_int_equal(memdaos_count(MEM_OP_FETCH), 1);
	assert_int_equal(memdaos_count(MEM_OP_PUNCH_DKEYS), 1);
	assert_int_equal(memdaos_count(MEM_OP_PUNCH_OBJ), 1);
	assert_int_equal(memdaos_count_all(), 3);
}

/* --- rename --- */

static void
make(dfs_obj_t *dir, const char *name, char kind)
{
	dfs_obj_t *obj;

	switch (kind) {
	case 'f':
		t_file(dir, name, name);
		break;
	case 'l':
		t_link(dir, name, "somewhere");
		break;
	case 'd':
	case 'D': /* with something inside */
		obj = t_dir(dir, name);
		if (kind == 'D')
			t_file(obj, "inside", "x");
		ok(dfs_release(obj));
		break;
	default: /* nothing */
		break;
	}
}

static const struct {
	char src, dst;
	int rc;
} matrix[] = {
    {'-', '-', ENOENT},  {'-', 'f', ENOENT},    {'f', '-', 0},         {'f', 'f', 0},
    {'f', 'l', 0},       {'f', 'd', EISDIR},    {'f', 'D', EISDIR},    {'l', '-', 0},
    {'l', 'f', 0},       {'l', 'l', 0},         {'l', 'd', EISDIR},    {'l', 'D', EISDIR},
    {'d', '-', 0},       {'d', 'd', 0},         {'D', 'd', 0},         {'d', 'f', ENOTDIR},
    {'d', 'l', ENOTDIR}, {'d', 'D', ENOTEMPTY}, {'D', 'D', ENOTEMPTY}, {'D', '-', 0},
};

static void
test_rename_matrix(void **state)
{
	size_t i, same;

	for (i = 0; i < sizeof(matrix) / sizeof(matrix[0]); i++) {
		for (same = 0; same < 2; same++) {
			dfs_obj_t *a = t_dir(NULL, "a"), *b = same ? a : t_dir(NULL, "b");
			daos_obj_id_t src = {0}, dst = {0}, gone = {0}, now_there;
			struct stat st;

			make(a, "src", matrix[i].src);
			make(b, "dst", matrix[i].dst);
			if (matrix[i].src != '-')
				src = t_oid(a, "src");
			if (matrix[i].dst != '-')
				dst = t_oid(b, "dst");
			rc_is(dfs_move(t_dfs, a, "src", b, "dst", &gone), matrix[i].rc);
			if (matrix[i].rc == 0) {
				rc_is(t_exists(a, "src"), ENOENT);
				now_there = t_oid(b, "dst");
				assert_true(same_oid(src, now_there));
				ok(dfs_stat(t_dfs, b, "dst", &st));
				assert_int_equal(st.st_mode & S_IFMT, matrix[i].src == 'f' ? S_IFREG
								      : matrix[i].src == 'l'
									  ? S_IFLNK
									  : S_IFDIR);
				if (matrix[i].dst == 'f' || matrix[i].dst == 'd') {
					assert_true(same_oid(gone, dst));
					assert_false(memdaos_object_exists(t_coh, dst));
				} else {
					assert_true(daos_obj_id_is_nil(gone));
				}
			} else {
				if (matrix[i].src != '-')
					assert_true(same_oid(src, t_oid(a, "src")));
				if (matrix[i].dst != '-')
					assert_true(same_oid(dst, t_oid(b, "dst")));
			}
			ok(dfs_release(a));
			if (!same)
				ok(dfs_release(b));
			ok(dfs_remove(t_dfs, NULL, "a", true, NULL));
			if (!same)
				ok(dfs_remove(t_dfs, NULL, "b", true, NULL));
			assert_int_equal(memdaos_objects(t_coh), 1);
		}
	}
}

static void
test_rename_special(void **state)
{
	dfs_obj_t *a = t_dir(NULL, "a"), *b = t_dir(a, "b"), *c = t_dir(b, "c"), *obj;
	daos_obj_id_t oid;

	/* into itself, at any depth */
	rc_is(dfs_move(t_dfs, NULL, "a", a, "x", NULL), EINVAL);
	rc_is(dfs_move(t_dfs, NULL, "a", b, "x", NULL), EINVAL);
	rc_is(dfs_move(t_dfs, NULL, "a", c, "x", NULL), EINVAL);
	ok(dfs_lookup(t_dfs, "/a/b/c", O_RDWR, &obj, NULL, NULL));
	rc_is(dfs_move(t_dfs, NULL, "a", obj, "x", NULL), EINVAL);
	ok(dfs_release(obj));
	/* onto itself is nothing */
	t_file(a, "f", "x");
	oid = t_oid(a, "f");
	ok(dfs_move(t_dfs, a, "f", a, "f", NULL));
	assert_true(memdaos_object_exists(t_coh, oid));
	/* a parent as target is a directory with something in it */
	rc_is(dfs_move(t_dfs, b, "c", a, "b", NULL), ENOTEMPTY);
	rc_is(dfs_move(t_dfs, a, "..", a, "x", NULL), EINVAL);
	ok(dfs_lookup(t_dfs, "/a/f", O_RDONLY, &obj, NULL, NULL));
	rc_is(dfs_move(t_dfs, NULL, "a", obj, "x", NULL), ENOTDIR);
	ok(dfs_release(obj));
	/* a moved directory is where it was moved to, for its open handle too */
	ok(dfs_move(t_dfs, b, "c", NULL, "c", NULL));
	ok(dfs_update_parent(c, a, "c"));
	ok(dfs_ostat(t_dfs, c, &(struct stat){0}));
	ok(dfs_release(c));
	ok(dfs_release(b));
	ok(dfs_release(a));
}

static void
test_rename_carries(void **state)
{
	char value[64], list[128];
	struct stat before, after;
	daos_size_t size;
	dfs_obj_t *src, *dst;

	t_file(NULL, "src", "data");
	t_file(NULL, "dst", "old");
	ok(dfs_lookup(t_dfs, "/src", O_RDWR, &src, NULL, NULL));
	ok(dfs_lookup(t_dfs, "/dst", O_RDWR, &dst, NULL, NULL));
	ok(dfs_setxattr(t_dfs, src, "user.a", "from src", 8, 0));
	ok(dfs_setxattr(t_dfs, src, "user.both", "src", 3, 0));
	ok(dfs_setxattr(t_dfs, src, "user.empty", NULL, 0, 0));
	ok(dfs_setxattr(t_dfs, dst, "user.both", "dst is longer", 13, 0));
	ok(dfs_setxattr(t_dfs, dst, "user.stale", "x", 1, 0));
	ok(dfs_chmod(t_dfs, NULL, "src", 0751));
	ok(dfs_ostat(t_dfs, src, &before));
	ok(dfs_move(t_dfs, NULL, "src", NULL, "dst", NULL));
	rc_is(dfs_ostat(t_dfs, dst, &after), ENOENT);
	rc_is(dfs_ostat(t_dfs, src, &after), ENOENT);
	ok(dfs_release(dst));
	ok(dfs_update_parent(src, src, "dst"));
	ok(dfs_ostat(t_dfs, src, &after));
	assert_int_equal(after.st_mode, before.st_mode);
	assert_int_equal(after.st_ino, before.st_ino);
	assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
	size = sizeof(value);
	ok(dfs_getxattr(t_dfs, src, "user.a", value, &size));
	assert_int_equal(size, 8);
	assert_memory_equal(value, "from src", 8);
	size = sizeof(value);
	ok(dfs_getxattr(t_dfs, src, "user.both", value, &size));
	assert_int_equal(size, 3);
	size = sizeof(value);
	ok(dfs_getxattr(t_dfs, src, "user.empty", value, &size));
	assert_int_equal(size, 0);
	size = sizeof(value);
	rc_is(dfs_getxattr(t_dfs, src, "user.stale", value, &size), ENODATA);
	size = sizeof(list);
	ok(dfs_listxattr(t_dfs, src, list, &size));
	assert_int_equal(size, strlen("user.a") + strlen("user.both") + strlen("user.empty") + 3);
	ok(dfs_release(src));
	t_content(NULL, "dst", "data");
	/* links: the target, also when a longer one is replaced */
	t_link(NULL, "long", "a/rather/long/target");
	t_link(NULL, "short", "t");
	ok(dfs_move(t_dfs, NULL, "short", NULL, "long", NULL));
	ok(dfs_lookup(t_dfs, "/long", O_RDONLY | O_NOFOLLOW, &src, NULL, NULL));
	size = sizeof(value);
	ok(dfs_get_symlink_value(src, value, &size));
	assert_string_equal(value, "t");
	ok(dfs_release(src));
}

static void
test_rename_many_xattrs(void **state)
{
	char name[300], value[DFS_MAX_XATTR_LEN];
	daos_size_t size;
	dfs_obj_t *obj;
	int i;

	t_file(NULL, "f", "x");
	ok(dfs_lookup(t_dfs, "/f", O_RDWR, &obj, NULL, NULL));
	memset(value, 'v', sizeof(value));
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "user.%0*d", i == 0 ? 250 : 20, i);
		ok(dfs_setxattr(t_dfs, obj, name, value, i == 1 ? sizeof(value) : (daos_size_t)i,
				0));
	}
	memdaos_set_page(3, true);
	ok(dfs_move(t_dfs, NULL, "f", NULL, "g", NULL));
	ok(dfs_update_parent(obj, obj, "g"));
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "user.%0*d", i == 0 ? 250 : 20, i);
		size = 0;
		ok(dfs_getxattr(t_dfs, obj, name, NULL, &size));
		assert_int_equal(size, i == 1 ? sizeof(value) : (daos_size_t)i);
	}
	ok(dfs_release(obj));
}

/* --- stopping after each step --- */

struct stop {
	int after; /* changes that are still made */
	int seen;
};

static bool
is_change(enum mem_op op)
{
	return op == MEM_OP_UPDATE || op == MEM_OP_PUNCH_OBJ || op == MEM_OP_PUNCH_DKEYS ||
	       op == MEM_OP_PUNCH_AKEYS;
}

static int
stop_hook(enum mem_op op, void *arg)
{
	struct stop *s = arg;

	if (!is_change(op))
		return 0;
	return s->seen++ < s->after ? 0 : -DER_IO;
}

/* However far it came, one of both names leads to each object, never to one that is gone. */
static void
test_rename_crash(void **state)
{
	struct stop s = {0};
	int rc;

	for (s.after = 0; s.after < 10; s.after++) {
		t_file(NULL, "src", "moved");
		t_file(NULL, "dst", "old");
		s.seen = 0;
		memdaos_set_hook(stop_hook, &s);
		rc = dfs_move(t_dfs, NULL, "src", NULL, "dst", NULL);
		memdaos_set_hook(NULL, NULL);
		if (t_exists(NULL, "src") == 0)
			t_content(NULL, "src", "moved");
		else
			t_content(NULL, "dst", "moved");
		if (s.after == 0)
			t_content(NULL, "dst", "old");
		/* both names of one object: removing one must not be done blindly */
		if (rc == 0)
			break;
		if (t_exists(NULL, "src") == 0 && same_oid(t_oid(NULL, "src"), t_oid(NULL, "dst")))
			ok(dfs_unlink_entry(t_dfs, NULL, "src", &(daos_obj_id_t){0}, &(mode_t){0}));
		else if (t_exists(NULL, "src") == 0)
			ok(dfs_remove(t_dfs, NULL, "src", false, NULL));
		ok(dfs_remove(t_dfs, NULL, "dst", false, NULL));
	}
	assert_int_equal(s.after, 3); /* new name, old name, object of what was replaced */
}

static void
test_remove_crash(void **state)
{
	struct stop s = {0};
	int rc;

	for (s.after = 0; s.after < 10; s.after++) {
		t_file(NULL, "f", "content");
		s.seen = 0;
		memdaos_set_hook(stop_hook, &s);
		rc = dfs_remove(t_dfs, NULL, "f", false, NULL);
		memdaos_set_hook(NULL, NULL);
		if (t_exists(NULL, "f") == 0)
			t_content(NULL, "f", "content");
		if (rc == 0)
			break;
	}
	assert_int_equal(s.after, 2);
}

/* --- somebody else in between --- */

struct other {
	int at; /* the change before which it happens */
	int seen;
	void (*act)(void);
	dfs_t *dfs;
};

static dfs_t *o_dfs; /* the other mount */

static int
other_hook(enum mem_op op, void *arg)
{
	struct other *o = arg;

	if (is_change(op) && o->seen++ == o->at) {
		memdaos_set_hook(NULL, NULL);
		o->act();
	}
	return 0;
}

static void
act_unlink(void)
{
	ok(dfs_remove(o_dfs, NULL, "src", false, NULL));
}

static void
act_rename(void)
{
	ok(dfs_move(o_dfs, NULL, "src", NULL, "theirs", NULL));
}

static void
act_create_dst(void)
{
	t_file(NULL, "dst", "theirs");
}

static void
act_remove_dst(void)
{
	ok(dfs_remove(o_dfs, NULL, "dst", false, NULL));
}

static int
move_with(int at, void (*act)(void))
{
	struct other o = {.at = at, .act = act};
	int rc;

	ok(dfs_mount(t_poh, t_coh, O_RDWR, &o_dfs));
	memdaos_set_hook(other_hook, &o);
	rc = dfs_move(t_dfs, NULL, "src", NULL, "dst", NULL);
	memdaos_set_hook(NULL, NULL);
	assert_true(o.seen > at);
	ok(dfs_umount(o_dfs));
	return rc;
}

static void
test_rename_races(void **state)
{
	daos_obj_id_t oid;

	/* the old name is unlinked after the new one was made: nothing is left */
	t_file(NULL, "src", "x");
	oid = t_oid(NULL, "src");
	rc_is(move_with(1, act_unlink), ENOENT);
	rc_is(t_exists(NULL, "dst"), ENOENT);
	assert_false(memdaos_object_exists(t_coh, oid));
	/* it is renamed to something else: that holds, and there is one name */
	t_file(NULL, "src", "x");
	rc_is(move_with(1, act_rename), ENOENT);
	rc_is(t_exists(NULL, "dst"), ENOENT);
	t_content(NULL, "theirs", "x");
	ok(dfs_remove(t_dfs, NULL, "theirs", false, NULL));
	/* the same where something was replaced */
	t_file(NULL, "src", "x");
	t_file(NULL, "dst", "replaced");
	oid = t_oid(NULL, "dst");
	rc_is(move_with(1, act_rename), ENOENT);
	t_content(NULL, "theirs", "x");
	assert_false(memdaos_object_exists(t_coh, oid));
	ok(dfs_remove(t_dfs, NULL, "theirs", false, NULL));
	/* the target appears meanwhile: it is replaced */
	t_file(NULL, "src", "mine");
	ok(move_with(0, act_create_dst));
	t_content(NULL, "dst", "mine");
	/* the target goes meanwhile */
	t_file(NULL, "src", "mine again");
	ok(move_with(0, act_remove_dst));
	t_content(NULL, "dst", "mine again");
	ok(dfs_remove(t_dfs, NULL, "dst", false, NULL));
	assert_int_equal(memdaos_objects(t_coh), 1);
}

/* --- exchange --- */

static void
test_exchange(void **state)
{
	dfs_obj_t *a = t_dir(NULL, "a"), *b = t_dir(a, "b"), *obj;
	char value[32];
	daos_size_t size;
	struct stat st;

	t_file(a, "f", "in a");
	t_file(b, "g", "in b");
	ok(dfs_lookup(t_dfs, "/a/f", O_RDWR, &obj, NULL, NULL));
	ok(dfs_setxattr(t_dfs, obj, "user.x", "of f", 4, 0));
	ok(dfs_release(obj));
	ok(dfs_exchange(t_dfs, a, "f", b, "g"));
	t_content(a, "f", "in b");
	t_content(b, "g", "in a");
	ok(dfs_lookup(t_dfs, "/a/b/g", O_RDWR, &obj, NULL, NULL));
	size = sizeof(value);
	ok(dfs_getxattr(t_dfs, obj, "user.x", value, &size));
	ok(dfs_release(obj));
	ok(dfs_lookup(t_dfs, "/a/f", O_RDWR, &obj, NULL, NULL));
	rc_is(dfs_getxattr(t_dfs, obj, "user.x", value, &size), ENODATA);
	ok(dfs_release(obj));
	/* different kinds */
	t_link(NULL, "l", "a/f");
	ok(dfs_exchange(t_dfs, NULL, "l", a, "f"));
	ok(dfs_stat(t_dfs, a, "f", &st));
	assert_int_equal(st.st_mode & S_IFMT, S_IFLNK);
	t_content(NULL, "l", "in b");
	/* a directory with what is in it, and what cannot be */
	rc_is(dfs_exchange(t_dfs, NULL, "a", b, "g"), EINVAL);
	rc_is(dfs_exchange(t_dfs, NULL, "a", a, "nothing"), ENOENT);
	ok(dfs_exchange(t_dfs, a, "f", a, "f"));
	ok(dfs_release(b));
	ok(dfs_release(a));
	/* the name in between is gone */
	ok(dfs_remove(t_dfs, NULL, "a", true, NULL));
	ok(dfs_remove(t_dfs, NULL, "l", true, NULL));
	assert_int_equal(memdaos_objects(t_coh), 1);
}

/* --- what the mount needs --- */

static void
test_keep(void **state)
{
	daos_obj_id_t oid, got;
	mode_t mode;

	t_file(NULL, "f", "x");
	oid = t_oid(NULL, "f");
	ok(dfs_unlink_entry(t_dfs, NULL, "f", &got, &mode));
	assert_true(same_oid(oid, got));
	assert_int_equal(mode, S_IFREG | 0644);
	assert_true(memdaos_object_exists(t_coh, oid));
	ok(dfs_punch_object(t_dfs, oid, mode));
	assert_false(memdaos_object_exists(t_coh, oid));
	ok(dfs_mkdir(t_dfs, NULL, "d", 0755, 0));
	rc_is(dfs_unlink_entry(t_dfs, NULL, "d", &got, &mode), EISDIR);
	t_file(NULL, "a", "a");
	t_file(NULL, "b", "b");
	oid = t_oid(NULL, "b");
	ok(dfs_move_keep(t_dfs, NULL, "a", NULL, "b", &got, &mode));
	assert_true(same_oid(oid, got));
	assert_true(memdaos_object_exists(t_coh, oid));
	ok(dfs_move_keep(t_dfs, NULL, "b", NULL, "c", &got, &mode));
	assert_int_equal(mode, 0);
}

#define T(_f) cmocka_unit_test_setup_teardown(_f, t_setup, t_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_remove),
	    T(test_remove_tree),
	    T(test_remove_costs),
	    T(test_rename_matrix),
	    T(test_rename_special),
	    T(test_rename_carries),
	    T(test_rename_many_xattrs),
	    T(test_rename_crash),
	    T(test_remove_crash),
	    T(test_rename_races),
	    T(test_exchange),
	    T(test_keep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
