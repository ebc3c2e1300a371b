/*
 * Objects: ids, opening, update, fetch, punch, listing, the object index table of a snapshot.
 *
 * An object maps a distribution key (dkey) to attribute keys (akeys), and each akey to a single
 * value or to an array of records of one size. The dkey decides which redundancy group holds what
 * is below it. Every call may be given an event (NULL: wait) and a transaction (DAOS_TX_NONE).
 */
#ifndef DAOS_OBJ_H
#define DAOS_OBJ_H

#define daos_obj_generate_oid daos_obj_generate_oid2

#include <daos_types.h>
#include <daos_event.h>
#include <daos_obj_class.h>
#include <daos_prop.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

#define DAOS_OBJ_NIL ((daos_obj_id_t){0})

/*
 * The library's part of an object id: bits 63-56 of hi the type, 55-48 the redundancy code,
 * 47-32 the number of groups.
 */
#define OID_FMT_INTR_BITS   32
#define OID_FMT_TYPE_BITS   8
#define OID_FMT_CLASS_BITS  8
#define OID_FMT_META_BITS   16
#define OID_FMT_TYPE_SHIFT  (64 - OID_FMT_TYPE_BITS)
#define OID_FMT_CLASS_SHIFT (OID_FMT_TYPE_SHIFT - OID_FMT_CLASS_BITS)
#define OID_FMT_META_SHIFT  (OID_FMT_CLASS_SHIFT - OID_FMT_META_BITS)
#define OID_FMT_TYPE_MAX    ((1ULL << OID_FMT_TYPE_BITS) - 1)
#define OID_FMT_CLASS_MAX   ((1ULL << OID_FMT_CLASS_BITS) - 1)
#define OID_FMT_META_MAX    ((1ULL << OID_FMT_META_BITS) - 1)
#define OID_FMT_TYPE_MASK   (OID_FMT_TYPE_MAX << OID_FMT_TYPE_SHIFT)
#define OID_FMT_CLASS_MASK  (OID_FMT_CLASS_MAX << OID_FMT_CLASS_SHIFT)
#define OID_FMT_META_MASK   (OID_FMT_META_MAX << OID_FMT_META_SHIFT)

/**
 * Type of an object: what its keys are. Hashed keys are any bytes, listed in no useful order;
 * uint64 keys are 8 bytes; lexical keys are listed in byte order.
 */
enum daos_otype_t {
	DAOS_OT_MULTI_HASHED = 0,  /* dkey and akey hashed */
	DAOS_OT_OIT = 1,           /* object index table */
	DAOS_OT_DKEY_UINT64 = 2,   /* dkey integer, akey hashed */
	DAOS_OT_AKEY_UINT64 = 3,   /* dkey hashed, akey integer */
	DAOS_OT_MULTI_UINT64 = 4,  /* both integer */
	DAOS_OT_DKEY_LEXICAL = 5,  /* dkey lexical, akey hashed */
	DAOS_OT_AKEY_LEXICAL = 6,  /* dkey hashed, akey lexical */
	DAOS_OT_MULTI_LEXICAL = 7, /* both lexical */
	DAOS_OT_KV_HASHED = 8,     /* flat, for daos_kv_*: hashed keys */
	DAOS_OT_KV_UINT64 = 9,     /* flat, integer keys */
	DAOS_OT_KV_LEXICAL = 10,   /* flat, lexical keys */
	DAOS_OT_ARRAY = 11,        /* for daos_array_*: cell and chunk size stored in it */
	DAOS_OT_ARRAY_ATTR = 12,   /* array, cell and chunk size given at each open */
	DAOS_OT_ARRAY_BYTE = 13,   /* array of bytes, chunk size given at each open */
	DAOS_OT_OIT_V2 = 14,       /* object index table with markers */
	DAOS_OT_MAX = 14,
};

static inline bool
daos_otype_t_is_valid(enum daos_otype_t type)
{
	return (unsigned int)type <= DAOS_OT_MAX;
}

/** Levels over which a performance domain may be spread. */
static inline bool
daos_pa_domain_is_valid(uint32_t pa_domain)
{
	return pa_domain == DAOS_PROP_CO_REDUN_RANK || pa_domain == DAOS_PROP_CO_REDUN_NODE;
}

static inline enum daos_otype_t
daos_obj_id2type(daos_obj_id_t oid)
{
	return (enum daos_otype_t)((oid.hi & OID_FMT_TYPE_MASK) >> OID_FMT_TYPE_SHIFT);
}

static inline bool
daos_is_dkey_lexical_type(enum daos_otype_t type)
{
	return type == DAOS_OT_DKEY_LEXICAL || type == DAOS_OT_MULTI_LEXICAL ||
	       type == DAOS_OT_KV_LEXICAL;
}

static inline bool
daos_is_dkey_lexical(daos_obj_id_t oid)
{
	return daos_is_dkey_lexical_type(daos_obj_id2type(oid));
}

static inline bool
daos_is_akey_lexical_type(enum daos_otype_t type)
{
	return type == DAOS_OT_AKEY_LEXICAL || type == DAOS_OT_MULTI_LEXICAL;
}

static inline bool
daos_is_akey_lexical(daos_obj_id_t oid)
{
	return daos_is_akey_lexical_type(daos_obj_id2type(oid));
}

static inline bool
daos_is_array_type(enum daos_otype_t type)
{
	return type == DAOS_OT_ARRAY || type == DAOS_OT_ARRAY_ATTR || type == DAOS_OT_ARRAY_BYTE;
}

static inline bool
daos_is_array(daos_obj_id_t oid)
{
	return daos_is_array_type(daos_obj_id2type(oid));
}

static inline bool
daos_is_kv_type(enum daos_otype_t type)
{
	return type == DAOS_OT_KV_HASHED || type == DAOS_OT_KV_UINT64 || type == DAOS_OT_KV_LEXICAL;
}

static inline bool
daos_is_kv(daos_obj_id_t oid)
{
	return daos_is_kv_type(daos_obj_id2type(oid));
}

/** The dkeys of arrays are integers too: chunk numbers. */
static inline bool
daos_is_dkey_uint64_type(enum daos_otype_t type)
{
	return type == DAOS_OT_DKEY_UINT64 || type == DAOS_OT_MULTI_UINT64 ||
	       type == DAOS_OT_KV_UINT64 || daos_is_array_type(type);
}

static inline bool
daos_is_dkey_uint64(daos_obj_id_t oid)
{
	return daos_is_dkey_uint64_type(daos_obj_id2type(oid));
}

static inline bool
daos_is_akey_uint64_type(enum daos_otype_t type)
{
	return type == DAOS_OT_AKEY_UINT64 || type == DAOS_OT_MULTI_UINT64;
}

static inline bool
daos_is_akey_uint64(daos_obj_id_t oid)
{
	return daos_is_akey_uint64_type(daos_obj_id2type(oid));
}

/**
 * Conditions, or-ed into the flags of an operation. When one does not hold nothing is done and the
 * call gives -DER_EXIST (insert) or -DER_NONEXIST (update, fetch, punch).
 */
#define IO_FLAGS_COND_BITS 8
enum {
	DAOS_COND_PUNCH = (1 << 0),       /* punch only what exists */
	DAOS_COND_DKEY_INSERT = (1 << 1), /* dkey must not exist */
	DAOS_COND_DKEY_UPDATE = (1 << 2), /* dkey must exist */
	DAOS_COND_DKEY_FETCH = (1 << 3),
	DAOS_COND_AKEY_INSERT = (1 << 4), /* no akey of the call may exist */
	DAOS_COND_AKEY_UPDATE = (1 << 5), /* all must exist */
	DAOS_COND_AKEY_FETCH = (1 << 6),
	DAOS_COND_PER_AKEY = (1 << 7), /* akey conditions are in each iod_flags */
	DAOS_COND_MASK = ((1 << IO_FLAGS_COND_BITS) - 1),
};

struct daos_obj_attr {
	d_rank_t oa_rank;
	struct daos_oclass_attr *oa_oa;
};

/** Modes of daos_obj_open(). */
enum {
	DAOS_OO_RO = (1 << 1),
	DAOS_OO_RW = (1 << 2),
	DAOS_OO_EXCL = (1 << 3),    /* the only opener */
	DAOS_OO_IO_RAND = (1 << 4), /* hint: random access */
	DAOS_OO_IO_SEQ = (1 << 5),  /* hint: sequential access */
};

/** An extent: rx_nr records from record rx_idx on. */
typedef struct {
	uint64_t rx_idx;
	uint64_t rx_nr;
} daos_recx_t;

typedef enum {
	DAOS_IOD_NONE = 0,
	DAOS_IOD_SINGLE = 1, /* one value, replaced as a whole */
	DAOS_IOD_ARRAY = 2,  /* records at indices */
} daos_iod_type_t;

/** One akey of an update or fetch. */
typedef struct {
	daos_key_t iod_name;
	daos_iod_type_t iod_type;
	/**
	 * Bytes of the value or of one record. DAOS_REC_ANY in a fetch asks for it; a fetch sets it
	 * to 0 when nothing is there.
	 */
	daos_size_t iod_size;
	/** Akey conditions, with DAOS_COND_PER_AKEY. */
	uint64_t iod_flags;
	/** Number of extents; 1 for a single value. */
	uint32_t iod_nr;
	/** Extents, NULL for a single value. */
	daos_recx_t *iod_recxs;
} daos_iod_t;

/** In iom_flags: fill iom_recxs. */
#define DAOS_IOMF_DETAIL (0x1U)

/** What a fetch found: which extents exist. */
typedef struct {
	daos_iod_type_t iom_type;
	uint32_t iom_nr;     /* room in iom_recxs */
	uint32_t iom_nr_out; /* extents found; more than iom_nr: not all were told */
	uint32_t iom_flags;
	daos_size_t iom_size;
	daos_recx_t iom_recx_lo; /* first extent */
	daos_recx_t iom_recx_hi; /* last extent */
	daos_recx_t *iom_recxs;
} daos_iom_t;

enum {
	/** Record size is not known, see iod_size. */
	DAOS_REC_ANY = 0,
};

/** What daos_obj_query_key() looks for: one of MAX and MIN with any of the others. */
enum {
	DAOS_GET_MAX = (1 << 0),
	DAOS_GET_MIN = (1 << 1),
	DAOS_GET_DKEY = (1 << 2),
	DAOS_GET_AKEY = (1 << 3),
	DAOS_GET_RECX = (1 << 4),
};

/** One key of a listing. */
typedef struct {
	daos_size_t kd_key_len;
	uint32_t kd_val_type;
} daos_key_desc_t;

static inline enum daos_obj_redun
daos_obj_id2ord(daos_obj_id_t oid)
{
	return (enum daos_obj_redun)((oid.hi & OID_FMT_CLASS_MASK) >> OID_FMT_CLASS_SHIFT);
}

/** Number of redundancy groups. */
static inline uint32_t
daos_obj_id2grp_nr(daos_obj_id_t oid)
{
	return (uint32_t)((oid.hi & OID_FMT_META_MASK) >> OID_FMT_META_SHIFT);
}

static inline daos_oclass_id_t
daos_obj_id2class(daos_obj_id_t oid)
{
	return ((daos_oclass_id_t)daos_obj_id2ord(oid) << OC_REDUN_SHIFT) | daos_obj_id2grp_nr(oid);
}

static inline bool
daos_obj_id_is_nil(daos_obj_id_t oid)
{
	return oid.lo == 0 && oid.hi == 0;
}

/** Hints for class 0, one of each kind or-ed. */
#define DAOS_OCH_RDD_BITS    4
#define DAOS_OCH_SHD_BITS    6
#define DAOS_OCH_RDD_SHIFT   0
#define DAOS_OCH_SHD_SHIFT   DAOS_OCH_RDD_BITS
#define DAOS_OCH_RDD_MAX_VAL ((1ULL << DAOS_OCH_RDD_BITS) - 1)
#define DAOS_OCH_SHD_MAX_VAL ((1ULL << DAOS_OCH_SHD_BITS) - 1)
#define DAOS_OCH_RDD_MASK    (DAOS_OCH_RDD_MAX_VAL << DAOS_OCH_RDD_SHIFT)
#define DAOS_OCH_SHD_MASK    (DAOS_OCH_SHD_MAX_VAL << DAOS_OCH_SHD_SHIFT)

enum {
	/* Redundancy: by the container's factor, none, replicas, erasure code. */
	DAOS_OCH_RDD_DEF = (1 << 0),
	DAOS_OCH_RDD_NO = (1 << 1),
	DAOS_OCH_RDD_RP = (1 << 2),
	DAOS_OCH_RDD_EC = (1 << 3),
	/* Spread: by type, one group, then rising numbers of groups, all there is room for. */
	DAOS_OCH_SHD_DEF = (1 << 4),
	DAOS_OCH_SHD_TINY = (1 << 5),
	DAOS_OCH_SHD_REG = (1 << 6),
	DAOS_OCH_SHD_HI = (1 << 7),
	DAOS_OCH_SHD_EXT = (1 << 8),
	DAOS_OCH_SHD_MAX = (1 << 9),
};

/**
 * Fill the library's part of an object id.
 *
 * \param oid	in: the user's 96 bits, with zeros above; out: the whole id
 * \param cid	class; OC_UNKNOWN chooses by type, hints and the container's redundancy factor
 * \param hints	DAOS_OCH_*, for OC_UNKNOWN
 * \param args	reserved, 0
 *
 * \return	0; -DER_INVAL for bits already set, an unknown type or class, or one that this pool
 *		is too small for
 */
int daos_obj_generate_oid(daos_handle_t coh, daos_obj_id_t *oid, enum daos_otype_t type,
			  daos_oclass_id_t cid, daos_oclass_hints_t hints, uint32_t args);

/** Next user part of hi in a sequence that meets every 32-bit value; clears the library's part. */
static inline void
daos_obj_oid_cycle(daos_obj_id_t *oid)
{
	oid->hi = (oid->hi + 999999937) & UINT_MAX;
}

int daos_obj_open(daos_handle_t coh, daos_obj_id_t oid, unsigned int mode, daos_handle_t *oh,
		  daos_event_t *ev);
int daos_obj_close(daos_handle_t oh, daos_event_t *ev);

/** Punch the object, dkeys, or akeys: they are gone, but earlier epochs still show them. */
int daos_obj_punch(daos_handle_t oh, daos_handle_t th, uint64_t flags, daos_event_t *ev);
int daos_obj_punch_dkeys(daos_handle_t oh, daos_handle_t th, uint64_t flags, unsigned int nr,
			 daos_key_t *dkeys, daos_event_t *ev);
int daos_obj_punch_akeys(daos_handle_t oh, daos_handle_t th, uint64_t flags, daos_key_t *dkey,
			 unsigned int nr, daos_key_t *akeys, daos_event_t *ev);

int daos_obj_query(daos_handle_t oh, struct daos_obj_attr *oa, d_rank_list_t *ranks,
		   daos_event_t *ev);

/**
 * Read akeys of one dkey.
 *
 * \param nr	number of iods, of sgls and of ioms
 * \param sgls	where to; NULL asks for sizes only. Memory of holes is not touched.
 * \param ioms	optional: what exists
 *
 * \return	0; -DER_REC2BIG when a value does not fit, with its iod_size set; -DER_NONEXIST for
 *a condition
 */
int daos_obj_fetch(daos_handle_t oh, daos_handle_t th, uint64_t flags, daos_key_t *dkey,
		   unsigned int nr, daos_iod_t *iods, d_sg_list_t *sgls, daos_iom_t *ioms,
		   daos_event_t *ev);

/** Write akeys of one dkey, all or none. An array extent with iod_size 0 is punched. */
int daos_obj_update(daos_handle_t oh, daos_handle_t th, uint64_t flags, daos_key_t *dkey,
		    unsigned int nr, daos_iod_t *iods, d_sg_list_t *sgls, daos_event_t *ev);

/**
 * List keys.
 *
 * \param nr	in: room in kds; out: keys returned
 * \param sgl	receives the keys, one after the other
 * \param anchor	in and out: position, zeroed to start; done when daos_anchor_is_eof()
 *
 * \return	0; -DER_KEY2BIG when a key does not fit, with its length in kds[0]
 */
int daos_obj_list_dkey(daos_handle_t oh, daos_handle_t th, uint32_t *nr, daos_key_desc_t *kds,
		       d_sg_list_t *sgl, daos_anchor_t *anchor, daos_event_t *ev);
int daos_obj_list_akey(daos_handle_t oh, daos_handle_t th, daos_key_t *dkey, uint32_t *nr,
		       daos_key_desc_t *kds, d_sg_list_t *sgl, daos_anchor_t *anchor,
		       daos_event_t *ev);

/** List the extents of an array akey with their epochs, and its record size. */
int daos_obj_list_recx(daos_handle_t oh, daos_handle_t th, daos_key_t *dkey, daos_key_t *akey,
		       daos_size_t *size, uint32_t *nr, daos_recx_t *recxs,
		       daos_epoch_range_t *eprs, daos_anchor_t *anchor, bool incr_order,
		       daos_event_t *ev);

/**
 * Find the smallest or largest integer dkey, integer akey in it, and extent in that. Keys that the
 * flags do not ask for are given; those asked for have room for 8 bytes.
 */
int daos_obj_query_key(daos_handle_t oh, daos_handle_t th, uint64_t flags, daos_key_t *dkey,
		       daos_key_t *akey, daos_recx_t *recx, daos_event_t *ev);

/** Epoch of the newest change of the object. */
int daos_obj_query_max_epoch(daos_handle_t oh, daos_handle_t th, daos_epoch_t *epoch,
			     daos_event_t *ev);

/** Compare the replicas of an object at an epoch; -DER_MISMATCH. */
int daos_obj_verify(daos_handle_t coh, daos_obj_id_t oid, daos_epoch_t epoch);

/** Divide a dkey listing into parts that can be walked in parallel, and position on part index. */
int daos_obj_anchor_split(daos_handle_t oh, uint32_t *nr, daos_anchor_t *anchors);
int daos_obj_anchor_set(daos_handle_t oh, uint32_t index, daos_anchor_t *anchor);

/** The anchor at which listing continues behind a key. */
int daos_obj_key2anchor(daos_handle_t oh, daos_handle_t th, daos_key_t *dkey, daos_key_t *akey,
			daos_anchor_t *anchor, daos_event_t *ev);

/** The object index table of a snapshot made with DAOS_SNAP_OPT_OIT: all object ids in it. */
int daos_oit_open(daos_handle_t coh, daos_epoch_t epoch, daos_handle_t *oh, daos_event_t *ev);
int daos_oit_close(daos_handle_t oh, daos_event_t *ev);
int daos_oit_list(daos_handle_t oh, daos_obj_id_t *oids, uint32_t *oids_nr, daos_anchor_t *anchor,
		  daos_event_t *ev);

#define DAOS_OIT_MARKER_MAX_LEN (32)

/** Attach a marker to an object's entry; -DER_NONEXIST if it has none. */
int daos_oit_mark(daos_handle_t oh, daos_obj_id_t oid, d_iov_t *marker, daos_event_t *ev);
int daos_oit_list_unmarked(daos_handle_t oh, daos_obj_id_t *oids, uint32_t *oids_nr,
			   daos_anchor_t *anchor, daos_event_t *ev);

/** 1: list the entry, 0: skip it, negative: stop with this code. */
typedef int(daos_oit_filter_cb)(daos_obj_id_t oid, d_iov_t *marker);

int daos_oit_list_filter(daos_handle_t oh, daos_obj_id_t *oids, uint32_t *oids_nr,
			 daos_anchor_t *anchor, daos_oit_filter_cb filter, daos_event_t *ev);

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* DAOS_OBJ_H */
