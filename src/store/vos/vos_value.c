/*
 * Single values: a chain of versions, newest first.
 *
 * A new version takes its place by (epoch, operation number); whichever of it and its older
 * neighbour no read needs any more goes in the same transaction. The common case, a newer version
 * of a value whose history nobody needs, rewrites the newest record in place. Long chains have an
 * index (vos_hist.c).
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
	struct vos_sv_df *sv = heap_try_df(heap, off, sizeof(*sv));

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

/* Put the new version in place of the newest one, whose older versions stay. */
static int
sv_replace_top(struct vos_tx *t, uint64_t akey, uint64_t off, struct vos_piece *piece)
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
			rc = vos_sv_link(t, akey, 0, new_off);
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

/* A new newest version; the one that was goes behind it. */
static int
sv_push(struct vos_tx *t, const struct vos_krec *k, const struct vos_sv *top,
	struct vos_piece *piece)
{
	struct vos_hist h = {.heap = t->heap, .akey = k, .older = top->older};
	uint64_t next = 0, off;
	int rc = 0;

	if (top->off != 0) {
		rc = vos_hist_first(t->heap, top->older, &next);
		if (rc == 0)
			rc = vos_hist_insert(t, &h, 0, next, top->off);
	}
	if (rc == 0)
		rc = sv_alloc(t, piece, h.older, &off);
	return rc != 0 ? rc : vos_sv_link(t, k->off, 0, off);
}

/* Among the older ones: *h is the newest one's history, which may become another. */
static int
sv_place(struct vos_tx *t, struct vos_hist *h, uint64_t above, const struct vos_sv *x, bool replace,
	 struct vos_piece *piece)
{
	uint64_t off;
	int rc = 0;

	if (replace)
		rc = vos_hist_remove(t, h, above, x->off);
	if (rc == 0 && replace)
		rc = vos_sv_free(t, x->off);
	if (rc == 0)
		rc = sv_alloc(t, piece, replace ? x->older : x->off, &off);
	return rc != 0 ? rc : vos_hist_insert(t, h, above, replace ? x->older : x->off, off);
}

int
vos_sv_write(struct vos_tx *t, uint64_t akey, const struct vos_punches *p, struct vos_piece *piece)
{
	struct vos_hist h = {.heap = t->heap};
	struct vos_ord newer, after;
	struct vos_sv top = {0}, x, above_sv;
	struct vos_krec k;
	bool hidden, keep = true;
	uint64_t off, above = 0;
	int c = 1, rc;

	rc = vos_krec_get(t->heap, akey, VOS_KEY_AKEY, &k);
	if (rc != 0)
		return rc;
	if (k.child != 0 && k.tag != VOS_CHILD_SV)
		return -DER_INVAL; /* holds an array */
	if (k.child != 0)
		rc = vos_sv_get(t->heap, &k, k.child, &top);
	if (rc != 0)
		return rc;
	h.akey = &k;
	h.older = top.older;
	/* x: the next older version, off: where it is (0 = none) */
	x = top;
	off = top.off;
	if (off != 0 && vos_ord_cmp(vos_sv_ord(&top), t->ord) > 0) {
		rc = vos_hist_near(&h, t->ord, &above, &off);
		if (rc == 0 && off != 0)
			rc = vos_sv_get(t->heap, &k, off, &x);
		above_sv = top;
		if (rc == 0 && above != 0)
			rc = vos_sv_get(t->heap, &k, above, &above_sv);
		if (rc != 0)
			return rc;
	}
	if (off != 0)
		c = vos_ord_cmp(vos_sv_ord(&x), t->ord);
	/* what hides the new version from some epoch on: a newer version, or a punch */
	hidden = vos_punch_after(p, t->ord, &newer);
	if (off != top.off && (!hidden || vos_ord_cmp(vos_sv_ord(&above_sv), newer) < 0)) {
		newer = vos_sv_ord(&above_sv);
		hidden = true;
	}
	if (hidden && !vos_needed(t, t->ord.epoch, newer.epoch)) {
		vos_dropped(t, t->ord.epoch, newer.epoch);
		return 0;
	}
	/* the version right below: is it still needed now? */
	if (c < 0) {
		newer = t->ord;
		if (vos_punch_after(p, vos_sv_ord(&x), &after) && vos_ord_cmp(after, newer) < 0)
			newer = after;
		keep = vos_needed(t, x.epoch, newer.epoch);
		if (!keep)
			vos_dropped(t, x.epoch, newer.epoch);
	}
	if (off == top.off) {
		if (off != 0 && (c == 0 || !keep))
			return sv_replace_top(t, akey, off, piece);
		return sv_push(t, &k, &top, piece);
	}
	x.off = off;
	rc = sv_place(t, &h, above, &x, c == 0 || !keep, piece);
	return rc != 0 || h.older == top.older ? rc : vos_sv_link(t, akey, top.off, h.older);
}

int
vos_sv_find(struct heap *heap, const struct vos_krec *akey, uint64_t epoch, struct vos_ord hidden,
	    struct vos_sv *ret_sv)
{
	uint64_t off = akey->child;
	int rc;

	ret_sv->off = 0;
	if (off == 0)
		return 0;
	rc = vos_sv_get(heap, akey, off, ret_sv);
	if (rc == 0 && ret_sv->epoch > epoch) {
		struct vos_hist h = {.heap = heap, .akey = akey, .older = ret_sv->older};

		ret_sv->off = 0;
		rc = vos_hist_near(&h, (struct vos_ord){epoch, UINT32_MAX}, NULL, &off);
		if (rc != 0 || off == 0)
			return rc;
		rc = vos_sv_get(heap, akey, off, ret_sv);
	}
	if (rc != 0)
		return rc;
	if (ret_sv->kind == VOS_VER_PUNCH || vos_ord_cmp(vos_sv_ord(ret_sv), hidden) < 0)
		ret_sv->off = 0;
	return 0;
}
