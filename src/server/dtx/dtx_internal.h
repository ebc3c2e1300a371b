/* Between the files of server/dtx. */
#ifndef SERVER_DTX_INTERNAL_H
#define SERVER_DTX_INTERNAL_H

#include <daos_errno.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/opcodes.h"
#include "runtime/xs.h"
#include "server/dtx/dtx.h"

enum {
	DTX_TELL_MS = 5,       /* decisions wait this long for company */
	DTX_TELL_NR = 256,     /* decisions of one message */
	DTX_ASK_AGE_MS = 1000, /* intents older than this are asked about */
	DTX_ASK_MS = 5000,     /* deadline of a question */
	DTX_REST_MS = 500,     /* what is left to tell when the service stops */
	DTX_ATTEMPTS_MAX = 8,  /* of one request, before its client is told to repeat */
};

/* --- dtx.c --- */
/* Where the members of the group of a shard are; the caller's map stays referenced as long as it
 * holds the container. -DER_AGAIN: no map. -DER_INVAL: no such group. */
struct dtx_group {
	struct oclass_shape shape;
	uint32_t first; /* shard number of member 0 */
	struct place_shard members[PLACE_SHARD_MAX];
};
int dtx_group_of(const struct cont_shard *cont, daos_obj_id_t oid, uint32_t shard,
		 struct dtx_group *ret_group);
/* The endpoint of a target; referenced. */
int dtx_peer(struct dtx_svc *svc, const struct cont_shard *cont, uint32_t target_id,
	     struct rpc_peer **ret_peer);
bool dtx_is_self(const struct dtx_svc *svc, const struct cont_shard *cont, uint32_t target_id);

/* --- dtx_lead.c --- */
struct dtx_change *dtx_active_find(struct dtx_svc *svc, const struct cont_shard *cont,
				   const uint64_t client[2], uint64_t seq);
/* What a member that asks is told. */
int co_fn dtx_state_of(struct dtx_svc *svc, struct cont_shard *cont, const struct dtx_ref *ref,
		       uint8_t *ret_state);

/* --- dtx_tell.c --- */
/* Tell a target, some time soon, that a change was committed. Best effort: who is not told asks. */
void dtx_tell(struct dtx_svc *svc, const struct cont_shard *cont, uint32_t target_id,
	      const struct dtx_ref *ref);
void co_fn dtx_tell_run(struct dtx_svc *svc);
/* Tell all that is left; waits a moment for it to arrive. */
void co_fn dtx_tell_rest(struct dtx_svc *svc);
void dtx_tell_fini(struct dtx_svc *svc);
/* One message; states: room for nr, or NULL. */
int co_fn dtx_resolve_call(struct dtx_svc *svc, const struct cont_shard *cont, uint32_t target_id,
			   uint8_t verb, struct dtx_ref *refs, uint32_t nr, uint64_t deadline_ns,
			   uint8_t *states);

/* --- dtx_settle.c --- */
void dtx_resolve_handle(struct rpc_in *in, void *arg);
void co_fn dtx_ask_run(struct dtx_svc *svc);

#endif
