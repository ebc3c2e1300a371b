/*
 * Starting and stopping an engine.
 *
 * Start: the xstreams and their endpoints, all within the call, so that a port in use is reported
 * to the caller; then the life of the engine (life.c) goes on as a coroutine of the system xstream.
 *
 * Stop, in an order in which nothing is taken away from under somebody: heartbeats end and with
 * them the lease; the management service; the control endpoint, whose handlers use the targets; the
 * targets, each ending its requests and closing its pools; the superblock, with the exact ceiling
 * of epochs, so that the next start need not wait.
 */
#define LOG_FACILITY "engine"

#include "server/engine/engine_internal.h"

#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

/* --- work on other xstreams --- */

struct each {
	struct target *target;
	int co_fn (*fn)(struct target *t, void *arg);
	void *arg;
};

static int co_fn
each_there(void *arg)
{
	struct each *one = arg;

	return one->fn(one->target, one->arg);
}

static int co_fn
each_here(void *arg)
{
	struct each *one = arg;

	return xs_call_remote(one->target->xs, each_there, one);
}

int co_fn
engine_each_target(struct engine *e, int co_fn (*fn)(struct target *t, void *arg), void *arg)
{
	struct each *all = mem_calloc(e->target_nr, sizeof(*all));
	struct co_group group;
	int rc = 0, rc2;

	if (all == NULL)
		return -DER_NOMEM;
	co_group_init(&group);
	for (uint32_t i = 0; rc == 0 && i < e->target_nr; i++) {
		all[i] = (struct each){.target = &e->targets[i], .fn = fn, .arg = arg};
		rc = co_group_spawn(&group, each_here, &all[i]);
	}
	rc2 = co_group_join(&group);
	free(all);
	return rc != 0 ? rc : rc2;
}

int
engine_helper(struct engine *e, void (*fn)(void *arg), void *arg)
{
	int rc;

	if (e->stopping)
		return -DER_SHUTDOWN;
	rc = co_spawn(e->sys, fn, arg);
	if (rc == 0)
		e->helper_nr++;
	return rc;
}

void
engine_helper_end(struct engine *e)
{
	if (--e->helper_nr == 0)
		co_waitq_wake_all(&e->helper_idle);
}

/* --- start --- */

static int
copy_str(const char **str)
{
	if (*str == NULL)
		return 0;
	*str = mem_strdup(*str);
	return *str == NULL ? -DER_NOMEM : 0;
}

static int
copy_conf(struct engine *e, const struct engine_conf *conf)
{
	int rc;

	e->conf = *conf;
	e->conf.ms_uris = NULL;
	e->conf.ms_uri_nr = 0;
	rc = copy_str(&e->conf.system_name);
	if (rc != 0)
		e->conf.system_name = NULL;
	if (copy_str(&e->conf.fault_domain) != 0)
		rc = -DER_NOMEM;
	if (copy_str(&e->conf.control_addr) != 0)
		rc = -DER_NOMEM;
	if (rc != 0 || conf->ms_uri_nr == 0)
		return rc;
	e->uris = mem_calloc(conf->ms_uri_nr, sizeof(char *));
	if (e->uris == NULL)
		return -DER_NOMEM;
	e->conf.ms_uris = (const char *const *)e->uris;
	for (uint32_t i = 0; i < conf->ms_uri_nr; i++) {
		e->uris[i] = mem_strdup(conf->ms_uris[i]);
		if (e->uris[i] == NULL)
			return -DER_NOMEM;
		e->conf.ms_uri_nr++;
	}
	return 0;
}

static void
engine_free(struct engine *e)
{
	if (e->tiers != NULL)
		dev_dir_close(e->tiers);
	for (uint32_t i = 0; i < e->conf.ms_uri_nr; i++)
		free(e->uris[i]);
	free(e->uris);
	free((char *)e->conf.system_name);
	free((char *)e->conf.fault_domain);
	free((char *)e->conf.control_addr);
	free(e->targets);
	free(e);
}

static int
make_xs(struct engine *e, const char *name, int cpu, struct xs **ret_xs)
{
	struct xs_conf conf = {.name = name, .env = e->env, .cpu = cpu};
	struct xs *xs;
	int rc;

	rc = xs_create(&conf, &xs);
	if (rc != 0)
		return rc;
	rc = xs_thread_start(xs);
	if (rc != 0) {
		xs_destroy(xs);
		return rc;
	}
	*ret_xs = xs;
	return 0;
}

static void
end_xs(struct xs *xs)
{
	if (xs == NULL)
		return;
	xs_stop(xs);
	xs_thread_join(xs);
	xs_destroy(xs);
}

static int
sys_open(void *arg)
{
	struct engine *e = arg;
	struct rpc_ep_conf conf = {
	    .xs = e->sys,
	    .net = e->conf.net,
	    .port = e->conf.port,
	    .accept_calls = true,
	};
	int rc;

	rc = rpc_ep_open(&conf, &e->ep);
	if (rc != 0) {
		e->ep = NULL;
		return rc;
	}
	strncpy(e->uri, rpc_ep_uri(e->ep), sizeof(e->uri) - 1);
	e->incarnation = env_rand_u64(e->env) | 1;
	return engine_ctl_register(e);
}

static int
target_open_call(void *arg)
{
	return target_open(arg);
}

static int
start_targets(struct engine *e)
{
	e->targets = mem_calloc(e->conf.target_nr, sizeof(*e->targets));
	if (e->targets == NULL)
		return -DER_NOMEM;
	for (uint32_t i = 0; i < e->conf.target_nr; i++) {
		struct target *t = &e->targets[i];
		int cpu = e->conf.first_core >= 0 ? e->conf.first_core + (int)i : -1;
		char name[16];
		int rc;

		t->engine = e;
		t->idx = i;
		snprintf(name, sizeof(name), "tgt%u", i);
		rc = make_xs(e, name, cpu, &t->xs);
		if (rc != 0)
			return rc;
		rc = xs_call(t->xs, target_open_call, t);
		if (rc != 0) {
			end_xs(t->xs);
			t->xs = NULL;
			log_err("target %u cannot listen on port %u: " ERR_F, i,
				e->conf.port + 1 + i, ERR_P(rc));
			return rc;
		}
		e->target_nr++;
	}
	return 0;
}

static int
begin_life(void *arg)
{
	struct engine *e = arg;

	return co_spawn(e->sys, engine_life, e);
}

/* --- stop --- */

static int co_fn
stop_target(struct target *t, void *arg)
{
	return target_close(t);
}

/* On the system xstream. life: whether engine_life() was started. */
static void co_fn
stop_sys(struct engine *e, bool life)
{
	uint64_t highest = 0;

	e->stopping = true;
	atomic_store(&e->lease_until_ns, 0);
	if (e->ms != NULL)
		ms_conn_cancel(e->ms);
	co_waitq_wake_all(&e->wake);
	if (life)
		co_future_wait(&e->life_done, 0);
	while (e->helper_nr > 0)
		co_waitq_wait(&e->helper_idle, 0);
	engine_end_mgmt(e); /* after this nobody starts one any more */
	if (e->ms != NULL)
		ms_conn_destroy(e->ms);
	e->ms = NULL;
	if (e->ep != NULL)
		rpc_ep_close(e->ep);
	e->ep = NULL;
	if (e->target_nr > 0)
		engine_each_target(e, stop_target, NULL);
	for (uint32_t i = 0; i < e->target_nr; i++) {
		if (e->targets[i].objs.hlc.last > highest)
			highest = e->targets[i].objs.hlc.last;
	}
	if (e->sb != NULL && e->sb->seq > 0 && highest < e->sb->epoch_ceiling) {
		e->sb->epoch_ceiling = highest;
		sb_write(e->sb); /* if it fails the next start waits a little */
	}
	sb_close(e->sb);
	e->sb = NULL;
}

static int co_fn
stop_running(void *arg)
{
	stop_sys(arg, true);
	return 0;
}

static int co_fn
stop_half_started(void *arg)
{
	stop_sys(arg, false);
	return 0;
}

static void
end_threads(struct engine *e)
{
	for (uint32_t i = 0; i < e->target_nr; i++)
		end_xs(e->targets[i].xs);
	end_xs(e->sys);
}

void
engine_stop(struct engine *e)
{
	if (e == NULL)
		return;
	xs_call(e->sys, stop_running, e);
	end_threads(e);
	engine_free(e);
}

int
engine_start(const struct engine_conf *conf, struct engine **ret_engine)
{
	struct engine *e;
	int rc;

	if (conf->target_nr == 0 || conf->dir == NULL || conf->net == NULL || conf->env == NULL ||
	    conf->system_name == NULL || strlen(conf->system_name) >= SB_NAME_MAX)
		return -DER_INVAL;
	e = mem_new(struct engine);
	if (e == NULL)
		return -DER_NOMEM;
	e->env = conf->env;
	e->dir = conf->dir;
	atomic_init(&e->rank, MGMT_RANK_NONE);
	e->ceiling_msg.fn = engine_ceiling_msg;
	co_mutex_init(&e->pool_ops);
	co_mutex_init(&e->ceiling_ops);
	co_mutex_init(&e->ms_start);
	co_waitq_init(&e->wake);
	co_waitq_init(&e->helper_idle);
	co_future_init(&e->life_done);
	rc = copy_conf(e, conf);
	if (rc == 0 && conf->bulk_dir != NULL) {
		rc = dev_dir_tiers(conf->dir, conf->bulk_dir, &e->tiers);
		e->dir = e->tiers;
	}
	if (rc == 0)
		rc = make_xs(e, "sys", -1, &e->sys);
	if (rc != 0) {
		engine_free(e);
		return rc;
	}
	rc = xs_call(e->sys, sys_open, e);
	if (rc == 0)
		rc = start_targets(e);
	if (rc == 0)
		rc = xs_call(e->sys, begin_life, e);
	if (rc != 0) {
		xs_call(e->sys, stop_half_started, e);
		end_threads(e);
		engine_free(e);
		return rc;
	}
	*ret_engine = e;
	return 0;
}

uint32_t
engine_rank(const struct engine *e)
{
	return atomic_load(&e->rank);
}

const char *
engine_uri(const struct engine *e)
{
	return e->uri;
}
