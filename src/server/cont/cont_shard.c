/*
 * Containers and capabilities of one target.
 *
 * A capability's signature is checked once; after that its id (16 bytes of the signature, which
 * nobody can make up) finds an entry that points to the container, so the check of a request is one
 * hash lookup, a comparison of times and a test of a flag. Expired entries go when they are met;
 * when there are too many, the oldest goes: its client sends it again.
 *
 * A container exists in VOS only from the first update on. Its destruction must be final: a late
 * request with a capability that is still valid must not bring it back. So destroyed containers are
 * remembered here longer than any capability lives (after a restart the management service tells of
 * them again before the engine serves).
 */
#define LOG_FACILITY "cont"

#include "server/cont/cont_shard.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/hash.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/xs.h"

struct cap_ent {
	struct hnode node;
	struct list age;
	uint8_t id[16];
	uint64_t rights;
	uint64_t expires_ms;
	struct cont_shard *cont; /* referenced */
};

struct dead_ent {
	struct hnode node;
	struct list age;
	uuid_t pool;
	uuid_t cont;
	uint64_t forget_ms;
};

static uint64_t
cont_hash(const uuid_t pool, const uuid_t cont)
{
	uint64_t a, b;

	memcpy(&a, pool, sizeof(a));
	memcpy(&b, cont, sizeof(b));
	return hash_combine(a, b);
}

static uint64_t
cap_hash(const uint8_t id[16])
{
	uint64_t h;

	memcpy(&h, id, sizeof(h)); /* bytes of a signature: as good as random */
	return h;
}

void
cont_tab_init(struct cont_tab *tab, struct xs *xs, struct pool_tab *pools)
{
	*tab = (struct cont_tab){.xs = xs, .pools = pools};
	htable_init(&tab->conts);
	htable_init(&tab->caps);
	htable_init(&tab->dead);
	list_init(&tab->caps_by_age);
	list_init(&tab->dead_by_age);
}

/* --- destroyed containers --- */

static struct dead_ent *
dead_find(struct cont_tab *tab, const uuid_t pool, const uuid_t cont)
{
	struct hnode *n;

	for (n = htable_first(&tab->dead, cont_hash(pool, cont)); n != NULL; n = htable_next(n)) {
		struct dead_ent *d = container_of(n, struct dead_ent, node);

		if (uuid_compare(d->cont, cont) == 0 && uuid_compare(d->pool, pool) == 0)
			return d;
	}
	return NULL;
}

static void
dead_free(struct cont_tab *tab, struct dead_ent *d)
{
	htable_remove(&tab->dead, &d->node);
	list_del(&d->age);
	free(d);
}

static int
dead_add(struct cont_tab *tab, const uuid_t pool, const uuid_t cont, uint64_t now_ms)
{
	struct dead_ent *d;

	while ((d = list_first(&tab->dead_by_age, struct dead_ent, age)) != NULL &&
	       d->forget_ms < now_ms)
		dead_free(tab, d);
	d = dead_find(tab, pool, cont);
	if (d == NULL) {
		d = mem_new(struct dead_ent);
		if (d == NULL)
			return -DER_NOMEM;
		uuid_copy(d->pool, pool);
		uuid_copy(d->cont, cont);
		htable_insert(&tab->dead, &d->node, cont_hash(pool, cont));
	} else {
		list_del(&d->age);
	}
	d->forget_ms = now_ms + 2 * (uint64_t)CAP_LIFE_MS + CONT_CAP_GRACE_MS;
	list_push_back(&tab->dead_by_age, &d->age);
	return 0;
}

/* --- containers --- */

static struct cont_shard *
cont_find(struct cont_tab *tab, const uuid_t pool, const uuid_t cont)
{
	struct hnode *n;

	for (n = htable_first(&tab->conts, cont_hash(pool, cont)); n != NULL; n = htable_next(n)) {
		struct cont_shard *c = container_of(n, struct cont_shard, node);

		if (uuid_compare(c->uuid, cont) == 0 && uuid_compare(c->pool->uuid, pool) == 0)
			return c;
	}
	return NULL;
}

static void
cont_put(struct cont_shard *cont)
{
	if (--cont->refs > 0)
		return;
	if (cont->vos != NULL)
		vos_cont_close(cont->vos);
	pool_shard_put(cont->pool);
	free(cont);
}

static int
cont_get(struct cont_tab *tab, struct pool_shard *pool, const uuid_t uuid,
	 const struct vos_cont_conf *conf, struct cont_shard **ret_cont)
{
	struct cont_shard *cont = cont_find(tab, pool->uuid, uuid);

	if (cont == NULL) {
		cont = mem_new(struct cont_shard);
		if (cont == NULL)
			return -DER_NOMEM;
		cont->tab = tab;
		cont->pool = pool;
		pool_shard_ref(pool);
		uuid_copy(cont->uuid, uuid);
		cont->conf = *conf;
		cont->refs = 1;
		co_mutex_init(&cont->opening);
		htable_insert(&tab->conts, &cont->node, cont_hash(pool->uuid, uuid));
	}
	cont->refs++;
	*ret_cont = cont;
	return 0;
}

int co_fn
cont_vos(struct cont_shard *cont, bool create, struct vos_cont **ret_vos)
{
	struct vos_cont *vos = NULL;
	int rc = 0;

	if (cont->vos != NULL && !cont->dead) {
		*ret_vos = cont->vos;
		return 0;
	}
	co_mutex_lock(&cont->opening);
	if (cont->dead) {
		rc = -DER_NO_HDL;
	} else if (cont->vos == NULL) {
		rc = vos_cont_open(cont->pool->vos, cont->uuid, &vos);
		if (rc == -DER_NONEXIST && create) {
			rc = vos_cont_create_with(cont->pool->vos, cont->uuid, &cont->conf);
			if (rc == 0 || rc == -DER_EXIST)
				rc = vos_cont_open(cont->pool->vos, cont->uuid, &vos);
		} else if (rc == -DER_NONEXIST) {
			rc = 0;
			vos = NULL;
		}
		if (rc == 0)
			cont->vos = vos;
		if (rc == 0 && vos != NULL && vos_dtx_oldest(vos) != UINT64_MAX) {
			cont->intents = true;
			if (cont->tab->intents_found != NULL)
				cont->tab->intents_found(cont->tab->intents_arg);
		}
	}
	co_mutex_unlock(&cont->opening);
	if (rc == 0)
		*ret_vos = cont->vos;
	return rc;
}

/* --- capabilities --- */

static struct cap_ent *
cap_find(struct cont_tab *tab, const uint8_t id[16])
{
	struct hnode *n;

	for (n = htable_first(&tab->caps, cap_hash(id)); n != NULL; n = htable_next(n)) {
		struct cap_ent *e = container_of(n, struct cap_ent, node);

		if (memcmp(e->id, id, sizeof(e->id)) == 0)
			return e;
	}
	return NULL;
}

static void
cap_forget(struct cont_tab *tab, struct cap_ent *e)
{
	htable_remove(&tab->caps, &e->node);
	list_del(&e->age);
	tab->cap_nr--;
	cont_put(e->cont);
	free(e);
}

static void
caps_forget_all(struct cont_tab *tab)
{
	struct cap_ent *e;

	while ((e = list_first(&tab->caps_by_age, struct cap_ent, age)) != NULL)
		cap_forget(tab, e);
}

/* Those of one container, or (cont NULL) of one pool. */
static void
caps_forget(struct cont_tab *tab, const struct pool_shard *pool, const struct cont_shard *cont)
{
	struct list *l, *tmp;

	list_for_each_safe (l, tmp, &tab->caps_by_age) {
		struct cap_ent *e = list_entry(l, struct cap_ent, age);

		if (e->cont->pool == pool && (cont == NULL || e->cont == cont))
			cap_forget(tab, e);
	}
}

void
cont_tab_set_key(struct cont_tab *tab, const uint8_t key[CAP_KEY_BYTES])
{
	if (tab->has_key && memcmp(tab->key, key, CAP_KEY_BYTES) == 0)
		return;
	caps_forget_all(tab);
	memcpy(tab->key, key, CAP_KEY_BYTES);
	tab->has_key = true;
}

static bool
cap_expired(uint64_t expires_ms, uint64_t now_ms)
{
	return now_ms > expires_ms && now_ms - expires_ms > CONT_CAP_GRACE_MS;
}

/* A capability not seen before. */
static int
cap_learn(struct cont_tab *tab, const uint8_t *encoded, uint32_t len, uint64_t now_ms,
	  struct cap_ent **ret_ent)
{
	struct vos_cont_conf conf;
	struct pool_shard *pool;
	struct capability cap;
	struct cap_ent *e;
	int rc;

	if (!tab->has_key)
		return -DER_AGAIN;
	rc = cap_decode(encoded, len, tab->key, &cap);
	if (rc != 0)
		return rc;
	if (cap_expired(cap.expires_ms, now_ms) || dead_find(tab, cap.pool, cap.cont) != NULL)
		return -DER_NO_HDL;
	rc = pool_shard_enter(tab->pools, cap.pool, &pool);
	if (rc != 0)
		return rc;
	conf = (struct vos_cont_conf){
	    .csum_type = cap.csum_type,
	    .csum_chunk = cap.csum_chunk,
	    .csum_verify = cap.csum_verify,
	};
	e = mem_new(struct cap_ent);
	rc = e == NULL ? -DER_NOMEM : cont_get(tab, pool, cap.cont, &conf, &e->cont);
	pool_shard_leave(pool);
	if (rc != 0) {
		free(e);
		return rc;
	}
	e->cont->rank_level = cap.rank_level;
	e->cont->conf = conf; /* known of before without */
	cap_id(encoded, e->id);
	e->rights = cap.rights;
	e->expires_ms = cap.expires_ms;
	if (tab->cap_nr >= CONT_CAP_MAX)
		cap_forget(tab, list_first(&tab->caps_by_age, struct cap_ent, age));
	htable_insert(&tab->caps, &e->node, cap_hash(e->id));
	list_push_back(&tab->caps_by_age, &e->age);
	tab->cap_nr++;
	*ret_ent = e;
	return 0;
}

int
cont_enter(struct cont_tab *tab, const uint8_t id[16], const uint8_t *cap, uint32_t cap_len,
	   uint64_t rights, uint64_t now_ms, struct cont_shard **ret_cont)
{
	struct cap_ent *e = cap_find(tab, id);
	int rc;

	if (e == NULL) {
		uint8_t real_id[16];

		if (cap == NULL)
			return -DER_NO_HDL;
		if (cap_len != CAP_BYTES)
			return -DER_INVAL;
		cap_id(cap, real_id);
		e = cap_find(tab, real_id);
		if (e == NULL) {
			rc = cap_learn(tab, cap, cap_len, now_ms, &e);
			if (rc != 0)
				return rc;
		}
	}
	if (cap_expired(e->expires_ms, now_ms)) {
		cap_forget(tab, e);
		return -DER_NO_HDL;
	}
	if ((e->rights & rights) != rights)
		return -DER_NO_PERM;
	if (e->cont->dead)
		return -DER_NO_HDL;
	rc = pool_shard_reenter(e->cont->pool);
	if (rc != 0)
		return rc;
	e->cont->refs++;
	*ret_cont = e->cont;
	return 0;
}

int
cont_enter_known(struct cont_tab *tab, const uuid_t pool_uuid, const uuid_t uuid,
		 struct cont_shard **ret_cont)
{
	static const struct vos_cont_conf none;
	struct pool_shard *pool;
	struct cont_shard *cont;
	int rc;

	if (dead_find(tab, pool_uuid, uuid) != NULL)
		return -DER_NO_HDL;
	rc = pool_shard_enter(tab->pools, pool_uuid, &pool);
	if (rc != 0)
		return rc;
	rc = cont_get(tab, pool, uuid, &none, &cont);
	if (rc == 0 && cont->dead) {
		cont_put(cont);
		rc = -DER_NO_HDL;
	}
	if (rc != 0) {
		pool_shard_leave(pool);
		return rc;
	}
	*ret_cont = cont;
	return 0;
}

void
cont_leave(struct cont_shard *cont)
{
	struct pool_shard *pool = cont->pool;

	pool_shard_ref(pool);
	cont_put(cont);
	pool_shard_leave(pool);
	pool_shard_put(pool);
}

/* --- ends --- */

static void
cont_remove(struct cont_tab *tab, struct cont_shard *cont)
{
	htable_remove(&tab->conts, &cont->node);
	cont_put(cont);
}

int co_fn
cont_tab_destroy(struct cont_tab *tab, const uuid_t pool_uuid, const uuid_t uuid, uint64_t now_ms)
{
	struct cont_shard *cont;
	struct pool_shard *pool;
	int rc;

	rc = dead_add(tab, pool_uuid, uuid, now_ms);
	if (rc != 0)
		return rc;
	rc = pool_shard_enter(tab->pools, pool_uuid, &pool);
	if (rc == -DER_NO_HDL)
		return 0; /* the pool is not here: nothing is */
	if (rc != 0)
		return rc;
	cont = cont_find(tab, pool_uuid, uuid);
	if (cont != NULL) {
		cont->dead = true;
		cont->refs++;
		/* whoever is creating it right now comes first */
		co_mutex_lock(&cont->opening);
	}
	rc = vos_cont_destroy(pool->vos, uuid);
	if (rc == -DER_NONEXIST)
		rc = 0;
	if (cont != NULL) {
		co_mutex_unlock(&cont->opening);
		caps_forget(tab, pool, cont);
		if (cont_find(tab, pool_uuid, uuid) == cont) {
			htable_remove(&tab->conts, &cont->node);
			cont->refs--; /* the table's; ours is still there */
		}
		cont_put(cont);
	}
	pool_shard_leave(pool);
	return rc;
}

struct drop {
	struct cont_tab *tab;
	struct pool_shard *pool;
};

static int
drop_one(struct hnode *n, void *arg)
{
	struct cont_shard *cont = container_of(n, struct cont_shard, node);
	struct drop *d = arg;

	if (cont->pool == d->pool) {
		assert(cont->refs == 1);
		cont_remove(d->tab, cont);
	}
	return 0;
}

void
cont_tab_drop_pool(struct cont_tab *tab, struct pool_shard *pool)
{
	struct drop d = {.tab = tab, .pool = pool};

	caps_forget(tab, pool, NULL);
	htable_walk(&tab->conts, drop_one, &d);
}

/* A container that has something to be done for in the background. */
struct find_work {
	uint32_t round;
	bool intents; /* else: dirty */
	struct cont_shard *found;
};

static int
find_work(struct hnode *n, void *arg)
{
	struct cont_shard *cont = container_of(n, struct cont_shard, node);
	struct find_work *find = arg;
	uint32_t *round = find->intents ? &cont->ask_round : &cont->agg_round;

	if (!(find->intents ? cont->intents : cont->dirty) || *round == find->round || cont->dead ||
	    cont->vos == NULL)
		return 0;
	*round = find->round;
	if (pool_shard_reenter(cont->pool) != 0)
		return 0;
	cont->refs++;
	find->found = cont;
	return 1;
}

struct cont_shard *
cont_tab_next_dirty(struct cont_tab *tab, uint32_t round)
{
	struct find_work find = {.round = round};

	htable_walk(&tab->conts, find_work, &find);
	return find.found;
}

struct cont_shard *
cont_tab_next_intents(struct cont_tab *tab, uint32_t round)
{
	struct find_work find = {.round = round, .intents = true};

	htable_walk(&tab->conts, find_work, &find);
	return find.found;
}

/* --- what was left to aggregate when a pool was opened --- */

struct survey {
	uuid_t *uuids;
	uint32_t nr, cap;
};

static int
survey_cb(const uuid_t uuid, void *arg)
{
	struct survey *s = arg;

	if (s->nr == s->cap) {
		uint32_t cap = s->cap == 0 ? 64 : s->cap * 2;
		uuid_t *p = mem_realloc(s->uuids, cap, sizeof(*p));

		if (p == NULL)
			return -DER_NOMEM;
		s->uuids = p;
		s->cap = cap;
	}
	uuid_copy(s->uuids[s->nr++], uuid);
	return 0;
}

static int co_fn
survey_one(struct cont_tab *tab, struct pool_shard *pool, const uuid_t uuid)
{
	struct vos_cont_conf conf;
	struct cont_shard *cont;
	struct vos_cont *vos;
	bool settled;
	int rc;

	rc = vos_cont_open(pool->vos, uuid, &vos);
	if (rc != 0)
		return rc == -DER_NONEXIST ? 0 : rc;
	settled = vos_cont_settled(vos);
	vos_cont_conf_get(vos, &conf);
	vos_cont_close(vos);
	if (settled || dead_find(tab, pool->uuid, uuid) != NULL)
		return 0;
	rc = cont_get(tab, pool, uuid, &conf, &cont);
	if (rc != 0)
		return rc;
	rc = cont_vos(cont, false, &vos);
	if (rc == 0 && vos != NULL) {
		cont->dirty = true;
		cont->written_ns = xs_now_ns(tab->xs); /* not known: perhaps lately */
	}
	cont_put(cont);
	return rc == -DER_NO_HDL ? 0 : rc;
}

int co_fn
cont_tab_survey(struct cont_tab *tab, struct pool_shard *pool)
{
	struct survey s = {0};
	uint32_t i;
	int rc;

	rc = vos_cont_list(pool->vos, survey_cb, &s);
	for (i = 0; rc == 0 && i < s.nr; i++)
		rc = survey_one(tab, pool, s.uuids[i]);
	free(s.uuids);
	return rc;
}

void
cont_tab_fini(struct cont_tab *tab)
{
	struct dead_ent *d;

	caps_forget_all(tab);
	while ((d = list_first(&tab->dead_by_age, struct dead_ent, age)) != NULL)
		dead_free(tab, d);
	assert(htable_nr(&tab->conts) == 0 && tab->cap_nr == 0);
	htable_fini(&tab->conts);
	htable_fini(&tab->caps);
	htable_fini(&tab->dead);
}
