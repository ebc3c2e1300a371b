/*
 * The table of pool shards of one target.
 *
 * A shard is in the table from the moment its opening or creation begins, so that requests that
 * come early can be told to try again instead of being refused. Operations count themselves in and
 * out (user_nr); closing marks the shard, waits for the count to reach zero and only then closes
 * VOS. The memory of a shard lives as long as somebody has a reference, so a stale pointer in a
 * cache finds the state CLOSING, never freed memory.
 */
#define LOG_FACILITY "pool"

#include "server/pool/pool_shard.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>
#include <daos_prop.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/xs.h"

enum { SHARD_NAME_LEN = 36 + 1 + 10 + 1 };

static uint64_t
uuid_hash(const uuid_t uuid)
{
	uint64_t h;

	memcpy(&h, uuid, sizeof(h));
	return h;
}

static void
shard_name(const struct pool_tab *tab, const uuid_t uuid, char name[SHARD_NAME_LEN])
{
	char text[37];

	uuid_unparse_lower(uuid, text);
	snprintf(name, SHARD_NAME_LEN, "%s.%u", text, tab->target_idx);
}

void
pool_tab_init(struct pool_tab *tab, struct xs *xs, struct dev_dir *dir, uint32_t target_idx)
{
	tab->xs = xs;
	tab->dir = dir;
	tab->target_idx = target_idx;
	htable_init(&tab->shards);
}

void
pool_tab_fini(struct pool_tab *tab)
{
	assert(htable_nr(&tab->shards) == 0);
	htable_fini(&tab->shards);
}

struct pool_shard *
pool_shard_find(struct pool_tab *tab, const uuid_t uuid)
{
	struct hnode *n;

	for (n = htable_first(&tab->shards, uuid_hash(uuid)); n != NULL; n = htable_next(n)) {
		struct pool_shard *shard = container_of(n, struct pool_shard, node);

		if (uuid_compare(shard->uuid, uuid) == 0)
			return shard;
	}
	return NULL;
}

void
pool_shard_ref(struct pool_shard *shard)
{
	shard->refs++;
}

void
pool_shard_put(struct pool_shard *shard)
{
	if (shard == NULL || --shard->refs > 0)
		return;
	assert(shard->user_nr == 0 && shard->vos == NULL);
	pool_map_put(shard->map);
	free(shard);
}

static int
shard_add(struct pool_tab *tab, const uuid_t uuid, struct pool_shard **ret_shard)
{
	struct pool_shard *shard;

	if (pool_shard_find(tab, uuid) != NULL)
		return -DER_EXIST;
	shard = mem_new(struct pool_shard);
	if (shard == NULL)
		return -DER_NOMEM;
	shard->tab = tab;
	uuid_copy(shard->uuid, uuid);
	shard->state = POOL_SHARD_OPENING;
	shard->settings.reclaim = DAOS_RECLAIM_LAZY;
	shard->refs = 1;
	co_waitq_init(&shard->idle);
	htable_insert(&tab->shards, &shard->node, uuid_hash(uuid));
	*ret_shard = shard;
	return 0;
}

static void
shard_remove(struct pool_shard *shard)
{
	htable_remove(&shard->tab->shards, &shard->node);
	pool_shard_put(shard);
}

static void
settings_apply(struct pool_shard *shard)
{
	const struct pool_settings *s = &shard->settings;

	if (s->version != 0 && shard->vos != NULL)
		vos_pool_set_data_thresh(shard->vos,
					 s->data_thresh != 0 ? s->data_thresh : VOS_THRESH_SCM);
}

void
pool_tab_set_settings(struct pool_tab *tab, const uuid_t uuid, const struct pool_settings *settings)
{
	struct pool_shard *shard = pool_shard_find(tab, uuid);

	if (shard == NULL || settings->version <= shard->settings.version)
		return;
	shard->settings = *settings;
	settings_apply(shard);
}

static int co_fn
shard_vos_open(struct pool_shard *shard, const struct pool_shard_conf *conf)
{
	char name[SHARD_NAME_LEN];
	struct vos_pool_conf vc = {
	    .name = name,
	    .data_thresh = conf->data_thresh,
	    .cache_bytes = conf->cache_bytes,
	    .ts_floor = conf->read_floor,
	};
	int rc;

	shard_name(shard->tab, shard->uuid, name);
	uuid_copy(vc.pool_uuid, shard->uuid);
	rc = vos_pool_open(shard->tab->dir, shard->tab->xs, &vc, &shard->vos);
	if (rc != 0)
		shard->vos = NULL;
	else
		settings_apply(shard); /* they may have come meanwhile */
	return rc;
}

int co_fn
pool_shard_create(struct pool_tab *tab, const uuid_t uuid, const struct pool_shard_conf *conf)
{
	char name[SHARD_NAME_LEN];
	struct vos_pool_conf vc = {
	    .name = name,
	    .scm_bytes = conf->scm_bytes,
	    .nvme_bytes = conf->nvme_bytes,
	    .data_thresh = conf->data_thresh,
	};
	struct pool_shard *shard;
	int rc;

	rc = shard_add(tab, uuid, &shard);
	if (rc != 0)
		return rc;
	shard_name(tab, uuid, name);
	uuid_copy(vc.pool_uuid, uuid);
	rc = vos_pool_create(tab->dir, tab->xs, &vc);
	if (rc == -DER_EXIST) {
		/* left over from a creation that a crash interrupted: nothing ever referred to it
		 */
		rc = pool_shard_unlink(tab, uuid);
		if (rc == 0)
			rc = vos_pool_create(tab->dir, tab->xs, &vc);
	}
	if (rc == 0) {
		rc = shard_vos_open(shard, conf);
		if (rc != 0)
			pool_shard_unlink(tab, uuid);
	}
	if (rc != 0) {
		shard_remove(shard);
		return rc;
	}
	shard->state = POOL_SHARD_OPEN;
	return 0;
}

int co_fn
pool_shard_open(struct pool_tab *tab, const uuid_t uuid, const struct pool_shard_conf *conf)
{
	struct pool_shard *shard;
	int rc;

	rc = shard_add(tab, uuid, &shard);
	if (rc != 0)
		return rc;
	rc = shard_vos_open(shard, conf);
	if (rc != 0) {
		char text[37];

		uuid_unparse_lower(uuid, text);
		log_err("pool %s: shard of target %u cannot be opened: " ERR_F, text,
			tab->target_idx, ERR_P(rc));
		shard->state = POOL_SHARD_FAILED;
		shard->open_rc = rc;
		return rc;
	}
	shard->state = POOL_SHARD_OPEN;
	return 0;
}

int co_fn
pool_shard_close(struct pool_tab *tab, const uuid_t uuid,
		 void (*before_close)(struct pool_shard *, void *), void *arg)
{
	struct pool_shard *shard = pool_shard_find(tab, uuid);

	if (shard == NULL)
		return -DER_NONEXIST;
	if (shard->state == POOL_SHARD_OPENING || shard->state == POOL_SHARD_CLOSING)
		return -DER_BUSY;
	shard->state = POOL_SHARD_CLOSING;
	while (shard->user_nr > 0)
		co_waitq_wait(&shard->idle, 0);
	if (shard->vos != NULL) {
		before_close(shard, arg);
		vos_pool_close(shard->vos);
		shard->vos = NULL;
	}
	shard_remove(shard);
	return 0;
}

int co_fn
pool_shard_unlink(struct pool_tab *tab, const uuid_t uuid)
{
	char name[SHARD_NAME_LEN];
	int rc;

	shard_name(tab, uuid, name);
	rc = vos_pool_destroy(tab->dir, tab->xs, name);
	return rc == -DER_NONEXIST ? 0 : rc;
}

int
pool_shard_reenter(struct pool_shard *shard)
{
	switch (shard->state) {
	case POOL_SHARD_OPEN:
		shard->user_nr++;
		return 0;
	case POOL_SHARD_OPENING:
		return -DER_AGAIN;
	case POOL_SHARD_FAILED:
		return shard->open_rc == -DER_SHUTDOWN ? -DER_AGAIN : shard->open_rc;
	case POOL_SHARD_CLOSING:
	default:
		return -DER_NO_HDL;
	}
}

int
pool_shard_enter(struct pool_tab *tab, const uuid_t uuid, struct pool_shard **ret_shard)
{
	struct pool_shard *shard = pool_shard_find(tab, uuid);
	int rc;

	if (shard == NULL)
		return -DER_NO_HDL;
	rc = pool_shard_reenter(shard);
	if (rc == 0)
		*ret_shard = shard;
	return rc;
}

void
pool_shard_leave(struct pool_shard *shard)
{
	assert(shard->user_nr > 0);
	if (--shard->user_nr == 0)
		co_waitq_wake_all(&shard->idle);
}

void
pool_tab_set_map(struct pool_tab *tab, struct pool_map *map)
{
	struct pool_shard *shard;
	uuid_t uuid;

	pool_map_uuid(map, uuid);
	shard = pool_shard_find(tab, uuid);
	if (shard == NULL || (shard->map != NULL && pool_map_version(map) <= shard->map_ver))
		return;
	pool_map_put(shard->map);
	shard->map = pool_map_get(map);
	shard->map_ver = pool_map_version(map);
}

struct walk {
	void (*fn)(struct pool_shard *shard, void *arg);
	void *arg;
};

static int
walk_one(struct hnode *n, void *arg)
{
	struct walk *w = arg;

	w->fn(container_of(n, struct pool_shard, node), w->arg);
	return 0;
}

void
pool_tab_walk(struct pool_tab *tab, void (*fn)(struct pool_shard *shard, void *arg), void *arg)
{
	struct walk w = {.fn = fn, .arg = arg};

	htable_walk(&tab->shards, walk_one, &w);
}

static int
first_one(struct hnode *n, void *arg)
{
	*(struct hnode **)arg = n;
	return 1;
}

struct hnode *
pool_tab_first(struct pool_tab *tab)
{
	struct hnode *n = NULL;

	htable_walk(&tab->shards, first_one, &n);
	return n;
}
