/* Log messages: levels, facilities, the line form, the rate limit, several threads. */
#define LOG_FACILITY "tst"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <daos_errno.h>

#include "base/log.h"

struct sink {
	uint32_t nr;
	enum log_level level;
	char text[128];
	char file[64];
	char facility[16];
};

static void
sink_note(void *ctx, const struct log_rec *rec)
{
	struct sink *s = ctx;

	s->nr++;
	s->level = rec->level;
	assert_int_equal(rec->text_len, strlen(rec->text));
	snprintf(s->text, sizeof(s->text), "%s", rec->text);
	snprintf(s->file, sizeof(s->file), "%s", rec->file);
	snprintf(s->facility, sizeof(s->facility), "%s", rec->facility);
}

static void
test_levels(void **state)
{
	struct sink s = {0};

	log_set_sink(sink_note, &s);
	assert_int_equal(log_set_mask("WARN"), 0);
	log_info("too low");
	log_debug("too low");
	assert_int_equal(s.nr, 0);
	log_warn("count %d", 3);
	assert_int_equal(s.nr, 1);
	assert_int_equal(s.level, LOG_LVL_WARN);
	assert_string_equal(s.text, "count 3");
	assert_string_equal(s.facility, "tst");
	assert_string_equal(s.file, "base/test_log.c");
	log_err("a newline goes\n");
	assert_string_equal(s.text, "a newline goes");

	assert_int_equal(log_set_mask("err, TST=debug other=info"), 0);
	log_debug("mine");
	assert_int_equal(s.nr, 3);
	log_write(LOG_LVL_INFO, "other", "x.c", 1, "f", "passes");
	assert_int_equal(s.nr, 4);
	log_write(LOG_LVL_INFO, "third", "x.c", 1, "f", "does not");
	assert_int_equal(s.nr, 4);
	/* a facility may be quieter than the rest */
	assert_int_equal(log_set_mask("debug,tst=crit"), 0);
	log_err("no");
	assert_int_equal(s.nr, 4);
	log_crit("yes");
	assert_int_equal(s.nr, 5);
	log_set_level(LOG_LVL_ERR);
	log_err("still no");
	assert_int_equal(s.nr, 5);

	assert_int_equal(log_set_mask("loud"), -DER_INVAL);
	assert_int_equal(log_set_mask("err,tst=loud"), -DER_INVAL);
	assert_int_equal(log_set_mask("=err"), -DER_INVAL);
	log_crit("unchanged");
	assert_int_equal(s.nr, 6);
	log_set_sink(NULL, NULL);
	log_set_mask("ERR");
}

static void
test_line_form(void **state)
{
	const char *form = "^[0-9]{2}/[0-9]{2}-[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{2} [^ ]+ "
			   "myprog\\[[0-9]+/[0-9]+/[0-9]+\\] tst ERR  base/test_log\\.c:[0-9]+ "
			   "test_line_form\\(\\) it is 7\n$";
	char line[512] = "";
	regex_t re;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(regcomp(&re, form, REG_EXTENDED | REG_NOSUB), 0);
	log_set_program("myprog");
	log_set_fd(fds[1]);
	log_err("it is %d", 7);
	log_set_fd(STDERR_FILENO);
	assert_true(read(fds[0], line, sizeof(line) - 1) > 0);
	assert_int_equal(regexec(&re, line, 0, NULL, 0), 0);
	regfree(&re);
	close(fds[0]);
	close(fds[1]);
}

static void
test_cut(void **state)
{
	struct log_rec rec = {.level = LOG_LVL_INFO,
			      .facility = "f",
			      .file = "x.c",
			      .func = "fn",
			      .text = "0123456789012345678901234567890123456789"};
	struct timespec now = {0};
	char buf[64];
	size_t size;

	for (size = 2; size <= sizeof(buf); size++) {
		size_t len;

		memset(buf, 0x55, sizeof(buf));
		len = log_format(&rec, &now, buf, size);
		assert_true(len < size);
		assert_int_equal(buf[len - 1], '\n');
		if (size < sizeof(buf))
			assert_int_equal(buf[size], 0x55);
	}
}

static void
test_rate(void **state)
{
	struct sink s = {0};
	int i;

	log_set_sink(sink_note, &s);
	for (i = 0; i < 10; i++)
		log_every(60000, LOG_LVL_ERR, "again %d", i);
	assert_int_equal(s.nr, 1);
	assert_string_equal(s.text, "again 0");
	/* another place has a limit of its own */
	log_every(60000, LOG_LVL_ERR, "plain");
	assert_int_equal(s.nr, 2);
	/* below the level it does not even count */
	log_every(60000, LOG_LVL_DEBUG, "quiet");
	assert_int_equal(s.nr, 2);
	log_set_sink(NULL, NULL);
}

/* The second message of one place tells how many were held back. */
static void
test_rate_count(void **state)
{
	struct sink s = {0};
	int i;

	log_set_sink(sink_note, &s);
	for (i = 0; i < 11; i++) {
		if (i == 10)
			usleep(60000);
		log_every(50, LOG_LVL_ERR, "again %d", i);
	}
	log_set_sink(NULL, NULL);
	assert_int_equal(s.nr, 2);
	assert_string_equal(s.text, "again 10 (9 more like this)");
}

static void *
log_much(void *arg)
{
	int i;

	for (i = 0; i < 500; i++)
		log_err("thread %d line %d of a text that is long enough to be torn apart",
			*(int *)arg, i);
	return NULL;
}

static void
test_threads(void **state)
{
	char path[] = "/tmp/test_log.XXXXXX";
	int ids[3] = {0, 1, 2};
	pthread_t threads[3];
	int next[3] = {0};
	char line[512];
	int lines = 0;
	FILE *f;
	int fd;
	int i;

	fd = mkstemp(path);
	assert_true(fd >= 0);
	log_set_fd(fd);
	for (i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, log_much, &ids[i]);
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	log_set_fd(STDERR_FILENO);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		const char *p = strstr(line, "() thread ");
		int id;
		int n;

		assert_non_null(p);
		assert_int_equal(sscanf(p, "() thread %d line %d of a text", &id, &n), 2);
		assert_int_equal(n, next[id]++);
		lines++;
	}
	assert_int_equal(lines, 1500);
	fclose(f);
	close(fd);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_levels),     cmocka_unit_test(test_line_form),
	    cmocka_unit_test(test_cut),        cmocka_unit_test(test_rate),
	    cmocka_unit_test(test_rate_count), cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
