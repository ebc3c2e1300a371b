/* Private to client/array. */
#ifndef CLIENT_ARRAY_H
#define CLIENT_ARRAY_H

#include <daos_array.h>

#include "client/object/obj.h"

/* An open array: an object, and how its index space is divided. */
struct array {
	struct client *client;
	struct obj *obj; /* counted */
	uint64_t cell_bytes;
	_Atomic uint64_t chunk_cells; /* changed only by daos_array_update_chunk_size() */
};

struct array *array_hdl_get(struct client *client, daos_handle_t oh);
void array_hdl_put(struct client *client, daos_handle_t oh);

/* Index behind the last cell, and the newest epoch. */
int co_fn array_size(struct op *op, struct array *array, uint64_t *ret_cells,
		     uint64_t *ret_max_epoch);
/* Write zeros to one cell: the mark of an end where nothing was written. */
int co_fn array_mark_end(struct op *op, struct array *array, uint64_t cell);

/* The name of the akey that holds cells, and, under dkey 0, the array's description. */
void array_akey(daos_key_t *ret_akey);

#endif
