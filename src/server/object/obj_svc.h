/*
 * Object service of one target: the handlers of OPC_OBJ_* on the target's endpoint. Everything it
 * needs of the engine comes through struct obj_svc_ops; everything runs on the target's xstream.
 */
#ifndef SERVER_OBJ_SVC_H
#define SERVER_OBJ_SVC_H

#include <stdbool.h>
#include <stdint.h>
#include <uuid/uuid.h>

#include "base/hlc.h"
#include "net/rpc/rpc.h"
#include "runtime/co.h"
#include "server/cont/cont_shard.h"
#include "server/dtx/dtx.h"
#include "server/object/byte_sem.h"

enum {
	OBJ_BUF_BYTES = 32 * 1024 * 1024, /* data of requests under way at a time, per target */
	OBJ_GROUP_SLOTS = 1024,           /* objects share them by hash */
};

/* What is remembered about objects of several groups (obj_groups.c). */
struct obj_group_slot {
	uint64_t punched;     /* proofs up to this moment do not count: a group here was punched */
	uint64_t entered;     /* last entry into a set kept here */
	struct co_mutex lock; /* of changes of sets */
};
struct obj_group_tab {
	uint64_t floor; /* everything an earlier life of this target did was before this moment */
	struct obj_group_slot slots[OBJ_GROUP_SLOTS];
};

struct obj_svc_ops {
	/* May this engine answer at this moment? */
	bool (*may_serve)(void *arg);
	/* Returns when no restart of this engine can begin at or below epoch: it is below the
	 * persisted ceiling. */
	int co_fn (*epoch_reserve)(void *arg, uint64_t epoch);
	/* A client knows a newer map of this pool. */
	void (*map_behind)(void *arg, struct pool_shard *pool, uint32_t version);
	/* A container was written. */
	void (*wrote)(void *arg, struct cont_shard *cont);
};
struct obj_svc_stats {
	uint64_t update_nr, fetch_nr, punch_nr, list_nr, query_nr;
	uint64_t update_bytes, fetch_bytes;
	uint64_t refused_nr; /* malformed, not permitted, stale, no lease */
};
struct obj_svc {
	struct xs *xs;
	struct cont_tab *conts;
	const struct obj_svc_ops *ops;
	void *ops_arg;
	struct hlc hlc; /* epochs of this target */
	struct byte_sem bufs;
	struct obj_group_tab groups;
	struct byte_sem member_bufs; /* of changes handed over by leaders */
	struct dtx_svc *dtx;         /* redundant objects */
	struct obj_svc_stats stats;
};

/* An epoch for a change that is about to be made: above everything seen, below the persisted
 * ceiling. */
int co_fn obj_epoch_next(struct obj_svc *svc, uint64_t *ret_epoch);

/* Registers the handlers. */
int obj_svc_init(struct obj_svc *svc, struct rpc_ep *ep, struct cont_tab *conts,
		 struct dtx_svc *dtx, const struct obj_svc_ops *ops, void *ops_arg);
/* The clock of this target, and what its earlier lives did, were not beyond this epoch. */
void obj_svc_floor(struct obj_svc *svc, uint64_t floor);

#endif
