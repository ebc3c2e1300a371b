/*
 * Placement: which targets hold the shards of one redundancy group. A pure function of pool map and
 * object id.
 *
 * Slots. There are 2^n slots; the target with id t is in slot t; n is fixed when the pool is made,
 * with room for at least four times its targets. Each object has its own pseudo-random permutation
 * P of the slots (a few rounds of steps that are bijections of n bits).
 *
 * Walk. Shard k starts at slot k and follows P(k), P(P(k)), ... to the first slot with a member (a
 * target in any state but NEW). Because P is a bijection, different k below the number of targets
 * end at different targets: an object with as many shards as targets loads every target once. A new
 * target is met by the walks that pass its slot and by no others, so it takes its part and nothing
 * else moves (but see below).
 *
 * Domains. The members of a group are placed in order; a walk goes on past targets in fault domains
 * that the group already uses. After HIT_MAX such targets (common only when there are hardly more
 * domains than members) or STEP_MAX steps the place is found by rendezvous instead: the highest
 * hash of (object, shard, domain), weighted by the domain's members, among the unused domains, then
 * the highest hash within it. Here a new target can displace a later member of the same group from
 * its domain: such extra moves are (group size / domains) of the new target's part at most.
 *
 * Lost targets. All this looks at membership only, so the loss of a target never moves the shards
 * of others. A shard whose target is DOWN keeps its place: it is absent until the owner returns.
 * When the target is given up (DOWNOUT, or UP: on its way back) the shards of redundant groups get
 * a replacement by the same walk and rendezvous among active targets, outside the domains of all
 * other members. The losses are replayed in their order (fseq), each with what was active at its
 * time, so that a later loss does not change what was chosen at an earlier one. A class without
 * redundancy never moves: nobody could supply its data.
 */
#include "cluster/map/map_internal.h"

#include <endian.h>
#include <string.h>

#include <daos_errno.h>

#include "base/hash.h"

enum {
	STEP_MAX = 192, /* slots looked at by one walk */
	HIT_MAX = 6,    /* members in unusable domains met by one walk */
};

/* One object's permutation of the slots. */
enum { PERM_ROUNDS = 4 };
struct perm {
	const uint8_t *sbox;
	uint32_t mask, sbox_mask, shift;
	uint32_t add[PERM_ROUNDS], mul[PERM_ROUNDS];
};

struct placer {
	const struct pool_map *map;
	const uint32_t *dom_of;
	const struct map_domain *doms;
	uint32_t dom_nr;
	struct perm perm;
	uint64_t seed;
	uint32_t used[PLACE_SHARD_MAX]; /* domains of the other members */
	uint32_t used_nr;
	bool replay;   /* only targets that were active when ... */
	uint32_t fseq; /* ... this loss happened */
};

static uint64_t
oid_hash(daos_obj_id_t oid)
{
	return hash_combine(hash_u64(oid.lo), oid.hi);
}

static struct perm
perm_make(const struct pool_map *map, uint64_t seed)
{
	struct perm p = {
	    .sbox = map->sbox,
	    .mask = (uint32_t)((1ull << map->slot_bits) - 1),
	    .shift = map->slot_bits > 2 ? (map->slot_bits + 1) / 2 : 1,
	};

	p.sbox_mask = p.mask & 0xff;
	for (uint64_t r = 0; r < PERM_ROUNDS; r++) {
		uint64_t h = hash_u64(seed + r * 0x632be59bd9b4e019ull);

		p.add[r] = (uint32_t)h;
		p.mul[r] = (uint32_t)(h >> 32) | 1;
	}
	return p;
}

/*
 * Each step is a bijection of n bits: add a key, replace the low bits by a fixed random table,
 * multiply by an odd number, xor with the own upper bits. The table is what makes small numbers of
 * slots random enough.
 */
static inline uint32_t
perm_next(const struct perm *p, uint32_t x)
{
	for (int r = 0; r < PERM_ROUNDS; r++) {
		x += p->add[r];
		x = (x & ~p->sbox_mask) | p->sbox[x & p->sbox_mask];
		x = x * p->mul[r] & p->mask;
		x ^= x >> p->shift;
	}
	return x;
}

static inline bool
domain_used(const struct placer *pl, uint32_t dom)
{
	for (uint32_t i = 0; i < pl->used_nr; i++) {
		if (pl->used[i] == dom)
			return true;
	}
	return false;
}

static inline bool
usable(const struct placer *pl, uint32_t idx)
{
	if (pl->replay && !map_target_active(&pl->map->targets[idx]) &&
	    pl->map->targets[idx].fseq <= pl->fseq)
		return false;
	return !domain_used(pl, pl->dom_of[idx]);
}

/* Target index, or MAP_NO_TARGET when the walk gave up. */
static uint32_t
walk(const struct placer *pl, uint32_t slot)
{
	const struct pool_map *map = pl->map;
	uint32_t hits = 0;

	for (uint32_t step = 0; step < STEP_MAX; step++) {
		uint32_t idx;

		slot = perm_next(&pl->perm, slot);
		if (slot >= map->id_nr)
			continue;
		idx = map->idx_of_id[slot];
		if (idx == MAP_NO_TARGET)
			continue;
		if (usable(pl, idx))
			return idx;
		/* Counted by membership alone, so that the loss of one target does not change the
		 * walks of others. */
		if (++hits == HIT_MAX)
			break;
	}
	return MAP_NO_TARGET;
}

/* -log2(h / 2^64) in units of 2^-32, to first order within an octave; never 0. Integer arithmetic:
 * equal everywhere. */
static uint64_t
neg_log2(uint64_t h)
{
	uint32_t zeros = h == 0 ? 63 : (uint32_t)__builtin_clzll(h);
	uint64_t frac = (h << zeros << 1) >> 32;

	return ((uint64_t)(zeros + 1) << 32) - frac + 1;
}

/* The usable member of a domain with the highest hash. */
static uint32_t
rendezvous_in(const struct placer *pl, const struct map_domain *dom, uint64_t key)
{
	uint32_t best = MAP_NO_TARGET;
	uint64_t best_hash = 0;

	for (uint32_t m = 0; m < dom->member_nr; m++) {
		uint32_t idx = dom->members[m];
		uint64_t h = hash_u64(key + pl->map->targets[idx].id);

		if (usable(pl, idx) && (best == MAP_NO_TARGET || h > best_hash)) {
			best = idx;
			best_hash = h;
		}
	}
	return best;
}

static uint32_t
rendezvous(const struct placer *pl, uint32_t shard)
{
	uint64_t key = hash_combine(pl->seed, shard);
	uint64_t best_score = 0, best_weight = 0;
	uint32_t best = MAP_NO_TARGET;

	for (uint32_t d = 0; d < pl->dom_nr; d++) {
		const struct map_domain *dom = &pl->doms[d];
		uint64_t score;
		uint32_t idx;

		if (dom->member_nr == 0 || domain_used(pl, d))
			continue;
		/* the smallest score per weight wins */
		score = neg_log2(hash_u64(key ^ dom->key));
		if (best != MAP_NO_TARGET && (unsigned __int128)score * best_weight >=
						 (unsigned __int128)best_score * dom->member_nr)
			continue;
		idx = rendezvous_in(pl, dom, key);
		if (idx == MAP_NO_TARGET)
			continue;
		best = idx;
		best_score = score;
		best_weight = dom->member_nr;
	}
	return best;
}

static uint32_t
find(const struct placer *pl, uint32_t slot, uint32_t shard)
{
	uint32_t idx = walk(pl, slot);

	return idx != MAP_NO_TARGET ? idx : rendezvous(pl, shard);
}

static inline bool
given_up(const struct map_target *t)
{
	return t->state == TGT_ST_DOWNOUT || t->state == TGT_ST_UP;
}

/* Replace members whose target was given up. members: target indices in shard order. */
static void
replace_lost(struct placer *pl, uint32_t *members, uint32_t nr, uint32_t first_shard,
	     bool *ret_absent)
{
	const struct map_target *targets = pl->map->targets;

	pl->replay = true;
	for (;;) {
		uint32_t next = nr;
		uint32_t own, idx;

		for (uint32_t i = 0; i < nr; i++) {
			if (ret_absent[i] || !given_up(&targets[members[i]]))
				continue;
			if (next == nr || targets[members[i]].fseq < targets[members[next]].fseq)
				next = i;
		}
		if (next == nr)
			break;
		/* Each turn ends in an active target, none, or one that was lost later: this comes
		 * to an end. */
		pl->fseq = targets[members[next]].fseq;
		own = pl->used[next];
		pl->used[next] = UINT32_MAX; /* its own domain is free for it */
		idx = find(pl, targets[members[next]].id, first_shard + next);
		if (idx == MAP_NO_TARGET) {
			pl->used[next] = own;
			ret_absent[next] = true;
			continue;
		}
		members[next] = idx;
		pl->used[next] = pl->dom_of[idx];
		ret_absent[next] = targets[idx].state == TGT_ST_DOWN;
	}
}

int
place_group(const struct pool_map *map, daos_obj_id_t oid, const struct oclass_shape *shape,
	    uint32_t group, struct place_shard *ret_shards)
{
	enum map_level lvl = shape->rank_level ? MAP_LVL_RANK : MAP_LVL_NODE;
	uint32_t first_shard = group * shape->group_size;
	uint32_t members[PLACE_SHARD_MAX];
	bool absent[PLACE_SHARD_MAX] = {0};
	bool lost = false;
	struct placer pl;

	if (group >= shape->group_nr || shape->group_size == 0 ||
	    shape->group_size > PLACE_SHARD_MAX)
		return -DER_INVAL;
	pl.map = map;
	pl.dom_of = map->dom_of[lvl];
	pl.doms = map->doms[lvl];
	pl.dom_nr = map->dom_nr[lvl];
	pl.seed = oid_hash(oid);
	pl.perm = perm_make(map, pl.seed);
	pl.used_nr = 0;
	pl.replay = false;
	pl.fseq = 0;

	for (uint32_t i = 0; i < shape->group_size; i++) {
		uint32_t shard = first_shard + i;
		uint32_t idx = find(&pl, shard & pl.perm.mask, shard);

		if (idx == MAP_NO_TARGET)
			return -DER_INVAL; /* fewer domains than members */
		members[i] = idx;
		pl.used[pl.used_nr++] = pl.dom_of[idx];
		if (!map_target_active(&map->targets[idx])) {
			lost = true;
			absent[i] =
			    map->targets[idx].state == TGT_ST_DOWN || shape->group_size == 1;
		}
	}
	if (lost && shape->group_size > 1)
		replace_lost(&pl, members, shape->group_size, first_shard, absent);
	for (uint32_t i = 0; i < shape->group_size; i++) {
		ret_shards[i] = (struct place_shard){
		    .target_id = map->targets[members[i]].id,
		    .shard = first_shard + i,
		    .absent = absent[i],
		};
	}
	return 0;
}

uint32_t
place_dkey_group(daos_obj_id_t oid, const struct oclass_shape *shape, const void *dkey, size_t len)
{
	uint64_t rotation;

	if (shape->group_nr <= 1)
		return 0;
	rotation = oid_hash(oid) % shape->group_nr;
	if (daos_is_dkey_uint64(oid) && len == sizeof(uint64_t)) {
		uint64_t v;

		memcpy(&v, dkey, sizeof(v));
		return (uint32_t)((le64toh(v) % shape->group_nr + rotation) % shape->group_nr);
	}
	return (uint32_t)(((unsigned __int128)hash_bytes(dkey, len, rotation) * shape->group_nr) >>
			  64);
}

uint32_t
place_leader(daos_obj_id_t oid, const struct oclass_shape *shape, const void *dkey, size_t len)
{
	uint64_t hash;

	if (shape->group_size == 1)
		return 0;
	hash = dkey != NULL ? hash_bytes(dkey, len, oid_hash(oid)) : oid_hash(oid);
	return shape->parity_nr > 0 ? shape->data_nr + (uint32_t)(hash % shape->parity_nr)
				    : (uint32_t)(hash % shape->group_size);
}
