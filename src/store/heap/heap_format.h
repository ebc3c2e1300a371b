/*
 * Bytes of the heap. All little-endian.
 *
 * Device of pages, in blocks of 4096 bytes:
 *
 *	0, 1		super block, twice the same, never changed after creation
 *	dw_blk ...	double-write area: a header block and dw_nr image blocks
 *	sum_blk ...	checksum table: sum_nr blocks
 *	page_blk ...	page_nr pages: the region, offset 0 at page 0
 *
 * Region:
 *
 *	page 0		struct heap_df, the user's root area at HEAP_ROOT_OFF
 *	desc_off	one struct slab_df for each slab
 *	map_off		one bit map of SLAB_MAP_BYTES for each slab
 *	slab_off	slab_nr slabs of SLAB_BYTES
 *
 * A slab is free, cut into equal objects of one size class, or part of a large object that takes
 * one or more whole slabs.
 */
#ifndef STORE_HEAP_FORMAT_H
#define STORE_HEAP_FORMAT_H

#include <assert.h>
#include <stdint.h>

#include "store/heap/heap.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "stored structs are used in place");

#define HEAP_SUPER_MAGIC 0x504145482d534f44ull /* "DOS-HEAP" */
#define HEAP_DW_MAGIC    0x57442d5041454844ull /* "DHEAP-DW" */
#define HEAP_SUM_MAGIC   0x4d555348u           /* "HSUM" */
#define HEAP_DF_MAGIC    0x4e4f494745524448ull /* "HDREGION" */

enum {
	HEAP_VERSION = 3,
	HEAP_ROOT_OFF = 256,
	HEAP_DW_NR = 256,        /* image blocks */
	HEAP_SUM_PER_BLK = 1020, /* pages covered by one block of the checksum table */
	SLAB_BYTES = 16384,
	SLAB_PAGES = SLAB_BYTES / HEAP_PAGE,
	SLAB_MAP_BYTES = 64,
	SLAB_OBJ_MIN = 32, /* SLAB_BYTES / (SLAB_MAP_BYTES * 8) */
};

struct heap_super_df {
	uint64_t magic;
	uint32_t version;
	uint32_t crc;   /* crc32c of this struct with crc = 0 */
	uint64_t id[2]; /* the same in the log */
	uint64_t dw_blk;
	uint64_t dw_nr;
	uint64_t sum_blk;
	uint64_t sum_nr;
	uint64_t page_blk;
	uint64_t page_nr;
	uint8_t reserved[48];
};
static_assert(sizeof(struct heap_super_df) == 128, "format");

/* Header of the double-write area. Valid only if all image blocks have their checksum. */
struct heap_dw_df {
	uint64_t magic;
	uint64_t id;
	uint64_t seq;
	uint32_t nr;
	uint32_t crc; /* crc32c of the block with crc = 0 */
	struct heap_dw_ent_df {
		uint32_t blk; /* where the image belongs, in blocks of the device */
		uint32_t crc; /* of the image */
	} ent[HEAP_DW_NR];
};
static_assert(sizeof(struct heap_dw_df) <= DEV_BLOCK, "format");

/* Block i covers pages i * HEAP_SUM_PER_BLK and on. */
struct heap_sum_df {
	uint32_t magic;
	uint32_t crc;                        /* crc32c of the block with crc = 0 */
	uint64_t idx;                        /* i */
	uint32_t page_crc[HEAP_SUM_PER_BLK]; /* 0: never written, reads as zeros; a page whose
					      * crc32c is 0 has 1 here */
};
static_assert(sizeof(struct heap_sum_df) == DEV_BLOCK, "format");

struct heap_df {
	uint64_t magic;
	uint32_t version;
	uint32_t slab_bytes;
	uint64_t desc_off;
	uint64_t map_off;
	uint64_t slab_off;
	uint64_t slab_nr;
	uint8_t reserved[208];
};
static_assert(sizeof(struct heap_df) == HEAP_ROOT_OFF, "format");

enum slab_kind {
	SLAB_FREE = 0,
	SLAB_OBJS = 1,
	SLAB_LARGE = 2, /* first slab of a large object */
	SLAB_CONT = 3,  /* the others */
};

struct slab_df {
	uint8_t kind;
	uint8_t class_idx; /* OBJS */
	uint16_t free_nr;  /* OBJS: clear bits among the class's objects */
	uint32_t span;     /* LARGE: slabs of the object */
};
static_assert(sizeof(struct slab_df) == 8, "format");

/*
 * Redo record in the log: header, then for each range a word and its bytes. Ranges are ascending
 * and do not touch each other. Behind them come ranges at HEAP_DEP_OFF, outside of every region:
 * each is a heap_dep_df, content of another device without which the record does not count.
 */
struct heap_rec_df {
	uint32_t len_bytes; /* with this header */
	uint32_t range_nr;
};
static_assert(sizeof(struct heap_rec_df) == 8, "format");

enum {
	HEAP_RANGE_WORD = 8, /* offset << 24 | length */
	HEAP_RANGE_LEN_BITS = 24,
};
#define HEAP_REGION_MAX ((1ull << (64 - HEAP_RANGE_LEN_BITS)) - HEAP_PAGE)
#define HEAP_DEP_OFF    ((1ull << (64 - HEAP_RANGE_LEN_BITS)) - 1)
struct heap_dep_df {
	uint64_t blk; /* as the user numbers them */
	uint32_t blk_nr;
	uint32_t crc; /* crc32c of their content */
};
static_assert(sizeof(struct heap_dep_df) == 16, "format");
static_assert(HEAP_TX_LOG_MAX < 1 << HEAP_RANGE_LEN_BITS, "format");

#endif
