/* Creates, stats and unlinks through libdfs, without a mount. */
#include <errno.h>
#include <stdlib.h>

#include <daos.h>
#include <daos_fs.h>

#include "md.h"

struct dfs_md {
	dfs_t *dfs;
	dfs_obj_t *dir;
};

static int
md_dfs_open(char **args, void **ret_ctx)
{
	struct dfs_md *d = calloc(1, sizeof(*d));
	int rc;

	if (d == NULL)
		return ENOMEM;
	rc = dfs_init();
	if (rc == 0) {
		rc = dfs_connect(args[0], NULL, args[1], O_RDWR, NULL, &d->dfs);
		if (rc != 0)
			dfs_fini();
	}
	if (rc != 0) {
		free(d);
		return rc;
	}
	*ret_ctx = d;
	return 0;
}

static int
md_dfs_enter(void *ctx, const char *dir)
{
	struct dfs_md *d = ctx;

	return dfs_open(d->dfs, NULL, dir, S_IFDIR | 0755, O_RDWR | O_CREAT, 0, 0, NULL, &d->dir);
}

static int
md_dfs_create(void *ctx, const char *name)
{
	struct dfs_md *d = ctx;
	dfs_obj_t *obj;
	int rc;

	rc = dfs_open(d->dfs, d->dir, name, S_IFREG | 0644, O_RDWR | O_CREAT | O_EXCL, 0, 0, NULL,
		      &obj);
	return rc != 0 ? rc : dfs_release(obj);
}

static int
md_dfs_stat(void *ctx, const char *name)
{
	struct dfs_md *d = ctx;
	struct stat st;

	return dfs_stat(d->dfs, d->dir, name, &st);
}

static int
md_dfs_unlink(void *ctx, const char *name)
{
	struct dfs_md *d = ctx;

	return dfs_remove(d->dfs, d->dir, name, false, NULL);
}

static int
md_dfs_leave(void *ctx, const char *dir)
{
	struct dfs_md *d = ctx;
	int rc = dfs_release(d->dir);

	return rc != 0 ? rc : dfs_remove(d->dfs, NULL, dir, false, NULL);
}

static void
md_dfs_close(void *ctx)
{
	struct dfs_md *d = ctx;

	dfs_disconnect(d->dfs);
	dfs_fini();
	free(d);
}

int
main(int argc, char **argv)
{
	static const struct md_ops ops = {
	    .usage = "POOL CONTAINER",
	    .arg_nr = 2,
	    .open = md_dfs_open,
	    .enter = md_dfs_enter,
	    .create = md_dfs_create,
	    .stat = md_dfs_stat,
	    .unlink = md_dfs_unlink,
	    .leave = md_dfs_leave,
	    .close = md_dfs_close,
	};

	return md_main(argc, argv, &ops);
}
