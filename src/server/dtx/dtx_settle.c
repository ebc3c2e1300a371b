/*
 * The member's side: keeping intents, and finding out what became of them.
 *
 * With an intent its leader's target is kept, so the question finds its way without the request
 * that brought the intent. Questions are asked by whoever meets an intent in the way, and by a
 * background coroutine about intents that were not told about for a second; it sleeps when there
 * are none.
 */
#define LOG_FACILITY "dtx"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/hlc.h"
#include "server/dtx/dtx_internal.h"
#include "store/vos/vos.h"

static struct vos_dtx_ref
vos_ref(const struct dtx_ref *ref)
{
	return (struct vos_dtx_ref){
	    .id = {.client = {ref->client[0], ref->client[1]}, .seq = ref->seq},
	    .map_ver = ref->map_ver,
	    .attempt = ref->epoch,
	    .epoch = ref->epoch,
	};
}

static struct dtx_ref
wire_ref(const struct vos_dtx_ref *ref)
{
	return (struct dtx_ref){
	    .client = {ref->id.client[0], ref->id.client[1]},
	    .seq = ref->id.seq,
	    .map_ver = ref->map_ver,
	    .epoch = ref->epoch,
	};
}

/* --- keeping --- */

int co_fn
dtx_keep(struct dtx_svc *svc, struct cont_shard *cont, const struct obj_head *head,
	 uint32_t map_ver, struct vos_op *op, uint64_t *ret_clock)
{
	struct vos_dtx_ref ref = {
	    .id = {.client = {head->client[0], head->client[1]}, .seq = head->seq},
	    .map_ver = map_ver,
	    .attempt = head->epoch,
	    .epoch = head->epoch,
	};
	struct vos_conflict conflict = {0};
	struct dtx_group group;
	struct vos_cont *vos;
	uint32_t leader;
	int rc;

	if (head->seq == 0 || head->epoch == 0 || head->epoch == UINT64_MAX)
		return -DER_INVAL;
	rc = dtx_group_of(cont, head->oid, head->shard, &group);
	if (rc == 0)
		rc = cont_vos(cont, true, &vos);
	if (rc != 0)
		return rc;
	leader = htole32(group
			     .members[place_leader(head->oid, &group.shape,
						   op->dkey != NULL ? op->dkey->iov_buf : NULL,
						   op->dkey != NULL ? op->dkey->iov_len : 0)]
			     .target_id);
	rc = vos_dtx_prepare(vos, &ref, head->low_seq, &leader, sizeof(leader), op, 1, &conflict);
	if (rc != 0)
		log_debug("change %lu not kept: " ERR_F, head->seq, ERR_P(rc));
	switch (rc) {
	case 0:
		cont->intents = true;
		if (!svc->intents) {
			svc->intents = true;
			co_waitq_wake_all(&svc->work);
		}
		return 0;
	case -DER_ALREADY:
		return 0;
	case -DER_TX_RESTART:
		*ret_clock = conflict.min_epoch;
		return rc;
	case -DER_INPROGRESS:
	case -DER_STALE: /* a late copy: nobody waits for its answer */
		return -DER_AGAIN;
	default:
		return rc;
	}
}

/* --- asking --- */

enum { ASK_NR = 64 };

/* Intents and whom to ask about them. */
struct found {
	uint32_t nr;
	uint64_t before; /* only those of an older epoch */
	struct dtx_ref refs[ASK_NR];
	uint32_t leaders[ASK_NR];
};

static int
found_add(const struct vos_dtx_info *info, void *arg)
{
	struct found *f = arg;
	uint32_t leader;

	if (f->nr == ASK_NR)
		return 1;
	if (info->ref.epoch >= f->before || info->part_len != sizeof(leader))
		return 0;
	memcpy(&leader, info->part, sizeof(leader));
	f->leaders[f->nr] = le32toh(leader);
	f->refs[f->nr++] = wire_ref(&info->ref);
	return 0;
}

static int co_fn
ask_one_leader(struct dtx_svc *svc, struct cont_shard *cont, uint32_t leader, struct dtx_ref *refs,
	       uint32_t nr, uint8_t *states)
{
	uint64_t deadline = xs_now_ns(svc->xs) + DTX_ASK_MS * 1000000ull;
	int rc = 0;

	svc->stats.settled_nr += nr;
	if (!dtx_is_self(svc, cont, leader))
		return dtx_resolve_call(svc, cont, leader, DTX_ASK, refs, nr, deadline, states);
	for (uint32_t i = 0; rc == 0 && i < nr; i++)
		rc = dtx_state_of(svc, cont, &refs[i], &states[i]);
	return rc;
}

/* What the answer means for the intent here. */
static int co_fn
apply_state(struct dtx_svc *svc, struct cont_shard *cont, const struct dtx_ref *ref, uint8_t state)
{
	struct vos_dtx_ref vref = vos_ref(ref);
	struct vos_cont *vos;
	int rc = cont_vos(cont, false, &vos);

	if (rc != 0 || vos == NULL)
		return rc;
	switch (state) {
	case DTX_ST_COMMITTED:
		rc = vos_dtx_commit(vos, &vref);
		svc->ops->wrote(svc->ops_arg, cont);
		break;
	case DTX_ST_UNKNOWN:
		rc = vos_dtx_abort(vos, &vref);
		break;
	default:
		return 0;
	}
	/* Settled meanwhile, this way or that. */
	return rc == -DER_NONEXIST || rc == -DER_MISMATCH ? 0 : rc;
}

int co_fn
dtx_settle(struct dtx_svc *svc, struct cont_shard *cont, const struct vos_conflict *conflict,
	   struct vos_dtx_id *ignore, uint32_t *ret_ignore_nr)
{
	struct vos_cont *vos;
	int rc = cont_vos(cont, false, &vos);

	for (uint32_t i = 0; rc == 0 && vos != NULL && i < conflict->dtx_nr; i++) {
		struct vos_dtx_id after = conflict->dtx[i].id;
		struct found f = {.before = UINT64_MAX};
		uint8_t state = DTX_ST_UNKNOWN;

		/* its record is the first one behind its predecessor */
		after.seq--;
		rc = vos_dtx_list(vos, 1u << VOS_DTX_PREPARED, &after, found_add, &f);
		if (rc == 0 && (f.nr == 0 || f.refs[0].seq != conflict->dtx[i].id.seq ||
				f.refs[0].client[0] != conflict->dtx[i].id.client[0] ||
				f.refs[0].client[1] != conflict->dtx[i].id.client[1]))
			continue; /* settled meanwhile */
		if (rc == 0)
			rc = ask_one_leader(svc, cont, f.leaders[0], f.refs, 1, &state);
		if (rc == 0)
			rc = apply_state(svc, cont, &f.refs[0], state);
		if (rc == 0 && state == DTX_ST_ACTIVE)
			ignore[(*ret_ignore_nr)++] = conflict->dtx[i].id;
	}
	if (rc != 0)
		log_debug("an intent stays undecided: " ERR_F, ERR_P(rc));
	return rc != 0 ? -DER_AGAIN : 0;
}

/* --- in the background --- */

/* Ask about old intents of one container. Returns whether some are left. */
static bool co_fn
ask_container(struct dtx_svc *svc, struct cont_shard *cont)
{
	uint64_t now = hlc_from_ns(env_real_ns(xs_env(svc->xs)));
	struct found *f = mem_new(struct found);
	struct vos_dtx_id after = {{0}};
	struct vos_cont *vos;
	int rc = f == NULL ? -DER_NOMEM : cont_vos(cont, false, &vos);

	while (rc == 0 && vos != NULL && !svc->stopping) {
		f->nr = 0;
		f->before = now - DTX_ASK_AGE_MS * 1000000ull * HLC_UNITS_PER_NS;
		rc = vos_dtx_list(vos, 1u << VOS_DTX_PREPARED, &after, found_add, f);
		if (rc != 0 || f->nr == 0)
			break;
		for (uint32_t i = 0; i < f->nr && !svc->stopping; i++) {
			uint8_t state;

			if (ask_one_leader(svc, cont, f->leaders[i], &f->refs[i], 1, &state) == 0)
				(void)apply_state(svc, cont, &f->refs[i], state);
		}
	}
	free(f);
	return rc != 0 || (vos != NULL && vos_dtx_oldest(vos) != UINT64_MAX);
}

void co_fn
dtx_ask_run(struct dtx_svc *svc)
{
	uint32_t round = 0;

	while (!svc->stopping) {
		struct cont_shard *cont;
		uint64_t until;

		if (!svc->intents) {
			co_waitq_wait(&svc->work, 0);
			continue;
		}
		until = xs_now_ns(svc->xs) + DTX_ASK_AGE_MS * 1000000ull;
		while (!svc->stopping && xs_now_ns(svc->xs) < until)
			co_waitq_wait(&svc->work, until);
		svc->intents = false;
		round++;
		while (!svc->stopping &&
		       (cont = cont_tab_next_intents(svc->conts, round)) != NULL) {
			cont->intents = false;
			if (ask_container(svc, cont)) {
				cont->intents = true;
				svc->intents = true;
			}
			cont_leave(cont);
		}
	}
}

/* --- messages --- */

static int co_fn
resolve_told(struct dtx_svc *svc, struct cont_shard *cont, const struct dtx_resolve *m)
{
	struct vos_dtx_ref *refs;
	struct vos_cont *vos;
	int *rcs;
	int rc = cont_vos(cont, false, &vos);

	if (rc != 0 || vos == NULL || m->nr == 0)
		return rc;
	refs = mem_calloc(m->nr, sizeof(*refs));
	rcs = mem_calloc(m->nr, sizeof(*rcs));
	if (refs == NULL || rcs == NULL)
		rc = -DER_NOMEM;
	for (uint32_t i = 0; rc == 0 && i < m->nr; i++)
		refs[i] = vos_ref(&m->refs[i]);
	if (rc == 0 && m->verb == DTX_COMMIT) {
		rc = vos_dtx_commit_batch(vos, refs, m->nr, rcs);
		svc->ops->wrote(svc->ops_arg, cont);
	} else if (rc == 0) {
		for (uint32_t i = 0; rc == 0 && i < m->nr; i++)
			rc = vos_dtx_abort(vos, &refs[i]);
	}
	free(refs);
	free(rcs);
	return rc;
}

static int co_fn
resolve_serve(struct dtx_svc *svc, const struct dtx_resolve *m, uint8_t *states)
{
	struct cont_shard *cont;
	int rc;

	/* Only who holds a lease knows for certain what it decided. */
	if (!svc->ops->may_serve(svc->ops_arg))
		return -DER_AGAIN;
	rc = cont_enter_known(svc->conts, m->pool, m->cont, &cont);
	if (rc != 0)
		return rc;
	if (m->verb != DTX_ASK)
		rc = resolve_told(svc, cont, m);
	for (uint32_t i = 0; rc == 0 && m->verb == DTX_ASK && i < m->nr; i++)
		rc = dtx_state_of(svc, cont, &m->refs[i], &states[i]);
	cont_leave(cont);
	return rc != 0 || svc->ops->may_serve(svc->ops_arg) ? rc : -DER_AGAIN;
}

void
dtx_resolve_handle(struct rpc_in *in, void *arg)
{
	struct dtx_svc *svc = arg;
	struct dtx_ref *refs = mem_calloc(DTX_REFS_MAX, sizeof(*refs));
	uint8_t states[DTX_REFS_MAX];
	struct dtx_resolve_rep rep = {.states = states};
	struct codec_wr w;
	struct iovec body;
	struct dtx_resolve m;
	int rc;

	rc = refs == NULL ? -DER_NOMEM : dtx_resolve_decode(in->body, in->body_len, refs, &m);
	if (rc == 0)
		rc = resolve_serve(svc, &m, states);
	codec_wr_init(&w, RPC_INLINE_MAX);
	if (rc == 0) {
		rep.nr = m.verb == DTX_ASK ? m.nr : 0;
		dtx_resolve_rep_encode(&w, &rep);
		rc = codec_wr_err(&w);
	}
	body = (struct iovec){.iov_base = w.base, .iov_len = w.len};
	rpc_reply(in, rc, &body, rc == 0 ? 1 : 0);
	codec_wr_fini(&w);
	free(refs);
}
