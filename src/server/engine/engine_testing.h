/* A bare client of the object service, for tests: one request at a time, statuses as they come. */
#ifndef SERVER_ENGINE_TESTING_H
#define SERVER_ENGINE_TESTING_H

#include <stdbool.h>
#include <stdint.h>

#include "net/rpc/rpc.h"
#include "proto/capability.h"
#include "proto/obj_proto.h"

struct raw {
	struct xs *xs;
	struct rpc_ep *ep;
	struct rpc_peer *peer; /* of the target asked */
	uint8_t cap[CAP_BYTES];
	bool send_cap;      /* whole */
	uint32_t csum_type; /* the container's; chunks of 32 KiB, checked by the server */
	uint32_t map_ver;
	uint64_t hlc;
	uint64_t client[2];
	uint64_t seq;        /* 0: not recorded */
	uint64_t epoch;      /* reads: at this epoch; 0 = latest */
	uint64_t timeout_ns; /* 0 = default */
	uint32_t retry_nr;   /* how often to try again when the peer cannot be reached */
	/* of the last reply */
	uint32_t reply_map_ver;
	uint64_t reply_hlc;
	uint64_t reply_epoch;
};

/* Request and reply of any kind; *ret_call is to be given to rpc_call_fini(). The RPC's status or
 * the transport's error. */
int co_fn raw_call(struct raw *r, uint32_t opc, const void *body, size_t len,
		   struct rpc_call *ret_call);
void raw_head(const struct raw *r, daos_obj_id_t oid, struct obj_head *ret_head);
/* A capability for a container. */
void raw_cap(struct raw *r, const uuid_t pool, const uuid_t cont, uint64_t rights,
	     uint64_t expires_ms, const uint8_t key[CAP_KEY_BYTES]);

/* An array akey ("a") of bytes: len bytes at off. bulk: not in the message. */
int co_fn raw_write(struct raw *r, daos_obj_id_t oid, const char *dkey, uint64_t off,
		    const void *data, uint64_t len, bool bulk, uint64_t flags);
/* *ret_size: record size (0: nothing there); *ret_data: bytes that were data, not hole. Holes leave
 * buf alone. */
int co_fn raw_read(struct raw *r, daos_obj_id_t oid, const char *dkey, uint64_t off, void *buf,
		   uint64_t len, bool bulk, uint64_t flags, uint64_t *ret_size, uint64_t *ret_data);
/* A single value under akey "s". */
int co_fn raw_put(struct raw *r, daos_obj_id_t oid, const char *dkey, const void *data,
		  uint64_t len, uint64_t flags);
/* *ret_size: its size, also with -DER_REC2BIG. */
int co_fn raw_get(struct raw *r, daos_obj_id_t oid, const char *dkey, void *buf, uint64_t len,
		  uint64_t *ret_size);
int co_fn raw_size(struct raw *r, daos_obj_id_t oid, const char *dkey, uint64_t *ret_size);
/* dkey NULL: the object. */
int co_fn raw_punch(struct raw *r, daos_obj_id_t oid, const char *dkey, uint64_t flags);

#endif
