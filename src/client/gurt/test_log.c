/*
 * The log: masks, line form, debug bits, standard error, rotation, fork.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <regex.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <gurt/common.h>

static char path[] = "/tmp/gurt_log_XXXXXX";

static char *
slurp(const char *name)
{
	static char buf[1 << 16];
	int fd = open(name, O_RDONLY);
	ssize_t len;

	assert_true(fd >= 0);
	len = read(fd, buf, sizeof(buf) - 1);
	assert_true(len >= 0);
	buf[len] = '\0';
	close(fd);
	return buf;
}

static bool
matches(const char *text, const char *pattern)
{
	regex_t re;
	int rc;

	assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB | REG_NEWLINE), 0);
	rc = regexec(&re, text, 0, NULL, 0);
	regfree(&re);
	return rc == 0;
}

static int
setup(void **state)
{
	int fd;

	memcpy(path, "/tmp/gurt_log_XXXXXX", sizeof(path));
	fd = mkstemp(path);
	if (fd < 0)
		return -1;
	close(fd);
	d_setenv(D_LOG_FILE_ENV, path, 1);
	d_unsetenv(D_LOG_MASK_ENV);
	d_unsetenv(DD_MASK_ENV);
	d_unsetenv(DD_FAC_ENV);
	d_setenv(DD_STDERR_ENV, "EMIT", 1);
	return 0;
}

static int
teardown(void **state)
{
	char old[64];

	d_log_fini();
	unlink(path);
	snprintf(old, sizeof(old), "%s.old", path);
	unlink(old);
	return 0;
}

static void
test_line(void **state)
{
	char *text;

	assert_int_equal(d_log_init(), 0);
	D_INFO("not seen\n");
	D_ERROR("seen %d\n", 5);
	D_TRACE_ERROR(&text, "no newline");
	DL_ERROR(-DER_NOSPACE, "write %s", "it");
	text = slurp(path);
	assert_false(matches(text, "not seen"));
	assert_true(matches(text,
			    "^[01][0-9]/[0-3][0-9]-[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{2} [^ ]+ "
			    "DAOS\\[[0-9]+/[0-9]+/0\\] misc   ERR  [^ ]*test_log\\.c:[0-9]+ "
			    "test_line\\(\\) seen 5$"));
	assert_true(matches(text, "test_line\\(0x[0-9a-f]+\\) no newline$"));
	assert_true(matches(text, "write it: DER_NOSPACE\\(-1007\\): 'Storage tier is full'$"));
}

static void
test_masks(void **state)
{
	d_dbug_t bits = 0;
	char buf[256];
	char *text;
	int fac;
	int len;

	d_setenv(D_LOG_MASK_ENV, "WARN,object=DEBUG,mem=ERR", 1);
	d_setenv(DD_MASK_ENV, "io,trace", 1);
	assert_int_equal(d_log_init(), 0);
	/* Registered after the mask was given. */
	fac = d_log_allocfacility("obj", "object");
	assert_true(fac > 0);
	assert_int_equal(d_log_allocfacility("obj", "object"), fac);
	assert_true(D_LOG_ENABLED(DLOG_WARN));
	assert_false(D_LOG_ENABLED(DLOG_INFO));
	assert_false(D_LOG_ENABLED(DB_IO));
	assert_true(d_log_check(fac | (int)DB_IO) != 0);
	assert_true(d_log_check(fac | (int)DB_TRACE) != 0);
	assert_false(d_log_check(fac | (int)DB_NET));
	assert_true(d_log_check(fac | DLOG_INFO) != 0);
	assert_false(d_log_check(d_mem_logfac | DLOG_WARN));

	len = d_log_getmasks(NULL, 0, 0, 0);
	assert_int_equal(d_log_getmasks(buf, 0, sizeof(buf), 0), len);
	assert_int_equal(strlen(buf), len);
	assert_non_null(strstr(buf, "misc=WARN,mem=ERR"));
	assert_non_null(strstr(buf, "obj=DEBUG"));

	d_log_sync_mask_ex("ERR", "net");
	assert_false(D_LOG_ENABLED(DLOG_WARN));
	assert_int_equal(d_log_setmasks("misc=DEBUG", 0), 0);
	assert_true(D_LOG_ENABLED(DB_NET));
	assert_false(D_LOG_ENABLED(DB_IO));
	assert_int_equal(d_log_setmasks("misc=LOUD", 0), -DER_INVAL);
	assert_int_equal(d_log_setlogmask(fac, DLOG_CRIT), DLOG_ERR);
	assert_int_equal(d_log_setlogmask(999, DLOG_CRIT), -1);
	D_DEBUG(DB_NET, "net message\n");
	D_DEBUG(DB_IO, "io message\n");
	text = slurp(path);
	assert_true(matches(text, "DBUG .* net message$"));
	assert_false(matches(text, "io message"));
	assert_int_equal(d_log_getdbgbit(&bits, "net,io"), 0);
	assert_true(bits == (DB_NET | DB_IO));
	assert_int_equal(d_log_getdbgbit(&bits, "nothing"), -DER_INVAL);
}

static void
test_subsys(void **state)
{
	int fac;

	d_setenv(D_LOG_MASK_ENV, "INFO", 1);
	d_setenv(DD_FAC_ENV, "mem", 1);
	assert_int_equal(d_log_init(), 0);
	fac = d_log_allocfacility("obj", "object");
	assert_false(d_log_check(fac | DLOG_WARN));
	assert_true(d_log_check(fac | DLOG_ERR) != 0);
	assert_true(d_log_check(d_mem_logfac | DLOG_INFO) != 0);
}

static void
test_rotate(void **state)
{
	char filler[1000];
	struct stat st;
	char old[64];
	int i;

	memset(filler, 'x', sizeof(filler) - 1);
	filler[sizeof(filler) - 1] = '\0';
	d_setenv(D_LOG_SIZE_ENV, "1M", 1);
	assert_int_equal(d_log_init(), 0);
	for (i = 0; i < 1100; i++)
		D_ERROR("%s\n", filler);
	snprintf(old, sizeof(old), "%s.old", path);
	assert_int_equal(stat(old, &st), 0);
	assert_in_range(st.st_size, 1 << 20, (1 << 20) + 4096);
	assert_int_equal(stat(path, &st), 0);
	assert_in_range(st.st_size, 1000, 1 << 19);
	d_unsetenv(D_LOG_SIZE_ENV);
}

static void
test_init_count(void **state)
{
	assert_int_equal(d_log_init(), 0);
	assert_int_equal(d_log_init(), 0);
	d_log_fini();
	assert_true(D_LOG_ENABLED(DLOG_ERR));
	d_log_fini();
	assert_false(D_LOG_ENABLED(DLOG_ERR));
	D_ERROR("dropped\n");
	d_log_fini();
	assert_int_equal(d_log_init(), 0);
	assert_null(strstr(slurp(path), "dropped"));
}

static void
test_fork(void **state)
{
	int status;
	pid_t pid;

	assert_int_equal(d_log_init(), 0);
	pid = fork();
	if (pid == 0) {
		d_log_disable_logging();
		D_ERROR("child before\n");
		d_log_reset();
		if (d_log_init() != 0)
			_exit(1);
		D_ERROR("child after\n");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_null(strstr(slurp(path), "child before"));
	assert_non_null(strstr(slurp(path), "child after"));
}

static void
test_bad_file(void **state)
{
	d_setenv(D_LOG_FILE_ENV, "/nonexistent/dir/log", 1);
	assert_int_equal(d_log_init(), -DER_NONEXIST);
	assert_false(D_LOG_ENABLED(DLOG_ERR));
}

static jmp_buf assert_jmp;
static int assert_hits;

static void
assert_hook(const int res, const char *expr, const char *file, const int line)
{
	assert_hits++;
	longjmp(assert_jmp, 1);
}

static void
test_assert(void **state)
{
	assert_int_equal(d_log_init(), 0);
	assert_int_equal(d_register_alt_assert(NULL), -DER_INVAL);
	assert_int_equal(d_register_alt_assert(assert_hook), 0);
	D_ASSERT(1 + 1 == 2);
	if (setjmp(assert_jmp) == 0)
		D_ASSERTF(1 + 1 == 3, "sum %d\n", 2);
	assert_int_equal(assert_hits, 1);
	assert_true(matches(slurp(path), "FATL .*Assertion '1 \\+ 1 == 3' failed: sum 2$"));
	d_alt_assert = NULL;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_line, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_masks, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_subsys, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_rotate, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_init_count, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_fork, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bad_file, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_assert, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
