/*
 * Fetches, in two steps.
 *
 * Begin looks everything up in one go without a yield, so that it sees one state: values in the
 * heap are copied into the context, values in the NVMe tier are noted. Then the blocks are brought
 * into cache memory (their space is held meanwhile, so that nobody can reuse it), and it waits
 * until what was seen is durable. The caller sends from there; end lets go. Values that have
 * checksums are compared with them on the way: vos_fetch_csum.c.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_fetch.h"

#include "base/log.h"
#include "store/vos/vos_order.h"

enum {
	FETCH_FREE_MAX = 256,
	READERS_MAX = 16, /* of one fetch, at the same time */
};

/* --- contexts -----------------------------------------------------------------------------------
 */

static struct vos_fetch *
fetch_alloc(struct vos_cont *cont)
{
	struct vos_pool *pool = cont->pool;
	struct vos_fetch *f;

	if (!list_empty(&pool->fetch_free)) {
		f = list_first(&pool->fetch_free, struct vos_fetch, link);
		list_del(&f->link);
		pool->fetch_free_nr--;
	} else {
		f = mem_alloc(sizeof(*f));
		if (f == NULL)
			return NULL;
		list_init(&f->link);
	}
	f->cont = cont;
	cont->refs++;
	f->iods = f->iod_inl;
	f->pieces = f->piece_inl;
	f->views = f->view_inl;
	f->iovs = f->iov_inl;
	f->buf = f->buf_inl;
	f->checks = f->check_inl;
	f->sums = f->sums_inl;
	f->reuse = NULL;
	f->out = NULL;
	f->recxs = NULL;
	f->piece_cap = PIECE_INL;
	f->iov_cap = IOV_INL;
	f->buf_cap = BUF_INL;
	f->recx_cap = 0;
	f->check_cap = CHECK_INL;
	f->reuse_cap = 0;
	f->sums_cap = SUMS_INL;
	f->distrust = false;
	f->reread = false;
	f->view_nr = 0;
	f->iov_nr = 0;
	return f;
}

static void
free_if_own(void *p, const void *inl)
{
	if (p != inl)
		free(p);
}

static void
views_put(struct vos_fetch *f)
{
	uint32_t i;

	for (i = 0; i < f->view_nr; i++) {
		free(f->views[i].own);
		data_view_put(&f->views[i].view);
	}
	free_if_own(f->views, f->view_inl);
	f->views = f->view_inl;
	f->view_nr = 0;
}

void
vos_fetch_end(struct vos_fetch *f)
{
	struct vos_pool *pool;

	if (f == NULL)
		return;
	pool = f->cont->pool;
	views_put(f);
	free_if_own(f->iods, f->iod_inl);
	free_if_own(f->pieces, f->piece_inl);
	free_if_own(f->checks, f->check_inl);
	free_if_own(f->sums, f->sums_inl);
	free(f->reuse);
	free(f->out);
	free_if_own(f->iovs, f->iov_inl);
	free_if_own(f->buf, f->buf_inl);
	free(f->recxs);
	vos_cont_close(f->cont);
	if (pool->fetch_free_nr < FETCH_FREE_MAX) {
		pool->fetch_free_nr++;
		list_push_front(&pool->fetch_free, &f->link);
	} else {
		free(f);
	}
}

void
vos_fetch_pool_fini(struct vos_pool *pool)
{
	while (!list_empty(&pool->fetch_free)) {
		struct vos_fetch *f = list_first(&pool->fetch_free, struct vos_fetch, link);

		list_del(&f->link);
		free(f);
	}
}

int
vos_fetch_grow(void **arr, const void *inl, uint64_t nr, uint64_t need, uint64_t *cap, size_t size)
{
	uint64_t new_cap = *cap == 0 ? 8 : *cap;
	void *p;

	if (need <= *cap)
		return 0;
	while (new_cap < need)
		new_cap *= 2;
	if (inl != NULL && *arr == inl) {
		p = mem_alloc(new_cap * size);
		if (p != NULL)
			memcpy(p, inl, nr * size);
	} else {
		p = mem_realloc(*arr, new_cap, size);
	}
	if (p == NULL)
		return -DER_NOMEM;
	*arr = p;
	*cap = new_cap;
	return 0;
}

int
vos_fetch_grow32(void **arr, const void *inl, uint32_t nr, uint32_t *cap, size_t size)
{
	uint64_t cap64 = *cap;
	int rc = vos_fetch_grow(arr, inl, nr, (uint64_t)nr + 1, &cap64, size);

	*cap = cap64;
	return rc;
}

/* --- lookup
 * ---------------------------------------------------------------------------------------- */

static int
piece_new(struct vos_fetch *f, enum fetch_kind kind, uint64_t off, uint64_t len)
{
	int rc;

	rc = vos_fetch_grow32((void **)&f->pieces, f->piece_inl, f->piece_nr, &f->piece_cap,
			      sizeof(*f->pieces));
	if (rc != 0)
		return rc;
	f->iod_border = false;
	f->pieces[f->piece_nr++] = (struct fetch_piece){.kind = kind, .off = off, .len = len};
	return 0;
}

/* The last piece, if it is of the kind and this iod's; else NULL. */
static struct fetch_piece *
last_piece(const struct vos_fetch *f, enum fetch_kind kind)
{
	struct fetch_piece *last;

	if (f->iod_border)
		return NULL;
	last = &f->pieces[f->piece_nr - 1];
	return last->kind == kind ? last : NULL;
}

/* A hole, or bytes of the buffer. */
static int
piece_add(struct vos_fetch *f, enum fetch_kind kind, uint64_t off, uint64_t len)
{
	struct fetch_piece *last = last_piece(f, kind);

	if (len == 0)
		return 0;
	if (last != NULL && (kind == FETCH_HOLE || last->off + last->len == off)) {
		last->len += len;
		return 0;
	}
	return piece_new(f, kind, off, len);
}

int
vos_fetch_nvme(struct vos_fetch *f, uint64_t off, uint64_t len, uint64_t read_off,
	       uint64_t read_len)
{
	struct fetch_piece *last = last_piece(f, FETCH_NVME);
	int rc;

	if (len == 0)
		return 0;
	f->nvme_bytes += read_len;
	/* one run, both of what is wanted and of what is read? */
	if (last != NULL && last->off + last->len == off && read_off == off &&
	    last->read_off + last->read_len == off) {
		last->len += len;
		last->read_len += read_len;
		return 0;
	}
	rc = piece_new(f, FETCH_NVME, off, len);
	if (rc != 0)
		return rc;
	f->pieces[f->piece_nr - 1].read_off = read_off;
	f->pieces[f->piece_nr - 1].read_len = read_len;
	f->nvme_pieces++;
	return 0;
}

static int
buf_add(struct vos_fetch *f, const void *src, uint64_t len)
{
	int rc;

	rc = vos_fetch_grow((void **)&f->buf, f->buf_inl, f->buf_bytes, f->buf_bytes + len,
			    &f->buf_cap, 1);
	if (rc != 0)
		return rc;
	memcpy(f->buf + f->buf_bytes, src, len);
	rc = piece_add(f, FETCH_BUF, f->buf_bytes, len);
	f->buf_bytes += len;
	return rc;
}

/* Take note of bytes that were seen, for durability. */
static void
saw(struct vos_fetch *f, uint64_t off, uint32_t len)
{
	uint64_t lsn;

	if (!f->lsn_wanted)
		return;
	lsn = heap_read_lsn(f->cont->pool->heap, off, len);
	if (lsn > f->lsn)
		f->lsn = lsn;
}

/* The record of a key was seen. Its change is in its first bytes: they hold the epochs. */
static void
saw_key(struct vos_fetch *f, const struct vos_krec *k)
{
	saw(f, k->off, VOS_KREC_HEAD);
}

static int
fetch_single(struct vos_fetch *f, uint32_t iod, const struct vos_krec *akey, struct vos_ord hidden)
{
	struct fetch_iod *fi = &f->iods[iod];
	struct vos_sv sv;
	const struct vos_run_df *run;
	uint64_t left;
	uint32_t i, nr;
	int rc;

	if (akey->child != 0 && akey->tag != VOS_CHILD_SV)
		return -DER_INVAL;
	rc = vos_sv_find(f->cont->pool->heap, akey, f->io.epoch, hidden, &sv);
	if (rc != 0 || sv.off == 0)
		return rc;
	saw(f, sv.off, sizeof(struct vos_sv_df));
	fi->size = sv.size;
	if (f->flags & VOS_FETCH_SIZE_ONLY)
		return 0;
	if (sv.kind == VOS_VER_INLINE && sv.size > sv.cap)
		return -DER_CSUM;
	if (sv.sum != NULL)
		rc = vos_fetch_checked_single(f, iod, &sv);
	if (rc != 0)
		return rc;
	if (sv.kind == VOS_VER_INLINE)
		return buf_add(f, sv.data, sv.size);
	left = sv.size;
	run = vos_sv_runs(&sv, &nr);
	for (i = 0; rc == 0 && i < nr && left != 0; i++) {
		uint64_t n = run[i].blk_nr * SPACE_BLOCK;

		if (n > left)
			n = left;
		rc = vos_fetch_nvme(f, run[i].blk * SPACE_BLOCK, n, run[i].blk * SPACE_BLOCK, n);
		left -= n;
	}
	return rc != 0 ? rc : left != 0 ? -DER_CSUM : 0;
}

/* Bytes [off, off + len) of the storage of a version. */
static int
fetch_storage(struct vos_fetch *f, const struct vos_ver_df *ver, uint64_t off, uint64_t len)
{
	struct heap *heap = f->cont->pool->heap;
	uint64_t addr = ver->addr;
	uint8_t kind = ver->kind;
	const void *src;

	if (kind == VOS_VER_COUNTED) {
		const struct vos_ext_df *ext = heap_try_df(heap, addr, sizeof(*ext));

		if (ext == NULL)
			return HEAP_MISS;
		kind = ext->kind;
		addr = ext->addr;
	}
	off += ver->ext_off;
	if (kind == VOS_VER_NVME)
		return vos_fetch_nvme(f, addr * SPACE_BLOCK + off, len, addr * SPACE_BLOCK + off,
				      len);
	if (kind != VOS_VER_INLINE)
		return -DER_CSUM;
	src = heap_try(heap, addr + off, len);
	if (src == NULL)
		return HEAP_MISS;
	saw(f, addr + off, len);
	return buf_add(f, src, len);
}

static int
recx_add(struct vos_fetch *f, struct fetch_iod *fi, uint64_t idx, uint64_t nr)
{
	int rc;

	if (fi->recx_nr != 0) {
		daos_recx_t *last = &f->recxs[f->recx_nr - 1];

		if (last->rx_idx + last->rx_nr == idx) {
			last->rx_nr += nr;
			return 0;
		}
	}
	rc =
	    vos_fetch_grow32((void **)&f->recxs, NULL, f->recx_nr, &f->recx_cap, sizeof(*f->recxs));
	if (rc != 0)
		return rc;
	f->recxs[f->recx_nr++] = (daos_recx_t){.rx_idx = idx, .rx_nr = nr};
	fi->recx_nr++;
	return 0;
}

/* Records [lo, hi) of one segment. */
static int
fetch_segment(struct vos_fetch *f, uint32_t iod, uint32_t recx, const struct vos_seg *seg,
	      uint64_t lo, uint64_t hi, struct vos_ord hidden)
{
	struct fetch_iod *fi = &f->iods[iod];
	struct heap *heap = f->cont->pool->heap;
	struct vos_ver_df ver;
	const void *data;
	bool found;
	int rc;

	rc = vos_ver_find(heap, &seg->df, f->io.epoch, hidden, &ver, &found);
	if (rc != 0)
		return rc;
	saw(f, seg->off, sizeof(seg->df));
	if (!found)
		return piece_add(f, FETCH_HOLE, 0, hi - lo);
	if (fi->size != 0 && fi->size != ver.rec_size)
		return -DER_INVAL; /* records of several sizes: cannot be one answer */
	fi->size = ver.rec_size;
	if (f->flags & VOS_FETCH_NEED_RECX) {
		rc = recx_add(f, fi, lo, hi - lo);
		if (rc != 0)
			return rc;
	}
	if (f->flags & VOS_FETCH_SIZE_ONLY)
		return 0;
	if (!vos_sums_has(&ver))
		return fetch_storage(f, &ver, (lo - seg->start) * ver.rec_size,
				     (hi - lo) * ver.rec_size);
	rc = vos_fetch_checked(f, iod, recx, seg, &ver, lo, hi, &data);
	if (rc != 0 || data == NULL)
		return rc;
	saw(f, heap_off(heap, data), (hi - lo) * ver.rec_size);
	return buf_add(f, data, (hi - lo) * ver.rec_size);
}

static int
fetch_extent(struct vos_fetch *f, uint32_t iod, uint32_t recx_idx, const struct vos_krec *akey,
	     struct vos_ord hidden)
{
	const daos_recx_t *recx = &f->io.iods[iod].iod_recxs[recx_idx];
	uint64_t pos = recx->rx_idx, end = pos + recx->rx_nr, lo, hi;
	struct vos_seg_iter it;
	struct vos_seg seg;
	int rc;

	if (end < pos)
		return -DER_INVAL;
	rc = vos_seg_iter_init(&it, f->cont->pool->heap, akey);
	if (rc == 0)
		rc = vos_seg_iter_seek(&it, BTREE_LE, pos);
	if (rc == -DER_NONEXIST)
		rc = vos_seg_iter_seek(&it, BTREE_GT, pos);
	while (rc == 0 && pos < end) {
		rc = vos_seg_iter_get(&it, &seg);
		if (rc != 0)
			break;
		lo = seg.start > pos ? seg.start : pos;
		hi = seg.start + seg.df.len < end ? seg.start + seg.df.len : end;
		if (lo >= end)
			break;
		if (lo < hi) {
			rc = piece_add(f, FETCH_HOLE, 0, lo - pos);
			if (rc == 0)
				rc = fetch_segment(f, iod, recx_idx, &seg, lo, hi, hidden);
			pos = hi;
		}
		if (rc == 0 && pos < end)
			rc = vos_seg_iter_next(&it);
	}
	vos_seg_iter_fini(&it);
	if (rc != 0 && rc != -DER_NONEXIST)
		return rc;
	return piece_add(f, FETCH_HOLE, 0, end - pos);
}

/* All of the array's extents asked for; akey NULL: nothing is there. */
static int
fetch_array(struct vos_fetch *f, uint32_t iod_idx, const struct vos_krec *akey,
	    struct vos_ord hidden)
{
	const daos_iod_t *iod = &f->io.iods[iod_idx];
	struct fetch_iod *fi = &f->iods[iod_idx];
	uint64_t rec_size;
	uint32_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < iod->iod_nr; i++) {
		if (akey != NULL)
			rc = fetch_extent(f, iod_idx, i, akey, hidden);
		else
			rc = piece_add(f, FETCH_HOLE, 0, iod->iod_recxs[i].rx_nr);
	}
	/* holes were counted in records */
	rec_size = fi->size != 0 ? fi->size : iod->iod_size;
	for (i = fi->piece_first; i < f->piece_nr; i++)
		if (f->pieces[i].kind == FETCH_HOLE)
			f->pieces[i].len *= rec_size;
	return rc;
}

static int
fetch_iod(struct vos_fetch *f, uint32_t i, uint64_t dkey, struct vos_ord hidden)
{
	struct heap *heap = f->cont->pool->heap;
	const daos_iod_t *iod = &f->io.iods[i];
	struct fetch_iod *fi = &f->iods[i];
	enum btree_kind kind = vos_akey_kind(f->io.oid.id);
	struct vos_krec k;
	uint64_t akey = 0, cond;
	int rc = 0, seen;

	fi->size = 0;
	fi->piece_first = f->piece_nr;
	fi->recx_first = f->recx_nr;
	fi->recx_nr = 0;
	f->iod_border = true;
	if (dkey != 0)
		rc = vos_child_find(heap, dkey, VOS_KEY_DKEY, kind, &fi->akey, &akey);
	if (rc != 0)
		return rc;
	cond = f->io.cond_flags & DAOS_COND_PER_AKEY ? iod->iod_flags : f->io.cond_flags;
	if (cond & DAOS_COND_AKEY_FETCH) {
		seen = akey == 0 ? 0 : vos_akey_visible(heap, akey, f->io.epoch, hidden);
		if (seen <= 0)
			return seen < 0 ? seen : -DER_NONEXIST;
	}
	if (akey != 0) {
		rc = vos_krec_get(heap, akey, VOS_KEY_AKEY, &k);
		if (rc != 0)
			return rc;
		saw_key(f, &k);
		rc = vos_hidden(heap, &k, f->io.epoch, hidden, &hidden);
		if (rc != 0)
			return rc;
	}
	if (iod->iod_type == DAOS_IOD_SINGLE)
		rc = akey == 0 ? 0 : fetch_single(f, i, &k, hidden);
	else
		rc = fetch_array(f, i, akey == 0 ? NULL : &k, hidden);
	fi->piece_nr = f->piece_nr - fi->piece_first;
	return rc;
}

/* Read timestamps and intents, all of those in the way at once. */
static int
fetch_order(const struct vos_fetch *f)
{
	const struct vos_io *io = &f->io;
	struct vos_scope scope = {.oid = &io->oid, .dkey = &f->dkey};
	uint32_t i;
	int rc = 0, rc2;

	vos_order_begin(io->order);
	if (io->cond_flags & DAOS_COND_DKEY_FETCH)
		rc = vos_order_read(f->cont, &scope, io->epoch, io->order);
	for (i = 0; i < io->iod_nr; i++) {
		const daos_iod_t *iod = &io->iods[i];
		uint64_t cond =
		    io->cond_flags & DAOS_COND_PER_AKEY ? iod->iod_flags : io->cond_flags;
		bool whole = iod->iod_type != DAOS_IOD_ARRAY || (cond & DAOS_COND_AKEY_FETCH) != 0;

		scope.akey = &f->iods[i].akey;
		scope.recx = whole ? NULL : iod->iod_recxs;
		scope.recx_nr = whole ? 0 : iod->iod_nr;
		rc2 = vos_order_read(f->cont, &scope, io->epoch, io->order);
		if (rc == 0)
			rc = rc2;
	}
	return rc;
}

/* One attempt; does not yield and starts from nothing. */
static int
fetch_lookup(struct vos_fetch *f)
{
	struct heap *heap = f->cont->pool->heap;
	struct vos_ord hidden = {0};
	uint64_t obj, dkey;
	struct vos_krec k;
	uint32_t i;
	int rc, seen;

	f->piece_nr = 0;
	f->recx_nr = 0;
	f->buf_bytes = 0;
	f->nvme_bytes = 0;
	f->nvme_pieces = 0;
	f->check_nr = 0;
	f->reuse_nr = 0;
	f->sums_bytes = 0;
	f->lsn = 0;
	f->lsn_wanted = heap_durable_lsn(heap) < heap_last_lsn(heap);
	rc = vos_cont_check(f->cont);
	if (rc == 0 && vos_order_needed(f->cont, f->io.order))
		rc = fetch_order(f);
	if (rc == 0)
		rc = vos_path_find(f->cont, &f->io.oid, &f->dkey, &obj, &dkey);
	if (rc == 0 && f->io.epoch != UINT64_MAX && (f->flags & VOS_FETCH_VERSION) == 0)
		rc = vos_readable(f->cont, f->io.epoch, obj, true, dkey);
	if (rc != 0)
		return rc;
	if (dkey == 0) {
		/* what is missing may have been removed a moment ago */
		f->lsn = heap_last_lsn(heap);
	} else {
		rc = vos_krec_get(heap, obj, VOS_KEY_OBJ, &k);
		if (rc != 0)
			return rc;
		saw_key(f, &k);
		rc = vos_hidden(heap, &k, f->io.epoch, hidden, &hidden);
		if (rc != 0)
			return rc;
	}
	if (f->io.cond_flags & DAOS_COND_DKEY_FETCH) {
		seen = dkey == 0 ? 0
				 : vos_dkey_visible(heap, dkey, vos_akey_kind(f->io.oid.id),
						    f->io.epoch, hidden);
		if (seen <= 0)
			return seen < 0 ? seen : -DER_NONEXIST;
	}
	if (dkey != 0) {
		rc = vos_krec_get(heap, dkey, VOS_KEY_DKEY, &k);
		if (rc != 0)
			return rc;
		saw_key(f, &k);
		rc = vos_hidden(heap, &k, f->io.epoch, hidden, &hidden);
	}
	for (i = 0; rc == 0 && i < f->io.iod_nr; i++)
		rc = fetch_iod(f, i, dkey, hidden);
	return rc;
}

/* --- bringing the data in
 * ------------------------------------------------------------------------------ */

static int co_fn
view_read(void *arg)
{
	struct fetch_view *v = arg;
	uint64_t blk = v->off / SPACE_BLOCK, end;

	if (v->own != NULL)
		return data_read(v->f->cont->pool->data, v->off, v->own, v->len);
	end = (v->off + v->len + SPACE_BLOCK - 1) / SPACE_BLOCK;
	return data_view_read(v->f->cont->pool->data, blk, end - blk, &v->view);
}

/* Cut a piece into views; returns their number. v NULL: only count. */
static uint32_t
views_cut(struct vos_fetch *f, const struct fetch_piece *piece, struct fetch_view *v)
{
	uint64_t off = piece->read_off, end = off + piece->read_len, next;
	uint32_t nr = 0;

	for (; off < end; off = next, nr++) {
		next = (off / SPACE_BLOCK + DATA_VIEW_BLOCKS_MAX) * SPACE_BLOCK;
		if (next > end)
			next = end;
		if (v != NULL)
			v[nr] = (struct fetch_view){.f = f, .off = off, .len = next - off};
	}
	return nr;
}

static int
views_make(struct vos_fetch *f)
{
	bool own = f->nvme_bytes > VOS_VIEWED_MAX;
	uint32_t i, nr = 0;

	for (i = 0; i < f->piece_nr; i++)
		if (f->pieces[i].kind == FETCH_NVME)
			nr += views_cut(f, &f->pieces[i], NULL);
	if (nr > VIEW_INL) {
		f->views = mem_calloc(nr, sizeof(*f->views));
		if (f->views == NULL) {
			f->views = f->view_inl;
			return -DER_NOMEM;
		}
	}
	for (i = 0; i < f->piece_nr; i++)
		if (f->pieces[i].kind == FETCH_NVME)
			f->view_nr += views_cut(f, &f->pieces[i], &f->views[f->view_nr]);
	for (i = 0; own && i < nr; i++) {
		f->views[i].own = mem_alloc(f->views[i].len);
		if (f->views[i].own == NULL)
			return -DER_NOMEM;
	}
	return 0;
}

/* One of several readers: takes views until there are none left. */
static int co_fn
view_reader(void *arg)
{
	struct vos_fetch *f = arg;
	int rc = 0;

	while (rc == 0 && f->view_next < f->view_nr)
		rc = view_read(&f->views[f->view_next++]);
	return rc;
}

static int co_fn
views_read(struct vos_fetch *f)
{
	struct vos_pool *pool = f->cont->pool;
	bool own = f->views[0].own != NULL;
	struct co_group group;
	uint32_t i;
	int rc = 0, rc2;

	if (f->view_nr == 1)
		return view_read(&f->views[0]);
	f->view_next = 0;
	if (!own)
		co_mutex_lock(&pool->big); /* see vos_update.c */
	co_group_init(&group);
	for (i = 0; rc == 0 && i < f->view_nr && i < READERS_MAX; i++)
		rc = co_group_spawn(&group, view_reader, f);
	rc2 = co_group_join(&group);
	if (!own)
		co_mutex_unlock(&pool->big);
	return rc != 0 ? rc : rc2;
}

static int
iov_add(struct vos_fetch *f, void *base, size_t len)
{
	int rc;

	rc = vos_fetch_grow32((void **)&f->iovs, f->iov_inl, f->iov_nr, &f->iov_cap,
			      sizeof(*f->iovs));
	if (rc == 0)
		f->iovs[f->iov_nr++] = (struct iovec){.iov_base = base, .iov_len = len};
	return rc;
}

int
vos_fetch_iov_view(struct vos_fetch *f, const struct fetch_view *v, uint64_t skip, uint64_t left)
{
	uint32_t i;
	int rc;

	if (v->own != NULL)
		return iov_add(f, v->own + skip, left);
	skip += v->off % SPACE_BLOCK;
	for (i = 0; i < v->view.iov_nr && left != 0; i++) {
		const struct iovec *iov = &v->view.iov[i];
		uint64_t n = iov->iov_len;

		if (skip >= n) {
			skip -= n;
			continue;
		}
		n -= skip;
		if (n > left)
			n = left;
		rc = iov_add(f, (uint8_t *)iov->iov_base + skip, n);
		if (rc != 0)
			return rc;
		skip = 0;
		left -= n;
	}
	return 0;
}

/* What is wanted of a piece, from its views, which begin at *v. */
static int
iov_add_piece(struct vos_fetch *f, const struct fetch_piece *piece, const struct fetch_view **v)
{
	uint64_t skip = piece->off - piece->read_off, left = piece->len, n;
	uint32_t k;
	int rc = 0;

	for (k = views_cut(f, piece, NULL); rc == 0 && k > 0; k--, (*v)++) {
		if (skip >= (*v)->len) {
			skip -= (*v)->len;
			continue;
		}
		n = (*v)->len - skip < left ? (*v)->len - skip : left;
		if (n != 0)
			rc = vos_fetch_iov_view(f, *v, skip, n);
		skip = 0;
		left -= n;
	}
	return rc;
}

static int
iovs_build(struct vos_fetch *f)
{
	const struct fetch_view *v = f->views;
	uint32_t i, j;
	int rc = 0;

	f->iov_nr = 0;
	for (i = 0; i < f->io.iod_nr; i++) {
		struct fetch_iod *fi = &f->iods[i];

		fi->iov_first = f->iov_nr;
		for (j = 0; rc == 0 && j < fi->piece_nr; j++) {
			const struct fetch_piece *piece = &f->pieces[fi->piece_first + j];

			if (piece->kind == FETCH_HOLE && piece->len != 0)
				rc = iov_add(f, NULL, piece->len);
			else if (piece->kind == FETCH_BUF)
				rc = iov_add(f, f->buf + piece->off, piece->len);
			else if (piece->kind == FETCH_NVME)
				rc = iov_add_piece(f, piece, &v);
		}
		fi->iov_nr = f->iov_nr - fi->iov_first;
	}
	return rc;
}

/* --- begin
 * ------------------------------------------------------------------------------------------------
 */

static int
fetch_check(struct vos_fetch *f)
{
	const struct vos_io *io = &f->io;
	uint32_t i;
	int rc;

	rc = vos_key_check(vos_dkey_kind(io->oid.id), io->dkey, &f->dkey);
	if (rc != 0)
		return rc;
	if (io->iod_nr > IOD_INL) {
		f->iods = mem_calloc(io->iod_nr, sizeof(*f->iods));
		if (f->iods == NULL) {
			f->iods = f->iod_inl;
			return -DER_NOMEM;
		}
	}
	for (i = 0; i < io->iod_nr; i++) {
		const daos_iod_t *iod = &io->iods[i];

		rc = vos_key_check(vos_akey_kind(io->oid.id), &iod->iod_name, &f->iods[i].akey);
		if (rc != 0)
			return rc;
		if (iod->iod_type != DAOS_IOD_SINGLE && iod->iod_type != DAOS_IOD_ARRAY)
			return -DER_INVAL;
		if (iod->iod_type == DAOS_IOD_ARRAY && iod->iod_nr != 0 && iod->iod_recxs == NULL)
			return -DER_INVAL;
	}
	return 0;
}

/* Find everything and have it in memory. FETCH_AGAIN: what was in memory is not good enough. */
static int co_fn
fetch_load(struct vos_fetch *f)
{
	struct vos_pool *pool = f->cont->pool;
	struct space_hold hold;
	int rc, rc2;

	do
		rc = fetch_lookup(f);
	while (heap_retry(pool->heap, &rc));
	if (rc != 0) {
		rc2 = heap_wait_durable(pool->heap, heap_last_lsn(pool->heap));
		return rc2 != 0 ? rc2 : rc;
	}
	if (f->nvme_pieces == 0)
		return 0;
	rc = views_make(f);
	if (rc != 0)
		return rc;
	space_hold(pool->space, &hold);
	rc = views_read(f);
	space_release(pool->space, &hold);
	return rc == 0 && f->check_nr != 0 ? vos_fetch_check(f) : rc;
}

static int co_fn
fetch_run(struct vos_fetch *f)
{
	struct vos_pool *pool = f->cont->pool;
	int rc;

	while ((rc = fetch_load(f)) == FETCH_AGAIN)
		views_put(f);
	if (rc == 0)
		rc = iovs_build(f);
	if (rc == 0 && f->flags & VOS_FETCH_NEED_SUMS)
		rc = vos_fetch_sums_out(f);
	if (rc == 0 && f->lsn > heap_durable_lsn(pool->heap))
		rc = heap_wait_durable(pool->heap, f->lsn);
	return rc;
}

int co_fn
vos_fetch_begin(struct vos_cont *cont, const struct vos_io *io, uint32_t flags,
		struct vos_fetch **ret_f)
{
	struct vos_fetch *f;
	int rc;

	rc = vos_cont_check(cont);
	if (rc != 0)
		return rc;
	if (io->epoch == 0 || (io->iods == NULL && io->iod_nr != 0))
		return -DER_INVAL;
	f = fetch_alloc(cont);
	if (f == NULL)
		return -DER_NOMEM;
	f->io = *io;
	f->flags = flags;
	rc = fetch_check(f);
	if (rc == 0)
		rc = fetch_run(f);
	if (rc != 0) {
		vos_fetch_end(f);
		return rc;
	}
	*ret_f = f;
	return 0;
}

uint64_t
vos_fetch_size(const struct vos_fetch *f, uint32_t iod_idx)
{
	assert(iod_idx < f->io.iod_nr);
	return f->iods[iod_idx].size;
}

const struct iovec *
vos_fetch_iov(const struct vos_fetch *f, uint32_t iod_idx, uint32_t *ret_nr)
{
	assert(iod_idx < f->io.iod_nr);
	*ret_nr = f->iods[iod_idx].iov_nr;
	return &f->iovs[f->iods[iod_idx].iov_first];
}

const daos_recx_t *
vos_fetch_recxs(const struct vos_fetch *f, uint32_t iod_idx, uint32_t *ret_nr)
{
	assert(iod_idx < f->io.iod_nr);
	*ret_nr = f->iods[iod_idx].recx_nr;
	return f->recxs + f->iods[iod_idx].recx_first;
}

const uint8_t *
vos_fetch_sums(const struct vos_fetch *f, uint32_t iod_idx, uint32_t *ret_bytes)
{
	const struct fetch_iod *fi = &f->iods[iod_idx];

	assert(iod_idx < f->io.iod_nr);
	*ret_bytes = f->flags & VOS_FETCH_NEED_SUMS ? fi->sums_bytes : 0;
	return *ret_bytes == 0 ? NULL : f->out + fi->sums_first;
}
