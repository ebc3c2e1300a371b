/* Between the files of client/core and client/event. */
#ifndef CLIENT_INTERNAL_H
#define CLIENT_INTERNAL_H

#include "client/core/client.h"

/* The open network; opens it if need be. */
int client_net(struct client *client, struct net **ret_net);
/* A connection to the management service over ep. -DER_NOTATTACH before client_attach(). */
int client_make_ms(struct client *client, struct rpc_ep *ep, struct ms_conn **ret_ms);
void client_ctx_link(struct client *client, struct ctx *ctx);
void client_ctx_unlink(struct client *client, struct ctx *ctx);
/* The context of events without a queue. */
int client_shared_ctx(struct client *client, struct ctx **ret_ctx);
/* The calling thread's context. */
int client_thread_ctx(struct client *client, struct ctx **ret_ctx);
/* Deadline of operations from $DAOS_OP_TIMEOUT, 0 = none. */
uint64_t client_op_timeout_ns(const struct client *client);

/* A request of an operation on its way, so that it can be cancelled. */
struct op_rpc_call {
	struct list link; /* op->calls */
	struct rpc_call *call;
};

#endif
