/*
 * Which groups of an object were ever used: asking, and entering groups before they are written.
 *
 * The home group of an object is that of its first chunk (dkey 1; of an array that stores its
 * description, dkey 0, and the group of the first chunk counts as used from the beginning); of an
 * object with other dkeys, group 0. Most files fit their first chunk: then nothing is stored about
 * groups, and one request to the home group says so together with the size.
 *
 * Before the first write to any other group the home group is asked to have it in its set. The
 * answer is a proof, the moment at which it was true; it goes with each update, and the group
 * refuses it if it was punched since (then a set may have been dropped) or does not remember. Then
 * the question is asked again. So nothing that is remembered here can be wrong for long enough to
 * matter, whatever other clients do. The other half of the protocol is in
 * server/object/obj_groups.c.
 */
#define LOG_FACILITY "object"

#include <endian.h>
#include <string.h>

#include "client/event/event.h"
#include "client/object/obj_internal.h"
#include "base/err.h"
#include "proto/opcodes.h"

/* --- numbers --- */

static bool
is_dense(const struct obj *obj)
{
	return daos_is_dkey_uint64(obj->oid);
}

static uint32_t
home_of(const struct obj *obj)
{
	uint64_t first = daos_obj_id2type(obj->oid) == DAOS_OT_ARRAY ? 0 : htole64(1);

	return is_dense(obj) ? place_dkey_group(obj->oid, &obj->shape, &first, sizeof(first)) : 0;
}

uint32_t
obj_group_at(const struct obj *obj, uint32_t number)
{
	uint32_t total = obj->shape.group_nr;

	return total == 1 ? 0 : (uint32_t)(((uint64_t)home_of(obj) + number) % total);
}

uint32_t
obj_group_number(const struct obj *obj, uint32_t group)
{
	uint32_t total = obj->shape.group_nr;

	return total == 1 ? 0 : (uint32_t)(((uint64_t)group + total - home_of(obj)) % total);
}

struct obj_groups
obj_groups_initial(const struct obj *obj)
{
	bool two = daos_obj_id2type(obj->oid) == DAOS_OT_ARRAY && obj->shape.group_nr > 1;

	/* Redundant objects keep no set yet: all their groups count as used. */
	if (obj->shape.group_size > 1)
		return obj_groups_first(obj->shape.group_nr);
	return obj_groups_first(two ? 2 : 1);
}

int
obj_groups_take(const struct obj *obj, const struct obj_groups *got, struct obj_groups *ret_set)
{
	*ret_set = got->prefix == 0 ? obj_groups_initial(obj) : *got;
	if (obj_groups_at(ret_set, obj_groups_nr(ret_set) - 1) >= obj->shape.group_nr)
		return -DER_PROTO;
	return 0;
}

/* --- what this client saw --- */

struct obj_groups
obj_groups_guess(struct obj *obj)
{
	struct obj_groups set;

	pthread_mutex_lock(&obj->lock);
	set = obj->guess.prefix != 0 ? obj->guess : obj_groups_initial(obj);
	pthread_mutex_unlock(&obj->lock);
	return set;
}

static bool
known_have(struct obj *obj, uint32_t first, uint32_t last, uint64_t *ret_proof)
{
	bool have;

	pthread_mutex_lock(&obj->lock);
	have = obj->known.prefix != 0 && obj_groups_have(&obj->known, first, last);
	if (have)
		*ret_proof = obj->proof;
	pthread_mutex_unlock(&obj->lock);
	return have;
}

void
obj_groups_note(struct obj *obj, const struct obj_groups *set)
{
	pthread_mutex_lock(&obj->lock);
	obj->guess = *set;
	pthread_mutex_unlock(&obj->lock);
}

/* A set belongs to its moment: the newest is kept whole, two are never joined. */
static void
known_set(struct obj *obj, const struct obj_groups *set, uint64_t proof)
{
	pthread_mutex_lock(&obj->lock);
	if (proof > obj->proof) {
		obj->known = obj->guess = *set;
		obj->proof = proof;
	}
	pthread_mutex_unlock(&obj->lock);
}

void
obj_groups_forget(struct obj *obj, uint64_t proof)
{
	pthread_mutex_lock(&obj->lock);
	if (obj->proof <= proof)
		obj->known.prefix = 0;
	pthread_mutex_unlock(&obj->lock);
}

/* --- requests --- */

struct enter_rpc {
	struct obj_rpc rpc;
	uint32_t first, last;
	struct obj_enter_rep rep;
};

static int
enter_build(struct obj_rpc *r, const struct obj_head *head, struct codec_wr *w)
{
	struct enter_rpc *e = container_of(r, struct enter_rpc, rpc);
	struct obj_enter m = {
	    .head = *head,
	    .total = r->obj->shape.group_nr,
	    .set = obj_groups_initial(r->obj),
	    .first = e->first,
	    .last = e->last,
	    .dense = is_dense(r->obj),
	};

	obj_enter_encode(w, &m);
	return 0;
}

static int
enter_reply(struct obj_rpc *r, int status, const uint8_t *buf, size_t len)
{
	struct enter_rpc *e = container_of(r, struct enter_rpc, rpc);
	struct obj_groups set;
	int rc;

	if (status != 0)
		return status;
	rc = obj_enter_rep_decode(buf, len, &e->rep);
	if (rc == 0)
		rc = obj_groups_take(r->obj, &e->rep.set, &set);
	if (rc == 0 && !obj_groups_have(&set, e->first, e->last))
		rc = -DER_PROTO;
	return rc;
}

int co_fn
obj_groups_enter(struct op *op, struct obj *obj, uint32_t first, uint32_t last, uint64_t *ret_proof)
{
	struct enter_rpc e = {
	    .rpc =
		{
		    .op = op,
		    .obj = obj,
		    .group = obj_group_at(obj, 0),
		    .opc = OPC_OBJ_GROUPS,
		    .build = enter_build,
		    .reply = enter_reply,
		},
	    .first = first,
	    .last = last,
	};
	struct obj_groups initial = obj_groups_initial(obj);
	int rc;

	*ret_proof = 0;
	if (obj_groups_have(&initial, first, last) || known_have(obj, first, last, ret_proof))
		return 0;
	rc = obj_rpc_run(&e.rpc);
	if (rc == 0) {
		known_set(obj, &e.rep.set, e.rep.proof);
		*ret_proof = e.rep.proof;
	}
	return rc;
}

int co_fn
obj_will_write(struct op *op, struct obj *obj, uint64_t first, uint64_t last)
{
	uint32_t total = obj->shape.group_nr, from = 0, to = total - 1;
	uint64_t proof;

	if (total == 1)
		return 0;
	if (last - first < total - 1) {
		uint64_t lo = htole64(first), hi = htole64(last);
		uint32_t a = place_dkey_group(obj->oid, &obj->shape, &lo, sizeof(lo));
		uint32_t b = place_dkey_group(obj->oid, &obj->shape, &hi, sizeof(hi));

		a = obj_group_number(obj, a);
		b = obj_group_number(obj, b);
		if (a <= b) { /* else the range runs over the end of the circle */
			from = a;
			to = b;
		}
	}
	return obj_groups_enter(op, obj, from, to, &proof);
}

struct look_rpc {
	struct obj_rpc rpc;
	struct obj_query_rep rep;
};

static int
look_build(struct obj_rpc *r, const struct obj_head *head, struct codec_wr *w)
{
	struct obj_query m = {.head = *head, .want_set = true};

	obj_query_encode(w, &m);
	return 0;
}

static int
look_reply(struct obj_rpc *r, int status, const uint8_t *buf, size_t len)
{
	struct look_rpc *look = container_of(r, struct look_rpc, rpc);

	return status != 0 ? status : obj_query_rep_decode(buf, len, &look->rep);
}

int co_fn
obj_groups_get(struct op *op, struct obj *obj, struct obj_groups *ret_set, uint64_t *ret_seen)
{
	struct look_rpc look = {
	    .rpc =
		{
		    .op = op,
		    .obj = obj,
		    .group = obj_group_at(obj, 0),
		    .opc = OPC_OBJ_QUERY_KEY,
		    .build = look_build,
		    .reply = look_reply,
		},
	};
	int rc = obj_rpc_run(&look.rpc);

	if (rc == 0)
		rc = obj_groups_take(obj, &look.rep.set, ret_set);
	if (rc == 0)
		*ret_seen = look.rep.seen;
	return rc;
}
