/* The log's inside, shared by rlog*.c. */
#ifndef RLOG_INTERNAL_H
#define RLOG_INTERNAL_H

#include "cluster/raft/rlog.h"
#include "cluster/raft/rlog_format.h"

enum {
	RLOG_PREFIX_MAX = 16,
	RLOG_NAME_MAX = 64,
};

struct rlog_seg {
	uint64_t seq;
	uint64_t index_max; /* highest index in any of its batches, void ones included */
	uint64_t size_bytes;
};

struct rlog {
	struct xs *xs;
	struct dev_dir *dir;
	char prefix[RLOG_PREFIX_MAX];
	struct rlog_ident ident;

	struct dev *meta;
	uint64_t meta_seq;
	uint64_t term;
	uint64_t vote;

	struct rlog_seg *segs; /* oldest first */
	uint32_t seg_nr;
	uint32_t seg_cap;
	struct dev *tail;  /* the last one, NULL when the next append must start a segment */
	uint64_t tail_off; /* where the next batch goes */
	uint64_t tail_salt;
	uint64_t seg_next;   /* sequence of the next segment */
	uint64_t batch_next; /* sequence of the next batch */
	uint64_t index_last; /* 0 = no entries */
	bool reset;          /* the next batch voids everything before it */
	bool loaded;

	uint64_t snap_index; /* 0 = none */
	uint64_t snap_term;
};

/* The devices there are. */
struct rlog_found {
	const char *prefix;
	uint64_t *segs;
	uint32_t seg_nr;
	uint64_t *snaps;
	uint32_t snap_nr;
	char (*names)[RLOG_NAME_MAX]; /* everything of the prefix */
	uint32_t name_nr;
	bool meta;
};

/* rlog.c */
void rlog_name_seg(const struct rlog *log, uint64_t seq, char *buf);
void rlog_name_snap(const struct rlog *log, uint64_t index, char *buf);
int co_fn rlog_found_scan(struct dev_dir *dir, const char *prefix, struct rlog_found *f);
void rlog_found_fini(struct rlog_found *f);
uint32_t rlog_seg_crc(const struct rlog_seg_df *df);
uint32_t rlog_batch_crc(uint64_t salt, const void *batch, size_t len);
size_t rlog_batch_block_bytes(size_t payload);
int rlog_seg_push(struct rlog *log, uint64_t seq, uint64_t size_bytes);
/* Remove the oldest segment. */
int co_fn rlog_seg_drop_first(struct rlog *log);

#endif
