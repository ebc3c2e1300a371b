/*
 * Requests of the management service to this engine (OPC_ENG_*), on the system xstream.
 *
 * All are harmless when repeated: creating a pool that is there with the same sizes, destroying
 * what is gone. A pool exists from the moment the superblock names it: its creation makes the
 * shards of all targets at once, then writes the superblock; if anything fails, what was made is
 * removed, and after a crash it is removed at the next start. Destruction goes the other way round.
 */
#define LOG_FACILITY "engine"

#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/opcodes.h"
#include "server/engine/engine_internal.h"

enum {
	READY_WAIT_MS = 5000,
	READY_POLL_MS = 10,
};

/* --- frame --- */

static void
reply_msg(struct rpc_in *in, int status, const ProtobufCMessage *msg)
{
	struct iovec iov = {0};
	uint8_t *buf = NULL;

	if (status == 0 && msg != NULL) {
		size_t len = protobuf_c_message_get_packed_size(msg);

		buf = mem_alloc(len > 0 ? len : 1);
		if (buf == NULL) {
			status = -DER_NOMEM;
		} else {
			protobuf_c_message_pack(msg, buf);
			iov = (struct iovec){.iov_base = buf, .iov_len = len};
		}
	}
	rpc_reply(in, status, &iov, iov.iov_base != NULL ? 1 : 0);
	free(buf);
}

static void *
request_of(struct rpc_in *in, const ProtobufCMessageDescriptor *desc)
{
	return protobuf_c_message_unpack(desc, NULL, in->body_len, in->body);
}

static bool
is_uuid(const ProtobufCBinaryData *data)
{
	return data->len == sizeof(uuid_t);
}

/*
 * Pools can be changed once the superblock is there and what it names has been opened. The service
 * may be so quick that its first request overtakes its answer to our joining.
 */
static int co_fn
pools_ready(const struct engine *e, uint64_t deadline_ns)
{
	uint64_t until = xs_now_ns(e->sys) + READY_WAIT_MS * 1000000ull;

	if (deadline_ns != 0 && deadline_ns < until)
		until = deadline_ns;
	while (!e->stopping && !e->has_key && xs_now_ns(e->sys) < until)
		co_sleep_ns(READY_POLL_MS * 1000000ull);
	if (e->stopping)
		return -DER_SHUTDOWN;
	return e->has_key ? 0 : -DER_AGAIN;
}

/* --- pools --- */

struct pool_work {
	uuid_t uuid;
	struct pool_shard_conf conf;
	Eng__TargetSpace *spaces; /* by target */
	uint64_t now_ms;
};

static int co_fn
create_there(struct target *t, void *arg)
{
	const struct pool_work *w = arg;

	return pool_shard_create(&t->pools, w->uuid, &w->conf);
}

static void
drop_pool(struct pool_shard *shard, void *arg)
{
	struct target *t = arg;

	cont_tab_drop_pool(&t->conts, shard);
}

static int co_fn
destroy_there(struct target *t, void *arg)
{
	const struct pool_work *w = arg;
	int rc;

	rc = pool_shard_close(&t->pools, w->uuid, drop_pool, t);
	if (rc != 0 && rc != -DER_NONEXIST)
		return rc;
	return pool_shard_unlink(&t->pools, w->uuid);
}

static int
check_room(struct engine *e, const struct sb_pool *pool)
{
	uint64_t scm_total, scm_free, nvme_total, nvme_free;

	engine_space(e, &scm_total, &scm_free, &nvme_total, &nvme_free);
	if (pool->scm_bytes > scm_free / e->target_nr ||
	    pool->nvme_bytes > nvme_free / e->target_nr)
		return -DER_NOSPACE;
	return 0;
}

static int co_fn
pool_create_locked(struct engine *e, const struct sb_pool *pool)
{
	const struct sb_pool *have = sb_pool_find(e->sb, pool->uuid);
	struct pool_work w = {
	    .conf =
		{
		    .scm_bytes = pool->scm_bytes,
		    .nvme_bytes = pool->nvme_bytes,
		    .data_thresh = pool->data_thresh,
		},
	};
	int rc;

	if (have != NULL)
		return have->scm_bytes == pool->scm_bytes && have->nvme_bytes == pool->nvme_bytes
			   ? 0
			   : -DER_EXIST;
	rc = check_room(e, pool);
	if (rc != 0)
		return rc;
	uuid_copy(w.uuid, pool->uuid);
	rc = engine_each_target(e, create_there, &w);
	if (rc == 0) {
		rc = sb_pool_add(e->sb, pool);
		if (rc == 0)
			rc = sb_write(e->sb);
		if (rc != 0)
			sb_pool_del(e->sb, pool->uuid);
	}
	if (rc != 0)
		engine_each_target(e, destroy_there, &w);
	return rc;
}

static void co_fn
pool_create(struct rpc_in *in, void *arg)
{
	Eng__PoolCreateReq *req = request_of(in, &eng__pool_create_req__descriptor);
	struct engine *e = arg;
	struct sb_pool pool;
	int rc = -DER_PROTO;

	if (req != NULL && is_uuid(&req->pool)) {
		uuid_copy(pool.uuid, req->pool.data);
		pool.scm_bytes = req->scm_bytes;
		pool.nvme_bytes = req->nvme_bytes;
		pool.data_thresh = req->data_thresh;
		co_mutex_lock(&e->pool_ops);
		rc = pools_ready(e, in->deadline_ns);
		if (rc == 0)
			rc = pool_create_locked(e, &pool);
		co_mutex_unlock(&e->pool_ops);
		log_note("pool created with %lu + %lu bytes a target: " ERR_F,
			 (unsigned long)pool.scm_bytes, (unsigned long)pool.nvme_bytes, ERR_P(rc));
	}
	reply_msg(in, rc, NULL);
	if (req != NULL)
		eng__pool_create_req__free_unpacked(req, NULL);
}

static int co_fn
pool_destroy_locked(struct engine *e, const uuid_t uuid)
{
	const struct sb_pool *have = sb_pool_find(e->sb, uuid);
	struct pool_work w = {0};
	int rc;

	if (have != NULL) {
		struct sb_pool was = *have;

		sb_pool_del(e->sb, uuid);
		rc = sb_write(e->sb);
		if (rc != 0) {
			sb_pool_add(e->sb, &was);
			return rc;
		}
	}
	uuid_copy(w.uuid, uuid);
	return engine_each_target(e, destroy_there, &w);
}

static void co_fn
pool_destroy(struct rpc_in *in, void *arg)
{
	Eng__PoolDestroyReq *req = request_of(in, &eng__pool_destroy_req__descriptor);
	struct engine *e = arg;
	int rc = -DER_PROTO;

	if (req != NULL && is_uuid(&req->pool)) {
		co_mutex_lock(&e->pool_ops);
		rc = pools_ready(e, in->deadline_ns);
		if (rc == 0)
			rc = pool_destroy_locked(e, req->pool.data);
		co_mutex_unlock(&e->pool_ops);
		log_note("pool destroyed: " ERR_F, ERR_P(rc));
	}
	reply_msg(in, rc, NULL);
	if (req != NULL)
		eng__pool_destroy_req__free_unpacked(req, NULL);
}

static int co_fn
space_there(struct target *t, void *arg)
{
	const struct pool_work *w = arg;
	Eng__TargetSpace *space = &w->spaces[t->idx];
	struct pool_shard *shard;
	struct vos_space vs;
	int rc;

	rc = pool_shard_enter(&t->pools, w->uuid, &shard);
	if (rc != 0)
		return rc == -DER_NO_HDL ? -DER_NONEXIST : rc;
	vos_pool_space(shard->vos, &vs);
	pool_shard_leave(shard);
	space->index = t->idx;
	space->scm_total = vs.scm_total;
	space->scm_free = vs.scm_free;
	space->nvme_total = vs.nvme_total;
	space->nvme_free = vs.nvme_free;
	return 0;
}

static int co_fn
pool_query_run(struct engine *e, struct rpc_in *in, const uuid_t uuid)
{
	Eng__PoolQueryRep rep = ENG__POOL_QUERY_REP__INIT;
	struct pool_work w = {0};
	Eng__TargetSpace **list;
	int rc;

	uuid_copy(w.uuid, uuid);
	w.spaces = mem_calloc(e->target_nr, sizeof(*w.spaces));
	list = mem_calloc(e->target_nr, sizeof(*list));
	if (w.spaces == NULL || list == NULL) {
		rc = -DER_NOMEM;
	} else {
		for (uint32_t i = 0; i < e->target_nr; i++) {
			eng__target_space__init(&w.spaces[i]);
			list[i] = &w.spaces[i];
		}
		rc = engine_each_target(e, space_there, &w);
	}
	if (rc == 0) {
		rep.targets = list;
		rep.n_targets = e->target_nr;
		reply_msg(in, 0, &rep.base);
	}
	free(w.spaces);
	free(list);
	return rc;
}

static void co_fn
pool_query(struct rpc_in *in, void *arg)
{
	Eng__PoolQueryReq *req = request_of(in, &eng__pool_query_req__descriptor);
	struct engine *e = arg;
	int rc = -DER_PROTO;

	if (req != NULL && is_uuid(&req->pool))
		rc = pool_query_run(e, in, req->pool.data);
	if (rc != 0)
		reply_msg(in, rc, NULL);
	if (req != NULL)
		eng__pool_query_req__free_unpacked(req, NULL);
}

/* --- containers --- */

struct cont_work {
	const uint8_t *pool;
	const uint8_t *cont;
	uint64_t now_ms;
};

static int co_fn
cont_destroy_there(struct target *t, void *arg)
{
	const struct cont_work *w = arg;

	return cont_tab_destroy(&t->conts, w->pool, w->cont, w->now_ms);
}

static void co_fn
cont_destroy(struct rpc_in *in, void *arg)
{
	Eng__ContDestroyReq *req = request_of(in, &eng__cont_destroy_req__descriptor);
	struct engine *e = arg;
	int rc = -DER_PROTO;

	if (req != NULL && is_uuid(&req->pool) && is_uuid(&req->cont)) {
		struct cont_work w = {
		    .pool = req->pool.data,
		    .cont = req->cont.data,
		    .now_ms = env_real_ns(e->env) / 1000000,
		};

		rc = engine_each_target(e, cont_destroy_there, &w);
	}
	reply_msg(in, rc, NULL);
	if (req != NULL)
		eng__cont_destroy_req__free_unpacked(req, NULL);
}

/* --- the rest --- */

static void co_fn
map_push(struct rpc_in *in, void *arg)
{
	Eng__MapPushReq *req = request_of(in, &eng__map_push_req__descriptor);
	struct engine *e = arg;
	Mgmt__PoolMap *map = NULL;
	int rc = -DER_PROTO;

	if (req != NULL)
		map = mgmt__pool_map__unpack(NULL, req->pool_map.len, req->pool_map.data);
	if (map != NULL)
		rc = engine_take_maps(e, &map, 1);
	reply_msg(in, rc, NULL);
	if (map != NULL)
		mgmt__pool_map__free_unpacked(map, NULL);
	if (req != NULL)
		eng__map_push_req__free_unpacked(req, NULL);
}

static void
stop(struct rpc_in *in, void *arg)
{
	Eng__StopReq *req = request_of(in, &eng__stop_req__descriptor);
	struct engine *e = arg;
	bool force;

	reply_msg(in, req != NULL ? 0 : -DER_PROTO, NULL);
	if (req == NULL)
		return;
	force = req->force;
	eng__stop_req__free_unpacked(req, NULL);
	if (e->conf.on_stop != NULL)
		e->conf.on_stop(force, e->conf.cb_arg);
}

static void
ping(struct rpc_in *in, void *arg)
{
	Eng__PingRep rep = ENG__PING_REP__INIT;
	struct engine *e = arg;

	rep.rank = atomic_load(&e->rank);
	rep.incarnation = e->incarnation;
	rep.ms_replica = e->mgmt != NULL;
	reply_msg(in, 0, &rep.base);
}

static void co_fn
start_ms(struct rpc_in *in, void *arg)
{
	Eng__StartMsReq *req = request_of(in, &eng__start_ms_req__descriptor);
	struct engine *e = arg;
	int rc = -DER_PROTO;

	if (req != NULL)
		rc = e->sb == NULL || e->hints.replica_uri == NULL
			 ? -DER_AGAIN
			 : engine_start_member(e, req->raft_id, req->replica_uris,
					       req->n_replica_uris);
	reply_msg(in, rc, NULL);
	if (req != NULL)
		eng__start_ms_req__free_unpacked(req, NULL);
}

int
engine_ctl_register(struct engine *e)
{
	static const struct {
		uint32_t opc;
		rpc_handler_t handler;
	} rows[] = {
	    {OPC_ENG_POOL_CREATE, pool_create},
	    {OPC_ENG_POOL_DESTROY, pool_destroy},
	    {OPC_ENG_POOL_QUERY, pool_query},
	    {OPC_ENG_CONT_DESTROY, cont_destroy},
	    {OPC_ENG_MAP_PUSH, map_push},
	    {OPC_ENG_STOP, stop},
	    {OPC_ENG_PING, ping},
	    {OPC_ENG_START_MS, start_ms},
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(rows) / sizeof(rows[0]); i++)
		rc = rpc_register(e->ep, rows[i].opc, rows[i].handler, e);
	return rc;
}
