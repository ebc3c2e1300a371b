/*
 * Sets of redundancy groups: see the header. Everything here is arithmetic on a few numbers.
 */
#include "proto/obj_groups.h"

#include <assert.h>
#include <string.h>

bool
obj_groups_valid(const struct obj_groups *set)
{
	uint32_t least = set->prefix;

	if (set->prefix == 0 || set->nr > OBJ_GROUPS_SINGLE_MAX)
		return false;
	for (uint32_t i = 0; i < set->nr; i++) {
		if (set->single[i] < least || set->single[i] == UINT32_MAX)
			return false;
		least = set->single[i] + 1;
	}
	return true;
}

uint32_t
obj_groups_nr(const struct obj_groups *set)
{
	return set->prefix + set->nr;
}

uint32_t
obj_groups_at(const struct obj_groups *set, uint32_t i)
{
	return i < set->prefix ? i : set->single[i - set->prefix];
}

bool
obj_groups_next(const struct obj_groups *set, uint32_t group, uint32_t *ret_group)
{
	if (group < set->prefix) {
		*ret_group = group;
		return true;
	}
	for (uint32_t i = 0; i < set->nr; i++) {
		if (set->single[i] >= group) {
			*ret_group = set->single[i];
			return true;
		}
	}
	return false;
}

bool
obj_groups_have(const struct obj_groups *set, uint32_t first, uint32_t last)
{
	uint32_t want = first < set->prefix ? set->prefix : first, found;

	for (; want <= last; want++)
		if (!obj_groups_next(set, want, &found) || found != want)
			return false;
	return true;
}

/* The smallest power of two that is at least v, at most total. */
static uint32_t
step(uint32_t v, uint32_t total)
{
	uint32_t n = 1;

	while (n < v && n < total)
		n = n > total / 2 ? total : n * 2;
	return n < total ? n : total;
}

/* Let the beginning reach at least n; it swallows the single groups that it meets. */
static void
prefix_grow(struct obj_groups *set, uint32_t n)
{
	uint32_t keep = 0;

	for (uint32_t i = 0; i < set->nr; i++) {
		if (set->single[i] == n)
			n++;
		else if (set->single[i] > n)
			set->single[keep++] = set->single[i];
	}
	memset(set->single + keep, 0, (set->nr - keep) * sizeof(set->single[0]));
	set->nr = keep;
	set->prefix = n;
}

static void
single_add(struct obj_groups *set, uint32_t group)
{
	uint32_t i = set->nr++;

	for (; i > 0 && set->single[i - 1] > group; i--)
		set->single[i] = set->single[i - 1];
	set->single[i] = group;
}

bool
obj_groups_add(struct obj_groups *set, uint32_t total, uint32_t first, uint32_t last, bool dense)
{
	uint32_t highest = set->nr > 0 ? set->single[set->nr - 1] : 0;

	assert(first <= last && last < total);
	if (obj_groups_have(set, first, last))
		return false;
	if (dense && first <= set->prefix)
		prefix_grow(set, step(last + 1, total));
	else if (first == last && set->nr < OBJ_GROUPS_SINGLE_MAX)
		single_add(set, first);
	else if (dense)
		prefix_grow(set, step((last > highest ? last : highest) + 1, total));
	else
		prefix_grow(set, total);
	return true;
}
