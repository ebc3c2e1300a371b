/* Recording disk; crash_disk.h says how it is used. */
#include "tests/crash/crash_disk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <daos_errno.h>

#include "base/hash.h"
#include "base/list.h"
#include "runtime/sim.h"
#include "runtime/xs.h"

enum {
	SECTORS_PER_BLOCK = DEV_BLOCK / DEV_SECTOR,
	READ_NS = 80000,
	WRITE_NS = 60000,
	SYNC_NS = 120000,
};

struct cfile {
	struct list link;
	uint32_t fid; /* never used twice */
	char name[64];
	uint64_t size_bytes;
	uint8_t *data;
	uint64_t *hash; /* of each block; 0 = zeros */
	uint8_t *written;
	uint32_t open_nr;
};

/* How to take one change back. */
struct undo {
	enum { UNDO_BLOCK, UNDO_CREATE, UNDO_UNLINK, UNDO_RENAME } kind;
	struct cfile *file;
	uint64_t blk;
	uint64_t hash;
	uint8_t written;
	uint8_t old[DEV_BLOCK]; /* content, or the old name */
};

struct crash_disk {
	struct list files;
	uint32_t next_fid;
	struct undo **undo;
	size_t undo_nr, undo_cap;
	uint64_t hash_sum; /* of all blocks of all files */
	struct sim *sim;
	struct crash_journal *journal;
	uint32_t next_write;
	uint32_t done_nr; /* writes completed */
	bool off;
	uint64_t fail_in; /* operations until one fails; 0 = none asked for */
	bool fail_fired;
};

enum event_kind { EV_CREATE, EV_UNLINK, EV_RENAME, EV_SUBMIT, EV_DONE, EV_SYNC, EV_MARK };

struct event {
	enum event_kind kind;
	uint32_t fid;
	uint32_t write; /* SUBMIT, DONE: number of the write */
	uint32_t upto;  /* SYNC: covers writes that were complete then */
	bool sync;      /* DONE: synchronous */
	uint64_t off;   /* SUBMIT; CREATE: size */
	uint32_t len;
	void *data; /* SUBMIT: bytes; CREATE, RENAME: name; MARK: the mark */
};

struct crash_journal {
	struct event *ev;
	uint32_t nr, cap;
};

static void *
must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

/* --- the image ------------------------------------------------------------------------------- */

static void
file_free(struct cfile *file)
{
	munmap(file->data, file->size_bytes);
	free(file->hash);
	free(file->written);
	free(file);
}

static struct cfile *
file_by_name(struct crash_disk *disk, const char *name)
{
	struct list *pos;

	list_for_each (pos, &disk->files) {
		struct cfile *file = list_entry(pos, struct cfile, link);

		if (strcmp(file->name, name) == 0)
			return file;
	}
	return NULL;
}

static struct cfile *
file_by_id(struct crash_disk *disk, uint32_t fid)
{
	struct list *pos;

	list_for_each (pos, &disk->files) {
		struct cfile *file = list_entry(pos, struct cfile, link);

		if (file->fid == fid)
			return file;
	}
	abort();
}

static struct undo *
undo_push(struct crash_disk *disk, int kind, struct cfile *file)
{
	if (disk->undo_nr == disk->undo_cap) {
		disk->undo_cap = disk->undo_cap == 0 ? 1024 : disk->undo_cap * 2;
		disk->undo = must(realloc(disk->undo, disk->undo_cap * sizeof(*disk->undo)));
		memset(disk->undo + disk->undo_nr, 0,
		       (disk->undo_cap - disk->undo_nr) * sizeof(*disk->undo));
	}
	if (disk->undo[disk->undo_nr] == NULL)
		disk->undo[disk->undo_nr] = must(malloc(sizeof(struct undo)));
	disk->undo[disk->undo_nr]->kind = kind;
	disk->undo[disk->undo_nr]->file = file;
	return disk->undo[disk->undo_nr++];
}

static struct cfile *
image_create(struct crash_disk *disk, const char *name, uint64_t size, uint32_t fid)
{
	struct cfile *file = must(calloc(1, sizeof(*file)));

	file->fid = fid;
	strcpy(file->name, name);
	file->size_bytes = size;
	file->data = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (file->data == MAP_FAILED)
		abort();
	file->hash = must(calloc(size / DEV_BLOCK, sizeof(*file->hash)));
	file->written = must(calloc(size / DEV_BLOCK, 1));
	list_push_back(&disk->files, &file->link);
	undo_push(disk, UNDO_CREATE, file);
	return file;
}

static void
image_unlink(struct crash_disk *disk, struct cfile *file)
{
	uint64_t i;

	for (i = 0; i < file->size_bytes / DEV_BLOCK; i++)
		disk->hash_sum -= file->hash[i];
	list_del(&file->link);
	undo_push(disk, UNDO_UNLINK, file);
}

static void
image_rename(struct crash_disk *disk, struct cfile *file, const char *to)
{
	struct undo *u = undo_push(disk, UNDO_RENAME, file);

	strcpy((char *)u->old, file->name);
	strcpy(file->name, to);
}

/* Before block blk changes. */
static void
image_touch(struct crash_disk *disk, struct cfile *file, uint64_t blk)
{
	struct undo *u = undo_push(disk, UNDO_BLOCK, file);

	u->blk = blk;
	u->hash = file->hash[blk];
	u->written = file->written[blk];
	if (u->written)
		memcpy(u->old, file->data + blk * DEV_BLOCK, DEV_BLOCK);
	file->written[blk] = 1;
}

static uint64_t
block_hash(const struct cfile *file, uint64_t blk)
{
	const uint8_t *p = file->data + blk * DEV_BLOCK;

	if (p[0] == 0 && memcmp(p, p + 1, DEV_BLOCK - 1) == 0)
		return 0;
	return hash_bytes(p, DEV_BLOCK, hash_combine(file->size_bytes, blk));
}

/* Bring a block's hash up to date. */
static void
image_rehash(struct crash_disk *disk, struct cfile *file, uint64_t blk)
{
	disk->hash_sum -= file->hash[blk];
	file->hash[blk] = block_hash(file, blk);
	disk->hash_sum += file->hash[blk];
}

static void
undo_one(struct crash_disk *disk, struct undo *u)
{
	struct cfile *file = u->file;
	uint64_t i;

	switch (u->kind) {
	case UNDO_BLOCK:
		if (u->written)
			memcpy(file->data + u->blk * DEV_BLOCK, u->old, DEV_BLOCK);
		else
			memset(file->data + u->blk * DEV_BLOCK, 0, DEV_BLOCK);
		file->written[u->blk] = u->written;
		disk->hash_sum += u->hash - file->hash[u->blk];
		file->hash[u->blk] = u->hash;
		break;
	case UNDO_CREATE:
		list_del(&file->link);
		file_free(file);
		break;
	case UNDO_UNLINK:
		list_push_back(&disk->files, &file->link);
		for (i = 0; i < file->size_bytes / DEV_BLOCK; i++)
			disk->hash_sum += file->hash[i];
		break;
	case UNDO_RENAME:
		strcpy(file->name, (char *)u->old);
		break;
	}
}

size_t
crash_disk_height(const struct crash_disk *disk)
{
	return disk->undo_nr;
}

void
crash_disk_rollback(struct crash_disk *disk, size_t height)
{
	while (disk->undo_nr > height)
		undo_one(disk, disk->undo[--disk->undo_nr]);
}

void
crash_disk_commit(struct crash_disk *disk)
{
	size_t i;

	for (i = 0; i < disk->undo_nr; i++)
		if (disk->undo[i]->kind == UNDO_UNLINK)
			file_free(disk->undo[i]->file);
	disk->undo_nr = 0;
}

uint64_t
crash_disk_hash(const struct crash_disk *disk)
{
	uint64_t sum = disk->hash_sum;
	struct list *pos;

	list_for_each (pos, &disk->files) {
		const struct cfile *file = list_entry(pos, struct cfile, link);

		sum += hash_bytes(file->name, strlen(file->name), file->size_bytes);
	}
	return hash_u64(sum);
}

/* --- the journal ----------------------------------------------------------------------------- */

struct crash_journal *
crash_journal_create(void)
{
	return must(calloc(1, sizeof(struct crash_journal)));
}

void
crash_journal_destroy(struct crash_journal *journal)
{
	uint32_t i;

	if (journal == NULL)
		return;
	for (i = 0; i < journal->nr; i++)
		free(journal->ev[i].data);
	free(journal->ev);
	free(journal);
}

static void
add_event(struct crash_journal *journal, struct event ev)
{
	if (journal == NULL) {
		free(ev.data);
		return;
	}
	if (journal->nr == journal->cap) {
		journal->cap = journal->cap == 0 ? 256 : journal->cap * 2;
		journal->ev = must(realloc(journal->ev, journal->cap * sizeof(*journal->ev)));
	}
	journal->ev[journal->nr++] = ev;
}

void
crash_journal_mark(struct crash_journal *journal, void *mark)
{
	add_event(journal, (struct event){.kind = EV_MARK, .data = mark});
}

uint32_t
crash_journal_len(const struct crash_journal *journal)
{
	return journal->nr;
}

/* --- faults ---------------------------------------------------------------------------------- */

void
crash_disk_fail_at(struct crash_disk *disk, uint64_t nth)
{
	disk->fail_in = nth;
	if (nth != 0)
		disk->fail_fired = false;
}

bool
crash_disk_fail_fired(const struct crash_disk *disk)
{
	return disk->fail_fired;
}

/* What an operation that begins now returns. */
static int
begin_op(struct crash_disk *disk)
{
	if (disk->off)
		return -DER_SHUTDOWN;
	if (disk->fail_in == 0 || --disk->fail_in != 0)
		return 0;
	disk->fail_fired = true;
	return -DER_IO;
}

void
crash_disk_flip(struct crash_disk *disk, const char *name, uint64_t bit)
{
	struct cfile *file = file_by_name(disk, name);

	if (file == NULL || bit / 8 >= file->size_bytes)
		abort();
	image_touch(disk, file, bit / 8 / DEV_BLOCK);
	file->data[bit / 8] ^= 1u << (bit % 8);
}

void
crash_disk_peek(struct crash_disk *disk, const char *name, uint64_t off, void *buf, size_t len)
{
	struct cfile *file = file_by_name(disk, name);

	if (file == NULL || off > file->size_bytes || len > file->size_bytes - off)
		abort();
	memcpy(buf, file->data + off, len);
}

void
crash_disk_poke(struct crash_disk *disk, const char *name, uint64_t off, const void *buf,
		size_t len)
{
	struct cfile *file = file_by_name(disk, name);

	if (file == NULL || len == 0 || off > file->size_bytes || len > file->size_bytes - off ||
	    off / DEV_BLOCK != (off + len - 1) / DEV_BLOCK)
		abort();
	image_touch(disk, file, off / DEV_BLOCK);
	memcpy(file->data + off, buf, len);
}

void
crash_disk_blocks(struct crash_disk *disk, void (*fn)(const char *name, uint64_t blk, void *arg),
		  void *arg)
{
	struct list *pos;
	uint64_t blk;

	list_for_each (pos, &disk->files) {
		struct cfile *file = list_entry(pos, struct cfile, link);

		for (blk = 0; blk < file->size_bytes / DEV_BLOCK; blk++)
			if (file->written[blk])
				fn(file->name, blk, arg);
	}
}

/* --- devices --------------------------------------------------------------------------------- */

struct cdev {
	struct dev dev;
	struct crash_disk *disk;
	struct cfile *file;
};

struct cdir {
	struct dev_dir dir;
	struct crash_disk *disk;
};

static struct cdev *
to_cdev(struct dev *dev)
{
	return container_of(dev, struct cdev, dev);
}

static int co_fn
cdev_readv(struct dev *dev, uint64_t off, const struct iovec *iov, int iov_nr)
{
	struct cdev *cd = to_cdev(dev);
	uint64_t done;
	int i, rc;

	rc = begin_op(cd->disk);
	if (rc != 0)
		return rc;
	sim_delay(cd->disk->sim, READ_NS);
	/* Blocks never written are not even looked at: most of a log is. */
	for (i = 0; i < iov_nr; i++) {
		for (done = 0; done < iov[i].iov_len; done += DEV_BLOCK, off += DEV_BLOCK) {
			uint8_t *to = (uint8_t *)iov[i].iov_base + done;

			if (cd->file->written[off / DEV_BLOCK])
				memcpy(to, cd->file->data + off, DEV_BLOCK);
			else
				memset(to, 0, DEV_BLOCK);
		}
	}
	return cd->disk->off ? -DER_SHUTDOWN : 0;
}

static int co_fn
cdev_writev(struct dev *dev, uint64_t off, const struct iovec *iov, int iov_nr, uint32_t flags)
{
	struct cdev *cd = to_cdev(dev);
	struct crash_disk *disk = cd->disk;
	struct cfile *file = cd->file;
	uint32_t len = 0, done = 0, nr = disk->next_write++;
	uint8_t *data;
	int i, rc;

	rc = begin_op(disk);
	if (rc != 0)
		return rc;
	for (i = 0; i < iov_nr; i++)
		len += iov[i].iov_len;
	data = must(malloc(len));
	for (i = 0; i < iov_nr; i++) {
		memcpy(data + done, iov[i].iov_base, iov[i].iov_len);
		done += iov[i].iov_len;
	}
	add_event(disk->journal, (struct event){.kind = EV_SUBMIT,
						.fid = file->fid,
						.write = nr,
						.off = off,
						.len = len,
						.data = disk->journal != NULL ? data : NULL});
	sim_delay(disk->sim, WRITE_NS);
	if (!disk->off) {
		/* the buffer must stay unchanged while the write is under way */
		for (done = 0; done < len; done += DEV_BLOCK) {
			image_touch(disk, file, (off + done) / DEV_BLOCK);
			memcpy(file->data + off + done, data + done, DEV_BLOCK);
		}
		disk->done_nr++;
		add_event(disk->journal, (struct event){.kind = EV_DONE,
							.fid = file->fid,
							.write = nr,
							.upto = disk->done_nr,
							.sync = flags & DEV_WRITE_SYNC});
	}
	if (disk->journal == NULL)
		free(data);
	return disk->off ? -DER_SHUTDOWN : 0;
}

static int co_fn
cdev_sync(struct dev *dev)
{
	struct cdev *cd = to_cdev(dev);
	uint32_t upto = cd->disk->done_nr;
	int rc;

	rc = begin_op(cd->disk);
	if (rc != 0)
		return rc;
	sim_delay(cd->disk->sim, SYNC_NS);
	if (cd->disk->off)
		return -DER_SHUTDOWN;
	add_event(cd->disk->journal,
		  (struct event){.kind = EV_SYNC, .fid = cd->file->fid, .upto = upto});
	return 0;
}

/* What is given back reads as zeros, or as before, or some of it so: a write of zeros that nobody
 * waits for. */
static int co_fn
cdev_discard(struct dev *dev, uint64_t off, uint64_t len)
{
	static const uint8_t zeros[64 * DEV_BLOCK] __attribute__((aligned(DEV_BLOCK)));
	int rc = 0;

	while (rc == 0 && len > 0) {
		uint64_t n = len < sizeof(zeros) ? len : sizeof(zeros);

		rc = cdev_writev(dev, off, &(struct iovec){(void *)zeros, n}, 1, 0);
		off += n;
		len -= n;
	}
	return rc;
}

static void
cdev_close(struct dev *dev)
{
	struct cdev *cd = to_cdev(dev);

	cd->file->open_nr--;
	free(cd);
}

static const struct dev_ops cdev_ops = {
    .readv = cdev_readv,
    .writev = cdev_writev,
    .sync = cdev_sync,
    .discard = cdev_discard,
    .close = cdev_close,
};

static struct crash_disk *
dir_disk(struct dev_dir *dir)
{
	return container_of(dir, struct cdir, dir)->disk;
}

static struct dev *
file_open(struct crash_disk *disk, struct cfile *file)
{
	struct cdev *cd = must(calloc(1, sizeof(*cd)));

	cd->dev.ops = &cdev_ops;
	cd->dev.size_bytes = file->size_bytes;
	strcpy(cd->dev.name, file->name);
	cd->disk = disk;
	cd->file = file;
	file->open_nr++;
	return &cd->dev;
}

static int co_fn
cdir_create(struct dev_dir *dir, struct xs *xs, const char *name, uint64_t size, bool zeroed,
	    struct dev **ret_dev)
{
	struct crash_disk *disk = dir_disk(dir);
	struct cfile *file;
	int rc;

	rc = begin_op(disk);
	if (rc != 0)
		return rc;
	if (file_by_name(disk, name) != NULL)
		return -DER_EXIST;
	file = image_create(disk, name, size, ++disk->next_fid);
	add_event(disk->journal, (struct event){.kind = EV_CREATE,
						.fid = file->fid,
						.off = size,
						.data = must(strdup(name))});
	*ret_dev = file_open(disk, file);
	sim_delay(disk->sim, SYNC_NS);
	return 0;
}

static int co_fn
cdir_open(struct dev_dir *dir, struct xs *xs, const char *name, bool read_only,
	  struct dev **ret_dev)
{
	struct crash_disk *disk = dir_disk(dir);
	struct cfile *file = file_by_name(disk, name);
	int rc;

	rc = begin_op(disk);
	if (rc != 0)
		return rc;
	if (file == NULL)
		return -DER_NONEXIST;
	*ret_dev = file_open(disk, file);
	return 0;
}

static int co_fn
cdir_unlink(struct dev_dir *dir, const char *name)
{
	struct crash_disk *disk = dir_disk(dir);
	struct cfile *file = file_by_name(disk, name);
	int rc;

	rc = begin_op(disk);
	if (rc != 0)
		return rc;
	if (file == NULL)
		return -DER_NONEXIST;
	if (file->open_nr > 0)
		return -DER_BUSY;
	add_event(disk->journal, (struct event){.kind = EV_UNLINK, .fid = file->fid});
	image_unlink(disk, file);
	return 0;
}

static int co_fn
cdir_rename(struct dev_dir *dir, const char *from, const char *to)
{
	struct crash_disk *disk = dir_disk(dir);
	struct cfile *file = file_by_name(disk, from), *old = file_by_name(disk, to);
	int rc;

	rc = begin_op(disk);
	if (rc != 0)
		return rc;
	if (file == NULL)
		return -DER_NONEXIST;
	if (old != NULL && old != file)
		image_unlink(disk, old);
	image_rename(disk, file, to);
	add_event(disk->journal, (struct event){.kind = EV_RENAME,
						.fid = file->fid,
						.upto = old != NULL && old != file ? old->fid : 0,
						.data = must(strdup(to))});
	return 0;
}

static int co_fn
cdir_list(struct dev_dir *dir, int (*fn)(const char *name, uint64_t size, void *arg), void *arg)
{
	struct crash_disk *disk = dir_disk(dir);
	struct list *pos, *tmp;
	int rc = begin_op(disk);

	list_for_each_safe (pos, tmp, &disk->files) {
		struct cfile *file = list_entry(pos, struct cfile, link);

		if (rc == 0)
			rc = fn(file->name, file->size_bytes, arg);
	}
	return rc;
}

static int
cdir_space(struct dev_dir *dir, uint64_t *ret_free, uint64_t *ret_total)
{
	*ret_free = 1ull << 40;
	*ret_total = 1ull << 40;
	return 0;
}

static void
cdir_close(struct dev_dir *dir)
{
	free(container_of(dir, struct cdir, dir));
}

static const struct dev_dir_ops cdir_ops = {
    .create = cdir_create,
    .open = cdir_open,
    .unlink = cdir_unlink,
    .rename = cdir_rename,
    .list = cdir_list,
    .space = cdir_space,
    .close = cdir_close,
};

struct crash_disk *
crash_disk_create(void)
{
	struct crash_disk *disk = must(calloc(1, sizeof(*disk)));

	list_init(&disk->files);
	return disk;
}

void
crash_disk_destroy(struct crash_disk *disk)
{
	size_t i;

	if (disk == NULL)
		return;
	crash_disk_rollback(disk, 0);
	while (!list_empty(&disk->files)) {
		struct cfile *file = list_entry(disk->files.next, struct cfile, link);

		list_del(&file->link);
		file_free(file);
	}
	for (i = 0; i < disk->undo_cap; i++)
		free(disk->undo[i]);
	free(disk->undo);
	free(disk);
}

struct dev_dir *
crash_disk_open(struct crash_disk *disk, struct sim *delays)
{
	struct cdir *cd = must(calloc(1, sizeof(*cd)));

	cd->dir.ops = &cdir_ops;
	cd->disk = disk;
	disk->sim = delays;
	return &cd->dir;
}

void
crash_disk_record(struct crash_disk *disk, struct crash_journal *journal)
{
	disk->journal = journal;
}

void
crash_disk_power(struct crash_disk *disk, bool on)
{
	disk->off = !on;
}

/* --- the replay ------------------------------------------------------------------------------ */

/* A write that a crash may lose. The sectors it still covers are those set in live. */
struct pending {
	struct list link;
	const struct event *ev;
	uint32_t done; /* number of its completion, 0 = under way */
	uint8_t *live;
};

struct crash_replay {
	struct crash_disk *disk;
	const struct crash_journal *journal;
	uint32_t at;
	bool undo;
	struct list pending; /* in order of submission */
	void (*on_mark)(const void *mark, void *arg);
	void *arg;
};

struct crash_replay *
crash_replay_create(struct crash_disk *disk, const struct crash_journal *journal, bool undo,
		    void (*on_mark)(const void *mark, void *arg), void *arg)
{
	struct crash_replay *replay = must(calloc(1, sizeof(*replay)));

	replay->disk = disk;
	replay->journal = journal;
	replay->undo = undo;
	replay->on_mark = on_mark;
	replay->arg = arg;
	list_init(&replay->pending);
	return replay;
}

static void
pending_free(struct pending *p)
{
	list_del(&p->link);
	free(p->live);
	free(p);
}

void
crash_replay_destroy(struct crash_replay *replay)
{
	if (replay == NULL)
		return;
	while (!list_empty(&replay->pending))
		pending_free(list_entry(replay->pending.next, struct pending, link));
	free(replay);
}

static uint64_t
next_rnd(uint64_t *state)
{
	return hash_u64((*state)++);
}

/* Bring sectors of a write into the image: all that matter, or those chance wants. */
static void
keep_sectors(struct crash_disk *disk, const struct pending *p, uint64_t *rnd)
{
	struct cfile *file = file_by_id(disk, p->ev->fid);
	uint32_t nr = p->ev->len / DEV_SECTOR, s, cut = nr;
	bool scattered = false;

	if (rnd != NULL) { /* torn in one place, or anywhere */
		scattered = next_rnd(rnd) & 1;
		cut = next_rnd(rnd) % (nr + 1);
	}
	for (s = 0; s < nr; s += SECTORS_PER_BLOCK) {
		uint64_t blk = (p->ev->off + (uint64_t)s * DEV_SECTOR) / DEV_BLOCK;
		bool touched = false;
		uint32_t i;

		for (i = s; i < s + SECTORS_PER_BLOCK; i++) {
			if (!p->live[i] || (scattered ? next_rnd(rnd) & 1 : i >= cut))
				continue;
			if (!touched)
				image_touch(disk, file, blk);
			touched = true;
			memcpy(file->data + p->ev->off + (uint64_t)i * DEV_SECTOR,
			       (const uint8_t *)p->ev->data + (size_t)i * DEV_SECTOR, DEV_SECTOR);
		}
		if (touched)
			image_rehash(disk, file, blk);
	}
}

/* What p wrote is durable now: older completed writes no longer matter there. */
static void
cut_older(struct crash_replay *replay, const struct pending *newer)
{
	struct list *pos, *tmp;

	list_for_each_safe (pos, tmp, &replay->pending) {
		struct pending *p = list_entry(pos, struct pending, link);
		uint32_t s, nr = p->ev->len / DEV_SECTOR;

		if (p == newer)
			break;
		if (p->done == 0 || p->ev->fid != newer->ev->fid ||
		    p->ev->off >= newer->ev->off + newer->ev->len ||
		    newer->ev->off >= p->ev->off + p->ev->len)
			continue;
		for (s = 0; s < nr; s++) {
			uint64_t at = p->ev->off + (uint64_t)s * DEV_SECTOR;

			if (at >= newer->ev->off && at < newer->ev->off + newer->ev->len)
				p->live[s] = 0;
		}
		if (memchr(p->live, 1, nr) == NULL)
			pending_free(p);
	}
}

static struct pending *
pending_find(struct crash_replay *replay, uint32_t write)
{
	struct list *pos;

	list_for_each (pos, &replay->pending) {
		struct pending *p = list_entry(pos, struct pending, link);

		if (p->ev->write == write)
			return p;
	}
	return NULL;
}

static void
drop_pending_of(struct crash_replay *replay, uint32_t fid)
{
	struct list *pos, *tmp;

	list_for_each_safe (pos, tmp, &replay->pending) {
		struct pending *p = list_entry(pos, struct pending, link);

		if (p->ev->fid == fid)
			pending_free(p);
	}
}

static void
apply(struct crash_replay *replay, const struct event *ev)
{
	struct crash_disk *disk = replay->disk;
	struct list *pos, *tmp;
	struct pending *p;

	switch (ev->kind) {
	case EV_CREATE:
		image_create(disk, ev->data, ev->off, ev->fid);
		break;
	case EV_UNLINK:
		drop_pending_of(replay, ev->fid);
		image_unlink(disk, file_by_id(disk, ev->fid));
		break;
	case EV_RENAME:
		if (ev->upto != 0) {
			drop_pending_of(replay, ev->upto);
			image_unlink(disk, file_by_id(disk, ev->upto));
		}
		image_rename(disk, file_by_id(disk, ev->fid), ev->data);
		break;
	case EV_SUBMIT:
		p = must(calloc(1, sizeof(*p)));
		p->ev = ev;
		p->live = must(malloc(ev->len / DEV_SECTOR));
		memset(p->live, 1, ev->len / DEV_SECTOR);
		list_push_back(&replay->pending, &p->link);
		break;
	case EV_DONE:
		p = pending_find(replay, ev->write);
		if (p == NULL)
			break;
		p->done = ev->upto;
		if (ev->sync) {
			cut_older(replay, p);
			keep_sectors(disk, p, NULL);
			pending_free(p);
		}
		break;
	case EV_SYNC:
		list_for_each_safe (pos, tmp, &replay->pending) {
			p = list_entry(pos, struct pending, link);
			if (p->ev->fid == ev->fid && p->done != 0 && p->done <= ev->upto) {
				keep_sectors(disk, p, NULL);
				pending_free(p);
			}
		}
		break;
	case EV_MARK:
		if (replay->on_mark != NULL)
			replay->on_mark(ev->data, replay->arg);
		break;
	}
	if (!replay->undo)
		crash_disk_commit(disk);
}

bool
crash_replay_next(struct crash_replay *replay)
{
	const struct crash_journal *j = replay->journal;
	bool moved = false;

	while (replay->at < j->nr) {
		const struct event *ev = &j->ev[replay->at];

		if (moved && ev->kind != EV_MARK)
			return true;
		/* the end of a plain write changes nothing that a crash could show */
		moved = moved || (ev->kind != EV_MARK && (ev->kind != EV_DONE || ev->sync));
		apply(replay, ev);
		replay->at++;
	}
	return moved;
}

uint32_t
crash_replay_open_sectors(const struct crash_replay *replay)
{
	struct list *pos;
	uint32_t nr = 0, s;

	list_for_each (pos, &replay->pending) {
		const struct pending *p = list_entry(pos, struct pending, link);

		for (s = 0; s < p->ev->len / DEV_SECTOR; s++)
			nr += p->live[s];
	}
	return nr;
}

void
crash_replay_survive(struct crash_replay *replay, uint64_t variant, uint64_t seed)
{
	uint64_t rnd = hash_combine(seed, variant);
	struct pending **order;
	uint32_t nr = 0, i;
	struct list *pos;

	if (variant == 0)
		return;
	list_for_each (pos, &replay->pending)
		nr++;
	order = must(calloc(nr + 1, sizeof(*order)));
	nr = 0;
	list_for_each (pos, &replay->pending)
		order[nr++] = list_entry(pos, struct pending, link);
	/* mostly in order; sometimes one of the next few overtakes */
	for (i = 0; variant > 1 && i + 1 < nr; i++) {
		if (next_rnd(&rnd) % 4 == 0) {
			uint32_t with = i + 1 + next_rnd(&rnd) % 3;
			struct pending *tmp = order[i];

			if (with < nr) {
				order[i] = order[with];
				order[with] = tmp;
			}
		}
	}
	for (i = 0; i < nr; i++) {
		switch (variant == 1 ? 1 : next_rnd(&rnd) % 3) {
		case 1:
			keep_sectors(replay->disk, order[i], NULL);
			break;
		case 2:
			keep_sectors(replay->disk, order[i], &rnd);
			break;
		}
	}
	free(order);
}
