/*
 * Object I/O messages: one compact little-endian codec, bounds-checked, fuzzed. No struct is ever
 * cast from a buffer.
 *
 * Every request starts with struct obj_head. An engine remembers capabilities it has verified by
 * their id; a request names the id only, and carries the whole capability after the engine answered
 * -DER_NO_HDL ("not known here").
 *
 * Data: up to OBJ_INLINE_MAX bytes travel in the body, in the order of iods and records; above that
 * the client names a bulk (net/rpc) whose bytes are the same concatenation, and the engine pulls
 * (update) or pushes (fetch).
 *
 * What an engine answers (RPC status) beside the result of the operation itself. Every reply
 * carries the engine's map version and clock in its header.
 *
 * -DER_NO_HDL: only the capability's id was sent: send it whole. It was sent whole: expired, or the
 * pool or container is gone: ask the management service for a new one (OPC_MS_CONT_RENEW).
 *
 * -DER_NO_PERM: the capability is forged, or does not cover this operation.
 *
 * -DER_STALE: the request's map version is older than the engine's: get the map
 * (OPC_MS_POOL_MAP_GET), find the target again.
 *
 * -DER_AGAIN: not now (starting, no lease, too many requests). The operation may have been
 * executed: repeat after a pause with the same identity.
 *
 * -DER_EP_OLD (update): the proof that the home group knows of this group is too old: enter the
 * group again (OPC_OBJ_GROUPS), repeat with the new proof.
 *
 * -DER_HLC_SYNC: the request's clock is more than a second ahead.
 *
 * -DER_OVERFLOW: the reply would not fit into a message (thousands of pieces): ask for less at
 * once.
 *
 * -DER_REC2BIG (fetch): a value does not fit data_sizes[]; the body is a reply with all sizes and
 * no data.
 *
 * Decoded keys and pointers refer to the message; arrays come from the decoder's scratch (struct
 * obj_scratch), valid until obj_scratch_fini().
 */
#ifndef PROTO_OBJ_PROTO_H
#define PROTO_OBJ_PROTO_H

#include <stdint.h>
#include <stddef.h>
#include <stdbool.h>
#include <daos_types.h>
#include <daos_obj.h>

#include "base/codec.h"
#include "proto/obj_groups.h"

enum {
	OBJ_INLINE_MAX = 32 * 1024, /* data bytes in a body */
	OBJ_IOD_MAX = 1024,   /* iods of one request; the client splits larger calls where it may */
	OBJ_RECX_MAX = 16384, /* extents of one request */
	OBJ_IO_BYTES_MAX =
	    64 * 1024 * 1024,    /* data bytes of one request; the client splits larger ones */
	OBJ_KEY_MAX = 16 * 1024, /* bytes of one dkey or akey */
	OBJ_CAP_ID_BYTES = 16,
	OBJ_ANCHOR_BYTES = 96,         /* struct vos_anchor as opaque bytes */
	OBJ_BULK_DESC_MAX = 16 * 1024, /* bytes of an encoded bulk */
	OBJ_LIST_MAX = 4096,           /* entries of one listing reply */
};

struct obj_head {
	uint8_t cap_id[OBJ_CAP_ID_BYTES];
	const uint8_t *cap; /* whole capability (proto/capability.h), NULL if only the id is sent */
	uint32_t cap_len;
	daos_obj_id_t oid;
	uint32_t shard;
	uint64_t epoch; /* fetch, list, query: read at, UINT64_MAX latest; updates: 0 (the engine
			   chooses) */
	uint64_t flags; /* DAOS_COND_* */
	uint64_t client[2]; /* operation identity, 0 when not recorded */
	uint64_t seq;
	uint64_t low_seq;
};

enum obj_rw_flags {
	OBJ_RW_BULK = 1,      /* data is in the bulk, not inline */
	OBJ_RW_SIZE_ONLY = 2, /* fetch: sizes, no data */
	OBJ_RW_RECX = 4,      /* fetch: report existing extents (daos_iom_t) */
	OBJ_RW_PROOF = 8,     /* update of a group that is not the home group: see proof */
};
struct obj_rw { /* OPC_OBJ_UPDATE, OPC_OBJ_FETCH request */
	struct obj_head head;
	uint32_t rw_flags;
	daos_key_t dkey;
	uint32_t iod_nr;
	daos_iod_t *iods; /* iod_name, type, size, nr, recxs, flags */
	/* Fetch: room the client has per iod. In a bulk the data of iod i begins after the rooms of
	 * the iods before it; inline data has no gaps. A value that does not fit: -DER_REC2BIG. */
	uint64_t *data_sizes;
	/* Update: inline data, the last bytes of the body. To encode: inl NULL with inl_len > 0
	 * writes only the length, and the caller sends that many bytes as further pieces of the
	 * body (no copy into the writer). */
	const uint8_t *inl;
	uint32_t inl_len;
	const uint8_t *bulk; /* rpc_bulk_desc bytes */
	uint32_t bulk_len;
	/* OBJ_RW_PROOF: when the home group said that it has this group in its set. */
	uint64_t proof;
};
struct obj_rw_rep {     /* update: epoch only (iod_nr 0) */
	uint64_t epoch; /* the version written; fetch: epoch read at */
	uint32_t iod_nr;
	uint64_t *sizes; /* fetch: record size per iod, 0 = nothing there */
	/* fetch: what each iod's data consists of, in order: pieces of data and holes. Inline or
	 * pushed data contains only the data pieces when inline, and lands at its place in the bulk
	 * (holes untouched). */
	uint32_t *piece_nr;  /* per iod */
	uint64_t *piece_len; /* all iods: bytes; top bit (OBJ_PIECE_HOLE) marks a hole */
	uint32_t *recx_nr;   /* per iod, when OBJ_RW_RECX */
	daos_recx_t *recxs;
	const uint8_t *inl; /* as in struct obj_rw: may be left to the caller when encoding */
	uint32_t inl_len;
};
#define OBJ_PIECE_HOLE (1ull << 63)

struct obj_punch { /* OPC_OBJ_PUNCH: object (no dkey), one dkey (no akeys), or akeys of a dkey */
	struct obj_head head;
	bool has_dkey;
	daos_key_t dkey;
	uint32_t akey_nr;
	daos_key_t *akeys;
	uint8_t groups; /* enum obj_punch_groups: of an object */
	uint64_t seen;  /* OBJ_PUNCH_LAST */
};
/* An object of several groups is punched in the groups of its set, the home group last. */
enum obj_punch_groups {
	OBJ_PUNCH_PLAIN,  /* one group is all */
	OBJ_PUNCH_ALONE,  /* home group: only if no set is stored; else nothing is done */
	OBJ_PUNCH_MEMBER, /* another group: no proof from before this moment counts any more */
	OBJ_PUNCH_LAST,   /* home group, after all others: the set goes too, if no group was entered
			     since it was seen */
};
struct obj_punch_rep {
	uint64_t epoch;
	bool done;      /* ALONE: false when a set is stored, which follows */
	bool set_stays; /* LAST: a group was entered meanwhile */
	uint64_t seen;  /* ALONE, not done */
	struct obj_groups set;
};
struct obj_list { /* OPC_OBJ_LIST */
	struct obj_head head;
	uint8_t kind; /* enum obj_list_kind */
	bool descending;
	uint32_t max_nr;    /* entries wanted */
	uint32_t max_bytes; /* key bytes wanted (keys travel inline; bounded by RPC_INLINE_MAX) */
	daos_key_t dkey;    /* AKEY, RECX, SINGLE */
	daos_key_t akey;    /* RECX, SINGLE */
	uint8_t anchor[OBJ_ANCHOR_BYTES];
	bool want_set; /* home group */
};
enum obj_list_kind { OBJ_LIST_OBJ, OBJ_LIST_DKEY, OBJ_LIST_AKEY, OBJ_LIST_RECX, OBJ_LIST_SINGLE };
struct obj_list_rep {
	uint8_t anchor[OBJ_ANCHOR_BYTES];
	bool eof;
	uint64_t epoch;
	uint32_t nr;
	daos_key_t *keys;      /* DKEY, AKEY */
	daos_recx_t *recxs;    /* RECX */
	uint64_t *rec_sizes;   /* RECX, SINGLE */
	uint64_t *epochs;      /* RECX, SINGLE, OBJ */
	daos_obj_id_t *oids;   /* OBJ */
	uint32_t *shards;      /* OBJ */
	uint64_t key2big;      /* > 0: the next key needs this many bytes, nr is 0 */
	struct obj_groups set; /* prefix 0: not asked for, or none is stored */
};
struct obj_query { /* OPC_OBJ_QUERY_KEY */
	struct obj_head head;
	uint64_t query_flags; /* DAOS_GET_* */
	uint64_t dkey;
	daos_key_t akey;
	bool want_set; /* home group */
};
struct obj_query_rep {
	uint64_t dkey;
	uint64_t akey;
	daos_recx_t recx;
	uint64_t max_epoch; /* newest change of the object shard */
	bool found;
	uint64_t seen;         /* with the set: the moment it was looked at */
	struct obj_groups set; /* prefix 0: not asked for, or none is stored */
};
struct obj_enter { /* OPC_OBJ_GROUPS, to the home group: have these groups in the set */
	struct obj_head head;
	uint32_t total;        /* groups of the object */
	struct obj_groups set; /* what it has from the beginning */
	uint32_t first, last;
	bool dense;
};
struct obj_enter_rep {
	uint64_t proof; /* that all of the set were in it at this moment */
	struct obj_groups set;
};

/* Memory for decoded arrays. Zero-initialise, or obj_scratch_init() (which leaves the fixed part
 * alone); fini after use. */
struct obj_scratch {
	void *blocks; /* chain of allocations */
	uint32_t used;
	uint64_t fixed[128];
};
static inline void
obj_scratch_init(struct obj_scratch *s)
{
	s->blocks = NULL;
	s->used = 0;
}
void obj_scratch_fini(struct obj_scratch *s);

/* Bytes of all records of an iod: iod_size for a single value, records * iod_size for an array.
 * -DER_OVERFLOW. */
int obj_iod_bytes(const daos_iod_t *iod, uint64_t *ret_bytes);

/* Encoders append to a growable writer; decoders return -DER_PROTO for anything malformed or beyond
 * the limits (also: an extent of no records, or one that ends beyond 2^64 - 1), -DER_NOMEM. */
void obj_rw_encode(struct codec_wr *w, const struct obj_rw *m);
int obj_rw_decode(const uint8_t *buf, size_t len, struct obj_scratch *s, struct obj_rw *ret_m);
void obj_rw_rep_encode(struct codec_wr *w, const struct obj_rw_rep *m);
int obj_rw_rep_decode(const uint8_t *buf, size_t len, struct obj_scratch *s,
		      struct obj_rw_rep *ret_m);
void obj_punch_encode(struct codec_wr *w, const struct obj_punch *m);
int obj_punch_decode(const uint8_t *buf, size_t len, struct obj_scratch *s,
		     struct obj_punch *ret_m);
void obj_list_encode(struct codec_wr *w, const struct obj_list *m);
int obj_list_decode(const uint8_t *buf, size_t len, struct obj_scratch *s, struct obj_list *ret_m);
void obj_list_rep_encode(struct codec_wr *w, uint8_t kind, const struct obj_list_rep *m);
int obj_list_rep_decode(const uint8_t *buf, size_t len, uint8_t kind, struct obj_scratch *s,
			struct obj_list_rep *ret_m);
void obj_query_encode(struct codec_wr *w, const struct obj_query *m);
int obj_query_decode(const uint8_t *buf, size_t len, struct obj_scratch *s,
		     struct obj_query *ret_m);
void obj_query_rep_encode(struct codec_wr *w, const struct obj_query_rep *m);
int obj_query_rep_decode(const uint8_t *buf, size_t len, struct obj_query_rep *ret_m);
void obj_punch_rep_encode(struct codec_wr *w, const struct obj_punch_rep *m);
int obj_punch_rep_decode(const uint8_t *buf, size_t len, struct obj_punch_rep *ret_m);
void obj_enter_encode(struct codec_wr *w, const struct obj_enter *m);
int obj_enter_decode(const uint8_t *buf, size_t len, struct obj_enter *ret_m);
void obj_enter_rep_encode(struct codec_wr *w, const struct obj_enter_rep *m);
int obj_enter_rep_decode(const uint8_t *buf, size_t len, struct obj_enter_rep *ret_m);

#endif
