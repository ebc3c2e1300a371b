/*
 * What all kinds of devices share: range checks, splitting of long segment lists, buffers.
 *
 * An offset may come from a damaged structure, so a range outside the device is an error, not a
 * bug; a buffer or length that is not a whole block is one.
 */
#define LOG_FACILITY "dev"
#include "store/dev/dev.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/dev/dev_internal.h"

static int
check_range(const struct dev *dev, uint64_t off, uint64_t len, const char *what)
{
	assert(off % DEV_BLOCK == 0 && len % DEV_BLOCK == 0);
	if (off > dev->size_bytes || len > dev->size_bytes - off) {
		log_err("%s: %s of %#llx+%#llx is outside the device of %#llx bytes", dev->name,
			what, (unsigned long long)off, (unsigned long long)len,
			(unsigned long long)dev->size_bytes);
		return -DER_IO;
	}
	return 0;
}

static uint64_t
iov_bytes(const struct iovec *iov, int iov_nr)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < iov_nr; i++) {
		assert(iov[i].iov_len % DEV_BLOCK == 0);
		assert((uintptr_t)iov[i].iov_base % DEV_BLOCK == 0);
		sum += iov[i].iov_len;
	}
	return sum;
}

int co_fn
dev_readv(struct dev *dev, uint64_t off, const struct iovec *iov, int iov_nr)
{
	int rc;

	rc = check_range(dev, off, iov_bytes(iov, iov_nr), "read");
	while (rc == 0 && iov_nr > 0) {
		int nr = iov_nr < DEV_IOV_MAX ? iov_nr : DEV_IOV_MAX;

		rc = dev->ops->readv(dev, off, iov, nr);
		off += iov_bytes(iov, nr);
		iov += nr;
		iov_nr -= nr;
	}
	return rc;
}

int co_fn
dev_writev(struct dev *dev, uint64_t off, const struct iovec *iov, int iov_nr, uint32_t flags)
{
	int rc;

	rc = check_range(dev, off, iov_bytes(iov, iov_nr), "write");
	while (rc == 0 && iov_nr > 0) {
		int nr = iov_nr < DEV_IOV_MAX ? iov_nr : DEV_IOV_MAX;

		rc = dev->ops->writev(dev, off, iov, nr, flags);
		off += iov_bytes(iov, nr);
		iov += nr;
		iov_nr -= nr;
	}
	return rc;
}

int co_fn
dev_read(struct dev *dev, uint64_t off, void *buf, size_t len)
{
	struct iovec iov = {.iov_base = buf, .iov_len = len};

	return dev_readv(dev, off, &iov, 1);
}

int co_fn
dev_write(struct dev *dev, uint64_t off, const void *buf, size_t len, uint32_t flags)
{
	struct iovec iov = {.iov_base = (void *)buf, .iov_len = len};

	return dev_writev(dev, off, &iov, 1, flags);
}

int co_fn
dev_sync(struct dev *dev)
{
	return dev->ops->sync(dev);
}

int co_fn
dev_discard(struct dev *dev, uint64_t off, uint64_t len)
{
	int rc;

	rc = check_range(dev, off, len, "discard");
	return rc != 0 || len == 0 ? rc : dev->ops->discard(dev, off, len);
}

void
dev_close(struct dev *dev)
{
	if (dev != NULL)
		dev->ops->close(dev);
}

void
dev_closep(struct dev **dev)
{
	dev_close(*dev);
	*dev = NULL;
}

void
dev_dir_close(struct dev_dir *dir)
{
	if (dir != NULL)
		dir->ops->close(dir);
}

void *
dev_buf_alloc(size_t len)
{
	return mem_aligned(DEV_BLOCK, len);
}

void
dev_buf_free(void *buf, size_t len)
{
	free(buf);
}

bool
dev_name_ok(const char *name)
{
	size_t len =
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return len >= 1 && len <= 60 && name[len] == '\0' && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0;
}
