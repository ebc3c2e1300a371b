/* Private parts of the heap. */
#ifndef STORE_HEAP_INTERNAL_H
#define STORE_HEAP_INTERNAL_H

#include "store/heap/heap.h"
#include "store/heap/heap_format.h"
#include "runtime/xs.h"
#include "store/wal/wal.h"

enum {
	PAGE_NONE = UINT32_MAX,
	PAGE_GROUP = 1024, /* pages whose states are allocated together */
	SLAB_NONE = UINT32_MAX,
	CLASS_MAX = 48,
	LOAD_RUN_MAX = 64,  /* pages per read */
	LOAD_INFLIGHT = 32, /* reads at a time during replay */
	LOAD_DENSE = 12,    /* of 64 pages: read all of them */
	EVICT_SCAN = 64,    /* steps of the clock's hand per page to be dropped */
	EVICT_SLICE = 32,   /* pages dropped before others get a turn */
	CKPT_SLICE = 32,    /* pages copied before others get a turn */
	CKPT_INFLIGHT = 16, /* writes at a time */
	MARGIN_SLABS = 48,  /* slabs kept for HEAP_RESV_RECLAIM: at least one per size class */
	MARGIN_SHARE = 64,  /* ... or this share of all, if that is more */
};

/* Byte per page, looked at on every access. */
enum page_bits {
	PAGE_RESIDENT = 1 << 0,
	PAGE_USED = 1 << 1,    /* for the choice of what to drop */
	PAGE_LOADING = 1 << 2, /* a read is under way */
};

/* State of a page that is or was in memory. */
struct page {
	uint32_t next, prev; /* dirty list */
	uint32_t pin_nr;
	bool dirty;        /* differs from what the checkpoint has copied */
	bool writing;      /* a checkpoint is writing a copy */
	uint64_t rec_lsn;  /* dirty: start of the batch with the first change not yet copied */
	uint64_t last_lsn; /* of the last change */
};

/* Volatile image of a slab_df plus its place in the list of its class. Zero = free. */
struct slab {
	uint32_t next, prev;
	uint16_t free_nr;
	uint8_t kind;
	uint8_t class_idx;
	bool listed;
};

struct tx_range {
	uint64_t off;
	uint32_t len;
	uint32_t undo; /* position in the undo buffer; UINT32_MAX: none needed */
};

/* The open transaction; a heap has one, reused. */
struct heap_tx {
	struct heap *heap;
	struct heap_resv *resv;
	bool open;
	uint32_t claimed_nr; /* ranges that frees will add at commit; their room is made */
	uint64_t log_bytes;  /* bound of the record so far */
	struct tx_range *ranges;
	uint32_t range_nr, range_cap;
	uint8_t *undo;
	uint32_t undo_len, undo_cap;
	uint64_t *frees;
	uint32_t free_nr, free_cap;
	uint32_t *slabs; /* whose volatile image must be read again on abort */
	uint32_t slab_nr, slab_cap;
	uint32_t slabs_taken; /* free slabs used so far */
	int64_t net_bytes;    /* of objects allocated less those freed */
	struct heap_dep_df *deps;
	uint32_t dep_nr, dep_cap;
	struct list hooks;
};

struct heap_alloc {
	uint64_t desc_off, map_off, slab_off;
	uint32_t slab_nr;
	uint32_t free_slabs;
	uint32_t margin;
	uint64_t reserved_slabs;
	uint64_t used_bytes;
	struct slab *slabs;          /* slab_nr, in reserved memory */
	uint64_t *free_map;          /* bit set: free */
	uint32_t free_hint;          /* no free slab below this word */
	uint32_t partial[CLASS_MAX]; /* slabs of the class with free objects */
};

struct heap {
	struct heap_conf conf;
	struct dev *pages;
	struct heap_super_df super;
	struct wal *wal;
	int rc; /* sticky error */

	uint8_t *base;   /* the region */
	uint64_t size;   /* its bytes */
	uint8_t *shadow; /* second image, or NULL */
	uint8_t *state;  /* page_bits */
	struct page **groups;
	uint16_t *group_resident;  /* pages in memory of each group */
	struct heap_sum_df **sums; /* loaded blocks of the checksum table */
	uint32_t page_nr;
	uint32_t resident_nr;
	uint32_t dirty_head, dirty_tail, dirty_nr;
	uint32_t evict_hand;
	struct co_waitq load_wq;

	/* What the last heap_try() that returned NULL was after. */
	uint64_t miss_off;
	uint64_t miss_len; /* 0: outside the region */

	uint64_t change_seq;
	uint64_t last_lsn;
	uint64_t dep_lsn; /* of the last commit with dependences */
	struct heap_tx tx;
	struct heap_alloc alloc;

	/* Checkpoint */
	struct co_group ckpt_group;
	struct co_waitq ckpt_wq;      /* the coroutine waits for work */
	struct co_waitq ckpt_done_wq; /* others wait for ckpt_done */
	struct xs_timer ckpt_timer;
	bool ckpt_running;
	bool ckpt_want;
	bool ckpt_full; /* everything, not only what is older than the start */
	bool stopping;
	/* what was loaded for the log must stay until the log has been applied to it */
	bool replaying;
	uint64_t ckpt_started, ckpt_done;
	uint64_t dw_seq;

	struct heap_stats stats;
};

/* heap_page.c */
int heap_map(struct heap *heap);
void heap_unmap(struct heap *heap);
struct page *heap_page(const struct heap *heap, uint32_t idx);
/* State struct of a page about to become resident. -DER_NOMEM. */
int heap_page_ready(struct heap *heap, uint32_t idx);
/* The page becomes resident as it is in memory (zeros, if it never was): for pages without content.
 */
int heap_page_fresh(struct heap *heap, uint32_t idx);
int co_fn heap_sum_load(struct heap *heap, uint32_t page_idx, struct heap_sum_df **ret_sum);
uint32_t heap_sum_crc(const struct heap_sum_df *sum);
uint32_t heap_page_crc(const void *page);
void heap_page_dirty(struct heap *heap, uint32_t idx, uint64_t rec_lsn, uint64_t lsn);
void heap_page_clean(struct heap *heap, uint32_t idx);
/* Drop pages until no more than resident_max is in memory, as far as pages can be dropped. */
void co_fn heap_evict_excess(struct heap *heap);
/* Load all pages marked in want (a bit map over the region) that are missing, and perhaps some of
 * their neighbours. */
int co_fn heap_load_marked(struct heap *heap, const uint64_t *want);

/* heap_tx.c */
void heap_tx_fini(struct heap_tx *tx);
int heap_tx_note_slab(struct heap_tx *tx, uint32_t slab);
/* Set room aside for nr ranges of bytes in all, to be used at commit by heap_tx_add_claimed(). */
int heap_tx_claim(struct heap_tx *tx, uint32_t nr, uint32_t bytes);
void heap_tx_add_claimed(struct heap_tx *tx, uint64_t off, uint32_t len);
/* Declare without undo copy. */
int heap_tx_add_fresh(struct heap_tx *tx, uint64_t off, uint32_t len);

/* heap_alloc.c */
void heap_alloc_geometry(uint64_t region_bytes, struct heap_df *ret_df);
int co_fn heap_alloc_load(struct heap *heap);
void heap_alloc_fini(struct heap *heap);
void heap_alloc_settle(struct heap_tx *tx);
void heap_alloc_rollback(struct heap_tx *tx);
uint64_t heap_alloc_resv_slabs(uint64_t heap_bytes);
/* Walk the persistent state; see heap_verify(). */
int co_fn heap_alloc_verify(struct heap *heap,
			    bool (*is_used)(void *arg, uint64_t off, uint32_t size), void *arg);

/* heap_ckpt.c */
int heap_ckpt_start(struct heap *heap);
void co_fn heap_ckpt_stop(struct heap *heap);
void heap_ckpt_kick(struct heap *heap);
/* The first page became dirty. */
void heap_ckpt_arm(struct heap *heap);

/* heap_dw.c */
struct heap_dw_image {
	uint32_t blk;
	const uint8_t *data;
};
/* Write the images of buf (header block, then nr blocks of data for blks[]) so that they survive a
 * torn write: first to the double-write area, then in place. Durable on return. */
int co_fn heap_dw_write(struct heap *heap, uint8_t *buf, const uint32_t *blks, uint32_t nr);
/* Repeat the last such write if it was cut short. */
int co_fn heap_dw_recover(struct heap *heap);

/* heap_replay.c: wal_conf.replay */
int co_fn heap_replay(void *arg, const struct wal_replay_batch *batches, uint32_t batch_nr);
/* wal_conf.check */
int co_fn heap_replay_check(void *arg, const struct wal_replay_batch *batch);
/* Apply one record to an image. -DER_CSUM when it is malformed. */
int heap_rec_check(const struct heap *heap, const uint8_t *rec, uint32_t max, uint32_t *ret_len);
void heap_rec_apply(uint8_t *image, const uint8_t *rec);

#endif
