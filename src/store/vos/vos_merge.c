/*
 * Merging: aggregation makes few large extents out of many small ones.
 *
 * When all segments of an array are trimmed, neighbours that no read that must be answered can tell
 * apart become one. Reads that count are those at the kept epochs and at or above `below`; so the
 * versions of a segment fall into classes, one for each such read that sees it, and segments that
 * touch and have versions in the same classes may merge, class by class. The merged version gets
 * the newest epoch of its parts. Segments with a version above `below` are left alone: late
 * versions may still come between.
 *
 * Four things are done, the first that applies:
 *
 *   own      a counted extent with a single user becomes that user's own; what it does not use of
 *            it comes back. No data moves.
 *   compact  a counted extent, most of which nobody uses any more: its users get storage of their
 *            own, and the last of them gives all of it back.
 *   join     neighbours whose bytes follow one another on the device (written one after the other,
 *            or split once). No data moves.
 *   rewrite  other neighbours are read and written as one extent. Small ones that reach the
 *            threshold together so move from the SCM tier to the NVMe tier. A run of neighbours is
 *            rewritten only if the largest is at most half of the whole, so that a byte is copied a
 *            logarithmic number of times while an array grows; extents of MERGE_ENOUGH are never
 *            copied for the sake of their neighbours.
 *
 * Where values have checksums all four read what they touch and compare it; what results has new
 * checksums, over itself only, so that what was kept around it for the old ones comes back. For
 * that alone a segment becomes its `own` too. What does not agree is reported and left as it is.
 *
 * Each step looks at a bounded number of segments and does at most one of these. Data is read while
 * its space is held, written to reserved blocks and durable, and then one transaction puts the new
 * version in place of the old ones and frees those. If a segment, or what reads need, changed in
 * between, the step is given up and nothing happened; readers and writers never wait for it.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_trim.h"

#include "base/err.h"
#include "base/log.h"

enum {
	MERGE_SEGS = 256,         /* looked at together */
	MERGE_VERS = 1024,        /* ... and their versions */
	MERGE_LAYERS = 8,         /* versions of a segment that may merge */
	MERGE_SCAN = 1024,        /* segments looked at in one step */
	MERGE_EXTS = 8,           /* counted extents watched at a time */
	MERGE_BYTES = 1 << 20,    /* rewritten at once */
	MERGE_ENOUGH = 128 << 10, /* large enough: not copied any more */
	MERGE_INLINE = 64 << 10,  /* the same where all data lives in the heap */
	COMPACT_BYTES = 4 << 20,  /* largest extent copied to get its blocks back */
};

struct mver {
	struct vos_ver_df df;
	uint64_t off;          /* 0: the one in the segment */
	struct vos_ext_df ext; /* of COUNTED */
	uint64_t pre, post;    /* records around the segment that are kept for its checksums */
};

struct mseg {
	uint64_t start, len;
	uint64_t bytes; /* of data, all layers */
	uint32_t ver;   /* first in window.ver, newest */
	uint32_t nr;    /* layers */
};

/* Neighbours that may merge. */
struct window {
	struct mseg seg[MERGE_SEGS];
	struct mver ver[MERGE_VERS];
	uint32_t seg_nr, ver_nr;
	uint64_t bytes;
};

enum merge_op { MERGE_NONE, MERGE_OWN, MERGE_JOIN, MERGE_REWRITE };

/* What is known of a counted extent whose users come by. */
struct watched {
	uint64_t off;   /* 0: free entry */
	uint64_t first; /* start of the first user */
	uint64_t live;  /* blocks (bytes, if in the heap) its users would need for themselves */
	uint32_t seen;
};

struct layer {
	struct vos_ord ord, oldest;
	uint64_t bytes;
	uint32_t rec_size;
	uint8_t kind;
	uint8_t *buf;
	uint8_t *sum; /* checksums of what it will be, which covers nothing else */
	uint64_t sum_bytes;
	struct space_ext ext;
	bool reserved;
	bool published;
};

struct vos_merge {
	struct vos_trim *trim;
	struct window w;
	/* the segments of the window that are next, and what to do with them */
	enum merge_op op;
	uint32_t lo, nr;
	uint64_t at; /* goes on here when there was nothing to do */
	bool end;
	struct layer layer[MERGE_LAYERS];
	struct watched watch[MERGE_EXTS];
	uint32_t watch_next;
	uint64_t watched_to; /* segments from here on were not counted yet */
	uint64_t force; /* counted extent being compacted: its users in [force_at, force_end) */
	uint64_t force_at, force_end;
	bool incomplete; /* something was left for another time */
	uint8_t *sums;   /* what was stored for the group's blocks, in the order they are read */
	uint8_t *span;   /* bytes that checksums cover, when they are more than is wanted */
	/* filled by the transaction: the group as it is now */
	struct window now;
};

/* --- what may merge ------------------------------------------------------------------------- */

/* Which read that counts is the first to see a version of this epoch; UINT64_MAX: those at or above
 * below. */
static uint64_t
class_of(const struct vos_trim *trim, uint64_t epoch)
{
	const struct vos_cont *cont = trim->cont;
	uint32_t lo = 0, hi = cont->keep_nr;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (cont->keep[mid] < epoch)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < cont->keep_nr && cont->keep[lo] < trim->below ? cont->keep[lo] : UINT64_MAX;
}

static uint64_t
ver_bytes(const struct mver *v, uint64_t len)
{
	return v->df.kind == VOS_VER_PUNCH ? 0 : len * v->df.rec_size;
}

/* Is there a punch that hides one of the two and not the other? */
static bool
punch_between(const struct vos_punches *p, const struct mver *a, const struct mver *b)
{
	struct vos_ord x = vos_ver_ord(&a->df), y = vos_ver_ord(&b->df), after;
	struct vos_ord lo = vos_ord_cmp(x, y) < 0 ? x : y, hi = vos_ord_cmp(x, y) < 0 ? y : x;

	return vos_punch_after(p, lo, &after) && vos_ord_cmp(after, hi) <= 0;
}

static bool
mergeable(const struct vos_trim *trim, const struct window *w, const struct vos_punches *p,
	  const struct mseg *a, const struct mseg *b)
{
	uint32_t i;

	if (a->start + a->len != b->start || a->nr != b->nr)
		return false;
	for (i = 0; i < a->nr; i++) {
		const struct mver *x = &w->ver[a->ver + i], *y = &w->ver[b->ver + i];

		if ((x->df.kind == VOS_VER_PUNCH) != (y->df.kind == VOS_VER_PUNCH) ||
		    x->df.rec_size != y->df.rec_size ||
		    class_of(trim, x->df.epoch) != class_of(trim, y->df.epoch) ||
		    punch_between(p, x, y))
			return false;
	}
	return true;
}

/* Do the bytes of b follow those of a? */
static bool
adjacent(const struct mver *a, uint64_t a_len, const struct mver *b)
{
	uint64_t end = a->df.ext_off + a_len * a->df.rec_size;

	if (a->df.kind != b->df.kind)
		return false;
	if (a->df.kind == VOS_VER_NVME && a->post + b->pre != 0)
		return false; /* later, when each is down to itself */
	switch (a->df.kind) {
	case VOS_VER_PUNCH:
		return true;
	case VOS_VER_NVME:
		return end % SPACE_BLOCK == 0 && b->df.ext_off == 0 &&
		       b->df.addr == a->df.addr + end / SPACE_BLOCK;
	case VOS_VER_COUNTED:
		return a->df.addr == b->df.addr && b->df.ext_off == end;
	default:
		return false;
	}
}

static bool
joinable(const struct window *w, const struct mseg *a, const struct mseg *b)
{
	uint32_t i;

	for (i = 0; i < a->nr; i++)
		if (!adjacent(&w->ver[a->ver + i], a->len, &w->ver[b->ver + i]))
			return false;
	return true;
}

/* --- reading the map
 * ------------------------------------------------------------------------------- */

/* Append a segment to the window. *ret_fit false: it cannot take part at all (or not now). */
static int
window_add(const struct vos_trim *trim, struct window *w, const struct vos_seg *seg, bool *ret_fit)
{
	const struct vos_cont *cont = trim->cont;
	struct heap *heap = cont->pool->heap;
	struct mseg *s = &w->seg[w->seg_nr];
	struct vos_ver_df ver = seg->df.ver;
	struct vos_sums sums;
	uint64_t off = 0;
	int rc;

	*s = (struct mseg){.start = seg->start, .len = seg->df.len, .ver = w->ver_nr};
	*ret_fit = false;
	for (;;) {
		struct mver *v = &w->ver[w->ver_nr + s->nr];

		if (ver.epoch > trim->below || s->nr == MERGE_LAYERS ||
		    w->ver_nr + s->nr == MERGE_VERS)
			return 0;
		*v = (struct mver){.df = ver, .off = off};
		if (ver.kind == VOS_VER_COUNTED) {
			const struct vos_ext_df *ext = heap_try_df(heap, ver.addr, sizeof(*ext));

			if (ext == NULL)
				return HEAP_MISS;
			v->ext = *ext;
		}
		rc = vos_sums_get(heap, cont, &v->df, s->start, s->len, &sums);
		if (rc != 0)
			return rc;
		v->pre = sums.pre;
		v->post = sums.post;
		s->bytes += ver_bytes(v, s->len);
		s->nr++;
		off = ver.older;
		if (vos_hist_indexed(off))
			return 0; /* more than may merge */
		if (off == 0)
			break;
		if (heap_try(heap, off, sizeof(ver)) == NULL)
			return HEAP_MISS;
		memcpy(&ver, heap_ptr(heap, off), sizeof(ver));
	}
	*ret_fit = true;
	w->seg_nr++;
	w->ver_nr += s->nr;
	w->bytes += s->bytes;
	return 0;
}

static void
window_clear(struct window *w)
{
	w->seg_nr = 0;
	w->ver_nr = 0;
	w->bytes = 0;
}

/* Forget all but the last segment. */
static void
window_keep_last(struct window *w)
{
	struct mseg s = w->seg[w->seg_nr - 1];

	memmove(w->ver, &w->ver[s.ver], s.nr * sizeof(w->ver[0]));
	s.ver = 0;
	w->seg[0] = s;
	w->seg_nr = 1;
	w->ver_nr = s.nr;
	w->bytes = s.bytes;
}

/* The akey being worked on, and its punches. ret_k->off 0: it is gone, or holds no array. */
static int
locate(const struct vos_merge *m, struct vos_krec *ret_k, struct vos_punches *p)
{
	const struct vos_trim *trim = m->trim;
	struct heap *heap = trim->cont->pool->heap;
	const struct vos_trim_level *lv = trim->pos.level;
	struct vos_key dname = {lv[VOS_TRIM_DKEY].key.buf, lv[VOS_TRIM_DKEY].key.len};
	struct vos_key aname = {lv[VOS_TRIM_AKEY].key.buf, lv[VOS_TRIM_AKEY].key.len};
	uint64_t off[3] = {0};
	struct vos_krec k = {0};
	struct vos_oid oid;
	int i, rc;

	ret_k->off = 0;
	memset(p, 0, sizeof(*p));
	vos_oid_decode(lv[VOS_TRIM_OBJ].key.buf, &oid);
	rc = vos_obj_find(trim->cont, &oid, &off[0]);
	if (rc == 0 && off[0] != 0)
		rc = vos_child_find(heap, off[0], VOS_KEY_OBJ, vos_dkey_kind(oid.id), &dname,
				    &off[1]);
	if (rc == 0 && off[1] != 0)
		rc = vos_child_find(heap, off[1], VOS_KEY_DKEY, vos_akey_kind(oid.id), &aname,
				    &off[2]);
	if (rc != 0 || off[2] == 0)
		return rc;
	for (i = 0; rc == 0 && i < 3; i++) {
		rc = vos_krec_get(heap, off[i], VOS_KEY_OBJ + i, &k);
		if (rc == 0)
			rc = vos_punches_get(heap, &k, &p->level[i]);
	}
	if (rc == 0 && k.fold_top == 0 && (k.tag == VOS_CHILD_ONE || k.tag == VOS_CHILD_TREE))
		*ret_k = k;
	return rc;
}

/* --- counted extents that are mostly dead
 * ---------------------------------------------------------- */

static uint64_t
blocks_of(uint64_t bytes)
{
	return (bytes + SPACE_BLOCK - 1) / SPACE_BLOCK;
}

/* One more user of a counted extent. Returns whether all were seen now and it is worth compacting.
 */
static bool
watch(struct vos_merge *m, const struct mver *v, uint64_t start, uint64_t len, uint64_t *ret_first)
{
	uint64_t bytes = ver_bytes(v, len);
	struct watched *e = NULL;
	uint32_t i;

	for (i = 0; i < MERGE_EXTS; i++)
		if (m->watch[i].off == v->df.addr)
			e = &m->watch[i];
	if (e == NULL) {
		e = &m->watch[m->watch_next++ % MERGE_EXTS];
		*e = (struct watched){.off = v->df.addr, .first = start};
	}
	e->seen++;
	if (v->ext.kind == VOS_VER_INLINE)
		e->live += bytes;
	else if (!vos_goes_inline(m->trim->cont, bytes))
		e->live += blocks_of(bytes);
	if (e->seen != v->ext.refs)
		return false;
	*ret_first = e->first;
	e->off = 0;
	return e->live * 2 <= v->ext.blk_nr;
}

/* Count the users in a segment that comes by for the first time. True: go back and compact. */
static bool
watch_seg(struct vos_merge *m, const struct mseg *s)
{
	uint64_t first = 0;
	uint32_t i;

	if (m->force != 0 || s->start < m->watched_to)
		return false;
	m->watched_to = s->start + 1;
	for (i = 0; i < s->nr; i++) {
		const struct mver *v = &m->w.ver[s->ver + i];

		if (v->df.kind != VOS_VER_COUNTED || v->ext.refs < 2 ||
		    !watch(m, v, s->start, s->len, &first))
			continue;
		m->force = v->df.addr;
		m->force_at = first;
		m->force_end = s->start + s->len;
		m->at = first;
		return true;
	}
	return false;
}

/* --- choosing
 * -------------------------------------------------------------------------------------------- */

static void
chosen(struct vos_merge *m, enum merge_op op, uint32_t lo, uint32_t nr)
{
	m->op = op;
	m->lo = lo;
	m->nr = nr;
}

/* Are there blocks of its own that only checksums need? */
static bool
keeps_more(const struct mver *v, uint64_t len)
{
	uint64_t begin = v->df.ext_off, end = begin + ver_bytes(v, len);
	uint64_t rec_size = v->df.rec_size;

	return v->df.kind == VOS_VER_NVME &&
	       (begin >= SPACE_BLOCK || blocks_of(end + v->post * rec_size) != blocks_of(end));
}

/* Does a segment use this counted extent? ext 0: is it the only user of one, or has it blocks to
 * give back? */
static const struct mver *
user_of(const struct vos_merge *m, const struct mseg *s, uint64_t ext)
{
	uint32_t i;

	for (i = 0; i < s->nr; i++) {
		const struct mver *v = &m->w.ver[s->ver + i];

		if (v->df.kind == VOS_VER_COUNTED &&
		    (ext == 0 ? v->ext.refs == 1 : v->df.addr == ext))
			return v;
		if (ext == 0 && keeps_more(v, s->len))
			return v;
	}
	return NULL;
}

/* An object of the heap can only come back as a whole. */
static enum merge_op
own_how(const struct mver *v, const struct mseg *s)
{
	return v->df.kind == VOS_VER_COUNTED && v->ext.kind == VOS_VER_INLINE &&
		       ver_bytes(v, s->len) * 2 <= v->ext.blk_nr
		   ? MERGE_REWRITE
		   : MERGE_OWN;
}

static uint64_t
enough(const struct vos_merge *m)
{
	return m->trim->cont->pool->space == NULL ? MERGE_INLINE / 2 : MERGE_ENOUGH;
}

/* Bytes that may become one segment. Its checksums are to be few enough to be cut with it. */
static uint64_t
max_group(const struct vos_cont *cont)
{
	uint64_t max = cont->pool->space == NULL ? MERGE_INLINE : MERGE_BYTES, sums;

	if (cont->csum.len == 0)
		return max;
	sums = (uint64_t)VOS_PIECE_SUMS_MAX / cont->csum.len * cont->csum_chunk;
	return sums < max ? sums : max;
}

/* The leftmost run in [lo, hi) that is worth rewriting. */
static void
choose_rewrite(struct vos_merge *m, uint32_t lo, uint32_t hi)
{
	const struct mseg *s = m->w.seg;
	uint64_t total = 0;
	uint32_t i, max = lo;

	while (m->op == MERGE_NONE && hi - lo >= 2) {
		for (i = lo, total = 0, max = lo; i < hi; i++) {
			total += s[i].bytes;
			if (s[i].bytes > s[max].bytes)
				max = i;
		}
		if (s[max].bytes * 2 <= total && s[max].bytes < enough(m)) {
			chosen(m, MERGE_REWRITE, lo, hi - lo);
			return;
		}
		/* what is beside the largest: a bounded recursion on the smaller part */
		if (max - lo < hi - max - 1) {
			choose_rewrite(m, lo, max);
			lo = max + 1;
		} else {
			uint32_t right = max + 1, end = hi;

			hi = max;
			if (hi - lo >= 2)
				choose_rewrite(m, lo, hi);
			if (m->op == MERGE_NONE)
				choose_rewrite(m, right, end);
			return;
		}
	}
}

static void
choose_join(struct vos_merge *m)
{
	const struct window *w = &m->w;
	uint32_t i, lo;

	for (lo = 0; lo + 1 < w->seg_nr; lo = i) {
		uint64_t bytes = w->seg[lo].bytes;

		for (i = lo + 1; i < w->seg_nr; i++) {
			bytes += w->seg[i].bytes;
			if (bytes > max_group(m->trim->cont) ||
			    !joinable(w, &w->seg[i - 1], &w->seg[i]))
				break;
		}
		if (i - lo >= 2) {
			chosen(m, MERGE_JOIN, lo, i - lo);
			return;
		}
	}
}

static void
choose(struct vos_merge *m)
{
	const struct window *w = &m->w;
	const struct mver *v;
	uint32_t i;

	m->op = MERGE_NONE;
	for (i = 0; i < w->seg_nr; i++) {
		v = user_of(m, &w->seg[i], 0);
		if (v != NULL) {
			chosen(m, own_how(v, &w->seg[i]), i, 1);
			return;
		}
	}
	for (i = 0; m->force != 0 && i < w->seg_nr; i++)
		if (user_of(m, &w->seg[i], m->force) != NULL && w->seg[i].bytes <= COMPACT_BYTES) {
			chosen(m, MERGE_REWRITE, i, 1);
			return;
		}
	if (m->force != 0)
		return;
	choose_join(m);
	if (m->op == MERGE_NONE)
		choose_rewrite(m, 0, w->seg_nr);
}

/* The window cannot grow. Returns whether there is something to do in it. */
static bool
window_close(struct vos_merge *m)
{
	choose(m);
	return m->op != MERGE_NONE;
}

/* Take one segment into consideration. Returns whether to stop here. */
static bool
plan_seg(struct vos_merge *m, const struct vos_punches *p, const struct vos_seg *seg, bool fit)
{
	const struct vos_trim *trim = m->trim;
	uint64_t max_bytes = max_group(trim->cont);
	struct window *w = &m->w;

	if (!fit) {
		if (window_close(m))
			return true;
		window_clear(w);
		m->at = seg->start + seg->df.len;
		return false;
	}
	if (watch_seg(m, &w->seg[w->seg_nr - 1])) {
		window_clear(w);
		return true;
	}
	if (w->seg_nr > 1 && (w->bytes > max_bytes || !mergeable(trim, w, p, &w->seg[w->seg_nr - 2],
								 &w->seg[w->seg_nr - 1]))) {
		w->seg_nr--;
		if (window_close(m))
			return true;
		w->seg_nr++;
		window_keep_last(w);
		m->at = seg->start;
	}
	return w->seg_nr == MERGE_SEGS || w->ver_nr + MERGE_LAYERS > MERGE_VERS;
}

/* Find what to do next: m->op and its segments, or MERGE_NONE and m->at where to go on (m->end: the
 * array is done). */
static int
plan(struct vos_merge *m)
{
	struct vos_trim *trim = m->trim;
	struct heap *heap = trim->cont->pool->heap;
	struct window *w = &m->w;
	struct vos_seg_iter it;
	struct vos_punches p;
	struct vos_seg seg;
	bool fit, stop = false;
	struct vos_krec k;
	uint32_t scan;
	int rc;

	m->op = MERGE_NONE;
	m->at = trim->pos.merge_at;
	window_clear(w);
	rc = vos_cont_check(trim->cont);
	if (rc == 0)
		rc = locate(m, &k, &p);
	if (rc != 0)
		return rc;
	m->end = k.off == 0;
	if (m->end)
		return 0;
	rc = vos_seg_iter_init(&it, heap, &k);
	if (rc == 0)
		rc = vos_seg_iter_seek(&it, BTREE_GE, m->at);
	for (scan = 0; rc == 0 && !stop && scan < MERGE_SCAN; scan++) {
		rc = vos_seg_iter_get(&it, &seg);
		if (rc == 0 && m->force != 0 && seg.start >= m->force_end)
			break;
		if (rc == 0)
			rc = window_add(trim, w, &seg, &fit);
		if (rc != 0)
			break;
		stop = plan_seg(m, &p, &seg, fit);
		if (!stop)
			rc = vos_seg_iter_next(&it);
	}
	vos_seg_iter_fini(&it);
	if (rc != 0 && rc != -DER_NONEXIST)
		return rc;
	if (m->op != MERGE_NONE || (stop && w->seg_nr == 0))
		return 0;
	if (window_close(m))
		return 0;
	if (m->force != 0 && (rc != 0 || scan == 0 || seg.start >= m->force_end)) {
		/* compacted; now its users may merge like others */
		m->force = 0;
		m->at = m->force_at;
		return 0;
	}
	m->end = rc == -DER_NONEXIST;
	if (!stop && w->seg_nr != 0 && w->seg[0].start > trim->pos.merge_at)
		m->at = w->seg[0].start; /* the window may go on */
	else if (w->seg_nr != 0)
		m->at = w->seg[w->seg_nr - 1].start + w->seg[w->seg_nr - 1].len;
	return 0;
}

/* --- doing it
 * ------------------------------------------------------------------------------------------- */

static const struct mseg *
group_seg(const struct vos_merge *m, uint32_t i)
{
	return &m->w.seg[m->lo + i];
}

static const struct mver *
group_ver(const struct vos_merge *m, uint32_t i, uint32_t layer)
{
	return &m->w.ver[group_seg(m, i)->ver + layer];
}

/* What each layer of the group will be. */
static void
layers_init(struct vos_merge *m)
{
	uint32_t i, l;

	for (l = 0; l < group_seg(m, 0)->nr; l++) {
		const struct mver *first = group_ver(m, 0, l);
		struct layer *ly = &m->layer[l];

		*ly = (struct layer){
		    .ord = vos_ver_ord(&first->df),
		    .oldest = vos_ver_ord(&first->df),
		    .rec_size = first->df.rec_size,
		};
		for (i = 0; i < m->nr; i++) {
			const struct mver *v = group_ver(m, i, l);
			struct vos_ord ord = vos_ver_ord(&v->df);

			if (vos_ord_cmp(ord, ly->ord) > 0)
				ly->ord = ord;
			if (vos_ord_cmp(ord, ly->oldest) < 0)
				ly->oldest = ord;
			ly->bytes += ver_bytes(v, group_seg(m, i)->len);
		}
		ly->kind = first->df.kind == VOS_VER_PUNCH             ? VOS_VER_PUNCH
			   : vos_goes_inline(m->trim->cont, ly->bytes) ? VOS_VER_INLINE
								       : VOS_VER_NVME;
	}
}

static void
layers_fini(struct vos_merge *m)
{
	struct vos_pool *pool = m->trim->cont->pool;
	uint32_t l;

	for (l = 0; l < MERGE_LAYERS; l++) {
		struct layer *ly = &m->layer[l];

		if (ly->reserved && !ly->published)
			space_cancel(pool->space, &ly->ext);
		free(ly->buf);
		free(ly->sum);
		*ly = (struct layer){0};
	}
	free(m->sums);
	m->sums = NULL;
	free(m->span);
	m->span = NULL;
}

/* Where the bytes of a version are. */
static void
storage_of(const struct mver *v, uint8_t *ret_kind, uint64_t *ret_addr)
{
	bool counted = v->df.kind == VOS_VER_COUNTED;

	*ret_kind = counted ? v->ext.kind : v->df.kind;
	*ret_addr = counted ? v->ext.addr : v->df.addr;
}

/* The stored bytes that the checksums of a part cover do not agree. */
static int
damaged(struct vos_merge *m, uint32_t i, uint32_t l, uint64_t bad, uint64_t bad_nr, uint64_t span)
{
	const struct vos_trim_level *lv = m->trim->pos.level;
	const struct mver *v = group_ver(m, i, l);
	const struct vos_keybuf *dkey = &lv[VOS_TRIM_DKEY].key, *akey = &lv[VOS_TRIM_AKEY].key;
	struct vos_csum_event ev = {
	    .found = VOS_CSUM_MERGE,
	    .dkey = {.iov_buf = dkey->buf, .iov_len = dkey->len, .iov_buf_len = dkey->len},
	    .akey = {.iov_buf = akey->buf, .iov_len = akey->len, .iov_buf_len = akey->len},
	    .recx = {.rx_idx = bad, .rx_nr = bad_nr},
	    .epoch = v->df.epoch,
	    .dev_off = span + (bad - (group_seg(m, i)->start - v->pre)) * v->df.rec_size,
	};
	uint64_t addr;
	uint8_t kind;

	storage_of(v, &kind, &addr);
	ev.nvme = kind == VOS_VER_NVME;
	vos_oid_decode(lv[VOS_TRIM_OBJ].key.buf, &ev.oid);
	vos_csum_report(m->trim->cont, &ev);
	return -DER_CSUM;
}

/* Compare what is at `p`, all that the checksums of a part cover. */
static int
part_check(struct vos_merge *m, uint32_t i, uint32_t l, void *p, const uint8_t *sum, uint64_t at)
{
	struct vos_cont *cont = m->trim->cont;
	const struct mseg *s = group_seg(m, i);
	const struct mver *v = group_ver(m, i, l);
	uint64_t nr = v->pre + s->len + v->post, bad, bad_nr;
	struct iovec iov = {p, nr * v->df.rec_size};
	struct iov_iter it;

	iov_iter_init(&it, &iov, 1);
	cont->pool->csum_stats.checked_bytes += iov.iov_len;
	if (vos_sums_check(cont, s->start - v->pre, nr, v->df.rec_size, &it, sum, &bad, &bad_nr))
		return 0;
	return damaged(m, i, l, bad, bad_nr, at);
}

static uint64_t
span_bytes(const struct mver *v, uint64_t len)
{
	return (v->pre + len + v->post) * v->df.rec_size;
}

/* Copy what lies in the heap, and the checksums of what does not. One turn. */
static int
copy_inline(struct vos_merge *m)
{
	struct vos_cont *cont = m->trim->cont;
	struct heap *heap = cont->pool->heap;
	uint64_t addr, bytes, at = 0;
	struct vos_sums sums;
	uint32_t i, l;
	uint8_t kind;
	int rc = 0;

	for (l = 0; l < group_seg(m, 0)->nr; l++) {
		uint8_t *dst = m->layer[l].buf, *src;

		for (i = 0; i < m->nr; i++, dst += bytes) {
			const struct mseg *s = group_seg(m, i);
			const struct mver *v = group_ver(m, i, l);
			uint64_t before = v->pre * v->df.rec_size;

			bytes = ver_bytes(v, s->len);
			if (bytes == 0)
				continue;
			rc = vos_sums_get(heap, cont, &v->df, s->start, s->len, &sums);
			if (rc != 0)
				return rc;
			storage_of(v, &kind, &addr);
			if (kind != VOS_VER_INLINE) {
				if (sums.sum != NULL)
					memcpy(m->sums + at, sums.sum, sums.nr * cont->csum.len);
				at += sums.nr * cont->csum.len;
				continue;
			}
			addr += v->df.ext_off - before;
			src = heap_try(heap, addr, span_bytes(v, s->len));
			if (src == NULL)
				return HEAP_MISS;
			if (sums.sum != NULL)
				rc = part_check(m, i, l, src, sums.sum, addr);
			if (rc != 0)
				return rc;
			memcpy(dst, src + before, bytes);
		}
	}
	return 0;
}

/* Read one part; with checksums all that they cover, and compare. */
static int co_fn
read_part(struct vos_merge *m, uint32_t i, uint32_t l, uint8_t *dst, const uint8_t *sum)
{
	struct data *data = m->trim->cont->pool->data;
	const struct mver *v = group_ver(m, i, l);
	uint64_t len = group_seg(m, i)->len, before = v->pre * v->df.rec_size, addr;
	uint64_t span = span_bytes(v, len);
	bool more = v->pre + v->post != 0;
	uint8_t *p = more ? m->span : dst, kind;
	int rc;

	storage_of(v, &kind, &addr);
	addr = addr * SPACE_BLOCK + v->df.ext_off - before;
	rc = data_read(data, addr, p, span);
	if (rc == 0 && sum != NULL)
		rc = part_check(m, i, l, p, sum, addr);
	if (rc == 0 && more)
		memcpy(dst, p + before, ver_bytes(v, len));
	return rc;
}

static int co_fn
read_blocks(struct vos_merge *m)
{
	const struct vos_cont *cont = m->trim->cont;
	const uint8_t *sum = m->sums;
	uint64_t addr, bytes;
	uint32_t i, l;
	uint8_t kind;
	int rc = 0;

	for (l = 0; l < group_seg(m, 0)->nr; l++) {
		uint8_t *dst = m->layer[l].buf;

		for (i = 0; rc == 0 && i < m->nr; i++, dst += bytes) {
			const struct mseg *s = group_seg(m, i);
			const struct mver *v = group_ver(m, i, l);

			bytes = ver_bytes(v, s->len);
			storage_of(v, &kind, &addr);
			if (bytes == 0 || kind != VOS_VER_NVME)
				continue;
			rc = read_part(m, i, l, dst, sum);
			if (sum != NULL)
				sum += vos_sums_bytes(cont, s->start - v->pre,
						      v->pre + s->len + v->post, v->df.rec_size);
		}
	}
	return rc;
}

/* Memory for the checksums that are stored, and those that will be. */
static int
sums_alloc(struct vos_merge *m)
{
	const struct vos_cont *cont = m->trim->cont;
	uint64_t stored = 0, span = 0, nr = 0;
	uint32_t i, l;

	for (i = 0; i < m->nr; i++)
		nr += group_seg(m, i)->len;
	for (l = 0; l < group_seg(m, 0)->nr; l++) {
		struct layer *ly = &m->layer[l];

		if (ly->kind == VOS_VER_PUNCH)
			continue;
		for (i = 0; i < m->nr; i++) {
			const struct mseg *s = group_seg(m, i);
			const struct mver *v = group_ver(m, i, l);
			uint64_t bytes = span_bytes(v, s->len);

			stored += vos_sums_bytes(cont, s->start - v->pre, v->pre + s->len + v->post,
						 v->df.rec_size);
			if (v->pre + v->post != 0 && bytes > span)
				span = bytes;
		}
		ly->sum_bytes = vos_sums_bytes(cont, group_seg(m, 0)->start, nr, ly->rec_size);
		ly->sum = mem_alloc(ly->sum_bytes);
		if (ly->sum == NULL)
			return -DER_NOMEM;
	}
	m->sums = stored == 0 ? NULL : mem_alloc(stored);
	m->span = span == 0 ? NULL : mem_alloc(span);
	return (stored != 0 && m->sums == NULL) || (span != 0 && m->span == NULL) ? -DER_NOMEM : 0;
}

/* Checksums of the layers as they will be. */
static void
sums_make(struct vos_merge *m)
{
	struct vos_cont *cont = m->trim->cont;
	uint32_t l;

	for (l = 0; l < group_seg(m, 0)->nr; l++) {
		struct layer *ly = &m->layer[l];
		struct iovec iov = {ly->buf, ly->bytes};
		struct iov_iter it;

		if (ly->sum == NULL)
			continue;
		iov_iter_init(&it, &iov, 1);
		cont->pool->csum_stats.made_bytes += ly->bytes;
		vos_sums_make(cont, group_seg(m, 0)->start, ly->bytes / ly->rec_size, ly->rec_size,
			      &it, ly->sum);
	}
}

/* Blocks for what goes to the NVMe tier. */
static int co_fn
reserve_blocks(struct vos_merge *m)
{
	struct vos_pool *pool = m->trim->cont->pool;
	uint32_t l;
	int rc = 0;

	for (l = 0; rc == 0 && l < group_seg(m, 0)->nr; l++) {
		struct layer *ly = &m->layer[l];

		if (ly->kind != VOS_VER_NVME)
			continue;
		do
			rc = space_reserve(pool->space, blocks_of(ly->bytes), 0,
					   SPACE_CONTIG | SPACE_RECLAIM, &ly->ext);
		while (heap_retry(pool->heap, &rc));
		ly->reserved = rc == 0;
	}
	return rc;
}

/* Have the bytes of the group in memory. The heap must not have changed since the plan: called in
 * the same turn. */
static int co_fn
gather(struct vos_merge *m)
{
	struct vos_pool *pool = m->trim->cont->pool;
	struct space_hold hold;
	uint32_t l;
	int rc;

	for (l = 0; l < group_seg(m, 0)->nr; l++) {
		struct layer *ly = &m->layer[l];

		if (ly->kind == VOS_VER_PUNCH)
			continue;
		ly->buf = mem_alloc(blocks_of(ly->bytes) * SPACE_BLOCK);
		if (ly->buf == NULL)
			return -DER_NOMEM;
	}
	rc = m->trim->cont->csum.len == 0 ? 0 : sums_alloc(m);
	if (rc != 0)
		return rc;
	if (pool->space != NULL)
		space_hold(pool->space, &hold);
	rc = copy_inline(m);
	if (rc == 0)
		rc = read_blocks(m);
	if (pool->space != NULL)
		space_release(pool->space, &hold);
	if (rc == 0)
		sums_make(m);
	return rc;
}

static int co_fn
write_blocks(struct vos_merge *m)
{
	struct vos_pool *pool = m->trim->cont->pool;
	uint32_t l;
	int rc = 0;

	for (l = 0; rc == 0 && l < group_seg(m, 0)->nr; l++) {
		struct layer *ly = &m->layer[l];
		struct iovec iov = {ly->buf, ly->bytes};

		if (ly->kind == VOS_VER_NVME)
			rc = data_write(pool->data, ly->ext.blk, &iov, 1);
	}
	return rc;
}

/* Is the group still there as it was planned, and may it still merge? */
static int
unchanged(struct vos_merge *m, struct vos_tx *t, const struct vos_krec *k,
	  const struct vos_punches *p)
{
	struct window *now = &m->now;
	struct vos_seg seg;
	uint32_t i, l;
	bool fit;
	int rc;

	window_clear(now);
	for (i = 0; i < m->nr; i++) {
		const struct mseg *was = group_seg(m, i), *s = &now->seg[i];

		rc = vos_seg_find(t->heap, k, BTREE_EQ, was->start, &seg);
		if (rc == 0)
			rc = window_add(m->trim, now, &seg, &fit);
		if (rc == -DER_NONEXIST || (rc == 0 && !fit))
			return -DER_TX_RESTART;
		if (rc != 0)
			return rc;
		if (s->len != was->len || s->nr != was->nr)
			return -DER_TX_RESTART;
		for (l = 0; l < s->nr; l++) {
			const struct mver *a = &now->ver[s->ver + l], *b = group_ver(m, i, l);

			if (memcmp(&a->df, &b->df, sizeof(a->df)) != 0 || a->off != b->off)
				return -DER_TX_RESTART;
		}
		if (i > 0 && !mergeable(m->trim, now, p, &now->seg[i - 1], s))
			return -DER_TX_RESTART;
	}
	return 0;
}

/* The storage of a layer in the new segment, in place of what its parts had. */
static int
layer_rewrite(struct vos_merge *m, struct vos_tx *t, struct layer *ly, struct vos_ver_df *df)
{
	int rc = 0;

	df->ext_off = 0;
	df->kind = ly->kind;
	df->addr = 0;
	if (ly->kind == VOS_VER_INLINE) {
		rc = heap_alloc(t->tx, ly->bytes, 0, &df->addr);
		if (rc == 0)
			memcpy(heap_ptr(t->heap, df->addr), ly->buf, ly->bytes);
	} else if (ly->kind == VOS_VER_NVME) {
		rc = space_publish(t->tx, t->pool->space, &ly->ext);
		ly->published = rc == 0;
		df->addr = ly->ext.blk;
	}
	return rc;
}

/* A counted extent becomes its only user's own; blocks that it does not show come back. */
static int
layer_own(struct vos_tx *t, const struct mver *v, uint64_t len, struct vos_ver_df *df)
{
	uint64_t head = v->df.ext_off / SPACE_BLOCK, end, had;
	bool counted = v->df.kind == VOS_VER_COUNTED;
	struct space_ext dead;
	uint64_t addr;
	int rc = 0;

	if (counted && v->ext.refs != 1)
		return 0;
	storage_of(v, &df->kind, &addr);
	df->addr = addr;
	if (counted)
		rc = heap_free(t->tx, v->df.addr);
	if (rc != 0 || df->kind != VOS_VER_NVME)
		return rc;
	end = blocks_of(v->df.ext_off + ver_bytes(v, len));
	had = counted ? v->ext.blk_nr : blocks_of(v->df.ext_off + (len + v->post) * v->df.rec_size);
	df->addr += head;
	df->ext_off %= SPACE_BLOCK;
	dead = (struct space_ext){.blk = addr, .blk_nr = head};
	if (head != 0)
		rc = vos_blocks_free(t, &dead);
	dead = (struct space_ext){.blk = addr + end, .blk_nr = had - end};
	if (rc == 0 && had > end)
		rc = vos_blocks_free(t, &dead);
	return rc;
}

/* One layer of the group. The records of the first segment stay, those of the others go. */
static int
merge_layer(struct vos_merge *m, struct vos_tx *t, uint32_t l, struct vos_seg *seg)
{
	struct layer *ly = &m->layer[l];
	const struct mver *first = &m->now.ver[m->now.seg[0].ver + l];
	struct vos_sums sums = {.sum = ly->sum};
	struct vos_ver_df df = first->df;
	uint32_t i;
	int rc = 0;

	if (ly->sum != NULL)
		sums.nr = ly->sum_bytes / t->cont->csum.len;
	df.epoch = ly->ord.epoch;
	df.op = ly->ord.op;
	vos_dropped(t, ly->oldest.epoch, ly->ord.epoch);
	if (m->op == MERGE_REWRITE)
		rc = layer_rewrite(m, t, ly, &df);
	else if (m->op == MERGE_OWN)
		rc = layer_own(t, first, seg->df.len, &df);
	for (i = 0; rc == 0 && i < m->nr; i++) {
		const struct mver *v = &m->now.ver[m->now.seg[i].ver + l];

		if (m->op == MERGE_REWRITE)
			rc = vos_ver_free(t, &v->df, m->now.seg[i].len);
		else if (i > 0 && v->df.kind == VOS_VER_COUNTED)
			rc = vos_ver_free(t, &v->df, m->now.seg[i].len);
		else
			rc = vos_sums_free(t, &v->df);
		if (rc == 0 && i > 0)
			rc = heap_free(t->tx, v->off);
	}
	if (rc == 0)
		rc = vos_sums_set(t, &df, &sums);
	if (rc != 0)
		return rc;
	if (first->off == 0) {
		seg->df.ver = df;
		return 0;
	}
	return heap_tx_write(t->tx, first->off, &df, sizeof(df));
}

static int
swap_tx(struct vos_tx *t, void *arg)
{
	struct vos_merge *m = arg;
	struct vos_punches p;
	struct vos_krec k;
	struct vos_seg seg;
	uint32_t i, l;
	int rc;

	for (l = 0; l < MERGE_LAYERS; l++)
		m->layer[l].published = false;
	rc = locate(m, &k, &p);
	if (rc == 0)
		rc = k.off == 0 ? -DER_TX_RESTART : unchanged(m, t, &k, &p);
	if (rc == 0)
		rc = vos_seg_find(t->heap, &k, BTREE_EQ, group_seg(m, 0)->start, &seg);
	for (l = 0; rc == 0 && l < group_seg(m, 0)->nr; l++)
		rc = merge_layer(m, t, l, &seg);
	for (i = 1; rc == 0 && i < m->nr; i++) {
		rc = vos_seg_del(t, k.off, group_seg(m, i)->start);
		seg.df.len += group_seg(m, i)->len;
	}
	if (rc == 0)
		rc = vos_seg_put(t, k.off, &seg);
	return rc != 0 || m->nr == 1 ? rc : vos_seg_fold(t, k.off);
}

static int co_fn
swap(struct vos_merge *m)
{
	struct vos_tx_args args = {
	    .pool = m->trim->cont->pool,
	    .cont = m->trim->cont,
	    .log_bytes = (64 << 10) + m->nr * 1024ull,
	    .heap_bytes = 4096,
	    .flags = HEAP_RESV_RECLAIM,
	    .trim = true,
	    .below = m->trim->below,
	    .fn = swap_tx,
	    .arg = m,
	};
	uint32_t l;
	int rc;

	for (l = 0; l < group_seg(m, 0)->nr; l++) {
		const struct layer *ly = &m->layer[l];

		if (m->op == MERGE_REWRITE && ly->kind == VOS_VER_INLINE) {
			args.log_bytes += ly->bytes + 1024;
			args.heap_bytes += heap_alloc_size(ly->bytes);
		}
		if (ly->sum != NULL) {
			args.log_bytes += ly->sum_bytes + 256;
			args.heap_bytes +=
			    heap_alloc_size(sizeof(struct vos_csum_df) + ly->sum_bytes);
		}
	}
	rc = vos_tx_run(&args);
	for (l = 0; !args.committed && l < MERGE_LAYERS; l++)
		m->layer[l].published = false;
	return rc;
}

/* Plan, and have what must be copied in memory. */
static int co_fn
prepare(struct vos_merge *m)
{
	int rc;

	do {
		layers_fini(m);
		rc = plan(m);
		if (rc != 0 || m->op == MERGE_NONE)
			continue;
		layers_init(m);
		if (m->op == MERGE_REWRITE || m->trim->cont->csum.len != 0)
			rc = gather(m);
	} while (heap_retry(m->trim->cont->pool->heap, &rc));
	return rc;
}

static void
account(const struct vos_merge *m)
{
	struct vos_pool *pool = m->trim->cont->pool;
	uint32_t l;

	pool->merged_nr += m->nr;
	for (l = 0; l < MERGE_LAYERS; l++)
		if (m->op == MERGE_REWRITE && m->layer[l].buf != NULL)
			pool->merged_bytes += m->layer[l].bytes;
}

/* Why one group could not merge, and the work can go on elsewhere. */
static bool
passing(int rc)
{
	return rc == -DER_TX_RESTART || rc == -DER_NOSPACE;
}

/* What cannot be read, or is not what was written, stays as it is. */
static bool
unreadable(int rc)
{
	return rc == -DER_IO || rc == -DER_CSUM;
}

int co_fn
vos_merge_step(struct vos_trim *trim)
{
	struct vos_merge *m = trim->merge;
	struct vos_trim_pos *pos = &trim->pos;
	uint64_t behind;
	int rc;

	if (m == NULL) {
		m = mem_new(struct vos_merge);
		if (m == NULL)
			return -DER_NOMEM;
		m->trim = trim;
		trim->merge = m;
	}
	rc = prepare(m);
	if (m->op == MERGE_NONE) {
		if (rc == 0 && m->end) {
			pos->merge = false;
			pos->merged = true;
			trim->incomplete |= m->incomplete;
			free(m);
			trim->merge = NULL;
		} else {
			pos->merge_at = m->at;
		}
		return rc;
	}
	behind = group_seg(m, m->nr - 1)->start + group_seg(m, m->nr - 1)->len;
	if (unreadable(rc)) {
		log_every(60000, LOG_LVL_WARN, "extents not merged: " ERR_F, ERR_P(rc));
		layers_fini(m);
		m->incomplete = true;
		pos->merge_at = behind;
		return 0;
	}
	if (rc == 0 && m->op == MERGE_REWRITE) {
		rc = reserve_blocks(m);
		if (rc == 0)
			rc = write_blocks(m);
	}
	if (rc == 0)
		rc = swap(m);
	if (rc == 0)
		account(m);
	layers_fini(m);
	if (rc == 0 && m->op != MERGE_REWRITE)
		pos->merge_at = m->w.seg[0].start;
	else if (rc == 0 || passing(rc))
		pos->merge_at = behind;
	if (passing(rc)) {
		m->incomplete |= rc == -DER_NOSPACE;
		rc = 0;
	}
	return rc;
}

void
vos_merge_destroy(struct vos_merge *m)
{
	if (m == NULL)
		return;
	layers_fini(m);
	free(m);
}
