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
		if (p.nr < *nr - done && p.nr == 0)
			break;
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
 * The inodes of a page are fetched several at a time through the mount's event queue, then the
 * sizes of the files among them in the same way. An entry that vanishes meanwhile is left out.
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
	/* size */
	daos_handle_t oh;
	daos_array_stbuf_t array;
	daos_event_t ev;
	bool sizing;
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

static int
plus_size(dfs_t *dfs, struct plus *p)
{
	daos_size_t chunk = p->e.chunk_size != 0 ? p->e.chunk_size : dfs->attr.da_chunk_size;
	int rc;

	rc = daos_array_open_with_attr(dfs->coh, p->e.oid, DAOS_TX_NONE, DAOS_OO_RO, 1, chunk,
				       &p->oh, NULL);
	if (rc == 0)
		rc = daos_array_stat(p->oh, DAOS_TX_NONE, &p->array, &p->ev);
	return rc;
}

/* After the inode: decode it, and for files go on with the size. True when the entry is finished.
 */
static bool
plus_advance(dfs_t *dfs, struct plus *p)
{
	int rc = p->ev.ev_error;

	daos_event_fini(&p->ev);
	if (p->sizing) {
		daos_array_close(p->oh, NULL);
		p->rc = daos_der2errno(rc);
		return true;
	}
	if (rc == 0 && (p->iod.iod_size == 0 || p->iov.iov_len == 0))
		p->rc = ENOENT;
	else
		p->rc = rc != 0 ? daos_der2errno(rc) : entry_decode(p->buf, &p->e);
	if (p->rc != 0 || !S_ISREG(p->e.mode))
		return true;
	p->sizing = true;
	rc = daos_event_init(&p->ev, dfs->eq, NULL);
	if (rc == 0)
		rc = plus_size(dfs, p);
	if (rc != 0) {
		p->rc = daos_der2errno(rc);
		return true;
	}
	return false;
}

static int
plus_batch(dfs_t *dfs, dfs_obj_t *dir, struct dirent *dirs, struct plus *all, uint32_t nr)
{
	uint32_t flying = 0, i;
	daos_event_t *evs[DFS_STAT_BATCH];
	int rc = 0, n, k;

	for (i = 0; i < nr; i++) {
		memset(&all[i], 0, sizeof(all[i]));
		rc = daos_event_init(&all[i].ev, dfs->eq, NULL);
		if (rc == 0)
			rc = plus_fetch(dir, dirs[i].d_name, &all[i]);
		if (rc != 0)
			break;
		flying++;
	}
	while (flying > 0) {
		n = daos_eq_poll(dfs->eq, 1, DAOS_EQ_WAIT, DFS_STAT_BATCH, evs);
		if (n < 0)
			return daos_der2errno(n);
		for (k = 0; k < n; k++)
			if (plus_advance(dfs, container_of(evs[k], struct plus, ev)))
				flying--;
	}
	return daos_der2errno(rc);
}

static int
eq_get(dfs_t *dfs)
{
	int rc = 0;

	pthread_mutex_lock(&dfs->eq_lock);
	if (daos_handle_is_inval(dfs->eq))
		rc = daos_der2errno(daos_eq_create(&dfs->eq));
	if (rc != 0)
		pthread_mutex_unlock(&dfs->eq_lock);
	return rc;
}

int
dfs_readdir_entries(dfs_t *dfs, dfs_obj_t *obj, daos_anchor_t *anchor, uint32_t *nr,
		    struct dirent *dirs, struct stat *stbufs, struct dfs_entry *entries)
{
	uint32_t listed, kept = 0, at, i;
	struct plus *all;
	int rc;

	if (stbufs == NULL)
		return EINVAL;
	rc = dfs_readdir(dfs, obj, anchor, nr, dirs);
	if (rc != 0 || *nr == 0)
		return rc;
	all = malloc(DFS_STAT_BATCH * sizeof(*all));
	rc = all == NULL ? ENOMEM : eq_get(dfs);
	if (rc != 0) {
		free(all);
		return rc;
	}
	listed = *nr;
	for (at = 0; rc == 0 && at < listed; at += DFS_STAT_BATCH) {
		uint32_t n = listed - at < DFS_STAT_BATCH ? listed - at : DFS_STAT_BATCH;

		rc = plus_batch(dfs, obj, dirs + at, all, n);
		for (i = 0; rc == 0 && i < n; i++) {
			if (all[i].rc == ENOENT)
				continue;
			rc = all[i].rc;
			if (rc != 0)
				break;
			entry_to_stat(dfs, &all[i].e, &all[i].array, &stbufs[kept]);
			if (entries != NULL)
				entries[kept] = all[i].e;
			if (kept != at + i)
				dirs[kept] = dirs[at + i];
			dirs[kept].d_type = IFTODT(all[i].e.mode);
			dirs[kept].d_ino = stbufs[kept].st_ino;
			kept++;
		}
	}
	pthread_mutex_unlock(&dfs->eq_lock);
	free(all);
	*nr = kept;
	return rc;
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
	return daos_der2errno(
	    daos_obj_key2anchor(obj->oh, DAOS_TX_NONE, &dkey, NULL, anchor, NULL));
}
