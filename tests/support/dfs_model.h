/*
 * A model of libdfs: this machine's own file system. Random calls are made on both, by path; every
 * result, and from time to time the whole tree with its contents, must be the same.
 */
#ifndef TESTS_DFS_MODEL_H
#define TESTS_DFS_MODEL_H

#include <stdint.h>

#include <daos_fs_sys.h>

struct dfs_model_conf {
	uint64_t seed;
	uint32_t steps;
	/* Called before each step: may do harm that must not be noticed. NULL: nothing. */
	void (*disturb)(void *arg, uint32_t step);
	void *arg;
};

/* The container must be empty. Fails by cmocka's means, having said seed and step. */
void dfs_model_run(dfs_t *dfs, const struct dfs_model_conf *conf);

#endif
