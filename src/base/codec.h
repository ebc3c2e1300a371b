/*
 * Little-endian encoding and decoding with bounds checks.
 *
 * Errors stick: after the first one every further call does nothing (reads give zeros) and the
 * caller checks once, at the end, with codec_rd_end() or codec_wr_err(). The reader never looks
 * outside [p, end); a length that came from the bytes themselves is checked before it is used.
 */
#ifndef BASE_CODEC_H
#define BASE_CODEC_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <daos_errno.h>

/* --- reader
 * --------------------------------------------------------------------------------------------------------
 */

struct codec_rd {
	const uint8_t *p;
	const uint8_t *end;
	int err; /* 0, or -DER_PROTO once the bytes turned out to be malformed */
};

static inline void
codec_rd_init(struct codec_rd *rd, const void *buf, size_t len)
{
	rd->p = (const uint8_t *)buf;
	rd->end = rd->p + len;
	rd->err = 0;
}

static inline size_t
codec_rd_left(const struct codec_rd *rd)
{
	return (size_t)(rd->end - rd->p);
}

/* Note that the content is invalid (a value out of its range, say). */
static inline void
codec_rd_fail(struct codec_rd *rd)
{
	if (rd->err == 0)
		rd->err = -DER_PROTO;
	rd->p = rd->end;
}

/* The next len bytes in place, or NULL (and the sticky error) if there are fewer. len 0 gives a
 * valid pointer. */
static inline const void *
codec_rd_ref(struct codec_rd *rd, size_t len)
{
	const uint8_t *p = rd->p;

	if (__builtin_expect(rd->err != 0 || len > codec_rd_left(rd), 0)) {
		codec_rd_fail(rd);
		return NULL;
	}
	rd->p += len;
	return p;
}

static inline uint8_t
codec_rd_u8(struct codec_rd *rd)
{
	const uint8_t *p = (const uint8_t *)codec_rd_ref(rd, 1);

	return p == NULL ? 0 : *p;
}

static inline uint16_t
codec_rd_u16(struct codec_rd *rd)
{
	const void *p = codec_rd_ref(rd, 2);
	uint16_t v = 0;

	if (p != NULL)
		memcpy(&v, p, 2);
	return le16toh(v);
}

static inline uint32_t
codec_rd_u32(struct codec_rd *rd)
{
	const void *p = codec_rd_ref(rd, 4);
	uint32_t v = 0;

	if (p != NULL)
		memcpy(&v, p, 4);
	return le32toh(v);
}

static inline uint64_t
codec_rd_u64(struct codec_rd *rd)
{
	const void *p = codec_rd_ref(rd, 8);
	uint64_t v = 0;

	if (p != NULL)
		memcpy(&v, p, 8);
	return le64toh(v);
}

static inline int32_t
codec_rd_i32(struct codec_rd *rd)
{
	return (int32_t)codec_rd_u32(rd);
}

static inline int64_t
codec_rd_i64(struct codec_rd *rd)
{
	return (int64_t)codec_rd_u64(rd);
}

/* 0 or 1; anything else is malformed. */
static inline bool
codec_rd_bool(struct codec_rd *rd)
{
	uint8_t v = codec_rd_u8(rd);

	if (v > 1)
		codec_rd_fail(rd);
	return v == 1;
}

/* 7 bits a byte, least significant first, at most 10 bytes; a longer form than needed is malformed.
 */
uint64_t codec_rd_varint(struct codec_rd *rd);

/* A varint that must not exceed max (a count or a length). */
uint64_t codec_rd_varint_max(struct codec_rd *rd, uint64_t max);

/* Copy len bytes; fills dst with zeros on error. */
void codec_rd_bytes(struct codec_rd *rd, void *dst, size_t len);

/* A varint length (at most max) and that many bytes, in place. NULL and length 0 on error. */
const void *codec_rd_blob(struct codec_rd *rd, size_t max, size_t *ret_len);

/* A string (length and bytes, none of them zero) copied into dst with its end mark; malformed if it
 * does not fit. */
void codec_rd_str(struct codec_rd *rd, char *dst, size_t size);

/* 16 bytes. */
void codec_rd_uuid(struct codec_rd *rd, uint8_t uuid[16]);

/* The sticky error; bytes left over are an error too. */
int codec_rd_end(struct codec_rd *rd);

/* --- writer
 * --------------------------------------------------------------------------------------------------------
 */

struct codec_wr {
	uint8_t *base;
	size_t len;
	size_t cap;
	int err;   /* 0, -DER_NOMEM (growable) or -DER_OVERFLOW (fixed, or longer than the bound) */
	bool grow; /* base is ours, from malloc */
	size_t max; /* bound of a growable one */
};

/* Into the caller's buffer. */
static inline void
codec_wr_init_fixed(struct codec_wr *wr, void *buf, size_t size)
{
	wr->base = (uint8_t *)buf;
	wr->len = 0;
	wr->cap = size;
	wr->err = 0;
	wr->grow = false;
	wr->max = size;
}

/* Into a buffer that grows up to max bytes (0 = 1 GiB). Ends with codec_wr_fini() or
 * codec_wr_take(). */
static inline void
codec_wr_init(struct codec_wr *wr, size_t max)
{
	wr->base = NULL;
	wr->len = 0;
	wr->cap = 0;
	wr->err = 0;
	wr->grow = true;
	wr->max = max != 0 ? max : (size_t)1 << 30;
}

/* Frees a growable buffer; harmless on a fixed one and when repeated. */
void codec_wr_fini(struct codec_wr *wr);

/* The buffer of a growable one (its owner now: the caller, free()), NULL when empty or failed. */
void *codec_wr_take(struct codec_wr *wr, size_t *ret_len);

static inline int
codec_wr_err(const struct codec_wr *wr)
{
	return wr->err;
}

/* Slow path of codec_wr_ref(). */
void *codec_wr_grow(struct codec_wr *wr, size_t len);

/* Room for len bytes at the end, to be filled by the caller before the next call; NULL on error. */
static inline void *
codec_wr_ref(struct codec_wr *wr, size_t len)
{
	uint8_t *p;

	if (__builtin_expect(wr->err != 0 || len > wr->cap - wr->len, 0))
		return codec_wr_grow(wr, len);
	p = wr->base + wr->len;
	wr->len += len;
	return p;
}

static inline void
codec_wr_u8(struct codec_wr *wr, uint8_t v)
{
	uint8_t *p = (uint8_t *)codec_wr_ref(wr, 1);

	if (p != NULL)
		*p = v;
}

static inline void
codec_wr_u16(struct codec_wr *wr, uint16_t v)
{
	void *p = codec_wr_ref(wr, 2);

	v = htole16(v);
	if (p != NULL)
		memcpy(p, &v, 2);
}

static inline void
codec_wr_u32(struct codec_wr *wr, uint32_t v)
{
	void *p = codec_wr_ref(wr, 4);

	v = htole32(v);
	if (p != NULL)
		memcpy(p, &v, 4);
}

static inline void
codec_wr_u64(struct codec_wr *wr, uint64_t v)
{
	void *p = codec_wr_ref(wr, 8);

	v = htole64(v);
	if (p != NULL)
		memcpy(p, &v, 8);
}

static inline void
codec_wr_i32(struct codec_wr *wr, int32_t v)
{
	codec_wr_u32(wr, (uint32_t)v);
}

static inline void
codec_wr_i64(struct codec_wr *wr, int64_t v)
{
	codec_wr_u64(wr, (uint64_t)v);
}

static inline void
codec_wr_bool(struct codec_wr *wr, bool v)
{
	codec_wr_u8(wr, v ? 1 : 0);
}

static inline void
codec_wr_bytes(struct codec_wr *wr, const void *src, size_t len)
{
	void *p = codec_wr_ref(wr, len);

	if (p != NULL && len != 0)
		memcpy(p, src, len);
}

void codec_wr_varint(struct codec_wr *wr, uint64_t v);
/* Length as varint, then the bytes. */
void codec_wr_blob(struct codec_wr *wr, const void *src, size_t len);
void codec_wr_str(struct codec_wr *wr, const char *s);
void codec_wr_uuid(struct codec_wr *wr, const uint8_t uuid[16]);

/* Overwrite a value written earlier at byte off (a length or count known only later). */
void codec_wr_patch_u32(struct codec_wr *wr, size_t off, uint32_t v);

#endif
