/*
 * Verification: walks everything a pool holds and checks every invariant, then asks heap and space
 * whether exactly what was found is allocated.
 *
 * Checked: record kinds and lengths; keys only where they belong; order of versions and punches;
 * segments that do not overlap; epochs of keys not below what is beneath them; reference counts of
 * shared extents; no storage used twice, none leaked; that containers count exactly what they use.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_dtx.h"

#include "base/log.h"

enum { VERIFY_TRIES = 32 };

/* Growing array of u64 pairs. */
struct pairs {
	struct pair {
		uint64_t a, b;
	} * v;
	uint64_t nr, cap;
};

struct verify {
	struct vos_pool *pool;
	struct heap *heap;
	struct pairs objs;    /* heap offset, container (0: the pool) */
	struct pairs runs;    /* first block, number */
	struct pairs exts;    /* shared extents: offset, end of the part used */
	struct vos_cont conf; /* of the container under way: what its checksums are */
	uint64_t nr;          /* unused */
	struct account {
		uint64_t off; /* of the vos_cont_df */
		uint64_t scm, nvme;
		uint64_t scm_said, nvme_said;
	} * accounts; /* of containers; the last one is under way */
	uint32_t account_nr;
	bool in_cont;
};

static int
pairs_add(struct pairs *p, uint64_t a, uint64_t b)
{
	if (p->nr == p->cap) {
		uint64_t cap = p->cap == 0 ? 256 : p->cap * 2;
		void *v = mem_realloc(p->v, cap, sizeof(*p->v));

		if (v == NULL)
			return -DER_NOMEM;
		p->v = v;
		p->cap = cap;
	}
	p->v[p->nr++] = (struct pair){a, b};
	return 0;
}

static int
pair_cmp(const void *x, const void *y)
{
	const struct pair *a = x, *b = y;

	if (a->a != b->a)
		return a->a < b->a ? -1 : 1;
	return a->b < b->b ? -1 : a->b > b->b;
}

static int
first_cmp(const void *x, const void *y)
{
	const struct pair *a = x, *b = y;

	return a->a < b->a ? -1 : a->a > b->a;
}

static void
pairs_sort(struct pairs *p)
{
	if (p->nr != 0)
		qsort(p->v, p->nr, sizeof(*p->v), pair_cmp);
}

static int __attribute__((format(printf, 2, 3))) bad(uint64_t off, const char *fmt, ...)
{
	char text[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_err("heap offset %#llx: %s", (unsigned long long)off, text);
	return -DER_CSUM;
}

static int
saw_obj(struct verify *v, uint64_t off)
{
	return pairs_add(&v->objs, off, v->in_cont ? v->account_nr : 0);
}

static int
saw_node(void *arg, uint64_t off)
{
	return saw_obj(arg, off);
}

static int
saw_run(struct verify *v, uint64_t blk, uint64_t nr)
{
	if (v->pool->space == NULL || nr == 0)
		return -DER_CSUM;
	if (v->in_cont)
		v->accounts[v->account_nr - 1].nvme += nr * SPACE_BLOCK;
	return pairs_add(&v->runs, blk, nr);
}

/* --- values ----------------------------------------------------------------------------------- */

/* The history of a value; *older becomes its first version. */
static int
verify_hist(struct verify *v, const struct vos_krec *akey, uint64_t *older)
{
	struct vos_hist h = {.heap = v->heap, .akey = akey, .older = *older};
	int rc;

	rc = vos_hist_verify(&h, saw_node, v);
	return rc != 0 ? rc : vos_hist_first(v->heap, *older, older);
}

static int
verify_single(struct verify *v, const struct vos_krec *k)
{
	struct vos_ord prev = {UINT64_MAX, UINT32_MAX};
	struct vos_sv sv;
	const struct vos_run_df *run;
	uint64_t off, bytes;
	uint32_t i, nr;
	bool first = true;
	int rc;

	for (off = k->child; off != 0; off = sv.older) {
		struct vos_ord ord;

		rc = vos_sv_get(v->heap, k, off, &sv);
		if (rc == 0 && first)
			rc = verify_hist(v, k, &sv.older);
		if (rc != 0)
			return rc;
		first = false;
		ord = vos_sv_ord(&sv);
		if (vos_ord_cmp(ord, prev) >= 0)
			return bad(off, "versions of a value out of order");
		if (sv.epoch > k->upd_epoch)
			return bad(off, "version newer than its key says");
		if (sv.kind != VOS_VER_PUNCH && sv.sum_len != v->conf.csum.len)
			return bad(off, "value with a checksum of another type");
		prev = ord;
		rc = k->fold_top != 0 ? 0 : saw_obj(v, off);
		if (rc != 0)
			return rc;
		if (sv.kind == VOS_VER_INLINE && sv.size > sv.cap)
			return bad(off, "value longer than its room");
		if (sv.kind != VOS_VER_NVME && sv.kind != VOS_VER_LIST)
			continue;
		run = vos_sv_runs(&sv, &nr);
		for (i = 0, bytes = 0; i < nr; i++) {
			bytes += run[i].blk_nr * SPACE_BLOCK;
			rc = saw_run(v, run[i].blk, run[i].blk_nr);
			if (rc != 0)
				return rc;
		}
		if (bytes < sv.size || bytes >= sv.size + SPACE_BLOCK)
			return bad(off, "value of %llu bytes in %llu bytes of blocks",
				   (unsigned long long)sv.size, (unsigned long long)bytes);
	}
	return 0;
}

static int
verify_ver(struct verify *v, const struct vos_krec *k, const struct vos_ver_df *ver, uint64_t start,
	   uint64_t len, uint64_t at)
{
	uint64_t end, before;
	struct vos_sums sums;
	int rc;

	rc = vos_sums_get(v->heap, &v->conf, ver, start, len, &sums);
	if (rc == 0 && vos_sums_off(ver) != 0)
		rc = saw_obj(v, vos_sums_off(ver));
	if (rc != 0)
		return rc;
	if (ver->kind != VOS_VER_PUNCH && (sums.sum != NULL) != (v->conf.csum.len != 0))
		return bad(at, "segment with checksums where there are none, or without");
	before = sums.pre * ver->rec_size;
	end = ver->ext_off + (len + sums.post) * ver->rec_size;
	if (before > ver->ext_off)
		return bad(at, "checksums cover more than is stored");
	switch (ver->kind) {
	case VOS_VER_PUNCH:
		return 0;
	case VOS_VER_INLINE:
		return k->fold_top != 0 ? 0 : saw_obj(v, ver->addr);
	case VOS_VER_NVME:
		if (ver->ext_off - before >= SPACE_BLOCK)
			return bad(at, "segment begins beyond its first block");
		return saw_run(v, ver->addr, (end + SPACE_BLOCK - 1) / SPACE_BLOCK);
	case VOS_VER_COUNTED:
		return pairs_add(&v->exts, ver->addr, end);
	default:
		return bad(at, "segment version of kind %u", ver->kind);
	}
}

static int
verify_seg(struct verify *v, const struct vos_krec *k, const struct vos_seg *seg)
{
	struct vos_ver_df ver = seg->df.ver;
	struct vos_ord prev = {UINT64_MAX, UINT32_MAX};
	uint64_t at = seg->off;
	int rc;

	rc = verify_hist(v, NULL, &ver.older);
	if (rc != 0)
		return rc;
	for (;;) {
		if (vos_ord_cmp(vos_ver_ord(&ver), prev) >= 0)
			return bad(at, "versions of a segment out of order");
		if (ver.epoch > k->upd_epoch)
			return bad(at, "segment newer than its key says");
		if (ver.kind != VOS_VER_PUNCH && ver.rec_size == 0)
			return bad(at, "segment of records without a size");
		prev = vos_ver_ord(&ver);
		rc = verify_ver(v, k, &ver, seg->start, seg->df.len, at);
		if (rc != 0 || ver.older == 0)
			return rc;
		at = ver.older;
		if (heap_try(v->heap, at, sizeof(ver)) == NULL)
			return HEAP_MISS;
		memcpy(&ver, heap_ptr(v->heap, at), sizeof(ver));
		rc = saw_obj(v, at);
		if (rc != 0)
			return rc;
	}
}

static int
verify_array(struct verify *v, const struct vos_krec *k)
{
	struct vos_seg_iter it;
	struct vos_seg seg;
	uint64_t end = 0;
	int rc;

	rc = k->fold_top != 0 ? 0 : saw_obj(v, k->child);
	if (rc == 0 && k->tag == VOS_CHILD_TREE)
		rc = btree_verify(btree_at(v->heap, k->child), saw_node, v, &v->nr);
	if (rc != 0)
		return rc;
	rc = vos_seg_iter_init(&it, v->heap, k);
	if (rc == 0)
		rc = vos_seg_iter_seek(&it, BTREE_FIRST, 0);
	if (rc == -DER_NONEXIST)
		rc = bad(k->child, "empty map of segments");
	while (rc == 0) {
		rc = vos_seg_iter_get(&it, &seg);
		if (rc == 0 && seg.start < end)
			rc = bad(seg.off, "segments overlap");
		if (rc == 0)
			rc = verify_seg(v, k, &seg);
		end = seg.start + seg.df.len;
		if (rc == 0) {
			rc = vos_seg_iter_next(&it);
			if (rc == -DER_NONEXIST) {
				rc = 0;
				break;
			}
		}
	}
	vos_seg_iter_fini(&it);
	return rc;
}

/* --- keys ---------------------------------------------------------------------------------------
 */

static int
verify_punches(struct verify *v, const struct vos_krec *k)
{
	const struct vos_punches_df *list;
	struct vos_ord prev = {UINT64_MAX, UINT32_MAX};
	uint32_t i;
	int rc;

	rc = vos_punches_get(v->heap, k, &list);
	if (rc != 0 || list == NULL)
		return rc;
	if (list->nr == 0)
		return bad(k->punch, "empty list of punches");
	for (i = 0; i < list->nr; i++) {
		struct vos_ord ord = {list->ord[i].epoch, list->ord[i].op};

		if (vos_ord_cmp(ord, prev) >= 0)
			return bad(k->punch, "punches out of order");
		if (ord.epoch > k->chg_epoch)
			return bad(k->punch, "punch newer than its key says");
		prev = ord;
	}
	return saw_obj(v, k->punch);
}

static int verify_key(struct verify *v, uint64_t off, enum vos_key_kind kind, daos_obj_id_t oid,
		      const struct vos_krec *parent);

static int
verify_children(struct verify *v, uint64_t off, const struct vos_krec *k, enum vos_key_kind kind,
		daos_obj_id_t oid)
{
	enum btree_kind tree = kind == VOS_KEY_OBJ ? vos_dkey_kind(oid) : vos_akey_kind(oid);
	enum vos_key_kind child_kind = kind == VOS_KEY_OBJ ? VOS_KEY_DKEY : VOS_KEY_AKEY;
	struct vos_iter it;
	struct vos_key key;
	uint64_t child;
	int rc = 0;

	if (k->tag == VOS_CHILD_TREE) {
		rc = saw_obj(v, k->child);
		if (rc == 0)
			rc = btree_verify(vos_key_tree(v->heap, k->child), saw_node, v, &v->nr);
	}
	if (rc != 0)
		return rc;
	rc = vos_iter_init(&it, v->heap, off, kind, tree);
	if (rc == 0)
		rc = vos_iter_seek(&it, BTREE_FIRST, NULL);
	if (rc == -DER_NONEXIST)
		rc = bad(off, "key with an empty set of children");
	while (rc == 0) {
		rc = vos_iter_get(&it, &key, NULL, &child);
		if (rc == 0 && (key.len == 0 || (tree == BTREE_UINT && key.len != 8)))
			rc = bad(child, "key of a wrong length");
		if (rc == 0)
			rc = verify_key(v, child, child_kind, oid, k);
		if (rc == 0) {
			rc = vos_iter_next(&it);
			if (rc == -DER_NONEXIST) {
				rc = 0;
				break;
			}
		}
	}
	vos_iter_fini(&it);
	return rc;
}

static int
verify_key(struct verify *v, uint64_t off, enum vos_key_kind kind, daos_obj_id_t oid,
	   const struct vos_krec *parent)
{
	struct vos_krec k;
	int rc;

	rc = vos_krec_get(v->heap, off, kind, &k);
	if (rc != 0)
		return rc;
	if (k.upd_epoch > k.chg_epoch)
		return bad(off, "key updated after its last change");
	if (parent != NULL && (k.upd_epoch > parent->upd_epoch || k.chg_epoch > parent->chg_epoch))
		return bad(off, "key changed after its parent");
	/* a folded record is one object, seen at its topmost key */
	rc = k.fold_top != 0 && k.fold_top != kind ? 0 : saw_obj(v, off);
	if (rc == 0)
		rc = verify_punches(v, &k);
	if (rc != 0 || k.child == 0)
		return rc;
	if (kind != VOS_KEY_AKEY)
		return verify_children(v, off, &k, kind, oid);
	return k.tag == VOS_CHILD_SV ? verify_single(v, &k) : verify_array(v, &k);
}

/* --- containers
 * ------------------------------------------------------------------------------------ */

static int
verify_objs(struct verify *v, uint64_t cont_off, const struct vos_cont_df *df)
{
	struct btree bt = btree_at(v->heap, cont_off + offsetof(struct vos_cont_df, objs));
	struct vos_krec k;
	struct btree_cursor cur;
	struct btree_key key;
	struct vos_oid oid;
	uint64_t val, off;
	int rc;

	rc = btree_verify(bt, saw_node, v, &v->nr);
	if (rc != 0)
		return rc;
	btree_cursor_init(&cur, bt);
	rc = btree_seek(&cur, BTREE_FIRST, NULL);
	while (rc == 0) {
		rc = btree_cursor_get(&cur, &key, &val);
		if (rc == 0 && key.len != VOS_OID_KEY)
			rc = bad(val, "object id of a wrong length");
		if (rc != 0)
			break;
		vos_oid_decode(key.buf, &oid);
		off = *(uint64_t *)heap_ptr(v->heap, val);
		rc = verify_key(v, off, VOS_KEY_OBJ, oid.id, NULL);
		if (rc != 0)
			break;
		rc = vos_krec_get(v->heap, off, VOS_KEY_OBJ, &k);
		if (rc == 0 && k.chg_epoch > df->max_epoch)
			rc = bad(off, "object changed after its container");
		if (rc == 0)
			rc = btree_next(&cur);
	}
	btree_cursor_fini(&cur);
	return rc == -DER_NONEXIST ? 0 : rc;
}

/* An intent holds its body and blocks, and makes sense. */
static int
verify_intent(struct verify *v, struct vos_cont *cont, const struct vos_dtx_df *df)
{
	struct vos_intent *in;
	uint8_t *body;
	uint32_t i;
	int rc;

	rc = vos_body_load(v->heap, df->body, df->body_bytes, &body);
	if (rc == 0)
		rc = vos_intent_create(cont, &(struct vos_dtx_ref){0}, body, df->body_bytes, &in);
	if (rc != 0)
		return rc;
	rc = vos_body_walk(v->heap, df->body, saw_node, v);
	for (i = 0; rc == 0 && i < in->ext_nr; i++)
		rc = saw_run(v, in->ext[i].blk, in->ext[i].blk_nr);
	vos_intent_put(cont, in);
	return rc;
}

static int
verify_dtxs(struct verify *v, uint64_t off, const struct vos_cont_df *cont_df)
{
	struct btree bt = btree_at(v->heap, off + offsetof(struct vos_cont_df, dtxs));
	struct vos_cont cont = {.pool = v->pool, .refs = 1};
	struct btree_cursor cur;
	struct btree_key key;
	uint64_t val;
	int rc;

	rc = btree_verify(bt, saw_node, v, &v->nr);
	if (rc != 0)
		return rc;
	btree_cursor_init(&cur, bt);
	rc = btree_seek(&cur, BTREE_FIRST, NULL);
	while (rc == 0) {
		const struct vos_dtx_df *df;

		rc = btree_cursor_get(&cur, &key, &val);
		if (rc != 0)
			break;
		df = heap_ptr(v->heap, val);
		if (key.len != VOS_DTX_KEY ||
		    (df->state != VOS_DTX_PREPARED && df->state != VOS_DTX_ABORTED))
			rc = bad(val, "transaction in state %u", df->state);
		else if ((df->state == VOS_DTX_PREPARED) != (df->body != 0))
			rc = bad(val, "transaction in state %u with body %#llx", df->state,
				 (unsigned long long)df->body);
		else if (df->state == VOS_DTX_PREPARED && df->epoch > cont_df->max_epoch)
			rc = bad(val, "transaction newer than its container says");
		else if (df->state == VOS_DTX_PREPARED && df->epoch <= cont_df->agg_epoch)
			rc = bad(val, "intent below the aggregation epoch");
		if (rc == 0 && df->state == VOS_DTX_PREPARED)
			rc = verify_intent(v, &cont, df);
		if (rc == 0)
			rc = btree_next(&cur);
	}
	btree_cursor_fini(&cur);
	return rc == -DER_NONEXIST ? 0 : rc;
}

static int verify_exts(struct verify *v);

static int
account_begin(struct verify *v, uint64_t off, const struct vos_cont_df *df)
{
	void *p = mem_realloc(v->accounts, v->account_nr + 1, sizeof(*v->accounts));

	if (p == NULL)
		return -DER_NOMEM;
	v->accounts = p;
	v->accounts[v->account_nr++] =
	    (struct account){.off = off, .scm_said = df->scm_used, .nvme_said = df->nvme_used};
	v->in_cont = true;
	return 0;
}

static int
verify_cont_in(struct verify *v, uint64_t off)
{
	const struct vos_cont_df *df = heap_try_df(v->heap, off, sizeof(*df));
	const struct vos_keep_df *keep;
	uint64_t i;
	int rc;

	if (df == NULL)
		return HEAP_MISS;
	v->conf.csum.len = csum_len(df->csum_type);
	v->conf.csum_chunk = df->csum_chunk;
	if (v->conf.csum.len == 0 && df->csum_type != 0)
		return bad(off, "no such type of checksums");
	rc = account_begin(v, off, df);
	if (rc == 0)
		rc = saw_obj(v, off);
	if (rc == 0 && df->keep != 0) {
		keep = heap_try_df(v->heap, df->keep, sizeof(*keep));
		if (keep == NULL ||
		    heap_try(v->heap, df->keep, sizeof(*keep) + keep->nr * 8) == NULL)
			return HEAP_MISS;
		for (i = 1; i < keep->nr; i++)
			if (keep->epoch[i] <= keep->epoch[i - 1])
				return bad(df->keep, "kept epochs out of order");
		rc = saw_obj(v, df->keep);
	}
	if (rc == 0)
		rc = btree_verify(btree_at(v->heap, off + offsetof(struct vos_cont_df, opids)),
				  saw_node, v, &v->nr);
	if (rc == 0)
		rc = verify_dtxs(v, off, df);
	return rc != 0 ? rc : verify_objs(v, off, df);
}

static int
verify_cont(struct verify *v, uint64_t off)
{
	int rc;

	v->exts.nr = 0;
	rc = verify_cont_in(v, off);
	if (rc == 0)
		rc = verify_exts(v);
	v->in_cont = false;
	return rc;
}

static int
verify_conts(struct verify *v)
{
	struct vos_pool *pool = v->pool;
	struct btree bt = btree_at(v->heap, pool->df_off + offsetof(struct vos_pool_df, conts));
	struct btree_cursor cur;
	uint64_t val, off;
	int rc;

	rc = btree_verify(bt, saw_node, v, &v->nr);
	if (rc != 0)
		return rc;
	btree_cursor_init(&cur, bt);
	rc = btree_seek(&cur, BTREE_FIRST, NULL);
	while (rc == 0) {
		rc = btree_cursor_get(&cur, NULL, &val);
		if (rc == 0)
			rc = verify_cont(v, *(uint64_t *)heap_ptr(v->heap, val));
		if (rc == 0)
			rc = btree_next(&cur);
	}
	btree_cursor_fini(&cur);
	if (rc != -DER_NONEXIST)
		return rc;
	for (rc = 0, off = pool->df->dying; rc == 0 && off != 0;) {
		const struct vos_cont_df *df = heap_try_df(v->heap, off, sizeof(*df));

		if (df == NULL)
			return HEAP_MISS;
		rc = verify_cont(v, off);
		off = df->dying;
	}
	return rc;
}

/* --- storage
 * ------------------------------------------------------------------------------------------- */

/* Each shared extent of a container once, with as many users as it counts. */
static int
verify_exts(struct verify *v)
{
	uint64_t i, users;
	int rc;

	pairs_sort(&v->exts);
	for (i = 0; i < v->exts.nr; i += users) {
		uint64_t off = v->exts.v[i].a;
		const struct vos_ext_df *ext = heap_try_df(v->heap, off, sizeof(*ext));

		if (ext == NULL)
			return HEAP_MISS;
		for (users = 1; i + users < v->exts.nr && v->exts.v[i + users].a == off; users++)
			;
		if (ext->refs != users)
			return bad(off, "shared extent counts %u users, there are %llu", ext->refs,
				   (unsigned long long)users);
		rc = saw_obj(v, off);
		if (rc != 0)
			return rc;
		if (ext->kind == VOS_VER_NVME) {
			if (v->exts.v[i + users - 1].b > ext->blk_nr * SPACE_BLOCK)
				return bad(off, "shared extent is used beyond its end");
			rc = saw_run(v, ext->addr, ext->blk_nr);
		} else {
			if (v->exts.v[i + users - 1].b > ext->blk_nr)
				return bad(off, "shared data in the heap is used beyond its end");
			rc = saw_obj(v, ext->addr);
		}
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int
no_double_use(struct verify *v)
{
	uint64_t i;

	pairs_sort(&v->objs);
	for (i = 1; i < v->objs.nr; i++)
		if (v->objs.v[i].a == v->objs.v[i - 1].a)
			return bad(v->objs.v[i].a, "heap object used twice");
	pairs_sort(&v->runs);
	for (i = 1; i < v->runs.nr; i++)
		if (v->runs.v[i].a < v->runs.v[i - 1].a + v->runs.v[i - 1].b) {
			log_err("block %llu is used twice", (unsigned long long)v->runs.v[i].a);
			return -DER_CSUM;
		}
	return 0;
}

struct usage {
	struct verify *v;
	uint64_t objs_seen;
	uint64_t blks_seen;
};

static bool
obj_is_used(void *arg, uint64_t off, uint32_t size)
{
	struct usage *u = arg;
	struct pair key = {.a = off}, *found;

	found = u->v->objs.nr == 0
		    ? NULL
		    : bsearch(&key, u->v->objs.v, u->v->objs.nr, sizeof(key), first_cmp);
	if (found == NULL)
		return false;
	u->objs_seen++;
	if (found->b != 0)
		u->v->accounts[found->b - 1].scm += size;
	return true;
}

/* Runs found are disjoint and sorted; neighbours together may make up the allocated run. */
static bool
run_is_used(void *arg, uint64_t blk, uint32_t blk_nr)
{
	struct usage *u = arg;
	const struct pairs *p = &u->v->runs;
	uint64_t lo = 0, hi = p->nr, end = blk + blk_nr, pos = blk;

	while (lo < hi) {
		uint64_t mid = (lo + hi) / 2;

		if (p->v[mid].a + p->v[mid].b <= blk)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; pos < end && lo < p->nr && p->v[lo].a <= pos; lo++)
		pos = p->v[lo].a + p->v[lo].b;
	u->blks_seen += blk_nr;
	return pos >= end;
}

static int co_fn
verify_usage(struct verify *v)
{
	struct usage u = {.v = v};
	uint64_t i, blks = 0;
	int rc;

	rc = heap_verify(v->heap, obj_is_used, &u);
	if (rc != 0)
		return rc;
	if (u.objs_seen != v->objs.nr) {
		log_err("%llu heap objects are referenced, only %llu of them are allocated",
			(unsigned long long)v->objs.nr, (unsigned long long)u.objs_seen);
		return -DER_CSUM;
	}
	if (v->pool->space == NULL)
		return 0;
	rc = space_verify(v->pool->space, run_is_used, &u);
	if (rc != 0)
		return rc;
	for (i = 0; i < v->runs.nr; i++)
		blks += v->runs.v[i].b;
	if (blks != u.blks_seen) {
		log_err("%llu blocks are referenced, %llu are allocated", (unsigned long long)blks,
			(unsigned long long)u.blks_seen);
		return -DER_CSUM;
	}
	return 0;
}

/* What the containers say they use. */
static int
verify_accounts(const struct verify *v)
{
	uint32_t i;

	for (i = 0; i < v->account_nr; i++) {
		const struct account *a = &v->accounts[i];

		if (a->scm != a->scm_said || a->nvme != a->nvme_said)
			return bad(a->off, "container uses %llu + %llu bytes, it says %llu + %llu",
				   (unsigned long long)a->scm, (unsigned long long)a->nvme,
				   (unsigned long long)a->scm_said,
				   (unsigned long long)a->nvme_said);
	}
	return 0;
}

static int
add_own(void *arg, uint64_t off)
{
	struct verify *v = arg;

	return pairs_add(&v->objs, off, 0);
}

static int
verify_walk(struct verify *v)
{
	int rc;

	v->objs.nr = 0;
	v->runs.nr = 0;
	v->exts.nr = 0;
	v->account_nr = 0;
	rc = v->pool->space != NULL ? space_own_objects(v->pool->space, add_own, v) : 0;
	if (rc == 0)
		rc = verify_conts(v);
	return rc != 0 ? rc : no_double_use(v);
}

int co_fn
vos_pool_verify(struct vos_pool *pool)
{
	struct verify v = {.pool = pool, .heap = pool->heap};
	uint64_t seq;
	int tries = 0, rc;

	do {
		do
			rc = verify_walk(&v);
		while (heap_retry(pool->heap, &rc));
		seq = heap_change_seq(pool->heap);
		if (rc == 0)
			rc = verify_usage(&v);
		if (rc == 0)
			rc = verify_accounts(&v);
		/* loading the allocator's maps may have let background work change something
		 * between the walk and them */
	} while (rc == -DER_CSUM && heap_change_seq(pool->heap) != seq && ++tries < VERIFY_TRIES);
	free(v.accounts);
	free(v.objs.v);
	free(v.runs.v);
	free(v.exts.v);
	return rc;
}
