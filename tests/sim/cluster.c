/*
 * The simulated cluster. Each engine is a node of the simulated network with a disk of its own that
 * outlives it; each client is a node with a client of its own, which the test puts behind the
 * public functions when it wants to use it.
 */
#include "cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proto/mgmt.pb-c.h"
#include "proto/mgmt_defs.h"
#include "proto/opcodes.h"
#include "server/engine/engine_internal.h"

static char fail_hint[256];

void
sc_fail_hint(const char *text)
{
	snprintf(fail_hint, sizeof(fail_hint), "%s", text);
}

void
sc_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: %s\n%s\n", file, line, what, fail_hint);
	fflush(NULL);
	abort();
}

void
sc_fail_rc(const char *file, int line, const char *what, int rc)
{
	fprintf(stderr, "%s:%d: %s: " ERR_F "\n%s\n", file, line, what, ERR_P(rc), fail_hint);
	fflush(NULL);
	abort();
}

/* --- nodes --- */

static void
on_state(uint32_t state, uint32_t rank, void *arg)
{
	struct sc_node *n = arg;

	n->state = state;
	if (rank != MGMT_RANK_NONE)
		n->rank = rank;
}

static void
on_error(const char *text, void *arg)
{
	struct sc_node *n = arg;

	snprintf(n->error, sizeof(n->error), "%s", text);
}

void
sc_start(struct sc *sc, uint32_t node)
{
	struct sc_node *n = &sc->nodes[node];
	const char *uris[SC_ENGINES_MAX];
	struct engine_conf conf = {
	    .env = n->env,
	    .net = n->net,
	    .system_name = "daos_server",
	    .port = SC_PORT,
	    .target_nr = sc->conf.target_nr,
	    .rank = MGMT_RANK_NONE,
	    .ms_uris = uris,
	    .bootstrap = node == 0,
	    .insecure = true,
	    .scm_bytes = 256ull << 20,
	    .nvme_bytes = 1ull << 30,
	    .first_core = -1,
	    .on_state = on_state,
	    .on_error = on_error,
	    .cb_arg = n,
	};
	char domain[16];

	SC_CHECK(n->engine == NULL);
	for (uint32_t i = 0; i < sc->conf.engine_nr; i++) {
		if (i != node && sc->nodes[i].uri[0] != '\0')
			uris[conf.ms_uri_nr++] = sc->nodes[i].uri;
	}
	snprintf(domain, sizeof(domain), "/node%u", node);
	conf.fault_domain = domain;
	n->state = 0;
	n->error[0] = '\0';
	n->start_nr++;
	SC_RC(mem_disk_open(n->disk, &n->dir));
	conf.dir = n->dir;
	SC_RC(engine_start(&conf, &n->engine));
	snprintf(n->uri, sizeof(n->uri), "%s", engine_uri(n->engine));
}

void
sc_stop(struct sc *sc, uint32_t node)
{
	struct sc_node *n = &sc->nodes[node];

	engine_stop(n->engine);
	n->engine = NULL;
	dev_dir_close(n->dir);
	n->dir = NULL;
}

static uint64_t
disk_rnd(void *arg)
{
	return sim_rand_u64(arg);
}

void
sc_crash(struct sc *sc, uint32_t node)
{
	struct sc_node *n = &sc->nodes[node];

	mem_disk_stop(n->disk);
	sim_net_node_down(sc->sn, node, sim_rand_below(sc->sim, 4) == 0);
	sc_stop(sc, node);
	mem_disk_restart(n->disk, disk_rnd, sc->sim);
	sim_net_node_up(sc->sn, node);
}

static bool
all_joined(void *arg)
{
	struct sc *sc = arg;

	for (uint32_t i = 0; i < sc->conf.engine_nr; i++) {
		struct sc_node *n = &sc->nodes[i];

		if (n->engine == NULL)
			continue;
		if (n->error[0] != '\0')
			sc_fail(__FILE__, __LINE__, n->error);
		if (n->state != SYS_ST_JOINED ||
		    atomic_load(&n->engine->lease_until_ns) <= sim_now_ns(sc->sim))
			return false;
	}
	return true;
}

bool
sc_wait_joined(struct sc *sc, uint64_t limit_ns)
{
	return sim_run_until(sc->sim, all_joined, sc, sim_now_ns(sc->sim) + limit_ns) == 0;
}

/* --- administrator --- */

static int co_fn
admin_run(void *arg)
{
	struct sc *sc = arg;

	return sc->admin_fn(sc, sc->admin_arg);
}

int
sc_admin(struct sc *sc, int co_fn (*fn)(struct sc *sc, void *arg), void *arg)
{
	sc->admin_fn = fn;
	sc->admin_arg = arg;
	return xs_call(sc->admin_xs, admin_run, sc);
}

static int co_fn
admin_open(struct sc *sc, void *arg)
{
	struct rpc_ep_conf conf = {.xs = sc->admin_xs, .net = sc->admin_net};
	const char *uris[SC_ENGINES_MAX];
	uint32_t nr = 0;

	for (uint32_t i = 0; i < sc->conf.engine_nr; i++)
		uris[nr++] = sc->nodes[i].uri;
	SC_RC(rpc_ep_open(&conf, &sc->admin_ep));
	return ms_conn_create(sc->admin_ep, uris, nr, &sc->admin_ms);
}

static int co_fn
admin_close(struct sc *sc, void *arg)
{
	ms_conn_destroy(sc->admin_ms);
	rpc_ep_close(sc->admin_ep);
	return 0;
}

static int co_fn
count_replicas(struct sc *sc, void *arg)
{
	Mgmt__SystemQueryReq req = MGMT__SYSTEM_QUERY_REQ__INIT;
	ProtobufCMessage *msg = NULL;
	int rc;

	rc = ms_call(sc->admin_ms, OPC_MS_SYSTEM_QUERY, &req.base,
		     &mgmt__system_query_rep__descriptor, &msg,
		     xs_now_ns(sc->admin_xs) + 5 * SC_SEC);
	if (rc != 0)
		return 0;
	rc = (int)((Mgmt__SystemQueryRep *)msg)->n_replica_ranks;
	protobuf_c_message_free_unpacked(msg, NULL);
	return rc;
}

bool
sc_wait_replicas(struct sc *sc, uint32_t nr, uint64_t limit_ns)
{
	uint64_t until = sim_now_ns(sc->sim) + limit_ns;

	while (sim_now_ns(sc->sim) < until) {
		if (sc_admin(sc, count_replicas, NULL) >= (int)nr)
			return true;
		sim_run_for(sc->sim, 200 * SC_MS);
	}
	return false;
}

int co_fn
sc_pool_create_co(struct sc *sc, const char *label, uint64_t scm_bytes, uint64_t nvme_bytes)
{
	Mgmt__PoolCreateReq req = MGMT__POOL_CREATE_REQ__INIT;
	ProtobufCMessage *msg = NULL;
	uint8_t uuid[16];
	struct ms_cmd cmd;
	int rc;

	env_rand_fill(xs_env(sc->admin_xs), uuid, sizeof(uuid));
	ms_cmd_begin(sc->admin_ms, &cmd);
	req.id = &cmd.id;
	req.uuid = (ProtobufCBinaryData){.data = uuid, .len = sizeof(uuid)};
	req.label = (char *)label;
	req.scm_bytes = scm_bytes;
	req.nvme_bytes = nvme_bytes;
	req.user = "me@";
	req.group = "us@";
	rc =
	    ms_call(sc->admin_ms, OPC_MS_POOL_CREATE, &req.base, &mgmt__pool_create_rep__descriptor,
		    &msg, xs_now_ns(sc->admin_xs) + 60 * SC_SEC);
	ms_cmd_end(&cmd);
	if (rc == 0)
		protobuf_c_message_free_unpacked(msg, NULL);
	return rc;
}

struct create {
	const char *label;
	uint64_t scm_bytes, nvme_bytes;
};

static int co_fn
pool_create(struct sc *sc, void *arg)
{
	const struct create *c = arg;

	return sc_pool_create_co(sc, c->label, c->scm_bytes, c->nvme_bytes);
}

int
sc_pool_create(struct sc *sc, const char *label, uint64_t scm_bytes, uint64_t nvme_bytes)
{
	struct create c = {.label = label, .scm_bytes = scm_bytes, .nvme_bytes = nvme_bytes};

	return sc_admin(sc, pool_create, &c);
}

/* --- clients --- */

void
sc_use(struct sc *sc, uint32_t client)
{
	client_set_default(sc->clients[client].client);
}

static void
client_open(struct sc *sc, uint32_t idx)
{
	struct sc_client *c = &sc->clients[idx];
	const char *uris[SC_ENGINES_MAX];
	struct client_conf conf = {.ms_uris = uris, .user = "me@", .group = "us@"};

	for (uint32_t i = 0; i < sc->conf.engine_nr; i++)
		uris[conf.ms_uri_nr++] = sc->nodes[i].uri;
	c->sc = sc;
	SC_RC(net_open_sim(sc->sn, SC_CLIENT_NODE + idx, &c->net));
	conf.env = sim_env_create(sc->sim, 0);
	conf.net = c->net;
	SC_RC(client_create(&conf, &c->client));
}

/* --- the whole --- */

void
sc_open(struct sc *sc, const struct sc_conf *conf)
{
	struct xs_conf xc = {.name = "admin", .cpu = -1};

	memset(sc, 0, sizeof(*sc));
	sc->conf = *conf;
	SC_RC(sim_create(conf->seed, &sc->sim));
	SC_RC(sim_net_create(sc->sim, &sc->sn));
	for (uint32_t i = 0; i < conf->engine_nr; i++) {
		struct sc_node *n = &sc->nodes[i];
		int64_t skew = 0;

		if (conf->skew_ns > 0)
			skew = (int64_t)sim_rand_below(sc->sim, (uint64_t)conf->skew_ns * 2) -
			       conf->skew_ns;
		n->sc = sc;
		n->idx = i;
		n->env = sim_env_create(sc->sim, skew);
		SC_CHECK(n->env != NULL);
		SC_RC(net_open_sim(sc->sn, i, &n->net));
		SC_RC(mem_disk_create(sc->sim, 4ull << 30, &n->disk));
		sc_start(sc, i);
	}
	SC_CHECK(sc_wait_joined(sc, 60 * SC_SEC));

	SC_RC(net_open_sim(sc->sn, SC_ADMIN_NODE, &sc->admin_net));
	xc.env = sim_env_create(sc->sim, 0);
	SC_RC(xs_create(&xc, &sc->admin_xs));
	SC_RC(xs_thread_start(sc->admin_xs));
	SC_RC(sc_admin(sc, admin_open, NULL));
	for (uint32_t i = 0; i < conf->client_nr; i++)
		client_open(sc, i);
}

uint64_t
sc_close(struct sc *sc)
{
	uint64_t hash;

	client_set_default(NULL);
	for (uint32_t i = 0; i < sc->conf.client_nr; i++)
		client_destroy(sc->clients[i].client);
	sc_admin(sc, admin_close, NULL);
	for (uint32_t i = 0; i < sc->conf.engine_nr; i++) {
		if (sc->nodes[i].engine != NULL)
			sc_stop(sc, i);
	}
	hash = sim_hash(sc->sim);
	xs_stop(sc->admin_xs);
	xs_thread_join(sc->admin_xs);
	xs_destroy(sc->admin_xs);
	net_close(sc->admin_net);
	for (uint32_t i = 0; i < sc->conf.client_nr; i++)
		net_close(sc->clients[i].net);
	for (uint32_t i = 0; i < sc->conf.engine_nr; i++) {
		net_close(sc->nodes[i].net);
		mem_disk_destroy(sc->nodes[i].disk);
	}
	sim_net_destroy(sc->sn);
	sim_destroy(sc->sim);
	return hash;
}
