/*
 * Write-ahead log: a ring of checksummed batches on one device. Internal to the heap.
 *
 * Appending copies a record into the batch being filled and gives its log position (lsn); it
 * neither yields nor fails. Writer coroutines write batches out, each with one synchronous write
 * that carries everything that came in meanwhile (group commit). Space in the ring is promised by
 * reservations and freed by moving the tail, which is the business of the checkpoint.
 *
 * Invariants
 *  1. A batch once written is never written again before the tail has passed it.
 *  2. durable_lsn moves over whole batches, in order; callbacks fire in order. A batch on hold is
 *     not passed: its records count only together with something written elsewhere.
 *  3. used + reserved <= ring: an append under a reservation always fits.
 */
#ifndef STORE_WAL_H
#define STORE_WAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "runtime/co.h"
#include "store/dev/dev.h"
#include "store/wal/durable.h"

struct wal;
struct xs;

enum {
	WAL_DEV_MIN = 256 << 10,
	WAL_REC_MAX = 2 << 20, /* largest record */
};

/* Several whole batches found at replay, oldest first. */
struct wal_replay_batch {
	uint64_t lsn;
	const uint8_t *recs;
	uint32_t len_bytes;
	uint32_t rec_nr;
};

struct wal_conf {
	struct xs *xs;
	uint64_t id[2];
	bool read_only;
	/* Called during wal_open(): may yield; an error ends the open. */
	int co_fn (*replay)(void *arg, const struct wal_replay_batch *batches, uint32_t batch_nr);
	/* The log ends with batches that may have been written while what they were held for was
	 * not: is it there? Called for each of them in order, before replay(); at the first
	 * -DER_CSUM the log ends in front of that batch. Other errors end the open. NULL: nothing
	 * is ever held. */
	int co_fn (*check)(void *arg, const struct wal_replay_batch *batch);
	/* Somebody waits for space or the fill mark is passed: make the tail move. Must not yield.
	 */
	void (*pressure)(void *arg);
	/* The device failed: nothing becomes durable any more. Must not yield. */
	void (*failed)(void *arg, int rc);
	void *arg;
	uint32_t fill_pct; /* mark for pressure() */
};

/* Write an empty log. Durable on return. -DER_INVAL: device too small. */
int co_fn wal_format(struct dev *dev, const uint64_t id[2]);

/* Find the log's end, replaying on the way, and make ready for appending. -DER_DF_INVAL,
 * -DER_DF_INCOMPT, -DER_CSUM: a batch that had been durable is damaged; -DER_IO. */
int co_fn wal_open(const struct wal_conf *conf, struct dev *dev, struct wal **ret_wal);
/* Writes out what was appended (unless failed), ends the coroutines. NULL is fine. */
void co_fn wal_close(struct wal *wal);

/* --- space
 * ---------------------------------------------------------------------------------------- */

/* What a reservation of bytes of record takes from the ring. */
uint64_t wal_cost(uint64_t rec_bytes);
/* Promise cost bytes. Waits (FIFO) for the tail to move, unless nowait: -DER_AGAIN. last: may use
 * the part kept for operations that free space. The wal's error once it failed. */
int co_fn wal_reserve(struct wal *wal, uint64_t cost, bool last, bool nowait);
/* Take cost again that was given back just before, whether it fits or not: after wal_reserve()
 * failed for good. */
void wal_reserve_back(struct wal *wal, uint64_t cost);
/* Give a promise back; also done for each record after it was appended. */
void wal_unreserve(struct wal *wal, uint64_t cost);

/* --- appending
 * ------------------------------------------------------------------------------------ */

/* Make sure that a record of up to bytes can be appended without allocation in this turn.
 * -DER_NOMEM. */
int wal_ensure(struct wal *wal, uint32_t bytes);
/* Start a record, after wal_ensure(); returns where its bytes go, in this very turn. */
uint8_t *wal_rec_begin(struct wal *wal);
/* bytes were filled in. Returns the lsn just behind the record: durable when durable_lsn reached
 * it. */
uint64_t wal_rec_end(struct wal *wal, uint32_t bytes);

/* Start of the batch that the next record goes to, if it is not closed before: what is appended
 * from now on is at or after it. */
uint64_t wal_open_lsn(const struct wal *wal);

/* --- durability
 * ------------------------------------------------------------------------------------ */

/* Let nothing become durable from now on (the device of pages failed); waiters get rc. */
void wal_fail(struct wal *wal, int rc);
uint64_t wal_durable_lsn(const struct wal *wal);
int wal_error(const struct wal *wal); /* 0 or what failed it */
/* fn once lsn is durable, or with the error. At once when it is already. Must not yield. */
void wal_on_durable(struct wal *wal, struct durable_cb *cb, uint64_t lsn);
int co_fn wal_wait(struct wal *wal, uint64_t lsn);

/* The batch with the record that ends at lsn, just appended, waits for something else to become
 * durable as well; counted. Every hold is released, with 0, or with the error that makes it
 * impossible: then the log fails. */
void wal_hold(struct wal *wal, uint64_t lsn);
void wal_release(struct wal *wal, uint64_t lsn, int rc);
/* Up to where recovery will know from the log itself, whatever happens, that it was durable; never
 * more than durable_lsn. Nothing below was held for something that recovery would have to look at.
 */
uint64_t wal_proven_lsn(const struct wal *wal);

/* Everything below lsn (a value of wal_open_lsn() at some time, all before it durable) is in place
 * elsewhere: durable on return, the space is free. */
int co_fn wal_trim(struct wal *wal, uint64_t lsn);

struct wal_stats {
	uint64_t ring_bytes;
	uint64_t used_bytes;
	uint64_t reserved_bytes;
	uint64_t rec_nr;
	uint64_t write_nr;
	uint64_t written_bytes;
	uint64_t replay_bytes;
};
void wal_stats(const struct wal *wal, struct wal_stats *ret_stats);

#endif
