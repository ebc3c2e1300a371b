/*
 * A Raft replica as coroutines: the loop, which is the only place where libraft is entered, and the
 * calls others make, which are events for it.
 *
 * The loop takes one event after the other; what libraft does while it handles one (appending,
 * sending) is queued to the writer and the senders, and their completions come back as events. So
 * callbacks never run inside the call that caused them, and libraft is never re-entered although
 * set_term and set_vote yield.
 *
 * After each event the loop looks at what changed: a new leadership begins with a barrier entry of
 * its own (readiness, and see rnode_net.c); libraft giving up, or a failed write, closes the
 * replica.
 *
 * The clock costs what it must: a leader's timer fires for every heartbeat, a follower's when its
 * election timeout might have passed, that of a replica alone in its group never.
 */
#define LOG_FACILITY "raft"

#include "cluster/raft/rnode.h"

#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/raft/rnode_internal.h"

/* --- events ---------------------------------------------------------------------------------- */

void
rnode_post(struct rnode *node, struct rnode_ev *ev,
	   void (*fn)(struct rnode *node, struct rnode_ev *ev))
{
	ev->fn = fn;
	list_push_back(&node->events, &ev->link);
	co_waitq_wake_one(&node->loop_wq);
}

void
rnode_coroutine_end(struct rnode *node)
{
	node->coroutine_nr--;
	co_waitq_wake_one(&node->loop_wq);
	co_waitq_wake_all(&node->idle_wq);
}

void
rnode_match(struct rnode *node, uint64_t term, uint64_t end)
{
	if (term != node->raft.current_term)
		return; /* that leader is gone; the present one has its own log */
	if (node->match_term != term) {
		node->match_term = term;
		node->match_index = 0;
	}
	if (end > node->match_index)
		node->match_index = end;
}

int
rnode_err(int raft_rv)
{
	switch (raft_rv) {
	case 0:
		return 0;
	case RAFT_NOMEM:
		return -DER_NOMEM;
	case RAFT_NOTLEADER:
	case RAFT_LEADERSHIPLOST:
	case RAFT_SHUTDOWN:
	case RAFT_CANCELED:
		return -DER_NOTLEADER;
	case RAFT_CANTCHANGE:
	case RAFT_BUSY:
		return -DER_BUSY;
	case RAFT_DUPLICATEID:
	case RAFT_DUPLICATEADDRESS:
		return -DER_EXIST;
	case RAFT_BADID:
	case RAFT_NOTFOUND:
		return -DER_NONEXIST;
	case RAFT_NOCONNECTION:
		return -DER_UNREACH;
	case RAFT_CORRUPT:
		return -DER_CSUM;
	case RAFT_NOSPACE:
		return -DER_NOSPACE;
	default:
		return -DER_IO;
	}
}

void
rnode_fail(struct rnode *node, int rc)
{
	if (node->failed_rc == 0)
		node->failed_rc = rc;
	co_waitq_wake_one(&node->loop_wq);
}

/* --- clock ----------------------------------------------------------------------------------- */

static bool
is_alone(const struct rnode *node)
{
	return node->raft.state == RAFT_LEADER && node->raft.configuration.n == 1;
}

static void
tick_event(struct rnode *node, struct rnode_ev *ev)
{
	node->tick_queued = false;
	if (!node->closing)
		node->tick_cb(&node->io);
}

/* When libraft has something to do: a leader's next heartbeat; a follower's election, as long as it
 * hears nothing. */
static uint64_t
tick_due_ns(struct rnode *node)
{
	const struct raft *raft = &node->raft;
	uint64_t now = xs_now_fresh_ns(node->xs);
	uint64_t due = 0;

	if (raft->state == RAFT_FOLLOWER)
		due = (raft->election_timer_start +
		       raft->follower_state.randomized_election_timeout) *
		      1000000ull;
	if (due <= now)
		due = now + node->conf.heartbeat_ms * 1000000ull;
	return due;
}

static void
tick_arm(struct rnode *node)
{
	uint64_t due;

	if (node->closing)
		return;
	if (is_alone(node)) {
		xs_timer_cancel(&node->tick);
		return;
	}
	due = tick_due_ns(node);
	/* If it turns out to be later, that is seen to when the timer fires. */
	if (node->tick.heap_idx == 0 || node->tick.at_ns > due)
		xs_timer_arm(node->xs, &node->tick, due);
}

static void
on_tick(struct xs_timer *t)
{
	struct rnode *node = t->arg;
	const struct raft *raft = &node->raft;
	bool heard =
	    raft->state == RAFT_FOLLOWER &&
	    (raft->election_timer_start + raft->follower_state.randomized_election_timeout) *
		    1000000ull >
		xs_now_fresh_ns(node->xs);

	if (!heard && !node->tick_queued) {
		node->tick_queued = true;
		rnode_post(node, &node->tick_ev, tick_event);
	}
	tick_arm(node);
}

/* --- leadership ------------------------------------------------------------------------------ */

struct first_barrier {
	struct raft_barrier req;
	struct rnode *node;
	uint64_t epoch;
};

static void
first_barrier_done(struct raft_barrier *req, int status)
{
	struct first_barrier *b = container_of(req, struct first_barrier, req);
	struct rnode *node = b->node;

	if (status == 0 && node->is_leader && node->epoch == b->epoch && !node->closing) {
		node->ready = true;
		if (node->conf.fsm.leader != NULL)
			node->conf.fsm.leader(node->conf.fsm.arg, true, node->epoch);
	}
	free(b);
}

static void
leadership_begin(struct rnode *node)
{
	struct first_barrier *b = mem_new(struct first_barrier);
	int rv;

	node->is_leader = true;
	node->epoch++;
	if (b == NULL) {
		rnode_fail(node, -DER_NOMEM);
		return;
	}
	b->node = node;
	b->epoch = node->epoch;
	rv = raft_barrier(&node->raft, &b->req, first_barrier_done);
	if (rv != 0) {
		free(b);
		rnode_fail(node, rnode_err(rv));
	}
}

static void
leadership_end(struct rnode *node)
{
	bool was_ready = node->ready;

	node->is_leader = false;
	node->ready = false;
	node->epoch++;
	co_waitq_wake_all(&node->ack_wq);
	if (was_ready && node->conf.fsm.leader != NULL)
		node->conf.fsm.leader(node->conf.fsm.arg, false, node->epoch);
}

void
rnode_ack(struct rnode *node, struct rnode_peer *peer, uint64_t sent_ns)
{
	if (peer->ack_epoch != node->epoch) {
		peer->ack_epoch = node->epoch;
		peer->ack_ns = 0;
	}
	if (sent_ns > peer->ack_ns)
		peer->ack_ns = sent_ns;
	co_waitq_wake_all(&node->ack_wq);
}

static int
cmp_desc(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* Latest time at which a majority of the voters still followed this leader. */
static uint64_t
quorum_ack_ns(const struct rnode *node)
{
	uint64_t acks[RCODEC_SERVERS_MAX];
	unsigned n = 0;
	unsigned i;

	for (i = 0; i < node->raft.configuration.n && n < RCODEC_SERVERS_MAX; i++) {
		const struct raft_server *s = &node->raft.configuration.servers[i];
		const struct rnode_peer *peer;

		if (s->role != RAFT_VOTER)
			continue;
		if (s->id == rnode_id(node)) {
			acks[n++] = UINT64_MAX;
			continue;
		}
		peer = rnode_peer_find(node, s->id);
		acks[n++] = peer != NULL && peer->ack_epoch == node->epoch ? peer->ack_ns : 0;
	}
	if (n == 0)
		return 0;
	qsort(acks, n, sizeof(acks[0]), cmp_desc);
	return acks[n / 2];
}

int co_fn
rnode_confirm(struct rnode *node, bool lazy, uint64_t deadline_ns)
{
	uint64_t epoch = node->epoch;
	uint64_t since_ns;

	if (!node->ready)
		return -DER_NOTLEADER;
	if (quorum_ack_ns(node) == UINT64_MAX)
		return 0;
	since_ns = xs_now_fresh_ns(node->xs);
	while (quorum_ack_ns(node) < since_ns) {
		int rc;

		if (!lazy)
			rnode_net_kick_confirm(node);
		rc = co_waitq_wait(&node->ack_wq, deadline_ns);
		if (node->epoch != epoch || node->closing)
			return -DER_NOTLEADER;
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* --- loop ------------------------------------------------------------------------------------ */

static void
on_closed(struct raft *raft)
{
}

static void
close_now(struct rnode *node)
{
	if (node->closing)
		return;
	raft_close(&node->raft, on_closed);
	if (node->is_leader)
		leadership_end(node);
}

static void
look_after(struct rnode *node)
{
	bool leads;

	if (!node->raft_started)
		return;
	if (node->raft.state == RAFT_UNAVAILABLE && !node->closing && node->failed_rc == 0)
		node->failed_rc = -DER_IO;
	if (node->failed_rc != 0 && !node->closing) {
		log_crit("replica %llu is out: " ERR_F ", %s", (unsigned long long)rnode_id(node),
			 ERR_P(node->failed_rc), raft_errmsg(&node->raft));
		close_now(node);
		if (node->conf.fsm.failed != NULL)
			node->conf.fsm.failed(node->conf.fsm.arg, node->failed_rc);
	}
	if (node->closing) {
		rnode_io_check_closed(node);
		return;
	}
	leads = node->raft.state == RAFT_LEADER;
	if (!leads && node->is_leader)
		leadership_end(node);
	if (leads && !node->is_leader) {
		log_note("replica %llu leads in term %llu", (unsigned long long)rnode_id(node),
			 (unsigned long long)node->raft.current_term);
		leadership_begin(node);
	}
	rnode_net_undefer(node);
	if (rlog_live_bytes(node->log) > RNODE_LOG_BYTES_MAX) {
		raft_set_snapshot_threshold(&node->raft, 16);
		raft_set_snapshot_trailing(&node->raft, 16);
	} else {
		raft_set_snapshot_threshold(&node->raft, node->conf.snapshot_every);
		raft_set_snapshot_trailing(&node->raft, node->conf.snapshot_trailing);
	}
	tick_arm(node);
}

static void co_fn
loop(void *arg)
{
	struct rnode *node = arg;

	for (;;) {
		struct rnode_ev *ev = list_first(&node->events, struct rnode_ev, link);

		if (ev != NULL) {
			list_del(&ev->link);
			ev->fn(node, ev);
		}
		look_after(node);
		if (!list_empty(&node->events))
			continue;
		if (node->stopping && node->coroutine_nr == 0 &&
		    (node->io_closed || !node->raft_started) && node->writer_done)
			break;
		if (node->failed_rc == 0 || node->closing)
			co_waitq_wait(&node->loop_wq, 0);
	}
	co_future_complete(&node->loop_done, 0);
}

/* Run fn in the loop and wait until it calls call_end(). The struct is on the caller's stack. */
struct call {
	struct rnode_ev ev;
	struct rnode *node;
	struct co_future done;
};

static int co_fn
call_run(struct rnode *node, struct call *c, void (*fn)(struct rnode *, struct rnode_ev *))
{
	c->node = node;
	co_future_init(&c->done);
	rnode_post(node, &c->ev, fn);
	return co_future_wait(&c->done, 0);
}

static void
call_end(struct call *c, int rc)
{
	co_future_complete(&c->done, rc);
}

/* --- state machine --------------------------------------------------------------------------- */

static void
unclaimed_drop(struct rnode *node)
{
	if (node->unclaimed != NULL && node->conf.fsm.result_free != NULL)
		node->conf.fsm.result_free(node->conf.fsm.arg, node->unclaimed);
	node->unclaimed = NULL;
}

static int
fsm_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
	struct rnode *node = fsm->data;

	/* libraft drops the result when nobody here waits for it. */
	unclaimed_drop(node);
	node->conf.fsm.apply(node->conf.fsm.arg, buf->base, buf->len, &node->unclaimed);
	*result = NULL;
	return 0;
}

static int
fsm_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
	struct rnode *node = fsm->data;
	struct raft_buffer *b;
	int rc;

	/* libraft would put the newest configuration into the snapshot, committed or not. */
	if (node->raft.configuration_uncommitted_index != 0)
		return RAFT_BUSY;
	b = raft_calloc(1, sizeof(*b));
	if (b == NULL)
		return RAFT_NOMEM;
	rc = node->conf.fsm.snapshot(node->conf.fsm.arg, &b->base, &b->len);
	if (rc != 0) {
		raft_free(b);
		log_warn("snapshot of the state: " ERR_F, ERR_P(rc));
		return RAFT_BUSY; /* tried again later */
	}
	*bufs = b;
	*n_bufs = 1;
	return 0;
}

static int
fsm_restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
	struct rnode *node = fsm->data;
	int rc = node->conf.fsm.restore(node->conf.fsm.arg, buf->base, buf->len);

	if (rc != 0) {
		log_err("snapshot not understood: " ERR_F, ERR_P(rc));
		return rc == -DER_NOMEM ? RAFT_NOMEM : RAFT_CORRUPT;
	}
	raft_free(buf->base);
	return 0;
}

/* --- proposing ------------------------------------------------------------------------------- */

struct propose {
	struct call call;
	struct raft_apply req;
	const void *buf;
	size_t len;
	void *result;
};

static void
propose_done(struct raft_apply *req, int status, void *result)
{
	struct propose *p = req->data;

	if (status == 0)
		p->result = steal_ptr(p->call.node->unclaimed);
	call_end(&p->call, rnode_err(status));
}

static void
propose_event(struct rnode *node, struct rnode_ev *ev)
{
	struct propose *p = container_of(ev, struct propose, call.ev);
	struct raft_buffer buf = {.len = p->len};
	int rv;

	if (node->closing || !node->ready) {
		call_end(&p->call, -DER_NOTLEADER);
		return;
	}
	buf.base = raft_malloc(p->len != 0 ? p->len : 1);
	if (buf.base == NULL) {
		call_end(&p->call, -DER_NOMEM);
		return;
	}
	memcpy(buf.base, p->buf, p->len);
	p->req.data = p;
	rv = raft_apply(&node->raft, &p->req, &buf, 1, propose_done);
	if (rv != 0) {
		raft_free(buf.base);
		call_end(&p->call, rnode_err(rv));
	}
}

int co_fn
rnode_propose(struct rnode *node, const void *buf, size_t len, void **ret_result)
{
	struct propose p = {.buf = buf, .len = len};
	int rc;

	if (len > RLOG_ENTRY_MAX)
		return -DER_OVERFLOW;
	rc = call_run(node, &p.call, propose_event);
	if (rc == 0)
		*ret_result = p.result;
	return rc;
}

/* --- membership ------------------------------------------------------------------------------ */

struct change {
	struct call call;
	struct raft_change req;
	enum { CHANGE_ADD, CHANGE_PROMOTE, CHANGE_REMOVE } what;
	uint64_t id;
	const char *uri;
};

static void
change_done(struct raft_change *req, int status)
{
	struct change *c = req->data;

	call_end(&c->call, rnode_err(status));
}

static void
change_event(struct rnode *node, struct rnode_ev *ev)
{
	struct change *c = container_of(ev, struct change, call.ev);
	int rv = RAFT_NOTLEADER;

	c->req.data = c;
	if (!node->closing && node->ready && node->raft.leader_state.change != NULL)
		rv = RAFT_CANTCHANGE;
	else if (!node->closing && node->ready) {
		switch (c->what) {
		case CHANGE_ADD:
			rv = raft_add(&node->raft, &c->req, c->id, c->uri, change_done);
			break;
		case CHANGE_PROMOTE:
			rv = raft_assign(&node->raft, &c->req, c->id, RAFT_VOTER, change_done);
			break;
		case CHANGE_REMOVE:
			rv = raft_remove(&node->raft, &c->req, c->id, change_done);
			break;
		}
	}
	if (rv == RAFT_BADROLE)
		call_end(&c->call, 0); /* it is a voter already */
	else if (rv != 0)
		call_end(&c->call, rnode_err(rv));
}

int co_fn
rnode_add(struct rnode *node, uint64_t id, const char *uri)
{
	struct change c = {.what = CHANGE_ADD, .id = id, .uri = uri};

	if (id == 0 || strlen(uri) >= RCODEC_ADDR_MAX)
		return -DER_INVAL;
	if (node->raft.configuration.n >= RNODE_SERVERS_MAX)
		return -DER_OVERFLOW;
	return call_run(node, &c.call, change_event);
}

int co_fn
rnode_promote(struct rnode *node, uint64_t id)
{
	struct change c = {.what = CHANGE_PROMOTE, .id = id};

	return call_run(node, &c.call, change_event);
}

int co_fn
rnode_remove(struct rnode *node, uint64_t id)
{
	struct change c = {.what = CHANGE_REMOVE, .id = id};

	return call_run(node, &c.call, change_event);
}

/* --- what others may know -------------------------------------------------------------------- */

uint64_t
rnode_id(const struct rnode *node)
{
	return rlog_ident(node->log)->id;
}

void
rnode_group(const struct rnode *node, uint8_t ret_group[16])
{
	memcpy(ret_group, rlog_ident(node->log)->group, 16);
}

bool
rnode_is_leader(const struct rnode *node)
{
	return node->ready;
}

uint64_t
rnode_epoch(const struct rnode *node)
{
	return node->epoch;
}

uint64_t
rnode_term(const struct rnode *node)
{
	return rlog_term(node->log);
}

uint64_t
rnode_leader_id(const struct rnode *node)
{
	switch (node->closing ? RAFT_UNAVAILABLE : node->raft.state) {
	case RAFT_LEADER:
		return rnode_id(node);
	case RAFT_FOLLOWER:
		return node->raft.follower_state.current_leader.id;
	default:
		return 0;
	}
}

uint64_t
rnode_last_applied(const struct rnode *node)
{
	return node->raft.last_applied;
}

uint32_t
rnode_servers(const struct rnode *node, struct rnode_server ret_servers[RNODE_SERVERS_MAX])
{
	uint32_t n = 0;
	unsigned i;

	if (node->closing)
		return 0;
	for (i = 0; i < node->raft.configuration.n && n < RNODE_SERVERS_MAX; i++) {
		const struct raft_server *s = &node->raft.configuration.servers[i];
		const struct rnode_peer *peer = rnode_peer_find(node, s->id);
		struct rnode_server *out = &ret_servers[n];

		if (strlen(s->address) >= sizeof(out->uri))
			continue;
		out->id = s->id;
		out->role = (enum rnode_role)s->role;
		strcpy(out->uri, peer != NULL ? peer->uri : s->address);
		if (s->id == rnode_id(node))
			strcpy(out->uri, node->uri);
		out->ack_ns = peer != NULL && peer->ack_epoch == node->epoch ? peer->ack_ns : 0;
		n++;
	}
	return n;
}

void
rnode_set_uri(struct rnode *node, uint64_t id, const char *uri)
{
	struct rnode_peer *peer;

	if (id == rnode_id(node) || strlen(uri) >= RPC_URI_MAX)
		return;
	peer = rnode_peer_of(node, id, uri);
	if (peer != NULL)
		strcpy(peer->uri, uri);
}

/* --- start and stop -------------------------------------------------------------------------- */

int co_fn
rnode_format(struct xs *xs, struct dev_dir *dir, const char *prefix, const uint8_t group[16],
	     uint64_t id, const char *uri)
{
	struct rlog_ident ident = {.id = id};
	struct raft_configuration conf;
	struct rlog *log;
	int rc = 0;

	memcpy(ident.group, group, sizeof(ident.group));
	raft_configuration_init(&conf);
	if (uri != NULL)
		rc = rnode_err(raft_configuration_add(&conf, id, uri, RAFT_VOTER));
	if (rc == 0)
		rc = rlog_format(xs, dir, prefix, &ident, uri != NULL ? &conf : NULL, &log);
	if (rc == 0)
		rlog_close(log);
	raft_configuration_close(&conf);
	return rc;
}

int co_fn
rnode_peek(struct xs *xs, struct dev_dir *dir, const char *prefix, uint64_t *ret_id)
{
	struct rlog *log;
	int rc = rlog_open(xs, dir, prefix, &log);

	if (rc != 0)
		return rc;
	*ret_id = rlog_ident(log)->id;
	rlog_close(log);
	return 0;
}

static void co_fn
start_event(struct rnode *node, struct rnode_ev *ev)
{
	struct call *c = container_of(ev, struct call, ev);
	struct raft *raft = &node->raft;
	int rv;

	rv = raft_init(raft, &node->io, &node->fsm, rlog_ident(node->log)->id, node->uri);
	if (rv == 0) {
		raft_set_election_timeout(raft, node->conf.election_ms);
		/* Below the tick's interval, so that rounding to milliseconds never skips one. */
		raft_set_heartbeat_timeout(raft, node->conf.heartbeat_ms * 4 / 5);
		raft_set_snapshot_threshold(raft, node->conf.snapshot_every);
		raft_set_snapshot_trailing(raft, node->conf.snapshot_trailing);
		raft_set_install_snapshot_timeout(raft, RNODE_BULK_CALL_MS);
		raft_set_pre_vote(raft, true);
		rv = raft_start(raft);
		node->raft_started = true;
		if (rv != 0) {
			if (node->failed_rc == 0)
				node->failed_rc = rnode_err(rv);
			close_now(node);
		}
	}
	call_end(c, rv != 0 && node->failed_rc != 0 ? node->failed_rc : rnode_err(rv));
}

static void
close_event(struct rnode *node, struct rnode_ev *ev)
{
	if (node->raft_started)
		close_now(node);
	else
		node->closing = true;
	co_waitq_wake_all(&node->writer_wq);
	call_end(container_of(ev, struct call, ev), 0);
}

struct transfer {
	struct call call;
	struct raft_transfer req;
};

static void
transfer_done(struct raft_transfer *req)
{
	struct transfer *t = req->data;

	call_end(&t->call, 0);
}

static void
transfer_event(struct rnode *node, struct rnode_ev *ev)
{
	struct transfer *t = container_of(ev, struct transfer, call.ev);
	int rv = RAFT_NOTLEADER;

	t->req.data = t;
	if (!node->closing && node->ready && node->raft.leader_state.promotee_id == 0)
		rv = raft_transfer(&node->raft, &t->req, 0, transfer_done);
	if (rv != 0)
		call_end(&t->call, rnode_err(rv));
}

static void
node_free(struct rnode *node)
{
	while (!list_empty(&node->peers)) {
		struct rnode_peer *peer = list_first(&node->peers, struct rnode_peer, link);

		list_del(&peer->link);
		free(peer);
	}
	unclaimed_drop(node);
	rlog_close(node->log);
	free(node);
}

void co_fn
rnode_stop_begin(struct rnode *node)
{
	struct transfer t = {0};
	struct call c = {0};

	if (node->ready && !is_alone(node))
		call_run(node, &t.call, transfer_event);
	call_run(node, &c, close_event);
}

void co_fn
rnode_stop(struct rnode *node)
{
	if (node == NULL)
		return;
	rnode_stop_begin(node);
	rnode_net_stop(node);
	node->stopping = true;
	co_waitq_wake_one(&node->loop_wq);
	co_future_wait(&node->loop_done, 0);
	xs_timer_cancel(&node->tick);
	node_free(node);
}

int co_fn
rnode_start(const struct rnode_conf *conf, struct rnode **ret_node)
{
	struct rnode *node;
	struct call c = {0};
	int rc;

	node = mem_new(struct rnode);
	if (node == NULL)
		return -DER_NOMEM;
	node->conf = *conf;
	node->xs = conf->xs;
	if (node->conf.election_ms == 0)
		node->conf.election_ms = RNODE_ELECTION_MS;
	if (node->conf.heartbeat_ms == 0)
		node->conf.heartbeat_ms = RNODE_HEARTBEAT_MS;
	if (node->conf.snapshot_every == 0)
		node->conf.snapshot_every = RNODE_SNAPSHOT_EVERY;
	if (node->conf.snapshot_trailing == 0)
		node->conf.snapshot_trailing = RNODE_SNAPSHOT_TRAILING;
	list_init(&node->events);
	list_init(&node->writes);
	list_init(&node->peers);
	list_init(&node->deferred);
	co_waitq_init(&node->loop_wq);
	co_waitq_init(&node->writer_wq);
	co_waitq_init(&node->idle_wq);
	co_waitq_init(&node->ack_wq);
	co_future_init(&node->loop_done);
	xs_timer_init(&node->tick, on_tick, node);
	rnode_io_init(node);
	node->fsm = (struct raft_fsm){
	    .version = 1,
	    .data = node,
	    .apply = fsm_apply,
	    .snapshot = fsm_snapshot,
	    .restore = fsm_restore,
	};
	if (strlen(rpc_ep_uri(conf->ep)) >= sizeof(node->uri)) {
		free(node);
		return -DER_OVERFLOW;
	}
	strcpy(node->uri, rpc_ep_uri(conf->ep));
	rc = rlog_open(conf->xs, conf->dir, conf->prefix, &node->log);
	if (rc != 0) {
		free(node);
		return rc;
	}
	rc = co_spawn(node->xs, rnode_writer, node);
	if (rc != 0) {
		node_free(node);
		return rc;
	}
	rc = co_spawn(node->xs, loop, node);
	if (rc != 0) {
		node->closing = true;
		co_waitq_wake_all(&node->writer_wq);
		while (!node->writer_done)
			co_yield();
		node_free(node);
		return rc;
	}
	rc = call_run(node, &c, start_event);
	if (rc == 0)
		rc = rnode_net_start(node);
	if (rc != 0) {
		rnode_stop(node);
		return rc;
	}
	*ret_node = node;
	return 0;
}
