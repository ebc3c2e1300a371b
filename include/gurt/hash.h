/*
 * Hash tables: a chained table of caller-owned records (d_hash_*), a table of handles with
 * generated 64-bit keys (d_hhash_*), and a table keyed by uuid (d_uhash_*).
 *
 * A record embeds a d_list_t that links it into its bucket; the table calls back through
 * d_hash_table_ops_t and never allocates for a record. Reference counts live in the record: find
 * and first take one, the caller gives it back with d_hash_rec_decref(). Without
 * D_HASH_FT_EPHEMERAL the link itself holds one reference (taken at insert, dropped at delete);
 * with it, the link holds none and the record is unlinked and freed when the count reaches zero.
 */
#ifndef GURT_HASH_H
#define GURT_HASH_H

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <gurt/list.h>
#include <gurt/types.h>
#include <gurt/atomic.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

struct d_hash_table;

typedef struct {
	/** Required. Does the record at link have this key? */
	bool (*hop_key_cmp)(struct d_hash_table *htable, d_list_t *link, const void *key,
			    unsigned int ksize);
	/** For d_hash_rec_insert_anonym(): give the record a key. Called under the bucket lock. */
	void (*hop_key_init)(struct d_hash_table *htable, d_list_t *link, void *arg);
	/** Hash of a key; a default string hash if absent. */
	uint32_t (*hop_key_hash)(struct d_hash_table *htable, const void *key, unsigned int ksize);
	/**
	 * Hash of the record's own key; must agree with hop_key_hash. Calls that have only the link
	 * (delete_at, decref) find the bucket's lock by it; a table without it uses one lock, and
	 * cannot evict by link.
	 */
	uint32_t (*hop_rec_hash)(struct d_hash_table *htable, d_list_t *link);
	/** Take a reference; optional. */
	void (*hop_rec_addref)(struct d_hash_table *htable, d_list_t *link);
	/** Drop a reference; returns true when it was the last and the record may be freed. */
	bool (*hop_rec_decref)(struct d_hash_table *htable, d_list_t *link);
	/** Drop count references at once: 1 when none is left, 0, or -DER_INVAL if too many. */
	int (*hop_rec_ndecref)(struct d_hash_table *htable, d_list_t *link, int count);
	/** Release a record that is unlinked and has no references; optional. */
	void (*hop_rec_free)(struct d_hash_table *htable, d_list_t *link);
} d_hash_table_ops_t;

/** Features of a table, or-ed. Without a lock feature each bucket has a spinlock. */
enum d_hash_feats {
	/** No locking at all; the caller serialises. */
	D_HASH_FT_NOLOCK = (1 << 0),
	/** Mutexes instead of spinlocks. */
	D_HASH_FT_MUTEX = (1 << 1),
	/** Reader/writer locks instead of spinlocks. */
	D_HASH_FT_RWLOCK = (1 << 2),
	/** The table holds no reference: the last decref unlinks and frees. */
	D_HASH_FT_EPHEMERAL = (1 << 3),
	/** A record found moves to the head of its bucket. */
	D_HASH_FT_LRU = (1 << 4),
	/** hop_key_init may be called before the lock is taken. */
	D_HASH_FT_NO_KEYINIT_LOCK = (1 << 5),
	/** One lock for the table instead of one for each bucket. */
	D_HASH_FT_GLOCK = (1 << 15),
};

union d_hash_lock {
	pthread_spinlock_t spin;
	pthread_mutex_t mutex;
	pthread_rwlock_t rwlock;
};

struct d_hash_bucket {
	d_list_t hb_head;
};

struct d_hash_table {
	union d_hash_lock ht_lock;
	uint32_t ht_bits; /* log2 of the number of buckets */
	uint32_t ht_feats;
	void *ht_priv; /* the caller's */
	d_hash_table_ops_t *ht_ops;
	struct d_hash_bucket *ht_buckets;
	union d_hash_lock *ht_locks;
};

/** Create a table of 2^bits buckets. hops must outlive it. -DER_INVAL, -DER_NOMEM. */
int d_hash_table_create(uint32_t feats, uint32_t bits, void *priv, d_hash_table_ops_t *hops,
			struct d_hash_table **htable_pp);

/** As d_hash_table_create(), in memory of the caller. */
int d_hash_table_create_inplace(uint32_t feats, uint32_t bits, void *priv, d_hash_table_ops_t *hops,
				struct d_hash_table *htable);

/** Return non-zero to end a traversal; that value is what the traversal returns. */
typedef int (*d_hash_traverse_cb_t)(d_list_t *link, void *arg);

/** Call cb for every record, under the bucket's lock: cb must not call back into the table. */
int d_hash_table_traverse(struct d_hash_table *htable, d_hash_traverse_cb_t cb, void *arg);

/** Destroy. With records left: -DER_BUSY, unless force, which deletes them. */
int d_hash_table_destroy(struct d_hash_table *htable, bool force);

/** As d_hash_table_destroy() for a table made in place; it is zeroed. */
int d_hash_table_destroy_inplace(struct d_hash_table *htable, bool force);

/** Look a key up; takes a reference. NULL if absent. */
d_list_t *d_hash_rec_find(struct d_hash_table *htable, const void *key, unsigned int ksize);

/** Find a record with this key, or insert link; returns the one that is in the table, referenced.
 */
d_list_t *d_hash_rec_find_insert(struct d_hash_table *htable, const void *key, unsigned int ksize,
				 d_list_t *link);

/** Insert. exclusive: -DER_EXIST if the key is there already, otherwise duplicates are allowed. */
int d_hash_rec_insert(struct d_hash_table *htable, const void *key, unsigned int ksize,
		      d_list_t *link, bool exclusive);

/** Insert a record whose key is made by hop_key_init(arg). -DER_INVAL if the ops lack it. */
int d_hash_rec_insert_anonym(struct d_hash_table *htable, d_list_t *link, void *arg);

/** Unlink the record with this key and drop the table's reference; false if there was none. */
bool d_hash_rec_delete(struct d_hash_table *htable, const void *key, unsigned int ksize);

/** Unlink this record; false if it was not linked. */
bool d_hash_rec_delete_at(struct d_hash_table *htable, d_list_t *link);

/** LRU tables: move the record with this key to the end that is looked at last. */
bool d_hash_rec_evict(struct d_hash_table *htable, const void *key, unsigned int ksize);

/** As d_hash_rec_evict() for a known record. */
bool d_hash_rec_evict_at(struct d_hash_table *htable, d_list_t *link);

void d_hash_rec_addref(struct d_hash_table *htable, d_list_t *link);

/** Drop a reference. At zero an ephemeral record is unlinked, and an unlinked one is freed. */
void d_hash_rec_decref(struct d_hash_table *htable, d_list_t *link);

/** Drop count references; -DER_INVAL if there were fewer. */
int d_hash_rec_ndecref(struct d_hash_table *htable, int count, d_list_t *link);

/** True of a record that is in no table. */
bool d_hash_rec_unlinked(d_list_t *link);

/** Some record, without a reference taken; NULL when the table is empty. For teardown loops. */
d_list_t *d_hash_rec_first(struct d_hash_table *htable);

/** Write the depth statistics of the table to the log. */
void d_hash_table_debug(struct d_hash_table *htable);

/*
 * Handle table. Keys are made at insert: the low D_HTYPE_BITS carry the caller's type, which is
 * odd so that a key can never be mistaken for an aligned pointer; with the pointer type the key is
 * the address of the link.
 */
#define D_HHASH_BITS 16
#define D_HTYPE_BITS 4
#define D_HTYPE_MASK ((1ULL << D_HTYPE_BITS) - 1)

enum {
	D_HTYPE_PTR = 0,
};

struct d_hlink;

struct d_hlink_ops {
	/** Release the struct around hlink, after its last reference. */
	void (*hop_free)(struct d_hlink *hlink);
};

struct d_rlink {
	d_list_t rl_link;
	ATOMIC uint32_t rl_ref;
	uint32_t rl_initialized : 1;
};

struct d_hlink {
	struct d_rlink hl_link;
	uint64_t hl_key;
	struct d_hlink_ops *hl_ops;
};

struct d_hhash;

int d_hhash_create(uint32_t feats, uint32_t bits, struct d_hhash **hhash);
void d_hhash_destroy(struct d_hhash *hhash);

/** Prepare a link; the caller holds its one reference. */
void d_hhash_hlink_init(struct d_hlink *hlink, struct d_hlink_ops *hl_ops);

/** Insert and give a key of this type (odd, below 1 << D_HTYPE_BITS; or D_HTYPE_PTR). */
void d_hhash_link_insert(struct d_hhash *hhash, struct d_hlink *hlink, int type);

/** Look up by key and take a reference; NULL if stale or unknown. */
struct d_hlink *d_hhash_link_lookup(struct d_hhash *hhash, uint64_t key);
void d_hhash_link_getref(struct d_hhash *hhash, struct d_hlink *hlink);
void d_hhash_link_putref(struct d_hhash *hhash, struct d_hlink *hlink);
bool d_hhash_link_delete(struct d_hhash *hhash, struct d_hlink *hlink);
bool d_hhash_link_empty(struct d_hlink *hlink);
void d_hhash_link_key(struct d_hlink *hlink, uint64_t *key);
int d_hhash_key_type(uint64_t key);
bool d_hhash_key_isptr(uint64_t key);

/** Use addresses as keys; only while the table is empty of other keys. */
int d_hhash_set_ptrtype(struct d_hhash *hhash);
bool d_hhash_is_ptrtype(struct d_hhash *hhash);

typedef int (*d_hhash_traverse_cb_t)(struct d_hlink *link, void *arg);

/** Call cb for every link of this type, under the bucket's lock. */
int d_hhash_traverse(struct d_hhash *hhash, int type, d_hhash_traverse_cb_t cb, void *arg);

/* Table keyed by uuid, with an extra comparison of the caller's. */
struct d_ulink;

struct d_ulink_ops {
	void (*uop_free)(struct d_ulink *ulink);
	/** Optional: does the record also match cmp_args? */
	bool (*uop_cmp)(struct d_ulink *ulink, void *cmp_args);
};

struct d_ulink {
	struct d_rlink ul_link;
	struct d_uuid ul_uuid;
	struct d_ulink_ops *ul_ops;
};

int d_uhash_create(uint32_t feats, uint32_t bits, struct d_hash_table **htable);
void d_uhash_destroy(struct d_hash_table *htable);
void d_uhash_ulink_init(struct d_ulink *ulink, struct d_ulink_ops *ul_ops);
bool d_uhash_link_empty(struct d_ulink *ulink);
bool d_uhash_link_last_ref(struct d_ulink *ulink);
void d_uhash_link_addref(struct d_hash_table *htable, struct d_ulink *ulink);
void d_uhash_link_putref(struct d_hash_table *htable, struct d_ulink *ulink);
void d_uhash_link_delete(struct d_hash_table *htable, struct d_ulink *ulink);
int d_uhash_link_insert(struct d_hash_table *htable, struct d_uuid *key, void *cmp_args,
			struct d_ulink *ulink);
struct d_ulink *d_uhash_link_lookup(struct d_hash_table *htable, struct d_uuid *key,
				    void *cmp_args);

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* GURT_HASH_H */
