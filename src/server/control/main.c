/* daos_server: reads its configuration, supervises the engines, serves the management API. */
#define LOG_FACILITY "control"
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <daos_errno.h>

#include "base/log.h"
#include "client/cmdline/cli.h"
#include "client/control/host.h"
#include "client/control/http.h"
#include "net/rpc/rpc.h"
#include "proto/mgmt.pb-c.h"
#include "server/control/api.h"
#include "server/control/server_conf.h"
#include "server/control/supervise.h"

enum { REPLICA_ASK_MS = 2000, MS_URI_NR_MAX = 64 };

struct server {
	struct server_conf *conf;
	const char *conf_path;
	struct net *net;
	struct sup *sup;
	struct api *api;
	char address[64];
	char control_addr[300];
	char engine_path[PATH_MAX];
	char *ms_uris[MS_URI_NR_MAX];
	uint32_t ms_uri_nr;
	bool insecure;
	bool bootstrap;
	char err[CONF_ERR_LEN];
};

static uint16_t
server_port(const struct server *s)
{
	return s->conf->port != NULL ? *s->conf->port : CONF_PORT_DEFAULT;
}

/* --- who am I among the replicas
 * ------------------------------------------------------------------- */

static bool
is_local_name(const char *host)
{
	char own[256] = "";
	char name[256];
	struct ifaddrs *ifs = NULL;
	struct ifaddrs *i;
	bool found = false;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(host, ":"), host);
	gethostname(own, sizeof(own) - 1);
	if (strcmp(name, "localhost") == 0 || strcmp(name, own) == 0)
		return true;
	own[strcspn(own, ".")] = '\0';
	if (strcmp(name, own) == 0)
		return true;
	if (getifaddrs(&ifs) != 0)
		return false;
	for (i = ifs; i != NULL && !found; i = i->ifa_next) {
		char text[INET_ADDRSTRLEN] = "";

		if (i->ifa_addr != NULL && i->ifa_addr->sa_family == AF_INET)
			inet_ntop(AF_INET, &((struct sockaddr_in *)i->ifa_addr)->sin_addr, text,
				  sizeof(text));
		found = text[0] != '\0' && strcmp(text, name) == 0;
	}
	freeifaddrs(ifs);
	return found;
}

/* Ask a replica on another server where the management service's ranks are; it may not be up yet.
 */
static void
ask_replica(struct server *s, const char *host)
{
	Mgmt__AttachInfoRep *info;
	char err[HTTP_ERR_LEN];
	uint8_t *buf = NULL;
	size_t len = 0, i, j;

	if (http_get_raw(host, server_port(s), "attach-info", REPLICA_ASK_MS, &buf, &len, err) !=
	    0) {
		log_warn("replica %s: %s", host, err);
		return;
	}
	info = mgmt__attach_info_rep__unpack(NULL, len, buf);
	free(buf);
	for (i = 0; info != NULL && i < info->n_ranks; i++)
		for (j = 0; j < info->n_replica_ranks && s->ms_uri_nr < MS_URI_NR_MAX; j++)
			if (info->ranks[i]->rank == info->replica_ranks[j])
				s->ms_uris[s->ms_uri_nr++] = strdup(info->ranks[i]->uri);
	if (info != NULL)
		mgmt__attach_info_rep__free_unpacked(info, NULL);
}

static void
find_replicas(struct server *s)
{
	char **hosts = s->conf->mgmt_svc_replicas;
	unsigned nr = s->conf->mgmt_svc_replicas_count;
	unsigned i;

	if (nr == 0) {
		hosts = s->conf->access_points;
		nr = s->conf->access_points_count;
	}
	s->bootstrap = nr == 0 || is_local_name(hosts[0]);
	for (i = 0; i < nr; i++)
		if (!is_local_name(hosts[i]))
			ask_replica(s, hosts[i]);
}

/* --- start
 * -------------------------------------------------------------------------------------------- */

/* Insecure mode listens on loopback unless an interface is named: nobody gets in by accident. */
static int
choose_address(struct server *s)
{
	const char *want = s->conf->control_iface != NULL ? s->conf->control_iface : "lo";
	struct ifaddrs *ifs = NULL;
	struct ifaddrs *i;
	char host[256] = "localhost";

	if (getifaddrs(&ifs) != 0)
		return -DER_MISC;
	for (i = ifs; i != NULL && s->address[0] == '\0'; i = i->ifa_next)
		if (i->ifa_addr != NULL && i->ifa_addr->sa_family == AF_INET &&
		    strcmp(i->ifa_name, want) == 0)
			inet_ntop(AF_INET, &((struct sockaddr_in *)i->ifa_addr)->sin_addr,
				  s->address, sizeof(s->address));
	freeifaddrs(ifs);
	if (s->address[0] == '\0') {
		snprintf(s->err, sizeof(s->err),
			 "%s: key 'control_iface': interface '%s' has no IPv4 address",
			 s->conf_path, want);
		return -DER_INVAL;
	}
	gethostname(host, sizeof(host) - 1);
	snprintf(s->control_addr, sizeof(s->control_addr), "%s:%u", s->address, server_port(s));
	return 0;
}

static void
note_ineffective(const char *key, void *arg)
{
	log_note("key '%s' has no effect: this implementation does not use what it sets", key);
}

static int
start_logging(struct server *s)
{
	int fd;

	log_set_level(LOG_LVL_NOTE);
	if (s->conf->control_log_mask != NULL && log_set_mask(s->conf->control_log_mask) != 0) {
		snprintf(s->err, sizeof(s->err),
			 "%s: key 'control_log_mask': '%s' is not a log level", s->conf_path,
			 s->conf->control_log_mask);
		return -DER_INVAL;
	}
	if (s->conf->control_log_file == NULL)
		return 0;
	fd = open(s->conf->control_log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0) {
		snprintf(s->err, sizeof(s->err), "%s: key 'control_log_file': %s: %s", s->conf_path,
			 s->conf->control_log_file, strerror(errno));
		return -DER_NO_PERM;
	}
	log_set_fd(fd);
	return 0;
}

/* daos_engine stands beside daos_server. */
static int
find_engine(struct server *s)
{
	char self[PATH_MAX] = "";
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0 ||
	    snprintf(s->engine_path, sizeof(s->engine_path), "%s/daos_engine", dirname(self)) >=
		(int)sizeof(s->engine_path) ||
	    access(s->engine_path, X_OK) != 0) {
		snprintf(s->err, sizeof(s->err), "cannot find daos_engine beside daos_server (%s)",
			 s->engine_path);
		return -DER_NONEXIST;
	}
	return 0;
}

static int
serve(struct server *s, bool auto_format, int stop_fd)
{
	struct net_conf nc = {.provider = s->conf->provider,
			      .interface = s->conf->engines[0].fabric_iface};
	struct sup_conf sc = {
	    .conf = s->conf,
	    .engine_path = s->engine_path,
	    .control_addr = s->control_addr,
	    .auto_format = auto_format,
	    .insecure = s->insecure,
	    .bootstrap = s->bootstrap,
	    .ms_uris = (const char *const *)s->ms_uris,
	    .ms_uri_nr = s->ms_uri_nr,
	};
	struct api_conf ac = {
	    .conf = s->conf,
	    .address = s->address,
	    .port = server_port(s),
	    .control_addr = s->control_addr,
	    .ms_uris = sc.ms_uris,
	    .ms_uri_nr = s->ms_uri_nr,
	};
	int rc;

	rc = net_open_fabric(&nc, &s->net);
	if (rc != 0) {
		snprintf(s->err, sizeof(s->err),
			 "cannot open the fabric (provider %s, interface %s)",
			 nc.provider != NULL ? nc.provider : "automatic",
			 nc.interface != NULL ? nc.interface : "automatic");
		return rc;
	}
	rc = sup_create(&sc, &s->sup);
	if (rc != 0)
		return rc;
	ac.sup = s->sup;
	ac.net = s->net;
	rc = api_start(&ac, &s->api, s->err);
	if (rc != 0)
		return rc;
	log_note("daos_server " DAOS_VERSION_STR " serves %s, %u engines", s->control_addr,
		 sup_engine_nr(s->sup));
	if (s->insecure)
		log_warn("insecure mode: nothing is signed or encrypted");
	host_notify_ready();
	rc = sup_run(s->sup, stop_fd);
	log_note("daos_server ends");
	return rc;
}

static void
server_fini(struct server *s)
{
	uint32_t i;

	api_stop(s->api);
	sup_destroy(s->sup);
	if (s->net != NULL)
		net_close(s->net);
	for (i = 0; i < s->ms_uri_nr; i++)
		free(s->ms_uris[i]);
	server_conf_free(s->conf);
}

static int
run_start(struct cli *cli)
{
	struct server s = {0};
	sigset_t set;
	int stop_fd;
	int rc;

	s.conf_path = cli_value(cli, "config");
	if (s.conf_path == NULL)
		s.conf_path = CONF_DIR_DEFAULT "/daos_server.yml";
	s.insecure = cli_flag(cli, "insecure");
	rc = server_conf_load(s.conf_path, s.insecure, &s.conf, s.err);
	if (rc != 0)
		return cli_fail(cli, rc, "%s", s.err);
	s.insecure = true; /* server_conf_load() accepts nothing else yet */
	if (cli_value(cli, "port") != NULL) {
		long port = strtol(cli_value(cli, "port"), NULL, 10);

		if (port <= 0 || port > 65535) {
			server_fini(&s);
			return cli_fail(cli, -DER_INVAL, "--port: '%s' is not a port",
					cli_value(cli, "port"));
		}
		if (s.conf->port == NULL)
			s.conf->port = calloc(1, sizeof(*s.conf->port));
		*s.conf->port = port;
	}
	/* before any thread exists, so that all of them inherit it */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigdelset(&set, SIGCHLD);
	stop_fd = signalfd(-1, &set, SFD_CLOEXEC);
	signal(SIGPIPE, SIG_IGN);
	rc = start_logging(&s);
	if (rc == 0)
		rc = find_engine(&s);
	if (rc == 0)
		rc = choose_address(&s);
	if (rc == 0) {
		server_conf_ineffective(s.conf, note_ineffective, NULL);
		find_replicas(&s);
		rc = serve(&s, cli_flag(cli, "auto-format"), stop_fd);
	}
	if (rc != 0)
		cli_fail(cli, rc, "%s", s.err[0] != '\0' ? s.err : "out of memory");
	server_fini(&s);
	return rc;
}

static int
run_version(struct cli *cli)
{
	fprintf(cli_out(cli), "DAOS Control Server version %s\n", DAOS_VERSION_STR);
	cli_respond(cli, json_pack("{s:s,s:s}", "name", "DAOS Control Server", "version",
				   DAOS_VERSION_STR));
	return 0;
}

static const struct cli_opt start_opts[] = {
    {"config", 'o', "FILE", "configuration (default " CONF_DIR_DEFAULT "/daos_server.yml)", false},
    {"port", 'p', "PORT", "of the management API", false},
    {"insecure", 'i', NULL, "run without certificates", false},
    {"auto-format", 0, NULL, "format storage that is not formatted, without waiting for dmg",
     false},
    {0},
};
static const struct cli_cmd cmds[] = {
    {"start", NULL, "start and supervise the engines of this server", NULL, start_opts, NULL,
     run_start, 0, 0},
    {"version", NULL, "print the version", NULL, NULL, NULL, run_version, 0, 0},
    {0},
};
static const struct cli_tool tool = {
    .name = "daos_server",
    .title = "DAOS Control Server",
    .help = "Formats storage, starts and supervises engines, serves the management API.",
    .cmds = cmds,
};

int
main(int argc, char **argv)
{
	return cli_main(&tool, argc, argv);
}
