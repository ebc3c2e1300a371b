/*
 * Heap: which pages are in memory.
 *
 * The region is one reservation of anonymous memory; a page of it holds content only while its bit
 * in state[] says resident. A missing page is read straight into its place, checked against the
 * checksum table and then declared resident. A page that was never written has checksum 0 in the
 * table and needs no read: anonymous memory is zero. Dropping a page returns its memory to the
 * system.
 *
 * The functions that look (heap_try) never wait; they leave behind what is missing, and
 * heap_retry() brings exactly that in. Several coroutines may want the same page: one reads, the
 * others wait.
 */
#define LOG_FACILITY "heap"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/crc.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/xs.h"
#include "store/heap/heap_internal.h"

/* --- memory
 * ----------------------------------------------------------------------------------------- */

static void *
reserve_memory(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* Whole huge pages would bring in, and keep, 512 times what is used. */
	madvise(p, bytes, MADV_NOHUGEPAGE);
	return p;
}

int
heap_map(struct heap *heap)
{
	uint64_t group_nr = (heap->page_nr + PAGE_GROUP - 1) / PAGE_GROUP;

	heap->base = reserve_memory(heap->size);
	heap->state = reserve_memory(heap->page_nr);
	if (heap->conf.shadow)
		heap->shadow = reserve_memory(heap->size);
	heap->groups = mem_calloc(group_nr, sizeof(*heap->groups));
	heap->group_resident = mem_calloc(group_nr, sizeof(*heap->group_resident));
	heap->sums = mem_calloc(heap->super.sum_nr, sizeof(*heap->sums));
	if (heap->base == NULL || heap->state == NULL || heap->groups == NULL ||
	    heap->group_resident == NULL || heap->sums == NULL ||
	    (heap->conf.shadow && heap->shadow == NULL))
		return -DER_NOMEM;
	return 0;
}

void
heap_unmap(struct heap *heap)
{
	uint64_t i;

	if (heap->base != NULL)
		munmap(heap->base, heap->size);
	if (heap->shadow != NULL)
		munmap(heap->shadow, heap->size);
	if (heap->state != NULL)
		munmap(heap->state, heap->page_nr);
	for (i = 0; heap->groups != NULL && i * PAGE_GROUP < heap->page_nr; i++)
		free(heap->groups[i]);
	free(heap->groups);
	free(heap->group_resident);
	for (i = 0; heap->sums != NULL && i < heap->super.sum_nr; i++) {
		if (heap->sums[i] != NULL)
			dev_buf_free(heap->sums[i], DEV_BLOCK);
	}
	free(heap->sums);
}

struct page *
heap_page(const struct heap *heap, uint32_t idx)
{
	struct page *group = heap->groups[idx / PAGE_GROUP];

	return group == NULL ? NULL : &group[idx % PAGE_GROUP];
}

int
heap_page_ready(struct heap *heap, uint32_t idx)
{
	struct page **group = &heap->groups[idx / PAGE_GROUP];

	if (*group == NULL)
		*group = mem_calloc(PAGE_GROUP, sizeof(**group));
	return *group == NULL ? -DER_NOMEM : 0;
}

static void
page_arrived(struct heap *heap, uint32_t idx)
{
	heap->state[idx] = PAGE_RESIDENT | PAGE_USED;
	heap->resident_nr++;
	heap->group_resident[idx / PAGE_GROUP]++;
	if (heap->shadow != NULL)
		memcpy(heap->shadow + (uint64_t)idx * HEAP_PAGE,
		       heap->base + (uint64_t)idx * HEAP_PAGE, HEAP_PAGE);
}

int
heap_page_fresh(struct heap *heap, uint32_t idx)
{
	int rc;

	if (heap->state[idx] & PAGE_RESIDENT)
		return 0;
	if (heap->state[idx] & PAGE_LOADING)
		return HEAP_MISS; /* the reader would overwrite what we put there */
	rc = heap_page_ready(heap, idx);
	if (rc == 0)
		page_arrived(heap, idx);
	return rc;
}

/* --- looking
 * ----------------------------------------------------------------------------------------- */

void *
heap_ptr(const struct heap *heap, uint64_t off)
{
	assert(off < heap->size && (heap->state[off / HEAP_PAGE] & PAGE_RESIDENT));
	return heap->base + off;
}

const void *
heap_addr(const struct heap *heap, uint64_t off)
{
	/* Not pointer arithmetic: off may come from a damaged page. */
	return (const void *)((uintptr_t)heap->base + off);
}

uint64_t
heap_off(const struct heap *heap, const void *ptr)
{
	uint64_t off = (const uint8_t *)ptr - heap->base;

	assert(off < heap->size);
	return off;
}

void *
heap_try(struct heap *heap, uint64_t off, uint32_t len)
{
	uint64_t i, last;

	if (__builtin_expect(off == 0 || len == 0 || off >= heap->size || len > heap->size - off,
			     0)) {
		heap->miss_off = off;
		heap->miss_len = 0;
		return NULL;
	}
	last = (off + len - 1) / HEAP_PAGE;
	for (i = off / HEAP_PAGE; i <= last; i++) {
		uint8_t state = heap->state[i];

		if (__builtin_expect(!(state & PAGE_RESIDENT), 0)) {
			heap->miss_off = off;
			heap->miss_len = len;
			return NULL;
		}
		if (!(state & PAGE_USED))
			heap->state[i] = state | PAGE_USED;
	}
	return heap->base + off;
}

bool co_fn
heap_retry(struct heap *heap, int *rc)
{
	if (*rc != HEAP_MISS)
		return false;
	if (heap->miss_len == 0) {
		log_err("%s: pointer %#llx leads outside the heap", heap->pages->name,
			(unsigned long long)heap->miss_off);
		*rc = -DER_CSUM;
		return false;
	}
	*rc = heap_fault(heap, heap->miss_off, heap->miss_len);
	return *rc == 0;
}

uint64_t
heap_change_seq(const struct heap *heap)
{
	return heap->change_seq;
}

void
heap_pin(struct heap *heap, uint64_t off, uint64_t len)
{
	uint64_t i;

	for (i = off / HEAP_PAGE; i <= (off + len - 1) / HEAP_PAGE; i++) {
		assert(heap->state[i] & PAGE_RESIDENT);
		heap_page(heap, i)->pin_nr++;
	}
}

void
heap_unpin(struct heap *heap, uint64_t off, uint64_t len)
{
	uint64_t i;

	for (i = off / HEAP_PAGE; i <= (off + len - 1) / HEAP_PAGE; i++) {
		assert(heap_page(heap, i)->pin_nr > 0);
		heap_page(heap, i)->pin_nr--;
	}
}

uint64_t
heap_read_lsn(const struct heap *heap, uint64_t off, uint64_t len)
{
	uint64_t i, lsn = 0;

	for (i = off / HEAP_PAGE; i <= (off + len - 1) / HEAP_PAGE; i++) {
		const struct page *page = heap_page(heap, i);

		if (page != NULL && page->last_lsn > lsn)
			lsn = page->last_lsn;
	}
	return lsn;
}

/* --- checksums
 * ----------------------------------------------------------------------------------------- */

uint32_t
heap_page_crc(const void *page)
{
	uint32_t crc = crc32c(0, page, HEAP_PAGE);

	return crc == 0 ? 1 : crc;
}

uint32_t
heap_sum_crc(const struct heap_sum_df *sum)
{
	static const uint32_t zero;
	uint32_t crc;

	crc = crc32c(0, sum, offsetof(struct heap_sum_df, crc));
	crc = crc32c(crc, &zero, sizeof(zero));
	return crc32c(crc, &sum->idx, sizeof(*sum) - offsetof(struct heap_sum_df, idx));
}

int co_fn
heap_sum_load(struct heap *heap, uint32_t page_idx, struct heap_sum_df **ret_sum)
{
	uint32_t idx = page_idx / HEAP_SUM_PER_BLK;
	struct heap_sum_df *sum;
	int rc;

	if (heap->sums[idx] != NULL) {
		*ret_sum = heap->sums[idx];
		return 0;
	}
	sum = dev_buf_alloc(DEV_BLOCK);
	if (sum == NULL)
		return -DER_NOMEM;
	rc = dev_read(heap->pages, (heap->super.sum_blk + idx) * DEV_BLOCK, sum, DEV_BLOCK);
	if (rc == 0 &&
	    (sum->magic != HEAP_SUM_MAGIC || sum->idx != idx || sum->crc != heap_sum_crc(sum))) {
		log_err("%s: block %u of the checksum table is damaged", heap->pages->name, idx);
		rc = -DER_CSUM;
	}
	/* Somebody else may have been faster. */
	if (rc == 0 && heap->sums[idx] == NULL) {
		heap->sums[idx] = sum;
		sum = NULL;
	}
	if (sum != NULL)
		dev_buf_free(sum, DEV_BLOCK);
	if (rc == 0)
		*ret_sum = heap->sums[idx];
	return rc;
}

/* --- loading
 * ------------------------------------------------------------------------------------------- */

static bool
is_missing(const struct heap *heap, uint32_t idx)
{
	return (heap->state[idx] & (PAGE_RESIDENT | PAGE_LOADING)) == 0;
}

/* The page was read into place: check and admit it, or drop it. */
static int
page_admit(struct heap *heap, uint32_t idx, uint32_t crc)
{
	uint8_t *page = heap->base + (uint64_t)idx * HEAP_PAGE;

	if (heap_page_crc(page) == crc) {
		page_arrived(heap, idx);
		return 0;
	}
	madvise(page, HEAP_PAGE, MADV_DONTNEED);
	log_err("%s: page %u (device offset %#llx) does not match its checksum", heap->pages->name,
		idx, (unsigned long long)(heap->super.page_blk + idx) * DEV_BLOCK);
	return -DER_CSUM;
}

/* Read nr pages that are marked as loading by us; all or none of them were written before. */
static int co_fn
read_run(struct heap *heap, uint32_t idx, uint32_t nr, const uint32_t *crc)
{
	uint64_t off = (heap->super.page_blk + idx) * (uint64_t)DEV_BLOCK;
	uint8_t *dst = heap->base + (uint64_t)idx * HEAP_PAGE;
	uint32_t i;
	int read_rc = 0, rc;

	if (crc[0] != 0) {
		read_rc = dev_read(heap->pages, off, dst, (size_t)nr * HEAP_PAGE);
		heap->stats.fault_nr += nr;
	}
	for (i = 0, rc = 0; i < nr; i++) {
		int page_rc = read_rc; /* a bad page does not keep its neighbours out */

		heap->state[idx + i] &= ~PAGE_LOADING;
		if (page_rc == 0 && crc[i] != 0)
			page_rc = page_admit(heap, idx + i, crc[i]);
		else if (page_rc == 0)
			page_arrived(heap, idx + i);
		if (rc == 0)
			rc = page_rc;
	}
	co_waitq_wake_all(&heap->load_wq);
	return rc;
}

/* Load up to max pages from idx on that can be read as one. *ret_nr: how many were dealt with. */
static int co_fn
load_run(struct heap *heap, uint32_t idx, uint32_t max, uint32_t *ret_nr)
{
	struct heap_sum_df *sum;
	uint32_t crc[LOAD_RUN_MAX];
	uint32_t slot = idx % HEAP_SUM_PER_BLK;
	uint32_t nr = 0;
	int rc;

	rc = heap_sum_load(heap, idx, &sum);
	if (rc != 0)
		return rc;
	while (nr < max && nr < LOAD_RUN_MAX && slot + nr < HEAP_SUM_PER_BLK &&
	       is_missing(heap, idx + nr)) {
		crc[nr] = sum->page_crc[slot + nr];
		if ((crc[nr] != 0) != (crc[0] != 0))
			break;
		rc = heap_page_ready(heap, idx + nr);
		if (rc != 0)
			break;
		heap->state[idx + nr] |= PAGE_LOADING;
		nr++;
	}
	*ret_nr = nr;
	return nr == 0 ? rc : read_run(heap, idx, nr, crc);
}

static void
page_drop(struct heap *heap, uint32_t idx)
{
	heap->state[idx] = 0;
	heap->resident_nr--;
	heap->group_resident[idx / PAGE_GROUP]--;
	madvise(heap->base + (uint64_t)idx * HEAP_PAGE, HEAP_PAGE, MADV_DONTNEED);
}

/* The next resident page at or after the hand, which it moves there; PAGE_NONE: none within this
 * step. Passes over groups, or 8 pages, without any at once. */
static uint32_t
hand_step(struct heap *heap)
{
	uint32_t idx = heap->evict_hand;
	uint64_t eight;

	if (heap->group_resident[idx / PAGE_GROUP] == 0) {
		idx = (idx / PAGE_GROUP + 1) * PAGE_GROUP;
		heap->evict_hand = idx < heap->page_nr ? idx : 0;
		return PAGE_NONE;
	}
	if (idx % 8 == 0 && idx + 8 <= heap->page_nr) {
		memcpy(&eight, &heap->state[idx], sizeof(eight));
		if (eight == 0) {
			heap->evict_hand = idx + 8 < heap->page_nr ? idx + 8 : 0;
			return PAGE_NONE;
		}
	}
	heap->evict_hand = idx + 1 < heap->page_nr ? idx + 1 : 0;
	return heap->state[idx] & PAGE_RESIDENT ? idx : PAGE_NONE;
}

/* Drop up to nr pages that were not used since the hand last passed (a clock). Makes room softly:
 * gives up after a while. */
static void
evict(struct heap *heap, uint32_t nr)
{
	uint64_t scan;

	for (scan = (uint64_t)nr * EVICT_SCAN; scan > 0 && nr > 0; scan--) {
		uint32_t idx = hand_step(heap);
		const struct page *page;

		if (idx == PAGE_NONE)
			continue;
		if (heap->state[idx] & PAGE_USED) {
			heap->state[idx] &= ~PAGE_USED;
			continue;
		}
		page = heap_page(heap, idx);
		if (page->dirty || page->writing || page->pin_nr > 0)
			continue;
		page_drop(heap, idx);
		nr--;
	}
}

/* While the log is replayed, what was loaded must stay until it has been changed. */
static bool
over_limit(const struct heap *heap)
{
	return heap->conf.resident_max != 0 && !heap->replaying &&
	       (uint64_t)heap->resident_nr * HEAP_PAGE > heap->conf.resident_max;
}

void co_fn
heap_evict_excess(struct heap *heap)
{
	uint32_t before;

	while (over_limit(heap)) {
		before = heap->resident_nr;
		evict(heap, EVICT_SLICE);
		if (heap->resident_nr == before)
			break; /* dirty, pinned, or all used lately */
		co_yield();
	}
}

int co_fn
heap_fault(struct heap *heap, uint64_t off, uint64_t len)
{
	uint32_t idx, last, nr;
	int rc;

	if (len == 0 || off >= heap->size || len > heap->size - off)
		return -DER_INVAL;
	assert(!heap->tx.open);
	idx = off / HEAP_PAGE;
	last = (off + len - 1) / HEAP_PAGE;
	if (over_limit(heap))
		evict(heap, 2 * (last - idx + 1));
	while (idx <= last) {
		if (heap->state[idx] & PAGE_RESIDENT) {
			heap->state[idx] |= PAGE_USED;
			idx++;
		} else if (heap->state[idx] & PAGE_LOADING) {
			co_waitq_wait(&heap->load_wq, 0);
		} else {
			nr = 0;
			rc = load_run(heap, idx, last - idx + 1, &nr);
			if (rc != 0)
				return rc;
		}
	}
	return 0;
}

/* --- loading many
 * ---------------------------------------------------------------------------------------- */

struct load_job {
	struct heap *heap;
	const uint64_t *want;
	uint32_t next; /* page to look at */
};

/* Many pages wanted of 64 neighbours: reading all of them at once costs less than the wanted ones
 * one by one. */
static bool
is_dense(uint64_t word)
{
	return __builtin_popcountll(word) >= LOAD_DENSE;
}

static bool
is_wanted(const uint64_t *want, uint32_t idx)
{
	return is_dense(want[idx / 64]) || want[idx / 64] >> (idx % 64) & 1;
}

/* Not all of these can be had: bad ones among those that nobody asked for do not matter. */
static int co_fn
load_asked(struct load_job *job, uint32_t idx, uint32_t nr)
{
	uint32_t end = idx + nr;
	int rc = 0;

	for (; rc == 0 && idx < end; idx++)
		if (job->want[idx / 64] >> (idx % 64) & 1)
			rc = heap_fault(job->heap, (uint64_t)idx * HEAP_PAGE, HEAP_PAGE);
	return rc;
}

/* One of several workers that share a cursor. */
static int co_fn
load_worker(void *arg)
{
	struct load_job *job = arg;
	struct heap *heap = job->heap;

	while (job->next < heap->page_nr) {
		uint32_t idx = job->next, nr = 0;
		int rc;

		if (job->want[idx / 64] == 0) {
			job->next = (idx / 64 + 1) * 64;
			continue;
		}
		while (nr < LOAD_RUN_MAX && idx + nr < heap->page_nr &&
		       is_wanted(job->want, idx + nr))
			nr++;
		job->next = idx + (nr > 0 ? nr : 1);
		if (nr == 0)
			continue;
		rc = heap_fault(heap, (uint64_t)idx * HEAP_PAGE, (uint64_t)nr * HEAP_PAGE);
		if (rc != 0)
			rc = load_asked(job, idx, nr);
		if (rc != 0) {
			job->next = heap->page_nr;
			return rc;
		}
	}
	return 0;
}

int co_fn
heap_load_marked(struct heap *heap, const uint64_t *want)
{
	struct load_job job = {.heap = heap, .want = want};
	struct co_group group;
	int i, rc, rc2;

	co_group_init(&group);
	for (i = 1; i < LOAD_INFLIGHT; i++) {
		if (co_group_spawn(&group, load_worker, &job) != 0)
			break; /* fewer workers do as well */
	}
	rc = load_worker(&job);
	rc2 = co_group_join(&group);
	return rc != 0 ? rc : rc2;
}

int co_fn
heap_load_all(struct heap *heap)
{
	uint64_t max = heap->conf.resident_max;
	struct heap_sum_df *sum;
	uint32_t idx = 0, nr;
	int rc, first = 0;

	heap->conf.resident_max = 0;
	while (idx < heap->page_nr) {
		rc = heap_sum_load(heap, idx, &sum);
		/* what can be read as one, so that a bad page does not hide its neighbours */
		nr = 0;
		while (rc == 0 && idx + nr < heap->page_nr && nr < LOAD_RUN_MAX &&
		       (idx + nr) / HEAP_SUM_PER_BLK == idx / HEAP_SUM_PER_BLK &&
		       is_missing(heap, idx + nr) &&
		       sum->page_crc[(idx + nr) % HEAP_SUM_PER_BLK] != 0)
			nr++;
		if (nr > 0)
			rc = heap_fault(heap, (uint64_t)idx * HEAP_PAGE, (uint64_t)nr * HEAP_PAGE);
		if (first == 0)
			first = rc;
		/* without its table block nothing can be said of 1020 pages */
		idx += rc != 0 && nr == 0 ? HEAP_SUM_PER_BLK - idx % HEAP_SUM_PER_BLK
		       : nr > 0           ? nr
					  : 1;
	}
	heap->conf.resident_max = max;
	return first;
}

/* --- dirty pages
 * ------------------------------------------------------------------------------------------ */

void
heap_page_dirty(struct heap *heap, uint32_t idx, uint64_t rec_lsn, uint64_t lsn)
{
	struct page *page = heap_page(heap, idx);

	page->last_lsn = lsn;
	if (page->dirty)
		return;
	page->dirty = true;
	page->rec_lsn = rec_lsn;
	page->next = PAGE_NONE;
	page->prev = heap->dirty_tail;
	if (heap->dirty_tail == PAGE_NONE)
		heap->dirty_head = idx;
	else
		heap_page(heap, heap->dirty_tail)->next = idx;
	heap->dirty_tail = idx;
	if (heap->dirty_nr++ == 0)
		heap_ckpt_arm(heap);
}

void
heap_page_clean(struct heap *heap, uint32_t idx)
{
	struct page *page = heap_page(heap, idx);

	assert(page->dirty);
	page->dirty = false;
	if (page->prev == PAGE_NONE)
		heap->dirty_head = page->next;
	else
		heap_page(heap, page->prev)->next = page->next;
	if (page->next == PAGE_NONE)
		heap->dirty_tail = page->prev;
	else
		heap_page(heap, page->next)->prev = page->prev;
	heap->dirty_nr--;
}
