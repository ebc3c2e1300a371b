/*
 * Key-value objects: a key is a dkey, its value the single value under one fixed akey.
 */
#define LOG_FACILITY "kv"

#include <stdlib.h>
#include <string.h>

#include <daos_kv.h>

#include "client/event/event.h"
#include "client/object/obj.h"
#include "base/err.h"

static char kv_akey[] = "0";

static struct obj *
kv_get_obj(struct client *client, daos_handle_t oh)
{
	return handle_get(client_handles(client), oh, DAOS_HTYPE_KV);
}

static void
kv_free(void *arg)
{
	obj_unref(arg);
}

int
daos_kv_open(daos_handle_t coh, daos_obj_id_t oid, unsigned int mode, daos_handle_t *oh,
	     daos_event_t *ev)
{
	struct client *client = client_default();
	struct cont *cont;
	struct obj *obj;
	int rc;

	if (client == NULL)
		return -DER_UNINIT;
	if (oh == NULL)
		return -DER_INVAL;
	if (!daos_is_kv(oid))
		return op_done(ev, -DER_INVAL);
	cont = cont_hdl_get(client, coh);
	if (cont == NULL)
		return op_done(ev, -DER_NO_HDL);
	rc = obj_open(cont, oid, mode, &obj);
	cont_hdl_put(client, coh);
	if (rc == 0) {
		rc = handle_add(client_handles(client), DAOS_HTYPE_KV, obj, kv_free, oh);
		if (rc != 0)
			obj_unref(obj);
	}
	return op_done(ev, rc);
}

int
daos_kv_close(daos_handle_t oh, daos_event_t *ev)
{
	struct client *client = client_default();

	if (client == NULL)
		return -DER_UNINIT;
	return op_done(ev, handle_close(client_handles(client), oh, DAOS_HTYPE_KV));
}

/* --- values --- */

struct kv_args {
	daos_handle_t oh;
	daos_handle_t th;
	uint64_t flags;
	const char *key; /* NULL: the whole object */
	daos_size_t size;
	daos_size_t *ret_size;
	void *buf;
};

static int
kv_key(const struct obj *obj, const struct kv_args *args, daos_key_t *ret_dkey)
{
	size_t len;

	if (args->key == NULL)
		return -DER_INVAL;
	len = daos_is_dkey_uint64(obj->oid) ? sizeof(uint64_t) : strlen(args->key);
	if (len == 0)
		return -DER_INVAL;
	if (len > OBJ_KEY_MAX)
		return -DER_KEY2BIG;
	d_iov_set(ret_dkey, (void *)args->key, len);
	return 0;
}

static void
kv_iod(daos_iod_t *iod, daos_size_t size)
{
	memset(iod, 0, sizeof(*iod));
	d_iov_set(&iod->iod_name, kv_akey, 1);
	iod->iod_type = DAOS_IOD_SINGLE;
	iod->iod_size = size;
	iod->iod_nr = 1;
}

static int co_fn
kv_put_run(struct op *op, struct obj *obj, const struct kv_args *args)
{
	struct iovec iov = {.iov_base = args->buf, .iov_len = args->size};
	uint64_t size = args->size;
	daos_key_t dkey;
	daos_iod_t iod;
	struct obj_io io = {.flags = args->flags,
			    .dkey = &dkey,
			    .iod_nr = 1,
			    .iods = &iod,
			    .sizes = &size,
			    .iov = &iov,
			    .iov_nr = 1};
	int rc;

	rc = obj_check_writable(obj);
	if (rc == 0)
		rc = kv_key(obj, args, &dkey);
	if (rc != 0)
		return rc;
	kv_iod(&iod, size);
	return obj_update(op, obj, &io);
}

static int co_fn
kv_get_run(struct op *op, struct obj *obj, const struct kv_args *args)
{
	uint64_t room = args->buf == NULL ? 0 : *args->ret_size;
	struct iovec iov = {.iov_base = args->buf, .iov_len = room};
	daos_key_t dkey;
	daos_iod_t iod;
	struct obj_io io = {.flags = args->flags,
			    .dkey = &dkey,
			    .iod_nr = 1,
			    .iods = &iod,
			    .sizes = &room,
			    .iov = &iov,
			    .iov_nr = room > 0 ? 1 : 0,
			    .size_only = room == 0};
	int rc;

	rc = kv_key(obj, args, &dkey);
	if (rc != 0)
		return rc;
	kv_iod(&iod, DAOS_REC_ANY);
	rc = obj_fetch(op, obj, &io);
	if (rc == 0 || rc == -DER_REC2BIG)
		*args->ret_size = iod.iod_size;
	return rc;
}

static int co_fn
kv_remove_run(struct op *op, struct obj *obj, const struct kv_args *args)
{
	daos_key_t dkey;
	int rc;

	rc = obj_check_writable(obj);
	if (rc == 0 && args->key != NULL)
		rc = kv_key(obj, args, &dkey);
	if (rc != 0)
		return rc;
	return obj_punch(op, obj, args->flags, args->key == NULL ? NULL : &dkey, 0, NULL);
}

/* Run fn with the object behind the handle. */
static int co_fn
kv_with(struct op *op, void *arg, int (*fn)(struct op *op, struct obj *obj, const struct kv_args *))
{
	const struct kv_args *args = arg;
	struct obj *obj = kv_get_obj(op->ctx->client, args->oh);
	int rc;

	if (obj == NULL)
		return -DER_NO_HDL;
	rc = obj_check_tx(args->th);
	if (rc == 0)
		rc = fn(op, obj, args);
	handle_put(client_handles(op->ctx->client), args->oh);
	return rc;
}

static int co_fn
kv_put_op(struct op *op, void *arg)
{
	return kv_with(op, arg, kv_put_run);
}

static int co_fn
kv_get_op(struct op *op, void *arg)
{
	return kv_with(op, arg, kv_get_run);
}

static int co_fn
kv_remove_op(struct op *op, void *arg)
{
	return kv_with(op, arg, kv_remove_run);
}

int
daos_kv_put(daos_handle_t oh, daos_handle_t th, uint64_t flags, const char *key, daos_size_t size,
	    const void *buf, daos_event_t *ev)
{
	struct kv_args args = {
	    .oh = oh, .th = th, .flags = flags, .key = key, .size = size, .buf = (void *)buf};

	if (key == NULL || buf == NULL || size == 0 || (flags & ~DAOS_COND_MASK))
		return -DER_INVAL;
	return op_run(ev, kv_put_op, &args, sizeof(args));
}

int
daos_kv_get(daos_handle_t oh, daos_handle_t th, uint64_t flags, const char *key, daos_size_t *size,
	    void *buf, daos_event_t *ev)
{
	struct kv_args args = {
	    .oh = oh, .th = th, .flags = flags, .key = key, .ret_size = size, .buf = buf};

	if (key == NULL || size == NULL || (flags & ~DAOS_COND_MASK))
		return -DER_INVAL;
	return op_run(ev, kv_get_op, &args, sizeof(args));
}

int
daos_kv_remove(daos_handle_t oh, daos_handle_t th, uint64_t flags, const char *key,
	       daos_event_t *ev)
{
	struct kv_args args = {.oh = oh, .th = th, .flags = flags, .key = key};

	if (key == NULL || (flags & ~DAOS_COND_PUNCH))
		return -DER_INVAL;
	return op_run(ev, kv_remove_op, &args, sizeof(args));
}

int
daos_kv_destroy(daos_handle_t oh, daos_handle_t th, daos_event_t *ev)
{
	struct kv_args args = {.oh = oh, .th = th};

	return op_run(ev, kv_remove_op, &args, sizeof(args));
}

/* --- list --- */

struct kv_list_args {
	daos_handle_t oh;
	daos_handle_t th;
	uint32_t *nr;
	daos_key_desc_t *kds;
	d_sg_list_t *sgl;
	daos_anchor_t *anchor;
};

static int co_fn
kv_list_op(struct op *op, void *arg)
{
	struct kv_list_args *args = arg;
	struct obj *obj = kv_get_obj(op->ctx->client, args->oh);
	int rc;

	if (obj == NULL)
		return -DER_NO_HDL;
	rc = obj_check_tx(args->th);
	if (rc == 0)
		rc = obj_list_keys(op, obj, NULL, args->nr, args->kds, args->sgl, args->anchor);
	handle_put(client_handles(op->ctx->client), args->oh);
	return rc;
}

int
daos_kv_list(daos_handle_t oh, daos_handle_t th, uint32_t *nr, daos_key_desc_t *kds,
	     d_sg_list_t *sgl, daos_anchor_t *anchor, daos_event_t *ev)
{
	struct kv_list_args args = {
	    .oh = oh, .th = th, .nr = nr, .kds = kds, .sgl = sgl, .anchor = anchor};

	if (nr == NULL || *nr == 0 || kds == NULL || sgl == NULL || sgl->sg_nr == 0 ||
	    anchor == NULL)
		return -DER_INVAL;
	return op_run(ev, kv_list_op, &args, sizeof(args));
}
