/*
 * Write-ahead log: looking at it. The walk is that of recovery (wal_replay.c); what is added is
 * what recovery has no use for: both super blocks, the headers, and how the log ends.
 */
#define LOG_FACILITY "wal"
#include "store/wal/wal_inspect.h"

#include <string.h>

#include <daos_errno.h>

#include "store/wal/wal_internal.h"

struct look {
	struct wal_inspect *out;
	uint64_t ring_bytes;
	int co_fn (*fn)(const struct wal_inspect_batch *batch, void *arg);
	void *arg;
	int fn_rc;
};

static int co_fn
see_batch(struct look *look, const struct wal_replay_batch *b)
{
	struct wal_batch_df hdr;
	struct wal_inspect_batch batch;

	memcpy(&hdr, b->recs - sizeof(hdr), sizeof(hdr));
	batch = (struct wal_inspect_batch){
	    .lsn = b->lsn,
	    .ring_off = b->lsn % look->ring_bytes,
	    .durable_lsn = hdr.durable_lsn,
	    .len_bytes = hdr.len_bytes,
	    .rec_nr = hdr.rec_nr,
	    .crc = hdr.crc,
	    .prev_crc = hdr.prev_crc,
	    .inc = hdr.inc,
	    .recs = b->recs,
	    .recs_bytes = b->len_bytes,
	};
	look->out->batch_nr++;
	look->out->rec_nr += hdr.rec_nr;
	look->out->bytes += hdr.len_bytes;
	look->out->end_lsn = b->lsn + (hdr.len_bytes + DEV_BLOCK - 1) / DEV_BLOCK * DEV_BLOCK;
	return look->fn == NULL ? 0 : look->fn(&batch, look->arg);
}

static int co_fn
see_batches(void *arg, const struct wal_replay_batch *batches, uint32_t batch_nr)
{
	struct look *look = arg;
	uint32_t i;

	for (i = 0; look->fn_rc == 0 && i < batch_nr; i++)
		look->fn_rc = see_batch(look, &batches[i]);
	return look->fn_rc;
}

static int co_fn
see_supers(struct dev *dev, struct wal_inspect *out)
{
	uint8_t *buf;
	int i, rc;

	out->super_used = -1;
	if (dev->size_bytes < WAL_DEV_MIN)
		return -DER_DF_INVAL;
	buf = dev_buf_alloc(WAL_SUPER_NR * DEV_BLOCK);
	if (buf == NULL)
		return -DER_NOMEM;
	rc = dev_read(dev, 0, buf, WAL_SUPER_NR * DEV_BLOCK);
	for (i = 0; rc == 0 && i < WAL_SUPER_NR; i++) {
		struct wal_super_df df;

		memcpy(&df, buf + i * DEV_BLOCK, sizeof(df));
		if (df.magic != WAL_SUPER_MAGIC || df.crc != wal_super_crc(&df))
			continue;
		out->super[i] = (struct wal_inspect_super){
		    .valid = true,
		    .version = df.version,
		    .id = {df.id[0], df.id[1]},
		    .seq = df.seq,
		    .ring_bytes = df.ring_bytes,
		    .tail_lsn = df.tail_lsn,
		    .inc = df.inc,
		    .tail_inc = df.tail_inc,
		};
		if (out->super_used < 0 || df.seq > out->super[out->super_used].seq)
			out->super_used = i;
	}
	dev_buf_free(buf, WAL_SUPER_NR * DEV_BLOCK);
	return rc == 0 && out->super_used < 0 ? -DER_DF_INVAL : rc;
}

/* Whether a batch of this log was begun at its end. */
static int co_fn
see_end(struct wal *wal, struct wal_inspect *out)
{
	struct wal_batch_df hdr;
	uint8_t *buf;
	int rc;

	if (wal->end_lsn >= wal->tail_lsn + wal->ring_bytes)
		return 0;
	buf = dev_buf_alloc(DEV_BLOCK);
	if (buf == NULL)
		return -DER_NOMEM;
	rc = wal_ring_read(wal, wal->end_lsn, buf, DEV_BLOCK);
	memcpy(&hdr, buf, sizeof(hdr));
	if (rc == 0 && hdr.magic == WAL_BATCH_MAGIC && hdr.lsn == wal->end_lsn &&
	    hdr.id == wal->conf.id[0])
		out->end = WAL_END_TORN;
	dev_buf_free(buf, DEV_BLOCK);
	return rc;
}

int co_fn
wal_inspect(struct xs *xs, struct dev *dev,
	    int co_fn (*fn)(const struct wal_inspect_batch *batch, void *arg), void *arg,
	    struct wal_inspect *ret)
{
	struct look look = {.out = ret, .fn = fn, .arg = arg};
	struct wal_conf conf = {
	    .xs = xs,
	    .read_only = true,
	    .replay = see_batches,
	    .arg = &look,
	};
	struct wal *wal;
	int rc;

	memset(ret, 0, sizeof(*ret));
	rc = see_supers(dev, ret);
	if (rc != 0)
		return rc;
	conf.id[0] = ret->super[ret->super_used].id[0];
	conf.id[1] = ret->super[ret->super_used].id[1];
	look.ring_bytes = ret->super[ret->super_used].ring_bytes;
	ret->end_lsn = ret->super[ret->super_used].tail_lsn;
	rc = wal_open(&conf, dev, &wal);
	if (rc == -DER_CSUM && look.fn_rc == 0) {
		ret->end = WAL_END_DAMAGED;
		return 0;
	}
	if (rc != 0)
		return rc;
	rc = see_end(wal, ret);
	wal_close(wal);
	return rc;
}
