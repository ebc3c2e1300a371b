/*
 * Pools of one target: a table of shards, each a VOS pool with the newest pool map this engine has.
 * Belongs to the target's xstream; everything is called from its coroutines.
 */
#ifndef SERVER_POOL_SHARD_H
#define SERVER_POOL_SHARD_H

#include <stdbool.h>
#include <stdint.h>
#include <uuid/uuid.h>

#include "base/htable.h"
#include "cluster/map/map.h"
#include "runtime/co.h"
#include "store/dev/dev.h"
#include "store/vos/vos.h"

enum pool_shard_state {
	POOL_SHARD_OPENING,
	POOL_SHARD_OPEN,
	POOL_SHARD_FAILED,  /* cannot be opened: open_rc */
	POOL_SHARD_CLOSING, /* no new users */
};

struct pool_tab {
	struct xs *xs;
	struct dev_dir *dir;
	uint32_t target_idx; /* part of the device names */
	struct htable shards;
};

/* What the pool's properties say to its shards. */
struct pool_settings {
	uint64_t version;     /* newer ones replace older ones; 0 = none came yet */
	uint32_t data_thresh; /* property data_thresh: 0 = nothing goes to the NVMe tier */
	uint32_t reclaim;     /* DAOS_RECLAIM_* */
};

struct pool_shard {
	struct hnode node;
	struct pool_tab *tab;
	uuid_t uuid;
	enum pool_shard_state state;
	int open_rc;
	uint32_t refs;    /* memory: the table has one */
	uint32_t user_nr; /* operations under way; the pool is closed only without any */
	struct co_waitq idle;
	struct vos_pool *vos; /* while OPEN and CLOSING */
	struct pool_map *map; /* NULL until the first one came */
	uint32_t map_ver;     /* 0 without a map */
	struct pool_settings settings;
	bool surveyed;          /* aggregation knows what was left to do when it was opened */
	uint64_t map_asked_ns;  /* when a newer map was last asked for */
	uint32_t map_asked_ver; /* and for which version */
};

void pool_tab_init(struct pool_tab *tab, struct xs *xs, struct dev_dir *dir, uint32_t target_idx);
/* Every shard must have been closed. */
void pool_tab_fini(struct pool_tab *tab);

struct pool_shard_conf {
	uint64_t scm_bytes;
	uint64_t nvme_bytes;
	uint32_t data_thresh;
	uint64_t cache_bytes; /* 0 = VOS's default */
	uint64_t read_floor;  /* open: no read before was at an epoch above it */
};
/* Make the storage and open it. -DER_EXIST when the shard is in the table. Leaves nothing behind on
 * error. */
int co_fn pool_shard_create(struct pool_tab *tab, const uuid_t uuid,
			    const struct pool_shard_conf *conf);
/* Open existing storage. On failure the shard stays in the table as FAILED. */
int co_fn pool_shard_open(struct pool_tab *tab, const uuid_t uuid,
			  const struct pool_shard_conf *conf);
/*
 * Let nobody in any more, wait for those inside, call before_close (which gives back what it holds
 * of the pool), close. The shard leaves the table. -DER_NONEXIST.
 */
int co_fn pool_shard_close(struct pool_tab *tab, const uuid_t uuid,
			   void (*before_close)(struct pool_shard *, void *), void *arg);
/* Remove the storage of a shard that is not in the table. 0 when there is none. */
int co_fn pool_shard_unlink(struct pool_tab *tab, const uuid_t uuid);

/* For an operation: 0 and the pool stays open until pool_shard_leave(). -DER_NO_HDL not here,
 * -DER_AGAIN not yet. */
int pool_shard_enter(struct pool_tab *tab, const uuid_t uuid, struct pool_shard **ret_shard);
/* The same for a shard already known. */
int pool_shard_reenter(struct pool_shard *shard);
void pool_shard_leave(struct pool_shard *shard);
/* NULL when not in the table. No reference. */
struct pool_shard *pool_shard_find(struct pool_tab *tab, const uuid_t uuid);
void pool_shard_ref(struct pool_shard *shard);
void pool_shard_put(struct pool_shard *shard);

/* Take a map if it is newer than the shard's; ignored when the shard is not here. */
void pool_tab_set_map(struct pool_tab *tab, struct pool_map *map);
void pool_tab_set_settings(struct pool_tab *tab, const uuid_t uuid,
			   const struct pool_settings *settings);
/* Some shard of the table, NULL when it is empty. */
struct hnode *pool_tab_first(struct pool_tab *tab);
/* Calls fn for each shard; fn must not yield. */
void pool_tab_walk(struct pool_tab *tab, void (*fn)(struct pool_shard *shard, void *arg),
		   void *arg);

#endif
