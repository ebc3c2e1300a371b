/*
 * Management service: one Raft group per system, whose leader answers OPC_MS_*. Lives on the system
 * xstream of the ranks that are replicas; its log and snapshots are devices ms.* in the engine's
 * dev_dir. Everything here is called on that xstream, from coroutines.
 */
#ifndef SERVER_MGMT_H
#define SERVER_MGMT_H

#include <stdint.h>
#include <stdbool.h>
#include <uuid/uuid.h>

#include "net/rpc/rpc.h"
#include "store/dev/dev.h"

struct mgmt;

/* Where an engine that is no replica sends those who ask: uris of replicas it knows, NULL ends. */
struct mgmt_hints {
	const char *(*replica_uri)(uint32_t i, void *arg);
	void *arg;
};

struct mgmt_conf {
	struct xs *xs;
	struct rpc_ep *ep; /* tag 0 endpoint of the engine: mgmt registers its opcodes and
			      OPC_RAFT_MSG on it */
	struct dev_dir *dir;
	const char *system_name; /* "daos_server" by default */
	const char *provider;    /* told to clients in the attach info */
	bool bootstrap;          /* form a new system when there is no state here (first engine of a
				    new system only) */
	bool insecure;           /* accept unsigned credentials */
	uint32_t replica_max;    /* 0 = by itself: 1 up to two ranks, 3, then 5 */
	const struct mgmt_hints
	    *hints; /* used after mgmt_stop(); must live as long as ep; may be NULL */
	/* Raft's timers; 0 = default. */
	uint32_t election_ms;
	uint32_t heartbeat_ms;
};
/*
 * Start the replica. -DER_NONEXIST: no state and bootstrap is false (the engine is not a replica
 * yet; the leader may ask it with OPC_ENG_START_MS, whose handler calls mgmt_start_member()).
 * -DER_CSUM and other errors: the state on this disk is of no use; the engine can serve without it,
 * and the leader replaces the replica.
 */
int co_fn mgmt_start(const struct mgmt_conf *conf, struct mgmt **ret_mgmt);
/* An empty replica under this id, to be filled by the leader; what was here before is lost, unless
 * it is a replica with the same id, which goes on. uris are where its fellows are. */
int co_fn mgmt_start_member(const struct mgmt_conf *conf, uint64_t raft_id,
			    const char *const *replica_uris, uint32_t uri_nr,
			    struct mgmt **ret_mgmt);
/* Hands leadership over if possible. Afterwards OPC_MS_* is answered from the hints. */
void co_fn mgmt_stop(struct mgmt *mgmt);
bool mgmt_is_leader(const struct mgmt *mgmt);
uint64_t mgmt_raft_id(const struct mgmt *mgmt);
/* The replica ended by itself (its disk failed): stop it. */
bool mgmt_failed(const struct mgmt *mgmt);

/* On an engine that is no replica: answer OPC_MS_* with -DER_NOTLEADER and the replicas it knows
 * of. hints must live as long as ep. */
int mgmt_register_hints(struct rpc_ep *ep, const struct mgmt_hints *hints);

#endif
