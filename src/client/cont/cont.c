/*
 * Open containers: create, open, close, destroy; the capability; handles for other processes.
 *
 * The capability is what engines look at: a signed statement of the rights of this handle, good for
 * ten minutes. The operation that first finds its half life over renews it on the way, within a
 * short deadline; when the service does not answer, the old one is still good for the other half.
 */
#define LOG_FACILITY "cont"

#include <stdlib.h>
#include <string.h>

#include "client/cont/cont.h"
#include "client/cont/cont_internal.h"
#include "client/core/prop_msg.h"
#include "client/event/event.h"
#include "client/pool/pool_internal.h"
#include "base/cleanup.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/opcodes.h"

enum {
	GLOB_MAGIC = 0x544e4f43, /* "CONT" */
	GLOB_VERSION = 1,
	RENEW_DEADLINE_MS = 1000, /* for a renewal that is not urgent … */
	RENEW_AGAIN_MS = 10000,   /* … and the next try after it failed */
	EC_CELL_DEFAULT = 128 * 1024,
};

struct cont *
cont_ref(struct cont *cont)
{
	atomic_fetch_add_explicit(&cont->refs, 1, memory_order_relaxed);
	return cont;
}

void
cont_unref(struct cont *cont)
{
	if (cont == NULL || atomic_fetch_sub_explicit(&cont->refs, 1, memory_order_acq_rel) != 1)
		return;
	pool_unref(cont->pool);
	pthread_mutex_destroy(&cont->lock);
	free(cont);
}

static void
cont_unrefp(struct cont **cont)
{
	cont_unref(*cont);
}

/* The handle is closed: objects may still hold the container, the pool sees it gone. */
static void
cont_hdl_free(void *obj)
{
	struct cont *cont = obj;

	atomic_fetch_sub(&cont->pool->cont_nr, 1);
	cont_unref(cont);
}

struct cont *
cont_hdl_get(struct client *client, daos_handle_t coh)
{
	return handle_get(client_handles(client), coh, DAOS_HTYPE_CO);
}

void
cont_hdl_put(struct client *client, daos_handle_t coh)
{
	handle_put(client_handles(client), coh);
}

static int
cont_new(struct pool *pool, const uint8_t *uuid, struct cont **ret_cont)
{
	struct cont *cont = mem_new(struct cont);

	if (cont == NULL)
		return -DER_NOMEM;
	atomic_init(&cont->refs, 1);
	pthread_mutex_init(&cont->lock, NULL);
	cont->client = pool->client;
	cont->pool = pool_ref(pool);
	memcpy(cont->uuid, uuid, sizeof(uuid_t));
	uuid_unparse_lower(cont->uuid, cont->uuid_str);
	*ret_cont = cont;
	return 0;
}

static int
cont_publish(struct cont *cont, daos_handle_t *coh)
{
	int rc;

	atomic_fetch_add(&cont->pool->cont_nr, 1);
	rc = handle_add(client_handles(cont->client), DAOS_HTYPE_CO, cont, cont_hdl_free, coh);
	if (rc != 0)
		atomic_fetch_sub(&cont->pool->cont_nr, 1);
	return rc;
}

/* --- capability --- */

static int
cap_set(struct cont *cont, const uint8_t *cap, size_t len, uint64_t life_ms)
{
	uint64_t now = env_mono_ns(client_env(cont->client));

	if (len == 0 || len > sizeof(cont->cap))
		return -DER_PROTO;
	pthread_mutex_lock(&cont->lock);
	memcpy(cont->cap, cap, len);
	cont->cap_len = (uint32_t)len;
	cap_id(cont->cap, cont->cap_id);
	cont->cap_renew_ns = now + life_ms * 1000000 / 2;
	cont->cap_renewed_nr++;
	pthread_mutex_unlock(&cont->lock);
	return 0;
}

static int co_fn
cap_fetch(struct op *op, struct cont *cont, uint64_t deadline_ns)
{
	Mgmt__ContRenewReq req = MGMT__CONT_RENEW_REQ__INIT;
	Mgmt__ContRenewRep *rep = NULL;
	int rc;

	req.pool.data = cont->pool->uuid;
	req.pool.len = sizeof(uuid_t);
	req.cont_handle.data = cont->handle;
	req.cont_handle.len = sizeof(uuid_t);
	rc = op_ms_call_until(op, OPC_MS_CONT_RENEW, &req.base, &mgmt__cont_renew_rep__descriptor,
			      (ProtobufCMessage **)&rep, deadline_ns);
	if (rc != 0)
		return rc;
	rc = cap_set(cont, rep->capability.data, rep->capability.len, rep->cap_expire_ms);
	mgmt__cont_renew_rep__free_unpacked(rep, NULL);
	return rc;
}

void co_fn
cont_get_cap(struct op *op, struct cont *cont, struct cont_cap *ret_cap)
{
	uint64_t now = xs_now_ns(op->ctx->xs);
	bool renew;
	int rc;

	pthread_mutex_lock(&cont->lock);
	renew = now >= cont->cap_renew_ns && !cont->cap_renewing;
	if (renew)
		cont->cap_renewing = true;
	pthread_mutex_unlock(&cont->lock);
	if (renew)
		rc = cap_fetch(op, cont, now + RENEW_DEADLINE_MS * 1000000ull);

	pthread_mutex_lock(&cont->lock);
	if (renew) {
		cont->cap_renewing = false;
		if (rc != 0)
			cont->cap_renew_ns = now + RENEW_AGAIN_MS * 1000000ull;
	}
	memcpy(ret_cap->id, cont->cap_id, sizeof(ret_cap->id));
	ret_cap->len = cont->cap_len;
	memcpy(ret_cap->cap, cont->cap, cont->cap_len);
	ret_cap->renewed_nr = cont->cap_renewed_nr;
	pthread_mutex_unlock(&cont->lock);
}

int co_fn
cont_renew_cap(struct op *op, struct cont *cont, uint64_t renewed_nr)
{
	bool changed;

	pthread_mutex_lock(&cont->lock);
	changed = cont->cap_renewed_nr != renewed_nr;
	pthread_mutex_unlock(&cont->lock);
	return changed ? 0 : cap_fetch(op, cont, op->deadline_ns);
}

/* --- create --- */

struct create_args {
	daos_handle_t poh;
	char label[DAOS_PROP_MAX_LABEL_BUF_LEN]; /* "" = none, or it is among the properties */
	Mgmt__Prop **props;
	size_t prop_nr;
	uuid_t *uuid;
};

static int co_fn
cont_create(struct op *op, struct pool *pool, const struct create_args *args)
{
	Mgmt__ContCreateReq req = MGMT__CONT_CREATE_REQ__INIT;
	struct ms_conn *ms;
	struct ms_cmd cmd;
	uuid_t uuid;
	int rc = ctx_ms(op->ctx, &ms);

	if (rc != 0)
		return rc;
	client_make_uuid(op->ctx->client, uuid);
	req.pool.data = pool->uuid;
	req.pool.len = sizeof(uuid_t);
	req.pool_handle.data = pool->handle;
	req.pool_handle.len = sizeof(uuid_t);
	req.uuid.data = uuid;
	req.uuid.len = sizeof(uuid_t);
	req.props = args->props;
	req.n_props = args->prop_nr;
	ms_cmd_begin(ms, &cmd);
	req.id = &cmd.id;
	rc = op_ms_call(op, OPC_MS_CONT_CREATE, &req.base, NULL, NULL);
	ms_cmd_end(&cmd);
	if (rc == 0 && args->uuid != NULL)
		uuid_copy(*args->uuid, uuid);
	return rc;
}

static int co_fn
cont_create_op(struct op *op, void *arg)
{
	struct create_args *args = arg;
	struct pool *pool = pool_hdl_get(op->ctx->client, args->poh);
	int rc = -DER_NO_HDL;

	if (pool != NULL) {
		rc = cont_create(op, pool, args);
		pool_hdl_put(op->ctx->client, args->poh);
	}
	prop_msgs_free(args->props, args->prop_nr);
	return rc;
}

/* The list to be sent: prop and the label. */
static int
create_props(daos_prop_t *prop, const char *label, struct create_args *args)
{
	struct daos_prop_entry *entry =
	    prop == NULL ? NULL : daos_prop_entry_get(prop, DAOS_PROP_CO_LABEL);
	Mgmt__Prop **props;
	Mgmt__Prop *msg;
	int rc;

	if (entry != NULL && !daos_label_is_valid(entry->dpe_str))
		return -DER_INVAL;
	if (label != NULL && entry != NULL && strcmp(label, entry->dpe_str) != 0)
		return -DER_INVAL;
	rc = prop_to_msgs(prop, &args->props, &args->prop_nr);
	if (rc != 0 || label == NULL || entry != NULL)
		return rc;
	props = mem_realloc(args->props, args->prop_nr + 1, sizeof(*props));
	if (props == NULL)
		goto nomem;
	args->props = props;
	msg = mem_new(Mgmt__Prop);
	if (msg == NULL)
		goto nomem;
	mgmt__prop__init(msg);
	props[args->prop_nr++] = msg;
	msg->type = DAOS_PROP_CO_LABEL;
	msg->kind = PROP_KIND_STR;
	msg->str = mem_strdup(label);
	if (msg->str != NULL)
		return 0;
nomem:
	prop_msgs_free(args->props, args->prop_nr);
	return -DER_NOMEM;
}

static int
cont_create_run(daos_handle_t poh, const char *label, uuid_t *uuid, daos_prop_t *prop,
		daos_event_t *ev)
{
	struct create_args args = {.poh = poh, .uuid = uuid};
	int rc;

	if (client_default() == NULL)
		return -DER_UNINIT;
	rc = create_props(prop, label, &args);
	if (rc != 0)
		return rc;
	rc = op_run(ev, cont_create_op, &args, sizeof(args));
	if (rc != 0 && ev != NULL)
		prop_msgs_free(args.props, args.prop_nr);
	return rc;
}

int
daos_cont_create2(daos_handle_t poh, uuid_t *uuid, daos_prop_t *cont_prop, daos_event_t *ev)
{
	return cont_create_run(poh, NULL, uuid, cont_prop, ev);
}

#undef daos_cont_create
__attribute__((weak, alias("daos_cont_create2"), visibility("default"))) int
daos_cont_create(daos_handle_t poh, uuid_t *uuid, daos_prop_t *cont_prop, daos_event_t *ev);

int
daos_cont_create_with_label(daos_handle_t poh, const char *label, daos_prop_t *cont_prop,
			    uuid_t *uuid, daos_event_t *ev)
{
	if (!daos_label_is_valid(label))
		return -DER_INVAL;
	return cont_create_run(poh, label, uuid, cont_prop, ev);
}

/* --- destroy --- */

struct destroy_args {
	daos_handle_t poh;
	char name[DAOS_PROP_MAX_LABEL_BUF_LEN];
	bool force;
};

static int co_fn
cont_destroy_op(struct op *op, void *arg)
{
	struct destroy_args *args = arg;
	Mgmt__ContDestroyReq req = MGMT__CONT_DESTROY_REQ__INIT;
	struct pool *pool;
	struct ms_conn *ms;
	struct ms_cmd cmd;
	int rc = ctx_ms(op->ctx, &ms);

	if (rc != 0)
		return rc;
	pool = pool_hdl_get(op->ctx->client, args->poh);
	if (pool == NULL)
		return -DER_NO_HDL;
	req.pool.data = pool->uuid;
	req.pool.len = sizeof(uuid_t);
	req.pool_handle.data = pool->handle;
	req.pool_handle.len = sizeof(uuid_t);
	req.cont = args->name;
	req.force = args->force;
	ms_cmd_begin(ms, &cmd);
	req.id = &cmd.id;
	rc = op_ms_call(op, OPC_MS_CONT_DESTROY, &req.base, NULL, NULL);
	ms_cmd_end(&cmd);
	pool_hdl_put(op->ctx->client, args->poh);
	return rc;
}

int
daos_cont_destroy2(daos_handle_t poh, const char *name, int force, daos_event_t *ev)
{
	struct destroy_args args = {.poh = poh, .force = force != 0};

	if (name == NULL || name[0] == '\0' || strlen(name) > DAOS_PROP_LABEL_MAX_LEN)
		return -DER_INVAL;
	strcpy(args.name, name);
	return op_run(ev, cont_destroy_op, &args, sizeof(args));
}

#undef daos_cont_destroy
__attribute__((weak, alias("daos_cont_destroy2"), visibility("default"))) int
daos_cont_destroy(daos_handle_t poh, const char *name, int force, daos_event_t *ev);

/* --- open --- */

struct open_args {
	daos_handle_t poh;
	char name[DAOS_PROP_MAX_LABEL_BUF_LEN];
	uint64_t flags;
	daos_handle_t *coh;
	daos_cont_info_t *info;
};

static void
cont_take_props(struct cont *cont, Mgmt__Prop *const *props, size_t nr)
{
	cont->redun_fac = (uint32_t)prop_msg_num(props, nr, DAOS_PROP_CO_REDUN_FAC, 0);
	cont->redun_lvl =
	    (uint32_t)prop_msg_num(props, nr, DAOS_PROP_CO_REDUN_LVL, DAOS_PROP_CO_REDUN_DEFAULT);
	cont->csum_type = (uint32_t)prop_msg_num(props, nr, DAOS_PROP_CO_CSUM, 0);
	cont->ec_cell_bytes = prop_msg_num(props, nr, DAOS_PROP_CO_EC_CELL_SZ, EC_CELL_DEFAULT);
}

static int co_fn
cont_open(struct op *op, struct pool *pool, const struct open_args *args, struct cont **ret_cont)
{
	CLEANUP(cont_unrefp)
	struct cont *cont = NULL;
	Mgmt__ContOpenReq req = MGMT__CONT_OPEN_REQ__INIT;
	Mgmt__ContOpenRep *rep = NULL;
	uuid_t handle;
	int rc;

	client_make_uuid(op->ctx->client, handle);
	req.pool.data = pool->uuid;
	req.pool.len = sizeof(uuid_t);
	req.pool_handle.data = pool->handle;
	req.pool_handle.len = sizeof(uuid_t);
	req.cont = (char *)args->name;
	req.handle.data = handle;
	req.handle.len = sizeof(uuid_t);
	req.flags = args->flags;
	rc = op_ms_call(op, OPC_MS_CONT_OPEN, &req.base, &mgmt__cont_open_rep__descriptor,
			(ProtobufCMessage **)&rep);
	if (rc != 0)
		return rc;
	if (rep->info == NULL || rep->info->uuid.len != sizeof(uuid_t))
		rc = -DER_PROTO;
	else
		rc = cont_new(pool, rep->info->uuid.data, &cont);
	if (rc == 0) {
		uuid_copy(cont->handle, handle);
		cont->flags = args->flags;
		cont->rights = rep->rights;
		cont_take_props(cont, rep->props, rep->n_props);
		if (args->info != NULL)
			cont_info_from_msg(rep->info, args->info);
		rc = cap_set(cont, rep->capability.data, rep->capability.len, rep->cap_expire_ms);
	}
	mgmt__cont_open_rep__free_unpacked(rep, NULL);
	if (rc == 0)
		*ret_cont = steal_ptr(cont);
	return rc;
}

static int co_fn
cont_open_op(struct op *op, void *arg)
{
	struct open_args *args = arg;
	struct client *client = op->ctx->client;
	struct pool *pool = pool_hdl_get(client, args->poh);
	struct cont *cont;
	int rc;

	if (pool == NULL)
		return -DER_NO_HDL;
	rc = cont_open(op, pool, args, &cont);
	if (rc == 0) {
		rc = cont_publish(cont, args->coh);
		if (rc != 0)
			cont_unref(cont);
	}
	pool_hdl_put(client, args->poh);
	return rc;
}

int
daos_cont_open2(daos_handle_t poh, const char *name, unsigned int flags, daos_handle_t *coh,
		daos_cont_info_t *info, daos_event_t *ev)
{
	struct open_args args = {.poh = poh, .flags = flags, .coh = coh, .info = info};
	unsigned int base = flags & DAOS_COO_IO_BASE_MASK;

	if (name == NULL || name[0] == '\0' || strlen(name) > DAOS_PROP_LABEL_MAX_LEN ||
	    coh == NULL)
		return -DER_INVAL;
	/* exactly one way to open */
	if ((flags & ~DAOS_COO_MASK) != 0 || base == 0 || (base & (base - 1)) != 0)
		return -DER_INVAL;
	strcpy(args.name, name);
	return op_run(ev, cont_open_op, &args, sizeof(args));
}

#undef daos_cont_open
__attribute__((weak, alias("daos_cont_open2"), visibility("default"))) int
daos_cont_open(daos_handle_t poh, const char *name, unsigned int flags, daos_handle_t *coh,
	       daos_cont_info_t *info, daos_event_t *ev);

/* --- close --- */

static int co_fn
cont_send_close(struct op *op, struct cont *cont)
{
	Mgmt__ContCloseReq req = MGMT__CONT_CLOSE_REQ__INIT;
	struct ms_conn *ms;
	struct ms_cmd cmd;
	int rc = ctx_ms(op->ctx, &ms);

	if (rc != 0)
		return rc;
	req.pool.data = cont->pool->uuid;
	req.pool.len = sizeof(uuid_t);
	req.handle.data = cont->handle;
	req.handle.len = sizeof(uuid_t);
	ms_cmd_begin(ms, &cmd);
	req.id = &cmd.id;
	rc = op_ms_call(op, OPC_MS_CONT_CLOSE, &req.base, NULL, NULL);
	ms_cmd_end(&cmd);
	/* Evicted or destroyed meanwhile: there is nothing left to close. */
	return rc == -DER_NO_HDL || rc == -DER_NONEXIST ? 0 : rc;
}

static int co_fn
cont_close_op(struct op *op, void *arg)
{
	daos_handle_t coh = *(daos_handle_t *)arg;
	struct client *client = op->ctx->client;
	struct cont *cont = cont_hdl_get(client, coh);
	int rc = 0;

	if (cont == NULL)
		return -DER_NO_HDL;
	if (!cont->from_global)
		rc = cont_send_close(op, cont);
	if (rc == 0)
		rc = handle_close(client_handles(client), coh, DAOS_HTYPE_CO);
	cont_hdl_put(client, coh);
	return rc;
}

int
daos_cont_close(daos_handle_t coh, daos_event_t *ev)
{
	return op_run(ev, cont_close_op, &coh, sizeof(coh));
}

/* --- handles for other processes --- */

static int
cont_encode(struct cont *cont, struct codec_wr *w)
{
	uint64_t now = env_mono_ns(client_env(cont->client));
	uint64_t life_ms;

	codec_wr_u32(w, GLOB_MAGIC);
	codec_wr_u32(w, GLOB_VERSION);
	codec_wr_uuid(w, cont->pool->uuid);
	codec_wr_uuid(w, cont->uuid);
	codec_wr_uuid(w, cont->handle);
	codec_wr_u64(w, cont->flags);
	codec_wr_u64(w, cont->rights);
	codec_wr_u32(w, cont->redun_fac);
	codec_wr_u32(w, cont->redun_lvl);
	codec_wr_u32(w, cont->csum_type);
	codec_wr_u64(w, cont->ec_cell_bytes);
	pthread_mutex_lock(&cont->lock);
	/* Twice the time to its renewal is at most what is left of its life. */
	life_ms = cont->cap_renew_ns > now ? (cont->cap_renew_ns - now) * 2 / 1000000 : 0;
	codec_wr_u64(w, life_ms);
	codec_wr_blob(w, cont->cap, cont->cap_len);
	pthread_mutex_unlock(&cont->lock);
	return codec_wr_err(w);
}

int
daos_cont_local2global(daos_handle_t coh, d_iov_t *glob)
{
	struct client *client = client_default();
	CLEANUP(codec_wr_fini)
	struct codec_wr w;
	struct cont *cont;
	int rc;

	codec_wr_init(&w, 0);
	if (client == NULL)
		return -DER_UNINIT;
	if (glob == NULL)
		return -DER_INVAL;
	cont = cont_hdl_get(client, coh);
	if (cont == NULL)
		return -DER_NO_HDL;
	rc = cont_encode(cont, &w);
	cont_hdl_put(client, coh);
	return rc != 0 ? rc : glob_put(&w, glob);
}

static int
cont_decode(struct pool *pool, const d_iov_t *glob, struct cont **ret_cont)
{
	CLEANUP(cont_unrefp)
	struct cont *cont = NULL;
	uuid_t pool_uuid, uuid;
	struct codec_rd rd;
	const void *cap;
	uint64_t life_ms;
	size_t len;
	int rc;

	codec_rd_init(&rd, glob->iov_buf, glob->iov_len);
	if (codec_rd_u32(&rd) != GLOB_MAGIC || codec_rd_u32(&rd) != GLOB_VERSION)
		return -DER_INVAL;
	codec_rd_uuid(&rd, pool_uuid);
	codec_rd_uuid(&rd, uuid);
	if (uuid_compare(pool_uuid, pool->uuid) != 0)
		return -DER_INVAL;
	rc = cont_new(pool, uuid, &cont);
	if (rc != 0)
		return rc;
	codec_rd_uuid(&rd, cont->handle);
	cont->flags = codec_rd_u64(&rd);
	cont->rights = codec_rd_u64(&rd);
	cont->redun_fac = codec_rd_u32(&rd);
	cont->redun_lvl = codec_rd_u32(&rd);
	cont->csum_type = codec_rd_u32(&rd);
	cont->ec_cell_bytes = codec_rd_u64(&rd);
	life_ms = codec_rd_u64(&rd);
	cap = codec_rd_blob(&rd, CAP_BYTES, &len);
	if (rd.err != 0)
		return -DER_INVAL;
	rc = cap_set(cont, cap, len, life_ms);
	if (rc != 0)
		return -DER_INVAL;
	cont->from_global = true;
	*ret_cont = steal_ptr(cont);
	return 0;
}

int
daos_cont_global2local(daos_handle_t poh, d_iov_t glob, daos_handle_t *coh)
{
	struct client *client = client_default();
	struct pool *pool;
	struct cont *cont;
	int rc;

	if (client == NULL)
		return -DER_UNINIT;
	if (coh == NULL || glob.iov_buf == NULL || glob.iov_len > glob.iov_buf_len)
		return -DER_INVAL;
	pool = pool_hdl_get(client, poh);
	if (pool == NULL)
		return -DER_NO_HDL;
	rc = cont_decode(pool, &glob, &cont);
	if (rc == 0) {
		rc = cont_publish(cont, coh);
		if (rc != 0)
			cont_unref(cont);
	}
	pool_hdl_put(client, poh);
	return rc;
}
