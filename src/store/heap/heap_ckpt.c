/*
 * Heap: checkpoint.
 *
 * Dirty pages are kept in the order in which they first became dirty, so the first one says from
 * where the log is still needed. The checkpoint takes pages from the front in groups: copies them
 * (in slices, others run in between), notes their checksums in the table, waits until the log is
 * durable up to the newest change in the copies, and writes copies and table blocks through the
 * double-write area. Then the log's tail moves to what the first page still dirty needs. A page
 * changed again meanwhile simply is at the end of the list again.
 *
 * It runs when the log is filled beyond a mark or somebody waits for log space, and some seconds
 * after the first change otherwise; it sleeps while nothing changes. It needs no log space, no heap
 * space and no transaction, so nothing can keep it from going on.
 */
#define LOG_FACILITY "heap"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/xs.h"
#include "store/heap/heap_internal.h"

enum {
	CKPT_IDLE_MS = 5000,
	CKPT_RETRY_NS = 100000000,
};

/* A group of copies on their way. */
struct ckpt {
	struct heap *heap;
	uint8_t *buf; /* header block and HEAP_DW_NR images */
	uint32_t pages[HEAP_DW_NR];
	uint32_t page_nr;
	uint32_t blks[HEAP_DW_NR]; /* where the images belong: pages first, then table blocks */
	uint32_t nr;
	uint64_t lsn; /* the log must be durable up to here */
};
static const size_t ckpt_buf_bytes = (size_t)(HEAP_DW_NR + 1) * DEV_BLOCK;

/* --- one group
 * ------------------------------------------------------------------------------------- */

static int
u32_cmp(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Table blocks that the first nr chosen pages, which are sorted, need. */
static uint32_t
sums_needed(const struct ckpt *c)
{
	uint32_t i, nr = 0;

	for (i = 0; i < c->page_nr; i++)
		nr +=
		    i == 0 || c->pages[i] / HEAP_SUM_PER_BLK != c->pages[i - 1] / HEAP_SUM_PER_BLK;
	return nr;
}

/* Choose dirty pages older than goal from the front, in ascending order. */
static void
choose(struct ckpt *c, uint64_t goal)
{
	struct heap *heap = c->heap;
	uint32_t idx = heap->dirty_head;

	c->page_nr = 0;
	while (idx != PAGE_NONE && c->page_nr < HEAP_DW_NR &&
	       heap_page(heap, idx)->rec_lsn < goal) {
		c->pages[c->page_nr++] = idx;
		idx = heap_page(heap, idx)->next;
	}
	qsort(c->pages, c->page_nr, sizeof(c->pages[0]), u32_cmp);
	/* Those given up for lack of room are chosen next time: they are still dirty. */
	while (c->page_nr + sums_needed(c) > HEAP_DW_NR)
		c->page_nr--;
}

static uint8_t *
next_image(struct ckpt *c, uint32_t blk)
{
	c->blks[c->nr] = blk;
	return c->buf + (uint64_t)(++c->nr) * DEV_BLOCK;
}

static void
check_shadow_page(const struct heap *heap, uint32_t idx)
{
	uint64_t at = (uint64_t)idx * HEAP_PAGE;

	if (heap->shadow == NULL || memcmp(heap->base + at, heap->shadow + at, HEAP_PAGE) == 0)
		return;
	log_crit("heap page %u was changed without being declared", idx);
	abort();
}

static void
copy_page(struct ckpt *c, uint32_t idx, struct heap_sum_df *sum)
{
	struct heap *heap = c->heap;
	struct page *page = heap_page(heap, idx);
	uint8_t *image = next_image(c, heap->super.page_blk + idx);

	assert(!heap->tx.open && (heap->state[idx] & PAGE_RESIDENT));
	check_shadow_page(heap, idx);
	memcpy(image, heap->base + (uint64_t)idx * HEAP_PAGE, HEAP_PAGE);
	sum->page_crc[idx % HEAP_SUM_PER_BLK] = heap_page_crc(image);
	if (page->last_lsn > c->lsn)
		c->lsn = page->last_lsn;
	heap_page_clean(heap, idx);
	page->writing = true;
}

/* From the first copy on there is no way back: the pages count as clean. */
static void co_fn
copy_pages(struct ckpt *c)
{
	uint32_t i;

	for (i = 0; i < c->page_nr; i++) {
		copy_page(c, c->pages[i], c->heap->sums[c->pages[i] / HEAP_SUM_PER_BLK]);
		if (i % CKPT_SLICE == CKPT_SLICE - 1)
			co_yield();
	}
	for (i = 0; i < c->page_nr; i++) {
		uint32_t blk = c->pages[i] / HEAP_SUM_PER_BLK;
		struct heap_sum_df *sum = c->heap->sums[blk];

		if (i > 0 && blk == c->pages[i - 1] / HEAP_SUM_PER_BLK)
			continue;
		sum->crc = heap_sum_crc(sum);
		memcpy(next_image(c, c->heap->super.sum_blk + blk), sum, DEV_BLOCK);
	}
}

/* Have the table blocks of the chosen pages in memory. */
static int co_fn
load_sums(struct ckpt *c)
{
	struct heap_sum_df *sum;
	uint32_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < c->page_nr; i++)
		rc = heap_sum_load(c->heap, c->pages[i], &sum);
	return rc;
}

static int co_fn
write_group(struct ckpt *c, uint64_t goal)
{
	struct heap *heap = c->heap;
	uint32_t i;
	int rc;

	c->nr = 0;
	c->lsn = 0;
	choose(c, goal);
	rc = load_sums(c);
	if (rc != 0)
		return rc;
	copy_pages(c);
	rc = wal_wait(heap->wal, c->lsn);
	if (rc == 0)
		rc = heap_dw_write(heap, c->buf, c->blks, c->nr);
	if (rc != 0)
		return rc == -DER_NOMEM ? -DER_IO : rc; /* cannot be repeated */
	for (i = 0; i < c->page_nr; i++)
		heap_page(heap, c->pages[i])->writing = false;
	heap->stats.ckpt_page_nr += c->page_nr;
	heap_evict_excess(heap);
	return 0;
}

/* --- one checkpoint
 * -------------------------------------------------------------------------------------- */

/* Move the log's tail to what is still needed. */
static int co_fn
trim(struct heap *heap)
{
	uint64_t lsn;
	int rc;

	/* Not beyond what is durable: a later position would be lost with the unwritten batches. */
	rc = wal_wait(heap->wal, heap->last_lsn);
	if (rc != 0)
		return rc;
	if (heap->dirty_head != PAGE_NONE)
		lsn = heap_page(heap, heap->dirty_head)->rec_lsn;
	else
		lsn = wal_open_lsn(heap->wal);
	if (lsn > wal_durable_lsn(heap->wal))
		lsn = wal_durable_lsn(heap->wal);
	return wal_trim(heap->wal, lsn);
}

static int co_fn
checkpoint(struct heap *heap)
{
	uint64_t goal = heap->ckpt_full ? UINT64_MAX : wal_open_lsn(heap->wal);
	struct ckpt *c = mem_new(struct ckpt);
	int rc = -DER_NOMEM;

	heap->ckpt_full = false;
	if (c != NULL) {
		c->heap = heap;
		c->buf = dev_buf_alloc(ckpt_buf_bytes);
	}
	if (c != NULL && c->buf != NULL) {
		rc = 0;
		while (rc == 0 && heap->dirty_head != PAGE_NONE &&
		       heap_page(heap, heap->dirty_head)->rec_lsn < goal) {
			rc = write_group(c, goal);
			if (rc == 0)
				rc = trim(heap);
		}
		dev_buf_free(c->buf, ckpt_buf_bytes);
	}
	free(c);
	return rc == 0 ? trim(heap) : rc;
}

/* --- the coroutine
 * ------------------------------------------------------------------------------------------ */

static void
heap_failed(struct heap *heap, int rc)
{
	if (heap->rc != 0)
		return;
	heap->rc = rc;
	log_err("%s: checkpoint failed (" ERR_F "); no more changes", heap->pages->name, ERR_P(rc));
	wal_fail(heap->wal, rc);
}

static int co_fn
ckpt_main(void *arg)
{
	struct heap *heap = arg;
	int rc;

	for (;;) {
		if (heap->stopping || heap->rc != 0)
			break;
		if (!heap->ckpt_want) {
			co_waitq_wait(&heap->ckpt_wq, 0);
			continue;
		}
		heap->ckpt_want = false;
		heap->ckpt_started++;
		rc = checkpoint(heap);
		/* Without memory it can be tried again later; the log only grows meanwhile. */
		if (rc == -DER_NOMEM) {
			co_sleep_ns(CKPT_RETRY_NS);
			heap->ckpt_want = true;
			continue;
		}
		if (rc != 0)
			heap_failed(heap, rc);
		heap->stats.ckpt_nr++;
		heap->ckpt_done = heap->ckpt_started;
		co_waitq_wake_all(&heap->ckpt_done_wq);
		if (heap->dirty_nr > 0)
			heap_ckpt_arm(heap);
	}
	co_waitq_wake_all(&heap->ckpt_done_wq);
	return 0;
}

static void
ckpt_due(struct xs_timer *t)
{
	heap_ckpt_kick(t->arg);
}

void
heap_ckpt_kick(struct heap *heap)
{
	heap->ckpt_want = true;
	co_waitq_wake_all(&heap->ckpt_wq);
}

void
heap_ckpt_arm(struct heap *heap)
{
	uint32_t ms = heap->conf.ckpt_idle_ms != 0 ? heap->conf.ckpt_idle_ms : CKPT_IDLE_MS;

	if (heap->ckpt_running && !heap->stopping && heap->ckpt_timer.heap_idx == 0)
		xs_timer_arm(heap->conf.xs, &heap->ckpt_timer,
			     xs_now_ns(heap->conf.xs) + ms * 1000000ull);
}

int
heap_ckpt_start(struct heap *heap)
{
	int rc;

	rc = co_group_spawn(&heap->ckpt_group, ckpt_main, heap);
	if (rc != 0)
		return rc;
	heap->ckpt_running = true;
	xs_timer_init(&heap->ckpt_timer, ckpt_due, heap);
	if (heap->dirty_nr > 0) /* from replay */
		heap_ckpt_arm(heap);
	return 0;
}

void co_fn
heap_ckpt_stop(struct heap *heap)
{
	if (!heap->ckpt_running)
		return;
	heap->stopping = true;
	xs_timer_cancel(&heap->ckpt_timer);
	co_waitq_wake_all(&heap->ckpt_wq);
	co_group_join(&heap->ckpt_group);
	heap->ckpt_running = false;
}

int co_fn
heap_checkpoint(struct heap *heap)
{
	uint64_t target = heap->ckpt_started + 1;

	if (heap->conf.read_only)
		return -DER_INVAL;
	heap->ckpt_full = true;
	heap_ckpt_kick(heap);
	while (heap->rc == 0 && !heap->stopping && heap->ckpt_done < target)
		co_waitq_wait(&heap->ckpt_done_wq, 0);
	return heap->rc;
}
