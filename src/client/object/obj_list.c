/*
 * Listings.
 *
 * A dkey listing walks the groups one after the other, those that were ever used. The public anchor
 * holds the number of the group, counted from the home group on, and, opaque, the position inside
 *it that the engine returned; bytes behind that give the end of the walk, for listings that were
 *split into parts:
 *
 *	da_type    ZERO at the start, KEY on the way, EOF
 *	da_shard   group
 *	da_buf     0-95 the engine's anchor, 96-99 group behind the last (0 = all), little-endian
 *
 * Which groups come next is asked again by each call that gets to the end of one: the anchor may
 * come from another process, which saw more than this one.
 *
 * akeys and extents belong to one dkey and so to one group.
 */
#define LOG_FACILITY "object"

#include <endian.h>
#include <string.h>

#include "client/event/event.h"
#include "client/object/obj_internal.h"
#include "base/err.h"
#include "base/iov.h"
#include "proto/opcodes.h"

enum {
	ANCHOR_END_OFF = OBJ_ANCHOR_BYTES,
	LIST_BYTES_MAX = 32 * 1024, /* keys of one reply */
};
static_assert(ANCHOR_END_OFF + 4 <= DAOS_ANCHOR_BUF_MAX, "both positions fit the public anchor");

static uint32_t
anchor_end(const daos_anchor_t *anchor)
{
	uint32_t end;

	memcpy(&end, anchor->da_buf + ANCHOR_END_OFF, sizeof(end));
	return le32toh(end);
}

static void
anchor_set_end(daos_anchor_t *anchor, uint32_t end)
{
	end = htole32(end);
	memcpy(anchor->da_buf + ANCHOR_END_OFF, &end, sizeof(end));
}

/* --- one request --- */

struct list_rpc {
	struct obj_rpc rpc;
	struct obj_list m; /* all but the head */
	int (*take)(struct list_rpc *l, const struct obj_list_rep *rep);
	void *arg;
	/* of the reply */
	uint8_t anchor[OBJ_ANCHOR_BYTES];
	bool eof;
	struct obj_groups set; /* if asked for */
};

static int
list_build(struct obj_rpc *r, const struct obj_head *head, struct codec_wr *w)
{
	struct list_rpc *l = container_of(r, struct list_rpc, rpc);

	l->m.head = *head;
	obj_list_encode(w, &l->m);
	return 0;
}

static int
list_reply(struct obj_rpc *r, int status, const uint8_t *buf, size_t len)
{
	struct list_rpc *l = container_of(r, struct list_rpc, rpc);
	struct obj_scratch scratch;
	struct obj_list_rep rep;
	int rc;

	if (status != 0) {
		l->eof = true;
		l->set = obj_groups_initial(r->obj);
		return status == -DER_NONEXIST ? 0 : status; /* nothing in this shard */
	}
	obj_scratch_init(&scratch);
	rc = obj_list_rep_decode(buf, len, l->m.kind, &scratch, &rep);
	if (rc == 0 && rep.nr > l->m.max_nr)
		rc = -DER_PROTO;
	if (rc == 0) {
		memcpy(l->anchor, rep.anchor, sizeof(l->anchor));
		l->eof = rep.eof;
		rc = obj_groups_take(r->obj, &rep.set, &l->set);
	}
	if (rc == 0) {
		rc = l->take(l, &rep);
	}
	obj_scratch_fini(&scratch);
	return rc;
}

static int co_fn
list_send(struct list_rpc *l, struct op *op, struct obj *obj, uint32_t group,
	  const daos_anchor_t *anchor)
{
	l->rpc.op = op;
	l->rpc.obj = obj;
	l->rpc.group = group;
	l->rpc.dkey = l->m.dkey.iov_buf != NULL ? &l->m.dkey : NULL;
	l->rpc.opc = OPC_OBJ_LIST;
	l->rpc.build = list_build;
	l->rpc.reply = list_reply;
	memcpy(l->m.anchor, anchor->da_buf, OBJ_ANCHOR_BYTES);
	return obj_rpc_run(&l->rpc);
}

/* Move on by what the reply said. False: at the end of this group. */
static bool
anchor_advance(daos_anchor_t *anchor, const struct list_rpc *l)
{
	anchor->da_type = DAOS_ANCHOR_TYPE_KEY;
	memcpy(anchor->da_buf, l->anchor, OBJ_ANCHOR_BYTES);
	return !l->eof;
}

/* To the next group of the set, or to the end. */
static void
anchor_next_group(daos_anchor_t *anchor, const struct obj_groups *set, uint32_t end)
{
	uint32_t next;

	memset(anchor->da_buf, 0, OBJ_ANCHOR_BYTES);
	if (obj_groups_next(set, (uint32_t)anchor->da_shard + 1, &next) && next < end)
		anchor->da_shard = (uint16_t)next;
	else
		anchor->da_type = DAOS_ANCHOR_TYPE_EOF;
}

/* --- keys --- */

/* Where the keys go. */
struct key_sink {
	daos_key_desc_t *kds;
	uint32_t nr;
	uint32_t max;
	struct iov_iter it;
	uint64_t bytes;
	uint64_t room;
	uint64_t key2big; /* the next key needs this many bytes */
};

static int
keys_take(struct list_rpc *l, const struct obj_list_rep *rep)
{
	struct key_sink *sink = l->arg;
	uint32_t i;

	sink->key2big = rep->nr == 0 ? rep->key2big : 0;
	for (i = 0; i < rep->nr; i++) {
		const daos_key_t *key = &rep->keys[i];

		if (key->iov_len > sink->room - sink->bytes)
			return -DER_PROTO;
		iov_iter_write(&sink->it, key->iov_buf, key->iov_len);
		sink->bytes += key->iov_len;
		sink->kds[sink->nr].kd_key_len = key->iov_len;
		sink->kds[sink->nr++].kd_val_type = 0;
	}
	return 0;
}

/* Fill the sink from where the anchor stands, group after group. */
static int co_fn
keys_walk(struct op *op, struct obj *obj, const daos_key_t *dkey, daos_anchor_t *anchor,
	  struct key_sink *sink)
{
	uint32_t end = anchor_end(anchor);
	struct obj_groups set = {0};
	uint64_t seen;
	int rc = 0;

	if (end == 0 || end > obj->shape.group_nr)
		end = obj->shape.group_nr;
	if (dkey != NULL) {
		anchor->da_shard = (uint16_t)obj_group_number(obj, obj_group_of(obj, dkey));
		end = (uint32_t)anchor->da_shard + 1;
	}
	if (anchor->da_shard >= end)
		return -DER_INVAL;
	while (sink->nr < sink->max && anchor->da_type != DAOS_ANCHOR_TYPE_EOF) {
		struct list_rpc l = {.take = keys_take, .arg = sink};
		uint64_t room = sink->room - sink->bytes;

		l.m.kind = dkey == NULL ? OBJ_LIST_DKEY : OBJ_LIST_AKEY;
		l.m.max_nr = sink->max - sink->nr;
		if (l.m.max_nr > OBJ_LIST_MAX)
			l.m.max_nr = OBJ_LIST_MAX;
		l.m.max_bytes = room > LIST_BYTES_MAX ? LIST_BYTES_MAX : (uint32_t)room;
		l.m.want_set = anchor->da_shard == 0 && end > 1;
		if (dkey != NULL)
			l.m.dkey = *dkey;
		rc = list_send(&l, op, obj, obj_group_at(obj, anchor->da_shard), anchor);
		if (rc != 0)
			break;
		if (sink->key2big != 0) {
			/* What is there already is returned; the key comes first next time. */
			if (sink->nr > 0)
				break;
			sink->kds[0].kd_key_len = sink->key2big;
			return -DER_KEY2BIG;
		}
		if (l.m.want_set)
			set = l.set;
		if (anchor_advance(anchor, &l))
			continue;
		if (set.prefix == 0 && (uint32_t)anchor->da_shard + 1 < end)
			rc = obj_groups_get(op, obj, &set, &seen);
		if (rc != 0)
			break;
		anchor_next_group(anchor, &set, end);
	}
	/* An error after some keys is met again by the next call, if it lasts. */
	return sink->nr > 0 ? 0 : rc;
}

int co_fn
obj_list_keys(struct op *op, struct obj *obj, const daos_key_t *dkey, uint32_t *nr,
	      daos_key_desc_t *kds, d_sg_list_t *sgl, daos_anchor_t *anchor)
{
	struct key_sink sink = {.kds = kds, .max = *nr, .room = sgl_room_bytes(sgl)};
	struct sgl_vec vec;
	int rc;

	if (anchor->da_type == DAOS_ANCHOR_TYPE_EOF) {
		*nr = 0;
		return 0;
	}
	sgl_vec_init(&vec);
	rc = sgl_to_vec(sgl, true, sink.room, &vec);
	if (rc == 0) {
		iov_iter_init(&sink.it, vec.iov, (int)vec.nr);
		rc = keys_walk(op, obj, dkey, anchor, &sink);
	}
	sgl_vec_fini(&vec);
	*nr = sink.nr;
	if (rc == 0)
		sgl_set_filled(sgl, sink.bytes);
	return rc;
}

/* --- extents --- */

struct recx_sink {
	daos_size_t *size;
	daos_recx_t *recxs;
	daos_epoch_range_t *eprs;
	uint32_t nr;
	uint32_t max;
};

static int
recxs_take(struct list_rpc *l, const struct obj_list_rep *rep)
{
	struct recx_sink *sink = l->arg;
	uint32_t i;

	for (i = 0; i < rep->nr; i++) {
		if (sink->recxs != NULL)
			sink->recxs[sink->nr] = rep->recxs[i];
		if (sink->eprs != NULL) {
			sink->eprs[sink->nr].epr_lo = rep->epochs[i];
			sink->eprs[sink->nr].epr_hi = rep->epochs[i];
		}
		if (sink->size != NULL)
			*sink->size = rep->rec_sizes[i];
		sink->nr++;
	}
	return 0;
}

struct recx_args {
	daos_handle_t oh;
	daos_handle_t th;
	daos_key_t *dkey;
	daos_key_t *akey;
	daos_size_t *size;
	uint32_t *nr;
	daos_recx_t *recxs;
	daos_epoch_range_t *eprs;
	daos_anchor_t *anchor;
	bool descending;
};

static int co_fn
recx_walk(struct op *op, struct obj *obj, struct recx_args *args)
{
	struct recx_sink sink = {
	    .size = args->size, .recxs = args->recxs, .eprs = args->eprs, .max = *args->nr};
	daos_anchor_t *anchor = args->anchor;
	uint32_t group = obj_group_of(obj, args->dkey);
	int rc = 0;

	if (sink.size != NULL)
		*sink.size = 0;
	anchor->da_shard = (uint16_t)group;
	while (rc == 0 && sink.nr < sink.max && anchor->da_type != DAOS_ANCHOR_TYPE_EOF) {
		struct list_rpc l = {.take = recxs_take, .arg = &sink};

		l.m.kind = OBJ_LIST_RECX;
		l.m.descending = args->descending;
		l.m.max_nr = sink.max - sink.nr;
		if (l.m.max_nr > OBJ_LIST_MAX)
			l.m.max_nr = OBJ_LIST_MAX;
		l.m.max_bytes = LIST_BYTES_MAX;
		l.m.dkey = *args->dkey;
		l.m.akey = *args->akey;
		rc = list_send(&l, op, obj, group, anchor);
		if (rc == 0 && !anchor_advance(anchor, &l))
			anchor->da_type = DAOS_ANCHOR_TYPE_EOF;
	}
	*args->nr = sink.nr;
	return sink.nr > 0 ? 0 : rc;
}

static int co_fn
recx_op(struct op *op, void *arg)
{
	struct recx_args *args = arg;
	struct obj *obj = obj_hdl_get(op->ctx->client, args->oh);
	int rc;

	if (obj == NULL)
		return -DER_NO_HDL;
	rc = obj_check_tx(args->th);
	if (rc == 0)
		rc = obj_check_dkey(obj, args->dkey);
	if (rc == 0)
		rc = obj_check_akey(obj, args->akey);
	if (rc == 0)
		rc = recx_walk(op, obj, args);
	obj_hdl_put(op->ctx->client, args->oh);
	return rc;
}

int
daos_obj_list_recx(daos_handle_t oh, daos_handle_t th, daos_key_t *dkey, daos_key_t *akey,
		   daos_size_t *size, uint32_t *nr, daos_recx_t *recxs, daos_epoch_range_t *eprs,
		   daos_anchor_t *anchor, bool incr_order, daos_event_t *ev)
{
	struct recx_args args = {.oh = oh,
				 .th = th,
				 .dkey = dkey,
				 .akey = akey,
				 .size = size,
				 .nr = nr,
				 .recxs = recxs,
				 .eprs = eprs,
				 .anchor = anchor,
				 .descending = !incr_order};

	if (nr == NULL || *nr == 0 || anchor == NULL)
		return -DER_INVAL;
	return op_run(ev, recx_op, &args, sizeof(args));
}

/* --- public calls for keys --- */

struct keys_args {
	daos_handle_t oh;
	daos_handle_t th;
	daos_key_t *dkey;
	uint32_t *nr;
	daos_key_desc_t *kds;
	d_sg_list_t *sgl;
	daos_anchor_t *anchor;
};

static int co_fn
keys_op(struct op *op, void *arg)
{
	struct keys_args *args = arg;
	struct obj *obj = obj_hdl_get(op->ctx->client, args->oh);
	int rc;

	if (obj == NULL)
		return -DER_NO_HDL;
	rc = obj_check_tx(args->th);
	if (rc == 0 && args->dkey != NULL)
		rc = obj_check_dkey(obj, args->dkey);
	if (rc == 0)
		rc = obj_list_keys(op, obj, args->dkey, args->nr, args->kds, args->sgl,
				   args->anchor);
	obj_hdl_put(op->ctx->client, args->oh);
	return rc;
}

static int
keys_run(struct keys_args *args, daos_event_t *ev)
{
	if (args->nr == NULL || *args->nr == 0 || args->kds == NULL || args->sgl == NULL ||
	    args->sgl->sg_nr == 0 || args->anchor == NULL)
		return -DER_INVAL;
	return op_run(ev, keys_op, args, sizeof(*args));
}

int
daos_obj_list_dkey(daos_handle_t oh, daos_handle_t th, uint32_t *nr, daos_key_desc_t *kds,
		   d_sg_list_t *sgl, daos_anchor_t *anchor, daos_event_t *ev)
{
	struct keys_args args = {
	    .oh = oh, .th = th, .nr = nr, .kds = kds, .sgl = sgl, .anchor = anchor};

	return keys_run(&args, ev);
}

int
daos_obj_list_akey(daos_handle_t oh, daos_handle_t th, daos_key_t *dkey, uint32_t *nr,
		   daos_key_desc_t *kds, d_sg_list_t *sgl, daos_anchor_t *anchor, daos_event_t *ev)
{
	struct keys_args args = {
	    .oh = oh, .th = th, .dkey = dkey, .nr = nr, .kds = kds, .sgl = sgl, .anchor = anchor};

	if (dkey == NULL)
		return -DER_INVAL;
	return keys_run(&args, ev);
}

/* --- parts of a listing --- */

int
daos_obj_anchor_split(daos_handle_t oh, uint32_t *nr, daos_anchor_t *anchors)
{
	struct client *client = client_default();
	uint32_t i, groups, parts;
	struct obj *obj;

	if (client == NULL)
		return -DER_UNINIT;
	if (nr == NULL)
		return -DER_INVAL;
	obj = obj_hdl_get(client, oh);
	if (obj == NULL)
		return -DER_NO_HDL;
	groups = obj->shape.group_nr;
	obj_hdl_put(client, oh);
	parts = *nr == 0 || *nr > groups ? groups : *nr;
	for (i = 0; anchors != NULL && i < parts; i++) {
		memset(&anchors[i], 0, sizeof(anchors[i]));
		anchors[i].da_shard = (uint16_t)((uint64_t)groups * i / parts);
		anchor_set_end(&anchors[i], (uint32_t)((uint64_t)groups * (i + 1) / parts));
	}
	*nr = parts;
	return 0;
}

int
daos_obj_anchor_set(daos_handle_t oh, uint32_t index, daos_anchor_t *anchor)
{
	struct client *client = client_default();
	uint32_t groups;
	struct obj *obj;

	if (client == NULL)
		return -DER_UNINIT;
	obj = obj_hdl_get(client, oh);
	if (obj == NULL)
		return -DER_NO_HDL;
	groups = obj->shape.group_nr;
	obj_hdl_put(client, oh);
	if (anchor == NULL || index >= groups)
		return -DER_INVAL;
	memset(anchor, 0, sizeof(*anchor));
	anchor->da_shard = (uint16_t)index;
	anchor_set_end(anchor, index + 1);
	return 0;
}
