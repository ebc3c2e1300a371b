/*
 * libraft's I/O interface on our log and network.
 *
 * Appends, snapshots and reads of snapshots are done by one writer coroutine in the order in which
 * they were asked for, so appends complete in log order and a snapshot that replaces the log comes
 * after the appends in flight. Consecutive appends that wait become one write. Truncation needs no
 * I/O: it sets the index of the next append, and the log format makes lower indexes win (rlog.c).
 *
 * set_term and set_vote are synchronous calls in libraft: they yield inside the loop coroutine.
 *
 * libraft 0.15 does not survive a failed append of a leader (it looks for a command's request where
 * a barrier's may be), so a failed write is never reported while it runs: the node closes instead.
 */
#define LOG_FACILITY "raft"

#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/raft/rnode_internal.h"

static struct rnode *
node_of(struct raft_io *io)
{
	return io->impl;
}

static int
io_init(struct raft_io *io, raft_id id, const char *address)
{
	return 0;
}

static int co_fn
io_load(struct raft_io *io, raft_term *term, raft_id *voted_for, struct raft_snapshot **snapshot,
	raft_index *start_index, struct raft_entry **entries, size_t *n_entries)
{
	struct rnode *node = node_of(io);
	int rc;

	rc = rlog_load(node->log, snapshot, start_index, entries, n_entries);
	if (rc != 0) {
		node->failed_rc = rc;
		return rc == -DER_NOMEM ? RAFT_NOMEM : RAFT_CORRUPT;
	}
	*term = rlog_term(node->log);
	*voted_for = rlog_vote(node->log);
	node->index_next = *start_index + *n_entries;
	if (*n_entries > 0)
		node->term_stored = (*entries)[*n_entries - 1].term;
	else if (*snapshot != NULL)
		node->term_stored = (*snapshot)->term;
	return 0;
}

static int
io_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick, raft_io_recv_cb recv)
{
	struct rnode *node = node_of(io);

	node->tick_cb = tick;
	node->recv_cb = recv;
	return 0;
}

static int
io_bootstrap(struct raft_io *io, const struct raft_configuration *conf)
{
	return RAFT_CANTBOOTSTRAP; /* rlog_format() did */
}

static int
io_recover(struct raft_io *io, const struct raft_configuration *conf)
{
	return RAFT_CANTBOOTSTRAP;
}

static int co_fn
io_set_term(struct raft_io *io, raft_term term)
{
	struct rnode *node = node_of(io);
	int rc = rlog_meta_set(node->log, term, 0);

	if (rc != 0)
		rnode_fail(node, rc);
	return rc != 0 ? RAFT_IOERR : 0;
}

static int co_fn
io_set_vote(struct raft_io *io, raft_id server_id)
{
	struct rnode *node = node_of(io);
	int rc = rlog_meta_set(node->log, rlog_term(node->log), server_id);

	if (rc != 0)
		rnode_fail(node, rc);
	return rc != 0 ? RAFT_IOERR : 0;
}

static raft_time
io_time(struct raft_io *io)
{
	return xs_now_fresh_ns(node_of(io)->xs) / 1000000;
}

static int
io_random(struct raft_io *io, int min, int max)
{
	if (max <= min)
		return min;
	return min + (int)env_rand_below(xs_env(node_of(io)->xs), (uint64_t)(max - min));
}

static int
io_send(struct raft_io *io, struct raft_io_send *req, const struct raft_message *message,
	raft_io_send_cb cb)
{
	return rnode_net_send(node_of(io), req, message, cb);
}

/* --- writer ---------------------------------------------------------------------------------- */

static void
write_done(struct rnode *node, struct rnode_ev *ev)
{
	struct rnode_write *w = container_of(ev, struct rnode_write, ev);

	if (w->status == 0 && w->match_end != 0)
		rnode_match(node, w->match_term, w->match_end);
	switch (w->kind) {
	case WRITE_APPEND:
		if (w->status == 0)
			node->term_stored = w->term;
		w->append_cb(w->append, w->status);
		break;
	case WRITE_SNAP_PUT:
		w->put_cb(w->put, w->status);
		break;
	case WRITE_SNAP_GET:
		w->get_cb(w->get, w->got, w->status);
		break;
	}
	free(w);
}

static int
write_push(struct rnode *node, const struct rnode_write *src)
{
	struct rnode_write *w = mem_dup(src, sizeof(*src));

	if (w == NULL)
		return RAFT_NOMEM;
	if (w->kind == WRITE_APPEND || (w->kind == WRITE_SNAP_PUT && w->trailing == 0)) {
		w->match_term = node->cur_term;
		w->match_end = node->cur_end;
	}
	list_push_back(&node->writes, &w->link);
	co_waitq_wake_one(&node->writer_wq);
	return 0;
}

static int
io_append(struct raft_io *io, struct raft_io_append *req, const struct raft_entry entries[],
	  unsigned n, raft_io_append_cb cb)
{
	struct rnode *node = node_of(io);
	int rv;

	rv = write_push(node, &(struct rnode_write){
				  .kind = WRITE_APPEND,
				  .append = req,
				  .append_cb = cb,
				  .entries = entries,
				  .entry_nr = n,
				  .first = node->index_next,
				  .term = entries[n - 1].term,
			      });
	if (rv == 0)
		node->index_next += n;
	return rv;
}

static int
io_truncate(struct raft_io *io, raft_index index)
{
	node_of(io)->index_next = index;
	return 0;
}

static int
io_snapshot_put(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *req,
		const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb)
{
	struct rnode *node = node_of(io);
	int rv;

	rv = write_push(node, &(struct rnode_write){
				  .kind = WRITE_SNAP_PUT,
				  .put = req,
				  .put_cb = cb,
				  .snap = snapshot,
				  .trailing = trailing,
			      });
	if (rv == 0 && trailing == 0)
		node->index_next = snapshot->index + 1;
	return rv;
}

static int
io_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *req, raft_io_snapshot_get_cb cb)
{
	return write_push(node_of(io), &(struct rnode_write){
					   .kind = WRITE_SNAP_GET,
					   .get = req,
					   .get_cb = cb,
				       });
}

/* The appends at the front of the queue that follow one another, as one write. */
static void co_fn
write_appends(struct rnode *node)
{
	struct list done = LIST_INIT(done);
	struct raft_entry *entries = NULL;
	struct rnode_write *first = list_first(&node->writes, struct rnode_write, link);
	struct rnode_write *w;
	uint64_t next = first->first;
	uint32_t nr = 0;
	uint32_t at = 0;
	struct list *pos;
	int rc = 0;

	while ((w = list_first(&node->writes, struct rnode_write, link)) != NULL) {
		if (w->kind != WRITE_APPEND || w->first != next)
			break;
		next += w->entry_nr;
		nr += w->entry_nr;
		list_del(&w->link);
		list_push_back(&done, &w->link);
	}
	if (first->entry_nr == nr) {
		rc = rlog_append(node->log, first->first, first->entries, nr);
	} else {
		entries = mem_alloc(nr * sizeof(*entries));
		if (entries == NULL)
			rc = -DER_NOMEM;
		list_for_each (pos, &done) {
			w = list_entry(pos, struct rnode_write, link);
			if (entries != NULL)
				memcpy(entries + at, w->entries, w->entry_nr * sizeof(*entries));
			at += w->entry_nr;
		}
		if (rc == 0)
			rc = rlog_append(node->log, first->first, entries, nr);
		free(entries);
	}
	if (rc != 0 && !node->closing) {
		log_err("log write failed: " ERR_F, ERR_P(rc));
		node->write_rc = rc;
		rnode_fail(node, rc);
	}
	/* Not reported until the node closes: see the head of this file. */
	if (rc != 0 && !node->closing) {
		list_splice_back(&done, &node->writes);
		list_splice_back(&node->writes, &done);
		return;
	}
	while ((w = list_first(&done, struct rnode_write, link)) != NULL) {
		list_del(&w->link);
		rnode_post(node, &w->ev, write_done); /* status 0, also when closing */
	}
}

static void co_fn
write_snapshot(struct rnode *node)
{
	struct rnode_write *w = list_first(&node->writes, struct rnode_write, link);
	int rc;

	list_del(&w->link);
	if (w->kind == WRITE_SNAP_PUT) {
		rc = rlog_snap_save(node->log, w->snap, w->trailing);
		if (rc == 0 && w->trailing == 0)
			node->term_stored = w->snap->term;
		/* A snapshot of our own can wait; without the leader's one the log has a hole. */
		if (rc != 0 && w->trailing == 0 && !node->closing) {
			node->write_rc = rc;
			rnode_fail(node, rc);
		}
	} else {
		rc = rlog_snap_load(node->log, &w->got);
	}
	if (rc != 0)
		log_warn("snapshot %s: " ERR_F, w->kind == WRITE_SNAP_PUT ? "write" : "read",
			 ERR_P(rc));
	w->status = rc != 0 ? RAFT_IOERR : 0;
	rnode_post(node, &w->ev, write_done);
}

void co_fn
rnode_writer(void *arg)
{
	struct rnode *node = arg;
	struct rnode_write *w;

	while (!node->closing) {
		w = list_first(&node->writes, struct rnode_write, link);
		if (w == NULL || node->write_rc != 0)
			co_waitq_wait(&node->writer_wq, 0);
		else if (w->kind == WRITE_APPEND)
			write_appends(node);
		else
			write_snapshot(node);
	}
	while ((w = list_first(&node->writes, struct rnode_write, link)) != NULL) {
		list_del(&w->link);
		w->status = w->kind == WRITE_APPEND ? 0 : RAFT_CANCELED;
		rnode_post(node, &w->ev, write_done);
	}
	node->writer_done = true;
	co_waitq_wake_one(&node->loop_wq);
}

/* --- close ----------------------------------------------------------------------------------- */

static void
io_close(struct raft_io *io, raft_io_close_cb cb)
{
	struct rnode *node = node_of(io);

	node->close_cb = cb;
	node->closing = true;
	xs_timer_cancel(&node->tick);
	co_waitq_wake_all(&node->writer_wq);
	rnode_net_cancel(node);
}

void
rnode_io_check_closed(struct rnode *node)
{
	struct list *pos;

	if (node->close_cb == NULL || node->io_closed || !node->writer_done ||
	    !list_empty(&node->events))
		return;
	list_for_each (pos, &node->peers) {
		const struct rnode_peer *peer = list_entry(pos, struct rnode_peer, link);

		if (peer->sending || !list_empty(&peer->queue))
			return;
	}
	node->io_closed = true;
	node->close_cb(&node->io);
}

void
rnode_io_init(struct rnode *node)
{
	node->io = (struct raft_io){
	    .version = 1,
	    .impl = node,
	    .init = io_init,
	    .close = io_close,
	    .load = io_load,
	    .start = io_start,
	    .bootstrap = io_bootstrap,
	    .recover = io_recover,
	    .set_term = io_set_term,
	    .set_vote = io_set_vote,
	    .send = io_send,
	    .append = io_append,
	    .truncate = io_truncate,
	    .snapshot_put = io_snapshot_put,
	    .snapshot_get = io_snapshot_get,
	    .time = io_time,
	    .random = io_random,
	};
}
