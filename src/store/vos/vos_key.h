/* Keys within VOS: what vos_key.c and vos_fold.c know of each other. */
#ifndef STORE_VOS_KEY_H
#define STORE_VOS_KEY_H

#include "store/vos/vos_internal.h"

/* --- records of their own (vos_key.c) --- */

/* A record; key (len 0: none) is stored in it. */
int vos_key_make(struct vos_tx *t, enum vos_key_kind kind, const struct vos_key *key,
		 uint64_t epoch, uint64_t child, enum vos_child_tag tag, uint32_t rec_size,
		 uint64_t *ret_off);
/* Must a new child's record carry its key? When it is the only one, or keys are hashed. */
int vos_child_carries_key(struct heap *heap, uint64_t parent, enum vos_key_kind parent_kind,
			  enum btree_kind kind, bool *ret_own);
/* Enter the record of a new child. */
int vos_child_attach(struct vos_tx *t, uint64_t parent, enum vos_key_kind parent_kind,
		     enum btree_kind kind, const struct vos_key *key, uint64_t off);
/* The record of a child is now at off. */
int vos_child_replace(struct vos_tx *t, uint64_t parent, enum vos_key_kind parent_kind,
		      enum btree_kind kind, const struct vos_key *key, uint64_t off);
int vos_obj_attach(struct vos_tx *t, const struct vos_oid *oid, uint64_t off);
/* Forgets the object in the cache; entries of its dkeys are the caller's. */
int vos_obj_replace(struct vos_tx *t, const struct vos_oid *oid, uint64_t off);

/* --- folded records (vos_fold.c) --- */

/* A folded record, checked. Pointers into the heap: good until the next yield, and whatever the
 * transaction does. */
struct vos_fold {
	uint64_t off;
	enum vos_key_kind top;
	struct vos_key dkey, akey; /* len 0: not in the record */
	struct vos_ord ord;
	bool array;
	bool nvme;
	uint64_t start; /* arrays: first record */
	uint32_t rec_size;
	uint32_t bytes;   /* of the value */
	uint32_t data_at; /* where it, or the run, is in the record */
	uint32_t len;     /* of the record */
	const uint8_t *data;
	struct vos_run_df run;
	const uint8_t *sum; /* checksums of the value */
	uint32_t sum_bytes; /* 0 = none */
};

bool vos_fold_is(uint8_t kind);
int vos_fold_get(struct heap *heap, uint64_t off, struct vos_fold *ret_f);
int vos_fold_krec(struct heap *heap, uint64_t off, enum vos_key_kind kind, struct vos_krec *ret_k);
/* Free the record and the storage of its value. */
int vos_fold_free(struct vos_tx *t, uint64_t off);
/* Give the keys from the top of the folded record at off down to `last` records of their own, noted
 * in the path; the path above must be there, and the names down to the top. */
int vos_fold_unfold(struct vos_tx *t, struct vos_path *path, uint64_t off, enum vos_key_kind last);

#endif
