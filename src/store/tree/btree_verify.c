/* B+tree: check of a whole tree. */
#define LOG_FACILITY "btree"
#include <string.h>

#include "base/log.h"
#include "store/tree/btree_internal.h"

struct walk {
	struct bt_op op;
	int (*fn)(void *arg, uint64_t off);
	void *arg;
	uint64_t nr;
	const uint8_t *prev; /* cell of the key before, NULL at first */
};

static int
wrong(const struct walk *w, uint64_t off, const char *what)
{
	log_err("tree at %#llx, node %#llx: %s", (unsigned long long)w->op.root_off,
		(unsigned long long)off, what);
	return -DER_CSUM;
}

static int
own(struct walk *w, uint64_t off)
{
	return off != 0 && w->fn != NULL ? w->fn(w->arg, off) : 0;
}

static int
verify_order(const struct walk *w, uint64_t off, const struct btree_node_df *node)
{
	uint8_t seen[UINT8_MAX + 1] = {0};
	uint32_t i;

	if (node->nr == 0)
		return wrong(w, off, "empty");
	for (i = 0; i < node->cap; i++) {
		if (node->order[i] >= node->cap || seen[node->order[i]]++)
			return wrong(w, off, "order is no permutation");
	}
	return 0;
}

/* A leaf's key against the one before it and the bound on its right. */
static int
verify_key(struct walk *w, uint64_t off, const uint8_t *cell, const uint8_t *upper)
{
	struct kview view;
	struct skey key = {0};
	int cmp, rc;

	rc = bt_view(&w->op, cell, &view);
	if (rc != 0)
		return rc;
	key.num = view.num;
	key.body = view.body;
	key.len = view.len;
	if (w->op.hash_len > 0)
		memcpy(key.hash, view.hash, w->op.hash_len);
	if (w->prev != NULL) {
		rc = bt_cmp(&w->op, 0, &key, w->prev, &cmp);
		if (rc == 0 && cmp <= 0)
			rc = wrong(w, off, "keys out of order");
	}
	if (rc == 0 && upper != NULL) {
		rc = bt_cmp(&w->op, 1, &key, upper, &cmp);
		if (rc == 0 && cmp >= 0)
			rc = wrong(w, off, "key not below its right bound");
	}
	w->prev = cell;
	return rc;
}

/* Separators are compared as keys are only when a leaf's key meets them; a lower bound is met by
 * the first key of its child. */
static int
verify_lower(struct walk *w, uint64_t off, const uint8_t *cell, const uint8_t *lower)
{
	struct kview view;
	struct skey key = {0};
	int cmp, rc;

	if (lower == NULL)
		return 0;
	rc = bt_view(&w->op, cell, &view);
	if (rc != 0)
		return rc;
	key.num = view.num;
	key.body = view.body;
	key.len = view.len;
	if (w->op.hash_len > 0)
		memcpy(key.hash, view.hash, w->op.hash_len);
	rc = bt_cmp(&w->op, 1, &key, lower, &cmp);
	return rc == 0 && cmp < 0 ? wrong(w, off, "key below its left bound") : rc;
}

static int
verify_node(struct walk *w, uint64_t off, uint32_t level, const uint8_t *lower,
	    const uint8_t *upper)
{
	struct btree_node_df *node;
	uint32_t i;
	int rc;

	rc = bt_node_get(&w->op, off, level, &node);
	if (rc == 0)
		rc = verify_order(w, off, node);
	if (rc == 0)
		rc = own(w, off);
	for (i = 0; rc == 0 && i < node->nr; i++) {
		const uint8_t *cell = bt_entry(node, i);
		const uint8_t *right = i + 1 < node->nr ? bt_entry(node, i + 1) : upper;

		rc = own(w, bt_cell_owned(&w->op, level, cell));
		if (rc != 0)
			break;
		if (level > 0) {
			rc = verify_node(w, bt_child(&w->op, node, i), level - 1,
					 i == 0 ? lower : cell, right);
			continue;
		}
		w->nr++;
		rc = verify_key(w, off, cell, upper);
		if (rc == 0 && i == 0)
			rc = verify_lower(w, off, cell, lower);
	}
	return rc;
}

int
btree_verify(struct btree bt, int (*fn)(void *arg, uint64_t off), void *arg, uint64_t *ret_nr)
{
	struct walk w = {.fn = fn, .arg = arg};
	int rc;

	rc = bt_op_init(&w.op, bt, NULL);
	if (rc == 0 && w.op.depth > 0)
		rc = verify_node(&w, w.op.root.node, w.op.depth - 1, NULL, NULL);
	if (rc == 0)
		*ret_nr = w.nr;
	return rc;
}
