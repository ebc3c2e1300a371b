/*
 * What changed between two epochs: objects, dkeys and akeys with their punches, values and extents
 * with their versions. For those who bring another copy up to date: what is reported here, done
 * there as late updates and punches in any order, gives the same state.
 *
 * Level by level, like listings (vos_list.c), and with the same anchors. A key whose newest change
 * is at or below the lower bound is passed over without a look beneath. Versions of a value are
 * reported newest first; a position among them is the extent it is in and the order of the last one
 * consumed, so whatever is split, merged or added meanwhile, nothing that was there all the time is
 * left out (but it may be reported twice).
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_anchor.h"
#include "store/vos/vos_order.h"

typedef int (*change_fn)(const struct vos_change *change, void *arg);

enum { VALUE_ANCHOR = 28, PUNCH_INL = 16 };

struct changer {
	struct vos_cont *cont;
	const struct vos_changes *q;
	struct vos_anchor *anchor;
	change_fn fn;
	void *arg;
	struct vos_key dkey_name, akey_name;
	struct vos_keybuf long_key;
	struct vos_punches punches; /* above the values */
	uint32_t budget;
	bool stopped;
	int stop_rc;
};

static void
at_end(struct changer *c)
{
	c->anchor->state = VOS_ANCHOR_END;
	c->anchor->len = 0;
}

/* False: stop, without consuming it. */
static bool
show(struct changer *c, const struct vos_change *change)
{
	int rc = c->fn(change, c->arg);

	if (rc == 0)
		return true;
	c->stopped = true;
	c->stop_rc = rc < 0 ? rc : 0;
	return false;
}

static bool
within(const struct changer *c, uint64_t epoch)
{
	return epoch > c->q->lo && epoch <= c->q->hi;
}

/* --- keys ----------------------------------------------------------------------------------------
 */

/* Show a key that changed since the lower bound, with its punches. */
static int
show_changed(struct changer *c, const struct vos_krec *k, struct vos_change *change, bool *ret_go)
{
	struct vos_epoch_op inl[PUNCH_INL], *punch = inl;
	const struct vos_punches_df *list;
	CLEANUP(freep)
	void *more = NULL;
	uint32_t i;
	int rc;

	if (k->chg_epoch <= c->q->lo)
		return 0;
	rc = vos_punches_get(c->cont->pool->heap, k, &list);
	if (rc != 0)
		return rc;
	if (list != NULL && list->nr > PUNCH_INL) {
		more = punch = mem_calloc(list->nr, sizeof(*punch));
		if (punch == NULL)
			return -DER_NOMEM;
	}
	for (i = 0; list != NULL && i < list->nr; i++)
		if (within(c, list->ord[i].epoch))
			punch[change->punch_nr++] = (struct vos_epoch_op){
			    .epoch = list->ord[i].epoch, .op = list->ord[i].op};
	change->punch = punch;
	change->chg_epoch = k->chg_epoch;
	*ret_go = show(c, change);
	return 0;
}

static int
change_objs(struct changer *c)
{
	struct heap *heap = c->cont->pool->heap;
	struct btree bt = btree_at(heap, c->cont->df_off + offsetof(struct vos_cont_df, objs));
	struct btree_key key = btree_key_buf(c->anchor->bytes, VOS_OID_KEY);
	struct btree_cursor cur;
	uint64_t val;
	bool go = true;
	int rc;

	btree_cursor_init(&cur, bt);
	rc = btree_seek(&cur, c->anchor->state == VOS_ANCHOR_START ? BTREE_FIRST : BTREE_GT, &key);
	while (rc == 0 && c->budget-- > 0) {
		struct vos_change change = {0};
		struct vos_krec k;

		rc = btree_cursor_get(&cur, &key, &val);
		if (rc == 0 && key.len != VOS_OID_KEY)
			rc = -DER_CSUM;
		if (rc == 0)
			rc = vos_krec_get(heap, *(uint64_t *)heap_ptr(heap, val), VOS_KEY_OBJ, &k);
		if (rc == 0)
			rc = vos_readable(c->cont, c->q->hi, k.off, false, 0);
		if (rc != 0)
			break;
		vos_oid_decode(key.buf, &change.oid);
		rc = show_changed(c, &k, &change, &go);
		if (rc != 0 || !go)
			break;
		memcpy(c->anchor->bytes, key.buf, VOS_OID_KEY);
		c->anchor->len = VOS_OID_KEY;
		c->anchor->state = VOS_ANCHOR_INSIDE;
		rc = btree_next(&cur);
	}
	btree_cursor_fini(&cur);
	return rc;
}

static int
change_key(struct changer *c, struct vos_iter *it, bool *ret_go)
{
	struct vos_change change = {.oid = c->q->oid};
	struct vos_krec k;
	struct vos_key key;
	uint64_t off;
	int rc;

	rc = vos_iter_get(it, &key, NULL, &off);
	if (rc == 0)
		rc = vos_krec_get(c->cont->pool->heap, off, it->child_kind, &k);
	if (rc != 0)
		return rc;
	change.key = key.buf;
	change.key_len = key.len;
	if (it->child_kind == VOS_KEY_AKEY && k.tag != 0) {
		change.single = k.tag == VOS_CHILD_SV;
		change.array = !change.single;
	}
	rc = show_changed(c, &k, &change, ret_go);
	if (rc != 0 || !*ret_go)
		return rc;
	return vos_anchor_set(c->anchor, it, &c->long_key);
}

static int
change_keys(struct changer *c, uint64_t parent, enum vos_key_kind parent_kind, enum btree_kind kind)
{
	struct vos_iter it;
	bool go = true;
	int rc;

	rc = vos_iter_init(&it, c->cont->pool->heap, parent, parent_kind, kind);
	if (rc == 0)
		rc = vos_anchor_seek(c->cont->pool, c->anchor, &it);
	while (rc == 0 && c->budget-- > 0) {
		rc = change_key(c, &it, &go);
		if (rc != 0 || !go)
			break;
		rc = vos_iter_next(&it);
	}
	if (rc == 0)
		rc = vos_anchor_settle(c->cont->pool, c->anchor, &it, &c->long_key);
	vos_iter_fini(&it);
	return rc;
}

/* --- values
 * ------------------------------------------------------------------------------------------ */

/* Where a walk over versions is: inside [lo, hi), versions at or after ord are done; {0, 0}: none
 * of them. */
struct place {
	uint64_t lo, hi;
	struct vos_ord ord;
};

static struct place
place_get(const struct vos_anchor *anchor)
{
	struct place p = {0};

	if (anchor->state != VOS_ANCHOR_INSIDE)
		return p;
	memcpy(&p.lo, anchor->bytes, 8);
	memcpy(&p.hi, anchor->bytes + 8, 8);
	memcpy(&p.ord.epoch, anchor->bytes + 16, 8);
	memcpy(&p.ord.op, anchor->bytes + 24, 4);
	return p;
}

static void
place_set(struct vos_anchor *anchor, struct place p)
{
	anchor->state = VOS_ANCHOR_INSIDE;
	anchor->len = VALUE_ANCHOR;
	memcpy(anchor->bytes, &p.lo, 8);
	memcpy(anchor->bytes + 8, &p.hi, 8);
	memcpy(anchor->bytes + 16, &p.ord.epoch, 8);
	memcpy(anchor->bytes + 24, &p.ord.op, 4);
}

/* Is this one to be shown? Not what a punch of the same epoch hides: nobody can see it. */
static bool
wanted(const struct changer *c, struct vos_ord ord, struct vos_ord done)
{
	if (!within(c, ord.epoch) || (done.epoch != 0 && vos_ord_cmp(ord, done) >= 0))
		return false;
	return vos_ord_cmp(vos_punch_at(&c->punches, ord.epoch), ord) <= 0;
}

static int
change_single(struct changer *c, const struct vos_krec *k)
{
	struct place at = place_get(c->anchor);
	struct heap *heap = c->cont->pool->heap;
	uint64_t off = k->child;
	struct vos_sv sv;
	int rc = 0;

	while (rc == 0 && off != 0) {
		struct vos_change change = {.oid = c->q->oid, .single = true};

		rc = vos_sv_get(heap, k, off, &sv);
		if (rc != 0 || sv.epoch <= c->q->lo)
			break;
		change.at = (struct vos_epoch_op){.epoch = sv.epoch, .op = sv.op};
		change.rec_size = sv.size;
		change.punched = sv.kind == VOS_VER_PUNCH;
		if (wanted(c, vos_sv_ord(&sv), at.ord)) {
			if (!show(c, &change))
				return 0;
			at.ord = vos_sv_ord(&sv);
			place_set(c->anchor, at);
		}
		rc = vos_hist_first(heap, sv.older, &off);
	}
	return rc != 0 ? rc : -DER_NONEXIST;
}

/* Versions of the part [at->lo, at->hi) of a segment. *ret_go false: stop. */
static int
change_segment(struct changer *c, const struct vos_seg *seg, struct place *at, bool *ret_go)
{
	struct heap *heap = c->cont->pool->heap;
	struct vos_ver_df ver = seg->df.ver;
	uint64_t off;
	int rc;

	for (;;) {
		struct vos_change change = {
		    .oid = c->q->oid,
		    .array = true,
		    .recx = {.rx_idx = at->lo, .rx_nr = at->hi - at->lo},
		    .rec_size = ver.rec_size,
		    .at = {.epoch = ver.epoch, .op = ver.op},
		    .punched = ver.kind == VOS_VER_PUNCH,
		};

		if (ver.epoch <= c->q->lo)
			return 0;
		if (wanted(c, vos_ver_ord(&ver), at->ord)) {
			*ret_go = show(c, &change);
			if (!*ret_go)
				return 0;
			at->ord = vos_ver_ord(&ver);
			place_set(c->anchor, *at);
		}
		rc = vos_hist_first(heap, ver.older, &off);
		if (rc != 0 || off == 0)
			return rc;
		if (heap_try(heap, off, sizeof(ver)) == NULL)
			return HEAP_MISS;
		memcpy(&ver, heap_ptr(heap, off), sizeof(ver));
	}
}

static int
change_extents(struct changer *c, const struct vos_krec *k)
{
	struct place at = place_get(c->anchor);
	struct vos_seg_iter it;
	struct vos_seg seg;
	bool go = true;
	int rc;

	rc = vos_seg_iter_init(&it, c->cont->pool->heap, k);
	if (rc == 0)
		rc = vos_seg_iter_seek(&it, BTREE_LE, at.lo);
	if (rc == -DER_NONEXIST)
		rc = vos_seg_iter_seek(&it, BTREE_GT, at.lo);
	while (rc == 0 && c->budget-- > 0) {
		uint64_t end;

		rc = vos_seg_iter_get(&it, &seg);
		if (rc != 0)
			break;
		end = seg.start + seg.df.len;
		/* what was begun ends at at.hi, whatever the segments look like by now */
		while (rc == 0 && go && at.lo < end) {
			if (at.hi <= at.lo || at.hi <= seg.start)
				at = (struct place){.lo = seg.start > at.lo ? seg.start : at.lo,
						    .hi = end};
			else if (seg.start > at.lo)
				at.lo = seg.start;
			{
				struct place part = at;

				part.hi = at.hi < end ? at.hi : end;
				rc = change_segment(c, &seg, &part, &go);
				if (rc != 0 || !go)
					break;
				/* the rest of what was begun has the same versions done */
				at.lo = part.hi;
				if (at.lo >= at.hi)
					at = (struct place){.lo = at.lo};
				place_set(c->anchor, at);
			}
		}
		if (rc != 0 || !go)
			break;
		rc = vos_seg_iter_next(&it);
	}
	vos_seg_iter_fini(&it);
	return rc;
}

static int
change_values(struct changer *c, uint64_t obj, uint64_t dkey)
{
	struct heap *heap = c->cont->pool->heap;
	struct vos_krec k;
	uint64_t akey;
	int rc;

	rc = vos_krec_get(heap, obj, VOS_KEY_OBJ, &k);
	if (rc == 0)
		rc = vos_punches_get(heap, &k, &c->punches.level[0]);
	if (rc == 0)
		rc = vos_krec_get(heap, dkey, VOS_KEY_DKEY, &k);
	if (rc == 0)
		rc = vos_punches_get(heap, &k, &c->punches.level[1]);
	if (rc == 0)
		rc = vos_child_find(heap, dkey, VOS_KEY_DKEY, vos_akey_kind(c->q->oid.id),
				    &c->akey_name, &akey);
	if (rc != 0 || akey == 0)
		return rc != 0 ? rc : -DER_NONEXIST;
	rc = vos_krec_get(heap, akey, VOS_KEY_AKEY, &k);
	if (rc == 0)
		rc = vos_punches_get(heap, &k, &c->punches.level[2]);
	if (rc != 0)
		return rc;
	if (k.tag == 0 || k.chg_epoch <= c->q->lo ||
	    (k.tag == VOS_CHILD_SV) != (c->q->kind == VOS_LIST_SINGLE))
		return -DER_NONEXIST;
	return c->q->kind == VOS_LIST_SINGLE ? change_single(c, &k) : change_extents(c, &k);
}

/* --- turns
 * --------------------------------------------------------------------------------------------- */

static int
change_below_obj(struct changer *c)
{
	bool with_dkey = c->q->kind != VOS_LIST_DKEY;
	uint64_t obj, dkey = 0;
	int rc;

	if (with_dkey)
		rc = vos_path_find(c->cont, &c->q->oid, &c->dkey_name, &obj, &dkey);
	else
		rc = vos_obj_find(c->cont, &c->q->oid, &obj);
	if (rc == 0)
		rc = vos_readable(c->cont, c->q->hi, obj, with_dkey, dkey);
	if (rc != 0)
		return rc;
	if (obj == 0 || (with_dkey && dkey == 0))
		return -DER_NONEXIST;
	if (!with_dkey)
		return change_keys(c, obj, VOS_KEY_OBJ, vos_dkey_kind(c->q->oid.id));
	if (c->q->kind == VOS_LIST_AKEY)
		return change_keys(c, dkey, VOS_KEY_DKEY, vos_akey_kind(c->q->oid.id));
	return change_values(c, obj, dkey);
}

static int
change_order(const struct changer *c)
{
	const struct vos_changes *q = c->q;
	struct vos_scope scope = {
	    .oid = q->kind >= VOS_LIST_DKEY ? &q->oid : NULL,
	    .dkey = q->kind >= VOS_LIST_AKEY ? &c->dkey_name : NULL,
	    .akey = q->kind >= VOS_LIST_RECX ? &c->akey_name : NULL,
	};

	vos_order_begin(q->order);
	return vos_order_read(c->cont, &scope, q->hi, q->order);
}

static int
change_turn(struct changer *c)
{
	const struct vos_cont_df *df = c->cont->df;
	int rc;

	c->budget = VOS_LIST_TURN;
	rc = vos_cont_check(c->cont);
	if (rc == 0 && vos_order_needed(c->cont, c->q->order))
		rc = change_order(c);
	/* tombstones were dropped up to there */
	if (rc == 0 && c->q->lo != 0 && c->q->lo < df->agg_epoch)
		rc = -DER_TX_RESTART;
	if (rc != 0)
		return rc;
	rc = c->q->kind == VOS_LIST_OBJ ? change_objs(c) : change_below_obj(c);
	if (rc == -DER_NONEXIST) {
		at_end(c);
		rc = 0;
	}
	return rc;
}

static int
changes_check(struct changer *c)
{
	const struct vos_changes *q = c->q;
	struct vos_list list = {.kind = q->kind, .oid = q->oid};
	int rc = 0;

	if (q->hi <= q->lo)
		return -DER_INVAL;
	if (q->kind < VOS_LIST_RECX)
		rc = vos_anchor_check(c->anchor, &list);
	else if (c->anchor->state > VOS_ANCHOR_END ||
		 (c->anchor->state == VOS_ANCHOR_INSIDE && c->anchor->len != VALUE_ANCHOR))
		rc = -DER_INVAL;
	if (rc == 0 && q->kind >= VOS_LIST_AKEY)
		rc = vos_key_check(vos_dkey_kind(q->oid.id), q->dkey, &c->dkey_name);
	if (rc == 0 && q->kind >= VOS_LIST_RECX)
		rc = vos_key_check(vos_akey_kind(q->oid.id), q->akey, &c->akey_name);
	return rc;
}

int co_fn
vos_changes(struct vos_cont *cont, const struct vos_changes *q, struct vos_anchor *anchor,
	    change_fn fn, void *arg)
{
	struct changer c = {.cont = cont, .q = q, .anchor = anchor, .fn = fn, .arg = arg};
	struct heap *heap = cont->pool->heap;
	int rc, rc2;

	rc = changes_check(&c);
	cont->refs++;
	while (rc == 0 && !c.stopped && anchor->state != VOS_ANCHOR_END) {
		do
			rc = change_turn(&c);
		while (heap_retry(heap, &rc));
		if (rc == 0 && !c.stopped && anchor->state != VOS_ANCHOR_END)
			co_yield();
	}
	rc2 = heap_wait_durable(heap, heap_last_lsn(heap));
	free(c.long_key.buf);
	vos_cont_close(cont);
	return rc != 0 ? rc : rc2 != 0 ? rc2 : c.stop_rc;
}
