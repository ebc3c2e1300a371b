/* Private to fetches: vos_fetch.c finds and reads, vos_fetch_csum.c compares with checksums. */
#ifndef STORE_VOS_FETCH_H
#define STORE_VOS_FETCH_H

#include "store/vos/vos_internal.h"

enum {
	IOD_INL = 2,
	PIECE_INL = 8,
	VIEW_INL = 2,
	IOV_INL = 12,
	BUF_INL = 4096,
	CHECK_INL = 2,
	SUMS_INL = 64,
};

struct fetch_iod {
	struct vos_key akey;
	uint64_t size;
	uint32_t piece_first, piece_nr;
	uint32_t iov_first, iov_nr;
	uint32_t recx_first, recx_nr;
	uint64_t sums_first; /* NEED_SUMS: bytes in the context's `out` */
	uint32_t sums_bytes;
};

enum fetch_kind { FETCH_HOLE, FETCH_BUF, FETCH_NVME };

/* A part of the answer. len: bytes; for a hole of an array first records, then bytes. */
struct fetch_piece {
	enum fetch_kind kind;
	uint64_t len;
	uint64_t off; /* BUF: in the buffer; NVME: byte on the device */
	/* NVME: what is read, at least the part wanted; more where it is to be compared with
	 * checksums of whole chunks. */
	uint64_t read_off, read_len;
};

struct fetch_view {
	struct data_view view; /* cache memory ... */
	uint8_t *own;          /* ... or private memory, for answers too large for the cache */
	uint64_t off;          /* first byte, on the device */
	uint64_t len;
	struct vos_fetch *f;
};

/*
 * Something read from the device is to be compared with its checksums. What is read of all pieces,
 * one behind the other, is the stream; `at` is a position in it.
 */
struct fetch_check {
	uint32_t iod;
	bool single;  /* a single value */
	bool whole;   /* all the checksums cover is read; else only what is wanted, to be trusted */
	bool head_ok; /* nothing else lies in the block in front of what is covered ... */
	bool tail_ok; /* ... and behind it */
	uint32_t rec_size;
	uint64_t at, len;  /* bytes wanted */
	uint64_t cover_at; /* bytes covered; only if whole */
	uint64_t cover_len;
	uint64_t idx, nr; /* records covered, from the start of a chunk's part */
	uint64_t dev_off; /* of the first of them */
	uint64_t epoch;
	uint64_t sum; /* position in the context's `sums` */
};

/* Stored checksums that can be passed on: chunks in a row of one extent asked for. */
struct fetch_reuse {
	uint32_t iod, recx;
	uint64_t idx; /* first record of the first chunk's part */
	uint64_t nr;  /* checksums */
	uint64_t sum; /* as above */
};

struct vos_fetch {
	struct list link;
	struct vos_cont *cont;
	struct vos_io io;
	uint32_t flags;
	struct vos_key dkey;
	struct fetch_iod *iods;
	struct fetch_piece *pieces;
	struct fetch_view *views;
	struct iovec *iovs;
	daos_recx_t *recxs;
	uint8_t *buf;
	struct fetch_check *checks;
	struct fetch_reuse *reuse;
	uint8_t *sums; /* copies of stored checksums */
	uint8_t *out;  /* what NEED_SUMS asks for */
	uint32_t piece_nr, piece_cap;
	uint32_t view_nr, view_next;
	uint32_t iov_nr, iov_cap;
	uint32_t recx_nr, recx_cap;
	uint64_t buf_bytes, buf_cap;
	uint32_t check_nr, check_cap;
	uint32_t reuse_nr, reuse_cap;
	uint64_t sums_bytes, sums_cap;
	uint64_t nvme_bytes; /* read */
	uint32_t nvme_pieces;
	bool distrust; /* check also what cache memory says has been checked */
	bool reread;   /* a mismatch was seen and the blocks are read from the device again */
	uint64_t lsn;  /* of the newest change that was seen */
	bool lsn_wanted;
	bool iod_border; /* the next piece begins an iod's answer */
	struct fetch_iod iod_inl[IOD_INL];
	struct fetch_piece piece_inl[PIECE_INL];
	struct fetch_view view_inl[VIEW_INL];
	struct iovec iov_inl[IOV_INL];
	uint8_t buf_inl[BUF_INL];
	struct fetch_check check_inl[CHECK_INL];
	uint8_t sums_inl[SUMS_INL];
};

/* Make room for `need` entries in an array that may begin inside the context; for one more. */
int vos_fetch_grow(void **arr, const void *inl, uint64_t nr, uint64_t need, uint64_t *cap,
		   size_t size);
int vos_fetch_grow32(void **arr, const void *inl, uint32_t nr, uint32_t *cap, size_t size);
/* Bytes [off, off + len) of the device, reading [read_off, read_off + read_len), at the end of the
 * stream. */
int vos_fetch_nvme(struct vos_fetch *f, uint64_t off, uint64_t len, uint64_t read_off,
		   uint64_t read_len);
/* Append [skip, skip + left) of a view to the segments. */
int vos_fetch_iov_view(struct vos_fetch *f, const struct fetch_view *v, uint64_t skip,
		       uint64_t left);

/* --- vos_fetch_csum.c --- */
/* Records [lo, hi) of a version with checksums, of the segment `seg`; recx: which of the iod's
 * extents asks. Inline data are compared at once: *ret_data is where they are. Others are added as
 * a piece, *ret_data NULL. */
int vos_fetch_checked(struct vos_fetch *f, uint32_t iod, uint32_t recx, const struct vos_seg *seg,
		      const struct vos_ver_df *ver, uint64_t lo, uint64_t hi,
		      const void **ret_data);
/* A single value with a checksum: inline compared at once, others before their pieces are added. */
int vos_fetch_checked_single(struct vos_fetch *f, uint32_t iod, const struct vos_sv *sv);
/* All is in memory: compare. FETCH_AGAIN: from the lookup on. */
enum { FETCH_AGAIN = 1 };
int co_fn vos_fetch_check(struct vos_fetch *f);
/* NEED_SUMS, when the segments of the answer are known. */
int vos_fetch_sums_out(struct vos_fetch *f);

#endif
