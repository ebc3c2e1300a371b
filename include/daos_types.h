/*
 * Types used by all parts of the client interface: handles, epochs, keys, anchors, events, object
 * ids. The layouts are ABI.
 */
#ifndef DAOS_TYPES_H
#define DAOS_TYPES_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <stdbool.h>
#include <ctype.h>
#include <limits.h>
#include <uuid/uuid.h>

#include <gurt/types.h>
#include <daos_errno.h>

#if defined(__cplusplus)
extern "C" {
#endif

/** Longest system name, without the NUL. */
#define DAOS_SYS_NAME_MAX 15
/** Longest string in struct daos_sys_info, without the NUL. */
#define DAOS_SYS_INFO_STRING_MAX 63

typedef uint64_t daos_size_t;
typedef uint64_t daos_off_t;

#define DAOS_HKEY_MAX 32

typedef enum {
	DAOS_ANCHOR_TYPE_ZERO = 0, /* at the start */
	DAOS_ANCHOR_TYPE_HKEY = 1, /* at a hashed key */
	DAOS_ANCHOR_TYPE_KEY = 2,  /* at an integer or lexical key */
	DAOS_ANCHOR_TYPE_EOF = 3,  /* nothing is left */
} daos_anchor_type_t;

#define DAOS_ANCHOR_BUF_MAX 104

/** Position of a listing. Zeroed to start with; the content belongs to the library. */
typedef struct {
	uint16_t da_type;
	uint16_t da_shard;
	uint32_t da_flags;
	uint64_t da_sub_anchors;
	uint8_t da_buf[DAOS_ANCHOR_BUF_MAX];
} daos_anchor_t;

/* clang-format off */
#define DAOS_ANCHOR_INIT { .da_type = DAOS_ANCHOR_TYPE_ZERO, \
			   .da_shard = 0, \
			   .da_flags = 0, \
			   .da_sub_anchors = 0, \
			   .da_buf = { 0 } }
/* clang-format on */

/** Handle of anything open in the library; 0 is never one. */
typedef struct {
	uint64_t cookie;
} daos_handle_t;

#define DAOS_HDL_INVAL ((daos_handle_t){0})

/** Given as the transaction of an operation that is one by itself. */
#define DAOS_TX_NONE DAOS_HDL_INVAL

static inline bool
daos_handle_is_inval(daos_handle_t hdl)
{
	return hdl.cookie == 0;
}

static inline bool
daos_handle_is_valid(daos_handle_t hdl)
{
	return hdl.cookie != 0;
}

/** Flags of daos_pool_connect(): read-only, read-write, read-write with nobody else connected. */
#define DAOS_PC_RO    (1U << 0)
#define DAOS_PC_RW    (1U << 1)
#define DAOS_PC_EX    (1U << 2)
#define DAOS_PC_NBITS 3
#define DAOS_PC_MASK  ((1U << DAOS_PC_NBITS) - 1)

/** A point in the history of a container: a hybrid logical clock stamp, see d_hlc_get(). */
typedef uint64_t daos_epoch_t;

/** From epr_lo to epr_hi, both included. */
typedef struct {
	daos_epoch_t epr_lo;
	daos_epoch_t epr_hi;
} daos_epoch_range_t;

#define DAOS_EPOCH_MAX (~0ULL)

/** What daos_cont_query() and daos_cont_open() tell. */
typedef struct {
	uuid_t ci_uuid;
	daos_epoch_t ci_lsnapshot; /* newest snapshot, 0 if none */
	uint32_t ci_nhandles;
	uint32_t ci_nsnapshots;
	uint64_t ci_md_otime; /* clock stamp of the last open */
	uint64_t ci_md_mtime; /* clock stamp of the last change of metadata */
} daos_cont_info_t;

/** A distribution or attribute key: iov_len bytes of anything. */
typedef d_iov_t daos_key_t;

static inline bool
daos_key_is_null(daos_key_t key)
{
	return key.iov_buf == NULL || key.iov_buf_len == 0;
}

/**
 * A pending operation. Call daos_event_init() before its first use. ev_error is the operation's
 * result once it is complete; the rest belongs to the library.
 */
typedef struct daos_event {
	int ev_error;
	struct {
		uint64_t space[20];
	} ev_private;
	uint64_t ev_debug;
} daos_event_t;

/** Timeouts of daos_eq_poll() and daos_event_test(); others are in microseconds. */
#define DAOS_EQ_WAIT   -1
#define DAOS_EQ_NOWAIT 0

/** What daos_eq_query() counts. */
typedef enum {
	DAOS_EQR_COMPLETED = (1),
	DAOS_EQR_WAITING = (1 << 1), /* still in flight */
	DAOS_EQR_ALL = (DAOS_EQR_COMPLETED | DAOS_EQR_WAITING),
} daos_eq_query_t;

typedef enum {
	DAOS_EVS_READY,     /* may be given to a call */
	DAOS_EVS_RUNNING,   /* belongs to an operation */
	DAOS_EVS_COMPLETED, /* waits in its queue for daos_eq_poll() */
	DAOS_EVS_ABORTED,
} daos_ev_status_t;

/** Targets by rank and index within the rank. */
struct d_tgt_list {
	d_rank_t *tl_ranks;
	int32_t *tl_tgts;
	uint32_t tl_nr;
};

struct daos_eq;

/** Type of a handle, in the low bits of its cookie. */
enum {
	DAOS_HTYPE_EQ = 1,
	DAOS_HTYPE_POOL = 3,
	DAOS_HTYPE_CO = 5,
	DAOS_HTYPE_OBJ = 7,
	DAOS_HTYPE_ARRAY = 9,
	DAOS_HTYPE_TX = 11,
	DAOS_HTYPE_KV = 13,
};

/**
 * Object id, unique in its container. lo and the low 32 bits of hi are the user's; the high 32 bits
 * of hi are filled by daos_obj_generate_oid().
 */
typedef struct {
	uint64_t lo;
	uint64_t hi;
} daos_obj_id_t;

/** Size of a uuid as text, with the NUL. */
#define DAOS_UUID_STR_SIZE 37

/** Letter case that daos_is_valid_uuid_string() asks for. */
#define UUID_SST_UPPER 1
#define UUID_SST_LOWER -1
#define UUID_SST_NONE  0

/** Does the string start with a uuid: 36 characters, groups 8-4-4-4-12? */
static inline bool
daos_is_valid_uuid_string(const char *uuid, int sensitive)
{
	int i;

	for (i = 0; i < DAOS_UUID_STR_SIZE - 1; i++) {
		unsigned char c = (unsigned char)uuid[i];

		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (c != '-')
				return false;
			continue;
		}
		if (!isxdigit(c))
			return false;
		if (sensitive > 0 && islower(c))
			return false;
		if (sensitive < 0 && isupper(c))
			return false;
	}
	return true;
}

struct daos_rank_uri {
	uint32_t dru_rank;
	char *dru_uri;
};

/** What daos_mgmt_get_sys_info() tells about a system. */
struct daos_sys_info {
	char dsi_system_name[DAOS_SYS_INFO_STRING_MAX + 1];
	char dsi_fabric_provider[DAOS_SYS_INFO_STRING_MAX + 1];
	char dsi_agent_path[PATH_MAX]; /* socket of the agent */
	uint32_t dsi_nr_ranks;
	struct daos_rank_uri *dsi_ranks;
	uint32_t dsi_nr_ms_ranks;
	uint32_t *dsi_ms_ranks; /* ranks that run the management service */
};

/** Longest name of a pool's or container's user attribute, without the NUL. */
#define DAOS_ATTR_NAME_MAX 511

#if defined(__cplusplus)
}
#endif

#endif /* DAOS_TYPES_H */
