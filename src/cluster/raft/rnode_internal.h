/* Inside of a replica, shared by rnode*.c. */
#ifndef RNODE_INTERNAL_H
#define RNODE_INTERNAL_H

#include <raft.h>

#include "base/codec.h"
#include "base/list.h"
#include "cluster/raft/rcodec.h"
#include "cluster/raft/rlog.h"
#include "cluster/raft/rnode.h"
#include "runtime/xs.h"

enum {
	RNODE_PEER_QUEUE_MAX =
	    1 << 20, /* bytes waiting for one peer, unless it is a single message */
	RNODE_DEFERRED_MAX = 64,
	RNODE_CALL_MS = 1000,           /* deadline of a message to a peer */
	RNODE_BULK_CALL_MS = 30000,     /* of one that travels as bulk */
	RNODE_MSG_ROOM = 256,           /* for the envelope in an inline body */
	RNODE_LOG_BYTES_MAX = 32 << 20, /* snapshot before the log grows beyond it */
};

/*
 * Something to do inside the loop coroutine, the only place where libraft is entered. libraft may
 * yield there (term and vote are written synchronously), never elsewhere; nobody else enters it
 * meanwhile, because the loop takes the next event only when the last one returned.
 */
struct rnode_ev {
	struct list link;
	void (*fn)(struct rnode *node, struct rnode_ev *ev);
};

/* A message waiting to be sent to a peer. */
struct rnode_out {
	struct list link;
	struct rnode_ev ev; /* its completion */
	struct raft_io_send *req;
	raft_io_send_cb cb;
	int status; /* RAFT_* */
	uint8_t *bytes;
	size_t len;
};

struct rnode_peer {
	struct list link;
	struct rnode *node;
	uint64_t id;
	char uri[RPC_URI_MAX];
	struct list queue; /* rnode_out */
	size_t queue_bytes;
	bool sending;    /* its sender coroutine runs */
	bool confirming; /* its confirm coroutine runs */
	bool confirm_wanted;
	struct rpc_call *send_call;    /* under way */
	struct rpc_call *confirm_call; /* under way */
	uint64_t ack_ns;
	uint64_t ack_epoch; /* leadership that ack_ns belongs to */
};

enum rnode_write_kind { WRITE_APPEND, WRITE_SNAP_PUT, WRITE_SNAP_GET };
/* Work of the writer coroutine, in order. */
struct rnode_write {
	struct list link;
	struct rnode_ev ev; /* its completion */
	enum rnode_write_kind kind;
	int status; /* RAFT_* */
	/* append */
	struct raft_io_append *append;
	raft_io_append_cb append_cb;
	const struct raft_entry *entries;
	uint32_t entry_nr;
	uint64_t first;
	uint64_t term;       /* of the last entry */
	uint64_t match_term; /* it came from this term's leader, whose log ours equals … */
	uint64_t match_end;  /* … up to here once it is stored; 0 = our own as leader */
	/* snapshots */
	struct raft_io_snapshot_put *put;
	raft_io_snapshot_put_cb put_cb;
	const struct raft_snapshot *snap;
	uint32_t trailing;
	struct raft_io_snapshot_get *get;
	raft_io_snapshot_get_cb get_cb;
	struct raft_snapshot *got;
};

/* Messages that came in: as a request (a handler waits to send the reply) or as a reply. */
struct rnode_in {
	struct rnode_ev ev;
	const uint8_t *bytes; /* envelope */
	size_t len;
	uint8_t *owned;   /* to be freed, when nobody waits */
	uint64_t sent_ns; /* a reply: when its request was sent; 0 = a request */
	uint64_t from;    /* a reply: whom we asked */
	/* a request */
	bool waiting;
	struct co_future done;
	struct codec_wr reply; /* messages only */
	uint32_t reply_nr;
	uint64_t asker;
};

/* Answers that must wait until an entry of the leader's own term is stored here. */
struct rnode_deferred {
	struct list link;
	uint64_t from;
	struct raft_message msg;
};

struct rnode {
	struct rnode_conf conf;
	struct xs *xs;
	char uri[RPC_URI_MAX];
	struct rlog *log;
	struct raft raft;
	struct raft_io io;
	struct raft_fsm fsm;

	/* loop */
	struct list events;
	struct co_waitq loop_wq;
	bool raft_started;
	bool closing;   /* raft_close() was called */
	bool io_closed; /* and its callback came */
	int failed_rc;  /* why it closed by itself */
	bool stopping;  /* the loop ends when everything is over */
	struct co_future loop_done;
	struct xs_timer tick;
	struct rnode_ev tick_ev;
	bool tick_queued;

	/* what libraft gave us */
	raft_io_tick_cb tick_cb;
	raft_io_recv_cb recv_cb;
	raft_io_close_cb close_cb;

	/* writer */
	struct list writes;
	struct co_waitq writer_wq;
	bool writer_done;
	int write_rc;         /* first failed append: nothing is written any more */
	uint64_t index_next;  /* of the next append */
	uint64_t term_stored; /* of the last entry whose append was reported to libraft */
	void *unclaimed;      /* result of the last apply, until its proposer takes it */

	/* The highest index up to which our log is known to equal that of the leader of match_term,
	 * and what the message being handled would prove. See rnode_net.c. */
	uint64_t match_term;
	uint64_t match_index;
	uint64_t cur_term;
	uint64_t cur_end;

	/* network */
	struct list peers;
	uint32_t coroutine_nr; /* senders, confirmers and handlers that still use this struct */
	struct co_waitq idle_wq;
	struct rnode_in *cur_in; /* request being handled in the loop */
	struct list deferred;
	uint32_t deferred_nr;

	/* leadership */
	bool is_leader; /* as of the last event */
	bool ready;
	uint64_t epoch;
	struct co_waitq ack_wq;
};

/* rnode.c */
void rnode_post(struct rnode *node, struct rnode_ev *ev,
		void (*fn)(struct rnode *, struct rnode_ev *));
int rnode_err(int raft_rv);
void rnode_fail(struct rnode *node, int rc);
void rnode_ack(struct rnode *node, struct rnode_peer *peer, uint64_t sent_ns);
void rnode_coroutine_end(struct rnode *node);
/* Our log equals that of the leader of this term up to end, durably. */
void rnode_match(struct rnode *node, uint64_t term, uint64_t end);

/* rnode_io.c */
void rnode_io_init(struct rnode *node);
void rnode_writer(void *arg);
/* The close callback, once nothing is under way. */
void rnode_io_check_closed(struct rnode *node);

/* rnode_net.c */
int rnode_net_start(struct rnode *node);
void rnode_net_stop(struct rnode *node);
int rnode_net_send(struct rnode *node, struct raft_io_send *req, const struct raft_message *msg,
		   raft_io_send_cb cb);
/* Ends every message and call under way. */
void rnode_net_cancel(struct rnode *node);
void rnode_net_kick_confirm(struct rnode *node);
/* Answers that had to wait and need not any longer. */
void rnode_net_undefer(struct rnode *node);
struct rnode_peer *rnode_peer_find(const struct rnode *node, uint64_t id);
struct rnode_peer *rnode_peer_of(struct rnode *node, uint64_t id, const char *uri);

#endif
