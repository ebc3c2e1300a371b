/*
 * Checksums of values, chosen by the container property "cksum".
 *
 * A value is covered chunk by chunk: the grid of chunks lies at absolute record numbers of the
 * array, a chunk holds as many whole records as fit the property "cksum_size", at least one. Of an
 * extent each chunk it touches has one checksum, over the part that lies in the extent. A single
 * value has one checksum. Client, server and store use the functions below for that, so that one
 * may check what another computed.
 *
 *	crc16	CRC-16/T10-DIF		crc32	CRC-32C, as in iSCSI
 *	crc64	CRC-64/XZ (ECMA-182, reflected)	adler32	RFC 1950
 *	sha1, sha256, sha512		FIPS 180-4
 *
 * Numbers are stored little-endian, digests in their usual order of bytes.
 */
#ifndef BASE_CSUM_H
#define BASE_CSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
	CSUM_LEN_MAX = 64,
	CSUM_CHUNK_MIN = 256, /* bytes under one checksum, at least */
};

/* Bytes of a checksum of this type (DAOS_PROP_CO_CSUM_*); 0: off, or no such type. */
uint32_t csum_len(uint32_t type);
/* As in the property; "?" when there is none. */
const char *csum_name(uint32_t type);

/* One computation at a time: begin, any number of updates, end. */
struct csum {
	uint16_t type;
	uint16_t len;   /* bytes of a checksum; 0 = off */
	uint64_t state; /* CRCs, adler32 */
	void *md, *ctx; /* digests: of the crypto library */
};

/* -DER_INVAL: no such type. Type off is fine, but only for fini. */
int csum_init(struct csum *c, uint32_t type);
/* A cleared one is fine. */
void csum_fini(struct csum *c);

void csum_begin(struct csum *c);
void csum_update(struct csum *c, const void *buf, size_t len);
/* Writes c->len bytes. */
void csum_end(struct csum *c, uint8_t *ret_sum);

/* All at once: of the next `len` bytes of a list of segments, stepping. */
struct iov_iter;
void csum_iov(struct csum *c, struct iov_iter *it, uint64_t len, uint8_t *ret_sum);
void csum_buf(struct csum *c, const void *buf, size_t len, uint8_t *ret_sum);

/* Records per chunk. */
static inline uint64_t
csum_chunk_recs(uint32_t chunk_bytes, uint64_t rec_size)
{
	uint64_t nr = rec_size == 0 ? chunk_bytes : chunk_bytes / rec_size;

	return nr != 0 ? nr : 1;
}

/* Number of chunks that [idx, idx + nr) touches. */
static inline uint64_t
csum_chunk_nr(uint64_t idx, uint64_t nr, uint64_t recs)
{
	return nr == 0 ? 0 : (idx + nr - 1) / recs - idx / recs + 1;
}

/* First record after the chunk in which pos lies. */
static inline uint64_t
csum_chunk_end(uint64_t pos, uint64_t recs)
{
	uint64_t start = pos / recs * recs;

	return start + recs < start ? UINT64_MAX : start + recs;
}

#endif
