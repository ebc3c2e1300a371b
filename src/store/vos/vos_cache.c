/*
 * Cache of places: (container, object, dkey) -> heap offsets of the object's and the dkey's record.
 *
 * Direct-mapped. Whoever frees a record, or gives its key another one, removes its entry; removing
 * one too many does no harm. Lookups within a transaction may see what an abort takes back, so the
 * entries made since it began go with an abort. Container ids are never used again, so a destroyed
 * container's entries can stay.
 */
#include "store/vos/vos_internal.h"

#include "base/hash.h"

struct vos_cache_ent *
vos_cache_slot(struct vos_pool *pool, uint64_t cont_id, const struct vos_oid *oid,
	       const struct vos_key *dkey)
{
	uint64_t h;

	if (dkey != NULL && dkey->len > VOS_CACHE_KEY)
		return NULL;
	h = hash_combine(cont_id, oid->id.lo);
	h = hash_combine(h, oid->id.hi ^ ((uint64_t)oid->shard << 32));
	if (dkey != NULL)
		h ^= hash_bytes(dkey->buf, dkey->len, h);
	return &pool->cache[h % VOS_CACHE_SLOTS];
}

bool
vos_cache_match(const struct vos_cache_ent *ent, uint64_t cont_id, const struct vos_oid *oid,
		const struct vos_key *dkey)
{
	if (ent == NULL || ent->cont_id != cont_id || ent->oid.id.lo != oid->id.lo ||
	    ent->oid.id.hi != oid->id.hi || ent->oid.shard != oid->shard)
		return false;
	if (dkey == NULL)
		return ent->dkey == 0;
	return ent->dkey != 0 && ent->key_len == dkey->len &&
	       memcmp(ent->key, dkey->buf, dkey->len) == 0;
}

void
vos_cache_fill(struct vos_pool *pool, struct vos_cache_ent *ent, uint64_t cont_id,
	       const struct vos_oid *oid, const struct vos_key *dkey, uint64_t obj,
	       uint64_t dkey_off)
{
	if (ent == NULL)
		return;
	if (heap_tx_current(pool->heap) != NULL) {
		if (pool->cache_tx_nr < VOS_CACHE_TX)
			pool->cache_tx[pool->cache_tx_nr] = ent;
		pool->cache_tx_nr++;
	}
	ent->cont_id = cont_id;
	ent->oid = *oid;
	ent->obj = obj;
	ent->dkey = dkey_off;
	ent->key_len = 0;
	if (dkey != NULL) {
		ent->key_len = dkey->len;
		memcpy(ent->key, dkey->buf, dkey->len);
	}
}

void
vos_cache_del(struct vos_pool *pool, uint64_t cont_id, const struct vos_oid *oid,
	      const struct vos_key *dkey)
{
	struct vos_cache_ent *ent = vos_cache_slot(pool, cont_id, oid, dkey);

	if (vos_cache_match(ent, cont_id, oid, dkey))
		ent->cont_id = 0;
}

void
vos_cache_begin(struct vos_pool *pool)
{
	pool->cache_tx_nr = 0;
}

void
vos_cache_abort(struct vos_pool *pool)
{
	uint32_t i;

	if (pool->cache_tx_nr > VOS_CACHE_TX)
		memset(pool->cache, 0, VOS_CACHE_SLOTS * sizeof(*pool->cache));
	for (i = 0; i < pool->cache_tx_nr && i < VOS_CACHE_TX; i++)
		pool->cache_tx[i]->cont_id = 0;
	pool->cache_tx_nr = 0;
}
