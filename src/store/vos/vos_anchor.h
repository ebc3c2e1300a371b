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

#include "store/vos/vos_trim.h"

enum { VOS_ANCHOR_START = 0, VOS_ANCHOR_INSIDE = 1, VOS_ANCHOR_END = 2 };

/* -DER_INVAL for bytes that no listing of this kind made. */
int vos_anchor_check(const struct vos_anchor *anchor, const struct vos_list *list);

/* Put the iterator on the first key after the anchor. -DER_NONEXIST: none. */
int vos_anchor_seek(struct vos_pool *pool, const struct vos_anchor *anchor, struct vos_iter *it);
/* The key under the iterator is consumed. A long lexical one is copied to long_key ... */
int vos_anchor_set(struct vos_anchor *anchor, struct vos_iter *it, struct vos_keybuf *long_key);
/* ... and at the end of a turn, once, remembered and its number found. */
int vos_anchor_settle(struct vos_pool *pool, struct vos_anchor *anchor, struct vos_iter *it,
		      const struct vos_keybuf *long_key);
void vos_anchor_pool_fini(struct vos_pool *pool);

void vos_anchor_set_u64(struct vos_anchor *anchor, uint64_t pos);
uint64_t vos_anchor_u64(const struct vos_anchor *anchor);

#endif
