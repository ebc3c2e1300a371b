/*
 * Bytes of the space allocator. All little-endian; everything lies in the heap.
 *
 * The managed blocks form groups of SPACE_GROUP_BLKS. Each group has an entry in the table and,
 * once anything was allocated in it, a map: an object of 4096 bytes with a bit for each block, set
 * when it is allocated.
 */
#ifndef STORE_SPACE_FORMAT_H
#define STORE_SPACE_FORMAT_H

#include <assert.h>
#include <stdint.h>

#include "store/space/space.h"

#define SPACE_MAGIC 0x43505344u /* "DSPC" */

enum {
	SPACE_VERSION = 1,
	SPACE_GROUP_BLKS = 32768,
	SPACE_MAP_BYTES = SPACE_GROUP_BLKS / 8,
};
static_assert((int)SPACE_GROUP_BLKS == (int)SPACE_EXT_BLOCKS_MAX, "an extent fits a group");

struct space_df {
	uint32_t magic;
	uint32_t version;
	uint64_t first_blk; /* on the device */
	uint64_t blk_nr;
	uint64_t table; /* array of group_nr entries */
	uint32_t group_nr;
	uint32_t reserved[7];
};
static_assert(sizeof(struct space_df) == sizeof(struct space_root_df), "format");

struct space_group_df {
	uint64_t map;     /* 0: nothing allocated yet */
	uint32_t used_nr; /* bits set */
	uint32_t reserved;
};
static_assert(sizeof(struct space_group_df) == 16, "format");

#endif
