/*
 * Agreement between the members of a redundancy group, on one target. See README.md for the
 * protocol. Everything runs on the target's xstream.
 */
#ifndef SERVER_DTX_H
#define SERVER_DTX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/htable.h"
#include "cluster/map/map.h"
#include "net/rpc/rpc.h"
#include "proto/dtx_proto.h"
#include "proto/obj_proto.h"
#include "server/cont/cont_shard.h"

struct dtx_svc_ops {
	/* May this engine answer at this moment? */
	bool (*may_serve)(void *arg);
	/* Is this target us? */
	bool (*is_self)(void *arg, const struct map_target *target);
	/* A new epoch: above everything seen, below the persisted ceiling. */
	int co_fn (*epoch)(void *arg, uint64_t *ret_epoch);
	/* Somebody's clock: later epochs are above it. */
	int co_fn (*clock)(void *arg, uint64_t hlc);
	/* A container was written. */
	void (*wrote)(void *arg, struct cont_shard *cont);
};
struct dtx_stats {
	uint64_t led_nr;     /* changes committed as leader */
	uint64_t retry_nr;   /* attempts after the first */
	uint64_t forward_nr; /* requests to members */
	uint64_t abort_nr;   /* changes refused after members had been asked */
	uint64_t settled_nr; /* intents whose fate was asked for */
};
struct dtx_svc {
	struct xs *xs;
	struct rpc_ep *ep;
	struct cont_tab *conts;
	const struct dtx_svc_ops *ops;
	void *ops_arg;
	struct htable active; /* changes led here: by identity */
	struct list by_age;   /* the same, in the order in which they came */
	struct co_waitq left; /* woken when one ends */
	struct list outqs;    /* decisions to tell, per target and container (dtx_tell.c) */
	uint32_t outq_nr;     /* decisions in them */
	uint32_t tell_nr;     /* messages under way */
	struct co_waitq work; /* of the two background coroutines */
	bool intents;         /* some container has intents to look after */
	bool stopping;
	struct co_group background;
	struct dtx_stats stats;
};

int dtx_svc_init(struct dtx_svc *svc, struct rpc_ep *ep, struct xs *xs, struct cont_tab *conts,
		 const struct dtx_svc_ops *ops, void *ops_arg);
/* Begin to end: nothing new is led or asked, members are told what they have not been told yet.
 * Then close the endpoint, which ends what is under way, then fini. */
void co_fn dtx_svc_stop(struct dtx_svc *svc);
void co_fn dtx_svc_fini(struct dtx_svc *svc);

/* Does the object keep more than one copy of things? Then its changes go through dtx_lead(). */
bool dtx_redundant(daos_obj_id_t oid);

/* --- leader --- */

/* A change as the leader sees it. The caller fills in all but what is marked. */
struct dtx_change {
	struct rpc_in *in;
	struct cont_shard *cont;
	const struct obj_head *head;
	const daos_key_t *dkey; /* NULL: the whole object */
	bool conditional;
	uint32_t opc; /* of the message to members */
	/* The message: head is the original's but for shard and epoch. tail: pieces to send behind
	 * what was encoded, at most *tail_nr of them. */
	int (*build)(struct dtx_change *c, const struct obj_head *head, struct codec_wr *w,
		     const struct iovec **ret_tail, uint32_t *ret_tail_nr);
	/* Enter it into this target's index at epoch, identity included; durable on return. */
	int co_fn (*commit)(struct dtx_change *c, uint64_t epoch);

	/* dtx_lead's own */
	struct hnode node;
	struct list age;
	uint64_t epoch;
};
/*
 * Carry a change through. 0: committed, *ret_epoch its version (or that of the repetition, if it
 * was committed before). -DER_AGAIN, -DER_STALE: not now, repeat with the same identity. Anything
 * else is final: it did not happen and never will.
 */
int co_fn dtx_lead(struct dtx_svc *svc, struct dtx_change *c, uint64_t *ret_epoch);

/* --- member --- */

struct vos_op;
/* Keep a change handed over by its leader. clock: for -DER_TX_RESTART, what would do. */
int co_fn dtx_keep(struct dtx_svc *svc, struct cont_shard *cont, const struct obj_head *head,
		   uint32_t map_ver, struct vos_op *op, uint64_t *ret_clock);

/*
 * A read, or a condition, met intents (struct vos_conflict of a -DER_INPROGRESS). Finds out what
 * became of them. 0: look again, with those in ignore[] left out of sight: the undecided ones are
 * appended (room for VOS_CONFLICT_MAX more). -DER_AGAIN: a leader cannot be asked now.
 */
struct vos_conflict;
struct vos_dtx_id;
int co_fn dtx_settle(struct dtx_svc *svc, struct cont_shard *cont,
		     const struct vos_conflict *conflict, struct vos_dtx_id *ignore,
		     uint32_t *ret_ignore_nr);

#endif
