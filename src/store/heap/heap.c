/*
 * Heap: creation, opening, closing, figures. How it works is told in heap_page.c (residency),
 * heap_tx.c (transactions), heap_alloc.c (allocator), heap_ckpt.c, heap_dw.c and heap_replay.c
 * (durability).
 */
#define LOG_FACILITY "heap"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/xs.h"
#include "store/heap/heap_internal.h"

enum {
	HEAP_DEV_MIN = 4 << 20,
	CKPT_FILL_PCT = 50,
	SUM_CHUNK = 64, /* table blocks written at a time at creation */
};

/* --- super block
 * ------------------------------------------------------------------------------------ */

static uint32_t
super_crc(const struct heap_super_df *super)
{
	struct heap_super_df copy = *super;

	copy.crc = 0;
	return crc32c(0, &copy, sizeof(copy));
}

static void
super_init(const struct heap_conf *conf, uint64_t dev_bytes, struct heap_super_df *super)
{
	uint64_t blk_nr = dev_bytes / DEV_BLOCK, left;

	memset(super, 0, sizeof(*super));
	super->magic = HEAP_SUPER_MAGIC;
	super->version = HEAP_VERSION;
	env_rand_fill(xs_env(conf->xs), super->id, sizeof(super->id));
	super->dw_blk = 2;
	super->dw_nr = HEAP_DW_NR;
	super->sum_blk = super->dw_blk + 1 + super->dw_nr;
	left = blk_nr - super->sum_blk;
	super->sum_nr = (left + HEAP_SUM_PER_BLK) / (HEAP_SUM_PER_BLK + 1);
	super->page_blk = super->sum_blk + super->sum_nr;
	super->page_nr = left - super->sum_nr;
	if (super->page_nr > HEAP_REGION_MAX / HEAP_PAGE)
		super->page_nr = HEAP_REGION_MAX / HEAP_PAGE;
}

static bool
super_ok(const struct heap_super_df *super, uint64_t dev_bytes)
{
	uint64_t blk_nr = dev_bytes / DEV_BLOCK;

	return super->dw_blk == 2 && super->dw_nr == HEAP_DW_NR &&
	       super->sum_blk == super->dw_blk + 1 + super->dw_nr && super->sum_nr > 0 &&
	       super->sum_nr < blk_nr && super->page_blk == super->sum_blk + super->sum_nr &&
	       super->page_nr >= 16 && super->page_nr <= blk_nr - super->page_blk &&
	       super->page_nr <= super->sum_nr * HEAP_SUM_PER_BLK && super->page_nr < PAGE_NONE;
}

static int co_fn
super_read(struct dev *pages, struct heap_super_df *ret_super)
{
	uint8_t *buf;
	int i, rc;

	if (pages->size_bytes < HEAP_DEV_MIN)
		return -DER_DF_INVAL;
	buf = dev_buf_alloc(2 * DEV_BLOCK);
	if (buf == NULL)
		return -DER_NOMEM;
	rc = dev_read(pages, 0, buf, 2 * DEV_BLOCK);
	for (i = 0; rc == 0 && i < 2; i++) {
		memcpy(ret_super, buf + i * DEV_BLOCK, sizeof(*ret_super));
		if (ret_super->magic == HEAP_SUPER_MAGIC && ret_super->crc == super_crc(ret_super))
			break;
	}
	dev_buf_free(buf, 2 * DEV_BLOCK);
	if (rc != 0)
		return rc;
	if (i == 2)
		return -DER_DF_INVAL;
	if (ret_super->version != HEAP_VERSION)
		return -DER_DF_INCOMPT;
	return super_ok(ret_super, pages->size_bytes) ? 0 : -DER_DF_INVAL;
}

/* --- creation
 * ---------------------------------------------------------------------------------------- */

/* Checksum table of an empty heap: only page 0 has content. */
static int co_fn
write_sums(struct dev *pages, const struct heap_super_df *super, uint32_t page0_crc)
{
	const size_t len = (size_t)SUM_CHUNK * DEV_BLOCK;
	struct heap_sum_df *sum = dev_buf_alloc(len);
	uint64_t i, n;
	int rc = 0;

	if (sum == NULL)
		return -DER_NOMEM;
	for (i = 0; rc == 0 && i < super->sum_nr; i += n) {
		memset(sum, 0, len);
		for (n = 0; n < SUM_CHUNK && i + n < super->sum_nr; n++) {
			sum[n].magic = HEAP_SUM_MAGIC;
			sum[n].idx = i + n;
			if (i + n == 0)
				sum[n].page_crc[0] = page0_crc;
			sum[n].crc = heap_sum_crc(&sum[n]);
		}
		rc = dev_write(pages, (super->sum_blk + i) * DEV_BLOCK, sum, n * DEV_BLOCK, 0);
	}
	dev_buf_free(sum, len);
	return rc;
}

static int co_fn
write_empty(struct dev *pages, const struct heap_super_df *super, uint8_t *blk)
{
	struct heap_df df;
	int rc;

	/* No old double-write group may be taken for one of this heap. */
	memset(blk, 0, DEV_BLOCK);
	rc = dev_write(pages, super->dw_blk * DEV_BLOCK, blk, DEV_BLOCK, 0);
	if (rc != 0)
		return rc;
	heap_alloc_geometry(super->page_nr * HEAP_PAGE, &df);
	memcpy(blk, &df, sizeof(df));
	rc = write_sums(pages, super, heap_page_crc(blk));
	if (rc == 0)
		rc = dev_write(pages, super->page_blk * DEV_BLOCK, blk, DEV_BLOCK, 0);
	if (rc == 0)
		rc = dev_sync(pages);
	return rc;
}

static int co_fn
write_super(struct dev *pages, struct heap_super_df *super, uint8_t *blk)
{
	int i, rc = 0;

	super->crc = super_crc(super);
	memset(blk, 0, DEV_BLOCK);
	memcpy(blk, super, sizeof(*super));
	for (i = 0; rc == 0 && i < 2; i++)
		rc = dev_write(pages, (uint64_t)i * DEV_BLOCK, blk, DEV_BLOCK, DEV_WRITE_SYNC);
	return rc;
}

int co_fn
heap_create(const struct heap_conf *conf, struct dev *pages, struct dev *log)
{
	struct heap_super_df super;
	uint8_t *blk;
	int rc;

	if (pages->size_bytes < HEAP_DEV_MIN || log->size_bytes < WAL_DEV_MIN)
		return -DER_INVAL;
	blk = dev_buf_alloc(DEV_BLOCK);
	if (blk == NULL)
		return -DER_NOMEM;
	super_init(conf, pages->size_bytes, &super);
	rc = write_empty(pages, &super, blk);
	if (rc == 0)
		rc = wal_format(log, super.id);
	/* Last: what bears a super block is complete. */
	if (rc == 0)
		rc = write_super(pages, &super, blk);
	dev_buf_free(blk, DEV_BLOCK);
	return rc;
}

/* --- opening and closing
 * -------------------------------------------------------------------------------- */

static void
log_pressure(void *arg)
{
	heap_ckpt_kick(arg);
}

static void
log_failed(void *arg, int rc)
{
	struct heap *heap = arg;

	heap->rc = rc;
	heap_ckpt_kick(heap);
}

static void
heap_free_all(struct heap *heap)
{
	heap_alloc_fini(heap);
	heap_tx_fini(&heap->tx);
	heap_unmap(heap);
	free(heap);
}

static int co_fn
recover(struct heap *heap, struct dev *log)
{
	struct wal_conf conf = {
	    .xs = heap->conf.xs,
	    .id = {heap->super.id[0], heap->super.id[1]},
	    .read_only = heap->conf.read_only,
	    .replay = heap_replay,
	    .check = heap_replay_check,
	    .pressure = log_pressure,
	    .failed = log_failed,
	    .arg = heap,
	    .fill_pct = heap->conf.ckpt_fill_pct != 0 ? heap->conf.ckpt_fill_pct : CKPT_FILL_PCT,
	};
	uint64_t start = xs_now_fresh_ns(heap->conf.xs);
	struct wal_stats stats;
	int rc;

	rc = heap_dw_recover(heap);
	if (rc == 0)
		rc = wal_open(&conf, log, &heap->wal);
	if (rc != 0)
		return rc;
	wal_stats(heap->wal, &stats);
	heap->stats.replay_bytes = stats.replay_bytes;
	heap->stats.replay_ns = xs_now_fresh_ns(heap->conf.xs) - start;
	heap->last_lsn = wal_durable_lsn(heap->wal);
	return 0;
}

int co_fn
heap_open(const struct heap_conf *conf, struct dev *pages, struct dev *log, struct heap **ret_heap)
{
	struct heap *heap = mem_new(struct heap);
	int rc;

	if (heap == NULL)
		return -DER_NOMEM;
	heap->conf = *conf;
	heap->pages = pages;
	heap->dirty_head = PAGE_NONE;
	heap->dirty_tail = PAGE_NONE;
	heap->tx.heap = heap;
	co_waitq_init(&heap->load_wq);
	co_waitq_init(&heap->ckpt_wq);
	co_waitq_init(&heap->ckpt_done_wq);
	co_group_init(&heap->ckpt_group);
	rc = super_read(pages, &heap->super);
	if (rc != 0) {
		free(heap);
		return rc;
	}
	heap->page_nr = heap->super.page_nr;
	heap->size = (uint64_t)heap->page_nr * HEAP_PAGE;
	rc = heap_map(heap);
	if (rc == 0)
		rc = recover(heap, log);
	if (rc == 0)
		rc = heap_alloc_load(heap);
	if (rc == 0 && !conf->read_only)
		rc = heap_ckpt_start(heap);
	if (rc != 0) {
		wal_close(heap->wal);
		heap_free_all(heap);
		return rc;
	}
	*ret_heap = heap;
	return 0;
}

void co_fn
heap_close(struct heap *heap, bool checkpoint)
{
	if (heap == NULL)
		return;
	assert(!heap->tx.open);
	if (checkpoint && !heap->conf.read_only && heap->rc == 0 && heap->dirty_nr > 0)
		heap_checkpoint(heap);
	heap_ckpt_stop(heap);
	wal_close(heap->wal);
	heap_free_all(heap);
}

/* --- figures
 * ------------------------------------------------------------------------------------------------
 */

uint64_t
heap_root(const struct heap *heap)
{
	return HEAP_ROOT_OFF;
}

struct xs *
heap_xs(const struct heap *heap)
{
	return heap->conf.xs;
}

void
heap_on_durable(struct heap *heap, struct durable_cb *cb, uint64_t lsn)
{
	wal_on_durable(heap->wal, cb, lsn);
}

void
heap_stats(const struct heap *heap, struct heap_stats *ret_stats)
{
	const struct heap_alloc *a = &heap->alloc;
	uint64_t taken = a->reserved_slabs + a->margin;
	struct wal_stats wal;

	wal_stats(heap->wal, &wal);
	*ret_stats = heap->stats;
	ret_stats->total_bytes = (uint64_t)a->slab_nr * SLAB_BYTES;
	ret_stats->used_bytes = a->used_bytes;
	ret_stats->free_bytes =
	    a->free_slabs > taken ? (a->free_slabs - taken) * (uint64_t)SLAB_BYTES : 0;
	ret_stats->reserved_bytes = a->reserved_slabs * SLAB_BYTES;
	ret_stats->resident_bytes = (uint64_t)heap->resident_nr * HEAP_PAGE;
	ret_stats->dirty_bytes = (uint64_t)heap->dirty_nr * HEAP_PAGE;
	ret_stats->log_bytes = wal.ring_bytes;
	ret_stats->log_used_bytes = wal.used_bytes;
	ret_stats->log_write_nr = wal.write_nr;
	ret_stats->log_written_bytes = wal.written_bytes;
}

static int
verify_shadow(const struct heap *heap)
{
	uint32_t idx;

	for (idx = 0; heap->shadow != NULL && idx < heap->page_nr; idx++) {
		uint64_t at = (uint64_t)idx * HEAP_PAGE;

		if (!(heap->state[idx] & PAGE_RESIDENT) ||
		    memcmp(heap->base + at, heap->shadow + at, HEAP_PAGE) == 0)
			continue;
		log_err("page %u was changed without being declared", idx);
		return -DER_CSUM;
	}
	return 0;
}

int co_fn
heap_verify(struct heap *heap, bool (*is_used)(void *arg, uint64_t off, uint32_t size), void *arg)
{
	int rc, rc2;

	assert(!heap->tx.open);
	rc = heap_alloc_verify(heap, is_used, arg);
	rc2 = verify_shadow(heap);
	return rc != 0 ? rc : rc2;
}
