/*
 * Keys: the records of objects, dkeys and akeys, and the three shapes of the set beneath a key.
 *
 *   nothing      child == 0
 *   one child    the child's record carries its key; no tree at all (most files and directory
 *                entries have one dkey or akey only)
 *   a tree       from the second child on; stays a tree until it is empty. A tree of hashed keys
 *                leaves them in the children's records, the others hold them themselves.
 *
 * Objects are always in the tree of their container.
 *
 * A key, the only one beneath it and so on may be folded into one record (vos_fold.c).
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_key.h"

#include "base/log.h"

static const struct btree_conf key_tree_conf[] = {
    [BTREE_UINT] = {.kind = BTREE_UINT, .val_bytes = 8},
    [BTREE_LEX] = {.kind = BTREE_LEX, .val_bytes = 8},
    [BTREE_HASH] = {.kind = BTREE_HASH, .val_bytes = 8, .keys_apart = true},
};

int
vos_key_check(enum btree_kind kind, const daos_key_t *in, struct vos_key *ret_key)
{
	if (in == NULL || in->iov_buf == NULL || in->iov_len == 0)
		return -DER_INVAL;
	if (in->iov_len > VOS_KEY_LEN_MAX)
		return -DER_KEY2BIG;
	if (kind == BTREE_UINT && in->iov_len != sizeof(uint64_t))
		return -DER_INVAL;
	ret_key->buf = in->iov_buf;
	ret_key->len = in->iov_len;
	return 0;
}

static struct btree_key
tree_key(enum btree_kind kind, const struct vos_key *key)
{
	struct btree_key bk = {0};

	if (kind == BTREE_UINT) {
		memcpy(&bk.num, key->buf, sizeof(bk.num));
	} else {
		bk.buf = key->buf;
		bk.len = key->len;
	}
	return bk;
}

static uint64_t
child_off(uint64_t child)
{
	return child & ~(uint64_t)VOS_CHILD_MASK;
}

/* The bytes of the record at off. */
static int
key_at(struct heap *heap, uint64_t off, enum vos_key_kind kind, struct vos_key_df **ret_k)
{
	struct vos_key_df *k = heap_try_df(heap, off, sizeof(*k));

	if (k == NULL)
		return HEAP_MISS;
	if (k->kind != kind) {
		log_err("heap offset %#llx: key record of kind %#x where %#x was expected",
			(unsigned long long)off, k->kind, kind);
		return -DER_CSUM;
	}
	if (k->key_len != 0 && heap_try(heap, off, sizeof(*k) + k->key_len) == NULL)
		return HEAP_MISS;
	*ret_k = k;
	return 0;
}

int
vos_krec_get(struct heap *heap, uint64_t off, enum vos_key_kind kind, struct vos_krec *ret_k)
{
	const uint8_t *first = heap_try(heap, off, 1);
	struct vos_key_df *k;
	int rc;

	if (first != NULL && vos_fold_is(*first))
		return vos_fold_krec(heap, off, kind, ret_k);
	rc = key_at(heap, off, kind, &k);
	if (rc != 0)
		return rc;
	*ret_k = (struct vos_krec){
	    .off = off,
	    .upd_epoch = k->upd_epoch,
	    .chg_epoch = k->chg_epoch,
	    .child = child_off(k->child),
	    .punch = k->punch,
	    .tag = k->child & VOS_CHILD_MASK,
	    .rec_size = k->rec_size,
	    .key = {.buf = k->key, .len = k->key_len},
	};
	return 0;
}

int
vos_krec_set_child(struct vos_tx *t, uint64_t off, enum vos_key_kind kind, uint64_t child,
		   enum vos_child_tag tag)
{
	uint64_t val = child | tag;
	struct vos_key_df *k;
	int rc;

	assert((child & VOS_CHILD_MASK) == 0);
	rc = key_at(t->heap, off, kind, &k);
	if (rc != 0)
		return rc;
	return heap_tx_write(t->tx, off + offsetof(struct vos_key_df, child), &val, sizeof(val));
}

int
vos_krec_set_punch(struct vos_tx *t, uint64_t off, enum vos_key_kind kind, uint64_t punch)
{
	struct vos_key_df *k;
	int rc;

	rc = key_at(t->heap, off, kind, &k);
	if (rc != 0)
		return rc;
	return heap_tx_write(t->tx, off + offsetof(struct vos_key_df, punch), &punch,
			     sizeof(punch));
}

int
vos_krec_set_rec_size(struct vos_tx *t, uint64_t akey, uint32_t rec_size)
{
	struct vos_key_df *k;
	int rc;

	rc = key_at(t->heap, akey, VOS_KEY_AKEY, &k);
	if (rc != 0)
		return rc;
	return heap_tx_write(t->tx, akey + offsetof(struct vos_key_df, rec_size), &rec_size,
			     sizeof(rec_size));
}

static enum vos_key_kind
child_kind_of(enum vos_key_kind parent_kind)
{
	return parent_kind == VOS_KEY_OBJ ? VOS_KEY_DKEY : VOS_KEY_AKEY;
}

static bool
key_equal(const struct vos_key *a, const struct vos_key *b)
{
	return a->len == b->len && memcmp(a->buf, b->buf, a->len) == 0;
}

static int
damaged(uint64_t off, const char *what)
{
	log_err("heap offset %#llx: %s", (unsigned long long)off, what);
	return -DER_CSUM;
}

/* Trees of children whose keys are in their records. */
static int
key_of(struct heap *heap, uint64_t rec, struct btree_key *ret_key)
{
	const uint8_t *first = heap_try(heap, rec, 1);
	enum vos_key_kind kind;
	struct vos_krec k;
	int rc;

	if (first == NULL)
		return HEAP_MISS;
	kind = *first & ~VOS_FOLDED;
	if (kind != VOS_KEY_DKEY && kind != VOS_KEY_AKEY)
		return damaged(rec, "not a record of a dkey or akey");
	rc = vos_krec_get(heap, rec, kind, &k);
	if (rc != 0)
		return rc;
	if (k.key.len == 0)
		return damaged(rec, "record without its key");
	ret_key->buf = k.key.buf;
	ret_key->len = k.key.len;
	return 0;
}

struct btree
vos_key_tree(struct heap *heap, uint64_t root)
{
	return btree_keys_at(heap, root, key_of);
}

/* --- find ------------------------------------------------------------------------------ */

/* The u64 value of a key in a tree of keys; 0 = not there. */
static int
tree_find(struct heap *heap, uint64_t root, const struct btree_key *bk, uint64_t *ret_off)
{
	uint64_t val;
	int rc;

	rc = btree_lookup(vos_key_tree(heap, root), bk, &val);
	if (rc == -DER_NONEXIST) {
		*ret_off = 0;
		return 0;
	}
	if (rc == 0)
		*ret_off = *(const uint64_t *)heap_ptr(heap, val);
	return rc;
}

int
vos_child_find(struct heap *heap, uint64_t parent, enum vos_key_kind parent_kind,
	       enum btree_kind kind, const struct vos_key *key, uint64_t *ret_off)
{
	struct vos_krec k, one;
	struct btree_key bk;
	uint64_t off;
	int rc;

	rc = vos_krec_get(heap, parent, parent_kind, &k);
	if (rc != 0)
		return rc;
	*ret_off = 0;
	off = k.child;
	switch (k.tag) {
	case 0:
		return 0;
	case VOS_CHILD_ONE:
		rc = vos_krec_get(heap, off, child_kind_of(parent_kind), &one);
		if (rc != 0)
			return rc;
		if (key_equal(&one.key, key))
			*ret_off = off;
		return 0;
	case VOS_CHILD_TREE:
		bk = tree_key(kind, key);
		return tree_find(heap, off, &bk, ret_off);
	default:
		return -DER_CSUM;
	}
}

/* --- add and delete ---------------------------------------------------------------------- */

int
vos_key_make(struct vos_tx *t, enum vos_key_kind kind, const struct vos_key *key, uint64_t epoch,
	     uint64_t child, enum vos_child_tag tag, uint32_t rec_size, uint64_t *ret_off)
{
	struct vos_key_df *k;
	int rc;

	rc = heap_alloc(t->tx, sizeof(*k) + key->len, 0, ret_off);
	if (rc != 0)
		return rc;
	k = heap_ptr(t->heap, *ret_off);
	k->kind = kind;
	k->key_len = key->len;
	k->rec_size = kind == VOS_KEY_AKEY ? rec_size : 0;
	k->upd_epoch = epoch;
	k->chg_epoch = epoch;
	k->child = child | tag;
	if (key->len != 0)
		memcpy(k->key, key->buf, key->len);
	return 0;
}

/* The only child gets company: make a tree that holds it. */
static int
one_to_tree(struct vos_tx *t, const struct vos_krec *k, enum vos_key_kind parent_kind,
	    enum btree_kind kind, uint64_t *ret_root)
{
	uint64_t off = k->child;
	struct vos_krec one;
	struct btree_key bk;
	int rc;

	rc = vos_krec_get(t->heap, off, child_kind_of(parent_kind), &one);
	if (rc != 0)
		return rc;
	rc = heap_alloc(t->tx, BTREE_ROOT_BYTES, 0, ret_root);
	if (rc != 0)
		return rc;
	rc = btree_create(t->tx, *ret_root, &key_tree_conf[kind]);
	if (rc != 0)
		return rc;
	bk = tree_key(kind, &one.key);
	rc = btree_insert(t->tx, vos_key_tree(t->heap, *ret_root), &bk, &off, NULL);
	if (rc != 0)
		return rc;
	return vos_krec_set_child(t, k->off, parent_kind, *ret_root, VOS_CHILD_TREE);
}

int
vos_child_carries_key(struct heap *heap, uint64_t parent, enum vos_key_kind parent_kind,
		      enum btree_kind kind, bool *ret_own)
{
	struct vos_krec k;
	int rc;

	rc = vos_krec_get(heap, parent, parent_kind, &k);
	if (rc == 0)
		*ret_own = k.tag == 0 || kind == BTREE_HASH;
	return rc;
}

int
vos_child_attach(struct vos_tx *t, uint64_t parent, enum vos_key_kind parent_kind,
		 enum btree_kind kind, const struct vos_key *key, uint64_t off)
{
	struct vos_krec k;
	struct btree_key bk;
	uint64_t root;
	int rc;

	rc = vos_krec_get(t->heap, parent, parent_kind, &k);
	if (rc != 0)
		return rc;
	switch (k.tag) {
	case 0:
		return vos_krec_set_child(t, parent, parent_kind, off, VOS_CHILD_ONE);
	case VOS_CHILD_ONE:
		rc = one_to_tree(t, &k, parent_kind, kind, &root);
		if (rc != 0)
			return rc;
		break;
	case VOS_CHILD_TREE:
		root = k.child;
		break;
	default:
		return -DER_CSUM;
	}
	bk = tree_key(kind, key);
	return btree_insert(t->tx, vos_key_tree(t->heap, root), &bk, &off, NULL);
}

int
vos_child_replace(struct vos_tx *t, uint64_t parent, enum vos_key_kind parent_kind,
		  enum btree_kind kind, const struct vos_key *key, uint64_t off)
{
	struct vos_krec k;
	struct btree_key bk;
	uint64_t val;
	int rc;

	rc = vos_krec_get(t->heap, parent, parent_kind, &k);
	if (rc != 0)
		return rc;
	if (k.tag == VOS_CHILD_ONE)
		return vos_krec_set_child(t, parent, parent_kind, off, VOS_CHILD_ONE);
	if (k.tag != VOS_CHILD_TREE)
		return -DER_CSUM;
	bk = tree_key(kind, key);
	rc = btree_lookup(vos_key_tree(t->heap, k.child), &bk, &val);
	return rc != 0 ? rc : heap_tx_write(t->tx, val, &off, sizeof(off));
}

int
vos_child_add(struct vos_tx *t, uint64_t parent, enum vos_key_kind parent_kind,
	      enum btree_kind kind, const struct vos_key *key, uint64_t *ret_off)
{
	static const struct vos_key none;
	bool own;
	int rc;

	rc = vos_child_carries_key(t->heap, parent, parent_kind, kind, &own);
	if (rc == 0)
		rc = vos_key_make(t, child_kind_of(parent_kind), own ? key : &none, 0, 0, 0, 0,
				  ret_off);
	return rc != 0 ? rc : vos_child_attach(t, parent, parent_kind, kind, key, *ret_off);
}

/* Free a key's record and its list of punches. */
static int
key_free(struct vos_tx *t, uint64_t off, enum vos_key_kind kind)
{
	struct vos_krec k;
	int rc;

	rc = vos_krec_get(t->heap, off, kind, &k);
	if (rc != 0)
		return rc;
	if (k.fold_top != 0)
		return vos_fold_free(t, off);
	assert(k.child == 0);
	rc = heap_free(t->tx, k.punch);
	if (rc != 0)
		return rc;
	return heap_free(t->tx, off);
}

int
vos_child_del(struct vos_tx *t, uint64_t parent, enum vos_key_kind parent_kind,
	      enum btree_kind kind, const struct vos_key *key)
{
	struct vos_krec k;
	struct btree_key bk;
	uint64_t off, root;
	bool empty;
	int rc;

	rc = vos_krec_get(t->heap, parent, parent_kind, &k);
	if (rc != 0)
		return rc;
	if (k.tag == VOS_CHILD_ONE) {
		off = k.child;
		rc = key_free(t, off, child_kind_of(parent_kind));
		if (rc != 0)
			return rc;
		return vos_krec_set_child(t, parent, parent_kind, 0, 0);
	}
	assert(k.tag == VOS_CHILD_TREE);
	root = k.child;
	bk = tree_key(kind, key);
	rc = btree_delete(t->tx, vos_key_tree(t->heap, root), &bk, &off);
	if (rc != 0)
		return rc;
	rc = key_free(t, off, child_kind_of(parent_kind));
	if (rc != 0)
		return rc;
	rc = btree_is_empty(vos_key_tree(t->heap, root), &empty);
	if (rc != 0 || !empty)
		return rc;
	rc = btree_destroy(t->tx, vos_key_tree(t->heap, root));
	if (rc != 0)
		return rc;
	rc = heap_free(t->tx, root);
	if (rc != 0)
		return rc;
	return vos_krec_set_child(t, parent, parent_kind, 0, 0);
}

int
vos_key_touch(struct vos_tx *t, uint64_t off, enum vos_key_kind kind, uint64_t upd_epoch,
	      uint64_t chg_epoch)
{
	struct vos_key_df *k;
	int rc;

	rc = key_at(t->heap, off, kind, &k);
	if (rc != 0)
		return rc;
	if (upd_epoch <= k->upd_epoch && chg_epoch <= k->chg_epoch)
		return 0;
	static_assert(offsetof(struct vos_key_df, chg_epoch) ==
			  offsetof(struct vos_key_df, upd_epoch) + 8,
		      "the two epochs are adjacent");
	rc = heap_tx_add(t->tx, off + offsetof(struct vos_key_df, upd_epoch), 16);
	if (rc != 0)
		return rc;
	if (upd_epoch > k->upd_epoch)
		k->upd_epoch = upd_epoch;
	if (chg_epoch > k->chg_epoch)
		k->chg_epoch = chg_epoch;
	return 0;
}

int
vos_key_lower(struct vos_tx *t, uint64_t off, enum vos_key_kind kind, uint64_t epoch)
{
	struct vos_key_df *k;
	int rc;

	rc = key_at(t->heap, off, kind, &k);
	if (rc != 0 || (k->upd_epoch <= epoch && k->chg_epoch <= epoch))
		return rc;
	rc = heap_tx_add(t->tx, off + offsetof(struct vos_key_df, upd_epoch), 16);
	if (rc != 0)
		return rc;
	if (k->upd_epoch > epoch)
		k->upd_epoch = epoch;
	if (k->chg_epoch > epoch)
		k->chg_epoch = epoch;
	return 0;
}

/* --- objects ----------------------------------------------------------------------------- */

static void
put_be64(uint8_t *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, 8);
}

static uint64_t
get_be64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return __builtin_bswap64(v);
}

void
vos_oid_encode(const struct vos_oid *oid, uint8_t key[VOS_OID_KEY])
{
	uint32_t shard = __builtin_bswap32(oid->shard);

	put_be64(key, oid->id.hi);
	put_be64(key + 8, oid->id.lo);
	memcpy(key + 16, &shard, 4);
}

void
vos_oid_decode(const uint8_t key[VOS_OID_KEY], struct vos_oid *ret_oid)
{
	uint32_t shard;

	memcpy(&shard, key + 16, 4);
	*ret_oid = (struct vos_oid){
	    .id = {.hi = get_be64(key), .lo = get_be64(key + 8)},
	    .shard = __builtin_bswap32(shard),
	};
}

static uint64_t
objs_root(const struct vos_cont *cont)
{
	return cont->df_off + offsetof(struct vos_cont_df, objs);
}

int
vos_obj_find(struct vos_cont *cont, const struct vos_oid *oid, uint64_t *ret_off)
{
	struct vos_cache_ent *ent = vos_cache_slot(cont->pool, cont->id, oid, NULL);
	uint8_t key[VOS_OID_KEY];
	struct btree_key bk;
	int rc;

	if (vos_cache_match(ent, cont->id, oid, NULL)) {
		*ret_off = ent->obj;
		return 0;
	}
	vos_oid_encode(oid, key);
	bk = btree_key_buf(key, sizeof(key));
	rc = tree_find(cont->pool->heap, objs_root(cont), &bk, ret_off);
	if (rc == 0 && *ret_off != 0)
		vos_cache_fill(cont->pool, ent, cont->id, oid, NULL, *ret_off, 0);
	return rc;
}

/* The dkey of a folded object goes with it. */
static int
fold_forget(struct vos_tx *t, const struct vos_oid *oid, uint64_t off)
{
	struct vos_fold f;
	int rc;

	rc = vos_fold_get(t->heap, off, &f);
	if (rc == 0)
		vos_cache_del(t->pool, t->cont->id, oid, &f.dkey);
	return rc;
}

int
vos_obj_del(struct vos_tx *t, const struct vos_oid *oid, uint64_t off)
{
	uint8_t key[VOS_OID_KEY];
	struct btree_key bk;
	struct vos_krec k;
	int rc;

	vos_oid_encode(oid, key);
	bk = btree_key_buf(key, sizeof(key));
	vos_cache_del(t->pool, t->cont->id, oid, NULL);
	rc = vos_krec_get(t->heap, off, VOS_KEY_OBJ, &k);
	if (rc == 0 && k.fold_top != 0)
		rc = fold_forget(t, oid, off);
	if (rc == 0)
		rc = btree_delete(t->tx, btree_at(t->heap, objs_root(t->cont)), &bk, NULL);
	if (rc != 0)
		return rc;
	return key_free(t, off, VOS_KEY_OBJ);
}

int
vos_path_find(struct vos_cont *cont, const struct vos_oid *oid, const struct vos_key *dkey,
	      uint64_t *ret_obj, uint64_t *ret_dkey)
{
	struct vos_cache_ent *ent = vos_cache_slot(cont->pool, cont->id, oid, dkey);
	int rc;

	if (vos_cache_match(ent, cont->id, oid, dkey)) {
		*ret_obj = ent->obj;
		*ret_dkey = ent->dkey;
		return 0;
	}
	*ret_dkey = 0;
	rc = vos_obj_find(cont, oid, ret_obj);
	if (rc != 0 || *ret_obj == 0)
		return rc;
	rc = vos_child_find(cont->pool->heap, *ret_obj, VOS_KEY_OBJ, vos_dkey_kind(oid->id), dkey,
			    ret_dkey);
	if (rc == 0 && *ret_dkey != 0)
		vos_cache_fill(cont->pool, ent, cont->id, oid, dkey, *ret_obj, *ret_dkey);
	return rc;
}

int
vos_obj_attach(struct vos_tx *t, const struct vos_oid *oid, uint64_t off)
{
	uint8_t key[VOS_OID_KEY];
	struct btree_key bk;

	vos_oid_encode(oid, key);
	bk = btree_key_buf(key, sizeof(key));
	return btree_insert(t->tx, btree_at(t->heap, objs_root(t->cont)), &bk, &off, NULL);
}

int
vos_obj_replace(struct vos_tx *t, const struct vos_oid *oid, uint64_t off)
{
	uint8_t key[VOS_OID_KEY];
	struct btree_key bk;
	uint64_t val;
	int rc;

	vos_cache_del(t->pool, t->cont->id, oid, NULL);
	vos_oid_encode(oid, key);
	bk = btree_key_buf(key, sizeof(key));
	rc = btree_lookup(btree_at(t->heap, objs_root(t->cont)), &bk, &val);
	return rc != 0 ? rc : heap_tx_write(t->tx, val, &off, sizeof(off));
}

static int
obj_add(struct vos_tx *t, const struct vos_oid *oid, uint64_t *ret_off)
{
	static const struct vos_key none;
	int rc;

	rc = vos_key_make(t, VOS_KEY_OBJ, &none, 0, 0, 0, 0, ret_off);
	return rc != 0 ? rc : vos_obj_attach(t, oid, *ret_off);
}

/* Unfold down to `last`, and further to the akey if it is the one named. */
static int
unfold(struct vos_tx *t, struct vos_path *path, uint64_t off, enum vos_key_kind last)
{
	struct vos_fold f;
	int rc;

	rc = vos_fold_get(t->heap, off, &f);
	if (rc != 0)
		return rc;
	if (last == VOS_KEY_DKEY && path->akey_name != NULL && key_equal(&f.akey, path->akey_name))
		last = VOS_KEY_AKEY;
	return vos_fold_unfold(t, path, off, last);
}

int
vos_path_get(struct vos_tx *t, struct vos_path *path)
{
	enum btree_kind kind = vos_dkey_kind(path->oid->id);
	struct vos_krec k;
	int rc;

	path->dkey = 0;
	if (path->dkey_name != NULL)
		rc = vos_path_find(t->cont, path->oid, path->dkey_name, &path->obj, &path->dkey);
	else
		rc = vos_obj_find(t->cont, path->oid, &path->obj);
	if (rc == 0 && path->obj == 0)
		rc = obj_add(t, path->oid, &path->obj);
	if (rc == 0)
		rc = vos_krec_get(t->heap, path->obj, VOS_KEY_OBJ, &k);
	if (rc == 0 && k.fold_top != 0)
		rc = unfold(t, path, path->obj, path->dkey != 0 ? VOS_KEY_DKEY : VOS_KEY_OBJ);
	if (rc != 0 || path->dkey_name == NULL)
		return rc;
	if (path->dkey == 0)
		return vos_child_add(t, path->obj, VOS_KEY_OBJ, kind, path->dkey_name, &path->dkey);
	rc = vos_krec_get(t->heap, path->dkey, VOS_KEY_DKEY, &k);
	return rc == 0 && k.fold_top != 0 ? unfold(t, path, path->dkey, VOS_KEY_DKEY) : rc;
}

int
vos_akey_get(struct vos_tx *t, struct vos_path *path)
{
	enum btree_kind kind = vos_akey_kind(path->oid->id);
	struct vos_krec k;
	int rc;

	rc = vos_child_find(t->heap, path->dkey, VOS_KEY_DKEY, kind, path->akey_name, &path->akey);
	if (rc != 0)
		return rc;
	if (path->akey == 0)
		return vos_child_add(t, path->dkey, VOS_KEY_DKEY, kind, path->akey_name,
				     &path->akey);
	rc = vos_krec_get(t->heap, path->akey, VOS_KEY_AKEY, &k);
	return rc == 0 && k.fold_top != 0 ? vos_fold_unfold(t, path, path->akey, VOS_KEY_AKEY) : rc;
}

/* --- walk over children -------------------------------------------------------------------- */

int
vos_iter_init(struct vos_iter *it, struct heap *heap, uint64_t parent,
	      enum vos_key_kind parent_kind, enum btree_kind kind)
{
	struct vos_krec k;
	int rc;

	it->heap = heap;
	it->kind = kind;
	it->child_kind = child_kind_of(parent_kind);
	it->one = 0;
	it->none = false;
	it->on = false;
	rc = vos_krec_get(heap, parent, parent_kind, &k);
	/* fini must be possible in every case */
	if (rc != 0 || k.child == 0 || k.tag == VOS_CHILD_ONE) {
		btree_cursor_init(&it->cur, vos_key_tree(heap, 0));
		if (rc != 0)
			return rc;
		it->none = k.child == 0;
		it->one = k.child;
		return 0;
	}
	btree_cursor_init(&it->cur, vos_key_tree(heap, k.child));
	return k.tag == VOS_CHILD_TREE ? 0 : -DER_CSUM;
}

void
vos_iter_fini(struct vos_iter *it)
{
	btree_cursor_fini(&it->cur);
}

static uint64_t
key_num(const struct vos_key *key)
{
	uint64_t num;

	memcpy(&num, key->buf, sizeof(num));
	return num;
}

static int
cmp_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int
cmp_bytes(const struct vos_key *a, const struct vos_key *b)
{
	uint32_t len = a->len < b->len ? a->len : b->len;
	int c = memcmp(a->buf, b->buf, len);

	return c != 0 ? c : cmp_u64(a->len, b->len);
}

static int
cmp_hash(const uint64_t a[2], const uint64_t b[2])
{
	int c = cmp_u64(a[0], b[0]);

	return c != 0 ? c : cmp_u64(a[1], b[1]);
}

static int
cmp_keys(enum btree_kind kind, const struct vos_key *a, const struct vos_key *b)
{
	uint64_t ha[2], hb[2];
	int c;

	if (kind == BTREE_UINT)
		return cmp_u64(key_num(a), key_num(b));
	if (kind == BTREE_LEX)
		return cmp_bytes(a, b);
	btree_hash(0, a->buf, a->len, ha);
	btree_hash(0, b->buf, b->len, hb);
	c = cmp_hash(ha, hb);
	return c != 0 ? c : cmp_bytes(a, b);
}

/* Does a record that compares so with the key sought satisfy the search? */
static bool
seek_accepts(enum btree_seek how, int c)
{
	switch (how) {
	case BTREE_FIRST:
	case BTREE_LAST:
		return true;
	case BTREE_EQ:
		return c == 0;
	case BTREE_GE:
		return c >= 0;
	case BTREE_GT:
		return c > 0;
	case BTREE_LE:
		return c <= 0;
	case BTREE_LT:
		return c < 0;
	}
	return false;
}

int
vos_iter_seek(struct vos_iter *it, enum btree_seek how, const struct vos_key *key)
{
	struct vos_krec one;
	struct btree_key bk = {0};
	int c = 0, rc;

	if (it->none)
		return -DER_NONEXIST;
	if (it->one == 0) {
		if (how != BTREE_FIRST && how != BTREE_LAST)
			bk = tree_key(it->kind, key);
		return btree_seek(&it->cur, how, &bk);
	}
	rc = vos_krec_get(it->heap, it->one, it->child_kind, &one);
	if (rc != 0)
		return rc;
	if (it->kind == BTREE_UINT && one.key.len != sizeof(uint64_t))
		return -DER_CSUM;
	if (how != BTREE_FIRST && how != BTREE_LAST)
		c = cmp_keys(it->kind, &one.key, key);
	it->on = seek_accepts(how, c);
	return it->on ? 0 : -DER_NONEXIST;
}

int
vos_iter_seek_hash(struct vos_iter *it, enum btree_seek how, const uint64_t hash[2])
{
	struct vos_krec one;
	uint64_t h[2];
	int rc;

	if (it->none)
		return -DER_NONEXIST;
	if (it->one == 0)
		return btree_seek_hash(&it->cur, how, hash);
	rc = vos_krec_get(it->heap, it->one, it->child_kind, &one);
	if (rc != 0)
		return rc;
	btree_hash(0, one.key.buf, one.key.len, h);
	it->on = seek_accepts(how, cmp_hash(h, hash));
	return it->on ? 0 : -DER_NONEXIST;
}

int
vos_iter_next(struct vos_iter *it)
{
	return it->none || it->one != 0 ? -DER_NONEXIST : btree_next(&it->cur);
}

int
vos_iter_prev(struct vos_iter *it)
{
	return it->none || it->one != 0 ? -DER_NONEXIST : btree_prev(&it->cur);
}

int
vos_iter_get(struct vos_iter *it, struct vos_key *ret_key, uint64_t ret_hash[2], uint64_t *ret_off)
{
	struct vos_krec one;
	struct btree_key bk;
	uint64_t val;
	int rc;

	if (it->one != 0) {
		assert(it->on);
		rc = vos_krec_get(it->heap, it->one, it->child_kind, &one);
		if (rc != 0)
			return rc;
		if (ret_key != NULL)
			*ret_key = one.key;
		if (ret_hash != NULL)
			btree_hash(0, one.key.buf, one.key.len, ret_hash);
		if (ret_off != NULL)
			*ret_off = it->one;
		return 0;
	}
	rc = btree_cursor_get(&it->cur, &bk, &val);
	if (rc != 0)
		return rc;
	if (ret_key != NULL) {
		it->num = bk.num;
		*ret_key = it->kind == BTREE_UINT
			       ? (struct vos_key){.buf = &it->num, .len = sizeof(it->num)}
			       : (struct vos_key){.buf = bk.buf, .len = bk.len};
	}
	if (ret_hash != NULL)
		memcpy(ret_hash, bk.hash, sizeof(bk.hash));
	if (ret_off != NULL)
		*ret_off = *(const uint64_t *)heap_ptr(it->heap, val);
	return 0;
}
