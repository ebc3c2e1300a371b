/*
 * Checksums of versions of array segments: where they are kept, computing and comparing.
 *
 * Up to four bytes, of a version that was never split within a chunk, are in the version itself (so
 * a 4 KiB extent under crc32 costs nothing extra); all others are in a heap object.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_csum.h"

#include "base/log.h"
#include "store/heap/heap_format.h"
#include "store/vos/vos_internal.h"

enum {
	SUM_NONE = 0,
	SUM_HERE = 1,   /* in vos_ver_df.csum */
	SUM_OBJECT = 2, /* vos_csum_df at (csum | (csum_tag >> 2) << 32) * 16 */
	SUM_MASK = 3,
	SUM_HIGH_SHIFT = 2,
	SUM_UNIT_SHIFT = 4, /* heap objects are aligned to 16 */
};
static_assert(HEAP_REGION_MAX <= 1ull << (32 + 8 - SUM_HIGH_SHIFT + SUM_UNIT_SHIFT), "format");

uint64_t
vos_sums_off(const struct vos_ver_df *ver)
{
	if ((ver->csum_tag & SUM_MASK) != SUM_OBJECT)
		return 0;
	return (ver->csum | (uint64_t)(ver->csum_tag >> SUM_HIGH_SHIFT) << 32) << SUM_UNIT_SHIFT;
}

static uint64_t
recs_of(const struct vos_cont *cont, uint64_t rec_size)
{
	return csum_chunk_recs(cont->csum_chunk, rec_size);
}

/* Records kept around a segment are fewer than a chunk has, and no record number overflows. */
static bool
cover_ok(const struct vos_sums *s, uint64_t start, uint64_t len, uint64_t recs)
{
	return s->pre < recs && s->post < recs && s->pre <= start &&
	       start + len + s->post >= start + len;
}

int
vos_sums_get(struct heap *heap, const struct vos_cont *cont, const struct vos_ver_df *ver,
	     uint64_t start, uint64_t len, struct vos_sums *ret_sums)
{
	uint64_t off = vos_sums_off(ver), recs;
	const struct vos_csum_df *df = NULL;

	*ret_sums = (struct vos_sums){0};
	switch (ver->csum_tag & SUM_MASK) {
	case SUM_NONE:
		return 0;
	case SUM_HERE:
		break;
	case SUM_OBJECT:
		df = heap_try_df(heap, off, sizeof(*df));
		if (df == NULL)
			return HEAP_MISS;
		ret_sums->pre = df->pre;
		ret_sums->post = df->post;
		break;
	default:
		return -DER_CSUM;
	}
	if (cont == NULL)
		return 0;
	recs = recs_of(cont, ver->rec_size);
	if (cont->csum.len == 0 || !cover_ok(ret_sums, start, len, recs)) {
		log_err("heap offset %#llx: checksums of an extent are damaged",
			(unsigned long long)off);
		return -DER_CSUM;
	}
	ret_sums->nr =
	    csum_chunk_nr(start - ret_sums->pre, ret_sums->pre + len + ret_sums->post, recs);
	if (df == NULL) {
		ret_sums->sum = (const uint8_t *)&ver->csum;
		return ret_sums->nr * cont->csum.len <= sizeof(ver->csum) ? 0 : -DER_CSUM;
	}
	if (ret_sums->nr > HEAP_ALLOC_MAX / cont->csum.len)
		return -DER_CSUM;
	if (heap_try(heap, off, sizeof(*df) + ret_sums->nr * cont->csum.len) == NULL)
		return HEAP_MISS;
	ret_sums->sum = df->sum;
	return 0;
}

void
vos_sums_here(struct vos_ver_df *ver, const uint8_t *sum, uint32_t bytes)
{
	uint32_t val = 0;

	if (bytes != 0)
		memcpy(&val, sum, bytes);
	ver->csum_tag = bytes != 0 ? SUM_HERE : SUM_NONE;
	ver->csum = val;
}

int
vos_sums_set(struct vos_tx *t, struct vos_ver_df *ver, const struct vos_sums *sums)
{
	uint64_t bytes = sums->nr * t->cont->csum.len, off;
	struct vos_csum_df *df;
	int rc;

	if (bytes <= VOS_SUMS_HERE_MAX && sums->pre == 0 && sums->post == 0) {
		vos_sums_here(ver, sums->sum, bytes);
		return 0;
	}
	if (bytes > HEAP_ALLOC_MAX - sizeof(*df))
		return -DER_REC2BIG;
	rc = heap_alloc(t->tx, sizeof(*df) + bytes, 0, &off);
	if (rc != 0)
		return rc;
	df = heap_ptr(t->heap, off);
	df->pre = sums->pre;
	df->post = sums->post;
	memcpy(df->sum, sums->sum, bytes);
	ver->csum_tag = SUM_OBJECT | (off >> (32 + SUM_UNIT_SHIFT)) << SUM_HIGH_SHIFT;
	ver->csum = off >> SUM_UNIT_SHIFT;
	return 0;
}

int
vos_sums_free(struct vos_tx *t, const struct vos_ver_df *ver)
{
	uint64_t off = vos_sums_off(ver);

	return off == 0 ? 0 : heap_free(t->tx, off);
}

/* --- computing and comparing ------------------------------------------------------------------ */

uint64_t
vos_sums_bytes(const struct vos_cont *cont, uint64_t idx, uint64_t nr, uint64_t rec_size)
{
	return cont->csum.len * csum_chunk_nr(idx, nr, recs_of(cont, rec_size));
}

/* The part of [pos, end) in the chunk of pos: its number of records. */
static uint64_t
part_nr(uint64_t pos, uint64_t end, uint64_t recs)
{
	uint64_t next = csum_chunk_end(pos, recs);

	return (next < end ? next : end) - pos;
}

void
vos_sums_make(struct vos_cont *cont, uint64_t idx, uint64_t nr, uint64_t rec_size,
	      struct iov_iter *it, uint8_t *ret_sum)
{
	uint64_t recs = recs_of(cont, rec_size), end = idx + nr, n;

	for (; idx < end; idx += n, ret_sum += cont->csum.len) {
		n = part_nr(idx, end, recs);
		csum_iov(&cont->csum, it, n * rec_size, ret_sum);
	}
}

bool
vos_sums_check(struct vos_cont *cont, uint64_t idx, uint64_t nr, uint64_t rec_size,
	       struct iov_iter *it, const uint8_t *sum, uint64_t *ret_bad, uint64_t *ret_bad_nr)
{
	uint64_t recs = recs_of(cont, rec_size), end = idx + nr, n;
	uint8_t got[CSUM_LEN_MAX];

	for (; idx < end; idx += n, sum += cont->csum.len) {
		n = part_nr(idx, end, recs);
		csum_iov(&cont->csum, it, n * rec_size, got);
		if (memcmp(got, sum, cont->csum.len) != 0) {
			*ret_bad = idx;
			*ret_bad_nr = n;
			return false;
		}
	}
	return true;
}

int
vos_span_get(struct heap *heap, const struct vos_ver_df *ver, uint64_t start, uint64_t len,
	     const struct vos_sums *sums, struct vos_span *ret_span)
{
	uint64_t addr = ver->addr, before = sums->pre * ver->rec_size;
	uint8_t kind = ver->kind;

	if (kind == VOS_VER_COUNTED) {
		const struct vos_ext_df *ext = heap_try_df(heap, addr, sizeof(*ext));

		if (ext == NULL)
			return HEAP_MISS;
		kind = ext->kind;
		addr = ext->addr;
	}
	if ((kind != VOS_VER_INLINE && kind != VOS_VER_NVME) || before > ver->ext_off)
		return -DER_CSUM;
	ret_span->kind = kind;
	ret_span->addr = (kind == VOS_VER_NVME ? addr * SPACE_BLOCK : addr) + ver->ext_off - before;
	ret_span->idx = start - sums->pre;
	ret_span->nr = sums->pre + len + sums->post;
	return 0;
}

/* --- reports ---------------------------------------------------------------------------------- */

/* A key for a log line: what cannot be printed as \xNN, cut off where it is long. */
static const char *
key_text(const daos_key_t *key, char *text, size_t max)
{
	const uint8_t *p = key->iov_buf;
	size_t i, n = 0;

	for (i = 0; i < key->iov_len && n + 8 < max; i++)
		n += snprintf(text + n, max - n,
			      p[i] > ' ' && p[i] < 127 && p[i] != '\\' ? "%c" : "\\x%02x", p[i]);
	if (i < key->iov_len)
		snprintf(text + n, max - n, "...");
	else
		text[n] = '\0';
	return text;
}

void
vos_csum_report(struct vos_cont *cont, const struct vos_csum_event *ev)
{
	static const char *const found[] = {
	    [VOS_CSUM_UPDATE] = "received",
	    [VOS_CSUM_FETCH] = "read",
	    [VOS_CSUM_MERGE] = "merged",
	    [VOS_CSUM_SCRUB] = "scrubbed",
	};
	struct vos_pool *pool = cont->pool;
	struct vos_csum_event full = *ev;
	char dkey[100], akey[100], uuid[37], what[64] = "single value", where[64] = "";

	memcpy(full.cont, cont->uuid, sizeof(uuid_t));
	uuid_unparse_lower(cont->uuid, uuid);
	if (ev->found == VOS_CSUM_SCRUB)
		pool->csum_stats.scrub_bad_nr++;
	else
		pool->csum_stats.bad_nr++;
	if (!ev->single)
		snprintf(what, sizeof(what), "records %llu+%llu",
			 (unsigned long long)ev->recx.rx_idx, (unsigned long long)ev->recx.rx_nr);
	if (ev->found != VOS_CSUM_UPDATE)
		snprintf(where, sizeof(where), ", %s offset %#llx", ev->nvme ? "data" : "heap",
			 (unsigned long long)ev->dev_off);
	log_err(
	    "pool %s: %s checksum mismatch when %s: container %s object %llu.%llu shard %u dkey %s "
	    "akey %s %s epoch %#llx%s",
	    pool->name, csum_name(cont->csum.type), found[ev->found], uuid,
	    (unsigned long long)ev->oid.id.hi, (unsigned long long)ev->oid.id.lo, ev->oid.shard,
	    key_text(&ev->dkey, dkey, sizeof(dkey)), key_text(&ev->akey, akey, sizeof(akey)), what,
	    (unsigned long long)ev->epoch, where);
	if (pool->csum_fn != NULL)
		pool->csum_fn(&full, pool->csum_arg);
}

void
vos_pool_on_csum(struct vos_pool *pool, void (*fn)(const struct vos_csum_event *ev, void *arg),
		 void *arg)
{
	pool->csum_fn = fn;
	pool->csum_arg = arg;
}

void
vos_pool_csum_stats(const struct vos_pool *pool, struct vos_csum_stats *ret_stats)
{
	*ret_stats = pool->csum_stats;
}
