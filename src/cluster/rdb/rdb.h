/*
 * Replicated database: hosts a deterministic state machine on a Raft group. Commands are byte
 * strings; those proposed while others are on their way travel together as one log entry. The state
 * machine itself, and what it stores, belongs to the user.
 */
#ifndef RDB_H
#define RDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cluster/raft/rnode.h"

struct rdb;

enum {
	RDB_CMD_MAX = 4 << 20,       /* bytes of one command */
	RDB_BATCH_BYTES = 256 << 10, /* commands together in one entry, unless one is longer */
	RDB_BATCH_CMDS = 1024,
	RDB_PARALLEL = 2, /* entries of this leader on their way at a time */
};

/* None of these may yield or call rdb functions that may; they run in the order of the log. */
struct rdb_sm {
	/* Pure function of state and command. The result goes to the proposer: a code and bytes
	 * from malloc (NULL if none). */
	int (*apply)(void *arg, const void *cmd, size_t len, void **ret_reply, size_t *ret_len);
	int (*snapshot)(void *arg, void **ret_buf, size_t *ret_len); /* from malloc */
	int (*restore)(void *arg, const void *buf, size_t len);      /* replaces the state */
	void (*leader)(void *arg, bool ready, uint64_t epoch);       /* as in struct rnode_fsm */
	void (*failed)(void *arg, int rc);
	void *arg;
};

struct rdb_conf {
	struct xs *xs;
	struct rpc_ep *ep;
	struct dev_dir *dir;
	const char *prefix;
	struct rdb_sm sm;
	uint32_t election_ms; /* 0 = default, like the others */
	uint32_t heartbeat_ms;
	uint32_t snapshot_every;
	uint32_t snapshot_trailing;
};

/* rnode_format() makes the replica. */
int co_fn rdb_open(const struct rdb_conf *conf, struct rdb **ret_rdb);
void co_fn rdb_close(struct rdb *rdb);
/* Status, membership. */
struct rnode *rdb_node(struct rdb *rdb);
bool rdb_is_leader(const struct rdb *rdb);

/*
 * Commit and apply a command. Returns what apply returned, with its reply (freed by the caller), or
 * -DER_NOTLEADER (not here, or leadership was lost on the way: it may have been committed or not).
 */
int co_fn rdb_propose(struct rdb *rdb, const void *cmd, size_t len, void **ret_reply,
		      size_t *ret_len);
/* What the state machine holds after this is at least as new as everything acknowledged before. */
int co_fn rdb_barrier(struct rdb *rdb, bool lazy, uint64_t deadline_ns);

#endif
