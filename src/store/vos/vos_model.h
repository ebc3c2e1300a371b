/*
 * Reference model of VOS for tests: every update and punch ever made to one container, in a plain
 * list; what a read sees is worked out from the list each time. Slow and simple on purpose.
 *
 * Operations come from a seed, can be run on VOS and applied to the model, and the two can be
 * compared at any epoch through every read interface of VOS.
 */
#ifndef STORE_VOS_MODEL_H
#define STORE_VOS_MODEL_H

#include "store/vos/vos.h"

enum {
	VM_OBJS = 6,  /* objects in play, of different key types */
	VM_DKEYS = 5, /* dkeys of each */
	/* akeys of each dkey: 0 and 1 hold single values, 2, 3, 4 arrays of 1, 8, 100 byte records
	 */
	VM_AKEYS = 5,
	VM_IODS = 3,  /* akeys in one operation */
	VM_RECXS = 3, /* extents in one array update */
};

enum vm_kind { VM_UPDATE, VM_PUNCH_OBJ, VM_PUNCH_DKEY, VM_PUNCH_AKEYS };

struct vm_iod {
	uint32_t akey;
	bool punch;    /* the value or the extents */
	uint64_t size; /* single value: bytes */
	daos_recx_t recx[VM_RECXS];
	uint32_t recx_nr;
};

/* An operation; its data follow from the seed. */
struct vm_op {
	enum vm_kind kind;
	uint32_t obj, dkey;
	uint64_t epoch;
	uint16_t op_nr;
	uint64_t cond;
	uint64_t seed;
	struct vm_iod iod[VM_IODS];
	uint32_t iod_nr;
};

struct vm_model;

struct vm_model *vm_create(void);
struct vm_model *vm_clone(const struct vm_model *m);
void vm_destroy(struct vm_model *m);
/* Forget everything newer. */
void vm_cut(struct vm_model *m, uint64_t above);

struct vm_rng {
	uint64_t state;
};
uint64_t vm_rand(struct vm_rng *rng);
uint64_t vm_below(struct vm_rng *rng, uint64_t bound);

/* A random operation at this epoch. max_bytes bounds each value or extent. */
void vm_op_random(struct vm_rng *rng, uint64_t epoch, uint64_t max_bytes, struct vm_op *ret_op);
void vm_op_print(const struct vm_op *op);

/* What VOS must answer to this operation now: 0, -DER_EXIST, -DER_NONEXIST. */
int vm_expect(const struct vm_model *m, const struct vm_op *op);
/* Take it over, when VOS did it. */
void vm_apply(struct vm_model *m, const struct vm_op *op);
/* Have VOS do it. opid may be NULL. */
int co_fn vm_run(struct vos_cont *cont, const struct vm_op *op, const struct vos_opid *opid);

/* The same in the form transactions take; an update has its data. Free it when VOS has had it. */
struct vm_built;
int co_fn vm_build(struct vos_cont *cont, const struct vm_op *op, struct vm_built **ret_b);
struct vos_op *vm_built_op(struct vm_built *b);
void vm_built_free(struct vm_built *b);

/*
 * Compare everything visible at epoch. 0: equal. 1: different, a line on stderr says where (quiet:
 * not). Errors of VOS are returned, among them -DER_TX_RESTART for an epoch whose history is gone.
 * only_obj: one object; VM_OBJS = all. rng: listings are interrupted at random.
 */
int co_fn vm_compare(const struct vm_model *m, struct vos_cont *cont, uint64_t epoch,
		     uint32_t only_obj, struct vm_rng *rng, bool quiet);

/* The same of one dkey only. */
int co_fn vm_compare_dkey(const struct vm_model *m, struct vos_cont *cont, uint64_t epoch,
			  uint32_t obj, uint32_t dkey, struct vm_rng *rng, bool quiet);

struct vos_oid vm_oid(uint32_t obj);
/* Only whether it is answered. recx NULL: a single value. */
int co_fn vm_fetch_order(struct vos_cont *cont, uint32_t obj, uint32_t dkey, uint32_t akey,
			 daos_recx_t *recx, uint64_t epoch, const struct vos_order *order);

#endif
