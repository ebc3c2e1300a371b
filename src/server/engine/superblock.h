/*
 * Superblock: what an engine must know of itself before it can ask anybody. Belongs to the system
 * xstream.
 */
#ifndef SERVER_ENGINE_SUPERBLOCK_H
#define SERVER_ENGINE_SUPERBLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <uuid/uuid.h>

#include "net/rpc/rpc.h"
#include "runtime/co.h"
#include "store/dev/dev.h"

enum {
	SB_POOL_MAX = 1024,
	SB_URI_MAX = 16,
	SB_NAME_MAX = 64,
};
#define SB_DEV_NAME "engine.sb"

struct sb_pool { /* sizes per target */
	uuid_t uuid;
	uint64_t scm_bytes;
	uint64_t nvme_bytes;
	uint32_t data_thresh;
};
struct superblock {
	/* content */
	uuid_t uuid;        /* identity of this storage */
	uuid_t system_uuid; /* null before the first join */
	char system_name[SB_NAME_MAX];
	uint32_t rank; /* MGMT_RANK_NONE before the first join */
	uint32_t target_nr;
	uint64_t epoch_ceiling; /* no epoch above it was ever given out */
	struct sb_pool *pools;
	uint32_t pool_nr;
	char uris[SB_URI_MAX][RPC_URI_MAX]; /* replicas of the management service */
	uint32_t uri_nr;
	/* state */
	struct dev *dev;
	uint64_t seq;
	uint32_t pool_cap;
	struct co_mutex lock; /* held during a write */
};

/*
 * Load, or make a new one: *ret_new. The caller fills a new one and writes it. -DER_CSUM: neither
 * copy is readable; -DER_DF_INCOMPT: written by a later version.
 */
int co_fn sb_open(struct dev_dir *dir, struct xs *xs, struct superblock **ret_sb, bool *ret_new);
/* Durable on return. After an error the stored state is the one before. */
int co_fn sb_write(struct superblock *sb);
void sb_close(struct superblock *sb); /* NULL is fine */

struct sb_pool *sb_pool_find(struct superblock *sb, const uuid_t uuid);
/* In memory only. -DER_EXIST, -DER_NOSPACE. */
int sb_pool_add(struct superblock *sb, const struct sb_pool *pool);
void sb_pool_del(struct superblock *sb, const uuid_t uuid);
/* Replace the list; true when it changed. Addresses that are too long are left out. */
bool sb_set_uris(struct superblock *sb, char *const *uris, size_t nr);

#endif
