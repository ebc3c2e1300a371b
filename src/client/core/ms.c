/*
 * Connection to the management service.
 *
 * A connection is a bounded list of addresses and a guess which of them leads. A call goes to the
 * guess; without one, to the next address in turn. An answer of "not the leader" brings the
 * addresses of the replicas and usually the leader's, which is tried at once; a replica that cannot
 * be reached or knows no leader costs one step to the next address. After a full round without
 * success the call pauses, doubling up to half a second: an election takes about that long.
 *
 * Only an answer that comes from a leader ends a call, so the outcome "unknown" never reaches the
 * caller: the command is repeated under the same identity until somebody answers or the deadline
 * passes.
 */
#define LOG_FACILITY "mgmt"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/ms.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/opcodes.h"
#include "runtime/xs.h"

#define MS_NO_LEADER UINT32_MAX

enum {
	HOP_NR_MAX =
	    8, /* hints followed in a row before pausing: two replicas may name each other */
	WAIT_LOG_FIRST_MS = 2000,
	WAIT_LOG_NEXT_MS = 60000,
};

struct ms_conn {
	struct rpc_ep *ep;
	uint32_t uri_nr;
	char *uris[MS_URI_MAX];
	uint32_t leader; /* index of the presumed leader, MS_NO_LEADER */
	uint32_t next;   /* who is asked without a leader */
	uint64_t seq;    /* last one given out */
	bool has_id;
	uint8_t id[16];    /* incarnation */
	struct list cmds;  /* struct ms_cmd under way */
	struct list calls; /* struct ms_attempt under way */
	bool canceled;
};

struct ms_attempt {
	struct list link;
	struct rpc_call call;
};

static uint32_t
conn_find(const struct ms_conn *conn, const char *uri)
{
	uint32_t i;

	for (i = 0; i < conn->uri_nr; i++)
		if (strcmp(conn->uris[i], uri) == 0)
			return i;
	return MS_NO_LEADER;
}

/* Index of the address, which is added when new; MS_NO_LEADER when it cannot be kept. */
static uint32_t
conn_learn(struct ms_conn *conn, const char *uri)
{
	uint32_t idx = conn_find(conn, uri);

	if (idx != MS_NO_LEADER)
		return idx;
	if (uri[0] == '\0' || strlen(uri) >= RPC_URI_MAX || conn->uri_nr == MS_URI_MAX)
		return MS_NO_LEADER;
	conn->uris[conn->uri_nr] = mem_strdup(uri);
	if (conn->uris[conn->uri_nr] == NULL)
		return MS_NO_LEADER;
	return conn->uri_nr++;
}

int
ms_conn_set_uris(struct ms_conn *conn, const char *const *uris, uint32_t uri_nr)
{
	uint32_t i;

	for (i = 0; i < uri_nr; i++)
		conn_learn(conn, uris[i]);
	return conn->uri_nr == 0 ? -DER_INVAL : 0;
}

uint32_t
ms_conn_uri_nr(const struct ms_conn *conn)
{
	return conn->uri_nr;
}

int
ms_conn_create(struct rpc_ep *ep, const char *const *uris, uint32_t uri_nr,
	       struct ms_conn **ret_conn)
{
	struct ms_conn *conn = mem_new(struct ms_conn);

	if (conn == NULL)
		return -DER_NOMEM;
	conn->ep = ep;
	conn->leader = MS_NO_LEADER;
	list_init(&conn->cmds);
	list_init(&conn->calls);
	ms_conn_set_uris(conn, uris, uri_nr);
	*ret_conn = conn;
	return 0;
}

void
ms_conn_destroy(struct ms_conn *conn)
{
	uint32_t i;

	if (conn == NULL)
		return;
	assert(list_empty(&conn->cmds));
	for (i = 0; i < conn->uri_nr; i++)
		free(conn->uris[i]);
	free(conn);
}

void
ms_conn_cancel(struct ms_conn *conn)
{
	struct list *pos;

	conn->canceled = true;
	list_for_each (pos, &conn->calls)
		rpc_call_cancel(&list_entry(pos, struct ms_attempt, link)->call);
}

void
ms_cmd_begin(struct ms_conn *conn, struct ms_cmd *cmd)
{
	const struct ms_cmd *oldest;

	if (!conn->has_id) {
		env_rand_fill(xs_env(co_xs()), conn->id, sizeof(conn->id));
		conn->has_id = true;
	}
	mgmt__cmd_id__init(&cmd->id);
	cmd->id.client.data = conn->id;
	cmd->id.client.len = sizeof(conn->id);
	cmd->id.seq = ++conn->seq;
	list_push_back(&conn->cmds, &cmd->link);
	oldest = list_first(&conn->cmds, struct ms_cmd, link);
	cmd->id.low_seq = oldest->id.seq;
}

void
ms_cmd_end(struct ms_cmd *cmd)
{
	list_del(&cmd->link);
}

/* Take over what an answer of -DER_NOTLEADER says. True when it names a leader to try. */
static bool
conn_take_hint(struct ms_conn *conn, const struct rpc_call *call)
{
	Mgmt__LeaderHint *hint;
	size_t i;

	conn->leader = MS_NO_LEADER;
	hint = mgmt__leader_hint__unpack(NULL, call->reply_len, call->reply);
	if (hint == NULL)
		return false;
	for (i = 0; i < hint->n_replica_uris; i++)
		conn_learn(conn, hint->replica_uris[i]);
	if (hint->leader_uri != NULL)
		conn->leader = conn_learn(conn, hint->leader_uri);
	mgmt__leader_hint__free_unpacked(hint, NULL);
	return conn->leader != MS_NO_LEADER;
}

/* Does this answer say only that somebody else, or the same one later, has to be asked? */
static bool
status_is_elsewhere(int status)
{
	switch (status) {
	case -DER_NOTLEADER:
	case -DER_NOTREPLICA:
	case -DER_UNREG:
	case -DER_SHUTDOWN:
	case -DER_NO_SERVICE:
	case -DER_NOREPLY:
		return true;
	default:
		return false;
	}
}

/* One attempt at one address. True when *ret_rc is the outcome of the whole call. */
static bool co_fn
ms_try(struct ms_conn *conn, uint32_t idx, uint32_t opc, const struct iovec *body,
       const ProtobufCMessageDescriptor *rep_desc, ProtobufCMessage **ret_rep, uint64_t deadline_ns,
       struct ms_handle *handle, int *ret_rc, bool *ret_hinted)
{
	struct ms_attempt at = {
	    .call =
		{
		    .opc = opc,
		    .body = body,
		    .body_nr = body->iov_len == 0 ? 0 : 1,
		    .deadline_ns = deadline_ns,
		},
	};
	struct rpc_call *call = &at.call;
	struct rpc_peer *peer = NULL;
	bool final = false;
	int rc;

	*ret_hinted = false;
	rc = rpc_peer_get(conn->ep, conn->uris[idx], &peer);
	if (rc == 0) {
		list_push_back(&conn->calls, &at.link);
		handle->call = call;
		rc = rpc_call_send(conn->ep, peer, call);
		handle->call = NULL;
		list_del(&at.link);
	}
	if (rc == -DER_CANCELED || rc == -DER_INVAL || rc == -DER_NOMEM) {
		final = true;
	} else if (rc != 0) {
		if (conn->leader == idx)
			conn->leader = MS_NO_LEADER;
	} else if (call->status == -DER_NOTLEADER) {
		rc = call->status;
		*ret_hinted = conn_take_hint(conn, call);
	} else if (status_is_elsewhere(call->status)) {
		rc = call->status;
		conn->leader = MS_NO_LEADER;
	} else if (call->status == -DER_AGAIN || call->status == -DER_OVERLOAD_RETRY) {
		rc = call->status; /* the right one, but not now */
	} else {
		conn->leader = idx;
		rc = call->status;
		final = true;
		if (rc == 0 && rep_desc != NULL) {
			*ret_rep =
			    protobuf_c_message_unpack(rep_desc, NULL, call->reply_len, call->reply);
			if (*ret_rep == NULL)
				rc = -DER_PROTO;
		}
	}
	rpc_call_fini(call);
	rpc_peer_put(peer);
	*ret_rc = rc;
	return final;
}

/* Pause between rounds: half of it fixed, half of it chance, so that many clients spread. */
static void co_fn
ms_pause(uint32_t backoff_ms, uint64_t deadline_ns, struct ms_handle *handle)
{
	struct xs *xs = co_xs();
	uint64_t ns = (uint64_t)backoff_ms * 1000000;
	uint64_t now = xs_now_ns(xs);

	ns = ns / 2 + env_rand_below(xs_env(xs), ns / 2 + 1);
	if (deadline_ns != 0 && now + ns > deadline_ns)
		ns = deadline_ns > now ? deadline_ns - now : 0;
	co_waitq_wait(&handle->pause, now + ns);
}

void
ms_cancel(struct ms_handle *handle)
{
	handle->canceled = true;
	if (handle->call != NULL)
		rpc_call_cancel(handle->call);
	co_waitq_wake_all(&handle->pause);
}

int co_fn
ms_call(struct ms_conn *conn, uint32_t opc, const ProtobufCMessage *req,
	const ProtobufCMessageDescriptor *rep_desc, ProtobufCMessage **ret_rep,
	uint64_t deadline_ns)
{
	struct ms_handle handle = {0};

	return ms_call_cancelable(conn, opc, req, rep_desc, ret_rep, deadline_ns, &handle);
}

int co_fn
ms_call_cancelable(struct ms_conn *conn, uint32_t opc, const ProtobufCMessage *req,
		   const ProtobufCMessageDescriptor *rep_desc, ProtobufCMessage **ret_rep,
		   uint64_t deadline_ns, struct ms_handle *handle)
{
	CLEANUP(freep)
	uint8_t *packed = NULL;
	struct iovec body = {0};
	uint32_t tried_nr = 0, hop_nr = 0, backoff_ms = MS_BACKOFF_MIN_MS;
	uint64_t begin_ns = xs_now_ns(co_xs());
	uint64_t log_ns = begin_ns + WAIT_LOG_FIRST_MS * 1000000ull;
	int rc;

	co_waitq_init(&handle->pause);
	if (req != NULL) {
		size_t len = protobuf_c_message_get_packed_size(req);

		packed = mem_alloc(len + 1);
		if (packed == NULL)
			return -DER_NOMEM;
		body.iov_base = packed;
		body.iov_len = protobuf_c_message_pack(req, packed);
	}
	if (conn->uri_nr == 0)
		return -DER_NO_SERVICE;

	for (;;) {
		uint32_t idx = conn->leader;
		uint64_t now;
		bool hinted;

		if (conn->canceled || handle->canceled)
			return -DER_CANCELED;
		if (idx == MS_NO_LEADER) {
			idx = conn->next++ % conn->uri_nr;
			tried_nr++;
		}
		if (ms_try(conn, idx, opc, &body, rep_desc, ret_rep, deadline_ns, handle, &rc,
			   &hinted))
			return rc;
		now = xs_now_ns(co_xs());
		if (deadline_ns != 0 && now >= deadline_ns)
			return -DER_TIMEDOUT;
		if (hinted && conn->leader != idx && ++hop_nr < HOP_NR_MAX)
			continue;
		if (conn->leader == MS_NO_LEADER && tried_nr < conn->uri_nr)
			continue;

		if (now >= log_ns) {
			log_err("request 0x%x waits for the management service since %.0f s: "
				"%s answered " ERR_F ", %u addresses known",
				opc, (double)(now - begin_ns) / 1e9, conn->uris[idx], ERR_P(rc),
				conn->uri_nr);
			log_ns = now + WAIT_LOG_NEXT_MS * 1000000ull;
		}
		ms_pause(backoff_ms, deadline_ns, handle);
		if (backoff_ms < MS_BACKOFF_MAX_MS)
			backoff_ms *= 2;
		tried_nr = 0;
		hop_nr = 0;
	}
}
