/* daos_agent: the command line around agent.c. */
#define LOG_FACILITY "agent"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <daos_errno.h>

#include "base/log.h"
#include "client/cmdline/cli.h"
#include "client/control/conf.h"
#include "client/control/host.h"
#include "client/control/http.h"
#include "proto/mgmt.pb-c.h"
#include "server/agent/agent.h"

static const cyaml_schema_field_t agent_fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct agent_conf,
			   name, 0, CYAML_UNLIMITED),
    CYAML_FIELD_SEQUENCE("access_points", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			 struct agent_conf, access_points, &conf_string_value, 0, 1024),
    CYAML_FIELD_UINT_PTR("port", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct agent_conf, port),
    CYAML_FIELD_STRING_PTR("runtime_dir", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			   struct agent_conf, runtime_dir, 0, CYAML_UNLIMITED),
    CYAML_FIELD_STRING_PTR("log_file", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct agent_conf,
			   log_file, 0, CYAML_UNLIMITED),
    CYAML_FIELD_STRING_PTR("control_log_mask", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			   struct agent_conf, control_log_mask, 0, CYAML_UNLIMITED),
    CYAML_FIELD_MAPPING_PTR("transport_config", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			    struct agent_conf, transport_config, conf_transport_fields),
    CONF_FIELD_BOOL("disable_caching", struct agent_conf, disable_caching),
    CYAML_FIELD_UINT_PTR("cache_expiration", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			 struct agent_conf, cache_expiration),
    CYAML_FIELD_END,
};
const cyaml_schema_value_t agent_conf_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct agent_conf, agent_fields),
};

static int
conf_read(struct cli *cli, struct agent_conf **ret_conf)
{
	const char *path = cli_value(cli, "config-path");
	char err[CONF_ERR_LEN];
	struct agent_conf *conf = NULL;
	int rc;

	if (path == NULL)
		path = CONF_DIR_DEFAULT "/daos_agent.yml";
	rc = conf_load(path, &agent_conf_schema, (void **)&conf, err);
	if (rc != 0)
		return cli_fail(cli, rc, "%s", err);
	if (!cli_flag(cli, "insecure"))
		rc = conf_transport_check(path, conf->transport_config, err);
	if (rc == 0 && conf->name != NULL && !conf_system_name_ok(conf->name)) {
		snprintf(err, sizeof(err), "%s: key 'name': '%s' is not a system name", path,
			 conf->name);
		rc = -DER_INVAL;
	}
	if (rc == 0 && conf->port != NULL && (*conf->port == 0 || *conf->port > 65535)) {
		snprintf(err, sizeof(err), "%s: key 'port': %u is not a port", path, *conf->port);
		rc = -DER_INVAL;
	}
	if (rc == 0 && conf->access_points_count == 0) {
		snprintf(err, sizeof(err), "%s: key 'access_points': no daos_server is named",
			 path);
		rc = -DER_INVAL;
	}
	if (rc == 0 && conf->control_log_mask != NULL &&
	    log_set_mask(conf->control_log_mask) != 0) {
		snprintf(err, sizeof(err), "%s: key 'control_log_mask': '%s' is not a log level",
			 path, conf->control_log_mask);
		rc = -DER_INVAL;
	}
	if (rc != 0) {
		conf_free(&agent_conf_schema, conf);
		return cli_fail(cli, rc, "%s", err);
	}
	*ret_conf = conf;
	return 0;
}

static int
run_start(struct cli *cli)
{
	struct agent_conf *conf = NULL;
	struct agent *agent = NULL;
	const char *dir, *log_file;
	char err[CONF_ERR_LEN] = "out of memory";
	sigset_t set;
	int stop_fd;
	int rc;

	log_set_level(LOG_LVL_NOTE);
	rc = conf_read(cli, &conf);
	if (rc != 0)
		return rc;
	dir = cli_value(cli, "runtime_dir");
	if (dir == NULL)
		dir = conf->runtime_dir != NULL ? conf->runtime_dir : AGENT_RUNTIME_DIR_DEFAULT;
	log_file = cli_value(cli, "logfile");
	if (log_file == NULL)
		log_file = conf->log_file;
	if (log_file != NULL) {
		int fd = open(log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

		if (fd < 0) {
			rc = cli_fail(cli, -DER_NO_PERM, "log file %s: %s", log_file,
				      strerror(errno));
			goto out;
		}
		log_set_fd(fd);
	}
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	stop_fd = signalfd(-1, &set, SFD_CLOEXEC);
	rc = agent_create(conf, dir, &agent, err);
	if (rc != 0) {
		rc = cli_fail(cli, rc, "%s", err);
		goto out;
	}
	log_note("daos_agent " DAOS_VERSION_STR " serves %s/daos_agent.sock", dir);
	if (cli_flag(cli, "insecure") || conf->transport_config->allow_insecure == CONF_TRUE)
		log_warn("insecure mode: nothing is signed or encrypted");
	host_notify_ready();
	rc = agent_serve(agent, stop_fd);
	agent_destroy(agent);
	log_note("daos_agent ends");
out:
	conf_free(&agent_conf_schema, conf);
	return rc;
}

static int
run_dump(struct cli *cli)
{
	struct agent_conf *conf = NULL;
	Mgmt__AttachInfoRep *info;
	char err[HTTP_ERR_LEN] = "";
	uint8_t *buf = NULL;
	size_t len = 0, i;
	unsigned a;
	FILE *out = cli_out(cli);
	const char *path = cli_value(cli, "output");
	int rc;

	rc = conf_read(cli, &conf);
	if (rc != 0)
		return rc;
	rc = -DER_NONEXIST;
	for (a = 0; a < conf->access_points_count && rc != 0; a++)
		rc = http_get_raw(conf->access_points[a],
				  conf->port != NULL ? *conf->port : CONF_PORT_DEFAULT,
				  "attach-info", AGENT_FETCH_MS, &buf, &len, err);
	conf_free(&agent_conf_schema, conf);
	if (rc != 0)
		return cli_fail(cli, rc, "failed to get the attach info: %s", err);
	info = mgmt__attach_info_rep__unpack(NULL, len, buf);
	free(buf);
	if (info == NULL)
		return cli_fail(cli, -DER_PROTO,
				"failed to get the attach info: it cannot be decoded");
	if (path != NULL && (out = fopen(path, "w")) == NULL) {
		mgmt__attach_info_rep__free_unpacked(info, NULL);
		return cli_fail(cli, -DER_NO_PERM, "%s: %s", path, strerror(errno));
	}
	fprintf(out, "name: %s\nprovider: %s\nrank_uris:\n", info->system, info->provider);
	for (i = 0; i < info->n_ranks; i++)
		fprintf(out, "- rank: %u\n  uri: %s\n", info->ranks[i]->rank, info->ranks[i]->uri);
	if (path != NULL)
		fclose(out);
	mgmt__attach_info_rep__free_unpacked(info, NULL);
	return 0;
}

static int
run_version(struct cli *cli)
{
	fprintf(cli_out(cli), "DAOS Agent version %s\n", DAOS_VERSION_STR);
	cli_respond(cli, json_pack("{s:s,s:s}", "name", "DAOS Agent", "version", DAOS_VERSION_STR));
	return 0;
}

static const struct cli_opt global_opts[] = {
    {"config-path", 'o', "FILE", "configuration (default " CONF_DIR_DEFAULT "/daos_agent.yml)",
     false},
    {"runtime_dir", 's', "DIR", "directory of the socket", false},
    {"logfile", 'l', "FILE", "where log lines go", false},
    {"insecure", 'i', NULL, "run without certificates", false},
    {0},
};
static const struct cli_opt dump_opts[] = {
    {"output", 'o', "FILE", "write there instead of to standard output", false},
    {0},
};
static const struct cli_cmd cmds[] = {
    {"start", NULL, "serve local clients (the default)", NULL, NULL, NULL, run_start, 0, 0},
    {"dump-attachinfo", NULL, "print what clients are told about the system", NULL, dump_opts, NULL,
     run_dump, 0, 0},
    {"version", NULL, "print the version", NULL, NULL, NULL, run_version, 0, 0},
    {0},
};
static const struct cli_tool tool = {
    .name = "daos_agent",
    .title = "DAOS Agent",
    .help = "Tells the clients of this node where the system is and signs who they are.",
    .opts = global_opts,
    .cmds = cmds,
    .default_cmd = "start",
};

int
main(int argc, char **argv)
{
	return cli_main(&tool, argc, argv);
}
