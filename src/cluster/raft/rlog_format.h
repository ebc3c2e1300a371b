/*
 * Bytes of the log's devices. Every number is little-endian; structs are at the start of a block of
 * DEV_BLOCK bytes. Checksums are CRC-32C over everything behind the checksum field.
 *
 *	PREFIX.meta		two blocks, written in turn: the valid one with the higher sequence
 *counts PREFIX.log.SEQ		segments: block 0 is struct rlog_seg_df, then batches one behind the
 *other, each starting at a block: struct rlog_batch_df, then entries (struct rlog_entry_df and its
 *				data, padded to 8 bytes)
 *	PREFIX.snap.INDEX	struct rlog_snap_df, then the encoded configuration, then the state
 */
#ifndef RLOG_FORMAT_H
#define RLOG_FORMAT_H

#include <assert.h>
#include <stdint.h>

enum {
	RLOG_VERSION = 1,
	RLOG_META_MAGIC = 0x4154454d,  /* "META" */
	RLOG_SEG_MAGIC = 0x4745534c,   /* "LSEG" */
	RLOG_BATCH_MAGIC = 0x54414242, /* "BBAT" */
	RLOG_SNAP_MAGIC = 0x50414e53,  /* "SNAP" */
};

struct rlog_meta_df {
	uint32_t magic;
	uint32_t crc; /* of the rest of the struct */
	uint32_t version;
	uint32_t flags; /* none yet */
	uint64_t seq;
	uint64_t term;
	uint64_t vote; /* 0: nobody */
	uint64_t id;   /* of this replica */
	uint8_t group[16];
};
static_assert(sizeof(struct rlog_meta_df) == 64, "rlog_meta_df is a disk format");

struct rlog_seg_df {
	uint32_t magic;
	uint32_t crc; /* of the rest of the struct */
	uint32_t version;
	uint32_t pad;
	uint64_t seq;         /* of the segment, also in its name */
	uint64_t batch_first; /* sequence of its first batch */
	uint64_t salt;        /* start value of the batches' checksums */
};
static_assert(sizeof(struct rlog_seg_df) == 40, "rlog_seg_df is a disk format");

enum rlog_batch_flags {
	RLOG_BATCH_RESET = 1, /* every entry of earlier batches is void, wherever this one starts */
};

struct rlog_batch_df {
	uint32_t magic;
	uint32_t
	    crc; /* of the rest of the struct and the payload, seeded with the segment's salt */
	uint64_t seq;         /* no gaps from batch to batch, across segments */
	uint64_t index_first; /* entries from this index on in earlier batches are void */
	uint32_t entry_nr;
	uint32_t payload_bytes;
	uint32_t flags; /* enum rlog_batch_flags */
	uint32_t pad;
};
static_assert(sizeof(struct rlog_batch_df) == 40, "rlog_batch_df is a disk format");

struct rlog_entry_df {
	uint64_t term;
	uint32_t type; /* RAFT_COMMAND, RAFT_BARRIER, RAFT_CHANGE */
	uint32_t len_bytes;
};
static_assert(sizeof(struct rlog_entry_df) == 16, "rlog_entry_df is a disk format");

struct rlog_snap_df {
	uint32_t magic;
	uint32_t crc; /* of the rest of the struct, the configuration and the state */
	uint32_t version;
	uint32_t conf_bytes;
	uint64_t index;
	uint64_t term;
	uint64_t conf_index;
	uint64_t data_bytes;
};
static_assert(sizeof(struct rlog_snap_df) == 48, "rlog_snap_df is a disk format");

#endif
