/*
 * The part of system management that the client library has: system information, list of pools,
 * and a few diagnostic calls.
 */
#ifndef DAOS_MGMT_H
#define DAOS_MGMT_H

#include <uuid/uuid.h>
#include <daos_cont.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

/** What the agent knows about a system (NULL: the default one); freed by the second call. */
int daos_mgmt_get_sys_info(const char *sys, struct daos_sys_info **info);
void daos_mgmt_put_sys_info(struct daos_sys_info *info);

typedef struct {
	uuid_t mgpi_uuid;
	d_string_t mgpi_label;   /* the caller's to free */
	d_rank_list_t *mgpi_svc; /* ranks of the pool service, the caller's to free */
	d_rank_t mgpi_ldr;
} daos_mgmt_pool_info_t;

/** Stop the pool's service; a diagnostic. */
int daos_pool_stop_svc(daos_handle_t poh, daos_event_t *ev);

/** Pools of the system. *npools: in room in pools, out how many there are. -DER_TRUNC. */
int daos_mgmt_list_pools(const char *group, daos_size_t *npools, daos_mgmt_pool_info_t *pools,
			 daos_event_t *ev);

/** Keys of daos_debug_set_params(). */
enum {
	DMG_KEY_FAIL_LOC = 0,
	DMG_KEY_FAIL_VALUE,
	DMG_KEY_FAIL_NUM,
	DMG_KEY_NUM,
};

/** Set a fault injection parameter on a rank, or on all with rank -1. */
int daos_debug_set_params(const char *grp, d_rank_t rank, unsigned int key_id, uint64_t value,
			  uint64_t value_extra, daos_event_t *ev);

/** Write a line to the logs of all engines. */
int daos_debug_add_mark(const char *mark);

int daos_mgmt_get_bs_state(const char *group, uuid_t blobstore_uuid, int *blobstore_state,
			   daos_event_t *ev);

/** Version of the servers; *tag belongs to the library. */
int dc_mgmt_srv_version(uint32_t *major, uint32_t *minor, uint32_t *patch, char **tag);

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* DAOS_MGMT_H */
