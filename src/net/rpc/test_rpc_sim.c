/* RPC over the simulated network: everything that must work, then everything that may go wrong. */
#include "net/rpc/test_client.h"

#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/fabric/sim.h"
#include "runtime/sim.h"

enum {
	SERVER_NODE = 1,
	CLIENT_NODE = 2,
	PORT = 31416,
};

struct world {
	struct sim *sim;
	struct sim_net *sn;
	struct net *server_net;
	struct net *client_net;
	struct xs *server_xs;
	struct xs *client_xs;
	struct t_server srv;
	struct t_client c;
	char uri[RPC_URI_MAX];
	void (*body)(struct world *w);
	uint64_t nth; /* allocation to fail */
	bool fired;
};

static struct xs *
world_xs(struct world *w, const char *name)
{
	struct xs_conf conf = {.name = name, .env = sim_env_create(w->sim, 0), .cpu = -1};
	struct xs *xs;

	assert_int_equal(xs_create(&conf, &xs), 0);
	return xs;
}

static int
server_open(void *arg)
{
	struct world *w = arg;

	return t_server_open(&w->srv, w->server_xs, w->server_net, PORT);
}

static void
server_up(struct world *w)
{
	assert_int_equal(xs_call(w->server_xs, server_open, w), 0);
	snprintf(w->uri, sizeof(w->uri), "%s", rpc_ep_uri(w->srv.ep));
}

static int
server_close(void *arg)
{
	struct world *w = arg;

	rpc_ep_close(w->srv.ep);
	w->srv.ep = NULL;
	return 0;
}

/* As a crash: cut off first, then cleared away. */
static void
server_crash(struct world *w, bool silent)
{
	sim_net_node_down(w->sn, SERVER_NODE, silent);
	assert_int_equal(xs_call(w->server_xs, server_close, w), 0);
}

static int
client_main(void *arg)
{
	struct world *w = arg;

	assert_int_equal(rpc_peer_get(w->c.ep, w->uri, &w->c.peer), 0);
	w->body(w);
	rpc_peer_put(w->c.peer);
	rpc_ep_close(w->c.ep);
	return 0;
}

static void
world_open(struct world *w, uint64_t seed)
{
	struct rpc_ep_conf conf;

	memset(w, 0, sizeof(*w));
	assert_int_equal(sim_create(seed, &w->sim), 0);
	assert_int_equal(sim_net_create(w->sim, &w->sn), 0);
	assert_int_equal(net_open_sim(w->sn, SERVER_NODE, &w->server_net), 0);
	assert_int_equal(net_open_sim(w->sn, CLIENT_NODE, &w->client_net), 0);
	w->server_xs = world_xs(w, "server");
	w->client_xs = world_xs(w, "client");
	assert_int_equal(xs_thread_start(w->server_xs), 0);
	server_up(w);
	conf = (struct rpc_ep_conf){.xs = w->client_xs, .net = w->client_net};
	assert_int_equal(rpc_ep_open(&conf, &w->c.ep), 0);
	w->c.xs = w->client_xs;
	w->c.sim = true;
}

static uint64_t
world_close(struct world *w)
{
	uint64_t hash;

	if (w->srv.ep != NULL)
		assert_int_equal(xs_call(w->server_xs, server_close, w), 0);
	hash = sim_hash(w->sim);
	xs_stop(w->server_xs);
	xs_thread_join(w->server_xs);
	xs_destroy(w->server_xs);
	xs_destroy(w->client_xs);
	net_close(w->server_net);
	net_close(w->client_net);
	sim_net_destroy(w->sn);
	sim_destroy(w->sim);
	return hash;
}

/* Run body as the client's coroutine; returns the digest of the run. */
static uint64_t
run(uint64_t seed, void (*body)(struct world *w))
{
	struct world w;

	world_open(&w, seed);
	w.body = body;
	assert_int_equal(xs_call(w.client_xs, client_main, &w), 0);
	return world_close(&w);
}

/* --- what must work --------------------------------------------------------------------------- */

static void
body_calls(struct world *w)
{
	t_check_echoes(&w->c);
	assert_int_equal(t_check_many(&w->c, 64, 10), 640);
	t_check_bulks(&w->c);
	t_check_ends(&w->c);
	t_check_bulk_ends(&w->c);
}

static void
test_calls(void **state)
{
	(void)run(1, body_calls);
}

static void
body_short(struct world *w)
{
	struct sim_link link = sim_link_default;

	link.loss = 0.02;
	link.dup = 0.05;
	link.reorder = 0.1;
	link.reorder_ns = 200000;
	w->c.lossy = true;
	assert_int_equal(sim_net_set_link(w->sn, SIM_NODE_ANY, SIM_NODE_ANY, &link), 0);
	assert_true(t_check_many(&w->c, 8, 20) > 100);
	(void)t_check_bulk(&w->c, 3000000, 2, true, T_PUSH, 0, 0);
}

static void
test_determinism(void **state)
{
	uint64_t seed, a, b, other = 0;

	for (seed = 1; seed <= 5; seed++) {
		a = run(seed, body_short);
		b = run(seed, body_short);
		assert_true(a == b);
		assert_true(a != other);
		other = a;
	}
}

/* Idle peers cost nothing: no timer is left when no call is. */
static void
body_idle(struct world *w)
{
	struct sim_net_stats before, after;

	assert_int_equal(t_check_echo(&w->c, 10, 1), 0);
	co_sleep_ns(100 * T_MS);
	sim_net_stats(w->sn, &before);
	co_sleep_ns(1000 * T_SEC);
	sim_net_stats(w->sn, &after);
	assert_int_equal(before.sent_nr, after.sent_nr);
	assert_true(xs_next_timer_ns(w->client_xs) == UINT64_MAX);
	assert_true(xs_next_timer_ns(w->server_xs) == UINT64_MAX);
}

static void
test_idle(void **state)
{
	(void)run(3, body_idle);
}

static void
body_coalesce(struct world *w)
{
	struct rpc_ep_stats a, b;

	assert_int_equal(t_check_echo(&w->c, 10, 1), 0);
	rpc_ep_stats(w->c.ep, &a);
	assert_int_equal(t_check_many(&w->c, 64, 20), 1280);
	rpc_ep_stats(w->c.ep, &b);
	assert_int_equal(b.frame_out_nr - a.frame_out_nr, 1280);
	assert_true(b.packet_out_nr - a.packet_out_nr < 1280 / 2);
}

static void
test_coalesce(void **state)
{
	(void)run(4, body_coalesce);
}

/* --- what may go wrong ------------------------------------------------------------------------ */

static void
body_faults(struct world *w)
{
	struct sim_link link = sim_link_default;
	uint32_t i, ok = 0;
	int rc;

	link.loss = 0.05;
	link.dup = 0.05;
	link.reorder = 0.1;
	link.reorder_ns = 3 * T_MS;
	w->c.lossy = true;
	assert_int_equal(sim_net_set_link(w->sn, SIM_NODE_ANY, SIM_NODE_ANY, &link), 0);
	assert_true(t_check_many(&w->c, 16, 25) > 300);
	for (i = 0; i < 20; i++) {
		rc = t_check_bulk(&w->c, 1 + i * 60000, 1 + i, i % 2 == 0,
				  i % 2 == 0 ? T_PUSH : T_PULL, 0, 0);
		assert_true(rc == 0 || rc == -DER_UNREACH || rc == -DER_TIMEDOUT);
		ok += rc == 0;
	}
	assert_true(ok > 10);
	/* Once faults stop everything works again. */
	assert_int_equal(sim_net_set_link(w->sn, SIM_NODE_ANY, SIM_NODE_ANY, &sim_link_default), 0);
	co_sleep_ns(5 * T_SEC);
	w->c.lossy = false;
	assert_int_equal(t_check_many(&w->c, 16, 10), 160);
	assert_int_equal(t_check_bulk(&w->c, 3000000, 2, true, T_PUSH, 0, 0), 0);
}

static void
test_faults(void **state)
{
	uint64_t seed;

	for (seed = 1; seed <= 20; seed++)
		(void)run(seed, body_faults);
}

/* A lost request or reply is noticed by a ping, long before the deadline. */
static void
body_lost(struct world *w)
{
	struct sim_link link = sim_link_default;
	uint64_t t;

	assert_int_equal(t_check_echo(&w->c, 10, 1), 0);
	link.loss = 1;
	assert_int_equal(sim_net_set_link(w->sn, CLIENT_NODE, SERVER_NODE, &link), 0);
	t = xs_now_ns(w->c.xs);
	assert_int_equal(t_call_sleep(&w->c, 1, 60 * T_MS), -DER_TIMEDOUT);
	assert_int_equal(sim_net_set_link(w->sn, CLIENT_NODE, SERVER_NODE, &sim_link_default), 0);

	/* The reply is lost, then the link is mended. */
	assert_int_equal(sim_net_set_link(w->sn, SERVER_NODE, CLIENT_NODE, &link), 0);
	w->c.lossy = true;
	struct co_group g;
	struct t_many m = {.c = &w->c, .seed = 1, .rounds = 1};

	co_group_init(&g);
	assert_int_equal(co_group_spawn(&g, t_many_one, &m), 0);
	co_sleep_ns(10 * T_MS);
	assert_int_equal(sim_net_set_link(w->sn, SERVER_NODE, CLIENT_NODE, &sim_link_default), 0);
	t = xs_now_ns(w->c.xs);
	assert_int_equal(co_group_join(&g), 0);
	t = xs_now_ns(w->c.xs) - t;
	assert_int_equal(m.ok_nr, 0);
	assert_true(t < 1500 * T_MS);
}

static void
test_lost(void **state)
{
	(void)run(5, body_lost);
}

/* A long call is not mistaken for a lost one. */
static void
body_long(struct world *w)
{
	assert_int_equal(t_call_sleep(&w->c, 30 * T_SEC, 0), 0);
}

static void
test_long(void **state)
{
	(void)run(6, body_long);
}

static int
crash_soon(void *arg)
{
	struct world *w = arg;

	co_sleep_ns(10 * T_MS);
	server_crash(w, false);
	return 0;
}

static void
body_killed(struct world *w)
{
	struct co_group g;
	uint64_t t;

	co_group_init(&g);
	assert_int_equal(t_check_echo(&w->c, 10, 1), 0);
	assert_int_equal(co_group_spawn(&g, crash_soon, w), 0);
	t = xs_now_ns(w->c.xs);
	assert_int_equal(t_call_sleep(&w->c, 20 * T_SEC, 0), -DER_UNREACH);
	assert_true(xs_now_ns(w->c.xs) - t < 100 * T_MS);
	assert_int_equal(co_group_join(&g), 0);
	/* Nobody there: known at once. */
	t = xs_now_ns(w->c.xs);
	assert_int_equal(t_check_echo(&w->c, 10, 1), -DER_UNREACH);
	assert_int_equal(t_check_echo(&w->c, 10, 1), -DER_UNREACH);
	assert_true(xs_now_ns(w->c.xs) - t < 200 * T_MS);
	/* Somebody is there again. */
	sim_net_node_up(w->sn, SERVER_NODE);
	server_up(w);
	assert_int_equal(t_check_echo(&w->c, 10, 1), 0);
	t_check_bulks(&w->c);
}

static void
test_killed(void **state)
{
	(void)run(7, body_killed);
}

/* The server restarts while a call waits: the new one knows nothing of it. */
static int
restart_soon(void *arg)
{
	struct world *w = arg;

	co_sleep_ns(10 * T_MS);
	server_crash(w, false);
	sim_net_node_up(w->sn, SERVER_NODE);
	server_up(w);
	return 0;
}

static void
body_restarted(struct world *w)
{
	struct co_group g;
	uint64_t t;

	co_group_init(&g);
	assert_int_equal(t_check_echo(&w->c, 10, 1), 0);
	assert_int_equal(co_group_spawn(&g, restart_soon, w), 0);
	t = xs_now_ns(w->c.xs);
	assert_int_equal(t_call_sleep(&w->c, 20 * T_SEC, 0), -DER_UNREACH);
	assert_true(xs_now_ns(w->c.xs) - t < 1500 * T_MS);
	assert_int_equal(co_group_join(&g), 0);
	assert_int_equal(t_check_echo(&w->c, 10, 1), 0);
}

static void
test_restarted(void **state)
{
	uint64_t seed;

	for (seed = 1; seed <= 10; seed++)
		(void)run(seed, body_restarted);
}

static void
body_silent(struct world *w)
{
	uint64_t t;

	assert_int_equal(t_check_echo(&w->c, 10, 1), 0);
	sim_net_node_down(w->sn, SERVER_NODE, true);
	t = xs_now_ns(w->c.xs);
	assert_int_equal(t_check_echo(&w->c, 10, 1), -DER_UNREACH);
	t = xs_now_ns(w->c.xs) - t;
	assert_true(t > T_SEC && t < 5 * T_SEC);
	t = xs_now_ns(w->c.xs);
	assert_int_equal(t_check_echo(&w->c, 10, 1), -DER_UNREACH);
	t = xs_now_ns(w->c.xs) - t;
	assert_true(t > T_SEC / 2 && t < 2 * T_SEC);
}

static void
test_silent(void **state)
{
	(void)run(8, body_silent);
}

/* One-way partitions, then healing. */
static void
body_partition(struct world *w)
{
	int dir;

	for (dir = 0; dir < 2; dir++) {
		assert_int_equal(t_check_echo(&w->c, 10, 1), 0);
		assert_int_equal(sim_net_cut(w->sn, dir == 0 ? CLIENT_NODE : SERVER_NODE,
					     dir == 0 ? SERVER_NODE : CLIENT_NODE, true),
				 0);
		assert_int_equal(t_call(&w->c, T_ECHO, "x", 1, 500 * T_MS), -DER_TIMEDOUT);
		assert_int_equal(t_check_echo(&w->c, 10, 1), -DER_UNREACH);
		sim_net_heal(w->sn);
		assert_int_equal(t_check_echo(&w->c, 10, 1), 0);
	}
}

static void
test_partition(void **state)
{
	(void)run(9, body_partition);
}

/* The client is frozen in the middle of a transfer: the server's deadline ends it. */
static int
frozen_start(void *arg)
{
	struct world *w = arg;

	return t_check_bulk(&w->c, 16 << 20, 1, true, T_PUSH_LOOP, 60 * T_SEC, 100 * T_MS);
}

static void
body_bulk_cut(struct world *w)
{
	struct co_group g;

	w->srv.bulk_timeout_ns = 2 * T_SEC;
	co_group_init(&g);
	assert_int_equal(co_group_spawn(&g, frozen_start, w), 0);
	co_sleep_ns(50 * T_MS);
	assert_int_equal(sim_net_cut(w->sn, SERVER_NODE, CLIENT_NODE, true), 0);
	assert_int_equal(co_group_join(&g), -DER_TIMEDOUT);
	co_sleep_ns(4 * T_SEC);
	assert_true(w->srv.last_bulk_rc == -DER_TIMEDOUT || w->srv.last_bulk_rc == -DER_UNREACH ||
		    w->srv.last_bulk_rc == -DER_CANCELED);
	sim_net_heal(w->sn);
	assert_int_equal(t_check_bulk(&w->c, 1 << 20, 3, false, T_PULL, 0, 0), 0);
}

static void
test_bulk_cut(void **state)
{
	uint64_t seed;

	for (seed = 1; seed <= 10; seed++)
		(void)run(seed, body_bulk_cut);
}

/* Every allocation fails once: the call it served fails, nothing else. */
static bool
fair(int rc)
{
	return rc == 0 || rc == -DER_NOMEM || rc == -DER_UNREACH || rc == -DER_TIMEDOUT;
}

static void
body_no_memory(struct world *w)
{
	mem_fail_at(w->nth);
	assert_true(fair(t_check_echo(&w->c, 100, 1)));
	assert_true(fair(t_check_echo(&w->c, 5000, 1)));
	w->fired = mem_fail_fired();
	mem_fail_at(0);
	assert_int_equal(t_check_many(&w->c, 30, 3), 90);
	assert_int_equal(t_check_bulk(&w->c, 100000, 5, false, T_PULL, 0, 0), 0);
}

static void
test_no_memory(void **state)
{
	struct world w;
	uint64_t nth;

	for (nth = 1;; nth++) {
		world_open(&w, nth);
		w.nth = nth;
		w.body = body_no_memory;
		assert_int_equal(xs_call(w.client_xs, client_main, &w), 0);
		(void)world_close(&w);
		if (!w.fired)
			break;
		assert_true(nth < 1000);
	}
	assert_true(nth > 10);
}

/* Closing while a call waits ends it; a peer may outlive its endpoint. */
struct closing {
	struct world *w;
	int call_rc;
};

static void
close_call(void *arg)
{
	struct closing *cl = arg;

	cl->call_rc = t_call_sleep(&cl->w->c, 10 * T_SEC, 0);
}

static int
close_ep(void *arg)
{
	struct closing *cl = arg;

	rpc_ep_close(cl->w->c.ep);
	return 0;
}

static void
test_close(void **state)
{
	struct world w;
	struct closing cl = {.w = &w};
	uint64_t t;

	world_open(&w, 11);
	assert_int_equal(rpc_peer_get(w.c.ep, w.uri, &w.c.peer), 0);
	assert_int_equal(co_spawn(w.client_xs, close_call, &cl), 0);
	assert_int_equal(xs_thread_start(w.client_xs), 0);
	sim_run_for(w.sim, 5 * T_MS);
	assert_int_equal(cl.call_rc, 0);
	t = sim_now_ns(w.sim);
	assert_int_equal(xs_call(w.client_xs, close_ep, &cl), 0);
	assert_int_equal(cl.call_rc, -DER_CANCELED);
	assert_true(sim_now_ns(w.sim) - t < T_SEC);
	rpc_peer_put(w.c.peer);
	xs_stop(w.client_xs);
	xs_thread_join(w.client_xs);
	/* The server's handler still sleeps; closing the server waits for it. */
	(void)world_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_calls),     cmocka_unit_test(test_determinism),
	    cmocka_unit_test(test_idle),      cmocka_unit_test(test_coalesce),
	    cmocka_unit_test(test_faults),    cmocka_unit_test(test_lost),
	    cmocka_unit_test(test_long),      cmocka_unit_test(test_killed),
	    cmocka_unit_test(test_restarted), cmocka_unit_test(test_silent),
	    cmocka_unit_test(test_partition), cmocka_unit_test(test_bulk_cut),
	    cmocka_unit_test(test_no_memory), cmocka_unit_test(test_close),
	};

	log_set_level(LOG_LVL_CRIT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
