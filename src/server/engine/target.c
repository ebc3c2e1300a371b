/*
 * One target: an xstream with its endpoint, its shards of every pool and the object service; and
 * its aggregation.
 *
 * Aggregation is asleep unless something was written. Some seconds after a write it walks the
 * containers that were written and lets VOS trim what no reader needs any more, a millisecond at a
 * time. A container is looked at again until it was left alone for longer than AGG_SETTLED_MS,
 * because younger history is not touched. After a start it asks once which containers have
 * something left to do. The pool's property `reclaim` says when it may work: lazy, while nobody
 * writes or when space becomes scarce; time, always; disabled, never.
 */
#define LOG_FACILITY "engine"

#include <daos_errno.h>
#include <daos_prop.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/engine/engine_internal.h"

/* --- what the object service asks of the engine --- */

static bool
svc_may_serve(void *arg)
{
	struct target *t = arg;

	return xs_now_ns(t->xs) <
	       atomic_load_explicit(&t->engine->lease_until_ns, memory_order_relaxed);
}

struct raise {
	struct engine *engine;
	uint64_t epoch;
};

static int co_fn
raise_remote(void *arg)
{
	struct raise *r = arg;

	return engine_ceiling_raise(r->engine, r->epoch);
}

static int co_fn
svc_epoch_reserve(void *arg, uint64_t epoch)
{
	struct target *t = arg;
	struct engine *e = t->engine;
	uint64_t ceiling = atomic_load_explicit(&e->epoch_ceiling, memory_order_relaxed);
	struct raise r = {.engine = e, .epoch = epoch};

	if (epoch <= ceiling) {
		if (ceiling - epoch < (uint64_t)CEILING_RENEW_MS * 1000000 * HLC_UNITS_PER_NS &&
		    !atomic_exchange(&e->ceiling_asked, true))
			xs_post(e->sys, &e->ceiling_msg);
		return 0;
	}
	return xs_call_remote(e->sys, raise_remote, &r);
}

struct map_ask {
	struct xs_msg msg;
	struct engine *engine;
	uuid_t pool;
	uint32_t known;
};

static void co_fn
map_ask_run(void *arg)
{
	struct map_ask *ask = arg;

	engine_refresh_map(ask->engine, ask->pool, ask->known);
	engine_helper_end(ask->engine);
	free(ask);
}

static void
map_ask_arrived(struct xs_msg *msg)
{
	struct map_ask *ask = container_of(msg, struct map_ask, msg);

	if (engine_helper(ask->engine, map_ask_run, ask) != 0)
		free(ask);
}

static void
svc_map_behind(void *arg, struct pool_shard *pool, uint32_t version)
{
	struct target *t = arg;
	uint64_t now = xs_now_ns(t->xs);
	struct map_ask *ask;

	if (version <= pool->map_asked_ver && now - pool->map_asked_ns < MAP_ASK_MS * 1000000ull)
		return;
	ask = mem_new(struct map_ask);
	if (ask == NULL)
		return; /* the next request asks again */
	log_debug("map version %u of a client is ahead of %u", version, pool->map_ver);
	pool->map_asked_ns = now;
	pool->map_asked_ver = version;
	ask->msg.fn = map_ask_arrived;
	ask->engine = t->engine;
	uuid_copy(ask->pool, pool->uuid);
	ask->known = pool->map_ver;
	xs_post(t->engine->sys, &ask->msg);
}

void
target_agg_wake(struct target *t)
{
	if (t->agg_wanted)
		return;
	t->agg_wanted = true;
	co_waitq_wake_all(&t->agg_wake);
}

static void
svc_wrote(void *arg, struct cont_shard *cont)
{
	struct target *t = arg;

	cont->dirty = true;
	cont->written_ns = xs_now_ns(t->xs);
	t->wrote_ns = cont->written_ns;
	target_agg_wake(t);
}

static const struct obj_svc_ops svc_ops = {
    .may_serve = svc_may_serve,
    .epoch_reserve = svc_epoch_reserve,
    .map_behind = svc_map_behind,
    .wrote = svc_wrote,
};

/* --- what server/dtx asks of the engine --- */

static bool
dtx_is_us(void *arg, const struct map_target *target)
{
	const struct target *t = arg;

	return target->rank == atomic_load(&t->engine->rank) && target->index == t->idx;
}

static int co_fn
dtx_epoch(void *arg, uint64_t *ret_epoch)
{
	struct target *t = arg;

	return obj_epoch_next(&t->objs, ret_epoch);
}

static int co_fn
dtx_clock(void *arg, uint64_t hlc)
{
	struct target *t = arg;

	return hlc_recv(&t->objs.hlc, env_real_ns(xs_env(t->xs)), hlc);
}

static const struct dtx_svc_ops dtx_ops = {
    .may_serve = svc_may_serve,
    .is_self = dtx_is_us,
    .epoch = dtx_epoch,
    .clock = dtx_clock,
    .wrote = svc_wrote,
};

/* --- aggregation --- */

static void co_fn
agg_sleep(struct target *t, uint64_t ms)
{
	uint64_t until = xs_now_ns(t->xs) + ms * 1000000;

	while (!t->stopping && xs_now_ns(t->xs) < until)
		co_waitq_wait(&t->agg_wake, until);
}

static bool
pressed(uint64_t free, uint64_t total)
{
	return free < total / 100 * AGG_PRESSURE_PCT;
}

/* May aggregation work in this pool now? *ret_later: not now, but without being told again. */
static bool
agg_allowed(const struct target *t, const struct pool_shard *pool, bool *ret_later)
{
	struct vos_space space;

	*ret_later = false;
	switch (pool->settings.reclaim) {
	case DAOS_RECLAIM_DISABLED:
		return false; /* changing that wakes it */
	case DAOS_RECLAIM_TIME:
		return true;
	default:
		if (t->wrote_ns == 0 || xs_now_ns(t->xs) - t->wrote_ns > AGG_BUSY_MS * 1000000ull)
			return true;
		vos_pool_space(pool->vos, &space);
		*ret_later = !pressed(space.scm_free, space.scm_total) &&
			     !pressed(space.nvme_free, space.nvme_total);
		return !*ret_later;
	}
}

/* Trim one container; it is entered. Returns whether it was looked at as a whole; if not,
 * *ret_later says whether to come back by itself. */
static bool co_fn
agg_container(struct target *t, struct cont_shard *cont, bool *ret_later)
{
	uint64_t real_ns = env_real_ns(xs_env(t->xs));
	uint64_t below = hlc_from_ns(real_ns - AGG_SETTLED_MS * 1000000ull);
	struct vos_cont *vos;
	bool more = true;
	int rc;

	*ret_later = false;
	rc = cont_vos(cont, false, &vos);
	if (rc != 0 || vos == NULL)
		return true;
	while (rc == 0 && more && !t->stopping && !cont->dead &&
	       cont->pool->state == POOL_SHARD_OPEN) {
		if (!agg_allowed(t, cont->pool, ret_later))
			return false;
		rc = vos_aggregate(vos, below, NULL, 0, AGG_BUDGET_US * 1000ull, &more);
		if (rc == 0 && more)
			agg_sleep(t, AGG_PAUSE_MS);
	}
	if (rc != 0 && rc != -DER_NO_HDL && rc != -DER_SHUTDOWN)
		log_every(60000, LOG_LVL_WARN, "aggregation: " ERR_F, ERR_P(rc));
	return true;
}

/* Pools that were opened since: what was left to do in them. Returns whether some are not open yet.
 */
struct survey {
	struct pool_shard *next;
	bool opening;
};

static void
survey_pick(struct pool_shard *shard, void *arg)
{
	struct survey *s = arg;

	if (shard->surveyed || s->next != NULL)
		return;
	s->opening = s->opening || shard->state == POOL_SHARD_OPENING;
	if (pool_shard_reenter(shard) == 0)
		s->next = shard;
}

static bool co_fn
agg_survey(struct target *t)
{
	struct survey s = {0};
	int rc;

	while (!t->stopping) {
		s.next = NULL;
		pool_tab_walk(&t->pools, survey_pick, &s);
		if (s.next == NULL)
			break;
		s.next->surveyed = true;
		rc = cont_tab_survey(&t->conts, s.next);
		pool_shard_leave(s.next);
		if (rc != 0 && rc != -DER_SHUTDOWN)
			log_every(60000, LOG_LVL_WARN, "aggregation: survey: " ERR_F, ERR_P(rc));
	}
	return s.opening;
}

/* One look at every container that was written. Returns whether another look will be needed. */
static bool co_fn
agg_round(struct target *t, uint32_t round)
{
	struct cont_shard *cont;
	bool again = agg_survey(t), later;

	while (!t->stopping && (cont = cont_tab_next_dirty(&t->conts, round)) != NULL) {
		uint64_t written_ns = cont->written_ns;

		if (!agg_container(t, cont, &later))
			again = again || later;
		else if (cont->written_ns == written_ns &&
			 xs_now_ns(t->xs) - written_ns > AGG_SETTLED_MS * 1000000ull)
			cont->dirty = false;
		else
			again = true;
		cont_leave(cont);
	}
	return again;
}

static void co_fn
agg_run(void *arg)
{
	struct target *t = arg;
	uint32_t round = 0;

	t->agg_wanted = true; /* for what was left when the engine stopped */
	while (!t->stopping) {
		if (!t->agg_wanted) {
			co_waitq_wait(&t->agg_wake, 0);
			continue;
		}
		agg_sleep(t, AGG_PERIOD_MS);
		if (t->stopping)
			break;
		t->agg_wanted = false;
		if (agg_round(t, ++round))
			t->agg_wanted = true;
	}
	co_future_complete(&t->agg_done, 0);
}

/* --- life --- */

int
target_open(struct target *t)
{
	struct rpc_ep_conf conf = {
	    .xs = t->xs,
	    .net = t->engine->conf.net,
	    .port = (uint16_t)(t->engine->conf.port + 1 + t->idx),
	    .accept_calls = true,
	};
	int rc;

	co_waitq_init(&t->agg_wake);
	co_future_init(&t->agg_done);
	pool_tab_init(&t->pools, t->xs, t->engine->dir, t->idx);
	cont_tab_init(&t->conts, t->xs, &t->pools);
	rc = rpc_ep_open(&conf, &t->ep);
	if (rc != 0) {
		t->ep = NULL;
		return rc;
	}
	rc = dtx_svc_init(&t->dtx, t->ep, t->xs, &t->conts, &dtx_ops, t);
	if (rc == 0)
		rc = obj_svc_init(&t->objs, t->ep, &t->conts, &t->dtx, &svc_ops, t);
	if (rc == 0)
		rc = co_spawn(t->xs, agg_run, t);
	if (rc != 0) {
		dtx_svc_stop(&t->dtx);
		rpc_ep_close(t->ep);
		dtx_svc_fini(&t->dtx);
		t->ep = NULL;
	}
	return rc;
}

static void
drop_pool(struct pool_shard *shard, void *arg)
{
	struct target *t = arg;

	cont_tab_drop_pool(&t->conts, shard);
}

int co_fn
target_close(struct target *t)
{
	struct hnode *n;

	t->stopping = true;
	co_waitq_wake_all(&t->agg_wake);
	co_future_wait(&t->agg_done, 0);
	dtx_svc_stop(&t->dtx);
	rpc_ep_close(t->ep);
	dtx_svc_fini(&t->dtx);
	t->ep = NULL;
	while ((n = pool_tab_first(&t->pools)) != NULL) {
		uuid_t uuid;

		uuid_copy(uuid, container_of(n, struct pool_shard, node)->uuid);
		pool_shard_close(&t->pools, uuid, drop_pool, t);
	}
	cont_tab_fini(&t->conts);
	pool_tab_fini(&t->pools);
	return 0;
}
