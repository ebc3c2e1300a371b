/*
 * Write-ahead log: finding its end.
 *
 * From the tail on, batch follows batch: each must carry the position it lies at, the log's id, a
 * right checksum, the checksum of its predecessor and an incarnation not below the predecessor's.
 * The first that does not is the end: either nothing was written there, or a crash tore the last
 * writes.
 *
 * A batch that had once been acknowledged and is now unreadable looks the same. It is told apart by
 * what lies behind it: a batch written later says up to where the log was durable at that time. If
 * any such batch within reach knew the spot to be durable, the log is damaged and is not opened.
 *
 * Records may count only together with something written elsewhere at the same time (wal_hold). A
 * batch that a later one knew to be durable needs no question. The last ones are asked about: where
 * that something is missing, the log ends, as at a torn batch.
 *
 * The log is read in windows of several MiB; all batches of a window go to the user at once, which
 * can then load what they touch together.
 */
#define LOG_FACILITY "wal"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/crc.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/xs.h"
#include "store/wal/wal_internal.h"

uint32_t
wal_super_crc(const struct wal_super_df *super)
{
	struct wal_super_df copy = *super;

	copy.crc = 0;
	return crc32c(0, &copy, sizeof(copy));
}

uint32_t
wal_batch_crc(const struct wal_batch_df *hdr, const uint8_t *recs, uint32_t recs_len)
{
	struct wal_batch_df copy = *hdr;

	copy.crc = 0;
	return crc32c(crc32c(0, &copy, sizeof(copy)), recs, recs_len);
}

/* --- super blocks ---------------------------------------------------------------------------- */

int co_fn
wal_super_read(struct dev *dev, struct wal_super_df *ret_super)
{
	uint8_t *buf;
	bool found = false;
	int i, rc;

	if (dev->size_bytes < WAL_DEV_MIN)
		return -DER_DF_INVAL;
	buf = dev_buf_alloc(WAL_SUPER_NR * DEV_BLOCK);
	if (buf == NULL)
		return -DER_NOMEM;
	rc = dev_read(dev, 0, buf, WAL_SUPER_NR * DEV_BLOCK);
	for (i = 0; rc == 0 && i < WAL_SUPER_NR; i++) {
		struct wal_super_df super;

		memcpy(&super, buf + i * DEV_BLOCK, sizeof(super));
		if (super.magic != WAL_SUPER_MAGIC || super.crc != wal_super_crc(&super))
			continue;
		if (!found || super.seq > ret_super->seq)
			*ret_super = super;
		found = true;
	}
	dev_buf_free(buf, WAL_SUPER_NR * DEV_BLOCK);
	return rc == 0 && !found ? -DER_DF_INVAL : rc;
}

int co_fn
wal_super_write(struct dev *dev, struct wal_super_df *super)
{
	uint8_t *buf = dev_buf_alloc(DEV_BLOCK);
	int rc;

	if (buf == NULL)
		return -DER_NOMEM;
	super->crc = wal_super_crc(super);
	memset(buf, 0, DEV_BLOCK);
	memcpy(buf, super, sizeof(*super));
	rc = dev_write(dev, super->seq % WAL_SUPER_NR * DEV_BLOCK, buf, DEV_BLOCK, DEV_WRITE_SYNC);
	dev_buf_free(buf, DEV_BLOCK);
	return rc;
}

/* --- batches
 * -------------------------------------------------------------------------------------- */

int co_fn
wal_ring_read(struct wal *wal, uint64_t lsn, uint8_t *buf, uint64_t len)
{
	uint64_t off = lsn % wal->ring_bytes;
	uint64_t first = wal->ring_bytes - off < len ? wal->ring_bytes - off : len;
	uint64_t base = WAL_SUPER_NR * DEV_BLOCK;
	int rc;

	rc = dev_read(wal->dev, base + off, buf, first);
	if (rc == 0 && first < len)
		rc = dev_read(wal->dev, base, buf + first, len - first);
	return rc;
}

enum batch_verdict {
	BATCH_OK,
	BATCH_CUT, /* header plausible, but it goes on behind the window */
	BATCH_BAD,
};

/* Whether a header that belongs at lsn stands at buf. */
static bool
batch_header(const struct wal *wal, uint64_t lsn, const uint8_t *buf, struct wal_batch_df *ret_hdr)
{
	memcpy(ret_hdr, buf, sizeof(*ret_hdr));
	return ret_hdr->magic == WAL_BATCH_MAGIC && ret_hdr->lsn == lsn &&
	       ret_hdr->id == wal->conf.id[0] && ret_hdr->len_bytes > sizeof(*ret_hdr) &&
	       ret_hdr->len_bytes <= WAL_BATCH_MAX;
}

/* What stands at buf, which is the place of lsn and has len bytes after it. */
static enum batch_verdict
batch_check(const struct wal *wal, uint64_t lsn, const uint8_t *buf, uint64_t len,
	    struct wal_batch_df *ret_hdr)
{
	struct wal_batch_df hdr;

	if (len < DEV_BLOCK)
		return BATCH_CUT;
	if (!batch_header(wal, lsn, buf, &hdr))
		return BATCH_BAD;
	if (hdr.len_bytes > len)
		return BATCH_CUT;
	if (hdr.crc != wal_batch_crc(&hdr, buf + sizeof(hdr), hdr.len_bytes - sizeof(hdr)))
		return BATCH_BAD;
	*ret_hdr = hdr;
	return BATCH_OK;
}

/* State of the walk along the log. */
struct walk {
	uint64_t lsn;
	uint32_t prev_crc; /* 0: not known */
	uint32_t inc;
	uint64_t proven_lsn;              /* highest durable_lsn in a header so far */
	struct wal_replay_batch *batches; /* of one window */
	uint32_t batch_nr;
};

/* Take the batches at the start of the window that continue the log. True when the end was found.
 */
static bool
walk_window(const struct wal *wal, struct walk *walk, const uint8_t *buf, uint64_t len)
{
	uint64_t pos = 0;

	walk->batch_nr = 0;
	for (;;) {
		struct wal_batch_df hdr;
		enum batch_verdict verdict;

		verdict = batch_check(wal, walk->lsn, buf + pos, len - pos, &hdr);
		if (verdict == BATCH_CUT && walk->batch_nr > 0)
			return false;
		if (verdict != BATCH_OK || hdr.inc < walk->inc ||
		    (walk->prev_crc != 0 && hdr.prev_crc != 0 && hdr.prev_crc != walk->prev_crc))
			return true;
		walk->batches[walk->batch_nr++] = (struct wal_replay_batch){
		    .lsn = walk->lsn,
		    .recs = buf + pos + sizeof(hdr),
		    .len_bytes = hdr.len_bytes - sizeof(hdr),
		    .rec_nr = hdr.rec_nr,
		};
		walk->prev_crc = hdr.crc;
		walk->inc = hdr.inc;
		if (hdr.durable_lsn > walk->proven_lsn)
			walk->proven_lsn = hdr.durable_lsn;
		walk->lsn += (hdr.len_bytes + DEV_BLOCK - 1) / DEV_BLOCK * DEV_BLOCK;
		pos = pos + (walk->lsn - walk->batches[walk->batch_nr - 1].lsn);
	}
}

static uint64_t
walk_batch_end(const struct walk *walk, uint32_t i)
{
	return i + 1 < walk->batch_nr ? walk->batches[i + 1].lsn : walk->lsn;
}

/* Go back to the end of batch nr - 1 of the window; nr 0: to what was before it. */
static void
walk_cut(struct walk *walk, uint32_t nr, const struct walk *before)
{
	struct wal_batch_df hdr;

	if (nr == walk->batch_nr)
		return;
	walk->lsn = walk->batches[nr].lsn;
	walk->batch_nr = nr;
	walk->prev_crc = before->prev_crc;
	walk->inc = before->inc;
	if (nr == 0)
		return;
	memcpy(&hdr, walk->batches[nr - 1].recs - sizeof(hdr), sizeof(hdr));
	walk->prev_crc = hdr.crc;
	walk->inc = hdr.inc;
}

/* The log goes on behind the window: leave what nobody has proven yet for the next one. */
static void
leave_unproven(struct walk *walk, const struct walk *before)
{
	uint32_t nr = walk->batch_nr;

	while (nr > 0 && walk_batch_end(walk, nr - 1) > walk->proven_lsn)
		nr--;
	walk_cut(walk, nr, before);
}

/* The log ends with this window: ask about what nobody has proven. */
static int co_fn
check_unproven(struct wal *wal, struct walk *walk, const struct walk *before)
{
	uint32_t i, nr = walk->batch_nr;
	int rc = 0;

	for (i = 0; i < nr && walk_batch_end(walk, i) <= walk->proven_lsn; i++)
		;
	for (; wal->conf.check != NULL && i < nr; i++) {
		rc = wal->conf.check(wal->conf.arg, &walk->batches[i]);
		if (rc != 0)
			break;
	}
	if (rc != -DER_CSUM)
		return rc;
	log_info("%s: ends at log position %#llx: not all of the next batch was written",
		 wal->dev->name, (unsigned long long)walk->batches[i].lsn);
	walk_cut(walk, i, before);
	wal->cut = true;
	return 0;
}

/* See the top: whether somebody behind the log's end knew that it was durable. Reads one block more
 * than the largest batch can take: if the one at the end is damaged, the next begins there. */
static int co_fn
check_behind(struct wal *wal, const struct walk *walk, uint8_t *buf)
{
	uint64_t len = WAL_WINDOW_BYTES < wal->ring_bytes ? WAL_WINDOW_BYTES : wal->ring_bytes;
	uint64_t pos;
	int rc;

	if (len > WAL_BATCH_MAX + DEV_BLOCK)
		len = WAL_BATCH_MAX + DEV_BLOCK;
	rc = wal_ring_read(wal, walk->lsn, buf, len);
	for (pos = DEV_BLOCK; rc == 0 && pos < len; pos += DEV_BLOCK) {
		struct wal_batch_df hdr;

		if (!batch_header(wal, walk->lsn + pos, buf + pos, &hdr) || hdr.inc < walk->inc ||
		    hdr.durable_lsn <= walk->lsn)
			continue;
		/* The rest of the batch may lie outside the window: the header alone would do, but
		 * let it be a whole one if that can be seen. */
		if (batch_check(wal, walk->lsn + pos, buf + pos, len - pos, &hdr) == BATCH_BAD)
			continue;
		log_err("%s: damaged at log position %#llx: later records exist", wal->dev->name,
			(unsigned long long)walk->lsn);
		rc = -DER_CSUM;
	}
	return rc;
}

/* A window being read while the one before is replayed. */
struct read_ahead {
	struct wal *wal;
	uint64_t lsn;
	uint64_t len;
	uint8_t *buf;
};

static int co_fn
read_window(void *arg)
{
	struct read_ahead *ra = arg;

	return ra->len == 0 ? 0 : wal_ring_read(ra->wal, ra->lsn, ra->buf, ra->len);
}

static int co_fn
replay_window(struct wal *wal, const struct walk *walk)
{
	if (walk->batch_nr == 0 || wal->conf.replay == NULL)
		return 0;
	return wal->conf.replay(wal->conf.arg, walk->batches, walk->batch_nr);
}

static int co_fn
walk_log(struct wal *wal, struct walk *walk, uint8_t *bufs[2])
{
	uint64_t limit = wal->tail_lsn + wal->ring_bytes;
	struct read_ahead ra = {
	    .wal = wal, .lsn = walk->lsn, .len = WAL_FIRST_READ, .buf = bufs[0]};
	struct co_group group;
	int cur = 0, rc, rc2;

	rc = read_window(&ra);
	while (rc == 0) {
		const struct walk before = *walk;
		uint64_t len = ra.len;
		bool end = walk_window(wal, walk, bufs[cur], len);

		/* A batch longer than a short first window. */
		if (end && walk->batch_nr == 0 && len < WAL_WINDOW_BYTES && walk->lsn + len < limit)
			end = false;
		if (end || walk->lsn >= limit) {
			rc = check_unproven(wal, walk, &before);
			return rc != 0 ? rc : replay_window(wal, walk);
		}
		leave_unproven(walk, &before);
		if (walk->batch_nr == 0 && len == WAL_WINDOW_BYTES) {
			log_err("%s: nothing in %u bytes from log position %#llx knew what was "
				"durable",
				wal->dev->name, WAL_WINDOW_BYTES, (unsigned long long)walk->lsn);
			return -DER_CSUM;
		}
		ra.lsn = walk->lsn;
		ra.len =
		    limit - walk->lsn < WAL_WINDOW_BYTES ? limit - walk->lsn : WAL_WINDOW_BYTES;
		ra.buf = bufs[1 - cur];
		co_group_init(&group);
		rc = co_group_spawn(&group, read_window, &ra);
		if (rc != 0)
			rc = read_window(&ra);
		rc2 = replay_window(wal, walk);
		if (rc == 0)
			rc = rc2;
		rc2 = co_group_join(&group);
		if (rc == 0)
			rc = rc2;
		cur = 1 - cur;
	}
	return rc;
}

int co_fn
wal_replay(struct wal *wal)
{
	struct walk walk = {.lsn = wal->tail_lsn, .inc = wal->tail_inc};
	uint8_t *bufs[2] = {dev_buf_alloc(WAL_WINDOW_BYTES), dev_buf_alloc(WAL_WINDOW_BYTES)};
	int rc = -DER_NOMEM;

	walk.batches = mem_calloc(WAL_WINDOW_BYTES / DEV_BLOCK, sizeof(*walk.batches));
	if (bufs[0] != NULL && bufs[1] != NULL && walk.batches != NULL)
		rc = walk_log(wal, &walk, bufs);
	if (rc == 0)
		rc = check_behind(wal, &walk, bufs[0]);
	free(walk.batches);
	dev_buf_free(bufs[0], WAL_WINDOW_BYTES);
	dev_buf_free(bufs[1], WAL_WINDOW_BYTES);
	if (rc != 0)
		return rc;
	wal->stats.replay_bytes = walk.lsn - wal->tail_lsn;
	wal->end_lsn = walk.lsn;
	wal->durable_lsn = walk.lsn;
	wal->proven_lsn = walk.lsn; /* what is accepted now stays so: nothing is asked again */
	wal->inc_lsn = walk.lsn;
	wal->prev_crc = walk.prev_crc;
	return 0;
}
