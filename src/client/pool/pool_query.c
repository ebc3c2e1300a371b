/*
 * What a pool is: information, ranks, properties, one target, the containers in it.
 */
#define LOG_FACILITY "pool"

#include <stdlib.h>
#include <string.h>

#include <gurt/common.h>

#include "client/cont/cont_internal.h"
#include "client/core/prop_msg.h"
#include "client/event/event.h"
#include "client/pool/pool.h"
#include "client/pool/pool_internal.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/engine.pb-c.h"
#include "proto/mgmt_defs.h"
#include "proto/opcodes.h"

/* --- query --- */

static void
space_from_tier(struct daos_pool_space *ps, enum daos_media_type_t media,
		const Mgmt__TierSpace *tier)
{
	if (tier == NULL)
		return;
	ps->ps_space.s_total[media] = tier->total;
	ps->ps_space.s_free[media] = tier->free;
	ps->ps_free_min[media] = tier->min;
	ps->ps_free_max[media] = tier->max;
	ps->ps_free_mean[media] = tier->mean;
}

static void
info_from_rep(struct pool *pool, const Mgmt__PoolQueryRep *rep, daos_pool_info_t *info)
{
	uint64_t bits = info->pi_bits;
	struct daos_rebuild_status *rs = &info->pi_rebuild_st;

	memset(info, 0, sizeof(*info));
	info->pi_bits = bits;
	uuid_copy(info->pi_uuid, pool->uuid);
	info->pi_ntargets = rep->target_nr;
	info->pi_nnodes = rep->rank_nr;
	info->pi_ndisabled = rep->disabled_nr;
	if (rep->info != NULL) {
		info->pi_map_ver = rep->info->map_version;
		info->pi_leader = rep->info->svc_leader;
	}
	if (bits & DPI_SPACE) {
		space_from_tier(&info->pi_space, DAOS_MEDIA_SCM, rep->scm);
		space_from_tier(&info->pi_space, DAOS_MEDIA_NVME, rep->nvme);
		info->pi_space.ps_ntargets = rep->active_target_nr;
	}
	if (bits & DPI_REBUILD_STATUS) {
		rs->rs_version = info->pi_map_ver;
		rs->rs_state = (int32_t)rep->rebuild_state;
		rs->rs_errno = rep->rebuild_status;
		rs->rs_toberb_obj_nr = rep->rebuild_objs;
		rs->rs_obj_nr = rep->rebuild_objs;
		rs->rs_rec_nr = rep->rebuild_recs;
		rs->rs_flags = rep->disabled_nr > 0 ? DAOS_RSF_DEGRADED : 0;
	}
}

/* The list of ranks that the bits ask for: by default those in service. */
static int
ranks_from_rep(const Mgmt__PoolQueryRep *rep, uint64_t bits, d_rank_list_t **ret_ranks)
{
	const uint32_t *ranks = rep->enabled_ranks;
	size_t i, nr = rep->n_enabled_ranks;
	d_rank_list_t *list;

	if (!(bits & DPI_ENGINES_ENABLED) && (bits & DPI_ENGINES_DISABLED)) {
		ranks = rep->disabled_ranks;
		nr = rep->n_disabled_ranks;
	} else if (!(bits & DPI_ENGINES_ENABLED) && (bits & DPI_ENGINES_DEAD)) {
		ranks = rep->dead_ranks;
		nr = rep->n_dead_ranks;
	}
	list = d_rank_list_alloc((uint32_t)nr);
	if (list == NULL)
		return -DER_NOMEM;
	for (i = 0; i < nr; i++)
		list->rl_ranks[i] = ranks[i];
	*ret_ranks = list;
	return 0;
}

int co_fn
pool_query(struct op *op, struct pool *pool, d_rank_list_t **ranks, daos_pool_info_t *info,
	   daos_prop_t *prop)
{
	Mgmt__PoolQueryReq req = MGMT__POOL_QUERY_REQ__INIT;
	Mgmt__PoolQueryRep *rep = NULL;
	uint64_t bits = info == NULL ? 0 : info->pi_bits;
	int rc;

	req.pool = pool->uuid_str;
	req.mask = bits;
	if (ranks != NULL && (bits & (DPI_ENGINES_DISABLED | DPI_ENGINES_DEAD)) == 0)
		req.mask |= DPI_ENGINES_ENABLED;
	rc = op_ms_call(op, OPC_MS_POOL_QUERY, &req.base, &mgmt__pool_query_rep__descriptor,
			(ProtobufCMessage **)&rep);
	if (rc != 0)
		return rc;
	if (prop != NULL)
		rc = prop_from_msgs(prop, rep->props, rep->n_props);
	if (rc == 0 && ranks != NULL)
		rc = ranks_from_rep(rep, bits, ranks);
	if (rc == 0 && info != NULL)
		info_from_rep(pool, rep, info);
	mgmt__pool_query_rep__free_unpacked(rep, NULL);
	return rc;
}

struct query_args {
	daos_handle_t poh;
	d_rank_list_t **ranks;
	daos_pool_info_t *info;
	daos_prop_t *prop;
};

static int co_fn
pool_query_op(struct op *op, void *arg)
{
	struct query_args *args = arg;
	struct pool *pool = pool_hdl_get(op->ctx->client, args->poh);
	int rc;

	if (pool == NULL)
		return -DER_NO_HDL;
	rc = pool_query(op, pool, args->ranks, args->info, args->prop);
	pool_hdl_put(op->ctx->client, args->poh);
	return rc;
}

int
daos_pool_query(daos_handle_t poh, d_rank_list_t **ranks, daos_pool_info_t *info,
		daos_prop_t *pool_prop, daos_event_t *ev)
{
	struct query_args args = {.poh = poh, .ranks = ranks, .info = info, .prop = pool_prop};

	return op_run(ev, pool_query_op, &args, sizeof(args));
}

/* --- one target --- */

struct target_args {
	daos_handle_t poh;
	uint32_t index;
	uint32_t rank;
	daos_target_info_t *info;
};

static daos_target_state_t
target_state(uint32_t state)
{
	switch (state) {
	case TGT_ST_NEW:
		return DAOS_TS_NEW;
	case TGT_ST_UP:
		return DAOS_TS_UP;
	case TGT_ST_UPIN:
		return DAOS_TS_UP_IN;
	case TGT_ST_DOWN:
		return DAOS_TS_DOWN;
	case TGT_ST_DOWNOUT:
		return DAOS_TS_DOWN_OUT;
	case TGT_ST_DRAIN:
		return DAOS_TS_DRAIN;
	default:
		return DAOS_TS_UNKNOWN;
	}
}

/* Space of a target, from its engine. */
static int co_fn
target_space(struct op *op, struct pool *pool, const struct map_rank *rank, uint32_t index,
	     struct daos_space *space)
{
	Eng__PoolQueryReq req = ENG__POOL_QUERY_REQ__INIT;
	Eng__PoolQueryRep *rep;
	uint8_t body[64];
	struct iovec iov = {.iov_base = body};
	struct rpc_call call = {.opc = OPC_ENG_POOL_QUERY, .body = &iov, .body_nr = 1};
	struct rpc_peer *peer;
	size_t i;
	int rc;

	req.pool.data = pool->uuid;
	req.pool.len = sizeof(uuid_t);
	iov.iov_len = eng__pool_query_req__pack(&req, body);
	rc = ctx_peer(op->ctx, rank->rank, rank->uri, 0, &peer);
	if (rc == 0)
		rc = op_rpc(op, peer, &call);
	if (rc != 0)
		return rc;
	rc = call.status;
	if (rc == 0) {
		rep = eng__pool_query_rep__unpack(NULL, call.reply_len, call.reply);
		rc = rep == NULL ? -DER_PROTO : 0;
		for (i = 0; rc == 0 && i < rep->n_targets; i++) {
			if (rep->targets[i]->index != index)
				continue;
			space->s_total[DAOS_MEDIA_SCM] = rep->targets[i]->scm_total;
			space->s_free[DAOS_MEDIA_SCM] = rep->targets[i]->scm_free;
			space->s_total[DAOS_MEDIA_NVME] = rep->targets[i]->nvme_total;
			space->s_free[DAOS_MEDIA_NVME] = rep->targets[i]->nvme_free;
		}
		eng__pool_query_rep__free_unpacked(rep, NULL);
	}
	rpc_call_fini(&call);
	return rc;
}

static int co_fn
pool_target_op(struct op *op, void *arg)
{
	struct target_args *args = arg;
	struct client *client = op->ctx->client;
	struct pool *pool = pool_hdl_get(client, args->poh);
	const struct map_target *target = NULL;
	const struct map_rank *rank;
	struct pool_map *map;
	uint32_t i;
	int rc = -DER_NONEXIST;

	if (pool == NULL)
		return -DER_NO_HDL;
	rc = pool_refresh(op, pool, atomic_load(&pool->map_ver));
	map = pool_cur_map(pool);
	for (i = 0; target == NULL && i < pool_map_target_nr(map); i++) {
		const struct map_target *t = pool_map_target(map, i);

		if (t->rank == args->rank && t->index == args->index)
			target = t;
	}
	rank = pool_map_rank_find(map, args->rank);
	if (rc == 0 && (target == NULL || rank == NULL))
		rc = -DER_NONEXIST;
	if (rc == 0) {
		memset(args->info, 0, sizeof(*args->info));
		args->info->ta_state = target_state(target->state);
		/* Of a target that is not in service only the state is known. */
		if (target->state == TGT_ST_UPIN || target->state == TGT_ST_DRAIN)
			rc = target_space(op, pool, rank, args->index, &args->info->ta_space);
	}
	pool_map_put(map);
	pool_hdl_put(client, args->poh);
	return rc;
}

int
daos_pool_query_target(daos_handle_t poh, uint32_t tgt, d_rank_t rank, daos_target_info_t *info,
		       daos_event_t *ev)
{
	struct target_args args = {.poh = poh, .index = tgt, .rank = rank, .info = info};

	if (info == NULL)
		return -DER_INVAL;
	return op_run(ev, pool_target_op, &args, sizeof(args));
}

/* --- containers --- */

struct list_args {
	daos_handle_t poh;
	daos_pool_cont_filter_t *filter;
	daos_size_t *nr;
	struct daos_pool_cont_info *cbuf; /* one of these two, or none */
	struct daos_pool_cont_info2 *cbuf2;
};

static bool
filter_part_matches(const daos_pool_cont_filter_part_t *part, const Mgmt__ContInfo *info)
{
	uint64_t v = 0, w = part->pcfp_val64;

	switch (part->pcfp_key) {
	case PCF_KEY_MD_OTIME:
		v = info->open_time;
		break;
	case PCF_KEY_MD_MTIME:
		v = info->modify_time;
		break;
	case PCF_KEY_NUM_SNAPSHOTS:
		v = info->snapshot_nr;
		break;
	case PCF_KEY_NUM_HANDLES:
		v = info->handle_nr;
		break;
	}
	switch (part->pcfp_func) {
	case PCF_FUNC_EQ:
		return v == w;
	case PCF_FUNC_NE:
		return v != w;
	case PCF_FUNC_LT:
		return v < w;
	case PCF_FUNC_LE:
		return v <= w;
	case PCF_FUNC_GT:
		return v > w;
	default:
		return v >= w;
	}
}

static bool
filter_matches(const daos_pool_cont_filter_t *filter, const Mgmt__ContInfo *info)
{
	bool any = filter != NULL && filter->pcf_combine_func == PCF_COMBINE_LOGICAL_OR;
	uint32_t i;

	if (filter == NULL || filter->pcf_nparts == 0)
		return true;
	for (i = 0; i < filter->pcf_nparts; i++)
		if (filter_part_matches(filter->pcf_parts[i], info) == any)
			return any;
	return !any;
}

void
cont_info_from_msg(const Mgmt__ContInfo *msg, daos_cont_info_t *info)
{
	memset(info, 0, sizeof(*info));
	if (msg->uuid.len == sizeof(uuid_t))
		memcpy(info->ci_uuid, msg->uuid.data, sizeof(uuid_t));
	info->ci_lsnapshot = msg->latest_snapshot;
	info->ci_nhandles = (uint32_t)msg->handle_nr;
	info->ci_nsnapshots = (uint32_t)msg->snapshot_nr;
	info->ci_md_otime = msg->open_time;
	info->ci_md_mtime = msg->modify_time;
}

static void
list_put(const struct list_args *args, uint64_t i, const Mgmt__ContInfo *msg)
{
	struct daos_pool_cont_info *id;

	if (args->cbuf2 != NULL) {
		memset(&args->cbuf2[i], 0, sizeof(args->cbuf2[i]));
		cont_info_from_msg(msg, &args->cbuf2[i].pci_cinfo);
		id = &args->cbuf2[i].pci_id;
	} else {
		id = &args->cbuf[i];
		memset(id, 0, sizeof(*id));
	}
	if (msg->uuid.len == sizeof(uuid_t))
		memcpy(id->pci_uuid, msg->uuid.data, sizeof(uuid_t));
	strncpy(id->pci_label, msg->label, DAOS_PROP_LABEL_MAX_LEN);
}

/* All pages; counts every match, keeps as many as there is room for. */
static int co_fn
list_walk(struct op *op, struct pool *pool, const struct list_args *args, uint64_t room,
	  uint64_t *ret_nr)
{
	Mgmt__ContListReq req = MGMT__CONT_LIST_REQ__INIT;
	uuid_t after;
	uint64_t nr = 0;
	bool more = true;
	int rc = 0;

	req.pool = pool->uuid_str;
	req.pool_handle.data = pool->handle;
	req.pool_handle.len = sizeof(uuid_t);
	while (rc == 0 && more) {
		Mgmt__ContListRep *rep = NULL;
		size_t i;

		rc = op_ms_call(op, OPC_MS_CONT_LIST, &req.base, &mgmt__cont_list_rep__descriptor,
				(ProtobufCMessage **)&rep);
		if (rc != 0)
			break;
		for (i = 0; i < rep->n_conts; i++) {
			if (!filter_matches(args->filter, rep->conts[i]))
				continue;
			if (nr < room)
				list_put(args, nr, rep->conts[i]);
			nr++;
		}
		more = rep->more;
		if (more && (rep->n_conts == 0 ||
			     rep->conts[rep->n_conts - 1]->uuid.len != sizeof(uuid_t))) {
			rc = -DER_PROTO;
		} else if (more) {
			memcpy(after, rep->conts[rep->n_conts - 1]->uuid.data, sizeof(uuid_t));
			req.after.data = after;
			req.after.len = sizeof(uuid_t);
		}
		mgmt__cont_list_rep__free_unpacked(rep, NULL);
	}
	*ret_nr = nr;
	return rc;
}

static int co_fn
pool_list_op(struct op *op, void *arg)
{
	struct list_args *args = arg;
	bool has_buf = args->cbuf != NULL || args->cbuf2 != NULL;
	uint64_t room = has_buf ? *args->nr : 0;
	struct pool *pool = pool_hdl_get(op->ctx->client, args->poh);
	uint64_t nr;
	int rc;

	if (pool == NULL)
		return -DER_NO_HDL;
	rc = list_walk(op, pool, args, room, &nr);
	if (rc == 0) {
		*args->nr = nr;
		if (has_buf && nr > room)
			rc = -DER_TRUNC;
	}
	pool_hdl_put(op->ctx->client, args->poh);
	return rc;
}

int
daos_pool_list_cont(daos_handle_t poh, daos_size_t *ncont, struct daos_pool_cont_info *cbuf,
		    daos_event_t *ev)
{
	struct list_args args = {.poh = poh, .nr = ncont, .cbuf = cbuf};

	if (ncont == NULL)
		return -DER_INVAL;
	return op_run(ev, pool_list_op, &args, sizeof(args));
}

int
daos_pool_filter_cont(daos_handle_t poh, daos_pool_cont_filter_t *filter, daos_size_t *ncont,
		      struct daos_pool_cont_info2 *cbuf, daos_event_t *ev)
{
	struct list_args args = {.poh = poh, .filter = filter, .nr = ncont, .cbuf2 = cbuf};

	if (ncont == NULL)
		return -DER_INVAL;
	return op_run(ev, pool_list_op, &args, sizeof(args));
}

int
daos_pool_cont_filter_init(daos_pool_cont_filter_t *filt, uint32_t combine_func)
{
	if (filt == NULL || combine_func > PCF_COMBINE_LOGICAL_OR)
		return -DER_INVAL;
	memset(filt, 0, sizeof(*filt));
	filt->pcf_combine_func = combine_func;
	filt->pcf_parts = mem_calloc(DAOS_POOL_CONT_FILTER_MAX_NPARTS, sizeof(*filt->pcf_parts));
	return filt->pcf_parts == NULL ? -DER_NOMEM : 0;
}

int
daos_pool_cont_filter_add(daos_pool_cont_filter_t *filt, daos_pool_cont_filter_part_t *part)
{
	if (filt == NULL || part == NULL || part->pcfp_func >= PCF_FUNC_MAX ||
	    part->pcfp_key >= PCF_KEY_MAX)
		return -DER_INVAL;
	if (filt->pcf_nparts == DAOS_POOL_CONT_FILTER_MAX_NPARTS)
		return -DER_OVERFLOW;
	filt->pcf_parts[filt->pcf_nparts] = mem_dup(part, sizeof(*part));
	if (filt->pcf_parts[filt->pcf_nparts] == NULL)
		return -DER_NOMEM;
	filt->pcf_nparts++;
	return 0;
}

void
daos_pool_cont_filter_fini(daos_pool_cont_filter_t *filt)
{
	uint32_t i;

	for (i = 0; i < filt->pcf_nparts; i++)
		free(filt->pcf_parts[i]);
	free(filt->pcf_parts);
	memset(filt, 0, sizeof(*filt));
}
