/*
 * Random calls on libdfs and on a directory in /tmp, compared (dfs_model.h). Few names and little
 * depth, so that calls meet what earlier ones left: files where directories are expected, links to
 * things that went, renames onto each other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "dfs_model.h"

enum { PATH_BYTES = 512, DATA_MAX = 20000, NAMES_MAX = 64, COMPARE_EVERY = 50 };

/* Above it is nothing else, so that links may lead out of it. */
#define ROOT "/r"

struct model {
	dfs_t *dfs;
	dfs_sys_t *sys;
	const struct dfs_model_conf *conf;
	uint64_t rnd;
	uint32_t step;
	bool xattrs;
	char top[64];
};

static uint32_t
rnd(struct model *m, uint32_t below)
{
	m->rnd = m->rnd * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((m->rnd >> 33) % below);
}

static void
pick(struct model *m, char path[PATH_BYTES])
{
	static const char *const names[] = {"a", "b", "c", "d", "a-longer-name"};
	uint32_t depth = 1 + rnd(m, 3);

	strcpy(path, ROOT);
	while (depth-- > 0) {
		strcat(path, "/");
		strcat(path, names[rnd(m, 5)]);
	}
}

static const char *
local(struct model *m, const char *path)
{
	static char buf[4][PATH_BYTES + 64];
	static uint32_t turn;
	char *p = buf[turn++ % 4];

	snprintf(p, sizeof(buf[0]), "%s%s", m->top, path);
	return p;
}

static void
same(struct model *m, const char *what, const char *path, int rc, int local_rc)
{
	int err = local_rc == 0 ? 0 : errno;

	if (rc != err)
		fail_msg("seed %llu step %u: %s %s: %d (%s), not %d (%s)",
			 (unsigned long long)m->conf->seed, m->step, what, path, rc, strerror(rc),
			 err, strerror(err));
}

/* --- the calls --- */

static void
do_mkdir(struct model *m)
{
	char path[PATH_BYTES];
	mode_t mode = 0700 | rnd(m, 64);
	int rc;

	pick(m, path);
	rc = dfs_sys_mkdir(m->sys, path, mode, 0);
	same(m, "mkdir", path, rc, mkdir(local(m, path), mode));
}

static void
do_symlink(struct model *m)
{
	char path[PATH_BYTES], to[PATH_BYTES], target[PATH_BYTES + 8];
	int rc;

	pick(m, path);
	pick(m, to);
	/* a relative target, here or upwards; an absolute one would leave the model's directory */
	snprintf(target, sizeof(target), "%s%s", rnd(m, 2) ? "../" : "", to + strlen(ROOT) + 1);
	rc = dfs_sys_symlink(m->sys, target, path);
	same(m, "symlink", path, rc, symlink(target, local(m, path)));
}

static void
do_write(struct model *m)
{
	static uint8_t data[DATA_MAX];
	char path[PATH_BYTES];
	struct stat st;
	dfs_obj_t *obj;
	daos_size_t n = 1 + rnd(m, rnd(m, 4) == 0 ? DATA_MAX - 1 : 100);
	off_t off = rnd(m, 30000);
	int flags = O_RDWR | O_CREAT | (rnd(m, 5) == 0 ? O_TRUNC : 0);
	int fd, rc;

	pick(m, path);
	/* a link that leads nowhere: creating through it is the one thing libdfs does not do */
	if (lstat(local(m, path), &st) == 0 && S_ISLNK(st.st_mode))
		flags &= ~O_CREAT;
	memset(data, (int)rnd(m, 256), sizeof(data));
	rc = dfs_sys_open(m->sys, path, S_IFREG | 0644, flags, 0, 4096, NULL, &obj);
	fd = open(local(m, path), flags, 0644);
	same(m, "open", path, rc, fd < 0 ? -1 : 0);
	if (rc != 0)
		return;
	assert_int_equal(dfs_sys_write(m->sys, obj, data, off, &n, NULL), 0);
	assert_int_equal(pwrite(fd, data, n, off), n);
	assert_int_equal(dfs_sys_close(obj), 0);
	close(fd);
}

static void
do_truncate(struct model *m)
{
	struct stat st = {.st_size = rnd(m, 3) == 0 ? 0 : rnd(m, 40000)};
	char path[PATH_BYTES];
	off_t size = st.st_size;
	int rc;

	pick(m, path);
	rc = dfs_sys_setattr(m->sys, path, &st, DFS_SET_ATTR_SIZE, 0);
	same(m, "truncate", path, rc, truncate(local(m, path), size));
}

static void
do_chmod(struct model *m)
{
	mode_t mode = 0700 | rnd(m, 64);
	char path[PATH_BYTES];
	int rc;

	pick(m, path);
	rc = dfs_sys_chmod(m->sys, path, mode);
	same(m, "chmod", path, rc, chmod(local(m, path), mode));
}

static void
do_remove(struct model *m)
{
	char path[PATH_BYTES];
	struct stat st;
	int rc;

	pick(m, path);
	if (lstat(local(m, path), &st) == 0 && S_ISDIR(st.st_mode)) {
		rc = dfs_sys_remove_type(m->sys, path, false, S_IFDIR, NULL);
		same(m, "rmdir", path, rc, rmdir(local(m, path)));
	} else {
		rc = dfs_sys_remove(m->sys, path, false, NULL);
		same(m, "unlink", path, rc, unlink(local(m, path)));
	}
}

/* The directory of a path, open, and the last name. */
static int
parent_open(struct model *m, const char *path, dfs_obj_t **ret_dir, const char **ret_name)
{
	char dir[PATH_BYTES];
	mode_t mode = 0;
	int rc;

	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path + 1), path);
	*ret_name = strrchr(path, '/') + 1;
	rc = dfs_lookup(m->dfs, dir, O_RDWR, ret_dir, &mode, NULL);
	if (rc == 0 && !S_ISDIR(mode)) {
		dfs_release(*ret_dir);
		*ret_dir = NULL;
		rc = ENOTDIR;
	}
	return rc;
}

static void
do_rename(struct model *m)
{
	char from[PATH_BYTES], to[PATH_BYTES], what[2 * PATH_BYTES];
	dfs_obj_t *a = NULL, *b = NULL;
	const char *an, *bn;
	int rc;

	pick(m, from);
	pick(m, to);
	rc = parent_open(m, from, &a, &an);
	if (rc == 0)
		rc = parent_open(m, to, &b, &bn);
	if (rc == 0)
		rc = dfs_move(m->dfs, a, an, b, bn, NULL);
	snprintf(what, sizeof(what), "%s -> %s", from, to);
	same(m, "rename", what, rc, rename(local(m, from), local(m, to)));
	if (a != NULL)
		dfs_release(a);
	if (b != NULL)
		dfs_release(b);
}

static void
do_xattr(struct model *m)
{
	static const int flags[] = {0, XATTR_CREATE, XATTR_REPLACE};
	char path[PATH_BYTES], name[16], value[64], got[64];
	int flag = flags[rnd(m, 3)], rc;
	daos_size_t n = rnd(m, sizeof(value)), size = sizeof(got);
	ssize_t local_size;

	if (!m->xattrs)
		return;
	pick(m, path);
	snprintf(name, sizeof(name), "user.%c", 'x' + rnd(m, 3));
	memset(value, 'a' + (int)rnd(m, 26), sizeof(value));
	switch (rnd(m, 3)) {
	case 0:
		rc = dfs_sys_setxattr(m->sys, path, name, value, n, flag, 0);
		same(m, "setxattr", path, rc, setxattr(local(m, path), name, value, n, flag));
		break;
	case 1:
		rc = dfs_sys_removexattr(m->sys, path, name, 0);
		same(m, "removexattr", path, rc, removexattr(local(m, path), name));
		break;
	default:
		rc = dfs_sys_getxattr(m->sys, path, name, got, &size, 0);
		local_size = getxattr(local(m, path), name, value, sizeof(value));
		same(m, "getxattr", path, rc, local_size < 0 ? -1 : 0);
		if (rc == 0) {
			assert_int_equal(size, local_size);
			assert_memory_equal(got, value, size);
		}
		break;
	}
}

static void
stat_same(struct model *m, const char *path, int follow)
{
	struct stat a, b;
	int rc;

	rc = dfs_sys_stat(m->sys, path, follow ? 0 : O_NOFOLLOW, &a);
	same(m, follow ? "stat" : "lstat", path, rc,
	     follow ? stat(local(m, path), &b) : lstat(local(m, path), &b));
	if (rc != 0)
		return;
	if (a.st_mode != b.st_mode || (!S_ISDIR(a.st_mode) && a.st_size != b.st_size))
		fail_msg("seed %llu step %u: %s: mode %o size %lld, not %o %lld",
			 (unsigned long long)m->conf->seed, m->step, path, a.st_mode,
			 (long long)a.st_size, b.st_mode, (long long)b.st_size);
}

static void
do_stat(struct model *m)
{
	char path[PATH_BYTES];

	pick(m, path);
	stat_same(m, path, (int)rnd(m, 2));
}

/* --- the whole tree --- */

static int
by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void
content_same(struct model *m, const char *path, off_t size)
{
	uint8_t *a = malloc(size + 1), *b = malloc(size + 1);
	daos_size_t n = size + 1;
	dfs_obj_t *obj;
	int fd;

	assert_int_equal(dfs_sys_open(m->sys, path, S_IFREG, O_RDONLY, 0, 0, NULL, &obj), 0);
	assert_int_equal(dfs_sys_read(m->sys, obj, a, 0, &n, NULL), 0);
	assert_int_equal(dfs_sys_close(obj), 0);
	fd = open(local(m, path), O_RDONLY);
	assert_int_equal(read(fd, b, size + 1), size);
	close(fd);
	assert_int_equal(n, size);
	if (memcmp(a, b, size) != 0)
		fail_msg("seed %llu step %u: the contents of %s differ",
			 (unsigned long long)m->conf->seed, m->step, path);
	free(a);
	free(b);
}

static void
tree_same(struct model *m, const char *dir)
{
	char(*ours)[NAME_MAX + 1] = malloc(NAMES_MAX * sizeof(*ours));
	char(*theirs)[NAME_MAX + 1] = malloc(NAMES_MAX * sizeof(*theirs));
	char path[PATH_BYTES], buf[PATH_BYTES], target[PATH_BYTES];
	uint32_t nr = 0, local_nr = 0, i;
	struct dirent *e;
	daos_size_t size;
	struct stat st;
	DIR *d;

	assert_int_equal(dfs_sys_opendir(m->sys, dir, 0, &d), 0);
	while (dfs_sys_readdir(m->sys, d, &e) == 0 && e != NULL)
		strcpy(ours[nr++], e->d_name);
	assert_int_equal(dfs_sys_closedir(d), 0);
	d = opendir(local(m, dir));
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			strcpy(theirs[local_nr++], e->d_name);
	closedir(d);
	qsort(ours, nr, sizeof(*ours), by_name);
	qsort(theirs, nr, sizeof(*theirs), by_name);
	for (i = 0; i < nr || i < local_nr; i++) {
		const char *a = i < nr ? ours[i] : "nothing";
		const char *b = i < local_nr ? theirs[i] : "nothing";

		if (strcmp(a, b) != 0)
			fail_msg("seed %llu step %u: %s lists %s, not %s (%u names, not %u)",
				 (unsigned long long)m->conf->seed, m->step, dir, a, b, nr,
				 local_nr);
		snprintf(path, sizeof(path), "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, ours[i]);
		stat_same(m, path, 0);
		assert_int_equal(lstat(local(m, path), &st), 0);
		if (S_ISDIR(st.st_mode))
			tree_same(m, path);
		else if (S_ISREG(st.st_mode))
			content_same(m, path, st.st_size);
		else if (S_ISLNK(st.st_mode)) {
			size = sizeof(buf);
			assert_int_equal(dfs_sys_readlink(m->sys, path, buf, &size), 0);
			memset(target, 0, sizeof(target));
			assert_true(readlink(local(m, path), target, sizeof(target) - 1) > 0);
			assert_string_equal(buf, target);
		}
	}
	free(ours);
	free(theirs);
}

void
dfs_model_run(dfs_t *dfs, const struct dfs_model_conf *conf)
{
	static void (*const calls[])(struct model *) = {
	    do_mkdir,  do_mkdir,    do_mkdir, do_symlink, do_write,  do_write,
	    do_write,  do_truncate, do_chmod, do_remove,  do_remove, do_rename,
	    do_rename, do_rename,   do_xattr, do_xattr,   do_stat,   do_stat,
	};
	struct model m = {.dfs = dfs, .conf = conf, .rnd = conf->seed * 0x9e3779b97f4a7c15ull + 1};
	mode_t mask = umask(0);
	daos_handle_t poh, coh;
	char cmd[128];
	char probe = 0;

	strcpy(m.top, "/tmp/dfs_model.XXXXXX");
	assert_non_null(mkdtemp(m.top));
	m.xattrs = setxattr(m.top, "user.probe", &probe, 1, 0) == 0;
	/* a path layer on the caller's handles, with or without its cache */
	assert_int_equal(dfs_pool_get(dfs, &poh), 0);
	assert_int_equal(dfs_cont_get(dfs, &coh), 0);
	assert_int_equal(dfs_sys_mount(poh, coh, O_RDWR, (int)rnd(&m, 2), &m.sys), 0);
	assert_int_equal(dfs_sys2base(m.sys, &m.dfs), 0);
	assert_int_equal(dfs_sys_mkdir(m.sys, ROOT, 0755, 0), 0);
	assert_int_equal(mkdir(local(&m, ROOT), 0755), 0);
	for (m.step = 0; m.step < conf->steps; m.step++) {
		if (conf->disturb != NULL)
			conf->disturb(conf->arg, m.step);
		calls[rnd(&m, sizeof(calls) / sizeof(calls[0]))](&m);
		if (m.step % COMPARE_EVERY == COMPARE_EVERY - 1)
			tree_same(&m, ROOT);
	}
	tree_same(&m, ROOT);
	assert_int_equal(dfs_sys_umount(m.sys), 0);
	assert_int_equal(dfs_cont_put(dfs, coh), 0);
	assert_int_equal(dfs_pool_put(dfs, poh), 0);
	umask(mask);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", m.top);
	assert_int_equal(system(cmd), 0);
}
