/*
 * vos_dump: looking inside the files of an engine that does not run.
 *
 * The directories are opened for looking only (dev_dir_open_files_ro), and an overlay lies over
 * them: whatever recovery writes stays in memory. The pool is then opened read-only as well, so the
 * log is replayed in memory and nothing is reclaimed. What is said of findings comes from the log
 * messages of the store.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <daos_errno.h>

#include "base/err.h"
#include "base/log.h"
#include "server/vos_dump/dump.h"

/* --- targets of a directory ------------------------------------------------------------------ */

static int
note_target(const char *name, uint64_t size, void *arg)
{
	static const char suffix[] = ".heap";
	struct dump *d = arg;
	size_t len = strlen(name), base = len - (sizeof(suffix) - 1);
	struct target_name t = {0}, *more;
	char uuid[CONT_TEXT], *end;

	if (len <= sizeof(suffix) || strcmp(name + base, suffix) != 0 || base >= sizeof(t.name))
		return 0;
	memcpy(t.name, name, base);
	if (base < CONT_TEXT + 1 || name[CONT_TEXT - 1] != '.')
		return 0;
	memcpy(uuid, name, CONT_TEXT - 1);
	uuid[CONT_TEXT - 1] = '\0';
	t.idx = (uint32_t)strtoul(t.name + CONT_TEXT, &end, 10);
	if (uuid_parse(uuid, t.pool) != 0 || *end != '\0')
		return 0;
	t.named = d->sb != NULL && sb_pool_find(d->sb, t.pool) != NULL;
	more = realloc(d->targets, (d->target_nr + 1) * sizeof(*more));
	if (more == NULL)
		return -DER_NOMEM;
	d->targets = more;
	d->targets[d->target_nr++] = t;
	return 0;
}

struct find_name {
	const char *name;
	bool found;
};

static int
is_name(const char *name, uint64_t size, void *arg)
{
	struct find_name *f = arg;

	f->found = f->found || strcmp(name, f->name) == 0;
	return 0;
}

static int co_fn
load_superblock(struct dump *d)
{
	struct find_name f = {.name = SB_DEV_NAME};
	bool is_new = false;
	int rc;

	rc = d->dir->ops->list(d->dir, is_name, &f);
	if (rc != 0 || !f.found)
		return rc;
	d->sb_rc = sb_open(d->dir, d->xs, &d->sb, &is_new);
	if (d->sb_rc != 0)
		d->sb = NULL;
	return 0;
}

/* --- opening --------------------------------------------------------------------------------- */

static bool
is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Whether path has files of the second tier. */
static bool
has_data(const char *path)
{
	DIR *dir = opendir(path);
	bool found = false;
	struct dirent *de;

	while (dir != NULL && !found && (de = readdir(dir)) != NULL) {
		size_t len = strlen(de->d_name);

		found = len > 5 && strcmp(de->d_name + len - 5, ".data") == 0;
	}
	if (dir != NULL)
		closedir(dir);
	return found;
}

/* --nvme, or the neighbour called nvme when the directory itself has no such files. */
static int
find_nvme(struct dump *d)
{
	const char *given = cli_value(d->cli, "nvme");
	char *text;

	if (given != NULL) {
		d->nvme_path = strdup(given);
		return d->nvme_path == NULL ? -DER_NOMEM : 0;
	}
	if (has_data(d->path))
		return 0;
	if (asprintf(&text, "%s/../nvme", d->path) < 0)
		return -DER_NOMEM;
	if (is_dir(text) && has_data(text))
		d->nvme_path = text;
	else
		free(text);
	return 0;
}

static int
open_failed(struct dump *d, const char *path, int rc)
{
	if (rc == -DER_BUSY)
		return cli_fail(d->cli, rc,
				"%s: an engine has these files open; stop it first (or use "
				"--force-read to look at what may be changing)",
				path);
	return cli_fail_der(d->cli, rc, "%s", path);
}

static int
open_dirs(struct dump *d)
{
	bool force = cli_flag(d->cli, "force-read");
	struct dev_dir *lower;
	int rc;

	rc = dev_dir_open_files_ro(d->path, force, &d->scm);
	if (rc != 0)
		return open_failed(d, d->path, rc);
	rc = find_nvme(d);
	if (rc == 0 && d->nvme_path != NULL) {
		rc = dev_dir_open_files_ro(d->nvme_path, force, &d->nvme);
		if (rc != 0)
			return open_failed(d, d->nvme_path, rc);
		rc = dev_dir_tiers(d->scm, d->nvme, &d->tiers);
	}
	lower = d->tiers != NULL ? d->tiers : d->scm;
	if (rc == 0)
		rc = dev_dir_overlay(lower, &d->dir);
	return rc == 0 ? 0 : cli_fail_der(d->cli, rc, "%s", d->path);
}

static void
close_dirs(struct dump *d)
{
	dev_dir_close(d->dir);
	dev_dir_close(d->tiers);
	dev_dir_close(d->nvme);
	dev_dir_close(d->scm);
}

struct job {
	struct dump *d;
	int co_fn (*fn)(struct dump *d);
};

static int co_fn
run_job(void *arg)
{
	struct job *job = arg;
	struct dump *d = job->d;
	int rc;

	rc = load_superblock(d);
	if (rc == 0)
		rc = d->dir->ops->list(d->dir, note_target, d);
	if (rc != 0)
		rc = cli_fail_der(d->cli, rc, "%s", d->path);
	else
		rc = job->fn(d);
	sb_close(d->sb);
	return rc;
}

int
dump_run(struct cli *cli, int co_fn (*fn)(struct dump *d))
{
	struct dump d = {.cli = cli, .path = cli_arg(cli, 0)};
	struct job job = {.d = &d, .fn = fn};
	struct env env;
	int rc;

	env_init_real(&env);
	/* keys nest as deep as coroutines recurse: a larger stack than a request needs */
	rc = xs_create(
	    &(struct xs_conf){.name = "vos_dump", .env = &env, .cpu = -1, .stack_bytes = 1 << 20},
	    &d.xs);
	if (rc != 0)
		return cli_fail_der(cli, rc, "cannot start");
	rc = open_dirs(&d);
	if (rc == 0)
		rc = xs_call(d.xs, run_job, &job);
	close_dirs(&d);
	xs_destroy(d.xs);
	free(d.nvme_path);
	free(d.targets);
	return rc;
}

int
dump_target(struct dump *d, const struct target_name **ret_target)
{
	const char *want = cli_arg(d->cli, 1);
	const struct target_name *found = NULL;
	uint32_t i;

	for (i = 0; i < d->target_nr; i++) {
		const struct target_name *t = &d->targets[i];

		if (want != NULL && strncmp(t->name, want, strlen(want)) != 0)
			continue;
		if (want != NULL && strcmp(t->name, want) == 0) {
			*ret_target = t;
			return 0;
		}
		if (found != NULL)
			return cli_fail(d->cli, -DER_INVAL, "%s: '%s' is both %s and %s", d->path,
					want != NULL ? want : "", found->name, t->name);
		found = t;
	}
	if (found == NULL && want == NULL)
		return cli_fail(d->cli, -DER_NONEXIST, "%s: no target of a pool is here", d->path);
	if (found == NULL)
		return cli_fail(d->cli, -DER_NONEXIST, "%s: no target '%s'", d->path, want);
	*ret_target = found;
	return 0;
}

int co_fn
dump_pool_open(struct dump *d, const struct target_name *target, struct vos_pool **ret_pool)
{
	struct vos_pool_conf conf = {.name = target->name, .read_only = true};
	int rc;

	rc = vos_pool_open(d->dir, d->xs, &conf, ret_pool);
	return rc == 0 ? 0 : cli_fail_der(d->cli, rc, "%s: cannot open", target->name);
}
