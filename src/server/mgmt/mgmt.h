/*
 * Management service: one Raft group per system, whose leader answers OPC_MS_*. Lives on the system xstream of the ranks
 * that are replicas; its log and snapshots are devices ms.* in the engine's dev_dir.
 */
#ifndef SERVER_MGMT_H
#define SERVER_MGMT_H

#include <stdint.h>
#include <stdbool.h>
#include <uuid/uuid.h>

#include "net/rpc/rpc.h"
#include "store/dev/dev.h"

struct mgmt;

struct mgmt_conf {
	struct xs *xs;
	struct rpc_ep *ep;	 /* tag 0 endpoint of the engine: mgmt registers its opcodes and OPC_RAFT_MSG on it */
	struct dev_dir *dir;
	const char *system_name; /* "daos_server" by default */
	const char *provider;	 /* told to clients in the attach info */
	bool bootstrap;		 /* form a new system when there is no state here (first engine of a new system only) */
	bool insecure;		 /* accept unsigned credentials */
	uint32_t replica_max;	 /* 0 = by itself: 1 up to two ranks, 3, then 5 */
	/* Ask the engine process to do what belongs to it (same process, no RPC): NULL outside. */
	void *arg;
};
/*
 * Start the replica. -DER_NONEXIST: no state and bootstrap is false (the engine is not a replica yet; the leader may ask it
 * with OPC_ENG_START_MS, whose handler calls mgmt_start_member()).
 */
int co_fn mgmt_start(const struct mgmt_conf *conf, struct mgmt **ret_mgmt);
int co_fn mgmt_start_member(const struct mgmt_conf *conf, uint64_t raft_id, const char *const *replica_uris,
			    uint32_t uri_nr, struct mgmt **ret_mgmt);
void co_fn mgmt_stop(struct mgmt *mgmt);
bool mgmt_is_leader(const struct mgmt *mgmt);

/* On an engine that is no replica: answer OPC_MS_* with -DER_NOTLEADER and the replicas it knows of. */
int mgmt_register_hints(struct rpc_ep *ep, const char *(*replica_uri)(uint32_t i, void *arg), void *arg);

#endif
