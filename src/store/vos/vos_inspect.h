/*
 * Looking inside a pool: everything that is stored, whether a read would see it or not, and where
 * its bytes lie. For tools; the pool must have been opened read_only, so nothing moves while a walk
 * yields. Damage ends a walk with -DER_CSUM and a logged line.
 */
#ifndef STORE_VOS_INSPECT_H
#define STORE_VOS_INSPECT_H

#include "store/heap/heap.h"
#include "store/space/space.h"
#include "store/vos/vos.h"

struct vos_inspect_cont {
	uuid_t uuid;
	uint64_t id;
	bool dying; /* destroyed, its space not all reclaimed */
	uint64_t max_epoch;
	uint64_t low_epoch;
	uint64_t agg_epoch;
	uint64_t floor;
	const uint64_t *keep;
	uint32_t keep_nr;
	uint32_t csum_type; /* DAOS_PROP_CO_CSUM_* */
	uint32_t csum_chunk;
	uint32_t data_thresh; /* 0 = as the pool, UINT32_MAX = none */
	uint64_t scm_used, nvme_used;
};
/* Those that are being reclaimed come last. A result other than 0 ends it and is returned. */
int co_fn vos_inspect_conts(struct vos_pool *pool,
			    int co_fn (*fn)(const struct vos_inspect_cont *cont, void *arg),
			    void *arg);

enum vos_inspect_level {
	VOS_INSPECT_OBJ,
	VOS_INSPECT_DKEY,
	VOS_INSPECT_AKEY,
	VOS_INSPECT_VALUE,
};

struct vos_inspect_ord {
	uint64_t epoch;
	uint32_t op;
};

enum vos_inspect_holds {
	VOS_HOLDS_NOTHING,
	VOS_HOLDS_KEYS,
	VOS_HOLDS_SINGLE,
	VOS_HOLDS_ARRAY,
};

/* An object, dkey or akey. Pointers are good during the callback. */
struct vos_inspect_key {
	enum vos_inspect_level level;
	struct vos_oid oid;
	daos_key_t dkey; /* akeys: that above */
	const void *key; /* not for objects */
	uint32_t key_len;
	bool is_uint; /* the key is a number */
	uint64_t heap_off;
	uint64_t upd_epoch;
	uint64_t chg_epoch;
	const struct vos_inspect_ord *punches; /* newest first */
	uint32_t punch_nr;
	enum vos_inspect_holds holds;
};

enum vos_inspect_place {
	VOS_PLACE_NONE,   /* a punch: "nothing here" */
	VOS_PLACE_HEAP,   /* SCM tier */
	VOS_PLACE_BLOCKS, /* NVMe tier */
};

struct vos_inspect_run {
	uint64_t dev_off; /* bytes on the data device */
	uint64_t bytes;
};

/* A version of a single value, or of a segment of an array. */
struct vos_inspect_ver {
	struct vos_inspect_ord ord;
	uint64_t idx, nr; /* arrays: the segment's records */
	uint64_t rec_size;
	uint64_t bytes;
	enum vos_inspect_place place;
	uint64_t heap_off; /* HEAP: of the bytes */
	uint32_t users;    /* of storage that several versions share; 0 = alone */
	const struct vos_inspect_run *runs;
	uint32_t run_nr;
	/* Checksums of sum_len bytes each; sum_nr 0: none. Arrays: one for each chunk that the
	 * covered records touch, which are the segment's and `pre` in front, `post` behind. */
	const uint8_t *sums;
	uint32_t sum_nr, sum_len;
	uint64_t pre, post;
};

/* Which part of a container: NULL is all. */
struct vos_inspect_path {
	const struct vos_oid *oid;
	bool any_shard; /* oid: of whatever shard */
	const daos_key_t *dkey;
	const daos_key_t *akey;
};

/* A result other than 0 ends the walk and is returned, but for VOS_INSPECT_SKIP of key(): not what
 * is beneath. */
enum { VOS_INSPECT_SKIP = 1 };
struct vos_inspect_fns {
	int co_fn (*key)(const struct vos_inspect_key *key, void *arg);
	/* Versions of an akey: of each segment in turn, newest first. May be NULL. */
	int co_fn (*ver)(const struct vos_inspect_key *akey, const struct vos_inspect_ver *ver,
			 void *arg);
	/* Compare every value that has checksums with them: a logged line for each that differs,
	 * and -DER_CSUM in the end. */
	bool check_sums;
};
/* down to: the level the walk ends at. -DER_NONEXIST: no such container (being reclaimed ones
 * included), or nothing at the path. */
int co_fn vos_inspect_walk(struct vos_pool *pool, const uuid_t cont,
			   const struct vos_inspect_path *path, enum vos_inspect_level down_to,
			   const struct vos_inspect_fns *fns, void *arg);

/* Bytes [off, off + len) of a version, as stored: no checksum is looked at. During ver() only.
 * -DER_INVAL: not inside. */
int co_fn vos_inspect_read(struct vos_pool *pool, const struct vos_inspect_ver *ver, uint64_t off,
			   void *buf, size_t len);

struct vos_inspect_figures {
	uuid_t uuid;
	uint32_t format_version;
	uint64_t scm_bytes, nvme_bytes; /* as created */
	struct heap_stats heap;
	struct space_stats space;
	uint64_t max_epoch;
};
void vos_inspect_figures(struct vos_pool *pool, struct vos_inspect_figures *ret);
/* Runs of free blocks of the NVMe tier, ascending. */
int co_fn vos_inspect_free_runs(struct vos_pool *pool,
				void (*fn)(uint64_t blk, uint64_t blk_nr, void *arg), void *arg);

/*
 * Everything that can be checked: every page of the heap that was ever written against its
 * checksum (all of them are then in memory), then vos_pool_verify(). 0, or the first error; a
 * logged line for each finding.
 */
int co_fn vos_inspect_verify(struct vos_pool *pool);

#endif
