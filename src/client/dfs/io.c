/* File data: reads, writes, sizes, holes. A call with an event hands the event to the array call
 * that does the work. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <daos/common.h>

#include "client/dfs/dfs_internal.h"

static daos_size_t
sgl_bytes(const d_sg_list_t *sgl)
{
	daos_size_t n = 0;
	uint32_t i;

	for (i = 0; i < sgl->sg_nr; i++)
		n += sgl->sg_iovs[i].iov_len;
	return n;
}

/* What a call keeps until it is complete; an asynchronous one has it on the heap. */
struct io {
	daos_array_iod_t iod;
	daos_range_t one; /* when the call has a single range */
	daos_range_t *many;
	daos_size_t *read_size;
	d_sg_list_t sgl; /* when the caller had none */
	d_iov_t iov;
};

/* The event is complete. Its error is made an errno value by libdaos. */
static int
io_done(void *arg, daos_event_t *ev, int rc)
{
	struct io *io = arg;

	if (io->read_size != NULL && rc == 0)
		*io->read_size = io->iod.arr_nr_read;
	free(io->many);
	free(io);
	return 0;
}

static int
io_start(dfs_obj_t *obj, struct io *io, d_sg_list_t *sgl, bool write, daos_event_t *ev)
{
	return write ? daos_array_write(obj->oh, DAOS_TX_NONE, &io->iod, sgl, ev)
		     : daos_array_read(obj->oh, DAOS_TX_NONE, &io->iod, sgl, ev);
}

/* With an event: from a copy of what the caller's stack holds. */
static int
io_async(dfs_obj_t *obj, const struct io *from, d_sg_list_t *sgl, bool write, daos_event_t *ev)
{
	struct io *io = malloc(sizeof(*io));
	int rc;

	if (io == NULL)
		return ENOMEM;
	*io = *from;
	if (from->many != NULL) {
		io->many = malloc((from->iod.arr_nr + 1) * sizeof(*io->many));
		if (io->many == NULL) {
			free(io);
			return ENOMEM;
		}
		memcpy(io->many, from->many, from->iod.arr_nr * sizeof(*io->many));
	}
	io->iod.arr_rgs = io->many != NULL ? io->many : &io->one;
	if (sgl == &from->sgl) {
		sgl = &io->sgl;
		sgl->sg_iovs = &io->iov;
	}
	rc = daos_event_register_comp_cb(ev, io_done, io);
	if (rc != 0) {
		free(io->many);
		free(io);
		return daos_der2errno(rc);
	}
	daos_event_errno_rc(ev);
	/* an event that could not be launched still has the callback, which will free what it
	 * has, so from here on the memory is the event's; but nothing is told through it */
	rc = io_start(obj, io, sgl, write, ev);
	if (rc != 0)
		io->read_size = NULL;
	return daos_der2errno(rc);
}

static int
io_run(dfs_obj_t *obj, struct io *io, d_sg_list_t *sgl, bool write, daos_event_t *ev)
{
	int rc;

	if (ev != NULL)
		return io_async(obj, io, sgl, write, ev);
	rc = io_start(obj, io, sgl, write, NULL);
	if (rc == 0 && io->read_size != NULL)
		*io->read_size = io->iod.arr_nr_read;
	return daos_der2errno(rc);
}

static int
check(dfs_t *dfs, dfs_obj_t *obj, bool write)
{
	if (dfs == NULL || obj == NULL || !S_ISREG(obj->mode))
		return EINVAL;
	if (!write)
		return (obj->flags & O_ACCMODE) == O_WRONLY ? EPERM : 0;
	if (dfs->amode == O_RDONLY || (obj->flags & O_ACCMODE) == O_RDONLY)
		return EPERM;
	return 0;
}

static int
io_one(dfs_obj_t *obj, d_sg_list_t *sgl, daos_off_t off, daos_size_t *read_size, bool write,
       daos_event_t *ev)
{
	struct io io = {.one = {.rg_idx = off, .rg_len = sgl_bytes(sgl)}, .read_size = read_size};

	if (off + io.one.rg_len < off)
		return EFBIG;
	/* nothing to do is no range at all: the array call still completes the event */
	io.iod.arr_nr = io.one.rg_len == 0 ? 0 : 1;
	io.iod.arr_rgs = &io.one;
	return io_run(obj, &io, sgl, write, ev);
}

static int
io_many(dfs_obj_t *obj, const dfs_iod_t *iod, d_sg_list_t *sgl, daos_size_t *read_size, bool write,
	daos_event_t *ev)
{
	struct io io = {.iod = {.arr_nr = iod->iod_nr, .arr_rgs = iod->iod_rgs},
			.many = iod->iod_rgs,
			.read_size = read_size};

	if (iod->iod_nr > 0 && iod->iod_rgs == NULL)
		return EINVAL;
	return io_run(obj, &io, sgl, write, ev);
}

/* One buffer instead of a list. */
int
io_buffer(dfs_t *dfs, dfs_obj_t *obj, void *buf, daos_size_t size, daos_off_t off,
	  daos_size_t *read_size, bool write, daos_event_t *ev)
{
	struct io io = {.one = {.rg_idx = off, .rg_len = size}, .read_size = read_size};
	int rc = check(dfs, obj, write);

	if (rc != 0)
		return rc;
	if (off + size < off)
		return EFBIG;
	io.iod.arr_nr = size == 0 ? 0 : 1;
	io.iod.arr_rgs = &io.one;
	d_iov_set(&io.iov, buf, size);
	io.sgl = (d_sg_list_t){.sg_nr = 1, .sg_iovs = &io.iov};
	return io_run(obj, &io, &io.sgl, write, ev);
}

int
dfs_read(dfs_t *dfs, dfs_obj_t *obj, d_sg_list_t *sgl, daos_off_t off, daos_size_t *read_size,
	 daos_event_t *ev)
{
	int rc = check(dfs, obj, false);

	if (rc != 0)
		return rc;
	if (sgl == NULL || read_size == NULL)
		return EINVAL;
	*read_size = 0;
	return io_one(obj, sgl, off, read_size, false, ev);
}

int
dfs_readx(dfs_t *dfs, dfs_obj_t *obj, dfs_iod_t *iod, d_sg_list_t *sgl, daos_size_t *read_size,
	  daos_event_t *ev)
{
	int rc = check(dfs, obj, false);

	if (rc != 0)
		return rc;
	if (iod == NULL || sgl == NULL || read_size == NULL)
		return EINVAL;
	*read_size = 0;
	return io_many(obj, iod, sgl, read_size, false, ev);
}

int
dfs_write(dfs_t *dfs, dfs_obj_t *obj, d_sg_list_t *sgl, daos_off_t off, daos_event_t *ev)
{
	int rc = check(dfs, obj, true);

	if (rc != 0)
		return rc;
	if (sgl == NULL)
		return EINVAL;
	return io_one(obj, sgl, off, NULL, true, ev);
}

int
dfs_writex(dfs_t *dfs, dfs_obj_t *obj, dfs_iod_t *iod, d_sg_list_t *sgl, daos_event_t *ev)
{
	int rc = check(dfs, obj, true);

	if (rc != 0)
		return rc;
	if (iod == NULL || sgl == NULL)
		return EINVAL;
	return io_many(obj, iod, sgl, NULL, true, ev);
}

int
dfs_get_size(dfs_t *dfs, dfs_obj_t *obj, daos_size_t *size)
{
	if (dfs == NULL || obj == NULL || size == NULL || !S_ISREG(obj->mode))
		return EINVAL;
	return daos_der2errno(daos_array_get_size(obj->oh, DAOS_TX_NONE, size, NULL));
}

int
dfs_get_size_by_oid(dfs_t *dfs, daos_obj_id_t oid, daos_size_t chunk_size, daos_size_t *size)
{
	daos_handle_t oh;
	int rc;

	if (dfs == NULL || size == NULL || daos_obj_id2type(oid) != DAOS_OT_ARRAY_BYTE)
		return EINVAL;
	if (chunk_size == 0)
		chunk_size = dfs->attr.da_chunk_size;
	rc = daos_array_open_with_attr(dfs->coh, oid, DAOS_TX_NONE, DAOS_OO_RO, 1, chunk_size, &oh,
				       NULL);
	if (rc == 0) {
		rc = daos_array_get_size(oh, DAOS_TX_NONE, size, NULL);
		daos_array_close(oh, NULL);
	}
	return daos_der2errno(rc);
}

static int
punch_check(dfs_t *dfs, dfs_obj_t *obj)
{
	return dfs == NULL || obj == NULL || !S_ISREG(obj->mode) ? EINVAL : check(dfs, obj, true);
}

static int
hole(dfs_obj_t *obj, daos_off_t offset, daos_size_t len)
{
	daos_range_t rg = {.rg_idx = offset, .rg_len = len};
	daos_array_iod_t iod = {.arr_nr = 1, .arr_rgs = &rg};

	return daos_der2errno(daos_array_punch(obj->oh, DAOS_TX_NONE, &iod, NULL));
}

/* Nothing at all is left by freeing the object, without asking for its size first. */
static int
set_size(dfs_obj_t *obj, daos_size_t size)
{
	if (size == 0)
		return object_punch(obj->dfs, obj->oid, obj->mode);
	return daos_der2errno(daos_array_set_size(obj->oh, DAOS_TX_NONE, size, NULL));
}

/*
 * A hole, or with len DFS_MAX_FSIZE a new end. A hole that reaches the end cuts the file off
 * where it begins, and one behind the end is nothing: programs rely on that.
 */
int
dfs_punch(dfs_t *dfs, dfs_obj_t *obj, daos_off_t offset, daos_size_t len)
{
	daos_size_t size = 0;
	int rc;

	rc = punch_check(dfs, obj);
	if (rc != 0)
		return rc;
	if (len == DFS_MAX_FSIZE)
		return set_size(obj, offset);
	rc = daos_der2errno(daos_array_get_size(obj->oh, DAOS_TX_NONE, &size, NULL));
	if (rc != 0 || offset >= size || len == 0)
		return rc;
	if (len >= size - offset)
		return set_size(obj, offset);
	return hole(obj, offset, len);
}

int
dfs_zero(dfs_t *dfs, dfs_obj_t *obj, daos_off_t offset, daos_size_t len)
{
	daos_size_t size = 0;
	int rc;

	rc = punch_check(dfs, obj);
	if (rc != 0 || len == 0)
		return rc;
	if (offset + len < offset)
		return EFBIG;
	rc = daos_der2errno(daos_array_get_size(obj->oh, DAOS_TX_NONE, &size, NULL));
	if (rc != 0)
		return rc;
	if (offset + len < size)
		return hole(obj, offset, len);
	/* the tail goes: cheaper as a cut, then the end again */
	if (offset < size)
		rc = set_size(obj, offset);
	return rc == 0 ? set_size(obj, offset + len) : rc;
}
