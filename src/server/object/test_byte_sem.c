/* The byte semaphore: never more in use than allowed, order kept, a request larger than everything
 * gets everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "runtime/xs.h"
#include "server/object/byte_sem.h"

static struct byte_sem sem;
static uint64_t in_use, most;
static uint32_t done_nr;

struct user {
	uint64_t bytes;
	uint32_t number;
	uint32_t began;
};
static uint32_t began_nr;

static int
use(void *arg)
{
	struct user *u = arg;
	uint64_t taken = byte_sem_get(&sem, u->bytes);

	u->began = began_nr++;
	in_use += taken;
	most = in_use > most ? in_use : most;
	co_sleep_ns(100000);
	in_use -= taken;
	byte_sem_put(&sem, taken);
	done_nr++;
	return 0;
}

static int
run(void *arg)
{
	struct user *users = arg;
	struct co_group g;

	co_group_init(&g);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(co_group_spawn(&g, use, &users[i]), 0);
	return co_group_join(&g);
}

static void
test_bound_and_order(void **state)
{
	struct user users[100] = {0};
	struct xs_conf conf = {.name = "t", .cpu = -1};
	struct env env;
	struct xs *xs;

	env_init_real(&env);
	conf.env = &env;
	assert_int_equal(xs_create(&conf, &xs), 0);
	byte_sem_init(&sem, 1000);
	for (uint32_t i = 0; i < 100; i++)
		users[i] =
		    (struct user){.bytes = i % 10 == 3 ? 5000 : 10 + i * 7 % 400, .number = i};
	assert_int_equal(xs_call(xs, run, users), 0);
	assert_int_equal(done_nr, 100);
	assert_true(most <= 1000);
	assert_int_equal(sem.free, 1000);
	for (uint32_t i = 1; i < 100; i++)
		assert_true(users[i].began > users[i - 1].began);
	xs_destroy(xs);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bound_and_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
