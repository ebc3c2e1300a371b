/*
 * Creating and destroying pools, and giving space back.
 *
 * A pool comes into being in three steps: the record (creating) is committed, every engine makes
 * its part, the record becomes ready. If any engine fails, the record becomes destroying, and
 * engines are asked to remove their part until all have confirmed; then the record goes. After a
 * change of leaders the new one takes up where the record says. Engines treat repeated requests as
 * done.
 *
 * Destroyed containers are handled alike: the record goes at once, a tombstone names the ranks that
 * have not confirmed, and is kept until no capability of the container can be valid any longer.
 */
#define LOG_FACILITY "mgmt"

#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>
#include <daos_prop.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/opcodes.h"
#include "server/mgmt/mgmt_internal.h"

enum {
	REAP_TOMBS_MAX = 256, /* tombstones looked at in one pass */
};

static bool
is_gone(int rc)
{
	return rc == 0 || rc == -DER_NONEXIST;
}

/* --- engines' parts -------------------------------------------------------------------------- */

/* The ranks of a pool as a list to ask. */
static struct ms_answer *
answers_of(const uint32_t *ranks, uint32_t nr)
{
	struct ms_answer *answers = mem_calloc(nr + 1, sizeof(*answers));
	uint32_t i;

	for (i = 0; answers != NULL && i < nr; i++)
		answers[i].rank = ranks[i];
	return answers;
}

/* An engine that is just being started again deserves a moment. */
static bool
is_passing(int rc)
{
	return rc == -DER_UNREACH || rc == -DER_TIMEDOUT || rc == -DER_SHUTDOWN ||
	       rc == -DER_UNREG || rc == -DER_NOREPLY;
}

/* What the answers come to; those that are not yes move to the front. */
static int
worst(struct ms_answer *answers, uint32_t nr, uint32_t *ret_left)
{
	uint32_t left = 0;
	uint32_t i;
	int rc = 0;

	for (i = 0; i < nr; i++) {
		int one = answers[i].rc;

		if (one == -DER_EXIST || one == -DER_ALREADY)
			one = answers[i].rc = 0;
		if (one == 0)
			continue;
		if (rc == 0 || is_passing(rc) || one == -DER_NOSPACE)
			rc = one;
		if (i != left) {
			struct ms_answer tmp = answers[left];

			answers[left] = answers[i];
			answers[i] = tmp;
		}
		left++;
	}
	*ret_left = left;
	return rc;
}

static int co_fn
parts_create(struct mgmt *mgmt, const uuid_t uuid)
{
	const struct st_pool *pool = state_pool(mgmt->st, uuid);
	Eng__PoolCreateReq msg = ENG__POOL_CREATE_REQ__INIT;
	const struct st_rank *rank;
	struct ms_answer *answers;
	uint64_t give_up_ns = xs_now_fresh_ns(mgmt->xs) + MS_POOL_CREATE_WAIT_MS * 1000000ull;
	uint32_t left;
	uint32_t nr;
	uint32_t i;
	int rc;

	if (pool == NULL)
		return -DER_NONEXIST;
	rank = state_rank(mgmt->st, pool->ranks[0]);
	if (rank == NULL)
		return -DER_NONEXIST;
	msg.pool.data = (uint8_t *)uuid;
	msg.pool.len = sizeof(uuid_t);
	msg.scm_bytes = pool->scm_bytes / rank->target_nr;
	msg.nvme_bytes = pool->nvme_bytes / rank->target_nr;
	msg.data_thresh = (uint32_t)prop_num(&pool->props, DAOS_PROP_PO_DATA_THRESH,
					     DAOS_PROP_PO_DATA_THRESH_DEFAULT);
	nr = pool->rank_nr;
	answers = answers_of(pool->ranks, nr);
	if (answers == NULL)
		return -DER_NOMEM;
	for (;;) {
		ms_fanout(mgmt, OPC_ENG_POOL_CREATE, &msg.base, NULL, answers, nr,
			  MS_POOL_CREATE_CALL_MS);
		rc = worst(answers, nr, &left);
		if (rc == 0 || !is_passing(rc) || !mgmt->leading || mgmt->stopping ||
		    xs_now_fresh_ns(mgmt->xs) >= give_up_ns)
			break;
		co_sleep_ns(MS_POOL_CREATE_PAUSE_MS * 1000000ull);
		nr = left; /* only those who have not done it */
	}
	for (i = 0; i < nr; i++)
		if (answers[i].rc != 0)
			log_err("rank %u could not create its part of pool " UUID_F ": " ERR_F,
				answers[i].rank, UUID_P(uuid), ERR_P(answers[i].rc));
	ms_answers_free(answers, nr);
	return rc;
}

/* Ask those in pending; only_alive: not those who would not answer anyway. */
static int co_fn
parts_destroy(struct mgmt *mgmt, const uuid_t uuid, bool only_alive)
{
	const struct st_pool *pool = state_pool(mgmt->st, uuid);
	Eng__PoolDestroyReq msg = ENG__POOL_DESTROY_REQ__INIT;
	struct ms_answer *answers;
	CLEANUP(freep)
	uint32_t *gone = NULL;
	uint32_t nr = 0;
	uint32_t i;
	Ms__Cmd cmd;

	if (pool == NULL || pool->state != POOL_ST_DESTROYING)
		return 0;
	ms_cmd_start(mgmt, &cmd, MS_CMD_POOL_REAPED);
	answers = mem_calloc(pool->pending_nr + 1, sizeof(*answers));
	gone = mem_calloc(pool->pending_nr + 1, sizeof(*gone));
	if (answers == NULL || gone == NULL) {
		free(answers);
		return -DER_NOMEM;
	}
	for (i = 0; i < pool->pending_nr; i++) {
		const struct st_rank *rank = state_rank(mgmt->st, pool->pending[i]);

		if (rank == NULL || (only_alive && !ms_rank_alive(mgmt, rank)))
			continue;
		answers[nr++].rank = rank->rank;
	}
	msg.pool.data = (uint8_t *)uuid;
	msg.pool.len = sizeof(uuid_t);
	if (nr > 0)
		ms_fanout(mgmt, OPC_ENG_POOL_DESTROY, &msg.base, NULL, answers, nr,
			  MS_ENGINE_CALL_MS);
	for (i = 0; i < nr; i++) {
		if (is_gone(answers[i].rc))
			gone[cmd.n_ranks++] = answers[i].rank;
		else
			log_warn("rank %u keeps its part of destroyed pool " UUID_F
				 " for now: " ERR_F,
				 answers[i].rank, UUID_P(uuid), ERR_P(answers[i].rc));
	}
	ms_answers_free(answers, nr);
	if (cmd.n_ranks == 0)
		return 0;
	cmd.ranks = gone;
	cmd.pool.data = (uint8_t *)uuid;
	cmd.pool.len = sizeof(uuid_t);
	return ms_commit(mgmt, &cmd, NULL);
}

int co_fn
ms_map_push(struct mgmt *mgmt, const uuid_t uuid)
{
	const struct st_pool *pool = state_pool(mgmt->st, uuid);
	Eng__MapPushReq msg = ENG__MAP_PUSH_REQ__INIT;
	struct arena arena = {0};
	struct ms_answer *answers;
	Mgmt__PoolMap *map;
	uint32_t nr;
	int rc = -DER_NOMEM;

	if (pool == NULL)
		return -DER_NONEXIST;
	map = ms_pool_map_msg(mgmt, &arena, pool);
	nr = pool->rank_nr;
	answers = answers_of(pool->ranks, nr);
	if (map != NULL && answers != NULL) {
		msg.pool_map.data = arena_alloc(&arena, mgmt__pool_map__get_packed_size(map));
		if (msg.pool_map.data != NULL) {
			msg.pool_map.len = mgmt__pool_map__pack(map, msg.pool_map.data);
			/* Not the version of the whole system: there may be more to fetch. */
			msg.sys_version = pool->changed_at;
			rc = ms_fanout(mgmt, OPC_ENG_MAP_PUSH, &msg.base, NULL, answers, nr,
				       MS_ENGINE_CALL_MS);
		}
	}
	if (answers != NULL)
		ms_answers_free(answers, nr);
	arena_fini(&arena);
	return rc;
}

/* --- driving a pool to its end --------------------------------------------------------------- */

static void
cmd_creator(Ms__Cmd *cmd, const struct st_pool *pool)
{
	if (pool->create_seq == 0)
		return;
	cmd->client.data = (uint8_t *)pool->create_client;
	cmd->client.len = sizeof(uuid_t);
	cmd->seq = pool->create_seq;
}

static int co_fn
finish_create(struct mgmt *mgmt, const uuid_t uuid)
{
	const struct st_pool *pool;
	uuid_t client;
	Ms__Cmd cmd;
	int made;
	int rc;

	made = parts_create(mgmt, uuid);
	pool = state_pool(mgmt->st, uuid);
	if (pool == NULL)
		return -DER_NONEXIST;
	ms_cmd_start(mgmt, &cmd, made == 0 ? MS_CMD_POOL_READY : MS_CMD_POOL_FAILED);
	cmd.pool.data = (uint8_t *)uuid;
	cmd.pool.len = sizeof(uuid_t);
	cmd.rc = made;
	cmd_creator(&cmd, pool);
	if (cmd.client.len != 0) {
		uuid_copy(client, pool->create_client);
		cmd.client.data = client;
	}
	rc = ms_commit(mgmt, &cmd, NULL);
	if (rc == 0)
		ms_map_push(mgmt, uuid);
	else if (rc != -DER_NOTLEADER)
		parts_destroy(mgmt, uuid, false);
	return rc;
}

static struct pool_op *
op_find(const struct mgmt *mgmt, const uuid_t uuid)
{
	struct list *pos;

	list_for_each (pos, &mgmt->ops) {
		struct pool_op *op = list_entry(pos, struct pool_op, link);

		if (uuid_compare(op->pool, uuid) == 0)
			return op;
	}
	return NULL;
}

static void
op_put(struct pool_op *op)
{
	if (--op->ref == 0)
		free(op);
}

int co_fn
ms_pool_finish(struct mgmt *mgmt, const uuid_t uuid_in, const Mgmt__CmdId *id)
{
	const struct st_pool *pool;
	struct pool_op *op = op_find(mgmt, uuid_in);
	uuid_t uuid;
	int rc;

	uuid_copy(uuid, uuid_in); /* the caller's may be in the state */
	if (op != NULL) {
		op->ref++;
		rc = co_future_wait(&op->done, 0);
		op_put(op);
		return rc;
	}
	pool = state_pool(mgmt->st, uuid);
	if (pool == NULL)
		return -DER_NONEXIST;
	op = mem_new(struct pool_op);
	if (op == NULL)
		return -DER_NOMEM;
	uuid_copy(op->pool, uuid);
	co_future_init(&op->done);
	op->ref = 1;
	list_push_back(&mgmt->ops, &op->link);
	if (pool->state == POOL_ST_CREATING)
		rc = finish_create(mgmt, uuid);
	else if (pool->state == POOL_ST_DESTROYING)
		rc = parts_destroy(mgmt, uuid, false);
	else
		rc = 0;
	list_del(&op->link);
	co_future_complete(&op->done, rc);
	op_put(op);
	return rc;
}

/* --- background ------------------------------------------------------------------------------ */

struct resume {
	struct mgmt *mgmt;
	uuid_t uuid;
};

static void co_fn
resume(void *arg)
{
	struct resume *r = arg;
	struct mgmt *mgmt = r->mgmt;

	ms_pool_finish(mgmt, r->uuid, NULL);
	free(r);
	ms_leave(mgmt);
}

void co_fn
ms_pools_resume(struct mgmt *mgmt)
{
	uint32_t i;

	for (i = 0; i < mgmt->st->pools.nr; i++) {
		const struct st_pool *pool = mgmt->st->pools.v[i];
		struct resume *r;

		if (pool->state != POOL_ST_CREATING)
			continue;
		r = mem_new(struct resume);
		if (r == NULL)
			return;
		r->mgmt = mgmt;
		uuid_copy(r->uuid, pool->uuid);
		log_note("going on with pool " UUID_F, UUID_P(r->uuid));
		if (ms_spawn(mgmt, resume, r) != 0)
			free(r);
	}
}

/* Ranks alive that have not confirmed a container's end. */
static uint32_t
tomb_askable(struct mgmt *mgmt, const struct st_tomb *tomb, struct ms_answer *answers)
{
	uint32_t nr = 0;
	uint32_t i;

	for (i = 0; i < tomb->pending_nr; i++) {
		const struct st_rank *rank = state_rank(mgmt->st, tomb->pending[i]);

		if (rank != NULL && ms_rank_alive(mgmt, rank))
			answers[nr++].rank = rank->rank;
	}
	return nr;
}

int co_fn
ms_cont_reap(struct mgmt *mgmt, const uuid_t pool_in, const uuid_t cont_in)
{
	Eng__ContDestroyReq msg = ENG__CONT_DESTROY_REQ__INIT;
	CLEANUP(freep)
	uint32_t *gone = NULL;
	const struct st_tomb *tomb = NULL;
	struct ms_answer *answers;
	struct list *pos;
	uuid_t pool;
	uuid_t cont;
	Ms__Cmd cmd;
	uint32_t nr;
	uint32_t i;

	uuid_copy(pool, pool_in);
	uuid_copy(cont, cont_in);
	list_for_each (pos, &mgmt->st->tombs) {
		const struct st_tomb *t = list_entry(pos, struct st_tomb, link);

		if (uuid_compare(t->cont, cont) == 0)
			tomb = t;
	}
	if (tomb == NULL || tomb->pending_nr == 0)
		return 0;
	answers = mem_calloc(tomb->pending_nr, sizeof(*answers));
	gone = mem_calloc(tomb->pending_nr, sizeof(*gone));
	if (answers == NULL || gone == NULL) {
		free(answers);
		return -DER_NOMEM;
	}
	nr = tomb_askable(mgmt, tomb, answers);
	msg.pool.data = pool;
	msg.pool.len = sizeof(uuid_t);
	msg.cont.data = cont;
	msg.cont.len = sizeof(uuid_t);
	if (nr > 0)
		ms_fanout(mgmt, OPC_ENG_CONT_DESTROY, &msg.base, NULL, answers, nr,
			  MS_ENGINE_CALL_MS);
	ms_cmd_start(mgmt, &cmd, MS_CMD_CONT_REAPED);
	for (i = 0; i < nr; i++)
		if (is_gone(answers[i].rc))
			gone[cmd.n_ranks++] = answers[i].rank;
	ms_answers_free(answers, nr);
	if (cmd.n_ranks == 0)
		return 0;
	cmd.ranks = gone;
	cmd.cont.data = cont;
	cmd.cont.len = sizeof(uuid_t);
	return ms_commit(mgmt, &cmd, NULL);
}

static bool
pending_alive(struct mgmt *mgmt, const uint32_t *pending, uint32_t nr)
{
	uint32_t i;

	for (i = 0; i < nr; i++) {
		const struct st_rank *rank = state_rank(mgmt->st, pending[i]);

		if (rank != NULL && ms_rank_alive(mgmt, rank))
			return true;
	}
	return false;
}

static void co_fn
reap_pools(struct mgmt *mgmt)
{
	uint32_t i;

	/* The array may change under us: a pool that is passed over now gets its turn next time. */
	for (i = 0; i < mgmt->st->pools.nr; i++) {
		const struct st_pool *pool = mgmt->st->pools.v[i];
		uuid_t uuid;

		if (pool->state != POOL_ST_DESTROYING || op_find(mgmt, pool->uuid) != NULL ||
		    !pending_alive(mgmt, pool->pending, pool->pending_nr))
			continue;
		uuid_copy(uuid, pool->uuid);
		if (parts_destroy(mgmt, uuid, true) == -DER_NOTLEADER)
			return;
	}
}

static void co_fn
reap_conts(struct mgmt *mgmt)
{
	struct pair {
		uuid_t pool;
		uuid_t cont;
	};
	CLEANUP(freep)
	struct pair *todo = mem_calloc(REAP_TOMBS_MAX, sizeof(*todo));
	uint64_t now_ms = env_real_ns(xs_env(mgmt->xs)) / 1000000;
	bool forget = false;
	struct list *pos;
	uint32_t nr = 0;
	uint32_t i;
	Ms__Cmd cmd;

	if (todo == NULL)
		return;
	list_for_each (pos, &mgmt->st->tombs) {
		const struct st_tomb *t = list_entry(pos, struct st_tomb, link);

		if (t->pending_nr == 0 && t->died_ms + MS_TOMB_LIFE_MS < now_ms)
			forget = true;
		if (nr < REAP_TOMBS_MAX && pending_alive(mgmt, t->pending, t->pending_nr)) {
			uuid_copy(todo[nr].pool, t->pool);
			uuid_copy(todo[nr].cont, t->cont);
			nr++;
		}
	}
	for (i = 0; i < nr; i++)
		if (ms_cont_reap(mgmt, todo[i].pool, todo[i].cont) == -DER_NOTLEADER)
			return;
	if (forget) {
		ms_cmd_start(mgmt, &cmd, MS_CMD_CONT_FORGET);
		cmd.number = now_ms - MS_TOMB_LIFE_MS;
		ms_commit(mgmt, &cmd, NULL);
	}
}

void co_fn
ms_reap(struct mgmt *mgmt)
{
	reap_pools(mgmt);
	reap_conts(mgmt);
}
