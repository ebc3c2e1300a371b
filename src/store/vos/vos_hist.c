/*
 * The versions behind the newest one of a value.
 *
 * They are a list, newest first, which begins in the newest version. While it is short, a search
 * walks it. With more than VOS_HIST_LIST of them the newest version points to a vos_hist_df
 * instead: where the list begins, how long it is, and an index (epoch, operation) -> version. The
 * list stays as it is, so who wants all of them walks it as before (vos_hist_first); late inserts
 * and reads at an epoch find their place through the index. It goes when the list is short again.
 * The newest version is never in it: reading it costs nothing, however long the history is.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_internal.h"

#include <endian.h>

#include "base/log.h"

struct hist_key {
	uint8_t buf[12];
	struct btree_key key;
};

static const struct btree_conf index_conf = {.kind = BTREE_LEX, .val_bytes = 8};

static void
key_make(struct vos_ord ord, struct hist_key *k)
{
	uint64_t epoch = htobe64(ord.epoch);
	uint32_t op = htobe32(ord.op);

	memcpy(k->buf, &epoch, 8);
	memcpy(k->buf + 8, &op, 4);
	k->key = btree_key_buf(k->buf, sizeof(k->buf));
}

static uint64_t
head_off(uint64_t older)
{
	return older & ~(uint64_t)VOS_OLDER_HIST;
}

static int
head_get(struct heap *heap, uint64_t older, struct vos_hist_df **ret_head)
{
	struct vos_hist_df *head = heap_try_df(heap, head_off(older), sizeof(*head));

	if (head == NULL)
		return HEAP_MISS;
	if (head->magic != VOS_HIST_MAGIC) {
		log_err("heap offset %#llx: not a history", (unsigned long long)head_off(older));
		return -DER_CSUM;
	}
	*ret_head = head;
	return 0;
}

static struct btree
index_of(struct heap *heap, uint64_t older)
{
	return btree_at(heap, head_off(older) + offsetof(struct vos_hist_df, index));
}

int
vos_hist_first(struct heap *heap, uint64_t older, uint64_t *ret_off)
{
	struct vos_hist_df *head;
	int rc;

	*ret_off = older;
	if (!vos_hist_indexed(older))
		return 0;
	rc = head_get(heap, older, &head);
	if (rc == 0)
		*ret_off = head->first;
	return rc;
}

/* A version in the list. */
static int
item_get(const struct vos_hist *h, uint64_t off, struct vos_ord *ret_ord, uint64_t *ret_older)
{
	const struct vos_ver_df *ver;
	struct vos_sv sv;
	int rc;

	if (h->akey != NULL) {
		rc = vos_sv_get(h->heap, h->akey, off, &sv);
		if (rc != 0)
			return rc;
		*ret_ord = vos_sv_ord(&sv);
		*ret_older = sv.older;
		return 0;
	}
	ver = heap_try_df(h->heap, off, sizeof(*ver));
	if (ver == NULL)
		return HEAP_MISS;
	*ret_ord = vos_ver_ord(ver);
	*ret_older = ver->older;
	return 0;
}

static int
item_link(struct vos_tx *t, const struct vos_hist *h, uint64_t off, uint64_t older)
{
	if (h->akey != NULL)
		return vos_sv_link(t, h->akey->off, off, older);
	return heap_tx_write(t->tx, off + offsetof(struct vos_ver_df, older), &older,
			     sizeof(older));
}

/* --- finding -----------------------------------------------------------------------------------
 */

static int
near_in_list(const struct vos_hist *h, struct vos_ord ord, uint64_t *ret_newer, uint64_t *ret_off)
{
	uint64_t off, older = 0;
	struct vos_ord have;
	int rc;

	*ret_newer = 0;
	for (off = h->older; off != 0; off = older) {
		rc = item_get(h, off, &have, &older);
		if (rc != 0)
			return rc;
		if (vos_ord_cmp(have, ord) <= 0)
			break;
		*ret_newer = off;
	}
	*ret_off = off;
	return 0;
}

/* The version that the index has at this place; 0 = none. */
static int
index_find(const struct vos_hist *h, enum btree_seek how, struct vos_ord ord, uint64_t *ret_off)
{
	struct btree_cursor cur;
	struct hist_key k;
	uint64_t val;
	int rc;

	key_make(ord, &k);
	*ret_off = 0;
	btree_cursor_init(&cur, index_of(h->heap, h->older));
	rc = btree_seek(&cur, how, &k.key);
	if (rc == 0)
		rc = btree_cursor_get(&cur, NULL, &val);
	if (rc == 0)
		*ret_off = *(uint64_t *)heap_ptr(h->heap, val);
	btree_cursor_fini(&cur);
	return rc == -DER_NONEXIST ? 0 : rc;
}

int
vos_hist_near(const struct vos_hist *h, struct vos_ord ord, uint64_t *ret_newer, uint64_t *ret_off)
{
	uint64_t newer, off, older;
	struct vos_ord have;
	int rc;

	if (ret_newer == NULL)
		ret_newer = &newer;
	if (!vos_hist_indexed(h->older))
		return near_in_list(h, ord, ret_newer, ret_off);
	rc = index_find(h, BTREE_LE, ord, &off);
	if (rc == 0 && ret_newer != &newer)
		rc = index_find(h, BTREE_GT, ord, ret_newer);
	if (rc == 0 && off != 0) /* a damaged index must not lead anywhere */
		rc = item_get(h, off, &have, &older);
	if (rc == 0 && off != 0 && vos_ord_cmp(have, ord) > 0)
		rc = -DER_CSUM;
	if (rc == 0)
		*ret_off = off;
	return rc;
}

int
vos_hist_oldest(const struct vos_hist *h, struct vos_ord *ret_ord)
{
	uint64_t off, older;
	int rc;

	assert(vos_hist_indexed(h->older));
	rc = index_find(h, BTREE_FIRST, (struct vos_ord){0}, &off);
	if (rc == 0 && off == 0)
		rc = -DER_CSUM;
	return rc != 0 ? rc : item_get(h, off, ret_ord, &older);
}

/* --- changing ----------------------------------------------------------------------------------
 */

static int
index_put(struct vos_tx *t, uint64_t older, struct vos_ord ord, uint64_t off)
{
	struct hist_key k;

	key_make(ord, &k);
	return btree_insert(t->tx, index_of(t->heap, older), &k.key, &off, NULL);
}

/* Versions of a list; stops counting behind the limit. */
static int
list_count(const struct vos_hist *h, uint32_t limit, uint32_t *ret_nr)
{
	uint64_t off, older = 0;
	struct vos_ord ord;
	uint32_t nr = 0;
	int rc;

	for (off = h->older; off != 0 && nr <= limit; off = older, nr++) {
		rc = item_get(h, off, &ord, &older);
		if (rc != 0)
			return rc;
	}
	*ret_nr = nr;
	return 0;
}

int
vos_hist_index(struct vos_tx *t, struct vos_hist *h)
{
	struct vos_hist_df *head;
	uint64_t root, off, older = 0;
	struct vos_ord ord;
	uint32_t nr;
	int rc;

	if (vos_hist_indexed(h->older))
		return 0;
	rc = list_count(h, VOS_HIST_LIST, &nr);
	if (rc != 0 || nr <= VOS_HIST_LIST)
		return rc;
	rc = heap_alloc(t->tx, sizeof(*head), 0, &root);
	if (rc == 0)
		rc = btree_create(t->tx, root + offsetof(struct vos_hist_df, index), &index_conf);
	if (rc != 0)
		return rc;
	head = heap_ptr(t->heap, root);
	head->magic = VOS_HIST_MAGIC;
	head->first = h->older;
	for (off = h->older; rc == 0 && off != 0; off = older) {
		rc = item_get(h, off, &ord, &older);
		if (rc == 0)
			rc = index_put(t, root, ord, off);
		head->nr++;
	}
	h->older = root | VOS_OLDER_HIST;
	return rc;
}

static int
keep_all(struct heap_tx *tx, uint64_t val_off, void *arg)
{
	return 0;
}

/* Give the index up: a plain list again. */
static int
index_drop(struct vos_tx *t, struct vos_hist *h, const struct vos_hist_df *head)
{
	struct btree index = index_of(t->heap, h->older);
	uint64_t root = head_off(h->older);
	bool empty;
	int rc;

	h->older = head->first;
	rc = btree_clear(t->tx, index, UINT32_MAX, keep_all, NULL, &empty);
	if (rc == 0)
		rc = btree_destroy(t->tx, index);
	return rc != 0 ? rc : heap_free(t->tx, root);
}

static int
first_set(struct vos_tx *t, struct vos_hist *h, uint64_t off)
{
	if (!vos_hist_indexed(h->older)) {
		h->older = off;
		return 0;
	}
	return heap_tx_write(t->tx, head_off(h->older) + offsetof(struct vos_hist_df, first), &off,
			     sizeof(off));
}

static int
nr_add(struct vos_tx *t, const struct vos_hist *h, struct vos_hist_df *head, int64_t add)
{
	int rc;

	rc = heap_tx_add(t->tx, head_off(h->older) + offsetof(struct vos_hist_df, nr),
			 sizeof(head->nr));
	if (rc == 0)
		head->nr += add;
	return rc;
}

int
vos_hist_insert(struct vos_tx *t, struct vos_hist *h, uint64_t newer, uint64_t next, uint64_t off)
{
	struct vos_hist_df *head;
	struct vos_ord ord;
	uint64_t was;
	int rc;

	rc = item_get(h, off, &ord, &was);
	if (rc == 0 && was != next)
		rc = item_link(t, h, off, next);
	if (rc == 0)
		rc = newer != 0 ? item_link(t, h, newer, off) : first_set(t, h, off);
	if (rc != 0)
		return rc;
	if (!vos_hist_indexed(h->older))
		return vos_hist_index(t, h);
	rc = head_get(t->heap, h->older, &head);
	if (rc == 0)
		rc = nr_add(t, h, head, 1);
	return rc != 0 ? rc : index_put(t, head_off(h->older), ord, off);
}

int
vos_hist_remove(struct vos_tx *t, struct vos_hist *h, uint64_t newer, uint64_t off)
{
	struct vos_hist_df *head;
	struct hist_key k;
	struct vos_ord ord;
	uint64_t next;
	int rc;

	rc = item_get(h, off, &ord, &next);
	if (rc == 0)
		rc = newer != 0 ? item_link(t, h, newer, next) : first_set(t, h, next);
	if (rc != 0 || !vos_hist_indexed(h->older))
		return rc;
	key_make(ord, &k);
	rc = btree_delete(t->tx, index_of(t->heap, h->older), &k.key, NULL);
	if (rc == 0)
		rc = head_get(t->heap, h->older, &head);
	if (rc == 0)
		rc = nr_add(t, h, head, -1);
	return rc == 0 && head->nr <= VOS_HIST_LIST / 2 ? index_drop(t, h, head) : rc;
}

/* --- checks ------------------------------------------------------------------------------------
 */

int
vos_hist_verify(const struct vos_hist *h, int (*fn)(void *arg, uint64_t off), void *arg)
{
	uint64_t off, found, older = 0, nr = 0, keys;
	struct vos_hist_df *head;
	struct vos_ord ord;
	int rc;

	if (!vos_hist_indexed(h->older)) {
		uint32_t n;

		rc = list_count(h, VOS_HIST_LIST, &n);
		return rc != 0 ? rc : n > VOS_HIST_LIST ? -DER_CSUM : 0;
	}
	rc = head_get(h->heap, h->older, &head);
	if (rc == 0)
		rc = fn(arg, head_off(h->older));
	if (rc == 0)
		rc = btree_verify(index_of(h->heap, h->older), fn, arg, &keys);
	for (off = rc == 0 ? head->first : 0; rc == 0 && off != 0; off = older, nr++) {
		rc = item_get(h, off, &ord, &older);
		if (rc == 0)
			rc = index_find(h, BTREE_EQ, ord, &found);
		if (rc == 0 && found != off)
			rc = -DER_CSUM;
	}
	if (rc == 0 && (nr != keys || head->nr != nr || nr <= VOS_HIST_LIST / 2))
		rc = -DER_CSUM;
	if (rc == -DER_CSUM)
		log_err("heap offset %#llx: index of versions differs from their list",
			(unsigned long long)head_off(h->older));
	return rc;
}
