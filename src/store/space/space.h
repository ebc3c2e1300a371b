/*
 * Space: extent allocator of the NVMe tier. Its state lives in the heap, so that an allocation is
 * published by the very transaction that publishes the index entry pointing to it, and a crash
 * leaks nothing.
 *
 * Life of an extent:
 *   reserve   volatile; nobody else gets these blocks; data may be written there
 *   publish   in a transaction: allocated for good          (or cancel: given back)
 *   free      in a transaction: blocks may be used again only when that transaction is durable and
 *             every read that began before (space_hold) has ended
 *
 * Unit is the block of SPACE_BLOCK bytes; an extent is {first block, number of blocks}. Small
 * reservations of one time are adjacent and become one device write; large ones get contiguous
 * runs, best fit. Nothing here yields but what is marked; publish, free and reserve may return
 * HEAP_MISS.
 */
#ifndef STORE_SPACE_H
#define STORE_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/heap/heap.h"

enum {
	SPACE_BLOCK = 4096,
	SPACE_ROOT_BYTES = 64,
	SPACE_EXT_BLOCKS_MAX = 1 << 15, /* largest extent: 128 MiB */
	/* Log bytes of one publish or free, beside one for every 8 blocks of the extent; a first
	 * publish in a stretch of 128 MiB needs SPACE_GROUP_LOG_BYTES once. For heap_reserve(). */
	SPACE_OP_LOG_BYTES = 160,
	SPACE_GROUP_LOG_BYTES = 4400,
};

struct space;

struct space_ext {
	uint64_t blk; /* first block; byte offset on the device / SPACE_BLOCK */
	uint32_t blk_nr;
};

/* Root of the persistent state, in an object (or the root area) of the user; layout in
 * space_format.h. */
struct space_root_df {
	uint64_t opaque[SPACE_ROOT_BYTES / 8];
};

/* Format: everything in [first_byte, first_byte + bytes) of the data device is free. first_byte is
 * a multiple of SPACE_BLOCK, the end is rounded down. Allocates the block map in the heap in
 * several transactions, the last one of which fills the root. */
int co_fn space_create(struct heap *heap, uint64_t root_off, uint64_t first_byte, uint64_t bytes);
/* dev: where freed blocks are to be discarded, in the background; NULL: the device keeps them. */
int co_fn space_open(struct heap *heap, uint64_t root_off, struct dev *dev,
		     struct space **ret_space);
/* Reservations left are forgotten. Before heap_close(). NULL is fine. */
void co_fn space_close(struct space *space);

enum space_flags {
	SPACE_CONTIG =
	    1 << 0, /* all in one extent; otherwise the result may be shorter than asked */
	SPACE_RECLAIM = 1 << 1, /* may draw on the reserve kept for aggregation and folding; small
				 * ones lie apart from what users write */
};
/*
 * Reserve up to blk_nr blocks in one extent. hint: block the result should be at or after, if the
 * stretch of 128 MiB around it has room there (0 = none). -DER_NOSPACE. The caller loops for the
 * rest when the answer is shorter.
 */
int space_reserve(struct space *space, uint32_t blk_nr, uint64_t hint, uint32_t flags,
		  struct space_ext *ret_ext);
void space_cancel(struct space *space, const struct space_ext *ext);
/* ext must be reserved, or part of what is. An abort makes it reserved again. */
int space_publish(struct heap_tx *tx, struct space *space, const struct space_ext *ext);
/* ext: allocated, whole extents or parts of them. -DER_CSUM when a block of it is not allocated
 * (damage). */
int space_free(struct heap_tx *tx, struct space *space, const struct space_ext *ext);

/* Blocks that the open transaction has published so far less those it frees. */
int64_t space_tx_net_blk(const struct space *space);

/* A read of published extents that yields between looking up the index and the end of its I/O holds
 * the space, or the blocks could be reused under it. Short: seconds, not minutes. */
struct space_hold {
	struct list link;
	uint64_t seq;
};
void space_hold(struct space *space, struct space_hold *hold);
void space_release(struct space *space, struct space_hold *hold);

struct space_stats {
	uint64_t total_blk;
	uint64_t used_blk;     /* published */
	uint64_t reserved_blk; /* not yet published */
	uint64_t freeing_blk;  /* freed, not yet reusable */
	uint64_t free_blk;     /* what space_reserve can get now, without the reserve */
	uint32_t group_nr;
	uint32_t group_full_nr;
	uint64_t scattered_nr;  /* requests that no single free run could hold */
	uint64_t discarded_blk; /* given back to the device since it was opened */
};
void space_stats(const struct space *space, struct space_stats *ret_stats);

/* How free space is cut up. Runs end at the borders of stretches of 128 MiB, since extents do. */
enum { SPACE_CLASS_NR = 16 };
struct space_frag {
	uint64_t free_blk;
	uint64_t run_nr;
	uint64_t longest_blk;
	uint64_t class_run_nr[SPACE_CLASS_NR]; /* runs of 2^i ... 2^(i+1) - 1 blocks */
	uint64_t class_blk[SPACE_CLASS_NR];    /* blocks in them */
};
int co_fn space_frag(struct space *space, struct space_frag *ret_frag);

/* Discard what has been free for delay_ms, at most bytes_per_s (0: no limit). */
void space_discard_conf(struct space *space, uint32_t delay_ms, uint64_t bytes_per_s);

/* Calls fn for each heap object of the allocator's own, for leak checks; its first error ends it.
 * Does not yield: HEAP_MISS. */
int space_own_objects(const struct space *space, int (*fn)(void *arg, uint64_t off), void *arg);

/* Persistent map against counters and volatile index; fn (may be NULL) gives for each allocated run
 * whether the user knows it, in ascending order, runs cut at group borders. -DER_CSUM on a
 * violation. */
int co_fn space_verify(struct space *space,
		       bool (*is_used)(void *arg, uint64_t blk, uint32_t blk_nr), void *arg);

#endif
