/*
 * A connection to a pool. Shared by all threads; counted: one count of the handle, one of each
 * container open in it.
 */
#ifndef CLIENT_POOL_H
#define CLIENT_POOL_H

#include <uuid/uuid.h>
#include <daos_pool.h>

#include "client/core/client.h"
#include "cluster/map/map.h"

struct pool {
	struct client *client;
	_Atomic uint32_t refs;
	_Atomic uint32_t cont_nr; /* containers open through this handle */
	uuid_t uuid;
	char uuid_str[DAOS_UUID_STR_SIZE];
	uuid_t handle;
	uint64_t flags; /* DAOS_PC_* */
	uint64_t rights;
	uint32_t svc_leader;
	bool from_global; /* came by global2local: the connection is somebody else's to end */

	pthread_mutex_t lock; /* map */
	struct pool_map *map;
	_Atomic uint32_t map_ver;
	_Atomic uint64_t refresh_ns; /* when somebody began to fetch a newer map; 0: nobody is */
};

struct pool *pool_ref(struct pool *pool);
void pool_unref(struct pool *pool);
/* The pool of a handle, pinned: pool_hdl_put(). NULL when poh is none. */
struct pool *pool_hdl_get(struct client *client, daos_handle_t poh);
void pool_hdl_put(struct client *client, daos_handle_t poh);

/* The current map, counted: pool_map_put(). */
struct pool_map *pool_cur_map(struct pool *pool);
/*
 * Get a map newer than known_ver, if there is one: 0 whether or not. Many operations may ask at a
 * time, one request is made.
 */
int co_fn pool_refresh(struct op *op, struct pool *pool, uint32_t known_ver);

#endif
