/* Between the files of vos_bench. vos_bench_scale.c has what needs a large target. */
#ifndef STORE_VOS_BENCH_H
#define STORE_VOS_BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "store/vos/vos.h"

struct scale_conf {
	const char *path;        /* directory for the pool */
	uint64_t nr;             /* files, keys */
	uint64_t resident_bytes; /* of the heap; 0 = all */
	FILE *json;              /* or NULL */
};

int scale_files(const struct scale_conf *conf);
int scale_restart(const struct scale_conf *conf);

/* One update of bytes that are all the same. */
static inline int co_fn
bench_put(struct vos_cont *cont, const struct vos_io *io, int fill)
{
	const struct iovec *iov;
	struct vos_update *up;
	uint32_t i, nr;
	int rc;

	rc = vos_update_begin(cont, io, &up);
	if (rc != 0)
		return rc;
	iov = vos_update_iov(up, 0, &nr);
	for (i = 0; i < nr; i++)
		memset(iov[i].iov_base, fill, iov[i].iov_len);
	return vos_update_end(up);
}

#endif
