/*
 * Random transactions on VOS and on the reference model: prepared, moved, committed (late, or later
 * than prepared), aborted, done at once; restarts, aggregation and discarding in between. Every now
 * and then all changes of a range of epochs are done in another container, which must then read the
 * same. At the end each condition that held when it was checked must hold still.
 *
 * VOS_SEED=n runs one seed, VOS_SEEDS=n so many, VOS_STEPS=n steps of each.
 */
#include "store/vos/test_vos_util.h"

#include <inttypes.h>

#include "store/vos/vos_model.h"

enum {
	OPS_MAX = 3,
	PENDING_MAX = 12,
	DONE_MAX = 4000,
	LAG = 8,
	STEPS = 260,
#if defined(__SANITIZE_ADDRESS__)
	SEEDS = 3,
#else
	SEEDS = 12,
#endif
};

struct txn {
	struct vos_dtx_ref ref;
	struct vm_op op[OPS_MAX];
	uint32_t nr;
};

struct run {
	struct tpool t;
	struct vm_rng rng;
	struct vm_model *model;
	struct vos_cont *cont;
	uint64_t now, below, seq;
	struct txn pending[PENDING_MAX];
	uint32_t pending_nr;
	struct txn *done; /* committed */
	uint32_t done_nr;
	struct vos_cont_conf conf;
	uint32_t step;
	/* how often it came to what */
	uint32_t prepared, refused, waited, committed, replays, discards;
};

static const uuid_t cont_uuid = {0xc3}, copy_uuid = {0xc4};

#define rnd(r, n) vm_below(&(r)->rng, n)

/* --- transactions ---------------------------------------------------------------------------- */

static void
txn_random(struct run *r, struct txn *t)
{
	uint32_t i;

	t->nr = 1 + rnd(r, OPS_MAX);
	t->ref = (struct vos_dtx_ref){
	    .id = {.client = {1, 2}, .seq = ++r->seq},
	    .map_ver = 3,
	    .attempt = 1,
	    .epoch = r->now - rnd(r, LAG),
	};
	if (t->ref.epoch <= r->below)
		t->ref.epoch = r->below + 1;
	for (i = 0; i < t->nr; i++)
		vm_op_random(&r->rng, t->ref.epoch, rnd(r, 6) ? 300 : 9000, &t->op[i]);
}

static void
txn_epoch(struct txn *t, uint64_t epoch)
{
	uint32_t i;

	t->ref.epoch = epoch;
	for (i = 0; i < t->nr; i++) {
		t->op[i].epoch = epoch;
		t->op[i].op_nr = i + 1;
	}
}

/* What its conditions say to this model; each operation sees those before. */
static int
txn_expect(const struct vm_model *m, const struct txn *t)
{
	struct vm_model *c = vm_clone(m);
	uint32_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < t->nr; i++) {
		rc = vm_expect(c, &t->op[i]);
		if (rc == 0)
			vm_apply(c, &t->op[i]);
	}
	vm_destroy(c);
	return rc;
}

static void
txn_done(struct run *r, const struct txn *t)
{
	uint32_t i;

	for (i = 0; i < t->nr; i++)
		vm_apply(r->model, &t->op[i]);
	if (t->ref.epoch > r->now)
		r->now = t->ref.epoch;
	r->done[r->done_nr++] = *t;
	r->committed++;
}

static void
pending_del(struct run *r, uint32_t i)
{
	r->pending[i] = r->pending[--r->pending_nr];
}

static bool
conditional(const struct txn *t)
{
	uint32_t i;

	for (i = 0; i < t->nr; i++)
		if (t->op[i].cond != 0)
			return true;
	return false;
}

static int co_fn
commit(struct run *r, uint32_t i)
{
	struct txn t = r->pending[i];
	struct vos_dtx_ref ref = t.ref;
	int rc;

	ref.epoch = 0;
	/* later than it was prepared for: only what depends on nothing, and is above all others */
	if (!conditional(&t) && rnd(r, 6) == 0) {
		ref.epoch = ++r->now;
		txn_epoch(&t, ref.epoch);
	}
	if (rnd(r, 2)) {
		check_rc(vos_dtx_commit(r->cont, &ref), 0);
	} else {
		check_rc(vos_dtx_commit_batch(r->cont, &ref, 1, &rc), 0);
		check_rc(rc, 0);
	}
	txn_done(r, &t);
	pending_del(r, i);
	if (rnd(r, 8) == 0)
		check_rc(vos_dtx_commit(r->cont, &ref), 0);
	return 0;
}

static int co_fn
decide(struct run *r, uint32_t i)
{
	if (rnd(r, 3) != 0)
		return commit(r, i);
	check_rc(vos_dtx_abort(r->cont, &r->pending[i].ref), 0);
	pending_del(r, i);
	return 0;
}

/* Decide one of those that are in the way. */
static int co_fn
decide_one_of(struct run *r, const struct vos_conflict *c)
{
	uint32_t i, j;

	check(c->dtx_nr > 0);
	for (i = 0; i < c->dtx_nr; i++)
		for (j = 0; j < r->pending_nr; j++)
			if (r->pending[j].ref.id.seq == c->dtx[i].id.seq) {
				check(r->pending[j].ref.epoch == c->dtx[i].epoch);
				return decide(r, j);
			}
	check(!"an intent that is not there");
	return 0;
}

/* Prepare it, or do it at once; in the end it is there, or a condition said no. */
static int co_fn
txn_begin(struct run *r, struct txn *t, bool at_once, int *ret_rc)
{
	struct vm_built *built[OPS_MAX];
	struct vos_op ops[OPS_MAX];
	struct vos_conflict c;
	struct vos_order order = {
	    .flags = VOS_ORDER_READ | VOS_ORDER_WRITE, .self = &t->ref.id, .conflict = &c};
	struct vos_opid opid = {.client = {1, 2}, .seq = t->ref.id.seq, .low_seq = 1};
	uint32_t i, restarts = 0;
	int rc;

	txn_epoch(t, t->ref.epoch);
	for (i = 0; i < t->nr; i++) {
		check_rc(vm_build(r->cont, &t->op[i], &built[i]), 0);
		ops[i] = *vm_built_op(built[i]);
	}
	for (;;) {
		int want = txn_expect(r->model, t);

		if (at_once)
			rc = vos_apply(r->cont, t->ref.epoch, ops, t->nr, &opid, &order);
		else
			rc = vos_dtx_prepare(r->cont, &t->ref, 1, "abc", 3, ops, t->nr, &c);
		if (rc == -DER_TX_RESTART) {
			/* the epoch it names is above everything there is */
			check(c.min_epoch > t->ref.epoch && ++restarts < 20);
			t->ref.attempt++;
			txn_epoch(t, c.min_epoch);
			r->refused++;
			continue;
		}
		if (rc == -DER_INPROGRESS) {
			r->waited++;
			check_rc(decide_one_of(r, &c), 0);
			continue;
		}
		check_rc(rc, want);
		break;
	}
	if (t->ref.epoch > r->now)
		r->now = t->ref.epoch;
	for (i = 0; i < t->nr; i++) {
		if (ops[i].kind == VOS_OP_UPDATE)
			vos_update_cancel(ops[i].up);
		vm_built_free(built[i]);
	}
	*ret_rc = rc;
	return 0;
}

static int co_fn
do_prepare(struct run *r)
{
	struct txn t;
	int rc;

	if (r->pending_nr == PENDING_MAX)
		return decide(r, rnd(r, r->pending_nr));
	txn_random(r, &t);
	check_rc(txn_begin(r, &t, false, &rc), 0);
	if (rc == 0) {
		r->pending[r->pending_nr++] = t;
		r->prepared++;
	}
	return 0;
}

static int co_fn
do_apply(struct run *r)
{
	struct txn t;
	int rc;

	txn_random(r, &t);
	check_rc(txn_begin(r, &t, true, &rc), 0);
	if (rc == 0)
		txn_done(r, &t);
	return 0;
}

static int co_fn
do_move(struct run *r)
{
	uint32_t i = rnd(r, r->pending_nr);
	struct txn *t = &r->pending[i];
	struct vos_dtx_ref to = t->ref;
	struct vos_conflict c;
	struct txn moved = *t;
	int rc;

	to.attempt++;
	to.epoch += rnd(r, LAG);
	txn_epoch(&moved, to.epoch);
	rc = vos_dtx_move(r->cont, &t->ref, &to, &c);
	if (rc == -DER_TX_RESTART || rc == -DER_INPROGRESS)
		return 0;
	check_rc(rc, txn_expect(r->model, &moved));
	if (rc != 0)
		return 0;
	if (to.epoch > r->now)
		r->now = to.epoch;
	moved.ref = to;
	*t = moved;
	return 0;
}

/* --- the rest of the scenario -------------------------------------------------------------------
 */

static int co_fn
compare(struct run *r, uint64_t epoch, uint32_t obj)
{
	int rc = vm_compare(r->model, r->cont, epoch, obj, &r->rng, false);

	if (rc == -DER_TX_RESTART && epoch < r->below)
		return 0;
	check_rc(rc, 0);
	return 0;
}

static int co_fn
do_restart(struct run *r)
{
	struct vos_dtx_info info;
	uint32_t i;

	vos_pool_settle(r->t.pool);
	check_rc(vos_pool_verify(r->t.pool), 0);
	vos_cont_close(r->cont);
	vos_pool_close(r->t.pool);
	/* what was read until now is not known any more */
	r->t.conf.ts_floor = r->now;
	check_rc(vos_pool_open(r->t.dir, r->t.xs, &r->t.conf, &r->t.pool), 0);
	check_rc(vos_cont_open(r->t.pool, cont_uuid, &r->cont), 0);
	check_rc(vos_pool_verify(r->t.pool), 0);
	for (i = 0; i < r->pending_nr; i++) {
		check_rc(vos_dtx_status(r->cont, &r->pending[i].ref.id, &info), 0);
		check(info.state == VOS_DTX_PREPARED);
		check(memcmp(&info.ref, &r->pending[i].ref, sizeof(info.ref)) == 0);
	}
	for (i = 0; i < 3 && r->done_nr != 0; i++) {
		check_rc(vos_dtx_status(r->cont, &r->done[rnd(r, r->done_nr)].ref.id, &info), 0);
		check(info.state == VOS_DTX_COMMITTED);
	}
	return 0;
}

static int co_fn
do_aggregate(struct run *r)
{
	uint64_t below = r->now - rnd(r, 60);
	uint64_t oldest = vos_dtx_oldest(r->cont);
	bool more;

	if (below <= r->below)
		return 0;
	do
		check_rc(vos_aggregate(r->cont, below, NULL, 0, 1000000, &more), 0);
	while (more);
	if (oldest <= below)
		below = oldest - 1;
	if (below > r->below)
		r->below = below;
	return 0;
}

static int co_fn
do_discard(struct run *r)
{
	uint64_t above = r->now - rnd(r, 40);
	uint32_t i;
	bool more;

	if (above < r->below)
		above = r->below;
	if (above == 0)
		return 0;
	do
		check_rc(vos_discard(r->cont, NULL, above, rnd(r, 2) * 50000, &more), 0);
	while (more);
	vm_cut(r->model, above);
	for (i = 0; i < r->pending_nr;) {
		struct vos_dtx_info info;

		if (r->pending[i].ref.epoch <= above) {
			i++;
			continue;
		}
		check_rc(vos_dtx_status(r->cont, &r->pending[i].ref.id, &info), 0);
		check(info.state == VOS_DTX_ABORTED);
		pending_del(r, i);
	}
	for (i = 0; i < r->done_nr;) {
		if (r->done[i].ref.epoch <= above)
			i++;
		else
			r->done[i] = r->done[--r->done_nr];
	}
	r->discards++;
	check_rc(compare(r, UINT64_MAX, VM_OBJS), 0);
	check_rc(vos_pool_verify(r->t.pool), 0);
	return 0;
}

/* --- meeting intents
 * ------------------------------------------------------------------------------ */

static bool
op_covers(const struct vm_op *op, uint32_t obj, uint32_t dkey, uint32_t akey,
	  const daos_recx_t *recx)
{
	uint32_t i, j;

	if (op->obj != obj)
		return false;
	if (op->kind == VM_PUNCH_OBJ)
		return true;
	if (op->dkey != dkey)
		return false;
	if (op->kind == VM_PUNCH_DKEY)
		return true;
	for (i = 0; i < op->iod_nr; i++) {
		const struct vm_iod *iod = &op->iod[i];

		if (iod->akey != akey)
			continue;
		if (op->kind == VM_PUNCH_AKEYS || akey < 2)
			return true;
		for (j = 0; j < iod->recx_nr; j++)
			if (iod->recx[j].rx_idx < recx->rx_idx + recx->rx_nr &&
			    recx->rx_idx < iod->recx[j].rx_idx + iod->recx[j].rx_nr)
				return true;
	}
	return false;
}

static int co_fn
do_meet(struct run *r)
{
	uint32_t obj = rnd(r, VM_OBJS), dkey = rnd(r, VM_DKEYS), akey = rnd(r, VM_AKEYS), i, j;
	daos_recx_t recx = {.rx_idx = rnd(r, 3000), .rx_nr = 1 + rnd(r, 100)};
	uint64_t epoch = rnd(r, 2) ? UINT64_MAX : r->now - rnd(r, 30), seen = 0;
	struct vos_conflict c = {0};
	struct vos_order order = {.conflict = &c};
	int rc;

	if (epoch < r->below)
		epoch = r->below + 1;
	rc = vm_fetch_order(r->cont, obj, dkey, akey, akey < 2 ? NULL : &recx, epoch, &order);
	for (i = 0; i < r->pending_nr; i++) {
		bool hit = false;

		for (j = 0; j < r->pending[i].nr; j++)
			hit = hit || op_covers(&r->pending[i].op[j], obj, dkey, akey, &recx);
		seen += hit && r->pending[i].ref.epoch <= epoch;
	}
	if (seen == 0) {
		check_rc(rc, 0);
		return 0;
	}
	check_rc(rc, -DER_INPROGRESS);
	check(c.dtx_nr == (seen < VOS_CONFLICT_MAX ? seen : VOS_CONFLICT_MAX));
	check(c.more == (seen > VOS_CONFLICT_MAX));
	return 0;
}

/* --- doing the changes elsewhere
 * -------------------------------------------------------------------- */

struct item {
	struct vos_oid oid;
	uint8_t *key;
	uint32_t len;
	struct vos_epoch_op *punch;
	uint32_t punch_nr;
	struct vos_change change; /* values; pointers in it are not good */
};

struct items {
	struct run *r;
	struct item *v;
	uint32_t nr, cap;
	bool single, array;
};

static int
item_cb(const struct vos_change *change, void *arg)
{
	struct items *l = arg;
	struct item *it;

	if (rnd(l->r, 4) == 0)
		return 1;
	if (l->nr == l->cap) {
		l->cap = l->cap * 2 + 8;
		l->v = realloc(l->v, l->cap * sizeof(*l->v));
		if (l->v == NULL)
			abort();
	}
	it = &l->v[l->nr++];
	*it = (struct item){.oid = change->oid,
			    .len = change->key_len,
			    .punch_nr = change->punch_nr,
			    .change = *change};
	it->key = malloc(change->key_len + 1);
	it->punch = malloc((change->punch_nr + 1) * sizeof(*it->punch));
	if (it->key == NULL || it->punch == NULL)
		abort();
	if (change->key_len != 0)
		memcpy(it->key, change->key, change->key_len);
	if (change->punch_nr != 0)
		memcpy(it->punch, change->punch, change->punch_nr * sizeof(*it->punch));
	return 0;
}

static void
items_fini(struct items *l)
{
	uint32_t i;

	for (i = 0; i < l->nr; i++) {
		free(l->v[i].key);
		free(l->v[i].punch);
	}
	free(l->v);
	l->v = NULL;
	l->nr = l->cap = 0;
}

static int co_fn
collect(struct run *r, const struct vos_changes *q, struct items *l)
{
	struct vos_anchor anchor = {0};
	uint32_t i;

	*l = (struct items){.r = r};
	while (anchor.state != 2)
		check_rc(vos_changes(r->cont, q, &anchor, item_cb, l), 0);
	/* any order will do */
	for (i = 1; i < l->nr; i++) {
		uint32_t j = rnd(r, i + 1);
		struct item it = l->v[i];

		l->v[i] = l->v[j];
		l->v[j] = it;
	}
	return 0;
}

static int co_fn
copy_punches(struct vos_cont *to, const struct item *it, const daos_key_t *dkey,
	     const daos_key_t *akey)
{
	uint32_t i;

	for (i = 0; i < it->punch_nr; i++) {
		struct vos_op op = {
		    .kind = VOS_OP_PUNCH,
		    .op_nr = it->punch[i].op,
		    .oid = it->oid,
		    .dkey = dkey,
		    .akeys = akey,
		    .akey_nr = akey != NULL,
		};

		check_rc(vos_apply(to, it->punch[i].epoch, &op, 1, NULL, NULL), 0);
	}
	return 0;
}

/* Copy the data of one version. */
static int co_fn
copy_data(struct vos_fetch *f, struct vos_update *up)
{
	const struct iovec *from, *to;
	uint32_t from_nr, to_nr, i = 0, j = 0;
	size_t a = 0, b = 0, n;

	from = vos_fetch_iov(f, 0, &from_nr);
	to = vos_update_iov(up, 0, &to_nr);
	while (i < from_nr && j < to_nr) {
		n = from[i].iov_len - a < to[j].iov_len - b ? from[i].iov_len - a
							    : to[j].iov_len - b;
		check(from[i].iov_base != NULL);
		memcpy((uint8_t *)to[j].iov_base + b, (uint8_t *)from[i].iov_base + a, n);
		a += n;
		b += n;
		if (a == from[i].iov_len)
			i++, a = 0;
		if (b == to[j].iov_len)
			j++, b = 0;
	}
	check(i == from_nr && j == to_nr);
	return 0;
}

static int co_fn
copy_version(struct run *r, struct vos_cont *to, const struct item *it, const daos_key_t *dkey,
	     const daos_key_t *akey)
{
	static const struct vos_order blind = {.flags = VOS_ORDER_IGNORE};
	const struct vos_change *ch = &it->change;
	daos_recx_t recx = ch->recx;
	daos_iod_t iod = {
	    .iod_name = *akey,
	    .iod_type = ch->single ? DAOS_IOD_SINGLE : DAOS_IOD_ARRAY,
	    .iod_size = ch->punched ? 0 : ch->rec_size,
	    .iod_nr = 1,
	    .iod_recxs = ch->single ? NULL : &recx,
	};
	struct vos_io io = {
	    .oid = it->oid,
	    .epoch = ch->at.epoch,
	    .op_nr = ch->at.op,
	    .dkey = dkey,
	    .iods = &iod,
	    .iod_nr = 1,
	    .order = &blind,
	};
	struct vos_update *up;
	struct vos_fetch *f;
	int rc = 0;

	check_rc(vos_update_begin(to, &io, &up), 0);
	if (!ch->punched) {
		check_rc(vos_fetch_begin(r->cont, &io, VOS_FETCH_VERSION, &f), 0);
		check(vos_fetch_size(f, 0) == ch->rec_size);
		rc = copy_data(f, up);
		vos_fetch_end(f);
	}
	check_rc(rc, 0);
	check_rc(vos_update_end(up), 0);
	return 0;
}

static int co_fn
copy_akey(struct run *r, struct vos_cont *to, const struct item *it, const daos_key_t *dkey,
	  struct vos_changes q)
{
	daos_key_t akey = {.iov_buf = it->key, .iov_buf_len = it->len, .iov_len = it->len};
	struct items values;
	uint32_t i;

	check_rc(copy_punches(to, it, dkey, &akey), 0);
	q.kind = it->change.single ? VOS_LIST_SINGLE : VOS_LIST_RECX;
	q.akey = &akey;
	check_rc(collect(r, &q, &values), 0);
	for (i = 0; i < values.nr; i++)
		check_rc(copy_version(r, to, &values.v[i], dkey, &akey), 0);
	items_fini(&values);
	return 0;
}

static int co_fn
copy_dkey(struct run *r, struct vos_cont *to, const struct item *it, struct vos_changes q)
{
	daos_key_t dkey = {.iov_buf = it->key, .iov_buf_len = it->len, .iov_len = it->len};
	struct items akeys;
	uint32_t i;

	check_rc(copy_punches(to, it, &dkey, NULL), 0);
	q.kind = VOS_LIST_AKEY;
	q.dkey = &dkey;
	check_rc(collect(r, &q, &akeys), 0);
	for (i = 0; i < akeys.nr; i++)
		check_rc(copy_akey(r, to, &akeys.v[i], &dkey, q), 0);
	items_fini(&akeys);
	return 0;
}

static int co_fn
copy_range(struct run *r, struct vos_cont *to, uint64_t lo, uint64_t hi)
{
	static const struct vos_order blind = {.flags = VOS_ORDER_IGNORE};
	struct vos_changes q = {.kind = VOS_LIST_OBJ, .lo = lo, .hi = hi, .order = &blind};
	struct items objs, dkeys;
	uint32_t i, j;

	check_rc(collect(r, &q, &objs), 0);
	for (i = 0; i < objs.nr; i++) {
		check_rc(copy_punches(to, &objs.v[i], NULL, NULL), 0);
		q.kind = VOS_LIST_DKEY;
		q.oid = objs.v[i].oid;
		check_rc(collect(r, &q, &dkeys), 0);
		for (j = 0; j < dkeys.nr; j++)
			check_rc(copy_dkey(r, to, &dkeys.v[j], q), 0);
		items_fini(&dkeys);
	}
	items_fini(&objs);
	return 0;
}

static int co_fn
do_replay(struct run *r)
{
	uint64_t mid = r->below + 1 + rnd(r, r->now - r->below + 1), old;
	struct vos_changes early = {.kind = VOS_LIST_OBJ, .lo = 1, .hi = UINT64_MAX};
	struct vos_anchor anchor = {0};
	struct items none = {.r = r};
	struct vos_cont *to;

	check_rc(vos_cont_create_with(r->t.pool, copy_uuid, &r->conf), 0);
	check_rc(vos_cont_open(r->t.pool, copy_uuid, &to), 0);
	check_rc(vos_cont_set_keep(to, 1, NULL, 0), 0);
	check_rc(copy_range(r, to, 0, mid), 0);
	check_rc(vm_compare(r->model, to, mid, VM_OBJS, NULL, false), 0);
	check_rc(copy_range(r, to, mid, UINT64_MAX), 0);
	check_rc(vm_compare(r->model, to, UINT64_MAX, VM_OBJS, NULL, false), 0);
	old = r->below + 1 + rnd(r, r->now - r->below + 1);
	check_rc(vm_compare(r->model, to, old, VM_OBJS, NULL, false), 0);
	/* again: nothing changes */
	check_rc(copy_range(r, to, old, UINT64_MAX), 0);
	check_rc(vm_compare(r->model, to, UINT64_MAX, VM_OBJS, NULL, false), 0);
	check_rc(vos_pool_verify(r->t.pool), 0);
	vos_cont_close(to);
	check_rc(vos_cont_destroy(r->t.pool, copy_uuid), 0);
	vos_pool_settle(r->t.pool);
	/* after an aggregation only everything can be had */
	if (r->below > 1 && r->pending_nr == 0)
		check_rc(vos_changes(r->cont, &early, &anchor, item_cb, &none), -DER_TX_RESTART);
	items_fini(&none);
	r->replays++;
	return 0;
}

/* --- a run
 * ------------------------------------------------------------------------------------------ */

static int co_fn
do_step(struct run *r)
{
	uint64_t dice = rnd(r, 1000);

	r->now += rnd(r, 3);
	if (dice < 420)
		return do_prepare(r);
	if (dice < 500)
		return do_apply(r);
	if (dice < 750)
		return r->pending_nr == 0 ? 0 : decide(r, rnd(r, r->pending_nr));
	if (dice < 790)
		return r->pending_nr == 0 ? 0 : do_move(r);
	if (dice < 890)
		return do_meet(r);
	if (dice < 960)
		return compare(r, rnd(r, 2) ? UINT64_MAX : 1 + rnd(r, r->now), rnd(r, VM_OBJS));
	if (dice < 970)
		return do_restart(r);
	if (dice < 980)
		return do_replay(r);
	return dice < 988 ? do_discard(r) : do_aggregate(r);
}

/* Each condition still holds, with all that is not newer, whenever it was committed. */
static int
check_conditions(const struct run *r)
{
	uint32_t i, j, k;

	for (i = 0; i < r->done_nr; i++) {
		const struct txn *t = &r->done[i];
		struct vm_model *m;

		if (!conditional(t))
			continue;
		m = vm_create();
		for (j = 0; j < r->done_nr; j++)
			for (k = 0; j != i && k < r->done[j].nr; k++)
				if (r->done[j].ref.epoch <= t->ref.epoch)
					vm_apply(m, &r->done[j].op[k]);
		check_rc(txn_expect(m, t), 0);
		vm_destroy(m);
	}
	return 0;
}

static int
run_main(void *arg)
{
	struct run *r = arg;
	struct tpool *t = &r->t;
	uint32_t steps = getenv("VOS_STEPS") != NULL ? atoi(getenv("VOS_STEPS")) : STEPS;

	r->model = vm_create();
	r->done = calloc(DONE_MAX, sizeof(*r->done));
	check(r->done != NULL);
	check_rc(vos_pool_create(t->dir, t->xs, &t->conf), 0);
	check_rc(vos_pool_open(t->dir, t->xs, &t->conf, &t->pool), 0);
	check_rc(vos_cont_create_with(t->pool, cont_uuid, &r->conf), 0);
	check_rc(vos_cont_open(t->pool, cont_uuid, &r->cont), 0);
	check_rc(vos_cont_set_keep(r->cont, 1, NULL, 0), 0);
	r->now = 100;
	for (r->step = 0; r->step < steps && r->done_nr < DONE_MAX - PENDING_MAX; r->step++)
		check_rc(do_step(r), 0);
	check_rc(compare(r, UINT64_MAX, VM_OBJS), 0);
	check_rc(do_replay(r), 0);
	while (r->pending_nr != 0)
		check_rc(decide(r, 0), 0);
	check_rc(compare(r, UINT64_MAX, VM_OBJS), 0);
	check_rc(check_conditions(r), 0);
	check_rc(do_restart(r), 0);
	vos_cont_close(r->cont);
	vos_pool_close(t->pool);
	vm_destroy(r->model);
	free(r->done);
	return 0;
}

static void
test_txns(void **state)
{
	const char *one = getenv("VOS_SEED"), *many = getenv("VOS_SEEDS");
	uint64_t first = one != NULL ? strtoull(one, NULL, 0) : 1, i;
	uint64_t nr = one != NULL ? 1 : many != NULL ? strtoull(many, NULL, 0) : SEEDS;

	for (i = first; i < first + nr; i++) {
		struct run r = {.rng.state = i << 32};

		tpool_init(&r.t, 32 << 20, rnd(&r, 4) ? 64 << 20 : 0);
		r.t.conf.scm_cache_bytes = rnd(&r, 3) ? 0 : 512 << 10;
		r.t.conf.data_thresh = rnd(&r, 2) ? 0 : 512;
		if (rnd(&r, 2)) {
			r.conf.csum_type = DAOS_PROP_CO_CSUM_CRC32;
			r.conf.csum_chunk = rnd(&r, 2) ? 1000 : 4096;
		}
		if (xs_call(r.t.xs, run_main, &r) != 0)
			fail_msg("VOS_SEED=%" PRIu64 ", step %u", i, r.step);
		if (one != NULL)
			print_message("%u prepared, %u refused, %u waited, %u committed, %u "
				      "replayed, %u discards\n",
				      r.prepared, r.refused, r.waited, r.committed, r.replays,
				      r.discards);
		tpool_fini(&r.t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_txns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
