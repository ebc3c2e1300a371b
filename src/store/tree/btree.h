/*
 * B+tree over the heap, the one ordered index of the store.
 *
 * Keys are of one of three kinds, chosen at creation:
 *   BTREE_UINT  u64, in numeric order;
 *   BTREE_LEX   byte strings of 0..65536 bytes in memcmp order (a prefix sorts first);
 *   BTREE_HASH  byte strings of the same lengths, ordered by (128-bit hash, bytes); the whole key
 *               is stored and compared, so colliding hashes are only slow.
 *
 * The value is an inline record of fixed size, at most BTREE_VAL_MAX bytes.
 *
 * A BTREE_HASH tree may leave its keys to the user (conf.keys_apart): the value is then the u64
 * offset of a record that holds the key, and btree_keys_at() says how to get at it. Such a leaf has
 * 16 bytes per record, whatever the keys. The record must hold the key from before the insert until
 * after the delete; its offset may be changed in place to that of another one with the same key.
 *
 * The root (struct btree_root_df, 32 bytes) is embedded by the user in an object of its own; a
 * zeroed root is not a tree: btree_create() first. An empty tree owns no memory, the first node has
 * room for one or two records and grows by doubling up to BTREE_NODE_MAX, so small trees are small.
 *
 * A struct btree is a plain value (heap and offset of the root) made by btree_at() whenever needed.
 * Changes happen in a heap transaction; reads need none. All functions may return HEAP_MISS (see
 * heap.h) and -DER_CSUM for a node that is not one. None yields.
 */
#ifndef STORE_BTREE_H
#define STORE_BTREE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/heap/heap.h"

enum btree_kind {
	BTREE_UINT = 1,
	BTREE_LEX = 2,
	BTREE_HASH = 3,
};

enum {
	BTREE_VAL_MAX = 64,
	BTREE_KEY_MAX = 65536,
	BTREE_NODE_MAX = 1024,
	BTREE_DEPTH_MAX = 16,
	BTREE_ROOT_BYTES = 32,
	/* Worst case of one insert or delete beside the key's own length; for heap_reserve(). */
	BTREE_OP_LOG_BYTES = 8 << 10,
	BTREE_OP_HEAP_BYTES = 12 << 10,
};

/* Embedded in the user's object; 8-byte aligned. Layout in btree_format.h, private to the tree. */
struct btree_root_df {
	uint64_t opaque[BTREE_ROOT_BYTES / 8];
};

struct btree_key;

struct btree {
	struct heap *heap;
	uint64_t root_off;
	/* conf.keys_apart: the key in the record, zeroed before. HEAP_MISS, -DER_CSUM. */
	int (*key_of)(struct heap *heap, uint64_t rec, struct btree_key *ret_key);
};

static inline struct btree
btree_at(struct heap *heap, uint64_t root_off)
{
	return (struct btree){.heap = heap, .root_off = root_off};
}

static inline struct btree
btree_keys_at(struct heap *heap, uint64_t root_off,
	      int (*key_of)(struct heap *heap, uint64_t rec, struct btree_key *ret_key))
{
	return (struct btree){.heap = heap, .root_off = root_off, .key_of = key_of};
}

struct btree_conf {
	enum btree_kind kind;
	uint32_t val_bytes; /* 0..BTREE_VAL_MAX; padded to 8 inside */
	uint64_t seed;      /* BTREE_HASH: mixed into the hash. Trees whose anchors must be
			     * exchangeable (replicas of one object) use the same seed. */
	bool keys_apart;    /* BTREE_HASH with values of 8 bytes only */
};

/* A key: num for BTREE_UINT, buf/len for the others. For BTREE_HASH, hash may be given by who knows
 * it (btree_hash); has_hash says so. */
struct btree_key {
	uint64_t num;
	const void *buf;
	uint32_t len;
	bool has_hash;
	uint64_t hash[2]; /* hash[0] is the more significant half */
};

static inline struct btree_key
btree_key_num(uint64_t num)
{
	return (struct btree_key){.num = num};
}

static inline struct btree_key
btree_key_buf(const void *buf, uint32_t len)
{
	return (struct btree_key){.buf = buf, .len = len};
}

void btree_hash(uint64_t seed, const void *buf, uint32_t len, uint64_t ret_hash[2]);

/* Make the root_df at root_off an empty tree. Declares it; it must lie in an allocated object. */
int btree_create(struct heap_tx *tx, uint64_t root_off, const struct btree_conf *conf);
/* The tree must be empty (btree_clear); turns the root back into zeros. -DER_BUSY otherwise. */
int btree_destroy(struct heap_tx *tx, struct btree bt);
/* What the tree was created with. */
int btree_info(struct btree bt, struct btree_conf *ret_conf);
int btree_is_empty(struct btree bt, bool *ret_empty);

/*
 * ret_val_off (may be NULL) is the heap offset of the value: read it through heap_ptr(), change it
 * in place after heap_tx_add(). It is good until the next insert or delete in this tree or the next
 * yield.
 */
/* -DER_NONEXIST when there is none. */
int btree_lookup(struct btree bt, const struct btree_key *key, uint64_t *ret_val_off);
/* val NULL: zeros, to be filled in place. -DER_EXIST: there is one; *ret_val_off is then its value.
 * -DER_KEY2BIG. */
int btree_insert(struct heap_tx *tx, struct btree bt, const struct btree_key *key, const void *val,
		 uint64_t *ret_val_off);
/* Insert or overwrite. */
int btree_upsert(struct heap_tx *tx, struct btree bt, const struct btree_key *key, const void *val,
		 uint64_t *ret_val_off);
/* ret_val (may be NULL) gets a copy of the value. -DER_NONEXIST. */
int btree_delete(struct heap_tx *tx, struct btree bt, const struct btree_key *key, void *ret_val);

/*
 * Remove up to max_nr records from the front. fn (may be NULL) sees each value first (to free what
 * it refers to) and may fail, which ends the call with its error. *ret_empty says whether the tree
 * is now empty.
 */
int btree_clear(struct heap_tx *tx, struct btree bt, uint32_t max_nr,
		int (*fn)(struct heap_tx *tx, uint64_t val_off, void *arg), void *arg,
		bool *ret_empty);

/*
 * Cursor. It sits on a record (after a call returned 0) or nowhere (-DER_NONEXIST). It survives any
 * change of the tree and any yield: next and prev go on from the key it sat on, found again when
 * the heap has changed, whether or not that record still exists. It owns memory only for keys
 * longer than BTREE_CURSOR_KEY; btree_cursor_fini() always.
 */
enum { BTREE_CURSOR_KEY = 120 };

enum btree_seek {
	BTREE_FIRST, /* key ignored */
	BTREE_LAST,  /* key ignored */
	BTREE_EQ,
	BTREE_GE, /* smallest not below the key */
	BTREE_GT,
	BTREE_LE, /* largest not above the key */
	BTREE_LT,
};

struct btree_cursor {
	struct btree bt;
	uint64_t seq; /* heap_change_seq() when the path was taken */
	uint8_t depth;
	bool valid;  /* a key is held */
	bool placed; /* path is usable when seq still holds */
	struct {
		uint64_t node;
		uint32_t pos;
	} path[BTREE_DEPTH_MAX];
	uint64_t num;
	uint64_t hash[2];
	uint32_t key_len;
	uint32_t key_cap;
	uint8_t *key_buf; /* key_inl or malloc'ed */
	uint8_t key_inl[BTREE_CURSOR_KEY];
};

void btree_cursor_init(struct btree_cursor *cur, struct btree bt);
void btree_cursor_fini(struct btree_cursor *cur);
int btree_seek(struct btree_cursor *cur, enum btree_seek how, const struct btree_key *key);
/* BTREE_HASH: by hash alone (listing anchors): BTREE_GE or BTREE_GT of all keys with this hash. */
int btree_seek_hash(struct btree_cursor *cur, enum btree_seek how, const uint64_t hash[2]);
/* -DER_NONEXIST past the end; the cursor stays where it was. On HEAP_MISS likewise: just call
 * again. */
int btree_next(struct btree_cursor *cur);
int btree_prev(struct btree_cursor *cur);
/*
 * The record under the cursor. *ret_key points into the cursor: good until it moves. *ret_val_off
 * as for lookup (only right after the cursor was placed, before any change). Either may be NULL.
 * -DER_NONEXIST when the record is gone by now.
 */
int btree_cursor_get(struct btree_cursor *cur, struct btree_key *ret_key, uint64_t *ret_val_off);

/* Walk the whole tree, check order, fill, depth and node headers; fn (may be NULL) sees every heap
 * object the tree owns (nodes, long keys). *ret_nr: records. -DER_CSUM on a violation. */
int btree_verify(struct btree bt, int (*fn)(void *arg, uint64_t off), void *arg, uint64_t *ret_nr);

#endif
