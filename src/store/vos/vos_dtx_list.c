/* What is known of transactions: status, listing, and forgetting results. */
#define LOG_FACILITY "vos"
#include "store/vos/vos_dtx.h"

enum { LIST_TURN = 256, FORGET_TURN = 64 };

static struct btree
dtx_tree(const struct vos_cont *cont)
{
	return btree_at(cont->pool->heap, cont->df_off + offsetof(struct vos_cont_df, dtxs));
}

static void
info_fill(struct vos_dtx_info *info, const struct vos_dtx_id *id, const struct vos_dtx_df *df)
{
	*info = (struct vos_dtx_info){
	    .ref = {.id = *id, .map_ver = df->map_ver, .attempt = df->attempt, .epoch = df->epoch},
	    .state = df->state,
	};
}

/* --- status ---------------------------------------------------------------------------------- */

static int
status_once(struct vos_cont *cont, const struct vos_dtx_id *id, struct vos_dtx_info *info)
{
	uint8_t buf[VOS_DTX_KEY];
	struct btree_key key = btree_key_buf(buf, sizeof(buf));
	struct vos_dtx_df df;
	uint64_t val;
	int rc;

	rc = vos_cont_check(cont);
	if (rc != 0)
		return rc;
	*info = (struct vos_dtx_info){.ref = {.id = *id}, .state = VOS_DTX_UNKNOWN};
	vos_dtx_key(id, buf);
	rc = btree_lookup(dtx_tree(cont), &key, &val);
	if (rc == 0) {
		memcpy(&df, heap_ptr(cont->pool->heap, val), sizeof(df));
		info_fill(info, id, &df);
	}
	if ((rc != 0 && rc != -DER_NONEXIST) || info->state == VOS_DTX_PREPARED)
		return rc;
	rc = vos_opid_known(cont, id->client, id->seq);
	if (rc == -DER_ALREADY)
		*info = (struct vos_dtx_info){.ref = {.id = *id}, .state = VOS_DTX_COMMITTED};
	else if (rc == -DER_STALE && info->state == VOS_DTX_UNKNOWN)
		info->state = VOS_DTX_FORGOTTEN;
	return rc == -DER_ALREADY || rc == -DER_STALE ? 0 : rc;
}

int co_fn
vos_dtx_status(struct vos_cont *cont, const struct vos_dtx_id *id, struct vos_dtx_info *ret_info)
{
	struct heap *heap = cont->pool->heap;
	int rc, rc2;

	cont->refs++;
	do
		rc = status_once(cont, id, ret_info);
	while (heap_retry(heap, &rc));
	rc2 = heap_wait_durable(heap, heap_last_lsn(heap));
	vos_cont_close(cont);
	return rc != 0 ? rc : rc2;
}

/* --- listing ------------------------------------------------------------------------------------
 */

struct lister {
	struct vos_cont *cont;
	uint32_t states;
	struct vos_dtx_id after;
	bool started;
	bool end, stopped;
	int stop_rc;
	int (*fn)(const struct vos_dtx_info *info, void *arg);
	void *arg;
};

/* The keys of an intent, for those who only look. */
static int
show_keys(const struct vos_intent *in, struct vos_dtx_info *info, struct vos_dtx_key **ret_keys)
{
	struct vos_dtx_key *keys = mem_calloc(in->touch_nr + 1, sizeof(*keys));
	uint32_t i;

	if (keys == NULL)
		return -DER_NOMEM;
	for (i = 0; i < in->touch_nr; i++) {
		const struct vos_touch *t = &in->touch[i];

		keys[i] = (struct vos_dtx_key){
		    .oid = t->oid,
		    .dkey = t->dkey.buf,
		    .dkey_len = t->dkey.len,
		    .akey = t->akey.buf,
		    .akey_len = t->akey.len,
		    .punch = t->punch,
		};
	}
	info->part = in->part;
	info->part_len = in->part_len;
	info->keys = keys;
	info->key_nr = in->touch_nr;
	*ret_keys = keys;
	return 0;
}

static int
show(struct lister *l, const struct vos_dtx_id *id, const struct vos_dtx_df *df)
{
	const struct vos_intent *in = vos_intent_find(l->cont, id);
	CLEANUP(freep)
	struct vos_dtx_key *keys = NULL;
	struct vos_dtx_info info;
	int rc = 0;

	info_fill(&info, id, df);
	if (df->state == VOS_DTX_PREPARED && in != NULL)
		rc = show_keys(in, &info, &keys);
	if (rc != 0)
		return rc;
	rc = l->fn(&info, l->arg);
	l->stopped = rc != 0;
	l->stop_rc = rc < 0 ? rc : 0;
	return 0;
}

static int
list_turn(struct lister *l)
{
	struct heap *heap = l->cont->pool->heap;
	uint8_t buf[VOS_DTX_KEY];
	struct btree_key key = btree_key_buf(buf, sizeof(buf));
	struct btree_cursor cur;
	struct vos_dtx_id id;
	struct vos_dtx_df df;
	uint32_t budget = LIST_TURN;
	uint64_t val;
	int rc;

	rc = vos_cont_check(l->cont);
	if (rc != 0)
		return rc;
	vos_dtx_key(&l->after, buf);
	btree_cursor_init(&cur, dtx_tree(l->cont));
	rc = btree_seek(&cur, l->started ? BTREE_GT : BTREE_GE, &key);
	while (rc == 0 && budget-- > 0) {
		rc = btree_cursor_get(&cur, &key, &val);
		if (rc == 0 && key.len != VOS_DTX_KEY)
			rc = -DER_CSUM;
		if (rc != 0)
			break;
		vos_dtx_id_of(key.buf, &id);
		memcpy(&df, heap_ptr(heap, val), sizeof(df));
		if (l->states == 0 || (l->states & 1u << df.state) != 0)
			rc = show(l, &id, &df);
		if (rc != 0 || l->stopped)
			break;
		l->after = id;
		l->started = true;
		rc = btree_next(&cur);
	}
	btree_cursor_fini(&cur);
	l->end = rc == -DER_NONEXIST;
	return l->end ? 0 : rc;
}

int co_fn
vos_dtx_list(struct vos_cont *cont, uint32_t states, struct vos_dtx_id *after,
	     int (*fn)(const struct vos_dtx_info *info, void *arg), void *arg)
{
	static const struct vos_dtx_id zero;
	struct lister l = {.cont = cont, .states = states, .fn = fn, .arg = arg};
	struct heap *heap = cont->pool->heap;
	int rc, rc2;

	if (after != NULL) {
		l.after = *after;
		l.started = vos_dtx_id_cmp(after, &zero) != 0;
	}
	cont->refs++;
	for (;;) {
		do
			rc = list_turn(&l);
		while (heap_retry(heap, &rc));
		if (rc != 0 || l.end || l.stopped)
			break;
		co_yield();
	}
	if (after != NULL)
		*after = l.after;
	rc2 = heap_wait_durable(heap, heap_last_lsn(heap));
	vos_cont_close(cont);
	return rc != 0 ? rc : rc2 != 0 ? rc2 : l.stop_rc;
}

/* --- forgetting
 * ------------------------------------------------------------------------------------- */

struct forget {
	const struct vos_dtx_id *ids;
	uint32_t nr;
	bool busy;
};

static int
forget_tx(struct vos_tx *t, void *arg)
{
	struct forget *f = arg;
	struct vos_dtx_df df;
	uint32_t i;
	int rc = 0;

	f->busy = false;
	for (i = 0; rc == 0 && i < f->nr; i++) {
		uint8_t buf[VOS_DTX_KEY];
		struct btree_key key = btree_key_buf(buf, sizeof(buf));
		uint64_t val;

		vos_dtx_key(&f->ids[i], buf);
		rc = btree_lookup(dtx_tree(t->cont), &key, &val);
		if (rc == -DER_NONEXIST) {
			rc = 0;
			continue;
		}
		if (rc != 0)
			break;
		memcpy(&df, heap_ptr(t->heap, val), sizeof(df));
		if (df.state == VOS_DTX_PREPARED)
			f->busy = true;
		else
			rc = btree_delete(t->tx, dtx_tree(t->cont), &key, NULL);
	}
	return rc;
}

int co_fn
vos_dtx_forget(struct vos_cont *cont, const struct vos_dtx_id *ids, uint32_t nr)
{
	struct forget f = {.ids = ids};
	struct vos_tx_args args = {
	    .pool = cont->pool,
	    .cont = cont,
	    .flags = HEAP_RESV_RECLAIM,
	    .fn = forget_tx,
	    .arg = &f,
	};
	bool busy = false;
	int rc, rc2;

	rc = vos_cont_check(cont);
	if (rc != 0)
		return rc;
	cont->refs++;
	for (; rc == 0 && nr != 0; nr -= f.nr, f.ids += f.nr) {
		f.nr = nr < FORGET_TURN ? nr : FORGET_TURN;
		args.log_bytes = 8192 + f.nr * 2048ull;
		rc = vos_tx_run(&args);
		busy = busy || f.busy;
	}
	rc2 = heap_wait_durable(cont->pool->heap, heap_last_lsn(cont->pool->heap));
	vos_cont_close(cont);
	return rc != 0 ? rc : rc2 != 0 ? rc2 : busy ? -DER_BUSY : 0;
}

/* --- containers that are gone
 * --------------------------------------------------------------------------- */

int
vos_dtx_forget_below(struct vos_tx *t, const uint64_t client[2], uint64_t seq, uint32_t max)
{
	struct vos_dtx_id at = {.client = {client[0], client[1]}};
	struct btree_cursor cur;
	int rc = 0;

	for (; rc == 0 && max > 0; max--) {
		uint8_t buf[VOS_DTX_KEY];
		struct btree_key key = btree_key_buf(buf, sizeof(buf)), have;
		struct vos_dtx_df df;
		uint64_t val;

		vos_dtx_key(&at, buf);
		btree_cursor_init(&cur, dtx_tree(t->cont));
		rc = btree_seek(&cur, BTREE_GT, &key);
		if (rc == 0)
			rc = btree_cursor_get(&cur, &have, &val);
		if (rc == 0 && have.len != VOS_DTX_KEY)
			rc = -DER_CSUM;
		if (rc == 0) {
			memcpy(buf, have.buf, sizeof(buf));
			memcpy(&df, heap_ptr(t->heap, val), sizeof(df));
		}
		btree_cursor_fini(&cur);
		if (rc != 0)
			break;
		vos_dtx_id_of(buf, &at);
		if (memcmp(at.client, client, sizeof(at.client)) != 0 || at.seq >= seq)
			break;
		if (df.state != VOS_DTX_PREPARED)
			rc = btree_delete(t->tx, dtx_tree(t->cont), &key, NULL);
	}
	return rc == -DER_NONEXIST ? 0 : rc;
}

/* --- containers that are gone ------------------------------------------------------------ */

struct clear {
	struct vos_tx *t;
	struct vos_cont *cont;
};

static int
clear_one(struct heap_tx *tx, uint64_t val_off, void *arg)
{
	struct clear *c = arg;
	struct vos_tx *t = c->t;
	struct vos_intent *in;
	struct vos_dtx_df df;
	uint8_t *body;
	uint32_t i;
	int rc;

	memcpy(&df, heap_ptr(t->heap, val_off), sizeof(df));
	if (df.state != VOS_DTX_PREPARED)
		return 0;
	rc = vos_body_load(t->heap, df.body, df.body_bytes, &body);
	if (rc == 0)
		rc = vos_intent_create(c->cont, &(struct vos_dtx_ref){0}, body, df.body_bytes, &in);
	if (rc != 0)
		return rc;
	for (i = 0; rc == 0 && i < in->ext_nr; i++)
		rc = vos_blocks_free(t, &in->ext[i]);
	vos_intent_put(c->cont, in);
	return rc != 0 ? rc : vos_body_free(t, df.body);
}

int
vos_dtx_clear(struct vos_tx *t, struct vos_cont *cont, uint32_t max, bool *ret_empty)
{
	struct clear c = {.t = t, .cont = cont};

	return btree_clear(t->tx, dtx_tree(cont), max, clear_one, &c, ret_empty);
}
