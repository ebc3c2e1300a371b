/*
 * The size of an array: asked, set.
 *
 * The size is not stored. It is the end of the last extent of the last chunk that has one; every
 * group is asked for its own last chunk, all at once. So an array ends with a written cell: setting
 * a size beyond the last one writes zeros to the cell before it, and setting a smaller one removes
 * what is behind and writes that cell if it happens to be in a hole.
 */
#define LOG_FACILITY "array"

#include <stdlib.h>
#include <string.h>

#include <daos_api.h>

#include "client/array/array.h"
#include "client/event/event.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"

enum {
	PUNCH_BY_NUMBER_MAX = 256, /* more chunks to remove than this are looked up first */
	PUNCH_BATCH = 512,
};

int co_fn
array_size(struct op *op, struct array *array, uint64_t *ret_cells, uint64_t *ret_max_epoch)
{
	uint64_t chunk_cells = atomic_load(&array->chunk_cells);
	struct obj_found found;
	daos_key_t akey;
	int rc;

	array_akey(&akey);
	rc = obj_query(op, array->obj, DAOS_GET_MAX | DAOS_GET_DKEY | DAOS_GET_RECX, 0, &akey,
		       &found);
	if (rc != 0)
		return rc;
	*ret_cells = 0;
	if (found.found && found.dkey > 0)
		*ret_cells = (found.dkey - 1) * chunk_cells + found.recx.rx_idx + found.recx.rx_nr;
	*ret_max_epoch = found.max_epoch;
	return 0;
}

/* --- one cell --- */

/* An access to one cell. */
struct cell_io {
	struct obj_io io;
	uint64_t dkey_val;
	daos_key_t dkey;
	daos_iod_t iod;
	daos_recx_t recx;
	uint64_t bytes;
	struct iovec iov;
};

static void
cell_io_init(struct cell_io *c, const struct array *array, uint64_t cell, void *buf)
{
	uint64_t chunk_cells = atomic_load(&array->chunk_cells);

	memset(c, 0, sizeof(*c));
	c->dkey_val = cell / chunk_cells + 1;
	d_iov_set(&c->dkey, &c->dkey_val, sizeof(c->dkey_val));
	c->recx = (daos_recx_t){.rx_idx = cell % chunk_cells, .rx_nr = 1};
	array_akey(&c->iod.iod_name);
	c->iod.iod_type = DAOS_IOD_ARRAY;
	c->iod.iod_size = array->cell_bytes;
	c->iod.iod_nr = 1;
	c->iod.iod_recxs = &c->recx;
	c->bytes = array->cell_bytes;
	c->iov.iov_base = buf;
	c->iov.iov_len = array->cell_bytes;
	c->io.dkey = &c->dkey;
	c->io.iod_nr = 1;
	c->io.iods = &c->iod;
	c->io.sizes = &c->bytes;
	c->io.iov = &c->iov;
	c->io.iov_nr = 1;
}

int co_fn
array_mark_end(struct op *op, struct array *array, uint64_t cell)
{
	CLEANUP(freep)
	void *zeros = mem_calloc(1, array->cell_bytes);
	struct cell_io c;

	if (zeros == NULL)
		return -DER_NOMEM;
	cell_io_init(&c, array, cell, zeros);
	return obj_update(op, array->obj, &c.io);
}

static void
cell_on_reply(struct obj_io *io, const struct obj_rw_rep *rep)
{
	bool *there = io->arg;

	*there =
	    rep->piece_nr != NULL && rep->piece_nr[0] > 0 && !(rep->piece_len[0] & OBJ_PIECE_HOLE);
}

static int co_fn
cell_exists(struct op *op, struct array *array, uint64_t cell, bool *ret_there)
{
	CLEANUP(freep)
	void *buf = mem_alloc(array->cell_bytes);
	struct cell_io c;

	if (buf == NULL)
		return -DER_NOMEM;
	*ret_there = false;
	cell_io_init(&c, array, cell, buf);
	c.io.on_reply = cell_on_reply;
	c.io.arg = ret_there;
	return obj_fetch(op, array->obj, &c.io);
}

/* --- shrinking --- */

/* Punch a batch of dkeys, which are integers. */
static int co_fn
punch_numbers(struct op *op, struct array *array, uint64_t *numbers, uint32_t nr)
{
	CLEANUP(freep)
	daos_key_t *keys = mem_calloc(nr, sizeof(*keys));
	uint32_t i;

	if (keys == NULL)
		return -DER_NOMEM;
	for (i = 0; i < nr; i++)
		d_iov_set(&keys[i], &numbers[i], sizeof(numbers[i]));
	return nr == 0 ? 0 : obj_punch_dkeys(op, array->obj, 0, nr, keys);
}

/* Few chunks behind the new end: punch each. */
static int co_fn
punch_range(struct op *op, struct array *array, uint64_t first, uint64_t last)
{
	uint64_t numbers[PUNCH_BY_NUMBER_MAX];
	uint32_t nr = 0;
	uint64_t n;

	for (n = first; n <= last && nr < PUNCH_BY_NUMBER_MAX; n++)
		numbers[nr++] = n;
	return punch_numbers(op, array, numbers, nr);
}

/* Many: punch those that exist. */
static int co_fn
punch_listed(struct op *op, struct array *array, uint64_t first)
{
	CLEANUP(freep)
	uint64_t *numbers = mem_calloc(PUNCH_BATCH, sizeof(*numbers));
	CLEANUP(freep)
	daos_key_desc_t *kds = mem_calloc(PUNCH_BATCH, sizeof(*kds));
	daos_anchor_t anchor = DAOS_ANCHOR_INIT;
	d_iov_t iov;
	d_sg_list_t sgl = {.sg_nr = 1, .sg_iovs = &iov};
	int rc = 0;

	if (numbers == NULL || kds == NULL)
		return -DER_NOMEM;
	while (rc == 0 && !daos_anchor_is_eof(&anchor)) {
		uint32_t i, nr = PUNCH_BATCH, keep = 0;

		d_iov_set(&iov, numbers, PUNCH_BATCH * sizeof(*numbers));
		rc = obj_list_keys(op, array->obj, NULL, &nr, kds, &sgl, &anchor);
		for (i = 0; rc == 0 && i < nr; i++) {
			if (kds[i].kd_key_len != sizeof(*numbers))
				rc = -DER_PROTO;
			else if (numbers[i] >= first)
				numbers[keep++] = numbers[i];
		}
		if (rc == 0)
			rc = punch_numbers(op, array, numbers, keep);
	}
	return rc;
}

/* Remove the cells of the last chunk behind its new end. */
static int co_fn
trim_chunk(struct op *op, struct array *array, uint64_t size)
{
	uint64_t chunk_cells = atomic_load(&array->chunk_cells);
	uint64_t keep = size % chunk_cells;
	struct cell_io c;

	if (keep == 0)
		return 0;
	cell_io_init(&c, array, size, NULL);
	c.recx = (daos_recx_t){.rx_idx = keep, .rx_nr = chunk_cells - keep};
	c.iod.iod_size = 0; /* punch */
	c.bytes = 0;
	c.io.iov_nr = 0;
	return obj_update(op, array->obj, &c.io);
}

static int co_fn
array_shrink(struct op *op, struct array *array, uint64_t size, uint64_t cur)
{
	uint64_t chunk_cells = atomic_load(&array->chunk_cells);
	bool has_meta = daos_obj_id2type(array->obj->oid) == DAOS_OT_ARRAY;
	uint64_t first = (size + chunk_cells - 1) / chunk_cells + 1; /* dkey that goes whole */
	uint64_t last = (cur - 1) / chunk_cells + 1;
	bool there = true;
	int rc;

	if (size == 0 && !has_meta)
		return obj_punch(op, array->obj, 0, NULL, 0, NULL);
	if (last >= first && last - first >= PUNCH_BY_NUMBER_MAX)
		rc = punch_listed(op, array, first);
	else
		rc = punch_range(op, array, first, last);
	if (rc == 0)
		rc = trim_chunk(op, array, size);
	if (rc == 0 && size > 0)
		rc = cell_exists(op, array, size - 1, &there);
	if (rc == 0 && !there)
		rc = array_mark_end(op, array, size - 1);
	return rc;
}

/* --- public calls --- */

struct size_args {
	daos_handle_t oh;
	daos_handle_t th;
	daos_size_t size; /* set */
	daos_size_t *ret_size;
	daos_array_stbuf_t *stbuf;
};

static int co_fn
array_get_size_op(struct op *op, void *arg)
{
	struct size_args *args = arg;
	struct array *array = array_hdl_get(op->ctx->client, args->oh);
	uint64_t cells, epoch;
	int rc;

	if (array == NULL)
		return -DER_NO_HDL;
	rc = obj_check_tx(args->th);
	if (rc == 0)
		rc = array_size(op, array, &cells, &epoch);
	if (rc == 0 && args->ret_size != NULL)
		*args->ret_size = cells;
	if (rc == 0 && args->stbuf != NULL) {
		args->stbuf->st_size = cells;
		args->stbuf->st_max_epoch = epoch;
	}
	array_hdl_put(op->ctx->client, args->oh);
	return rc;
}

static int co_fn
array_set_size_run(struct op *op, struct array *array, const struct size_args *args)
{
	uint64_t cur, epoch;
	int rc;

	rc = obj_check_tx(args->th);
	if (rc == 0)
		rc = obj_check_writable(array->obj);
	if (rc == 0)
		rc = array_size(op, array, &cur, &epoch);
	if (rc != 0 || args->size == cur)
		return rc;
	if (args->size > cur)
		return array_mark_end(op, array, args->size - 1);
	return array_shrink(op, array, args->size, cur);
}

static int co_fn
array_set_size_op(struct op *op, void *arg)
{
	struct size_args *args = arg;
	struct array *array = array_hdl_get(op->ctx->client, args->oh);
	int rc;

	if (array == NULL)
		return -DER_NO_HDL;
	rc = array_set_size_run(op, array, args);
	array_hdl_put(op->ctx->client, args->oh);
	return rc;
}

static int co_fn
array_destroy_op(struct op *op, void *arg)
{
	struct size_args *args = arg;
	struct array *array = array_hdl_get(op->ctx->client, args->oh);
	int rc;

	if (array == NULL)
		return -DER_NO_HDL;
	rc = obj_check_tx(args->th);
	if (rc == 0)
		rc = obj_check_writable(array->obj);
	if (rc == 0)
		rc = obj_punch(op, array->obj, 0, NULL, 0, NULL);
	array_hdl_put(op->ctx->client, args->oh);
	return rc;
}

int
daos_array_get_size(daos_handle_t oh, daos_handle_t th, daos_size_t *size, daos_event_t *ev)
{
	struct size_args args = {.oh = oh, .th = th, .ret_size = size};

	if (size == NULL)
		return -DER_INVAL;
	return op_run(ev, array_get_size_op, &args, sizeof(args));
}

int
daos_array_stat(daos_handle_t oh, daos_handle_t th, daos_array_stbuf_t *stbuf, daos_event_t *ev)
{
	struct size_args args = {.oh = oh, .th = th, .stbuf = stbuf};

	if (stbuf == NULL)
		return -DER_INVAL;
	return op_run(ev, array_get_size_op, &args, sizeof(args));
}

int
daos_array_set_size(daos_handle_t oh, daos_handle_t th, daos_size_t size, daos_event_t *ev)
{
	struct size_args args = {.oh = oh, .th = th, .size = size};

	return op_run(ev, array_set_size_op, &args, sizeof(args));
}

int
daos_array_destroy(daos_handle_t oh, daos_handle_t th, daos_event_t *ev)
{
	struct size_args args = {.oh = oh, .th = th};

	return op_run(ev, array_destroy_op, &args, sizeof(args));
}
