/*
 * Fuzz target of what arrives from the network: packets and frames (wire.c), and bulk descriptions
 * (rpc_bulk.c). The first byte chooses which. A packet that decodes is encoded again from what was
 * understood and must come out byte for byte.
 *
 * Built two ways: as a libFuzzer program (option fuzz), and with FUZZ_CORPUS_MAIN as an ordinary
 * test that runs every file of the directory given, each also cut short at every length and with
 * every byte disturbed.
 */
#include <stdlib.h>
#include <string.h>

#include "net/fabric/fabric.h"
#include "net/fuzz_corpus.h"
#include "net/rpc/rpc.h"
#include "net/rpc/wire.h"

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
fuzz_packet(const uint8_t *data, size_t size)
{
	static uint8_t again[FAB_MSG_MAX];
	struct wire_frame frame;
	struct wire_pkt pkt;
	uint32_t nr = 0, i;
	uint64_t sum = 0;
	uint32_t len;
	bool known;
	int rc;

	if (size > FAB_MSG_MAX || wire_pkt_decode(data, size, &pkt) != 0)
		return;
	len = wire_pkt_encode(again, pkt.src_inc, pkt.dst_inc, pkt.addr, pkt.addr_len);
	must(len <= size);
	while ((rc = wire_frame_next(&pkt, &frame, &known)) > 0) {
		must(known == (frame.type == WIRE_REQUEST));
		if (frame.type == WIRE_PING || frame.type == WIRE_PONG)
			for (i = 0; i < frame.body_len / 8; i++)
				sum += wire_frame_id_at(&frame, i);
		must(wire_frame_size(frame.body_len) <= size - len);
		memcpy(wire_frame_encode(again + len, &frame), frame.body, frame.body_len);
		len += wire_frame_size(frame.body_len);
		nr++;
	}
	if (rc != 0)
		return;
	must(nr > 0 && len == size);
	wire_pkt_finish(again, nr, len, pkt.dst_inc);
	must(memcmp(again, data, size) == 0);
	/* The time left may be changed in place and nothing else breaks. */
	for (i = wire_pkt_size(pkt.addr_len); i < len;)
		i += wire_frame_age(again + i, (uint32_t)sum);
	must(i == len && wire_pkt_decode(again, len, &pkt) == 0);
	while ((rc = wire_frame_next(&pkt, &frame, &known)) > 0)
		;
	must(rc == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rpc_bulk_desc desc;

	if (size == 0)
		return 0;
	if (data[0] == 0) {
		fuzz_packet(data + 1, size - 1);
	} else {
		desc = (struct rpc_bulk_desc){.bytes = data + 1, .len = (uint32_t)size - 1};
		(void)rpc_bulk_desc_size(&desc);
	}
	return 0;
}
