/*
 * Intents: what their files share. Private to VOS.
 *
 * In the heap an intent is a record in the container's tree of transactions and a body, the encoded
 * operations. While a container is open, its intents are in memory too (struct vos_intent), found
 * by id and by what they touch; the two change in the same turn.
 */
#ifndef STORE_VOS_DTX_H
#define STORE_VOS_DTX_H

#include "base/htable.h"
#include "store/vos/vos_ts.h"

/* --- operations of a transaction (vos_apply.c) ---------------------------------------------- */

struct vos_ops_one {
	uint16_t op_nr;
	bool owned;            /* up belongs to the list */
	struct vos_update *up; /* NULL: a punch */
	struct vos_punch punch;
};

struct vos_ops {
	struct vos_cont *cont;
	struct vos_ops_one *one;
	uint32_t nr;
	uint64_t owner; /* of the read timestamps that its conditions raise */
};

/* Check and take over what callers give. The updates stay theirs. */
int vos_ops_make(struct vos_cont *cont, const struct vos_op *ops, uint32_t op_nr,
		 struct vos_ops *ret_ops);
void vos_ops_fini(struct vos_ops *ops);
/* Give the epoch to all of them. */
void vos_ops_set_epoch(struct vos_ops *ops, uint64_t epoch);
/* Data to the device. */
int co_fn vos_ops_write(struct vos_ops *ops);
/* Enter all into the index; blocks of an intent that nothing takes are freed. */
int vos_ops_apply(struct vos_tx *t, struct vos_ops *ops, bool check);
/* After an attempt that came to nothing. */
void vos_ops_unpublish(struct vos_ops *ops);
uint64_t vos_ops_log_bytes(const struct vos_ops *ops);
uint64_t vos_ops_heap_bytes(const struct vos_ops *ops);
uint64_t vos_ops_inline_bytes(const struct vos_ops *ops);
/* Give up what was promised to each update; are there updates at all? */
bool vos_ops_unreserve(struct vos_ops *ops);
/* Start dropping what punches hide. */
void vos_ops_reclaim(const struct vos_ops *ops, uint64_t epoch);
/* Updates that went through are freed. */
void vos_ops_consume(struct vos_op *ops, uint32_t op_nr);

/* --- intents in memory (vos_intent.c) --------------------------------------------------------- */

struct vos_intent;

/* Something an intent changes. key is what lists show; dkey, akey point to the same bytes. */
struct vos_touch {
	struct hnode by_place; /* (object, dkey), or (object) for punches of it */
	struct hnode by_obj;
	struct vos_intent *intent;
	struct vos_oid oid;
	struct vos_key dkey, akey; /* buf NULL: all of it */
	const daos_recx_t *recx;
	uint32_t recx_nr; /* 0: all of it */
	bool punch;       /* of a key */
	uint8_t iod_type;
	uint64_t rec_size; /* arrays; 0 = nothing is written, only punched */
};

struct vos_intent {
	struct list link; /* in struct vos_intents */
	struct hnode by_id;
	struct vos_dtx_ref ref;
	uint32_t refs; /* being in the table is one */
	bool gone;
	uint64_t low_seq;
	uint64_t body_off; /* in the heap */
	uint8_t *body;     /* the same bytes; keys below point there */
	uint32_t body_bytes;
	const void *part;
	uint32_t part_len;
	struct vos_touch *touch;
	uint32_t touch_nr;
	daos_recx_t *recx;
	struct space_ext *ext; /* all its blocks */
	uint32_t ext_nr;
	uint64_t heap_bytes;   /* its commit may need */
	struct heap_resv resv; /* of its commit */
};

struct vos_intents {
	struct list all;
	uint32_t nr;
	struct htable by_id, by_place, by_obj;
};

/* From its encoded operations; takes body over, also on failure. Not in the table yet. */
int vos_intent_create(struct vos_cont *cont, const struct vos_dtx_ref *ref, uint8_t *body,
		      uint32_t body_bytes, struct vos_intent **ret_in);
void vos_intent_get(struct vos_intent *in);
void vos_intent_put(struct vos_cont *cont, struct vos_intent *in);
/* Memory for the table; before the first insert. */
int vos_intents_ready(struct vos_cont *cont);
void vos_intent_insert(struct vos_cont *cont, struct vos_intent *in);
void vos_intent_remove(struct vos_cont *cont, struct vos_intent *in);
/* NULL = not prepared. */
struct vos_intent *vos_intent_find(const struct vos_cont *cont, const struct vos_dtx_id *id);
/* At open and close of a container. */
int co_fn vos_intents_load(struct vos_cont *cont);
void vos_intents_fini(struct vos_cont *cont);

/* Calls fn for each touch that overlaps the scope; stops when it returns false. */
void vos_intents_overlap(const struct vos_cont *cont, const struct vos_scope *scope,
			 bool (*fn)(const struct vos_touch *touch, void *arg), void *arg);

static inline int
vos_dtx_id_cmp(const struct vos_dtx_id *a, const struct vos_dtx_id *b)
{
	return memcmp(a, b, sizeof(*a));
}

/* Which attempt is newer? */
static inline int
vos_dtx_try_cmp(uint32_t map_a, uint64_t try_a, uint32_t map_b, uint64_t try_b)
{
	if (map_a != map_b)
		return map_a < map_b ? -1 : 1;
	return try_a < try_b ? -1 : try_a > try_b;
}

/* --- bytes (vos_dtx_rec.c)
 * ------------------------------------------------------------------------ */

/* ret_body is allocated. */
int vos_body_encode(const struct vos_ops *ops, const void *part, uint32_t part_len,
		    uint8_t **ret_body, uint32_t *ret_bytes);
/* The operations, pointing into body; their blocks count as allocated. -DER_CSUM when they make no
 * sense. */
int vos_body_decode(struct vos_cont *cont, const uint8_t *body, uint32_t bytes,
		    struct vos_ops *ret_ops, const void **ret_part, uint32_t *ret_part_len);
/* Store, load (*ret_body allocated) and free the objects that hold a body. */
int vos_body_store(struct vos_tx *t, const uint8_t *body, uint32_t bytes, uint64_t *ret_off);
int vos_body_load(struct heap *heap, uint64_t off, uint32_t bytes, uint8_t **ret_body);
int vos_body_free(struct vos_tx *t, uint64_t off);
/* Each object of a body. */
int vos_body_walk(struct heap *heap, uint64_t off, int (*fn)(void *arg, uint64_t off), void *arg);
void vos_dtx_key(const struct vos_dtx_id *id, uint8_t key[VOS_DTX_KEY]);
void vos_dtx_id_of(const uint8_t key[VOS_DTX_KEY], struct vos_dtx_id *ret_id);

/* --- a transaction's records ------------------------------------------------------------------ */

/* Forget up to max aborted attempts of a client below seq. */
int vos_dtx_forget_below(struct vos_tx *t, const uint64_t client[2], uint64_t seq, uint32_t max);
/* Free up to max records with what they hold (containers that are gone); *ret_empty: none is left.
 */
int vos_dtx_clear(struct vos_tx *t, struct vos_cont *cont, uint32_t max, bool *ret_empty);

#endif
