/*
 * An empty FUSE server: nullfs MOUNTPOINT. The most that any file system behind FUSE can reach.
 *
 * It stores nothing. Names that begin with d are directories and those that begin with f are files
 * of 1 GiB, in every directory, always; any other name does not exist and can be made any number
 * of times. Reads give zeros, writes are dropped, unlink succeeds. As in a coherent distributed
 * file system the kernel keeps no attributes and no data: every call reaches the server. One thread
 * serves, which is the best case on a small machine (nobody has to be woken on another core).
 */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fuse_lowlevel.h>

#define FILE_BYTES (1ull << 30)

/* A node's id comes from its name and its parent; one bit of it says what it is. */
#define INO_FILE (1ull << 62)
#define INO_DIR  (1ull << 61)

static char zeros[1 << 20];

static fuse_ino_t
ino_of(fuse_ino_t parent, const char *name, uint64_t type)
{
	uint64_t h = 14695981039346656037ull ^ parent;

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * 1099511628211ull;
	return (h & (INO_DIR - 1)) | type;
}

static void
fill_attr(fuse_ino_t ino, struct stat *st)
{
	bool file = (ino & INO_FILE) != 0;

	memset(st, 0, sizeof(*st));
	st->st_ino = ino;
	st->st_mode = file ? S_IFREG | 0644 : S_IFDIR | 0755;
	st->st_nlink = file ? 1 : 2;
	st->st_size = file ? (off_t)FILE_BYTES : 0;
}

static void
fill_entry(fuse_ino_t ino, struct fuse_entry_param *e)
{
	memset(e, 0, sizeof(*e));
	e->ino = ino;
	fill_attr(ino, &e->attr);
}

static void
null_init(void *userdata, struct fuse_conn_info *conn)
{
	conn->max_write = sizeof(zeros);
	conn->max_read = sizeof(zeros);
	conn->max_readahead = 0;
	conn->want &=
	    ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
}

static void
null_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e;

	if (name[0] != 'd' && name[0] != 'f') {
		fuse_reply_err(req, ENOENT);
		return;
	}
	fill_entry(ino_of(parent, name, name[0] == 'd' ? INO_DIR : INO_FILE), &e);
	fuse_reply_entry(req, &e);
}

static void
null_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	fuse_reply_none(req);
}

static void
null_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	fill_attr(ino, &st);
	fuse_reply_attr(req, &st, 0);
}

static void
null_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
	     struct fuse_file_info *fi)
{
	null_getattr(req, ino, fi);
}

static void
null_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct fuse_entry_param e;

	fill_entry(ino_of(parent, name, INO_DIR), &e);
	fuse_reply_entry(req, &e);
}

static void
null_remove(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	fuse_reply_err(req, 0);
}

static void
null_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fi->direct_io = 1;
	fuse_reply_open(req, fi);
}

static void
null_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	    struct fuse_file_info *fi)
{
	struct fuse_entry_param e;

	fill_entry(ino_of(parent, name, INO_FILE), &e);
	fi->direct_io = 1;
	fuse_reply_create(req, &e, fi);
}

static void
null_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	if ((uint64_t)off >= FILE_BYTES)
		size = 0;
	fuse_reply_buf(req, zeros, size < sizeof(zeros) ? size : sizeof(zeros));
}

static void
null_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
	   struct fuse_file_info *fi)
{
	fuse_reply_write(req, size);
}

static void
null_done(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, 0);
}

static void
null_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	fuse_reply_err(req, 0);
}

static const struct fuse_lowlevel_ops null_ops = {
    .init = null_init,
    .lookup = null_lookup,
    .forget = null_forget,
    .getattr = null_getattr,
    .setattr = null_setattr,
    .mkdir = null_mkdir,
    .rmdir = null_remove,
    .unlink = null_remove,
    .open = null_open,
    .create = null_create,
    .read = null_read,
    .write = null_write,
    .flush = null_done,
    .release = null_done,
    .fsync = null_fsync,
};

int
main(int argc, char **argv)
{
	char *fuse_argv[] = {argv[0], "-o", "fsname=nullfs,default_permissions,max_read=1048576",
			     NULL};
	struct fuse_args args = FUSE_ARGS_INIT(3, fuse_argv);
	struct fuse_session *se;
	int rc = 1;

	if (argc != 2) {
		fprintf(stderr, "usage: nullfs MOUNTPOINT\n");
		return 2;
	}
	se = fuse_session_new(&args, &null_ops, sizeof(null_ops), NULL);
	if (se == NULL)
		return 1;
	if (fuse_set_signal_handlers(se) == 0) {
		if (fuse_session_mount(se, argv[1]) == 0) {
			rc = fuse_session_loop(se) < 0;
			fuse_session_unmount(se);
		}
		fuse_remove_signal_handlers(se);
	}
	fuse_session_destroy(se);
	return rc;
}
