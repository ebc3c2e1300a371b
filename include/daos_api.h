/*
 * Transactions, anchors and epochs as times.
 *
 * A transaction is opened, its handle given to object, key-value and array calls, then committed or
 * aborted, and closed. -DER_TX_RESTART from any of them: call daos_tx_restart() and do all of its
 * operations again.
 */
#ifndef DAOS_API_H
#define DAOS_API_H

#include <daos_types.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

/** Flags of daos_tx_open(). */
enum {
	/** No operation of the transaction will write. */
	DAOS_TF_RDONLY = (1 << 0),
	/** The caller leaves its buffers alone until the commit, so they need not be copied. */
	DAOS_TF_ZERO_COPY = (1 << 1),
};

/** Ranks from text such as "1:2:5" with the separator in sep; NULL on failure. */
d_rank_list_t *daos_rank_list_parse(const char *str, const char *sep);

int daos_tx_open(daos_handle_t coh, daos_handle_t *th, uint64_t flags, daos_event_t *ev);

/** Make everything visible at once. -DER_TX_RESTART: nothing was done. */
int daos_tx_commit(daos_handle_t th, daos_event_t *ev);

/** A read-only view of the container at a snapshot's epoch. */
int daos_tx_open_snap(daos_handle_t coh, daos_epoch_t epoch, daos_handle_t *th, daos_event_t *ev);
int daos_tx_abort(daos_handle_t th, daos_event_t *ev);
int daos_tx_close(daos_handle_t th, daos_event_t *ev);

/** Start over, with a new epoch and none of the operations. */
int daos_tx_restart(daos_handle_t th, daos_event_t *ev);

/** Epoch the transaction reads at; -DER_UNINIT before it has one. */
int daos_tx_hdl2epoch(daos_handle_t th, daos_epoch_t *epoch);

static inline int
daos_anchor_init(daos_anchor_t *anchor, __attribute__((unused)) unsigned int opts)
{
	memset(anchor, 0, sizeof(*anchor));
	anchor->da_type = DAOS_ANCHOR_TYPE_ZERO;
	return 0;
}

static inline void
daos_anchor_fini(__attribute__((unused)) daos_anchor_t *anchor)
{
}

/** Has the listing returned everything? */
static inline bool
daos_anchor_is_eof(daos_anchor_t *anchor)
{
	return anchor->da_type == DAOS_ANCHOR_TYPE_EOF;
}

/** Wall clock time of an epoch. */
int daos_hlc2timespec(uint64_t hlc, struct timespec *ts);
int daos_hlc2timestamp(uint64_t hlc, time_t *ts);

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* DAOS_API_H */
