/* Extended attributes: akeys "x:NAME" of the object's entry, single values. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include <daos/common.h>

#include "client/dfs/dfs_internal.h"

struct xattr {
	daos_handle_t dir;
	daos_key_t dkey;
	char akey[DFS_MAX_XATTR_NAME + 3];
	daos_iod_t iod;
	d_iov_t iov;
	d_sg_list_t sgl;
};

static int
xattr_begin(dfs_t *dfs, dfs_obj_t *obj, const char *name, struct xattr *x)
{
	size_t len;
	int rc;

	if (dfs == NULL || obj == NULL || name == NULL)
		return EINVAL;
	len = strlen(name);
	if (len == 0)
		return EINVAL;
	if (len > DFS_MAX_XATTR_NAME)
		return ENAMETOOLONG;
	rc = parent_get(dfs, obj, &x->dir);
	if (rc != 0)
		return rc;
	snprintf(x->akey, sizeof(x->akey), "x:%s", name);
	d_iov_set(&x->dkey, obj->name, strlen(obj->name));
	memset(&x->iod, 0, sizeof(x->iod));
	d_iov_set(&x->iod.iod_name, x->akey, len + 2);
	x->iod.iod_type = DAOS_IOD_SINGLE;
	x->iod.iod_nr = 1;
	x->sgl = (d_sg_list_t){.sg_nr = 1, .sg_iovs = &x->iov};
	return 0;
}

int
dfs_setxattr(dfs_t *dfs, dfs_obj_t *obj, const char *name, const void *value, daos_size_t size,
	     int flags)
{
	uint64_t cond = DAOS_COND_DKEY_UPDATE;
	char nothing = 0;
	struct dfs_entry e;
	struct xattr x;
	int rc;

	if (size > DFS_MAX_XATTR_LEN)
		return E2BIG;
	if (value == NULL && size > 0)
		return EINVAL;
	rc = dfs == NULL ? EINVAL : writable(dfs);
	if (rc == 0)
		rc = xattr_begin(dfs, obj, name, &x);
	if (rc != 0)
		return rc;
	/*
	 * The first byte tells nothing: a value of length 0 is a legal attribute, but not a
	 * storable single value, so each is stored with one byte in front.
	 */
	if (flags == XATTR_CREATE)
		cond |= DAOS_COND_AKEY_INSERT;
	else if (flags == XATTR_REPLACE)
		cond |= DAOS_COND_AKEY_UPDATE;
	else if (flags != 0)
		rc = EINVAL;
	if (rc == 0) {
		d_iov_t iovs[2];

		d_iov_set(&iovs[0], &nothing, 1);
		d_iov_set(&iovs[1], (void *)value, size);
		x.iod.iod_size = size + 1;
		x.sgl = (d_sg_list_t){.sg_nr = size > 0 ? 2 : 1, .sg_iovs = iovs};
		rc = daos_obj_update(x.dir, DAOS_TX_NONE, cond, &x.dkey, 1, &x.iod, &x.sgl, NULL);
		if (rc == -DER_NONEXIST && flags == XATTR_REPLACE)
			rc = entry_fetch(x.dir, obj->name, &e) == 0 ? ENODATA : ENOENT;
		else
			rc = daos_der2errno(rc);
	}
	parent_put(dfs, obj, x.dir);
	return rc;
}

int
dfs_getxattr(dfs_t *dfs, dfs_obj_t *obj, const char *name, void *value, daos_size_t *size)
{
	d_iov_t iovs[2];
	struct xattr x;
	char first;
	int rc;

	if (size == NULL)
		return EINVAL;
	rc = xattr_begin(dfs, obj, name, &x);
	if (rc != 0)
		return rc;
	x.iod.iod_size = DAOS_REC_ANY;
	if (value == NULL || *size == 0) {
		rc = daos_obj_fetch(x.dir, DAOS_TX_NONE, 0, &x.dkey, 1, &x.iod, NULL, NULL, NULL);
	} else {
		d_iov_set(&iovs[0], &first, 1);
		d_iov_set(&iovs[1], value, *size);
		x.sgl = (d_sg_list_t){.sg_nr = 2, .sg_iovs = iovs};
		rc = daos_obj_fetch(x.dir, DAOS_TX_NONE, 0, &x.dkey, 1, &x.iod, &x.sgl, NULL, NULL);
	}
	parent_put(dfs, obj, x.dir);
	if (rc == -DER_REC2BIG) {
		if (x.iod.iod_size > 0)
			*size = x.iod.iod_size - 1;
		return ERANGE;
	}
	if (rc == -DER_NONEXIST || (rc == 0 && x.iod.iod_size == 0))
		return ENODATA;
	if (rc == 0)
		*size = x.iod.iod_size - 1;
	return daos_der2errno(rc);
}

int
dfs_removexattr(dfs_t *dfs, dfs_obj_t *obj, const char *name)
{
	struct xattr x;
	int rc;

	rc = dfs == NULL ? EINVAL : writable(dfs);
	if (rc == 0)
		rc = xattr_begin(dfs, obj, name, &x);
	if (rc != 0)
		return rc;
	rc = daos_obj_punch_akeys(x.dir, DAOS_TX_NONE, DAOS_COND_PUNCH, &x.dkey, 1, &x.iod.iod_name,
				  NULL);
	parent_put(dfs, obj, x.dir);
	return rc == -DER_NONEXIST ? ENODATA : daos_der2errno(rc);
}

int
dfs_listxattr(dfs_t *dfs, dfs_obj_t *obj, char *list, daos_size_t *size)
{
	daos_anchor_t anchor = {0};
	daos_key_desc_t kds[64];
	daos_size_t room, need = 0;
	char buf[64 * 128];
	daos_handle_t dir;
	daos_key_t dkey;
	int rc;

	if (dfs == NULL || obj == NULL || size == NULL)
		return EINVAL;
	room = list == NULL ? 0 : *size;
	rc = parent_get(dfs, obj, &dir);
	if (rc != 0)
		return rc;
	d_iov_set(&dkey, obj->name, strlen(obj->name));
	while (rc == 0 && !daos_anchor_is_eof(&anchor)) {
		uint32_t nr = 64, i;
		d_iov_t iov;
		d_sg_list_t sgl = {.sg_nr = 1, .sg_iovs = &iov};
		char *p = buf;

		d_iov_set(&iov, buf, sizeof(buf));
		rc = daos_der2errno(
		    daos_obj_list_akey(dir, DAOS_TX_NONE, &dkey, &nr, kds, &sgl, &anchor, NULL));
		for (i = 0; rc == 0 && i < nr; p += kds[i++].kd_key_len) {
			size_t len = kds[i].kd_key_len;

			if (len <= 2 || memcmp(p, "x:", 2) != 0)
				continue;
			if (need + len - 1 <= room) {
				memcpy(list + need, p + 2, len - 2);
				list[need + len - 2] = '\0';
			}
			need += len - 1;
		}
	}
	parent_put(dfs, obj, dir);
	if (rc == 0 && list != NULL && room > 0 && need > room)
		rc = ERANGE;
	if (rc == 0 || rc == ERANGE)
		*size = need;
	return rc;
}
