/* What the files of the object service share. */
#ifndef SERVER_OBJ_INTERNAL_H
#define SERVER_OBJ_INTERNAL_H

#include "base/iov.h"
#include "proto/obj_proto.h"
#include "proto/opcodes.h"
#include "server/object/obj_svc.h"
#include "store/vos/vos.h"

/*
 * The beginning of every request: may we serve, is its clock sane, is the capability good for
 * `rights`, is the map current. On 0 the caller ends with cont_leave(). Sets the header of the
 * reply.
 */
int co_fn obj_begin(struct obj_svc *svc, struct rpc_in *in, const struct obj_head *head,
		    uint64_t rights, struct cont_shard **ret_cont);
/* The end: the lease must still hold. Sends status and body. */
void obj_reply(struct obj_svc *svc, struct rpc_in *in, struct cont_shard *cont, int status,
	       const struct iovec *body, uint32_t body_nr);
/* Epoch a read was done at, as told to the client. */
uint64_t obj_read_epoch(const struct obj_svc *svc, const struct obj_head *head);

static inline struct vos_oid
obj_oid(const struct obj_head *head)
{
	struct vos_oid oid = {.id = head->oid, .shard = head->shard};

	return oid;
}

/* NULL when the operation is not to be recorded. */
const struct vos_opid *obj_opid(const struct obj_head *head, struct vos_opid *buf);

/* --- sets of groups (obj_groups.c) --- */

void obj_group_tab_init(struct obj_group_tab *tab);
/* May this update go into its group? To be asked after its epoch was chosen, without a yield in
 * between. */
bool obj_groups_proven(struct obj_svc *svc, const struct obj_rw *m);
/* A group here is about to be punched: before the epoch is chosen. */
void obj_groups_punched(struct obj_svc *svc, const struct obj_head *head);
/* The stored set, at the epoch of the request; prefix 0: none. */
int co_fn obj_groups_read(struct vos_cont *vos, const struct obj_head *head,
			  struct obj_groups *ret_set);
/* Remove the set unless a group was entered after `seen`. */
int co_fn obj_groups_drop(struct obj_svc *svc, struct vos_cont *vos, const struct obj_head *head,
			  uint64_t seen, bool *ret_stays);

void obj_groups_handle(struct rpc_in *in, void *arg);
/* --- obj_rw.c: of an update --- */
int update_check(const struct obj_rw *m, uint64_t *ret_bytes);
/* The buffers of all iods as one list; *ret_own is to be freed (NULL when VOS's own list is used).
 */
int update_iovs(struct vos_update *up, uint32_t iod_nr, const struct iovec **ret_iov,
		uint32_t *ret_nr, struct iovec **ret_own);
/* Bring the data into the buffers. */
int co_fn update_fill(struct rpc_in *in, const struct obj_rw *m, struct vos_update *up,
		      uint64_t bytes);

/* --- obj_dtx.c: changes of redundant objects --- */
int co_fn obj_update_lead(struct obj_svc *svc, struct rpc_in *in, const struct obj_rw *m,
			  struct cont_shard *cont, uint64_t bytes, uint64_t *ret_epoch);
int co_fn obj_punch_lead(struct obj_svc *svc, struct rpc_in *in, const struct obj_punch *m,
			 struct cont_shard *cont, uint64_t *ret_epoch);
void obj_keep_update_handle(struct rpc_in *in, void *arg);
void obj_keep_punch_handle(struct rpc_in *in, void *arg);

/* A read that may meet intents: pass the order to VOS (NULL for objects that have none), and do it
 * again as long as obj_read_again() says so. */
enum { OBJ_IGNORE_MAX = 64 };
struct obj_read_order {
	struct vos_order order;
	struct vos_conflict conflict;
	struct vos_dtx_id ignore[OBJ_IGNORE_MAX];
	uint32_t rounds;
};
const struct vos_order *obj_read_order(struct obj_read_order *ro, daos_obj_id_t oid);
bool co_fn obj_read_again(struct obj_svc *svc, struct cont_shard *cont, struct obj_read_order *ro,
			  int *rc);

void obj_update_handle(struct rpc_in *in, void *arg);
void obj_fetch_handle(struct rpc_in *in, void *arg);
void obj_punch_handle(struct rpc_in *in, void *arg);
void obj_list_handle(struct rpc_in *in, void *arg);
void obj_query_handle(struct rpc_in *in, void *arg);

#endif
