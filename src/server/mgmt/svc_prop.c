/*
 * Properties and attributes of pools and containers. A request names them by label or uuid; when it
 * carries a handle, that handle's rights decide.
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
#include "proto/opcodes.h"
#include "server/mgmt/mgmt_internal.h"

struct target {
	struct st_pool *pool;
	struct st_cont *cont;           /* NULL: the pool */
	const struct st_handle *handle; /* NULL: an administrator */
};

static const struct st_handle *
handle_of(struct mgmt *mgmt, const ProtobufCBinaryData *b, int *rc)
{
	const struct st_handle *h = NULL;

	if (b->len == 0)
		return NULL;
	if (b->len == sizeof(uuid_t))
		h = state_handle(mgmt->st, b->data);
	if (h == NULL)
		*rc = -DER_NO_HDL;
	return h;
}

static int
target_of(struct mgmt *mgmt, const char *pool, const char *cont, const ProtobufCBinaryData *ph,
	  const ProtobufCBinaryData *ch, struct target *t)
{
	int rc = 0;

	memset(t, 0, sizeof(*t));
	t->pool = state_pool_by_name(mgmt->st, pool);
	if (t->pool == NULL || t->pool->state == POOL_ST_DESTROYING)
		return -DER_NONEXIST;
	if (cont[0] != '\0') {
		t->cont = state_cont_by_name(t->pool, cont);
		if (t->cont == NULL)
			return -DER_NONEXIST;
		t->handle = handle_of(mgmt, ch, &rc);
		if (rc != 0)
			return rc;
		if (t->handle != NULL && t->handle->cont != t->cont)
			return -DER_NO_HDL;
	} else {
		t->handle = handle_of(mgmt, ph, &rc);
		if (rc != 0)
			return rc;
		if (t->handle != NULL && (t->handle->pool != t->pool || t->handle->cont != NULL))
			return -DER_NO_HDL;
	}
	return 0;
}

static bool
may(const struct target *t, uint64_t perms)
{
	return t->handle == NULL || (t->handle->rights & perms) == perms;
}

/* Attributes are data of whoever may write. */
static bool
may_write_attrs(const struct target *t)
{
	if (t->handle == NULL)
		return true;
	if (t->cont != NULL)
		return (t->handle->flags & (DAOS_COO_RW | DAOS_COO_EX)) != 0;
	return (t->handle->flags & (DAOS_PC_RW | DAOS_PC_EX)) != 0;
}

/* --- properties ------------------------------------------------------------------------------ */

int co_fn
svc_get_prop(struct mgmt *mgmt, struct ms_req *req)
{
	const Mgmt__PropGetReq *msg = req->msg;
	struct target t;
	int rc;

	rc = target_of(mgmt, msg->pool, msg->cont, &msg->pool_handle, &msg->cont_handle, &t);
	if (rc != 0)
		return rc;
	if (t.cont != NULL && !may(&t, DAOS_ACL_PERM_GET_PROP))
		return -DER_NO_PERM;
	Mgmt__PropGetRep *rep = ms_new(req, Mgmt__PropGetRep, mgmt__prop_get_rep__init);

	if (rep == NULL)
		return -DER_NOMEM;
	rc = ms_props_msg(&req->arena, t.pool, t.cont, &rep->props, &rep->n_props);
	req->reply = &rep->base;
	return rc;
}

/* Rights for what is to be changed. */
static bool
may_set(const struct target *t, const Mgmt__PropSetReq *msg)
{
	size_t i;

	if (t->handle == NULL)
		return true;
	if (t->cont == NULL)
		return false; /* pools are changed by administrators */
	for (i = 0; i < msg->n_props; i++) {
		uint64_t need = DAOS_ACL_PERM_SET_PROP;

		if (msg->props[i]->type == DAOS_PROP_CO_ACL)
			need = DAOS_ACL_PERM_SET_ACL;
		if (msg->props[i]->type == DAOS_PROP_CO_OWNER ||
		    msg->props[i]->type == DAOS_PROP_CO_OWNER_GROUP)
			need = DAOS_ACL_PERM_SET_OWNER;
		if (!may(t, need))
			return false;
	}
	return true;
}

static bool
for_engines(const Mgmt__PropSetReq *msg)
{
	size_t i;

	for (i = 0; i < msg->n_props; i++)
		if (msg->props[i]->type == DAOS_PROP_PO_DATA_THRESH ||
		    msg->props[i]->type == DAOS_PROP_PO_RECLAIM)
			return true;
	return false;
}

int co_fn
svc_set_prop(struct mgmt *mgmt, struct ms_req *req)
{
	const Mgmt__PropSetReq *msg = req->msg;
	Mgmt__PropSetReq copy = *msg;
	struct target t;
	Ms__Cmd cmd;
	uuid_t pool;
	uuid_t cont;
	size_t i;
	int rc;

	rc = target_of(mgmt, msg->pool, msg->cont, &msg->pool_handle, &msg->cont_handle, &t);
	if (rc != 0)
		return rc;
	if (msg->n_props == 0)
		return -DER_INVAL;
	rc = prop_check_all(msg->props, msg->n_props, t.cont != NULL, PROP_AT_SET);
	if (rc != 0)
		return rc;
	if (!may_set(&t, msg))
		return -DER_NO_PERM;
	/* Declared healthy: failures count from the present map on. */
	copy.props = arena_alloc(&req->arena, msg->n_props * sizeof(*copy.props));
	if (copy.props == NULL)
		return -DER_NOMEM;
	for (i = 0; i < msg->n_props; i++) {
		copy.props[i] = msg->props[i];
		if (t.cont != NULL && msg->props[i]->type == DAOS_PROP_CO_STATUS) {
			Mgmt__Prop *p = arena_dup(&req->arena, msg->props[i], sizeof(*p));

			if (p == NULL)
				return -DER_NOMEM;
			p->num =
			    DAOS_PROP_CO_STATUS_VAL(DAOS_PROP_CO_HEALTHY, 0, t.pool->map_version);
			copy.props[i] = p;
		}
	}
	ms_cmd_start(mgmt, &cmd, t.cont != NULL ? MS_CMD_CONT_PROP_SET : MS_CMD_POOL_PROP_SET);
	ms_cmd_ident(&cmd, msg->id);
	uuid_copy(pool, t.pool->uuid);
	cmd.pool.data = pool;
	cmd.pool.len = sizeof(pool);
	if (t.cont != NULL) {
		uuid_copy(cont, t.cont->uuid);
		cmd.cont.data = cont;
		cmd.cont.len = sizeof(cont);
	}
	cmd.req.len = mgmt__prop_set_req__get_packed_size(&copy);
	cmd.req.data = arena_alloc(&req->arena, cmd.req.len);
	if (cmd.req.data == NULL)
		return -DER_NOMEM;
	mgmt__prop_set_req__pack(&copy, cmd.req.data);
	rc = ms_commit(mgmt, &cmd, NULL);
	/* those it does not reach learn of it with a heartbeat */
	if (rc == 0 && t.cont == NULL && for_engines(msg))
		ms_map_push(mgmt, pool);
	return rc;
}

/* --- attributes ------------------------------------------------------------------------------ */

static const Mgmt__Attr *
attr_find(Mgmt__Attr *const *attrs, size_t nr, const char *name)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (strcmp(attrs[i]->name, name) == 0)
			return attrs[i];
	return NULL;
}

static int
attr_copy(struct arena *a, const Mgmt__Attr *src, bool names_only, Mgmt__Attr **ret)
{
	Mgmt__Attr *m = arena_alloc(a, sizeof(*m));

	if (m == NULL)
		return -DER_NOMEM;
	mgmt__attr__init(m);
	m->name = arena_str(a, src->name);
	if (!names_only) {
		m->value.data = arena_dup(a, src->value.data, src->value.len);
		m->value.len = src->value.len;
		if (m->value.data == NULL)
			return -DER_NOMEM;
	}
	*ret = m;
	return m->name != NULL ? 0 : -DER_NOMEM;
}

/* The attributes that the request names (names_only: all names) from a packed list. */
int
svc_attrs_reply(struct ms_req *req, const struct blob *list, bool names_only)
{
	const Mgmt__AttrReq *msg = req->msg;
	Mgmt__AttrRep *rep = ms_new(req, Mgmt__AttrRep, mgmt__attr_rep__init);
	Mgmt__AttrRep *all = mgmt__attr_rep__unpack(NULL, list->len, list->data);
	size_t want = names_only || msg->n_attrs == 0 ? 0 : msg->n_attrs;
	size_t i;
	int rc = 0;

	if (rep == NULL || all == NULL) {
		if (all != NULL)
			mgmt__attr_rep__free_unpacked(all, NULL);
		return -DER_NOMEM;
	}
	rep->attrs = arena_alloc(&req->arena, (want + all->n_attrs) * sizeof(*rep->attrs));
	if (rep->attrs == NULL)
		rc = -DER_NOMEM;
	for (i = 0; rc == 0 && i < want; i++) {
		const Mgmt__Attr *attr = attr_find(all->attrs, all->n_attrs, msg->attrs[i]->name);

		if (attr == NULL)
			rc = -DER_NONEXIST;
		else
			rc = attr_copy(&req->arena, attr, false, &rep->attrs[rep->n_attrs++]);
	}
	for (i = 0; rc == 0 && want == 0 && i < all->n_attrs; i++)
		rc = attr_copy(&req->arena, all->attrs[i], names_only, &rep->attrs[rep->n_attrs++]);
	mgmt__attr_rep__free_unpacked(all, NULL);
	req->reply = &rep->base;
	return rc;
}

static int
attr_target(struct mgmt *mgmt, const Mgmt__AttrReq *msg, struct target *t)
{
	return target_of(mgmt, msg->pool, msg->cont, &msg->pool_handle, &msg->cont_handle, t);
}

static int co_fn
attr_change(struct mgmt *mgmt, struct ms_req *req, bool del)
{
	const Mgmt__AttrReq *msg = req->msg;
	struct target t;
	Ms__Cmd cmd;
	uuid_t pool;
	uuid_t cont;
	size_t i;
	int rc;

	rc = attr_target(mgmt, msg, &t);
	if (rc != 0)
		return rc;
	if (!may_write_attrs(&t))
		return -DER_NO_PERM;
	if (msg->n_attrs == 0)
		return -DER_INVAL;
	for (i = 0; i < msg->n_attrs; i++) {
		size_t len = strlen(msg->attrs[i]->name);

		if (len == 0 || len > ST_ATTR_NAME_MAX ||
		    msg->attrs[i]->value.len > ST_ATTR_VALUE_MAX)
			return -DER_INVAL;
	}
	if (t.cont != NULL)
		ms_cmd_start(mgmt, &cmd, del ? MS_CMD_CONT_ATTR_DEL : MS_CMD_CONT_ATTR_SET);
	else
		ms_cmd_start(mgmt, &cmd, del ? MS_CMD_POOL_ATTR_DEL : MS_CMD_POOL_ATTR_SET);
	ms_cmd_ident(&cmd, msg->id);
	uuid_copy(pool, t.pool->uuid);
	cmd.pool.data = pool;
	cmd.pool.len = sizeof(pool);
	if (t.cont != NULL) {
		uuid_copy(cont, t.cont->uuid);
		cmd.cont.data = cont;
		cmd.cont.len = sizeof(cont);
	}
	cmd.req.data = (uint8_t *)req->body;
	cmd.req.len = req->body_len;
	return ms_commit(mgmt, &cmd, NULL);
}

int co_fn
svc_attr_set(struct mgmt *mgmt, struct ms_req *req)
{
	return attr_change(mgmt, req, false);
}

int co_fn
svc_attr_del(struct mgmt *mgmt, struct ms_req *req)
{
	return attr_change(mgmt, req, true);
}

int co_fn
svc_attr_get(struct mgmt *mgmt, struct ms_req *req)
{
	struct target t;
	int rc = attr_target(mgmt, req->msg, &t);

	if (rc != 0)
		return rc;
	return svc_attrs_reply(req, t.cont != NULL ? &t.cont->attrs : &t.pool->attrs, false);
}

int co_fn
svc_attr_list(struct mgmt *mgmt, struct ms_req *req)
{
	struct target t;
	int rc = attr_target(mgmt, req->msg, &t);

	if (rc != 0)
		return rc;
	return svc_attrs_reply(req, t.cont != NULL ? &t.cont->attrs : &t.pool->attrs, true);
}
