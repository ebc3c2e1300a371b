/*
 * Operations as tasks of daos/tse.h.
 *
 * A task's body makes the public call of its opcode with an event that has no queue. When the event
 * is complete, the driver of the shared context puts it on a list, and daos_progress() ends the
 * tasks on it: not the callback itself, because the end of a task may release it, and the event is
 * still being looked at then.
 */
#define LOG_FACILITY "client"

#include <assert.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <daos.h>
#include <daos_task.h>

#include "client/core/client_internal.h"
#include "client/event/event.h"
#include "base/mem.h"

#define TASK_MAGIC 0xda05a5c5u

enum { PROGRESS_SLICE_NS = 10 * 1000 * 1000 }; /* tasks with a delay are looked at so often */

union task_args {
	daos_mgmt_pool_list_t mgmt_list_pools;
	daos_set_params_t set_params;
	daos_mgmt_get_bs_state_t get_bs_state;
	daos_pool_connect_t pool_connect;
	daos_pool_disconnect_t pool_disconnect;
	daos_pool_query_t pool_query;
	daos_pool_query_target_t pool_query_target;
	daos_pool_list_attr_t pool_list_attr;
	daos_pool_get_attr_t pool_get_attr;
	daos_pool_set_attr_t pool_set_attr;
	daos_pool_del_attr_t pool_del_attr;
	daos_pool_stop_svc_t pool_stop_svc;
	daos_pool_list_cont_t pool_list_cont;
	daos_pool_filter_cont_t pool_filter_cont;
	daos_cont_create_t cont_create;
	daos_cont_open_t cont_open;
	daos_cont_close_t cont_close;
	daos_cont_destroy_t cont_destroy;
	daos_cont_query_t cont_query;
	daos_cont_set_prop_t cont_set_prop;
	daos_cont_update_acl_t cont_update_acl;
	daos_cont_delete_acl_t cont_delete_acl;
	daos_cont_aggregate_t cont_aggregate;
	daos_cont_rollback_t cont_rollback;
	daos_cont_subscribe_t cont_subscribe;
	daos_cont_list_attr_t cont_list_attr;
	daos_cont_get_attr_t cont_get_attr;
	daos_cont_set_attr_t cont_set_attr;
	daos_cont_del_attr_t cont_del_attr;
	daos_cont_alloc_oids_t cont_alloc_oids;
	daos_cont_list_snap_t cont_list_snap;
	daos_cont_create_snap_t cont_create_snap;
	daos_cont_destroy_snap_t cont_destroy_snap;
	daos_cont_snap_oit_create_t cont_snap_oit_create;
	daos_tx_open_t tx_open;
	daos_tx_commit_t tx_commit;
	daos_tx_abort_t tx_abort;
	daos_tx_open_snap_t tx_open_snap;
	daos_tx_close_t tx_close;
	daos_tx_restart_t tx_restart;
	daos_obj_query_class_t obj_query_class;
	daos_obj_list_class_t obj_list_class;
	daos_obj_open_t obj_open;
	daos_obj_close_t obj_close;
	daos_obj_punch_t obj_punch;
	daos_obj_query_t obj_query;
	daos_obj_query_key_t obj_query_key;
	daos_obj_rw_t obj_rw;
	daos_obj_list_t obj_list;
	daos_array_create_t array_create;
	daos_array_open_t array_open;
	daos_array_close_t array_close;
	daos_array_destroy_t array_destroy;
	daos_array_io_t array_io;
	daos_array_get_size_t array_get_size;
	daos_array_set_size_t array_set_size;
	daos_array_stat_t array_stat;
	daos_kv_open_t kv_open;
	daos_kv_close_t kv_close;
	daos_kv_destroy_t kv_destroy;
	daos_kv_get_t kv_get;
	daos_kv_put_t kv_put;
	daos_kv_remove_t kv_remove;
	daos_kv_list_t kv_list;
};

/* In the argument space of the task. */
struct api_task {
	uint32_t magic;
	daos_opc_t opc;
	void *priv;
	union task_args args;
};
static_assert(sizeof(struct api_task) <= TSE_TASK_ARG_LEN, "arguments must fit the task");

/* A call under way. */
struct task_call {
	struct list link; /* ctx->ended_tasks */
	daos_event_t ev;
	tse_task_t *task;
	struct ctx *ctx;
	int rc;
};

static struct api_task *
api_task_of(tse_task_t *task)
{
	return tse_task_buf_embedded(task, sizeof(struct api_task));
}

/* --- one call per opcode --- */

/* Names by uuid are the older form of the structs. */
static const char *
name_or_uuid(const char *name, const uuid_t uuid, char buf[DAOS_UUID_STR_SIZE])
{
	if (name != NULL)
		return name;
	uuid_unparse_lower(uuid, buf);
	return buf;
}

static int
call_mgmt(daos_opc_t opc, union task_args *a, daos_event_t *ev)
{
	switch (opc) {
	case DAOS_OPC_MGMT_LIST_POOLS:
		return daos_mgmt_list_pools(a->mgmt_list_pools.grp, a->mgmt_list_pools.npools,
					    a->mgmt_list_pools.pools, ev);
	case DAOS_OPC_SET_PARAMS:
		return daos_debug_set_params(a->set_params.grp, a->set_params.rank,
					     a->set_params.key_id, a->set_params.value,
					     a->set_params.value_extra, ev);
	case DAOS_OPC_MGMT_GET_BS_STATE:
		return daos_mgmt_get_bs_state(a->get_bs_state.grp, a->get_bs_state.uuid,
					      a->get_bs_state.state, ev);
	default:
		return -DER_NOSYS;
	}
}

static int
call_pool(daos_opc_t opc, union task_args *a, daos_event_t *ev)
{
	char uuid[DAOS_UUID_STR_SIZE];

	switch (opc) {
	case DAOS_OPC_POOL_CONNECT:
		return daos_pool_connect(
		    name_or_uuid(a->pool_connect.pool, a->pool_connect.uuid, uuid),
		    a->pool_connect.grp, a->pool_connect.flags, a->pool_connect.poh,
		    a->pool_connect.info, ev);
	case DAOS_OPC_POOL_DISCONNECT:
		return daos_pool_disconnect(a->pool_disconnect.poh, ev);
	case DAOS_OPC_POOL_QUERY:
		return daos_pool_query(a->pool_query.poh, a->pool_query.ranks, a->pool_query.info,
				       a->pool_query.prop, ev);
	case DAOS_OPC_POOL_QUERY_INFO:
		return daos_pool_query_target(
		    a->pool_query_target.poh, a->pool_query_target.tgt_idx,
		    a->pool_query_target.rank, a->pool_query_target.info, ev);
	case DAOS_OPC_POOL_LIST_ATTR:
		return daos_pool_list_attr(a->pool_list_attr.poh, a->pool_list_attr.buf,
					   a->pool_list_attr.size, ev);
	case DAOS_OPC_POOL_GET_ATTR:
		return daos_pool_get_attr(a->pool_get_attr.poh, a->pool_get_attr.n,
					  a->pool_get_attr.names, a->pool_get_attr.values,
					  a->pool_get_attr.sizes, ev);
	case DAOS_OPC_POOL_SET_ATTR:
		return daos_pool_set_attr(a->pool_set_attr.poh, a->pool_set_attr.n,
					  a->pool_set_attr.names, a->pool_set_attr.values,
					  a->pool_set_attr.sizes, ev);
	case DAOS_OPC_POOL_DEL_ATTR:
		return daos_pool_del_attr(a->pool_del_attr.poh, a->pool_del_attr.n,
					  a->pool_del_attr.names, ev);
	case DAOS_OPC_POOL_STOP_SVC:
		return daos_pool_stop_svc(a->pool_stop_svc.poh, ev);
	case DAOS_OPC_POOL_LIST_CONT:
		return daos_pool_list_cont(a->pool_list_cont.poh, a->pool_list_cont.ncont,
					   a->pool_list_cont.cont_buf, ev);
	case DAOS_OPC_POOL_FILTER_CONT:
		return daos_pool_filter_cont(a->pool_filter_cont.poh, a->pool_filter_cont.filt,
					     a->pool_filter_cont.ncont,
					     a->pool_filter_cont.cont_buf, ev);
	default:
		return -DER_NOSYS;
	}
}

static int
call_cont(daos_opc_t opc, union task_args *a, daos_event_t *ev)
{
	char uuid[DAOS_UUID_STR_SIZE];

	switch (opc) {
	case DAOS_OPC_CONT_CREATE:
		return daos_cont_create(a->cont_create.poh, a->cont_create.cuuid,
					a->cont_create.prop, ev);
	case DAOS_OPC_CONT_OPEN:
		return daos_cont_open(a->cont_open.poh,
				      name_or_uuid(a->cont_open.cont, a->cont_open.uuid, uuid),
				      a->cont_open.flags, a->cont_open.coh, a->cont_open.info, ev);
	case DAOS_OPC_CONT_CLOSE:
		return daos_cont_close(a->cont_close.coh, ev);
	case DAOS_OPC_CONT_DESTROY:
		return daos_cont_destroy(
		    a->cont_destroy.poh,
		    name_or_uuid(a->cont_destroy.cont, a->cont_destroy.uuid, uuid),
		    a->cont_destroy.force, ev);
	case DAOS_OPC_CONT_QUERY:
		return daos_cont_query(a->cont_query.coh, a->cont_query.info, a->cont_query.prop,
				       ev);
	case DAOS_OPC_CONT_SET_PROP:
		return daos_cont_set_prop(a->cont_set_prop.coh, a->cont_set_prop.prop, ev);
	case DAOS_OPC_CONT_UPDATE_ACL:
		return daos_cont_update_acl(a->cont_update_acl.coh, a->cont_update_acl.acl, ev);
	case DAOS_OPC_CONT_DELETE_ACL:
		return daos_cont_delete_acl(a->cont_delete_acl.coh,
					    (enum daos_acl_principal_type)a->cont_delete_acl.type,
					    a->cont_delete_acl.name, ev);
	case DAOS_OPC_CONT_AGGREGATE:
		return daos_cont_aggregate(a->cont_aggregate.coh, a->cont_aggregate.epoch, ev);
	case DAOS_OPC_CONT_ROLLBACK:
		return daos_cont_rollback(a->cont_rollback.coh, a->cont_rollback.epoch, ev);
	case DAOS_OPC_CONT_SUBSCRIBE:
		return daos_cont_subscribe(a->cont_subscribe.coh, a->cont_subscribe.epoch, ev);
	case DAOS_OPC_CONT_LIST_ATTR:
		return daos_cont_list_attr(a->cont_list_attr.coh, a->cont_list_attr.buf,
					   a->cont_list_attr.size, ev);
	case DAOS_OPC_CONT_GET_ATTR:
		return daos_cont_get_attr(a->cont_get_attr.coh, a->cont_get_attr.n,
					  a->cont_get_attr.names, a->cont_get_attr.values,
					  a->cont_get_attr.sizes, ev);
	case DAOS_OPC_CONT_SET_ATTR:
		return daos_cont_set_attr(a->cont_set_attr.coh, a->cont_set_attr.n,
					  a->cont_set_attr.names, a->cont_set_attr.values,
					  a->cont_set_attr.sizes, ev);
	case DAOS_OPC_CONT_DEL_ATTR:
		return daos_cont_del_attr(a->cont_del_attr.coh, a->cont_del_attr.n,
					  a->cont_del_attr.names, ev);
	case DAOS_OPC_CONT_ALLOC_OIDS:
		return daos_cont_alloc_oids(a->cont_alloc_oids.coh, a->cont_alloc_oids.num_oids,
					    a->cont_alloc_oids.oid, ev);
	case DAOS_OPC_CONT_LIST_SNAP:
		return daos_cont_list_snap(a->cont_list_snap.coh, a->cont_list_snap.nr,
					   a->cont_list_snap.epochs, a->cont_list_snap.names,
					   a->cont_list_snap.anchor, ev);
	case DAOS_OPC_CONT_CREATE_SNAP:
		return daos_cont_create_snap_opt(
		    a->cont_create_snap.coh, a->cont_create_snap.epoch, a->cont_create_snap.name,
		    (enum daos_snapshot_opts)a->cont_create_snap.opts, ev);
	case DAOS_OPC_CONT_DESTROY_SNAP:
		return daos_cont_destroy_snap(a->cont_destroy_snap.coh, a->cont_destroy_snap.epr,
					      ev);
	case DAOS_OPC_CONT_SNAP_OIT_CREATE:
		return daos_cont_snap_oit_create(a->cont_snap_oit_create.coh,
						 a->cont_snap_oit_create.epoch,
						 a->cont_snap_oit_create.name, ev);
	default:
		return -DER_NOSYS;
	}
}

static int
call_tx(daos_opc_t opc, union task_args *a, daos_event_t *ev)
{
	switch (opc) {
	case DAOS_OPC_TX_OPEN:
		return daos_tx_open(a->tx_open.coh, a->tx_open.th, a->tx_open.flags, ev);
	case DAOS_OPC_TX_COMMIT:
		return daos_tx_commit(a->tx_commit.th, ev);
	case DAOS_OPC_TX_ABORT:
		return daos_tx_abort(a->tx_abort.th, ev);
	case DAOS_OPC_TX_OPEN_SNAP:
		return daos_tx_open_snap(a->tx_open_snap.coh, a->tx_open_snap.epoch,
					 a->tx_open_snap.th, ev);
	case DAOS_OPC_TX_CLOSE:
		return daos_tx_close(a->tx_close.th, ev);
	case DAOS_OPC_TX_RESTART:
		return daos_tx_restart(a->tx_restart.th, ev);
	default:
		return -DER_NOSYS;
	}
}

static int
call_obj(daos_opc_t opc, union task_args *a, daos_event_t *ev)
{
	daos_obj_punch_t *p = &a->obj_punch;
	daos_obj_rw_t *rw = &a->obj_rw;
	daos_obj_list_t *l = &a->obj_list;

	switch (opc) {
	case DAOS_OPC_OBJ_QUERY_CLASS:
		return daos_obj_query_class(a->obj_query_class.coh, a->obj_query_class.cid,
					    a->obj_query_class.cattr, ev);
	case DAOS_OPC_OBJ_LIST_CLASS:
		return daos_obj_list_class(a->obj_list_class.coh, a->obj_list_class.clist,
					   a->obj_list_class.anchor, ev);
	case DAOS_OPC_OBJ_OPEN:
		return daos_obj_open(a->obj_open.coh, a->obj_open.oid, a->obj_open.mode,
				     a->obj_open.oh, ev);
	case DAOS_OPC_OBJ_CLOSE:
		return daos_obj_close(a->obj_close.oh, ev);
	case DAOS_OPC_OBJ_PUNCH:
		return daos_obj_punch(p->oh, p->th, p->flags, ev);
	case DAOS_OPC_OBJ_PUNCH_DKEYS:
		return daos_obj_punch_dkeys(p->oh, p->th, p->flags, 1, p->dkey, ev);
	case DAOS_OPC_OBJ_PUNCH_AKEYS:
		return daos_obj_punch_akeys(p->oh, p->th, p->flags, p->dkey, p->akey_nr, p->akeys,
					    ev);
	case DAOS_OPC_OBJ_QUERY:
		return daos_obj_query(a->obj_query.oh, a->obj_query.oa, a->obj_query.ranks, ev);
	case DAOS_OPC_OBJ_QUERY_KEY:
		return daos_obj_query_key(a->obj_query_key.oh, a->obj_query_key.th,
					  a->obj_query_key.flags, a->obj_query_key.dkey,
					  a->obj_query_key.akey, a->obj_query_key.recx, ev);
	case DAOS_OPC_OBJ_FETCH:
		return daos_obj_fetch(rw->oh, rw->th, rw->flags, rw->dkey, rw->nr, rw->iods,
				      rw->sgls, rw->ioms, ev);
	case DAOS_OPC_OBJ_UPDATE:
		return daos_obj_update(rw->oh, rw->th, rw->flags, rw->dkey, rw->nr, rw->iods,
				       rw->sgls, ev);
	case DAOS_OPC_OBJ_LIST_DKEY:
		return daos_obj_list_dkey(l->oh, l->th, l->nr, l->kds, l->sgl,
					  l->anchor != NULL ? l->anchor : l->dkey_anchor, ev);
	case DAOS_OPC_OBJ_LIST_AKEY:
		return daos_obj_list_akey(l->oh, l->th, l->dkey, l->nr, l->kds, l->sgl,
					  l->anchor != NULL ? l->anchor : l->akey_anchor, ev);
	case DAOS_OPC_OBJ_LIST_RECX:
		return daos_obj_list_recx(l->oh, l->th, l->dkey, l->akey, l->size, l->nr, l->recxs,
					  l->eprs, l->anchor, l->incr_order, ev);
	case DAOS_OPC_OBJ_KEY2ANCHOR:
		return daos_obj_key2anchor(l->oh, l->th, l->dkey, l->akey, l->anchor, ev);
	default:
		return -DER_NOSYS;
	}
}

static int
call_array(daos_opc_t opc, union task_args *a, daos_event_t *ev)
{
	daos_array_open_t *o = &a->array_open;
	daos_array_io_t *io = &a->array_io;

	switch (opc) {
	case DAOS_OPC_ARRAY_CREATE:
		return daos_array_create(a->array_create.coh, a->array_create.oid,
					 a->array_create.th, a->array_create.cell_size,
					 a->array_create.chunk_size, a->array_create.oh, ev);
	case DAOS_OPC_ARRAY_OPEN:
		if (o->open_with_attr) {
			if (o->cell_size == NULL || o->chunk_size == NULL)
				return -DER_INVAL;
			return daos_array_open_with_attr(o->coh, o->oid, o->th, o->mode,
							 *o->cell_size, *o->chunk_size, o->oh, ev);
		}
		return daos_array_open(o->coh, o->oid, o->th, o->mode, o->cell_size, o->chunk_size,
				       o->oh, ev);
	case DAOS_OPC_ARRAY_CLOSE:
		return daos_array_close(a->array_close.oh, ev);
	case DAOS_OPC_ARRAY_DESTROY:
		return daos_array_destroy(a->array_destroy.oh, a->array_destroy.th, ev);
	case DAOS_OPC_ARRAY_READ:
		return daos_array_read(io->oh, io->th, io->iod, io->sgl, ev);
	case DAOS_OPC_ARRAY_WRITE:
		return daos_array_write(io->oh, io->th, io->iod, io->sgl, ev);
	case DAOS_OPC_ARRAY_PUNCH:
		return daos_array_punch(io->oh, io->th, io->iod, ev);
	case DAOS_OPC_ARRAY_GET_SIZE:
		return daos_array_get_size(a->array_get_size.oh, a->array_get_size.th,
					   a->array_get_size.size, ev);
	case DAOS_OPC_ARRAY_SET_SIZE:
		return daos_array_set_size(a->array_set_size.oh, a->array_set_size.th,
					   a->array_set_size.size, ev);
	case DAOS_OPC_ARRAY_STAT:
		return daos_array_stat(a->array_stat.oh, a->array_stat.th, a->array_stat.stbuf, ev);
	default:
		return -DER_NOSYS;
	}
}

static int
call_kv(daos_opc_t opc, union task_args *a, daos_event_t *ev)
{
	switch (opc) {
	case DAOS_OPC_KV_OPEN:
		return daos_kv_open(a->kv_open.coh, a->kv_open.oid, a->kv_open.mode, a->kv_open.oh,
				    ev);
	case DAOS_OPC_KV_CLOSE:
		return daos_kv_close(a->kv_close.oh, ev);
	case DAOS_OPC_KV_DESTROY:
		return daos_kv_destroy(a->kv_destroy.oh, a->kv_destroy.th, ev);
	case DAOS_OPC_KV_GET:
		return daos_kv_get(a->kv_get.oh, a->kv_get.th, a->kv_get.flags, a->kv_get.key,
				   a->kv_get.buf_size, a->kv_get.buf, ev);
	case DAOS_OPC_KV_PUT:
		return daos_kv_put(a->kv_put.oh, a->kv_put.th, a->kv_put.flags, a->kv_put.key,
				   a->kv_put.buf_size, a->kv_put.buf, ev);
	case DAOS_OPC_KV_REMOVE:
		return daos_kv_remove(a->kv_remove.oh, a->kv_remove.th, a->kv_remove.flags,
				      a->kv_remove.key, ev);
	case DAOS_OPC_KV_LIST:
		return daos_kv_list(a->kv_list.oh, a->kv_list.th, a->kv_list.nr, a->kv_list.kds,
				    a->kv_list.sgl, a->kv_list.anchor, ev);
	default:
		return -DER_NOSYS;
	}
}

typedef int (*task_call_fn_t)(daos_opc_t opc, union task_args *a, daos_event_t *ev);

/* Opcodes by group; those that have moved out of their group stand first. */
static task_call_fn_t
call_of(daos_opc_t opc)
{
	static const struct {
		daos_opc_t first, last;
		task_call_fn_t fn;
	} groups[] = {
	    {DAOS_OPC_POOL_FILTER_CONT, DAOS_OPC_POOL_FILTER_CONT, call_pool},
	    {DAOS_OPC_OBJ_KEY2ANCHOR, DAOS_OPC_OBJ_KEY2ANCHOR, call_obj},
	    {DAOS_OPC_CONT_SNAP_OIT_CREATE, DAOS_OPC_CONT_SNAP_OIT_CREATE, call_cont},
	    {DAOS_OPC_MGMT_LIST_POOLS, DAOS_OPC_MGMT_GET_BS_STATE, call_mgmt},
	    {DAOS_OPC_POOL_CONNECT, DAOS_OPC_POOL_DISCONNECT, call_pool},
	    {DAOS_OPC_POOL_QUERY, DAOS_OPC_POOL_LIST_CONT, call_pool},
	    {DAOS_OPC_CONT_CREATE, DAOS_OPC_CONT_DESTROY_SNAP, call_cont},
	    {DAOS_OPC_TX_OPEN, DAOS_OPC_TX_RESTART, call_tx},
	    {DAOS_OPC_OBJ_QUERY_CLASS, DAOS_OPC_OBJ_QUERY_KEY, call_obj},
	    {DAOS_OPC_OBJ_FETCH, DAOS_OPC_OBJ_LIST_RECX, call_obj},
	    {DAOS_OPC_ARRAY_CREATE, DAOS_OPC_ARRAY_STAT, call_array},
	    {DAOS_OPC_KV_OPEN, DAOS_OPC_KV_LIST, call_kv},
	};
	size_t i;

	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (opc >= groups[i].first && opc <= groups[i].last)
			return groups[i].fn;
	return NULL;
}

/* --- running --- */

static int
task_call_ended(void *arg, daos_event_t *ev, int rc)
{
	struct task_call *call = arg;

	call->rc = rc;
	pthread_mutex_lock(&call->ctx->ev_lock);
	list_push_back(&call->ctx->ended_tasks, &call->link);
	pthread_mutex_unlock(&call->ctx->ev_lock);
	return 0;
}

static int
task_start(tse_task_t *task, struct client *client)
{
	struct api_task *at = api_task_of(task);
	struct task_call *call = mem_new(struct task_call);
	int rc;

	if (call == NULL)
		return -DER_NOMEM;
	call->task = task;
	rc = client_shared_ctx(client, &call->ctx);
	if (rc == 0)
		rc = daos_event_init(&call->ev, DAOS_HDL_INVAL, NULL);
	if (rc != 0) {
		free(call);
		return rc;
	}
	rc = daos_event_register_comp_cb(&call->ev, task_call_ended, call);
	if (rc == 0)
		rc = call_of(at->opc)(at->opc, &at->args, &call->ev);
	if (rc != 0) {
		daos_event_fini(&call->ev);
		free(call);
	}
	return rc;
}

static int
task_body(tse_task_t *task)
{
	struct client *client = client_default();
	int rc = client == NULL ? -DER_UNINIT : task_start(task, client);

	if (rc != 0)
		tse_task_complete(task, rc);
	return rc;
}

/* End the tasks whose calls have ended. */
static void
tasks_end(struct ctx *ctx)
{
	for (;;) {
		struct task_call *call;

		pthread_mutex_lock(&ctx->ev_lock);
		call = list_first(&ctx->ended_tasks, struct task_call, link);
		if (call != NULL)
			list_del(&call->link);
		pthread_mutex_unlock(&ctx->ev_lock);
		if (call == NULL)
			return;
		/* The event has left its running state by now or does so under the lock. */
		while (daos_event_fini(&call->ev) == -DER_BUSY)
			sched_yield();
		tse_task_complete(call->task, call->rc);
		free(call);
	}
}

static bool
tasks_have_ended(void *arg)
{
	struct ctx *ctx = arg;
	bool any;

	pthread_mutex_lock(&ctx->ev_lock);
	any = !list_empty(&ctx->ended_tasks);
	pthread_mutex_unlock(&ctx->ev_lock);
	return any;
}

int
daos_progress(tse_sched_t *sched, int64_t timeout, bool *is_empty)
{
	struct client *client = client_default();
	uint64_t deadline = 0;
	struct ctx *ctx;
	bool empty;
	int rc;

	if (client == NULL)
		return -DER_UNINIT;
	if (sched == NULL)
		return -DER_INVAL;
	rc = client_shared_ctx(client, &ctx);
	if (rc != 0)
		return rc;
	if (timeout > 0)
		deadline = env_mono_ns(client_env(client)) + (uint64_t)timeout * 1000;
	for (;;) {
		uint64_t now, slice;

		tse_sched_progress(sched);
		tasks_end(ctx);
		tse_sched_progress(sched);
		empty = tse_sched_check_complete(sched);
		now = env_mono_ns(client_env(client));
		if (empty || (deadline != 0 && now >= deadline))
			break;
		slice = now + PROGRESS_SLICE_NS;
		if (deadline != 0 && deadline < slice)
			slice = deadline;
		rc = ctx_drive(ctx, tasks_have_ended, ctx, slice, timeout == 0);
		if (timeout == 0) {
			tasks_end(ctx);
			tse_sched_progress(sched);
			empty = tse_sched_check_complete(sched);
			break;
		}
	}
	if (is_empty != NULL)
		*is_empty = empty;
	return 0;
}

/* --- making --- */

static void
api_task_init(tse_task_t *task, daos_opc_t opc)
{
	struct api_task *at = api_task_of(task);

	memset(at, 0, sizeof(*at));
	at->magic = TASK_MAGIC;
	at->opc = opc;
}

int
daos_task_create(daos_opc_t opc, tse_sched_t *sched, unsigned int num_deps, tse_task_t *dep_tasks[],
		 tse_task_t **taskp)
{
	tse_task_t *task;
	int rc;

	if (call_of(opc) == NULL)
		return -DER_NOSYS;
	if (sched == NULL || taskp == NULL || (num_deps > 0 && dep_tasks == NULL))
		return -DER_INVAL;
	rc = tse_task_create(task_body, sched, NULL, &task);
	if (rc != 0)
		return rc;
	api_task_init(task, opc);
	if (num_deps > 0) {
		rc = tse_task_register_deps(task, (int)num_deps, dep_tasks);
		if (rc != 0) {
			tse_task_complete(task, rc);
			return rc;
		}
	}
	*taskp = task;
	return 0;
}

int
daos_task_reset(tse_task_t *task, daos_opc_t opc)
{
	int rc;

	if (call_of(opc) == NULL)
		return -DER_NOSYS;
	rc = tse_task_reset(task, task_body, NULL);
	if (rc == 0)
		api_task_init(task, opc);
	return rc;
}

void *
daos_task_get_args(tse_task_t *task)
{
	struct api_task *at = api_task_of(task);

	return at == NULL || at->magic != TASK_MAGIC ? NULL : &at->args;
}

void *
daos_task_get_priv(tse_task_t *task)
{
	return api_task_of(task)->priv;
}

void *
daos_task_set_priv(tse_task_t *task, void *priv)
{
	struct api_task *at = api_task_of(task);
	void *old = at->priv;

	at->priv = priv;
	return old;
}
