/*
 * Trimming: drops versions, punches and keys that nobody needs.
 *
 * A version goes when it is hidden, from some epoch on, by a newer version or a punch of an
 * ancestor, and no read that must be answered falls between. Tombstones (punched versions, punches
 * of keys) hide older things from reads and from updates that come late; they go when they are at
 * or below the aggregation epoch, beneath which nothing comes any more, and nothing older is left.
 * A key goes when it has neither children nor punches.
 *
 * The walk is depth-first in key order. Each step is one transaction that looks at a bounded number
 * of records and notes where it stopped by keys, so anything may happen between steps. The position
 * is advanced in a copy, which becomes the position only when the transaction is committed. What
 * was retained beneath a key so far is remembered with the position: updates below the aggregation
 * epoch are refused, so nothing can appear behind the walk that would make a dropped tombstone
 * wrong.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_trim.h"

#include "base/log.h"
#include "store/vos/vos_key.h"

enum {
	/* What a step may cost: a record looked at, a key that is passed over, all together. */
	COST_RECORD = VOS_TRIM_COST,
	COST_SKIP = 1,
	STEP_COST = 64 * COST_RECORD,
	STEP_LOG_BYTES = 256 << 10,
	REC_SIZE_LOOK = 64,       /* segments looked at for the size of records */
	PAUSED = VOS_TRIM_PAUSED, /* result of the walk functions */
};

struct walk {
	struct vos_tx *t;
	struct vos_trim *trim;
	struct vos_trim_pos *pos;
	uint32_t budget;
};

/* --- keys that live across yields
 * ----------------------------------------------------------------- */

int
vos_keybuf_set(struct vos_keybuf *kb, const void *buf, uint32_t len)
{
	if (len > kb->cap) {
		uint8_t *p = mem_realloc(kb->buf, len, 1);

		if (p == NULL)
			return -DER_NOMEM;
		kb->buf = p;
		kb->cap = len;
	}
	if (len != 0)
		memcpy(kb->buf, buf, len);
	kb->len = len;
	return 0;
}

static int
pos_copy(struct vos_trim_pos *dst, const struct vos_trim_pos *src)
{
	int i, rc = 0;

	for (i = 0; rc == 0 && i < VOS_TRIM_LEVELS; i++) {
		const struct vos_trim_level *s = &src->level[i];
		struct vos_trim_level *d = &dst->level[i];

		d->set = s->set;
		d->inside = s->inside;
		d->retained = s->retained;
		rc = vos_keybuf_set(&d->key, s->key.buf, s->key.len);
	}
	dst->seg_set = src->seg_set;
	dst->seg = src->seg;
	dst->merge = src->merge;
	dst->merged = src->merged;
	dst->merge_at = src->merge_at;
	dst->hist_set = src->hist_set;
	dst->hist_done = src->hist_done;
	dst->hist = src->hist;
	dst->hist_seg = src->hist_seg;
	dst->objs_done = src->objs_done;
	memcpy(dst->opid, src->opid, sizeof(dst->opid));
	return rc;
}

static struct vos_key
level_key(const struct vos_trim_level *lv)
{
	return (struct vos_key){.buf = lv->key.buf, .len = lv->key.len};
}

/* Begin work on a key, or go on with it if the walk stopped inside it. */
static int
level_enter(struct walk *w, int level, const struct vos_key *key)
{
	struct vos_trim_level *lv = &w->pos->level[level];

	if (lv->set && lv->inside && lv->key.len == key->len &&
	    memcmp(lv->key.buf, key->buf, key->len) == 0)
		return 0;
	lv->set = true;
	lv->inside = true;
	lv->retained = UINT64_MAX;
	/* nothing of the levels below is meant any more */
	for (int i = level + 1; i < VOS_TRIM_LEVELS; i++)
		w->pos->level[i].set = false;
	w->pos->seg_set = false;
	w->pos->merged = false;
	w->pos->hist_set = w->pos->hist_done = false;
	return vos_keybuf_set(&lv->key, key->buf, key->len);
}

/* The work on a key is done; what was retained counts for its parent too. */
static void
level_leave(struct walk *w, int level)
{
	struct vos_trim_level *lv = &w->pos->level[level];

	lv->inside = false;
	if (level > 0 && lv->retained < w->pos->level[level - 1].retained)
		w->pos->level[level - 1].retained = lv->retained;
	for (int i = level + 1; i < VOS_TRIM_LEVELS; i++)
		w->pos->level[i].set = false;
	w->pos->seg_set = false;
	w->pos->merged = false;
	w->pos->hist_set = w->pos->hist_done = false;
}

/* Pass over a key. */
static int
level_skip(struct walk *w, int level, const struct vos_key *key)
{
	int rc = level_enter(w, level, key);

	if (rc == 0)
		level_leave(w, level);
	return rc;
}

static void
retain(struct walk *w, uint64_t epoch)
{
	struct vos_trim_level *lv = &w->pos->level[VOS_TRIM_AKEY];

	if (epoch < lv->retained)
		lv->retained = epoch;
}

static bool
spend(struct walk *w, uint32_t cost)
{
	if (w->budget < cost) {
		w->budget = 0;
		return false;
	}
	w->budget -= cost;
	return true;
}

/* Has nothing happened to this key, or beneath it, since all of it was looked at? */
static int
is_clean(const struct walk *w, uint64_t off, enum vos_key_kind kind, bool *ret_clean)
{
	struct vos_krec k;
	int rc;

	*ret_clean = false;
	if (w->trim->clean == 0)
		return 0;
	rc = vos_krec_get(w->t->heap, off, kind, &k);
	if (rc == 0)
		*ret_clean = k.chg_epoch <= w->trim->clean;
	return rc;
}

/* --- stacks of versions
 * ------------------------------------------------------------------------------ */

/* A version while its stack is looked at, newest first. */
struct ver_item {
	struct vos_ord ord;
	uint8_t kind;
	bool drop;
	uint64_t off;          /* 0: the one inside the segment */
	struct vos_ver_df ver; /* arrays */
};

struct stack {
	struct ver_item *item;
	uint32_t nr, cap;
	struct ver_item inl[8];
};

static void
stack_init(struct stack *s)
{
	s->item = s->inl;
	s->nr = 0;
	s->cap = sizeof(s->inl) / sizeof(s->inl[0]);
}

static void
stack_fini(struct stack *s)
{
	if (s->item != s->inl)
		free(s->item);
}

static struct ver_item *
stack_add(struct stack *s)
{
	struct ver_item *p;

	if (s->nr == s->cap) {
		p = mem_calloc(s->cap * 2, sizeof(*p));
		if (p == NULL)
			return NULL;
		memcpy(p, s->item, s->nr * sizeof(*p));
		stack_fini(s);
		s->item = p;
		s->cap *= 2;
	}
	p = &s->item[s->nr++];
	memset(p, 0, sizeof(*p));
	return p;
}

/* Decide what goes. Returns how many stay. */
static uint32_t
stack_decide(struct walk *w, struct stack *s, const struct vos_punches *p)
{
	uint32_t i, left = 0;

	for (i = 0; i < s->nr; i++) {
		struct ver_item *it = &s->item[i];

		it->drop =
		    vos_trim_drops(w->t, w->trim, it->ord, i > 0 ? &s->item[i - 1].ord : NULL, p);
		left += !it->drop;
	}
	/* tombstones with nothing older left */
	for (i = s->nr; i > 0 && w->trim->mode == VOS_TRIM_BELOW; i--) {
		struct ver_item *it = &s->item[i - 1];

		if (it->drop)
			continue;
		if (it->kind != VOS_VER_PUNCH || it->ord.epoch > w->trim->below)
			break;
		it->drop = true;
		left--;
	}
	for (i = 0; i < s->nr; i++)
		if (!s->item[i].drop)
			retain(w, s->item[i].ord.epoch);
	return left;
}

/* --- single values
 * -------------------------------------------------------------------------------------- */

static int
sv_stack(struct walk *w, const struct vos_krec *akey, struct stack *s)
{
	struct vos_sv sv;
	struct ver_item *it;
	uint64_t off;
	int rc;

	for (off = akey->child; off != 0; off = sv.older) {
		rc = vos_sv_get(w->t->heap, akey, off, &sv);
		if (rc != 0)
			return rc;
		it = stack_add(s);
		if (it == NULL)
			return -DER_NOMEM;
		it->ord = vos_sv_ord(&sv);
		it->kind = sv.kind;
		it->off = off;
	}
	return 0;
}

/* Free what goes and link the rest. */
static int
sv_relink(struct walk *w, uint64_t akey, const struct stack *s)
{
	uint64_t newer = 0;
	bool cut = false; /* the version before this one goes */
	uint32_t i;
	int rc;

	for (i = 0; i < s->nr; i++) {
		const struct ver_item *it = &s->item[i];

		if (it->drop) {
			rc = vos_sv_free(w->t, it->off);
			if (rc != 0)
				return rc;
			cut = true;
			continue;
		}
		rc = cut ? vos_sv_link(w->t, akey, newer, it->off) : 0;
		if (rc != 0)
			return rc;
		newer = it->off;
		cut = false;
	}
	return cut ? vos_sv_link(w->t, akey, newer, 0) : 0;
}

/* A single value with a long history: that first. If it is still long then, the newest version is
 * all that is left to decide. */
static int
trim_single_long(struct walk *w, const struct vos_krec *k, struct vos_sv *top,
		 const struct vos_punches *p)
{
	struct vos_hist h = {.heap = w->t->heap, .akey = k, .older = top->older};
	uint64_t off;
	int rc, rc2 = 0;

	rc = vos_trim_hist(w->t, w->trim, w->pos, &w->budget, &h, vos_sv_ord(top), 0, p);
	if (rc >= 0 && h.older != top->older)
		rc2 = vos_sv_link(w->t, k->off, top->off, h.older);
	if (rc != 0 || rc2 != 0)
		return rc2 != 0 ? rc2 : rc;
	top->older = h.older;
	if (!vos_hist_indexed(h.older))
		return 0;
	if (!vos_trim_drops(w->t, w->trim, vos_sv_ord(top), NULL, p)) {
		retain(w, top->epoch);
		return 0;
	}
	rc = vos_hist_first(w->t->heap, h.older, &off);
	if (rc == 0)
		rc = vos_hist_remove(w->t, &h, 0, off);
	if (rc == 0)
		rc = vos_sv_link(w->t, k->off, off, h.older);
	if (rc == 0)
		rc = vos_sv_link(w->t, k->off, 0, off);
	return rc != 0 ? rc : vos_sv_free(w->t, top->off);
}

static int
trim_single(struct walk *w, uint64_t akey, const struct vos_krec *k, const struct vos_punches *p)
{
	struct vos_sv top;
	struct stack s;
	int rc;

	rc = vos_sv_get(w->t->heap, k, k->child, &top);
	if (rc == 0 && vos_hist_indexed(top.older)) {
		rc = trim_single_long(w, k, &top, p);
		if (rc == 0 && vos_hist_indexed(top.older))
			return 0;
	}
	if (rc != 0)
		return rc;
	stack_init(&s);
	rc = sv_stack(w, k, &s);
	if (rc == 0 && stack_decide(w, &s, p) != s.nr)
		rc = sv_relink(w, akey, &s);
	spend(w, s.nr * COST_RECORD);
	stack_fini(&s);
	return rc;
}

/* --- arrays
 * --------------------------------------------------------------------------------------------- */

static int
seg_stack(struct walk *w, const struct vos_seg *seg, struct stack *s)
{
	struct vos_ver_df ver = seg->df.ver;
	struct ver_item *it;
	uint64_t off = 0;

	for (;;) {
		it = stack_add(s);
		if (it == NULL)
			return -DER_NOMEM;
		it->ord = vos_ver_ord(&ver);
		it->kind = ver.kind;
		it->off = off;
		it->ver = ver;
		off = ver.older;
		if (off == 0)
			return 0;
		if (heap_try(w->t->heap, off, sizeof(ver)) == NULL)
			return HEAP_MISS;
		memcpy(&ver, heap_ptr(w->t->heap, off), sizeof(ver));
	}
}

/* Free what goes and link the rest: the newest that stays lives in the segment. */
static int
seg_relink(struct walk *w, uint64_t akey, struct vos_seg *seg, struct stack *s)
{
	struct ver_item *prev = NULL;
	uint32_t i;
	int rc;

	for (i = 0; i < s->nr; i++) {
		struct ver_item *it = &s->item[i];

		if (it->drop) {
			rc = vos_ver_free(w->t, &it->ver, seg->df.len);
			if (rc == 0)
				rc = heap_free(w->t->tx, it->off);
		} else if (prev == NULL) {
			/* becomes, or is, the one in the segment */
			rc = heap_free(w->t->tx, it->off);
			it->off = 0;
			prev = it;
		} else {
			prev->ver.older = it->off;
			rc = prev->off == 0 ? 0
					    : heap_tx_write(w->t->tx, prev->off, &prev->ver,
							    sizeof(prev->ver));
			if (prev->off == 0)
				seg->df.ver = prev->ver;
			prev = it;
		}
		if (rc != 0)
			return rc;
	}
	if (prev == NULL)
		return vos_seg_del(w->t, akey, seg->start);
	prev->ver.older = 0;
	if (prev->off != 0) {
		rc = heap_tx_write(w->t->tx, prev->off, &prev->ver, sizeof(prev->ver));
		if (rc != 0)
			return rc;
	} else {
		seg->df.ver = prev->ver;
	}
	return vos_seg_put(w->t, akey, seg);
}

/* The same as for single values. */
static int
trim_seg_long(struct walk *w, uint64_t akey, struct vos_seg *seg, const struct vos_punches *p)
{
	struct vos_ver_df top = seg->df.ver;
	struct vos_hist h = {.heap = w->t->heap, .older = top.older};
	const struct vos_ver_df *next;
	uint64_t off;
	int rc, rc2 = 0;

	if (w->pos->hist_seg != seg->start)
		w->pos->hist_set = w->pos->hist_done = false;
	w->pos->hist_seg = seg->start;
	rc =
	    vos_trim_hist(w->t, w->trim, w->pos, &w->budget, &h, vos_ver_ord(&top), seg->df.len, p);
	if (rc >= 0 && h.older != top.older) {
		seg->df.ver.older = h.older;
		rc2 = vos_seg_put(w->t, akey, seg);
	}
	if (rc != 0 || rc2 != 0)
		return rc2 != 0 ? rc2 : rc;
	if (!vos_hist_indexed(h.older))
		return 0;
	if (!vos_trim_drops(w->t, w->trim, vos_ver_ord(&top), NULL, p)) {
		retain(w, top.epoch);
		return 0;
	}
	rc = vos_hist_first(w->t->heap, h.older, &off);
	if (rc == 0)
		rc = vos_hist_remove(w->t, &h, 0, off);
	next = rc == 0 ? heap_try_df(w->t->heap, off, sizeof(*next)) : NULL;
	if (next == NULL)
		return rc != 0 ? rc : HEAP_MISS;
	seg->df.ver = *next;
	seg->df.ver.older = h.older;
	rc = heap_free(w->t->tx, off);
	if (rc == 0)
		rc = vos_ver_free(w->t, &top, seg->df.len);
	return rc != 0 ? rc : vos_seg_put(w->t, akey, seg);
}

static int
trim_seg(struct walk *w, uint64_t akey, struct vos_seg *seg, const struct vos_punches *p)
{
	struct stack s;
	int rc;

	if (vos_hist_indexed(seg->df.ver.older)) {
		rc = trim_seg_long(w, akey, seg, p);
		if (rc != 0 || vos_hist_indexed(seg->df.ver.older))
			return rc;
	}
	stack_init(&s);
	rc = seg_stack(w, seg, &s);
	if (rc == 0 && stack_decide(w, &s, p) != s.nr)
		rc = seg_relink(w, akey, seg, &s);
	stack_fini(&s);
	return rc;
}

static int
trim_array(struct walk *w, uint64_t akey, const struct vos_punches *p)
{
	struct vos_trim_pos *pos = w->pos;
	struct vos_krec k;
	struct vos_seg seg;
	int rc;

	for (;;) {
		rc = vos_krec_get(w->t->heap, akey, VOS_KEY_AKEY, &k);
		if (rc != 0)
			return rc;
		rc = vos_seg_find(w->t->heap, &k, pos->seg_set ? BTREE_GT : BTREE_FIRST, pos->seg,
				  &seg);
		if (rc != 0)
			return rc == -DER_NONEXIST ? 0 : rc;
		if (!spend(w, COST_RECORD))
			return PAUSED;
		rc = trim_seg(w, akey, &seg, p);
		if (rc != 0)
			return rc;
		pos->seg_set = true;
		pos->seg = seg.start;
	}
}

/* --- keys
 * -------------------------------------------------------------------------------------------------
 */

/* A folded record with all that is beneath it: it stays, or goes as a whole (the caller unlinks
 * it).
 */
static int
trim_folded(struct walk *w, int level, const struct vos_krec *k, const struct vos_punches *p,
	    bool *ret_gone)
{
	struct vos_trim_level *lv = &w->pos->level[level];
	struct ver_item *it;
	struct vos_fold f;
	struct stack s;
	int rc;

	rc = vos_fold_get(w->t->heap, k->off, &f);
	if (rc != 0)
		return rc;
	stack_init(&s);
	it = stack_add(&s);
	it->ord = f.ord;
	it->kind = f.nvme ? VOS_VER_NVME : VOS_VER_INLINE;
	*ret_gone = stack_decide(w, &s, p) == 0;
	if (!*ret_gone && f.ord.epoch < lv->retained)
		lv->retained = f.ord.epoch;
	stack_fini(&s);
	return 0;
}

struct drop_args {
	struct walk *w;
	uint64_t retained;
};

static bool
punch_drop(struct vos_tx *t, const struct vos_punches_df *list, uint32_t i, void *arg)
{
	const struct drop_args *a = arg;
	const struct vos_trim *trim = a->w->trim;
	uint64_t epoch = list->ord[i].epoch;

	if (trim->mode == VOS_TRIM_ALL)
		return true;
	if (trim->mode == VOS_TRIM_ABOVE)
		return epoch > trim->below;
	if (i > 0 && !vos_needed(t, epoch, list->ord[i - 1].epoch)) {
		vos_dropped(t, epoch, list->ord[i - 1].epoch);
		return true;
	}
	return trim->mode == VOS_TRIM_BELOW && epoch <= trim->below && a->retained > epoch;
}

/* All beneath a key is done: its punches; *ret_gone: nothing is left of it. */
static int
finish_key(struct walk *w, int level, uint64_t off, enum vos_key_kind kind, bool *ret_gone)
{
	struct drop_args a = {.w = w, .retained = w->pos->level[level].retained};
	struct vos_krec k;
	int rc;

	rc = vos_punches_filter(w->t, off, kind, punch_drop, &a);
	if (rc != 0)
		return rc;
	rc = vos_krec_get(w->t->heap, off, kind, &k);
	if (rc != 0)
		return rc;
	*ret_gone = k.child == 0 && k.punch == 0;
	if (w->trim->mode == VOS_TRIM_ABOVE && !*ret_gone)
		rc = vos_key_lower(w->t, off, kind, w->trim->below);
	return rc;
}

/* Is there anything to merge beneath this akey? */
static int
merge_worth(struct walk *w, uint64_t akey, bool *ret_worth)
{
	const struct vos_seg1_df *one;
	struct vos_krec k;
	int rc;

	rc = vos_krec_get(w->t->heap, akey, VOS_KEY_AKEY, &k);
	if (rc != 0)
		return rc;
	*ret_worth = k.tag == VOS_CHILD_TREE;
	if (k.tag != VOS_CHILD_ONE)
		return 0;
	one = heap_try_df(w->t->heap, k.child, sizeof(*one));
	if (one == NULL)
		return HEAP_MISS;
	*ret_worth = one->seg.ver.kind == VOS_VER_COUNTED;
	return 0;
}

/* The newest write may be gone: the size of records is that of what is left. */
static int
rec_size_set(struct walk *w, uint64_t akey)
{
	struct vos_seg_iter it;
	struct vos_krec k;
	struct vos_seg seg;
	uint32_t size = 0, left = REC_SIZE_LOOK;
	int rc;

	rc = vos_krec_get(w->t->heap, akey, VOS_KEY_AKEY, &k);
	if (rc != 0 || k.child == 0 || k.tag == VOS_CHILD_SV)
		return rc;
	rc = vos_seg_iter_init(&it, w->t->heap, &k);
	if (rc == 0)
		rc = vos_seg_iter_seek(&it, BTREE_FIRST, 0);
	while (rc == 0 && size == 0 && left-- > 0) {
		rc = vos_seg_iter_get(&it, &seg);
		if (rc == 0)
			size = seg.df.ver.rec_size;
		if (rc == 0 && size == 0)
			rc = vos_seg_iter_next(&it);
	}
	vos_seg_iter_fini(&it);
	if (rc != 0 && rc != -DER_NONEXIST)
		return rc;
	return size == 0 || size == k.rec_size ? 0 : vos_krec_set_rec_size(w->t, akey, size);
}

static int
trim_akey(struct walk *w, uint64_t akey, struct vos_punches p, bool *ret_gone)
{
	struct vos_krec k;
	int rc;

	rc = vos_krec_get(w->t->heap, akey, VOS_KEY_AKEY, &k);
	if (rc == 0)
		rc = vos_punches_get(w->t->heap, &k, &p.level[2]);
	if (rc != 0)
		return rc;
	if (k.fold_top != 0)
		return trim_folded(w, VOS_TRIM_AKEY, &k, &p, ret_gone);
	if (k.tag == VOS_CHILD_SV)
		rc = trim_single(w, akey, &k, &p);
	else if (k.child != 0 && !w->pos->merged)
		rc = trim_array(w, akey, &p);
	if (rc == 0 && w->trim->mode == VOS_TRIM_ABOVE)
		rc = rec_size_set(w, akey);
	if (rc != 0)
		return rc;
	if (w->trim->mode == VOS_TRIM_BELOW && !w->pos->merged) {
		bool worth;

		rc = merge_worth(w, akey, &worth);
		if (rc != 0)
			return rc;
		if (worth) {
			w->pos->merge = true;
			w->pos->merge_at = 0;
			return PAUSED;
		}
	}
	return finish_key(w, VOS_TRIM_AKEY, akey, VOS_KEY_AKEY, ret_gone);
}

/* The child where the walk is: the one it stopped inside, or the next one. */
static int
child_at(struct walk *w, int level, uint64_t parent, enum vos_key_kind parent_kind,
	 enum btree_kind kind, struct vos_keybuf *ret_key, uint64_t *ret_off)
{
	struct vos_trim_level *lv = &w->pos->level[level];
	struct vos_key key = level_key(lv);
	struct vos_iter it;
	int rc;

	rc = vos_iter_init(&it, w->t->heap, parent, parent_kind, kind);
	if (rc == 0)
		rc = vos_iter_seek(&it,
				   !lv->set     ? BTREE_FIRST
				   : lv->inside ? BTREE_GE
						: BTREE_GT,
				   &key);
	if (rc == 0)
		rc = vos_iter_get(&it, &key, NULL, ret_off);
	if (rc == 0)
		rc = vos_keybuf_set(ret_key, key.buf, key.len);
	vos_iter_fini(&it);
	return rc;
}

static void
keybuf_fini(struct vos_keybuf *kb)
{
	free(kb->buf);
	*kb = (struct vos_keybuf){0};
}

static int
trim_akeys(struct walk *w, const struct vos_oid *oid, uint64_t dkey, const struct vos_punches *p)
{
	enum btree_kind kind = vos_akey_kind(oid->id);
	CLEANUP(keybuf_fini)
	struct vos_keybuf name = {0};
	uint64_t akey;
	bool gone = false;
	int rc;

	for (;;) {
		struct vos_key key;

		rc = child_at(w, VOS_TRIM_AKEY, dkey, VOS_KEY_DKEY, kind, &name, &akey);
		if (rc != 0)
			return rc == -DER_NONEXIST ? 0 : rc;
		if (!spend(w, COST_RECORD))
			return PAUSED;
		key = (struct vos_key){.buf = name.buf, .len = name.len};
		rc = level_enter(w, VOS_TRIM_AKEY, &key);
		if (rc == 0)
			rc = trim_akey(w, akey, *p, &gone);
		if (rc == 0 && gone)
			rc = vos_child_del(w->t, dkey, VOS_KEY_DKEY, kind, &key);
		if (rc != 0)
			return rc;
		level_leave(w, VOS_TRIM_AKEY);
	}
}

static int
trim_dkey(struct walk *w, const struct vos_oid *oid, uint64_t obj, const struct vos_key *name,
	  uint64_t dkey, struct vos_punches p)
{
	struct vos_krec k;
	bool gone = false;
	int rc;

	rc = vos_krec_get(w->t->heap, dkey, VOS_KEY_DKEY, &k);
	if (rc == 0)
		rc = vos_punches_get(w->t->heap, &k, &p.level[1]);
	if (rc == 0)
		rc = level_enter(w, VOS_TRIM_DKEY, name);
	if (rc == 0 && k.fold_top != 0) {
		rc = trim_folded(w, VOS_TRIM_DKEY, &k, &p, &gone);
	} else if (rc == 0) {
		rc = trim_akeys(w, oid, dkey, &p);
		if (rc == 0)
			rc = finish_key(w, VOS_TRIM_DKEY, dkey, VOS_KEY_DKEY, &gone);
	}
	if (rc == 0 && gone) {
		vos_cache_del(w->t->pool, w->t->cont->id, oid, name);
		rc = vos_child_del(w->t, obj, VOS_KEY_OBJ, vos_dkey_kind(oid->id), name);
	}
	if (rc == 0)
		level_leave(w, VOS_TRIM_DKEY);
	return rc;
}

/* The dkeys of an object, or the one in scope. */
static int
trim_dkeys(struct walk *w, const struct vos_oid *oid, uint64_t obj, const struct vos_punches *p)
{
	enum btree_kind kind = vos_dkey_kind(oid->id);
	CLEANUP(keybuf_fini)
	struct vos_keybuf name = {0};
	struct vos_key key;
	uint64_t dkey;
	int rc;

	if (w->trim->one_dkey) {
		key = (struct vos_key){.buf = w->trim->dkey.buf, .len = w->trim->dkey.len};
		rc = vos_child_find(w->t->heap, obj, VOS_KEY_OBJ, kind, &key, &dkey);
		return rc != 0 || dkey == 0 ? rc : trim_dkey(w, oid, obj, &key, dkey, *p);
	}
	for (;;) {
		bool clean = false;

		rc = child_at(w, VOS_TRIM_DKEY, obj, VOS_KEY_OBJ, kind, &name, &dkey);
		if (rc != 0)
			return rc == -DER_NONEXIST ? 0 : rc;
		/* with punches above it, what it holds may have become superfluous */
		if (p->level[0] == NULL || w->trim->mode == VOS_TRIM_ABOVE)
			rc = is_clean(w, dkey, VOS_KEY_DKEY, &clean);
		if (rc != 0)
			return rc;
		if (!spend(w, clean ? COST_SKIP : COST_RECORD))
			return PAUSED;
		key = (struct vos_key){.buf = name.buf, .len = name.len};
		rc = clean ? level_skip(w, VOS_TRIM_DKEY, &key)
			   : trim_dkey(w, oid, obj, &key, dkey, *p);
		if (rc != 0)
			return rc;
	}
}

static int
trim_obj(struct walk *w, const struct vos_oid *oid, uint64_t obj)
{
	uint8_t buf[VOS_OID_KEY];
	struct vos_key name = {.buf = buf, .len = sizeof(buf)};
	struct vos_punches p = {0};
	struct vos_krec k;
	bool gone = false;
	int rc;

	vos_oid_encode(oid, buf);
	rc = vos_krec_get(w->t->heap, obj, VOS_KEY_OBJ, &k);
	if (rc == 0)
		rc = vos_punches_get(w->t->heap, &k, &p.level[0]);
	if (rc == 0)
		rc = level_enter(w, VOS_TRIM_OBJ, &name);
	if (rc == 0 && k.fold_top != 0) {
		rc = trim_folded(w, VOS_TRIM_OBJ, &k, &p, &gone);
	} else if (rc == 0) {
		rc = trim_dkeys(w, oid, obj, &p);
		/* with one dkey in scope nothing is known of the others */
		if (rc == 0 && !w->trim->one_dkey)
			rc = finish_key(w, VOS_TRIM_OBJ, obj, VOS_KEY_OBJ, &gone);
	}
	if (rc == 0 && gone)
		rc = vos_obj_del(w->t, oid, obj);
	if (rc == 0)
		level_leave(w, VOS_TRIM_OBJ);
	return rc;
}

/* The object where the walk is, or the next one that needs a look; those passed over cost a little.
 * PAUSED: out of budget. */
static int
next_obj(struct walk *w, struct vos_oid *ret_oid, uint64_t *ret_off)
{
	struct vos_trim_level *lv = &w->pos->level[VOS_TRIM_OBJ];
	struct btree bt =
	    btree_at(w->t->heap, w->t->cont->df_off + offsetof(struct vos_cont_df, objs));
	struct btree_key key = btree_key_buf(lv->key.buf, lv->key.len);
	struct btree_cursor cur;
	struct vos_key name;
	bool clean = true;
	uint64_t val;
	int rc;

	btree_cursor_init(&cur, bt);
	rc = btree_seek(&cur, !lv->set ? BTREE_FIRST : lv->inside ? BTREE_GE : BTREE_GT, &key);
	while (rc == 0) {
		rc = btree_cursor_get(&cur, &key, &val);
		if (rc == 0 && key.len != VOS_OID_KEY)
			rc = -DER_CSUM;
		if (rc != 0)
			break;
		*ret_off = *(uint64_t *)heap_ptr(w->t->heap, val);
		vos_oid_decode(key.buf, ret_oid);
		rc = is_clean(w, *ret_off, VOS_KEY_OBJ, &clean);
		if (rc != 0 || !clean)
			break;
		if (!spend(w, COST_SKIP)) {
			rc = PAUSED;
			break;
		}
		name = (struct vos_key){.buf = key.buf, .len = key.len};
		rc = level_skip(w, VOS_TRIM_OBJ, &name);
		if (rc == 0)
			rc = btree_next(&cur);
	}
	btree_cursor_fini(&cur);
	return rc;
}

static int
trim_objs(struct walk *w)
{
	struct vos_oid oid;
	uint64_t obj;
	int rc;

	if (w->trim->one_obj) {
		rc = vos_obj_find(w->t->cont, &w->trim->oid, &obj);
		return rc != 0 || obj == 0 ? rc : trim_obj(w, &w->trim->oid, obj);
	}
	for (;;) {
		rc = next_obj(w, &oid, &obj);
		if (rc != 0)
			return rc == -DER_NONEXIST ? 0 : rc; /* or PAUSED */
		if (!spend(w, COST_RECORD))
			return PAUSED;
		rc = trim_obj(w, &oid, obj);
		if (rc != 0)
			return rc;
	}
}

/* --- steps
 * ----------------------------------------------------------------------------------------------------
 */

struct step {
	struct vos_trim *trim;
	bool more;
};

static int
step_tx(struct vos_tx *t, void *arg)
{
	struct step *s = arg;
	struct vos_trim *trim = s->trim;
	struct walk w = {.t = t, .trim = trim, .pos = &trim->next, .budget = STEP_COST};
	int rc;

	rc = pos_copy(&trim->next, &trim->pos);
	if (rc != 0)
		return rc;
	if (!trim->next.objs_done) {
		rc = trim_objs(&w);
		if (rc < 0)
			return rc;
		trim->next.objs_done = rc == 0;
		s->more = true;
		if (rc == PAUSED || trim->mode == VOS_TRIM_BELOW)
			return 0;
	}
	s->more = false;
	if (trim->mode == VOS_TRIM_BELOW)
		return vos_opid_expire(t, trim->below, trim->next.opid, &s->more);
	return 0;
}

int co_fn
vos_trim_step(struct vos_trim *trim, bool *ret_more)
{
	struct step s = {.trim = trim};
	struct vos_tx_args args = {
	    .pool = trim->cont->pool,
	    .cont = trim->cont,
	    .log_bytes = STEP_LOG_BYTES,
	    .flags = HEAP_RESV_RECLAIM,
	    .trim = true,
	    .below = trim->mode == VOS_TRIM_BELOW ? trim->below : 0,
	    .fn = step_tx,
	    .arg = &s,
	};
	struct vos_trim_pos pos;
	int rc;

	if (trim->pos.merge) {
		*ret_more = true;
		return vos_merge_step(trim);
	}
	rc = vos_tx_run(&args);
	if (rc != 0)
		return rc;
	pos = trim->pos;
	trim->pos = trim->next;
	trim->next = pos;
	*ret_more = s.more;
	return 0;
}

int
vos_trim_create(struct vos_cont *cont, enum vos_trim_mode mode, uint64_t below,
		struct vos_trim **ret_trim)
{
	struct vos_trim *trim = mem_new(struct vos_trim);

	if (trim == NULL)
		return -DER_NOMEM;
	trim->cont = cont;
	trim->mode = mode;
	trim->below = below;
	*ret_trim = trim;
	return 0;
}

int
vos_trim_scope(struct vos_trim *trim, const struct vos_oid *oid, const struct vos_key *dkey)
{
	trim->one_obj = true;
	trim->oid = *oid;
	trim->one_dkey = dkey != NULL;
	return dkey == NULL ? 0 : vos_keybuf_set(&trim->dkey, dkey->buf, dkey->len);
}

void
vos_trim_destroy(struct vos_trim *trim)
{
	int i;

	if (trim == NULL)
		return;
	for (i = 0; i < VOS_TRIM_LEVELS; i++) {
		keybuf_fini(&trim->pos.level[i].key);
		keybuf_fini(&trim->next.level[i].key);
	}
	keybuf_fini(&trim->dkey);
	vos_merge_destroy(trim->merge);
	free(trim);
}

/* --- aggregation
 * --------------------------------------------------------------------------------------------------
 */

/* Is every epoch of one list in the other? Duplicates do not matter. */
static bool
same_keep(const struct vos_cont *cont, const uint64_t *keep, uint32_t keep_nr)
{
	uint32_t i, j, matched = 0;

	for (i = 0; i < keep_nr; i++) {
		for (j = 0; j < cont->keep_nr && cont->keep[j] != keep[i]; j++)
			;
		if (j == cont->keep_nr)
			return false;
	}
	for (j = 0; j < cont->keep_nr; j++)
		for (i = 0; i < keep_nr; i++)
			if (cont->keep[j] == keep[i]) {
				matched++;
				break;
			}
	return matched == cont->keep_nr;
}

/* Changes under way that have their epochs, and intents, must still find room above. */
static uint64_t
below_flights(const struct vos_cont *cont, uint64_t below)
{
	uint64_t oldest = vos_dtx_oldest(cont);
	const struct list *l;

	if (oldest <= below)
		below = oldest - 1;

	list_for_each (l, &cont->flights) {
		const struct vos_flight *flight = list_entry(l, struct vos_flight, link);

		if (flight->epoch <= below)
			below = flight->epoch - 1;
	}
	return below;
}

/* A new pass; none (cont->agg stays NULL) when changes under way leave nothing to do. */
static int co_fn
agg_start(struct vos_cont *cont, uint64_t want, const uint64_t *keep, uint32_t keep_nr)
{
	uint64_t below = below_flights(cont, want);
	int rc;

	vos_trim_destroy(cont->agg);
	cont->agg = NULL;
	if (below < cont->df->agg_epoch || below == 0)
		return 0;
	rc = vos_cont_set_aggregated(cont, below, keep, keep_nr);
	if (rc == 0)
		rc = vos_trim_create(cont, VOS_TRIM_BELOW, below, &cont->agg);
	if (rc != 0)
		return rc;
	cont->agg->want = want;
	cont->agg->clean = cont->df->agg_done;
	return 0;
}

int co_fn
vos_aggregate(struct vos_cont *cont, uint64_t below, const uint64_t *keep, uint32_t keep_nr,
	      uint64_t budget_ns, bool *ret_more)
{
	struct xs *xs = cont->pool->xs;
	uint64_t end_ns = xs_now_fresh_ns(xs) + budget_ns;
	bool more = true;
	int rc;

	rc = vos_cont_check(cont);
	if (rc != 0)
		return rc;
	if (below == 0 || below == UINT64_MAX)
		return -DER_INVAL;
	if (cont->agg_running)
		return -DER_BUSY;
	cont->agg_running = true;
	cont->refs++;
	if (cont->agg == NULL || cont->agg->want != below || !same_keep(cont, keep, keep_nr))
		rc = agg_start(cont, below, keep, keep_nr);
	more = cont->agg != NULL;
	while (rc == 0 && more) {
		rc = vos_trim_step(cont->agg, &more);
		if (xs_now_fresh_ns(xs) >= end_ns)
			break;
		if (rc == 0 && more)
			co_yield();
	}
	if (rc == 0 && !more && cont->agg != NULL) {
		if (!cont->agg->incomplete)
			rc = vos_cont_set_agg_done(cont, cont->agg->below);
		vos_trim_destroy(cont->agg);
		cont->agg = NULL;
	}
	cont->agg_running = false;
	vos_cont_close(cont);
	if (rc == 0)
		*ret_more = more;
	return rc;
}
