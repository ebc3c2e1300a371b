/* daos_server.yml: what it may say, checked. */
#ifndef SERVER_CONTROL_SERVER_CONF_H
#define SERVER_CONTROL_SERVER_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "client/control/conf.h"

enum {
	SERVER_ENGINE_MAX = 64,  /* engines of one server */
	SERVER_TARGET_MAX = 128, /* targets of one engine */
};

struct conf_storage {
	int class; /* enum storage_class */
	char *scm_mount;
	uint64_t *scm_size; /* GiB */
	char **scm_list;
	unsigned scm_list_count;
	char **bdev_list;
	unsigned bdev_list_count;
	uint64_t *bdev_size; /* GiB */
};
enum storage_class { STORAGE_RAM, STORAGE_DCPM, STORAGE_NVME, STORAGE_FILE, STORAGE_KDEV };

struct conf_engine {
	uint32_t *targets;
	uint32_t *rank;
	int32_t *first_core;
	char *fabric_iface;
	uint32_t *fabric_iface_port;
	char *fault_path;
	char *provider;
	char *log_mask;
	char *log_file;
	char **env_vars;
	unsigned env_vars_count;
	struct conf_storage *storage;
	unsigned storage_count;
	/* accepted for the sake of existing files; without effect, which is logged */
	char *nr_xs_helpers;
	char *pinned_numa_node;
	char *bypass_health_chk;
	/* derived by server_conf_load() */
	const char *scm_dir;
	uint64_t scm_bytes;
	const char *nvme_dir; /* NULL: no second tier */
	uint64_t nvme_bytes;
	char *domain;
};

struct conf_metadata {
	char *path;
};

struct server_conf {
	char *name;
	char **mgmt_svc_replicas;
	unsigned mgmt_svc_replicas_count;
	char **access_points; /* the old name of the same */
	unsigned access_points_count;
	uint32_t *port;
	struct conf_metadata *control_metadata;
	char *control_iface;
	struct conf_transport *transport_config;
	char *fault_path;
	char *provider;
	uint32_t *crt_timeout;
	char *socket_dir;
	char *control_log_mask;
	char *control_log_file;
	enum conf_bool disable_engine_auto_restart;
	uint32_t *engine_auto_restart_min_delay; /* seconds */
	struct conf_engine *engines;
	unsigned engines_count;
	/* accepted, without effect, which is logged */
	char *disable_srx, *core_dump_filter, *disable_vfio, *disable_vmd, *disable_hotplug,
	    *hyperthreads;
	char *nr_hugepages, *disable_hugepages, *allow_numa_imbalance, *allow_thp,
	    *system_ram_reserved;
	char *helper_log_file, *telemetry_port;
};

/* Load and check; err is one line naming file, line or key. Free with server_conf_free(). */
int server_conf_load(const char *path, bool insecure, struct server_conf **ret_conf,
		     char err[CONF_ERR_LEN]);
void server_conf_free(struct server_conf *conf);
/* Calls fn for each key that is set and has no effect here. */
void server_conf_ineffective(const struct server_conf *conf, void (*fn)(const char *key, void *arg),
			     void *arg);

#endif
