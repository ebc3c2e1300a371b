/*
 * Errors, hashes, rank lists, environment, strings, clock, sgl helpers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <sys/wait.h>

#include <gurt/common.h>

static void
test_errno(void **state)
{
	assert_string_equal(d_errstr(0), "DER_SUCCESS");
	assert_string_equal(d_errstr(-DER_NO_PERM), "DER_NO_PERM");
	assert_string_equal(d_errstr(DER_QUOTA_LIMIT), "DER_QUOTA_LIMIT");
	assert_string_equal(d_errstr(-DER_IO), "DER_IO");
	assert_string_equal(d_errstr(-DER_IGNORE), "DER_IGNORE");
	assert_string_equal(d_errstr(-DER_LAST_VALID), "DER_UNKNOWN");
	assert_string_equal(d_errstr(-DER_UNKNOWN), "DER_UNKNOWN");
	assert_string_equal(d_errstr(INT_MIN), "DER_UNKNOWN");
	assert_string_equal(d_errstr(1), "DER_UNKNOWN");
	assert_string_equal(d_errstr(DER_ERR_DAOS_BASE), "DER_UNKNOWN");
	assert_string_equal(d_errdesc(-DER_DIV_BY_ZERO), "Division by zero");
	assert_string_equal(d_errdesc(42), "Unknown error code");
	assert_int_equal(DER_NO_PERM, 1001);
	assert_int_equal(DER_QUOTA_LIMIT, 1046);
	assert_int_equal(DER_IO, 2001);
	assert_int_equal(DER_IGNORE, 2052);
}

/* Values computed once from the published definitions of the algorithms. */
static void
test_hash_values(void **state)
{
	uint64_t ring[] = {10, 20, 30, 40};
	uint64_t i;

	assert_int_equal(d_hash_string_u32("", 0), 5381);
	assert_int_equal(d_hash_string_u32("a", 1), 5381 * 33 + 'a');
	assert_int_equal(d_hash_string_u32("abc", 3), 193485963);
	/* MurmurHash64A reference values, seed 0. */
	assert_true(d_hash_murmur64((const unsigned char *)"", 0, 0) == 0);
	assert_true(d_hash_murmur64((const unsigned char *)"hello", 5, 0) == 0x1e68d17c457bf117ULL);
	assert_int_equal(d_hash_srch_u64(ring, 4, 5), 0);
	assert_int_equal(d_hash_srch_u64(ring, 4, 10), 0);
	assert_int_equal(d_hash_srch_u64(ring, 4, 29), 1);
	assert_int_equal(d_hash_srch_u64(ring, 4, 30), 2);
	assert_int_equal(d_hash_srch_u64(ring, 4, 99), 3);
	assert_int_equal(d_hash_srch_u64(ring, 1, 99), 0);
	/* Jump hash: a new bucket takes keys, no key moves between old ones. */
	for (i = 0; i < 1000; i++) {
		uint32_t a = d_hash_jump(d_hash_mix64(i), 10);
		uint32_t b = d_hash_jump(d_hash_mix64(i), 11);

		assert_in_range(a, 0, 9);
		assert_true(b == a || b == 10);
	}
	assert_int_equal(d_hash_jump(12345, 1), 0);
	assert_int_equal(d_power2_nbits(0), 0);
	assert_int_equal(d_power2_nbits(1), 0);
	assert_int_equal(d_power2_nbits(5), 3);
	assert_int_equal(d_power2_nbits(8), 3);
	assert_int_equal(d_power2_nbits(UINT_MAX), 32);
}

static d_rank_list_t *
ranks(const char *digits)
{
	d_rank_list_t *list = d_rank_list_alloc((uint32_t)strlen(digits));
	size_t i;

	assert_non_null(list);
	for (i = 0; i < strlen(digits); i++)
		list->rl_ranks[i] = (d_rank_t)(digits[i] - '0');
	return list;
}

static void
assert_ranks(d_rank_list_t *list, const char *digits)
{
	d_rank_list_t *want = ranks(digits);

	assert_true(d_rank_list_identical(list, want));
	d_rank_list_free(want);
}

static void
test_rank_list(void **state)
{
	d_rank_list_t *a = ranks("3125");
	d_rank_list_t *b = ranks("5577");
	d_rank_list_t *dup;
	uint32_t *ints;
	uint32_t uidx;
	size_t len;
	int idx;

	assert_int_equal(d_rank_list_merge(a, b), 0);
	assert_ranks(a, "31257");
	assert_int_equal(d_rank_list_dup_sort_uniq(&dup, b), 0);
	assert_ranks(dup, "57");
	assert_true(d_rank_list_bsearch(dup, 7, &idx));
	assert_int_equal(idx, 1);
	assert_false(d_rank_list_bsearch(dup, 6, &idx));
	d_rank_list_filter(dup, a, true);
	assert_ranks(a, "312");
	assert_int_equal(d_rank_list_append(a, 9), 0);
	d_rank_list_sort(a);
	assert_ranks(a, "1239");
	assert_int_equal(d_rank_list_del(a, 2), 0);
	assert_int_equal(d_rank_list_del(a, 2), 0);
	assert_ranks(a, "139");
	d_rank_list_del_at(a, 2);
	d_rank_list_del_at(a, 2);
	assert_ranks(a, "13");
	assert_int_equal(d_idx_in_rank_list(a, 3, &uidx), 0);
	assert_int_equal(uidx, 1);
	assert_int_equal(d_idx_in_rank_list(a, 4, &uidx), -DER_NONEXIST);
	assert_int_equal(d_rank_list_copy(dup, a), 0);
	assert_ranks(dup, "13");
	assert_int_equal(rank_list_to_uint32_array(a, &ints, &len), 0);
	assert_int_equal(len, 2);
	assert_int_equal(ints[1], 3);
	d_free(ints);
	d_rank_list_free(a);
	d_rank_list_free(b);
	d_rank_list_free(dup);

	a = ranks("0123456789");
	d_srand(1);
	d_rank_list_shuffle(a);
	d_rank_list_sort(a);
	assert_ranks(a, "0123456789");
	assert_int_equal(d_rank_list_resize(a, 0), 0);
	assert_int_equal(a->rl_nr, 0);
	d_rank_list_free(a);
	d_rank_list_free(NULL);
}

static void
test_rank_str(void **state)
{
	static const struct {
		const char *digits;
		const char *text;
	} rows[] = {{"", "[]"}, {"4", "[4]"}, {"7012", "[0-2,7]"}, {"11330", "[0-1,3]"}};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		d_rank_list_t *list = ranks(rows[i].digits);
		char *text;

		assert_int_equal(d_rank_list_to_str(list, &text), 0);
		assert_string_equal(text, rows[i].text);
		d_free(text);
		d_rank_list_free(list);
	}
}

static void
test_env(void **state)
{
	char buf[4];
	char c;
	char *str;
	uint64_t u64;
	uint32_t u32;
	unsigned int u;
	bool b = true;

	d_unsetenv("GURT_T");
	assert_false(d_isenv_def("GURT_T"));
	assert_int_equal(d_getenv_bool("GURT_T", &b), -DER_NONEXIST);
	assert_true(b);
	assert_int_equal(d_agetenv_str(&str, "GURT_T"), -DER_NONEXIST);
	assert_null(str);
	d_setenv("GURT_T", "off", 1);
	assert_int_equal(d_getenv_bool("GURT_T", &b), 0);
	assert_false(b);
	d_setenv("GURT_T", "YES", 1);
	assert_int_equal(d_getenv_bool("GURT_T", &b), 0);
	assert_true(b);
	d_setenv("GURT_T", "perhaps", 1);
	assert_int_equal(d_getenv_bool("GURT_T", &b), -DER_INVAL);
	assert_int_equal(d_getenv_str(buf, sizeof(buf), "GURT_T"), 7);
	assert_string_equal(buf, "per");
	assert_int_equal(d_getenv_char("GURT_T", &c), -DER_INVAL);
	assert_int_equal(d_getenv_uint("GURT_T", &u), -DER_INVAL);
	d_setenv("GURT_T", "-1", 1);
	assert_int_equal(d_getenv_uint64_t("GURT_T", &u64), -DER_INVAL);
	d_setenv("GURT_T", "4294967296", 1);
	assert_int_equal(d_getenv_uint32_t("GURT_T", &u32), -DER_INVAL);
	assert_int_equal(d_getenv_uint64_t("GURT_T", &u64), 0);
	assert_true(u64 == 1ULL << 32);
	d_setenv("GURT_T", " 17 ", 1);
	assert_int_equal(d_getenv_uint("GURT_T", &u), 0);
	assert_int_equal(u, 17);
	assert_int_equal(d_agetenv_str(&str, "GURT_T"), 0);
	assert_string_equal(str, " 17 ");
	d_freeenv_str(&str);
	assert_null(str);
}

static void
test_strings(void **state)
{
	struct d_string_buffer_t buf = {0};
	struct d_vec_pointers vec;
	char *str;
	int i;

	for (i = 0; i < 1000; i++)
		assert_int_equal(d_write_string_buffer(&buf, "%d,", i % 10), 0);
	assert_int_equal(buf.str_size, 2000);
	assert_int_equal(strlen(buf.str), 2000);
	assert_memory_equal(buf.str + 1998, "9,", 3);
	d_free_string(&buf);
	assert_null(buf.str);
	D_ASPRINTF(str, "%s-%d", "a", 5);
	assert_string_equal(str, "a-5");
	D_FREE(str);
	D_STRNDUP(str, "abcdef", 3);
	assert_string_equal(str, "abc");
	D_FREE(str);
	assert_int_equal(d_vec_pointers_init(&vec, 0), 0);
	for (i = 0; i < 100; i++)
		assert_int_equal(d_vec_pointers_append(&vec, &vec), 0);
	assert_int_equal(vec.p_len, 100);
	d_vec_pointers_fini(&vec);
}

static void
test_memory(void **state)
{
	int *a;
	int *b;
	void *p;

	D_ALLOC_ARRAY(a, 4);
	assert_non_null(a);
	assert_int_equal(a[3], 0);
	a[3] = 7;
	D_REALLOC_ARRAY(b, a, 4, 8);
	assert_null(a);
	assert_int_equal(b[3], 7);
	assert_int_equal(b[7], 0);
	D_FREE(b);
	assert_null(b);
	D_ALIGNED_ALLOC(p, 4096, 100);
	assert_int_equal((uintptr_t)p % 4096, 0);
	D_FREE(p);
}

static void
test_sgl(void **state)
{
	d_sg_list_t sgl;
	d_sg_list_t copy;
	int i;

	assert_int_equal(d_sgl_init(&sgl, 2), 0);
	assert_int_equal(d_sgl_init(&copy, 2), 0);
	for (i = 0; i < 2; i++) {
		d_iov_set(&sgl.sg_iovs[i], d_calloc(1, 8), 8);
		d_iov_set(&copy.sg_iovs[i], d_calloc(1, 8), 8);
		memset(sgl.sg_iovs[i].iov_buf, 'x', 8);
	}
	assert_int_equal(d_sgl_buf_size(&sgl), 16);
	d_sgl_buf_copy(&copy, &sgl);
	assert_memory_equal(copy.sg_iovs[1].iov_buf, "xxxxxxxx", 8);
	d_sgl_fini(&sgl, true);
	d_sgl_fini(&copy, true);
	assert_int_equal(sgl.sg_nr, 0);
	d_sgl_fini(NULL, true);
}

static void
test_hlc(void **state)
{
	struct timespec ts;
	struct timespec now;
	uint64_t stamp;
	uint64_t next;
	uint64_t off;
	int i;

	stamp = d_hlc_get();
	for (i = 0; i < 1000; i++) {
		next = d_hlc_get();
		assert_true(next > stamp);
		stamp = next;
	}
	assert_int_equal(d_hlc2timespec(stamp, &ts), 0);
	clock_gettime(CLOCK_REALTIME, &now);
	assert_in_range(now.tv_sec - ts.tv_sec, 0, 1);
	assert_int_equal(d_timespec2hlc(ts, &next), 0);
	assert_true(next == (stamp & ~15ULL));
	assert_true(d_unixnsec2hlc(d_hlc2unixnsec(stamp)) == (stamp & ~15ULL));
	assert_true(d_unixnsec2hlc(1000) == 0);
	assert_true(d_hlc2sec(d_sec2hlc(77)) == 77);
	/* Within epsilon a message moves the clock, beyond it does not. */
	assert_int_equal(d_hlc_get_msg(stamp + d_msec2hlc(500), &next, NULL), 0);
	assert_true(next > stamp + d_msec2hlc(500));
	assert_int_equal(d_hlc_get_msg(stamp + d_sec2hlc(100), &next, &off), -DER_HLC_SYNC);
	assert_true(d_hlc2sec(off) >= 98);
	assert_true(d_hlc_get() < stamp + d_sec2hlc(50));
	d_hlct_sync(100);
	d_hlct_sync(50);
	assert_true(d_hlct_get() == 100);
}

static void
test_time(void **state)
{
	struct timespec a = {.tv_sec = 1, .tv_nsec = 900000000};
	struct timespec b = {.tv_sec = 3, .tv_nsec = 100000000};
	struct timespec d = d_timediff(&a, &b);
	struct d_backoff_seq seq;
	double nums[] = {2, 4, 4, 4, 5, 5, 7, 9};
	int i;

	assert_int_equal(d.tv_sec, 1);
	assert_int_equal(d.tv_nsec, 200000000);
	assert_int_equal(d_timediff_ns(&a, &b), 1200000000);
	assert_true(d_timeless(&a, &b));
	d_timeinc(&a, 5200000000ULL);
	assert_int_equal(a.tv_sec, 7);
	assert_int_equal(a.tv_nsec, 100000000);
	assert_int_equal(d_time_ms(1500).tv_nsec, 500000000);
	assert_true(d_stand_div(nums, 8) > 1.999 && d_stand_div(nums, 8) < 2.001);

	assert_int_equal(d_backoff_seq_init(&seq, 2, 4, 16, 8), -DER_INVAL);
	assert_int_equal(d_backoff_seq_init(&seq, 2, 4, 8, 100), 0);
	assert_int_equal(d_backoff_seq_next(&seq), 0);
	assert_int_equal(d_backoff_seq_next(&seq), 0);
	assert_in_range(d_backoff_seq_next(&seq), 0, 8);
	for (i = 0; i < 20; i++)
		assert_in_range(d_backoff_seq_next(&seq), 0, 100);
	assert_int_equal(seq.bos_next, 100);
	d_backoff_seq_fini(&seq);
}

/* What a child prints on standard error while it runs fn and dies; its wait status. */
static int
child_stderr(void (*fn)(void), char *buf, size_t size)
{
	size_t used = 0;
	int status;
	int fds[2];
	ssize_t len;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		fn();
		_exit(0);
	}
	close(fds[1]);
	while (used + 1 < size && (len = read(fds[0], buf + used, size - used - 1)) > 0)
		used += (size_t)len;
	buf[used] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
die_traced(void)
{
	signal(SIGBUS, SIG_DFL);
	d_signal_register();
	raise(SIGBUS);
}

static void
die_quietly(void)
{
	signal(SIGBUS, SIG_DFL);
	d_signal_stack_enable(false);
	d_signal_register();
	raise(SIGBUS);
}

static void
exit_by_own_handler(int signo)
{
	_exit(7);
}

static void
die_by_own_handler(void)
{
	signal(SIGBUS, exit_by_own_handler);
	d_signal_register();
	raise(SIGBUS);
}

static void
test_signals(void **state)
{
	char text[8192];
	int status;

	status = child_stderr(die_traced, text, sizeof(text));
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	assert_non_null(strstr(text, "fatal signal"));
	assert_non_null(strstr(text, "libgurt"));
	status = child_stderr(die_quietly, text, sizeof(text));
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	assert_string_equal(text, "");
	/* A program's own handler stays. */
	status = child_stderr(die_by_own_handler, text, sizeof(text));
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_errno),     cmocka_unit_test(test_hash_values),
	    cmocka_unit_test(test_rank_list), cmocka_unit_test(test_rank_str),
	    cmocka_unit_test(test_env),       cmocka_unit_test(test_strings),
	    cmocka_unit_test(test_memory),    cmocka_unit_test(test_sgl),
	    cmocka_unit_test(test_hlc),       cmocka_unit_test(test_time),
	    cmocka_unit_test(test_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
