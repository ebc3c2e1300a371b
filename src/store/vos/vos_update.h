/*
 * The context of an update: its pieces, where its data are, and what was reserved for it. Private
 * to VOS: vos_update.c fills and commits it, transactions (vos_apply.c, vos_dtx*.c) take it over.
 */
#ifndef STORE_VOS_UPDATE_H
#define STORE_VOS_UPDATE_H

#include "store/vos/vos_internal.h"

/* What a context holds without further allocations. */
enum {
	IOD_INL = 2,
	PIECE_INL = 4,
	VIEW_INL = 2,
	IOV_INL = 8,
	BUF_INL = 2048,
	SUMS_INL = 64,
};

struct update_iod {
	struct vos_key akey;
	uint32_t piece_first, piece_nr;
	uint32_t iov_first, iov_nr;
};

/* Memory of one piece in the NVMe tier. */
struct update_view {
	struct data_view view; /* cache memory ... */
	uint8_t *own;          /* ... or private memory, of an update too large for the cache */
	struct space_ext ext;
	int rc;
	struct vos_update *up;
	/* written beside its transaction: */
	struct data_write write;
	uint32_t crc;
	bool depended; /* the transaction depends on it */
};

struct vos_update {
	struct list link;
	struct vos_cont *cont;
	struct vos_io io;
	struct vos_key dkey;
	bool written;   /* the data are on the device */
	uint64_t owner; /* of read timestamps, with io.order */
	void *own_iods; /* iods and extents of an update that was decoded; else the caller's */
	struct update_iod *iods;
	struct vos_piece *pieces;
	struct space_ext *exts;
	struct update_view *views;
	struct iovec *iovs;
	uint8_t *buf;  /* inline data */
	uint8_t *sums; /* checksums */
	uint32_t piece_nr, piece_cap;
	uint32_t ext_nr, ext_cap;
	uint32_t view_nr;
	uint32_t iov_nr, iov_cap;
	uint64_t buf_bytes;
	uint64_t sums_bytes;
	uint64_t nvme_bytes;
	struct heap_resv resv;
	/* written beside its transaction (vos_update_write.c): */
	bool overlapped;
	uint32_t writes_left;
	int write_rc;
	uint64_t dep_lsn; /* committed, heap_dep_done() to come; 0: neither */
	struct heap_tx_hook hook;
	struct co_future writes_done;
	struct update_iod iod_inl[IOD_INL];
	struct vos_piece piece_inl[PIECE_INL];
	struct space_ext ext_inl[PIECE_INL];
	struct update_view view_inl[VIEW_INL];
	struct iovec iov_inl[IOV_INL];
	uint8_t buf_inl[BUF_INL];
	uint8_t sums_inl[SUMS_INL];
};

struct vos_update *vos_update_alloc(struct vos_cont *cont);
/* Give everything back: memory, and blocks that no transaction took. */
void vos_update_release(struct vos_update *up);
/* The arrays have their final sizes: let the pieces point into them. */
void vos_update_link(struct vos_update *up);
/* Room for the checksums of all pieces; fill them in when the data are there (vos_update_csum.c).
 */
int vos_update_sums_prepare(struct vos_update *up);
int co_fn vos_update_sums_fill(struct vos_update *up);
/* Heap space its commit may need. */
uint64_t vos_update_heap_bytes(const struct vos_update *up);
/* Log space, about; a transaction asks for more when it turns out to be short. */
uint64_t vos_update_log_bytes(const struct vos_update *up);
/* Fill in the checksums and bring the data to the device, once. */
int co_fn vos_update_write(struct vos_update *up);
/* Whether its data are to be written beside the transaction; that; and what it adds to it. */
bool vos_update_overlaps(const struct vos_update *up);
int co_fn vos_update_commit_overlapped(struct vos_update *up, struct vos_tx_args *args);
int vos_update_depend(struct vos_tx *t, struct vos_update *up);
/* Enter it into the index at t->ord, conditions first (unless they were checked before). */
int vos_update_apply(struct vos_tx *t, struct vos_update *up, bool check);
/* DAOS_COND_AKEY_* that hold for iod i. */
uint64_t vos_update_akey_cond(const struct vos_io *io, uint32_t i);
bool vos_update_has_conditions(const struct vos_io *io);

#endif
