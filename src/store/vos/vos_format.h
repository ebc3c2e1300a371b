/*
 * Bytes of VOS in the heap (SCM tier). Everything is little-endian; offsets are heap offsets, 0 is
 * none; README.md draws the whole.
 *
 *   root area      vos_pool_df
 *   cont tree      LEX, key uuid (16), value u64 -> vos_cont_df
 *   object tree    LEX, key hi|lo|shard big-endian (20), value u64 -> vos_key_df of the object
 *   vos_key_df     object, dkey or akey; children: none, one (embedded key), or a tree
 *   vos_fold_df    a key with all that is beneath it, down to a value of one version
 *   values         chain of vos_sv_df (single values), segment map of vos_seg_df (arrays)
 */
#ifndef STORE_VOS_FORMAT_H
#define STORE_VOS_FORMAT_H

#include <assert.h>
#include <stdint.h>

#include "store/heap/heap.h"
#include "store/space/space.h"
#include "store/tree/btree.h"

#define VOS_MAGIC 0x31534f5644414f44ull /* "DOADVOS1" */
enum { VOS_FORMAT_VERSION = 6 };

/* Order of versions and punches: epoch first, then the operation number within a transaction. */
struct vos_ord_df {
	uint64_t epoch;
	uint32_t op;
	uint32_t pad;
};
static_assert(sizeof(struct vos_ord_df) == 16, "format");

struct vos_pool_df {
	uint64_t magic;
	uint32_t version;
	uint32_t csum; /* crc32c of the fields that never change: magic, version, uuid, scm_bytes,
			* nvme_bytes */
	uint8_t uuid[16];
	uint64_t scm_bytes;
	uint64_t nvme_bytes;
	uint64_t next_cont_id;
	uint64_t max_epoch; /* of containers that are gone */
	uint64_t dying;     /* list of vos_cont_df being reclaimed */
	struct btree_root_df conts;
	struct space_root_df space;
};
static_assert(sizeof(struct vos_pool_df) <= HEAP_ROOT_BYTES, "root area");

struct vos_cont_df {
	uint8_t uuid[16];
	uint64_t id;         /* never used again in this pool */
	uint64_t dying;      /* next in the pool's list of containers being reclaimed */
	uint64_t max_epoch;  /* highest epoch committed here */
	uint64_t low_epoch;  /* a read at or above it is exact for every key */
	uint64_t scm_used;   /* bytes of all heap objects of the container, this one among them */
	uint64_t nvme_used;  /* bytes of its blocks */
	uint64_t agg_epoch;  /* updates and punches at or below it are refused */
	uint64_t agg_done;   /* all was aggregated up to here with the present keep; 0 = nothing */
	uint64_t floor;      /* what reads at or above it need is kept */
	uint64_t keep;       /* vos_keep_df: further epochs whose reads are kept */
	uint16_t csum_type;  /* DAOS_PROP_CO_CSUM_*; of every value, 0 = they have none */
	uint8_t csum_verify; /* 1: checksums that come with a value are checked first */
	uint8_t pad;
	uint32_t csum_chunk; /* bytes */
	/* smallest value that goes to the NVMe tier; 0 = as the pool, UINT32_MAX = none */
	uint32_t data_thresh;
	uint32_t pad2;
	struct btree_root_df objs;
	struct btree_root_df opids;
	struct btree_root_df dtxs;
};
static_assert(sizeof(struct vos_cont_df) == 208, "format");

struct vos_keep_df {
	uint64_t nr;
	uint64_t epoch[]; /* ascending */
};

/* --- keys ----------------------------------------------------------------------------- */

/* First byte of a record. */
enum vos_key_kind {
	VOS_KEY_OBJ = 0xb1,
	VOS_KEY_DKEY = 0xb2,
	VOS_KEY_AKEY = 0xb3,
};
enum { VOS_FOLDED = 0x40 }; /* with the kind of the topmost key: vos_fold_df */

/* Low bits of vos_key_df.child; objects in the heap are aligned to 16. */
enum vos_child_tag {
	VOS_CHILD_ONE = 1,  /* keys: the only child, which carries its key; arrays: vos_seg1_df */
	VOS_CHILD_TREE = 2, /* btree_root_df: of u64 offsets of keys' records (hashed keys are in
			     * these, others in the tree), or of vos_seg_df */
	VOS_CHILD_SV = 3,   /* newest vos_sv_df of a single value */
	VOS_CHILD_MASK = 15,
};

/* One object, dkey or akey. Stays where it is as long as it exists. */
struct vos_key_df {
	uint8_t kind; /* vos_key_kind */
	uint8_t pad;
	uint16_t key_len;   /* bytes in key[]; 0 when only the parent's tree has the key */
	uint32_t rec_size;  /* akey with an array: bytes per record of the newest write */
	uint64_t upd_epoch; /* newest version written beneath (punched extents included) */
	uint64_t chg_epoch; /* newest change beneath or of it: versions and punches */
	uint64_t child;     /* offset | vos_child_tag; 0 = nothing beneath */
	uint64_t punch;     /* vos_punches_df, 0 = never punched */
	uint8_t key[];
};
static_assert(sizeof(struct vos_key_df) == 40, "format");

enum vos_fold_flags {
	VOS_FOLD_ARRAY = 1 << 0, /* else a single value */
	VOS_FOLD_START = 1 << 1, /* the array does not begin with record 0 */
	VOS_FOLD_NVME = 1 << 2,  /* the value is in blocks */
	VOS_FOLD_SUM = 1 << 3,   /* the value has checksums */
	VOS_FOLD_FLAGS = 15,
};

/* An object, dkey or akey whose only descendants are one dkey, one akey and one version of a value,
 * all in one: vos_fold.c. epoch is the version's and that of all keys. */
struct vos_fold_df {
	uint8_t kind;      /* VOS_FOLDED | vos_key_kind of the topmost key */
	uint8_t flags;     /* vos_fold_flags */
	uint16_t op;       /* of the version */
	uint16_t dkey_len; /* 0 when that key is in a tree, or above the topmost */
	uint16_t akey_len;
	uint64_t epoch;
	uint32_t bytes;    /* of the value */
	uint32_t rec_size; /* ARRAY: bytes per record, a divisor of bytes */
	uint8_t rest[];    /* START: u64 first record; dkey; akey; then the value, or, from the next
			    * multiple of 8 on, its vos_run_df; SUM: u8 length of the checksums, which
			    * follow (an array's are at most 4 bytes) */
};
static_assert(sizeof(struct vos_fold_df) == 24, "format");

/* Epochs at which a key was punched, newest first. */
struct vos_punches_df {
	uint32_t nr;
	uint32_t cap;
	struct vos_ord_df ord[];
};
static_assert(sizeof(struct vos_punches_df) == 8, "format");

/* --- values --------------------------------------------------------------------------- */

enum vos_ver_kind {
	VOS_VER_PUNCH = 1,   /* nothing there as of this version */
	VOS_VER_INLINE = 2,  /* bytes in the heap */
	VOS_VER_NVME = 3,    /* blocks of the data device */
	VOS_VER_COUNTED = 4, /* arrays: part of a vos_ext_df */
	VOS_VER_LIST = 5,    /* single values: several runs of blocks */
};

/* Where a version says what is older: the next older version, or (this bit set, and only in the
 * newest one) a vos_hist_df. */
enum { VOS_OLDER_HIST = 4 };

/* Long histories: the versions behind the newest one of a value, as a list, and an index of them.
 */
struct vos_hist_df {
	uint32_t magic;
	uint32_t nr;
	uint64_t first;             /* the newest of them */
	struct btree_root_df index; /* LEX, key epoch (8) | operation (4), big-endian; value u64 */
};
static_assert(sizeof(struct vos_hist_df) == 48, "format");
enum { VOS_HIST_MAGIC = 0x74736948 };

/* A version of a single value; the chain is ordered newest first. */
struct vos_sv_df {
	uint64_t epoch;
	uint64_t older; /* see VOS_OLDER_HIST */
	uint64_t size;  /* bytes of the value */
	uint16_t op;
	uint8_t kind;
	uint8_t csum_len; /* bytes of the checksum, which follows the payload; 0 = none */
	uint32_t cap;     /* INLINE: bytes data[] can take; LIST: number of runs */
	uint8_t data[];   /* INLINE: the value; NVME: vos_run_df; LIST: vos_run_df[cap] */
};
static_assert(sizeof(struct vos_sv_df) == 32, "format");

struct vos_run_df {
	uint64_t blk;
	uint64_t blk_nr;
};
static_assert(sizeof(struct vos_run_df) == 16, "format");

/* A version of an array segment. The bytes of its records are [ext_off, ext_off + len * rec_size)
 * of what addr names. INLINE: a heap object. NVME: blocks from addr on, owned alone. COUNTED: a
 * vos_ext_df. Checksums cover these records and perhaps some before and behind them, which are in
 * the storage too; the first covered byte of NVME is in the first block. csum_tag, low two bits: 0
 * no checksums, 1 they are csum itself, 2 vos_csum_df at (csum | (csum_tag >> 2) << 32) * 16. */
struct vos_ver_df {
	uint64_t epoch;
	uint64_t addr;
	uint64_t older; /* next older version of the same segment; see VOS_OLDER_HIST */
	uint32_t ext_off;
	uint32_t rec_size;
	uint16_t op;
	uint8_t kind;
	uint8_t csum_tag;
	uint32_t csum;
};
static_assert(sizeof(struct vos_ver_df) == 40, "format");

/* Checksums of a version of a segment: one for each chunk of the container's grid that the covered
 * records touch, over those of its records that are covered. */
struct vos_csum_df {
	uint32_t pre;  /* records covered in front of the segment, fewer than in a chunk */
	uint32_t post; /* and behind it */
	uint8_t sum[];
};
static_assert(sizeof(struct vos_csum_df) == 8, "format");

/* Segment of an array: [start, start + len), start being the key. Segments do not overlap; all
 * versions of a segment cover all of it. */
struct vos_seg_df {
	uint64_t len;
	struct vos_ver_df ver; /* the newest */
};
static_assert(sizeof(struct vos_seg_df) == 48, "format");
static_assert(sizeof(struct vos_seg_df) <= BTREE_VAL_MAX, "format");

/* The only segment of an array. */
struct vos_seg1_df {
	uint64_t start;
	struct vos_seg_df seg;
};
static_assert(sizeof(struct vos_seg1_df) == 56, "format");

/* Storage shared by versions of several segments; returns with the last of them. */
struct vos_ext_df {
	uint32_t refs;
	uint8_t kind; /* VOS_VER_INLINE or VOS_VER_NVME */
	uint8_t pad[3];
	uint64_t addr;
	uint64_t blk_nr; /* NVME: blocks; INLINE: bytes */
};
static_assert(sizeof(struct vos_ext_df) == 24, "format");

/* --- identities of operations --------------------------------------------------------- */

/* Tree of a container: LEX, key client (16) | window number big-endian (8). The window ~0 is the
 * client's own record; window w holds one bit for each sequence number w * 512 ... w * 512 + 511.
 */
enum { VOS_OPID_WINDOW = 512, VOS_OPID_KEY = 24 };
union vos_opid_df {
	uint64_t bits[VOS_OPID_WINDOW / 64];
	struct {
		uint64_t low_window; /* windows below are forgotten */
		uint64_t last_epoch; /* of an operation of this client, about */
	} client;
};
static_assert(sizeof(union vos_opid_df) == 64, "format");
static_assert(sizeof(union vos_opid_df) <= BTREE_VAL_MAX, "format");

/* --- transactions --------------------------------------------------------------------- */

/* Tree of a container: LEX, key client (16) | sequence big-endian (8). */
enum { VOS_DTX_KEY = 24 };
struct vos_dtx_df {
	uint64_t epoch; /* of the intent */
	uint64_t attempt;
	uint64_t low_seq; /* the client's mark */
	uint64_t body;    /* PREPARED: first vos_body_df */
	uint32_t body_bytes;
	uint32_t map_ver;
	uint8_t state; /* PREPARED or ABORTED; what is committed is in the tree of identities */
	uint8_t pad[7];
};
static_assert(sizeof(struct vos_dtx_df) == 48, "format");
static_assert(sizeof(struct vos_dtx_df) <= BTREE_VAL_MAX, "format");

/* The operations of an intent, in as many objects as they need. Together these bytes are what
 * vos_dtx_rec.c describes. */
enum { VOS_BODY_MAX = 512 << 10 };
struct vos_body_df {
	uint64_t next;
	uint32_t len;
	uint32_t csum; /* crc32c of bytes[] */
	uint8_t bytes[];
};
static_assert(sizeof(struct vos_body_df) == 16, "format");

#endif
