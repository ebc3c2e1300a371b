/*
 * Checksums of updates: how extents are cut into pieces so that each has whole chunks, and filling
 * in the checksums once the data are there, before they go to the device.
 *
 * A caller's checksums are stored as they came wherever the pieces allow it, so that who reads the
 * value last checks against what its writer computed. Where a chunk is in two pieces (free space is
 * in pieces smaller than a chunk) they are checked and then replaced by new ones.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_update.h"

enum { SUMS_TURN_BYTES = 4 << 20 }; /* summed up between two yields, about */

uint64_t
vos_sums_cut(const struct vos_cont *cont, uint64_t idx, uint64_t nr, uint64_t rec_size)
{
	uint64_t recs, max, end = idx + nr;

	if (cont->csum.len == 0)
		return nr;
	recs = csum_chunk_recs(cont->csum_chunk, rec_size);
	max = VOS_PIECE_SUMS_MAX / cont->csum.len;
	if (csum_chunk_nr(idx, nr, recs) > max)
		end = (idx / recs + max) * recs;
	end = end / recs * recs;
	return end > idx ? end - idx : nr;
}

/* Is it cut at borders of chunks, but for the ends of the extent [lo, hi) it is a part of? */
static bool
cut_well(const struct vos_piece *piece, uint64_t lo, uint64_t hi, uint64_t recs)
{
	uint64_t end = piece->idx + piece->nr;

	return (piece->idx == lo || piece->idx % recs == 0) && (end == hi || end % recs == 0);
}

static int
given_wrong(struct vos_cont *cont, const struct vos_io *io, const daos_iod_t *iod, uint64_t idx,
	    uint64_t nr)
{
	struct vos_csum_event ev = {
	    .found = VOS_CSUM_UPDATE,
	    .oid = io->oid,
	    .dkey = *io->dkey,
	    .akey = iod->iod_name,
	    .single = iod->iod_type == DAOS_IOD_SINGLE,
	    .recx = {.rx_idx = idx, .rx_nr = nr},
	};

	vos_csum_report(cont, &ev);
	return -DER_CSUM;
}

/* An extent; piece[] are those it was cut into. */
static int co_fn
fill_extent(struct vos_cont *cont, const struct vos_io *io, const daos_iod_t *iod,
	    const daos_recx_t *recx, struct vos_piece *piece, uint32_t piece_nr,
	    struct iov_iter *it, const uint8_t *given, bool *ret_known)
{
	uint64_t lo = recx->rx_idx, hi = lo + recx->rx_nr,
		 recs = csum_chunk_recs(cont->csum_chunk, iod->iod_size);
	uint64_t bad, bad_nr;
	struct iov_iter check = *it;
	bool verify = cont->csum_verify;
	uint64_t turn = 0;
	uint32_t i;

	for (i = 0; given != NULL && i < piece_nr; i++)
		verify = verify || !cut_well(&piece[i], lo, hi, recs);
	if (given != NULL && verify) {
		cont->pool->csum_stats.checked_bytes += recx->rx_nr * iod->iod_size;
		if (!vos_sums_check(cont, lo, recx->rx_nr, iod->iod_size, &check, given, &bad,
				    &bad_nr))
			return given_wrong(cont, io, iod, bad, bad_nr);
	}
	for (i = 0; i < piece_nr; i++) {
		if (given != NULL && cut_well(&piece[i], lo, hi, recs)) {
			memcpy(piece[i].sum,
			       given + (piece[i].idx / recs - lo / recs) * cont->csum.len,
			       piece[i].sum_bytes);
			iov_iter_skip(it, piece[i].bytes);
			continue;
		}
		cont->pool->csum_stats.made_bytes += piece[i].bytes;
		vos_sums_make(cont, piece[i].idx, piece[i].nr, iod->iod_size, it, piece[i].sum);
		turn += piece[i].bytes;
		if (turn >= SUMS_TURN_BYTES) {
			co_yield();
			turn = 0;
		}
	}
	*ret_known = *ret_known && (given == NULL || verify);
	return 0;
}

static int co_fn
fill_array(struct vos_cont *cont, const struct vos_io *io, const daos_iod_t *iod,
	   struct vos_piece *piece, uint32_t piece_nr, struct iov_iter *it,
	   const struct vos_iod_sums *given, bool *ret_known)
{
	const uint8_t *sum = given->bytes == 0 ? NULL : given->sum;
	uint64_t bytes = 0;
	uint32_t i, n;
	int rc = 0;

	for (i = 0; i < iod->iod_nr; i++)
		bytes += vos_sums_bytes(cont, iod->iod_recxs[i].rx_idx, iod->iod_recxs[i].rx_nr,
					iod->iod_size);
	if (sum != NULL && given->bytes != bytes)
		return -DER_INVAL;
	for (i = 0; rc == 0 && i < iod->iod_nr; i++) {
		const daos_recx_t *recx = &iod->iod_recxs[i];
		uint64_t left = recx->rx_nr;

		for (n = 0; left != 0; n++) {
			assert(n < piece_nr);
			left -= piece[n].nr;
		}
		rc = fill_extent(cont, io, iod, recx, piece, n, it, sum, ret_known);
		piece += n;
		piece_nr -= n;
		if (sum != NULL)
			sum += vos_sums_bytes(cont, recx->rx_idx, recx->rx_nr, iod->iod_size);
	}
	return rc;
}

static int
fill_single(struct vos_cont *cont, const struct vos_io *io, const daos_iod_t *iod,
	    struct vos_piece *piece, struct iov_iter *it, const struct vos_iod_sums *given,
	    bool *ret_known)
{
	bool verify = given->bytes != 0 && cont->csum_verify;

	if (given->bytes != 0 && given->bytes != cont->csum.len)
		return -DER_INVAL;
	if (given->bytes == 0 || verify) {
		cont->pool->csum_stats.made_bytes += verify ? 0 : piece->bytes;
		cont->pool->csum_stats.checked_bytes += verify ? piece->bytes : 0;
		csum_iov(&cont->csum, it, piece->bytes, piece->sum);
	}
	if (verify && memcmp(piece->sum, given->sum, cont->csum.len) != 0)
		return given_wrong(cont, io, iod, 0, 1);
	if (given->bytes != 0 && !verify) {
		memcpy(piece->sum, given->sum, cont->csum.len);
		*ret_known = false;
	}
	return 0;
}

/* Fill in the checksums of the pieces of an iod, whose data are in iov: those that came with it or
 * computed. *ret_known is cleared when they are not known to be right. */
static int co_fn
iod_fill(struct vos_cont *cont, const struct vos_io *io, uint32_t iod_idx, struct vos_piece *piece,
	 uint32_t piece_nr, const struct iovec *iov, uint32_t iov_nr, bool *ret_known)
{
	const daos_iod_t *iod = &io->iods[iod_idx];
	struct vos_iod_sums given = io->sums != NULL ? io->sums[iod_idx] : (struct vos_iod_sums){0};
	struct iov_iter it;

	if (piece_nr == 0 || iod->iod_size == 0)
		return 0;
	iov_iter_init(&it, iov, iov_nr);
	if (iod->iod_type == DAOS_IOD_SINGLE)
		return fill_single(cont, io, iod, piece, &it, &given, ret_known);
	return fill_array(cont, io, iod, piece, piece_nr, &it, &given, ret_known);
}

/* --- of a whole update ------------------------------------------------------------------------ */

int
vos_update_sums_prepare(struct vos_update *up)
{
	struct vos_cont *cont = up->cont;
	uint32_t i, j;

	if (cont->csum.len == 0)
		return 0;
	for (i = 0; i < up->io.iod_nr; i++) {
		const struct update_iod *ui = &up->iods[i];
		bool single = up->io.iods[i].iod_type == DAOS_IOD_SINGLE;

		for (j = 0; j < ui->piece_nr; j++) {
			struct vos_piece *piece = &up->pieces[ui->piece_first + j];

			if (piece->kind == VOS_VER_PUNCH)
				continue;
			piece->sum_bytes =
			    single ? cont->csum.len
				   : vos_sums_bytes(cont, piece->idx, piece->nr, piece->rec_size);
			up->sums_bytes += piece->sum_bytes;
		}
	}
	if (up->buf_bytes + up->sums_bytes > VOS_UPDATE_INLINE_MAX)
		return -DER_REC2BIG;
	if (up->sums_bytes <= SUMS_INL)
		return 0;
	up->sums = mem_alloc(up->sums_bytes);
	if (up->sums == NULL) {
		up->sums = up->sums_inl;
		return -DER_NOMEM;
	}
	return 0;
}

int co_fn
vos_update_sums_fill(struct vos_update *up)
{
	bool known = true;
	uint32_t i;
	int rc = 0;

	if (up->sums_bytes == 0)
		return 0;
	for (i = 0; rc == 0 && i < up->io.iod_nr; i++) {
		const struct update_iod *ui = &up->iods[i];

		rc = iod_fill(up->cont, &up->io, i, &up->pieces[ui->piece_first], ui->piece_nr,
			      &up->iovs[ui->iov_first], ui->iov_nr, &known);
	}
	for (i = 0; rc == 0 && known && i < up->view_nr; i++)
		if (up->views[i].own == NULL)
			data_view_trust(&up->views[i].view, 0, up->views[i].view.blk_nr);
	return rc;
}
