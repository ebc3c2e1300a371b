/*
 * Bytes of the RPC protocol. All integers little-endian.
 *
 * One fabric message is a packet: a header that says who sends it, then one or more frames, each
 * starting on a multiple of eight bytes from the start of the packet.
 *
 *	packet header, 32 bytes				frame header, 40 bytes
 *	 0 u32 magic					 0 u8  type
 *	 4 u8  version					 1 u8  reserved, zero
 *	 5 u8  addr_len					 2 u16 reserved, zero
 *	 6 u16 frame_nr					 4 u32 body_len
 *	 8 u64 src_inc					 8 u64 id
 *	16 u64 dst_inc (0 = not known yet)		16 u32 operation code, or status of a reply
 *	24 u32 len, of the whole packet			20 u32 pool map version
 *	28 u32 reserved, zero				24 u64 hybrid clock
 *	32 addr_len bytes: sender's address		32 u32 milliseconds left until the deadline
 *	   without "provider://"			36 u32 reserved, zero
 *	   zeros up to a multiple of 8			40 body_len bytes, zeros up to a multiple of
 *8
 *
 * An incarnation (src_inc, dst_inc) is a random number drawn when an endpoint opens; it tells a
 * restarted peer from the one a message was meant for. The id of a request is chosen by its sender
 * and means nothing to the receiver.
 */
#ifndef NET_RPC_WIRE_H
#define NET_RPC_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WIRE_MAGIC = 0x43505244, /* "DRPC" */
	WIRE_VERSION = 1,
	WIRE_PKT_HDR = 32,
	WIRE_FRAME_HDR = 40,
	WIRE_ADDR_MAX = 95,
	WIRE_IDS_MAX = 512, /* ids in one ping or pong */
};

enum wire_type {
	WIRE_REQUEST = 1,
	WIRE_REPLY,
	WIRE_PING, /* body: ids of requests the sender waits for */
	WIRE_PONG, /* answers the ping of the same id; body: those ids that are not being served */
	WIRE_CANCEL,    /* the sender no longer waits for request id */
	WIRE_CANCELLED, /* request id touches the sender's memory no more */
	WIRE_RESET,     /* a packet for an earlier incarnation came here */
	WIRE_TYPE_END,
};

struct wire_pkt {
	uint64_t src_inc;
	uint64_t dst_inc;
	const char *addr; /* not terminated */
	uint32_t addr_len;
	uint32_t frame_nr; /* frames not yet taken by wire_frame_next() */
	const uint8_t *pos;
	const uint8_t *end;
};

struct wire_frame {
	enum wire_type type;
	uint32_t body_len;
	uint64_t id;
	uint32_t opc_status;
	uint32_t map_ver;
	uint64_t hlc;
	uint32_t left_ms;
	const uint8_t *body;
};

/* Room a packet header and a frame take, padding included. */
static inline uint32_t
wire_pkt_size(uint32_t addr_len)
{
	return WIRE_PKT_HDR + ((addr_len + 7) & ~7u);
}

static inline uint32_t
wire_frame_size(uint32_t body_len)
{
	return WIRE_FRAME_HDR + ((body_len + 7) & ~7u);
}

/* Check and take apart a packet header. -DER_PROTO when it is none. */
int wire_pkt_decode(const void *buf, size_t len, struct wire_pkt *ret_pkt);

/*
 * The next frame: 1, at the end 0, else -DER_PROTO. When even a malformed frame could be told to be
 * a request, *ret_known is set and ret_frame->id is its id.
 */
int wire_frame_next(struct wire_pkt *pkt, struct wire_frame *ret_frame, bool *ret_known);

/* The n-th id of a ping or pong (its body_len is a multiple of 8, wire_frame_next() saw to that).
 */
uint64_t wire_frame_id_at(const struct wire_frame *frame, uint32_t n);

/* Write a packet header for a packet without frames; returns its size. buf has wire_pkt_size(). */
uint32_t wire_pkt_encode(void *buf, uint64_t src_inc, uint64_t dst_inc, const char *addr,
			 uint32_t addr_len);
/* Fix the header after frames were added. */
void wire_pkt_finish(void *buf, uint32_t frame_nr, uint32_t len, uint64_t dst_inc);

/* Write a frame header and the zeros after its body; returns where the body_len bytes of the body
 * belong. buf has wire_frame_size(). */
void *wire_frame_encode(void *buf, const struct wire_frame *frame);

/* Change the time left of a frame at buf, which this side encoded. Returns the size of the frame.
 */
uint32_t wire_frame_age(void *buf, uint32_t older_ms);

#endif
