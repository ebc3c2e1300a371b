/* The bare client: builds one message, sends it, takes the reply apart. */
#include "server/engine/engine_testing.h"

#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/codec.h"
#include "proto/opcodes.h"
#include "runtime/xs.h"

enum { RETRY_NS = 20000000 };

static int co_fn
call_iov(struct raw *r, uint32_t opc, const struct iovec *iov, uint32_t nr,
	 struct rpc_call *ret_call)
{
	struct rpc_call *call = ret_call;
	int rc;

	*call = (struct rpc_call){
	    .opc = opc, .map_ver = r->map_ver, .hlc = r->hlc, .body = iov, .body_nr = nr};
	if (r->timeout_ns != 0)
		call->deadline_ns = xs_now_ns(r->xs) + r->timeout_ns;
	/* the first call after a restart of the peer finds out that the connection is gone */
	for (uint32_t i = 0;
	     (rc = rpc_call_send(r->ep, r->peer, call)) == -DER_UNREACH && i < r->retry_nr; i++)
		co_sleep_ns(RETRY_NS);
	if (rc != 0)
		return rc;
	r->reply_map_ver = call->reply_map_ver;
	r->reply_hlc = call->reply_hlc;
	if (call->reply_hlc > r->hlc)
		r->hlc = call->reply_hlc;
	return call->status;
}

int co_fn
raw_call(struct raw *r, uint32_t opc, const void *body, size_t len, struct rpc_call *ret_call)
{
	struct iovec iov = {.iov_base = (void *)body, .iov_len = len};

	return call_iov(r, opc, &iov, 1, ret_call);
}

void
raw_head(const struct raw *r, daos_obj_id_t oid, struct obj_head *ret_head)
{
	*ret_head = (struct obj_head){
	    .oid = oid,
	    .epoch = r->epoch != 0 ? r->epoch : UINT64_MAX,
	    .client = {r->client[0], r->client[1]},
	    .seq = r->seq,
	    .low_seq = r->seq,
	};
	cap_id(r->cap, ret_head->cap_id);
	if (r->send_cap) {
		ret_head->cap = r->cap;
		ret_head->cap_len = CAP_BYTES;
	}
}

void
raw_cap(struct raw *r, const uuid_t pool, const uuid_t cont, uint64_t rights, uint64_t expires_ms,
	const uint8_t key[CAP_KEY_BYTES])
{
	struct capability cap = {
	    .rights = rights,
	    .expires_ms = expires_ms,
	    .csum_type = r->csum_type,
	    .csum_chunk = 32 << 10,
	    .csum_verify = true,
	};

	uuid_copy(cap.pool, pool);
	uuid_copy(cap.cont, cont);
	if (cap_encode(&cap, key, r->cap) != 0)
		abort();
	r->send_cap = true;
}

static void
set_key(daos_key_t *key, const char *text)
{
	d_iov_set(key, (void *)text, strlen(text));
}

/* --- update --- */

static int co_fn
update(struct raw *r, daos_obj_id_t oid, const char *dkey, daos_iod_t *iod, const void *data,
       uint64_t len, bool bulk, uint64_t flags)
{
	struct iovec data_iov = {.iov_base = (void *)data, .iov_len = len};
	struct rpc_bulk_desc desc;
	struct rpc_bulk *rb = NULL;
	struct obj_scratch scratch = {0};
	struct obj_rw_rep rep;
	struct rpc_call call;
	struct codec_wr wr;
	struct iovec body[2];
	struct obj_rw m = {.iod_nr = 1, .iods = iod};
	int rc;

	raw_head(r, oid, &m.head);
	m.head.epoch = 0;
	m.head.flags = flags;
	set_key(&m.dkey, dkey);
	if (bulk) {
		rc = rpc_bulk_create(r->ep, &data_iov, 1, RPC_BULK_READ, &rb);
		if (rc != 0)
			return rc;
		desc = rpc_bulk_describe(rb);
		m.rw_flags = OBJ_RW_BULK;
		m.bulk = desc.bytes;
		m.bulk_len = desc.len;
	} else {
		m.inl_len = (uint32_t)len;
	}
	codec_wr_init(&wr, 0);
	obj_rw_encode(&wr, &m);
	body[0] = (struct iovec){.iov_base = wr.base, .iov_len = wr.len};
	body[1] = data_iov;
	rc = call_iov(r, OPC_OBJ_UPDATE, body, bulk ? 1 : 2, &call);
	if (rc == 0) {
		rc = obj_rw_rep_decode(call.reply, call.reply_len, &scratch, &rep);
		r->reply_epoch = rc == 0 ? rep.epoch : 0;
	}
	obj_scratch_fini(&scratch);
	rpc_call_fini(&call);
	codec_wr_fini(&wr);
	if (rb != NULL)
		rpc_bulk_destroy(rb);
	return rc;
}

int co_fn
raw_write(struct raw *r, daos_obj_id_t oid, const char *dkey, uint64_t off, const void *data,
	  uint64_t len, bool bulk, uint64_t flags)
{
	daos_recx_t rx = {.rx_idx = off, .rx_nr = len};
	daos_iod_t iod = {.iod_type = DAOS_IOD_ARRAY, .iod_size = 1, .iod_nr = 1, .iod_recxs = &rx};

	set_key(&iod.iod_name, "a");
	return update(r, oid, dkey, &iod, data, len, bulk, flags);
}

int co_fn
raw_put(struct raw *r, daos_obj_id_t oid, const char *dkey, const void *data, uint64_t len,
	uint64_t flags)
{
	daos_iod_t iod = {.iod_type = DAOS_IOD_SINGLE, .iod_size = len, .iod_nr = 1};

	set_key(&iod.iod_name, "s");
	return update(r, oid, dkey, &iod, data, len, len > OBJ_INLINE_MAX, flags);
}

/* --- fetch --- */

static int
take_pieces(const struct obj_rw_rep *rep, uint8_t *buf, uint64_t len, bool bulk, uint64_t *ret_data)
{
	const uint8_t *inl = rep->inl;
	uint64_t off = 0, data = 0;

	for (uint32_t p = 0; rep->piece_nr != NULL && p < rep->piece_nr[0]; p++) {
		uint64_t n = rep->piece_len[p] & ~OBJ_PIECE_HOLE;

		if (n > len - off)
			return -DER_PROTO;
		if (!(rep->piece_len[p] & OBJ_PIECE_HOLE)) {
			if (!bulk) {
				if (data + n > rep->inl_len)
					return -DER_PROTO;
				memcpy(buf + off, inl + data, n);
			}
			data += n;
		}
		off += n;
	}
	*ret_data = data;
	return 0;
}

static int co_fn
fetch(struct raw *r, daos_obj_id_t oid, const char *dkey, daos_iod_t *iod, void *buf, uint64_t len,
      bool bulk, uint64_t flags, uint32_t rw_flags, uint64_t *ret_size, uint64_t *ret_data)
{
	struct iovec data_iov = {.iov_base = buf, .iov_len = len};
	struct obj_scratch scratch = {0};
	struct rpc_bulk *rb = NULL;
	struct rpc_bulk_desc desc;
	struct obj_rw_rep rep;
	struct rpc_call call;
	struct codec_wr wr;
	struct obj_rw m = {.iod_nr = 1, .iods = iod, .data_sizes = &len, .rw_flags = rw_flags};
	int rc, rc2;

	raw_head(r, oid, &m.head);
	m.head.flags = flags;
	m.head.client[0] = m.head.client[1] = m.head.seq = m.head.low_seq = 0;
	set_key(&m.dkey, dkey);
	if (bulk) {
		rc = rpc_bulk_create(r->ep, &data_iov, 1, RPC_BULK_WRITE, &rb);
		if (rc != 0)
			return rc;
		desc = rpc_bulk_describe(rb);
		m.rw_flags |= OBJ_RW_BULK;
		m.bulk = desc.bytes;
		m.bulk_len = desc.len;
	}
	codec_wr_init(&wr, 0);
	obj_rw_encode(&wr, &m);
	rc = raw_call(r, OPC_OBJ_FETCH, wr.base, wr.len, &call);
	*ret_size = 0;
	*ret_data = 0;
	if (rc == 0 || rc == -DER_REC2BIG) {
		rc2 = obj_rw_rep_decode(call.reply, call.reply_len, &scratch, &rep);
		if (rc2 == 0 && rep.iod_nr != 1)
			rc2 = -DER_PROTO;
		if (rc2 == 0) {
			*ret_size = rep.sizes[0];
			r->reply_epoch = rep.epoch;
			if (rc == 0)
				rc2 = take_pieces(&rep, buf, len, bulk, ret_data);
		}
		if (rc2 != 0)
			rc = rc2;
	}
	obj_scratch_fini(&scratch);
	rpc_call_fini(&call);
	codec_wr_fini(&wr);
	if (rb != NULL)
		rpc_bulk_destroy(rb);
	return rc;
}

int co_fn
raw_read(struct raw *r, daos_obj_id_t oid, const char *dkey, uint64_t off, void *buf, uint64_t len,
	 bool bulk, uint64_t flags, uint64_t *ret_size, uint64_t *ret_data)
{
	daos_recx_t rx = {.rx_idx = off, .rx_nr = len};
	daos_iod_t iod = {.iod_type = DAOS_IOD_ARRAY, .iod_size = 1, .iod_nr = 1, .iod_recxs = &rx};

	set_key(&iod.iod_name, "a");
	return fetch(r, oid, dkey, &iod, buf, len, bulk, flags, 0, ret_size, ret_data);
}

int co_fn
raw_get(struct raw *r, daos_obj_id_t oid, const char *dkey, void *buf, uint64_t len,
	uint64_t *ret_size)
{
	daos_iod_t iod = {.iod_type = DAOS_IOD_SINGLE, .iod_nr = 1};
	uint64_t data;

	set_key(&iod.iod_name, "s");
	return fetch(r, oid, dkey, &iod, buf, len, len > OBJ_INLINE_MAX, 0, 0, ret_size, &data);
}

int co_fn
raw_size(struct raw *r, daos_obj_id_t oid, const char *dkey, uint64_t *ret_size)
{
	daos_iod_t iod = {.iod_type = DAOS_IOD_SINGLE, .iod_nr = 1};
	uint64_t data;

	set_key(&iod.iod_name, "s");
	return fetch(r, oid, dkey, &iod, NULL, 0, false, 0, OBJ_RW_SIZE_ONLY, ret_size, &data);
}

int co_fn
raw_punch(struct raw *r, daos_obj_id_t oid, const char *dkey, uint64_t flags)
{
	struct obj_punch m = {.has_dkey = dkey != NULL};
	struct rpc_call call;
	struct codec_wr wr;
	int rc;

	raw_head(r, oid, &m.head);
	m.head.epoch = 0;
	m.head.flags = flags;
	if (dkey != NULL)
		set_key(&m.dkey, dkey);
	codec_wr_init(&wr, 0);
	obj_punch_encode(&wr, &m);
	rc = raw_call(r, OPC_OBJ_PUNCH, wr.base, wr.len, &call);
	rpc_call_fini(&call);
	codec_wr_fini(&wr);
	return rc;
}
