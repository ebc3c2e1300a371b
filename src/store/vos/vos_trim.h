/*
 * Trimming: a walk over a container (or one object, or one dkey) that drops what nobody needs, in
 * small transactions. Private to VOS.
 */
#ifndef STORE_VOS_TRIM_H
#define STORE_VOS_TRIM_H

#include "store/vos/vos_internal.h"

enum vos_trim_mode {
	VOS_TRIM_FLOOR, /* versions that the container's floor and keep do not need */
	VOS_TRIM_BELOW, /* aggregation: the same for `below`, and tombstones */
	VOS_TRIM_ALL,   /* everything */
	VOS_TRIM_ABOVE, /* what is newer than `below` (vos_discard.c) */
};

/* A key that lives across yields. */
struct vos_keybuf {
	uint8_t *buf;
	uint32_t len, cap;
};

/* How far the walk is at one level. */
struct vos_trim_level {
	bool set;          /* a key is held */
	bool inside;       /* its work is not finished; otherwise go on behind it */
	uint64_t retained; /* lowest epoch of a version that stayed beneath it so far */
	struct vos_keybuf key;
};

enum { VOS_TRIM_OBJ, VOS_TRIM_DKEY, VOS_TRIM_AKEY, VOS_TRIM_LEVELS };

struct vos_trim_pos {
	struct vos_trim_level level[VOS_TRIM_LEVELS];
	bool seg_set;
	uint64_t seg; /* segments up to this start are done */
	/* the array whose segments are all trimmed: merging goes on at this record; merged: done */
	bool merge, merged;
	uint64_t merge_at;
	/* inside a long history: versions down to this order are done; hist_done: all of them */
	bool hist_set, hist_done;
	struct vos_ord hist;
	uint64_t hist_seg; /* the segment it belongs to */
	uint8_t opid[VOS_OPID_KEY];
	bool objs_done;
};

struct vos_trim {
	struct vos_cont *cont;
	enum vos_trim_mode mode;
	uint64_t below; /* VOS_TRIM_BELOW */
	uint64_t want;  /* ... as asked for; below stays under changes under way */
	uint64_t
	    clean; /* what has not changed since this epoch needs no look; 0 = everything does */
	/* scope */
	bool one_obj, one_dkey;
	struct vos_oid oid;
	struct vos_keybuf dkey;
	struct vos_trim_pos pos, next;
	struct vos_merge *merge; /* while pos.merge */
	bool incomplete;         /* not everything that could be done was done */
};

int vos_trim_create(struct vos_cont *cont, enum vos_trim_mode mode, uint64_t below,
		    struct vos_trim **ret_trim);
/* Restrict a fresh one. */
int vos_trim_scope(struct vos_trim *trim, const struct vos_oid *oid, const struct vos_key *dkey);
/* One transaction. *ret_more false: the walk is over. */
int co_fn vos_trim_step(struct vos_trim *trim, bool *ret_more);

enum {
	VOS_TRIM_COST = 16,  /* of a record that is looked at, in units of a step's budget */
	VOS_TRIM_PAUSED = 1, /* result: out of budget */
};

/* Does a version go that is hidden from the next newer one on (NULL: is the newest)? */
bool vos_trim_drops(struct vos_tx *t, const struct vos_trim *trim, struct vos_ord ord,
		    const struct vos_ord *newer, const struct vos_punches *p);
/* Trim what is behind the newest version (of order top) where that is long; h->older may change.
 * len: of the segment. VOS_TRIM_PAUSED: to be continued. */
int vos_trim_hist(struct vos_tx *t, const struct vos_trim *trim, struct vos_trim_pos *pos,
		  uint32_t *budget, struct vos_hist *h, struct vos_ord top, uint64_t len,
		  const struct vos_punches *p);

/* Merging (vos_merge.c): a bounded part of the array at the position. Clears pos.merge at its end.
 */
int co_fn vos_merge_step(struct vos_trim *trim);
void vos_merge_destroy(struct vos_merge *merge);

int vos_keybuf_set(struct vos_keybuf *kb, const void *buf, uint32_t len);
/* Forget clients that were silent for long; pos starts as zeros. */
int vos_opid_expire(struct vos_tx *t, uint64_t now, uint8_t pos[VOS_OPID_KEY], bool *ret_more);

#endif
