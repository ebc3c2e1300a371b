/*
 * Bytes of the messages between Raft replicas. Little-endian, bounds-checked; nothing here needs a
 * raft instance.
 *
 * A body of OPC_RAFT_MSG starts with one byte, enum rcodec_kind:
 *	RCODEC_INLINE	an envelope follows
 *	RCODEC_BULK	u64 length of the envelope, then a bulk descriptor (blob) to pull it from
 *	RCODEC_CONFIRM	group, from, to, term: "is this still the newest term you know?"
 * The reply to the first two is an RCODEC_INLINE with the answers that were ready at once, the
 *reply to the third is the replica's term (u64).
 *
 * Envelope: version u8, group 16 bytes, from u64, to u64, sender's durable term u64, its address
 * (string), number of messages (varint), messages.
 */
#ifndef RCODEC_H
#define RCODEC_H

#include <raft.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/codec.h"

enum rcodec_kind {
	RCODEC_INLINE = 1,
	RCODEC_BULK = 2,
	RCODEC_CONFIRM = 3,
};

enum {
	RCODEC_VERSION = 1,
	RCODEC_ADDR_MAX = 96,          /* with the final zero */
	RCODEC_ENVELOPE_MAX = 1 << 30, /* a snapshot goes in one */
	RCODEC_ENTRIES_MAX = 1 << 20,
	RCODEC_SERVERS_MAX = 64,
};

struct rcodec_env {
	uint8_t group[16];
	uint64_t from;
	uint64_t to;
	uint64_t term;
	char addr[RCODEC_ADDR_MAX];
	uint64_t msg_nr;
};

void rcodec_conf_put(struct codec_wr *wr, const struct raft_configuration *conf);
/* conf must be initialised; filled on 0, else left empty. */
int rcodec_conf_get(struct codec_rd *rd, struct raft_configuration *conf);

void rcodec_env_put(struct codec_wr *wr, const struct rcodec_env *env);
int rcodec_env_get(struct codec_rd *rd, struct rcodec_env *ret_env);

/* server_id and server_address are in the envelope, not here. */
void rcodec_msg_put(struct codec_wr *wr, const struct raft_message *msg);
/*
 * On 0 what the message points to is the caller's (libraft takes it over when the message is handed
 * to it; otherwise rcodec_msg_fini()). -DER_PROTO, -DER_NOMEM.
 */
int rcodec_msg_get(struct codec_rd *rd, struct raft_message *ret_msg);
void rcodec_msg_fini(struct raft_message *msg);

#endif
