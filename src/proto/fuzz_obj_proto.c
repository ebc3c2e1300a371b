/*
 * Fuzz target of the codecs of object I/O. The first byte chooses the decoder, the rest is the
 * message. Whatever decodes is encoded again and must then be a fixed point: decoding and encoding
 * it once more gives the same bytes.
 *
 * Built two ways: as a libFuzzer program (option fuzz), and with FUZZ_CORPUS_MAIN as an ordinary
 * test that runs every file of the directories given, each also cut short at every length and with
 * every byte disturbed.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/dtx_proto.h"
#include "proto/obj_proto.h"

enum {
	MSG_RW,
	MSG_RW_REP,
	MSG_PUNCH,
	MSG_LIST,
	MSG_QUERY,
	MSG_QUERY_REP,
	MSG_LIST_REP,
	MSG_PUNCH_REP = MSG_LIST_REP + 5,
	MSG_ENTER,
	MSG_ENTER_REP,
	MSG_DTX,
	MSG_DTX_REP,
	MSG_NR,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Decode and, when that works, encode into w. */
static int
recode(unsigned int msg, const uint8_t *buf, size_t len, struct codec_wr *w)
{
	struct obj_scratch s;
	int rc;

	obj_scratch_init(&s);
	codec_wr_init(w, 0);
	switch (msg) {
	case MSG_RW: {
		struct obj_rw m;

		rc = obj_rw_decode(buf, len, &s, &m);
		if (rc == 0)
			obj_rw_encode(w, &m);
		break;
	}
	case MSG_RW_REP: {
		struct obj_rw_rep m;

		rc = obj_rw_rep_decode(buf, len, &s, &m);
		if (rc == 0)
			obj_rw_rep_encode(w, &m);
		break;
	}
	case MSG_PUNCH: {
		struct obj_punch m;

		rc = obj_punch_decode(buf, len, &s, &m);
		if (rc == 0)
			obj_punch_encode(w, &m);
		break;
	}
	case MSG_LIST: {
		struct obj_list m;

		rc = obj_list_decode(buf, len, &s, &m);
		if (rc == 0)
			obj_list_encode(w, &m);
		break;
	}
	case MSG_QUERY: {
		struct obj_query m;

		rc = obj_query_decode(buf, len, &s, &m);
		if (rc == 0)
			obj_query_encode(w, &m);
		break;
	}
	case MSG_QUERY_REP: {
		struct obj_query_rep m;

		rc = obj_query_rep_decode(buf, len, &m);
		if (rc == 0)
			obj_query_rep_encode(w, &m);
		break;
	}
	case MSG_PUNCH_REP: {
		struct obj_punch_rep m;

		rc = obj_punch_rep_decode(buf, len, &m);
		if (rc == 0)
			obj_punch_rep_encode(w, &m);
		break;
	}
	case MSG_ENTER: {
		struct obj_enter m;

		rc = obj_enter_decode(buf, len, &m);
		if (rc == 0)
			obj_enter_encode(w, &m);
		break;
	}
	case MSG_ENTER_REP: {
		struct obj_enter_rep m;

		rc = obj_enter_rep_decode(buf, len, &m);
		if (rc == 0)
			obj_enter_rep_encode(w, &m);
		break;
	}
	case MSG_DTX: {
		struct dtx_ref *refs = calloc(DTX_REFS_MAX, sizeof(*refs));
		struct dtx_resolve m;

		rc = refs == NULL ? -DER_NOMEM : dtx_resolve_decode(buf, len, refs, &m);
		if (rc == 0)
			dtx_resolve_encode(w, &m);
		free(refs);
		break;
	}
	case MSG_DTX_REP: {
		uint8_t states[DTX_REFS_MAX];
		struct dtx_resolve_rep m;

		rc = dtx_resolve_rep_decode(buf, len, states, &m);
		if (rc == 0)
			dtx_resolve_rep_encode(w, &m);
		break;
	}
	default: {
		uint8_t kind = (uint8_t)(msg - MSG_LIST_REP);
		struct obj_list_rep m;

		rc = obj_list_rep_decode(buf, len, kind, &s, &m);
		if (rc == 0)
			obj_list_rep_encode(w, kind, &m);
		break;
	}
	}
	obj_scratch_fini(&s);
	return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct codec_wr one, two;
	unsigned int msg;
	uint8_t *copy;
	int rc;

	if (size == 0)
		return 0;
	msg = data[0] % MSG_NR;
	/* An allocation of exactly the length, so that a sanitizer sees every step outside. */
	copy = malloc(size - 1);
	if (copy == NULL && size > 1)
		return 0;
	if (size > 1)
		memcpy(copy, data + 1, size - 1);
	rc = recode(msg, copy, size - 1, &one);
	if (rc == 0) {
		if (recode(msg, one.base, one.len, &two) != 0 || one.len != two.len ||
		    memcmp(one.base, two.base, one.len) != 0) {
			fprintf(stderr, "message %u: not a fixed point\n", msg);
			abort();
		}
		codec_wr_fini(&two);
	}
	codec_wr_fini(&one);
	free(copy);
	return 0;
}

#ifdef FUZZ_CORPUS_MAIN

enum { FILE_MAX = 1 << 16 };

static void
run_disturbed(uint8_t *buf, size_t len)
{
	LLVMFuzzerTestOneInput(buf, len);
	for (size_t cut = 0; cut < len; cut++)
		LLVMFuzzerTestOneInput(buf, cut);
	for (size_t i = 1; i < len; i++) {
		static const uint8_t masks[] = {0x01, 0x80, 0xff, 0x7f, 0x10};
		uint8_t was = buf[i];

		for (size_t m = 0; m < sizeof(masks); m++) {
			buf[i] = was ^ masks[m];
			LLVMFuzzerTestOneInput(buf, len);
		}
		buf[i] = was;
	}
}

static int
run_dir(const char *path)
{
	static uint8_t buf[FILE_MAX];
	DIR *dir = opendir(path);
	struct dirent *de;
	int nr = 0;

	if (dir == NULL)
		return 0;
	while ((de = readdir(dir)) != NULL) {
		char name[4096];
		size_t len;
		FILE *f;

		if (de->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, de->d_name);
		f = fopen(name, "rb");
		if (f == NULL)
			continue;
		len = fread(buf, 1, sizeof(buf), f);
		fclose(f);
		run_disturbed(buf, len);
		nr++;
	}
	closedir(dir);
	return nr;
}

int
main(int argc, char **argv)
{
	int nr = 0;

	for (int i = 1; i < argc; i++)
		nr += run_dir(argv[i]);
	printf("%d corpus files\n", nr);
	return nr > 0 ? 0 : 1;
}

#endif
