/*
 * The log of a Raft replica on devices. Formats: rlog_format.h.
 *
 * Entries are appended in batches; a batch is one synchronous write and the next one is not started
 * before it ended, so at most the last batch of the last segment can be torn, and everything behind
 * a bad batch is proof of damage rather than of a crash. Nothing is ever overwritten in place: a
 * truncation is the next batch starting at a lower index. That needs no write of its own, because
 * Raft truncates only entries that were not committed, and to find them again after a crash is as
 * if the truncating message had not arrived yet.
 *
 * A snapshot is written to a temporary name and renamed when it is durable; then older snapshots
 * go, then segments from the oldest on as long as all their entries are far enough below the
 * snapshot. After a snapshot that came from the leader (everything here is void) all segments go;
 * if the crash comes in between, rlog_load() sees that the log does not contain the snapshot's last
 * entry with its term and drops it. The first batch written after that carries RLOG_BATCH_RESET.
 */
#define LOG_FACILITY "raft"

#include "cluster/raft/rlog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/cleanup.h"
#include "base/codec.h"
#include "base/crc.h"
#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/raft/rcodec.h"
#include "cluster/raft/rlog_format.h"
#include "runtime/xs.h"

enum {
	SNAP_IO_BYTES = 1 << 20,
	PREFIX_MAX = 16,
	NAME_MAX_LEN = 64,
};

struct seg {
	uint64_t seq;
	uint64_t index_max; /* highest index in any of its batches, void ones included */
	uint64_t size_bytes;
};

struct rlog {
	struct xs *xs;
	struct dev_dir *dir;
	char prefix[PREFIX_MAX];
	struct rlog_ident ident;

	struct dev *meta;
	uint64_t meta_seq;
	uint64_t term;
	uint64_t vote;

	struct seg *segs; /* oldest first */
	uint32_t seg_nr;
	uint32_t seg_cap;
	struct dev *tail;  /* the last one, NULL when the next append must start a segment */
	uint64_t tail_off; /* where the next batch goes */
	uint64_t tail_salt;
	uint64_t seg_next;   /* sequence of the next segment */
	uint64_t batch_next; /* sequence of the next batch */
	uint64_t index_last; /* 0 = no entries */
	bool reset;          /* the next batch voids everything before it */
	bool loaded;

	uint64_t snap_index; /* 0 = none */
	uint64_t snap_term;
};

/* --- names ----------------------------------------------------------------------------------- */

static void
name_meta(const struct rlog *log, char *buf)
{
	snprintf(buf, NAME_MAX_LEN, "%s.meta", log->prefix);
}

static void
name_seg(const struct rlog *log, uint64_t seq, char *buf)
{
	snprintf(buf, NAME_MAX_LEN, "%s.log.%016llx", log->prefix, (unsigned long long)seq);
}

static void
name_snap(const struct rlog *log, uint64_t index, char *buf)
{
	snprintf(buf, NAME_MAX_LEN, "%s.snap.%016llx", log->prefix, (unsigned long long)index);
}

static void
name_snap_tmp(const struct rlog *log, char *buf)
{
	snprintf(buf, NAME_MAX_LEN, "%s.snap-new", log->prefix);
}

/* "PREFIX.<kind>.<16 hex digits>" */
static bool
name_parse(const char *name, const char *prefix, const char *kind, uint64_t *ret_nr)
{
	size_t plen = strlen(prefix);
	size_t klen = strlen(kind);
	const char *p;
	char *end;

	if (strncmp(name, prefix, plen) != 0 || name[plen] != '.')
		return false;
	p = name + plen + 1;
	if (strncmp(p, kind, klen) != 0 || p[klen] != '.')
		return false;
	p += klen + 1;
	if (strspn(p, "0123456789abcdef") != 16 || p[16] != '\0')
		return false;
	*ret_nr = strtoull(p, &end, 16);
	return true;
}

struct found {
	const char *prefix;
	uint64_t *segs;
	uint32_t seg_nr;
	uint64_t *snaps;
	uint32_t snap_nr;
	char (*names)[NAME_MAX_LEN]; /* everything of the prefix */
	uint32_t name_nr;
	bool meta;
};

static void
found_fini(struct found *f)
{
	free(f->segs);
	free(f->snaps);
	free(f->names);
}

static int
push_u64(uint64_t **arr, uint32_t *nr, uint64_t v)
{
	uint64_t *p = mem_realloc(*arr, *nr + 1, sizeof(**arr));

	if (p == NULL)
		return -DER_NOMEM;
	p[(*nr)++] = v;
	*arr = p;
	return 0;
}

static int
found_add(const char *name, uint64_t size, void *arg)
{
	struct found *f = arg;
	size_t plen = strlen(f->prefix);
	char(*names)[NAME_MAX_LEN];
	uint64_t nr;

	if (strncmp(name, f->prefix, plen) != 0 || name[plen] != '.' ||
	    strlen(name) >= NAME_MAX_LEN)
		return 0;
	names = mem_realloc(f->names, f->name_nr + 1, sizeof(*names));
	if (names == NULL)
		return -DER_NOMEM;
	f->names = names;
	strcpy(f->names[f->name_nr++], name);
	if (strcmp(name + plen, ".meta") == 0)
		f->meta = true;
	/* Hexadecimal of fixed width in byte order: ascending. */
	if (name_parse(name, f->prefix, "log", &nr))
		return push_u64(&f->segs, &f->seg_nr, nr);
	if (name_parse(name, f->prefix, "snap", &nr))
		return push_u64(&f->snaps, &f->snap_nr, nr);
	return 0;
}

static int co_fn
found_scan(struct dev_dir *dir, const char *prefix, struct found *f)
{
	memset(f, 0, sizeof(*f));
	f->prefix = prefix;
	return dir->ops->list(dir, found_add, f);
}

/* --- term and vote --------------------------------------------------------------------------- */

static uint32_t
meta_crc(const struct rlog_meta_df *df)
{
	return crc32c(0, (const uint8_t *)df + 8, sizeof(*df) - 8);
}

static int co_fn
meta_write(struct rlog *log, uint64_t term, uint64_t vote)
{
	struct rlog_meta_df *df = dev_buf_alloc(DEV_BLOCK);
	int rc;

	if (df == NULL)
		return -DER_NOMEM;
	memset(df, 0, DEV_BLOCK);
	df->magic = htole32(RLOG_META_MAGIC);
	df->version = htole32(RLOG_VERSION);
	df->seq = htole64(log->meta_seq + 1);
	df->term = htole64(term);
	df->vote = htole64(vote);
	df->id = htole64(log->ident.id);
	memcpy(df->group, log->ident.group, sizeof(df->group));
	df->crc = htole32(meta_crc(df));
	rc = dev_write(log->meta, ((log->meta_seq + 1) % 2) * DEV_BLOCK, df, DEV_BLOCK,
		       DEV_WRITE_SYNC);
	dev_buf_free(df, DEV_BLOCK);
	if (rc != 0)
		return rc;
	log->meta_seq++;
	log->term = term;
	log->vote = vote;
	return 0;
}

int co_fn
rlog_meta_set(struct rlog *log, uint64_t term, uint64_t vote)
{
	return meta_write(log, term, vote);
}

static int co_fn
meta_read(struct rlog *log)
{
	uint8_t *buf = dev_buf_alloc(2 * DEV_BLOCK);
	bool found = false;
	int rc;
	int i;

	if (buf == NULL)
		return -DER_NOMEM;
	if (log->meta->size_bytes < 2 * DEV_BLOCK) {
		dev_buf_free(buf, 2 * DEV_BLOCK);
		return -DER_NONEXIST;
	}
	rc = dev_read(log->meta, 0, buf, 2 * DEV_BLOCK);
	for (i = 0; rc == 0 && i < 2; i++) {
		struct rlog_meta_df df;

		memcpy(&df, buf + i * DEV_BLOCK, sizeof(df));
		if (le32toh(df.magic) != RLOG_META_MAGIC || le32toh(df.crc) != meta_crc(&df))
			continue;
		if (le32toh(df.version) != RLOG_VERSION) {
			rc = -DER_DF_INCOMPT;
			break;
		}
		if (found && le64toh(df.seq) < log->meta_seq)
			continue;
		found = true;
		log->meta_seq = le64toh(df.seq);
		log->term = le64toh(df.term);
		log->vote = le64toh(df.vote);
		log->ident.id = le64toh(df.id);
		memcpy(log->ident.group, df.group, sizeof(df.group));
	}
	dev_buf_free(buf, 2 * DEV_BLOCK);
	if (rc == 0 && !found)
		rc = -DER_NONEXIST;
	return rc;
}

/* --- segments -------------------------------------------------------------------------------- */

static uint32_t
seg_crc(const struct rlog_seg_df *df)
{
	return crc32c(0, (const uint8_t *)df + 8, sizeof(*df) - 8);
}

static int
seg_push(struct rlog *log, uint64_t seq, uint64_t size_bytes)
{
	if (log->seg_nr == log->seg_cap) {
		uint32_t cap = log->seg_cap != 0 ? log->seg_cap * 2 : 8;
		struct seg *segs = mem_realloc(log->segs, cap, sizeof(*segs));

		if (segs == NULL)
			return -DER_NOMEM;
		log->segs = segs;
		log->seg_cap = cap;
	}
	log->segs[log->seg_nr++] = (struct seg){.seq = seq, .size_bytes = size_bytes};
	return 0;
}

/* Remove the oldest segment. */
static int co_fn
seg_drop_first(struct rlog *log)
{
	char name[NAME_MAX_LEN];
	int rc;

	if (log->seg_nr == 1) {
		dev_close(log->tail);
		log->tail = NULL;
	}
	name_seg(log, log->segs[0].seq, name);
	rc = log->dir->ops->unlink(log->dir, name);
	if (rc != 0 && rc != -DER_NONEXIST)
		return rc;
	log->seg_nr--;
	memmove(log->segs, log->segs + 1, log->seg_nr * sizeof(*log->segs));
	return 0;
}

static int co_fn
seg_start(struct rlog *log, uint64_t need_bytes)
{
	struct rlog_seg_df *df;
	char name[NAME_MAX_LEN];
	uint64_t size = RLOG_SEG_BYTES;
	uint64_t salt = env_rand_u64(xs_env(log->xs));
	struct dev *dev;
	int rc;

	if (need_bytes + DEV_BLOCK > size)
		size = need_bytes + DEV_BLOCK;
	name_seg(log, log->seg_next, name);
	rc = log->dir->ops->create(log->dir, log->xs, name, size, true, &dev);
	if (rc != 0)
		return rc;
	df = dev_buf_alloc(DEV_BLOCK);
	if (df == NULL) {
		dev_close(dev);
		return -DER_NOMEM;
	}
	memset(df, 0, DEV_BLOCK);
	df->magic = htole32(RLOG_SEG_MAGIC);
	df->version = htole32(RLOG_VERSION);
	df->seq = htole64(log->seg_next);
	df->batch_first = htole64(log->batch_next);
	df->salt = htole64(salt);
	df->crc = htole32(seg_crc(df));
	rc = dev_write(dev, 0, df, DEV_BLOCK, DEV_WRITE_SYNC);
	dev_buf_free(df, DEV_BLOCK);
	if (rc == 0)
		rc = seg_push(log, log->seg_next, size);
	if (rc != 0) {
		dev_close(dev);
		return rc;
	}
	dev_close(log->tail);
	log->tail = dev;
	log->tail_off = DEV_BLOCK;
	log->tail_salt = salt;
	log->seg_next++;
	return 0;
}

static uint32_t
batch_crc(uint64_t salt, const void *batch, size_t len)
{
	uint8_t seed[8];

	salt = htole64(salt);
	memcpy(seed, &salt, 8);
	return crc32c(crc32c(0, seed, 8), (const uint8_t *)batch + 8, len - 8);
}

static size_t
entry_bytes(const struct raft_entry *e)
{
	return sizeof(struct rlog_entry_df) + ((e->buf.len + 7) & ~(size_t)7);
}

static size_t
batch_block_bytes(size_t payload)
{
	return (sizeof(struct rlog_batch_df) + payload + DEV_BLOCK - 1) / DEV_BLOCK * DEV_BLOCK;
}

static int co_fn
batch_write(struct rlog *log, uint64_t index_first, const struct raft_entry *entries, uint32_t nr,
	    size_t payload)
{
	size_t bytes = batch_block_bytes(payload);
	struct rlog_batch_df df;
	uint8_t *buf;
	uint8_t *p;
	uint32_t i;
	int rc;

	if (log->tail == NULL || log->tail_off + bytes > log->tail->size_bytes) {
		rc = seg_start(log, bytes);
		if (rc != 0)
			return rc;
	}
	buf = dev_buf_alloc(bytes);
	if (buf == NULL)
		return -DER_NOMEM;
	p = buf + sizeof(df);
	for (i = 0; i < nr; i++) {
		const struct raft_entry *e = &entries[i];
		struct rlog_entry_df edf = {
		    .term = htole64(e->term),
		    .type = htole32(e->type),
		    .len_bytes = htole32((uint32_t)e->buf.len),
		};

		memcpy(p, &edf, sizeof(edf));
		if (e->buf.len != 0)
			memcpy(p + sizeof(edf), e->buf.base, e->buf.len);
		memset(p + sizeof(edf) + e->buf.len, 0, entry_bytes(e) - sizeof(edf) - e->buf.len);
		p += entry_bytes(e);
	}
	memset(p, 0, buf + bytes - p);
	df = (struct rlog_batch_df){
	    .magic = htole32(RLOG_BATCH_MAGIC),
	    .seq = htole64(log->batch_next),
	    .index_first = htole64(index_first),
	    .entry_nr = htole32(nr),
	    .payload_bytes = htole32((uint32_t)payload),
	    .flags = htole32(log->reset ? RLOG_BATCH_RESET : 0),
	};
	memcpy(buf, &df, sizeof(df));
	df.crc = htole32(batch_crc(log->tail_salt, buf, sizeof(df) + payload));
	memcpy(buf, &df, sizeof(df));
	rc = dev_write(log->tail, log->tail_off, buf, bytes, DEV_WRITE_SYNC);
	dev_buf_free(buf, bytes);
	if (rc != 0)
		return rc;
	log->tail_off += bytes;
	log->batch_next++;
	log->reset = false;
	log->index_last = index_first + nr - 1;
	if (log->segs[log->seg_nr - 1].index_max < log->index_last)
		log->segs[log->seg_nr - 1].index_max = log->index_last;
	return 0;
}

int co_fn
rlog_append(struct rlog *log, uint64_t index_first, const struct raft_entry *entries,
	    uint32_t entry_nr)
{
	uint32_t i = 0;

	if (log->index_last == 0 || index_first > log->index_last + 1)
		log->reset = true;
	while (i < entry_nr) {
		size_t payload = 0;
		uint32_t n = 0;
		int rc;

		while (i + n < entry_nr) {
			size_t len = entry_bytes(&entries[i + n]);

			if (entries[i + n].buf.len > RLOG_ENTRY_MAX)
				return -DER_INVAL;
			if (n > 0 && payload + len > RLOG_BATCH_MAX)
				break;
			payload += len;
			n++;
		}
		rc = batch_write(log, index_first + i, entries + i, n, payload);
		if (rc != 0)
			return rc;
		i += n;
	}
	return 0;
}

uint64_t
rlog_last(const struct rlog *log)
{
	return log->index_last;
}

uint64_t
rlog_live_bytes(const struct rlog *log)
{
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < log->seg_nr; i++)
		sum += i + 1 < log->seg_nr ? log->segs[i].size_bytes : log->tail_off;
	return sum;
}

/* --- reading the log back -------------------------------------------------------------------- */

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
	bytes = batch_block_bytes(le32toh(df.payload_bytes));
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
	    batch_crc(salt, buf, sizeof(df) + le32toh(df.payload_bytes)) != le32toh(df.crc))
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
	char name[NAME_MAX_LEN];
	CLEANUP(dev_closep)
	struct dev *dev = NULL;
	struct rlog_seg_df df;
	uint8_t *buf;
	uint64_t off = DEV_BLOCK;
	int rc;

	name_seg(log, seq, name);
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
	if (le32toh(df.magic) != RLOG_SEG_MAGIC || le32toh(df.crc) != seg_crc(&df) ||
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
	rc = seg_push(log, seq, dev->size_bytes);
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

/* Hand the entries to libraft: runs of them share one allocation ("batch"). */
static int
replay_export(const struct replay *r, struct raft_entry **ret_entries)
{
	enum { SHARE_BYTES = 64 << 10 };
	struct raft_entry *out;
	size_t i = 0;

	out = raft_calloc(r->nr, sizeof(*out));
	if (out == NULL)
		return -DER_NOMEM;
	while (i < r->nr) {
		size_t bytes = 0;
		size_t n = 0;
		uint8_t *batch;

		while (i + n < r->nr &&
		       (n == 0 || bytes + r->entries[i + n].buf.len <= SHARE_BYTES)) {
			bytes += (r->entries[i + n].buf.len + 7) & ~(size_t)7;
			n++;
		}
		batch = raft_malloc(bytes != 0 ? bytes : 8);
		if (batch == NULL)
			break;
		for (bytes = 0; n > 0; n--, i++) {
			const struct raft_entry *e = &r->entries[i];

			out[i] = *e;
			out[i].batch = batch;
			out[i].buf.base = batch + bytes;
			memcpy(out[i].buf.base, e->buf.base, e->buf.len);
			bytes += (e->buf.len + 7) & ~(size_t)7;
		}
	}
	if (i < r->nr) {
		void *last = NULL;

		while (i > 0) {
			if (out[--i].batch != last)
				raft_free(out[i].batch);
			last = out[i].batch;
		}
		raft_free(out);
		return -DER_NOMEM;
	}
	*ret_entries = out;
	return 0;
}

static int co_fn
load(struct rlog *log, const struct found *f, struct replay *r, struct raft_snapshot **ret_snap)
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
				rc = seg_drop_first(log);
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
	struct raft_entry *entries = NULL;
	struct found f;
	int rc;

	if (log->loaded)
		return -DER_ALREADY;
	rc = found_scan(log->dir, log->prefix, &f);
	if (rc == 0)
		rc = load(log, &f, &r, &snap);
	if (rc == 0 && r.nr > 0)
		rc = replay_export(&r, &entries);
	if (rc != 0) {
		rlog_snap_free(snap);
		goto out;
	}
	log->loaded = true;
	log->index_last = r.nr != 0 ? r.start + r.nr - 1 : 0;
	*ret_snap = snap;
	*ret_start = r.nr != 0 ? r.start : snap != NULL ? snap->index + 1 : 1;
	*ret_entries = entries;
	*ret_nr = r.nr;
out:
	replay_fini(&r);
	found_fini(&f);
	return rc;
}

/* --- snapshots ------------------------------------------------------------------------------- */

void
rlog_snap_free(struct raft_snapshot *snap)
{
	unsigned i;

	if (snap == NULL)
		return;
	raft_configuration_close(&snap->configuration);
	for (i = 0; i < snap->n_bufs; i++)
		raft_free(snap->bufs[i].base);
	raft_free(snap->bufs);
	raft_free(snap);
}

/* Write pieces one behind the other from the start of the device, whole blocks at a time. */
struct out_stream {
	struct dev *dev;
	uint64_t off;
	uint8_t *buf;
	size_t fill;
};

static int co_fn
out_put(struct out_stream *s, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len > 0) {
		size_t n = SNAP_IO_BYTES - s->fill;

		if (n > len)
			n = len;
		memcpy(s->buf + s->fill, p, n);
		s->fill += n;
		p += n;
		len -= n;
		if (s->fill == SNAP_IO_BYTES) {
			int rc = dev_write(s->dev, s->off, s->buf, SNAP_IO_BYTES, 0);

			if (rc != 0)
				return rc;
			s->off += SNAP_IO_BYTES;
			s->fill = 0;
		}
	}
	return 0;
}

static int co_fn
out_end(struct out_stream *s)
{
	size_t n = (s->fill + DEV_BLOCK - 1) / DEV_BLOCK * DEV_BLOCK;
	int rc = 0;

	memset(s->buf + s->fill, 0, n - s->fill);
	if (n > 0)
		rc = dev_write(s->dev, s->off, s->buf, n, 0);
	if (rc == 0)
		rc = dev_sync(s->dev);
	return rc;
}

static uint32_t
snap_header_crc(const struct rlog_snap_df *df)
{
	return crc32c(0, (const uint8_t *)df + 8, sizeof(*df) - 8);
}

static int co_fn
snap_write(struct rlog *log, const struct raft_snapshot *snap, const char *name)
{
	struct rlog_snap_df df = {.magic = htole32(RLOG_SNAP_MAGIC)};
	CLEANUP(dev_closep)
	struct dev *dev = NULL;
	struct out_stream s = {0};
	struct codec_wr conf;
	uint64_t data = 0;
	uint32_t crc;
	unsigned i;
	int rc;

	codec_wr_init(&conf, 1 << 20);
	rcodec_conf_put(&conf, &snap->configuration);
	rc = codec_wr_err(&conf);
	for (i = 0; i < snap->n_bufs; i++)
		data += snap->bufs[i].len;
	if (rc == 0 && data > RLOG_SNAP_MAX)
		rc = -DER_OVERFLOW;
	if (rc != 0)
		goto out;
	df.version = htole32(RLOG_VERSION);
	df.conf_bytes = htole32((uint32_t)conf.len);
	df.index = htole64(snap->index);
	df.term = htole64(snap->term);
	df.conf_index = htole64(snap->configuration_index);
	df.data_bytes = htole64(data);
	crc = crc32c(snap_header_crc(&df), conf.base, conf.len);
	for (i = 0; i < snap->n_bufs; i++)
		crc = crc32c(crc, snap->bufs[i].base, snap->bufs[i].len);
	df.crc = htole32(crc);

	rc = log->dir->ops->unlink(log->dir, name); /* left over from a crash */
	if (rc != 0 && rc != -DER_NONEXIST)
		goto out;
	rc = log->dir->ops->create(
	    log->dir, log->xs, name,
	    (sizeof(df) + conf.len + data + DEV_BLOCK - 1) / DEV_BLOCK * DEV_BLOCK, false, &dev);
	if (rc != 0)
		goto out;
	s.dev = dev;
	s.buf = dev_buf_alloc(SNAP_IO_BYTES);
	if (s.buf == NULL) {
		rc = -DER_NOMEM;
		goto out;
	}
	rc = out_put(&s, &df, sizeof(df));
	if (rc == 0)
		rc = out_put(&s, conf.base, conf.len);
	for (i = 0; rc == 0 && i < snap->n_bufs; i++)
		rc = out_put(&s, snap->bufs[i].base, snap->bufs[i].len);
	if (rc == 0)
		rc = out_end(&s);
	dev_buf_free(s.buf, SNAP_IO_BYTES);
out:
	codec_wr_fini(&conf);
	return rc;
}

static int co_fn
snap_read(struct rlog *log, uint64_t index, struct raft_snapshot **ret_snap)
{
	char name[NAME_MAX_LEN];
	CLEANUP(dev_closep)
	struct dev *dev = NULL;
	struct raft_snapshot *snap = NULL;
	struct rlog_snap_df df;
	struct codec_rd rd;
	uint8_t *buf = NULL;
	uint8_t *all = NULL;
	uint64_t total;
	uint64_t off;
	int rc;

	name_snap(log, index, name);
	rc = log->dir->ops->open(log->dir, log->xs, name, true, &dev);
	if (rc != 0)
		return rc;
	buf = dev_buf_alloc(SNAP_IO_BYTES);
	if (buf == NULL)
		return -DER_NOMEM;
	rc = dev->size_bytes >= DEV_BLOCK ? dev_read(dev, 0, buf, DEV_BLOCK) : -DER_CSUM;
	if (rc != 0)
		goto out;
	memcpy(&df, buf, sizeof(df));
	rc = -DER_CSUM;
	if (le32toh(df.magic) != RLOG_SNAP_MAGIC || le64toh(df.data_bytes) > RLOG_SNAP_MAX ||
	    le64toh(df.index) != index)
		goto out;
	total = le32toh(df.conf_bytes) + le64toh(df.data_bytes);
	if (sizeof(df) + total > dev->size_bytes)
		goto out;
	rc = -DER_NOMEM;
	all = malloc(total != 0 ? total : 1);
	if (all == NULL)
		goto out;
	for (off = 0; off < sizeof(df) + total; off += SNAP_IO_BYTES) {
		uint64_t n = dev->size_bytes - off;
		uint64_t skip = off == 0 ? sizeof(df) : 0;
		uint64_t at = off + skip - sizeof(df);
		uint64_t take;

		if (n > SNAP_IO_BYTES)
			n = SNAP_IO_BYTES;
		rc = dev_read(dev, off, buf, n);
		if (rc != 0)
			goto out;
		take = n - skip < total - at ? n - skip : total - at;
		memcpy(all + at, buf + skip, take);
	}
	rc = -DER_CSUM;
	if (crc32c(snap_header_crc(&df), all, total) != le32toh(df.crc))
		goto out;
	rc = -DER_DF_INCOMPT;
	if (le32toh(df.version) != RLOG_VERSION)
		goto out;

	rc = -DER_NOMEM;
	snap = raft_calloc(1, sizeof(*snap));
	if (snap == NULL)
		goto out;
	raft_configuration_init(&snap->configuration);
	snap->index = index;
	snap->term = le64toh(df.term);
	snap->configuration_index = le64toh(df.conf_index);
	snap->bufs = raft_calloc(1, sizeof(*snap->bufs));
	if (snap->bufs == NULL)
		goto out;
	snap->n_bufs = 1;
	snap->bufs[0].len = le64toh(df.data_bytes);
	snap->bufs[0].base = raft_malloc(snap->bufs[0].len != 0 ? snap->bufs[0].len : 1);
	if (snap->bufs[0].base == NULL)
		goto out;
	memcpy(snap->bufs[0].base, all + le32toh(df.conf_bytes), snap->bufs[0].len);
	codec_rd_init(&rd, all, le32toh(df.conf_bytes));
	rc = rcodec_conf_get(&rd, &snap->configuration);
	if (rc == 0)
		rc = codec_rd_end(&rd);
	if (rc != 0)
		goto out;
	*ret_snap = steal_ptr(snap);
out:
	rlog_snap_free(snap);
	free(all);
	dev_buf_free(buf, SNAP_IO_BYTES);
	return rc;
}

int co_fn
rlog_snap_load(struct rlog *log, struct raft_snapshot **ret_snap)
{
	struct found f;
	int rc;

	rc = found_scan(log->dir, log->prefix, &f);
	if (rc == 0 && f.snap_nr == 0)
		rc = -DER_NONEXIST;
	/* A snapshot has its name only when it is whole: a bad one is damage, and what it replaced
	 * is gone. */
	if (rc == 0)
		rc = snap_read(log, f.snaps[f.snap_nr - 1], ret_snap);
	if (rc == 0) {
		log->snap_index = (*ret_snap)->index;
		log->snap_term = (*ret_snap)->term;
	}
	found_fini(&f);
	return rc;
}

int co_fn
rlog_snap_save(struct rlog *log, const struct raft_snapshot *snap, uint32_t trailing)
{
	char tmp[NAME_MAX_LEN];
	char name[NAME_MAX_LEN];
	uint64_t keep_from;
	struct found f;
	uint32_t i;
	int rc;

	name_snap_tmp(log, tmp);
	name_snap(log, snap->index, name);
	rc = snap_write(log, snap, tmp);
	if (rc != 0)
		return rc;
	rc = log->dir->ops->rename(log->dir, tmp, name);
	if (rc != 0)
		return rc;
	log->snap_index = snap->index;
	log->snap_term = snap->term;

	rc = found_scan(log->dir, log->prefix, &f);
	for (i = 0; rc == 0 && i < f.snap_nr; i++) {
		if (f.snaps[i] >= snap->index)
			continue;
		name_snap(log, f.snaps[i], name);
		rc = log->dir->ops->unlink(log->dir, name);
	}
	found_fini(&f);
	if (rc != 0)
		return rc;

	if (trailing == 0) {
		while (rc == 0 && log->seg_nr > 0)
			rc = seg_drop_first(log);
		log->index_last = 0;
		return rc;
	}
	keep_from = snap->index > trailing ? snap->index - trailing + 1 : 1;
	while (rc == 0 && log->seg_nr > 1 && log->segs[0].index_max < keep_from)
		rc = seg_drop_first(log);
	return rc;
}

/* --- open and format ------------------------------------------------------------------------- */

void
rlog_close(struct rlog *log)
{
	if (log == NULL)
		return;
	dev_close(log->meta);
	dev_close(log->tail);
	free(log->segs);
	free(log);
}

static int
rlog_alloc(struct xs *xs, struct dev_dir *dir, const char *prefix, struct rlog **ret_log)
{
	struct rlog *log;

	if (strlen(prefix) >= PREFIX_MAX)
		return -DER_INVAL;
	log = mem_new(struct rlog);
	if (log == NULL)
		return -DER_NOMEM;
	log->xs = xs;
	log->dir = dir;
	strcpy(log->prefix, prefix);
	log->seg_next = 1;
	log->batch_next = 1;
	*ret_log = log;
	return 0;
}

int co_fn
rlog_open(struct xs *xs, struct dev_dir *dir, const char *prefix, struct rlog **ret_log)
{
	char name[NAME_MAX_LEN];
	struct rlog *log;
	int rc;

	rc = rlog_alloc(xs, dir, prefix, &log);
	if (rc != 0)
		return rc;
	name_meta(log, name);
	rc = dir->ops->open(dir, xs, name, false, &log->meta);
	if (rc == 0)
		rc = meta_read(log);
	if (rc != 0) {
		rlog_close(log);
		return rc;
	}
	*ret_log = log;
	return 0;
}

int co_fn
rlog_destroy(struct xs *xs, struct dev_dir *dir, const char *prefix)
{
	char meta[NAME_MAX_LEN];
	struct found f;
	uint32_t i;
	int rc;

	snprintf(meta, sizeof(meta), "%s.meta", prefix);
	rc = found_scan(dir, prefix, &f);
	/* The meta device first: without it there is no replica here. */
	if (rc == 0 && f.meta)
		rc = dir->ops->unlink(dir, meta);
	for (i = 0; rc == 0 && i < f.name_nr; i++) {
		if (strcmp(f.names[i], meta) != 0)
			rc = dir->ops->unlink(dir, f.names[i]);
	}
	found_fini(&f);
	return rc;
}

int co_fn
rlog_format(struct xs *xs, struct dev_dir *dir, const char *prefix, const struct rlog_ident *ident,
	    const struct raft_configuration *conf, struct rlog **ret_log)
{
	struct raft_entry entry = {.term = 1, .type = RAFT_CHANGE};
	char name[NAME_MAX_LEN];
	struct rlog *log;
	int rc;

	rc = rlog_destroy(xs, dir, prefix);
	if (rc == 0)
		rc = rlog_alloc(xs, dir, prefix, &log);
	if (rc != 0)
		return rc;
	log->ident = *ident;
	if (conf != NULL) {
		rc = raft_configuration_encode(conf, &entry.buf);
		if (rc != 0) {
			rc = -DER_NOMEM;
		} else {
			rc = rlog_append(log, 1, &entry, 1);
			raft_free(entry.buf.base);
		}
	}
	/* The valid meta block, written last, is what makes all of it exist. */
	if (rc == 0) {
		name_meta(log, name);
		rc = dir->ops->create(dir, xs, name, 2 * DEV_BLOCK, true, &log->meta);
	}
	if (rc == 0)
		rc = meta_write(log, conf != NULL ? 1 : 0, 0);
	rlog_close(log);
	if (rc != 0)
		return rc;
	return rlog_open(xs, dir, prefix, ret_log);
}

const struct rlog_ident *
rlog_ident(const struct rlog *log)
{
	return &log->ident;
}

uint64_t
rlog_term(const struct rlog *log)
{
	return log->term;
}

uint64_t
rlog_vote(const struct rlog *log)
{
	return log->vote;
}
