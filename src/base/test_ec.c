/* The erasure code: every pattern of losses that it promises to survive, for every class. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <daos_errno.h>

#include "base/ec.h"
#include "base/hash.h"

static const struct {
	unsigned int k, p;
} shapes[] = {{2, 1}, {2, 2}, {4, 1},  {4, 2},  {4, 3}, {8, 1},
	      {8, 2}, {8, 3}, {16, 1}, {16, 2}, {16, 3}};
enum { SHAPE_NR = sizeof(shapes) / sizeof(shapes[0]), LEN = 199 };

struct stripe {
	uint8_t cell[EC_CELL_MAX][LEN];
	uint8_t *ptr[EC_CELL_MAX];
};

static void
stripe_fill(struct stripe *s, unsigned int k, uint64_t seed)
{
	for (unsigned int i = 0; i < EC_CELL_MAX; i++) {
		s->ptr[i] = s->cell[i];
		for (unsigned int b = 0; b < LEN; b++)
			s->cell[i][b] = i < k ? (uint8_t)hash_u64(seed + i * 1000 + b) : 0xee;
	}
}

static void
encode(const struct ec_code *code, struct stripe *s, unsigned int k)
{
	ec_encode(code, LEN, (const uint8_t *const *)s->ptr, s->ptr + k);
}

/* All sets of at most p lost cells; what survives beyond k must not matter. */
static void
test_every_loss(void **state)
{
	static struct stripe whole, broken;

	for (int s = 0; s < SHAPE_NR; s++) {
		unsigned int k = shapes[s].k, p = shapes[s].p;
		uint32_t all = (1u << (k + p)) - 1;
		struct ec_code *code;

		assert_int_equal(ec_code_create(k, p, &code), 0);
		stripe_fill(&whole, k, s);
		encode(code, &whole, k);
		for (uint32_t lost = 1; lost <= all; lost++) {
			if ((unsigned int)__builtin_popcount(lost) > p)
				continue;
			stripe_fill(&broken, 0, 1);
			for (unsigned int i = 0; i < k + p; i++) {
				if (!(lost & 1u << i))
					memcpy(broken.cell[i], whole.cell[i], LEN);
			}
			assert_int_equal(ec_recover(code, LEN, all & ~lost, lost, broken.ptr), 0);
			for (unsigned int i = 0; i < k + p; i++)
				assert_memory_equal(broken.cell[i], whole.cell[i], LEN);
		}
		ec_code_destroy(code);
	}
}

/* One byte of one cell changed by a delta is what encoding from the start would give. */
static void
test_update(void **state)
{
	static struct stripe a, b;

	for (int s = 0; s < SHAPE_NR; s++) {
		unsigned int k = shapes[s].k, p = shapes[s].p;
		struct ec_code *code;

		assert_int_equal(ec_code_create(k, p, &code), 0);
		for (unsigned int i = 0; i < k; i++) {
			uint8_t delta[LEN];

			stripe_fill(&a, k, s);
			encode(code, &a, k);
			b = a;
			stripe_fill(&b, k, s);
			for (unsigned int n = 0; n < LEN; n++) {
				delta[n] = (uint8_t)hash_u64(n + i);
				b.cell[i][n] ^= delta[n];
			}
			encode(code, &b, k);
			ec_update(code, LEN, i, delta, a.ptr + k);
			for (unsigned int r = 0; r < p; r++)
				assert_memory_equal(a.cell[k + r], b.cell[k + r], LEN);
		}
		ec_code_destroy(code);
	}
}

/* A cell that is not there counts as zeros. */
static void
test_holes(void **state)
{
	static struct stripe a, b;
	const uint8_t *data[4];
	struct ec_code *code;

	assert_int_equal(ec_code_create(4, 2, &code), 0);
	for (uint32_t holes = 1; holes < 16; holes++) {
		stripe_fill(&a, 4, holes);
		stripe_fill(&b, 4, holes);
		for (unsigned int i = 0; i < 4; i++) {
			data[i] = holes & 1u << i ? NULL : b.cell[i];
			if (holes & 1u << i)
				memset(a.cell[i], 0, LEN);
		}
		encode(code, &a, 4);
		ec_encode(code, LEN, data, b.ptr + 4);
		assert_memory_equal(a.cell[4], b.cell[4], LEN);
		assert_memory_equal(a.cell[5], b.cell[5], LEN);
	}
	ec_code_destroy(code);
}

/* What was computed is stored: the bytes stay what they are. */
static void
test_fixed(void **state)
{
	static struct stripe s;
	uint64_t sum = 0;

	for (int i = 0; i < SHAPE_NR; i++) {
		struct ec_code *code;

		assert_int_equal(ec_code_create(shapes[i].k, shapes[i].p, &code), 0);
		stripe_fill(&s, shapes[i].k, 7);
		encode(code, &s, shapes[i].k);
		for (unsigned int r = 0; r < shapes[i].p; r++)
			sum = hash_combine(sum, hash_bytes(s.cell[shapes[i].k + r], LEN, 0));
		ec_code_destroy(code);
	}
	assert_true(sum == 0xb04ac28175bf64d7ull);
}

static void
test_refusals(void **state)
{
	static struct stripe s;
	struct ec_code *code;

	assert_int_equal(ec_code_create(0, 1, &code), -DER_INVAL);
	assert_int_equal(ec_code_create(1, 0, &code), -DER_INVAL);
	assert_int_equal(ec_code_create(EC_DATA_MAX + 1, 3, &code), -DER_INVAL);
	assert_int_equal(ec_code_create(4, 2, &code), 0);
	stripe_fill(&s, 4, 0);
	assert_int_equal(ec_recover(code, LEN, 0x7, 0x8, s.ptr), -DER_DATA_LOSS);
	assert_int_equal(ec_recover(code, LEN, 0xf, 0x8, s.ptr), -DER_INVAL);
	assert_int_equal(ec_recover(code, LEN, 0xf, 0, s.ptr), 0);
	ec_code_destroy(code);
	ec_code_destroy(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_loss), cmocka_unit_test(test_update),
	    cmocka_unit_test(test_holes),      cmocka_unit_test(test_fixed),
	    cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
