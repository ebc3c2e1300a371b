/*
 * Serving the socket (see agent.h). Each connection reads a length and a request, answers, and may
 * ask again. A client that sends rubbish is disconnected; one that does not read its answer loses
 * it, nobody waits for it.
 */
#define LOG_FACILITY "agent"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <daos_errno.h>

#include "base/err.h"
#include "base/log.h"
#include "client/control/host.h"
#include "client/control/http.h"
#include "proto/agent.pb-c.h"
#include "proto/mgmt.pb-c.h"
#include "proto/mgmt_defs.h"
#include "server/agent/agent.h"

struct client {
	int fd;
	uint64_t seen_ms;
	uint32_t got; /* bytes of buf */
	uint8_t buf[4 + AGENT_REQUEST_MAX];
};

struct agent {
	char *system;
	char **hosts;
	uint32_t host_nr;
	uint16_t port;
	uint64_t cache_ms;
	uint8_t *info; /* packed Mgmt__AttachInfoRep */
	size_t info_len;
	uint64_t info_at_ms; /* 0 = nothing cached */
	char path[108];
	int listen_fd;
	struct client *clients[AGENT_CLIENT_MAX];
	uint32_t client_nr;
};

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

/* --- what daos_server says ---------------------------------------------------------------------
 */

static int
info_check(const struct agent *agent, const uint8_t *buf, size_t len, char err[HTTP_ERR_LEN])
{
	Mgmt__AttachInfoRep *rep = mgmt__attach_info_rep__unpack(NULL, len, buf);
	int rc = 0;

	if (rep == NULL) {
		snprintf(err, HTTP_ERR_LEN, "the attach info cannot be decoded");
		return -DER_PROTO;
	}
	if (strcmp(rep->system, agent->system) != 0) {
		snprintf(err, HTTP_ERR_LEN, "it serves system '%.32s', not '%s'", rep->system,
			 agent->system);
		rc = -DER_MISMATCH;
	}
	mgmt__attach_info_rep__free_unpacked(rep, NULL);
	return rc;
}

/* Ask the access points in turn. With -DER_… err says why the last one did not do. */
static int
info_fetch(struct agent *agent, char err[HTTP_ERR_LEN])
{
	int rc = -DER_NONEXIST;
	uint32_t i;

	snprintf(err, HTTP_ERR_LEN, "no access point is configured");
	for (i = 0; i < agent->host_nr; i++) {
		uint8_t *buf = NULL;
		size_t len = 0;

		rc = http_get_raw(agent->hosts[i], agent->port, "attach-info", AGENT_FETCH_MS, &buf,
				  &len, err);
		if (rc == 0)
			rc = info_check(agent, buf, len, err);
		if (rc == 0) {
			free(agent->info);
			agent->info = buf;
			agent->info_len = len;
			agent->info_at_ms = now_ms();
			return 0;
		}
		free(buf);
		log_every(5000, LOG_LVL_WARN, "access point %s: %s", agent->hosts[i], err);
	}
	return rc;
}

static int
info_get(struct agent *agent, char err[HTTP_ERR_LEN])
{
	if (agent->info_at_ms != 0 && now_ms() - agent->info_at_ms < agent->cache_ms)
		return 0;
	if (info_fetch(agent, err) == 0)
		return 0;
	/* old news are better than none: ranks keep their addresses */
	if (agent->info_at_ms != 0 && agent->cache_ms != 0)
		return 0;
	return -DER_UNREACH;
}

/* --- requests ------------------------------------------------------------------------------------
 */

static void
answer(struct client *c, int status, const char *error, const uint8_t *body, size_t len)
{
	Agent__Response rep = AGENT__RESPONSE__INIT;
	uint8_t *out;
	uint32_t n;

	rep.status = status;
	rep.error = (char *)error;
	rep.body.data = (uint8_t *)body;
	rep.body.len = len;
	n = agent__response__get_packed_size(&rep);
	out = malloc(4 + n);
	if (out == NULL)
		return;
	out[0] = n;
	out[1] = n >> 8;
	out[2] = n >> 16;
	out[3] = n >> 24;
	agent__response__pack(&rep, out + 4);
	/* the socket buffer takes any answer; one that does not fit belongs to a client that is not
	 * reading */
	if (send(c->fd, out, 4 + n, MSG_NOSIGNAL) != (ssize_t)(4 + n))
		shutdown(c->fd, SHUT_RDWR);
	free(out);
}

static void
handle(struct agent *agent, struct client *c, const Agent__Request *req)
{
	char err[HTTP_ERR_LEN + 64] = "";
	struct ucred peer;
	socklen_t peer_len = sizeof(peer);
	uint8_t *buf = NULL;
	size_t len = 0;
	int rc;

	if (req->version != 1) {
		answer(c, -DER_PROTO, "this agent speaks version 1 of the protocol", NULL, 0);
		return;
	}
	if (req->system[0] != '\0' && strcmp(req->system, agent->system) != 0) {
		snprintf(err, sizeof(err), "this agent serves system '%s', not '%.32s'",
			 agent->system, req->system);
		answer(c, -DER_NONEXIST, err, NULL, 0);
		return;
	}
	switch (req->method) {
	case AGENT_ATTACH_INFO:
		rc = info_get(agent, err);
		answer(c, rc, err, rc == 0 ? agent->info : NULL, rc == 0 ? agent->info_len : 0);
		break;
	case AGENT_CREDENTIAL:
		if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len) != 0)
			rc = -DER_NO_PERM;
		else
			rc = agent_credential_pack(peer.uid, peer.gid, &buf, &len);
		answer(c, rc, rc == 0 ? "" : "cannot name the caller", buf, len);
		free(buf);
		break;
	default:
		answer(c, -DER_NOSYS, "unknown method", NULL, 0);
	}
}

/* Handle the requests complete in the buffer; false: disconnect. */
static bool
requests(struct agent *agent, struct client *c)
{
	while (c->got >= 4) {
		uint32_t n =
		    c->buf[0] | c->buf[1] << 8 | c->buf[2] << 16 | (uint32_t)c->buf[3] << 24;
		Agent__Request *req;

		if (n > AGENT_REQUEST_MAX)
			return false;
		if (c->got < 4 + n)
			return true;
		req = agent__request__unpack(NULL, n, c->buf + 4);
		if (req == NULL)
			return false;
		handle(agent, c, req);
		agent__request__free_unpacked(req, NULL);
		c->got -= 4 + n;
		memmove(c->buf, c->buf + 4 + n, c->got);
	}
	return true;
}

static bool
client_read(struct agent *agent, struct client *c)
{
	ssize_t n = recv(c->fd, c->buf + c->got, sizeof(c->buf) - c->got, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	c->got += n;
	c->seen_ms = now_ms();
	return requests(agent, c);
}

static void
client_drop(struct agent *agent, uint32_t i)
{
	close(agent->clients[i]->fd);
	free(agent->clients[i]);
	agent->clients[i] = agent->clients[--agent->client_nr];
}

static void
client_accept(struct agent *agent)
{
	int fd = accept4(agent->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	struct client *c;

	if (fd < 0)
		return;
	c = calloc(1, sizeof(*c));
	if (c == NULL || agent->client_nr == AGENT_CLIENT_MAX) {
		free(c);
		close(fd);
		return;
	}
	c->fd = fd;
	c->seen_ms = now_ms();
	agent->clients[agent->client_nr++] = c;
}

int
agent_serve(struct agent *agent, int stop_fd)
{
	static_assert(AGENT_CLIENT_MAX <= 4096, "the poll set is on the stack");
	struct pollfd fds[2 + AGENT_CLIENT_MAX];
	uint32_t i;

	for (;;) {
		uint32_t nr = agent->client_nr;

		fds[0] = (struct pollfd){.fd = stop_fd, .events = POLLIN};
		fds[1] = (struct pollfd){.fd = nr < AGENT_CLIENT_MAX ? agent->listen_fd : -1,
					 .events = POLLIN};
		for (i = 0; i < nr; i++)
			fds[2 + i] = (struct pollfd){.fd = agent->clients[i]->fd, .events = POLLIN};
		if (poll(fds, 2 + nr, nr == 0 ? -1 : AGENT_IDLE_MS) < 0 && errno != EINTR)
			return -DER_IO;
		if (fds[0].revents != 0)
			return 0;
		/* from the end, because dropping moves the last one here */
		for (i = nr; i > 0; i--) {
			struct client *c = agent->clients[i - 1];
			bool keep = true;

			if (fds[1 + i].revents != 0)
				keep = client_read(agent, c);
			else if (now_ms() - c->seen_ms > AGENT_IDLE_MS)
				keep = false;
			if (!keep)
				client_drop(agent, i - 1);
		}
		if (fds[1].revents != 0)
			client_accept(agent);
	}
}

/* --- life
 * ------------------------------------------------------------------------------------------ */

static int
socket_open(struct agent *agent, const char *dir, char err[CONF_ERR_LEN])
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int rc = host_dir_make(dir, 0755);

	if (rc != 0) {
		snprintf(err, CONF_ERR_LEN, "runtime_dir %s: cannot create it: %s", dir,
			 strerror(-rc));
		return -DER_NO_PERM;
	}
	if (snprintf(agent->path, sizeof(agent->path), "%s/daos_agent.sock", dir) >=
	    (int)sizeof(sa.sun_path)) {
		snprintf(err, CONF_ERR_LEN,
			 "runtime_dir %s: the path is too long for a socket (at most %zu bytes)",
			 dir, sizeof(sa.sun_path) - sizeof("/daos_agent.sock"));
		agent->path[0] = '\0';
		return -DER_INVAL;
	}
	memcpy(sa.sun_path, agent->path, strlen(agent->path) + 1);
	agent->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (agent->listen_fd < 0)
		return -DER_NOMEM;
	if (connect(agent->listen_fd, (struct sockaddr *)&sa, sizeof(sa)) == 0) {
		snprintf(err, CONF_ERR_LEN, "another agent is serving %s", agent->path);
		agent->path[0] = '\0';
		return -DER_BUSY;
	}
	close(agent->listen_fd);
	agent->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(agent->path);
	if (agent->listen_fd < 0 ||
	    bind(agent->listen_fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 ||
	    chmod(agent->path, 0666) != 0 || listen(agent->listen_fd, 1024) != 0) {
		snprintf(err, CONF_ERR_LEN, "cannot listen on %s: %s", agent->path,
			 strerror(errno));
		return -DER_NO_PERM;
	}
	return 0;
}

int
agent_create(const struct agent_conf *conf, const char *runtime_dir, struct agent **ret_agent,
	     char err[CONF_ERR_LEN])
{
	struct agent *agent = calloc(1, sizeof(*agent));
	unsigned i;
	int rc = -DER_NOMEM;

	if (agent == NULL)
		return rc;
	agent->listen_fd = -1;
	agent->system = strdup(conf->name != NULL ? conf->name : CONF_SYSTEM_NAME_DEFAULT);
	agent->port = conf->port != NULL ? *conf->port : CONF_PORT_DEFAULT;
	agent->cache_ms = AGENT_CACHE_MS_DEFAULT;
	if (conf->cache_expiration != NULL && *conf->cache_expiration != 0)
		agent->cache_ms = *conf->cache_expiration * 60000ull;
	if (conf->disable_caching == CONF_TRUE)
		agent->cache_ms = 0;
	agent->hosts = calloc(conf->access_points_count + 1, sizeof(*agent->hosts));
	if (agent->system == NULL || agent->hosts == NULL)
		goto fail;
	for (i = 0; i < conf->access_points_count; i++) {
		agent->hosts[i] = strdup(conf->access_points[i]);
		if (agent->hosts[i] == NULL)
			goto fail;
		agent->host_nr++;
	}
	rc = socket_open(agent, runtime_dir, err);
	if (rc != 0)
		goto fail;
	*ret_agent = agent;
	return 0;
fail:
	agent_destroy(agent);
	return rc;
}

void
agent_destroy(struct agent *agent)
{
	if (agent == NULL)
		return;
	while (agent->client_nr > 0)
		client_drop(agent, agent->client_nr - 1);
	if (agent->listen_fd >= 0) {
		close(agent->listen_fd);
		if (agent->path[0] != '\0')
			unlink(agent->path);
	}
	conf_hosts_free(agent->hosts, agent->host_nr);
	free(agent->info);
	free(agent->system);
	free(agent);
}
