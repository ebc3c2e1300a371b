/*
 * B+tree: cursors.
 *
 * A cursor keeps a copy of the key it sits on and the path to it. The path may be used as long as
 * nothing in the heap changed (heap_change_seq); otherwise the key is searched for again. So a walk
 * through an unchanging tree costs one step per record, and no cursor is ever wrong.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/tree/btree_internal.h"

void
btree_cursor_init(struct btree_cursor *cur, struct btree bt)
{
	memset(cur, 0, offsetof(struct btree_cursor, key_inl));
	cur->bt = bt;
	cur->key_buf = cur->key_inl;
	cur->key_cap = sizeof(cur->key_inl);
}

void
btree_cursor_fini(struct btree_cursor *cur)
{
	if (cur->key_buf != cur->key_inl)
		free(cur->key_buf);
	cur->key_buf = cur->key_inl;
	cur->key_cap = sizeof(cur->key_inl);
	cur->valid = false;
}

static int
keep_key(struct btree_cursor *cur, const struct bt_op *op, const struct kview *view)
{
	if (view->len > cur->key_cap) {
		uint8_t *buf = mem_alloc(view->len);

		if (buf == NULL)
			return -DER_NOMEM;
		if (cur->key_buf != cur->key_inl)
			free(cur->key_buf);
		cur->key_buf = buf;
		cur->key_cap = view->len;
	}
	cur->num = view->num;
	cur->key_len = view->len;
	if (view->len > 0)
		memcpy(cur->key_buf, view->body, view->len);
	if (op->hash_len > 0) {
		uint64_t be[2];

		memcpy(be, view->hash, sizeof(be));
		cur->hash[0] = __builtin_bswap64(be[0]);
		cur->hash[1] = __builtin_bswap64(be[1]);
	}
	return 0;
}

/* The path of op leads to a record: sit on it. */
static int
sit(struct btree_cursor *cur, struct bt_op *op)
{
	const struct bt_step *leaf = &op->path[op->depth - 1];
	struct kview view;
	uint32_t i;
	int rc;

	rc = bt_view(op, bt_entry(leaf->node, leaf->pos), &view);
	if (rc == 0)
		rc = keep_key(cur, op, &view);
	if (rc != 0)
		return rc;
	for (i = 0; i < op->depth; i++) {
		cur->path[i].node = op->path[i].off;
		cur->path[i].pos = op->path[i].pos;
	}
	cur->depth = op->depth;
	cur->seq = heap_change_seq(op->heap);
	cur->valid = true;
	cur->placed = true;
	return 0;
}

/* The cursor's path as that of an operation. False when it may no longer be right. */
static int
path_restore(const struct btree_cursor *cur, struct bt_op *op, bool *ret_ok)
{
	uint32_t i;
	int rc = 0;

	*ret_ok = cur->placed && cur->seq == heap_change_seq(op->heap) && cur->depth == op->depth;
	for (i = 0; rc == 0 && *ret_ok && i < cur->depth; i++) {
		op->path[i].off = cur->path[i].node;
		op->path[i].pos = cur->path[i].pos;
		rc = bt_node_get(op, cur->path[i].node, op->depth - 1 - i, &op->path[i].node);
	}
	return rc;
}

/* Move the path to the next record, or the previous one. -DER_NONEXIST. */
static int
step_path(struct bt_op *op, bool forward)
{
	uint32_t step = op->depth;

	while (step-- > 0) {
		struct bt_step *s = &op->path[step];

		if (forward ? s->pos + 1 < s->node->nr : s->pos > 0) {
			s->pos += forward ? 1 : -1;
			return bt_descend_edge(op, step + 1, !forward);
		}
	}
	return -DER_NONEXIST;
}

/* The path is at the lower bound of a key in its leaf: go to the record asked for. */
static int
settle(struct bt_op *op, enum btree_seek how, bool equal)
{
	struct bt_step *leaf = &op->path[op->depth - 1];

	switch (how) {
	case BTREE_EQ:
		return equal ? 0 : -DER_NONEXIST;
	case BTREE_GE:
	case BTREE_GT:
		if (equal && how == BTREE_GT)
			return step_path(op, true);
		if (leaf->pos < leaf->node->nr)
			return 0;
		leaf->pos--;
		return step_path(op, true);
	default:
		if (equal && how == BTREE_LE)
			return 0;
		return step_path(op, false);
	}
}

static int
seek(struct btree_cursor *cur, struct bt_op *op, enum btree_seek how, const struct skey *key)
{
	bool equal;
	int rc;

	if (op->depth == 0)
		return -DER_NONEXIST;
	if (how == BTREE_FIRST || how == BTREE_LAST) {
		rc = bt_descend_edge(op, 0, how == BTREE_LAST);
	} else {
		rc = bt_descend(op, key, &equal);
		if (rc == 0)
			rc = settle(op, how, equal);
	}
	return rc == 0 ? sit(cur, op) : rc;
}

int
btree_seek(struct btree_cursor *cur, enum btree_seek how, const struct btree_key *key)
{
	struct bt_op op;
	struct skey skey = {0};
	int rc;

	rc = bt_op_init(&op, cur->bt, NULL);
	if (rc == 0 && how != BTREE_FIRST && how != BTREE_LAST)
		rc = bt_skey_init(&op, key, &skey);
	return rc == 0 ? seek(cur, &op, how, &skey) : rc;
}

int
btree_seek_hash(struct btree_cursor *cur, enum btree_seek how, const uint64_t hash[2])
{
	struct btree_key key = {.has_hash = true, .hash = {hash[0], hash[1]}};
	struct bt_op op;
	struct skey skey;
	int rc;

	rc = bt_op_init(&op, cur->bt, NULL);
	if (rc == 0 && (op.root.kind != BTREE_HASH || (how != BTREE_GE && how != BTREE_GT)))
		rc = -DER_INVAL;
	if (rc == 0)
		rc = bt_skey_init(&op, &key, &skey);
	if (rc != 0)
		return rc;
	skey.above_all = how == BTREE_GT;
	return seek(cur, &op, how, &skey);
}

static struct btree_key
held_key(const struct btree_cursor *cur)
{
	return (struct btree_key){
	    .num = cur->num,
	    .buf = cur->key_buf,
	    .len = cur->key_len,
	    .has_hash = true,
	    .hash = {cur->hash[0], cur->hash[1]},
	};
}

static int
move(struct btree_cursor *cur, bool forward)
{
	struct btree_key key = held_key(cur);
	struct bt_op op;
	bool ok;
	int rc;

	if (!cur->valid)
		return -DER_NONEXIST;
	rc = bt_op_init(&op, cur->bt, NULL);
	if (rc == 0)
		rc = path_restore(cur, &op, &ok);
	if (rc != 0)
		return rc;
	if (!ok)
		return btree_seek(cur, forward ? BTREE_GT : BTREE_LT, &key);
	rc = step_path(&op, forward);
	return rc == 0 ? sit(cur, &op) : rc;
}

int
btree_next(struct btree_cursor *cur)
{
	return move(cur, true);
}

int
btree_prev(struct btree_cursor *cur)
{
	return move(cur, false);
}

int
btree_cursor_get(struct btree_cursor *cur, struct btree_key *ret_key, uint64_t *ret_val_off)
{
	struct btree_key key = held_key(cur);
	struct bt_op op;
	bool ok;
	int rc;

	if (!cur->valid)
		return -DER_NONEXIST;
	rc = bt_op_init(&op, cur->bt, NULL);
	if (rc == 0)
		rc = path_restore(cur, &op, &ok);
	if (rc == 0 && !ok) {
		rc = btree_seek(cur, BTREE_EQ, &key);
		if (rc == 0)
			rc = path_restore(cur, &op, &ok);
	}
	if (rc != 0)
		return rc;
	if (ret_val_off != NULL) {
		const struct bt_step *leaf = &op.path[op.depth - 1];

		*ret_val_off = heap_off(op.heap, bt_entry(leaf->node, leaf->pos)) + op.leaf_cell;
	}
	if (ret_key != NULL)
		*ret_key = held_key(cur);
	return 0;
}
