/* Open objects: lookup by path and name, open and create, duplicates, passing to other processes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <daos/common.h>

#include "client/dfs/dfs_internal.h"

int
name_check(const char *name, size_t *ret_len)
{
	size_t len;

	if (name == NULL || name[0] == '\0' || strchr(name, '/') != NULL)
		return EINVAL;
	len = strlen(name);
	if (len > DFS_MAX_NAME)
		return ENAMETOOLONG;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return EINVAL;
	if (ret_len != NULL)
		*ret_len = len;
	return 0;
}

struct dfs_obj *
dir_or_root(dfs_t *dfs, dfs_obj_t *parent)
{
	return parent != NULL ? parent : dfs->root;
}

int
dir_open_oid(dfs_t *dfs, daos_obj_id_t oid, int flags, daos_handle_t *ret_oh)
{
	unsigned mode =
	    (flags & O_ACCMODE) == O_RDONLY || dfs->amode == O_RDONLY ? DAOS_OO_RO : DAOS_OO_RW;

	return daos_der2errno(daos_obj_open(dfs->coh, oid, mode, ret_oh, NULL));
}

int
obj_open_entry(dfs_t *dfs, const daos_obj_id_t *parent_oid, const char *name,
	       const struct dfs_entry *e, int flags, char *value, dfs_obj_t **ret_obj)
{
	dfs_obj_t *obj = calloc(1, sizeof(*obj));
	unsigned mode = (flags & O_ACCMODE) == O_RDONLY ? DAOS_OO_RO : DAOS_OO_RW;
	int rc = 0;

	if (obj == NULL) {
		free(value);
		return ENOMEM;
	}
	obj->dfs = dfs;
	obj->mode = e->mode;
	obj->flags = flags;
	obj->oid = e->oid;
	obj->parent_oid = *parent_oid;
	obj->chunk_size = e->chunk_size;
	obj->oclass = e->oclass;
	obj->value = value;
	snprintf(obj->name, sizeof(obj->name), "%s", name);
	if (S_ISDIR(e->mode)) {
		/* a directory opened for reading can still be created in, as with a kernel's
		 * descriptors */
		rc = dir_open_oid(dfs, e->oid, dfs->amode, &obj->oh);
	} else if (S_ISREG(e->mode)) {
		if (obj->chunk_size == 0)
			obj->chunk_size = dfs->attr.da_chunk_size;
		rc = daos_array_open_with_attr(dfs->coh, e->oid, DAOS_TX_NONE, mode, 1,
					       obj->chunk_size, &obj->oh, NULL);
		rc = daos_der2errno(rc);
	}
	if (rc != 0) {
		free(obj->value);
		free(obj);
		return rc;
	}
	*ret_obj = obj;
	return 0;
}

int
dfs_release(dfs_obj_t *obj)
{
	int rc = 0;

	if (obj == NULL)
		return EINVAL;
	if (S_ISDIR(obj->mode))
		rc = daos_obj_close(obj->oh, NULL);
	else if (S_ISREG(obj->mode))
		rc = daos_array_close(obj->oh, NULL);
	free(obj->value);
	free(obj);
	return daos_der2errno(rc);
}

/* --- lookup
 * ---------------------------------------------------------------------------------------------- */

/* A directory on the way: the handle is ours unless it is the root's. */
struct place {
	daos_obj_id_t oid, parent_oid;
	daos_handle_t oh;
	bool own;
};

static void
place_leave(struct place *p)
{
	if (p->own)
		daos_obj_close(p->oh, NULL);
	p->own = false;
}

static void
place_root(dfs_t *dfs, struct place *p)
{
	place_leave(p);
	p->oid = dfs->root->oid;
	p->oh = dfs->root->oh;
}

static int
place_enter(dfs_t *dfs, struct place *p, const struct dfs_entry *e)
{
	daos_handle_t oh;
	int rc;

	rc = dir_open_oid(dfs, e->oid, dfs->amode, &oh);
	if (rc != 0)
		return rc;
	place_leave(p);
	p->oid = e->oid;
	p->oh = oh;
	p->own = true;
	return 0;
}

/* What is left of a path that begins with a link's target. */
static int
path_splice(char **path, const char *target, const char *rest)
{
	char *joined;

	if (strlen(target) + strlen(rest) + 2 > DFS_MAX_PATH)
		return ENAMETOOLONG;
	if (asprintf(&joined, "%s/%s", target, rest) < 0)
		return ENOMEM;
	free(*path);
	*path = joined;
	return 0;
}

/*
 * Walk path from place; symbolic links on the way are followed, the last one unless O_NOFOLLOW.
 * ".." is resolved by names already walked being dropped beforehand, so it is handled here only at
 * the start of a link's target: it needs the chain of directories, which the walk keeps.
 */
struct walk {
	dfs_t *dfs;
	struct place chain[DFS_MAX_PATH / 2]; /* from the start to where we are */
	uint32_t depth;
	int links;
	char *path; /* what is left; owned */
};

static void
walk_up(struct walk *w)
{
	if (w->depth > 1)
		place_leave(&w->chain[--w->depth]);
}

static void
walk_restart(struct walk *w)
{
	while (w->depth > 1)
		walk_up(w);
	place_root(w->dfs, &w->chain[0]);
}

static int
walk_down(struct walk *w, const struct dfs_entry *e)
{
	struct place *next;
	int rc;

	if (w->depth == DFS_MAX_PATH / 2)
		return ENAMETOOLONG;
	next = &w->chain[w->depth];
	memset(next, 0, sizeof(*next));
	rc = place_enter(w->dfs, next, e);
	if (rc == 0)
		w->depth++;
	return rc;
}

/* Result of a walk: the entry, its name and the directory it is in (chain[depth - 1]); name empty:
 * the start itself. */
static int
walk(struct walk *w, int flags, char name[DFS_MAX_NAME + 1], struct dfs_entry *e, char **ret_value)
{
	char *p = w->path;
	int rc;

	name[0] = '\0';
	for (;;) {
		struct place *at = &w->chain[w->depth - 1];
		bool last;
		size_t len;
		char *rest;

		p += strspn(p, "/");
		if (*p == '\0')
			return 0;
		len = strcspn(p, "/");
		rest = p + len;
		last = rest[strspn(rest, "/")] == '\0';
		if (len > DFS_MAX_NAME)
			return ENAMETOOLONG;
		memcpy(name, p, len);
		name[len] = '\0';
		p = rest;
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
			if (strcmp(name, "..") == 0)
				walk_up(w);
			name[0] = '\0';
			continue;
		}
		rc = entry_fetch(at->oh, name, e);
		if (rc != 0)
			return rc;
		if (S_ISLNK(e->mode)) {
			char *value = NULL;

			rc = entry_value(at->oh, name, e, &value);
			if (rc != 0)
				return rc;
			if (last && (flags & O_NOFOLLOW) != 0 && *rest == '\0') {
				*ret_value = value;
				return 0;
			}
			if (++w->links > DFS_MAX_LINKS) {
				free(value);
				return ELOOP;
			}
			if (value[0] == '/')
				walk_restart(w);
			rc = path_splice(&w->path, value, rest);
			free(value);
			if (rc != 0)
				return rc;
			p = w->path;
			name[0] = '\0';
			continue;
		}
		if (last && (S_ISDIR(e->mode) || *rest == '\0'))
			return 0;
		if (!S_ISDIR(e->mode))
			return ENOTDIR;
		rc = walk_down(w, e);
		if (rc != 0)
			return rc;
		name[0] = '\0';
	}
}

/* Open what a walk from start found; fills mode and stbuf. */
static int
lookup(dfs_t *dfs, const struct place *start, const char *path, int flags, dfs_obj_t **obj,
       mode_t *mode, struct stat *stbuf)
{
	struct walk *w = malloc(sizeof(*w));
	char name[DFS_MAX_NAME + 1];
	struct dfs_entry e;
	char *value = NULL;
	int rc;

	if (w == NULL)
		return ENOMEM;
	w->dfs = dfs;
	w->chain[0] = *start;
	w->depth = 1;
	w->links = 0;
	w->path = strdup(path);
	rc = w->path == NULL ? ENOMEM : walk(w, flags, name, &e, &value);
	if (rc == 0 && name[0] == '\0') {
		/* a directory of the chain: only the root has a known entry; others were reached by
		 * ".." */
		struct place *at = &w->chain[w->depth - 1];

		if (at->oid.lo == dfs->root->oid.lo && at->oid.hi == dfs->root->oid.hi) {
			rc = entry_fetch(dfs->super_oh, "/", &e);
			snprintf(name, sizeof(name), "/");
		} else {
			rc = EINVAL;
		}
	}
	if (rc == 0 && stbuf != NULL)
		rc = entry_stat(dfs, &e, DAOS_HDL_INVAL, stbuf);
	if (rc == 0 && mode != NULL)
		*mode = e.mode;
	if (rc == 0) {
		rc = obj_open_entry(dfs, &w->chain[w->depth - 1].oid, name, &e, flags, value, obj);
		value = NULL;
	}
	if (rc == 0 && S_ISREG(e.mode) && (flags & O_TRUNC) != 0) {
		rc = dfs_punch(dfs, *obj, 0, DFS_MAX_FSIZE);
		if (rc != 0)
			dfs_release(*obj);
	}
	free(value);
	while (w->depth > 1)
		walk_up(w);
	place_leave(&w->chain[0]);
	free(w->path);
	free(w);
	return rc;
}

static int
flags_check(dfs_t *dfs, int flags)
{
	if (dfs->amode == O_RDONLY &&
	    ((flags & O_ACCMODE) != O_RDONLY || (flags & (O_TRUNC | O_CREAT)) != 0))
		return EPERM;
	return 0;
}

int
dfs_lookup(dfs_t *dfs, const char *path, int flags, dfs_obj_t **obj, mode_t *mode,
	   struct stat *stbuf)
{
	struct place root;
	int rc;

	if (dfs == NULL || obj == NULL || path == NULL || path[0] != '/')
		return EINVAL;
	if (strlen(path) >= DFS_MAX_PATH)
		return ENAMETOOLONG;
	rc = flags_check(dfs, flags);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&dfs->lock);
	if (dfs->prefix != NULL) {
		if (strncmp(path, dfs->prefix, dfs->prefix_len) != 0 ||
		    (path[dfs->prefix_len] != '/' && path[dfs->prefix_len] != '\0'))
			rc = EINVAL;
		else
			path += dfs->prefix_len;
	}
	pthread_mutex_unlock(&dfs->lock);
	if (rc != 0)
		return rc;
	root = (struct place){.oid = dfs->root->oid, .oh = dfs->root->oh};
	return lookup(dfs, &root, path, flags, obj, mode, stbuf);
}

int
dfs_lookup_rel(dfs_t *dfs, dfs_obj_t *parent, const char *name, int flags, dfs_obj_t **obj,
	       mode_t *mode, struct stat *stbuf)
{
	struct place start;
	int rc;

	if (dfs == NULL || obj == NULL)
		return EINVAL;
	rc = name_check(name, NULL);
	if (rc == 0)
		rc = flags_check(dfs, flags);
	if (rc != 0)
		return rc;
	parent = dir_or_root(dfs, parent);
	if (!S_ISDIR(parent->mode))
		return ENOTDIR;
	start = (struct place){.oid = parent->oid, .oh = parent->oh};
	return lookup(dfs, &start, name, flags, obj, mode, stbuf);
}

/* --- open and create
 * ---------------------------------------------------------------------------------------- */

/* Fill the entry of something new. */
static int
entry_prepare(dfs_t *dfs, const dfs_obj_t *parent, mode_t mode, daos_oclass_id_t cid,
	      daos_size_t chunk, const char *value, const struct dfs_owner *owner,
	      struct dfs_entry *e)
{
	memset(e, 0, sizeof(*e));
	e->mode = mode;
	e->uid = owner != NULL ? owner->uid : geteuid();
	e->gid = owner != NULL ? owner->gid : getegid();
	now(&e->mtime);
	e->ctime = e->mtime;
	if (S_ISLNK(mode)) {
		if (value == NULL || value[0] == '\0')
			return EINVAL;
		e->value_len = strlen(value);
		return e->value_len >= PATH_MAX ? ENAMETOOLONG : 0;
	}
	if (S_ISDIR(mode)) {
		/* defaults for what will be created in it: its own class if one was asked for, else
		 * its parent's */
		e->oclass = cid != OC_UNKNOWN ? cid : parent->oclass;
		e->chunk_size = chunk != 0 ? chunk : parent->chunk_size;
		return oid_new(dfs, true, class_for_new(dfs, parent, cid, true), &e->oid);
	}
	e->oclass = class_for_new(dfs, parent, cid, false);
	e->chunk_size = chunk_for_new(dfs, parent, chunk);
	return oid_new(dfs, false, e->oclass, &e->oid);
}

static int
open_existing(dfs_t *dfs, dfs_obj_t *parent, const char *name, mode_t mode, int flags,
	      dfs_obj_t **obj)
{
	struct dfs_entry e;
	char *value = NULL;
	int rc;

	rc = entry_fetch(parent->oh, name, &e);
	if (rc != 0)
		return rc;
	if ((e.mode & S_IFMT) != (mode & S_IFMT)) {
		if (S_ISDIR(e.mode))
			return EISDIR;
		return S_ISDIR(mode) ? ENOTDIR : EINVAL;
	}
	if (S_ISLNK(e.mode))
		rc = entry_value(parent->oh, name, &e, &value);
	if (rc == 0)
		rc = obj_open_entry(dfs, &parent->oid, name, &e, flags, value, obj);
	if (rc == 0 && S_ISREG(e.mode) && (flags & O_TRUNC) != 0) {
		rc = dfs_punch(dfs, *obj, 0, DFS_MAX_FSIZE);
		if (rc != 0)
			dfs_release(*obj);
	}
	return rc;
}

/* Create name, or open what is there unless O_EXCL. *ret_e is filled for what was created: mode 0
 * otherwise. */
static int
create(dfs_t *dfs, dfs_obj_t *parent, const char *name, mode_t mode, int flags,
       daos_oclass_id_t cid, daos_size_t chunk_size, const char *value,
       const struct dfs_owner *owner, struct dfs_entry *ret_e, dfs_obj_t **obj)
{
	struct dfs_entry e;
	char *copy = NULL;
	int rc;

	memset(ret_e, 0, sizeof(*ret_e));
	for (;;) {
		rc = entry_prepare(dfs, parent, mode, cid, chunk_size, value, owner, &e);
		if (rc == 0)
			rc = entry_insert(parent->oh, name, &e, S_ISLNK(mode) ? value : NULL);
		if (rc == EEXIST && (flags & O_EXCL) == 0) {
			rc = open_existing(dfs, parent, name, mode, flags, obj);
			if (rc == ENOENT)
				continue; /* removed meanwhile: then it is ours to create */
			return rc;
		}
		break;
	}
	if (rc != 0)
		return rc;
	if (S_ISLNK(mode)) {
		copy = strdup(value);
		if (copy == NULL)
			return ENOMEM;
	}
	*ret_e = e;
	return obj_open_entry(dfs, &parent->oid, name, &e, flags, copy, obj);
}

static int
create_check(dfs_t *dfs, dfs_obj_t **parent, const char *name, mode_t mode, int flags)
{
	int rc;

	rc = name_check(name, NULL);
	if (rc == 0)
		rc = flags_check(dfs, flags);
	if (rc != 0)
		return rc;
	if (!S_ISREG(mode) && !S_ISDIR(mode) && !S_ISLNK(mode))
		return (mode & S_IFMT) == 0 ? EINVAL : ENOTSUP;
	*parent = dir_or_root(dfs, *parent);
	return S_ISDIR((*parent)->mode) ? 0 : ENOTDIR;
}

int
dfs_open(dfs_t *dfs, dfs_obj_t *parent, const char *name, mode_t mode, int flags,
	 daos_oclass_id_t cid, daos_size_t chunk_size, const char *value, dfs_obj_t **obj)
{
	struct dfs_entry e;
	int rc;

	if (dfs == NULL || obj == NULL)
		return EINVAL;
	rc = create_check(dfs, &parent, name, mode, flags);
	if (rc != 0)
		return rc;
	if ((flags & O_APPEND) != 0)
		return ENOTSUP;
	if ((flags & O_CREAT) == 0)
		return open_existing(dfs, parent, name, mode, flags, obj);
	return create(dfs, parent, name, mode, flags, cid, chunk_size, value, NULL, &e, obj);
}

int
dfs_create_as(dfs_t *dfs, dfs_obj_t *parent, const char *name, mode_t mode, int flags,
	      const char *value, const struct dfs_owner *owner, dfs_obj_t **obj, struct stat *stbuf)
{
	struct dfs_entry e;
	int rc;

	rc = create_check(dfs, &parent, name, mode, flags | O_CREAT);
	if (rc == 0)
		rc = create(dfs, parent, name, mode, flags, 0, 0, value, owner, &e, obj);
	if (rc != 0)
		return rc;
	if (e.mode != 0) { /* new: there is nothing to ask */
		entry_to_stat(dfs, &e, NULL, stbuf);
		return 0;
	}
	rc = dfs_ostat(dfs, *obj, stbuf);
	if (rc != 0)
		dfs_release(*obj);
	return rc;
}

int
dfs_mkdir(dfs_t *dfs, dfs_obj_t *parent, const char *name, mode_t mode, daos_oclass_id_t cid)
{
	struct dfs_entry e;
	int rc;

	if (dfs == NULL)
		return EINVAL;
	rc = name_check(name, NULL);
	if (rc == 0)
		rc = writable(dfs);
	if (rc != 0)
		return rc;
	parent = dir_or_root(dfs, parent);
	if (!S_ISDIR(parent->mode))
		return ENOTDIR;
	rc = entry_prepare(dfs, parent, S_IFDIR | (mode & 07777), cid, 0, NULL, NULL, &e);
	return rc == 0 ? entry_insert(parent->oh, name, &e, NULL) : rc;
}

int
dfs_dup(dfs_t *dfs, dfs_obj_t *obj, int flags, dfs_obj_t **new_obj)
{
	struct dfs_entry e = {0};
	char *value = NULL;
	int rc;

	if (dfs == NULL || obj == NULL || new_obj == NULL)
		return EINVAL;
	rc = flags_check(dfs, flags);
	if (rc != 0)
		return rc;
	e.mode = obj->mode;
	e.oid = obj->oid;
	e.chunk_size = obj->chunk_size;
	e.oclass = obj->oclass;
	if (obj->value != NULL && (value = strdup(obj->value)) == NULL)
		return ENOMEM;
	return obj_open_entry(dfs, &obj->parent_oid, obj->name, &e, flags, value, new_obj);
}

/* --- what an object is
 * ------------------------------------------------------------------------------------------ */

int
dfs_obj2id(dfs_obj_t *obj, daos_obj_id_t *oid)
{
	if (obj == NULL || oid == NULL)
		return EINVAL;
	*oid = obj->oid;
	return 0;
}

int
dfs_get_mode(dfs_obj_t *obj, mode_t *mode)
{
	if (obj == NULL || mode == NULL)
		return EINVAL;
	*mode = obj->mode;
	return 0;
}

int
dfs_get_file_oh(dfs_obj_t *obj, daos_handle_t *oh)
{
	if (obj == NULL || oh == NULL || !S_ISREG(obj->mode))
		return EINVAL;
	*oh = obj->oh;
	return 0;
}

int
dfs_get_chunk_size(dfs_obj_t *obj, daos_size_t *chunk_size)
{
	if (obj == NULL || chunk_size == NULL || !S_ISREG(obj->mode))
		return EINVAL;
	*chunk_size = obj->chunk_size;
	return 0;
}

int
dfs_get_symlink_value(dfs_obj_t *obj, char *buf, daos_size_t *size)
{
	daos_size_t len;

	if (obj == NULL || size == NULL || !S_ISLNK(obj->mode) || obj->value == NULL)
		return EINVAL;
	len = strlen(obj->value) + 1;
	if (buf != NULL && *size > 0) {
		daos_size_t n = *size < len ? *size : len;

		memcpy(buf, obj->value, n);
	}
	*size = len;
	return 0;
}

int
dfs_update_parent(dfs_obj_t *obj, dfs_obj_t *src_obj, const char *name)
{
	if (obj == NULL || src_obj == NULL)
		return EINVAL;
	obj->parent_oid = src_obj->parent_oid;
	if (name != NULL) {
		int rc = name_check(name, NULL);

		if (rc != 0)
			return rc;
		snprintf(obj->name, sizeof(obj->name), "%s", name);
	}
	return 0;
}

int
dfs_obj_get_info(dfs_t *dfs, dfs_obj_t *obj, dfs_obj_info_t *info)
{
	daos_handle_t oh;
	struct dfs_entry e;
	int rc;

	if (dfs == NULL || obj == NULL || info == NULL)
		return EINVAL;
	memset(info, 0, sizeof(*info));
	info->doi_oid = obj->oid;
	if (!S_ISLNK(obj->mode))
		info->doi_oclass_id = daos_obj_id2class(obj->oid);
	if (!S_ISDIR(obj->mode)) {
		info->doi_chunk_size = obj->chunk_size;
		return 0;
	}
	/* others may have changed its defaults */
	rc = parent_get(dfs, obj, &oh);
	if (rc != 0)
		return rc;
	rc = entry_fetch(oh, obj->name, &e);
	parent_put(dfs, obj, oh);
	if (rc != 0)
		return rc;
	obj->oclass = e.oclass;
	obj->chunk_size = e.chunk_size;
	info->doi_dir_oclass_id = class_for_new(dfs, obj, OC_UNKNOWN, true);
	info->doi_file_oclass_id = class_for_new(dfs, obj, OC_UNKNOWN, false);
	info->doi_chunk_size = chunk_for_new(dfs, obj, 0);
	return 0;
}

int
parent_get(dfs_t *dfs, const dfs_obj_t *obj, daos_handle_t *ret_oh)
{
	if (daos_obj_id_is_nil(obj->parent_oid) ||
	    (obj->oid.lo == dfs->root_oid.lo && obj->oid.hi == dfs->root_oid.hi)) {
		*ret_oh = dfs->super_oh;
		return 0;
	}
	if (dfs->root != NULL && obj->parent_oid.lo == dfs->root->oid.lo &&
	    obj->parent_oid.hi == dfs->root->oid.hi) {
		*ret_oh = dfs->root->oh;
		return 0;
	}
	return dir_open_oid(dfs, obj->parent_oid, dfs->amode, ret_oh);
}

void
parent_put(dfs_t *dfs, const dfs_obj_t *obj, daos_handle_t oh)
{
	if (oh.cookie != dfs->super_oh.cookie &&
	    (dfs->root == NULL || oh.cookie != dfs->root->oh.cookie))
		daos_obj_close(oh, NULL);
}

/* --- passing objects to other processes
 * ----------------------------------------------------------------------------- */

enum { OBJ_GLOB_MAGIC = 0xdf560b1e };
struct obj_glob {
	uint32_t magic;
	uint32_t mode;
	int32_t flags;
	uint32_t oclass;
	uint64_t oid_lo, oid_hi, parent_lo, parent_hi;
	uint64_t chunk_size;
	uint64_t root_lo, root_hi; /* of the same container? */
	char name[DFS_MAX_NAME + 1];
};

int
dfs_obj_local2global(dfs_t *dfs, dfs_obj_t *obj, d_iov_t *glob)
{
	struct obj_glob g = {.magic = OBJ_GLOB_MAGIC};

	if (dfs == NULL || obj == NULL || glob == NULL || S_ISLNK(obj->mode))
		return EINVAL;
	if (glob->iov_buf == NULL || glob->iov_buf_len < sizeof(g)) {
		bool asked = glob->iov_buf == NULL;

		glob->iov_buf_len = sizeof(g);
		return asked ? 0 : ENOBUFS;
	}
	g.mode = obj->mode;
	g.flags = obj->flags;
	g.oclass = obj->oclass;
	g.oid_lo = obj->oid.lo;
	g.oid_hi = obj->oid.hi;
	g.parent_lo = obj->parent_oid.lo;
	g.parent_hi = obj->parent_oid.hi;
	g.chunk_size = obj->chunk_size;
	g.root_lo = dfs->root_oid.lo;
	g.root_hi = dfs->root_oid.hi;
	memcpy(g.name, obj->name, sizeof(g.name));
	memcpy(glob->iov_buf, &g, sizeof(g));
	glob->iov_len = sizeof(g);
	return 0;
}

int
dfs_obj_global2local(dfs_t *dfs, int flags, d_iov_t glob, dfs_obj_t **obj)
{
	struct dfs_entry e = {0};
	daos_obj_id_t parent;
	struct obj_glob g;

	if (dfs == NULL || obj == NULL || glob.iov_buf == NULL || glob.iov_len < sizeof(g))
		return EINVAL;
	memcpy(&g, glob.iov_buf, sizeof(g));
	if (g.magic != OBJ_GLOB_MAGIC || g.root_lo != dfs->root_oid.lo ||
	    g.root_hi != dfs->root_oid.hi || memchr(g.name, '\0', sizeof(g.name)) == NULL)
		return EINVAL;
	e.mode = g.mode;
	e.oid = (daos_obj_id_t){.lo = g.oid_lo, .hi = g.oid_hi};
	e.chunk_size = g.chunk_size;
	e.oclass = g.oclass;
	parent = (daos_obj_id_t){.lo = g.parent_lo, .hi = g.parent_hi};
	return obj_open_entry(dfs, &parent, g.name, &e, flags != 0 ? flags : g.flags, NULL, obj);
}

/* --- for the mount: entries known from listings, objects that were renamed --- */

int
dfs_open_entry(dfs_t *dfs, dfs_obj_t *parent, const char *name, const struct dfs_entry *e,
	       int flags, dfs_obj_t **obj)
{
	char *value = NULL;
	int rc = 0;

	if (S_ISLNK(e->mode))
		rc = entry_value(parent->oh, name, e, &value);
	return rc == 0 ? obj_open_entry(dfs, &parent->oid, name, e, flags, value, obj) : rc;
}

int
dfs_entry_get(dfs_t *dfs, dfs_obj_t *parent, const char *name, struct dfs_entry *ret_e)
{
	int rc = name_check(name, NULL);

	return rc == 0 ? entry_fetch(dir_or_root(dfs, parent)->oh, name, ret_e) : rc;
}

void
dfs_set_place(dfs_obj_t *obj, const dfs_obj_t *parent, const char *name)
{
	obj->parent_oid = parent->oid;
	snprintf(obj->name, sizeof(obj->name), "%s", name);
}
