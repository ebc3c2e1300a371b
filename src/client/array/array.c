/*
 * Opening and closing arrays, their description, handles for other processes.
 *
 * Chunk c of an array is dkey c + 1; its cells are records of the akey "0". dkey 0 of an object of
 * type ARRAY holds, as a single value of the same akey, the description: three little-endian words,
 * magic, cell size, chunk size. The other types have none: the opener knows.
 */
#define LOG_FACILITY "array"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "client/array/array.h"
#include "client/event/event.h"
#include "client/pool/pool_internal.h"
#include "base/cleanup.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/mem.h"

#define ARRAY_MAGIC 0xdaca55a9daca55a9ull

enum {
	GLOB_MAGIC = 0x59415252, /* "RRAY" */
	GLOB_VERSION = 1,
	META_WORDS = 3,
};

static char cell_akey[] = "0";

void
array_akey(daos_key_t *ret_akey)
{
	d_iov_set(ret_akey, cell_akey, 1);
}

struct array *
array_hdl_get(struct client *client, daos_handle_t oh)
{
	return handle_get(client_handles(client), oh, DAOS_HTYPE_ARRAY);
}

void
array_hdl_put(struct client *client, daos_handle_t oh)
{
	handle_put(client_handles(client), oh);
}

static void
array_free(void *arg)
{
	struct array *array = arg;

	obj_unref(array->obj);
	free(array);
}

/* Make a handle. */
static int
array_new(struct cont *cont, daos_obj_id_t oid, uint32_t mode, uint64_t cell_bytes,
	  uint64_t chunk_cells, daos_handle_t *oh)
{
	struct array *array = mem_new(struct array);
	int rc;

	if (array == NULL)
		return -DER_NOMEM;
	array->client = cont->client;
	array->cell_bytes = cell_bytes;
	atomic_init(&array->chunk_cells, chunk_cells);
	rc = obj_open(cont, oid, mode, &array->obj);
	if (rc == 0)
		rc = handle_add(client_handles(cont->client), DAOS_HTYPE_ARRAY, array, array_free,
				oh);
	if (rc != 0)
		array_free(array);
	return rc;
}

static bool
sizes_are_valid(uint64_t cell_bytes, uint64_t chunk_cells)
{
	uint64_t bytes;

	return cell_bytes != 0 && chunk_cells != 0 &&
	       !__builtin_mul_overflow(cell_bytes, chunk_cells, &bytes);
}

/* --- description --- */

static void
meta_io(struct obj_io *io, daos_key_t *dkey, uint64_t *dkey_val, daos_iod_t *iod, uint64_t *size,
	struct iovec *iov, uint64_t words[META_WORDS])
{
	*dkey_val = 0;
	d_iov_set(dkey, dkey_val, sizeof(*dkey_val));
	memset(iod, 0, sizeof(*iod));
	array_akey(&iod->iod_name);
	iod->iod_type = DAOS_IOD_SINGLE;
	iod->iod_nr = 1;
	iod->iod_size = META_WORDS * sizeof(uint64_t);
	*size = iod->iod_size;
	iov->iov_base = words;
	iov->iov_len = *size;
	*io = (struct obj_io){
	    .dkey = dkey, .iod_nr = 1, .iods = iod, .sizes = size, .iov = iov, .iov_nr = 1};
}

static int co_fn
meta_write(struct op *op, struct obj *obj, uint64_t cell_bytes, uint64_t chunk_cells)
{
	uint64_t words[META_WORDS] = {htole64(ARRAY_MAGIC), htole64(cell_bytes),
				      htole64(chunk_cells)};
	uint64_t dkey_val, size;
	struct obj_io io;
	struct iovec iov;
	daos_key_t dkey;
	daos_iod_t iod;

	meta_io(&io, &dkey, &dkey_val, &iod, &size, &iov, words);
	io.flags = DAOS_COND_DKEY_INSERT;
	return obj_update(op, obj, &io);
}

static int co_fn
meta_read(struct op *op, struct obj *obj, uint64_t *ret_cell_bytes, uint64_t *ret_chunk_cells)
{
	uint64_t words[META_WORDS] = {0};
	uint64_t dkey_val, size;
	struct obj_io io;
	struct iovec iov;
	daos_key_t dkey;
	daos_iod_t iod;
	int rc;

	meta_io(&io, &dkey, &dkey_val, &iod, &size, &iov, words);
	rc = obj_fetch(op, obj, &io);
	if (rc != 0)
		return rc;
	if (iod.iod_size == 0)
		return -DER_NONEXIST;
	if (iod.iod_size != sizeof(words) || le64toh(words[0]) != ARRAY_MAGIC ||
	    !sizes_are_valid(le64toh(words[1]), le64toh(words[2])))
		return -DER_DF_INVAL;
	*ret_cell_bytes = le64toh(words[1]);
	*ret_chunk_cells = le64toh(words[2]);
	return 0;
}

/* --- create, open, close --- */

struct array_open_args {
	daos_handle_t coh;
	daos_handle_t th;
	daos_obj_id_t oid;
	uint32_t mode;
	bool create;
	uint64_t cell_bytes;
	uint64_t chunk_cells;
	daos_size_t *ret_cell_bytes;
	daos_size_t *ret_chunk_cells;
	daos_handle_t *oh;
};

static int co_fn
array_open_run(struct op *op, struct cont *cont, struct array_open_args *args)
{
	struct obj *obj;
	int rc;

	rc = obj_check_tx(args->th);
	if (rc == 0)
		rc = obj_open(cont, args->oid, args->mode, &obj);
	if (rc != 0)
		return rc;
	if (args->create) {
		rc = obj_check_writable(obj);
		if (rc == 0)
			rc = meta_write(op, obj, args->cell_bytes, args->chunk_cells);
	} else {
		rc = meta_read(op, obj, &args->cell_bytes, &args->chunk_cells);
	}
	obj_unref(obj);
	if (rc == 0)
		rc = array_new(cont, args->oid, args->mode, args->cell_bytes, args->chunk_cells,
			       args->oh);
	if (rc == 0 && !args->create) {
		*args->ret_cell_bytes = args->cell_bytes;
		*args->ret_chunk_cells = args->chunk_cells;
	}
	return rc;
}

static int co_fn
array_open_op(struct op *op, void *arg)
{
	struct array_open_args *args = arg;
	struct cont *cont = cont_hdl_get(op->ctx->client, args->coh);
	int rc;

	if (cont == NULL)
		return -DER_NO_HDL;
	rc = array_open_run(op, cont, args);
	cont_hdl_put(op->ctx->client, args->coh);
	return rc;
}

int
daos_array_create(daos_handle_t coh, daos_obj_id_t oid, daos_handle_t th, daos_size_t cell_size,
		  daos_size_t chunk_size, daos_handle_t *oh, daos_event_t *ev)
{
	struct array_open_args args = {.coh = coh,
				       .th = th,
				       .oid = oid,
				       .mode = DAOS_OO_RW,
				       .create = true,
				       .cell_bytes = cell_size,
				       .chunk_cells = chunk_size,
				       .oh = oh};

	if (oh == NULL || daos_obj_id2type(oid) != DAOS_OT_ARRAY ||
	    !sizes_are_valid(cell_size, chunk_size))
		return -DER_INVAL;
	return op_run(ev, array_open_op, &args, sizeof(args));
}

int
daos_array_open(daos_handle_t coh, daos_obj_id_t oid, daos_handle_t th, unsigned int mode,
		daos_size_t *cell_size, daos_size_t *chunk_size, daos_handle_t *oh,
		daos_event_t *ev)
{
	struct array_open_args args = {.coh = coh,
				       .th = th,
				       .oid = oid,
				       .mode = mode,
				       .ret_cell_bytes = cell_size,
				       .ret_chunk_cells = chunk_size,
				       .oh = oh};

	if (oh == NULL || cell_size == NULL || chunk_size == NULL ||
	    daos_obj_id2type(oid) != DAOS_OT_ARRAY)
		return -DER_INVAL;
	return op_run(ev, array_open_op, &args, sizeof(args));
}

int
daos_array_open_with_attr(daos_handle_t coh, daos_obj_id_t oid, daos_handle_t th, unsigned int mode,
			  daos_size_t cell_size, daos_size_t chunk_size, daos_handle_t *oh,
			  daos_event_t *ev)
{
	struct client *client = client_default();
	enum daos_otype_t type = daos_obj_id2type(oid);
	struct cont *cont;
	int rc;

	if (client == NULL)
		return -DER_UNINIT;
	if (oh == NULL || !sizes_are_valid(cell_size, chunk_size) ||
	    (type != DAOS_OT_ARRAY_ATTR && type != DAOS_OT_ARRAY_BYTE) ||
	    (type == DAOS_OT_ARRAY_BYTE && cell_size != 1))
		return -DER_INVAL;
	rc = obj_check_tx(th);
	cont = cont_hdl_get(client, coh);
	if (cont == NULL)
		return op_done(ev, -DER_NO_HDL);
	if (rc == 0)
		rc = array_new(cont, oid, mode, cell_size, chunk_size, oh);
	cont_hdl_put(client, coh);
	return op_done(ev, rc);
}

int
daos_array_close(daos_handle_t oh, daos_event_t *ev)
{
	struct client *client = client_default();

	if (client == NULL)
		return -DER_UNINIT;
	return op_done(ev, handle_close(client_handles(client), oh, DAOS_HTYPE_ARRAY));
}

int
daos_array_get_attr(daos_handle_t oh, daos_size_t *chunk_size, daos_size_t *cell_size)
{
	struct client *client = client_default();
	struct array *array;

	if (client == NULL)
		return -DER_UNINIT;
	if (chunk_size == NULL || cell_size == NULL)
		return -DER_INVAL;
	array = array_hdl_get(client, oh);
	if (array == NULL)
		return -DER_NO_HDL;
	*chunk_size = atomic_load(&array->chunk_cells);
	*cell_size = array->cell_bytes;
	array_hdl_put(client, oh);
	return 0;
}

int
daos_array_update_chunk_size(daos_handle_t oh, daos_size_t chunk_size)
{
	struct client *client = client_default();
	struct array *array;
	int rc = 0;

	if (client == NULL)
		return -DER_UNINIT;
	array = array_hdl_get(client, oh);
	if (array == NULL)
		return -DER_NO_HDL;
	if (sizes_are_valid(array->cell_bytes, chunk_size))
		atomic_store(&array->chunk_cells, chunk_size);
	else
		rc = -DER_INVAL;
	array_hdl_put(client, oh);
	return rc;
}

/* --- handles for other processes --- */

int
daos_array_local2global(daos_handle_t oh, d_iov_t *glob)
{
	struct client *client = client_default();
	uint8_t buf[128];
	struct array *array;
	struct codec_wr w;

	if (client == NULL)
		return -DER_UNINIT;
	if (glob == NULL)
		return -DER_INVAL;
	array = array_hdl_get(client, oh);
	if (array == NULL)
		return -DER_NO_HDL;
	codec_wr_init_fixed(&w, buf, sizeof(buf));
	codec_wr_u32(&w, GLOB_MAGIC);
	codec_wr_u32(&w, GLOB_VERSION);
	codec_wr_uuid(&w, array->obj->cont->uuid);
	codec_wr_u64(&w, array->obj->oid.lo);
	codec_wr_u64(&w, array->obj->oid.hi);
	codec_wr_u64(&w, array->cell_bytes);
	codec_wr_u64(&w, atomic_load(&array->chunk_cells));
	codec_wr_u32(&w, array->obj->mode);
	array_hdl_put(client, oh);
	return codec_wr_err(&w) != 0 ? codec_wr_err(&w) : glob_put(&w, glob);
}

int
daos_array_global2local(daos_handle_t coh, d_iov_t glob, unsigned int mode, daos_handle_t *oh)
{
	struct client *client = client_default();
	uint64_t cell_bytes, chunk_cells;
	struct codec_rd rd;
	daos_obj_id_t oid;
	struct cont *cont;
	uint32_t own_mode;
	uuid_t uuid;
	int rc = 0;

	if (client == NULL)
		return -DER_UNINIT;
	if (oh == NULL || glob.iov_buf == NULL || glob.iov_len > glob.iov_buf_len)
		return -DER_INVAL;
	codec_rd_init(&rd, glob.iov_buf, glob.iov_len);
	if (codec_rd_u32(&rd) != GLOB_MAGIC || codec_rd_u32(&rd) != GLOB_VERSION)
		return -DER_INVAL;
	codec_rd_uuid(&rd, uuid);
	oid.lo = codec_rd_u64(&rd);
	oid.hi = codec_rd_u64(&rd);
	cell_bytes = codec_rd_u64(&rd);
	chunk_cells = codec_rd_u64(&rd);
	own_mode = codec_rd_u32(&rd);
	if (rd.err != 0 || !sizes_are_valid(cell_bytes, chunk_cells) || !daos_is_array(oid))
		return -DER_INVAL;
	cont = cont_hdl_get(client, coh);
	if (cont == NULL)
		return -DER_NO_HDL;
	if (uuid_compare(uuid, cont->uuid) != 0)
		rc = -DER_INVAL;
	if (rc == 0)
		rc = array_new(cont, oid, mode != 0 ? mode : own_mode, cell_bytes, chunk_cells, oh);
	cont_hdl_put(client, coh);
	return rc;
}
