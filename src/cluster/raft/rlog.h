/*
 * The durable part of a Raft replica: log entries, term and vote, snapshots, on the devices of a
 * dev_dir. Knows libraft's data types but does not call into its state.
 *
 * One caller at a time per function family: the log and snapshot functions are called by one
 * coroutine (the writer), rlog_meta_set() by another at most; the two families touch different
 * devices.
 */
#ifndef RLOG_H
#define RLOG_H

#include <raft.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/co.h"
#include "store/dev/dev.h"

struct rlog;
struct xs;

enum {
	RLOG_SEG_BYTES = 4 << 20,
	RLOG_BATCH_MAX = 1 << 20,  /* payload of one write, unless a single entry is longer */
	RLOG_ENTRY_MAX = 16 << 20, /* one command */
	RLOG_SNAP_MAX = 1 << 30,   /* one snapshot */
};

struct rlog_ident {
	uint64_t id; /* of this replica: never reused after its disk was lost */
	uint8_t group[16];
};

/*
 * Start from nothing: whatever PREFIX.* holds is removed. With conf, entry 1 of the log is that
 * configuration (a new group); without, the log is empty (a new member of an existing group).
 */
int co_fn rlog_format(struct xs *xs, struct dev_dir *dir, const char *prefix,
		      const struct rlog_ident *ident, const struct raft_configuration *conf,
		      struct rlog **ret_log);
/* -DER_NONEXIST: no (completed) format here. -DER_CSUM: damaged, -DER_DF_INCOMPT: a later version.
 */
int co_fn rlog_open(struct xs *xs, struct dev_dir *dir, const char *prefix, struct rlog **ret_log);
void rlog_close(struct rlog *log);
/* Remove everything: the replica left its group. The log is closed first. */
int co_fn rlog_destroy(struct xs *xs, struct dev_dir *dir, const char *prefix);

const struct rlog_ident *rlog_ident(const struct rlog *log);
uint64_t rlog_term(const struct rlog *log);
uint64_t rlog_vote(const struct rlog *log);
/* Durable on return. */
int co_fn rlog_meta_set(struct rlog *log, uint64_t term, uint64_t vote);

/*
 * Everything for libraft's load(): memory from raft_malloc, the caller's afterwards. *ret_snap is
 * NULL when there is none; *ret_entries is NULL when there are none. Once, after rlog_open().
 */
int co_fn rlog_load(struct rlog *log, struct raft_snapshot **ret_snap, raft_index *ret_start,
		    struct raft_entry **ret_entries, size_t *ret_nr);

/*
 * Append entries at index_first, durable on return. If index_first is at or below the last entry,
 * that entry and those behind it are void; if it is more than one above it, the whole log is.
 */
int co_fn rlog_append(struct rlog *log, uint64_t index_first, const struct raft_entry *entries,
		      uint32_t entry_nr);
uint64_t rlog_last(const struct rlog *log);       /* index of the last entry, 0 = none */
uint64_t rlog_live_bytes(const struct rlog *log); /* in segments not yet removed */

/*
 * Store a snapshot and remove older ones and the segments it makes unnecessary; trailing entries
 * before its index are kept. trailing 0: the snapshot came from the leader, all entries are void.
 */
int co_fn rlog_snap_save(struct rlog *log, const struct raft_snapshot *snap, uint32_t trailing);
/* The newest one; -DER_NONEXIST. */
int co_fn rlog_snap_load(struct rlog *log, struct raft_snapshot **ret_snap);
void rlog_snap_free(struct raft_snapshot *snap);

#endif
