/*
 * The agent of this node, through its unix socket: where the system is, and who we are. Blocking
 * calls of a few hundred microseconds, made at the first need and not on any I/O path.
 */
#ifndef CLIENT_AGENT_H
#define CLIENT_AGENT_H

#include "proto/mgmt.pb-c.h"

#define AGENT_SOCKET_NAME        "daos_agent.sock"
#define AGENT_SOCKET_DIR_DEFAULT "/var/run/daos_agent"

/* Path of the socket: $DAOS_AGENT_DRPC_DIR or the default, and the name. buf of PATH_MAX. */
int agent_socket_path(char *buf, size_t len);

/*
 * system: NULL or "" for the agent's own. Results are freed with mgmt__…__free_unpacked().
 * -DER_AGENT_COMM when there is no agent or it does not answer as it should (logged), else the
 * agent's own error.
 */
int agent_attach_info(const char *system, Mgmt__AttachInfoRep **ret_info);
int agent_credential(const char *system, Mgmt__Credential **ret_cred);

#endif
