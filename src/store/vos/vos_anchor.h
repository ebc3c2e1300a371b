/*
 * Positions of listings as bytes (struct vos_anchor); private to VOS.
 *
 *   objects        the 20-byte key of the last one
 *   integer keys   the number
 *   hashed keys    128-bit hash of the last key and how many keys of that very hash were consumed
 *   lexical keys   the last key itself, if it fits; else its beginning, its hash, and its number
 * among the keys with that beginning (see README.md) extents        the first index not yet
 * consumed (descending: the first one consumed)
 */
#ifndef STORE_VOS_ANCHOR_H
#define STORE_VOS_ANCHOR_H

#include "store/vos/vos_internal.h"

enum { VOS_ANCHOR_START = 0, VOS_ANCHOR_INSIDE = 1, VOS_ANCHOR_END = 2 };

/* -DER_INVAL for bytes that no listing of this kind made. */
int vos_anchor_check(const struct vos_anchor *anchor, const struct vos_list *list);

/* Put the iterator on the first key after the anchor. -DER_NONEXIST: none. */
int vos_anchor_seek(const struct vos_anchor *anchor, struct vos_iter *it);
/* The key under the iterator is consumed. */
int vos_anchor_set(struct vos_anchor *anchor, struct vos_iter *it);

void vos_anchor_set_u64(struct vos_anchor *anchor, uint64_t pos);
uint64_t vos_anchor_u64(const struct vos_anchor *anchor);

#endif
