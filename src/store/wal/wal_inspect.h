/* Looking at a log without opening it for use; changes nothing. For tools. */
#ifndef STORE_WAL_INSPECT_H
#define STORE_WAL_INSPECT_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/co.h"
#include "store/dev/dev.h"

struct xs;

struct wal_inspect_super {
	bool valid; /* magic and checksum are right; else nothing below is set */
	uint32_t version;
	uint64_t id[2];
	uint64_t seq;
	uint64_t ring_bytes;
	uint64_t tail_lsn;
	uint32_t inc;
	uint32_t tail_inc;
};

/* A batch between tail and end; recs are good during the callback. */
struct wal_inspect_batch {
	uint64_t lsn;
	uint64_t ring_off; /* where in the ring */
	uint64_t durable_lsn;
	uint32_t len_bytes; /* with its header */
	uint32_t rec_nr;
	uint32_t crc, prev_crc;
	uint32_t inc;
	const uint8_t *recs;
	uint32_t recs_bytes;
};

enum wal_inspect_end {
	WAL_END_CLEAN,   /* nothing follows the last batch */
	WAL_END_TORN,    /* the first bytes of a batch whose rest is missing or old */
	WAL_END_DAMAGED, /* later batches prove that it had been whole */
};

struct wal_inspect {
	struct wal_inspect_super super[2];
	int super_used; /* which of the two counts */
	uint64_t batch_nr, rec_nr, bytes;
	uint64_t end_lsn;
	enum wal_inspect_end end;
};

/* fn may be NULL; may yield; a result other than 0 ends it and is returned. A damaged log is
 * no error but said in *ret. -DER_DF_INVAL: not a log; -DER_DF_INCOMPT: both then with the super
 * blocks filled in. */
int co_fn wal_inspect(struct xs *xs, struct dev *dev,
		      int co_fn (*fn)(const struct wal_inspect_batch *batch, void *arg), void *arg,
		      struct wal_inspect *ret);

#endif
