/* Listing directories: names, names with attributes, parts that can be listed in parallel. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <daos/common.h>

#include "client/dfs/dfs_internal.h"

static char inode_akey[] = "DFS_INODE";

static int
dir_check(dfs_t *dfs, const dfs_obj_t *obj)
{
	if (dfs == NULL || obj == NULL)
		return EINVAL;
	return S_ISDIR(obj->mode) ? 0 : ENOTDIR;
}

/* Some names: called for each with its place in the listing; stops after nr. */
struct page {
	daos_key_desc_t *kds;
	char *buf;
	size_t size;
	uint32_t nr;
};

static int
page_read(dfs_obj_t *obj, daos_anchor_t *anchor, struct page *p, uint32_t max)
{
	d_iov_t iov;
	d_sg_list_t sgl = {.sg_nr = 1, .sg_iovs = &iov};
	int rc;

	p->nr = 0;
	/* an empty page is not the end: a listing may go through shards that hold nothing */
	while (p->nr == 0 && !daos_anchor_is_eof(anchor)) {
		p->nr = max;
		d_iov_set(&iov, p->buf, p->size);
		rc = daos_obj_list_dkey(obj->oh, DAOS_TX_NONE, &p->nr, p->kds, &sgl, anchor, NULL);
		if (rc != 0)
			return daos_der2errno(rc);
	}
	return 0;
}

static int
page_alloc(struct page *p, uint32_t max, size_t size)
{
	p->kds = malloc(max * sizeof(*p->kds));
	p->buf = malloc(size);
	p->size = size;
	return p->kds == NULL || p->buf == NULL ? ENOMEM : 0;
}

static void
page_free(struct page *p)
{
	free(p->kds);
	free(p->buf);
}

int
dfs_iterate(dfs_t *dfs, dfs_obj_t *obj, daos_anchor_t *anchor, uint32_t *nr, size_t size,
	    dfs_filler_cb_t op, void *arg)
{
	char name[DFS_MAX_NAME + 1];
	uint32_t done = 0, i;
	struct page p = {0};
	char *at;
	int rc;

	rc = dir_check(dfs, obj);
	if (rc != 0)
		return rc;
	if (anchor == NULL || nr == NULL || *nr == 0 || size < DFS_MAX_NAME + 1)
		return EINVAL;
	rc = page_alloc(&p, *nr, size);
	while (rc == 0 && done < *nr && !daos_anchor_is_eof(anchor)) {
		rc = page_read(obj, anchor, &p, *nr - done);
		at = p.buf;
		for (i = 0; rc == 0 && i < p.nr; at += p.kds[i++].kd_key_len) {
			size_t len = p.kds[i].kd_key_len;

			if (len > DFS_MAX_NAME)
				continue; /* not one of ours */
			memcpy(name, at, len);
			name[len] = '\0';
			done++;
			if (op != NULL)
				rc = op(dfs, obj, name, arg);
		}
	}
	page_free(&p);
	*nr = done;
	return rc;
}

struct dirents {
	struct dirent *v;
	uint32_t nr;
};

static int
dirent_add(dfs_t *dfs, dfs_obj_t *obj, const char name[], void *arg)
{
	struct dirents *d = arg;
	struct dirent *e = &d->v[d->nr++];

	memset(e, 0, offsetof(struct dirent, d_name));
	snprintf(e->d_name, sizeof(e->d_name), "%s", name);
	return 0;
}

int
dfs_readdir(dfs_t *dfs, dfs_obj_t *obj, daos_anchor_t *anchor, uint32_t *nr, struct dirent *dirs)
{
	struct dirents d = {.v = dirs};

	if (dirs == NULL || nr == NULL)
		return EINVAL;
	return dfs_iterate(dfs, obj, anchor, nr, (size_t)(*nr < 64 ? 64 : *nr) * 64, dirent_add,
			   &d);
}

/* --- with attributes
 * ------------------------------------------------------------------------------------ */

/*
 * The inodes of a page are fetched several at a time through an event queue of the mount, then the
 * sizes and newest changes of the objects behind them in the same way. An entry that vanishes
 * meanwhile is left out.
 */
struct plus {
	struct dfs_entry e;
	int rc;
	/* inode */
	uint8_t buf[DFS_INODE_BYTES];
	daos_key_t dkey;
	daos_iod_t iod;
	daos_recx_t recx;
	d_iov_t iov;
	d_sg_list_t sgl;
	/* object */
	daos_handle_t oh;
	daos_array_stbuf_t newest;
	daos_event_t ev;
	bool second;
};

static int
plus_fetch(dfs_obj_t *dir, const char *name, struct plus *p)
{
	d_iov_set(&p->dkey, (void *)name, strlen(name));
	d_iov_set(&p->iod.iod_name, inode_akey, sizeof(inode_akey) - 1);
	p->recx = (daos_recx_t){.rx_idx = 0, .rx_nr = DFS_INODE_BYTES};
	p->iod.iod_type = DAOS_IOD_ARRAY;
	p->iod.iod_size = 1;
	p->iod.iod_nr = 1;
	p->iod.iod_recxs = &p->recx;
	d_iov_set(&p->iov, p->buf, sizeof(p->buf));
	p->sgl = (d_sg_list_t){.sg_nr = 1, .sg_iovs = &p->iov};
	return daos_obj_fetch(dir->oh, DAOS_TX_NONE, 0, &p->dkey, 1, &p->iod, &p->sgl, NULL,
			      &p->ev);
}

static void
plus_close(struct plus *p)
{
	if (daos_handle_is_inval(p->oh))
		return;
	if (S_ISREG(p->e.mode))
		daos_array_close(p->oh, NULL);
	else
		daos_obj_close(p->oh, NULL);
	p->oh = DAOS_HDL_INVAL;
}

static int
plus_newest(dfs_t *dfs, struct plus *p)
{
	daos_size_t chunk = p->e.chunk_size != 0 ? p->e.chunk_size : dfs->attr.da_chunk_size;
	int rc;

	if (S_ISREG(p->e.mode)) {
		rc = daos_array_open_with_attr(dfs->coh, p->e.oid, DAOS_TX_NONE, DAOS_OO_RO, 1,
					       chunk, &p->oh, NULL);
		return rc != 0 ? rc : daos_array_stat(p->oh, DAOS_TX_NONE, &p->newest, &p->ev);
	}
	rc = daos_obj_open(dfs->coh, p->e.oid, DAOS_OO_RO, &p->oh, NULL);
	return rc != 0
		   ? rc
		   : daos_obj_query_max_epoch(p->oh, DAOS_TX_NONE, &p->newest.st_max_epoch, &p->ev);
}

/* An event of p is complete. After the inode go on with the object. True: the entry is finished. */
static bool
plus_advance(dfs_t *dfs, daos_handle_t eq, struct plus *p)
{
	int rc = p->ev.ev_error;

	daos_event_fini(&p->ev);
	if (p->second) {
		plus_close(p);
		p->rc = daos_der2errno(rc);
		return true;
	}
	if (rc == 0 && (p->iod.iod_size == 0 || p->iov.iov_len == 0))
		p->rc = ENOENT;
	else
		p->rc = rc != 0 ? daos_der2errno(rc) : entry_decode(p->buf, &p->e);
	if (p->rc != 0 || S_ISLNK(p->e.mode))
		return true;
	p->second = true;
	rc = daos_event_init(&p->ev, eq, NULL);
	if (rc == 0) {
		rc = plus_newest(dfs, p);
		if (rc == 0)
			return false;
		daos_event_fini(&p->ev);
	}
	plus_close(p);
	p->rc = daos_der2errno(rc);
	return true;
}

/* *ret_clean: nothing is in flight any more, also after an error. */
static int
plus_batch(dfs_t *dfs, daos_handle_t eq, dfs_obj_t *dir, struct dirent *dirs, struct plus *all,
	   uint32_t nr, bool *ret_clean)
{
	uint32_t flying = 0, i;
	daos_event_t *evs[DFS_STAT_BATCH];
	int rc = 0, n = 0, k;

	for (i = 0; rc == 0 && i < nr; i++) {
		memset(&all[i], 0, sizeof(all[i]));
		rc = daos_event_init(&all[i].ev, eq, NULL);
		if (rc != 0)
			break;
		rc = plus_fetch(dir, dirs[i].d_name, &all[i]);
		if (rc == 0)
			flying++;
		else
			daos_event_fini(&all[i].ev);
	}
	while (flying > 0 && n >= 0) {
		n = daos_eq_poll(eq, 1, DAOS_EQ_WAIT, DFS_STAT_BATCH, evs);
		for (k = 0; k < n; k++)
			if (plus_advance(dfs, eq, container_of(evs[k], struct plus, ev)))
				flying--;
	}
	*ret_clean = flying == 0;
	return daos_der2errno(rc != 0 ? rc : n < 0 ? n : 0);
}

/* The attributes of listed entries; those that are gone leave the list. */
static int
plus_all(dfs_t *dfs, daos_handle_t eq, dfs_obj_t *dir, uint32_t *nr, struct dirent *dirs,
	 struct stat *stbufs, struct dfs_entry *entries, struct plus *all, bool *ret_clean)
{
	uint32_t kept = 0, at, i, n;
	int rc = 0;

	*ret_clean = true;
	for (at = 0; rc == 0 && at < *nr; at += n) {
		n = *nr - at < DFS_STAT_BATCH ? *nr - at : DFS_STAT_BATCH;
		rc = plus_batch(dfs, eq, dir, dirs + at, all, n, ret_clean);
		for (i = 0; rc == 0 && i < n; i++) {
			if (all[i].rc == ENOENT)
				continue;
			rc = all[i].rc;
			if (rc != 0)
				break;
			entry_to_stat(dfs, &all[i].e, &all[i].newest, &stbufs[kept]);
			if (entries != NULL)
				entries[kept] = all[i].e;
			if (kept != at + i)
				dirs[kept] = dirs[at + i];
			dirs[kept].d_type = IFTODT(all[i].e.mode);
			dirs[kept].d_ino = stbufs[kept].st_ino;
			kept++;
		}
	}
	*nr = kept;
	return rc;
}

int
dfs_readdir_entries(dfs_t *dfs, dfs_obj_t *obj, daos_anchor_t *anchor, uint32_t *nr,
		    struct dirent *dirs, struct stat *stbufs, struct dfs_entry *entries)
{
	daos_handle_t eq = DAOS_HDL_INVAL;
	struct plus *all;
	bool clean = true;
	int rc;

	if (stbufs == NULL)
		return EINVAL;
	rc = dfs_readdir(dfs, obj, anchor, nr, dirs);
	if (rc != 0 || *nr == 0)
		return rc;
	all = malloc(DFS_STAT_BATCH * sizeof(*all));
	rc = all == NULL ? ENOMEM : eq_take(dfs, &eq);
	if (rc == 0) {
		rc = plus_all(dfs, eq, obj, nr, dirs, stbufs, entries, all, &clean);
		eq_give(dfs, eq, clean);
	}
	free(all);
	return rc;
}

int
dfs_readdirplus(dfs_t *dfs, dfs_obj_t *obj, daos_anchor_t *anchor, uint32_t *nr,
		struct dirent *dirs, struct stat *stbufs)
{
	return dfs_readdir_entries(dfs, obj, anchor, nr, dirs, stbufs, NULL);
}

/* --- parts
 * ------------------------------------------------------------------------------------------------
 */

int
dfs_obj_anchor_split(dfs_obj_t *obj, uint32_t *nr, daos_anchor_t *anchors)
{
	if (obj == NULL || nr == NULL)
		return EINVAL;
	if (!S_ISDIR(obj->mode))
		return ENOTDIR;
	return daos_der2errno(daos_obj_anchor_split(obj->oh, nr, anchors));
}

int
dfs_obj_anchor_set(dfs_obj_t *obj, uint32_t index, daos_anchor_t *anchor)
{
	if (obj == NULL || anchor == NULL)
		return EINVAL;
	if (!S_ISDIR(obj->mode))
		return ENOTDIR;
	return daos_der2errno(daos_obj_anchor_set(obj->oh, index, anchor));
}

int
dfs_dir_anchor_set(dfs_obj_t *obj, const char name[], daos_anchor_t *anchor)
{
	daos_key_t dkey;
	int rc;

	if (obj == NULL || anchor == NULL)
		return EINVAL;
	if (!S_ISDIR(obj->mode))
		return ENOTDIR;
	rc = name_check(name, NULL);
	if (rc != 0)
		return rc;
	d_iov_set(&dkey, (void *)name, strlen(name));
	rc = daos_obj_key2anchor(obj->oh, DAOS_TX_NONE, &dkey, NULL, anchor, NULL);
	return rc == -DER_NOSYS ? ENOTSUP : daos_der2errno(rc);
}
