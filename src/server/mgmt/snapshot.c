/*
 * The whole state as bytes (snapshot_format.h) and back. The order of records is that of uuids,
 * ranks or lists that commands maintain, never that of a table, so equal states give equal bytes.
 */
#define LOG_FACILITY "mgmt"

#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/cleanup.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/mgmt/mscmd.pb-c.h"
#include "server/mgmt/snapshot_format.h"
#include "server/mgmt/state.h"

/* --- writing --------------------------------------------------------------------------------- */

static void
put(struct codec_wr *wr, enum snap_kind kind, const ProtobufCMessage *msg)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	uint8_t *p;

	codec_wr_u8(wr, kind);
	codec_wr_varint(wr, len);
	p = codec_wr_ref(wr, len);
	if (p != NULL)
		protobuf_c_message_pack(msg, p);
}

static void
set_bytes(ProtobufCBinaryData *b, const void *data, size_t len)
{
	b->data = (uint8_t *)data;
	b->len = len;
}

static void
set_blob(ProtobufCBinaryData *b, const struct blob *blob)
{
	set_bytes(b, blob->data, blob->len);
}

static void
put_system(struct codec_wr *wr, const struct state *st)
{
	Ms__SnapSystem m = MS__SNAP_SYSTEM__INIT;

	m.version = SNAP_VERSION;
	if (st->inited) {
		set_bytes(&m.uuid, st->uuid, sizeof(uuid_t));
		set_bytes(&m.cap_key, st->cap_key, sizeof(st->cap_key));
		m.name = st->name;
		m.boot_uri = st->boot_uri;
	}
	m.sys_version = st->sys_version;
	m.raft_id_next = st->raft_id_next;
	m.boot_raft_id = st->boot_raft_id;
	m.now_ms = st->now_ms;
	set_blob(&m.attrs, &st->attrs);
	put(wr, SNAP_SYSTEM, &m.base);
}

static void
put_rank(struct codec_wr *wr, const struct st_rank *rank)
{
	Ms__SnapRank m = MS__SNAP_RANK__INIT;
	Mgmt__Rank info = MGMT__RANK__INIT;
	size_t len;

	info.rank = rank->rank;
	set_bytes(&info.uuid, rank->uuid, sizeof(uuid_t));
	info.uri = rank->uri;
	info.target_nr = rank->target_nr;
	info.fault_domain = rank->fault_domain;
	info.state = rank->state;
	info.incarnation = rank->incarnation;
	info.control_addr = rank->control_addr;
	info.scm_total = rank->scm_total;
	info.nvme_total = rank->nvme_total;
	len = mgmt__rank__get_packed_size(&info);
	m.info.data = mem_alloc(len + 1);
	if (m.info.data == NULL) {
		wr->err = -DER_NOMEM;
		return;
	}
	m.info.len = mgmt__rank__pack(&info, m.info.data);
	m.raft_id = rank->raft_id;
	put(wr, SNAP_RANK, &m.base);
	free(m.info.data);
}

static void
put_pool(struct codec_wr *wr, const struct st_pool *pool)
{
	Ms__SnapPool m = MS__SNAP_POOL__INIT;
	Ms__SnapTarget *t = mem_calloc(pool->target_nr + 1, sizeof(*t));
	Ms__SnapTarget **tp = mem_calloc(pool->target_nr + 1, sizeof(*tp));
	uint32_t i;

	if (t == NULL || tp == NULL) {
		wr->err = -DER_NOMEM;
		goto out;
	}
	for (i = 0; i < pool->target_nr; i++) {
		ms__snap_target__init(&t[i]);
		t[i].id = pool->targets[i].id;
		t[i].rank = pool->targets[i].rank;
		t[i].index = pool->targets[i].index;
		t[i].state = pool->targets[i].state;
		t[i].fseq = pool->targets[i].fseq;
		t[i].in_ver = pool->targets[i].in_ver;
		tp[i] = &t[i];
	}
	set_bytes(&m.uuid, pool->uuid, sizeof(uuid_t));
	m.label = (char *)pool->label;
	m.state = pool->state;
	m.scm_bytes = pool->scm_bytes;
	m.nvme_bytes = pool->nvme_bytes;
	m.map_version = pool->map_version;
	m.changed_at = pool->changed_at;
	m.n_targets = pool->target_nr;
	m.targets = tp;
	m.n_ranks = pool->rank_nr;
	m.ranks = pool->ranks;
	m.n_pending = pool->pending_nr;
	m.pending = pool->pending;
	set_blob(&m.props, &pool->props);
	set_blob(&m.attrs, &pool->attrs);
	set_bytes(&m.create_client, pool->create_client, sizeof(uuid_t));
	m.create_seq = pool->create_seq;
	m.target_id_next = pool->target_id_next;
	put(wr, SNAP_POOL, &m.base);
out:
	free(t);
	free(tp);
}

static void
put_cont(struct codec_wr *wr, const struct st_cont *cont)
{
	Ms__SnapCont m = MS__SNAP_CONT__INIT;

	set_bytes(&m.pool, cont->pool->uuid, sizeof(uuid_t));
	set_bytes(&m.uuid, cont->uuid, sizeof(uuid_t));
	m.label = (char *)cont->label;
	set_blob(&m.props, &cont->props);
	set_blob(&m.attrs, &cont->attrs);
	m.oid_next = cont->oid_next;
	m.generation = cont->generation;
	m.open_hlc = cont->open_hlc;
	m.modify_hlc = cont->modify_hlc;
	put(wr, SNAP_CONT, &m.base);
}

static void
put_handle(struct codec_wr *wr, const struct st_handle *h)
{
	Ms__SnapHandle m = MS__SNAP_HANDLE__INIT;

	set_bytes(&m.uuid, h->uuid, sizeof(uuid_t));
	set_bytes(&m.pool, h->pool->uuid, sizeof(uuid_t));
	if (h->cont != NULL)
		set_bytes(&m.cont, h->cont->uuid, sizeof(uuid_t));
	if (h->up != NULL)
		set_bytes(&m.pool_handle, h->up->uuid, sizeof(uuid_t));
	m.flags = h->flags;
	m.rights = h->rights;
	m.opened_ms = h->opened_ms;
	if (h->user != NULL) {
		m.user = h->user;
		m.group = h->group;
		m.machine = h->machine;
	}
	m.n_groups = h->group_nr;
	m.groups = h->groups;
	put(wr, SNAP_HANDLE, &m.base);
}

static void
put_handles(struct codec_wr *wr, const struct list *handles)
{
	struct list *pos;

	list_for_each (pos, handles)
		put_handle(wr, list_entry(pos, struct st_handle, link));
}

static void
put_tomb(struct codec_wr *wr, const struct st_tomb *tomb)
{
	Ms__SnapTomb m = MS__SNAP_TOMB__INIT;

	set_bytes(&m.pool, tomb->pool, sizeof(uuid_t));
	set_bytes(&m.cont, tomb->cont, sizeof(uuid_t));
	m.died_ms = tomb->died_ms;
	m.changed_at = tomb->changed_at;
	m.n_pending = tomb->pending_nr;
	m.pending = tomb->pending;
	put(wr, SNAP_TOMB, &m.base);
}

static void
put_session(struct codec_wr *wr, const struct st_session *s)
{
	Ms__SnapSession m = MS__SNAP_SESSION__INIT;
	Ms__SnapResult *r = mem_calloc(s->result_nr + 1, sizeof(*r));
	Ms__SnapResult **rp = mem_calloc(s->result_nr + 1, sizeof(*rp));
	struct list *pos;
	size_t n = 0;

	if (r == NULL || rp == NULL) {
		wr->err = -DER_NOMEM;
		goto out;
	}
	list_for_each (pos, &s->results) {
		const struct st_result *res = list_entry(pos, struct st_result, link);

		ms__snap_result__init(&r[n]);
		r[n].seq = res->seq;
		r[n].rc = res->rc;
		set_blob(&r[n].reply, &res->reply);
		rp[n] = &r[n];
		n++;
	}
	set_bytes(&m.client, s->client, 16);
	m.low_seq = s->low_seq;
	m.last_ms = s->last_ms;
	m.n_results = n;
	m.results = rp;
	put(wr, SNAP_SESSION, &m.base);
out:
	free(r);
	free(rp);
}

int
state_snapshot(const struct state *st, void **ret_buf, size_t *ret_len)
{
	struct codec_wr wr;
	struct list *pos;
	uint32_t i;
	uint32_t k;
	int rc;

	codec_wr_init(&wr, 0);
	put_system(&wr, st);
	for (i = 0; i < st->rank_nr; i++)
		put_rank(&wr, st->ranks[i]);
	for (i = 0; i < st->pools.nr; i++) {
		const struct st_pool *pool = st->pools.v[i];

		put_pool(&wr, pool);
		put_handles(&wr, &pool->handles);
		for (k = 0; k < pool->conts.nr; k++) {
			const struct st_cont *cont = pool->conts.v[k];

			put_cont(&wr, cont);
			put_handles(&wr, &cont->handles);
		}
	}
	list_for_each (pos, &st->tombs)
		put_tomb(&wr, list_entry(pos, struct st_tomb, link));
	list_for_each (pos, &st->session_lru)
		put_session(&wr, list_entry(pos, struct st_session, link));
	codec_wr_u8(&wr, SNAP_END);
	rc = codec_wr_err(&wr);
	if (rc == 0)
		*ret_buf = codec_wr_take(&wr, ret_len);
	codec_wr_fini(&wr);
	return rc;
}

/* --- reading --------------------------------------------------------------------------------- */

static bool
get_uuid(const ProtobufCBinaryData *b, uuid_t ret_uuid)
{
	if (b->len != sizeof(uuid_t))
		return false;
	memcpy(ret_uuid, b->data, sizeof(uuid_t));
	return true;
}

static int
get_system(struct state *st, const Ms__SnapSystem *m)
{
	if (m->version != SNAP_VERSION)
		return -DER_DF_INCOMPT;
	st->sys_version = m->sys_version;
	st->raft_id_next = m->raft_id_next;
	st->boot_raft_id = m->boot_raft_id;
	st->now_ms = m->now_ms;
	if (get_uuid(&m->uuid, st->uuid)) {
		if (m->cap_key.len != CAP_KEY_BYTES)
			return -DER_PROTO;
		memcpy(st->cap_key, m->cap_key.data, CAP_KEY_BYTES);
		st->name = mem_strdup(m->name);
		st->boot_uri = mem_strdup(m->boot_uri);
		if (st->name == NULL || st->boot_uri == NULL)
			return -DER_NOMEM;
		st->inited = true;
	}
	return blob_set(&st->attrs, m->attrs.data, m->attrs.len);
}

static int
get_rank(struct state *st, const Ms__SnapRank *m)
{
	Mgmt__Rank *info = mgmt__rank__unpack(NULL, m->info.len, m->info.data);
	struct st_rank *rank = mem_new(struct st_rank);
	int rc = -DER_PROTO;

	if (info == NULL || rank == NULL || !get_uuid(&info->uuid, rank->uuid))
		goto out;
	rank->rank = info->rank;
	rank->target_nr = info->target_nr;
	rank->state = info->state;
	rank->incarnation = info->incarnation;
	rank->scm_total = info->scm_total;
	rank->nvme_total = info->nvme_total;
	rank->raft_id = m->raft_id;
	rank->uri = mem_strdup(info->uri);
	rank->fault_domain = mem_strdup(info->fault_domain);
	rank->control_addr = mem_strdup(info->control_addr);
	rc = -DER_NOMEM;
	if (rank->uri == NULL || rank->fault_domain == NULL || rank->control_addr == NULL)
		goto out;
	rc = state_rank_add(st, rank);
	if (rc == 0)
		rank = NULL;
out:
	if (info != NULL)
		mgmt__rank__free_unpacked(info, NULL);
	state_rank_free(rank);
	return rc;
}

static int
get_pool(struct state *st, const Ms__SnapPool *m)
{
	struct st_pool *pool;
	uuid_t uuid;
	size_t i;
	int rc;

	if (!get_uuid(&m->uuid, uuid) || strlen(m->label) >= sizeof(pool->label) ||
	    state_pool(st, uuid) != NULL)
		return -DER_PROTO;
	pool = state_pool_new(uuid);
	if (pool == NULL)
		return -DER_NOMEM;
	rc = state_pool_link(st, pool);
	if (rc != 0) {
		state_pool_free(st, pool);
		return rc;
	}
	pool->state = m->state;
	pool->scm_bytes = m->scm_bytes;
	pool->nvme_bytes = m->nvme_bytes;
	pool->map_version = m->map_version;
	pool->changed_at = m->changed_at;
	pool->create_seq = m->create_seq;
	pool->target_id_next = m->target_id_next;
	if (!get_uuid(&m->create_client, pool->create_client))
		return -DER_PROTO;
	pool->targets = mem_calloc(m->n_targets + 1, sizeof(*pool->targets));
	if (pool->targets == NULL)
		return -DER_NOMEM;
	for (i = 0; i < m->n_targets; i++)
		pool->targets[pool->target_nr++] = (struct st_target){
		    .id = m->targets[i]->id,
		    .rank = m->targets[i]->rank,
		    .index = m->targets[i]->index,
		    .state = m->targets[i]->state,
		    .fseq = m->targets[i]->fseq,
		    .in_ver = m->targets[i]->in_ver,
		};
	if (m->state == POOL_ST_DESTROYING)
		strcpy(pool->label, m->label);
	else
		state_pool_set_label(st, pool, m->label);
	rc = u32s_copy(&pool->ranks, &pool->rank_nr, m->ranks, m->n_ranks);
	if (rc == 0)
		rc = u32s_copy(&pool->pending, &pool->pending_nr, m->pending, m->n_pending);
	if (rc == 0)
		rc = blob_set(&pool->props, m->props.data, m->props.len);
	if (rc == 0)
		rc = blob_set(&pool->attrs, m->attrs.data, m->attrs.len);
	return rc;
}

static int
get_cont(struct state *st, const Ms__SnapCont *m)
{
	struct st_pool *pool;
	struct st_cont *cont;
	uuid_t uuid;
	int rc;

	if (!get_uuid(&m->pool, uuid) || (pool = state_pool(st, uuid)) == NULL)
		return -DER_PROTO;
	if (!get_uuid(&m->uuid, uuid) || strlen(m->label) >= sizeof(cont->label) ||
	    state_cont(pool, uuid) != NULL)
		return -DER_PROTO;
	cont = state_cont_new(pool, uuid);
	if (cont == NULL)
		return -DER_NOMEM;
	rc = state_cont_link(cont);
	if (rc != 0) {
		state_cont_free(st, cont);
		return rc;
	}
	state_cont_set_label(cont, m->label);
	cont->oid_next = m->oid_next;
	cont->generation = m->generation;
	cont->open_hlc = m->open_hlc;
	cont->modify_hlc = m->modify_hlc;
	rc = blob_set(&cont->props, m->props.data, m->props.len);
	if (rc == 0)
		rc = blob_set(&cont->attrs, m->attrs.data, m->attrs.len);
	return rc;
}

static int
get_handle(struct state *st, const Ms__SnapHandle *m)
{
	struct st_handle *h;
	uuid_t uuid;
	uuid_t up;
	size_t i;

	if (!get_uuid(&m->uuid, uuid) || state_handle(st, uuid) != NULL)
		return -DER_PROTO;
	h = state_handle_new(uuid);
	if (h == NULL)
		return -DER_NOMEM;
	if (!get_uuid(&m->pool, uuid) || (h->pool = state_pool(st, uuid)) == NULL)
		goto bad;
	if (get_uuid(&m->cont, uuid) && (h->cont = state_cont(h->pool, uuid)) == NULL)
		goto bad;
	if (get_uuid(&m->pool_handle, up))
		h->up = state_handle(st, up);
	h->flags = m->flags;
	h->rights = m->rights;
	h->opened_ms = m->opened_ms;
	state_handle_link(st, h);
	if (h->cont != NULL || m->user[0] == '\0')
		return 0;
	h->user = mem_strdup(m->user);
	h->group = mem_strdup(m->group);
	h->machine = mem_strdup(m->machine);
	if (m->n_groups > 0) {
		h->groups = mem_calloc(m->n_groups, sizeof(*h->groups));
		for (i = 0; h->groups != NULL && i < m->n_groups; i++) {
			h->groups[i] = mem_strdup(m->groups[i]);
			if (h->groups[i] == NULL)
				return -DER_NOMEM;
			h->group_nr++;
		}
	}
	if (h->user == NULL || h->group == NULL || h->machine == NULL || h->group_nr != m->n_groups)
		return -DER_NOMEM;
	return 0;
bad:
	state_handle_free(st, h);
	return -DER_PROTO;
}

static int
get_tomb(struct state *st, const Ms__SnapTomb *m)
{
	struct st_tomb *tomb = mem_new(struct st_tomb);

	if (tomb == NULL)
		return -DER_NOMEM;
	list_push_back(&st->tombs, &tomb->link);
	st->tomb_nr++;
	if (!get_uuid(&m->pool, tomb->pool) || !get_uuid(&m->cont, tomb->cont))
		return -DER_PROTO;
	tomb->died_ms = m->died_ms;
	tomb->changed_at = m->changed_at;
	return u32s_copy(&tomb->pending, &tomb->pending_nr, m->pending, m->n_pending);
}

static int
get_session(struct state *st, const Ms__SnapSession *m)
{
	struct st_session *s;
	size_t i;

	if (m->client.len != 16 || state_session(st, m->client.data) != NULL)
		return -DER_PROTO;
	s = state_session_new(st, m->client.data);
	if (s == NULL)
		return -DER_NOMEM;
	s->low_seq = 0; /* so that nothing is forgotten while adding */
	s->last_ms = m->last_ms;
	for (i = 0; i < m->n_results; i++) {
		const Ms__SnapResult *r = m->results[i];
		int rc = state_session_add(s, r->seq, r->rc, r->reply.data, r->reply.len);

		if (rc != 0)
			return rc;
	}
	s->low_seq = m->low_seq;
	return 0;
}

typedef int (*get_fn)(struct state *st, const void *msg);
static const struct {
	const ProtobufCMessageDescriptor *desc;
	get_fn fn;
} readers[] = {
    [SNAP_SYSTEM] = {&ms__snap_system__descriptor, (get_fn)get_system},
    [SNAP_RANK] = {&ms__snap_rank__descriptor, (get_fn)get_rank},
    [SNAP_POOL] = {&ms__snap_pool__descriptor, (get_fn)get_pool},
    [SNAP_CONT] = {&ms__snap_cont__descriptor, (get_fn)get_cont},
    [SNAP_HANDLE] = {&ms__snap_handle__descriptor, (get_fn)get_handle},
    [SNAP_TOMB] = {&ms__snap_tomb__descriptor, (get_fn)get_tomb},
    [SNAP_SESSION] = {&ms__snap_session__descriptor, (get_fn)get_session},
};

int
state_restore(const void *buf, size_t len, struct state **ret_st)
{
	struct state *st;
	struct codec_rd rd;
	bool ended = false;
	int rc;

	rc = state_create(&st);
	if (rc != 0)
		return rc;
	codec_rd_init(&rd, buf, len);
	while (rc == 0 && !ended) {
		uint8_t kind = codec_rd_u8(&rd);
		ProtobufCMessage *msg;
		const void *p;
		size_t n;

		if (kind == SNAP_END && rd.err == 0) {
			ended = true;
			break;
		}
		p = codec_rd_blob(&rd, SNAP_RECORD_MAX, &n);
		if (rd.err != 0 || kind >= sizeof(readers) / sizeof(readers[0]) ||
		    readers[kind].fn == NULL) {
			rc = -DER_PROTO;
			break;
		}
		msg = protobuf_c_message_unpack(readers[kind].desc, NULL, n, p);
		if (msg == NULL) {
			rc = -DER_PROTO;
			break;
		}
		rc = readers[kind].fn(st, msg);
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	if (rc == 0)
		rc = codec_rd_end(&rd);
	if (rc != 0) {
		state_destroy(st);
		return rc;
	}
	*ret_st = st;
	return 0;
}
