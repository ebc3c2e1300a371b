/*
 * Space: which blocks to give.
 *
 * Small requests are cut one after the other from a window, a stretch of free space set aside for
 * them, so that what is written at one time lies together and leaves in one device write. Its
 * blocks count as free, and go back when there is no other space. What
 * aggregation moves has a window of its own: it lives longer than what users write, and would keep
 * the others' space from becoming whole again. The next window is the smallest free run of at least
 * WINDOW_MIN blocks, so that long ones stay whole; if all are shorter, the longest.
 *
 * Large requests follow the last large one where that is possible (a stream lies in one piece),
 * else they take the smallest run that holds them.
 *
 * For each group there is an upper bound of its longest run of blocks that are not busy. A search
 * that does not find what the bound promised makes the bound exact, so it is not repeated. Looking
 * through the bounds of all groups is cheap: 2 bytes for each 128 MiB, and only for a large request
 * or a new window.
 */
#define LOG_FACILITY "space"
#include "base/log.h"
#include "store/space/space_internal.h"

enum {
	LARGE_MIN = 64,    /* blocks: 256 KiB */
	WINDOW_MIN = 256,  /* 1 MiB: what one merged device write can hold */
	WINDOW_MAX = 4096, /* 16 MiB of one run, the rest stays for large requests */
	/* Runs compared once one is found that fits: bounds the time in a scattered group. */
	BEST_TRIES = 512,
	NONE = UINT32_MAX,
};

/* --- runs of one group ----------------------------------------------------------------------- */

struct run {
	uint32_t pos, nr;
};

/* The smallest run of at least want blocks at or after from; without one *ret is the longest. */
static void
best_run(const uint64_t *map, uint32_t from, uint32_t want, struct run *ret)
{
	uint32_t pos = from, end, tries = 0;

	*ret = (struct run){0};
	while ((pos = space_next_bit(map, pos, false)) < SPACE_GROUP_BLKS) {
		uint32_t nr;

		end = space_next_bit(map, pos, true);
		nr = end - pos;
		if (ret->nr < want ? nr > ret->nr : nr >= want && nr < ret->nr)
			*ret = (struct run){.pos = pos, .nr = nr};
		if (ret->nr == want || (ret->nr > want && ++tries == BEST_TRIES))
			return;
		pos = end;
	}
}

/* The first run of at least want blocks in [from, to). */
static bool
first_run(const uint64_t *map, uint32_t from, uint32_t to, uint32_t want, uint32_t *ret_pos)
{
	uint32_t pos = from, end;

	while ((pos = space_next_bit(map, pos, false)) < to && to - pos >= want) {
		end = space_next_bit(map, pos, true);
		if (end - pos >= want) {
			*ret_pos = pos;
			return true;
		}
		pos = end;
	}
	return false;
}

/* --- choosing a group ------------------------------------------------------------------------ */

/* The group with the smallest bound of at least want; NONE. */
static uint32_t
best_group(const struct space *space, uint32_t want)
{
	uint32_t g, best = NONE;

	for (g = 0; g < space->df.group_nr; g++)
		if (space->bound[g] >= want &&
		    (best == NONE || space->bound[g] < space->bound[best]))
			best = g;
	return best;
}

static uint32_t
longest_bound(const struct space *space)
{
	uint32_t g, max = 0;

	for (g = 0; g < space->df.group_nr; g++)
		max = space->bound[g] > max ? space->bound[g] : max;
	return max;
}

/* The best run of at least want anywhere. -DER_NOSPACE: there is none. */
static int
search(struct space *space, uint32_t want, uint32_t *ret_g, struct run *ret)
{
	uint32_t g;
	int rc;

	while ((g = best_group(space, want)) != NONE) {
		rc = space_group_load(space, g);
		if (rc != 0)
			return rc;
		best_run(space->groups[g].busy, 0, want, ret);
		if (ret->nr >= want) {
			*ret_g = g;
			return 0;
		}
		space->bound[g] = ret->nr;
	}
	return -DER_NOSPACE;
}

/* The longest run anywhere, which is shorter than what was wanted. */
static int
search_longest(struct space *space, uint32_t *ret_g, struct run *ret)
{
	uint32_t want;
	int rc;

	while ((want = longest_bound(space)) > 0) {
		rc = search(space, want, ret_g, ret);
		if (rc != -DER_NOSPACE)
			return rc;
	}
	return -DER_NOSPACE;
}

/* --- taking ---------------------------------------------------------------------------------- */

/* The blocks are busy from now on. */
static void
mark_busy(struct space *space, uint32_t g, uint32_t pos, uint32_t nr)
{
	struct group *group = &space->groups[g];

	space_change_bits(group->busy, pos, nr, true);
	if (group->freed != NULL)
		space_change_bits(group->freed, pos, nr, false);
}

static void
give(struct space *space, uint64_t at, uint32_t nr, struct space_ext *ret_ext)
{
	space->reserved_blk += nr;
	ret_ext->blk = space->df.first_blk + at;
	ret_ext->blk_nr = nr;
}

static void
take(struct space *space, uint32_t g, uint32_t pos, uint32_t nr, struct space_ext *ret_ext)
{
	mark_busy(space, g, pos, nr);
	give(space, (uint64_t)g * SPACE_GROUP_BLKS + pos, nr, ret_ext);
}

/* want blocks in one run within [at, end), which lies in one group. -DER_NONEXIST. */
static int
take_within(struct space *space, uint64_t at, uint64_t end, uint32_t want,
	    struct space_ext *ret_ext)
{
	uint32_t g = at / SPACE_GROUP_BLKS, pos;
	uint64_t first = (uint64_t)g * SPACE_GROUP_BLKS;
	int rc;

	if (at >= end || space->bound[g] < want)
		return -DER_NONEXIST;
	rc = space_group_load(space, g);
	if (rc != 0)
		return rc;
	if (!first_run(space->groups[g].busy, at - first, end - first, want, &pos))
		return -DER_NONEXIST;
	take(space, g, pos, want, ret_ext);
	return 0;
}

/* What is left of a window is like any other free space again. */
static void
window_drop(struct space *space, struct window *win)
{
	if (win->at < win->end)
		space_group_release(space, win->at / SPACE_GROUP_BLKS, win->at % SPACE_GROUP_BLKS,
				    win->end - win->at);
	*win = (struct window){0};
}

bool
space_windows_drop(struct space *space)
{
	bool any = false;
	int i;

	for (i = 0; i < WINDOW_NR; i++) {
		any = any || space->window[i].at < space->window[i].end;
		window_drop(space, &space->window[i]);
	}
	return any;
}

/* A new window of at least want blocks. */
static int
window_move(struct space *space, struct window *win, uint32_t want)
{
	struct run run;
	uint32_t g;
	int rc;

	rc = search(space, want > WINDOW_MIN ? want : WINDOW_MIN, &g, &run);
	if (rc == -DER_NOSPACE)
		rc = search_longest(space, &g, &run);
	if (rc != 0)
		return rc;
	if (run.nr < want)
		return -DER_NOSPACE;
	window_drop(space, win);
	/* the end of a long run: large requests may be growing from its beginning */
	if (run.nr > WINDOW_MAX)
		run = (struct run){.pos = run.pos + run.nr - WINDOW_MAX, .nr = WINDOW_MAX};
	mark_busy(space, g, run.pos, run.nr);
	win->at = (uint64_t)g * SPACE_GROUP_BLKS + run.pos;
	win->end = win->at + run.nr;
	return 0;
}

static int
take_small(struct space *space, struct window *win, uint32_t want, struct space_ext *ret_ext)
{
	int rc = 0;

	if (win->end - win->at < want)
		rc = window_move(space, win, want);
	if (rc != 0)
		return rc;
	give(space, win->at, want, ret_ext);
	win->at += want;
	return 0;
}

/* Right behind the last large one, or where it fits best. */
static int
take_large(struct space *space, uint32_t want, struct space_ext *ret_ext)
{
	uint64_t at = space->large_at;
	struct run run;
	uint32_t g;
	int rc = -DER_NONEXIST;

	if (at % SPACE_GROUP_BLKS + want <= SPACE_GROUP_BLKS && at + want <= space->df.blk_nr)
		rc = take_within(space, at, at + want, want, ret_ext);
	if (rc == -DER_NONEXIST) {
		rc = search(space, want, &g, &run);
		if (rc == 0)
			take(space, g, run.pos, want, ret_ext);
	}
	if (rc == 0)
		space->large_at = ret_ext->blk - space->df.first_blk + want;
	return rc;
}

/* At or after the block the caller asked for, in the same group. */
static int
take_hinted(struct space *space, uint64_t hint, uint32_t want, struct space_ext *ret_ext)
{
	uint64_t at = hint - space->df.first_blk, end;

	if (hint < space->df.first_blk || at >= space->df.blk_nr)
		return -DER_NONEXIST;
	end = (at / SPACE_GROUP_BLKS + 1) * SPACE_GROUP_BLKS;
	return take_within(space, at, end, want, ret_ext);
}

static int
take_longest(struct space *space, uint32_t want, struct space_ext *ret_ext)
{
	struct run run;
	uint32_t g;
	int rc;

	rc = search_longest(space, &g, &run);
	if (rc == 0)
		take(space, g, run.pos, run.nr < want ? run.nr : want, ret_ext);
	return rc;
}

/* There is enough free space, but not in one piece. */
static void
note_scattered(struct space *space, uint32_t want)
{
	space->scattered_nr++;
	log_every(60000, LOG_LVL_INFO,
		  "free space is scattered: no %u blocks in one piece, the longest has %u", want,
		  longest_bound(space));
}

int
space_reserve(struct space *space, uint32_t blk_nr, uint64_t hint, uint32_t flags,
	      struct space_ext *ret_ext)
{
	uint64_t margin = flags & SPACE_RECLAIM ? 0 : space->margin_blk;
	uint64_t busy = space_busy_blks(space);
	struct window *win = &space->window[flags & SPACE_RECLAIM ? WINDOW_COLD : WINDOW_HOT];
	int rc = -DER_NONEXIST;

	if (blk_nr == 0 || (blk_nr > SPACE_EXT_BLOCKS_MAX && (flags & SPACE_CONTIG)))
		return -DER_INVAL;
	if (blk_nr > SPACE_EXT_BLOCKS_MAX)
		blk_nr = SPACE_EXT_BLOCKS_MAX;
	if (space->df.blk_nr - busy < margin + blk_nr) {
		space_prove(space); /* for those who wait until something comes free */
		if ((flags & SPACE_CONTIG) || space->df.blk_nr - busy <= margin)
			return -DER_NOSPACE;
		blk_nr = space->df.blk_nr - busy - margin;
	}
	if (hint != 0)
		rc = take_hinted(space, hint, blk_nr, ret_ext);
	if (rc == -DER_NONEXIST) {
		do
			rc = blk_nr < LARGE_MIN ? take_small(space, win, blk_nr, ret_ext)
						: take_large(space, blk_nr, ret_ext);
		while (rc == -DER_NOSPACE && space_windows_drop(space));
	}
	if (rc != -DER_NOSPACE)
		return rc;
	note_scattered(space, blk_nr);
	return flags & SPACE_CONTIG ? rc : take_longest(space, blk_nr, ret_ext);
}
