/*
 * Events inside the library: one way to start an operation for its blocking and its event form.
 */
#ifndef CLIENT_EVENT_H
#define CLIENT_EVENT_H

#include <stddef.h>
#include <daos_event.h>

#include "client/core/client.h"

/*
 * Run fn on the default client. ev NULL: wait for its result; args are used in place. Otherwise
 * args_size bytes of args are copied, the operation is started, and its result becomes that of ev;
 * then the return value says only whether it could be started. -DER_UNINIT before daos_init().
 */
int op_run(daos_event_t *ev, op_fn_t fn, void *args, size_t args_size);

/*
 * Complete ev at once with rc (a call that had nothing to wait for), or return rc when ev is NULL.
 */
int op_done(daos_event_t *ev, int rc);

/* From now on ev_error of this event is a positive errno: for libdfs. Exported by libdaos. */
__attribute__((visibility("default"))) void daos_event_errno_rc(struct daos_event *ev);

#endif
