/*
 * Punches of objects, dkeys and akeys: an epoch is added to the key's list; what it hides is
 * dropped in the background as far as no read needs it.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_order.h"

/* DAOS_COND_PUNCH: everything named must exist. */
static int
punch_conditions(struct vos_tx *t, const struct vos_punch *p)
{
	const struct vos_key *dkey_name = p->dkey.buf != NULL ? &p->dkey : NULL;
	enum btree_kind akind = vos_akey_kind(p->oid.id);
	struct vos_ord hidden = {0};
	struct vos_krec k;
	uint64_t obj, dkey = 0, akey;
	uint32_t i;
	int rc, seen;

	if (dkey_name != NULL)
		rc = vos_path_find(t->cont, &p->oid, dkey_name, &obj, &dkey);
	else
		rc = vos_obj_find(t->cont, &p->oid, &obj);
	if (rc == 0)
		rc = vos_readable(t->cont, t->ord.epoch, obj, dkey_name != NULL, dkey);
	if (rc != 0)
		return rc;
	if (obj == 0 || (dkey_name != NULL && dkey == 0))
		return -DER_NONEXIST;
	if (dkey_name == NULL) {
		seen = vos_obj_visible(t->heap, obj, vos_dkey_kind(p->oid.id), akind, t->ord.epoch);
		return seen < 0 ? seen : seen ? 0 : -DER_NONEXIST;
	}
	rc = vos_krec_get(t->heap, obj, VOS_KEY_OBJ, &k);
	if (rc == 0)
		rc = vos_hidden(t->heap, &k, t->ord.epoch, hidden, &hidden);
	if (rc != 0)
		return rc;
	if (p->akey_nr == 0) {
		seen = vos_dkey_visible(t->heap, dkey, akind, t->ord.epoch, hidden);
		return seen < 0 ? seen : seen ? 0 : -DER_NONEXIST;
	}
	rc = vos_krec_get(t->heap, dkey, VOS_KEY_DKEY, &k);
	if (rc == 0)
		rc = vos_hidden(t->heap, &k, t->ord.epoch, hidden, &hidden);
	for (i = 0; rc == 0 && i < p->akey_nr; i++) {
		rc = vos_child_find(t->heap, dkey, VOS_KEY_DKEY, akind, &p->akeys[i], &akey);
		if (rc != 0)
			return rc;
		seen = akey == 0 ? 0 : vos_akey_visible(t->heap, akey, t->ord.epoch, hidden);
		rc = seen < 0 ? seen : seen ? 0 : -DER_NONEXIST;
	}
	return rc;
}

static int
punch_akeys(struct vos_tx *t, const struct vos_punch *p, struct vos_path *path)
{
	uint32_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < p->akey_nr; i++) {
		path->akey_name = &p->akeys[i];
		rc = vos_akey_get(t, path);
		if (rc == 0)
			rc = vos_punch_add(t, path->akey, VOS_KEY_AKEY, t->ord);
		if (rc == 0)
			rc = vos_key_touch(t, path->akey, VOS_KEY_AKEY, 0, t->ord.epoch);
	}
	return rc;
}

int
vos_punch_apply(struct vos_tx *t, const struct vos_punch *p, bool check)
{
	struct vos_path path = {
	    .oid = &p->oid,
	    .dkey_name = p->dkey.buf != NULL ? &p->dkey : NULL,
	};
	int rc;

	if (check && (p->cond_flags & DAOS_COND_PUNCH) != 0) {
		rc = punch_conditions(t, p);
		if (rc != 0)
			return rc;
	}
	rc = vos_path_get(t, &path);
	if (rc != 0)
		return rc;
	if (path.dkey_name == NULL)
		rc = vos_punch_add(t, path.obj, VOS_KEY_OBJ, t->ord);
	else if (p->akey_nr == 0)
		rc = vos_punch_add(t, path.dkey, VOS_KEY_DKEY, t->ord);
	else
		rc = punch_akeys(t, p, &path);
	if (rc == 0 && path.dkey != 0)
		rc = vos_key_touch(t, path.dkey, VOS_KEY_DKEY, 0, t->ord.epoch);
	if (rc == 0)
		rc = vos_key_touch(t, path.obj, VOS_KEY_OBJ, 0, t->ord.epoch);
	return rc;
}

/* A punch by itself. */
struct punch_op {
	struct vos_punch p;
	const struct vos_opid *opid;
};

static int
punch_tx(struct vos_tx *t, void *arg)
{
	struct punch_op *op = arg;
	int rc;

	if (op->opid != NULL) {
		rc = vos_opid_record(t, op->opid);
		if (rc != 0)
			return rc;
	}
	if (vos_order_needed(t->cont, NULL)) {
		rc = vos_order_punch(t, &op->p);
		if (rc != 0)
			return rc;
	}
	if (t->ord.epoch <= t->cont->df->agg_epoch)
		return -DER_TX_RESTART;
	return vos_punch_apply(t, &op->p, true);
}

int
vos_punch_check(struct vos_punch *p, const daos_key_t *dkey, const daos_key_t *akeys,
		uint32_t akey_nr)
{
	uint32_t i;
	int rc;

	if (dkey == NULL)
		return akey_nr == 0 ? 0 : -DER_INVAL;
	rc = vos_key_check(vos_dkey_kind(p->oid.id), dkey, &p->dkey);
	if (rc != 0 || akey_nr == 0)
		return rc;
	if (akeys == NULL)
		return -DER_INVAL;
	p->akeys = mem_calloc(akey_nr, sizeof(*p->akeys));
	if (p->akeys == NULL)
		return -DER_NOMEM;
	p->akey_nr = akey_nr;
	for (i = 0; rc == 0 && i < akey_nr; i++)
		rc = vos_key_check(vos_akey_kind(p->oid.id), &akeys[i], &p->akeys[i]);
	return rc;
}

int co_fn
vos_punch(struct vos_cont *cont, const struct vos_oid *oid, uint64_t epoch, uint64_t cond_flags,
	  const daos_key_t *dkey, const daos_key_t *akeys, uint32_t akey_nr,
	  const struct vos_opid *opid)
{
	struct punch_op op = {.p = {.oid = *oid, .cond_flags = cond_flags}, .opid = opid};
	struct vos_punch *p = &op.p;
	struct vos_tx_args args = {
	    .pool = cont->pool,
	    .cont = cont,
	    .ord = {.epoch = epoch},
	    .flags = HEAP_RESV_RECLAIM,
	    .fn = punch_tx,
	    .arg = &op,
	    .log_bytes = 16384 + akey_nr * 1024ull,
	    .wait = true,
	};
	struct vos_flight flight;
	int rc;

	rc = vos_cont_check(cont);
	if (rc != 0)
		return rc;
	if (epoch == 0 || epoch == UINT64_MAX)
		return -DER_INVAL;
	if (args.log_bytes > HEAP_TX_LOG_MAX)
		args.log_bytes = HEAP_TX_LOG_MAX;
	cont->refs++;
	rc = vos_punch_check(p, dkey, akeys, akey_nr);
	vos_flight_begin(cont, &flight, epoch);
	if (rc == 0)
		rc = vos_tx_run(&args);
	vos_flight_end(&flight);
	free(p->akeys);
	if (rc == 0 && !cont->dead && epoch <= cont->df->floor)
		vos_reclaim_punched(cont, oid, p->dkey.buf != NULL ? &p->dkey : NULL);
	vos_cont_close(cont);
	return rc;
}
