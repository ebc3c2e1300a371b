/* Private parts of the tree. */
#ifndef STORE_BTREE_INTERNAL_H
#define STORE_BTREE_INTERNAL_H

#include "store/tree/btree.h"
#include "store/tree/btree_format.h"

/* A key as a search needs it: its image in two pieces. */
struct skey {
	uint64_t num;                   /* UINT */
	uint8_t hash[BTREE_HASH_BYTES]; /* HASH */
	const uint8_t *body;
	uint32_t len;   /* of body */
	bool above_all; /* HASH: above every key of this hash */
};

/* One call on one tree. */
struct bt_op {
	struct heap *heap;
	int (*key_of)(struct heap *heap, uint64_t rec, struct btree_key *ret_key); /* if apart */
	struct heap_tx *tx; /* NULL when only reading */
	uint64_t root_off;
	struct btree_df root; /* as it was when the call began, kept up to date */
	uint32_t cell;        /* bytes, in inner nodes */
	uint32_t leaf_cell;   /* the same in leaves */
	bool apart;           /* keys are apart */
	uint32_t hash_len;    /* BTREE_HASH_BYTES or 0 */
	uint32_t depth;       /* of the path: root.depth */
	struct bt_step {
		uint64_t off;
		struct btree_node_df *node;
		uint32_t pos;
	} path[BTREE_DEPTH_MAX]; /* from the root node to the leaf */
};

/* A key's image taken from a leaf's cell. */
struct kview {
	uint64_t num;
	const uint8_t *hash; /* hash_len bytes; may be hash_buf */
	const uint8_t *body;
	uint32_t len;
	uint8_t hash_buf[BTREE_HASH_BYTES];
};

/* btree_node.c */
int bt_op_init(struct bt_op *op, struct btree bt, struct heap_tx *tx);
/* -DER_KEY2BIG */
int bt_skey_init(const struct bt_op *op, const struct btree_key *key, struct skey *ret);
int bt_node_get(struct bt_op *op, uint64_t off, uint32_t level, struct btree_node_df **ret_node);
uint32_t bt_entry_bytes(const struct bt_op *op, uint32_t level);
uint32_t bt_cap(uint32_t size_log2, uint32_t entry_bytes);
/* Cell of the entry at position pos; what follows the cell is the value or the child. */
uint8_t *bt_entry(const struct btree_node_df *node, uint32_t pos);
uint64_t bt_child(const struct bt_op *op, const struct btree_node_df *node, uint32_t pos);
/* Compare key with a cell: *ret_cmp < 0: the key is smaller. HEAP_MISS. */
int bt_cmp(struct bt_op *op, uint32_t level, const struct skey *key, const uint8_t *cell,
	   int *ret_cmp);
/* First position at or after from whose key is not below key. */
int bt_lower_bound(struct bt_op *op, const struct btree_node_df *node, uint32_t from,
		   const struct skey *key, uint32_t *ret_pos, bool *ret_equal);
/* Fill the path to the leaf where key belongs; the last pos is the lower bound there. */
int bt_descend(struct bt_op *op, const struct skey *key, bool *ret_equal);
/* Path to the first or last leaf below what path[level] points to. */
int bt_descend_edge(struct bt_op *op, uint32_t from, bool last);
/* Of a leaf's cell. ret must stay where it is. */
int bt_view(struct bt_op *op, const uint8_t *cell, struct kview *ret);
/* Heap object a cell owns, or 0. */
uint64_t bt_cell_owned(const struct bt_op *op, uint32_t level, const uint8_t *cell);

#endif
