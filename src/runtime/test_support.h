/* What the runtime's tests share. */
#ifndef RUNTIME_TEST_SUPPORT_H
#define RUNTIME_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "runtime/co_switch.h"
#include "runtime/xs.h"

/* How many coroutines a test uses at most: ThreadSanitizer needs milliseconds to make one. */
#ifdef CO_TSAN
enum { TEST_COS_MAX = 300 };
#else
enum { TEST_COS_MAX = 2500 };
#endif

/* One xstream on the real clock. */
struct test_xs {
	struct env env;
	struct xs *xs;
};

static inline void
test_xs_open(struct test_xs *t)
{
	struct xs_conf conf = {.name = "test", .env = &t->env, .cpu = -1};

	env_init_real(&t->env);
	assert_int_equal(xs_create(&conf, &t->xs), 0);
}

static inline void
test_xs_close(struct test_xs *t)
{
	xs_destroy(t->xs);
}

#endif
