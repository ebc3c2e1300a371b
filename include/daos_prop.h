/*
 * Properties of pools and containers.
 *
 * A property list is an array of entries: type, flags, and a number, string or pointer. Entries
 * own what they point to; daos_prop_free() releases it all. Numbers of types and values are ABI.
 */
#ifndef DAOS_PROP_H
#define DAOS_PROP_H

#include <ctype.h>
#include <daos_types.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

enum daos_pool_props {
	DAOS_PROP_PO_MIN = 0,
	DAOS_PROP_PO_LABEL,             /* string, unique in the system */
	DAOS_PROP_PO_ACL,               /* pointer to struct daos_acl */
	DAOS_PROP_PO_SPACE_RB,          /* percent of space kept for rebuild */
	DAOS_PROP_PO_SELF_HEAL,         /* DAOS_SELF_HEAL_* */
	DAOS_PROP_PO_RECLAIM,           /* DAOS_RECLAIM_* */
	DAOS_PROP_PO_OWNER,             /* string, "user@" */
	DAOS_PROP_PO_OWNER_GROUP,       /* string, "group@" */
	DAOS_PROP_PO_SVC_LIST,          /* pointer to d_rank_list_t, read only */
	DAOS_PROP_PO_EC_CELL_SZ,        /* bytes */
	DAOS_PROP_PO_DATA_THRESH,       /* values from this size on go to the data tier */
	DAOS_PROP_PO_REDUN_FAC,         /* default of its containers */
	DAOS_PROP_PO_EC_PDA,            /* shards of an EC group per performance domain */
	DAOS_PROP_PO_RP_PDA,            /* shards of a replica group per performance domain */
	DAOS_PROP_PO_GLOBAL_VERSION,    /* format version, read only */
	DAOS_PROP_PO_UPGRADE_STATUS,    /* DAOS_UPGRADE_STATUS_* */
	DAOS_PROP_PO_SCRUB_MODE,        /* DAOS_SCRUB_MODE_* */
	DAOS_PROP_PO_SCRUB_FREQ,        /* seconds */
	DAOS_PROP_PO_SCRUB_THRESH,      /* errors before a target is evicted, 0: never */
	DAOS_PROP_PO_SVC_REDUN_FAC,     /* failures the pool service survives */
	DAOS_PROP_PO_OBJ_VERSION,       /* object layout version */
	DAOS_PROP_PO_PERF_DOMAIN,       /* DAOS_PROP_PERF_DOMAIN_* */
	DAOS_PROP_PO_CHECKPOINT_MODE,   /* DAOS_CHECKPOINT_* */
	DAOS_PROP_PO_CHECKPOINT_FREQ,   /* seconds */
	DAOS_PROP_PO_CHECKPOINT_THRESH, /* percent of the log in use */
	DAOS_PROP_PO_REINT_MODE,        /* DAOS_REINT_MODE_* */
	DAOS_PROP_PO_SVC_OPS_ENABLED,   /* remember metadata operations to detect repeats */
	DAOS_PROP_PO_SVC_OPS_ENTRY_AGE, /* seconds they are remembered */
	DAOS_PROP_PO_MAX,
};

#define DAOS_PROP_PO_NUM (DAOS_PROP_PO_MAX - DAOS_PROP_PO_MIN - 1)

/** Bytes of a given length as a property's value. */
struct daos_prop_byteval {
	void *dpb_data;
	size_t dpb_len;
};

#define DAOS_PROP_PO_EC_CELL_SZ_MIN    (1UL << 10)
#define DAOS_PROP_PO_EC_CELL_SZ_MAX    (1UL << 30)
#define DAOS_PROP_PO_REDUN_FAC_MAX     4
#define DAOS_PROP_PO_REDUN_FAC_DEFAULT 3

static inline bool
daos_rf_is_valid(unsigned long long rf)
{
	return rf <= DAOS_PROP_PO_REDUN_FAC_MAX;
}

#define DAOS_PROP_PDA_MAX           ((uint32_t)-1)
#define DAOS_PROP_PO_RP_PDA_DEFAULT DAOS_PROP_PDA_MAX
#define DAOS_PROP_PO_EC_PDA_DEFAULT ((uint32_t)1)

enum {
	DAOS_UPGRADE_STATUS_NOT_STARTED = 0,
	DAOS_UPGRADE_STATUS_IN_PROGRESS = 1,
	DAOS_UPGRADE_STATUS_COMPLETED = 2,
	DAOS_UPGRADE_STATUS_FAILED = 3,
};

#define DAOS_PROP_PO_SVC_REDUN_FAC_MAX     4
#define DAOS_PROP_PO_SVC_REDUN_FAC_DEFAULT 2

static inline bool
daos_svc_rf_is_valid(uint64_t svc_rf)
{
	return svc_rf <= DAOS_PROP_PO_SVC_REDUN_FAC_MAX;
}

/** Level of the pool map that is a performance domain. */
enum {
	DAOS_PROP_PERF_DOMAIN_ROOT = 255,
	DAOS_PROP_PERF_DOMAIN_GROUP = 200,
};

#define DAOS_PROP_PO_PERF_DOMAIN_DEFAULT DAOS_PROP_PERF_DOMAIN_ROOT
#define DAOS_PROP_CO_PERF_DOMAIN_DEFAULT DAOS_PROP_PERF_DOMAIN_ROOT

/** When overwritten versions are aggregated: never, when idle, per snapshot, in batches, by time.
 */
enum {
	DAOS_RECLAIM_DISABLED = 0,
	DAOS_RECLAIM_LAZY,
	DAOS_RECLAIM_SNAPSHOT,
	DAOS_RECLAIM_BATCH,
	DAOS_RECLAIM_TIME,
};

/** How a returning rank gets its data: all of it again, as it is, or only what it missed. */
enum {
	DAOS_REINT_MODE_DATA_SYNC = 0,
	DAOS_REINT_MODE_NO_DATA_SYNC = 1,
	DAOS_REINT_MODE_INCREMENTAL = 2,
};

#define DAOS_PROP_PO_REINT_MODE_DEFAULT DAOS_REINT_MODE_DATA_SYNC

/** Checksum scrubbing: off, when idle, at the set frequency. */
enum {
	DAOS_SCRUB_MODE_OFF = 0,
	DAOS_SCRUB_MODE_LAZY = 1,
	DAOS_SCRUB_MODE_TIMED = 2,
	DAOS_SCRUB_MODE_INVALID = 3,
};

#define DAOS_PROP_PO_SCRUB_MODE_DEFAULT   DAOS_SCRUB_MODE_OFF
#define DAOS_PROP_PO_SCRUB_FREQ_DEFAULT   604800
#define DAOS_PROP_PO_SCRUB_THRESH_DEFAULT 0

enum {
	DAOS_CHECKPOINT_DISABLED = 0,
	DAOS_CHECKPOINT_TIMED,
	DAOS_CHECKPOINT_LAZY,
};

#define DAOS_PROP_PO_CHECKPOINT_MODE_DEFAULT   DAOS_CHECKPOINT_TIMED
#define DAOS_PROP_PO_CHECKPOINT_FREQ_DEFAULT   5
#define DAOS_PROP_PO_CHECKPOINT_FREQ_MIN       1
#define DAOS_PROP_PO_CHECKPOINT_FREQ_MAX       (1 << 20)
#define DAOS_PROP_PO_CHECKPOINT_THRESH_DEFAULT 50
#define DAOS_PROP_PO_CHECKPOINT_THRESH_MAX     75
#define DAOS_PROP_PO_CHECKPOINT_THRESH_MIN     10

#define DAOS_PROP_PO_SVC_OPS_ENABLED_DEFAULT   1
#define DAOS_PROP_PO_SVC_OPS_ENTRY_AGE_DEFAULT 300
#define DAOS_PROP_PO_SVC_OPS_ENTRY_AGE_MIN     60
#define DAOS_PROP_PO_SVC_OPS_ENTRY_AGE_MAX     600

/** Exclude failed ranks, rebuild after an exclusion, put the rebuild off for a while. */
#define DAOS_SELF_HEAL_AUTO_EXCLUDE  (1U << 0)
#define DAOS_SELF_HEAL_AUTO_REBUILD  (1U << 1)
#define DAOS_SELF_HEAL_DELAY_REBUILD (1U << 2)

enum daos_cont_props {
	DAOS_PROP_CO_MIN = 0x1000,
	DAOS_PROP_CO_LABEL,              /* string, unique in the pool */
	DAOS_PROP_CO_LAYOUT_TYPE,        /* DAOS_PROP_CO_LAYOUT_* */
	DAOS_PROP_CO_LAYOUT_VER,         /* of the layout type's owner */
	DAOS_PROP_CO_CSUM,               /* DAOS_PROP_CO_CSUM_* */
	DAOS_PROP_CO_CSUM_CHUNK_SIZE,    /* bytes under one checksum */
	DAOS_PROP_CO_CSUM_SERVER_VERIFY, /* DAOS_PROP_CO_CSUM_SV_* */
	DAOS_PROP_CO_REDUN_FAC,          /* failures survived: DAOS_PROP_CO_REDUN_RF* */
	DAOS_PROP_CO_REDUN_LVL,          /* of what: DAOS_PROP_CO_REDUN_RANK... */
	DAOS_PROP_CO_SNAPSHOT_MAX,       /* most snapshots, 0: no limit */
	DAOS_PROP_CO_ACL,                /* pointer to struct daos_acl */
	DAOS_PROP_CO_COMPRESS,           /* DAOS_PROP_CO_COMPRESS_* */
	DAOS_PROP_CO_ENCRYPT,            /* DAOS_PROP_CO_ENCRYPT_* */
	DAOS_PROP_CO_OWNER,              /* string, "user@" */
	DAOS_PROP_CO_OWNER_GROUP,        /* string, "group@" */
	DAOS_PROP_CO_DEDUP,              /* DAOS_PROP_CO_DEDUP_* */
	DAOS_PROP_CO_DEDUP_THRESHOLD,    /* bytes from which values are deduplicated */
	DAOS_PROP_CO_ROOTS,              /* pointer to struct daos_prop_co_roots */
	DAOS_PROP_CO_STATUS,             /* DAOS_PROP_CO_STATUS_VAL() */
	DAOS_PROP_CO_ALLOCED_OID,        /* highest id given by daos_cont_alloc_oids() */
	DAOS_PROP_CO_EC_CELL_SZ,         /* bytes */
	DAOS_PROP_CO_EC_PDA,             /* as the pool's */
	DAOS_PROP_CO_RP_PDA,             /* as the pool's */
	DAOS_PROP_CO_GLOBAL_VERSION,     /* format version, read only */
	DAOS_PROP_CO_SCRUBBER_DISABLED,  /* 1: the pool's scrubber leaves it out */
	DAOS_PROP_CO_OBJ_VERSION,        /* object layout version */
	DAOS_PROP_CO_PERF_DOMAIN,        /* as the pool's */
	DAOS_PROP_CO_MAX,
};

/** Object ids from which everything in the container can be found; layout's own meaning. */
struct daos_prop_co_roots {
	daos_obj_id_t cr_oids[4];
};

#define DAOS_PROP_CO_NUM (DAOS_PROP_CO_MAX - DAOS_PROP_CO_MIN - 1)

typedef uint16_t daos_cont_layout_t;

/** What is in a container. */
enum {
	DAOS_PROP_CO_LAYOUT_UNKNOWN,
	DAOS_PROP_CO_LAYOUT_UNKOWN = DAOS_PROP_CO_LAYOUT_UNKNOWN, /* an old misspelling, in use */
	DAOS_PROP_CO_LAYOUT_POSIX,
	DAOS_PROP_CO_LAYOUT_HDF5,
	DAOS_PROP_CO_LAYOUT_PYTHON,
	DAOS_PROP_CO_LAYOUT_SPARK,
	DAOS_PROP_CO_LAYOUT_DATABASE,
	DAOS_PROP_CO_LAYOUT_ROOT,
	DAOS_PROP_CO_LAYOUT_SEISMIC,
	DAOS_PROP_CO_LAYOUT_METEO,
	DAOS_PROP_CO_LAYOUT_MAX
};

enum {
	DAOS_PROP_CO_CSUM_OFF,
	DAOS_PROP_CO_CSUM_CRC16,
	DAOS_PROP_CO_CSUM_CRC32,
	DAOS_PROP_CO_CSUM_CRC64,
	DAOS_PROP_CO_CSUM_SHA1,
	DAOS_PROP_CO_CSUM_SHA256,
	DAOS_PROP_CO_CSUM_SHA512,
	DAOS_PROP_CO_CSUM_ADLER32
};

/** Whether the server checks checksums of what it receives. */
enum { DAOS_PROP_CO_CSUM_SV_OFF, DAOS_PROP_CO_CSUM_SV_ON };

/** Deduplication: none, comparing bytes, trusting hashes. */
enum { DAOS_PROP_CO_DEDUP_OFF, DAOS_PROP_CO_DEDUP_MEMCMP, DAOS_PROP_CO_DEDUP_HASH };

enum {
	DAOS_PROP_CO_COMPRESS_OFF,
	DAOS_PROP_CO_COMPRESS_LZ4,
	DAOS_PROP_CO_COMPRESS_DEFLATE,
	DAOS_PROP_CO_COMPRESS_DEFLATE1,
	DAOS_PROP_CO_COMPRESS_DEFLATE2,
	DAOS_PROP_CO_COMPRESS_DEFLATE3,
	DAOS_PROP_CO_COMPRESS_DEFLATE4,
};

enum {
	DAOS_PROP_CO_ENCRYPT_OFF,
	DAOS_PROP_CO_ENCRYPT_AES_XTS128,
	DAOS_PROP_CO_ENCRYPT_AES_XTS256,
	DAOS_PROP_CO_ENCRYPT_AES_CBC128,
	DAOS_PROP_CO_ENCRYPT_AES_CBC192,
	DAOS_PROP_CO_ENCRYPT_AES_CBC256,
	DAOS_PROP_CO_ENCRYPT_AES_GCM128,
	DAOS_PROP_CO_ENCRYPT_AES_GCM256
};

/** Number of failures that objects of the container must survive. */
enum {
	DAOS_PROP_CO_REDUN_RF0 = 0,
	DAOS_PROP_CO_REDUN_RF1 = 1,
	DAOS_PROP_CO_REDUN_RF2 = 2,
	DAOS_PROP_CO_REDUN_RF3 = 3,
	DAOS_PROP_CO_REDUN_RF4 = 4,
	DAOS_RF_MAX = 4,
};

/** What fails as one: a rank, a node, or a fault domain above nodes. */
enum {
	DAOS_PROP_CO_REDUN_MIN = 1,
	DAOS_PROP_CO_REDUN_RANK = 1,
	DAOS_PROP_CO_REDUN_NODE = 2,
	DAOS_PROP_CO_REDUN_FAULT = 3,
	DAOS_PROP_CO_REDUN_MAX = 254,
};

#define DAOS_PROP_CO_REDUN_DEFAULT DAOS_PROP_CO_REDUN_NODE

/** Health: UNCLEAN after more failures than the redundancy factor. */
enum {
	DAOS_PROP_CO_HEALTHY,
	DAOS_PROP_CO_UNCLEAN,
};

/** dcs_flags: the user declares the container healthy again. */
#define DAOS_PROP_CO_CLEAR (0x1)

struct daos_co_status {
	uint16_t dcs_status; /* DAOS_PROP_CO_HEALTHY or _UNCLEAN */
	uint16_t dcs_flags;
	uint32_t dcs_pm_ver; /* pool map version from which failures count */
};

/** The status as one number: flags, status, map version from the top down. */
#define DAOS_PROP_CO_STATUS_VAL(status, flag, pm_ver)                                              \
	((((uint64_t)(flag)) << 48) | (((uint64_t)(status)&0xFFFF) << 32) | ((uint64_t)(pm_ver)))

static inline uint64_t
daos_prop_co_status_2_val(struct daos_co_status *co_status)
{
	return DAOS_PROP_CO_STATUS_VAL(co_status->dcs_status, co_status->dcs_flags,
				       co_status->dcs_pm_ver);
}

static inline void
daos_prop_val_2_co_status(uint64_t val, struct daos_co_status *co_status)
{
	co_status->dcs_pm_ver = (uint32_t)val;
	co_status->dcs_status = (uint16_t)(val >> 32);
	co_status->dcs_flags = (uint16_t)(val >> 48);
}

/** dpe_flags: the property has no value. */
enum {
	DAOS_PROP_ENTRY_NOT_SET = (1 << 0),
};

struct daos_prop_entry {
	uint32_t dpe_type; /* DAOS_PROP_PO_* or DAOS_PROP_CO_* */
	uint16_t dpe_flags;
	uint16_t dpe_reserv;
	union {
		uint64_t dpe_val;
		d_string_t dpe_str;
		void *dpe_val_ptr;
	};
};

#define DAOS_PROP_ENTRIES_MAX_NR (128)

/** Longest label, user or group name, without the NUL; and the buffer for it. */
#define DAOS_PROP_LABEL_MAX_LEN     (127)
#define DAOS_PROP_MAX_LABEL_BUF_LEN (DAOS_PROP_LABEL_MAX_LEN + 1)

#define DAOS_PROP_CO_LABEL_DEFAULT "container_label_not_set"
#define DAOS_PROP_PO_LABEL_DEFAULT "pool_label_not_set"

/** 1 to 127 of the characters a-z A-Z 0-9 . _ : - that do not read as a uuid. */
static inline bool
daos_label_is_valid(const char *label)
{
	size_t len;
	size_t i;

	if (label == NULL)
		return false;
	len = strnlen(label, DAOS_PROP_LABEL_MAX_LEN + 1);
	if (len == 0 || len > DAOS_PROP_LABEL_MAX_LEN)
		return false;
	for (i = 0; i < len; i++)
		if (!isalnum((unsigned char)label[i]) && strchr("._:-", label[i]) == NULL)
			return false;
	return len < DAOS_UUID_STR_SIZE - 1 || !daos_is_valid_uuid_string(label, UUID_SST_NONE);
}

#define DAOS_PROP_PO_DATA_THRESH_DEFAULT (1UL << 12)

#define DAOS_PROP_NO_PO_LABEL "pool_label_not_set"
#define DEFAULT_CONT_LABEL    "container_label_not_set"
#define DAOS_PROP_NO_CO_LABEL DEFAULT_CONT_LABEL

static inline bool
daos_perf_domain_is_valid(const char *perf_domain)
{
	return daos_label_is_valid(perf_domain);
}

typedef struct {
	uint32_t dpp_nr;
	uint32_t dpp_reserv;
	struct daos_prop_entry *dpp_entries;
} daos_prop_t;

/** A list of zeroed entries; NULL when out of memory or entries_nr is over the limit. */
daos_prop_t *daos_prop_alloc(uint32_t entries_nr);

/** Release the entries and what they own, but not prop. */
void daos_prop_fini(daos_prop_t *prop);
void daos_prop_free(daos_prop_t *prop);

/**
 * Container properties from "name:value;name:value" text, names and values as in the command line.
 * The caller frees *prop. -DER_INVAL for anything not understood.
 */
int daos_prop_from_str(const char *str, daos_size_t len, daos_prop_t **prop);

/** A new list of old_prop's entries, replaced and completed by those of new_prop. */
int daos_prop_merge2(daos_prop_t *old_prop, daos_prop_t *new_prop, daos_prop_t **out_prop);

/** As daos_prop_merge2(), NULL on any failure. */
daos_prop_t *daos_prop_merge(daos_prop_t *old_prop, daos_prop_t *new_prop);

/** The entry of a type, NULL if there is none. It stays in the list. */
struct daos_prop_entry *daos_prop_entry_get(daos_prop_t *prop, uint32_t type);

/*
 * Replace values by copies; what was there is released. -DER_NONEXIST when the list has no entry of
 * the type, -DER_INVAL for a type that has no such value, -DER_NOMEM.
 */
int daos_prop_set_str(daos_prop_t *prop, uint32_t type, const char *str, daos_size_t len);
int daos_prop_entry_set_str(struct daos_prop_entry *entry, const char *str, daos_size_t len);
int daos_prop_set_ptr(daos_prop_t *prop, uint32_t type, const void *ptr, daos_size_t size);
int daos_prop_entry_set_ptr(struct daos_prop_entry *entry, const void *ptr, daos_size_t size);
int daos_prop_entry_dup_ptr(struct daos_prop_entry *entry_dst, struct daos_prop_entry *entry_src,
			    size_t len);
int daos_prop_set_byteval(daos_prop_t *prop, uint32_t type, const void *data, size_t len);
int daos_prop_entry_set_byteval(struct daos_prop_entry *entry, const void *data, size_t len);
int daos_prop_entry_dup_byteval(struct daos_prop_entry *entry_dst,
				struct daos_prop_entry *entry_src);

/** 0 if the two ACLs are equal, -DER_MISMATCH if not. */
int daos_prop_entry_cmp_acl(struct daos_prop_entry *entry1, struct daos_prop_entry *entry2);
int daos_prop_entry_dup_co_roots(struct daos_prop_entry *dst, struct daos_prop_entry *src);

/** Kind of value of an entry's type. */
bool daos_prop_has_str(struct daos_prop_entry *entry);
bool daos_prop_has_ptr(struct daos_prop_entry *entry);
bool daos_prop_has_byteval(struct daos_prop_entry *entry);

static inline bool
daos_prop_is_set(struct daos_prop_entry *entry)
{
	return (entry->dpe_flags & DAOS_PROP_ENTRY_NOT_SET) == 0;
}

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* DAOS_PROP_H */
