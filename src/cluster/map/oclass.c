/*
 * Object classes: from the bits of a class id to the shape of its layout in a given pool.
 *
 * A class id holds a redundancy code and a number of groups; the marker MAX_NUM_GROUPS asks for as
 * many as the pool has room for, keeping fault domains in reserve for rebuilds. The rule of the
 * reserve is part of the public interface (programs see the resulting group counts in object ids),
 * its numbers are those of DAOS.
 *
 * What must fit is counted over the members of the pool in whatever state, so that a class that was
 * valid when an object was created stays valid while targets are down.
 */
#include "cluster/map/map_internal.h"

#include <daos_errno.h>

static const struct redun {
	uint16_t code;
	uint8_t data_nr;
	uint8_t parity_nr; /* erasure code only */
	uint8_t copies;
} reduns[] = {
    {OR_RP_1, 1, 0, 1},     {OR_RP_2, 1, 0, 2},     {OR_RP_3, 1, 0, 3},   {OR_RP_4, 1, 0, 4},
    {OR_RP_5, 1, 0, 5},     {OR_RP_6, 1, 0, 6},     {OR_RP_8, 1, 0, 8},   {OR_RP_12, 1, 0, 12},
    {OR_RP_16, 1, 0, 16},   {OR_RP_24, 1, 0, 24},   {OR_RP_32, 1, 0, 32}, {OR_RP_48, 1, 0, 48},
    {OR_RP_64, 1, 0, 64},   {OR_RP_128, 1, 0, 128}, {OR_RS_2P1, 2, 1, 1}, {OR_RS_2P2, 2, 2, 1},
    {OR_RS_4P1, 4, 1, 1},   {OR_RS_4P2, 4, 2, 1},   {OR_RS_8P1, 8, 1, 1}, {OR_RS_8P2, 8, 2, 1},
    {OR_RS_16P1, 16, 1, 1}, {OR_RS_16P2, 16, 2, 1}, {OR_RS_4P3, 4, 3, 1}, {OR_RS_8P3, 8, 3, 1},
    {OR_RS_16P3, 16, 3, 1},
};

static const struct redun *
redun_find(daos_oclass_id_t cid)
{
	uint32_t code = cid >> OC_REDUN_SHIFT;

	for (size_t i = 0; i < sizeof(reduns) / sizeof(reduns[0]); i++) {
		if (reduns[i].code == code)
			return &reduns[i];
	}
	return NULL;
}

static uint32_t
redun_size(const struct redun *r)
{
	return r->parity_nr > 0 ? r->data_nr + r->parity_nr : r->copies;
}

static uint32_t
redun_tolerance(const struct redun *r)
{
	return r->parity_nr > 0 ? r->parity_nr : r->copies - 1u;
}

static uint32_t
max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/*
 * Fault domains to keep free. The reserve grows in steps with the number of domains; where a step
 * would make layouts smaller than they are right below it, the reserve of the step below stays.
 */
static uint32_t
reserve_domains(uint32_t dom_nr, uint32_t rf)
{
	static const struct {
		uint32_t from;    /* domains at which the step begins */
		uint32_t extra;   /* beyond rf */
		uint32_t percent; /* or this part of the domains, whichever is more */
	} steps[] = {{1, 0, 0}, {16, 1, 0}, {32, 2, 0}, {64, 2, 4}, {128, 2, 6}, {256, 2, 8}};
	enum { STEP_NR = sizeof(steps) / sizeof(steps[0]) };
	uint32_t cur, prev;
	uint32_t s = 0;

	while (s + 1 < STEP_NR && dom_nr >= steps[s + 1].from)
		s++;
	cur = max_u32(rf + steps[s].extra, dom_nr * steps[s].percent / 100);
	prev = s == 0 ? 0 : max_u32(rf + steps[s - 1].extra, dom_nr * steps[s - 1].percent / 100);
	if ((int64_t)dom_nr - cur < (int64_t)steps[s].from - 1 - prev)
		cur = prev;
	return cur;
}

static uint32_t
max_groups(uint32_t dom_nr, uint32_t target_nr, uint32_t group_size, uint32_t rf,
	   uint32_t reserved_targets)
{
	uint32_t groups = max_u32(1, target_nr / group_size);
	uint32_t reserve = reserved_targets;

	if (reserve == 0)
		reserve = reserve_domains(dom_nr, rf) * (target_nr / dom_nr);
	if (reserve > target_nr - group_size)
		reserve = target_nr - group_size;
	reserve = (reserve + group_size - 1) / group_size;
	return groups > reserve ? groups - reserve : groups;
}

/* Shape without the groups; checks that one group fits. */
static int
shape_of(const struct pool_map *map, daos_oclass_id_t cid, bool rank_level,
	 const struct redun **ret_redun, struct oclass_shape *ret_shape)
{
	const struct redun *r = redun_find(cid);
	uint32_t group_nr = cid & ((1u << OC_REDUN_SHIFT) - 1);

	if (r == NULL || group_nr == 0 || group_nr > MAX_NUM_GROUPS)
		return -DER_INVAL;
	if (redun_size(r) > pool_map_member_domain_nr(map, rank_level))
		return -DER_INVAL;
	*ret_shape = (struct oclass_shape){
	    .group_nr = group_nr,
	    .group_size = redun_size(r),
	    .data_nr = r->data_nr,
	    .parity_nr = r->parity_nr,
	    .rank_level = rank_level,
	};
	*ret_redun = r;
	return 0;
}

int
oclass_shape(const struct pool_map *map, daos_oclass_id_t cid, bool rank_level,
	     struct oclass_shape *ret_shape)
{
	struct oclass_shape shape;
	const struct redun *r;
	int rc;

	rc = shape_of(map, cid, rank_level, &r, &shape);
	if (rc != 0)
		return rc;
	if (shape.group_nr == MAX_NUM_GROUPS)
		shape.group_nr =
		    max_groups(pool_map_member_domain_nr(map, rank_level), map->member_nr,
			       shape.group_size, redun_tolerance(r), 0);
	if ((uint64_t)shape.group_nr * shape.group_size > map->member_nr)
		return -DER_INVAL;
	*ret_shape = shape;
	return 0;
}

int
oclass_max_groups(const struct pool_map *map, daos_oclass_id_t cid, bool rank_level, uint32_t rf,
		  uint32_t reserved_targets, uint32_t *ret_group_nr)
{
	struct oclass_shape shape;
	const struct redun *r;
	int rc;

	rc = shape_of(map, cid, rank_level, &r, &shape);
	if (rc != 0)
		return rc;
	*ret_group_nr = max_groups(pool_map_member_domain_nr(map, rank_level), map->member_nr,
				   shape.group_size, rf, reserved_targets);
	return 0;
}
