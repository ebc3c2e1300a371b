/*
 * Messages between replicas over RPC; bytes: rcodec.h.
 *
 * Each peer has a queue and, while it is not empty, one sender coroutine: it puts all waiting
 * messages into one request, and those that come while that is under way go with the next one. What
 * libraft answers at once while it handles a request (votes, results of heartbeats) goes back as
 * the reply of that request, so that an idle group costs one round trip per heartbeat.
 *
 * Two things libraft leaves to its host are done here:
 *   - It commits whatever a majority stores, entries of earlier terms included (Raft, section 5.4.2
 *     forbids it). The leader appends a barrier in its own term at once; answers to appends are
 * held back until that barrier is stored here, so only indexes of the present term are ever
 * counted.
 *   - It asserts that no other leader exists in its own term; such a message is dropped here.
 *   - A follower of it answers with the last index it has stored, entries of earlier leaders that
 *     nobody compared with the present leader's included, and the leader counts them as its own.
 * Here the answer is limited to what a message of that leader has proved equal: the entries it
 * brought and everything before them. The commit index it may take from a message is limited alike.
 *
 * An answer from a replica in the leader's term proves that it had not voted for a newer leader
 * when the request was sent: see rnode_confirm().
 */
#define LOG_FACILITY "raft"

#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/raft/rnode_internal.h"
#include "proto/opcodes.h"

/* --- peers ----------------------------------------------------------------------------------- */

struct rnode_peer *
rnode_peer_find(const struct rnode *node, uint64_t id)
{
	struct list *pos;

	list_for_each (pos, &node->peers) {
		struct rnode_peer *peer = list_entry(pos, struct rnode_peer, link);

		if (peer->id == id)
			return peer;
	}
	return NULL;
}

struct rnode_peer *
rnode_peer_of(struct rnode *node, uint64_t id, const char *uri)
{
	struct rnode_peer *peer = rnode_peer_find(node, id);

	if (peer != NULL)
		return peer;
	if (uri == NULL || strlen(uri) >= RPC_URI_MAX)
		return NULL;
	peer = mem_new(struct rnode_peer);
	if (peer == NULL)
		return NULL;
	peer->node = node;
	peer->id = id;
	strcpy(peer->uri, uri);
	list_init(&peer->queue);
	list_push_back(&node->peers, &peer->link);
	return peer;
}

static void
env_of(const struct rnode *node, uint64_t to, uint32_t msg_nr, struct rcodec_env *ret_env)
{
	memcpy(ret_env->group, rlog_ident(node->log)->group, sizeof(ret_env->group));
	ret_env->from = rlog_ident(node->log)->id;
	ret_env->to = to;
	ret_env->term = rlog_term(node->log);
	ret_env->msg_nr = msg_nr;
	strcpy(ret_env->addr, node->uri);
}

/* --- coming in ------------------------------------------------------------------------------- */

/* A member that was added does not know the group's name yet (all zeros). */
static bool
same_group(const struct rnode *node, const uint8_t group[16])
{
	static const uint8_t zero[16];
	const uint8_t *ours = rlog_ident(node->log)->group;

	return memcmp(group, ours, 16) == 0 || memcmp(group, zero, 16) == 0 ||
	       memcmp(ours, zero, 16) == 0;
}

static void
deliver(struct rnode *node, uint64_t from, const char *addr, struct raft_message *msg)
{
	uint64_t term = 0;
	uint64_t end = 0;

	msg->server_id = from;
	msg->server_address = addr;
	if (msg->type == RAFT_IO_APPEND_ENTRIES) {
		struct raft_append_entries *ae = &msg->append_entries;

		term = ae->term;
		end = ae->prev_log_index + ae->n_entries;
		if (ae->leader_commit > end)
			ae->leader_commit = end;
	} else if (msg->type == RAFT_IO_INSTALL_SNAPSHOT) {
		term = msg->install_snapshot.term;
		end = msg->install_snapshot.last_index;
	}
	if (term != 0 && node->raft.state == RAFT_LEADER && term == node->raft.current_term) {
		log_err("replica %llu claims to lead term %llu, which this one leads",
			(unsigned long long)from, (unsigned long long)term);
		rcodec_msg_fini(msg);
		return;
	}
	node->cur_term = term;
	node->cur_end = end;
	node->recv_cb(&node->io, msg);
	node->cur_term = 0;
	node->cur_end = 0;
}

/* A follower's yes to its leader says no more than what is proved. */
static void
result_limit(struct rnode *node, struct raft_append_entries_result *res)
{
	uint64_t proved;

	if (res->rejected != 0)
		return;
	if (node->cur_end != 0 && node->cur_term == res->term)
		rnode_match(node, node->cur_term, node->cur_end);
	proved = node->match_term == res->term ? node->match_index : 0;
	if (res->last_log_index > proved)
		res->last_log_index = proved;
}

static bool
must_wait(const struct rnode *node, const struct raft_message *msg)
{
	return msg->type == RAFT_IO_APPEND_ENTRIES_RESULT && node->raft.state == RAFT_LEADER &&
	       node->term_stored != node->raft.current_term;
}

void
rnode_net_undefer(struct rnode *node)
{
	struct rnode_deferred *d;

	while ((d = list_first(&node->deferred, struct rnode_deferred, link)) != NULL) {
		const struct rnode_peer *peer;

		if (!node->closing && must_wait(node, &d->msg))
			return;
		list_del(&d->link);
		node->deferred_nr--;
		peer = rnode_peer_find(node, d->from);
		if (!node->closing && peer != NULL)
			deliver(node, d->from, peer->uri, &d->msg);
		free(d);
	}
}

static void
defer(struct rnode *node, uint64_t from, const struct raft_message *msg)
{
	struct rnode_deferred *d;

	if (node->deferred_nr >= RNODE_DEFERRED_MAX)
		return; /* as if lost: the next heartbeat brings another */
	d = mem_new(struct rnode_deferred);
	if (d == NULL)
		return;
	d->from = from;
	d->msg = *msg;
	list_push_back(&node->deferred, &d->link);
	node->deferred_nr++;
}

static int
handle_messages(struct rnode *node, struct rnode_in *in)
{
	struct rnode_peer *peer;
	struct rcodec_env env;
	struct codec_rd rd;
	uint64_t i;
	int rc;

	codec_rd_init(&rd, in->bytes, in->len);
	rc = rcodec_env_get(&rd, &env);
	if (rc != 0)
		return rc;
	if (!same_group(node, env.group) || env.to != rlog_ident(node->log)->id ||
	    env.from == env.to)
		return -DER_NOTREPLICA;
	if (in->sent_ns != 0 && env.from != in->from)
		return -DER_PROTO;
	in->asker = env.from;
	peer = rnode_peer_of(node, env.from, env.addr);
	if (peer == NULL)
		return -DER_NOMEM;
	if (strcmp(peer->uri, env.addr) != 0) {
		log_note("replica %llu is now at %s", (unsigned long long)env.from, env.addr);
		strcpy(peer->uri, env.addr);
	}
	for (i = 0; i < env.msg_nr; i++) {
		struct raft_message msg;

		rc = rcodec_msg_get(&rd, &msg);
		if (rc != 0)
			return rc;
		if (must_wait(node, &msg))
			defer(node, env.from, &msg);
		else
			deliver(node, env.from, peer->uri, &msg);
	}
	return codec_rd_end(&rd);
}

static void
in_event(struct rnode *node, struct rnode_ev *ev)
{
	struct rnode_in *in = container_of(ev, struct rnode_in, ev);
	int rc = -DER_SHUTDOWN;

	if (!node->closing) {
		node->cur_in = in->waiting ? in : NULL;
		rc = handle_messages(node, in);
		node->cur_in = NULL;
	}
	if (in->waiting) {
		co_future_complete(&in->done, rc);
		return; /* in is on the handler's stack */
	}
	if (rc != 0 && rc != -DER_SHUTDOWN)
		log_warn("answer of replica %llu: " ERR_F, (unsigned long long)in->from, ERR_P(rc));
	free(in->owned);
	free(in);
}

static void co_fn
handle_request(struct rnode *node, struct rpc_in *rpc, const uint8_t *bytes, size_t len)
{
	struct rnode_in in = {.bytes = bytes, .len = len, .waiting = true};
	struct iovec iov;
	struct codec_wr out;
	int rc;

	co_future_init(&in.done);
	codec_wr_init(&in.reply, RPC_INLINE_MAX);
	rnode_post(node, &in.ev, in_event);
	rc = co_future_wait(&in.done, 0);
	codec_wr_init(&out, RPC_INLINE_MAX);
	if (rc == 0) {
		struct rcodec_env env;

		env_of(node, in.asker, in.reply_nr, &env);
		codec_wr_u8(&out, RCODEC_INLINE);
		rcodec_env_put(&out, &env);
		codec_wr_bytes(&out, in.reply.base, in.reply.len);
		rc = codec_wr_err(&out);
	}
	iov = (struct iovec){.iov_base = out.base, .iov_len = rc == 0 ? out.len : 0};
	rpc_reply(rpc, rc, &iov, iov.iov_len != 0 ? 1 : 0);
	codec_wr_fini(&out);
	codec_wr_fini(&in.reply);
}

static void co_fn
handle_bulk(struct rnode *node, struct rpc_in *rpc, struct codec_rd *rd)
{
	uint64_t len = codec_rd_u64(rd);
	size_t desc_len;
	struct rpc_bulk_desc desc = {.bytes = codec_rd_blob(rd, RPC_INLINE_MAX, &desc_len)};
	struct iovec iov;
	uint8_t *buf;
	int rc = codec_rd_end(rd);

	desc.len = (uint32_t)desc_len;
	if (rc == 0 && (len == 0 || len > RCODEC_ENVELOPE_MAX || rpc_bulk_desc_size(&desc) < len))
		rc = -DER_PROTO;
	if (rc != 0) {
		rpc_reply(rpc, rc, NULL, 0);
		return;
	}
	buf = malloc(len);
	iov = (struct iovec){.iov_base = buf, .iov_len = len};
	rc = buf != NULL ? rpc_bulk_pull(rpc, &desc, 0, &iov, 1, 0) : -DER_NOMEM;
	if (rc == 0)
		handle_request(node, rpc, buf, len);
	else
		rpc_reply(rpc, rc, NULL, 0);
	free(buf);
}

static void
handle_confirm(struct rnode *node, struct rpc_in *rpc, struct codec_rd *rd)
{
	uint8_t group[16];
	uint8_t term[8];
	struct iovec iov = {.iov_base = term, .iov_len = sizeof(term)};
	uint64_t v;
	uint64_t to;
	int rc;

	codec_rd_uuid(rd, group);
	codec_rd_u64(rd); /* from */
	to = codec_rd_u64(rd);
	codec_rd_u64(rd); /* term: for people who read traces */
	rc = codec_rd_end(rd);
	if (rc == 0 && (!same_group(node, group) || to != rlog_ident(node->log)->id))
		rc = -DER_NOTREPLICA;
	/* The durable term: a vote in a higher one has not left this replica before that is
	 * written. */
	v = htole64(rlog_term(node->log));
	memcpy(term, &v, sizeof(v));
	rpc_reply(rpc, rc, &iov, rc == 0 ? 1 : 0);
}

static void co_fn
on_raft_msg(struct rpc_in *rpc, void *arg)
{
	struct rnode *node = arg;
	struct codec_rd rd;
	uint8_t kind;

	if (node->closing) {
		rpc_reply(rpc, -DER_SHUTDOWN, NULL, 0);
		return;
	}
	node->coroutine_nr++;
	codec_rd_init(&rd, rpc->body, rpc->body_len);
	kind = codec_rd_u8(&rd);
	switch (kind) {
	case RCODEC_INLINE:
		handle_request(node, rpc, rd.p, codec_rd_left(&rd));
		break;
	case RCODEC_BULK:
		handle_bulk(node, rpc, &rd);
		break;
	case RCODEC_CONFIRM:
		handle_confirm(node, rpc, &rd);
		break;
	default:
		rpc_reply(rpc, -DER_PROTO, NULL, 0);
	}
	rnode_coroutine_end(node);
}

/* --- going out ------------------------------------------------------------------------------- */

static void
out_done(struct rnode *node, struct rnode_ev *ev)
{
	struct rnode_out *out = container_of(ev, struct rnode_out, ev);

	if (out->cb != NULL) /* libraft does not care what becomes of TimeoutNow */
		out->cb(out->req, out->status);
	free(out->bytes);
	free(out);
}

static void
out_end(struct rnode *node, struct rnode_out *out, int status)
{
	out->status = status;
	rnode_post(node, &out->ev, out_done);
}

/*
 * The answer to a request. If the peer is still in our term (or a lower one), it has not voted for
 * anybody newer when the request was sent. Messages in it are handled like others.
 */
static void
reply_in(struct rnode *node, struct rnode_peer *peer, const struct rpc_call *call, uint64_t sent_ns,
	 uint64_t epoch)
{
	struct rcodec_env env;
	struct codec_rd rd;
	struct rnode_in *in;

	codec_rd_init(&rd, call->reply, call->reply_len);
	if (codec_rd_u8(&rd) != RCODEC_INLINE || rcodec_env_get(&rd, &env) != 0 ||
	    env.from != peer->id || !same_group(node, env.group))
		return;
	if (node->is_leader && node->epoch == epoch && env.term <= node->raft.current_term)
		rnode_ack(node, peer, sent_ns);
	if (env.msg_nr == 0)
		return;
	in = mem_new(struct rnode_in);
	if (in == NULL)
		return; /* as if lost */
	in->owned = mem_dup(call->reply + 1, call->reply_len - 1);
	if (in->owned == NULL) {
		free(in);
		return;
	}
	in->bytes = in->owned;
	in->len = call->reply_len - 1;
	in->sent_ns = sent_ns;
	in->from = peer->id;
	rnode_post(node, &in->ev, in_event);
}

/* Send a request body to the peer; its answer goes to the loop. */
static int co_fn
call_peer(struct rnode *node, struct rnode_peer *peer, struct rpc_call **slot,
	  const struct iovec *body, uint32_t deadline_ms, struct rpc_call *call)
{
	struct rpc_peer *rp;
	int rc;

	rc = rpc_peer_get(node->conf.ep, peer->uri, &rp);
	if (rc != 0)
		return rc;
	*call = (struct rpc_call){
	    .opc = OPC_RAFT_MSG,
	    .body = body,
	    .body_nr = 1,
	    .deadline_ns = xs_now_fresh_ns(node->xs) + deadline_ms * 1000000ull,
	};
	*slot = call;
	rc = rpc_call_send(node->conf.ep, rp, call);
	*slot = NULL;
	rpc_peer_put(rp);
	if (rc == 0)
		rc = call->status;
	return rc;
}

static int co_fn
send_envelope(struct rnode *node, struct rnode_peer *peer, const struct codec_wr *env)
{
	struct rpc_call call = {0};
	struct rpc_bulk *bulk = NULL;
	struct codec_wr body;
	struct iovec iov;
	uint64_t sent_ns = xs_now_fresh_ns(node->xs);
	uint64_t epoch = node->epoch;
	bool is_bulk = env->len + 1 > RPC_INLINE_MAX;
	int rc;

	codec_wr_init(&body, RPC_INLINE_MAX);
	if (is_bulk) {
		struct rpc_bulk_desc desc;

		iov = (struct iovec){.iov_base = env->base, .iov_len = env->len};
		rc = rpc_bulk_create(node->conf.ep, &iov, 1, RPC_BULK_READ, &bulk);
		if (rc != 0)
			return rc;
		desc = rpc_bulk_describe(bulk);
		codec_wr_u8(&body, RCODEC_BULK);
		codec_wr_u64(&body, env->len);
		codec_wr_blob(&body, desc.bytes, desc.len);
	} else {
		codec_wr_u8(&body, RCODEC_INLINE);
		codec_wr_bytes(&body, env->base, env->len);
	}
	rc = codec_wr_err(&body);
	if (rc == 0) {
		iov = (struct iovec){.iov_base = body.base, .iov_len = body.len};
		rc = call_peer(node, peer, &peer->send_call, &iov,
			       is_bulk ? RNODE_BULK_CALL_MS : RNODE_CALL_MS, &call);
		if (rc == 0)
			reply_in(node, peer, &call, sent_ns, epoch);
		rpc_call_fini(&call);
	}
	rpc_bulk_destroy(bulk);
	codec_wr_fini(&body);
	return rc;
}

static void co_fn
send_some(struct rnode *node, struct rnode_peer *peer)
{
	struct list taken = LIST_INIT(taken);
	struct rcodec_env env;
	struct codec_wr wr;
	struct rnode_out *out;
	struct list *pos;
	size_t bytes = 0;
	uint32_t nr = 0;
	int rc;

	while ((out = list_first(&peer->queue, struct rnode_out, link)) != NULL) {
		if (nr > 0 && bytes + out->len + RNODE_MSG_ROOM > RPC_INLINE_MAX)
			break;
		list_del(&out->link);
		list_push_back(&taken, &out->link);
		bytes += out->len;
		nr++;
	}
	peer->queue_bytes -= bytes;
	env_of(node, peer->id, nr, &env);
	codec_wr_init(&wr, RCODEC_ENVELOPE_MAX);
	rcodec_env_put(&wr, &env);
	list_for_each (pos, &taken) {
		out = list_entry(pos, struct rnode_out, link);
		codec_wr_bytes(&wr, out->bytes, out->len);
	}
	rc = codec_wr_err(&wr);
	if (rc == 0)
		rc = send_envelope(node, peer, &wr);
	codec_wr_fini(&wr);
	if (rc != 0)
		log_debug("to replica %llu at %s: " ERR_F, (unsigned long long)peer->id, peer->uri,
			  ERR_P(rc));
	while ((out = list_first(&taken, struct rnode_out, link)) != NULL) {
		list_del(&out->link);
		out_end(node, out, rc != 0 ? RAFT_NOCONNECTION : 0);
	}
}

static void co_fn
sender(void *arg)
{
	struct rnode_peer *peer = arg;
	struct rnode *node = peer->node;
	struct rnode_out *out;

	while (!node->closing && !list_empty(&peer->queue))
		send_some(node, peer);
	while ((out = list_first(&peer->queue, struct rnode_out, link)) != NULL) {
		list_del(&out->link);
		out_end(node, out, RAFT_CANCELED);
	}
	peer->queue_bytes = 0;
	peer->sending = false;
	rnode_coroutine_end(node);
}

int
rnode_net_send(struct rnode *node, struct raft_io_send *req, const struct raft_message *orig,
	       raft_io_send_cb cb)
{
	struct raft_message copy = *orig;
	const struct raft_message *msg = &copy;
	struct rnode_in *in = node->cur_in;
	struct rnode_peer *peer;
	struct rnode_out *out;
	struct codec_wr wr;

	peer = rnode_peer_of(node, msg->server_id, msg->server_address);
	if (peer == NULL)
		return RAFT_NOCONNECTION;
	if (msg->type == RAFT_IO_APPEND_ENTRIES_RESULT)
		result_limit(node, &copy.append_entries_result);
	codec_wr_init(&wr, RCODEC_ENVELOPE_MAX);
	rcodec_msg_put(&wr, msg);
	out = mem_new(struct rnode_out);
	if (out == NULL || codec_wr_err(&wr) != 0) {
		codec_wr_fini(&wr);
		free(out);
		return RAFT_NOMEM;
	}
	out->req = req;
	out->cb = cb;
	out->bytes = codec_wr_take(&wr, &out->len);

	if (in != NULL && in->asker == msg->server_id &&
	    in->reply.len + out->len + RNODE_MSG_ROOM <= RPC_INLINE_MAX) {
		codec_wr_bytes(&in->reply, out->bytes, out->len);
		if (codec_wr_err(&in->reply) == 0) {
			in->reply_nr++;
			out_end(node, out, 0);
			return 0;
		}
	}
	if (!list_empty(&peer->queue) && peer->queue_bytes + out->len > RNODE_PEER_QUEUE_MAX) {
		out_end(node, out, RAFT_NOCONNECTION);
		return 0;
	}
	if (!peer->sending) {
		if (co_spawn(node->xs, sender, peer) != 0) {
			free(out->bytes);
			free(out);
			return RAFT_NOMEM;
		}
		peer->sending = true;
		node->coroutine_nr++;
	}
	list_push_back(&peer->queue, &out->link);
	peer->queue_bytes += out->len;
	return 0;
}

/* --- confirmation of leadership -------------------------------------------------------------- */

static void co_fn
confirm_once(struct rnode *node, struct rnode_peer *peer)
{
	struct rpc_call call = {0};
	uint64_t sent_ns = xs_now_fresh_ns(node->xs);
	uint64_t epoch = node->epoch;
	uint64_t term = node->raft.current_term;
	struct codec_wr body;
	uint8_t buf[64];
	struct iovec iov;
	int rc;

	codec_wr_init_fixed(&body, buf, sizeof(buf));
	codec_wr_u8(&body, RCODEC_CONFIRM);
	codec_wr_uuid(&body, rlog_ident(node->log)->group);
	codec_wr_u64(&body, rlog_ident(node->log)->id);
	codec_wr_u64(&body, peer->id);
	codec_wr_u64(&body, term);
	iov = (struct iovec){.iov_base = body.base, .iov_len = body.len};
	rc = call_peer(node, peer, &peer->confirm_call, &iov, RNODE_CALL_MS, &call);
	if (rc == 0) {
		struct codec_rd rd;
		uint64_t got;

		codec_rd_init(&rd, call.reply, call.reply_len);
		got = codec_rd_u64(&rd);
		rc = codec_rd_end(&rd);
		/* A lower term is fine too: it has not voted for anybody newer. */
		if (rc == 0 && got <= term && node->epoch == epoch && node->is_leader)
			rnode_ack(node, peer, sent_ns);
	}
	rpc_call_fini(&call);
}

static void co_fn
confirmer(void *arg)
{
	struct rnode_peer *peer = arg;
	struct rnode *node = peer->node;

	while (peer->confirm_wanted && !node->closing && node->is_leader) {
		peer->confirm_wanted = false;
		confirm_once(node, peer);
	}
	peer->confirming = false;
	rnode_coroutine_end(node);
}

void
rnode_net_kick_confirm(struct rnode *node)
{
	unsigned i;

	for (i = 0; i < node->raft.configuration.n; i++) {
		const struct raft_server *s = &node->raft.configuration.servers[i];
		struct rnode_peer *peer;

		if (s->role != RAFT_VOTER || s->id == rlog_ident(node->log)->id)
			continue;
		peer = rnode_peer_of(node, s->id, s->address);
		if (peer == NULL)
			continue;
		peer->confirm_wanted = true;
		if (peer->confirming)
			continue;
		if (co_spawn(node->xs, confirmer, peer) != 0)
			continue;
		peer->confirming = true;
		node->coroutine_nr++;
	}
}

/* --- start and stop -------------------------------------------------------------------------- */

int
rnode_net_start(struct rnode *node)
{
	return rpc_register(node->conf.ep, OPC_RAFT_MSG, on_raft_msg, node);
}

static void
on_raft_gone(struct rpc_in *rpc, void *arg)
{
	rpc_reply(rpc, -DER_NOTREPLICA, NULL, 0);
}

void
rnode_net_stop(struct rnode *node)
{
	rpc_register(node->conf.ep, OPC_RAFT_MSG, on_raft_gone, NULL);
}

void
rnode_net_cancel(struct rnode *node)
{
	struct list *pos;

	list_for_each (pos, &node->peers) {
		struct rnode_peer *peer = list_entry(pos, struct rnode_peer, link);

		if (peer->send_call != NULL)
			rpc_call_cancel(peer->send_call);
		if (peer->confirm_call != NULL)
			rpc_call_cancel(peer->confirm_call);
	}
	rnode_net_undefer(node);
}
