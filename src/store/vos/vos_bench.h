/* The measurements of vos_bench that need a large target: vos_bench_scale.c. */
#ifndef STORE_VOS_BENCH_H
#define STORE_VOS_BENCH_H

#include <stdint.h>
#include <stdio.h>

struct scale_conf {
	const char *path;        /* directory for the pool */
	uint64_t nr;             /* files, keys */
	uint64_t resident_bytes; /* of the heap; 0 = all */
	FILE *json;              /* or NULL */
};

int scale_files(const struct scale_conf *conf);
int scale_restart(const struct scale_conf *conf);

#endif
