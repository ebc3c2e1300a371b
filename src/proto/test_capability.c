/* Capabilities: round trip, every single-bit change refused, other key refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <daos_errno.h>

#include "proto/capability.h"

static void
make(struct capability *cap, uint8_t key[CAP_KEY_BYTES])
{
	memset(cap, 0, sizeof(*cap));
	for (int i = 0; i < 16; i++) {
		cap->pool[i] = (unsigned char)i;
		cap->cont[i] = (unsigned char)(0x40 + i);
		cap->handle[i] = (unsigned char)(0x80 + i);
	}
	cap->rights = CAP_READ | CAP_WRITE;
	cap->expires_ms = 0x1122334455667788ull;
	cap->generation = 7;
	cap->csum_type = 2;
	cap->csum_chunk = 32768;
	cap->csum_verify = true;
	for (int i = 0; i < CAP_KEY_BYTES; i++)
		key[i] = (uint8_t)(i * 7 + 1);
}

static void
test_round_trip(void **state)
{
	uint8_t key[CAP_KEY_BYTES], buf[CAP_BYTES], id[16];
	struct capability cap, got;

	make(&cap, key);
	assert_int_equal(cap_encode(&cap, key, buf), 0);
	assert_int_equal(cap_decode(buf, sizeof(buf), key, &got), 0);
	assert_memory_equal(cap.pool, got.pool, 16);
	assert_memory_equal(cap.cont, got.cont, 16);
	assert_memory_equal(cap.handle, got.handle, 16);
	assert_int_equal(cap.rights, got.rights);
	assert_int_equal(cap.expires_ms, got.expires_ms);
	assert_int_equal(cap.generation, got.generation);
	assert_int_equal(cap.csum_type, got.csum_type);
	assert_int_equal(cap.csum_chunk, got.csum_chunk);
	assert_true(got.csum_verify);
	cap_id(buf, id);
	assert_memory_equal(id, buf + CAP_BYTES - CAP_SIG_BYTES, 16);
}

static void
test_changes_are_refused(void **state)
{
	uint8_t key[CAP_KEY_BYTES], buf[CAP_BYTES];
	struct capability cap, got;

	make(&cap, key);
	assert_int_equal(cap_encode(&cap, key, buf), 0);
	for (int bit = 0; bit < CAP_BYTES * 8; bit++) {
		buf[bit / 8] ^= (uint8_t)(1 << (bit % 8));
		assert_int_equal(cap_decode(buf, sizeof(buf), key, &got),
				 bit < 8 ? -DER_INVAL : -DER_NO_PERM);
		buf[bit / 8] ^= (uint8_t)(1 << (bit % 8));
	}
	for (size_t len = 0; len < CAP_BYTES; len++)
		assert_int_equal(cap_decode(buf, len, key, &got), -DER_INVAL);
	key[31] ^= 1;
	assert_int_equal(cap_decode(buf, sizeof(buf), key, &got), -DER_NO_PERM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_changes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
