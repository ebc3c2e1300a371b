/*
 * The stored set of groups of an object: the value of akey 0 under dkey 0 (8 zero bytes each, which
 * every kind of key allows) of the object's shard OBJ_SHARD_GROUPS, on the target of the home
 * group.
 */
#ifndef SERVER_GROUPS_FORMAT_H
#define SERVER_GROUPS_FORMAT_H

#include <assert.h>
#include <stdint.h>

#include "proto/obj_groups.h"

enum { GROUPS_DF_VERSION = 1 };

struct groups_df { /* little-endian */
	uint32_t version;
	uint32_t prefix;
	uint32_t nr;
	uint32_t single[OBJ_GROUPS_SINGLE_MAX];
	uint32_t csum; /* CRC-32C of what is before it */
};
static_assert(sizeof(struct groups_df) == 48, "stored");

#endif
