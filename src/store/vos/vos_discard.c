/*
 * Discarding what is newer than an epoch: what a target holds beyond the point up to which it is
 * known to agree with others goes, before it takes part again.
 *
 * The walk is that of trimming (vos_trim.c), which drops by another rule here and lowers the epochs
 * of the keys it leaves; what has not changed since the epoch is passed over. While it is under way
 * nothing newer than the epoch may come.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_dtx.h"
#include "store/vos/vos_trim.h"

static bool
same_scope(const struct vos_trim *trim, const struct vos_oid *oid, uint64_t above)
{
	if (trim->below != above || trim->one_obj != (oid != NULL))
		return false;
	return oid == NULL || (trim->oid.id.lo == oid->id.lo && trim->oid.id.hi == oid->id.hi &&
			       trim->oid.shard == oid->shard);
}

struct newer {
	uint64_t above;
	bool found;
	struct vos_dtx_ref ref;
};

static bool
is_newer(const struct vos_touch *touch, void *arg)
{
	struct newer *n = arg;

	n->found = touch->intent->ref.epoch > n->above;
	n->ref = touch->intent->ref;
	return !n->found;
}

/* Intents newer than the epoch: of a whole container they are aborted, of an object they are in the
 * way. */
static int co_fn
drop_intents(struct vos_cont *cont, const struct vos_oid *oid, uint64_t above)
{
	struct vos_scope scope = {.oid = oid};
	int rc = 0;

	for (;;) {
		struct newer n = {.above = above};

		vos_intents_overlap(cont, &scope, is_newer, &n);
		if (rc != 0 || !n.found)
			return rc;
		if (oid != NULL)
			return -DER_BUSY;
		rc = vos_dtx_abort(cont, &n.ref);
	}
}

static int co_fn
discard_start(struct vos_cont *cont, const struct vos_oid *oid, uint64_t above)
{
	struct vos_trim *trim;
	int rc;

	rc = vos_trim_create(cont, VOS_TRIM_ABOVE, above, &trim);
	if (rc != 0)
		return rc;
	trim->clean = above;
	if (oid != NULL)
		rc = vos_trim_scope(trim, oid, NULL);
	/* from here on nothing newer comes */
	vos_trim_destroy(cont->discard);
	cont->discard = trim;
	cont->discard_above = above;
	if (rc == 0)
		rc = drop_intents(cont, oid, above);
	if (rc != 0) {
		vos_trim_destroy(trim);
		cont->discard = NULL;
	}
	return rc;
}

int co_fn
vos_discard(struct vos_cont *cont, const struct vos_oid *oid, uint64_t above, uint64_t budget_ns,
	    bool *ret_more)
{
	struct xs *xs = cont->pool->xs;
	uint64_t end_ns = xs_now_fresh_ns(xs) + budget_ns;
	bool more = true;
	int rc;

	rc = vos_cont_check(cont);
	if (rc == 0 && above == UINT64_MAX)
		rc = -DER_INVAL;
	/* aggregation relies on nothing below it going */
	if (rc == 0 && above < cont->df->agg_epoch)
		rc = -DER_TX_RESTART;
	if (rc == 0 && cont->discard_running)
		rc = -DER_BUSY;
	if (rc != 0)
		return rc;
	cont->discard_running = true;
	cont->refs++;
	if (cont->discard == NULL || !same_scope(cont->discard, oid, above))
		rc = discard_start(cont, oid, above);
	while (rc == 0 && more) {
		rc = vos_trim_step(cont->discard, &more);
		if (xs_now_fresh_ns(xs) >= end_ns)
			break;
		if (rc == 0 && more)
			co_yield();
	}
	if (rc == 0 && !more) {
		vos_trim_destroy(cont->discard);
		cont->discard = NULL;
		rc = heap_wait_durable(cont->pool->heap, heap_last_lsn(cont->pool->heap));
	}
	cont->discard_running = false;
	vos_cont_close(cont);
	if (rc == 0)
		*ret_more = more;
	return rc;
}
