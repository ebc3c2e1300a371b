/*
 * B+tree: creation, lookup, insert, delete.
 *
 * An insert into a full node first doubles the node (a tree starts with 64 to 128 bytes), and
 * splits it only at the largest size. A split gives half to a new right neighbour, or nothing but
 * the new key when that comes at the end of the whole tree, so that ascending inserts fill nodes
 * completely. Old entries stay where they are: shrinking the left node is one byte.
 *
 * A delete removes an empty node, and merges a node that has become a quarter full with a neighbour
 * if both fit well into one. Nodes are thus not guaranteed to be half full, which costs nothing but
 * space in rare patterns.
 *
 * A separator in an inner node is the shortest byte string that is above everything on its left and
 * not above anything on its right. It is a copy: deleting the key it came from does not touch it.
 */
#define LOG_FACILITY "btree"
#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "store/tree/btree_internal.h"

/* --- nodes: changing
 * ----------------------------------------------------------------------------------- */

/* A new node with room for at least entries; contents up to the caller. */
static int
node_new(struct bt_op *op, uint32_t level, uint32_t size_log2, uint64_t *ret_off,
	 struct btree_node_df **ret_node)
{
	struct btree_node_df *node;
	uint64_t off;
	uint32_t i;
	int rc;

	rc = heap_alloc(op->tx, 1u << size_log2, HEAP_ALLOC_RAW, &off);
	if (rc != 0)
		return rc;
	node = heap_ptr(op->heap, off);
	rc = heap_tx_add(op->tx, off, sizeof(*node) + bt_cap(size_log2, bt_entry_bytes(op, level)));
	if (rc != 0)
		return rc;
	*node = (struct btree_node_df){
	    .magic = BTREE_NODE_MAGIC,
	    .kind = op->root.kind,
	    .level = level,
	    .size_log2 = size_log2,
	    .cap = bt_cap(size_log2, bt_entry_bytes(op, level)),
	    .entry_words = bt_entry_bytes(op, level) / 8,
	};
	for (i = 0; i < node->cap; i++)
		node->order[i] = i;
	*ret_off = off;
	*ret_node = node;
	return 0;
}

/* Smallest node that has room for nr entries. */
static uint32_t
size_for(const struct bt_op *op, uint32_t level, uint32_t nr)
{
	uint32_t log2 = BTREE_SIZE_MIN_LOG2;

	while (log2 < BTREE_SIZE_MAX_LOG2 && bt_cap(log2, bt_entry_bytes(op, level)) < nr)
		log2++;
	return log2;
}

/* Make room for one entry at pos and declare it; returns its cell. */
static int
node_insert(struct bt_op *op, struct btree_node_df *node, uint32_t pos, uint8_t **ret_entry)
{
	uint8_t slot = node->order[node->nr];
	uint64_t off = heap_off(op->heap, node);
	uint8_t *entry;
	int rc;

	assert(node->nr < node->cap && pos <= node->nr);
	entry = bt_entry(node, node->nr);
	rc = heap_tx_add(op->tx, heap_off(op->heap, entry), node->entry_words * 8);
	if (rc == 0)
		rc = heap_tx_add(op->tx, off + offsetof(struct btree_node_df, nr), 1);
	if (rc == 0)
		rc = heap_tx_add(op->tx, off + sizeof(*node) + pos, node->nr - pos + 1);
	if (rc != 0)
		return rc;
	memmove(&node->order[pos + 1], &node->order[pos], node->nr - pos);
	node->order[pos] = slot;
	node->nr++;
	*ret_entry = entry;
	return 0;
}

/* Remove nr entries from pos on. Their bytes stay. */
static int
node_remove(struct bt_op *op, struct btree_node_df *node, uint32_t pos, uint32_t nr)
{
	uint64_t off = heap_off(op->heap, node);
	uint8_t slots[UINT8_MAX];
	int rc;

	assert(pos + nr <= node->nr);
	rc = heap_tx_add(op->tx, off + offsetof(struct btree_node_df, nr), 1);
	if (rc == 0 && pos + nr < node->nr)
		rc = heap_tx_add(op->tx, off + sizeof(*node) + pos, node->nr - pos);
	if (rc != 0)
		return rc;
	if (pos + nr < node->nr) {
		memcpy(slots, &node->order[pos], nr);
		memmove(&node->order[pos], &node->order[pos + nr], node->nr - pos - nr);
		memcpy(&node->order[node->nr - nr], slots, nr);
	}
	node->nr -= nr;
	return 0;
}

/* Append copies of entries [pos, pos + nr) of src to dst. */
static int
node_append(struct bt_op *op, struct btree_node_df *dst, const struct btree_node_df *src,
	    uint32_t pos, uint32_t nr)
{
	uint8_t *entry;
	uint32_t i;
	int rc;

	for (i = 0; i < nr; i++) {
		rc = node_insert(op, dst, dst->nr, &entry);
		if (rc != 0)
			return rc;
		memcpy(entry, bt_entry(src, pos + i), src->entry_words * 8);
	}
	return 0;
}

static int
root_set(struct bt_op *op, uint64_t node, uint32_t depth)
{
	op->root.node = node;
	op->root.depth = depth;
	return heap_tx_write(op->tx, op->root_off, &op->root, sizeof(op->root));
}

/* Let the parent of path[step], or the root, point to another node. */
static int
relink(struct bt_op *op, uint32_t step, uint64_t off)
{
	struct bt_step *up;

	if (step == 0)
		return root_set(op, off, op->root.depth);
	up = &op->path[step - 1];
	return heap_tx_write(op->tx, heap_off(op->heap, bt_entry(up->node, up->pos) + op->cell),
			     &off, sizeof(off));
}

/* --- cells
 * ----------------------------------------------------------------------------------------------------
 */

/* Build the cell for an image: hash_len bytes of hash (possibly cut) and body. */
static int
cell_make(struct bt_op *op, const uint8_t *hash, uint32_t hash_len, const uint8_t *body,
	  uint32_t len, uint8_t *cell)
{
	uint32_t room = op->cell - 1;
	struct btree_key_df *key;
	uint64_t off;
	int rc;

	memset(cell, 0, op->cell);
	if (hash_len > 0)
		memcpy(cell + 1, hash, hash_len);
	if (hash_len + len <= room) {
		cell[0] = hash_len + len;
		if (len > 0)
			memcpy(cell + 1 + hash_len, body, len);
		return 0;
	}
	assert(hash_len == op->hash_len);
	rc = heap_alloc(op->tx, sizeof(*key) + len, 0, &off);
	if (rc != 0)
		return rc;
	key = heap_ptr(op->heap, off);
	key->len = len;
	memcpy(key->bytes, body, len);
	cell[0] = BTREE_LONG;
	memcpy(cell + 1 + hash_len, body, op->cell - 9 - hash_len);
	memcpy(cell + op->cell - sizeof(off), &off, sizeof(off));
	return 0;
}

static int
cell_from_skey(struct bt_op *op, const struct skey *key, uint8_t *cell)
{
	if (op->root.kind == BTREE_UINT) {
		memcpy(cell, &key->num, sizeof(key->num));
		return 0;
	}
	if (op->apart) {
		memcpy(cell, key->hash, BTREE_CELL_APART);
		return 0;
	}
	return cell_make(op, key->hash, op->hash_len, key->body, key->len, cell);
}

static uint32_t
common_prefix(const uint8_t *a, uint32_t a_len, const uint8_t *b, uint32_t b_len)
{
	uint32_t i = 0;

	while (i < a_len && i < b_len && a[i] == b[i])
		i++;
	return i;
}

/* Separator between two neighbouring keys, left below right. */
static int
cell_separator(struct bt_op *op, const struct kview *left, const struct kview *right, uint8_t *cell)
{
	uint32_t same;

	if (op->root.kind == BTREE_UINT) {
		memcpy(cell, &right->num, sizeof(right->num));
		return 0;
	}
	if (op->hash_len > 0) {
		same = common_prefix(left->hash, op->hash_len, right->hash, op->hash_len);
		if (same < op->hash_len)
			return cell_make(op, right->hash, same + 1, NULL, 0, cell);
	}
	same = common_prefix(left->body, left->len, right->body, right->len);
	if (same >= right->len) {
		log_err("tree at %#llx: keys out of order", (unsigned long long)op->root_off);
		return -DER_CSUM;
	}
	return cell_make(op, right->hash, op->hash_len, right->body, same + 1, cell);
}

/* The separator, if what two leaf cells hold of the hash is enough: then no key need be looked at.
 */
static bool
apart_separator(struct bt_op *op, const uint8_t *left, const uint8_t *right, uint8_t *cell)
{
	uint32_t same = common_prefix(left, BTREE_CELL_APART, right, BTREE_CELL_APART);

	return same < BTREE_CELL_APART && cell_make(op, right, same + 1, NULL, 0, cell) == 0;
}

static int
cell_free(struct bt_op *op, uint32_t level, const uint8_t *cell)
{
	return heap_free(op->tx, bt_cell_owned(op, level, cell));
}

/* --- growing and splitting
 * --------------------------------------------------------------------------------------- */

/* Move the node of path[step] to one of twice the size. */
static int
node_grow(struct bt_op *op, uint32_t step)
{
	struct bt_step *s = &op->path[step];
	struct btree_node_df *node;
	uint64_t off;
	int rc;

	rc = node_new(op, s->node->level, s->node->size_log2 + 1, &off, &node);
	if (rc == 0)
		rc = node_append(op, node, s->node, 0, s->node->nr);
	if (rc == 0)
		rc = relink(op, step, off);
	if (rc == 0)
		rc = heap_free(op->tx, s->off);
	if (rc != 0)
		return rc;
	s->off = off;
	s->node = node;
	return 0;
}

/* Give the tree a new root node above the present one; the path gets one step more at the top. */
static int
add_level(struct bt_op *op)
{
	struct btree_node_df *node;
	uint64_t off, child = op->root.node;
	uint8_t *entry;
	int rc;

	if (op->depth == BTREE_DEPTH_MAX)
		return -DER_OVERFLOW;
	rc = node_new(op, op->depth, size_for(op, 1, 4), &off, &node);
	if (rc == 0)
		rc = node_insert(op, node, 0, &entry);
	if (rc != 0)
		return rc;
	memset(entry, 0, op->cell);
	memcpy(entry + op->cell, &child, sizeof(child));
	rc = root_set(op, off, op->depth + 1);
	if (rc != 0)
		return rc;
	memmove(&op->path[1], &op->path[0], op->depth * sizeof(op->path[0]));
	op->path[0] = (struct bt_step){.off = off, .node = node, .pos = 0};
	op->depth++;
	return 0;
}

static int make_room(struct bt_op *op, uint32_t *step);

/* Whether path[step] is the last node of its level. */
static bool
is_rightmost(const struct bt_op *op, uint32_t step)
{
	while (step-- > 0) {
		if (op->path[step].pos + 1 < op->path[step].node->nr)
			return false;
	}
	return true;
}

/*
 * Where the right half of a full node begins, and the cell that separates the halves.
 *
 * A leaf is about to get key at pos. If that is just where the halves part, key becomes the first
 * of the right half, so the separator must not be above it.
 */
static int
split_leaf_at(struct bt_op *op, uint32_t step, const struct skey *key, uint32_t *ret_keep,
	      uint8_t *cell)
{
	const struct btree_node_df *node = op->path[step].node;
	uint32_t pos = op->path[step].pos, keep = node->nr / 2;
	struct kview left, right;
	int rc;

	if (pos == node->nr && is_rightmost(op, step))
		keep = node->nr;
	*ret_keep = keep;
	if (op->apart && apart_separator(op, bt_entry(node, keep - 1),
					 pos == keep ? key->hash : bt_entry(node, keep), cell))
		return 0;
	rc = bt_view(op, bt_entry(node, keep - 1), &left);
	if (rc != 0)
		return rc;
	if (pos == keep)
		right = (struct kview){
		    .num = key->num, .hash = key->hash, .body = key->body, .len = key->len};
	else
		rc = bt_view(op, bt_entry(node, keep), &right);
	return rc == 0 ? cell_separator(op, &left, &right, cell) : rc;
}

/* An inner node gets a new child behind the one at pos. The first cell of the right half moves up.
 */
static void
split_inner_at(struct bt_op *op, uint32_t step, uint32_t *ret_keep, uint8_t *cell)
{
	const struct btree_node_df *node = op->path[step].node;
	uint32_t keep = node->nr / 2;

	if (op->path[step].pos + 1 == node->nr && is_rightmost(op, step))
		keep = node->nr - 1;
	memcpy(cell, bt_entry(node, keep), op->cell);
	*ret_keep = keep;
}

/* Enter a new child behind path[*step].pos. */
static int
insert_child(struct bt_op *op, uint32_t *step, const uint8_t *cell, uint64_t off)
{
	uint8_t *entry;
	int rc;

	rc = make_room(op, step);
	if (rc == 0)
		rc = node_insert(op, op->path[*step].node, op->path[*step].pos + 1, &entry);
	if (rc != 0)
		return rc;
	memcpy(entry, cell, op->cell);
	memcpy(entry + op->cell, &off, sizeof(off));
	return 0;
}

/*
 * Split the full node of path[*step]; the path goes on in the half where its pos lies, for a leaf
 * where key (about to be inserted) belongs.
 */
static int
node_split(struct bt_op *op, uint32_t *step, const struct skey *key)
{
	struct btree_node_df *left = op->path[*step].node, *right;
	uint32_t pos = op->path[*step].pos, level = left->level, keep;
	uint8_t cell[BTREE_CELL_MAX];
	uint64_t off;
	int rc = 0;

	if (level == 0)
		rc = split_leaf_at(op, *step, key, &keep, cell);
	else
		split_inner_at(op, *step, &keep, cell);
	if (rc == 0)
		rc = node_new(op, level, BTREE_SIZE_MAX_LOG2, &off, &right);
	if (rc == 0)
		rc = node_append(op, right, left, keep, left->nr - keep);
	if (rc == 0 && level > 0)
		memset(bt_entry(right, 0), 0, op->cell);
	if (rc == 0)
		rc = node_remove(op, left, keep, left->nr - keep);
	if (rc == 0 && *step == 0) {
		rc = add_level(op);
		(*step)++;
	}
	if (rc != 0)
		return rc;
	(*step)--;
	rc = insert_child(op, step, cell, off);
	if (rc != 0)
		return rc;
	(*step)++;
	if (pos >= keep) {
		op->path[*step - 1].pos++;
		op->path[*step] = (struct bt_step){.off = off, .node = right, .pos = pos - keep};
	}
	return 0;
}

/* Have room for one entry in the inner node of path[*step]. Its number changes with a new root
 * node. */
static int
make_room(struct bt_op *op, uint32_t *step)
{
	const struct btree_node_df *node = op->path[*step].node;

	if (node->nr < node->cap)
		return 0;
	if (node->size_log2 < BTREE_SIZE_MAX_LOG2)
		return node_grow(op, *step);
	return node_split(op, step, NULL);
}

static int
make_leaf_room(struct bt_op *op, const struct skey *key)
{
	uint32_t step = op->depth - 1;
	const struct btree_node_df *node = op->path[step].node;

	if (node->nr < node->cap)
		return 0;
	if (node->size_log2 < BTREE_SIZE_MAX_LOG2)
		return node_grow(op, step);
	return node_split(op, &step, key);
}

/* --- removing and merging
 * -------------------------------------------------------------------------------------------- */

/* Take the entry at pos out of path[step]'s node, with what its cell owns. */
static int
drop_entry(struct bt_op *op, uint32_t step, uint32_t pos)
{
	struct btree_node_df *node = op->path[step].node;
	int rc;

	rc = cell_free(op, node->level, bt_entry(node, pos));
	return rc == 0 ? node_remove(op, node, pos, 1) : rc;
}

/* While the root node has a single child, that child becomes the root node. */
static int
drop_levels(struct bt_op *op)
{
	int rc = 0;

	while (rc == 0 && op->root.depth > 1) {
		struct btree_node_df *node;
		uint64_t off = op->root.node;

		rc = bt_node_get(op, off, op->root.depth - 1, &node);
		if (rc != 0 || node->nr > 1)
			break;
		rc = cell_free(op, node->level, bt_entry(node, 0));
		if (rc == 0)
			rc = root_set(op, bt_child(op, node, 0), op->root.depth - 1);
		if (rc == 0)
			rc = heap_free(op->tx, off);
	}
	return rc;
}

/* Move everything of right into left, its neighbour; both are children of path[step]'s node, right
 * at pos. */
static int
merge_into(struct bt_op *op, uint32_t step, uint32_t pos, struct btree_node_df *left,
	   struct btree_node_df *right)
{
	struct btree_node_df *up = op->path[step].node;
	uint64_t right_off = bt_child(op, up, pos);
	uint32_t first = left->nr;
	int rc;

	rc = node_append(op, left, right, 0, right->nr);
	if (rc != 0)
		return rc;
	if (right->level == 0) {
		rc = cell_free(op, up->level, bt_entry(up, pos));
	} else {
		/* The separator comes down to be the cell of what was right's first child. */
		rc = cell_free(op, right->level, bt_entry(right, 0));
		memcpy(bt_entry(left, first), bt_entry(up, pos), op->cell);
	}
	if (rc == 0)
		rc = node_remove(op, up, pos, 1);
	if (rc == 0)
		rc = heap_free(op->tx, right_off);
	return rc;
}

/* Whether the two are better one. */
static bool
should_merge(const struct btree_node_df *left, const struct btree_node_df *right)
{
	return left->nr + right->nr <= left->cap * 3 / 4;
}

/* The node of path[step] became smaller: remove it if empty, merge it if a neighbour has room.
 * *ret_up: its parent became smaller too. */
static int
shrink_node(struct bt_op *op, uint32_t step, bool *ret_up)
{
	struct bt_step *s = &op->path[step], *up = &op->path[step - 1];
	struct btree_node_df *near;
	int rc;

	*ret_up = true;
	if (s->node->nr == 0) {
		rc = drop_entry(op, step - 1, up->pos);
		return rc == 0 ? heap_free(op->tx, s->off) : rc;
	}
	*ret_up = false;
	if (s->node->nr > s->node->cap / 4)
		return 0;
	if (up->pos > 0) {
		rc = bt_node_get(op, bt_child(op, up->node, up->pos - 1), s->node->level, &near);
		*ret_up = rc == 0 && should_merge(near, s->node);
		if (rc != 0 || *ret_up)
			return rc == 0 ? merge_into(op, step - 1, up->pos, near, s->node) : rc;
	}
	if (up->pos + 1 < up->node->nr) {
		rc = bt_node_get(op, bt_child(op, up->node, up->pos + 1), s->node->level, &near);
		*ret_up = rc == 0 && should_merge(s->node, near);
		if (rc != 0 || *ret_up)
			return rc == 0 ? merge_into(op, step - 1, up->pos + 1, s->node, near) : rc;
	}
	return 0;
}

/* After entries left the leaf of the path: put the tree in order. */
static int
shrink_path(struct bt_op *op)
{
	uint32_t step = op->depth - 1;
	bool up = true;
	int rc = 0;

	while (rc == 0 && up && step > 0)
		rc = shrink_node(op, step--, &up);
	if (rc != 0)
		return rc;
	if (op->path[0].node->nr == 0) {
		rc = heap_free(op->tx, op->path[0].off);
		return rc == 0 ? root_set(op, 0, 0) : rc;
	}
	return drop_levels(op);
}

/* --- interface
 * -----------------------------------------------------------------------------------------------------------
 */

int
btree_create(struct heap_tx *tx, uint64_t root_off, const struct btree_conf *conf)
{
	struct btree_df root = {
	    .version = BTREE_VERSION,
	    .kind = conf->kind,
	    .val_bytes = conf->val_bytes,
	    .flags = conf->keys_apart ? BTREE_APART : 0,
	    .seed = conf->seed,
	};

	if (conf->keys_apart && (conf->kind != BTREE_HASH || conf->val_bytes != sizeof(uint64_t)))
		return -DER_INVAL;
	if (conf->kind < BTREE_UINT || conf->kind > BTREE_HASH || conf->val_bytes > BTREE_VAL_MAX)
		return -DER_INVAL;
	return heap_tx_write(tx, root_off, &root, sizeof(root));
}

int
btree_destroy(struct heap_tx *tx, struct btree bt)
{
	static const struct btree_df none;
	struct bt_op op;
	int rc;

	rc = bt_op_init(&op, bt, tx);
	if (rc == 0 && op.root.depth != 0)
		rc = -DER_BUSY;
	return rc == 0 ? heap_tx_write(tx, bt.root_off, &none, sizeof(none)) : rc;
}

int
btree_info(struct btree bt, struct btree_conf *ret_conf)
{
	struct bt_op op;
	int rc;

	rc = bt_op_init(&op, bt, NULL);
	if (rc != 0)
		return rc;
	*ret_conf = (struct btree_conf){
	    .kind = op.root.kind,
	    .val_bytes = op.root.val_bytes,
	    .seed = op.root.seed,
	    .keys_apart = op.apart,
	};
	return 0;
}

int
btree_is_empty(struct btree bt, bool *ret_empty)
{
	struct bt_op op;
	int rc;

	rc = bt_op_init(&op, bt, NULL);
	if (rc == 0)
		*ret_empty = op.root.depth == 0;
	return rc;
}

static uint64_t
val_off(const struct bt_op *op)
{
	const struct bt_step *leaf = &op->path[op->depth - 1];

	return heap_off(op->heap, bt_entry(leaf->node, leaf->pos)) + op->leaf_cell;
}

/* Find key: path and whether it is there. */
static int
find(struct bt_op *op, struct btree bt, struct heap_tx *tx, const struct btree_key *key,
     struct skey *ret_skey, bool *ret_equal)
{
	int rc;

	*ret_equal = false;
	rc = bt_op_init(op, bt, tx);
	if (rc == 0)
		rc = bt_skey_init(op, key, ret_skey);
	if (rc == 0 && op->depth > 0)
		rc = bt_descend(op, ret_skey, ret_equal);
	return rc;
}

int
btree_lookup(struct btree bt, const struct btree_key *key, uint64_t *ret_val_off)
{
	struct bt_op op;
	struct skey skey;
	bool equal;
	int rc;

	rc = find(&op, bt, NULL, key, &skey, &equal);
	if (rc != 0)
		return rc;
	if (!equal)
		return -DER_NONEXIST;
	if (ret_val_off != NULL)
		*ret_val_off = val_off(&op);
	return 0;
}

/* The first node of an empty tree. */
static int
first_node(struct bt_op *op)
{
	struct btree_node_df *node;
	uint64_t off;
	int rc;

	rc = node_new(op, 0, size_for(op, 0, 1), &off, &node);
	if (rc == 0)
		rc = root_set(op, off, 1);
	if (rc != 0)
		return rc;
	op->depth = 1;
	op->path[0] = (struct bt_step){.off = off, .node = node, .pos = 0};
	return 0;
}

/* Put a key that is not there where the path leads. */
static int
insert_at(struct bt_op *op, const struct skey *key, const void *val)
{
	struct bt_step *leaf;
	uint8_t *entry;
	int rc;

	rc = op->depth == 0 ? first_node(op) : make_leaf_room(op, key);
	if (rc != 0)
		return rc;
	leaf = &op->path[op->depth - 1];
	rc = node_insert(op, leaf->node, leaf->pos, &entry);
	if (rc != 0)
		return rc;
	memset(entry + op->leaf_cell, 0, leaf->node->entry_words * 8 - op->leaf_cell);
	if (val != NULL)
		memcpy(entry + op->leaf_cell, val, op->root.val_bytes);
	return cell_from_skey(op, key, entry);
}

int
btree_insert(struct heap_tx *tx, struct btree bt, const struct btree_key *key, const void *val,
	     uint64_t *ret_val_off)
{
	struct bt_op op;
	struct skey skey;
	bool equal;
	int rc;

	rc = find(&op, bt, tx, key, &skey, &equal);
	if (rc == 0 && !equal)
		rc = insert_at(&op, &skey, val);
	if (rc != 0)
		return rc;
	if (ret_val_off != NULL)
		*ret_val_off = val_off(&op);
	return equal ? -DER_EXIST : 0;
}

int
btree_upsert(struct heap_tx *tx, struct btree bt, const struct btree_key *key, const void *val,
	     uint64_t *ret_val_off)
{
	struct bt_op op;
	struct skey skey;
	bool equal;
	int rc;

	rc = find(&op, bt, tx, key, &skey, &equal);
	if (rc == 0 && !equal)
		rc = insert_at(&op, &skey, val);
	else if (rc == 0 && op.root.val_bytes > 0)
		rc = heap_tx_write(tx, val_off(&op), val, op.root.val_bytes);
	if (rc == 0 && ret_val_off != NULL)
		*ret_val_off = val_off(&op);
	return rc;
}

int
btree_delete(struct heap_tx *tx, struct btree bt, const struct btree_key *key, void *ret_val)
{
	struct bt_op op;
	struct skey skey;
	bool equal;
	int rc;

	rc = find(&op, bt, tx, key, &skey, &equal);
	if (rc != 0)
		return rc;
	if (!equal)
		return -DER_NONEXIST;
	if (ret_val != NULL)
		memcpy(ret_val, heap_ptr(bt.heap, val_off(&op)), op.root.val_bytes);
	rc = drop_entry(&op, op.depth - 1, op.path[op.depth - 1].pos);
	return rc == 0 ? shrink_path(&op) : rc;
}

/* Remove up to *left records of the first leaf. */
static int
clear_leaf(struct bt_op *op, uint32_t *left,
	   int (*fn)(struct heap_tx *tx, uint64_t val_off, void *arg), void *arg)
{
	struct btree_node_df *leaf;
	uint32_t i, nr;
	int rc;

	rc = bt_descend_edge(op, 0, false);
	if (rc != 0)
		return rc;
	leaf = op->path[op->depth - 1].node;
	nr = leaf->nr < *left ? leaf->nr : *left;
	for (i = 0; rc == 0 && i < nr; i++) {
		const uint8_t *entry = bt_entry(leaf, i);

		if (fn != NULL)
			rc = fn(op->tx, heap_off(op->heap, entry) + op->leaf_cell, arg);
		if (rc == 0)
			rc = cell_free(op, 0, entry);
	}
	if (rc == 0)
		rc = node_remove(op, leaf, 0, nr);
	*left -= nr;
	return rc == 0 ? shrink_path(op) : rc;
}

int
btree_clear(struct heap_tx *tx, struct btree bt, uint32_t max_nr,
	    int (*fn)(struct heap_tx *tx, uint64_t val_off, void *arg), void *arg, bool *ret_empty)
{
	struct bt_op op;
	int rc;

	do {
		rc = bt_op_init(&op, bt, tx);
		if (rc != 0 || op.depth == 0 || max_nr == 0)
			break;
		rc = clear_leaf(&op, &max_nr, fn, arg);
	} while (rc == 0);
	if (rc == 0)
		*ret_empty = op.root.depth == 0;
	return rc;
}
