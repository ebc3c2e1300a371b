/*
 * Copy on write over a directory of devices: the lower devices are opened read-only, and every
 * block written is kept in memory. So recovery, reclamation or anything else can run over files
 * that must not change, by code that knows nothing of it.
 *
 * The names are taken over once, when the overlay is made. Each has a table of the blocks that were
 * written here (two levels: a pointer per 2 MiB of device, then one per block); a read takes the
 * lower device's bytes and then lays those blocks over them. A device that was created here has no
 * lower one and reads as zeros. Everything lives in the directory, not in the open device, so it is
 * still there when the device is opened again.
 */
#define LOG_FACILITY "dev"
#include "store/dev/dev.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/list.h"
#include "base/mem.h"
#include "store/dev/dev_internal.h"

enum { GROUP_BLKS = 512 };

struct ov_file {
	struct list link; /* by name */
	char name[64];
	char lower[64]; /* name below; empty: made here */
	uint64_t size_bytes;
	uint8_t ***groups; /* [block / GROUP_BLKS][block % GROUP_BLKS], NULL = as below */
	uint32_t open_nr;
};

struct ov_dir {
	struct dev_dir dir;
	struct dev_dir *lower;
	struct list files;
	uint64_t bytes;
};

struct ov_dev {
	struct dev dev;
	struct ov_dir *dir;
	struct ov_file *file;
	struct dev *lower; /* NULL: zeros */
	bool read_only;
};

static struct ov_dev *
to_dev(struct dev *dev)
{
	return container_of(dev, struct ov_dev, dev);
}

static struct ov_dir *
to_dir(struct dev_dir *dir)
{
	return container_of(dir, struct ov_dir, dir);
}

/* --- blocks ---------------------------------------------------------------------------------- */

static uint64_t
group_nr(const struct ov_file *file)
{
	return (file->size_bytes / DEV_BLOCK + GROUP_BLKS - 1) / GROUP_BLKS;
}

static uint8_t *
block_find(const struct ov_file *file, uint64_t blk)
{
	uint8_t **group = file->groups[blk / GROUP_BLKS];

	return group == NULL ? NULL : group[blk % GROUP_BLKS];
}

/* The block's own memory, made when there is none; its content is then the caller's to fill. */
static uint8_t *
block_get(struct ov_dir *dir, struct ov_file *file, uint64_t blk)
{
	uint8_t ***group = &file->groups[blk / GROUP_BLKS];
	uint8_t **block;

	if (*group == NULL)
		*group = mem_calloc(GROUP_BLKS, sizeof(**group));
	if (*group == NULL)
		return NULL;
	block = &(*group)[blk % GROUP_BLKS];
	if (*block == NULL) {
		*block = mem_alloc(DEV_BLOCK);
		if (*block != NULL)
			dir->bytes += DEV_BLOCK;
	}
	return *block;
}

static int co_fn
ov_readv(struct dev *dev, uint64_t off, const struct iovec *iov, int iov_nr)
{
	struct ov_dev *od = to_dev(dev);
	uint64_t blk = off / DEV_BLOCK;
	size_t at;
	int i, rc;

	rc = od->lower != NULL ? dev_readv(od->lower, off, iov, iov_nr) : 0;
	if (rc != 0)
		return rc;
	for (i = 0; i < iov_nr; i++) {
		for (at = 0; at < iov[i].iov_len; at += DEV_BLOCK, blk++) {
			const uint8_t *block = block_find(od->file, blk);
			uint8_t *dst = (uint8_t *)iov[i].iov_base + at;

			if (block != NULL)
				memcpy(dst, block, DEV_BLOCK);
			else if (od->lower == NULL)
				memset(dst, 0, DEV_BLOCK);
		}
	}
	return 0;
}

static int co_fn
ov_writev(struct dev *dev, uint64_t off, const struct iovec *iov, int iov_nr, uint32_t flags)
{
	struct ov_dev *od = to_dev(dev);
	uint64_t blk = off / DEV_BLOCK;
	size_t at;
	int i;

	if (od->read_only)
		return -DER_NO_PERM;
	for (i = 0; i < iov_nr; i++) {
		for (at = 0; at < iov[i].iov_len; at += DEV_BLOCK, blk++) {
			uint8_t *block = block_get(od->dir, od->file, blk);

			if (block == NULL)
				return -DER_NOMEM;
			memcpy(block, (const uint8_t *)iov[i].iov_base + at, DEV_BLOCK);
		}
	}
	return 0;
}

static int co_fn
ov_sync(struct dev *dev)
{
	return 0;
}

static int co_fn
ov_discard(struct dev *dev, uint64_t off, uint64_t len)
{
	return to_dev(dev)->read_only ? -DER_NO_PERM : 0;
}

static void
ov_close(struct dev *dev)
{
	struct ov_dev *od = to_dev(dev);

	od->file->open_nr--;
	dev_close(od->lower);
	free(od);
}

static const struct dev_ops ov_dev_ops = {
    .readv = ov_readv,
    .writev = ov_writev,
    .sync = ov_sync,
    .discard = ov_discard,
    .close = ov_close,
};

/* --- files ----------------------------------------------------------------------------------- */

static struct ov_file *
file_find(const struct ov_dir *dir, const char *name)
{
	struct list *pos;

	list_for_each (pos, &dir->files) {
		struct ov_file *file = list_entry(pos, struct ov_file, link);

		if (strcmp(file->name, name) == 0)
			return file;
	}
	return NULL;
}

static void
file_free(struct ov_dir *dir, struct ov_file *file)
{
	uint64_t i, k;

	for (i = 0; i < group_nr(file); i++) {
		for (k = 0; file->groups[i] != NULL && k < GROUP_BLKS; k++) {
			if (file->groups[i][k] == NULL)
				continue;
			free(file->groups[i][k]);
			dir->bytes -= DEV_BLOCK;
		}
		free(file->groups[i]);
	}
	free(file->groups);
	list_del(&file->link);
	free(file);
}

static void
file_insert(struct ov_dir *dir, struct ov_file *file)
{
	struct list *pos;

	list_for_each (pos, &dir->files)
		if (strcmp(list_entry(pos, struct ov_file, link)->name, file->name) > 0)
			break;
	list_push_back(pos, &file->link);
}

static int
file_new(struct ov_dir *dir, const char *name, const char *lower, uint64_t size,
	 struct ov_file **ret_file)
{
	struct ov_file *file = mem_new(struct ov_file);

	if (file == NULL)
		return -DER_NOMEM;
	snprintf(file->name, sizeof(file->name), "%s", name);
	snprintf(file->lower, sizeof(file->lower), "%s", lower);
	file->size_bytes = size;
	file->groups = mem_calloc(group_nr(file) + 1, sizeof(*file->groups));
	if (file->groups == NULL) {
		free(file);
		return -DER_NOMEM;
	}
	file_insert(dir, file);
	*ret_file = file;
	return 0;
}

static int co_fn
file_open(struct ov_dir *dir, struct xs *xs, struct ov_file *file, bool read_only,
	  struct dev **ret_dev)
{
	struct ov_dev *od = mem_new(struct ov_dev);
	int rc = 0;

	if (od == NULL)
		return -DER_NOMEM;
	od->dev.ops = &ov_dev_ops;
	od->dev.size_bytes = file->size_bytes;
	snprintf(od->dev.name, sizeof(od->dev.name), "%s", file->name);
	od->dir = dir;
	od->file = file;
	od->read_only = read_only;
	file->open_nr++;
	if (file->lower[0] != '\0')
		rc = dir->lower->ops->open(dir->lower, xs, file->lower, true, &od->lower);
	if (rc == 0 && od->lower != NULL && od->lower->size_bytes != file->size_bytes)
		rc = -DER_DF_INVAL; /* it has changed beneath us */
	if (rc != 0)
		dev_close(&od->dev);
	else
		*ret_dev = &od->dev;
	return rc;
}

/* --- the directory --------------------------------------------------------------------------- */

static int co_fn
ov_dir_create(struct dev_dir *dir, struct xs *xs, const char *name, uint64_t size, bool zeroed,
	      struct dev **ret_dev)
{
	struct ov_dir *odir = to_dir(dir);
	struct ov_file *file;
	int rc;

	if (!dev_name_ok(name) || size == 0 || size % DEV_BLOCK != 0)
		return -DER_INVAL;
	if (file_find(odir, name) != NULL)
		return -DER_EXIST;
	rc = file_new(odir, name, "", size, &file);
	if (rc != 0)
		return rc;
	rc = file_open(odir, xs, file, false, ret_dev);
	if (rc != 0)
		file_free(odir, file);
	return rc;
}

static int co_fn
ov_dir_open(struct dev_dir *dir, struct xs *xs, const char *name, bool read_only,
	    struct dev **ret_dev)
{
	struct ov_dir *odir = to_dir(dir);
	struct ov_file *file = file_find(odir, name);

	if (!dev_name_ok(name))
		return -DER_INVAL;
	return file == NULL ? -DER_NONEXIST : file_open(odir, xs, file, read_only, ret_dev);
}

static int co_fn
ov_dir_unlink(struct dev_dir *dir, const char *name)
{
	struct ov_dir *odir = to_dir(dir);
	struct ov_file *file = file_find(odir, name);

	if (file == NULL)
		return dev_name_ok(name) ? -DER_NONEXIST : -DER_INVAL;
	if (file->open_nr > 0)
		return -DER_BUSY;
	file_free(odir, file);
	return 0;
}

static int co_fn
ov_dir_rename(struct dev_dir *dir, const char *from, const char *to)
{
	struct ov_dir *odir = to_dir(dir);
	struct ov_file *file = file_find(odir, from), *old = file_find(odir, to);

	if (!dev_name_ok(from) || !dev_name_ok(to))
		return -DER_INVAL;
	if (file == NULL)
		return -DER_NONEXIST;
	if (file == old)
		return 0;
	if (old != NULL && old->open_nr > 0)
		return -DER_BUSY;
	if (old != NULL)
		file_free(odir, old);
	list_del(&file->link);
	snprintf(file->name, sizeof(file->name), "%s", to);
	file_insert(odir, file);
	return 0;
}

static int co_fn
ov_dir_list(struct dev_dir *dir, int (*fn)(const char *name, uint64_t size, void *arg), void *arg)
{
	struct list *pos;
	int rc = 0;

	list_for_each (pos, &to_dir(dir)->files) {
		const struct ov_file *file = list_entry(pos, struct ov_file, link);

		rc = fn(file->name, file->size_bytes, arg);
		if (rc != 0)
			break;
	}
	return rc;
}

static int
ov_dir_space(struct dev_dir *dir, uint64_t *ret_free, uint64_t *ret_total)
{
	struct ov_dir *odir = to_dir(dir);
	uint64_t made = 0;
	struct list *pos;
	int rc;

	list_for_each (pos, &odir->files) {
		const struct ov_file *file = list_entry(pos, struct ov_file, link);

		made += file->lower[0] == '\0' ? file->size_bytes : 0;
	}
	rc = odir->lower->ops->space(odir->lower, ret_free, ret_total);
	if (rc == 0)
		*ret_free = made < *ret_free ? *ret_free - made : 0;
	return rc;
}

static void
ov_dir_close(struct dev_dir *dir)
{
	struct ov_dir *odir = to_dir(dir);
	struct list *pos, *tmp;

	list_for_each_safe (pos, tmp, &odir->files)
		file_free(odir, list_entry(pos, struct ov_file, link));
	free(odir);
}

static const struct dev_dir_ops ov_dir_ops = {
    .create = ov_dir_create,
    .open = ov_dir_open,
    .unlink = ov_dir_unlink,
    .rename = ov_dir_rename,
    .list = ov_dir_list,
    .space = ov_dir_space,
    .close = ov_dir_close,
};

static int
take_over(const char *name, uint64_t size, void *arg)
{
	struct ov_file *file;

	/* A file that is no whole number of blocks cannot be opened below either. */
	return file_new(arg, name, name, size, &file);
}

int
dev_dir_overlay(struct dev_dir *lower, struct dev_dir **ret_dir)
{
	struct ov_dir *odir = mem_new(struct ov_dir);
	int rc;

	if (odir == NULL)
		return -DER_NOMEM;
	odir->dir.ops = &ov_dir_ops;
	odir->lower = lower;
	list_init(&odir->files);
	rc = lower->ops->list(lower, take_over, odir);
	if (rc != 0)
		dev_dir_close(&odir->dir);
	else
		*ret_dir = &odir->dir;
	return rc;
}

uint64_t
dev_overlay_bytes(const struct dev_dir *dir)
{
	return container_of(dir, const struct ov_dir, dir)->bytes;
}
