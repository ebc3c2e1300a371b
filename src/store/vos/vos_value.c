/*
 * Single values: a chain of versions, newest first.
 *
 * A new version takes its place by (epoch, operation number); whichever of it and its older
 * neighbour no read needs any more goes in the same transaction. The common case, a newer version
 * of a value whose history nobody needs, rewrites the newest record in place.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_internal.h"

#include "base/log.h"

static uint32_t
payload_bytes(const struct vos_sv_df *sv)
{
	switch (sv->kind) {
	case VOS_VER_INLINE:
		return sv->cap;
	case VOS_VER_NVME:
		return sizeof(struct vos_run_df);
	case VOS_VER_LIST:
		return sv->cap * sizeof(struct vos_run_df);
	default:
		return 0;
	}
}

/* The version at off with its payload and checksum. */
static int
sv_at(struct heap *heap, uint64_t off, struct vos_sv_df **ret_sv)
{
	struct vos_sv_df *sv = heap_try(heap, off, sizeof(*sv));

	if (sv == NULL)
		return HEAP_MISS;
	if (sv->kind < VOS_VER_PUNCH || sv->kind > VOS_VER_LIST || sv->cap > HEAP_ALLOC_MAX ||
	    sv->csum_len > CSUM_LEN_MAX) {
		log_err("heap offset %#llx: not a value (kind %u)", (unsigned long long)off,
			sv->kind);
		return -DER_CSUM;
	}
	if (heap_try(heap, off, sizeof(*sv) + payload_bytes(sv) + sv->csum_len) == NULL)
		return HEAP_MISS;
	*ret_sv = sv;
	return 0;
}

int
vos_sv_get(struct heap *heap, const struct vos_krec *akey, uint64_t off, struct vos_sv *ret_sv)
{
	struct vos_sv_df *sv;
	int rc;

	if (akey->fold_top != 0)
		return vos_fold_sv(heap, off, ret_sv);
	rc = sv_at(heap, off, &sv);
	if (rc != 0)
		return rc;
	*ret_sv = (struct vos_sv){
	    .off = off,
	    .older = sv->older,
	    .epoch = sv->epoch,
	    .size = sv->size,
	    .op = sv->op,
	    .kind = sv->kind,
	    .cap = sv->cap,
	    .data = sv->data,
	    .sum_len = sv->csum_len,
	    .sum = sv->csum_len == 0 ? NULL : sv->data + payload_bytes(sv),
	};
	return 0;
}

const struct vos_run_df *
vos_sv_runs(const struct vos_sv *sv, uint32_t *ret_nr)
{
	*ret_nr = sv->kind == VOS_VER_NVME ? 1 : sv->kind == VOS_VER_LIST ? sv->cap : 0;
	return (const struct vos_run_df *)sv->data;
}

static int
runs_free(struct vos_tx *t, const struct vos_sv_df *sv)
{
	const struct vos_run_df *run = (const struct vos_run_df *)sv->data;
	uint32_t i, nr = sv->kind == VOS_VER_NVME ? 1 : sv->kind == VOS_VER_LIST ? sv->cap : 0;
	int rc;

	for (i = 0; i < nr; i++) {
		struct space_ext ext = {.blk = run[i].blk, .blk_nr = run[i].blk_nr};

		rc = vos_blocks_free(t, &ext);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int
vos_blocks_free(struct vos_tx *t, const struct space_ext *ext)
{
	int rc = space_free(t->tx, t->pool->space, ext);

	/* An abort only loses the cached copies. */
	if (rc == 0)
		data_forget(t->pool->data, ext->blk, ext->blk_nr);
	return rc;
}

int
vos_sv_free(struct vos_tx *t, uint64_t off)
{
	struct vos_sv_df *sv;
	int rc;

	rc = sv_at(t->heap, off, &sv);
	if (rc == 0)
		rc = runs_free(t, sv);
	return rc != 0 ? rc : heap_free(t->tx, off);
}

int
vos_piece_publish(struct vos_tx *t, struct vos_piece *piece)
{
	uint32_t i;
	int rc;

	for (i = 0; i < piece->ext_nr && !piece->allocated; i++) {
		rc = space_publish(t->tx, t->pool->space, &piece->ext[i]);
		if (rc != 0)
			return rc;
	}
	piece->published = true;
	return 0;
}

static int
runs_publish(struct vos_tx *t, struct vos_piece *piece, struct vos_run_df *run)
{
	uint32_t i;

	for (i = 0; i < piece->ext_nr; i++)
		run[i] =
		    (struct vos_run_df){.blk = piece->ext[i].blk, .blk_nr = piece->ext[i].blk_nr};
	return vos_piece_publish(t, piece);
}

/* Fill a version (its bytes are declared) from new data. */
static int
sv_fill(struct vos_tx *t, struct vos_sv_df *sv, struct vos_piece *piece)
{
	sv->epoch = t->ord.epoch;
	sv->op = t->ord.op;
	sv->kind = piece->kind;
	sv->size = piece->kind == VOS_VER_PUNCH ? 0 : piece->bytes;
	sv->csum_len = piece->sum_bytes;
	if (piece->sum_bytes != 0)
		memcpy(sv->data + payload_bytes(sv), piece->sum, piece->sum_bytes);
	switch (piece->kind) {
	case VOS_VER_INLINE:
		memcpy(sv->data, piece->buf, piece->bytes);
		return 0;
	case VOS_VER_NVME:
	case VOS_VER_LIST:
		return runs_publish(t, piece, (struct vos_run_df *)sv->data);
	default:
		return 0;
	}
}

static int
sv_alloc(struct vos_tx *t, struct vos_piece *piece, uint64_t older, uint64_t *ret_off)
{
	uint32_t bytes = piece->kind == VOS_VER_INLINE ? piece->bytes
						       : piece->ext_nr * sizeof(struct vos_run_df);
	struct vos_sv_df *sv;
	int rc;

	rc = heap_alloc(t->tx, sizeof(*sv) + bytes + piece->sum_bytes, 0, ret_off);
	if (rc != 0)
		return rc;
	sv = heap_ptr(t->heap, *ret_off);
	sv->cap = piece->kind == VOS_VER_INLINE ? piece->bytes : piece->ext_nr;
	sv->older = older;
	return sv_fill(t, sv, piece);
}

/* Can the new version take over the record of the old one? */
static bool
fits_in_place(const struct vos_sv_df *sv, const struct vos_piece *piece)
{
	if (sv->kind != piece->kind || sv->csum_len != piece->sum_bytes)
		return false;
	if (piece->kind == VOS_VER_INLINE)
		return piece->bytes <= sv->cap && piece->bytes >= sv->cap / 2;
	return piece->kind == VOS_VER_NVME || piece->kind == VOS_VER_PUNCH;
}

int
vos_sv_link(struct vos_tx *t, uint64_t akey, uint64_t newer, uint64_t off)
{
	if (newer == 0)
		return vos_krec_set_child(t, akey, VOS_KEY_AKEY, off, off == 0 ? 0 : VOS_CHILD_SV);
	return heap_tx_write(t->tx, newer + offsetof(struct vos_sv_df, older), &off, sizeof(off));
}

/* Put the new version in place of the one at off, whose older versions stay. */
static int
sv_replace(struct vos_tx *t, uint64_t akey, uint64_t above, uint64_t off, struct vos_piece *piece)
{
	struct vos_sv_df *sv;
	uint64_t new_off;
	int rc;

	rc = sv_at(t->heap, off, &sv);
	if (rc != 0)
		return rc;
	if (!fits_in_place(sv, piece)) {
		rc = sv_alloc(t, piece, sv->older, &new_off);
		if (rc == 0)
			rc = vos_sv_link(t, akey, above, new_off);
		if (rc == 0)
			rc = vos_sv_free(t, off);
		return rc;
	}
	rc = runs_free(t, sv);
	if (rc == 0)
		rc = heap_tx_add(t->tx, off,
				 sizeof(*sv) + (piece->kind == VOS_VER_INLINE
						    ? (uint32_t)piece->bytes
						    : payload_bytes(sv)));
	if (rc == 0 && sv->csum_len != 0)
		rc = heap_tx_add(t->tx, heap_off(t->heap, sv->data + payload_bytes(sv)),
				 sv->csum_len);
	return rc != 0 ? rc : sv_fill(t, sv, piece);
}

int
vos_sv_write(struct vos_tx *t, uint64_t akey, const struct vos_punches *p, struct vos_piece *piece)
{
	struct vos_ord newer, after;
	struct vos_sv sv;
	struct vos_krec k;
	bool hidden;
	uint64_t off, new_off, above = 0;
	int c = -1, rc;

	rc = vos_krec_get(t->heap, akey, VOS_KEY_AKEY, &k);
	if (rc != 0)
		return rc;
	if (k.child != 0 && k.tag != VOS_CHILD_SV)
		return -DER_INVAL; /* holds an array */

	/* what hides the new version from some epoch on: a newer version, or a punch */
	hidden = vos_punch_after(p, t->ord, &newer);
	for (off = k.child; off != 0; off = sv.older) {
		rc = vos_sv_get(t->heap, &k, off, &sv);
		if (rc != 0)
			return rc;
		c = vos_ord_cmp(vos_sv_ord(&sv), t->ord);
		if (c <= 0)
			break;
		if (!hidden || vos_ord_cmp(vos_sv_ord(&sv), newer) < 0)
			newer = vos_sv_ord(&sv);
		hidden = true;
		above = off;
	}
	if (hidden && !vos_needed(t, t->ord.epoch, newer.epoch)) {
		vos_dropped(t, t->ord.epoch, newer.epoch);
		return 0;
	}
	if (off == 0) {
		rc = sv_alloc(t, piece, 0, &new_off);
		return rc != 0 ? rc : vos_sv_link(t, akey, above, new_off);
	}
	/* the version right below: is it still needed now? */
	if (c != 0) {
		newer = t->ord;
		if (vos_punch_after(p, vos_sv_ord(&sv), &after) && vos_ord_cmp(after, newer) < 0)
			newer = after;
		if (vos_needed(t, sv.epoch, newer.epoch)) {
			rc = sv_alloc(t, piece, off, &new_off);
			return rc != 0 ? rc : vos_sv_link(t, akey, above, new_off);
		}
		vos_dropped(t, sv.epoch, newer.epoch);
	}
	return sv_replace(t, akey, above, off, piece);
}

int
vos_sv_find(struct heap *heap, const struct vos_krec *akey, uint64_t epoch, struct vos_ord hidden,
	    struct vos_sv *ret_sv)
{
	uint64_t off;
	int rc;

	for (off = akey->child; off != 0; off = ret_sv->older) {
		rc = vos_sv_get(heap, akey, off, ret_sv);
		if (rc != 0)
			return rc;
		if (ret_sv->epoch > epoch)
			continue;
		if (ret_sv->kind == VOS_VER_PUNCH || vos_ord_cmp(vos_sv_ord(ret_sv), hidden) < 0)
			break;
		return 0;
	}
	ret_sv->off = 0;
	return 0;
}
