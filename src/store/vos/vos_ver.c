/*
 * Storage of versions of array segments: what is freed, shared or copied when they are made, cut
 * and dropped.
 *
 * A version owns its blocks or heap object alone as long as it can: trimmed blocks are returned at
 * once, splits on a block border give each side its own blocks, small inline data is copied. Only
 * where both sides need the same block (or the inline data is large) the storage becomes a counted
 * extent, which returns as a whole with its last user.
 *
 * What a version needs is what it shows and, if it has checksums, what these cover (vos_csum.h).
 * Byte offsets below are those within its storage, so that of its first record is ext_off.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_internal.h"

#include "base/log.h"

static uint64_t
blks(uint64_t bytes)
{
	return (bytes + SPACE_BLOCK - 1) / SPACE_BLOCK;
}

static int
blocks_free(struct vos_tx *t, uint64_t blk, uint64_t blk_nr)
{
	struct space_ext ext = {.blk = blk, .blk_nr = blk_nr};

	return blk_nr == 0 ? 0 : vos_blocks_free(t, &ext);
}

static int
ext_put(struct vos_tx *t, uint64_t off)
{
	struct vos_ext_df *ext = heap_try_df(t->heap, off, sizeof(*ext));
	int rc;

	if (ext == NULL)
		return HEAP_MISS;
	if (ext->refs == 0)
		return -DER_CSUM;
	rc = heap_tx_add(t->tx, off, sizeof(ext->refs));
	if (rc != 0)
		return rc;
	if (--ext->refs != 0)
		return 0;
	rc = ext->kind == VOS_VER_NVME ? blocks_free(t, ext->addr, ext->blk_nr)
				       : heap_free(t->tx, ext->addr);
	return rc != 0 ? rc : heap_free(t->tx, off);
}

int
vos_ver_free(struct vos_tx *t, const struct vos_ver_df *ver, uint64_t len)
{
	struct vos_sums sums;
	int rc;

	rc = vos_sums_get(t->heap, NULL, ver, 0, len, &sums);
	if (rc == 0)
		rc = vos_sums_free(t, ver);
	if (rc != 0)
		return rc;
	switch (ver->kind) {
	case VOS_VER_PUNCH:
		return 0;
	case VOS_VER_INLINE:
		return heap_free(t->tx, ver->addr);
	case VOS_VER_NVME:
		return blocks_free(t, ver->addr,
				   blks(ver->ext_off + (len + sums.post) * ver->rec_size));
	case VOS_VER_COUNTED:
		return ext_put(t, ver->addr);
	default:
		return -DER_CSUM;
	}
}

/* Turn storage owned alone into a counted extent with one user. */
static int
ver_to_counted(struct vos_tx *t, struct vos_ver_df *ver, uint64_t bytes)
{
	struct vos_ext_df *ext;
	uint64_t off;
	int rc;

	rc = heap_alloc(t->tx, sizeof(*ext), 0, &off);
	if (rc != 0)
		return rc;
	ext = heap_ptr(t->heap, off);
	ext->refs = 1;
	ext->kind = ver->kind;
	ext->addr = ver->addr;
	ext->blk_nr = ver->kind == VOS_VER_NVME ? blks(bytes) : bytes;
	ver->kind = VOS_VER_COUNTED;
	ver->addr = off;
	return 0;
}

static int
ext_get(struct vos_tx *t, uint64_t off)
{
	struct vos_ext_df *ext = heap_try_df(t->heap, off, sizeof(*ext));
	int rc;

	if (ext == NULL)
		return HEAP_MISS;
	rc = heap_tx_add(t->tx, off, sizeof(ext->refs));
	if (rc == 0)
		ext->refs++;
	return rc;
}

/* Right side of a split of inline data: a copy of its own, of `bytes` from `from` on. */
static int
inline_copy(struct vos_tx *t, struct vos_ver_df *right, uint64_t from, uint64_t bytes)
{
	const void *src;
	uint64_t off;
	int rc;

	src = heap_try(t->heap, right->addr + from, bytes);
	if (src == NULL)
		return HEAP_MISS;
	rc = heap_alloc(t->tx, bytes, 0, &off);
	if (rc != 0)
		return rc;
	memcpy(heap_ptr(t->heap, off), src, bytes);
	right->addr = off;
	right->ext_off -= from;
	return 0;
}

/* --- what is left of a version ---------------------------------------------------------------- */

/* Part of the records of a version: the ones it shows and the ones its checksums cover. Without
 * checksums these are the same. */
struct part {
	uint64_t start, end;
	struct vos_sums sums;
};

static int
part_whole(struct vos_tx *t, const struct vos_ver_df *ver, uint64_t start, uint64_t len,
	   struct part *ret_part)
{
	ret_part->start = start;
	ret_part->end = start + len;
	return vos_sums_get(t->heap, t->cont, ver, start, len, &ret_part->sums);
}

/* Only [lo, hi), with the checksums of the chunks that these touch. */
static struct part
part_of(struct vos_tx *t, const struct vos_ver_df *ver, const struct part *whole, uint64_t lo,
	uint64_t hi)
{
	uint64_t recs = csum_chunk_recs(t->cont->csum_chunk, ver->rec_size);
	uint64_t first = whole->start - whole->sums.pre, last = whole->end + whole->sums.post;
	struct part part = {.start = lo, .end = hi};
	uint64_t grid;

	if (whole->sums.sum == NULL)
		return part;
	grid = lo / recs * recs;
	part.sums.pre = lo - (grid > first ? grid : first);
	grid = csum_chunk_end(hi - 1, recs);
	part.sums.post = (grid < last ? grid : last) - hi;
	part.sums.nr =
	    csum_chunk_nr(lo - part.sums.pre, hi + part.sums.post - lo + part.sums.pre, recs);
	part.sums.sum =
	    whole->sums.sum + ((lo - part.sums.pre) / recs - first / recs) * t->cont->csum.len;
	return part;
}

/* Byte offsets, within the storage, of the first needed record and behind the last. */
static uint64_t
part_begin(const struct vos_ver_df *ver, const struct part *whole, const struct part *part)
{
	return ver->ext_off + (part->start - whole->start) * ver->rec_size -
	       part->sums.pre * ver->rec_size;
}

static uint64_t
part_end(const struct vos_ver_df *ver, const struct part *whole, const struct part *part)
{
	return ver->ext_off + (part->end - whole->start + part->sums.post) * ver->rec_size;
}

int
vos_ver_cut(struct vos_tx *t, const struct vos_ver_df *ver, uint64_t start, uint64_t len,
	    uint64_t a, uint64_t b, struct vos_ver_df *left, struct vos_ver_df *right)
{
	uint64_t left_end, right_begin, end, left_blks, skip_blks;
	struct part whole, lp, rp;
	int rc;

	*left = *ver;
	*right = *ver;
	if (ver->kind == VOS_VER_PUNCH)
		return 0;
	rc = part_whole(t, ver, start, len, &whole);
	if (rc != 0)
		return rc;
	lp = part_of(t, ver, &whole, start, start + a);
	rp = part_of(t, ver, &whole, start + b, start + len);
	rc = vos_sums_set(t, left, &lp.sums);
	if (rc == 0)
		rc = vos_sums_set(t, right, &rp.sums);
	if (rc == 0)
		rc = vos_sums_free(t, ver);
	if (rc != 0)
		return rc;
	left_end = part_end(ver, &whole, &lp);
	right_begin = part_begin(ver, &whole, &rp);
	end = part_end(ver, &whole, &rp);
	left_blks = blks(left_end);
	skip_blks = right_begin / SPACE_BLOCK;
	right->ext_off = ver->ext_off + b * ver->rec_size;
	if (ver->kind == VOS_VER_NVME && left_blks <= skip_blks) {
		right->addr += skip_blks;
		right->ext_off -= skip_blks * SPACE_BLOCK;
		return blocks_free(t, ver->addr + left_blks, skip_blks - left_blks);
	}
	if (ver->kind == VOS_VER_INLINE && end - right_begin <= VOS_COPY_MAX)
		return inline_copy(t, right, right_begin, end - right_begin);
	if (ver->kind != VOS_VER_COUNTED) {
		rc = ver_to_counted(t, left, end);
		if (rc != 0)
			return rc;
		right->kind = left->kind;
		right->addr = left->addr;
	}
	return ext_get(t, left->addr);
}

/* Replace the checksums of a version by those of a part of it. */
static int
sums_keep(struct vos_tx *t, struct vos_ver_df *ver, const struct part *part)
{
	struct vos_ver_df old = *ver;
	int rc;

	if (part->sums.sum == NULL)
		return 0;
	rc = vos_sums_set(t, ver, &part->sums);
	return rc != 0 ? rc : vos_sums_free(t, &old);
}

int
vos_ver_trim_tail(struct vos_tx *t, struct vos_ver_df *ver, uint64_t start, uint64_t len,
		  uint64_t keep)
{
	struct vos_ver_df old = *ver;
	struct part whole, part;
	uint64_t blk_nr, nr;
	int rc;

	if (ver->kind == VOS_VER_PUNCH)
		return 0;
	rc = part_whole(t, &old, start, len, &whole);
	if (rc != 0)
		return rc;
	part = part_of(t, &old, &whole, start, start + keep);
	rc = sums_keep(t, ver, &part);
	if (rc != 0 || ver->kind != VOS_VER_NVME)
		return rc;
	blk_nr = blks(part_end(&old, &whole, &whole));
	nr = blks(part_end(&old, &whole, &part));
	return blocks_free(t, ver->addr + nr, blk_nr - nr);
}

int
vos_ver_trim_head(struct vos_tx *t, struct vos_ver_df *ver, uint64_t start, uint64_t len,
		  uint64_t cut)
{
	struct vos_ver_df old = *ver;
	struct part whole, part;
	uint64_t skip_blks;
	int rc;

	if (ver->kind == VOS_VER_PUNCH)
		return 0;
	rc = part_whole(t, &old, start, len, &whole);
	if (rc != 0)
		return rc;
	part = part_of(t, &old, &whole, start + cut, start + len);
	rc = sums_keep(t, ver, &part);
	if (rc != 0)
		return rc;
	ver->ext_off += cut * ver->rec_size;
	if (ver->kind != VOS_VER_NVME)
		return 0;
	skip_blks = part_begin(&old, &whole, &part) / SPACE_BLOCK;
	ver->addr += skip_blks;
	ver->ext_off -= skip_blks * SPACE_BLOCK;
	return blocks_free(t, old.addr, skip_blks);
}

/* --- new data --------------------------------------------------------------------------------- */

static int
data_make(struct vos_tx *t, struct vos_piece *piece, struct vos_ver_df *ver)
{
	int rc;

	switch (piece->kind) {
	case VOS_VER_INLINE:
		rc = heap_alloc(t->tx, piece->bytes, 0, &ver->addr);
		if (rc == 0)
			memcpy(heap_ptr(t->heap, ver->addr), piece->buf, piece->bytes);
		return rc;
	case VOS_VER_NVME:
		assert(piece->ext_nr == 1);
		rc = vos_piece_publish(t, piece);
		if (rc != 0)
			return rc;
		ver->addr = piece->ext[0].blk;
		return 0;
	default:
		return 0;
	}
}

static struct vos_sums
piece_sums(const struct vos_tx *t, const struct vos_piece *piece)
{
	return (struct vos_sums){
	    .nr = piece->sum == NULL ? 0 : piece->sum_bytes / t->cont->csum.len,
	    .sum = piece->sum,
	};
}

int
vos_ver_make(struct vos_tx *t, struct vos_piece *piece, struct vos_ver_df *ver)
{
	struct vos_sums sums = piece_sums(t, piece);
	int rc;

	*ver = (struct vos_ver_df){
	    .epoch = t->ord.epoch,
	    .op = t->ord.op,
	    .kind = piece->kind,
	    .rec_size = piece->rec_size,
	};
	rc = data_make(t, piece, ver);
	return rc != 0 ? rc : vos_sums_set(t, ver, &sums);
}

int
vos_ver_rewrite(struct vos_tx *t, struct vos_piece *piece, struct vos_ver_df *ver)
{
	struct vos_sums sums = piece_sums(t, piece);
	int rc;

	ver->epoch = t->ord.epoch;
	ver->op = t->ord.op;
	rc = heap_tx_write(t->tx, ver->addr + ver->ext_off, piece->buf, piece->bytes);
	if (rc == 0)
		rc = vos_sums_free(t, ver);
	return rc != 0 ? rc : vos_sums_set(t, ver, &sums);
}
