/*
 * Changes of redundant objects: what server/dtx carries through, as updates and punches.
 *
 * The leader receives the data into reserved buffers as for any update and hands the change on
 * while nothing is entered yet: small data goes along in the message, of larger data the members
 * pull their copy out of the leader's buffers. A member keeps data and change as an intent. The
 * bytes that members hold are bounded apart from those of clients' requests: a leader that waits
 * for its members holds some of the latter, and two targets that lead and follow each other must
 * not wait in a circle.
 */
#define LOG_FACILITY "object"

#include <stdlib.h>

#include <daos_errno.h>

#include "base/err.h"
#include "base/iov.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/object/obj_internal.h"

enum { TAIL_MAX = 64 }; /* pieces of data sent along; more are pulled */

/* --- update, leader --- */

struct update {
	struct dtx_change c;
	struct obj_svc *svc;
	const struct obj_rw *m;
	struct vos_update *up; /* NULL once it was entered, or failed to be */
	uint64_t bytes;
	const struct iovec *iov;
	struct iovec *own_iov;
	uint32_t iov_nr;
	struct rpc_bulk *bulk;
	struct vos_conflict conflict;
	struct vos_order order;
};

static int
update_build(struct dtx_change *c, const struct obj_head *head, struct codec_wr *w,
	     const struct iovec **ret_tail, uint32_t *ret_tail_nr)
{
	struct update *u = container_of(c, struct update, c);
	struct obj_rw m = *u->m;

	m.head = *head;
	m.head.flags = 0; /* conditions are the leader's business */
	m.rw_flags = 0;
	m.bulk = NULL;
	m.inl = NULL;
	m.inl_len = 0;
	if (u->bulk != NULL) {
		struct rpc_bulk_desc desc = rpc_bulk_describe(u->bulk);

		m.rw_flags = OBJ_RW_BULK;
		m.bulk = desc.bytes;
		m.bulk_len = desc.len;
	} else if (u->bytes > 0) {
		if (u->iov_nr > *ret_tail_nr)
			return -DER_OVERFLOW;
		m.inl_len = (uint32_t)u->bytes;
		*ret_tail = u->iov;
		*ret_tail_nr = u->iov_nr;
	}
	obj_rw_encode(w, &m);
	return 0;
}

static int co_fn
update_commit(struct dtx_change *c, uint64_t epoch)
{
	struct update *u = container_of(c, struct update, c);
	struct vos_update *up = u->up;
	struct vos_dtx_id ignore[VOS_CONFLICT_MAX];
	uint32_t ignore_nr = 0;
	int rc;

	u->up = NULL;
	rpc_bulk_destroy(u->bulk);
	u->bulk = NULL;
	vos_update_set_epoch(up, epoch);
	rc = vos_update_end(up);
	/* An intent of another leader stands in the way of the condition: have it decided, the
	 * client repeats. */
	if (rc == -DER_INPROGRESS)
		(void)dtx_settle(u->svc->dtx, c->cont, &u->conflict, ignore, &ignore_nr);
	return rc == -DER_ALREADY ? 0 : rc;
}

/* The data as members will get it. */
static int
update_expose(struct update *u)
{
	int rc = update_iovs(u->up, u->m->iod_nr, &u->iov, &u->iov_nr, &u->own_iov);

	if (rc != 0 || u->bytes == 0)
		return rc;
	if (u->bytes <= OBJ_INLINE_MAX && u->iov_nr <= TAIL_MAX)
		return 0;
	return rpc_bulk_create(u->c.in->ep, u->iov, u->iov_nr, RPC_BULK_READ, &u->bulk);
}

int co_fn
obj_update_lead(struct obj_svc *svc, struct rpc_in *in, const struct obj_rw *m,
		struct cont_shard *cont, uint64_t bytes, uint64_t *ret_epoch)
{
	struct vos_opid opid_buf;
	struct update u = {
	    .c =
		{
		    .in = in,
		    .cont = cont,
		    .head = &m->head,
		    .dkey = &m->dkey,
		    .conditional = m->head.flags != 0,
		    .opc = OPC_DTX_UPDATE,
		    .build = update_build,
		    .commit = update_commit,
		},
	    .svc = svc,
	    .m = m,
	    .bytes = bytes,
	    .order = {.flags = m->head.flags != 0 ? VOS_ORDER_READ : 0, .conflict = &u.conflict},
	};
	struct vos_io io = {
	    .oid = obj_oid(&m->head),
	    .epoch = 1, /* replaced when the members have agreed */
	    .cond_flags = m->head.flags,
	    .dkey = &m->dkey,
	    .iods = m->iods,
	    .iod_nr = m->iod_nr,
	    .opid = obj_opid(&m->head, &opid_buf),
	    .order = &u.order,
	};
	struct vos_cont *vos;
	int rc;

	rc = cont_vos(cont, true, &vos);
	if (rc == 0)
		rc = vos_update_begin(vos, &io, &u.up);
	if (rc != 0)
		return rc;
	rc = update_fill(in, m, u.up, bytes);
	if (rc == 0)
		rc = update_expose(&u);
	if (rc == 0)
		rc = dtx_lead(svc->dtx, &u.c, ret_epoch);
	rpc_bulk_destroy(u.bulk);
	free(u.own_iov);
	if (u.up != NULL)
		vos_update_cancel(u.up);
	return rc;
}

/* --- punch, leader --- */

struct punch {
	struct dtx_change c;
	struct obj_svc *svc;
	const struct obj_punch *m;
};

static int
punch_build(struct dtx_change *c, const struct obj_head *head, struct codec_wr *w,
	    const struct iovec **ret_tail, uint32_t *ret_tail_nr)
{
	struct obj_punch m = *container_of(c, struct punch, c)->m;

	m.head = *head;
	m.head.flags = 0;
	*ret_tail_nr = 0;
	obj_punch_encode(w, &m);
	return 0;
}

static int co_fn
punch_commit(struct dtx_change *c, uint64_t epoch)
{
	struct punch *p = container_of(c, struct punch, c);
	const struct obj_punch *m = p->m;
	struct vos_dtx_id ignore[VOS_CONFLICT_MAX];
	struct vos_conflict conflict = {0};
	struct vos_order order = {.flags = m->head.flags != 0 ? VOS_ORDER_READ : 0,
				  .conflict = &conflict};
	struct vos_op op = {
	    .kind = VOS_OP_PUNCH,
	    .oid = obj_oid(&m->head),
	    .cond_flags = m->head.flags,
	    .dkey = m->has_dkey ? &m->dkey : NULL,
	    .akeys = m->akeys,
	    .akey_nr = m->akey_nr,
	};
	struct vos_opid opid_buf;
	struct vos_cont *vos;
	uint32_t ignore_nr = 0;
	int rc;

	rc = cont_vos(c->cont, true, &vos);
	if (rc == 0)
		rc = vos_apply(vos, epoch, &op, 1, obj_opid(&m->head, &opid_buf), &order);
	if (rc == -DER_INPROGRESS)
		(void)dtx_settle(p->svc->dtx, c->cont, &conflict, ignore, &ignore_nr);
	return rc == -DER_ALREADY ? 0 : rc;
}

int co_fn
obj_punch_lead(struct obj_svc *svc, struct rpc_in *in, const struct obj_punch *m,
	       struct cont_shard *cont, uint64_t *ret_epoch)
{
	struct punch p = {
	    .c =
		{
		    .in = in,
		    .cont = cont,
		    .head = &m->head,
		    .dkey = m->has_dkey ? &m->dkey : NULL,
		    .conditional = m->head.flags != 0,
		    .opc = OPC_DTX_PUNCH,
		    .build = punch_build,
		    .commit = punch_commit,
		},
	    .svc = svc,
	    .m = m,
	};

	return dtx_lead(svc->dtx, &p.c, ret_epoch);
}

/* --- member --- */

static void
keep_reply(struct obj_svc *svc, struct rpc_in *in, struct cont_shard *cont, int rc, uint64_t clock)
{
	if (cont != NULL && svc->ops->may_serve(svc->ops_arg)) {
		rpc_reply_set(in, cont->pool->map_ver,
			      rc == -DER_TX_RESTART ? clock : svc->hlc.last);
		rpc_reply(in, rc, NULL, 0);
	} else {
		obj_reply(svc, in, cont, rc, NULL, 0);
	}
	if (cont != NULL)
		cont_leave(cont);
}

static int co_fn
keep_update(struct obj_svc *svc, struct rpc_in *in, const struct obj_rw *m, struct cont_shard *cont,
	    uint64_t bytes, uint64_t *ret_clock)
{
	struct vos_io io = {
	    .oid = obj_oid(&m->head),
	    .epoch = m->head.epoch,
	    .dkey = &m->dkey,
	    .iods = m->iods,
	    .iod_nr = m->iod_nr,
	};
	struct vos_op op = {.kind = VOS_OP_UPDATE, .oid = io.oid, .dkey = &m->dkey};
	struct vos_cont *vos;
	int rc;

	rc = cont_vos(cont, true, &vos);
	if (rc == 0)
		rc = vos_update_begin(vos, &io, &op.up);
	if (rc != 0)
		return rc;
	rc = update_fill(in, m, op.up, bytes);
	if (rc == 0)
		rc = dtx_keep(svc->dtx, cont, &m->head, in->map_ver, &op, ret_clock);
	if (op.up != NULL)
		vos_update_cancel(op.up);
	return rc;
}

/* The epoch is the leader's: ours follow it. */
static int
keep_check(const struct obj_head *head)
{
	return head->epoch == 0 || head->epoch == UINT64_MAX || head->flags != 0 || head->seq == 0
		   ? -DER_INVAL
		   : 0;
}

void
obj_keep_update_handle(struct rpc_in *in, void *arg)
{
	struct obj_svc *svc = arg;
	struct cont_shard *cont = NULL;
	struct obj_scratch scratch;
	uint64_t bytes, taken, clock = 0;
	struct obj_rw m;
	int rc;

	obj_scratch_init(&scratch);
	rc = obj_rw_decode(in->body, in->body_len, &scratch, &m);
	if (rc == 0)
		rc = keep_check(&m.head);
	if (rc == 0)
		rc = obj_begin(svc, in, &m.head, CAP_WRITE, &cont);
	if (rc == 0)
		rc = update_check(&m, &bytes);
	if (rc == 0) {
		taken = byte_sem_get(&svc->member_bufs, bytes);
		rc = keep_update(svc, in, &m, cont, bytes, &clock);
		byte_sem_put(&svc->member_bufs, taken);
	}
	obj_scratch_fini(&scratch);
	keep_reply(svc, in, cont, rc, clock);
}

void
obj_keep_punch_handle(struct rpc_in *in, void *arg)
{
	struct obj_svc *svc = arg;
	struct cont_shard *cont = NULL;
	struct obj_scratch scratch;
	uint64_t clock = 0;
	struct obj_punch m;
	int rc;

	obj_scratch_init(&scratch);
	rc = obj_punch_decode(in->body, in->body_len, &scratch, &m);
	if (rc == 0)
		rc = keep_check(&m.head);
	if (rc == 0)
		rc = obj_begin(svc, in, &m.head, CAP_WRITE, &cont);
	if (rc == 0) {
		struct vos_op op = {
		    .kind = VOS_OP_PUNCH,
		    .oid = obj_oid(&m.head),
		    .dkey = m.has_dkey ? &m.dkey : NULL,
		    .akeys = m.akeys,
		    .akey_nr = m.akey_nr,
		};

		rc = dtx_keep(svc->dtx, cont, &m.head, in->map_ver, &op, &clock);
	}
	obj_scratch_fini(&scratch);
	keep_reply(svc, in, cont, rc, clock);
}

/* --- reads --- */

const struct vos_order *
obj_read_order(struct obj_read_order *ro, daos_obj_id_t oid)
{
	if (!dtx_redundant(oid))
		return NULL;
	ro->conflict = (struct vos_conflict){0};
	ro->order = (struct vos_order){.ignore = ro->ignore, .conflict = &ro->conflict};
	ro->rounds = 0;
	return &ro->order;
}

bool co_fn
obj_read_again(struct obj_svc *svc, struct cont_shard *cont, struct obj_read_order *ro, int *rc)
{
	enum { ROUNDS_MAX = 16 };
	uint32_t nr = ro->order.ignore_nr;

	if (*rc != -DER_INPROGRESS)
		return false;
	/* Those that were undecided are remembered for this read only. */
	if (ro->rounds++ == ROUNDS_MAX || nr + ro->conflict.dtx_nr > OBJ_IGNORE_MAX) {
		*rc = -DER_AGAIN;
		return false;
	}
	*rc = dtx_settle(svc->dtx, cont, &ro->conflict, ro->ignore, &nr);
	ro->order.ignore_nr = nr;
	return *rc == 0;
}
