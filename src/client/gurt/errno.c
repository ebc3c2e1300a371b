/*
 * Names and texts of error codes, from the one table in daos_errno.h.
 */
#include <gurt/common.h>

struct err_row {
	const char *name;
	const char *text;
};

/* Index is the code less the base of its range, less 1: the lists are consecutive. */
#define ERR_ROW(code, desc) {#code, #desc},

static const struct err_row gurt_rows[] = {D_FOREACH_GURT_ERR(ERR_ROW)};
static const struct err_row daos_rows[] = {D_FOREACH_DAOS_ERR(ERR_ROW)};

static_assert(ARRAY_SIZE(daos_rows) == DER_LAST_VALID - DER_ERR_DAOS_BASE - 1,
	      "codes must be consecutive");

static const struct err_row *
err_row_find(int errnum)
{
	static const struct err_row success = {"DER_SUCCESS", "Success"};
	/* Unsigned, so that INT_MIN has an absolute value too. */
	unsigned int code = errnum < 0 ? 0u - (unsigned int)errnum : (unsigned int)errnum;

	if (code == 0)
		return &success;
	if (code > DER_ERR_GURT_BASE && code - DER_ERR_GURT_BASE <= ARRAY_SIZE(gurt_rows))
		return &gurt_rows[code - DER_ERR_GURT_BASE - 1];
	if (code > DER_ERR_DAOS_BASE && code - DER_ERR_DAOS_BASE <= ARRAY_SIZE(daos_rows))
		return &daos_rows[code - DER_ERR_DAOS_BASE - 1];
	return NULL;
}

const char *
d_errstr(int errnum)
{
	const struct err_row *row = err_row_find(errnum);

	return row != NULL ? row->name : "DER_UNKNOWN";
}

const char *
d_errdesc(int errnum)
{
	const struct err_row *row = err_row_find(errnum);

	return row != NULL ? row->text : "Unknown error code";
}
