/* Creates, stats and unlinks through a mounted file system. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "md.h"

struct posix {
	int root_fd, dir_fd;
};

static int
posix_open(char **args, void **ret_ctx)
{
	struct posix *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return ENOMEM;
	p->root_fd = open(args[0], O_RDONLY | O_DIRECTORY);
	if (p->root_fd < 0) {
		free(p);
		return errno;
	}
	*ret_ctx = p;
	return 0;
}

static int
posix_enter(void *ctx, const char *dir)
{
	struct posix *p = ctx;

	if (mkdirat(p->root_fd, dir, 0755) != 0 && errno != EEXIST)
		return errno;
	p->dir_fd = openat(p->root_fd, dir, O_RDONLY | O_DIRECTORY);
	return p->dir_fd < 0 ? errno : 0;
}

static int
posix_create(void *ctx, const char *name)
{
	struct posix *p = ctx;
	int fd = openat(p->dir_fd, name, O_CREAT | O_EXCL | O_WRONLY, 0644);

	if (fd < 0)
		return errno;
	return close(fd) == 0 ? 0 : errno;
}

static int
posix_stat(void *ctx, const char *name)
{
	struct posix *p = ctx;
	struct stat st;

	return fstatat(p->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno;
}

static int
posix_unlink(void *ctx, const char *name)
{
	struct posix *p = ctx;

	return unlinkat(p->dir_fd, name, 0) == 0 ? 0 : errno;
}

static int
posix_leave(void *ctx, const char *dir)
{
	struct posix *p = ctx;

	close(p->dir_fd);
	return unlinkat(p->root_fd, dir, AT_REMOVEDIR) == 0 ? 0 : errno;
}

static void
posix_close(void *ctx)
{
	struct posix *p = ctx;

	close(p->root_fd);
	free(p);
}

int
main(int argc, char **argv)
{
	static const struct md_ops ops = {
	    .usage = "DIR",
	    .arg_nr = 1,
	    .open = posix_open,
	    .enter = posix_enter,
	    .create = posix_create,
	    .stat = posix_stat,
	    .unlink = posix_unlink,
	    .leave = posix_leave,
	    .close = posix_close,
	};

	return md_main(argc, argv, &ops);
}
