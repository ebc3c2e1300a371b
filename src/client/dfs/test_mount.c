/* Containers: create, mount, query, pass to other processes, connect. */
#include "client/dfs/test_dfs.h"

static void
test_create_query(void **state)
{
	dfs_attr_t attr = {0};

	ok(dfs_query(t_dfs, &attr));
	assert_int_equal(attr.da_chunk_size, DFS_DEFAULT_CHUNK_SIZE);
	assert_int_equal(attr.da_mode, DFS_RELAXED);
	rc_is(dfs_query(NULL, &attr), EINVAL);
	rc_is(dfs_query(t_dfs, NULL), EINVAL);
	ok(dfs_sync(t_dfs));
}

static void
test_create_attr(void **state)
{
	dfs_attr_t attr = {.da_chunk_size = 4096, .da_oclass_id = OC_S2, .da_dir_oclass_id = OC_S1};
	daos_handle_t coh;
	daos_obj_id_t oid;
	dfs_attr_t got;
	dfs_obj_t *obj;
	uuid_t uuid;
	dfs_t *dfs;

	ok(dfs_cont_create_with_label(t_poh, "home", &attr, &uuid, &coh, &dfs));
	ok(dfs_query(dfs, &got));
	assert_int_equal(got.da_chunk_size, 4096);
	assert_int_equal(got.da_file_oclass_id, OC_S2);
	assert_int_equal(got.da_dir_oclass_id, OC_S1);
	ok(dfs_open(dfs, NULL, "f", S_IFREG | 0600, O_CREAT | O_RDWR, 0, 0, NULL, &obj));
	ok(dfs_obj2id(obj, &oid));
	assert_int_equal(daos_obj_id2class(oid), OC_S2);
	ok(dfs_release(obj));
	ok(dfs_umount(dfs));
	ok(daos_cont_close(coh, NULL));
	rc_is(dfs_cont_create_with_label(t_poh, "home", NULL, NULL, NULL, NULL), EEXIST);
	ok(daos_cont_destroy(t_poh, "home", 0, NULL));
}

static void
test_create_bad(void **state)
{
	static const char *const bad_hints[] = {"file:max,dir:invalid", "file:max;dir:max",
						"file:max:dir:max", "invalid",
						"file:single,dir:max,hello:world"};
	dfs_attr_t attr = {.da_mode = DFS_BALANCED};
	daos_prop_t *prop;
	daos_handle_t coh;
	uuid_t uuid;
	dfs_t *dfs;
	size_t i;

	rc_is(dfs_cont_create(t_poh, NULL, NULL, NULL, NULL), EINVAL);
	rc_is(dfs_cont_create(t_poh, &uuid, NULL, NULL, &dfs), EINVAL);
	rc_is(dfs_cont_create_with_label(t_poh, "bad:-/label", NULL, NULL, NULL, NULL), EINVAL);
	rc_is(dfs_cont_create(t_poh, &uuid, &attr, NULL, NULL), ENOTSUP);
	attr.da_mode = 77;
	rc_is(dfs_cont_create(t_poh, &uuid, &attr, NULL, NULL), EINVAL);
	attr.da_mode = 0;
	for (i = 0; i < sizeof(bad_hints) / sizeof(bad_hints[0]); i++) {
		strcpy(attr.da_hints, bad_hints[i]);
		rc_is(dfs_cont_create_with_label(t_poh, "h", &attr, NULL, &coh, &dfs), EINVAL);
		/* and nothing of it is left */
		rc_is(daos_cont_open(t_poh, "h", DAOS_COO_RO, &coh, NULL, NULL), -DER_NONEXIST);
	}
	/* a class weaker than what the container promises */
	memset(&attr, 0, sizeof(attr));
	prop = daos_prop_alloc(1);
	prop->dpp_entries[0].dpe_type = DAOS_PROP_CO_REDUN_FAC;
	prop->dpp_entries[0].dpe_val = DAOS_PROP_CO_REDUN_RF1;
	attr.da_props = prop;
	attr.da_file_oclass_id = OC_S1;
	rc_is(dfs_cont_create_with_label(t_poh, "weak", &attr, NULL, NULL, NULL), EINVAL);
	attr.da_file_oclass_id = OC_RP_2G1;
	ok(dfs_cont_create_with_label(t_poh, "weak", &attr, NULL, NULL, NULL));
	daos_prop_free(prop);
}

static void
test_create_ec(void **state)
{
	dfs_attr_t attr = {.da_oclass_id = OC_EC_16P2GX}, got;
	daos_handle_t coh;
	uuid_t uuid;
	dfs_t *dfs;

	ok(dfs_cont_create(t_poh, &uuid, &attr, &coh, &dfs));
	ok(dfs_query(dfs, &got));
	/* 16 cells of 128 KiB, twice; and directories are not erasure coded */
	assert_int_equal(got.da_chunk_size, 4 * 1024 * 1024);
	assert_int_equal(got.da_file_oclass_id, OC_EC_16P2GX);
	assert_int_not_equal(got.da_dir_oclass_id, OC_EC_16P2GX);
	ok(dfs_umount(dfs));
	ok(daos_cont_close(coh, NULL));
	attr.da_oclass_id = OC_EC_2P1GX;
	ok(dfs_cont_create(t_poh, &uuid, &attr, &coh, &dfs));
	ok(dfs_query(dfs, &got));
	assert_int_equal(got.da_chunk_size, 1024 * 1024);
	ok(dfs_umount(dfs));
	ok(daos_cont_close(coh, NULL));
}

static void
test_mount_bad(void **state)
{
	daos_handle_t coh, oh;
	daos_obj_id_t super;
	char text[37];
	uuid_t uuid;
	dfs_t *dfs;

	rc_is(dfs_mount(t_poh, t_coh, O_RDWR, NULL), EINVAL);
	rc_is(dfs_mount(t_poh, DAOS_HDL_INVAL, O_RDWR, &dfs), EINVAL);
	/* not a POSIX container */
	ok(daos_cont_create(t_poh, &uuid, NULL, NULL));
	uuid_unparse(uuid, text);
	ok(daos_cont_open(t_poh, text, DAOS_COO_RW, &coh, NULL, NULL));
	rc_is(dfs_mount(t_poh, coh, O_RDWR, &dfs), EINVAL);
	ok(daos_cont_close(coh, NULL));
	/* one without its superblock */
	ok(dfs_cont_create(t_poh, &uuid, NULL, &coh, &dfs));
	super = dfs->super_oid;
	ok(dfs_umount(dfs));
	ok(daos_obj_open(coh, super, DAOS_OO_RW, &oh, NULL));
	ok(daos_obj_punch(oh, DAOS_TX_NONE, 0, NULL));
	ok(daos_obj_close(oh, NULL));
	rc_is(dfs_mount(t_poh, coh, O_RDWR, &dfs), ENOENT);
	ok(daos_cont_close(coh, NULL));
}

static void
test_umount_busy(void **state)
{
	daos_handle_t poh, coh;

	ok(dfs_pool_get(t_dfs, &poh));
	assert_int_equal(poh.cookie, t_poh.cookie);
	rc_is(dfs_umount(t_dfs), EBUSY);
	ok(dfs_pool_put(t_dfs, poh));
	ok(dfs_cont_get(t_dfs, &coh));
	rc_is(dfs_umount(t_dfs), EBUSY);
	rc_is(dfs_cont_put(t_dfs, poh), EINVAL);
	ok(dfs_cont_put(t_dfs, coh));
	rc_is(dfs_cont_put(t_dfs, coh), EINVAL);
	rc_is(dfs_disconnect(t_dfs), EINVAL);
}

static void
test_read_only(void **state)
{
	struct stat st = {0};
	dfs_obj_t *obj;
	dfs_t *ro;

	t_file(NULL, "f", "hello");
	ok(dfs_mount(t_poh, t_coh, O_RDONLY, &ro));
	rc_is(dfs_open(ro, NULL, "f", S_IFREG, O_RDWR, 0, 0, NULL, &obj), EPERM);
	rc_is(dfs_open(ro, NULL, "g", S_IFREG | 0644, O_CREAT, 0, 0, NULL, &obj), EPERM);
	rc_is(dfs_mkdir(ro, NULL, "d", 0755, 0), EPERM);
	rc_is(dfs_remove(ro, NULL, "f", false, NULL), EPERM);
	rc_is(dfs_move(ro, NULL, "f", NULL, "g", NULL), EPERM);
	rc_is(dfs_chmod(ro, NULL, "f", 0600), EPERM);
	rc_is(dfs_sync(ro), EPERM);
	rc_is(dfs_access(ro, NULL, "f", W_OK), EPERM);
	ok(dfs_open(ro, NULL, "f", S_IFREG, O_RDONLY, 0, 0, NULL, &obj));
	rc_is(dfs_punch(ro, obj, 0, DFS_MAX_FSIZE), EPERM);
	rc_is(dfs_setxattr(ro, obj, "user.a", "b", 1, 0), EPERM);
	rc_is(dfs_osetattr(ro, obj, &st, DFS_SET_ATTR_MODE), EPERM);
	ok(dfs_ostat(ro, obj, &st));
	assert_int_equal(st.st_size, 5);
	ok(dfs_release(obj));
	ok(dfs_umount(ro));
}

/* The loser of a race to create a container meets it before its roots are set. */
static int
late_roots_hook(enum mem_op op, void *arg)
{
	int *turns = arg;

	return op == MEM_OP_CONT && ++*turns <= 3 ? -DER_NONEXIST : 0;
}

static void
test_mount_before_roots(void **state)
{
	daos_prop_t *prop = daos_prop_alloc(1);
	daos_handle_t coh;
	char text[37];
	uuid_t uuid;
	int turns = 0;
	dfs_t *dfs;

	prop->dpp_entries[0].dpe_type = DAOS_PROP_CO_LAYOUT_TYPE;
	prop->dpp_entries[0].dpe_val = DAOS_PROP_CO_LAYOUT_POSIX;
	ok(daos_cont_create(t_poh, &uuid, prop, NULL));
	daos_prop_free(prop);
	uuid_unparse(uuid, text);
	ok(daos_cont_open(t_poh, text, DAOS_COO_RW, &coh, NULL, NULL));
	/* nobody finishes it: a bounded wait, then an error */
	rc_is(dfs_mount(t_poh, coh, O_RDWR, &dfs), EINVAL);
	/* an error of the query is told at once */
	memdaos_set_hook(late_roots_hook, &turns);
	rc_is(dfs_mount(t_poh, coh, O_RDWR, &dfs), ENOENT);
	memdaos_set_hook(NULL, NULL);
	assert_int_equal(turns, 1);
	ok(daos_cont_close(coh, NULL));
}

static void
test_global(void **state)
{
	d_iov_t glob = {0};
	dfs_obj_t *obj, *other;
	struct stat st;
	char small[8];
	dfs_t *dfs, *none;

	ok(dfs_local2global(t_dfs, &glob));
	assert_true(glob.iov_buf_len > 0);
	d_iov_set(&glob, small, sizeof(small));
	rc_is(dfs_local2global(t_dfs, &glob), ENOBUFS);
	glob.iov_buf = malloc(glob.iov_buf_len);
	ok(dfs_local2global(t_dfs, &glob));
	memdaos_count_reset();
	ok(dfs_global2local(t_poh, t_coh, 0, glob, &dfs));
	((char *)glob.iov_buf)[0] ^= 1;
	rc_is(dfs_global2local(t_poh, t_coh, 0, glob, &none), EINVAL);
	free(glob.iov_buf);

	obj = t_dir(NULL, "d");
	t_file(obj, "f", "1234567");
	ok(dfs_release(obj));
	ok(dfs_lookup(t_dfs, "/d/f", O_RDWR, &obj, NULL, NULL));
	memset(&glob, 0, sizeof(glob));
	ok(dfs_obj_local2global(t_dfs, obj, &glob));
	glob.iov_buf = malloc(glob.iov_buf_len);
	ok(dfs_obj_local2global(t_dfs, obj, &glob));
	ok(dfs_obj_global2local(dfs, 0, glob, &other));
	ok(dfs_ostat(dfs, other, &st));
	assert_int_equal(st.st_size, 7);
	ok(dfs_release(other));
	glob.iov_len = 10;
	rc_is(dfs_obj_global2local(dfs, 0, glob, &other), EINVAL);
	free(glob.iov_buf);
	ok(dfs_release(obj));
	ok(dfs_umount(dfs));
}

static void
test_global_all(void **state)
{
	d_iov_t glob = {0};
	dfs_t *dfs;

	t_file(NULL, "f", "x");
	ok(dfs_local2global_all(t_dfs, &glob));
	glob.iov_buf = malloc(glob.iov_buf_len);
	ok(dfs_local2global_all(t_dfs, &glob));
	ok(dfs_global2local_all(O_RDWR, glob, &dfs));
	rc_is(dfs_umount(dfs), EINVAL);
	ok(dfs_disconnect(dfs));
	glob.iov_len -= 1;
	rc_is(dfs_global2local_all(O_RDWR, glob, &dfs), EINVAL);
	glob.iov_len = 3;
	rc_is(dfs_global2local_all(O_RDWR, glob, &dfs), EINVAL);
	free(glob.iov_buf);
}

static void
test_connect(void **state)
{
	daos_handle_t poh, poh2;
	dfs_t *a, *b, *c;

	rc_is(dfs_connect("tank", NULL, "home", O_RDWR, NULL, &a), EACCES);
	rc_is(dfs_fini(), EINVAL);
	ok(dfs_init());
	rc_is(dfs_connect("tank", NULL, "home", O_RDWR, NULL, &a), ENOENT);
	rc_is(dfs_connect("nopool", NULL, "home", O_RDWR, NULL, &a), ENOENT);
	rc_is(dfs_connect("", NULL, "home", O_RDWR, NULL, &a), EINVAL);
	rc_is(dfs_connect("tank", "a-name-that-is-too-long", "home", O_RDWR, NULL, &a), EINVAL);
	ok(dfs_connect("tank", NULL, "home", O_RDWR | O_CREAT, NULL, &a));
	memdaos_count_reset();
	ok(dfs_connect("tank", NULL, "home", O_RDWR | O_CREAT, NULL, &b));
	assert_int_equal(memdaos_count(MEM_OP_POOL), 0); /* shared */
	ok(dfs_connect("tank", NULL, "home", O_RDONLY, NULL, &c));
	assert_int_equal(memdaos_count(MEM_OP_POOL), 1); /* another mode */
	ok(dfs_pool_get(a, &poh));
	ok(dfs_pool_get(b, &poh2));
	assert_int_equal(poh.cookie, poh2.cookie);
	rc_is(dfs_umount(a), EINVAL);
	rc_is(dfs_disconnect(a), EBUSY);
	ok(dfs_pool_put(a, poh));
	ok(dfs_pool_put(b, poh2));
	ok(dfs_disconnect(a));
	ok(dfs_mkdir(b, NULL, "still", 0755, 0)); /* its handles live on */
	rc_is(dfs_destroy("tank", NULL, "home", 0, NULL), EBUSY);
	ok(dfs_disconnect(b));
	ok(dfs_disconnect(c));
	ok(dfs_destroy("tank", NULL, "home", 0, NULL));
	rc_is(dfs_destroy("tank", NULL, "home", 0, NULL), ENOENT);
	ok(dfs_fini());
}

static void
test_suggest_class(void **state)
{
	daos_oclass_id_t cid;

	rc_is(dfs_suggest_oclass(t_dfs, "file:single,dir:large", &cid), EINVAL);
	rc_is(dfs_suggest_oclass(t_dfs, "file:singlee", &cid), EINVAL);
	ok(dfs_suggest_oclass(t_dfs, "File:single", &cid));
	assert_int_equal(cid, OC_S1);
	ok(dfs_suggest_oclass(t_dfs, "dir:max", &cid));
	assert_int_equal(cid & 0xffff, 4);
}

static void
test_not_there(void **state)
{
	dfs_t *dfs;

	rc_is(dfs_mount_snap(t_poh, t_coh, O_RDONLY, 1, NULL, &dfs), ENOTSUP);
	rc_is(dfs_cont_check(t_poh, "home", DFS_CHECK_PRINT, NULL), ENOTSUP);
}

#define T(_f) cmocka_unit_test_setup_teardown(_f, t_setup, t_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_create_query), T(test_create_attr),
	    T(test_create_bad),   T(test_create_ec),
	    T(test_mount_bad),    T(test_umount_busy),
	    T(test_read_only),    T(test_mount_before_roots),
	    T(test_global),       T(test_global_all),
	    T(test_connect),      T(test_suggest_class),
	    T(test_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
