/*
 * Capability: what a container handle may do, signed by the management service with the system's
 * key (HMAC-SHA256), checked by engines without asking anyone. Encoded little-endian in the order
 * of the fields, followed by the signature.
 */
#ifndef PROTO_CAPABILITY_H
#define PROTO_CAPABILITY_H

#include <stdint.h>
#include <stdbool.h>
#include <stddef.h>
#include <uuid/uuid.h>

enum {
	CAP_VERSION = 2,
	CAP_KEY_BYTES = 32,
	CAP_SIG_BYTES = 32,
	CAP_BYTES = 1 + 16 * 3 + 8 * 3 + 4 + 4 + 1 + 1 + CAP_SIG_BYTES,
	CAP_LIFE_MS = 10 * 60 * 1000, /* renewed by the client at half of it */
};
enum cap_rights {
	CAP_READ = 1,
	CAP_WRITE = 2,
};
struct capability {
	uuid_t pool;
	uuid_t cont;
	uuid_t handle;
	uint64_t rights;
	uint64_t expires_ms; /* unix ms */
	uint64_t generation; /* revocation generation of the container */
	/* container properties that engines need to store what is written */
	uint32_t csum_type;  /* cksum: DAOS_PROP_CO_CSUM_* */
	uint32_t csum_chunk; /* cksum_size, bytes */
	bool csum_verify;    /* srv_cksum */
	bool rank_level; /* rd_lvl: members of a redundancy group are on different ranks, not nodes
			  */
};
/* 0, or -DER_MISC when the cryptographic library fails (out is all zeros then). */
int cap_encode(const struct capability *cap, const uint8_t key[CAP_KEY_BYTES],
	       uint8_t out[CAP_BYTES]);
/* -DER_INVAL malformed, -DER_NO_PERM wrong signature. Expiry is the caller's to check. */
int cap_decode(const uint8_t *buf, size_t len, const uint8_t key[CAP_KEY_BYTES],
	       struct capability *ret_cap);
/* Short name of an encoded capability: the first 16 bytes of its signature. */
void cap_id(const uint8_t *encoded, uint8_t ret_id[16]);

#endif
