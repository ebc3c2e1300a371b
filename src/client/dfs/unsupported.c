/* Calls whose features do not exist yet: each says so. */
#include <errno.h>

#include <daos_fs.h>

int
dfs_mount_snap(daos_handle_t poh, daos_handle_t coh, int flags, daos_epoch_t epoch,
	       const char *name, dfs_t **dfs)
{
	return ENOTSUP; /* snapshots */
}

int
dfs_connect_snap(const char *pool, const char *sys, const char *cont, int flags, daos_epoch_t epoch,
		 const char *name, dfs_t **dfs)
{
	return ENOTSUP;
}

int
dfs_cont_check(daos_handle_t poh, const char *cont, uint64_t flags, const char *name)
{
	return ENOTSUP; /* needs object index tables */
}

int
dfs_cont_scan(daos_handle_t poh, const char *cont, uint64_t flags, const char *name)
{
	return ENOTSUP;
}

int
dfs_pipeline_create(dfs_t *dfs, dfs_predicate_t pred, uint64_t flags, dfs_pipeline_t **dpipe)
{
	return ENOTSUP; /* filters that run on the servers */
}

int
dfs_pipeline_destroy(dfs_pipeline_t *dpipe)
{
	return ENOTSUP;
}

int
dfs_readdir_with_filter(dfs_t *dfs, dfs_obj_t *obj, dfs_pipeline_t *dpipe, daos_anchor_t *anchor,
			uint32_t *nr, struct dirent *dirs, daos_obj_id_t *oids, daos_size_t *csizes,
			uint64_t *nr_scanned)
{
	return ENOTSUP;
}
