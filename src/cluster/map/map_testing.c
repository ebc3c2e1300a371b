/* Builds pool map messages for tests. Everything is allocated the way protobuf-c frees it. */
#include "cluster/map/map_testing.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mgmt.pb-c.h"

void
test_map_init(struct test_map *tm, uint32_t node_nr, uint32_t ranks_per_node,
	      const uint32_t *targets_per_rank, uint32_t pattern_nr)
{
	Mgmt__PoolMap *msg = calloc(1, sizeof(*msg));

	mgmt__pool_map__init(msg);
	msg->pool_uuid.len = 16;
	msg->pool_uuid.data = calloc(1, 16);
	memset(msg->pool_uuid.data, 0x5a, 16);
	msg->version = 1;
	tm->msg = msg;
	for (uint32_t i = 0; i < node_nr; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/n%u", i);
		for (uint32_t r = 0; r < ranks_per_node; r++)
			test_map_add_rank(tm, path, targets_per_rank[i % pattern_nr]);
	}
}

void
test_map_fini(struct test_map *tm)
{
	mgmt__pool_map__free_unpacked(tm->msg, NULL);
}

void
test_map_add_rank(struct test_map *tm, const char *path, uint32_t target_nr)
{
	Mgmt__PoolMap *msg = tm->msg;
	Mgmt__Rank *rank = calloc(1, sizeof(*rank));
	uint32_t id = msg->n_targets > 0 ? msg->targets[msg->n_targets - 1]->id + 1 : 0;
	char uri[64];

	mgmt__rank__init(rank);
	rank->rank = (uint32_t)msg->n_ranks;
	snprintf(uri, sizeof(uri), "sim://%u", rank->rank);
	rank->uri = strdup(uri);
	rank->fault_domain = strdup(path);
	rank->target_nr = target_nr;
	rank->state = SYS_ST_JOINED;
	msg->ranks = realloc(msg->ranks, (msg->n_ranks + 1) * sizeof(*msg->ranks));
	msg->ranks[msg->n_ranks++] = rank;
	msg->targets = realloc(msg->targets, (msg->n_targets + target_nr) * sizeof(*msg->targets));
	for (uint32_t i = 0; i < target_nr; i++) {
		Mgmt__Target *t = calloc(1, sizeof(*t));

		mgmt__target__init(t);
		t->rank = rank->rank;
		t->index = i;
		t->id = id++;
		t->state = TGT_ST_UPIN;
		t->in_ver = msg->version;
		msg->targets[msg->n_targets++] = t;
	}
}

void
test_map_state(struct test_map *tm, uint32_t id, uint32_t state, uint32_t fseq)
{
	for (size_t i = 0; i < tm->msg->n_targets; i++) {
		if (tm->msg->targets[i]->id == id) {
			tm->msg->targets[i]->state = state;
			tm->msg->targets[i]->fseq = fseq;
			return;
		}
	}
	abort();
}

struct pool_map *
test_map_make(const struct test_map *tm)
{
	struct pool_map *map = NULL;
	int rc = pool_map_from_msg(tm->msg, &map);

	assert(rc == 0);
	(void)rc;
	return map;
}
