/*
 * The frame of every object request: gate, epoch, reply.
 *
 * Gate. An engine answers only while it holds a lease, checked when a request begins and again when
 * its answer leaves: in between the rank may have been excluded and another may have served newer
 * data. The capability names container and rights. A request made with an older pool map is sent
 * back (its client may have chosen a target that is not the owner any more); one made with a newer
 * map is served, and the engine fetches that map.
 *
 * Epochs come from the target's hybrid clock, which never runs behind anything its clients have
 * seen (every request and reply carries clocks) nor behind anything a previous incarnation of this
 * engine gave out (the ceiling, persisted ahead).
 */
#define LOG_FACILITY "object"

#include "server/object/obj_internal.h"

#include <daos_errno.h>

#include "base/err.h"
#include "base/log.h"
#include "proto/opcodes.h"
#include "runtime/xs.h"

/* A read at E keeps later changes above E, also those after a restart. */
static int co_fn
obj_read_floor(struct obj_svc *svc, const struct obj_head *head, uint64_t now_ns)
{
	int rc;

	if (head->epoch == UINT64_MAX || head->epoch == 0)
		return 0;
	rc = hlc_recv(&svc->hlc, now_ns, head->epoch);
	return rc != 0 ? rc : svc->ops->epoch_reserve(svc->ops_arg, head->epoch);
}

int co_fn
obj_begin(struct obj_svc *svc, struct rpc_in *in, const struct obj_head *head, uint64_t rights,
	  struct cont_shard **ret_cont)
{
	uint64_t now_ns = env_real_ns(xs_env(svc->xs));
	struct cont_shard *cont;
	uint32_t map_ver;
	int rc;

	rpc_reply_set(in, 0, svc->hlc.last);
	if (!svc->ops->may_serve(svc->ops_arg))
		return -DER_AGAIN;
	rc = hlc_recv(&svc->hlc, now_ns, in->hlc);
	if (rc != 0) {
		log_every(10000, LOG_LVL_WARN,
			  "a client's clock is more than a second ahead of ours");
		return rc;
	}
	rc = cont_enter(svc->conts, head->cap_id, head->cap, head->cap_len, rights,
			now_ns / 1000000, &cont);
	if (rc != 0)
		return rc;
	map_ver = cont->pool->map_ver;
	rpc_reply_set(in, map_ver, svc->hlc.last);
	if (in->map_ver > map_ver)
		svc->ops->map_behind(svc->ops_arg, cont->pool, in->map_ver);
	if (map_ver == 0 || in->map_ver < map_ver) {
		cont_leave(cont);
		return map_ver == 0 ? -DER_AGAIN : -DER_STALE;
	}
	rc = obj_read_floor(svc, head, now_ns);
	if (rc != 0) {
		cont_leave(cont);
		return rc;
	}
	*ret_cont = cont;
	return 0;
}

void
obj_reply(struct obj_svc *svc, struct rpc_in *in, struct cont_shard *cont, int status,
	  const struct iovec *body, uint32_t body_nr)
{
	if (cont != NULL) {
		rpc_reply_set(in, cont->pool->map_ver, svc->hlc.last);
		if (!svc->ops->may_serve(svc->ops_arg)) {
			status = -DER_AGAIN;
			body_nr = 0;
		}
	} else {
		svc->stats.refused_nr++;
	}
	rpc_reply(in, status, body, body_nr);
}

int co_fn
obj_epoch_next(struct obj_svc *svc, uint64_t *ret_epoch)
{
	uint64_t epoch = hlc_now(&svc->hlc, env_real_ns(xs_env(svc->xs)));
	int rc = svc->ops->epoch_reserve(svc->ops_arg, epoch);

	if (rc == 0)
		*ret_epoch = epoch;
	return rc;
}

uint64_t
obj_read_epoch(const struct obj_svc *svc, const struct obj_head *head)
{
	return head->epoch != UINT64_MAX && head->epoch != 0 ? head->epoch : svc->hlc.last;
}

const struct vos_opid *
obj_opid(const struct obj_head *head, struct vos_opid *buf)
{
	if (head->seq == 0)
		return NULL;
	*buf = (struct vos_opid){
	    .client = {head->client[0], head->client[1]},
	    .seq = head->seq,
	    .low_seq = head->low_seq,
	};
	return buf;
}

void
obj_svc_floor(struct obj_svc *svc, uint64_t floor)
{
	if (svc->hlc.last < floor)
		svc->hlc.last = floor;
	if (svc->groups.floor < floor)
		svc->groups.floor = floor;
}

int
obj_svc_init(struct obj_svc *svc, struct rpc_ep *ep, struct cont_tab *conts, struct dtx_svc *dtx,
	     const struct obj_svc_ops *ops, void *ops_arg)
{
	static const struct {
		uint32_t opc;
		rpc_handler_t handler;
	} rows[] = {
	    {OPC_OBJ_UPDATE, obj_update_handle},      {OPC_OBJ_FETCH, obj_fetch_handle},
	    {OPC_OBJ_PUNCH, obj_punch_handle},        {OPC_OBJ_LIST, obj_list_handle},
	    {OPC_OBJ_QUERY_KEY, obj_query_handle},    {OPC_OBJ_GROUPS, obj_groups_handle},
	    {OPC_DTX_UPDATE, obj_keep_update_handle}, {OPC_DTX_PUNCH, obj_keep_punch_handle},
	};
	int rc = 0;

	*svc = (struct obj_svc){
	    .xs = conts->xs,
	    .conts = conts,
	    .dtx = dtx,
	    .ops = ops,
	    .ops_arg = ops_arg,
	};
	byte_sem_init(&svc->bufs, OBJ_BUF_BYTES);
	obj_group_tab_init(&svc->groups);
	byte_sem_init(&svc->member_bufs, OBJ_BUF_BYTES);
	for (size_t i = 0; rc == 0 && i < sizeof(rows) / sizeof(rows[0]); i++)
		rc = rpc_register(ep, rows[i].opc, rows[i].handler, svc);
	return rc;
}
