/* Scatter/gather lists as lists of segments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <daos_errno.h>

#include "client/object/sgl.h"

static void
test_sizes(void **state)
{
	char buf[30];
	d_iov_t iovs[4] = {{buf, 10, 4}, {NULL, 8, 8}, {buf + 10, 0, 0}, {buf + 10, 20, 20}};
	d_sg_list_t sgl = {.sg_nr = 4, .sg_iovs = iovs}, empty = {0};

	assert_int_equal(sgl_data_bytes(&sgl), 24);
	assert_int_equal(sgl_room_bytes(&sgl), 30);
	assert_int_equal(sgl_data_bytes(&empty), 0);
	assert_int_equal(sgl_room_bytes(NULL), 0);
}

static void
test_vec(void **state)
{
	static char buf[1000];
	d_iov_t iovs[100];
	d_sg_list_t sgl = {.sg_nr = 100, .sg_iovs = iovs};
	struct sgl_vec vec;
	uint32_t i;

	/* neighbours join */
	for (i = 0; i < 100; i++)
		iovs[i] = (d_iov_t){buf + i * 10, 10, 10};
	sgl_vec_init(&vec);
	assert_int_equal(sgl_to_vec(&sgl, false, 995, &vec), 0);
	assert_int_equal(vec.nr, 1);
	assert_ptr_equal(vec.iov[0].iov_base, buf);
	assert_int_equal(vec.iov[0].iov_len, 995);
	sgl_vec_fini(&vec);
	/* with gaps they do not, and the list grows */
	for (i = 0; i < 100; i++)
		iovs[i].iov_len = 9;
	assert_int_equal(sgl_to_vec(&sgl, false, 900, &vec), 0);
	assert_int_equal(vec.nr, 100);
	for (i = 0; i < 100; i++)
		assert_ptr_equal(vec.iov[i].iov_base, buf + i * 10);
	sgl_vec_fini(&vec);
	/* too short */
	assert_int_equal(sgl_to_vec(&sgl, false, 901, &vec), -DER_REC2BIG);
	sgl_vec_fini(&vec);
	assert_int_equal(sgl_to_vec(&sgl, true, 0, &vec), 0);
	assert_int_equal(vec.nr, 0);
	sgl_vec_fini(&vec);
}

static void
test_filled(void **state)
{
	char buf[30];
	d_iov_t iovs[3] = {{buf, 10, 99}, {buf + 10, 10, 99}, {buf + 20, 10, 99}};
	d_sg_list_t sgl = {.sg_nr = 3, .sg_iovs = iovs};

	sgl_set_filled(&sgl, 13);
	assert_int_equal(sgl.sg_nr_out, 2);
	assert_int_equal(iovs[0].iov_len, 10);
	assert_int_equal(iovs[1].iov_len, 3);
	assert_int_equal(iovs[2].iov_len, 0);
	sgl_set_filled(&sgl, 0);
	assert_int_equal(sgl.sg_nr_out, 0);
	sgl_set_filled(&sgl, 1000);
	assert_int_equal(sgl.sg_nr_out, 3);
	sgl_set_filled(NULL, 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_vec),
	    cmocka_unit_test(test_filled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
