/* Between the files of client/pool and client/cont. */
#ifndef CLIENT_POOL_INTERNAL_H
#define CLIENT_POOL_INTERNAL_H

#include "client/pool/pool.h"
#include "base/codec.h"

/* As daos_pool_query(). */
int co_fn pool_query(struct op *op, struct pool *pool, d_rank_list_t **ranks,
		     daos_pool_info_t *info, daos_prop_t *prop);

/* A random uuid. */
void client_make_uuid(struct client *client, uuid_t ret_uuid);
/* Hand out an encoded handle: the length needed when glob has no buffer, else the bytes. */
int glob_put(const struct codec_wr *w, d_iov_t *glob);

/* --- user attributes of a pool or container (attr.c) --- */

struct attr_args {
	daos_handle_t hdl; /* of a pool or a container */
	bool is_cont;
	int nr;
	char const *const *names;
	void const *const *values; /* set */
	void *const *buffers;      /* get */
	size_t *sizes;             /* get: in and out; set: in */
	char *buffer;              /* list */
};
int attr_list_op(struct op *op, void *args); /* co_fn */
int attr_get_op(struct op *op, void *args);  /* co_fn */
int attr_set_op(struct op *op, void *args);  /* co_fn */
int attr_del_op(struct op *op, void *args);  /* co_fn */

#endif
