/* Between the files of client/object. */
#ifndef CLIENT_OBJ_INTERNAL_H
#define CLIENT_OBJ_INTERNAL_H

#include "client/object/obj.h"

enum {
	OBJ_PAR_MAX = 32, /* requests of one operation to different shards at a time */
};

/*
 * One request to a redundancy group, repeated until it has an answer: a change goes to the group's
 * leader, a read to the leader or, when that is not there, to another member. build() appends
 * the message to w and may point tail at further pieces of the body; reply() looks at an answer
 * that is not one of those after which the request is repeated, and returns the result; end()
 * (may be NULL) is called after every attempt.
 */
struct obj_rpc {
	struct op *op;
	struct obj *obj;
	uint32_t group;
	const daos_key_t *dkey; /* NULL: concerns the whole group */
	uint32_t opc;
	uint64_t flags;
	bool change; /* has an identity */
	/* NULL: one of its own. A change that is sent again in another form keeps its identity. */
	struct op_ident *ident;
	int (*build)(struct obj_rpc *r, const struct obj_head *head, struct codec_wr *w);
	int (*reply)(struct obj_rpc *r, int status, const uint8_t *buf, size_t len);
	void (*end)(struct obj_rpc *r);
	const struct iovec *tail;
	uint32_t tail_nr;
};
int co_fn obj_rpc_run(struct obj_rpc *r);

/* --- groups that were ever used (obj_groups.c); numbered from the home group on --- */

uint32_t obj_group_at(const struct obj *obj, uint32_t number);
uint32_t obj_group_number(const struct obj *obj, uint32_t group);
/* What every object of this kind has. */
struct obj_groups obj_groups_initial(const struct obj *obj);
/* A set as it came in a reply (prefix 0: none is stored). -DER_PROTO. */
int obj_groups_take(const struct obj *obj, const struct obj_groups *got,
		    struct obj_groups *ret_set);
/* Ask for the set. */
int co_fn obj_groups_get(struct op *op, struct obj *obj, struct obj_groups *ret_set,
			 uint64_t *ret_seen);
/* What this client saw last: a guess. */
struct obj_groups obj_groups_guess(struct obj *obj);
void obj_groups_note(struct obj *obj, const struct obj_groups *set);
/* Have groups first .. last in the set: *ret_proof shows it to them; 0: it needs no proof. */
int co_fn obj_groups_enter(struct op *op, struct obj *obj, uint32_t first, uint32_t last,
			   uint64_t *ret_proof);
/* A group refused the proof. */
void obj_groups_forget(struct obj *obj, uint64_t proof);

/* Group of a dkey. */
uint32_t obj_group_of(const struct obj *obj, const daos_key_t *dkey);
/* The member of a group that orders the changes of a dkey (NULL: of the whole group). */
uint32_t obj_leader_of(const struct obj *obj, const daos_key_t *dkey);
/* Keys of the kind that the object's type asks for. -DER_INVAL. */
int obj_check_dkey(const struct obj *obj, const daos_key_t *dkey);
int obj_check_akey(const struct obj *obj, const daos_key_t *akey);

#endif
