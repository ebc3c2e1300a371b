/*
 * Space: extent allocator of the NVMe tier.
 *
 * Persistent: one bit per block, in maps of 4 KiB (a group), changed by publish and free inside the
 * user's transaction; a few bytes of log each.
 *
 * Volatile: for each group in use a second map, "busy": allocated, or reserved, or freed but not
 * yet to be reused. Reservations only look there. For each group an upper bound of its longest run
 * of blocks that are not busy; a tree of maxima over the bounds finds the next group that may have
 * room in O(log n). A search that does not find what the bound promised makes the bound exact, so
 * it is not repeated.
 *
 * Freed extents of one transaction form a batch. When the transaction is durable the batch is
 * stamped with a number; when all holds with a lower number are gone, its blocks stop being busy.
 */
#define LOG_FACILITY "space"
#include "store/space/space.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/space/space_format.h"

enum {
	MAP_WORDS = SPACE_GROUP_BLKS / 64,
	RECLAIM_SHARE = 50,  /* 1/50 of all blocks are kept for SPACE_RECLAIM ... */
	RECLAIM_MAX = 65536, /* ... but not more than 256 MiB */
	BATCH_FIRST = 16,
};

struct group {
	uint64_t *busy; /* MAP_WORDS words; NULL: not looked at yet */
};

/* Extents freed by one transaction. */
struct free_batch {
	struct durable_cb cb;
	struct list link; /* space.batches */
	struct space *space;
	uint64_t stamp; /* 0: not durable yet */
	uint32_t nr, cap;
	struct space_ext ext[];
};

struct space {
	struct heap *heap;
	struct space_df df;
	struct group *groups;
	uint16_t *max; /* tree of maxima: leaves at leaf_nr + group, root at 1 */
	uint32_t leaf_nr;
	uint64_t cursor; /* block after the last reservation */
	uint64_t used_blk, reserved_blk, freeing_blk;
	uint64_t margin_blk;

	struct list holds;   /* space_hold, by seq */
	struct list batches; /* free_batch, by lsn */
	uint64_t seq;

	/* What the open transaction does. */
	struct heap_tx_hook hook;
	bool hooked;
	uint64_t tx_published;
	struct free_batch *tx_batch; /* kept for the next one after an abort */
};

/* --- places ---------------------------------------------------------------------------------- */

static uint64_t
group_df_at(const struct space *space, uint32_t g)
{
	return space->df.table + (uint64_t)g * sizeof(struct space_group_df);
}

static uint32_t
group_blks(const struct space *space, uint32_t g)
{
	uint64_t first = (uint64_t)g * SPACE_GROUP_BLKS;
	uint64_t left = space->df.blk_nr - first;

	return left < SPACE_GROUP_BLKS ? left : SPACE_GROUP_BLKS;
}

/* --- bit maps -------------------------------------------------------------------------------- */

/* First bit at or after pos that is set (or clear), or SPACE_GROUP_BLKS. */
static uint32_t
next_bit(const uint64_t *map, uint32_t pos, bool set)
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
static uint32_t
change_bits(uint64_t *map, uint32_t pos, uint32_t nr, bool set)
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

/* A run of clear bits from from on: the first of at least want, otherwise the longest. *ret_nr 0:
 * none. */
static uint32_t
find_run(const uint64_t *map, uint32_t from, uint32_t want, uint32_t *ret_nr)
{
	uint32_t pos = from, best = 0, end;

	*ret_nr = 0;
	for (;;) {
		pos = next_bit(map, pos, false);
		if (pos == SPACE_GROUP_BLKS)
			return best;
		end = next_bit(map, pos, true);
		if (end - pos > *ret_nr) {
			best = pos;
			*ret_nr = end - pos;
		}
		if (*ret_nr >= want)
			return best;
		pos = end;
	}
}

/* --- tree of maxima -------------------------------------------------------------------------- */

static void
set_max(struct space *space, uint32_t g, uint32_t run)
{
	uint32_t i = space->leaf_nr + g;

	space->max[i] = run;
	for (i /= 2; i > 0; i /= 2) {
		uint16_t a = space->max[2 * i], b = space->max[2 * i + 1];
		uint16_t m = a > b ? a : b;

		if (space->max[i] == m)
			break;
		space->max[i] = m;
	}
}

/* First group at or after from whose bound is at least want; UINT32_MAX: none. */
static uint32_t
next_group(const struct space *space, uint32_t from, uint32_t want)
{
	uint32_t i = space->leaf_nr + from;

	if (from >= space->df.group_nr)
		return UINT32_MAX;
	/* Up until a node on the right has it, then down to its leftmost. */
	while (space->max[i] < want) {
		while (i % 2 == 1)
			i /= 2;
		if (i == 0)
			return UINT32_MAX;
		i++;
	}
	while (i < space->leaf_nr)
		i = space->max[2 * i] >= want ? 2 * i : 2 * i + 1;
	return i - space->leaf_nr;
}

/* --- groups ---------------------------------------------------------------------------------- */

/* Have the busy map of a group. */
static int
group_load(struct space *space, uint32_t g)
{
	struct group *group = &space->groups[g];
	const struct space_group_df *df;
	const void *map = NULL;

	if (group->busy != NULL)
		return 0;
	df = heap_try(space->heap, group_df_at(space, g), sizeof(*df));
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
	change_bits(group->busy, group_blks(space, g), SPACE_GROUP_BLKS - group_blks(space, g),
		    true);
	return 0;
}

/* The blocks stop being busy. */
static void
group_release(struct space *space, uint32_t g, uint32_t pos, uint32_t nr)
{
	struct group *group = &space->groups[g];
	uint32_t from = pos, to = pos + nr;

	change_bits(group->busy, pos, nr, false);
	/* The run they are now part of may be the group's longest. */
	while (from > 0 && !(group->busy[(from - 1) / 64] >> ((from - 1) % 64) & 1))
		from--;
	to = next_bit(group->busy, to, true);
	if (to - from > space->max[space->leaf_nr + g])
		set_max(space, g, to - from);
}

/* Cut an extent at group borders: fn(space, group, position, number, arg) until it fails. */
static int
for_each_piece(struct space *space, const struct space_ext *ext,
	       int (*fn)(struct space *space, uint32_t g, uint32_t pos, uint32_t nr, void *arg),
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

static int
release_piece(struct space *space, uint32_t g, uint32_t pos, uint32_t nr, void *arg)
{
	group_release(space, g, pos, nr);
	return 0;
}

/* --- reserving ------------------------------------------------------------------------------- */

static uint64_t
busy_blks(const struct space *space)
{
	return space->used_blk + space->reserved_blk + space->freeing_blk;
}

/* Take nr blocks of a group. */
static void
take(struct space *space, uint32_t g, uint32_t pos, uint32_t nr, struct space_ext *ret_ext)
{
	uint64_t at = (uint64_t)g * SPACE_GROUP_BLKS + pos;

	change_bits(space->groups[g].busy, pos, nr, true);
	space->reserved_blk += nr;
	ret_ext->blk = space->df.first_blk + at;
	ret_ext->blk_nr = nr;
	space->cursor = at + nr;
}

/* A run of at least want in group g, from pos on. 0, -DER_NONEXIST: none; its bound is exact then.
 */
static int
take_from(struct space *space, uint32_t g, uint32_t pos, uint32_t want, struct space_ext *ret_ext)
{
	uint32_t at, nr;
	int rc;

	rc = group_load(space, g);
	if (rc != 0)
		return rc;
	at = find_run(space->groups[g].busy, pos, want, &nr);
	if (nr < want) {
		if (pos == 0)
			set_max(space, g, nr);
		return -DER_NONEXIST;
	}
	take(space, g, at, want, ret_ext);
	return 0;
}

/* The first run of at least want at or after block at, then from the beginning. */
static int
take_next(struct space *space, uint64_t at, uint32_t want, struct space_ext *ret_ext)
{
	uint32_t g, start = at / SPACE_GROUP_BLKS;
	int rc, lap;

	if (space->max[space->leaf_nr + start] >= want) {
		rc = take_from(space, start, at % SPACE_GROUP_BLKS, want, ret_ext);
		if (rc != -DER_NONEXIST)
			return rc;
	}
	for (lap = 0; lap < 2; lap++) {
		g = lap == 0 ? start + 1 : 0;
		while ((g = next_group(space, g, want)) != UINT32_MAX) {
			rc = take_from(space, g, 0, want, ret_ext);
			if (rc != -DER_NONEXIST)
				return rc;
			g++;
		}
	}
	return -DER_NOSPACE;
}

/* The longest run there is, which is shorter than what was wanted. */
static int
take_longest(struct space *space, struct space_ext *ret_ext)
{
	uint32_t want;
	int rc;

	while ((want = space->max[1]) > 0) {
		rc = take_from(space, next_group(space, 0, want), 0, want, ret_ext);
		if (rc != -DER_NONEXIST)
			return rc;
	}
	return -DER_NOSPACE;
}

int
space_reserve(struct space *space, uint32_t blk_nr, uint64_t hint, uint32_t flags,
	      struct space_ext *ret_ext)
{
	uint64_t margin = flags & SPACE_RECLAIM ? 0 : space->margin_blk;
	uint64_t at = hint > space->df.first_blk ? hint - space->df.first_blk : space->cursor;
	uint64_t busy = busy_blks(space);
	int rc;

	if (blk_nr == 0 || (blk_nr > SPACE_EXT_BLOCKS_MAX && (flags & SPACE_CONTIG)))
		return -DER_INVAL;
	if (blk_nr > SPACE_EXT_BLOCKS_MAX)
		blk_nr = SPACE_EXT_BLOCKS_MAX;
	if (space->df.blk_nr - busy < margin + blk_nr) {
		if ((flags & SPACE_CONTIG) || space->df.blk_nr - busy <= margin)
			return -DER_NOSPACE;
		blk_nr = space->df.blk_nr - busy - margin;
	}
	if (at >= space->df.blk_nr)
		at = 0;
	rc = take_next(space, at, blk_nr, ret_ext);
	if (rc == -DER_NOSPACE && !(flags & SPACE_CONTIG))
		rc = take_longest(space, ret_ext);
	return rc;
}

void
space_cancel(struct space *space, const struct space_ext *ext)
{
	space->reserved_blk -= ext->blk_nr;
	for_each_piece(space, ext, release_piece, NULL);
}

/* --- freed extents --------------------------------------------------------------------------- */

static void
batch_free(struct free_batch *batch)
{
	if (batch == NULL)
		return;
	list_del(&batch->link);
	free(batch);
}

/* Blocks of a batch that is durable and that no reader needs become free. */
static void
batch_release(struct space *space, struct free_batch *batch)
{
	uint32_t i;

	for (i = 0; i < batch->nr; i++) {
		space->freeing_blk -= batch->ext[i].blk_nr;
		for_each_piece(space, &batch->ext[i], release_piece, NULL);
	}
	batch_free(batch);
}

static void
release_ready(struct space *space)
{
	const struct space_hold *oldest = list_first(&space->holds, struct space_hold, link);
	struct free_batch *batch;

	while ((batch = list_first(&space->batches, struct free_batch, link)) != NULL) {
		if (batch->stamp == 0 || (oldest != NULL && oldest->seq < batch->stamp))
			break;
		batch_release(space, batch);
	}
}

static void
batch_durable(struct durable_cb *cb, int rc)
{
	struct free_batch *batch = container_of(cb, struct free_batch, cb);
	struct space *space = batch->space;

	/* If it is not known to be durable, the blocks must not be used again. */
	if (rc != 0) {
		batch_free(batch);
		return;
	}
	batch->stamp = ++space->seq;
	release_ready(space);
}

void
space_hold(struct space *space, struct space_hold *hold)
{
	hold->seq = space->seq;
	list_push_back(&space->holds, &hold->link);
}

void
space_release(struct space *space, struct space_hold *hold)
{
	list_del(&hold->link);
	release_ready(space);
}

/* --- transactions ---------------------------------------------------------------------------- */

static void
tx_ended(struct heap_tx_hook *hook, bool committed, uint64_t lsn)
{
	struct space *space = container_of(hook, struct space, hook);
	struct free_batch *batch = space->tx_batch;
	uint32_t i;

	space->hooked = false;
	if (!committed) {
		if (batch != NULL)
			batch->nr = 0;
		return;
	}
	space->reserved_blk -= space->tx_published;
	space->used_blk += space->tx_published;
	if (batch == NULL || batch->nr == 0)
		return;
	for (i = 0; i < batch->nr; i++) {
		space->used_blk -= batch->ext[i].blk_nr;
		space->freeing_blk += batch->ext[i].blk_nr;
	}
	space->tx_batch = NULL;
	list_push_back(&space->batches, &batch->link);
	heap_on_durable(space->heap, &batch->cb, lsn);
}

static void
tx_join(struct heap_tx *tx, struct space *space)
{
	if (space->hooked)
		return;
	space->hooked = true;
	space->tx_published = 0;
	space->hook.fn = tx_ended;
	heap_tx_hook_add(tx, &space->hook);
}

/* Room for one more extent in the transaction's batch. */
static int
batch_room(struct space *space)
{
	struct free_batch *batch = space->tx_batch;
	uint32_t cap = batch == NULL ? BATCH_FIRST : batch->cap * 2;

	if (batch != NULL && batch->nr < batch->cap)
		return 0;
	batch = mem_realloc(batch, 1, sizeof(*batch) + cap * sizeof(batch->ext[0]));
	if (batch == NULL)
		return -DER_NOMEM;
	if (space->tx_batch == NULL) {
		memset(batch, 0, sizeof(*batch));
		batch->space = space;
		batch->cb.fn = batch_durable;
	}
	list_init(&batch->link);
	batch->cap = cap;
	space->tx_batch = batch;
	return 0;
}

/* The map of a group, made if there is none. */
static int
group_map(struct heap_tx *tx, struct space *space, uint32_t g, bool make, uint64_t *ret_map)
{
	uint64_t at = group_df_at(space, g);
	struct space_group_df *df = heap_try(space->heap, at, sizeof(*df));
	uint64_t map;
	int rc;

	if (df == NULL)
		return HEAP_MISS;
	if (df->map != 0 || !make) {
		*ret_map = df->map;
		return df->map != 0 ? 0 : -DER_CSUM;
	}
	rc = heap_alloc(tx, SPACE_MAP_BYTES, 0, &map);
	if (rc == 0)
		rc =
		    heap_tx_write(tx, at + offsetof(struct space_group_df, map), &map, sizeof(map));
	if (rc == 0)
		*ret_map = map;
	return rc;
}

struct mark {
	struct heap_tx *tx;
	bool set;
};

/* Change the persistent bits of one piece; all of them must be the other way now. */
static int
mark_piece(struct space *space, uint32_t g, uint32_t pos, uint32_t nr, void *arg)
{
	const struct mark *m = arg;
	uint32_t first = pos / 8, last = (pos + nr - 1) / 8 + 1;
	struct space_group_df df;
	uint64_t map, *words;
	int rc;

	rc = group_load(space, g);
	if (rc == 0)
		rc = group_map(m->tx, space, g, m->set, &map);
	if (rc != 0)
		return rc;
	rc = heap_tx_add(m->tx, map + first, last - first);
	if (rc != 0)
		return rc;
	words = heap_try(space->heap, map, SPACE_MAP_BYTES);
	if (words == NULL)
		return HEAP_MISS;
	memcpy(&df, heap_ptr(space->heap, group_df_at(space, g)), sizeof(df));
	if (change_bits(words, pos, nr, m->set) != nr || (!m->set && df.used_nr < nr)) {
		log_err("group %u, block %u+%u: already %s", g, pos, nr,
			m->set ? "allocated" : "free");
		return -DER_CSUM;
	}
	df.used_nr += m->set ? nr : -nr;
	return heap_tx_write(m->tx,
			     group_df_at(space, g) + offsetof(struct space_group_df, used_nr),
			     &df.used_nr, sizeof(df.used_nr));
}

int
space_publish(struct heap_tx *tx, struct space *space, const struct space_ext *ext)
{
	struct mark m = {.tx = tx, .set = true};
	int rc;

	rc = for_each_piece(space, ext, mark_piece, &m);
	if (rc != 0)
		return rc;
	tx_join(tx, space);
	space->tx_published += ext->blk_nr;
	return 0;
}

int
space_free(struct heap_tx *tx, struct space *space, const struct space_ext *ext)
{
	struct mark m = {.tx = tx, .set = false};
	int rc;

	rc = batch_room(space);
	if (rc == 0)
		rc = for_each_piece(space, ext, mark_piece, &m);
	if (rc != 0)
		return rc;
	tx_join(tx, space);
	space->tx_batch->ext[space->tx_batch->nr++] = *ext;
	return 0;
}

/* --- life ------------------------------------------------------------------------------------ */

struct format {
	uint64_t root_off;
	uint64_t first_byte;
	uint64_t bytes;
};

static int
format_tx(struct heap_tx *tx, void *arg)
{
	const struct format *f = arg;
	struct space_df df = {
	    .magic = SPACE_MAGIC,
	    .version = SPACE_VERSION,
	    .first_blk = f->first_byte / SPACE_BLOCK,
	    .blk_nr = f->bytes / SPACE_BLOCK,
	};
	int rc;

	df.group_nr = (df.blk_nr + SPACE_GROUP_BLKS - 1) / SPACE_GROUP_BLKS;
	rc = heap_alloc(tx, df.group_nr * sizeof(struct space_group_df), 0, &df.table);
	return rc == 0 ? heap_tx_write(tx, f->root_off, &df, sizeof(df)) : rc;
}

int co_fn
space_create(struct heap *heap, uint64_t root_off, uint64_t first_byte, uint64_t bytes)
{
	struct format f = {.root_off = root_off, .first_byte = first_byte, .bytes = bytes};
	uint64_t blk_nr = bytes / SPACE_BLOCK, log, lsn;
	int rc;

	log = (blk_nr / SPACE_GROUP_BLKS + 1) * sizeof(struct space_group_df);
	if (first_byte % SPACE_BLOCK != 0 || blk_nr == 0 || log > HEAP_ALLOC_MAX)
		return -DER_INVAL;
	rc = heap_tx_run(heap, log + 4096, 0, 0, format_tx, &f, &lsn);
	return rc == 0 ? heap_wait_durable(heap, lsn) : rc;
}

static int
check_df(const struct space_df *df)
{
	if (df->magic != SPACE_MAGIC)
		return -DER_DF_INVAL;
	if (df->version != SPACE_VERSION)
		return -DER_DF_INCOMPT;
	if (df->blk_nr == 0 || df->blk_nr > (uint64_t)UINT32_MAX * SPACE_GROUP_BLKS ||
	    df->group_nr != (df->blk_nr + SPACE_GROUP_BLKS - 1) / SPACE_GROUP_BLKS ||
	    df->group_nr > HEAP_ALLOC_MAX / sizeof(struct space_group_df))
		return -DER_CSUM;
	return 0;
}

static int
load_table(struct space *space)
{
	const struct space_group_df *df;
	uint32_t g;

	df = heap_try(space->heap, space->df.table, space->df.group_nr * sizeof(*df));
	if (df == NULL)
		return HEAP_MISS;
	space->used_blk = 0;
	for (g = 0; g < space->df.group_nr; g++) {
		if (df[g].used_nr > group_blks(space, g) ||
		    (df[g].map == 0 && df[g].used_nr != 0)) {
			log_err("group %u: bad entry", g);
			return -DER_CSUM;
		}
		space->used_blk += df[g].used_nr;
		set_max(space, g, group_blks(space, g) - df[g].used_nr);
	}
	return 0;
}

int co_fn
space_open(struct heap *heap, uint64_t root_off, struct dev *dev, struct space **ret_space)
{
	struct space *space;
	int rc;

	rc = heap_fault(heap, root_off, sizeof(struct space_df));
	if (rc != 0)
		return rc;
	space = mem_new(struct space);
	if (space == NULL)
		return -DER_NOMEM;
	space->heap = heap;
	list_init(&space->holds);
	list_init(&space->batches);
	memcpy(&space->df, heap_ptr(heap, root_off), sizeof(space->df));
	rc = check_df(&space->df);
	if (rc != 0) {
		free(space);
		return rc;
	}
	space->margin_blk = space->df.blk_nr / RECLAIM_SHARE;
	if (space->margin_blk > RECLAIM_MAX)
		space->margin_blk = RECLAIM_MAX;
	for (space->leaf_nr = 1; space->leaf_nr < space->df.group_nr;)
		space->leaf_nr *= 2;
	space->groups = mem_calloc(space->df.group_nr, sizeof(*space->groups));
	space->max = mem_calloc(2 * (size_t)space->leaf_nr, sizeof(*space->max));
	rc = space->groups == NULL || space->max == NULL ? -DER_NOMEM : 0;
	if (rc == 0) {
		do
			rc = load_table(space);
		while (heap_retry(heap, &rc));
	}
	if (rc != 0)
		space_close(space);
	else
		*ret_space = space;
	return rc;
}

void co_fn
space_close(struct space *space)
{
	uint32_t g;

	if (space == NULL)
		return;
	assert(list_empty(&space->holds) && !space->hooked);
	/* Callbacks of batches would come when the heap is closed: let them come now. */
	while (!list_empty(&space->batches)) {
		struct free_batch *batch = list_first(&space->batches, struct free_batch, link);

		heap_wait_durable(space->heap, batch->cb.lsn);
	}
	free(space->tx_batch);
	for (g = 0; space->groups != NULL && g < space->df.group_nr; g++)
		free(space->groups[g].busy);
	free(space->groups);
	free(space->max);
	free(space);
}

void
space_stats(const struct space *space, struct space_stats *ret_stats)
{
	uint64_t taken = busy_blks(space) + space->margin_blk;
	uint32_t g;

	*ret_stats = (struct space_stats){
	    .total_blk = space->df.blk_nr,
	    .used_blk = space->used_blk,
	    .reserved_blk = space->reserved_blk,
	    .freeing_blk = space->freeing_blk,
	    .free_blk = space->df.blk_nr > taken ? space->df.blk_nr - taken : 0,
	    .group_nr = space->df.group_nr,
	};
	for (g = 0; g < space->df.group_nr; g++)
		ret_stats->group_full_nr += space->max[space->leaf_nr + g] == 0;
}

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

	while ((pos = next_bit(map, pos, true)) < SPACE_GROUP_BLKS) {
		end = next_bit(map, pos, false);
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
	if (used != used_nr || next_bit(map, group_blks(space, g), true) != SPACE_GROUP_BLKS) {
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
		    heap_try(space->heap, group_df_at(space, g), sizeof(*df));
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

bool
space_owns(const struct space *space, uint64_t off)
{
	uint32_t g;

	if (off == space->df.table)
		return true;
	for (g = 0; g < space->df.group_nr; g++) {
		const struct space_group_df *df =
		    heap_try(space->heap, group_df_at(space, g), sizeof(*df));

		if (df != NULL && df->map == off)
			return true;
	}
	return false;
}
