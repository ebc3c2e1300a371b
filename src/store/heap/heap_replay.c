/*
 * Heap: redo records, and recovery from them.
 *
 * Records hold final bytes, so applying them in order, from a point at or before the last
 * checkpoint, gives the state at the log's end whatever mixture of older and newer pages was on the
 * device. Each call gets the batches of several MiB of log: the pages they touch are found first,
 * loaded together, and then changed without another wait.
 */
#define LOG_FACILITY "heap"
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/heap/heap_inspect.h"
#include "store/heap/heap_internal.h"

/* Read the range at p of a record that was checked; returns what follows it. */
static const uint8_t *
range_next(const uint8_t *p, struct heap_rec_range *ret)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	ret->off = word >> HEAP_RANGE_LEN_BITS;
	ret->len = word & ((1u << HEAP_RANGE_LEN_BITS) - 1);
	ret->bytes = p + sizeof(word);
	return ret->bytes + ret->len;
}

static int
rec_check(uint64_t region, const uint8_t *rec, uint32_t max, uint32_t *ret_len)
{
	const uint8_t *p = rec + sizeof(struct heap_rec_df), *end;
	struct heap_rec_df hdr;
	uint32_t i;

	if (max < sizeof(hdr))
		return -DER_CSUM;
	memcpy(&hdr, rec, sizeof(hdr));
	if (hdr.len_bytes < sizeof(hdr) || hdr.len_bytes > max)
		return -DER_CSUM;
	end = rec + hdr.len_bytes;
	for (i = 0; i < hdr.range_nr; i++) {
		struct heap_rec_range r;

		if (end - p < HEAP_RANGE_WORD)
			return -DER_CSUM;
		p = range_next(p, &r);
		if (p > end || r.len == 0)
			return -DER_CSUM;
		if (r.off == HEAP_DEP_OFF ? r.len != sizeof(struct heap_dep_df)
					  : r.off >= region || r.len > region - r.off)
			return -DER_CSUM;
	}
	if (p != end)
		return -DER_CSUM;
	*ret_len = hdr.len_bytes;
	return 0;
}

int
heap_rec_check(const struct heap *heap, const uint8_t *rec, uint32_t max, uint32_t *ret_len)
{
	return rec_check(heap->size, rec, max, ret_len);
}

int
heap_rec_begin(const uint8_t *rec, uint32_t max, uint32_t *ret_len, struct heap_rec_iter *it)
{
	struct heap_rec_df hdr;
	int rc;

	rc = rec_check(HEAP_REGION_MAX, rec, max, ret_len);
	if (rc != 0)
		return rc;
	memcpy(&hdr, rec, sizeof(hdr));
	it->next = rec + sizeof(hdr);
	it->left_nr = hdr.range_nr;
	return 0;
}

bool
heap_rec_next(struct heap_rec_iter *it, struct heap_rec_range *ret)
{
	if (it->left_nr == 0)
		return false;
	it->left_nr--;
	it->next = range_next(it->next, ret);
	return true;
}

void
heap_rec_apply(uint8_t *image, const uint8_t *rec)
{
	const uint8_t *p = rec + sizeof(struct heap_rec_df);
	struct heap_rec_df hdr;
	uint32_t i;

	memcpy(&hdr, rec, sizeof(hdr));
	for (i = 0; i < hdr.range_nr; i++) {
		struct heap_rec_range r;

		p = range_next(p, &r);
		if (r.off == HEAP_DEP_OFF)
			break;
		memcpy(image + r.off, r.bytes, r.len);
	}
}

/* --- passes over the records of a batch
 * ------------------------------------------------------------ */

typedef void (*rec_fn)(struct heap *heap, const uint8_t *rec, const struct wal_replay_batch *batch,
		       void *arg);

static int
for_each_rec(struct heap *heap, const struct wal_replay_batch *batch, bool check, rec_fn fn,
	     void *arg)
{
	uint32_t pos = 0, len, i;

	for (i = 0; i < batch->rec_nr; i++) {
		if (check &&
		    heap_rec_check(heap, batch->recs + pos, batch->len_bytes - pos, &len) != 0)
			break;
		memcpy(&len, batch->recs + pos, sizeof(len));
		fn(heap, batch->recs + pos, batch, arg);
		pos += len;
	}
	if (i == batch->rec_nr && pos == batch->len_bytes)
		return 0;
	log_err("%s: record %u of the batch at log position %#llx is malformed", heap->pages->name,
		i, (unsigned long long)batch->lsn);
	return -DER_CSUM;
}

/* Note the pages a record touches. */
static void
mark_rec(struct heap *heap, const uint8_t *rec, const struct wal_replay_batch *batch, void *arg)
{
	const uint8_t *p = rec + sizeof(struct heap_rec_df);
	uint64_t *want = arg;
	struct heap_rec_df hdr;
	uint64_t idx;
	uint32_t i;

	memcpy(&hdr, rec, sizeof(hdr));
	for (i = 0; i < hdr.range_nr; i++) {
		struct heap_rec_range r;

		p = range_next(p, &r);
		if (r.off == HEAP_DEP_OFF)
			break;
		for (idx = r.off / HEAP_PAGE; idx <= (r.off + r.len - 1) / HEAP_PAGE; idx++)
			want[idx / 64] |= 1ull << (idx % 64);
	}
}

static void
apply_rec(struct heap *heap, const uint8_t *rec, const struct wal_replay_batch *batch, void *arg)
{
	const uint8_t *p = rec + sizeof(struct heap_rec_df);
	uint64_t end = batch->lsn + sizeof(uint64_t); /* any position inside the batch */
	struct heap_rec_df hdr;
	uint64_t idx;
	uint32_t i;

	memcpy(&hdr, rec, sizeof(hdr));
	heap_rec_apply(heap->base, rec);
	if (heap->shadow != NULL)
		heap_rec_apply(heap->shadow, rec);
	for (i = 0; i < hdr.range_nr; i++) {
		struct heap_rec_range r;

		p = range_next(p, &r);
		if (r.off == HEAP_DEP_OFF)
			break;
		for (idx = r.off / HEAP_PAGE; idx <= (r.off + r.len - 1) / HEAP_PAGE; idx++)
			heap_page_dirty(heap, idx, batch->lsn, end);
	}
}

int co_fn
heap_replay(void *arg, const struct wal_replay_batch *batches, uint32_t batch_nr)
{
	struct heap *heap = arg;
	uint64_t *want = mem_calloc((heap->page_nr + 63) / 64, sizeof(*want));
	uint32_t i;
	int rc = 0;

	if (want == NULL)
		return -DER_NOMEM;
	for (i = 0; rc == 0 && i < batch_nr; i++)
		rc = for_each_rec(heap, &batches[i], true, mark_rec, want);
	heap->replaying = true;
	if (rc == 0)
		rc = heap_load_marked(heap, want);
	for (i = 0; rc == 0 && i < batch_nr; i++)
		rc = for_each_rec(heap, &batches[i], false, apply_rec, NULL);
	heap->replaying = false;
	free(want);
	return rc;
}

/* --- what records depend on
 * ------------------------------------------------------------------------------------------ */

static int co_fn
check_rec(struct heap *heap, const uint8_t *rec)
{
	const uint8_t *p = rec + sizeof(struct heap_rec_df);
	struct heap_rec_df hdr;
	uint32_t i;
	int rc = 0;

	memcpy(&hdr, rec, sizeof(hdr));
	for (i = 0; rc == 0 && i < hdr.range_nr; i++) {
		struct heap_dep_df df;
		struct heap_rec_range r;

		p = range_next(p, &r);
		if (r.off != HEAP_DEP_OFF)
			continue;
		memcpy(&df, r.bytes, sizeof(df));
		if (heap->conf.dep_check == NULL) {
			log_err("%s: the log depends on another device", heap->pages->name);
			return -DER_INVAL;
		}
		rc = heap->conf.dep_check(
		    heap->conf.arg,
		    &(struct heap_dep){.blk = df.blk, .blk_nr = df.blk_nr, .crc = df.crc});
	}
	return rc;
}

int co_fn
heap_replay_check(void *arg, const struct wal_replay_batch *batch)
{
	struct heap *heap = arg;
	uint32_t pos = 0, len, i;
	int rc = 0;

	for (i = 0; rc == 0 && i < batch->rec_nr; i++) {
		/* a malformed record is for replay to report */
		if (heap_rec_check(heap, batch->recs + pos, batch->len_bytes - pos, &len) != 0)
			return 0;
		rc = check_rec(heap, batch->recs + pos);
		pos += len;
	}
	return rc;
}
