/*
 * User attributes of pools and containers: a name and any bytes. One code for both; the caller says
 * whether the handle is a container's.
 */
#define LOG_FACILITY "pool"

#include <stdlib.h>
#include <string.h>

#include "client/cont/cont.h"
#include "client/event/event.h"
#include "client/pool/pool.h"
#include "client/pool/pool_internal.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "proto/opcodes.h"

/* The object of the handle, pinned while the operation lasts. */
struct attr_target {
	struct client *client;
	daos_handle_t hdl;
	struct pool *pool;
	struct cont *cont; /* NULL: the pool's attributes */
};

static int
target_get(struct op *op, const struct attr_args *args, struct attr_target *t)
{
	*t = (struct attr_target){.client = op->ctx->client, .hdl = args->hdl};
	if (args->is_cont) {
		t->cont = cont_hdl_get(t->client, t->hdl);
		t->pool = t->cont == NULL ? NULL : t->cont->pool;
	} else {
		t->pool = pool_hdl_get(t->client, t->hdl);
	}
	return t->pool == NULL ? -DER_NO_HDL : 0;
}

static void
target_put(struct attr_target *t)
{
	handle_put(client_handles(t->client), t->hdl);
}

static void
req_fill(const struct attr_target *t, Mgmt__AttrReq *req)
{
	req->pool = t->pool->uuid_str;
	req->pool_handle.data = t->pool->handle;
	req->pool_handle.len = sizeof(uuid_t);
	if (t->cont != NULL) {
		req->cont = t->cont->uuid_str;
		req->cont_handle.data = t->cont->handle;
		req->cont_handle.len = sizeof(uuid_t);
	}
}

static int
names_check(const struct attr_args *args)
{
	int i;

	if (args->nr <= 0 || args->names == NULL)
		return -DER_INVAL;
	for (i = 0; i < args->nr; i++)
		if (args->names[i] == NULL || args->names[i][0] == '\0' ||
		    strlen(args->names[i]) > DAOS_ATTR_NAME_MAX)
			return -DER_INVAL;
	return 0;
}

/* One request about the named attributes; with values when they are to be set. */
static int co_fn
attr_call(struct op *op, const struct attr_args *args, uint32_t pool_opc, uint32_t cont_opc,
	  bool changes, Mgmt__AttrRep **ret_rep)
{
	Mgmt__AttrReq req = MGMT__ATTR_REQ__INIT;
	CLEANUP(freep)
	Mgmt__Attr *attrs = NULL;
	CLEANUP(freep)
	Mgmt__Attr **ptrs = NULL;
	struct attr_target t;
	struct ms_conn *ms;
	struct ms_cmd cmd;
	int i, nr = args->names == NULL ? 0 : args->nr;
	int rc;

	attrs = mem_calloc(nr + 1, sizeof(*attrs));
	ptrs = mem_calloc(nr + 1, sizeof(*ptrs));
	if (attrs == NULL || ptrs == NULL)
		return -DER_NOMEM;
	rc = ctx_ms(op->ctx, &ms);
	if (rc == 0)
		rc = target_get(op, args, &t);
	if (rc != 0)
		return rc;
	for (i = 0; i < nr; i++) {
		mgmt__attr__init(&attrs[i]);
		attrs[i].name = (char *)args->names[i];
		if (args->values != NULL) {
			attrs[i].value.data = (uint8_t *)args->values[i];
			attrs[i].value.len = args->sizes[i];
		}
		ptrs[i] = &attrs[i];
	}
	req_fill(&t, &req);
	req.n_attrs = nr;
	req.attrs = ptrs;
	if (changes) {
		ms_cmd_begin(ms, &cmd);
		req.id = &cmd.id;
	}
	rc = op_ms_call(op, t.cont != NULL ? cont_opc : pool_opc, &req.base,
			ret_rep == NULL ? NULL : &mgmt__attr_rep__descriptor,
			(ProtobufCMessage **)ret_rep);
	if (changes)
		ms_cmd_end(&cmd);
	target_put(&t);
	return rc;
}

/* Names with their zeros, as many as fit; the size of all of them. */
int co_fn
attr_list_op(struct op *op, void *arg)
{
	struct attr_args *args = arg;
	Mgmt__AttrRep *rep = NULL;
	size_t total = 0, room = args->buffer == NULL ? 0 : *args->sizes;
	size_t i;
	int rc;

	args->names = NULL;
	rc = attr_call(op, args, OPC_MS_POOL_ATTR_LIST, OPC_MS_CONT_ATTR_LIST, false, &rep);
	if (rc != 0)
		return rc;
	for (i = 0; i < rep->n_attrs; i++) {
		size_t len = strlen(rep->attrs[i]->name) + 1;

		if (total + len <= room)
			memcpy(args->buffer + total, rep->attrs[i]->name, len);
		total += len;
	}
	*args->sizes = total;
	mgmt__attr_rep__free_unpacked(rep, NULL);
	return 0;
}

static const Mgmt__Attr *
attr_find(const Mgmt__AttrRep *rep, const char *name)
{
	size_t i;

	for (i = 0; i < rep->n_attrs; i++)
		if (strcmp(rep->attrs[i]->name, name) == 0)
			return rep->attrs[i];
	return NULL;
}

int co_fn
attr_get_op(struct op *op, void *arg)
{
	struct attr_args *args = arg;
	Mgmt__AttrRep *rep = NULL;
	int i, rc;

	rc = names_check(args);
	if (rc == 0 && args->sizes == NULL)
		rc = -DER_INVAL;
	if (rc == 0)
		rc = attr_call(op, args, OPC_MS_POOL_ATTR_GET, OPC_MS_CONT_ATTR_GET, false, &rep);
	if (rc != 0)
		return rc;
	for (i = 0; rc == 0 && i < args->nr; i++) {
		const Mgmt__Attr *attr = attr_find(rep, args->names[i]);

		if (attr == NULL) {
			rc = -DER_NONEXIST;
			break;
		}
		if (args->buffers != NULL && args->buffers[i] != NULL) {
			size_t len = attr->value.len;

			if (len > args->sizes[i])
				len = args->sizes[i];
			if (len > 0)
				memcpy(args->buffers[i], attr->value.data, len);
		}
		args->sizes[i] = attr->value.len;
	}
	mgmt__attr_rep__free_unpacked(rep, NULL);
	return rc;
}

int co_fn
attr_set_op(struct op *op, void *arg)
{
	struct attr_args *args = arg;
	int i, rc = names_check(args);

	if (rc == 0 && (args->values == NULL || args->sizes == NULL))
		rc = -DER_INVAL;
	for (i = 0; rc == 0 && i < args->nr; i++)
		if (args->values[i] == NULL || args->sizes[i] == 0)
			rc = -DER_INVAL;
	if (rc != 0)
		return rc;
	return attr_call(op, args, OPC_MS_POOL_ATTR_SET, OPC_MS_CONT_ATTR_SET, true, NULL);
}

int co_fn
attr_del_op(struct op *op, void *arg)
{
	struct attr_args *args = arg;
	int rc = names_check(args);

	if (rc != 0)
		return rc;
	return attr_call(op, args, OPC_MS_POOL_ATTR_DEL, OPC_MS_CONT_ATTR_DEL, true, NULL);
}

/* --- public functions --- */

static int
attr_list(daos_handle_t hdl, bool is_cont, char *buffer, size_t *size, daos_event_t *ev)
{
	struct attr_args args = {.hdl = hdl, .is_cont = is_cont, .buffer = buffer, .sizes = size};

	if (size == NULL)
		return -DER_INVAL;
	return op_run(ev, attr_list_op, &args, sizeof(args));
}

int
daos_pool_list_attr(daos_handle_t poh, char *buffer, size_t *size, daos_event_t *ev)
{
	return attr_list(poh, false, buffer, size, ev);
}

int
daos_cont_list_attr(daos_handle_t coh, char *buffer, size_t *size, daos_event_t *ev)
{
	return attr_list(coh, true, buffer, size, ev);
}

static int
attr_get(daos_handle_t hdl, bool is_cont, int n, char const *const names[], void *const buffers[],
	 size_t sizes[], daos_event_t *ev)
{
	struct attr_args args = {.hdl = hdl,
				 .is_cont = is_cont,
				 .nr = n,
				 .names = names,
				 .buffers = buffers,
				 .sizes = sizes};

	return op_run(ev, attr_get_op, &args, sizeof(args));
}

int
daos_pool_get_attr(daos_handle_t poh, int n, char const *const names[], void *const buffers[],
		   size_t sizes[], daos_event_t *ev)
{
	return attr_get(poh, false, n, names, buffers, sizes, ev);
}

int
daos_cont_get_attr(daos_handle_t coh, int n, char const *const names[], void *const buffers[],
		   size_t sizes[], daos_event_t *ev)
{
	return attr_get(coh, true, n, names, buffers, sizes, ev);
}

static int
attr_set(daos_handle_t hdl, bool is_cont, int n, char const *const names[],
	 void const *const values[], size_t const sizes[], daos_event_t *ev)
{
	struct attr_args args = {.hdl = hdl,
				 .is_cont = is_cont,
				 .nr = n,
				 .names = names,
				 .values = values,
				 .sizes = (size_t *)sizes};

	return op_run(ev, attr_set_op, &args, sizeof(args));
}

int
daos_pool_set_attr(daos_handle_t poh, int n, char const *const names[], void const *const values[],
		   size_t const sizes[], daos_event_t *ev)
{
	return attr_set(poh, false, n, names, values, sizes, ev);
}

int
daos_cont_set_attr(daos_handle_t coh, int n, char const *const names[], void const *const values[],
		   size_t const sizes[], daos_event_t *ev)
{
	return attr_set(coh, true, n, names, values, sizes, ev);
}

static int
attr_del(daos_handle_t hdl, bool is_cont, int n, char const *const names[], daos_event_t *ev)
{
	struct attr_args args = {.hdl = hdl, .is_cont = is_cont, .nr = n, .names = names};

	return op_run(ev, attr_del_op, &args, sizeof(args));
}

int
daos_pool_del_attr(daos_handle_t poh, int n, char const *const names[], daos_event_t *ev)
{
	return attr_del(poh, false, n, names, ev);
}

int
daos_cont_del_attr(daos_handle_t coh, int n, char const *const names[], daos_event_t *ev)
{
	return attr_del(coh, true, n, names, ev);
}
