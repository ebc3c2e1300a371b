/*
 * A binary heap of caller-owned nodes: the smallest is at the root.
 */
#ifndef GURT_HEAP_H
#define GURT_HEAP_H

#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <stdbool.h>

#include <gurt/common.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

/** Embedded in the caller's struct; chn_idx is the node's place, or DBH_POISON outside a heap. */
struct d_binheap_node {
	uint32_t chn_idx;
};

#define DBH_SHIFT  (9)
#define DBH_SIZE   (1U << DBH_SHIFT) /* slots by which the array grows */
#define DBH_MASK   (DBH_SIZE - 1)
#define DBH_NOB    (DBH_SIZE * sizeof(struct d_binheap_node *))
#define DBH_POISON (0xdeadbeef)

/** Locking: a mutex unless one of these is given. */
enum d_bh_feats {
	DBH_FT_NOLOCK = (1 << 0),
	DBH_FT_RWLOCK = (1 << 1),
};

struct d_binheap;

struct d_binheap_ops {
	/** Before a node enters; non-zero refuses it. Optional. */
	int (*hop_enter)(struct d_binheap *h, struct d_binheap_node *e);
	/** After a node left. Optional. */
	int (*hop_exit)(struct d_binheap *h, struct d_binheap_node *e);
	/** Is a smaller than b? Required. */
	bool (*hop_compare)(struct d_binheap_node *a, struct d_binheap_node *b);
};

struct d_binheap {
	union {
		pthread_mutex_t d_bh_mutex;
		pthread_rwlock_t d_bh_rwlock;
	};
	uint32_t d_bh_feats;
	struct d_binheap_node ****d_bh_nodes3; /* not used */
	struct d_binheap_node ***d_bh_nodes2;  /* not used */
	struct d_binheap_node **d_bh_nodes1;   /* the nodes, in heap order */
	struct d_binheap_ops *d_bh_ops;
	void *d_bh_priv; /* the caller's */
	uint32_t d_bh_nodes_cnt;
	uint32_t d_bh_hwm; /* slots allocated */
};

/** Create with room for count nodes; it grows. -DER_INVAL, -DER_NOMEM. */
int d_binheap_create(uint32_t feats, uint32_t count, void *priv, struct d_binheap_ops *ops,
		     struct d_binheap **h);
int d_binheap_create_inplace(uint32_t feats, uint32_t count, void *priv, struct d_binheap_ops *ops,
			     struct d_binheap *h);

/** Nodes left inside are not touched. */
void d_binheap_destroy(struct d_binheap *h);
void d_binheap_destroy_inplace(struct d_binheap *h);

/** Node at a place, 0 being the root; NULL beyond the end. */
struct d_binheap_node *d_binheap_find(struct d_binheap *h, uint32_t idx);
int d_binheap_insert(struct d_binheap *h, struct d_binheap_node *e);
void d_binheap_remove(struct d_binheap *h, struct d_binheap_node *e);

/** Take the smallest; NULL when empty. */
struct d_binheap_node *d_binheap_remove_root(struct d_binheap *h);

static inline int
d_binheap_size(struct d_binheap *h)
{
	return h == NULL ? -DER_INVAL : (int)h->d_bh_nodes_cnt;
}

static inline bool
d_binheap_is_empty(struct d_binheap *h)
{
	return h == NULL || h->d_bh_nodes_cnt == 0;
}

static inline struct d_binheap_node *
d_binheap_root(struct d_binheap *h)
{
	return d_binheap_find(h, 0);
}

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* GURT_HEAP_H */
