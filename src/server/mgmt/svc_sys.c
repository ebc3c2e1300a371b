/*
 * Requests about the system: ranks that join and beat, queries, stopping, what clients need to
 * know.
 *
 * Heartbeats are not logged. Their answer extends the rank's lease, so the leader confirms that it
 * still leads (with raft's next heartbeat, which costs nothing); what changed since the version the
 * rank knows comes along, oldest first and no more than fits, with the version it is complete up
 * to.
 */
#define LOG_FACILITY "mgmt"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/opcodes.h"
#include "server/mgmt/mgmt_internal.h"

/* --- messages -------------------------------------------------------------------------------- */

Mgmt__Rank *
ms_rank_msg(struct mgmt *mgmt, struct arena *a, const struct st_rank *rank)
{
	Mgmt__Rank *m = arena_alloc(a, sizeof(*m));
	const struct beat *b = ms_beat(mgmt, rank->rank, false);

	if (m == NULL)
		return NULL;
	mgmt__rank__init(m);
	m->rank = rank->rank;
	m->uuid.data = arena_dup(a, rank->uuid, sizeof(uuid_t));
	m->uuid.len = sizeof(uuid_t);
	m->uri = arena_str(a, rank->uri);
	m->target_nr = rank->target_nr;
	m->fault_domain = arena_str(a, rank->fault_domain);
	m->state = rank->state;
	if (rank->state == SYS_ST_JOINED && mgmt->leading && !ms_rank_alive(mgmt, rank))
		m->state = SYS_ST_UNRESPONSIVE;
	m->incarnation = rank->incarnation;
	m->control_addr = arena_str(a, rank->control_addr);
	m->scm_total = rank->scm_total;
	m->nvme_total = rank->nvme_total;
	if (b != NULL) {
		m->scm_free = b->scm_free;
		m->nvme_free = b->nvme_free;
	}
	m->ms_replica = rank->raft_id != 0;
	if (m->uuid.data == NULL || m->uri == NULL || m->fault_domain == NULL ||
	    m->control_addr == NULL)
		return NULL;
	return m;
}

Mgmt__PoolMap *
ms_pool_map_msg(struct mgmt *mgmt, struct arena *a, const struct st_pool *pool)
{
	Mgmt__PoolMap *m = arena_alloc(a, sizeof(*m));
	Mgmt__Target *t = arena_alloc(a, pool->target_nr * sizeof(*t));
	Mgmt__PoolSettings *set = arena_alloc(a, sizeof(*set));
	uint32_t i;

	if (m == NULL || t == NULL || set == NULL)
		return NULL;
	mgmt__pool_map__init(m);
	mgmt__pool_settings__init(set);
	set->version = pool->changed_at;
	set->data_thresh = (uint32_t)prop_num(&pool->props, DAOS_PROP_PO_DATA_THRESH,
					      DAOS_PROP_PO_DATA_THRESH_DEFAULT);
	set->reclaim = (uint32_t)prop_num(&pool->props, DAOS_PROP_PO_RECLAIM, DAOS_RECLAIM_LAZY);
	m->settings = set;
	m->pool_uuid.data = arena_dup(a, pool->uuid, sizeof(uuid_t));
	m->pool_uuid.len = sizeof(uuid_t);
	m->version = pool->map_version;
	m->targets = arena_alloc(a, pool->target_nr * sizeof(*m->targets));
	m->ranks = arena_alloc(a, pool->rank_nr * sizeof(*m->ranks));
	if (m->pool_uuid.data == NULL || m->targets == NULL || m->ranks == NULL)
		return NULL;
	for (i = 0; i < pool->target_nr; i++) {
		mgmt__target__init(&t[i]);
		t[i].id = pool->targets[i].id;
		t[i].rank = pool->targets[i].rank;
		t[i].index = pool->targets[i].index;
		t[i].state = pool->targets[i].state;
		t[i].fseq = pool->targets[i].fseq;
		t[i].in_ver = pool->targets[i].in_ver;
		m->targets[m->n_targets++] = &t[i];
	}
	for (i = 0; i < pool->rank_nr; i++) {
		const struct st_rank *rank = state_rank(mgmt->st, pool->ranks[i]);
		Mgmt__Rank *r = rank != NULL ? arena_alloc(a, sizeof(*r)) : NULL;

		if (r == NULL)
			return NULL;
		/* Only what placement and addressing need: a map stays equal while its version
		 * does (its settings aside), so what changes without one (who is silent, who was
		 * stopped) is not in it.
		 */
		mgmt__rank__init(r);
		r->rank = rank->rank;
		r->uri = arena_str(a, rank->uri);
		r->target_nr = rank->target_nr;
		r->fault_domain = arena_str(a, rank->fault_domain);
		r->state = SYS_ST_JOINED;
		if (r->uri == NULL || r->fault_domain == NULL)
			return NULL;
		m->ranks[m->n_ranks++] = r;
	}
	return m;
}

/* --- news for a rank ------------------------------------------------------------------------- */

struct news_item {
	uint64_t at;
	const struct st_pool *pool;
	const struct st_tomb *tomb;
};

struct news {
	Mgmt__PoolMap **maps;
	size_t map_nr;
	ProtobufCBinaryData *dead;
	size_t dead_nr;
	uint64_t version; /* complete up to here */
	bool more;
};

static int
cmp_news(const void *a, const void *b)
{
	const struct news_item *x = a;
	const struct news_item *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

static int
news_take(struct mgmt *mgmt, struct arena *a, const struct news_item *item, struct news *news,
	  size_t *bytes)
{
	if (item->pool != NULL) {
		Mgmt__PoolMap *map = ms_pool_map_msg(mgmt, a, item->pool);

		if (map == NULL)
			return -DER_NOMEM;
		*bytes += mgmt__pool_map__get_packed_size(map) + 8;
		news->maps[news->map_nr++] = map;
	} else {
		uint8_t *pair = arena_alloc(a, 2 * sizeof(uuid_t));

		if (pair == NULL)
			return -DER_NOMEM;
		memcpy(pair, item->tomb->pool, sizeof(uuid_t));
		memcpy(pair + sizeof(uuid_t), item->tomb->cont, sizeof(uuid_t));
		news->dead[news->dead_nr].data = pair;
		news->dead[news->dead_nr].len = 2 * sizeof(uuid_t);
		news->dead_nr++;
		*bytes += 2 * sizeof(uuid_t) + 8;
	}
	return 0;
}

/* Maps of pools on the rank and destroyed containers, changed after since. */
static int
news_of(struct mgmt *mgmt, struct arena *a, uint32_t rank, uint64_t since, struct news *news)
{
	const struct state *st = mgmt->st;
	struct news_item *items;
	struct list *pos;
	size_t bytes = 0;
	size_t nr = 0;
	size_t i;

	memset(news, 0, sizeof(*news));
	news->version = st->sys_version;
	if (since == st->sys_version)
		return 0;
	if (since > st->sys_version)
		since = 0;
	items = arena_alloc(a, (st->pools.nr + st->tomb_nr) * sizeof(*items));
	news->maps = arena_alloc(a, st->pools.nr * sizeof(*news->maps));
	news->dead = arena_alloc(a, st->tomb_nr * sizeof(*news->dead));
	if (items == NULL || news->maps == NULL || news->dead == NULL)
		return -DER_NOMEM;
	for (i = 0; i < st->pools.nr; i++) {
		const struct st_pool *pool = st->pools.v[i];

		if (pool->state == POOL_ST_READY && pool->changed_at > since &&
		    u32s_has(pool->ranks, pool->rank_nr, rank))
			items[nr++] = (struct news_item){.at = pool->changed_at, .pool = pool};
	}
	list_for_each (pos, &st->tombs) {
		const struct st_tomb *tomb = list_entry(pos, struct st_tomb, link);
		const struct st_pool *pool = state_pool(st, tomb->pool);

		if (tomb->changed_at > since && pool != NULL &&
		    u32s_has(pool->ranks, pool->rank_nr, rank))
			items[nr++] = (struct news_item){.at = tomb->changed_at, .tomb = tomb};
	}
	qsort(items, nr, sizeof(*items), cmp_news);
	for (i = 0; i < nr; i++) {
		int rc;

		/* Things of one version stay together. */
		if (bytes > MS_REPLY_MAX / 2 && items[i].at != items[i - 1].at) {
			news->version = items[i - 1].at;
			news->more = true;
			break;
		}
		rc = news_take(mgmt, a, &items[i], news, &bytes);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* --- join and heartbeat ---------------------------------------------------------------------- */

static int
join_reply(struct mgmt *mgmt, struct ms_req *req, const struct st_rank *rank)
{
	Mgmt__JoinRep *rep = ms_new(req, Mgmt__JoinRep, mgmt__join_rep__init);
	struct news news;
	int rc;

	if (rep == NULL)
		return -DER_NOMEM;
	rc = news_of(mgmt, &req->arena, rank->rank, 0, &news);
	if (rc == 0)
		rc = ms_replica_uris(mgmt, &req->arena, &rep->replica_uris, &rep->n_replica_uris);
	if (rc != 0)
		return rc;
	rep->rank = rank->rank;
	rep->cap_key.data = arena_dup(&req->arena, mgmt->st->cap_key, CAP_KEY_BYTES);
	rep->cap_key.len = CAP_KEY_BYTES;
	rep->maps = news.maps;
	rep->n_maps = news.map_nr;
	rep->dead_conts = news.dead;
	rep->n_dead_conts = news.dead_nr;
	rep->sys_version = news.version;
	rep->system_uuid.data = arena_dup(&req->arena, mgmt->st->uuid, sizeof(uuid_t));
	rep->system_uuid.len = sizeof(uuid_t);
	if (rep->cap_key.data == NULL || rep->system_uuid.data == NULL)
		return -DER_NOMEM;
	req->reply = &rep->base;
	return 0;
}

/* Whether a join says something that is not on record. */
static bool
join_is_news(const struct st_rank *rank, const Mgmt__JoinReq *msg)
{
	return rank == NULL || rank->state != SYS_ST_JOINED ||
	       rank->incarnation != msg->incarnation || rank->target_nr != msg->target_nr ||
	       strcmp(rank->uri, msg->uri) != 0 ||
	       strcmp(rank->fault_domain, msg->fault_domain) != 0 ||
	       strcmp(rank->control_addr, msg->control_addr) != 0 ||
	       rank->scm_total != msg->scm_total || rank->nvme_total != msg->nvme_total;
}

int co_fn
svc_join(struct mgmt *mgmt, struct ms_req *req)
{
	const Mgmt__JoinReq *msg = req->msg;
	const struct st_rank *rank;
	struct beat *b;
	Ms__Cmd cmd;
	int rc;

	if (msg->uuid.len != sizeof(uuid_t) || strlen(msg->uri) >= RPC_URI_MAX)
		return -DER_INVAL;
	rank = state_rank_by_uuid(mgmt->st, msg->uuid.data);
	if (join_is_news(rank, msg)) {
		ms_cmd_start(mgmt, &cmd, MS_CMD_JOIN);
		cmd.req.data = (uint8_t *)req->body;
		cmd.req.len = req->body_len;
		rc = ms_commit(mgmt, &cmd, NULL);
		if (rc != 0) {
			log_warn("%s may not join as rank %d: " ERR_F, msg->uri, (int)msg->rank,
				 ERR_P(rc));
			return rc;
		}
	} else {
		rc = ms_confirm(mgmt, false);
		if (rc != 0)
			return -DER_NOTLEADER;
	}
	rank = state_rank_by_uuid(mgmt->st, msg->uuid.data);
	if (rank == NULL)
		return -DER_NONEXIST;
	b = ms_beat(mgmt, rank->rank, true);
	if (b != NULL)
		b->heard_ns = xs_now_fresh_ns(mgmt->xs);
	log_info("rank %u joined: %s", rank->rank, rank->uri);
	rc = join_reply(mgmt, req, rank);
	ms_kick(mgmt);
	return rc;
}

int co_fn
svc_heartbeat(struct mgmt *mgmt, struct ms_req *req)
{
	const Mgmt__HeartbeatReq *msg = req->msg;
	const struct st_rank *rank = state_rank(mgmt->st, msg->rank);
	Mgmt__HeartbeatRep *rep = ms_new(req, Mgmt__HeartbeatRep, mgmt__heartbeat_rep__init);
	struct news news;
	struct beat *b;
	bool was_alive;
	int rc;

	if (rep == NULL)
		return -DER_NOMEM;
	req->reply = &rep->base;
	if (rank == NULL || rank->incarnation != msg->incarnation) {
		rep->rejoin = true;
		return 0;
	}
	was_alive = ms_rank_alive(mgmt, rank);
	b = ms_beat(mgmt, rank->rank, true);
	if (b == NULL)
		return -DER_NOMEM;
	b->heard_ns = xs_now_fresh_ns(mgmt->xs);
	b->scm_free = msg->scm_free;
	b->nvme_free = msg->nvme_free;
	if (!was_alive)
		ms_kick(mgmt);
	rep->lease_ms = LEASE_MS;
	rep->sys_version = mgmt->st->sys_version;
	if (msg->sys_version == mgmt->st->sys_version)
		return 0;
	rc = news_of(mgmt, &req->arena, rank->rank, msg->sys_version, &news);
	if (rc == 0)
		rc = ms_replica_uris(mgmt, &req->arena, &rep->replica_uris, &rep->n_replica_uris);
	if (rc != 0)
		return rc;
	rep->sys_version = news.version;
	rep->more = news.more;
	rep->maps = news.maps;
	rep->n_maps = news.map_nr;
	rep->dead_conts = news.dead;
	rep->n_dead_conts = news.dead_nr;
	rep->cap_key.data = arena_dup(&req->arena, mgmt->st->cap_key, CAP_KEY_BYTES);
	rep->cap_key.len = rep->cap_key.data != NULL ? CAP_KEY_BYTES : 0;
	return 0;
}

/* --- queries --------------------------------------------------------------------------------- */

/* "0-3,7": is rank in it? -DER_INVAL for anything else. Empty: all. */
static int
ranks_match(const char *text, uint32_t rank, bool *ret_match)
{
	*ret_match = text[0] == '\0';
	while (*text != '\0') {
		unsigned long lo;
		unsigned long hi;
		char *end;

		if (*text < '0' || *text > '9')
			return -DER_INVAL;
		errno = 0;
		lo = strtoul(text, &end, 10);
		hi = lo;
		if (*end == '-') {
			if (end[1] < '0' || end[1] > '9')
				return -DER_INVAL;
			hi = strtoul(end + 1, &end, 10);
		}
		if (errno != 0 || lo > hi || hi >= MGMT_RANK_NONE)
			return -DER_INVAL;
		if (rank >= lo && rank <= hi)
			*ret_match = true;
		if (*end == ',')
			end++;
		else if (*end != '\0')
			return -DER_INVAL;
		text = end;
	}
	return 0;
}

int
ms_replica_ranks(struct mgmt *mgmt, struct arena *a, uint32_t **ret_ranks, size_t *ret_nr)
{
	struct rnode_server servers[RNODE_SERVERS_MAX];
	uint32_t nr = rnode_servers(rdb_node(mgmt->rdb), servers);
	uint32_t *ranks = arena_alloc(a, mgmt->st->rank_nr * sizeof(*ranks));
	uint32_t i;
	uint32_t k;

	*ret_nr = 0;
	if (ranks == NULL)
		return -DER_NOMEM;
	for (i = 0; i < mgmt->st->rank_nr; i++)
		for (k = 0; k < nr; k++)
			if (servers[k].id == mgmt->st->ranks[i]->raft_id &&
			    servers[k].role == RNODE_VOTER)
				ranks[(*ret_nr)++] = mgmt->st->ranks[i]->rank;
	*ret_ranks = ranks;
	return 0;
}

uint32_t
ms_leader_rank(const struct mgmt *mgmt)
{
	const struct st_rank *rank = state_rank_by_raft_id(mgmt->st, rnode_id(rdb_node(mgmt->rdb)));

	return rank != NULL ? rank->rank : MGMT_RANK_NONE;
}

int co_fn
svc_system_query(struct mgmt *mgmt, struct ms_req *req)
{
	const Mgmt__SystemQueryReq *msg = req->msg;
	Mgmt__SystemQueryRep *rep = ms_new(req, Mgmt__SystemQueryRep, mgmt__system_query_rep__init);
	uint32_t i;
	int rc;

	if (rep == NULL)
		return -DER_NOMEM;
	rep->ranks = arena_alloc(&req->arena, mgmt->st->rank_nr * sizeof(*rep->ranks));
	if (rep->ranks == NULL)
		return -DER_NOMEM;
	for (i = 0; i < mgmt->st->rank_nr; i++) {
		const struct st_rank *rank = mgmt->st->ranks[i];
		bool match;

		rc = ranks_match(msg->ranks, rank->rank, &match);
		if (rc != 0)
			return rc;
		if (!match)
			continue;
		rep->ranks[rep->n_ranks] = ms_rank_msg(mgmt, &req->arena, rank);
		if (rep->ranks[rep->n_ranks] == NULL)
			return -DER_NOMEM;
		rep->n_ranks++;
	}
	rep->leader_rank = ms_leader_rank(mgmt);
	rep->name = mgmt->st->name;
	rc = ms_replica_ranks(mgmt, &req->arena, &rep->replica_ranks, &rep->n_replica_ranks);
	req->reply = &rep->base;
	return rc;
}

int co_fn
svc_attach_info(struct mgmt *mgmt, struct ms_req *req)
{
	Mgmt__AttachInfoRep *rep = ms_new(req, Mgmt__AttachInfoRep, mgmt__attach_info_rep__init);
	uint32_t i;
	int rc;

	if (rep == NULL)
		return -DER_NOMEM;
	rep->ranks = arena_alloc(&req->arena, mgmt->st->rank_nr * sizeof(*rep->ranks));
	if (rep->ranks == NULL)
		return -DER_NOMEM;
	for (i = 0; i < mgmt->st->rank_nr; i++) {
		const struct st_rank *rank = mgmt->st->ranks[i];
		Mgmt__Rank *r = ms_new(req, Mgmt__Rank, mgmt__rank__init);

		if (r == NULL)
			return -DER_NOMEM;
		r->rank = rank->rank;
		r->uri = arena_str(&req->arena, rank->uri);
		r->target_nr = rank->target_nr;
		r->state = rank->state;
		r->ms_replica = rank->raft_id != 0;
		if (r->uri == NULL)
			return -DER_NOMEM;
		rep->ranks[rep->n_ranks++] = r;
	}
	rep->system = mgmt->st->name;
	rep->provider = mgmt->provider;
	rep->sys_version = mgmt->st->sys_version;
	rc = ms_replica_ranks(mgmt, &req->arena, &rep->replica_ranks, &rep->n_replica_ranks);
	req->reply = &rep->base;
	return rc;
}

/* --- stop ------------------------------------------------------------------------------------ */

struct stop {
	struct mgmt *mgmt;
	bool force;
	struct ms_answer *answers;
	uint32_t nr;
	uint32_t self; /* last, when it is among them */
	bool self_too;
};

/* After the answer has left: other ranks first, replicas behind the rest, this engine at the end.
 */
static void co_fn
stop_ranks(void *arg)
{
	struct stop *s = arg;
	struct mgmt *mgmt = s->mgmt;
	Eng__StopReq msg = ENG__STOP_REQ__INIT;

	msg.force = s->force;
	ms_fanout(mgmt, OPC_ENG_STOP, &msg.base, NULL, s->answers, s->nr, MS_ENGINE_CALL_MS);
	if (s->self_too)
		ms_engine_call(mgmt, s->self, OPC_ENG_STOP, &msg.base, NULL, NULL,
			       MS_ENGINE_CALL_MS);
	ms_answers_free(s->answers, s->nr);
	free(s);
	ms_leave(mgmt);
}

static bool
stop_wants(const Mgmt__SystemStopReq *msg, uint32_t rank)
{
	return msg->n_ranks == 0 || u32s_has(msg->ranks, (uint32_t)msg->n_ranks, rank);
}

int co_fn
svc_system_stop(struct mgmt *mgmt, struct ms_req *req)
{
	const Mgmt__SystemStopReq *msg = req->msg;
	uint32_t *ranks = arena_alloc(&req->arena, mgmt->st->rank_nr * sizeof(*ranks));
	struct stop *s;
	uint32_t nr = 0;
	uint32_t i;
	Ms__Cmd cmd;
	int rc;

	for (i = 0; i < msg->n_ranks; i++)
		if (state_rank(mgmt->st, msg->ranks[i]) == NULL)
			return -DER_NONEXIST;
	s = mem_new(struct stop);
	if (ranks == NULL || s == NULL) {
		free(s);
		return -DER_NOMEM;
	}
	s->answers = mem_calloc(mgmt->st->rank_nr + 1, sizeof(*s->answers));
	if (s->answers == NULL) {
		free(s);
		return -DER_NOMEM;
	}
	s->mgmt = mgmt;
	s->force = msg->force;
	s->self = ms_leader_rank(mgmt);
	for (i = 0; i < mgmt->st->rank_nr; i++) {
		const struct st_rank *rank = mgmt->st->ranks[i];

		if (!stop_wants(msg, rank->rank))
			continue;
		ranks[nr++] = rank->rank;
		if (rank->rank == s->self)
			s->self_too = true;
		else if (rank->state == SYS_ST_JOINED)
			s->answers[s->nr++].rank = rank->rank;
	}
	/* First the record: afterwards there may be no majority to write it. */
	ms_cmd_start(mgmt, &cmd, MS_CMD_RANK_STATE);
	cmd.ranks = ranks;
	cmd.n_ranks = nr;
	cmd.state = SYS_ST_STOPPED;
	rc = ms_commit(mgmt, &cmd, NULL);
	if (rc == 0)
		rc = ms_spawn(mgmt, stop_ranks, s);
	if (rc != 0) {
		free(s->answers);
		free(s);
	}
	return rc;
}

/* --- attributes of the system ---------------------------------------------------------------- */

int co_fn
svc_system_set_attr(struct mgmt *mgmt, struct ms_req *req)
{
	const Mgmt__AttrReq *msg = req->msg;
	Ms__Cmd cmd;

	ms_cmd_start(mgmt, &cmd, MS_CMD_SYS_ATTR_SET);
	ms_cmd_ident(&cmd, msg->id);
	cmd.req.data = (uint8_t *)req->body;
	cmd.req.len = req->body_len;
	return ms_commit(mgmt, &cmd, NULL);
}

int co_fn
svc_system_get_attr(struct mgmt *mgmt, struct ms_req *req)
{
	return svc_attrs_reply(req, &mgmt->st->attrs, false);
}
