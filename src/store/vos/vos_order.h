/*
 * Order between operations: may this be read, or written, at this epoch? Private to VOS.
 *
 * Reads and conditions must not pass an intent at or below their epoch. Writes that ask for it must
 * stay above what was read, what was committed and what is prepared where they write. Nothing here
 * yields; checks are part of the turn in which the operation looks or commits.
 */
#ifndef STORE_VOS_ORDER_H
#define STORE_VOS_ORDER_H

#include "store/vos/vos_dtx.h"

/* Is there anything to be checked? Hardly ever for plain operations. */
static inline bool
vos_order_needed(const struct vos_cont *cont, const struct vos_order *order)
{
	return __builtin_expect(cont->intents != NULL || order != NULL, 0);
}

/* Forget what an earlier attempt found. */
void vos_order_begin(const struct vos_order *order);
/* Read the scope at epoch. -DER_INPROGRESS. */
int vos_order_read(const struct vos_cont *cont, const struct vos_scope *scope, uint64_t epoch,
		   const struct vos_order *order);
/* Write at t->ord.epoch. order may be NULL. -DER_TX_RESTART, -DER_INPROGRESS. */
int vos_order_ops(struct vos_tx *t, const struct vos_ops *ops, const struct vos_order *order);
/* The same for a single one. */
int vos_order_update(struct vos_tx *t, struct vos_update *up);
int vos_order_punch(struct vos_tx *t, struct vos_punch *p);
/* In whose name conditions raise read timestamps. */
uint64_t vos_order_owner(struct vos_cont *cont, const struct vos_order *order);

#endif
