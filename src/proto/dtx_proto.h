/*
 * Messages between the members of a redundancy group about changes under way (server/dtx). Compact
 * codec, bounds-checked, fuzzed, as in obj_proto.h.
 *
 * OPC_DTX_UPDATE, OPC_DTX_PUNCH: the leader hands a change to a member. The bodies are struct
 * obj_rw and struct obj_punch; head.epoch is the epoch (and so the attempt), head.shard the
 * receiver's, a bulk is the leader's memory. The reply has no body. Statuses beside those of
 * obj_proto.h: -DER_TX_RESTART: refused at this epoch; the reply's clock is one that would do.
 *
 * OPC_DTX_RESOLVE: what became of changes: the leader tells (COMMIT, ABORT), a member asks (ASK).
 */
#ifndef PROTO_DTX_PROTO_H
#define PROTO_DTX_PROTO_H

#include <uuid/uuid.h>

#include "base/codec.h"

enum { DTX_REFS_MAX = 1024 };

/* A change: who wants it (the identity of obj_head), and which attempt. */
struct dtx_ref {
	uint64_t client[2];
	uint64_t seq;
	uint32_t map_ver; /* of the leader when it began the attempt */
	uint64_t epoch;
};
enum dtx_verb {
	DTX_ASK = 1,
	DTX_COMMIT,
	DTX_ABORT,
	DTX_VERB_END,
};
struct dtx_resolve { /* request; all of one container */
	uuid_t pool;
	uuid_t cont;
	uint8_t verb;
	uint32_t nr;
	struct dtx_ref *refs;
};
enum dtx_state {
	DTX_ST_UNKNOWN = 1, /* never committed, and never will be at this attempt */
	DTX_ST_ACTIVE,      /* undecided */
	DTX_ST_COMMITTED,   /* by the attempt asked about */
	DTX_ST_END,
};
struct dtx_resolve_rep { /* to DTX_ASK: one state each, in the order asked; else none */
	uint32_t nr;
	uint8_t *states;
};

void dtx_resolve_encode(struct codec_wr *w, const struct dtx_resolve *m);
/* refs: room for DTX_REFS_MAX; m->refs points there. -DER_PROTO. */
int dtx_resolve_decode(const uint8_t *buf, size_t len, struct dtx_ref *refs,
		       struct dtx_resolve *ret_m);
void dtx_resolve_rep_encode(struct codec_wr *w, const struct dtx_resolve_rep *m);
/* states: room for DTX_REFS_MAX. */
int dtx_resolve_rep_decode(const uint8_t *buf, size_t len, uint8_t *states,
			   struct dtx_resolve_rep *ret_m);

#endif
