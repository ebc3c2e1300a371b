/*
 * Chained hash table of records that belong to the caller.
 *
 * Buckets are circular lists of the links embedded in records; an unlinked record's link points to
 * itself. Locking is one lock for the table (D_HASH_FT_GLOCK), one for each bucket, or none. A call
 * that has only a link finds its bucket by hop_rec_hash; a table without that operation therefore
 * always gets the one lock.
 *
 * References. In an ordinary table the link holds one reference: a record whose count reaches zero
 * is unlinked already and only has to be freed. In an ephemeral table the link holds none: the
 * count may reach zero while the record is linked, so that decref and unlinking must be one step
 * against a concurrent find; both take the bucket's lock for writing. Records are freed after the
 * lock is dropped, so that hop_rec_free may use the table.
 */
#include <gurt/common.h>
#include <gurt/hash.h>

/* 2^31 buckets would be 32 GiB of heads; larger counts are mistakes. */
#define HASH_BITS_MAX 30

enum lock_mode { LOCK_READ, LOCK_WRITE };

static bool
table_has(const struct d_hash_table *ht, uint32_t feat)
{
	return (ht->ht_feats & feat) != 0;
}

static union d_hash_lock *
bucket_lock_of(struct d_hash_table *ht, uint32_t idx)
{
	return table_has(ht, D_HASH_FT_GLOCK) ? &ht->ht_lock : &ht->ht_locks[idx];
}

static int
lock_init(const struct d_hash_table *ht, union d_hash_lock *lock)
{
	if (table_has(ht, D_HASH_FT_MUTEX))
		return D_MUTEX_INIT(&lock->mutex, NULL);
	if (table_has(ht, D_HASH_FT_RWLOCK))
		return D_RWLOCK_INIT(&lock->rwlock, NULL);
	return D_SPIN_INIT(&lock->spin, PTHREAD_PROCESS_PRIVATE);
}

static void
lock_fini(const struct d_hash_table *ht, union d_hash_lock *lock)
{
	if (table_has(ht, D_HASH_FT_MUTEX))
		D_MUTEX_DESTROY(&lock->mutex);
	else if (table_has(ht, D_HASH_FT_RWLOCK))
		D_RWLOCK_DESTROY(&lock->rwlock);
	else
		D_SPIN_DESTROY(&lock->spin);
}

static void
lock_take(const struct d_hash_table *ht, union d_hash_lock *lock, enum lock_mode mode)
{
	if (table_has(ht, D_HASH_FT_MUTEX))
		D_MUTEX_LOCK(&lock->mutex);
	else if (!table_has(ht, D_HASH_FT_RWLOCK))
		D_SPIN_LOCK(&lock->spin);
	else if (mode == LOCK_READ)
		D_RWLOCK_RDLOCK(&lock->rwlock);
	else
		D_RWLOCK_WRLOCK(&lock->rwlock);
}

static void
lock_drop(const struct d_hash_table *ht, union d_hash_lock *lock)
{
	if (table_has(ht, D_HASH_FT_MUTEX))
		D_MUTEX_UNLOCK(&lock->mutex);
	else if (table_has(ht, D_HASH_FT_RWLOCK))
		D_RWLOCK_UNLOCK(&lock->rwlock);
	else
		D_SPIN_UNLOCK(&lock->spin);
}

static void
bucket_lock(struct d_hash_table *ht, uint32_t idx, enum lock_mode mode)
{
	if (!table_has(ht, D_HASH_FT_NOLOCK))
		lock_take(ht, bucket_lock_of(ht, idx), mode);
}

static void
bucket_unlock(struct d_hash_table *ht, uint32_t idx)
{
	if (!table_has(ht, D_HASH_FT_NOLOCK))
		lock_drop(ht, bucket_lock_of(ht, idx));
}

static uint32_t
bucket_nr(const struct d_hash_table *ht)
{
	return 1U << ht->ht_bits;
}

static uint32_t
key_idx(struct d_hash_table *ht, const void *key, unsigned int ksize)
{
	uint32_t hash;

	if (ht->ht_ops->hop_key_hash != NULL)
		hash = ht->ht_ops->hop_key_hash(ht, key, ksize);
	else
		hash = d_hash_string_u32(key, ksize);
	return hash & (bucket_nr(ht) - 1);
}

/* Bucket of a record; 0 in a table with one lock and no hop_rec_hash, where only the lock counts.
 */
static uint32_t
rec_idx(struct d_hash_table *ht, d_list_t *link)
{
	if (ht->ht_ops->hop_rec_hash == NULL)
		return 0;
	return ht->ht_ops->hop_rec_hash(ht, link) & (bucket_nr(ht) - 1);
}

static d_list_t *
bucket_find(struct d_hash_table *ht, uint32_t idx, const void *key, unsigned int ksize)
{
	d_list_t *link;

	d_list_for_each (link, &ht->ht_buckets[idx].hb_head)
		if (ht->ht_ops->hop_key_cmp(ht, link, key, ksize))
			return link;
	return NULL;
}

static void
rec_addref(struct d_hash_table *ht, d_list_t *link)
{
	if (ht->ht_ops->hop_rec_addref != NULL)
		ht->ht_ops->hop_rec_addref(ht, link);
}

/* True when it was the last reference. */
static bool
rec_decref(struct d_hash_table *ht, d_list_t *link)
{
	return ht->ht_ops->hop_rec_decref != NULL && ht->ht_ops->hop_rec_decref(ht, link);
}

static void
rec_free(struct d_hash_table *ht, d_list_t *link)
{
	if (ht->ht_ops->hop_rec_free != NULL)
		ht->ht_ops->hop_rec_free(ht, link);
}

static void
rec_link(struct d_hash_table *ht, uint32_t idx, d_list_t *link)
{
	if (!table_has(ht, D_HASH_FT_EPHEMERAL))
		rec_addref(ht, link);
	d_list_add(link, &ht->ht_buckets[idx].hb_head);
}

/* Unlink and drop the link's reference; true if the record must be freed. */
static bool
rec_unlink(struct d_hash_table *ht, d_list_t *link)
{
	d_list_del_init(link);
	return !table_has(ht, D_HASH_FT_EPHEMERAL) && rec_decref(ht, link);
}

static void
locks_fini(struct d_hash_table *ht, uint32_t nr)
{
	uint32_t i;

	for (i = 0; i < nr; i++)
		lock_fini(ht, &ht->ht_locks[i]);
	D_FREE(ht->ht_locks);
	lock_fini(ht, &ht->ht_lock);
}

/* ht_lock is the lock of the table, or the one under which keys of anonymous records are made. */
static int
locks_init(struct d_hash_table *ht)
{
	uint32_t i;
	int rc;

	rc = lock_init(ht, &ht->ht_lock);
	if (rc != 0 || table_has(ht, D_HASH_FT_GLOCK))
		return rc;
	ht->ht_locks = d_calloc(bucket_nr(ht), sizeof(*ht->ht_locks));
	if (ht->ht_locks == NULL) {
		lock_fini(ht, &ht->ht_lock);
		return -DER_NOMEM;
	}
	for (i = 0; i < bucket_nr(ht); i++) {
		rc = lock_init(ht, &ht->ht_locks[i]);
		if (rc != 0) {
			locks_fini(ht, i);
			return rc;
		}
	}
	return 0;
}

int
d_hash_table_create_inplace(uint32_t feats, uint32_t bits, void *priv, d_hash_table_ops_t *hops,
			    struct d_hash_table *htable)
{
	uint32_t i;
	int rc;

	if (htable == NULL || hops == NULL || hops->hop_key_cmp == NULL || bits > HASH_BITS_MAX)
		return -DER_INVAL;

	memset(htable, 0, sizeof(*htable));
	htable->ht_feats = feats;
	htable->ht_bits = bits;
	htable->ht_ops = hops;
	htable->ht_priv = priv;
	if (hops->hop_rec_hash == NULL && (feats & D_HASH_FT_NOLOCK) == 0)
		htable->ht_feats |= D_HASH_FT_GLOCK;

	htable->ht_buckets = d_calloc(bucket_nr(htable), sizeof(*htable->ht_buckets));
	if (htable->ht_buckets == NULL)
		return -DER_NOMEM;
	for (i = 0; i < bucket_nr(htable); i++)
		D_INIT_LIST_HEAD(&htable->ht_buckets[i].hb_head);

	if (feats & D_HASH_FT_NOLOCK)
		return 0;
	rc = locks_init(htable);
	if (rc != 0)
		D_FREE(htable->ht_buckets);
	return rc;
}

int
d_hash_table_create(uint32_t feats, uint32_t bits, void *priv, d_hash_table_ops_t *hops,
		    struct d_hash_table **htable_pp)
{
	struct d_hash_table *ht = d_calloc(1, sizeof(*ht));
	int rc;

	if (ht == NULL)
		return -DER_NOMEM;
	rc = d_hash_table_create_inplace(feats, bits, priv, hops, ht);
	if (rc != 0) {
		d_free(ht);
		return rc;
	}
	*htable_pp = ht;
	return 0;
}

int
d_hash_table_traverse(struct d_hash_table *htable, d_hash_traverse_cb_t cb, void *arg)
{
	d_list_t *link;
	d_list_t *next;
	uint32_t idx;
	int rc = 0;

	if (htable->ht_buckets == NULL)
		return -DER_UNINIT;
	if (cb == NULL)
		return -DER_INVAL;
	for (idx = 0; idx < bucket_nr(htable) && rc == 0; idx++) {
		bucket_lock(htable, idx, LOCK_READ);
		d_list_for_each_safe (link, next, &htable->ht_buckets[idx].hb_head) {
			rc = cb(link, arg);
			if (rc != 0)
				break;
		}
		bucket_unlock(htable, idx);
	}
	return rc;
}

static int
stop_at_first(d_list_t *link, void *arg)
{
	*(d_list_t **)arg = link;
	return 1;
}

d_list_t *
d_hash_rec_first(struct d_hash_table *htable)
{
	d_list_t *link = NULL;

	d_hash_table_traverse(htable, stop_at_first, &link);
	return link;
}

int
d_hash_table_destroy_inplace(struct d_hash_table *htable, bool force)
{
	uint32_t idx;

	if (htable->ht_buckets == NULL)
		return -DER_UNINIT;
	for (idx = 0; idx < bucket_nr(htable); idx++) {
		d_list_t *head = &htable->ht_buckets[idx].hb_head;

		while (!d_list_empty(head)) {
			if (!force)
				return -DER_BUSY;
			d_hash_rec_delete_at(htable, head->next);
		}
	}
	if (!table_has(htable, D_HASH_FT_NOLOCK))
		locks_fini(htable, htable->ht_locks == NULL ? 0 : bucket_nr(htable));
	d_free(htable->ht_buckets);
	memset(htable, 0, sizeof(*htable));
	return 0;
}

int
d_hash_table_destroy(struct d_hash_table *htable, bool force)
{
	int rc = d_hash_table_destroy_inplace(htable, force);

	if (rc == 0)
		d_free(htable);
	return rc;
}

d_list_t *
d_hash_rec_find(struct d_hash_table *htable, const void *key, unsigned int ksize)
{
	bool lru = table_has(htable, D_HASH_FT_LRU);
	d_list_t *link;
	uint32_t idx;

	idx = key_idx(htable, key, ksize);
	bucket_lock(htable, idx, lru ? LOCK_WRITE : LOCK_READ);
	link = bucket_find(htable, idx, key, ksize);
	if (link != NULL) {
		rec_addref(htable, link);
		if (lru)
			d_list_move(link, &htable->ht_buckets[idx].hb_head);
	}
	bucket_unlock(htable, idx);
	return link;
}

int
d_hash_rec_insert(struct d_hash_table *htable, const void *key, unsigned int ksize, d_list_t *link,
		  bool exclusive)
{
	uint32_t idx;
	int rc = 0;

	if (key == NULL || ksize == 0 || link == NULL)
		return -DER_INVAL;
	idx = key_idx(htable, key, ksize);
	bucket_lock(htable, idx, LOCK_WRITE);
	if (exclusive && bucket_find(htable, idx, key, ksize) != NULL)
		rc = -DER_EXIST;
	else
		rec_link(htable, idx, link);
	bucket_unlock(htable, idx);
	return rc;
}

d_list_t *
d_hash_rec_find_insert(struct d_hash_table *htable, const void *key, unsigned int ksize,
		       d_list_t *link)
{
	d_list_t *found;
	uint32_t idx;

	idx = key_idx(htable, key, ksize);
	bucket_lock(htable, idx, LOCK_WRITE);
	found = bucket_find(htable, idx, key, ksize);
	if (found != NULL) {
		rec_addref(htable, found);
		if (table_has(htable, D_HASH_FT_LRU))
			d_list_move(found, &htable->ht_buckets[idx].hb_head);
	} else {
		rec_link(htable, idx, link);
		found = link;
	}
	bucket_unlock(htable, idx);
	return found;
}

int
d_hash_rec_insert_anonym(struct d_hash_table *htable, d_list_t *link, void *arg)
{
	const uint32_t bare = D_HASH_FT_NOLOCK | D_HASH_FT_NO_KEYINIT_LOCK;
	bool key_lock = !table_has(htable, bare);
	uint32_t idx;

	if (htable->ht_ops->hop_key_init == NULL ||
	    (htable->ht_ops->hop_rec_hash == NULL && htable->ht_bits != 0))
		return -DER_INVAL;

	/* The bucket is known only once the key is, so keys are made under the table's lock. */
	if (key_lock)
		lock_take(htable, &htable->ht_lock, LOCK_WRITE);
	htable->ht_ops->hop_key_init(htable, link, arg);
	idx = rec_idx(htable, link);
	if (key_lock && table_has(htable, D_HASH_FT_GLOCK)) {
		rec_link(htable, idx, link);
		lock_drop(htable, &htable->ht_lock);
		return 0;
	}
	bucket_lock(htable, idx, LOCK_WRITE);
	rec_link(htable, idx, link);
	bucket_unlock(htable, idx);
	if (key_lock)
		lock_drop(htable, &htable->ht_lock);
	return 0;
}

bool
d_hash_rec_delete(struct d_hash_table *htable, const void *key, unsigned int ksize)
{
	bool last = false;
	d_list_t *link;
	uint32_t idx;

	idx = key_idx(htable, key, ksize);
	bucket_lock(htable, idx, LOCK_WRITE);
	link = bucket_find(htable, idx, key, ksize);
	if (link != NULL)
		last = rec_unlink(htable, link);
	bucket_unlock(htable, idx);
	if (last)
		rec_free(htable, link);
	return link != NULL;
}

bool
d_hash_rec_delete_at(struct d_hash_table *htable, d_list_t *link)
{
	uint32_t idx = rec_idx(htable, link);
	bool deleted = false;
	bool last = false;

	bucket_lock(htable, idx, LOCK_WRITE);
	if (!d_list_empty(link)) {
		last = rec_unlink(htable, link);
		deleted = true;
	}
	bucket_unlock(htable, idx);
	if (last)
		rec_free(htable, link);
	return deleted;
}

/* Move to the cold end, with the lock held; false if it is there already. */
static bool
evict_locked(struct d_hash_table *ht, uint32_t idx, d_list_t *link)
{
	d_list_t *head = &ht->ht_buckets[idx].hb_head;

	if (d_list_empty(link) || head->prev == link)
		return false;
	d_list_move_tail(link, head);
	return true;
}

bool
d_hash_rec_evict(struct d_hash_table *htable, const void *key, unsigned int ksize)
{
	d_list_t *link;
	uint32_t idx;

	if (!table_has(htable, D_HASH_FT_LRU))
		return false;
	idx = key_idx(htable, key, ksize);
	bucket_lock(htable, idx, LOCK_WRITE);
	link = bucket_find(htable, idx, key, ksize);
	if (link != NULL)
		evict_locked(htable, idx, link);
	bucket_unlock(htable, idx);
	return link != NULL;
}

bool
d_hash_rec_evict_at(struct d_hash_table *htable, d_list_t *link)
{
	bool evicted;
	uint32_t idx;

	if (!table_has(htable, D_HASH_FT_LRU) ||
	    (htable->ht_ops->hop_rec_hash == NULL && htable->ht_bits != 0))
		return false;
	idx = rec_idx(htable, link);
	bucket_lock(htable, idx, LOCK_WRITE);
	evicted = evict_locked(htable, idx, link);
	bucket_unlock(htable, idx);
	return evicted;
}

void
d_hash_rec_addref(struct d_hash_table *htable, d_list_t *link)
{
	uint32_t idx = rec_idx(htable, link);

	bucket_lock(htable, idx, LOCK_READ);
	rec_addref(htable, link);
	bucket_unlock(htable, idx);
}

/* Drop up to count references: 1 when that was the last one, 0, or a negative code. */
static int
rec_drop_locked(struct d_hash_table *ht, d_list_t *link, int count)
{
	bool last = false;

	if (ht->ht_ops->hop_rec_ndecref != NULL && count != 1)
		return ht->ht_ops->hop_rec_ndecref(ht, link, count);
	for (; count > 0 && !last; count--)
		last = rec_decref(ht, link);
	if (count > 0)
		D_ERROR("record %p had %d references too few\n", (void *)link, count);
	return last ? 1 : 0;
}

int
d_hash_rec_ndecref(struct d_hash_table *htable, int count, d_list_t *link)
{
	bool ephemeral = table_has(htable, D_HASH_FT_EPHEMERAL);
	uint32_t idx = rec_idx(htable, link);
	int rc;

	if (count <= 0)
		return -DER_INVAL;
	bucket_lock(htable, idx, ephemeral ? LOCK_WRITE : LOCK_READ);
	rc = rec_drop_locked(htable, link, count);
	if (rc == 1 && ephemeral)
		d_list_del_init(link);
	bucket_unlock(htable, idx);
	if (rc < 0)
		return rc;
	if (rc == 1) {
		D_ASSERT(d_list_empty(link));
		rec_free(htable, link);
	}
	return 0;
}

void
d_hash_rec_decref(struct d_hash_table *htable, d_list_t *link)
{
	d_hash_rec_ndecref(htable, 1, link);
}

bool
d_hash_rec_unlinked(d_list_t *link)
{
	return d_list_empty(link);
}

void
d_hash_table_debug(struct d_hash_table *htable)
{
	uint32_t used_nr = 0;
	uint32_t longest = 0;
	uint64_t rec_nr = 0;
	uint32_t idx;

	for (idx = 0; idx < bucket_nr(htable); idx++) {
		uint32_t depth = 0;
		d_list_t *link;

		bucket_lock(htable, idx, LOCK_READ);
		d_list_for_each (link, &htable->ht_buckets[idx].hb_head)
			depth++;
		bucket_unlock(htable, idx);
		used_nr += depth > 0;
		rec_nr += depth;
		longest = MAX(longest, depth);
	}
	D_INFO("hash table %p: %" PRIu64 " records in %u of %u buckets, longest chain %u\n",
	       (void *)htable, rec_nr, used_nr, bucket_nr(htable), longest);
}
