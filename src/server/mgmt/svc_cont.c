/*
 * Requests about containers. Opening one gives a capability: a statement of what the handle may do,
 * signed with the system's key, that engines check by themselves; it is short-lived and renewed as
 * long as the handle is open.
 */
#define LOG_FACILITY "mgmt"

#include <stdlib.h>
#include <string.h>

#include <daos_cont.h>
#include <daos_errno.h>
#include <daos_pool.h>
#include <daos_prop.h>
#include <daos_security.h>

#include "base/mem.h"
#include "proto/capability.h"
#include "proto/opcodes.h"
#include "server/mgmt/mgmt_internal.h"

/* --- helpers --------------------------------------------------------------------------------- */

static struct st_handle *
pool_handle_of(struct mgmt *mgmt, const ProtobufCBinaryData *pool,
	       const ProtobufCBinaryData *handle)
{
	struct st_handle *h;

	if (pool->len != sizeof(uuid_t) || handle->len != sizeof(uuid_t))
		return NULL;
	h = state_handle(mgmt->st, handle->data);
	if (h == NULL || h->cont != NULL || memcmp(h->pool->uuid, pool->data, sizeof(uuid_t)) != 0)
		return NULL;
	return h;
}

static struct st_handle *
cont_handle_of(struct mgmt *mgmt, const ProtobufCBinaryData *handle)
{
	struct st_handle *h;

	if (handle->len != sizeof(uuid_t))
		return NULL;
	h = state_handle(mgmt->st, handle->data);
	return h != NULL && h->cont != NULL ? h : NULL;
}

static struct access_who
who_of(const struct st_handle *h)
{
	return (struct access_who){
	    .user = h->user,
	    .group = h->group,
	    .groups = h->groups,
	    .group_nr = h->group_nr,
	};
}

static uint64_t
perms_of(const struct st_cont *cont, const struct st_handle *pool_handle)
{
	struct access_who who = who_of(pool_handle);

	/* Connected without a credential, which only an insecure system allows. */
	if (pool_handle->user == NULL)
		return DAOS_ACL_PERM_CONT_ALL;
	return access_perms(&cont->props, true, &who);
}

static Mgmt__ContInfo *
info_msg(struct arena *a, const struct st_cont *cont)
{
	Mgmt__ContInfo *m = arena_alloc(a, sizeof(*m));

	if (m == NULL)
		return NULL;
	mgmt__cont_info__init(m);
	m->uuid.data = arena_dup(a, cont->uuid, sizeof(uuid_t));
	m->uuid.len = sizeof(uuid_t);
	m->label = arena_str(a, cont->label);
	m->handle_nr = cont->handle_nr;
	m->open_time = cont->open_hlc;
	m->modify_time = cont->modify_hlc;
	m->redun_fac = (uint32_t)prop_num(&cont->props, DAOS_PROP_CO_REDUN_FAC, 0);
	return m->uuid.data != NULL && m->label != NULL ? m : NULL;
}

static int
capability(struct mgmt *mgmt, struct arena *a, const struct st_handle *h, ProtobufCBinaryData *ret)
{
	struct capability cap = {
	    .rights = h->rights & (CAP_READ | CAP_WRITE),
	    .expires_ms = env_real_ns(xs_env(mgmt->xs)) / 1000000 + CAP_LIFE_MS,
	    .generation = h->cont->generation,
	    .csum_type = (uint32_t)prop_num(&h->cont->props, DAOS_PROP_CO_CSUM, 0),
	    .csum_chunk = (uint32_t)prop_num(&h->cont->props, DAOS_PROP_CO_CSUM_CHUNK_SIZE, 0),
	    .csum_verify = prop_num(&h->cont->props, DAOS_PROP_CO_CSUM_SERVER_VERIFY, 0) ==
			   DAOS_PROP_CO_CSUM_SV_ON,
	    .rank_level =
		prop_num(&h->cont->props, DAOS_PROP_CO_REDUN_LVL, 0) == DAOS_PROP_CO_REDUN_RANK,
	};

	_Static_assert(CAP_READ == (int)DAOS_ACL_PERM_READ && CAP_WRITE == (int)DAOS_ACL_PERM_WRITE,
		       "rights of handles and capabilities are the same bits");
	uuid_copy(cap.pool, h->pool->uuid);
	uuid_copy(cap.cont, h->cont->uuid);
	uuid_copy(cap.handle, h->uuid);
	ret->data = arena_alloc(a, CAP_BYTES);
	ret->len = CAP_BYTES;
	if (ret->data == NULL)
		return -DER_NOMEM;
	return cap_encode(&cap, mgmt->st->cap_key, ret->data);
}

/* --- create and destroy ---------------------------------------------------------------------- */

static Mgmt__Prop *
owner_prop(struct arena *a, uint32_t type, const char *name)
{
	Mgmt__Prop *p = arena_alloc(a, sizeof(*p));

	if (p == NULL)
		return NULL;
	mgmt__prop__init(p);
	p->type = type;
	p->kind = PROP_KIND_STR;
	p->str = (char *)(name != NULL && name[0] != '\0' ? name : "root@");
	return p;
}

static int
create_props(struct arena *a, const Mgmt__ContCreateReq *msg, const struct st_handle *ph,
	     const char **ret_label, struct blob *ret_props)
{
	Mgmt__Prop **props = arena_alloc(a, (msg->n_props + 2) * sizeof(*props));
	size_t nr = 0;
	size_t i;
	int rc;

	*ret_label = "";
	if (props == NULL)
		return -DER_NOMEM;
	rc = prop_check_all(msg->props, msg->n_props, true, PROP_AT_CREATE);
	if (rc != 0)
		return rc;
	for (i = 0; i < msg->n_props; i++) {
		Mgmt__Prop *p = msg->props[i];

		if (p->type == DAOS_PROP_CO_LABEL) {
			if (strcmp(p->str, DAOS_PROP_CO_LABEL_DEFAULT) != 0)
				*ret_label = p->str;
			continue;
		}
		if (p->type == DAOS_PROP_CO_STATUS)
			continue; /* a new one is healthy */
		props[nr++] = p;
	}
	if (prop_find(props, nr, DAOS_PROP_CO_OWNER) == NULL)
		props[nr++] = owner_prop(a, DAOS_PROP_CO_OWNER, ph->user);
	if (prop_find(props, nr, DAOS_PROP_CO_OWNER_GROUP) == NULL)
		props[nr++] = owner_prop(a, DAOS_PROP_CO_OWNER_GROUP, ph->group);
	for (i = 0; i < nr; i++)
		if (props[i] == NULL)
			return -DER_NOMEM;
	rc = prop_complete(props, nr, true, &ph->pool->props, ret_props);
	if (rc == 0)
		rc = prop_set_num(
		    ret_props, DAOS_PROP_CO_STATUS,
		    DAOS_PROP_CO_STATUS_VAL(DAOS_PROP_CO_HEALTHY, 0, ph->pool->map_version));
	return rc;
}

int co_fn
svc_cont_create(struct mgmt *mgmt, struct ms_req *req)
{
	const Mgmt__ContCreateReq *msg = req->msg;
	const struct st_handle *ph = pool_handle_of(mgmt, &msg->pool, &msg->pool_handle);
	struct blob props = {0};
	const char *label;
	Ms__Cmd cmd;
	int rc;

	if (ph == NULL)
		return -DER_NO_HDL;
	if ((ph->rights & DAOS_ACL_PERM_CREATE_CONT) == 0)
		return -DER_NO_PERM;
	rc = create_props(&req->arena, msg, ph, &label, &props);
	if (rc == 0) {
		ms_cmd_start(mgmt, &cmd, MS_CMD_CONT_CREATE);
		ms_cmd_ident(&cmd, msg->id);
		cmd.pool = msg->pool;
		cmd.name = (char *)label;
		cmd.blob.data = props.data;
		cmd.blob.len = props.len;
		cmd.req.data = (uint8_t *)req->body;
		cmd.req.len = req->body_len;
		rc = ms_commit(mgmt, &cmd, NULL);
	}
	blob_fini(&props);
	return rc;
}

int co_fn
svc_cont_destroy(struct mgmt *mgmt, struct ms_req *req)
{
	const Mgmt__ContDestroyReq *msg = req->msg;
	const struct st_handle *ph = pool_handle_of(mgmt, &msg->pool, &msg->pool_handle);
	const struct st_cont *cont;
	uuid_t cont_uuid = {0};
	Ms__CmdRep *cmd_rep;
	struct blob rep = {0};
	Ms__Cmd cmd;
	int rc;

	if (ph == NULL)
		return -DER_NO_HDL;
	cont = state_cont_by_name(ph->pool, msg->cont);
	if (cont != NULL) {
		if ((ph->flags & (DAOS_PC_RW | DAOS_PC_EX)) == 0)
			return -DER_NO_PERM;
		if ((ph->rights & DAOS_ACL_PERM_DEL_CONT) == 0 &&
		    (perms_of(cont, ph) & DAOS_ACL_PERM_DEL_CONT) == 0)
			return -DER_NO_PERM;
		uuid_copy(cont_uuid, cont->uuid);
	}
	/* Not found: perhaps a repetition, whose result is kept under its identity. */
	ms_cmd_start(mgmt, &cmd, MS_CMD_CONT_DESTROY);
	ms_cmd_ident(&cmd, msg->id);
	cmd.pool = msg->pool;
	cmd.cont.data = cont_uuid;
	cmd.cont.len = sizeof(cont_uuid);
	cmd.req.data = (uint8_t *)req->body;
	cmd.req.len = req->body_len;
	rc = ms_commit(mgmt, &cmd, &rep);
	if (rc == 0) {
		cmd_rep = ms__cmd_rep__unpack(NULL, rep.len, rep.data);
		if (cmd_rep != NULL && cmd_rep->uuid.len == sizeof(uuid_t))
			/* Ranks that do not answer now are asked again in the background. */
			ms_cont_reap(mgmt, msg->pool.data, cmd_rep->uuid.data);
		if (cmd_rep != NULL)
			ms__cmd_rep__free_unpacked(cmd_rep, NULL);
	}
	blob_fini(&rep);
	return rc;
}

/* --- handles --------------------------------------------------------------------------------- */

static int
open_rights(const struct st_cont *cont, const struct st_handle *ph, uint64_t flags,
	    uint64_t *ret_rights)
{
	static const uint64_t read_any =
	    DAOS_ACL_PERM_READ | DAOS_ACL_PERM_GET_PROP | DAOS_ACL_PERM_GET_ACL;
	static const uint64_t write_any = DAOS_ACL_PERM_WRITE | DAOS_ACL_PERM_SET_PROP |
					  DAOS_ACL_PERM_SET_ACL | DAOS_ACL_PERM_SET_OWNER |
					  DAOS_ACL_PERM_DEL_CONT;
	uint64_t mode = flags & DAOS_COO_IO_BASE_MASK;
	uint64_t perms = perms_of(cont, ph);

	if ((flags & ~(uint64_t)DAOS_COO_MASK) != 0)
		return -DER_INVAL;
	if (mode != DAOS_COO_RO && mode != DAOS_COO_RW && mode != DAOS_COO_EX)
		return -DER_INVAL;
	if (mode == DAOS_COO_RO) {
		if ((perms & read_any) == 0)
			return -DER_NO_PERM;
		perms &= read_any;
	} else {
		if ((perms & write_any) == 0 || (ph->flags & (DAOS_PC_RW | DAOS_PC_EX)) == 0)
			return -DER_NO_PERM;
	}
	*ret_rights = perms;
	return 0;
}

static bool
is_unclean(const struct st_cont *cont)
{
	struct daos_co_status status;

	daos_prop_val_2_co_status(prop_num(&cont->props, DAOS_PROP_CO_STATUS, 0), &status);
	return status.dcs_status == DAOS_PROP_CO_UNCLEAN;
}

static int
open_reply(struct mgmt *mgmt, struct ms_req *req, const ProtobufCBinaryData *handle)
{
	const struct st_handle *h = cont_handle_of(mgmt, handle);
	Mgmt__ContOpenRep *rep = ms_new(req, Mgmt__ContOpenRep, mgmt__cont_open_rep__init);
	struct arena *a = &req->arena;
	int rc;

	if (rep == NULL)
		return -DER_NOMEM;
	if (h == NULL)
		return -DER_NO_HDL;
	rep->info = info_msg(a, h->cont);
	if (rep->info == NULL)
		return -DER_NOMEM;
	rep->cap_expire_ms = CAP_LIFE_MS;
	rep->rights = h->rights;
	rc = capability(mgmt, a, h, &rep->capability);
	if (rc == 0)
		rc = ms_props_msg(a, h->pool, h->cont, &rep->props, &rep->n_props);
	req->reply = &rep->base;
	return rc;
}

int co_fn
svc_cont_open(struct mgmt *mgmt, struct ms_req *req)
{
	const Mgmt__ContOpenReq *msg = req->msg;
	const struct st_handle *ph = pool_handle_of(mgmt, &msg->pool, &msg->pool_handle);
	const struct st_cont *cont;
	uint64_t rights;
	uuid_t uuid;
	Ms__Cmd cmd;
	int rc;

	if (ph == NULL)
		return -DER_NO_HDL;
	if (msg->handle.len != sizeof(uuid_t))
		return -DER_INVAL;
	cont = state_cont_by_name(ph->pool, msg->cont);
	if (cont == NULL)
		return -DER_NONEXIST;
	if (is_unclean(cont) && (msg->flags & DAOS_COO_FORCE) == 0)
		return -DER_RF;
	rc = open_rights(cont, ph, msg->flags, &rights);
	if (rc != 0)
		return rc;
	uuid_copy(uuid, cont->uuid);
	ms_cmd_start(mgmt, &cmd, MS_CMD_CONT_OPEN);
	ms_cmd_ident(&cmd, msg->id);
	cmd.pool = msg->pool;
	cmd.cont.data = uuid;
	cmd.cont.len = sizeof(uuid);
	cmd.number = rights;
	cmd.req.data = (uint8_t *)req->body;
	cmd.req.len = req->body_len;
	rc = ms_commit(mgmt, &cmd, NULL);
	return rc != 0 ? rc : open_reply(mgmt, req, &msg->handle);
}

int co_fn
svc_cont_close(struct mgmt *mgmt, struct ms_req *req)
{
	const Mgmt__ContCloseReq *msg = req->msg;
	Ms__Cmd cmd;

	ms_cmd_start(mgmt, &cmd, MS_CMD_CONT_CLOSE);
	ms_cmd_ident(&cmd, msg->id);
	cmd.handle = msg->handle;
	return ms_commit(mgmt, &cmd, NULL);
}

int co_fn
svc_cont_renew(struct mgmt *mgmt, struct ms_req *req)
{
	const Mgmt__ContRenewReq *msg = req->msg;
	const struct st_handle *h = cont_handle_of(mgmt, &msg->cont_handle);
	Mgmt__ContRenewRep *rep = ms_new(req, Mgmt__ContRenewRep, mgmt__cont_renew_rep__init);

	if (rep == NULL)
		return -DER_NOMEM;
	if (h == NULL)
		return -DER_NO_HDL;
	rep->cap_expire_ms = CAP_LIFE_MS;
	req->reply = &rep->base;
	return capability(mgmt, &req->arena, h, &rep->capability);
}

/* --- query, list, ids ------------------------------------------------------------------------ */

int co_fn
svc_cont_query(struct mgmt *mgmt, struct ms_req *req)
{
	const Mgmt__ContQueryReq *msg = req->msg;
	const struct st_handle *h = cont_handle_of(mgmt, &msg->cont_handle);
	Mgmt__ContQueryRep *rep = ms_new(req, Mgmt__ContQueryRep, mgmt__cont_query_rep__init);

	if (rep == NULL)
		return -DER_NOMEM;
	if (h == NULL)
		return -DER_NO_HDL;
	rep->info = info_msg(&req->arena, h->cont);
	if (rep->info == NULL)
		return -DER_NOMEM;
	req->reply = &rep->base;
	return ms_props_msg(&req->arena, h->pool, h->cont, &rep->props, &rep->n_props);
}

int co_fn
svc_cont_list(struct mgmt *mgmt, struct ms_req *req)
{
	const Mgmt__ContListReq *msg = req->msg;
	const struct st_pool *pool = state_pool_by_name(mgmt->st, msg->pool);
	Mgmt__ContListRep *rep = ms_new(req, Mgmt__ContListRep, mgmt__cont_list_rep__init);
	struct arena *a = &req->arena;
	uint32_t pos = 0;
	size_t bytes = 0;
	bool found;

	if (rep == NULL)
		return -DER_NOMEM;
	if (pool == NULL || pool->state != POOL_ST_READY)
		return -DER_NONEXIST;
	if (msg->after.len == sizeof(uuid_t)) {
		pos = uvec_pos(&pool->conts, msg->after.data, &found);
		if (found)
			pos++;
	}
	rep->conts = arena_alloc(a, (pool->conts.nr - pos) * sizeof(*rep->conts));
	rep->layouts = arena_alloc(a, (pool->conts.nr - pos) * sizeof(*rep->layouts));
	if (rep->conts == NULL || rep->layouts == NULL)
		return -DER_NOMEM;
	for (; pos < pool->conts.nr; pos++) {
		const struct st_cont *cont = pool->conts.v[pos];
		Mgmt__ContInfo *info = info_msg(a, cont);

		if (info == NULL)
			return -DER_NOMEM;
		bytes += mgmt__cont_info__get_packed_size(info) + 8;
		if (bytes > MS_REPLY_MAX && rep->n_conts > 0) {
			rep->more = true;
			break;
		}
		rep->conts[rep->n_conts++] = info;
		rep->layouts[rep->n_layouts++] =
		    (uint32_t)prop_num(&cont->props, DAOS_PROP_CO_LAYOUT_TYPE, 0);
	}
	req->reply = &rep->base;
	return 0;
}

int co_fn
svc_cont_alloc_oids(struct mgmt *mgmt, struct ms_req *req)
{
	const Mgmt__ContAllocOidsReq *msg = req->msg;
	const struct st_handle *h = cont_handle_of(mgmt, &msg->cont_handle);
	struct blob rep = {0};
	uuid_t pool;
	uuid_t cont;
	Ms__Cmd cmd;
	int rc;

	if (h == NULL)
		return -DER_NO_HDL;
	if ((h->rights & DAOS_ACL_PERM_WRITE) == 0)
		return -DER_NO_PERM;
	if (msg->nr == 0)
		return -DER_INVAL;
	uuid_copy(pool, h->pool->uuid);
	uuid_copy(cont, h->cont->uuid);
	ms_cmd_start(mgmt, &cmd, MS_CMD_CONT_ALLOC_OIDS);
	ms_cmd_ident(&cmd, msg->id);
	cmd.pool.data = pool;
	cmd.pool.len = sizeof(pool);
	cmd.cont.data = cont;
	cmd.cont.len = sizeof(cont);
	cmd.number = msg->nr;
	rc = ms_commit(mgmt, &cmd, &rep);
	if (rc == 0) {
		Mgmt__ContAllocOidsRep *got =
		    mgmt__cont_alloc_oids_rep__unpack(NULL, rep.len, rep.data);
		Mgmt__ContAllocOidsRep *out =
		    ms_new(req, Mgmt__ContAllocOidsRep, mgmt__cont_alloc_oids_rep__init);

		if (got != NULL && out != NULL) {
			out->first = got->first;
			req->reply = &out->base;
		} else {
			rc = -DER_NOMEM;
		}
		if (got != NULL)
			mgmt__cont_alloc_oids_rep__free_unpacked(got, NULL);
	}
	blob_fini(&rep);
	return rc;
}
