/*
 * One request to a group, repeated until it has an answer.
 *
 * Each attempt starts from the current map, so that it goes where the shard is now, and carries the
 * same identity, so that an attempt whose answer was lost is not executed twice. A pause of 5 ms,
 * doubled up to a second, lies between attempts. There is no last attempt unless the user set a
 * deadline: a server that is restarted is worth waiting for. After two seconds, and every minute
 * from then on, one line says who is being waited for.
 */
#define LOG_FACILITY "object"

#include <string.h>

#include "client/object/obj_internal.h"
#include "client/object/obj_layout.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"

enum {
	BACKOFF_MIN_MS = 5,
	BACKOFF_MAX_MS = 1000,
	WAIT_LOG_FIRST_MS = 2000,
	WAIT_LOG_NEXT_MS = 60000,
	TAIL_MAX = 64, /* pieces of inline data sent without a copy */
};

static void
layout_putp(struct obj_layout **layout)
{
	obj_layout_put(*layout);
}

/* What to do about the result of an attempt. */
enum verdict {
	V_FINAL,
	V_AGAIN,   /* pause, repeat */
	V_REFRESH, /* get a new map, repeat */
	V_CAP,     /* the engine wants to see the capability */
};

static enum verdict
judge_transport(int rc)
{
	switch (rc) {
	case -DER_UNREACH:
	case -DER_TIMEDOUT:
	case -DER_HG:
	case -DER_OOG:
	case -DER_EXCLUDED:
		return V_REFRESH;
	default:
		return V_FINAL;
	}
}

static enum verdict
judge_status(int status)
{
	switch (status) {
	case -DER_STALE:
	case -DER_GRPVER:
	case -DER_BAD_TARGET:
	case -DER_SHUTDOWN:
	case -DER_UNREG: /* the target is starting up */
	case -DER_NOREPLY:
		return V_REFRESH;
	case -DER_AGAIN:
	case -DER_INPROGRESS:
	case -DER_OVERLOAD_RETRY:
	case -DER_TX_BUSY:
	case -DER_TX_RESTART: /* one request is a transaction by itself: simply again */
	case -DER_TX_UNCERTAIN:
	case -DER_UPDATE_AGAIN:
	case -DER_FETCH_AGAIN:
	case -DER_TGT_RETRY:
	case -DER_CHKPT_BUSY:
	case -DER_DOS:
		return V_AGAIN;
	case -DER_NO_HDL:
		return V_CAP;
	default:
		return V_FINAL;
	}
}

/* State of the repeated request. */
struct attempt {
	struct obj_rpc *r;
	struct op_ident *ident;
	uint32_t map_ver;
	uint32_t rank;
	uint32_t tag;
	uint32_t member; /* of the group, as sent */
	uint32_t skip;   /* reads: members, counted from the leader, not to be asked now */
	bool send_cap;
	struct cont_cap cap; /* as sent */
	uint64_t begin_ns;
	uint64_t log_ns;
	uint32_t backoff_ms;
};

static void
head_fill(const struct attempt *at, struct obj_head *head)
{
	const struct obj_rpc *r = at->r;

	memset(head, 0, sizeof(*head));
	memcpy(head->cap_id, at->cap.id, sizeof(head->cap_id));
	if (at->send_cap) {
		head->cap = at->cap.cap;
		head->cap_len = at->cap.len;
	}
	head->oid = r->obj->oid;
	head->shard = r->group * r->obj->shape.group_size + at->member;
	head->epoch = r->change ? 0 : DAOS_EPOCH_MAX;
	head->flags = r->flags;
	if (r->change) {
		head->client[0] = at->ident->client[0];
		head->client[1] = at->ident->client[1];
		head->seq = at->ident->seq;
		head->low_seq = op_ident_low(r->op, at->ident);
	}
}

/* The message in buf, its body as pieces in iov. */
static int
body_build(struct attempt *at, void *buf, struct iovec *iov, uint32_t *ret_nr)
{
	struct obj_rpc *r = at->r;
	struct obj_head head;
	struct codec_wr w;
	uint32_t i;
	int rc;

	head_fill(at, &head);
	codec_wr_init_fixed(&w, buf, CTX_BUF_BYTES);
	r->tail_nr = 0;
	rc = r->build(r, &head, &w);
	if (rc == 0)
		rc = codec_wr_err(&w);
	if (rc != 0)
		return rc;
	iov[0].iov_base = w.base;
	iov[0].iov_len = w.len;
	for (i = 0; i < r->tail_nr && i < TAIL_MAX; i++)
		iov[1 + i] = r->tail[i];
	*ret_nr = 1 + r->tail_nr;
	if (r->tail_nr > TAIL_MAX)
		return -DER_OVERFLOW;
	return 0;
}

/* Send once. *ret_verdict says what the result means. */
static int co_fn
attempt_send(struct attempt *at, struct rpc_peer *peer, void *buf, enum verdict *ret_verdict)
{
	struct obj_rpc *r = at->r;
	struct iovec iov[1 + TAIL_MAX];
	struct rpc_call call = {.opc = r->opc, .map_ver = at->map_ver, .body = iov};
	int rc;

	*ret_verdict = V_FINAL;
	call.hlc = client_hlc(r->op->ctx->client);
	rc = body_build(at, buf, iov, &call.body_nr);
	if (rc != 0)
		return rc;
	if (r->change)
		at->ident->open = true;
	rc = op_rpc(r->op, peer, &call);
	if (rc != 0) {
		*ret_verdict = judge_transport(rc);
		if (*ret_verdict == V_REFRESH)
			ctx_peer_doubt(r->op->ctx, at->rank, at->tag);
		return rc;
	}
	client_hlc_note(r->op->ctx->client, call.reply_hlc);
	rc = call.status;
	*ret_verdict = judge_status(rc);
	if (r->change && *ret_verdict == V_FINAL)
		at->ident->open = false;
	if (*ret_verdict == V_FINAL)
		rc = r->reply(r, rc, call.reply, call.reply_len);
	rpc_call_fini(&call);
	return rc;
}

/* Where to send. A change goes to the leader. A read goes to the first member from there on that is
 * there and was not silent a moment ago; if there is none of that kind, to one that is there. */
static int
attempt_member(struct attempt *at, struct obj_layout *layout, struct obj_target *ret_target)
{
	struct obj_rpc *r = at->r;
	uint32_t size = r->obj->shape.group_size;
	uint32_t leader = obj_leader_of(r->obj, r->dkey), i;
	bool doubts = false;
	int rc = 0;

	for (i = at->skip; rc == 0 && i < size; i++) {
		at->member = (leader + i) % size;
		rc = obj_layout_target(r->obj, layout, r->group, at->member, ret_target);
		if (rc != 0 || r->change || size == 1)
			return rc;
		if (ret_target->absent)
			continue;
		if (!ctx_peer_doubted(r->op->ctx, ret_target->rank, ret_target->index + 1)) {
			at->skip = i;
			return 0;
		}
		doubts = true;
	}
	for (i = at->skip; rc == 0 && doubts && i < size; i++) {
		at->member = (leader + i) % size;
		rc = obj_layout_target(r->obj, layout, r->group, at->member, ret_target);
		at->skip = i;
		if (rc == 0 && !ret_target->absent)
			return 0;
	}
	return rc; /* the last one looked at: absent */
}

/* Find the target, send. */
static int co_fn
attempt_run(struct attempt *at, enum verdict *ret_verdict)
{
	struct obj_rpc *r = at->r;
	struct ctx *ctx = r->op->ctx;
	CLEANUP(layout_putp)
	struct obj_layout *layout = NULL;
	const struct map_rank *rank;
	struct obj_target target;
	struct rpc_peer *peer;
	void *buf;
	int rc;

	*ret_verdict = V_FINAL;
	/* May yield, so it comes before everything that is only borrowed. */
	cont_get_cap(r->op, r->obj->cont, &at->cap);
	rc = obj_layout_get(r->obj, &layout);
	if (rc == 0)
		rc = attempt_member(at, layout, &target);
	if (rc != 0)
		return rc;
	at->map_ver = pool_map_version(obj_layout_map(layout));
	at->rank = target.rank;
	at->tag = target.index + 1;
	rank = pool_map_rank_find(obj_layout_map(layout), target.rank);
	if (target.absent || rank == NULL) {
		*ret_verdict = V_REFRESH;
		return -DER_UNREACH;
	}
	rc = ctx_peer(ctx, rank->rank, rank->uri, at->tag, &peer);
	if (rc != 0)
		return rc;
	buf = ctx_buf_get(ctx);
	if (buf == NULL)
		return -DER_NOMEM;
	rc = attempt_send(at, peer, buf, ret_verdict);
	ctx_buf_put(ctx, buf);
	if (r->end != NULL)
		r->end(r);
	return rc;
}

/* Before the next attempt. */
static int co_fn
attempt_pause(struct attempt *at, int rc)
{
	struct obj_rpc *r = at->r;
	struct xs *xs = r->op->ctx->xs;
	uint64_t now = xs_now_ns(xs);
	uint64_t ns = at->backoff_ms * 1000000ull;

	if (now >= at->log_ns) {
		log_err("object %016lx.%016lx waits for rank %u since %.0f s: " ERR_F,
			r->obj->oid.hi, r->obj->oid.lo, at->rank,
			(double)(now - at->begin_ns) / 1e9, ERR_P(rc));
		at->log_ns = now + WAIT_LOG_NEXT_MS * 1000000ull;
	}
	if (at->backoff_ms < BACKOFF_MAX_MS)
		at->backoff_ms *= 2;
	return op_sleep(r->op, ns / 2 + env_rand_below(xs_env(xs), ns / 2 + 1));
}

/* A read that one member cannot answer now: is there another one to ask? */
static bool
attempt_elsewhere(struct attempt *at, enum verdict verdict, int rc)
{
	uint32_t size = at->r->obj->shape.group_size;

	if (at->r->change || size == 1 || verdict == V_CAP || rc == -DER_STALE)
		return false;
	if (++at->skip < size)
		return true;
	at->skip = 0;
	return false;
}

static int co_fn
attempt_recover(struct attempt *at, enum verdict verdict, int rc)
{
	struct obj_rpc *r = at->r;
	int rc2;

	if (attempt_elsewhere(at, verdict, rc))
		return 0;
	switch (verdict) {
	case V_CAP:
		if (!at->send_cap) {
			at->send_cap = true;
			return 0;
		}
		rc2 = cont_renew_cap(r->op, r->obj->cont, at->cap.renewed_nr);
		if (rc2 != 0) /* evicted, or the container is gone */
			return rc2 == -DER_NO_PERM || rc2 == -DER_NONEXIST ? -DER_NO_HDL : rc2;
		return attempt_pause(at, rc);
	case V_REFRESH:
		rc2 = pool_refresh(r->op, r->obj->cont->pool, at->map_ver);
		if (rc2 != 0)
			return rc2;
		/* With a new map there is a new place to try at once. */
		if (rc == -DER_STALE && atomic_load(&r->obj->cont->pool->map_ver) > at->map_ver)
			return 0;
		return attempt_pause(at, rc);
	default:
		return attempt_pause(at, rc);
	}
}

int co_fn
obj_rpc_run(struct obj_rpc *r)
{
	struct attempt at = {.r = r, .ident = r->ident, .backoff_ms = BACKOFF_MIN_MS};
	bool own_ident = r->change && r->ident == NULL;
	struct op_ident ident;
	enum verdict verdict;
	int rc, rc2;

	at.begin_ns = xs_now_ns(r->op->ctx->xs);
	at.log_ns = at.begin_ns + WAIT_LOG_FIRST_MS * 1000000ull;
	if (own_ident) {
		op_ident_begin(r->op, &ident);
		at.ident = &ident;
	}
	for (;;) {
		rc = attempt_run(&at, &verdict);
		if (verdict == V_FINAL)
			break;
		rc2 = attempt_recover(&at, verdict, rc);
		if (rc2 != 0) {
			rc = rc2;
			break;
		}
	}
	if (own_ident)
		op_ident_end(r->op, &ident);
	return rc;
}
