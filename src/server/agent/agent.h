/*
 * The agent: tells local clients where the system is and who they are (docs/architecture.md,
 * processes).
 *
 * One thread, one poll loop: requests are small and rare (one or two per client process). What it
 * learns from daos_server is kept for cache_ms, so a job's thousand processes cost one question.
 */
#ifndef SERVER_AGENT_H
#define SERVER_AGENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/control/conf.h"

#define AGENT_RUNTIME_DIR_DEFAULT "/var/run/daos_agent"

enum {
	AGENT_CACHE_MS_DEFAULT = 10000,
	AGENT_REQUEST_MAX = 4096, /* bytes of one request */
	AGENT_CLIENT_MAX = 1024,  /* connections at a time; more wait in the listen queue */
	AGENT_IDLE_MS = 30000,    /* a client that says nothing for so long is disconnected */
	AGENT_FETCH_MS = 3000,    /* for asking one daos_server */
	AGENT_GROUP_MAX = 256,    /* supplementary groups named in a credential */
};

struct agent_conf {
	char *name;
	char **access_points;
	unsigned access_points_count;
	uint32_t *port;
	char *runtime_dir;
	char *log_file;
	char *control_log_mask;
	struct conf_transport *transport_config;
	enum conf_bool disable_caching;
	uint32_t *cache_expiration; /* minutes, as documented for the agent */
};
extern const cyaml_schema_value_t agent_conf_schema;

struct agent; /* the running agent */

/* runtime_dir is created if missing; a socket left by a dead agent is replaced, a live one gives
 * -DER_BUSY. err: one line. */
int agent_create(const struct agent_conf *conf, const char *runtime_dir, struct agent **ret_agent,
		 char err[CONF_ERR_LEN]);
/* Serve until stop_fd becomes readable. */
int agent_serve(struct agent *agent, int stop_fd);
void agent_destroy(struct agent *agent); /* removes the socket */

/* Packed Mgmt__Credential of a process with these ids; malloced. */
int agent_credential_pack(uid_t uid, gid_t gid, uint8_t **ret_buf, size_t *ret_len);

#endif
