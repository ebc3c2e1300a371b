/* Encoding and decoding: round trips, bounds, malformed input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/codec.h"

static const uint8_t uuid[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static void
write_all(struct codec_wr *wr)
{
	codec_wr_u8(wr, 0xfe);
	codec_wr_u16(wr, 0xbeef);
	codec_wr_u32(wr, 0xdeadbeef);
	codec_wr_u64(wr, 0x0123456789abcdefull);
	codec_wr_i32(wr, -2);
	codec_wr_i64(wr, INT64_MIN);
	codec_wr_bool(wr, true);
	codec_wr_bool(wr, false);
	codec_wr_varint(wr, 0);
	codec_wr_varint(wr, 127);
	codec_wr_varint(wr, 128);
	codec_wr_varint(wr, UINT64_MAX);
	codec_wr_str(wr, "hello");
	codec_wr_str(wr, "");
	codec_wr_blob(wr, "\0\1\2", 3);
	codec_wr_uuid(wr, uuid);
	codec_wr_bytes(wr, NULL, 0);
}

/* Whether everything came out as written; checks the values only if no error happened. */
static int
read_all(const void *buf, size_t len)
{
	struct codec_rd rd;
	uint64_t v[12];
	uint8_t id[16];
	const uint8_t *blob;
	char s1[6];
	char s2[1];
	size_t n;
	int rc;

	codec_rd_init(&rd, buf, len);
	v[0] = codec_rd_u8(&rd);
	v[1] = codec_rd_u16(&rd);
	v[2] = codec_rd_u32(&rd);
	v[3] = codec_rd_u64(&rd);
	v[4] = (uint64_t)(int64_t)codec_rd_i32(&rd);
	v[5] = (uint64_t)codec_rd_i64(&rd);
	v[6] = codec_rd_bool(&rd);
	v[7] = codec_rd_bool(&rd);
	v[8] = codec_rd_varint(&rd);
	v[9] = codec_rd_varint_max(&rd, 127);
	v[10] = codec_rd_varint(&rd);
	v[11] = codec_rd_varint(&rd);
	codec_rd_str(&rd, s1, sizeof(s1));
	codec_rd_str(&rd, s2, sizeof(s2));
	blob = codec_rd_blob(&rd, 3, &n);
	codec_rd_uuid(&rd, id);
	rc = codec_rd_end(&rd);
	if (rc != 0)
		return rc;
	assert_true(v[0] == 0xfe && v[1] == 0xbeef && v[2] == 0xdeadbeef);
	assert_true(v[3] == 0x0123456789abcdefull && (int64_t)v[4] == -2);
	assert_true((int64_t)v[5] == INT64_MIN && v[6] == 1 && v[7] == 0);
	assert_true(v[8] == 0 && v[9] == 127 && v[10] == 128 && v[11] == UINT64_MAX);
	assert_string_equal(s1, "hello");
	assert_string_equal(s2, "");
	assert_int_equal(n, 3);
	assert_memory_equal(blob, "\0\1\2", 3);
	assert_memory_equal(id, uuid, 16);
	return 0;
}

static void
test_round_trip(void **state)
{
	struct codec_wr wr;
	uint8_t *buf;
	size_t len;
	size_t i;

	codec_wr_init(&wr, 0);
	write_all(&wr);
	assert_int_equal(codec_wr_err(&wr), 0);
	/* little-endian on every machine */
	assert_memory_equal(wr.base, "\xfe\xef\xbe\xef\xbe\xad\xde\xef\xcd", 9);
	buf = codec_wr_take(&wr, &len);
	assert_non_null(buf);
	assert_int_equal(read_all(buf, len), 0);
	/* cut off anywhere, or with a byte too many, it is malformed and nothing is read outside
	 * (each cut is a block of its own, so that AddressSanitizer sees a step too far) */
	for (i = 0; i < len; i++) {
		uint8_t *cut = malloc(i + 1);

		memcpy(cut, buf, i);
		assert_int_equal(read_all(cut, i), -DER_PROTO);
		free(cut);
	}
	buf = realloc(buf, len + 1);
	buf[len] = 0;
	assert_int_equal(read_all(buf, len + 1), -DER_PROTO);
	free(buf);
}

static void
test_fixed(void **state)
{
	struct codec_wr wr;
	uint8_t buf[200];
	size_t need;
	size_t size;
	size_t n;

	codec_wr_init_fixed(&wr, buf, sizeof(buf));
	write_all(&wr);
	assert_int_equal(codec_wr_err(&wr), 0);
	need = wr.len;
	for (size = 0; size < need; size++) {
		memset(buf, 0x55, sizeof(buf));
		codec_wr_init_fixed(&wr, buf, size);
		write_all(&wr);
		assert_int_equal(codec_wr_err(&wr), -DER_OVERFLOW);
		assert_int_equal(buf[size], 0x55);
		assert_null(codec_wr_ref(&wr, 0));
		assert_null(codec_wr_take(&wr, &n));
		codec_wr_fini(&wr);
	}
}

static void
test_grow_bound(void **state)
{
	struct codec_wr wr;
	uint32_t i;

	codec_wr_init(&wr, 1000);
	for (i = 0; i < 250; i++)
		codec_wr_u32(&wr, i);
	assert_int_equal(codec_wr_err(&wr), 0);
	codec_wr_patch_u32(&wr, 4, 77);
	assert_int_equal(wr.base[4], 77);
	codec_wr_u8(&wr, 0);
	assert_int_equal(codec_wr_err(&wr), -DER_OVERFLOW);
	codec_wr_fini(&wr);
	codec_wr_fini(&wr);

	codec_wr_init(&wr, 0);
	codec_wr_u32(&wr, 1);
	codec_wr_patch_u32(&wr, 1, 7);
	assert_int_equal(codec_wr_err(&wr), -DER_OVERFLOW);
	codec_wr_fini(&wr);
}

static int
decode_varint(const char *bytes, size_t len, uint64_t *ret)
{
	struct codec_rd rd;

	codec_rd_init(&rd, bytes, len);
	*ret = codec_rd_varint(&rd);
	return codec_rd_end(&rd);
}

static void
test_varint(void **state)
{
	uint64_t v;
	int shift;

	for (shift = 0; shift < 64; shift++) {
		uint64_t values[3] = {(1ull << shift) - 1, 1ull << shift, (1ull << shift) + 1};
		int i;

		for (i = 0; i < 3; i++) {
			struct codec_wr wr;

			codec_wr_init(&wr, 0);
			codec_wr_varint(&wr, values[i]);
			assert_int_equal(decode_varint((char *)wr.base, wr.len, &v), 0);
			assert_true(v == values[i]);
			codec_wr_fini(&wr);
		}
	}
	assert_int_equal(decode_varint("\x80\x00", 2, &v), -DER_PROTO); /* longer than needed */
	assert_int_equal(decode_varint("\x80", 1, &v), -DER_PROTO);
	assert_int_equal(decode_varint("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(decode_varint("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, &v),
			 -DER_PROTO);
	assert_int_equal(decode_varint("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x01", 11, &v),
			 -DER_PROTO);
}

static void
test_malformed(void **state)
{
	struct codec_rd rd;
	char s[4];
	size_t n;

	codec_rd_init(&rd, "\x02", 1);
	assert_false(codec_rd_bool(&rd));
	assert_int_equal(rd.err, -DER_PROTO);
	/* errors stick */
	assert_int_equal(codec_rd_u32(&rd), 0);
	assert_int_equal(codec_rd_left(&rd), 0);
	assert_int_equal(codec_rd_end(&rd), -DER_PROTO);

	codec_rd_init(&rd, "\x03xyz", 4);
	codec_rd_str(&rd, s, 4);
	assert_string_equal(s, "xyz");
	assert_int_equal(codec_rd_end(&rd), 0);
	codec_rd_init(&rd, "\x04wxyz", 5); /* does not fit */
	codec_rd_str(&rd, s, 4);
	assert_string_equal(s, "");
	assert_int_equal(codec_rd_end(&rd), -DER_PROTO);
	codec_rd_init(&rd, "\x03x\0z", 4); /* a zero inside */
	codec_rd_str(&rd, s, 4);
	assert_int_equal(codec_rd_end(&rd), -DER_PROTO);

	codec_rd_init(&rd, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10); /* a huge length */
	assert_null(codec_rd_blob(&rd, SIZE_MAX, &n));
	assert_int_equal(n, 0);
	assert_int_equal(codec_rd_end(&rd), -DER_PROTO);
	codec_rd_init(&rd, "\x03xyz", 4);
	assert_null(codec_rd_blob(&rd, 2, &n));
	assert_int_equal(codec_rd_end(&rd), -DER_PROTO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip), cmocka_unit_test(test_fixed),
	    cmocka_unit_test(test_grow_bound), cmocka_unit_test(test_varint),
	    cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
