/* daos container: create, destroy, list, query, properties, attributes. */
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#include "base/bytes.h"
#include "cli/daos/daos_cmd.h"

int run_list_containers(struct cli *cli);

/* --- query
 * ------------------------------------------------------------------------------------------- */

struct posix_info {
	bool valid;
	dfs_attr_t attr;
};

static void
class_text(daos_oclass_id_t cid, char text[MAX_OBJ_CLASS_NAME_LEN])
{
	text[0] = '\0';
	if (cid != OC_UNKNOWN && daos_oclass_id2name(cid, text) < 0)
		text[0] = '\0';
}

static void
posix_query(struct target *t, struct posix_info *p)
{
	dfs_t *dfs = NULL;

	p->valid = dfs_mount(t->poh, t->coh, O_RDONLY, &dfs) == 0;
	if (p->valid) {
		p->valid = dfs_query(dfs, &p->attr) == 0;
		dfs_umount(dfs);
	}
}

static json_t *
query_json(struct target *t, daos_prop_t *prop, const struct posix_info *p)
{
	const struct daos_prop_entry *e;
	char pool[37], cont[37], time[64], name[MAX_OBJ_CLASS_NAME_LEN];
	json_t *o = json_object();

	uuid_unparse_lower(t->pool_info.pi_uuid, pool);
	uuid_unparse_lower(t->cont_info.ci_uuid, cont);
	json_object_set_new(o, "pool_uuid", json_string(pool));
	json_object_set_new(o, "container_uuid", json_string(cont));
	e = daos_prop_entry_get(prop, DAOS_PROP_CO_LABEL);
	if (e != NULL && e->dpe_str != NULL && strcmp(e->dpe_str, DAOS_PROP_NO_CO_LABEL) != 0)
		json_object_set_new(o, "container_label", json_string(e->dpe_str));
	if (t->cont_info.ci_lsnapshot != 0)
		json_object_set_new(o, "latest_snapshot", json_integer(t->cont_info.ci_lsnapshot));
	json_object_set_new(
	    o, "redundancy_factor",
	    json_integer(daos_prop_entry_get(prop, DAOS_PROP_CO_REDUN_FAC)->dpe_val));
	json_object_set_new(o, "num_handles", json_integer(t->cont_info.ci_nhandles));
	json_object_set_new(o, "num_snapshots", json_integer(t->cont_info.ci_nsnapshots));
	json_object_set_new(o, "container_type",
			    json_string(cont_layout_name(
				daos_prop_entry_get(prop, DAOS_PROP_CO_LAYOUT_TYPE)->dpe_val)));
	json_object_set_new(
	    o, "health",
	    json_string(cont_health_name(daos_prop_entry_get(prop, DAOS_PROP_CO_STATUS)->dpe_val)));
	if (p->valid) {
		json_object_set_new(o, "chunk_size", json_integer(p->attr.da_chunk_size));
		class_text(p->attr.da_oclass_id, name);
		if (name[0] != '\0')
			json_object_set_new(o, "object_class", json_string(name));
		class_text(p->attr.da_dir_oclass_id, name);
		if (name[0] != '\0')
			json_object_set_new(o, "dir_object_class", json_string(name));
		class_text(p->attr.da_file_oclass_id, name);
		if (name[0] != '\0')
			json_object_set_new(o, "file_object_class", json_string(name));
		if (p->attr.da_hints[0] != '\0')
			json_object_set_new(o, "hints", json_string(p->attr.da_hints));
	}
	if (t->cont_info.ci_md_otime != 0)
		json_object_set_new(
		    o, "open_time",
		    json_string(hlc_text(t->cont_info.ci_md_otime, time, sizeof(time))));
	json_object_set_new(o, "close_modify_time",
			    json_string(hlc_text(t->cont_info.ci_md_mtime, time, sizeof(time))));
	return o;
}

static const char *
str_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

/* The block of create and, with full, of query. */
static void
query_print(struct cli *cli, const struct target *t, const json_t *o, bool full)
{
	struct cli_pair pairs[20];
	char rf[16], handles[16], snaps[16], snap[32], otime[128], mtime[128], text[64],
	    chunk[BYTES_STR_LEN];
	uint32_t nr = 0;
	static const char *const classes[][2] = {{"object_class", "Object Class"},
						 {"dir_object_class", "Dir Object Class"},
						 {"file_object_class", "File Object Class"},
						 {"hints", "Hints"}};
	size_t i;

	pairs[nr++] = (struct cli_pair){"Container UUID", str_of(o, "container_uuid")};
	if (str_of(o, "container_label") != NULL)
		pairs[nr++] = (struct cli_pair){"Container Label", str_of(o, "container_label")};
	pairs[nr++] = (struct cli_pair){"Container Type", str_of(o, "container_type")};
	if (full) {
		snprintf(rf, sizeof(rf), "%lld",
			 (long long)json_integer_value(json_object_get(o, "redundancy_factor")));
		snprintf(handles, sizeof(handles), "%u", t->cont_info.ci_nhandles);
		snprintf(snaps, sizeof(snaps), "%u", t->cont_info.ci_nsnapshots);
		snprintf(otime, sizeof(otime), "%s (0x%llx)",
			 hlc_text(t->cont_info.ci_md_otime, text, sizeof(text)),
			 (unsigned long long)t->cont_info.ci_md_otime);
		snprintf(mtime, sizeof(mtime), "%s (0x%llx)",
			 hlc_text(t->cont_info.ci_md_mtime, text, sizeof(text)),
			 (unsigned long long)t->cont_info.ci_md_mtime);
		pairs[nr++] = (struct cli_pair){"Pool UUID", str_of(o, "pool_uuid")};
		pairs[nr++] = (struct cli_pair){"Container redundancy factor ", rf};
		pairs[nr++] = (struct cli_pair){"Number of open handles", handles};
		pairs[nr++] = (struct cli_pair){"Latest open time", otime};
		pairs[nr++] = (struct cli_pair){"Latest close/modify time", mtime};
		pairs[nr++] = (struct cli_pair){"Number of snapshots", snaps};
		if (t->cont_info.ci_lsnapshot != 0) {
			snprintf(snap, sizeof(snap), "0x%llx",
				 (unsigned long long)t->cont_info.ci_lsnapshot);
			pairs[nr++] = (struct cli_pair){"Latest Persistent Snapshot", snap};
		}
		for (i = 0; i < 4; i++)
			if (str_of(o, classes[i][0]) != NULL)
				pairs[nr++] =
				    (struct cli_pair){classes[i][1], str_of(o, classes[i][0])};
		if (json_object_get(o, "chunk_size") != NULL) {
			bytes_fmt_bin(json_integer_value(json_object_get(o, "chunk_size")), chunk);
			pairs[nr++] = (struct cli_pair){"Chunk Size", chunk};
		}
	}
	cli_pairs_print(cli_out(cli), "  ", pairs, nr);
	fprintf(cli_out(cli), "\n");
}

static int
query_opened(struct cli *cli, struct target *t, json_t **ret)
{
	daos_prop_t *prop = daos_prop_alloc(4);
	struct posix_info posix = {0};
	int rc;

	prop->dpp_entries[0].dpe_type = DAOS_PROP_CO_LABEL;
	prop->dpp_entries[1].dpe_type = DAOS_PROP_CO_REDUN_FAC;
	prop->dpp_entries[2].dpe_type = DAOS_PROP_CO_LAYOUT_TYPE;
	prop->dpp_entries[3].dpe_type = DAOS_PROP_CO_STATUS;
	rc = daos_cont_query(t->coh, &t->cont_info, prop, NULL);
	if (rc != 0) {
		daos_prop_free(prop);
		return cli_fail_der(cli, rc, "failed to query container %s", t->cont);
	}
	if (prop->dpp_entries[2].dpe_val == DAOS_PROP_CO_LAYOUT_POSIX)
		posix_query(t, &posix);
	*ret = query_json(t, prop, &posix);
	daos_prop_free(prop);
	return 0;
}

static int
run_query(struct cli *cli)
{
	struct target t = {0};
	json_t *o = NULL;
	int rc;

	rc = target_cont(cli, &t);
	if (rc == 0)
		rc = target_connect(cli, &t, DAOS_PC_RO, 0);
	if (rc == 0)
		rc = target_open(cli, &t, DAOS_COO_RO | DAOS_COO_FORCE);
	if (rc == 0)
		rc = query_opened(cli, &t, &o);
	if (rc == 0) {
		query_print(cli, &t, o, true);
		cli_respond(cli, o);
	}
	target_close(&t);
	return rc;
}

/* --- create
 * -------------------------------------------------------------------------------------------- */

static const char *const posix_only[] = {"chunk-size",  "oclass", "dir-oclass",
					 "file-oclass", "hints",  "mode"};

static int
create_attr(struct cli *cli, bool posix, dfs_attr_t *attr)
{
	const char *mode = cli_value(cli, "mode");
	const char *hints = cli_value(cli, "hints");
	uint64_t chunk = 0;
	size_t i;
	int rc;

	for (i = 0; !posix && i < sizeof(posix_only) / sizeof(posix_only[0]); i++)
		if (cli_value(cli, posix_only[i]) != NULL)
			return cli_fail(cli, 0, "--%s may only be set for container type POSIX",
					posix_only[i]);
	if ((rc = size_value(cli, "chunk-size", &chunk)) != 0 ||
	    (rc = oclass_value(cli, "oclass", &attr->da_oclass_id)) != 0 ||
	    (rc = oclass_value(cli, "dir-oclass", &attr->da_dir_oclass_id)) != 0 ||
	    (rc = oclass_value(cli, "file-oclass", &attr->da_file_oclass_id)) != 0)
		return rc;
	attr->da_chunk_size = chunk;
	if (hints != NULL) {
		if (strlen(hints) >= sizeof(attr->da_hints))
			return cli_fail(cli, 0, "--hints: the text is too long");
		snprintf(attr->da_hints, sizeof(attr->da_hints), "%s", hints);
	}
	attr->da_mode = DFS_RELAXED;
	if (mode != NULL && strcasecmp(mode, "balanced") == 0)
		attr->da_mode = DFS_BALANCED;
	else if (mode != NULL && strcasecmp(mode, "relaxed") != 0)
		return cli_fail(
		    cli, 0, "--mode: unknown consistency mode \"%s\" (relaxed or balanced)", mode);
	return 0;
}

/* Add the entries of extra to *prop, whose own are kept; extra is freed. */
static int
props_add(struct cli *cli, daos_prop_t **prop, daos_prop_t *extra)
{
	daos_prop_t *merged;

	if (*prop == NULL) {
		*prop = extra;
		return 0;
	}
	merged = daos_prop_merge(*prop, extra);
	daos_prop_free(*prop);
	daos_prop_free(extra);
	*prop = merged;
	return merged == NULL ? cli_fail(cli, -DER_NOMEM, "out of memory") : 0;
}

static int
create_props(struct cli *cli, const char *label, uint64_t layout, daos_prop_t **ret)
{
	const char *group = cli_value(cli, "group");
	daos_prop_t *extra;
	uint32_t nr = 0;
	int rc = 0;

	if (cli_value(cli, "acl-file") != NULL)
		return cli_fail(cli, -DER_NOSYS, "--acl-file is not supported yet");
	if (cli_value(cli, "properties") != NULL) {
		rc = cont_props_parse(cli, cli_value(cli, "properties"), false, ret);
		if (rc != 0)
			return rc;
		if (label[0] != '\0' && daos_prop_entry_get(*ret, DAOS_PROP_CO_LABEL) != NULL)
			return cli_fail(cli, 0, "can't supply label argument and label property");
	}
	extra = daos_prop_alloc(3);
	if (extra == NULL)
		return cli_fail(cli, -DER_NOMEM, "out of memory");
	if (label[0] != '\0') {
		extra->dpp_entries[nr].dpe_type = DAOS_PROP_CO_LABEL;
		extra->dpp_entries[nr++].dpe_str = strdup(label);
	}
	if (layout != DAOS_PROP_CO_LAYOUT_POSIX) {
		extra->dpp_entries[nr].dpe_type = DAOS_PROP_CO_LAYOUT_TYPE;
		extra->dpp_entries[nr++].dpe_val = layout;
	}
	if (group != NULL) {
		extra->dpp_entries[nr].dpe_type = DAOS_PROP_CO_OWNER_GROUP;
		extra->dpp_entries[nr++].dpe_str = strdup(group);
	}
	extra->dpp_nr = nr;
	if (nr == 0) {
		daos_prop_free(extra);
		return 0;
	}
	return props_add(cli, ret, extra);
}

static int
create_in_pool(struct cli *cli, struct target *t, uint64_t layout, dfs_attr_t *attr,
	       daos_prop_t *prop)
{
	uuid_t uuid;
	int rc;

	if (layout == DAOS_PROP_CO_LAYOUT_POSIX) {
		attr->da_props = prop;
		rc = dfs_cont_create(t->poh, &uuid, attr, NULL, NULL);
		if (rc == EEXIST)
			return cli_fail_der(cli, -DER_EXIST, "failed to create container");
		if (rc == EINVAL)
			return cli_fail_der(cli, -DER_INVAL, "failed to create container");
		if (rc != 0)
			return cli_fail_errno(cli, rc, "failed to create container");
	} else {
		rc = daos_cont_create(t->poh, &uuid, prop, NULL);
		if (rc != 0)
			return cli_fail_der(cli, rc, "failed to create container");
	}
	/* by uuid from here on: it may have no label */
	uuid_unparse_lower(uuid, t->cont);
	return 0;
}

/* With --path: a directory (or file) whose attribute names the container. */
static int
create_path(struct cli *cli, struct target *t)
{
	const char *path = cli_value(cli, "path");
	int rc;

	if (path == NULL)
		return 0;
	rc = duns_link_cont(t->poh, t->cont, path);
	if (rc == 0)
		return 0;
	daos_cont_destroy(t->poh, t->cont, 1, NULL);
	return cli_fail_errno(cli, rc, "failed to create container: path %s", path);
}

static int
run_create(struct cli *cli)
{
	const char *type = cli_value(cli, "type");
	const char *label = cli_arg(cli, 1);
	uint64_t layout = DAOS_PROP_CO_LAYOUT_UNKNOWN;
	struct target t = {0};
	dfs_attr_t attr = {0};
	daos_prop_t *prop = NULL;
	json_t *o = NULL;
	int rc;

	if (type != NULL && !cont_layout_parse(type, &layout))
		return cli_fail(cli, 0, "unknown container type \"%s\"", type);
	if (cli_arg(cli, 0) == NULL && cli_value(cli, "pool") == NULL)
		return cli_fail(cli, 0, "no pool label or UUID supplied");
	snprintf(t.pool, sizeof(t.pool), "%s",
		 cli_arg(cli, 0) != NULL ? cli_arg(cli, 0) : cli_value(cli, "pool"));
	if (label == NULL)
		label = cli_value(cli, "cont") != NULL ? cli_value(cli, "cont") : "";
	if (label[0] != '\0' && !daos_label_is_valid(label))
		return cli_fail(cli, 0, "invalid label \"%s\"", label);
	rc = create_attr(cli, layout == DAOS_PROP_CO_LAYOUT_POSIX, &attr);
	if (rc == 0)
		rc = create_props(cli, label, layout, &prop);
	if (rc == 0)
		rc = target_connect(cli, &t, DAOS_PC_RW, 0);
	if (rc == 0)
		rc = create_in_pool(cli, &t, layout, &attr, prop);
	if (rc == 0)
		rc = create_path(cli, &t);
	if (rc == 0)
		rc = target_open(cli, &t, DAOS_COO_RW);
	if (rc == 0 && cli_value(cli, "attrs") != NULL) {
		struct attr_target at = {.kind = "container",
					 .name = label[0] != '\0' ? label : t.cont,
					 .h = t.coh,
					 .set = daos_cont_set_attr};

		rc = attr_set(cli, &at, cli_value(cli, "attrs"));
	}
	if (rc == 0)
		rc = query_opened(cli, &t, &o);
	if (rc == 0) {
		fprintf(cli_out(cli), "Successfully created container %s type %s\n",
			str_of(o, "container_uuid"), str_of(o, "container_type"));
		query_print(cli, &t, o, false);
		cli_respond(cli, o);
	}
	daos_prop_free(prop);
	target_close(&t);
	return rc;
}

/* --- the others
 * ------------------------------------------------------------------------------------------ */

static int
run_destroy(struct cli *cli)
{
	const char *path = cli_value(cli, "path");
	struct target t = {0};
	int rc;

	rc = target_cont(cli, &t);
	if (rc == 0)
		rc = target_connect(cli, &t, DAOS_PC_RW, 0);
	if (rc == 0 && path != NULL) {
		rc = duns_destroy_path(t.poh, path);
		if (rc != 0)
			rc =
			    cli_fail_errno(cli, rc, "failed to destroy container at path %s", path);
	} else if (rc == 0) {
		rc = daos_cont_destroy(t.poh, t.cont, cli_flag(cli, "force"), NULL);
		if (rc != 0)
			rc = cli_fail_der(
			    cli, rc,
			    "failed to destroy container %s: failed to destroy container \"%s\"",
			    t.cont, t.cont);
	}
	if (rc == 0)
		fprintf(cli_out(cli), "Successfully destroyed container %s\n",
			path != NULL ? path : t.cont);
	target_close(&t);
	return rc;
}

static int
run_get_prop(struct cli *cli)
{
	struct target t = {0};
	daos_prop_t *prop = NULL;
	struct daos_prop_entry *e;
	daos_prop_t *acl = NULL;
	const char *names;
	uint32_t type, i = 0;
	int rc;

	rc = target_cont(cli, &t);
	if (rc == 0)
		rc = target_connect(cli, &t, DAOS_PC_RO, 0);
	if (rc == 0)
		rc = target_open(cli, &t, DAOS_COO_RO | DAOS_COO_FORCE);
	if (rc != 0)
		goto out;
	prop = daos_prop_alloc(DAOS_PROP_CO_NUM);
	for (type = DAOS_PROP_CO_MIN + 1; type < DAOS_PROP_CO_MAX; type++)
		prop->dpp_entries[i++].dpe_type = type;
	rc = daos_cont_query(t.coh, NULL, prop, NULL);
	if (rc != 0) {
		rc = cli_fail_der(cli, rc, "failed to get properties for container %s", t.cont);
		goto out;
	}
	e = daos_prop_entry_get(prop, DAOS_PROP_CO_ACL);
	if (e != NULL && e->dpe_val_ptr == NULL && daos_cont_get_acl(t.coh, &acl, NULL) == 0) {
		struct daos_prop_entry *from = daos_prop_entry_get(acl, DAOS_PROP_CO_ACL);

		if (from != NULL && from->dpe_val_ptr != NULL)
			e->dpe_val_ptr = daos_acl_dup(from->dpe_val_ptr);
	}
	names = cli_value(cli, "properties") != NULL ? cli_value(cli, "properties")
						     : cli_arg(cli, t.arg_next);
	rc = cont_props_print(cli, t.cont, prop, names);
out:
	daos_prop_free(acl);
	daos_prop_free(prop);
	target_close(&t);
	return rc;
}

static int
run_set_prop(struct cli *cli)
{
	struct target t = {0};
	daos_prop_t *prop = NULL;
	const char *text;
	int rc;

	rc = target_cont(cli, &t);
	if (rc != 0)
		return rc;
	text = cli_value(cli, "properties") != NULL ? cli_value(cli, "properties")
						    : cli_arg(cli, t.arg_next);
	rc = text == NULL ? cli_fail(cli, 0, "no property is given (key:val)")
			  : cont_props_parse(cli, text, true, &prop);
	if (rc == 0)
		rc = target_connect(cli, &t, DAOS_PC_RW, 0);
	if (rc == 0)
		rc = target_open(cli, &t, DAOS_COO_RW | DAOS_COO_FORCE);
	if (rc == 0) {
		rc = daos_cont_set_prop(t.coh, prop, NULL);
		if (rc != 0)
			rc = cli_fail_der(cli, rc, "failed to set properties on container %s",
					  t.cont);
	}
	if (rc == 0)
		fprintf(cli_out(cli), "Properties were successfully set\n");
	daos_prop_free(prop);
	target_close(&t);
	return rc;
}

static int
with_attrs(struct cli *cli,
	   int (*fn)(struct cli *cli, const struct attr_target *t, const char *keys),
	   unsigned flags)
{
	struct target t = {0};
	struct attr_target at = {.kind = "container",
				 .list = daos_cont_list_attr,
				 .get = daos_cont_get_attr,
				 .set = daos_cont_set_attr,
				 .del = daos_cont_del_attr};
	const char *keys;
	int rc;

	rc = target_cont(cli, &t);
	if (rc == 0)
		rc = target_connect(cli, &t, flags == DAOS_COO_RO ? DAOS_PC_RO : DAOS_PC_RW, 0);
	if (rc == 0)
		rc = target_open(cli, &t, flags | DAOS_COO_FORCE);
	if (rc == 0) {
		at.name = t.cont;
		at.h = t.coh;
		keys = cli_value(cli, "attr") != NULL ? cli_value(cli, "attr")
						      : cli_arg(cli, t.arg_next);
		rc = fn(cli, &at, keys);
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
set_fn(struct cli *cli, const struct attr_target *t, const char *keys)
{
	const char *value = cli_value(cli, "value");
	char *pair = NULL;
	int rc;

	if (keys == NULL)
		return cli_fail(cli, 0, "no attribute is given (key:val)");
	if (value == NULL)
		return attr_set(cli, t, keys);
	if (asprintf(&pair, "%s:%s", keys, value) < 0)
		return cli_fail(cli, -DER_NOMEM, "out of memory");
	rc = attr_set(cli, t, pair);
	free(pair);
	return rc;
}

static int
del_fn(struct cli *cli, const struct attr_target *t, const char *keys)
{
	return keys == NULL ? cli_fail(cli, 0, "no attribute is named") : attr_del(cli, t, keys);
}

static int
run_list_attr(struct cli *cli)
{
	return with_attrs(cli, list_fn, DAOS_COO_RO);
}

static int
run_get_attr(struct cli *cli)
{
	return with_attrs(cli, attr_get, DAOS_COO_RO);
}

static int
run_set_attr(struct cli *cli)
{
	return with_attrs(cli, set_fn, DAOS_COO_RW);
}

static int
run_del_attr(struct cli *cli)
{
	return with_attrs(cli, del_fn, DAOS_COO_RW);
}

/* The old way of naming things, still in scripts. */
#define TARGET_OPTS                                                                                \
	{"path", 'p', "PATH", "path that names pool and container", false},                        \
	    {"pool", 0, "POOL", "pool label or UUID", false},                                      \
	{                                                                                          \
		"cont", 0, "CONT", "container label or UUID", false                                \
	}

static const struct cli_opt target_opts[] = {TARGET_OPTS, {0}};
static const struct cli_opt create_opts[] = {
    TARGET_OPTS,
    {"type", 't', "TYPE", "POSIX, HDF5, PYTHON, SPARK, DATABASE, ROOT, SEISMIC, METEO", false},
    {"chunk-size", 'z', "SIZE", "chunk size of files (POSIX)", false},
    {"oclass", 'o', "CLASS", "object class (POSIX)", false},
    {"dir-oclass", 'd', "CLASS", "object class of directories (POSIX)", false},
    {"file-oclass", 'f', "CLASS", "object class of files (POSIX)", false},
    {"hints", 'H', "HINTS", "hints for automatic classes, as in file:max,dir:single (POSIX)",
     false},
    {"mode", 'M', "MODE", "relaxed or balanced (POSIX)", false},
    {"properties", 0, "NAME:VALUE,...", "properties", false},
    {"attrs", 'a', "KEY:VALUE,...", "attributes", false},
    {"acl-file", 'A', "FILE", "access control list", false},
    {"group", 'g', "NAME@", "owner group", false},
    {0},
};
static const struct cli_opt destroy_opts[] = {
    TARGET_OPTS,
    {"force", 'f', NULL, "although it is open somewhere", false},
    {0},
};
static const struct cli_opt prop_opts[] = {
    TARGET_OPTS,
    {"properties", 0, "NAMES", "names (get) or name:value pairs (set)", false},
    {0},
};
static const struct cli_opt attr_opts[] = {
    TARGET_OPTS,
    {"attr", 'a', "NAME", "attribute", false},
    {0},
};
static const struct cli_opt set_attr_opts[] = {
    TARGET_OPTS,
    {"attr", 'a', "NAME", "attribute", false},
    {"value", 'v', "VALUE", "its value", false},
    {0},
};
static const struct cli_opt list_attr_opts[] = {
    TARGET_OPTS,
    {"verbose", 'V', NULL, "show the values", false},
    {0},
};
static const struct cli_opt list_opts[] = {
    TARGET_OPTS,
    {"verbose", 'v', NULL, "show the layout of each", false},
    {0},
};
#define CONT_ARGS "<pool> <container>"
const struct cli_cmd daos_cont_cmds[] = {
    {"create", NULL, "create a container", "<pool> [label]", create_opts, NULL, run_create, 0, 2},
    {"del-attr", "delattr", "delete attributes", CONT_ARGS " key[,key...]", attr_opts, NULL,
     run_del_attr, 0, 3},
    {"destroy", NULL, "destroy a container and everything in it", CONT_ARGS, destroy_opts, NULL,
     run_destroy, 0, 2},
    {"get-attr", "getattr", "values of attributes", CONT_ARGS " [key[,key...]]", attr_opts, NULL,
     run_get_attr, 0, 3},
    {"get-prop", "getprop", "properties", CONT_ARGS " [name[,name...]]", prop_opts, NULL,
     run_get_prop, 0, 3},
    {"list", "ls", "containers of a pool", "<pool>", list_opts, NULL, run_list_containers, 0, 1},
    {"list-attr", "list-attrs,lsattr", "names of attributes", CONT_ARGS, list_attr_opts, NULL,
     run_list_attr, 0, 2},
    {"query", NULL, "state of a container", CONT_ARGS, target_opts, NULL, run_query, 0, 2},
    {"set-attr", "setattr", "set attributes", CONT_ARGS " key:val[,key:val...]", set_attr_opts,
     NULL, run_set_attr, 0, 3},
    {"set-prop", "setprop", "change properties (label, status)",
     CONT_ARGS " name:value[,name:value...]", prop_opts, NULL, run_set_prop, 0, 3},
    {0},
};
