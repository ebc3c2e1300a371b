/* Engines as child processes: see supervise.h. */
#define LOG_FACILITY "control"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <daos_errno.h>

#include "base/log.h"
#include "client/control/host.h"
#include "proto/mgmt_defs.h"
#include "server/control/supervise.h"

enum {
	RESTART_MIN_MS = 50, /* pause before restarting an engine that had run for a while */
	RESTART_MAX_MS =
	    5000, /* an engine that keeps dying is restarted ever more slowly, up to this */
	RAN_WELL_MS = 10000, /* a process that lived so long resets the pause */
	STOP_MS = 30000,     /* after SIGTERM, before SIGKILL */
	ARG_NR_MAX = 128,
};

struct child {
	struct sup_engine pub; /* under the lock */
	const struct conf_engine *conf;
	int status_fd; /* -1 = none */
	char line[512];
	uint32_t line_len;
	uint64_t started_ms;
	uint64_t start_at_ms; /* 0 = not scheduled */
	uint32_t pause_ms;
	bool stop_asked; /* by the management service */
	bool want_start; /* under the lock */
};

struct sup {
	struct sup_conf c;
	pthread_mutex_t lock;
	int wake_fd;
	struct child *children;
	uint32_t nr;
	bool stopping;
};

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

static void
state_set(struct sup *sup, struct child *c, uint32_t state)
{
	pthread_mutex_lock(&sup->lock);
	c->pub.state = state;
	pthread_mutex_unlock(&sup->lock);
}

/* A directory with anything in it holds an engine's storage. */
static bool
formatted(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	bool found = false;

	while (d != NULL && !found && (e = readdir(d)) != NULL)
		found = e->d_name[0] != '.';
	if (d != NULL)
		closedir(d);
	return found;
}

/* --- starting ----------------------------------------------------------------------------------
 */

struct args {
	char *v[ARG_NR_MAX + 1];
	int nr;
	bool bad;
};

static void arg_add(struct args *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
arg_add(struct args *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (a->nr == ARG_NR_MAX || vasprintf(&a->v[a->nr], fmt, ap) < 0)
		a->bad = true;
	else
		a->v[++a->nr] = NULL;
	va_end(ap);
}

static void
args_fini(struct args *a)
{
	while (a->nr > 0)
		free(a->v[--a->nr]);
}

static void
args_fill(const struct sup *sup, uint32_t idx, int status_fd, struct args *a)
{
	const struct server_conf *sc = sup->c.conf;
	const struct conf_engine *e = &sc->engines[idx];
	const char *provider = e->provider != NULL ? e->provider : sc->provider;
	uint32_t i;

	arg_add(a, "%s", sup->c.engine_path);
	arg_add(a, "--name=%s", sc->name != NULL ? sc->name : CONF_SYSTEM_NAME_DEFAULT);
	if (provider != NULL)
		arg_add(a, "--provider=%s", provider);
	if (e->fabric_iface != NULL)
		arg_add(a, "--interface=%s", e->fabric_iface);
	arg_add(a, "--port=%u", e->fabric_iface_port != NULL ? *e->fabric_iface_port : 31416);
	arg_add(a, "--targets=%u", e->targets != NULL ? *e->targets : 1);
	if (e->rank != NULL)
		arg_add(a, "--rank=%u", *e->rank);
	arg_add(a, "--scm=%s", e->scm_dir);
	if (e->scm_bytes != 0)
		arg_add(a, "--scm-bytes=%llu", (unsigned long long)e->scm_bytes);
	if (e->nvme_dir != NULL)
		arg_add(a, "--nvme=%s", e->nvme_dir);
	if (e->nvme_bytes != 0)
		arg_add(a, "--nvme-bytes=%llu", (unsigned long long)e->nvme_bytes);
	arg_add(a, "--fault-domain=%s", e->domain);
	arg_add(a, "--control-addr=%s", sup->c.control_addr);
	for (i = 0; i < sup->c.ms_uri_nr; i++)
		arg_add(a, "--ms=%s", sup->c.ms_uris[i]);
	if (idx != 0 && sup->children[0].pub.uri[0] != '\0')
		arg_add(a, "--ms=%s", sup->children[0].pub.uri);
	if (idx == 0 && sup->c.bootstrap)
		arg_add(a, "--bootstrap");
	if (sup->c.insecure)
		arg_add(a, "--insecure");
	if (e->first_core != NULL)
		arg_add(a, "--first-core=%d", *e->first_core);
	if (e->log_file != NULL)
		arg_add(a, "--log-file=%s", e->log_file);
	if (e->log_mask != NULL)
		arg_add(a, "--log-mask=%s", e->log_mask);
	arg_add(a, "--status-fd=%d", status_fd);
}

/* In the child, between fork and exec. */
static void
child_exec(const struct sup *sup, uint32_t idx, int status_fd, char **argv, pid_t parent)
{
	const struct conf_engine *e = &sup->c.conf->engines[idx];
	sigset_t none;
	unsigned i;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	fcntl(status_fd, F_SETFD, 0);
	for (i = 0; i < e->env_vars_count; i++)
		putenv(e->env_vars[i]);
	execv(sup->c.engine_path, argv);
	dprintf(status_fd, "error cannot run %s: %s\n", sup->c.engine_path, strerror(errno));
	_exit(127);
}

static void
failed_to_start(struct sup *sup, struct child *c, const char *what, int err)
{
	pthread_mutex_lock(&sup->lock);
	c->pub.state = SYS_ST_ERRORED;
	snprintf(c->pub.error, sizeof(c->pub.error), "%s: %s", what, strerror(err));
	pthread_mutex_unlock(&sup->lock);
	log_err("engine %u: %s: %s", (unsigned)(c - sup->children), what, strerror(err));
}

static void
child_start(struct sup *sup, uint32_t idx)
{
	struct child *c = &sup->children[idx];
	const struct conf_engine *e = c->conf;
	struct args args = {0};
	pid_t parent = getpid();
	int fds[2];
	pid_t pid;
	int rc;

	c->start_at_ms = 0;
	rc = host_dir_make(e->scm_dir, 0700);
	if (rc == 0 && e->nvme_dir != NULL)
		rc = host_dir_make(e->nvme_dir, 0700);
	if (rc != 0) {
		failed_to_start(sup, c, e->scm_dir, -rc);
		return;
	}
	if (pipe2(fds, O_CLOEXEC) != 0) {
		failed_to_start(sup, c, "pipe", errno);
		return;
	}
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	args_fill(sup, idx, fds[1], &args);
	pid = args.bad ? -1 : fork();
	if (pid == 0)
		child_exec(sup, idx, fds[1], args.v, parent);
	close(fds[1]);
	args_fini(&args);
	if (pid < 0) {
		close(fds[0]);
		failed_to_start(sup, c, "fork", errno);
		return;
	}
	c->status_fd = fds[0];
	c->line_len = 0;
	c->started_ms = now_ms();
	c->stop_asked = false;
	pthread_mutex_lock(&sup->lock);
	c->pub.pid = pid;
	c->pub.state = SYS_ST_STARTING;
	c->pub.error[0] = '\0';
	pthread_mutex_unlock(&sup->lock);
	log_note("engine %u: started as process %d", idx, (int)pid);
}

/* --- watching ------------------------------------------------------------------------------------
 */

static void
status_line(struct sup *sup, struct child *c, const char *line)
{
	uint32_t idx = c - sup->children;
	unsigned state, rank;

	pthread_mutex_lock(&sup->lock);
	if (strncmp(line, "uri ", 4) == 0) {
		snprintf(c->pub.uri, sizeof(c->pub.uri), "%s", line + 4);
	} else if (sscanf(line, "state %u %u", &state, &rank) == 2) {
		if (state == SYS_ST_JOINED && c->pub.state != SYS_ST_JOINED)
			log_note("engine %u: joined as rank %u, %llu ms after its start", idx, rank,
				 (unsigned long long)(now_ms() - c->started_ms));
		c->pub.state = state;
		if (rank != MGMT_RANK_NONE)
			c->pub.rank = rank;
	} else if (strcmp(line, "stop") == 0) {
		c->stop_asked = true;
		c->pub.state = SYS_ST_STOPPING;
	} else if (strncmp(line, "error ", 6) == 0) {
		snprintf(c->pub.error, sizeof(c->pub.error), "%s", line + 6);
		log_err("engine %u: %s", idx, line + 6);
	} else {
		log_warn("engine %u: unknown status line '%s'", idx, line);
	}
	pthread_mutex_unlock(&sup->lock);
}

static void
status_read(struct sup *sup, struct child *c)
{
	char buf[512];
	ssize_t n, i;

	while (c->status_fd >= 0) {
		n = read(c->status_fd, buf, sizeof(buf));
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			close(c->status_fd);
			c->status_fd = -1;
			return;
		}
		for (i = 0; i < n; i++) {
			if (buf[i] == '\n') {
				c->line[c->line_len] = '\0';
				status_line(sup, c, c->line);
				c->line_len = 0;
			} else if (c->line_len < sizeof(c->line) - 1) {
				c->line[c->line_len++] = buf[i];
			}
		}
	}
}

static void
child_ended(struct sup *sup, struct child *c, int status)
{
	uint32_t idx = c - sup->children;
	const struct server_conf *sc = sup->c.conf;
	uint64_t ran_ms = now_ms() - c->started_ms;
	bool restart;

	status_read(sup, c);
	if (c->status_fd >= 0)
		close(c->status_fd);
	c->status_fd = -1;
	restart = !sup->stopping && !c->stop_asked && sc->disable_engine_auto_restart != CONF_TRUE;
	pthread_mutex_lock(&sup->lock);
	c->pub.pid = 0;
	if (WIFSIGNALED(status))
		snprintf(c->pub.error, sizeof(c->pub.error), "ended by signal %d (%s)",
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0 && c->pub.error[0] == '\0')
		snprintf(c->pub.error, sizeof(c->pub.error), "ended with status %d",
			 WEXITSTATUS(status));
	if (c->stop_asked || sup->stopping)
		c->pub.state = SYS_ST_STOPPED;
	else
		c->pub.state = restart ? SYS_ST_STARTING : SYS_ST_ERRORED;
	if (restart)
		c->pub.restarts++;
	pthread_mutex_unlock(&sup->lock);
	if (!restart) {
		log_note("engine %u: stopped%s%s", idx, c->pub.error[0] != '\0' ? ": " : "",
			 c->pub.error);
		return;
	}
	c->pause_ms = ran_ms >= RAN_WELL_MS ? RESTART_MIN_MS : 2 * c->pause_ms;
	if (c->pause_ms > RESTART_MAX_MS)
		c->pause_ms = RESTART_MAX_MS;
	if (sc->engine_auto_restart_min_delay != NULL &&
	    c->pause_ms < *sc->engine_auto_restart_min_delay * 1000u)
		c->pause_ms = *sc->engine_auto_restart_min_delay * 1000u;
	c->start_at_ms = now_ms() + c->pause_ms;
	log_err("engine %u (rank %d): %s; restarting in %u ms", idx, (int)c->pub.rank,
		c->pub.error[0] != '\0' ? c->pub.error : "ended by itself", c->pause_ms);
}

static uint32_t
reap(struct sup *sup)
{
	uint32_t alive = 0;
	uint32_t i;

	for (i = 0; i < sup->nr; i++) {
		struct child *c = &sup->children[i];
		int status;

		if (c->pub.pid == 0)
			continue;
		if (waitpid(c->pub.pid, &status, WNOHANG) == c->pub.pid)
			child_ended(sup, c, status);
		else
			alive++;
	}
	return alive;
}

/* Start those that are due; others wait for the first engine's address when it may form the system.
 */
static void
start_due(struct sup *sup)
{
	uint32_t i;

	for (i = 0; i < sup->nr; i++) {
		struct child *c = &sup->children[i];
		bool want;

		pthread_mutex_lock(&sup->lock);
		want = c->want_start;
		c->want_start = false;
		pthread_mutex_unlock(&sup->lock);
		if (want && c->pub.pid == 0) {
			c->pause_ms = RESTART_MIN_MS / 2;
			c->start_at_ms = now_ms();
			state_set(sup, c, SYS_ST_STARTING);
		}
		if (c->start_at_ms == 0 || c->start_at_ms > now_ms() || c->pub.pid != 0)
			continue;
		if (i != 0 && sup->c.bootstrap && sup->children[0].pub.uri[0] == '\0' &&
		    sup->children[0].pub.state == SYS_ST_STARTING)
			continue;
		child_start(sup, i);
	}
}

static int
next_timeout(const struct sup *sup)
{
	uint64_t now = now_ms();
	int timeout = -1;
	uint32_t i;

	for (i = 0; i < sup->nr; i++) {
		const struct child *c = &sup->children[i];
		int ms;

		if (c->start_at_ms == 0 || c->pub.pid != 0)
			continue;
		/* one that waits for the first engine is woken by its status line; the rest is a
		 * safety net */
		ms = c->start_at_ms > now ? (int)(c->start_at_ms - now) : 200;
		if (timeout < 0 || ms < timeout)
			timeout = ms;
	}
	return timeout;
}

static void
watch(struct sup *sup, int stop_fd, int chld_fd, int timeout, bool *ret_stop)
{
	struct pollfd fds[3 + SERVER_ENGINE_MAX];
	uint64_t sink[16];
	uint32_t i;

	fds[0] = (struct pollfd){.fd = stop_fd, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = chld_fd, .events = POLLIN};
	fds[2] = (struct pollfd){.fd = sup->wake_fd, .events = POLLIN};
	for (i = 0; i < sup->nr; i++)
		fds[3 + i] = (struct pollfd){.fd = sup->children[i].status_fd, .events = POLLIN};
	if (poll(fds, 3 + sup->nr, timeout) < 0)
		return;
	if (fds[0].revents != 0)
		*ret_stop = true;
	if (fds[2].revents != 0 && read(sup->wake_fd, sink, sizeof(sink[0])) < 0)
		log_debug("wake: %s", strerror(errno));
	for (i = 0; i < sup->nr; i++)
		if (fds[3 + i].revents != 0)
			status_read(sup, &sup->children[i]);
	if (fds[1].revents != 0) {
		char info[1024];

		while (read(chld_fd, info, sizeof(info)) > 0)
			;
	}
	reap(sup);
}

/* SIGCHLD as a descriptor; it is blocked from here on. */
static int
child_fd_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void
signal_all(struct sup *sup, int sig)
{
	uint32_t i;

	for (i = 0; i < sup->nr; i++)
		if (sup->children[i].pub.pid != 0)
			kill(sup->children[i].pub.pid, sig);
}

int
sup_run(struct sup *sup, int stop_fd)
{
	int chld_fd = child_fd_open();
	bool stop = false;
	uint64_t deadline;
	uint32_t i;

	if (chld_fd < 0)
		return -DER_MISC;
	for (i = 0; i < sup->nr; i++) {
		struct child *c = &sup->children[i];

		if (!sup->c.auto_format && !formatted(c->conf->scm_dir)) {
			state_set(sup, c, SYS_ST_AWAIT_FORMAT);
			log_note("engine %u: %s is not formatted; waiting for 'dmg storage format'",
				 i, c->conf->scm_dir);
			continue;
		}
		c->start_at_ms = now_ms();
	}
	while (!stop) {
		start_due(sup);
		watch(sup, stop_fd, chld_fd, next_timeout(sup), &stop);
	}
	sup->stopping = true;
	for (i = 0; i < sup->nr; i++)
		sup->children[i].start_at_ms = 0;
	signal_all(sup, SIGTERM);
	deadline = now_ms() + STOP_MS;
	while (reap(sup) > 0) {
		if (now_ms() > deadline) {
			log_err("engines did not end within %d s of SIGTERM; killing them",
				STOP_MS / 1000);
			signal_all(sup, SIGKILL);
			deadline = now_ms() + STOP_MS;
		}
		watch(sup, -1, chld_fd, 200, &stop);
	}
	close(chld_fd);
	return 0;
}

/* --- life ----------------------------------------------------------------------------------------
 */

int
sup_create(const struct sup_conf *conf, struct sup **ret_sup)
{
	struct sup *sup = calloc(1, sizeof(*sup));
	uint32_t i;

	if (sup == NULL)
		return -DER_NOMEM;
	sup->c = *conf;
	sup->nr = conf->conf->engines_count;
	sup->children = calloc(sup->nr, sizeof(*sup->children));
	sup->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&sup->lock, NULL);
	if (sup->children == NULL || sup->wake_fd < 0) {
		sup_destroy(sup);
		return -DER_NOMEM;
	}
	for (i = 0; i < sup->nr; i++) {
		sup->children[i].conf = &conf->conf->engines[i];
		sup->children[i].status_fd = -1;
		sup->children[i].pause_ms = RESTART_MIN_MS / 2;
		sup->children[i].pub.rank = MGMT_RANK_NONE;
		sup->children[i].pub.state = SYS_ST_STARTING;
	}
	*ret_sup = sup;
	return 0;
}

void
sup_destroy(struct sup *sup)
{
	if (sup == NULL)
		return;
	if (sup->wake_fd >= 0)
		close(sup->wake_fd);
	pthread_mutex_destroy(&sup->lock);
	free(sup->children);
	free(sup);
}

uint32_t
sup_engine_nr(const struct sup *sup)
{
	return sup->nr;
}

void
sup_snapshot(struct sup *sup, uint32_t idx, struct sup_engine *ret_engine)
{
	pthread_mutex_lock(&sup->lock);
	*ret_engine = sup->children[idx].pub;
	pthread_mutex_unlock(&sup->lock);
}

static void
wake(struct sup *sup)
{
	uint64_t one = 1;

	if (write(sup->wake_fd, &one, sizeof(one)) < 0)
		log_debug("wake: %s", strerror(errno));
}

uint32_t
sup_start_ranks(struct sup *sup, const uint32_t *ranks, uint32_t nr)
{
	uint32_t found = 0;
	uint32_t i, j;

	pthread_mutex_lock(&sup->lock);
	for (i = 0; i < sup->nr; i++) {
		struct child *c = &sup->children[i];

		for (j = 0; j < nr && ranks[j] != c->pub.rank; j++)
			;
		if ((nr != 0 && j == nr) || c->pub.pid != 0 ||
		    (c->pub.state != SYS_ST_STOPPED && c->pub.state != SYS_ST_ERRORED))
			continue;
		c->want_start = true;
		found++;
	}
	pthread_mutex_unlock(&sup->lock);
	wake(sup);
	return found;
}

uint32_t
sup_format(struct sup *sup)
{
	uint32_t found = 0;
	uint32_t i;

	pthread_mutex_lock(&sup->lock);
	for (i = 0; i < sup->nr; i++) {
		if (sup->children[i].pub.state != SYS_ST_AWAIT_FORMAT)
			continue;
		sup->children[i].want_start = true;
		found++;
	}
	pthread_mutex_unlock(&sup->lock);
	wake(sup);
	return found;
}
