/*
 * A small system in one process: engines on disks in memory, and a client. Either all of it in the
 * simulator (virtual time, one thread, one seed) or with real threads over the loopback interface.
 */
#ifndef TESTS_CLUSTER_H
#define TESTS_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "client/core/client.h"
#include "net/rpc/rpc.h"
#include "runtime/sim.h"
#include "server/engine/engine.h"
#include "store/dev/dev.h"

enum { CLUSTER_ENGINE_MAX = 8, CLUSTER_CLIENT_NODE = 100 };

struct cluster_conf {
	uint64_t seed; /* of the simulator; 0: real threads */
	uint32_t engine_nr;
	uint32_t target_nr;  /* of each engine */
	uint64_t disk_bytes; /* 0 = 4 GiB */
	uint16_t port;       /* of the first engine; 0 = a default */
};

struct cluster {
	struct cluster_conf conf;
	struct sim *sim; /* NULL: real threads */
	struct sim_net *sn;
	struct env real_env;
	struct cluster_node {
		struct cluster *cluster;
		struct env *env;
		struct net *net;
		struct mem_disk *disk;
		struct dev_dir *dir;
		struct engine *engine; /* NULL while it is down */
		char uri[RPC_URI_MAX];
		_Atomic uint32_t state; /* enum sys_rank_state, as told */
	} nodes[CLUSTER_ENGINE_MAX];
	struct net *client_net;
	struct client *client;
};

/* Starts the engines and waits until all have joined. The cluster must stay at its address. */
int cluster_start(struct cluster *c, const struct cluster_conf *conf);
/* Stops what runs and frees everything but the client set by somebody else as the default one. */
void cluster_stop(struct cluster *c);

/* Another client on a node of its own (simulator) or in the same process. */
int cluster_make_client(struct cluster *c, uint32_t node, struct net **ret_net,
			struct client **ret_client);
/* A pool over all ranks, made by the management service. */
int cluster_pool_create(struct cluster *c, const char *label, uint64_t scm_per_rank,
			uint64_t nvme_per_rank);

/* Simulator: an engine loses its power (what was not synced may be lost, by the seed), and comes
 * back. */
void cluster_kill(struct cluster *c, uint32_t i);
int cluster_restart(struct cluster *c, uint32_t i);
/* Let time pass. */
void cluster_sleep_ms(struct cluster *c, uint32_t ms);

#endif
