/* The part of system management that clients have: the list of pools. */
#define LOG_FACILITY "mgmt"

#include <stdlib.h>
#include <string.h>

#include <daos_mgmt.h>
#include <gurt/common.h>

#include "client/event/event.h"
#include "base/err.h"
#include "base/mem.h"
#include "proto/opcodes.h"

struct list_pools_args {
	daos_size_t *npools;
	daos_mgmt_pool_info_t *pools;
};

static void
pool_info_fini(daos_mgmt_pool_info_t *pool)
{
	free(pool->mgpi_label);
	d_rank_list_free(pool->mgpi_svc);
	memset(pool, 0, sizeof(*pool));
}

static int
pool_info_fill(daos_mgmt_pool_info_t *pool, const Mgmt__PoolInfo *msg)
{
	size_t i;

	memset(pool, 0, sizeof(*pool));
	if (msg->uuid.len == sizeof(uuid_t))
		memcpy(pool->mgpi_uuid, msg->uuid.data, sizeof(uuid_t));
	pool->mgpi_label = mem_strdup(msg->label);
	pool->mgpi_svc = d_rank_list_alloc((uint32_t)msg->n_svc_ranks);
	if (pool->mgpi_label == NULL || pool->mgpi_svc == NULL) {
		pool_info_fini(pool);
		return -DER_NOMEM;
	}
	for (i = 0; i < msg->n_svc_ranks; i++)
		pool->mgpi_svc->rl_ranks[i] = msg->svc_ranks[i];
	pool->mgpi_ldr = msg->svc_leader;
	return 0;
}

static int co_fn
list_pools_op(struct op *op, void *arg)
{
	struct list_pools_args *args = arg;
	Mgmt__PoolListReq req = MGMT__POOL_LIST_REQ__INIT;
	Mgmt__PoolListRep *rep = NULL;
	daos_size_t room = args->pools == NULL ? 0 : *args->npools;
	daos_size_t i;
	int rc;

	rc = op_ms_call(op, OPC_MS_POOL_LIST, &req.base, &mgmt__pool_list_rep__descriptor,
			(ProtobufCMessage **)&rep);
	if (rc != 0)
		return rc;
	*args->npools = rep->n_pools;
	if (args->pools != NULL && rep->n_pools > room)
		rc = -DER_TRUNC;
	for (i = 0; rc == 0 && args->pools != NULL && i < rep->n_pools; i++) {
		rc = pool_info_fill(&args->pools[i], rep->pools[i]);
		while (rc != 0 && i > 0)
			pool_info_fini(&args->pools[--i]);
	}
	mgmt__pool_list_rep__free_unpacked(rep, NULL);
	return rc;
}

int
daos_mgmt_list_pools(const char *group, daos_size_t *npools, daos_mgmt_pool_info_t *pools,
		     daos_event_t *ev)
{
	struct list_pools_args args = {.npools = npools, .pools = pools};
	struct client *client = client_default();
	int rc;

	if (client == NULL)
		return -DER_UNINIT;
	if (npools == NULL)
		return -DER_INVAL;
	rc = client_attach(client, group);
	return rc != 0 ? rc : op_run(ev, list_pools_op, &args, sizeof(args));
}
