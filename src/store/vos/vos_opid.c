/*
 * Identities of operations: which sequence numbers of which client have been executed here.
 *
 * Per client, windows of 512 sequence numbers with a bit each, in a tree of the container;
 * recording one is one bit in the transaction of the change itself. Windows wholly below the
 * client's lowest unanswered sequence are forgotten, one or two with each operation that raises it.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_dtx.h"
#include "store/vos/vos_trim.h"

#include "base/hlc.h"

enum { FORGET_PER_OP = 4 };

#define CLIENT_WINDOW UINT64_MAX
/* The client's record is touched this often, so that silence can be told. */
#define TOUCH_UNITS (600ull * 1000000000 * HLC_UNITS_PER_NS)
/* Clients silent for longer than this are forgotten by aggregation. */
#define SILENT_UNITS (24ull * 3600 * 1000000000 * HLC_UNITS_PER_NS)

static struct btree
opids_of(const struct vos_cont *cont)
{
	return btree_at(cont->pool->heap, cont->df_off + offsetof(struct vos_cont_df, opids));
}

static struct btree
opid_tree(const struct vos_tx *t)
{
	return opids_of(t->cont);
}

static void
opid_key(const uint64_t client[2], uint64_t window, uint8_t key[VOS_OPID_KEY])
{
	uint64_t be = __builtin_bswap64(window);

	memcpy(key, client, 16);
	memcpy(key + 16, &be, 8);
}

/* The record of a window, made if it is missing. */
static int
window_get(struct vos_tx *t, const uint64_t client[2], uint64_t window, uint64_t *ret_off)
{
	uint8_t buf[VOS_OPID_KEY];
	struct btree_key key = btree_key_buf(buf, sizeof(buf));
	int rc;

	opid_key(client, window, buf);
	rc = btree_lookup(opid_tree(t), &key, ret_off);
	if (rc != -DER_NONEXIST)
		return rc;
	return btree_insert(t->tx, opid_tree(t), &key, NULL, ret_off);
}

/* Delete up to max windows of the client below `low`. */
static int
forget(struct vos_tx *t, const uint64_t client[2], uint64_t low, uint32_t max)
{
	uint8_t buf[VOS_OPID_KEY];
	struct btree_key key = btree_key_buf(buf, sizeof(buf)), have;
	struct btree_cursor cur;
	uint64_t be;
	int rc = 0;

	while (rc == 0 && max-- > 0) {
		opid_key(client, 0, buf);
		btree_cursor_init(&cur, opid_tree(t));
		rc = btree_seek(&cur, BTREE_GE, &key);
		if (rc == 0)
			rc = btree_cursor_get(&cur, &have, NULL);
		if (rc == 0 && (have.len != VOS_OPID_KEY || memcmp(have.buf, client, 16) != 0))
			rc = -DER_NONEXIST;
		if (rc == 0) {
			memcpy(buf, have.buf, VOS_OPID_KEY);
			memcpy(&be, buf + 16, 8);
			if (__builtin_bswap64(be) >= low)
				rc = -DER_NONEXIST;
		}
		btree_cursor_fini(&cur);
		if (rc == 0)
			rc = btree_delete(t->tx, opid_tree(t), &key, NULL);
	}
	return rc == -DER_NONEXIST ? 0 : rc;
}

/* Take note of the client's mark. */
static int
client_update(struct vos_tx *t, const struct vos_opid *id, uint64_t window)
{
	uint64_t low = id->low_seq / VOS_OPID_WINDOW, off;
	union vos_opid_df *df;
	bool advance;
	int rc;

	rc = window_get(t, id->client, CLIENT_WINDOW, &off);
	if (rc != 0)
		return rc;
	df = heap_ptr(t->heap, off);
	if (window < df->client.low_window)
		return -DER_STALE;
	advance = low > df->client.low_window;
	if (!advance && t->ord.epoch < df->client.last_epoch + TOUCH_UNITS &&
	    df->client.last_epoch != 0)
		return 0;
	rc = heap_tx_add(t->tx, off, sizeof(df->client));
	if (rc != 0)
		return rc;
	if (t->ord.epoch > df->client.last_epoch)
		df->client.last_epoch = t->ord.epoch;
	if (!advance)
		return 0;
	df->client.low_window = low;
	rc = vos_dtx_forget_below(t, id->client, low * VOS_OPID_WINDOW, FORGET_PER_OP);
	return rc != 0 ? rc : forget(t, id->client, low, FORGET_PER_OP);
}

int
vos_opid_record(struct vos_tx *t, const struct vos_opid *id)
{
	uint64_t window = id->seq / VOS_OPID_WINDOW, bit = id->seq % VOS_OPID_WINDOW, off, word_off;
	uint64_t mask = 1ull << (bit % 64), *word;
	int rc;

	if (id->seq == 0 || window == CLIENT_WINDOW)
		return -DER_INVAL;
	rc = client_update(t, id, window);
	if (rc == 0)
		rc = window_get(t, id->client, window, &off);
	if (rc != 0)
		return rc;
	word_off = off + bit / 64 * sizeof(uint64_t);
	word = heap_ptr(t->heap, word_off);
	if ((*word & mask) != 0)
		return -DER_ALREADY;
	rc = heap_tx_add(t->tx, word_off, sizeof(*word));
	if (rc == 0)
		*word |= mask;
	return rc;
}

int
vos_opid_known(const struct vos_cont *cont, const uint64_t client[2], uint64_t seq)
{
	uint64_t bit = seq % VOS_OPID_WINDOW, off;
	uint8_t buf[VOS_OPID_KEY];
	struct btree_key key = btree_key_buf(buf, sizeof(buf));
	union vos_opid_df df;
	int rc;

	opid_key(client, CLIENT_WINDOW, buf);
	rc = btree_lookup(opids_of(cont), &key, &off);
	if (rc != 0)
		return rc == -DER_NONEXIST ? 0 : rc;
	memcpy(&df, heap_ptr(cont->pool->heap, off), sizeof(df));
	if (seq / VOS_OPID_WINDOW < df.client.low_window)
		return -DER_STALE;
	opid_key(client, seq / VOS_OPID_WINDOW, buf);
	rc = btree_lookup(opids_of(cont), &key, &off);
	if (rc != 0)
		return rc == -DER_NONEXIST ? 0 : rc;
	memcpy(&df, heap_ptr(cont->pool->heap, off), sizeof(df));
	return (df.bits[bit / 64] >> (bit % 64) & 1) != 0 ? -DER_ALREADY : 0;
}

int
vos_opid_expire(struct vos_tx *t, uint64_t now, uint8_t pos[VOS_OPID_KEY], bool *ret_more)
{
	struct btree_key key = btree_key_buf(pos, VOS_OPID_KEY), have;
	struct btree_cursor cur;
	union vos_opid_df df;
	uint64_t client[2], val;
	int rc;

	/* the client's own record is the last of its records */
	*ret_more = false;
	btree_cursor_init(&cur, opid_tree(t));
	rc = btree_seek(&cur, BTREE_GT, &key);
	if (rc == 0)
		rc = btree_cursor_get(&cur, &have, NULL);
	if (rc == 0 && have.len != VOS_OPID_KEY)
		rc = -DER_CSUM;
	if (rc == 0)
		memcpy(client, have.buf, sizeof(client));
	btree_cursor_fini(&cur);
	if (rc != 0)
		return rc == -DER_NONEXIST ? 0 : rc;
	*ret_more = true;
	opid_key(client, CLIENT_WINDOW, pos);
	rc = btree_lookup(opid_tree(t), &key, &val);
	if (rc != 0)
		return rc == -DER_NONEXIST ? -DER_CSUM : rc;
	df = *(union vos_opid_df *)heap_ptr(t->heap, val);
	if (df.client.last_epoch + SILENT_UNITS >= now)
		return forget(t, client, df.client.low_window, FORGET_PER_OP);
	rc = forget(t, client, CLIENT_WINDOW, 64);
	if (rc != 0)
		return rc;
	/* all windows gone? then the client itself; otherwise it is looked at again */
	{
		uint8_t first[VOS_OPID_KEY];
		struct btree_key fkey = btree_key_buf(first, sizeof(first));

		opid_key(client, 0, first);
		btree_cursor_init(&cur, opid_tree(t));
		rc = btree_seek(&cur, BTREE_GE, &fkey);
		if (rc == 0)
			rc = btree_cursor_get(&cur, &have, NULL);
		if (rc == 0 && memcmp(have.buf, pos, VOS_OPID_KEY) != 0) {
			memcpy(pos, first, VOS_OPID_KEY);
			btree_cursor_fini(&cur);
			return 0;
		}
		btree_cursor_fini(&cur);
	}
	return rc != 0 ? rc : btree_delete(t->tx, opid_tree(t), &key, NULL);
}
