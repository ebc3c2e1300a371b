/*
 * One engine on the simulated network and a disk in memory, with a management service that is
 * played by the test: joins and heartbeats are answered by hand, requests of clients are made by
 * hand. So every status an engine can answer is reached.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <daos_prop.h>

#include "base/hash.h"
#include "base/log.h"
#include "net/fabric/sim.h"
#include "proto/engine.pb-c.h"
#include "proto/mgmt.pb-c.h"
#include "proto/opcodes.h"
#include "runtime/sim.h"
#include "server/engine/engine_internal.h"
#include "server/engine/engine_testing.h"

enum {
	MS_NODE = 1,
	ENGINE_NODE = 2,
	CLIENT_NODE = 3,
	MS_PORT = 500,
	ENGINE_PORT = 1000,
	TARGET_NR = 2,
	SCM_BYTES = 16 << 20,
	NVME_BYTES = 64 << 20,
};
#define MS  1000000ull
#define SEC 1000000000ull

struct world {
	struct sim *sim;
	struct sim_net *sn;
	struct net *ms_net, *engine_net, *client_net;
	struct env *ms_env, *engine_env, *client_env;
	struct xs *ms_xs, *client_xs;
	struct rpc_ep *ms_ep, *client_ep;
	struct mem_disk *disk;
	struct dev_dir *dir;
	struct engine *engine;
	/* the service */
	bool mute; /* heartbeats get no lease */
	bool rejoin_once;
	uint32_t join_nr, beat_nr, map_get_nr;
	uint32_t state; /* last one told */
	bool error;
	uuid_t pool, cont;
	uint8_t key[CAP_KEY_BYTES];
	Mgmt__PoolMap *map;
	Mgmt__PoolMap *newer_map; /* given out on request only */
	uint64_t sys_version;
	/* the client */
	struct raw raw[TARGET_NR];
	struct rpc_peer *sys_peer;
	int (*body)(struct world *w);
	int stage;
};

/* --- the service's side --- */

static void
reply_pb(struct rpc_in *in, const ProtobufCMessage *msg)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	uint8_t *buf = malloc(len + 1);
	struct iovec iov = {.iov_base = buf, .iov_len = len};

	protobuf_c_message_pack(msg, buf);
	rpc_reply(in, 0, &iov, 1);
	free(buf);
}

static void
ms_join(struct rpc_in *in, void *arg)
{
	Mgmt__JoinReq *req = mgmt__join_req__unpack(NULL, in->body_len, in->body);
	Mgmt__JoinRep rep = MGMT__JOIN_REP__INIT;
	static uint8_t system[16] = {9, 9, 9};
	struct world *w = arg;

	assert_non_null(req);
	assert_int_equal(req->target_nr, TARGET_NR);
	assert_int_equal(req->uuid.len, 16);
	assert_string_equal(req->fault_domain, "/n0");
	assert_true(w->join_nr == 0 ? req->rank == MGMT_RANK_NONE : req->rank == 7);
	w->join_nr++;
	rep.rank = 7;
	rep.cap_key = (ProtobufCBinaryData){.data = w->key, .len = CAP_KEY_BYTES};
	rep.system_uuid = (ProtobufCBinaryData){.data = system, .len = 16};
	rep.sys_version = w->sys_version;
	if (w->map != NULL) {
		rep.n_maps = 1;
		rep.maps = &w->map;
	}
	reply_pb(in, &rep.base);
	mgmt__join_req__free_unpacked(req, NULL);
}

static void
ms_heartbeat(struct rpc_in *in, void *arg)
{
	Mgmt__HeartbeatReq *req = mgmt__heartbeat_req__unpack(NULL, in->body_len, in->body);
	Mgmt__HeartbeatRep rep = MGMT__HEARTBEAT_REP__INIT;
	struct world *w = arg;

	assert_non_null(req);
	assert_int_equal(req->rank, 7);
	w->beat_nr++;
	rep.lease_ms = w->mute ? 0 : LEASE_MS;
	rep.sys_version = w->sys_version;
	rep.rejoin = w->rejoin_once;
	w->rejoin_once = false;
	if (w->mute) {
		rpc_reply(in, -DER_AGAIN, NULL, 0);
	} else {
		if (req->sys_version < w->sys_version && w->map != NULL) {
			rep.n_maps = 1;
			rep.maps = &w->map;
		}
		reply_pb(in, &rep.base);
	}
	mgmt__heartbeat_req__free_unpacked(req, NULL);
}

static void
ms_map_get(struct rpc_in *in, void *arg)
{
	Mgmt__PoolMapGetReq *req = mgmt__pool_map_get_req__unpack(NULL, in->body_len, in->body);
	Mgmt__PoolMapGetRep rep = MGMT__POOL_MAP_GET_REP__INIT;
	struct world *w = arg;

	assert_non_null(req);
	w->map_get_nr++;
	rep.map = w->newer_map;
	reply_pb(in, &rep.base);
	mgmt__pool_map_get_req__free_unpacked(req, NULL);
}

static int
ms_open(void *arg)
{
	struct world *w = arg;
	struct rpc_ep_conf conf = {
	    .xs = w->ms_xs, .net = w->ms_net, .port = MS_PORT, .accept_calls = true};

	assert_int_equal(rpc_ep_open(&conf, &w->ms_ep), 0);
	assert_int_equal(rpc_register(w->ms_ep, OPC_MS_JOIN, ms_join, w), 0);
	assert_int_equal(rpc_register(w->ms_ep, OPC_MS_HEARTBEAT, ms_heartbeat, w), 0);
	assert_int_equal(rpc_register(w->ms_ep, OPC_MS_POOL_MAP_GET, ms_map_get, w), 0);
	return 0;
}

static int
ms_close(void *arg)
{
	struct world *w = arg;

	rpc_ep_close(w->ms_ep);
	return 0;
}

static Mgmt__PoolMap *
make_map(struct world *w, uint32_t version)
{
	Mgmt__PoolMap *map = calloc(1, sizeof(*map));
	Mgmt__Rank *rank = calloc(1, sizeof(*rank));

	mgmt__pool_map__init(map);
	mgmt__rank__init(rank);
	rank->rank = 7;
	rank->target_nr = TARGET_NR;
	rank->uri = strdup("sim://engine");
	rank->fault_domain = strdup("/n0");
	map->version = version;
	map->pool_uuid.data = malloc(16);
	map->pool_uuid.len = 16;
	memcpy(map->pool_uuid.data, w->pool, 16);
	map->n_ranks = 1;
	map->ranks = malloc(sizeof(*map->ranks));
	map->ranks[0] = rank;
	map->n_targets = TARGET_NR;
	map->targets = malloc(TARGET_NR * sizeof(*map->targets));
	for (uint32_t i = 0; i < TARGET_NR; i++) {
		Mgmt__Target *t = calloc(1, sizeof(*t));

		mgmt__target__init(t);
		t->rank = 7;
		t->index = i;
		t->id = i;
		t->state = TGT_ST_UPIN;
		map->targets[i] = t;
	}
	return map;
}

/* --- the world --- */

static struct xs *
make_xs(const char *name, struct env *env)
{
	struct xs_conf conf = {.name = name, .env = env, .cpu = -1};
	struct xs *xs;

	assert_int_equal(xs_create(&conf, &xs), 0);
	return xs;
}

static void
on_state(uint32_t state, uint32_t rank, void *arg)
{
	struct world *w = arg;

	w->state = state;
	if (state == SYS_ST_JOINED)
		assert_int_equal(rank, 7);
}

static void
on_error(const char *text, void *arg)
{
	struct world *w = arg;

	w->error = true;
}

static void
engine_conf_of(struct world *w, struct engine_conf *conf, const char **uri)
{
	*uri = rpc_ep_uri(w->ms_ep);
	*conf = (struct engine_conf){
	    .env = w->engine_env,
	    .net = w->engine_net,
	    .dir = w->dir,
	    .system_name = "test",
	    .port = ENGINE_PORT,
	    .target_nr = TARGET_NR,
	    .rank = MGMT_RANK_NONE,
	    .fault_domain = "/n0",
	    .ms_uris = uri,
	    .ms_uri_nr = 1,
	    .scm_bytes = 4ull * SCM_BYTES * TARGET_NR,
	    .nvme_bytes = 4ull * NVME_BYTES * TARGET_NR,
	    .first_core = -1,
	    .on_state = on_state,
	    .on_error = on_error,
	    .cb_arg = w,
	};
}

static bool
has_joined(void *arg)
{
	struct world *w = arg;

	return w->error || (w->state == SYS_ST_JOINED &&
			    atomic_load(&w->engine->lease_until_ns) > sim_now_ns(w->sim));
}

static void
engine_up(struct world *w)
{
	struct engine_conf conf;
	const char *uri;

	assert_int_equal(mem_disk_open(w->disk, &w->dir), 0);
	engine_conf_of(w, &conf, &uri);
	w->state = 0;
	assert_int_equal(engine_start(&conf, &w->engine), 0);
	assert_int_equal(sim_run_until(w->sim, has_joined, w, sim_now_ns(w->sim) + 60 * SEC), 0);
	assert_false(w->error);
}

static void
engine_down(struct world *w)
{
	engine_stop(w->engine);
	w->engine = NULL;
	dev_dir_close(w->dir);
	w->dir = NULL;
}

static uint64_t
disk_rnd(void *arg)
{
	return sim_rand_u64(arg);
}

/* As a power failure: the disk stops where it is, the network is gone, then what is left is cleared
 * away. */
static void
engine_crash(struct world *w)
{
	mem_disk_stop(w->disk);
	sim_net_node_down(w->sn, ENGINE_NODE, false);
	engine_down(w);
	mem_disk_restart(w->disk, disk_rnd, w->sim);
	sim_net_node_up(w->sn, ENGINE_NODE);
}

static int
client_open(void *arg)
{
	struct world *w = arg;
	struct rpc_ep_conf conf = {.xs = w->client_xs, .net = w->client_net};
	char uri[RPC_URI_MAX];

	assert_int_equal(rpc_ep_open(&conf, &w->client_ep), 0);
	assert_int_equal(rpc_peer_get(w->client_ep, engine_uri(w->engine), &w->sys_peer), 0);
	for (uint32_t i = 0; i < TARGET_NR; i++) {
		struct raw *r = &w->raw[i];

		r->xs = w->client_xs;
		r->ep = w->client_ep;
		assert_int_equal(rpc_uri_of_tag(engine_uri(w->engine), i + 1, uri, sizeof(uri)), 0);
		assert_int_equal(rpc_peer_get(w->client_ep, uri, &r->peer), 0);
		r->client[0] = 77;
		r->client[1] = i;
		r->map_ver = 1;
		r->retry_nr = 20;
	}
	return 0;
}

static int
client_close(void *arg)
{
	struct world *w = arg;

	for (uint32_t i = 0; i < TARGET_NR; i++)
		rpc_peer_put(w->raw[i].peer);
	rpc_peer_put(w->sys_peer);
	rpc_ep_close(w->client_ep);
	return 0;
}

static int
client_body(void *arg)
{
	struct world *w = arg;

	return w->body(w);
}

/* Run a function as the client's coroutine. */
static void
client_do(struct world *w, int (*body)(struct world *w))
{
	w->body = body;
	assert_int_equal(xs_call(w->client_xs, client_body, w), 0);
}

/* --- control requests --- */

static int co_fn
ctl(struct world *w, uint32_t opc, const ProtobufCMessage *msg, struct rpc_call *ret_call)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	uint8_t *buf = malloc(len + 1);
	struct raw r = w->raw[0];
	int rc;

	protobuf_c_message_pack(msg, buf);
	r.peer = w->sys_peer;
	rc = raw_call(&r, opc, buf, len, ret_call);
	free(buf);
	return rc;
}

static int co_fn
ctl_status(struct world *w, uint32_t opc, const ProtobufCMessage *msg)
{
	struct rpc_call call;
	int rc = ctl(w, opc, msg, &call);

	rpc_call_fini(&call);
	return rc;
}

static int co_fn
pool_create(struct world *w, const uint8_t *uuid, uint64_t scm, uint64_t nvme)
{
	Eng__PoolCreateReq req = ENG__POOL_CREATE_REQ__INIT;

	req.pool = (ProtobufCBinaryData){.data = (uint8_t *)uuid, .len = 16};
	req.scm_bytes = scm;
	req.nvme_bytes = nvme;
	return ctl_status(w, OPC_ENG_POOL_CREATE, &req.base);
}

static int co_fn
pool_destroy(struct world *w, const uint8_t *uuid)
{
	Eng__PoolDestroyReq req = ENG__POOL_DESTROY_REQ__INIT;

	req.pool = (ProtobufCBinaryData){.data = (uint8_t *)uuid, .len = 16};
	return ctl_status(w, OPC_ENG_POOL_DESTROY, &req.base);
}

static int co_fn
map_push(struct world *w, Mgmt__PoolMap *map)
{
	Eng__MapPushReq req = ENG__MAP_PUSH_REQ__INIT;
	size_t len = mgmt__pool_map__get_packed_size(map);
	uint8_t *buf = malloc(len);
	int rc;

	mgmt__pool_map__pack(map, buf);
	req.pool_map = (ProtobufCBinaryData){.data = buf, .len = len};
	rc = ctl_status(w, OPC_ENG_MAP_PUSH, &req.base);
	free(buf);
	return rc;
}

static int co_fn
cont_destroy(struct world *w)
{
	Eng__ContDestroyReq req = ENG__CONT_DESTROY_REQ__INIT;

	req.pool = (ProtobufCBinaryData){.data = w->pool, .len = 16};
	req.cont = (ProtobufCBinaryData){.data = w->cont, .len = 16};
	return ctl_status(w, OPC_ENG_CONT_DESTROY, &req.base);
}

static int co_fn
make_pool(struct world *w)
{
	assert_int_equal(pool_create(w, w->pool, SCM_BYTES, NVME_BYTES), 0);
	assert_int_equal(map_push(w, w->map), 0);
	return 0;
}

static void
fresh_cap(struct world *w, uint64_t rights)
{
	uint64_t expires = env_real_ns(w->client_env) / MS + CAP_LIFE_MS;

	for (uint32_t i = 0; i < TARGET_NR; i++)
		raw_cap(&w->raw[i], w->pool, w->cont, rights, expires, w->key);
}

static void
world_open(struct world *w, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	assert_int_equal(sim_create(seed, &w->sim), 0);
	assert_int_equal(sim_net_create(w->sim, &w->sn), 0);
	assert_int_equal(net_open_sim(w->sn, MS_NODE, &w->ms_net), 0);
	assert_int_equal(net_open_sim(w->sn, ENGINE_NODE, &w->engine_net), 0);
	assert_int_equal(net_open_sim(w->sn, CLIENT_NODE, &w->client_net), 0);
	w->ms_env = sim_env_create(w->sim, 0);
	w->engine_env = sim_env_create(w->sim, 0);
	w->client_env = sim_env_create(w->sim, 0);
	w->ms_xs = make_xs("ms", w->ms_env);
	w->client_xs = make_xs("client", w->client_env);
	assert_int_equal(xs_thread_start(w->ms_xs), 0);
	assert_int_equal(xs_thread_start(w->client_xs), 0);
	assert_int_equal(mem_disk_create(w->sim, 2ull << 30, &w->disk), 0);
	memset(w->pool, 0x11, 16);
	memset(w->cont, 0x22, 16);
	memset(w->key, 0x33, sizeof(w->key));
	w->map = make_map(w, 1);
	w->sys_version = 1;
	assert_int_equal(xs_call(w->ms_xs, ms_open, w), 0);
	engine_up(w);
	assert_int_equal(xs_call(w->client_xs, client_open, w), 0);
}

static void
world_close(struct world *w)
{
	assert_int_equal(xs_call(w->client_xs, client_close, w), 0);
	engine_down(w);
	assert_int_equal(xs_call(w->ms_xs, ms_close, w), 0);
	xs_stop(w->ms_xs);
	xs_thread_join(w->ms_xs);
	xs_destroy(w->ms_xs);
	xs_stop(w->client_xs);
	xs_thread_join(w->client_xs);
	xs_destroy(w->client_xs);
	mgmt__pool_map__free_unpacked(w->map, NULL);
	if (w->newer_map != NULL)
		mgmt__pool_map__free_unpacked(w->newer_map, NULL);
	mem_disk_destroy(w->disk);
	net_close(w->ms_net);
	net_close(w->engine_net);
	net_close(w->client_net);
	sim_net_destroy(w->sn);
	sim_destroy(w->sim);
}

static daos_obj_id_t
oid(uint64_t n)
{
	daos_obj_id_t o = {.lo = n, .hi = 1ull << 48 | 1ull << 32}; /* one copy, one group */

	return o;
}

static void
fill(uint8_t *buf, size_t len, uint64_t salt)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)hash_u64(salt + i / 8) + (uint8_t)i;
}

/* --- what must work --- */

static int
body_io(struct world *w)
{
	enum { BIG = 1 << 20 };
	struct raw *r = &w->raw[0];
	uint8_t *a = malloc(BIG), *b = malloc(BIG);
	uint64_t size, data;

	make_pool(w);
	fresh_cap(w, CAP_READ | CAP_WRITE);

	/* reading what was never written creates nothing and finds nothing */
	assert_int_equal(raw_read(r, oid(1), "k", 0, b, 100, false, 0, &size, &data), 0);
	assert_int_equal(size + data, 0);
	assert_int_equal(
	    raw_read(r, oid(1), "k", 0, b, 100, false, DAOS_COND_DKEY_FETCH, &size, &data),
	    -DER_NONEXIST);
	assert_int_equal(raw_punch(r, oid(1), "k", 0), 0);
	assert_int_equal(raw_punch(r, oid(1), "k", DAOS_COND_PUNCH), -DER_NONEXIST);

	/* small, in the message */
	fill(a, 300, 1);
	assert_int_equal(raw_write(r, oid(1), "k", 1000, a, 300, false, 0), 0);
	r->send_cap = false; /* known from now on */
	memset(b, 0xee, 600);
	assert_int_equal(raw_read(r, oid(1), "k", 900, b, 600, false, 0, &size, &data), 0);
	assert_int_equal(size, 1);
	assert_int_equal(data, 300);
	assert_memory_equal(b + 100, a, 300);
	assert_int_equal(b[99], 0xee);
	assert_int_equal(b[400], 0xee);
	assert_true(r->reply_epoch > 0);
	assert_int_equal(r->reply_map_ver, 1);

	/* large, by bulk, both ways, with a hole */
	fill(a, BIG, 2);
	assert_int_equal(raw_write(r, oid(2), "k", 0, a, 400000, true, 0), 0);
	assert_int_equal(raw_write(r, oid(2), "k", 500000, a + 500000, BIG - 500000, true, 0), 0);
	memset(b, 0xee, BIG);
	assert_int_equal(raw_read(r, oid(2), "k", 0, b, BIG, true, 0, &size, &data), 0);
	assert_int_equal(data, BIG - 100000);
	assert_memory_equal(a, b, 400000);
	assert_memory_equal(a + 500000, b + 500000, BIG - 500000);
	for (int i = 400000; i < 500000; i++)
		assert_int_equal(b[i], 0xee);
	/* more than fits a message without a bulk */
	assert_int_equal(raw_read(r, oid(2), "k", 0, b, BIG, false, 0, &size, &data), -DER_INVAL);

	/* single values */
	assert_int_equal(raw_put(r, oid(3), "k", a, 5000, 0), 0);
	assert_int_equal(raw_size(r, oid(3), "k", &size), 0);
	assert_int_equal(size, 5000);
	assert_int_equal(raw_get(r, oid(3), "k", b, 100, &size), -DER_REC2BIG);
	assert_int_equal(size, 5000);
	memset(b, 0, 5000);
	assert_int_equal(raw_get(r, oid(3), "k", b, 6000, &size), 0);
	assert_int_equal(size, 5000);
	assert_memory_equal(a, b, 5000);
	assert_int_equal(raw_put(r, oid(3), "k", a, 100000, 0), 0);
	assert_int_equal(raw_get(r, oid(3), "k", b, 100000, &size), 0);
	assert_memory_equal(a, b, 100000);

	/* conditions and punch */
	assert_int_equal(raw_put(r, oid(3), "k", a, 10, DAOS_COND_DKEY_INSERT), -DER_EXIST);
	assert_int_equal(raw_put(r, oid(3), "q", a, 10, DAOS_COND_DKEY_UPDATE), -DER_NONEXIST);
	assert_int_equal(raw_punch(r, oid(3), "k", 0), 0);
	assert_int_equal(raw_get(r, oid(3), "k", b, 100, &size), 0);
	assert_int_equal(size, 0);
	assert_int_equal(raw_put(r, oid(3), "k", a, 10, DAOS_COND_DKEY_INSERT), 0);

	/* targets are apart */
	assert_int_equal(raw_get(&w->raw[1], oid(3), "k", b, 100, &size), 0);
	assert_int_equal(size, 0);
	free(a);
	free(b);
	return 0;
}

static void
test_io(void **state)
{
	struct world w;

	world_open(&w, 1);
	client_do(&w, body_io);
	world_close(&w);
}

/* --- listing and query --- */

static int
body_list(struct world *w)
{
	enum { KEY_NR = 1000 };
	struct raw *r = &w->raw[0];
	struct obj_list m = {.kind = OBJ_LIST_DKEY, .max_nr = 100, .max_bytes = 4096};
	struct obj_query q = {0};
	uint8_t seen[KEY_NR] = {0};
	struct rpc_call call;
	struct codec_wr wr;
	uint32_t rounds = 0, found = 0;
	bool eof = false;

	make_pool(w);
	fresh_cap(w, CAP_READ | CAP_WRITE);
	for (int i = 0; i < KEY_NR; i++) {
		char key[32];

		snprintf(key, sizeof(key), "key-%d", i);
		assert_int_equal(raw_put(r, oid(5), key, key, 10, 0), 0);
	}
	raw_head(r, oid(5), &m.head);
	while (!eof) {
		struct obj_scratch s = {0};
		struct obj_list_rep rep;

		codec_wr_init(&wr, 0);
		obj_list_encode(&wr, &m);
		assert_int_equal(raw_call(r, OPC_OBJ_LIST, wr.base, wr.len, &call), 0);
		assert_int_equal(obj_list_rep_decode(call.reply, call.reply_len, m.kind, &s, &rep),
				 0);
		assert_true(rep.nr <= 100);
		for (uint32_t i = 0; i < rep.nr; i++) {
			char key[32] = {0};
			int n;

			assert_true(rep.keys[i].iov_len < sizeof(key));
			memcpy(key, rep.keys[i].iov_buf, rep.keys[i].iov_len);
			assert_int_equal(sscanf(key, "key-%d", &n), 1);
			assert_int_equal(seen[n]++, 0);
			found++;
		}
		memcpy(m.anchor, rep.anchor, sizeof(m.anchor));
		eof = rep.eof;
		rounds++;
		rpc_call_fini(&call);
		obj_scratch_fini(&s);
		codec_wr_fini(&wr);
		assert_true(rounds < 100);
	}
	assert_int_equal(found, KEY_NR);

	/* a key that does not fit says how long it is */
	{
		struct obj_scratch s = {0};
		struct obj_list_rep rep;

		memset(m.anchor, 0, sizeof(m.anchor));
		m.max_bytes = 3;
		codec_wr_init(&wr, 0);
		obj_list_encode(&wr, &m);
		assert_int_equal(raw_call(r, OPC_OBJ_LIST, wr.base, wr.len, &call), 0);
		assert_int_equal(obj_list_rep_decode(call.reply, call.reply_len, m.kind, &s, &rep),
				 0);
		assert_int_equal(rep.nr, 0);
		assert_in_range(rep.key2big, 5, 7);
		assert_false(rep.eof);
		rpc_call_fini(&call);
		obj_scratch_fini(&s);
		codec_wr_fini(&wr);
	}

	/* newest change of the object */
	raw_head(r, oid(5), &q.head);
	codec_wr_init(&wr, 0);
	obj_query_encode(&wr, &q);
	assert_int_equal(raw_call(r, OPC_OBJ_QUERY_KEY, wr.base, wr.len, &call), 0);
	{
		struct obj_query_rep rep;

		assert_int_equal(obj_query_rep_decode(call.reply, call.reply_len, &rep), 0);
		assert_true(rep.found);
		assert_int_equal(rep.max_epoch, r->reply_epoch);
	}
	rpc_call_fini(&call);
	codec_wr_fini(&wr);
	return 0;
}

static void
test_list(void **state)
{
	struct world w;

	world_open(&w, 2);
	client_do(&w, body_list);
	world_close(&w);
}

/* --- who may what --- */

static int
body_rights(struct world *w)
{
	uint64_t now_ms = env_real_ns(w->client_env) / MS;
	struct raw *r = &w->raw[0];
	uint8_t bad_key[CAP_KEY_BYTES] = {1};
	uint64_t size, data;
	uuid_t other;
	char b[16];

	make_pool(w);
	/* only the id of something never seen */
	fresh_cap(w, CAP_READ | CAP_WRITE);
	r->send_cap = false;
	assert_int_equal(raw_put(r, oid(1), "k", "x", 1, 0), -DER_NO_HDL);
	r->send_cap = true;
	assert_int_equal(raw_put(r, oid(1), "k", "x", 1, 0), 0);
	r->send_cap = false;
	assert_int_equal(raw_put(r, oid(1), "k", "x", 1, 0), 0);
	/* forged */
	raw_cap(r, w->pool, w->cont, CAP_READ, now_ms + 1000, bad_key);
	assert_int_equal(raw_put(r, oid(1), "k", "x", 1, 0), -DER_NO_PERM);
	/* reading only */
	raw_cap(r, w->pool, w->cont, CAP_READ, now_ms + CAP_LIFE_MS, w->key);
	assert_int_equal(raw_put(r, oid(1), "k", "x", 1, 0), -DER_NO_PERM);
	assert_int_equal(raw_punch(r, oid(1), "k", 0), -DER_NO_PERM);
	assert_int_equal(raw_get(r, oid(1), "k", b, 16, &size), 0);
	/* of a pool that is not here */
	memset(other, 0x77, 16);
	raw_cap(r, other, w->cont, CAP_READ, now_ms + CAP_LIFE_MS, w->key);
	assert_int_equal(raw_get(r, oid(1), "k", b, 16, &size), -DER_NO_HDL);
	/* expired when sent, and while known */
	raw_cap(r, w->pool, w->cont, CAP_READ, now_ms - 60000, w->key);
	assert_int_equal(raw_get(r, oid(1), "k", b, 16, &size), -DER_NO_HDL);
	raw_cap(r, w->pool, w->cont, CAP_READ, now_ms + 5000, w->key);
	assert_int_equal(raw_get(r, oid(1), "k", b, 16, &size), 0);
	co_sleep_ns(11 * SEC);
	r->send_cap = false;
	assert_int_equal(raw_get(r, oid(1), "k", b, 16, &size), -DER_NO_HDL);
	r->send_cap = true;
	assert_int_equal(raw_get(r, oid(1), "k", b, 16, &size), -DER_NO_HDL);
	/* destroyed: the same capability is worth nothing, and cannot bring the container back */
	fresh_cap(w, CAP_READ | CAP_WRITE);
	assert_int_equal(raw_put(r, oid(1), "k", "x", 1, 0), 0);
	assert_int_equal(raw_put(&w->raw[1], oid(1), "k", "x", 1, 0), 0);
	assert_int_equal(cont_destroy(w), 0);
	assert_int_equal(cont_destroy(w), 0);
	for (uint32_t i = 0; i < TARGET_NR; i++) {
		assert_int_equal(raw_put(&w->raw[i], oid(1), "k", "x", 1, 0), -DER_NO_HDL);
		assert_int_equal(raw_read(&w->raw[i], oid(1), "k", 0, b, 1, false, 0, &size, &data),
				 -DER_NO_HDL);
	}
	/* another container goes on */
	memset(w->cont, 0x23, 16);
	fresh_cap(w, CAP_READ | CAP_WRITE);
	assert_int_equal(raw_get(r, oid(1), "k", b, 16, &size), 0);
	assert_int_equal(size, 0);
	assert_int_equal(raw_put(r, oid(1), "k", "x", 1, 0), 0);
	return 0;
}

static void
test_rights(void **state)
{
	struct world w;

	world_open(&w, 3);
	client_do(&w, body_rights);
	world_close(&w);
}

/* --- maps, leases, clocks --- */

static int
body_maps(struct world *w)
{
	struct raw *r = &w->raw[0];
	uint64_t real_hlc;
	Mgmt__PoolMap *v5;
	uint32_t beats, joins;

	assert_int_equal(pool_create(w, w->pool, SCM_BYTES, NVME_BYTES), 0);
	fresh_cap(w, CAP_READ | CAP_WRITE);
	/* no map yet */
	assert_int_equal(raw_put(r, oid(1), "k", "x", 1, 0), -DER_AGAIN);
	assert_int_equal(map_push(w, w->map), 0);
	assert_int_equal(raw_put(r, oid(1), "k", "x", 1, 0), 0);

	/* a newer map: old requests are sent back with its version, older maps are ignored */
	v5 = make_map(w, 5);
	assert_int_equal(map_push(w, v5), 0);
	assert_int_equal(map_push(w, w->map), 0);
	mgmt__pool_map__free_unpacked(v5, NULL);
	assert_int_equal(raw_put(r, oid(1), "k", "x", 1, 0), -DER_STALE);
	assert_int_equal(r->reply_map_ver, 5);
	r->map_ver = 5;
	assert_int_equal(raw_put(r, oid(1), "k", "x", 1, 0), 0);

	/* the client knows a newer one: served, and the engine gets it */
	w->newer_map = make_map(w, 8);
	w->map_get_nr = 0;
	r->map_ver = 8;
	assert_int_equal(raw_put(r, oid(1), "k", "x", 1, 0), 0);
	co_sleep_ns(100 * MS);
	assert_int_equal(w->map_get_nr, 1);
	r->map_ver = 7;
	assert_int_equal(raw_put(r, oid(1), "k", "x", 1, 0), -DER_STALE);
	assert_int_equal(r->reply_map_ver, 8);
	r->map_ver = 8;

	/* maps also come with heartbeats */
	mgmt__pool_map__free_unpacked(w->map, NULL);
	w->map = make_map(w, 9);
	w->sys_version++;
	co_sleep_ns(2 * SEC);
	assert_int_equal(raw_put(r, oid(1), "k", "x", 1, 0), -DER_STALE);
	r->map_ver = 9;
	assert_int_equal(raw_put(r, oid(1), "k", "x", 1, 0), 0);

	/* no lease, no answers; within LEASE_MS of the last heartbeat, no later */
	w->mute = true;
	co_sleep_ns(LEASE_MS * MS + 10 * MS);
	assert_int_equal(raw_put(r, oid(1), "k", "x", 1, 0), -DER_AGAIN);
	w->mute = false;
	co_sleep_ns(2 * SEC);
	assert_int_equal(raw_put(r, oid(1), "k", "x", 1, 0), 0);

	/* the service forgot us */
	joins = w->join_nr;
	w->rejoin_once = true;
	co_sleep_ns(2 * SEC);
	assert_int_equal(w->join_nr, joins + 1);
	assert_int_equal(raw_put(r, oid(1), "k", "x", 1, 0), 0);

	/* idle means one heartbeat every 500 ms */
	beats = w->beat_nr;
	co_sleep_ns(20 * SEC);
	assert_in_range(w->beat_nr - beats, 38, 42);

	/* clocks: epochs are above what a client has seen; a stamp from the future is refused */
	real_hlc = hlc_from_ns(env_real_ns(w->client_env));
	r->hlc = real_hlc + 900 * MS * HLC_UNITS_PER_NS;
	assert_int_equal(raw_put(r, oid(1), "k", "x", 1, 0), 0);
	assert_true(r->reply_epoch > real_hlc + 900 * MS * HLC_UNITS_PER_NS);
	r->hlc = real_hlc + 3 * SEC * HLC_UNITS_PER_NS;
	assert_int_equal(raw_put(r, oid(1), "k", "x", 1, 0), -DER_HLC_SYNC);
	return 0;
}

static void
test_maps(void **state)
{
	struct world w;

	world_open(&w, 4);
	client_do(&w, body_maps);
	world_close(&w);
}

/* --- malformed requests --- */

static int
body_malformed(struct world *w)
{
	static const uint32_t opcs[] = {OPC_OBJ_UPDATE, OPC_OBJ_FETCH, OPC_OBJ_PUNCH, OPC_OBJ_LIST,
					OPC_OBJ_QUERY_KEY};
	static const uint32_t ctl_opcs[] = {OPC_ENG_POOL_CREATE, OPC_ENG_POOL_DESTROY,
					    OPC_ENG_POOL_QUERY,  OPC_ENG_CONT_DESTROY,
					    OPC_ENG_MAP_PUSH,    OPC_ENG_START_MS};
	struct raw *r = &w->raw[0];
	struct raw sys = w->raw[0];
	struct obj_rw m = {.iod_nr = 1};
	daos_recx_t rx = {.rx_idx = 0, .rx_nr = 1ull << 60};
	daos_iod_t iod = {
	    .iod_type = DAOS_IOD_ARRAY, .iod_size = 1ull << 30, .iod_nr = 1, .iod_recxs = &rx};
	uint64_t rnd = 1, size, big = 1ull << 62;
	struct rpc_call call;
	struct codec_wr wr;
	uint8_t buf[600];
	char b[4];

	make_pool(w);
	fresh_cap(w, CAP_READ | CAP_WRITE);
	assert_int_equal(raw_put(r, oid(1), "k", "abc", 3, 0), 0);
	sys.peer = w->sys_peer;
	for (int i = 0; i < 500; i++) {
		size_t len = hash_u64(rnd++) % sizeof(buf);
		int rc;

		for (size_t j = 0; j < len; j++)
			buf[j] = (uint8_t)hash_u64(rnd++);
		rc = raw_call(r, opcs[i % 5], buf, len, &call);
		assert_true(rc < 0);
		rpc_call_fini(&call);
		rc = raw_call(&sys, ctl_opcs[i % 6], buf, len, &call);
		assert_true(rc < 0);
		rpc_call_fini(&call);
	}
	/* sizes that overflow or are beyond all bounds */
	raw_head(r, oid(1), &m.head);
	m.iods = &iod;
	m.data_sizes = &big;
	d_iov_set(&m.dkey, "k", 1);
	d_iov_set(&iod.iod_name, "a", 1);
	codec_wr_init(&wr, 0);
	obj_rw_encode(&wr, &m);
	assert_int_equal(raw_call(r, OPC_OBJ_UPDATE, wr.base, wr.len, &call), -DER_OVERFLOW);
	rpc_call_fini(&call);
	assert_int_equal(raw_call(r, OPC_OBJ_FETCH, wr.base, wr.len, &call), -DER_INVAL);
	rpc_call_fini(&call);
	codec_wr_fini(&wr);
	/* data that is not as long as it says */
	iod.iod_size = 1;
	rx.rx_nr = 100;
	m.inl = buf;
	m.inl_len = 99;
	codec_wr_init(&wr, 0);
	obj_rw_encode(&wr, &m);
	assert_int_equal(raw_call(r, OPC_OBJ_UPDATE, wr.base, wr.len, &call), -DER_INVAL);
	rpc_call_fini(&call);
	codec_wr_fini(&wr);
	/* and everything still works */
	assert_int_equal(raw_get(r, oid(1), "k", b, 4, &size), 0);
	assert_int_equal(size, 3);
	return 0;
}

static void
test_malformed(void **state)
{
	struct world w;

	world_open(&w, 5);
	client_do(&w, body_malformed);
	world_close(&w);
}

/* --- pools --- */

static int
count_name(const char *name, uint64_t size, void *arg)
{
	if (strlen(name) > 36 && name[36] == '.')
		(*(uint32_t *)arg)++;
	return 0;
}

static int
body_pools(struct world *w)
{
	Eng__PoolQueryReq query = ENG__POOL_QUERY_REQ__INIT;
	Eng__PoolQueryRep *rep;
	struct rpc_call call;
	uint32_t devices = 0, more = 0;
	uuid_t other;

	make_pool(w);
	assert_int_equal(w->dir->ops->list(w->dir, count_name, &devices), 0);
	assert_true(devices >= 2 * TARGET_NR);
	/* repeated; with other sizes; too large for this rank */
	assert_int_equal(pool_create(w, w->pool, SCM_BYTES, NVME_BYTES), 0);
	assert_int_equal(pool_create(w, w->pool, SCM_BYTES * 2, NVME_BYTES), -DER_EXIST);
	memset(other, 0x44, 16);
	assert_int_equal(pool_create(w, other, 100ull * SCM_BYTES, NVME_BYTES), -DER_NOSPACE);
	assert_int_equal(w->dir->ops->list(w->dir, count_name, &more), 0);
	assert_int_equal(more, devices);

	query.pool = (ProtobufCBinaryData){.data = w->pool, .len = 16};
	assert_int_equal(ctl(w, OPC_ENG_POOL_QUERY, &query.base, &call), 0);
	rep = eng__pool_query_rep__unpack(NULL, call.reply_len, call.reply);
	assert_non_null(rep);
	assert_int_equal(rep->n_targets, TARGET_NR);
	assert_int_equal(rep->targets[1]->index, 1);
	assert_true(rep->targets[1]->scm_total > 0 &&
		    rep->targets[1]->scm_free <= rep->targets[1]->scm_total);
	assert_true(rep->targets[1]->nvme_total > 0);
	eng__pool_query_rep__free_unpacked(rep, NULL);
	rpc_call_fini(&call);
	query.pool.data = other;
	assert_int_equal(ctl(w, OPC_ENG_POOL_QUERY, &query.base, &call), -DER_NONEXIST);
	rpc_call_fini(&call);

	/* destroying; repeated; nothing is left */
	fresh_cap(w, CAP_READ | CAP_WRITE);
	assert_int_equal(raw_put(&w->raw[0], oid(1), "k", "x", 1, 0), 0);
	assert_int_equal(pool_destroy(w, w->pool), 0);
	assert_int_equal(pool_destroy(w, w->pool), 0);
	assert_int_equal(raw_put(&w->raw[0], oid(1), "k", "x", 1, 0), -DER_NO_HDL);
	more = 0;
	assert_int_equal(w->dir->ops->list(w->dir, count_name, &more), 0);
	assert_int_equal(more, 0);
	/* and the room is there again */
	for (uint8_t n = 1; n <= 4; n++) {
		memset(other, n, 16);
		assert_int_equal(pool_create(w, other, SCM_BYTES, NVME_BYTES), 0);
	}
	memset(other, 5, 16);
	assert_int_equal(pool_create(w, other, SCM_BYTES, NVME_BYTES), -DER_NOSPACE);
	return 0;
}

/* --- settings of the pool ----------------------------------------------------------------------
 */

/* What is free in the NVMe tier of the first target. */
static uint64_t co_fn
nvme_free(struct world *w)
{
	Eng__PoolQueryReq query = ENG__POOL_QUERY_REQ__INIT;
	Eng__PoolQueryRep *rep;
	struct rpc_call call;
	uint64_t bytes;

	query.pool = (ProtobufCBinaryData){.data = w->pool, .len = 16};
	assert_int_equal(ctl(w, OPC_ENG_POOL_QUERY, &query.base, &call), 0);
	rep = eng__pool_query_rep__unpack(NULL, call.reply_len, call.reply);
	assert_non_null(rep);
	bytes = rep->targets[0]->nvme_free;
	eng__pool_query_rep__free_unpacked(rep, NULL);
	rpc_call_fini(&call);
	return bytes;
}

static int co_fn
settings_push(struct world *w, uint64_t version, uint32_t data_thresh, uint32_t reclaim)
{
	Mgmt__PoolSettings *set = w->map->settings;

	if (set == NULL) {
		set = malloc(sizeof(*set));
		mgmt__pool_settings__init(set);
		w->map->settings = set;
	}
	set->version = version;
	set->data_thresh = data_thresh;
	set->reclaim = reclaim;
	return map_push(w, w->map);
}

/* 6,000 bytes in small pieces. */
static void co_fn
write_pieces(struct world *w, uint32_t n)
{
	uint8_t a[100];

	for (uint32_t i = 0; i < 60; i++) {
		fill(a, sizeof(a), n * 100 + i);
		assert_int_equal(
		    raw_write(&w->raw[0], oid(n), "k", i * sizeof(a), a, sizeof(a), false, 0), 0);
	}
}

static int
body_settings(struct world *w)
{
	enum { LEN = 100 * 1024 };
	uint8_t *a = malloc(LEN);
	uint64_t before;

	make_pool(w);
	fresh_cap(w, CAP_READ | CAP_WRITE);
	fill(a, LEN, 1);
	/* where values go */
	before = nvme_free(w);
	assert_int_equal(settings_push(w, 5, 0, DAOS_RECLAIM_LAZY), 0);
	assert_int_equal(raw_write(&w->raw[0], oid(1), "k", 0, a, LEN, true, 0), 0);
	assert_int_equal(nvme_free(w), before);
	assert_int_equal(settings_push(w, 6, LEN, DAOS_RECLAIM_DISABLED), 0);
	assert_int_equal(raw_write(&w->raw[0], oid(2), "k", 0, a, LEN, true, 0), 0);
	assert_int_equal(nvme_free(w), before - LEN);
	/* older ones that come late change nothing */
	assert_int_equal(settings_push(w, 5, 0, DAOS_RECLAIM_LAZY), 0);
	assert_int_equal(raw_write(&w->raw[0], oid(3), "k", 0, a, LEN, true, 0), 0);
	assert_int_equal(nvme_free(w), before - 2 * LEN);
	/* aggregation: not allowed; then allowed: the pieces merge and move */
	assert_int_equal(settings_push(w, 7, 4096, DAOS_RECLAIM_DISABLED), 0);
	write_pieces(w, 10);
	before = nvme_free(w);
	co_sleep_ns(120 * SEC);
	assert_int_equal(nvme_free(w), before);
	assert_int_equal(settings_push(w, 8, 4096, DAOS_RECLAIM_LAZY), 0);
	co_sleep_ns(60 * SEC);
	assert_int_equal(nvme_free(w), before - 8192);
	/* what is left to do when the engine stops */
	assert_int_equal(settings_push(w, 9, 4096, DAOS_RECLAIM_DISABLED), 0);
	write_pieces(w, 11);
	free(a);
	return 0;
}

/* Lazy: not while somebody writes. */
static int
body_lazy(struct world *w)
{
	uint64_t before;
	uint8_t b = 1;

	fresh_cap(w, CAP_READ | CAP_WRITE);
	assert_int_equal(settings_push(w, 10, 4096, DAOS_RECLAIM_LAZY), 0);
	before = nvme_free(w);
	for (uint32_t i = 0; i < 100; i++) {
		assert_int_equal(raw_put(&w->raw[0], oid(12), "k", &b, 1, 0), 0);
		co_sleep_ns(SEC);
	}
	assert_int_equal(nvme_free(w), before);
	/* nothing is written after a restart, and yet it goes on */
	return 0;
}

static int
body_left(struct world *w)
{
	uint64_t before = nvme_free(w);

	co_sleep_ns(60 * SEC);
	assert_int_equal(nvme_free(w), before - 8192);
	return 0;
}

static void
test_settings(void **state)
{
	struct world w;

	world_open(&w, 11);
	client_do(&w, body_settings);
	client_do(&w, body_lazy);
	engine_down(&w);
	engine_up(&w);
	client_do(&w, body_left);
	world_close(&w);
}

static void
test_pools(void **state)
{
	struct world w;

	world_open(&w, 6);
	client_do(&w, body_pools);
	world_close(&w);
}

/* A pool that is full answers -DER_NOSPACE, keeps everything, and can be emptied. */
static int
body_full(struct world *w)
{
	enum { CHUNK = 256 * 1024 };
	struct raw *r = &w->raw[0];
	uint8_t *a = malloc(CHUNK), *b = malloc(CHUNK);
	uint64_t size, data;
	uint32_t n;
	int rc = 0;

	make_pool(w);
	fresh_cap(w, CAP_READ | CAP_WRITE);
	for (n = 0; rc == 0 && n < 2000; n++) {
		fill(a, CHUNK, n);
		rc = raw_write(r, oid(n), "k", 0, a, CHUNK, true, 0);
	}
	assert_int_equal(rc, -DER_NOSPACE);
	n--;
	assert_true(n >= NVME_BYTES / CHUNK * 8 / 10);
	for (uint32_t i = 0; i < n; i++) {
		fill(a, CHUNK, i);
		assert_int_equal(raw_read(r, oid(i), "k", 0, b, CHUNK, true, 0, &size, &data), 0);
		assert_int_equal(data, CHUNK);
		assert_memory_equal(a, b, CHUNK);
	}
	for (uint32_t i = 0; i < n / 2; i++)
		assert_int_equal(raw_punch(r, oid(i), NULL, 0), 0);
	/* space comes back in the background */
	rc = -DER_NOSPACE;
	for (int i = 0; rc == -DER_NOSPACE && i < 200; i++) {
		co_sleep_ns(SEC);
		rc = raw_write(r, oid(5000), "k", 0, a, CHUNK, true, 0);
	}
	assert_int_equal(rc, 0);
	free(a);
	free(b);
	return 0;
}

static void
test_full(void **state)
{
	struct world w;

	world_open(&w, 7);
	client_do(&w, body_full);
	world_close(&w);
}

/* --- many at a time --- */

struct writer {
	struct world *w;
	uint32_t n;
};
enum { FLOOD_NR = 120, FLOOD_BYTES = 512 * 1024, FLOOD_ROOM = 3 << 20 };

static int co_fn
flood_one(void *arg)
{
	struct writer *wr = arg;
	struct raw r = wr->w->raw[wr->n % TARGET_NR];
	uint8_t *a = malloc(FLOOD_BYTES), *b = malloc(FLOOD_BYTES);
	uint64_t size, data;

	fill(a, FLOOD_BYTES, wr->n);
	assert_int_equal(raw_write(&r, oid(wr->n), "k", 0, a, FLOOD_BYTES, true, 0), 0);
	assert_int_equal(raw_read(&r, oid(wr->n), "k", 0, b, FLOOD_BYTES, true, 0, &size, &data),
			 0);
	assert_memory_equal(a, b, FLOOD_BYTES);
	free(a);
	free(b);
	return 0;
}

static int
body_flood(struct world *w)
{
	struct writer writers[FLOOD_NR];
	struct co_group g;

	make_pool(w);
	fresh_cap(w, CAP_READ | CAP_WRITE);
	co_group_init(&g);
	for (uint32_t n = 0; n < FLOOD_NR; n++) {
		writers[n] = (struct writer){.w = w, .n = n};
		assert_int_equal(co_group_spawn(&g, flood_one, &writers[n]), 0);
	}
	assert_int_equal(co_group_join(&g), 0);
	for (uint32_t i = 0; i < TARGET_NR; i++)
		assert_int_equal(w->engine->targets[i].objs.bufs.free, FLOOD_ROOM);
	return 0;
}

static void
test_flood(void **state)
{
	struct world w;

	world_open(&w, 8);
	/* fewer bytes at a time than the requests have, so that they wait for each other */
	for (uint32_t i = 0; i < TARGET_NR; i++)
		byte_sem_init(&w.engine->targets[i].objs.bufs, FLOOD_ROOM);
	client_do(&w, body_flood);
	world_close(&w);
}

/* --- checksums --- */

/* The container's checksums are made by the engine that stores, and compared when it reads. */
static int
body_csum(struct world *w)
{
	enum { LEN = 100000 };
	struct raw *r = &w->raw[0];
	uint8_t *a = malloc(LEN), *b = malloc(LEN);
	uint64_t size, data;

	fill(a, LEN, 4);
	if (w->stage == 0)
		make_pool(w);
	r->csum_type = DAOS_PROP_CO_CSUM_CRC32;
	fresh_cap(w, CAP_READ | CAP_WRITE);
	if (w->stage == 0) {
		assert_int_equal(raw_write(r, oid(1), "k", 0, a, LEN, true, 0), 0);
		assert_int_equal(raw_put(r, oid(2), "k", a, 300, 0), 0);
		assert_int_equal(raw_put(r, oid(3), "k", a, LEN, 0), 0);
		assert_int_equal(raw_read(r, oid(1), "k", 0, b, LEN, true, 0, &size, &data), 0);
	} else {
		assert_int_equal(raw_read(r, oid(1), "k", 0, b, LEN, true, 0, &size, &data),
				 -DER_CSUM);
		assert_int_equal(raw_read(r, oid(1), "k", 50000, b, 10, false, 0, &size, &data),
				 -DER_CSUM);
		assert_int_equal(raw_get(r, oid(3), "k", b, LEN, &size), -DER_CSUM);
		/* the blocks are rotten, the heap is not */
		assert_int_equal(raw_get(r, oid(2), "k", b, 300, &size), 0);
		assert_memory_equal(a, b, 300);
		/* written again, it can be read again */
		assert_int_equal(raw_write(r, oid(1), "k", 0, a, LEN, true, 0), 0);
		assert_int_equal(raw_read(r, oid(1), "k", 0, b, LEN, true, 0, &size, &data), 0);
		assert_memory_equal(a, b, LEN);
	}
	free(a);
	free(b);
	return 0;
}

static void
test_csum(void **state)
{
	char uuid[37], name[64];
	struct world w;
	uint64_t byte;

	world_open(&w, 12);
	client_do(&w, body_csum);
	engine_down(&w);
	uuid_unparse_lower(w.pool, uuid);
	snprintf(name, sizeof(name), "%s.0.data", uuid);
	for (byte = 0; byte < NVME_BYTES; byte += 4096)
		assert_int_equal(mem_disk_flip_bit(w.disk, name, byte * 8 + 1000), 0);
	engine_up(&w);
	w.stage = 1;
	client_do(&w, body_csum);
	world_close(&w);
}

/* --- crashes --- */

static uint64_t epoch_before;

static int
body_before(struct world *w)
{
	uint8_t a[2000];

	make_pool(w);
	fresh_cap(w, CAP_READ | CAP_WRITE);
	for (uint32_t n = 0; n < 50; n++) {
		struct raw *r = &w->raw[n % TARGET_NR];

		fill(a, sizeof(a), n);
		assert_int_equal(raw_write(r, oid(n), "k", n, a, sizeof(a), n & 1, 0), 0);
		epoch_before = r->reply_epoch > epoch_before ? r->reply_epoch : epoch_before;
	}
	/* an operation whose answer will be "lost" */
	w->raw[0].seq = 42;
	assert_int_equal(raw_put(&w->raw[0], oid(900), "once", a, 10, DAOS_COND_DKEY_INSERT), 0);
	assert_int_equal(raw_put(&w->raw[0], oid(900), "once", a, 10, DAOS_COND_DKEY_INSERT), 0);
	w->raw[0].seq = 0;
	assert_int_equal(raw_put(&w->raw[0], oid(900), "once", a, 10, DAOS_COND_DKEY_INSERT),
			 -DER_EXIST);
	return 0;
}

static int
body_after(struct world *w)
{
	uint8_t a[2000], b[2000];
	uint64_t size, data;

	fresh_cap(w, CAP_READ | CAP_WRITE);
	for (uint32_t n = 0; n < 50; n++) {
		fill(a, sizeof(a), n);
		assert_int_equal(raw_read(&w->raw[n % TARGET_NR], oid(n), "k", n, b, sizeof(b),
					  n & 2, 0, &size, &data),
				 0);
		assert_int_equal(data, sizeof(a));
		assert_memory_equal(a, b, sizeof(a));
	}
	/* repeated after the restart: still done once */
	w->raw[0].seq = 42;
	assert_int_equal(raw_put(&w->raw[0], oid(900), "once", a, 10, DAOS_COND_DKEY_INSERT), 0);
	w->raw[0].seq = 0;
	/* epochs go on */
	w->raw[0].hlc = w->raw[1].hlc = 0;
	for (uint32_t i = 0; i < TARGET_NR; i++) {
		assert_int_equal(raw_put(&w->raw[i], oid(901), "k", a, 10, 0), 0);
		assert_true(i == 0 || w->raw[i].reply_epoch > epoch_before);
	}
	if (w->stage == 4)
		return 0; /* such a clock refuses stamps that are right */
	/* a read at an epoch keeps what is written later above it */
	w->raw[1].epoch = hlc_from_ns(env_real_ns(w->client_env)) + 300 * MS * HLC_UNITS_PER_NS;
	epoch_before = w->raw[1].epoch;
	assert_int_equal(raw_get(&w->raw[1], oid(901), "k", b, 10, &size), 0);
	assert_int_equal(size, 10);
	w->raw[1].epoch = 0;
	return 0;
}

static void
test_restart(void **state)
{
	struct world w;

	epoch_before = 0;
	world_open(&w, 9);
	client_do(&w, body_before);
	/* in order */
	engine_down(&w);
	engine_up(&w);
	client_do(&w, body_after);
	/* power failures; the clock comes back behind */
	for (int i = 0; i < 5; i++) {
		engine_crash(&w);
		w.stage = i;
		/* the last time so far that it cannot be waited for */
		sim_env_skew(w.engine_env,
			     i == 4 ? -5 * (int64_t)SEC : -400 * (int64_t)MS * (i % 2));
		engine_up(&w);
		client_do(&w, body_after);
	}
	assert_true(w.join_nr >= 7);
	world_close(&w);
}

/* A crash at every step of creating and destroying a pool: after the restart it is there or it is
 * not, never in part. */
struct interrupted {
	struct world *w;
	bool done;
	int rc;
};

static int
body_create_destroy(struct world *w)
{
	int rc;

	for (uint32_t i = 0; i < TARGET_NR; i++)
		w->raw[i].timeout_ns = 20 * SEC;
	rc = pool_create(w, w->pool, SCM_BYTES, NVME_BYTES);
	if (rc == 0) {
		w->stage = 1;
		rc = pool_destroy(w, w->pool);
		if (rc == 0)
			w->stage = 2;
	}
	return 0;
}

static int
body_whole_or_none(struct world *w)
{
	Eng__PoolQueryReq query = ENG__POOL_QUERY_REQ__INIT;
	struct sb_pool *known = sb_pool_find(w->engine->sb, w->pool);
	struct rpc_call call;
	uint32_t devices = 0;
	int rc;

	query.pool = (ProtobufCBinaryData){.data = w->pool, .len = 16};
	rc = ctl(w, OPC_ENG_POOL_QUERY, &query.base, &call);
	rpc_call_fini(&call);
	assert_int_equal(w->dir->ops->list(w->dir, count_name, &devices), 0);
	if (known != NULL) {
		assert_int_equal(rc, 0);
		assert_true(devices >= 2 * TARGET_NR);
		assert_int_not_equal(w->stage, 2);
	} else {
		assert_int_equal(rc, -DER_NONEXIST);
		assert_int_equal(devices, 0);
	}
	/* and it can be made */
	assert_int_equal(pool_create(w, w->pool, SCM_BYTES, NVME_BYTES), 0);
	assert_int_equal(pool_destroy(w, w->pool), 0);
	return 0;
}

static void
test_pool_crash_points(void **state)
{
	uint32_t points = 0;
	int stage = 0;

	for (uint64_t n = 1; stage < 2; n += 1 + n / 8) {
		struct world w;

		world_open(&w, 100 + n);
		mem_disk_stop_at(w.disk, mem_disk_writes(w.disk) + n);
		client_do(&w, body_create_destroy);
		stage = w.stage;
		engine_crash(&w);
		engine_up(&w);
		client_do(&w, body_whole_or_none);
		world_close(&w);
		points++;
	}
	printf("crash states: %u of pool creation and destruction\n", points);
	assert_true(points > 8);
}

/* --- start-up errors --- */

static bool
has_error(void *arg)
{
	return ((struct world *)arg)->error;
}

static void
test_wrong_storage(void **state)
{
	struct engine_conf conf;
	const char *uri;
	struct world w;

	world_open(&w, 11);
	engine_down(&w);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(mem_disk_open(w.disk, &w.dir), 0);
		engine_conf_of(&w, &conf, &uri);
		if (i == 0)
			conf.target_nr = TARGET_NR + 1;
		else
			conf.system_name = "other";
		assert_int_equal(engine_start(&conf, &w.engine), 0);
		assert_int_equal(sim_run_until(w.sim, has_error, &w, sim_now_ns(w.sim) + 10 * SEC),
				 0);
		engine_down(&w);
		w.error = false;
	}
	/* a rotten superblock is not replaced by a new one */
	assert_int_equal(mem_disk_flip_bit(w.disk, SB_DEV_NAME, 50 * 8), 0);
	assert_int_equal(mem_disk_flip_bit(w.disk, SB_DEV_NAME, (64 * 1024 + 50) * 8), 0);
	assert_int_equal(mem_disk_open(w.disk, &w.dir), 0);
	engine_conf_of(&w, &conf, &uri);
	assert_int_equal(engine_start(&conf, &w.engine), 0);
	assert_int_equal(sim_run_until(w.sim, has_error, &w, sim_now_ns(w.sim) + 10 * SEC), 0);
	world_close(&w);
}

/* The same seed gives the same run. */
static uint64_t
digest(uint64_t seed)
{
	struct world w;
	uint64_t hash;

	world_open(&w, seed);
	client_do(&w, body_io);
	hash = sim_hash(w.sim);
	world_close(&w);
	return hash;
}

static void
test_deterministic(void **state)
{
	assert_int_equal(digest(12), digest(12));
	assert_int_not_equal(digest(12), digest(13));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_io),
	    cmocka_unit_test(test_list),
	    cmocka_unit_test(test_rights),
	    cmocka_unit_test(test_maps),
	    cmocka_unit_test(test_malformed),
	    cmocka_unit_test(test_pools),
	    cmocka_unit_test(test_settings),
	    cmocka_unit_test(test_full),
	    cmocka_unit_test(test_flood),
	    cmocka_unit_test(test_csum),
	    cmocka_unit_test(test_restart),
	    cmocka_unit_test(test_pool_crash_points),
	    cmocka_unit_test(test_wrong_storage),
	    cmocka_unit_test(test_deterministic),
	};

	if (getenv("TEST_FILTER") != NULL)
		cmocka_set_test_filter(getenv("TEST_FILTER"));
	log_set_level(getenv("D_LOG_MASK") != NULL ? LOG_LVL_DEBUG : LOG_LVL_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
