/*
 * Device edge: where bytes become durable. A dev is a file or block device of fixed size, or its
 * in-memory twin; a dev_dir is a named collection of them (a directory of files; in the simulator a
 * node's "disk").
 *
 * All I/O is by whole blocks of DEV_BLOCK bytes: offset, length and every buffer segment are
 * multiples of it, buffers are aligned to it (dev_buf_alloc). Completion of a plain write promises
 * nothing after a crash: until a later dev_sync() returns, or unless the write carried
 * DEV_WRITE_SYNC, it may be lost, torn at sector (512 B) granularity or reordered against other
 * unsynced writes. A synchronous write makes only itself durable.
 *
 * A dev belongs to one xstream and is used only from its coroutines.
 */
#ifndef STORE_DEV_H
#define STORE_DEV_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <sys/uio.h>

#include "runtime/co.h"

enum {
	DEV_BLOCK = 4096,
	DEV_SECTOR = 512,
	DEV_IOV_MAX = 256, /* segments per call */
};

enum dev_write_flags {
	DEV_WRITE_SYNC = 1 << 0, /* durable when the call returns (RWF_DSYNC) */
};

struct dev;

struct dev_ops {
	/* All return 0 or -DER_IO / -DER_NOSPACE / -DER_SHUTDOWN (the device was stopped). A short
	 * transfer is an error. */
	int co_fn (*readv)(struct dev *dev, uint64_t off, const struct iovec *iov, int iov_nr);
	int co_fn (*writev)(struct dev *dev, uint64_t off, const struct iovec *iov, int iov_nr,
			    uint32_t flags);
	int co_fn (*sync)(struct dev *dev);
	/* Give space back (hole punch); later reads return zeros or old bytes. Best effort. */
	int co_fn (*discard)(struct dev *dev, uint64_t off, uint64_t len);
	void (*close)(struct dev *dev); /* no I/O may be under way */
};

struct dev {
	const struct dev_ops *ops;
	uint64_t size_bytes;
	bool thin;     /* not all of it is backed: a write may give -DER_NOSPACE */
	char name[64]; /* for messages */
};

int co_fn dev_read(struct dev *dev, uint64_t off, void *buf, size_t len);
int co_fn dev_write(struct dev *dev, uint64_t off, const void *buf, size_t len, uint32_t flags);
int co_fn dev_readv(struct dev *dev, uint64_t off, const struct iovec *iov, int iov_nr);
int co_fn dev_writev(struct dev *dev, uint64_t off, const struct iovec *iov, int iov_nr,
		     uint32_t flags);
int co_fn dev_sync(struct dev *dev);
int co_fn dev_discard(struct dev *dev, uint64_t off, uint64_t len);
void dev_close(struct dev *dev);   /* NULL is fine */
void dev_closep(struct dev **dev); /* for CLEANUP() */

/* Aligned buffers (not zeroed). NULL when there is no memory. */
void *dev_buf_alloc(size_t len);
void dev_buf_free(void *buf, size_t len);

/* A directory of devices. Names: [A-Za-z0-9._-]{1,60}, no slash; subdirectories do not exist. */
struct dev_dir;
struct dev_dir_ops {
	/* Create a device of size bytes (multiple of DEV_BLOCK). zeroed: every block is written
	 * with zeros and synced, so that later overwrites change no file metadata (logs); otherwise
	 * space is only reserved. The name is durable on return. -DER_EXIST, -DER_NOSPACE. */
	int co_fn (*create)(struct dev_dir *dir, struct xs *xs, const char *name, uint64_t size,
			    bool zeroed, struct dev **ret_dev);
	int co_fn (*open)(struct dev_dir *dir, struct xs *xs, const char *name, bool read_only,
			  struct dev **ret_dev);
	/* Remove durably; -DER_NONEXIST. The device must not be open. */
	int co_fn (*unlink)(struct dev_dir *dir, const char *name);
	/* Atomically replace: rename(from, to), durable on return. */
	int co_fn (*rename)(struct dev_dir *dir, const char *from, const char *to);
	/* Call fn for each name in byte order; stops at the first non-zero result, returns it. */
	int co_fn (*list)(struct dev_dir *dir,
			  int (*fn)(const char *name, uint64_t size, void *arg), void *arg);
	/* Bytes a new device could still take, and the size of the whole. */
	int (*space)(struct dev_dir *dir, uint64_t *ret_free, uint64_t *ret_total);
	void (*close)(struct dev_dir *dir);
};
struct dev_dir {
	const struct dev_dir_ops *ops;
};
/* A directory of ordinary files (created with mode 0700 if missing), io_uring direct I/O with a
 * buffered fallback where the file system has no direct I/O. Locked against a second opener:
 * -DER_BUSY. Thread-safe: shared by xstreams. */
int dev_dir_open_files(const char *path, struct dev_dir **ret_dir);
/* The same for looking only: nothing is created, removed or changed, whatever is called
 * (-DER_NO_PERM), and devices are opened read_only. Locks are shared: -DER_BUSY while an engine has
 * the directory, which cannot get it before this is closed. unlocked: take no lock at all and look
 * at what may be changing. -DER_NONEXIST, -DER_NO_PERM. */
int dev_dir_open_files_ro(const char *path, bool unlocked, struct dev_dir **ret_dir);
/*
 * Copy on write: what lower holds, with every change kept in memory and gone when this is closed.
 * Blocks written, devices created, renamed and unlinked are seen through it and stay there when a
 * device is closed and opened again; lower is only ever opened read_only. It stays the caller's and
 * must outlive it. Belongs to one xstream.
 */
int dev_dir_overlay(struct dev_dir *lower, struct dev_dir **ret_dir);
/* Bytes of memory that changes take so far. */
uint64_t dev_overlay_bytes(const struct dev_dir *dir);
/* The two tiers of an engine as one directory: devices named *.data are in nvme, all others in scm.
 * Both stay the caller's and must outlive it. */
int dev_dir_tiers(struct dev_dir *scm, struct dev_dir *nvme, struct dev_dir **ret_dir);
void dev_dir_close(struct dev_dir *dir);

/*
 * The twin: devices in memory that belong to a simulated disk and outlive any dev_dir opened on it.
 * sim may be NULL: then I/O completes at once (unit tests); otherwise latencies and faults come
 * from the simulator's seed.
 */
struct mem_disk;
struct sim;
int mem_disk_create(struct sim *sim, uint64_t capacity_bytes, struct mem_disk **ret_disk);
void mem_disk_destroy(struct mem_disk *disk);
int mem_disk_open(struct mem_disk *disk, struct dev_dir **ret_dir);
/* Power off now: every call from here on returns -DER_SHUTDOWN, nothing more reaches the disk. */
void mem_disk_stop(struct mem_disk *disk);
bool mem_disk_stopped(const struct mem_disk *disk);
/* Stop by itself at write number n from the beginning (counting from 1; syncs, discards and
 * metadata operations count too; 0 = never): that operation fails, and if it is a write, it is one
 * of those that may be kept in part. */
void mem_disk_stop_at(struct mem_disk *disk, uint64_t n);
uint64_t mem_disk_writes(const struct mem_disk *disk); /* how many so far */
/* Power on after stop: unsynced writes are kept, dropped or torn as rnd (a function giving random
 * numbers) decides; rnd NULL: all unsynced writes are lost. Every dev and dev_dir of the time
 * before must be closed. */
void mem_disk_restart(struct mem_disk *disk, uint64_t (*rnd)(void *arg), void *arg);
/* Faults to come: fail the n-th read/write from now with -DER_IO (0 = never); flip one bit in
 * place. */
void mem_disk_fail_at(struct mem_disk *disk, uint64_t read_nr, uint64_t write_nr);
int mem_disk_flip_bit(struct mem_disk *disk, const char *name, uint64_t bit);
/* Set latencies (ns) used under a simulator. */
void mem_disk_latency(struct mem_disk *disk, uint64_t read_ns, uint64_t write_ns, uint64_t sync_ns);

#endif
