/* daos: what its commands share. */
#ifndef CLI_DAOS_CMD_H
#define CLI_DAOS_CMD_H

#include <daos.h>
#include <daos_fs.h>
#include <daos_uns.h>

#include "client/cmdline/cli.h"

/*
 * The pool and container a command is about, named by positionals or by --path; and the connections
 * to them. Zero-initialise, target_close() in every case. daos_init() was called by main.
 */
struct target {
	char pool[DAOS_PROP_LABEL_MAX_LEN + 1]; /* as typed */
	char cont[DAOS_PROP_LABEL_MAX_LEN + 1];
	char *rel_path;    /* of --path, below the container; NULL = none */
	uint32_t arg_next; /* first positional that names neither */
	daos_handle_t poh, coh;
	bool connected, opened;
	daos_pool_info_t pool_info;
	daos_cont_info_t cont_info;
};
/* Take the names from the command line. A missing one is an error. Each reports its own errors. */
int target_pool(struct cli *cli, struct target *t);
int target_cont(struct cli *cli, struct target *t);
int target_connect(struct cli *cli, struct target *t, unsigned flags, uint64_t info_bits);
int target_open(struct cli *cli, struct target *t, unsigned flags);
void target_close(struct target *t);

/* "2026-11-20 12:03:32.264894464 +0000 UTC" of a clock stamp. */
char *hlc_text(uint64_t hlc, char *buf, size_t len);
int size_value(struct cli *cli, const char *opt, uint64_t *ret); /* 0 when not given */
int oclass_value(struct cli *cli, const char *opt, daos_oclass_id_t *ret);

/* --- container properties (cont_props.c) --- */
/* "name:value,..." added to prop's entries; settable: those of set-prop (label, status) instead of
 * create's. */
int cont_props_parse(struct cli *cli, const char *text, bool set_prop, daos_prop_t **ret_prop);
/* Print those named in names ("all", NULL or "": all) and respond in JSON. */
int cont_props_print(struct cli *cli, const char *cont, daos_prop_t *prop, const char *names);
const char *cont_layout_name(uint64_t layout);
bool cont_layout_parse(const char *name, uint64_t *ret_layout);
const char *cont_health_name(uint64_t status);

/* --- attributes of pools and containers (attr.c) --- */
struct attr_target {
	const char *kind; /* "pool" or "container" */
	const char *name;
	daos_handle_t h;
	int (*list)(daos_handle_t h, char *buf, size_t *size, daos_event_t *ev);
	int (*get)(daos_handle_t h, int n, char const *const names[], void *const bufs[],
		   size_t sizes[], daos_event_t *ev);
	int (*set)(daos_handle_t h, int n, char const *const names[], void const *const values[],
		   size_t const sizes[], daos_event_t *ev);
	int (*del)(daos_handle_t h, int n, char const *const names[], daos_event_t *ev);
};
int attr_list(struct cli *cli, const struct attr_target *t, bool values);
int attr_get(struct cli *cli, const struct attr_target *t, const char *keys); /* NULL: all */
int attr_set(struct cli *cli, const struct attr_target *t, const char *pairs);
int attr_del(struct cli *cli, const struct attr_target *t, const char *keys);

extern const struct cli_cmd daos_pool_cmds[];
extern const struct cli_cmd daos_cont_cmds[];
extern const struct cli_cmd daos_fs_cmds[];
int run_autotest(struct cli *cli);

#endif
