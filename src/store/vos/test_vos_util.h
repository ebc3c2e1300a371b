/* Common to the tests of VOS: a pool on a disk in memory. */
#ifndef STORE_TEST_VOS_UTIL_H
#define STORE_TEST_VOS_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <daos_prop.h>

#include "runtime/xs.h"
#include "store/test_check.h"
#include "store/dev/dev.h"
#include "store/vos/vos.h"

#define POOL_NAME "00000000-0000-0000-0000-00000000beef.0"

struct tpool {
	struct env env;
	struct xs *xs;
	struct mem_disk *disk;
	struct dev_dir *dir;
	struct vos_pool_conf conf;
	struct vos_pool *pool;
};

static inline void
tpool_init(struct tpool *t, uint64_t scm_bytes, uint64_t nvme_bytes)
{
	memset(t, 0, sizeof(*t));
	env_init_real(&t->env);
	assert_int_equal(
	    xs_create(&(struct xs_conf){.name = "test", .env = &t->env, .cpu = -1}, &t->xs), 0);
	assert_int_equal(mem_disk_create(NULL, 4ull << 30, &t->disk), 0);
	assert_int_equal(mem_disk_open(t->disk, &t->dir), 0);
	t->conf = (struct vos_pool_conf){
	    .name = POOL_NAME,
	    .scm_bytes = scm_bytes,
	    .nvme_bytes = nvme_bytes,
	    .wal_bytes = 8 << 20,
	    .cache_bytes = 16 << 20,
	    .debug_shadow = true,
	};
	memset(t->conf.pool_uuid, 0xbe, sizeof(uuid_t));
}

static inline void
tpool_fini(struct tpool *t)
{
	dev_dir_close(t->dir);
	mem_disk_destroy(t->disk);
	xs_destroy(t->xs);
}

/* Run fn(arg) as a coroutine. */
static inline void
tpool_run(struct tpool *t, int (*fn)(void *arg), void *arg)
{
	assert_int_equal(xs_call(t->xs, fn, arg), 0);
}

static inline daos_key_t
skey(const char *s)
{
	return (daos_key_t){.iov_buf = (void *)s, .iov_buf_len = strlen(s), .iov_len = strlen(s)};
}

static inline struct vos_oid
toid(enum daos_otype_t type, uint64_t lo)
{
	return (struct vos_oid){.id = {.lo = lo, .hi = (uint64_t)type << 56}};
}

/* Write one value or extent from plain memory. recx NULL: single value of len bytes. */
static inline int co_fn
tput(struct vos_cont *cont, struct vos_oid oid, uint64_t epoch, uint64_t cond, daos_key_t dkey,
     const char *akey, daos_recx_t *recx, uint64_t rec_size, const void *data, uint64_t len,
     const struct vos_opid *opid)
{
	daos_iod_t iod = {
	    .iod_name = skey(akey),
	    .iod_type = recx == NULL ? DAOS_IOD_SINGLE : DAOS_IOD_ARRAY,
	    .iod_size = rec_size,
	    .iod_nr = 1,
	    .iod_recxs = recx,
	};
	struct vos_io io = {
	    .oid = oid,
	    .epoch = epoch,
	    .cond_flags = cond,
	    .dkey = &dkey,
	    .iods = &iod,
	    .iod_nr = 1,
	    .opid = opid,
	};
	const struct iovec *iov;
	struct vos_update *up;
	uint64_t done = 0;
	uint32_t i, nr;
	int rc;

	rc = vos_update_begin(cont, &io, &up);
	if (rc != 0)
		return rc;
	iov = vos_update_iov(up, 0, &nr);
	for (i = 0; i < nr; i++) {
		if (done + iov[i].iov_len > len) {
			vos_update_cancel(up);
			return -DER_OVERFLOW;
		}
		memcpy(iov[i].iov_base, (const uint8_t *)data + done, iov[i].iov_len);
		done += iov[i].iov_len;
	}
	if (done != len) {
		vos_update_cancel(up);
		return -DER_TRUNC;
	}
	return vos_update_end(up);
}

/* Read into plain memory, holes as 0xee. Returns bytes, or an error. *ret_size: record size. */
static inline int64_t co_fn
tget(struct vos_cont *cont, struct vos_oid oid, uint64_t epoch, uint64_t cond, daos_key_t dkey,
     const char *akey, daos_recx_t *recx, void *data, uint64_t len, uint64_t *ret_size)
{
	daos_iod_t iod = {
	    .iod_name = skey(akey),
	    .iod_type = recx == NULL ? DAOS_IOD_SINGLE : DAOS_IOD_ARRAY,
	    .iod_nr = 1,
	    .iod_recxs = recx,
	};
	struct vos_io io = {
	    .oid = oid,
	    .epoch = epoch,
	    .cond_flags = cond,
	    .dkey = &dkey,
	    .iods = &iod,
	    .iod_nr = 1,
	};
	const struct iovec *iov;
	struct vos_fetch *f;
	uint64_t done = 0;
	uint32_t i, nr;
	int rc;

	rc = vos_fetch_begin(cont, &io, 0, &f);
	if (rc != 0)
		return rc;
	if (ret_size != NULL)
		*ret_size = vos_fetch_size(f, 0);
	iov = vos_fetch_iov(f, 0, &nr);
	for (i = 0; i < nr; i++) {
		if (done + iov[i].iov_len > len) {
			vos_fetch_end(f);
			return -DER_OVERFLOW;
		}
		if (iov[i].iov_base != NULL)
			memcpy((uint8_t *)data + done, iov[i].iov_base, iov[i].iov_len);
		else
			memset((uint8_t *)data + done, 0xee, iov[i].iov_len);
		done += iov[i].iov_len;
	}
	vos_fetch_end(f);
	return done;
}

#endif
