/*
 * The unified namespace: from paths to containers (see <daos_uns.h>).
 *
 * The direct form "daos://pool/container/path" is only taken apart. Any other path is made real as
 * far as it exists, and its components are asked from the last one upwards for the attribute
 * "user.daos" that names a container; a mount of ours answers it on its root.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include <daos.h>
#include <daos_fs.h>
#include <daos_uns.h>
#include <daos/common.h>

#define DIRECT_PREFIX    "daos://"
#define FUSE_SUPER_MAGIC 0x65735546ul

static const struct {
	const char *name;
	daos_cont_layout_t type;
} layouts[] = {
    {"UNKNOWN", DAOS_PROP_CO_LAYOUT_UNKNOWN}, {"POSIX", DAOS_PROP_CO_LAYOUT_POSIX},
    {"HDF5", DAOS_PROP_CO_LAYOUT_HDF5},       {"PYTHON", DAOS_PROP_CO_LAYOUT_PYTHON},
    {"SPARK", DAOS_PROP_CO_LAYOUT_SPARK},     {"DATABASE", DAOS_PROP_CO_LAYOUT_DATABASE},
    {"ROOT", DAOS_PROP_CO_LAYOUT_ROOT},       {"SEISMIC", DAOS_PROP_CO_LAYOUT_SEISMIC},
    {"METEO", DAOS_PROP_CO_LAYOUT_METEO},
};
enum { LAYOUT_NR = sizeof(layouts) / sizeof(layouts[0]) };

static const char *
layout_name(daos_cont_layout_t type)
{
	size_t i;

	for (i = 0; i < LAYOUT_NR; i++)
		if (layouts[i].type == type)
			return layouts[i].name;
	return NULL;
}

/* --- the direct form
 * -------------------------------------------------------------------------------------- */

/* One component of at most a label's length; moves *p behind it. */
static int
component(const char **p, char out[DAOS_PROP_LABEL_MAX_LEN + 1])
{
	size_t len;

	*p += strspn(*p, "/");
	len = strcspn(*p, "/");
	if (len == 0 || len > DAOS_PROP_LABEL_MAX_LEN)
		return EINVAL;
	memcpy(out, *p, len);
	out[len] = '\0';
	*p += len;
	return 0;
}

static void
old_uuids(struct duns_attr_t *attr)
{
	uuid_clear(attr->da_puuid);
	uuid_clear(attr->da_cuuid);
	if (uuid_parse(attr->da_pool, attr->da_puuid) != 0)
		uuid_clear(attr->da_puuid);
	if (uuid_parse(attr->da_cont, attr->da_cuuid) != 0)
		uuid_clear(attr->da_cuuid);
}

/* What is left of a path; nothing but slashes is nothing. */
static int
rel_path_set(struct duns_attr_t *attr, const char *rest)
{
	if (rest[strspn(rest, "/")] == '\0')
		return 0;
	attr->da_rel_path = strdup(rest);
	return attr->da_rel_path == NULL ? ENOMEM : 0;
}

static int
resolve_direct(const char *p, struct duns_attr_t *attr)
{
	int rc;

	rc = component(&p, attr->da_pool);
	if (rc == 0)
		rc = component(&p, attr->da_cont);
	if (rc != 0)
		return rc;
	old_uuids(attr);
	return rel_path_set(attr, p);
}

/* --- the attribute
 * ------------------------------------------------------------------------------------------- */

int
duns_parse_attr(char *str, daos_size_t len, struct duns_attr_t *attr)
{
	char text[DUNS_MAX_XATTR_LEN + 1];
	char type[16], pool[37], cont[37];
	uuid_t uuid;
	int end = 0;
	size_t i;

	if (str == NULL || attr == NULL || len == 0 || len > DUNS_MAX_XATTR_LEN)
		return EINVAL;
	memcpy(text, str, len);
	text[len] = '\0';
	if (sscanf(text, "DAOS.%15[^:]://%36[^/]/%36s%n", type, pool, cont, &end) != 3 ||
	    text[end] != '\0' || uuid_parse(pool, uuid) != 0 || uuid_parse(cont, uuid) != 0)
		return EINVAL;
	for (i = 0; i < LAYOUT_NR && strcasecmp(layouts[i].name, type) != 0; i++)
		;
	if (i == LAYOUT_NR)
		return EINVAL;
	attr->da_type = layouts[i].type;
	snprintf(attr->da_pool, sizeof(attr->da_pool), "%s", pool);
	snprintf(attr->da_cont, sizeof(attr->da_cont), "%s", cont);
	old_uuids(attr);
	return 0;
}

static int
attr_read(const char *path, struct duns_attr_t *attr)
{
	char text[DUNS_MAX_XATTR_LEN];
	ssize_t n = lgetxattr(path, DUNS_XATTR_NAME, text, sizeof(text));

	if (n < 0)
		return errno == ENOTSUP ? ENODATA : errno == ERANGE ? EINVAL : errno;
	return duns_parse_attr(text, n, attr);
}

/* --- resolve
 * --------------------------------------------------------------------------------------------------
 */

/*
 * The real path of what exists of path, and what does not exist of it (the file a program is about
 * to create), joined: the caller frees it.
 */
static int
real_path(const char *path, char **ret)
{
	char head[PATH_MAX];
	char real[PATH_MAX];
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(head))
		return len == 0 ? EINVAL : ENAMETOOLONG;
	memcpy(head, path, len + 1);
	for (;;) {
		if (realpath(len == 0 ? (path[0] == '/' ? "/" : ".") : head, real) != NULL)
			break;
		if (errno != ENOENT || len == 0)
			return errno;
		while (len > 0 && head[len - 1] == '/')
			len--;
		while (len > 0 && head[len - 1] != '/')
			len--;
		head[len] = '\0';
	}
	if (asprintf(ret, "%s%s%s", strcmp(real, "/") == 0 ? "" : real,
		     path[len] == '\0' ? "" : "/", path + len + strspn(path + len, "/")) < 0)
		return ENOMEM;
	if ((*ret)[0] == '\0') {
		free(*ret);
		*ret = strdup("/");
	}
	return *ret == NULL ? ENOMEM : 0;
}

static int
resolve_walk(const char *path, struct duns_attr_t *attr, bool upwards)
{
	char *real = NULL;
	size_t len, whole;
	int rc;

	rc = real_path(path, &real);
	if (rc != 0)
		return rc;
	whole = strlen(real);
	for (len = whole;;) {
		char c = real[len];

		real[len] = '\0';
		rc = attr_read(len == 0 ? "/" : real, attr);
		real[len] = c;
		if (rc == 0 || (rc != ENODATA && rc != ENOENT && rc != ENOTDIR) || !upwards ||
		    len == 0)
			break;
		while (len > 0 && real[len - 1] != '/')
			len--;
		if (len > 0)
			len--;
	}
	if (rc == 0 && len < whole)
		rc = rel_path_set(attr, real + len);
	free(real);
	return rc;
}

int
duns_resolve_path(const char *path, struct duns_attr_t *attr)
{
	const char *env;
	uint32_t flags;

	if (path == NULL || attr == NULL || path[0] == '\0')
		return EINVAL;
	flags = attr->da_flags | (attr->da_no_prefix ? DUNS_NO_PREFIX : 0);
	attr->da_rel_path = NULL;
	if (strncmp(path, DIRECT_PREFIX, sizeof(DIRECT_PREFIX) - 1) == 0)
		return resolve_direct(path + sizeof(DIRECT_PREFIX) - 1, attr);
	if ((flags & DUNS_NO_PREFIX) != 0)
		return resolve_direct(path, attr);
	if ((flags & DUNS_NO_CHECK_PATH) != 0)
		return EINVAL;
	env = getenv("DAOS_UNS_PREFIX");
	if (env != NULL && env[0] != '\0') {
		const char *rest = path + strlen(env);

		if (strncmp(path, env, strlen(env)) == 0 &&
		    (*rest == '/' || *rest == '\0' || rest[-1] == '/') && attr_read(env, attr) == 0)
			return rel_path_set(attr, rest);
	}
	return resolve_walk(path, attr, (flags & DUNS_NO_REVERSE_LOOKUP) == 0);
}

void
duns_destroy_attr(struct duns_attr_t *attrp)
{
	if (attrp == NULL)
		return;
	free(attrp->da_rel_path);
	free(attrp->da_sys);
	attrp->da_rel_path = NULL;
	attrp->da_sys = NULL;
}

int
duns_set_sys_name(struct duns_attr_t *attrp, const char *sys)
{
	char *copy;

	if (attrp == NULL)
		return EINVAL;
	if (sys != NULL && strlen(sys) > DAOS_SYS_NAME_MAX)
		return EINVAL;
	copy = sys == NULL ? NULL : strdup(sys);
	if (sys != NULL && copy == NULL)
		return ENOMEM;
	free(attrp->da_sys);
	attrp->da_sys = copy;
	return 0;
}

/* --- create, link, destroy
 * ------------------------------------------------------------------------------------- */

static int
pool_uuid(daos_handle_t poh, char text[37])
{
	daos_pool_info_t info = {0};
	int rc = daos_pool_query(poh, NULL, &info, NULL, NULL);

	if (rc != 0)
		return daos_der2errno(rc);
	uuid_unparse_lower(info.pi_uuid, text);
	return 0;
}

/* A directory for POSIX containers, a file for others, with the attribute. */
static int
path_make(const char *path, daos_cont_layout_t type, const char *pool, const char *cont)
{
	char text[DUNS_MAX_XATTR_LEN + 1];
	bool dir = type == DAOS_PROP_CO_LAYOUT_POSIX;
	int len, fd, rc;

	len = snprintf(text, sizeof(text), DUNS_XATTR_FMT, layout_name(type), pool, cont);
	if (dir) {
		if (mkdir(path, 0700) != 0)
			return errno;
	} else {
		fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
		if (fd < 0)
			return errno;
		close(fd);
	}
	if (lsetxattr(path, DUNS_XATTR_NAME, text, len, 0) == 0)
		return 0;
	rc = errno;
	if (dir)
		rmdir(path);
	else
		unlink(path);
	return rc;
}

static int
cont_make(daos_handle_t poh, struct duns_attr_t *attrp, uuid_t uuid)
{
	const char *label = attrp->da_cont[0] != '\0' ? attrp->da_cont : NULL;
	daos_prop_t *own, *prop;
	int rc;

	if (attrp->da_type == DAOS_PROP_CO_LAYOUT_POSIX) {
		dfs_attr_t attr = {.da_chunk_size = attrp->da_chunk_size,
				   .da_oclass_id = attrp->da_oclass_id,
				   .da_dir_oclass_id = attrp->da_dir_oclass_id,
				   .da_file_oclass_id = attrp->da_file_oclass_id,
				   .da_props = attrp->da_props};

		memcpy(attr.da_hints, attrp->da_hints, sizeof(attr.da_hints));
		return label != NULL ? dfs_cont_create_with_label(poh, label, &attr, (uuid_t *)uuid,
								  NULL, NULL)
				     : dfs_cont_create(poh, (uuid_t *)uuid, &attr, NULL, NULL);
	}
	own = daos_prop_alloc(1);
	if (own == NULL)
		return ENOMEM;
	own->dpp_entries[0].dpe_type = DAOS_PROP_CO_LAYOUT_TYPE;
	own->dpp_entries[0].dpe_val = attrp->da_type;
	prop = attrp->da_props == NULL ? own : daos_prop_merge(attrp->da_props, own);
	rc = prop == NULL    ? -DER_NOMEM
	     : label != NULL ? daos_cont_create_with_label(poh, label, prop, (uuid_t *)uuid, NULL)
			     : daos_cont_create(poh, (uuid_t *)uuid, prop, NULL);
	if (prop != own)
		daos_prop_free(prop);
	daos_prop_free(own);
	return daos_der2errno(rc);
}

int
duns_create_path(daos_handle_t poh, const char *path, struct duns_attr_t *attrp)
{
	char pool[37], cont[37];
	uuid_t uuid;
	int rc;

	if (path == NULL || attrp == NULL || layout_name(attrp->da_type) == NULL)
		return EINVAL;
	if (access(path, F_OK) == 0)
		return EEXIST;
	rc = pool_uuid(poh, pool);
	if (rc == 0)
		rc = cont_make(poh, attrp, uuid);
	if (rc != 0)
		return rc;
	uuid_unparse_lower(uuid, cont);
	rc = path_make(path, attrp->da_type, pool, cont);
	if (rc != 0) {
		daos_cont_destroy(poh, cont, 1, NULL);
		return rc;
	}
	snprintf(attrp->da_pool, sizeof(attrp->da_pool), "%s", pool);
	snprintf(attrp->da_cont, sizeof(attrp->da_cont), "%s", cont);
	old_uuids(attrp);
	return 0;
}

int
duns_link_cont(daos_handle_t poh, const char *cont, const char *path)
{
	daos_cont_info_t info;
	daos_prop_t *prop;
	daos_handle_t coh;
	char pool[37], text[37];
	daos_cont_layout_t type = DAOS_PROP_CO_LAYOUT_UNKNOWN;
	int rc;

	if (cont == NULL || path == NULL)
		return EINVAL;
	rc = daos_der2errno(daos_cont_open(poh, cont, DAOS_COO_RO, &coh, &info, NULL));
	if (rc != 0)
		return rc;
	prop = daos_prop_alloc(1);
	if (prop == NULL) {
		rc = ENOMEM;
	} else {
		prop->dpp_entries[0].dpe_type = DAOS_PROP_CO_LAYOUT_TYPE;
		rc = daos_der2errno(daos_cont_query(coh, NULL, prop, NULL));
		type = prop->dpp_entries[0].dpe_val;
		daos_prop_free(prop);
	}
	daos_cont_close(coh, NULL);
	if (rc == 0)
		rc = pool_uuid(poh, pool);
	if (rc != 0)
		return rc;
	uuid_unparse_lower(info.ci_uuid, text);
	return path_make(path, type, pool, text);
}

/*
 * A directory with something in it could not be removed after its container was. In a mount of ours
 * what one sees in it may be the container's own content, which goes with it.
 */
static int
path_is_removable(const char *path)
{
	struct statfs fs;
	struct dirent *e;
	int nr = 0;
	DIR *d;

	if (statfs(path, &fs) != 0)
		return errno;
	if ((unsigned long)fs.f_type == FUSE_SUPER_MAGIC)
		return 0;
	d = opendir(path);
	if (d == NULL)
		return errno;
	while ((e = readdir(d)) != NULL)
		nr += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	return nr == 0 ? 0 : ENOTEMPTY;
}

int
duns_destroy_path(daos_handle_t poh, const char *path)
{
	struct duns_attr_t attr = {.da_flags = DUNS_NO_REVERSE_LOOKUP};
	int rc;

	if (path == NULL || strncmp(path, DIRECT_PREFIX, sizeof(DIRECT_PREFIX) - 1) == 0)
		return EINVAL; /* there is no path that could be removed */
	rc = duns_resolve_path(path, &attr);
	if (rc == 0 && attr.da_type == DAOS_PROP_CO_LAYOUT_POSIX)
		rc = path_is_removable(path);
	if (rc != 0) {
		duns_destroy_attr(&attr);
		return rc;
	}
	rc = daos_der2errno(daos_cont_destroy(poh, attr.da_cont, 1, NULL));
	/* a path whose container is gone already is only a leftover */
	if (rc == 0 || rc == ENOENT)
		rc = (attr.da_type == DAOS_PROP_CO_LAYOUT_POSIX ? rmdir(path) : unlink(path)) == 0
			 ? 0
			 : errno;
	duns_destroy_attr(&attr);
	return rc;
}
