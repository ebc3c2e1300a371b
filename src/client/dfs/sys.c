/*
 * The path layer: like system calls, by path. A path is split into its directory, which is looked
 * up once and kept in a table, and its last name, on which the call is made.
 *
 * The table maps paths of directories to open objects. An entry is used under a count. When a
 * directory or a link is moved or removed through the mount underneath, by this layer or by dfs
 * calls, the mount's generation changes and the whole table is dropped. Another process may do the
 * same behind our back: a call that fails with ENOENT in a cached directory is tried once more with
 * that directory looked up anew.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include <daos/common.h>
#include <daos_fs_sys.h>

#include "client/dfs/dfs_internal.h"

enum { BUCKETS = 1024, ENTRIES_MAX = 16384, READDIR_BATCH = 100 };

struct cached_dir {
	struct cached_dir *next;
	char *path;
	dfs_obj_t *obj;
	uint32_t refs; /* users, and one of the table */
};

struct dfs_sys {
	dfs_t *dfs;
	bool cache, locked;
	pthread_mutex_t lock;
	struct cached_dir *buckets[BUCKETS];
	uint32_t nr;
	uint64_t gen;        /* of the mount when the table was last known to be right */
	bool own_connection; /* of dfs_sys_connect(): disconnect, else umount */
};

/* A directory being listed. */
struct sys_dir {
	dfs_obj_t *obj;
	daos_anchor_t anchor;
	struct dirent ents[READDIR_BATCH];
	uint32_t nr, at;
};

static void
sys_lock(dfs_sys_t *s)
{
	if (s->locked)
		pthread_mutex_lock(&s->lock);
}

static void
sys_unlock(dfs_sys_t *s)
{
	if (s->locked)
		pthread_mutex_unlock(&s->lock);
}

static uint32_t
hash(const char *path)
{
	return d_hash_string_u32(path, strlen(path)) % BUCKETS;
}

static void
dir_unref_locked(struct cached_dir *d)
{
	if (--d->refs > 0)
		return;
	dfs_release(d->obj);
	free(d->path);
	free(d);
}

static void
dir_put(dfs_sys_t *s, struct cached_dir *d)
{
	if (d == NULL)
		return;
	sys_lock(s);
	dir_unref_locked(d);
	sys_unlock(s);
}

/* Forget path and everything below it; NULL: everything. */
static void
cache_forget_locked(dfs_sys_t *s, const char *path)
{
	size_t len = path == NULL ? 0 : strlen(path);
	uint32_t i;

	for (i = 0; s->nr > 0 && i < BUCKETS; i++) {
		struct cached_dir **p = &s->buckets[i];

		while (*p != NULL) {
			struct cached_dir *d = *p;

			if (path != NULL && (strncmp(d->path, path, len) != 0 ||
					     (d->path[len] != '/' && d->path[len] != '\0'))) {
				p = &d->next;
				continue;
			}
			*p = d->next;
			s->nr--;
			dir_unref_locked(d);
		}
	}
}

static void
cache_forget(dfs_sys_t *s, const char *path)
{
	sys_lock(s);
	cache_forget_locked(s, path);
	sys_unlock(s);
}

static struct cached_dir *
cache_find_locked(dfs_sys_t *s, const char *path)
{
	uint64_t gen = atomic_load(&s->dfs->dir_gen);
	struct cached_dir *d;

	if (gen != s->gen) {
		cache_forget_locked(s, NULL);
		s->gen = gen;
	}
	for (d = s->buckets[hash(path)]; d != NULL && strcmp(d->path, path) != 0; d = d->next)
		;
	return d;
}

/* Keep a directory that was looked up when the generation was gen. */
static void
cache_add(dfs_sys_t *s, struct cached_dir *d, uint64_t gen)
{
	uint32_t b = hash(d->path);

	sys_lock(s);
	if (cache_find_locked(s, d->path) == NULL && s->gen == gen) {
		if (s->nr >= ENTRIES_MAX)
			cache_forget_locked(s, NULL);
		d->refs++;
		d->next = s->buckets[b];
		s->buckets[b] = d;
		s->nr++;
	}
	sys_unlock(s);
}

static int
dir_get(dfs_sys_t *s, const char *path, struct cached_dir **ret, bool *ret_cached)
{
	struct cached_dir *d;
	mode_t mode = 0;
	uint64_t gen;
	int rc;

	*ret_cached = false;
	sys_lock(s);
	d = cache_find_locked(s, path);
	gen = s->gen;
	if (d != NULL)
		d->refs++;
	sys_unlock(s);
	if (d != NULL) {
		*ret = d;
		*ret_cached = true;
		return 0;
	}
	d = calloc(1, sizeof(*d));
	if (d == NULL || (d->path = strdup(path)) == NULL) {
		free(d);
		return ENOMEM;
	}
	rc = dfs_lookup(s->dfs, path, s->dfs->amode, &d->obj, &mode, NULL);
	if (rc == 0 && !S_ISDIR(mode)) {
		dfs_release(d->obj);
		rc = ENOTDIR;
	}
	if (rc != 0) {
		free(d->path);
		free(d);
		return rc;
	}
	d->refs = 1;
	if (s->cache)
		cache_add(s, d, gen);
	*ret = d;
	return 0;
}

/* A path taken apart. name is NULL for dir itself, which is NULL for the root (of the prefix). */
struct split {
	struct cached_dir *dir;
	char dir_path[PATH_MAX];
	char *name;
	char buf[PATH_MAX];
	bool cached;
};

static dfs_obj_t *
dir_of(const struct split *p)
{
	return p->dir == NULL ? NULL : p->dir->obj;
}

static int
split(dfs_sys_t *s, const char *path, struct split *p)
{
	size_t len;
	char *slash;

	memset(p, 0, offsetof(struct split, buf));
	if (s == NULL || path == NULL || path[0] != '/')
		return EINVAL;
	len = strlen(path);
	if (len >= PATH_MAX)
		return ENAMETOOLONG;
	memcpy(p->buf, path, len + 1);
	while (len > 1 && p->buf[len - 1] == '/')
		p->buf[--len] = '\0';
	if (len == 1 || (s->dfs->prefix != NULL && strcmp(p->buf, s->dfs->prefix) == 0))
		return 0; /* the root */
	slash = strrchr(p->buf, '/');
	if (strcmp(slash + 1, ".") == 0 || strcmp(slash + 1, "..") == 0) {
		/* a directory without a name of its own */
		memcpy(p->dir_path, p->buf, len + 1);
		return dir_get(s, p->dir_path, &p->dir, &p->cached);
	}
	p->name = slash + 1;
	snprintf(p->dir_path, sizeof(p->dir_path), "%.*s",
		 slash == p->buf ? 1 : (int)(slash - p->buf), p->buf);
	return dir_get(s, p->dir_path, &p->dir, &p->cached);
}

static void
split_done(dfs_sys_t *s, struct split *p)
{
	dir_put(s, p->dir);
	p->dir = NULL;
}

/* Make a call on the last name of a path; once more if a cached directory turned out to be gone. */
#define WITH_SPLIT(_s, _path, _p, _call)                                                           \
	({                                                                                         \
		int rc_ = split(_s, _path, &(_p));                                                 \
		if (rc_ == 0) {                                                                    \
			rc_ = (_call);                                                             \
			if (rc_ == ENOENT && (_p).cached) {                                        \
				split_done(_s, &(_p));                                             \
				cache_forget(_s, (_p).dir_path);                                   \
				rc_ = split(_s, _path, &(_p));                                     \
				if (rc_ == 0)                                                      \
					rc_ = (_call);                                             \
			}                                                                          \
		}                                                                                  \
		split_done(_s, &(_p));                                                             \
		rc_;                                                                               \
	})

/* Open what the path names. */
static int
open_split(dfs_sys_t *s, const struct split *p, int flags, dfs_obj_t **obj, mode_t *mode,
	   struct stat *st)
{
	if (p->name == NULL)
		return dfs_lookup(s->dfs,
				  p->dir != NULL           ? p->dir_path
				  : s->dfs->prefix == NULL ? "/"
							   : s->dfs->prefix,
				  flags, obj, mode, st);
	return dfs_lookup_rel(s->dfs, dir_of(p), p->name, flags, obj, mode, st);
}

static int
open_path(dfs_sys_t *s, const char *path, int flags, dfs_obj_t **obj, mode_t *mode)
{
	struct split p;

	return WITH_SPLIT(s, path, p, open_split(s, &p, flags, obj, mode, NULL));
}

/* --- connect, mount
 * ---------------------------------------------------------------------------------------- */

static int
sys_create(dfs_t *dfs, int sflags, bool own_connection, dfs_sys_t **ret)
{
	dfs_sys_t *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return ENOMEM;
	s->dfs = dfs;
	s->cache = (sflags & DFS_SYS_NO_CACHE) == 0;
	s->locked = (sflags & DFS_SYS_NO_LOCK) == 0;
	s->own_connection = own_connection;
	pthread_mutex_init(&s->lock, NULL);
	*ret = s;
	return 0;
}

static void
sys_free(dfs_sys_t *s)
{
	cache_forget(s, NULL);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int
dfs_sys_connect(const char *pool, const char *sys, const char *cont, int mflags, int sflags,
		dfs_attr_t *attr, dfs_sys_t **dfs_sys)
{
	dfs_t *dfs;
	int rc;

	if (dfs_sys == NULL)
		return EINVAL;
	rc = dfs_connect(pool, sys, cont, mflags, attr, &dfs);
	if (rc != 0)
		return rc;
	rc = sys_create(dfs, sflags, true, dfs_sys);
	if (rc != 0)
		dfs_disconnect(dfs);
	return rc;
}

int
dfs_sys_disconnect(dfs_sys_t *dfs_sys)
{
	dfs_t *dfs;

	if (dfs_sys == NULL || !dfs_sys->own_connection)
		return EINVAL;
	dfs = dfs_sys->dfs;
	sys_free(dfs_sys);
	return dfs_disconnect(dfs);
}

int
dfs_sys_mount(daos_handle_t poh, daos_handle_t coh, int mflags, int sflags, dfs_sys_t **dfs_sys)
{
	dfs_t *dfs;
	int rc;

	if (dfs_sys == NULL)
		return EINVAL;
	rc = dfs_mount(poh, coh, mflags, &dfs);
	if (rc != 0)
		return rc;
	rc = sys_create(dfs, sflags, false, dfs_sys);
	if (rc != 0)
		dfs_umount(dfs);
	return rc;
}

int
dfs_sys_umount(dfs_sys_t *dfs_sys)
{
	dfs_t *dfs;

	if (dfs_sys == NULL || dfs_sys->own_connection)
		return EINVAL;
	dfs = dfs_sys->dfs;
	sys_free(dfs_sys);
	return dfs_umount(dfs);
}

int
dfs_sys_local2global(dfs_sys_t *dfs_sys, d_iov_t *glob)
{
	return dfs_sys == NULL ? EINVAL : dfs_local2global(dfs_sys->dfs, glob);
}

int
dfs_sys_global2local(daos_handle_t poh, daos_handle_t coh, int mflags, int sflags, d_iov_t glob,
		     dfs_sys_t **dfs_sys)
{
	dfs_t *dfs;
	int rc;

	if (dfs_sys == NULL)
		return EINVAL;
	rc = dfs_global2local(poh, coh, mflags, glob, &dfs);
	if (rc != 0)
		return rc;
	rc = sys_create(dfs, sflags, false, dfs_sys);
	if (rc != 0)
		dfs_umount(dfs);
	return rc;
}

int
dfs_sys_local2global_all(dfs_sys_t *dfs_sys, d_iov_t *glob)
{
	return dfs_sys == NULL ? EINVAL : dfs_local2global_all(dfs_sys->dfs, glob);
}

int
dfs_sys_global2local_all(int mflags, int sflags, d_iov_t glob, dfs_sys_t **dfs_sys)
{
	dfs_t *dfs;
	int rc;

	if (dfs_sys == NULL)
		return EINVAL;
	rc = dfs_global2local_all(mflags, glob, &dfs);
	if (rc != 0)
		return rc;
	rc = sys_create(dfs, sflags, true, dfs_sys);
	if (rc != 0)
		dfs_disconnect(dfs);
	return rc;
}

int
dfs_sys_set_prefix(dfs_sys_t *dfs_sys, const char *prefix)
{
	if (dfs_sys == NULL)
		return EINVAL;
	cache_forget(dfs_sys, NULL);
	return dfs_set_prefix(dfs_sys->dfs, prefix);
}

int
dfs_sys2base(dfs_sys_t *dfs_sys, dfs_t **dfs)
{
	if (dfs_sys == NULL || dfs == NULL)
		return EINVAL;
	*dfs = dfs_sys->dfs;
	return 0;
}

/* --- attributes
 * ------------------------------------------------------------------------------------------------
 */

int
dfs_sys_access(dfs_sys_t *s, const char *path, int mask, int flags)
{
	dfs_obj_t *obj;
	struct split p;
	mode_t mode;
	int rc;

	if ((flags & O_NOFOLLOW) != 0) {
		rc = open_path(s, path, O_RDONLY | O_NOFOLLOW, &obj, &mode);
		if (rc != 0)
			return rc;
		dfs_release(obj);
		if (S_ISLNK(mode))
			return 0; /* a link itself may be used by anybody */
	}
	return WITH_SPLIT(s, path, p, dfs_access(s->dfs, dir_of(&p), p.name, mask));
}

int
dfs_sys_chmod(dfs_sys_t *s, const char *path, mode_t mode)
{
	struct split p;

	return WITH_SPLIT(s, path, p, dfs_chmod(s->dfs, dir_of(&p), p.name, mode));
}

int
dfs_sys_chown(dfs_sys_t *s, const char *path, uid_t uid, gid_t gid, int flags)
{
	struct split p;

	return WITH_SPLIT(s, path, p, dfs_chown(s->dfs, dir_of(&p), p.name, uid, gid, flags));
}

int
dfs_sys_setattr(dfs_sys_t *s, const char *path, struct stat *stbuf, int flags, int sflags)
{
	dfs_obj_t *obj;
	int rc;

	rc = open_path(s, path, O_RDWR | (sflags & O_NOFOLLOW), &obj, NULL);
	if (rc != 0)
		return rc;
	rc = dfs_osetattr(s->dfs, obj, stbuf, flags);
	dfs_release(obj);
	return rc;
}

int
dfs_sys_utimens(dfs_sys_t *s, const char *path, const struct timespec times[2], int flags)
{
	struct stat st = {0};
	int set = DFS_SET_ATTR_ATIME | DFS_SET_ATTR_MTIME;

	if (times != NULL) {
		st.st_atim = times[0];
		st.st_mtim = times[1];
	}
	if (times == NULL || times[1].tv_nsec == UTIME_NOW)
		now(&st.st_mtim);
	else if (times[1].tv_nsec == UTIME_OMIT)
		set &= ~DFS_SET_ATTR_MTIME;
	else if (times[1].tv_nsec < 0 || times[1].tv_nsec >= 1000000000)
		return EINVAL;
	return dfs_sys_setattr(s, path, &st, set, flags);
}

static int
stat_split(dfs_sys_t *s, const struct split *p, int flags, struct stat *st)
{
	dfs_obj_t *obj;
	mode_t mode;
	int rc;

	if (p->name != NULL && (flags & O_NOFOLLOW) != 0)
		return dfs_stat(s->dfs, dir_of(p), p->name, st);
	rc = open_split(s, p, O_RDONLY, &obj, &mode, st);
	if (rc == 0)
		dfs_release(obj);
	return rc;
}

int
dfs_sys_stat(dfs_sys_t *s, const char *path, int flags, struct stat *stbuf)
{
	struct split p;

	if (stbuf == NULL)
		return EINVAL;
	return WITH_SPLIT(s, path, p, stat_split(s, &p, flags, stbuf));
}

/* --- creating and removing
 * --------------------------------------------------------------------------------------- */

static int
create_split(dfs_sys_t *s, const struct split *p, mode_t mode, daos_oclass_id_t cid,
	     daos_size_t chunk, const char *value)
{
	dfs_obj_t *obj;
	int rc;

	if (p->name == NULL)
		return EEXIST;
	if (S_ISDIR(mode))
		return dfs_mkdir(s->dfs, dir_of(p), p->name, mode, cid);
	rc = dfs_open(s->dfs, dir_of(p), p->name, mode, O_CREAT | O_EXCL | O_RDWR, cid, chunk,
		      value, &obj);
	if (rc == 0)
		dfs_release(obj);
	return rc;
}

int
dfs_sys_mknod(dfs_sys_t *s, const char *path, mode_t mode, daos_oclass_id_t cid,
	      daos_size_t chunk_size)
{
	struct split p;

	if (!S_ISREG(mode) && !S_ISDIR(mode))
		return (mode & S_IFMT) == 0 ? EINVAL : ENOTSUP;
	return WITH_SPLIT(s, path, p, create_split(s, &p, mode, cid, chunk_size, NULL));
}

int
dfs_sys_symlink(dfs_sys_t *s, const char *target, const char *path)
{
	struct split p;

	return WITH_SPLIT(s, path, p, create_split(s, &p, S_IFLNK | 0777, 0, 0, target));
}

int
dfs_sys_mkdir(dfs_sys_t *s, const char *dir, mode_t mode, daos_oclass_id_t cid)
{
	struct split p;

	return WITH_SPLIT(s, dir, p, create_split(s, &p, S_IFDIR | (mode & 07777), cid, 0, NULL));
}

int
dfs_sys_mkdir_p(dfs_sys_t *s, const char *dir_path, mode_t mode, daos_oclass_id_t cid)
{
	char path[PATH_MAX];
	struct stat st;
	size_t i;
	int rc = 0;

	if (dir_path == NULL || dir_path[0] != '/' || strlen(dir_path) >= sizeof(path))
		return EINVAL;
	snprintf(path, sizeof(path), "%s", dir_path);
	for (i = 1; rc == 0 || rc == EEXIST; i++) {
		char c = path[i];

		if (c != '/' && c != '\0')
			continue;
		path[i] = '\0';
		if (path[i - 1] != '/' && i > 1)
			rc = dfs_sys_mkdir(s, path, mode, cid);
		path[i] = c;
		if (c == '\0')
			break;
	}
	if (rc != EEXIST)
		return rc;
	/* what was there already is fine if it is a directory, and still there */
	rc = dfs_sys_stat(s, dir_path, 0, &st);
	return rc == 0 && !S_ISDIR(st.st_mode) ? EEXIST : rc;
}

static int
remove_split(dfs_sys_t *s, const struct split *p, bool force, mode_t mode, daos_obj_id_t *oid)
{
	struct dfs_entry e;
	int rc;

	if (p->name == NULL)
		return EBUSY;
	if ((mode & S_IFMT) != 0) {
		rc = dfs_entry_get(s->dfs, dir_of(p), p->name, &e);
		if (rc != 0)
			return rc;
		if ((e.mode & S_IFMT) != (mode & S_IFMT)) {
			if (S_ISDIR(mode))
				return ENOTDIR;
			return S_ISDIR(e.mode) ? EISDIR : EINVAL;
		}
	}
	return dfs_remove(s->dfs, dir_of(p), p->name, force, oid);
}

int
dfs_sys_remove_type(dfs_sys_t *s, const char *path, bool force, mode_t mode, daos_obj_id_t *oid)
{
	struct split p;

	return WITH_SPLIT(s, path, p, remove_split(s, &p, force, mode, oid));
}

int
dfs_sys_remove(dfs_sys_t *s, const char *path, bool force, daos_obj_id_t *oid)
{
	return dfs_sys_remove_type(s, path, force, 0, oid);
}

/* --- extended attributes, links
 * ------------------------------------------------------------------------------------ */

int
dfs_sys_listxattr(dfs_sys_t *s, const char *path, char *list, daos_size_t *size, int flags)
{
	dfs_obj_t *obj;
	int rc = open_path(s, path, O_RDONLY | (flags & O_NOFOLLOW), &obj, NULL);

	if (rc != 0)
		return rc;
	rc = dfs_listxattr(s->dfs, obj, list, size);
	dfs_release(obj);
	return rc;
}

int
dfs_sys_getxattr(dfs_sys_t *s, const char *path, const char *name, void *value, daos_size_t *size,
		 int flags)
{
	dfs_obj_t *obj;
	int rc = open_path(s, path, O_RDONLY | (flags & O_NOFOLLOW), &obj, NULL);

	if (rc != 0)
		return rc;
	rc = dfs_getxattr(s->dfs, obj, name, value, size);
	dfs_release(obj);
	return rc;
}

int
dfs_sys_setxattr(dfs_sys_t *s, const char *path, const char *name, const void *value,
		 daos_size_t size, int flags, int sflags)
{
	dfs_obj_t *obj;
	int rc = open_path(s, path, O_RDWR | (sflags & O_NOFOLLOW), &obj, NULL);

	if (rc != 0)
		return rc;
	rc = dfs_setxattr(s->dfs, obj, name, value, size, flags);
	dfs_release(obj);
	return rc;
}

int
dfs_sys_removexattr(dfs_sys_t *s, const char *path, const char *name, int flags)
{
	dfs_obj_t *obj;
	int rc = open_path(s, path, O_RDWR | (flags & O_NOFOLLOW), &obj, NULL);

	if (rc != 0)
		return rc;
	rc = dfs_removexattr(s->dfs, obj, name);
	dfs_release(obj);
	return rc;
}

int
dfs_sys_readlink(dfs_sys_t *s, const char *path, char *buf, daos_size_t *size)
{
	dfs_obj_t *obj;
	int rc = open_path(s, path, O_RDONLY | O_NOFOLLOW, &obj, NULL);

	if (rc != 0)
		return rc;
	rc = dfs_get_symlink_value(obj, buf, size);
	dfs_release(obj);
	return rc;
}

/* --- files
 * ------------------------------------------------------------------------------------------------------------
 */

/* As dfs_open(), but links are followed. */
static int
open_type(dfs_sys_t *s, const struct split *p, mode_t mode, int flags, daos_oclass_id_t cid,
	  daos_size_t chunk_size, const char *value, dfs_obj_t **obj)
{
	mode_t found;
	int rc;

	if (p->name == NULL) {
		if ((flags & O_EXCL) != 0)
			return EEXIST;
		rc = open_split(s, p, flags & ~O_CREAT, obj, &found, NULL);
	} else {
		if ((mode & S_IFMT) == 0)
			mode |= S_IFREG;
		if ((flags & O_CREAT) != 0) {
			/* what is new, or is there as asked for, takes one step */
			rc = dfs_open(s->dfs, dir_of(p), p->name, mode, flags, cid, chunk_size,
				      value, obj);
			if (rc != EINVAL)
				return rc;
		}
		rc = open_split(s, p, flags & ~O_CREAT, obj, &found, NULL);
	}
	if (rc == 0 && (mode & S_IFMT) != 0 && (found & S_IFMT) != (mode & S_IFMT)) {
		dfs_release(*obj);
		return S_ISDIR(found) ? EISDIR : S_ISDIR(mode) ? ENOTDIR : EINVAL;
	}
	return rc;
}

int
dfs_sys_open(dfs_sys_t *s, const char *path, mode_t mode, int flags, daos_oclass_id_t cid,
	     daos_size_t chunk_size, const char *value, dfs_obj_t **obj)
{
	struct split p;

	if (obj == NULL)
		return EINVAL;
	return WITH_SPLIT(s, path, p, open_type(s, &p, mode, flags, cid, chunk_size, value, obj));
}

int
dfs_sys_close(dfs_obj_t *obj)
{
	return dfs_release(obj);
}

int
dfs_sys_read(dfs_sys_t *s, dfs_obj_t *obj, void *buf, daos_off_t off, daos_size_t *size,
	     daos_event_t *ev)
{
	daos_size_t want;

	if (s == NULL || size == NULL || buf == NULL)
		return EINVAL;
	want = *size;
	*size = 0;
	return io_buffer(s->dfs, obj, buf, want, off, size, false, ev);
}

int
dfs_sys_write(dfs_sys_t *s, dfs_obj_t *obj, const void *buf, daos_off_t off, daos_size_t *size,
	      daos_event_t *ev)
{
	if (s == NULL || size == NULL || buf == NULL)
		return EINVAL;
	return io_buffer(s->dfs, obj, (void *)buf, *size, off, NULL, true, ev);
}

int
dfs_sys_punch(dfs_sys_t *s, const char *path, daos_off_t offset, daos_off_t len)
{
	dfs_obj_t *obj;
	mode_t mode;
	int rc = open_path(s, path, O_RDWR, &obj, &mode);

	if (rc != 0)
		return rc;
	rc = dfs_punch(s->dfs, obj, offset, len);
	dfs_release(obj);
	return rc;
}

/* --- directories
 * ---------------------------------------------------------------------------------------------------------
 */

int
dfs_sys_opendir(dfs_sys_t *s, const char *dir, int flags, DIR **dirp)
{
	struct sys_dir *d;
	mode_t mode;
	int rc;

	if (dirp == NULL)
		return EINVAL;
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return ENOMEM;
	rc = open_path(s, dir, O_RDONLY | (flags & O_NOFOLLOW), &d->obj, &mode);
	if (rc == 0 && !S_ISDIR(mode)) {
		dfs_release(d->obj);
		rc = ENOTDIR;
	}
	if (rc != 0) {
		free(d);
		return rc;
	}
	*dirp = (DIR *)d;
	return 0;
}

int
dfs_sys_closedir(DIR *dirp)
{
	struct sys_dir *d = (struct sys_dir *)dirp;
	int rc;

	if (d == NULL)
		return EINVAL;
	rc = dfs_release(d->obj);
	free(d);
	return rc;
}

int
dfs_sys_readdir(dfs_sys_t *s, DIR *dirp, struct dirent **dirent)
{
	struct sys_dir *d = (struct sys_dir *)dirp;
	int rc;

	if (s == NULL || d == NULL || dirent == NULL)
		return EINVAL;
	while (d->at == d->nr) {
		if (daos_anchor_is_eof(&d->anchor)) {
			*dirent = NULL;
			return 0;
		}
		d->at = 0;
		d->nr = READDIR_BATCH;
		rc = dfs_readdir(s->dfs, d->obj, &d->anchor, &d->nr, d->ents);
		if (rc != 0) {
			d->nr = 0;
			return rc;
		}
	}
	*dirent = &d->ents[d->at++];
	return 0;
}
