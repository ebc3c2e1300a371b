/*
 * Folded records: a key, what is the only thing beneath it, and so on down to a value with a single
 * version, in one heap object. Most objects of a file system are like that: a directory entry
 * (dkey, akey, value), a small file (object, dkey, akey, extent).
 *
 * The key at the top is an object, a dkey or an akey. A record is folded when it is made, if the
 * update writes one value or extent, and stays so as long as
 *
 *   - every key in it has one child, and no punch,
 *   - the value has one version, which holds bytes (no tombstone), inline or in one run of blocks,
 *   - all epochs of its keys are the version's.
 *
 * Overwriting the version, when nobody needs the old one, keeps the form: in place, or by a new
 * record where the old one was. Everything else first gives the keys it changes records of their
 * own (vos_path_get, vos_akey_get); keys further down may stay folded. Reading never changes the
 * form: vos_krec_get shows each level of a folded record as if it were a record, all at the same
 * offset, so that the code that walks keys need not know.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_key.h"

#include "base/log.h"

enum {
	FOLD_KEYS_MAX = 512,
	FOLD_BYTES_MAX = 4096,
	/* What the records of object, dkey, akey and segment take when they are on their own,
	 * about: where rounding up to a size class costs more than that, folding saves nothing. */
	FOLD_GAIN = 200,
	/* Keys between head and value shorter than this go to the log with them, as one range. */
	FOLD_GAP = 64,
};

/* What goes into a folded record. */
struct content {
	enum vos_key_kind top;
	struct vos_key dkey; /* len 0: not in the record */
	struct vos_key akey; /* likewise */
	struct vos_ord ord;
	bool array;
	uint64_t start;
	uint32_t rec_size;
	uint32_t bytes;
	const uint8_t *data;   /* inline, or */
	struct vos_run_df run; /* blk_nr != 0 */
	const uint8_t *sum;    /* checksums of the value */
	uint32_t sum_bytes;    /* 0 = none */
};

static enum vos_key_kind
top_of(uint8_t kind)
{
	return (enum vos_key_kind)(kind & ~VOS_FOLDED);
}

bool
vos_fold_is(uint8_t kind)
{
	return kind == (VOS_KEY_OBJ | VOS_FOLDED) || kind == (VOS_KEY_DKEY | VOS_FOLDED) ||
	       kind == (VOS_KEY_AKEY | VOS_FOLDED);
}

/* Bytes from the start of the record to the keys and to the value. */
static uint32_t
keys_at(uint8_t flags)
{
	return sizeof(struct vos_fold_df) + (flags & VOS_FOLD_START ? sizeof(uint64_t) : 0);
}

static uint32_t
data_at(uint8_t flags, uint32_t keys_len)
{
	uint32_t at = keys_at(flags) + keys_len;

	return flags & VOS_FOLD_NVME ? (at + 7) / 8 * 8 : at;
}

/* Bytes that the checksums of the value take, behind it. */
static uint32_t
sum_room(uint32_t sum_bytes)
{
	return sum_bytes == 0 ? 0 : 1 + sum_bytes;
}

/* --- reading ------------------------------------------------------------------------------ */

static int
damaged(uint64_t off)
{
	log_err("heap offset %#llx: damaged folded record", (unsigned long long)off);
	return -DER_CSUM;
}

int
vos_fold_get(struct heap *heap, uint64_t off, struct vos_fold *ret_f)
{
	const struct vos_fold_df *df = heap_try_df(heap, off, sizeof(*df));
	const uint8_t *sum;
	uint32_t at, len;

	if (df == NULL)
		return HEAP_MISS;
	if (!vos_fold_is(df->kind) || df->dkey_len + df->akey_len > FOLD_KEYS_MAX ||
	    (df->flags & ~VOS_FOLD_FLAGS) != 0 || df->bytes == 0 ||
	    (!(df->flags & VOS_FOLD_NVME) && df->bytes > FOLD_BYTES_MAX) ||
	    ((df->flags & VOS_FOLD_ARRAY) != 0) != (df->rec_size != 0) ||
	    (df->rec_size != 0 && df->bytes % df->rec_size != 0))
		return damaged(off);
	at = data_at(df->flags, df->dkey_len + df->akey_len);
	len = df->flags & VOS_FOLD_NVME ? sizeof(struct vos_run_df) : df->bytes;
	sum = df->flags & VOS_FOLD_SUM ? heap_try(heap, off + at + len, 1) : NULL;
	if (heap_try(heap, off, at + len) == NULL || (df->flags & VOS_FOLD_SUM && sum == NULL))
		return HEAP_MISS;
	if (sum != NULL &&
	    (*sum == 0 || *sum > (df->rec_size != 0 ? VOS_SUMS_HERE_MAX : CSUM_LEN_MAX)))
		return damaged(off);
	if (sum != NULL && heap_try(heap, off + at + len, 1 + *sum) == NULL)
		return HEAP_MISS;
	*ret_f = (struct vos_fold){
	    .off = off,
	    .top = top_of(df->kind),
	    .ord = {.epoch = df->epoch, .op = df->op},
	    .array = df->flags & VOS_FOLD_ARRAY,
	    .nvme = df->flags & VOS_FOLD_NVME,
	    .rec_size = df->rec_size,
	    .bytes = df->bytes,
	    .data_at = at,
	    .len = at + len,
	    .dkey = {.buf = (const uint8_t *)df + keys_at(df->flags), .len = df->dkey_len},
	    .akey = {.buf = (const uint8_t *)df + keys_at(df->flags) + df->dkey_len,
		     .len = df->akey_len},
	    .data = (const uint8_t *)df + at,
	};
	if (sum != NULL) {
		ret_f->sum = sum + 1;
		ret_f->sum_bytes = *sum;
		ret_f->len += sum_room(*sum);
	}
	if (df->flags & VOS_FOLD_START)
		memcpy(&ret_f->start, df + 1, sizeof(ret_f->start));
	if (ret_f->nvme)
		memcpy(&ret_f->run, ret_f->data, sizeof(ret_f->run));
	return 0;
}

int
vos_fold_krec(struct heap *heap, uint64_t off, enum vos_key_kind kind, struct vos_krec *ret_k)
{
	struct vos_fold f;
	int rc;

	rc = vos_fold_get(heap, off, &f);
	if (rc != 0)
		return rc;
	if (kind < f.top)
		return damaged(off);
	*ret_k = (struct vos_krec){
	    .off = off,
	    .fold_top = f.top,
	    .upd_epoch = f.ord.epoch,
	    .chg_epoch = f.ord.epoch,
	    .child = off,
	    .tag = kind == VOS_KEY_AKEY && !f.array ? VOS_CHILD_SV : VOS_CHILD_ONE,
	    .rec_size = f.rec_size,
	};
	if (kind == VOS_KEY_DKEY)
		ret_k->key = f.dkey;
	else if (kind == VOS_KEY_AKEY)
		ret_k->key = f.akey;
	return 0;
}

int
vos_fold_seg(struct heap *heap, uint64_t off, struct vos_seg *ret_seg)
{
	struct vos_fold f;
	int rc;

	rc = vos_fold_get(heap, off, &f);
	if (rc != 0)
		return rc;
	if (!f.array)
		return damaged(off);
	*ret_seg = (struct vos_seg){
	    .start = f.start,
	    .off = off,
	    .df = {.len = f.bytes / f.rec_size,
		   .ver = {.epoch = f.ord.epoch,
			   .op = f.ord.op,
			   .kind = f.nvme ? VOS_VER_NVME : VOS_VER_INLINE,
			   .rec_size = f.rec_size,
			   .addr = f.nvme ? f.run.blk : off + f.data_at}},
	};
	vos_sums_here(&ret_seg->df.ver, f.sum, f.sum_bytes);
	return 0;
}

int
vos_fold_sv(struct heap *heap, uint64_t off, struct vos_sv *ret_sv)
{
	struct vos_fold f;
	int rc;

	rc = vos_fold_get(heap, off, &f);
	if (rc != 0)
		return rc;
	if (f.array)
		return damaged(off);
	*ret_sv = (struct vos_sv){
	    .off = off,
	    .epoch = f.ord.epoch,
	    .op = f.ord.op,
	    .size = f.bytes,
	    .kind = f.nvme ? VOS_VER_NVME : VOS_VER_INLINE,
	    .cap = f.nvme ? 1 : f.bytes,
	    .data = f.data,
	    .sum_len = f.sum_bytes,
	    .sum = f.sum,
	};
	return 0;
}

/* --- making -------------------------------------------------------------------------------- */

static uint8_t
flags_of(const struct content *c)
{
	return (c->array ? VOS_FOLD_ARRAY : 0) | (c->start != 0 ? VOS_FOLD_START : 0) |
	       (c->run.blk_nr != 0 ? VOS_FOLD_NVME : 0) | (c->sum_bytes != 0 ? VOS_FOLD_SUM : 0);
}

static uint32_t
len_of(const struct content *c)
{
	return data_at(flags_of(c), c->dkey.len + c->akey.len) +
	       (c->run.blk_nr != 0 ? sizeof(c->run) : c->bytes) + sum_room(c->sum_bytes);
}

/* The value, or where it is, and its checksums, into their place. */
static void
put_data(uint8_t *p, const struct content *c)
{
	uint32_t len = c->run.blk_nr != 0 ? sizeof(c->run) : c->bytes;

	memcpy(p, c->run.blk_nr != 0 ? (const void *)&c->run : c->data, len);
	if (c->sum_bytes == 0)
		return;
	p[len] = c->sum_bytes;
	memcpy(p + len + 1, c->sum, c->sum_bytes);
}

static void
copy_key(uint8_t **p, const struct vos_key *key)
{
	if (key->len != 0)
		memcpy(*p, key->buf, key->len);
	*p += key->len;
}

static int
fold_make(struct vos_tx *t, const struct content *c, uint64_t *ret_off)
{
	uint8_t flags = flags_of(c), *p;
	struct vos_fold_df *df;
	int rc;

	rc = heap_alloc(t->tx, len_of(c), 0, ret_off);
	if (rc != 0)
		return rc;
	df = heap_ptr(t->heap, *ret_off);
	*df = (struct vos_fold_df){
	    .kind = c->top | VOS_FOLDED,
	    .flags = flags,
	    .op = c->ord.op,
	    .dkey_len = c->dkey.len,
	    .akey_len = c->akey.len,
	    .epoch = c->ord.epoch,
	    .bytes = c->bytes,
	    .rec_size = c->rec_size,
	};
	p = (uint8_t *)df + keys_at(flags);
	if (flags & VOS_FOLD_START)
		memcpy(df + 1, &c->start, sizeof(c->start));
	copy_key(&p, &c->dkey);
	copy_key(&p, &c->akey);
	put_data((uint8_t *)df + data_at(flags, c->dkey.len + c->akey.len), c);
	return 0;
}

/* What a piece of an update gives. False: not to be folded. */
static bool
content_of(const struct vos_tx *t, enum vos_key_kind top, const struct vos_key *dkey,
	   const struct vos_key *akey, bool array, const struct vos_piece *piece,
	   struct content *ret_c)
{
	*ret_c = (struct content){
	    .top = top,
	    .ord = t->ord,
	    .array = array,
	    .start = piece->idx,
	    .rec_size = array ? piece->rec_size : 0,
	    .bytes = piece->bytes,
	    .data = piece->buf,
	    .sum = piece->sum,
	    .sum_bytes = piece->sum_bytes,
	};
	if (dkey != NULL)
		ret_c->dkey = *dkey;
	if (akey != NULL)
		ret_c->akey = *akey;
	if (t->ord.op > UINT16_MAX || piece->bytes == 0 || piece->bytes > UINT32_MAX ||
	    ret_c->dkey.len + ret_c->akey.len > FOLD_KEYS_MAX ||
	    (array && piece->sum_bytes > VOS_SUMS_HERE_MAX))
		return false;
	if (piece->kind == VOS_VER_NVME) {
		assert(piece->ext_nr == 1);
		ret_c->run.blk = piece->ext[0].blk;
		ret_c->run.blk_nr = piece->ext[0].blk_nr;
		return true;
	}
	return piece->kind == VOS_VER_INLINE && piece->bytes <= FOLD_BYTES_MAX &&
	       heap_alloc_size(len_of(ret_c)) <= heap_alloc_size(piece->bytes) + FOLD_GAIN;
}

static int
content_make(struct vos_tx *t, const struct content *c, struct vos_piece *piece, uint64_t *ret_off)
{
	int rc = 0;

	if (c->run.blk_nr != 0)
		rc = vos_piece_publish(t, piece);
	return rc != 0 ? rc : fold_make(t, c, ret_off);
}

static struct content
content_again(const struct vos_fold *f)
{
	return (struct content){
	    .top = f->top,
	    .dkey = f->dkey,
	    .akey = f->akey,
	    .ord = f->ord,
	    .array = f->array,
	    .start = f->start,
	    .rec_size = f->rec_size,
	    .bytes = f->bytes,
	    .data = f->data,
	    .run = f->run,
	    .sum = f->sum,
	    .sum_bytes = f->sum_bytes,
	};
}

/* --- changing ------------------------------------------------------------------------------- */

static int
run_free(struct vos_tx *t, const struct vos_fold *f)
{
	struct space_ext ext = {.blk = f->run.blk, .blk_nr = f->run.blk_nr};

	return f->nvme ? vos_blocks_free(t, &ext) : 0;
}

int
vos_fold_free(struct vos_tx *t, uint64_t off)
{
	struct vos_fold f;
	int rc;

	rc = vos_fold_get(t->heap, off, &f);
	if (rc == 0)
		rc = run_free(t, &f);
	return rc != 0 ? rc : heap_free(t->tx, off);
}

/* The record of the folded record's place is now at off. */
static int
place_set(struct vos_tx *t, const struct vos_path *path, const struct vos_fold *f, uint64_t off)
{
	switch (f->top) {
	case VOS_KEY_OBJ:
		vos_cache_del(t->pool, t->cont->id, path->oid, &f->dkey);
		return vos_obj_replace(t, path->oid, off);
	case VOS_KEY_DKEY:
		vos_cache_del(t->pool, t->cont->id, path->oid, path->dkey_name);
		return vos_child_replace(t, path->obj, VOS_KEY_OBJ, vos_dkey_kind(path->oid->id),
					 path->dkey_name, off);
	default:
		return vos_child_replace(t, path->dkey, VOS_KEY_DKEY, vos_akey_kind(path->oid->id),
					 path->akey_name, off);
	}
}

/* The value of a folded record as records of its own. */
static int
value_unfold(struct vos_tx *t, const struct vos_fold *f, uint64_t *ret_child,
	     enum vos_child_tag *ret_tag)
{
	struct vos_seg1_df *one;
	struct vos_sv_df *sv;
	struct vos_seg seg;
	uint64_t off, data;
	uint32_t data_len;
	int rc;

	if (!f->array) {
		data_len = f->nvme ? sizeof(f->run) : f->bytes;
		rc = heap_alloc(t->tx, sizeof(*sv) + data_len + f->sum_bytes, 0, &off);
		if (rc != 0)
			return rc;
		sv = heap_ptr(t->heap, off);
		sv->epoch = f->ord.epoch;
		sv->op = f->ord.op;
		sv->kind = f->nvme ? VOS_VER_NVME : VOS_VER_INLINE;
		sv->size = f->bytes;
		sv->cap = f->nvme ? 1 : f->bytes;
		sv->csum_len = f->sum_bytes;
		memcpy(sv->data, f->data, data_len);
		if (f->sum_bytes != 0)
			memcpy(sv->data + data_len, f->sum, f->sum_bytes);
		*ret_child = off;
		*ret_tag = VOS_CHILD_SV;
		return 0;
	}
	rc = vos_fold_seg(t->heap, f->off, &seg);
	if (rc == 0 && !f->nvme) {
		rc = heap_alloc(t->tx, f->bytes, 0, &data);
		if (rc != 0)
			return rc;
		memcpy(heap_ptr(t->heap, data), f->data, f->bytes);
		seg.df.ver.addr = data;
	}
	if (rc == 0)
		rc = heap_alloc(t->tx, sizeof(*one), 0, &off);
	if (rc != 0)
		return rc;
	one = heap_ptr(t->heap, off);
	one->start = seg.start;
	one->seg = seg.df;
	*ret_child = off;
	*ret_tag = VOS_CHILD_ONE;
	return 0;
}

/* What stays folded beneath the key `last`, or its value. */
static int
rest_unfold(struct vos_tx *t, const struct vos_fold *f, enum vos_key_kind last, uint64_t *ret_child,
	    enum vos_child_tag *ret_tag)
{
	struct content c = content_again(f);

	if (last == VOS_KEY_AKEY)
		return value_unfold(t, f, ret_child, ret_tag);
	c.top = last + 1;
	if (c.top == VOS_KEY_AKEY)
		c.dkey.len = 0;
	*ret_tag = VOS_CHILD_ONE;
	return fold_make(t, &c, ret_child);
}

int
vos_fold_unfold(struct vos_tx *t, struct vos_path *path, uint64_t off, enum vos_key_kind last)
{
	static const struct vos_key none;
	enum vos_child_tag tag;
	enum vos_key_kind kind;
	struct vos_fold f;
	uint64_t child;
	int rc;

	rc = vos_fold_get(t->heap, off, &f);
	if (rc == 0)
		rc = rest_unfold(t, &f, last, &child, &tag);
	if (rc != 0)
		return rc;
	for (kind = last;; kind--) {
		const struct vos_key *key = kind == VOS_KEY_OBJ    ? &none
					    : kind == VOS_KEY_DKEY ? &f.dkey
								   : &f.akey;
		uint64_t rec;

		rc = vos_key_make(t, kind, key, f.ord.epoch, child, tag, f.rec_size, &rec);
		if (rc != 0)
			return rc;
		if (kind == VOS_KEY_OBJ)
			path->obj = rec;
		else if (kind == VOS_KEY_DKEY)
			path->dkey = rec;
		else
			path->akey = rec;
		child = rec;
		tag = VOS_CHILD_ONE;
		if (kind == f.top)
			break;
	}
	rc = place_set(t, path, &f, child);
	return rc != 0 ? rc : heap_free(t->tx, off);
}

/* --- writing -------------------------------------------------------------------------------- */

/* Same place, same sizes: the version changes in place. */
static int
rewrite(struct vos_tx *t, const struct vos_fold *f, const struct content *c,
	struct vos_piece *piece)
{
	struct vos_fold_df *df = heap_ptr(t->heap, f->off);
	uint32_t head = offsetof(struct vos_fold_df, bytes), data_len = f->len - f->data_at;
	int rc;

	if (f->data_at - head <= FOLD_GAP) {
		rc = heap_tx_add(t->tx, f->off, f->len);
	} else {
		rc = heap_tx_add(t->tx, f->off, head);
		if (rc == 0)
			rc = heap_tx_add(t->tx, f->off + f->data_at, data_len);
	}
	if (rc == 0 && f->nvme)
		rc = vos_piece_publish(t, piece);
	if (rc != 0)
		return rc;
	df->epoch = c->ord.epoch;
	df->op = c->ord.op;
	put_data((uint8_t *)df + f->data_at, c);
	return 0;
}

/* A newer version of all of the value, when nobody needs the old one. */
static int
overwrite(struct vos_tx *t, const struct vos_path *path, const struct vos_punches *p, bool array,
	  struct vos_piece *piece, uint64_t off, bool *ret_done)
{
	struct vos_ord newer = t->ord, after;
	struct vos_fold f;
	struct content c;
	uint64_t new_off;
	int order, rc;

	rc = vos_fold_get(t->heap, off, &f);
	if (rc != 0)
		return rc;
	order = vos_ord_cmp(f.ord, t->ord);
	if (order > 0 || f.array != array || vos_punch_after(p, t->ord, &after) ||
	    !content_of(t, f.top, &f.dkey, &f.akey, array, piece, &c))
		return 0;
	if (array && (c.rec_size != f.rec_size || c.start > f.start ||
		      c.start + c.bytes / c.rec_size < f.start + f.bytes / f.rec_size))
		return 0;
	if (vos_punch_after(p, f.ord, &after) && vos_ord_cmp(after, newer) < 0)
		newer = after;
	if (order != 0 && vos_needed(t, f.ord.epoch, newer.epoch))
		return 0;
	*ret_done = true;
	vos_dropped(t, f.ord.epoch, newer.epoch);
	rc = run_free(t, &f);
	if (rc != 0)
		return rc;
	if (c.bytes == f.bytes && c.start == f.start && (c.run.blk_nr != 0) == f.nvme &&
	    c.sum_bytes == f.sum_bytes)
		return rewrite(t, &f, &c, piece);
	rc = content_make(t, &c, piece, &new_off);
	if (rc == 0)
		rc = place_set(t, path, &f, new_off);
	return rc != 0 ? rc : heap_free(t->tx, off);
}

int
vos_fold_akey(struct vos_tx *t, const struct vos_path *path, const struct vos_punches *p,
	      bool array, struct vos_piece *piece, bool *ret_done)
{
	enum btree_kind kind = vos_akey_kind(path->oid->id);
	struct vos_ord after;
	struct vos_krec k;
	struct content c;
	uint64_t off;
	bool own;
	int rc;

	*ret_done = false;
	rc = vos_child_find(t->heap, path->dkey, VOS_KEY_DKEY, kind, path->akey_name, &off);
	if (rc != 0)
		return rc;
	if (off != 0) {
		rc = vos_krec_get(t->heap, off, VOS_KEY_AKEY, &k);
		if (rc != 0 || k.fold_top == 0)
			return rc;
		return overwrite(t, path, p, array, piece, off, ret_done);
	}
	rc = vos_child_carries_key(t->heap, path->dkey, VOS_KEY_DKEY, kind, &own);
	if (rc != 0 || vos_punch_after(p, t->ord, &after) ||
	    !content_of(t, VOS_KEY_AKEY, NULL, own ? path->akey_name : NULL, array, piece, &c))
		return rc;
	*ret_done = true;
	rc = content_make(t, &c, piece, &off);
	return rc != 0 ? rc
		       : vos_child_attach(t, path->dkey, VOS_KEY_DKEY, kind, path->akey_name, off);
}

/* A dkey that is not there, with all beneath. */
static int
new_dkey(struct vos_tx *t, const struct vos_path *path, const struct vos_punches *p, bool array,
	 struct vos_piece *piece, bool *ret_done)
{
	enum btree_kind kind = vos_dkey_kind(path->oid->id);
	struct vos_ord after;
	struct content c;
	uint64_t off;
	bool own;
	int rc;

	rc = vos_child_carries_key(t->heap, path->obj, VOS_KEY_OBJ, kind, &own);
	if (rc != 0 || vos_punch_after(p, t->ord, &after) ||
	    !content_of(t, VOS_KEY_DKEY, own ? path->dkey_name : NULL, path->akey_name, array,
			piece, &c))
		return rc;
	*ret_done = true;
	rc = content_make(t, &c, piece, &off);
	return rc != 0 ? rc
		       : vos_child_attach(t, path->obj, VOS_KEY_OBJ, kind, path->dkey_name, off);
}

static int
new_obj(struct vos_tx *t, const struct vos_path *path, bool array, struct vos_piece *piece,
	bool *ret_done)
{
	struct content c;
	uint64_t off;
	int rc;

	if (!content_of(t, VOS_KEY_OBJ, path->dkey_name, path->akey_name, array, piece, &c))
		return 0;
	*ret_done = true;
	rc = content_make(t, &c, piece, &off);
	return rc != 0 ? rc : vos_obj_attach(t, path->oid, off);
}

static bool
key_equal(const struct vos_key *a, const struct vos_key *b)
{
	return a->len == b->len && memcmp(a->buf, b->buf, a->len) == 0;
}

/* The akey beneath a dkey that exists. */
static int
write_dkey(struct vos_tx *t, struct vos_path *path, struct vos_punches *p, bool array,
	   struct vos_piece *piece, bool *ret_done)
{
	struct vos_fold f;
	struct vos_krec k;
	int rc;

	rc = vos_krec_get(t->heap, path->dkey, VOS_KEY_DKEY, &k);
	if (rc != 0)
		return rc;
	if (k.fold_top != 0) {
		rc = vos_fold_get(t->heap, path->dkey, &f);
		if (rc != 0 || !key_equal(&f.akey, path->akey_name))
			return rc;
		return overwrite(t, path, p, array, piece, path->dkey, ret_done);
	}
	rc = vos_punches_get(t->heap, &k, &p->level[1]);
	if (rc == 0)
		rc = vos_fold_akey(t, path, p, array, piece, ret_done);
	if (rc == 0 && *ret_done)
		rc = vos_key_touch(t, path->dkey, VOS_KEY_DKEY, t->ord.epoch, t->ord.epoch);
	return rc;
}

int
vos_fold_write(struct vos_tx *t, struct vos_path *path, bool array, struct vos_piece *piece,
	       bool *ret_done)
{
	struct vos_punches p = {0};
	struct vos_krec k;
	int rc;

	*ret_done = false;
	rc = vos_path_find(t->cont, path->oid, path->dkey_name, &path->obj, &path->dkey);
	if (rc != 0)
		return rc;
	if (path->obj == 0)
		return new_obj(t, path, array, piece, ret_done);
	rc = vos_krec_get(t->heap, path->obj, VOS_KEY_OBJ, &k);
	if (rc == 0)
		rc = vos_punches_get(t->heap, &k, &p.level[0]);
	if (rc != 0)
		return rc;
	if (path->dkey != 0)
		rc = write_dkey(t, path, &p, array, piece, ret_done);
	else if (k.fold_top == 0)
		rc = new_dkey(t, path, &p, array, piece, ret_done);
	if (rc == 0 && *ret_done && k.fold_top == 0)
		rc = vos_key_touch(t, path->obj, VOS_KEY_OBJ, t->ord.epoch, t->ord.epoch);
	return rc;
}
