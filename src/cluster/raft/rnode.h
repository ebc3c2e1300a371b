/*
 * One replica of a Raft group: libraft's core driven by coroutines of one xstream, with our log
 * (rlog.h), our RPC (OPC_RAFT_MSG on tag 0) and the clock and randomness of the xstream's env. (The
 * prefix raft_ belongs to the library.)
 *
 * All functions are called on the xstream of the conf, the co_fn ones from coroutines.
 */
#ifndef RNODE_H
#define RNODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/rpc/rpc.h"
#include "runtime/co.h"
#include "store/dev/dev.h"

struct rnode;
struct xs;

enum {
	RNODE_ELECTION_MS = 300, /* and up to twice that: drawn anew each time */
	RNODE_HEARTBEAT_MS = 75,
	RNODE_SNAPSHOT_EVERY = 4096, /* entries */
	RNODE_SNAPSHOT_TRAILING = 512,
	RNODE_SERVERS_MAX = 16,
};

/* The replicated state machine. Its functions run in the node's loop: they must not yield and must
 * not call back into the node. */
struct rnode_fsm {
	/* A committed command. *ret_result goes to the one who proposed it, if that was here, else
	 * to result_free. */
	void (*apply)(void *arg, const void *buf, size_t len, void **ret_result);
	void (*result_free)(void *arg, void *result);
	/* The whole state, from malloc. */
	int (*snapshot)(void *arg, void **ret_buf, size_t *ret_len);
	int (*restore)(void *arg, const void *buf, size_t len);
	/* This replica became leader and everything committed before is applied (ready), or is no
	 * longer leader. epoch: differs for every leadership of this process. */
	void (*leader)(void *arg, bool ready, uint64_t epoch);
	/* The disk failed or the library found its state inconsistent: the replica is out until it
	 * is started again. */
	void (*failed)(void *arg, int rc);
	void *arg;
};

struct rnode_conf {
	struct xs *xs;
	struct rpc_ep *ep;
	struct dev_dir *dir;
	const char *prefix; /* of the devices' names */
	struct rnode_fsm fsm;
	uint32_t election_ms;       /* 0: RNODE_ELECTION_MS */
	uint32_t heartbeat_ms;      /* 0: RNODE_HEARTBEAT_MS */
	uint32_t snapshot_every;    /* 0: RNODE_SNAPSHOT_EVERY */
	uint32_t snapshot_trailing; /* 0: RNODE_SNAPSHOT_TRAILING */
};

/* Make an empty replica; what was there is lost. group may be all zeros for a new member: then ids,
 * which are 64 random bits, tell whether a message is meant for it. uri: form a new group with this
 * replica as its only member; NULL: wait to be added to an existing group. id > 0, never used
 * before in the group.
 */
int co_fn rnode_format(struct xs *xs, struct dev_dir *dir, const char *prefix,
		       const uint8_t group[16], uint64_t id, const char *uri);
/* Id of the replica whose data is here; -DER_NONEXIST: none. */
int co_fn rnode_peek(struct xs *xs, struct dev_dir *dir, const char *prefix, uint64_t *ret_id);
/* -DER_NONEXIST: not formatted. */
int co_fn rnode_start(const struct rnode_conf *conf, struct rnode **ret_node);
/* Hands leadership over if it can and ends every call under way with -DER_NOTLEADER, as every later
 * one; the node stays valid. */
void co_fn rnode_stop_begin(struct rnode *node);
/* The same, and frees the node; nobody may be inside one of its functions.
 */
void co_fn rnode_stop(struct rnode *node);

uint64_t rnode_id(const struct rnode *node);
void rnode_group(const struct rnode *node, uint8_t ret_group[16]);
/* Leader, and ready to serve. */
bool rnode_is_leader(const struct rnode *node);
uint64_t rnode_epoch(const struct rnode *node);
uint64_t rnode_term(const struct rnode *node);
/* 0 when nobody is known. */
uint64_t rnode_leader_id(const struct rnode *node);
uint64_t rnode_last_applied(const struct rnode *node);

enum rnode_role { RNODE_STANDBY = 0, RNODE_VOTER = 1, RNODE_SPARE = 2 };
struct rnode_server {
	uint64_t id;
	enum rnode_role role;
	char uri[RPC_URI_MAX];
	uint64_t ack_ns; /* monotonic: sending time of the last message it answered to us as leader;
			    0 = never */
};
/* The newest configuration this replica knows. Returns how many. */
uint32_t rnode_servers(const struct rnode *node,
		       struct rnode_server ret_servers[RNODE_SERVERS_MAX]);
/* A replica moved to another address. */
void rnode_set_uri(struct rnode *node, uint64_t id, const char *uri);

/*
 * Commit a command and wait until it is applied here. -DER_NOTLEADER: it may or may not have been
 * committed (the proposer repeats it with the same identity). *ret_result as from fsm.apply.
 */
int co_fn rnode_propose(struct rnode *node, const void *buf, size_t len, void **ret_result);
/*
 * Be sure that this replica is still the leader at a moment after the call began, so that what the
 * state machine says now is the newest truth. lazy: wait for the next round of heartbeats instead
 * of asking at once. -DER_NOTLEADER, -DER_TIMEDOUT.
 */
int co_fn rnode_confirm(struct rnode *node, bool lazy, uint64_t deadline_ns);

/* Membership, one change at a time: -DER_BUSY. Leader only. */
int co_fn rnode_add(struct rnode *node, uint64_t id, const char *uri); /* as a spare */
int co_fn rnode_promote(struct rnode *node, uint64_t id); /* to voter, when it caught up */
int co_fn rnode_remove(struct rnode *node, uint64_t id);

#endif
