/*
 * Looking inside: walks over all that a pool holds, for tools.
 *
 * Nothing changes in a pool that was opened read_only, so iterators stay good across yields and
 * each step brings in what it misses by itself; records are copied before a callback sees them,
 * because their page may leave memory while it runs.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_inspect.h"

#include "base/log.h"
#include "store/vos/vos_csum.h"
#include "store/vos/vos_internal.h"

/* Repeat an operation that yields nothing until its pages are in memory. */
#define LOADED(heap, rc, call)                                                                     \
	do                                                                                         \
		(rc) = (call);                                                                     \
	while (heap_retry((heap), &(rc)))

struct walk {
	struct vos_pool *pool;
	struct heap *heap;
	const struct vos_inspect_path *path;
	const struct vos_inspect_fns *fns;
	void *arg;
	enum vos_inspect_level down_to;
	uint64_t found_nr;     /* of what the path names */
	struct vos_cont *cont; /* NULL: one being reclaimed; its checksums are not looked at */
	uint64_t bad_nr;       /* values that differ from their checksums */
};

/* Copy bytes out of the heap. */
static int co_fn
take(struct heap *heap, uint64_t off, void *buf, uint64_t len)
{
	uint64_t done, n;
	int rc = 0;

	for (done = 0; rc == 0 && done < len; done += n) {
		n = len - done < VOS_INLINE_MAX ? len - done : VOS_INLINE_MAX;
		rc = heap_fault(heap, off + done, n);
		if (rc == 0)
			memcpy((uint8_t *)buf + done, heap_ptr(heap, off + done), n);
	}
	if (rc != -DER_INVAL)
		return rc;
	log_err("pointer %#llx leads outside the heap", (unsigned long long)off);
	return -DER_CSUM;
}

/* --- versions -------------------------------------------------------------------------------- */

/* Bytes of a version from `at` on, which may lie in front of it (covered by its checksums). */
static int co_fn
read_near(struct walk *w, const struct vos_inspect_ver *ver, int64_t at, void *buf, uint64_t len)
{
	if (ver->place == VOS_PLACE_HEAP)
		return take(w->heap, ver->heap_off + at, buf, len);
	if (at >= 0 && at + len <= ver->bytes)
		return vos_inspect_read(w->pool, ver, at, buf, len);
	if (w->pool->data == NULL || ver->run_nr != 1)
		return -DER_CSUM;
	return data_read(w->pool->data, ver->runs[0].dev_off + at, buf, len);
}

static void
sum_differs(struct walk *w, const struct vos_inspect_key *akey, const struct vos_inspect_ver *ver,
	    uint64_t idx, uint64_t nr, int64_t at)
{
	struct vos_csum_event ev = {
	    .found = VOS_CSUM_SCRUB,
	    .oid = akey->oid,
	    .dkey = akey->dkey,
	    .akey = {.iov_buf = (void *)akey->key,
		     .iov_buf_len = akey->key_len,
		     .iov_len = akey->key_len},
	    .single = akey->holds == VOS_HOLDS_SINGLE,
	    .recx = {.rx_idx = idx, .rx_nr = nr},
	    .epoch = ver->ord.epoch,
	    .nvme = ver->place == VOS_PLACE_BLOCKS,
	    .dev_off = (ver->place == VOS_PLACE_BLOCKS ? ver->runs[0].dev_off : ver->heap_off) + at,
	};

	w->bad_nr++;
	vos_csum_report(w->cont, &ev);
}

/* Compare len bytes at `at` of a version with one checksum. */
static int co_fn
check_sum(struct walk *w, const struct vos_inspect_key *akey, const struct vos_inspect_ver *ver,
	  int64_t at, uint64_t len, const uint8_t *sum, bool *ret_same)
{
	CLEANUP(freep)
	uint8_t *buf = mem_alloc(len + 1);
	uint8_t got[CSUM_LEN_MAX];
	int rc;

	if (buf == NULL)
		return -DER_NOMEM;
	rc = read_near(w, ver, at, buf, len);
	if (rc != 0)
		return rc;
	csum_buf(&w->cont->csum, buf, len, got);
	*ret_same = memcmp(got, sum, ver->sum_len) == 0;
	return 0;
}

static int co_fn
check_sums(struct walk *w, const struct vos_inspect_key *akey, const struct vos_inspect_ver *ver)
{
	uint64_t recs = csum_chunk_recs(w->cont->csum_chunk, ver->rec_size), pos, end, n;
	const uint8_t *sum = ver->sums;
	bool same = true;
	int rc = 0;

	if (akey->holds == VOS_HOLDS_SINGLE) {
		rc = check_sum(w, akey, ver, 0, ver->bytes, sum, &same);
		if (rc == 0 && !same)
			sum_differs(w, akey, ver, 0, 1, 0);
		return rc;
	}
	end = ver->idx + ver->nr + ver->post;
	for (pos = ver->idx - ver->pre; rc == 0 && pos < end; pos += n, sum += ver->sum_len) {
		uint64_t next = csum_chunk_end(pos, recs);
		int64_t at = (int64_t)(pos - ver->idx) * (int64_t)ver->rec_size;

		n = (next < end ? next : end) - pos;
		rc = check_sum(w, akey, ver, at, n * ver->rec_size, sum, &same);
		if (rc == 0 && !same)
			sum_differs(w, akey, ver, pos, n, at);
	}
	return rc;
}

static int co_fn
tell(struct walk *w, const struct vos_inspect_key *akey, const struct vos_inspect_ver *ver)
{
	int rc = 0;

	if (w->fns->check_sums && ver->sum_nr != 0 && ver->place != VOS_PLACE_NONE)
		rc = check_sums(w, akey, ver);
	return rc != 0 || w->fns->ver == NULL ? rc : w->fns->ver(akey, ver, w->arg);
}

/* *ret_copy is malloc'ed: sums in the heap do not stay where they are. */
static int
copy_sums(struct vos_inspect_ver *ver, const uint8_t *sums, uint64_t nr, uint32_t len,
	  uint8_t **ret_copy)
{
	if (nr == 0 || len == 0)
		return 0;
	*ret_copy = mem_dup(sums, nr * len);
	if (*ret_copy == NULL)
		return -DER_NOMEM;
	ver->sums = *ret_copy;
	ver->sum_nr = nr;
	ver->sum_len = len;
	return 0;
}

static int
out_of_order(uint64_t off)
{
	log_err("heap offset %#llx: versions out of order", (unsigned long long)off);
	return -DER_CSUM;
}

/* A version of a single value; *ret_runs and *ret_sum are malloc'ed. */
static int
sv_look(struct walk *w, const struct vos_krec *akey, uint64_t off, struct vos_sv *ret_sv,
	struct vos_inspect_ver *ver, struct vos_inspect_run **ret_runs, uint8_t **ret_sum)
{
	const struct vos_run_df *df;
	struct vos_inspect_run *runs;
	uint64_t left;
	uint32_t i;
	int rc;

	rc = vos_sv_get(w->heap, akey, off, ret_sv);
	if (rc != 0)
		return rc;
	*ver = (struct vos_inspect_ver){
	    .ord = {ret_sv->epoch, ret_sv->op},
	    .rec_size = ret_sv->size,
	    .bytes = ret_sv->size,
	};
	if (ret_sv->kind == VOS_VER_INLINE) {
		ver->place = VOS_PLACE_HEAP;
		ver->heap_off = heap_off(w->heap, ret_sv->data);
	}
	df = vos_sv_runs(ret_sv, &ver->run_nr);
	if (ver->run_nr == 0)
		return copy_sums(ver, ret_sv->sum, ret_sv->sum != NULL, ret_sv->sum_len, ret_sum);
	if (heap_try(w->heap, heap_off(w->heap, df), ver->run_nr * sizeof(*df)) == NULL)
		return HEAP_MISS;
	runs = mem_calloc(ver->run_nr, sizeof(*runs));
	if (runs == NULL)
		return -DER_NOMEM;
	for (i = 0, left = ver->bytes; i < ver->run_nr; i++) {
		uint64_t bytes = df[i].blk_nr * SPACE_BLOCK;

		runs[i].dev_off = df[i].blk * SPACE_BLOCK;
		runs[i].bytes = bytes < left ? bytes : left;
		left -= runs[i].bytes;
	}
	ver->place = VOS_PLACE_BLOCKS;
	ver->runs = runs;
	*ret_runs = runs;
	return copy_sums(ver, ret_sv->sum, ret_sv->sum != NULL, ret_sv->sum_len, ret_sum);
}

static int co_fn
walk_single(struct walk *w, const struct vos_inspect_key *akey, const struct vos_krec *k)
{
	struct vos_ord prev = {UINT64_MAX, UINT32_MAX};
	uint64_t off = k->child;
	struct vos_sv sv;
	int rc = 0;

	for (; rc == 0 && off != 0; off = sv.older) {
		CLEANUP(freep)
		struct vos_inspect_run *runs = NULL;
		CLEANUP(freep)
		uint8_t *sum = NULL;
		struct vos_inspect_ver ver;

		LOADED(w->heap, rc, sv_look(w, k, off, &sv, &ver, &runs, &sum));
		if (rc == 0)
			LOADED(w->heap, rc, vos_hist_first(w->heap, sv.older, &sv.older));
		if (rc != 0)
			return rc;
		if (vos_ord_cmp(vos_sv_ord(&sv), prev) >= 0)
			return out_of_order(off);
		prev = vos_sv_ord(&sv);
		rc = tell(w, akey, &ver);
	}
	return rc;
}

static int co_fn
place_of(struct walk *w, const struct vos_ver_df *df, struct vos_inspect_ver *ver,
	 struct vos_inspect_run *run)
{
	uint8_t kind = df->kind;
	uint64_t addr = df->addr;
	struct vos_ext_df ext;
	int rc;

	if (kind == VOS_VER_COUNTED) {
		rc = take(w->heap, addr, &ext, sizeof(ext));
		if (rc != 0)
			return rc;
		ver->users = ext.refs;
		kind = ext.kind;
		addr = ext.addr;
	}
	switch (kind) {
	case VOS_VER_PUNCH:
		return 0;
	case VOS_VER_INLINE:
		ver->place = VOS_PLACE_HEAP;
		ver->heap_off = addr + df->ext_off;
		return 0;
	case VOS_VER_NVME:
		ver->place = VOS_PLACE_BLOCKS;
		*run = (struct vos_inspect_run){addr * SPACE_BLOCK + df->ext_off, ver->bytes};
		ver->runs = run;
		ver->run_nr = 1;
		return 0;
	default:
		log_err("segment version of kind %u", kind);
		return -DER_CSUM;
	}
}

static int
seg_sums(struct walk *w, const struct vos_seg *seg, const struct vos_ver_df *df,
	 struct vos_inspect_ver *ver, uint8_t **ret_copy)
{
	struct vos_sums sums;
	int rc;

	if (w->cont == NULL || df->kind == VOS_VER_PUNCH)
		return 0;
	rc = vos_sums_get(w->heap, w->cont, df, seg->start, seg->df.len, &sums);
	if (rc != 0)
		return rc;
	ver->pre = sums.pre;
	ver->post = sums.post;
	return copy_sums(ver, sums.sum, sums.nr, w->cont->csum.len, ret_copy);
}

static int co_fn
walk_seg(struct walk *w, const struct vos_inspect_key *akey, const struct vos_seg *seg)
{
	struct vos_ord prev = {UINT64_MAX, UINT32_MAX};
	struct vos_ver_df df = seg->df.ver;
	uint64_t at = seg->off;
	int rc = 0;

	while (rc == 0) {
		CLEANUP(freep)
		uint8_t *sums = NULL;
		struct vos_inspect_run run;
		struct vos_inspect_ver ver = {
		    .ord = {df.epoch, df.op},
		    .idx = seg->start,
		    .nr = seg->df.len,
		    .rec_size = df.rec_size,
		    .bytes = seg->df.len * df.rec_size,
		};

		if (vos_ord_cmp(vos_ver_ord(&df), prev) >= 0)
			return out_of_order(at);
		prev = vos_ver_ord(&df);
		rc = place_of(w, &df, &ver, &run);
		if (rc == 0)
			LOADED(w->heap, rc, seg_sums(w, seg, &df, &ver, &sums));
		if (rc == 0)
			rc = tell(w, akey, &ver);
		if (rc == 0)
			LOADED(w->heap, rc, vos_hist_first(w->heap, df.older, &at));
		if (rc != 0 || at == 0)
			break;
		rc = take(w->heap, at, &df, sizeof(df));
	}
	return rc;
}

static int
seg_first(struct walk *w, uint64_t off, struct vos_seg_iter *it)
{
	struct vos_krec k;
	int rc;

	rc = vos_krec_get(w->heap, off, VOS_KEY_AKEY, &k);
	if (rc != 0)
		return rc;
	rc = vos_seg_iter_init(it, w->heap, &k);
	if (rc == 0)
		rc = vos_seg_iter_seek(it, BTREE_FIRST, 0);
	if (rc != 0)
		vos_seg_iter_fini(it);
	return rc;
}

static int co_fn
walk_array(struct walk *w, const struct vos_inspect_key *akey)
{
	struct vos_seg_iter it;
	struct vos_seg seg;
	int rc;

	LOADED(w->heap, rc, seg_first(w, akey->heap_off, &it));
	if (rc != 0)
		return rc == -DER_NONEXIST ? 0 : rc;
	while (rc == 0) {
		LOADED(w->heap, rc, vos_seg_iter_get(&it, &seg));
		if (rc == 0)
			rc = walk_seg(w, akey, &seg);
		if (rc == 0)
			LOADED(w->heap, rc, vos_seg_iter_next(&it));
	}
	vos_seg_iter_fini(&it);
	return rc == -DER_NONEXIST ? 0 : rc;
}

/* --- keys ------------------------------------------------------------------------------------ */

static const enum vos_key_kind kind_of[] = {
    [VOS_INSPECT_OBJ] = VOS_KEY_OBJ,
    [VOS_INSPECT_DKEY] = VOS_KEY_DKEY,
    [VOS_INSPECT_AKEY] = VOS_KEY_AKEY,
};

static enum btree_kind
child_order(const struct vos_inspect_key *key)
{
	return key->level == VOS_INSPECT_OBJ ? vos_dkey_kind(key->oid.id)
					     : vos_akey_kind(key->oid.id);
}

/* *ret_list is malloc'ed. */
static int
read_punches(struct heap *heap, const struct vos_krec *k, struct vos_inspect_ord **ret_list,
	     uint32_t *ret_nr)
{
	const struct vos_punches_df *list;
	struct vos_inspect_ord *copy;
	uint32_t i;
	int rc;

	rc = vos_punches_get(heap, k, &list);
	if (rc != 0 || list == NULL)
		return rc;
	copy = mem_calloc((size_t)list->nr + 1, sizeof(*copy));
	if (copy == NULL)
		return -DER_NOMEM;
	for (i = 0; i < list->nr; i++)
		copy[i] = (struct vos_inspect_ord){list->ord[i].epoch, list->ord[i].op};
	*ret_list = copy;
	*ret_nr = list->nr;
	return 0;
}

static enum vos_inspect_holds
holds(const struct vos_krec *k, enum vos_inspect_level level)
{
	if (k->child == 0)
		return VOS_HOLDS_NOTHING;
	if (level != VOS_INSPECT_AKEY)
		return VOS_HOLDS_KEYS;
	return k->tag == VOS_CHILD_SV ? VOS_HOLDS_SINGLE : VOS_HOLDS_ARRAY;
}

static int co_fn walk_children(struct walk *w, const struct vos_inspect_key *key);

/* key: level, oid, key and heap_off are set. */
static int co_fn
walk_key(struct walk *w, struct vos_inspect_key *key)
{
	CLEANUP(freep)
	struct vos_inspect_ord *punches = NULL;
	struct vos_krec k;
	int rc;

	LOADED(w->heap, rc, vos_krec_get(w->heap, key->heap_off, kind_of[key->level], &k));
	if (rc == 0)
		LOADED(w->heap, rc, read_punches(w->heap, &k, &punches, &key->punch_nr));
	if (rc != 0)
		return rc;
	key->upd_epoch = k.upd_epoch;
	key->chg_epoch = k.chg_epoch;
	key->punches = punches;
	key->holds = holds(&k, key->level);
	rc = w->fns->key(key, w->arg);
	if (rc != 0 || key->level == w->down_to || k.child == 0)
		return rc == VOS_INSPECT_SKIP ? 0 : rc;
	if (key->level != VOS_INSPECT_AKEY)
		return walk_children(w, key);
	if (key->holds == VOS_HOLDS_SINGLE)
		return walk_single(w, key, &k);
	return walk_array(w, key);
}

static int
child_seek(struct walk *w, const struct vos_inspect_key *parent, const daos_key_t *only,
	   struct vos_iter *it)
{
	struct vos_key want;
	int rc = 0;

	if (only != NULL)
		rc = vos_key_check(child_order(parent), only, &want);
	if (rc != 0)
		return rc;
	rc = vos_iter_init(it, w->heap, parent->heap_off, kind_of[parent->level],
			   child_order(parent));
	if (rc == 0)
		rc = vos_iter_seek(it, only != NULL ? BTREE_EQ : BTREE_FIRST,
				   only != NULL ? &want : NULL);
	if (rc != 0)
		vos_iter_fini(it);
	return rc;
}

static int
child_get(struct vos_iter *it, uint8_t **ret_copy, struct vos_inspect_key *ret)
{
	struct vos_key key;
	int rc;

	rc = vos_iter_get(it, &key, NULL, &ret->heap_off);
	if (rc != 0)
		return rc;
	*ret_copy = mem_dup(key.buf, key.len);
	if (*ret_copy == NULL)
		return -DER_NOMEM;
	ret->key = *ret_copy;
	ret->key_len = key.len;
	return 0;
}

static int co_fn
walk_child(struct walk *w, const struct vos_inspect_key *parent, struct vos_iter *it)
{
	CLEANUP(freep)
	uint8_t *copy = NULL;
	struct vos_inspect_key key = {
	    .level = parent->level + 1,
	    .oid = parent->oid,
	    .dkey = {.iov_buf = (void *)parent->key,
		     .iov_buf_len = parent->key_len,
		     .iov_len = parent->key_len},
	    .is_uint = child_order(parent) == BTREE_UINT,
	};
	int rc;

	LOADED(w->heap, rc, child_get(it, &copy, &key));
	if (rc != 0)
		return rc;
	if (key.is_uint && key.key_len != sizeof(uint64_t)) {
		log_err("heap offset %#llx: number of %u bytes", (unsigned long long)key.heap_off,
			key.key_len);
		return -DER_CSUM;
	}
	return walk_key(w, &key);
}

static int co_fn
walk_children(struct walk *w, const struct vos_inspect_key *parent)
{
	const daos_key_t *only = parent->level == VOS_INSPECT_OBJ ? w->path->dkey : w->path->akey;
	struct vos_iter it;
	int rc;

	LOADED(w->heap, rc, child_seek(w, parent, only, &it));
	if (rc == -DER_NONEXIST || (rc == -DER_INVAL && only != NULL))
		return 0;
	if (rc != 0)
		return rc;
	while (rc == 0) {
		if (only != NULL)
			w->found_nr++;
		rc = walk_child(w, parent, &it);
		if (rc == 0 && only != NULL)
			break;
		if (rc == 0)
			LOADED(w->heap, rc, vos_iter_next(&it));
	}
	vos_iter_fini(&it);
	return rc == -DER_NONEXIST ? 0 : rc;
}

/* --- containers ------------------------------------------------------------------------------ */

struct cont_at {
	uint64_t off;
	bool dying;
	struct vos_cont_df df;
};

static int
cont_read(struct heap *heap, uint64_t off, struct vos_cont_df *ret)
{
	const struct vos_cont_df *df = heap_try_df(heap, off, sizeof(*df));

	if (df == NULL)
		return HEAP_MISS;
	memcpy(ret, df, sizeof(*ret));
	return 0;
}

static int
cont_under(struct heap *heap, struct btree_cursor *cur, uint64_t *ret_off)
{
	uint64_t val;
	int rc;

	rc = btree_cursor_get(cur, NULL, &val);
	if (rc == 0)
		memcpy(ret_off, heap_ptr(heap, val), sizeof(*ret_off));
	return rc;
}

/* fn for each container, those being reclaimed last; 0 goes on. */
static int co_fn
each_cont(struct vos_pool *pool, int co_fn (*fn)(const struct cont_at *at, void *arg), void *arg)
{
	struct heap *heap = pool->heap;
	struct btree_cursor cur;
	struct cont_at at = {0};
	uint64_t seen;
	int rc;

	btree_cursor_init(&cur, btree_at(heap, pool->df_off + offsetof(struct vos_pool_df, conts)));
	LOADED(heap, rc, btree_seek(&cur, BTREE_FIRST, NULL));
	while (rc == 0) {
		LOADED(heap, rc, cont_under(heap, &cur, &at.off));
		if (rc == 0)
			LOADED(heap, rc, cont_read(heap, at.off, &at.df));
		if (rc == 0)
			rc = fn(&at, arg);
		if (rc == 0)
			LOADED(heap, rc, btree_next(&cur));
	}
	btree_cursor_fini(&cur);
	if (rc != -DER_NONEXIST)
		return rc;
	at.dying = true;
	/* A damaged list may be a circle: no id is given twice, so there are no more than ids. */
	for (rc = 0, seen = 0, at.off = pool->df->dying; rc == 0 && at.off != 0;
	     at.off = at.df.dying) {
		if (++seen > pool->df->next_cont_id) {
			log_err("the list of dying containers is a circle");
			return -DER_CSUM;
		}
		LOADED(heap, rc, cont_read(heap, at.off, &at.df));
		if (rc == 0)
			rc = fn(&at, arg);
	}
	return rc;
}

struct conts_args {
	struct vos_pool *pool;
	int co_fn (*fn)(const struct vos_inspect_cont *cont, void *arg);
	void *arg;
};

static int co_fn
tell_cont(const struct cont_at *at, void *arg)
{
	struct conts_args *a = arg;
	CLEANUP(freep)
	uint64_t *keep = NULL;
	struct vos_inspect_cont cont = {
	    .id = at->df.id,
	    .dying = at->dying,
	    .max_epoch = at->df.max_epoch,
	    .low_epoch = at->df.low_epoch,
	    .agg_epoch = at->df.agg_epoch,
	    .floor = at->df.floor,
	    .csum_type = at->df.csum_type,
	    .csum_chunk = at->df.csum_chunk,
	    .data_thresh = at->df.data_thresh,
	    .scm_used = at->df.scm_used,
	    .nvme_used = at->df.nvme_used,
	};
	struct vos_keep_df hdr = {0};
	int rc = 0;

	memcpy(cont.uuid, at->df.uuid, sizeof(uuid_t));
	if (at->df.keep != 0)
		rc = take(a->pool->heap, at->df.keep, &hdr, sizeof(hdr));
	if (rc == 0 && hdr.nr > HEAP_ALLOC_MAX / sizeof(uint64_t)) {
		log_err("container with %llu kept epochs", (unsigned long long)hdr.nr);
		rc = -DER_CSUM;
	}
	if (rc != 0)
		return rc;
	keep = mem_calloc(hdr.nr + 1, sizeof(*keep));
	if (keep == NULL)
		return -DER_NOMEM;
	if (hdr.nr != 0)
		rc = take(a->pool->heap, at->df.keep + sizeof(hdr), keep, hdr.nr * sizeof(*keep));
	cont.keep = keep;
	cont.keep_nr = hdr.nr;
	return rc != 0 ? rc : a->fn(&cont, a->arg);
}

int co_fn
vos_inspect_conts(struct vos_pool *pool,
		  int co_fn (*fn)(const struct vos_inspect_cont *cont, void *arg), void *arg)
{
	struct conts_args a = {.pool = pool, .fn = fn, .arg = arg};

	if (!pool->read_only)
		return -DER_INVAL;
	return each_cont(pool, tell_cont, &a);
}

struct find_cont {
	const uint8_t *uuid;
	uint64_t off;
};

static int co_fn
is_cont(const struct cont_at *at, void *arg)
{
	struct find_cont *f = arg;

	if (f->off == 0 && memcmp(at->df.uuid, f->uuid, sizeof(uuid_t)) == 0)
		f->off = at->off;
	return 0;
}

/* --- the walk -------------------------------------------------------------------------------- */

static int
obj_under(struct heap *heap, struct btree_cursor *cur, struct vos_inspect_key *ret)
{
	struct btree_key key;
	uint64_t val;
	int rc;

	rc = btree_cursor_get(cur, &key, &val);
	if (rc != 0)
		return rc;
	if (key.len != VOS_OID_KEY) {
		log_err("object id of %u bytes", key.len);
		return -DER_CSUM;
	}
	vos_oid_decode(key.buf, &ret->oid);
	memcpy(&ret->heap_off, heap_ptr(heap, val), sizeof(ret->heap_off));
	return 0;
}

static bool
oid_wanted(const struct vos_inspect_path *path, const struct vos_oid *oid)
{
	return path->oid == NULL ||
	       (oid->id.hi == path->oid->id.hi && oid->id.lo == path->oid->id.lo &&
		(path->any_shard || oid->shard == path->oid->shard));
}

static int co_fn
walk_objs(struct walk *w, uint64_t cont_off)
{
	const struct vos_inspect_path *path = w->path;
	uint8_t from[VOS_OID_KEY] = {0};
	struct btree_key key = btree_key_buf(from, sizeof(from));
	struct btree_cursor cur;
	struct vos_oid first;
	int rc;

	if (path->oid != NULL) {
		first = *path->oid;
		if (path->any_shard)
			first.shard = 0;
		vos_oid_encode(&first, from);
	}
	btree_cursor_init(&cur, btree_at(w->heap, cont_off + offsetof(struct vos_cont_df, objs)));
	LOADED(w->heap, rc, btree_seek(&cur, path->oid != NULL ? BTREE_GE : BTREE_FIRST, &key));
	while (rc == 0) {
		struct vos_inspect_key obj = {.level = VOS_INSPECT_OBJ};

		LOADED(w->heap, rc, obj_under(w->heap, &cur, &obj));
		if (rc == 0 && !oid_wanted(path, &obj.oid))
			break;
		if (rc == 0 && path->dkey == NULL)
			w->found_nr++;
		if (rc == 0)
			rc = walk_key(w, &obj);
		if (rc == 0)
			LOADED(w->heap, rc, btree_next(&cur));
	}
	btree_cursor_fini(&cur);
	return rc == -DER_NONEXIST ? 0 : rc;
}

int co_fn
vos_inspect_walk(struct vos_pool *pool, const uuid_t cont, const struct vos_inspect_path *path,
		 enum vos_inspect_level down_to, const struct vos_inspect_fns *fns, void *arg)
{
	struct find_cont f = {.uuid = cont};
	struct walk w = {
	    .pool = pool,
	    .heap = pool->heap,
	    .path = path,
	    .fns = fns,
	    .arg = arg,
	    .down_to = down_to,
	};
	int rc;

	if (!pool->read_only)
		return -DER_INVAL;
	rc = each_cont(pool, is_cont, &f);
	if (rc == 0 && f.off == 0)
		rc = -DER_NONEXIST;
	if (rc == 0)
		rc = vos_cont_open(pool, cont, &w.cont);
	if (rc == -DER_NONEXIST && f.off != 0)
		rc = 0;
	if (rc == 0)
		rc = walk_objs(&w, f.off);
	vos_cont_close(w.cont);
	if (rc == 0 && w.bad_nr > 0)
		rc = -DER_CSUM;
	return rc == 0 && path->oid != NULL && w.found_nr == 0 ? -DER_NONEXIST : rc;
}

int co_fn
vos_inspect_read(struct vos_pool *pool, const struct vos_inspect_ver *ver, uint64_t off, void *buf,
		 size_t len)
{
	uint8_t *dst = buf;
	uint32_t i;
	int rc = 0;

	if (ver->place == VOS_PLACE_NONE || off > ver->bytes || len > ver->bytes - off)
		return -DER_INVAL;
	if (ver->place == VOS_PLACE_HEAP)
		return take(pool->heap, ver->heap_off + off, buf, len);
	if (pool->data == NULL)
		return -DER_CSUM;
	for (i = 0; rc == 0 && len > 0 && i < ver->run_nr; i++) {
		uint64_t have = ver->runs[i].bytes, n;

		if (off >= have) {
			off -= have;
			continue;
		}
		n = have - off < len ? have - off : len;
		rc = data_read(pool->data, ver->runs[i].dev_off + off, dst, n);
		dst += n;
		len -= n;
		off = 0;
	}
	return rc == 0 && len > 0 ? -DER_CSUM : rc;
}

/* --- figures and verification ---------------------------------------------------------------- */

void
vos_inspect_figures(struct vos_pool *pool, struct vos_inspect_figures *ret)
{
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->uuid, pool->df->uuid, sizeof(uuid_t));
	ret->format_version = pool->df->version;
	ret->scm_bytes = pool->df->scm_bytes;
	ret->nvme_bytes = pool->df->nvme_bytes;
	ret->max_epoch = pool->max_epoch;
	heap_stats(pool->heap, &ret->heap);
	if (pool->space != NULL)
		space_stats(pool->space, &ret->space);
}

struct free_runs {
	uint64_t next; /* behind the last allocated run */
	void (*fn)(uint64_t blk, uint64_t blk_nr, void *arg);
	void *arg;
};

static bool
used_run(void *arg, uint64_t blk, uint32_t blk_nr)
{
	struct free_runs *f = arg;

	if (blk > f->next)
		f->fn(f->next, blk - f->next, f->arg);
	f->next = blk + blk_nr;
	return true;
}

int co_fn
vos_inspect_free_runs(struct vos_pool *pool, void (*fn)(uint64_t blk, uint64_t blk_nr, void *arg),
		      void *arg)
{
	struct free_runs f = {.fn = fn, .arg = arg};
	struct space_stats ss;
	int rc;

	if (pool->space == NULL)
		return 0;
	space_stats(pool->space, &ss);
	rc = space_verify(pool->space, used_run, &f);
	if (rc == 0 && f.next < ss.total_blk)
		fn(f.next, ss.total_blk - f.next, arg);
	return rc;
}

int co_fn
vos_inspect_verify(struct vos_pool *pool)
{
	int rc, rc2;

	rc = heap_load_all(pool->heap);
	rc2 = vos_pool_verify(pool);
	return rc != 0 ? rc : rc2;
}
