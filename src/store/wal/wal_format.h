/*
 * Bytes of the write-ahead log. All little-endian.
 *
 *	block 0, 1	two copies of the super block; the valid one with the higher seq counts,
 *			writes alternate between them
 *
 *	block 2 ...	the ring: ring_bytes, a multiple of the block
 *
 * A log position (lsn) is a byte position in the endless stream of which the ring holds the latest
 * part: lsn L lies at ring offset L % ring_bytes. Batches start at multiples of the block and
 * follow each other without a gap: header, records, zeros up to the next block. The records are
 * opaque here.
 */
#ifndef STORE_WAL_FORMAT_H
#define STORE_WAL_FORMAT_H

#include <assert.h>
#include <stdint.h>

#include "store/dev/dev.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "stored structs are used in place");

enum {
	WAL_VERSION = 1,
	WAL_SUPER_NR = 2,
	WAL_BATCH_MAX = 4 << 20,   /* header, records and padding of one batch */
	WAL_FIRST_LSN = DEV_BLOCK, /* so that 0 never names a position */
};

#define WAL_SUPER_MAGIC 0x4c41572d53414f44ull /* "DAOS-WAL" */
#define WAL_BATCH_MAGIC 0x42574144u           /* "DAWB" */

struct wal_super_df {
	uint64_t magic;
	uint32_t version;
	uint32_t crc;   /* crc32c of this struct with crc = 0 */
	uint64_t id[2]; /* ties the log to its heap */
	uint64_t seq;   /* one more with every write of a super block */
	uint64_t ring_bytes;
	uint64_t tail_lsn; /* replay starts here: a batch start, or the end of the log */
	uint32_t inc;      /* incarnation: one more with every open for writing */
	uint32_t tail_inc; /* a batch at or after the tail has at least this incarnation */
	uint8_t reserved[64];
};
static_assert(sizeof(struct wal_super_df) == 128, "format");

struct wal_batch_df {
	uint32_t magic;
	uint32_t crc;         /* crc32c of header (crc = 0) and records */
	uint64_t lsn;         /* of this header: rejects what an earlier lap left */
	uint64_t durable_lsn; /* everything below was durable when this was written: tells a torn
			       * tail from damage in the middle */
	uint64_t id;          /* first half of the log's id */
	uint32_t len_bytes;   /* header and records, without padding */
	uint32_t prev_crc;    /* crc of the batch before; 0 when an open did not know it */
	uint32_t inc;         /* incarnation that wrote it; never decreases along the log */
	uint32_t rec_nr;
	uint8_t reserved[16];
};
static_assert(sizeof(struct wal_batch_df) == 64, "format");

#endif
