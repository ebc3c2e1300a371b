/* Listing directories: pages, attributes, changes meanwhile, parts. */
#include "client/dfs/test_dfs.h"

enum { NAMES = 500 };

static dfs_obj_t *dir;
static uint8_t seen[NAMES];

static void
make(int nr)
{
	char name[32];
	int i;

	for (i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		if (i % 10 == 3)
			ok(dfs_mkdir(t_dfs, dir, name, 0755, 0));
		else if (i % 10 == 7)
			t_link(dir, name, "target");
		else
			t_file(dir, name, name);
	}
	memset(seen, 0, sizeof(seen));
}

static void
saw(const char *name)
{
	int i = atoi(name + 1);

	assert_in_range(i, 0, NAMES - 1);
	seen[i]++;
}

static int
list_all(uint32_t page)
{
	struct dirent *ents = malloc(page * sizeof(*ents));
	daos_anchor_t anchor = {0};
	int total = 0;
	uint32_t i;

	while (!daos_anchor_is_eof(&anchor)) {
		uint32_t nr = page;

		ok(dfs_readdir(t_dfs, dir, &anchor, &nr, ents));
		assert_in_range(nr, 0, page);
		for (i = 0; i < nr; i++)
			saw(ents[i].d_name);
		total += nr;
	}
	free(ents);
	return total;
}

static void
test_pages(void **state)
{
	static const uint32_t pages[] = {1, 2, 7, 100, 1000};
	size_t i;
	int k;

	assert_int_equal(list_all(10), 0);
	make(200);
	for (i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		memdaos_set_page(i == 3 ? 13 : 0, i == 2);
		assert_int_equal(list_all(pages[i]), 200);
	}
	for (k = 0; k < 200; k++)
		assert_int_equal(seen[k], i);
}

static void
test_bad(void **state)
{
	daos_anchor_t anchor = {0};
	struct dirent ents[2];
	uint32_t nr = 0;
	dfs_obj_t *f;

	rc_is(dfs_readdir(t_dfs, dir, &anchor, &nr, ents), EINVAL);
	nr = 2;
	rc_is(dfs_readdir(t_dfs, dir, NULL, &nr, ents), EINVAL);
	rc_is(dfs_readdir(t_dfs, NULL, &anchor, &nr, ents), EINVAL);
	t_file(dir, "n0", "");
	ok(dfs_lookup(t_dfs, "/d/n0", O_RDONLY, &f, NULL, NULL));
	rc_is(dfs_readdir(t_dfs, f, &anchor, &nr, ents), ENOTDIR);
	ok(dfs_release(f));
}

static void
test_long_names(void **state)
{
	struct dirent ents[3];
	daos_anchor_t anchor = {0};
	char name[256];
	int i, total = 0;

	memset(name, 'x', 255);
	name[255] = '\0';
	for (i = 0; i < 26; i++) {
		name[0] = 'a' + i;
		t_file(dir, name, "");
	}
	while (!daos_anchor_is_eof(&anchor)) {
		uint32_t nr = 3;

		ok(dfs_readdir(t_dfs, dir, &anchor, &nr, ents));
		for (i = 0; i < (int)nr; i++)
			assert_int_equal(strlen(ents[i].d_name), 255);
		total += nr;
	}
	assert_int_equal(total, 26);
}

static void
test_plus(void **state)
{
	struct dirent ents[64];
	struct stat sts[64], st;
	struct dfs_entry entries[64];
	daos_anchor_t anchor = {0};
	dfs_obj_t *obj;
	int total = 0;
	uint32_t i;

	make(200);
	memdaos_set_deferred(true);
	while (!daos_anchor_is_eof(&anchor)) {
		uint32_t nr = 64;

		ok(dfs_readdir_entries(t_dfs, dir, &anchor, &nr, ents, sts, entries));
		for (i = 0; i < nr; i++) {
			saw(ents[i].d_name);
			ok(dfs_stat(t_dfs, dir, ents[i].d_name, &st));
			assert_memory_equal(&st, &sts[i], sizeof(st));
			assert_int_equal(ents[i].d_type, IFTODT(st.st_mode));
			assert_int_equal(ents[i].d_ino, st.st_ino);
			ok(dfs_open_entry(t_dfs, dir, ents[i].d_name, &entries[i], O_RDONLY, &obj));
			ok(dfs_release(obj));
			if (S_ISREG(st.st_mode))
				assert_int_equal(st.st_size, strlen(ents[i].d_name));
		}
		total += nr;
	}
	assert_int_equal(total, 200);
	/* two at a time have a queue each, and those are kept */
	assert_int_equal(t_dfs->eq_nr, 1);
	rc_is(dfs_readdirplus(t_dfs, dir, &anchor, &(uint32_t){4}, ents, NULL), EINVAL);
}

/* Entries that go between listing and looking are left out. */
static int
vanish_hook(enum mem_op op, void *arg)
{
	char name[32];
	int i;

	if (op != MEM_OP_FETCH)
		return 0;
	memdaos_set_hook(NULL, NULL);
	for (i = 0; i < 50; i += 2) {
		snprintf(name, sizeof(name), "n%d", i);
		ok(dfs_remove(t_dfs, dir, name, true, NULL));
	}
	return 0;
}

static void
test_plus_vanishing(void **state)
{
	struct dirent ents[64];
	struct stat sts[64];
	daos_anchor_t anchor = {0};
	uint32_t nr = 64, i;

	make(50);
	memdaos_set_hook(vanish_hook, NULL);
	ok(dfs_readdirplus(t_dfs, dir, &anchor, &nr, ents, sts));
	assert_int_equal(nr, 25);
	for (i = 0; i < nr; i++) {
		saw(ents[i].d_name);
		assert_int_equal(atoi(ents[i].d_name + 1) % 2, 1);
	}
}

static int
fail_some(enum mem_op op, void *arg)
{
	int *left = arg;

	return op == MEM_OP_FETCH && --*left == 0 ? -DER_IO : 0;
}

static void
test_plus_error(void **state)
{
	struct dirent ents[64];
	struct stat sts[64];
	int left;

	make(50);
	for (left = 1; left <= 50; left += 7) {
		daos_anchor_t anchor = {0};
		uint32_t nr = 64;
		int n = left;

		memdaos_set_hook(fail_some, &n);
		rc_is(dfs_readdirplus(t_dfs, dir, &anchor, &nr, ents, sts), EIO);
	}
	memdaos_set_hook(NULL, NULL);
}

/* What exists all the time is listed exactly once, whatever happens to others. */
static void
test_changes(void **state)
{
	struct dirent ents[16];
	daos_anchor_t anchor = {0};
	char name[32];
	int turn = 0, i;
	uint32_t k;

	make(200);
	while (!daos_anchor_is_eof(&anchor)) {
		uint32_t nr = 16;

		ok(dfs_readdir(t_dfs, dir, &anchor, &nr, ents));
		for (k = 0; k < nr; k++)
			saw(ents[k].d_name);
		for (i = 0; i < 5; i++) {
			snprintf(name, sizeof(name), "n%d", 200 + turn * 5 + i);
			t_file(dir, name, "");
			snprintf(name, sizeof(name), "n%d", turn * 5 + i);
			if (turn < 20)
				ok(dfs_remove(t_dfs, dir, name, true, NULL));
		}
		turn++;
	}
	for (i = 100; i < 200; i++)
		assert_int_equal(seen[i], 1);
	for (i = 0; i < NAMES; i++)
		assert_in_range(seen[i], 0, 1);
}

/* Removing everything while listing it, as rm -r does. */
static void
test_remove_listed(void **state)
{
	struct dirent ents[16];
	daos_anchor_t anchor = {0};
	uint32_t k;

	make(200);
	while (!daos_anchor_is_eof(&anchor)) {
		uint32_t nr = 16;

		ok(dfs_readdir(t_dfs, dir, &anchor, &nr, ents));
		for (k = 0; k < nr; k++)
			ok(dfs_remove(t_dfs, dir, ents[k].d_name, false, NULL));
	}
	assert_int_equal(list_all(16), 0);
}

static int
stop_at_ten(dfs_t *dfs, dfs_obj_t *obj, const char name[], void *arg)
{
	return ++*(int *)arg == 10 ? 42 : 0;
}

static int
see(dfs_t *dfs, dfs_obj_t *obj, const char name[], void *arg)
{
	saw(name);
	++*(int *)arg;
	return 0;
}

static void
test_iterate(void **state)
{
	daos_anchor_t anchor = {0};
	uint32_t nr = 50;
	int calls = 0;

	make(200);
	rc_is(dfs_iterate(t_dfs, dir, &anchor, &nr, 8192, stop_at_ten, &calls), 42);
	assert_int_equal(nr, 10);
	memset(&anchor, 0, sizeof(anchor));
	nr = 50;
	rc_is(dfs_iterate(t_dfs, dir, &anchor, &nr, 10, see, &calls), EINVAL);
	calls = 0;
	while (!daos_anchor_is_eof(&anchor)) {
		nr = 50;
		ok(dfs_iterate(t_dfs, dir, &anchor, &nr, 256, see, &calls)); /* little memory */
	}
	assert_int_equal(calls, 200);
}

static void
test_parts(void **state)
{
	daos_anchor_t anchors[4];
	struct dirent ents[32];
	uint32_t parts = 0, p, k;
	int i, total = 0;

	make(200);
	ok(dfs_obj_anchor_split(dir, &parts, NULL));
	assert_int_equal(parts, 4);
	ok(dfs_obj_anchor_split(dir, &parts, anchors));
	for (p = 0; p < parts; p++) {
		while (!daos_anchor_is_eof(&anchors[p])) {
			uint32_t nr = 32;

			ok(dfs_readdir(t_dfs, dir, &anchors[p], &nr, ents));
			for (k = 0; k < nr; k++)
				saw(ents[k].d_name);
			total += nr;
		}
	}
	assert_int_equal(total, 200);
	for (i = 0; i < 200; i++)
		assert_int_equal(seen[i], 1);
	ok(dfs_obj_anchor_set(dir, 2, &anchors[0]));
	rc_is(dfs_obj_anchor_set(dir, 9, &anchors[0]), EINVAL);
}

static void
test_continue_behind(void **state)
{
	struct dirent ents[32], again[32];
	daos_anchor_t anchor = {0};
	uint32_t nr = 32;

	make(32);
	ok(dfs_readdir(t_dfs, dir, &anchor, &nr, ents));
	assert_int_equal(nr, 32);
	ok(dfs_dir_anchor_set(dir, ents[10].d_name, &anchor));
	nr = 32;
	ok(dfs_readdir(t_dfs, dir, &anchor, &nr, again));
	assert_int_equal(nr, 21);
	assert_string_equal(again[0].d_name, ents[11].d_name);
}

static int
setup(void **state)
{
	t_setup(state);
	dir = t_dir(NULL, "d");
	return 0;
}

static int
teardown(void **state)
{
	ok(dfs_release(dir));
	return t_teardown(state);
}

#define T(_f) cmocka_unit_test_setup_teardown(_f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_pages),           T(test_bad),
	    T(test_long_names),      T(test_plus),
	    T(test_plus_vanishing),  T(test_plus_error),
	    T(test_changes),         T(test_remove_listed),
	    T(test_iterate),         T(test_parts),
	    T(test_continue_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
