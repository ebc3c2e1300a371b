/*
 * Containers: a record each, found by uuid in the pool's tree.
 *
 * Destroying one takes it out of that tree and puts it into the pool's list of dying containers in
 * one transaction; the reclaimer (vos_reclaim.c) frees what it holds, also after a restart.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_dtx.h"

#include "base/log.h"

static struct btree
cont_tree(struct vos_pool *pool)
{
	return btree_at(pool->heap, pool->df_off + offsetof(struct vos_pool_df, conts));
}

static int
cont_find(struct vos_pool *pool, const uuid_t uuid, uint64_t *ret_off)
{
	struct btree_key key = btree_key_buf(uuid, sizeof(uuid_t));
	struct vos_cont_df *df;
	uint64_t val;
	int rc;

	rc = btree_lookup(cont_tree(pool), &key, &val);
	if (rc != 0)
		return rc;
	*ret_off = *(uint64_t *)heap_ptr(pool->heap, val);
	df = heap_try_df(pool->heap, *ret_off, sizeof(*df));
	if (df == NULL)
		return HEAP_MISS;
	if (memcmp(df->uuid, uuid, sizeof(uuid_t)) != 0) {
		log_err("pool %s: container record at %#llx is damaged", pool->name,
			(unsigned long long)*ret_off);
		return -DER_CSUM;
	}
	return 0;
}

/* --- create ------------------------------------------------------------------------------- */

static const struct btree_conf obj_tree_conf = {.kind = BTREE_LEX, .val_bytes = 8};
static const struct btree_conf opid_tree_conf = {.kind = BTREE_LEX,
						 .val_bytes = sizeof(union vos_opid_df)};
static const struct btree_conf dtx_tree_conf = {.kind = BTREE_LEX,
						.val_bytes = sizeof(struct vos_dtx_df)};

struct create {
	const uint8_t *uuid;
	struct vos_cont_conf conf;
};

static int
cont_create_tx(struct vos_tx *t, void *arg)
{
	const struct create *c = arg;
	struct btree_key key = btree_key_buf(c->uuid, sizeof(uuid_t));
	struct vos_pool *pool = t->pool;
	struct vos_cont_df *df;
	uint64_t off;
	int rc;

	rc = heap_alloc(t->tx, sizeof(*df), 0, &off);
	if (rc == 0)
		rc = btree_insert(t->tx, cont_tree(pool), &key, &off, NULL);
	if (rc != 0)
		return rc;
	df = heap_ptr(t->heap, off);
	memcpy(df->uuid, c->uuid, sizeof(df->uuid));
	df->floor = UINT64_MAX;
	df->scm_used = heap_alloc_size(sizeof(*df));
	df->csum_type = c->conf.csum_type;
	df->csum_verify = c->conf.csum_verify;
	df->csum_chunk = c->conf.csum_chunk;
	df->id = pool->df->next_cont_id;
	rc = heap_tx_add(t->tx, pool->df_off + offsetof(struct vos_pool_df, next_cont_id),
			 sizeof(uint64_t));
	if (rc != 0)
		return rc;
	pool->df->next_cont_id++;
	rc = btree_create(t->tx, off + offsetof(struct vos_cont_df, objs), &obj_tree_conf);
	if (rc == 0)
		rc =
		    btree_create(t->tx, off + offsetof(struct vos_cont_df, opids), &opid_tree_conf);
	if (rc == 0)
		rc = btree_create(t->tx, off + offsetof(struct vos_cont_df, dtxs), &dtx_tree_conf);
	return rc;
}

int co_fn
vos_cont_create_with(struct vos_pool *pool, const uuid_t uuid, const struct vos_cont_conf *conf)
{
	struct create c = {.uuid = uuid};
	struct vos_tx_args args = {
	    .pool = pool,
	    .heap_bytes = BTREE_OP_HEAP_BYTES + sizeof(struct vos_cont_df),
	    .fn = cont_create_tx,
	    .arg = &c,
	    .wait = true,
	};

	if (conf != NULL)
		c.conf = *conf;
	if (c.conf.csum_type != 0 &&
	    (csum_len(c.conf.csum_type) == 0 || c.conf.csum_chunk < CSUM_CHUNK_MIN))
		return -DER_INVAL;
	return vos_tx_run(&args);
}

/* --- open and close -------------------------------------------------------------------------- */

/* Copy the list of kept epochs out of the heap. */
static int
keep_load(struct vos_pool *pool, const struct vos_cont_df *df, uint64_t **ret_keep,
	  uint32_t *ret_nr)
{
	const struct vos_keep_df *k;

	*ret_keep = NULL;
	*ret_nr = 0;
	if (df->keep == 0)
		return 0;
	k = heap_try_df(pool->heap, df->keep, sizeof(*k));
	if (k == NULL)
		return HEAP_MISS;
	if (k->nr > HEAP_ALLOC_MAX / sizeof(uint64_t))
		return -DER_CSUM;
	if (heap_try(pool->heap, df->keep, sizeof(*k) + k->nr * sizeof(uint64_t)) == NULL)
		return HEAP_MISS;
	*ret_keep = mem_dup(k->epoch, k->nr * sizeof(uint64_t));
	if (*ret_keep == NULL)
		return -DER_NOMEM;
	*ret_nr = k->nr;
	return 0;
}

static int
cont_load(struct vos_pool *pool, const uuid_t uuid, struct vos_cont *cont)
{
	int rc;

	rc = cont_find(pool, uuid, &cont->df_off);
	if (rc != 0)
		return rc;
	cont->df = heap_ptr(pool->heap, cont->df_off);
	csum_fini(&cont->csum);
	rc = csum_init(&cont->csum, cont->df->csum_type);
	if (rc != 0)
		return rc;
	cont->csum_chunk = cont->df->csum_chunk;
	cont->csum_verify = cont->df->csum_verify != 0;
	return keep_load(pool, cont->df, &cont->keep, &cont->keep_nr);
}

static struct vos_cont *
cont_opened(struct vos_pool *pool, const uuid_t uuid)
{
	struct list *l;

	list_for_each (l, &pool->conts) {
		struct vos_cont *cont = list_entry(l, struct vos_cont, link);

		if (!cont->dead && memcmp(cont->uuid, uuid, sizeof(uuid_t)) == 0)
			return cont;
	}
	return NULL;
}

/* One more user of an open container. */
static int co_fn
cont_share(struct vos_cont *cont, struct vos_cont **ret_cont)
{
	cont->refs++;
	while (cont->loading)
		co_waitq_wait(&cont->pool->cont_loaded, 0);
	if (cont->dead) {
		vos_cont_close(cont);
		return -DER_AGAIN;
	}
	*ret_cont = cont;
	return 0;
}

static int co_fn
cont_open(struct vos_pool *pool, const uuid_t uuid, struct vos_cont **ret_cont)
{
	struct vos_cont *cont, *other;
	int rc;

	cont = cont_opened(pool, uuid);
	if (cont != NULL)
		return cont_share(cont, ret_cont);
	cont = mem_new(struct vos_cont);
	if (cont == NULL)
		return -DER_NOMEM;
	list_init(&cont->link);
	list_init(&cont->flights);
	cont->pool = pool;
	cont->refs = 1;
	memcpy(cont->uuid, uuid, sizeof(uuid_t));
	do
		rc = cont_load(pool, uuid, cont);
	while (heap_retry(pool->heap, &rc));
	if (rc != 0) {
		csum_fini(&cont->csum);
		free(cont);
		return rc;
	}
	heap_pin(pool->heap, cont->df_off, sizeof(*cont->df));
	cont->id = cont->df->id;
	other = cont_opened(pool, uuid); /* while a page was loaded */
	if (other == NULL) {
		/* others find it from here on and wait until its intents are known */
		list_push_back(&pool->conts, &cont->link);
		cont->loading = true;
		rc = vos_intents_load(cont);
		cont->loading = false;
		cont->dead = cont->dead || rc != 0;
		co_waitq_wake_all(&pool->cont_loaded);
	}
	if (other != NULL || rc != 0) {
		vos_cont_close(cont);
		return rc != 0 ? rc : cont_share(other, ret_cont);
	}
	*ret_cont = cont;
	return 0;
}

int co_fn
vos_cont_open(struct vos_pool *pool, const uuid_t uuid, struct vos_cont **ret_cont)
{
	int rc;

	do
		rc = cont_open(pool, uuid, ret_cont);
	while (rc == -DER_AGAIN);
	return rc;
}

void
vos_cont_close(struct vos_cont *cont)
{
	if (cont == NULL)
		return;
	assert(cont->refs > 0);
	if (--cont->refs != 0)
		return;
	heap_unpin(cont->pool->heap, cont->df_off, sizeof(*cont->df));
	list_del(&cont->link);
	vos_trim_destroy(cont->agg);
	csum_fini(&cont->csum);
	vos_intents_fini(cont);
	vos_trim_destroy(cont->discard);
	free(cont->keep);
	free(cont);
}

void
vos_cont_conf_get(const struct vos_cont *cont, struct vos_cont_conf *ret_conf)
{
	*ret_conf = (struct vos_cont_conf){
	    .csum_type = cont->csum.type,
	    .csum_chunk = cont->csum_chunk,
	    .csum_verify = cont->csum_verify,
	};
}

/* --- destroy -----------------------------------------------------------------------------------
 */

static int
cont_destroy_tx(struct vos_tx *t, void *arg)
{
	const uint8_t *uuid = arg;
	struct btree_key key = btree_key_buf(uuid, sizeof(uuid_t));
	struct vos_pool *pool = t->pool;
	struct vos_cont_df *df;
	uint64_t off;
	int rc;

	rc = cont_find(pool, uuid, &off);
	if (rc == 0)
		rc = btree_delete(t->tx, cont_tree(pool), &key, NULL);
	if (rc != 0)
		return rc;
	df = heap_ptr(t->heap, off);
	static_assert(offsetof(struct vos_pool_df, dying) ==
			  offsetof(struct vos_pool_df, max_epoch) + 8,
		      "declared together");
	rc = heap_tx_add(t->tx, pool->df_off + offsetof(struct vos_pool_df, max_epoch), 16);
	if (rc == 0)
		rc = heap_tx_write(t->tx, off + offsetof(struct vos_cont_df, dying),
				   &pool->df->dying, sizeof(uint64_t));
	if (rc != 0)
		return rc;
	pool->df->dying = off;
	if (df->max_epoch > pool->df->max_epoch)
		pool->df->max_epoch = df->max_epoch;
	if (df->agg_epoch > pool->df->max_epoch)
		pool->df->max_epoch = df->agg_epoch;
	return 0;
}

int co_fn
vos_cont_destroy(struct vos_pool *pool, const uuid_t uuid)
{
	struct vos_tx_args args = {
	    .pool = pool,
	    .flags = HEAP_RESV_RECLAIM,
	    .fn = cont_destroy_tx,
	    .arg = (void *)uuid,
	};
	struct vos_cont *cont;
	int rc;

	rc = vos_tx_run(&args);
	if (rc != 0)
		return rc;
	/* no yield since the commit: nobody acts on the old state */
	cont = cont_opened(pool, uuid);
	if (cont != NULL)
		cont->dead = true;
	vos_reclaim_dying(pool);
	return heap_wait_durable(pool->heap, heap_last_lsn(pool->heap));
}

/* --- list and epochs
 * ------------------------------------------------------------------------------ */

struct cont_page {
	uuid_t uuid[32];
	uint32_t nr;
};

static int
cont_list_page(struct vos_pool *pool, const uuid_t after, bool first, struct cont_page *page)
{
	struct btree_key key = btree_key_buf(after, sizeof(uuid_t));
	struct btree_cursor cur;
	int rc;

	page->nr = 0;
	btree_cursor_init(&cur, cont_tree(pool));
	rc = btree_seek(&cur, first ? BTREE_FIRST : BTREE_GT, &key);
	while (rc == 0 && page->nr < sizeof(page->uuid) / sizeof(page->uuid[0])) {
		rc = btree_cursor_get(&cur, &key, NULL);
		if (rc != 0)
			break;
		if (key.len != sizeof(uuid_t)) {
			rc = -DER_CSUM;
			break;
		}
		memcpy(page->uuid[page->nr++], key.buf, sizeof(uuid_t));
		rc = btree_next(&cur);
	}
	btree_cursor_fini(&cur);
	return rc == -DER_NONEXIST ? 0 : rc;
}

int co_fn
vos_cont_list(struct vos_pool *pool, int (*fn)(const uuid_t uuid, void *arg), void *arg)
{
	struct cont_page page;
	uuid_t last = {0};
	bool first = true;
	uint32_t i;
	int rc;

	rc = heap_wait_durable(pool->heap, heap_last_lsn(pool->heap));
	if (rc != 0)
		return rc;
	for (;;) {
		do
			rc = cont_list_page(pool, last, first, &page);
		while (heap_retry(pool->heap, &rc));
		if (rc != 0 || page.nr == 0)
			return rc;
		for (i = 0; i < page.nr; i++) {
			rc = fn(page.uuid[i], arg);
			if (rc != 0)
				return rc < 0 ? rc : 0;
		}
		memcpy(last, page.uuid[page.nr - 1], sizeof(uuid_t));
		first = false;
	}
}

/* The highest epoch of any container; records are read as far as they are in memory. */
static int
max_epoch(struct vos_pool *pool, uint64_t *ret_max)
{
	struct btree_cursor cur;
	uint64_t val, max = pool->df->max_epoch;
	int rc;

	btree_cursor_init(&cur, cont_tree(pool));
	rc = btree_seek(&cur, BTREE_FIRST, NULL);
	while (rc == 0) {
		const struct vos_cont_df *df;

		rc = btree_cursor_get(&cur, NULL, &val);
		if (rc != 0)
			break;
		df = heap_try_df(pool->heap, *(uint64_t *)heap_ptr(pool->heap, val), sizeof(*df));
		if (df == NULL) {
			rc = HEAP_MISS;
			break;
		}
		if (df->max_epoch > max)
			max = df->max_epoch;
		if (df->agg_epoch > max)
			max = df->agg_epoch;
		rc = btree_next(&cur);
	}
	btree_cursor_fini(&cur);
	if (rc == -DER_NONEXIST)
		rc = 0;
	if (rc == 0)
		*ret_max = max;
	return rc;
}

int co_fn
vos_max_epoch_load(struct vos_pool *pool)
{
	int rc;

	do
		rc = max_epoch(pool, &pool->max_epoch);
	while (heap_retry(pool->heap, &rc));
	return rc;
}

uint64_t
vos_pool_max_epoch(struct vos_pool *pool)
{
	return pool->max_epoch;
}

/* --- what reads need
 * ---------------------------------------------------------------------------------- */

struct keep_args {
	uint64_t floor;
	bool set_floor;
	uint64_t agg_epoch;
	const uint64_t *keep;
	uint32_t keep_nr;
};

static bool
same_epochs(const struct vos_cont *cont, const struct keep_args *a)
{
	return cont->keep_nr == a->keep_nr &&
	       (a->keep_nr == 0 || memcmp(cont->keep, a->keep, a->keep_nr * sizeof(*a->keep)) == 0);
}

static int
set_keep_tx(struct vos_tx *t, void *arg)
{
	const struct keep_args *a = arg;
	struct vos_cont_df *df = t->cont->df;
	struct vos_keep_df *k;
	uint64_t off = 0;
	int rc;

	rc = heap_tx_add(t->tx, t->cont->df_off, sizeof(*df));
	if (rc != 0)
		return rc;
	if (a->keep_nr != 0) {
		rc = heap_alloc(t->tx, sizeof(*k) + a->keep_nr * sizeof(uint64_t), 0, &off);
		if (rc != 0)
			return rc;
		k = heap_ptr(t->heap, off);
		k->nr = a->keep_nr;
		memcpy(k->epoch, a->keep, a->keep_nr * sizeof(uint64_t));
	}
	rc = heap_free(t->tx, df->keep);
	if (rc != 0)
		return rc;
	df->keep = off;
	if (a->set_floor)
		df->floor = a->floor;
	if (a->agg_epoch > df->agg_epoch)
		df->agg_epoch = a->agg_epoch;
	if (!same_epochs(t->cont, a))
		df->agg_done = 0; /* what was needed may be superfluous now */
	return 0;
}

static int
epoch_cmp(const void *x, const void *y)
{
	const uint64_t *a = x, *b = y;

	return *a < *b ? -1 : *a > *b;
}

/* Sort and drop duplicates. */
static uint32_t
epochs_normalize(uint64_t *epoch, uint32_t nr)
{
	uint32_t i, out = 0;

	if (nr != 0)
		qsort(epoch, nr, sizeof(*epoch), epoch_cmp);
	for (i = 0; i < nr; i++)
		if (out == 0 || epoch[i] != epoch[out - 1])
			epoch[out++] = epoch[i];
	return out;
}

static int co_fn
set_keep(struct vos_cont *cont, struct keep_args *a)
{
	struct vos_tx_args args = {
	    .pool = cont->pool,
	    .cont = cont,
	    .heap_bytes = sizeof(struct vos_keep_df) + a->keep_nr * sizeof(uint64_t),
	    .log_bytes = 4096 + a->keep_nr * sizeof(uint64_t),
	    .flags = HEAP_RESV_RECLAIM,
	    .trim = true,
	    .fn = set_keep_tx,
	    .arg = a,
	};
	uint64_t *copy;
	int rc;

	if (a->keep_nr > (HEAP_ALLOC_MAX - 64) / sizeof(uint64_t))
		return -DER_INVAL;
	copy = mem_alloc((a->keep_nr + 1) * sizeof(uint64_t));
	if (copy == NULL)
		return -DER_NOMEM;
	if (a->keep_nr != 0)
		memcpy(copy, a->keep, a->keep_nr * sizeof(uint64_t));
	a->keep = copy;
	a->keep_nr = epochs_normalize(copy, a->keep_nr);
	rc = vos_tx_run(&args);
	if (rc != 0) {
		free(copy);
		return rc;
	}
	/* no yield since the commit */
	free(cont->keep);
	cont->keep = copy;
	cont->keep_nr = a->keep_nr;
	if (a->agg_epoch > cont->pool->max_epoch)
		cont->pool->max_epoch = a->agg_epoch;
	return heap_wait_durable(cont->pool->heap, heap_last_lsn(cont->pool->heap));
}

int co_fn
vos_cont_set_keep(struct vos_cont *cont, uint64_t floor, const uint64_t *keep, uint32_t keep_nr)
{
	struct keep_args a = {.floor = floor, .set_floor = true, .keep = keep, .keep_nr = keep_nr};

	return set_keep(cont, &a);
}

int co_fn
vos_cont_set_aggregated(struct vos_cont *cont, uint64_t below, const uint64_t *keep,
			uint32_t keep_nr)
{
	struct keep_args a = {.agg_epoch = below, .keep = keep, .keep_nr = keep_nr};

	return set_keep(cont, &a);
}

static int
agg_done_tx(struct vos_tx *t, void *arg)
{
	return heap_tx_write(t->tx, t->cont->df_off + offsetof(struct vos_cont_df, agg_done), arg,
			     sizeof(uint64_t));
}

int co_fn
vos_cont_set_agg_done(struct vos_cont *cont, uint64_t epoch)
{
	struct vos_tx_args args = {
	    .pool = cont->pool,
	    .cont = cont,
	    .flags = HEAP_RESV_RECLAIM,
	    .trim = true,
	    .fn = agg_done_tx,
	    .arg = &epoch,
	};

	return cont->df->agg_done == epoch ? 0 : vos_tx_run(&args);
}

bool
vos_cont_settled(const struct vos_cont *cont)
{
	return cont->df->max_epoch <= cont->df->agg_done;
}

/* --- tiers
 * -----------------------------------------------------------------------------------------------
 */

static int
thresh_tx(struct vos_tx *t, void *arg)
{
	return heap_tx_write(t->tx, t->cont->df_off + offsetof(struct vos_cont_df, data_thresh),
			     arg, sizeof(uint32_t));
}

int co_fn
vos_cont_set_data_thresh(struct vos_cont *cont, uint32_t bytes)
{
	struct vos_tx_args args = {
	    .pool = cont->pool,
	    .cont = cont,
	    .flags = HEAP_RESV_RECLAIM,
	    .trim = true,
	    .fn = thresh_tx,
	    .arg = &bytes,
	    .wait = true,
	};

	return vos_tx_run(&args);
}

void
vos_cont_space(const struct vos_cont *cont, struct vos_cont_space *ret_space)
{
	*ret_space = (struct vos_cont_space){
	    .scm_used = cont->df->scm_used,
	    .nvme_used = cont->df->nvme_used,
	};
}
