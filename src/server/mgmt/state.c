/*
 * Records of the management service and how they are found. Pools and containers are in arrays
 * sorted by uuid (found by bisection, listed in order) and in tables of labels; handles and clients
 * in tables. Everything a record owns goes with it: a pool takes its containers and handles along.
 */
#include "server/mgmt/state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/hash.h"
#include "base/mem.h"

/* --- small things ---------------------------------------------------------------------------- */

uint32_t
uvec_pos(const struct uvec *v, const uuid_t uuid, bool *ret_found)
{
	uint32_t lo = 0;
	uint32_t hi = v->nr;

	*ret_found = false;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int c = memcmp(v->v[mid], uuid, sizeof(uuid_t));

		if (c == 0) {
			*ret_found = true;
			return mid;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void *
uvec_find(const struct uvec *v, const uuid_t uuid)
{
	bool found;
	uint32_t pos = uvec_pos(v, uuid, &found);

	return found ? v->v[pos] : NULL;
}

int
uvec_insert(struct uvec *v, void *item)
{
	bool found;
	uint32_t pos = uvec_pos(v, item, &found);

	assert(!found);
	if (v->nr == v->cap) {
		uint32_t cap = v->cap != 0 ? v->cap * 2 : 8;
		void **p = mem_realloc(v->v, cap, sizeof(*p));

		if (p == NULL)
			return -DER_NOMEM;
		v->v = p;
		v->cap = cap;
	}
	memmove(v->v + pos + 1, v->v + pos, (v->nr - pos) * sizeof(*v->v));
	v->v[pos] = item;
	v->nr++;
	return 0;
}

void
uvec_remove(struct uvec *v, const uuid_t uuid)
{
	bool found;
	uint32_t pos = uvec_pos(v, uuid, &found);

	if (!found)
		return;
	v->nr--;
	memmove(v->v + pos, v->v + pos + 1, (v->nr - pos) * sizeof(*v->v));
}

int
blob_set(struct blob *b, const void *data, size_t len)
{
	uint8_t *p = NULL;

	if (len != 0) {
		p = mem_dup(data, len);
		if (p == NULL)
			return -DER_NOMEM;
	}
	free(b->data);
	b->data = p;
	b->len = len;
	return 0;
}

void
blob_fini(struct blob *b)
{
	free(b->data);
	b->data = NULL;
	b->len = 0;
}

int
u32s_copy(uint32_t **dst, uint32_t *dst_nr, const uint32_t *src, size_t nr)
{
	uint32_t *p = NULL;

	if (nr != 0) {
		p = mem_dup(src, nr * sizeof(*src));
		if (p == NULL)
			return -DER_NOMEM;
	}
	free(*dst);
	*dst = p;
	*dst_nr = (uint32_t)nr;
	return 0;
}

bool
u32s_has(const uint32_t *v, uint32_t nr, uint32_t x)
{
	uint32_t i;

	for (i = 0; i < nr; i++)
		if (v[i] == x)
			return true;
	return false;
}

bool
u32s_remove(uint32_t *v, uint32_t *nr, uint32_t x)
{
	uint32_t i;

	for (i = 0; i < *nr; i++) {
		if (v[i] != x)
			continue;
		(*nr)--;
		memmove(v + i, v + i + 1, (*nr - i) * sizeof(*v));
		return true;
	}
	return false;
}

uint64_t
state_label_hash(const char *label)
{
	return hash_bytes(label, strlen(label), 1);
}

static uint64_t
uuid_hash(const uuid_t uuid)
{
	return hash_bytes(uuid, sizeof(uuid_t), 2);
}

/* --- handles --------------------------------------------------------------------------------- */

struct st_handle *
state_handle_new(const uuid_t uuid)
{
	struct st_handle *h = mem_new(struct st_handle);

	if (h == NULL)
		return NULL;
	uuid_copy(h->uuid, uuid);
	list_init(&h->link);
	list_init(&h->children);
	list_init(&h->child_link);
	return h;
}

/* pool, cont and up are set. */
void
state_handle_link(struct state *st, struct st_handle *h)
{
	htable_insert(&st->handles, &h->node, uuid_hash(h->uuid));
	if (h->cont != NULL) {
		list_push_back(&h->cont->handles, &h->link);
		h->cont->handle_nr++;
		if (h->up != NULL)
			list_push_back(&h->up->children, &h->child_link);
	} else {
		list_push_back(&h->pool->handles, &h->link);
		h->pool->handle_nr++;
	}
}

void
state_handle_free(struct state *st, struct st_handle *h)
{
	uint32_t i;

	while (!list_empty(&h->children)) {
		struct st_handle *child = list_first(&h->children, struct st_handle, child_link);

		list_del(&child->child_link);
		child->up = NULL;
	}
	if (!list_empty(&h->link)) {
		htable_remove(&st->handles, &h->node);
		list_del(&h->link);
		list_del(&h->child_link);
		if (h->cont != NULL)
			h->cont->handle_nr--;
		else
			h->pool->handle_nr--;
	}
	for (i = 0; i < h->group_nr; i++)
		free(h->groups[i]);
	free(h->groups);
	free(h->user);
	free(h->group);
	free(h->machine);
	free(h);
}

struct st_handle *
state_handle(const struct state *st, const uuid_t uuid)
{
	struct hnode *n;

	for (n = htable_first(&st->handles, uuid_hash(uuid)); n != NULL; n = htable_next(n)) {
		struct st_handle *h = container_of(n, struct st_handle, node);

		if (uuid_compare(h->uuid, uuid) == 0)
			return h;
	}
	return NULL;
}

/* --- containers ------------------------------------------------------------------------------ */

struct st_cont *
state_cont_new(struct st_pool *pool, const uuid_t uuid)
{
	struct st_cont *cont = mem_new(struct st_cont);

	if (cont == NULL)
		return NULL;
	uuid_copy(cont->uuid, uuid);
	cont->pool = pool;
	list_init(&cont->handles);
	return cont;
}

int
state_cont_link(struct st_cont *cont)
{
	return uvec_insert(&cont->pool->conts, cont);
}

void
state_cont_set_label(struct st_cont *cont, const char *label)
{
	if (cont->labeled)
		htable_remove(&cont->pool->cont_labels, &cont->label_node);
	cont->labeled = label[0] != '\0';
	assert(strlen(label) < sizeof(cont->label));
	memmove(cont->label, label, strlen(label) + 1);
	if (cont->labeled)
		htable_insert(&cont->pool->cont_labels, &cont->label_node,
			      state_label_hash(cont->label));
}

void
state_cont_free(struct state *st, struct st_cont *cont)
{
	while (!list_empty(&cont->handles))
		state_handle_free(st, list_first(&cont->handles, struct st_handle, link));
	if (cont->labeled)
		htable_remove(&cont->pool->cont_labels, &cont->label_node);
	uvec_remove(&cont->pool->conts, cont->uuid);
	blob_fini(&cont->props);
	blob_fini(&cont->attrs);
	free(cont);
}

struct st_cont *
state_cont(const struct st_pool *pool, const uuid_t uuid)
{
	return uvec_find(&pool->conts, uuid);
}

struct st_cont *
state_cont_by_label(const struct st_pool *pool, const char *label)
{
	struct hnode *n = htable_first(&pool->cont_labels, state_label_hash(label));

	for (; n != NULL; n = htable_next(n)) {
		struct st_cont *cont = container_of(n, struct st_cont, label_node);

		if (strcmp(cont->label, label) == 0)
			return cont;
	}
	return NULL;
}

struct st_cont *
state_cont_by_name(const struct st_pool *pool, const char *name)
{
	uuid_t uuid;

	if (name == NULL)
		return NULL;
	if (uuid_parse(name, uuid) == 0)
		return state_cont(pool, uuid);
	return state_cont_by_label(pool, name);
}

/* --- pools ----------------------------------------------------------------------------------- */

struct st_pool *
state_pool_new(const uuid_t uuid)
{
	struct st_pool *pool = mem_new(struct st_pool);

	if (pool == NULL)
		return NULL;
	uuid_copy(pool->uuid, uuid);
	htable_init(&pool->cont_labels);
	list_init(&pool->handles);
	return pool;
}

int
state_pool_link(struct state *st, struct st_pool *pool)
{
	return uvec_insert(&st->pools, pool);
}

void
state_pool_set_label(struct state *st, struct st_pool *pool, const char *label)
{
	if (pool->labeled)
		htable_remove(&st->pool_labels, &pool->label_node);
	pool->labeled = label[0] != '\0';
	assert(strlen(label) < sizeof(pool->label));
	if (pool->labeled) {
		memmove(pool->label, label, strlen(label) + 1);
		htable_insert(&st->pool_labels, &pool->label_node, state_label_hash(pool->label));
	}
}

void
state_pool_free(struct state *st, struct st_pool *pool)
{
	while (pool->conts.nr > 0)
		state_cont_free(st, pool->conts.v[pool->conts.nr - 1]);
	while (!list_empty(&pool->handles))
		state_handle_free(st, list_first(&pool->handles, struct st_handle, link));
	if (pool->labeled)
		htable_remove(&st->pool_labels, &pool->label_node);
	uvec_remove(&st->pools, pool->uuid);
	htable_fini(&pool->cont_labels);
	free(pool->conts.v);
	free(pool->targets);
	free(pool->ranks);
	free(pool->pending);
	blob_fini(&pool->props);
	blob_fini(&pool->attrs);
	free(pool);
}

struct st_pool *
state_pool(const struct state *st, const uuid_t uuid)
{
	return uvec_find(&st->pools, uuid);
}

struct st_pool *
state_pool_by_label(const struct state *st, const char *label)
{
	struct hnode *n = htable_first(&st->pool_labels, state_label_hash(label));

	for (; n != NULL; n = htable_next(n)) {
		struct st_pool *pool = container_of(n, struct st_pool, label_node);

		if (strcmp(pool->label, label) == 0)
			return pool;
	}
	return NULL;
}

struct st_pool *
state_pool_by_name(const struct state *st, const char *name)
{
	uuid_t uuid;

	if (name == NULL)
		return NULL;
	if (uuid_parse(name, uuid) == 0)
		return state_pool(st, uuid);
	return state_pool_by_label(st, name);
}

/* --- ranks ----------------------------------------------------------------------------------- */

void
state_rank_free(struct st_rank *rank)
{
	if (rank == NULL)
		return;
	free(rank->uri);
	free(rank->fault_domain);
	free(rank->control_addr);
	free(rank);
}

int
state_rank_add(struct state *st, struct st_rank *rank)
{
	struct st_rank **p = mem_realloc(st->ranks, st->rank_nr + 1, sizeof(*p));
	uint32_t pos = st->rank_nr;

	if (p == NULL)
		return -DER_NOMEM;
	st->ranks = p;
	while (pos > 0 && p[pos - 1]->rank > rank->rank) {
		p[pos] = p[pos - 1];
		pos--;
	}
	p[pos] = rank;
	st->rank_nr++;
	return 0;
}

struct st_rank *
state_rank(const struct state *st, uint32_t rank)
{
	uint32_t lo = 0;
	uint32_t hi = st->rank_nr;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (st->ranks[mid]->rank == rank)
			return st->ranks[mid];
		if (st->ranks[mid]->rank < rank)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

struct st_rank *
state_rank_by_uuid(const struct state *st, const uuid_t uuid)
{
	uint32_t i;

	for (i = 0; i < st->rank_nr; i++)
		if (uuid_compare(st->ranks[i]->uuid, uuid) == 0)
			return st->ranks[i];
	return NULL;
}

struct st_rank *
state_rank_by_raft_id(const struct state *st, uint64_t raft_id)
{
	uint32_t i;

	for (i = 0; i < st->rank_nr; i++)
		if (st->ranks[i]->raft_id == raft_id && raft_id != 0)
			return st->ranks[i];
	return NULL;
}

void
state_rank_used(const struct state *st, uint32_t rank, const struct st_pool *except,
		uint64_t *ret_scm, uint64_t *ret_nvme)
{
	uint32_t i;

	*ret_scm = 0;
	*ret_nvme = 0;
	for (i = 0; i < st->pools.nr; i++) {
		const struct st_pool *pool = st->pools.v[i];

		if (pool == except || !u32s_has(pool->ranks, pool->rank_nr, rank))
			continue;
		if (pool->state == POOL_ST_DESTROYING &&
		    !u32s_has(pool->pending, pool->pending_nr, rank))
			continue;
		*ret_scm += pool->scm_bytes;
		*ret_nvme += pool->nvme_bytes;
	}
}

/* --- destroyed containers -------------------------------------------------------------------- */

void
state_tomb_free(struct state *st, struct st_tomb *tomb)
{
	list_del(&tomb->link);
	st->tomb_nr--;
	free(tomb->pending);
	free(tomb);
}

/* --- clients --------------------------------------------------------------------------------- */

static uint64_t
client_hash(const uint8_t client[16])
{
	return hash_bytes(client, 16, 3);
}

struct st_session *
state_session(const struct state *st, const uint8_t client[16])
{
	struct hnode *n = htable_first(&st->sessions, client_hash(client));

	for (; n != NULL; n = htable_next(n)) {
		struct st_session *s = container_of(n, struct st_session, node);

		if (memcmp(s->client, client, 16) == 0)
			return s;
	}
	return NULL;
}

struct st_session *
state_session_new(struct state *st, const uint8_t client[16])
{
	struct st_session *s = mem_new(struct st_session);

	if (s == NULL)
		return NULL;
	memcpy(s->client, client, 16);
	list_init(&s->results);
	htable_insert(&st->sessions, &s->node, client_hash(client));
	list_push_back(&st->session_lru, &s->link);
	st->session_nr++;
	return s;
}

static void
result_free(struct st_session *s, struct st_result *r)
{
	list_del(&r->link);
	s->result_nr--;
	blob_fini(&r->reply);
	free(r);
}

void
state_session_free(struct state *st, struct st_session *s)
{
	while (!list_empty(&s->results))
		result_free(s, list_first(&s->results, struct st_result, link));
	htable_remove(&st->sessions, &s->node);
	list_del(&s->link);
	st->session_nr--;
	free(s);
}

/* Remember a result, in order of seq; those below low_seq are forgotten. */
int
state_session_add(struct st_session *s, uint64_t seq, int rc, const void *reply, size_t len)
{
	struct st_result *r;
	struct list *pos;

	while ((r = list_first(&s->results, struct st_result, link)) != NULL &&
	       (r->seq < s->low_seq || s->result_nr >= ST_RESULT_MAX)) {
		if (r->seq >= s->low_seq)
			s->low_seq = r->seq + 1;
		result_free(s, r);
	}
	r = mem_new(struct st_result);
	if (r == NULL)
		return -DER_NOMEM;
	r->seq = seq;
	r->rc = rc;
	if (blob_set(&r->reply, reply, len) != 0) {
		free(r);
		return -DER_NOMEM;
	}
	for (pos = s->results.prev; pos != &s->results; pos = pos->prev)
		if (list_entry(pos, struct st_result, link)->seq < seq)
			break;
	list_insert_between(&r->link, pos, pos->next);
	s->result_nr++;
	return 0;
}

/* --- whole ----------------------------------------------------------------------------------- */

int
state_create(struct state **ret_st)
{
	struct state *st = mem_new(struct state);

	if (st == NULL)
		return -DER_NOMEM;
	htable_init(&st->pool_labels);
	htable_init(&st->handles);
	htable_init(&st->sessions);
	list_init(&st->tombs);
	list_init(&st->session_lru);
	*ret_st = st;
	return 0;
}

void
state_destroy(struct state *st)
{
	uint32_t i;

	if (st == NULL)
		return;
	while (st->pools.nr > 0)
		state_pool_free(st, st->pools.v[st->pools.nr - 1]);
	while (!list_empty(&st->tombs))
		state_tomb_free(st, list_first(&st->tombs, struct st_tomb, link));
	while (!list_empty(&st->session_lru))
		state_session_free(st, list_first(&st->session_lru, struct st_session, link));
	for (i = 0; i < st->rank_nr; i++)
		state_rank_free(st->ranks[i]);
	free(st->ranks);
	free(st->pools.v);
	free(st->name);
	free(st->boot_uri);
	blob_fini(&st->attrs);
	htable_fini(&st->pool_labels);
	htable_fini(&st->handles);
	htable_fini(&st->sessions);
	free(st);
}
