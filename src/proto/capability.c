/*
 * Capabilities: fixed little-endian layout plus an HMAC-SHA256 over it (RFC 2104, RFC 6234).
 *
 *	u8 version | pool 16 | cont 16 | handle 16 | u64 rights | u64 expires_ms | u64 generation |
 *	u32 csum_type | u32 csum_chunk | u8 csum_verify | u8 rank_level | signature 32
 *
 * The key is one per system: the management service makes it, engines get it when they join. A
 *capability is a bearer token, so its content is never secret but its signature must not be
 *guessable: the comparison takes the same time wherever the bytes differ.
 */
#include "proto/capability.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <daos_errno.h>

#include "base/codec.h"

enum { CAP_BODY_BYTES = CAP_BYTES - CAP_SIG_BYTES };
static_assert(CAP_BODY_BYTES == 83, "layout of a capability");

static bool
cap_sign(const uint8_t *body, const uint8_t key[CAP_KEY_BYTES], uint8_t ret_sig[CAP_SIG_BYTES])
{
	unsigned int len = CAP_SIG_BYTES;

	return HMAC(EVP_sha256(), key, CAP_KEY_BYTES, body, CAP_BODY_BYTES, ret_sig, &len) !=
		   NULL &&
	       len == CAP_SIG_BYTES;
}

int
cap_encode(const struct capability *cap, const uint8_t key[CAP_KEY_BYTES], uint8_t out[CAP_BYTES])
{
	uint64_t num[3] = {htole64(cap->rights), htole64(cap->expires_ms),
			   htole64(cap->generation)};
	uint32_t csum[2] = {htole32(cap->csum_type), htole32(cap->csum_chunk)};

	out[0] = CAP_VERSION;
	memcpy(out + 1, cap->pool, 16);
	memcpy(out + 17, cap->cont, 16);
	memcpy(out + 33, cap->handle, 16);
	memcpy(out + 49, num, 24);
	memcpy(out + 73, csum, 8);
	out[81] = cap->csum_verify;
	out[82] = cap->rank_level;
	if (!cap_sign(out, key, out + CAP_BODY_BYTES)) {
		memset(out, 0, CAP_BYTES);
		return -DER_MISC;
	}
	return 0;
}

int
cap_decode(const uint8_t *buf, size_t len, const uint8_t key[CAP_KEY_BYTES],
	   struct capability *ret_cap)
{
	uint8_t sig[CAP_SIG_BYTES];
	struct capability cap;
	struct codec_rd rd;

	if (len != CAP_BYTES || buf[0] != CAP_VERSION)
		return -DER_INVAL;
	if (!cap_sign(buf, key, sig))
		return -DER_MISC;
	if (CRYPTO_memcmp(sig, buf + CAP_BODY_BYTES, CAP_SIG_BYTES) != 0)
		return -DER_NO_PERM;

	codec_rd_init(&rd, buf + 1, CAP_BODY_BYTES - 1);
	codec_rd_bytes(&rd, cap.pool, sizeof(uuid_t));
	codec_rd_bytes(&rd, cap.cont, sizeof(uuid_t));
	codec_rd_bytes(&rd, cap.handle, sizeof(uuid_t));
	cap.rights = codec_rd_u64(&rd);
	cap.expires_ms = codec_rd_u64(&rd);
	cap.generation = codec_rd_u64(&rd);
	cap.csum_type = codec_rd_u32(&rd);
	cap.csum_chunk = codec_rd_u32(&rd);
	cap.csum_verify = codec_rd_u8(&rd) != 0;
	cap.rank_level = codec_rd_u8(&rd) != 0;
	if (codec_rd_end(&rd) != 0)
		return -DER_INVAL;
	*ret_cap = cap;
	return 0;
}

void
cap_id(const uint8_t *encoded, uint8_t ret_id[16])
{
	memcpy(ret_id, encoded + CAP_BODY_BYTES, 16);
}
