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

#include "base/crc.h"
#include "base/mem.h"
#include "cluster/raft/rlog_internal.h"
#include "runtime/xs.h"

/* --- names -------------------------------------------------------------------------------------
 */

static void
name_meta(const struct rlog *log, char *buf)
{
	snprintf(buf, RLOG_NAME_MAX, "%s.meta", log->prefix);
}

void
rlog_name_seg(const struct rlog *log, uint64_t seq, char *buf)
{
	snprintf(buf, RLOG_NAME_MAX, "%s.log.%016llx", log->prefix, (unsigned long long)seq);
}

void
rlog_name_snap(const struct rlog *log, uint64_t index, char *buf)
{
	snprintf(buf, RLOG_NAME_MAX, "%s.snap.%016llx", log->prefix, (unsigned long long)index);
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

void
rlog_found_fini(struct rlog_found *f)
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
	struct rlog_found *f = arg;
	size_t plen = strlen(f->prefix);
	char(*names)[RLOG_NAME_MAX];
	uint64_t nr;

	if (strncmp(name, f->prefix, plen) != 0 || name[plen] != '.' ||
	    strlen(name) >= RLOG_NAME_MAX)
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

int co_fn
rlog_found_scan(struct dev_dir *dir, const char *prefix, struct rlog_found *f)
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

uint32_t
rlog_seg_crc(const struct rlog_seg_df *df)
{
	return crc32c(0, (const uint8_t *)df + 8, sizeof(*df) - 8);
}

int
rlog_seg_push(struct rlog *log, uint64_t seq, uint64_t size_bytes)
{
	if (log->seg_nr == log->seg_cap) {
		uint32_t cap = log->seg_cap != 0 ? log->seg_cap * 2 : 8;
		struct rlog_seg *segs = mem_realloc(log->segs, cap, sizeof(*segs));

		if (segs == NULL)
			return -DER_NOMEM;
		log->segs = segs;
		log->seg_cap = cap;
	}
	log->segs[log->seg_nr++] = (struct rlog_seg){.seq = seq, .size_bytes = size_bytes};
	return 0;
}

/* Remove the oldest segment. */
int co_fn
rlog_seg_drop_first(struct rlog *log)
{
	char name[RLOG_NAME_MAX];
	int rc;

	if (log->seg_nr == 1) {
		dev_close(log->tail);
		log->tail = NULL;
	}
	rlog_name_seg(log, log->segs[0].seq, name);
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
	char name[RLOG_NAME_MAX];
	uint64_t size = RLOG_SEG_BYTES;
	uint64_t salt = env_rand_u64(xs_env(log->xs));
	struct dev *dev;
	int rc;

	if (need_bytes + DEV_BLOCK > size)
		size = need_bytes + DEV_BLOCK;
	rlog_name_seg(log, log->seg_next, name);
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
	df->crc = htole32(rlog_seg_crc(df));
	rc = dev_write(dev, 0, df, DEV_BLOCK, DEV_WRITE_SYNC);
	dev_buf_free(df, DEV_BLOCK);
	if (rc == 0)
		rc = rlog_seg_push(log, log->seg_next, size);
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

uint32_t
rlog_batch_crc(uint64_t salt, const void *batch, size_t len)
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

size_t
rlog_batch_block_bytes(size_t payload)
{
	return (sizeof(struct rlog_batch_df) + payload + DEV_BLOCK - 1) / DEV_BLOCK * DEV_BLOCK;
}

static int co_fn
batch_write(struct rlog *log, uint64_t index_first, const struct raft_entry *entries, uint32_t nr,
	    size_t payload)
{
	size_t bytes = rlog_batch_block_bytes(payload);
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
	df.crc = htole32(rlog_batch_crc(log->tail_salt, buf, sizeof(df) + payload));
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

	if (strlen(prefix) >= RLOG_PREFIX_MAX)
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
	char name[RLOG_NAME_MAX];
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
	char meta[RLOG_NAME_MAX];
	struct rlog_found f;
	uint32_t i;
	int rc;

	snprintf(meta, sizeof(meta), "%s.meta", prefix);
	rc = rlog_found_scan(dir, prefix, &f);
	/* The meta device first: without it there is no replica here. */
	if (rc == 0 && f.meta)
		rc = dir->ops->unlink(dir, meta);
	for (i = 0; rc == 0 && i < f.name_nr; i++) {
		if (strcmp(f.names[i], meta) != 0)
			rc = dir->ops->unlink(dir, f.names[i]);
	}
	rlog_found_fini(&f);
	return rc;
}

int co_fn
rlog_format(struct xs *xs, struct dev_dir *dir, const char *prefix, const struct rlog_ident *ident,
	    const struct raft_configuration *conf, struct rlog **ret_log)
{
	struct raft_entry entry = {.term = 1, .type = RAFT_CHANGE};
	char name[RLOG_NAME_MAX];
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
