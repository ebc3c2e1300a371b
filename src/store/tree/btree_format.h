/*
 * Bytes of a tree. All little-endian; everything lies in heap objects.
 *
 * Node: header, order[cap] padded to 8, entries[cap]. order is a permutation of 0..cap-1: the first
 * nr numbers name the entries in ascending order of their keys, the others are the free ones. So an
 * insert changes one entry and some bytes of order, whatever the size of the entries. Nodes are 64
 * to 1024 bytes, powers of two, aligned to their size (hence never across a page).
 *
 * Entry of a leaf: cell, value padded to 8. Entry of an inner node: cell, u64 child; every key of
 * the child is at or above the cell and below the next entry's; the cell of entry 0 is not looked
 * at.
 *
 * Cell by kind (the key as it is ordered is called its image):
 *
 *	UINT	8 bytes, the number
 *	LEX	24 bytes, the image is the key
 *	HASH	32 bytes, the image is the hash as 16 big-endian bytes and then the key
 *
 * For LEX and HASH, byte 0 is the length of the image, which follows, or BTREE_LONG: then the first
 * bytes of the image follow, and the last 8 bytes are the offset of a btree_key_df with all of the
 * key (without the hash). Cells of inner nodes may be shortened images (just long enough to tell
 * left from right).
 *
 * Keys apart (BTREE_APART in the root, HASH only): the cell of a leaf is nothing but the first 8
 * bytes of the image, the key is in the record that the value points to. Inner nodes are as above.
 */
#ifndef STORE_BTREE_FORMAT_H
#define STORE_BTREE_FORMAT_H

#include <assert.h>
#include <stdint.h>

#include "store/tree/btree.h"

enum {
	BTREE_VERSION = 2,
	BTREE_NODE_MAGIC = 0xb7,
	BTREE_LONG = 0xff,
	BTREE_HASH_BYTES = 16,
	BTREE_CELL_UINT = 8,
	BTREE_CELL_LEX = 24,
	BTREE_CELL_HASH = 32,
	BTREE_CELL_APART = 8,
	BTREE_CELL_MAX = 32,
	BTREE_SIZE_MIN_LOG2 = 6,
	BTREE_SIZE_MAX_LOG2 = 10,
};
static_assert(1 << BTREE_SIZE_MAX_LOG2 == BTREE_NODE_MAX, "format");

enum btree_flags {
	BTREE_APART = 1 << 0,
};

struct btree_df {
	uint8_t version;
	uint8_t kind;
	uint8_t val_bytes;
	uint8_t depth;  /* 0: empty; 1: the root node is a leaf */
	uint32_t flags; /* btree_flags */
	uint64_t seed;
	uint64_t node; /* the root node, 0: empty */
	uint64_t reserved2;
};
static_assert(sizeof(struct btree_df) == sizeof(struct btree_root_df), "format");

struct btree_node_df {
	uint8_t magic;
	uint8_t kind;
	uint8_t level; /* 0: leaf */
	uint8_t size_log2;
	uint8_t cap;
	uint8_t nr;
	uint8_t entry_words; /* size of an entry in units of 8 bytes */
	uint8_t reserved;
	uint8_t order[];
};
static_assert(sizeof(struct btree_node_df) == 8, "format");

struct btree_key_df {
	uint32_t len;
	uint8_t bytes[];
};
static_assert(sizeof(struct btree_key_df) == 4, "format");

#endif
