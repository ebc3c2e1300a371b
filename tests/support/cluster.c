/* A small system in one process: see cluster.h. */
#include "support/cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <daos_errno.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "net/fabric/sim.h"
#include "proto/mgmt_defs.h"
#include "proto/opcodes.h"

enum {
	PORT = 27416,
	PORT_STEP = 32, /* between engines on one host */
	JOIN_MS = 60000,
};

static void
on_state(uint32_t state, uint32_t rank, void *arg)
{
	struct cluster_node *node = arg;

	atomic_store(&node->state, state);
}

static int
node_start(struct cluster *c, uint32_t i)
{
	struct cluster_node *node = &c->nodes[i];
	const char *uris[CLUSTER_ENGINE_MAX];
	struct engine_conf conf = {
	    .env = node->env,
	    .net = node->net,
	    .system_name = "daos_server",
	    .port = c->conf.port + (c->sim != NULL ? 0 : i * PORT_STEP),
	    .target_nr = c->conf.target_nr,
	    .rank = MGMT_RANK_NONE,
	    .fault_domain = i % 2 == 0 ? "/even" : "/odd",
	    .control_addr = "localhost:10001",
	    .ms_uris = uris,
	    .ms_uri_nr = 1,
	    .bootstrap = i == 0,
	    .insecure = true,
	    .scm_bytes = c->conf.disk_bytes / 4,
	    .nvme_bytes = c->conf.disk_bytes / 2,
	    .first_core = -1,
	    .on_state = on_state,
	    .cb_arg = node,
	};
	char domain[32];
	int rc;

	snprintf(domain, sizeof(domain), "/node%u", i);
	conf.fault_domain = domain;
	uris[0] = c->nodes[0].uri;
	rc = mem_disk_open(node->disk, &node->dir);
	if (rc != 0)
		return rc;
	conf.dir = node->dir;
	atomic_store(&node->state, SYS_ST_STARTING);
	return engine_start(&conf, &node->engine);
}

static int
node_make(struct cluster *c, uint32_t i)
{
	struct cluster_node *node = &c->nodes[i];
	struct net_conf nc = {.provider = NULL, .interface = "lo"};
	int rc;

	node->cluster = c;
	if (c->sim != NULL) {
		node->env = sim_env_create(c->sim, 0);
		rc = net_open_sim(c->sn, i + 1, &node->net);
		snprintf(node->uri, sizeof(node->uri), "ofi+sim://%u:%u", i + 1, c->conf.port);
	} else {
		node->env = &c->real_env;
		rc = net_open_fabric(&nc, &node->net);
		if (rc == 0)
			snprintf(node->uri, sizeof(node->uri), "ofi+%s://127.0.0.1:%u",
				 net_provider(node->net), c->conf.port + i * PORT_STEP);
	}
	if (rc == 0)
		rc = mem_disk_create(c->sim, c->conf.disk_bytes, &node->disk);
	return rc == 0 ? node_start(c, i) : rc;
}

void
cluster_sleep_ms(struct cluster *c, uint32_t ms)
{
	if (c->sim != NULL)
		sim_run_for(c->sim, ms * 1000000ull);
	else
		usleep(ms * 1000);
}

static int
wait_joined(struct cluster *c)
{
	uint32_t ms, i;

	for (ms = 0; ms < JOIN_MS; ms += 10) {
		for (i = 0; i < c->conf.engine_nr; i++)
			if (c->nodes[i].engine != NULL &&
			    atomic_load(&c->nodes[i].state) != SYS_ST_JOINED)
				break;
		if (i == c->conf.engine_nr)
			return 0;
		cluster_sleep_ms(c, 10);
	}
	return -DER_TIMEDOUT;
}

int
cluster_make_client(struct cluster *c, uint32_t node, struct net **ret_net,
		    struct client **ret_client)
{
	const char *uris[CLUSTER_ENGINE_MAX];
	struct client_conf conf = {.env = c->sim != NULL ? sim_env_create(c->sim, 0) : NULL,
				   .ms_uris = uris,
				   .ms_uri_nr = c->conf.engine_nr,
				   .user = "me@",
				   .group = "us@"};
	struct net_conf nc = {.interface = "lo"};
	uint32_t i;
	int rc;

	for (i = 0; i < c->conf.engine_nr; i++)
		uris[i] = c->nodes[i].uri;
	rc = c->sim != NULL ? net_open_sim(c->sn, node, ret_net) : net_open_fabric(&nc, ret_net);
	if (rc != 0)
		return rc;
	conf.net = *ret_net;
	return client_create(&conf, ret_client);
}

int
cluster_start(struct cluster *c, const struct cluster_conf *conf)
{
	uint32_t i;
	int rc = 0;

	memset(c, 0, sizeof(*c));
	c->conf = *conf;
	if (c->conf.disk_bytes == 0)
		c->conf.disk_bytes = 4ull << 30;
	if (c->conf.port == 0)
		c->conf.port = PORT;
	env_init_real(&c->real_env);
	if (conf->seed != 0) {
		rc = sim_create(conf->seed, &c->sim);
		if (rc == 0)
			rc = sim_net_create(c->sim, &c->sn);
	}
	for (i = 0; rc == 0 && i < conf->engine_nr; i++)
		rc = node_make(c, i);
	if (rc == 0)
		rc = wait_joined(c);
	if (rc == 0)
		rc = cluster_make_client(c, CLUSTER_CLIENT_NODE, &c->client_net, &c->client);
	return rc;
}

void
cluster_stop(struct cluster *c)
{
	uint32_t i;

	client_destroy(c->client);
	for (i = 0; i < c->conf.engine_nr; i++) {
		struct cluster_node *node = &c->nodes[i];

		if (node->engine != NULL)
			engine_stop(node->engine);
		if (node->dir != NULL)
			dev_dir_close(node->dir);
		if (node->net != NULL)
			net_close(node->net);
		if (node->disk != NULL)
			mem_disk_destroy(node->disk);
	}
	if (c->client_net != NULL)
		net_close(c->client_net);
	if (c->sn != NULL)
		sim_net_destroy(c->sn);
	if (c->sim != NULL)
		sim_destroy(c->sim);
}

static uint64_t
sim_rnd(void *arg)
{
	return sim_rand_u64(arg);
}

void
cluster_kill(struct cluster *c, uint32_t i)
{
	struct cluster_node *node = &c->nodes[i];

	mem_disk_stop(node->disk);
	sim_net_node_down(c->sn, i + 1, false);
	engine_stop(node->engine);
	dev_dir_close(node->dir);
	node->engine = NULL;
	node->dir = NULL;
	mem_disk_restart(node->disk, sim_rnd, c->sim);
}

int
cluster_restart(struct cluster *c, uint32_t i)
{
	sim_net_node_up(c->sn, i + 1);
	return node_start(c, i);
}

/* --- management --- */

struct pool_create {
	const char *label;
	uint64_t scm;
	uint64_t nvme;
};

static int co_fn
pool_create_op(struct op *op, void *arg)
{
	struct pool_create *pc = arg;
	Mgmt__PoolCreateReq req = MGMT__POOL_CREATE_REQ__INIT;
	Mgmt__PoolCreateRep *rep = NULL;
	struct ms_conn *ms;
	struct ms_cmd cmd;
	uint8_t uuid[16];
	int rc = ctx_ms(op->ctx, &ms);

	if (rc != 0)
		return rc;
	env_rand_fill(client_env(op->ctx->client), uuid, sizeof(uuid));
	req.uuid.data = uuid;
	req.uuid.len = sizeof(uuid);
	req.label = (char *)pc->label;
	req.scm_bytes = pc->scm;
	req.nvme_bytes = pc->nvme;
	req.user = (char *)"me@";
	req.group = (char *)"us@";
	ms_cmd_begin(ms, &cmd);
	req.id = &cmd.id;
	rc = op_ms_call(op, OPC_MS_POOL_CREATE, &req.base, &mgmt__pool_create_rep__descriptor,
			(ProtobufCMessage **)&rep);
	ms_cmd_end(&cmd);
	if (rep != NULL)
		mgmt__pool_create_rep__free_unpacked(rep, NULL);
	return rc;
}

int
cluster_pool_create(struct cluster *c, const char *label, uint64_t scm_per_rank,
		    uint64_t nvme_per_rank)
{
	struct pool_create pc = {.label = label, .scm = scm_per_rank, .nvme = nvme_per_rank};

	return op_call(c->client, pool_create_op, &pc);
}
