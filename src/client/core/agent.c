/*
 * Client side of the agent's socket. One connection per request: requests are rare, and a
 * connection kept open would have to survive fork() and restarts of the agent.
 */
#define LOG_FACILITY "agent"

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/core/agent.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/agent.pb-c.h"
#include "proto/mgmt_defs.h"

enum {
	AGENT_VERSION = 1,
	AGENT_MSG_MAX = 16 * 1024 * 1024,
	AGENT_TIMEOUT_S = 30, /* the agent may have to ask a server first */
};

int
agent_socket_path(char *buf, size_t len)
{
	const char *dir = getenv("DAOS_AGENT_DRPC_DIR");
	size_t dir_len;
	int n;

	if (dir == NULL || dir[0] == '\0')
		dir = AGENT_SOCKET_DIR_DEFAULT;
	dir_len = strlen(dir);
	n = snprintf(buf, len, "%s%s%s", dir, dir[dir_len - 1] == '/' ? "" : "/",
		     AGENT_SOCKET_NAME);
	return n < 0 || (size_t)n >= len ? -DER_EXCEEDS_PATH_LEN : 0;
}

static int
write_all(int fd, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	while (len > 0) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EPIPE;
		p += n;
		len -= n;
	}
	return 0;
}

static int
read_all(int fd, void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len > 0) {
		ssize_t n = recv(fd, p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : ECONNRESET;
		p += n;
		len -= n;
	}
	return 0;
}

/* The agent's answer to req, or the errno value of what went wrong on the way. */
static int
agent_exchange(const char *path, const Agent__Request *req, Agent__Response **ret_rep)
{
	CLEANUP(close_fdp)
	int fd = -1;
	CLEANUP(freep)
	uint8_t *buf = NULL;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct timeval tv = {.tv_sec = AGENT_TIMEOUT_S};
	size_t len = agent__request__get_packed_size(req);
	uint32_t len_le = htole32((uint32_t)len);
	int err;

	if (strlen(path) >= sizeof(addr.sun_path))
		return ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	while (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0)
		if (errno != EINTR)
			return errno;

	buf = mem_alloc(sizeof(len_le) + len);
	if (buf == NULL)
		return ENOMEM;
	memcpy(buf, &len_le, sizeof(len_le));
	agent__request__pack(req, buf + sizeof(len_le));
	err = write_all(fd, buf, sizeof(len_le) + len);
	if (err == 0)
		err = read_all(fd, &len_le, sizeof(len_le));
	if (err != 0)
		return err;
	len = le32toh(len_le);
	if (len > AGENT_MSG_MAX)
		return EPROTO;
	free(buf);
	buf = mem_alloc(len + 1);
	if (buf == NULL)
		return ENOMEM;
	err = read_all(fd, buf, len);
	if (err != 0)
		return err;
	*ret_rep = agent__response__unpack(NULL, len, buf);
	return *ret_rep == NULL ? EPROTO : 0;
}

static int
agent_call(uint32_t method, const char *system, const ProtobufCMessageDescriptor *desc,
	   ProtobufCMessage **ret_msg)
{
	Agent__Request req = AGENT__REQUEST__INIT;
	Agent__Response *rep = NULL;
	char path[PATH_MAX];
	int err, rc;

	rc = agent_socket_path(path, sizeof(path));
	if (rc != 0)
		return rc;
	req.version = AGENT_VERSION;
	req.method = method;
	req.system = (char *)(system == NULL ? "" : system);
	err = agent_exchange(path, &req, &rep);
	if (err != 0) {
		log_err("no answer from the agent at %s: %s. Is daos_agent running, and does "
			"DAOS_AGENT_DRPC_DIR name its runtime_dir?",
			path, strerror(err));
		return -DER_AGENT_COMM;
	}
	rc = rep->status;
	if (rc != 0) {
		log_err("agent at %s: " ERR_F " %s", path, ERR_P(rc),
			rep->error == NULL ? "" : rep->error);
	} else {
		*ret_msg = protobuf_c_message_unpack(desc, NULL, rep->body.len, rep->body.data);
		if (*ret_msg == NULL) {
			log_err("agent at %s: malformed answer", path);
			rc = -DER_AGENT_COMM;
		}
	}
	agent__response__free_unpacked(rep, NULL);
	return rc;
}

int
agent_attach_info(const char *system, Mgmt__AttachInfoRep **ret_info)
{
	return agent_call(AGENT_ATTACH_INFO, system, &mgmt__attach_info_rep__descriptor,
			  (ProtobufCMessage **)ret_info);
}

int
agent_credential(const char *system, Mgmt__Credential **ret_cred)
{
	return agent_call(AGENT_CREDENTIAL, system, &mgmt__credential__descriptor,
			  (ProtobufCMessage **)ret_cred);
}
