/*
 * Checksums by ISA-L (CRCs, adler32) and OpenSSL (digests), behind one interface.
 *
 * The crypto library's calls fail only for want of memory or of the algorithm, so everything that
 * can fail is asked for in csum_init(); one context is used over and over.
 */
#include "base/csum.h"

#include <assert.h>
#include <endian.h>
#include <isa-l/crc.h>
#include <isa-l/crc64.h>
#include <isa-l/igzip_lib.h>
#include <openssl/evp.h>
#include <string.h>

#include <daos_errno.h>
#include <daos_prop.h>

#include "base/crc.h"
#include "base/iov.h"

static const struct alg {
	const char *name;
	uint32_t len;
	const char *digest; /* what OpenSSL calls it */
} algs[] = {
    [DAOS_PROP_CO_CSUM_OFF] = {"off", 0, NULL},
    [DAOS_PROP_CO_CSUM_CRC16] = {"crc16", 2, NULL},
    [DAOS_PROP_CO_CSUM_CRC32] = {"crc32", 4, NULL},
    [DAOS_PROP_CO_CSUM_CRC64] = {"crc64", 8, NULL},
    [DAOS_PROP_CO_CSUM_SHA1] = {"sha1", 20, "SHA1"},
    [DAOS_PROP_CO_CSUM_SHA256] = {"sha256", 32, "SHA256"},
    [DAOS_PROP_CO_CSUM_SHA512] = {"sha512", 64, "SHA512"},
    [DAOS_PROP_CO_CSUM_ADLER32] = {"adler32", 4, NULL},
};

enum {
	ALG_NR = sizeof(algs) / sizeof(algs[0]),
	PIECE_MAX = 1 << 30, /* some of the library's functions take an int */
};

uint32_t
csum_len(uint32_t type)
{
	return type < ALG_NR ? algs[type].len : 0;
}

const char *
csum_name(uint32_t type)
{
	return type < ALG_NR ? algs[type].name : "?";
}

int
csum_init(struct csum *c, uint32_t type)
{
	*c = (struct csum){0};
	if (type >= ALG_NR)
		return -DER_INVAL;
	c->type = type;
	c->len = algs[type].len;
	if (algs[type].digest == NULL)
		return 0;
	c->md = EVP_MD_fetch(NULL, algs[type].digest, NULL);
	c->ctx = EVP_MD_CTX_new();
	/* the first use of a context allocates what later ones need */
	if (c->md != NULL && c->ctx != NULL && EVP_DigestInit_ex(c->ctx, c->md, NULL) == 1)
		return 0;
	csum_fini(c);
	return -DER_NOMEM;
}

void
csum_fini(struct csum *c)
{
	EVP_MD_CTX_free(c->ctx);
	EVP_MD_free(c->md);
	*c = (struct csum){0};
}

/* What init has made sure of. */
static void
must(int ok)
{
	assert(ok == 1);
	(void)ok;
}

void
csum_begin(struct csum *c)
{
	assert(c->len != 0);
	c->state = c->type == DAOS_PROP_CO_CSUM_ADLER32 ? 1 : 0;
	if (c->ctx != NULL)
		must(EVP_DigestInit_ex(c->ctx, c->md, NULL));
}

static void
update_piece(struct csum *c, const uint8_t *p, size_t n)
{
	switch (c->type) {
	case DAOS_PROP_CO_CSUM_CRC16:
		c->state = crc16_t10dif(c->state, p, n);
		break;
	case DAOS_PROP_CO_CSUM_CRC32:
		c->state = crc32c(c->state, p, n);
		break;
	case DAOS_PROP_CO_CSUM_CRC64:
		c->state = crc64_ecma_refl(c->state, p, n);
		break;
	case DAOS_PROP_CO_CSUM_ADLER32:
		c->state = isal_adler32(c->state, p, n);
		break;
	default:
		must(EVP_DigestUpdate(c->ctx, p, n));
	}
}

void
csum_update(struct csum *c, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	while (len > 0) {
		size_t n = len < PIECE_MAX ? len : PIECE_MAX;

		update_piece(c, p, n);
		p += n;
		len -= n;
	}
}

void
csum_end(struct csum *c, uint8_t *ret_sum)
{
	uint64_t le = htole64(c->state);

	if (c->ctx == NULL)
		memcpy(ret_sum, &le, c->len);
	else
		must(EVP_DigestFinal_ex(c->ctx, ret_sum, NULL));
}

void
csum_iov(struct csum *c, struct iov_iter *it, uint64_t len, uint8_t *ret_sum)
{
	void *p;
	size_t n;

	csum_begin(c);
	while (len > 0 && iov_iter_next(it, len, &p, &n)) {
		csum_update(c, p, n);
		len -= n;
	}
	assert(len == 0);
	csum_end(c, ret_sum);
}

void
csum_buf(struct csum *c, const void *buf, size_t len, uint8_t *ret_sum)
{
	csum_begin(c);
	csum_update(c, buf, len);
	csum_end(c, ret_sum);
}
