/*
 * The DAOS client library. Includes everything but the file system (daos_fs.h), the unified
 * namespace (daos_uns.h), tasks (daos_task.h) and pipelines.
 */
#ifndef DAOS_H
#define DAOS_H

#include <daos_version.h>
#include <daos_types.h>
#include <daos_event.h>

#include <daos_obj.h>
#include <daos_array.h>
#include <daos_kv.h>
#include <daos_prop.h>
#include <daos_cont.h>
#include <daos_pool.h>
#include <daos_mgmt.h>
#include <daos_security.h>
#include <daos_api.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

/** Start using the library; counted, each needs a daos_fini(). -DER_AGENT_COMM and others. */
int daos_init(void);
int daos_fini(void);

/** In a child after fork(): start afresh. Handles of the parent are gone. */
int daos_reinit(void);

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* DAOS_H */
