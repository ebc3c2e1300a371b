/*
 * Update and fetch.
 *
 * Update: VOS reserves the space and gives the buffers where the data will be written from; they
 * are filled from the message or by pulling from the client's memory; only then the epoch is chosen
 * and the change committed. A client that stops in the middle of a transfer blocks nobody: it holds
 * reserved space and part of the byte budget until its deadline.
 *
 * Fetch: VOS pins what is visible; the pieces go into the reply, or are pushed to the client's
 * memory at their places. The reply describes each value as a list of pieces, data or hole;
 * neighbours of one kind are one piece there.
 *
 * The bytes of requests under way are bounded per target (obj_svc.bufs).
 */
#define LOG_FACILITY "object"

#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/err.h"
#include "base/iov.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/object/obj_internal.h"

/* --- update --- */

/* Bytes of data that belong to the iods. */
static int
rw_bytes(const struct obj_rw *m, uint64_t *ret_bytes)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < m->iod_nr; i++) {
		uint64_t bytes;
		int rc = obj_iod_bytes(&m->iods[i], &bytes);

		if (rc != 0)
			return rc;
		if (__builtin_add_overflow(sum, bytes, &sum))
			return -DER_OVERFLOW;
	}
	*ret_bytes = sum;
	return 0;
}

int
update_check(const struct obj_rw *m, uint64_t *ret_bytes)
{
	struct rpc_bulk_desc desc = {.bytes = m->bulk, .len = m->bulk_len};
	int rc;

	if (m->iod_nr == 0 || (m->rw_flags & ~(uint32_t)(OBJ_RW_BULK | OBJ_RW_PROOF)) != 0)
		return -DER_INVAL;
	rc = rw_bytes(m, ret_bytes);
	if (rc != 0)
		return rc;
	if (*ret_bytes > OBJ_IO_BYTES_MAX)
		return -DER_INVAL;
	if (m->rw_flags & OBJ_RW_BULK)
		return m->bulk == NULL || rpc_bulk_desc_size(&desc) < *ret_bytes ? -DER_INVAL : 0;
	return m->inl_len != *ret_bytes ? -DER_INVAL : 0;
}

int
update_iovs(struct vos_update *up, uint32_t iod_nr, const struct iovec **ret_iov, uint32_t *ret_nr,
	    struct iovec **ret_own)
{
	struct iovec *all;
	uint32_t nr = 0, one;

	*ret_own = NULL;
	if (iod_nr == 1) {
		*ret_iov = vos_update_iov(up, 0, ret_nr);
		return 0;
	}
	for (uint32_t i = 0; i < iod_nr; i++) {
		vos_update_iov(up, i, &one);
		nr += one;
	}
	all = mem_calloc(nr > 0 ? nr : 1, sizeof(*all));
	if (all == NULL)
		return -DER_NOMEM;
	nr = 0;
	for (uint32_t i = 0; i < iod_nr; i++) {
		const struct iovec *iov = vos_update_iov(up, i, &one);

		if (one > 0)
			memcpy(all + nr, iov, one * sizeof(*iov));
		nr += one;
	}
	*ret_iov = all;
	*ret_nr = nr;
	*ret_own = all;
	return 0;
}

int co_fn
update_fill(struct rpc_in *in, const struct obj_rw *m, struct vos_update *up, uint64_t bytes)
{
	struct rpc_bulk_desc desc = {.bytes = m->bulk, .len = m->bulk_len};
	const struct iovec *iov;
	struct iovec *own;
	uint32_t nr;
	int rc;

	if (bytes == 0)
		return 0;
	rc = update_iovs(up, m->iod_nr, &iov, &nr, &own);
	if (rc != 0)
		return rc;
	if (m->rw_flags & OBJ_RW_BULK)
		rc = rpc_bulk_pull(in, &desc, 0, iov, nr, in->deadline_ns);
	else if (iov_from_buf(iov, (int)nr, 0, m->inl, bytes) != bytes)
		rc = -DER_INVAL;
	free(own);
	return rc;
}

static int co_fn
update_run(struct obj_svc *svc, struct rpc_in *in, const struct obj_rw *m, struct cont_shard *cont,
	   uint64_t bytes, uint64_t *ret_epoch)
{
	struct vos_opid opid_buf;
	struct vos_io io = {
	    .oid = obj_oid(&m->head),
	    .epoch = 1, /* replaced when the data is here */
	    .cond_flags = m->head.flags,
	    .dkey = &m->dkey,
	    .iods = m->iods,
	    .iod_nr = m->iod_nr,
	    .opid = obj_opid(&m->head, &opid_buf),
	};
	struct vos_update *up;
	struct vos_cont *vos;
	uint64_t epoch;
	int rc;

	rc = cont_vos(cont, true, &vos);
	if (rc == 0)
		rc = vos_update_begin(vos, &io, &up);
	if (rc != 0)
		return rc;
	rc = update_fill(in, m, up, bytes);
	if (rc == 0)
		rc = obj_epoch_next(svc, &epoch);
	if (rc == 0 && !obj_groups_proven(svc, m))
		rc = -DER_EP_OLD;
	if (rc != 0) {
		vos_update_cancel(up);
		return rc;
	}
	vos_update_set_epoch(up, epoch);
	rc = vos_update_end(up);
	if (rc == -DER_ALREADY)
		rc = 0; /* a repeated request: the first one's work stands */
	if (rc == 0) {
		svc->ops->wrote(svc->ops_arg, cont);
		*ret_epoch = epoch;
	}
	return rc;
}

static int co_fn
update_serve(struct obj_svc *svc, struct rpc_in *in, const struct obj_rw *m,
	     struct cont_shard **ret_cont, uint64_t *ret_epoch)
{
	uint64_t bytes, taken;
	int rc;

	rc = obj_begin(svc, in, &m->head, CAP_WRITE, ret_cont);
	if (rc == 0)
		rc = update_check(m, &bytes);
	if (rc == 0 && !obj_groups_proven(svc, m)) /* before any data is moved */
		rc = -DER_EP_OLD;
	if (rc != 0)
		return rc;
	taken = byte_sem_get(&svc->bufs, bytes);
	rc = dtx_redundant(m->head.oid) ? obj_update_lead(svc, in, m, *ret_cont, bytes, ret_epoch)
					: update_run(svc, in, m, *ret_cont, bytes, ret_epoch);
	byte_sem_put(&svc->bufs, taken);
	if (rc == 0) {
		svc->stats.update_nr++;
		svc->stats.update_bytes += bytes;
	}
	return rc;
}

void
obj_update_handle(struct rpc_in *in, void *arg)
{
	struct obj_svc *svc = arg;
	struct cont_shard *cont = NULL;
	struct obj_rw_rep rep = {0};
	struct obj_scratch scratch;
	uint8_t buf[32];
	struct codec_wr wr;
	struct iovec body;
	struct obj_rw m;
	int rc;

	obj_scratch_init(&scratch);
	rc = obj_rw_decode(in->body, in->body_len, &scratch, &m);
	if (rc == 0)
		rc = update_serve(svc, in, &m, &cont, &rep.epoch);
	obj_scratch_fini(&scratch);
	codec_wr_init_fixed(&wr, buf, sizeof(buf));
	obj_rw_rep_encode(&wr, &rep);
	body = (struct iovec){.iov_base = wr.base, .iov_len = wr.len};
	obj_reply(svc, in, cont, rc, &body, rc == 0 ? 1 : 0);
	if (cont != NULL)
		cont_leave(cont);
}

/* --- fetch --- */

/* A reply under construction. Small ones need no memory beside it. */
struct fetch_out {
	struct obj_rw_rep rep;
	uint64_t sizes_fixed[8];
	uint32_t piece_nr_fixed[8];
	uint64_t piece_fixed[32];
	uint64_t *piece; /* all pieces so far */
	uint32_t piece_all, piece_cap;
	uint32_t recx_all, recx_cap;
	uint64_t data_bytes;
	struct iovec iov_fixed[32];
	struct iovec *iov; /* iov[0] is for the encoded reply, data follows */
	uint32_t iov_nr, iov_cap;
};

static int
out_init(struct fetch_out *out, uint32_t iod_nr, bool recx)
{
	out->rep = (struct obj_rw_rep){.iod_nr = iod_nr};
	out->piece = out->piece_fixed;
	out->piece_all = 0;
	out->piece_cap = sizeof(out->piece_fixed) / sizeof(out->piece_fixed[0]);
	out->recx_all = out->recx_cap = 0;
	out->data_bytes = 0;
	out->iov = out->iov_fixed;
	out->iov_nr = 1;
	out->iov_cap = sizeof(out->iov_fixed) / sizeof(out->iov_fixed[0]);
	if (iod_nr <= sizeof(out->sizes_fixed) / sizeof(out->sizes_fixed[0])) {
		out->rep.sizes = out->sizes_fixed;
		out->rep.piece_nr = out->piece_nr_fixed;
	} else {
		out->rep.sizes = mem_calloc(iod_nr, sizeof(*out->rep.sizes));
		out->rep.piece_nr = mem_calloc(iod_nr, sizeof(*out->rep.piece_nr));
	}
	if (recx)
		out->rep.recx_nr = mem_calloc(iod_nr, sizeof(*out->rep.recx_nr));
	if (out->rep.sizes == NULL || out->rep.piece_nr == NULL ||
	    (recx && out->rep.recx_nr == NULL))
		return -DER_NOMEM;
	return 0;
}

static void
out_fini(struct fetch_out *out)
{
	if (out->rep.sizes != out->sizes_fixed)
		free(out->rep.sizes);
	if (out->rep.piece_nr != out->piece_nr_fixed)
		free(out->rep.piece_nr);
	if (out->piece != out->piece_fixed)
		free(out->piece);
	if (out->iov != out->iov_fixed)
		free(out->iov);
	free(out->rep.recx_nr);
	free(out->rep.recxs);
}

/* Room for one more element in an array that begins as a fixed one. */
static int
grow(void **array, const void *fixed, uint32_t nr, uint32_t *cap, size_t size)
{
	uint32_t more = *cap > 0 ? *cap * 2 : 16;
	void *p;

	if (nr < *cap)
		return 0;
	p = mem_realloc(*array == fixed ? NULL : *array, more, size);
	if (p == NULL)
		return -DER_NOMEM;
	if (fixed != NULL && *array == fixed)
		memcpy(p, fixed, nr * size);
	*array = p;
	*cap = more;
	return 0;
}

/* Add a piece of iod i, merging it with a neighbour of the same kind. */
static int
out_piece(struct fetch_out *out, uint32_t i, uint64_t len, bool hole)
{
	uint64_t mark = hole ? OBJ_PIECE_HOLE : 0;
	int rc;

	if (len == 0)
		return 0;
	if (!hole)
		out->data_bytes += len;
	if (out->rep.piece_nr[i] > 0 && (out->piece[out->piece_all - 1] & OBJ_PIECE_HOLE) == mark) {
		out->piece[out->piece_all - 1] += len;
		return 0;
	}
	rc = grow((void **)&out->piece, out->piece_fixed, out->piece_all, &out->piece_cap,
		  sizeof(*out->piece));
	if (rc != 0)
		return rc;
	out->piece[out->piece_all++] = len | mark;
	out->rep.piece_nr[i]++;
	return 0;
}

static int
out_iov(struct fetch_out *out, const struct iovec *iov)
{
	int rc =
	    grow((void **)&out->iov, out->iov_fixed, out->iov_nr, &out->iov_cap, sizeof(*out->iov));

	if (rc == 0)
		out->iov[out->iov_nr++] = *iov;
	return rc;
}

static int
out_recxs(struct fetch_out *out, uint32_t i, const daos_recx_t *recxs, uint32_t nr)
{
	for (uint32_t r = 0; r < nr; r++) {
		int rc = grow((void **)&out->rep.recxs, NULL, out->recx_all, &out->recx_cap,
			      sizeof(*recxs));

		if (rc != 0)
			return rc;
		out->rep.recxs[out->recx_all++] = recxs[r];
	}
	out->rep.recx_nr[i] = nr;
	return 0;
}

/* Nothing was ever written to this container here. */
static int
fetch_nothing(const struct obj_rw *m, struct fetch_out *out)
{
	uint64_t conds = m->head.flags;

	for (uint32_t i = 0; i < m->iod_nr; i++) {
		if (m->head.flags & DAOS_COND_PER_AKEY)
			conds |= m->iods[i].iod_flags;
		out->rep.sizes[i] = 0;
		out->rep.piece_nr[i] = 0;
		if (out->rep.recx_nr != NULL)
			out->rep.recx_nr[i] = 0;
	}
	return (conds & (DAOS_COND_DKEY_FETCH | DAOS_COND_AKEY_FETCH)) != 0 ? -DER_NONEXIST : 0;
}

static int
fetch_describe(const struct obj_rw *m, struct vos_fetch *f, struct fetch_out *out)
{
	bool too_big = false;
	int rc = 0;

	for (uint32_t i = 0; i < m->iod_nr; i++) {
		const struct iovec *iov = NULL;
		uint64_t total = 0;
		uint32_t nr = 0;

		out->rep.sizes[i] = vos_fetch_size(f, i);
		out->rep.piece_nr[i] = 0;
		if (!(m->rw_flags & OBJ_RW_SIZE_ONLY))
			iov = vos_fetch_iov(f, i, &nr);
		for (uint32_t p = 0; rc == 0 && p < nr; p++) {
			total += iov[p].iov_len;
			rc = out_piece(out, i, iov[p].iov_len, iov[p].iov_base == NULL);
			if (rc == 0 && !(m->rw_flags & OBJ_RW_BULK) && iov[p].iov_base != NULL)
				rc = out_iov(out, &iov[p]);
		}
		if (rc == 0 && out->rep.recx_nr != NULL) {
			const daos_recx_t *recxs = vos_fetch_recxs(f, i, &nr);

			rc = out_recxs(out, i, recxs, nr);
		}
		if (rc != 0)
			return rc;
		if (!(m->rw_flags & OBJ_RW_SIZE_ONLY) && total > m->data_sizes[i])
			too_big = true;
	}
	return too_big ? -DER_REC2BIG : 0;
}

/* Runs of data go to their places; holes are left alone. */
static int co_fn
fetch_push(struct rpc_in *in, const struct obj_rw *m, struct vos_fetch *f)
{
	struct rpc_bulk_desc desc = {.bytes = m->bulk, .len = m->bulk_len};
	uint64_t room_off = 0;

	for (uint32_t i = 0; i < m->iod_nr; i++) {
		uint32_t nr, p = 0;
		const struct iovec *iov = vos_fetch_iov(f, i, &nr);
		uint64_t off = room_off;

		while (p < nr) {
			uint64_t len = 0;
			uint32_t first = p;
			int rc;

			if (iov[p].iov_base == NULL) {
				off += iov[p++].iov_len;
				continue;
			}
			while (p < nr && iov[p].iov_base != NULL)
				len += iov[p++].iov_len;
			rc = rpc_bulk_push(in, &desc, off, iov + first, p - first, in->deadline_ns);
			if (rc != 0)
				return rc;
			off += len;
		}
		room_off += m->data_sizes[i];
	}
	return 0;
}

static int
fetch_check(const struct obj_rw *m, uint64_t *ret_bytes)
{
	struct rpc_bulk_desc desc = {.bytes = m->bulk, .len = m->bulk_len};
	uint64_t room = 0;

	*ret_bytes = 0;
	if (m->iod_nr == 0 ||
	    (m->rw_flags & ~(uint32_t)(OBJ_RW_BULK | OBJ_RW_SIZE_ONLY | OBJ_RW_RECX)) != 0)
		return -DER_INVAL;
	if (m->rw_flags & OBJ_RW_SIZE_ONLY)
		return 0;
	if (m->data_sizes == NULL)
		return -DER_INVAL;
	for (uint32_t i = 0; i < m->iod_nr; i++) {
		if (__builtin_add_overflow(room, m->data_sizes[i], &room))
			return -DER_OVERFLOW;
	}
	if (room > OBJ_IO_BYTES_MAX)
		return -DER_INVAL;
	if ((m->rw_flags & OBJ_RW_BULK) && (m->bulk == NULL || rpc_bulk_desc_size(&desc) < room))
		return -DER_INVAL;
	*ret_bytes = room;
	return 0;
}

/* Sends the reply, in which the data may still belong to VOS. */
static void
fetch_reply(struct obj_svc *svc, struct rpc_in *in, const struct obj_rw *m, struct cont_shard *cont,
	    int rc, struct fetch_out *out)
{
	bool with_data = rc == 0 && !(m->rw_flags & (OBJ_RW_BULK | OBJ_RW_SIZE_ONLY));
	uint8_t fixed[1024];
	struct codec_wr wr;
	int err;

	out->rep.epoch = obj_read_epoch(svc, &m->head);
	out->rep.piece_len = out->piece;
	if (rc == -DER_REC2BIG || (m->rw_flags & OBJ_RW_SIZE_ONLY)) {
		out->rep.piece_nr = NULL;
		out->rep.piece_len = NULL;
	}
	if (with_data && out->data_bytes > OBJ_INLINE_MAX) {
		obj_reply(svc, in, cont, -DER_INVAL, NULL, 0); /* such a client must name a bulk */
		return;
	}
	if (with_data)
		out->rep.inl_len = (uint32_t)out->data_bytes;

	codec_wr_init_fixed(&wr, fixed, sizeof(fixed));
	obj_rw_rep_encode(&wr, &out->rep);
	if (codec_wr_err(&wr) != 0) {
		codec_wr_init(&wr, RPC_INLINE_MAX);
		obj_rw_rep_encode(&wr, &out->rep);
	}
	err = codec_wr_err(&wr);
	if (err == 0 && wr.len + out->rep.inl_len > RPC_INLINE_MAX)
		err = -DER_OVERFLOW;
	if (err != 0) {
		obj_reply(svc, in, cont, err, NULL, 0);
	} else {
		out->iov[0] = (struct iovec){.iov_base = wr.base, .iov_len = wr.len};
		obj_reply(svc, in, cont, rc, out->iov, with_data ? out->iov_nr : 1);
	}
	codec_wr_fini(&wr);
}

/* Everything between an accepted request and its reply. */
static void co_fn
fetch_serve(struct obj_svc *svc, struct rpc_in *in, const struct obj_rw *m, struct cont_shard *cont)
{
	struct vos_io io = {
	    .oid = obj_oid(&m->head),
	    .epoch = m->head.epoch != 0 ? m->head.epoch : UINT64_MAX,
	    .cond_flags = m->head.flags,
	    .dkey = &m->dkey,
	    .iods = m->iods,
	    .iod_nr = m->iod_nr,
	};
	struct vos_fetch *f = NULL;
	struct vos_cont *vos = NULL;
	struct obj_read_order ro;
	struct fetch_out out;
	uint32_t flags = 0;
	int rc;

	if (m->rw_flags & OBJ_RW_SIZE_ONLY)
		flags |= VOS_FETCH_SIZE_ONLY;
	if (m->rw_flags & OBJ_RW_RECX)
		flags |= VOS_FETCH_NEED_RECX;
	rc = out_init(&out, m->iod_nr, m->rw_flags & OBJ_RW_RECX);
	if (rc == 0)
		rc = cont_vos(cont, false, &vos);
	io.order = obj_read_order(&ro, m->head.oid);
	do {
		if (rc == 0 && vos != NULL)
			rc = vos_fetch_begin(vos, &io, flags, &f);
	} while (obj_read_again(svc, cont, &ro, &rc));
	if (rc == 0)
		rc = f != NULL ? fetch_describe(m, f, &out) : fetch_nothing(m, &out);
	if (rc == 0 && f != NULL && (m->rw_flags & OBJ_RW_BULK) &&
	    !(m->rw_flags & OBJ_RW_SIZE_ONLY))
		rc = fetch_push(in, m, f);
	if (rc == 0 || rc == -DER_REC2BIG)
		fetch_reply(svc, in, m, cont, rc, &out);
	else
		obj_reply(svc, in, cont, rc, NULL, 0);
	if (rc == 0) {
		svc->stats.fetch_nr++;
		svc->stats.fetch_bytes += out.data_bytes;
	}
	vos_fetch_end(f);
	out_fini(&out);
}

void
obj_fetch_handle(struct rpc_in *in, void *arg)
{
	struct obj_svc *svc = arg;
	struct cont_shard *cont = NULL;
	struct obj_scratch scratch;
	uint64_t bytes = 0, taken;
	struct obj_rw m;
	int rc;

	obj_scratch_init(&scratch);
	rc = obj_rw_decode(in->body, in->body_len, &scratch, &m);
	if (rc == 0)
		rc = obj_begin(svc, in, &m.head, CAP_READ, &cont);
	if (rc == 0)
		rc = fetch_check(&m, &bytes);
	if (rc == 0) {
		taken = byte_sem_get(&svc->bufs, bytes);
		fetch_serve(svc, in, &m, cont);
		byte_sem_put(&svc->bufs, taken);
	} else {
		obj_reply(svc, in, cont, rc, NULL, 0);
	}
	obj_scratch_fini(&scratch);
	if (cont != NULL)
		cont_leave(cont);
}
