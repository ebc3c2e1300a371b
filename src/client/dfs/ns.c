/*
 * The namespace: remove, rename, exchange.
 *
 * Order matters where there are two steps: a new name exists before the old one goes, and a name
 * goes before its object does. So a crash in between leaves a name too many, or an object nobody
 * names, never a name without its object.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <daos/common.h>

#include "client/dfs/dfs_internal.h"

enum { TREE_DEPTH_MAX = 512 };

int
dir_is_empty(daos_handle_t oh, bool *ret_empty)
{
	daos_anchor_t anchor = {0};
	daos_key_desc_t kd;
	char buf[DFS_MAX_NAME + 1];
	d_iov_t iov;
	d_sg_list_t sgl = {.sg_nr = 1, .sg_iovs = &iov};
	int rc;

	*ret_empty = true;
	while (*ret_empty && !daos_anchor_is_eof(&anchor)) {
		uint32_t nr = 1;

		d_iov_set(&iov, buf, sizeof(buf));
		rc = daos_obj_list_dkey(oh, DAOS_TX_NONE, &nr, &kd, &sgl, &anchor, NULL);
		if (rc == -DER_KEY2BIG)
			nr = 1;
		else if (rc != 0)
			return daos_der2errno(rc);
		*ret_empty = nr == 0;
	}
	return 0;
}

int
object_punch(dfs_t *dfs, daos_obj_id_t oid, mode_t mode)
{
	daos_handle_t oh;
	int rc;

	if (S_ISLNK(mode))
		return 0;
	rc = daos_obj_open(dfs->coh, oid, DAOS_OO_RW, &oh, NULL);
	if (rc != 0)
		return daos_der2errno(rc);
	/* most groups of most files hold nothing: they need not write down that it is gone */
	rc = daos_obj_punch(oh, DAOS_TX_NONE, DAOS_COND_PUNCH, NULL);
	daos_obj_close(oh, NULL);
	return rc == -DER_NONEXIST ? 0 : daos_der2errno(rc);
}

int
dfs_punch_object(dfs_t *dfs, daos_obj_id_t oid, mode_t mode)
{
	int rc;

	if (dfs == NULL)
		return EINVAL;
	rc = writable(dfs);
	return rc == 0 ? object_punch(dfs, oid, mode) : rc;
}

/* A name of this kind went: paths through a directory or a link may lead elsewhere now. */
static void
paths_changed(dfs_t *dfs, mode_t mode)
{
	if (!S_ISREG(mode))
		atomic_fetch_add(&dfs->dir_gen, 1);
}

/* --- remove
 * ------------------------------------------------------------------------------------------- */

struct names {
	char (*v)[DFS_MAX_NAME + 1];
	uint32_t nr;
};

static int
collect(dfs_t *dfs, dfs_obj_t *obj, const char name[], void *arg)
{
	struct names *n = arg;

	snprintf(n->v[n->nr++], DFS_MAX_NAME + 1, "%s", name);
	return 0;
}

static int remove_entry(dfs_t *dfs, daos_handle_t dir, const char *name, const struct dfs_entry *e,
			bool force, uint32_t depth);

/* Remove everything in a directory, some names at a time. */
static int
remove_children(dfs_t *dfs, const struct dfs_entry *e, uint32_t depth)
{
	static const daos_obj_id_t none;
	enum { BATCH = 64 };
	struct names n = {.v = malloc(BATCH * sizeof(*n.v))};
	dfs_obj_t *dir = NULL;
	int rc;

	rc = n.v == NULL ? ENOMEM : obj_open_entry(dfs, &none, NULL, "", e, O_RDWR, NULL, &dir);
	while (rc == 0) {
		daos_anchor_t anchor = {0};
		uint32_t i;

		/* from the start each time: what was listed is gone */
		n.nr = 0;
		while (rc == 0 && n.nr == 0 && !daos_anchor_is_eof(&anchor)) {
			uint32_t nr = BATCH;

			rc = dfs_iterate(dfs, dir, &anchor, &nr, BATCH * (DFS_MAX_NAME + 1),
					 collect, &n);
		}
		if (rc != 0 || n.nr == 0)
			break;
		for (i = 0; rc == 0 && i < n.nr; i++) {
			struct dfs_entry child;

			rc = entry_fetch(dir->oh, n.v[i], &child);
			if (rc == 0)
				rc = remove_entry(dfs, dir->oh, n.v[i], &child, true, depth + 1);
			if (rc == ENOENT)
				rc = 0; /* somebody else was faster */
		}
	}
	if (dir != NULL)
		dfs_release(dir);
	free(n.v);
	return rc;
}

static int
remove_entry(dfs_t *dfs, daos_handle_t dir, const char *name, const struct dfs_entry *e, bool force,
	     uint32_t depth)
{
	bool empty = true;
	int rc;

	if (S_ISDIR(e->mode)) {
		daos_handle_t oh;

		if (depth > TREE_DEPTH_MAX)
			return ELOOP;
		rc = dir_open_oid(dfs, e->oid, O_RDWR, &oh);
		if (rc != 0)
			return rc;
		rc = dir_is_empty(oh, &empty);
		daos_obj_close(oh, NULL);
		if (rc == 0 && !empty)
			rc = force ? remove_children(dfs, e, depth) : ENOTEMPTY;
		if (rc != 0)
			return rc;
	}
	rc = entry_remove(dir, name);
	if (rc != 0)
		return rc;
	paths_changed(dfs, e->mode);
	return object_punch(dfs, e->oid, e->mode);
}

static int
name_prepare(dfs_t *dfs, dfs_obj_t **parent, const char *name)
{
	int rc;

	if (dfs == NULL)
		return EINVAL;
	rc = name_check(name, NULL);
	if (rc == 0)
		rc = writable(dfs);
	if (rc != 0)
		return rc;
	*parent = dir_or_root(dfs, *parent);
	return S_ISDIR((*parent)->mode) ? 0 : ENOTDIR;
}

int
dfs_remove(dfs_t *dfs, dfs_obj_t *parent, const char *name, bool force, daos_obj_id_t *oid)
{
	struct dfs_entry e;
	int rc;

	rc = name_prepare(dfs, &parent, name);
	if (rc == 0)
		rc = entry_fetch(parent->oh, name, &e);
	if (rc == 0)
		rc = remove_entry(dfs, parent->oh, name, &e, force, 0);
	if (rc == 0 && oid != NULL)
		*oid = e.oid;
	return rc;
}

int
dfs_unlink_entry(dfs_t *dfs, dfs_obj_t *parent, const char *name, daos_obj_id_t *ret_oid,
		 mode_t *ret_mode)
{
	struct dfs_entry e;
	int rc;

	rc = name_prepare(dfs, &parent, name);
	if (rc == 0)
		rc = entry_fetch(parent->oh, name, &e);
	if (rc == 0 && S_ISDIR(e.mode))
		rc = EISDIR;
	if (rc == 0)
		rc = entry_remove(parent->oh, name);
	if (rc == 0) {
		paths_changed(dfs, e.mode);
		*ret_oid = e.oid;
		*ret_mode = e.mode;
	}
	return rc;
}

/* --- rename
 * ------------------------------------------------------------------------------------------- */

/* May an entry of this kind take the place of that one? */
static int
replace_check(dfs_t *dfs, const struct dfs_entry *src, const struct dfs_entry *dst)
{
	daos_handle_t oh;
	bool empty;
	int rc;

	if (!S_ISDIR(dst->mode))
		return S_ISDIR(src->mode) ? ENOTDIR : 0;
	if (!S_ISDIR(src->mode))
		return EISDIR;
	rc = dir_open_oid(dfs, dst->oid, O_RDONLY, &oh);
	if (rc != 0)
		return rc;
	rc = dir_is_empty(oh, &empty);
	daos_obj_close(oh, NULL);
	return rc == 0 && !empty ? ENOTEMPTY : rc;
}

/* Is dir the directory oid, or in it? */
static bool
node_holds(const dfs_obj_t *dir, daos_obj_id_t oid)
{
	return same_oid(dir->oid, oid) || dfs_node_is_below(dir->node, oid);
}

/*
 * The old name was removed by somebody else, by an unlink or another rename, while the new one was
 * made: that one was first, and the object must not have two names.
 */
static int
move_undo(dfs_t *dfs, dfs_obj_t *new_parent, const char *new_name, const struct dfs_entry *src,
	  const struct dfs_entry *dst, bool replaced)
{
	struct dfs_entry e;
	int rc;

	rc = entry_fetch(new_parent->oh, new_name, &e);
	if (rc == 0 && same_oid(e.oid, src->oid) && e.mode == src->mode)
		rc = entry_remove(new_parent->oh, new_name);
	if (rc != 0 && rc != ENOENT)
		return rc;
	/* what was replaced has no name any more */
	if (replaced && (rc = object_punch(dfs, dst->oid, dst->mode)) != 0)
		return rc;
	return ENOENT;
}

/* *ret_old: what was replaced, mode 0 if nothing was; its object is still there. */
static int
move(dfs_t *dfs, dfs_obj_t *parent, const char *name, dfs_obj_t *new_parent, const char *new_name,
     struct dfs_entry *ret_old)
{
	struct dfs_entry src, dst;
	bool exists, replaced;
	int rc;

	memset(ret_old, 0, sizeof(*ret_old));
	rc = entry_fetch(parent->oh, name, &src);
	if (rc != 0)
		return rc;
	if (S_ISDIR(src.mode) && node_holds(new_parent, src.oid))
		return EINVAL; /* into itself */
	if (same_oid(parent->oid, new_parent->oid) && strcmp(name, new_name) == 0)
		return 0;
	do {
		rc = entry_fetch(new_parent->oh, new_name, &dst);
		exists = rc == 0;
		if (rc != 0 && rc != ENOENT)
			return rc;
		if (exists && S_ISDIR(dst.mode) && node_holds(parent, dst.oid))
			return ENOTEMPTY; /* what is moved is in there */
		rc = exists ? replace_check(dfs, &src, &dst) : 0;
		if (rc == 0)
			rc = entry_copy(parent->oh, name, &src, new_parent->oh, new_name, exists);
		/* it was not there, but is now: look again */
	} while (rc == EEXIST && !exists);
	if (rc != 0)
		return rc;
	replaced = exists;
	exists = exists && !S_ISLNK(dst.mode) && !same_oid(src.oid, dst.oid);
	rc = entry_remove(parent->oh, name);
	if (rc == ENOENT)
		return move_undo(dfs, new_parent, new_name, &src, &dst, exists);
	if (rc == 0) {
		paths_changed(dfs, src.mode);
		if (replaced)
			paths_changed(dfs, dst.mode);
	}
	if (rc == 0 && exists)
		*ret_old = dst;
	return rc;
}

int
dfs_move_keep(dfs_t *dfs, dfs_obj_t *parent, const char *name, dfs_obj_t *new_parent,
	      const char *new_name, daos_obj_id_t *ret_oid, mode_t *ret_mode)
{
	struct dfs_entry old;
	int rc;

	rc = name_prepare(dfs, &parent, name);
	if (rc == 0)
		rc = name_prepare(dfs, &new_parent, new_name);
	if (rc == 0)
		rc = move(dfs, parent, name, new_parent, new_name, &old);
	if (rc == 0) {
		*ret_oid = old.oid;
		*ret_mode = old.mode;
	}
	return rc;
}

int
dfs_move(dfs_t *dfs, dfs_obj_t *parent, const char *name, dfs_obj_t *new_parent,
	 const char *new_name, daos_obj_id_t *oid)
{
	daos_obj_id_t old = {0};
	mode_t mode = 0;
	int rc;

	rc = dfs_move_keep(dfs, parent, name, new_parent, new_name, &old, &mode);
	if (rc == 0 && mode != 0)
		rc = object_punch(dfs, old, mode);
	if (rc == 0 && oid != NULL)
		*oid = old;
	return rc;
}

int
dfs_exchange(dfs_t *dfs, dfs_obj_t *parent1, const char *name1, dfs_obj_t *parent2,
	     const char *name2)
{
	char tmp[64];
	struct dfs_entry a, b;
	struct timespec t;
	int rc;

	rc = name_prepare(dfs, &parent1, name1);
	if (rc == 0)
		rc = name_prepare(dfs, &parent2, name2);
	if (rc == 0)
		rc = entry_fetch(parent1->oh, name1, &a);
	if (rc == 0)
		rc = entry_fetch(parent2->oh, name2, &b);
	if (rc != 0)
		return rc;
	if (same_oid(parent1->oid, parent2->oid) && strcmp(name1, name2) == 0)
		return 0;
	if ((S_ISDIR(a.mode) && node_holds(parent2, a.oid)) ||
	    (S_ISDIR(b.mode) && node_holds(parent1, b.oid)))
		return EINVAL;
	/* through a third name, so that neither is lost in a crash */
	now(&t);
	snprintf(tmp, sizeof(tmp), ".exchange.%lx.%lx", (unsigned long)t.tv_sec,
		 (unsigned long)t.tv_nsec);
	rc = entry_copy(parent1->oh, name1, &a, parent1->oh, tmp, false);
	if (rc == 0)
		rc = entry_copy(parent2->oh, name2, &b, parent1->oh, name1, true);
	if (rc == 0)
		rc = entry_copy(parent1->oh, tmp, &a, parent2->oh, name2, true);
	if (rc == 0)
		rc = entry_remove(parent1->oh, tmp);
	if (rc == 0) {
		paths_changed(dfs, a.mode);
		paths_changed(dfs, b.mode);
	}
	return rc;
}
