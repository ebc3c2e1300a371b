/*
 * Pools: three devices (heap, log, data), the root record, and the objects that serve them.
 *
 * A pool exists when NAME.heap does: creation builds the heap under another name and renames it
 * last, destruction removes it first. So whatever a crash leaves, the pool is there whole or not at
 * all, and leftovers are removed by the next create or destroy.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_anchor.h"
#include "store/vos/vos_ts.h"

#include "base/crc.h"
#include "base/err.h"
#include "base/log.h"

enum {
	WAL_MIN = 4 << 20,
	WAL_DEFAULT = 32 << 20,
	SCM_MIN = 4 << 20,
	DEV_NAME_MAX = 60,
	VOS_DISCARD_RATE = 256 << 20, /* bytes a second */
};

static int
dev_name(const char *pool, const char *suffix, char out[static DEV_NAME_MAX + 1])
{
	int n = snprintf(out, DEV_NAME_MAX + 1, "%s.%s", pool, suffix);

	return n > 0 && n <= DEV_NAME_MAX ? 0 : -DER_INVAL;
}

static uint64_t
round_blocks(uint64_t bytes)
{
	return bytes / DEV_BLOCK * DEV_BLOCK;
}

static uint64_t
wal_bytes_for(const struct vos_pool_conf *conf)
{
	uint64_t bytes = conf->wal_bytes;

	if (bytes == 0) {
		bytes = conf->scm_bytes / 2;
		if (bytes > WAL_DEFAULT)
			bytes = WAL_DEFAULT;
	}
	if (bytes < WAL_MIN)
		bytes = WAL_MIN;
	return round_blocks(bytes);
}

static uint32_t
root_csum(const struct vos_pool_df *df)
{
	uint32_t crc;

	crc = crc32c(0, &df->magic, sizeof(df->magic));
	crc = crc32c(crc, &df->version, sizeof(df->version));
	crc = crc32c(crc, df->uuid, sizeof(df->uuid));
	crc = crc32c(crc, &df->scm_bytes, sizeof(df->scm_bytes));
	return crc32c(crc, &df->nvme_bytes, sizeof(df->nvme_bytes));
}

/* --- create --------------------------------------------------------------------------------- */

static const struct btree_conf cont_tree_conf = {.kind = BTREE_LEX, .val_bytes = 8};

static int
root_init(struct heap_tx *tx, void *arg)
{
	const struct vos_pool_conf *conf = arg;
	struct heap *heap = heap_tx_heap(tx);
	uint64_t off = heap_root(heap);
	struct vos_pool_df *df = heap_try_df(heap, off, sizeof(*df));
	int rc;

	if (df == NULL)
		return HEAP_MISS;
	rc = heap_tx_add(tx, off, sizeof(*df));
	if (rc != 0)
		return rc;
	rc = btree_create(tx, off + offsetof(struct vos_pool_df, conts), &cont_tree_conf);
	if (rc != 0)
		return rc;
	df->magic = VOS_MAGIC;
	df->version = VOS_FORMAT_VERSION;
	memcpy(df->uuid, conf->pool_uuid, sizeof(df->uuid));
	df->scm_bytes = round_blocks(conf->scm_bytes);
	df->nvme_bytes = round_blocks(conf->nvme_bytes);
	df->next_cont_id = 1;
	df->csum = root_csum(df);
	return 0;
}

/* Format the devices: space first, the root record last. */
static int co_fn
format(struct xs *xs, const struct vos_pool_conf *conf, struct dev *pages, struct dev *log)
{
	struct heap_conf hc = {.xs = xs};
	struct heap *heap;
	uint64_t lsn;
	int rc;

	rc = heap_create(&hc, pages, log);
	if (rc != 0)
		return rc;
	rc = heap_open(&hc, pages, log, &heap);
	if (rc != 0)
		return rc;
	if (conf->nvme_bytes != 0)
		rc = space_create(heap, heap_root(heap) + offsetof(struct vos_pool_df, space), 0,
				  round_blocks(conf->nvme_bytes));
	if (rc == 0)
		rc = heap_tx_run(heap, 0, BTREE_OP_HEAP_BYTES, 0, root_init, (void *)conf, &lsn);
	/* closing tells nothing of what could not be written */
	if (rc == 0)
		rc = heap_wait_durable(heap, lsn);
	heap_close(heap, true);
	return rc;
}

struct find_name {
	const char *name;
	bool found;
};

static int
find_cb(const char *name, uint64_t size, void *arg)
{
	struct find_name *f = arg;

	f->found = f->found || strcmp(name, f->name) == 0;
	return 0;
}

static int co_fn
dev_exists(struct dev_dir *dir, const char *name, bool *ret_found)
{
	struct find_name f = {.name = name};
	int rc;

	rc = dir->ops->list(dir, find_cb, &f);
	*ret_found = f.found;
	return rc;
}

static int co_fn
unlink_if_there(struct dev_dir *dir, const char *pool, const char *suffix)
{
	char name[DEV_NAME_MAX + 1];
	int rc;

	rc = dev_name(pool, suffix, name);
	if (rc == 0)
		rc = dir->ops->unlink(dir, name);
	return rc == -DER_NONEXIST ? 0 : rc;
}

static int co_fn
remove_leftovers(struct dev_dir *dir, const char *pool)
{
	int rc;

	rc = unlink_if_there(dir, pool, "heap.new");
	if (rc == 0)
		rc = unlink_if_there(dir, pool, "wal");
	if (rc == 0)
		rc = unlink_if_there(dir, pool, "data");
	return rc;
}

static int co_fn
create_devs(struct dev_dir *dir, struct xs *xs, const struct vos_pool_conf *conf)
{
	CLEANUP(dev_closep)
	struct dev *pages = NULL, *log = NULL, *data = NULL;
	char name[DEV_NAME_MAX + 1];
	int rc;

	if (conf->nvme_bytes != 0) {
		rc = dev_name(conf->name, "data", name);
		if (rc == 0)
			rc = dir->ops->create(dir, xs, name, round_blocks(conf->nvme_bytes), false,
					      &data);
		if (rc != 0)
			return rc;
	}
	rc = dev_name(conf->name, "wal", name);
	if (rc == 0)
		rc = dir->ops->create(dir, xs, name, wal_bytes_for(conf), true, &log);
	if (rc != 0)
		return rc;
	rc = dev_name(conf->name, "heap.new", name);
	if (rc == 0)
		rc = dir->ops->create(dir, xs, name, round_blocks(conf->scm_bytes), false, &pages);
	if (rc != 0)
		return rc;
	return format(xs, conf, pages, log);
}

int co_fn
vos_pool_create(struct dev_dir *dir, struct xs *xs, const struct vos_pool_conf *conf)
{
	char tmp[DEV_NAME_MAX + 1], name[DEV_NAME_MAX + 1];
	bool found;
	int rc;

	if (conf->name == NULL || conf->scm_bytes < SCM_MIN ||
	    (conf->nvme_bytes != 0 && conf->nvme_bytes < SPACE_BLOCK))
		return -DER_INVAL;
	rc = dev_name(conf->name, "heap", name);
	if (rc == 0)
		rc = dev_name(conf->name, "heap.new", tmp);
	if (rc != 0)
		return rc;
	rc = dev_exists(dir, name, &found);
	if (rc != 0)
		return rc;
	if (found)
		return -DER_EXIST;
	rc = remove_leftovers(dir, conf->name);
	if (rc == 0)
		rc = create_devs(dir, xs, conf);
	if (rc == 0)
		rc = dir->ops->rename(dir, tmp, name);
	if (rc != 0 && remove_leftovers(dir, conf->name) != 0)
		log_warn("pool %s: leftovers of a failed creation remain", conf->name);
	return rc;
}

int co_fn
vos_pool_destroy(struct dev_dir *dir, struct xs *xs, const char *pool)
{
	char name[DEV_NAME_MAX + 1];
	int rc, rc2;

	rc = dev_name(pool, "heap", name);
	if (rc != 0)
		return rc;
	rc = dir->ops->unlink(dir, name);
	if (rc != 0 && rc != -DER_NONEXIST)
		return rc;
	rc2 = remove_leftovers(dir, pool);
	return rc2 != 0 ? rc2 : rc;
}

/* --- open ------------------------------------------------------------------------------------ */

static int co_fn
open_dev(struct vos_pool *pool, const char *suffix, struct dev **ret_dev)
{
	char name[DEV_NAME_MAX + 1];
	int rc;

	rc = dev_name(pool->name, suffix, name);
	if (rc != 0)
		return rc;
	return pool->dir->ops->open(pool->dir, pool->xs, name, pool->read_only, ret_dev);
}

static int
root_check(const struct vos_pool *pool)
{
	const struct vos_pool_df *df = pool->df;

	if (df->magic != VOS_MAGIC)
		return -DER_DF_INVAL;
	if (df->version != VOS_FORMAT_VERSION) {
		log_err("pool %s: format version %u, this program reads %u", pool->name,
			df->version, VOS_FORMAT_VERSION);
		return -DER_DF_INCOMPT;
	}
	if (df->csum != root_csum(df)) {
		log_err("pool %s: root record is damaged", pool->name);
		return -DER_CSUM;
	}
	return 0;
}

static int co_fn
open_data(struct vos_pool *pool, const struct vos_pool_conf *conf)
{
	struct data_conf dc = {.xs = pool->xs, .cache_bytes = conf->cache_bytes};
	int rc;

	if (pool->dev_data == NULL || pool->dev_data->size_bytes < pool->df->nvme_bytes)
		return -DER_DF_INVAL;
	rc = space_open(pool->heap, pool->df_off + offsetof(struct vos_pool_df, space),
			conf->discard ? pool->dev_data : NULL, &pool->space);
	if (rc != 0)
		return rc;
	pool->overlap = !conf->discard && !pool->dev_data->thin;
	if (conf->discard_ms != 0)
		space_discard_conf(pool->space, conf->discard_ms, VOS_DISCARD_RATE);
	return data_open(&dc, pool->dev_data, &pool->data);
}

/* Does what a record depends on stand in its blocks? */
static int co_fn
dep_check(void *arg, const struct heap_dep *dep)
{
	struct vos_pool *pool = arg;
	size_t len = (size_t)dep->blk_nr * SPACE_BLOCK;
	uint8_t *buf;
	int rc;

	if (pool->dev_data == NULL || dep->blk_nr > SPACE_EXT_BLOCKS_MAX)
		return -DER_DF_INVAL;
	buf = dev_buf_alloc(len);
	if (buf == NULL)
		return -DER_NOMEM;
	rc = dev_read(pool->dev_data, dep->blk * SPACE_BLOCK, buf, len);
	if (rc == 0 && crc32c(0, buf, len) != dep->crc)
		rc = -DER_CSUM;
	dev_buf_free(buf, len);
	return rc;
}

static int co_fn
open_devs(struct vos_pool *pool)
{
	int rc;

	rc = open_dev(pool, "heap", &pool->dev_heap);
	if (rc == 0)
		rc = open_dev(pool, "wal", &pool->dev_wal);
	if (rc != 0)
		return rc;
	/* whether there must be one, only the heap knows */
	rc = open_dev(pool, "data", &pool->dev_data);
	/* what a killed predecessor had under way may be there without being durable */
	if (rc == 0 && !pool->read_only)
		rc = dev_sync(pool->dev_data);
	return rc == -DER_NONEXIST ? 0 : rc;
}

static int co_fn
open_all(struct vos_pool *pool, const struct vos_pool_conf *conf)
{
	struct heap_conf hc = {
	    .dep_check = dep_check,
	    .arg = pool,
	    .xs = pool->xs,
	    .resident_max = conf->scm_cache_bytes,
	    .shadow = conf->debug_shadow,
	    .read_only = pool->read_only,
	};
	int rc;

	rc = open_devs(pool);
	if (rc == 0)
		rc = heap_open(&hc, pool->dev_heap, pool->dev_wal, &pool->heap);
	if (rc != 0)
		return rc;
	pool->df_off = heap_root(pool->heap);
	rc = heap_fault(pool->heap, pool->df_off, sizeof(*pool->df));
	if (rc != 0)
		return rc;
	heap_pin(pool->heap, pool->df_off, sizeof(*pool->df));
	pool->df = heap_ptr(pool->heap, pool->df_off);
	rc = root_check(pool);
	if (rc == 0 && pool->df->nvme_bytes != 0)
		rc = open_data(pool, conf);
	if (rc == 0)
		rc = vos_max_epoch_load(pool);
	return rc;
}

/* Undo open_all, whatever it reached. */
static void co_fn
close_all(struct vos_pool *pool, bool checkpoint)
{
	data_close(pool->data);
	space_close(pool->space);
	if (pool->df != NULL)
		heap_unpin(pool->heap, pool->df_off, sizeof(*pool->df));
	heap_close(pool->heap, checkpoint);
	dev_close(pool->dev_data);
	dev_close(pool->dev_wal);
	dev_close(pool->dev_heap);
	vos_anchor_pool_fini(pool);
	vos_ts_fini(pool);
	free(pool->cache);
	free(pool);
}

int co_fn
vos_pool_open(struct dev_dir *dir, struct xs *xs, const struct vos_pool_conf *conf,
	      struct vos_pool **ret_pool)
{
	struct vos_pool *pool;
	int rc;

	if (conf->name == NULL || strlen(conf->name) >= sizeof(pool->name))
		return -DER_INVAL;
	pool = mem_new(struct vos_pool);
	if (pool == NULL)
		return -DER_NOMEM;
	pool->dir = dir;
	pool->xs = xs;
	strcpy(pool->name, conf->name);
	pool->read_only = conf->read_only;
	vos_pool_set_data_thresh(pool, conf->data_thresh);
	pool->ts_floor = conf->ts_floor;
	pool->ts_entries = conf->ts_entries;
	list_init(&pool->conts);
	list_init(&pool->update_free);
	list_init(&pool->fetch_free);
	list_init(&pool->reclaim);
	co_mutex_init(&pool->big);
	co_waitq_init(&pool->reclaim_done);
	co_waitq_init(&pool->cont_loaded);
	pool->cache = mem_calloc(VOS_CACHE_SLOTS, sizeof(*pool->cache));
	rc = pool->cache == NULL ? -DER_NOMEM : open_all(pool, conf);
	if (rc != 0) {
		close_all(pool, false);
		return rc;
	}
	if (!pool->read_only)
		vos_reclaim_dying(pool);
	*ret_pool = pool;
	return 0;
}

void co_fn
vos_pool_close(struct vos_pool *pool)
{
	vos_reclaim_stop(pool);
	assert(list_empty(&pool->conts));
	vos_update_pool_fini(pool);
	vos_fetch_pool_fini(pool);
	close_all(pool, true);
}

void
vos_pool_space(struct vos_pool *pool, struct vos_space *ret_space)
{
	struct heap_stats hs;
	struct space_stats ss = {0};

	heap_stats(pool->heap, &hs);
	if (pool->space != NULL)
		space_stats(pool->space, &ss);
	*ret_space = (struct vos_space){
	    .scm_total = hs.total_bytes,
	    .scm_free = hs.free_bytes,
	    .nvme_total = ss.total_blk * SPACE_BLOCK,
	    .nvme_free = ss.free_blk * SPACE_BLOCK,
	    .scm_used = hs.used_bytes,
	    .nvme_used = ss.used_blk * SPACE_BLOCK,
	    .nvme_reserved = ss.reserved_blk * SPACE_BLOCK,
	    .nvme_freeing = ss.freeing_blk * SPACE_BLOCK,
	};
}

int co_fn
vos_pool_frag(struct vos_pool *pool, struct vos_frag *ret_frag)
{
	struct space_frag f = {0};
	uint32_t i;
	int rc;

	static_assert((int)VOS_FRAG_CLASS_NR == (int)SPACE_CLASS_NR, "the same classes");
	rc = pool->space == NULL ? 0 : space_frag(pool->space, &f);
	if (rc != 0)
		return rc;
	ret_frag->free_bytes = f.free_blk * SPACE_BLOCK;
	ret_frag->run_nr = f.run_nr;
	ret_frag->longest_bytes = f.longest_blk * SPACE_BLOCK;
	for (i = 0; i < VOS_FRAG_CLASS_NR; i++) {
		ret_frag->class_run_nr[i] = f.class_run_nr[i];
		ret_frag->class_bytes[i] = f.class_blk[i] * SPACE_BLOCK;
	}
	return 0;
}

void
vos_pool_set_data_thresh(struct vos_pool *pool, uint32_t bytes)
{
	pool->data_thresh = bytes != 0 ? bytes : VOS_DATA_THRESH;
}

void
vos_pool_uuid(const struct vos_pool *pool, uuid_t ret_uuid)
{
	memcpy(ret_uuid, pool->df->uuid, sizeof(pool->df->uuid));
}
