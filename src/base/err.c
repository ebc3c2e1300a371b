/* Names and texts of error codes, made from the table in <daos_errno.h>. */
#include <errno.h>
#include <limits.h>
#include <stddef.h>

#include "base/err.h"

struct err_row {
	const char *name;
	const char *text;
};

#define ROW(name, text) {#name, #text},
static const struct err_row gurt_rows[] = {D_FOREACH_GURT_ERR(ROW)};
static const struct err_row daos_rows[] = {D_FOREACH_DAOS_ERR(ROW)};
#undef ROW

static const struct err_row *
err_row(int rc)
{
	static const struct err_row success = {"DER_SUCCESS", "Success"};
	static const struct err_row unknown = {"DER_UNKNOWN", "Unknown error"};
	unsigned int nr = rc < 0 ? 0u - (unsigned int)rc : (unsigned int)rc;

	if (nr == 0)
		return &success;
	if (nr > DER_ERR_GURT_BASE &&
	    nr - DER_ERR_GURT_BASE <= sizeof(gurt_rows) / sizeof(gurt_rows[0]))
		return &gurt_rows[nr - DER_ERR_GURT_BASE - 1];
	if (nr > DER_ERR_DAOS_BASE &&
	    nr - DER_ERR_DAOS_BASE <= sizeof(daos_rows) / sizeof(daos_rows[0]))
		return &daos_rows[nr - DER_ERR_DAOS_BASE - 1];
	return &unknown;
}

const char *
err_name(int rc)
{
	return err_row(rc)->name;
}

const char *
err_text(int rc)
{
	return err_row(rc)->text;
}

int
err_from_errno(int err)
{
	static const struct {
		int err;
		int rc;
	} map[] = {
	    {0, 0},
	    {EPERM, -DER_NO_PERM},
	    {EACCES, -DER_NO_PERM},
	    {EBADF, -DER_NO_HDL},
	    {EINVAL, -DER_INVAL},
	    {EEXIST, -DER_EXIST},
	    {ENOENT, -DER_NONEXIST},
	    {EHOSTUNREACH, -DER_UNREACH},
	    {ENOSPC, -DER_NOSPACE},
	    {EDQUOT, -DER_NOSPACE},
	    {EALREADY, -DER_ALREADY},
	    {ENOMEM, -DER_NOMEM},
	    {ENOSYS, -DER_NOSYS},
	    {EOPNOTSUPP, -DER_NOTSUPPORTED},
	    {ETIMEDOUT, -DER_TIMEDOUT},
	    {EBUSY, -DER_BUSY},
	    {EAGAIN, -DER_AGAIN},
	    {EPROTO, -DER_PROTO},
	    {EOVERFLOW, -DER_OVERFLOW},
	    {ENAMETOOLONG, -DER_BADPATH},
	    {ENOTDIR, -DER_NOTDIR},
	    {ECANCELED, -DER_CANCELED},
	    {EIO, -DER_IO},
	    {EMFILE, -DER_NOMEM},
	    {ENFILE, -DER_NOMEM},
	};
	size_t i;

	if (err < 0)
		err = -err;
	for (i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
		if (map[i].err == err)
			return map[i].rc;
	}
	return -DER_MISC;
}
