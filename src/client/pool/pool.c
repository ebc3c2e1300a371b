/*
 * Pool connections: connect, disconnect, the map, handles for other processes.
 */
#define LOG_FACILITY "pool"

#include <stdlib.h>
#include <string.h>

#include "client/event/event.h"
#include "client/pool/pool.h"
#include "client/pool/pool_internal.h"
#include "base/cleanup.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/opcodes.h"

enum {
	GLOB_MAGIC = 0x4c4f4f50, /* "POOL" */
	GLOB_VERSION = 1,
	REFRESH_WAIT_NS = 5 * 1000 * 1000,
	REFRESH_DEADLINE_NS = 1000 * 1000 * 1000, /* the caller has better things to do … */
	REFRESH_STALE_NS = 1500 * 1000 * 1000,    /* … so a longer one is not being driven */
};

struct pool *
pool_ref(struct pool *pool)
{
	atomic_fetch_add_explicit(&pool->refs, 1, memory_order_relaxed);
	return pool;
}

void
pool_unref(struct pool *pool)
{
	if (pool == NULL || atomic_fetch_sub_explicit(&pool->refs, 1, memory_order_acq_rel) != 1)
		return;
	pool_map_put(pool->map);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

static void
pool_unrefp(struct pool **pool)
{
	pool_unref(*pool);
}

static void
pool_hdl_free(void *obj)
{
	pool_unref(obj);
}

struct pool *
pool_hdl_get(struct client *client, daos_handle_t poh)
{
	return handle_get(client_handles(client), poh, DAOS_HTYPE_POOL);
}

void
pool_hdl_put(struct client *client, daos_handle_t poh)
{
	handle_put(client_handles(client), poh);
}

/* --- map --- */

struct pool_map *
pool_cur_map(struct pool *pool)
{
	struct pool_map *map;

	pthread_mutex_lock(&pool->lock);
	map = pool_map_get(pool->map);
	pthread_mutex_unlock(&pool->lock);
	return map;
}

/* Take over map (consumed) when it is newer. Its ranks are addresses to ask for the service. */
static void
pool_set_map(struct pool *pool, struct pool_map *map)
{
	struct pool_map *old = map;
	uint32_t i;

	for (i = 0; i < pool_map_rank_nr(map); i++)
		client_learn_uris(pool->client, &pool_map_rank(map, i)->uri, 1);
	pthread_mutex_lock(&pool->lock);
	if (pool->map == NULL || pool_map_version(map) > pool_map_version(pool->map)) {
		old = pool->map;
		pool->map = map;
		atomic_store(&pool->map_ver, pool_map_version(map));
	}
	pthread_mutex_unlock(&pool->lock);
	pool_map_put(old);
}

static int co_fn
pool_fetch_map(struct op *op, struct pool *pool, uint32_t known_ver)
{
	Mgmt__PoolMapGetReq req = MGMT__POOL_MAP_GET_REQ__INIT;
	Mgmt__PoolMapGetRep *rep = NULL;
	struct pool_map *map;
	int rc;

	req.pool.data = pool->uuid;
	req.pool.len = sizeof(uuid_t);
	req.known_version = known_ver;
	rc = op_ms_call_until(op, OPC_MS_POOL_MAP_GET, &req.base,
			      &mgmt__pool_map_get_rep__descriptor, (ProtobufCMessage **)&rep,
			      xs_now_ns(op->ctx->xs) + REFRESH_DEADLINE_NS);
	if (rc != 0) /* without the service the old map is as good as any */
		return rc == -DER_TIMEDOUT ? 0 : rc;
	if (rep->map != NULL) {
		rc = pool_map_from_msg(rep->map, &map);
		if (rc == 0)
			pool_set_map(pool, map);
	}
	mgmt__pool_map_get_rep__free_unpacked(rep, NULL);
	return rc;
}

int co_fn
pool_refresh(struct op *op, struct pool *pool, uint32_t known_ver)
{
	uint64_t now = xs_now_ns(op->ctx->xs);
	uint64_t since = atomic_load(&pool->refresh_ns);
	int rc;

	if (atomic_load(&pool->map_ver) > known_ver)
		return 0;
	/* A request that is long under way hangs in a context that nobody drives any more. */
	if ((since != 0 && now < since + REFRESH_STALE_NS) ||
	    !atomic_compare_exchange_strong(&pool->refresh_ns, &since, now))
		return op_sleep(op, REFRESH_WAIT_NS);
	rc = pool_fetch_map(op, pool, known_ver);
	atomic_store(&pool->refresh_ns, 0);
	return rc;
}

/* --- connect --- */

static int
pool_new(struct client *client, const uint8_t *uuid, struct pool **ret_pool)
{
	struct pool *pool = mem_new(struct pool);

	if (pool == NULL)
		return -DER_NOMEM;
	atomic_init(&pool->refs, 1);
	pthread_mutex_init(&pool->lock, NULL);
	pool->client = client;
	memcpy(pool->uuid, uuid, sizeof(uuid_t));
	uuid_unparse_lower(pool->uuid, pool->uuid_str);
	*ret_pool = pool;
	return 0;
}

static int
pool_from_rep(struct client *client, const Mgmt__PoolConnectRep *rep, struct pool **ret_pool)
{
	CLEANUP(pool_unrefp)
	struct pool *pool = NULL;
	struct pool_map *map;
	uuid_t uuid;
	int rc;

	if (rep->map == NULL)
		return -DER_PROTO;
	rc = pool_map_from_msg(rep->map, &map);
	if (rc != 0)
		return rc;
	pool_map_uuid(map, uuid);
	rc = pool_new(client, uuid, &pool);
	if (rc != 0) {
		pool_map_put(map);
		return rc;
	}
	pool_set_map(pool, map);
	pool->rights = rep->rights;
	if (rep->info != NULL)
		pool->svc_leader = rep->info->svc_leader;
	*ret_pool = steal_ptr(pool);
	return 0;
}

struct connect_args {
	char name[DAOS_PROP_MAX_LABEL_BUF_LEN];
	uint64_t flags;
	Mgmt__Credential *cred;
	daos_handle_t *poh;
	daos_pool_info_t *info;
};

/* A handle uuid: random, of version 4. */
void
client_make_uuid(struct client *client, uuid_t ret_uuid)
{
	env_rand_fill(client_env(client), ret_uuid, sizeof(uuid_t));
	ret_uuid[6] = (ret_uuid[6] & 0x0f) | 0x40;
	ret_uuid[8] = (ret_uuid[8] & 0x3f) | 0x80;
}

static int co_fn
pool_connect_op(struct op *op, void *arg)
{
	struct connect_args *args = arg;
	struct client *client = op->ctx->client;
	Mgmt__PoolConnectReq req = MGMT__POOL_CONNECT_REQ__INIT;
	Mgmt__PoolConnectRep *rep = NULL;
	struct ms_conn *ms;
	struct ms_cmd cmd;
	struct pool *pool;
	uuid_t handle;
	int rc;

	rc = ctx_ms(op->ctx, &ms);
	if (rc != 0)
		goto out;
	client_make_uuid(client, handle);
	req.pool = args->name;
	req.handle.data = handle;
	req.handle.len = sizeof(handle);
	req.flags = args->flags;
	req.cred = args->cred;
	ms_cmd_begin(ms, &cmd);
	req.id = &cmd.id;
	rc = op_ms_call(op, OPC_MS_POOL_CONNECT, &req.base, &mgmt__pool_connect_rep__descriptor,
			(ProtobufCMessage **)&rep);
	ms_cmd_end(&cmd);
	if (rc != 0)
		goto out;
	rc = pool_from_rep(client, rep, &pool);
	mgmt__pool_connect_rep__free_unpacked(rep, NULL);
	if (rc != 0)
		goto out;
	uuid_copy(pool->handle, handle);
	pool->flags = args->flags;
	if (args->info != NULL) {
		args->info->pi_bits = DPI_SPACE | DPI_REBUILD_STATUS;
		rc = pool_query(op, pool, NULL, args->info, NULL);
	}
	if (rc == 0)
		rc = handle_add(client_handles(client), DAOS_HTYPE_POOL, pool, pool_hdl_free,
				args->poh);
	if (rc != 0)
		pool_unref(pool);
out:
	mgmt__credential__free_unpacked(args->cred, NULL);
	return rc;
}

int
daos_pool_connect2(const char *name, const char *sys, unsigned int flags, daos_handle_t *poh,
		   daos_pool_info_t *info, daos_event_t *ev)
{
	struct client *client = client_default();
	struct connect_args args = {.flags = flags, .poh = poh, .info = info};
	int rc;

	if (client == NULL)
		return -DER_UNINIT;
	if (name == NULL || poh == NULL || name[0] == '\0' ||
	    strlen(name) > DAOS_PROP_LABEL_MAX_LEN)
		return -DER_INVAL;
	if ((flags & ~DAOS_PC_MASK) != 0 || (flags & (DAOS_PC_RO | DAOS_PC_RW | DAOS_PC_EX)) == 0)
		return -DER_INVAL;
	strcpy(args.name, name);
	rc = client_attach(client, sys);
	if (rc == 0)
		rc = client_credential(client, &args.cred);
	if (rc != 0)
		return rc;
	rc = op_run(ev, pool_connect_op, &args, sizeof(args));
	if (rc != 0 && ev != NULL)
		mgmt__credential__free_unpacked(args.cred, NULL);
	return rc;
}

#undef daos_pool_connect
__attribute__((weak, alias("daos_pool_connect2"), visibility("default"))) int
daos_pool_connect(const char *name, const char *sys, unsigned int flags, daos_handle_t *poh,
		  daos_pool_info_t *info, daos_event_t *ev);

/* --- disconnect --- */

static int co_fn
pool_send_disconnect(struct op *op, struct pool *pool)
{
	Mgmt__PoolDisconnectReq req = MGMT__POOL_DISCONNECT_REQ__INIT;
	struct ms_conn *ms;
	struct ms_cmd cmd;
	int rc = ctx_ms(op->ctx, &ms);

	if (rc != 0)
		return rc;
	req.pool.data = pool->uuid;
	req.pool.len = sizeof(uuid_t);
	req.handle.data = pool->handle;
	req.handle.len = sizeof(uuid_t);
	ms_cmd_begin(ms, &cmd);
	req.id = &cmd.id;
	rc = op_ms_call(op, OPC_MS_POOL_DISCONNECT, &req.base, NULL, NULL);
	ms_cmd_end(&cmd);
	/* Evicted meanwhile, or the pool is gone: there is nothing left to disconnect. */
	return rc == -DER_NO_HDL || rc == -DER_NONEXIST ? 0 : rc;
}

static int co_fn
pool_disconnect_op(struct op *op, void *arg)
{
	daos_handle_t poh = *(daos_handle_t *)arg;
	struct client *client = op->ctx->client;
	struct pool *pool = pool_hdl_get(client, poh);
	int rc = 0;

	if (pool == NULL)
		return -DER_NO_HDL;
	if (atomic_load(&pool->cont_nr) > 0)
		rc = -DER_BUSY;
	else if (!pool->from_global)
		rc = pool_send_disconnect(op, pool);
	if (rc == 0)
		rc = handle_close(client_handles(client), poh, DAOS_HTYPE_POOL);
	pool_hdl_put(client, poh);
	return rc;
}

int
daos_pool_disconnect(daos_handle_t poh, daos_event_t *ev)
{
	return op_run(ev, pool_disconnect_op, &poh, sizeof(poh));
}

/* --- handles for other processes --- */

static int
pool_encode(struct pool *pool, struct codec_wr *w)
{
	struct pool_map *map = pool_cur_map(pool);
	CLEANUP(freep)
	uint8_t *packed = NULL;
	size_t len;
	int rc;

	rc = pool_map_pack(map, &packed, &len);
	pool_map_put(map);
	if (rc != 0)
		return rc;
	codec_wr_u32(w, GLOB_MAGIC);
	codec_wr_u32(w, GLOB_VERSION);
	codec_wr_uuid(w, pool->uuid);
	codec_wr_uuid(w, pool->handle);
	codec_wr_u64(w, pool->flags);
	codec_wr_u64(w, pool->rights);
	codec_wr_u32(w, pool->svc_leader);
	codec_wr_blob(w, packed, len);
	return codec_wr_err(w);
}

int
glob_put(const struct codec_wr *w, d_iov_t *glob)
{
	if (glob->iov_buf == NULL) {
		glob->iov_buf_len = w->len;
		return 0;
	}
	if (glob->iov_buf_len < w->len) {
		glob->iov_buf_len = w->len;
		return -DER_TRUNC;
	}
	memcpy(glob->iov_buf, w->base, w->len);
	glob->iov_len = w->len;
	return 0;
}

int
daos_pool_local2global(daos_handle_t poh, d_iov_t *glob)
{
	struct client *client = client_default();
	CLEANUP(codec_wr_fini)
	struct codec_wr w;
	struct pool *pool;
	int rc;

	codec_wr_init(&w, 0);
	if (client == NULL)
		return -DER_UNINIT;
	if (glob == NULL)
		return -DER_INVAL;
	pool = pool_hdl_get(client, poh);
	if (pool == NULL)
		return -DER_NO_HDL;
	rc = pool_encode(pool, &w);
	pool_hdl_put(client, poh);
	return rc != 0 ? rc : glob_put(&w, glob);
}

static int
pool_decode(struct client *client, const d_iov_t *glob, struct pool **ret_pool)
{
	CLEANUP(pool_unrefp)
	struct pool *pool = NULL;
	struct pool_map *map;
	struct codec_rd rd;
	const void *packed;
	uuid_t uuid, map_uuid;
	size_t len;
	int rc;

	codec_rd_init(&rd, glob->iov_buf, glob->iov_len);
	if (codec_rd_u32(&rd) != GLOB_MAGIC || codec_rd_u32(&rd) != GLOB_VERSION)
		return -DER_INVAL;
	codec_rd_uuid(&rd, uuid);
	rc = pool_new(client, uuid, &pool);
	if (rc != 0)
		return rc;
	codec_rd_uuid(&rd, pool->handle);
	pool->flags = codec_rd_u64(&rd);
	pool->rights = codec_rd_u64(&rd);
	pool->svc_leader = codec_rd_u32(&rd);
	packed = codec_rd_blob(&rd, codec_rd_left(&rd), &len);
	if (rd.err != 0) /* bytes behind are fine: the caller's buffer may be larger */
		return -DER_INVAL;
	rc = pool_map_unpack(packed, len, &map);
	if (rc != 0)
		return rc;
	pool_map_uuid(map, map_uuid);
	if (uuid_compare(uuid, map_uuid) != 0) {
		pool_map_put(map);
		return -DER_INVAL;
	}
	pool->from_global = true;
	pool_set_map(pool, map);
	*ret_pool = steal_ptr(pool);
	return 0;
}

int
daos_pool_global2local(d_iov_t glob, daos_handle_t *poh)
{
	struct client *client = client_default();
	struct pool *pool;
	int rc;

	if (client == NULL)
		return -DER_UNINIT;
	if (poh == NULL || glob.iov_buf == NULL || glob.iov_len > glob.iov_buf_len)
		return -DER_INVAL;
	rc = client_attach(client, NULL);
	if (rc == 0)
		rc = pool_decode(client, &glob, &pool);
	if (rc != 0)
		return rc;
	rc = handle_add(client_handles(client), DAOS_HTYPE_POOL, pool, pool_hdl_free, poh);
	if (rc != 0)
		pool_unref(pool);
	return rc;
}
