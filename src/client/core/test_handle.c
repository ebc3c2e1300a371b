/* Handles: cookies that are recognised, pins that keep objects, slots that come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "client/core/handle.h"

static void
count_free(void *obj)
{
	atomic_fetch_add((_Atomic int *)obj, 1);
}

static void
test_life(void **state)
{
	_Atomic int freed = 0;
	struct handle_tbl *tbl;
	daos_handle_t a, b, forged;

	assert_int_equal(handle_tbl_create(UINT32_MAX, &tbl), 0);
	assert_int_equal(handle_add(tbl, DAOS_HTYPE_OBJ, &freed, count_free, &a), 0);
	assert_int_equal(a.cookie & 15, DAOS_HTYPE_OBJ);
	assert_int_equal(handle_nr(tbl), 1);
	assert_null(handle_get(tbl, a, DAOS_HTYPE_CO));
	assert_null(handle_get(tbl, DAOS_HDL_INVAL, DAOS_HTYPE_OBJ));
	forged.cookie = (a.cookie & ~15ull) | DAOS_HTYPE_POOL;
	assert_null(handle_get(tbl, forged, DAOS_HTYPE_POOL));
	forged.cookie = a.cookie + (1ull << 32);
	assert_null(handle_get(tbl, forged, DAOS_HTYPE_OBJ));
	forged.cookie = a.cookie | (0xfffffffull << 4);
	assert_null(handle_get(tbl, forged, DAOS_HTYPE_OBJ));

	assert_ptr_equal(handle_get(tbl, a, DAOS_HTYPE_OBJ), &freed);
	assert_int_equal(handle_close(tbl, a, DAOS_HTYPE_CO), -DER_NO_HDL);
	assert_int_equal(handle_close(tbl, a, DAOS_HTYPE_OBJ), 0);
	assert_int_equal(handle_close(tbl, a, DAOS_HTYPE_OBJ), -DER_NO_HDL);
	assert_null(handle_get(tbl, a, DAOS_HTYPE_OBJ));
	assert_int_equal(freed, 0); /* pinned */
	handle_put(tbl, a);
	assert_int_equal(freed, 1);
	assert_int_equal(handle_nr(tbl), 0);

	/* the slot again, under another cookie */
	assert_int_equal(handle_add(tbl, DAOS_HTYPE_OBJ, &freed, count_free, &b), 0);
	assert_int_equal((uint32_t)b.cookie, (uint32_t)a.cookie);
	assert_int_not_equal(b.cookie, a.cookie);
	assert_null(handle_get(tbl, a, DAOS_HTYPE_OBJ));
	handle_tbl_destroy(tbl);
	assert_int_equal(freed, 2);
}

static void
test_many(void **state)
{
	enum { NR = 5000 };
	static daos_handle_t hdls[NR];
	static _Atomic int freed[NR];
	struct handle_tbl *tbl;
	int i;

	assert_int_equal(handle_tbl_create(0, &tbl), 0);
	for (i = 0; i < NR; i++)
		assert_int_equal(handle_add(tbl, DAOS_HTYPE_KV, &freed[i], count_free, &hdls[i]),
				 0);
	for (i = 0; i < NR; i++) {
		assert_ptr_equal(handle_get(tbl, hdls[i], DAOS_HTYPE_KV), &freed[i]);
		handle_put(tbl, hdls[i]);
	}
	for (i = 0; i < NR; i += 2)
		assert_int_equal(handle_close(tbl, hdls[i], DAOS_HTYPE_KV), 0);
	assert_int_equal(handle_nr(tbl), NR / 2);
	handle_tbl_destroy(tbl);
	for (i = 0; i < NR; i++)
		assert_int_equal(freed[i], 1);
}

/* Several threads look one handle up while it is closed: each either has it or not, and it is freed
 * once, after the last. */
enum { ROUNDS = 300, THREADS = 3 };

struct race {
	struct handle_tbl *tbl;
	_Atomic uint64_t cookie;
	_Atomic int freed;
	_Atomic bool stop;
};

static void *
race_main(void *arg)
{
	struct race *r = arg;

	while (!atomic_load(&r->stop)) {
		daos_handle_t h = {atomic_load(&r->cookie)};
		_Atomic int *obj = handle_get(r->tbl, h, DAOS_HTYPE_OBJ);

		if (obj == NULL)
			continue;
		assert_ptr_equal(obj, &r->freed);
		handle_put(r->tbl, h);
	}
	return NULL;
}

static void
test_race(void **state)
{
	struct race r = {0};
	pthread_t threads[THREADS];
	int i;

	assert_int_equal(handle_tbl_create(0, &r.tbl), 0);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race_main, &r), 0);
	for (i = 0; i < ROUNDS; i++) {
		daos_handle_t h;

		assert_int_equal(handle_add(r.tbl, DAOS_HTYPE_OBJ, &r.freed, count_free, &h), 0);
		atomic_store(&r.cookie, h.cookie);
		while (handle_get(r.tbl, h, DAOS_HTYPE_OBJ) == NULL)
			;
		handle_put(r.tbl, h);
		assert_int_equal(handle_close(r.tbl, h, DAOS_HTYPE_OBJ), 0);
	}
	atomic_store(&r.stop, true);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(r.freed, ROUNDS);
	handle_tbl_destroy(r.tbl);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_life),
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
