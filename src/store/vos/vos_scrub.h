/* A scrubbing walk over a container. Private to VOS; the interface is in vos.h. */
#ifndef STORE_VOS_SCRUB_H
#define STORE_VOS_SCRUB_H

#include "store/vos/vos_trim.h"

enum { SCRUB_OBJ, SCRUB_DKEY, SCRUB_AKEY, SCRUB_LEVELS };

struct scrub_level {
	bool set;    /* a key is held */
	bool inside; /* its work is not finished; otherwise go on behind it */
	struct vos_keybuf key;
};

/* Something to compare. */
struct scrub_item {
	bool single;
	uint64_t idx, nr; /* records; of a single value: 0, 1 */
	uint64_t rec_size;
	uint64_t bytes;
	uint64_t epoch;
	uint64_t skip; /* in front of it, in its first block */
	uint8_t *sum;
	struct vos_run_df *run;
	uint32_t run_nr;
};

struct vos_scrub {
	struct vos_cont *cont; /* referenced */
	struct scrub_level level[SCRUB_LEVELS];
	struct vos_oid oid; /* of the object held */
	/* arrays: the segment being looked at, or (not inside) the last one that is done */
	bool seg_set, seg_inside;
	uint64_t seg;
	/* versions at or above are done */
	bool ver_set;
	struct vos_ord ver;
	struct vos_keybuf name; /* of the child found last */
	uint32_t visits;        /* left in this turn */
	uint64_t bytes;         /* compared in this step */
	struct scrub_item item;
	struct csum csum;
	uint8_t *buf;
};

#endif
