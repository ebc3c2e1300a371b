/* The bytes of the RPC protocol: what is written is read, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <daos_errno.h>

#include "net/rpc/wire.h"

#define ADDR "127.0.0.1:31416"

struct packet {
	uint8_t bytes[1024];
	uint32_t len;
	uint32_t nr;
};

static void
packet_begin(struct packet *p)
{
	memset(p->bytes, 0xaa, sizeof(p->bytes));
	p->len = wire_pkt_encode(p->bytes, 0x1122334455667788, 0, ADDR, strlen(ADDR));
	p->nr = 0;
}

static void
packet_add(struct packet *p, const struct wire_frame *frame, const char *body)
{
	memcpy(wire_frame_encode(p->bytes + p->len, frame), body, frame->body_len);
	p->len += wire_frame_size(frame->body_len);
	p->nr++;
	wire_pkt_finish(p->bytes, p->nr, p->len, 0x99);
}

static const struct wire_frame request = {
    .type = WIRE_REQUEST,
    .body_len = 5,
    .id = 0x0102030405060708,
    .opc_status = 0x301,
    .map_ver = 7,
    .hlc = 0xfedcba9876543210,
    .left_ms = 60000,
};

static void
test_layout(void **state)
{
	/* Written out by hand from the description in wire.h: the format may not change by
	 * accident. */
	static const uint8_t expect[] = {
	    0x44, 0x52, 0x50, 0x43, 1,    15,   1,    0,    0x88, 0x77, 0x66, 0x55, 0x44, 0x33,
	    0x22, 0x11, 0x99, 0,    0,    0,    0,    0,    0,    0,    96,   0,    0,    0,
	    0,    0,    0,    0,    '1',  '2',  '7',  '.',  '0',  '.',  '0',  '.',  '1',  ':',
	    '3',  '1',  '4',  '1',  '6',  0,    1,    0,    0,    0,    5,    0,    0,    0,
	    8,    7,    6,    5,    4,    3,    2,    1,    0x01, 0x03, 0,    0,    7,    0,
	    0,    0,    0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe, 0x60, 0xea, 0,    0,
	    0,    0,    0,    0,    'h',  'e',  'l',  'l',  'o',  0,    0,    0};
	struct packet p;

	packet_begin(&p);
	packet_add(&p, &request, "hello");
	assert_int_equal(p.len, sizeof(expect));
	assert_memory_equal(p.bytes, expect, sizeof(expect));
}

static void
test_round(void **state)
{
	struct wire_frame reply = {.type = WIRE_REPLY, .id = 9, .opc_status = (uint32_t)-1005};
	struct wire_frame ping = {.type = WIRE_PING, .id = 3, .body_len = 16};
	struct wire_frame f;
	struct wire_pkt pkt;
	struct packet p;
	bool known;

	packet_begin(&p);
	packet_add(&p, &request, "hello");
	packet_add(&p, &reply, "");
	packet_add(&p, &ping, "\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0");
	assert_int_equal(wire_pkt_decode(p.bytes, p.len, &pkt), 0);
	assert_true(pkt.src_inc == 0x1122334455667788 && pkt.dst_inc == 0x99);
	assert_int_equal(pkt.addr_len, strlen(ADDR));
	assert_memory_equal(pkt.addr, ADDR, pkt.addr_len);

	assert_int_equal(wire_frame_next(&pkt, &f, &known), 1);
	assert_true(known && f.type == WIRE_REQUEST && f.id == request.id &&
		    f.opc_status == 0x301 && f.map_ver == 7 && f.hlc == request.hlc &&
		    f.left_ms == 60000 && f.body_len == 5);
	assert_memory_equal(f.body, "hello", 5);
	assert_int_equal(wire_frame_next(&pkt, &f, &known), 1);
	assert_true(!known && f.type == WIRE_REPLY && (int32_t)f.opc_status == -1005);
	assert_int_equal(wire_frame_next(&pkt, &f, &known), 1);
	assert_true(wire_frame_id_at(&f, 0) == 1 && wire_frame_id_at(&f, 1) == 2);
	assert_int_equal(wire_frame_next(&pkt, &f, &known), 0);
}

static void
test_age(void **state)
{
	struct wire_frame f;
	struct wire_pkt pkt;
	struct packet p;
	uint32_t off;
	bool known;

	packet_begin(&p);
	off = p.len;
	packet_add(&p, &request, "hello");
	assert_int_equal(wire_frame_age(p.bytes + off, 1000), wire_frame_size(5));
	assert_int_equal(wire_pkt_decode(p.bytes, p.len, &pkt), 0);
	assert_int_equal(wire_frame_next(&pkt, &f, &known), 1);
	assert_int_equal(f.left_ms, 59000);
	(void)wire_frame_age(p.bytes + off, 70000);
	assert_int_equal(wire_pkt_decode(p.bytes, p.len, &pkt), 0);
	assert_int_equal(wire_frame_next(&pkt, &f, &known), 1);
	assert_int_equal(f.left_ms, 1);
}

/* Every header byte that matters, set wrong. */
static void
test_bad_packets(void **state)
{
	static const struct {
		uint32_t off;
		uint8_t val;
	} bad[] = {
	    {0, 0},   {4, 0},  {4, 2},  {5, 0},    {5, 96}, {5, 14},    {5, 16},
	    {24, 97}, {25, 1}, {28, 1}, {32, ' '}, {32, 0}, {40, 0x7f}, {47, 1},
	};
	struct wire_pkt pkt;
	struct packet p, q;
	size_t i;

	packet_begin(&p);
	packet_add(&p, &request, "hello");
	assert_int_equal(wire_pkt_decode(p.bytes, p.len, &pkt), 0);
	for (i = 0; i < p.len; i++)
		assert_int_equal(wire_pkt_decode(p.bytes, i, &pkt), -DER_PROTO);
	assert_int_equal(wire_pkt_decode(p.bytes, p.len + 1, &pkt), -DER_PROTO);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		q = p;
		q.bytes[bad[i].off] = bad[i].val;
		assert_int_equal(wire_pkt_decode(q.bytes, q.len, &pkt), -DER_PROTO);
	}
	q = p; /* no frames */
	q.bytes[6] = 0;
	assert_int_equal(wire_pkt_decode(q.bytes, q.len, &pkt), -DER_PROTO);
	q = p; /* no incarnation */
	memset(q.bytes + 8, 0, 8);
	assert_int_equal(wire_pkt_decode(q.bytes, q.len, &pkt), -DER_PROTO);
}

static void
test_bad_frames(void **state)
{
	/* Offsets from the start of the frame. */
	static const struct {
		uint32_t off;
		uint8_t val;
		bool known; /* still known to be request 0x0102… */
	} bad[] = {
	    {0, 0, false},          {0, WIRE_TYPE_END, false},
	    {1, 1, true},           {2, 1, true},
	    {3, 1, true},           {4, 9, true},
	    {5, 1, true},           {7, 0xff, true},
	    {36, 1, true},          {45, 1, true},
	    {47, 1, true},          {0, WIRE_CANCEL, false},
	    {0, WIRE_RESET, false}, {0, WIRE_PING, false},
	    {0, WIRE_REPLY, false},
	};
	struct wire_frame f, empty = request;
	struct wire_pkt pkt;
	struct packet p, q;
	uint32_t off;
	size_t i;
	bool known;

	packet_begin(&p);
	off = p.len;
	packet_add(&p, &request, "hello");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		q = p;
		q.bytes[off + bad[i].off] = bad[i].val;
		assert_int_equal(wire_pkt_decode(q.bytes, q.len, &pkt), 0);
		assert_int_equal(wire_frame_next(&pkt, &f, &known), -DER_PROTO);
		assert_int_equal(known, bad[i].known);
		if (known)
			assert_true(f.id == request.id);
		assert_int_equal(wire_frame_next(&pkt, &f, &known), 0);
	}
	/* More frames announced than there are, and fewer. */
	q = p;
	q.bytes[6] = 2;
	assert_int_equal(wire_pkt_decode(q.bytes, q.len, &pkt), 0);
	assert_int_equal(wire_frame_next(&pkt, &f, &known), 1);
	assert_int_equal(wire_frame_next(&pkt, &f, &known), -DER_PROTO);
	packet_add(&p, &request, "hello");
	p.bytes[6] = 1;
	assert_int_equal(wire_pkt_decode(p.bytes, p.len, &pkt), 0);
	assert_int_equal(wire_frame_next(&pkt, &f, &known), 1);
	assert_int_equal(wire_frame_next(&pkt, &f, &known), -DER_PROTO);
	/* A request needs an id and time. */
	packet_begin(&p);
	empty.id = 0;
	packet_add(&p, &empty, "hello");
	assert_int_equal(wire_pkt_decode(p.bytes, p.len, &pkt), 0);
	assert_int_equal(wire_frame_next(&pkt, &f, &known), -DER_PROTO);
	assert_false(known);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_layout),     cmocka_unit_test(test_round),
	    cmocka_unit_test(test_age),        cmocka_unit_test(test_bad_packets),
	    cmocka_unit_test(test_bad_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
