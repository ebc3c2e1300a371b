/* The unified namespace: text forms, paths with the attribute, containers made and destroyed. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include <daos.h>
#include <daos/common.h>
#include <daos_fs.h>
#include <daos_uns.h>

#include "memdaos.h"

#define ok(_call)     assert_int_equal((_call), 0)
#define rc_is(_c, _e) assert_int_equal((_c), (_e))

#define POOL_UUID "11111111-2222-3333-4444-555555555555"
#define CONT_UUID "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"

static daos_handle_t poh;
static char top[64];

static struct duns_attr_t
resolve(const char *path, uint32_t flags, int rc)
{
	struct duns_attr_t attr = {.da_flags = flags};

	rc_is(duns_resolve_path(path, &attr), rc);
	if (rc != 0) {
		assert_null(attr.da_rel_path);
		duns_destroy_attr(&attr);
	}
	return attr;
}

static void
is(const char *path, uint32_t flags, const char *pool, const char *cont, const char *rel)
{
	struct duns_attr_t attr = resolve(path, flags, 0);

	assert_string_equal(attr.da_pool, pool);
	assert_string_equal(attr.da_cont, cont);
	if (rel == NULL)
		assert_null(attr.da_rel_path);
	else
		assert_string_equal(attr.da_rel_path, rel);
	duns_destroy_attr(&attr);
	assert_null(attr.da_rel_path);
}

static void
test_direct(void **state)
{
	char label[DAOS_PROP_LABEL_MAX_LEN + 2], path[300];
	struct duns_attr_t attr;
	uuid_t uuid;

	is("daos://tank/home", 0, "tank", "home", NULL);
	is("daos://tank/home/", 0, "tank", "home", NULL);
	is("daos://tank/home/a/b.txt", 0, "tank", "home", "/a/b.txt");
	is("daos:///tank//home//a/", 0, "tank", "home", "//a/");
	is("daos://" POOL_UUID "/" CONT_UUID "/x", 0, POOL_UUID, CONT_UUID, "/x");
	is("/tank/home/a", DUNS_NO_PREFIX, "tank", "home", "/a");
	is("daos://tank/home", DUNS_NO_CHECK_PATH, "tank", "home", NULL);
	attr = resolve("daos://" POOL_UUID "/" CONT_UUID, 0, 0);
	uuid_parse(POOL_UUID, uuid);
	assert_int_equal(uuid_compare(uuid, attr.da_puuid), 0);
	resolve("daos://tank", 0, EINVAL);
	resolve("daos://", 0, EINVAL);
	resolve("/tank", DUNS_NO_PREFIX, EINVAL);
	resolve("/tank/home", DUNS_NO_CHECK_PATH, EINVAL);
	resolve("", 0, EINVAL);
	rc_is(duns_resolve_path(NULL, &attr), EINVAL);
	memset(label, 'l', sizeof(label));
	label[DAOS_PROP_LABEL_MAX_LEN + 1] = '\0';
	snprintf(path, sizeof(path), "daos://tank/%s", label);
	resolve(path, 0, EINVAL);
	label[DAOS_PROP_LABEL_MAX_LEN] = '\0';
	snprintf(path, sizeof(path), "daos://tank/%s", label);
	is(path, 0, "tank", label, NULL);
}

static int
parse(const char *text, struct duns_attr_t *attr)
{
	char copy[400];

	memset(attr, 0, sizeof(*attr));
	snprintf(copy, sizeof(copy), "%s", text);
	return duns_parse_attr(copy, strlen(copy), attr);
}

static void
test_parse(void **state)
{
	static const char *const bad[] = {
	    "DAOS.POSIX://" POOL_UUID,
	    "DAOS.POSIX://" POOL_UUID "/",
	    "DAOS.POSIX://" POOL_UUID "/not-a-uuid",
	    "DAOS.WHAT://" POOL_UUID "/" CONT_UUID,
	    "DAOS.://" POOL_UUID "/" CONT_UUID,
	    "POSIX://" POOL_UUID "/" CONT_UUID,
	    "DAOS.POSIX://" POOL_UUID "/" CONT_UUID "0",
	    "DAOS.POSIX://" POOL_UUID "/" CONT_UUID "/x",
	    "DAOS.POSIX://" POOL_UUID "0/" CONT_UUID,
	    "x",
	};
	struct duns_attr_t attr;
	char big[400];
	size_t i;

	ok(parse("DAOS.POSIX://" POOL_UUID "/" CONT_UUID, &attr));
	assert_int_equal(attr.da_type, DAOS_PROP_CO_LAYOUT_POSIX);
	assert_string_equal(attr.da_pool, POOL_UUID);
	assert_string_equal(attr.da_cont, CONT_UUID);
	ok(parse("DAOS.HDF5://" POOL_UUID "/" CONT_UUID, &attr));
	assert_int_equal(attr.da_type, DAOS_PROP_CO_LAYOUT_HDF5);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		rc_is(parse(bad[i], &attr), EINVAL);
	memset(big, 'x', sizeof(big));
	rc_is(duns_parse_attr(big, DUNS_MAX_XATTR_LEN + 1, &attr), EINVAL);
	rc_is(duns_parse_attr(big, 0, &attr), EINVAL);
	rc_is(duns_parse_attr(NULL, 5, &attr), EINVAL);
	/* also with the NUL that some writers store */
	snprintf(big, sizeof(big), "DAOS.POSIX://" POOL_UUID "/" CONT_UUID);
	ok(duns_parse_attr(big, strlen(big) + 1, &attr));
}

static void
test_sys_name(void **state)
{
	struct duns_attr_t attr = {0};

	ok(duns_set_sys_name(&attr, "mysystem"));
	assert_string_equal(attr.da_sys, "mysystem");
	ok(duns_set_sys_name(&attr, "other"));
	rc_is(duns_set_sys_name(&attr, "a-name-that-is-too-long"), EINVAL);
	assert_string_equal(attr.da_sys, "other");
	rc_is(duns_set_sys_name(NULL, "x"), EINVAL);
	ok(duns_set_sys_name(&attr, NULL));
	assert_null(attr.da_sys);
	ok(duns_set_sys_name(&attr, "again"));
	duns_destroy_attr(&attr);
	duns_destroy_attr(&attr);
	duns_destroy_attr(NULL);
}

/* --- paths --- */

static bool
have_xattrs(void)
{
	char text[] = "x";

	if (setxattr(top, "user.test", text, 1, 0) == 0)
		return true;
	print_message("skipped: no user attributes in %s (%s)\n", top, strerror(errno));
	return false;
}

static const char *
in_top(const char *rel)
{
	static char path[4][300];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof(path[turn]), "%s%s", top, rel);
	return path[turn];
}

static void
tie(const char *path, const char *text)
{
	assert_int_equal(lsetxattr(path, DUNS_XATTR_NAME, text, strlen(text), 0), 0);
}

static void
test_walk(void **state)
{
	const char *text = "DAOS.POSIX://" POOL_UUID "/" CONT_UUID;

	if (!have_xattrs())
		skip();
	mkdir(in_top("/c"), 0755);
	mkdir(in_top("/c/d"), 0755);
	tie(in_top("/c"), text);
	is(in_top("/c"), 0, POOL_UUID, CONT_UUID, NULL);
	is(in_top("/c/"), 0, POOL_UUID, CONT_UUID, NULL);
	is(in_top("/c/d"), 0, POOL_UUID, CONT_UUID, "/d");
	/* what does not exist yet, one or more levels deep */
	is(in_top("/c/d/new"), 0, POOL_UUID, CONT_UUID, "/d/new");
	is(in_top("/c/x/y/z"), 0, POOL_UUID, CONT_UUID, "/x/y/z");
	is(in_top("/c/d/../e"), 0, POOL_UUID, CONT_UUID, "/e");
	/* through a link, to where it leads */
	assert_int_equal(symlink("c/d", in_top("/l")), 0);
	is(in_top("/l"), 0, POOL_UUID, CONT_UUID, "/d");
	is(in_top("/l/f"), 0, POOL_UUID, CONT_UUID, "/d/f");
	/* a relative path */
	assert_int_equal(chdir(in_top("/c")), 0);
	is("d", 0, POOL_UUID, CONT_UUID, "/d");
	is("new", 0, POOL_UUID, CONT_UUID, "/new");
	is(".", 0, POOL_UUID, CONT_UUID, NULL);
	assert_int_equal(chdir("/"), 0);
	/* only the last component */
	is(in_top("/c"), DUNS_NO_REVERSE_LOOKUP, POOL_UUID, CONT_UUID, NULL);
	resolve(in_top("/c/d"), DUNS_NO_REVERSE_LOOKUP, ENODATA);
	/* none at all */
	resolve(top, 0, ENODATA);
	resolve(in_top("/nowhere/f"), 0, ENODATA);
	/* a broken one is an error, not passed over */
	mkdir(in_top("/broken"), 0755);
	tie(in_top("/broken"), "rubbish");
	resolve(in_top("/broken/f"), 0, EINVAL);
	/* nested: the inner one counts */
	mkdir(in_top("/c/inner"), 0755);
	tie(in_top("/c/inner"), "DAOS.POSIX://" CONT_UUID "/" POOL_UUID);
	is(in_top("/c/inner/f"), 0, CONT_UUID, POOL_UUID, "/f");
	/* the prefix by environment */
	setenv("DAOS_UNS_PREFIX", in_top("/c"), 1);
	is(in_top("/c/inner/f"), 0, POOL_UUID, CONT_UUID, "/inner/f");
	is(in_top("/c"), 0, POOL_UUID, CONT_UUID, NULL);
	mkdir(in_top("/cc"), 0755);
	resolve(in_top("/cc/f"), 0, ENODATA); /* begins with the same letters only */
	unsetenv("DAOS_UNS_PREFIX");
}

static void
test_create_destroy(void **state)
{
	struct duns_attr_t attr = {.da_type = DAOS_PROP_CO_LAYOUT_POSIX, .da_chunk_size = 8192};
	daos_handle_t coh;
	struct stat st;
	dfs_attr_t da;
	dfs_t *dfs;

	if (!have_xattrs())
		skip();
	ok(duns_create_path(poh, in_top("/posix"), &attr));
	rc_is(duns_create_path(poh, in_top("/posix"), &attr), EEXIST);
	is(in_top("/posix/f"), 0, attr.da_pool, attr.da_cont, "/f");
	assert_int_equal(stat(in_top("/posix"), &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	ok(daos_cont_open(poh, attr.da_cont, DAOS_COO_RW, &coh, NULL, NULL));
	ok(dfs_mount(poh, coh, O_RDWR, &dfs));
	ok(dfs_query(dfs, &da));
	assert_int_equal(da.da_chunk_size, 8192);
	ok(dfs_umount(dfs));
	ok(daos_cont_close(coh, NULL));
	ok(duns_destroy_path(poh, in_top("/posix")));
	assert_int_equal(stat(in_top("/posix"), &st), -1);
	rc_is(daos_cont_open(poh, attr.da_cont, DAOS_COO_RW, &coh, NULL, NULL), -DER_NONEXIST);
	rc_is(duns_destroy_path(poh, in_top("/posix")), ENOENT);
	rc_is(duns_destroy_path(poh, "daos://tank/home"), EINVAL);
	rc_is(duns_destroy_path(poh, NULL), EINVAL);
	/* other kinds are files; a label may be wanted */
	memset(&attr, 0, sizeof(attr));
	attr.da_type = DAOS_PROP_CO_LAYOUT_HDF5;
	strcpy(attr.da_cont, "labelled");
	ok(duns_create_path(poh, in_top("/h5"), &attr));
	assert_int_equal(stat(in_top("/h5"), &st), 0);
	assert_true(S_ISREG(st.st_mode));
	ok(daos_cont_open(poh, "labelled", DAOS_COO_RW, &coh, NULL, NULL));
	ok(daos_cont_close(coh, NULL));
	attr = resolve(in_top("/h5"), 0, 0);
	assert_int_equal(attr.da_type, DAOS_PROP_CO_LAYOUT_HDF5);
	duns_destroy_attr(&attr);
	/* where the path cannot be made, no container is left */
	memset(&attr, 0, sizeof(attr));
	attr.da_type = DAOS_PROP_CO_LAYOUT_POSIX;
	strcpy(attr.da_cont, "orphan");
	rc_is(duns_create_path(poh, in_top("/no/such/dir"), &attr), ENOENT);
	rc_is(daos_cont_open(poh, "orphan", DAOS_COO_RW, &coh, NULL, NULL), -DER_NONEXIST);
	attr.da_type = 99;
	rc_is(duns_create_path(poh, in_top("/bad"), &attr), EINVAL);
	/* something that is not empty keeps its container */
	memset(&attr, 0, sizeof(attr));
	attr.da_type = DAOS_PROP_CO_LAYOUT_POSIX;
	ok(duns_create_path(poh, in_top("/full"), &attr));
	mkdir(in_top("/full/x"), 0755);
	rc_is(duns_destroy_path(poh, in_top("/full")), ENOTEMPTY);
	ok(daos_cont_open(poh, attr.da_cont, DAOS_COO_RW, &coh, NULL, NULL));
	ok(daos_cont_close(coh, NULL));
	rmdir(in_top("/full/x"));
	ok(duns_destroy_path(poh, in_top("/full")));
}

static void
test_link(void **state)
{
	struct duns_attr_t attr;
	char text[37];
	uuid_t uuid;

	if (!have_xattrs())
		skip();
	ok(dfs_cont_create_with_label(poh, "home", NULL, &uuid, NULL, NULL));
	ok(duns_link_cont(poh, "home", in_top("/home")));
	uuid_unparse_lower(uuid, text);
	attr = resolve(in_top("/home"), 0, 0);
	assert_string_equal(attr.da_cont, text);
	assert_int_equal(attr.da_type, DAOS_PROP_CO_LAYOUT_POSIX);
	duns_destroy_attr(&attr);
	rc_is(duns_link_cont(poh, "home", in_top("/home")), EEXIST);
	rc_is(duns_link_cont(poh, "none", in_top("/none")), ENOENT);
	rc_is(duns_link_cont(poh, NULL, in_top("/none")), EINVAL);
}

static int
setup(void **state)
{
	snprintf(top, sizeof(top), "/tmp/test_duns.XXXXXX");
	if (mkdtemp(top) == NULL)
		return -1;
	memdaos_reset("tank");
	daos_init();
	return daos_pool_connect("tank", NULL, DAOS_PC_RW, &poh, NULL, NULL);
}

static int
teardown(void **state)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", top);
	assert_int_equal(system(cmd), 0);
	ok(daos_pool_disconnect(poh, NULL));
	assert_int_equal(memdaos_handles(), 0);
	return daos_fini();
}

#define T(_f) cmocka_unit_test_setup_teardown(_f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_direct), T(test_parse),          T(test_sys_name),
	    T(test_walk),   T(test_create_destroy), T(test_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
