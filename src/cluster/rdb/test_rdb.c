/*
 * A replicated list of numbers under random faults in the simulator: crashes with torn disks, cut,
 * lossy, duplicating and reordering networks, changes of members, snapshots every few entries.
 * Checked: what was acknowledged stays where it was said to be, nothing appears twice, later
 * operations come behind earlier ones, reads after a barrier are not stale, replicas agree, and
 * once the faults stop the group serves again.
 *
 * RDB_SEED=N replays one run; RDB_RUNS=N explores N of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <daos_errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "cluster/rdb/rdb.h"
#include "net/fabric/sim.h"
#include "runtime/sim.h"
#include "runtime/xs.h"
#include "store/dev/dev.h"

enum {
	NODES = 5,
	PORT = 5000,
	CLIENT = 100,
	LIST_MAX = 1 << 16,
	OPS_PER_STEP = 6,
	MS = 1000000,
};

struct world;
struct node {
	struct world *w;
	uint32_t idx;
	struct xs *xs;
	struct net *net;
	struct mem_disk *disk;
	struct dev_dir *dir;
	struct rpc_ep *ep;
	struct rdb *rdb;
	bool up;
	bool failed;
	uint32_t inside; /* operations that use rdb */
	uint64_t id;
	bool formatted;
	/* state machine */
	uint64_t *list;
	uint64_t nr;
	uint32_t restores;
};

struct world {
	struct sim *sim;
	struct sim_net *sn;
	struct net *net;
	struct xs *xs;
	struct node nodes[NODES];
	uint64_t next_value;
	uint64_t acked_nr;
	uint64_t acked_max;             /* highest index acknowledged, + 1 */
	uint64_t acked_value[LIST_MAX]; /* by index; 0 = not acknowledged */
	uint32_t running;
	uint64_t barriers;
	void (*body)(struct world *w);
};

/* --- state machine --------------------------------------------------------------------------- */

static int
sm_apply(void *arg, const void *cmd, size_t len, void **ret_reply, size_t *ret_len)
{
	struct node *n = arg;
	uint64_t *reply = mem_dup(&n->nr, sizeof(n->nr));

	assert_int_equal(len % 8, 0);
	assert_true(n->nr < LIST_MAX);
	memcpy(&n->list[n->nr++], cmd, 8);
	*ret_reply = reply;
	*ret_len = sizeof(*reply);
	return 0;
}

static int
sm_snapshot(void *arg, void **ret_buf, size_t *ret_len)
{
	struct node *n = arg;

	*ret_buf = mem_dup(n->list, n->nr * 8 + 1);
	*ret_len = n->nr * 8;
	return *ret_buf != NULL ? 0 : -DER_NOMEM;
}

static int
sm_restore(void *arg, const void *buf, size_t len)
{
	struct node *n = arg;

	n->restores++;
	n->nr = len / 8;
	memcpy(n->list, buf, len);
	return 0;
}

static void
sm_failed(void *arg, int rc)
{
	((struct node *)arg)->failed = true;
}

/* --- nodes ----------------------------------------------------------------------------------- */

static int
node_open_rdb(struct node *n)
{
	struct rdb_conf conf = {
	    .xs = n->xs,
	    .ep = n->ep,
	    .dir = n->dir,
	    .prefix = "t",
	    .snapshot_every = 40,
	    .snapshot_trailing = 10,
	    .sm =
		{
		    .apply = sm_apply,
		    .snapshot = sm_snapshot,
		    .restore = sm_restore,
		    .failed = sm_failed,
		    .arg = n,
		},
	};

	n->nr = 0;
	return rdb_open(&conf, &n->rdb);
}

static int
node_up(void *arg)
{
	static const uint8_t group[16] = {7};
	static const uint8_t no_group[16];
	struct node *n = arg;
	struct rpc_ep_conf ec = {.xs = n->xs, .net = n->net, .port = PORT, .accept_calls = true};
	int rc;

	assert_int_equal(mem_disk_open(n->disk, &n->dir), 0);
	assert_int_equal(rpc_ep_open(&ec, &n->ep), 0);
	if (!n->formatted) {
		assert_int_equal(rnode_format(n->xs, n->dir, "t", n->idx == 0 ? group : no_group,
					      n->id, n->idx == 0 ? rpc_ep_uri(n->ep) : NULL),
				 0);
		n->formatted = true;
	}
	rc = node_open_rdb(n);
	assert_int_equal(rc, 0);
	n->failed = false;
	n->up = true;
	return 0;
}

static int
node_down(void *arg)
{
	struct node *n = arg;
	struct rdb *rdb = n->rdb;

	n->up = false;
	rnode_stop_begin(rdb_node(rdb));
	while (n->inside > 0)
		co_sleep_ns(MS);
	n->rdb = NULL;
	rdb_close(rdb);
	rpc_ep_close(n->ep);
	dev_dir_close(n->dir);
	return 0;
}

static uint64_t
rnd(void *arg)
{
	return sim_rand_u64(((struct world *)arg)->sim);
}

static void
up(struct node *n)
{
	assert_int_equal(xs_call_remote(n->xs, node_up, n), 0);
}

static void
down(struct node *n, bool crash, bool silent)
{
	if (crash) {
		mem_disk_stop(n->disk);
		sim_net_node_down(n->w->sn, n->idx, silent);
	}
	assert_int_equal(xs_call_remote(n->xs, node_down, n), 0);
	if (crash) {
		mem_disk_restart(n->disk, rnd, n->w);
		sim_net_node_up(n->w->sn, n->idx);
	}
}

static struct node *
leader(struct world *w)
{
	uint32_t i;

	for (i = 0; i < NODES; i++)
		if (w->nodes[i].up && rdb_is_leader(w->nodes[i].rdb))
			return &w->nodes[i];
	return NULL;
}

/* One of those who believe they lead: there may be two for a moment. */
static struct node *
some_leader(struct world *w)
{
	struct node *found[NODES];
	uint32_t nr = 0;
	uint32_t i;

	for (i = 0; i < NODES; i++)
		if (w->nodes[i].up && rdb_is_leader(w->nodes[i].rdb))
			found[nr++] = &w->nodes[i];
	return nr != 0 ? found[sim_rand_below(w->sim, nr)] : NULL;
}

/* --- operations ------------------------------------------------------------------------------ */

struct op {
	struct world *w;
	struct node *n;
	uint64_t value;
	uint64_t index;
	uint64_t floor; /* everything below was acknowledged before */
	bool read;
};

static int
op_on_node(void *arg)
{
	struct op *op = arg;
	struct node *n = op->n;
	void *reply = NULL;
	size_t len = 0;
	uint8_t cmd[2048] = {0};
	int rc;

	if (!n->up || n->rdb == NULL)
		return -DER_SHUTDOWN;
	n->inside++;
	if (op->read) {
		rc = rdb_barrier(n->rdb, op->value % 2 == 0, xs_now_fresh_ns(n->xs) + 2000ull * MS);
		op->index = n->nr;
	} else {
		memcpy(cmd, &op->value, 8);
		rc = rdb_propose(n->rdb, cmd, op->value % 16 == 0 ? sizeof(cmd) : 8, &reply, &len);
		if (rc == 0)
			memcpy(&op->index, reply, 8);
		free(reply);
	}
	n->inside--;
	return rc;
}

static void
op_run(void *arg)
{
	struct op *op = arg;
	struct world *w = op->w;
	int rc;

	op->floor = w->acked_max;
	rc = xs_call_remote(op->n->xs, op_on_node, op);
	if (rc == 0 && op->read) {
		w->barriers++;
		assert_true(op->index >= op->floor); /* stale otherwise */
	} else if (rc == 0) {
		assert_true(op->index < LIST_MAX);
		assert_true(op->index >= op->floor);
		assert_int_equal(w->acked_value[op->index], 0);
		w->acked_value[op->index] = op->value;
		if (op->index >= w->acked_max)
			w->acked_max = op->index + 1;
		w->acked_nr++;
	}
	free(op);
	w->running--;
}

static void
op_start(struct world *w, struct node *n, bool read)
{
	struct op *op = mem_new(struct op);

	op->w = w;
	op->n = n;
	op->read = read;
	op->value = ++w->next_value;
	w->running++;
	assert_int_equal(co_spawn(w->xs, op_run, op), 0);
}

/* --- checks ---------------------------------------------------------------------------------- */

/* settled: everybody is up and has applied everything. */
static void
check(struct world *w, bool settled)
{
	static uint8_t seen[LIST_MAX * 4];
	const struct node *longest = NULL;
	uint64_t k;
	uint32_t i;

	for (i = 0; i < NODES; i++)
		if (w->nodes[i].up && (longest == NULL || w->nodes[i].nr > longest->nr))
			longest = &w->nodes[i];
	if (longest == NULL)
		return;
	for (i = 0; i < NODES; i++)
		if (w->nodes[i].up)
			assert_memory_equal(w->nodes[i].list, longest->list, w->nodes[i].nr * 8);
	assert_true(!settled || longest->nr >= w->acked_max);
	for (k = 0; k < w->acked_max && k < longest->nr; k++)
		if (w->acked_value[k] != 0)
			assert_int_equal(longest->list[k], w->acked_value[k]);
	memset(seen, 0, sizeof(seen));
	for (k = 0; k < longest->nr; k++) {
		assert_true(longest->list[k] < sizeof(seen));
		assert_int_equal(seen[longest->list[k]], 0);
		seen[longest->list[k]] = 1;
	}
}

/* Everything acknowledged so far, and one more, is on every member. */
static void
settle(struct world *w)
{
	uint32_t tries;
	uint32_t wait;
	uint32_t i;

	sim_net_heal(w->sn);
	for (i = 0; i < NODES; i++)
		if (!w->nodes[i].up)
			up(&w->nodes[i]);
	for (tries = 0; tries < 2000; tries++) {
		struct node *l = leader(w);
		uint64_t acked = w->acked_nr;

		if (l != NULL) {
			op_start(w, l, false);
			while (w->running > 0)
				co_sleep_ns(MS);
			/* Followers hear with the next heartbeat that it is committed. */
			for (wait = 0; w->acked_nr > acked && wait < 100; wait++) {
				for (i = 0; i < NODES; i++)
					if (w->nodes[i].failed || w->nodes[i].nr < w->acked_max)
						break;
				if (i == NODES)
					return;
				co_sleep_ns(20 * MS);
			}
		}
		/* One that went out by itself starts again. */
		for (i = 0; i < NODES; i++)
			if (w->nodes[i].failed) {
				down(&w->nodes[i], false, false);
				up(&w->nodes[i]);
			}
		co_sleep_ns(20 * MS);
	}
	for (i = 0; i < NODES; i++) {
		const struct node *n = &w->nodes[i];

		print_message("node %u: %llu entries, term %llu, leader %llu%s%s\n", i,
			      (unsigned long long)n->nr,
			      (unsigned long long)rnode_term(rdb_node(n->rdb)),
			      (unsigned long long)rnode_leader_id(rdb_node(n->rdb)),
			      rdb_is_leader(n->rdb) ? ", leads" : "", n->failed ? ", failed" : "");
	}
	print_message("%llu acknowledged\n", (unsigned long long)w->acked_max);
	fail_msg("the group does not serve although all faults are over");
}

/* --- scenarios ------------------------------------------------------------------------------- */

struct change {
	struct node *n;
	uint64_t id;
	const char *uri;
	bool promote;
};

static int
change_on_node(void *arg)
{
	struct change *c = arg;
	int rc;

	if (!c->n->up)
		return -DER_SHUTDOWN;
	c->n->inside++;
	rc = c->promote ? rnode_promote(rdb_node(c->n->rdb), c->id)
			: rnode_add(rdb_node(c->n->rdb), c->id, c->uri);
	c->n->inside--;
	return rc;
}

static void
add_member(struct world *w, struct node *n)
{
	uint32_t tries;

	for (tries = 0; tries < 500; tries++) {
		struct change c = {.n = leader(w), .id = n->id, .uri = rpc_ep_uri(n->ep)};
		int rc;

		if (c.n != NULL) {
			rc = xs_call_remote(c.n->xs, change_on_node, &c);
			if (rc == 0 || rc == -DER_EXIST) {
				c.promote = true;
				if (xs_call_remote(c.n->xs, change_on_node, &c) == 0)
					return;
			}
		}
		co_sleep_ns(20 * MS);
	}
	fail_msg("no change of members");
}

static void
form_group(struct world *w)
{
	uint32_t i;

	for (i = 0; i < NODES; i++)
		up(&w->nodes[i]);
	while (leader(w) == NULL)
		co_sleep_ns(MS);
	/* Something to catch up with, a snapshot included. */
	for (i = 0; i < 100; i++)
		op_start(w, &w->nodes[0], false);
	while (w->running > 0)
		co_sleep_ns(MS);
	assert_int_equal(w->acked_nr, 100);
	for (i = 1; i < NODES; i++)
		add_member(w, &w->nodes[i]);
	settle(w);
	check(w, true);
}

static void
fault(struct world *w)
{
	struct node *n = &w->nodes[sim_rand_below(w->sim, NODES)];
	struct node *l = leader(w);
	struct sim_link link = sim_link_default;
	uint32_t i;

	switch (sim_rand_below(w->sim, 9)) {
	case 0:
		if (l != NULL)
			down(l, true, sim_chance(w->sim, 0.5));
		break;
	case 1:
		if (n->up)
			down(n, sim_chance(w->sim, 0.7), sim_chance(w->sim, 0.5));
		break;
	case 2:
	case 3:
		if (!n->up)
			up(n);
		break;
	case 4: /* cut one off, both ways or one way */
		for (i = 0; i < NODES; i++) {
			sim_net_cut(w->sn, n->idx, i, true);
			if (sim_chance(w->sim, 0.5))
				sim_net_cut(w->sn, i, n->idx, true);
		}
		break;
	case 5:
	case 6:
		sim_net_heal(w->sn);
		break;
	case 7: /* a bad network everywhere */
		link.loss = 0.1;
		link.dup = 0.1;
		link.reorder = 0.3;
		link.reorder_ns = 20 * MS;
		sim_net_set_link(w->sn, SIM_NODE_ANY, SIM_NODE_ANY, &link);
		break;
	default:
		sim_net_set_link(w->sn, SIM_NODE_ANY, SIM_NODE_ANY, &sim_link_default);
	}
}

static void
body_faults(struct world *w)
{
	uint32_t step;

	form_group(w);
	for (step = 0; step < 300; step++) {
		uint32_t i;

		if (sim_chance(w->sim, 0.1))
			fault(w);
		for (i = 0; i < OPS_PER_STEP; i++) {
			struct node *l = some_leader(w);

			/* Also those who are not, or believe they are. */
			if (l == NULL || sim_chance(w->sim, 0.2))
				l = &w->nodes[sim_rand_below(w->sim, NODES)];
			op_start(w, l, sim_chance(w->sim, 0.3));
		}
		co_sleep_ns(sim_rand_below(w->sim, 100) * MS);
		if (step % 10 == 9)
			check(w, false);
	}
	sim_net_set_link(w->sn, SIM_NODE_ANY, SIM_NODE_ANY, &sim_link_default);
	settle(w);
	check(w, true);
	/* Nothing of it was in memory only. */
	for (step = 0; step < NODES; step++)
		down(&w->nodes[step], true, false);
	settle(w);
	check(w, true);
	assert_true(w->acked_nr > 110);
}

/*
 * Leaders die young: again and again one crashes within moments of its election, with entries on
 * their way, and others come back with what they had stored. Entries of earlier terms that are
 * counted, or votes that are forgotten, show here.
 */
static void
body_elections(struct world *w)
{
	uint32_t round;
	uint32_t i;

	form_group(w);
	for (round = 0; round < 120; round++) {
		struct node *l = NULL;
		uint32_t waited;

		for (waited = 0; l == NULL && waited < 3000; waited++) {
			co_sleep_ns(sim_rand_below(w->sim, MS));
			/* Somebody who may just have voted blinks. */
			if (sim_chance(w->sim, 0.01)) {
				struct node *n = &w->nodes[sim_rand_below(w->sim, NODES)];

				if (n->up) {
					down(n, true, false);
					up(n);
				}
			}
			l = some_leader(w);
			if (l == NULL && waited % 500 == 499)
				for (i = 0; i < NODES; i++)
					if (!w->nodes[i].up && sim_chance(w->sim, 0.5))
						up(&w->nodes[i]);
		}
		if (l == NULL)
			continue;
		for (i = 0; i < 3; i++)
			op_start(w, l, false);
		/* Its messages reach some, late, and no longer all. */
		for (i = 0; i < NODES; i++)
			sim_net_cut(w->sn, l->idx, i, sim_chance(w->sim, 0.5));
		co_sleep_ns(sim_rand_below(w->sim, 3 * MS));
		if (l->up)
			down(l, true, sim_chance(w->sim, 0.5));
		sim_net_heal(w->sn);
		for (i = 0; i < NODES; i++)
			if (!w->nodes[i].up && sim_chance(w->sim, 0.4))
				up(&w->nodes[i]);
	}
	settle(w);
	check(w, true);
}

/* --- world ----------------------------------------------------------------------------------- */

static int
client_main(void *arg)
{
	struct world *w = arg;
	uint32_t i;

	w->body(w);
	while (w->running > 0)
		co_sleep_ns(MS);
	for (i = 0; i < NODES; i++)
		if (w->nodes[i].up)
			down(&w->nodes[i], false, false);
	return 0;
}

static struct xs *
xs_new(struct world *w, const char *name)
{
	struct xs_conf conf = {.name = name, .env = sim_env_create(w->sim, 0), .cpu = -1};
	struct xs *xs;

	assert_int_equal(xs_create(&conf, &xs), 0);
	return xs;
}

static uint32_t
run(uint64_t seed, void (*body)(struct world *w))
{
	struct world *w = calloc(1, sizeof(*w));
	uint32_t restores = 0;
	uint32_t i;

	print_message("seed %llu\n", (unsigned long long)seed);
	w->body = body;
	assert_int_equal(sim_create(seed, &w->sim), 0);
	assert_int_equal(sim_net_create(w->sim, &w->sn), 0);
	for (i = 0; i < NODES; i++) {
		struct node *n = &w->nodes[i];
		char name[16];

		snprintf(name, sizeof(name), "n%u", i);
		n->w = w;
		n->idx = i;
		n->id = 1000 + i;
		n->list = calloc(LIST_MAX, 8);
		n->xs = xs_new(w, name);
		assert_int_equal(net_open_sim(w->sn, i, &n->net), 0);
		assert_int_equal(mem_disk_create(w->sim, 64 << 20, &n->disk), 0);
		assert_int_equal(xs_thread_start(n->xs), 0);
	}
	w->xs = xs_new(w, "client");
	assert_int_equal(xs_call(w->xs, client_main, w), 0);
	for (i = 0; i < NODES; i++) {
		struct node *n = &w->nodes[i];

		restores += n->restores;
		xs_stop(n->xs);
		xs_thread_join(n->xs);
		xs_destroy(n->xs);
		net_close(n->net);
		mem_disk_destroy(n->disk);
		free(n->list);
	}
	print_message("%llu acknowledged, %llu reads, %u snapshots loaded, %llu s simulated\n",
		      (unsigned long long)w->acked_nr, (unsigned long long)w->barriers, restores,
		      (unsigned long long)(sim_now_ns(w->sim) / 1000000000));
	xs_destroy(w->xs);
	sim_net_destroy(w->sn);
	sim_destroy(w->sim);
	free(w);
	return restores;
}

static void
run_all(void (*body)(struct world *w))
{
	const char *seed = getenv("RDB_SEED");
	const char *runs = getenv("RDB_RUNS");
	uint64_t nr = runs != NULL ? strtoull(runs, NULL, 0) : 3;
	uint32_t restores = 0;
	uint64_t i;

	if (seed != NULL) {
		run(strtoull(seed, NULL, 0), body);
		return;
	}
	for (i = 1; i <= nr; i++)
		restores += run(i, body);
	assert_true(restores > 0);
}

static void
test_faults(void **state)
{
	run_all(body_faults);
}

static void
test_elections(void **state)
{
	run_all(body_elections);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_faults),
	    cmocka_unit_test(test_elections),
	};

	if (getenv("D_LOG_MASK") != NULL)
		log_set_mask(getenv("D_LOG_MASK"));
	else
		log_set_mask("NONE");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
