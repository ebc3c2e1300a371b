/*
 * Types of the RPC layer as far as other headers and tools name them. The RPC layer itself is not a
 * public interface here.
 */
#ifndef CART_TYPES_H
#define CART_TYPES_H

#include <stdbool.h>
#include <stdint.h>
#include <gurt/types.h>

typedef int crt_status_t;
typedef d_string_t crt_group_id_t;
typedef uint32_t crt_opcode_t;
typedef void *crt_context_t;
typedef void *crt_bulk_t;

/** Longest group name and address, with the NUL. */
#define CRT_GROUP_ID_MAX_LEN (64)
#define CRT_ADDR_STR_MAX_LEN (128)

#define CRT_DEFAULT_GRPID  "crt_default_group"
#define CRT_NO_RANK        0xFFFFFFFF
#define CRT_NO_INCARNATION 0
#define CRT_BULK_NULL      (NULL)

typedef struct crt_group {
	crt_group_id_t cg_grpid;
} crt_group_t;

/** A target: group (NULL: the default one), rank, and context within the rank. */
typedef struct {
	crt_group_t *ep_grp;
	d_rank_t ep_rank;
	uint32_t ep_tag;
} crt_endpoint_t;

#endif /* CART_TYPES_H */
