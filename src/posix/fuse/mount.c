/* Connecting, mounting and serving. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include <gurt/common.h>

#include "posix/fuse/dfuse.h"

/* --- cache times, which a container may set by its attributes
 * --------------------------------------------------- */

static const struct {
	const char *name;
	size_t off;
} cache_attrs[] = {
    {"dfuse-attr-time", offsetof(struct dfuse_cache, attr)},
    {"dfuse-dentry-time", offsetof(struct dfuse_cache, dentry)},
    {"dfuse-dentry-dir-time", offsetof(struct dfuse_cache, dentry_dir)},
    {"dfuse-ndentry-time", offsetof(struct dfuse_cache, negative)},
    {"dfuse-data-cache", offsetof(struct dfuse_cache, data)},
};
enum { CACHE_ATTR_NR = sizeof(cache_attrs) / sizeof(cache_attrs[0]) };

/* "30", "5m", "2h", "1d"; for data also "on", "off", "true", "false". Negative: not a time. */
static double
time_parse(const char *text, bool is_data)
{
	static const struct {
		char unit;
		double seconds;
	} units[] = {{'\0', 1}, {'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	char *end;
	double v;
	size_t i;

	if (is_data && (strcasecmp(text, "on") == 0 || strcasecmp(text, "true") == 0))
		return 600;
	if (is_data && (strcasecmp(text, "off") == 0 || strcasecmp(text, "false") == 0))
		return 0;
	v = strtod(text, &end);
	if (end == text || v < 0)
		return -1;
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (*end == units[i].unit && (*end == '\0' || end[1] == '\0'))
			return v * units[i].seconds;
	return -1;
}

/* One attribute of the container as text; false if it has none. */
static bool
attr_text(daos_handle_t coh, const char *name, char *buf, size_t len)
{
	void *bufs[1] = {buf};
	size_t sizes[1] = {len - 1};

	if (daos_cont_get_attr(coh, 1, &name, bufs, sizes, NULL) != 0 || sizes[0] >= len)
		return false;
	buf[sizes[0]] = '\0';
	return true;
}

static int
cache_times(struct dfuse *d, char *err, size_t err_len)
{
	static const struct dfuse_cache standard = {
	    .attr = 1, .dentry = 1, .dentry_dir = 5, .negative = 5, .data = 600};
	struct dfuse_cache own = {0};
	bool any = false;
	size_t i;

	d->cache = standard;
	if (d->conf.disable_caching) {
		memset(&d->cache, 0, sizeof(d->cache));
		return 0;
	}
	for (i = 0; i < CACHE_ATTR_NR; i++) {
		bool is_data = cache_attrs[i].off == offsetof(struct dfuse_cache, data);
		char text[64];
		double v;

		if (!attr_text(d->coh, cache_attrs[i].name, text, sizeof(text)))
			continue;
		v = time_parse(text, is_data);
		if (v < 0) {
			snprintf(err, err_len, "container attribute %s: '%s' is not a time",
				 cache_attrs[i].name, text);
			return EINVAL;
		}
		*(double *)((char *)&own + cache_attrs[i].off) = v;
		any = true;
	}
	/* a container that sets one of them sets all: what it does not name is off */
	if (any)
		d->cache = own;
	return 0;
}

/* --- connecting
 * -----------------------------------------------------------------------------------------------------
 */

static int
fail_der(char *err, size_t len, const char *what, const char *name, int rc)
{
	snprintf(err, len, "%s %s: %s(%d): %s", what, name, d_errstr(rc), rc, d_errdesc(rc));
	return rc;
}

static int
connect_all(struct dfuse *d, char *err, size_t err_len)
{
	daos_cont_info_t cont_info;
	daos_pool_info_t pool_info = {0};
	dfs_obj_t *obj = NULL;
	struct stat st;
	char pool[37], cont[37];
	int rc;

	rc = daos_init();
	if (rc != 0)
		return fail_der(err, err_len, "cannot start", "the client library", rc);
	rc = daos_pool_connect(d->conf.pool, d->conf.sys,
			       d->conf.read_only ? DAOS_PC_RO : DAOS_PC_RW, &d->poh, &pool_info,
			       NULL);
	if (rc != 0)
		return fail_der(err, err_len, "cannot connect to pool", d->conf.pool, rc);
	rc = daos_cont_open(d->poh, d->conf.cont, d->conf.read_only ? DAOS_COO_RO : DAOS_COO_RW,
			    &d->coh, &cont_info, NULL);
	if (rc != 0)
		return fail_der(err, err_len, "cannot open container", d->conf.cont, rc);
	rc = dfs_mount(d->poh, d->coh, d->conf.read_only ? O_RDONLY : O_RDWR, &d->dfs);
	if (rc != 0) {
		snprintf(err, err_len, "cannot mount container %s: %s", d->conf.cont,
			 rc == EINVAL ? "it is not of type POSIX" : strerror(rc));
		return rc;
	}
	uuid_unparse_lower(pool_info.pi_uuid, pool);
	uuid_unparse_lower(cont_info.ci_uuid, cont);
	snprintf(d->uns_attr, sizeof(d->uns_attr), DUNS_XATTR_FMT, "POSIX", pool, cont);
	rc = cache_times(d, err, err_len);
	if (rc != 0)
		return rc;
	rc = node_table_init(d);
	if (rc == 0)
		rc = dfs_lookup(d->dfs, "/", d->dfs->amode, &obj, NULL, &st);
	if (rc == 0)
		rc = node_get(d, obj, &st, &d->root);
	if (rc != 0)
		snprintf(err, err_len, "cannot open the root directory: %s", strerror(rc));
	return rc;
}

static void
disconnect_all(struct dfuse *d)
{
	node_table_fini(d);
	if (d->dfs != NULL)
		dfs_umount(d->dfs);
	if (daos_handle_is_valid(d->coh))
		daos_cont_close(d->coh, NULL);
	if (daos_handle_is_valid(d->poh))
		daos_pool_disconnect(d->poh, NULL);
	daos_fini();
}

/* --- session
 * ----------------------------------------------------------------------------------------------------------
 */

static void
op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct dfuse *d = userdata;

	conn->max_write = DFUSE_MAX_IO;
	conn->max_read = DFUSE_MAX_IO;
	conn->max_readahead = DFUSE_MAX_IO;
	conn->max_background = 64;
	/* not splice: one more copy is cheaper than pipes; suid bits are dropped here, which spares
	 * the kernel a question per write */
	conn->want &=
	    ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	conn->want |=
	    conn->capable & (FUSE_CAP_HANDLE_KILLPRIV | FUSE_CAP_PARALLEL_DIROPS |
			     FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_ASYNC_DIO |
			     FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_ATOMIC_O_TRUNC);
	if (d->conf.wb_cache && d->cache.data > 0)
		conn->want |= conn->capable & FUSE_CAP_WRITEBACK_CACHE;
	if (d->ready_fd >= 0) {
		if (write(d->ready_fd, "R", 1) != 1)
			fprintf(stderr, "dfuse: nobody waits for the mount any more\n");
		close(d->ready_fd);
		d->ready_fd = -1;
	}
}

const struct fuse_lowlevel_ops dfuse_ops = {
    .init = op_init,
    .lookup = op_lookup,
    .forget = op_forget,
    .forget_multi = op_forget_multi,
    .getattr = op_getattr,
    .setattr = op_setattr,
    .readlink = op_readlink,
    .mknod = op_mknod,
    .mkdir = op_mkdir,
    .symlink = op_symlink,
    .unlink = op_unlink,
    .rmdir = op_rmdir,
    .rename = op_rename,
    .create = op_create,
    .open = op_open,
    .release = op_release,
    .read = op_read,
    .write_buf = op_write_buf,
    .fallocate = op_fallocate,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .readdirplus = op_readdirplus,
    .releasedir = op_releasedir,
    .statfs = op_statfs,
    .setxattr = op_setxattr,
    .getxattr = op_getxattr,
    .listxattr = op_listxattr,
    .removexattr = op_removexattr,
};

static int
session_open(struct dfuse *d, char *err, size_t err_len)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	char opts[256];
	int rc = 0;

	snprintf(opts, sizeof(opts),
		 "-ofsname=dfuse,subtype=daos,default_permissions,noatime,max_read=%d%s%s",
		 DFUSE_MAX_IO, d->conf.read_only ? ",ro" : "",
		 d->conf.multi_user ? ",allow_other" : "");
	fuse_opt_add_arg(&args, "dfuse");
	fuse_opt_add_arg(&args, opts);
	d->session = fuse_session_new(&args, &dfuse_ops, sizeof(dfuse_ops), d);
	fuse_opt_free_args(&args);
	if (d->session == NULL || fuse_set_signal_handlers(d->session) != 0) {
		snprintf(err, err_len, "cannot set up the FUSE session");
		return EIO;
	}
	if (fuse_session_mount(d->session, d->conf.mountpoint) != 0) {
		snprintf(err, err_len, "cannot mount %s (is /dev/fuse usable by you?)",
			 d->conf.mountpoint);
		rc = EIO;
	}
	return rc;
}

static int
session_serve(struct dfuse *d)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int rc;

	fuse_loop_cfg_set_max_threads(config, d->conf.thread_nr);
	/* threads are clients with connections: they are kept */
	fuse_loop_cfg_set_idle_threads(config, d->conf.thread_nr);
	fuse_loop_cfg_set_clone_fd(config, 0);
	rc = fuse_session_loop_mt(d->session, config);
	fuse_loop_cfg_destroy(config);
	return rc > 0 ? 0 : rc;
}

int
dfuse_run(const struct dfuse_conf *conf, int ready_fd, char *err, size_t err_len)
{
	struct dfuse *d = calloc(1, sizeof(*d));
	int rc;

	if (d == NULL)
		return ENOMEM;
	d->conf = *conf;
	d->ready_fd = ready_fd;
	rc = connect_all(d, err, err_len);
	if (rc == 0)
		rc = session_open(d, err, err_len);
	if (rc == 0) {
		rc = session_serve(d);
		if (rc != 0)
			snprintf(err, err_len, "serving %s ended: %s", conf->mountpoint,
				 strerror(-rc));
		fuse_session_unmount(d->session);
	}
	if (d->session != NULL) {
		fuse_remove_signal_handlers(d->session);
		fuse_session_destroy(d->session);
	}
	disconnect_all(d);
	free(d);
	return rc;
}
