/* daos pool: query, containers, attributes. */
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#include <gurt/common.h>
#include <daos_mgmt.h>

#include "cli/daos/daos_cmd.h"
#include "cli/pool/pool_text.h"

static json_t *
tier_json(const daos_pool_info_t *info, int media, const char *name)
{
	const struct daos_pool_space *s = &info->pi_space;

	return json_pack(
	    "{s:I,s:I,s:I,s:I,s:I,s:s}", "total", (json_int_t)s->ps_space.s_total[media], "free",
	    (json_int_t)s->ps_space.s_free[media], "min", (json_int_t)s->ps_free_min[media], "max",
	    (json_int_t)s->ps_free_max[media], "mean", (json_int_t)s->ps_free_mean[media],
	    "media_type", name);
}

static json_t *
usage_json(const daos_pool_info_t *info, int media, const char *name)
{
	const struct daos_pool_space *s = &info->pi_space;
	uint64_t per_target = s->ps_ntargets == 0 ? 0 : s->ps_space.s_total[media] / s->ps_ntargets;

	return json_pack(
	    "{s:s,s:I,s:I,s:I}", "tier_name", name, "size", (json_int_t)s->ps_space.s_total[media],
	    "free", (json_int_t)s->ps_space.s_free[media], "imbalance",
	    (json_int_t)(per_target == 0
			     ? 0
			     : (s->ps_free_max[media] - s->ps_free_min[media]) * 100 / per_target));
}

static json_t *
rank_list_json(const d_rank_list_t *list)
{
	json_t *a = json_array();
	uint32_t i;

	for (i = 0; list != NULL && i < list->rl_nr; i++)
		json_array_append_new(a, json_integer(list->rl_ranks[i]));
	return a;
}

static const char *
rebuild_word(const struct daos_rebuild_status *rs)
{
	if (rs->rs_state == DRS_IN_PROGRESS)
		return "busy";
	if (rs->rs_version == 0 || rs->rs_state == DRS_NOT_STARTED)
		return "idle";
	return rs->rs_errno == 0 ? "done" : "failed";
}

static json_t *
info_json(const struct target *t, const d_rank_list_t *svc, const d_rank_list_t *enabled,
	  const d_rank_list_t *disabled, bool space)
{
	const daos_pool_info_t *info = &t->pool_info;
	const struct daos_rebuild_status *rs = &info->pi_rebuild_st;
	char uuid[37];
	json_t *o;

	uuid_unparse_lower(info->pi_uuid, uuid);
	o = json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "query_mask",
		      space ? "disabled_engines,rebuild,space"
			    : "dead_engines,disabled_engines,rebuild",
		      "state", info->pi_ndisabled != 0 ? "TargetsExcluded" : "Ready", "uuid", uuid,
		      "total_targets", (json_int_t)info->pi_ntargets, "active_targets",
		      (json_int_t)(space ? info->pi_space.ps_ntargets
					 : info->pi_ntargets - info->pi_ndisabled),
		      "total_engines", (json_int_t)info->pi_nnodes, "disabled_targets",
		      (json_int_t)info->pi_ndisabled, "version", (json_int_t)info->pi_map_ver,
		      "svc_ldr", (json_int_t)info->pi_leader, "svc_reps", rank_list_json(svc));
	json_object_set_new(
	    o, "rebuild",
	    json_pack("{s:I,s:s,s:s,s:I,s:I,s:I,s:b}", "status", (json_int_t)rs->rs_errno, "state",
		      rebuild_word(rs), "derived_state", rebuild_word(rs), "objects",
		      (json_int_t)rs->rs_obj_nr, "records", (json_int_t)rs->rs_rec_nr,
		      "total_objects", (json_int_t)rs->rs_toberb_obj_nr, "degraded",
		      (rs->rs_flags & DAOS_RSF_DEGRADED) != 0));
	json_object_set_new(o, "tier_stats",
			    space ? json_pack("[o,o]", tier_json(info, DAOS_MEDIA_SCM, "scm"),
					      tier_json(info, DAOS_MEDIA_NVME, "nvme"))
				  : json_null());
	if (enabled != NULL)
		json_object_set_new(o, "enabled_ranks", rank_list_json(enabled));
	json_object_set_new(o, "disabled_ranks", rank_list_json(disabled));
	json_object_set_new(o, "pool_layout_ver", json_integer(1));
	json_object_set_new(o, "upgrade_layout_ver", json_integer(1));
	json_object_set_new(o, "mem_file_bytes",
			    json_integer(info->pi_space.ps_space.s_total[DAOS_MEDIA_SCM]));
	json_object_set_new(o, "md_on_ssd_active", json_false());
	json_object_set_new(o, "self_heal_policy", json_string(""));
	if (space)
		json_object_set_new(o, "usage",
				    json_pack("[o,o]", usage_json(info, DAOS_MEDIA_SCM, "SCM"),
					      usage_json(info, DAOS_MEDIA_NVME, "NVME")));
	return o;
}

static int
query_ranks(struct cli *cli, struct target *t, uint64_t bits, d_rank_list_t **ret)
{
	daos_pool_info_t info = {.pi_bits = bits};
	int rc = daos_pool_query(t->poh, ret, &info, NULL, NULL);

	return rc == 0 ? 0 : cli_fail_der(cli, rc, "failed to query pool %s", t->pool);
}

static int
run_query(struct cli *cli)
{
	bool space = !cli_flag(cli, "health-only");
	struct target t = {0};
	d_rank_list_t *enabled = NULL, *disabled = NULL;
	daos_prop_t *prop = NULL;
	struct daos_prop_entry *svc;
	json_t *o;
	int rc;

	rc = target_pool(cli, &t);
	if (rc == 0)
		rc = target_connect(cli, &t, DAOS_PC_RO, 0);
	if (rc == 0) {
		prop = daos_prop_alloc(1);
		prop->dpp_entries[0].dpe_type = DAOS_PROP_PO_SVC_LIST;
		t.pool_info.pi_bits =
		    DPI_REBUILD_STATUS | DPI_ENGINES_DISABLED | (space ? DPI_SPACE : 0);
		rc = daos_pool_query(t.poh, &disabled, &t.pool_info, prop, NULL);
		if (rc != 0)
			rc = cli_fail_der(cli, rc, "failed to query pool %s", t.pool);
	}
	if (rc == 0 && cli_flag(cli, "show-enabled"))
		rc = query_ranks(cli, &t, DPI_ENGINES_ENABLED, &enabled);
	if (rc == 0) {
		svc = daos_prop_entry_get(prop, DAOS_PROP_PO_SVC_LIST);
		o = info_json(&t, svc == NULL ? NULL : svc->dpe_val_ptr, enabled, disabled, space);
		pool_query_print(cli, o, cli_flag(cli, "show-enabled"));
		cli_respond(cli, o);
	}
	daos_prop_free(prop);
	d_rank_list_free(enabled);
	d_rank_list_free(disabled);
	target_close(&t);
	return rc;
}

/* Also "daos container list". */
int run_list_containers(struct cli *cli);

static int
conts_fetch(struct cli *cli, struct target *t, struct daos_pool_cont_info **ret,
	    daos_size_t *ret_nr)
{
	struct daos_pool_cont_info *v = NULL;
	daos_size_t nr = 0;
	int rc;

	/* the number may grow between the two calls: with some room, and again if it was not enough
	 */
	do {
		free(v);
		v = NULL;
		rc = daos_pool_list_cont(t->poh, &nr, NULL, NULL);
		if (rc != 0)
			break;
		nr += 16;
		v = calloc(nr, sizeof(*v));
		rc = v == NULL ? -DER_NOMEM : daos_pool_list_cont(t->poh, &nr, v, NULL);
	} while (rc == -DER_TRUNC);
	if (rc != 0) {
		free(v);
		return cli_fail_der(cli, rc, "failed to list containers for pool %s", t->pool);
	}
	*ret = v;
	*ret_nr = nr;
	return 0;
}

static void
layout_of(struct target *t, const char *uuid, char layout[16])
{
	daos_prop_t *prop = daos_prop_alloc(1);
	daos_handle_t coh;

	snprintf(layout, 16, "unknown");
	if (prop == NULL ||
	    daos_cont_open(t->poh, uuid, DAOS_COO_RO | DAOS_COO_FORCE, &coh, NULL, NULL) != 0) {
		daos_prop_free(prop);
		return;
	}
	prop->dpp_entries[0].dpe_type = DAOS_PROP_CO_LAYOUT_TYPE;
	if (daos_cont_query(coh, NULL, prop, NULL) == 0)
		snprintf(layout, 16, "%s", cont_layout_name(prop->dpp_entries[0].dpe_val));
	daos_cont_close(coh, NULL);
	daos_prop_free(prop);
}

int
run_list_containers(struct cli *cli)
{
	static const char *const titles[] = {"Label", "UUID", "Layout"};
	bool verbose = cli_flag(cli, "verbose");
	struct daos_pool_cont_info *v = NULL;
	struct target t = {0};
	struct cli_table *table;
	daos_size_t nr = 0, i;
	json_t *list;
	int rc;

	rc = target_pool(cli, &t);
	if (rc == 0)
		rc = target_connect(cli, &t, DAOS_PC_RO, 0);
	if (rc == 0)
		rc = conts_fetch(cli, &t, &v, &nr);
	if (rc != 0) {
		target_close(&t);
		return rc;
	}
	list = json_array();
	table = cli_table_create(titles, verbose ? 3 : 2);
	for (i = 0; i < nr; i++) {
		const char *label =
		    strcmp(v[i].pci_label, DAOS_PROP_NO_CO_LABEL) == 0 ? "" : v[i].pci_label;
		char uuid[37], layout[16] = "";
		json_t *o;

		uuid_unparse_lower(v[i].pci_uuid, uuid);
		if (verbose)
			layout_of(&t, uuid, layout);
		cli_table_row(table, (const char *[]){label, uuid, layout});
		o = json_pack("{s:s,s:s}", "uuid", uuid, "label", label);
		if (verbose)
			json_object_set_new(o, "layout", json_string(layout));
		json_array_append_new(list, o);
	}
	if (nr == 0) {
		fprintf(cli_out(cli), "No containers.\n");
	} else {
		fprintf(cli_out(cli), "Containers in pool %s:\n", t.pool);
		cli_table_print(table, cli_out(cli), "  ");
	}
	cli_table_destroy(table);
	cli_respond(cli, list);
	free(v);
	target_close(&t);
	return 0;
}

/* --- attributes
 * ------------------------------------------------------------------------------------------ */

static int
with_attrs(struct cli *cli,
	   int (*fn)(struct cli *cli, const struct attr_target *t, const char *keys),
	   unsigned flags)
{
	struct target t = {0};
	struct attr_target at = {.kind = "pool",
				 .list = daos_pool_list_attr,
				 .get = daos_pool_get_attr,
				 .set = daos_pool_set_attr,
				 .del = daos_pool_del_attr};
	int rc;

	rc = target_pool(cli, &t);
	if (rc == 0)
		rc = target_connect(cli, &t, flags, 0);
	if (rc == 0) {
		at.name = t.pool;
		at.h = t.poh;
		rc = fn(cli, &at, cli_arg(cli, t.arg_next));
	}
	target_close(&t);
	return rc;
}

static int
list_fn(struct cli *cli, const struct attr_target *t, const char *keys)
{
	return attr_list(cli, t, cli_flag(cli, "verbose"));
}

static int
run_list_attr(struct cli *cli)
{
	return with_attrs(cli, list_fn, DAOS_PC_RO);
}

static int
run_get_attr(struct cli *cli)
{
	return with_attrs(cli, attr_get, DAOS_PC_RO);
}

static int
run_set_attr(struct cli *cli)
{
	return with_attrs(cli, attr_set, DAOS_PC_RW);
}

static int
run_del_attr(struct cli *cli)
{
	return with_attrs(cli, attr_del, DAOS_PC_RW);
}

static const struct cli_opt autotest_opts[] = {
    {"skip-big", 'S', NULL, "without the largest values", false},
    {"deadline-limit", 'D', "SECONDS", "give up after so long", false},
    {0},
};
static const struct cli_opt query_opts[] = {
    {"show-enabled", 'e', NULL, "show the enabled ranks", false},
    {"health-only", 't', NULL, "without the space", false},
    {0},
};
static const struct cli_opt list_opts[] = {
    {"verbose", 'v', NULL, "show the layout of each", false},
    {0},
};
static const struct cli_opt list_attr_opts[] = {
    {"verbose", 'V', NULL, "show the values", false},
    {0},
};
#define POOL_ARG "<pool label or UUID>"
const struct cli_cmd daos_pool_cmds[] = {
    {"autotest", NULL, "try everything a user does, in a pool", POOL_ARG, autotest_opts, NULL,
     run_autotest, 0, 1},
    {"del-attr", "delattr", "delete attributes", POOL_ARG " key[,key...]", NULL, NULL, run_del_attr,
     2, 2},
    {"get-attr", "getattr", "values of attributes", POOL_ARG " [key[,key...]]", NULL, NULL,
     run_get_attr, 1, 2},
    {"list-attr", "list-attrs,lsattr", "names of attributes", POOL_ARG, list_attr_opts, NULL,
     run_list_attr, 1, 1},
    {"list-containers", "list-cont", "containers of the pool", POOL_ARG, list_opts, NULL,
     run_list_containers, 0, 1},
    {"query", NULL, "health and space of the pool", POOL_ARG, query_opts, NULL, run_query, 0, 1},
    {"set-attr", "setattr", "set attributes", POOL_ARG " key:val[,key:val...]", NULL, NULL,
     run_set_attr, 2, 2},
    {0},
};
