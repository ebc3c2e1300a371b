/*
 * Pools, as their users see them: connect, query, attributes, list of containers.
 *
 * A pool is named by label or by uuid as text. Creating and changing pools is dmg's job.
 */
#ifndef DAOS_POOL_H
#define DAOS_POOL_H

#define daos_pool_connect daos_pool_connect2

#include <inttypes.h>
#include <uuid/uuid.h>
#include <daos_prop.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

typedef enum {
	DAOS_TS_UNKNOWN,
	DAOS_TS_DOWN_OUT, /* failed, and its data is elsewhere */
	DAOS_TS_DOWN,     /* failed, rebuild not finished */
	DAOS_TS_UP,       /* coming back, data still moving */
	DAOS_TS_UP_IN,    /* in service */
	DAOS_TS_NEW,      /* added, not in service yet */
	DAOS_TS_DRAIN,    /* leaving, data still moving */
} daos_target_state_t;

/** Nothing is measured yet. */
typedef struct {
	int foo;
} daos_target_perf_t;

/** Storage tiers: metadata and small values, bulk data. */
enum daos_media_type_t { DAOS_MEDIA_SCM = 0, DAOS_MEDIA_NVME, DAOS_MEDIA_MAX };

/** Bytes per tier. */
struct daos_space {
	uint64_t s_total[DAOS_MEDIA_MAX];
	uint64_t s_free[DAOS_MEDIA_MAX];
};

typedef struct {
	uint32_t ta_padding;
	daos_target_state_t ta_state;
	daos_target_perf_t ta_perf;
	struct daos_space ta_space;
} daos_target_info_t;

/** Space of a pool: in total, and the extremes and mean of free space per target. */
struct daos_pool_space {
	struct daos_space ps_space;
	uint64_t ps_free_min[DAOS_MEDIA_MAX];
	uint64_t ps_free_max[DAOS_MEDIA_MAX];
	uint64_t ps_free_mean[DAOS_MEDIA_MAX];
	uint32_t ps_ntargets; /* targets counted */
	uint32_t ps_padding;
};

enum daos_rebuild_state_t {
	DRS_IN_PROGRESS = 0,
	DRS_NOT_STARTED = 1,
	DRS_COMPLETED = 2,
};

enum daos_rebuild_status_flag {
	DAOS_RSF_DEGRADED = (1 << 0), /* data is at reduced redundancy */
};

struct daos_rebuild_status {
	uint32_t rs_version; /* pool map version it is for, or the newest when none ran */
	uint32_t rs_seconds; /* how long it has taken so far */
	int32_t rs_errno;    /* 0 or negative DER */
	union {
		int32_t rs_state; /* enum daos_rebuild_state_t */
		int32_t rs_done;  /* its old name */
	};
	uint16_t rs_max_supported_layout_ver;
	uint8_t rs_flags; /* enum daos_rebuild_status_flag */
	uint8_t rs_reserved_;
	int32_t rs_fail_rank;      /* a rank that failed in it */
	uint64_t rs_toberb_obj_nr; /* objects to rebuild */
	uint64_t rs_obj_nr;        /* objects rebuilt */
	uint64_t rs_rec_nr;        /* records rebuilt */
	uint64_t rs_size;          /* bytes rebuilt */
};

/** What daos_pool_query() is asked for in pi_bits. */
enum daos_pool_info_bit {
	DPI_SPACE = 1ULL << 0,
	DPI_REBUILD_STATUS = 1ULL << 1,
	DPI_ENGINES_ENABLED = 1ULL << 2,  /* the rank list is of ranks in service */
	DPI_ENGINES_DISABLED = 1ULL << 3, /* the rank list is of ranks not in service */
	DPI_ENGINES_DEAD = 1ULL << 4,     /* the rank list is of ranks that do not answer */
	DPI_REBUILD_MAX_LAYOUT_VER = 1ULL << 5,
	DPI_SELF_HEAL_POLICY = 1ULL << 6,
	DPI_ALL = -1,
};

typedef struct {
	uuid_t pi_uuid;
	uint32_t pi_ntargets;
	uint32_t pi_nnodes;    /* ranks */
	uint32_t pi_ndisabled; /* targets not in service */
	uint32_t pi_map_ver;
	uint32_t pi_leader; /* rank of the pool service's leader */
	uint64_t pi_bits;   /* in: enum daos_pool_info_bit, or-ed */
	struct daos_pool_space pi_space;
	struct daos_rebuild_status pi_rebuild_st;
} daos_pool_info_t;

struct daos_pool_cont_info {
	uuid_t pci_uuid;
	char pci_label[DAOS_PROP_LABEL_MAX_LEN + 1];
};

struct daos_pool_cont_info2 {
	struct daos_pool_cont_info pci_id;
	daos_cont_info_t pci_cinfo;
	void *pci_reserved[2];
};

/**
 * Connect.
 *
 * \param sys	system name, NULL for the default one
 * \param flags	DAOS_PC_*
 * \param info	may be NULL
 *
 * \return	0; -DER_NONEXIST, -DER_NO_PERM, -DER_AGENT_COMM (no agent), -DER_BUSY (exclusive)
 */
int daos_pool_connect(const char *pool, const char *sys, unsigned int flags, daos_handle_t *poh,
		      daos_pool_info_t *info, daos_event_t *ev);

/** All containers must have been closed. */
int daos_pool_disconnect(daos_handle_t poh, daos_event_t *ev);

/** Pass a connection to other processes of a job, see daos_cont_local2global(). */
int daos_pool_local2global(daos_handle_t poh, d_iov_t *glob);
int daos_pool_global2local(d_iov_t glob, daos_handle_t *poh);

/** Query; each result may be NULL. The caller frees *ranks and the values in pool_prop. */
int daos_pool_query(daos_handle_t poh, d_rank_list_t **ranks, daos_pool_info_t *info,
		    daos_prop_t *pool_prop, daos_event_t *ev);
int daos_pool_query_target(daos_handle_t poh, uint32_t tgt, d_rank_t rank, daos_target_info_t *info,
			   daos_event_t *ev);

/** User attributes, as daos_cont_list_attr() and its sisters. */
int daos_pool_list_attr(daos_handle_t poh, char *buffer, size_t *size, daos_event_t *ev);
int daos_pool_get_attr(daos_handle_t poh, int n, char const *const names[], void *const buffers[],
		       size_t sizes[], daos_event_t *ev);
int daos_pool_set_attr(daos_handle_t poh, int n, char const *const names[],
		       void const *const values[], size_t const sizes[], daos_event_t *ev);
int daos_pool_del_attr(daos_handle_t poh, int n, char const *const names[], daos_event_t *ev);

/**
 * Containers of the pool. *ncont: in room in cbuf, out how many there are; cbuf NULL asks for the
 * number. -DER_TRUNC when they do not fit.
 */
int daos_pool_list_cont(daos_handle_t poh, daos_size_t *ncont, struct daos_pool_cont_info *cbuf,
			daos_event_t *ev);

/** Comparisons of a filter. */
enum daos_pool_cont_filter_func {
	PCF_FUNC_EQ = 0,
	PCF_FUNC_NE,
	PCF_FUNC_LT,
	PCF_FUNC_LE,
	PCF_FUNC_GT,
	PCF_FUNC_GE,
	PCF_FUNC_MAX
};

static inline const char *
daos_pool_cont_filter_func_str(enum daos_pool_cont_filter_func f)
{
	static const char *const names[PCF_FUNC_MAX] = {"==", "!=", "<", "<=", ">", ">="};

	return (unsigned int)f < PCF_FUNC_MAX ? names[f] : "UNKNOWN";
}

/** What a filter compares. */
enum daos_pool_cont_filter_key {
	PCF_KEY_MD_OTIME = 0,
	PCF_KEY_MD_MTIME,
	PCF_KEY_NUM_SNAPSHOTS,
	PCF_KEY_NUM_HANDLES,
	PCF_KEY_MAX
};

static inline const char *
daos_pool_cont_filter_key_str(enum daos_pool_cont_filter_key k)
{
	static const char *const names[PCF_KEY_MAX] = {"md_open_time", "md_modify_time",
						       "num_snapshots", "num_handles"};

	return (unsigned int)k < PCF_KEY_MAX ? names[k] : "UNKNOWN";
}

typedef struct daos_pool_cont_filter_part {
	uint32_t pcfp_func; /* enum daos_pool_cont_filter_func */
	uint32_t pcfp_key;  /* enum daos_pool_cont_filter_key */
	union {
		uint64_t pcfp_val64;
		d_string_t pcfp_valstr;
	};
} daos_pool_cont_filter_part_t;

enum daos_pool_cont_filter_combine {
	PCF_COMBINE_LOGICAL_AND = 0,
	PCF_COMBINE_LOGICAL_OR,
};

typedef struct daos_pool_cont_filter {
	uint32_t pcf_combine_func; /* enum daos_pool_cont_filter_combine */
	uint32_t pcf_nparts;
	struct daos_pool_cont_filter_part **pcf_parts;
} daos_pool_cont_filter_t;

#define DAOS_POOL_CONT_FILTER_MAX_NPARTS (8)

int daos_pool_cont_filter_init(daos_pool_cont_filter_t *filt, uint32_t combine_func);

/** Add a copy of part; -DER_OVERFLOW when there are too many. */
int daos_pool_cont_filter_add(daos_pool_cont_filter_t *filt, daos_pool_cont_filter_part_t *part);
void daos_pool_cont_filter_fini(daos_pool_cont_filter_t *filt);

/** Containers that match, with details; a NULL filter matches all. As daos_pool_list_cont(). */
int daos_pool_filter_cont(daos_handle_t poh, daos_pool_cont_filter_t *filter, daos_size_t *ncont,
			  struct daos_pool_cont_info2 *cbuf, daos_event_t *ev);

/** DAOS_ACL_PERM_* of a user, from the ACL and owners in a pool's properties. */
int daos_pool_get_perms(daos_prop_t *pool_prop, uid_t uid, gid_t *gids, size_t nr_gids,
			uint64_t *perms);

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* DAOS_POOL_H */
