/*
 * Order between operations; vos_order.h says what is checked.
 *
 * Writes: three things can stand above an epoch. Read timestamps (vos_ts.c). Committed changes: for
 * an update the newest version of each extent or value it writes and the newest punches above it;
 * for a punch the newest change of anything beneath too. Intents (vos_intent.c). All are looked at,
 * so that the answer names an epoch that is above all of them.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_order.h"
#include "store/vos/vos_update.h"

struct check {
	const struct vos_cont *cont;
	const struct vos_order *order;
	uint64_t epoch;
	uint64_t owner;
	uint64_t min; /* lowest epoch that would do */
	bool blocked; /* by an intent */
	const struct vos_key *akey;
	const daos_iod_t *iod;
};

static uint32_t
order_flags(const struct vos_order *order)
{
	return order == NULL ? 0 : order->flags;
}

uint64_t
vos_order_owner(struct vos_cont *cont, const struct vos_order *order)
{
	if (order == NULL)
		return 0;
	return order->self != NULL ? vos_ts_owner(order->self) : ++cont->pool->owner_seq << 1;
}

void
vos_order_begin(const struct vos_order *order)
{
	if (order != NULL && order->conflict != NULL)
		*order->conflict = (struct vos_conflict){0};
}

static bool
passed_over(const struct vos_order *order, const struct vos_dtx_id *id)
{
	uint32_t i;

	if (order == NULL)
		return false;
	if (order->self != NULL && vos_dtx_id_cmp(order->self, id) == 0)
		return true;
	for (i = 0; i < order->ignore_nr; i++)
		if (vos_dtx_id_cmp(&order->ignore[i], id) == 0)
			return true;
	return false;
}

/* An intent must be decided first. */
static void
blocked_by(struct check *c, const struct vos_dtx_ref *ref)
{
	struct vos_conflict *out = c->order == NULL ? NULL : c->order->conflict;
	uint32_t i;

	c->blocked = true;
	for (i = 0; out != NULL && i < out->dtx_nr; i++)
		if (vos_dtx_id_cmp(&out->dtx[i].id, &ref->id) == 0)
			return;
	if (out != NULL && out->dtx_nr < VOS_CONFLICT_MAX)
		out->dtx[out->dtx_nr++] = *ref;
	else if (out != NULL)
		out->more = true;
}

/* --- reads -------------------------------------------------------------------------------------
 */

static bool
read_meets(const struct vos_touch *touch, void *arg)
{
	const struct vos_dtx_ref *ref = &touch->intent->ref;
	struct check *c = arg;

	if (ref->epoch <= c->epoch && !passed_over(c->order, &ref->id))
		blocked_by(c, ref);
	return true;
}

static void
read_scope(struct check *c, const struct vos_scope *scope)
{
	if (order_flags(c->order) & VOS_ORDER_READ)
		vos_ts_read((struct vos_cont *)c->cont, scope, c->epoch, c->owner);
	if ((order_flags(c->order) & VOS_ORDER_IGNORE) == 0)
		vos_intents_overlap(c->cont, scope, read_meets, c);
}

int
vos_order_read(const struct vos_cont *cont, const struct vos_scope *scope, uint64_t epoch,
	       const struct vos_order *order)
{
	struct check c = {.cont = cont, .order = order, .epoch = epoch};

	if (epoch == UINT64_MAX && (order_flags(order) & VOS_ORDER_READ))
		return -DER_INVAL;
	c.owner = order == NULL ? 0 : vos_ts_owner(order->self);
	read_scope(&c, scope);
	return c.blocked ? -DER_INPROGRESS : 0;
}

/* --- what is committed
 * ----------------------------------------------------------------------------- */

static void
stay_above(struct check *c, uint64_t epoch)
{
	if (epoch >= c->min)
		c->min = epoch + 1;
}

static int
above_punches(struct check *c, struct heap *heap, const struct vos_krec *k)
{
	const struct vos_punches_df *list;
	int rc;

	rc = vos_punches_get(heap, k, &list);
	if (rc == 0 && list != NULL)
		stay_above(c, vos_punch_newest(list).epoch);
	return rc;
}

static int
above_extent(struct check *c, struct heap *heap, const struct vos_krec *k, const daos_recx_t *recx)
{
	uint64_t end = recx->rx_idx + recx->rx_nr;
	struct vos_seg_iter it;
	struct vos_seg seg;
	int rc;

	rc = vos_seg_iter_init(&it, heap, k);
	if (rc == 0)
		rc = vos_seg_iter_seek(&it, BTREE_LE, recx->rx_idx);
	if (rc == -DER_NONEXIST)
		rc = vos_seg_iter_seek(&it, BTREE_GT, recx->rx_idx);
	while (rc == 0) {
		rc = vos_seg_iter_get(&it, &seg);
		if (rc != 0 || seg.start >= end)
			break;
		if (seg.start + seg.df.len > recx->rx_idx)
			stay_above(c, seg.df.ver.epoch);
		rc = vos_seg_iter_next(&it);
	}
	vos_seg_iter_fini(&it);
	return rc == -DER_NONEXIST ? 0 : rc;
}

static int
above_iod(struct check *c, struct heap *heap, uint64_t dkey, enum btree_kind kind,
	  const struct vos_key *name, const daos_iod_t *iod)
{
	struct vos_krec k;
	struct vos_sv sv;
	uint64_t akey;
	uint32_t i;
	int rc;

	rc = vos_child_find(heap, dkey, VOS_KEY_DKEY, kind, name, &akey);
	if (rc != 0 || akey == 0)
		return rc;
	rc = vos_krec_get(heap, akey, VOS_KEY_AKEY, &k);
	if (rc != 0 || k.chg_epoch < c->min)
		return rc;
	rc = above_punches(c, heap, &k);
	if (rc != 0 || k.child == 0)
		return rc;
	if (k.tag == VOS_CHILD_SV) {
		rc = vos_sv_get(heap, &k, k.child, &sv);
		if (rc == 0)
			stay_above(c, sv.epoch);
		return rc;
	}
	/* the wrong kind of value: applying it will say so */
	for (i = 0; rc == 0 && iod->iod_type == DAOS_IOD_ARRAY && i < iod->iod_nr; i++)
		rc = above_extent(c, heap, &k, &iod->iod_recxs[i]);
	return rc;
}

static int
above_update(struct check *c, struct vos_tx *t, const struct vos_update *up)
{
	const struct vos_io *io = &up->io;
	struct vos_krec k;
	uint64_t obj, dkey;
	uint32_t i;
	int rc;

	rc = vos_path_find(t->cont, &io->oid, &up->dkey, &obj, &dkey);
	if (rc != 0 || obj == 0)
		return rc;
	rc = vos_krec_get(t->heap, obj, VOS_KEY_OBJ, &k);
	if (rc == 0 && k.chg_epoch < c->min)
		return 0;
	if (rc == 0)
		rc = above_punches(c, t->heap, &k);
	if (rc != 0 || dkey == 0)
		return rc;
	rc = vos_krec_get(t->heap, dkey, VOS_KEY_DKEY, &k);
	if (rc == 0 && k.chg_epoch < c->min)
		return 0;
	if (rc == 0)
		rc = above_punches(c, t->heap, &k);
	for (i = 0; rc == 0 && i < io->iod_nr; i++)
		rc = above_iod(c, t->heap, dkey, vos_akey_kind(io->oid.id), &up->iods[i].akey,
			       &io->iods[i]);
	return rc;
}

static int
above_punch(struct check *c, struct vos_tx *t, const struct vos_punch *p)
{
	enum btree_kind kind = vos_akey_kind(p->oid.id);
	struct vos_krec k;
	uint64_t obj, dkey = 0, akey;
	uint32_t i;
	int rc;

	if (p->dkey.buf != NULL)
		rc = vos_path_find(t->cont, &p->oid, &p->dkey, &obj, &dkey);
	else
		rc = vos_obj_find(t->cont, &p->oid, &obj);
	if (rc != 0 || obj == 0)
		return rc;
	rc = vos_krec_get(t->heap, obj, VOS_KEY_OBJ, &k);
	if (rc != 0 || p->dkey.buf == NULL) {
		if (rc == 0)
			stay_above(c, k.chg_epoch);
		return rc;
	}
	rc = above_punches(c, t->heap, &k);
	if (rc != 0 || dkey == 0)
		return rc;
	rc = vos_krec_get(t->heap, dkey, VOS_KEY_DKEY, &k);
	if (rc != 0 || p->akey_nr == 0) {
		if (rc == 0)
			stay_above(c, k.chg_epoch);
		return rc;
	}
	rc = above_punches(c, t->heap, &k);
	for (i = 0; rc == 0 && i < p->akey_nr; i++) {
		rc = vos_child_find(t->heap, dkey, VOS_KEY_DKEY, kind, &p->akeys[i], &akey);
		if (rc != 0 || akey == 0)
			continue;
		rc = vos_krec_get(t->heap, akey, VOS_KEY_AKEY, &k);
		if (rc == 0)
			stay_above(c, k.chg_epoch);
	}
	return rc;
}

/* --- writes
 * -------------------------------------------------------------------------------------------- */

static bool
write_meets(const struct vos_touch *touch, void *arg)
{
	const struct vos_dtx_ref *ref = &touch->intent->ref;
	struct check *c = arg;

	if (ref->epoch >= c->min && !passed_over(c->order, &ref->id))
		stay_above(c, ref->epoch);
	return true;
}

static void
write_scope(struct check *c, const struct vos_scope *scope)
{
	uint64_t min;

	min = vos_ts_write(c->cont, scope, c->epoch, c->owner);
	if (min > c->min)
		c->min = min;
	if ((order_flags(c->order) & VOS_ORDER_IGNORE) == 0)
		vos_intents_overlap(c->cont, scope, write_meets, c);
}

static struct vos_scope
iod_scope(const struct vos_update *up, uint32_t i, bool extents)
{
	const daos_iod_t *iod = &up->io.iods[i];
	bool array = extents && iod->iod_type == DAOS_IOD_ARRAY;

	return (struct vos_scope){
	    .oid = &up->io.oid,
	    .dkey = &up->dkey,
	    .akey = &up->iods[i].akey,
	    .recx = array ? iod->iod_recxs : NULL,
	    .recx_nr = array ? iod->iod_nr : 0,
	};
}

static struct vos_scope
punch_scope(const struct vos_punch *p, uint32_t i)
{
	return (struct vos_scope){
	    .oid = &p->oid,
	    .dkey = p->dkey.buf != NULL ? &p->dkey : NULL,
	    .akey = p->akey_nr != 0 ? &p->akeys[i] : NULL,
	};
}

static int
write_update(struct check *c, struct vos_tx *t, const struct vos_update *up)
{
	uint32_t i;

	for (i = 0; i < up->io.iod_nr; i++) {
		struct vos_scope scope = iod_scope(up, i, true);

		if (up->iods[i].piece_nr != 0)
			write_scope(c, &scope);
	}
	return above_update(c, t, up);
}

static int
write_punch(struct check *c, struct vos_tx *t, const struct vos_punch *p)
{
	uint32_t i = 0;

	do {
		struct vos_scope scope = punch_scope(p, i);

		write_scope(c, &scope);
	} while (++i < p->akey_nr);
	return above_punch(c, t, p);
}

/* --- conditions, and what only an undecided intent can tell
 * ---------------------------------------------- */

static void
update_conditions(struct check *c, const struct vos_update *up)
{
	struct vos_scope scope = {.oid = &up->io.oid, .dkey = &up->dkey};
	uint32_t i;

	if (up->io.cond_flags & (DAOS_COND_DKEY_INSERT | DAOS_COND_DKEY_UPDATE))
		read_scope(c, &scope);
	for (i = 0; i < up->io.iod_nr; i++) {
		scope = iod_scope(up, i, false);
		if (vos_update_akey_cond(&up->io, i) != 0)
			read_scope(c, &scope);
	}
}

static void
punch_conditions(struct check *c, const struct vos_punch *p)
{
	uint32_t i = 0;

	do {
		struct vos_scope scope = punch_scope(p, i);

		if (p->cond_flags & DAOS_COND_PUNCH)
			read_scope(c, &scope);
	} while (++i < p->akey_nr);
}

/* Whether an akey is a value or an array, and of which records, must not be in doubt: its commit
 * could fail. */
static bool
kind_meets(const struct vos_touch *touch, void *arg)
{
	struct check *c = arg;
	const daos_iod_t *iod = c->iod;

	if (touch->punch || touch->akey.buf == NULL ||
	    (order_flags(c->order) & VOS_ORDER_IGNORE) != 0 ||
	    passed_over(c->order, &touch->intent->ref.id))
		return true;
	if (touch->iod_type != iod->iod_type ||
	    (iod->iod_type == DAOS_IOD_ARRAY && touch->rec_size != 0 && iod->iod_size != 0 &&
	     touch->rec_size != iod->iod_size))
		blocked_by(c, &touch->intent->ref);
	return true;
}

static void
update_kinds(struct check *c, const struct vos_update *up)
{
	uint32_t i;

	for (i = 0; i < up->io.iod_nr; i++) {
		struct vos_scope scope = iod_scope(up, i, false);

		c->iod = &up->io.iods[i];
		vos_intents_overlap(c->cont, &scope, kind_meets, c);
	}
}

/* --- operations
 * ------------------------------------------------------------------------------------------- */

int
vos_order_ops(struct vos_tx *t, const struct vos_ops *ops, const struct vos_order *order)
{
	struct check c = {
	    .cont = t->cont,
	    .order = order,
	    .epoch = t->ord.epoch,
	    .owner = ops->owner,
	    .min = t->ord.epoch,
	};
	const struct vos_ops_one *one;
	uint32_t i;
	int rc = 0;

	if (!vos_order_needed(t->cont, order))
		return 0;
	vos_order_begin(order);
	for (i = 0; rc == 0 && i < ops->nr && (order_flags(order) & VOS_ORDER_WRITE); i++) {
		one = &ops->one[i];
		rc = one->up != NULL ? write_update(&c, t, one->up)
				     : write_punch(&c, t, &one->punch);
	}
	if (rc != 0)
		return rc;
	if (t->cont->df->agg_epoch >= c.min)
		c.min = t->cont->df->agg_epoch + 1;
	if (c.min > c.epoch) {
		if (order != NULL && order->conflict != NULL)
			order->conflict->min_epoch = c.min;
		return -DER_TX_RESTART;
	}
	for (i = 0; i < ops->nr; i++) {
		one = &ops->one[i];
		if (one->up == NULL) {
			punch_conditions(&c, &one->punch);
		} else {
			update_conditions(&c, one->up);
			update_kinds(&c, one->up);
		}
	}
	return c.blocked ? -DER_INPROGRESS : 0;
}

int
vos_order_update(struct vos_tx *t, struct vos_update *up)
{
	struct vos_ops_one one = {.up = up};
	struct vos_ops ops = {.cont = t->cont, .one = &one, .nr = 1, .owner = up->owner};

	return vos_order_ops(t, &ops, up->io.order);
}

int
vos_order_punch(struct vos_tx *t, struct vos_punch *p)
{
	struct vos_ops_one one = {.punch = *p};
	struct vos_ops ops = {.cont = t->cont, .one = &one, .nr = 1};

	return vos_order_ops(t, &ops, NULL);
}
