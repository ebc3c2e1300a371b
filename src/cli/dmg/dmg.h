/* dmg: what its commands share. */
#ifndef CLI_DMG_H
#define CLI_DMG_H

#include <jansson.h>

#include "client/cmdline/cli.h"

enum { DMG_QUERY_MS = 20000, DMG_CHANGE_MS = 180000 };

/*
 * Call a method of the management API on the first host of the list that answers. req: taken. On
 * failure the error is reported ("<what>: <text>", what may be NULL) and a non-zero number
 * returned, else *ret (a new reference) is the response.
 */
int dmg_call(struct cli *cli, const char *method, json_t *req, uint32_t timeout_ms,
	     const char *what, json_t **ret);
/* Hosts to talk to: --host-list, else the configuration, else localhost. Freed with
 * conf_hosts_free(). */
int dmg_hosts(struct cli *cli, char ***ret_hosts, uint32_t *ret_nr, uint16_t *ret_port);
/* --ranks as a JSON array, or NULL in *ret when not given. */
int dmg_ranks_opt(struct cli *cli, json_t **ret);

uint64_t json_u64(const json_t *o, const char *key);
const char *json_str(const json_t *o, const char *key); /* "" when absent */
/* Array of integers to ranks; malloced. */
uint32_t *json_ranks(const json_t *a, uint32_t *ret_nr);

extern const struct cli_cmd dmg_system_cmds[];
extern const struct cli_cmd dmg_pool_cmds[];
extern const struct cli_cmd dmg_storage_cmds[];

#endif
