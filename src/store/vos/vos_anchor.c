/* Positions of listings; vos_anchor.h says what they hold. */
#define LOG_FACILITY "vos"
#include "store/vos/vos_anchor.h"

enum {
	HASH_BYTES = 16,
	/* hashed: hash, count */
	HKEY_LEN = HASH_BYTES + 2,
	/* lexical: a byte that tells the two forms apart */
	LEX_WHOLE = 1,
	LEX_LONG = 2,
	LEX_KEY_MAX = sizeof(((struct vos_anchor *)0)->bytes) - 1,
	/* long: hash, number, beginning of the key */
	LEX_LONG_HEAD = 1 + HASH_BYTES + 4,
	LEX_PREFIX = sizeof(((struct vos_anchor *)0)->bytes) - LEX_LONG_HEAD,
};

void
vos_anchor_set_u64(struct vos_anchor *anchor, uint64_t pos)
{
	anchor->state = VOS_ANCHOR_INSIDE;
	anchor->len = sizeof(pos);
	memcpy(anchor->bytes, &pos, sizeof(pos));
}

uint64_t
vos_anchor_u64(const struct vos_anchor *anchor)
{
	uint64_t pos;

	memcpy(&pos, anchor->bytes, sizeof(pos));
	return pos;
}

static bool
key_anchor_valid(const struct vos_anchor *anchor, enum btree_kind kind)
{
	switch (kind) {
	case BTREE_UINT:
		return anchor->len == sizeof(uint64_t);
	case BTREE_HASH:
		return anchor->len == HKEY_LEN;
	case BTREE_LEX:
		return (anchor->len >= 2 && anchor->bytes[0] == LEX_WHOLE) ||
		       (anchor->len == LEX_LONG_HEAD + LEX_PREFIX && anchor->bytes[0] == LEX_LONG);
	}
	return false;
}

int
vos_anchor_check(const struct vos_anchor *anchor, const struct vos_list *list)
{
	bool ok = false;

	if (anchor->state == VOS_ANCHOR_START || anchor->state == VOS_ANCHOR_END)
		return 0;
	if (anchor->state != VOS_ANCHOR_INSIDE || anchor->len > sizeof(anchor->bytes))
		return -DER_INVAL;
	switch (list->kind) {
	case VOS_LIST_OBJ:
		ok = anchor->len == VOS_OID_KEY;
		break;
	case VOS_LIST_DKEY:
		ok = key_anchor_valid(anchor, vos_dkey_kind(list->oid.id));
		break;
	case VOS_LIST_AKEY:
		ok = key_anchor_valid(anchor, vos_akey_kind(list->oid.id));
		break;
	case VOS_LIST_RECX:
		ok = anchor->len == sizeof(uint64_t);
		break;
	case VOS_LIST_SINGLE:
		break;
	}
	return ok ? 0 : -DER_INVAL;
}

/* --- hashed ----------------------------------------------------------------------------------- */

static int
hash_seek(const struct vos_anchor *anchor, struct vos_iter *it)
{
	uint64_t hash[2], have[2];
	uint16_t nr;
	int rc;

	memcpy(hash, anchor->bytes, HASH_BYTES);
	memcpy(&nr, anchor->bytes + HASH_BYTES, sizeof(nr));
	rc = vos_iter_seek_hash(it, BTREE_GE, hash);
	for (; rc == 0 && nr != 0; nr--) {
		rc = vos_iter_get(it, NULL, have, NULL);
		if (rc != 0 || memcmp(have, hash, sizeof(hash)) != 0)
			break;
		rc = vos_iter_next(it);
	}
	return rc;
}

static void
hash_set(struct vos_anchor *anchor, const uint64_t hash[2])
{
	uint16_t nr = 1;

	if (anchor->state == VOS_ANCHOR_INSIDE && memcmp(anchor->bytes, hash, HASH_BYTES) == 0) {
		memcpy(&nr, anchor->bytes + HASH_BYTES, sizeof(nr));
		nr++;
	}
	memcpy(anchor->bytes, hash, HASH_BYTES);
	memcpy(anchor->bytes + HASH_BYTES, &nr, sizeof(nr));
	anchor->len = HKEY_LEN;
}

/* --- lexical ------------------------------------------------------------------------------------
 */

static bool
has_prefix(const struct vos_key *key, const uint8_t *prefix)
{
	return key->len >= LEX_PREFIX && memcmp(key->buf, prefix, LEX_PREFIX) == 0;
}

/* Remember a long key whole; the oldest one is forgotten. Without memory it just is not remembered.
 */
static void
long_remember(struct vos_pool *pool, const struct vos_key *key, const uint64_t hash[2])
{
	struct vos_long_key *lk = &pool->long_keys[pool->long_key_next];
	uint8_t *buf = mem_dup(key->buf, key->len);

	if (buf == NULL)
		return;
	free(lk->buf);
	*lk = (struct vos_long_key){.hash = {hash[0], hash[1]}, .buf = buf, .len = key->len};
	pool->long_key_next = (pool->long_key_next + 1) % VOS_LONG_KEYS;
}

static const struct vos_long_key *
long_recall(const struct vos_pool *pool, const uint64_t hash[2])
{
	uint32_t i;

	for (i = 0; i < VOS_LONG_KEYS; i++)
		if (pool->long_keys[i].buf != NULL &&
		    memcmp(pool->long_keys[i].hash, hash, HASH_BYTES) == 0)
			return &pool->long_keys[i];
	return NULL;
}

void
vos_anchor_pool_fini(struct vos_pool *pool)
{
	uint32_t i;

	for (i = 0; i < VOS_LONG_KEYS; i++)
		free(pool->long_keys[i].buf);
}

/*
 * A key that is remembered whole gives its place exactly. Otherwise look for it among the keys with
 * its beginning: found, the iterator goes behind it; gone, its number among them says where it was.
 */
static int
long_seek(const struct vos_pool *pool, const struct vos_anchor *anchor, struct vos_iter *it)
{
	const uint8_t *prefix = anchor->bytes + LEX_LONG_HEAD;
	struct vos_key from = {.buf = prefix, .len = LEX_PREFIX}, key;
	const struct vos_long_key *lk;
	uint64_t hash[2], want[2];
	uint32_t nr;
	int rc;

	memcpy(want, anchor->bytes + 1, HASH_BYTES);
	lk = long_recall(pool, want);
	if (lk != NULL) {
		key = (struct vos_key){.buf = lk->buf, .len = lk->len};
		return vos_iter_seek(it, BTREE_GT, &key);
	}
	for (rc = vos_iter_seek(it, BTREE_GE, &from); rc == 0; rc = vos_iter_next(it)) {
		rc = vos_iter_get(it, &key, NULL, NULL);
		if (rc != 0)
			return rc;
		if (!has_prefix(&key, prefix))
			break;
		btree_hash(0, key.buf, key.len, hash);
		if (memcmp(hash, want, sizeof(hash)) == 0)
			return vos_iter_next(it);
	}
	if (rc != 0 && rc != -DER_NONEXIST)
		return rc;
	memcpy(&nr, anchor->bytes + 1 + HASH_BYTES, sizeof(nr));
	for (rc = vos_iter_seek(it, BTREE_GE, &from); rc == 0 && nr != 0; nr--) {
		rc = vos_iter_get(it, &key, NULL, NULL);
		if (rc != 0 || !has_prefix(&key, prefix))
			break;
		rc = vos_iter_next(it);
	}
	return rc;
}

static int
lex_seek(const struct vos_pool *pool, const struct vos_anchor *anchor, struct vos_iter *it)
{
	struct vos_key key = {.buf = anchor->bytes + 1, .len = anchor->len - 1};

	return anchor->bytes[0] == LEX_LONG ? long_seek(pool, anchor, it)
					    : vos_iter_seek(it, BTREE_GT, &key);
}

/* How many keys with the same beginning come before this one. */
static int
long_number(struct vos_iter *it, const struct vos_key *key, uint32_t *ret_nr)
{
	struct vos_key have;
	uint32_t nr = 0;
	int rc;

	for (rc = vos_iter_seek(it, BTREE_LT, key); rc == 0; rc = vos_iter_prev(it)) {
		rc = vos_iter_get(it, &have, NULL, NULL);
		if (rc != 0)
			return rc;
		if (!has_prefix(&have, key->buf))
			break;
		nr++;
	}
	*ret_nr = nr;
	return rc == -DER_NONEXIST ? 0 : rc;
}

int
vos_anchor_settle(struct vos_pool *pool, struct vos_anchor *anchor, struct vos_iter *it,
		  const struct vos_keybuf *long_key)
{
	struct vos_key key = {.buf = long_key->buf, .len = long_key->len};
	uint64_t hash[2];
	uint32_t nr;
	int rc;

	if (it->kind != BTREE_LEX || anchor->state != VOS_ANCHOR_INSIDE ||
	    anchor->bytes[0] != LEX_LONG || key.len == 0)
		return 0;
	memcpy(hash, anchor->bytes + 1, HASH_BYTES);
	long_remember(pool, &key, hash);
	rc = long_number(it, &key, &nr);
	if (rc == 0)
		memcpy(anchor->bytes + 1 + HASH_BYTES, &nr, sizeof(nr));
	return rc;
}

static int
lex_set(struct vos_anchor *anchor, const struct vos_key *key, struct vos_keybuf *long_key)
{
	uint64_t hash[2];

	if (key->len <= LEX_KEY_MAX) {
		anchor->bytes[0] = LEX_WHOLE;
		memcpy(anchor->bytes + 1, key->buf, key->len);
		anchor->len = 1 + key->len;
		return 0;
	}
	btree_hash(0, key->buf, key->len, hash);
	anchor->bytes[0] = LEX_LONG;
	memcpy(anchor->bytes + 1, hash, HASH_BYTES);
	memset(anchor->bytes + 1 + HASH_BYTES, 0, 4);
	memcpy(anchor->bytes + LEX_LONG_HEAD, key->buf, LEX_PREFIX);
	anchor->len = LEX_LONG_HEAD + LEX_PREFIX;
	return vos_keybuf_set(long_key, key->buf, key->len);
}

/* --- any key
 * -------------------------------------------------------------------------------------- */

int
vos_anchor_seek(struct vos_pool *pool, const struct vos_anchor *anchor, struct vos_iter *it)
{
	struct vos_key key = {.buf = anchor->bytes, .len = sizeof(uint64_t)};

	if (anchor->state == VOS_ANCHOR_START)
		return vos_iter_seek(it, BTREE_FIRST, NULL);
	switch (it->kind) {
	case BTREE_UINT:
		return vos_iter_seek(it, BTREE_GT, &key);
	case BTREE_HASH:
		return hash_seek(anchor, it);
	default:
		return lex_seek(pool, anchor, it);
	}
}

int
vos_anchor_set(struct vos_anchor *anchor, struct vos_iter *it, struct vos_keybuf *long_key)
{
	uint64_t hash[2] = {0};
	struct vos_key key;
	int rc;

	rc = vos_iter_get(it, &key, hash, NULL);
	if (rc != 0)
		return rc;
	switch (it->kind) {
	case BTREE_UINT:
		memcpy(anchor->bytes, key.buf, sizeof(uint64_t));
		anchor->len = sizeof(uint64_t);
		break;
	case BTREE_HASH:
		hash_set(anchor, hash);
		break;
	default:
		rc = lex_set(anchor, &key, long_key);
		break;
	}
	if (rc == 0)
		anchor->state = VOS_ANCHOR_INSIDE;
	return rc;
}
