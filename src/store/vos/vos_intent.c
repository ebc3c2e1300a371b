/*
 * Intents in memory: found by id, by the dkey or object they touch, and all of an object's.
 *
 * The table of a container exists while it has intents; cont->intents == NULL is all that plain
 * operations look at. Each thing an intent changes is a struct vos_touch in two hash tables: by
 * (object, dkey), punches of whole objects by (object), and all of them by (object) for those who
 * ask about whole objects.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_dtx.h"
#include "store/vos/vos_update.h"

#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"

/* --- hashes ------------------------------------------------------------------------------------
 */

static uint64_t
id_hash(const struct vos_dtx_id *id)
{
	return hash_combine(hash_combine(id->client[0], id->client[1]), id->seq);
}

static uint64_t
obj_hash(const struct vos_oid *oid)
{
	return hash_combine(hash_combine(oid->id.hi, oid->id.lo), oid->shard);
}

static uint64_t
place_hash(const struct vos_oid *oid, const struct vos_key *dkey)
{
	uint64_t h = obj_hash(oid);

	return dkey == NULL || dkey->buf == NULL ? h : hash_bytes(dkey->buf, dkey->len, h);
}

/* --- one intent ----------------------------------------------------------------------------------
 */

static void
intent_free(struct vos_intent *in)
{
	free(in->body);
	free(in->touch);
	free(in->recx);
	free(in->ext);
	free(in);
}

/* How much an intent needs of each kind. */
static void
intent_count(const struct vos_ops *ops, uint32_t *touches, uint32_t *recxs, uint32_t *exts)
{
	uint32_t i, j;

	*touches = *recxs = *exts = 0;
	for (i = 0; i < ops->nr; i++) {
		const struct vos_update *up = ops->one[i].up;

		if (up == NULL) {
			const struct vos_punch *p = &ops->one[i].punch;

			*touches += p->akey_nr != 0 ? p->akey_nr : 1;
			continue;
		}
		*touches += up->io.iod_nr;
		*exts += up->ext_nr;
		for (j = 0; j < up->io.iod_nr; j++)
			if (up->io.iods[j].iod_type == DAOS_IOD_ARRAY)
				*recxs += up->io.iods[j].iod_nr;
	}
}

static void
touch_update(struct vos_intent *in, const struct vos_update *up, uint32_t *recx_nr)
{
	uint32_t i;

	for (i = 0; i < up->io.iod_nr; i++) {
		const daos_iod_t *iod = &up->io.iods[i];
		struct vos_touch *t = &in->touch[in->touch_nr];

		if (up->iods[i].piece_nr == 0)
			continue;
		in->touch_nr++;
		*t = (struct vos_touch){
		    .intent = in,
		    .oid = up->io.oid,
		    .dkey = up->dkey,
		    .akey = up->iods[i].akey,
		    .iod_type = iod->iod_type,
		    .rec_size = iod->iod_size,
		};
		if (iod->iod_type != DAOS_IOD_ARRAY)
			continue;
		t->recx = &in->recx[*recx_nr];
		t->recx_nr = iod->iod_nr;
		memcpy(&in->recx[*recx_nr], iod->iod_recxs, iod->iod_nr * sizeof(*in->recx));
		*recx_nr += iod->iod_nr;
	}
}

static void
touch_punch(struct vos_intent *in, const struct vos_punch *p)
{
	uint32_t i = 0;

	do {
		struct vos_touch *t = &in->touch[in->touch_nr++];

		*t = (struct vos_touch){
		    .intent = in,
		    .oid = p->oid,
		    .dkey = p->dkey,
		    .punch = true,
		};
		if (p->akey_nr != 0)
			t->akey = p->akeys[i];
	} while (++i < p->akey_nr);
}

static int
intent_fill(struct vos_intent *in, const struct vos_ops *ops)
{
	uint32_t touches, recxs, exts, i, at = 0;

	intent_count(ops, &touches, &recxs, &exts);
	in->touch = mem_calloc(touches + 1, sizeof(*in->touch));
	in->recx = mem_calloc(recxs + 1, sizeof(*in->recx));
	in->ext = mem_calloc(exts + 1, sizeof(*in->ext));
	if (in->touch == NULL || in->recx == NULL || in->ext == NULL)
		return -DER_NOMEM;
	in->touch[0].intent = in; /* also when nothing is touched */
	for (i = 0; i < ops->nr; i++) {
		const struct vos_update *up = ops->one[i].up;

		if (up == NULL) {
			touch_punch(in, &ops->one[i].punch);
			continue;
		}
		touch_update(in, up, &at);
		memcpy(&in->ext[in->ext_nr], up->exts, up->ext_nr * sizeof(*in->ext));
		in->ext_nr += up->ext_nr;
	}
	return 0;
}

int
vos_intent_create(struct vos_cont *cont, const struct vos_dtx_ref *ref, uint8_t *body,
		  uint32_t body_bytes, struct vos_intent **ret_in)
{
	struct vos_intent *in = mem_new(struct vos_intent);
	struct vos_ops ops;
	int rc;

	if (in == NULL) {
		free(body);
		return -DER_NOMEM;
	}
	list_init(&in->link);
	in->ref = *ref;
	in->refs = 1;
	in->body = body;
	in->body_bytes = body_bytes;
	rc = vos_body_decode(cont, body, body_bytes, &ops, &in->part, &in->part_len);
	if (rc == 0) {
		in->heap_bytes = vos_ops_heap_bytes(&ops);
		rc = intent_fill(in, &ops);
		vos_ops_fini(&ops);
	}
	if (rc != 0) {
		intent_free(in);
		return rc;
	}
	*ret_in = in;
	return 0;
}

void
vos_intent_get(struct vos_intent *in)
{
	in->refs++;
}

void
vos_intent_put(struct vos_cont *cont, struct vos_intent *in)
{
	if (in == NULL || --in->refs != 0)
		return;
	heap_unreserve(cont->pool->heap, &in->resv);
	intent_free(in);
}

/* --- the table
 * ------------------------------------------------------------------------------------ */

int
vos_intents_ready(struct vos_cont *cont)
{
	struct vos_intents *all = cont->intents_spare;

	if (cont->intents != NULL || all != NULL)
		return 0;
	all = mem_new(struct vos_intents);
	if (all == NULL)
		return -DER_NOMEM;
	list_init(&all->all);
	htable_init(&all->by_id);
	htable_init(&all->by_place);
	htable_init(&all->by_obj);
	cont->intents_spare = all;
	return 0;
}

void
vos_intent_insert(struct vos_cont *cont, struct vos_intent *in)
{
	struct vos_intents *all = cont->intents;
	uint32_t i;

	if (all == NULL) {
		all = cont->intents = cont->intents_spare;
		cont->intents_spare = NULL;
	}
	all->nr++;
	list_push_back(&all->all, &in->link);
	htable_insert(&all->by_id, &in->by_id, id_hash(&in->ref.id));
	for (i = 0; i < in->touch_nr; i++) {
		struct vos_touch *t = &in->touch[i];

		htable_insert(&all->by_place, &t->by_place, place_hash(&t->oid, &t->dkey));
		htable_insert(&all->by_obj, &t->by_obj, obj_hash(&t->oid));
	}
}

void
vos_intent_remove(struct vos_cont *cont, struct vos_intent *in)
{
	struct vos_intents *all = cont->intents;
	uint32_t i;

	for (i = 0; i < in->touch_nr; i++) {
		htable_remove(&all->by_place, &in->touch[i].by_place);
		htable_remove(&all->by_obj, &in->touch[i].by_obj);
	}
	htable_remove(&all->by_id, &in->by_id);
	list_del(&in->link);
	in->gone = true;
	if (--all->nr == 0) {
		/* plain operations go fast again */
		if (cont->intents_spare == NULL) {
			cont->intents_spare = all;
		} else {
			htable_fini(&all->by_id);
			htable_fini(&all->by_place);
			htable_fini(&all->by_obj);
			free(all);
		}
		cont->intents = NULL;
	}
	vos_intent_put(cont, in);
}

struct vos_intent *
vos_intent_find(const struct vos_cont *cont, const struct vos_dtx_id *id)
{
	struct hnode *n;

	if (cont->intents == NULL)
		return NULL;
	for (n = htable_first(&cont->intents->by_id, id_hash(id)); n != NULL; n = htable_next(n)) {
		struct vos_intent *in = container_of(n, struct vos_intent, by_id);

		if (vos_dtx_id_cmp(&in->ref.id, id) == 0)
			return in;
	}
	return NULL;
}

static void
table_free(struct vos_cont *cont, struct vos_intents *all)
{
	if (all == NULL)
		return;
	while (!list_empty(&all->all)) {
		struct vos_intent *in = list_first(&all->all, struct vos_intent, link);

		list_del(&in->link);
		vos_intent_put(cont, in);
	}
	htable_fini(&all->by_id);
	htable_fini(&all->by_place);
	htable_fini(&all->by_obj);
	free(all);
}

void
vos_intents_fini(struct vos_cont *cont)
{
	table_free(cont, cont->intents);
	table_free(cont, cont->intents_spare);
	cont->intents = NULL;
	cont->intents_spare = NULL;
}

uint64_t
vos_dtx_oldest(const struct vos_cont *cont)
{
	uint64_t oldest = UINT64_MAX;
	const struct list *l;

	if (cont->intents == NULL)
		return oldest;
	list_for_each (l, &cont->intents->all) {
		const struct vos_intent *in = list_entry(l, struct vos_intent, link);

		if (in->ref.epoch < oldest)
			oldest = in->ref.epoch;
	}
	return oldest;
}

/* --- overlap
 * ---------------------------------------------------------------------------------------- */

static bool
same_oid(const struct vos_oid *a, const struct vos_oid *b)
{
	return a->id.lo == b->id.lo && a->id.hi == b->id.hi && a->shard == b->shard;
}

static bool
same_key(const struct vos_key *a, const struct vos_key *b)
{
	return a->len == b->len && memcmp(a->buf, b->buf, a->len) == 0;
}

static bool
recxs_overlap(const daos_recx_t *a, uint32_t a_nr, const daos_recx_t *b, uint32_t b_nr)
{
	uint32_t i, j;

	if (a_nr == 0 || b_nr == 0)
		return true;
	for (i = 0; i < a_nr; i++)
		for (j = 0; j < b_nr; j++)
			if (a[i].rx_idx < b[j].rx_idx + b[j].rx_nr &&
			    b[j].rx_idx < a[i].rx_idx + a[i].rx_nr)
				return true;
	return false;
}

static bool
overlaps(const struct vos_scope *s, const struct vos_touch *t)
{
	if (!same_oid(s->oid, &t->oid))
		return false;
	if (s->dkey == NULL || t->dkey.buf == NULL)
		return true;
	if (!same_key(s->dkey, &t->dkey))
		return false;
	if (s->akey == NULL || t->akey.buf == NULL)
		return true;
	return same_key(s->akey, &t->akey) &&
	       recxs_overlap(s->recx, s->recx_nr, t->recx, t->recx_nr);
}

typedef bool (*touch_fn)(const struct vos_touch *touch, void *arg);

static bool
each_placed(const struct vos_intents *all, const struct vos_scope *s, const struct vos_key *dkey,
	    touch_fn fn, void *arg)
{
	struct hnode *n = htable_first(&all->by_place, place_hash(s->oid, dkey));

	for (; n != NULL; n = htable_next(n)) {
		const struct vos_touch *t = container_of(n, struct vos_touch, by_place);

		if (overlaps(s, t) && !fn(t, arg))
			return false;
	}
	return true;
}

void
vos_intents_overlap(const struct vos_cont *cont, const struct vos_scope *scope, touch_fn fn,
		    void *arg)
{
	const struct vos_intents *all = cont->intents;
	const struct list *l;
	struct hnode *n;

	if (all == NULL)
		return;
	if (scope->oid == NULL) {
		list_for_each (l, &all->all)
			if (!fn(&list_entry(l, struct vos_intent, link)->touch[0], arg))
				return;
		return;
	}
	if (scope->dkey != NULL) {
		if (each_placed(all, scope, scope->dkey, fn, arg))
			each_placed(all, scope, NULL, fn, arg);
		return;
	}
	for (n = htable_first(&all->by_obj, obj_hash(scope->oid)); n != NULL; n = htable_next(n)) {
		const struct vos_touch *t = container_of(n, struct vos_touch, by_obj);

		if (overlaps(scope, t) && !fn(t, arg))
			return;
	}
}

/* --- at open
 * ------------------------------------------------------------------------------------------ */

/* The first intent after id (zeros: the first of all), its body loaded. -DER_NONEXIST: none. */
static int
next_intent(struct vos_cont *cont, const struct vos_dtx_id *after, bool first,
	    struct vos_dtx_ref *ret_ref, struct vos_dtx_df *ret_df, uint8_t **ret_body)
{
	struct heap *heap = cont->pool->heap;
	uint8_t buf[VOS_DTX_KEY];
	struct btree_key key = btree_key_buf(buf, sizeof(buf));
	struct btree_cursor cur;
	uint64_t val;
	int rc;

	vos_dtx_key(after, buf);
	btree_cursor_init(&cur, btree_at(heap, cont->df_off + offsetof(struct vos_cont_df, dtxs)));
	rc = btree_seek(&cur, first ? BTREE_FIRST : BTREE_GT, &key);
	for (; rc == 0; rc = btree_next(&cur)) {
		rc = btree_cursor_get(&cur, &key, &val);
		if (rc == 0 && key.len != VOS_DTX_KEY)
			rc = -DER_CSUM;
		if (rc != 0)
			break;
		memcpy(ret_df, heap_ptr(heap, val), sizeof(*ret_df));
		if (ret_df->state == VOS_DTX_PREPARED)
			break;
	}
	if (rc == 0) {
		*ret_ref = (struct vos_dtx_ref){
		    .map_ver = ret_df->map_ver,
		    .attempt = ret_df->attempt,
		    .epoch = ret_df->epoch,
		};
		vos_dtx_id_of(key.buf, &ret_ref->id);
		rc = vos_body_load(heap, ret_df->body, ret_df->body_bytes, ret_body);
	}
	btree_cursor_fini(&cur);
	return rc;
}

int co_fn
vos_intents_load(struct vos_cont *cont)
{
	struct heap *heap = cont->pool->heap;
	struct vos_dtx_ref ref = {0}, next;
	struct vos_intent *in;
	struct vos_dtx_df df;
	bool first = true;
	int rc;

	for (;; first = false) {
		uint8_t *body = NULL;

		do
			rc = next_intent(cont, &ref.id, first, &next, &df, &body);
		while (heap_retry(heap, &rc));
		if (rc != 0)
			return rc == -DER_NONEXIST ? 0 : rc;
		ref = next;
		rc = vos_intents_ready(cont);
		if (rc == 0)
			rc = vos_intent_create(cont, &ref, body, df.body_bytes, &in);
		else
			free(body);
		if (rc != 0)
			return rc;
		in->body_off = df.body;
		in->low_seq = df.low_seq;
		/* it was reserved before; what others got since can only be little */
		if (!cont->pool->read_only)
			rc = heap_reserve(heap, 1, in->heap_bytes, HEAP_RESV_RECLAIM, &in->resv);
		if (rc != 0)
			log_warn("pool %s: no room held for the commit of an intent: " ERR_F,
				 cont->pool->name, ERR_P(rc));
		vos_intent_insert(cont, in);
	}
}
