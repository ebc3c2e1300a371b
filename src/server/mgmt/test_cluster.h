/*
 * A simulated system of nodes that run the management service over engines of cardboard: they join,
 * beat, and remember which pools and containers they were told to make and remove. Tests run as a
 * coroutine of a client node.
 */
#ifndef MGMT_TEST_CLUSTER_H
#define MGMT_TEST_CLUSTER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <daos_cont.h>
#include <daos_errno.h>
#include <daos_pool.h>
#include <daos_prop.h>

#include "base/hash.h"
#include "base/log.h"
#include "client/core/ms.h"
#include "net/fabric/sim.h"
#include "net/rpc/rpc.h"
#include "proto/capability.h"
#include "proto/engine.pb-c.h"
#include "proto/mgmt.pb-c.h"
#include "proto/mgmt_defs.h"
#include "proto/opcodes.h"
#include "runtime/co.h"
#include "runtime/sim.h"
#include "runtime/xs.h"
#include "server/mgmt/mgmt.h"
#include "store/dev/dev.h"

enum {
	TC_NODES = 5,
	TC_PORT = 31416,
	TC_POOLS = 16,
	TC_TARGETS = 4,
	TC_CLIENT = 100, /* simulated host of the client */
};
#define TC_GIB (1ull << 30)

struct tc;
struct tc_node {
	struct tc *tc;
	uint32_t idx;
	struct xs *xs;
	struct net *net;
	struct mem_disk *disk;
	struct dev_dir *dir;
	struct rpc_ep *ep;
	struct mgmt *mgmt;
	struct co_mutex lock;
	struct mgmt_hints hints;
	struct ms_conn *ms;
	bool up;
	bool stopping;
	uint32_t running; /* coroutines */
	/* the cardboard engine: its "disk" outlives crashes */
	uuid_t uuid;
	uint64_t incarnation;
	uint32_t rank;
	uint64_t sys_version;
	uint32_t map_nr; /* maps heard of */
	uint64_t settings_version;
	uint32_t data_thresh, reclaim;
	uint64_t scm_total;
	uuid_t pools[TC_POOLS];
	uint32_t pool_nr;
	uint32_t dead_conts;
	uint32_t stops;
	int fail_create; /* answer to the next creation of a pool */
	bool hang_create;
	bool no_bootstrap;
};

struct tc {
	struct sim *sim;
	struct sim_net *sn;
	uint32_t node_nr;
	struct tc_node nodes[TC_NODES];
	char uris[TC_NODES][RPC_URI_MAX];
	/* client */
	struct net *net;
	struct xs *xs;
	struct rpc_ep *ep;
	struct ms_conn *ms;
	void (*body)(struct tc *tc);
};

static inline uint64_t
tc_rnd(void *arg)
{
	return sim_rand_u64(((struct tc *)arg)->sim);
}

/* --- the engine's side ----------------------------------------------------------------------- */

static inline const char *
tc_hint(uint32_t i, void *arg)
{
	struct tc_node *n = arg;

	return i < n->tc->node_nr ? n->tc->uris[i] : NULL;
}

static inline struct mgmt_conf
tc_mgmt_conf(struct tc_node *n)
{
	return (struct mgmt_conf){
	    .xs = n->xs,
	    .ep = n->ep,
	    .dir = n->dir,
	    .provider = "sim",
	    .bootstrap = n->idx == 0 && !n->no_bootstrap,
	    .insecure = true,
	    .hints = &n->hints,
	};
}

static inline void
tc_on_start_ms(struct rpc_in *in, void *arg)
{
	struct tc_node *n = arg;
	Eng__StartMsReq *req = eng__start_ms_req__unpack(NULL, in->body_len, in->body);
	struct mgmt_conf conf = tc_mgmt_conf(n);
	int rc = 0;

	conf.bootstrap = false;
	co_mutex_lock(&n->lock);
	if (n->mgmt != NULL && mgmt_raft_id(n->mgmt) != req->raft_id) {
		mgmt_stop(n->mgmt);
		n->mgmt = NULL;
	}
	if (n->stopping)
		rc = -DER_SHUTDOWN;
	else if (n->mgmt == NULL)
		rc = mgmt_start_member(&conf, req->raft_id, (const char *const *)req->replica_uris,
				       (uint32_t)req->n_replica_uris, &n->mgmt);
	co_mutex_unlock(&n->lock);
	eng__start_ms_req__free_unpacked(req, NULL);
	rpc_reply(in, rc, NULL, 0);
}

static inline int
tc_pool_idx(const struct tc_node *n, const uint8_t *uuid)
{
	uint32_t i;

	for (i = 0; i < n->pool_nr; i++)
		if (memcmp(n->pools[i], uuid, 16) == 0)
			return (int)i;
	return -1;
}

static inline void
tc_on_pool_create(struct rpc_in *in, void *arg)
{
	struct tc_node *n = arg;
	Eng__PoolCreateReq *req = eng__pool_create_req__unpack(NULL, in->body_len, in->body);
	int rc = n->fail_create;

	n->fail_create = 0;
	while (n->hang_create && !n->stopping)
		co_sleep_ns(10000000);
	if (n->stopping)
		rc = -DER_SHUTDOWN;
	if (rc == 0 && tc_pool_idx(n, req->pool.data) < 0) {
		assert_true(n->pool_nr < TC_POOLS);
		memcpy(n->pools[n->pool_nr++], req->pool.data, 16);
	}
	eng__pool_create_req__free_unpacked(req, NULL);
	rpc_reply(in, rc, NULL, 0);
}

static inline void
tc_on_pool_destroy(struct rpc_in *in, void *arg)
{
	struct tc_node *n = arg;
	Eng__PoolDestroyReq *req = eng__pool_destroy_req__unpack(NULL, in->body_len, in->body);
	int idx = tc_pool_idx(n, req->pool.data);

	if (idx >= 0)
		memcpy(n->pools[idx], n->pools[--n->pool_nr], 16);
	eng__pool_destroy_req__free_unpacked(req, NULL);
	rpc_reply(in, idx >= 0 ? 0 : -DER_NONEXIST, NULL, 0);
}

static inline void
tc_on_pool_query(struct rpc_in *in, void *arg)
{
	Eng__PoolQueryRep rep = ENG__POOL_QUERY_REP__INIT;
	Eng__TargetSpace t[TC_TARGETS];
	Eng__TargetSpace *tp[TC_TARGETS];
	uint8_t buf[1024];
	struct iovec iov = {.iov_base = buf};
	uint32_t i;

	for (i = 0; i < TC_TARGETS; i++) {
		eng__target_space__init(&t[i]);
		t[i].index = i;
		t[i].scm_total = 100;
		t[i].scm_free = 50 + i;
		t[i].nvme_total = 1000;
		t[i].nvme_free = 900;
		tp[i] = &t[i];
	}
	rep.n_targets = TC_TARGETS;
	rep.targets = tp;
	iov.iov_len = eng__pool_query_rep__pack(&rep, buf);
	rpc_reply(in, 0, &iov, 1);
}

static inline void
tc_on_cont_destroy(struct rpc_in *in, void *arg)
{
	((struct tc_node *)arg)->dead_conts++;
	rpc_reply(in, 0, NULL, 0);
}

/* The pool's settings, as engines take them. */
static inline void
tc_saw_settings(struct tc_node *n, const Mgmt__PoolMap *map)
{
	assert_non_null(map->settings);
	if (map->settings->version <= n->settings_version)
		return;
	n->settings_version = map->settings->version;
	n->data_thresh = map->settings->data_thresh;
	n->reclaim = map->settings->reclaim;
}

static inline void
tc_on_map_push(struct rpc_in *in, void *arg)
{
	Eng__MapPushReq *req = eng__map_push_req__unpack(NULL, in->body_len, in->body);
	Mgmt__PoolMap *map;

	assert_non_null(req);
	map = mgmt__pool_map__unpack(NULL, req->pool_map.len, req->pool_map.data);
	assert_non_null(map);
	tc_saw_settings(arg, map);
	mgmt__pool_map__free_unpacked(map, NULL);
	eng__map_push_req__free_unpacked(req, NULL);
	rpc_reply(in, 0, NULL, 0);
}

static inline void
tc_on_stop(struct rpc_in *in, void *arg)
{
	((struct tc_node *)arg)->stops++;
	rpc_reply(in, 0, NULL, 0);
}

static inline void
tc_on_ping(struct rpc_in *in, void *arg)
{
	struct tc_node *n = arg;
	Eng__PingRep rep = ENG__PING_REP__INIT;
	uint8_t buf[64];
	struct iovec iov = {.iov_base = buf};

	rep.rank = n->rank;
	rep.incarnation = n->incarnation;
	rep.ms_replica = n->mgmt != NULL && !mgmt_failed(n->mgmt);
	iov.iov_len = eng__ping_rep__pack(&rep, buf);
	rpc_reply(in, 0, &iov, 1);
}

static inline int
tc_join(struct tc_node *n)
{
	Mgmt__JoinReq req = MGMT__JOIN_REQ__INIT;
	ProtobufCMessage *msg = NULL;
	char domain[32];
	char ctl[32];
	int rc;

	snprintf(domain, sizeof(domain), "/host%u", n->idx);
	snprintf(ctl, sizeof(ctl), "host%u:10001", n->idx);
	req.uuid.data = n->uuid;
	req.uuid.len = 16;
	req.rank = n->rank;
	req.uri = (char *)rpc_ep_uri(n->ep);
	req.target_nr = TC_TARGETS;
	req.fault_domain = domain;
	req.incarnation = n->incarnation;
	req.control_addr = ctl;
	req.scm_total = n->scm_total;
	req.nvme_total = 100 * TC_GIB;
	rc = ms_call(n->ms, OPC_MS_JOIN, &req.base, &mgmt__join_rep__descriptor, &msg, 0);
	if (rc == 0) {
		Mgmt__JoinRep *rep = (Mgmt__JoinRep *)msg;

		n->rank = rep->rank;
		n->sys_version = rep->sys_version;
		n->map_nr += rep->n_maps;
		for (size_t i = 0; i < rep->n_maps; i++)
			tc_saw_settings(n, rep->maps[i]);
		ms_conn_set_uris(n->ms, (const char *const *)rep->replica_uris,
				 rep->n_replica_uris);
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	return rc;
}

static inline int
tc_beat(struct tc_node *n, bool *ret_rejoin)
{
	Mgmt__HeartbeatReq req = MGMT__HEARTBEAT_REQ__INIT;
	ProtobufCMessage *msg = NULL;
	int rc;

	req.rank = n->rank;
	req.incarnation = n->incarnation;
	req.scm_free = 1;
	req.sys_version = n->sys_version;
	rc = ms_call(n->ms, OPC_MS_HEARTBEAT, &req.base, &mgmt__heartbeat_rep__descriptor, &msg,
		     xs_now_fresh_ns(n->xs) + 2000000000ull);
	if (rc == 0) {
		Mgmt__HeartbeatRep *rep = (Mgmt__HeartbeatRep *)msg;

		*ret_rejoin = rep->rejoin;
		if (!rep->rejoin) {
			assert_int_equal(rep->lease_ms, LEASE_MS);
			n->sys_version = rep->sys_version;
			n->map_nr += rep->n_maps;
			for (size_t i = 0; i < rep->n_maps; i++)
				tc_saw_settings(n, rep->maps[i]);
		}
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	return rc;
}

static inline void
tc_life(void *arg)
{
	struct tc_node *n = arg;
	bool joined = false;

	while (!n->stopping) {
		bool rejoin = false;

		if (!joined)
			joined = tc_join(n) == 0;
		else if (tc_beat(n, &rejoin) == 0 && rejoin)
			joined = false;
		if (!n->stopping)
			co_sleep_ns(HEARTBEAT_MS * 1000000ull);
	}
	n->running--;
}

static inline int
tc_node_up_fn(void *arg)
{
	struct tc_node *n = arg;
	struct rpc_ep_conf ec = {.xs = n->xs, .net = n->net, .port = TC_PORT, .accept_calls = true};
	struct mgmt_conf conf;
	const char *uris[TC_NODES];
	uint32_t i;
	int rc;

	n->stopping = false;
	n->hints = (struct mgmt_hints){.replica_uri = tc_hint, .arg = n};
	co_mutex_init(&n->lock);
	assert_int_equal(mem_disk_open(n->disk, &n->dir), 0);
	assert_int_equal(rpc_ep_open(&ec, &n->ep), 0);
	snprintf(n->tc->uris[n->idx], RPC_URI_MAX, "%s", rpc_ep_uri(n->ep));
	rpc_register(n->ep, OPC_ENG_START_MS, tc_on_start_ms, n);
	rpc_register(n->ep, OPC_ENG_POOL_CREATE, tc_on_pool_create, n);
	rpc_register(n->ep, OPC_ENG_POOL_DESTROY, tc_on_pool_destroy, n);
	rpc_register(n->ep, OPC_ENG_POOL_QUERY, tc_on_pool_query, n);
	rpc_register(n->ep, OPC_ENG_CONT_DESTROY, tc_on_cont_destroy, n);
	rpc_register(n->ep, OPC_ENG_MAP_PUSH, tc_on_map_push, n);
	rpc_register(n->ep, OPC_ENG_STOP, tc_on_stop, n);
	rpc_register(n->ep, OPC_ENG_PING, tc_on_ping, n);
	conf = tc_mgmt_conf(n);
	co_mutex_lock(&n->lock);
	rc = mgmt_start(&conf, &n->mgmt);
	co_mutex_unlock(&n->lock);
	if (rc != 0) {
		assert_int_equal(rc, -DER_NONEXIST);
		n->mgmt = NULL;
		assert_int_equal(mgmt_register_hints(n->ep, &n->hints), 0);
	}
	n->incarnation++;
	for (i = 0; i < n->tc->node_nr; i++)
		uris[i] = n->tc->uris[i];
	assert_int_equal(ms_conn_create(n->ep, uris, n->idx + 1, &n->ms), 0);
	n->running = 1;
	assert_int_equal(co_spawn(n->xs, tc_life, n), 0);
	n->up = true;
	return 0;
}

static inline int
tc_node_down_fn(void *arg)
{
	struct tc_node *n = arg;

	n->stopping = true;
	ms_conn_cancel(n->ms);
	co_mutex_lock(&n->lock);
	mgmt_stop(n->mgmt);
	n->mgmt = NULL;
	co_mutex_unlock(&n->lock);
	while (n->running > 0)
		co_sleep_ns(1000000);
	ms_conn_destroy(n->ms);
	rpc_ep_close(n->ep);
	n->ep = NULL;
	dev_dir_close(n->dir);
	n->up = false;
	return 0;
}

/* From a coroutine of the client. */
static inline void
tc_up(struct tc *tc, uint32_t i)
{
	assert_int_equal(xs_call_remote(tc->nodes[i].xs, tc_node_up_fn, &tc->nodes[i]), 0);
}

static inline void
tc_stop(struct tc *tc, uint32_t i)
{
	assert_int_equal(xs_call_remote(tc->nodes[i].xs, tc_node_down_fn, &tc->nodes[i]), 0);
}

static inline void
tc_crash(struct tc *tc, uint32_t i)
{
	mem_disk_stop(tc->nodes[i].disk);
	sim_net_node_down(tc->sn, i, false);
	tc_stop(tc, i);
	mem_disk_restart(tc->nodes[i].disk, tc_rnd, tc);
	sim_net_node_up(tc->sn, i);
}

/* --- world ----------------------------------------------------------------------------------- */

static inline int
tc_main(void *arg)
{
	struct tc *tc = arg;
	struct rpc_ep_conf ec = {.xs = tc->xs, .net = tc->net};
	const char *uris[TC_NODES];
	uint32_t i;

	assert_int_equal(rpc_ep_open(&ec, &tc->ep), 0);
	for (i = 0; i < tc->node_nr; i++)
		tc_up(tc, i);
	for (i = 0; i < tc->node_nr; i++)
		uris[i] = tc->uris[i];
	assert_int_equal(ms_conn_create(tc->ep, uris, tc->node_nr, &tc->ms), 0);
	tc->body(tc);
	ms_conn_destroy(tc->ms);
	for (i = 0; i < tc->node_nr; i++)
		if (tc->nodes[i].up)
			tc_stop(tc, i);
	rpc_ep_close(tc->ep);
	return 0;
}

static inline struct xs *
tc_xs(struct tc *tc, const char *name)
{
	struct xs_conf conf = {.name = name, .env = sim_env_create(tc->sim, 0), .cpu = -1};
	struct xs *xs;

	assert_int_equal(xs_create(&conf, &xs), 0);
	return xs;
}

static inline void
tc_run(uint64_t seed, uint32_t node_nr, void (*body)(struct tc *tc))
{
	static struct tc world;
	struct tc *tc = &world;
	uint32_t i;

	memset(tc, 0, sizeof(*tc));
	tc->node_nr = node_nr;
	tc->body = body;
	assert_int_equal(sim_create(seed, &tc->sim), 0);
	assert_int_equal(sim_net_create(tc->sim, &tc->sn), 0);
	for (i = 0; i < node_nr; i++) {
		struct tc_node *n = &tc->nodes[i];
		char name[16];

		snprintf(name, sizeof(name), "node%u", i);
		n->tc = tc;
		n->idx = i;
		n->rank = MGMT_RANK_NONE;
		n->scm_total = 10 * TC_GIB;
		memset(n->uuid, (int)(0x10 + i), 16);
		n->xs = tc_xs(tc, name);
		assert_int_equal(net_open_sim(tc->sn, i, &n->net), 0);
		assert_int_equal(mem_disk_create(tc->sim, 256 << 20, &n->disk), 0);
		assert_int_equal(xs_thread_start(n->xs), 0);
	}
	assert_int_equal(net_open_sim(tc->sn, TC_CLIENT, &tc->net), 0);
	tc->xs = tc_xs(tc, "client");
	assert_int_equal(xs_call(tc->xs, tc_main, tc), 0);
	for (i = 0; i < node_nr; i++) {
		struct tc_node *n = &tc->nodes[i];

		xs_stop(n->xs);
		xs_thread_join(n->xs);
		xs_destroy(n->xs);
		net_close(n->net);
		mem_disk_destroy(n->disk);
	}
	xs_destroy(tc->xs);
	net_close(tc->net);
	sim_net_destroy(tc->sn);
	sim_destroy(tc->sim);
}

/* --- the client's requests ------------------------------------------------------------------- */

#define TC_CALL(tc, opc, req, rep_type, rep_desc, ret)                                             \
	ms_call((tc)->ms, opc, &(req)->base, rep_desc, (ProtobufCMessage **)(ret),                 \
		xs_now_fresh_ns((tc)->xs) + 60000000000ull)

static inline void
tc_bytes(ProtobufCBinaryData *b, const void *data)
{
	b->data = (uint8_t *)data;
	b->len = 16;
}

static inline int
tc_pool_create(struct tc *tc, const char *label, uint64_t scm, uuid_t ret_uuid)
{
	Mgmt__PoolCreateReq req = MGMT__POOL_CREATE_REQ__INIT;
	Mgmt__PoolCreateRep *rep = NULL;
	struct ms_cmd cmd;
	int rc;

	ms_cmd_begin(tc->ms, &cmd);
	req.id = &cmd.id;
	req.label = (char *)label;
	req.scm_bytes = scm;
	req.nvme_bytes = TC_GIB;
	rc = TC_CALL(tc, OPC_MS_POOL_CREATE, &req, Mgmt__PoolCreateRep,
		     &mgmt__pool_create_rep__descriptor, &rep);
	ms_cmd_end(&cmd);
	if (rc == 0) {
		assert_int_equal(rep->uuid.len, 16);
		memcpy(ret_uuid, rep->uuid.data, 16);
		mgmt__pool_create_rep__free_unpacked(rep, NULL);
	}
	return rc;
}

static inline int
tc_pool_destroy(struct tc *tc, const char *name, bool force, bool recursive)
{
	Mgmt__PoolDestroyReq req = MGMT__POOL_DESTROY_REQ__INIT;
	struct ms_cmd cmd;
	int rc;

	ms_cmd_begin(tc->ms, &cmd);
	req.id = &cmd.id;
	req.pool = (char *)name;
	req.force = force;
	req.recursive = recursive;
	rc = TC_CALL(tc, OPC_MS_POOL_DESTROY, &req, void, NULL, NULL);
	ms_cmd_end(&cmd);
	return rc;
}

static inline int
tc_connect(struct tc *tc, const char *name, const void *handle, uint64_t flags)
{
	Mgmt__PoolConnectReq req = MGMT__POOL_CONNECT_REQ__INIT;
	Mgmt__PoolConnectRep *rep = NULL;
	struct ms_cmd cmd;
	int rc;

	ms_cmd_begin(tc->ms, &cmd);
	req.id = &cmd.id;
	req.pool = (char *)name;
	req.flags = flags;
	tc_bytes(&req.handle, handle);
	rc = TC_CALL(tc, OPC_MS_POOL_CONNECT, &req, Mgmt__PoolConnectRep,
		     &mgmt__pool_connect_rep__descriptor, &rep);
	ms_cmd_end(&cmd);
	if (rc == 0) {
		assert_true(rep->map->n_targets > 0);
		assert_true(rep->n_props > 20);
		mgmt__pool_connect_rep__free_unpacked(rep, NULL);
	}
	return rc;
}

static inline int
tc_disconnect(struct tc *tc, const uuid_t pool, const void *handle)
{
	Mgmt__PoolDisconnectReq req = MGMT__POOL_DISCONNECT_REQ__INIT;
	struct ms_cmd cmd;
	int rc;

	ms_cmd_begin(tc->ms, &cmd);
	req.id = &cmd.id;
	tc_bytes(&req.pool, pool);
	tc_bytes(&req.handle, handle);
	rc = TC_CALL(tc, OPC_MS_POOL_DISCONNECT, &req, void, NULL, NULL);
	ms_cmd_end(&cmd);
	return rc;
}

static inline int
tc_cont_create(struct tc *tc, const uuid_t pool, const void *ph, const void *uuid,
	       const char *label)
{
	Mgmt__ContCreateReq req = MGMT__CONT_CREATE_REQ__INIT;
	Mgmt__Prop prop = MGMT__PROP__INIT;
	Mgmt__Prop *pp = &prop;
	struct ms_cmd cmd;
	int rc;

	ms_cmd_begin(tc->ms, &cmd);
	req.id = &cmd.id;
	tc_bytes(&req.pool, pool);
	tc_bytes(&req.pool_handle, ph);
	tc_bytes(&req.uuid, uuid);
	prop.type = DAOS_PROP_CO_LABEL;
	prop.kind = PROP_KIND_STR;
	prop.str = (char *)label;
	req.n_props = label != NULL ? 1 : 0;
	req.props = &pp;
	rc = TC_CALL(tc, OPC_MS_CONT_CREATE, &req, void, NULL, NULL);
	ms_cmd_end(&cmd);
	return rc;
}

static inline int
tc_cont_open(struct tc *tc, const uuid_t pool, const void *ph, const char *name, const void *handle,
	     uint64_t flags, struct capability *ret_cap, uint8_t ret_raw[CAP_BYTES])
{
	Mgmt__ContOpenReq req = MGMT__CONT_OPEN_REQ__INIT;
	Mgmt__ContOpenRep *rep = NULL;
	struct ms_cmd cmd;
	int rc;

	ms_cmd_begin(tc->ms, &cmd);
	req.id = &cmd.id;
	tc_bytes(&req.pool, pool);
	tc_bytes(&req.pool_handle, ph);
	req.cont = (char *)name;
	req.flags = flags;
	tc_bytes(&req.handle, handle);
	rc = TC_CALL(tc, OPC_MS_CONT_OPEN, &req, Mgmt__ContOpenRep,
		     &mgmt__cont_open_rep__descriptor, &rep);
	ms_cmd_end(&cmd);
	if (rc == 0) {
		assert_int_equal(rep->capability.len, CAP_BYTES);
		if (ret_raw != NULL)
			memcpy(ret_raw, rep->capability.data, CAP_BYTES);
		mgmt__cont_open_rep__free_unpacked(rep, NULL);
	}
	return rc;
}

static inline int
tc_cont_close(struct tc *tc, const uuid_t pool, const void *handle)
{
	Mgmt__ContCloseReq req = MGMT__CONT_CLOSE_REQ__INIT;
	struct ms_cmd cmd;
	int rc;

	ms_cmd_begin(tc->ms, &cmd);
	req.id = &cmd.id;
	tc_bytes(&req.pool, pool);
	tc_bytes(&req.handle, handle);
	rc = TC_CALL(tc, OPC_MS_CONT_CLOSE, &req, void, NULL, NULL);
	ms_cmd_end(&cmd);
	return rc;
}

static inline int
tc_cont_destroy(struct tc *tc, const uuid_t pool, const void *ph, const char *name, bool force)
{
	Mgmt__ContDestroyReq req = MGMT__CONT_DESTROY_REQ__INIT;
	struct ms_cmd cmd;
	int rc;

	ms_cmd_begin(tc->ms, &cmd);
	req.id = &cmd.id;
	tc_bytes(&req.pool, pool);
	tc_bytes(&req.pool_handle, ph);
	req.cont = (char *)name;
	req.force = force;
	rc = TC_CALL(tc, OPC_MS_CONT_DESTROY, &req, void, NULL, NULL);
	ms_cmd_end(&cmd);
	return rc;
}

static inline int
tc_alloc(struct tc *tc, const uuid_t pool, const void *handle, uint64_t nr, uint64_t *ret_first)
{
	Mgmt__ContAllocOidsReq req = MGMT__CONT_ALLOC_OIDS_REQ__INIT;
	Mgmt__ContAllocOidsRep *rep = NULL;
	struct ms_cmd cmd;
	int rc;

	ms_cmd_begin(tc->ms, &cmd);
	req.id = &cmd.id;
	tc_bytes(&req.pool, pool);
	tc_bytes(&req.cont_handle, handle);
	req.nr = nr;
	rc = TC_CALL(tc, OPC_MS_CONT_ALLOC_OIDS, &req, Mgmt__ContAllocOidsRep,
		     &mgmt__cont_alloc_oids_rep__descriptor, &rep);
	ms_cmd_end(&cmd);
	if (rc == 0) {
		*ret_first = rep->first;
		mgmt__cont_alloc_oids_rep__free_unpacked(rep, NULL);
	}
	return rc;
}

static inline Mgmt__SystemQueryRep *
tc_system(struct tc *tc, const char *ranks)
{
	Mgmt__SystemQueryReq req = MGMT__SYSTEM_QUERY_REQ__INIT;
	Mgmt__SystemQueryRep *rep = NULL;

	req.ranks = (char *)ranks;
	assert_int_equal(TC_CALL(tc, OPC_MS_SYSTEM_QUERY, &req, Mgmt__SystemQueryRep,
				 &mgmt__system_query_rep__descriptor, &rep),
			 0);
	return rep;
}

static inline uint32_t
tc_pool_nr(struct tc *tc)
{
	Mgmt__PoolListReq req = MGMT__POOL_LIST_REQ__INIT;
	Mgmt__PoolListRep *rep = NULL;
	uint32_t nr;

	assert_int_equal(TC_CALL(tc, OPC_MS_POOL_LIST, &req, Mgmt__PoolListRep,
				 &mgmt__pool_list_rep__descriptor, &rep),
			 0);
	nr = (uint32_t)rep->n_pools;
	mgmt__pool_list_rep__free_unpacked(rep, NULL);
	return nr;
}

/* Wait until that many ranks are joined and that many are replicas. */
static inline void
tc_settle(struct tc *tc, uint32_t ranks, uint32_t replicas)
{
	uint32_t i;

	for (i = 0; i < 600; i++) {
		Mgmt__SystemQueryRep *rep = tc_system(tc, "");
		uint32_t joined = 0;
		uint32_t reps = (uint32_t)rep->n_replica_ranks;
		size_t k;

		for (k = 0; k < rep->n_ranks; k++)
			joined += rep->ranks[k]->state == SYS_ST_JOINED;
		mgmt__system_query_rep__free_unpacked(rep, NULL);
		if (joined == ranks && reps == replicas)
			return;
		co_sleep_ns(100000000);
	}
	fail_msg("the system did not settle");
}

#endif
