/*
 * Heap: writing pages so that a torn write does no harm.
 *
 * A group of blocks is first written to the double-write area, header and images in one synchronous
 * write. Only then do the blocks go to their places, and only when those are synced may the area be
 * used again. At open the area is looked at: if all its images are whole, they are put in their
 * places once more (most often they are there already); if not, the crash came before any of them
 * was touched.
 */
#define LOG_FACILITY "heap"
#include <assert.h>
#include <string.h>

#include "base/crc.h"
#include "base/err.h"
#include "base/log.h"
#include "store/heap/heap_internal.h"

static uint32_t
dw_crc(const uint8_t *block)
{
	static const uint32_t zero;
	const size_t at = offsetof(struct heap_dw_df, crc);
	uint32_t crc;

	crc = crc32c(0, block, at);
	crc = crc32c(crc, &zero, sizeof(zero));
	return crc32c(crc, block + at + sizeof(zero), DEV_BLOCK - at - sizeof(zero));
}

/* --- writing --------------------------------------------------------------------------------- */

struct place_job {
	struct heap *heap;
	const uint8_t *images;
	const uint32_t *blks;
	uint32_t nr;
	uint32_t next;
};

/* One of several workers: write runs of neighbouring blocks in place. */
static int co_fn
place_worker(void *arg)
{
	struct place_job *job = arg;

	while (job->next < job->nr) {
		uint32_t first = job->next, nr = 1;
		int rc;

		while (first + nr < job->nr && job->blks[first + nr] == job->blks[first] + nr)
			nr++;
		job->next = first + nr;
		rc =
		    dev_write(job->heap->pages, (uint64_t)job->blks[first] * DEV_BLOCK,
			      job->images + (uint64_t)first * DEV_BLOCK, (size_t)nr * DEV_BLOCK, 0);
		if (rc != 0) {
			job->next = job->nr;
			return rc;
		}
	}
	return 0;
}

static int co_fn
place_images(struct heap *heap, const uint8_t *images, const uint32_t *blks, uint32_t nr)
{
	struct place_job job = {.heap = heap, .images = images, .blks = blks, .nr = nr};
	struct co_group group;
	int i, rc;

	co_group_init(&group);
	for (i = 1; i < CKPT_INFLIGHT && i < (int)nr; i++) {
		if (co_group_spawn(&group, place_worker, &job) != 0)
			break; /* fewer workers do as well */
	}
	rc = place_worker(&job);
	i = co_group_join(&group);
	if (rc == 0)
		rc = i;
	return rc == 0 ? dev_sync(heap->pages) : rc;
}

int co_fn
heap_dw_write(struct heap *heap, uint8_t *buf, const uint32_t *blks, uint32_t nr)
{
	struct heap_dw_df hdr = {
	    .magic = HEAP_DW_MAGIC,
	    .id = heap->super.id[0],
	    .seq = ++heap->dw_seq,
	    .nr = nr,
	};
	uint8_t *images = buf + DEV_BLOCK;
	uint32_t i;
	int rc;

	assert(nr > 0 && nr <= HEAP_DW_NR);
	for (i = 0; i < nr; i++) {
		hdr.ent[i].blk = blks[i];
		hdr.ent[i].crc = crc32c(0, images + (uint64_t)i * DEV_BLOCK, DEV_BLOCK);
	}
	memset(buf, 0, DEV_BLOCK);
	memcpy(buf, &hdr, sizeof(hdr));
	hdr.crc = dw_crc(buf);
	memcpy(buf, &hdr, sizeof(hdr));
	rc = dev_write(heap->pages, heap->super.dw_blk * DEV_BLOCK, buf,
		       (size_t)(nr + 1) * DEV_BLOCK, DEV_WRITE_SYNC);
	return rc == 0 ? place_images(heap, images, blks, nr) : rc;
}

/* --- recovery
 * ------------------------------------------------------------------------------------- */

/* Whether the area holds a whole group. */
static bool
dw_whole(const struct heap *heap, const uint8_t *buf, struct heap_dw_df *ret_hdr)
{
	uint64_t end = heap->super.page_blk + heap->super.page_nr;
	uint32_t i;

	memcpy(ret_hdr, buf, sizeof(*ret_hdr));
	if (ret_hdr->magic != HEAP_DW_MAGIC || ret_hdr->id != heap->super.id[0] ||
	    ret_hdr->nr == 0 || ret_hdr->nr > HEAP_DW_NR || ret_hdr->crc != dw_crc(buf))
		return false;
	for (i = 0; i < ret_hdr->nr; i++) {
		const uint8_t *image = buf + (uint64_t)(i + 1) * DEV_BLOCK;

		if (ret_hdr->ent[i].blk < heap->super.sum_blk || ret_hdr->ent[i].blk >= end ||
		    ret_hdr->ent[i].crc != crc32c(0, image, DEV_BLOCK))
			return false;
	}
	return true;
}

/* Read-only: the images take the place of what is on the device, in memory. */
static int
adopt_image(struct heap *heap, uint32_t blk, const uint8_t *image)
{
	uint32_t idx;
	int rc;

	if (blk < heap->super.page_blk) {
		struct heap_sum_df *sum = dev_buf_alloc(DEV_BLOCK);

		if (sum == NULL)
			return -DER_NOMEM;
		memcpy(sum, image, DEV_BLOCK);
		idx = blk - heap->super.sum_blk;
		if (heap->sums[idx] != NULL)
			dev_buf_free(heap->sums[idx], DEV_BLOCK);
		heap->sums[idx] = sum;
		return 0;
	}
	idx = blk - heap->super.page_blk;
	memcpy(heap->base + (uint64_t)idx * HEAP_PAGE, image, HEAP_PAGE);
	rc = heap_page_fresh(heap, idx);
	if (rc == 0)
		heap_page(heap, idx)->pin_nr++; /* the device has another version: never drop it */
	return rc;
}

/* Put one image in its place if it is not there yet. *torn counts. */
static int co_fn
restore_image(struct heap *heap, uint32_t blk, const uint8_t *image, uint8_t *now)
{
	int rc;

	rc = dev_read(heap->pages, (uint64_t)blk * DEV_BLOCK, now, DEV_BLOCK);
	if (rc != 0 || memcmp(now, image, DEV_BLOCK) == 0)
		return rc;
	heap->stats.torn_page_nr++;
	if (heap->conf.read_only)
		return adopt_image(heap, blk, image);
	return dev_write(heap->pages, (uint64_t)blk * DEV_BLOCK, image, DEV_BLOCK, 0);
}

static int co_fn
dw_restore(struct heap *heap, const uint8_t *buf, uint8_t *now)
{
	struct heap_dw_df hdr;
	uint32_t i;
	int rc = 0;

	if (!dw_whole(heap, buf, &hdr))
		return 0;
	heap->dw_seq = hdr.seq;
	for (i = 0; rc == 0 && i < hdr.nr; i++)
		rc = restore_image(heap, hdr.ent[i].blk, buf + (uint64_t)(i + 1) * DEV_BLOCK, now);
	if (rc == 0 && heap->stats.torn_page_nr > 0) {
		log_note("%s: restored %llu pages", heap->pages->name,
			 (unsigned long long)heap->stats.torn_page_nr);
	}
	/* Also when all were in place already: they may be in the disk's cache only. */
	return rc == 0 && !heap->conf.read_only ? dev_sync(heap->pages) : rc;
}

int co_fn
heap_dw_recover(struct heap *heap)
{
	const size_t len = (size_t)(HEAP_DW_NR + 1) * DEV_BLOCK;
	uint8_t *buf = dev_buf_alloc(len);
	uint8_t *now = dev_buf_alloc(DEV_BLOCK);
	int rc = -DER_NOMEM;

	if (buf != NULL && now != NULL) {
		rc = dev_read(heap->pages, heap->super.dw_blk * DEV_BLOCK, buf, len);
		if (rc == 0)
			rc = dw_restore(heap, buf, now);
	}
	dev_buf_free(buf, len);
	dev_buf_free(now, DEV_BLOCK);
	return rc;
}
