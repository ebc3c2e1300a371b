/*
 * Handle table: segments of slots that never move once allocated, found through a fixed directory.
 *
 * A slot's state is one 64-bit word: generation (32 bits), open flag (1), pins (31). Lookup
 * increments the pins by compare-and-swap as long as the generation matches and the flag is set, so
 * an object cannot go away between being found and being pinned. Closing clears the flag; whoever
 * brings the pins to zero with the flag clear frees the object and gives the slot, with the next
 * generation, back to the free list. Only that list and the directory are under the lock.
 */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "client/core/handle.h"
#include "base/mem.h"

enum {
	TYPE_BITS = 4,
	SLOT_BITS = 28,
	SEG_SLOTS = 1024,
	SEG_MAX = 4096,
};

#define WORD_OPEN       (1ull << 31)
#define WORD_PINS(w)    ((w) & (WORD_OPEN - 1))
#define WORD_GEN(w)     ((uint32_t)((w) >> 32))
#define WORD_OF(gen, w) (((uint64_t)(gen) << 32) | (w))

struct slot {
	_Atomic uint64_t word;
	void *obj;
	handle_free_t free_fn;
	uint32_t type;
	uint32_t next_free; /* slot number + 1, 0 ends the list; valid while the slot is free */
};

struct handle_tbl {
	pthread_mutex_t lock; /* seg_nr, free_head, open_nr and growth of segs */
	_Atomic(struct slot *) segs[SEG_MAX];
	uint32_t seg_nr;
	uint32_t free_head;
	uint32_t gen;
	_Atomic uint32_t open_nr;
};

int
handle_tbl_create(uint32_t gen, struct handle_tbl **ret_tbl)
{
	struct handle_tbl *tbl = mem_new(struct handle_tbl);

	if (tbl == NULL)
		return -DER_NOMEM;
	pthread_mutex_init(&tbl->lock, NULL);
	tbl->gen = gen;
	*ret_tbl = tbl;
	return 0;
}

void
handle_tbl_destroy(struct handle_tbl *tbl)
{
	uint32_t s, i;

	if (tbl == NULL)
		return;
	for (s = 0; s < tbl->seg_nr; s++) {
		struct slot *seg = atomic_load(&tbl->segs[s]);

		for (i = 0; i < SEG_SLOTS; i++)
			if (atomic_load(&seg[i].word) & WORD_OPEN)
				seg[i].free_fn(seg[i].obj);
		free(seg);
	}
	pthread_mutex_destroy(&tbl->lock);
	free(tbl);
}

static struct slot *
slot_of(struct handle_tbl *tbl, uint32_t nr)
{
	struct slot *seg;

	if (nr / SEG_SLOTS >= SEG_MAX)
		return NULL;
	seg = atomic_load_explicit(&tbl->segs[nr / SEG_SLOTS], memory_order_acquire);
	return seg == NULL ? NULL : &seg[nr % SEG_SLOTS];
}

static uint32_t
cookie_slot(daos_handle_t hdl)
{
	return (uint32_t)(hdl.cookie >> TYPE_BITS) & ((1u << SLOT_BITS) - 1);
}

/* One more segment, all of its slots free. */
static int
tbl_grow_locked(struct handle_tbl *tbl)
{
	struct slot *seg;
	uint32_t i;

	if (tbl->seg_nr == SEG_MAX)
		return -DER_NOMEM;
	seg = mem_calloc(SEG_SLOTS, sizeof(*seg));
	if (seg == NULL)
		return -DER_NOMEM;
	for (i = 0; i < SEG_SLOTS; i++) {
		atomic_init(&seg[i].word, WORD_OF(tbl->gen, 0));
		seg[i].next_free = i + 1 < SEG_SLOTS ? tbl->seg_nr * SEG_SLOTS + i + 2 : 0;
	}
	tbl->free_head = tbl->seg_nr * SEG_SLOTS + 1;
	atomic_store_explicit(&tbl->segs[tbl->seg_nr++], seg, memory_order_release);
	return 0;
}

int
handle_add(struct handle_tbl *tbl, uint32_t type, void *obj, handle_free_t free_fn,
	   daos_handle_t *ret_hdl)
{
	struct slot *slot;
	uint32_t nr, gen;
	int rc = 0;

	assert(type != 0 && type < (1u << TYPE_BITS));
	pthread_mutex_lock(&tbl->lock);
	if (tbl->free_head == 0)
		rc = tbl_grow_locked(tbl);
	if (rc != 0) {
		pthread_mutex_unlock(&tbl->lock);
		return rc;
	}
	nr = tbl->free_head - 1;
	slot = slot_of(tbl, nr);
	tbl->free_head = slot->next_free;
	pthread_mutex_unlock(&tbl->lock);

	slot->obj = obj;
	slot->free_fn = free_fn;
	slot->type = type;
	gen = WORD_GEN(atomic_load(&slot->word));
	atomic_fetch_add(&tbl->open_nr, 1);
	atomic_store_explicit(&slot->word, WORD_OF(gen, WORD_OPEN), memory_order_release);
	ret_hdl->cookie = ((uint64_t)gen << 32) | ((uint64_t)nr << TYPE_BITS) | type;
	return 0;
}

void *
handle_get(struct handle_tbl *tbl, daos_handle_t hdl, uint32_t type)
{
	uint32_t gen = (uint32_t)(hdl.cookie >> 32);
	struct slot *slot;
	uint64_t w;

	if ((hdl.cookie & ((1u << TYPE_BITS) - 1)) != type)
		return NULL;
	slot = slot_of(tbl, cookie_slot(hdl));
	if (slot == NULL)
		return NULL;
	w = atomic_load_explicit(&slot->word, memory_order_acquire);
	do {
		if (WORD_GEN(w) != gen || !(w & WORD_OPEN))
			return NULL;
	} while (!atomic_compare_exchange_weak_explicit(
	    &slot->word, &w, w + 1, memory_order_acq_rel, memory_order_acquire));
	if (slot->type != type) { /* a made-up cookie: the type in it is not the slot's */
		handle_put(tbl, hdl);
		return NULL;
	}
	return slot->obj;
}

/* The last one out: the object goes, the slot gets its next generation. */
static void
slot_release(struct handle_tbl *tbl, struct slot *slot, uint32_t nr, uint32_t gen)
{
	slot->free_fn(slot->obj);
	slot->obj = NULL;
	atomic_store(&slot->word, WORD_OF(gen + 1, 0));
	atomic_fetch_sub(&tbl->open_nr, 1);
	pthread_mutex_lock(&tbl->lock);
	slot->next_free = tbl->free_head;
	tbl->free_head = nr + 1;
	pthread_mutex_unlock(&tbl->lock);
}

void
handle_put(struct handle_tbl *tbl, daos_handle_t hdl)
{
	uint32_t nr = cookie_slot(hdl);
	struct slot *slot = slot_of(tbl, nr);
	uint64_t w = atomic_fetch_sub_explicit(&slot->word, 1, memory_order_acq_rel) - 1;

	assert(WORD_GEN(w) == (uint32_t)(hdl.cookie >> 32));
	if (!(w & WORD_OPEN) && WORD_PINS(w) == 0)
		slot_release(tbl, slot, nr, WORD_GEN(w));
}

int
handle_close(struct handle_tbl *tbl, daos_handle_t hdl, uint32_t type)
{
	struct slot *slot;

	/* Pinned while the flag is cleared, so that nobody else can bring the pins to zero. */
	if (handle_get(tbl, hdl, type) == NULL)
		return -DER_NO_HDL;
	slot = slot_of(tbl, cookie_slot(hdl));
	if (!(atomic_fetch_and(&slot->word, ~WORD_OPEN) & WORD_OPEN)) {
		handle_put(tbl, hdl); /* another thread closed it at the same time */
		return -DER_NO_HDL;
	}
	handle_put(tbl, hdl);
	return 0;
}

uint32_t
handle_nr(const struct handle_tbl *tbl)
{
	return atomic_load(&tbl->open_nr);
}
