/* Private parts of the space allocator. */
#ifndef STORE_SPACE_INTERNAL_H
#define STORE_SPACE_INTERNAL_H

#include <daos_errno.h>

#include "base/list.h"
#include "runtime/xs.h"
#include "store/space/space.h"
#include "store/space/space_format.h"

enum {
	MAP_WORDS = SPACE_GROUP_BLKS / 64,
	BATCH_FIRST = 16,
};

struct group {
	uint64_t *busy;  /* MAP_WORDS words; NULL: not looked at yet */
	uint64_t *freed; /* given back since the last discard; NULL: nothing */
	uint64_t freed_first_ns, freed_last_ns; /* 0: nothing new since the last look */
};

/* Extents freed by one transaction. */
struct free_batch {
	struct durable_cb cb;
	struct list link; /* space.batches */
	struct space *space;
	uint64_t stamp;   /* 0: not durable yet */
	uint64_t dep_lsn; /* must be proven before the blocks are written again */
	uint32_t nr, cap;
	struct space_ext ext[];
};

/* A stretch from which small reservations are cut one after the other: busy, so that nobody else
 * takes it, but in no counter. */
struct window {
	uint64_t at, end; /* blocks, counted from first_blk; at == end: none */
};

enum window_kind {
	WINDOW_HOT,  /* what users write */
	WINDOW_COLD, /* what aggregation moves: it lives longer */
	WINDOW_NR,
};

/* Giving freed space back to the device (space_discard.c). */
struct space_discard {
	struct dev *dev; /* NULL: it is kept */
	struct xs_timer timer;
	struct co_waitq done_wq;
	bool running, stopping;
	uint32_t delay_ms;
	uint64_t bytes_per_s;
	uint64_t blk_nr; /* so far */
};

struct space {
	struct heap *heap;
	struct space_df df;
	struct group *groups;
	/* For each group, at least the length of its longest run of blocks that are not busy. */
	uint16_t *bound;
	struct window window[WINDOW_NR];
	uint64_t large_at; /* behind the last large reservation, so that the next can follow */
	uint64_t used_blk, reserved_blk, freeing_blk;
	uint64_t margin_blk;
	uint64_t scattered_nr;

	struct list holds;   /* space_hold, by seq */
	struct list batches; /* free_batch, by lsn */
	struct xs_timer prove_timer;
	struct durable_cb prove_cb;
	bool proving; /* prove_cb is under way */
	bool closing;
	uint64_t seq;

	/* What the open transaction does. */
	struct heap_tx_hook hook;
	bool hooked;
	uint64_t tx_published;
	uint64_t tx_freed;
	struct free_batch *tx_batch; /* kept for the next one after an abort */

	struct space_discard discard;
};

/* space.c */

static inline uint64_t
space_group_df_at(const struct space *space, uint32_t g)
{
	return space->df.table + (uint64_t)g * sizeof(struct space_group_df);
}

static inline uint32_t
space_group_blks(const struct space *space, uint32_t g)
{
	uint64_t left = space->df.blk_nr - (uint64_t)g * SPACE_GROUP_BLKS;

	return left < SPACE_GROUP_BLKS ? left : SPACE_GROUP_BLKS;
}

static inline uint64_t
space_busy_blks(const struct space *space)
{
	return space->used_blk + space->reserved_blk + space->freeing_blk;
}

/* Freed blocks wait for proof: write something to the log that gives it. */
void space_prove(struct space *space);

/* space_map.c */

/* First bit at or after pos that is set (or clear), or SPACE_GROUP_BLKS. */
uint32_t space_next_bit(const uint64_t *map, uint32_t pos, bool set);
/* Set or clear nr bits; returns how many changed. */
uint32_t space_change_bits(uint64_t *map, uint32_t pos, uint32_t nr, bool set);
/* Have the busy map of a group. */
int space_group_load(struct space *space, uint32_t g);
/* The blocks stop being busy. */
void space_group_release(struct space *space, uint32_t g, uint32_t pos, uint32_t nr);
/* Cut an extent at group borders: fn(space, group, position, number, arg) until it fails.
 * -DER_CSUM: it is not inside the space. */
int space_for_each_piece(struct space *space, const struct space_ext *ext,
			 int (*fn)(struct space *space, uint32_t g, uint32_t pos, uint32_t nr,
				   void *arg),
			 void *arg);

/* space_run.c: give up what windows hold. False: they hold nothing. */
bool space_windows_drop(struct space *space);

/* space_discard.c */

void space_discard_init(struct space *space, struct dev *dev);
void co_fn space_discard_stop(struct space *space);
/* These blocks have just become free. */
void space_discard_note(struct space *space, uint32_t g, uint32_t pos, uint32_t nr);

#endif
