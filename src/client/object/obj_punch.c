/*
 * Punch: of an object (every group that it has), of dkeys (each in its group), of akeys.
 *
 * What concerns one shard is one request and atomic. An object of several groups and a list of
 * several dkeys are as many requests.
 */
#define LOG_FACILITY "object"

#include "client/event/event.h"
#include "client/object/obj_internal.h"
#include "base/err.h"
#include "proto/opcodes.h"

struct punch {
	struct obj_rpc rpc;
	const daos_key_t *dkey;
	uint32_t akey_nr;
	daos_key_t *akeys;
};

static int
punch_build(struct obj_rpc *r, const struct obj_head *head, struct codec_wr *w)
{
	struct punch *p = container_of(r, struct punch, rpc);
	struct obj_punch m = {.head = *head, .akey_nr = p->akey_nr, .akeys = p->akeys};

	if (p->dkey != NULL) {
		m.has_dkey = true;
		m.dkey = *p->dkey;
	}
	obj_punch_encode(w, &m);
	return 0;
}

static int
punch_reply(struct obj_rpc *r, int status, const uint8_t *buf, size_t len)
{
	return status;
}

static int co_fn
punch_group(struct op *op, struct obj *obj, uint32_t group, uint64_t flags, const daos_key_t *dkey,
	    uint32_t akey_nr, daos_key_t *akeys)
{
	struct punch p = {
	    .rpc =
		{
		    .op = op,
		    .obj = obj,
		    .group = group,
		    .opc = OPC_OBJ_PUNCH,
		    .flags = flags,
		    .change = true,
		    .build = punch_build,
		    .reply = punch_reply,
		},
	    .dkey = dkey,
	    .akey_nr = akey_nr,
	    .akeys = akeys,
	};

	return obj_rpc_run(&p.rpc);
}

struct punch_all {
	struct op *op;
	struct obj *obj;
	uint64_t flags;
	const daos_key_t *dkeys;
	uint32_t absent_nr; /* groups in which the condition found nothing */
};

static int co_fn
punch_all_group(void *arg, uint32_t i)
{
	struct punch_all *all = arg;
	int rc = punch_group(all->op, all->obj, i, all->flags, NULL, 0, NULL);

	if (rc == -DER_NONEXIST && (all->flags & DAOS_COND_PUNCH)) {
		all->absent_nr++;
		return 0;
	}
	return rc;
}

static int co_fn
punch_one_dkey(void *arg, uint32_t i)
{
	struct punch_all *all = arg;
	const daos_key_t *dkey = &all->dkeys[i];

	return punch_group(all->op, all->obj, obj_group_of(all->obj, dkey), all->flags, dkey, 0,
			   NULL);
}

int co_fn
obj_punch(struct op *op, struct obj *obj, uint64_t flags, const daos_key_t *dkey, uint32_t akey_nr,
	  daos_key_t *akeys)
{
	struct punch_all all = {.op = op, .obj = obj, .flags = flags};
	int rc;

	if (dkey != NULL)
		return punch_group(op, obj, obj_group_of(obj, dkey), flags, dkey, akey_nr, akeys);
	rc = op_for_each(obj->shape.group_nr, OBJ_PAR_MAX, punch_all_group, &all);
	if (rc == 0 && all.absent_nr == obj->shape.group_nr)
		rc = -DER_NONEXIST;
	return rc;
}

int co_fn
obj_punch_dkeys(struct op *op, struct obj *obj, uint64_t flags, uint32_t nr,
		const daos_key_t *dkeys)
{
	struct punch_all all = {.op = op, .obj = obj, .flags = flags, .dkeys = dkeys};

	return op_for_each(nr, OBJ_PAR_MAX, punch_one_dkey, &all);
}

/* --- public calls --- */

struct punch_args {
	daos_handle_t oh;
	daos_handle_t th;
	uint64_t flags;
	daos_key_t *dkeys; /* NULL: the object */
	uint32_t dkey_nr;
	daos_key_t *akeys; /* NULL: the dkeys */
	uint32_t akey_nr;
};

static int
punch_check(const struct obj *obj, const struct punch_args *args)
{
	uint32_t i;
	int rc;

	rc = obj_check_tx(args->th);
	if (rc == 0)
		rc = obj_check_writable(obj);
	if (rc == 0 && (args->flags & ~DAOS_COND_PUNCH))
		rc = -DER_INVAL;
	for (i = 0; rc == 0 && i < args->dkey_nr; i++)
		rc = obj_check_dkey(obj, &args->dkeys[i]);
	for (i = 0; rc == 0 && i < args->akey_nr; i++)
		rc = obj_check_akey(obj, &args->akeys[i]);
	return rc;
}

static int co_fn
punch_op(struct op *op, void *arg)
{
	struct punch_args *args = arg;
	struct obj *obj = obj_hdl_get(op->ctx->client, args->oh);
	int rc;

	if (obj == NULL)
		return -DER_NO_HDL;
	rc = punch_check(obj, args);
	if (rc != 0)
		;
	else if (args->akeys != NULL || args->dkeys == NULL)
		rc = obj_punch(op, obj, args->flags, args->dkeys, args->akey_nr, args->akeys);
	else
		rc = obj_punch_dkeys(op, obj, args->flags, args->dkey_nr, args->dkeys);
	obj_hdl_put(op->ctx->client, args->oh);
	return rc;
}

int
daos_obj_punch(daos_handle_t oh, daos_handle_t th, uint64_t flags, daos_event_t *ev)
{
	struct punch_args args = {.oh = oh, .th = th, .flags = flags};

	return op_run(ev, punch_op, &args, sizeof(args));
}

int
daos_obj_punch_dkeys(daos_handle_t oh, daos_handle_t th, uint64_t flags, unsigned int nr,
		     daos_key_t *dkeys, daos_event_t *ev)
{
	struct punch_args args = {
	    .oh = oh, .th = th, .flags = flags, .dkeys = dkeys, .dkey_nr = nr};

	if (dkeys == NULL || nr == 0)
		return -DER_INVAL;
	return op_run(ev, punch_op, &args, sizeof(args));
}

int
daos_obj_punch_akeys(daos_handle_t oh, daos_handle_t th, uint64_t flags, daos_key_t *dkey,
		     unsigned int nr, daos_key_t *akeys, daos_event_t *ev)
{
	struct punch_args args = {.oh = oh,
				  .th = th,
				  .flags = flags,
				  .dkeys = dkey,
				  .dkey_nr = 1,
				  .akeys = akeys,
				  .akey_nr = nr};

	if (dkey == NULL || akeys == NULL || nr == 0)
		return -DER_INVAL;
	return op_run(ev, punch_op, &args, sizeof(args));
}
