/* Messages about changes under way: what goes in comes out, what is malformed is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <daos_errno.h>

#include "proto/dtx_proto.h"

static struct dtx_ref refs[DTX_REFS_MAX], refs2[DTX_REFS_MAX];

static void
test_resolve(void **state)
{
	struct dtx_resolve m = {.verb = DTX_COMMIT, .nr = DTX_REFS_MAX, .refs = refs}, back;
	struct codec_wr w;

	memset(m.pool, 1, sizeof(m.pool));
	memset(m.cont, 2, sizeof(m.cont));
	for (uint32_t i = 0; i < m.nr; i++)
		refs[i] = (struct dtx_ref){.client = {i, ~(uint64_t)i},
					   .seq = 1ull << i % 64,
					   .map_ver = i,
					   .epoch = i * 77};
	codec_wr_init(&w, 0);
	dtx_resolve_encode(&w, &m);
	assert_int_equal(codec_wr_err(&w), 0);
	assert_int_equal(dtx_resolve_decode(w.base, w.len, refs2, &back), 0);
	assert_int_equal(back.verb, DTX_COMMIT);
	assert_int_equal(back.nr, m.nr);
	assert_memory_equal(back.pool, m.pool, 16);
	assert_memory_equal(back.cont, m.cont, 16);
	assert_memory_equal(refs, refs2, sizeof(refs));
	for (size_t cut = 0; cut < w.len; cut += cut < 100 ? 1 : 97)
		assert_int_equal(dtx_resolve_decode(w.base, cut, refs2, &back), -DER_PROTO);
	w.base[32] = DTX_VERB_END;
	assert_int_equal(dtx_resolve_decode(w.base, w.len, refs2, &back), -DER_PROTO);
	codec_wr_fini(&w);
}

static void
test_too_many(void **state)
{
	struct dtx_resolve m = {.verb = DTX_ASK, .nr = 1, .refs = refs}, back;
	uint8_t buf[64 * 1024] = {0};
	struct codec_wr w;

	codec_wr_init_fixed(&w, buf, sizeof(buf));
	dtx_resolve_encode(&w, &m);
	buf[33] = 0x81; /* 1025 */
	buf[34] = 0x08;
	assert_int_equal(dtx_resolve_decode(buf, sizeof(buf), refs2, &back), -DER_PROTO);
}

static void
test_reply(void **state)
{
	uint8_t states[] = {DTX_ST_UNKNOWN, DTX_ST_ACTIVE, DTX_ST_COMMITTED}, back[DTX_REFS_MAX];
	struct dtx_resolve_rep m = {.nr = 3, .states = states}, got;
	struct codec_wr w;

	codec_wr_init(&w, 0);
	dtx_resolve_rep_encode(&w, &m);
	assert_int_equal(dtx_resolve_rep_decode(w.base, w.len, back, &got), 0);
	assert_int_equal(got.nr, 3);
	assert_memory_equal(back, states, 3);
	w.base[2] = DTX_ST_END;
	assert_int_equal(dtx_resolve_rep_decode(w.base, w.len, back, &got), -DER_PROTO);
	codec_wr_fini(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_resolve),
	    cmocka_unit_test(test_too_many),
	    cmocka_unit_test(test_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
