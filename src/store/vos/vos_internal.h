/* Private to VOS: what its files share. */
#ifndef STORE_VOS_INTERNAL_H
#define STORE_VOS_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <daos_errno.h>

#include "base/cleanup.h"
#include "base/list.h"
#include "base/mem.h"
#include "runtime/co.h"
#include "runtime/xs.h"
#include "store/dev/dev.h"
#include "store/heap/heap.h"
#include "store/space/data.h"
#include "store/space/space.h"
#include "store/tree/btree.h"
#include "store/vos/vos.h"
#include "store/vos/vos_csum.h"
#include "store/vos/vos_format.h"

enum {
	VOS_DATA_THRESH = 4096,
	VOS_KEY_LEN_MAX = 65535,
	VOS_CACHE_SLOTS = 4096,
	VOS_CACHE_KEY = 40,
	VOS_CACHE_TX = 16,
	VOS_LONG_KEYS = 64,
	/* Largest single allocation of inline data; more is cut into several. */
	VOS_INLINE_MAX = 512 << 10,
	/* Inline bytes one update can carry: its log record must hold them. */
	VOS_UPDATE_INLINE_MAX = HEAP_TX_LOG_MAX - (320 << 10),
	/* Operations that move more than this through the NVMe tier use memory of their own. */
	VOS_VIEWED_MAX = DATA_VIEW_BLOCKS_MAX * SPACE_BLOCK,
	/* Inline data larger than this is shared when a segment is split, smaller is copied. */
	VOS_COPY_MAX = 4096,
	VOS_PIECE_BYTES_MAX = DATA_VIEW_BLOCKS_MAX * SPACE_BLOCK,
	/* Checksums of one piece, so that to cut it copies little. */
	VOS_PIECE_SUMS_MAX = 8192,
	/* Versions behind the newest one without an index (vos_hist.c). */
	VOS_HIST_LIST = 8,
	/* Records looked at between two yields of a listing. */
	VOS_LIST_TURN = 512,
};

/* A key given by the user or found in the index. */
struct vos_key {
	const void *buf;
	uint32_t len;
};

/* Order of versions and punches. {0, 0} is before everything. */
struct vos_ord {
	uint64_t epoch;
	uint32_t op;
};

static inline int
vos_ord_cmp(struct vos_ord a, struct vos_ord b)
{
	if (a.epoch != b.epoch)
		return a.epoch < b.epoch ? -1 : 1;
	return a.op < b.op ? -1 : a.op > b.op;
}

/* --- pool and container ---------------------------------------------------------------- */

/* Finds the records of recently used objects and dkeys without walking trees (vos_cache.c). */
struct vos_cache_ent {
	uint64_t cont_id; /* 0 = empty */
	struct vos_oid oid;
	uint64_t obj;
	uint64_t dkey; /* 0: entry of the object alone */
	uint16_t key_len;
	uint8_t key[VOS_CACHE_KEY];
};

struct vos_reclaim_job;
struct vos_ts_table;
struct vos_intents;

/* A long key at which a listing stopped (vos_anchor.c). */
struct vos_long_key {
	uint64_t hash[2];
	uint8_t *buf;
	uint32_t len;
};

struct vos_pool {
	struct dev_dir *dir;
	struct xs *xs;
	struct dev *dev_heap;
	struct dev *dev_wal;
	struct dev *dev_data; /* NULL without an NVMe tier, so are space and data */
	struct heap *heap;
	struct space *space;
	struct data *data;
	struct vos_pool_df *df; /* pinned */
	uint64_t df_off;
	uint64_t max_epoch; /* ever committed */
	uint32_t data_thresh;
	bool overlap; /* small data are written beside the log record that names them */
	/* extents that aggregation merged since the pool was opened, and what it copied for that */
	uint64_t merged_nr;
	uint64_t merged_bytes;
	bool read_only;
	struct list conts; /* open containers */
	struct co_waitq cont_loaded;
	struct co_mutex big; /* held while an operation gathers more than one view */
	struct vos_cache_ent *cache;
	struct vos_cache_ent *cache_tx[VOS_CACHE_TX]; /* filled by the transaction under way */
	uint32_t cache_tx_nr;                         /* may be more than there is room for */
	struct list update_free;                      /* contexts for reuse */
	struct list fetch_free;
	uint32_t update_free_nr;
	uint32_t fetch_free_nr;
	struct vos_long_key long_keys[VOS_LONG_KEYS]; /* a ring */
	uint32_t long_key_next;
	/* read timestamps (vos_ts.c) */
	struct vos_ts_table *ts; /* NULL until something is read with an order */
	uint64_t ts_floor;       /* all below was read, as far as is known */
	uint32_t ts_entries;
	uint64_t owner_seq;
	/* background reclamation (vos_reclaim.c) */
	struct list reclaim;
	uint32_t reclaim_nr;
	bool reclaim_running;
	bool closing;
	struct co_waitq reclaim_done;
	/* checksums of values (vos_csum.c) */
	void (*csum_fn)(const struct vos_csum_event *ev, void *arg);
	void *csum_arg;
	struct vos_csum_stats csum_stats;
	char name[64];
};

/* A change that has its epoch and is not committed yet: aggregation stays below it. */
struct vos_flight {
	struct list link;
	uint64_t epoch;
};

struct vos_cont {
	struct list link;
	struct list flights;
	struct vos_pool *pool;
	struct vos_cont_df *df; /* pinned */
	uint64_t df_off;
	uint64_t id;
	uuid_t uuid;
	uint32_t refs;
	bool dead;    /* destroyed while open */
	bool loading; /* its intents are not known yet */
	uint64_t *keep;
	uint32_t keep_nr;
	struct vos_intents *intents; /* NULL = none (vos_intent.c) */
	struct vos_intents *intents_spare;
	struct vos_trim *discard; /* under way: nothing above discard_above comes */
	uint64_t discard_above;
	bool discard_running;
	struct vos_trim *agg; /* aggregation under way */
	bool agg_running;
	struct csum csum; /* len 0: values have no checksums */
	uint32_t csum_chunk;
	bool csum_verify; /* what callers give is checked when it is stored */
};

/* -DER_NO_HDL for a handle whose container was destroyed. */
static inline int
vos_cont_check(const struct vos_cont *cont)
{
	return cont->dead ? -DER_NO_HDL : 0;
}

/* Does a value of this size stay in the heap? Only what fits one allocation can. */
static inline bool
vos_goes_inline(const struct vos_cont *cont, uint64_t bytes)
{
	uint32_t thresh = cont->df->data_thresh;

	if (cont->pool->space == NULL)
		return true;
	if (thresh == 0)
		thresh = cont->pool->data_thresh;
	return bytes < thresh && bytes <= VOS_INLINE_MAX;
}

static inline void
vos_flight_begin(struct vos_cont *cont, struct vos_flight *flight, uint64_t epoch)
{
	flight->epoch = epoch;
	list_push_back(&cont->flights, &flight->link);
}

static inline void
vos_flight_end(struct vos_flight *flight)
{
	list_del(&flight->link);
}

/* --- transactions ----------------------------------------------------------------------- */

/* A heap transaction of one operation and what it learned on the way. */
struct vos_tx {
	struct heap_tx *tx;
	struct heap *heap;
	struct vos_pool *pool;
	struct vos_cont *cont;
	struct vos_ord ord; /* of the operation */
	uint64_t low_epoch; /* history below was dropped */
	/* Trimming only: aggregation below this epoch; 0 = by the container's floor. */
	bool trim;
	uint64_t below;
};

/* Would a read that must still be answered see a version of epoch `ver` that is hidden from `next`
 * on? */
bool vos_needed(const struct vos_tx *t, uint64_t ver, uint64_t next);
/* Note that something of epoch `ver`, hidden from `next` on, was dropped: reads in between no
 * longer find it. */
static inline void
vos_dropped(struct vos_tx *t, uint64_t ver, uint64_t next)
{
	if (next > ver && next > t->low_epoch)
		t->low_epoch = next;
}

/*
 * The frame of every change: reserve, begin, fn, commit; on a missing page abort, load, again; when
 * the log reservation was too small, again with the largest. fn must not yield. Epochs are recorded
 * in the container. cont may be NULL. resv: heap space reserved earlier (used up), or NULL. On an
 * error waits until what fn saw is durable, so that the caller may tell of it.
 */
struct vos_tx_args {
	struct vos_pool *pool;
	struct vos_cont *cont;
	struct vos_ord ord;
	uint64_t log_bytes; /* 0 = default */
	uint64_t heap_bytes;
	uint32_t flags; /* heap_resv_flags */
	struct heap_resv *resv;
	bool trim;      /* reclamation: leaves max_epoch alone */
	uint64_t below; /* as in struct vos_tx */
	int (*fn)(struct vos_tx *t, void *arg);
	void *arg;
	bool wait;      /* until durable */
	bool committed; /* out: true also when waiting failed */
	uint64_t lsn;   /* out, when committed */
};
int co_fn vos_tx_run(struct vos_tx_args *args);
/* Last in a transaction that does without this frame: the container's record follows what it did.
 * max_epoch: as committed by it, or 0. */
int vos_cont_follow(struct vos_tx *t, uint64_t max_epoch);

/* --- containers (vos_cont.c) ------------------------------------------------------------ */

int co_fn vos_max_epoch_load(struct vos_pool *pool);
/* A pass has ended that looked at everything up to epoch. */
int co_fn vos_cont_set_agg_done(struct vos_cont *cont, uint64_t epoch);
/* Aggregation begins: refuse what is not above below, remember keep. */
int co_fn vos_cont_set_aggregated(struct vos_cont *cont, uint64_t below, const uint64_t *keep,
				  uint32_t keep_nr);

struct vos_piece;
struct vos_punches;
struct vos_seg;
struct vos_sv;

/* --- keys (vos_key.c) ------------------------------------------------------------------- */

int vos_key_check(enum btree_kind kind, const daos_key_t *in, struct vos_key *ret_key);

static inline enum btree_kind
vos_dkey_kind(daos_obj_id_t id)
{
	return daos_is_dkey_uint64(id)    ? BTREE_UINT
	       : daos_is_dkey_lexical(id) ? BTREE_LEX
					  : BTREE_HASH;
}

static inline enum btree_kind
vos_akey_kind(daos_obj_id_t id)
{
	return daos_is_akey_uint64(id)    ? BTREE_UINT
	       : daos_is_akey_lexical(id) ? BTREE_LEX
					  : BTREE_HASH;
}

/* What the record of a key says, whatever form it has in the heap; nobody outside vos_key.c knows
 * the bytes. A copy, good until the next change or yield. */
struct vos_krec {
	uint64_t off;       /* of the record */
	uint64_t upd_epoch; /* as in struct vos_key_df */
	uint64_t chg_epoch;
	uint64_t child; /* heap offset of what is beneath; 0 = nothing */
	uint64_t punch; /* list of punches; 0 = none */
	uint32_t tag;   /* what child is: enum vos_child_tag; 0 = nothing */
	uint32_t rec_size;
	uint32_t fold_top;  /* folded (vos_fold.c): kind of the topmost key in it; else 0 */
	struct vos_key key; /* the key, if the record carries it; else len 0 */
};

/* The first bytes of a record change with everything that changes the epochs of its key. */
enum { VOS_KREC_HEAD = 24 };

/* The record at off, which must be of this kind. HEAP_MISS, -DER_CSUM. */
int vos_krec_get(struct heap *heap, uint64_t off, enum vos_key_kind kind, struct vos_krec *ret_k);
int vos_krec_set_child(struct vos_tx *t, uint64_t off, enum vos_key_kind kind, uint64_t child,
		       enum vos_child_tag tag);
int vos_krec_set_punch(struct vos_tx *t, uint64_t off, enum vos_key_kind kind, uint64_t punch);
int vos_krec_set_rec_size(struct vos_tx *t, uint64_t akey, uint32_t rec_size);

/* The tree of a key's children. */
struct btree vos_key_tree(struct heap *heap, uint64_t root);
/* *ret_off = 0 when there is no such child. */
int vos_child_find(struct heap *heap, uint64_t parent, enum vos_key_kind parent_kind,
		   enum btree_kind kind, const struct vos_key *key, uint64_t *ret_off);
/* Must not exist. */
int vos_child_add(struct vos_tx *t, uint64_t parent, enum vos_key_kind parent_kind,
		  enum btree_kind kind, const struct vos_key *key, uint64_t *ret_off);
/* Unlink and free a child that has nothing beneath. */
int vos_child_del(struct vos_tx *t, uint64_t parent, enum vos_key_kind parent_kind,
		  enum btree_kind kind, const struct vos_key *key);

/* Walk over the children of a key. Only between two yields and without changes in between. */
struct vos_iter {
	struct heap *heap;
	enum btree_kind kind;
	enum vos_key_kind child_kind;
	uint64_t one; /* the only child, or 0: a tree (or nothing) */
	bool none;
	bool on; /* on the only child */
	uint64_t num;
	struct btree_cursor cur;
};
int vos_iter_init(struct vos_iter *it, struct heap *heap, uint64_t parent,
		  enum vos_key_kind parent_kind, enum btree_kind kind);
void vos_iter_fini(struct vos_iter *it);
/* -DER_NONEXIST at the end, here and below. */
int vos_iter_seek(struct vos_iter *it, enum btree_seek how, const struct vos_key *key);
int vos_iter_seek_hash(struct vos_iter *it, enum btree_seek how, const uint64_t hash[2]);
int vos_iter_next(struct vos_iter *it);
int vos_iter_prev(struct vos_iter *it);
/* ret_hash only for BTREE_HASH; any may be NULL. */
int vos_iter_get(struct vos_iter *it, struct vos_key *ret_key, uint64_t ret_hash[2],
		 uint64_t *ret_off);

/* Objects. *ret_off = 0 when there is none. */
enum { VOS_OID_KEY = 20 };
void vos_oid_encode(const struct vos_oid *oid, uint8_t key[VOS_OID_KEY]);
void vos_oid_decode(const uint8_t key[VOS_OID_KEY], struct vos_oid *ret_oid);
int vos_obj_find(struct vos_cont *cont, const struct vos_oid *oid, uint64_t *ret_off);
int vos_obj_del(struct vos_tx *t, const struct vos_oid *oid, uint64_t off);
/* Object and dkey, through the cache. */
int vos_path_find(struct vos_cont *cont, const struct vos_oid *oid, const struct vos_key *dkey,
		  uint64_t *ret_obj, uint64_t *ret_dkey);
/* The way to a value: names, and the heap offsets found so far. */
struct vos_path {
	const struct vos_oid *oid;
	const struct vos_key *dkey_name; /* NULL: the object only */
	const struct vos_key *akey_name; /* NULL: not beyond the dkey */
	uint64_t obj, dkey, akey;
};
/* For changes: find object and dkey, create what is missing; both then have records of their own.
 * An akey named is only a hint, see vos_akey_get. */
int vos_path_get(struct vos_tx *t, struct vos_path *path);
/* The same for the akey beneath path->dkey. */
int vos_akey_get(struct vos_tx *t, struct vos_path *path);
/* Raise the epochs of a key. */
int vos_key_touch(struct vos_tx *t, uint64_t off, enum vos_key_kind kind, uint64_t upd_epoch,
		  uint64_t chg_epoch);

/* Lower them to at most epoch: nothing newer is left beneath. Only of a record of its own. */
int vos_key_lower(struct vos_tx *t, uint64_t off, enum vos_key_kind kind, uint64_t epoch);

/* --- folded records (vos_fold.c) ---------------------------------------------------------- */

/* Write one value or extent as, or into, a folded record, if that is possible. */
int vos_fold_write(struct vos_tx *t, struct vos_path *path, bool array, struct vos_piece *piece,
		   bool *ret_done);
/* The same for an akey beneath a dkey with a record of its own. */
int vos_fold_akey(struct vos_tx *t, const struct vos_path *path, const struct vos_punches *p,
		  bool array, struct vos_piece *piece, bool *ret_done);

/* --- cache (vos_cache.c) ----------------------------------------------------------------- */

struct vos_cache_ent *vos_cache_slot(struct vos_pool *pool, uint64_t cont_id,
				     const struct vos_oid *oid, const struct vos_key *dkey);
/* The entry if the slot holds it. */
bool vos_cache_match(const struct vos_cache_ent *ent, uint64_t cont_id, const struct vos_oid *oid,
		     const struct vos_key *dkey);
void vos_cache_fill(struct vos_pool *pool, struct vos_cache_ent *ent, uint64_t cont_id,
		    const struct vos_oid *oid, const struct vos_key *dkey, uint64_t obj,
		    uint64_t dkey_off);
/* A transaction begins; it is aborted. */
void vos_cache_begin(struct vos_pool *pool);
void vos_cache_abort(struct vos_pool *pool);
/* dkey NULL: the object alone (those of its dkeys are gone before). */
void vos_cache_del(struct vos_pool *pool, uint64_t cont_id, const struct vos_oid *oid,
		   const struct vos_key *dkey);

/* --- punches and visibility (vos_visible.c) ------------------------------------------------ */

/* The punches that apply to a value: those of its object, dkey and akey (NULL: none). */
struct vos_punches {
	const struct vos_punches_df *level[3];
};

int vos_punches_get(struct heap *heap, const struct vos_krec *k,
		    const struct vos_punches_df **ret_list);
/* Latest punch at or below epoch; {0, 0} = none. */
struct vos_ord vos_punch_at(const struct vos_punches *p, uint64_t epoch);
/* Earliest punch after ord; false = none. */
bool vos_punch_after(const struct vos_punches *p, struct vos_ord ord, struct vos_ord *ret_ord);
/* Newest punch of one list; {0, 0} = none. */
struct vos_ord vos_punch_newest(const struct vos_punches_df *list);
/* Record a punch of the key at off; superseded ones that nobody needs go. */
int vos_punch_add(struct vos_tx *t, uint64_t off, enum vos_key_kind kind, struct vos_ord ord);
/* Remove those of the list for which drop() says so. */
int vos_punches_filter(struct vos_tx *t, uint64_t off, enum vos_key_kind kind,
		       bool (*drop)(struct vos_tx *t, const struct vos_punches_df *list, uint32_t i,
				    void *arg),
		       void *arg);

/* Is anything beneath visible at this epoch? hidden: what ancestors' punches hide. 1, 0 or an
 * error. */
int vos_akey_visible(struct heap *heap, uint64_t akey, uint64_t epoch, struct vos_ord hidden);
int vos_dkey_visible(struct heap *heap, uint64_t dkey, enum btree_kind akey_kind, uint64_t epoch,
		     struct vos_ord hidden);
int vos_obj_visible(struct heap *heap, uint64_t obj, enum btree_kind dkey_kind,
		    enum btree_kind akey_kind, uint64_t epoch);
/* What the punches of this key and of those above (hidden) hide at epoch. */
int vos_hidden(struct heap *heap, const struct vos_krec *k, uint64_t epoch, struct vos_ord hidden,
	       struct vos_ord *ret_hidden);

/* Can a read at epoch be answered exactly, as far as history kept goes? obj, dkey: 0 = does not
 * exist. with_dkey false: about the object as a whole. -DER_TX_RESTART if not. */
int vos_readable(struct vos_cont *cont, uint64_t epoch, uint64_t obj, bool with_dkey,
		 uint64_t dkey);

/* --- values (vos_value.c) ------------------------------------------------------------------ */

/* New data on its way into the index. */
struct vos_piece {
	uint64_t idx; /* arrays: first record */
	uint64_t nr;  /* records; single value: 1 */
	uint64_t bytes;
	uint64_t rec_size;
	uint8_t kind; /* VOS_VER_PUNCH, INLINE, NVME, LIST (single values) */
	uint8_t *buf; /* INLINE */
	uint8_t *sum; /* checksums, one for each chunk it touches; NULL = none */
	uint32_t sum_bytes;
	uint32_t ext_nr; /* NVME, LIST: number of runs */
	const struct space_ext *ext;
	bool published; /* the transaction under way took the blocks */
	bool allocated; /* they are allocated already: those of an intent */
};

/* The transaction takes the piece's blocks for good. */
int vos_piece_publish(struct vos_tx *t, struct vos_piece *piece);
int vos_sv_write(struct vos_tx *t, uint64_t akey, const struct vos_punches *p,
		 struct vos_piece *piece);
/* A version of a single value. */
struct vos_sv {
	uint64_t off;   /* of the version; 0 = none */
	uint64_t older; /* next older one, 0 = none */
	uint64_t epoch;
	uint64_t size; /* bytes of the value */
	uint16_t op;
	uint8_t kind;        /* vos_ver_kind */
	uint32_t cap;        /* INLINE: bytes data can take; LIST: number of runs */
	const uint8_t *data; /* as in struct vos_sv_df */
	uint8_t sum_len;
	const uint8_t *sum; /* checksum of the value; NULL = none */
};
/* The version at off (child of the akey, or an older one). HEAP_MISS, -DER_CSUM. */
int vos_sv_get(struct heap *heap, const struct vos_krec *akey, uint64_t off, struct vos_sv *ret_sv);
/* Newest version at or below epoch that hidden does not hide; ret_sv->off 0 = nothing there. */
int vos_sv_find(struct heap *heap, const struct vos_krec *akey, uint64_t epoch,
		struct vos_ord hidden, struct vos_sv *ret_sv);
/* Link the versions `off` (0 = none) behind the version `newer` or, if that is 0, to the akey. */
int vos_sv_link(struct vos_tx *t, uint64_t akey, uint64_t newer, uint64_t off);
/* The value in a folded record. */
int vos_fold_sv(struct heap *heap, uint64_t off, struct vos_sv *ret_sv);
int vos_fold_seg(struct heap *heap, uint64_t off, struct vos_seg *ret_seg);
int vos_sv_free(struct vos_tx *t, uint64_t off);
/* Free blocks of the NVMe tier, and what the cache holds of them. */
int vos_blocks_free(struct vos_tx *t, const struct space_ext *ext);
/* Runs of blocks of an NVME or LIST version. */
const struct vos_run_df *vos_sv_runs(const struct vos_sv *sv, uint32_t *ret_nr);

/* --- punches of keys (vos_punch.c) --------------------------------------------------------- */

struct vos_punch {
	struct vos_oid oid;
	struct vos_key dkey; /* buf NULL: the object */
	struct vos_key *akeys;
	uint32_t akey_nr;
	uint64_t cond_flags;
};

/* Check and take over the names; akeys is allocated. */
int vos_punch_check(struct vos_punch *p, const daos_key_t *dkey, const daos_key_t *akeys,
		    uint32_t akey_nr);
/* Punch at t->ord, conditions first (unless they were checked before). */
int vos_punch_apply(struct vos_tx *t, const struct vos_punch *p, bool check);

/* --- histories (vos_hist.c) --------------------------------------------------------------- */

/* The versions behind the newest one: a list, with an index when it is long. */
struct vos_hist {
	struct heap *heap;
	const struct vos_krec *akey; /* of a single value; NULL: versions of a segment */
	uint64_t older; /* as the newest version has it; who changes it there is the caller */
};

static inline bool
vos_hist_indexed(uint64_t older)
{
	return older & VOS_OLDER_HIST;
}
/* The first of them, given what the newest version (or any) has as `older`; 0 = none. The others
 * follow by their own `older`. */
int vos_hist_first(struct heap *heap, uint64_t older, uint64_t *ret_off);
/* The newest at or before ord (0 = none), and the next newer one of the list (0 = none: there only
 * is the one that is not in the list). ret_newer may be NULL. */
int vos_hist_near(const struct vos_hist *h, struct vos_ord ord, uint64_t *ret_newer,
		  uint64_t *ret_off);
/* The order of the oldest one; only with an index. */
int vos_hist_oldest(const struct vos_hist *h, struct vos_ord *ret_ord);
/* Put a version between two neighbours (0 = none) as vos_hist_near found them. */
int vos_hist_insert(struct vos_tx *t, struct vos_hist *h, uint64_t newer, uint64_t next,
		    uint64_t off);
/* Unlink; the version itself stays. newer: its neighbour, 0 = it is the first. */
int vos_hist_remove(struct vos_tx *t, struct vos_hist *h, uint64_t newer, uint64_t off);
/* Give a list that was linked by hand its index if it is long enough. */
int vos_hist_index(struct vos_tx *t, struct vos_hist *h);
/* Check list against index; fn sees the heap objects of the index. */
int vos_hist_verify(const struct vos_hist *h, int (*fn)(void *arg, uint64_t off), void *arg);

/* --- arrays (vos_array.c) ------------------------------------------------------------------ */

struct vos_seg {
	uint64_t start;
	uint64_t off; /* of the vos_seg_df */
	struct vos_seg_df df;
};

int vos_arr_write(struct vos_tx *t, uint64_t akey, const struct vos_punches *p,
		  struct vos_piece *piece);
/* The segment at this place: BTREE_EQ, LE, GE, GT, LT, FIRST, LAST. -DER_NONEXIST. */
int vos_seg_find(struct heap *heap, const struct vos_krec *akey, enum btree_seek how, uint64_t pos,
		 struct vos_seg *ret_seg);
int vos_seg_put(struct vos_tx *t, uint64_t akey, const struct vos_seg *seg);
int vos_seg_del(struct vos_tx *t, uint64_t akey, uint64_t start);
/* When one segment is left in a tree, do without the tree. */
int vos_seg_fold(struct vos_tx *t, uint64_t akey);

/* Walk over segments; like struct vos_iter. */
struct vos_seg_iter {
	struct heap *heap;
	uint64_t one;
	bool folded; /* one is a folded record */
	bool none;
	bool on;
	struct btree_cursor cur;
};
int vos_seg_iter_init(struct vos_seg_iter *it, struct heap *heap, const struct vos_krec *akey);
void vos_seg_iter_fini(struct vos_seg_iter *it);
int vos_seg_iter_seek(struct vos_seg_iter *it, enum btree_seek how, uint64_t pos);
int vos_seg_iter_next(struct vos_seg_iter *it);
int vos_seg_iter_prev(struct vos_seg_iter *it);
int vos_seg_iter_get(struct vos_seg_iter *it, struct vos_seg *ret_seg);

/* The version of a segment seen at epoch; *ret_found false = a hole. */
int vos_ver_find(struct heap *heap, const struct vos_seg_df *seg, uint64_t epoch,
		 struct vos_ord hidden, struct vos_ver_df *ret_ver, bool *ret_found);

/* --- their storage (vos_ver.c) -------------------------------------------------------------- */

/* The storage of new data. */
int vos_ver_make(struct vos_tx *t, struct vos_piece *piece, struct vos_ver_df *ver);
/* New inline data in place of those of an inline version of the same size. */
int vos_ver_rewrite(struct vos_tx *t, struct vos_piece *piece, struct vos_ver_df *ver);
/* Give the storage of `len` records of a version back (the vos_ver_df itself is the caller's). */
int vos_ver_free(struct vos_tx *t, const struct vos_ver_df *ver, uint64_t len);
/* Of a version of [start, start + len) keep the first `a` records as *left and those from `b` on as
 * *right, both not empty; what is between is given up. Epochs and the chain are copied as they are.
 */
int vos_ver_cut(struct vos_tx *t, const struct vos_ver_df *ver, uint64_t start, uint64_t len,
		uint64_t a, uint64_t b, struct vos_ver_df *left, struct vos_ver_df *right);
/* Keep only the first `keep` records; only what follows the first `cut`. */
int vos_ver_trim_tail(struct vos_tx *t, struct vos_ver_df *ver, uint64_t start, uint64_t len,
		      uint64_t keep);
int vos_ver_trim_head(struct vos_tx *t, struct vos_ver_df *ver, uint64_t start, uint64_t len,
		      uint64_t cut);

static inline struct vos_ord
vos_sv_ord(const struct vos_sv *sv)
{
	return (struct vos_ord){.epoch = sv->epoch, .op = sv->op};
}

static inline struct vos_ord
vos_ver_ord(const struct vos_ver_df *ver)
{
	return (struct vos_ord){.epoch = ver->epoch, .op = ver->op};
}

/* --- identities of operations (vos_opid.c) --------------------------------------------------- */

/* Record id; -DER_ALREADY when it is there, -DER_STALE when the client has already been answered.
 */
int vos_opid_record(struct vos_tx *t, const struct vos_opid *id);
/* 0: not recorded; -DER_ALREADY, -DER_STALE as above. */
int vos_opid_known(const struct vos_cont *cont, const uint64_t client[2], uint64_t seq);

/* --- reclamation (vos_trim.c, vos_reclaim.c) -------------------------------------------------- */

struct vos_trim;
void vos_trim_destroy(struct vos_trim *trim);
/* Something was punched: drop what is beneath in the background. dkey NULL: the object. */
void vos_reclaim_punched(struct vos_cont *cont, const struct vos_oid *oid,
			 const struct vos_key *dkey);
/* After -DER_NOSPACE: is space about to come free? Waits a little, for a bounded number of times;
 * false: no, give up. *tries starts as 0. */
bool co_fn vos_space_comes(struct vos_pool *pool, uint32_t *tries);
void vos_reclaim_dying(struct vos_pool *pool);
/* Ends the background work; waits for the running step. */
void co_fn vos_reclaim_stop(struct vos_pool *pool);

/* Contexts kept for reuse. */
void vos_update_pool_fini(struct vos_pool *pool);
void vos_fetch_pool_fini(struct vos_pool *pool);

#endif
