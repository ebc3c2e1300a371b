/*
 * Open objects and what is done to them. For the functions behind daos_obj_*, and for arrays and
 * key-value objects, which are objects under another handle.
 */
#ifndef CLIENT_OBJ_H
#define CLIENT_OBJ_H

#include <daos_obj.h>

#include "client/cont/cont.h"
#include "client/object/sgl.h"
#include "proto/obj_proto.h"

struct obj_layout;

struct obj {
	struct client *client;
	_Atomic uint32_t refs;
	struct cont *cont; /* counted */
	daos_obj_id_t oid;
	uint32_t mode;             /* DAOS_OO_* */
	struct oclass_shape shape; /* from the id, which says everything: never changes */

	pthread_mutex_t lock; /* of what follows */
	struct obj_layout *layout;
	/* Groups that the home group was seen to have in its set, and when (obj_groups.c); prefix
	 * 0: never asked. */
	struct obj_groups known;
	uint64_t proof;
	struct obj_groups guess; /* the set seen last: which groups to ask at once */
};

/* Open: no request is made. -DER_INVAL for a class this pool cannot hold, -DER_NOSYS for one whose
 * redundancy is not available yet. Counted: obj_unref(). */
int obj_open(struct cont *cont, daos_obj_id_t oid, uint32_t mode, struct obj **ret_obj);
struct obj *obj_ref(struct obj *obj);
void obj_unref(struct obj *obj);
struct obj *obj_hdl_get(struct client *client, daos_handle_t oh);
void obj_hdl_put(struct client *client, daos_handle_t oh);
/* -DER_NO_PERM when the object or its container is open for reading only. */
int obj_check_writable(const struct obj *obj);
/* th: only DAOS_TX_NONE for now, else -DER_NO_HDL. */
int obj_check_tx(daos_handle_t th);

/* --- read and write --- */

/*
 * One update or fetch of akeys of one dkey. Memory is one list of pieces, the akeys' parts one
 * after the other.
 */
struct obj_io {
	uint64_t flags; /* DAOS_COND_* */
	const daos_key_t *dkey;
	uint32_t iod_nr;
	daos_iod_t *iods; /* fetch: iod_size is set to what was found */
	uint64_t *sizes;  /* per iod: bytes of data, or of room */
	const struct iovec *iov;
	uint32_t iov_nr;
	bool size_only; /* fetch: no data */
	bool want_recx; /* fetch: the reply tells existing extents */
	/* Fetch, may be NULL: called with the decoded reply. */
	void (*on_reply)(struct obj_io *io, const struct obj_rw_rep *rep);
	void *arg;
};
int co_fn obj_update(struct op *op, struct obj *obj, struct obj_io *io);
/* Before updates of integer dkeys in first .. last: spares each the question whether its group is
 * entered. */
int co_fn obj_will_write(struct op *op, struct obj *obj, uint64_t first, uint64_t last);
int co_fn obj_fetch(struct op *op, struct obj *obj, struct obj_io *io);

/* --- punch, list, query --- */

/* dkey NULL: the whole object; akeys NULL: the dkey. */
int co_fn obj_punch(struct op *op, struct obj *obj, uint64_t flags, const daos_key_t *dkey,
		    uint32_t akey_nr, daos_key_t *akeys);
int co_fn obj_punch_dkeys(struct op *op, struct obj *obj, uint64_t flags, uint32_t nr,
			  const daos_key_t *dkeys);

/* As daos_obj_list_dkey() (dkey NULL) and daos_obj_list_akey(). */
int co_fn obj_list_keys(struct op *op, struct obj *obj, const daos_key_t *dkey, uint32_t *nr,
			daos_key_desc_t *kds, d_sg_list_t *sgl, daos_anchor_t *anchor);

/* As daos_obj_query_key() with integer keys; what the flags do not ask for is given. The newest
 * epoch of the whole object comes with any query that asks for the dkey (flags 0: only that). */
struct obj_found {
	uint64_t dkey;
	uint64_t akey;
	daos_recx_t recx;
	uint64_t max_epoch;
	bool found;
};
int co_fn obj_query(struct op *op, struct obj *obj, uint64_t flags, uint64_t dkey,
		    const daos_key_t *akey, struct obj_found *ret_found);

#endif
