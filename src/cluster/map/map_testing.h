/* Maps made to order for the tests of this folder. */
#ifndef CLUSTER_MAP_TESTING_H
#define CLUSTER_MAP_TESTING_H

#include "cluster/map/map.h"

/* A pool map message that can be changed and turned into a map again and again. */
struct test_map {
	struct Mgmt__PoolMap *msg;
};
/* ranks on as many nodes ("/n<i>"), ranks_per_node each, target_nr[i % n] targets per rank. */
void test_map_init(struct test_map *tm, uint32_t node_nr, uint32_t ranks_per_node,
		   const uint32_t *targets_per_rank, uint32_t pattern_nr);
void test_map_fini(struct test_map *tm);
/* Adds one rank on a node of its own; the targets get the next ids. */
void test_map_add_rank(struct test_map *tm, const char *path, uint32_t target_nr);
void test_map_state(struct test_map *tm, uint32_t id, uint32_t state, uint32_t fseq);
struct pool_map *test_map_make(const struct test_map *tm);

#endif
