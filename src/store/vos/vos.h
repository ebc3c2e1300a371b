/*
 * VOS, the versioned object store: the shard of one pool on one target.
 *
 * pool -> container -> object shard -> dkey -> akey -> single values or an array of extents. Every
 * update and punch carries an epoch (64-bit hybrid clock); reads happen at an epoch and see, per
 * value, the newest version at or below it that no punch of an ancestor hides. Late updates and
 * late punches (epochs out of order) are ordinary.
 *
 * Everything is durable when a call that changes something returns 0. A failed call changed
 * nothing. All calls are used from coroutines of the xstream that opened the pool; calls marked
 * co_fn may yield, concurrent calls are safe.
 *
 * Key kinds follow the object type in the object id (daos_obj_id2type): hashed, lexical or 64-bit
 * integer dkeys and akeys (integer keys are exactly 8 bytes: else -DER_INVAL).
 */
#ifndef STORE_VOS_H
#define STORE_VOS_H

#include <daos_types.h>
#include <daos_obj.h>
#include <stdbool.h>
#include <uuid/uuid.h>

#include "runtime/co.h"
#include "store/dev/dev.h"

struct vos_pool;
struct vos_cont;

/* --- pool
 * ----------------------------------------------------------------------------------------------------------
 */
struct vos_pool_conf {
	const char *
	    name; /* device names are NAME.heap, NAME.wal, NAME.data; e.g. "<pool uuid>.<target>" */
	uuid_t pool_uuid;
	uint64_t scm_bytes;   /* SCM tier: size of the heap (create) */
	uint64_t nvme_bytes;  /* NVMe tier: size of the data device (create); 0: everything lives in
				 the heap */
	uint64_t wal_bytes;   /* 0 = default */
	uint32_t data_thresh; /* see vos_pool_set_data_thresh() */
	uint64_t cache_bytes; /* bound of the read cache over the NVMe tier; 0 = default */
	/* open: bound of the heap kept in memory; 0 = all of it */
	uint64_t scm_cache_bytes;
	/* open: change no byte of the devices; what the log holds is replayed in memory only, what
	 * was destroyed stays as far as it was reclaimed, and every change is refused */
	bool read_only;
	/* open: give freed space of the NVMe tier back to the file system or device below. The pool
	 * then no longer owns all of its size: when others have taken the space, a write gets
	 * -DER_NOSPACE before the pool is full. false: it keeps what it reserved when it was
	 * created. */
	bool discard;
	uint32_t discard_ms; /* open: ... when it has been free for this long; 0 = 10 s */
	/* open: no read timestamp from before is above this (the clock's ceiling) */
	uint64_t ts_floor;
	uint32_t ts_entries; /* open: read timestamps remembered; 0 = default 4096 */
	bool debug_shadow;   /* open: check every transaction against a replayed image (tests) */
};
int co_fn vos_pool_create(struct dev_dir *dir, struct xs *xs, const struct vos_pool_conf *conf);
/* Recovers as needed. conf: uuid and sizes are not read. -DER_NONEXIST,
 * -DER_DF_INVAL (not a VOS pool), -DER_CSUM (rotten metadata), -DER_DF_INCOMPT (format version). */
int co_fn vos_pool_open(struct dev_dir *dir, struct xs *xs, const struct vos_pool_conf *conf,
			struct vos_pool **ret_pool);
/* Checkpoints and closes. All containers must be closed. */
void co_fn vos_pool_close(struct vos_pool *pool);
int co_fn vos_pool_destroy(struct dev_dir *dir, struct xs *xs, const char *name);

struct vos_space {
	uint64_t scm_total, scm_free;   /* bytes */
	uint64_t nvme_total, nvme_free; /* bytes */
	/* exact: objects as allocated, blocks as published */
	uint64_t scm_used, nvme_used;
	uint64_t nvme_reserved; /* for updates under way */
	uint64_t nvme_freeing;  /* on their way to nvme_free */
};
void vos_pool_space(struct vos_pool *pool, struct vos_space *ret_space);
/* How the free space of the NVMe tier is cut up. Without such a tier all zeros. */
enum { VOS_FRAG_CLASS_NR = 16 };
struct vos_frag {
	uint64_t free_bytes;
	uint64_t run_nr;
	uint64_t longest_bytes;
	/* runs of 4 KiB << i up to less than twice that, and what they hold */
	uint64_t class_run_nr[VOS_FRAG_CLASS_NR];
	uint64_t class_bytes[VOS_FRAG_CLASS_NR];
};
int co_fn vos_pool_frag(struct vos_pool *pool, struct vos_frag *ret_frag);
/*
 * Which tier a value goes to, from now on (not stored: a setting of vos_pool_open): the NVMe tier
 * from this many bytes on, the heap below. 0: the default, 4096. VOS_THRESH_SCM: all values that
 * can stay in the heap (a single value or extent of up to 512 KiB; up to 1.7 MiB in one update).
 * Aggregation moves what merges to the tier of its new size.
 */
#define VOS_THRESH_SCM UINT32_MAX
void vos_pool_set_data_thresh(struct vos_pool *pool, uint32_t bytes);
void vos_pool_uuid(const struct vos_pool *pool, uuid_t ret_uuid);
/* The highest epoch ever committed or aggregated here (restart floor of the engine's clock). */
uint64_t vos_pool_max_epoch(struct vos_pool *pool);

/* --- containers
 * ----------------------------------------------------------------------------------------------------
 */
/* What is decided when a container is made and holds for its life. */
struct vos_cont_conf {
	uint32_t csum_type;  /* DAOS_PROP_CO_CSUM_*: each value is stored with checksums */
	uint32_t csum_chunk; /* bytes under one checksum of an array, at least CSUM_CHUNK_MIN */
	bool csum_verify; /* checksums that come with an update are checked before it is stored */
};
/* conf NULL: no checksums. -DER_EXIST; -DER_INVAL: no such type, or too small a chunk. */
int co_fn vos_cont_create_with(struct vos_pool *pool, const uuid_t uuid,
			       const struct vos_cont_conf *conf);
static inline int co_fn
vos_cont_create(struct vos_pool *pool, const uuid_t uuid)
{
	return vos_cont_create_with(pool, uuid, NULL);
}
void vos_cont_conf_get(const struct vos_cont *cont, struct vos_cont_conf *ret_conf);
int co_fn vos_cont_open(struct vos_pool *pool, const uuid_t uuid,
			struct vos_cont **ret_cont); /* refcounted */
void vos_cont_close(struct vos_cont *cont);
/* The same for one container, durable; 0: as the pool. */
int co_fn vos_cont_set_data_thresh(struct vos_cont *cont, uint32_t bytes);
/* What it uses, its index included: exact, in bytes as vos_pool_space() counts them. */
struct vos_cont_space {
	uint64_t scm_used, nvme_used;
};
void vos_cont_space(const struct vos_cont *cont, struct vos_cont_space *ret_space);
/* Instant to the caller; space comes back in the background. Open handles get -DER_NO_HDL... from
 * then on. */
int co_fn vos_cont_destroy(struct vos_pool *pool, const uuid_t uuid);
int co_fn vos_cont_list(struct vos_pool *pool, int (*fn)(const uuid_t uuid, void *arg), void *arg);

/* --- order and transactions: what operations may ask for ---
 *
 * Plain operations pass no struct vos_order; they see every intent and raise no read timestamps. */

/* A distributed transaction: who began it (incarnation, random) and which of theirs it is. The same
 * identity as that of struct vos_opid. */
struct vos_dtx_id {
	uint64_t client[2];
	uint64_t seq; /* > 0 */
};

/* One attempt at it. Attempts of one id are ordered by (map_ver, attempt). */
struct vos_dtx_ref {
	struct vos_dtx_id id;
	uint64_t attempt;
	uint64_t epoch;
	uint32_t map_ver; /* the leader's pool map version */
	uint32_t pad;
};

/* Why an operation was refused. */
enum { VOS_CONFLICT_MAX = 8 };
struct vos_conflict {
	uint64_t min_epoch; /* -DER_TX_RESTART: the lowest epoch that would do; 0 = none is known */
	uint32_t dtx_nr;    /* -DER_INPROGRESS: intents that must be decided first ... */
	bool more;          /* ... and there are more than fit */
	struct vos_dtx_ref dtx[VOS_CONFLICT_MAX];
};

enum vos_order_flags {
	VOS_ORDER_READ = 1 << 0, /* what is read, conditions included, raises read timestamps */
	/* Writes: refuse (-DER_TX_RESTART) an epoch at or below a read timestamp, a committed
	 * change or an intent of what is written. */
	VOS_ORDER_WRITE = 1 << 1,
	/* Do not see intents at all. */
	VOS_ORDER_IGNORE = 1 << 2,
};

/* How an operation stands towards others. Lives as long as the operation. */
struct vos_order {
	uint32_t flags;
	uint32_t ignore_nr;
	const struct vos_dtx_id *self;   /* on behalf of: own intents and reads do not count */
	const struct vos_dtx_id *ignore; /* further transactions whose intents are not seen */
	struct vos_conflict *conflict;   /* out; may be NULL */
};

/* --- object I/O
 * ----------------------------------------------------------------------------------------------------
 */
struct vos_oid {
	daos_obj_id_t id;
	uint32_t shard; /* one target may hold several shards of an object */
	uint32_t pad;
};

/*
 * Identity of a client's operation, so that a repeated request (reply lost, engine restarted) is
 * answered, not executed again. Recorded in the same transaction as the change it names: a second
 * update_end/punch with the same (client, seq) returns -DER_ALREADY and changes nothing. Records
 * below low_seq of the same client are forgotten; records of clients that were silent for long are
 * dropped by aggregation.
 */
struct vos_opid {
	uint64_t client[2]; /* incarnation, random */
	uint64_t seq;       /* > 0 */
	uint64_t low_seq;   /* lowest sequence the client has not been answered for */
};

/* Checksums of one iod, in the order of its extents and their chunks (base/csum.h). */
struct vos_iod_sums {
	const uint8_t *sum;
	uint32_t bytes; /* 0 = none */
};

/* Names one dkey and what to do with akeys below it. Everything pointed to stays the caller's and
 * must live until the matching _end. iods: iod_type SINGLE or ARRAY, iod_size, iod_nr, iod_recxs as
 * in daos_obj.h. */
struct vos_io {
	struct vos_oid oid;
	uint64_t epoch;      /* update: the version, 0 and UINT64_MAX are none; fetch: read at,
				UINT64_MAX = latest */
	uint64_t cond_flags; /* DAOS_COND_*, applied as documented for daos_obj_update/fetch */
	const daos_key_t *dkey;
	const daos_iod_t *iods;
	uint32_t iod_nr;
	const struct vos_opid *opid; /* updates: NULL = not recorded */
	/* updates: checksums that came with the data, for each iod; NULL = none. What is missing
	 * is computed if the container wants it; what it does not want is ignored. */
	const struct vos_iod_sums *sums;
	uint16_t op_nr; /* updates: number of the operation within its transaction; orders versions
			   of one epoch */
	const struct vos_order *order; /* NULL = plain */
};

/*
 * Update in two steps, so that data can be pulled from the client straight into its destination:
 * begin checks arguments and reserves space (-DER_NOSPACE), and yields buffers to fill; end writes,
 * commits and waits until durable, checking conditions (-DER_EXIST / -DER_NONEXIST) at commit.
 * Abandon with vos_update_cancel. An iod with iod_size 0 punches the value or the extents and has
 * no buffer.
 */
struct vos_update;
int co_fn vos_update_begin(struct vos_cont *cont, const struct vos_io *io,
			   struct vos_update **ret_up);
/* Buffers of iod i in the order of its records; total length = sum of its extents * iod_size. */
const struct iovec *vos_update_iov(struct vos_update *up, uint32_t iod_idx, uint32_t *ret_nr);
/* Replace the epoch given at begin: for callers that choose it when the data has arrived. Before
 * end. */
void vos_update_set_epoch(struct vos_update *up, uint64_t epoch);
/* -DER_CSUM: the data do not agree with the checksums that came with them. */
int co_fn vos_update_end(struct vos_update *up); /* frees up in every case */
void vos_update_cancel(struct vos_update *up);

/*
 * Fetch: begin finds the data visible at the epoch and has it in memory; the pieces stay pinned
 * until end. Piece with iov_base == NULL: a hole (nothing written, or punched), iov_len its length.
 * sizes_only: no data, only record sizes (size query).
 */
struct vos_fetch;
enum {
	VOS_FETCH_SIZE_ONLY = 1,
	VOS_FETCH_NEED_RECX = 2, /* also report the extents that exist */
	VOS_FETCH_NEED_SUMS = 4, /* also give checksums of what is returned */
	VOS_FETCH_VERSION = 8,   /* what is kept, whether or not history is complete there */
};
/* -DER_CSUM: a value is damaged, and reported (vos_pool_on_csum). */
int co_fn vos_fetch_begin(struct vos_cont *cont, const struct vos_io *io, uint32_t flags,
			  struct vos_fetch **ret_f);
/* Record size of iod i: 0 = nothing there. For SINGLE the value's size. */
uint64_t vos_fetch_size(const struct vos_fetch *f, uint32_t iod_idx);
const struct iovec *vos_fetch_iov(const struct vos_fetch *f, uint32_t iod_idx, uint32_t *ret_nr);
const daos_recx_t *vos_fetch_recxs(const struct vos_fetch *f, uint32_t iod_idx, uint32_t *ret_nr);
/* With NEED_SUMS: one checksum for each chunk that each extent asked for touches, over what of it
 * is returned, holes left out (all holes: zeros); a single value has one. *ret_bytes 0: the
 * container has none. Those made by who wrote the value are passed on where an extent asked for has
 * the whole of what they cover; the others are computed from data that were checked. */
const uint8_t *vos_fetch_sums(const struct vos_fetch *f, uint32_t iod_idx, uint32_t *ret_bytes);
void vos_fetch_end(struct vos_fetch *f);

/* Punch an object shard (dkey NULL), a dkey (akey_nr 0) or akeys. cond_flags: DAOS_COND_PUNCH.
 * Later updates revive. */
int co_fn vos_punch(struct vos_cont *cont, const struct vos_oid *oid, uint64_t epoch,
		    uint64_t cond_flags, const daos_key_t *dkey, const daos_key_t *akeys,
		    uint32_t akey_nr, const struct vos_opid *opid);

/* --- listing
 * -------------------------------------------------------------------------------------------------------
 */
enum vos_list_kind {
	VOS_LIST_OBJ,    /* objects of the container */
	VOS_LIST_DKEY,   /* of one object shard */
	VOS_LIST_AKEY,   /* of one dkey */
	VOS_LIST_RECX,   /* extents of one akey, ascending (or descending) by index */
	VOS_LIST_SINGLE, /* the visible single value of one akey */
};
struct vos_entry {
	struct vos_oid oid; /* OBJ */
	const void *key;    /* DKEY, AKEY: valid during the callback */
	uint32_t key_len;
	daos_recx_t recx;  /* RECX */
	uint64_t rec_size; /* RECX, SINGLE */
	uint64_t epoch;    /* of the version shown, or newest update for keys */
};
/* Position of a listing: opaque, survives concurrent changes, portable between calls and processes
 * (goes to the client inside daos_anchor_t). All zeros = start. */
struct vos_anchor {
	uint8_t state; /* 0 start, 1 inside, 2 end */
	uint8_t len;
	uint8_t bytes[94];
};
struct vos_list {
	enum vos_list_kind kind;
	struct vos_oid oid;            /* not for OBJ */
	uint64_t epoch;                /* read at, UINT64_MAX = latest */
	const daos_key_t *dkey;        /* AKEY, RECX, SINGLE */
	const daos_key_t *akey;        /* RECX, SINGLE */
	bool descending;               /* RECX only */
	const struct vos_order *order; /* NULL = plain */
};
/* Calls fn for each visible entry after the anchor, in a stable order; fn returning non-zero stops
 * before consuming that entry (1: stop, return 0; negative: returned). Updates the anchor. fn must
 * not yield. A key that does not fit the anchor (long lexical keys) is kept by hash + prefix as
 * described in vos/README.md. */
int co_fn vos_list(struct vos_cont *cont, const struct vos_list *list, struct vos_anchor *anchor,
		   int (*fn)(const struct vos_entry *entry, void *arg), void *arg);

/* Min/max queries as daos_obj_query_key: flags DAOS_GET_MAX/MIN | DAOS_GET_DKEY | AKEY | RECX.
 * dkey/akey are in/out. Integer keys only. -DER_NONEXIST when there is none. */
struct vos_query {
	struct vos_oid oid;
	uint64_t epoch;
	uint64_t flags;
	uint64_t dkey;                 /* in when not asked, out when asked */
	daos_key_t *akey;              /* in/out; with AKEY asked the buffer must hold 8 bytes */
	daos_recx_t recx;              /* out */
	uint64_t max_epoch;            /* out: newest update of the object shard */
	const struct vos_order *order; /* NULL = plain */
};
int co_fn vos_query_key(struct vos_cont *cont, struct vos_query *q);
/* Newest epoch that changed the object shard (file mtime). -DER_NONEXIST. */
int co_fn vos_obj_max_epoch(struct vos_cont *cont, const struct vos_oid *oid, uint64_t *ret_epoch);

/*
 * What reads must still find: everything visible at `floor` or later, and at each epoch of keep[]
 * (snapshots). Durable. A new container has floor UINT64_MAX and no keep: only the latest version
 * stays. A read at an epoch whose history is gone gets -DER_TX_RESTART, never wrong data. Lowering
 * the floor brings nothing back.
 */
int co_fn vos_cont_set_keep(struct vos_cont *cont, uint64_t floor, const uint64_t *keep,
			    uint32_t keep_nr);

/* --- history --- */
/* Merge versions and reclaim space of everything not needed by a read at an epoch in keep[] or at
 * or above `below`, tombstones included; incremental: returns after about budget_ns with *ret_more
 * = true when there is more to do (call again with the same arguments). The caller vouches that
 * nothing at or below `below` is still to come: such updates and punches are refused with
 * -DER_TX_RESTART from then on (those that were in vos_update_end or vos_punch when the pass began
 * are not: it stays below them). keep[] replaces that of vos_cont_set_keep. */
int co_fn vos_aggregate(struct vos_cont *cont, uint64_t below, const uint64_t *keep,
			uint32_t keep_nr, uint64_t budget_ns, bool *ret_more);

/* --- checksums of values --- */
/* A value that does not agree with its checksum. Pointers are valid during the call. */
enum vos_csum_found { VOS_CSUM_UPDATE, VOS_CSUM_FETCH, VOS_CSUM_MERGE, VOS_CSUM_SCRUB };
struct vos_csum_event {
	enum vos_csum_found found; /* UPDATE: it came so; nothing is stored */
	uuid_t cont;
	struct vos_oid oid;
	daos_key_t dkey, akey;
	bool single;      /* a single value; else recx */
	daos_recx_t recx; /* records under the checksum */
	uint64_t epoch;   /* of the version; UPDATE: 0 */
	bool nvme;        /* where it lies: a byte of the data device, or an offset of the heap */
	uint64_t dev_off;
};
/* fn is called, besides a log line, for each find. It must not yield. */
void vos_pool_on_csum(struct vos_pool *pool, void (*fn)(const struct vos_csum_event *ev, void *arg),
		      void *arg);
struct vos_csum_stats {
	uint64_t made_bytes;    /* of data whose checksums were computed */
	uint64_t checked_bytes; /* compared, scrubbing aside */
	uint64_t trusted_bytes; /* read from cache memory that had been checked */
	uint64_t bad_nr;        /* finds, scrubbing aside */
	uint64_t scrub_bytes, scrub_bad_nr;
};
void vos_pool_csum_stats(const struct vos_pool *pool, struct vos_csum_stats *ret_stats);

/*
 * Scrubbing: compares all that a container stores, old versions included, with its checksums; what
 * is in blocks is read from the device, not from the cache. Finds are reported as above and do not
 * end it. A step compares about max_bytes (at least one value) and leaves the loop to others
 * between reads; the caller sleeps between steps as its rate demands. *ret_more false: the walk is
 * over; another step begins a new one. Holds a reference to the container.
 */
struct vos_scrub;
int vos_scrub_create(struct vos_cont *cont, struct vos_scrub **ret_scrub);
int co_fn vos_scrub_step(struct vos_scrub *scrub, uint64_t max_bytes, uint64_t *ret_bytes,
			 bool *ret_more);
void vos_scrub_destroy(struct vos_scrub *scrub);
/* --- transactions over several keys --- */

enum vos_op_kind { VOS_OP_UPDATE, VOS_OP_PUNCH };

/* One change of a transaction. Those of one transaction have one epoch and are ordered by op_nr;
 * conditions see what operations before them in the array did. */
struct vos_op {
	enum vos_op_kind kind;
	uint16_t op_nr;
	/* UPDATE: from vos_update_begin, filled. Its epoch, op_nr, opid and order are not looked
	 * at. Freed, and NULL, when the call returns 0; otherwise still the caller's, to try again
	 * or to cancel. */
	struct vos_update *up;
	/* PUNCH: as for vos_punch */
	struct vos_oid oid;
	uint64_t cond_flags;
	const daos_key_t *dkey;
	const daos_key_t *akeys;
	uint32_t akey_nr;
};

/* Do all of them, or none, at one epoch. opid and order may be NULL. */
int co_fn vos_apply(struct vos_cont *cont, uint64_t epoch, struct vos_op *ops, uint32_t op_nr,
		    const struct vos_opid *opid, const struct vos_order *order);

/* --- intents ---
 *
 * An intent is a transaction that is durable here, with its data, and not decided. It is kept
 * beside the index: what reads see is the index alone, and a read, listing, query or condition that
 * an intent at or below its epoch could change gets -DER_INPROGRESS, which names it. */

enum vos_dtx_state {
	VOS_DTX_UNKNOWN = 0,
	VOS_DTX_PREPARED = 1,
	VOS_DTX_COMMITTED = 2, /* or recorded as done by a plain operation with this identity */
	VOS_DTX_ABORTED = 3,
	VOS_DTX_FORGOTTEN = 4, /* below the client's mark: it has had its answer */
};

/*
 * Check the operations (order as with VOS_ORDER_WRITE, conditions with VOS_ORDER_READ, room for the
 * commit) and keep them as an intent; durable when it returns 0. part: what the caller wants to
 * find again (participants). low_seq: the client's mark, as in struct vos_opid. An older attempt of
 * the same id is replaced. conflict may be NULL. -DER_TX_RESTART, -DER_INPROGRESS: see *conflict;
 * -DER_EXIST, -DER_NONEXIST: conditions; -DER_ALREADY: this attempt is prepared, or the transaction
 * committed; -DER_STALE: a newer attempt is known, this one was aborted, or it is below the mark.
 */
int co_fn vos_dtx_prepare(struct vos_cont *cont, const struct vos_dtx_ref *ref, uint64_t low_seq,
			  const void *part, uint32_t part_len, struct vos_op *ops, uint32_t op_nr,
			  struct vos_conflict *conflict);
/* Turn a prepared attempt into a newer one at another epoch; its data stay. As a fresh prepare;
 * -DER_NONEXIST: `from` is not prepared. */
int co_fn vos_dtx_move(struct vos_cont *cont, const struct vos_dtx_ref *from,
		       const struct vos_dtx_ref *to, struct vos_conflict *conflict);
/*
 * Enter a prepared attempt into the index, at ref->epoch (0 = that of the intent; not below it: the
 * caller then vouches for conditions and order). Never fails for want of space. The same
 * transaction records the id as done, like the identity of a plain operation; that is all that is
 * remembered. 0 too when the id is recorded so already. -DER_NONEXIST: unknown; -DER_MISMATCH:
 * another attempt is prepared, or it was aborted; -DER_STALE: below the mark, and nothing is
 * prepared.
 */
int co_fn vos_dtx_commit(struct vos_cont *cont, const struct vos_dtx_ref *ref);
/* Several, with one wait for durability; ret_rc[i] for each. */
int co_fn vos_dtx_commit_batch(struct vos_cont *cont, const struct vos_dtx_ref *refs, uint32_t nr,
			       int *ret_rc);
/* Drop attempts up to this one and refuse them from now on, whether one is prepared here or not. 0
 * too when a newer attempt is prepared, which stays. -DER_MISMATCH: committed. */
int co_fn vos_dtx_abort(struct vos_cont *cont, const struct vos_dtx_ref *ref);

/* What an intent touches. */
struct vos_dtx_key {
	struct vos_oid oid;
	const void *dkey; /* NULL: the object is punched */
	uint32_t dkey_len;
	uint32_t akey_len;
	const void *akey; /* NULL: the dkey is punched */
	bool punch;
};
struct vos_dtx_info {
	struct vos_dtx_ref ref; /* epoch: of the intent, or of the commit */
	enum vos_dtx_state state;
	/* PREPARED; in callbacks only */
	const void *part;
	uint32_t part_len;
	uint32_t key_nr;
	const struct vos_dtx_key *keys;
};
/* UNKNOWN is an answer, not an error. */
int co_fn vos_dtx_status(struct vos_cont *cont, const struct vos_dtx_id *id,
			 struct vos_dtx_info *ret_info);
/* What is prepared and what was aborted, after *after (NULL or zeros: all) in order of ids; states:
 * a mask of 1 << state, 0 = both. fn as in vos_list; *after follows. */
int co_fn vos_dtx_list(struct vos_cont *cont, uint32_t states, struct vos_dtx_id *after,
		       int (*fn)(const struct vos_dtx_info *info, void *arg), void *arg);
/* Aborted attempts of these need not be refused any more (those below a client's mark, and of ids
 * that commit after all, are forgotten without this). -DER_BUSY if one is prepared (the others are
 * gone). */
int co_fn vos_dtx_forget(struct vos_cont *cont, const struct vos_dtx_id *ids, uint32_t nr);
/* Epoch of the oldest intent; UINT64_MAX = none. */
uint64_t vos_dtx_oldest(const struct vos_cont *cont);
/* From now on writes with an order at or below epoch are refused in this container, as if all of it
 * had been read there (snapshots). Volatile, like all read timestamps. */
void vos_cont_read_floor(struct vos_cont *cont, uint64_t epoch);

/* Has everything here been aggregated, with nothing written since? (Also across restarts.) */
bool vos_cont_settled(const struct vos_cont *cont);

/* --- changes between epochs, for copies elsewhere --- */

struct vos_epoch_op {
	uint64_t epoch;
	uint32_t op; /* number within a transaction */
};
/* What to report: changes in (lo, hi]; lo 0: everything there is, hi UINT64_MAX: up to now. Levels
 * as in vos_list. */
struct vos_changes {
	enum vos_list_kind kind;
	struct vos_oid oid; /* not for OBJ */
	uint64_t lo, hi;
	const daos_key_t *dkey; /* AKEY, RECX, SINGLE */
	const daos_key_t *akey; /* RECX, SINGLE */
	const struct vos_order *order;
};
/* One of them; pointers are valid during the callback. */
struct vos_change {
	struct vos_oid oid;
	const void *key; /* DKEY, AKEY */
	uint32_t key_len;
	uint32_t punch_nr; /* OBJ, DKEY, AKEY: its punches, newest first */
	const struct vos_epoch_op *punch;
	uint64_t chg_epoch;     /* OBJ, DKEY, AKEY: of the newest change, also if above hi */
	bool single, array;     /* AKEY: what it holds (neither: nothing); SINGLE, RECX */
	bool punched;           /* SINGLE, RECX: nothing is there from this version on */
	struct vos_epoch_op at; /* SINGLE, RECX: of the version */
	daos_recx_t recx;       /* RECX */
	uint64_t rec_size;      /* SINGLE: bytes of the value; RECX: of a record */
};
/*
 * Calls fn for each key that changed in the range (those that did not are passed over without a
 * look at what is beneath) or for each version of a value in it; fn and anchor as in vos_list. All
 * of it, done elsewhere in any order as updates and punches of these epochs and numbers, gives what
 * is here at hi. Data: vos_fetch_begin with VOS_FETCH_VERSION at the version's epoch.
 * -DER_TX_RESTART: an aggregation has passed lo (only everything, lo = 0, can be reported), or hi
 * cannot be read any more.
 */
int co_fn vos_changes(struct vos_cont *cont, const struct vos_changes *q, struct vos_anchor *anchor,
		      int (*fn)(const struct vos_change *change, void *arg), void *arg);

/*
 * Remove every version and punch newer than `above`, of one object shard or (oid NULL) of the
 * container, whose intents above it are then aborted; incremental like vos_aggregate. Older
 * versions that the removed ones had replaced do not come back unless they were kept. Until it is
 * done, changes above are refused (-DER_BUSY). -DER_TX_RESTART: aggregated above; -DER_BUSY:
 * intents on the object.
 */
int co_fn vos_discard(struct vos_cont *cont, const struct vos_oid *oid, uint64_t above,
		      uint64_t budget_ns, bool *ret_more);

/* --- checks --- */
/* Check every invariant of everything in the pool, and that heap and blocks hold exactly what is
 * referenced. No update may be under way. 0, or -DER_CSUM with a logged line for each finding. */
int co_fn vos_pool_verify(struct vos_pool *pool);
/* Wait until the background has nothing left to reclaim. */
void co_fn vos_pool_settle(struct vos_pool *pool);

#endif
