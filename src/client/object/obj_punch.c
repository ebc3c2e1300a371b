/*
 * Punch: of an object (every group that it has), of dkeys (each in its group), of akeys.
 *
 * What concerns one shard is one request and atomic. A list of several dkeys is as many requests;
 * an object is one if nothing but its home group was ever used, else as many as there are groups
 * that were, the home group last (why: server/object/obj_groups.c).
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
	enum obj_punch_groups groups;
	uint64_t seen;
	struct obj_punch_rep rep;
};

static int
punch_build(struct obj_rpc *r, const struct obj_head *head, struct codec_wr *w)
{
	struct punch *p = container_of(r, struct punch, rpc);
	struct obj_punch m = {
	    .head = *head,
	    .akey_nr = p->akey_nr,
	    .akeys = p->akeys,
	    .groups = p->groups,
	    .seen = p->seen,
	};

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
	struct punch *p = container_of(r, struct punch, rpc);

	return status != 0 ? status : obj_punch_rep_decode(buf, len, &p->rep);
}

static void
punch_init(struct punch *p, struct op *op, struct obj *obj, uint32_t group, uint64_t flags)
{
	*p = (struct punch){
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
	};
}

/* --- an object --- */

enum { PUNCH_ROUNDS_MAX = 4 }; /* of somebody writing at the same time */

struct punch_all {
	struct op *op;
	struct obj *obj;
	uint64_t flags;
	const daos_key_t *dkeys;
	/* Of the change of the home group in the first round, which may take two requests. */
	struct op_ident *home_ident;
	struct obj_groups set;
	uint64_t seen;
	bool found; /* something there, for DAOS_COND_PUNCH */
	bool done;  /* the home group was all, and is punched */
	bool set_stays;
};

/* One group; that there is nothing in it is no error but noted. */
static int co_fn
punch_member(struct punch_all *all, uint32_t number, enum obj_punch_groups groups)
{
	struct punch p;
	int rc;

	punch_init(&p, all->op, all->obj, obj_group_at(all->obj, number), all->flags);
	p.groups = groups;
	p.seen = all->seen;
	p.rpc.ident = number == 0 ? all->home_ident : NULL;
	rc = obj_rpc_run(&p.rpc);
	if (rc == -DER_NONEXIST && (all->flags & DAOS_COND_PUNCH)) {
		p.rep.done = true;
		rc = 0;
	} else if (rc == 0 && p.rep.done) {
		all->found = true;
	}
	if (rc == 0 && groups == OBJ_PUNCH_ALONE) {
		all->done = p.rep.done;
		all->seen = p.rep.seen;
		if (!p.rep.done)
			rc = obj_groups_take(all->obj, &p.rep.set, &all->set);
	}
	if (rc == 0 && groups == OBJ_PUNCH_LAST)
		all->set_stays = p.rep.set_stays;
	return rc;
}

static int co_fn
punch_first(void *arg, uint32_t i)
{
	return punch_member(arg, i, i == 0 ? OBJ_PUNCH_ALONE : OBJ_PUNCH_MEMBER);
}

static int co_fn
punch_other(void *arg, uint32_t i)
{
	struct punch_all *all = arg;

	return punch_member(all, obj_groups_at(&all->set, i + 1), OBJ_PUNCH_MEMBER);
}

/* All groups of the set, the home group last. */
static int co_fn
punch_round(struct punch_all *all)
{
	int rc = op_for_each(obj_groups_nr(&all->set) - 1, OBJ_PAR_MAX, punch_other, all);

	return rc != 0 ? rc : punch_member(all, 0, OBJ_PUNCH_LAST);
}

/* A redundant object: every group, each by its leader. */
static int co_fn
punch_each(void *arg, uint32_t i)
{
	return punch_member(arg, i, OBJ_PUNCH_MEMBER);
}

static int co_fn
punch_obj(struct op *op, struct obj *obj, uint64_t flags)
{
	struct op_ident ident;
	struct punch_all all = {.op = op, .obj = obj, .flags = flags, .home_ident = &ident};
	struct obj_groups initial = obj_groups_initial(obj);
	uint32_t round;
	int rc;

	if (obj->shape.group_size > 1) {
		all.home_ident = NULL;
		rc = op_for_each(obj->shape.group_nr, OBJ_PAR_MAX, punch_each, &all);
		return rc == 0 && (flags & DAOS_COND_PUNCH) && !all.found ? -DER_NONEXIST : rc;
	}
	op_ident_begin(op, &ident);
	rc = op_for_each(obj_groups_nr(&initial), OBJ_PAR_MAX, punch_first, &all);
	for (round = 0; rc == 0 && !all.done && round < PUNCH_ROUNDS_MAX; round++) {
		if (round > 0) {
			/* A group was entered meanwhile: once more, so that the set can go. */
			all.flags = 0;
			all.home_ident = NULL;
			rc = obj_groups_get(op, obj, &all.set, &all.seen);
		}
		if (rc == 0)
			rc = punch_round(&all);
		if (!all.set_stays)
			break;
	}
	op_ident_end(op, &ident);
	return rc == 0 && (flags & DAOS_COND_PUNCH) && !all.found ? -DER_NONEXIST : rc;
}

/* --- keys --- */

static int co_fn
punch_keys(struct op *op, struct obj *obj, uint64_t flags, const daos_key_t *dkey, uint32_t akey_nr,
	   daos_key_t *akeys)
{
	struct punch p;

	punch_init(&p, op, obj, obj_group_of(obj, dkey), flags);
	p.rpc.dkey = dkey;
	p.dkey = dkey;
	p.akey_nr = akey_nr;
	p.akeys = akeys;
	return obj_rpc_run(&p.rpc);
}

static int co_fn
punch_one_dkey(void *arg, uint32_t i)
{
	struct punch_all *all = arg;

	return punch_keys(all->op, all->obj, all->flags, &all->dkeys[i], 0, NULL);
}

int co_fn
obj_punch(struct op *op, struct obj *obj, uint64_t flags, const daos_key_t *dkey, uint32_t akey_nr,
	  daos_key_t *akeys)
{
	struct punch p;

	if (dkey != NULL)
		return punch_keys(op, obj, flags, dkey, akey_nr, akeys);
	if (obj->shape.group_nr > 1)
		return punch_obj(op, obj, flags);
	punch_init(&p, op, obj, 0, flags);
	return obj_rpc_run(&p.rpc);
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
