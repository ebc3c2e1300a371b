/*
 * Applying commands: the only code that changes the state. Deterministic: it looks at nothing but
 * state and command, and what depends on time, chance or the version of the program (defaults of
 * properties, say) was written into the command by the leader.
 *
 * A command with a client's identity is executed once: its result is kept until the client says it
 * does not need it any longer (low_seq), and a repetition gets the kept result. Creating a pool
 * takes two commands (begin; ready or failed); only the second one's result is final and kept.
 *
 * Running out of memory here would make this replica differ from the others: it ends the process,
 * which starts again from log and snapshot.
 */
#define LOG_FACILITY "mgmt"

#include <stdlib.h>
#include <string.h>

#include <daos_cont.h>
#include <daos_errno.h>
#include <daos_pool.h>
#include <daos_prop.h>

#include "base/log.h"
#include "base/mem.h"
#include "server/mgmt/mscmd.pb-c.h"
#include "server/mgmt/prop.h"
#include "server/mgmt/state.h"

/* A command being applied. */
struct ap {
	struct state *st;
	const Ms__Cmd *cmd;
	uint8_t *reply; /* packed, malloced */
	size_t reply_len;
};

static void *
must(void *p)
{
	if (p == NULL) {
		log_crit("no memory to apply a committed command");
		abort();
	}
	return p;
}

static void
must0(int rc)
{
	if (rc == -DER_NOMEM)
		must(NULL);
}

static void
replace_str(char **dst, const char *src)
{
	free(*dst);
	*dst = must(mem_strdup(src != NULL ? src : ""));
}

static bool
uuid_of(const ProtobufCBinaryData *b, uuid_t ret_uuid)
{
	if (b->len != sizeof(uuid_t))
		return false;
	memcpy(ret_uuid, b->data, sizeof(uuid_t));
	return true;
}

static void
reply_msg(struct ap *a, const ProtobufCMessage *msg)
{
	a->reply_len = protobuf_c_message_get_packed_size(msg);
	a->reply = must(mem_alloc(a->reply_len + 1));
	protobuf_c_message_pack(msg, a->reply);
}

static void
reply_rep(struct ap *a, uint64_t number, const uint8_t *uuid)
{
	Ms__CmdRep rep = MS__CMD_REP__INIT;

	rep.number = number;
	if (uuid != NULL) {
		rep.uuid.data = (uint8_t *)uuid;
		rep.uuid.len = sizeof(uuid_t);
	}
	reply_msg(a, &rep.base);
}

static struct st_pool *
pool_of(struct ap *a)
{
	uuid_t uuid;

	return uuid_of(&a->cmd->pool, uuid) ? state_pool(a->st, uuid) : NULL;
}

static struct st_cont *
cont_of(struct ap *a)
{
	struct st_pool *pool = pool_of(a);
	uuid_t uuid;

	return pool != NULL && uuid_of(&a->cmd->cont, uuid) ? state_cont(pool, uuid) : NULL;
}

/* Requests inside commands were packed by a leader: not understanding one is a fault of ours. */
#define REQ(type, name)                                                                            \
	type *req = (type *)protobuf_c_message_unpack(&name##__descriptor, NULL, a->cmd->req.len,  \
						      a->cmd->req.data);                           \
	if (req == NULL)                                                                           \
	return -DER_PROTO
#define REQ_FREE() protobuf_c_message_free_unpacked(&req->base, NULL)

/* --- system ---------------------------------------------------------------------------------- */

static int
do_init(struct ap *a)
{
	struct state *st = a->st;

	if (st->inited)
		return -DER_ALREADY;
	if (!uuid_of(&a->cmd->pool, st->uuid) || a->cmd->blob.len != CAP_KEY_BYTES)
		return -DER_PROTO;
	memcpy(st->cap_key, a->cmd->blob.data, CAP_KEY_BYTES);
	replace_str(&st->name, a->cmd->name);
	replace_str(&st->boot_uri, a->cmd->user);
	st->boot_raft_id = a->cmd->number;
	st->sys_version = 1;
	st->inited = true;
	return 0;
}

static uint32_t
rank_free_number(const struct state *st)
{
	uint32_t n = 0;

	while (state_rank(st, n) != NULL)
		n++;
	return n;
}

/* Maps that name the rank carry its address: those who have them must fetch them again. */
static void
rank_moved(struct state *st, const struct st_rank *rank)
{
	uint32_t i;

	for (i = 0; i < st->pools.nr; i++) {
		struct st_pool *pool = st->pools.v[i];

		if (!u32s_has(pool->ranks, pool->rank_nr, rank->rank))
			continue;
		pool->map_version++;
		pool->changed_at = st->sys_version;
	}
}

static int
join_check(const struct state *st, const Mgmt__JoinReq *req, const struct st_rank *known)
{
	if (req->uuid.len != sizeof(uuid_t) || req->uri == NULL || req->uri[0] == '\0' ||
	    req->target_nr == 0)
		return -DER_INVAL;
	/* Pools count on the number of targets. */
	if (known != NULL && known->target_nr != req->target_nr)
		return -DER_MISMATCH;
	if (known == NULL && req->rank != MGMT_RANK_NONE && state_rank(st, req->rank) != NULL)
		return -DER_EXIST;
	return 0;
}

static int
join(struct ap *a, const Mgmt__JoinReq *req)
{
	struct state *st = a->st;
	struct st_rank *rank = NULL;
	bool moved = false;
	bool fresh = false;
	int rc;

	if (req->uuid.len == sizeof(uuid_t))
		rank = state_rank_by_uuid(st, req->uuid.data);
	rc = join_check(st, req, rank);
	if (rc != 0)
		return rc;
	if (rank == NULL) {
		rank = must(mem_new(struct st_rank));
		rank->rank = req->rank != MGMT_RANK_NONE ? req->rank : rank_free_number(st);
		memcpy(rank->uuid, req->uuid.data, sizeof(uuid_t));
		rank->target_nr = req->target_nr;
		must0(state_rank_add(st, rank));
		fresh = true;
	}
	if (fresh || strcmp(rank->uri, req->uri) != 0) {
		replace_str(&rank->uri, req->uri);
		moved = !fresh;
		st->sys_version++;
	}
	if (rank->raft_id == 0 && strcmp(req->uri, st->boot_uri) == 0 &&
	    state_rank_by_raft_id(st, st->boot_raft_id) == NULL)
		rank->raft_id = st->boot_raft_id;
	replace_str(&rank->fault_domain, req->fault_domain);
	replace_str(&rank->control_addr, req->control_addr);
	rank->incarnation = req->incarnation;
	rank->scm_total = req->scm_total;
	rank->nvme_total = req->nvme_total;
	rank->state = SYS_ST_JOINED;
	if (moved)
		rank_moved(st, rank);
	reply_rep(a, rank->rank, NULL);
	return 0;
}

static int
do_join(struct ap *a)
{
	int rc;

	REQ(Mgmt__JoinReq, mgmt__join_req);
	rc = join(a, req);
	REQ_FREE();
	return rc;
}

static int
do_rank_state(struct ap *a)
{
	size_t i;

	for (i = 0; i < a->cmd->n_ranks; i++) {
		struct st_rank *rank = state_rank(a->st, a->cmd->ranks[i]);

		if (rank != NULL)
			rank->state = a->cmd->state;
	}
	return 0;
}

static int
do_replica_add(struct ap *a)
{
	struct st_rank *rank = state_rank(a->st, a->cmd->rank);

	if (rank == NULL)
		return -DER_NONEXIST;
	if (rank->raft_id == 0)
		rank->raft_id = a->cmd->number;
	a->st->sys_version++;
	reply_rep(a, rank->raft_id, NULL);
	return 0;
}

static int
do_replica_del(struct ap *a)
{
	struct st_rank *rank = state_rank_by_raft_id(a->st, a->cmd->number);

	if (rank == NULL)
		return 0;
	rank->raft_id = 0;
	a->st->sys_version++;
	return 0;
}

static int
do_sys_changed(struct ap *a)
{
	a->st->sys_version++;
	return 0;
}

/* --- attributes ------------------------------------------------------------------------------ */

static int
attr_cmp(const void *x, const void *y)
{
	return strcmp((*(Mgmt__Attr *const *)x)->name, (*(Mgmt__Attr *const *)y)->name);
}

static const Mgmt__Attr *
attr_find(Mgmt__Attr *const *attrs, size_t nr, const char *name)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (strcmp(attrs[i]->name, name) == 0)
			return attrs[i];
	return NULL;
}

/* del: remove those named, which all must exist; else set them. */
static int
attrs_change(struct blob *list, Mgmt__Attr **attrs, size_t nr, bool del)
{
	Mgmt__AttrRep *old = must(mgmt__attr_rep__unpack(NULL, list->len, list->data));
	Mgmt__AttrRep neu = MGMT__ATTR_REP__INIT;
	uint8_t *buf;
	size_t len;
	size_t i;
	int rc = 0;

	neu.attrs = must(mem_calloc(old->n_attrs + nr + 1, sizeof(*neu.attrs)));
	for (i = 0; i < old->n_attrs; i++)
		if (attr_find(attrs, nr, old->attrs[i]->name) == NULL)
			neu.attrs[neu.n_attrs++] = old->attrs[i];
	for (i = 0; i < nr; i++) {
		if (attr_find(attrs, i, attrs[i]->name) != NULL)
			rc = -DER_INVAL; /* named twice */
		if (del && attr_find(old->attrs, old->n_attrs, attrs[i]->name) == NULL)
			rc = -DER_NONEXIST;
		if (!del)
			neu.attrs[neu.n_attrs++] = attrs[i];
	}
	qsort(neu.attrs, neu.n_attrs, sizeof(*neu.attrs), attr_cmp);
	len = mgmt__attr_rep__get_packed_size(&neu);
	if (len > ST_ATTRS_BYTES_MAX && !del)
		rc = -DER_NOSPACE;
	if (rc == 0) {
		buf = must(mem_alloc(len + 1));
		mgmt__attr_rep__pack(&neu, buf);
		blob_fini(list);
		list->data = buf;
		list->len = len;
	}
	free(neu.attrs);
	mgmt__attr_rep__free_unpacked(old, NULL);
	return rc;
}

static int
change_attrs(struct ap *a, struct blob *list, bool del)
{
	int rc;

	if (list == NULL)
		return -DER_NONEXIST;
	REQ(Mgmt__AttrReq, mgmt__attr_req);
	rc = attrs_change(list, req->attrs, req->n_attrs, del);
	REQ_FREE();
	return rc;
}

static int
do_sys_attr_set(struct ap *a)
{
	return change_attrs(a, &a->st->attrs, false);
}

/* --- pools ----------------------------------------------------------------------------------- */

static bool
same_command(const struct st_pool *pool, const Ms__Cmd *cmd)
{
	return cmd->client.len == sizeof(uuid_t) && cmd->seq == pool->create_seq && cmd->seq != 0 &&
	       memcmp(pool->create_client, cmd->client.data, sizeof(uuid_t)) == 0;
}

static int
pool_fits(struct state *st, const Ms__Cmd *cmd, const Mgmt__PoolCreateReq *req)
{
	size_t i;

	for (i = 0; i < cmd->n_ranks; i++) {
		const struct st_rank *rank = state_rank(st, cmd->ranks[i]);
		uint64_t scm;
		uint64_t nvme;

		if (rank == NULL)
			return -DER_NONEXIST;
		state_rank_used(st, rank->rank, NULL, &scm, &nvme);
		if (scm > rank->scm_total || req->scm_bytes > rank->scm_total - scm ||
		    nvme > rank->nvme_total || req->nvme_bytes > rank->nvme_total - nvme)
			return -DER_NOSPACE;
	}
	return 0;
}

static int
pool_begin(struct ap *a, const Mgmt__PoolCreateReq *req)
{
	const Ms__Cmd *cmd = a->cmd;
	struct state *st = a->st;
	struct st_pool *pool;
	uint32_t nr = 0;
	uuid_t uuid;
	size_t i;
	int rc;

	if (!uuid_of(&req->uuid, uuid) || cmd->n_ranks == 0)
		return -DER_INVAL;
	for (i = 0; i < st->pools.nr; i++) {
		pool = st->pools.v[i];
		if (same_command(pool, cmd)) {
			reply_rep(a, 0, pool->uuid);
			return pool->state == POOL_ST_READY ? 0 : -DER_INPROGRESS;
		}
	}
	if (state_pool(st, uuid) != NULL)
		return -DER_EXIST;
	if (req->label[0] != '\0' && state_pool_by_label(st, req->label) != NULL)
		return -DER_EXIST;
	rc = pool_fits(st, cmd, req);
	if (rc != 0)
		return rc;

	pool = must(state_pool_new(uuid));
	must0(u32s_copy(&pool->ranks, &pool->rank_nr, cmd->ranks, cmd->n_ranks));
	for (i = 0; i < pool->rank_nr; i++)
		nr += state_rank(st, pool->ranks[i])->target_nr;
	pool->targets = must(mem_calloc(nr, sizeof(*pool->targets)));
	for (i = 0; i < pool->rank_nr; i++) {
		uint32_t t;

		for (t = 0; t < state_rank(st, pool->ranks[i])->target_nr; t++) {
			pool->targets[pool->target_nr++] = (struct st_target){
			    .id = pool->target_id_next++,
			    .rank = pool->ranks[i],
			    .index = t,
			    .state = TGT_ST_UPIN,
			    .in_ver = 1,
			};
		}
	}
	pool->state = POOL_ST_CREATING;
	pool->map_version = 1;
	pool->scm_bytes = req->scm_bytes;
	pool->nvme_bytes = req->nvme_bytes;
	must0(blob_set(&pool->props, cmd->blob.data, cmd->blob.len));
	if (cmd->client.len == sizeof(uuid_t)) {
		memcpy(pool->create_client, cmd->client.data, sizeof(uuid_t));
		pool->create_seq = cmd->seq;
	}
	must0(state_pool_link(st, pool));
	state_pool_set_label(st, pool, req->label);
	reply_rep(a, 0, pool->uuid);
	return 0;
}

static int
do_pool_begin(struct ap *a)
{
	int rc;

	REQ(Mgmt__PoolCreateReq, mgmt__pool_create_req);
	rc = pool_begin(a, req);
	REQ_FREE();
	return rc;
}

static int
do_pool_ready(struct ap *a)
{
	struct st_pool *pool = pool_of(a);

	if (pool == NULL)
		return -DER_NONEXIST;
	if (pool->state == POOL_ST_CREATING) {
		pool->state = POOL_ST_READY;
		pool->changed_at = ++a->st->sys_version;
	}
	reply_rep(a, 0, pool->uuid);
	return pool->state == POOL_ST_READY ? 0 : -DER_CANCELED;
}

static void
tombs_of_pool_free(struct state *st, const uuid_t uuid)
{
	struct list *pos;
	struct list *tmp;

	list_for_each_safe (pos, tmp, &st->tombs) {
		struct st_tomb *tomb = list_entry(pos, struct st_tomb, link);

		if (uuid_compare(tomb->pool, uuid) == 0)
			state_tomb_free(st, tomb);
	}
}

/* From here on nobody can open it; the ranks in pending still have to give its space back. */
static void
pool_die(struct state *st, struct st_pool *pool)
{
	pool->state = POOL_ST_DESTROYING;
	while (pool->conts.nr > 0)
		state_cont_free(st, pool->conts.v[pool->conts.nr - 1]);
	while (!list_empty(&pool->handles))
		state_handle_free(st, list_first(&pool->handles, struct st_handle, link));
	tombs_of_pool_free(st, pool->uuid);
	state_pool_set_label(st, pool, ""); /* keeps the text for listings */
	must0(u32s_copy(&pool->pending, &pool->pending_nr, pool->ranks, pool->rank_nr));
	pool->changed_at = ++st->sys_version;
}

static int
do_pool_failed(struct ap *a)
{
	struct st_pool *pool = pool_of(a);

	if (pool != NULL && pool->state == POOL_ST_CREATING)
		pool_die(a->st, pool);
	return a->cmd->rc; /* what the creator hears */
}

static int
do_pool_destroy(struct ap *a)
{
	struct st_pool *pool = pool_of(a);
	int rc = 0;

	if (pool == NULL || pool->state == POOL_ST_DESTROYING)
		return -DER_NONEXIST;
	REQ(Mgmt__PoolDestroyReq, mgmt__pool_destroy_req);
	if (pool->state == POOL_ST_CREATING)
		rc = -DER_BUSY;
	else if (pool->handle_nr > 0 && !req->force)
		rc = -DER_BUSY;
	else if (pool->conts.nr > 0 && !req->recursive)
		rc = -DER_BUSY;
	else
		pool_die(a->st, pool);
	REQ_FREE();
	return rc;
}

static int
do_pool_reaped(struct ap *a)
{
	struct st_pool *pool = pool_of(a);
	size_t i;

	if (pool == NULL || pool->state != POOL_ST_DESTROYING)
		return 0;
	for (i = 0; i < a->cmd->n_ranks; i++)
		u32s_remove(pool->pending, &pool->pending_nr, a->cmd->ranks[i]);
	if (pool->pending_nr == 0)
		state_pool_free(a->st, pool);
	return 0;
}

static void
handle_take_cred(struct st_handle *h, const Mgmt__Credential *cred)
{
	size_t i;

	if (cred == NULL)
		return;
	replace_str(&h->user, cred->user);
	replace_str(&h->group, cred->group);
	replace_str(&h->machine, cred->machine);
	if (cred->n_groups == 0)
		return;
	h->groups = must(mem_calloc(cred->n_groups, sizeof(*h->groups)));
	for (i = 0; i < cred->n_groups; i++)
		replace_str(&h->groups[h->group_nr++], cred->groups[i]);
}

static int
pool_connect(struct ap *a, struct st_pool *pool, const Mgmt__PoolConnectReq *req)
{
	struct st_handle *h;
	struct list *pos;
	uuid_t uuid;

	if (!uuid_of(&req->handle, uuid) || uuid_is_null(uuid))
		return -DER_INVAL;
	h = state_handle(a->st, uuid);
	if (h != NULL)
		return h->pool == pool && h->cont == NULL ? 0 : -DER_EXIST;
	if ((req->flags & DAOS_PC_EX) != 0 && pool->handle_nr > 0)
		return -DER_BUSY;
	list_for_each (pos, &pool->handles) {
		if ((list_entry(pos, struct st_handle, link)->flags & DAOS_PC_EX) != 0)
			return -DER_BUSY;
	}
	h = must(state_handle_new(uuid));
	h->pool = pool;
	h->flags = req->flags;
	h->rights = a->cmd->number;
	h->opened_ms = a->cmd->now_ms;
	handle_take_cred(h, req->cred);
	state_handle_link(a->st, h);
	return 0;
}

static int
do_pool_connect(struct ap *a)
{
	struct st_pool *pool = pool_of(a);
	int rc;

	if (pool == NULL || pool->state == POOL_ST_DESTROYING)
		return -DER_NONEXIST;
	if (pool->state == POOL_ST_CREATING)
		return -DER_BUSY;
	REQ(Mgmt__PoolConnectReq, mgmt__pool_connect_req);
	rc = pool_connect(a, pool, req);
	REQ_FREE();
	return rc;
}

static int
do_pool_disconnect(struct ap *a)
{
	struct st_handle *h;
	uuid_t uuid;

	if (!uuid_of(&a->cmd->handle, uuid))
		return -DER_INVAL;
	h = state_handle(a->st, uuid);
	if (h == NULL)
		return 0; /* gone already */
	if (h->cont != NULL)
		return -DER_NO_HDL;
	if (!list_empty(&h->children))
		return -DER_BUSY;
	state_handle_free(a->st, h);
	return 0;
}

static void
handle_evict(struct state *st, struct st_handle *h)
{
	while (!list_empty(&h->children)) {
		struct st_handle *child = list_first(&h->children, struct st_handle, child_link);

		child->cont->generation++;
		state_handle_free(st, child);
	}
	if (h->cont != NULL)
		h->cont->generation++;
	state_handle_free(st, h);
}

static bool
evict_matches(const struct st_handle *h, const Mgmt__PoolEvictReq *req)
{
	size_t i;

	if (req->machine != NULL && req->machine[0] != '\0')
		return h->machine != NULL && strcmp(h->machine, req->machine) == 0;
	if (req->n_handles == 0)
		return true;
	for (i = 0; i < req->n_handles; i++)
		if (req->handles[i].len == sizeof(uuid_t) &&
		    memcmp(req->handles[i].data, h->uuid, sizeof(uuid_t)) == 0)
			return true;
	return false;
}

static int
do_pool_evict(struct ap *a)
{
	struct st_pool *pool = pool_of(a);
	struct list *pos;
	struct list *tmp;
	uint64_t nr = 0;

	if (pool == NULL || pool->state == POOL_ST_DESTROYING)
		return -DER_NONEXIST;
	REQ(Mgmt__PoolEvictReq, mgmt__pool_evict_req);
	list_for_each_safe (pos, tmp, &pool->handles) {
		struct st_handle *h = list_entry(pos, struct st_handle, link);

		if (evict_matches(h, req)) {
			handle_evict(a->st, h);
			nr++;
		}
	}
	REQ_FREE();
	reply_rep(a, nr, NULL);
	return 0;
}

static int
pool_prop_set(struct ap *a, struct st_pool *pool, const Mgmt__PropSetReq *req)
{
	const Mgmt__Prop *label = prop_find(req->props, req->n_props, DAOS_PROP_PO_LABEL);
	int rc;

	if (label != NULL) {
		const struct st_pool *other = state_pool_by_label(a->st, label->str);

		if (other != NULL && other != pool)
			return -DER_EXIST;
	}
	rc = prop_merge(&pool->props, req->props, req->n_props);
	must0(rc);
	if (rc == 0 && label != NULL)
		state_pool_set_label(a->st, pool, label->str);
	/* what engines need to know goes to them like a new map */
	if (rc == 0 && (prop_find(req->props, req->n_props, DAOS_PROP_PO_DATA_THRESH) != NULL ||
			prop_find(req->props, req->n_props, DAOS_PROP_PO_RECLAIM) != NULL))
		pool->changed_at = ++a->st->sys_version;
	return rc;
}

static int
do_pool_prop_set(struct ap *a)
{
	struct st_pool *pool = pool_of(a);
	int rc;

	if (pool == NULL || pool->state != POOL_ST_READY)
		return -DER_NONEXIST;
	REQ(Mgmt__PropSetReq, mgmt__prop_set_req);
	rc = pool_prop_set(a, pool, req);
	REQ_FREE();
	return rc;
}

static int
do_pool_attr_set(struct ap *a)
{
	struct st_pool *pool = pool_of(a);

	return change_attrs(a, pool != NULL ? &pool->attrs : NULL, false);
}

static int
do_pool_attr_del(struct ap *a)
{
	struct st_pool *pool = pool_of(a);

	return change_attrs(a, pool != NULL ? &pool->attrs : NULL, true);
}

/* --- containers ------------------------------------------------------------------------------ */

static int
cont_create(struct ap *a, struct st_pool *pool, const Mgmt__ContCreateReq *req)
{
	struct st_cont *cont;
	uuid_t uuid;

	if (!uuid_of(&req->uuid, uuid) || uuid_is_null(uuid))
		return -DER_INVAL;
	if (state_cont(pool, uuid) != NULL)
		return -DER_EXIST;
	/* The label: the leader took it out of the properties. */
	if (a->cmd->name[0] != '\0' && state_cont_by_label(pool, a->cmd->name) != NULL)
		return -DER_EXIST;
	cont = must(state_cont_new(pool, uuid));
	must0(blob_set(&cont->props, a->cmd->blob.data, a->cmd->blob.len));
	cont->oid_next = 1;
	cont->generation = 1;
	cont->modify_hlc = a->cmd->now_hlc;
	must0(state_cont_link(cont));
	state_cont_set_label(cont, a->cmd->name);
	return 0;
}

static int
do_cont_create(struct ap *a)
{
	struct st_pool *pool = pool_of(a);
	int rc;

	if (pool == NULL || pool->state != POOL_ST_READY)
		return -DER_NONEXIST;
	REQ(Mgmt__ContCreateReq, mgmt__cont_create_req);
	rc = cont_create(a, pool, req);
	REQ_FREE();
	return rc;
}

static int
do_cont_destroy(struct ap *a)
{
	struct state *st = a->st;
	struct st_cont *cont = cont_of(a);
	struct st_tomb *tomb;
	bool force;

	if (cont == NULL)
		return -DER_NONEXIST;
	REQ(Mgmt__ContDestroyReq, mgmt__cont_destroy_req);
	force = req->force;
	REQ_FREE();
	if (cont->handle_nr > 0 && !force)
		return -DER_BUSY;
	tomb = must(mem_new(struct st_tomb));
	uuid_copy(tomb->pool, cont->pool->uuid);
	uuid_copy(tomb->cont, cont->uuid);
	tomb->died_ms = a->cmd->now_ms;
	tomb->changed_at = ++st->sys_version;
	must0(u32s_copy(&tomb->pending, &tomb->pending_nr, cont->pool->ranks, cont->pool->rank_nr));
	list_push_back(&st->tombs, &tomb->link);
	st->tomb_nr++;
	reply_rep(a, 0, cont->uuid);
	state_cont_free(st, cont);
	return 0;
}

static struct st_tomb *
tomb_of(struct ap *a)
{
	struct list *pos;

	list_for_each (pos, &a->st->tombs) {
		struct st_tomb *tomb = list_entry(pos, struct st_tomb, link);

		if (a->cmd->cont.len == sizeof(uuid_t) &&
		    memcmp(tomb->cont, a->cmd->cont.data, sizeof(uuid_t)) == 0)
			return tomb;
	}
	return NULL;
}

static int
do_cont_reaped(struct ap *a)
{
	struct st_tomb *tomb = tomb_of(a);
	size_t i;

	if (tomb == NULL)
		return 0;
	for (i = 0; i < a->cmd->n_ranks; i++)
		u32s_remove(tomb->pending, &tomb->pending_nr, a->cmd->ranks[i]);
	return 0;
}

/* Graves that no rank needs and whose capabilities have expired: died before number. */
static int
do_cont_forget(struct ap *a)
{
	struct list *pos;
	struct list *tmp;

	list_for_each_safe (pos, tmp, &a->st->tombs) {
		struct st_tomb *tomb = list_entry(pos, struct st_tomb, link);

		if (tomb->pending_nr == 0 && tomb->died_ms < a->cmd->number)
			state_tomb_free(a->st, tomb);
	}
	return 0;
}

static bool
same_user(const struct st_handle *x, const struct st_handle *y)
{
	const char *u = x->up != NULL ? x->up->user : NULL;
	const char *v = y != NULL ? y->user : NULL;

	return u != NULL && v != NULL && strcmp(u, v) == 0;
}

static int
cont_open(struct ap *a, struct st_cont *cont, const Mgmt__ContOpenReq *req)
{
	struct state *st = a->st;
	bool evict_all = (req->flags & DAOS_COO_EVICT_ALL) != 0;
	bool evict_mine = (req->flags & DAOS_COO_EVICT) != 0;
	struct st_handle *up = NULL;
	struct st_handle *h;
	struct list *pos;
	struct list *tmp;
	bool evicted = false;
	uuid_t uuid;
	uuid_t up_uuid;

	if (!uuid_of(&req->handle, uuid) || uuid_is_null(uuid))
		return -DER_INVAL;
	if (uuid_of(&req->pool_handle, up_uuid))
		up = state_handle(st, up_uuid);
	if (up == NULL || up->pool != cont->pool || up->cont != NULL)
		return -DER_NO_HDL;
	h = state_handle(st, uuid);
	if (h != NULL)
		return h->cont == cont ? 0 : -DER_EXIST;
	list_for_each (pos, &cont->handles) {
		const struct st_handle *other = list_entry(pos, struct st_handle, link);
		bool goes = evict_all || (evict_mine && same_user(other, up));

		if (!goes && ((req->flags | other->flags) & DAOS_COO_EX) != 0)
			return -DER_BUSY;
	}
	list_for_each_safe (pos, tmp, &cont->handles) {
		struct st_handle *other = list_entry(pos, struct st_handle, link);

		if (evict_all || (evict_mine && same_user(other, up))) {
			state_handle_free(st, other);
			evicted = true;
		}
	}
	if (evicted)
		cont->generation++;
	h = must(state_handle_new(uuid));
	h->pool = cont->pool;
	h->cont = cont;
	h->up = up;
	h->flags = req->flags;
	h->rights = a->cmd->number;
	h->opened_ms = a->cmd->now_ms;
	state_handle_link(st, h);
	if ((req->flags & DAOS_COO_RO_MDSTATS) == 0)
		cont->open_hlc = a->cmd->now_hlc;
	return 0;
}

static int
do_cont_open(struct ap *a)
{
	struct st_cont *cont = cont_of(a);
	int rc;

	if (cont == NULL)
		return -DER_NONEXIST;
	REQ(Mgmt__ContOpenReq, mgmt__cont_open_req);
	rc = cont_open(a, cont, req);
	REQ_FREE();
	return rc;
}

static int
do_cont_close(struct ap *a)
{
	struct st_handle *h;
	uuid_t uuid;

	if (!uuid_of(&a->cmd->handle, uuid))
		return -DER_INVAL;
	h = state_handle(a->st, uuid);
	if (h == NULL)
		return 0; /* gone already */
	if (h->cont == NULL)
		return -DER_NO_HDL;
	if ((h->flags & (DAOS_COO_RW | DAOS_COO_EX)) != 0 && (h->flags & DAOS_COO_RO_MDSTATS) == 0)
		h->cont->modify_hlc = a->cmd->now_hlc;
	state_handle_free(a->st, h);
	return 0;
}

static int
cont_prop_set(struct ap *a, struct st_cont *cont, const Mgmt__PropSetReq *req)
{
	const Mgmt__Prop *label = prop_find(req->props, req->n_props, DAOS_PROP_CO_LABEL);
	int rc;

	if (label != NULL) {
		const struct st_cont *other = state_cont_by_label(cont->pool, label->str);

		if (other != NULL && other != cont)
			return -DER_EXIST;
	}
	rc = prop_merge(&cont->props, req->props, req->n_props);
	must0(rc);
	if (rc == 0 && label != NULL)
		state_cont_set_label(cont, label->str);
	if (rc == 0)
		cont->modify_hlc = a->cmd->now_hlc;
	return rc;
}

static int
do_cont_prop_set(struct ap *a)
{
	struct st_cont *cont = cont_of(a);
	int rc;

	if (cont == NULL)
		return -DER_NONEXIST;
	REQ(Mgmt__PropSetReq, mgmt__prop_set_req);
	rc = cont_prop_set(a, cont, req);
	REQ_FREE();
	return rc;
}

static int
change_cont_attrs(struct ap *a, bool del)
{
	struct st_cont *cont = cont_of(a);
	int rc = change_attrs(a, cont != NULL ? &cont->attrs : NULL, del);

	if (rc == 0)
		cont->modify_hlc = a->cmd->now_hlc;
	return rc;
}

static int
do_cont_attr_set(struct ap *a)
{
	return change_cont_attrs(a, false);
}

static int
do_cont_attr_del(struct ap *a)
{
	return change_cont_attrs(a, true);
}

static int
do_cont_alloc_oids(struct ap *a)
{
	struct st_cont *cont = cont_of(a);
	Mgmt__ContAllocOidsRep rep = MGMT__CONT_ALLOC_OIDS_REP__INIT;

	if (cont == NULL)
		return -DER_NONEXIST;
	if (a->cmd->number == 0)
		return -DER_INVAL;
	if (cont->oid_next > UINT64_MAX - a->cmd->number)
		return -DER_NOSPACE;
	rep.first = cont->oid_next;
	cont->oid_next += a->cmd->number;
	reply_msg(a, &rep.base);
	return 0;
}

/* --- all of them ----------------------------------------------------------------------------- */

typedef int (*apply_fn)(struct ap *a);
static const apply_fn apply_fns[] = {
    [MS_CMD_INIT] = do_init,
    [MS_CMD_JOIN] = do_join,
    [MS_CMD_RANK_STATE] = do_rank_state,
    [MS_CMD_REPLICA_ADD] = do_replica_add,
    [MS_CMD_REPLICA_DEL] = do_replica_del,
    [MS_CMD_SYS_ATTR_SET] = do_sys_attr_set,
    [MS_CMD_SYS_CHANGED] = do_sys_changed,
    [MS_CMD_POOL_BEGIN] = do_pool_begin,
    [MS_CMD_POOL_READY] = do_pool_ready,
    [MS_CMD_POOL_FAILED] = do_pool_failed,
    [MS_CMD_POOL_DESTROY] = do_pool_destroy,
    [MS_CMD_POOL_REAPED] = do_pool_reaped,
    [MS_CMD_POOL_CONNECT] = do_pool_connect,
    [MS_CMD_POOL_DISCONNECT] = do_pool_disconnect,
    [MS_CMD_POOL_EVICT] = do_pool_evict,
    [MS_CMD_POOL_PROP_SET] = do_pool_prop_set,
    [MS_CMD_POOL_ATTR_SET] = do_pool_attr_set,
    [MS_CMD_POOL_ATTR_DEL] = do_pool_attr_del,
    [MS_CMD_CONT_CREATE] = do_cont_create,
    [MS_CMD_CONT_DESTROY] = do_cont_destroy,
    [MS_CMD_CONT_REAPED] = do_cont_reaped,
    [MS_CMD_CONT_FORGET] = do_cont_forget,
    [MS_CMD_CONT_OPEN] = do_cont_open,
    [MS_CMD_CONT_CLOSE] = do_cont_close,
    [MS_CMD_CONT_PROP_SET] = do_cont_prop_set,
    [MS_CMD_CONT_ATTR_SET] = do_cont_attr_set,
    [MS_CMD_CONT_ATTR_DEL] = do_cont_attr_del,
    [MS_CMD_CONT_ALLOC_OIDS] = do_cont_alloc_oids,
};

static void
sessions_trim(struct state *st)
{
	struct st_session *s;

	while ((s = list_first(&st->session_lru, struct st_session, link)) != NULL &&
	       (st->session_nr > ST_SESSION_MAX || s->last_ms + ST_SESSION_LIFE_MS < st->now_ms))
		state_session_free(st, s);
}

static bool
is_final(const Ms__Cmd *cmd, int rc)
{
	return cmd->kind != MS_CMD_POOL_BEGIN || (rc != 0 && rc != -DER_INPROGRESS);
}

static int
apply_once(struct ap *a)
{
	const Ms__Cmd *cmd = a->cmd;
	struct state *st = a->st;
	struct st_session *s;
	struct list *pos;
	int rc;

	if (cmd->client.len != 16 || cmd->seq == 0)
		return apply_fns[cmd->kind](a);
	s = state_session(st, cmd->client.data);
	if (s == NULL)
		s = must(state_session_new(st, cmd->client.data));
	list_del(&s->link);
	list_push_back(&st->session_lru, &s->link);
	s->last_ms = st->now_ms;
	list_for_each (pos, &s->results) {
		const struct st_result *r = list_entry(pos, struct st_result, link);

		if (r->seq != cmd->seq)
			continue;
		a->reply = must(mem_alloc(r->reply.len + 1));
		a->reply_len = r->reply.len;
		if (r->reply.len != 0)
			memcpy(a->reply, r->reply.data, r->reply.len);
		return r->rc;
	}
	if (cmd->seq < s->low_seq)
		return -DER_CANCELED; /* its sender said it was done with it */
	if (cmd->low_seq > s->low_seq && cmd->low_seq <= cmd->seq)
		s->low_seq = cmd->low_seq;
	rc = apply_fns[cmd->kind](a);
	if (is_final(cmd, rc))
		must0(state_session_add(s, cmd->seq, rc, a->reply, a->reply_len));
	return rc;
}

int
state_apply(struct state *st, const void *buf, size_t len, void **ret_reply, size_t *ret_len)
{
	Ms__Cmd *cmd = ms__cmd__unpack(NULL, len, buf);
	struct ap a = {.st = st, .cmd = cmd};
	int rc;

	if (cmd == NULL || cmd->kind >= sizeof(apply_fns) / sizeof(apply_fns[0]) ||
	    apply_fns[cmd->kind] == NULL) {
		log_crit("a committed command is not understood");
		if (cmd != NULL)
			ms__cmd__free_unpacked(cmd, NULL);
		return -DER_PROTO;
	}
	if (cmd->now_ms > st->now_ms)
		st->now_ms = cmd->now_ms;
	sessions_trim(st);
	if (!st->inited && cmd->kind != MS_CMD_INIT)
		rc = -DER_UNINIT;
	else
		rc = apply_once(&a);
	ms__cmd__free_unpacked(cmd, NULL);
	*ret_reply = a.reply;
	*ret_len = a.reply_len;
	return rc;
}
