/*
 * Data path of the NVMe tier: a block cache and a merging writer in front of one device.
 *
 * Everything is by blocks of SPACE_BLOCK bytes. A data_view is a run of consecutive blocks in
 * cache memory, pinned while the view lives, so that the network can send from and receive into it
 * without a copy:
 *
 *	write:	data_view_alloc(d, blk, blk_nr, &v)	// fresh memory for reserved blocks
 *		... receive into v.iov ...
 *		data_view_write(&v)			// durable on return; stays cached
 *		data_view_put(&v)
 *	read:	data_view_read(d, blk, blk_nr, &v)	// from the cache or the device
 *		... send from v.iov ...
 *		data_view_put(&v)
 *
 * Writes of one loop turn to adjacent blocks become one device write, issued at the end of the
 * turn. They are durable when the call returns. The cache is bounded (CLOCK) and gives its memory
 * back when unused for a while. Blocks are not protected against concurrent writes to the same
 * block: space.h never hands one out twice while it is in use.
 */
#ifndef STORE_DATA_H
#define STORE_DATA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "runtime/co.h"
#include "store/dev/dev.h"
#include "store/space/space.h"

struct data;
struct xs;

struct data_conf {
	struct xs *xs;
	uint64_t cache_bytes; /* bound of cached and pinned memory; 0 = 64 MiB; at least 4 MiB */
	uint32_t idle_ms;     /* memory is given back after this long without use; 0 = 10000 */
	uint32_t merge_max_bytes; /* largest merged write; 0 = 1 MiB */
};

int data_open(const struct data_conf *conf, struct dev *dev, struct data **ret_data);
/* Waits for writes under way. All views must have been put. NULL is fine. */
void co_fn data_close(struct data *d);

enum { DATA_VIEW_BLOCKS_MAX = 1024 }; /* one view: 4 MiB */

struct data_view {
	struct data *d;
	uint64_t blk;
	uint32_t blk_nr;
	uint32_t iov_nr;
	struct iovec *iov; /* blk_nr * SPACE_BLOCK bytes, in as few segments as memory allows */
	struct iovec iov_inl[4];
	bool shown;      /* readers of the blocks find it */
	uint32_t *frame; /* private */
	uint32_t frame_inl[4];
};

/* Wait while all of the cache is pinned (FIFO, about 100 ms at most; then they overdraw it, and
 * -DER_NOMEM only when that is used up too). -DER_INVAL, -DER_IO. */
int co_fn data_view_alloc(struct data *d, uint64_t blk, uint32_t blk_nr,
			  struct data_view *ret_view);
int co_fn data_view_read(struct data *d, uint64_t blk, uint32_t blk_nr, struct data_view *ret_view);
/* Only for a view from data_view_alloc(). -DER_IO, -DER_NOSPACE: the blocks are then not cached. */
int co_fn data_view_write(struct data_view *view);
/* The same without waiting: done(w, rc) is called when the view is durable or that failed, and must
 * not yield; until then view and w stay. */
struct data_write {
	struct list link;
	struct data_view *view;
	void (*done)(struct data_write *w, int rc);
};
void data_view_write_start(struct data_view *view, struct data_write *w);
/* From now on readers of the blocks find this view, written or not: for blocks that a transaction
 * has just published and that become durable together with it. */
void data_view_show(struct data_view *view);
/* A cleared view (all zero) is fine. */
void data_view_put(struct data_view *view);

/*
 * Blocks in cache memory whose content was compared with checksums (those of the values in them, of
 * which this part knows nothing) may be marked as trusted; they stay so until they leave memory.
 */
/* Are all of these blocks in memory and trusted? */
bool data_is_trusted(const struct data *d, uint64_t blk, uint64_t blk_nr);
/* The same of blocks [first, first + nr) of a view. */
bool data_view_is_trusted(const struct data_view *view, uint32_t first, uint32_t nr);
void data_view_trust(struct data_view *view, uint32_t first, uint32_t nr);

/* Convenience for callers with memory of their own (copies; short last block is padded with zeros).
 */
int co_fn data_write(struct data *d, uint64_t blk, const struct iovec *iov, int iov_nr);
/* Read len bytes from byte offset off into buf (any alignment). */
int co_fn data_read(struct data *d, uint64_t off, void *buf, size_t len);

/* Forget cached blocks (freed space, or to verify the copy on the device). Pinned ones are only
 * unlinked. */
void data_forget(struct data *d, uint64_t blk, uint64_t blk_nr);

struct data_stats {
	uint64_t cache_bytes; /* in memory now */
	uint64_t pinned_bytes;
	uint64_t hit_nr, miss_nr;         /* blocks */
	uint64_t write_nr, written_bytes; /* device writes */
	uint64_t write_req_nr; /* data_view_write() calls: write_req_nr / write_nr = merge factor */
	uint64_t read_nr, read_bytes;
};
void data_stats(const struct data *d, struct data_stats *ret_stats);

#endif
