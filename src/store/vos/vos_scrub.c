/*
 * Scrubbing: compares everything a container stores with its checksums, whether anybody reads it or
 * not, old versions included.
 *
 * A walk in key order that goes on from key to key, so that anything may change between two steps.
 * Values in the heap are compared on the way. A value in blocks ends the turn: its checksums are
 * copied, its space is held so that nobody can reuse it, and its blocks are read from the device,
 * past the cache, in pieces. So a mismatch found is one of the device even if what was read was
 * overwritten meanwhile. Nothing waits for a step: it takes no locks and changes nothing.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_scrub.h"

#include "base/log.h"

enum {
	TURN_VISITS = 256,      /* keys and versions looked at without a yield */
	READ_BYTES = 256 << 10, /* read at once */
	PAUSED = 1,
	FOUND = 2,
};

/* --- the walk --------------------------------------------------------------------------------- */

static bool
visit(struct vos_scrub *s)
{
	if (s->visits == 0)
		return false;
	s->visits--;
	return true;
}

static void
level_reset(struct vos_scrub *s, int level)
{
	for (; level < SCRUB_LEVELS; level++)
		s->level[level].set = false;
	s->seg_set = false;
	s->ver_set = false;
}

/* Begin work on a key, or go on with it. */
static int
level_enter(struct vos_scrub *s, int level, const struct vos_key *key)
{
	struct scrub_level *lv = &s->level[level];

	if (lv->set && lv->inside && lv->key.len == key->len &&
	    memcmp(lv->key.buf, key->buf, key->len) == 0)
		return 0;
	level_reset(s, level);
	lv->set = true;
	lv->inside = true;
	return vos_keybuf_set(&lv->key, key->buf, key->len);
}

static void
level_leave(struct vos_scrub *s, int level)
{
	s->level[level].inside = false;
	level_reset(s, level + 1);
}

static struct vos_csum_event
event_of(const struct vos_scrub *s)
{
	const struct vos_keybuf *dkey = &s->level[SCRUB_DKEY].key,
				*akey = &s->level[SCRUB_AKEY].key;
	struct vos_csum_event ev = {
	    .found = VOS_CSUM_SCRUB,
	    .oid = s->oid,
	    .dkey = {.iov_buf = dkey->buf, .iov_len = dkey->len, .iov_buf_len = dkey->len},
	    .akey = {.iov_buf = akey->buf, .iov_len = akey->len, .iov_buf_len = akey->len},
	};

	return ev;
}

/* Is a version still to be looked at, and now noted as done? */
static bool
next_ver(struct vos_scrub *s, struct vos_ord ord)
{
	if (s->ver_set && vos_ord_cmp(ord, s->ver) >= 0)
		return false;
	s->ver_set = true;
	s->ver = ord;
	return true;
}

/* Compare what lies in the heap. */
static void
check_inline(struct vos_scrub *s, const void *p, const struct scrub_item *it)
{
	struct csum *csum = &s->cont->csum;
	struct vos_csum_event ev = event_of(s);
	uint8_t got[CSUM_LEN_MAX];
	struct iovec iov = {(void *)p, it->bytes};
	struct iov_iter pos;
	uint64_t bad = 0, bad_nr = 1;
	bool ok;

	iov_iter_init(&pos, &iov, 1);
	if (it->single) {
		csum_iov(csum, &pos, it->bytes, got);
		ok = memcmp(got, it->sum, csum->len) == 0;
	} else {
		ok = vos_sums_check(s->cont, it->idx, it->nr, it->rec_size, &pos, it->sum, &bad,
				    &bad_nr);
	}
	s->bytes += it->bytes;
	if (ok)
		return;
	ev.single = it->single;
	ev.recx = (daos_recx_t){.rx_idx = bad, .rx_nr = bad_nr};
	ev.epoch = it->epoch;
	ev.dev_off = heap_off(s->cont->pool->heap, p) + (bad - it->idx) * it->rec_size;
	vos_csum_report(s->cont, &ev);
}

static int
item_take(struct vos_scrub *s, const struct scrub_item *it, uint64_t sum_bytes,
	  const struct vos_run_df *run, uint32_t run_nr)
{
	s->item = *it;
	s->item.sum = mem_dup(it->sum, sum_bytes);
	s->item.run = mem_dup(run, run_nr * sizeof(*run));
	s->item.run_nr = run_nr;
	return s->item.sum == NULL || s->item.run == NULL ? -DER_NOMEM : FOUND;
}

static int
scan_single(struct vos_scrub *s, const struct vos_krec *k)
{
	struct heap *heap = s->cont->pool->heap;
	const struct vos_run_df *run;
	struct vos_sv sv;
	uint64_t off;
	uint32_t nr;
	int rc;

	for (off = k->child; off != 0;) {
		rc = vos_sv_get(heap, k, off, &sv);
		if (rc == 0)
			rc = vos_hist_first(heap, sv.older, &off);
		if (rc != 0)
			return rc;
		if (!visit(s))
			return PAUSED;
		if (!next_ver(s, vos_sv_ord(&sv)) || sv.kind == VOS_VER_PUNCH ||
		    sv.sum_len != s->cont->csum.len)
			continue;
		struct scrub_item it = {.single = true,
					.nr = 1,
					.rec_size = sv.size,
					.bytes = sv.size,
					.epoch = sv.epoch,
					.sum = (uint8_t *)sv.sum};

		if (sv.kind == VOS_VER_INLINE) {
			if (sv.size > sv.cap)
				return -DER_CSUM;
			check_inline(s, sv.data, &it);
			continue;
		}
		run = vos_sv_runs(&sv, &nr);
		return item_take(s, &it, sv.sum_len, run, nr);
	}
	return 0;
}

/* A version of a segment. */
static int
scan_ver(struct vos_scrub *s, const struct vos_seg *seg, const struct vos_ver_df *ver)
{
	struct heap *heap = s->cont->pool->heap;
	struct vos_run_df run;
	struct vos_sums sums;
	struct vos_span span;
	const void *p;
	int rc;

	if (ver->kind == VOS_VER_PUNCH || !vos_sums_has(ver))
		return 0;
	rc = vos_sums_get(heap, s->cont, ver, seg->start, seg->df.len, &sums);
	if (rc == 0)
		rc = vos_span_get(heap, ver, seg->start, seg->df.len, &sums, &span);
	if (rc != 0)
		return rc;
	struct scrub_item it = {.idx = span.idx,
				.nr = span.nr,
				.rec_size = ver->rec_size,
				.bytes = span.nr * ver->rec_size,
				.epoch = ver->epoch,
				.skip = span.addr % SPACE_BLOCK,
				.sum = (uint8_t *)sums.sum};

	if (span.kind == VOS_VER_INLINE) {
		p = heap_try(heap, span.addr, it.bytes);
		if (p == NULL)
			return HEAP_MISS;
		check_inline(s, p, &it);
		return 0;
	}
	run.blk = span.addr / SPACE_BLOCK;
	run.blk_nr = (it.skip + it.bytes + SPACE_BLOCK - 1) / SPACE_BLOCK;
	return item_take(s, &it, sums.nr * s->cont->csum.len, &run, 1);
}

static int
scan_seg(struct vos_scrub *s, const struct vos_seg *seg)
{
	struct heap *heap = s->cont->pool->heap;
	struct vos_ver_df ver = seg->df.ver;
	uint64_t off;
	int rc;

	for (;;) {
		struct vos_ord was = s->ver;
		bool was_set = s->ver_set;

		if (!visit(s))
			return PAUSED;
		rc = next_ver(s, vos_ver_ord(&ver)) ? scan_ver(s, seg, &ver) : 0;
		if (rc < 0) { /* not done, or to be done again */
			s->ver = was;
			s->ver_set = was_set;
		}
		if (rc == 0)
			rc = vos_hist_first(heap, ver.older, &off);
		if (rc != 0 || off == 0)
			return rc;
		if (heap_try(heap, off, sizeof(ver)) == NULL)
			return HEAP_MISS;
		memcpy(&ver, heap_ptr(heap, off), sizeof(ver));
	}
}

static int
scan_array(struct vos_scrub *s, const struct vos_krec *k)
{
	struct vos_seg seg;
	int rc;

	for (;;) {
		rc = vos_seg_find(s->cont->pool->heap, k,
				  !s->seg_set     ? BTREE_FIRST
				  : s->seg_inside ? BTREE_GE
						  : BTREE_GT,
				  s->seg, &seg);
		if (rc != 0)
			return rc == -DER_NONEXIST ? 0 : rc;
		if (!s->seg_set || seg.start != s->seg)
			s->ver_set = false;
		s->seg_set = true;
		s->seg_inside = true;
		s->seg = seg.start;
		rc = scan_seg(s, &seg);
		if (rc != 0)
			return rc;
		s->seg_inside = false;
		s->ver_set = false;
	}
}

/* The child where the walk is, or the next one; its key is copied. */
static int
child_at(struct vos_scrub *s, int level, uint64_t parent, enum vos_key_kind parent_kind,
	 enum btree_kind kind, uint64_t *ret_off)
{
	struct scrub_level *lv = &s->level[level];
	struct vos_key key = {.buf = lv->key.buf, .len = lv->key.len};
	struct vos_iter it;
	int rc;

	rc = vos_iter_init(&it, s->cont->pool->heap, parent, parent_kind, kind);
	if (rc == 0)
		rc = vos_iter_seek(&it,
				   !lv->set     ? BTREE_FIRST
				   : lv->inside ? BTREE_GE
						: BTREE_GT,
				   &key);
	if (rc == 0)
		rc = vos_iter_get(&it, &key, NULL, ret_off);
	if (rc == 0)
		rc = vos_keybuf_set(&s->name, key.buf, key.len);
	vos_iter_fini(&it);
	if (rc != 0)
		return rc;
	key = (struct vos_key){.buf = s->name.buf, .len = s->name.len};
	return level_enter(s, level, &key);
}

static int
scan_akeys(struct vos_scrub *s, uint64_t dkey)
{
	struct vos_krec k;
	uint64_t akey;
	int rc;

	for (;;) {
		rc = child_at(s, SCRUB_AKEY, dkey, VOS_KEY_DKEY, vos_akey_kind(s->oid.id), &akey);
		if (rc != 0)
			return rc == -DER_NONEXIST ? 0 : rc;
		if (!visit(s))
			return PAUSED;
		rc = vos_krec_get(s->cont->pool->heap, akey, VOS_KEY_AKEY, &k);
		if (rc == 0 && k.child != 0)
			rc = k.tag == VOS_CHILD_SV ? scan_single(s, &k) : scan_array(s, &k);
		if (rc != 0)
			return rc;
		level_leave(s, SCRUB_AKEY);
	}
}

static int
scan_dkeys(struct vos_scrub *s, uint64_t obj)
{
	uint64_t dkey;
	int rc;

	for (;;) {
		rc = child_at(s, SCRUB_DKEY, obj, VOS_KEY_OBJ, vos_dkey_kind(s->oid.id), &dkey);
		if (rc != 0)
			return rc == -DER_NONEXIST ? 0 : rc;
		rc = visit(s) ? scan_akeys(s, dkey) : PAUSED;
		if (rc != 0)
			return rc;
		level_leave(s, SCRUB_DKEY);
	}
}

static int
obj_at(struct vos_scrub *s, uint64_t *ret_off)
{
	struct scrub_level *lv = &s->level[SCRUB_OBJ];
	struct heap *heap = s->cont->pool->heap;
	struct btree bt = btree_at(heap, s->cont->df_off + offsetof(struct vos_cont_df, objs));
	struct btree_key key = btree_key_buf(lv->key.buf, lv->key.len);
	struct btree_cursor cur;
	struct vos_key name;
	uint64_t val;
	int rc;

	btree_cursor_init(&cur, bt);
	rc = btree_seek(&cur, !lv->set ? BTREE_FIRST : lv->inside ? BTREE_GE : BTREE_GT, &key);
	if (rc == 0)
		rc = btree_cursor_get(&cur, &key, &val);
	if (rc == 0 && key.len != VOS_OID_KEY)
		rc = -DER_CSUM;
	if (rc == 0) {
		*ret_off = *(uint64_t *)heap_ptr(heap, val);
		vos_oid_decode(key.buf, &s->oid);
		rc = vos_keybuf_set(&s->name, key.buf, key.len);
	}
	btree_cursor_fini(&cur);
	name = (struct vos_key){.buf = s->name.buf, .len = s->name.len};
	return rc != 0 ? rc : level_enter(s, SCRUB_OBJ, &name);
}

/* Go on until something must be read (FOUND), the turn is over (PAUSED) or all is done (0). */
static int
scan(struct vos_scrub *s)
{
	uint64_t obj;
	int rc;

	s->visits = TURN_VISITS;
	for (;;) {
		rc = vos_cont_check(s->cont);
		if (rc == 0)
			rc = obj_at(s, &obj);
		if (rc != 0)
			return rc == -DER_NONEXIST ? 0 : rc;
		rc = visit(s) ? scan_dkeys(s, obj) : PAUSED;
		if (rc != 0)
			return rc;
		level_leave(s, SCRUB_OBJ);
	}
}

/* --- what lies in blocks ---------------------------------------------------------------------- */

/* The bytes of the item as a stream, read in large pieces. */
struct reader {
	struct vos_scrub *s;
	uint32_t run;  /* the one being read */
	uint64_t blk;  /* within it */
	uint64_t skip; /* bytes in front of the first wanted one */
	uint8_t *p;    /* what was read and is not used yet */
	uint64_t p_bytes;
};

static int co_fn
reader_fill(struct reader *r)
{
	const struct scrub_item *it = &r->s->item;
	uint64_t n;
	int rc;

	if (r->run < it->run_nr && r->blk == it->run[r->run].blk_nr) {
		r->run++;
		r->blk = 0;
	}
	if (r->run >= it->run_nr)
		return -DER_CSUM; /* shorter than its size */
	n = it->run[r->run].blk_nr - r->blk;
	if (n > READ_BYTES / SPACE_BLOCK)
		n = READ_BYTES / SPACE_BLOCK;
	rc = dev_read(r->s->cont->pool->dev_data, (it->run[r->run].blk + r->blk) * SPACE_BLOCK,
		      r->s->buf, n * SPACE_BLOCK);
	if (rc != 0)
		return rc;
	r->blk += n;
	r->p = r->s->buf + r->skip;
	r->p_bytes = n * SPACE_BLOCK - r->skip;
	r->skip = 0;
	return 0;
}

/* The checksum of the next bytes. `sum` is the scrubber's own: others compute while it reads. */
static int co_fn
reader_sum(struct reader *r, uint64_t bytes, uint8_t *ret_sum)
{
	struct csum *sum = &r->s->csum;
	int rc;

	csum_begin(sum);
	while (bytes > 0) {
		uint64_t n;

		if (r->p_bytes == 0) {
			rc = reader_fill(r);
			if (rc != 0)
				return rc;
		}
		n = bytes < r->p_bytes ? bytes : r->p_bytes;
		csum_update(sum, r->p, n);
		r->p += n;
		r->p_bytes -= n;
		bytes -= n;
	}
	csum_end(sum, ret_sum);
	return 0;
}

static int co_fn
item_check(struct vos_scrub *s)
{
	const struct scrub_item *it = &s->item;
	uint64_t recs = csum_chunk_recs(s->cont->csum_chunk, it->rec_size);
	uint64_t pos = it->idx, end = it->idx + it->nr, next;
	const uint8_t *sum = it->sum;
	struct reader r = {.s = s, .skip = it->skip};
	uint8_t got[CSUM_LEN_MAX];
	int rc;

	for (; pos < end; pos = next, sum += s->csum.len) {
		struct vos_csum_event ev = event_of(s);

		next = it->single ? end : csum_chunk_end(pos, recs);
		if (next > end)
			next = end;
		rc = reader_sum(&r, (next - pos) * it->rec_size, got);
		if (rc != 0)
			return rc;
		if (memcmp(got, sum, s->csum.len) == 0)
			continue;
		ev.single = it->single;
		ev.nvme = true;
		ev.recx = (daos_recx_t){.rx_idx = pos, .rx_nr = next - pos};
		ev.epoch = it->epoch;
		ev.dev_off =
		    it->run[0].blk * SPACE_BLOCK + it->skip + (pos - it->idx) * it->rec_size;
		vos_csum_report(s->cont, &ev);
	}
	return 0;
}

static void
item_free(struct vos_scrub *s)
{
	free(s->item.sum);
	free(s->item.run);
	s->item = (struct scrub_item){0};
}

/* --- steps ------------------------------------------------------------------------------------ */

int
vos_scrub_create(struct vos_cont *cont, struct vos_scrub **ret_s)
{
	struct vos_scrub *s = mem_new(struct vos_scrub);
	int rc;

	if (s == NULL)
		return -DER_NOMEM;
	rc = csum_init(&s->csum, cont->csum.type);
	s->buf = rc == 0 ? dev_buf_alloc(READ_BYTES) : NULL;
	if (s->buf == NULL) {
		csum_fini(&s->csum);
		free(s);
		return -DER_NOMEM;
	}
	s->cont = cont;
	cont->refs++;
	*ret_s = s;
	return 0;
}

void
vos_scrub_destroy(struct vos_scrub *s)
{
	int i;

	if (s == NULL)
		return;
	for (i = 0; i < SCRUB_LEVELS; i++)
		free(s->level[i].key.buf);
	free(s->name.buf);
	item_free(s);
	dev_buf_free(s->buf, READ_BYTES);
	csum_fini(&s->csum);
	vos_cont_close(s->cont);
	free(s);
}

int co_fn
vos_scrub_step(struct vos_scrub *s, uint64_t max_bytes, uint64_t *ret_bytes, bool *ret_more)
{
	struct vos_pool *pool = s->cont->pool;
	struct space_hold hold;
	int rc = 0;

	s->bytes = 0;
	*ret_more = s->cont->csum.len != 0;
	while (*ret_more && s->bytes < max_bytes) {
		do
			rc = scan(s);
		while (heap_retry(pool->heap, &rc));
		*ret_more = rc == PAUSED || rc == FOUND;
		if (rc == FOUND) {
			space_hold(pool->space, &hold);
			/* small data may still be on their way to the device */
			rc = heap_wait_durable(pool->heap, heap_last_lsn(pool->heap));
			if (rc == 0)
				rc = item_check(s);
			space_release(pool->space, &hold);
			s->bytes += s->item.bytes;
		} else if (rc == PAUSED) {
			rc = 0;
			co_yield();
		}
		item_free(s);
		if (rc == -DER_IO) { /* what cannot be read is for others to tell */
			log_every(60000, LOG_LVL_WARN, "pool %s: cannot be read: scrubbing goes on",
				  pool->name);
			rc = 0;
		}
		if (rc != 0)
			*ret_more = false;
	}
	pool->csum_stats.scrub_bytes += s->bytes;
	*ret_bytes = s->bytes;
	return rc;
}
