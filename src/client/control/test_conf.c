/* Configuration files: what loads, and what the error line says when one does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <daos_errno.h>

#include "client/control/conf.h"

static char path[] = "/tmp/test_conf.XXXXXX";

static int
load(const char *text, struct conf_control **ret, char err[CONF_ERR_LEN])
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	err[0] = '\0';
	return conf_load(path, &conf_control_schema, (void **)ret, err);
}

static void
test_good(void **state)
{
	struct conf_control *c = NULL;
	char err[CONF_ERR_LEN];

	assert_int_equal(load("# comment\nname: sys1\nport: 10002\nhostlist: [a, 'b:1']\n"
			      "transport_config:\n  allow_insecure: true\n",
			      &c, err),
			 0);
	assert_string_equal(c->name, "sys1");
	assert_int_equal(*c->port, 10002);
	assert_int_equal(c->hostlist_count, 2);
	assert_string_equal(c->hostlist[1], "b:1");
	assert_int_equal(conf_transport_check(path, c->transport_config, err), 0);
	conf_free(&conf_control_schema, c);
}

static void
test_bad(void **state)
{
	static const struct {
		const char *text;
		const char *words[3];
	} cases[] = {
	    {"name: a\nprot: 1\n", {"line 2", "prot"}},
	    {"name: a\n\nport: many\n", {"line 3", "port", "many"}},
	    {"name: [a\n", {"line"}},
	    {"transport_config:\n  allow_insecure: perhaps\n", {"line 2", "allow_insecure"}},
	    {"", {"empty"}},
	};
	struct conf_control *c = NULL;
	char err[CONF_ERR_LEN];
	size_t i, j;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(load(cases[i].text, &c, err), -DER_INVAL);
		assert_null(strchr(err, '\n'));
		assert_non_null(strstr(err, path));
		for (j = 0; j < 3 && cases[i].words[j] != NULL; j++)
			if (strstr(err, cases[i].words[j]) == NULL)
				fail_msg("'%s' is not in: %s", cases[i].words[j], err);
	}
	assert_int_equal(conf_load("/nonexistent.yml", &conf_control_schema, (void **)&c, err),
			 -DER_NONEXIST);
	assert_int_equal(conf_transport_check(path, NULL, err), -DER_NOSYS);
}

static void
test_hosts(void **state)
{
	static const char *const want[] = {"node01", "node02", "node07", "x:10", "y1z"};
	static const char *const bad[] = {"", "a,,b", "a[1", "a[]", "a[2-1]", "a[1-99999]", "a[x]"};
	char **hosts = NULL;
	uint32_t nr = 0;
	size_t i;

	assert_int_equal(conf_hosts_expand("node[01-02,07],x:10,y[1]z", &hosts, &nr), 0);
	assert_int_equal(nr, 5);
	for (i = 0; i < nr; i++)
		assert_string_equal(hosts[i], want[i]);
	conf_hosts_free(hosts, nr);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(conf_hosts_expand(bad[i], &hosts, &nr), -DER_INVAL);
}

static void
test_names(void **state)
{
	assert_true(conf_system_name_ok("daos_server"));
	assert_false(conf_system_name_ok(""));
	assert_false(conf_system_name_ok("sixteencharacter"));
	assert_false(conf_system_name_ok("a b"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_hosts),
	    cmocka_unit_test(test_names),
	};
	int fd = mkstemp(path);
	int rc;

	if (fd < 0)
		return 1;
	close(fd);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return rc;
}
