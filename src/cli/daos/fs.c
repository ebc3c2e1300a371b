/* daos filesystem: attributes of files and directories in POSIX containers. */
#include <stdlib.h>
#include <string.h>

#include "cli/daos/daos_cmd.h"

struct fs_target {
	struct target t;
	dfs_t *dfs;
	char path[PATH_MAX]; /* inside the container, absolute */
};

static int
fs_path(struct cli *cli, struct fs_target *f)
{
	const char *path = cli_value(cli, "dfs-path");
	const char *prefix = cli_value(cli, "dfs-prefix");
	size_t n;

	if (cli_value(cli, "path") != NULL) {
		if (path != NULL || prefix != NULL)
			return cli_fail(cli, 0, "--path and --dfs-path cannot be combined");
		path = f->t.rel_path != NULL && f->t.rel_path[0] != '\0' ? f->t.rel_path : "/";
	}
	if (path == NULL)
		return cli_fail(cli, 0, "no path is given (--path or --dfs-path)");
	if (prefix != NULL) {
		n = strlen(prefix);
		while (n > 0 && prefix[n - 1] == '/')
			n--;
		if (strncmp(path, prefix, n) != 0 || (path[n] != '/' && path[n] != '\0'))
			return cli_fail(cli, 0,
					"--dfs-path \"%s\" does not begin with the prefix \"%s\"",
					path, prefix);
		path += n;
	}
	if (snprintf(f->path, sizeof(f->path), "%s%s", path[0] == '/' ? "" : "/", path) >=
	    (int)sizeof(f->path))
		return cli_fail_errno(cli, ENAMETOOLONG, "%s", path);
	for (n = strlen(f->path); n > 1 && f->path[n - 1] == '/'; n--)
		f->path[n - 1] = '\0';
	return 0;
}

static int
fs_open(struct cli *cli, struct fs_target *f, bool write)
{
	int rc;

	rc = target_cont(cli, &f->t);
	if (rc == 0)
		rc = fs_path(cli, f);
	if (rc == 0)
		rc = target_connect(cli, &f->t, write ? DAOS_PC_RW : DAOS_PC_RO, 0);
	if (rc == 0)
		rc = target_open(cli, &f->t, write ? DAOS_COO_RW : DAOS_COO_RO);
	if (rc != 0)
		return rc;
	rc = dfs_mount(f->t.poh, f->t.coh, write ? O_RDWR : O_RDONLY, &f->dfs);
	return rc == 0 ? 0 : cli_fail_errno(cli, rc, "failed to mount container %s", f->t.cont);
}

static void
fs_close(struct fs_target *f)
{
	if (f->dfs != NULL)
		dfs_umount(f->dfs);
	target_close(&f->t);
}

static json_t *
class_json(daos_oclass_id_t cid, char text[MAX_OBJ_CLASS_NAME_LEN])
{
	if (daos_oclass_id2name(cid, text) < 0)
		snprintf(text, MAX_OBJ_CLASS_NAME_LEN, "UNKNOWN");
	return json_string(text);
}

static int
run_get_attr(struct cli *cli)
{
	struct fs_target f = {0};
	dfs_obj_info_t info = {0};
	dfs_obj_t *obj = NULL;
	char oid[64], name[MAX_OBJ_CLASS_NAME_LEN];
	FILE *out = cli_out(cli);
	mode_t mode = 0;
	json_t *o, *d;
	int rc;

	rc = fs_open(cli, &f, false);
	if (rc != 0)
		goto out;
	rc = dfs_lookup(f.dfs, f.path, O_RDONLY | O_NOFOLLOW, &obj, &mode, NULL);
	if (rc == 0)
		rc = dfs_obj_get_info(f.dfs, obj, &info);
	if (rc != 0) {
		rc = cli_fail_errno(cli, rc, "failed to get attributes of %s", f.path);
		goto out;
	}
	snprintf(oid, sizeof(oid), "%llu.%llu", (unsigned long long)info.doi_oid.hi,
		 (unsigned long long)info.doi_oid.lo);
	o = json_pack("{s:{s:s,s:o}}", "object", "oid", oid, "oclass",
		      class_json(info.doi_oclass_id, name));
	fprintf(out, "OID = %s\nObject Class = %s\n", oid, name);
	if (S_ISDIR(mode)) {
		d = json_object();
		json_object_set_new(d, "dir_oclass", class_json(info.doi_dir_oclass_id, name));
		fprintf(out, "Directory Creation Object Class = %s\n", name);
		json_object_set_new(d, "file_oclass", class_json(info.doi_file_oclass_id, name));
		fprintf(out, "File Creation Object Class = %s\n", name);
		json_object_set_new(d, "chunk_size", json_integer(info.doi_chunk_size));
		fprintf(out, "File Creation Chunk Size = %llu\n",
			(unsigned long long)info.doi_chunk_size);
		json_object_set_new(o, "directory", d);
	} else {
		json_object_set_new(json_object_get(o, "object"), "chunk_size",
				    json_integer(info.doi_chunk_size));
		fprintf(out, "Object Chunk Size = %llu\n", (unsigned long long)info.doi_chunk_size);
	}
	cli_respond(cli, o);
out:
	if (obj != NULL)
		dfs_release(obj);
	fs_close(&f);
	return rc;
}

/* A path that does not exist becomes a file of that class and chunk size. */
static int
create_file(struct cli *cli, struct fs_target *f, daos_oclass_id_t cid, uint64_t chunk)
{
	char dir[PATH_MAX];
	char *slash;
	dfs_obj_t *parent = NULL, *obj = NULL;
	const char *name;
	int rc;

	snprintf(dir, sizeof(dir), "%s", f->path);
	slash = strrchr(dir, '/');
	name = f->path + (slash - dir) + 1;
	*slash = '\0';
	rc = dfs_lookup(f->dfs, dir[0] == '\0' ? "/" : dir, O_RDWR, &parent, NULL, NULL);
	if (rc == 0)
		rc = dfs_open(f->dfs, parent, name, S_IFREG | 0644, O_CREAT | O_EXCL | O_RDWR, cid,
			      chunk, NULL, &obj);
	if (obj != NULL)
		dfs_release(obj);
	if (parent != NULL)
		dfs_release(parent);
	return rc == 0 ? 0 : cli_fail_errno(cli, rc, "failed to create %s", f->path);
}

static int
run_set_attr(struct cli *cli)
{
	struct fs_target f = {0};
	daos_oclass_id_t cid;
	dfs_obj_t *obj = NULL;
	uint64_t chunk;
	mode_t mode = 0;
	int rc;

	if ((rc = oclass_value(cli, "oclass", &cid)) != 0 ||
	    (rc = size_value(cli, "chunk-size", &chunk)) != 0)
		return rc;
	if (cid == OC_UNKNOWN && chunk == 0)
		return cli_fail(cli, 0, "nothing to set: give --oclass, --chunk-size or both");
	rc = fs_open(cli, &f, true);
	if (rc != 0)
		goto out;
	rc = dfs_lookup(f.dfs, f.path, O_RDWR, &obj, &mode, NULL);
	if (rc == ENOENT) {
		rc = create_file(cli, &f, cid, chunk);
		goto out;
	}
	if (rc == 0 && !S_ISDIR(mode))
		rc = EINVAL;
	if (rc == 0 && cid != OC_UNKNOWN)
		rc = dfs_obj_set_oclass(f.dfs, obj, 0, cid);
	if (rc == 0 && chunk != 0)
		rc = dfs_obj_set_chunk_size(f.dfs, obj, 0, chunk);
	if (rc != 0)
		rc = cli_fail_errno(
		    cli, rc, "failed to set attributes of %s%s", f.path,
		    mode != 0 && !S_ISDIR(mode) ? " (only directories can be changed)" : "");
out:
	if (obj != NULL)
		dfs_release(obj);
	fs_close(&f);
	return rc;
}

#define FS_OPTS                                                                                    \
	{"path", 'p', "PATH", "path in a mounted container", false},                               \
	    {"dfs-path", 'H', "PATH", "path inside the container", false},                         \
	{                                                                                          \
		"dfs-prefix", 'I', "PREFIX", "what to take off --dfs-path", false                  \
	}

static const struct cli_opt get_opts[] = {FS_OPTS, {0}};
static const struct cli_opt set_opts[] = {
    FS_OPTS,
    {"oclass", 'o', "CLASS", "object class of what is created there later", false},
    {"chunk-size", 'z', "SIZE", "chunk size of files created there later", false},
    {0},
};
const struct cli_cmd daos_fs_cmds[] = {
    {"get-attr", NULL, "object class and chunk size of a path", "[<pool> <container>]", get_opts,
     NULL, run_get_attr, 0, 2},
    {"set-attr", NULL, "change the defaults of a directory, or create a file",
     "[<pool> <container>]", set_opts, NULL, run_set_attr, 0, 2},
    {0},
};
