/*
 * Queries: the largest or smallest integer dkey, akey, extent; the newest epoch.
 *
 * A query for the dkey asks every group that was ever used and takes the best answer: first, at
 * once, the home group, which says which groups those are, and those that this client knows
 * already; then what is left. Below a given dkey only its group is asked.
 */
#define LOG_FACILITY "object"

#include <endian.h>
#include <string.h>

#include "client/event/event.h"
#include "client/object/obj_internal.h"
#include "base/err.h"
#include "proto/opcodes.h"

struct query {
	struct obj_rpc rpc;
	uint64_t flags;
	uint64_t dkey;
	daos_key_t akey;
	bool want_set;
	struct obj_query_rep rep;
};

static int
query_build(struct obj_rpc *r, const struct obj_head *head, struct codec_wr *w)
{
	struct query *q = container_of(r, struct query, rpc);
	struct obj_query m = {
	    .head = *head,
	    .query_flags = q->flags,
	    .dkey = q->dkey,
	    .akey = q->akey,
	    .want_set = q->want_set,
	};

	obj_query_encode(w, &m);
	return 0;
}

static int
query_reply(struct obj_rpc *r, int status, const uint8_t *buf, size_t len)
{
	struct query *q = container_of(r, struct query, rpc);

	if (status == 0)
		return obj_query_rep_decode(buf, len, &q->rep);
	memset(&q->rep, 0, sizeof(q->rep));
	return status == -DER_NONEXIST ? 0 : status; /* nothing in this shard */
}

struct query_all {
	struct op *op;
	struct obj *obj;
	uint64_t flags;
	uint64_t dkey;
	daos_key_t akey;
	struct obj_groups asked; /* by the first round */
	struct obj_groups set;
	const daos_key_t *key; /* the dkey's, NULL when the dkey is asked for */
	struct obj_found best;
};

static void
query_merge(struct query_all *all, const struct obj_query_rep *rep)
{
	struct obj_found *best = &all->best;
	bool better;

	if (rep->max_epoch > best->max_epoch)
		best->max_epoch = rep->max_epoch;
	if (!rep->found)
		return;
	better = all->flags & DAOS_GET_MIN ? rep->dkey < best->dkey : rep->dkey > best->dkey;
	if (best->found && !better)
		return;
	best->found = true;
	best->dkey = rep->dkey;
	best->akey = rep->akey;
	best->recx = rep->recx;
}

static int co_fn
query_group(struct query_all *all, uint32_t group, bool home)
{
	struct query q = {
	    .rpc =
		{
		    .op = all->op,
		    .obj = all->obj,
		    .group = group,
		    .dkey = all->key,
		    .opc = OPC_OBJ_QUERY_KEY,
		    .build = query_build,
		    .reply = query_reply,
		},
	    .flags = all->flags,
	    .dkey = all->dkey,
	    .akey = all->akey,
	    .want_set = home,
	};
	int rc = obj_rpc_run(&q.rpc);

	if (rc == 0 && home)
		rc = obj_groups_take(all->obj, &q.rep.set, &all->set);
	if (rc == 0)
		query_merge(all, &q.rep);
	return rc;
}

static int co_fn
query_first(void *arg, uint32_t i)
{
	struct query_all *all = arg;
	uint32_t number = obj_groups_at(&all->asked, i);

	return query_group(all, obj_group_at(all->obj, number), number == 0);
}

static int co_fn
query_second(void *arg, uint32_t i)
{
	struct query_all *all = arg;
	uint32_t number = obj_groups_at(&all->set, i);

	if (obj_groups_have(&all->asked, number, number))
		return 0;
	return query_group(all, obj_group_at(all->obj, number), false);
}

int co_fn
obj_query(struct op *op, struct obj *obj, uint64_t flags, uint64_t dkey, const daos_key_t *akey,
	  struct obj_found *ret_found)
{
	struct query_all all = {.op = op, .obj = obj, .flags = flags, .dkey = dkey};
	uint32_t nr;
	daos_key_t key;
	int rc;

	if (akey != NULL)
		all.akey = *akey;
	if (obj->shape.group_nr == 1 || (flags != 0 && !(flags & DAOS_GET_DKEY))) {
		d_iov_set(&key, &dkey, sizeof(dkey));
		if (flags != 0 && !(flags & DAOS_GET_DKEY))
			all.key = &key;
		rc = query_group(&all, obj_group_of(obj, &key), false);
	} else {
		all.asked = obj_groups_guess(obj);
		rc = op_for_each(obj_groups_nr(&all.asked), OBJ_PAR_MAX, query_first, &all);
		if (rc == 0)
			obj_groups_note(obj, &all.set);
		nr = obj_groups_nr(&all.set);
		if (rc == 0 && !(all.set.nr == 0 && all.set.prefix <= all.asked.prefix))
			rc = op_for_each(nr, OBJ_PAR_MAX, query_second, &all);
	}
	if (rc == 0)
		*ret_found = all.best;
	return rc;
}

/* --- public calls --- */

struct query_args {
	daos_handle_t oh;
	daos_handle_t th;
	uint64_t flags;
	daos_key_t *dkey;
	daos_key_t *akey;
	daos_recx_t *recx;
};

static int
query_check(const struct obj *obj, const struct query_args *args)
{
	uint64_t f = args->flags;
	bool max = (f & DAOS_GET_MAX) != 0, min = (f & DAOS_GET_MIN) != 0;
	int rc = obj_check_tx(args->th);

	if (rc != 0)
		return rc;
	if (max == min || !(f & (DAOS_GET_DKEY | DAOS_GET_AKEY | DAOS_GET_RECX)))
		return -DER_INVAL;
	if (args->dkey == NULL || !daos_is_dkey_uint64(obj->oid) ||
	    args->dkey->iov_buf_len < sizeof(uint64_t) || args->dkey->iov_buf == NULL)
		return -DER_INVAL;
	if ((f & DAOS_GET_AKEY) &&
	    (args->akey == NULL || !daos_is_akey_uint64(obj->oid) || args->akey->iov_buf == NULL ||
	     args->akey->iov_buf_len < sizeof(uint64_t)))
		return -DER_INVAL;
	if ((f & DAOS_GET_RECX) && args->recx == NULL)
		return -DER_INVAL;
	if ((f & DAOS_GET_RECX) && !(f & DAOS_GET_AKEY))
		return obj_check_akey(obj, args->akey);
	return 0;
}

static void
key_put_u64(daos_key_t *key, uint64_t v)
{
	memcpy(key->iov_buf, &v, sizeof(v));
	key->iov_len = sizeof(v);
}

static int co_fn
query_run(struct op *op, struct obj *obj, const struct query_args *args)
{
	struct obj_found found;
	uint64_t dkey = 0;
	int rc;

	if (!(args->flags & DAOS_GET_DKEY))
		memcpy(&dkey, args->dkey->iov_buf, sizeof(dkey));
	rc = obj_query(op, obj, args->flags, dkey, args->flags & DAOS_GET_AKEY ? NULL : args->akey,
		       &found);
	if (rc != 0)
		return rc;
	if (!found.found)
		return -DER_NONEXIST;
	if (args->flags & DAOS_GET_DKEY)
		key_put_u64(args->dkey, found.dkey);
	if (args->flags & DAOS_GET_AKEY)
		key_put_u64(args->akey, found.akey);
	if (args->flags & DAOS_GET_RECX)
		*args->recx = found.recx;
	return 0;
}

static int co_fn
query_op(struct op *op, void *arg)
{
	struct query_args *args = arg;
	struct obj *obj = obj_hdl_get(op->ctx->client, args->oh);
	int rc;

	if (obj == NULL)
		return -DER_NO_HDL;
	rc = query_check(obj, args);
	if (rc == 0)
		rc = query_run(op, obj, args);
	obj_hdl_put(op->ctx->client, args->oh);
	return rc;
}

int
daos_obj_query_key(daos_handle_t oh, daos_handle_t th, uint64_t flags, daos_key_t *dkey,
		   daos_key_t *akey, daos_recx_t *recx, daos_event_t *ev)
{
	struct query_args args = {
	    .oh = oh, .th = th, .flags = flags, .dkey = dkey, .akey = akey, .recx = recx};

	return op_run(ev, query_op, &args, sizeof(args));
}

struct max_epoch_args {
	daos_handle_t oh;
	daos_handle_t th;
	daos_epoch_t *epoch;
};

static int co_fn
max_epoch_op(struct op *op, void *arg)
{
	struct max_epoch_args *args = arg;
	struct obj *obj = obj_hdl_get(op->ctx->client, args->oh);
	struct obj_found found;
	int rc;

	if (obj == NULL)
		return -DER_NO_HDL;
	rc = obj_check_tx(args->th);
	if (rc == 0)
		rc = obj_query(op, obj, 0, 0, NULL, &found);
	if (rc == 0)
		*args->epoch = found.max_epoch;
	obj_hdl_put(op->ctx->client, args->oh);
	return rc;
}

int
daos_obj_query_max_epoch(daos_handle_t oh, daos_handle_t th, daos_epoch_t *epoch, daos_event_t *ev)
{
	struct max_epoch_args args = {.oh = oh, .th = th, .epoch = epoch};

	if (epoch == NULL)
		return -DER_INVAL;
	return op_run(ev, max_epoch_op, &args, sizeof(args));
}
