/*
 * Intents: prepare, move, commit, abort.
 *
 * Prepare makes sure, in one turn of the loop, that everything commit will do can be done: the
 * order is checked, then the operations are entered into the index for trial, conditions included,
 * within the space that is held for the commit, and taken back. What is kept is a record and the
 * encoded operations (vos_dtx_rec.c); the data are on the device by then and their blocks
 * allocated, so a crash loses nothing. Commit decodes the operations, enters them for good, drops
 * what prepare kept and notes the id as done, all in one transaction; abort frees instead. The
 * table in memory (vos_intent.c) changes in the same turn.
 *
 * Whoever decides may be overtaken while it waits for log space; so what is to be decided is looked
 * up again inside the transaction.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_order.h"
#include "store/vos/vos_update.h"

#include "base/err.h"
#include "base/log.h"

enum {
	LOG_MAX = HEAP_TX_LOG_MAX - 4096,
	RECORD_LOG = BTREE_OP_LOG_BYTES + 4096,
	RECORD_HEAP = BTREE_OP_HEAP_BYTES,
};

static struct btree
dtx_tree(const struct vos_cont *cont)
{
	return btree_at(cont->pool->heap, cont->df_off + offsetof(struct vos_cont_df, dtxs));
}

/* The record of an id; state UNKNOWN = there is none. */
static int
record_get(const struct vos_cont *cont, const struct vos_dtx_id *id, struct vos_dtx_df *ret_df)
{
	uint8_t buf[VOS_DTX_KEY];
	struct btree_key key = btree_key_buf(buf, sizeof(buf));
	uint64_t val;
	int rc;

	vos_dtx_key(id, buf);
	*ret_df = (struct vos_dtx_df){.state = VOS_DTX_UNKNOWN};
	rc = btree_lookup(dtx_tree(cont), &key, &val);
	if (rc == 0)
		memcpy(ret_df, heap_ptr(cont->pool->heap, val), sizeof(*ret_df));
	return rc == -DER_NONEXIST ? 0 : rc;
}

static int
record_del(struct vos_tx *t, const struct vos_dtx_id *id)
{
	uint8_t buf[VOS_DTX_KEY];
	struct btree_key key = btree_key_buf(buf, sizeof(buf));

	vos_dtx_key(id, buf);
	return btree_delete(t->tx, dtx_tree(t->cont), &key, NULL);
}

static int
record_set(struct vos_tx *t, const struct vos_dtx_id *id, const struct vos_dtx_df *df)
{
	uint8_t buf[VOS_DTX_KEY];
	struct btree_key key = btree_key_buf(buf, sizeof(buf));

	vos_dtx_key(id, buf);
	return btree_upsert(t->tx, dtx_tree(t->cont), &key, df, NULL);
}

/* Remember that it is committed, as if it were a plain operation. */
static int
committed_set(struct vos_tx *t, const struct vos_intent *in)
{
	struct vos_opid opid = {
	    .client = {in->ref.id.client[0], in->ref.id.client[1]},
	    .seq = in->ref.id.seq,
	    .low_seq = in->low_seq,
	};

	return vos_opid_record(t, &opid);
}

/* Give back what an intent holds: its blocks and its body. */
static int
intent_drop(struct vos_tx *t, const struct vos_intent *in)
{
	uint32_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < in->ext_nr; i++)
		rc = vos_blocks_free(t, &in->ext[i]);
	return rc != 0 ? rc : vos_body_free(t, in->body_off);
}

/* --- prepare
 * ---------------------------------------------------------------------------------------- */

struct prepare {
	struct vos_cont *cont;
	struct vos_ops ops;
	struct vos_intent *in;         /* what is going to be there */
	const struct vos_intent *from; /* move: the attempt whose data it takes over */
	struct vos_order order;
	struct heap_resv resv; /* for the record */
	uint32_t resv_flags;
	uint64_t lsn;
};

static struct vos_tx
tx_of(const struct prepare *p)
{
	return (struct vos_tx){
	    .heap = p->cont->pool->heap,
	    .pool = p->cont->pool,
	    .cont = p->cont,
	    .ord = {.epoch = p->in->ref.epoch},
	};
}

/* May this attempt be prepared, for all that is known of its id? */
static int
record_allows(const struct prepare *p, const struct vos_dtx_df *df)
{
	const struct vos_dtx_ref *ref = &p->in->ref;
	int c = vos_dtx_try_cmp(df->map_ver, df->attempt, ref->map_ver, ref->attempt);

	switch (df->state) {
	case VOS_DTX_UNKNOWN:
		return p->from != NULL ? -DER_NONEXIST : 0;
	case VOS_DTX_PREPARED:
		if (p->from != NULL && p->from->gone)
			return c == 0 ? -DER_ALREADY : -DER_NONEXIST;
		return c == 0 ? -DER_ALREADY : c > 0 ? -DER_STALE : 0;
	case VOS_DTX_ABORTED:
		return c >= 0 ? -DER_STALE : p->from != NULL ? -DER_NONEXIST : 0;
	default:
		log_err("pool %s: transaction in state %u", p->cont->pool->name, df->state);
		return -DER_CSUM;
	}
}

/* Do what commit will do, with the space it will have, and take it back. */
static int
trial(struct prepare *p)
{
	struct heap_resv resv = {
	    .log_bytes = p->resv.log_bytes,
	    .heap_bytes = p->in->resv.heap_bytes,
	    .flags = HEAP_RESV_RECLAIM,
	};
	struct vos_tx t = tx_of(p);
	uint64_t data = vos_ops_inline_bytes(&p->ops), used;
	int rc;

	vos_cache_begin(t.pool);
	t.tx = heap_tx_begin(t.heap, &resv);
	rc = committed_set(&t, p->in);
	if (rc == 0)
		rc = vos_ops_apply(&t, &p->ops, true);
	used = heap_tx_log_bytes(t.tx);
	heap_tx_abort(t.tx);
	vos_cache_abort(t.pool);
	vos_ops_unpublish(&p->ops);
	/* what is there may change until the commit: it must not be tight */
	if (rc == 0 && used > data && used - data > (LOG_MAX - data) / 2)
		rc = -DER_REC2BIG;
	return rc;
}

static int
publish(struct vos_tx *t, struct vos_ops *ops)
{
	uint32_t i, j;
	int rc = 0;

	for (i = 0; i < ops->nr; i++) {
		struct vos_update *up = ops->one[i].up;

		for (j = 0; rc == 0 && up != NULL && j < up->piece_nr; j++)
			rc = vos_piece_publish(t, &up->pieces[j]);
	}
	return rc;
}

/* Write the record; `old` is the attempt it replaces, or NULL. */
static int
keep(struct prepare *p, struct vos_tx *t, const struct vos_intent *old)
{
	struct vos_intent *in = p->in;
	struct vos_dtx_df df = {
	    .epoch = in->ref.epoch,
	    .map_ver = in->ref.map_ver,
	    .attempt = in->ref.attempt,
	    .low_seq = in->low_seq,
	    .body_bytes = in->body_bytes,
	    .state = VOS_DTX_PREPARED,
	};
	int rc = 0;

	if (p->from != NULL) {
		in->body_off = p->from->body_off;
	} else {
		rc = publish(t, &p->ops);
		if (rc == 0 && old != NULL)
			rc = intent_drop(t, old);
		if (rc == 0)
			rc = vos_body_store(t, in->body, in->body_bytes, &in->body_off);
	}
	df.body = in->body_off;
	if (rc == 0)
		rc = record_set(t, &in->ref.id, &df);
	return rc != 0 ? rc : vos_cont_follow(t, t->ord.epoch);
}

/* One attempt, without a yield. */
static int
prepare_once(struct prepare *p)
{
	struct vos_cont *cont = p->cont;
	struct vos_intent *old;
	struct vos_tx t = tx_of(p);
	struct vos_dtx_df df;
	int rc;

	rc = vos_cont_check(cont);
	if (rc == 0 && cont->discard != NULL && p->in->ref.epoch > cont->discard_above)
		rc = -DER_BUSY;
	if (rc == 0)
		rc = record_get(cont, &p->in->ref.id, &df);
	if (rc == 0)
		rc = record_allows(p, &df);
	if (rc == 0)
		rc = vos_opid_known(cont, p->in->ref.id.client, p->in->ref.id.seq);
	if (rc == 0)
		rc = vos_order_ops(&t, &p->ops, &p->order);
	if (rc == 0)
		rc = trial(p);
	if (rc != 0)
		return rc;
	old = vos_intent_find(cont, &p->in->ref.id);
	t.tx = heap_tx_begin(t.heap, &p->resv);
	rc = keep(p, &t, old);
	if (rc != 0) {
		heap_tx_abort(t.tx);
		vos_ops_unpublish(&p->ops);
		return rc;
	}
	heap_tx_commit(t.tx, &p->lsn);
	if (p->in->ref.epoch > cont->pool->max_epoch)
		cont->pool->max_epoch = p->in->ref.epoch;
	vos_intent_get(p->in);
	vos_intent_insert(cont, p->in);
	if (old != NULL)
		vos_intent_remove(cont, old);
	return 0;
}

static uint64_t
keep_log_bytes(const struct prepare *p)
{
	uint64_t sum = RECORD_LOG + p->in->body_bytes + 1024;
	uint32_t i;

	for (i = 0; i < p->in->ext_nr; i++)
		sum += SPACE_OP_LOG_BYTES + p->in->ext[i].blk_nr / 8;
	return p->in->ext_nr != 0 ? sum + SPACE_GROUP_LOG_BYTES : sum;
}

/* Space for the record, and for the commit of the intent. */
static int co_fn
prepare_reserve(struct prepare *p, uint64_t log_bytes)
{
	struct heap *heap = p->cont->pool->heap;
	struct heap_resv *held = &p->in->resv;
	uint32_t tries = 0;
	int rc;

	heap_unreserve(heap, held);
	heap_unreserve(heap, &p->resv);
	do
		rc = heap_reserve(heap, 1, p->in->heap_bytes, p->resv_flags, held);
	while (rc == -DER_NOSPACE && vos_space_comes(p->cont->pool, &tries));
	if (rc != 0)
		return rc;
	do
		rc = heap_reserve(heap, log_bytes > LOG_MAX ? LOG_MAX : log_bytes,
				  RECORD_HEAP + p->in->body_bytes + 256, p->resv_flags, &p->resv);
	while (rc == -DER_NOSPACE && vos_space_comes(p->cont->pool, &tries));
	return rc;
}

static int co_fn
prepare_run(struct prepare *p)
{
	struct heap *heap = p->cont->pool->heap;
	uint64_t log_bytes = vos_ops_log_bytes(&p->ops), keep_bytes = keep_log_bytes(p);
	bool largest = false;
	int rc, rc2;

	if (keep_bytes > log_bytes)
		log_bytes = keep_bytes;
	rc = prepare_reserve(p, log_bytes);
	while (rc == 0) {
		do
			rc = prepare_once(p);
		while (heap_retry(heap, &rc));
		if (rc != -DER_NOSPACE || largest)
			break;
		largest = true;
		p->in->heap_bytes *= 4;
		rc = prepare_reserve(p, LOG_MAX);
	}
	heap_unreserve(heap, &p->resv);
	/* a refusal too tells of what was seen */
	rc2 = heap_wait_durable(heap, rc == 0 ? p->lsn : heap_last_lsn(heap));
	return rc2 != 0 ? rc2 : rc;
}

static int
ref_check(const struct vos_dtx_ref *ref)
{
	return ref->epoch == 0 || ref->epoch == UINT64_MAX || ref->id.seq == 0 ? -DER_INVAL : 0;
}

static int
intent_new(struct prepare *p, const struct vos_dtx_ref *ref, uint64_t low_seq, const void *part,
	   uint32_t part_len)
{
	uint32_t bytes;
	uint8_t *body;
	int rc;

	rc = vos_body_encode(&p->ops, part, part_len, &body, &bytes);
	if (rc == 0)
		rc = vos_intent_create(p->cont, ref, body, bytes, &p->in);
	if (rc == 0)
		p->in->low_seq = low_seq;
	return rc != 0 ? rc : vos_intents_ready(p->cont);
}

static struct vos_order
prepare_order(const struct vos_dtx_ref *ref, struct vos_conflict *conflict)
{
	return (struct vos_order){
	    .flags = VOS_ORDER_READ | VOS_ORDER_WRITE,
	    .self = &ref->id,
	    .conflict = conflict,
	};
}

int co_fn
vos_dtx_prepare(struct vos_cont *cont, const struct vos_dtx_ref *ref, uint64_t low_seq,
		const void *part, uint32_t part_len, struct vos_op *ops, uint32_t op_nr,
		struct vos_conflict *conflict)
{
	struct prepare p = {.cont = cont, .order = prepare_order(ref, conflict)};
	struct vos_flight flight;
	int rc;

	rc = vos_cont_check(cont);
	if (rc == 0)
		rc = ref_check(ref);
	if (rc == 0)
		rc = vos_ops_make(cont, ops, op_nr, &p.ops);
	if (rc != 0)
		return rc;
	cont->refs++;
	p.ops.owner = vos_ts_owner(&ref->id);
	vos_ops_set_epoch(&p.ops, ref->epoch);
	vos_flight_begin(cont, &flight, ref->epoch);
	rc = vos_ops_write(&p.ops);
	if (rc == 0)
		rc = intent_new(&p, ref, low_seq, part, part_len);
	if (rc == 0) {
		/* punches alone may empty a full pool */
		p.resv_flags = vos_ops_unreserve(&p.ops) ? 0 : HEAP_RESV_RECLAIM;
		rc = prepare_run(&p);
	}
	vos_flight_end(&flight);
	if (rc == 0)
		vos_ops_consume(ops, op_nr);
	vos_ops_fini(&p.ops);
	vos_intent_put(cont, p.in);
	vos_cont_close(cont);
	return rc;
}

int co_fn
vos_dtx_move(struct vos_cont *cont, const struct vos_dtx_ref *from, const struct vos_dtx_ref *to,
	     struct vos_conflict *conflict)
{
	struct prepare p = {.cont = cont, .order = prepare_order(to, conflict)};
	struct vos_intent *old;
	struct vos_flight flight;
	uint8_t *body;
	int rc;

	rc = vos_cont_check(cont);
	if (rc == 0)
		rc = ref_check(to);
	if (rc == 0 && vos_dtx_id_cmp(&from->id, &to->id) != 0)
		rc = -DER_INVAL;
	if (rc != 0)
		return rc;
	old = vos_intent_find(cont, &from->id);
	if (old == NULL ||
	    vos_dtx_try_cmp(old->ref.map_ver, old->ref.attempt, from->map_ver, from->attempt) != 0)
		return -DER_NONEXIST;
	cont->refs++;
	vos_intent_get(old);
	p.from = old;
	vos_flight_begin(cont, &flight, to->epoch);
	body = mem_dup(old->body, old->body_bytes);
	rc = body == NULL ? -DER_NOMEM : vos_intent_create(cont, to, body, old->body_bytes, &p.in);
	if (rc == 0) {
		p.in->low_seq = old->low_seq;
		rc = vos_intents_ready(cont);
	}
	if (rc == 0)
		rc = vos_body_decode(cont, p.in->body, p.in->body_bytes, &p.ops, NULL, NULL);
	if (rc == 0) {
		p.ops.owner = vos_ts_owner(&to->id);
		vos_ops_set_epoch(&p.ops, to->epoch);
		p.resv_flags = HEAP_RESV_RECLAIM;
		rc = prepare_run(&p);
	}
	vos_flight_end(&flight);
	vos_ops_fini(&p.ops);
	vos_intent_put(cont, p.in);
	vos_intent_put(cont, old);
	vos_cont_close(cont);
	return rc;
}

/* --- deciding
 * ------------------------------------------------------------------------------------------- */

/* Takes a decided intent out of the table in the turn of the transaction that decided it. */
struct decided {
	struct heap_tx_hook hook;
	struct vos_cont *cont;
	struct vos_intent *in;
};

static void
decided_fn(struct heap_tx_hook *hook, bool committed, uint64_t lsn)
{
	struct decided *d = container_of(hook, struct decided, hook);

	if (committed)
		vos_intent_remove(d->cont, d->in);
}

static void
decided_add(struct vos_tx *t, struct decided *d, struct vos_intent *in)
{
	d->hook.fn = decided_fn;
	d->cont = t->cont;
	d->in = in;
	heap_tx_hook_add(t->tx, &d->hook);
}

struct commit {
	struct vos_intent *in;
	struct vos_ops ops;
	struct decided decided;
};

/* Nothing is prepared: what is known of it? */
static int
commit_known(struct vos_cont *cont, const struct vos_dtx_ref *ref)
{
	struct vos_dtx_df df;
	int rc;

	rc = vos_opid_known(cont, ref->id.client, ref->id.seq);
	if (rc != 0)
		return rc == -DER_ALREADY ? 0 : rc;
	rc = record_get(cont, &ref->id, &df);
	if (rc != 0)
		return rc;
	return df.state == VOS_DTX_UNKNOWN ? -DER_NONEXIST : -DER_MISMATCH;
}

static int
commit_tx(struct vos_tx *t, void *arg)
{
	struct commit *c = arg;
	int rc;

	if (c->in->gone)
		return -DER_AGAIN; /* somebody else decided meanwhile */
	rc = committed_set(t, c->in);
	if (rc == -DER_STALE) /* the client has had its answer */
		rc = 0;
	if (rc == 0)
		rc = vos_ops_apply(t, &c->ops, false);
	if (rc == 0)
		rc = vos_body_free(t, c->in->body_off);
	if (rc == 0)
		rc = record_del(t, &c->in->ref.id);
	if (rc == 0)
		decided_add(t, &c->decided, c->in);
	return rc;
}

/* Enter the intent into the index. */
static int co_fn
commit_intent(struct vos_cont *cont, struct commit *c, uint64_t epoch, bool wait)
{
	struct vos_intent *in = c->in;
	struct heap_resv resv = in->resv;
	struct vos_tx_args args = {
	    .pool = cont->pool,
	    .cont = cont,
	    .ord = {.epoch = epoch},
	    .flags = HEAP_RESV_RECLAIM,
	    .resv = &resv,
	    .fn = commit_tx,
	    .arg = c,
	    .wait = wait,
	};
	int rc, rc2;

	rc = vos_body_decode(cont, in->body, in->body_bytes, &c->ops, NULL, NULL);
	if (rc != 0)
		return rc;
	/* what was held becomes this transaction's */
	in->resv = (struct heap_resv){0};
	if (resv.log_bytes != 0)
		resv.flags |= HEAP_RESV_RECLAIM;
	vos_ops_set_epoch(&c->ops, epoch);
	args.log_bytes = vos_ops_log_bytes(&c->ops) + RECORD_LOG;
	if (args.log_bytes > LOG_MAX)
		args.log_bytes = LOG_MAX;
	rc = vos_tx_run(&args);
	if (args.committed) {
		vos_ops_reclaim(&c->ops, epoch);
	} else if (!in->gone && in->resv.log_bytes == 0) {
		rc2 =
		    heap_reserve(cont->pool->heap, 1, in->heap_bytes, HEAP_RESV_RECLAIM, &in->resv);
		if (rc2 != 0)
			log_warn("pool %s: no room held for the commit of an intent: " ERR_F,
				 cont->pool->name, ERR_P(rc2));
	}
	vos_ops_fini(&c->ops);
	return rc;
}

static int co_fn
commit_one(struct vos_cont *cont, const struct vos_dtx_ref *ref, bool wait)
{
	struct heap *heap = cont->pool->heap;
	struct commit c = {0};
	uint64_t epoch;
	int rc, rc2;

	do {
		rc = vos_cont_check(cont);
		if (rc != 0)
			return rc;
		c.in = vos_intent_find(cont, &ref->id);
		if (c.in == NULL) {
			do
				rc = commit_known(cont, ref);
			while (heap_retry(heap, &rc));
			rc2 = wait ? heap_wait_durable(heap, heap_last_lsn(heap)) : 0;
			return rc2 != 0 ? rc2 : rc;
		}
		if (vos_dtx_try_cmp(c.in->ref.map_ver, c.in->ref.attempt, ref->map_ver,
				    ref->attempt) != 0)
			return -DER_MISMATCH;
		epoch = ref->epoch != 0 ? ref->epoch : c.in->ref.epoch;
		if (epoch < c.in->ref.epoch || epoch == UINT64_MAX)
			return -DER_INVAL;
		vos_intent_get(c.in);
		rc = commit_intent(cont, &c, epoch, wait);
		vos_intent_put(cont, c.in);
	} while (rc == -DER_AGAIN);
	return rc;
}

int co_fn
vos_dtx_commit(struct vos_cont *cont, const struct vos_dtx_ref *ref)
{
	int rc;

	cont->refs++;
	rc = commit_one(cont, ref, true);
	vos_cont_close(cont);
	return rc;
}

int co_fn
vos_dtx_commit_batch(struct vos_cont *cont, const struct vos_dtx_ref *refs, uint32_t nr,
		     int *ret_rc)
{
	struct heap *heap = cont->pool->heap;
	uint32_t i;
	int rc;

	cont->refs++;
	for (i = 0; i < nr; i++)
		ret_rc[i] = commit_one(cont, &refs[i], false);
	rc = heap_wait_durable(heap, heap_last_lsn(heap));
	vos_cont_close(cont);
	return rc;
}

struct abort {
	const struct vos_dtx_ref *ref;
	struct decided decided;
};

static int
abort_tx(struct vos_tx *t, void *arg)
{
	struct abort *a = arg;
	struct vos_intent *in = vos_intent_find(t->cont, &a->ref->id);
	struct vos_dtx_df df;
	bool below;
	int c, rc;

	rc = record_get(t->cont, &a->ref->id, &df);
	if (rc != 0)
		return rc;
	rc = vos_opid_known(t->cont, a->ref->id.client, a->ref->id.seq);
	if (rc != 0 && rc != -DER_STALE)
		return rc == -DER_ALREADY ? -DER_MISMATCH : rc;
	below = rc == -DER_STALE; /* refused whatever is recorded */
	c = vos_dtx_try_cmp(df.map_ver, df.attempt, a->ref->map_ver, a->ref->attempt);
	if ((df.state == VOS_DTX_PREPARED && c > 0) || (df.state == VOS_DTX_ABORTED && c >= 0) ||
	    (df.state == VOS_DTX_UNKNOWN && below))
		return 0;
	if (df.state == VOS_DTX_PREPARED) {
		if (in == NULL)
			return -DER_CSUM;
		rc = intent_drop(t, in);
		if (rc != 0)
			return rc;
		decided_add(t, &a->decided, in);
	}
	if (below)
		return record_del(t, &a->ref->id);
	df = (struct vos_dtx_df){
	    .epoch = df.epoch,
	    .map_ver = a->ref->map_ver,
	    .attempt = a->ref->attempt,
	    .low_seq = df.low_seq,
	    .state = VOS_DTX_ABORTED,
	};
	return record_set(t, &a->ref->id, &df);
}

int co_fn
vos_dtx_abort(struct vos_cont *cont, const struct vos_dtx_ref *ref)
{
	struct abort a = {.ref = ref};
	struct vos_tx_args args = {
	    .pool = cont->pool,
	    .cont = cont,
	    .log_bytes = RECORD_LOG + 8192,
	    .heap_bytes = RECORD_HEAP,
	    .flags = HEAP_RESV_RECLAIM,
	    .fn = abort_tx,
	    .arg = &a,
	    .wait = true,
	};
	int rc;

	rc = vos_cont_check(cont);
	if (rc != 0)
		return rc;
	cont->refs++;
	rc = vos_tx_run(&args);
	vos_cont_close(cont);
	return rc;
}
