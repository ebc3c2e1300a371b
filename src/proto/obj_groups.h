/*
 * Which redundancy groups of an object may hold something. Every object of several groups has such
 * a set, kept by its home group (the one of its first chunk, client/object); listing, size and
 * punch visit no others.
 *
 * Groups are numbered from the home group on, which is 0: that of dkey n + 1 of an array is n
 * (modulo all). So a set is a beginning, which holds every array that is written densely, and a few
 * single groups, for keys by hash and for sparse arrays. It only ever grows, in steps that double,
 * so that an object is entered a logarithmic number of times and not once per group.
 */
#ifndef PROTO_OBJ_GROUPS_H
#define PROTO_OBJ_GROUPS_H

#include <stdbool.h>
#include <stdint.h>

enum {
	OBJ_GROUPS_SINGLE_MAX = 8, /* groups named one by one; more of them: all groups */
};
/* Shard number under which the home group's target stores the set (server/object). */
#define OBJ_SHARD_GROUPS UINT32_MAX

struct obj_groups {
	uint32_t prefix;                        /* groups 0 .. prefix - 1 */
	uint32_t nr;                            /* and these, ascending, all >= prefix */
	uint32_t single[OBJ_GROUPS_SINGLE_MAX]; /* unused ones are 0 */
};

static inline struct obj_groups
obj_groups_first(uint32_t prefix)
{
	return (struct obj_groups){.prefix = prefix};
}

/* Is it what the decoders and the disk may give us? */
bool obj_groups_valid(const struct obj_groups *set);
uint32_t obj_groups_nr(const struct obj_groups *set);
/* The i-th group, ascending. */
uint32_t obj_groups_at(const struct obj_groups *set, uint32_t i);
/* The smallest group of the set at or above `group`; false: none. */
bool obj_groups_next(const struct obj_groups *set, uint32_t group, uint32_t *ret_group);
bool obj_groups_have(const struct obj_groups *set, uint32_t first, uint32_t last);
/*
 * Make the set hold first .. last of an object of total groups (last < total). dense: neighbours
 * are likely to follow. Returns whether the set changed.
 */
bool obj_groups_add(struct obj_groups *set, uint32_t total, uint32_t first, uint32_t last,
		    bool dense);

#endif
