/* Between the files of client/object. */
#ifndef CLIENT_OBJ_INTERNAL_H
#define CLIENT_OBJ_INTERNAL_H

#include "client/object/obj.h"

enum {
	OBJ_PAR_MAX = 32, /* requests of one operation to different shards at a time */
};

/*
 * One request to the shard of a redundancy group, repeated until it has an answer. build() appends
 * the message to w and may point tail at further pieces of the body; reply() looks at an answer
 * that is not one of those after which the request is repeated, and returns the result; end()
 * (may be NULL) is called after every attempt.
 */
struct obj_rpc {
	struct op *op;
	struct obj *obj;
	uint32_t group;
	uint32_t opc;
	uint64_t flags;
	bool change; /* has an identity */
	int (*build)(struct obj_rpc *r, const struct obj_head *head, struct codec_wr *w);
	int (*reply)(struct obj_rpc *r, int status, const uint8_t *buf, size_t len);
	void (*end)(struct obj_rpc *r);
	const struct iovec *tail;
	uint32_t tail_nr;
};
int co_fn obj_rpc_run(struct obj_rpc *r);

/* Group of a dkey. */
uint32_t obj_group_of(const struct obj *obj, const daos_key_t *dkey);
/* Keys of the kind that the object's type asks for. -DER_INVAL. */
int obj_check_dkey(const struct obj *obj, const daos_key_t *dkey);
int obj_check_akey(const struct obj *obj, const daos_key_t *akey);

#endif
