/*
 * Helpers shared by the client, the daemons and programs close to them: printing of ids and keys,
 * errno conversion, property lists, scatter/gather lists, container types.
 */
#ifndef DAOS_COMMON_H
#define DAOS_COMMON_H

#include <sys/time.h>
#include <sys/types.h>
#include <sys/param.h>
#include <stdint.h>
#include <inttypes.h>
#include <unistd.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <ctype.h>
#include <errno.h>
#include <assert.h>
#include <time.h>
#include <stdlib.h>
#include <stdio.h>
#include <pthread.h>
#include <byteswap.h>

#include <daos_errno.h>
#include <daos/debug.h>
#include <gurt/hash.h>
#include <gurt/common.h>
#include <daos_types.h>
#include <daos_obj.h>
#include <daos_prop.h>
#include <daos_security.h>
#include <daos/profile.h>
#include <daos/dtx.h>
#include <daos/cmd_parser.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

#define DAOS_ON_VALGRIND D_ON_VALGRIND

/* ---- printf formats and their arguments ---- */

#define DF_OID    DF_U64 "." DF_U64
#define DP_OID(o) (o).hi, (o).lo

#define DF_BOOL    "%s"
#define DP_BOOL(b) ((b) ? "true" : "false")

#define DF_IOV    "<%p, %zu/%zu>"
#define DP_IOV(i) (i)->iov_buf, (i)->iov_len, (i)->iov_buf_len

/** A uuid by its first 8 digits, or in full. DP_UUID() may be used DF_UUID_MAX times in a message.
 */
#define DF_UUID_MAX 8
#define DF_UUID     "%.8s"
#define DF_UUIDF    "%s"
char *DP_UUID(const void *uuid);

#define DF_CONT               DF_UUID "/" DF_UUID
#define DP_CONT(puuid, cuuid) DP_UUID(puuid), DP_UUID(cuuid)
#define DF_CONTF              DF_UUIDF "/" DF_UUIDF

/** Keys and names are users' data: only their length is printed. */
#define DF_KEY         "[%d]"
#define DP_KEY(_key)   (int)((_key)->iov_len)
#define DF_DE          "de[%zi]"
#define DP_DE(_de)     strnlen(_de, NAME_MAX)
#define DF_PATH        "path[%zi]"
#define DP_PATH(_path) strnlen((_path), PATH_MAX)

#define DF_RECX    "[" DF_X64 "-" DF_X64 "]"
#define DP_RECX(r) (r).rx_idx, ((r).rx_idx + (r).rx_nr - 1)

/* ---- errno ---- */

/** errno value of a (zero or negative) DER code; EIO when there is no closer one. */
static inline int
daos_der2errno(int err)
{
	switch (-err) {
	case DER_SUCCESS:
		return 0;
	case DER_NO_PERM:
	case DER_EP_RO:
	case DER_EP_OLD:
	case DER_CONT_DESTROYING:
		return EPERM;
	case DER_NO_HDL:
	case DER_INVAL:
	case DER_NOTYPE:
	case DER_NOSCHEMA:
	case DER_NOLOCAL:
	case DER_IO_INVAL:
		return EINVAL;
	case DER_EXIST:
		return EEXIST;
	case DER_NONEXIST:
	case DER_ENOENT:
		return ENOENT;
	case DER_UNREACH:
		return EHOSTUNREACH;
	case DER_NOSPACE:
		return ENOSPC;
	case DER_ALREADY:
		return EALREADY;
	case DER_NOMEM:
	case DER_DOS:
		return ENOMEM;
	case DER_TIMEDOUT:
		return ETIMEDOUT;
	case DER_BUSY:
	case DER_EQ_BUSY:
		return EBUSY;
	case DER_AGAIN:
		return EAGAIN;
	case DER_PROTO:
		return EPROTO;
	case DER_OVERFLOW:
		return EOVERFLOW;
	case DER_CANCELED:
		return ECANCELED;
	case DER_BADPATH:
	case DER_NOTDIR:
		return ENOTDIR;
	case DER_STALE:
		return ESTALE;
	case DER_KEY2BIG:
	case DER_REC2BIG:
		return E2BIG;
	case DER_TX_RESTART:
		return ERESTART;
	case DER_NOTSUPPORTED:
		return ENOTSUP;
	default:
		return err > 0 ? EINVAL : EIO;
	}
}

/** Negative DER code of an errno value; -DER_MISC when there is no closer one. */
static inline int
daos_errno2der(int err)
{
	switch (err) {
	case EBADF:
		return -DER_NO_HDL;
	case EINVAL:
		return -DER_INVAL;
	case EIO:
		return -DER_IO;
	case ENOSYS:
		return -DER_NOSYS;
	case ENOTDIR:
		return -DER_NOTDIR;
	case ENOTSUP:
		return -DER_NOTSUPPORTED;
	case EOVERFLOW:
		return -DER_OVERFLOW;
	case EPROTO:
		return -DER_PROTO;
	case ETIMEDOUT:
		return -DER_TIMEDOUT;
	case EWOULDBLOCK:
		return -DER_AGAIN;
	default:
		return err < 0 ? -DER_UNKNOWN : d_errno2der(err);
	}
}

/* ---- Anchors ---- */

static inline void
daos_anchor_set_flags(daos_anchor_t *anchor, uint32_t flags)
{
	anchor->da_flags = flags;
}

static inline uint32_t
daos_anchor_get_flags(daos_anchor_t *anchor)
{
	return anchor->da_flags;
}

static inline void
daos_anchor_set_eof(daos_anchor_t *anchor)
{
	anchor->da_type = DAOS_ANCHOR_TYPE_EOF;
}

static inline void
daos_anchor_set_zero(daos_anchor_t *anchor)
{
	anchor->da_type = DAOS_ANCHOR_TYPE_ZERO;
}

static inline bool
daos_anchor_is_zero(daos_anchor_t *anchor)
{
	return anchor->da_type == DAOS_ANCHOR_TYPE_ZERO;
}

/* ---- Small checks ---- */

static inline bool
daos_uuid_valid(const uuid_t uuid)
{
	return uuid != NULL && !uuid_is_null(uuid);
}

static inline bool
daos_rank_list_valid(const d_rank_list_t *rl)
{
	return rl != NULL && rl->rl_ranks != NULL && rl->rl_nr > 0;
}

/* ---- Memory vectors ---- */

static inline bool
daos_iov_empty(d_iov_t *iov)
{
	return iov == NULL || iov->iov_buf == NULL || iov->iov_len == 0;
}

/** Allocate and copy; released by daos_iov_free(). */
int daos_iov_copy(d_iov_t *dst, d_iov_t *src);
int daos_iov_alloc(d_iov_t *iov, daos_size_t size, bool set_full);
void daos_iov_free(d_iov_t *iov);
bool daos_iov_cmp(d_iov_t *iov1, d_iov_t *iov2);

/** Append bytes; there must be room. */
void daos_iov_append(d_iov_t *iov, void *buf, uint64_t buf_len);

#define daos_key_match(key1, key2) daos_iov_cmp(key1, key2)

/** Bytes in use, in sg_nr_out entries or in all; room in all. */
daos_size_t daos_sgl_data_len(d_sg_list_t *sgl, bool out);
daos_size_t daos_sgl_buf_size(d_sg_list_t *sgl);
daos_size_t daos_sgls_buf_size(d_sg_list_t *sgls, int nr);

/** Copy what is in use, entry by entry; -DER_INVAL when dst has no room. */
int daos_sgl_copy_data(d_sg_list_t *dst, d_sg_list_t *src);

/** As daos_sgl_copy_data(), into new memory. */
int daos_sgl_alloc_copy_data(d_sg_list_t *dst, d_sg_list_t *src);

/* ---- Extents ---- */

#define DAOS_RECX_END(recx) ((recx).rx_idx + (recx).rx_nr)
#define DAOS_RECX_OVERLAP(recx_1, recx_2)                                                          \
	(((recx_1).rx_idx < DAOS_RECX_END(recx_2)) && ((recx_2).rx_idx < DAOS_RECX_END(recx_1)))
#define DAOS_RECX_ADJACENT(recx_1, recx_2)                                                         \
	(((recx_1).rx_idx == DAOS_RECX_END(recx_2)) || ((recx_2).rx_idx == DAOS_RECX_END(recx_1)))

/* ---- Property lists ---- */

/**
 * Is a list well formed: known types of pools or of containers, no type twice? With input also the
 * values are checked.
 */
bool daos_prop_valid(daos_prop_t *prop, bool pool, bool input);

/** A copy of a valid list; NULL if it is not, or out of memory. */
daos_prop_t *daos_prop_dup(daos_prop_t *prop, bool pool, bool input);

/**
 * Copy values from a reply into a request: for the types it lists (0: whatever comes), or all if it
 * is empty. -DER_NONEXIST when one is missing.
 */
int daos_prop_copy(daos_prop_t *prop_req, daos_prop_t *prop_reply);
int daos_prop_entry_copy(struct daos_prop_entry *entry, struct daos_prop_entry *entry_dup);

/* ---- Strings ---- */

/** Cut off white space: returns the new start, NULL if nothing is left. */
char *daos_str_trimwhite(char *str);

/** Container type by name, case ignored; DAOS_PROP_CO_LAYOUT_UNKNOWN for an unknown name. */
void daos_parse_ctype(const char *string, daos_cont_layout_t *type);

/** Name of a container type into a buffer of 10 bytes. */
void daos_unparse_ctype(daos_cont_layout_t ctype, char *string);

#define DAOS_LOG_DEFAULT "/tmp/daos.log"

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* DAOS_COMMON_H */
