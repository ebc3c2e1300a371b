/*
 * Containers: create, open, destroy, properties, access, attributes, object ids, snapshots.
 *
 * A container is named by label or by uuid as text. Calls take an event (NULL: wait).
 */
#ifndef DAOS_CONT_H
#define DAOS_CONT_H

#define daos_cont_open    daos_cont_open2
#define daos_cont_destroy daos_cont_destroy2
#define daos_cont_create  daos_cont_create2

#include <daos_security.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

/** Flags of daos_cont_open(). */
#define DAOS_COO_RO         (1U << 0)
#define DAOS_COO_RW         (1U << 1)
#define DAOS_COO_EX         (1U << 2) /* -DER_BUSY if anybody has it open */
#define DAOS_COO_FORCE      (1U << 3) /* even if the container is unclean */
#define DAOS_COO_RO_MDSTATS (1U << 4) /* leave the open and close times alone */
#define DAOS_COO_EVICT      (1U << 5) /* close this user's other handles first */
#define DAOS_COO_EVICT_ALL  (1U << 6) /* with EX: close everybody's handles first */
#define DAOS_COO_NEW_LAYOUT (1U << 7)
#define DAOS_COO_NBITS      (8)
#define DAOS_COO_MASK       ((1U << DAOS_COO_NBITS) - 1)

#define DAOS_COO_IO_BASE_MASK (DAOS_COO_RO | DAOS_COO_RW | DAOS_COO_EX)

#define DAOS_CONT_HINT_MAX_LEN 128

/** Ranks from text such as "1:2:5" with the separator in sep; NULL on failure. */
d_rank_list_t *daos_rank_list_parse(const char *str, const char *sep);

/**
 * Pass an open container to other processes of a job. With glob->iov_buf NULL the size needed is
 * stored in iov_buf_len; the blob is opaque.
 */
int daos_cont_local2global(daos_handle_t coh, d_iov_t *glob);
int daos_cont_global2local(daos_handle_t poh, d_iov_t glob, daos_handle_t *coh);

/** Create; the uuid is chosen by the library. -DER_EXIST for a label in use. */
int daos_cont_create(daos_handle_t poh, uuid_t *uuid, daos_prop_t *cont_prop, daos_event_t *ev);

/** As daos_cont_create() with a label; cont_prop must not have another. uuid may be NULL. */
int daos_cont_create_with_label(daos_handle_t poh, const char *label, daos_prop_t *cont_prop,
				uuid_t *uuid, daos_event_t *ev);

/** Open by label or uuid; info may be NULL. -DER_NONEXIST, -DER_NO_PERM, -DER_RF if unclean. */
int daos_cont_open(daos_handle_t poh, const char *cont, unsigned int flags, daos_handle_t *coh,
		   daos_cont_info_t *info, daos_event_t *ev);
int daos_cont_close(daos_handle_t coh, daos_event_t *ev);

/** Destroy; -DER_BUSY while it is open, unless force. */
int daos_cont_destroy(daos_handle_t poh, const char *cont, int force, daos_event_t *ev);

/**
 * Query. cont_prop (may be NULL) lists the properties wanted by type, or has zeroed entries for
 * all; values are the caller's to free with the list.
 */
int daos_cont_query(daos_handle_t coh, daos_cont_info_t *info, daos_prop_t *cont_prop,
		    daos_event_t *ev);

/** ACL and ownership; the caller frees *acl_prop. */
int daos_cont_get_acl(daos_handle_t coh, daos_prop_t **acl_prop, daos_event_t *ev);
int daos_cont_set_prop(daos_handle_t coh, daos_prop_t *prop, daos_event_t *ev);

/** Declare an unclean container healthy. */
int daos_cont_status_clear(daos_handle_t coh, daos_event_t *ev);
int daos_cont_overwrite_acl(daos_handle_t coh, struct daos_acl *acl, daos_event_t *ev);

/** Add entries, replacing those of the same principals. */
int daos_cont_update_acl(daos_handle_t coh, struct daos_acl *acl, daos_event_t *ev);
int daos_cont_delete_acl(daos_handle_t coh, enum daos_acl_principal_type type, d_string_t name,
			 daos_event_t *ev);

/** Change owner, group, or both (NULL: leave); the names must exist on this machine. */
int daos_cont_set_owner(daos_handle_t coh, d_string_t user, d_string_t group, daos_event_t *ev);
int daos_cont_set_owner_no_check(daos_handle_t coh, d_string_t user, d_string_t group,
				 daos_event_t *ev);

/** Attribute names, each with its NUL; *size: in room in buffer, out size of the whole list. */
int daos_cont_list_attr(daos_handle_t coh, char *buffer, size_t *size, daos_event_t *ev);

/** Values of n attributes; sizes: in room, out length. NULL buffers ask for lengths. */
int daos_cont_get_attr(daos_handle_t coh, int n, char const *const names[], void *const buffers[],
		       size_t sizes[], daos_event_t *ev);
int daos_cont_set_attr(daos_handle_t coh, int n, char const *const names[],
		       void const *const values[], size_t const sizes[], daos_event_t *ev);
int daos_cont_del_attr(daos_handle_t coh, int n, char const *const names[], daos_event_t *ev);

/** Reserve num_oids values of oid.lo that nobody else will be given; *oid is the first. */
int daos_cont_alloc_oids(daos_handle_t coh, daos_size_t num_oids, uint64_t *oid, daos_event_t *ev);

/** Merge versions up to an epoch now. */
int daos_cont_aggregate(daos_handle_t coh, daos_epoch_t epoch, daos_event_t *ev);

/** Not available: -DER_NOSYS. */
int daos_cont_rollback(daos_handle_t coh, daos_epoch_t epoch, daos_event_t *ev);
int daos_cont_subscribe(daos_handle_t coh, daos_epoch_t *epoch, daos_event_t *ev);

/** Longest snapshot name. */
#define DAOS_SNAPSHOT_MAX_LEN 128

/** Take a snapshot; its epoch is stored in *epoch. name may be NULL. */
int daos_cont_create_snap(daos_handle_t coh, daos_epoch_t *epoch, char *name, daos_event_t *ev);

enum daos_snapshot_opts {
	DAOS_SNAP_OPT_CR = (1 << 0),  /* create */
	DAOS_SNAP_OPT_OIT = (1 << 1), /* with an object index table */
};

int daos_cont_create_snap_opt(daos_handle_t coh, daos_epoch_t *epoch, char *name,
			      enum daos_snapshot_opts opts, daos_event_t *ev);

/** Epochs (and names, each of room for DAOS_SNAPSHOT_MAX_LEN); *nr: in room, out how many are. */
int daos_cont_list_snap(daos_handle_t coh, int *nr, daos_epoch_t *epochs, char **names,
			daos_anchor_t *anchor, daos_event_t *ev);

/** Destroy the snapshot whose epoch is both ends of epr. */
int daos_cont_destroy_snap(daos_handle_t coh, daos_epoch_range_t epr, daos_event_t *ev);

/** DAOS_ACL_PERM_* of a user, from the ACL and owners in a container's properties. */
int daos_cont_get_perms(daos_prop_t *cont_prop, uid_t uid, gid_t *gids, size_t nr_gids,
			uint64_t *perms);

/** Make and destroy the object index table of an existing snapshot. */
int daos_cont_snap_oit_create(daos_handle_t coh, daos_epoch_t epoch, char *name, daos_event_t *ev);
int daos_cont_snap_oit_destroy(daos_handle_t coh, daos_handle_t oh, daos_event_t *ev);

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* DAOS_CONT_H */
