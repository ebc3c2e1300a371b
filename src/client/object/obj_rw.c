/*
 * Update and fetch.
 *
 * Small data travels in the message: an update sends the caller's pieces behind the encoded part
 * without copying them, a fetch copies out of the reply. Larger data is moved by the engine itself,
 * which pulls from or pushes to the memory registered for this attempt; the registration is closed
 * before the next attempt or the return, so nothing touches the memory afterwards. A list of more
 * pieces than can be registered goes through one buffer.
 *
 * The reply to a fetch says for each akey what its records consist of: data and holes, in order.
 * Memory of holes is left alone.
 */
#define LOG_FACILITY "object"

#include <stdlib.h>
#include <string.h>

#include "client/event/event.h"
#include "client/object/obj_internal.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/iov.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/opcodes.h"

enum {
	INLINE_PIECES_MAX = 48, /* more are gathered before they are sent */
	INLINE_RECX_MAX = 1024, /* with more extents the reply's description needs the room */
	SINGLE_NR = 16,         /* akeys of a call that need no allocation */
};

/* One update or fetch on its way. */
struct rw {
	struct obj_rpc rpc;
	struct obj_io *io;
	uint64_t bytes; /* of all data or room */
	uint64_t proof; /* that the group is entered; 0: it needs none */
	bool use_bulk;
	struct rpc_bulk *bulk; /* of this attempt */
	uint8_t *bounce;       /* stands in for io->iov when that has too many pieces */
	struct iovec bounce_iov;
};

static const struct iovec *
rw_iov(const struct rw *rw, uint32_t *ret_nr)
{
	*ret_nr = rw->bounce != NULL ? 1 : rw->io->iov_nr;
	return rw->bounce != NULL ? &rw->bounce_iov : rw->io->iov;
}

static int
rw_make_bounce(struct rw *rw)
{
	rw->bounce = mem_alloc(rw->bytes);
	if (rw->bounce == NULL)
		return -DER_NOMEM;
	rw->bounce_iov.iov_base = rw->bounce;
	rw->bounce_iov.iov_len = rw->bytes;
	if (rw->rpc.change)
		iov_to_buf(rw->io->iov, (int)rw->io->iov_nr, 0, rw->bounce, rw->bytes);
	return 0;
}

static int
rw_build(struct obj_rpc *r, const struct obj_head *head, struct codec_wr *w)
{
	struct rw *rw = container_of(r, struct rw, rpc);
	struct obj_io *io = rw->io;
	struct obj_rw m = {
	    .head = *head,
	    .dkey = *io->dkey,
	    .iod_nr = io->iod_nr,
	    .iods = io->iods,
	    .data_sizes = r->change ? NULL : io->sizes,
	};
	int rc;

	if (rw->proof != 0) {
		m.rw_flags |= OBJ_RW_PROOF;
		m.proof = rw->proof;
	}
	if (io->size_only)
		m.rw_flags |= OBJ_RW_SIZE_ONLY;
	if (io->want_recx)
		m.rw_flags |= OBJ_RW_RECX;
	if (rw->use_bulk) {
		struct rpc_bulk_desc desc;
		const struct iovec *iov;
		uint32_t nr;

		iov = rw_iov(rw, &nr);
		rc = rpc_bulk_create(r->op->ctx->ep, iov, nr,
				     r->change ? RPC_BULK_READ : RPC_BULK_WRITE, &rw->bulk);
		if (rc != 0)
			return rc;
		desc = rpc_bulk_describe(rw->bulk);
		m.rw_flags |= OBJ_RW_BULK;
		m.bulk = desc.bytes;
		m.bulk_len = desc.len;
	} else if (r->change && rw->bytes > 0) {
		m.inl_len = (uint32_t)rw->bytes;
		r->tail = rw_iov(rw, &r->tail_nr);
	}
	obj_rw_encode(w, &m);
	return 0;
}

static void
rw_end(struct obj_rpc *r)
{
	struct rw *rw = container_of(r, struct rw, rpc);

	if (rw->bulk != NULL)
		rpc_bulk_destroy(rw->bulk);
	rw->bulk = NULL;
}

/* Does the reply describe what was asked for? Sums that the copying relies on. */
static int
reply_check(const struct rw *rw, const struct obj_rw_rep *rep)
{
	const struct obj_io *io = rw->io;
	uint64_t inl = 0, piece = 0;
	uint32_t i, j;

	if (rep->iod_nr != io->iod_nr)
		return -DER_PROTO;
	for (i = 0; rep->piece_nr != NULL && i < io->iod_nr; i++) {
		uint64_t left = io->sizes[i];

		for (j = 0; j < rep->piece_nr[i]; j++, piece++) {
			uint64_t len = rep->piece_len[piece] & ~OBJ_PIECE_HOLE;

			if (len > left)
				return -DER_PROTO;
			left -= len;
			if (!(rep->piece_len[piece] & OBJ_PIECE_HOLE))
				inl += len;
		}
	}
	return !rw->use_bulk && !io->size_only && inl != rep->inl_len ? -DER_PROTO : 0;
}

/* Bring the data pieces from the reply, or from the buffer the engine filled, to their place. */
static void
reply_copy(struct rw *rw, const struct obj_rw_rep *rep)
{
	const struct obj_io *io = rw->io;
	const uint8_t *inl = rep->inl;
	uint64_t base = 0, piece = 0;
	uint32_t i, j;

	for (i = 0; i < io->iod_nr; i++) {
		uint64_t off = base;

		for (j = 0; j < rep->piece_nr[i]; j++, piece++) {
			uint64_t len = rep->piece_len[piece] & ~OBJ_PIECE_HOLE;
			const uint8_t *src = rw->use_bulk ? rw->bounce + off : inl;

			if (!(rep->piece_len[piece] & OBJ_PIECE_HOLE)) {
				iov_from_buf(io->iov, (int)io->iov_nr, off, src, len);
				inl += len;
			}
			off += len;
		}
		base += io->sizes[i];
	}
}

static int
fetch_reply(struct obj_rpc *r, int status, const uint8_t *buf, size_t len)
{
	struct rw *rw = container_of(r, struct rw, rpc);
	struct obj_io *io = rw->io;
	struct obj_scratch scratch;
	struct obj_rw_rep rep;
	uint32_t i;
	int rc;

	/* With "too big" come the sizes that would do. */
	if (status != 0 && status != -DER_REC2BIG)
		return status;
	obj_scratch_init(&scratch);
	rc = len == 0 && status != 0 ? status : obj_rw_rep_decode(buf, len, &scratch, &rep);
	if (rc == 0)
		rc = reply_check(rw, &rep);
	if (rc != 0)
		goto out;
	for (i = 0; i < io->iod_nr; i++)
		io->iods[i].iod_size = rep.sizes[i];
	rc = status;
	if (rc == 0) {
		if (rep.piece_nr != NULL && !io->size_only && (!rw->use_bulk || rw->bounce != NULL))
			reply_copy(rw, &rep);
		if (io->on_reply != NULL)
			io->on_reply(io, &rep);
	}
out:
	obj_scratch_fini(&scratch);
	return rc;
}

static int
update_reply(struct obj_rpc *r, int status, const uint8_t *buf, size_t len)
{
	return status;
}

static uint32_t
recx_total(const struct obj_io *io)
{
	uint32_t i;
	uint64_t sum = 0;

	for (i = 0; i < io->iod_nr; i++)
		sum += io->iods[i].iod_type == DAOS_IOD_ARRAY ? io->iods[i].iod_nr : 1;
	return sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
}

/* Anything but punches? */
static bool
io_stores(const struct obj_io *io)
{
	uint32_t i;

	for (i = 0; i < io->iod_nr; i++)
		if (io->iods[i].iod_size != 0)
			return true;
	return false;
}

/*
 * Send an update to a group that is entered. It is one change however often its proof is refused:
 * it may have been executed by an attempt whose answer was lost.
 */
static int co_fn
rw_run_entered(struct rw *rw)
{
	struct obj *obj = rw->rpc.obj;
	uint32_t number = obj_group_number(obj, rw->rpc.group);
	struct op_ident ident;
	int rc;

	op_ident_begin(rw->rpc.op, &ident);
	rw->rpc.ident = &ident;
	for (;;) {
		rc = obj_groups_enter(rw->rpc.op, obj, number, number, &rw->proof);
		if (rc == 0)
			rc = obj_rpc_run(&rw->rpc);
		if (rc != -DER_EP_OLD || rw->proof == 0)
			break;
		/* Somebody punched the object, or the group was restarted. */
		obj_groups_forget(obj, rw->proof);
	}
	op_ident_end(rw->rpc.op, &ident);
	return rc;
}

static int co_fn
rw_run(struct op *op, struct obj *obj, struct obj_io *io, bool change)
{
	struct rw rw = {
	    .rpc =
		{
		    .op = op,
		    .obj = obj,
		    .group = obj_group_of(obj, io->dkey),
		    .dkey = io->dkey,
		    .opc = change ? OPC_OBJ_UPDATE : OPC_OBJ_FETCH,
		    .flags = io->flags,
		    .change = change,
		    .build = rw_build,
		    .reply = change ? update_reply : fetch_reply,
		    .end = rw_end,
		},
	    .io = io,
	};
	uint32_t recx_nr = recx_total(io);
	uint32_t i;
	int rc = 0;

	if (recx_nr > OBJ_RECX_MAX || io->iod_nr > OBJ_IOD_MAX)
		return -DER_OVERFLOW;
	for (i = 0; i < io->iod_nr; i++)
		rw.bytes += io->sizes[i];
	rw.use_bulk = !io->size_only &&
		      (rw.bytes > OBJ_INLINE_MAX || (!change && recx_nr > INLINE_RECX_MAX)) &&
		      rw.bytes > 0;
	if ((rw.use_bulk && io->iov_nr > RPC_BULK_SEG_MAX) ||
	    (!rw.use_bulk && change && io->iov_nr > INLINE_PIECES_MAX))
		rc = rw_make_bounce(&rw);
	if (rc == 0 && change && obj->shape.group_nr > 1 && io_stores(io))
		rc = rw_run_entered(&rw);
	else if (rc == 0)
		rc = obj_rpc_run(&rw.rpc);
	free(rw.bounce);
	return rc;
}

int co_fn
obj_update(struct op *op, struct obj *obj, struct obj_io *io)
{
	return rw_run(op, obj, io, true);
}

int co_fn
obj_fetch(struct op *op, struct obj *obj, struct obj_io *io)
{
	return rw_run(op, obj, io, false);
}

/* --- public calls --- */

struct rw_args {
	daos_handle_t oh;
	daos_handle_t th;
	uint64_t flags;
	daos_key_t *dkey;
	uint32_t nr;
	daos_iod_t *iods;
	d_sg_list_t *sgls;
	daos_iom_t *ioms;
	bool change;
};

static int
iod_check(const struct obj *obj, const daos_iod_t *iod, bool change)
{
	uint32_t i;
	int rc = obj_check_akey(obj, &iod->iod_name);

	if (rc != 0)
		return rc;
	switch (iod->iod_type) {
	case DAOS_IOD_SINGLE:
		return iod->iod_nr == 1 ? 0 : -DER_INVAL;
	case DAOS_IOD_ARRAY:
		if (iod->iod_recxs == NULL || iod->iod_nr == 0)
			return -DER_INVAL;
		for (i = 0; i < iod->iod_nr; i++) {
			const daos_recx_t *rx = &iod->iod_recxs[i];

			if (rx->rx_nr == 0 || rx->rx_idx + rx->rx_nr < rx->rx_idx)
				return -DER_INVAL;
		}
		return 0;
	default:
		return -DER_INVAL;
	}
}

static int
args_check(const struct obj *obj, const struct rw_args *args)
{
	uint32_t i;
	int rc;

	rc = obj_check_tx(args->th);
	if (rc == 0 && args->change)
		rc = obj_check_writable(obj);
	if (rc == 0 && (args->nr == 0 || args->iods == NULL || (args->flags & ~DAOS_COND_MASK)))
		rc = -DER_INVAL;
	if (rc == 0)
		rc = obj_check_dkey(obj, args->dkey);
	for (i = 0; rc == 0 && i < args->nr; i++)
		rc = iod_check(obj, &args->iods[i], args->change);
	return rc;
}

/* The memory of one akey: its size, and its pieces appended to vec. */
static int
iod_memory(const struct rw_args *args, uint32_t i, struct sgl_vec *vec, uint64_t *ret_bytes)
{
	const daos_iod_t *iod = &args->iods[i];
	const d_sg_list_t *sgl = args->sgls == NULL ? NULL : &args->sgls[i];
	uint64_t need, have;
	int rc;

	rc = obj_iod_bytes(iod, &need);
	if (rc != 0)
		return rc;
	if (args->change) {
		if (sgl_data_bytes(sgl) < need)
			return sgl == NULL ? -DER_INVAL : -DER_REC2BIG;
		*ret_bytes = need;
		return sgl_to_vec(sgl, false, need, vec);
	}
	have = sgl_room_bytes(sgl);
	/* A fetch of known record size needs no more than its records. */
	if (iod->iod_type == DAOS_IOD_ARRAY && iod->iod_size != DAOS_REC_ANY) {
		if (sgl != NULL && have < need)
			return -DER_REC2BIG;
		if (have > need)
			have = need;
	}
	*ret_bytes = have;
	return have == 0 ? 0 : sgl_to_vec(sgl, true, have, vec);
}

/* Where the caller's lists and maps are, for the reply. */
struct fetch_out {
	d_sg_list_t *sgls;
	daos_iom_t *ioms;
};

static void
iom_fill(daos_iom_t *iom, const daos_iod_t *iod, const daos_recx_t *recxs, uint32_t nr)
{
	uint32_t i;

	iom->iom_type = iod->iod_type;
	iom->iom_size = iod->iod_size;
	iom->iom_nr_out = iod->iod_type == DAOS_IOD_SINGLE ? iod->iod_size != 0 : nr;
	memset(&iom->iom_recx_lo, 0, sizeof(iom->iom_recx_lo));
	memset(&iom->iom_recx_hi, 0, sizeof(iom->iom_recx_hi));
	for (i = 0; i < nr; i++) {
		if (i == 0 || recxs[i].rx_idx < iom->iom_recx_lo.rx_idx)
			iom->iom_recx_lo = recxs[i];
		if (nr > 1 && recxs[i].rx_idx >= iom->iom_recx_hi.rx_idx)
			iom->iom_recx_hi = recxs[i];
		if ((iom->iom_flags & DAOS_IOMF_DETAIL) && iom->iom_recxs != NULL &&
		    i < iom->iom_nr)
			iom->iom_recxs[i] = recxs[i];
	}
}

/* Tell the caller how much of each list holds data, and what exists. */
static void
fetch_on_reply(struct obj_io *io, const struct obj_rw_rep *rep)
{
	const struct fetch_out *out = io->arg;
	uint64_t piece = 0, recx = 0;
	uint32_t i, j;

	for (i = 0; i < io->iod_nr; i++) {
		uint64_t off = 0, end = 0;

		for (j = 0; rep->piece_nr != NULL && j < rep->piece_nr[i]; j++, piece++) {
			off += rep->piece_len[piece] & ~OBJ_PIECE_HOLE;
			if (!(rep->piece_len[piece] & OBJ_PIECE_HOLE))
				end = off;
		}
		if (out->sgls != NULL && !io->size_only)
			sgl_set_filled(&out->sgls[i], end);
		if (out->ioms != NULL) {
			uint32_t nr = rep->recx_nr == NULL ? 0 : rep->recx_nr[i];

			iom_fill(&out->ioms[i], &io->iods[i], rep->recxs + recx, nr);
			recx += nr;
		}
	}
}

/* --- calls larger than one request may be --- */

enum { PART_BYTES = OBJ_IO_BYTES_MAX / 2 };

/* One akey of a large call on its way through its records. */
struct large {
	struct op *op;
	struct obj *obj;
	const struct rw_args *args;
	struct obj_io io; /* template: all but iods, sizes and memory */
	daos_iod_t *iod;
	const struct iovec *iov;
	uint32_t iov_nr;
	uint64_t off;  /* of this akey's memory in iov */
	uint64_t room; /* its size */
	uint64_t done; /* bytes of it that are behind us */
	uint64_t end;  /* behind the last byte that had data */
	uint64_t size; /* record size found */
};

static void
large_on_reply(struct obj_io *io, const struct obj_rw_rep *rep)
{
	struct large *l = io->arg;
	uint64_t off = l->done;
	uint32_t j;

	for (j = 0; rep->piece_nr != NULL && j < rep->piece_nr[0]; j++) {
		off += rep->piece_len[j] & ~OBJ_PIECE_HOLE;
		if (!(rep->piece_len[j] & OBJ_PIECE_HOLE))
			l->end = off;
	}
	if (rep->sizes[0] != 0)
		l->size = rep->sizes[0];
}

/* Some records of one extent. */
static int co_fn
large_part(struct large *l, daos_recx_t recx)
{
	daos_iod_t iod = *l->iod;
	uint64_t bytes = recx.rx_nr * l->iod->iod_size;
	CLEANUP(freep)
	struct iovec *iov = mem_calloc(l->iov_nr + 1, sizeof(*iov));
	struct obj_io io = l->io;
	int nr, rc;

	if (iov == NULL)
		return -DER_NOMEM;
	nr = iov_slice(l->iov, (int)l->iov_nr, l->off + l->done, bytes, iov, (int)l->iov_nr + 1);
	if (nr < 0)
		return nr;
	iod.iod_nr = 1;
	iod.iod_recxs = &recx;
	io.iod_nr = 1;
	io.iods = &iod;
	io.sizes = &bytes;
	io.iov = iov;
	io.iov_nr = (uint32_t)nr;
	io.on_reply = large_on_reply;
	io.arg = l;
	rc = l->args->change ? obj_update(l->op, l->obj, &io) : obj_fetch(l->op, l->obj, &io);
	l->done += bytes;
	return rc;
}

static int co_fn
large_iod(struct large *l)
{
	uint64_t most, rec = l->iod->iod_size;
	uint32_t r;
	int rc = 0;

	if (l->iod->iod_type != DAOS_IOD_ARRAY || rec == 0 || rec > OBJ_IO_BYTES_MAX)
		return -DER_REC2BIG;
	most = PART_BYTES / rec == 0 ? 1 : PART_BYTES / rec;
	for (r = 0; rc == 0 && r < l->iod->iod_nr; r++) {
		daos_recx_t left = l->iod->iod_recxs[r];

		while (rc == 0 && left.rx_nr > 0) {
			daos_recx_t part = {left.rx_idx, left.rx_nr < most ? left.rx_nr : most};

			rc = large_part(l, part);
			left.rx_idx += part.rx_nr;
			left.rx_nr -= part.rx_nr;
		}
	}
	return rc;
}

/*
 * A call of more bytes than one request may carry, as several: possible for arrays, and no longer
 * one atomic change. So it is refused where the caller relies on that.
 */
static int co_fn
rw_large(struct op *op, struct obj *obj, const struct rw_args *args, const struct obj_io *io)
{
	struct large l = {
	    .op = op, .obj = obj, .args = args, .io = *io, .iov = io->iov, .iov_nr = io->iov_nr};
	uint32_t i;
	int rc = 0;

	if (args->flags != 0 || args->ioms != NULL)
		return -DER_REC2BIG;
	for (i = 0; rc == 0 && i < args->nr; i++) {
		l.iod = &args->iods[i];
		l.room = io->sizes[i];
		l.done = l.end = l.size = 0;
		rc = large_iod(&l);
		l.off += l.room;
		if (rc == 0 && !args->change) {
			l.iod->iod_size = l.size;
			sgl_set_filled(&args->sgls[i], l.end);
		}
	}
	return rc;
}

static int co_fn
rw_args_run(struct op *op, struct obj *obj, struct rw_args *args)
{
	uint64_t sizes_fixed[SINGLE_NR];
	CLEANUP(freep)
	uint64_t *sizes_big = NULL;
	CLEANUP(sgl_vec_fini)
	struct sgl_vec vec;
	struct fetch_out out = {.sgls = args->sgls, .ioms = args->ioms};
	struct obj_io io = {
	    .flags = args->flags,
	    .dkey = args->dkey,
	    .iod_nr = args->nr,
	    .iods = args->iods,
	    .sizes = sizes_fixed,
	    .size_only = !args->change && args->sgls == NULL,
	    .want_recx = args->ioms != NULL,
	    .on_reply = fetch_on_reply,
	    .arg = &out,
	};
	uint64_t total = 0;
	uint32_t i;
	int rc;

	sgl_vec_init(&vec);
	rc = args_check(obj, args);
	if (rc != 0)
		return rc;
	if (args->nr > SINGLE_NR) {
		sizes_big = mem_calloc(args->nr, sizeof(*sizes_big));
		if (sizes_big == NULL)
			return -DER_NOMEM;
		io.sizes = sizes_big;
	}
	for (i = 0; i < args->nr; i++) {
		rc = iod_memory(args, i, &vec, &io.sizes[i]);
		if (rc != 0)
			return rc;
		total += io.sizes[i];
	}
	io.iov = vec.iov;
	io.iov_nr = vec.nr;
	if (total > OBJ_IO_BYTES_MAX)
		return rw_large(op, obj, args, &io);
	return args->change ? obj_update(op, obj, &io) : obj_fetch(op, obj, &io);
}

static int co_fn
rw_op(struct op *op, void *arg)
{
	struct rw_args *args = arg;
	struct obj *obj = obj_hdl_get(op->ctx->client, args->oh);
	int rc;

	if (obj == NULL)
		return -DER_NO_HDL;
	rc = rw_args_run(op, obj, args);
	obj_hdl_put(op->ctx->client, args->oh);
	return rc;
}

int
daos_obj_update(daos_handle_t oh, daos_handle_t th, uint64_t flags, daos_key_t *dkey,
		unsigned int nr, daos_iod_t *iods, d_sg_list_t *sgls, daos_event_t *ev)
{
	struct rw_args args = {.oh = oh,
			       .th = th,
			       .flags = flags,
			       .dkey = dkey,
			       .nr = nr,
			       .iods = iods,
			       .sgls = sgls,
			       .change = true};

	return op_run(ev, rw_op, &args, sizeof(args));
}

int
daos_obj_fetch(daos_handle_t oh, daos_handle_t th, uint64_t flags, daos_key_t *dkey,
	       unsigned int nr, daos_iod_t *iods, d_sg_list_t *sgls, daos_iom_t *ioms,
	       daos_event_t *ev)
{
	struct rw_args args = {.oh = oh,
			       .th = th,
			       .flags = flags,
			       .dkey = dkey,
			       .nr = nr,
			       .iods = iods,
			       .sgls = sgls,
			       .ioms = ioms};

	return op_run(ev, rw_op, &args, sizeof(args));
}
