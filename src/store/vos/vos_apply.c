/*
 * Several updates and punches at one epoch, in one transaction.
 *
 * The operations are entered into the index one after the other, each with its own operation
 * number, so that a condition sees what those before it did. Log space is estimated; when it turns
 * out to be short the transaction is done again with the largest reservation (vos_tx.c).
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_order.h"
#include "store/vos/vos_update.h"

/* --- the list --------------------------------------------------------------------------------- */

int
vos_ops_make(struct vos_cont *cont, const struct vos_op *ops, uint32_t op_nr,
	     struct vos_ops *ret_ops)
{
	uint32_t i;
	int rc = 0;

	*ret_ops = (struct vos_ops){.cont = cont};
	if (op_nr == 0)
		return -DER_INVAL;
	ret_ops->one = mem_calloc(op_nr, sizeof(*ret_ops->one));
	if (ret_ops->one == NULL)
		return -DER_NOMEM;
	ret_ops->nr = op_nr;
	for (i = 0; rc == 0 && i < op_nr; i++) {
		struct vos_ops_one *one = &ret_ops->one[i];

		one->op_nr = ops[i].op_nr;
		if (ops[i].kind == VOS_OP_UPDATE) {
			one->up = ops[i].up;
			rc = one->up == NULL || one->up->cont != cont ? -DER_INVAL : 0;
			continue;
		}
		one->punch.oid = ops[i].oid;
		one->punch.cond_flags = ops[i].cond_flags;
		rc = ops[i].kind != VOS_OP_PUNCH
			 ? -DER_INVAL
			 : vos_punch_check(&one->punch, ops[i].dkey, ops[i].akeys, ops[i].akey_nr);
	}
	if (rc != 0)
		vos_ops_fini(ret_ops);
	return rc;
}

void
vos_ops_fini(struct vos_ops *ops)
{
	uint32_t i;

	for (i = 0; i < ops->nr; i++) {
		free(ops->one[i].punch.akeys);
		if (ops->one[i].owned)
			vos_update_release(ops->one[i].up);
	}
	free(ops->one);
	*ops = (struct vos_ops){0};
}

void
vos_ops_consume(struct vos_op *ops, uint32_t op_nr)
{
	uint32_t i;

	for (i = 0; i < op_nr; i++) {
		if (ops[i].kind != VOS_OP_UPDATE)
			continue;
		vos_update_release(ops[i].up);
		ops[i].up = NULL;
	}
}

void
vos_ops_set_epoch(struct vos_ops *ops, uint64_t epoch)
{
	uint32_t i;

	for (i = 0; i < ops->nr; i++)
		if (ops->one[i].up != NULL)
			ops->one[i].up->io.epoch = epoch;
}

int co_fn
vos_ops_write(struct vos_ops *ops)
{
	uint32_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < ops->nr; i++)
		if (ops->one[i].up != NULL)
			rc = vos_update_write(ops->one[i].up);
	return rc;
}

/* --- space it may take --------------------------------------------------------------------------
 */

enum {
	PUNCH_LOG = 16384,
	PUNCH_AKEY_LOG = 1024,
	PUNCH_HEAP = 4096,
};

uint64_t
vos_ops_log_bytes(const struct vos_ops *ops)
{
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < ops->nr; i++) {
		const struct vos_ops_one *one = &ops->one[i];

		sum += one->up != NULL ? vos_update_log_bytes(one->up)
				       : PUNCH_LOG + one->punch.akey_nr * (uint64_t)PUNCH_AKEY_LOG;
	}
	return sum;
}

uint64_t
vos_ops_heap_bytes(const struct vos_ops *ops)
{
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < ops->nr; i++)
		sum += ops->one[i].up != NULL ? vos_update_heap_bytes(ops->one[i].up) : PUNCH_HEAP;
	return sum;
}

uint64_t
vos_ops_inline_bytes(const struct vos_ops *ops)
{
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < ops->nr; i++)
		sum += ops->one[i].up != NULL ? ops->one[i].up->buf_bytes : 0;
	return sum;
}

bool
vos_ops_unreserve(struct vos_ops *ops)
{
	bool updates = false;
	uint32_t i;

	for (i = 0; i < ops->nr; i++) {
		if (ops->one[i].up == NULL)
			continue;
		heap_unreserve(ops->cont->pool->heap, &ops->one[i].up->resv);
		updates = true;
	}
	return updates;
}

/* --- entering them into the index
 * ----------------------------------------------------------------- */

/* Blocks that came allocated and found no place in the index. */
static int
free_untaken(struct vos_tx *t, const struct vos_update *up)
{
	uint32_t i, j;
	int rc = 0;

	for (i = 0; i < up->piece_nr; i++) {
		const struct vos_piece *piece = &up->pieces[i];

		if (!piece->allocated || piece->published)
			continue;
		for (j = 0; rc == 0 && j < piece->ext_nr; j++)
			rc = vos_blocks_free(t, &piece->ext[j]);
	}
	return rc;
}

int
vos_ops_apply(struct vos_tx *t, struct vos_ops *ops, bool check)
{
	uint32_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < ops->nr; i++) {
		struct vos_ops_one *one = &ops->one[i];

		t->ord.op = one->op_nr;
		if (one->up == NULL) {
			rc = vos_punch_apply(t, &one->punch, check);
			continue;
		}
		rc = vos_update_apply(t, one->up, check);
		if (rc == 0)
			rc = free_untaken(t, one->up);
	}
	return rc;
}

void
vos_ops_unpublish(struct vos_ops *ops)
{
	uint32_t i, j;

	for (i = 0; i < ops->nr; i++) {
		struct vos_update *up = ops->one[i].up;

		for (j = 0; up != NULL && j < up->piece_nr; j++)
			up->pieces[j].published = false;
	}
}

void
vos_ops_reclaim(const struct vos_ops *ops, uint64_t epoch)
{
	struct vos_cont *cont = ops->cont;
	uint32_t i;

	for (i = 0; i < ops->nr && !cont->dead && epoch <= cont->df->floor; i++) {
		const struct vos_punch *p = &ops->one[i].punch;

		if (ops->one[i].up == NULL)
			vos_reclaim_punched(cont, &p->oid, p->dkey.buf != NULL ? &p->dkey : NULL);
	}
}

/* --- all at once
 * ------------------------------------------------------------------------------------ */

struct apply {
	struct vos_ops ops;
	const struct vos_opid *opid;
	const struct vos_order *order;
};

static int
apply_tx(struct vos_tx *t, void *arg)
{
	struct apply *a = arg;
	int rc;

	if (a->opid != NULL) {
		rc = vos_opid_record(t, a->opid);
		if (rc != 0)
			return rc;
	}
	if (t->ord.epoch <= t->cont->df->agg_epoch)
		return -DER_TX_RESTART;
	rc = vos_order_ops(t, &a->ops, a->order);
	return rc != 0 ? rc : vos_ops_apply(t, &a->ops, true);
}

int co_fn
vos_apply(struct vos_cont *cont, uint64_t epoch, struct vos_op *ops, uint32_t op_nr,
	  const struct vos_opid *opid, const struct vos_order *order)
{
	struct apply a = {.opid = opid, .order = order};
	struct vos_tx_args args = {
	    .pool = cont->pool,
	    .cont = cont,
	    .ord = {.epoch = epoch},
	    .fn = apply_tx,
	    .arg = &a,
	    .wait = true,
	};
	struct vos_flight flight;
	int rc;

	rc = vos_cont_check(cont);
	if (rc == 0 && (epoch == 0 || epoch == UINT64_MAX))
		rc = -DER_INVAL;
	if (rc == 0)
		rc = vos_ops_make(cont, ops, op_nr, &a.ops);
	if (rc != 0)
		return rc;
	cont->refs++;
	a.ops.owner = vos_order_owner(cont, order);
	vos_ops_set_epoch(&a.ops, epoch);
	args.log_bytes = vos_ops_log_bytes(&a.ops);
	if (args.log_bytes > HEAP_TX_LOG_MAX)
		args.log_bytes = HEAP_TX_LOG_MAX;
	args.heap_bytes = vos_ops_heap_bytes(&a.ops);
	vos_flight_begin(cont, &flight, epoch);
	rc = vos_ops_write(&a.ops);
	if (rc == 0) {
		/* the promises made to each become the one of this transaction */
		args.flags = vos_ops_unreserve(&a.ops) ? 0 : HEAP_RESV_RECLAIM;
		rc = vos_tx_run(&args);
		if (!args.committed)
			vos_ops_unpublish(&a.ops);
	}
	vos_flight_end(&flight);
	if (rc == 0) {
		vos_ops_reclaim(&a.ops, epoch);
		vos_ops_consume(ops, op_nr);
	}
	vos_ops_fini(&a.ops);
	vos_cont_close(cont);
	return rc;
}
