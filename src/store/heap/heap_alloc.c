/*
 * Heap: allocator.
 *
 * The region is cut into slabs of 16 KiB. A slab serves objects of one size class, found by a bit
 * map, or belongs to a large object that takes whole slabs. The persistent state is one slab_df and
 * one bit map per slab; both change inside transactions as everything else, one byte of the map and
 * two of the descriptor for each object, so the log records stay small.
 *
 * In memory a copy of each slab_df (struct slab), a bit map of free slabs and, per class, a list of
 * slabs with free objects lead to space without searching. They follow the persistent state:
 * changed together with it, and after an abort read again from it for the slabs concerned.
 *
 * An object that is freed stays allocated until commit: its bytes must survive an abort, and
 * nothing else may be put there before.
 *
 * Wholly free slabs are what reservations are made of. A reservation of N bytes takes as many slabs
 * as N bytes can need; the margin, kept from ordinary allocations, covers the slabs that each size
 * class may have begun.
 */
#define LOG_FACILITY "heap"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/heap/heap_internal.h"

/* Object sizes; SLAB_BYTES / size objects fit a slab. Steps of 16 bytes to 256 (most records are
 * there), of 32 to 512, of 64 to 1024; then one size for each number of objects in a slab. */
static const uint16_t class_size[] = {
    32,   48,   64,   80,   96,   112,  128,  144,  160,  176,  192,  208,  224,  240,  256,
    288,  320,  352,  384,  416,  448,  480,  512,  576,  640,  704,  768,  832,  896,  960,
    1024, 1088, 1168, 1248, 1360, 1488, 1632, 1808, 2048, 2336, 2720, 3264, 4096, 5456, 8192,
};
enum {
	CLASS_NR = sizeof(class_size) / sizeof(class_size[0]),
	CLASS_256 = 14,
	CLASS_512 = 22,
	CLASS_1024 = 30,
	OBJ_SMALL_MAX = 8192,
};
static_assert((int)CLASS_NR <= (int)CLASS_MAX && (int)CLASS_NR <= (int)MARGIN_SLABS, "classes");

static uint32_t
class_of(uint32_t size)
{
	uint32_t c;

	if (size <= 32)
		return 0;
	if (size <= 256)
		return (size - 32 + 15) / 16;
	if (size <= 512)
		return CLASS_256 + (size - 256 + 31) / 32;
	if (size <= 1024)
		return CLASS_512 + (size - 512 + 63) / 64;
	for (c = CLASS_1024 + 1; class_size[c] < size; c++)
		;
	return c;
}

static uint32_t
class_objs(uint32_t class_idx)
{
	return SLAB_BYTES / class_size[class_idx];
}

static uint32_t
span_of(uint32_t size)
{
	return (size + SLAB_BYTES - 1) / SLAB_BYTES;
}

uint32_t
heap_alloc_size(uint32_t size)
{
	if (size > OBJ_SMALL_MAX)
		return span_of(size) * SLAB_BYTES;
	return class_size[class_of(size)];
}

uint64_t
heap_alloc_resv_slabs(uint64_t heap_bytes)
{
	/* Rounding to a class or to whole slabs at most doubles an object. */
	return (heap_bytes * 2 + SLAB_BYTES - 1) / SLAB_BYTES;
}

/* --- places
 * ------------------------------------------------------------------------------------------- */

static uint64_t
desc_at(const struct heap_alloc *a, uint32_t slab)
{
	return a->desc_off + (uint64_t)slab * sizeof(struct slab_df);
}

static uint64_t
map_at(const struct heap_alloc *a, uint32_t slab)
{
	return a->map_off + (uint64_t)slab * SLAB_MAP_BYTES;
}

static uint64_t
slab_at(const struct heap_alloc *a, uint32_t slab)
{
	return a->slab_off + (uint64_t)slab * SLAB_BYTES;
}

void
heap_alloc_geometry(uint64_t region_bytes, struct heap_df *ret_df)
{
	uint64_t per_slab = SLAB_BYTES + SLAB_MAP_BYTES + sizeof(struct slab_df);
	uint64_t nr = (region_bytes - HEAP_PAGE) / per_slab + 1;
	struct heap_df df = {
	    .magic = HEAP_DF_MAGIC,
	    .version = HEAP_VERSION,
	    .slab_bytes = SLAB_BYTES,
	    .desc_off = HEAP_PAGE,
	};

	do {
		nr--;
		df.map_off = df.desc_off + nr * sizeof(struct slab_df);
		df.map_off = (df.map_off + SLAB_MAP_BYTES - 1) / SLAB_MAP_BYTES * SLAB_MAP_BYTES;
		df.slab_off = df.map_off + nr * SLAB_MAP_BYTES;
		df.slab_off = (df.slab_off + SLAB_BYTES - 1) / SLAB_BYTES * SLAB_BYTES;
	} while (df.slab_off + nr * SLAB_BYTES > region_bytes);
	df.slab_nr = nr;
	*ret_df = df;
}

/* --- index
 * ---------------------------------------------------------------------------------------------- */

static void
unlist(struct heap_alloc *a, uint32_t idx)
{
	struct slab *s = &a->slabs[idx];

	if (!s->listed)
		return;
	if (s->prev == SLAB_NONE)
		a->partial[s->class_idx] = s->next;
	else
		a->slabs[s->prev].next = s->next;
	if (s->next != SLAB_NONE)
		a->slabs[s->next].prev = s->prev;
	s->listed = false;
}

static void
enlist(struct heap_alloc *a, uint32_t idx)
{
	struct slab *s = &a->slabs[idx];
	uint32_t *head = &a->partial[s->class_idx];

	s->prev = SLAB_NONE;
	s->next = *head;
	if (*head != SLAB_NONE)
		a->slabs[*head].prev = idx;
	*head = idx;
	s->listed = true;
}

static void
mark_free(struct heap_alloc *a, uint32_t idx, bool is_free)
{
	uint64_t bit = 1ull << (idx % 64);

	if (is_free) {
		a->free_map[idx / 64] |= bit;
		if (idx / 64 < a->free_hint)
			a->free_hint = idx / 64;
		a->free_slabs++;
	} else {
		a->free_map[idx / 64] &= ~bit;
		a->free_slabs--;
	}
}

static uint64_t
slab_used_bytes(uint8_t kind, uint8_t class_idx, uint16_t free_nr)
{
	if (kind == SLAB_LARGE || kind == SLAB_CONT)
		return SLAB_BYTES;
	if (kind == SLAB_OBJS)
		return (uint64_t)(class_objs(class_idx) - free_nr) * class_size[class_idx];
	return 0;
}

/* Make the index say what d says. */
static void
slab_follow(struct heap_alloc *a, uint32_t idx, const struct slab_df *d)
{
	struct slab *s = &a->slabs[idx];

	a->used_bytes -= slab_used_bytes(s->kind, s->class_idx, s->free_nr);
	a->used_bytes += slab_used_bytes(d->kind, d->class_idx, d->free_nr);
	if ((s->kind == SLAB_FREE) != (d->kind == SLAB_FREE))
		mark_free(a, idx, d->kind == SLAB_FREE);
	if (d->kind != SLAB_OBJS || s->class_idx != d->class_idx || d->free_nr == 0)
		unlist(a, idx);
	s->kind = d->kind;
	s->class_idx = d->class_idx;
	s->free_nr = d->free_nr;
	if (d->kind == SLAB_OBJS && d->free_nr > 0 && !s->listed)
		enlist(a, idx);
}

static bool
desc_ok(const struct heap_alloc *a, uint32_t idx, const struct slab_df *d)
{
	switch (d->kind) {
	case SLAB_FREE:
	case SLAB_CONT:
		return true;
	case SLAB_OBJS:
		return d->class_idx < CLASS_NR && d->free_nr <= class_objs(d->class_idx);
	case SLAB_LARGE:
		return d->span > 0 && d->span <= a->slab_nr - idx;
	default:
		return false;
	}
}

static int
index_slabs(struct heap *heap)
{
	struct heap_alloc *a = &heap->alloc;
	uint32_t i;

	/* From the end, so that low slabs come first in the lists. */
	for (i = a->slab_nr; i-- > 0;) {
		struct slab_df d;

		memcpy(&d, heap->base + desc_at(a, i), sizeof(d));
		if (!desc_ok(a, i, &d)) {
			log_err("%s: descriptor of slab %u is damaged", heap->pages->name, i);
			return -DER_CSUM;
		}
		if (d.kind != SLAB_FREE)
			slab_follow(a, i, &d);
	}
	return 0;
}

int co_fn
heap_alloc_load(struct heap *heap)
{
	struct heap_alloc *a = &heap->alloc;
	struct heap_df df;
	uint64_t i, words;
	int rc;

	rc = heap_fault(heap, 0, HEAP_PAGE);
	if (rc != 0)
		return rc;
	memcpy(&df, heap->base, sizeof(df));
	if (df.magic != HEAP_DF_MAGIC || df.version != HEAP_VERSION ||
	    df.slab_bytes != SLAB_BYTES || df.slab_nr == 0 || df.slab_nr > SLAB_NONE / 2 ||
	    df.slab_off + df.slab_nr * SLAB_BYTES > heap->size || df.desc_off != HEAP_PAGE ||
	    df.map_off < df.desc_off + df.slab_nr * sizeof(struct slab_df) ||
	    df.slab_off < df.map_off + df.slab_nr * SLAB_MAP_BYTES)
		return -DER_DF_INVAL;
	a->desc_off = df.desc_off;
	a->map_off = df.map_off;
	a->slab_off = df.slab_off;
	a->slab_nr = df.slab_nr;
	a->margin = a->slab_nr / MARGIN_SHARE;
	if (a->margin < MARGIN_SLABS)
		a->margin = MARGIN_SLABS;
	for (i = 0; i < CLASS_MAX; i++)
		a->partial[i] = SLAB_NONE;
	a->slabs = mmap(NULL, a->slab_nr * sizeof(*a->slabs), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (a->slabs == MAP_FAILED)
		a->slabs = NULL;
	words = (a->slab_nr + 63) / 64;
	a->free_map = mem_calloc(words, sizeof(*a->free_map));
	if (a->slabs == NULL || a->free_map == NULL)
		return -DER_NOMEM;
	memset(a->free_map, 0xff, words * sizeof(*a->free_map));
	if (a->slab_nr % 64 != 0)
		a->free_map[words - 1] = (1ull << (a->slab_nr % 64)) - 1;
	a->free_slabs = a->slab_nr;
	rc = heap_fault(heap, a->desc_off, (uint64_t)a->slab_nr * sizeof(struct slab_df));
	return rc == 0 ? index_slabs(heap) : rc;
}

void
heap_alloc_fini(struct heap *heap)
{
	struct heap_alloc *a = &heap->alloc;

	if (a->slabs != NULL)
		munmap(a->slabs, a->slab_nr * sizeof(*a->slabs));
	free(a->free_map);
}

/* --- free slabs
 * ------------------------------------------------------------------------------------------- */

/* The first run of span free slabs, or SLAB_NONE. */
static uint32_t
find_free(struct heap_alloc *a, uint32_t span)
{
	uint32_t words = (a->slab_nr + 63) / 64, w, run = 0, idx;

	while (a->free_hint < words && a->free_map[a->free_hint] == 0)
		a->free_hint++;
	for (w = a->free_hint; w < words; w++) {
		uint64_t word = a->free_map[w];

		if (span == 1) {
			if (word != 0)
				return w * 64 + __builtin_ctzll(word);
			continue;
		}
		if (word == 0) {
			run = 0;
			continue;
		}
		for (idx = w * 64; idx < w * 64 + 64; idx++) {
			run = word >> (idx % 64) & 1 ? run + 1 : 0;
			if (run == span)
				return idx + 1 - span;
		}
	}
	return SLAB_NONE;
}

/* Whether the transaction may take nr more free slabs. */
static bool
may_take(const struct heap_tx *tx, uint32_t nr)
{
	const struct heap_alloc *a = &tx->heap->alloc;
	uint64_t mine = heap_alloc_resv_slabs(tx->resv->heap_bytes);
	uint64_t others = a->reserved_slabs - mine;
	uint64_t margin = tx->resv->flags & HEAP_RESV_RECLAIM ? 0 : a->margin;

	if (tx->slabs_taken + nr <= mine)
		return true;
	return a->free_slabs >= others + margin + nr;
}

static int
write_desc(struct heap_tx *tx, uint32_t idx, const struct slab_df *d)
{
	int rc;

	rc = heap_tx_note_slab(tx, idx);
	if (rc == 0)
		rc = heap_tx_write(tx, desc_at(&tx->heap->alloc, idx), d, sizeof(*d));
	return rc;
}

/* Take span free slabs: descriptors d for the first, CONT for the others. */
static int
take_slabs(struct heap_tx *tx, uint32_t span, const struct slab_df *d, uint32_t *ret_idx)
{
	static const struct slab_df cont = {.kind = SLAB_CONT};
	struct heap *heap = tx->heap;
	struct heap_alloc *a = &heap->alloc;
	uint32_t idx, i, page;
	int rc = 0;

	if (!may_take(tx, span))
		return -DER_NOSPACE;
	idx = find_free(a, span);
	if (idx == SLAB_NONE)
		return -DER_NOSPACE;
	page = slab_at(a, idx) / HEAP_PAGE;
	for (i = 0; rc == 0 && i < span * SLAB_PAGES; i++) {
		rc = heap_page_fresh(heap, page + i);
		if (rc == HEAP_MISS) {
			heap->miss_off = (uint64_t)(page + i) * HEAP_PAGE;
			heap->miss_len = HEAP_PAGE;
		}
	}
	for (i = 0; rc == 0 && i < span; i++)
		rc = write_desc(tx, idx + i, i == 0 ? d : &cont);
	if (rc != 0)
		return rc;
	for (i = 0; i < span; i++)
		slab_follow(a, idx + i, i == 0 ? d : &cont);
	tx->slabs_taken += span;
	*ret_idx = idx;
	return 0;
}

/* --- allocation
 * -------------------------------------------------------------------------------------------- */

/* First clear bit of a slab's map below nr. */
static uint32_t
first_clear(const uint8_t *map, uint32_t nr)
{
	uint32_t w;

	for (w = 0; w * 64 < nr; w++) {
		uint64_t word;

		memcpy(&word, map + w * 8, sizeof(word));
		if (word != UINT64_MAX)
			return w * 64 + __builtin_ctzll(~word);
	}
	return nr;
}

/* A slab of the class with room, its map in memory. */
static int
slab_with_room(struct heap_tx *tx, uint32_t class_idx, uint32_t *ret_idx)
{
	struct heap_alloc *a = &tx->heap->alloc;
	struct slab_df d = {
	    .kind = SLAB_OBJS,
	    .class_idx = class_idx,
	    .free_nr = class_objs(class_idx),
	};

	*ret_idx = a->partial[class_idx];
	if (*ret_idx != SLAB_NONE)
		return 0;
	return take_slabs(tx, 1, &d, ret_idx);
}

static int
alloc_small(struct heap_tx *tx, uint32_t class_idx, uint64_t *ret_off)
{
	struct heap *heap = tx->heap;
	struct heap_alloc *a = &heap->alloc;
	struct slab_df d;
	uint32_t idx, bit;
	uint64_t at;
	uint8_t *map;
	int rc;

	rc = slab_with_room(tx, class_idx, &idx);
	if (rc != 0)
		return rc;
	map = heap_try(heap, map_at(a, idx), SLAB_MAP_BYTES);
	if (map == NULL || heap_try(heap, desc_at(a, idx), sizeof(d)) == NULL)
		return HEAP_MISS;
	bit = first_clear(map, class_objs(class_idx));
	if (bit == class_objs(class_idx)) {
		log_err("%s: slab %u is full but counts %u free objects", heap->pages->name, idx,
			a->slabs[idx].free_nr);
		return -DER_CSUM;
	}
	at = slab_at(a, idx) + (uint64_t)bit * class_size[class_idx];
	if (heap_try(heap, at, class_size[class_idx]) == NULL)
		return HEAP_MISS;
	memcpy(&d, heap->base + desc_at(a, idx), sizeof(d));
	d.free_nr--;
	rc = heap_tx_note_slab(tx, idx);
	if (rc == 0)
		rc = heap_tx_add(tx, map_at(a, idx) + bit / 8, 1);
	if (rc == 0)
		rc = heap_tx_write(tx, desc_at(a, idx) + offsetof(struct slab_df, free_nr),
				   &d.free_nr, sizeof(d.free_nr));
	if (rc != 0)
		return rc;
	map[bit / 8] |= 1u << (bit % 8);
	slab_follow(a, idx, &d);
	*ret_off = at;
	return 0;
}

int
heap_alloc(struct heap_tx *tx, uint32_t size, uint32_t flags, uint64_t *ret_off)
{
	struct heap *heap = tx->heap;
	uint64_t off;
	int rc;

	assert(tx->open);
	if (size == 0 || size > HEAP_ALLOC_MAX)
		return -DER_INVAL;
	if (size <= OBJ_SMALL_MAX) {
		rc = alloc_small(tx, class_of(size), &off);
	} else {
		struct slab_df d = {.kind = SLAB_LARGE, .span = span_of(size)};
		uint32_t idx;

		rc = take_slabs(tx, d.span, &d, &idx);
		if (rc == 0)
			off = slab_at(&heap->alloc, idx);
	}
	if (rc != 0)
		return rc;
	if (!(flags & HEAP_ALLOC_RAW)) {
		rc = heap_tx_add_fresh(tx, off, size);
		if (rc != 0)
			return rc;
		memset(heap->base + off, 0, size);
	}
	tx->net_bytes += heap_alloc_size(size);
	*ret_off = off;
	return 0;
}

/* --- freeing
 * -------------------------------------------------------------------------------------------------
 */

/* Which slab and object off is. False when it is no allocated object as far as the index knows. */
static bool
locate(const struct heap_alloc *a, uint64_t off, uint32_t *ret_idx, uint32_t *ret_bit)
{
	const struct slab *s;
	uint64_t in_slab;

	if (off < a->slab_off || (off - a->slab_off) / SLAB_BYTES >= a->slab_nr)
		return false;
	*ret_idx = (off - a->slab_off) / SLAB_BYTES;
	*ret_bit = 0;
	s = &a->slabs[*ret_idx];
	in_slab = off - slab_at(a, *ret_idx);
	if (s->kind == SLAB_LARGE)
		return in_slab == 0;
	if (s->kind != SLAB_OBJS || in_slab % class_size[s->class_idx] != 0)
		return false;
	*ret_bit = in_slab / class_size[s->class_idx];
	return *ret_bit < class_objs(s->class_idx);
}

/* Log bytes that settling one free can need: a byte of the map and a descriptor, or all descriptors
 * of a large object. */
static uint32_t
settle_ranges(struct heap *heap, uint32_t idx, uint32_t *ret_bytes)
{
	const struct slab *s = &heap->alloc.slabs[idx];
	struct slab_df d;

	if (s->kind == SLAB_OBJS) {
		*ret_bytes = 1 + sizeof(struct slab_df);
		return 2;
	}
	memcpy(&d, heap->base + desc_at(&heap->alloc, idx), sizeof(d));
	*ret_bytes = d.span * sizeof(struct slab_df);
	return 1;
}

int
heap_free(struct heap_tx *tx, uint64_t off)
{
	struct heap *heap = tx->heap;
	struct heap_alloc *a = &heap->alloc;
	uint32_t idx, bit, ranges, bytes;
	const uint8_t *map;
	int rc;

	assert(tx->open);
	if (off == 0)
		return 0;
	if (!locate(a, off, &idx, &bit)) {
		log_err("%s: free of %#llx, which is no object", heap->pages->name,
			(unsigned long long)off);
		return -DER_CSUM;
	}
	if (heap_try(heap, desc_at(a, idx), sizeof(struct slab_df)) == NULL)
		return HEAP_MISS;
	ranges = settle_ranges(heap, idx, &bytes);
	if (a->slabs[idx].kind == SLAB_OBJS) {
		map = heap_try(heap, map_at(a, idx), SLAB_MAP_BYTES);
		if (map == NULL)
			return HEAP_MISS;
		if (!(map[bit / 8] >> (bit % 8) & 1)) {
			log_err("%s: object %#llx freed twice", heap->pages->name,
				(unsigned long long)off);
			return -DER_CSUM;
		}
	} else if (heap_try(heap, desc_at(a, idx), bytes) == NULL) {
		return HEAP_MISS;
	}
	if (tx->free_nr == tx->free_cap) {
		uint32_t cap = tx->free_cap == 0 ? 64 : tx->free_cap * 2;
		uint64_t *p = mem_realloc(tx->frees, cap, sizeof(*p));

		if (p == NULL)
			return -DER_NOMEM;
		tx->frees = p;
		tx->free_cap = cap;
	}
	rc = heap_tx_claim(tx, ranges, bytes);
	if (rc != 0)
		return rc;
	tx->frees[tx->free_nr++] = off;
	tx->net_bytes -= a->slabs[idx].kind == SLAB_OBJS
			     ? class_size[a->slabs[idx].class_idx]
			     : bytes / sizeof(struct slab_df) * SLAB_BYTES;
	return 0;
}

/* Change bytes under a claim: declared, without undo. */
static void
settle_write(struct heap_tx *tx, uint64_t off, const void *src, uint32_t len)
{
	heap_tx_add_claimed(tx, off, len);
	memcpy(tx->heap->base + off, src, len);
}

static void
settle_large(struct heap_tx *tx, uint32_t idx)
{
	static const struct slab_df none = {.kind = SLAB_FREE};
	struct heap_alloc *a = &tx->heap->alloc;
	struct slab_df d;
	uint32_t i;

	memcpy(&d, tx->heap->base + desc_at(a, idx), sizeof(d));
	if (d.kind != SLAB_LARGE)
		return;
	heap_tx_add_claimed(tx, desc_at(a, idx), d.span * sizeof(d));
	for (i = 0; i < d.span; i++) {
		memcpy(tx->heap->base + desc_at(a, idx + i), &none, sizeof(none));
		slab_follow(a, idx + i, &none);
	}
}

static void
settle_small(struct heap_tx *tx, uint32_t idx, uint32_t bit)
{
	struct heap_alloc *a = &tx->heap->alloc;
	uint64_t byte_at = map_at(a, idx) + bit / 8;
	uint8_t byte = tx->heap->base[byte_at];
	struct slab_df d;

	if (!(byte >> (bit % 8) & 1)) {
		log_err("%s: object %u of slab %u freed twice in one transaction",
			tx->heap->pages->name, bit, idx);
		return;
	}
	byte &= ~(1u << (bit % 8));
	settle_write(tx, byte_at, &byte, 1);
	memcpy(&d, tx->heap->base + desc_at(a, idx), sizeof(d));
	d.free_nr++;
	if (d.free_nr == class_objs(d.class_idx)) {
		memset(&d, 0, sizeof(d));
		settle_write(tx, desc_at(a, idx), &d, sizeof(d));
	} else {
		settle_write(tx, desc_at(a, idx) + offsetof(struct slab_df, free_nr), &d.free_nr,
			     sizeof(d.free_nr));
	}
	slab_follow(a, idx, &d);
}

void
heap_alloc_settle(struct heap_tx *tx)
{
	struct heap_alloc *a = &tx->heap->alloc;
	uint32_t i, idx, bit;

	for (i = 0; i < tx->free_nr; i++) {
		/* Freed twice and the slab is gone already: locate() no longer finds it. */
		if (!locate(a, tx->frees[i], &idx, &bit))
			log_err("%s: object %#llx freed twice in one transaction",
				tx->heap->pages->name, (unsigned long long)tx->frees[i]);
		else if (a->slabs[idx].kind == SLAB_LARGE)
			settle_large(tx, idx);
		else
			settle_small(tx, idx, bit);
	}
}

void
heap_alloc_rollback(struct heap_tx *tx)
{
	struct heap_alloc *a = &tx->heap->alloc;
	uint32_t i;

	for (i = tx->slab_nr; i-- > 0;) {
		struct slab_df d;

		memcpy(&d, tx->heap->base + desc_at(a, tx->slabs[i]), sizeof(d));
		slab_follow(a, tx->slabs[i], &d);
	}
}

/* --- check
 * ------------------------------------------------------------------------------------------------------
 */

struct verify {
	struct heap *heap;
	bool (*is_used)(void *arg, uint64_t off, uint32_t size);
	void *arg;
	uint64_t used_bytes;
	uint32_t free_slabs;
	uint32_t partial_nr[CLASS_MAX];
	uint32_t bad_nr;
};

#define bad(v, ...)                                                                                \
	do {                                                                                       \
		log_err(__VA_ARGS__);                                                              \
		(v)->bad_nr++;                                                                     \
	} while (0)

static void
verify_owner(struct verify *v, uint64_t off, uint32_t size)
{
	if (v->is_used != NULL && !v->is_used(v->arg, off, size))
		bad(v, "object %#llx of %u bytes belongs to nobody", (unsigned long long)off, size);
}

static void
verify_objs(struct verify *v, uint32_t idx, const struct slab_df *d)
{
	const struct heap_alloc *a = &v->heap->alloc;
	const uint8_t *map = v->heap->base + map_at(a, idx);
	uint32_t nr = class_objs(d->class_idx), used = 0, bit;

	for (bit = 0; bit < SLAB_MAP_BYTES * 8; bit++) {
		if (!(map[bit / 8] >> (bit % 8) & 1))
			continue;
		if (bit >= nr) {
			bad(v, "slab %u: bit %u set beyond its objects", idx, bit);
			continue;
		}
		used++;
		verify_owner(v, slab_at(a, idx) + (uint64_t)bit * class_size[d->class_idx],
			     class_size[d->class_idx]);
	}
	if (used + d->free_nr != nr)
		bad(v, "slab %u: %u objects used and %u free of %u", idx, used, d->free_nr, nr);
	if (used == 0)
		bad(v, "slab %u: empty but not free", idx);
}

static void
verify_slab(struct verify *v, uint32_t idx)
{
	const struct heap_alloc *a = &v->heap->alloc;
	const struct slab *s = &a->slabs[idx];
	const uint8_t *map = v->heap->base + map_at(a, idx);
	struct slab_df d, next;
	uint32_t i;

	memcpy(&d, v->heap->base + desc_at(a, idx), sizeof(d));
	if (!desc_ok(a, idx, &d)) {
		bad(v, "slab %u: bad descriptor", idx);
		return;
	}
	if (s->kind != d.kind ||
	    (d.kind == SLAB_OBJS && (s->class_idx != d.class_idx || s->free_nr != d.free_nr)))
		bad(v, "slab %u: index and descriptor differ", idx);
	if (s->listed != (d.kind == SLAB_OBJS && d.free_nr > 0))
		bad(v, "slab %u: wrongly listed", idx);
	if ((a->free_map[idx / 64] >> (idx % 64) & 1) != (d.kind == SLAB_FREE))
		bad(v, "slab %u: wrong in the free map", idx);
	v->used_bytes += slab_used_bytes(d.kind, d.class_idx, d.free_nr);
	v->free_slabs += d.kind == SLAB_FREE;
	v->partial_nr[d.class_idx] += s->listed;
	if (d.kind == SLAB_OBJS) {
		verify_objs(v, idx, &d);
		return;
	}
	for (i = 0; i < SLAB_MAP_BYTES; i++) {
		if (map[i] != 0)
			bad(v, "slab %u: map bits without objects", idx);
	}
	if (d.kind == SLAB_LARGE) {
		verify_owner(v, slab_at(a, idx), d.span * SLAB_BYTES);
		for (i = 1; i < d.span; i++) {
			memcpy(&next, v->heap->base + desc_at(a, idx + i), sizeof(next));
			if (next.kind != SLAB_CONT)
				bad(v, "slab %u: large object without its slab %u", idx, i);
		}
	} else if (d.kind == SLAB_CONT && idx == 0) {
		bad(v, "slab 0 continues nothing");
	} else if (d.kind == SLAB_CONT &&
		   (a->slabs[idx - 1].kind == SLAB_FREE || a->slabs[idx - 1].kind == SLAB_OBJS)) {
		bad(v, "slab %u continues nothing", idx);
	}
}

static void
verify_lists(struct verify *v)
{
	const struct heap_alloc *a = &v->heap->alloc;
	uint32_t c, idx, nr;

	for (c = 0; c < CLASS_NR; c++) {
		nr = 0;
		for (idx = a->partial[c]; idx != SLAB_NONE && nr <= v->partial_nr[c];
		     idx = a->slabs[idx].next)
			nr++;
		if (nr != v->partial_nr[c])
			bad(v, "class %u: %u slabs listed, %u expected", c, nr, v->partial_nr[c]);
	}
}

int co_fn
heap_alloc_verify(struct heap *heap, bool (*is_used)(void *arg, uint64_t off, uint32_t size),
		  void *arg)
{
	struct heap_alloc *a = &heap->alloc;
	struct verify v = {.heap = heap, .is_used = is_used, .arg = arg};
	uint32_t idx;
	int rc;

	/* The persistent maps; no yield from then on, so that all is of one moment. */
	do {
		rc = heap_fault(heap, a->desc_off, a->slab_off - a->desc_off);
		if (rc != 0)
			return rc;
	} while (heap_try(heap, a->desc_off, a->slab_off - a->desc_off) == NULL);
	for (idx = 0; idx < a->slab_nr; idx++)
		verify_slab(&v, idx);
	verify_lists(&v);
	if (v.used_bytes != a->used_bytes)
		bad(&v, "%llu bytes used, %llu counted", (unsigned long long)v.used_bytes,
		    (unsigned long long)a->used_bytes);
	if (v.free_slabs != a->free_slabs)
		bad(&v, "%u slabs free, %u counted", v.free_slabs, a->free_slabs);
	return v.bad_nr == 0 ? 0 : -DER_CSUM;
}
