/*
 * libdfs inside: the mount, open objects, directory entries.
 *
 * Everything is built on the public object API. A directory is an object with one dkey per entry;
 * the entry's inode is the akey DFS_INODE, 88 bytes at fixed places (entry.c). File data is an
 * array object with cells of one byte.
 *
 * Concurrency: a mount (struct dfs) is shared by threads; what changes in it after mounting is
 * under its lock. An open object is used by one thread at a time for changes, by any number for
 * I/O.
 */
#ifndef DFS_INTERNAL_H
#define DFS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <daos.h>
#include <daos_fs.h>

enum {
	DFS_MAX_LINKS = 40, /* symbolic links followed in one lookup */
	DFS_INODE_BYTES = 88,
	DFS_STAT_BATCH = 32, /* entries of readdirplus in flight */
	DFS_EQ_MAX = 8,      /* idle queues kept */
};

/* An entry of a directory, as stored. */
struct dfs_entry {
	mode_t mode; /* with the type bits */
	daos_obj_id_t oid;
	struct timespec mtime, ctime;
	daos_size_t chunk_size;  /* files: own; directories: default for what is created inside, 0 =
				    container's */
	daos_oclass_id_t oclass; /* likewise */
	uid_t uid;
	gid_t gid;
	daos_size_t value_len; /* symbolic links: length of the target */
	uint64_t
	    obj_hlc; /* newest change of the object when mtime was set: later ones win over mtime */
};

/*
 * A directory and the way one came to it: the chain of names up to the root. It serves "..", which
 * stored directories do not have, and keeps a directory from being moved into itself. Shared by
 * what was opened below; never changed, so a rename elsewhere may leave a chain out of date: what
 * is looked up through it is compared with the object id that it had.
 */
struct dfs_node {
	_Atomic uint32_t refs;
	struct dfs_node *up; /* counted; NULL: the root, or not known */
	daos_obj_id_t oid;
	char name[];
};

struct dfs {
	daos_handle_t poh, coh;
	int amode; /* O_RDONLY or O_RDWR */
	dfs_attr_t attr;
	daos_obj_id_t super_oid, root_oid;
	daos_handle_t super_oh;
	struct dfs_obj *root;
	char *prefix;
	size_t prefix_len;
	pthread_mutex_t lock;          /* next_oid, prefix, eqs, borrowed */
	daos_obj_id_t next_oid;        /* lo 0: none reserved */
	daos_handle_t eqs[DFS_EQ_MAX]; /* idle queues for readdirplus */
	uint32_t eq_nr;
	uint32_t borrowed;           /* pool and container handles not put back */
	_Atomic uint64_t dir_gen;    /* directories and links moved or removed through this mount */
	struct dfs_connection *conn; /* of dfs_connect(), else NULL */
};

struct dfs_obj {
	dfs_t *dfs;
	mode_t mode;
	int flags;
	daos_obj_id_t oid, parent_oid;
	daos_handle_t oh; /* directories: object; files: array; links: none */
	char name[DFS_MAX_NAME + 1];
	/* of directories: defaults for what is created inside; atomic for the mount's root, which
	 * any thread may change */
	_Atomic daos_size_t chunk_size;
	_Atomic daos_oclass_id_t oclass;
	struct dfs_node *up;   /* the directory it is in; NULL: not known, or it is the root */
	struct dfs_node *node; /* directories: itself */
	char *value;           /* target of a symbolic link */
};

/* --- entry.c: entries in directories; oh is the directory's object. All return 0 or errno --- */
int entry_fetch(daos_handle_t oh, const char *name, struct dfs_entry *ret_e); /* ENOENT */
/* New entry; value: target of a link or NULL. EEXIST. */
int entry_insert(daos_handle_t oh, const char *name, const struct dfs_entry *e, const char *value);
/* Write the inode of an entry that must exist: ENOENT. */
int entry_update(daos_handle_t oh, const char *name, const struct dfs_entry *e);
int entry_remove(daos_handle_t oh, const char *name); /* ENOENT */
int entry_value(daos_handle_t oh, const char *name, const struct dfs_entry *e, char **ret_value);
/* Make dst_name of dst an exact copy of the entry (with link target and extended attributes),
 * replacing what is there, in one atomic update. exclusive: EEXIST if there is one. */
int entry_copy(daos_handle_t src, const char *src_name, const struct dfs_entry *e,
	       daos_handle_t dst, const char *dst_name, bool dst_exists);
void entry_encode(const struct dfs_entry *e, uint8_t buf[DFS_INODE_BYTES]);
int entry_decode(const uint8_t buf[DFS_INODE_BYTES],
		 struct dfs_entry *ret_e); /* EIO: not an inode */

/* --- shared helpers --- */
int name_check(const char *name, size_t *ret_len); /* EINVAL, ENAMETOOLONG */
struct dfs_obj *dir_or_root(dfs_t *dfs, dfs_obj_t *parent);
bool dfs_is_init(void);
int writable(const dfs_t *dfs); /* EPERM on read-only mounts */
int oid_new(dfs_t *dfs, bool dir, daos_oclass_id_t cid, daos_obj_id_t *ret_oid);
/* Class and chunk size of something new below parent. */
daos_oclass_id_t class_for_new(const dfs_t *dfs, const struct dfs_obj *parent, daos_oclass_id_t cid,
			       bool dir);
daos_size_t chunk_for_new(const dfs_t *dfs, const struct dfs_obj *parent, daos_size_t chunk);
void now(struct timespec *ts);
/* errno of opening an object: ENOTSUP for a class that is not available. */
int open_errno(int rc);
/* The object of a directory, and whether it is empty. */
int dir_open_oid(dfs_t *dfs, daos_obj_id_t oid, int flags, daos_handle_t *ret_oh);
int dir_is_empty(daos_handle_t oh, bool *ret_empty);
/* Open what an entry leads to. up may be NULL. value: taken (links). */
int obj_open_entry(dfs_t *dfs, const daos_obj_id_t *parent_oid, struct dfs_node *up,
		   const char *name, const struct dfs_entry *e, int flags, char *value,
		   dfs_obj_t **ret_obj);
struct dfs_node *dfs_node_new(struct dfs_node *up, daos_obj_id_t oid, const char *name);
struct dfs_node *dfs_node_get(struct dfs_node *node); /* NULL: NULL */
void dfs_node_put(struct dfs_node *node);
/* Is the directory oid among those that node is in, or node itself? */
bool dfs_node_is_below(const struct dfs_node *node, daos_obj_id_t oid);
bool same_oid(daos_obj_id_t a, daos_obj_id_t b);
/* Size (files) and newest change of the object behind an entry, through oh when valid, else it is
 * opened for the purpose. Zero for links. */
int entry_newest(dfs_t *dfs, const struct dfs_entry *e, daos_handle_t oh, daos_array_stbuf_t *ret);
/* stat of an entry; oh as above. */
int entry_stat(dfs_t *dfs, const struct dfs_entry *e, daos_handle_t oh, struct stat *ret_st);
void entry_to_stat(const dfs_t *dfs, const struct dfs_entry *e, const daos_array_stbuf_t *newest,
		   struct stat *ret_st);
/* An event queue of the mount; a queue with events in flight is destroyed instead of given back. */
int eq_take(dfs_t *dfs, daos_handle_t *ret_eq);
void eq_give(dfs_t *dfs, daos_handle_t eq, bool clean);
/* Exported by libdaos for libraries whose results are errno values: the event's error will be one.
 */
void daos_event_errno_rc(daos_event_t *ev);
/* As dfs_read() and dfs_write() with one buffer; read_size is NULL for writes. */
int io_buffer(dfs_t *dfs, dfs_obj_t *obj, void *buf, daos_size_t size, daos_off_t off,
	      daos_size_t *read_size, bool write, daos_event_t *ev);
/* Free everything that an object holds. */
int object_punch(dfs_t *dfs, daos_obj_id_t oid, mode_t mode);
/* Where an object's entry is: its directory's handle, to be closed with parent_put. */
int parent_get(dfs_t *dfs, const dfs_obj_t *obj, daos_handle_t *ret_oh);
void parent_put(dfs_t *dfs, const dfs_obj_t *obj, daos_handle_t oh);

/*
 * --- for dfuse ---
 * Remove a name now and its object later, so that files stay usable while they are open:
 * dfs_unlink_entry removes the entry (files and links only: EISDIR) and tells what it was;
 * dfs_punch_object frees the data when the last user is gone. dfs_move_keep is dfs_move that leaves
 * the object of a replaced file in place and tells its id (type bits in *ret_mode, 0 when nothing
 * was replaced). dfs_create_as creates a file, directory or link for somebody else and stats it in
 * the same step (opening what exists unless O_EXCL). dfs_readdir_entries is dfs_readdirplus that
 * also tells the entries; dfs_open_entry opens one of them without asking again.
 */
#pragma GCC visibility push(default)
struct dfs_owner {
	uid_t uid;
	gid_t gid;
};
int dfs_unlink_entry(dfs_t *dfs, dfs_obj_t *parent, const char *name, daos_obj_id_t *ret_oid,
		     mode_t *ret_mode);
int dfs_punch_object(dfs_t *dfs, daos_obj_id_t oid, mode_t mode);
int dfs_move_keep(dfs_t *dfs, dfs_obj_t *parent, const char *name, dfs_obj_t *new_parent,
		  const char *new_name, daos_obj_id_t *ret_oid, mode_t *ret_mode);
int dfs_create_as(dfs_t *dfs, dfs_obj_t *parent, const char *name, mode_t mode, int flags,
		  const char *value, const struct dfs_owner *owner, dfs_obj_t **obj,
		  struct stat *stbuf);
int dfs_readdir_entries(dfs_t *dfs, dfs_obj_t *obj, daos_anchor_t *anchor, uint32_t *nr,
			struct dirent *dirs, struct stat *stbufs, struct dfs_entry *entries);
int dfs_open_entry(dfs_t *dfs, dfs_obj_t *parent, const char *name, const struct dfs_entry *e,
		   int flags, dfs_obj_t **obj);
/* stat of name in parent, which is believed to be obj (an open file or directory): its entry and
 * its size are asked at the same time. *ret_same false: it is something else, and stbuf is not
 * filled. */
int dfs_stat_expected(dfs_t *dfs, dfs_obj_t *parent, const char *name, const dfs_obj_t *obj,
		      struct stat *stbuf, bool *ret_same);
/* The entry itself. */
int dfs_entry_get(dfs_t *dfs, dfs_obj_t *parent, const char *name, struct dfs_entry *ret_e);
/* Make bytes read as zeros; a file that ends before is extended. (dfs_punch cuts off instead.) */
int dfs_zero(dfs_t *dfs, dfs_obj_t *obj, daos_off_t offset, daos_size_t len);
/* The object was renamed: its entry is now name in parent. */
void dfs_set_place(dfs_obj_t *obj, const dfs_obj_t *parent, const char *name);
#pragma GCC visibility pop

#endif
