/*
 * The management service's life: replica, dispatch of requests, the leader's background work.
 *
 * Requests are answered by the leader only; every other replica says who that is. A request that
 * reads confirms leadership first; one that changes becomes a command of the log, and a refusal
 * before that is confirmed too, so that no answer ever comes from a deposed leader. Handlers must
 * look things up in the state again after anything that yields.
 *
 * One coroutine does what the leader does by itself: it forms the system, takes up what the last
 * leader left half way, grows the set of replicas, gives space back.
 */
#define LOG_FACILITY "mgmt"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/opcodes.h"
#include "server/mgmt/mgmt_internal.h"

#define MS_PREFIX "ms"

const struct ms_row ms_rows[] = {
    {OPC_MS_JOIN, &mgmt__join_req__descriptor, svc_join, MS_CHANGE},
    {OPC_MS_HEARTBEAT, &mgmt__heartbeat_req__descriptor, svc_heartbeat, MS_READ | MS_LAZY},
    {OPC_MS_SYSTEM_QUERY, &mgmt__system_query_req__descriptor, svc_system_query, MS_READ},
    {OPC_MS_SYSTEM_STOP, &mgmt__system_stop_req__descriptor, svc_system_stop, MS_CHANGE},
    {OPC_MS_ATTACH_INFO, &mgmt__attach_info_req__descriptor, svc_attach_info, MS_READ},
    {OPC_MS_SYSTEM_SET_ATTR, &mgmt__attr_req__descriptor, svc_system_set_attr, MS_CHANGE},
    {OPC_MS_SYSTEM_GET_ATTR, &mgmt__attr_req__descriptor, svc_system_get_attr, MS_READ},

    {OPC_MS_POOL_CREATE, &mgmt__pool_create_req__descriptor, svc_pool_create, MS_CHANGE},
    {OPC_MS_POOL_DESTROY, &mgmt__pool_destroy_req__descriptor, svc_pool_destroy, MS_CHANGE},
    {OPC_MS_POOL_LIST, &mgmt__pool_list_req__descriptor, svc_pool_list, MS_READ},
    {OPC_MS_POOL_CONNECT, &mgmt__pool_connect_req__descriptor, svc_pool_connect, MS_CHANGE},
    {OPC_MS_POOL_DISCONNECT, &mgmt__pool_disconnect_req__descriptor, svc_pool_disconnect,
     MS_CHANGE},
    {OPC_MS_POOL_QUERY, &mgmt__pool_query_req__descriptor, svc_pool_query, MS_READ},
    {OPC_MS_POOL_MAP_GET, &mgmt__pool_map_get_req__descriptor, svc_pool_map_get, MS_READ},
    {OPC_MS_POOL_GET_PROP, &mgmt__prop_get_req__descriptor, svc_get_prop, MS_READ},
    {OPC_MS_POOL_SET_PROP, &mgmt__prop_set_req__descriptor, svc_set_prop, MS_CHANGE},
    {OPC_MS_POOL_ATTR_SET, &mgmt__attr_req__descriptor, svc_attr_set, MS_CHANGE},
    {OPC_MS_POOL_ATTR_GET, &mgmt__attr_req__descriptor, svc_attr_get, MS_READ},
    {OPC_MS_POOL_ATTR_LIST, &mgmt__attr_req__descriptor, svc_attr_list, MS_READ},
    {OPC_MS_POOL_ATTR_DEL, &mgmt__attr_req__descriptor, svc_attr_del, MS_CHANGE},
    {OPC_MS_POOL_EVICT, &mgmt__pool_evict_req__descriptor, svc_pool_evict, MS_CHANGE},

    {OPC_MS_CONT_CREATE, &mgmt__cont_create_req__descriptor, svc_cont_create, MS_CHANGE},
    {OPC_MS_CONT_DESTROY, &mgmt__cont_destroy_req__descriptor, svc_cont_destroy, MS_CHANGE},
    {OPC_MS_CONT_OPEN, &mgmt__cont_open_req__descriptor, svc_cont_open, MS_CHANGE},
    {OPC_MS_CONT_CLOSE, &mgmt__cont_close_req__descriptor, svc_cont_close, MS_CHANGE},
    {OPC_MS_CONT_QUERY, &mgmt__cont_query_req__descriptor, svc_cont_query, MS_READ},
    {OPC_MS_CONT_LIST, &mgmt__cont_list_req__descriptor, svc_cont_list, MS_READ},
    {OPC_MS_CONT_GET_PROP, &mgmt__prop_get_req__descriptor, svc_get_prop, MS_READ},
    {OPC_MS_CONT_SET_PROP, &mgmt__prop_set_req__descriptor, svc_set_prop, MS_CHANGE},
    {OPC_MS_CONT_ATTR_SET, &mgmt__attr_req__descriptor, svc_attr_set, MS_CHANGE},
    {OPC_MS_CONT_ATTR_GET, &mgmt__attr_req__descriptor, svc_attr_get, MS_READ},
    {OPC_MS_CONT_ATTR_LIST, &mgmt__attr_req__descriptor, svc_attr_list, MS_READ},
    {OPC_MS_CONT_ATTR_DEL, &mgmt__attr_req__descriptor, svc_attr_del, MS_CHANGE},
    {OPC_MS_CONT_ALLOC_OIDS, &mgmt__cont_alloc_oids_req__descriptor, svc_cont_alloc_oids,
     MS_CHANGE},
    {OPC_MS_CONT_RENEW, &mgmt__cont_renew_req__descriptor, svc_cont_renew, MS_READ},
};
const uint32_t ms_row_nr = sizeof(ms_rows) / sizeof(ms_rows[0]);

/* --- coroutines of ours ---------------------------------------------------------------------- */

bool
ms_enter(struct mgmt *mgmt)
{
	if (mgmt->stopping)
		return false;
	mgmt->busy_nr++;
	return true;
}

void
ms_leave(struct mgmt *mgmt)
{
	mgmt->busy_nr--;
	if (mgmt->busy_nr == 0)
		co_waitq_wake_all(&mgmt->idle_wq);
}

/* fn ends with ms_leave(). */
int
ms_spawn(struct mgmt *mgmt, void (*fn)(void *), void *arg)
{
	int rc;

	if (!ms_enter(mgmt))
		return -DER_SHUTDOWN;
	rc = co_spawn(mgmt->xs, fn, arg);
	if (rc != 0)
		ms_leave(mgmt);
	return rc;
}

void
ms_kick(struct mgmt *mgmt)
{
	mgmt->kicked = true;
	co_waitq_wake_all(&mgmt->lead_wq);
}

/* --- commands -------------------------------------------------------------------------------- */

void
ms_cmd_start(struct mgmt *mgmt, Ms__Cmd *cmd, uint32_t kind)
{
	uint64_t now_ns = env_real_ns(xs_env(mgmt->xs));

	ms__cmd__init(cmd);
	cmd->kind = kind;
	cmd->now_ms = now_ns / 1000000;
	cmd->now_hlc = hlc_now(&mgmt->hlc, now_ns);
}

void
ms_cmd_ident(Ms__Cmd *cmd, const Mgmt__CmdId *id)
{
	if (id == NULL || id->client.len != 16 || id->seq == 0)
		return;
	cmd->client = id->client;
	cmd->seq = id->seq;
	cmd->low_seq = id->low_seq;
}

int co_fn
ms_commit(struct mgmt *mgmt, const Ms__Cmd *cmd, struct blob *ret_rep)
{
	size_t len = ms__cmd__get_packed_size(cmd);
	uint8_t *buf;
	void *rep = NULL;
	size_t rep_len = 0;
	int rc;

	buf = mem_alloc(len + 1);
	if (buf == NULL)
		return -DER_NOMEM;
	ms__cmd__pack(cmd, buf);
	rc = rdb_propose(mgmt->rdb, buf, len, &rep, &rep_len);
	free(buf);
	if (ret_rep != NULL) {
		ret_rep->data = rep;
		ret_rep->len = rep_len;
	} else {
		free(rep);
	}
	return rc;
}

int co_fn
ms_commit_number(struct mgmt *mgmt, const Ms__Cmd *cmd, uint64_t *ret_number)
{
	struct blob rep = {0};
	Ms__CmdRep *msg;
	int rc = ms_commit(mgmt, cmd, &rep);

	if (rc == 0) {
		msg = ms__cmd_rep__unpack(NULL, rep.len, rep.data);
		if (msg == NULL)
			rc = -DER_NOMEM;
		else
			*ret_number = msg->number;
		if (msg != NULL)
			ms__cmd_rep__free_unpacked(msg, NULL);
	}
	blob_fini(&rep);
	return rc;
}

int co_fn
ms_confirm(struct mgmt *mgmt, bool lazy)
{
	return rdb_barrier(mgmt->rdb, lazy, xs_now_fresh_ns(mgmt->xs) + MS_BARRIER_MS * 1000000ull);
}

/* --- state machine --------------------------------------------------------------------------- */

static int
sm_apply(void *arg, const void *cmd, size_t len, void **ret_reply, size_t *ret_len)
{
	struct mgmt *mgmt = arg;

	return state_apply(mgmt->st, cmd, len, ret_reply, ret_len);
}

static int
sm_snapshot(void *arg, void **ret_buf, size_t *ret_len)
{
	struct mgmt *mgmt = arg;

	return state_snapshot(mgmt->st, ret_buf, ret_len);
}

static int
sm_restore(void *arg, const void *buf, size_t len)
{
	struct mgmt *mgmt = arg;
	struct state *st;
	int rc = state_restore(buf, len, &st);

	if (rc != 0)
		return rc;
	state_destroy(mgmt->st);
	mgmt->st = st;
	return 0;
}

static void
sm_leader(void *arg, bool ready, uint64_t epoch)
{
	struct mgmt *mgmt = arg;

	mgmt->leading = ready;
	mgmt->epoch = epoch;
	ms_kick(mgmt);
}

static void
sm_failed(void *arg, int rc)
{
	struct mgmt *mgmt = arg;

	mgmt->leading = false;
	mgmt->failed_rc = rc;
}

/* --- requests -------------------------------------------------------------------------------- */

static void
reply_msg(struct rpc_in *in, int status, const ProtobufCMessage *msg)
{
	struct iovec iov = {0};
	uint8_t *buf = NULL;

	if (msg != NULL) {
		size_t len = protobuf_c_message_get_packed_size(msg);

		buf = len <= RPC_INLINE_MAX ? mem_alloc(len + 1) : NULL;
		if (buf == NULL) {
			log_err("answer to %x of %zu bytes cannot be sent", in->opc, len);
			status = len <= RPC_INLINE_MAX ? -DER_NOMEM : -DER_OVERFLOW;
		} else {
			iov.iov_base = buf;
			iov.iov_len = protobuf_c_message_pack(msg, buf);
		}
	}
	rpc_reply(in, status, &iov, iov.iov_len != 0 ? 1 : 0);
	free(buf);
}

int
ms_replica_uris(struct mgmt *mgmt, struct arena *arena, char ***ret_uris, size_t *ret_nr)
{
	struct rnode_server servers[RNODE_SERVERS_MAX];
	uint32_t nr = rnode_servers(rdb_node(mgmt->rdb), servers);
	char **uris = arena_alloc(arena, RNODE_SERVERS_MAX * sizeof(*uris));
	uint32_t i;

	*ret_nr = 0;
	if (uris == NULL)
		return -DER_NOMEM;
	for (i = 0; i < nr; i++) {
		if (servers[i].role != RNODE_VOTER)
			continue;
		uris[*ret_nr] = arena_str(arena, servers[i].uri);
		if (uris[*ret_nr] == NULL)
			return -DER_NOMEM;
		(*ret_nr)++;
	}
	*ret_uris = uris;
	return 0;
}

static void
reply_hint(struct mgmt *mgmt, struct rpc_in *in)
{
	struct rnode_server servers[RNODE_SERVERS_MAX];
	Mgmt__LeaderHint hint = MGMT__LEADER_HINT__INIT;
	struct arena arena = {0};
	uint64_t leader = rnode_leader_id(rdb_node(mgmt->rdb));
	uint32_t nr = rnode_servers(rdb_node(mgmt->rdb), servers);
	const struct st_rank *rank;
	uint32_t i;

	hint.leader_rank = MGMT_RANK_NONE;
	rank = state_rank_by_raft_id(mgmt->st, leader);
	if (rank != NULL)
		hint.leader_rank = rank->rank;
	/* Itself, but not ready or not sure: better no name than one that is no use. */
	for (i = 0; i < nr; i++)
		if (servers[i].id == leader && leader != rnode_id(rdb_node(mgmt->rdb)))
			hint.leader_uri = servers[i].uri;
	if (ms_replica_uris(mgmt, &arena, &hint.replica_uris, &hint.n_replica_uris) != 0)
		hint.n_replica_uris = 0;
	reply_msg(in, -DER_NOTLEADER, &hint.base);
	arena_fini(&arena);
}

/* A repetition of what the leader says about itself: did it lead all the time? */
static int co_fn
handle(struct mgmt *mgmt, const struct ms_row *row, struct ms_req *req)
{
	int rc;

	if (!mgmt->leading || mgmt->failed_rc != 0)
		return -DER_NOTLEADER;
	if (!mgmt->st->inited)
		return -DER_AGAIN;
	if ((row->flags & MS_READ) != 0) {
		rc = ms_confirm(mgmt, (row->flags & MS_LAZY) != 0);
		if (rc != 0)
			return -DER_NOTLEADER;
	}
	rc = row->fn(mgmt, req);
	if (rc != 0 && rc != -DER_NOTLEADER && (row->flags & MS_CHANGE) != 0 &&
	    ms_confirm(mgmt, false) != 0)
		rc = -DER_NOTLEADER;
	return rc;
}

static void co_fn
on_request(struct rpc_in *in, void *arg)
{
	const struct ms_bound *bound = arg;
	struct mgmt *mgmt = bound->mgmt;
	struct ms_req req = {.row = bound->row, .body = in->body, .body_len = in->body_len};
	ProtobufCMessage *msg;
	int rc;

	if (!ms_enter(mgmt)) {
		rpc_reply(in, -DER_SHUTDOWN, NULL, 0);
		return;
	}
	msg = protobuf_c_message_unpack(req.row->desc, NULL, in->body_len, in->body);
	req.msg = msg;
	rc = msg != NULL ? handle(mgmt, req.row, &req) : -DER_PROTO;
	if (rc == -DER_NOTLEADER)
		reply_hint(mgmt, in);
	else
		reply_msg(in, rc, rc == 0 ? req.reply : NULL);
	if (msg != NULL)
		protobuf_c_message_free_unpacked(msg, NULL);
	arena_fini(&req.arena);
	ms_leave(mgmt);
}

/* --- leader's background work ---------------------------------------------------------------- */

static int co_fn
form_system(struct mgmt *mgmt)
{
	uint8_t key[CAP_KEY_BYTES];
	uint8_t group[16];
	Ms__Cmd cmd;
	int rc;

	rnode_group(rdb_node(mgmt->rdb), group);
	env_rand_fill(xs_env(mgmt->xs), key, sizeof(key));
	ms_cmd_start(mgmt, &cmd, MS_CMD_INIT);
	cmd.pool.data = group;
	cmd.pool.len = sizeof(group);
	cmd.blob.data = key;
	cmd.blob.len = sizeof(key);
	cmd.name = mgmt->system_name;
	cmd.user = (char *)rpc_ep_uri(mgmt->conf.ep);
	cmd.number = rnode_id(rdb_node(mgmt->rdb));
	rc = ms_commit(mgmt, &cmd, NULL);
	if (rc == 0)
		log_note("system %s formed", mgmt->system_name);
	return rc == -DER_ALREADY ? 0 : rc;
}

/* New leader: nobody is called silent before there was time to hear of him. */
static void
beats_reset(struct mgmt *mgmt)
{
	uint64_t now = xs_now_fresh_ns(mgmt->xs);
	uint32_t i;

	mgmt->lead_since_ns = now;
	for (i = 0; i < mgmt->beat_nr; i++)
		mgmt->beats[i].heard_ns = now;
	for (i = 0; i < mgmt->st->rank_nr; i++) {
		struct beat *b = ms_beat(mgmt, mgmt->st->ranks[i]->rank, true);

		if (b != NULL)
			b->heard_ns = now;
	}
}

static void co_fn
lead(void *arg)
{
	struct mgmt *mgmt = arg;
	uint64_t epoch = 0;

	while (!mgmt->stopping) {
		uint64_t deadline = 0;

		mgmt->kicked = false;
		if (mgmt->leading && mgmt->opened) {
			deadline = xs_now_fresh_ns(mgmt->xs) + MS_LOOK_AFTER_MS * 1000000ull;
			if (epoch != mgmt->epoch) {
				epoch = mgmt->epoch;
				beats_reset(mgmt);
				if (!mgmt->st->inited && form_system(mgmt) != 0)
					epoch = 0; /* again, if still leader */
				else
					ms_pools_resume(mgmt);
			} else if (mgmt->st->inited) {
				ms_members_look_after(mgmt);
				ms_reap(mgmt);
			}
		}
		if (!mgmt->kicked && !mgmt->stopping)
			co_waitq_wait(&mgmt->lead_wq, deadline);
	}
	ms_leave(mgmt);
}

struct beat *
ms_beat(struct mgmt *mgmt, uint32_t rank, bool make)
{
	struct beat *b;
	uint32_t i;

	for (i = 0; i < mgmt->beat_nr; i++)
		if (mgmt->beats[i].rank == rank)
			return &mgmt->beats[i];
	if (!make)
		return NULL;
	b = mem_realloc(mgmt->beats, mgmt->beat_nr + 1, sizeof(*b));
	if (b == NULL)
		return NULL;
	mgmt->beats = b;
	b = &mgmt->beats[mgmt->beat_nr++];
	*b = (struct beat){.rank = rank};
	return b;
}

bool
ms_rank_alive(struct mgmt *mgmt, const struct st_rank *rank)
{
	const struct beat *b = ms_beat(mgmt, rank->rank, false);

	return rank->state == SYS_ST_JOINED && b != NULL && b->heard_ns != 0 &&
	       xs_now_fresh_ns(mgmt->xs) - b->heard_ns < MS_SILENT_MS * 1000000ull;
}

/* --- life ------------------------------------------------------------------------------------ */

static void
on_hint(struct rpc_in *in, void *arg)
{
	const struct mgmt_hints *hints = arg;
	Mgmt__LeaderHint hint = MGMT__LEADER_HINT__INIT;
	char *uris[RNODE_SERVERS_MAX];

	hint.leader_rank = MGMT_RANK_NONE;
	hint.replica_uris = uris;
	while (hints != NULL && hint.n_replica_uris < RNODE_SERVERS_MAX) {
		const char *uri = hints->replica_uri((uint32_t)hint.n_replica_uris, hints->arg);

		if (uri == NULL)
			break;
		uris[hint.n_replica_uris++] = (char *)uri;
	}
	reply_msg(in, -DER_NOTLEADER, &hint.base);
}

int
mgmt_register_hints(struct rpc_ep *ep, const struct mgmt_hints *hints)
{
	uint32_t i;

	for (i = 0; i < ms_row_nr; i++) {
		int rc = rpc_register(ep, ms_rows[i].opc, on_hint, (void *)hints);

		if (rc != 0)
			return rc;
	}
	return 0;
}

static void
mgmt_free(struct mgmt *mgmt)
{
	state_destroy(mgmt->st);
	free(mgmt->bound);
	free(mgmt->beats);
	free(mgmt->system_name);
	free(mgmt->provider);
	free(mgmt);
}

static int
mgmt_alloc(const struct mgmt_conf *conf, struct mgmt **ret_mgmt)
{
	struct mgmt *mgmt = mem_new(struct mgmt);
	uint32_t i;

	if (mgmt == NULL)
		return -DER_NOMEM;
	mgmt->conf = *conf;
	mgmt->xs = conf->xs;
	co_waitq_init(&mgmt->idle_wq);
	co_waitq_init(&mgmt->lead_wq);
	co_mutex_init(&mgmt->members_lock);
	list_init(&mgmt->ops);
	mgmt->system_name =
	    mem_strdup(conf->system_name != NULL ? conf->system_name : "daos_server");
	mgmt->provider = mem_strdup(conf->provider != NULL ? conf->provider : "");
	mgmt->bound = mem_calloc(ms_row_nr, sizeof(*mgmt->bound));
	if (mgmt->system_name == NULL || mgmt->provider == NULL || mgmt->bound == NULL ||
	    state_create(&mgmt->st) != 0) {
		mgmt_free(mgmt);
		return -DER_NOMEM;
	}
	for (i = 0; i < ms_row_nr; i++)
		mgmt->bound[i] = (struct ms_bound){.mgmt = mgmt, .row = &ms_rows[i]};
	*ret_mgmt = mgmt;
	return 0;
}

/* The replica's data is there. */
static int co_fn
mgmt_run(const struct mgmt_conf *conf, struct mgmt **ret_mgmt)
{
	struct rdb_conf rc_conf = {
	    .xs = conf->xs,
	    .ep = conf->ep,
	    .dir = conf->dir,
	    .prefix = MS_PREFIX,
	    .election_ms = conf->election_ms,
	    .heartbeat_ms = conf->heartbeat_ms,
	    .sm =
		{
		    .apply = sm_apply,
		    .snapshot = sm_snapshot,
		    .restore = sm_restore,
		    .leader = sm_leader,
		    .failed = sm_failed,
		},
	};
	struct mgmt *mgmt;
	uint32_t i;
	int rc;

	rc = mgmt_alloc(conf, &mgmt);
	if (rc != 0)
		return rc;
	rc_conf.sm.arg = mgmt;
	rc = rdb_open(&rc_conf, &mgmt->rdb);
	if (rc != 0) {
		mgmt_free(mgmt);
		return rc;
	}
	mgmt->opened = true;
	rc = ms_spawn(mgmt, lead, mgmt);
	for (i = 0; rc == 0 && i < ms_row_nr; i++)
		rc = rpc_register(conf->ep, ms_rows[i].opc, on_request, &mgmt->bound[i]);
	if (rc != 0) {
		mgmt_stop(mgmt);
		return rc;
	}
	*ret_mgmt = mgmt;
	return 0;
}

int co_fn
mgmt_start(const struct mgmt_conf *conf, struct mgmt **ret_mgmt)
{
	struct env *env = xs_env(conf->xs);
	uint8_t group[16];
	uint64_t id;
	int rc;

	rc = mgmt_run(conf, ret_mgmt);
	if (rc != -DER_NONEXIST || !conf->bootstrap)
		return rc;
	env_rand_fill(env, group, sizeof(group));
	id = env_rand_u64(env) >> 1 | 1;
	rc = rnode_format(conf->xs, conf->dir, MS_PREFIX, group, id, rpc_ep_uri(conf->ep));
	if (rc != 0)
		return rc;
	return mgmt_run(conf, ret_mgmt);
}

int co_fn
mgmt_start_member(const struct mgmt_conf *conf, uint64_t raft_id, const char *const *replica_uris,
		  uint32_t uri_nr, struct mgmt **ret_mgmt)
{
	static const uint8_t no_group[16];
	uint64_t id;
	int rc;

	if (raft_id == 0)
		return -DER_INVAL;
	rc = rnode_peek(conf->xs, conf->dir, MS_PREFIX, &id);
	if (rc != 0 || id != raft_id)
		rc = rnode_format(conf->xs, conf->dir, MS_PREFIX, no_group, raft_id, NULL);
	if (rc != 0)
		return rc;
	return mgmt_run(conf, ret_mgmt);
}

void co_fn
mgmt_stop(struct mgmt *mgmt)
{
	struct pool_op *op;

	if (mgmt == NULL)
		return;
	mgmt->stopping = true;
	mgmt_register_hints(mgmt->conf.ep, mgmt->conf.hints);
	ms_kick(mgmt);
	rnode_stop_begin(rdb_node(mgmt->rdb)); /* ends commits and confirmations under way */
	while (mgmt->busy_nr > 0)
		co_waitq_wait(&mgmt->idle_wq, 0);
	rdb_close(mgmt->rdb);
	while ((op = list_first(&mgmt->ops, struct pool_op, link)) != NULL) {
		list_del(&op->link);
		free(op);
	}
	mgmt_free(mgmt);
}

bool
mgmt_is_leader(const struct mgmt *mgmt)
{
	return mgmt->leading;
}

uint64_t
mgmt_raft_id(const struct mgmt *mgmt)
{
	return rnode_id(rdb_node(mgmt->rdb));
}

bool
mgmt_failed(const struct mgmt *mgmt)
{
	return mgmt->failed_rc != 0;
}
