/* Attributes: stat, setattr, permissions, defaults of directories. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <daos/common.h>

#include "client/dfs/dfs_internal.h"

enum { DIR_BYTES = 144 }; /* directories report a constant size */

static bool
later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

/* newest: size and newest change of the object; NULL for something that is new. */
void
entry_to_stat(const dfs_t *dfs, const struct dfs_entry *e, const daos_array_stbuf_t *newest,
	      struct stat *st)
{
	struct timespec t;

	memset(st, 0, sizeof(*st));
	st->st_mode = e->mode;
	st->st_nlink = 1;
	st->st_uid = e->uid;
	st->st_gid = e->gid;
	st->st_mtim = e->mtime;
	st->st_ctim = e->ctime;
	st->st_ino = e->oid.hi ^ (e->oid.lo << 32);
	st->st_blksize = e->chunk_size != 0 ? e->chunk_size : dfs->attr.da_chunk_size;
	if (S_ISDIR(e->mode)) {
		st->st_size = DIR_BYTES;
	} else if (S_ISLNK(e->mode)) {
		st->st_size = e->value_len;
		st->st_blksize = 4096;
	} else if (newest != NULL) {
		st->st_size = newest->st_size;
	}
	/* changed since the time was last set? */
	if (newest != NULL && newest->st_max_epoch > e->obj_hlc &&
	    daos_hlc2timespec(newest->st_max_epoch, &t) == 0 &&
	    (e->obj_hlc != 0 || later(&t, &st->st_mtim))) {
		st->st_mtim = t;
		if (later(&t, &st->st_ctim))
			st->st_ctim = t;
	}
	st->st_blocks = (st->st_size + 511) / 512;
	st->st_atim = later(&st->st_ctim, &st->st_mtim) ? st->st_ctim : st->st_mtim;
}

/* --- size and newest change of an object, asked while something else is --- */

/* A question under way; oh must be open, or is opened for it. */
struct newest {
	daos_event_t ev;
	daos_array_stbuf_t st;
	daos_handle_t oh;
	mode_t mode;
	bool own;     /* oh is to be closed */
	bool started; /* ev is to be waited for */
};

static int
newest_begin(dfs_t *dfs, daos_obj_id_t oid, mode_t mode, daos_size_t chunk, daos_handle_t oh,
	     struct newest *q)
{
	int rc = 0;

	memset(&q->st, 0, sizeof(q->st));
	q->oh = oh;
	q->mode = mode;
	q->started = false;
	q->own = daos_handle_is_inval(oh) && (S_ISREG(mode) || S_ISDIR(mode));
	if (q->own && S_ISREG(mode))
		rc = daos_array_open_with_attr(dfs->coh, oid, DAOS_TX_NONE, DAOS_OO_RO, 1,
					       chunk != 0 ? chunk : dfs->attr.da_chunk_size, &q->oh,
					       NULL);
	else if (q->own)
		rc = daos_obj_open(dfs->coh, oid, DAOS_OO_RO, &q->oh, NULL);
	q->own = q->own && rc == 0;
	return rc;
}

static int
newest_ask(struct newest *q, daos_event_t *ev)
{
	if (S_ISREG(q->mode))
		return daos_array_stat(q->oh, DAOS_TX_NONE, &q->st, ev);
	if (S_ISDIR(q->mode))
		return daos_obj_query_max_epoch(q->oh, DAOS_TX_NONE, &q->st.st_max_epoch, ev);
	return 0;
}

/* The question goes out; newest_end() has the answer. */
static int
newest_start(struct newest *q)
{
	int rc;

	if (!S_ISREG(q->mode) && !S_ISDIR(q->mode))
		return 0;
	rc = daos_event_init(&q->ev, DAOS_HDL_INVAL, NULL);
	if (rc != 0)
		return rc;
	rc = newest_ask(q, &q->ev);
	if (rc != 0)
		daos_event_fini(&q->ev);
	q->started = rc == 0;
	return rc;
}

static int
newest_end(struct newest *q, int rc)
{
	bool done;

	if (q->started) {
		int rc2 = daos_event_test(&q->ev, DAOS_EQ_WAIT, &done);

		if (rc2 == 0)
			rc2 = q->ev.ev_error;
		daos_event_fini(&q->ev);
		rc = rc != 0 ? rc : rc2;
	}
	if (q->own && S_ISREG(q->mode))
		daos_array_close(q->oh, NULL);
	else if (q->own)
		daos_obj_close(q->oh, NULL);
	return rc;
}

int
entry_newest(dfs_t *dfs, const struct dfs_entry *e, daos_handle_t oh, daos_array_stbuf_t *ret)
{
	struct newest q;
	int rc;

	rc = newest_begin(dfs, e->oid, e->mode, e->chunk_size, oh, &q);
	if (rc == 0)
		rc = newest_ask(&q, NULL);
	rc = newest_end(&q, rc);
	*ret = q.st;
	return daos_der2errno(rc);
}

/* The entry called name in dir and, at the same time, what the open object says that is expected
 * there; false: the entry is another object's. */
static int
entry_and_newest(dfs_t *dfs, daos_handle_t dir, const char *name, const dfs_obj_t *obj,
		 struct dfs_entry *e, daos_array_stbuf_t *newest, bool *ret_same)
{
	struct newest q;
	int rc, rc2;

	*ret_same = false;
	rc = newest_begin(dfs, obj->oid, obj->mode, 0, obj->oh, &q);
	if (rc == 0)
		rc = newest_start(&q);
	rc2 = rc == 0 ? entry_fetch(dir, name, e) : 0;
	rc = newest_end(&q, rc);
	if (rc2 != 0)
		return rc2; /* without an entry the object does not matter */
	*ret_same = rc == 0 && same_oid(e->oid, obj->oid) && ((e->mode ^ obj->mode) & S_IFMT) == 0;
	*newest = q.st;
	return daos_der2errno(rc);
}

int
entry_stat(dfs_t *dfs, const struct dfs_entry *e, daos_handle_t oh, struct stat *st)
{
	daos_array_stbuf_t newest;
	int rc;

	rc = entry_newest(dfs, e, oh, &newest);
	if (rc == 0)
		entry_to_stat(dfs, e, &newest, st);
	return rc;
}

int
dfs_stat(dfs_t *dfs, dfs_obj_t *parent, const char *name, struct stat *stbuf)
{
	struct dfs_entry e;
	int rc;

	if (dfs == NULL || stbuf == NULL)
		return EINVAL;
	if (name == NULL || strcmp(name, "/") == 0) {
		if (parent == NULL || parent == dfs->root)
			return dfs_ostat(dfs, dfs->root, stbuf);
		return name == NULL ? dfs_ostat(dfs, parent, stbuf) : EINVAL;
	}
	rc = name_check(name, NULL);
	if (rc != 0)
		return rc;
	parent = dir_or_root(dfs, parent);
	if (!S_ISDIR(parent->mode))
		return ENOTDIR;
	rc = entry_fetch(parent->oh, name, &e);
	return rc == 0 ? entry_stat(dfs, &e, DAOS_HDL_INVAL, stbuf) : rc;
}

int
dfs_ostat(dfs_t *dfs, dfs_obj_t *obj, struct stat *stbuf)
{
	daos_array_stbuf_t newest;
	struct dfs_entry e;
	daos_handle_t oh;
	bool same;
	int rc;

	if (dfs == NULL || obj == NULL || stbuf == NULL)
		return EINVAL;
	rc = parent_get(dfs, obj, &oh);
	if (rc != 0)
		return rc;
	rc = entry_and_newest(dfs, oh, obj->name, obj, &e, &newest, &same);
	parent_put(dfs, obj, oh);
	if (rc != 0)
		return rc;
	if (!same) /* another object of that name is not this one */
		return ENOENT;
	entry_to_stat(dfs, &e, &newest, stbuf);
	return 0;
}

int
dfs_stat_expected(dfs_t *dfs, dfs_obj_t *parent, const char *name, const dfs_obj_t *obj,
		  struct stat *stbuf, bool *ret_same)
{
	daos_array_stbuf_t newest;
	struct dfs_entry e;
	int rc;

	rc = entry_and_newest(dfs, parent->oh, name, obj, &e, &newest, ret_same);
	if (rc == 0 && *ret_same)
		entry_to_stat(dfs, &e, &newest, stbuf);
	return rc;
}

/* --- changes
 * ------------------------------------------------------------------------------------------ */

/* Apply what flags name to the entry; a time that is set hides what was written up to now. */
static int
entry_set(dfs_t *dfs, struct dfs_entry *e, daos_handle_t oh, const struct stat *st, int flags)
{
	daos_array_stbuf_t newest;
	int rc = 0;

	if ((flags & DFS_SET_ATTR_MODE) != 0) {
		if ((st->st_mode & S_IFMT) != 0 && (st->st_mode & S_IFMT) != (e->mode & S_IFMT))
			return EINVAL;
		e->mode = (e->mode & S_IFMT) | (st->st_mode & 07777);
	}
	if ((flags & DFS_SET_ATTR_UID) != 0)
		e->uid = st->st_uid;
	if ((flags & DFS_SET_ATTR_GID) != 0)
		e->gid = st->st_gid;
	now(&e->ctime);
	if ((flags & DFS_SET_ATTR_MTIME) != 0) {
		rc = entry_newest(dfs, e, oh, &newest);
		e->mtime = st->st_mtim;
		/* never 0: that means the time was never set */
		e->obj_hlc = newest.st_max_epoch != 0 ? newest.st_max_epoch : 1;
	}
	return rc;
}

/* Change the entry of obj in its directory. */
static int
change(dfs_t *dfs, daos_handle_t dir, const dfs_obj_t *obj, const struct stat *st, int flags,
       struct dfs_entry *ret_e)
{
	int rc;

	rc = entry_fetch(dir, obj->name, ret_e);
	/* another object of that name is not this one */
	if (rc == 0 && !same_oid(ret_e->oid, obj->oid))
		rc = ENOENT;
	if (rc == 0)
		rc = entry_set(dfs, ret_e, obj->oh, st, flags);
	return rc == 0 ? entry_update(dir, obj->name, ret_e) : rc;
}

int
dfs_osetattr(dfs_t *dfs, dfs_obj_t *obj, struct stat *stbuf, int flags)
{
	const int entry_flags =
	    DFS_SET_ATTR_MODE | DFS_SET_ATTR_MTIME | DFS_SET_ATTR_UID | DFS_SET_ATTR_GID;
	struct dfs_entry e;
	daos_handle_t dir;
	int rc;

	if (dfs == NULL || obj == NULL || stbuf == NULL ||
	    (flags & ~(entry_flags | DFS_SET_ATTR_ATIME | DFS_SET_ATTR_SIZE)) != 0)
		return EINVAL;
	rc = writable(dfs);
	if (rc != 0)
		return rc;
	if ((flags & DFS_SET_ATTR_MODE) != 0 && S_ISLNK(obj->mode))
		return ENOTSUP; /* a link has no permissions of its own */
	if ((flags & DFS_SET_ATTR_SIZE) != 0) {
		if (!S_ISREG(obj->mode))
			return S_ISDIR(obj->mode) ? EISDIR : EINVAL;
		rc = daos_der2errno(
		    daos_array_set_size(obj->oh, DAOS_TX_NONE, stbuf->st_size, NULL));
		if (rc != 0)
			return rc;
	}
	rc = parent_get(dfs, obj, &dir);
	if (rc != 0)
		return rc;
	if ((flags & entry_flags) != 0)
		rc = change(dfs, dir, obj, stbuf, flags, &e);
	else
		rc = entry_fetch(dir, obj->name, &e);
	parent_put(dfs, obj, dir);
	if (rc == 0) {
		obj->mode = e.mode;
		rc = entry_stat(dfs, &e, obj->oh, stbuf);
	}
	return rc;
}

/* The entry that name leads to from parent, following links when asked: its directory and name. */
static int
target_of(dfs_t *dfs, dfs_obj_t *parent, const char *name, bool follow, dfs_obj_t **ret_obj,
	  dfs_obj_t **ret_own)
{
	int rc;

	*ret_own = NULL;
	if (name == NULL) {
		*ret_obj = dir_or_root(dfs, parent);
		return 0;
	}
	if (strcmp(name, "/") == 0) {
		*ret_obj = dfs->root;
		return 0;
	}
	rc = dfs_lookup_rel(dfs, parent, name, O_RDONLY | (follow ? 0 : O_NOFOLLOW), ret_own, NULL,
			    NULL);
	*ret_obj = *ret_own;
	return rc;
}

static int
set_by_name(dfs_t *dfs, dfs_obj_t *parent, const char *name, bool follow, struct stat *st,
	    int flags)
{
	dfs_obj_t *obj, *own;
	struct dfs_entry e;
	daos_handle_t dir;
	int rc;

	rc = writable(dfs);
	if (rc == 0)
		rc = target_of(dfs, parent, name, follow, &obj, &own);
	if (rc != 0)
		return rc;
	rc = parent_get(dfs, obj, &dir);
	if (rc == 0) {
		rc = change(dfs, dir, obj, st, flags, &e);
		parent_put(dfs, obj, dir);
	}
	if (rc == 0 && own == NULL && obj != dfs->root)
		obj->mode = e.mode;
	if (own != NULL)
		dfs_release(own);
	return rc;
}

int
dfs_chmod(dfs_t *dfs, dfs_obj_t *parent, const char *name, mode_t mode)
{
	struct stat st = {.st_mode = mode};

	if (dfs == NULL)
		return EINVAL;
	if ((mode & ~(mode_t)(S_IFMT | 07777)) != 0)
		return EINVAL;
	return set_by_name(dfs, parent, name, true, &st, DFS_SET_ATTR_MODE);
}

int
dfs_chown(dfs_t *dfs, dfs_obj_t *parent, const char *name, uid_t uid, gid_t gid, int flags)
{
	struct stat st = {.st_uid = uid, .st_gid = gid};
	int set =
	    (uid != (uid_t)-1 ? DFS_SET_ATTR_UID : 0) | (gid != (gid_t)-1 ? DFS_SET_ATTR_GID : 0);

	if (dfs == NULL)
		return EINVAL;
	if (set == 0)
		return 0;
	return set_by_name(dfs, parent, name, (flags & O_NOFOLLOW) == 0, &st, set);
}

static bool
in_group(gid_t gid)
{
	gid_t groups[1024];
	int nr, i;

	if (gid == getegid())
		return true;
	nr = getgroups(1024, groups);
	for (i = 0; i < nr; i++)
		if (groups[i] == gid)
			return true;
	return false;
}

int
dfs_access(dfs_t *dfs, dfs_obj_t *parent, const char *name, int mask)
{
	dfs_obj_t *obj, *own;
	struct dfs_entry e;
	daos_handle_t dir;
	mode_t bits;
	int rc;

	if (dfs == NULL || (mask & ~(R_OK | W_OK | X_OK)) != 0)
		return EINVAL;
	if ((mask & W_OK) != 0 && dfs->amode == O_RDONLY)
		return EPERM;
	rc = target_of(dfs, parent, name, true, &obj, &own);
	if (rc != 0)
		return rc;
	rc = parent_get(dfs, obj, &dir);
	if (rc == 0) {
		rc = entry_fetch(dir, obj->name, &e);
		parent_put(dfs, obj, dir);
	}
	if (own != NULL)
		dfs_release(own);
	if (rc != 0 || mask == F_OK)
		return rc;
	if (geteuid() == 0) /* may everything but run what nobody may run */
		return (mask & X_OK) == 0 || S_ISDIR(e.mode) || (e.mode & 0111) != 0 ? 0 : EACCES;
	if (e.uid == geteuid())
		bits = e.mode >> 6;
	else
		bits = in_group(e.gid) ? e.mode >> 3 : e.mode;
	return ((mode_t)mask & ~bits & 7) == 0 ? 0 : EACCES;
}

/* --- defaults of directories
 * ------------------------------------------------------------------------------ */

static int
set_default(dfs_t *dfs, dfs_obj_t *obj, const daos_oclass_id_t *cid, const daos_size_t *chunk)
{
	struct dfs_entry e;
	daos_handle_t dir;
	int rc;

	if (dfs == NULL || obj == NULL)
		return EINVAL;
	if (!S_ISDIR(obj->mode))
		return ENOTSUP;
	rc = writable(dfs);
	if (rc == 0)
		rc = parent_get(dfs, obj, &dir);
	if (rc != 0)
		return rc;
	rc = entry_fetch(dir, obj->name, &e);
	if (rc == 0) {
		if (cid != NULL)
			e.oclass = *cid;
		if (chunk != NULL)
			e.chunk_size = *chunk;
		rc = entry_update(dir, obj->name, &e);
	}
	parent_put(dfs, obj, dir);
	if (rc == 0) {
		atomic_store(&obj->oclass, e.oclass);
		atomic_store(&obj->chunk_size, e.chunk_size);
		/* the mount's own root object is what creations in the root look at */
		if (same_oid(obj->oid, dfs->root_oid)) {
			atomic_store(&dfs->root->oclass, e.oclass);
			atomic_store(&dfs->root->chunk_size, e.chunk_size);
		}
	}
	return rc;
}

int
dfs_obj_set_oclass(dfs_t *dfs, dfs_obj_t *obj, int flags, daos_oclass_id_t cid)
{
	char name[MAX_OBJ_CLASS_NAME_LEN];

	if (cid != OC_UNKNOWN && daos_oclass_id2name(cid, name) < 0)
		return EINVAL;
	return set_default(dfs, obj, &cid, NULL);
}

int
dfs_obj_set_chunk_size(dfs_t *dfs, dfs_obj_t *obj, int flags, daos_size_t csize)
{
	return set_default(dfs, obj, NULL, &csize);
}

int
dfs_cont_set_owner(daos_handle_t coh, d_string_t user, uid_t uid, d_string_t group, gid_t gid)
{
	struct dfs_entry e;
	daos_prop_t *prop;
	daos_handle_t oh;
	int rc;

	if (user == NULL && group == NULL)
		return EINVAL;
	rc = daos_der2errno(daos_cont_set_owner_no_check(coh, user, group, NULL));
	if (rc != 0)
		return rc;
	prop = daos_prop_alloc(1);
	if (prop == NULL)
		return ENOMEM;
	prop->dpp_entries[0].dpe_type = DAOS_PROP_CO_ROOTS;
	rc = daos_cont_query(coh, NULL, prop, NULL);
	if (rc == 0 && prop->dpp_entries[0].dpe_val_ptr == NULL)
		rc = -DER_INVAL;
	if (rc == 0) {
		const struct daos_prop_co_roots *roots = prop->dpp_entries[0].dpe_val_ptr;

		rc = daos_obj_open(coh, roots->cr_oids[0], DAOS_OO_RW, &oh, NULL);
	}
	daos_prop_free(prop);
	if (rc != 0)
		return daos_der2errno(rc);
	rc = entry_fetch(oh, "/", &e);
	if (rc == 0) {
		if (user != NULL)
			e.uid = uid;
		if (group != NULL)
			e.gid = gid;
		rc = entry_update(oh, "/", &e);
	}
	daos_obj_close(oh, NULL);
	return rc;
}
