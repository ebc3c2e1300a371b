/*
 * Telling members what was decided.
 *
 * Decisions for one target and container gather in a queue and leave together, some milliseconds
 * after the first or when a message is full. Nobody waits for them, and none is repeated: a member
 * that was not told asks.
 */
#define LOG_FACILITY "dtx"

#include <stdlib.h>
#include <string.h>

#include "server/dtx/dtx_internal.h"

struct outq {
	struct list link; /* svc->outqs */
	uuid_t pool, cont;
	uint32_t target_id;
	uint32_t nr;
	struct dtx_ref refs[DTX_TELL_NR];
};

/* --- one message --- */

static int
states_take(const struct rpc_call *call, uint32_t nr, uint8_t *states)
{
	uint8_t all[DTX_REFS_MAX];
	struct dtx_resolve_rep rep;
	int rc = dtx_resolve_rep_decode(call->reply, call->reply_len, all, &rep);

	if (rc == 0 && rep.nr != nr)
		rc = -DER_PROTO;
	if (rc == 0)
		memcpy(states, all, nr);
	return rc;
}

static int co_fn
resolve_send(struct dtx_svc *svc, struct rpc_peer *peer, const struct dtx_resolve *m,
	     uint32_t map_ver, uint64_t deadline_ns, uint8_t *states)
{
	struct rpc_call call = {
	    .opc = OPC_DTX_RESOLVE, .map_ver = map_ver, .deadline_ns = deadline_ns};
	struct codec_wr w;
	struct iovec body;
	int rc;

	codec_wr_init(&w, RPC_INLINE_MAX);
	dtx_resolve_encode(&w, m);
	rc = codec_wr_err(&w);
	if (rc == 0) {
		body = (struct iovec){.iov_base = w.base, .iov_len = w.len};
		call.body = &body;
		call.body_nr = 1;
		rc = rpc_call_send(svc->ep, peer, &call);
	}
	codec_wr_fini(&w);
	if (rc != 0)
		return rc;
	rc = call.status;
	if (rc == 0 && states != NULL)
		rc = states_take(&call, m->nr, states);
	rpc_call_fini(&call);
	return rc;
}

int co_fn
dtx_resolve_call(struct dtx_svc *svc, const struct cont_shard *cont, uint32_t target_id,
		 uint8_t verb, struct dtx_ref *refs, uint32_t nr, uint64_t deadline_ns,
		 uint8_t *states)
{
	struct dtx_resolve m = {.verb = verb, .nr = nr, .refs = refs};
	struct rpc_peer *peer;
	int rc;

	uuid_copy(m.pool, cont->pool->uuid);
	uuid_copy(m.cont, cont->uuid);
	rc = dtx_peer(svc, cont, target_id, &peer);
	if (rc != 0)
		return rc;
	rc = resolve_send(svc, peer, &m, cont->pool->map_ver, deadline_ns, states);
	rpc_peer_put(peer);
	return rc;
}

/* --- queues --- */

static struct outq *
outq_get(struct dtx_svc *svc, const struct cont_shard *cont, uint32_t target_id)
{
	struct outq *q;
	struct list *l;

	list_for_each (l, &svc->outqs) {
		q = list_entry(l, struct outq, link);
		if (q->target_id == target_id && q->nr < DTX_TELL_NR &&
		    uuid_compare(q->cont, cont->uuid) == 0 &&
		    uuid_compare(q->pool, cont->pool->uuid) == 0)
			return q;
	}
	q = mem_new(struct outq);
	if (q == NULL)
		return NULL;
	uuid_copy(q->pool, cont->pool->uuid);
	uuid_copy(q->cont, cont->uuid);
	q->target_id = target_id;
	list_push_back(&svc->outqs, &q->link);
	return q;
}

void
dtx_tell(struct dtx_svc *svc, const struct cont_shard *cont, uint32_t target_id,
	 const struct dtx_ref *ref)
{
	struct outq *q = outq_get(svc, cont, target_id);

	if (q == NULL)
		return; /* no memory: it will ask */
	q->refs[q->nr++] = *ref;
	if (svc->outq_nr++ == 0 || q->nr == DTX_TELL_NR)
		co_waitq_wake_all(&svc->work);
}

struct tell {
	struct dtx_svc *svc;
	struct outq *q;
};

/* The container is only looked for: one that is gone has nobody to be told. */
static void co_fn
outq_send(void *arg)
{
	struct tell *t = arg;
	struct dtx_svc *svc = t->svc;
	struct outq *q = t->q;
	struct cont_shard *cont;
	uint64_t deadline = xs_now_ns(svc->xs) + DTX_ASK_MS * 1000000ull;
	int rc;

	if (cont_enter_known(svc->conts, q->pool, q->cont, &cont) == 0) {
		rc = dtx_resolve_call(svc, cont, q->target_id, DTX_COMMIT, q->refs, q->nr, deadline,
				      NULL);
		if (rc != 0)
			log_debug("%u decisions not told to target %u: " ERR_F, q->nr, q->target_id,
				  ERR_P(rc));
		cont_leave(cont);
	}
	free(q);
	free(t);
	svc->tell_nr--;
	co_waitq_wake_all(&svc->work);
}

static void
outqs_flush(struct dtx_svc *svc)
{
	struct outq *q;

	while ((q = list_first(&svc->outqs, struct outq, link)) != NULL) {
		struct tell *t = mem_new(struct tell);

		list_del(&q->link);
		svc->outq_nr -= q->nr;
		if (t == NULL) {
			free(q);
			continue;
		}
		*t = (struct tell){.svc = svc, .q = q};
		svc->tell_nr++;
		if (co_spawn(svc->xs, outq_send, t) != 0) {
			svc->tell_nr--;
			free(q);
			free(t);
		}
	}
}

static bool
some_full(const struct dtx_svc *svc)
{
	struct list *l;

	list_for_each (l, &svc->outqs) {
		if (list_entry(l, struct outq, link)->nr == DTX_TELL_NR)
			return true;
	}
	return false;
}

void co_fn
dtx_tell_run(struct dtx_svc *svc)
{
	while (!svc->stopping) {
		uint64_t until;

		if (svc->outq_nr == 0) {
			co_waitq_wait(&svc->work, 0);
			continue;
		}
		until = xs_now_ns(svc->xs) + DTX_TELL_MS * 1000000ull;
		while (!svc->stopping && !some_full(svc) && xs_now_ns(svc->xs) < until)
			co_waitq_wait(&svc->work, until);
		outqs_flush(svc);
	}
	while (svc->tell_nr > 0)
		co_waitq_wait(&svc->work, 0);
}

void co_fn
dtx_tell_rest(struct dtx_svc *svc)
{
	uint64_t until = xs_now_ns(svc->xs) + DTX_REST_MS * 1000000ull;

	outqs_flush(svc);
	while (svc->tell_nr > 0 && xs_now_ns(svc->xs) < until)
		co_waitq_wait(&svc->work, until);
}

void
dtx_tell_fini(struct dtx_svc *svc)
{
	struct outq *q;

	while ((q = list_first(&svc->outqs, struct outq, link)) != NULL) {
		list_del(&q->link);
		free(q);
	}
}
