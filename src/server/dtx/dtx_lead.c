/*
 * The leader of a change: admission, order, attempts, decision. Steps 2 to 7 of README.md.
 *
 * What is under way is kept by identity, and in the order of arrival. A change waits for those that
 * came before it and may not run beside it: of the same key (or one of the two is of the whole
 * object), and one of the two conditional. Waiting in order of arrival keeps everybody's turn.
 */
#define LOG_FACILITY "dtx"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hlc.h"
#include "server/dtx/dtx_internal.h"
#include "store/vos/vos.h"

/* --- what is under way --- */

static uint64_t
ident_hash(const uint64_t client[2], uint64_t seq)
{
	return hash_combine(client[0], seq);
}

struct dtx_change *
dtx_active_find(struct dtx_svc *svc, const struct cont_shard *cont, const uint64_t client[2],
		uint64_t seq)
{
	struct hnode *n;

	for (n = htable_first(&svc->active, ident_hash(client, seq)); n != NULL;
	     n = htable_next(n)) {
		struct dtx_change *c = container_of(n, struct dtx_change, node);

		if (c->head->seq == seq && c->head->client[0] == client[0] &&
		    c->head->client[1] == client[1] && c->cont == cont)
			return c;
	}
	return NULL;
}

static void
active_enter(struct dtx_svc *svc, struct dtx_change *c)
{
	htable_insert(&svc->active, &c->node, ident_hash(c->head->client, c->head->seq));
	list_push_back(&svc->by_age, &c->age);
}

static void
active_leave(struct dtx_svc *svc, struct dtx_change *c)
{
	htable_remove(&svc->active, &c->node);
	list_del(&c->age);
	co_waitq_wake_all(&svc->left);
}

static bool
excludes(const struct dtx_change *a, const struct dtx_change *b)
{
	if (!a->conditional && !b->conditional)
		return false;
	if (a->cont != b->cont || a->head->shard != b->head->shard ||
	    a->head->oid.hi != b->head->oid.hi || a->head->oid.lo != b->head->oid.lo)
		return false;
	return a->dkey == NULL || b->dkey == NULL ||
	       (a->dkey->iov_len == b->dkey->iov_len &&
		memcmp(a->dkey->iov_buf, b->dkey->iov_buf, a->dkey->iov_len) == 0);
}

static bool
must_wait(const struct dtx_svc *svc, const struct dtx_change *c)
{
	struct list *l;

	list_for_each (l, &svc->by_age) {
		const struct dtx_change *other = list_entry(l, struct dtx_change, age);

		if (other == c)
			return false;
		if (excludes(other, c))
			return true;
	}
	return false;
}

int co_fn
dtx_state_of(struct dtx_svc *svc, struct cont_shard *cont, const struct dtx_ref *ref,
	     uint8_t *ret_state)
{
	struct vos_dtx_id id = {.client = {ref->client[0], ref->client[1]}, .seq = ref->seq};
	struct dtx_change *c = dtx_active_find(svc, cont, ref->client, ref->seq);
	struct vos_dtx_info info;
	struct vos_cont *vos;
	int rc;

	/* An older attempt than the one under way will never be committed. */
	if (c != NULL) {
		*ret_state = ref->epoch < c->epoch ? DTX_ST_UNKNOWN : DTX_ST_ACTIVE;
		return 0;
	}
	rc = cont_vos(cont, false, &vos);
	if (rc != 0)
		return rc;
	*ret_state = DTX_ST_UNKNOWN;
	if (vos == NULL)
		return 0;
	rc = vos_dtx_status(vos, &id, &info);
	if (rc == 0 && (info.state == VOS_DTX_COMMITTED || info.state == VOS_DTX_FORGOTTEN))
		*ret_state = DTX_ST_COMMITTED;
	/* It may have begun while we looked. */
	if (rc == 0 && *ret_state == DTX_ST_UNKNOWN &&
	    dtx_active_find(svc, cont, ref->client, ref->seq) != NULL)
		*ret_state = DTX_ST_ACTIVE;
	return rc;
}

/* --- one attempt --- */

enum answer {
	ANS_YES,
	ANS_EPOCH,  /* another epoch, please */
	ANS_NO,     /* final */
	ANS_UNSURE, /* may hold it or not; perhaps another time */
};

struct member {
	struct attempt *at;
	uint32_t target_id;
	uint32_t shard;
	int rc;
	enum answer answer;
};

struct attempt {
	struct dtx_svc *svc;
	struct dtx_change *c;
	uint32_t map_ver;
	uint64_t clock; /* the highest of those that said ANS_EPOCH */
	uint32_t nr;
	struct member members[PLACE_SHARD_MAX];
};

static enum answer
answer_of(int rc)
{
	switch (rc) {
	case 0:
	case -DER_ALREADY:
		return ANS_YES;
	case -DER_TX_RESTART:
		return ANS_EPOCH;
	case -DER_NOSPACE:
	case -DER_REC2BIG:
	case -DER_INVAL:
	case -DER_NO_PERM:
	case -DER_CSUM:
	case -DER_KEY2BIG:
		return ANS_NO;
	default:
		return ANS_UNSURE;
	}
}

static int co_fn
member_send(struct member *m, struct rpc_peer *peer)
{
	struct attempt *at = m->at;
	struct dtx_change *c = at->c;
	struct obj_head head = *c->head;
	struct iovec body[1 + 64];
	struct rpc_call call = {
	    .opc = c->opc,
	    .map_ver = at->map_ver,
	    .hlc = c->epoch,
	    .body = body,
	    .body_nr = 1,
	    .deadline_ns = c->in->deadline_ns,
	};
	const struct iovec *tail = NULL;
	struct codec_wr w;
	uint32_t tail_nr = 64;
	int rc;

	head.shard = m->shard;
	head.epoch = c->epoch;
	codec_wr_init(&w, RPC_INLINE_MAX);
	rc = c->build(c, &head, &w, &tail, &tail_nr);
	if (rc == 0)
		rc = codec_wr_err(&w);
	if (rc == 0) {
		body[0] = (struct iovec){.iov_base = w.base, .iov_len = w.len};
		for (uint32_t i = 0; tail != NULL && i < tail_nr; i++)
			body[call.body_nr++] = tail[i];
		rc = rpc_call_send(at->svc->ep, peer, &call);
	}
	codec_wr_fini(&w);
	if (rc != 0)
		return rc;
	rc = call.status;
	if (rc == -DER_TX_RESTART && call.reply_hlc > at->clock)
		at->clock = call.reply_hlc;
	rpc_call_fini(&call);
	return rc;
}

static int co_fn
member_run(void *arg)
{
	struct member *m = arg;
	struct rpc_peer *peer;

	m->rc = dtx_peer(m->at->svc, m->at->c->cont, m->target_id, &peer);
	if (m->rc == 0) {
		m->at->svc->stats.forward_nr++;
		m->rc = member_send(m, peer);
		rpc_peer_put(peer);
	}
	m->answer = answer_of(m->rc);
	return 0;
}

static void co_fn
ask_all(struct attempt *at)
{
	struct co_group g;

	co_group_init(&g);
	for (uint32_t i = 0; i < at->nr; i++) {
		struct member *m = &at->members[i];

		m->answer = ANS_UNSURE;
		m->rc = -DER_NOMEM;
		if (i + 1 < at->nr)
			(void)co_group_spawn(&g, member_run, m);
		else
			(void)member_run(m);
	}
	co_group_join(&g);
}

/* The worst of the answers. */
static int
verdict(const struct attempt *at, enum answer *ret_answer)
{
	int rc = 0;

	*ret_answer = ANS_YES;
	for (uint32_t i = 0; i < at->nr; i++) {
		const struct member *m = &at->members[i];

		if (m->answer == ANS_NO || (m->answer == ANS_UNSURE && *ret_answer != ANS_NO) ||
		    (m->answer == ANS_EPOCH && *ret_answer == ANS_YES)) {
			*ret_answer = m->answer;
			rc = m->rc;
		}
	}
	return rc;
}

/* --- the end of a change --- */

static struct dtx_ref
ref_of(const struct attempt *at)
{
	const struct obj_head *head = at->c->head;

	return (struct dtx_ref){
	    .client = {head->client[0], head->client[1]},
	    .seq = head->seq,
	    .map_ver = at->map_ver,
	    .epoch = at->c->epoch,
	};
}

static int co_fn
member_abort(void *arg)
{
	struct member *m = arg;
	struct dtx_ref ref = ref_of(m->at);

	m->rc = dtx_resolve_call(m->at->svc, m->at->c->cont, m->target_id, DTX_ABORT, &ref, 1,
				 m->at->c->in->deadline_ns, NULL);
	return m->rc;
}

/* A final refusal. The client may hear of it when nobody holds the intent any more. */
static int co_fn
refuse(struct attempt *at, int rc)
{
	struct co_group g;
	int rc2 = 0;

	co_group_init(&g);
	for (uint32_t i = 0; i < at->nr; i++) {
		int rc3 = co_group_spawn(&g, member_abort, &at->members[i]);

		if (rc3 != 0)
			rc2 = rc3;
	}
	if (co_group_join(&g) != 0 || rc2 != 0)
		return -DER_AGAIN;
	at->svc->stats.abort_nr++;
	return rc;
}

static int co_fn
decide(struct attempt *at)
{
	struct dtx_svc *svc = at->svc;
	struct dtx_ref ref = ref_of(at);
	int rc;

	/* The lease held when the request came; the map may have changed since. */
	if (at->c->cont->pool->map_ver != at->map_ver || !svc->ops->may_serve(svc->ops_arg))
		return -DER_AGAIN;
	rc = at->c->commit(at->c, at->c->epoch);
	if (rc == -DER_INPROGRESS || rc == -DER_TX_RESTART || rc == -DER_SHUTDOWN ||
	    rc == -DER_NO_HDL || rc == -DER_IO)
		return -DER_AGAIN;
	if (rc != 0)
		return refuse(at, rc);
	svc->stats.led_nr++;
	svc->ops->wrote(svc->ops_arg, at->c->cont);
	for (uint32_t i = 0; i < at->nr; i++)
		dtx_tell(svc, at->c->cont, at->members[i].target_id, &ref);
	return 0;
}

static int co_fn
attempts_run(struct attempt *at)
{
	struct dtx_svc *svc = at->svc;
	int rc;

	for (int n = 0; n < DTX_ATTEMPTS_MAX; n++) {
		enum answer answer;

		rc = svc->ops->epoch(svc->ops_arg, &at->c->epoch);
		if (rc != 0)
			return rc;
		at->clock = 0;
		svc->stats.retry_nr += n > 0;
		ask_all(at);
		rc = verdict(at, &answer);
		if (rc != 0)
			log_debug("change %lu of %016lx: attempt %d: " ERR_F, at->c->head->seq,
				  at->c->head->client[0], n + 1, ERR_P(rc));
		switch (answer) {
		case ANS_YES:
			return decide(at);
		case ANS_NO:
			return refuse(at, rc);
		case ANS_UNSURE:
			return rc == -DER_STALE || rc == -DER_NO_HDL ? rc : -DER_AGAIN;
		case ANS_EPOCH:
			rc = svc->ops->clock(svc->ops_arg, at->clock);
			if (rc != 0)
				return rc;
		}
	}
	return -DER_AGAIN;
}

/* --- a change --- */

/* Is it ours to lead, and who are the others? */
static int
members_find(struct attempt *at)
{
	struct dtx_change *c = at->c;
	struct dtx_group group;
	uint32_t leader;
	int rc;

	rc = dtx_group_of(c->cont, c->head->oid, c->head->shard, &group);
	if (rc != 0)
		return rc;
	leader = place_leader(c->head->oid, &group.shape, c->dkey != NULL ? c->dkey->iov_buf : NULL,
			      c->dkey != NULL ? c->dkey->iov_len : 0);
	if (c->head->shard != group.first + leader)
		return -DER_INVAL;
	at->map_ver = c->cont->pool->map_ver;
	for (uint32_t i = 0; i < group.shape.group_size; i++) {
		if (group.members[i].absent)
			return -DER_AGAIN;
		if (i == leader) {
			if (!dtx_is_self(at->svc, c->cont, group.members[i].target_id))
				return -DER_STALE;
			continue;
		}
		at->members[at->nr++] = (struct member){
		    .at = at,
		    .target_id = group.members[i].target_id,
		    .shard = group.members[i].shard,
		};
	}
	return 0;
}

/* Was it committed before? */
static int co_fn
look_back(struct dtx_change *c, bool *ret_done)
{
	struct vos_dtx_id id = {.client = {c->head->client[0], c->head->client[1]},
				.seq = c->head->seq};
	struct vos_dtx_info info;
	struct vos_cont *vos;
	int rc = cont_vos(c->cont, false, &vos);

	*ret_done = false;
	if (rc != 0 || vos == NULL)
		return rc;
	rc = vos_dtx_status(vos, &id, &info);
	if (rc == 0 && info.state == VOS_DTX_FORGOTTEN)
		return -DER_STALE; /* nobody waits for an answer to this */
	*ret_done = rc == 0 && info.state == VOS_DTX_COMMITTED;
	return rc;
}

int co_fn
dtx_lead(struct dtx_svc *svc, struct dtx_change *c, uint64_t *ret_epoch)
{
	struct attempt *at;
	bool done;
	int rc;

	if (c->head->seq == 0)
		return -DER_INVAL; /* without an identity there is no second try */
	if (svc->stopping || dtx_active_find(svc, c->cont, c->head->client, c->head->seq) != NULL)
		return -DER_AGAIN;
	at = mem_new(struct attempt);
	if (at == NULL)
		return -DER_NOMEM;
	at->svc = svc;
	at->c = c;
	active_enter(svc, c);
	rc = members_find(at);
	if (rc == 0)
		rc = look_back(c, &done);
	if (rc == 0 && done) {
		rc = svc->ops->epoch(svc->ops_arg, &c->epoch);
	} else if (rc == 0) {
		while (must_wait(svc, c) && !svc->stopping)
			co_waitq_wait(&svc->left, 0);
		rc = svc->stopping ? -DER_SHUTDOWN : attempts_run(at);
	}
	*ret_epoch = c->epoch;
	active_leave(svc, c);
	free(at);
	return rc;
}
