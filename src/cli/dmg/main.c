/* dmg: the administrator's command line. It talks to daos_server's management API and to nothing
 * else. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <daos_errno.h>

#include "cli/dmg/dmg.h"
#include "client/control/conf.h"
#include "client/control/http.h"

static int
conf_read(struct cli *cli, struct conf_control **ret_conf)
{
	const char *path = cli_value(cli, "config-path");
	char err[CONF_ERR_LEN];
	int rc;

	*ret_conf = NULL;
	if (path == NULL) {
		path = CONF_DIR_DEFAULT "/daos_control.yml";
		if (access(path, F_OK) != 0) {
			if (cli_flag(cli, "insecure"))
				return 0;
			return cli_fail(
			    cli, -DER_NONEXIST,
			    "%s: no such file; name one with -o, or use -i for the local server",
			    path);
		}
	}
	rc = conf_load(path, &conf_control_schema, (void **)ret_conf, err);
	if (rc != 0)
		return cli_fail(cli, rc, "%s", err);
	if (!cli_flag(cli, "insecure"))
		rc = conf_transport_check(path, (*ret_conf)->transport_config, err);
	if (rc == 0 && (*ret_conf)->port != NULL &&
	    (*(*ret_conf)->port == 0 || *(*ret_conf)->port > 65535)) {
		snprintf(err, sizeof(err), "%s: key 'port': %u is not a port", path,
			 *(*ret_conf)->port);
		rc = -DER_INVAL;
	}
	return rc == 0 ? 0 : cli_fail(cli, rc, "%s", err);
}

/* Expand the host names of one list item after another. */
static int
hosts_collect(struct cli *cli, char *const *items, uint32_t item_nr, char ***ret_hosts,
	      uint32_t *ret_nr)
{
	char **all = NULL;
	uint32_t nr = 0, i, j;

	for (i = 0; i < item_nr; i++) {
		char **some = NULL;
		uint32_t some_nr = 0;
		char **more;
		int rc = conf_hosts_expand(items[i], &some, &some_nr);

		if (rc != 0) {
			conf_hosts_free(all, nr);
			return cli_fail(cli, rc, "'%s' is not a list of hosts", items[i]);
		}
		more = realloc(all, (nr + some_nr) * sizeof(*all));
		if (more == NULL) {
			conf_hosts_free(some, some_nr);
			conf_hosts_free(all, nr);
			return cli_fail(cli, -DER_NOMEM, "out of memory");
		}
		all = more;
		for (j = 0; j < some_nr; j++)
			all[nr++] = some[j];
		free(some);
	}
	*ret_hosts = all;
	*ret_nr = nr;
	return 0;
}

int
dmg_hosts(struct cli *cli, char ***ret_hosts, uint32_t *ret_nr, uint16_t *ret_port)
{
	struct conf_control *conf = NULL;
	char *one = (char *)cli_value(cli, "host-list");
	static char *const local = "localhost";
	int rc;

	rc = conf_read(cli, &conf);
	if (rc == 0) {
		*ret_port = conf != NULL && conf->port != NULL ? *conf->port : CONF_PORT_DEFAULT;
		if (one != NULL)
			rc = hosts_collect(cli, &one, 1, ret_hosts, ret_nr);
		else if (conf != NULL && conf->hostlist_count > 0)
			rc = hosts_collect(cli, conf->hostlist, conf->hostlist_count, ret_hosts,
					   ret_nr);
		else
			rc = hosts_collect(cli, &local, 1, ret_hosts, ret_nr);
	}
	conf_free(&conf_control_schema, conf);
	return rc;
}

int
dmg_call(struct cli *cli, const char *method, json_t *req, uint32_t timeout_ms, const char *what,
	 json_t **ret)
{
	char err[HTTP_ERR_LEN] = "";
	char **hosts = NULL;
	uint32_t nr = 0, i;
	uint16_t port;
	int rc;

	rc = dmg_hosts(cli, &hosts, &nr, &port);
	if (rc != 0) {
		json_decref(req);
		return rc;
	}
	rc = -DER_UNREACH;
	for (i = 0; i < nr; i++) {
		rc = http_call(hosts[i], port, method, req, timeout_ms, ret, err);
		/* another server can do no better when this one answered */
		if (rc != -DER_UNREACH && rc != -DER_TIMEDOUT)
			break;
	}
	conf_hosts_free(hosts, nr);
	json_decref(req);
	if (rc == 0)
		return 0;
	if (what != NULL && rc != -DER_UNREACH)
		return cli_fail(cli, rc, "%s: %s", what, err);
	return cli_fail(cli, rc, "%s", err);
}

int
dmg_ranks_opt(struct cli *cli, json_t **ret)
{
	const char *text = cli_value(cli, "ranks");
	uint32_t *ranks = NULL;
	uint32_t nr = 0;
	int rc;

	*ret = NULL;
	if (text == NULL)
		return 0;
	rc = cli_ranks_parse(text, &ranks, &nr);
	if (rc != 0)
		return cli_fail(cli, rc, "--ranks: '%s' is not a list of ranks (as in 0-3,7)",
				text);
	*ret = cli_json_ranks(ranks, nr);
	free(ranks);
	return 0;
}

uint64_t
json_u64(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

const char *
json_str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s == NULL ? "" : s;
}

uint32_t *
json_ranks(const json_t *a, uint32_t *ret_nr)
{
	uint32_t nr = json_array_size(a);
	uint32_t *v = calloc(nr + 1, sizeof(*v));
	uint32_t i;

	for (i = 0; v != NULL && i < nr; i++)
		v[i] = json_integer_value(json_array_get(a, i));
	*ret_nr = v == NULL ? 0 : nr;
	return v;
}

static int
run_version(struct cli *cli)
{
	fprintf(cli_out(cli), "DAOS Admin Tool version %s\n", DAOS_VERSION_STR);
	cli_respond(cli,
		    json_pack("{s:s,s:s}", "name", "DAOS Admin Tool", "version", DAOS_VERSION_STR));
	return 0;
}

static const struct cli_opt global_opts[] = {
    {"config-path", 'o', "FILE", "configuration (default " CONF_DIR_DEFAULT "/daos_control.yml)",
     false},
    {"insecure", 'i', NULL, "talk to servers without certificates", false},
    {"host-list", 'l', "HOSTS",
     "servers to talk to instead of the configured ones, as in node[1-8]", false},
    {0},
};
static const struct cli_cmd cmds[] = {
    {"pool", NULL, "create, destroy and look at pools", NULL, NULL, dmg_pool_cmds, NULL, 0, 0},
    {"storage", "sto", "storage of the servers", NULL, NULL, dmg_storage_cmds, NULL, 0, 0},
    {"system", "sys", "the system and its ranks", NULL, NULL, dmg_system_cmds, NULL, 0, 0},
    {"version", NULL, "print the version", NULL, NULL, NULL, run_version, 0, 0},
    {0},
};
static const struct cli_tool tool = {
    .name = "dmg",
    .title = "DAOS Admin Tool",
    .help = "Administers a DAOS system.",
    .opts = global_opts,
    .cmds = cmds,
};

int
main(int argc, char **argv)
{
	return cli_main(&tool, argc, argv);
}
