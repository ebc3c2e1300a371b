/*
 * The engine: data plane of one rank as a library. daos_engine is a thin main around it; tests run
 * many in one process; the simulator runs it on virtual edges.
 *
 * One system xstream (tag 0: join, heartbeats, pool control, the management service when this rank
 * is a replica) and one xstream per target (tags 1..n), each with its own rpc endpoint and its own
 * shard (vos_pool) of every pool.
 */
/*
 * daos_engine, the program, is started by daos_server with these options:
 *
 * --name SYSTEM --provider P --interface IF --port N --targets N
 *
 * --rank N (wanted; absent = any) --scm DIR --scm-bytes N --nvme DIR (absent = no second tier)
 * --nvme-bytes N
 *
 * --fault-domain /PATH --control-addr HOST:PORT --ms URI (repeatable) --bootstrap --insecure
 * --first-core N --log-file FILE --log-mask MASK --status-fd FD
 *
 * On the status descriptor it writes lines: "uri URI" (tag 0, once, when it listens), "state STATE
 * RANK" (numbers: enum sys_rank_state; RANK 4294967295 while unknown) at every change, "stop" when
 * the management service asked it to stop (then it ends with status 0), "error TEXT" before it ends
 * because of one. SIGTERM ends it cleanly with status 0.
 */
#ifndef SERVER_ENGINE_H
#define SERVER_ENGINE_H

#include <stdint.h>
#include <stdbool.h>

#include "runtime/xs.h"
#include "net/rpc/rpc.h"
#include "store/dev/dev.h"

struct engine;

struct engine_conf {
	struct env *env;
	struct net *net;
	struct dev_dir *dir; /* SCM tier and logs; also the engine's superblock (identity, rank,
				known replicas) */
	struct dev_dir *bulk_dir; /* NVMe tier; NULL: none, unless nvme_bytes is set: then in dir */
	const char *system_name;
	uint16_t port; /* tag 0; tag t at port + t */
	uint32_t target_nr;
	uint32_t rank; /* wanted; MGMT_RANK_NONE: let the service choose (kept in the superblock
			  afterwards) */
	const char *fault_domain;   /* "/host" */
	const char *control_addr;   /* host:port of the daos_server */
	const char *const *ms_uris; /* where to find the management service the first time */
	uint32_t ms_uri_nr;
	bool bootstrap; /* may form a new system */
	bool insecure;
	/* Capacity of the tiers this rank offers; 0 = what the file systems have. */
	uint64_t scm_bytes;
	uint64_t nvme_bytes;
	int first_core; /* -1: do not pin */
	/* Told of progress: state is enum sys_rank_state; NULL = not wanted. Called on the system
	 * xstream. */
	void (*on_state)(uint32_t state, uint32_t rank, void *arg);
	/* The management service asked this engine to stop. */
	void (*on_stop)(bool force, void *arg);
	/* The engine cannot go on (storage of another system, say); one line for people. It stays
	 * as it is until engine_stop(). */
	void (*on_error)(const char *text, void *arg);
	void *cb_arg;
};
/*
 * Starts the xstreams; returns when they run and the endpoints listen; the rest (opening pools,
 * joining) goes on in the background. Strings are copied; env, net and the directories must outlive
 * the engine. Not from inside a coroutine.
 */
int engine_start(const struct engine_conf *conf, struct engine **ret_engine);
/* Finishes requests under way (or ends them when their edges failed), closes pools, joins the
 * threads. */
void engine_stop(struct engine *engine);
uint32_t engine_rank(const struct engine *engine);
const char *engine_uri(const struct engine *engine); /* tag 0 */

#endif
