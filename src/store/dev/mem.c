/*
 * The in-memory twin of a disk, with the crash behaviour that real disks are allowed to have.
 *
 * Each file has two images: what reads see (now) and what a power failure leaves for certain
 * (safe). A write changes "now" when it completes; it goes on a list of unsynced writes when it is
 * submitted and leaves it, into "safe", when a sync that began after its completion ends, or at
 * once if it was synchronous. At a restart each write still on the list is kept, dropped or torn
 * (sector by sector), in a random order, as the caller's random numbers say; then now = safe.
 *
 * A later durable write to the same sectors cuts them out of older unsynced writes: a disk may lose
 * or delay a write but never brings an old one back over a newer durable one.
 *
 * Without a simulator everything completes inside the call. With one, each operation takes its
 * latency, drawn from the seed, on virtual time; overlapping operations overtake each other.
 *
 * A mutex makes the disk usable from several threads (a process of several xstreams on one disk).
 */
#define LOG_FACILITY "dev"
#include "store/dev/dev.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <daos_errno.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/sim.h"
#include "store/dev/dev_internal.h"

struct mem_file {
	struct list link; /* mem_disk.files, by name */
	char name[64];
	uint64_t size_bytes;
	uint8_t *now;
	uint8_t *safe;
	uint32_t open_nr;
	struct list unsynced; /* unsynced_write, oldest first */
};

/* A write that a crash may lose. The sectors it still covers are those set in live. */
struct unsynced_write {
	struct list link;
	struct mem_file *file;
	uint64_t off;
	uint32_t len_bytes;
	uint64_t
	    done_seq; /* number of its completion, 0 = under way; syncs cover what was complete */
	uint8_t *data;
	uint8_t *live; /* one byte per sector */
};

struct mem_disk {
	struct sim *sim;
	pthread_mutex_t lock;
	uint64_t capacity_bytes;
	uint64_t used_bytes;
	struct list files;
	bool stopped;
	bool dir_open;
	uint64_t write_nr;
	uint64_t done_seq;
	uint64_t stop_at;
	uint64_t fail_read;  /* counts down; 0 = off */
	uint64_t fail_write; /* the same */
	uint64_t read_ns, write_ns, sync_ns;
};

struct mem_dev {
	struct dev dev;
	struct mem_disk *disk;
	struct mem_file *file;
	bool read_only;
};

struct mem_dir {
	struct dev_dir dir;
	struct mem_disk *disk;
};

/* --- counting and faults --------------------------------------------------------------------- */

/* Count one operation that changes the disk. -DER_SHUTDOWN when the power is or goes off with it.
 */
static int
count_write(struct mem_disk *disk)
{
	if (disk->stopped)
		return -DER_SHUTDOWN;
	disk->write_nr++;
	if (disk->write_nr == disk->stop_at) {
		disk->stopped = true;
		return -DER_SHUTDOWN;
	}
	if (disk->fail_write > 0 && --disk->fail_write == 0)
		return -DER_IO;
	return 0;
}

static int
count_read(struct mem_disk *disk)
{
	if (disk->stopped)
		return -DER_SHUTDOWN;
	if (disk->fail_read > 0 && --disk->fail_read == 0)
		return -DER_IO;
	return 0;
}

/* --- unsynced writes ------------------------------------------------------------------------- */

static void
unsynced_free(struct unsynced_write *w)
{
	if (w == NULL)
		return;
	list_del(&w->link);
	free(w->data);
	free(w->live);
	free(w);
}

static struct unsynced_write *
unsynced_new(struct mem_file *file, uint64_t off, const struct iovec *iov, int iov_nr, uint32_t len)
{
	/* The disk's own memory is not the program's: allocation faults do not reach it. */
	struct unsynced_write *w = calloc(1, sizeof(*w));
	uint32_t pos = 0;
	int i;

	if (w == NULL)
		return NULL;
	list_init(&w->link);
	w->file = file;
	w->off = off;
	w->len_bytes = len;
	w->data = malloc(len);
	w->live = malloc(len / DEV_SECTOR);
	if (w->data == NULL || w->live == NULL) {
		unsynced_free(w);
		return NULL;
	}
	for (i = 0; i < iov_nr; i++) {
		memcpy(w->data + pos, iov[i].iov_base, iov[i].iov_len);
		pos += iov[i].iov_len;
	}
	memset(w->live, 1, len / DEV_SECTOR);
	list_push_back(&file->unsynced, &w->link);
	return w;
}

/* [off, off+len) is durable now: completed writes older than stop no longer matter there. */
static void
unsynced_cut(struct mem_file *file, uint64_t off, uint64_t len, const struct list *stop)
{
	struct list *pos, *tmp;

	list_for_each_safe (pos, tmp, &file->unsynced) {
		struct unsynced_write *w = list_entry(pos, struct unsynced_write, link);
		uint64_t s;

		if (pos == stop)
			break;
		if (w->done_seq == 0 || w->off >= off + len || off >= w->off + w->len_bytes)
			continue;
		for (s = 0; s < w->len_bytes / DEV_SECTOR; s++) {
			uint64_t at = w->off + s * DEV_SECTOR;

			if (at >= off && at < off + len)
				w->live[s] = 0;
		}
		if (memchr(w->live, 1, w->len_bytes / DEV_SECTOR) == NULL)
			unsynced_free(w);
	}
}

/* Bring the sectors of w that still matter, and that keep() chooses, into the safe image. */
static void
unsynced_keep(struct unsynced_write *w, uint64_t (*rnd)(void *arg), void *arg)
{
	uint32_t s;

	for (s = 0; s < w->len_bytes / DEV_SECTOR; s++) {
		if (w->live[s] && (rnd == NULL || (rnd(arg) & 1)))
			memcpy(w->file->safe + w->off + s * DEV_SECTOR, w->data + s * DEV_SECTOR,
			       DEV_SECTOR);
	}
}

/* --- device operations ----------------------------------------------------------------------- */

static struct mem_dev *
to_mem(struct dev *dev)
{
	return container_of(dev, struct mem_dev, dev);
}

static int co_fn
mem_readv(struct dev *dev, uint64_t off, const struct iovec *iov, int iov_nr)
{
	struct mem_dev *md = to_mem(dev);
	struct mem_disk *disk = md->disk;
	int i, rc;

	pthread_mutex_lock(&disk->lock);
	rc = count_read(disk);
	pthread_mutex_unlock(&disk->lock);
	sim_delay(disk->sim, disk->read_ns);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&disk->lock);
	if (disk->stopped)
		rc = -DER_SHUTDOWN;
	for (i = 0; rc == 0 && i < iov_nr; i++) {
		memcpy(iov[i].iov_base, md->file->now + off, iov[i].iov_len);
		off += iov[i].iov_len;
	}
	pthread_mutex_unlock(&disk->lock);
	return rc;
}

static int co_fn
mem_writev(struct dev *dev, uint64_t off, const struct iovec *iov, int iov_nr, uint32_t flags)
{
	struct mem_dev *md = to_mem(dev);
	struct mem_disk *disk = md->disk;
	struct mem_file *file = md->file;
	struct unsynced_write *w = NULL;
	uint64_t len = 0;
	bool was_on;
	int i, rc;

	if (md->read_only)
		return -DER_NO_PERM;
	for (i = 0; i < iov_nr; i++)
		len += iov[i].iov_len;
	pthread_mutex_lock(&disk->lock);
	was_on = !disk->stopped;
	rc = count_write(disk);
	if (was_on && rc != -DER_IO) {
		w = unsynced_new(file, off, iov, iov_nr, len);
		if (w == NULL)
			rc = -DER_NOMEM;
	}
	pthread_mutex_unlock(&disk->lock);
	sim_delay(disk->sim, disk->write_ns);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&disk->lock);
	if (disk->stopped) {
		rc = -DER_SHUTDOWN;
	} else {
		memcpy(file->now + off, w->data, len);
		w->done_seq = ++disk->done_seq;
		if (flags & DEV_WRITE_SYNC) {
			unsynced_cut(file, off, len, &w->link);
			unsynced_keep(w, NULL, NULL);
			unsynced_free(w);
		}
	}
	pthread_mutex_unlock(&disk->lock);
	return rc;
}

static int co_fn
mem_sync(struct dev *dev)
{
	struct mem_dev *md = to_mem(dev);
	struct mem_disk *disk = md->disk;
	struct list *pos, *tmp;
	uint64_t upto;
	int rc;

	/* Only what was complete when the sync began is covered by it. */
	pthread_mutex_lock(&disk->lock);
	rc = count_write(disk);
	upto = disk->done_seq;
	pthread_mutex_unlock(&disk->lock);
	sim_delay(disk->sim, disk->sync_ns);
	pthread_mutex_lock(&disk->lock);
	if (disk->stopped)
		rc = -DER_SHUTDOWN;
	list_for_each_safe (pos, tmp, &md->file->unsynced) {
		struct unsynced_write *w = list_entry(pos, struct unsynced_write, link);

		if (rc == 0 && w->done_seq != 0 && w->done_seq <= upto) {
			unsynced_keep(w, NULL, NULL);
			unsynced_free(w);
		}
	}
	pthread_mutex_unlock(&disk->lock);
	return rc;
}

/* The range reads as zeros; older writes that lie inside are as if they had never been. */
static void
punch(struct mem_file *file, uint64_t off, uint64_t len)
{
	struct list *pos, *tmp;

	memset(file->now + off, 0, len);
	memset(file->safe + off, 0, len);
	list_for_each_safe (pos, tmp, &file->unsynced) {
		struct unsynced_write *w = list_entry(pos, struct unsynced_write, link);

		if (w->done_seq != 0 && w->off >= off && w->off + w->len_bytes <= off + len)
			unsynced_free(w);
	}
}

/* Takes effect at the end of its time; when the power goes off meanwhile, on the first half. */
static int co_fn
mem_discard(struct dev *dev, uint64_t off, uint64_t len)
{
	struct mem_dev *md = to_mem(dev);
	struct mem_disk *disk = md->disk;
	bool was_on;
	int rc;

	if (md->read_only)
		return -DER_NO_PERM;
	pthread_mutex_lock(&disk->lock);
	was_on = !disk->stopped;
	rc = count_write(disk);
	pthread_mutex_unlock(&disk->lock);
	sim_delay(disk->sim, disk->sync_ns);
	pthread_mutex_lock(&disk->lock);
	if (was_on && disk->stopped)
		punch(md->file, off, len / 2 / DEV_SECTOR * DEV_SECTOR);
	else if (rc == 0)
		punch(md->file, off, len);
	if (disk->stopped)
		rc = -DER_SHUTDOWN;
	pthread_mutex_unlock(&disk->lock);
	return rc;
}

static void
mem_close(struct dev *dev)
{
	struct mem_dev *md = to_mem(dev);

	pthread_mutex_lock(&md->disk->lock);
	md->file->open_nr--;
	pthread_mutex_unlock(&md->disk->lock);
	free(md);
}

static const struct dev_ops mem_dev_ops = {
    .readv = mem_readv,
    .writev = mem_writev,
    .sync = mem_sync,
    .discard = mem_discard,
    .close = mem_close,
};

/* --- files ----------------------------------------------------------------------------------- */

static void
file_free(struct mem_file *file)
{
	struct list *pos, *tmp;

	if (file == NULL)
		return;
	list_for_each_safe (pos, tmp, &file->unsynced)
		unsynced_free(list_entry(pos, struct unsynced_write, link));
	list_del(&file->link);
	if (file->now != NULL)
		munmap(file->now, file->size_bytes);
	if (file->safe != NULL)
		munmap(file->safe, file->size_bytes);
	free(file);
}

static uint8_t *
image_new(uint64_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static struct mem_file *
file_new(const char *name, uint64_t size)
{
	struct mem_file *file = mem_new(struct mem_file);

	if (file == NULL)
		return NULL;
	list_init(&file->link);
	list_init(&file->unsynced);
	strcpy(file->name, name);
	file->size_bytes = size;
	file->now = image_new(size);
	file->safe = image_new(size);
	if (file->now == NULL || file->safe == NULL) {
		file_free(file);
		return NULL;
	}
	return file;
}

static struct mem_file *
file_find(struct mem_disk *disk, const char *name)
{
	struct list *pos;

	list_for_each (pos, &disk->files) {
		struct mem_file *file = list_entry(pos, struct mem_file, link);

		if (strcmp(file->name, name) == 0)
			return file;
	}
	return NULL;
}

/* Keep the list in byte order of the names. */
static void
file_insert(struct mem_disk *disk, struct mem_file *file)
{
	struct list *pos;

	list_for_each (pos, &disk->files) {
		if (strcmp(list_entry(pos, struct mem_file, link)->name, file->name) > 0)
			break;
	}
	list_push_back(pos, &file->link);
}

static int
file_open(struct mem_disk *disk, struct mem_file *file, bool read_only, struct dev **ret_dev)
{
	struct mem_dev *md = mem_new(struct mem_dev);

	if (md == NULL)
		return -DER_NOMEM;
	md->dev.ops = &mem_dev_ops;
	md->dev.size_bytes = file->size_bytes;
	strcpy(md->dev.name, file->name);
	md->disk = disk;
	md->file = file;
	md->read_only = read_only;
	file->open_nr++;
	*ret_dev = &md->dev;
	return 0;
}

/* --- directory operations -------------------------------------------------------------------- */

static struct mem_disk *
dir_disk(struct dev_dir *dir)
{
	return container_of(dir, struct mem_dir, dir)->disk;
}

static int
create_locked(struct mem_disk *disk, const char *name, uint64_t size, struct dev **ret_dev)
{
	struct mem_file *file;
	int rc;

	if (file_find(disk, name) != NULL)
		return disk->stopped ? -DER_SHUTDOWN : -DER_EXIST;
	rc = count_write(disk);
	if (rc != 0)
		return rc;
	if (size > disk->capacity_bytes - disk->used_bytes)
		return -DER_NOSPACE;
	file = file_new(name, size);
	if (file == NULL)
		return -DER_NOMEM;
	rc = file_open(disk, file, false, ret_dev);
	if (rc != 0) {
		file_free(file);
		return rc;
	}
	file_insert(disk, file);
	disk->used_bytes += size;
	return 0;
}

static int co_fn
mem_dir_create(struct dev_dir *dir, struct xs *xs, const char *name, uint64_t size, bool zeroed,
	       struct dev **ret_dev)
{
	struct mem_disk *disk = dir_disk(dir);
	int rc;

	if (!dev_name_ok(name) || size == 0 || size % DEV_BLOCK != 0)
		return -DER_INVAL;
	pthread_mutex_lock(&disk->lock);
	rc = create_locked(disk, name, size, ret_dev);
	pthread_mutex_unlock(&disk->lock);
	sim_delay(disk->sim, disk->sync_ns);
	return rc;
}

static int co_fn
mem_dir_open(struct dev_dir *dir, struct xs *xs, const char *name, bool read_only,
	     struct dev **ret_dev)
{
	struct mem_disk *disk = dir_disk(dir);
	struct mem_file *file;
	int rc;

	pthread_mutex_lock(&disk->lock);
	file = file_find(disk, name);
	if (disk->stopped)
		rc = -DER_SHUTDOWN;
	else if (file == NULL)
		rc = -DER_NONEXIST;
	else
		rc = file_open(disk, file, read_only, ret_dev);
	pthread_mutex_unlock(&disk->lock);
	return rc;
}

static int co_fn
mem_dir_unlink(struct dev_dir *dir, const char *name)
{
	struct mem_disk *disk = dir_disk(dir);
	struct mem_file *file;
	int rc;

	pthread_mutex_lock(&disk->lock);
	file = file_find(disk, name);
	if (disk->stopped) {
		rc = -DER_SHUTDOWN;
	} else if (file == NULL) {
		rc = -DER_NONEXIST;
	} else if (file->open_nr > 0) {
		rc = -DER_BUSY;
	} else {
		rc = count_write(disk);
		if (rc == 0) {
			disk->used_bytes -= file->size_bytes;
			file_free(file);
		}
	}
	pthread_mutex_unlock(&disk->lock);
	return rc;
}

static int co_fn
mem_dir_rename(struct dev_dir *dir, const char *from, const char *to)
{
	struct mem_disk *disk = dir_disk(dir);
	struct mem_file *file, *old;
	int rc;

	if (!dev_name_ok(to))
		return -DER_INVAL;
	pthread_mutex_lock(&disk->lock);
	file = file_find(disk, from);
	old = file_find(disk, to);
	if (disk->stopped) {
		rc = -DER_SHUTDOWN;
	} else if (file == NULL) {
		rc = -DER_NONEXIST;
	} else if (old != NULL && old != file && old->open_nr > 0) {
		rc = -DER_BUSY;
	} else {
		rc = count_write(disk);
		if (rc == 0 && old != file) {
			if (old != NULL)
				disk->used_bytes -= old->size_bytes;
			file_free(old);
			list_del(&file->link);
			strcpy(file->name, to);
			file_insert(disk, file);
		}
	}
	pthread_mutex_unlock(&disk->lock);
	return rc;
}

static int co_fn
mem_dir_list(struct dev_dir *dir, int (*fn)(const char *name, uint64_t size, void *arg), void *arg)
{
	struct mem_disk *disk = dir_disk(dir);
	struct entry {
		char name[64];
		uint64_t size;
	} * entries;
	uint32_t nr = 0, i;
	struct list *pos;
	int rc = 0;

	/* A copy, because fn may use the directory. */
	pthread_mutex_lock(&disk->lock);
	list_for_each (pos, &disk->files)
		nr++;
	entries = mem_calloc(nr + 1, sizeof(*entries));
	i = 0;
	if (entries != NULL) {
		list_for_each (pos, &disk->files) {
			struct mem_file *file = list_entry(pos, struct mem_file, link);

			strcpy(entries[i].name, file->name);
			entries[i++].size = file->size_bytes;
		}
	}
	if (entries == NULL)
		rc = -DER_NOMEM;
	else if (disk->stopped)
		rc = -DER_SHUTDOWN;
	pthread_mutex_unlock(&disk->lock);
	for (i = 0; rc == 0 && i < nr; i++)
		rc = fn(entries[i].name, entries[i].size, arg);
	free(entries);
	return rc;
}

static int
mem_dir_space(struct dev_dir *dir, uint64_t *ret_free, uint64_t *ret_total)
{
	struct mem_disk *disk = dir_disk(dir);

	pthread_mutex_lock(&disk->lock);
	*ret_free = disk->capacity_bytes - disk->used_bytes;
	*ret_total = disk->capacity_bytes;
	pthread_mutex_unlock(&disk->lock);
	return 0;
}

static void
mem_dir_close(struct dev_dir *dir)
{
	struct mem_disk *disk = dir_disk(dir);

	pthread_mutex_lock(&disk->lock);
	disk->dir_open = false;
	pthread_mutex_unlock(&disk->lock);
	free(container_of(dir, struct mem_dir, dir));
}

static const struct dev_dir_ops mem_dir_ops = {
    .create = mem_dir_create,
    .open = mem_dir_open,
    .unlink = mem_dir_unlink,
    .rename = mem_dir_rename,
    .list = mem_dir_list,
    .space = mem_dir_space,
    .close = mem_dir_close,
};

/* --- the disk -------------------------------------------------------------------------------- */

int
mem_disk_create(struct sim *sim, uint64_t capacity_bytes, struct mem_disk **ret_disk)
{
	struct mem_disk *disk = mem_new(struct mem_disk);

	if (disk == NULL)
		return -DER_NOMEM;
	disk->sim = sim;
	disk->capacity_bytes = capacity_bytes;
	pthread_mutex_init(&disk->lock, NULL);
	list_init(&disk->files);
	mem_disk_latency(disk, 80000, 60000, 120000);
	*ret_disk = disk;
	return 0;
}

void
mem_disk_destroy(struct mem_disk *disk)
{
	struct list *pos, *tmp;

	if (disk == NULL)
		return;
	list_for_each_safe (pos, tmp, &disk->files)
		file_free(list_entry(pos, struct mem_file, link));
	pthread_mutex_destroy(&disk->lock);
	free(disk);
}

int
mem_disk_open(struct mem_disk *disk, struct dev_dir **ret_dir)
{
	struct mem_dir *md = mem_new(struct mem_dir);
	int rc = 0;

	if (md == NULL)
		return -DER_NOMEM;
	pthread_mutex_lock(&disk->lock);
	if (disk->stopped)
		rc = -DER_SHUTDOWN;
	else if (disk->dir_open)
		rc = -DER_BUSY;
	else
		disk->dir_open = true;
	pthread_mutex_unlock(&disk->lock);
	if (rc != 0) {
		free(md);
		return rc;
	}
	md->dir.ops = &mem_dir_ops;
	md->disk = disk;
	*ret_dir = &md->dir;
	return 0;
}

void
mem_disk_stop(struct mem_disk *disk)
{
	pthread_mutex_lock(&disk->lock);
	disk->stopped = true;
	pthread_mutex_unlock(&disk->lock);
}

bool
mem_disk_stopped(const struct mem_disk *disk)
{
	return disk->stopped;
}

void
mem_disk_stop_at(struct mem_disk *disk, uint64_t n)
{
	disk->stop_at = n;
}

uint64_t
mem_disk_writes(const struct mem_disk *disk)
{
	return disk->write_nr;
}

/* Decide about every unsynced write of a file, in random order. */
static void
file_power_on(struct mem_file *file, uint64_t (*rnd)(void *arg), void *arg)
{
	while (!list_empty(&file->unsynced)) {
		struct unsynced_write *w;
		struct list *pos = file->unsynced.next;
		/* Mostly in order, sometimes one of the next few overtakes. */
		uint64_t skip = rnd != NULL && rnd(arg) % 4 == 0 ? rnd(arg) % 4 : 0;

		while (skip-- > 0 && pos->next != &file->unsynced)
			pos = pos->next;
		w = list_entry(pos, struct unsynced_write, link);
		switch (rnd != NULL ? rnd(arg) % 3 : 0) {
		case 1: /* kept whole */
			unsynced_keep(w, NULL, NULL);
			break;
		case 2: /* torn */
			unsynced_keep(w, rnd, arg);
			break;
		}
		unsynced_free(w);
	}
}

void
mem_disk_restart(struct mem_disk *disk, uint64_t (*rnd)(void *arg), void *arg)
{
	struct list *pos;

	assert(!disk->dir_open);
	list_for_each (pos, &disk->files) {
		struct mem_file *file = list_entry(pos, struct mem_file, link);
		uint64_t off;

		assert(file->open_nr == 0);
		file_power_on(file, rnd, arg);
		/* Copy what differs only: most of a file was never touched. */
		for (off = 0; off < file->size_bytes; off += DEV_BLOCK) {
			if (memcmp(file->now + off, file->safe + off, DEV_BLOCK) != 0)
				memcpy(file->now + off, file->safe + off, DEV_BLOCK);
		}
	}
	disk->stopped = false;
	disk->stop_at = 0;
	disk->fail_read = 0;
	disk->fail_write = 0;
}

void
mem_disk_fail_at(struct mem_disk *disk, uint64_t read_nr, uint64_t write_nr)
{
	disk->fail_read = read_nr;
	disk->fail_write = write_nr;
}

int
mem_disk_flip_bit(struct mem_disk *disk, const char *name, uint64_t bit)
{
	struct mem_file *file = file_find(disk, name);

	if (file == NULL)
		return -DER_NONEXIST;
	if (bit / 8 >= file->size_bytes)
		return -DER_INVAL;
	file->now[bit / 8] ^= 1u << (bit % 8);
	file->safe[bit / 8] ^= 1u << (bit % 8);
	return 0;
}

void
mem_disk_latency(struct mem_disk *disk, uint64_t read_ns, uint64_t write_ns, uint64_t sync_ns)
{
	disk->read_ns = read_ns;
	disk->write_ns = write_ns;
	disk->sync_ns = sync_ns;
}
