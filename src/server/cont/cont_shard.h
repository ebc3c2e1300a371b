/*
 * Containers of one target, and who may use them: capabilities that were verified here, containers
 * in use, and containers destroyed lately. Belongs to the target's xstream.
 */
#ifndef SERVER_CONT_SHARD_H
#define SERVER_CONT_SHARD_H

#include <stdbool.h>
#include <stdint.h>
#include <uuid/uuid.h>

#include "base/htable.h"
#include "base/list.h"
#include "proto/capability.h"
#include "runtime/co.h"
#include "server/pool/pool_shard.h"

enum {
	CONT_CAP_MAX = 65536,     /* capabilities remembered; beyond it the oldest is forgotten */
	CONT_CAP_GRACE_MS = 5000, /* accepted after expiry, for clocks that differ */
};

struct cont_tab {
	struct xs *xs;
	struct pool_tab *pools;
	struct htable conts;
	struct htable caps;
	struct list caps_by_age; /* oldest first */
	uint32_t cap_nr;
	struct htable dead;
	struct list dead_by_age;
	uint8_t key[CAP_KEY_BYTES];
	bool has_key;
	/* Called, when set, for a container that was found to have intents. */
	void (*intents_found)(void *arg);
	void *intents_arg;
};

struct cont_shard {
	struct hnode node;
	struct cont_tab *tab;
	struct pool_shard *pool; /* referenced */
	uuid_t uuid;
	uint32_t refs; /* table, capabilities, operations */
	bool dead;
	bool rank_level;           /* the capability's */
	bool intents;              /* there may be changes here whose fate is not known */
	bool dirty;                /* written; aggregation has to look at it */
	uint64_t written_ns;       /* monotonic, of the last write */
	uint32_t agg_round;        /* in which it was looked at last */
	uint32_t ask_round;        /* the same, for its intents */
	struct vos_cont_conf conf; /* for when it is created */
	struct vos_cont *vos;      /* NULL: not opened yet, or nothing was ever written here */
	struct co_mutex opening;
};

void cont_tab_init(struct cont_tab *tab, struct xs *xs, struct pool_tab *pools);
void cont_tab_fini(struct cont_tab *tab);
/* The key that signs capabilities; a new one makes the engine forget those of the old one. */
void cont_tab_set_key(struct cont_tab *tab, const uint8_t key[CAP_KEY_BYTES]);

/*
 * Begin an operation: check the capability named by cap_id (or given whole) for the rights wanted,
 * enter the pool. On 0 the caller ends with cont_leave(). now_ms: wall clock. Codes as in
 * proto/obj_proto.h: -DER_NO_HDL, -DER_NO_PERM, -DER_AGAIN.
 */
int cont_enter(struct cont_tab *tab, const uint8_t cap_id[16], const uint8_t *cap, uint32_t cap_len,
	       uint64_t rights, uint64_t now_ms, struct cont_shard **ret_cont);
void cont_leave(struct cont_shard *cont);
/* The same for messages between engines, which carry no capability. -DER_NO_HDL: destroyed, or the
 * pool is not here; -DER_AGAIN. */
int cont_enter_known(struct cont_tab *tab, const uuid_t pool, const uuid_t uuid,
		     struct cont_shard **ret_cont);

/* The VOS container. create: make it if nothing was ever written here; else *ret_vos is NULL then.
 * -DER_NO_HDL: destroyed. */
int co_fn cont_vos(struct cont_shard *cont, bool create, struct vos_cont **ret_vos);

/* The container was destroyed: refuse its capabilities from now on, remove what is stored here.
 * Repeating it is harmless. */
int co_fn cont_tab_destroy(struct cont_tab *tab, const uuid_t pool, const uuid_t cont,
			   uint64_t now_ms);
/* Give back everything that refers to a pool about to be closed (nobody is inside). */
void cont_tab_drop_pool(struct cont_tab *tab, struct pool_shard *pool);
/* Mark those containers of a pool dirty in which something is left to aggregate; the pool is
 * entered. */
int co_fn cont_tab_survey(struct cont_tab *tab, struct pool_shard *pool);
/* A container with dirty set that was not looked at in this round yet, entered; NULL when there is
 * none. */
struct cont_shard *cont_tab_next_dirty(struct cont_tab *tab, uint32_t round);
/* The same for containers with intents set. */
struct cont_shard *cont_tab_next_intents(struct cont_tab *tab, uint32_t round);

#endif
