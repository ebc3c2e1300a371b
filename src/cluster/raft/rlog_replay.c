/*
 * Reading a log back: segments in order, batches in order, each entry replacing those from its
 * index on. The last batch of the last segment may be torn, and the last segment may not even have
 * its header; everything else that does not fit is damage.
 */
#define LOG_FACILITY "raft"

#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/raft/rlog_internal.h"

/* The entries found so far, each with memory of its own. */
struct replay {
	uint64_t start; /* index of the first one */
	struct raft_entry *entries;
	size_t nr;
	size_t cap;
};

static void
replay_cut(struct replay *r, size_t keep)
{
	while (r->nr > keep)
		free(r->entries[--r->nr].buf.base);
}

static void
replay_fini(struct replay *r)
{
	replay_cut(r, 0);
	free(r->entries);
}

static int
replay_push(struct replay *r, const struct rlog_entry_df *edf, const uint8_t *data)
{
	size_t len = le32toh(edf->len_bytes);
	struct raft_entry *e;

	if (r->nr == r->cap) {
		size_t cap = r->cap != 0 ? r->cap * 2 : 256;

		e = mem_realloc(r->entries, cap, sizeof(*e));
		if (e == NULL)
			return -DER_NOMEM;
		r->entries = e;
		r->cap = cap;
	}
	e = &r->entries[r->nr];
	e->term = le64toh(edf->term);
	e->type = (unsigned short)le32toh(edf->type);
	e->batch = NULL;
	e->buf.len = len;
	e->buf.base = mem_alloc(len != 0 ? len : 1);
	if (e->buf.base == NULL)
		return -DER_NOMEM;
	memcpy(e->buf.base, data, len);
	r->nr++;
	return 0;
}

/* The header at off, if a whole batch starts there: 0; -DER_NONEXIST if not. *ret_buf is the batch.
 */
static int co_fn
batch_read(struct dev *dev, uint64_t salt, uint64_t off, struct rlog_batch_df *ret_df,
	   uint8_t **ret_buf, size_t *ret_bytes)
{
	struct rlog_batch_df df;
	uint8_t *buf;
	size_t bytes;
	int rc;

	if (off + DEV_BLOCK > dev->size_bytes)
		return -DER_NONEXIST;
	buf = dev_buf_alloc(DEV_BLOCK);
	if (buf == NULL)
		return -DER_NOMEM;
	rc = dev_read(dev, off, buf, DEV_BLOCK);
	memcpy(&df, buf, sizeof(df));
	if (rc != 0 || le32toh(df.magic) != RLOG_BATCH_MAGIC) {
		dev_buf_free(buf, DEV_BLOCK);
		return rc != 0 ? rc : -DER_NONEXIST;
	}
	bytes = rlog_batch_block_bytes(le32toh(df.payload_bytes));
	if (bytes > dev->size_bytes - off) {
		dev_buf_free(buf, DEV_BLOCK);
		return -DER_NONEXIST;
	}
	if (bytes > DEV_BLOCK) {
		dev_buf_free(buf, DEV_BLOCK);
		buf = dev_buf_alloc(bytes);
		if (buf == NULL)
			return -DER_NOMEM;
		rc = dev_read(dev, off, buf, bytes);
	}
	if (rc == 0 &&
	    rlog_batch_crc(salt, buf, sizeof(df) + le32toh(df.payload_bytes)) != le32toh(df.crc))
		rc = -DER_NONEXIST;
	if (rc != 0) {
		dev_buf_free(buf, bytes);
		return rc;
	}
	*ret_df = df;
	*ret_buf = buf;
	*ret_bytes = bytes;
	return 0;
}

static int
batch_replay(struct rlog *log, struct replay *r, const struct rlog_batch_df *df, const uint8_t *buf)
{
	const uint8_t *p = buf + sizeof(*df);
	const uint8_t *end = p + le32toh(df->payload_bytes);
	uint64_t first = le64toh(df->index_first);
	uint32_t nr = le32toh(df->entry_nr);
	uint32_t i;
	int rc;

	if (first == 0 || nr == 0)
		return -DER_CSUM;
	if ((le32toh(df->flags) & RLOG_BATCH_RESET) != 0) {
		replay_cut(r, 0);
		r->start = first;
	} else if (r->nr == 0 && r->start == 0) {
		r->start = first; /* earlier segments are gone */
	} else if (first > r->start + r->nr) {
		return -DER_CSUM;
	} else if (first < r->start) {
		/* Only possible when what it replaced was removed with earlier segments. */
		replay_cut(r, 0);
		r->start = first;
	} else {
		replay_cut(r, first - r->start);
	}
	for (i = 0; i < nr; i++) {
		struct rlog_entry_df edf;
		uint32_t type;
		size_t len;

		if ((size_t)(end - p) < sizeof(edf))
			return -DER_CSUM;
		memcpy(&edf, p, sizeof(edf));
		p += sizeof(edf);
		len = le32toh(edf.len_bytes);
		type = le32toh(edf.type);
		if (len > (size_t)(end - p) || type < RAFT_COMMAND || type > RAFT_CHANGE)
			return -DER_CSUM;
		rc = replay_push(r, &edf, p);
		if (rc != 0)
			return rc;
		p += (len + 7) & ~(size_t)7;
		if (p > end)
			return -DER_CSUM;
	}
	if (log->segs[log->seg_nr - 1].index_max < first + nr - 1)
		log->segs[log->seg_nr - 1].index_max = first + nr - 1;
	return 0;
}

/* Whether a whole batch starts anywhere from off on: then the bad one before it is not a torn tail.
 */
static int co_fn
damaged_after(struct dev *dev, uint64_t salt, uint64_t off)
{
	for (; off + DEV_BLOCK <= dev->size_bytes; off += DEV_BLOCK) {
		struct rlog_batch_df df;
		uint8_t *buf;
		size_t bytes;
		int rc = batch_read(dev, salt, off, &df, &buf, &bytes);

		if (rc == -DER_NONEXIST)
			continue;
		if (rc != 0)
			return rc;
		dev_buf_free(buf, bytes);
		return -DER_CSUM;
	}
	return 0;
}

/* One segment; is_last: it may end in a torn batch, or not even have its header. */
static int co_fn
seg_replay(struct rlog *log, uint64_t seq, bool is_last, struct replay *r)
{
	char name[RLOG_NAME_MAX];
	CLEANUP(dev_closep)
	struct dev *dev = NULL;
	struct rlog_seg_df df;
	uint8_t *buf;
	uint64_t off = DEV_BLOCK;
	int rc;

	rlog_name_seg(log, seq, name);
	rc = log->dir->ops->open(log->dir, log->xs, name, false, &dev);
	if (rc != 0)
		return rc;
	if (dev->size_bytes >= DEV_BLOCK) {
		buf = dev_buf_alloc(DEV_BLOCK);
		if (buf == NULL)
			return -DER_NOMEM;
		rc = dev_read(dev, 0, buf, DEV_BLOCK);
		memcpy(&df, buf, sizeof(df));
		dev_buf_free(buf, DEV_BLOCK);
		if (rc != 0)
			return rc;
	} else {
		memset(&df, 0, sizeof(df));
	}
	if (le32toh(df.magic) != RLOG_SEG_MAGIC || le32toh(df.crc) != rlog_seg_crc(&df) ||
	    le64toh(df.seq) != seq) {
		if (!is_last)
			return -DER_CSUM;
		/* The crash came while it was created: nothing was ever in it. */
		dev_close(steal_ptr(dev));
		return log->dir->ops->unlink(log->dir, name);
	}
	if (le32toh(df.version) != RLOG_VERSION)
		return -DER_DF_INCOMPT;
	if (log->seg_nr == 0)
		log->batch_next = le64toh(df.batch_first);
	else if (le64toh(df.batch_first) != log->batch_next)
		return -DER_CSUM;
	rc = rlog_seg_push(log, seq, dev->size_bytes);
	if (rc != 0)
		return rc;
	for (;;) {
		struct rlog_batch_df bdf;
		size_t bytes;

		rc = batch_read(dev, le64toh(df.salt), off, &bdf, &buf, &bytes);
		if (rc == -DER_NONEXIST)
			break;
		if (rc != 0)
			return rc;
		rc = le64toh(bdf.seq) == log->batch_next ? batch_replay(log, r, &bdf, buf)
							 : -DER_CSUM;
		dev_buf_free(buf, bytes);
		if (rc != 0)
			return rc;
		log->batch_next++;
		off += bytes;
	}
	rc = damaged_after(dev, le64toh(df.salt), off);
	if (rc != 0)
		return rc;
	if (is_last) {
		log->tail = steal_ptr(dev);
		log->tail_off = off;
		log->tail_salt = le64toh(df.salt);
	}
	return 0;
}

static const struct raft_entry *
replay_get(const struct replay *r, uint64_t index)
{
	if (r->nr == 0 || index < r->start || index >= r->start + r->nr)
		return NULL;
	return &r->entries[index - r->start];
}

/*
 * Hand the entries to libraft (whose allocator is malloc). Each is a "batch" of its own: libraft
 * may free a batch that several entries share while a message with some of them is still on its
 * way.
 */
static struct raft_entry *
replay_take(struct replay *r, size_t *ret_nr)
{
	struct raft_entry *entries = r->entries;
	size_t i;

	for (i = 0; i < r->nr; i++)
		entries[i].batch = entries[i].buf.base;
	*ret_nr = r->nr;
	r->entries = NULL;
	r->nr = 0;
	return entries;
}

static int co_fn
load(struct rlog *log, const struct rlog_found *f, struct replay *r,
     struct raft_snapshot **ret_snap)
{
	uint32_t i;
	int rc;

	rc = rlog_snap_load(log, ret_snap);
	if (rc != 0 && rc != -DER_NONEXIST)
		return rc;
	for (i = 0; i < f->seg_nr; i++) {
		log->seg_next = f->segs[i] + 1;
		rc = seg_replay(log, f->segs[i], i + 1 == f->seg_nr, r);
		if (rc != 0) {
			log_err("%s: segment %llx: " ERR_F, log->prefix,
				(unsigned long long)f->segs[i], ERR_P(rc));
			return rc;
		}
	}
	if (*ret_snap != NULL) {
		const struct raft_entry *e = replay_get(r, (*ret_snap)->index);
		uint64_t last = r->nr != 0 ? r->start + r->nr - 1 : 0;
		bool behind = last < (*ret_snap)->index;
		bool follows = r->nr != 0 && r->start == (*ret_snap)->index + 1;

		if (behind || (e != NULL && e->term != (*ret_snap)->term)) {
			/* The snapshot came from the leader; the log should have gone with it. */
			replay_cut(r, 0);
			while (log->seg_nr > 0) {
				rc = rlog_seg_drop_first(log);
				if (rc != 0)
					return rc;
			}
		} else if (e == NULL && !follows) {
			log_err("%s: entries between the snapshot and the log are missing",
				log->prefix);
			return -DER_CSUM;
		}
	} else if (r->nr != 0 && r->start != 1) {
		log_err("%s: the log starts at %llu and there is no snapshot", log->prefix,
			(unsigned long long)r->start);
		return -DER_CSUM;
	}
	return 0;
}

int co_fn
rlog_load(struct rlog *log, struct raft_snapshot **ret_snap, raft_index *ret_start,
	  struct raft_entry **ret_entries, size_t *ret_nr)
{
	struct replay r = {0};
	struct raft_snapshot *snap = NULL;
	struct rlog_found f;
	int rc;

	if (log->loaded)
		return -DER_ALREADY;
	rc = rlog_found_scan(log->dir, log->prefix, &f);
	if (rc == 0)
		rc = load(log, &f, &r, &snap);
	if (rc != 0) {
		rlog_snap_free(snap);
		goto out;
	}
	log->loaded = true;
	log->index_last = r.nr != 0 ? r.start + r.nr - 1 : 0;
	*ret_snap = snap;
	*ret_start = r.nr != 0 ? r.start : snap != NULL ? snap->index + 1 : 1;
	*ret_entries = NULL;
	*ret_nr = 0;
	if (r.nr != 0)
		*ret_entries = replay_take(&r, ret_nr);
out:
	replay_fini(&r);
	rlog_found_fini(&f);
	return rc;
}
