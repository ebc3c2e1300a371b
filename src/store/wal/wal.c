/*
 * Write-ahead log: appending, group commit, space in the ring.
 *
 * Records are copied into the open batch. A writer coroutine takes the oldest batch that is not yet
 * being written; taking the open one closes it, so a batch carries everything that was appended
 * while the writers were busy. Two writers keep two writes in flight: the second starts only when a
 * good amount has gathered, for two half-empty writes are slower than one full one. A batch is
 * padded to whole blocks, so no durable byte is ever written again (a torn rewrite could destroy
 * what was acknowledged).
 *
 * Batch k+1 may reach the disk before batch k. It counts as durable only after k; recovery stops at
 * the first batch missing, and the incarnation number keeps a leftover of the old k+1 from being
 * taken for a continuation of what is written after recovery.
 */
#define LOG_FACILITY "wal"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/crc.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/xs.h"
#include "store/wal/wal_internal.h"

static uint64_t
round_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) / to * to;
}

/* --- buffers
 * ---------------------------------------------------------------------------------------- */

static uint8_t *
buf_get(struct wal *wal, uint32_t cap)
{
	if (cap == WAL_BUF_BYTES && wal->buf_cache_nr > 0)
		return wal->buf_cache[--wal->buf_cache_nr];
	return dev_buf_alloc(cap);
}

static void
buf_put(struct wal *wal, uint8_t *buf, uint32_t cap)
{
	if (cap == WAL_BUF_BYTES && wal->buf_cache_nr < WAL_BUF_CACHE)
		wal->buf_cache[wal->buf_cache_nr++] = buf;
	else
		dev_buf_free(buf, cap);
}

static void
batch_free(struct wal *wal, struct wal_batch *batch)
{
	list_del(&batch->link);
	buf_put(wal, batch->buf, batch->cap_bytes);
	free(batch);
}

static uint64_t
batch_end(const struct wal_batch *batch)
{
	return batch->lsn + round_up(batch->len_bytes, DEV_BLOCK);
}

static void
batch_close(struct wal *wal)
{
	struct wal_batch *batch = wal->open;

	assert(batch->rec_nr > 0);
	batch->state = WAL_BATCH_CLOSED;
	wal->end_lsn = batch_end(batch);
	wal->open = NULL;
}

static int
batch_open(struct wal *wal, uint32_t rec_bytes)
{
	uint32_t cap = round_up(sizeof(struct wal_batch_df) + rec_bytes, DEV_BLOCK);
	struct wal_batch *batch = mem_new(struct wal_batch);

	if (batch == NULL)
		return -DER_NOMEM;
	list_init(&batch->link);
	batch->cap_bytes = cap > WAL_BUF_BYTES ? cap : WAL_BUF_BYTES;
	batch->buf = buf_get(wal, batch->cap_bytes);
	if (batch->buf == NULL) {
		free(batch);
		return -DER_NOMEM;
	}
	batch->lsn = wal->end_lsn;
	batch->len_bytes = sizeof(struct wal_batch_df);
	list_push_back(&wal->batches, &batch->link);
	wal->open = batch;
	return 0;
}

/* --- space
 * ------------------------------------------------------------------------------------------- */

struct reserve_waiter {
	struct list link;
	uint64_t cost;
	bool last;
	struct co_future done;
};

static uint64_t
used_bytes(const struct wal *wal)
{
	uint64_t end = wal->open != NULL ? batch_end(wal->open) : wal->end_lsn;

	return end - wal->tail_lsn;
}

uint64_t
wal_cost(uint64_t rec_bytes)
{
	/* Worst case: a batch of its own. */
	return rec_bytes + sizeof(struct wal_batch_df) + DEV_BLOCK;
}

static uint64_t
space_limit(const struct wal *wal, bool last)
{
	return last ? wal->ring_bytes : wal->ring_bytes - wal->ring_bytes / 8;
}

static bool
space_fits(const struct wal *wal, uint64_t cost, bool last)
{
	return used_bytes(wal) + wal->reserved_bytes + cost <= space_limit(wal, last);
}

static void
press(struct wal *wal)
{
	if (wal->pressed || wal->conf.pressure == NULL)
		return;
	wal->pressed = true;
	wal->conf.pressure(wal->conf.arg);
}

static void
serve_waiters(struct wal *wal)
{
	struct reserve_waiter *w;

	while ((w = list_first(&wal->space_waiters, struct reserve_waiter, link)) != NULL) {
		if (wal->rc == 0 && !space_fits(wal, w->cost, w->last))
			break;
		list_del(&w->link);
		if (wal->rc == 0)
			wal->reserved_bytes += w->cost;
		co_future_complete(&w->done, wal->rc);
	}
	if (!list_empty(&wal->space_waiters))
		press(wal);
}

int co_fn
wal_reserve(struct wal *wal, uint64_t cost, bool last, bool nowait)
{
	struct reserve_waiter w = {.cost = cost, .last = last};

	if (wal->rc != 0)
		return wal->rc;
	if (cost > space_limit(wal, last))
		return -DER_INVAL;
	/* Those who free space overtake those who take it: they may be what the others wait for. */
	if ((last || list_empty(&wal->space_waiters)) && space_fits(wal, cost, last)) {
		wal->reserved_bytes += cost;
		return 0;
	}
	if (nowait) {
		press(wal);
		return -DER_AGAIN;
	}
	co_future_init(&w.done);
	if (last)
		list_push_front(&wal->space_waiters, &w.link);
	else
		list_push_back(&wal->space_waiters, &w.link);
	press(wal);
	return co_future_wait(&w.done, 0);
}

void
wal_reserve_back(struct wal *wal, uint64_t cost)
{
	wal->reserved_bytes += cost;
}

void
wal_unreserve(struct wal *wal, uint64_t cost)
{
	assert(wal->reserved_bytes >= cost);
	wal->reserved_bytes -= cost;
	if (!list_empty(&wal->space_waiters))
		serve_waiters(wal);
}

/* --- appending
 * --------------------------------------------------------------------------------------- */

int
wal_ensure(struct wal *wal, uint32_t bytes)
{
	assert(bytes <= WAL_REC_MAX);
	if (wal->open != NULL) {
		if (wal->open->len_bytes + bytes <= wal->open->cap_bytes)
			return 0;
		if (wal->open->rec_nr > 0) {
			batch_close(wal);
		} else {
			batch_free(wal, wal->open);
			wal->open = NULL;
		}
	}
	return batch_open(wal, bytes);
}

uint8_t *
wal_rec_begin(struct wal *wal)
{
	return wal->open->buf + wal->open->len_bytes;
}

uint64_t
wal_rec_end(struct wal *wal, uint32_t bytes)
{
	struct wal_batch *batch = wal->open;

	assert(bytes > 0 && batch->len_bytes + bytes <= batch->cap_bytes);
	batch->len_bytes += bytes;
	batch->rec_nr++;
	wal->stats.rec_nr++;
	co_waitq_wake_one(&wal->work);
	if (used_bytes(wal) > wal->ring_bytes / 100 * wal->conf.fill_pct)
		press(wal);
	return batch->lsn + batch->len_bytes;
}

uint64_t
wal_open_lsn(const struct wal *wal)
{
	return wal->open != NULL ? wal->open->lsn : wal->end_lsn;
}

/* --- durability
 * --------------------------------------------------------------------------------------- */

uint64_t
wal_durable_lsn(const struct wal *wal)
{
	return wal->durable_lsn;
}

int
wal_error(const struct wal *wal)
{
	return wal->rc;
}

static void
run_callbacks(struct wal *wal)
{
	struct durable_cb *cb;

	while ((cb = list_first(&wal->cbs, struct durable_cb, link)) != NULL) {
		bool durable = cb->lsn <= wal->durable_lsn;

		if (!durable && wal->rc == 0)
			break;
		list_del(&cb->link);
		cb->fn(cb, durable ? 0 : wal->rc);
	}
}

void
wal_on_durable(struct wal *wal, struct durable_cb *cb, uint64_t lsn)
{
	struct list *pos = wal->cbs.prev;

	list_init(&cb->link);
	cb->lsn = lsn;
	if (lsn <= wal->durable_lsn || wal->rc != 0) {
		cb->fn(cb, lsn <= wal->durable_lsn ? 0 : wal->rc);
		return;
	}
	while (pos != &wal->cbs && list_entry(pos, struct durable_cb, link)->lsn > lsn)
		pos = pos->prev;
	list_push_front(pos, &cb->link);
}

struct sleeper {
	struct durable_cb cb;
	struct co *co;
	bool done;
	int rc;
};

static void
wake_sleeper(struct durable_cb *cb, int rc)
{
	struct sleeper *s = container_of(cb, struct sleeper, cb);

	s->done = true;
	s->rc = rc;
	co_wake(s->co);
}

int co_fn
wal_wait(struct wal *wal, uint64_t lsn)
{
	struct sleeper s = {.cb.fn = wake_sleeper};

	if (lsn <= wal->durable_lsn)
		return 0;
	if (wal->rc != 0)
		return wal->rc;
	s.co = co_self();
	wal_on_durable(wal, &s.cb, lsn);
	while (!s.done)
		co_park();
	return s.rc;
}

void
wal_fail(struct wal *wal, int rc)
{
	if (wal->rc != 0)
		return;
	wal->rc = rc;
	log_err("%s: the log cannot be written (" ERR_F "); no more changes", wal->dev->name,
		ERR_P(rc));
	run_callbacks(wal);
	serve_waiters(wal);
	if (wal->conf.failed != NULL)
		wal->conf.failed(wal->conf.arg, rc);
}

/* --- holds
 * ------------------------------------------------------------------------------------------- */

static struct wal_batch *
batch_of(struct wal *wal, uint64_t lsn)
{
	struct list *pos = wal->batches.prev;

	while (pos != &wal->batches && list_entry(pos, struct wal_batch, link)->lsn >= lsn)
		pos = pos->prev;
	assert(pos != &wal->batches);
	return list_entry(pos, struct wal_batch, link);
}

void
wal_hold(struct wal *wal, uint64_t lsn)
{
	batch_of(wal, lsn)->hold_nr++;
}

uint64_t
wal_proven_lsn(const struct wal *wal)
{
	return wal->proven_lsn > wal->tail_lsn ? wal->proven_lsn : wal->tail_lsn;
}

/* --- writers
 * ------------------------------------------------------------------------------------------- */

/* Fill in the header; batches pass here in log order. */
static void
batch_seal(struct wal *wal, struct wal_batch *batch)
{
	struct wal_batch_df hdr = {
	    .magic = WAL_BATCH_MAGIC,
	    .lsn = batch->lsn,
	    .durable_lsn = wal->durable_lsn,
	    .id = wal->conf.id[0],
	    .len_bytes = batch->len_bytes,
	    .prev_crc = wal->prev_crc,
	    .inc = wal->inc,
	    .rec_nr = batch->rec_nr,
	};

	hdr.crc = wal_batch_crc(&hdr, batch->buf + sizeof(hdr), batch->len_bytes - sizeof(hdr));
	memcpy(batch->buf, &hdr, sizeof(hdr));
	memset(batch->buf + batch->len_bytes, 0,
	       round_up(batch->len_bytes, DEV_BLOCK) - batch->len_bytes);
	wal->prev_crc = hdr.crc;
	batch->knew_lsn = hdr.durable_lsn;
}

/* One device write, two at the end of the ring. */
static int co_fn
batch_write(struct wal *wal, struct wal_batch *batch)
{
	uint64_t len = round_up(batch->len_bytes, DEV_BLOCK);
	uint64_t off = batch->lsn % wal->ring_bytes;
	uint64_t first = wal->ring_bytes - off < len ? wal->ring_bytes - off : len;
	uint64_t base = WAL_SUPER_NR * DEV_BLOCK;
	int rc;

	wal->stats.write_nr++;
	wal->stats.written_bytes += len;
	rc = dev_write(wal->dev, base + off, batch->buf, first, DEV_WRITE_SYNC);
	if (rc == 0 && first < len)
		rc = dev_write(wal->dev, base, batch->buf + first, len - first, DEV_WRITE_SYNC);
	return rc;
}

/* The next batch to write, or NULL when there is none or waiting gathers more. */
static struct wal_batch *
batch_take(struct wal *wal)
{
	struct wal_batch *first = list_first(&wal->batches, struct wal_batch, link);
	struct list *pos;

	if (wal->rc != 0)
		return NULL;
	if (first != NULL && first->state >= WAL_BATCH_WRITING &&
	    wal_open_lsn(wal) - first->lsn > WAL_AHEAD_MAX)
		return NULL;
	list_for_each (pos, &wal->batches) {
		struct wal_batch *batch = list_entry(pos, struct wal_batch, link);

		if (batch->state == WAL_BATCH_CLOSED)
			return batch;
		if (batch->state != WAL_BATCH_OPEN)
			continue;
		if (batch->rec_nr == 0 ||
		    (wal->writing_nr > 0 && batch->len_bytes < WAL_EAGER_BYTES))
			return NULL;
		batch_close(wal);
		return batch;
	}
	return NULL;
}

/* Move durable_lsn over what is written without a gap. */
static void
batches_retire(struct wal *wal)
{
	struct wal_batch *batch;

	while ((batch = list_first(&wal->batches, struct wal_batch, link)) != NULL) {
		if (batch->state != WAL_BATCH_WRITTEN || batch->hold_nr > 0)
			break;
		wal->durable_lsn = batch_end(batch);
		wal->proven_lsn = batch->knew_lsn;
		batch_free(wal, batch);
	}
	run_callbacks(wal);
}

void
wal_release(struct wal *wal, uint64_t lsn, int rc)
{
	struct wal_batch *batch = batch_of(wal, lsn);

	assert(batch->hold_nr > 0);
	batch->hold_nr--;
	if (rc != 0)
		wal_fail(wal, rc);
	if (wal->rc != 0 || batch->hold_nr > 0 || batch->state != WAL_BATCH_WRITTEN)
		return;
	batches_retire(wal);
	co_waitq_wake_all(&wal->work);
}

static int co_fn
writer_main(void *arg)
{
	struct wal *wal = arg;
	struct wal_batch *batch;
	int rc;

	for (;;) {
		batch = batch_take(wal);
		if (batch == NULL) {
			if (wal->stopping)
				return 0;
			co_waitq_wait(&wal->work, 0);
			continue;
		}
		batch->state = WAL_BATCH_WRITING;
		wal->writing_nr++;
		batch_seal(wal, batch);
		rc = batch_write(wal, batch);
		wal->writing_nr--;
		batch->state = WAL_BATCH_WRITTEN;
		if (rc != 0)
			wal_fail(wal, rc);
		if (wal->rc == 0)
			batches_retire(wal);
		co_waitq_wake_all(&wal->work);
	}
}

/* --- life
 * ---------------------------------------------------------------------------------------------- */

int co_fn
wal_format(struct dev *dev, const uint64_t id[2])
{
	struct wal_super_df super = {
	    .magic = WAL_SUPER_MAGIC,
	    .version = WAL_VERSION,
	    .id = {id[0], id[1]},
	    .ring_bytes = (dev->size_bytes / DEV_BLOCK - WAL_SUPER_NR) * DEV_BLOCK,
	    .tail_lsn = WAL_FIRST_LSN,
	};
	int i, rc = 0;

	if (dev->size_bytes < WAL_DEV_MIN)
		return -DER_INVAL;
	for (i = 0; rc == 0 && i < WAL_SUPER_NR; i++) {
		super.seq++;
		rc = wal_super_write(dev, &super);
	}
	return rc;
}

static void
wal_free(struct wal *wal)
{
	while (!list_empty(&wal->batches))
		batch_free(wal, list_first(&wal->batches, struct wal_batch, link));
	while (wal->buf_cache_nr > 0)
		dev_buf_free(wal->buf_cache[--wal->buf_cache_nr], WAL_BUF_BYTES);
	free(wal);
}

static int
check_super(const struct wal_conf *conf, const struct dev *dev, const struct wal_super_df *super)
{
	if (super->id[0] != conf->id[0] || super->id[1] != conf->id[1])
		return -DER_DF_INVAL;
	if (super->version != WAL_VERSION)
		return -DER_DF_INCOMPT;
	if (super->ring_bytes % DEV_BLOCK != 0 || super->tail_lsn % DEV_BLOCK != 0 ||
	    super->ring_bytes < WAL_DEV_MIN / 2 ||
	    super->ring_bytes > dev->size_bytes - WAL_SUPER_NR * DEV_BLOCK)
		return -DER_DF_INVAL;
	return 0;
}

static int co_fn
write_super(struct wal *wal, uint64_t tail_lsn, uint32_t tail_inc)
{
	struct wal_super_df super = {
	    .magic = WAL_SUPER_MAGIC,
	    .version = WAL_VERSION,
	    .id = {wal->conf.id[0], wal->conf.id[1]},
	    .seq = ++wal->super_seq,
	    .ring_bytes = wal->ring_bytes,
	    .tail_lsn = tail_lsn,
	    .inc = wal->inc,
	    .tail_inc = tail_inc,
	};

	return wal_super_write(wal->dev, &super);
}

/* The batch at the log's end is whole, but was refused: what it depends on is missing. It must stay
 * refused, even if the same content comes to stand there later. */
static int co_fn
erase_cut(struct wal *wal)
{
	uint64_t off = WAL_SUPER_NR * DEV_BLOCK + wal->end_lsn % wal->ring_bytes;
	void *buf = dev_buf_alloc(DEV_BLOCK);
	int rc;

	if (buf == NULL)
		return -DER_NOMEM;
	memset(buf, 0, DEV_BLOCK);
	rc = dev_write(wal->dev, off, buf, DEV_BLOCK, DEV_WRITE_SYNC);
	dev_buf_free(buf, DEV_BLOCK);
	return rc;
}

static int
start_writers(struct wal *wal)
{
	int i, rc = 0;

	for (i = 0; rc == 0 && i < WAL_WRITER_NR; i++)
		rc = co_group_spawn(&wal->writers, writer_main, wal);
	return rc;
}

int co_fn
wal_open(const struct wal_conf *conf, struct dev *dev, struct wal **ret_wal)
{
	struct wal_super_df super;
	struct wal *wal;
	int rc;

	rc = wal_super_read(dev, &super);
	if (rc == 0)
		rc = check_super(conf, dev, &super);
	if (rc != 0)
		return rc;
	wal = mem_new(struct wal);
	if (wal == NULL)
		return -DER_NOMEM;
	wal->conf = *conf;
	wal->dev = dev;
	wal->ring_bytes = super.ring_bytes;
	wal->super_seq = super.seq;
	wal->inc = super.inc;
	wal->tail_inc = super.tail_inc;
	wal->tail_lsn = super.tail_lsn;
	list_init(&wal->batches);
	list_init(&wal->cbs);
	list_init(&wal->space_waiters);
	co_waitq_init(&wal->work);
	co_group_init(&wal->writers);
	rc = wal_replay(wal);
	if (rc == 0 && !conf->read_only) {
		wal->inc++;
		/* what a killed predecessor had under way may be there without being durable */
		rc = dev_sync(dev);
		if (rc == 0 && wal->cut)
			rc = erase_cut(wal);
		if (rc == 0)
			rc = write_super(wal, wal->tail_lsn, wal->tail_inc);
		if (rc == 0)
			rc = start_writers(wal);
	}
	if (rc != 0)
		wal_close(wal);
	else
		*ret_wal = wal;
	return rc;
}

void co_fn
wal_close(struct wal *wal)
{
	if (wal == NULL)
		return;
	wal->stopping = true;
	co_waitq_wake_all(&wal->work);
	co_group_join(&wal->writers);
	if (wal->rc == 0)
		wal->rc = -DER_SHUTDOWN;
	run_callbacks(wal);
	serve_waiters(wal);
	wal_free(wal);
}

int co_fn
wal_trim(struct wal *wal, uint64_t lsn)
{
	uint32_t tail_inc = lsn >= wal->inc_lsn ? wal->inc : wal->tail_inc;
	int rc;

	assert(lsn % DEV_BLOCK == 0 && lsn >= wal->tail_lsn && lsn <= wal->durable_lsn);
	wal->pressed = false;
	if (wal->rc != 0)
		return wal->rc;
	if (lsn == wal->tail_lsn)
		return 0;
	rc = write_super(wal, lsn, tail_inc);
	if (rc != 0) {
		wal_fail(wal, rc);
		return rc;
	}
	wal->tail_lsn = lsn;
	wal->tail_inc = tail_inc;
	serve_waiters(wal);
	return 0;
}

void
wal_stats(const struct wal *wal, struct wal_stats *ret_stats)
{
	*ret_stats = wal->stats;
	ret_stats->ring_bytes = wal->ring_bytes;
	ret_stats->used_bytes = used_bytes(wal);
	ret_stats->reserved_bytes = wal->reserved_bytes;
}
