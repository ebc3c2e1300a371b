/* Parsing of command lines, tables and rank lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <daos_errno.h>

#include "client/cmdline/cli.h"

static struct {
	char size[32];
	char args[4][32];
	uint32_t arg_nr;
	bool verbose;
	bool json;
	int runs;
} seen;

static int
run_create(struct cli *cli)
{
	const char *size = cli_value(cli, "size");
	uint32_t i;

	memset(&seen, 0, sizeof(seen));
	snprintf(seen.size, sizeof(seen.size), "%s", size == NULL ? "-" : size);
	seen.arg_nr = cli_arg_nr(cli);
	for (i = 0; i < seen.arg_nr; i++)
		snprintf(seen.args[i], sizeof(seen.args[i]), "%s", cli_arg(cli, i));
	seen.verbose = cli_flag(cli, "verbose");
	seen.json = cli_json(cli);
	seen.runs = 1;
	if (seen.arg_nr > 0 && strcmp(seen.args[0], "nosuch") == 0)
		return cli_fail_der(cli, -DER_NONEXIST, "failed to find \"%s\"", seen.args[0]);
	return 0;
}

static const struct cli_opt create_opts[] = {
    {"size", 'z', "BYTES", "how large", false},
    {"verbose", 'v', NULL, "more", false},
    {0},
};
static const struct cli_cmd pool_cmds[] = {
    {"create", "new", "make one", "LABEL", create_opts, NULL, run_create, 1, 2},
    {0},
};
static const struct cli_cmd cmds[] = {
    {"pool", "p", "pools", NULL, NULL, pool_cmds, NULL, 0, 0},
    {0},
};
static const struct cli_tool tool = {.name = "t", .title = "T", .help = "a tool", .cmds = cmds};

static int
call(const char *line)
{
	char *copy = strdup(line);
	char *argv[16] = {"t"};
	int argc = 1;
	char *save = NULL;
	char *w;
	int rc;

	memset(&seen, 0, sizeof(seen));
	for (w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	rc = cli_main(&tool, argc, argv);
	free(copy);
	return rc;
}

static void
test_forms(void **state)
{
	static const char *const lines[] = {
	    "pool create --size=5 a", "pool create a --size 5", "p new -z5 a",
	    "pool --size=5 create a", "--size 5 pool create a", "pool create -z=5 -- a",
	    "pool create a -z 5",
	};
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(call(lines[i]), 0);
		assert_int_equal(seen.runs, 1);
		assert_string_equal(seen.size, "5");
		assert_int_equal(seen.arg_nr, 1);
		assert_string_equal(seen.args[0], "a");
	}
	assert_int_equal(call("pool create -vj a b"), 0);
	assert_true(seen.verbose && seen.json);
	assert_int_equal(seen.arg_nr, 2);
}

static void
test_errors(void **state)
{
	static const char *const lines[] = {
	    "",
	    "pool",
	    "nosuch",
	    "pool create",
	    "pool create a b c",
	    "pool create a --nosuch",
	    "pool create a -q",
	    "pool create a --size",
	    "pool create a --verbose=1",
	};
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(call(lines[i]), 1);
		assert_int_equal(seen.runs, 0);
	}
	assert_int_equal(call("pool create nosuch"), 1);
	assert_int_equal(seen.runs, 1);
	assert_int_equal(call("pool create --help"), 0);
	assert_int_equal(seen.runs, 0);
}

static void
test_table(void **state)
{
	const char *titles[] = {"Pool", "Size"};
	const char *row[] = {"tank17", "7.0 GB"};
	struct cli_table *t = cli_table_create(titles, 2);
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	cli_table_row(t, row);
	cli_table_print(t, f, "");
	fclose(f);
	assert_string_equal(text, "Pool   Size   \n"
				  "----   ----   \n"
				  "tank17 7.0 GB \n");
	free(text);
	cli_table_destroy(t);
}

static void
test_ranks(void **state)
{
	static const char *const bad[] = {"",  "-",  "1-", "3-1", "1,,2",
					  "a", "[1", "1]", " 1",  "4294967295"};
	uint32_t *v = NULL;
	uint32_t nr = 0;
	char *text;
	size_t i;

	assert_int_equal(cli_ranks_parse("7,0-2,1", &v, &nr), 0);
	assert_int_equal(nr, 4);
	text = cli_ranks_text(v, nr, true);
	assert_string_equal(text, "[0-2,7]");
	free(text);
	text = cli_ranks_text(v, 1, true);
	assert_string_equal(text, "0");
	free(text);
	free(v);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(cli_ranks_parse(bad[i], &v, &nr), -DER_INVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_forms),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_ranks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
