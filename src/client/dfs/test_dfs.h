/* For the tests of libdfs: a fresh container in a world of its own (memdaos), and short forms. */
#ifndef TEST_DFS_H
#define TEST_DFS_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include <daos.h>
#include <daos/common.h>
#include <daos_fs.h>
#include <daos_fs_sys.h>

#include "client/dfs/dfs_internal.h"
#include "memdaos.h"

#define ok(_call)     assert_int_equal((_call), 0)
#define rc_is(_c, _e) assert_int_equal((_c), (_e))

static daos_handle_t t_poh, t_coh;
static dfs_t *t_dfs;

static inline int
t_setup(void **state)
{
	uuid_t uuid;

	memdaos_reset("tank");
	assert_int_equal(daos_init(), 0);
	ok(daos_pool_connect("tank", NULL, DAOS_PC_RW, &t_poh, NULL, NULL));
	ok(dfs_cont_create(t_poh, &uuid, NULL, &t_coh, &t_dfs));
	return 0;
}

/* Every handle must have been closed. */
static inline int
t_teardown(void **state)
{
	memdaos_set_hook(NULL, NULL);
	ok(dfs_umount(t_dfs));
	ok(daos_cont_close(t_coh, NULL));
	ok(daos_pool_disconnect(t_poh, NULL));
	assert_int_equal(memdaos_handles(), 0);
	assert_int_equal(daos_fini(), 0);
	return 0;
}

static inline void
t_file(dfs_obj_t *parent, const char *name, const char *content)
{
	d_iov_t iov;
	d_sg_list_t sgl = {.sg_nr = 1, .sg_iovs = &iov};
	dfs_obj_t *obj;

	ok(dfs_open(t_dfs, parent, name, S_IFREG | 0644, O_CREAT | O_RDWR | O_TRUNC, 0, 0, NULL,
		    &obj));
	d_iov_set(&iov, (void *)content, strlen(content));
	ok(dfs_write(t_dfs, obj, &sgl, 0, NULL));
	ok(dfs_release(obj));
}

/* Does a file have this content? */
static inline void
t_content(dfs_obj_t *parent, const char *name, const char *content)
{
	char buf[256] = {0};
	d_iov_t iov;
	d_sg_list_t sgl = {.sg_nr = 1, .sg_iovs = &iov};
	daos_size_t n;
	dfs_obj_t *obj;

	ok(dfs_open(t_dfs, parent, name, S_IFREG, O_RDONLY, 0, 0, NULL, &obj));
	d_iov_set(&iov, buf, sizeof(buf) - 1);
	ok(dfs_read(t_dfs, obj, &sgl, 0, &n, NULL));
	assert_int_equal(n, strlen(content));
	assert_string_equal(buf, content);
	ok(dfs_release(obj));
}

static inline dfs_obj_t *
t_dir(dfs_obj_t *parent, const char *name)
{
	dfs_obj_t *obj;

	ok(dfs_open(t_dfs, parent, name, S_IFDIR | 0755, O_CREAT | O_RDWR, 0, 0, NULL, &obj));
	return obj;
}

static inline void
t_link(dfs_obj_t *parent, const char *name, const char *target)
{
	dfs_obj_t *obj;

	ok(dfs_open(t_dfs, parent, name, S_IFLNK | 0777, O_CREAT | O_EXCL, 0, 0, target, &obj));
	ok(dfs_release(obj));
}

static inline int
t_exists(dfs_obj_t *parent, const char *name)
{
	struct stat st;

	return dfs_stat(t_dfs, parent, name, &st);
}

static inline daos_obj_id_t
t_oid(dfs_obj_t *parent, const char *name)
{
	daos_obj_id_t oid;
	dfs_obj_t *obj;

	ok(dfs_lookup_rel(t_dfs, parent, name, O_RDONLY | O_NOFOLLOW, &obj, NULL, NULL));
	ok(dfs_obj2id(obj, &oid));
	ok(dfs_release(obj));
	return oid;
}

#endif
