/*
 * Heap: transactional persistent memory in a file. One region per target and pool.
 *
 * A persistent pointer is a u64 offset into the region, 0 is null. heap_ptr() turns it into an
 * address. All content is little-endian and laid out by the user's _df structs.
 *
 * Three rules of use:
 *
 * 1. Residency. A page may be on the device only. Every access to memory that the caller did not
 *    itself touch earlier in the same turn goes through heap_try(); it returns NULL for a page that
 *    is not in memory and notes which. The function then returns HEAP_MISS, and so does everything
 *    above it, up to the outermost function of the operation, which is the only one that may yield:
 *    it has the page loaded and starts the operation over:
 *
 *		do
 *			rc = op_lookup(heap, ...);	// does not yield, has no side effect so far
 *		while (heap_retry(heap, &rc));		// yields; true: call again
 *
 *    Allocation, free, tree and space functions return HEAP_MISS in the same way. A page that was
 *    seen resident stays so until the next yield, longer only when pinned (heap_pin).
 *
 * 2. Transactions. All changes happen inside a transaction, which begins and ends without a yield;
 *    hence at most one is open per heap. A range is declared (heap_tx_add) before its bytes change.
 *    Commit makes all changes visible at once and gives the log position (lsn) after which they
 *    survive a crash; it cannot fail. Abort restores every declared byte and every allocation, so
 *    an operation that meets a HEAP_MISS or any error half way just aborts. heap_tx_run() does
 *    all this.
 *
 * 3. Durability. What a transaction changed is seen by the others at once, before it is durable.
 *    Nobody outside may be told of it before heap_wait_durable(lsn) returned 0: a writer waits for
 *    its own lsn, a reader for heap_read_lsn() of what it saw (or, coarser, heap_last_lsn()).
 *
 * A heap belongs to one xstream. co_fn functions only from its coroutines.
 */
#ifndef STORE_HEAP_H
#define STORE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <daos_errno.h>

#include "base/list.h"
#include "runtime/co.h"
#include "store/dev/dev.h"
#include "store/wal/durable.h"

/* "A page is missing; have it loaded and start over." Never leaves the store. */
#define HEAP_MISS (-DER_FETCH_AGAIN)

enum {
	HEAP_PAGE = 4096,
	HEAP_ROOT_BYTES = 256,     /* root area of the user */
	HEAP_ALLOC_MAX = 1 << 20,  /* largest object */
	HEAP_TX_LOG_MAX = 2 << 20, /* largest log reservation of one transaction */
	HEAP_TX_LOG_DEFAULT = 32 << 10,
};

struct heap;
struct heap_tx;
struct xs;

/* Blocks of another device and what must stand in them. */
struct heap_dep {
	uint64_t blk;
	uint32_t blk_nr;
	uint32_t crc; /* crc32c */
};

struct heap_conf {
	struct xs *xs;          /* home of the heap; its coroutines run there */
	uint64_t resident_max;  /* soft bound of bytes kept in memory; 0 = no bound */
	uint32_t ckpt_idle_ms;  /* checkpoint this long after the first change since the last one
				 * when the log does not ask for it earlier; 0 = 5000 */
	uint32_t ckpt_fill_pct; /* checkpoint when the log is this full; 0 = 50 */
	bool shadow;            /* replay every record into a second image and compare (tests) */
	/* open: whether content that a transaction depended on (heap_tx_dep) is there. 0;
	 * -DER_CSUM: it is not; another error ends the open. NULL: no transaction depends on
	 * anything. */
	int co_fn (*dep_check)(void *arg, const struct heap_dep *dep);
	void *arg;
	bool read_only; /* open only: replay in memory, write nothing; no transactions */
};

/* --- life ------------------------------------------------------------------------------------ */

/*
 * Lay out an empty heap on two devices: pages (size decides the capacity, at least 4 MiB) and log
 * (at least 256 KiB, better some MiB; should be created zeroed). Durable on return; open it with
 * heap_open(). -DER_INVAL when a device is too small, -DER_IO.
 */
int co_fn heap_create(const struct heap_conf *conf, struct dev *pages, struct dev *log);

/*
 * Recover and open. The devices stay the caller's and must outlive the heap. -DER_DF_INVAL: not a
 * heap or the two do not belong together; -DER_DF_INCOMPT: newer format; -DER_CSUM: damaged;
 * -DER_IO.
 */
int co_fn heap_open(const struct heap_conf *conf, struct dev *pages, struct dev *log,
		    struct heap **ret_heap);

/*
 * Write everything back when checkpoint is true (a clean shutdown: the next open replays nothing),
 * stop the coroutines, free. No transaction, reservation or waiter may be left. NULL is fine.
 * Works, without writing, on a heap whose device failed.
 */
void co_fn heap_close(struct heap *heap, bool checkpoint);

/* Offset of the user's root area: HEAP_ROOT_BYTES, zero after heap_create(). */
uint64_t heap_root(const struct heap *heap);

struct xs *heap_xs(const struct heap *heap);

/* --- access ---------------------------------------------------------------------------------- */

/* Address of a byte known to be resident (seen since the last yield, or pinned). */
void *heap_ptr(const struct heap *heap, uint64_t off);

/* Where off is or would be, resident or not; for prefetching only. */
const void *heap_addr(const struct heap *heap, uint64_t off);

/* Address of [off, off+len) or NULL when part of it is not resident (return HEAP_MISS) or when the
 * range is not inside the region (damaged pointer: heap_retry() then gives -DER_CSUM). len > 0. */
void *heap_try(struct heap *heap, uint64_t off, uint32_t len);
/* The same for a structure, which no offset but a multiple of 8 can hold: others are damage. */
static inline void *
heap_try_df(struct heap *heap, uint64_t off, uint32_t len)
{
	return heap_try(heap, off % 8 == 0 ? off : 0, len);
}

/* The other way round: the offset of an address inside the region. */
uint64_t heap_off(const struct heap *heap, const void *ptr);

/* See rule 1. False: *rc is the final result. */
bool co_fn heap_retry(struct heap *heap, int *rc);

/* Bring [off, off+len) in. 0, -DER_CSUM (rotten page), -DER_IO. */
int co_fn heap_fault(struct heap *heap, uint64_t off, uint64_t len);

/* Keep resident pages in memory across yields; counted. Does not keep objects from being freed. */
void heap_pin(struct heap *heap, uint64_t off, uint64_t len);
void heap_unpin(struct heap *heap, uint64_t off, uint64_t len);

/* Changes whenever any byte of the heap may have changed: cursors compare it to know that what they
 * remember still holds. */
uint64_t heap_change_seq(const struct heap *heap);

/* --- transactions ---------------------------------------------------------------------------- */

/*
 * Reservation: the promise that a transaction will find log and heap space. Taking one is the only
 * step that can wait or fail for space; it may be held for as long as needed (prepared
 * transactions).
 */
struct heap_resv {
	uint64_t log_bytes;
	uint64_t heap_bytes;
	uint32_t flags;
};
enum heap_resv_flags {
	/* May draw on the reserve kept for operations that give space back or finish what was begun
	 * (punch, commit, abort, aggregation). */
	HEAP_RESV_RECLAIM = 1 << 0,
	/* Fail with -DER_AGAIN instead of waiting for a checkpoint to free log space. */
	HEAP_RESV_NOWAIT = 1 << 1,
};

/*
 * log_bytes: sum over declared ranges of (length + 8), 0 = HEAP_TX_LOG_DEFAULT. heap_bytes: sum of
 * sizes to be allocated; 0 = no promise (heap_alloc may then fail with -DER_NOSPACE). -DER_NOSPACE:
 * heap full; -DER_INVAL: more than HEAP_TX_LOG_MAX; -DER_IO: the heap failed. Waits for log space,
 * FIFO.
 */
int co_fn heap_reserve(struct heap *heap, uint64_t log_bytes, uint64_t heap_bytes, uint32_t flags,
		       struct heap_resv *ret_resv);
/* Raise the log part of a reservation to log_bytes in all (heap space is promised early, log space
 * only shortly before the transaction). Waits and fails like heap_reserve(); the reservation then
 * stays as it was. */
int co_fn heap_reserve_log(struct heap *heap, struct heap_resv *resv, uint64_t log_bytes);
/* Give a reservation back that no transaction used up. Clears it; harmless on a cleared one. */
void heap_unreserve(struct heap *heap, struct heap_resv *resv);

/* Begin with a reservation, which stays the caller's until commit takes it (and clears it): after
 * an abort it is still good for the next attempt. */
struct heap_tx *heap_tx_begin(struct heap *heap, struct heap_resv *resv);

/* Declare that [off, off+len) will change. Declaring a byte twice is fine and costs nothing in the
 * log. HEAP_MISS; -DER_NOSPACE: more than the reservation; -DER_NOMEM. */
int heap_tx_add(struct heap_tx *tx, uint64_t off, uint32_t len);

/* Declare and copy. */
int heap_tx_write(struct heap_tx *tx, uint64_t off, const void *src, uint32_t len);

/* What the open transaction has allocated so far less what it frees, in bytes as heap_stats counts
 * them: for users who keep accounts of their own. heap_tx_not_mine() takes out what was allocated
 * on behalf of another. */
int64_t heap_tx_net_bytes(const struct heap_tx *tx);
void heap_tx_not_mine(struct heap_tx *tx, int64_t bytes);

/*
 * The transaction counts only together with content of another device, which is written at the same
 * time: it is durable when its log record and all of that are. The user starts those writes, not
 * later than the turn of the commit, and calls heap_dep_done() once with the lsn of the commit when
 * all have ended. An error there fails the heap: what was committed behind it cannot be taken back
 * one by one. After a crash heap_conf.dep_check looks whether the content is there. Its place must
 * not be written again, whatever is committed, before heap_dep_lsn() of now is at or below
 * heap_proven_lsn(). Results as of heap_tx_add().
 */
int heap_tx_dep(struct heap_tx *tx, const struct heap_dep *dep);
void heap_dep_done(struct heap *heap, uint64_t lsn, int rc);
/* lsn of the last commit with dependences, before the one that is being made. */
uint64_t heap_dep_lsn(const struct heap *heap);
uint64_t heap_proven_lsn(const struct heap *heap);
/* Append an empty record: when it is durable, what is durable now is proven. Does not yield.
 * -DER_AGAIN: no space in the log; -DER_BUSY: a transaction is open. */
int heap_mark(struct heap *heap, uint64_t *ret_lsn);

struct heap *heap_tx_heap(const struct heap_tx *tx);
/* Log space it takes so far, at most. */
uint64_t heap_tx_log_bytes(const struct heap_tx *tx);
/* The open transaction of a heap, or NULL. */
struct heap_tx *heap_tx_current(const struct heap *heap);

/* Commit. *ret_lsn (may be NULL) is what to wait for. Never fails, never yields. */
void heap_tx_commit(struct heap_tx *tx, uint64_t *ret_lsn);
void heap_tx_abort(struct heap_tx *tx);

/*
 * The usual frame: reserve, begin, fn, commit; on HEAP_MISS abort, load, again from begin; on
 * another error abort. fn must not yield and must have no effect that an abort does not undo (see
 * heap_tx_hook). Does not wait for durability.
 */
int co_fn heap_tx_run(struct heap *heap, uint64_t log_bytes, uint64_t heap_bytes, uint32_t flags,
		      int (*fn)(struct heap_tx *tx, void *arg), void *arg, uint64_t *ret_lsn);

/* Volatile state that must follow a transaction: fn is called once when it ends, in reverse order
 * of adding on abort, in order on commit (lsn is that of the commit). Must not yield or touch the
 * heap. The struct belongs to the caller; after fn ran it is free. */
struct heap_tx_hook {
	struct list link;
	void (*fn)(struct heap_tx_hook *hook, bool committed, uint64_t lsn);
};
void heap_tx_hook_add(struct heap_tx *tx, struct heap_tx_hook *hook);

/* --- durability ------------------------------------------------------------------------------ */

/* lsn of the last commit; what is durable so far. */
uint64_t heap_last_lsn(const struct heap *heap);
uint64_t heap_durable_lsn(const struct heap *heap);
/* Last commit that changed a page of [off, off+len) (0 when long ago: durable). */
uint64_t heap_read_lsn(const struct heap *heap, uint64_t off, uint64_t len);

/* 0; -DER_IO / -DER_SHUTDOWN when the log device failed: the transaction may or may not survive. */
int co_fn heap_wait_durable(struct heap *heap, uint64_t lsn);

/* Callback form: fn runs outside any coroutine (must not yield) once lsn is durable (rc 0) or the
 * heap failed or is being closed (rc != 0). Runs at once when already durable. Callbacks fire in
 * lsn order and must be registered in lsn order (the hook of a commit is the place). */
void heap_on_durable(struct heap *heap, struct durable_cb *cb, uint64_t lsn);

/* Run a checkpoint now and wait for it (tests, shutdown). */
int co_fn heap_checkpoint(struct heap *heap);

/* --- allocation ------------------------------------------------------------------------------ */

enum heap_alloc_flags {
	/* Do not zero and do not declare the new object: the caller declares what it writes; the
	 * rest is undefined. Keeps the log small for objects that are filled little by little. */
	HEAP_ALLOC_RAW = 1 << 0,
};

/* Allocate; the object is zeroed and wholly declared (unless RAW), aligned to 16 bytes (to 4096
 * when size is a multiple of it). HEAP_MISS, -DER_NOSPACE, -DER_INVAL. After an error of this or
 * any other function that changes something, the transaction must be aborted. */
int heap_alloc(struct heap_tx *tx, uint32_t size, uint32_t flags, uint64_t *ret_off);

/* Free an object when the transaction commits; until then its bytes stay. HEAP_MISS; -DER_CSUM when
 * off is not an allocated object (damage). off 0 is fine. */
int heap_free(struct heap_tx *tx, uint64_t off);

/* Bytes an object of this size really takes. */
uint32_t heap_alloc_size(uint32_t size);

/* --- state and checks ------------------------------------------------------------------------ */

struct heap_stats {
	uint64_t total_bytes; /* for objects */
	uint64_t used_bytes;  /* by objects, rounded up to their size classes */
	uint64_t free_bytes;  /* what an ordinary heap_reserve() can still get */
	uint64_t reserved_bytes;
	uint64_t resident_bytes;
	uint64_t dirty_bytes;
	uint64_t log_bytes; /* capacity */
	uint64_t log_used_bytes;
	uint64_t tx_nr;
	uint64_t log_write_nr; /* device writes; tx_nr / log_write_nr = group size */
	uint64_t log_written_bytes;
	uint64_t ckpt_nr;
	uint64_t ckpt_page_nr;
	uint64_t fault_nr;
	uint64_t replay_bytes; /* of the last open */
	uint64_t replay_ns;
	uint64_t torn_page_nr; /* restored from the double-write area at open */
};
void heap_stats(const struct heap *heap, struct heap_stats *ret_stats);

/* Bring every page in that was ever written, whatever resident_max says, and so check all of them.
 * A logged line for each that cannot be had; the first error. */
int co_fn heap_load_all(struct heap *heap);

/*
 * Check every invariant of the allocator against its index, and the shadow image if there is one.
 * When is_used is given, it is asked about every allocated object and must say true (leak check):
 * fn(arg, off, size). 0 or -DER_CSUM with a line logged for each violation.
 */
int co_fn heap_verify(struct heap *heap, bool (*is_used)(void *arg, uint64_t off, uint32_t size),
		      void *arg);

#endif
