/*
 * Space: bit maps of the groups.
 *
 * Volatile: for each group in use a map "busy", made from the persistent one when the group is
 * first looked at: a block is allocated, or reserved, or freed but not yet to be reused.
 */
#define LOG_FACILITY "space"
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/space/space_internal.h"

/* --- bit maps -------------------------------------------------------------------------------- */

/* First bit at or after pos that is set (or clear), or SPACE_GROUP_BLKS. */
uint32_t
space_next_bit(const uint64_t *map, uint32_t pos, bool set)
{
	uint32_t w = pos / 64;
	uint64_t word;

	if (pos >= SPACE_GROUP_BLKS)
		return SPACE_GROUP_BLKS;
	word = (set ? map[w] : ~map[w]) & (~0ull << (pos % 64));
	while (word == 0) {
		if (++w == MAP_WORDS)
			return SPACE_GROUP_BLKS;
		word = set ? map[w] : ~map[w];
	}
	return w * 64 + __builtin_ctzll(word);
}

/* Set or clear nr bits; returns how many changed. */
uint32_t
space_change_bits(uint64_t *map, uint32_t pos, uint32_t nr, bool set)
{
	uint32_t changed = 0;

	while (nr > 0) {
		uint32_t n = 64 - pos % 64 < nr ? 64 - pos % 64 : nr;
		uint64_t mask = (n == 64 ? ~0ull : (1ull << n) - 1) << (pos % 64);
		uint64_t *word = &map[pos / 64];

		changed += __builtin_popcountll((set ? ~*word : *word) & mask);
		*word = set ? *word | mask : *word & ~mask;
		pos += n;
		nr -= n;
	}
	return changed;
}

/* --- groups ---------------------------------------------------------------------------------- */

/* Have the busy map of a group. */
int
space_group_load(struct space *space, uint32_t g)
{
	struct group *group = &space->groups[g];
	const struct space_group_df *df;
	const void *map = NULL;

	if (group->busy != NULL)
		return 0;
	df = heap_try(space->heap, space_group_df_at(space, g), sizeof(*df));
	if (df == NULL)
		return HEAP_MISS;
	if (df->map != 0) {
		map = heap_try(space->heap, df->map, SPACE_MAP_BYTES);
		if (map == NULL)
			return HEAP_MISS;
	}
	group->busy = mem_calloc(MAP_WORDS, sizeof(*group->busy));
	if (group->busy == NULL)
		return -DER_NOMEM;
	if (map != NULL)
		memcpy(group->busy, map, SPACE_MAP_BYTES);
	space_change_bits(group->busy, space_group_blks(space, g),
			  SPACE_GROUP_BLKS - space_group_blks(space, g), true);
	return 0;
}

/* Start of the run of clear bits that ends before pos; pos if the bit before it is set. */
static uint32_t
run_start(const uint64_t *map, uint32_t pos)
{
	uint32_t w = pos / 64;
	uint64_t word = pos % 64 == 0 ? 0 : map[w] & ((1ull << (pos % 64)) - 1);

	while (word == 0) {
		if (w == 0)
			return 0;
		word = map[--w];
	}
	return w * 64 + 64 - __builtin_clzll(word);
}

/* The blocks stop being busy. */
void
space_group_release(struct space *space, uint32_t g, uint32_t pos, uint32_t nr)
{
	struct group *group = &space->groups[g];
	uint32_t from = pos, to = pos + nr;

	space_change_bits(group->busy, pos, nr, false);
	/* The run they are now part of may be the group's longest. */
	from = run_start(group->busy, from);
	to = space_next_bit(group->busy, to, true);
	if (to - from > space->bound[g])
		space->bound[g] = to - from;
}

/* Cut an extent at group borders: fn(space, group, position, number, arg) until it fails. */
int
space_for_each_piece(struct space *space, const struct space_ext *ext,
		     int (*fn)(struct space *space, uint32_t g, uint32_t pos, uint32_t nr,
			       void *arg),
		     void *arg)
{
	uint64_t at = ext->blk - space->df.first_blk;
	uint32_t left = ext->blk_nr;
	int rc = 0;

	if (ext->blk < space->df.first_blk || at > space->df.blk_nr ||
	    left > space->df.blk_nr - at || left == 0) {
		log_err("extent %#llx+%u is outside the space", (unsigned long long)ext->blk,
			ext->blk_nr);
		return -DER_CSUM;
	}
	while (rc == 0 && left > 0) {
		uint32_t pos = at % SPACE_GROUP_BLKS;
		uint32_t nr = SPACE_GROUP_BLKS - pos < left ? SPACE_GROUP_BLKS - pos : left;

		rc = fn(space, at / SPACE_GROUP_BLKS, pos, nr, arg);
		at += nr;
		left -= nr;
	}
	return rc;
}
