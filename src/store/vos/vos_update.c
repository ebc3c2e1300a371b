/*
 * Updates, in two steps.
 *
 * Begin cuts the data into pieces: small ones go into the heap with the commit and are gathered in
 * the context's own buffer; others get blocks of the NVMe tier and cache memory for them, into
 * which the caller receives. End writes those blocks (durable, adjacent ones of a loop turn
 * together), then runs one heap transaction that checks the conditions, enters everything into the
 * index and publishes the blocks, and waits for the log. Nothing is visible before, everything
 * after.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_order.h"
#include "store/vos/vos_update.h"

#include "base/log.h"

enum {
	UPDATE_FREE_MAX = 256,
};

/* --- contexts --------------------------------------------------------------------------------- */

struct vos_update *
vos_update_alloc(struct vos_cont *cont)
{
	struct vos_pool *pool = cont->pool;
	struct vos_update *up;

	if (!list_empty(&pool->update_free)) {
		up = list_first(&pool->update_free, struct vos_update, link);
		list_del(&up->link);
		pool->update_free_nr--;
	} else {
		up = mem_alloc(sizeof(*up));
		if (up == NULL)
			return NULL;
		list_init(&up->link);
	}
	up->cont = cont;
	cont->refs++;
	up->iods = up->iod_inl;
	up->pieces = up->piece_inl;
	up->exts = up->ext_inl;
	up->views = up->view_inl;
	up->iovs = up->iov_inl;
	up->buf = up->buf_inl;
	up->sums = up->sums_inl;
	up->written = false;
	up->owner = 0;
	up->own_iods = NULL;
	up->piece_nr = 0;
	up->piece_cap = PIECE_INL;
	up->ext_nr = 0;
	up->ext_cap = PIECE_INL;
	up->view_nr = 0;
	up->iov_nr = 0;
	up->iov_cap = IOV_INL;
	up->buf_bytes = 0;
	up->sums_bytes = 0;
	up->nvme_bytes = 0;
	up->overlapped = false;
	up->resv = (struct heap_resv){0};
	return up;
}

static void
free_if_own(void *p, const void *inl)
{
	if (p != inl)
		free(p);
}

void
vos_update_release(struct vos_update *up)
{
	struct vos_pool *pool = up->cont->pool;
	uint32_t i, j;

	for (i = 0; i < up->view_nr; i++) {
		free(up->views[i].own);
		data_view_put(&up->views[i].view);
	}
	for (i = 0; i < up->piece_nr; i++) {
		const struct vos_piece *piece = &up->pieces[i];

		for (j = 0; j < piece->ext_nr && !piece->published && !piece->allocated; j++)
			space_cancel(pool->space, &piece->ext[j]);
	}
	heap_unreserve(pool->heap, &up->resv);
	free_if_own(up->iods, up->iod_inl);
	free_if_own(up->pieces, up->piece_inl);
	free_if_own(up->exts, up->ext_inl);
	free_if_own(up->views, up->view_inl);
	free_if_own(up->iovs, up->iov_inl);
	free_if_own(up->buf, up->buf_inl);
	free_if_own(up->sums, up->sums_inl);
	free(up->own_iods);
	vos_cont_close(up->cont);
	if (pool->update_free_nr < UPDATE_FREE_MAX) {
		pool->update_free_nr++;
		list_push_front(&pool->update_free, &up->link);
	} else {
		free(up);
	}
}

void
vos_update_pool_fini(struct vos_pool *pool)
{
	while (!list_empty(&pool->update_free)) {
		struct vos_update *up = list_first(&pool->update_free, struct vos_update, link);

		list_del(&up->link);
		free(up);
	}
}

/* Make room for one more entry of an array that begins inside the context. */
static int
grow(void **arr, const void *inl, uint32_t nr, uint32_t *cap, size_t size)
{
	uint32_t new_cap = *cap * 2;
	void *p;

	if (nr < *cap)
		return 0;
	if (*arr == inl) {
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

/* --- cutting into pieces
 * -------------------------------------------------------------------------- */

static int
piece_add(struct vos_update *up, uint8_t kind, uint64_t idx, uint64_t nr, uint64_t rec_size)
{
	struct vos_piece *piece;
	int rc;

	rc = grow((void **)&up->pieces, up->piece_inl, up->piece_nr, &up->piece_cap,
		  sizeof(*up->pieces));
	if (rc != 0)
		return rc;
	piece = &up->pieces[up->piece_nr++];
	*piece = (struct vos_piece){
	    .idx = idx,
	    .nr = nr,
	    .bytes = nr * rec_size,
	    .rec_size = rec_size,
	    .kind = kind,
	};
	if (kind == VOS_VER_INLINE) {
		up->buf_bytes += piece->bytes;
		if (up->buf_bytes > VOS_UPDATE_INLINE_MAX)
			return -DER_REC2BIG;
	}
	return 0;
}

/* One update carries only so much of it: then the rest goes to the other tier, if there is one. */
static bool
goes_inline(const struct vos_update *up, uint64_t bytes)
{
	const struct vos_cont *cont = up->cont;

	return vos_goes_inline(cont, bytes) &&
	       (cont->pool->space == NULL || up->buf_bytes + bytes <= VOS_UPDATE_INLINE_MAX);
}

/* Reserve blocks and attach them to the newest piece. last: there is no smaller wish to fall back
 * to. */
static int co_fn
ext_add(struct vos_update *up, uint64_t blk_nr, uint32_t flags, bool last, uint32_t *ret_got)
{
	struct vos_pool *pool = up->cont->pool;
	struct space_ext ext;
	uint32_t tries = 0;
	int rc;

	rc = grow((void **)&up->exts, up->ext_inl, up->ext_nr, &up->ext_cap, sizeof(*up->exts));
	if (rc != 0)
		return rc;
	do {
		do
			rc = space_reserve(pool->space, blk_nr, 0, flags, &ext);
		while (heap_retry(pool->heap, &rc));
	} while (rc == -DER_NOSPACE && last && vos_space_comes(pool, &tries));
	if (rc != 0)
		return rc;
	up->exts[up->ext_nr++] = ext;
	up->pieces[up->piece_nr - 1].ext_nr++;
	*ret_got = ext.blk_nr;
	return 0;
}

static uint64_t
blocks_of(uint64_t bytes)
{
	return (bytes + SPACE_BLOCK - 1) / SPACE_BLOCK;
}

/* A single value in the NVMe tier: as few runs of blocks as free space allows. */
static int co_fn
single_reserve(struct vos_update *up, uint64_t bytes)
{
	uint64_t left = blocks_of(bytes);
	uint32_t got;
	int rc;

	rc = piece_add(up, VOS_VER_NVME, 0, 1, bytes);
	while (rc == 0 && left != 0) {
		rc = ext_add(up, left < SPACE_EXT_BLOCKS_MAX ? left : SPACE_EXT_BLOCKS_MAX, 0, true,
			     &got);
		if (rc == 0)
			left -= got;
	}
	if (rc == 0 && up->pieces[up->piece_nr - 1].ext_nr > 1)
		up->pieces[up->piece_nr - 1].kind = VOS_VER_LIST;
	up->nvme_bytes += bytes;
	return rc;
}

/* How many of n records to try next when n did not fit in one run: about half, by whole blocks. */
static uint64_t
half(uint64_t n, uint64_t rec_size)
{
	uint64_t bytes = n * rec_size / 2 / SPACE_BLOCK * SPACE_BLOCK;
	uint64_t h = bytes / rec_size;

	return h != 0 ? h : n / 2;
}

/* n of the nr records left go into one piece: fewer, so that it has whole chunks. */
static uint64_t
piece_cut(const struct vos_update *up, uint64_t idx, uint64_t n, uint64_t nr, uint64_t rec_size)
{
	const struct vos_cont *cont = up->cont;

	if (n == nr && vos_sums_bytes(cont, idx, n, rec_size) <= VOS_PIECE_SUMS_MAX)
		return n;
	return vos_sums_cut(cont, idx, n, rec_size);
}

/* An extent in the NVMe tier: pieces that are contiguous, cut at records. */
static int co_fn
extent_reserve(struct vos_update *up, uint64_t idx, uint64_t nr, uint64_t rec_size)
{
	uint64_t max = VOS_PIECE_BYTES_MAX / rec_size, n;
	uint32_t got;
	int rc;

	for (; nr != 0; idx += n, nr -= n) {
		n = max == 0 ? 1 : nr < max ? nr : max;
		n = piece_cut(up, idx, n, nr, rec_size);
		if (n * rec_size > (uint64_t)SPACE_EXT_BLOCKS_MAX * SPACE_BLOCK)
			return -DER_REC2BIG;
		rc = piece_add(up, VOS_VER_NVME, idx, n, rec_size);
		if (rc != 0)
			return rc;
		for (;;) {
			uint64_t blks = blocks_of(n * rec_size);
			bool last = n == 1 || blks == 1;

			rc = ext_add(up, blks, SPACE_CONTIG, last, &got);
			if (rc != -DER_NOSPACE || last)
				break;
			n = piece_cut(up, idx, half(n, rec_size), nr, rec_size);
			up->pieces[up->piece_nr - 1].nr = n;
			up->pieces[up->piece_nr - 1].bytes = n * rec_size;
		}
		if (rc != 0)
			return rc;
		up->nvme_bytes += n * rec_size;
	}
	return 0;
}

static int co_fn
extent_pieces(struct vos_update *up, const daos_recx_t *recx, uint64_t rec_size)
{
	uint64_t idx = recx->rx_idx, nr = recx->rx_nr, bytes, n, max;
	int rc = 0;

	if (nr == 0)
		return 0;
	if (idx + nr < idx)
		return -DER_INVAL;
	if (rec_size == 0)
		return piece_add(up, VOS_VER_PUNCH, idx, nr, 0);
	if (__builtin_mul_overflow(nr, rec_size, &bytes) || bytes > UINT32_MAX)
		return -DER_REC2BIG;
	if (!goes_inline(up, bytes))
		return extent_reserve(up, idx, nr, rec_size);
	if (rec_size > VOS_INLINE_MAX)
		return -DER_REC2BIG;
	max = VOS_INLINE_MAX / rec_size;
	for (; rc == 0 && nr != 0; idx += n, nr -= n) {
		n = piece_cut(up, idx, nr < max ? nr : max, nr, rec_size);
		rc = piece_add(up, VOS_VER_INLINE, idx, n, rec_size);
	}
	return rc;
}

static int co_fn
single_piece(struct vos_update *up, uint64_t size)
{
	if (size == 0)
		return piece_add(up, VOS_VER_PUNCH, 0, 1, 0);
	if (!goes_inline(up, size))
		return size > UINT32_MAX ? -DER_REC2BIG : single_reserve(up, size);
	if (size > HEAP_ALLOC_MAX - sizeof(struct vos_sv_df))
		return -DER_REC2BIG;
	return piece_add(up, VOS_VER_INLINE, 0, 1, size);
}

static int co_fn
iod_pieces(struct vos_update *up, const daos_iod_t *iod, struct update_iod *ui)
{
	uint32_t i;
	int rc;

	ui->piece_first = up->piece_nr;
	rc = vos_key_check(vos_akey_kind(up->io.oid.id), &iod->iod_name, &ui->akey);
	if (rc != 0)
		return rc;
	switch (iod->iod_type) {
	case DAOS_IOD_SINGLE:
		if (iod->iod_nr > 1)
			return -DER_INVAL;
		rc = single_piece(up, iod->iod_size);
		break;
	case DAOS_IOD_ARRAY:
		if (iod->iod_size > UINT32_MAX || (iod->iod_nr != 0 && iod->iod_recxs == NULL))
			return -DER_INVAL;
		for (i = 0; rc == 0 && i < iod->iod_nr; i++)
			rc = extent_pieces(up, &iod->iod_recxs[i], iod->iod_size);
		break;
	default:
		return -DER_INVAL;
	}
	ui->piece_nr = up->piece_nr - ui->piece_first;
	return rc;
}

void
vos_update_link(struct vos_update *up)
{
	uint8_t *buf = up->buf, *sum = up->sums;
	uint32_t i, ext = 0;

	for (i = 0; i < up->piece_nr; i++) {
		struct vos_piece *piece = &up->pieces[i];

		piece->ext = &up->exts[ext];
		ext += piece->ext_nr;
		if (piece->kind == VOS_VER_INLINE) {
			piece->buf = buf;
			buf += piece->bytes;
		}
		if (piece->sum_bytes != 0) {
			piece->sum = sum;
			sum += piece->sum_bytes;
		}
	}
}

/* --- memory to receive into
 * -------------------------------------------------------------------------- */

/* One view for at most VOS_PIECE_BYTES_MAX of a run, so that a long run takes several. */
static uint32_t
views_of(const struct space_ext *ext)
{
	return (ext->blk_nr + DATA_VIEW_BLOCKS_MAX - 1) / DATA_VIEW_BLOCKS_MAX;
}

static int co_fn
view_get(struct vos_update *up, struct update_view *v, uint64_t blk, uint32_t blk_nr)
{
	*v = (struct update_view){.ext = {.blk = blk, .blk_nr = blk_nr}, .up = up};
	if (up->nvme_bytes > VOS_VIEWED_MAX) {
		v->own = mem_alloc((size_t)blk_nr * SPACE_BLOCK);
		return v->own == NULL ? -DER_NOMEM : 0;
	}
	return data_view_alloc(up->cont->pool->data, blk, blk_nr, &v->view);
}

static int co_fn
views_get(struct vos_update *up)
{
	struct vos_pool *pool = up->cont->pool;
	uint32_t i, nr = 0, done;
	bool big;
	int rc = 0;

	for (i = 0; i < up->ext_nr; i++)
		nr += views_of(&up->exts[i]);
	if (nr > VIEW_INL) {
		up->views = mem_calloc(nr, sizeof(*up->views));
		if (up->views == NULL) {
			up->views = up->view_inl;
			return -DER_NOMEM;
		}
	}
	/* one gatherer at a time: all others hold what they need and will end */
	big = nr > 1 && up->nvme_bytes <= VOS_VIEWED_MAX;
	if (big)
		co_mutex_lock(&pool->big);
	for (i = 0; rc == 0 && i < up->ext_nr; i++) {
		const struct space_ext *ext = &up->exts[i];

		for (done = 0; rc == 0 && done < ext->blk_nr;) {
			uint32_t n = ext->blk_nr - done;

			if (n > DATA_VIEW_BLOCKS_MAX)
				n = DATA_VIEW_BLOCKS_MAX;
			rc = view_get(up, &up->views[up->view_nr], ext->blk + done, n);
			if (rc == 0)
				up->view_nr++;
			done += n;
		}
	}
	if (big)
		co_mutex_unlock(&pool->big);
	return rc;
}

static int
iov_add(struct vos_update *up, void *base, size_t len)
{
	int rc;

	rc = grow((void **)&up->iovs, up->iov_inl, up->iov_nr, &up->iov_cap, sizeof(*up->iovs));
	if (rc == 0)
		up->iovs[up->iov_nr++] = (struct iovec){.iov_base = base, .iov_len = len};
	return rc;
}

/* The first `bytes` of a view; what is behind them in its last block is zeroed. */
static int
iov_add_view(struct vos_update *up, struct update_view *v, uint64_t bytes)
{
	struct iovec whole = {.iov_base = v->own, .iov_len = (size_t)v->ext.blk_nr * SPACE_BLOCK};
	const struct iovec *iov = v->own != NULL ? &whole : v->view.iov;
	uint32_t i, nr = v->own != NULL ? 1 : v->view.iov_nr;
	int rc;

	for (i = 0; i < nr; i++) {
		size_t n = iov[i].iov_len < bytes ? iov[i].iov_len : bytes;

		if (n != 0) {
			rc = iov_add(up, iov[i].iov_base, n);
			if (rc != 0)
				return rc;
		}
		memset((uint8_t *)iov[i].iov_base + n, 0, iov[i].iov_len - n);
		bytes -= n;
	}
	return 0;
}

static int
iovs_build(struct vos_update *up)
{
	struct update_view *v = up->views;
	uint32_t i, j, k, e;
	int rc = 0;

	for (i = 0; i < up->io.iod_nr; i++) {
		struct update_iod *ui = &up->iods[i];

		ui->iov_first = up->iov_nr;
		for (j = 0; rc == 0 && j < ui->piece_nr; j++) {
			struct vos_piece *piece = &up->pieces[ui->piece_first + j];
			uint64_t left = piece->bytes;

			if (piece->kind == VOS_VER_INLINE)
				rc = iov_add(up, piece->buf, piece->bytes);
			for (e = 0; e < piece->ext_nr; e++) {
				for (k = views_of(&piece->ext[e]); rc == 0 && k > 0; k--, v++) {
					uint64_t room = (uint64_t)v->ext.blk_nr * SPACE_BLOCK;
					uint64_t n = left < room ? left : room;

					rc = iov_add_view(up, v, n);
					left -= n;
				}
			}
		}
		ui->iov_nr = up->iov_nr - ui->iov_first;
	}
	return rc;
}

/* --- begin
 * -------------------------------------------------------------------------------------------- */

static int
io_check(const struct vos_io *io)
{
	if (io->epoch == 0 || io->epoch == UINT64_MAX || io->iods == NULL || io->iod_nr == 0)
		return -DER_INVAL;
	return 0;
}

uint64_t
vos_update_heap_bytes(const struct vos_update *up)
{
	uint64_t sums = up->sums_bytes == 0 ? 0 : up->sums_bytes + 2 * VOS_PIECE_SUMS_MAX;

	return up->buf_bytes + sums + up->piece_nr * 512ull + up->io.iod_nr * 256ull + 16384 +
	       2 * up->dkey.len;
}

uint64_t
vos_update_log_bytes(const struct vos_update *up)
{
	return up->buf_bytes + 2 * up->sums_bytes + up->piece_nr * 1024ull +
	       up->io.iod_nr * 512ull + 8192 + 2 * up->dkey.len;
}

static int co_fn
update_prepare(struct vos_update *up)
{
	struct vos_pool *pool = up->cont->pool;
	uint64_t heap_bytes;
	uint32_t i, tries = 0;
	int rc;

	rc = vos_key_check(vos_dkey_kind(up->io.oid.id), up->io.dkey, &up->dkey);
	if (rc != 0)
		return rc;
	if (up->io.iod_nr > IOD_INL) {
		up->iods = mem_calloc(up->io.iod_nr, sizeof(*up->iods));
		if (up->iods == NULL) {
			up->iods = up->iod_inl;
			return -DER_NOMEM;
		}
	}
	for (i = 0; i < up->io.iod_nr; i++) {
		rc = iod_pieces(up, &up->io.iods[i], &up->iods[i]);
		if (rc != 0)
			return rc;
	}
	if (up->buf_bytes > BUF_INL) {
		up->buf = mem_alloc(up->buf_bytes);
		if (up->buf == NULL) {
			up->buf = up->buf_inl;
			return -DER_NOMEM;
		}
	}
	rc = vos_update_sums_prepare(up);
	if (rc != 0)
		return rc;
	vos_update_link(up);
	/* the heap space of the commit; log space is asked for then, so a slow client holds none */
	heap_bytes = vos_update_heap_bytes(up);
	do
		rc = heap_reserve(pool->heap, 1, heap_bytes, 0, &up->resv);
	while (rc == -DER_NOSPACE && vos_space_comes(pool, &tries));
	if (rc == 0)
		rc = views_get(up);
	return rc != 0 ? rc : iovs_build(up);
}

int co_fn
vos_update_begin(struct vos_cont *cont, const struct vos_io *io, struct vos_update **ret_up)
{
	struct vos_update *up;
	int rc;

	rc = vos_cont_check(cont);
	if (rc == 0)
		rc = io_check(io);
	if (rc != 0)
		return rc;
	up = vos_update_alloc(cont);
	if (up == NULL)
		return -DER_NOMEM;
	up->io = *io;
	up->owner = vos_order_owner(cont, io->order);
	rc = update_prepare(up);
	if (rc != 0) {
		vos_update_link(up);
		vos_update_release(up);
		return rc;
	}
	*ret_up = up;
	return 0;
}

const struct iovec *
vos_update_iov(struct vos_update *up, uint32_t iod_idx, uint32_t *ret_nr)
{
	assert(iod_idx < up->io.iod_nr);
	*ret_nr = up->iods[iod_idx].iov_nr;
	return &up->iovs[up->iods[iod_idx].iov_first];
}

void
vos_update_set_epoch(struct vos_update *up, uint64_t epoch)
{
	assert(epoch != 0 && epoch != UINT64_MAX);
	up->io.epoch = epoch;
}

void
vos_update_cancel(struct vos_update *up)
{
	if (up != NULL)
		vos_update_release(up);
}

/* --- commit
 * ---------------------------------------------------------------------------------------------- */

enum { COND_AKEY = DAOS_COND_AKEY_INSERT | DAOS_COND_AKEY_UPDATE };

static int
check_exists(uint64_t flags, uint64_t insert, uint64_t update, int visible)
{
	if (visible < 0)
		return visible;
	if ((flags & insert) && visible)
		return -DER_EXIST;
	if ((flags & update) && !visible)
		return -DER_NONEXIST;
	return 0;
}

uint64_t
vos_update_akey_cond(const struct vos_io *io, uint32_t i)
{
	uint64_t flags =
	    io->cond_flags & DAOS_COND_PER_AKEY ? io->iods[i].iod_flags : io->cond_flags;

	return flags & COND_AKEY;
}

bool
vos_update_has_conditions(const struct vos_io *io)
{
	uint32_t i;

	if (io->cond_flags & (DAOS_COND_DKEY_INSERT | DAOS_COND_DKEY_UPDATE | COND_AKEY))
		return true;
	if (io->cond_flags & DAOS_COND_PER_AKEY)
		for (i = 0; i < io->iod_nr; i++)
			if (io->iods[i].iod_flags & COND_AKEY)
				return true;
	return false;
}

static int
conditions(struct vos_tx *t, struct vos_update *up)
{
	const struct vos_io *io = &up->io;
	enum btree_kind akind = vos_akey_kind(io->oid.id);
	struct vos_ord hidden = {0};
	uint64_t obj, dkey, akey;
	struct vos_krec k;
	uint32_t i;
	int rc, seen = 0;

	if (!vos_update_has_conditions(io))
		return 0;
	rc = vos_path_find(t->cont, &io->oid, &up->dkey, &obj, &dkey);
	if (rc == 0)
		rc = vos_readable(t->cont, io->epoch, obj, true, dkey);
	if (rc != 0)
		return rc;
	if (dkey != 0) {
		rc = vos_krec_get(t->heap, obj, VOS_KEY_OBJ, &k);
		if (rc == 0)
			rc = vos_hidden(t->heap, &k, io->epoch, hidden, &hidden);
		if (rc != 0)
			return rc;
		seen = vos_dkey_visible(t->heap, dkey, akind, io->epoch, hidden);
	}
	rc = check_exists(io->cond_flags, DAOS_COND_DKEY_INSERT, DAOS_COND_DKEY_UPDATE, seen);
	if (rc != 0)
		return rc;
	if (dkey != 0) {
		rc = vos_krec_get(t->heap, dkey, VOS_KEY_DKEY, &k);
		if (rc == 0)
			rc = vos_hidden(t->heap, &k, io->epoch, hidden, &hidden);
		if (rc != 0)
			return rc;
	}
	for (i = 0; i < io->iod_nr; i++) {
		uint64_t flags = vos_update_akey_cond(io, i);

		if (flags == 0)
			continue;
		akey = 0;
		if (dkey != 0)
			rc = vos_child_find(t->heap, dkey, VOS_KEY_DKEY, akind, &up->iods[i].akey,
					    &akey);
		if (rc != 0)
			return rc;
		seen = akey == 0 ? 0 : vos_akey_visible(t->heap, akey, io->epoch, hidden);
		rc = check_exists(flags, DAOS_COND_AKEY_INSERT, DAOS_COND_AKEY_UPDATE, seen);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* All records of an array have one size; it may change only when nothing older is seen any more. */
static int
check_rec_size(struct vos_tx *t, uint64_t akey, const struct vos_punches *p, uint64_t rec_size)
{
	struct vos_krec k;
	int rc, seen;

	rc = vos_krec_get(t->heap, akey, VOS_KEY_AKEY, &k);
	if (rc != 0 || rec_size == 0 || k.rec_size == rec_size)
		return rc;
	if (k.rec_size != 0) {
		seen = vos_akey_visible(t->heap, akey, UINT64_MAX, vos_punch_at(p, UINT64_MAX));
		if (seen != 0)
			return seen < 0 ? seen : -DER_INVAL;
	}
	return vos_krec_set_rec_size(t, akey, rec_size);
}

static int
apply_iod(struct vos_tx *t, struct vos_update *up, uint32_t i, struct vos_path *path,
	  struct vos_punches *p)
{
	const daos_iod_t *iod = &up->io.iods[i];
	struct update_iod *ui = &up->iods[i];
	bool array = iod->iod_type == DAOS_IOD_ARRAY, done = false;
	struct vos_krec k;
	uint32_t j;
	int rc = 0;

	if (ui->piece_nr == 0)
		return 0;
	path->akey_name = &ui->akey;
	p->level[2] = NULL;
	if (ui->piece_nr == 1)
		rc = vos_fold_akey(t, path, p, array, &up->pieces[ui->piece_first], &done);
	if (rc != 0 || done)
		return rc;
	rc = vos_akey_get(t, path);
	if (rc == 0)
		rc = vos_krec_get(t->heap, path->akey, VOS_KEY_AKEY, &k);
	if (rc == 0)
		rc = vos_punches_get(t->heap, &k, &p->level[2]);
	if (rc == 0 && array)
		rc = check_rec_size(t, path->akey, p, iod->iod_size);
	for (j = 0; rc == 0 && j < ui->piece_nr; j++) {
		struct vos_piece *piece = &up->pieces[ui->piece_first + j];

		rc = array ? vos_arr_write(t, path->akey, p, piece)
			   : vos_sv_write(t, path->akey, p, piece);
	}
	return rc != 0 ? rc
		       : vos_key_touch(t, path->akey, VOS_KEY_AKEY, up->io.epoch, up->io.epoch);
}

int
vos_update_apply(struct vos_tx *t, struct vos_update *up, bool check)
{
	struct vos_punches p = {0};
	struct vos_path path = {.oid = &up->io.oid, .dkey_name = &up->dkey};
	bool done = false;
	struct vos_krec k;
	uint32_t i;
	int rc = 0;

	for (i = 0; i < up->piece_nr; i++)
		up->pieces[i].published = false;
	if (check)
		rc = conditions(t, up);
	if (rc == 0 && up->io.iod_nr == 1) {
		path.akey_name = &up->iods[0].akey;
		if (up->piece_nr == 1)
			rc = vos_fold_write(t, &path, up->io.iods[0].iod_type == DAOS_IOD_ARRAY,
					    &up->pieces[0], &done);
	}
	if (rc == 0 && !done)
		rc = vos_path_get(t, &path);
	if (rc != 0 || done)
		return rc;
	rc = vos_krec_get(t->heap, path.obj, VOS_KEY_OBJ, &k);
	if (rc == 0)
		rc = vos_punches_get(t->heap, &k, &p.level[0]);
	if (rc != 0)
		return rc;
	rc = vos_krec_get(t->heap, path.dkey, VOS_KEY_DKEY, &k);
	if (rc == 0)
		rc = vos_punches_get(t->heap, &k, &p.level[1]);
	for (i = 0; rc == 0 && i < up->io.iod_nr; i++)
		rc = apply_iod(t, up, i, &path, &p);
	if (rc == 0)
		rc = vos_key_touch(t, path.dkey, VOS_KEY_DKEY, up->io.epoch, up->io.epoch);
	if (rc == 0)
		rc = vos_key_touch(t, path.obj, VOS_KEY_OBJ, up->io.epoch, up->io.epoch);
	return rc;
}

static int
update_apply(struct vos_tx *t, void *arg)
{
	struct vos_update *up = arg;
	int rc;

	if (up->io.opid != NULL) {
		rc = vos_opid_record(t, up->io.opid);
		if (rc != 0)
			return rc;
	}
	if (vos_order_needed(t->cont, up->io.order)) {
		rc = vos_order_update(t, up);
		if (rc != 0)
			return rc;
	}
	if (up->io.epoch <= t->cont->df->agg_epoch)
		return -DER_TX_RESTART;
	rc = vos_update_apply(t, up, true);
	return rc == 0 && up->overlapped ? vos_update_depend(t, up) : rc;
}

int co_fn
vos_update_end(struct vos_update *up)
{
	struct vos_tx_args args = {
	    .pool = up->cont->pool,
	    .cont = up->cont,
	    .ord = {.epoch = up->io.epoch, .op = up->io.op_nr},
	    .log_bytes = vos_update_log_bytes(up),
	    .resv = &up->resv,
	    .fn = update_apply,
	    .arg = up,
	    .wait = true,
	};
	struct vos_flight flight;
	uint32_t i;
	int rc;

	if (args.log_bytes > HEAP_TX_LOG_MAX)
		args.log_bytes = HEAP_TX_LOG_MAX;
	vos_flight_begin(up->cont, &flight, up->io.epoch);
	if (vos_update_overlaps(up)) {
		rc = vos_update_commit_overlapped(up, &args);
	} else {
		rc = vos_update_write(up);
		if (rc == 0)
			rc = vos_tx_run(&args);
	}
	/* an aborted attempt may have left marks */
	for (i = 0; !args.committed && i < up->piece_nr; i++)
		up->pieces[i].published = false;
	vos_flight_end(&flight);
	vos_update_release(up);
	return rc;
}
