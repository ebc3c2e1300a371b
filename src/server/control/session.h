/*
 * A short-lived client of the management service, for one request of the management API: its own
 * event loop and endpoint, so that requests of several administrators do not wait for each other.
 */
#ifndef SERVER_CONTROL_SESSION_H
#define SERVER_CONTROL_SESSION_H

#include <stdint.h>
#include "proto/mgmt.pb-c.h"

struct session;
struct net;

/* uris: tag-0 addresses of ranks. Not for coroutines. */
int session_open(struct net *net, const char *const *uris, uint32_t uri_nr,
		 struct session **ret_session);
void session_close(struct session *s);
/* ms_call() with a deadline from now; blocks the calling thread. */
int session_call(struct session *s, uint32_t opc, const ProtobufCMessage *req,
		 const ProtobufCMessageDescriptor *rep_desc, ProtobufCMessage **ret_rep,
		 uint32_t timeout_ms);
/* A command identity for requests that change state; valid until the session closes. */
Mgmt__CmdId *session_cmd_id(struct session *s);

#endif
