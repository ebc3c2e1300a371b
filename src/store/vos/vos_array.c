/*
 * Arrays: a map of segments that do not overlap, each with a stack of versions, newest first.
 *
 * A write covers some segments and some gaps. Where what was there before is needed by nobody, the
 * old piece is cut out and the new version becomes one plain segment; elsewhere segments are split
 * at the borders of the write and the new version is put into their stacks, wherever its epoch
 * belongs. A new version that ends up in several segments is split with them.
 *
 * What becomes of the storage of versions that are cut: vos_ver.c.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_internal.h"

#include "base/log.h"

int
vos_ver_find(struct heap *heap, const struct vos_seg_df *seg, uint64_t epoch, struct vos_ord hidden,
	     struct vos_ver_df *ret_ver, bool *ret_found)
{
	const struct vos_ver_df *ver = &seg->ver;

	*ret_found = false;
	if (ver->epoch > epoch) {
		struct vos_hist h = {.heap = heap, .older = ver->older};
		uint64_t off = 0;
		int rc;

		rc = vos_hist_near(&h, (struct vos_ord){epoch, UINT32_MAX}, NULL, &off);
		if (rc != 0 || off == 0)
			return rc;
		ver = heap_ptr(heap, off);
	}
	if (ver->kind == VOS_VER_PUNCH || vos_ord_cmp(vos_ver_ord(ver), hidden) < 0)
		return 0;
	*ret_ver = *ver;
	*ret_found = true;
	return 0;
}

/* --- the map ------------------------------------------------------------------------------------
 */

static const struct btree_conf seg_tree_conf = {
    .kind = BTREE_UINT,
    .val_bytes = sizeof(struct vos_seg_df),
};

static bool
seek_match(enum btree_seek how, uint64_t start, uint64_t pos)
{
	switch (how) {
	case BTREE_FIRST:
	case BTREE_LAST:
		return true;
	case BTREE_EQ:
		return start == pos;
	case BTREE_GE:
		return start >= pos;
	case BTREE_GT:
		return start > pos;
	case BTREE_LE:
		return start <= pos;
	case BTREE_LT:
		return start < pos;
	}
	return false;
}

static int
seg_check(const struct vos_seg *seg)
{
	if (seg->df.len != 0 && seg->start + seg->df.len > seg->start)
		return 0;
	log_err("heap offset %#llx: segment of no valid length", (unsigned long long)seg->off);
	return -DER_CSUM;
}

/* An exact match needs no cursor. */
static int
tree_find_eq(struct heap *heap, uint64_t root, uint64_t pos, struct vos_seg *ret_seg)
{
	struct btree_key key = btree_key_num(pos);
	int rc;

	rc = btree_lookup(btree_at(heap, root), &key, &ret_seg->off);
	if (rc != 0)
		return rc;
	ret_seg->start = pos;
	memcpy(&ret_seg->df, heap_ptr(heap, ret_seg->off), sizeof(ret_seg->df));
	return seg_check(ret_seg);
}

int
vos_seg_find(struct heap *heap, const struct vos_krec *akey, enum btree_seek how, uint64_t pos,
	     struct vos_seg *ret_seg)
{
	struct vos_seg_iter it;
	int rc;

	if (how == BTREE_EQ && akey->tag == VOS_CHILD_TREE)
		return tree_find_eq(heap, akey->child, pos, ret_seg);
	rc = vos_seg_iter_init(&it, heap, akey);
	if (rc == 0)
		rc = vos_seg_iter_seek(&it, how, pos);
	if (rc == 0)
		rc = vos_seg_iter_get(&it, ret_seg);
	vos_seg_iter_fini(&it);
	return rc;
}

int
vos_seg_iter_init(struct vos_seg_iter *it, struct heap *heap, const struct vos_krec *akey)
{
	uint64_t off = akey->child;
	uint32_t tag = akey->tag;

	it->heap = heap;
	it->none = akey->child == 0;
	it->one = tag == VOS_CHILD_ONE ? off : 0;
	it->folded = akey->fold_top != 0;
	it->on = false;
	btree_cursor_init(&it->cur, btree_at(heap, tag == VOS_CHILD_TREE ? off : 0));
	if (it->none || tag == VOS_CHILD_ONE || tag == VOS_CHILD_TREE)
		return 0;
	return -DER_INVAL; /* holds a single value */
}

void
vos_seg_iter_fini(struct vos_seg_iter *it)
{
	btree_cursor_fini(&it->cur);
}

/* The only segment. */
static int
one_get(const struct vos_seg_iter *it, struct vos_seg *ret_seg)
{
	const struct vos_seg1_df *one;

	if (it->folded)
		return vos_fold_seg(it->heap, it->one, ret_seg);
	one = heap_try_df(it->heap, it->one, sizeof(*one));
	if (one == NULL)
		return HEAP_MISS;
	ret_seg->start = one->start;
	ret_seg->off = it->one + offsetof(struct vos_seg1_df, seg);
	ret_seg->df = one->seg;
	return 0;
}

int
vos_seg_iter_seek(struct vos_seg_iter *it, enum btree_seek how, uint64_t pos)
{
	struct btree_key key = btree_key_num(pos);
	struct vos_seg seg;
	int rc;

	if (it->none)
		return -DER_NONEXIST;
	if (it->one == 0)
		return btree_seek(&it->cur, how, &key);
	rc = one_get(it, &seg);
	if (rc != 0)
		return rc;
	it->on = seek_match(how, seg.start, pos);
	return it->on ? 0 : -DER_NONEXIST;
}

int
vos_seg_iter_next(struct vos_seg_iter *it)
{
	return it->none || it->one != 0 ? -DER_NONEXIST : btree_next(&it->cur);
}

int
vos_seg_iter_prev(struct vos_seg_iter *it)
{
	return it->none || it->one != 0 ? -DER_NONEXIST : btree_prev(&it->cur);
}

int
vos_seg_iter_get(struct vos_seg_iter *it, struct vos_seg *ret_seg)
{
	struct btree_key key;
	uint64_t val;
	int rc;

	if (it->one != 0) {
		assert(it->on);
		rc = one_get(it, ret_seg);
		if (rc != 0)
			return rc;
	} else {
		rc = btree_cursor_get(&it->cur, &key, &val);
		if (rc != 0)
			return rc;
		ret_seg->start = key.num;
		ret_seg->off = val;
		memcpy(&ret_seg->df, heap_ptr(it->heap, val), sizeof(ret_seg->df));
	}
	return seg_check(ret_seg);
}

/* The only segment gets company. */
static int
one_to_tree(struct vos_tx *t, const struct vos_krec *k, uint64_t *ret_root)
{
	uint64_t off = k->child;
	const struct vos_seg1_df *one;
	struct btree_key key;
	int rc;

	one = heap_try_df(t->heap, off, sizeof(*one));
	if (one == NULL)
		return HEAP_MISS;
	rc = heap_alloc(t->tx, BTREE_ROOT_BYTES, 0, ret_root);
	if (rc == 0)
		rc = btree_create(t->tx, *ret_root, &seg_tree_conf);
	if (rc != 0)
		return rc;
	key = btree_key_num(one->start);
	rc = btree_insert(t->tx, btree_at(t->heap, *ret_root), &key, &one->seg, NULL);
	if (rc == 0)
		rc = heap_free(t->tx, off);
	return rc != 0 ? rc
		       : vos_krec_set_child(t, k->off, VOS_KEY_AKEY, *ret_root, VOS_CHILD_TREE);
}

static int
one_make(struct vos_tx *t, uint64_t akey, const struct vos_seg *seg)
{
	struct vos_seg1_df *one;
	uint64_t off;
	int rc;

	rc = heap_alloc(t->tx, sizeof(*one), 0, &off);
	if (rc != 0)
		return rc;
	one = heap_ptr(t->heap, off);
	one->start = seg->start;
	one->seg = seg->df;
	return vos_krec_set_child(t, akey, VOS_KEY_AKEY, off, VOS_CHILD_ONE);
}

int
vos_seg_put(struct vos_tx *t, uint64_t akey, const struct vos_seg *seg)
{
	struct btree_key key = btree_key_num(seg->start);
	const struct vos_seg1_df *one;
	struct vos_krec k;
	uint64_t off;
	int rc;

	rc = vos_krec_get(t->heap, akey, VOS_KEY_AKEY, &k);
	if (rc != 0)
		return rc;
	off = k.child;
	switch (k.tag) {
	case 0:
		return one_make(t, akey, seg);
	case VOS_CHILD_ONE:
		one = heap_try_df(t->heap, off, sizeof(*one));
		if (one == NULL)
			return HEAP_MISS;
		if (one->start == seg->start)
			return heap_tx_write(t->tx, off + offsetof(struct vos_seg1_df, seg),
					     &seg->df, sizeof(seg->df));
		rc = one_to_tree(t, &k, &off);
		if (rc != 0)
			return rc;
		break;
	case VOS_CHILD_TREE:
		break;
	default:
		return -DER_INVAL;
	}
	return btree_upsert(t->tx, btree_at(t->heap, off), &key, &seg->df, NULL);
}

int
vos_seg_del(struct vos_tx *t, uint64_t akey, uint64_t start)
{
	struct btree_key key = btree_key_num(start);
	struct vos_krec k;
	uint64_t off;
	bool empty;
	int rc;

	rc = vos_krec_get(t->heap, akey, VOS_KEY_AKEY, &k);
	if (rc != 0)
		return rc;
	off = k.child;
	if (k.tag == VOS_CHILD_ONE) {
		rc = heap_free(t->tx, off);
		return rc != 0 ? rc : vos_krec_set_child(t, akey, VOS_KEY_AKEY, 0, 0);
	}
	rc = btree_delete(t->tx, btree_at(t->heap, off), &key, NULL);
	if (rc == 0)
		rc = btree_is_empty(btree_at(t->heap, off), &empty);
	if (rc != 0 || !empty)
		return rc;
	rc = btree_destroy(t->tx, btree_at(t->heap, off));
	if (rc == 0)
		rc = heap_free(t->tx, off);
	return rc != 0 ? rc : vos_krec_set_child(t, akey, VOS_KEY_AKEY, 0, 0);
}

int
vos_seg_fold(struct vos_tx *t, uint64_t akey)
{
	struct btree_cursor cur;
	struct vos_seg seg = {0};
	struct btree_key key;
	struct vos_krec k;
	struct btree bt;
	int rc;

	rc = vos_krec_get(t->heap, akey, VOS_KEY_AKEY, &k);
	if (rc != 0 || k.tag != VOS_CHILD_TREE)
		return rc;
	bt = btree_at(t->heap, k.child);
	btree_cursor_init(&cur, bt);
	rc = btree_seek(&cur, BTREE_FIRST, NULL);
	if (rc == 0) {
		rc = btree_next(&cur);
		if (rc == 0)
			rc = 1; /* more than one */
		else if (rc == -DER_NONEXIST)
			rc = vos_seg_find(t->heap, &k, BTREE_FIRST, 0, &seg);
	}
	btree_cursor_fini(&cur);
	if (rc != 0)
		return rc == 1 ? 0 : rc;
	key = btree_key_num(seg.start);
	rc = btree_delete(t->tx, bt, &key, NULL);
	if (rc == 0)
		rc = btree_destroy(t->tx, bt);
	if (rc == 0)
		rc = heap_free(t->tx, k.child);
	return rc != 0 ? rc : one_make(t, akey, &seg);
}

/* --- stacks
 * --------------------------------------------------------------------------------------- */

static int
older_alloc(struct vos_tx *t, const struct vos_ver_df *ver, uint64_t *ret_off)
{
	int rc;

	rc = heap_alloc(t->tx, sizeof(*ver), 0, ret_off);
	if (rc == 0)
		memcpy(heap_ptr(t->heap, *ret_off), ver, sizeof(*ver));
	return rc;
}

/* Split a segment, with every version in its stack, at a record inside it. *seg becomes the left
 * one. */
static int
seg_split(struct vos_tx *t, uint64_t akey, struct vos_seg *seg, uint64_t at,
	  struct vos_seg *ret_right)
{
	uint64_t len = seg->df.len, n = at - seg->start, left_off = 0;
	struct vos_ver_df ver = seg->df.ver, left, right;
	struct vos_hist h = {.heap = t->heap};
	uint64_t *link = NULL, off;
	int rc;

	*ret_right = (struct vos_seg){.start = at, .df.len = len - n};
	for (;;) {
		rc = vos_ver_cut(t, &ver, seg->start, len, n, n, &left, &right);
		if (rc != 0)
			return rc;
		right.older = 0;
		if (left_off == 0) {
			seg->df.ver = left;
			ret_right->df.ver = right;
			link = &ret_right->df.ver.older;
		} else {
			rc = heap_tx_write(t->tx, left_off, &left, sizeof(left));
			if (rc == 0)
				rc = older_alloc(t, &right, &off);
			if (rc != 0)
				return rc;
			*link = off;
			link = &((struct vos_ver_df *)heap_ptr(t->heap, off))->older;
		}
		rc = vos_hist_first(t->heap, ver.older, &left_off);
		if (rc != 0)
			return rc;
		if (left_off == 0)
			break;
		if (heap_try(t->heap, left_off, sizeof(ver)) == NULL)
			return HEAP_MISS;
		memcpy(&ver, heap_ptr(t->heap, left_off), sizeof(ver));
	}
	h.older = ret_right->df.ver.older;
	rc = vos_hist_index(t, &h);
	if (rc != 0)
		return rc;
	ret_right->df.ver.older = h.older;
	seg->df.len = n;
	rc = vos_seg_put(t, akey, seg);
	return rc != 0 ? rc : vos_seg_put(t, akey, ret_right);
}

/* Put a new version, which covers the whole segment, into its stack; drop it or the one below when
 * nobody needs it. The caller stores *seg. */
static int
stack_push(struct vos_tx *t, struct vos_seg *seg, const struct vos_punches *p,
	   struct vos_ver_df *ver)
{
	struct vos_hist h = {.heap = t->heap, .older = seg->df.ver.older};
	struct vos_ver_df x = seg->df.ver, *above = &seg->df.ver;
	uint64_t newer_off = 0, off = 0; /* off 0: x is the one in the segment */
	bool hidden, top, keep = true;
	struct vos_ord newer, after;
	int c = 1, rc;

	/* x: the next older one, if c <= 0 */
	top = vos_ord_cmp(vos_ver_ord(&x), t->ord) <= 0;
	if (!top) {
		rc = vos_hist_near(&h, t->ord, &newer_off, &off);
		if (rc != 0)
			return rc;
		if (newer_off != 0) {
			above = heap_try_df(t->heap, newer_off, sizeof(*above));
			if (above == NULL)
				return HEAP_MISS;
		}
		if (off != 0)
			memcpy(&x, heap_ptr(t->heap, off), sizeof(x));
	}
	if (top || off != 0)
		c = vos_ord_cmp(vos_ver_ord(&x), t->ord);
	/* what hides the new version from some epoch on */
	hidden = vos_punch_after(p, t->ord, &newer);
	if (!top && (!hidden || vos_ord_cmp(vos_ver_ord(above), newer) < 0)) {
		newer = vos_ver_ord(above);
		hidden = true;
	}
	if (hidden && !vos_needed(t, t->ord.epoch, newer.epoch)) {
		vos_dropped(t, t->ord.epoch, newer.epoch);
		return vos_ver_free(t, ver, seg->df.len);
	}
	/* is the next older one still needed? */
	if (c < 0) {
		newer = t->ord;
		if (vos_punch_after(p, vos_ver_ord(&x), &after) && vos_ord_cmp(after, newer) < 0)
			newer = after;
		keep = vos_needed(t, x.epoch, newer.epoch);
		if (!keep)
			vos_dropped(t, x.epoch, newer.epoch);
	}
	if (c > 0 || (c < 0 && keep)) {
		uint64_t next = off;

		if (top) { /* the old top moves behind the segment */
			rc = vos_hist_first(t->heap, h.older, &next);
			if (rc == 0)
				rc = older_alloc(t, &x, &off);
		} else {
			rc = older_alloc(t, ver, &off);
		}
		if (rc == 0)
			rc = vos_hist_insert(t, &h, newer_off, next, off);
	} else {
		/* take the place of x */
		rc = vos_ver_free(t, &x, seg->df.len);
		if (rc == 0 && !top)
			rc = vos_hist_remove(t, &h, newer_off, off);
		if (rc == 0 && !top)
			rc = heap_tx_write(t->tx, off, ver, sizeof(*ver));
		if (rc == 0 && !top)
			rc = vos_hist_insert(t, &h, newer_off, x.older, off);
	}
	if (top)
		seg->df.ver = *ver;
	seg->df.ver.older = h.older;
	return rc;
}

/* Is there nothing in this segment that must stay once the new version is on top? */
static bool
seg_replaceable(const struct vos_tx *t, const struct vos_seg *seg)
{
	int c = vos_ord_cmp(vos_ver_ord(&seg->df.ver), t->ord);

	return seg->df.ver.older == 0 &&
	       (c == 0 || (c < 0 && !vos_needed(t, seg->df.ver.epoch, t->ord.epoch)));
}

/* Give up [lo, hi) of a segment with a single version. */
static int
seg_cut(struct vos_tx *t, uint64_t akey, struct vos_seg *seg, uint64_t lo, uint64_t hi)
{
	uint64_t start = seg->start, len = seg->df.len, end = start + len;
	struct vos_seg right = {.start = hi, .df.len = end - hi};
	struct vos_ver_df ver = seg->df.ver;
	int rc;

	if (lo == start && hi == end) {
		rc = vos_ver_free(t, &ver, len);
		return rc != 0 ? rc : vos_seg_del(t, akey, start);
	}
	if (lo == start) {
		right.df.ver = ver;
		rc = vos_ver_trim_head(t, &right.df.ver, start, len, hi - start);
		if (rc == 0)
			rc = vos_seg_del(t, akey, start);
		return rc != 0 ? rc : vos_seg_put(t, akey, &right);
	}
	seg->df.len = lo - start;
	if (hi == end) {
		rc = vos_ver_trim_tail(t, &seg->df.ver, start, len, lo - start);
		return rc != 0 ? rc : vos_seg_put(t, akey, seg);
	}
	rc = vos_ver_cut(t, &ver, start, len, lo - start, hi - start, &seg->df.ver, &right.df.ver);
	if (rc == 0)
		rc = vos_seg_put(t, akey, seg);
	return rc != 0 ? rc : vos_seg_put(t, akey, &right);
}

/* --- write
 * ----------------------------------------------------------------------------------------- */

/* The part of the new version that has not been placed yet. */
struct rest {
	uint64_t start, end;
	struct vos_ver_df ver;
};

/* Take the records up to `to` off its front. */
static int
rest_take(struct vos_tx *t, struct rest *rest, uint64_t to, struct vos_ver_df *ret_ver)
{
	uint64_t start = rest->start, len = rest->end - start, n = to - start;
	struct vos_ver_df ver = rest->ver;

	rest->start = to;
	if (n == len) {
		*ret_ver = ver;
		return 0;
	}
	return vos_ver_cut(t, &ver, start, len, n, n, ret_ver, &rest->ver);
}

/* The new version becomes a segment of its own, up to `to`. */
static int
rest_place(struct vos_tx *t, uint64_t akey, struct rest *rest, uint64_t to)
{
	struct vos_seg seg = {.start = rest->start, .df.len = to - rest->start};
	int rc;

	if (seg.df.len == 0)
		return 0;
	rc = rest_take(t, rest, to, &seg.df.ver);
	return rc != 0 ? rc : vos_seg_put(t, akey, &seg);
}

/* The first segment that has a record at or after pos. */
static int
seg_at_or_after(struct vos_tx *t, uint64_t akey, uint64_t pos, struct vos_seg *ret_seg)
{
	struct vos_krec k;
	int rc;

	rc = vos_krec_get(t->heap, akey, VOS_KEY_AKEY, &k);
	if (rc != 0)
		return rc;
	rc = vos_seg_find(t->heap, &k, BTREE_LE, pos, ret_seg);
	if (rc == 0 && pos < ret_seg->start + ret_seg->df.len)
		return 0;
	if (rc != 0 && rc != -DER_NONEXIST)
		return rc;
	return vos_seg_find(t->heap, &k, BTREE_GT, pos, ret_seg);
}

/* Put the new version into [lo, hi) of a segment whose history matters. */
static int
push_part(struct vos_tx *t, uint64_t akey, const struct vos_punches *p, struct vos_seg *seg,
	  uint64_t lo, uint64_t hi, struct rest *rest)
{
	struct vos_seg right;
	struct vos_ver_df ver;
	int rc;

	if (seg->start < lo) {
		rc = seg_split(t, akey, seg, lo, &right);
		if (rc != 0)
			return rc;
		*seg = right;
	}
	if (seg->start + seg->df.len > hi) {
		rc = seg_split(t, akey, seg, hi, &right);
		if (rc != 0)
			return rc;
	}
	rc = rest_take(t, rest, hi, &ver);
	if (rc == 0)
		rc = stack_push(t, seg, p, &ver);
	return rc != 0 ? rc : vos_seg_put(t, akey, seg);
}

/* An exact overwrite: the segment's record changes in place. *ret_done says whether it was one. */
static int
overwrite(struct vos_tx *t, uint64_t akey, struct vos_piece *piece, bool *ret_done)
{
	struct vos_krec k;
	struct vos_seg seg;
	struct vos_ver_df *old = &seg.df.ver, ver;
	int rc;

	*ret_done = false;
	rc = vos_krec_get(t->heap, akey, VOS_KEY_AKEY, &k);
	if (rc != 0)
		return rc;
	rc = vos_seg_find(t->heap, &k, BTREE_EQ, piece->idx, &seg);
	if (rc != 0)
		return rc == -DER_NONEXIST ? 0 : rc;
	if (seg.df.len != piece->nr || !seg_replaceable(t, &seg))
		return 0;
	*ret_done = true;
	vos_dropped(t, old->epoch, t->ord.epoch);
	if (piece->kind == VOS_VER_INLINE && old->kind == VOS_VER_INLINE &&
	    old->rec_size == piece->rec_size) {
		rc = vos_ver_rewrite(t, piece, old);
	} else {
		rc = vos_ver_make(t, piece, &ver);
		if (rc == 0)
			rc = vos_ver_free(t, old, seg.df.len);
		*old = ver;
	}
	return rc != 0 ? rc : heap_tx_write(t->tx, seg.off, &seg.df, sizeof(seg.df));
}

int
vos_arr_write(struct vos_tx *t, uint64_t akey, const struct vos_punches *p, struct vos_piece *piece)
{
	struct rest rest = {.start = piece->idx, .end = piece->idx + piece->nr};
	uint64_t pos = rest.start, lo, hi;
	struct vos_seg seg;
	struct vos_ord after;
	bool done;
	int rc;

	if (vos_punch_after(p, t->ord, &after) && !vos_needed(t, t->ord.epoch, after.epoch)) {
		vos_dropped(t, t->ord.epoch, after.epoch);
		return 0;
	}
	rc = overwrite(t, akey, piece, &done);
	if (rc != 0 || done)
		return rc;
	rc = vos_ver_make(t, piece, &rest.ver);
	while (rc == 0 && pos < rest.end) {
		rc = seg_at_or_after(t, akey, pos, &seg);
		if (rc == -DER_NONEXIST || (rc == 0 && seg.start >= rest.end)) {
			rc = 0;
			break;
		}
		if (rc != 0)
			break;
		lo = seg.start > pos ? seg.start : pos;
		hi = seg.start + seg.df.len < rest.end ? seg.start + seg.df.len : rest.end;
		if (seg_replaceable(t, &seg)) {
			vos_dropped(t, seg.df.ver.epoch, t->ord.epoch);
			rc = seg_cut(t, akey, &seg, lo, hi);
		} else {
			rc = rest_place(t, akey, &rest, lo);
			if (rc == 0)
				rc = push_part(t, akey, p, &seg, lo, hi, &rest);
		}
		pos = hi;
	}
	return rc != 0 ? rc : rest_place(t, akey, &rest, rest.end);
}
