/* The frame around every change: a heap transaction plus the container's epochs. */
#define LOG_FACILITY "vos"
#include "store/vos/vos_internal.h"

#include "base/log.h"

enum { LOG_MAX = HEAP_TX_LOG_MAX - 4096 };

int
vos_cont_follow(struct vos_tx *t, uint64_t max_epoch)
{
	struct vos_cont_df *df = t->cont->df;
	int64_t scm = heap_tx_net_bytes(t->tx), blk;
	int rc;

	blk = t->pool->space == NULL ? 0 : space_tx_net_blk(t->pool->space);
	if (max_epoch <= df->max_epoch && t->low_epoch <= df->low_epoch && scm == 0 && blk == 0)
		return 0;
	static_assert(offsetof(struct vos_cont_df, nvme_used) ==
			  offsetof(struct vos_cont_df, max_epoch) + 24,
		      "adjacent");
	rc = heap_tx_add(t->tx, t->cont->df_off + offsetof(struct vos_cont_df, max_epoch), 32);
	if (rc != 0)
		return rc;
	df->scm_used += scm;
	df->nvme_used += blk * SPACE_BLOCK;
	if (max_epoch > df->max_epoch)
		df->max_epoch = max_epoch;
	if (t->low_epoch > df->low_epoch)
		df->low_epoch = t->low_epoch;
	return 0;
}

/* The container is gone, or all that is newer than some epoch is going. */
static int
barred(const struct vos_tx_args *args)
{
	if (args->cont->dead)
		return -DER_NO_HDL;
	return !args->trim && args->ord.epoch > args->cont->discard_above ? -DER_BUSY : 0;
}

static int
tx_once(const struct vos_tx_args *args, struct heap_resv *resv, uint64_t *ret_lsn)
{
	struct vos_tx t = {
	    .heap = args->pool->heap,
	    .pool = args->pool,
	    .cont = args->cont,
	    .ord = args->ord,
	    .trim = args->trim,
	    .below = args->below,
	};
	int rc;

	if (args->cont != NULL && (args->cont->dead | (args->cont->discard != NULL))) {
		rc = barred(args);
		if (rc != 0)
			return rc;
	}
	t.tx = heap_tx_begin(t.heap, resv);
	vos_cache_begin(t.pool);
	rc = args->fn(&t, args->arg);
	if (rc == 0 && t.cont != NULL)
		rc = vos_cont_follow(&t, args->trim ? 0 : args->ord.epoch);
	if (rc != 0) {
		heap_tx_abort(t.tx);
		vos_cache_abort(t.pool);
		return rc;
	}
	heap_tx_commit(t.tx, ret_lsn);
	if (!args->trim && args->ord.epoch > t.pool->max_epoch)
		t.pool->max_epoch = args->ord.epoch;
	return 0;
}

/* Log space for the transaction; heap space too if none was reserved before. */
static int co_fn
reserve(const struct vos_tx_args *args, uint64_t log_bytes, struct heap_resv *resv)
{
	struct heap *heap = args->pool->heap;

	if (resv->log_bytes != 0)
		return heap_reserve_log(heap, resv, log_bytes);
	return heap_reserve(heap, log_bytes, args->heap_bytes, args->flags, resv);
}

int co_fn
vos_tx_run(struct vos_tx_args *args)
{
	struct heap *heap = args->pool->heap;
	struct heap_resv own = {0}, *resv = args->resv != NULL ? args->resv : &own;
	bool largest = args->log_bytes >= LOG_MAX;
	uint64_t lsn = 0;
	int rc, rc2;

	rc = reserve(args, largest ? LOG_MAX : args->log_bytes, resv);
	while (rc == 0) {
		do
			rc = tx_once(args, resv, &lsn);
		while (heap_retry(heap, &rc));
		if (rc != -DER_NOSPACE || largest)
			break;
		/* too little log or heap was promised; what is there may still be enough */
		largest = true;
		rc = reserve(args, LOG_MAX, resv);
	}
	heap_unreserve(heap, resv);
	args->committed = rc == 0;
	args->lsn = lsn;
	if (rc == 0)
		return args->wait ? heap_wait_durable(heap, lsn) : 0;
	rc2 = heap_wait_durable(heap, heap_last_lsn(heap));
	return rc2 != 0 ? rc2 : rc;
}
