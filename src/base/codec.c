/* Little-endian encoding and decoding: what is too long to be inline. */
#include <stdlib.h>

#include "base/codec.h"

enum { VARINT_MAX = 10, GROW_MIN = 256 };

uint64_t
codec_rd_varint(struct codec_rd *rd)
{
	uint64_t v = 0;
	unsigned int shift;

	for (shift = 0; shift < 64; shift += 7) {
		uint8_t b = codec_rd_u8(rd);

		if (rd->err != 0)
			return 0;
		/* the tenth byte has one bit left; a last byte of zero could have been left out */
		if ((shift == 63 && b > 1) || (shift > 0 && b == 0))
			break;
		v |= (uint64_t)(b & 0x7f) << shift;
		if ((b & 0x80) == 0)
			return v;
	}
	codec_rd_fail(rd);
	return 0;
}

uint64_t
codec_rd_varint_max(struct codec_rd *rd, uint64_t max)
{
	uint64_t v = codec_rd_varint(rd);

	if (v > max) {
		codec_rd_fail(rd);
		return 0;
	}
	return v;
}

void
codec_rd_bytes(struct codec_rd *rd, void *dst, size_t len)
{
	const void *p = codec_rd_ref(rd, len);

	if (len == 0)
		return;
	if (p != NULL)
		memcpy(dst, p, len);
	else
		memset(dst, 0, len);
}

const void *
codec_rd_blob(struct codec_rd *rd, size_t max, size_t *ret_len)
{
	size_t len = codec_rd_varint_max(rd, max);
	const void *p = codec_rd_ref(rd, len);

	*ret_len = p == NULL ? 0 : len;
	return p;
}

void
codec_rd_str(struct codec_rd *rd, char *dst, size_t size)
{
	size_t len = 0;
	const char *p = size == 0 ? NULL : codec_rd_blob(rd, size - 1, &len);

	if (p == NULL || memchr(p, '\0', len) != NULL) {
		codec_rd_fail(rd);
		len = 0;
	}
	if (size == 0)
		return;
	if (len > 0)
		memcpy(dst, p, len);
	dst[len] = '\0';
}

void
codec_rd_uuid(struct codec_rd *rd, uint8_t uuid[16])
{
	codec_rd_bytes(rd, uuid, 16);
}

int
codec_rd_end(struct codec_rd *rd)
{
	if (rd->err == 0 && rd->p != rd->end)
		codec_rd_fail(rd);
	return rd->err;
}

/* --- writer ----------------------------------------------------------------------------------- */

void
codec_wr_fini(struct codec_wr *wr)
{
	if (wr->grow)
		free(wr->base);
	wr->base = NULL;
	wr->len = 0;
	wr->cap = 0;
}

void *
codec_wr_take(struct codec_wr *wr, size_t *ret_len)
{
	void *base = wr->base;

	*ret_len = 0;
	if (wr->err != 0 || !wr->grow) {
		codec_wr_fini(wr);
		return NULL;
	}
	*ret_len = wr->len;
	wr->base = NULL;
	wr->len = 0;
	wr->cap = 0;
	return base;
}

void *
codec_wr_grow(struct codec_wr *wr, size_t len)
{
	size_t cap;
	uint8_t *base;

	if (wr->err != 0)
		return NULL;
	if (!wr->grow || len > wr->max - wr->len) {
		wr->err = -DER_OVERFLOW;
		return NULL;
	}
	cap = wr->cap < GROW_MIN ? GROW_MIN : wr->cap;
	while (cap < wr->len + len)
		cap *= 2;
	if (cap > wr->max)
		cap = wr->max;
	base = realloc(wr->base, cap);
	if (base == NULL) {
		wr->err = -DER_NOMEM;
		return NULL;
	}
	wr->base = base;
	wr->cap = cap;
	base += wr->len;
	wr->len += len;
	return base;
}

void
codec_wr_varint(struct codec_wr *wr, uint64_t v)
{
	uint8_t buf[VARINT_MAX];
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		buf[n++] = (uint8_t)v | 0x80;
	buf[n++] = (uint8_t)v;
	codec_wr_bytes(wr, buf, n);
}

void
codec_wr_blob(struct codec_wr *wr, const void *src, size_t len)
{
	codec_wr_varint(wr, len);
	codec_wr_bytes(wr, src, len);
}

void
codec_wr_str(struct codec_wr *wr, const char *s)
{
	codec_wr_blob(wr, s, strlen(s));
}

void
codec_wr_uuid(struct codec_wr *wr, const uint8_t uuid[16])
{
	codec_wr_bytes(wr, uuid, 16);
}

void
codec_wr_patch_u32(struct codec_wr *wr, size_t off, uint32_t v)
{
	if (wr->err != 0)
		return;
	if (off > wr->len || wr->len - off < sizeof(v)) {
		wr->err = -DER_OVERFLOW;
		return;
	}
	v = htole32(v);
	memcpy(wr->base + off, &v, sizeof(v));
}
