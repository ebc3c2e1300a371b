/*
 * The management API of daos_server: HTTP, POST /v1/<method> with a JSON object, answered by
 * {"status": 0 | negative DER, "error": null | text, "response": ...}; GET /v1/attach-info gives
 * agents raw bytes. Methods and what they answer are the table in api.c.
 */
#ifndef SERVER_CONTROL_API_H
#define SERVER_CONTROL_API_H

#include <stdint.h>

#include "server/control/server_conf.h"
#include "server/control/supervise.h"

struct api;
struct net;

struct api_conf {
	const struct server_conf *conf;
	struct sup *sup;
	struct net *net;
	const char *address; /* IPv4 or IPv6 address to listen on */
	uint16_t port;
	const char *control_addr;   /* what this server calls itself */
	const char *const *ms_uris; /* replicas on other servers */
	uint32_t ms_uri_nr;
};
int api_start(const struct api_conf *conf, struct api **ret_api, char err[CONF_ERR_LEN]);
void api_stop(struct api *api);

#endif
