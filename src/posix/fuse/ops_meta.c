/* Names and attributes: lookup, getattr, setattr, create, unlink, rename, links, extended
 * attributes, statfs. */
#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "posix/fuse/dfuse.h"

#define SPACE_FRESH_NS 1000000000ull

static struct dfuse *
dfuse_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static double
dentry_timeout(const struct dfuse *d, mode_t mode)
{
	return S_ISDIR(mode) ? d->cache.dentry_dir : d->cache.dentry;
}

void
entry_fill(struct dfuse *d, struct node *n, const struct stat *st, struct fuse_entry_param *e)
{
	memset(e, 0, sizeof(*e));
	e->ino = n == d->root ? FUSE_ROOT_ID : (fuse_ino_t)n;
	e->attr = *st;
	e->attr.st_ino = node_ino(n);
	e->attr_timeout = d->cache.attr;
	e->entry_timeout = dentry_timeout(d, st->st_mode);
}

static void
reply_entry(fuse_req_t req, struct node *n, const struct stat *st)
{
	struct dfuse *d = dfuse_of(req);
	struct fuse_entry_param e;

	entry_fill(d, n, st, &e);
	if (fuse_reply_entry(req, &e) == -ENOENT)
		node_forget(d, n, 1); /* the asker is gone, and with it the reference */
}

static void
reply_none(fuse_req_t req)
{
	struct fuse_entry_param e = {.entry_timeout = dfuse_of(req)->cache.negative};

	if (e.entry_timeout > 0)
		fuse_reply_entry(req, &e);
	else
		fuse_reply_err(req, ENOENT);
}

/*
 * The name is probably still that of the node it was last known as: then the entry and the size are
 * asked in one step, and the kernel's next question is answered too.
 */
static bool
lookup_expected(fuse_req_t req, struct node *parent, const char *name)
{
	struct dfuse *d = dfuse_of(req);
	struct node *n = node_expect(d, parent, name);
	uint64_t began_ns = dfuse_now_ns(), change_nr;
	bool same = false;
	struct stat st;

	if (n == NULL)
		return false;
	change_nr = node_change_nr(n);
	if (dfs_stat_expected(d->dfs, parent->obj, name, n->obj, &st, &same) != 0 || !same) {
		node_forget(d, n, 1);
		return false;
	}
	node_stat_set(n, &st);
	if (d->cache.attr == 0)
		node_tell(n, &st, fuse_req_ctx(req)->pid, began_ns, change_nr);
	reply_entry(req, n, &st);
	return true;
}

void
op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct dfuse *d = dfuse_of(req);
	struct node *p = node_of(d, parent), *n;
	dfs_obj_t *obj;
	struct stat st;
	int rc;

	if (strlen(name) > DFS_MAX_NAME) {
		fuse_reply_err(req, ENAMETOOLONG);
		return;
	}
	if (lookup_expected(req, p, name))
		return;
	rc = dfs_lookup_rel(d->dfs, p->obj, name, d->dfs->amode | O_NOFOLLOW, &obj, NULL, &st);
	if (rc == 0)
		rc = node_get(d, obj, &st, &n);
	if (rc == 0)
		reply_entry(req, n, &st);
	else if (rc == ENOENT)
		reply_none(req);
	else
		fuse_reply_err(req, rc);
}

void
op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	struct dfuse *d = dfuse_of(req);

	node_forget(d, node_of(d, ino), nlookup);
	fuse_reply_none(req);
}

void
op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	struct dfuse *d = dfuse_of(req);
	size_t i;

	for (i = 0; i < count; i++)
		node_forget(d, node_of(d, forgets[i].ino), forgets[i].nlookup);
	fuse_reply_none(req);
}

/* --- attributes
 * ------------------------------------------------------------------------------------------ */

/* An unlinked file has no entry: what was last known counts, with the size of now. */
static int
stat_unlinked(struct dfuse *d, struct node *n, struct stat *st)
{
	daos_size_t size = 0;
	int rc = 0;

	node_stat_get(n, st);
	if (S_ISREG(n->mode) && !n->punched) {
		rc = dfs_get_size(d->dfs, n->obj, &size);
		st->st_size = size;
		st->st_blocks = (size + 511) / 512;
	}
	st->st_nlink = 0;
	return rc;
}

static int
node_stat(struct dfuse *d, struct node *n, struct stat *st)
{
	int rc;

	if (n->unlinked)
		return stat_unlinked(d, n, st);
	rc = dfs_ostat(d->dfs, n->obj, st);
	if (rc == ENOENT && n->open_nr > 0)
		return stat_unlinked(d, n, st); /* removed by somebody else */
	if (rc == 0)
		node_stat_set(n, st);
	return rc;
}

static void
reply_attr(fuse_req_t req, const struct node *n, struct stat *st)
{
	st->st_ino = node_ino(n);
	fuse_reply_attr(req, st, dfuse_of(req)->cache.attr);
}

void
op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct dfuse *d = dfuse_of(req);
	struct node *n = node_of(d, ino);
	struct stat st;
	int rc = 0;

	if (!node_told(n, fuse_req_ctx(req)->pid, &st))
		rc = node_stat(d, n, &st);
	if (rc != 0)
		fuse_reply_err(req, rc);
	else
		reply_attr(req, n, &st);
}

/* What changes of an unlinked file only we can know. */
static int
set_unlinked(struct dfuse *d, struct node *n, struct stat *st, int flags)
{
	int rc = 0;

	if ((flags & DFS_SET_ATTR_SIZE) != 0)
		rc = dfs_punch(d->dfs, n->obj, st->st_size, DFS_MAX_FSIZE);
	pthread_mutex_lock(&n->lock);
	if ((flags & DFS_SET_ATTR_MODE) != 0)
		n->st.st_mode = (n->st.st_mode & S_IFMT) | (st->st_mode & 07777);
	if ((flags & DFS_SET_ATTR_UID) != 0)
		n->st.st_uid = st->st_uid;
	if ((flags & DFS_SET_ATTR_GID) != 0)
		n->st.st_gid = st->st_gid;
	if ((flags & DFS_SET_ATTR_MTIME) != 0)
		n->st.st_mtim = st->st_mtim;
	pthread_mutex_unlock(&n->lock);
	return rc == 0 ? stat_unlinked(d, n, st) : rc;
}

void
op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
	struct dfuse *d = dfuse_of(req);
	struct node *n = node_of(d, ino);
	struct stat st = *attr;
	int flags = 0;
	int rc;

	if ((to_set & FUSE_SET_ATTR_MODE) != 0)
		flags |= DFS_SET_ATTR_MODE;
	if ((to_set & FUSE_SET_ATTR_UID) != 0)
		flags |= DFS_SET_ATTR_UID;
	if ((to_set & FUSE_SET_ATTR_GID) != 0)
		flags |= DFS_SET_ATTR_GID;
	if ((to_set & FUSE_SET_ATTR_SIZE) != 0)
		flags |= DFS_SET_ATTR_SIZE;
	if ((to_set & FUSE_SET_ATTR_ATIME) != 0)
		flags |= DFS_SET_ATTR_ATIME;
	if ((to_set & FUSE_SET_ATTR_MTIME) != 0)
		flags |= DFS_SET_ATTR_MTIME;
	if ((to_set & FUSE_SET_ATTR_MTIME_NOW) != 0) {
		clock_gettime(CLOCK_REALTIME, &st.st_mtim);
		flags |= DFS_SET_ATTR_MTIME;
	}
	if ((to_set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) != 0 && S_ISREG(n->mode) &&
	    (flags & DFS_SET_ATTR_MODE) == 0 && (n->mode & (S_ISUID | S_ISGID)) != 0) {
		/* a new owner does not inherit what the old one let others do */
		st.st_mode = n->mode & 01777;
		flags |= DFS_SET_ATTR_MODE;
	}
	if (n->unlinked)
		rc = set_unlinked(d, n, &st, flags);
	else
		rc = dfs_osetattr(d->dfs, n->obj, &st, flags);
	if (rc != 0) {
		fuse_reply_err(req, rc);
		return;
	}
	n->mode = st.st_mode;
	node_stat_set(n, &st);
	node_changed(n);
	reply_attr(req, n, &st);
}

/* --- creating
 * -------------------------------------------------------------------------------------------- */

/* Who a new thing belongs to: its maker, or the group of a set-group-id directory. */
static mode_t
owner_for(fuse_req_t req, struct node *parent, mode_t mode, struct dfs_owner *owner)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	owner->uid = ctx->uid;
	owner->gid = ctx->gid;
	if ((parent->mode & S_ISGID) != 0) {
		struct stat st;

		node_stat_get(parent, &st);
		owner->gid = st.st_gid;
		if (S_ISDIR(mode))
			mode |= S_ISGID;
	}
	return mode;
}

static int
make(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, int flags, const char *value,
     struct node **ret_node, struct stat *st)
{
	struct dfuse *d = dfuse_of(req);
	struct node *p = node_of(d, parent);
	struct dfs_owner owner;
	dfs_obj_t *obj;
	int rc;

	if (strlen(name) > DFS_MAX_NAME)
		return ENAMETOOLONG;
	mode = owner_for(req, p, mode, &owner);
	rc = dfs_create_as(d->dfs, p->obj, name, mode, O_RDWR | flags, value, &owner, &obj, st);
	node_changed(p);
	return rc == 0 ? node_get(d, obj, st, ret_node) : rc;
}

static void
make_and_reply(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, const char *value)
{
	struct node *n;
	struct stat st;
	int rc = make(req, parent, name, mode, O_EXCL, value, &n, &st);

	if (rc != 0)
		fuse_reply_err(req, rc);
	else
		reply_entry(req, n, &st);
}

void
op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	if (!S_ISREG(mode)) {
		fuse_reply_err(req, ENOTSUP);
		return;
	}
	make_and_reply(req, parent, name, mode, NULL);
}

void
op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	make_and_reply(req, parent, name, S_IFDIR | (mode & 07777), NULL);
}

void
op_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
	make_and_reply(req, parent, name, S_IFLNK | 0777, link);
}

void
op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	  struct fuse_file_info *fi)
{
	struct dfuse *d = dfuse_of(req);
	struct fuse_entry_param e;
	struct node *n;
	struct stat st;
	int rc;

	rc = make(req, parent, name, S_IFREG | (mode & 07777), fi->flags & (O_EXCL | O_TRUNC), NULL,
		  &n, &st);
	if (rc == 0) {
		rc = node_open(d, n);
		if (rc != 0)
			node_forget(d, n, 1);
	}
	if (rc != 0) {
		fuse_reply_err(req, rc);
		return;
	}
	fi->direct_io = d->cache.data == 0;
	fi->keep_cache = 0;
	fi->fh = (uint64_t)(uintptr_t)n;
	entry_fill(d, n, &st, &e);
	if (fuse_reply_create(req, &e, fi) == -ENOENT) {
		node_release(d, n);
		node_forget(d, n, 1);
	}
}

void
op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct dfuse *d = dfuse_of(req);
	char buf[PATH_MAX + 1];
	daos_size_t size = sizeof(buf);
	int rc = dfs_get_symlink_value(node_of(d, ino)->obj, buf, &size);

	if (rc != 0)
		fuse_reply_err(req, rc);
	else
		fuse_reply_readlink(req, buf);
}

/* --- removing and renaming
 * --------------------------------------------------------------------------------- */

void
op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct dfuse *d = dfuse_of(req);
	daos_obj_id_t oid;
	mode_t mode;
	int rc;

	rc = dfs_unlink_entry(d->dfs, node_of(d, parent)->obj, name, &oid, &mode);
	if (rc == 0 && !S_ISLNK(mode))
		rc = node_unlinked(d, oid, mode);
	node_changed(node_of(d, parent));
	fuse_reply_err(req, rc);
}

void
op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct dfuse *d = dfuse_of(req);
	dfs_obj_t *dir = node_of(d, parent)->obj;
	daos_obj_id_t oid;
	struct stat st;
	int rc;

	rc = dfs_stat(d->dfs, dir, name, &st);
	if (rc == 0 && !S_ISDIR(st.st_mode))
		rc = ENOTDIR;
	if (rc == 0)
		rc = dfs_remove(d->dfs, dir, name, false, &oid);
	node_changed(node_of(d, parent));
	fuse_reply_err(req, rc);
}

/* The key by which a node of this entry is known; links are known by their place. */
static int
key_at(struct dfuse *d, dfs_obj_t *dir, const char *name, daos_obj_id_t *ret)
{
	struct dfs_entry e;
	int rc = dfs_entry_get(d->dfs, dir, name, &e);

	if (rc == 0)
		*ret = e.oid;
	return rc;
}

static int
exchange(struct dfuse *d, struct node *p1, const char *name, struct node *p2, const char *newname)
{
	daos_obj_id_t a, b;
	int rc;

	rc = key_at(d, p1->obj, name, &a);
	if (rc == 0)
		rc = key_at(d, p2->obj, newname, &b);
	if (rc == 0)
		rc = dfs_exchange(d->dfs, p1->obj, name, p2->obj, newname);
	if (rc == 0) {
		node_moved(d, a, p2, newname);
		node_moved(d, b, p1, name);
	}
	return rc;
}

static int
do_rename(struct dfuse *d, struct node *p1, const char *name, struct node *p2, const char *newname,
	  unsigned flags)
{
	daos_obj_id_t moved, old;
	mode_t old_mode = 0;
	struct stat st;
	int rc;

	if (strlen(newname) > DFS_MAX_NAME)
		return ENAMETOOLONG;
	if ((flags & RENAME_EXCHANGE) != 0)
		return exchange(d, p1, name, p2, newname);
	if ((flags & RENAME_NOREPLACE) != 0) {
		rc = dfs_stat(d->dfs, p2->obj, newname, &st);
		if (rc != ENOENT)
			return rc == 0 ? EEXIST : rc;
	}
	rc = key_at(d, p1->obj, name, &moved);
	if (rc == 0)
		rc = dfs_move_keep(d->dfs, p1->obj, name, p2->obj, newname, &old, &old_mode);
	if (rc != 0)
		return rc;
	node_moved(d, moved, p2, newname);
	return old_mode != 0 ? node_unlinked(d, old, old_mode) : 0;
}

void
op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
	  const char *newname, unsigned int flags)
{
	struct dfuse *d = dfuse_of(req);
	struct node *p1 = node_of(d, parent), *p2 = node_of(d, newparent);
	int rc = EINVAL;

	if ((flags & ~(unsigned)(RENAME_EXCHANGE | RENAME_NOREPLACE)) == 0) {
		rc = do_rename(d, p1, name, p2, newname, flags);
		node_changed(p1);
		node_changed(p2);
	}
	fuse_reply_err(req, rc);
}

/* --- extended attributes
 * -------------------------------------------------------------------------------------- */

/* Kept for users and administrators; the kernel's own kinds are not ours to give meaning to. */
static bool
xattr_storable(const char *name)
{
	return strncmp(name, "user.", 5) == 0 || strncmp(name, "trusted.", 8) == 0;
}

static bool
xattr_is_uns(const struct dfuse *d, const struct node *n, const char *name)
{
	return n == d->root && strcmp(name, DUNS_XATTR_NAME) == 0;
}

void
op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
	    int flags)
{
	struct dfuse *d = dfuse_of(req);
	struct node *n = node_of(d, ino);
	int rc;

	if (!xattr_storable(name))
		rc = ENOTSUP;
	else if (xattr_is_uns(d, n, name))
		rc = EPERM;
	else
		rc = dfs_setxattr(d->dfs, n->obj, name, value, size, flags);
	node_changed(n);
	fuse_reply_err(req, rc);
}

void
op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct dfuse *d = dfuse_of(req);
	struct node *n = node_of(d, ino);
	daos_size_t len = size;
	const char *p;
	char *buf = NULL;
	int rc;

	if (!xattr_storable(name)) {
		fuse_reply_err(req, ENODATA);
		return;
	}
	if (xattr_is_uns(d, n, name)) {
		p = d->uns_attr;
		len = strlen(p);
		rc = size != 0 && size < len ? ERANGE : 0;
	} else {
		buf = size == 0 ? NULL : malloc(size);
		rc = size != 0 && buf == NULL ? ENOMEM
					      : dfs_getxattr(d->dfs, n->obj, name, buf, &len);
		p = buf;
	}
	if (rc != 0)
		fuse_reply_err(req, rc);
	else if (size == 0)
		fuse_reply_xattr(req, len);
	else
		fuse_reply_buf(req, p, len);
	free(buf);
}

void
op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct dfuse *d = dfuse_of(req);
	daos_size_t len = size;
	char *buf = size == 0 ? NULL : malloc(size);
	int rc = size != 0 && buf == NULL ? ENOMEM
					  : dfs_listxattr(d->dfs, node_of(d, ino)->obj, buf, &len);

	if (rc != 0)
		fuse_reply_err(req, rc);
	else if (size == 0)
		fuse_reply_xattr(req, len);
	else
		fuse_reply_buf(req, buf, len);
	free(buf);
}

void
op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct dfuse *d = dfuse_of(req);
	struct node *n = node_of(d, ino);
	int rc;

	if (!xattr_storable(name))
		rc = ENODATA;
	else if (xattr_is_uns(d, n, name))
		rc = EPERM;
	else
		rc = dfs_removexattr(d->dfs, n->obj, name);
	node_changed(n);
	fuse_reply_err(req, rc);
}

/* --- space
 * ------------------------------------------------------------------------------------------------------
 */

static int
space_get(struct dfuse *d, struct daos_space *ret)
{
	int rc = 0;

	pthread_mutex_lock(&d->space_lock);
	if (d->space_ns == 0 || dfuse_now_ns() - d->space_ns > SPACE_FRESH_NS) {
		d->space.pi_bits = DPI_SPACE;
		rc = daos_pool_query(d->poh, NULL, &d->space, NULL, NULL);
		if (rc == 0)
			d->space_ns = dfuse_now_ns();
	}
	*ret = d->space.pi_space.ps_space;
	pthread_mutex_unlock(&d->space_lock);
	return rc == 0 ? 0 : EIO;
}

void
op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st = {.f_bsize = DFUSE_MAX_IO, .f_frsize = 4096, .f_namemax = DFS_MAX_NAME};
	struct daos_space s;
	int rc = space_get(dfuse_of(req), &s);
	int m;

	if (rc != 0) {
		fuse_reply_err(req, rc);
		return;
	}
	/* data goes to the bulk tier where there is one */
	m = s.s_total[DAOS_MEDIA_NVME] > 0 ? DAOS_MEDIA_NVME : DAOS_MEDIA_SCM;
	st.f_blocks = s.s_total[m] / 4096;
	st.f_bfree = s.s_free[m] / 4096;
	st.f_bavail = st.f_bfree;
	st.f_files = UINT64_MAX >> 1;
	st.f_ffree = UINT64_MAX >> 1;
	fuse_reply_statfs(req, &st);
}
