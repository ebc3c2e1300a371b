/*
 * Talking to the management service: one connection per rpc endpoint that knows the replicas, finds
 * the leader by asking any of them, follows hints, and retries until the deadline. Used by the
 * client library, engines (join, heartbeat), daos_server and tests. Like its endpoint, it is used
 * only on the endpoint's xstream.
 */
#ifndef CLIENT_MS_H
#define CLIENT_MS_H

#include <stdint.h>
#include <protobuf-c/protobuf-c.h>

#include "base/list.h"
#include "net/rpc/rpc.h"
#include "proto/mgmt.pb-c.h"

struct ms_conn;

enum {
	MS_URI_MAX = 64,         /* addresses a connection remembers; more are ignored */
	MS_BACKOFF_MIN_MS = 5,   /* pause after a round of all addresses without a leader … */
	MS_BACKOFF_MAX_MS = 500, /* … doubled each time up to this */
};

/* uris: tag-0 addresses of ranks that are, or know, replicas. Copied. */
int ms_conn_create(struct rpc_ep *ep, const char *const *uris, uint32_t uri_nr,
		   struct ms_conn **ret_conn);
/* No call may be under way. Accepts NULL. */
void ms_conn_destroy(struct ms_conn *conn);
/* Make the calls under way return -DER_CANCELED soon, and later ones at once. */
void ms_conn_cancel(struct ms_conn *conn);
/* Learn addresses; known ones stay. */
int ms_conn_set_uris(struct ms_conn *conn, const char *const *uris, uint32_t uri_nr);
uint32_t ms_conn_uri_nr(const struct ms_conn *conn);

/*
 * One request to the leader. req may be NULL (empty body); rep_desc NULL when the reply has no
 * body. On 0 the caller frees *ret_rep with protobuf_c_message_free_unpacked(). deadline_ns:
 * monotonic, 0 = none (retry for ever, one log line says what is being waited for). Returns the
 * service's status, or -DER_TIMEDOUT / -DER_CANCELED. Because a repeated request may already have
 * been executed, requests that change state carry a CmdId (ms_cmd_begin).
 */
int co_fn ms_call(struct ms_conn *conn, uint32_t opc, const ProtobufCMessage *req,
		  const ProtobufCMessageDescriptor *rep_desc, ProtobufCMessage **ret_rep,
		  uint64_t deadline_ns);

/* As ms_call(), but another coroutine of the xstream can end it: ms_cancel() while it is under way
 * makes it return -DER_CANCELED soon. Zero-initialise; used for one call. */
struct ms_handle {
	struct list link; /* the caller's */
	bool canceled;
	struct rpc_call *call; /* the attempt under way */
	struct co_waitq pause;
};
int co_fn ms_call_cancelable(struct ms_conn *conn, uint32_t opc, const ProtobufCMessage *req,
			     const ProtobufCMessageDescriptor *rep_desc, ProtobufCMessage **ret_rep,
			     uint64_t deadline_ns, struct ms_handle *handle);
void ms_cancel(struct ms_handle *handle);

/*
 * Identity of a command that changes state, constant over its retries:
 *	struct ms_cmd cmd;
 *	ms_cmd_begin(conn, &cmd);  req.id = &cmd.id;  ms_call(...);  ms_cmd_end(&cmd);
 * The first begin draws the connection's incarnation from the randomness of the xstream, so it must
 * run in a coroutine.
 */
struct ms_cmd {
	struct list link; /* of the commands under way, oldest first */
	Mgmt__CmdId id;
};
void ms_cmd_begin(struct ms_conn *conn, struct ms_cmd *cmd);
void ms_cmd_end(struct ms_cmd *cmd);

#endif
