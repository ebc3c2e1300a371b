/*
 * Names and texts of error codes. The one table is in <daos_errno.h>; these accept the code with
 * either sign and never return NULL.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <daos_errno.h>

/* "DER_NOSPACE"; "DER_SUCCESS" for 0; "DER_UNKNOWN" for a number in no table. */
const char *err_name(int rc);

/* One phrase that says what the code means. */
const char *err_text(int rc);

/* -DER_* for an errno value (positive or negative; 0 gives 0); -DER_MISC for one without a
 * counterpart. */
int err_from_errno(int err);

/* printf helpers: log_err("open failed: " ERR_F, ERR_P(rc)); prints "DER_NOSPACE(-1007)" */
#define ERR_F     "%s(%d)"
#define ERR_P(rc) err_name(rc), (rc)

#endif
