/*
 * The set of replicas: 1 in a system of one or two ranks, then 3, and 5 when there are that many
 * fault domains. It grows by itself, one step at a time: the rank gets an id (committed), its
 * engine starts an empty replica, the replica is added as a spare and becomes a voter when it has
 * caught up. Each step looks at what is, so a new leader goes on where the last one stopped.
 *
 * A replica whose engine is alive but which does not answer as a replica has lost its disk, or its
 * engine could not use what was on it: it is removed and the rank may get a new one under a new id.
 */
#define LOG_FACILITY "mgmt"

#include <string.h>

#include <daos_errno.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "proto/opcodes.h"
#include "server/mgmt/mgmt_internal.h"

static const struct rnode_server *
server_find(const struct rnode_server *servers, uint32_t nr, uint64_t id)
{
	uint32_t i;

	for (i = 0; i < nr; i++)
		if (servers[i].id == id)
			return &servers[i];
	return NULL;
}

/* How many fault domains the joined ranks are in, and how many ranks that is. */
static uint32_t
domains(const struct mgmt *mgmt, uint32_t *ret_ranks)
{
	const struct state *st = mgmt->st;
	uint32_t nr = 0;
	uint32_t i;
	uint32_t k;

	*ret_ranks = 0;
	for (i = 0; i < st->rank_nr; i++) {
		if (st->ranks[i]->state != SYS_ST_JOINED)
			continue;
		(*ret_ranks)++;
		for (k = 0; k < i; k++)
			if (st->ranks[k]->state == SYS_ST_JOINED &&
			    strcmp(st->ranks[k]->fault_domain, st->ranks[i]->fault_domain) == 0)
				break;
		if (k == i)
			nr++;
	}
	return nr;
}

static uint32_t
wanted(const struct mgmt *mgmt)
{
	uint32_t ranks;
	uint32_t doms = domains(mgmt, &ranks);
	uint32_t want = 1;

	if (ranks >= MS_REPLICAS_3_FROM)
		want = 3;
	if (ranks >= MS_REPLICAS_5_FROM && doms >= 5)
		want = 5;
	if (mgmt->conf.replica_max != 0 && want > mgmt->conf.replica_max)
		want = mgmt->conf.replica_max;
	return want;
}

static bool
domain_used(const struct mgmt *mgmt, const char *domain)
{
	uint32_t i;

	for (i = 0; i < mgmt->st->rank_nr; i++)
		if (mgmt->st->ranks[i]->raft_id != 0 &&
		    strcmp(mgmt->st->ranks[i]->fault_domain, domain) == 0)
			return true;
	return false;
}

static const struct st_rank *
candidate(struct mgmt *mgmt)
{
	const struct st_rank *second = NULL;
	uint32_t i;

	for (i = 0; i < mgmt->st->rank_nr; i++) {
		const struct st_rank *rank = mgmt->st->ranks[i];

		if (rank->raft_id != 0 || !ms_rank_alive(mgmt, rank))
			continue;
		if (!domain_used(mgmt, rank->fault_domain))
			return rank;
		if (second == NULL)
			second = rank;
	}
	return second;
}

static int co_fn
drop(struct mgmt *mgmt, uint64_t id)
{
	Ms__Cmd cmd;
	int rc;

	log_note("replica %llu is removed", (unsigned long long)id);
	rc = rnode_remove(rdb_node(mgmt->rdb), id);
	if (rc != 0 && rc != -DER_NONEXIST)
		return rc;
	ms_cmd_start(mgmt, &cmd, MS_CMD_REPLICA_DEL);
	cmd.number = id;
	return ms_commit(mgmt, &cmd, NULL);
}

/* Make the engine of a rank start an empty replica with this id. */
static int co_fn
start_replica(struct mgmt *mgmt, uint32_t rank, uint64_t id)
{
	Eng__StartMsReq msg = ENG__START_MS_REQ__INIT;
	struct arena arena = {0};
	int rc;

	msg.raft_id = id;
	rc = ms_replica_uris(mgmt, &arena, &msg.replica_uris, &msg.n_replica_uris);
	if (rc == 0)
		rc = ms_engine_call(mgmt, rank, OPC_ENG_START_MS, &msg.base, NULL, NULL,
				    MS_ENGINE_CALL_MS);
	arena_fini(&arena);
	if (rc != 0)
		log_warn("rank %u does not start a replica: " ERR_F, rank, ERR_P(rc));
	return rc;
}

/* Bring a new replica of a rank into the group. */
static int co_fn
bring_in(struct mgmt *mgmt, uint32_t rank_nr, uint64_t id)
{
	const struct st_rank *rank = state_rank(mgmt->st, rank_nr);
	char uri[RPC_URI_MAX];
	Ms__Cmd cmd;
	int rc;

	if (rank == NULL || !ms_rank_alive(mgmt, rank) || strlen(rank->uri) >= sizeof(uri))
		return -DER_UNREACH;
	strcpy(uri, rank->uri);
	rc = start_replica(mgmt, rank_nr, id);
	if (rc == 0)
		rc = rnode_add(rdb_node(mgmt->rdb), id, uri);
	if (rc == 0)
		rc = rnode_promote(rdb_node(mgmt->rdb), id);
	if (rc != 0) {
		log_warn("rank %u as a replica: " ERR_F, rank_nr, ERR_P(rc));
		return rc;
	}
	log_note("rank %u is a replica now", rank_nr);
	ms_cmd_start(mgmt, &cmd, MS_CMD_SYS_CHANGED);
	return ms_commit(mgmt, &cmd, NULL);
}

static int co_fn
grow(struct mgmt *mgmt)
{
	const struct st_rank *rank = candidate(mgmt);
	uint32_t rank_nr;
	uint64_t id;
	Ms__Cmd cmd;
	int rc;

	if (rank == NULL)
		return -DER_NONEXIST;
	rank_nr = rank->rank;
	ms_cmd_start(mgmt, &cmd, MS_CMD_REPLICA_ADD);
	cmd.rank = rank_nr;
	cmd.number = env_rand_u64(xs_env(mgmt->xs)) >> 1 | 1;
	rc = ms_commit_number(mgmt, &cmd, &id);
	if (rc != 0)
		return rc;
	return bring_in(mgmt, rank_nr, id);
}

/* Whether the engine runs the replica it should; anything but a clear no counts as yes. */
static bool co_fn
is_running(struct mgmt *mgmt, uint32_t rank)
{
	ProtobufCMessage *rep = NULL;
	bool runs = true;
	int rc;

	rc = ms_engine_call(mgmt, rank, OPC_ENG_PING, NULL, &eng__ping_rep__descriptor, &rep,
			    MS_ENGINE_CALL_MS);
	if (rc == 0) {
		runs = ((Eng__PingRep *)rep)->ms_replica;
		protobuf_c_message_free_unpacked(rep, NULL);
	}
	return runs;
}

/* Long enough that an engine that just started has its replica running by now. */
static bool
silent_long(struct mgmt *mgmt, const struct rnode_server *s)
{
	uint64_t since = s->ack_ns > mgmt->lead_since_ns ? s->ack_ns : mgmt->lead_since_ns;

	return xs_now_fresh_ns(mgmt->xs) - since > MS_REPLICA_SILENT_MS * 1000000ull;
}

/* One step; 0 when there was one and it worked, -DER_NONEXIST when there is nothing to do. */
static int co_fn
step(struct mgmt *mgmt)
{
	struct rnode *node = rdb_node(mgmt->rdb);
	struct rnode_server servers[RNODE_SERVERS_MAX];
	uint32_t nr = rnode_servers(node, servers);
	uint32_t voters = 0;
	uint32_t i;

	for (i = 0; i < nr; i++) {
		const struct rnode_server *s = &servers[i];
		const struct st_rank *rank = state_rank_by_raft_id(mgmt->st, s->id);

		if (s->role == RNODE_VOTER)
			voters++;
		if (s->id == rnode_id(node))
			continue;
		if (rank == NULL) { /* the first replica's rank is known when that joins */
			if (s->id == mgmt->st->boot_raft_id)
				continue;
			return drop(mgmt, s->id);
		}
		if (s->role != RNODE_VOTER)
			return drop(mgmt, s->id);
		if (ms_rank_alive(mgmt, rank) && silent_long(mgmt, s)) {
			uint64_t id = s->id;

			if (!is_running(mgmt, rank->rank))
				return drop(mgmt, id);
		}
	}
	for (i = 0; i < mgmt->st->rank_nr; i++) {
		const struct st_rank *rank = mgmt->st->ranks[i];

		if (rank->raft_id != 0 && server_find(servers, nr, rank->raft_id) == NULL)
			return drop(mgmt, rank->raft_id);
	}
	if (voters < wanted(mgmt) && xs_now_fresh_ns(mgmt->xs) >= mgmt->grow_after_ns) {
		int rc = grow(mgmt);

		if (rc != 0)
			mgmt->grow_after_ns =
			    xs_now_fresh_ns(mgmt->xs) + MS_GROW_AGAIN_MS * 1000000ull;
		return rc;
	}
	return -DER_NONEXIST;
}

void co_fn
ms_members_look_after(struct mgmt *mgmt)
{
	while (mgmt->leading && !mgmt->stopping && step(mgmt) == 0)
		;
}
