/*
 * Encoding and decoding of the RPC protocol, see wire.h.
 *
 * The decoder trusts nothing: every length is checked against what is left of the packet before it
 * is used, reserved bytes and padding must be zero, and a packet must end where its header says.
 */
#include <endian.h>
#include <string.h>

#include <daos_errno.h>

#include "net/rpc/wire.h"

static uint16_t
get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

static uint32_t
get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t
get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static void
put16(uint8_t *p, uint16_t v)
{
	v = htole16(v);
	memcpy(p, &v, sizeof(v));
}

static void
put32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static void
put64(uint8_t *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
}

static bool
all_zero(const uint8_t *p, const uint8_t *end)
{
	while (p < end)
		if (*p++ != 0)
			return false;
	return true;
}

/* Addresses go into log lines and are compared as text: printable ASCII only. */
static bool
addr_ok(const uint8_t *p, uint32_t len)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		if (p[i] <= ' ' || p[i] > '~')
			return false;
	return len > 0;
}

int
wire_pkt_decode(const void *buf, size_t len, struct wire_pkt *ret_pkt)
{
	const uint8_t *p = buf;
	uint32_t addr_len;
	uint32_t hdr_len;
	uint16_t frame_nr;

	if (len < WIRE_PKT_HDR || get32(p) != WIRE_MAGIC || p[4] != WIRE_VERSION)
		return -DER_PROTO;
	addr_len = p[5];
	frame_nr = get16(p + 6);
	hdr_len = wire_pkt_size(addr_len);
	if (addr_len > WIRE_ADDR_MAX || frame_nr == 0 || hdr_len > len || get32(p + 24) != len ||
	    get32(p + 28) != 0)
		return -DER_PROTO;
	if (!addr_ok(p + WIRE_PKT_HDR, addr_len) ||
	    !all_zero(p + WIRE_PKT_HDR + addr_len, p + hdr_len))
		return -DER_PROTO;
	ret_pkt->src_inc = get64(p + 8);
	ret_pkt->dst_inc = get64(p + 16);
	if (ret_pkt->src_inc == 0)
		return -DER_PROTO;
	ret_pkt->addr = (const char *)p + WIRE_PKT_HDR;
	ret_pkt->addr_len = addr_len;
	ret_pkt->frame_nr = frame_nr;
	ret_pkt->pos = p + hdr_len;
	ret_pkt->end = p + len;
	return 0;
}

/* What each type may carry. */
static bool
frame_ok(const struct wire_frame *f)
{
	switch (f->type) {
	case WIRE_REQUEST:
		return f->id != 0 && f->left_ms != 0;
	case WIRE_REPLY:
		return f->id != 0 && f->left_ms == 0;
	case WIRE_PING:
	case WIRE_PONG:
		return f->body_len % 8 == 0 && f->body_len / 8 <= WIRE_IDS_MAX;
	case WIRE_CANCEL:
	case WIRE_CANCELLED:
		return f->id != 0 && f->body_len == 0;
	case WIRE_RESET:
		return f->body_len == 0;
	default:
		return false;
	}
}

int
wire_frame_next(struct wire_pkt *pkt, struct wire_frame *ret_frame, bool *ret_known)
{
	const uint8_t *p = pkt->pos;
	size_t left = (size_t)(pkt->end - p);
	uint32_t size;

	*ret_known = false;
	if (pkt->frame_nr == 0)
		return left == 0 ? 0 : -DER_PROTO;
	pkt->frame_nr--;
	if (left < WIRE_FRAME_HDR)
		goto bad;
	ret_frame->type = p[0];
	ret_frame->body_len = get32(p + 4);
	ret_frame->id = get64(p + 8);
	ret_frame->opc_status = get32(p + 16);
	ret_frame->map_ver = get32(p + 20);
	ret_frame->hlc = get64(p + 24);
	ret_frame->left_ms = get32(p + 32);
	ret_frame->body = p + WIRE_FRAME_HDR;
	*ret_known = ret_frame->type == WIRE_REQUEST && ret_frame->id != 0;
	if (p[1] != 0 || get16(p + 2) != 0 || get32(p + 36) != 0)
		goto bad;
	if (ret_frame->body_len > left - WIRE_FRAME_HDR)
		goto bad;
	size = wire_frame_size(ret_frame->body_len);
	if (size > left)
		goto bad;
	if (!frame_ok(ret_frame) || !all_zero(ret_frame->body + ret_frame->body_len, p + size))
		goto bad;
	pkt->pos = p + size;
	return 1;
bad:
	pkt->frame_nr = 0;
	pkt->pos = pkt->end;
	return -DER_PROTO;
}

uint64_t
wire_frame_id_at(const struct wire_frame *frame, uint32_t n)
{
	return get64(frame->body + (size_t)n * 8);
}

uint32_t
wire_pkt_encode(void *buf, uint64_t src_inc, uint64_t dst_inc, const char *addr, uint32_t addr_len)
{
	uint8_t *p = buf;
	uint32_t size = wire_pkt_size(addr_len);

	memset(p + size - 8, 0, 8);
	put32(p, WIRE_MAGIC);
	p[4] = WIRE_VERSION;
	p[5] = (uint8_t)addr_len;
	put16(p + 6, 0);
	put64(p + 8, src_inc);
	put64(p + 16, dst_inc);
	put32(p + 24, size);
	put32(p + 28, 0);
	memcpy(p + WIRE_PKT_HDR, addr, addr_len);
	return size;
}

void
wire_pkt_finish(void *buf, uint32_t frame_nr, uint32_t len, uint64_t dst_inc)
{
	uint8_t *p = buf;

	put16(p + 6, (uint16_t)frame_nr);
	put64(p + 16, dst_inc);
	put32(p + 24, len);
}

void *
wire_frame_encode(void *buf, const struct wire_frame *frame)
{
	uint8_t *p = buf;

	if (frame->body_len % 8 != 0)
		memset(p + wire_frame_size(frame->body_len) - 8, 0, 8);
	p[0] = (uint8_t)frame->type;
	p[1] = 0;
	put16(p + 2, 0);
	put32(p + 4, frame->body_len);
	put64(p + 8, frame->id);
	put32(p + 16, frame->opc_status);
	put32(p + 20, frame->map_ver);
	put64(p + 24, frame->hlc);
	put32(p + 32, frame->left_ms);
	put32(p + 36, 0);
	return p + WIRE_FRAME_HDR;
}

uint32_t
wire_frame_age(void *buf, uint32_t older_ms)
{
	uint8_t *p = buf;
	uint32_t left_ms = get32(p + 32);

	if (p[0] == WIRE_REQUEST)
		put32(p + 32, left_ms > older_ms ? left_ms - older_ms : 1);
	return wire_frame_size(get32(p + 4));
}
