/*
 * Listings: objects of a container, dkeys of an object, akeys of a dkey, extents or the value of an
 * akey, as seen at an epoch.
 *
 * Work goes in turns of VOS_LIST_TURN records without a yield; the anchor moves with every record
 * that was consumed or found invisible, so a turn can stop and a missing page can interrupt
 * anywhere.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_anchor.h"
#include "store/vos/vos_order.h"

typedef int (*list_fn)(const struct vos_entry *entry, void *arg);

struct lister {
	struct vos_cont *cont;
	const struct vos_list *list;
	struct vos_anchor *anchor;
	list_fn fn;
	void *arg;
	struct vos_key dkey_name, akey_name;
	struct vos_keybuf long_key; /* the last one consumed, if it is long */
	struct vos_ord hidden;      /* by the ancestors of what is listed */
	uint32_t budget;            /* records left in this turn */
	bool stopped;               /* by fn */
	int stop_rc;
};

static void
at_end(struct lister *l)
{
	l->anchor->state = VOS_ANCHOR_END;
	l->anchor->len = 0;
}

/* Show an entry. False: stop, without consuming it. */
static bool
show(struct lister *l, const struct vos_entry *entry)
{
	int rc = l->fn(entry, l->arg);

	if (rc == 0)
		return true;
	l->stopped = true;
	l->stop_rc = rc < 0 ? rc : 0;
	return false;
}

/* --- objects
 * -------------------------------------------------------------------------------------- */

static int
show_obj(struct lister *l, const struct btree_key *key, uint64_t off, bool *ret_go)
{
	struct heap *heap = l->cont->pool->heap;
	struct vos_krec k;
	struct vos_entry entry = {0};
	int rc, seen;

	if (key->len != VOS_OID_KEY)
		return -DER_CSUM;
	vos_oid_decode(key->buf, &entry.oid);
	rc = vos_readable(l->cont, l->list->epoch, off, false, 0);
	if (rc != 0)
		return rc;
	seen = vos_obj_visible(heap, off, vos_dkey_kind(entry.oid.id), vos_akey_kind(entry.oid.id),
			       l->list->epoch);
	if (seen < 0)
		return seen;
	if (seen) {
		rc = vos_krec_get(heap, off, VOS_KEY_OBJ, &k);
		if (rc != 0)
			return rc;
		entry.epoch = k.upd_epoch;
		*ret_go = show(l, &entry);
	}
	if (*ret_go) {
		memcpy(l->anchor->bytes, key->buf, VOS_OID_KEY);
		l->anchor->len = VOS_OID_KEY;
		l->anchor->state = VOS_ANCHOR_INSIDE;
	}
	return 0;
}

static int
list_objs(struct lister *l)
{
	struct vos_pool *pool = l->cont->pool;
	struct btree bt =
	    btree_at(pool->heap, l->cont->df_off + offsetof(struct vos_cont_df, objs));
	struct btree_key key = btree_key_buf(l->anchor->bytes, VOS_OID_KEY);
	struct btree_cursor cur;
	uint64_t val;
	bool go = true;
	int rc;

	btree_cursor_init(&cur, bt);
	rc = btree_seek(&cur, l->anchor->state == VOS_ANCHOR_START ? BTREE_FIRST : BTREE_GT, &key);
	while (rc == 0 && l->budget-- > 0) {
		rc = btree_cursor_get(&cur, &key, &val);
		if (rc == 0)
			rc = show_obj(l, &key, *(uint64_t *)heap_ptr(pool->heap, val), &go);
		if (rc != 0 || !go)
			break;
		rc = btree_next(&cur);
	}
	btree_cursor_fini(&cur);
	if (rc == -DER_NONEXIST) {
		at_end(l);
		rc = 0;
	}
	return rc;
}

/* --- keys
 * ------------------------------------------------------------------------------------------- */

static int
show_key(struct lister *l, struct vos_iter *it, bool *ret_go)
{
	struct heap *heap = l->cont->pool->heap;
	enum btree_kind akind = vos_akey_kind(l->list->oid.id);
	struct vos_entry entry = {.oid = l->list->oid};
	struct vos_krec k;
	struct vos_key key;
	uint64_t off;
	int rc, seen;

	rc = vos_iter_get(it, &key, NULL, &off);
	if (rc != 0)
		return rc;
	seen = l->list->kind == VOS_LIST_DKEY
		   ? vos_dkey_visible(heap, off, akind, l->list->epoch, l->hidden)
		   : vos_akey_visible(heap, off, l->list->epoch, l->hidden);
	if (seen < 0)
		return seen;
	if (seen) {
		rc = vos_krec_get(heap, off, it->child_kind, &k);
		if (rc != 0)
			return rc;
		entry.key = key.buf;
		entry.key_len = key.len;
		entry.epoch = k.upd_epoch;
		*ret_go = show(l, &entry);
	}
	return *ret_go ? vos_anchor_set(l->anchor, it, &l->long_key) : 0;
}

static int
list_keys(struct lister *l, uint64_t parent, enum vos_key_kind parent_kind, enum btree_kind kind)
{
	struct vos_iter it;
	bool go = true;
	int rc;

	rc = vos_iter_init(&it, l->cont->pool->heap, parent, parent_kind, kind);
	if (rc == 0)
		rc = vos_anchor_seek(l->cont->pool, l->anchor, &it);
	while (rc == 0 && l->budget-- > 0) {
		rc = show_key(l, &it, &go);
		if (rc != 0 || !go)
			break;
		rc = vos_iter_next(&it);
	}
	if (rc == 0)
		rc = vos_anchor_settle(l->cont->pool, l->anchor, &it, &l->long_key);
	vos_iter_fini(&it);
	if (rc == -DER_NONEXIST) {
		at_end(l);
		rc = 0;
	}
	return rc;
}

/* --- extents
 * ------------------------------------------------------------------------------------------ */

/* Show the part [lo, hi) of a segment; *ret_go false: stop. */
static int
show_extent(struct lister *l, const struct vos_seg *seg, uint64_t lo, uint64_t hi, bool *ret_go)
{
	struct vos_entry entry = {.oid = l->list->oid};
	struct vos_ver_df ver;
	bool found;
	int rc;

	rc = vos_ver_find(l->cont->pool->heap, &seg->df, l->list->epoch, l->hidden, &ver, &found);
	if (rc != 0)
		return rc;
	if (found) {
		entry.recx = (daos_recx_t){.rx_idx = lo, .rx_nr = hi - lo};
		entry.rec_size = ver.rec_size;
		entry.epoch = ver.epoch;
		*ret_go = show(l, &entry);
	}
	if (*ret_go)
		vos_anchor_set_u64(l->anchor, l->list->descending ? lo : hi);
	return 0;
}

static int
list_extents_up(struct lister *l, const struct vos_krec *akey)
{
	uint64_t pos = l->anchor->state == VOS_ANCHOR_START ? 0 : vos_anchor_u64(l->anchor);
	struct vos_seg_iter it;
	struct vos_seg seg;
	bool go = true;
	int rc;

	rc = vos_seg_iter_init(&it, l->cont->pool->heap, akey);
	if (rc == 0)
		rc = vos_seg_iter_seek(&it, BTREE_LE, pos);
	if (rc == -DER_NONEXIST)
		rc = vos_seg_iter_seek(&it, BTREE_GT, pos);
	while (rc == 0 && l->budget-- > 0) {
		rc = vos_seg_iter_get(&it, &seg);
		if (rc == 0 && seg.start + seg.df.len > pos)
			rc = show_extent(l, &seg, seg.start > pos ? seg.start : pos,
					 seg.start + seg.df.len, &go);
		if (rc != 0 || !go)
			break;
		rc = vos_seg_iter_next(&it);
	}
	vos_seg_iter_fini(&it);
	return rc;
}

static int
list_extents_down(struct lister *l, const struct vos_krec *akey)
{
	bool start = l->anchor->state == VOS_ANCHOR_START;
	uint64_t pos = start ? UINT64_MAX : vos_anchor_u64(l->anchor);
	struct vos_seg_iter it;
	struct vos_seg seg;
	bool go = true;
	int rc;

	rc = vos_seg_iter_init(&it, l->cont->pool->heap, akey);
	if (rc == 0)
		rc = vos_seg_iter_seek(&it, start ? BTREE_LAST : BTREE_LT, pos);
	while (rc == 0 && l->budget-- > 0) {
		uint64_t end;

		rc = vos_seg_iter_get(&it, &seg);
		if (rc != 0)
			break;
		end = seg.start + seg.df.len;
		rc = show_extent(l, &seg, seg.start, end < pos ? end : pos, &go);
		if (rc != 0 || !go)
			break;
		rc = vos_seg_iter_prev(&it);
	}
	vos_seg_iter_fini(&it);
	return rc;
}

static int
list_single(struct lister *l, const struct vos_krec *akey)
{
	struct vos_entry entry = {.oid = l->list->oid};
	struct vos_sv sv;
	int rc;

	if (akey->tag != VOS_CHILD_SV)
		return -DER_NONEXIST;
	rc = vos_sv_find(l->cont->pool->heap, akey, l->list->epoch, l->hidden, &sv);
	if (rc != 0)
		return rc;
	if (sv.off == 0)
		return -DER_NONEXIST;
	entry.rec_size = sv.size;
	entry.epoch = sv.epoch;
	return show(l, &entry) ? -DER_NONEXIST : 0;
}

static int
list_values(struct lister *l, uint64_t dkey)
{
	struct heap *heap = l->cont->pool->heap;
	struct vos_krec k;
	uint64_t akey;
	uint32_t tag;
	int rc;

	rc = vos_child_find(heap, dkey, VOS_KEY_DKEY, vos_akey_kind(l->list->oid.id), &l->akey_name,
			    &akey);
	if (rc == 0 && akey == 0)
		rc = -DER_NONEXIST;
	if (rc == 0) {
		rc = vos_krec_get(heap, akey, VOS_KEY_AKEY, &k);
		if (rc == 0)
			rc = vos_hidden(heap, &k, l->list->epoch, l->hidden, &l->hidden);
	}
	if (rc == 0) {
		tag = k.tag;
		if (l->list->kind == VOS_LIST_SINGLE)
			rc = list_single(l, &k);
		else if (tag != VOS_CHILD_ONE && tag != VOS_CHILD_TREE)
			rc = -DER_NONEXIST;
		else
			rc =
			    l->list->descending ? list_extents_down(l, &k) : list_extents_up(l, &k);
	}
	if (rc == -DER_NONEXIST) {
		at_end(l);
		rc = 0;
	}
	return rc;
}

/* --- turns
 * ---------------------------------------------------------------------------------------------- */

/* What lies above the records to be listed: find it, and what its punches hide. */
static int
list_below_obj(struct lister *l)
{
	struct heap *heap = l->cont->pool->heap;
	bool with_dkey = l->list->kind != VOS_LIST_DKEY;
	struct vos_krec k;
	uint64_t obj, dkey = 0;
	int rc;

	if (with_dkey)
		rc = vos_path_find(l->cont, &l->list->oid, &l->dkey_name, &obj, &dkey);
	else
		rc = vos_obj_find(l->cont, &l->list->oid, &obj);
	if (rc == 0)
		rc = vos_readable(l->cont, l->list->epoch, obj, with_dkey, dkey);
	if (rc != 0)
		return rc;
	if (obj == 0 || (with_dkey && dkey == 0)) {
		at_end(l);
		return 0;
	}
	l->hidden = (struct vos_ord){0};
	rc = vos_krec_get(heap, obj, VOS_KEY_OBJ, &k);
	if (rc == 0)
		rc = vos_hidden(heap, &k, l->list->epoch, l->hidden, &l->hidden);
	if (rc != 0)
		return rc;
	if (!with_dkey)
		return list_keys(l, obj, VOS_KEY_OBJ, vos_dkey_kind(l->list->oid.id));
	rc = vos_krec_get(heap, dkey, VOS_KEY_DKEY, &k);
	if (rc == 0)
		rc = vos_hidden(heap, &k, l->list->epoch, l->hidden, &l->hidden);
	if (rc != 0)
		return rc;
	if (l->list->kind == VOS_LIST_AKEY)
		return list_keys(l, dkey, VOS_KEY_DKEY, vos_akey_kind(l->list->oid.id));
	return list_values(l, dkey);
}

static int
list_order(struct lister *l)
{
	const struct vos_list *list = l->list;
	struct vos_scope scope = {
	    .oid = list->kind >= VOS_LIST_DKEY ? &list->oid : NULL,
	    .dkey = list->kind >= VOS_LIST_AKEY ? &l->dkey_name : NULL,
	    .akey = list->kind >= VOS_LIST_RECX ? &l->akey_name : NULL,
	};

	vos_order_begin(list->order);
	return vos_order_read(l->cont, &scope, list->epoch, list->order);
}

static int
list_turn(struct lister *l)
{
	int rc;

	l->budget = VOS_LIST_TURN;
	rc = vos_cont_check(l->cont);
	if (rc == 0 && vos_order_needed(l->cont, l->list->order))
		rc = list_order(l);
	if (rc != 0)
		return rc;
	return l->list->kind == VOS_LIST_OBJ ? list_objs(l) : list_below_obj(l);
}

static int
list_check(struct lister *l)
{
	const struct vos_list *list = l->list;
	int rc;

	if (list->epoch == 0)
		return -DER_INVAL;
	rc = vos_anchor_check(l->anchor, list);
	if (rc == 0 && list->kind >= VOS_LIST_AKEY)
		rc = vos_key_check(vos_dkey_kind(list->oid.id), list->dkey, &l->dkey_name);
	if (rc == 0 && list->kind >= VOS_LIST_RECX)
		rc = vos_key_check(vos_akey_kind(list->oid.id), list->akey, &l->akey_name);
	return rc;
}

int co_fn
vos_list(struct vos_cont *cont, const struct vos_list *list, struct vos_anchor *anchor, list_fn fn,
	 void *arg)
{
	struct lister l = {.cont = cont, .list = list, .anchor = anchor, .fn = fn, .arg = arg};
	struct heap *heap = cont->pool->heap;
	int rc, rc2;

	static_assert(VOS_LIST_OBJ < VOS_LIST_DKEY && VOS_LIST_DKEY < VOS_LIST_AKEY &&
			  VOS_LIST_AKEY < VOS_LIST_RECX && VOS_LIST_RECX < VOS_LIST_SINGLE,
		      "from the top down");
	rc = list_check(&l);
	cont->refs++;
	while (rc == 0 && !l.stopped && anchor->state != VOS_ANCHOR_END) {
		do
			rc = list_turn(&l);
		while (heap_retry(heap, &rc));
		if (rc == 0 && !l.stopped && anchor->state != VOS_ANCHOR_END)
			co_yield();
	}
	/* what was shown must not be taken back */
	rc2 = heap_wait_durable(heap, heap_last_lsn(heap));
	free(l.long_key.buf);
	vos_cont_close(cont);
	return rc != 0 ? rc : rc2 != 0 ? rc2 : l.stop_rc;
}
