/*
 * Pool map and placement: pure functions, no I/O, no clock.
 *
 * A pool map is an immutable, reference-counted picture of a pool's targets at one version.
 * Placement computes, for one redundancy group of one object, which targets hold its shards
 * (DESIGN: permutation over 2^n slots of stable component ids; empty or lost slots fall through by
 * rendezvous hashing over the fault-domain tree; no two shards of a group in one fault domain).
 * Thread-safe: maps never change after creation, the count is atomic.
 */
#ifndef CLUSTER_MAP_H
#define CLUSTER_MAP_H

#include <stdint.h>
#include <stdbool.h>
#include <stddef.h>
#include <uuid/uuid.h>
#include <daos_types.h>
#include <daos_obj.h>
#include <daos_obj_class.h>

#include "proto/mgmt_defs.h"

struct pool_map;
struct Mgmt__PoolMap; /* protobuf message */

struct map_target {
	uint32_t id; /* stable in the pool */
	uint32_t rank;
	uint32_t index; /* within the rank: RPC tag index + 1 */
	uint32_t state; /* enum target_state */
	uint32_t fseq;
	uint32_t in_ver;
	uint32_t domain; /* index of its fault domain in this map */
};
struct map_rank {
	uint32_t rank;
	uint32_t target_nr;
	uint32_t domain;
	uint32_t state;  /* enum sys_rank_state */
	const char *uri; /* tag 0 */
};

/* From and to the wire; -DER_INVAL for an inconsistent message. */
int pool_map_from_msg(const struct Mgmt__PoolMap *msg, struct pool_map **ret_map);
/* Packed protobuf, malloced. */
int pool_map_pack(const struct pool_map *map, uint8_t **ret_buf, size_t *ret_len);
int pool_map_unpack(const uint8_t *buf, size_t len, struct pool_map **ret_map);
struct pool_map *pool_map_get(struct pool_map *map);
void pool_map_put(struct pool_map *map);

uint32_t pool_map_version(const struct pool_map *map);
void pool_map_uuid(const struct pool_map *map, uuid_t ret_uuid);
uint32_t pool_map_target_nr(const struct pool_map *map);
uint32_t pool_map_target_active_nr(const struct pool_map *map); /* UPIN or DRAIN */
uint32_t pool_map_rank_nr(const struct pool_map *map);
uint32_t pool_map_domain_nr(const struct pool_map *map); /* with at least one active target */
const struct map_target *pool_map_target(const struct pool_map *map,
					 uint32_t idx); /* ordered by id */
const struct map_target *pool_map_target_find(const struct pool_map *map, uint32_t id);
const struct map_rank *pool_map_rank(const struct pool_map *map, uint32_t idx);
const struct map_rank *pool_map_rank_find(const struct pool_map *map, uint32_t rank);

/* --- object classes (from the class bits of the object id) --- */
struct oclass_shape {
	uint32_t group_nr;   /* redundancy groups; resolved, never the X marker */
	uint32_t group_size; /* shards per group: 1, r, or k + p */
	uint32_t data_nr;    /* k; 1 for replication */
	uint32_t parity_nr;  /* p; 0 for replication */
	bool rank_level;     /* shards of a group are on different ranks; else on different nodes */
};
/* Shape of a class in this pool: resolves the X marker to the number of groups of semantics.md
 * section 2. -DER_INVAL unknown class, or more groups/shards/domains than the pool has. */
int oclass_shape(const struct pool_map *map, daos_oclass_id_t cid, bool rank_level,
		 struct oclass_shape *ret_shape);

/*
 * Groups of a class with the X marker for a container of redundancy factor rf (oclass_shape() takes
 * what the class itself survives). reserved_targets: D_GX_RESERVED, 0 = by the rule. -DER_INVAL as
 * for oclass_shape().
 */
int oclass_max_groups(const struct pool_map *map, daos_oclass_id_t cid, bool rank_level,
		      uint32_t rf, uint32_t reserved_targets, uint32_t *ret_group_nr);
/* Targets that belong to the pool in whatever state but NEW, and the fault domains they are in:
 * what classes must fit. */
uint32_t pool_map_member_nr(const struct pool_map *map);
uint32_t pool_map_member_domain_nr(const struct pool_map *map, bool rank_level);

/* --- placement --- */
enum { PLACE_SHARD_MAX = 128 + 8 };
struct place_shard {
	uint32_t target_id;
	uint32_t shard; /* group * group_size + member */
	bool absent; /* nobody can serve it now; target_id is its owner, whose return is waited for
		      */
};
/* Members of one group, in shard order. */
int place_group(const struct pool_map *map, daos_obj_id_t oid, const struct oclass_shape *shape,
		uint32_t group, struct place_shard *ret_shards /* [group_size] */);
/* Who orders the changes of a dkey (NULL: of a whole group): a member of the group, by hash; of
 * erasure-coded groups one that holds parity. */
uint32_t place_leader(daos_obj_id_t oid, const struct oclass_shape *shape, const void *dkey,
		      size_t len);
/* Group of a dkey: integer dkeys: consecutive keys go to consecutive groups (rotated per object);
 * others by hash. */
uint32_t place_dkey_group(daos_obj_id_t oid, const struct oclass_shape *shape, const void *dkey,
			  size_t len);

#endif
