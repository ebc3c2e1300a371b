/* What dmg and daos both say about pools: the same JSON, the same text, the same names of
 * properties. */
#ifndef CLI_POOL_TEXT_H
#define CLI_POOL_TEXT_H

#include <stdbool.h>
#include <jansson.h>

#include "client/cmdline/cli.h"

/* The JSON object of a pool query, as text. */
void pool_query_print(struct cli *cli, const json_t *pool, bool show_enabled);
/* The array of pools of a pool list, as a table; brief: without space. */
void pool_list_print(struct cli *cli, const json_t *pools, bool brief, bool verbose);

/* "name:value,..." to [{type, num | str}] for the management API. Reports errors itself. */
int pool_props_parse(struct cli *cli, const char *text, json_t **ret_props);

#endif
