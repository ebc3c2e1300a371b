/*
 * Heap: transactions.
 *
 * A transaction collects the ranges it is going to change, each with a copy of its old bytes. Abort
 * puts the copies back in reverse order. Commit sorts and merges the ranges, copies their final
 * bytes into one record of the log, marks the pages dirty and is done: what can fail (memory for
 * the lists, room in the log's buffer, space in the ring) was made sure of when the ranges were
 * declared.
 *
 * Between begin and end nothing yields, so there is one transaction object per heap and its lists
 * keep their memory from one transaction to the next.
 */
#define LOG_FACILITY "heap"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/heap/heap_internal.h"

enum {
	RANGES_FIRST = 64,
	UNDO_FIRST = 4096,
	DEPS_FIRST = 16,
	UNDO_NONE = UINT32_MAX,
	LOOK_BACK = 4,      /* ranges compared to find that a byte is declared already */
	KEEP_RANGES = 4096, /* lists larger than this are not kept for the next transaction */
	KEEP_UNDO = 256 << 10,
	SORT_SMALL = 24,
};

/* --- lists ----------------------------------------------------------------------------------- */

/* Make room for one more element of size bytes. */
static int
grow(void **list, uint32_t *cap, uint64_t need, size_t size, uint32_t first)
{
	uint64_t want = *cap == 0 ? first : *cap;
	void *p;

	if (need <= *cap)
		return 0;
	while (want < need)
		want *= 2;
	p = mem_realloc(*list, want, size);
	if (p == NULL)
		return -DER_NOMEM;
	*list = p;
	*cap = want;
	return 0;
}

static void
drop_large(void **list, uint32_t *cap, uint32_t keep)
{
	if (*cap <= keep)
		return;
	free(*list);
	*list = NULL;
	*cap = 0;
}

void
heap_tx_fini(struct heap_tx *tx)
{
	free(tx->ranges);
	free(tx->undo);
	free(tx->frees);
	free(tx->slabs);
	free(tx->deps);
}

/* --- begin
 * ----------------------------------------------------------------------------------------- */

struct heap_tx *
heap_tx_begin(struct heap *heap, struct heap_resv *resv)
{
	struct heap_tx *tx = &heap->tx;

	assert(!tx->open && !heap->conf.read_only && resv->log_bytes > 0);
	tx->heap = heap;
	tx->resv = resv;
	tx->open = true;
	tx->claimed_nr = 0;
	tx->log_bytes = sizeof(struct heap_rec_df);
	tx->range_nr = 0;
	tx->undo_len = 0;
	tx->free_nr = 0;
	tx->slab_nr = 0;
	tx->slabs_taken = 0;
	tx->net_bytes = 0;
	tx->dep_nr = 0;
	list_init(&tx->hooks);
	heap->change_seq++;
	return tx;
}

struct heap *
heap_tx_heap(const struct heap_tx *tx)
{
	return tx->heap;
}

uint64_t
heap_tx_log_bytes(const struct heap_tx *tx)
{
	return tx->log_bytes;
}

struct heap_tx *
heap_tx_current(const struct heap *heap)
{
	return heap->tx.open ? (struct heap_tx *)&heap->tx : NULL;
}

void
heap_tx_hook_add(struct heap_tx *tx, struct heap_tx_hook *hook)
{
	list_push_back(&tx->hooks, &hook->link);
}

/* --- declaring
 * --------------------------------------------------------------------------------------- */

/* Room for nr more ranges of bytes in all, without allocation. */
static int
heap_tx_room(struct heap_tx *tx, uint32_t nr, uint32_t bytes)
{
	uint64_t total = tx->log_bytes + (uint64_t)nr * HEAP_RANGE_WORD + bytes;
	int rc;

	if (total > tx->resv->log_bytes)
		return -DER_NOSPACE;
	rc = wal_ensure(tx->heap->wal, total);
	if (rc == 0)
		rc = grow((void **)&tx->ranges, &tx->range_cap,
			  (uint64_t)tx->range_nr + tx->claimed_nr + nr, sizeof(*tx->ranges),
			  RANGES_FIRST);
	return rc;
}

int
heap_tx_dep(struct heap_tx *tx, const struct heap_dep *dep)
{
	int rc;

	assert(tx->open && dep->blk_nr > 0);
	rc = heap_tx_room(tx, 1, sizeof(*tx->deps));
	if (rc == 0)
		rc = grow((void **)&tx->deps, &tx->dep_cap, tx->dep_nr + 1, sizeof(*tx->deps),
			  DEPS_FIRST);
	if (rc != 0)
		return rc;
	tx->log_bytes += HEAP_RANGE_WORD + sizeof(*tx->deps);
	tx->deps[tx->dep_nr++] =
	    (struct heap_dep_df){.blk = dep->blk, .blk_nr = dep->blk_nr, .crc = dep->crc};
	return 0;
}

int
heap_tx_claim(struct heap_tx *tx, uint32_t nr, uint32_t bytes)
{
	int rc;

	rc = heap_tx_room(tx, nr, bytes);
	if (rc != 0)
		return rc;
	tx->claimed_nr += nr;
	tx->log_bytes += (uint64_t)nr * HEAP_RANGE_WORD + bytes;
	return 0;
}

void
heap_tx_add_claimed(struct heap_tx *tx, uint64_t off, uint32_t len)
{
	assert(tx->claimed_nr > 0);
	tx->claimed_nr--;
	tx->ranges[tx->range_nr++] = (struct tx_range){.off = off, .len = len, .undo = UNDO_NONE};
	tx->heap->change_seq++;
}

/* Room was made before. */
static void
range_push(struct heap_tx *tx, uint64_t off, uint32_t len, uint32_t undo)
{
	tx->ranges[tx->range_nr++] = (struct tx_range){.off = off, .len = len, .undo = undo};
	tx->log_bytes += HEAP_RANGE_WORD + len;
	tx->heap->change_seq++;
}

static bool
already_declared(const struct heap_tx *tx, uint64_t off, uint32_t len)
{
	uint32_t i, nr = tx->range_nr < LOOK_BACK ? tx->range_nr : LOOK_BACK;

	for (i = 1; i <= nr; i++) {
		const struct tx_range *r = &tx->ranges[tx->range_nr - i];

		if (off >= r->off && off + len <= r->off + r->len)
			return true;
	}
	return false;
}

int
heap_tx_add(struct heap_tx *tx, uint64_t off, uint32_t len)
{
	struct heap *heap = tx->heap;
	const uint8_t *now;
	int rc;

	assert(tx->open);
	now = heap_try(heap, off, len);
	if (now == NULL)
		return HEAP_MISS;
	if (already_declared(tx, off, len))
		return 0;
	rc = heap_tx_room(tx, 1, len);
	if (rc == 0)
		rc = grow((void **)&tx->undo, &tx->undo_cap, (uint64_t)tx->undo_len + len, 1,
			  UNDO_FIRST);
	if (rc != 0)
		return rc;
	memcpy(tx->undo + tx->undo_len, now, len);
	range_push(tx, off, len, tx->undo_len);
	tx->undo_len += len;
	return 0;
}

int
heap_tx_add_fresh(struct heap_tx *tx, uint64_t off, uint32_t len)
{
	int rc;

	/* After an abort nobody looks at these bytes, but the second image is compared whole. */
	if (tx->heap->shadow != NULL)
		return heap_tx_add(tx, off, len);
	rc = heap_tx_room(tx, 1, len);
	if (rc == 0)
		range_push(tx, off, len, UNDO_NONE);
	return rc;
}

int
heap_tx_write(struct heap_tx *tx, uint64_t off, const void *src, uint32_t len)
{
	int rc;

	rc = heap_tx_add(tx, off, len);
	if (rc == 0)
		memcpy(tx->heap->base + off, src, len);
	return rc;
}

int
heap_tx_note_slab(struct heap_tx *tx, uint32_t slab)
{
	int rc;

	if (tx->slab_nr > 0 && tx->slabs[tx->slab_nr - 1] == slab)
		return 0;
	rc = grow((void **)&tx->slabs, &tx->slab_cap, tx->slab_nr + 1, sizeof(*tx->slabs),
		  RANGES_FIRST);
	if (rc == 0)
		tx->slabs[tx->slab_nr++] = slab;
	return rc;
}

/* --- ending
 * ------------------------------------------------------------------------------------------- */

static void
tx_end(struct heap_tx *tx)
{
	tx->open = false;
	tx->resv = NULL;
	drop_large((void **)&tx->ranges, &tx->range_cap, KEEP_RANGES);
	drop_large((void **)&tx->undo, &tx->undo_cap, KEEP_UNDO);
	drop_large((void **)&tx->frees, &tx->free_cap, KEEP_RANGES);
	drop_large((void **)&tx->slabs, &tx->slab_cap, KEEP_RANGES);
}

static void
run_hooks(struct heap_tx *tx, bool committed, uint64_t lsn)
{
	while (!list_empty(&tx->hooks)) {
		struct list *pos = committed ? tx->hooks.next : tx->hooks.prev;
		struct heap_tx_hook *hook = list_entry(pos, struct heap_tx_hook, link);

		list_del(pos);
		hook->fn(hook, committed, lsn);
	}
}

int64_t
heap_tx_net_bytes(const struct heap_tx *tx)
{
	return tx->net_bytes;
}

void
heap_tx_not_mine(struct heap_tx *tx, int64_t bytes)
{
	tx->net_bytes -= bytes;
}

void
heap_tx_abort(struct heap_tx *tx)
{
	struct heap *heap = tx->heap;
	uint32_t i;

	assert(tx->open);
	for (i = tx->range_nr; i-- > 0;) {
		const struct tx_range *r = &tx->ranges[i];

		if (r->undo != UNDO_NONE)
			memcpy(heap->base + r->off, tx->undo + r->undo, r->len);
	}
	heap_alloc_rollback(tx);
	heap->change_seq++;
	run_hooks(tx, false, 0);
	tx_end(tx);
}

static int
range_cmp(const void *a, const void *b)
{
	const struct tx_range *ra = a, *rb = b;

	return ra->off < rb->off ? -1 : ra->off > rb->off;
}

static void
sort_ranges(struct tx_range *r, uint32_t nr)
{
	uint32_t i, j;

	if (nr > SORT_SMALL) {
		qsort(r, nr, sizeof(*r), range_cmp);
		return;
	}
	for (i = 1; i < nr; i++) {
		struct tx_range x = r[i];

		for (j = i; j > 0 && r[j - 1].off > x.off; j--)
			r[j] = r[j - 1];
		r[j] = x;
	}
}

/* Join ranges that overlap or touch; returns how many are left. */
static uint32_t
merge_ranges(struct tx_range *r, uint32_t nr)
{
	uint32_t i, last = 0;

	for (i = 1; i < nr; i++) {
		uint64_t end = r[last].off + r[last].len;

		if (r[i].off > end) {
			r[++last] = r[i];
		} else if (r[i].off + r[i].len > end) {
			r[last].len = r[i].off + r[i].len - r[last].off;
		}
	}
	return last + 1;
}

/* Write the record; returns its length. */
static uint32_t
fill_record(const struct heap_tx *tx, uint8_t *rec)
{
	const struct heap *heap = tx->heap;
	const struct tx_range *r = tx->ranges;
	uint32_t nr = tx->range_nr;
	struct heap_rec_df hdr = {.range_nr = nr + tx->dep_nr};
	uint8_t *p = rec + sizeof(hdr);
	uint32_t i;

	for (i = 0; i < nr; i++) {
		uint64_t word = r[i].off << HEAP_RANGE_LEN_BITS | r[i].len;

		memcpy(p, &word, sizeof(word));
		memcpy(p + sizeof(word), heap->base + r[i].off, r[i].len);
		p += sizeof(word) + r[i].len;
	}
	for (i = 0; i < tx->dep_nr; i++) {
		uint64_t word = HEAP_DEP_OFF << HEAP_RANGE_LEN_BITS | sizeof(tx->deps[i]);

		memcpy(p, &word, sizeof(word));
		memcpy(p + sizeof(word), &tx->deps[i], sizeof(tx->deps[i]));
		p += sizeof(word) + sizeof(tx->deps[i]);
	}
	hdr.len_bytes = p - rec;
	memcpy(rec, &hdr, sizeof(hdr));
	return hdr.len_bytes;
}

static void
mark_dirty(struct heap *heap, const struct tx_range *r, uint32_t nr, uint64_t rec_lsn, uint64_t lsn)
{
	uint32_t i, idx;

	for (i = 0; i < nr; i++) {
		uint32_t last = (r[i].off + r[i].len - 1) / HEAP_PAGE;

		for (idx = r[i].off / HEAP_PAGE; idx <= last; idx++)
			heap_page_dirty(heap, idx, rec_lsn, lsn);
	}
}

/* Apply the record to the second image: what differs then was changed without being declared. */
static void
check_shadow(struct heap *heap, const struct tx_range *r, uint32_t nr, const uint8_t *rec)
{
	uint32_t i, idx;

	if (heap->shadow == NULL)
		return;
	heap_rec_apply(heap->shadow, rec);
	for (i = 0; i < nr; i++) {
		uint32_t last = (r[i].off + r[i].len - 1) / HEAP_PAGE;

		for (idx = r[i].off / HEAP_PAGE; idx <= last; idx++) {
			uint64_t at = (uint64_t)idx * HEAP_PAGE;

			if (memcmp(heap->shadow + at, heap->base + at, HEAP_PAGE) == 0)
				continue;
			while (heap->shadow[at] == heap->base[at])
				at++;
			log_crit("heap offset %#llx was changed without being declared",
				 (unsigned long long)at);
			abort();
		}
	}
}

static uint64_t
commit_record(struct heap_tx *tx)
{
	struct heap *heap = tx->heap;
	uint64_t rec_lsn, lsn;
	uint8_t *rec;
	uint32_t len;

	sort_ranges(tx->ranges, tx->range_nr);
	tx->range_nr = merge_ranges(tx->ranges, tx->range_nr);
	rec_lsn = wal_open_lsn(heap->wal);
	rec = wal_rec_begin(heap->wal);
	len = fill_record(tx, rec);
	check_shadow(heap, tx->ranges, tx->range_nr, rec);
	lsn = wal_rec_end(heap->wal, len);
	mark_dirty(heap, tx->ranges, tx->range_nr, rec_lsn, lsn);
	heap->last_lsn = lsn;
	if (tx->dep_nr > 0)
		wal_hold(heap->wal, lsn);
	return lsn;
}

void
heap_tx_commit(struct heap_tx *tx, uint64_t *ret_lsn)
{
	struct heap *heap = tx->heap;
	struct heap_resv *resv = tx->resv;
	uint64_t lsn = heap->last_lsn;

	assert(tx->open && (tx->dep_nr == 0 || tx->range_nr > 0));
	heap_alloc_settle(tx);
	if (tx->range_nr > 0)
		lsn = commit_record(tx);
	heap->stats.tx_nr++;
	run_hooks(tx, true, lsn);
	if (tx->dep_nr > 0)
		heap->dep_lsn = lsn;
	tx_end(tx);
	heap_unreserve(heap, resv);
	if (ret_lsn != NULL)
		*ret_lsn = lsn;
}

/* --- reservations
 * ---------------------------------------------------------------------------------------- */

int co_fn
heap_reserve(struct heap *heap, uint64_t log_bytes, uint64_t heap_bytes, uint32_t flags,
	     struct heap_resv *ret_resv)
{
	struct heap_alloc *alloc = &heap->alloc;
	bool reclaim = flags & HEAP_RESV_RECLAIM;
	uint64_t slabs = heap_alloc_resv_slabs(heap_bytes);
	int rc;

	if (heap->rc != 0)
		return heap->rc;
	if (log_bytes == 0)
		log_bytes = HEAP_TX_LOG_DEFAULT;
	log_bytes += sizeof(struct heap_rec_df);
	if (heap->conf.read_only)
		return -DER_NO_PERM;
	if (log_bytes > HEAP_TX_LOG_MAX)
		return -DER_INVAL;
	if (slabs > 0 &&
	    alloc->free_slabs < alloc->reserved_slabs + slabs + (reclaim ? 0 : alloc->margin))
		return -DER_NOSPACE;
	alloc->reserved_slabs += slabs;
	rc = wal_reserve(heap->wal, wal_cost(log_bytes), reclaim, flags & HEAP_RESV_NOWAIT);
	if (rc != 0) {
		alloc->reserved_slabs -= slabs;
		return rc;
	}
	*ret_resv = (struct heap_resv){
	    .log_bytes = log_bytes,
	    .heap_bytes = heap_bytes,
	    .flags = flags,
	};
	return 0;
}

int co_fn
heap_reserve_log(struct heap *heap, struct heap_resv *resv, uint64_t log_bytes)
{
	bool reclaim = resv->flags & HEAP_RESV_RECLAIM;
	uint64_t old_cost = wal_cost(resv->log_bytes), cost;
	int rc;

	if (heap->rc != 0)
		return heap->rc;
	log_bytes += sizeof(struct heap_rec_df);
	if (log_bytes > HEAP_TX_LOG_MAX || resv->log_bytes == 0)
		return -DER_INVAL;
	if (log_bytes <= resv->log_bytes)
		return 0;
	cost = wal_cost(log_bytes);
	if (resv->flags & HEAP_RESV_NOWAIT) {
		rc = wal_reserve(heap->wal, cost - old_cost, reclaim, true);
	} else {
		/* Wait with empty hands, or those who raise could wait for each other for ever. */
		wal_unreserve(heap->wal, old_cost);
		rc = wal_reserve(heap->wal, cost, reclaim, false);
		if (rc != 0) /* the log is dead: only the books must be right */
			wal_reserve_back(heap->wal, old_cost);
	}
	if (rc == 0)
		resv->log_bytes = log_bytes;
	return rc;
}

void
heap_unreserve(struct heap *heap, struct heap_resv *resv)
{
	if (resv->log_bytes == 0)
		return;
	heap->alloc.reserved_slabs -= heap_alloc_resv_slabs(resv->heap_bytes);
	wal_unreserve(heap->wal, wal_cost(resv->log_bytes));
	memset(resv, 0, sizeof(*resv));
}

int co_fn
heap_tx_run(struct heap *heap, uint64_t log_bytes, uint64_t heap_bytes, uint32_t flags,
	    int (*fn)(struct heap_tx *tx, void *arg), void *arg, uint64_t *ret_lsn)
{
	struct heap_resv resv;
	struct heap_tx *tx;
	int rc;

	rc = heap_reserve(heap, log_bytes, heap_bytes, flags, &resv);
	if (rc != 0)
		return rc;
	do {
		tx = heap_tx_begin(heap, &resv);
		rc = fn(tx, arg);
		if (rc == 0)
			heap_tx_commit(tx, ret_lsn);
		else
			heap_tx_abort(tx);
	} while (heap_retry(heap, &rc));
	heap_unreserve(heap, &resv);
	return rc;
}

/* --- durability
 * -------------------------------------------------------------------------------------------- */

uint64_t
heap_last_lsn(const struct heap *heap)
{
	return heap->last_lsn;
}

uint64_t
heap_durable_lsn(const struct heap *heap)
{
	return wal_durable_lsn(heap->wal);
}

void
heap_dep_done(struct heap *heap, uint64_t lsn, int rc)
{
	wal_release(heap->wal, lsn, rc);
}

uint64_t
heap_dep_lsn(const struct heap *heap)
{
	return heap->dep_lsn;
}

uint64_t
heap_proven_lsn(const struct heap *heap)
{
	return wal_proven_lsn(heap->wal);
}

int
heap_mark(struct heap *heap, uint64_t *ret_lsn)
{
	const struct heap_rec_df hdr = {.len_bytes = sizeof(hdr)};
	uint64_t cost = wal_cost(sizeof(hdr));
	int rc;

	if (heap->tx.open)
		return -DER_BUSY;
	if (heap->rc != 0)
		return heap->rc;
	rc = wal_reserve(heap->wal, cost, true, true);
	if (rc != 0)
		return rc;
	rc = wal_ensure(heap->wal, sizeof(hdr));
	if (rc == 0) {
		memcpy(wal_rec_begin(heap->wal), &hdr, sizeof(hdr));
		heap->last_lsn = wal_rec_end(heap->wal, sizeof(hdr));
		*ret_lsn = heap->last_lsn;
	}
	wal_unreserve(heap->wal, cost);
	return rc;
}

int co_fn
heap_wait_durable(struct heap *heap, uint64_t lsn)
{
	return wal_wait(heap->wal, lsn);
}
