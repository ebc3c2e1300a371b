/*
 * Read timestamps: up to which epoch was something read? Private to VOS.
 *
 * A read at E with an order raises them to E before it looks, and no write of what it covered may
 * come at or below E afterwards. They are volatile and bounded: a table of hashes, of which the
 * lowest in a bucket gives way and is remembered in the bucket's floor. Whatever is not known
 * exactly is answered too high, never too low: hashes that collide share a timestamp, what was
 * evicted counts for its whole bucket, and what was read before the pool was opened is below the
 * floor given at open.
 */
#ifndef STORE_VOS_TS_H
#define STORE_VOS_TS_H

#include "store/vos/vos_internal.h"

/* What is read or written: the container (oid NULL), an object (dkey NULL), a dkey (akey NULL) or
 * an akey, and of an array some extents of it (recx_nr 0: all). */
struct vos_scope {
	const struct vos_oid *oid;
	const struct vos_key *dkey;
	const struct vos_key *akey;
	const daos_recx_t *recx;
	uint32_t recx_nr;
};

struct vos_ts_table;

/* All of the scope was read at epoch; by whom (0 = nobody in particular). */
void vos_ts_read(struct vos_cont *cont, const struct vos_scope *scope, uint64_t epoch,
		 uint64_t owner);
/* The lowest epoch at or above `epoch` at which `owner` may write the scope (not counting extents);
 * its own reads at that very epoch do not hinder it. */
uint64_t vos_ts_write(const struct vos_cont *cont, const struct vos_scope *scope, uint64_t epoch,
		      uint64_t owner);
void vos_ts_fini(struct vos_pool *pool);
/* Of a transaction's identity, for owner; never 0. self NULL: 0. */
uint64_t vos_ts_owner(const struct vos_dtx_id *self);

#endif
