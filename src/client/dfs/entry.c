/*
 * Directory entries.
 *
 * An entry is a dkey (the name) with these akeys:
 *	DFS_INODE	array of bytes, one extent from 0, 88 bytes little-endian:
 *			  0 mode u32		 44 chunk size u64	 84 (end of gid)
 *			  4 oid lo, hi u64	 ...
 *			in the order: mode 4, oid 16, mtime s 8, ctime s 8, chunk size 8, object
 *class 4, mtime ns 8, ctime ns 8, uid 4, gid 4, value length or size 8, object clock 8 DFS_SLINK
 *symbolic links: the target, array of bytes x:NAME		extended attributes: single values
 * All akeys of an entry change in one update, which is atomic; so an entry is never seen half
 *written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <daos/common.h>

#include "client/dfs/dfs_internal.h"

enum { AKEY_MAX = 512, AKEY_LIST_BYTES = 16384 };

static char inode_akey[] = "DFS_INODE";
static char slink_akey[] = "DFS_SLINK";

/* --- the 88 bytes
 * -------------------------------------------------------------------------------------- */

static uint8_t *
put_le(uint8_t *p, uint64_t v, int bytes)
{
	while (bytes-- > 0) {
		*p++ = v;
		v >>= 8;
	}
	return p;
}

static const uint8_t *
get_le(const uint8_t *p, uint64_t *v, int bytes)
{
	int i;

	*v = 0;
	for (i = bytes - 1; i >= 0; i--)
		*v = *v << 8 | p[i];
	return p + bytes;
}

void
entry_encode(const struct dfs_entry *e, uint8_t buf[DFS_INODE_BYTES])
{
	uint8_t *p = buf;

	p = put_le(p, e->mode, 4);
	p = put_le(p, e->oid.lo, 8);
	p = put_le(p, e->oid.hi, 8);
	p = put_le(p, e->mtime.tv_sec, 8);
	p = put_le(p, e->ctime.tv_sec, 8);
	p = put_le(p, e->chunk_size, 8);
	p = put_le(p, e->oclass, 4);
	p = put_le(p, e->mtime.tv_nsec, 8);
	p = put_le(p, e->ctime.tv_nsec, 8);
	p = put_le(p, e->uid, 4);
	p = put_le(p, e->gid, 4);
	p = put_le(p, e->value_len, 8);
	put_le(p, e->obj_hlc, 8);
}

int
entry_decode(const uint8_t buf[DFS_INODE_BYTES], struct dfs_entry *e)
{
	const uint8_t *p = buf;
	uint64_t v;

	p = get_le(p, &v, 4);
	e->mode = v;
	p = get_le(p, &e->oid.lo, 8);
	p = get_le(p, &e->oid.hi, 8);
	p = get_le(p, &v, 8);
	e->mtime.tv_sec = v;
	p = get_le(p, &v, 8);
	e->ctime.tv_sec = v;
	p = get_le(p, &e->chunk_size, 8);
	p = get_le(p, &v, 4);
	e->oclass = v;
	p = get_le(p, &v, 8);
	e->mtime.tv_nsec = v;
	p = get_le(p, &v, 8);
	e->ctime.tv_nsec = v;
	p = get_le(p, &v, 4);
	e->uid = v;
	p = get_le(p, &v, 4);
	e->gid = v;
	p = get_le(p, &e->value_len, 8);
	get_le(p, &e->obj_hlc, 8);
	if (!S_ISREG(e->mode) && !S_ISDIR(e->mode) && !S_ISLNK(e->mode))
		return EIO;
	if (S_ISLNK(e->mode) && (e->value_len == 0 || e->value_len >= PATH_MAX))
		return EIO;
	return 0;
}

/* --- single akeys
 * ---------------------------------------------------------------------------------------- */

/* One akey of an I/O: what the object API wants, with its pieces in one place. */
struct piece {
	daos_recx_t recx;
	d_iov_t iov;
};

static void
array_iod(daos_iod_t *iod, d_sg_list_t *sgl, struct piece *p, char *akey, void *buf, size_t len)
{
	memset(iod, 0, sizeof(*iod));
	d_iov_set(&iod->iod_name, akey, strlen(akey));
	p->recx.rx_idx = 0;
	p->recx.rx_nr = len;
	iod->iod_type = DAOS_IOD_ARRAY;
	iod->iod_size = 1;
	iod->iod_nr = 1;
	iod->iod_recxs = &p->recx;
	d_iov_set(&p->iov, buf, len);
	sgl->sg_nr = 1;
	sgl->sg_nr_out = 0;
	sgl->sg_iovs = &p->iov;
}

static void
single_iod(daos_iod_t *iod, d_sg_list_t *sgl, struct piece *p, const d_iov_t *akey, void *buf,
	   size_t len)
{
	memset(iod, 0, sizeof(*iod));
	iod->iod_name = *akey;
	iod->iod_type = DAOS_IOD_SINGLE;
	iod->iod_size = len;
	iod->iod_nr = 1;
	d_iov_set(&p->iov, buf, len);
	sgl->sg_nr = 1;
	sgl->sg_nr_out = 0;
	sgl->sg_iovs = &p->iov;
}

int
entry_fetch(daos_handle_t oh, const char *name, struct dfs_entry *ret_e)
{
	uint8_t buf[DFS_INODE_BYTES];
	struct piece p;
	daos_iod_t iod;
	d_sg_list_t sgl;
	daos_key_t dkey;
	int rc;

	d_iov_set(&dkey, (void *)name, strlen(name));
	array_iod(&iod, &sgl, &p, inode_akey, buf, sizeof(buf));
	rc = daos_obj_fetch(oh, DAOS_TX_NONE, 0, &dkey, 1, &iod, &sgl, NULL, NULL);
	if (rc != 0)
		return daos_der2errno(rc);
	if (iod.iod_size == 0 || sgl.sg_nr_out == 0 || sgl.sg_iovs[0].iov_len == 0)
		return ENOENT;
	return entry_decode(buf, ret_e);
}

static int
entry_write(daos_handle_t oh, const char *name, const struct dfs_entry *e, const char *value,
	    uint64_t cond)
{
	uint8_t buf[DFS_INODE_BYTES];
	struct piece p[2];
	daos_iod_t iods[2];
	d_sg_list_t sgls[2];
	daos_key_t dkey;
	uint32_t nr = 1;
	int rc;

	entry_encode(e, buf);
	d_iov_set(&dkey, (void *)name, strlen(name));
	array_iod(&iods[0], &sgls[0], &p[0], inode_akey, buf, sizeof(buf));
	if (value != NULL)
		array_iod(&iods[nr], &sgls[nr], &p[1], slink_akey, (void *)value, e->value_len),
		    nr++;
	rc = daos_obj_update(oh, DAOS_TX_NONE, cond, &dkey, nr, iods, sgls, NULL);
	return daos_der2errno(rc);
}

int
entry_insert(daos_handle_t oh, const char *name, const struct dfs_entry *e, const char *value)
{
	return entry_write(oh, name, e, value, DAOS_COND_DKEY_INSERT);
}

int
entry_update(daos_handle_t oh, const char *name, const struct dfs_entry *e)
{
	return entry_write(oh, name, e, NULL, DAOS_COND_DKEY_UPDATE);
}

int
entry_remove(daos_handle_t oh, const char *name)
{
	daos_key_t dkey;

	d_iov_set(&dkey, (void *)name, strlen(name));
	return daos_der2errno(
	    daos_obj_punch_dkeys(oh, DAOS_TX_NONE, DAOS_COND_PUNCH, 1, &dkey, NULL));
}

int
entry_value(daos_handle_t oh, const char *name, const struct dfs_entry *e, char **ret_value)
{
	char *value = calloc(1, e->value_len + 1);
	struct piece p;
	daos_iod_t iod;
	d_sg_list_t sgl;
	daos_key_t dkey;
	int rc;

	if (value == NULL)
		return ENOMEM;
	d_iov_set(&dkey, (void *)name, strlen(name));
	array_iod(&iod, &sgl, &p, slink_akey, value, e->value_len);
	rc = daos_obj_fetch(oh, DAOS_TX_NONE, 0, &dkey, 1, &iod, &sgl, NULL, NULL);
	rc = daos_der2errno(rc);
	if (rc == 0 && iod.iod_size == 0)
		rc = EIO;
	if (rc != 0) {
		free(value);
		return rc;
	}
	*ret_value = value;
	return 0;
}

/* --- copies
 * ------------------------------------------------------------------------------------------------
 */

/* Names of the akeys of an entry, one after another in buf. */
struct akeys {
	char *buf;
	d_iov_t v[AKEY_MAX];
	uint32_t nr;
};

static int
akeys_list(daos_handle_t oh, const char *name, struct akeys *a)
{
	daos_anchor_t anchor = {0};
	daos_key_desc_t kds[64];
	daos_key_t dkey;
	size_t used = 0;
	int rc;

	d_iov_set(&dkey, (void *)name, strlen(name));
	a->nr = 0;
	a->buf = malloc(AKEY_MAX * (DFS_MAX_XATTR_NAME + 3));
	if (a->buf == NULL)
		return ENOMEM;
	while (!daos_anchor_is_eof(&anchor)) {
		uint32_t nr = 64, i;
		d_iov_t iov;
		d_sg_list_t sgl = {.sg_nr = 1, .sg_iovs = &iov};
		char page[AKEY_LIST_BYTES];
		char *p = page;

		d_iov_set(&iov, page, sizeof(page));
		rc = daos_obj_list_akey(oh, DAOS_TX_NONE, &dkey, &nr, kds, &sgl, &anchor, NULL);
		if (rc != 0)
			return daos_der2errno(rc);
		for (i = 0; i < nr; p += kds[i++].kd_key_len) {
			if (a->nr == AKEY_MAX || kds[i].kd_key_len > DFS_MAX_XATTR_NAME + 2)
				return E2BIG;
			memcpy(a->buf + used, p, kds[i].kd_key_len);
			d_iov_set(&a->v[a->nr++], a->buf + used, kds[i].kd_key_len);
			used += kds[i].kd_key_len;
		}
	}
	return 0;
}

static bool
is_xattr(const d_iov_t *akey)
{
	return akey->iov_len > 2 && memcmp(akey->iov_buf, "x:", 2) == 0;
}

static bool
akeys_have(const struct akeys *a, const d_iov_t *akey)
{
	uint32_t i;

	for (i = 0; i < a->nr; i++)
		if (a->v[i].iov_len == akey->iov_len &&
		    memcmp(a->v[i].iov_buf, akey->iov_buf, akey->iov_len) == 0)
			return true;
	return false;
}

struct copy {
	struct akeys src, dst;
	daos_iod_t iods[AKEY_MAX + 2];
	d_sg_list_t sgls[AKEY_MAX + 2];
	struct piece pieces[AKEY_MAX + 2];
	uint32_t nr;
	void *values[AKEY_MAX];
	uint32_t value_nr;
};

static int
copy_xattr(struct copy *c, daos_handle_t src, const char *name, const d_iov_t *akey)
{
	daos_key_t dkey;
	daos_iod_t iod;
	d_sg_list_t sgl;
	struct piece p;
	void *buf;
	int rc;

	d_iov_set(&dkey, (void *)name, strlen(name));
	single_iod(&iod, &sgl, &p, akey, NULL, 0);
	iod.iod_size = DAOS_REC_ANY;
	rc = daos_obj_fetch(src, DAOS_TX_NONE, 0, &dkey, 1, &iod, NULL, NULL, NULL);
	if (rc != 0)
		return daos_der2errno(rc);
	if (iod.iod_size == 0)
		return 0;
	buf = malloc(iod.iod_size);
	if (buf == NULL)
		return ENOMEM;
	c->values[c->value_nr++] = buf;
	single_iod(&iod, &sgl, &p, akey, buf, iod.iod_size);
	rc = daos_obj_fetch(src, DAOS_TX_NONE, 0, &dkey, 1, &iod, &sgl, NULL, NULL);
	if (rc != 0)
		return daos_der2errno(rc);
	single_iod(&c->iods[c->nr], &c->sgls[c->nr], &c->pieces[c->nr], akey, buf, iod.iod_size);
	c->nr++;
	return 0;
}

/* What the old entry has and the new one has not goes in the same update. */
static int
copy_stale(struct copy *c, daos_handle_t dst, const char *dst_name)
{
	uint32_t i;
	int rc;

	rc = akeys_list(dst, dst_name, &c->dst);
	for (i = 0; rc == 0 && i < c->dst.nr; i++) {
		if (!is_xattr(&c->dst.v[i]) || akeys_have(&c->src, &c->dst.v[i]))
			continue;
		if (c->nr == AKEY_MAX + 2)
			return E2BIG;
		single_iod(&c->iods[c->nr], &c->sgls[c->nr], &c->pieces[c->nr], &c->dst.v[i], NULL,
			   0);
		c->sgls[c->nr].sg_nr = 0;
		c->nr++;
	}
	return rc;
}

int
entry_copy(daos_handle_t src, const char *src_name, const struct dfs_entry *e, daos_handle_t dst,
	   const char *dst_name, bool dst_exists)
{
	struct copy *c = calloc(1, sizeof(*c));
	uint8_t inode[DFS_INODE_BYTES];
	char *value = NULL;
	daos_key_t dkey;
	uint32_t i;
	int rc;

	if (c == NULL)
		return ENOMEM;
	entry_encode(e, inode);
	array_iod(&c->iods[0], &c->sgls[0], &c->pieces[0], inode_akey, inode, sizeof(inode));
	c->nr = 1;
	rc = akeys_list(src, src_name, &c->src);
	if (rc == 0 && S_ISLNK(e->mode)) {
		rc = entry_value(src, src_name, e, &value);
		if (rc == 0)
			array_iod(&c->iods[1], &c->sgls[1], &c->pieces[1], slink_akey, value,
				  e->value_len),
			    c->nr++;
	}
	for (i = 0; rc == 0 && i < c->src.nr; i++)
		if (is_xattr(&c->src.v[i]))
			rc = copy_xattr(c, src, src_name, &c->src.v[i]);
	if (rc == 0 && dst_exists)
		rc = copy_stale(c, dst, dst_name);
	if (rc == 0) {
		d_iov_set(&dkey, (void *)dst_name, strlen(dst_name));
		rc = daos_obj_update(dst, DAOS_TX_NONE, dst_exists ? 0 : DAOS_COND_DKEY_INSERT,
				     &dkey, c->nr, c->iods, c->sgls, NULL);
		rc = daos_der2errno(rc);
	}
	for (i = 0; i < c->value_nr; i++)
		free(c->values[i]);
	free(value);
	free(c->src.buf);
	free(c->dst.buf);
	free(c);
	return rc;
}
