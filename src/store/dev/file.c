/*
 * Devices that are files of one directory.
 *
 * Data goes through the xstream's io_uring with direct I/O; where the file system refuses O_DIRECT,
 * or the kernel io_uring, the same calls go through the page cache or as plain system calls, with
 * the same promises.
 *
 * A file is made under a name ending in '~', sized, filled with zeros if asked for, synced, and
 * then renamed: a name without '~' is always a complete device. Names with '~' are leftovers of a
 * crash and are removed when the directory is opened. The directory itself is locked by flock(), so
 * that two engines never serve the same files.
 *
 * A directory opened for looking (dev_dir_open_files_ro) makes, changes and removes nothing: its
 * files are opened without the right to write, and its locks are shared, so several may look but
 * none while an engine has the files, and no engine starts while somebody looks.
 */
#define LOG_FACILITY "dev"
#include "store/dev/dev.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <daos_errno.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/uring.h"
#include "runtime/xs.h"
#include "store/dev/dev_internal.h"

enum {
	ZERO_CHUNK = 1 << 20,
	LOCK_TRIES = 2000,
	LOCK_PAUSE_NS = 5000000,
};

struct file_dev {
	struct dev dev;
	struct xs *xs;
	int fd;
	bool uring;
	bool no_discard; /* the file system cannot punch holes */
};

struct file_dir {
	struct dev_dir dir;
	int fd;
	bool read_only;
	bool unlocked; /* read_only: without any lock */
	char path[];
};

/* --- transfers ------------------------------------------------------------------------------- */

static struct file_dev *
to_file(struct dev *dev)
{
	return container_of(dev, struct file_dev, dev);
}

static int
io_failed(struct file_dev *fdev, const char *what, uint64_t off, int rc)
{
	if (rc == 0)
		return 0;
	log_err("%s: %s at %#llx failed: " ERR_F, fdev->dev.name, what, (unsigned long long)off,
		ERR_P(rc));
	return rc == -DER_NOSPACE || rc == -DER_NOMEM ? rc : -DER_IO;
}

/* The way without io_uring. The segments are transferred whole or it is an error. */
static int
plain_rw(struct file_dev *fdev, bool write, uint64_t off, const struct iovec *iov, int iov_nr,
	 int flags)
{
	int i;

	for (i = 0; i < iov_nr; i++) {
		uint8_t *p = iov[i].iov_base;
		size_t left = iov[i].iov_len;

		while (left > 0) {
			struct iovec one = {.iov_base = p, .iov_len = left};
			ssize_t n = write ? pwritev2(fdev->fd, &one, 1, off, flags)
					  : preadv2(fdev->fd, &one, 1, off, flags);

			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				return err_from_errno(errno);
			if (n == 0)
				return -DER_IO;
			p += n;
			left -= n;
			off += n;
		}
	}
	return 0;
}

static int co_fn
file_readv(struct dev *dev, uint64_t off, const struct iovec *iov, int iov_nr)
{
	struct file_dev *fdev = to_file(dev);
	int rc;

	if (fdev->uring)
		rc = uring_readv(fdev->xs, fdev->fd, iov, iov_nr, off, NULL);
	else
		rc = plain_rw(fdev, false, off, iov, iov_nr, 0);
	return io_failed(fdev, "read", off, rc);
}

static int co_fn
file_writev(struct dev *dev, uint64_t off, const struct iovec *iov, int iov_nr, uint32_t flags)
{
	struct file_dev *fdev = to_file(dev);
	int rwf = flags & DEV_WRITE_SYNC ? RWF_DSYNC : 0;
	int rc;

	if (fdev->uring)
		rc = uring_writev(fdev->xs, fdev->fd, iov, iov_nr, off, rwf, NULL);
	else
		rc = plain_rw(fdev, true, off, iov, iov_nr, rwf);
	return io_failed(fdev, "write", off, rc);
}

static int co_fn
file_sync(struct dev *dev)
{
	struct file_dev *fdev = to_file(dev);
	int rc;

	if (fdev->uring)
		rc = uring_fsync(fdev->xs, fdev->fd, false);
	else
		rc = fdatasync(fdev->fd) == 0 ? 0 : err_from_errno(errno);
	return io_failed(fdev, "sync", 0, rc);
}

static int co_fn
file_discard(struct dev *dev, uint64_t off, uint64_t len)
{
	struct file_dev *fdev = to_file(dev);
	int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	int rc;

	if (fdev->no_discard)
		return 0;
	if (fdev->uring)
		rc = uring_fallocate(fdev->xs, fdev->fd, mode, off, len);
	else
		rc = fallocate(fdev->fd, mode, off, len) == 0 ? 0 : err_from_errno(errno);
	if (rc == 0)
		return 0;
	log_info("%s: giving space back failed: " ERR_F ", not tried again", dev->name, ERR_P(rc));
	fdev->no_discard = true;
	return 0;
}

static void
file_close(struct dev *dev)
{
	struct file_dev *fdev = to_file(dev);

	close(fdev->fd);
	free(fdev);
}

static const struct dev_ops file_dev_ops = {
    .readv = file_readv,
    .writev = file_writev,
    .sync = file_sync,
    .discard = file_discard,
    .close = file_close,
};

/* --- opening --------------------------------------------------------------------------------- */

static struct file_dir *
to_dir(struct dev_dir *dir)
{
	return container_of(dir, struct file_dir, dir);
}

/* openat() with direct I/O, without it where the file system has none. */
static int
open_direct(int dir_fd, const char *name, int flags, int *ret_fd)
{
	int fd;

	fd = openat(dir_fd, name, flags | O_DIRECT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 && errno == EINVAL)
		fd = openat(dir_fd, name, (flags & ~O_EXCL) | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return errno == EEXIST ? -DER_EXIST : err_from_errno(errno);
	*ret_fd = fd;
	return 0;
}

/* Takes fd over, also on failure. */
static int
file_dev_new(struct xs *xs, int fd, const char *name, uint64_t size, struct file_dev **ret_fdev)
{
	struct file_dev *fdev = mem_new(struct file_dev);

	if (fdev == NULL) {
		close(fd);
		return -DER_NOMEM;
	}
	fdev->dev.ops = &file_dev_ops;
	fdev->dev.size_bytes = size;
	snprintf(fdev->dev.name, sizeof(fdev->dev.name), "%s", name);
	fdev->xs = xs;
	fdev->fd = fd;
	fdev->uring = uring_probe(xs) == 0;
	*ret_fdev = fdev;
	return 0;
}

/*
 * Lock the file itself: a write that a killed engine had under way keeps its file description, and
 * so this lock, until it has reached the disk. Only then may the successor read what is there.
 */
static int co_fn
lock_file(struct file_dev *fdev, int how)
{
	int tries;

	for (tries = 0; flock(fdev->fd, how | LOCK_NB) != 0; tries++) {
		if (errno != EWOULDBLOCK)
			return err_from_errno(errno);
		if (tries == LOCK_TRIES || co_self() == NULL)
			return -DER_BUSY;
		co_sleep_ns(LOCK_PAUSE_NS);
	}
	return 0;
}

static int co_fn
dir_open(struct dev_dir *dir, struct xs *xs, const char *name, bool read_only, struct dev **ret_dev)
{
	struct file_dir *fdir = to_dir(dir);
	struct file_dev *fdev;
	struct stat st;
	int fd = -1, rc;

	if (!dev_name_ok(name))
		return -DER_INVAL;
	if (fdir->read_only && !read_only)
		return -DER_NO_PERM;
	rc = open_direct(fdir->fd, name, read_only ? O_RDONLY : O_RDWR, &fd);
	if (rc != 0)
		return rc;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size % DEV_BLOCK != 0) {
		close(fd);
		return -DER_DF_INVAL;
	}
	rc = file_dev_new(xs, fd, name, st.st_size, &fdev);
	if (rc != 0)
		return rc;
	fdev->dev.thin = (uint64_t)st.st_blocks * 512 < fdev->dev.size_bytes;
	if (!read_only)
		rc = lock_file(fdev, LOCK_EX);
	else if (fdir->read_only && !fdir->unlocked)
		rc = lock_file(fdev, LOCK_SH);
	if (rc != 0)
		dev_close(&fdev->dev);
	else
		*ret_dev = &fdev->dev;
	return rc;
}

/* --- creation -------------------------------------------------------------------------------- */

static int co_fn
fill_zero(struct file_dev *fdev)
{
	uint64_t off, size = fdev->dev.size_bytes;
	uint8_t *buf = dev_buf_alloc(ZERO_CHUNK);
	int rc = 0;

	if (buf == NULL)
		return -DER_NOMEM;
	memset(buf, 0, ZERO_CHUNK);
	for (off = 0; rc == 0 && off < size; off += ZERO_CHUNK) {
		uint64_t len = size - off < ZERO_CHUNK ? size - off : ZERO_CHUNK;

		rc = dev_write(&fdev->dev, off, buf, len, 0);
	}
	dev_buf_free(buf, ZERO_CHUNK);
	return rc;
}

/* Reserve the space; a file system that cannot gets a sparse file. */
static int
set_size(int fd, uint64_t size)
{
	if (fallocate(fd, 0, 0, size) == 0)
		return 0;
	if (errno != EOPNOTSUPP)
		return err_from_errno(errno);
	return ftruncate(fd, size) == 0 ? 0 : err_from_errno(errno);
}

static int co_fn
create_tmp(struct file_dir *fdir, struct xs *xs, const char *name, const char *tmp, uint64_t size,
	   bool zeroed, struct file_dev **ret_fdev)
{
	struct file_dev *fdev;
	int fd = -1, rc;

	rc = open_direct(fdir->fd, tmp, O_RDWR | O_CREAT | O_EXCL, &fd);
	if (rc != 0)
		return rc == -DER_EXIST ? -DER_INPROGRESS : rc;
	rc = set_size(fd, size);
	if (rc != 0) {
		close(fd);
		return rc;
	}
	rc = file_dev_new(xs, fd, name, size, &fdev);
	if (rc != 0)
		return rc;
	rc = lock_file(fdev, LOCK_EX);
	if (rc == 0 && zeroed)
		rc = fill_zero(fdev);
	if (rc == 0 && fsync(fd) != 0)
		rc = err_from_errno(errno);
	if (rc != 0)
		dev_close(&fdev->dev);
	else
		*ret_fdev = fdev;
	return rc;
}

static int
sync_dir(struct file_dir *fdir)
{
	return fsync(fdir->fd) == 0 ? 0 : err_from_errno(errno);
}

static int co_fn
dir_create(struct dev_dir *dir, struct xs *xs, const char *name, uint64_t size, bool zeroed,
	   struct dev **ret_dev)
{
	struct file_dir *fdir = to_dir(dir);
	struct file_dev *fdev = NULL;
	char tmp[72];
	int rc;

	if (!dev_name_ok(name) || size == 0 || size % DEV_BLOCK != 0)
		return -DER_INVAL;
	if (fdir->read_only)
		return -DER_NO_PERM;
	if (faccessat(fdir->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return -DER_EXIST;
	snprintf(tmp, sizeof(tmp), "%s~", name);
	rc = create_tmp(fdir, xs, name, tmp, size, zeroed, &fdev);
	if (rc == -DER_INPROGRESS)
		return rc;
	if (rc == 0 && renameat2(fdir->fd, tmp, fdir->fd, name, RENAME_NOREPLACE) != 0)
		rc = errno == EEXIST ? -DER_EXIST : err_from_errno(errno);
	if (rc != 0)
		unlinkat(fdir->fd, tmp, 0);
	else
		rc = sync_dir(fdir);
	if (rc != 0)
		dev_close(fdev == NULL ? NULL : &fdev->dev);
	else
		*ret_dev = &fdev->dev;
	return rc;
}

/* --- the directory --------------------------------------------------------------------------- */

static int co_fn
dir_unlink(struct dev_dir *dir, const char *name)
{
	struct file_dir *fdir = to_dir(dir);

	if (!dev_name_ok(name))
		return -DER_INVAL;
	if (fdir->read_only)
		return -DER_NO_PERM;
	if (unlinkat(fdir->fd, name, 0) != 0)
		return err_from_errno(errno);
	return sync_dir(fdir);
}

static int co_fn
dir_rename(struct dev_dir *dir, const char *from, const char *to)
{
	struct file_dir *fdir = to_dir(dir);

	if (!dev_name_ok(from) || !dev_name_ok(to))
		return -DER_INVAL;
	if (fdir->read_only)
		return -DER_NO_PERM;
	if (renameat(fdir->fd, from, fdir->fd, to) != 0)
		return err_from_errno(errno);
	return sync_dir(fdir);
}

static int
not_hidden(const struct dirent *de)
{
	return dev_name_ok(de->d_name);
}

static int
leftover(const struct dirent *de)
{
	size_t len = strlen(de->d_name);

	return len > 0 && de->d_name[len - 1] == '~';
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int co_fn
dir_list(struct dev_dir *dir, int (*fn)(const char *name, uint64_t size, void *arg), void *arg)
{
	struct file_dir *fdir = to_dir(dir);
	struct dirent **names;
	int i, nr, rc = 0;

	nr = scandirat(fdir->fd, ".", &names, not_hidden, by_name);
	if (nr < 0)
		return err_from_errno(errno);
	for (i = 0; i < nr; i++) {
		struct stat st;

		if (rc == 0 && fstatat(fdir->fd, names[i]->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			rc = fn(names[i]->d_name, st.st_size, arg);
		free(names[i]);
	}
	free(names);
	return rc;
}

static int
dir_space(struct dev_dir *dir, uint64_t *ret_free, uint64_t *ret_total)
{
	struct statvfs st;

	if (fstatvfs(to_dir(dir)->fd, &st) != 0)
		return err_from_errno(errno);
	*ret_free = (uint64_t)st.f_bavail * st.f_frsize;
	*ret_total = (uint64_t)st.f_blocks * st.f_frsize;
	return 0;
}

static void
dir_close(struct dev_dir *dir)
{
	struct file_dir *fdir = to_dir(dir);

	close(fdir->fd);
	free(fdir);
}

static const struct dev_dir_ops file_dir_ops = {
    .create = dir_create,
    .open = dir_open,
    .unlink = dir_unlink,
    .rename = dir_rename,
    .list = dir_list,
    .space = dir_space,
    .close = dir_close,
};

static void
remove_leftovers(struct file_dir *fdir)
{
	struct dirent **names;
	int i, nr;

	nr = scandirat(fdir->fd, ".", &names, leftover, NULL);
	for (i = 0; i < nr; i++) {
		if (unlinkat(fdir->fd, names[i]->d_name, 0) == 0)
			log_note("%s: removed unfinished %s", fdir->path, names[i]->d_name);
		free(names[i]);
	}
	if (nr >= 0)
		free(names);
}

/* The directory itself, locked as asked (0: not at all). */
static int
open_path(const char *path, int lock, struct file_dir **ret_fdir)
{
	CLEANUP(freep)
	struct file_dir *fdir = mem_calloc(1, sizeof(*fdir) + strlen(path) + 1);
	int rc;

	if (fdir == NULL)
		return -DER_NOMEM;
	fdir->dir.ops = &file_dir_ops;
	strcpy(fdir->path, path);
	fdir->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fdir->fd < 0)
		return err_from_errno(errno);
	if (lock != 0 && flock(fdir->fd, lock | LOCK_NB) != 0) {
		rc = errno == EWOULDBLOCK ? -DER_BUSY : err_from_errno(errno);
		close(fdir->fd);
		return rc;
	}
	*ret_fdir = steal_ptr(fdir);
	return 0;
}

int
dev_dir_open_files(const char *path, struct dev_dir **ret_dir)
{
	struct file_dir *fdir = NULL;
	int rc;

	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return err_from_errno(errno);
	rc = open_path(path, LOCK_EX, &fdir);
	if (rc != 0)
		return rc;
	remove_leftovers(fdir);
	*ret_dir = &fdir->dir;
	return 0;
}

int
dev_dir_open_files_ro(const char *path, bool unlocked, struct dev_dir **ret_dir)
{
	struct file_dir *fdir = NULL;
	int rc;

	rc = open_path(path, unlocked ? 0 : LOCK_SH, &fdir);
	if (rc != 0)
		return rc;
	fdir->read_only = true;
	fdir->unlocked = unlocked;
	*ret_dir = &fdir->dir;
	return 0;
}
