/*
 * Identity of a distributed transaction, as printed in logs and tools.
 */
#ifndef DAOS_DTX_H
#define DAOS_DTX_H

#include <time.h>
#include <uuid/uuid.h>
#include <inttypes.h>
#include <string.h>
#include <stdbool.h>

#include <daos_types.h>
#include <daos/debug.h>
#include <gurt/common.h>

#if defined(__cplusplus)
extern "C" {
#endif

/** Who started it, and a stamp that rises with each of his transactions. */
struct dtx_id {
	uuid_t dti_uuid;
	uint64_t dti_hlc;
};

static inline void
daos_dti_copy(struct dtx_id *des, const struct dtx_id *src)
{
	if (src == NULL)
		memset(des, 0, sizeof(*des));
	else
		*des = *src;
}

static inline bool
daos_is_zero_dti(const struct dtx_id *dti)
{
	return dti->dti_hlc == 0;
}

static inline bool
daos_dti_equal(struct dtx_id *dti0, struct dtx_id *dti1)
{
	return dti0->dti_hlc == dti1->dti_hlc &&
	       memcmp(dti0->dti_uuid, dti1->dti_uuid, sizeof(uuid_t)) == 0;
}

/** Need DP_UUID() of daos/common.h. */
#define DF_DTI      DF_UUID "." DF_X64
#define DF_DTIF     DF_UUIDF "." DF_X64
#define DP_DTI(dti) DP_UUID((dti)->dti_uuid), (dti)->dti_hlc

#if defined(__cplusplus)
}
#endif

#endif /* DAOS_DTX_H */
