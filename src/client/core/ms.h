/*
 * Talking to the management service: one connection per rpc endpoint that knows the replicas, finds the leader by asking
 * any of them, follows hints, and retries until the deadline. Used by the client library, engines (join, heartbeat),
 * daos_server and tests.
 */
#ifndef CLIENT_MS_H
#define CLIENT_MS_H

#include <stdint.h>
#include <protobuf-c/protobuf-c.h>

#include "net/rpc/rpc.h"

struct ms_conn;

/* uris: tag-0 addresses of ranks that are, or know, replicas. Copied. */
int ms_conn_create(struct rpc_ep *ep, const char *const *uris, uint32_t uri_nr, struct ms_conn **ret_conn);
void ms_conn_destroy(struct ms_conn *conn);
/* Replace or add known addresses. */
int ms_conn_set_uris(struct ms_conn *conn, const char *const *uris, uint32_t uri_nr);

/*
 * One request to the leader. req may be NULL (empty body); rep_desc NULL when the reply has no body. On 0 the caller frees
 * *ret_rep with protobuf_c_message_free_unpacked(). deadline_ns: monotonic, 0 = none (retry for ever, one log line says
 * what is being waited for). Returns the service's status, or -DER_TIMEDOUT / -DER_CANCELED. Because a repeated request may
 * already have been executed, requests that change state carry a CmdId (ms_cmd_id_next).
 */
int co_fn ms_call(struct ms_conn *conn, uint32_t opc, const ProtobufCMessage *req,
		  const ProtobufCMessageDescriptor *rep_desc, ProtobufCMessage **ret_rep, uint64_t deadline_ns);

#endif
