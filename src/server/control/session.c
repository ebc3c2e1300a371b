/* A short-lived client of the management service: see session.h. */
#include <stdlib.h>

#include <daos_errno.h>

#include "client/core/ms.h"
#include "net/rpc/rpc.h"
#include "runtime/xs.h"
#include "server/control/session.h"

struct session {
	struct env env;
	struct xs *xs;
	struct rpc_ep *ep;
	struct ms_conn *conn;
	struct ms_cmd cmd;
	bool cmd_begun;
};

struct call {
	struct session *s;
	uint32_t opc;
	const ProtobufCMessage *req;
	const ProtobufCMessageDescriptor *rep_desc;
	ProtobufCMessage **ret_rep;
	uint32_t timeout_ms;
};

static int co_fn
call_fn(void *arg)
{
	struct call *c = arg;
	uint64_t deadline = xs_now_fresh_ns(c->s->xs) + c->timeout_ms * 1000000ull;

	return ms_call(c->s->conn, c->opc, c->req, c->rep_desc, c->ret_rep, deadline);
}

int
session_call(struct session *s, uint32_t opc, const ProtobufCMessage *req,
	     const ProtobufCMessageDescriptor *rep_desc, ProtobufCMessage **ret_rep,
	     uint32_t timeout_ms)
{
	struct call c = {s, opc, req, rep_desc, ret_rep, timeout_ms};

	return xs_call(s->xs, call_fn, &c);
}

static int co_fn
cmd_fn(void *arg)
{
	struct session *s = arg;

	ms_cmd_begin(s->conn, &s->cmd);
	return 0;
}

Mgmt__CmdId *
session_cmd_id(struct session *s)
{
	if (!s->cmd_begun) {
		xs_call(s->xs, cmd_fn, s);
		s->cmd_begun = true;
	}
	return &s->cmd.id;
}

int
session_open(struct net *net, const char *const *uris, uint32_t uri_nr,
	     struct session **ret_session)
{
	struct session *s = calloc(1, sizeof(*s));
	struct xs_conf xc = {.name = "control", .cpu = -1};
	struct rpc_ep_conf ec = {.net = net};
	int rc;

	if (s == NULL)
		return -DER_NOMEM;
	env_init_real(&s->env);
	xc.env = &s->env;
	rc = xs_create(&xc, &s->xs);
	if (rc == 0) {
		ec.xs = s->xs;
		rc = rpc_ep_open(&ec, &s->ep);
	}
	if (rc == 0)
		rc = ms_conn_create(s->ep, uris, uri_nr, &s->conn);
	if (rc != 0) {
		session_close(s);
		return rc;
	}
	*ret_session = s;
	return 0;
}

static int co_fn
close_fn(void *arg)
{
	struct session *s = arg;

	if (s->cmd_begun)
		ms_cmd_end(&s->cmd);
	ms_conn_destroy(s->conn);
	rpc_ep_close(s->ep);
	return 0;
}

void
session_close(struct session *s)
{
	if (s == NULL)
		return;
	if (s->ep != NULL)
		xs_call(s->xs, close_fn, s);
	if (s->xs != NULL)
		xs_destroy(s->xs);
	free(s);
}
