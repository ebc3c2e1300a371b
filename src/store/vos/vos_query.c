/* Largest and smallest integer keys and array indices; newest epochs. */
#define LOG_FACILITY "vos"
#include "store/vos/vos_order.h"

struct query {
	struct vos_cont *cont;
	struct vos_query *q;
	bool max;
	bool want_dkey, want_akey, want_recx;
	enum btree_kind dkind, akind;
	struct vos_key dkey_name, akey_name;
	/* results */
	uint64_t dkey, akey;
	daos_recx_t recx;
};

static int
key_step(struct vos_iter *it, bool max)
{
	return max ? vos_iter_prev(it) : vos_iter_next(it);
}

/* The visible extent at the end asked for. -DER_NONEXIST: none. */
static int
find_recx(struct query *s, const struct vos_krec *k, struct vos_ord hidden)
{
	struct vos_seg_iter it;
	struct vos_seg seg;
	struct vos_ver_df ver;
	bool found = false;
	int rc;

	if (k->tag == VOS_CHILD_SV)
		return -DER_NONEXIST;
	rc = vos_seg_iter_init(&it, s->cont->pool->heap, k);
	if (rc == 0)
		rc = vos_seg_iter_seek(&it, s->max ? BTREE_LAST : BTREE_FIRST, 0);
	while (rc == 0) {
		rc = vos_seg_iter_get(&it, &seg);
		if (rc == 0)
			rc = vos_ver_find(s->cont->pool->heap, &seg.df, s->q->epoch, hidden, &ver,
					  &found);
		if (rc != 0 || found)
			break;
		rc = s->max ? vos_seg_iter_prev(&it) : vos_seg_iter_next(&it);
	}
	vos_seg_iter_fini(&it);
	if (rc == 0)
		s->recx = (daos_recx_t){.rx_idx = seg.start, .rx_nr = seg.df.len};
	return rc;
}

static int
try_akey(struct query *s, uint64_t akey, struct vos_ord hidden)
{
	struct heap *heap = s->cont->pool->heap;
	struct vos_krec k;
	int rc, seen;

	rc = vos_krec_get(heap, akey, VOS_KEY_AKEY, &k);
	if (rc == 0)
		rc = vos_hidden(heap, &k, s->q->epoch, hidden, &hidden);
	if (rc != 0)
		return rc;
	if (s->want_recx)
		return find_recx(s, &k, hidden);
	seen = vos_akey_visible(heap, akey, s->q->epoch, hidden);
	return seen < 0 ? seen : seen ? 0 : -DER_NONEXIST;
}

static int
try_dkey(struct query *s, uint64_t dkey, struct vos_ord hidden)
{
	struct heap *heap = s->cont->pool->heap;
	struct vos_krec k;
	struct vos_iter it;
	struct vos_key name;
	uint64_t akey;
	int rc, seen;

	if (!s->want_akey && !s->want_recx) {
		seen = vos_dkey_visible(heap, dkey, s->akind, s->q->epoch, hidden);
		return seen < 0 ? seen : seen ? 0 : -DER_NONEXIST;
	}
	rc = vos_krec_get(heap, dkey, VOS_KEY_DKEY, &k);
	if (rc == 0)
		rc = vos_hidden(heap, &k, s->q->epoch, hidden, &hidden);
	if (rc != 0)
		return rc;
	if (!s->want_akey) {
		rc = vos_child_find(heap, dkey, VOS_KEY_DKEY, s->akind, &s->akey_name, &akey);
		if (rc == 0 && akey == 0)
			rc = -DER_NONEXIST;
		return rc != 0 ? rc : try_akey(s, akey, hidden);
	}
	rc = vos_iter_init(&it, heap, dkey, VOS_KEY_DKEY, s->akind);
	if (rc == 0)
		rc = vos_iter_seek(&it, s->max ? BTREE_LAST : BTREE_FIRST, NULL);
	while (rc == 0) {
		rc = vos_iter_get(&it, &name, NULL, &akey);
		if (rc == 0)
			rc = try_akey(s, akey, hidden);
		if (rc != -DER_NONEXIST)
			break;
		rc = key_step(&it, s->max);
	}
	if (rc == 0)
		memcpy(&s->akey, name.buf, sizeof(s->akey));
	vos_iter_fini(&it);
	return rc;
}

/* Whether keys are there decides the answer: the lowest level that is named is read as a whole. */
static int
query_order(struct query *s)
{
	struct vos_scope scope = {
	    .oid = &s->q->oid,
	    .dkey = s->want_dkey ? NULL : &s->dkey_name,
	    .akey = s->want_dkey || s->want_akey ? NULL : &s->akey_name,
	};

	vos_order_begin(s->q->order);
	return vos_order_read(s->cont, &scope, s->q->epoch, s->q->order);
}

/* One attempt, without a yield. */
static int
query_once(struct query *s)
{
	struct heap *heap = s->cont->pool->heap;
	struct vos_ord hidden = {0};
	struct vos_krec k;
	struct vos_iter it;
	struct vos_key name;
	uint64_t obj, dkey;
	int rc;

	rc = vos_cont_check(s->cont);
	if (rc == 0 && vos_order_needed(s->cont, s->q->order))
		rc = query_order(s);
	if (rc == 0)
		rc = vos_obj_find(s->cont, &s->q->oid, &obj);
	if (rc == 0)
		rc = vos_readable(s->cont, s->q->epoch, obj, false, 0);
	if (rc != 0)
		return rc;
	if (obj == 0)
		return -DER_NONEXIST;
	rc = vos_krec_get(heap, obj, VOS_KEY_OBJ, &k);
	if (rc == 0)
		rc = vos_hidden(heap, &k, s->q->epoch, hidden, &hidden);
	if (rc != 0)
		return rc;
	s->q->max_epoch = k.chg_epoch;
	if (!s->want_dkey) {
		rc = vos_child_find(heap, obj, VOS_KEY_OBJ, s->dkind, &s->dkey_name, &dkey);
		if (rc == 0 && dkey == 0)
			rc = -DER_NONEXIST;
		return rc != 0 ? rc : try_dkey(s, dkey, hidden);
	}
	rc = vos_iter_init(&it, heap, obj, VOS_KEY_OBJ, s->dkind);
	if (rc == 0)
		rc = vos_iter_seek(&it, s->max ? BTREE_LAST : BTREE_FIRST, NULL);
	while (rc == 0) {
		rc = vos_iter_get(&it, &name, NULL, &dkey);
		if (rc == 0)
			rc = try_dkey(s, dkey, hidden);
		if (rc != -DER_NONEXIST)
			break;
		rc = key_step(&it, s->max);
	}
	if (rc == 0)
		memcpy(&s->dkey, name.buf, sizeof(s->dkey));
	vos_iter_fini(&it);
	return rc;
}

static int
query_check(struct query *s)
{
	struct vos_query *q = s->q;
	bool max = q->flags & DAOS_GET_MAX, min = q->flags & DAOS_GET_MIN;

	s->max = max;
	s->want_dkey = q->flags & DAOS_GET_DKEY;
	s->want_akey = q->flags & DAOS_GET_AKEY;
	s->want_recx = q->flags & DAOS_GET_RECX;
	s->dkind = vos_dkey_kind(q->oid.id);
	s->akind = vos_akey_kind(q->oid.id);
	if (max == min || q->epoch == 0)
		return -DER_INVAL;
	if (!s->want_dkey && !s->want_akey && !s->want_recx)
		return -DER_INVAL;
	if (s->dkind != BTREE_UINT || (s->want_akey && s->akind != BTREE_UINT))
		return -DER_INVAL;
	s->dkey = q->dkey;
	s->dkey_name = (struct vos_key){.buf = &s->dkey, .len = sizeof(s->dkey)};
	if (s->want_akey)
		return q->akey == NULL || q->akey->iov_buf == NULL ||
			       q->akey->iov_buf_len < sizeof(uint64_t)
			   ? -DER_INVAL
			   : 0;
	return s->want_recx ? vos_key_check(s->akind, q->akey, &s->akey_name) : 0;
}

int co_fn
vos_query_key(struct vos_cont *cont, struct vos_query *q)
{
	struct query s = {.cont = cont, .q = q};
	struct heap *heap = cont->pool->heap;
	int rc, rc2;

	q->max_epoch = 0;
	rc = query_check(&s);
	if (rc != 0)
		return rc;
	cont->refs++;
	do
		rc = query_once(&s);
	while (heap_retry(heap, &rc));
	rc2 = heap_wait_durable(heap, heap_last_lsn(heap));
	vos_cont_close(cont);
	if (rc == 0)
		rc = rc2;
	if (rc != 0)
		return rc;
	if (s.want_dkey)
		q->dkey = s.dkey;
	if (s.want_akey) {
		memcpy(q->akey->iov_buf, &s.akey, sizeof(s.akey));
		q->akey->iov_len = sizeof(s.akey);
	}
	if (s.want_recx)
		q->recx = s.recx;
	return 0;
}

static int
obj_epoch(struct vos_cont *cont, const struct vos_oid *oid, uint64_t *ret_epoch)
{
	struct vos_krec k;
	uint64_t off;
	int rc;

	rc = vos_cont_check(cont);
	if (rc == 0)
		rc = vos_obj_find(cont, oid, &off);
	if (rc == 0 && off == 0)
		rc = -DER_NONEXIST;
	if (rc != 0)
		return rc;
	rc = vos_krec_get(cont->pool->heap, off, VOS_KEY_OBJ, &k);
	if (rc == 0)
		*ret_epoch = k.chg_epoch;
	return rc;
}

int co_fn
vos_obj_max_epoch(struct vos_cont *cont, const struct vos_oid *oid, uint64_t *ret_epoch)
{
	struct heap *heap = cont->pool->heap;
	uint64_t epoch = 0;
	int rc, rc2;

	cont->refs++;
	do
		rc = obj_epoch(cont, oid, &epoch);
	while (heap_retry(heap, &rc));
	rc2 = heap_wait_durable(heap, heap_last_lsn(heap));
	vos_cont_close(cont);
	if (rc == 0)
		rc = rc2;
	if (rc == 0)
		*ret_epoch = epoch;
	return rc;
}
