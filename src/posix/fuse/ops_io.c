/* File data. Everything written is durable when the request is answered, so flush and fsync have
 * nothing to do. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#include "posix/fuse/dfuse.h"

/* A buffer per thread: requests are large, and allocating a megabyte each time costs page faults.
 */
static _Thread_local char *thread_buf;
static pthread_key_t thread_key;
static pthread_once_t thread_once = PTHREAD_ONCE_INIT;

static void
thread_key_make(void)
{
	pthread_key_create(&thread_key, free);
}

static char *
io_buf(void)
{
	if (thread_buf == NULL && posix_memalign((void **)&thread_buf, 4096, DFUSE_MAX_IO) == 0) {
		pthread_once(&thread_once, thread_key_make);
		pthread_setspecific(thread_key, thread_buf);
	}
	return thread_buf;
}

/*
 * May the kernel keep the file's pages? Yes if they were good a short while ago and the file has
 * not changed since: size and time of the last change are the same. (Pages the kernel holds
 * although nobody has the file open are only found by a later open, so it is here that the question
 * arises.)
 */
static bool
data_still_good(struct dfuse *d, struct node *n)
{
	struct stat st;
	bool good = false;

	if (dfs_ostat(d->dfs, n->obj, &st) != 0)
		return false;
	pthread_mutex_lock(&n->lock);
	good = n->data_ns != 0 && (dfuse_now_ns() - n->data_ns) / 1e9 < d->cache.data &&
	       n->data_mtime.tv_sec == st.st_mtim.tv_sec &&
	       n->data_mtime.tv_nsec == st.st_mtim.tv_nsec && n->data_size == st.st_size;
	n->data_ns = dfuse_now_ns();
	n->data_mtime = st.st_mtim;
	n->data_size = st.st_size;
	n->st = st;
	pthread_mutex_unlock(&n->lock);
	return good;
}

void
op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct dfuse *d = fuse_req_userdata(req);
	struct node *n = node_of(d, ino);
	int rc;

	if (S_ISDIR(n->mode)) {
		fuse_reply_err(req, EISDIR);
		return;
	}
	if (d->conf.read_only && (fi->flags & O_ACCMODE) != O_RDONLY) {
		fuse_reply_err(req, EROFS);
		return;
	}
	rc = node_open(d, n);
	if (rc == 0 && (fi->flags & O_TRUNC) != 0) {
		rc = dfs_punch(d->dfs, n->obj, 0, DFS_MAX_FSIZE);
		if (rc != 0)
			node_release(d, n);
	}
	node_changed(n); /* also who opens it in order to look asks anew */
	if (rc != 0) {
		fuse_reply_err(req, rc);
		return;
	}
	fi->direct_io = d->cache.data == 0;
	fi->keep_cache = !fi->direct_io && (fi->flags & O_TRUNC) == 0 && data_still_good(d, n);
	fi->fh = (uint64_t)(uintptr_t)n;
	if (fuse_reply_open(req, fi) == -ENOENT)
		node_release(d, n);
}

void
op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct dfuse *d = fuse_req_userdata(req);

	node_release(d, (struct node *)(uintptr_t)fi->fh);
	fuse_reply_err(req, 0);
}

void
op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct dfuse *d = fuse_req_userdata(req);
	struct node *n = node_of(d, ino);
	char *buf = io_buf();
	daos_size_t got = 0;
	d_iov_t iov;
	d_sg_list_t sgl = {.sg_nr = 1, .sg_iovs = &iov};
	int rc;

	if (buf == NULL || size > DFUSE_MAX_IO) {
		fuse_reply_err(req, buf == NULL ? ENOMEM : EINVAL);
		return;
	}
	d_iov_set(&iov, buf, size);
	rc = dfs_read(d->dfs, n->obj, &sgl, off, &got, NULL);
	if (rc != 0)
		fuse_reply_err(req, rc);
	else
		fuse_reply_buf(req, buf, got);
}

/* Writing takes away the right to run as the owner. */
static int
drop_suid(struct dfuse *d, struct node *n)
{
	struct stat st = {.st_mode = n->mode & ~(mode_t)(S_ISUID | S_ISGID)};
	int rc;

	if (n->unlinked)
		return 0;
	rc = dfs_osetattr(d->dfs, n->obj, &st, DFS_SET_ATTR_MODE);
	if (rc == 0)
		n->mode = st.st_mode;
	return rc;
}

void
op_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in, off_t off,
	     struct fuse_file_info *fi)
{
	struct dfuse *d = fuse_req_userdata(req);
	struct node *n = node_of(d, ino);
	size_t size = fuse_buf_size(in);
	struct fuse_bufvec flat = FUSE_BUFVEC_INIT(size);
	d_iov_t iov;
	d_sg_list_t sgl = {.sg_nr = 1, .sg_iovs = &iov};
	void *data;
	int rc = 0;

	if (in->count == 1 && (in->buf[0].flags & FUSE_BUF_IS_FD) == 0) {
		data = (char *)in->buf[0].mem + in->off;
	} else {
		data = io_buf();
		flat.buf[0].mem = data;
		if (data == NULL || size > DFUSE_MAX_IO ||
		    fuse_buf_copy(&flat, in, 0) != (ssize_t)size)
			rc = EIO;
	}
	if (rc == 0 &&
	    (n->mode & S_ISUID || (n->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP)))
		rc = drop_suid(d, n);
	if (rc == 0 && size > 0) {
		d_iov_set(&iov, data, size);
		rc = dfs_write(d->dfs, n->obj, &sgl, off, NULL);
		node_changed(n);
	}
	if (rc != 0)
		fuse_reply_err(req, rc);
	else
		fuse_reply_write(req, size);
}

/* Space is not reserved ahead (there is nothing to reserve it in); sizes and holes are what
 * programs see. */
void
op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
	     struct fuse_file_info *fi)
{
	struct dfuse *d = fuse_req_userdata(req);
	struct node *n = node_of(d, ino);
	daos_size_t size = 0;
	off_t end = offset + length;
	int rc;

	if (offset < 0 || length <= 0 || end < offset) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	rc = dfs_get_size(d->dfs, n->obj, &size);
	if (rc == 0 && (mode & ~FALLOC_FL_KEEP_SIZE) == 0) {
		if (mode == 0 && (daos_size_t)end > size)
			rc = dfs_punch(d->dfs, n->obj, end, DFS_MAX_FSIZE);
	} else if (rc == 0 && (mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) ||
			       (mode & ~FALLOC_FL_KEEP_SIZE) == FALLOC_FL_ZERO_RANGE)) {
		bool keep = (mode & FALLOC_FL_KEEP_SIZE) != 0;

		if (keep && (daos_size_t)end > size)
			end = size;
		if (end > offset)
			rc = dfs_zero(d->dfs, n->obj, offset, end - offset);
	} else if (rc == 0) {
		rc = ENOTSUP;
	}
	node_changed(n);
	fuse_reply_err(req, rc);
}
