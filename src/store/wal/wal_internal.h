/* Private parts of the log. */
#ifndef STORE_WAL_INTERNAL_H
#define STORE_WAL_INTERNAL_H

#include "store/wal/wal.h"
#include "store/wal/wal_format.h"

enum {
	WAL_FIRST_READ = 64 << 10,  /* an idle log has little more */
	WAL_WRITER_NR = 2,          /* writes in flight */
	WAL_BUF_BYTES = 256 << 10,  /* ordinary batch; a larger record gets a larger one */
	WAL_BUF_CACHE = 3,          /* ordinary buffers kept for reuse */
	WAL_EAGER_BYTES = 32 << 10, /* the second writer starts only with at least this much */
	WAL_WINDOW_BYTES = 8 << 20, /* read at a time during replay; at least WAL_BATCH_MAX */
	/* Written behind a batch that is not durable yet. With one more batch that is the most that
	 * can be unproven; a window holds it and the batch that proves it. */
	WAL_AHEAD_MAX = 3 << 20,
};

/* A batch being filled, waiting for a writer, or being written. Order of wal.batches: by lsn. */
struct wal_batch {
	struct list link;
	uint64_t lsn;
	uint32_t len_bytes; /* header and records so far */
	uint32_t cap_bytes;
	uint32_t rec_nr;
	uint32_t hold_nr;
	uint64_t knew_lsn; /* durable_lsn in its header */
	enum wal_batch_state {
		WAL_BATCH_OPEN,
		WAL_BATCH_CLOSED,
		WAL_BATCH_WRITING,
		WAL_BATCH_WRITTEN,
	} state;
	uint8_t *buf;
};

struct wal {
	struct wal_conf conf;
	struct dev *dev;
	uint64_t ring_bytes;
	uint64_t super_seq;
	uint32_t inc;
	uint32_t tail_inc;
	uint64_t inc_lsn; /* where this incarnation's batches begin */
	uint64_t tail_lsn;
	uint64_t end_lsn; /* start of the next batch to be opened */
	uint64_t durable_lsn;
	uint64_t proven_lsn;
	uint64_t reserved_bytes;
	uint32_t prev_crc;
	int rc; /* sticky error */

	struct list batches; /* wal_batch; the last may be open */
	struct wal_batch *open;
	uint32_t writing_nr;
	uint8_t *buf_cache[WAL_BUF_CACHE];
	uint32_t buf_cache_nr;

	struct list cbs;           /* durable_cb, by lsn */
	struct list space_waiters; /* reserve_waiter */
	struct co_waitq work;      /* idle writers */
	struct co_group writers;
	bool stopping;
	bool cut;     /* recovery refused the batch at end_lsn, which is whole */
	bool pressed; /* pressure() was called since the last trim */

	struct wal_stats stats;
};

/* wal_replay.c */
uint32_t wal_super_crc(const struct wal_super_df *super);
uint32_t wal_batch_crc(const struct wal_batch_df *hdr, const uint8_t *recs, uint32_t recs_len);
int co_fn wal_super_read(struct dev *dev, struct wal_super_df *ret_super);
int co_fn wal_super_write(struct dev *dev, struct wal_super_df *super);
/* Reads [lsn, lsn + len) of the ring. */
int co_fn wal_ring_read(struct wal *wal, uint64_t lsn, uint8_t *buf, uint64_t len);
/* From wal->tail_lsn; sets end_lsn, durable_lsn, prev_crc, inc_lsn. */
int co_fn wal_replay(struct wal *wal);

#endif
