/*
 * The task engine: order, dependencies, errors, callbacks, running again, delays, aborting,
 * threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <daos/common.h>
#include <daos/tse.h>

static char trace[4096];

static void
mark(const char *what)
{
	strncat(trace, what, sizeof(trace) - strlen(trace) - 1);
}

/* Bodies and callbacks write the string in the task's priv, or their argument. */
static int
body_mark(tse_task_t *task)
{
	mark(tse_task_get_priv(task));
	tse_task_complete(task, 0);
	return 0;
}

static int
body_fail(tse_task_t *task)
{
	mark(tse_task_get_priv(task));
	tse_task_complete(task, -DER_IO);
	return 0;
}

/* Leaves completion to somebody else. */
static int
body_open(tse_task_t *task)
{
	mark(tse_task_get_priv(task));
	return 0;
}

static int
cb_mark(tse_task_t *task, void *arg)
{
	mark(arg);
	return 0;
}

static int
sched_done(void *arg, int rc)
{
	*(int *)arg = rc == 0 ? 1 : rc;
	return 0;
}

static tse_task_t *
task_new(tse_sched_t *sched, tse_task_func_t body, const char *name)
{
	tse_task_t *task;

	assert_int_equal(tse_task_create(body, sched, (void *)name, &task), 0);
	return task;
}

static void
test_order(void **state)
{
	tse_sched_t sched;
	tse_task_t *a;
	tse_task_t *b;
	tse_task_t *c;
	tse_task_t *deps[2];
	int done = 0;
	char arg[] = "(comp1)";

	trace[0] = '\0';
	assert_int_equal(tse_sched_init(&sched, sched_done, &done), 0);
	assert_true(tse_sched_check_complete(&sched));
	a = task_new(&sched, body_mark, "a");
	b = task_new(&sched, body_mark, "b");
	c = task_new(&sched, body_mark, "c");
	assert_ptr_equal(tse_task2sched(a), &sched);
	deps[0] = b;
	deps[1] = c;
	assert_int_equal(tse_task_register_deps(a, 2, deps), 0);
	assert_int_equal(tse_task_register_deps(b, 1, &c), 0);
	assert_int_equal(tse_task_register_deps(a, 1, &a), -DER_INVAL);
	assert_int_equal(tse_task_register_cbs(c, cb_mark, "(prep1)", 8, cb_mark, arg, sizeof(arg)),
			 0);
	arg[1] = 'X'; /* a copy was taken */
	assert_int_equal(tse_task_register_cbs(c, cb_mark, "(prep2)", 8, cb_mark, "(comp2)", 8), 0);
	/* Given to the scheduler in the wrong order; runs only when asked to. */
	assert_int_equal(tse_task_schedule(a, true), 0);
	assert_int_equal(tse_task_schedule(a, false), -DER_NO_PERM);
	assert_int_equal(tse_task_schedule(b, false), 0);
	assert_int_equal(tse_task_schedule(c, false), 0);
	assert_string_equal(trace, "");
	assert_false(tse_sched_check_complete(&sched));
	tse_sched_progress(&sched);
	assert_string_equal(trace, "(prep1)(prep2)c(comp2)(comp1)ba");
	assert_true(tse_sched_check_complete(&sched));
	/* Instant, without dependencies. */
	a = task_new(&sched, body_mark, "!");
	assert_int_equal(tse_task_schedule(a, true), 0);
	assert_string_equal(trace, "(prep1)(prep2)c(comp2)(comp1)ba!");
	tse_sched_complete(&sched, 0, false);
	assert_int_equal(done, 1);
}

static void
test_errors(void **state)
{
	tse_sched_t sched;
	tse_task_t *a;
	tse_task_t *b;
	tse_task_t *c;
	int done = 0;

	trace[0] = '\0';
	assert_int_equal(tse_sched_init(&sched, sched_done, &done), 0);
	a = task_new(&sched, body_fail, "a");
	b = task_new(&sched, body_mark, "b");
	c = task_new(&sched, body_mark, "c");
	tse_task_addref(b);
	tse_task_addref(c);
	tse_disable_propagate(c);
	assert_int_equal(tse_task_register_deps(b, 1, &a), 0);
	assert_int_equal(tse_task_register_deps(c, 1, &a), 0);
	tse_task_schedule(b, false);
	tse_task_schedule(c, false);
	tse_task_schedule(a, true);
	tse_sched_progress(&sched);
	assert_string_equal(trace, "abc");
	assert_int_equal(b->dt_result, -DER_IO);
	assert_int_equal(c->dt_result, 0);
	/* Complete tasks take no callbacks and no dependencies; being one is no obstacle. */
	assert_int_equal(tse_task_register_comp_cb(b, cb_mark, "x", 2), -DER_NO_PERM);
	assert_int_equal(tse_task_register_deps(b, 1, &c), -DER_NO_PERM);
	a = task_new(&sched, body_mark, "d");
	assert_int_equal(tse_task_register_deps(a, 1, &b), 0);
	tse_task_schedule(a, false);
	tse_sched_progress(&sched);
	assert_string_equal(trace, "abcd");
	tse_task_decref(b);
	tse_task_decref(c);
	assert_int_equal(sched.ds_result, -DER_IO);
	tse_sched_complete(&sched, 0, false);
	assert_int_equal(done, -DER_IO);
}

static tse_task_t *children[3];

static int
body_parent(tse_task_t *task)
{
	int i;

	mark("P");
	for (i = 0; i < 3; i++)
		children[i] = task_new(tse_task2sched(task), i == 0 ? body_mark : body_open, "k");
	/* The first child is over before the second is registered. */
	assert_int_equal(tse_task_register_deps(task, 1, &children[0]), 0);
	tse_task_schedule(children[0], true);
	assert_int_equal(tse_task_register_deps(task, 2, &children[1]), 0);
	tse_task_schedule(children[1], true);
	tse_task_schedule(children[2], true);
	return 0;
}

static void
test_parent(void **state)
{
	tse_sched_t sched;
	tse_task_t *task;

	trace[0] = '\0';
	assert_int_equal(tse_sched_init(&sched, NULL, NULL), 0);
	task = task_new(&sched, body_parent, NULL);
	tse_task_addref(task);
	assert_int_equal(tse_task_register_comp_cb(task, cb_mark, ".", 2), 0);
	tse_task_schedule(task, false);
	tse_sched_progress(&sched);
	assert_string_equal(trace, "Pkkk");
	tse_task_complete(children[1], 0);
	assert_string_equal(trace, "Pkkk");
	tse_task_complete(children[2], -DER_NOSPACE);
	assert_string_equal(trace, "Pkkk.");
	assert_int_equal(task->dt_result, -DER_NOSPACE);
	tse_task_complete(task, 0); /* has no effect any more */
	assert_string_equal(trace, "Pkkk.");
	tse_task_decref(task);

	/* No body: completed by the tasks it waits for, or by hand. */
	task = task_new(&sched, NULL, NULL);
	children[0] = task_new(&sched, body_mark, "x");
	assert_int_equal(tse_task_register_comp_cb(task, cb_mark, ":", 2), 0);
	assert_int_equal(tse_task_register_deps(task, 1, children), 0);
	tse_task_schedule(task, false);
	tse_task_schedule(children[0], false);
	tse_sched_progress(&sched);
	assert_string_equal(trace, "Pkkk.x:");
	task = task_new(&sched, NULL, NULL);
	tse_task_schedule(task, false);
	tse_sched_progress(&sched);
	assert_false(tse_sched_check_complete(&sched));
	tse_task_complete(task, 0);
	assert_true(tse_sched_check_complete(&sched));
	tse_sched_fini(&sched);
}

static int tries;

static int
cb_retry(tse_task_t *task, void *arg)
{
	if (task->dt_result == 0 || ++tries == 3)
		return 0;
	/* The callback was used up: register it for the next run. */
	return tse_task_register_comp_cb_and_reinit(task, cb_retry, NULL, 0, 0);
}

static int
body_until(tse_task_t *task)
{
	mark("t");
	tse_task_complete(task, tries < 2 ? -DER_AGAIN : 0);
	return 0;
}

static void
test_again(void **state)
{
	tse_sched_t sched;
	tse_task_t *task;
	tse_task_t *after;

	trace[0] = '\0';
	tries = 0;
	assert_int_equal(tse_sched_init(&sched, NULL, NULL), 0);
	task = task_new(&sched, body_until, NULL);
	tse_task_addref(task);
	assert_int_equal(tse_task_register_comp_cb(task, cb_mark, "end", 4), 0);
	assert_int_equal(tse_task_register_comp_cb(task, cb_retry, NULL, 0), 0);
	after = task_new(&sched, body_mark, "+");
	assert_int_equal(tse_task_register_deps(after, 1, &task), 0);
	assert_int_equal(tse_task_reinit(task), -DER_NO_PERM);
	tse_task_schedule(after, false);
	tse_task_schedule(task, false);
	/* One try in each call. */
	tse_sched_progress(&sched);
	assert_string_equal(trace, "t");
	tse_sched_progress(&sched);
	assert_string_equal(trace, "tt");
	tse_sched_progress(&sched);
	assert_string_equal(trace, "tttend+");
	assert_int_equal(task->dt_result, 0);
	assert_true(tse_sched_check_complete(&sched));

	/* From complete: again with the same body, then with another. */
	assert_int_equal(tse_task_reinit(task), 0);
	tse_sched_progress(&sched);
	assert_string_equal(trace, "tttend+t");
	assert_int_equal(tse_task_reset(task, body_mark, "new"), 0);
	assert_int_equal(tse_task_schedule(task, false), 0);
	/* Its completion drops the reference that was ours. */
	tse_sched_progress(&sched);
	assert_string_equal(trace, "tttend+tnew");
	assert_true(tse_sched_check_complete(&sched));
	tse_sched_fini(&sched);
}

static int
cb_more_deps(tse_task_t *task, void *arg)
{
	children[0] = task_new(tse_task2sched(task), body_open, "d");
	assert_int_equal(tse_task_register_deps(task, 1, children), 0);
	tse_task_schedule(children[0], true);
	return 0;
}

static void
test_late_deps(void **state)
{
	tse_sched_t sched;
	tse_task_t *task;

	trace[0] = '\0';
	assert_int_equal(tse_sched_init(&sched, NULL, NULL), 0);
	task = task_new(&sched, body_mark, "b");
	assert_int_equal(tse_task_register_comp_cb(task, cb_mark, "last", 5), 0);
	assert_int_equal(tse_task_register_comp_cb(task, cb_more_deps, NULL, 0), 0);
	tse_task_schedule(task, false);
	tse_sched_progress(&sched);
	assert_string_equal(trace, "bd");
	assert_false(tse_sched_check_complete(&sched));
	tse_task_complete(children[0], 0);
	assert_string_equal(trace, "bdlast");
	assert_true(tse_sched_check_complete(&sched));
	tse_sched_fini(&sched);
}

static void
test_delay(void **state)
{
	tse_sched_t sched;
	struct timespec start;
	tse_task_t *a;
	tse_task_t *b;

	trace[0] = '\0';
	assert_int_equal(tse_sched_init(&sched, NULL, NULL), 0);
	a = task_new(&sched, body_mark, "late");
	b = task_new(&sched, body_mark, "early");
	d_gettime(&start);
	assert_int_equal(tse_task_schedule_with_delay(a, false, 20000), 0);
	assert_int_equal(tse_task_schedule_with_delay(b, false, 10000), 0);
	tse_sched_progress(&sched);
	assert_string_equal(trace, "");
	tse_sched_complete(&sched, 0, false);
	assert_string_equal(trace, "earlylate");
	assert_true(d_time2ms(d_time_elapsed(start)) >= 20);
}

static int
cb_result(tse_task_t *task, void *arg)
{
	*(int *)arg = task->dt_result;
	return 0;
}

static void
test_cancel(void **state)
{
	tse_sched_t sched;
	tse_task_t *tasks[4];
	int results[4] = {0};
	int done = 0;
	int i;

	trace[0] = '\0';
	assert_int_equal(tse_sched_init(&sched, sched_done, &done), 0);
	for (i = 0; i < 4; i++) {
		tasks[i] = task_new(&sched, i == 3 ? body_open : body_mark, "x");
		assert_int_equal(tse_task_register_comp_cb(tasks[i], cb_result, &results[i], 0), 0);
	}
	tse_task_addref(tasks[3]);
	assert_int_equal(tse_task_register_deps(tasks[1], 1, &tasks[0]), 0);
	tse_task_schedule(tasks[0], false);
	tse_task_schedule(tasks[1], false);
	tse_task_schedule_with_delay(tasks[2], false, 1000000);
	tse_task_schedule(tasks[3], true);
	tse_sched_complete(&sched, 0, true);
	assert_string_equal(trace, "x");
	for (i = 0; i < 4; i++)
		assert_int_equal(results[i], -DER_CANCELED);
	assert_int_equal(done, -DER_CANCELED);
	assert_int_equal(tasks[3]->dt_result, -DER_CANCELED);
	tse_task_decref(tasks[3]);
}

static int
cb_unlist(tse_task_t *task, void *arg)
{
	mark(tse_task_get_priv(task));
	tse_task_list_del(task);
	tse_task_schedule(task, true);
	return -DER_EXIST;
}

static void
test_task_lists(void **state)
{
	tse_sched_t sched;
	tse_task_t *first;
	tse_task_t *t;
	d_list_t head;
	int result = 0;
	int i;

	trace[0] = '\0';
	D_INIT_LIST_HEAD(&head);
	assert_int_equal(tse_sched_init(&sched, NULL, NULL), 0);
	assert_null(tse_task_list_first(&head));
	first = task_new(&sched, body_mark, "F");
	for (i = 0; i < 3; i++) {
		t = task_new(&sched, body_mark, "m");
		assert_int_equal(tse_task_list_add(t, &head), 0);
		assert_int_equal(tse_task_list_add(t, &head), -DER_NO_PERM);
	}
	assert_int_equal(tse_task_list_depend(&head, first), 0);
	t = task_new(&sched, body_mark, "L");
	assert_int_equal(tse_task_depend_list(t, &head), 0);
	tse_task_schedule(t, false);
	tse_task_list_sched(&head, false);
	assert_true(d_list_empty(&head));
	tse_task_schedule(first, false);
	tse_sched_progress(&sched);
	assert_string_equal(trace, "FmmmL");

	for (i = 0; i < 2; i++)
		tse_task_list_add(task_new(&sched, body_mark, "u"), &head);
	assert_int_equal(tse_task_list_traverse_adv(&head, cb_unlist, NULL), -DER_EXIST);
	assert_string_equal(trace, "FmmmLuuuu");
	assert_true(d_list_empty(&head));
	t = task_new(&sched, body_mark, "never");
	tse_task_register_comp_cb(t, cb_result, &result, 0);
	tse_task_list_add(t, &head);
	assert_int_equal(tse_task_list_traverse(&head, cb_mark, "T"), 0);
	tse_task_list_abort(&head, -DER_NO_PERM);
	assert_int_equal(result, -DER_NO_PERM);
	assert_string_equal(trace, "FmmmLuuuuT");
	assert_true(tse_sched_check_complete(&sched));
	tse_sched_fini(&sched);
}

static void
test_args(void **state)
{
	tse_sched_t sched;
	tse_task_t *task;
	char *buf;

	assert_int_equal(tse_sched_init(&sched, NULL, NULL), 0);
	task = task_new(&sched, NULL, "one");
	buf = tse_task_buf_embedded(task, TSE_TASK_ARG_LEN);
	assert_non_null(buf);
	assert_int_equal((uintptr_t)buf % 8, 0);
	memset(buf, 0x5a, TSE_TASK_ARG_LEN);
	assert_ptr_equal(tse_task2arg(task), buf);
	assert_ptr_equal(tse_task_buf_embedded(task, 16), buf);
	assert_null(tse_task_buf_embedded(task, TSE_TASK_ARG_LEN + 1));
	assert_string_equal(tse_task_set_priv(task, NULL), "one");
	assert_null(tse_task_get_priv(task));
	tse_task_complete(task, 0);
	tse_sched_fini(&sched);
}

static ATOMIC int ran_nr;
static ATOMIC bool stop;

static int
body_count(tse_task_t *task)
{
	atomic_fetch_add(&ran_nr, 1);
	tse_task_complete(task, 0);
	return 0;
}

static void *
progresser(void *arg)
{
	while (!atomic_load(&stop)) {
		tse_sched_progress(arg);
		sched_yield();
	}
	return NULL;
}

/* Two schedulers, tasks in chains across both, two threads that make progress on each. */
static void
test_threads(void **state)
{
	tse_sched_t scheds[2];
	pthread_t threads[4];
	tse_task_t *prev = NULL;
	tse_task_t *task;
	int i;

	ran_nr = 0;
	stop = false;
	for (i = 0; i < 2; i++)
		assert_int_equal(tse_sched_init(&scheds[i], NULL, NULL), 0);
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, progresser, &scheds[i % 2]), 0);
	for (i = 0; i < 5000; i++) {
		task = task_new(&scheds[i % 2], body_count, NULL);
		tse_task_addref(task);
		if (prev != NULL) {
			assert_int_equal(tse_task_register_deps(task, 1, &prev), 0);
			tse_task_decref(prev);
		}
		prev = task;
		assert_int_equal(tse_task_schedule(task, i % 3 == 0), 0);
	}
	while (!tse_sched_check_complete(&scheds[0]) || !tse_sched_check_complete(&scheds[1]))
		sched_yield();
	stop = true;
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(ran_nr, 5000);
	tse_task_decref(prev);
	tse_sched_complete(&scheds[0], 0, false);
	tse_sched_complete(&scheds[1], 0, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_order),     cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_parent),    cmocka_unit_test(test_again),
	    cmocka_unit_test(test_late_deps), cmocka_unit_test(test_delay),
	    cmocka_unit_test(test_cancel),    cmocka_unit_test(test_task_lists),
	    cmocka_unit_test(test_args),      cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
