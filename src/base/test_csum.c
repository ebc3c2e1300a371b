/* Checksums against published vectors, in pieces and over segments; the grid of chunks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>
#include <daos_prop.h>

#include "base/csum.h"
#include "base/iov.h"

enum {
	CRC16 = DAOS_PROP_CO_CSUM_CRC16,
	CRC32 = DAOS_PROP_CO_CSUM_CRC32,
	CRC64 = DAOS_PROP_CO_CSUM_CRC64,
	SHA1 = DAOS_PROP_CO_CSUM_SHA1,
	SHA256 = DAOS_PROP_CO_CSUM_SHA256,
	SHA512 = DAOS_PROP_CO_CSUM_SHA512,
	ADLER32 = DAOS_PROP_CO_CSUM_ADLER32,
};

#define LONG_MSG "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
#define LONGER_MSG                                                                                 \
	"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"                                 \
	"hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"

/*
 * CRCs: the check values of the catalogue of parametrised CRC algorithms ("123456789"), the iSCSI
 * examples of RFC 3720 B.4 (zeros, ones, ascending). Digests: the examples of FIPS 180. Numbers
 * as stored: least significant byte first.
 */
static const struct vec {
	uint32_t type;
	const char *text; /* NULL: 32 bytes of `fill`, or ascending when fill is -1 */
	int fill;
	const char *hex;
} vecs[] = {
    {CRC16, "123456789", 0, "dbd0"},
    {CRC16, "", 0, "0000"},
    {CRC32, "123456789", 0, "839206e3"},
    {CRC32, "", 0, "00000000"},
    {CRC32, NULL, 0, "aa36918a"},
    {CRC32, NULL, 0xff, "43aba862"},
    {CRC32, NULL, -1, "4e79dd46"},
    {CRC64, "123456789", 0, "fa3919dfbbc95d99"},
    {ADLER32, "Wikipedia", 0, "9803e611"},
    {ADLER32, "", 0, "01000000"},
    {SHA1, "abc", 0, "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {SHA1, "", 0, "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
    {SHA1, LONG_MSG, 0, "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
    {SHA256, "abc", 0, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {SHA256, LONG_MSG, 0, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {SHA512, "abc", 0,
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
     "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
    {SHA512, LONGER_MSG, 0,
     "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018"
     "501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909"},
};

static size_t
vec_data(const struct vec *v, uint8_t *buf)
{
	size_t i;

	if (v->text != NULL) {
		memcpy(buf, v->text, strlen(v->text));
		return strlen(v->text);
	}
	for (i = 0; i < 32; i++)
		buf[i] = v->fill == -1 ? i : (size_t)v->fill;
	return 32;
}

static void
to_hex(const uint8_t *sum, uint32_t len, char *hex)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		sprintf(hex + 2 * i, "%02x", sum[i]);
}

static void
test_vectors(void **state)
{
	char hex[2 * CSUM_LEN_MAX + 1];
	uint8_t buf[256], sum[CSUM_LEN_MAX];
	size_t i, len, cut;

	for (i = 0; i < sizeof(vecs) / sizeof(vecs[0]); i++) {
		struct csum c;

		assert_int_equal(csum_init(&c, vecs[i].type), 0);
		assert_int_equal(c.len, strlen(vecs[i].hex) / 2);
		len = vec_data(&vecs[i], buf);
		for (cut = 0; cut <= len; cut++) {
			csum_begin(&c);
			csum_update(&c, buf, cut);
			csum_update(&c, buf + cut, len - cut);
			csum_end(&c, sum);
			to_hex(sum, c.len, hex);
			assert_string_equal(hex, vecs[i].hex);
		}
		csum_buf(&c, buf, len, sum);
		to_hex(sum, c.len, hex);
		assert_string_equal(hex, vecs[i].hex);
		csum_fini(&c);
	}
}

/* A computation given up half way leaves nothing behind. */
static void
test_again(void **state)
{
	uint32_t type;

	for (type = CRC16; type <= ADLER32; type++) {
		uint8_t a[CSUM_LEN_MAX], b[CSUM_LEN_MAX];
		struct csum c;

		assert_int_equal(csum_init(&c, type), 0);
		csum_buf(&c, "hello", 5, a);
		csum_begin(&c);
		csum_update(&c, "rubbish", 7);
		csum_buf(&c, "hello", 5, b);
		assert_memory_equal(a, b, c.len);
		csum_fini(&c);
	}
}

static void
test_iov(void **state)
{
	uint8_t buf[1000], whole[CSUM_LEN_MAX], sum[CSUM_LEN_MAX];
	struct iovec iov[] = {{buf, 1}, {buf + 1, 0}, {buf + 1, 599}, {buf + 600, 400}};
	uint32_t type, i;

	for (i = 0; i < sizeof(buf); i++)
		buf[i] = i * 7 + i / 256;
	for (type = CRC16; type <= ADLER32; type++) {
		struct iov_iter it;
		struct csum c;

		assert_int_equal(csum_init(&c, type), 0);
		iov_iter_init(&it, iov, 4);
		csum_iov(&c, &it, 300, sum);
		csum_buf(&c, buf, 300, whole);
		assert_memory_equal(sum, whole, c.len);
		csum_iov(&c, &it, 700, sum);
		csum_buf(&c, buf + 300, 700, whole);
		assert_memory_equal(sum, whole, c.len);
		csum_fini(&c);
	}
}

/* Each single flipped bit changes every checksum. */
static void
test_flips(void **state)
{
	uint8_t buf[512], good[CSUM_LEN_MAX], sum[CSUM_LEN_MAX];
	uint32_t type, bit;

	memset(buf, 0x5a, sizeof(buf));
	for (type = CRC16; type <= ADLER32; type++) {
		struct csum c;

		assert_int_equal(csum_init(&c, type), 0);
		csum_buf(&c, buf, sizeof(buf), good);
		for (bit = 0; bit < sizeof(buf) * 8; bit++) {
			buf[bit / 8] ^= 1 << bit % 8;
			csum_buf(&c, buf, sizeof(buf), sum);
			assert_memory_not_equal(sum, good, c.len);
			buf[bit / 8] ^= 1 << bit % 8;
		}
		csum_fini(&c);
	}
}

static void
test_types(void **state)
{
	struct csum c;

	assert_int_equal(csum_len(DAOS_PROP_CO_CSUM_OFF), 0);
	assert_int_equal(csum_len(ADLER32 + 1), 0);
	assert_string_equal(csum_name(CRC64), "crc64");
	assert_string_equal(csum_name(99), "?");
	assert_int_equal(csum_init(&c, ADLER32 + 1), -DER_INVAL);
	assert_int_equal(csum_init(&c, DAOS_PROP_CO_CSUM_OFF), 0);
	csum_fini(&c);
}

static void
test_grid(void **state)
{
	assert_int_equal(csum_chunk_recs(32768, 1), 32768);
	assert_int_equal(csum_chunk_recs(32768, 3), 10922);
	assert_int_equal(csum_chunk_recs(32768, 40000), 1);
	assert_int_equal(csum_chunk_recs(0, 8), 1);
	assert_int_equal(csum_chunk_nr(0, 0, 8), 0);
	assert_int_equal(csum_chunk_nr(0, 8, 8), 1);
	assert_int_equal(csum_chunk_nr(7, 2, 8), 2);
	assert_int_equal(csum_chunk_nr(8, 9, 8), 2);
	assert_int_equal(csum_chunk_nr(UINT64_MAX - 8, 8, 8), 2);
	assert_int_equal(csum_chunk_end(0, 8), 8);
	assert_int_equal(csum_chunk_end(15, 8), 16);
	assert_true(csum_chunk_end(UINT64_MAX - 1, 8) == UINT64_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors), cmocka_unit_test(test_again),
	    cmocka_unit_test(test_iov),     cmocka_unit_test(test_flips),
	    cmocka_unit_test(test_types),   cmocka_unit_test(test_grid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
