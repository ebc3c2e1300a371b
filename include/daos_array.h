/*
 * Arrays: one index space of cells of one size, divided into chunks that are spread over the
 * object's redundancy groups. Object types DAOS_OT_ARRAY*.
 */
#ifndef DAOS_ARRAY_H
#define DAOS_ARRAY_H

#include <daos_types.h>
#include <daos_obj.h>
#include <daos_obj_class.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

/** Most ranges in one call, and the mean length below which that limit applies. */
#define DAOS_ARRAY_LIST_IO_LIMIT 16384
#define DAOS_ARRAY_RG_LEN_THD    16

/** rg_len cells from cell rg_idx on. */
typedef struct {
	daos_off_t rg_idx;
	daos_size_t rg_len;
} daos_range_t;

typedef struct {
	daos_size_t arr_nr;
	daos_range_t *arr_rgs;
	/** Out, after a read: bytes beyond the end of the array that were asked for. */
	daos_size_t arr_nr_short_read;
	/** Out, after a read: bytes up to the end of the array. */
	daos_size_t arr_nr_read;
} daos_array_iod_t;

typedef struct {
	daos_size_t st_size;       /* cells */
	daos_epoch_t st_max_epoch; /* of the last change */
} daos_array_stbuf_t;

/** An id for an array; add_attr stores cell and chunk size in the object (DAOS_OT_ARRAY). */
static inline int
daos_array_generate_oid(daos_handle_t coh, daos_obj_id_t *oid, bool add_attr, daos_oclass_id_t cid,
			daos_oclass_hints_t hints, uint32_t args)
{
	return daos_obj_generate_oid(coh, oid, add_attr ? DAOS_OT_ARRAY : DAOS_OT_ARRAY_ATTR, cid,
				     hints, args);
}

/** Create and open; -DER_EXIST. Only for DAOS_OT_ARRAY ids. Sizes in bytes and in cells. */
int daos_array_create(daos_handle_t coh, daos_obj_id_t oid, daos_handle_t th, daos_size_t cell_size,
		      daos_size_t chunk_size, daos_handle_t *oh, daos_event_t *ev);

/** Open and tell cell and chunk size; -DER_NONEXIST. Only for DAOS_OT_ARRAY ids. */
int daos_array_open(daos_handle_t coh, daos_obj_id_t oid, daos_handle_t th, unsigned int mode,
		    daos_size_t *cell_size, daos_size_t *chunk_size, daos_handle_t *oh,
		    daos_event_t *ev);

/** Open an array whose cell and chunk size the caller knows. */
int daos_array_open_with_attr(daos_handle_t coh, daos_obj_id_t oid, daos_handle_t th,
			      unsigned int mode, daos_size_t cell_size, daos_size_t chunk_size,
			      daos_handle_t *oh, daos_event_t *ev);

/** Pass an open array to other processes; with iov_buf NULL, iov_buf_len gets the size needed. */
int daos_array_local2global(daos_handle_t oh, d_iov_t *glob);
int daos_array_global2local(daos_handle_t coh, d_iov_t glob, unsigned int mode, daos_handle_t *oh);
int daos_array_close(daos_handle_t oh, daos_event_t *ev);

/** Read and write ranges; -DER_REC2BIG or -DER_INVAL when sgl and ranges differ in size. */
int daos_array_read(daos_handle_t oh, daos_handle_t th, daos_array_iod_t *iod, d_sg_list_t *sgl,
		    daos_event_t *ev);
int daos_array_write(daos_handle_t oh, daos_handle_t th, daos_array_iod_t *iod, d_sg_list_t *sgl,
		     daos_event_t *ev);

/** Index behind the last cell ever written, in cells. */
int daos_array_get_size(daos_handle_t oh, daos_handle_t th, daos_size_t *size, daos_event_t *ev);
int daos_array_stat(daos_handle_t oh, daos_handle_t th, daos_array_stbuf_t *stbuf,
		    daos_event_t *ev);

/** Truncate or extend, in cells. */
int daos_array_set_size(daos_handle_t oh, daos_handle_t th, daos_size_t size, daos_event_t *ev);
int daos_array_destroy(daos_handle_t oh, daos_handle_t th, daos_event_t *ev);

/** Make holes; the size of the array stays. */
int daos_array_punch(daos_handle_t oh, daos_handle_t th, daos_array_iod_t *iod, daos_event_t *ev);
int daos_array_get_attr(daos_handle_t oh, daos_size_t *chunk_size, daos_size_t *cell_size);

/** Change the handle's idea of the chunk size, before anything was written. */
int daos_array_update_chunk_size(daos_handle_t oh, daos_size_t chunk_size);

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* DAOS_ARRAY_H */
