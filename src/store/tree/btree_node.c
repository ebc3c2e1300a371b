/*
 * B+tree: nodes, cells, comparison, search. Nothing here changes a tree.
 */
#define LOG_FACILITY "btree"
#include <assert.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/log.h"
#include "store/tree/btree_internal.h"

static const uint8_t cell_bytes[] = {
    [BTREE_UINT] = BTREE_CELL_UINT,
    [BTREE_LEX] = BTREE_CELL_LEX,
    [BTREE_HASH] = BTREE_CELL_HASH,
};

static inline uint64_t
load_u64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t
load_be64(const void *p)
{
	return __builtin_bswap64(load_u64(p));
}

static int
damaged(const struct bt_op *op, uint64_t off, const char *what)
{
	log_err("tree at %#llx: %s at %#llx", (unsigned long long)op->root_off, what,
		(unsigned long long)off);
	return -DER_CSUM;
}

/* --- keys
 * -------------------------------------------------------------------------------------------- */

void
btree_hash(uint64_t seed, const void *buf, uint32_t len, uint64_t ret_hash[2])
{
	XXH128_hash_t h = XXH3_128bits_withSeed(buf, len, seed);

	ret_hash[0] = h.high64;
	ret_hash[1] = h.low64;
}

int
bt_skey_init(const struct bt_op *op, const struct btree_key *key, struct skey *ret)
{
	uint64_t hash[2], be[2];

	ret->above_all = false;
	if (op->root.kind == BTREE_UINT) {
		ret->num = key->num;
		return 0;
	}
	if (key->len > BTREE_KEY_MAX)
		return -DER_KEY2BIG;
	ret->body = key->buf;
	ret->len = key->len;
	if (op->root.kind == BTREE_LEX)
		return 0;
	if (key->has_hash)
		memcpy(hash, key->hash, sizeof(hash));
	else
		btree_hash(op->root.seed, key->buf, key->len, hash);
	be[0] = __builtin_bswap64(hash[0]);
	be[1] = __builtin_bswap64(hash[1]);
	memcpy(ret->hash, be, sizeof(be));
	return 0;
}

static inline int
cmp_bytes(const uint8_t *a, uint32_t a_len, const uint8_t *b, uint32_t b_len)
{
	uint32_t min = a_len < b_len ? a_len : b_len;
	int cmp = min > 0 ? memcmp(a, b, min) : 0;

	if (cmp != 0)
		return cmp;
	return a_len < b_len ? -1 : a_len > b_len;
}

/* The offset at the end of a long cell. */
static uint64_t
cell_long(const struct bt_op *op, const uint8_t *cell)
{
	return load_u64(cell + op->cell - sizeof(uint64_t));
}

uint64_t
bt_cell_owned(const struct bt_op *op, uint32_t level, const uint8_t *cell)
{
	if (op->root.kind == BTREE_UINT || (level == 0 && op->apart) || cell[0] != BTREE_LONG)
		return 0;
	return cell_long(op, cell);
}

static int
long_key(struct bt_op *op, const uint8_t *cell, const struct btree_key_df **ret_key)
{
	uint64_t off = cell_long(op, cell);
	const struct btree_key_df *key;

	key = heap_try_df(op->heap, off, sizeof(*key));
	if (key == NULL)
		return HEAP_MISS;
	if (key->len > BTREE_KEY_MAX)
		return damaged(op, off, "bad key");
	if (heap_try(op->heap, off, sizeof(*key) + key->len) == NULL)
		return HEAP_MISS;
	*ret_key = key;
	return 0;
}

/* The hash part of two images; the cell's may be cut short. 0: equal as far as it goes. */
static inline int
cmp_hash(const struct skey *key, const uint8_t *image, uint32_t len)
{
	uint64_t a, b;

	if (len < BTREE_HASH_BYTES)
		return cmp_bytes(key->hash, BTREE_HASH_BYTES, image, len);
	a = load_be64(key->hash);
	b = load_be64(image);
	if (a == b) {
		a = load_be64(key->hash + 8);
		b = load_be64(image + 8);
	}
	return a < b ? -1 : a > b;
}

/* The key of a leaf's cell whose key is apart, with its hash as image. */
static int
apart_key(struct bt_op *op, const uint8_t *cell, struct kview *ret)
{
	struct btree_key key = {0};
	uint64_t be[2];
	int rc;

	rc = op->key_of(op->heap, load_u64(cell + op->leaf_cell), &key);
	if (rc != 0)
		return rc;
	if (!key.has_hash)
		btree_hash(op->root.seed, key.buf, key.len, key.hash);
	be[0] = __builtin_bswap64(key.hash[0]);
	be[1] = __builtin_bswap64(key.hash[1]);
	memcpy(ret->hash_buf, be, sizeof(be));
	ret->num = 0;
	ret->hash = ret->hash_buf;
	ret->body = key.buf;
	ret->len = key.len;
	return memcmp(ret->hash, cell, BTREE_CELL_APART) == 0
		   ? 0
		   : damaged(op, heap_off(op->heap, cell), "key is not that of its cell");
}

/* The first 8 bytes of the hash nearly always decide, or else the key is the one sought. */
static int
cmp_apart(struct bt_op *op, const struct skey *key, const uint8_t *cell, int *ret_cmp)
{
	uint64_t a = load_be64(key->hash), b = load_be64(cell);
	struct kview view;
	int rc;

	*ret_cmp = a < b ? -1 : a > b;
	if (*ret_cmp != 0)
		return 0;
	rc = apart_key(op, cell, &view);
	if (rc != 0)
		return rc;
	*ret_cmp = cmp_hash(key, view.hash, BTREE_HASH_BYTES);
	if (*ret_cmp == 0)
		*ret_cmp = key->above_all ? 1 : cmp_bytes(key->body, key->len, view.body, view.len);
	return 0;
}

int
bt_cmp(struct bt_op *op, uint32_t level, const struct skey *key, const uint8_t *cell, int *ret_cmp)
{
	const uint8_t *image = cell + 1;
	const struct btree_key_df *full;
	uint32_t len, prefix;
	int rc;

	if (op->root.kind == BTREE_UINT) {
		uint64_t num = load_u64(cell);

		*ret_cmp = key->num < num ? -1 : key->num > num;
		return 0;
	}
	if (level == 0 && op->apart)
		return cmp_apart(op, key, cell, ret_cmp);
	len = cell[0] == BTREE_LONG ? op->cell - 9 : cell[0];
	if (op->hash_len != 0) {
		*ret_cmp = cmp_hash(key, image, len);
		if (*ret_cmp == 0 && key->above_all)
			*ret_cmp = 1;
		if (*ret_cmp != 0)
			return 0;
		image += BTREE_HASH_BYTES;
		len -= BTREE_HASH_BYTES;
	}
	if (cell[0] != BTREE_LONG) {
		*ret_cmp = cmp_bytes(key->body, key->len, image, len);
		return 0;
	}
	/* Often the first bytes decide. */
	prefix = key->len < len ? key->len : len;
	*ret_cmp = prefix > 0 ? memcmp(key->body, image, prefix) : 0;
	if (*ret_cmp == 0 && key->len < len)
		*ret_cmp = -1;
	if (*ret_cmp != 0)
		return 0;
	rc = long_key(op, cell, &full);
	if (rc == 0)
		*ret_cmp = cmp_bytes(key->body, key->len, full->bytes, full->len);
	return rc;
}

int
bt_view(struct bt_op *op, const uint8_t *cell, struct kview *ret)
{
	const struct btree_key_df *full;
	int rc;

	if (op->root.kind == BTREE_UINT) {
		*ret = (struct kview){.num = load_u64(cell)};
		return 0;
	}
	if (op->apart)
		return apart_key(op, cell, ret);
	ret->hash = cell + 1;
	if (cell[0] == BTREE_LONG) {
		rc = long_key(op, cell, &full);
		if (rc != 0)
			return rc;
		ret->body = full->bytes;
		ret->len = full->len;
		return 0;
	}
	if (cell[0] < op->hash_len || cell[0] > op->cell - 1)
		return damaged(op, heap_off(op->heap, cell), "bad cell");
	ret->body = cell + 1 + op->hash_len;
	ret->len = cell[0] - op->hash_len;
	return 0;
}

/* --- nodes
 * ---------------------------------------------------------------------------------------------- */

uint32_t
bt_entry_bytes(const struct bt_op *op, uint32_t level)
{
	return level > 0 ? op->cell + sizeof(uint64_t)
			 : op->leaf_cell + (op->root.val_bytes + 7) / 8 * 8;
}

static uint32_t
entries_at(uint32_t cap)
{
	return sizeof(struct btree_node_df) + (cap + 7) / 8 * 8;
}

uint32_t
bt_cap(uint32_t size_log2, uint32_t entry_bytes)
{
	uint32_t size = 1u << size_log2;
	uint32_t cap = (size - sizeof(struct btree_node_df)) / (entry_bytes + 1);

	while (entries_at(cap) + cap * entry_bytes > size)
		cap--;
	return cap;
}

/* A damaged order is found by btree_verify(); here it must only not lead out of the node. */
static inline uint32_t
slot_of(const struct btree_node_df *node, uint8_t slot)
{
	return slot < node->cap ? slot : 0;
}

uint8_t *
bt_entry(const struct btree_node_df *node, uint32_t pos)
{
	return (uint8_t *)node + entries_at(node->cap) +
	       slot_of(node, node->order[pos]) * node->entry_words * 8;
}

uint64_t
bt_child(const struct bt_op *op, const struct btree_node_df *node, uint32_t pos)
{
	return load_u64(bt_entry(node, pos) + op->cell);
}

int
bt_node_get(struct bt_op *op, uint64_t off, uint32_t level, struct btree_node_df **ret_node)
{
	struct btree_node_df *node = heap_try_df(op->heap, off, sizeof(*node));

	if (node == NULL)
		return HEAP_MISS;
	if (node->magic != BTREE_NODE_MAGIC || node->kind != op->root.kind ||
	    node->level != level || node->nr > node->cap ||
	    node->entry_words * 8 != bt_entry_bytes(op, level) ||
	    node->size_log2 < BTREE_SIZE_MIN_LOG2 || node->size_log2 > BTREE_SIZE_MAX_LOG2 ||
	    off % (1u << node->size_log2) != 0 ||
	    entries_at(node->cap) + node->cap * node->entry_words * 8u > 1u << node->size_log2)
		return damaged(op, off, "bad node");
	*ret_node = node;
	return 0;
}

int
bt_op_init(struct bt_op *op, struct btree bt, struct heap_tx *tx)
{
	const void *root = heap_try(bt.heap, bt.root_off, sizeof(op->root));

	if (root == NULL)
		return HEAP_MISS;
	op->heap = bt.heap;
	op->key_of = bt.key_of;
	op->tx = tx;
	op->root_off = bt.root_off;
	memcpy(&op->root, root, sizeof(op->root));
	if (op->root.version != BTREE_VERSION || op->root.kind < BTREE_UINT ||
	    op->root.kind > BTREE_HASH || op->root.val_bytes > BTREE_VAL_MAX ||
	    op->root.depth > BTREE_DEPTH_MAX || (op->root.depth == 0) != (op->root.node == 0))
		return damaged(op, bt.root_off, "bad root");
	op->apart = op->root.flags & BTREE_APART;
	if (op->apart && (op->root.kind != BTREE_HASH || op->root.val_bytes != sizeof(uint64_t)))
		return damaged(op, bt.root_off, "bad root");
	assert(!op->apart || op->key_of != NULL);
	op->cell = cell_bytes[op->root.kind];
	op->leaf_cell = op->apart ? BTREE_CELL_APART : op->cell;
	op->hash_len = op->root.kind == BTREE_HASH ? BTREE_HASH_BYTES : 0;
	op->depth = op->root.depth;
	return 0;
}

/* --- search
 * ------------------------------------------------------------------------------------------------
 */

/* Without branches that depend on the keys: they would be mispredicted every second time. */
static inline void
lower_bound_uint(const struct btree_node_df *node, uint32_t from, uint64_t num, uint32_t *ret_pos,
		 bool *ret_equal)
{
	const uint8_t *base = (const uint8_t *)node + entries_at(node->cap);
	const uint8_t *order = node->order + from;
	uint32_t nr = node->nr - from, bytes = node->entry_words * 8;

	while (nr > 0) {
		uint32_t half = nr / 2;
		bool below = load_u64(base + slot_of(node, order[half]) * bytes) < num;

		order = below ? order + half + 1 : order;
		nr = below ? nr - half - 1 : half;
	}
	*ret_pos = order - node->order;
	*ret_equal = *ret_pos < node->nr && load_u64(bt_entry(node, *ret_pos)) == num;
}

int
bt_lower_bound(struct bt_op *op, const struct btree_node_df *node, uint32_t from,
	       const struct skey *key, uint32_t *ret_pos, bool *ret_equal)
{
	uint32_t lo = from, hi = node->nr;
	int cmp, rc;

	if (op->root.kind == BTREE_UINT) {
		lower_bound_uint(node, from, key->num, ret_pos, ret_equal);
		return 0;
	}
	*ret_equal = false;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		rc = bt_cmp(op, node->level, key, bt_entry(node, mid), &cmp);
		if (rc != 0)
			return rc;
		if (cmp > 0) {
			lo = mid + 1;
		} else {
			*ret_equal = cmp == 0;
			hi = mid;
		}
	}
	*ret_pos = lo;
	return 0;
}

/* All lines of a node at once: a binary search would meet them one after the other. */
static inline void
prefetch_node(const struct heap *heap, uint64_t off)
{
	const uint8_t *p = heap_addr(heap, off);
	uint32_t i;

	for (i = 0; i < BTREE_NODE_MAX; i += 64)
		__builtin_prefetch(p + i);
}

/* Enter the node of path[step] and check it. */
static int
path_enter(struct bt_op *op, uint32_t step, uint64_t off)
{
	struct bt_step *s = &op->path[step];
	int rc;

	s->off = off;
	prefetch_node(op->heap, off);
	rc = bt_node_get(op, off, op->depth - 1 - step, &s->node);
	if (rc == 0 && s->node->nr == 0)
		rc = damaged(op, off, "empty node");
	return rc;
}

int
bt_descend(struct bt_op *op, const struct skey *key, bool *ret_equal)
{
	uint64_t off = op->root.node;
	uint32_t step;
	int rc;

	*ret_equal = false;
	for (step = 0; step < op->depth; step++) {
		struct bt_step *s = &op->path[step];
		bool leaf = step == op->depth - 1;

		rc = path_enter(op, step, off);
		if (rc == 0)
			rc = bt_lower_bound(op, s->node, leaf ? 0 : 1, key, &s->pos, ret_equal);
		if (rc != 0)
			return rc;
		if (leaf)
			break;
		if (!*ret_equal)
			s->pos--;
		off = bt_child(op, s->node, s->pos);
	}
	return 0;
}

int
bt_descend_edge(struct bt_op *op, uint32_t from, bool last)
{
	uint64_t off = from == 0 ? op->root.node
				 : bt_child(op, op->path[from - 1].node, op->path[from - 1].pos);
	uint32_t step;
	int rc;

	for (step = from; step < op->depth; step++) {
		struct bt_step *s = &op->path[step];

		rc = path_enter(op, step, off);
		if (rc != 0)
			return rc;
		s->pos = last ? s->node->nr - 1 : 0;
		if (step + 1 < op->depth)
			off = bt_child(op, s->node, s->pos);
	}
	return 0;
}
