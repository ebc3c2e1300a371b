/* What pool_map.c prepares for place.c and oclass.c. */
#ifndef CLUSTER_MAP_INTERNAL_H
#define CLUSTER_MAP_INTERNAL_H

#include <stdatomic.h>

#include "cluster/map/map.h"

enum {
	MAP_TARGET_ID_MAX = 1 << 20, /* ids are below it */
	MAP_NO_TARGET = UINT32_MAX,
};

enum map_level { MAP_LVL_NODE, MAP_LVL_RANK, MAP_LVL_NR };

/* The targets of one fault domain that are members, as indices into targets[]. */
struct map_domain {
	const uint32_t *members;
	uint32_t member_nr;
	uint64_t key; /* stable identity for hashing */
};

/*
 * A member is a target in any state but NEW. Membership, and everything here that depends on
 * nothing else, changes only when targets are added; the state of a member decides only whether it
 * can serve.
 */
struct pool_map {
	_Atomic uint32_t refs;
	uint32_t version;
	uuid_t uuid;
	uint8_t *packed; /* the message it came from */
	size_t packed_len;

	struct map_target *targets; /* by id */
	uint32_t target_nr;
	uint32_t member_nr;
	uint32_t active_nr;
	struct map_rank *ranks; /* by rank */
	char **strings;         /* their uris, one per rank */
	uint32_t rank_nr;

	uint32_t *idx_of_id; /* target index or MAP_NO_TARGET (no member); id_nr entries */
	uint32_t id_nr;
	uint32_t slot_bits;
	uint8_t sbox[256]; /* a fixed random permutation of the lowest min(slot_bits, 8) bits */

	uint32_t *dom_of[MAP_LVL_NR]; /* by target index */
	struct map_domain *doms[MAP_LVL_NR];
	uint32_t *dom_members[MAP_LVL_NR]; /* storage of doms[].members */
	uint32_t dom_nr[MAP_LVL_NR];       /* all domains, also those without a member */
	uint32_t member_dom_nr[MAP_LVL_NR];
	uint32_t active_dom_nr;
};

static inline bool
map_target_active(const struct map_target *t)
{
	return t->state == TGT_ST_UPIN || t->state == TGT_ST_DRAIN;
}

#endif
