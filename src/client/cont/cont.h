/*
 * An open container. Shared by all threads; counted: one count of the handle, one of each object
 * open in it.
 */
#ifndef CLIENT_CONT_H
#define CLIENT_CONT_H

#include <uuid/uuid.h>
#include <daos_cont.h>

#include "client/pool/pool.h"
#include "proto/capability.h"

struct cont {
	struct client *client;
	_Atomic uint32_t refs;
	struct pool *pool; /* counted */
	uuid_t uuid;
	char uuid_str[DAOS_UUID_STR_SIZE];
	uuid_t handle;
	uint64_t flags; /* DAOS_COO_* */
	uint64_t rights;
	bool from_global;

	/* Properties that the client acts on. */
	uint32_t redun_fac;
	uint32_t redun_lvl;
	uint32_t csum_type;
	uint64_t ec_cell_bytes;

	pthread_mutex_t lock; /* the capability */
	uint8_t cap[CAP_BYTES];
	uint32_t cap_len;
	uint8_t cap_id[16];
	uint64_t cap_renew_ns;   /* monotonic: from then on whoever comes first renews it */
	uint64_t cap_renewed_nr; /* how often: tells whether it changed meanwhile */
	bool cap_renewing;
};

struct cont *cont_ref(struct cont *cont);
void cont_unref(struct cont *cont);
struct cont *cont_hdl_get(struct client *client, daos_handle_t coh);
void cont_hdl_put(struct client *client, daos_handle_t coh);

/* A copy of the capability as it is now. */
struct cont_cap {
	uint8_t cap[CAP_BYTES];
	uint32_t len;
	uint8_t id[16];
	uint64_t renewed_nr;
};
/* Renews a capability whose half life is over, unless somebody is at it. */
void co_fn cont_get_cap(struct op *op, struct cont *cont, struct cont_cap *ret_cap);
/* The engines refuse the capability that was copied with this renewed_nr: get another. */
int co_fn cont_renew_cap(struct op *op, struct cont *cont, uint64_t renewed_nr);

#endif
