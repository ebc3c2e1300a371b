/*
 * Batches of commands on a Raft replica.
 *
 * A log entry is: number of commands (varint), then each as a blob. Up to RDB_PARALLEL batcher
 * coroutines each take everything that waits, commit it as one entry and hand out the results;
 * while they wait for disk and network, the next batch gathers. A lone command leaves at once.
 */
#define LOG_FACILITY "rdb"

#include "cluster/rdb/rdb.h"

#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/xs.h"

/* A command on its way; on its proposer's stack. */
struct prop {
	struct list link;
	const void *cmd;
	size_t len;
	struct co_future done;
	int rc;
	void *reply;
	size_t reply_len;
};

struct rdb {
	struct rdb_conf conf;
	struct rnode *node;
	struct list waiting; /* prop */
	uint32_t batcher_nr;
	bool closing;
	struct co_waitq idle_wq;
};

/* Results of the commands of one entry. */
struct result {
	uint32_t nr;
	struct {
		int rc;
		void *reply;
		size_t len;
	} r[];
};

static void
result_free(void *arg, void *p)
{
	struct result *res = p;
	uint32_t i;

	if (res == NULL)
		return;
	for (i = 0; i < res->nr; i++)
		free(res->r[i].reply);
	free(res);
}

static void
sm_apply(void *arg, const void *buf, size_t len, void **ret_result)
{
	struct rdb *rdb = arg;
	const struct rdb_sm *sm = &rdb->conf.sm;
	struct result *res;
	struct codec_rd rd;
	uint64_t nr;
	uint64_t i;

	codec_rd_init(&rd, buf, len);
	nr = codec_rd_varint_max(&rd, len);
	/* Without memory for the results their proposers hear nothing but an error; the commands
	 * must be applied all the same, like on every other replica. */
	res = mem_calloc(1, sizeof(*res) + nr * sizeof(res->r[0]));
	for (i = 0; i < nr; i++) {
		size_t cmd_len;
		const void *cmd = codec_rd_blob(&rd, RDB_CMD_MAX, &cmd_len);
		void *reply = NULL;
		size_t reply_len = 0;
		int rc;

		if (rd.err != 0) {
			log_crit("log entry not understood");
			break;
		}
		rc = sm->apply(sm->arg, cmd, cmd_len, &reply, &reply_len);
		if (res == NULL) {
			free(reply);
			continue;
		}
		res->r[i].rc = rc;
		res->r[i].reply = reply;
		res->r[i].len = reply_len;
		res->nr++;
	}
	*ret_result = res;
}

static int
sm_snapshot(void *arg, void **ret_buf, size_t *ret_len)
{
	struct rdb *rdb = arg;

	return rdb->conf.sm.snapshot(rdb->conf.sm.arg, ret_buf, ret_len);
}

static int
sm_restore(void *arg, const void *buf, size_t len)
{
	struct rdb *rdb = arg;

	return rdb->conf.sm.restore(rdb->conf.sm.arg, buf, len);
}

static void
sm_leader(void *arg, bool ready, uint64_t epoch)
{
	struct rdb *rdb = arg;

	if (rdb->conf.sm.leader != NULL)
		rdb->conf.sm.leader(rdb->conf.sm.arg, ready, epoch);
}

static void
sm_failed(void *arg, int rc)
{
	struct rdb *rdb = arg;

	if (rdb->conf.sm.failed != NULL)
		rdb->conf.sm.failed(rdb->conf.sm.arg, rc);
}

/* --- proposing ------------------------------------------------------------------------------- */

static void
hand_out(struct list *batch, int rc, struct result *res)
{
	struct prop *p;
	uint32_t i = 0;

	while ((p = list_first(batch, struct prop, link)) != NULL) {
		list_del(&p->link);
		p->rc = rc;
		if (rc == 0 && res == NULL)
			p->rc = -DER_NOMEM;
		if (rc == 0 && res != NULL && i < res->nr) {
			p->rc = res->r[i].rc;
			p->reply = res->r[i].reply;
			p->reply_len = res->r[i].len;
			res->r[i].reply = NULL;
		} else if (rc == 0 && res != NULL) {
			p->rc = -DER_PROTO;
		}
		i++;
		co_future_complete(&p->done, 0);
	}
}

static void co_fn
batch_run(struct rdb *rdb)
{
	struct list batch = LIST_INIT(batch);
	struct codec_wr wr;
	struct list *pos;
	struct prop *p;
	void *res = NULL;
	size_t bytes = 0;
	uint32_t nr = 0;
	int rc;

	while ((p = list_first(&rdb->waiting, struct prop, link)) != NULL) {
		if (nr > 0 && (bytes + p->len > RDB_BATCH_BYTES || nr >= RDB_BATCH_CMDS))
			break;
		list_del(&p->link);
		list_push_back(&batch, &p->link);
		bytes += p->len;
		nr++;
	}
	codec_wr_init(&wr, 0);
	codec_wr_varint(&wr, nr);
	list_for_each (pos, &batch) {
		p = list_entry(pos, struct prop, link);
		codec_wr_blob(&wr, p->cmd, p->len);
	}
	rc = codec_wr_err(&wr);
	if (rc == 0)
		rc = rnode_propose(rdb->node, wr.base, wr.len, &res);
	codec_wr_fini(&wr);
	hand_out(&batch, rc, res);
	result_free(NULL, res);
}

static void co_fn
batcher(void *arg)
{
	struct rdb *rdb = arg;

	while (!list_empty(&rdb->waiting))
		batch_run(rdb);
	rdb->batcher_nr--;
	if (rdb->batcher_nr == 0)
		co_waitq_wake_all(&rdb->idle_wq);
}

int co_fn
rdb_propose(struct rdb *rdb, const void *cmd, size_t len, void **ret_reply, size_t *ret_len)
{
	struct prop p = {.cmd = cmd, .len = len};
	int rc;

	if (rdb->closing || !rnode_is_leader(rdb->node))
		return -DER_NOTLEADER;
	if (len > RDB_CMD_MAX)
		return -DER_OVERFLOW;
	co_future_init(&p.done);
	list_push_back(&rdb->waiting, &p.link);
	if (rdb->batcher_nr < RDB_PARALLEL) {
		rc = co_spawn(rdb->conf.xs, batcher, rdb);
		if (rc == 0) {
			rdb->batcher_nr++;
		} else if (rdb->batcher_nr == 0) {
			list_del(&p.link);
			return rc;
		}
	}
	co_future_wait(&p.done, 0);
	*ret_reply = p.reply;
	*ret_len = p.reply_len;
	return p.rc;
}

int co_fn
rdb_barrier(struct rdb *rdb, bool lazy, uint64_t deadline_ns)
{
	if (rdb->closing)
		return -DER_NOTLEADER;
	return rnode_confirm(rdb->node, lazy, deadline_ns);
}

/* --- life ------------------------------------------------------------------------------------ */

struct rnode *
rdb_node(struct rdb *rdb)
{
	return rdb->node;
}

bool
rdb_is_leader(const struct rdb *rdb)
{
	return !rdb->closing && rdb->node != NULL && rnode_is_leader(rdb->node);
}

int co_fn
rdb_open(const struct rdb_conf *conf, struct rdb **ret_rdb)
{
	struct rnode_conf nc = {
	    .xs = conf->xs,
	    .ep = conf->ep,
	    .dir = conf->dir,
	    .prefix = conf->prefix,
	    .election_ms = conf->election_ms,
	    .heartbeat_ms = conf->heartbeat_ms,
	    .snapshot_every = conf->snapshot_every,
	    .snapshot_trailing = conf->snapshot_trailing,
	    .fsm =
		{
		    .apply = sm_apply,
		    .result_free = result_free,
		    .snapshot = sm_snapshot,
		    .restore = sm_restore,
		    .leader = sm_leader,
		    .failed = sm_failed,
		},
	};
	struct rdb *rdb = mem_new(struct rdb);
	int rc;

	if (rdb == NULL)
		return -DER_NOMEM;
	rdb->conf = *conf;
	list_init(&rdb->waiting);
	co_waitq_init(&rdb->idle_wq);
	nc.fsm.arg = rdb;
	rc = rnode_start(&nc, &rdb->node);
	if (rc != 0) {
		free(rdb);
		return rc;
	}
	*ret_rdb = rdb;
	return 0;
}

void co_fn
rdb_close(struct rdb *rdb)
{
	if (rdb == NULL)
		return;
	rdb->closing = true;
	/* Ends the proposals under way, which ends the batchers. */
	rnode_stop_begin(rdb->node);
	while (rdb->batcher_nr > 0)
		co_waitq_wait(&rdb->idle_wq, 0);
	rnode_stop(rdb->node);
	free(rdb);
}
