/*
 * Reading and writing ranges.
 *
 * The ranges are cut at chunk boundaries; neighbours in the same chunk become the extents of one
 * request. Requests to different chunks run at the same time. A call that stays in one chunk, by
 * far the most frequent, needs no allocation.
 *
 * A read remembers the holes that it met. Those before any data that it saw are inside the array
 * and are filled with zeros. Only if the last cells asked for are a hole is the size of the array
 * needed to tell how much of it counts.
 */
#define LOG_FACILITY "array"

#include <stdlib.h>
#include <string.h>

#include "client/array/array.h"
#include "client/event/event.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/iov.h"
#include "base/mem.h"

enum {
	CHUNK_PAR_MAX = 32,    /* requests of one call at a time */
	CHUNK_RECX_MAX = 1024, /* extents of one request */
	CHUNK_BYTES_MAX = 16 * 1024 * 1024,
	RECX_FIXED = 4,
};

struct array_io_args {
	daos_handle_t oh;
	daos_handle_t th;
	daos_array_iod_t *iod;
	d_sg_list_t *sgl; /* NULL: punch */
	enum { IO_READ, IO_WRITE, IO_PUNCH } kind;
};

struct array_io;

/* One request: extents of one chunk and their memory. */
struct chunk_req {
	struct array_io *io;
	uint64_t chunk;
	daos_recx_t *recxs;
	uint32_t recx_nr;
	uint32_t recx_max;
	daos_recx_t recx_fixed[RECX_FIXED];
	uint64_t bytes;
	struct sgl_vec vec;
	struct chunk_req *next_part;
};

/* A part of the array that a read found empty. */
struct hole {
	uint64_t cell;
	uint64_t bytes; /* a multiple of the cell size */
	struct chunk_req *req;
	uint64_t off; /* in the request's memory */
};

struct array_io {
	struct op *op;
	struct array *array;
	uint64_t chunk_cells;
	struct array_io_args *args;
	struct chunk_req *reqs;
	uint32_t req_nr;
	uint32_t req_max;
	struct chunk_req first;  /* reqs points here while one is enough */
	struct chunk_req *parts; /* of requests that had to be divided, chained */
	uint64_t data_end;       /* reads: cell behind the last one that had data */
	struct hole *holes;
	uint32_t hole_nr;
	uint32_t hole_max;
};

/* --- cutting --- */

static void
req_fini(struct chunk_req *req)
{
	if (req->recxs != req->recx_fixed)
		free(req->recxs);
	sgl_vec_fini(&req->vec);
}

static void
req_init(struct chunk_req *req, struct array_io *io, uint64_t chunk)
{
	memset(req, 0, sizeof(*req));
	req->io = io;
	req->chunk = chunk;
	req->recxs = req->recx_fixed;
	req->recx_max = RECX_FIXED;
	sgl_vec_init(&req->vec);
}

/* A moved request still points into its old place. */
static void
req_relocated(struct chunk_req *req, const struct chunk_req *old)
{
	if (req->recxs == old->recx_fixed)
		req->recxs = req->recx_fixed;
	if (req->vec.iov == old->vec.fixed)
		req->vec.iov = req->vec.fixed;
}

static int
reqs_grow(struct array_io *io)
{
	uint32_t i, max = io->req_max == 0 ? 8 : io->req_max * 2;
	struct chunk_req *reqs = mem_alloc(max * sizeof(*reqs));

	if (reqs == NULL)
		return -DER_NOMEM;
	memcpy(reqs, io->reqs, io->req_nr * sizeof(*reqs));
	for (i = 0; i < io->req_nr; i++)
		req_relocated(&reqs[i], &io->reqs[i]);
	if (io->reqs != &io->first)
		free(io->reqs);
	io->reqs = reqs;
	io->req_max = max;
	return 0;
}

static int
req_add_recx(struct chunk_req *req, uint64_t idx, uint64_t nr)
{
	daos_recx_t *recxs;

	if (req->recx_nr == req->recx_max) {
		uint32_t max = req->recx_max * 4;

		if (req->recxs == req->recx_fixed) {
			recxs = mem_alloc(max * sizeof(*recxs));
			if (recxs != NULL)
				memcpy(recxs, req->recx_fixed, sizeof(req->recx_fixed));
		} else {
			recxs = mem_realloc(req->recxs, max, sizeof(*recxs));
		}
		if (recxs == NULL)
			return -DER_NOMEM;
		req->recxs = recxs;
		req->recx_max = max;
	}
	req->recxs[req->recx_nr++] = (daos_recx_t){.rx_idx = idx, .rx_nr = nr};
	return 0;
}

/* Add cells of one chunk, whose memory comes next in it. */
static int
io_add(struct array_io *io, uint64_t chunk, uint64_t idx, uint64_t cells, struct iov_iter *it)
{
	uint64_t left = cells * io->array->cell_bytes;
	struct chunk_req *req = io->req_nr == 0 ? NULL : &io->reqs[io->req_nr - 1];
	int rc;

	if (req == NULL || req->chunk != chunk || req->recx_nr == CHUNK_RECX_MAX ||
	    req->bytes + left > CHUNK_BYTES_MAX) {
		if (io->req_nr > 0 && io->req_nr >= io->req_max) {
			rc = reqs_grow(io);
			if (rc != 0)
				return rc;
		}
		req = &io->reqs[io->req_nr++];
		req_init(req, io, chunk);
	}
	rc = req_add_recx(req, idx, cells);
	req->bytes += left;
	while (rc == 0 && it != NULL && left > 0) {
		size_t len;
		void *buf;

		if (!iov_iter_next(it, left, &buf, &len))
			return -DER_INVAL;
		rc = sgl_vec_add(&req->vec, buf, len);
		left -= len;
	}
	return rc;
}

static int
io_cut(struct array_io *io, const daos_array_iod_t *iod, struct iov_iter *it)
{
	uint64_t chunk_cells = io->chunk_cells;
	uint64_t most = CHUNK_BYTES_MAX / io->array->cell_bytes;
	daos_size_t i;
	int rc = 0;

	if (most == 0)
		most = 1;
	for (i = 0; rc == 0 && i < iod->arr_nr; i++) {
		uint64_t cell = iod->arr_rgs[i].rg_idx;
		uint64_t left = iod->arr_rgs[i].rg_len;

		while (rc == 0 && left > 0) {
			uint64_t idx = cell % chunk_cells;
			uint64_t n = chunk_cells - idx;

			if (n > left)
				n = left;
			if (it != NULL && n > most)
				n = most;
			rc = io_add(io, cell / chunk_cells, idx, n, it);
			cell += n;
			left -= n;
		}
	}
	return rc;
}

/* --- requests --- */

static int
hole_add(struct array_io *io, struct chunk_req *req, uint64_t cell, uint64_t off, uint64_t bytes)
{
	if (io->hole_nr == io->hole_max) {
		uint32_t max = io->hole_max == 0 ? 16 : io->hole_max * 2;
		struct hole *holes = mem_realloc(io->holes, max, sizeof(*holes));

		if (holes == NULL)
			return -DER_NOMEM;
		io->holes = holes;
		io->hole_max = max;
	}
	io->holes[io->hole_nr++] =
	    (struct hole){.cell = cell, .bytes = bytes, .req = req, .off = off};
	return 0;
}

struct chunk_fetch {
	struct chunk_req *req;
	int rc;
};

/* Walk extents and pieces together: which cells had data, which are holes. */
static void
chunk_on_reply(struct obj_io *oio, const struct obj_rw_rep *rep)
{
	struct chunk_fetch *cf = oio->arg;
	struct chunk_req *req = cf->req;
	struct array_io *io = req->io;
	uint64_t cell_bytes = io->array->cell_bytes;
	uint64_t base = req->chunk * io->chunk_cells;
	uint64_t off = 0;
	uint32_t r = 0, p = 0, piece_nr = rep->piece_nr == NULL ? 0 : rep->piece_nr[0];
	uint64_t recx_off = 0; /* bytes of extent r that are done */
	uint64_t piece_left = 0;
	bool hole = true;

	for (r = 0; cf->rc == 0 && r < req->recx_nr;) {
		uint64_t recx_bytes = req->recxs[r].rx_nr * cell_bytes;
		uint64_t cell = base + req->recxs[r].rx_idx + recx_off / cell_bytes;
		uint64_t n = recx_bytes - recx_off;

		if (piece_left == 0) {
			if (p < piece_nr) {
				piece_left = rep->piece_len[p] & ~OBJ_PIECE_HOLE;
				hole = (rep->piece_len[p] & OBJ_PIECE_HOLE) != 0;
				p++;
				if (piece_left == 0)
					continue;
			} else { /* what is not described is not there */
				piece_left = UINT64_MAX;
				hole = true;
			}
		}
		if (n > piece_left)
			n = piece_left;
		if (hole)
			cf->rc = hole_add(io, req, cell, off, n);
		else if (cell + n / cell_bytes > io->data_end)
			io->data_end = cell + n / cell_bytes;
		off += n;
		if (piece_left != UINT64_MAX)
			piece_left -= n;
		recx_off += n;
		if (recx_off == recx_bytes) {
			recx_off = 0;
			r++;
		}
	}
}

static int co_fn
chunk_send(struct array_io *io, struct chunk_req *req)
{
	struct chunk_fetch cf = {.req = req};
	uint64_t dkey_val = req->chunk + 1;
	daos_iod_t iod = {.iod_type = DAOS_IOD_ARRAY,
			  .iod_size = io->args->kind == IO_PUNCH ? 0 : io->array->cell_bytes,
			  .iod_nr = req->recx_nr,
			  .iod_recxs = req->recxs};
	uint64_t bytes = io->args->kind == IO_PUNCH ? 0 : req->bytes;
	daos_key_t dkey;
	struct obj_io oio = {.dkey = &dkey,
			     .iod_nr = 1,
			     .iods = &iod,
			     .sizes = &bytes,
			     .iov = req->vec.iov,
			     .iov_nr = req->vec.nr,
			     .on_reply = chunk_on_reply,
			     .arg = &cf};
	int rc;

	d_iov_set(&dkey, &dkey_val, sizeof(dkey_val));
	array_akey(&iod.iod_name);
	if (io->args->kind != IO_READ)
		return obj_update(io->op, io->array->obj, &oio);
	rc = obj_fetch(io->op, io->array->obj, &oio);
	return rc != 0 ? rc : cf.rc;
}

/* The bytes [off, off + bytes) of a request as one of its own, kept until the call ends. */
static int
req_part(struct array_io *io, const struct chunk_req *req, uint64_t off, uint64_t bytes,
	 struct chunk_req **ret_part)
{
	uint64_t cell_bytes = io->array->cell_bytes;
	struct chunk_req *part = mem_alloc(sizeof(*part));
	struct iov_iter it;
	uint64_t at = 0, left = bytes;
	uint32_t r;
	int rc = 0;

	if (part == NULL)
		return -DER_NOMEM;
	req_init(part, io, req->chunk);
	part->next_part = io->parts;
	io->parts = part;
	part->bytes = bytes;
	for (r = 0; rc == 0 && r < req->recx_nr; r++) {
		uint64_t len = req->recxs[r].rx_nr * cell_bytes;
		uint64_t lo = at > off ? at : off;
		uint64_t hi = at + len < off + bytes ? at + len : off + bytes;

		if (lo < hi)
			rc = req_add_recx(part, req->recxs[r].rx_idx + (lo - at) / cell_bytes,
					  (hi - lo) / cell_bytes);
		at += len;
	}
	iov_iter_init(&it, req->vec.iov, (int)req->vec.nr);
	iov_iter_skip(&it, off);
	while (rc == 0 && left > 0) {
		size_t len;
		void *buf;

		if (!iov_iter_next(&it, left, &buf, &len))
			return -DER_INVAL;
		rc = sgl_vec_add(&part->vec, buf, len);
		left -= len;
	}
	*ret_part = part;
	return rc;
}

/* Data so scattered that its description does not fit a reply is fetched in halves. */
static int co_fn
chunk_do(struct array_io *io, struct chunk_req *req)
{
	uint64_t cell_bytes = io->array->cell_bytes;
	uint64_t half = req->bytes / cell_bytes / 2 * cell_bytes;
	struct chunk_req *a, *b;
	int rc = chunk_send(io, req);

	if (rc != -DER_OVERFLOW || io->args->kind != IO_READ || half == 0)
		return rc;
	rc = req_part(io, req, 0, half, &a);
	if (rc == 0)
		rc = req_part(io, req, half, req->bytes - half, &b);
	if (rc == 0)
		rc = chunk_do(io, a);
	return rc == 0 ? chunk_do(io, b) : rc;
}

static int co_fn
chunk_run(void *arg, uint32_t i)
{
	struct array_io *io = arg;

	return chunk_do(io, &io->reqs[i]);
}

/* --- reads: what of the holes is inside the array --- */

static void
hole_zero(const struct hole *hole, uint64_t bytes)
{
	struct iov_iter it;

	iov_iter_init(&it, hole->req->vec.iov, (int)hole->req->vec.nr);
	iov_iter_skip(&it, hole->off);
	iov_iter_zero(&it, bytes);
}

static int co_fn
read_finish(struct array_io *io)
{
	uint64_t cell_bytes = io->array->cell_bytes;
	uint64_t end = io->data_end, short_cells = 0, total = 0;
	bool beyond = false;
	daos_size_t r;
	uint32_t i;
	int rc;

	for (r = 0; r < io->args->iod->arr_nr; r++)
		total += io->args->iod->arr_rgs[r].rg_len;
	for (i = 0; i < io->hole_nr; i++)
		if (io->holes[i].cell + io->holes[i].bytes / cell_bytes > end)
			beyond = true;
	if (beyond) {
		uint64_t size, epoch;

		rc = array_size(io->op, io->array, &size, &epoch);
		if (rc != 0)
			return rc;
		if (size > end)
			end = size;
	}
	for (i = 0; i < io->hole_nr; i++) {
		const struct hole *hole = &io->holes[i];
		uint64_t cells = hole->bytes / cell_bytes;
		uint64_t inside = hole->cell >= end ? 0 : end - hole->cell;

		if (inside > cells)
			inside = cells;
		hole_zero(hole, inside * cell_bytes);
		short_cells += cells - inside;
	}
	io->args->iod->arr_nr_short_read = short_cells;
	io->args->iod->arr_nr_read = total - short_cells;
	return 0;
}

/* --- punch: the size stays --- */

static int co_fn
punch_finish(struct array_io *io, uint64_t size_before)
{
	const daos_array_iod_t *iod = io->args->iod;
	daos_size_t i;

	for (i = 0; i < iod->arr_nr; i++) {
		const daos_range_t *rg = &iod->arr_rgs[i];

		if (size_before > 0 && rg->rg_idx <= size_before - 1 &&
		    size_before - 1 - rg->rg_idx < rg->rg_len)
			return array_mark_end(io->op, io->array, size_before - 1);
	}
	return 0;
}

/* --- public calls --- */

static int
iod_check(const struct array_io_args *args, uint64_t cell_bytes)
{
	const daos_array_iod_t *iod = args->iod;
	uint64_t cells = 0, bytes;
	daos_size_t i;

	for (i = 0; i < iod->arr_nr; i++) {
		const daos_range_t *rg = &iod->arr_rgs[i];

		if (rg->rg_idx + rg->rg_len < rg->rg_idx ||
		    __builtin_add_overflow(cells, rg->rg_len, &cells))
			return -DER_INVAL;
	}
	if (iod->arr_nr > DAOS_ARRAY_LIST_IO_LIMIT && cells / iod->arr_nr < DAOS_ARRAY_RG_LEN_THD)
		return -DER_NOTSUPPORTED;
	if (args->kind == IO_PUNCH)
		return 0;
	if (__builtin_mul_overflow(cells, cell_bytes, &bytes) || bytes != sgl_data_bytes(args->sgl))
		return -DER_INVAL;
	return 0;
}

/* A write of several chunks: have all their groups entered by one request. */
static int co_fn
io_announce(struct array_io *io)
{
	uint64_t first = UINT64_MAX, last = 0;
	uint32_t i;

	for (i = 0; i < io->req_nr; i++) {
		uint64_t chunk = io->reqs[i].chunk;

		first = chunk < first ? chunk : first;
		last = chunk > last ? chunk : last;
	}
	return obj_will_write(io->op, io->array->obj, first + 1, last + 1);
}

static int co_fn
array_io_run(struct op *op, struct array *array, struct array_io_args *args)
{
	struct array_io io = {.op = op,
			      .array = array,
			      .chunk_cells = atomic_load(&array->chunk_cells),
			      .args = args};
	CLEANUP(sgl_vec_fini)
	struct sgl_vec vec;
	uint64_t size = 0, epoch;
	struct iov_iter it;
	uint32_t i;
	int rc;

	sgl_vec_init(&vec);
	io.reqs = &io.first;
	rc = obj_check_tx(args->th);
	if (rc == 0 && args->kind != IO_READ)
		rc = obj_check_writable(array->obj);
	if (rc == 0)
		rc = iod_check(args, array->cell_bytes);
	if (rc == 0 && args->sgl != NULL)
		rc = sgl_to_vec(args->sgl, false, sgl_data_bytes(args->sgl), &vec);
	if (rc != 0)
		return rc;
	iov_iter_init(&it, vec.iov, (int)vec.nr);
	rc = io_cut(&io, args->iod, args->sgl == NULL ? NULL : &it);
	if (rc == 0 && args->kind == IO_PUNCH)
		rc = array_size(op, array, &size, &epoch);
	if (rc == 0 && args->kind == IO_WRITE && io.req_nr > 1)
		rc = io_announce(&io);
	if (rc == 0 && io.req_nr > 0)
		rc = op_for_each(io.req_nr, CHUNK_PAR_MAX, chunk_run, &io);
	if (rc == 0 && args->kind == IO_READ)
		rc = read_finish(&io);
	if (rc == 0 && args->kind == IO_PUNCH)
		rc = punch_finish(&io, size);
	for (i = 0; i < io.req_nr; i++)
		req_fini(&io.reqs[i]);
	if (io.reqs != &io.first)
		free(io.reqs);
	while (io.parts != NULL) {
		struct chunk_req *part = io.parts;

		io.parts = part->next_part;
		req_fini(part);
		free(part);
	}
	free(io.holes);
	return rc;
}

static int co_fn
array_io_op(struct op *op, void *arg)
{
	struct array_io_args *args = arg;
	struct array *array = array_hdl_get(op->ctx->client, args->oh);
	int rc;

	if (array == NULL)
		return -DER_NO_HDL;
	rc = array_io_run(op, array, args);
	array_hdl_put(op->ctx->client, args->oh);
	return rc;
}

static int
array_io_start(struct array_io_args *args, daos_event_t *ev)
{
	const daos_array_iod_t *iod = args->iod;

	if (iod == NULL || (iod->arr_nr > 0 && iod->arr_rgs == NULL) ||
	    (args->kind != IO_PUNCH && args->sgl == NULL))
		return -DER_INVAL;
	return op_run(ev, array_io_op, args, sizeof(*args));
}

int
daos_array_read(daos_handle_t oh, daos_handle_t th, daos_array_iod_t *iod, d_sg_list_t *sgl,
		daos_event_t *ev)
{
	struct array_io_args args = {.oh = oh, .th = th, .iod = iod, .sgl = sgl, .kind = IO_READ};

	return array_io_start(&args, ev);
}

int
daos_array_write(daos_handle_t oh, daos_handle_t th, daos_array_iod_t *iod, d_sg_list_t *sgl,
		 daos_event_t *ev)
{
	struct array_io_args args = {.oh = oh, .th = th, .iod = iod, .sgl = sgl, .kind = IO_WRITE};

	return array_io_start(&args, ev);
}

int
daos_array_punch(daos_handle_t oh, daos_handle_t th, daos_array_iod_t *iod, daos_event_t *ev)
{
	struct array_io_args args = {.oh = oh, .th = th, .iod = iod, .kind = IO_PUNCH};

	return array_io_start(&args, ev);
}
