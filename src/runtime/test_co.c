/* Coroutines and what they wait with, on one xstream and the real clock. */
#include "runtime/test_support.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <daos_errno.h>

#include "base/list.h"

#define MS 1000000ull

/* --- spawn, yield, depth -----------------------------------------------------------------------
 */

struct order {
	int at;
	int seen[64];
};

static struct order order;

static void
note(int v)
{
	assert_true(order.at < 64);
	order.seen[order.at++] = v;
}

static void
yielder(void *arg)
{
	int base = (int)(intptr_t)arg;

	assert_non_null(co_self());
	assert_true(co_self_id() != 0);
	assert_ptr_equal(co_xs(), xs_self());
	note(base);
	co_yield();
	note(base + 1);
	co_yield();
	note(base + 2);
}

static bool
never(void *arg)
{
	return false;
}

static void
drain(struct xs *xs)
{
	while (xs_step(xs))
		;
}

static void
test_yield_order(void **state)
{
	const int expect[] = {10, 20, 30, 11, 21, 31, 12, 22, 32};
	struct test_xs t;

	test_xs_open(&t);
	order.at = 0;
	assert_null(co_self());
	assert_null(xs_self());
	assert_int_equal(co_spawn(t.xs, yielder, (void *)10), 0);
	assert_int_equal(co_spawn(t.xs, yielder, (void *)20), 0);
	assert_int_equal(co_spawn(t.xs, yielder, (void *)30), 0);
	drain(t.xs);
	assert_int_equal(order.at, 9);
	assert_memory_equal(order.seen, expect, sizeof(expect));
	assert_null(co_self());
	test_xs_close(&t);
}

static void
test_never_started(void **state)
{
	struct test_xs t;

	test_xs_open(&t);
	assert_int_equal(co_spawn(t.xs, yielder, NULL), 0);
	test_xs_close(&t); /* must neither run it nor complain */
}

static int
recurse(int depth)
{
	volatile char pad[200];

	memset((char *)pad, depth, sizeof(pad));
	if (depth == 0) {
		co_yield();
		return 0;
	}
	if (depth % 50 == 0)
		co_yield();
	return recurse(depth - 1) + (pad[7] == (char)depth ? 1 : 1000);
}

static int
deep(void *arg)
{
	return recurse(200);
}

static void
test_deep(void **state)
{
	struct test_xs t;

	test_xs_open(&t);
	assert_int_equal(xs_call(t.xs, deep, NULL), 200);
	test_xs_close(&t);
}

/* A coroutine that needs more stack than it has ends the process; it does not write elsewhere. */
static int
overflow(void *arg)
{
	return recurse(1 << 30);
}

static void
test_guard_page(void **state)
{
	struct rlimit no_core = {0};
	struct test_xs t;
	int status;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		close(STDERR_FILENO); /* no reports of sanitizers */
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		test_xs_open(&t);
		xs_call(t.xs, overflow, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_not_equal(status, 0);
}

struct many {
	uint32_t nr;
	uint32_t ended;
	struct co_waitq wq;
};

static void
many_entry(void *arg)
{
	struct many *m = arg;

	m->nr++;
	assert_int_equal(co_waitq_wait(&m->wq, 0), 0);
	m->ended++;
}

static void
test_many(void **state)
{
	enum { NR = TEST_COS_MAX };
	struct test_xs t;
	struct many m = {0};
	int round;
	int i;

	test_xs_open(&t);
	co_waitq_init(&m.wq);
	for (round = 1; round <= 2; round++) { /* the second reuses the stacks of the first */
		for (i = 0; i < NR; i++)
			assert_int_equal(co_spawn(t.xs, many_entry, &m), 0);
		drain(t.xs);
		assert_int_equal(m.nr, round * NR);
		assert_int_equal(m.ended, (round - 1) * NR);
		co_waitq_wake_all(&m.wq);
		drain(t.xs);
		assert_int_equal(m.ended, round * NR);
	}
	test_xs_close(&t);
}

/* --- park and wake ------------------------------------------------------------------------------
 */

static int
wake_before_park(void *arg)
{
	co_wake(co_self()); /* remembered … */
	co_wake(co_self()); /* … once */
	co_park();
	return 7;
}

static void
test_token(void **state)
{
	struct test_xs t;

	test_xs_open(&t);
	assert_int_equal(xs_call(t.xs, wake_before_park, NULL), 7);
	test_xs_close(&t);
}

/* --- deadlines ----------------------------------------------------------------------------------
 */

static int
wait_expires(void *arg)
{
	struct co_waitq wq;
	struct co_future f;
	uint64_t start = xs_now_fresh_ns(co_xs());
	uint64_t now;

	co_waitq_init(&wq);
	assert_int_equal(co_waitq_wait(&wq, start + 5 * MS), -DER_TIMEDOUT);
	now = xs_now_fresh_ns(co_xs());
	assert_true(now >= start + 5 * MS);
	assert_true(now < start + 2000 * MS);
	assert_true(list_empty(&wq.waiters));
	/* one in the past expires at once */
	assert_int_equal(co_waitq_wait(&wq, 1), -DER_TIMEDOUT);
	co_future_init(&f);
	assert_int_equal(co_future_wait(&f, now + 1 * MS), -DER_TIMEDOUT);
	co_future_complete(&f, 3);
	co_future_complete(&f, 4); /* the first result stays */
	assert_int_equal(co_future_wait(&f, 1), 3);
	return 0;
}

static void
test_deadline(void **state)
{
	struct test_xs t;

	test_xs_open(&t);
	assert_int_equal(xs_call(t.xs, wait_expires, NULL), 0);
	assert_true(xs_next_timer_ns(t.xs) == UINT64_MAX);
	test_xs_close(&t);
}

static int
waits_for_future(void *arg)
{
	return co_future_wait(arg, xs_now_ns(co_xs()) + 10000 * MS);
}

static int
woken_in_time(void *arg)
{
	struct co_future f;
	struct co_group g;
	int i;

	co_future_init(&f);
	co_group_init(&g);
	for (i = 0; i < 5; i++)
		assert_int_equal(co_group_spawn(&g, waits_for_future, &f), 0);
	co_yield();
	co_future_complete(&f, 42);
	assert_int_equal(co_group_join(&g), 42);
	/* the deadlines they did not need are disarmed */
	assert_true(xs_next_timer_ns(co_xs()) == UINT64_MAX);
	return 0;
}

static void
test_woken_in_time(void **state)
{
	struct test_xs t;

	test_xs_open(&t);
	assert_int_equal(xs_call(t.xs, woken_in_time, NULL), 0);
	test_xs_close(&t);
}

/* Wake-one goes to a waiter that still waits, never to one whose deadline has passed. */
static int
wait_short(void *arg)
{
	return co_waitq_wait(arg, xs_now_ns(co_xs()) + 2 * MS);
}

static int
wait_long(void *arg)
{
	return co_waitq_wait(arg, 0);
}

static int
wake_skips_expired(void *arg)
{
	struct co_waitq wq;
	struct co_group short_one;
	struct co_group long_one;

	co_waitq_init(&wq);
	co_group_init(&short_one);
	co_group_init(&long_one);
	assert_int_equal(co_group_spawn(&short_one, wait_short, &wq), 0);
	assert_int_equal(co_group_spawn(&long_one, wait_long, &wq), 0);
	co_sleep_ns(8 * MS);
	co_waitq_wake_one(&wq);
	assert_int_equal(co_group_join(&short_one), -DER_TIMEDOUT);
	assert_int_equal(co_group_join(&long_one), 0);
	return 0;
}

static void
test_wake_skips_expired(void **state)
{
	struct test_xs t;

	test_xs_open(&t);
	assert_int_equal(xs_call(t.xs, wake_skips_expired, NULL), 0);
	test_xs_close(&t);
}

static int
sleeps(void *arg)
{
	uint64_t start = xs_now_fresh_ns(co_xs());

	co_sleep_ns(3 * MS);
	assert_true(xs_now_fresh_ns(co_xs()) >= start + 3 * MS);
	co_sleep_ns(0);
	return 0;
}

static void
test_sleep(void **state)
{
	struct test_xs t;

	test_xs_open(&t);
	assert_int_equal(xs_call(t.xs, sleeps, NULL), 0);
	test_xs_close(&t);
}

/* --- mutex, semaphore, group --------------------------------------------------------------------
 */

struct locked {
	struct co_mutex mutex;
	struct co_sem sem;
	int inside;
	int inside_max;
	int next_id;
};

static int
lock_user(void *arg)
{
	struct locked *l = arg;
	int id = order.at >= 0 ? l->next_id++ : 0;

	co_mutex_lock(&l->mutex);
	assert_false(co_mutex_trylock(&l->mutex));
	assert_int_equal(l->inside++, 0);
	note(id);
	co_yield();
	co_yield();
	assert_int_equal(--l->inside, 0);
	co_mutex_unlock(&l->mutex);
	return 0;
}

static int
sem_user(void *arg)
{
	struct locked *l = arg;

	co_sem_get(&l->sem);
	if (++l->inside > l->inside_max)
		l->inside_max = l->inside;
	co_yield();
	l->inside--;
	co_sem_put(&l->sem);
	return 0;
}

static int
locks(void *arg)
{
	struct locked l = {0};
	struct co_group g;
	int i;

	co_mutex_init(&l.mutex);
	co_sem_init(&l.sem, 3);
	order.at = 0;
	co_group_init(&g);
	for (i = 0; i < 10; i++)
		assert_int_equal(co_group_spawn(&g, lock_user, &l), 0);
	assert_int_equal(co_group_join(&g), 0);
	for (i = 0; i < 10; i++) /* first come, first served */
		assert_int_equal(order.seen[i], i);
	assert_null(l.mutex.owner);
	assert_true(co_mutex_trylock(&l.mutex));
	co_mutex_unlock(&l.mutex);

	for (i = 0; i < 20; i++)
		assert_int_equal(co_group_spawn(&g, sem_user, &l), 0);
	assert_int_equal(co_group_join(&g), 0);
	assert_int_equal(l.inside_max, 3);
	assert_int_equal(l.sem.free_nr, 3);
	return 0;
}

static void
test_locks(void **state)
{
	struct test_xs t;

	test_xs_open(&t);
	assert_int_equal(xs_call(t.xs, locks, NULL), 0);
	test_xs_close(&t);
}

static int
returns_arg(void *arg)
{
	co_sleep_ns((uint64_t)(intptr_t)arg * MS);
	return (int)(intptr_t)arg;
}

static int
group_result(void *arg)
{
	struct co_group g;

	co_group_init(&g);
	assert_int_equal(co_group_join(&g), 0); /* an empty one */
	assert_int_equal(co_group_spawn(&g, returns_arg, (void *)6), 0);
	assert_int_equal(co_group_spawn(&g, returns_arg, (void *)0), 0);
	assert_int_equal(co_group_spawn(&g, returns_arg, (void *)2), 0);
	assert_int_equal(co_group_join(&g), 2); /* the first that failed */
	return 0;
}

static void
test_group(void **state)
{
	struct test_xs t;

	test_xs_open(&t);
	assert_int_equal(xs_call(t.xs, group_result, NULL), 0);
	test_xs_close(&t);
}

/* --- cancellation by flag ------------------------------------------------------------------------
 */

struct job {
	struct co_waitq wq;
	bool cancel;
	bool ready;
};

static int
cancellable(void *arg)
{
	struct job *j = arg;

	while (!j->ready) {
		if (j->cancel)
			return -DER_CANCELED;
		co_waitq_wait(&j->wq, 0);
	}
	return 0;
}

static int
cancels(void *arg)
{
	struct job j = {0};
	struct co_group g;

	co_waitq_init(&j.wq);
	co_group_init(&g);
	assert_int_equal(co_group_spawn(&g, cancellable, &j), 0);
	co_yield();
	j.cancel = true;
	co_waitq_wake_all(&j.wq);
	assert_int_equal(co_group_join(&g), -DER_CANCELED);
	return 0;
}

static void
test_cancel(void **state)
{
	struct test_xs t;

	test_xs_open(&t);
	assert_int_equal(xs_call(t.xs, cancels, NULL), 0);
	test_xs_close(&t);
}

/* --- registers survive switches
 * ------------------------------------------------------------------- */

static int
churn(void *arg)
{
	uint64_t a = (uintptr_t)arg, b = a * 3, c = a * 5, d = a * 7, e = a * 11, f = a * 13;
	double x = (double)a, y = x * 0.5;
	int i;

	for (i = 0; i < 1000; i++) {
		a += b;
		b ^= c;
		c += d;
		d ^= e;
		e += f;
		f ^= a;
		x = x * 1.0000001 + y;
		y = y * 0.999999 + 1.0;
		if (i % 3 == 0 && co_self() != NULL)
			co_yield();
	}
	return (int)((a ^ b ^ c ^ d ^ e ^ f) & 0xffff) + (int)(x + y) % 1000;
}

static int
churn_many(void *arg)
{
	struct co_group g[16];
	int i;

	for (i = 0; i < 16; i++) {
		co_group_init(&g[i]);
		assert_int_equal(co_group_spawn(&g[i], churn, (void *)(intptr_t)(i + 1)), 0);
	}
	for (i = 0; i < 16; i++)
		((int *)arg)[i] = co_group_join(&g[i]);
	return 0;
}

static void
test_registers(void **state)
{
	struct test_xs t;
	int results[16];
	int i;

	test_xs_open(&t);
	assert_int_equal(xs_call(t.xs, churn_many, results), 0);
	for (i = 0; i < 16; i++) /* outside coroutines it never yields */
		assert_int_equal(results[i], churn((void *)(intptr_t)(i + 1)));
	test_xs_close(&t);
}

/* --- the driver of the loop
 * ----------------------------------------------------------------------- */

static bool
is_set(void *arg)
{
	return *(bool *)arg;
}

static void
set_after_2ms(void *arg)
{
	co_sleep_ns(2 * MS);
	*(bool *)arg = true;
}

static void
test_run_until(void **state)
{
	struct test_xs t;
	bool flag = false;
	uint64_t start;

	test_xs_open(&t);
	assert_int_equal(co_spawn(t.xs, set_after_2ms, &flag), 0);
	assert_int_equal(xs_run_until(t.xs, is_set, &flag, 0), 0);
	assert_int_equal(xs_run_until(t.xs, is_set, &flag, 1), 0); /* done comes before late */
	start = xs_now_ns(t.xs);
	assert_int_equal(xs_run_until(t.xs, never, NULL, start + 3 * MS), -DER_TIMEDOUT);
	assert_true(xs_now_ns(t.xs) >= start + 3 * MS);
	xs_stop(t.xs);
	assert_int_equal(xs_run_until(t.xs, never, NULL, 0), -DER_CANCELED);
	/* the request is used up */
	assert_int_equal(xs_run_until(t.xs, never, NULL, xs_now_ns(t.xs) + MS), -DER_TIMEDOUT);
	test_xs_close(&t);
}

static int
call_inner(void *arg)
{
	co_yield();
	return *(int *)arg + 1;
}

static int
call_outer(void *arg)
{
	return xs_call(co_xs(), call_inner, arg) * 2;
}

static void
test_call_nested(void **state)
{
	struct test_xs t;
	int v = 20;

	test_xs_open(&t);
	assert_int_equal(xs_call(t.xs, call_outer, &v), 42);
	xs_stop(t.xs); /* the call still runs to its end, and the request is kept */
	assert_int_equal(xs_call(t.xs, call_outer, &v), 42);
	assert_int_equal(xs_run_until(t.xs, never, NULL, 0), -DER_CANCELED);
	test_xs_close(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_yield_order),
	    cmocka_unit_test(test_never_started),
	    cmocka_unit_test(test_deep),
	    cmocka_unit_test(test_guard_page),
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_token),
	    cmocka_unit_test(test_deadline),
	    cmocka_unit_test(test_woken_in_time),
	    cmocka_unit_test(test_wake_skips_expired),
	    cmocka_unit_test(test_sleep),
	    cmocka_unit_test(test_locks),
	    cmocka_unit_test(test_group),
	    cmocka_unit_test(test_cancel),
	    cmocka_unit_test(test_registers),
	    cmocka_unit_test(test_run_until),
	    cmocka_unit_test(test_call_nested),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
