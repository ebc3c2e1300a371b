/* Inside of the management service, shared by its .c files. */
#ifndef MGMT_INTERNAL_H
#define MGMT_INTERNAL_H

#include "base/hlc.h"
#include "base/list.h"
#include "cluster/rdb/rdb.h"
#include "proto/engine.pb-c.h"
#include "proto/mgmt.pb-c.h"
#include "runtime/xs.h"
#include "server/mgmt/arena.h"
#include "server/mgmt/mgmt.h"
#include "server/mgmt/mscmd.pb-c.h"
#include "server/mgmt/prop.h"
#include "server/mgmt/state.h"

enum {
	MS_REPLY_MAX = 40 << 10,   /* bytes of lists in one reply; more comes in pages */
	MS_LOOK_AFTER_MS = 2000,   /* the leader looks for work this often, besides being kicked */
	MS_ENGINE_CALL_MS = 10000, /* one request to an engine */
	MS_POOL_CREATE_CALL_MS = 120000,
	MS_POOL_CREATE_WAIT_MS = 10000, /* for engines that do not answer */
	MS_POOL_CREATE_PAUSE_MS = 300,
	MS_POOL_QUERY_CALL_MS = 2000,
	MS_BARRIER_MS = 3000,
	MS_SILENT_MS = 2 * LEASE_MS,  /* without heartbeats: shown as unresponsive */
	MS_REPLICA_SILENT_MS = 10000, /* a replica this long without answers is looked at */
	MS_GROW_AGAIN_MS = 10000,     /* after a new replica could not be made */
	MS_REPLICAS_3_FROM = 3,       /* ranks */
	MS_REPLICAS_5_FROM = 8,       /* ranks, in as many fault domains */
	MS_FANOUT_MAX = 64,           /* engines asked at a time */
	MS_TOMB_LIFE_MS = CAP_LIFE_MS + 60000,
};

/* What the leader knows from heartbeats; not replicated, empty after a change of leaders. */
struct beat {
	uint32_t rank;
	uint64_t heard_ns; /* 0 = not since this replica leads */
	uint64_t scm_free;
	uint64_t nvme_free;
};

/* Creation or removal of a pool under way here; those who repeat the request wait for it. */
struct pool_op {
	struct list link;
	uuid_t pool;
	struct co_future done;
	uint32_t ref;
	bool over;
};

struct mgmt;
struct ms_req;
typedef int co_fn (*ms_handler)(struct mgmt *mgmt, struct ms_req *req);

enum ms_row_flags {
	MS_READ = 1,   /* confirm leadership, then answer from the state */
	MS_LAZY = 2,   /* the confirmation may wait for raft's next heartbeat */
	MS_CHANGE = 4, /* the commit confirms; but so must whoever refuses before that */
};
struct ms_row {
	uint32_t opc;
	const ProtobufCMessageDescriptor *desc;
	ms_handler fn;
	uint32_t flags;
};
extern const struct ms_row ms_rows[];
extern const uint32_t ms_row_nr;

/* A request being handled. */
struct ms_req {
	const struct ms_row *row;
	const void *msg;     /* unpacked, of row->desc */
	const uint8_t *body; /* packed */
	size_t body_len;
	struct arena arena;
	const ProtobufCMessage *reply; /* in the arena; NULL = none */
};
/* printf helpers */
#define UUID_F    "%02x%02x%02x%02x"
#define UUID_P(u) (u)[0], (u)[1], (u)[2], (u)[3]

#define ms_new(req, type, init_fn)                                                                 \
	({                                                                                         \
		type *ms_new_p_ = (type *)arena_alloc(&(req)->arena, sizeof(type));                \
		if (ms_new_p_ != NULL)                                                             \
			init_fn(ms_new_p_);                                                        \
		ms_new_p_;                                                                         \
	})

struct ms_bound { /* argument of a registered handler */
	struct mgmt *mgmt;
	const struct ms_row *row;
};

struct mgmt {
	struct mgmt_conf conf;
	struct xs *xs;
	char *system_name;
	char *provider;
	struct rdb *rdb;
	struct state *st;
	bool opened; /* rdb is valid */
	bool leading;
	bool stopping;
	int failed_rc;
	uint64_t epoch;
	uint64_t lead_since_ns; /* monotonic */
	uint64_t grow_after_ns; /* not before: the last attempt failed */
	struct hlc hlc;
	struct ms_bound *bound;
	uint32_t busy_nr; /* coroutines that use this struct */
	struct co_waitq idle_wq;
	struct co_waitq lead_wq;
	bool lead_running;
	bool kicked;
	struct xs_timer lead_timer;
	struct beat *beats;
	uint32_t beat_nr;
	struct list ops; /* pool_op */
	struct co_mutex members_lock;
};

/* --- mgmt.c ---------------------------------------------------------------------------------- */
/* A command with time filled in. */
void ms_cmd_start(struct mgmt *mgmt, Ms__Cmd *cmd, uint32_t kind);
void ms_cmd_ident(Ms__Cmd *cmd, const Mgmt__CmdId *id);
/* Commit it. *ret_rep (NULL: not wanted) is to be freed; it may be empty. */
int co_fn ms_commit(struct mgmt *mgmt, const Ms__Cmd *cmd, struct blob *ret_rep);
/* The same, for commands whose reply is an Ms.CmdRep: its number. */
int co_fn ms_commit_number(struct mgmt *mgmt, const Ms__Cmd *cmd, uint64_t *ret_number);
int co_fn ms_confirm(struct mgmt *mgmt, bool lazy);
/* Something for the leader's background work. */
void ms_kick(struct mgmt *mgmt);
/* Count a coroutine of ours; false when the service is stopping. */
bool ms_enter(struct mgmt *mgmt);
void ms_leave(struct mgmt *mgmt);
int ms_spawn(struct mgmt *mgmt, void (*fn)(void *), void *arg);
struct beat *ms_beat(struct mgmt *mgmt, uint32_t rank, bool make);
bool ms_rank_alive(struct mgmt *mgmt, const struct st_rank *rank);
/* Uris of the replicas; strings and array in the arena. */
int ms_replica_ranks(struct mgmt *mgmt, struct arena *arena, uint32_t **ret_ranks, size_t *ret_nr);
uint32_t ms_leader_rank(const struct mgmt *mgmt); /* of this replica, that is */
int ms_replica_uris(struct mgmt *mgmt, struct arena *arena, char ***ret_uris, size_t *ret_nr);

/* --- fanout.c -------------------------------------------------------------------------------- */
/* One request to the engine of a rank. rep_desc NULL: no reply body. */
int co_fn ms_engine_call(struct mgmt *mgmt, uint32_t rank, uint32_t opc,
			 const ProtobufCMessage *msg, const ProtobufCMessageDescriptor *rep_desc,
			 ProtobufCMessage **ret_rep, uint32_t timeout_ms);
int co_fn ms_engine_call_uri(struct mgmt *mgmt, const char *uri, uint32_t opc,
			     const ProtobufCMessage *msg,
			     const ProtobufCMessageDescriptor *rep_desc, ProtobufCMessage **ret_rep,
			     uint32_t timeout_ms);
struct ms_answer {
	uint32_t rank;
	int rc;
	ProtobufCMessage *rep; /* freed by ms_answers_free() */
};
/* The same request to many; answers[i].rank is set by the caller. */
int co_fn ms_fanout(struct mgmt *mgmt, uint32_t opc, const ProtobufCMessage *msg,
		    const ProtobufCMessageDescriptor *rep_desc, struct ms_answer *answers,
		    uint32_t nr, uint32_t timeout_ms);
void ms_answers_free(struct ms_answer *answers, uint32_t nr);

/* --- poolop.c -------------------------------------------------------------------------------- */
/* Drive a pool that is being created or destroyed to its end, or join somebody who does. */
int co_fn ms_pool_finish(struct mgmt *mgmt, const uuid_t uuid, const Mgmt__CmdId *id);
/* Leader's background: pools left half way by the last leader, space to be given back. */
void co_fn ms_pools_resume(struct mgmt *mgmt);
void co_fn ms_reap(struct mgmt *mgmt);
int co_fn ms_map_push(struct mgmt *mgmt, const uuid_t uuid);
int co_fn ms_cont_reap(struct mgmt *mgmt, const uuid_t pool, const uuid_t cont);

/* --- members.c ------------------------------------------------------------------------------- */
void co_fn ms_members_look_after(struct mgmt *mgmt);

/* --- messages made from the state ------------------------------------------------------------ */
Mgmt__PoolMap *ms_pool_map_msg(struct mgmt *mgmt, struct arena *a, const struct st_pool *pool);
Mgmt__PoolInfo *ms_pool_info_msg(struct mgmt *mgmt, struct arena *a, const struct st_pool *pool);
Mgmt__Rank *ms_rank_msg(struct mgmt *mgmt, struct arena *a, const struct st_rank *rank);

/* All properties of a pool, or of a container (cont != NULL), those made up on the spot included.
 */
int ms_props_msg(struct arena *a, const struct st_pool *pool, const struct st_cont *cont,
		 Mgmt__Prop ***ret_props, size_t *ret_nr);
/* Answer with the attributes that the request (an AttrReq) names, or with all names. */
int svc_attrs_reply(struct ms_req *req, const struct blob *list, bool names_only);

/* --- handlers (svc_*.c) ---------------------------------------------------------------------- */
int co_fn svc_join(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_heartbeat(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_system_query(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_system_stop(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_attach_info(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_system_set_attr(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_system_get_attr(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_pool_create(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_pool_destroy(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_pool_list(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_pool_connect(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_pool_disconnect(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_pool_query(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_pool_map_get(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_pool_evict(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_cont_create(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_cont_destroy(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_cont_open(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_cont_close(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_cont_query(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_cont_list(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_cont_alloc_oids(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_cont_renew(struct mgmt *mgmt, struct ms_req *req);
/* Properties and attributes: of a pool, or of a container when the request names one. */
int co_fn svc_get_prop(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_set_prop(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_attr_set(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_attr_get(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_attr_list(struct mgmt *mgmt, struct ms_req *req);
int co_fn svc_attr_del(struct mgmt *mgmt, struct ms_req *req);

#endif
