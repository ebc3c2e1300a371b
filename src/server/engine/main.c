/*
 * daos_engine: the process around one engine. Its options and what it writes to its status
 * descriptor are in engine.h.
 *
 * Signals are blocked before the first thread exists and taken by the main thread alone, which does
 * nothing else. What the engine's threads have to say to it (stop, error) arrives as SIGTERM too,
 * with a flag.
 */
#define LOG_FACILITY "engine"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <daos_errno.h>

#include "base/err.h"
#include "base/log.h"
#include "proto/mgmt_defs.h"
#include "server/engine/engine.h"

enum { URI_MAX = 64 };

struct options {
	struct engine_conf conf;
	struct net_conf net;
	const char *scm_path;
	const char *nvme_path;
	const char *log_file;
	const char *log_mask;
	const char *uris[URI_MAX];
	int status_fd;
};

struct process {
	int status_fd;
	pthread_t main_thread;
	_Atomic bool failed;
};

/* One line, one write: lines of several threads do not mix. */
static void __attribute__((format(printf, 2, 3)))
status(const struct process *p, const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int len;

	if (p->status_fd < 0)
		return;
	va_start(ap, fmt);
	len = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (len < 0)
		return;
	if ((size_t)len > sizeof(line) - 2)
		len = (int)sizeof(line) - 2;
	line[len] = '\n';
	if (write(p->status_fd, line, (size_t)len + 1) < 0)
		log_warn("status descriptor: %s", strerror(errno));
}

static void
on_state(uint32_t state, uint32_t rank, void *arg)
{
	status(arg, "state %u %u", state, rank);
}

static void
on_stop(bool force, void *arg)
{
	struct process *p = arg;

	log_note("asked to stop");
	status(p, "stop");
	pthread_kill(p->main_thread, SIGTERM);
}

static void
on_error(const char *text, void *arg)
{
	struct process *p = arg;

	status(p, "error %s", text);
	atomic_store(&p->failed, true);
	pthread_kill(p->main_thread, SIGTERM);
}

/* --- options --- */

enum option_id {
	OPT_NAME = 256,
	OPT_PROVIDER,
	OPT_IF,
	OPT_PORT,
	OPT_TARGETS,
	OPT_RANK,
	OPT_SCM,
	OPT_SCM_BYTES,
	OPT_NVME,
	OPT_NVME_BYTES,
	OPT_FAULT_DOMAIN,
	OPT_CONTROL_ADDR,
	OPT_MS,
	OPT_BOOTSTRAP,
	OPT_INSECURE,
	OPT_FIRST_CORE,
	OPT_LOG_FILE,
	OPT_LOG_MASK,
	OPT_STATUS_FD,
	OPT_HELP,
};

static const struct option long_options[] = {
    {"name", required_argument, NULL, OPT_NAME},
    {"provider", required_argument, NULL, OPT_PROVIDER},
    {"interface", required_argument, NULL, OPT_IF},
    {"port", required_argument, NULL, OPT_PORT},
    {"targets", required_argument, NULL, OPT_TARGETS},
    {"rank", required_argument, NULL, OPT_RANK},
    {"scm", required_argument, NULL, OPT_SCM},
    {"scm-bytes", required_argument, NULL, OPT_SCM_BYTES},
    {"nvme", required_argument, NULL, OPT_NVME},
    {"nvme-bytes", required_argument, NULL, OPT_NVME_BYTES},
    {"fault-domain", required_argument, NULL, OPT_FAULT_DOMAIN},
    {"control-addr", required_argument, NULL, OPT_CONTROL_ADDR},
    {"ms", required_argument, NULL, OPT_MS},
    {"bootstrap", no_argument, NULL, OPT_BOOTSTRAP},
    {"insecure", no_argument, NULL, OPT_INSECURE},
    {"first-core", required_argument, NULL, OPT_FIRST_CORE},
    {"log-file", required_argument, NULL, OPT_LOG_FILE},
    {"log-mask", required_argument, NULL, OPT_LOG_MASK},
    {"status-fd", required_argument, NULL, OPT_STATUS_FD},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static void
usage(FILE *f)
{
	fprintf(f, "usage: daos_engine --scm DIR [options]\n"
		   "Started by daos_server; serves one rank of a system.\n"
		   "  --name SYSTEM          name of the system (daos_server)\n"
		   "  --provider P           fabric provider; default: chosen\n"
		   "  --interface IF         network interface; default: chosen\n"
		   "  --port N               first port; each target takes one more (31316)\n"
		   "  --targets N            targets (1)\n"
		   "  --rank N               wanted rank; default: any\n"
		   "  --scm DIR              directory of metadata and small values\n"
		   "  --scm-bytes N          capacity offered; default: that of the file system\n"
		   "  --nvme DIR             directory of bulk data; default: no second tier\n"
		   "  --nvme-bytes N\n"
		   "  --fault-domain /PATH   where this rank is\n"
		   "  --control-addr H:P     its daos_server\n"
		   "  --ms URI               a replica of the management service (repeatable)\n"
		   "  --bootstrap            may form a new system\n"
		   "  --insecure             no certificates\n"
		   "  --first-core N         pin targets from this core on\n"
		   "  --log-file FILE        --log-mask MASK\n"
		   "  --status-fd FD         where to report\n");
}

static bool
number(const char *text, uint64_t max, uint64_t *ret_v)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || v > max)
		return false;
	*ret_v = v;
	return true;
}

/* False: wrong, and said so. */
static bool
option_number(int id, const char *text, struct options *o)
{
	uint64_t v = 0;
	bool ok = false;

	switch (id) {
	case OPT_PORT:
		ok = number(text, 65535, &v) && v > 0;
		o->conf.port = (uint16_t)v;
		break;
	case OPT_TARGETS:
		ok = number(text, 1024, &v) && v > 0;
		o->conf.target_nr = (uint32_t)v;
		break;
	case OPT_RANK:
		ok = number(text, MGMT_RANK_NONE, &v);
		o->conf.rank = (uint32_t)v;
		break;
	case OPT_SCM_BYTES:
		ok = number(text, UINT64_MAX, &o->conf.scm_bytes);
		break;
	case OPT_NVME_BYTES:
		ok = number(text, UINT64_MAX, &o->conf.nvme_bytes);
		break;
	case OPT_FIRST_CORE:
		ok = number(text, 65535, &v);
		o->conf.first_core = (int)v;
		break;
	case OPT_STATUS_FD:
		ok = number(text, INT_MAX, &v);
		o->status_fd = (int)v;
		break;
	}
	if (!ok)
		fprintf(stderr, "daos_engine: '%s' is not a valid number here\n", text);
	return ok;
}

static bool
option_set(int id, const char *text, struct options *o)
{
	switch (id) {
	case OPT_NAME:
		o->conf.system_name = text;
		return true;
	case OPT_PROVIDER:
		o->net.provider = text;
		return true;
	case OPT_IF:
		o->net.interface = text;
		return true;
	case OPT_SCM:
		o->scm_path = text;
		return true;
	case OPT_NVME:
		o->nvme_path = text;
		return true;
	case OPT_FAULT_DOMAIN:
		o->conf.fault_domain = text;
		return true;
	case OPT_CONTROL_ADDR:
		o->conf.control_addr = text;
		return true;
	case OPT_MS:
		if (o->conf.ms_uri_nr == URI_MAX) {
			fprintf(stderr, "daos_engine: more than %d --ms\n", URI_MAX);
			return false;
		}
		o->uris[o->conf.ms_uri_nr++] = text;
		return true;
	case OPT_BOOTSTRAP:
		o->conf.bootstrap = true;
		return true;
	case OPT_INSECURE:
		o->conf.insecure = true;
		return true;
	case OPT_LOG_FILE:
		o->log_file = text;
		return true;
	case OPT_LOG_MASK:
		o->log_mask = text;
		return true;
	case '?':
		return false; /* getopt has said why */
	default:
		return option_number(id, text, o);
	}
}

/* 0 go on, 1 help was printed, -1 wrong. */
static int
options_parse(int argc, char **argv, struct options *o)
{
	int id;

	*o = (struct options){
	    .conf =
		{
		    .system_name = "daos_server",
		    .port = 31316,
		    .target_nr = 1,
		    .rank = MGMT_RANK_NONE,
		    .first_core = -1,
		},
	    .status_fd = -1,
	};
	while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (id == OPT_HELP) {
			usage(stdout);
			return 1;
		}
		if (!option_set(id, optarg, o))
			return -1;
	}
	if (optind < argc) {
		fprintf(stderr, "daos_engine: unexpected argument '%s'\n", argv[optind]);
		return -1;
	}
	if (o->scm_path == NULL) {
		fprintf(stderr, "daos_engine: --scm is required\n");
		return -1;
	}
	if ((uint32_t)o->conf.port + o->conf.target_nr > 65535) {
		fprintf(stderr, "daos_engine: no room for %u targets above port %u\n",
			o->conf.target_nr, o->conf.port);
		return -1;
	}
	o->conf.ms_uris = o->uris;
	return 0;
}

/* --- the process --- */

static int
log_setup(const struct options *o)
{
	int fd, rc;

	log_set_program("daos_engine");
	log_set_level(LOG_LVL_NOTE);
	if (o->log_mask != NULL) {
		rc = log_set_mask(o->log_mask);
		if (rc != 0)
			return rc;
	}
	if (o->log_file == NULL)
		return 0;
	fd = open(o->log_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_from_errno(-errno);
	log_set_fd(fd);
	return 0;
}

/* Whether what failed is an error of ours to be reported: prints, tells, counts. */
static bool
failed(struct process *p, int rc, const char *what, const char *which)
{
	if (rc == 0)
		return false;
	log_crit("%s %s: " ERR_F, what, which, ERR_P(rc));
	status(p, "error %s %s: %s (%d)", what, which, err_text(rc), rc);
	return true;
}

static int
run(struct process *p, struct options *o, const sigset_t *signals)
{
	struct dev_dir *scm = NULL, *nvme = NULL;
	struct engine *engine = NULL;
	struct net *net = NULL;
	struct env env;
	char where[32];
	bool bad;
	int sig;

	env_init_real(&env);
	snprintf(where, sizeof(where), "%u", o->conf.port);
	bad =
	    failed(p, net_open_fabric(&o->net, &net), "cannot use network provider",
		   o->net.provider != NULL ? o->net.provider : "(default)") ||
	    failed(p, dev_dir_open_files(o->scm_path, &scm), "cannot open storage", o->scm_path) ||
	    (o->nvme_path != NULL && failed(p, dev_dir_open_files(o->nvme_path, &nvme),
					    "cannot open storage", o->nvme_path));
	if (!bad) {
		o->conf.env = &env;
		o->conf.net = net;
		o->conf.dir = scm;
		o->conf.bulk_dir = nvme;
		o->conf.on_state = on_state;
		o->conf.on_stop = on_stop;
		o->conf.on_error = on_error;
		o->conf.cb_arg = p;
		bad = failed(p, engine_start(&o->conf, &engine), "cannot start the engine at port",
			     where);
	}
	if (!bad) {
		log_note("engine at %s, %u targets", engine_uri(engine), o->conf.target_nr);
		status(p, "uri %s", engine_uri(engine));
		sigwait(signals, &sig);
		log_note("stopping (%s)", strsignal(sig));
		engine_stop(engine);
	}
	dev_dir_close(nvme);
	dev_dir_close(scm);
	if (net != NULL)
		net_close(net);
	return bad || atomic_load(&p->failed) ? 1 : 0;
}

int
main(int argc, char **argv)
{
	struct process p = {.status_fd = -1, .main_thread = pthread_self()};
	struct options o;
	sigset_t signals;
	int rc;

	rc = options_parse(argc, argv, &o);
	if (rc != 0)
		return rc > 0 ? 0 : 2;
	p.status_fd = o.status_fd;
	if (p.status_fd >= 0)
		fcntl(p.status_fd, F_SETFD, FD_CLOEXEC);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (failed(&p, log_setup(&o), "cannot log to",
		   o.log_file != NULL ? o.log_file : o.log_mask))
		return 1;
	rc = run(&p, &o, &signals);
	log_note("ended with status %d", rc);
	return rc;
}
