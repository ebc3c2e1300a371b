/*
 * State of the management service: what every replica holds in memory, changed only by applying
 * commands of the log in order. Pure: no clock, no randomness, no I/O; the same commands give the
 * same state and the same snapshot bytes on every replica.
 */
#ifndef MGMT_STATE_H
#define MGMT_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uuid/uuid.h>

#include <daos_prop.h>

#include "base/htable.h"
#include "base/list.h"
#include "proto/capability.h"
#include "proto/mgmt.pb-c.h"
#include "proto/mgmt_defs.h"

enum ms_cmd_kind { /* part of the log's format: never reused */
		   MS_CMD_INIT = 1,
		   MS_CMD_JOIN = 2,
		   MS_CMD_RANK_STATE = 3,
		   MS_CMD_REPLICA_ADD = 4,
		   MS_CMD_REPLICA_DEL = 5,
		   MS_CMD_SYS_ATTR_SET = 6,
		   MS_CMD_SYS_CHANGED = 7,

		   MS_CMD_POOL_BEGIN = 20,
		   MS_CMD_POOL_READY = 21,
		   MS_CMD_POOL_FAILED = 22,
		   MS_CMD_POOL_DESTROY = 23,
		   MS_CMD_POOL_REAPED = 24,
		   MS_CMD_POOL_CONNECT = 25,
		   MS_CMD_POOL_DISCONNECT = 26,
		   MS_CMD_POOL_EVICT = 27,
		   MS_CMD_POOL_PROP_SET = 28,
		   MS_CMD_POOL_ATTR_SET = 29,
		   MS_CMD_POOL_ATTR_DEL = 30,

		   MS_CMD_CONT_CREATE = 40,
		   MS_CMD_CONT_DESTROY = 41,
		   MS_CMD_CONT_REAPED = 42,
		   MS_CMD_CONT_FORGET = 43,
		   MS_CMD_CONT_OPEN = 44,
		   MS_CMD_CONT_CLOSE = 45,
		   MS_CMD_CONT_PROP_SET = 46,
		   MS_CMD_CONT_ATTR_SET = 47,
		   MS_CMD_CONT_ATTR_DEL = 48,
		   MS_CMD_CONT_ALLOC_OIDS = 49,
};

enum {
	ST_SESSION_MAX = 16384,              /* clients whose results are remembered */
	ST_SESSION_LIFE_MS = 60 * 60 * 1000, /* since their last command */
	ST_RESULT_MAX = 1024,                /* of one client */
	ST_ATTR_NAME_MAX = 511,
	ST_ATTR_VALUE_MAX = 32 << 10, /* an answer must fit into a message */
	ST_ATTRS_BYTES_MAX = 256 << 10,
};

/* Packed protobuf bytes. */
struct blob {
	uint8_t *data;
	size_t len;
};

/* Pointers to things that begin with a uuid, sorted by it. */
struct uvec {
	void **v;
	uint32_t nr;
	uint32_t cap;
};

struct st_rank {
	uint32_t rank;
	uuid_t uuid; /* of its storage */
	char *uri;
	char *fault_domain;
	char *control_addr;
	uint32_t target_nr;
	uint32_t state; /* enum sys_rank_state */
	uint64_t incarnation;
	uint64_t scm_total;
	uint64_t nvme_total;
	uint64_t raft_id; /* 0: no replica here */
};

struct st_target {
	uint32_t id;
	uint32_t rank;
	uint32_t index;
	uint32_t state; /* enum target_state */
	uint32_t fseq;
	uint32_t in_ver;
};

struct st_pool {
	uuid_t uuid; /* first: uvec */
	struct hnode label_node;
	bool labeled; /* in the table of labels */
	char label[DAOS_PROP_MAX_LABEL_BUF_LEN];
	uint32_t state;     /* enum pool_state */
	uint64_t scm_bytes; /* per rank */
	uint64_t nvme_bytes;
	uint32_t map_version;
	uint64_t changed_at;       /* sys_version of the last change of its map */
	struct st_target *targets; /* by id */
	uint32_t target_nr;
	uint32_t target_id_next;
	uint32_t *ranks; /* ascending */
	uint32_t rank_nr;
	uint32_t *pending; /* destroying: ranks that may still have it, ascending */
	uint32_t pending_nr;
	struct blob props;    /* Mgmt.PropGetRep, by type */
	struct blob attrs;    /* Mgmt.AttrRep, by name */
	uuid_t create_client; /* the command that created it: a repetition of it joins in */
	uint64_t create_seq;
	struct uvec conts;
	struct htable cont_labels;
	struct list handles; /* st_handle.pool_link of pool handles */
	uint32_t handle_nr;
};

struct st_cont {
	uuid_t uuid; /* first: uvec */
	struct st_pool *pool;
	struct hnode label_node;
	bool labeled;
	char label[DAOS_PROP_MAX_LABEL_BUF_LEN];
	struct blob props;
	struct blob attrs;
	uint64_t oid_next;   /* next to be given out by alloc_oids */
	uint64_t generation; /* of its capabilities */
	uint64_t open_hlc;
	uint64_t modify_hlc;
	struct list handles; /* st_handle.cont_link */
	uint32_t handle_nr;
};

struct st_handle { /* of a pool, or of a container (cont != NULL) */
	uuid_t uuid;
	struct hnode node;
	struct st_pool *pool;
	struct st_cont *cont;
	struct list link; /* pool->handles or cont->handles */
	struct st_handle
	    *up; /* container: the pool handle it was opened by, NULL if that is gone */
	struct list children; /* pool handle: container handles opened by it */
	struct list child_link;
	uint64_t flags;
	uint64_t rights; /* DAOS_ACL_PERM_* */
	uint64_t opened_ms;
	char *user; /* pool handles only */
	char *group;
	char **groups;
	uint32_t group_nr;
	char *machine;
};

struct st_tomb {          /* a destroyed container */
	struct list link; /* by changed_at */
	uuid_t pool;
	uuid_t cont;
	uint64_t died_ms;
	uint64_t changed_at;
	uint32_t *pending;
	uint32_t pending_nr;
};

struct st_result {
	struct list link; /* by seq */
	uint64_t seq;
	int rc;
	struct blob reply;
};

struct st_session { /* a client incarnation */
	uint8_t client[16];
	struct hnode node;
	struct list link; /* least recently used first */
	uint64_t low_seq;
	uint64_t last_ms;
	struct list results;
	uint32_t result_nr;
};

struct state {
	bool inited;
	uuid_t uuid;
	char *name;
	uint8_t cap_key[CAP_KEY_BYTES];
	uint64_t sys_version; /* raised by every change that ranks must hear of */
	uint64_t raft_id_next;
	uint64_t boot_raft_id; /* of the first replica, whose rank becomes known when it joins */
	char *boot_uri;
	uint64_t now_ms; /* highest of all commands */
	struct blob attrs;

	struct st_rank **ranks; /* by number; no gaps in the array, but in the numbers */
	uint32_t rank_nr;

	struct uvec pools;
	struct htable pool_labels;
	struct htable handles; /* by uuid: st_handle.node */
	struct list tombs;
	uint32_t tomb_nr;
	struct htable sessions;
	struct list session_lru;
	uint32_t session_nr;
};

int state_create(struct state **ret_st);
void state_destroy(struct state *st); /* NULL is fine */

/* One command (packed Ms.Cmd). Returns its result; *ret_reply as told in apply.c, from malloc. */
int state_apply(struct state *st, const void *cmd, size_t len, void **ret_reply, size_t *ret_len);
int state_snapshot(const struct state *st, void **ret_buf, size_t *ret_len);
/* *ret_st is a new state. */
int state_restore(const void *buf, size_t len, struct state **ret_st);

/* --- looking things up; NULL when there is none ---------------------------------------------- */
struct st_rank *state_rank(const struct state *st, uint32_t rank);
struct st_rank *state_rank_by_uuid(const struct state *st, const uuid_t uuid);
struct st_rank *state_rank_by_raft_id(const struct state *st, uint64_t raft_id);
struct st_pool *state_pool(const struct state *st, const uuid_t uuid);
struct st_pool *state_pool_by_label(const struct state *st, const char *label);
/* By label or uuid text. */
struct st_pool *state_pool_by_name(const struct state *st, const char *name);
struct st_cont *state_cont(const struct st_pool *pool, const uuid_t uuid);
struct st_cont *state_cont_by_label(const struct st_pool *pool, const char *label);
struct st_cont *state_cont_by_name(const struct st_pool *pool, const char *name);
struct st_handle *state_handle(const struct state *st, const uuid_t uuid);
/* Bytes of pools on a rank, besides except. */
void state_rank_used(const struct state *st, uint32_t rank, const struct st_pool *except,
		     uint64_t *ret_scm, uint64_t *ret_nvme);

/* --- inside of state*.c and apply.c ---------------------------------------------------------- */
uint32_t uvec_pos(const struct uvec *v, const uuid_t uuid, bool *ret_found);
int uvec_insert(struct uvec *v, void *item);
void uvec_remove(struct uvec *v, const uuid_t uuid);
int blob_set(struct blob *b, const void *data, size_t len);
void blob_fini(struct blob *b);
uint64_t state_label_hash(const char *label);
struct st_pool *state_pool_new(const uuid_t uuid);
void state_pool_free(struct state *st, struct st_pool *pool); /* with everything in it */
int state_pool_link(struct state *st, struct st_pool *pool);
void state_pool_set_label(struct state *st, struct st_pool *pool, const char *label); /* "": none */
struct st_cont *state_cont_new(struct st_pool *pool, const uuid_t uuid);
int state_cont_link(struct st_cont *cont);
void state_cont_free(struct state *st, struct st_cont *cont);
void state_cont_set_label(struct st_cont *cont, const char *label);
struct st_handle *state_handle_new(const uuid_t uuid);
void state_handle_link(struct state *st, struct st_handle *h);
void state_handle_free(struct state *st, struct st_handle *h);
int state_rank_add(struct state *st, struct st_rank *rank);
void state_rank_free(struct st_rank *rank);
void state_tomb_free(struct state *st, struct st_tomb *tomb);
struct st_session *state_session(const struct state *st, const uint8_t client[16]);
struct st_session *state_session_new(struct state *st, const uint8_t client[16]);
void state_session_free(struct state *st, struct st_session *s);
int state_session_add(struct st_session *s, uint64_t seq, int rc, const void *reply, size_t len);
int u32s_copy(uint32_t **dst, uint32_t *dst_nr, const uint32_t *src, size_t nr);
bool u32s_has(const uint32_t *v, uint32_t nr, uint32_t x);
bool u32s_remove(uint32_t *v, uint32_t *nr, uint32_t x);

#endif
