/*
 * dfuse: a POSIX container as a mounted file system, on libfuse's low-level API and libdfs.
 *
 * A node stands for a file, directory or link the kernel knows; its address is the kernel's node
 * id. It holds the open libdfs object, through which everything is done. Nodes are found by object
 * id (links, which have none: by place), so that the kernel sees one inode per object.
 *
 * Requests are served by a few threads, each a client of its own (libdaos gives a thread its own
 * context); a request runs to its end on one thread.
 */
#ifndef POSIX_FUSE_DFUSE_H
#define POSIX_FUSE_DFUSE_H

#define FUSE_USE_VERSION 312

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <fuse3/fuse_lowlevel.h>

#include <daos.h>
#include <daos_fs.h>
#include <daos_uns.h>

#include "client/dfs/dfs_internal.h"

enum {
	DFUSE_THREADS_DEFAULT = 8,
	DFUSE_MAX_IO = 1 << 20, /* bytes of one read or write request */
	NODE_BUCKETS = 1 << 16,
	READDIR_BATCH = 128,
	TOLD_US = 1000, /* how long attributes told by a lookup answer the next question for them */
};

/* How long the kernel may believe what it was told, in seconds. */
struct dfuse_cache {
	double attr, dentry, dentry_dir, negative;
	double data; /* 0: data is not cached; reads and writes go straight through */
};

struct dfuse_conf {
	char *mountpoint;
	char *pool, *cont, *sys;
	uint32_t thread_nr;
	bool foreground, read_only, multi_user;
	bool disable_caching, wb_cache, local_flock;
};

/* A node. Guarded by the table's lock: links, refs, unlinked, open_nr, place; by its own lock:
 * attributes. */
struct node {
	struct node *next;  /* in its bucket */
	struct node *pnext; /* in the bucket of its place */
	daos_obj_id_t oid;
	mode_t mode;
	uint64_t refs;    /* lookups the kernel has not forgotten */
	uint32_t open_nr; /* open file handles */
	bool unlinked;    /* its name is gone; the object goes with the last open handle */
	bool punched;
	dfs_obj_t *obj;
	pthread_mutex_t lock;
	struct stat st; /* what was last known; the truth for unlinked files */
	/* Who was told st by a lookup, and when that began; 0: nobody. */
	pid_t told_pid;
	uint64_t told_ns;
	uint64_t change_nr; /* changes made through this mount */
	uint64_t data_ns;   /* when the kernel's cached data was last known to be good; 0: never */
	struct timespec data_mtime;
	off_t data_size;
};

struct dfuse {
	struct dfuse_conf conf;
	struct dfuse_cache cache;
	daos_handle_t poh, coh;
	dfs_t *dfs;
	struct fuse_session *session;
	uid_t uid;
	pthread_mutex_t lock;  /* the table */
	struct node **buckets; /* by object */
	struct node **places;  /* by directory and name: what a lookup probably finds */
	struct node *root;
	char uns_attr[DUNS_MAX_XATTR_LEN + 1]; /* value of user.daos on the root */
	pthread_mutex_t space_lock;
	daos_pool_info_t space; /* of statfs, for a second */
	uint64_t space_ns;
	int ready_fd; /* told once when the kernel has said hello; -1 = nobody waits */
};

/* --- node.c --- */
static inline struct node *
node_of(struct dfuse *d, fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? d->root : (struct node *)ino;
}
int node_table_init(struct dfuse *d);
void node_table_fini(struct dfuse *d);
/* The node of an object, with one more reference; obj is taken: kept by a new node, released
 * otherwise. */
int node_get(struct dfuse *d, dfs_obj_t *obj, const struct stat *st, struct node **ret_node);
/* The known node of an id, with one more reference, or NULL. */
struct node *node_find(struct dfuse *d, daos_obj_id_t oid, const struct stat *st);
/* The file or directory that was last known by this name, with one more reference, or NULL. Only
 * a guess. */
struct node *node_expect(struct dfuse *d, const struct node *parent, const char *name);
void node_forget(struct dfuse *d, struct node *n, uint64_t nr);
int node_open(struct dfuse *d, struct node *n); /* count a handle; ENOENT when the object is gone */
void node_release(struct dfuse *d,
		  struct node *n); /* the last handle of an unlinked file frees the object */
/* The name of an object was removed: punch it now, or when it is no longer open. */
int node_unlinked(struct dfuse *d, daos_obj_id_t oid, mode_t mode);
/* n (may be NULL: unknown here) is now name in parent. */
void node_moved(struct dfuse *d, daos_obj_id_t oid, const struct node *parent, const char *name);
void node_stat_set(struct node *n, const struct stat *st);
void node_stat_get(struct node *n, struct stat *st);
/*
 * The kernel asks for the attributes right after a lookup if it may not keep those that came with
 * it: one system call of a program, two requests. node_tell() keeps what a lookup found, to whom it
 * was told and when the lookup began; node_told() gives it to the same thread once, a moment later.
 * It is void after a change through this mount: node_changed(), before that is acknowledged; nr is
 * node_change_nr() before the lookup asked.
 */
void node_tell(struct node *n, const struct stat *st, pid_t pid, uint64_t began_ns, uint64_t nr);
bool node_told(struct node *n, pid_t pid, struct stat *st);
void node_changed(struct node *n);
uint64_t node_change_nr(struct node *n);
/* Inode number shown to programs. */
ino_t node_ino(const struct node *n);

/* --- ops_*.c: the operations --- */
extern const struct fuse_lowlevel_ops dfuse_ops;
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi);
void op_readlink(fuse_req_t req, fuse_ino_t ino);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
	       const char *newname, unsigned int flags);
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi);
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in, off_t off,
		  struct fuse_file_info *fi);
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
		  struct fuse_file_info *fi);
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi);
void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_statfs(fuse_req_t req, fuse_ino_t ino);
void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
		 int flags);
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);

/* Answer a lookup-like request with the node, whose reference goes to the kernel. */
void entry_fill(struct dfuse *d, struct node *n, const struct stat *st, struct fuse_entry_param *e);
uint64_t dfuse_now_ns(void);

/* --- mount.c --- */
/* Connect, mount, serve until unmounted. err: one line when it fails. ready_fd as in struct dfuse.
 */
int dfuse_run(const struct dfuse_conf *conf, int ready_fd, char *err, size_t err_len);

#endif
