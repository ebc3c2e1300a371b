/*
 * Pool maps: checking what came over the wire and preparing what placement needs.
 *
 * A map keeps the packed message it was made from, so that what this version of the program does
 * not know about is passed on. Fault domains are numbered in the order of their paths; a rank
 * without a path is a domain of its own. For both levels at which a container may ask for
 * separation (node and rank) the members of each domain are listed.
 */
#include "cluster/map/map_internal.h"

#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/mem.h"
#include "proto/mgmt.pb-c.h"

static void
map_free(struct pool_map *map)
{
	if (map == NULL)
		return;
	for (uint32_t i = 0; map->strings != NULL && i < map->rank_nr; i++)
		free(map->strings[i]);
	for (int lvl = 0; lvl < MAP_LVL_NR; lvl++) {
		free(map->dom_of[lvl]);
		free(map->doms[lvl]);
		free(map->dom_members[lvl]);
	}
	free(map->strings);
	free(map->ranks);
	free(map->targets);
	free(map->idx_of_id);
	free(map->packed);
	free(map);
}

static void
map_freep(struct pool_map **map)
{
	map_free(*map);
}

struct pool_map *
pool_map_get(struct pool_map *map)
{
	atomic_fetch_add_explicit(&map->refs, 1, memory_order_relaxed);
	return map;
}

void
pool_map_put(struct pool_map *map)
{
	if (map != NULL && atomic_fetch_sub_explicit(&map->refs, 1, memory_order_acq_rel) == 1)
		map_free(map);
}

/* --- from the wire --- */

/* One rank of the message with what is needed to number the domains. */
struct rank_src {
	const Mgmt__Rank *msg;
	char path[24]; /* for a rank without a fault domain */
	uint32_t domain;
};

static const char *
rank_path(const struct rank_src *src)
{
	return src->path[0] != '\0' ? src->path : src->msg->fault_domain;
}

static int
cmp_rank(const void *a, const void *b)
{
	uint32_t x = ((const struct rank_src *)a)->msg->rank;
	uint32_t y = ((const struct rank_src *)b)->msg->rank;

	return x < y ? -1 : x > y;
}

static int
cmp_path(const void *a, const void *b)
{
	const struct rank_src *x = *(const struct rank_src *const *)a;
	const struct rank_src *y = *(const struct rank_src *const *)b;

	return strcmp(rank_path(x), rank_path(y));
}

static int
sort_ranks(const Mgmt__PoolMap *msg, struct rank_src **ret_srcs)
{
	CLEANUP(freep)
	struct rank_src *srcs = NULL;

	srcs = mem_calloc(msg->n_ranks, sizeof(*srcs));
	if (srcs == NULL)
		return -DER_NOMEM;
	for (size_t i = 0; i < msg->n_ranks; i++) {
		const Mgmt__Rank *r = msg->ranks[i];

		if (r->rank == MGMT_RANK_NONE || r->target_nr == 0)
			return -DER_INVAL;
		srcs[i].msg = r;
		if (r->fault_domain == NULL || r->fault_domain[0] == '\0')
			snprintf(srcs[i].path, sizeof(srcs[i].path), "/rank%u", r->rank);
	}
	qsort(srcs, msg->n_ranks, sizeof(*srcs), cmp_rank);
	for (size_t i = 1; i < msg->n_ranks; i++) {
		if (srcs[i].msg->rank == srcs[i - 1].msg->rank)
			return -DER_INVAL;
	}
	*ret_srcs = steal_ptr(srcs);
	return 0;
}

/* Give every rank the number of its node-level domain. */
static int
number_domains(struct pool_map *map, struct rank_src *srcs)
{
	CLEANUP(freep)
	struct rank_src **by_path = NULL;
	uint32_t nr = 0;

	by_path = mem_calloc(map->rank_nr, sizeof(struct rank_src *));
	map->doms[MAP_LVL_NODE] = mem_calloc(map->rank_nr, sizeof(struct map_domain));
	map->doms[MAP_LVL_RANK] = mem_calloc(map->rank_nr, sizeof(struct map_domain));
	if (by_path == NULL || map->doms[MAP_LVL_NODE] == NULL || map->doms[MAP_LVL_RANK] == NULL)
		return -DER_NOMEM;
	for (uint32_t i = 0; i < map->rank_nr; i++)
		by_path[i] = &srcs[i];
	qsort(by_path, map->rank_nr, sizeof(struct rank_src *), cmp_path);
	for (uint32_t i = 0; i < map->rank_nr; i++) {
		const char *path = rank_path(by_path[i]);

		if (i == 0 || strcmp(path, rank_path(by_path[i - 1])) != 0)
			map->doms[MAP_LVL_NODE][nr++].key = hash_bytes(path, strlen(path), 0);
		by_path[i]->domain = nr - 1;
	}
	map->dom_nr[MAP_LVL_NODE] = nr;
	map->dom_nr[MAP_LVL_RANK] = map->rank_nr;
	for (uint32_t i = 0; i < map->rank_nr; i++)
		map->doms[MAP_LVL_RANK][i].key = hash_u64(srcs[i].msg->rank);
	return 0;
}

static int
take_ranks(struct pool_map *map, const Mgmt__PoolMap *msg)
{
	CLEANUP(freep)
	struct rank_src *srcs = NULL;
	int rc;

	map->rank_nr = (uint32_t)msg->n_ranks;
	rc = sort_ranks(msg, &srcs);
	if (rc != 0)
		return rc;
	rc = number_domains(map, srcs);
	if (rc != 0)
		return rc;
	map->ranks = mem_calloc(map->rank_nr, sizeof(*map->ranks));
	map->strings = mem_calloc(map->rank_nr, sizeof(char *));
	if (map->ranks == NULL || map->strings == NULL)
		return -DER_NOMEM;
	for (uint32_t i = 0; i < map->rank_nr; i++) {
		const Mgmt__Rank *r = srcs[i].msg;

		map->strings[i] = mem_strdup(r->uri != NULL ? r->uri : "");
		if (map->strings[i] == NULL)
			return -DER_NOMEM;
		map->ranks[i] = (struct map_rank){
		    .rank = r->rank,
		    .target_nr = r->target_nr,
		    .domain = srcs[i].domain,
		    .state = r->state,
		    .uri = map->strings[i],
		};
	}
	return 0;
}

static bool
state_valid(uint32_t state)
{
	switch (state) {
	case TGT_ST_NEW:
	case TGT_ST_UP:
	case TGT_ST_UPIN:
	case TGT_ST_DOWN:
	case TGT_ST_DOWNOUT:
	case TGT_ST_DRAIN:
		return true;
	default:
		return false;
	}
}

static int
take_targets(struct pool_map *map, const Mgmt__PoolMap *msg)
{
	map->target_nr = (uint32_t)msg->n_targets;
	map->targets = mem_calloc(map->target_nr, sizeof(*map->targets));
	if (map->targets == NULL)
		return -DER_NOMEM;
	for (uint32_t i = 0; i < map->target_nr; i++) {
		const Mgmt__Target *t = msg->targets[i];
		const struct map_rank *rank = pool_map_rank_find(map, t->rank);

		if (rank == NULL || t->index >= rank->target_nr || !state_valid(t->state) ||
		    t->id >= MAP_TARGET_ID_MAX || (i > 0 && t->id <= map->targets[i - 1].id))
			return -DER_INVAL;
		map->targets[i] = (struct map_target){
		    .id = t->id,
		    .rank = t->rank,
		    .index = t->index,
		    .state = t->state,
		    .fseq = t->fseq,
		    .in_ver = t->in_ver,
		    .domain = rank->domain,
		};
	}
	return 0;
}

/* No place of a rank may hold two targets. */
static int
check_places(const struct pool_map *map)
{
	CLEANUP(freep)
	uint32_t *first = NULL;
	CLEANUP(freep)
	uint8_t *taken = NULL;
	uint64_t nr = 0;

	first = mem_calloc(map->rank_nr, sizeof(*first));
	if (first == NULL)
		return -DER_NOMEM;
	for (uint32_t i = 0; i < map->rank_nr; i++) {
		first[i] = (uint32_t)nr;
		nr += map->ranks[i].target_nr;
		if (nr > MAP_TARGET_ID_MAX)
			return -DER_INVAL;
	}
	taken = mem_calloc(nr, 1);
	if (taken == NULL)
		return -DER_NOMEM;
	for (uint32_t i = 0; i < map->target_nr; i++) {
		uint32_t rank_idx =
		    (uint32_t)(pool_map_rank_find(map, map->targets[i].rank) - map->ranks);
		uint8_t *place = &taken[first[rank_idx] + map->targets[i].index];

		if (*place != 0)
			return -DER_INVAL;
		*place = 1;
	}
	return 0;
}

/* --- what placement needs --- */

static int
list_members(struct pool_map *map, enum map_level lvl)
{
	struct map_domain *doms = map->doms[lvl];
	uint32_t off = 0;
	uint32_t *members;

	map->dom_of[lvl] = mem_calloc(map->target_nr, sizeof(uint32_t));
	members = mem_calloc(map->target_nr, sizeof(uint32_t));
	map->dom_members[lvl] = members;
	if (map->dom_of[lvl] == NULL || members == NULL)
		return -DER_NOMEM;
	for (uint32_t i = 0; i < map->target_nr; i++) {
		const struct map_target *t = &map->targets[i];
		uint32_t dom = t->domain;

		if (lvl == MAP_LVL_RANK)
			dom = (uint32_t)(pool_map_rank_find(map, t->rank) - map->ranks);
		map->dom_of[lvl][i] = dom;
		if (t->state != TGT_ST_NEW)
			doms[dom].member_nr++;
	}
	for (uint32_t d = 0; d < map->dom_nr[lvl]; d++) {
		doms[d].members = members + off;
		off += doms[d].member_nr;
		if (doms[d].member_nr > 0)
			map->member_dom_nr[lvl]++;
		doms[d].member_nr = 0;
	}
	for (uint32_t i = 0; i < map->target_nr; i++) {
		struct map_domain *dom = &doms[map->dom_of[lvl][i]];

		if (map->targets[i].state != TGT_ST_NEW)
			members[dom->members - members + dom->member_nr++] = i;
	}
	return 0;
}

/*
 * log2 of the slots: at least four times the targets that the pool was made with, so that it can
 * grow without moving what it need not. Targets are never taken off a map, so this never changes,
 * until a pool grows beyond all its slots: then everything moves, once.
 */
static uint32_t
slot_bits(const struct pool_map *map)
{
	uint32_t last_id = map->targets[map->target_nr - 1].id;
	uint32_t first_nr = 0;
	uint32_t bits = 0;

	for (uint32_t i = 0; i < map->target_nr; i++) {
		if (map->targets[i].in_ver <= 1)
			first_nr = map->targets[i].id + 1;
	}
	while ((1u << bits) < first_nr)
		bits++;
	bits += 2;
	while ((1u << bits) <= last_id)
		bits++;
	return bits;
}

/* Shuffled with fixed numbers: the same in every process. */
static void
make_sbox(struct pool_map *map)
{
	uint32_t nr = map->slot_bits < 8 ? 1u << map->slot_bits : 256;

	for (uint32_t i = 0; i < nr; i++) {
		uint32_t j = (uint32_t)(hash_u64(0x5b0c5b0c + i) % (i + 1));

		map->sbox[i] = map->sbox[j];
		map->sbox[j] = (uint8_t)i;
	}
}

static int
prepare(struct pool_map *map)
{
	uint32_t last_id = map->targets[map->target_nr - 1].id;
	int rc;

	map->slot_bits = slot_bits(map);
	make_sbox(map);

	map->id_nr = last_id + 1;
	map->idx_of_id = mem_alloc(map->id_nr * sizeof(uint32_t));
	if (map->idx_of_id == NULL)
		return -DER_NOMEM;
	for (uint32_t id = 0; id < map->id_nr; id++)
		map->idx_of_id[id] = MAP_NO_TARGET;
	for (uint32_t i = 0; i < map->target_nr; i++) {
		if (map->targets[i].state == TGT_ST_NEW)
			continue;
		map->idx_of_id[map->targets[i].id] = i;
		map->member_nr++;
		if (map_target_active(&map->targets[i]))
			map->active_nr++;
	}
	for (int lvl = 0; lvl < MAP_LVL_NR; lvl++) {
		rc = list_members(map, lvl);
		if (rc != 0)
			return rc;
	}
	for (uint32_t d = 0; d < map->dom_nr[MAP_LVL_NODE]; d++) {
		const struct map_domain *dom = &map->doms[MAP_LVL_NODE][d];

		for (uint32_t m = 0; m < dom->member_nr; m++) {
			if (map_target_active(&map->targets[dom->members[m]])) {
				map->active_dom_nr++;
				break;
			}
		}
	}
	return 0;
}

int
pool_map_from_msg(const struct Mgmt__PoolMap *msg, struct pool_map **ret_map)
{
	CLEANUP(map_freep)
	struct pool_map *map = NULL;
	int rc;

	if (msg->pool_uuid.len != sizeof(uuid_t) || msg->n_targets == 0 || msg->n_ranks == 0 ||
	    msg->n_targets > MAP_TARGET_ID_MAX || msg->n_ranks > MAP_TARGET_ID_MAX)
		return -DER_INVAL;
	map = mem_new(struct pool_map);
	if (map == NULL)
		return -DER_NOMEM;
	atomic_init(&map->refs, 1);
	map->version = msg->version;
	memcpy(map->uuid, msg->pool_uuid.data, sizeof(uuid_t));
	rc = take_ranks(map, msg);
	if (rc == 0)
		rc = take_targets(map, msg);
	if (rc == 0)
		rc = check_places(map);
	if (rc == 0)
		rc = prepare(map);
	if (rc != 0)
		return rc;

	map->packed_len = mgmt__pool_map__get_packed_size(msg);
	map->packed = mem_alloc(map->packed_len);
	if (map->packed == NULL)
		return -DER_NOMEM;
	mgmt__pool_map__pack(msg, map->packed);
	*ret_map = steal_ptr(map);
	return 0;
}

int
pool_map_pack(const struct pool_map *map, uint8_t **ret_buf, size_t *ret_len)
{
	uint8_t *buf = mem_dup(map->packed, map->packed_len);

	if (buf == NULL)
		return -DER_NOMEM;
	*ret_buf = buf;
	*ret_len = map->packed_len;
	return 0;
}

int
pool_map_unpack(const uint8_t *buf, size_t len, struct pool_map **ret_map)
{
	Mgmt__PoolMap *msg = mgmt__pool_map__unpack(NULL, len, buf);
	int rc;

	if (msg == NULL)
		return -DER_INVAL;
	rc = pool_map_from_msg(msg, ret_map);
	mgmt__pool_map__free_unpacked(msg, NULL);
	return rc;
}

/* --- looking things up --- */

uint32_t
pool_map_version(const struct pool_map *map)
{
	return map->version;
}

void
pool_map_uuid(const struct pool_map *map, uuid_t ret_uuid)
{
	memcpy(ret_uuid, map->uuid, sizeof(uuid_t));
}

uint32_t
pool_map_target_nr(const struct pool_map *map)
{
	return map->target_nr;
}

uint32_t
pool_map_target_active_nr(const struct pool_map *map)
{
	return map->active_nr;
}

uint32_t
pool_map_member_nr(const struct pool_map *map)
{
	return map->member_nr;
}

uint32_t
pool_map_rank_nr(const struct pool_map *map)
{
	return map->rank_nr;
}

uint32_t
pool_map_domain_nr(const struct pool_map *map)
{
	return map->active_dom_nr;
}

uint32_t
pool_map_member_domain_nr(const struct pool_map *map, bool rank_level)
{
	return map->member_dom_nr[rank_level ? MAP_LVL_RANK : MAP_LVL_NODE];
}

const struct map_target *
pool_map_target(const struct pool_map *map, uint32_t idx)
{
	return idx < map->target_nr ? &map->targets[idx] : NULL;
}

const struct map_target *
pool_map_target_find(const struct pool_map *map, uint32_t id)
{
	uint32_t lo = 0, hi = map->target_nr;

	if (id < map->id_nr && map->idx_of_id[id] != MAP_NO_TARGET)
		return &map->targets[map->idx_of_id[id]];
	while (lo < hi) { /* targets in state NEW */
		uint32_t mid = lo + (hi - lo) / 2;

		if (map->targets[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < map->target_nr && map->targets[lo].id == id ? &map->targets[lo] : NULL;
}

const struct map_rank *
pool_map_rank(const struct pool_map *map, uint32_t idx)
{
	return idx < map->rank_nr ? &map->ranks[idx] : NULL;
}

const struct map_rank *
pool_map_rank_find(const struct pool_map *map, uint32_t rank)
{
	uint32_t lo = 0, hi = map->rank_nr;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (map->ranks[mid].rank < rank)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < map->rank_nr && map->ranks[lo].rank == rank ? &map->ranks[lo] : NULL;
}
