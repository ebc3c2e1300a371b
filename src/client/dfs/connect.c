/*
 * dfs_connect(): pool, container and mount in one call. Connections to pools and containers are
 * kept by name and shared by the mounts that use them; the last one closes them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <daos/common.h>

#include "client/dfs/dfs_internal.h"

struct dfs_connection {
	struct dfs_connection *next;
	char pool[DAOS_PROP_LABEL_MAX_LEN + 1];
	char cont[DAOS_PROP_LABEL_MAX_LEN + 1];
	char sys[DAOS_SYS_NAME_MAX + 1];
	int amode;
	daos_handle_t poh, coh;
	uint32_t refs;
};

static struct {
	pthread_mutex_t lock;
	struct dfs_connection *first;
} connections = {PTHREAD_MUTEX_INITIALIZER, NULL};

static bool
same(const struct dfs_connection *c, const char *pool, const char *sys, const char *cont, int amode)
{
	return c->amode == amode && strcmp(c->pool, pool) == 0 && strcmp(c->cont, cont) == 0 &&
	       strcmp(c->sys, sys == NULL ? "" : sys) == 0;
}

static int
cont_open_or_create(struct dfs_connection *c, int flags, dfs_attr_t *attr)
{
	unsigned mode = c->amode == O_RDONLY ? DAOS_COO_RO : DAOS_COO_RW;
	int rc;

	rc = daos_cont_open(c->poh, c->cont, mode, &c->coh, NULL, NULL);
	if (rc != -DER_NONEXIST || (flags & O_CREAT) == 0)
		return daos_der2errno(rc);
	rc = dfs_cont_create_with_label(c->poh, c->cont, attr, NULL, NULL, NULL);
	if (rc != 0 && rc != EEXIST)
		return rc;
	return daos_der2errno(daos_cont_open(c->poh, c->cont, mode, &c->coh, NULL, NULL));
}

static int
connection_open(struct dfs_connection *c, const char *sys, int flags, dfs_attr_t *attr)
{
	unsigned mode = c->amode == O_RDONLY && (flags & O_CREAT) == 0 ? DAOS_PC_RO : DAOS_PC_RW;
	int rc;

	rc = daos_pool_connect(c->pool, sys, mode, &c->poh, NULL, NULL);
	if (rc != 0)
		return daos_der2errno(rc);
	rc = cont_open_or_create(c, flags, attr);
	if (rc != 0)
		daos_pool_disconnect(c->poh, NULL);
	return rc;
}

/* Called with the lock held: connecting twice to the same place at a time gives one connection. */
static int
connection_get_locked(const char *pool, const char *sys, const char *cont, int flags,
		      dfs_attr_t *attr, struct dfs_connection **ret)
{
	int amode = (flags & O_ACCMODE) == O_RDONLY ? O_RDONLY : O_RDWR;
	struct dfs_connection *c;
	int rc;

	for (c = connections.first; c != NULL; c = c->next) {
		if (same(c, pool, sys, cont, amode)) {
			c->refs++;
			*ret = c;
			return 0;
		}
	}
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return ENOMEM;
	snprintf(c->pool, sizeof(c->pool), "%s", pool);
	snprintf(c->cont, sizeof(c->cont), "%s", cont);
	snprintf(c->sys, sizeof(c->sys), "%s", sys == NULL ? "" : sys);
	c->amode = amode;
	c->refs = 1;
	rc = connection_open(c, sys, flags, attr);
	if (rc != 0) {
		free(c);
		return rc;
	}
	c->next = connections.first;
	connections.first = c;
	*ret = c;
	return 0;
}

static int
connection_put(struct dfs_connection *c)
{
	struct dfs_connection **p;
	int rc = 0, rc2;

	pthread_mutex_lock(&connections.lock);
	if (--c->refs == 0) {
		for (p = &connections.first; *p != c; p = &(*p)->next)
			;
		*p = c->next;
		rc = daos_cont_close(c->coh, NULL);
		rc2 = daos_pool_disconnect(c->poh, NULL);
		rc = rc != 0 ? rc : rc2;
		free(c);
	}
	pthread_mutex_unlock(&connections.lock);
	return daos_der2errno(rc);
}

int
dfs_connect(const char *pool, const char *sys, const char *cont, int flags, dfs_attr_t *attr,
	    dfs_t **dfs)
{
	struct dfs_connection *c = NULL;
	int rc;

	if (!dfs_is_init())
		return EACCES;
	if (pool == NULL || cont == NULL || dfs == NULL || pool[0] == '\0' || cont[0] == '\0' ||
	    strlen(pool) > DAOS_PROP_LABEL_MAX_LEN || strlen(cont) > DAOS_PROP_LABEL_MAX_LEN ||
	    (sys != NULL && strlen(sys) > DAOS_SYS_NAME_MAX))
		return EINVAL;
	pthread_mutex_lock(&connections.lock);
	rc = connection_get_locked(pool, sys, cont, flags, attr, &c);
	pthread_mutex_unlock(&connections.lock);
	if (rc != 0)
		return rc;
	rc = dfs_mount(c->poh, c->coh, flags & O_ACCMODE, dfs);
	if (rc != 0) {
		connection_put(c);
		return rc;
	}
	(*dfs)->conn = c;
	return 0;
}

int
dfs_disconnect(dfs_t *dfs)
{
	struct dfs_connection *c;
	int rc, rc2;

	if (dfs == NULL || dfs->conn == NULL)
		return EINVAL;
	c = dfs->conn;
	dfs->conn = NULL;
	rc = dfs_umount(dfs);
	if (rc == EBUSY) {
		dfs->conn = c;
		return rc;
	}
	rc2 = connection_put(c);
	return rc != 0 ? rc : rc2;
}

int
dfs_destroy(const char *pool, const char *sys, const char *cont, int force, daos_event_t *ev)
{
	daos_handle_t poh;
	int rc;

	if (!dfs_is_init())
		return EACCES;
	if (pool == NULL || cont == NULL ||
	    ev != NULL) /* it is several calls, so it can only wait */
		return EINVAL;
	rc = daos_pool_connect(pool, sys, DAOS_PC_RW, &poh, NULL, NULL);
	if (rc != 0)
		return daos_der2errno(rc);
	rc = daos_cont_destroy(poh, cont, force, NULL);
	daos_pool_disconnect(poh, NULL);
	return daos_der2errno(rc);
}

/* --- all handles in one blob: lengths and contents of the pool's, the container's and the mount's
 * --------------- */

enum { ALL_MAGIC = 0xdf5a1101 };
struct all_head {
	uint32_t magic;
	uint32_t pool_len, cont_len, mount_len;
};

int
dfs_local2global_all(dfs_t *dfs, d_iov_t *glob)
{
	struct all_head h = {.magic = ALL_MAGIC};
	d_iov_t pool = {0}, cont = {0}, mount = {0};
	size_t need;
	char *p;
	int rc;

	if (dfs == NULL || glob == NULL)
		return EINVAL;
	rc = daos_der2errno(daos_pool_local2global(dfs->poh, &pool));
	if (rc == 0)
		rc = daos_der2errno(daos_cont_local2global(dfs->coh, &cont));
	if (rc == 0)
		rc = dfs_local2global(dfs, &mount);
	if (rc != 0)
		return rc;
	need = sizeof(h) + pool.iov_buf_len + cont.iov_buf_len + mount.iov_buf_len;
	if (glob->iov_buf == NULL || glob->iov_buf_len < need) {
		bool asked = glob->iov_buf == NULL;

		glob->iov_buf_len = need;
		return asked ? 0 : ENOBUFS;
	}
	p = (char *)glob->iov_buf + sizeof(h);
	d_iov_set(&pool, p, pool.iov_buf_len);
	d_iov_set(&cont, p + pool.iov_buf_len, cont.iov_buf_len);
	d_iov_set(&mount, p + pool.iov_buf_len + cont.iov_buf_len, mount.iov_buf_len);
	h.pool_len = pool.iov_buf_len;
	h.cont_len = cont.iov_buf_len;
	h.mount_len = mount.iov_buf_len;
	rc = daos_der2errno(daos_pool_local2global(dfs->poh, &pool));
	if (rc == 0)
		rc = daos_der2errno(daos_cont_local2global(dfs->coh, &cont));
	if (rc == 0)
		rc = dfs_local2global(dfs, &mount);
	if (rc != 0)
		return rc;
	memcpy(glob->iov_buf, &h, sizeof(h));
	glob->iov_len = need;
	return 0;
}

int
dfs_global2local_all(int flags, d_iov_t glob, dfs_t **dfs)
{
	struct dfs_connection *c;
	struct all_head h;
	d_iov_t pool, cont, mount;
	char *p;
	int rc;

	if (dfs == NULL || glob.iov_buf == NULL || glob.iov_len < sizeof(h))
		return EINVAL;
	memcpy(&h, glob.iov_buf, sizeof(h));
	if (h.magic != ALL_MAGIC ||
	    (uint64_t)h.pool_len + h.cont_len + h.mount_len + sizeof(h) > glob.iov_len)
		return EINVAL;
	p = (char *)glob.iov_buf + sizeof(h);
	d_iov_set(&pool, p, h.pool_len);
	d_iov_set(&cont, p + h.pool_len, h.cont_len);
	d_iov_set(&mount, p + h.pool_len + h.cont_len, h.mount_len);
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return ENOMEM;
	c->refs = 1;
	rc = daos_der2errno(daos_pool_global2local(pool, &c->poh));
	if (rc != 0) {
		free(c);
		return rc;
	}
	rc = daos_der2errno(daos_cont_global2local(c->poh, cont, &c->coh));
	if (rc == 0) {
		rc = dfs_global2local(c->poh, c->coh, flags, mount, dfs);
		if (rc != 0)
			daos_cont_close(c->coh, NULL);
	}
	if (rc != 0) {
		daos_pool_disconnect(c->poh, NULL);
		free(c);
		return rc;
	}
	pthread_mutex_lock(&connections.lock);
	c->next = connections.first;
	connections.first = c;
	pthread_mutex_unlock(&connections.lock);
	(*dfs)->conn = c;
	return 0;
}
