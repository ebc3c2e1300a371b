/*
 * Space: extent allocator of the NVMe tier; life, publishing and freeing. space_map.c has the maps,
 * space_run.c decides which blocks to give, space_discard.c gives them back to the device,
 * space_verify.c checks and counts.
 *
 * Persistent: one bit per block, in maps of 4 KiB (a group), changed by publish and free inside the
 * user's transaction; a few bytes of log each.
 *
 * Freed extents of one transaction form a batch. When the transaction is durable the batch is
 * stamped with a number; when all holds with a lower number are gone, its blocks stop being busy.
 */
#define LOG_FACILITY "space"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/space/space_internal.h"

enum {
	RECLAIM_SHARE = 50,  /* 1/50 of all blocks are kept for SPACE_RECLAIM ... */
	RECLAIM_MAX = 65536, /* ... but not more than 256 MiB */
	PROVE_MS = 20,
};

/* --- freed extents --------------------------------------------------------------------------- */

static int
release_piece(struct space *space, uint32_t g, uint32_t pos, uint32_t nr, void *arg)
{
	space_group_release(space, g, pos, nr);
	space_discard_note(space, g, pos, nr);
	return 0;
}

void
space_cancel(struct space *space, const struct space_ext *ext)
{
	space->reserved_blk -= ext->blk_nr;
	space_for_each_piece(space, ext, release_piece, NULL);
}

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
		space_for_each_piece(space, &batch->ext[i], release_piece, NULL);
	}
	batch_free(batch);
}

static void
prove_later(struct space *space)
{
	struct xs *xs = heap_xs(space->heap);

	if (space->prove_timer.heap_idx == 0)
		xs_timer_arm(xs, &space->prove_timer, xs_now_ns(xs) + PROVE_MS * 1000000ull);
}

static void
release_ready(struct space *space)
{
	const struct space_hold *oldest = list_first(&space->holds, struct space_hold, link);
	struct free_batch *batch;

	while ((batch = list_first(&space->batches, struct free_batch, link)) != NULL) {
		if (batch->stamp == 0 || (oldest != NULL && oldest->seq < batch->stamp))
			break;
		if (!space->closing && heap_proven_lsn(space->heap) < batch->dep_lsn) {
			prove_later(space);
			break;
		}
		batch_release(space, batch);
	}
}

/* --- proof -----------------------------------------------------------------------------------
 *
 * After a crash the last records of the log count only if the blocks they depend on have their
 * content (heap_tx_dep). So blocks that were written and freed at once must not be written again
 * before the log itself tells that those records were durable. The next write of the log does; when
 * none comes, an empty record is appended.
 */

static void
proved(struct durable_cb *cb, int rc)
{
	struct space *space = container_of(cb, struct space, prove_cb);

	space->proving = false;
	if (rc == 0)
		release_ready(space);
}

void
space_prove(struct space *space)
{
	const struct free_batch *batch = list_first(&space->batches, struct free_batch, link);
	uint64_t lsn;

	/* A record that is not behind the durable one would prove nothing. */
	if (space->proving || space->closing || batch == NULL || batch->stamp == 0 ||
	    heap_proven_lsn(space->heap) >= batch->dep_lsn)
		return;
	if (heap_mark(space->heap, &lsn) != 0) {
		prove_later(space);
		return;
	}
	space->proving = true;
	heap_on_durable(space->heap, &space->prove_cb, lsn);
}

static void
prove_due(struct xs_timer *t)
{
	space_prove(t->arg);
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
	batch->dep_lsn = heap_dep_lsn(space->heap);
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
	space->tx_freed = 0;
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
	uint64_t at = space_group_df_at(space, g);
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
		heap_tx_not_mine(tx, heap_alloc_size(SPACE_MAP_BYTES));
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

	rc = space_group_load(space, g);
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
	memcpy(&df, heap_ptr(space->heap, space_group_df_at(space, g)), sizeof(df));
	if (space_change_bits(words, pos, nr, m->set) != nr || (!m->set && df.used_nr < nr)) {
		log_err("group %u, block %u+%u: already %s", g, pos, nr,
			m->set ? "allocated" : "free");
		return -DER_CSUM;
	}
	df.used_nr += m->set ? nr : -nr;
	return heap_tx_write(m->tx,
			     space_group_df_at(space, g) + offsetof(struct space_group_df, used_nr),
			     &df.used_nr, sizeof(df.used_nr));
}

int
space_publish(struct heap_tx *tx, struct space *space, const struct space_ext *ext)
{
	struct mark m = {.tx = tx, .set = true};
	int rc;

	rc = space_for_each_piece(space, ext, mark_piece, &m);
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
		rc = space_for_each_piece(space, ext, mark_piece, &m);
	if (rc != 0)
		return rc;
	tx_join(tx, space);
	space->tx_batch->ext[space->tx_batch->nr++] = *ext;
	space->tx_freed += ext->blk_nr;
	return 0;
}

int64_t
space_tx_net_blk(const struct space *space)
{
	return space->hooked ? (int64_t)space->tx_published - (int64_t)space->tx_freed : 0;
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
		if (df[g].used_nr > space_group_blks(space, g) ||
		    (df[g].map == 0 && df[g].used_nr != 0)) {
			log_err("group %u: bad entry", g);
			return -DER_CSUM;
		}
		space->used_blk += df[g].used_nr;
		space->bound[g] = space_group_blks(space, g) - df[g].used_nr;
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
	xs_timer_init(&space->prove_timer, prove_due, space);
	space->prove_cb.fn = proved;
	space_discard_init(space, dev);
	memcpy(&space->df, heap_ptr(heap, root_off), sizeof(space->df));
	rc = check_df(&space->df);
	if (rc != 0) {
		free(space);
		return rc;
	}
	space->margin_blk = space->df.blk_nr / RECLAIM_SHARE;
	if (space->margin_blk > RECLAIM_MAX)
		space->margin_blk = RECLAIM_MAX;
	space->groups = mem_calloc(space->df.group_nr, sizeof(*space->groups));
	space->bound = mem_calloc(space->df.group_nr, sizeof(*space->bound));
	rc = space->groups == NULL || space->bound == NULL ? -DER_NOMEM : 0;
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
	space->closing = true;
	xs_timer_cancel(&space->prove_timer);
	while (space->proving)
		heap_wait_durable(space->heap, space->prove_cb.lsn);
	release_ready(space);
	space_discard_stop(space);
	/* Callbacks of batches would come when the heap is closed: let them come now. */
	while (!list_empty(&space->batches)) {
		struct free_batch *batch = list_first(&space->batches, struct free_batch, link);

		heap_wait_durable(space->heap, batch->cb.lsn);
	}
	free(space->tx_batch);
	for (g = 0; space->groups != NULL && g < space->df.group_nr; g++) {
		free(space->groups[g].busy);
		free(space->groups[g].freed);
	}
	free(space->groups);
	free(space->bound);
	free(space);
}

void
space_stats(const struct space *space, struct space_stats *ret_stats)
{
	uint64_t taken = space_busy_blks(space) + space->margin_blk;
	uint32_t g;

	*ret_stats = (struct space_stats){
	    .total_blk = space->df.blk_nr,
	    .used_blk = space->used_blk,
	    .reserved_blk = space->reserved_blk,
	    .freeing_blk = space->freeing_blk,
	    .free_blk = space->df.blk_nr > taken ? space->df.blk_nr - taken : 0,
	    .group_nr = space->df.group_nr,
	    .scattered_nr = space->scattered_nr,
	    .discarded_blk = space->discard.blk_nr,
	};
	for (g = 0; g < space->df.group_nr; g++)
		ret_stats->group_full_nr += space->bound[g] == 0;
}
