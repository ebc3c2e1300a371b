/*
 * Punch, listing and key queries.
 *
 * A listing fills one reply: as many entries as the client wants and as fit into a message, then
 * the position after the last one. Keys are copied as they are met, for VOS does not hold them
 * longer than that.
 */
#define LOG_FACILITY "object"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/object/obj_internal.h"

/* --- punch --- */

/* Punch what one request names. */
static int co_fn
punch_vos(struct obj_svc *svc, const struct obj_punch *m, struct vos_cont *vos, uint64_t *ret_epoch)
{
	struct vos_oid oid = obj_oid(&m->head);
	struct vos_opid opid_buf;
	int rc;

	rc = obj_epoch_next(svc, ret_epoch);
	if (rc != 0)
		return rc;
	if (vos == NULL) /* nothing was ever written here */
		return (m->head.flags & DAOS_COND_PUNCH) != 0 ? -DER_NONEXIST : 0;
	rc = vos_punch(vos, &oid, *ret_epoch, m->head.flags, m->has_dkey ? &m->dkey : NULL,
		       m->akeys, m->akey_nr, obj_opid(&m->head, &opid_buf));
	return rc == -DER_ALREADY ? 0 : rc;
}

static int co_fn
punch_run(struct obj_svc *svc, const struct obj_punch *m, struct vos_cont *vos,
	  struct obj_punch_rep *rep)
{
	int rc, rc2;

	if (m->groups == OBJ_PUNCH_ALONE && vos != NULL) {
		rep->seen = svc->hlc.last;
		rc = obj_groups_read(vos, &m->head, &rep->set);
		if (rc != 0 || rep->set.prefix != 0)
			return rc;
	}
	if (m->groups == OBJ_PUNCH_MEMBER)
		obj_groups_punched(svc, &m->head);
	rc = punch_vos(svc, m, vos, &rep->epoch);
	rep->done = true;
	/* Also of an object that did not exist: its set may. */
	if (m->groups == OBJ_PUNCH_LAST && vos != NULL && (rc == 0 || rc == -DER_NONEXIST)) {
		rc2 = obj_groups_drop(svc, vos, &m->head, m->seen, &rep->set_stays);
		rc = rc2 != 0 ? rc2 : rc;
	}
	return rc;
}

static int co_fn
punch_serve(struct obj_svc *svc, struct rpc_in *in, const struct obj_punch *m,
	    struct cont_shard **ret_cont, struct obj_punch_rep *rep)
{
	struct vos_cont *vos;
	int rc;

	rc = obj_begin(svc, in, &m->head, CAP_WRITE, ret_cont);
	if (rc == 0 && dtx_redundant(m->head.oid)) {
		rc = obj_punch_lead(svc, in, m, *ret_cont, &rep->epoch);
		rep->done = true;
		svc->stats.punch_nr += rc == 0;
		return rc;
	}
	if (rc == 0)
		rc = cont_vos(*ret_cont, false, &vos);
	if (rc == 0)
		rc = punch_run(svc, m, vos, rep);
	if (rc == 0 && rep->done && vos != NULL) {
		svc->ops->wrote(svc->ops_arg, *ret_cont);
		svc->stats.punch_nr++;
	}
	return rc;
}

void
obj_punch_handle(struct rpc_in *in, void *arg)
{
	struct obj_svc *svc = arg;
	struct cont_shard *cont = NULL;
	struct obj_punch_rep rep = {0};
	struct obj_scratch scratch;
	uint8_t buf[128];
	struct codec_wr wr;
	struct obj_punch m;
	struct iovec body;
	int rc;

	obj_scratch_init(&scratch);
	rc = obj_punch_decode(in->body, in->body_len, &scratch, &m);
	if (rc == 0)
		rc = punch_serve(svc, in, &m, &cont, &rep);
	obj_scratch_fini(&scratch);
	codec_wr_init_fixed(&wr, buf, sizeof(buf));
	obj_punch_rep_encode(&wr, &rep);
	body = (struct iovec){.iov_base = wr.base, .iov_len = wr.len};
	obj_reply(svc, in, cont, rc, &body, rc == 0 ? 1 : 0);
	if (cont != NULL)
		cont_leave(cont);
}

/* --- listing --- */

static_assert(sizeof(struct vos_anchor) == OBJ_ANCHOR_BYTES, "a position travels as its bytes");

enum {
	LIST_BYTES_MAX = RPC_INLINE_MAX - 1024, /* of encoded entries */
	LIST_ENTRY_BYTES = 40,                  /* bound of what an entry takes beside a key */
	LIST_FIRST_NR = 128,
};

/* Entries gathered so far. One block of memory holds everything that belongs to an entry, another
 * the keys. */
struct list_out {
	struct obj_list_rep rep;
	uint8_t kind;
	uint32_t max_nr;
	uint32_t max_bytes; /* of keys */
	uint32_t cap;
	uint32_t encoded; /* bound of the encoded entries */
	uint8_t *keys;
	uint32_t key_bytes, key_cap;
};

static int
list_grow(struct list_out *out)
{
	struct obj_list_rep *r = &out->rep;
	uint32_t cap = out->cap == 0 ? (out->max_nr < LIST_FIRST_NR ? out->max_nr : LIST_FIRST_NR)
				     : out->cap * 2;
	bool ok = true;

#define GROW(field)                                                                                \
	do {                                                                                       \
		void *p_ = mem_realloc(r->field, cap, sizeof(*r->field));                          \
		if (p_ != NULL)                                                                    \
			r->field = p_;                                                             \
		else                                                                               \
			ok = false;                                                                \
	} while (0)
	switch (out->kind) {
	case OBJ_LIST_DKEY:
	case OBJ_LIST_AKEY:
		GROW(keys);
		break;
	case OBJ_LIST_OBJ:
		GROW(oids);
		GROW(shards);
		GROW(epochs);
		break;
	case OBJ_LIST_RECX:
		GROW(recxs);
		/* fall through */
	case OBJ_LIST_SINGLE:
		GROW(rec_sizes);
		GROW(epochs);
		break;
	}
#undef GROW
	if (!ok)
		return -DER_NOMEM;
	out->cap = cap;
	return 0;
}

static void
list_out_fini(struct list_out *out)
{
	free(out->rep.keys);
	free(out->rep.oids);
	free(out->rep.shards);
	free(out->rep.epochs);
	free(out->rep.recxs);
	free(out->rep.rec_sizes);
	free(out->keys);
}

/* 1: does not fit any more. The key is kept by its offset: the block may move. */
static int
list_key(struct list_out *out, const struct vos_entry *e)
{
	uint32_t i = out->rep.nr;

	if (out->key_bytes + e->key_len > out->max_bytes) {
		if (i == 0)
			out->rep.key2big = e->key_len;
		return 1;
	}
	if (out->key_bytes + e->key_len > out->key_cap) {
		uint32_t cap = out->key_cap == 0 ? 4096 : out->key_cap * 2;
		void *p;

		while (cap < out->key_bytes + e->key_len)
			cap *= 2;
		p = mem_realloc(out->keys, cap, 1);
		if (p == NULL)
			return -DER_NOMEM;
		out->keys = p;
		out->key_cap = cap;
	}
	if (e->key_len > 0)
		memcpy(out->keys + out->key_bytes, e->key, e->key_len);
	out->rep.keys[i] = (daos_key_t){.iov_len = e->key_len, .iov_buf_len = out->key_bytes};
	out->key_bytes += e->key_len;
	return 0;
}

static int
list_entry_cb(const struct vos_entry *e, void *arg)
{
	struct list_out *out = arg;
	struct obj_list_rep *r = &out->rep;
	uint32_t i = r->nr;
	int rc;

	if (i >= out->max_nr || out->encoded + LIST_ENTRY_BYTES + e->key_len > LIST_BYTES_MAX)
		return 1;
	if (i >= out->cap) {
		rc = list_grow(out);
		if (rc != 0)
			return rc;
	}
	switch (out->kind) {
	case OBJ_LIST_DKEY:
	case OBJ_LIST_AKEY:
		rc = list_key(out, e);
		if (rc != 0)
			return rc;
		out->encoded += 3 + e->key_len;
		break;
	case OBJ_LIST_OBJ:
		r->oids[i] = e->oid.id;
		r->shards[i] = e->oid.shard;
		r->epochs[i] = e->epoch;
		out->encoded += LIST_ENTRY_BYTES;
		break;
	case OBJ_LIST_RECX:
		r->recxs[i] = e->recx;
		/* fall through */
	case OBJ_LIST_SINGLE:
		r->rec_sizes[i] = e->rec_size;
		r->epochs[i] = e->epoch;
		out->encoded += LIST_ENTRY_BYTES;
		break;
	}
	r->nr++;
	return 0;
}

static int co_fn
list_run(struct obj_svc *svc, struct cont_shard *cont, const struct obj_list *m,
	 struct list_out *out)
{
	static const enum vos_list_kind kinds[] = {
	    [OBJ_LIST_OBJ] = VOS_LIST_OBJ,       [OBJ_LIST_DKEY] = VOS_LIST_DKEY,
	    [OBJ_LIST_AKEY] = VOS_LIST_AKEY,     [OBJ_LIST_RECX] = VOS_LIST_RECX,
	    [OBJ_LIST_SINGLE] = VOS_LIST_SINGLE,
	};
	struct vos_list list = {
	    .kind = kinds[m->kind],
	    .oid = obj_oid(&m->head),
	    .epoch = m->head.epoch != 0 ? m->head.epoch : UINT64_MAX,
	    .dkey = &m->dkey,
	    .akey = &m->akey,
	    .descending = m->descending,
	};
	struct vos_anchor anchor;
	struct vos_cont *vos;
	int rc;

	memcpy(&anchor, m->anchor, sizeof(anchor));
	rc = cont_vos(cont, false, &vos);
	if (rc != 0)
		return rc;
	if (vos == NULL) {
		memset(&anchor, 0, sizeof(anchor));
		anchor.state = 2;
	} else {
		struct obj_read_order ro;

		list.order = obj_read_order(&ro, m->head.oid);
		do {
			memcpy(&anchor, m->anchor, sizeof(anchor));
			out->rep.nr = 0;
			out->rep.key2big = 0;
			out->key_bytes = out->encoded = 0;
			rc = vos_list(vos, &list, &anchor, list_entry_cb, out);
		} while (obj_read_again(svc, cont, &ro, &rc));
		if (rc == 0 && m->want_set)
			rc = obj_groups_read(vos, &m->head, &out->rep.set);
		if (rc != 0)
			return rc;
	}
	memcpy(out->rep.anchor, &anchor, sizeof(anchor));
	out->rep.eof = anchor.state == 2;
	for (uint32_t i = 0; out->rep.keys != NULL && i < out->rep.nr; i++) {
		daos_key_t *key = &out->rep.keys[i];

		key->iov_buf = out->keys + key->iov_buf_len;
		key->iov_buf_len = key->iov_len;
	}
	return 0;
}

void
obj_list_handle(struct rpc_in *in, void *arg)
{
	struct obj_svc *svc = arg;
	struct cont_shard *cont = NULL;
	struct list_out out = {0};
	struct codec_wr wr;
	struct iovec body;
	struct obj_list m;
	int rc;

	codec_wr_init(&wr, RPC_INLINE_MAX);
	rc = obj_list_decode(in->body, in->body_len, NULL, &m);
	if (rc == 0)
		rc = obj_begin(svc, in, &m.head, CAP_READ, &cont);
	if (rc == 0 && (m.max_nr == 0 || m.anchor[0] > 2 || m.anchor[1] > OBJ_ANCHOR_BYTES - 2))
		rc = -DER_INVAL;
	if (rc == 0) {
		out.kind = m.kind;
		out.max_nr = m.max_nr < OBJ_LIST_MAX ? m.max_nr : OBJ_LIST_MAX;
		out.max_bytes = m.max_bytes < LIST_BYTES_MAX ? m.max_bytes : LIST_BYTES_MAX;
		rc = list_run(svc, cont, &m, &out);
	}
	if (rc == 0) {
		out.rep.epoch = obj_read_epoch(svc, &m.head);
		obj_list_rep_encode(&wr, m.kind, &out.rep);
		rc = codec_wr_err(&wr);
		svc->stats.list_nr++;
	}
	body = (struct iovec){.iov_base = wr.base, .iov_len = wr.len};
	obj_reply(svc, in, cont, rc, &body, rc == 0 ? 1 : 0);
	codec_wr_fini(&wr);
	list_out_fini(&out);
	if (cont != NULL)
		cont_leave(cont);
}

/* --- key query --- */

static int co_fn
query_run(struct obj_svc *svc, struct cont_shard *cont, const struct obj_query *m,
	  struct obj_query_rep *rep)
{
	uint64_t akey_num = 0;
	daos_key_t akey = m->akey;
	struct vos_query q = {
	    .oid = obj_oid(&m->head),
	    .epoch = m->head.epoch != 0 ? m->head.epoch : UINT64_MAX,
	    .flags = m->query_flags,
	    .dkey = m->dkey,
	    .akey = &akey,
	};
	struct obj_read_order ro;
	struct vos_cont *vos;
	int rc;

	rc = cont_vos(cont, false, &vos);
	rep->seen = svc->hlc.last; /* before the look */
	if (rc == 0 && vos != NULL && m->want_set)
		rc = obj_groups_read(vos, &m->head, &rep->set);
	if (rc != 0 || vos == NULL)
		return rc;
	if (m->query_flags & DAOS_GET_AKEY)
		d_iov_set(&akey, &akey_num, sizeof(akey_num));
	q.order = obj_read_order(&ro, m->head.oid);
	do {
		if (m->query_flags == 0) /* only the newest change is asked for */
			rc = vos_obj_max_epoch(vos, &q.oid, &q.max_epoch);
		else
			rc = vos_query_key(vos, &q);
	} while (obj_read_again(svc, cont, &ro, &rc));
	/* an array that was emptied has a newest change all the same */
	rep->max_epoch = q.max_epoch;
	if (rc == -DER_NONEXIST)
		return 0;
	if (rc != 0)
		return rc;
	rep->dkey = q.dkey;
	rep->akey = le64toh(akey_num);
	rep->recx = q.recx;
	rep->found = true;
	return 0;
}

void
obj_query_handle(struct rpc_in *in, void *arg)
{
	struct obj_svc *svc = arg;
	struct cont_shard *cont = NULL;
	struct obj_query_rep rep = {0};
	uint8_t buf[160];
	struct codec_wr wr;
	struct obj_query m;
	struct iovec body;
	int rc;

	rc = obj_query_decode(in->body, in->body_len, NULL, &m);
	if (rc == 0)
		rc = obj_begin(svc, in, &m.head, CAP_READ, &cont);
	if (rc == 0)
		rc = query_run(svc, cont, &m, &rep);
	if (rc == 0)
		svc->stats.query_nr++;
	codec_wr_init_fixed(&wr, buf, sizeof(buf));
	obj_query_rep_encode(&wr, &rep);
	body = (struct iovec){.iov_base = wr.base, .iov_len = wr.len};
	obj_reply(svc, in, cont, rc, &body, rc == 0 ? 1 : 0);
	if (cont != NULL)
		cont_leave(cont);
}
