/* Space: the offline check, and how free space is cut up. */
#define LOG_FACILITY "space"
#include <string.h>

#include "base/log.h"
#include "store/space/space_internal.h"

/* --- check ----------------------------------------------------------------------------------- */

struct verify {
	bool (*is_used)(void *arg, uint64_t blk, uint32_t blk_nr);
	void *arg;
	uint64_t used_blk;
	uint32_t bad_nr;
};

/* All of one group; the maps are in memory. */
static void
verify_group(struct space *space, uint32_t g, const uint64_t *map, uint32_t used_nr,
	     struct verify *v)
{
	const struct group *group = &space->groups[g];
	uint32_t pos = 0, end, used = 0;
	uint64_t first = space->df.first_blk + (uint64_t)g * SPACE_GROUP_BLKS;

	while ((pos = space_next_bit(map, pos, true)) < SPACE_GROUP_BLKS) {
		end = space_next_bit(map, pos, false);
		used += end - pos;
		if (v->is_used != NULL && !v->is_used(v->arg, first + pos, end - pos)) {
			log_err("blocks %#llx+%u belong to nobody",
				(unsigned long long)(first + pos), end - pos);
			v->bad_nr++;
		}
		for (; group->busy != NULL && pos < end; pos++) {
			if (!(group->busy[pos / 64] >> (pos % 64) & 1)) {
				log_err("block %#llx is allocated but not busy",
					(unsigned long long)(first + pos));
				v->bad_nr++;
			}
		}
		pos = end;
	}
	if (used != used_nr ||
	    space_next_bit(map, space_group_blks(space, g), true) != SPACE_GROUP_BLKS) {
		log_err("group %u: %u blocks allocated, %u counted", g, used, used_nr);
		v->bad_nr++;
	}
	v->used_blk += used;
}

static int
verify_all(struct space *space, struct verify *v)
{
	uint32_t g;

	v->bad_nr = 0;
	v->used_blk = 0;
	for (g = 0; g < space->df.group_nr; g++) {
		const struct space_group_df *df =
		    heap_try(space->heap, space_group_df_at(space, g), sizeof(*df));
		const uint64_t *map;

		if (df == NULL)
			return HEAP_MISS;
		if (df->map == 0)
			continue;
		map = heap_try(space->heap, df->map, SPACE_MAP_BYTES);
		if (map == NULL)
			return HEAP_MISS;
		verify_group(space, g, map, df->used_nr, v);
	}
	return 0;
}

int co_fn
space_verify(struct space *space, bool (*is_used)(void *arg, uint64_t blk, uint32_t blk_nr),
	     void *arg)
{
	struct verify v = {.is_used = is_used, .arg = arg};
	int rc;

	do
		rc = verify_all(space, &v);
	while (heap_retry(space->heap, &rc));
	if (rc != 0)
		return rc;
	if (v.used_blk != space->used_blk) {
		log_err("%llu blocks allocated, %llu counted", (unsigned long long)v.used_blk,
			(unsigned long long)space->used_blk);
		v.bad_nr++;
	}
	return v.bad_nr == 0 ? 0 : -DER_CSUM;
}

int
space_own_objects(const struct space *space, int (*fn)(void *arg, uint64_t off), void *arg)
{
	int rc = fn(arg, space->df.table);

	for (uint32_t g = 0; rc == 0 && g < space->df.group_nr; g++) {
		const struct space_group_df *df =
		    heap_try(space->heap, space_group_df_at(space, g), sizeof(*df));

		if (df == NULL)
			return HEAP_MISS;
		if (df->map != 0)
			rc = fn(arg, df->map);
	}
	return rc;
}

/* --- how free space is cut up ---------------------------------------------------------------- */

enum { FRAG_TURN = 16 }; /* groups between two yields */

static void
frag_run(struct space_frag *f, uint32_t nr)
{
	uint32_t class = 31 - __builtin_clz(nr);

	f->free_blk += nr;
	f->run_nr++;
	f->class_run_nr[class]++;
	f->class_blk[class] += nr;
	if (nr > f->longest_blk)
		f->longest_blk = nr;
}

static int
frag_group(struct space *space, uint32_t g, struct space_frag *f)
{
	uint32_t pos = 0, end;
	int rc;

	rc = space_group_load(space, g);
	if (rc != 0)
		return rc;
	while ((pos = space_next_bit(space->groups[g].busy, pos, false)) < SPACE_GROUP_BLKS) {
		end = space_next_bit(space->groups[g].busy, pos, true);
		frag_run(f, end - pos);
		pos = end;
	}
	return 0;
}

int co_fn
space_frag(struct space *space, struct space_frag *ret_frag)
{
	struct space_frag f = {0};
	uint32_t g;
	int rc;

	space_windows_drop(space); /* it is free space, and belongs to the runs beside it */
	for (g = 0; g < space->df.group_nr; g++) {
		do
			rc = frag_group(space, g, &f);
		while (heap_retry(space->heap, &rc));
		if (rc != 0)
			return rc;
		if (g % FRAG_TURN == FRAG_TURN - 1)
			co_yield();
	}
	*ret_frag = f;
	return 0;
}
