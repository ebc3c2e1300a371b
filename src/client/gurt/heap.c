/*
 * Binary heap: an array in which the parent of slot i is slot (i - 1) / 2. Nodes know their slot,
 * so any of them can be removed. The array grows by DBH_SIZE slots and never shrinks.
 */
#include <gurt/heap.h>

static void
heap_lock(struct d_binheap *h, bool write)
{
	if (h->d_bh_feats & DBH_FT_NOLOCK)
		return;
	if ((h->d_bh_feats & DBH_FT_RWLOCK) == 0)
		D_MUTEX_LOCK(&h->d_bh_mutex);
	else if (write)
		D_RWLOCK_WRLOCK(&h->d_bh_rwlock);
	else
		D_RWLOCK_RDLOCK(&h->d_bh_rwlock);
}

static void
heap_unlock(struct d_binheap *h)
{
	if (h->d_bh_feats & DBH_FT_NOLOCK)
		return;
	if (h->d_bh_feats & DBH_FT_RWLOCK)
		D_RWLOCK_UNLOCK(&h->d_bh_rwlock);
	else
		D_MUTEX_UNLOCK(&h->d_bh_mutex);
}

static int
heap_grow(struct d_binheap *h, uint32_t slot_nr)
{
	struct d_binheap_node **nodes;

	if (slot_nr <= h->d_bh_hwm)
		return 0;
	if (slot_nr > UINT32_MAX - DBH_SIZE)
		return -DER_OVERFLOW;
	slot_nr = D_ALIGNUP(slot_nr, DBH_SIZE);
	nodes = d_realloc(h->d_bh_nodes1, (size_t)slot_nr * sizeof(*nodes));
	if (nodes == NULL)
		return -DER_NOMEM;
	h->d_bh_nodes1 = nodes;
	h->d_bh_hwm = slot_nr;
	return 0;
}

int
d_binheap_create_inplace(uint32_t feats, uint32_t count, void *priv, struct d_binheap_ops *ops,
			 struct d_binheap *h)
{
	int rc;

	if (h == NULL || ops == NULL || ops->hop_compare == NULL)
		return -DER_INVAL;
	memset(h, 0, sizeof(*h));
	h->d_bh_feats = feats;
	h->d_bh_ops = ops;
	h->d_bh_priv = priv;
	rc = heap_grow(h, count);
	if (rc != 0)
		return rc;
	if (feats & DBH_FT_NOLOCK)
		return 0;
	rc = feats & DBH_FT_RWLOCK ? D_RWLOCK_INIT(&h->d_bh_rwlock, NULL)
				   : D_MUTEX_INIT(&h->d_bh_mutex, NULL);
	if (rc != 0)
		d_free(h->d_bh_nodes1);
	return rc;
}

int
d_binheap_create(uint32_t feats, uint32_t count, void *priv, struct d_binheap_ops *ops,
		 struct d_binheap **h)
{
	struct d_binheap *heap;
	int rc;

	if (h == NULL)
		return -DER_INVAL;
	heap = d_calloc(1, sizeof(*heap));
	if (heap == NULL)
		return -DER_NOMEM;
	rc = d_binheap_create_inplace(feats, count, priv, ops, heap);
	if (rc != 0) {
		d_free(heap);
		return rc;
	}
	*h = heap;
	return 0;
}

void
d_binheap_destroy_inplace(struct d_binheap *h)
{
	if (h == NULL)
		return;
	if ((h->d_bh_feats & DBH_FT_NOLOCK) == 0) {
		if (h->d_bh_feats & DBH_FT_RWLOCK)
			D_RWLOCK_DESTROY(&h->d_bh_rwlock);
		else
			D_MUTEX_DESTROY(&h->d_bh_mutex);
	}
	d_free(h->d_bh_nodes1);
	memset(h, 0, sizeof(*h));
}

void
d_binheap_destroy(struct d_binheap *h)
{
	d_binheap_destroy_inplace(h);
	d_free(h);
}

struct d_binheap_node *
d_binheap_find(struct d_binheap *h, uint32_t idx)
{
	struct d_binheap_node *node = NULL;

	if (h == NULL)
		return NULL;
	heap_lock(h, false);
	if (idx < h->d_bh_nodes_cnt)
		node = h->d_bh_nodes1[idx];
	heap_unlock(h);
	return node;
}

static void
slot_set(struct d_binheap *h, uint32_t idx, struct d_binheap_node *node)
{
	h->d_bh_nodes1[idx] = node;
	node->chn_idx = idx;
}

/* Move a node up from its slot to where its parent is not larger. True if it moved. */
static bool
sift_up(struct d_binheap *h, uint32_t idx)
{
	struct d_binheap_node *node = h->d_bh_nodes1[idx];
	uint32_t start = idx;

	while (idx > 0) {
		struct d_binheap_node *parent = h->d_bh_nodes1[(idx - 1) / 2];

		if (!h->d_bh_ops->hop_compare(node, parent))
			break;
		slot_set(h, idx, parent);
		idx = (idx - 1) / 2;
	}
	slot_set(h, idx, node);
	return idx != start;
}

/* Move a node down to where no child is smaller. */
static void
sift_down(struct d_binheap *h, uint32_t idx)
{
	struct d_binheap_node **nodes = h->d_bh_nodes1;
	struct d_binheap_node *node = nodes[idx];
	uint64_t child;

	while ((child = 2ULL * idx + 1) < h->d_bh_nodes_cnt) {
		if (child + 1 < h->d_bh_nodes_cnt &&
		    h->d_bh_ops->hop_compare(nodes[child + 1], nodes[child]))
			child++;
		if (!h->d_bh_ops->hop_compare(nodes[child], node))
			break;
		slot_set(h, idx, nodes[child]);
		idx = (uint32_t)child;
	}
	slot_set(h, idx, node);
}

int
d_binheap_insert(struct d_binheap *h, struct d_binheap_node *e)
{
	int rc;

	if (h == NULL || e == NULL)
		return -DER_INVAL;
	heap_lock(h, true);
	rc = heap_grow(h, h->d_bh_nodes_cnt + 1);
	if (rc == 0 && h->d_bh_ops->hop_enter != NULL)
		rc = h->d_bh_ops->hop_enter(h, e);
	if (rc == 0) {
		slot_set(h, h->d_bh_nodes_cnt, e);
		h->d_bh_nodes_cnt++;
		sift_up(h, e->chn_idx);
	}
	heap_unlock(h);
	return rc;
}

static void
remove_locked(struct d_binheap *h, struct d_binheap_node *e)
{
	uint32_t idx = e->chn_idx;
	struct d_binheap_node *last;

	D_ASSERT(idx < h->d_bh_nodes_cnt && h->d_bh_nodes1[idx] == e);
	h->d_bh_nodes_cnt--;
	last = h->d_bh_nodes1[h->d_bh_nodes_cnt];
	if (last != e) {
		slot_set(h, idx, last);
		if (!sift_up(h, idx))
			sift_down(h, idx);
	}
	e->chn_idx = DBH_POISON;
	if (h->d_bh_ops->hop_exit != NULL)
		h->d_bh_ops->hop_exit(h, e);
}

void
d_binheap_remove(struct d_binheap *h, struct d_binheap_node *e)
{
	if (h == NULL || e == NULL)
		return;
	heap_lock(h, true);
	remove_locked(h, e);
	heap_unlock(h);
}

struct d_binheap_node *
d_binheap_remove_root(struct d_binheap *h)
{
	struct d_binheap_node *root = NULL;

	if (h == NULL)
		return NULL;
	heap_lock(h, true);
	if (h->d_bh_nodes_cnt > 0) {
		root = h->d_bh_nodes1[0];
		remove_locked(h, root);
	}
	heap_unlock(h);
	return root;
}
