/*
 * The file system library: POSIX directories, files and links in a container.
 *
 * Calls return 0 or a positive errno. Where a parent object is asked for, NULL is the root; names
 * are single components. Only calls with an event parameter can be made without waiting. A mount
 * may be used by several threads; an object that one thread changes may not.
 */
#ifndef DAOS_FS_H
#define DAOS_FS_H

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/stat.h>

#include <daos_types.h>
#include <daos_obj.h>
#include <daos_obj_class.h>
#include <daos_array.h>
#include <daos_cont.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

#define DFS_MAX_NAME           NAME_MAX
#define DFS_MAX_PATH           PATH_MAX
#define DFS_MAX_FSIZE          (~0ULL)
#define DFS_DEFAULT_CHUNK_SIZE 1048576
#define DFS_MAX_XATTR_NAME     255
#define DFS_MAX_XATTR_LEN      65536

/** f_type of statfs() on an intercepted path. */
#define DAOS_SUPER_MAGIC 0xDA05AD10

typedef struct dfs_obj dfs_obj_t;
typedef struct dfs dfs_t;

/** Consistency of a container: namespace changes in transactions, or not. */
#define DFS_BALANCED 4
#define DFS_RELAXED  0

#define DFS_RDONLY O_RDONLY
#define DFS_RDWR   O_RDWR

/** Attributes of a container, chosen at creation. */
typedef struct {
	uint64_t da_id;                /* the user's */
	daos_size_t da_chunk_size;     /* bytes, default of files, 0: library's choice */
	daos_oclass_id_t da_oclass_id; /* default of files and directories, 0: automatic */
	daos_prop_t *da_props;         /* more container properties */
	uint32_t da_mode;              /* DFS_BALANCED or DFS_RELAXED */
	daos_oclass_id_t da_dir_oclass_id;
	daos_oclass_id_t da_file_oclass_id;
	char da_hints[DAOS_CONT_HINT_MAX_LEN]; /* "type:hint,..." for automatic classes */
} dfs_attr_t;

/** Byte ranges of a file for dfs_readx() and dfs_writex(). */
typedef struct {
	daos_size_t iod_nr;
	daos_range_t *iod_rgs;
} dfs_iod_t;

typedef struct {
	daos_oclass_id_t doi_oclass_id;
	daos_size_t doi_chunk_size;
	/** Of a directory: defaults for what is created in it. */
	daos_oclass_id_t doi_dir_oclass_id;
	daos_oclass_id_t doi_file_oclass_id;
	daos_obj_id_t doi_oid;
} dfs_obj_info_t;

/* ---- Start, connect, mount ---- */

/** Includes daos_init(); counted. Needed by dfs_connect(). */
int dfs_init(void);
int dfs_fini(void);

/**
 * Connect, open and mount in one call; handles are shared between mounts.
 *
 * \param flags	O_RDONLY or O_RDWR; O_CREAT creates the container if needed, with attr
 *
 * \return	0; EACCES without dfs_init(), ENOENT, EPERM, ...
 */
int dfs_connect(const char *pool, const char *sys, const char *cont, int flags, dfs_attr_t *attr,
		dfs_t **dfs);

/** Mount a snapshot, by epoch or name, read only. */
int dfs_connect_snap(const char *pool, const char *sys, const char *cont, int flags,
		     daos_epoch_t epoch, const char *name, dfs_t **dfs);
int dfs_disconnect(dfs_t *dfs);
int dfs_destroy(const char *pool, const char *sys, const char *cont, int force, daos_event_t *ev);

/** Create a POSIX container; with coh or dfs not NULL it is also opened or mounted. */
int dfs_cont_create(daos_handle_t poh, uuid_t *uuid, dfs_attr_t *attr, daos_handle_t *coh,
		    dfs_t **dfs);
int dfs_cont_create_with_label(daos_handle_t poh, const char *label, dfs_attr_t *attr, uuid_t *uuid,
			       daos_handle_t *coh, dfs_t **dfs);

/** Mount an open container. EINVAL if it is not of the POSIX layout. */
int dfs_mount(daos_handle_t poh, daos_handle_t coh, int flags, dfs_t **dfs);
int dfs_mount_snap(daos_handle_t poh, daos_handle_t coh, int flags, daos_epoch_t epoch,
		   const char *name, dfs_t **dfs);
int dfs_umount(dfs_t *dfs);

/** Borrow the mount's handles; they stay valid until put back. */
int dfs_pool_get(dfs_t *dfs, daos_handle_t *poh);
int dfs_pool_put(dfs_t *dfs, daos_handle_t poh);
int dfs_cont_get(dfs_t *dfs, daos_handle_t *coh);
int dfs_cont_put(dfs_t *dfs, daos_handle_t coh);
int dfs_query(dfs_t *dfs, dfs_attr_t *attr);

/** Pass a mount to other processes; with iov_buf NULL, iov_buf_len gets the size needed. */
int dfs_local2global(dfs_t *dfs, d_iov_t *glob);
int dfs_global2local(daos_handle_t poh, daos_handle_t coh, int flags, d_iov_t glob, dfs_t **dfs);

/** As above, with the pool and container handles in the same blob. */
int dfs_local2global_all(dfs_t *dfs, d_iov_t *glob);
int dfs_global2local_all(int flags, d_iov_t glob, dfs_t **dfs);

/** Paths given to dfs_lookup() start with this prefix, which is taken off. NULL: none. */
int dfs_set_prefix(dfs_t *dfs, const char *prefix);

/* ---- Objects: files, directories, symbolic links ---- */

int dfs_obj2id(dfs_obj_t *obj, daos_obj_id_t *oid);

/**
 * Open by absolute path. mode and stbuf, if not NULL, describe it. O_NOFOLLOW opens a symbolic link
 * itself. ENOENT, ENOTDIR, ELOOP.
 */
int dfs_lookup(dfs_t *dfs, const char *path, int flags, dfs_obj_t **obj, mode_t *mode,
	       struct stat *stbuf);
int dfs_lookup_rel(dfs_t *dfs, dfs_obj_t *parent, const char *name, int flags, dfs_obj_t **obj,
		   mode_t *mode, struct stat *stbuf);

/** Class for a hint such as "File:single" in this container. */
int dfs_suggest_oclass(dfs_t *dfs, const char *hint, daos_oclass_id_t *cid);

/**
 * Open, or with O_CREAT create.
 *
 * \param mode	type bits (S_IFREG, S_IFDIR, S_IFLNK) are required; permissions matter at creation
 * \param flags	O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC
 * \param cid, chunk_size	at creation, 0: inherited
 * \param value	target of a new symbolic link
 */
int dfs_open(dfs_t *dfs, dfs_obj_t *parent, const char *name, mode_t mode, int flags,
	     daos_oclass_id_t cid, daos_size_t chunk_size, const char *value, dfs_obj_t **obj);
int dfs_dup(dfs_t *dfs, dfs_obj_t *obj, int flags, dfs_obj_t **new_obj);
int dfs_obj_local2global(dfs_t *dfs, dfs_obj_t *obj, d_iov_t *glob);
int dfs_obj_global2local(dfs_t *dfs, int flags, d_iov_t glob, dfs_obj_t **obj);
int dfs_release(dfs_obj_t *obj);

/* ---- File data ---- */

/** Read from an offset; *read_size is short at the end of the file. Holes read as zeros. */
int dfs_read(dfs_t *dfs, dfs_obj_t *obj, d_sg_list_t *sgl, daos_off_t off, daos_size_t *read_size,
	     daos_event_t *ev);
int dfs_readx(dfs_t *dfs, dfs_obj_t *obj, dfs_iod_t *iod, d_sg_list_t *sgl, daos_size_t *read_size,
	      daos_event_t *ev);
int dfs_write(dfs_t *dfs, dfs_obj_t *obj, d_sg_list_t *sgl, daos_off_t off, daos_event_t *ev);
int dfs_writex(dfs_t *dfs, dfs_obj_t *obj, dfs_iod_t *iod, d_sg_list_t *sgl, daos_event_t *ev);
int dfs_get_size(dfs_t *dfs, dfs_obj_t *obj, daos_size_t *size);

/** Make a hole; with len DFS_MAX_FSIZE truncate, or extend, to offset. */
int dfs_punch(dfs_t *dfs, dfs_obj_t *obj, daos_off_t offset, daos_size_t len);

/* ---- Directories ---- */

/** Read entries; *nr: in room, out number. Done when daos_anchor_is_eof(). */
int dfs_readdir(dfs_t *dfs, dfs_obj_t *obj, daos_anchor_t *anchor, uint32_t *nr,
		struct dirent *dirs);
int dfs_readdirplus(dfs_t *dfs, dfs_obj_t *obj, daos_anchor_t *anchor, uint32_t *nr,
		    struct dirent *dirs, struct stat *stbufs);

/** Called for each name; non-zero ends the iteration. */
typedef int (*dfs_filler_cb_t)(dfs_t *dfs, dfs_obj_t *obj, const char name[], void *arg);

/** Call op for up to *nr names, using size bytes of memory at a time. */
int dfs_iterate(dfs_t *dfs, dfs_obj_t *obj, daos_anchor_t *anchor, uint32_t *nr, size_t size,
		dfs_filler_cb_t op, void *arg);

/** Continue a listing behind a name; divide one into parts for parallel listing. */
int dfs_dir_anchor_set(dfs_obj_t *obj, const char name[], daos_anchor_t *anchor);
int dfs_obj_anchor_split(dfs_obj_t *obj, uint32_t *nr, daos_anchor_t *anchors);
int dfs_obj_anchor_set(dfs_obj_t *obj, uint32_t index, daos_anchor_t *anchor);
int dfs_mkdir(dfs_t *dfs, dfs_obj_t *parent, const char *name, mode_t mode, daos_oclass_id_t cid);

/** Remove anything; ENOTEMPTY unless force, which removes the tree. oid (may be NULL): its id. */
int dfs_remove(dfs_t *dfs, dfs_obj_t *parent, const char *name, bool force, daos_obj_id_t *oid);

/** rename(); oid (may be NULL) gets the id of what was replaced. */
int dfs_move(dfs_t *dfs, dfs_obj_t *parent, const char *name, dfs_obj_t *new_parent,
	     const char *new_name, daos_obj_id_t *oid);
int dfs_exchange(dfs_t *dfs, dfs_obj_t *parent1, const char *name1, dfs_obj_t *parent2,
		 const char *name2);

/* ---- Attributes ---- */

int dfs_get_mode(dfs_obj_t *obj, mode_t *mode);
int dfs_obj_get_info(dfs_t *dfs, dfs_obj_t *obj, dfs_obj_info_t *info);

/** Defaults of a directory for what is created in it later. */
int dfs_obj_set_oclass(dfs_t *dfs, dfs_obj_t *obj, int flags, daos_oclass_id_t cid);
int dfs_obj_set_chunk_size(dfs_t *dfs, dfs_obj_t *obj, int flags, daos_size_t csize);

/** Array handle of an open file, valid as long as obj is. */
int dfs_get_file_oh(dfs_obj_t *obj, daos_handle_t *oh);
int dfs_get_chunk_size(dfs_obj_t *obj, daos_size_t *chunk_size);

/** Target of a link; *size: in room, out length with the NUL. buf NULL asks for the length. */
int dfs_get_symlink_value(dfs_obj_t *obj, char *buf, daos_size_t *size);

/** obj was moved: take parent from src_obj, and the name. */
int dfs_update_parent(dfs_obj_t *obj, dfs_obj_t *src_obj, const char *name);
int dfs_stat(dfs_t *dfs, dfs_obj_t *parent, const char *name, struct stat *stbuf);
int dfs_ostat(dfs_t *dfs, dfs_obj_t *obj, struct stat *stbuf);

#define DFS_SET_ATTR_MODE  (1 << 0)
#define DFS_SET_ATTR_ATIME (1 << 1)
#define DFS_SET_ATTR_MTIME (1 << 2)
#define DFS_SET_ATTR_SIZE  (1 << 3)
#define DFS_SET_ATTR_UID   (1 << 4)
#define DFS_SET_ATTR_GID   (1 << 5)

/** Set what flags name, and fill stbuf with the outcome. */
int dfs_osetattr(dfs_t *dfs, dfs_obj_t *obj, struct stat *stbuf, int flags);

/** Would the caller's uid and gid be allowed this (R_OK...)? EACCES. name NULL: parent itself. */
int dfs_access(dfs_t *dfs, dfs_obj_t *parent, const char *name, int mask);
int dfs_chmod(dfs_t *dfs, dfs_obj_t *parent, const char *name, mode_t mode);

/** -1 leaves an id alone; flags may be O_NOFOLLOW. */
int dfs_chown(dfs_t *dfs, dfs_obj_t *parent, const char *name, uid_t uid, gid_t gid, int flags);

/** Everything written is durable already; 0. */
int dfs_sync(dfs_t *dfs);

/** Extended attributes; flags XATTR_CREATE, XATTR_REPLACE. *size: in room, out length. */
int dfs_setxattr(dfs_t *dfs, dfs_obj_t *obj, const char *name, const void *value, daos_size_t size,
		 int flags);
int dfs_getxattr(dfs_t *dfs, dfs_obj_t *obj, const char *name, void *value, daos_size_t *size);
int dfs_removexattr(dfs_t *dfs, dfs_obj_t *obj, const char *name);
int dfs_listxattr(dfs_t *dfs, dfs_obj_t *obj, char *list, daos_size_t *size);

/* ---- Repair ---- */

/** What dfs_cont_check() does with objects that no directory refers to. */
enum {
	DFS_CHECK_PRINT = (1 << 0),
	DFS_CHECK_REMOVE = (1 << 1),
	DFS_CHECK_RELINK = (1 << 2),    /* into /lost+found/name */
	DFS_CHECK_VERIFY = (1 << 3),    /* compare replicas as well */
	DFS_CHECK_EVICT_ALL = (1 << 4), /* close everybody's handles first */
};

int dfs_cont_check(daos_handle_t poh, const char *cont, uint64_t flags, const char *name);

/** Change the owner of a container and of its root directory. */
int dfs_cont_set_owner(daos_handle_t coh, d_string_t user, uid_t uid, d_string_t group, gid_t gid);

/* ---- Listing with a filter that runs on the servers ---- */

typedef struct dfs_pipeline dfs_pipeline_t;

enum {
	DFS_FILTER_NAME = (1 << 1),         /* dp_name matches */
	DFS_FILTER_NEWER = (1 << 2),        /* modified after dp_newer */
	DFS_FILTER_INCLUDE_DIRS = (1 << 3), /* directories pass in any case */
};

typedef struct {
	char dp_name[DFS_MAX_NAME]; /* pattern with % and _ as in SQL's LIKE */
	time_t dp_newer;
	size_t dp_size;
} dfs_predicate_t;

int dfs_get_size_by_oid(dfs_t *dfs, daos_obj_id_t oid, daos_size_t chunk_size, daos_size_t *size);
int dfs_pipeline_create(dfs_t *dfs, dfs_predicate_t pred, uint64_t flags, dfs_pipeline_t **dpipe);
int dfs_pipeline_destroy(dfs_pipeline_t *dpipe);
int dfs_readdir_with_filter(dfs_t *dfs, dfs_obj_t *obj, dfs_pipeline_t *dpipe,
			    daos_anchor_t *anchor, uint32_t *nr, struct dirent *dirs,
			    daos_obj_id_t *oids, daos_size_t *csizes, uint64_t *nr_scanned);
int dfs_cont_scan(daos_handle_t poh, const char *cont, uint64_t flags, const char *name);

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* DAOS_FS_H */
