/*
 * daos_server.yml (see server_conf.h): the schema, then the checks a schema cannot make: storage
 * tiers, ports that do not overlap, names. Files written for the original system load; keys for
 * hardware this implementation does not use are accepted and reported as having no effect, keys
 * nobody knows are errors.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <daos_errno.h>

#include "server/control/server_conf.h"

#define GIB (1ull << 30)
#define OPT (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
#define FIELD_STR(_key, _struct)                                                                   \
	CYAML_FIELD_STRING_PTR(#_key, OPT, _struct, _key, 0, CYAML_UNLIMITED)
#define FIELD_UINT(_key, _struct) CYAML_FIELD_UINT_PTR(#_key, OPT, _struct, _key)
#define FIELD_LIST(_key, _struct)                                                                  \
	CYAML_FIELD_SEQUENCE(#_key, OPT, _struct, _key, &conf_string_value, 0, 4096)

static const cyaml_strval_t class_words[] = {
    {"ram", STORAGE_RAM},   {"dcpm", STORAGE_DCPM}, {"nvme", STORAGE_NVME},
    {"file", STORAGE_FILE}, {"kdev", STORAGE_KDEV},
};

static const cyaml_schema_field_t storage_fields[] = {
    CYAML_FIELD_ENUM("class", CYAML_FLAG_STRICT, struct conf_storage, class, class_words, 5),
    FIELD_STR(scm_mount, struct conf_storage),
    FIELD_UINT(scm_size, struct conf_storage),
    FIELD_LIST(scm_list, struct conf_storage),
    FIELD_LIST(bdev_list, struct conf_storage),
    FIELD_UINT(bdev_size, struct conf_storage),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t storage_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct conf_storage, storage_fields),
};

static const cyaml_schema_field_t engine_fields[] = {
    FIELD_UINT(targets, struct conf_engine),
    FIELD_UINT(rank, struct conf_engine),
    CYAML_FIELD_INT_PTR("first_core", OPT, struct conf_engine, first_core),
    FIELD_STR(fabric_iface, struct conf_engine),
    FIELD_UINT(fabric_iface_port, struct conf_engine),
    FIELD_STR(fault_path, struct conf_engine),
    FIELD_STR(provider, struct conf_engine),
    FIELD_STR(log_mask, struct conf_engine),
    FIELD_STR(log_file, struct conf_engine),
    FIELD_LIST(env_vars, struct conf_engine),
    CYAML_FIELD_SEQUENCE("storage", CYAML_FLAG_POINTER, struct conf_engine, storage, &storage_value,
			 1, 8),
    FIELD_STR(nr_xs_helpers, struct conf_engine),
    FIELD_STR(pinned_numa_node, struct conf_engine),
    FIELD_STR(bypass_health_chk, struct conf_engine),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t engine_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct conf_engine, engine_fields),
};

static const cyaml_schema_field_t metadata_fields[] = {
    FIELD_STR(path, struct conf_metadata),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t server_fields[] = {
    FIELD_STR(name, struct server_conf),
    FIELD_LIST(mgmt_svc_replicas, struct server_conf),
    FIELD_LIST(access_points, struct server_conf),
    FIELD_UINT(port, struct server_conf),
    CYAML_FIELD_MAPPING_PTR("control_metadata", OPT, struct server_conf, control_metadata,
			    metadata_fields),
    FIELD_STR(control_iface, struct server_conf),
    CYAML_FIELD_MAPPING_PTR("transport_config", OPT, struct server_conf, transport_config,
			    conf_transport_fields),
    FIELD_STR(fault_path, struct server_conf),
    FIELD_STR(provider, struct server_conf),
    FIELD_UINT(crt_timeout, struct server_conf),
    FIELD_STR(socket_dir, struct server_conf),
    FIELD_STR(control_log_mask, struct server_conf),
    FIELD_STR(control_log_file, struct server_conf),
    CONF_FIELD_BOOL("disable_engine_auto_restart", struct server_conf, disable_engine_auto_restart),
    FIELD_UINT(engine_auto_restart_min_delay, struct server_conf),
    CYAML_FIELD_SEQUENCE("engines", CYAML_FLAG_POINTER, struct server_conf, engines, &engine_value,
			 1, SERVER_ENGINE_MAX),
    FIELD_STR(disable_srx, struct server_conf),
    FIELD_STR(core_dump_filter, struct server_conf),
    FIELD_STR(disable_vfio, struct server_conf),
    FIELD_STR(disable_vmd, struct server_conf),
    FIELD_STR(disable_hotplug, struct server_conf),
    FIELD_STR(hyperthreads, struct server_conf),
    FIELD_STR(nr_hugepages, struct server_conf),
    FIELD_STR(disable_hugepages, struct server_conf),
    FIELD_STR(allow_numa_imbalance, struct server_conf),
    FIELD_STR(allow_thp, struct server_conf),
    FIELD_STR(system_ram_reserved, struct server_conf),
    FIELD_STR(helper_log_file, struct server_conf),
    FIELD_STR(telemetry_port, struct server_conf),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t server_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct server_conf, server_fields),
};

#define BAD(...)                                                                                   \
	({                                                                                         \
		snprintf(err, CONF_ERR_LEN, __VA_ARGS__);                                          \
		-DER_INVAL;                                                                        \
	})

static int
check_storage(const char *path, unsigned idx, struct conf_engine *e, char err[CONF_ERR_LEN])
{
	unsigned i;

	for (i = 0; i < e->storage_count; i++) {
		const struct conf_storage *s = &e->storage[i];

		if (s->scm_mount != NULL) {
			if (s->class == STORAGE_NVME || s->class == STORAGE_KDEV)
				return BAD("%s: engines[%u].storage[%u]: 'scm_mount' does not go "
					   "with this class",
					   path, idx, i);
			if (e->scm_dir != NULL)
				return BAD("%s: engines[%u].storage: two tiers with 'scm_mount'",
					   path, idx);
			if (s->scm_mount[0] != '/')
				return BAD("%s: engines[%u].storage[%u].scm_mount: '%s' is not an "
					   "absolute path",
					   path, idx, i, s->scm_mount);
			e->scm_dir = s->scm_mount;
			e->scm_bytes = s->scm_size != NULL ? *s->scm_size * GIB : 0;
			continue;
		}
		if (s->class != STORAGE_FILE)
			return BAD(
			    "%s: engines[%u].storage[%u].class: only tiers in files ('class: file' "
			    "with "
			    "'bdev_list: [DIRECTORY]') and 'scm_mount' directories are supported",
			    path, idx, i);
		if (s->bdev_list_count != 1)
			return BAD("%s: engines[%u].storage[%u].bdev_list: names %u directories, "
				   "one is needed",
				   path, idx, i, s->bdev_list_count);
		if (e->nvme_dir != NULL)
			return BAD("%s: engines[%u].storage: two tiers with 'bdev_list'", path,
				   idx);
		if (s->bdev_list[0][0] != '/')
			return BAD(
			    "%s: engines[%u].storage[%u].bdev_list: '%s' is not an absolute path",
			    path, idx, i, s->bdev_list[0]);
		e->nvme_dir = s->bdev_list[0];
		e->nvme_bytes = s->bdev_size != NULL ? *s->bdev_size * GIB : 0;
	}
	if (e->scm_dir == NULL)
		return BAD("%s: engines[%u].storage: no tier has 'scm_mount'", path, idx);
	return 0;
}

static int
check_engine(const char *path, const struct server_conf *conf, unsigned idx, const char *host,
	     char err[CONF_ERR_LEN])
{
	struct conf_engine *e = &conf->engines[idx];
	uint32_t targets = e->targets != NULL ? *e->targets : 1;
	unsigned i;
	int rc;

	if (targets == 0 || targets > SERVER_TARGET_MAX)
		return BAD("%s: engines[%u].targets: %u is not within 1 and %u", path, idx, targets,
			   SERVER_TARGET_MAX);
	if (e->fabric_iface_port != NULL &&
	    (*e->fabric_iface_port == 0 || *e->fabric_iface_port + targets > 65535))
		return BAD("%s: engines[%u].fabric_iface_port: %u is not a port with %u free ones "
			   "above it",
			   path, idx, *e->fabric_iface_port, targets);
	if (e->fabric_iface_port == NULL && conf->engines_count > 1)
		return BAD("%s: engines[%u]: 'fabric_iface_port' is missing", path, idx);
	for (i = 0; i < idx; i++) {
		const struct conf_engine *o = &conf->engines[i];
		uint32_t o_targets = o->targets != NULL ? *o->targets : 1;

		if (*e->fabric_iface_port <= *o->fabric_iface_port + o_targets &&
		    *o->fabric_iface_port <= *e->fabric_iface_port + targets)
			return BAD("%s: engines[%u].fabric_iface_port: %u to %u overlap the ports "
				   "of engines[%u]",
				   path, idx, *e->fabric_iface_port,
				   *e->fabric_iface_port + targets, i);
	}
	rc = check_storage(path, idx, e, err);
	if (rc != 0)
		return rc;
	for (i = 0; i < idx; i++)
		if (strcmp(conf->engines[i].scm_dir, e->scm_dir) == 0)
			return BAD("%s: engines[%u].storage: '%s' is engines[%u]'s too", path, idx,
				   e->scm_dir, i);
	for (i = 0; i < e->env_vars_count; i++)
		if (strchr(e->env_vars[i], '=') == NULL)
			return BAD("%s: engines[%u].env_vars: '%s' is not NAME=VALUE", path, idx,
				   e->env_vars[i]);
	if (e->fault_path != NULL && e->fault_path[0] != '/')
		return BAD("%s: engines[%u].fault_path: '%s' does not begin with '/'", path, idx,
			   e->fault_path);
	if (e->fault_path != NULL)
		e->domain = strdup(e->fault_path);
	else if (conf->fault_path != NULL)
		e->domain = strdup(conf->fault_path);
	else if (asprintf(&e->domain, "/%s", host) < 0)
		e->domain = NULL;
	return e->domain == NULL ? -DER_NOMEM : 0;
}

static int
check(const char *path, struct server_conf *conf, bool insecure, char err[CONF_ERR_LEN])
{
	char host[256] = "localhost";
	unsigned i;
	int rc;

	gethostname(host, sizeof(host) - 1);
	host[strcspn(host, ".")] = '\0';
	if (conf->name != NULL && !conf_system_name_ok(conf->name))
		return BAD("%s: key 'name': '%s' is not a system name (1 to %d letters, digits, "
			   "'.', '_', '-')",
			   path, conf->name, CONF_SYSTEM_NAME_MAX);
	if (conf->port != NULL && (*conf->port == 0 || *conf->port > 65535))
		return BAD("%s: key 'port': %u is not a port", path, *conf->port);
	if (conf->mgmt_svc_replicas_count != 0 && conf->access_points_count != 0)
		return BAD(
		    "%s: 'access_points' is the old name of 'mgmt_svc_replicas'; give one of them",
		    path);
	if (conf->fault_path != NULL && conf->fault_path[0] != '/')
		return BAD("%s: key 'fault_path': '%s' does not begin with '/'", path,
			   conf->fault_path);
	if (!insecure) {
		rc = conf_transport_check(path, conf->transport_config, err);
		if (rc != 0)
			return rc;
	}
	for (i = 0; i < conf->engines_count; i++) {
		rc = check_engine(path, conf, i, host, err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int
server_conf_load(const char *path, bool insecure, struct server_conf **ret_conf,
		 char err[CONF_ERR_LEN])
{
	struct server_conf *conf = NULL;
	int rc;

	rc = conf_load(path, &server_schema, (void **)&conf, err);
	if (rc != 0)
		return rc;
	rc = check(path, conf, insecure, err);
	if (rc != 0) {
		server_conf_free(conf);
		return rc;
	}
	*ret_conf = conf;
	return 0;
}

void
server_conf_free(struct server_conf *conf)
{
	unsigned i;

	if (conf == NULL)
		return;
	for (i = 0; i < conf->engines_count; i++)
		free(conf->engines[i].domain);
	conf_free(&server_schema, conf);
}

void
server_conf_ineffective(const struct server_conf *conf, void (*fn)(const char *key, void *arg),
			void *arg)
{
	const struct {
		const char *key;
		const char *value;
	} keys[] = {
	    {"disable_srx", conf->disable_srx},
	    {"core_dump_filter", conf->core_dump_filter},
	    {"disable_vfio", conf->disable_vfio},
	    {"disable_vmd", conf->disable_vmd},
	    {"disable_hotplug", conf->disable_hotplug},
	    {"hyperthreads", conf->hyperthreads},
	    {"nr_hugepages", conf->nr_hugepages},
	    {"disable_hugepages", conf->disable_hugepages},
	    {"allow_numa_imbalance", conf->allow_numa_imbalance},
	    {"allow_thp", conf->allow_thp},
	    {"system_ram_reserved", conf->system_ram_reserved},
	    {"helper_log_file", conf->helper_log_file},
	    {"telemetry_port", conf->telemetry_port},
	    {"socket_dir", conf->socket_dir},
	    {"crt_timeout", conf->crt_timeout != NULL ? "" : NULL},
	    {"control_metadata", conf->control_metadata != NULL ? "" : NULL},
	    {"engines.nr_xs_helpers", conf->engines[0].nr_xs_helpers},
	    {"engines.pinned_numa_node", conf->engines[0].pinned_numa_node},
	    {"engines.bypass_health_chk", conf->engines[0].bypass_health_chk},
	};
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].value != NULL)
			fn(keys[i].key, arg);
}
