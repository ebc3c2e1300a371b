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
open_errno(int rc)
{
	return rc == -DER_NOSYS ? ENOTSUP : daos_der2errno(rc);
}

int
dir_open_oid(dfs_t *dfs, daos_obj_id_t oid, int flags, daos_handle_t *ret_oh)
{
	unsigned mode =
	    (flags & O_ACCMODE) == O_RDONLY || dfs->amode == O_RDONLY ? DAOS_OO_RO : DAOS_OO_RW;

	return open_errno(daos_obj_open(dfs->coh, oid, mode, ret_oh, NULL));
}

/* --- ways to directories
 * ------------------------------------------------------------------------------------ */

bool
same_oid(daos_obj_id_t a, daos_obj_id_t b)
{
	return a.lo == b.lo && a.hi == b.hi;
}

struct dfs_node *
dfs_node_new(struct dfs_node *up, daos_obj_id_t oid, const char *name)
{
	size_t len = strlen(name) + 1;
	struct dfs_node *node = malloc(sizeof(*node) + len);

	if (node == NULL)
		return NULL;
	atomic_init(&node->refs, 1);
	node->up = dfs_node_get(up);
	node->oid = oid;
	memcpy(node->name, name, len);
	return node;
}

struct dfs_node *
dfs_node_get(struct dfs_node *node)
{
	if (node != NULL)
		atomic_fetch_add_explicit(&node->refs, 1, memory_order_relaxed);
	return node;
}

void
dfs_node_put(struct dfs_node *node)
{
	while (node != NULL &&
	       atomic_fetch_sub_explicit(&node->refs, 1, memory_order_acq_rel) == 1) {
		struct dfs_node *up = node->up;

		free(node);
		node = up;
	}
}

bool
dfs_node_is_below(const struct dfs_node *node, daos_obj_id_t oid)
{
	for (; node != NULL; node = node->up)
		if (same_oid(node->oid, oid))
			return true;
	return false;
}

static void
obj_free(dfs_obj_t *obj)
{
	dfs_node_put(obj->up);
	dfs_node_put(obj->node);
	free(obj->value);
	free(obj);
}

int
obj_open_entry(dfs_t *dfs, const daos_obj_id_t *parent_oid, struct dfs_node *up, const char *name,
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
	obj->up = dfs_node_get(up);
	snprintf(obj->name, sizeof(obj->name), "%s", name);
	if (S_ISDIR(e->mode)) {
		obj->node = dfs_node_new(up, e->oid, name);
		/* a directory opened for reading can still be created in, as with a kernel's
		 * descriptors */
		rc = obj->node == NULL ? ENOMEM : dir_open_oid(dfs, e->oid, dfs->amode, &obj->oh);
	} else if (S_ISREG(e->mode)) {
		if (obj->chunk_size == 0)
			obj->chunk_size = dfs->attr.da_chunk_size;
		rc = daos_array_open_with_attr(dfs->coh, e->oid, DAOS_TX_NONE, mode, 1,
					       obj->chunk_size, &obj->oh, NULL);
		rc = open_errno(rc);
	}
	if (rc != 0) {
		obj_free(obj);
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
	obj_free(obj);
	return daos_der2errno(rc);
}

/* --- lookup
 * ---------------------------------------------------------------------------------------------- */

/*
 * A walk: where it stands, and what is left of the path. It goes down by entries, and up by the
 * chain of nodes. Symbolic links on the way are followed (a target takes the place of the name),
 * the last one unless O_NOFOLLOW.
 */
struct walk {
	dfs_t *dfs;
	struct dfs_node *at; /* counted */
	daos_handle_t oh;    /* of that directory */
	bool own;            /* oh is to be closed */
	uint32_t depth;      /* names below the start: bounds the walk */
	int links;
	char *path; /* what is left; owned */
};

/* Stand in another directory: the reference is taken over, the handle too if own. */
static void
walk_stand(struct walk *w, struct dfs_node *node, daos_handle_t oh, bool own)
{
	if (w->own)
		daos_obj_close(w->oh, NULL);
	dfs_node_put(w->at);
	w->at = node;
	w->oh = oh;
	w->own = own;
}

static void
walk_to_root(struct walk *w)
{
	walk_stand(w, dfs_node_get(w->dfs->root->node), w->dfs->root->oh, false);
}

static int
walk_up(struct walk *w)
{
	daos_handle_t oh;
	int rc;

	if (same_oid(w->at->oid, w->dfs->root_oid))
		return 0; /* above the root is the root */
	if (w->at->up == NULL)
		return ENOTSUP; /* came from another process: nobody knows what is above */
	if (same_oid(w->at->up->oid, w->dfs->root_oid)) {
		walk_to_root(w);
		return 0;
	}
	rc = dir_open_oid(w->dfs, w->at->up->oid, w->dfs->amode, &oh);
	if (rc == 0)
		walk_stand(w, dfs_node_get(w->at->up), oh, true);
	return rc;
}

static int
walk_down(struct walk *w, const char *name, const struct dfs_entry *e)
{
	struct dfs_node *node;
	daos_handle_t oh;
	int rc;

	if (++w->depth > DFS_MAX_PATH * DFS_MAX_LINKS)
		return ELOOP;
	node = dfs_node_new(w->at, e->oid, name);
	if (node == NULL)
		return ENOMEM;
	rc = dir_open_oid(w->dfs, e->oid, w->dfs->amode, &oh);
	if (rc != 0) {
		dfs_node_put(node);
		return rc;
	}
	walk_stand(w, node, oh, true);
	return 0;
}

/* What is left of a path that begins with a link's target. */
static int
path_splice(char **path, const char *target, const char *rest)
{
	char *joined;

	if (strlen(target) + strlen(rest) + 1 > DFS_MAX_PATH)
		return ENAMETOOLONG;
	if (asprintf(&joined, "%s%s", target, rest) < 0)
		return ENOMEM;
	free(*path);
	*path = joined;
	return 0;
}

/* Put the target of the link name, which stands before rest, into the path. */
static int
walk_follow(struct walk *w, const char *target, const char *rest)
{
	int rc;

	if (++w->links > DFS_MAX_LINKS)
		return ELOOP;
	rc = path_splice(&w->path, target, rest);
	if (rc == 0 && w->path[0] == '/')
		walk_to_root(w);
	return rc;
}

/* The result: the entry name of the directory the walk stands in; name empty: that directory. */
static int
walk(struct walk *w, int flags, char name[DFS_MAX_NAME + 1], struct dfs_entry *e, char **ret_value)
{
	char *p = w->path;
	char *value, *rest;
	size_t len;
	bool last;
	int rc;

	for (;;) {
		name[0] = '\0';
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
			rc = name[1] == '.' ? walk_up(w) : 0;
			if (rc != 0)
				return rc;
			continue;
		}
		rc = entry_fetch(w->oh, name, e);
		if (rc != 0)
			return rc;
		if (S_ISLNK(e->mode)) {
			rc = entry_value(w->oh, name, e, &value);
			if (rc != 0)
				return rc;
			if (*rest == '\0' && (flags & O_NOFOLLOW) != 0) {
				*ret_value = value;
				return 0;
			}
			rc = walk_follow(w, value, rest);
			free(value);
			if (rc != 0)
				return rc;
			p = w->path;
			continue;
		}
		if (last && (S_ISDIR(e->mode) || *rest == '\0'))
			return 0;
		if (!S_ISDIR(e->mode))
			return ENOTDIR;
		rc = walk_down(w, name, e);
		if (rc != 0)
			return rc;
	}
}

/* The walk ended in a directory without a name behind it: find that directory's own entry. */
static int
walk_own_entry(struct walk *w, char name[DFS_MAX_NAME + 1], struct dfs_entry *e)
{
	daos_obj_id_t oid = w->at->oid;
	int rc;

	if (same_oid(oid, w->dfs->root_oid)) {
		snprintf(name, DFS_MAX_NAME + 1, "/");
		walk_stand(w, NULL, w->dfs->super_oh, false);
		return entry_fetch(w->oh, name, e);
	}
	snprintf(name, DFS_MAX_NAME + 1, "%s", w->at->name);
	rc = walk_up(w);
	if (rc == 0)
		rc = entry_fetch(w->oh, name, e);
	/* it was moved or replaced */
	return rc == 0 && !same_oid(e->oid, oid) ? ENOENT : rc;
}

/* Open what a walk from start finds; fills mode and stbuf. */
static int
lookup(dfs_t *dfs, const dfs_obj_t *start, const char *path, int flags, dfs_obj_t **obj,
       mode_t *mode, struct stat *stbuf)
{
	static const daos_obj_id_t none;
	struct walk w = {.dfs = dfs, .at = dfs_node_get(start->node), .oh = start->oh};
	char name[DFS_MAX_NAME + 1];
	struct dfs_entry e;
	char *value = NULL;
	int rc;

	w.path = strdup(path);
	rc = w.path == NULL ? ENOMEM : walk(&w, flags, name, &e, &value);
	if (rc == 0 && name[0] == '\0')
		rc = walk_own_entry(&w, name, &e);
	if (rc == 0) {
		rc = obj_open_entry(dfs, w.at == NULL ? &none : &w.at->oid, w.at, name, &e, flags,
				    value, obj);
		value = NULL;
	}
	if (rc == 0 && S_ISREG(e.mode) && (flags & O_TRUNC) != 0)
		rc = dfs_punch(dfs, *obj, 0, DFS_MAX_FSIZE);
	else if (rc != 0)
		*obj = NULL;
	if (rc == 0 && stbuf != NULL)
		rc = entry_stat(dfs, &e, (*obj)->oh, stbuf);
	if (rc == 0 && mode != NULL)
		*mode = e.mode;
	if (rc != 0 && *obj != NULL) {
		dfs_release(*obj);
		*obj = NULL;
	}
	free(value);
	walk_stand(&w, NULL, DAOS_HDL_INVAL, false);
	free(w.path);
	return rc;
}

static int
flags_check(dfs_t *dfs, int flags)
{
	if ((flags & O_APPEND) != 0)
		return ENOTSUP; /* nobody could tell where the end is */
	if (dfs->amode == O_RDONLY &&
	    ((flags & O_ACCMODE) != O_RDONLY || (flags & (O_TRUNC | O_CREAT)) != 0))
		return EPERM;
	return 0;
}

int
dfs_lookup(dfs_t *dfs, const char *path, int flags, dfs_obj_t **obj, mode_t *mode,
	   struct stat *stbuf)
{
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
	return lookup(dfs, dfs->root, path, flags, obj, mode, stbuf);
}

int
dfs_lookup_rel(dfs_t *dfs, dfs_obj_t *parent, const char *name, int flags, dfs_obj_t **obj,
	       mode_t *mode, struct stat *stbuf)
{
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
	return lookup(dfs, parent, name, flags, obj, mode, stbuf);
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
		/* defaults for what will be created in it are its parent's, whatever its own class
		 */
		e->oclass = parent->oclass;
		e->chunk_size = parent->chunk_size;
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
		rc = obj_open_entry(dfs, &parent->oid, parent->node, name, &e, flags, value, obj);
	if (rc == 0 && S_ISREG(e.mode) && (flags & O_TRUNC) != 0) {
		rc = dfs_punch(dfs, *obj, 0, DFS_MAX_FSIZE);
		if (rc != 0)
			dfs_release(*obj);
	}
	return rc;
}

/*
 * Create name, or open what is there unless O_EXCL. *ret_e is filled for what was created: mode 0
 * otherwise. The object is opened before the name is made, so that what cannot be opened (a class
 * that this system does not have) gets no name.
 */
static int
create(dfs_t *dfs, dfs_obj_t *parent, const char *name, mode_t mode, int flags,
       daos_oclass_id_t cid, daos_size_t chunk_size, const char *value,
       const struct dfs_owner *owner, struct dfs_entry *ret_e, dfs_obj_t **obj)
{
	struct dfs_entry e;
	dfs_obj_t *new_obj;
	char *copy = NULL;
	int rc;

	memset(ret_e, 0, sizeof(*ret_e));
	for (;;) {
		rc = entry_prepare(dfs, parent, mode, cid, chunk_size, value, owner, &e);
		if (rc == 0 && S_ISLNK(mode) && (copy = strdup(value)) == NULL)
			rc = ENOMEM;
		if (rc == 0)
			rc = obj_open_entry(dfs, &parent->oid, parent->node, name, &e, flags, copy,
					    &new_obj);
		if (rc != 0)
			return rc;
		rc = entry_insert(parent->oh, name, &e, S_ISLNK(mode) ? value : NULL);
		if (rc == 0) {
			*ret_e = e;
			*obj = new_obj;
			return 0;
		}
		dfs_release(new_obj);
		if (rc != EEXIST || (flags & O_EXCL) != 0)
			return rc;
		rc = open_existing(dfs, parent, name, mode, flags, obj);
		if (rc != ENOENT)
			return rc;
		/* removed meanwhile: then it is ours to create */
	}
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
	daos_handle_t oh;
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
	/* what cannot be opened gets no name */
	if (rc == 0)
		rc = dir_open_oid(dfs, e.oid, O_RDWR, &oh);
	if (rc != 0)
		return rc;
	daos_obj_close(oh, NULL);
	return entry_insert(parent->oh, name, &e, NULL);
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
	return obj_open_entry(dfs, &obj->parent_oid, obj->up, obj->name, &e, flags, value, new_obj);
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

/* The object's entry is elsewhere now. */
static int
obj_place(dfs_obj_t *obj, struct dfs_node *up, daos_obj_id_t parent_oid, const char *name)
{
	struct dfs_node *node = NULL;

	if (S_ISDIR(obj->mode)) {
		node = dfs_node_new(up, obj->oid, name);
		if (node == NULL)
			return ENOMEM;
	}
	up = dfs_node_get(up);
	dfs_node_put(obj->up);
	dfs_node_put(obj->node);
	obj->up = up;
	obj->node = node;
	obj->parent_oid = parent_oid;
	if (name != obj->name)
		snprintf(obj->name, sizeof(obj->name), "%s", name);
	return 0;
}

int
dfs_update_parent(dfs_obj_t *obj, dfs_obj_t *src_obj, const char *name)
{
	int rc = 0;

	if (obj == NULL || src_obj == NULL)
		return EINVAL;
	if (name != NULL)
		rc = name_check(name, NULL);
	if (rc != 0)
		return rc;
	return obj_place(obj, src_obj->up, src_obj->parent_oid, name != NULL ? name : obj->name);
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
	atomic_store(&obj->oclass, e.oclass);
	atomic_store(&obj->chunk_size, e.chunk_size);
	info->doi_dir_oclass_id = class_for_new(dfs, obj, OC_UNKNOWN, true);
	info->doi_file_oclass_id = class_for_new(dfs, obj, OC_UNKNOWN, false);
	info->doi_chunk_size = chunk_for_new(dfs, obj, 0);
	return 0;
}

int
parent_get(dfs_t *dfs, const dfs_obj_t *obj, daos_handle_t *ret_oh)
{
	if (daos_obj_id_is_nil(obj->parent_oid) || same_oid(obj->oid, dfs->root_oid)) {
		*ret_oh = dfs->super_oh;
		return 0;
	}
	if (dfs->root != NULL && same_oid(obj->parent_oid, dfs->root_oid)) {
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
	struct dfs_node *up = NULL, *own = NULL;
	struct dfs_entry e = {0};
	daos_obj_id_t parent;
	struct obj_glob g;
	int rc;

	if (dfs == NULL || obj == NULL || glob.iov_buf == NULL || glob.iov_len < sizeof(g))
		return EINVAL;
	memcpy(&g, glob.iov_buf, sizeof(g));
	if (g.magic != OBJ_GLOB_MAGIC || g.root_lo != dfs->root_oid.lo ||
	    g.root_hi != dfs->root_oid.hi || memchr(g.name, '\0', sizeof(g.name)) == NULL)
		return EINVAL;
	if (!S_ISREG(g.mode) && !S_ISDIR(g.mode))
		return EINVAL;
	e.mode = g.mode;
	e.oid = (daos_obj_id_t){.lo = g.oid_lo, .hi = g.oid_hi};
	e.chunk_size = g.chunk_size;
	e.oclass = g.oclass;
	parent = (daos_obj_id_t){.lo = g.parent_lo, .hi = g.parent_hi};
	rc = flags_check(dfs, flags);
	if (rc != 0)
		return rc;
	/* in the root the way is known; below it, only the directory */
	if (same_oid(parent, dfs->root_oid))
		up = dfs->root->node;
	else if (!daos_obj_id_is_nil(parent))
		up = own = dfs_node_new(NULL, parent, "");
	rc = obj_open_entry(dfs, &parent, up, g.name, &e, flags != 0 ? flags : g.flags, NULL, obj);
	dfs_node_put(own);
	return rc;
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
	return rc == 0 ? obj_open_entry(dfs, &parent->oid, parent->node, name, e, flags, value, obj)
		       : rc;
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
	/* without memory for the way to a directory only ".." through it is lost */
	if (obj_place(obj, parent->node, parent->oid, name) == 0)
		return;
	obj->parent_oid = parent->oid;
	snprintf(obj->name, sizeof(obj->name), "%s", name);
}
