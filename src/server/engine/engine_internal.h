/* What the files of the engine share. */
#ifndef SERVER_ENGINE_INTERNAL_H
#define SERVER_ENGINE_INTERNAL_H

#include <stdatomic.h>

#include "client/core/ms.h"
#include "proto/engine.pb-c.h"
#include "proto/mgmt.pb-c.h"
#include "server/engine/engine.h"
#include "server/engine/superblock.h"
#include "server/mgmt/mgmt.h"
#include "server/object/obj_svc.h"

enum {
	/* How far the persisted ceiling of epochs runs ahead of the clock, and when it is moved on.
	 * A restarted engine waits until the clock has come near the ceiling. */
	CEILING_AHEAD_MS = 600,
	CEILING_RENEW_MS = 300,
	AGG_PERIOD_MS =
	    10000, /* after a write, aggregation looks at the container this much later */
	AGG_SETTLED_MS = 30000, /* history younger than this is left alone */
	AGG_BUDGET_US = 1000,
	AGG_PAUSE_MS = 20,
	AGG_BUSY_MS = 2000,    /* a target that wrote this lately is busy: reclaim:lazy waits, */
	AGG_PRESSURE_PCT = 25, /* unless less than this of a tier is free */
	MAP_ASK_MS = 500,      /* between two questions for a newer map of one pool */
};

struct engine;

struct target {
	struct engine *engine;
	uint32_t idx;
	struct xs *xs;
	struct rpc_ep *ep;
	struct pool_tab pools;
	struct cont_tab conts;
	struct obj_svc objs;
	struct dtx_svc dtx;
	/* aggregation (target.c) */
	struct co_waitq agg_wake;
	bool agg_wanted;
	uint64_t wrote_ns; /* monotonic: the last write */
	bool stopping;
	struct co_future agg_done;
};

struct engine {
	struct engine_conf conf; /* its strings are copies */
	char **uris;             /* conf.ms_uris */
	struct env *env;
	struct dev_dir *dir; /* both tiers: conf.dir, or a directory that routes to conf.bulk_dir */
	struct dev_dir *tiers; /* to be closed, or NULL */
	struct xs *sys;
	struct rpc_ep *ep;
	struct target *targets;
	uint32_t target_nr; /* that have an xstream */
	char uri[RPC_URI_MAX];

	/* read by targets */
	_Atomic uint64_t lease_until_ns; /* monotonic */
	_Atomic uint64_t epoch_ceiling;
	_Atomic bool ceiling_asked; /* a renewal is under way */
	struct xs_msg ceiling_msg;
	_Atomic uint32_t rank;

	/* system xstream only */
	struct superblock *sb;
	struct ms_conn *ms;
	struct mgmt *mgmt;       /* NULL: no replica here */
	struct mgmt_hints hints; /* where else to ask */
	uint64_t incarnation;
	uint64_t sys_version;
	uint8_t cap_key[CAP_KEY_BYTES];
	bool has_key;
	struct co_mutex pool_ops;    /* one creation or destruction of a pool at a time */
	struct co_mutex ceiling_ops; /* one renewal at a time */
	struct co_mutex ms_start;
	struct co_waitq wake; /* woken when stopping */
	struct co_future life_done;
	uint32_t helper_nr; /* short coroutines under way */
	struct co_waitq helper_idle;
	bool stopping;
};

/* --- target.c --- */
int target_open(struct target *t); /* on its xstream */
int co_fn target_close(struct target *t);

/* --- engine.c --- */
/* Run fn on the xstream of every target at once; the first error, after all have ended. Called on
 * the system xstream. */
int co_fn engine_each_target(struct engine *e, int co_fn (*fn)(struct target *t, void *arg),
			     void *arg);
/* A short coroutine on the system xstream that engine_stop() waits for. */
int engine_helper(struct engine *e, void (*fn)(void *arg), void *arg);
void engine_helper_end(struct engine *e);

/* --- life.c: boot, join, heartbeats --- */
void co_fn engine_life(void *arg);
/* Persist a higher ceiling; on the system xstream. */
int co_fn engine_ceiling_raise(struct engine *e, uint64_t epoch);
void engine_ceiling_msg(struct xs_msg *msg);
/* Take over what the management service told. */
/* Something changed that aggregation should look at. */
void target_agg_wake(struct target *t);
int co_fn engine_take_maps(struct engine *e, Mgmt__PoolMap *const *maps, size_t nr);
int co_fn engine_take_dead(struct engine *e, const ProtobufCBinaryData *dead, size_t nr);
/* Ask for a newer map of a pool. */
void co_fn engine_refresh_map(struct engine *e, const uuid_t pool, uint32_t known);
void co_fn engine_end_mgmt(struct engine *e);
int co_fn engine_start_member(struct engine *e, uint64_t raft_id, char *const *uris, size_t nr);
/* Free and total bytes of the tiers, less what pools have taken. */
void engine_space(struct engine *e, uint64_t *scm_total, uint64_t *scm_free, uint64_t *nvme_total,
		  uint64_t *nvme_free);

/* --- ctl.c: requests of the management service --- */
int engine_ctl_register(struct engine *e);

#endif
