/*
 * Fault injection: intervals, limits, probability, configuration file, allocation macros.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <gurt/common.h>

static int
fires(struct d_fault_attr_t *point, int hits)
{
	int nr = 0;

	while (hits-- > 0)
		nr += d_should_fail(point);
	return nr;
}

static void
test_rules(void **state)
{
	struct d_fault_attr_t attr = {.fa_probability_x = 1, .fa_probability_y = 1};
	struct d_fault_attr_t *point;
	int nr;

	d_unsetenv(D_FAULT_CONFIG_ENV);
	assert_int_equal(d_fault_inject_init(), 0);
	assert_false(d_fault_inject_is_enabled());
	assert_null(d_fault_attr_lookup(5));
	assert_int_equal(d_fault_attr_err_code(5), 0);
	attr.fa_err_code = -DER_IO;
	assert_int_equal(d_fault_attr_set(5, attr), 0);
	point = d_fault_attr_lookup(5);
	assert_non_null(point);
	assert_int_equal(d_fault_attr_err_code(5), -DER_IO);
	assert_int_equal(fires(point, 10), 0);
	d_fault_inject_enable();
	assert_int_equal(fires(point, 10), 10);
	d_fault_inject_thread_enable(false);
	assert_int_equal(fires(point, 10), 0);
	d_fault_inject_thread_enable(true);

	attr.fa_interval = 3;
	attr.fa_max_faults = 2;
	assert_int_equal(d_fault_attr_set(5, attr), 0);
	assert_ptr_equal(d_fault_attr_lookup(5), point);
	assert_int_equal(fires(point, 2), 0);
	assert_int_equal(fires(point, 1), 1);
	assert_int_equal(fires(point, 30), 1);

	attr = (struct d_fault_attr_t){.fa_probability_x = 1, .fa_probability_y = 10};
	assert_int_equal(d_fault_attr_set(5, attr), 0);
	nr = fires(point, 10000);
	assert_in_range(nr, 850, 1150);
	/* The same seed gives the same sequence. */
	assert_int_equal(d_fault_attr_set(5, attr), 0);
	assert_int_equal(fires(point, 10000), nr);
	assert_false(d_should_fail(NULL));
	assert_int_equal(d_fault_inject_fini(), 0);
	assert_null(d_fault_attr_lookup(5));
}

static int
load(const char *text)
{
	char path[] = "/tmp/gurt_fi_XXXXXX";
	int fd = mkstemp(path);
	int rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	d_setenv(D_FAULT_CONFIG_ENV, path, 1);
	rc = d_fault_inject_init();
	unlink(path);
	return rc;
}

static void
test_config(void **state)
{
	char *p;

	assert_int_equal(load("fault_config:\n- id: 0\n  interval: 2\n  err_code: -1009\n"
			      "- id: 77\n  argument: hello\n  probability_x: 0\nseed: 9\n"),
			 0);
	assert_true(d_fault_inject_is_enabled());
	assert_string_equal(d_fault_attr_lookup(77)->fa_argument, "hello");
	assert_int_equal(d_fault_attr_err_code(0), -1009);
	D_ALLOC(p, 10);
	assert_non_null(p);
	D_FREE(p);
	D_ALLOC(p, 10);
	assert_null(p);
	assert_int_equal(d_fault_inject_fini(), 0);
	D_ALLOC(p, 10);
	assert_non_null(p);
	D_FREE(p);
}

static void
test_bad_config(void **state)
{
	static const char *const bad[] = {
	    "- 1\n",
	    "fault_config: 5\n",
	    "fault_config:\n- id: x\n",
	    "fault_config:\n- idd: 1\n",
	    "fault_config:\n- interval: 1\n",
	    "a: [\n",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(load(bad[i]), -DER_INVAL);
		assert_false(d_fault_inject_is_enabled());
		d_fault_inject_fini();
	}
	d_setenv(D_FAULT_CONFIG_ENV, "/nonexistent/file", 1);
	assert_int_equal(d_fault_inject_init(), -DER_NONEXIST);
	d_fault_inject_fini();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rules),
	    cmocka_unit_test(test_config),
	    cmocka_unit_test(test_bad_config),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
