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

/* What an asynchronous call keeps until it is complete. */
struct io {
	daos_array_iod_t iod;
	daos_range_t one; /* when the call has a single range */
	daos_range_t *many;
	daos_size_t *read_size;
};

static void
io_free(struct io *io)
{
	free(io->many);
	free(io);
}

static int
io_done(void *arg, daos_event_t *ev, int rc)
{
	struct io *io = arg;

	if (io->read_size != NULL && rc == 0)
		*io->read_size = io->iod.arr_nr_read;
	if (ev != NULL && rc < 0)
		ev->ev_error = daos_der2errno(rc); /* dfs calls speak errno */
	io_free(io);
	return 0;
}

static int
io_run(dfs_obj_t *obj, struct io *io, d_sg_list_t *sgl, bool write, daos_event_t *ev)
{
	int rc;

	if (ev != NULL) {
		rc = daos_event_register_comp_cb(ev, io_done, io);
		if (rc != 0) {
			io_free(io);
			return daos_der2errno(rc);
		}
	}
	rc = write ? daos_array_write(obj->oh, DAOS_TX_NONE, &io->iod, sgl, ev)
		   : daos_array_read(obj->oh, DAOS_TX_NONE, &io->iod, sgl, ev);
	if (ev == NULL) {
		if (rc == 0 && io->read_size != NULL)
			*io->read_size = io->iod.arr_nr_read;
		io_free(io);
	}
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
	struct io *io = calloc(1, sizeof(*io));

	if (io == NULL)
		return ENOMEM;
	io->one.rg_idx = off;
	io->one.rg_len = sgl_bytes(sgl);
	/* nothing to do is no range at all: the array call still completes the event */
	io->iod.arr_nr = io->one.rg_len == 0 ? 0 : 1;
	io->iod.arr_rgs = &io->one;
	io->read_size = read_size;
	return io_run(obj, io, sgl, write, ev);
}

static int
io_many(dfs_obj_t *obj, const dfs_iod_t *iod, d_sg_list_t *sgl, daos_size_t *read_size, bool write,
	daos_event_t *ev)
{
	struct io *io = calloc(1, sizeof(*io));

	if (io == NULL)
		return ENOMEM;
	io->many = malloc((iod->iod_nr + 1) * sizeof(*io->many));
	if (io->many == NULL) {
		free(io);
		return ENOMEM;
	}
	memcpy(io->many, iod->iod_rgs, iod->iod_nr * sizeof(*io->many));
	io->iod.arr_nr = iod->iod_nr;
	io->iod.arr_rgs = io->many;
	io->read_size = read_size;
	return io_run(obj, io, sgl, write, ev);
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
	if (off + sgl_bytes(sgl) < off)
		return EFBIG;
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

/*
 * A hole, or with len DFS_MAX_FSIZE a new end. A hole that reaches beyond the end makes the file
 * that long: what is asked for is that these bytes read as zeros.
 */
int
dfs_punch(dfs_t *dfs, dfs_obj_t *obj, daos_off_t offset, daos_size_t len)
{
	daos_size_t size = 0;
	daos_range_t rg;
	daos_array_iod_t iod = {.arr_nr = 1, .arr_rgs = &rg};
	int rc;

	if (dfs == NULL || obj == NULL || !S_ISREG(obj->mode))
		return EINVAL;
	rc = check(dfs, obj, true);
	if (rc != 0)
		return rc;
	if (len == DFS_MAX_FSIZE)
		return daos_der2errno(daos_array_set_size(obj->oh, DAOS_TX_NONE, offset, NULL));
	if (len == 0)
		return 0;
	if (offset + len < offset)
		return EINVAL;
	rc = daos_array_get_size(obj->oh, DAOS_TX_NONE, &size, NULL);
	if (rc == 0 && offset < size && offset + len >= size) {
		/* the tail goes: cheaper as a cut, then the old or new end again */
		rc = daos_array_set_size(obj->oh, DAOS_TX_NONE, offset, NULL);
		if (rc == 0)
			rc = daos_array_set_size(obj->oh, DAOS_TX_NONE, offset + len, NULL);
	} else if (rc == 0 && offset >= size) {
		rc = daos_array_set_size(obj->oh, DAOS_TX_NONE, offset + len, NULL);
	} else if (rc == 0) {
		rg.rg_idx = offset;
		rg.rg_len = len;
		rc = daos_array_punch(obj->oh, DAOS_TX_NONE, &iod, NULL);
	}
	return daos_der2errno(rc);
}
