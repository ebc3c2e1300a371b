/*
 * The service as a whole: start and end, and where the members of a group are.
 *
 * Two coroutines work in the background, asleep as long as there is nothing to do: one tells
 * members what was decided (dtx_tell.c), one asks leaders about intents that have become old
 * (dtx_settle.c).
 */
#define LOG_FACILITY "dtx"

#include <string.h>

#include "server/dtx/dtx_internal.h"

bool
dtx_redundant(daos_obj_id_t oid)
{
	return daos_obj_id2class(oid) >> OC_REDUN_SHIFT != OR_RP_1;
}

int
dtx_group_of(const struct cont_shard *cont, daos_obj_id_t oid, uint32_t shard,
	     struct dtx_group *ret_group)
{
	const struct pool_map *map = cont->pool->map;
	struct dtx_group *g = ret_group;
	int rc;

	if (map == NULL)
		return -DER_AGAIN;
	rc = oclass_shape(map, daos_obj_id2class(oid), cont->rank_level, &g->shape);
	if (rc != 0)
		return rc;
	if (g->shape.parity_nr > 0)
		return -DER_NOSYS;
	g->first = shard / g->shape.group_size * g->shape.group_size;
	return place_group(map, oid, &g->shape, shard / g->shape.group_size, g->members);
}

bool
dtx_is_self(const struct dtx_svc *svc, const struct cont_shard *cont, uint32_t target_id)
{
	const struct map_target *target = pool_map_target_find(cont->pool->map, target_id);

	return target != NULL && svc->ops->is_self(svc->ops_arg, target);
}

int
dtx_peer(struct dtx_svc *svc, const struct cont_shard *cont, uint32_t target_id,
	 struct rpc_peer **ret_peer)
{
	const struct pool_map *map = cont->pool->map;
	const struct map_target *target = pool_map_target_find(map, target_id);
	const struct map_rank *rank = target == NULL ? NULL : pool_map_rank_find(map, target->rank);
	char uri[RPC_URI_MAX];
	int rc;

	if (rank == NULL)
		return -DER_NONEXIST;
	rc = rpc_uri_of_tag(rank->uri, target->index + 1, uri, sizeof(uri));
	return rc != 0 ? rc : rpc_peer_get(svc->ep, uri, ret_peer);
}

static void
intents_found(void *arg)
{
	struct dtx_svc *svc = arg;

	svc->intents = true;
	co_waitq_wake_all(&svc->work);
}

static int co_fn
tell_entry(void *arg)
{
	dtx_tell_run(arg);
	return 0;
}

static int co_fn
ask_entry(void *arg)
{
	dtx_ask_run(arg);
	return 0;
}

int
dtx_svc_init(struct dtx_svc *svc, struct rpc_ep *ep, struct xs *xs, struct cont_tab *conts,
	     const struct dtx_svc_ops *ops, void *ops_arg)
{
	int rc;

	*svc = (struct dtx_svc){.xs = xs, .ep = ep, .conts = conts, .ops = ops, .ops_arg = ops_arg};
	htable_init(&svc->active);
	list_init(&svc->by_age);
	list_init(&svc->outqs);
	co_waitq_init(&svc->left);
	co_waitq_init(&svc->work);
	co_group_init(&svc->background);
	conts->intents_found = intents_found;
	conts->intents_arg = svc;
	rc = rpc_register(ep, OPC_DTX_RESOLVE, dtx_resolve_handle, svc);
	if (rc == 0)
		rc = co_group_spawn(&svc->background, tell_entry, svc);
	if (rc == 0)
		rc = co_group_spawn(&svc->background, ask_entry, svc);
	return rc;
}

void co_fn
dtx_svc_stop(struct dtx_svc *svc)
{
	svc->stopping = true;
	co_waitq_wake_all(&svc->work);
	co_waitq_wake_all(&svc->left);
	dtx_tell_rest(svc);
}

void co_fn
dtx_svc_fini(struct dtx_svc *svc)
{
	co_group_join(&svc->background);
	dtx_tell_fini(svc);
	htable_fini(&svc->active);
}
