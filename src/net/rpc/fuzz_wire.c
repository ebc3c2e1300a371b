/*
 * Fuzz target of what arrives from the network: packets and frames (wire.c), and bulk descriptions
 * (rpc_bulk.c). The first byte chooses which. A packet that decodes is encoded again from what was
 * understood and must come out byte for byte.
 *
 * Built two ways: as a libFuzzer program (option fuzz), and with FUZZ_CORPUS_MAIN as an ordinary
 * test that runs every file of the directory given, each also cut short at every length and with
 * every byte disturbed.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/fabric/fabric.h"
#include "net/rpc/rpc.h"
#include "net/rpc/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

#ifdef FUZZ_CORPUS_MAIN
/* A copy of exactly that size, so that a sanitizer sees the first byte read beyond it. */
static void
run_copy(const uint8_t *data, size_t size, size_t disturb, uint8_t with)
{
	uint8_t *copy = malloc(size != 0 ? size : 1);

	memcpy(copy, data, size);
	if (disturb < size)
		copy[disturb] ^= with;
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static int
run_file(const char *path)
{
	static const uint8_t with[] = {0x01, 0x80, 0xff};
	static uint8_t data[65536];
	FILE *f = fopen(path, "rb");
	size_t size, i, j;

	if (f == NULL)
		return -1;
	size = fread(data, 1, sizeof(data), f);
	fclose(f);
	run_copy(data, size, SIZE_MAX, 0);
	for (i = 0; i < size; i++) {
		run_copy(data, i, SIZE_MAX, 0);
		for (j = 0; j < sizeof(with); j++)
			run_copy(data, size, i, with[j]);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	char path[4096];
	struct dirent *d;
	int nr = 0, i;
	DIR *dir;

	for (i = 1; i < argc; i++) {
		dir = opendir(argv[i]);
		if (dir == NULL)
			return 1;
		while ((d = readdir(dir)) != NULL) {
			if (d->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "%s/%s", argv[i], d->d_name);
			if (run_file(path) != 0)
				return 1;
			nr++;
		}
		closedir(dir);
	}
	printf("%d files\n", nr);
	return nr > 0 ? 0 : 1;
}
#endif
