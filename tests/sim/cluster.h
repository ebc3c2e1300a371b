/*
 * A cluster in one process: engines with the management service, on a simulated network and
 * simulated disks; clients of the real client library. Everything follows from one seed. Control
 * flow is that of the test: it starts, crashes and restarts nodes between its own calls, and
 * virtual time passes only inside those calls.
 */
#ifndef SIM_CLUSTER_H
#define SIM_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include <daos.h>

#include "client/core/client.h"
#include "client/core/ms.h"
#include "net/fabric/sim.h"
#include "runtime/sim.h"
#include "server/engine/engine.h"

enum {
	SC_ENGINES_MAX = 8,
	SC_CLIENTS_MAX = 4,
	SC_CLIENT_NODE = 100, /* of the first client */
	SC_ADMIN_NODE = 200,
	SC_PORT = 1000,
};
#define SC_MS  1000000ull
#define SC_SEC 1000000000ull

struct sc;

struct sc_node {
	struct sc *sc;
	uint32_t idx;
	struct env *env;
	struct net *net;
	struct mem_disk *disk;
	struct dev_dir *dir;
	struct engine *engine; /* NULL while down */
	uint32_t state;        /* last one told: enum sys_rank_state */
	uint32_t rank;
	char uri[RPC_URI_MAX];
	char error[200]; /* told by the engine */
	uint32_t start_nr;
};

struct sc_client {
	struct sc *sc;
	struct net *net;
	struct client *client;
	daos_handle_t poh;
	daos_handle_t coh;
};

struct sc_conf {
	uint64_t seed;
	uint32_t engine_nr;
	uint32_t target_nr;
	uint32_t client_nr;
	int64_t skew_ns; /* clocks of the nodes differ by up to this */
};

struct sc {
	struct sc_conf conf;
	struct sim *sim;
	struct sim_net *sn;
	struct sc_node nodes[SC_ENGINES_MAX];
	struct sc_client clients[SC_CLIENTS_MAX];
	/* administrator */
	struct net *admin_net;
	struct xs *admin_xs;
	struct rpc_ep *admin_ep;
	struct ms_conn *admin_ms;
	int co_fn (*admin_fn)(struct sc *sc, void *arg);
	void *admin_arg;
};

/* Fails by printing and aborting: a broken harness is no test result. */
void sc_open(struct sc *sc, const struct sc_conf *conf);
/* Ends clients and engines in order. Returns the digest of the run. */
uint64_t sc_close(struct sc *sc);

/* Start an engine on its disk; returns when it listens. Node 0 may form the system. */
void sc_start(struct sc *sc, uint32_t node);
/* Stop it in order. */
void sc_stop(struct sc *sc, uint32_t node);
/* Power failure: the disk stops where it is (unless it has already), the network is gone, then what
 * is left is cleared away, and unsynced writes are kept, lost or torn as the seed says. */
void sc_crash(struct sc *sc, uint32_t node);
/* Run until every engine that is up has joined and holds a lease. False after limit_ns. */
bool sc_wait_joined(struct sc *sc, uint64_t limit_ns);
/* Until the management service has that many replicas. */
bool sc_wait_replicas(struct sc *sc, uint32_t nr, uint64_t limit_ns);

/* Run fn as a coroutine of the administrator, who has a connection to the management service. */
int sc_admin(struct sc *sc, int co_fn (*fn)(struct sc *sc, void *arg), void *arg);
/* The same in a coroutine of the administrator. */
int co_fn sc_pool_create_co(struct sc *sc, const char *label, uint64_t scm_bytes,
			    uint64_t nvme_bytes);
int sc_pool_create(struct sc *sc, const char *label, uint64_t scm_bytes, uint64_t nvme_bytes);

/* Make a client the one behind the public functions. */
void sc_use(struct sc *sc, uint32_t client);

#define SC_CHECK(cond)                                                                             \
	do {                                                                                       \
		if (!(cond))                                                                       \
			sc_fail(__FILE__, __LINE__, #cond);                                        \
	} while (0)
#define SC_RC(expr)                                                                                \
	do {                                                                                       \
		int sc_rc_ = (expr);                                                               \
		if (sc_rc_ != 0)                                                                   \
			sc_fail_rc(__FILE__, __LINE__, #expr, sc_rc_);                             \
	} while (0)
/* What to print with a failure, e.g. how to replay it. */
void sc_fail_hint(const char *text);
void sc_fail(const char *file, int line, const char *what) __attribute__((noreturn));
void sc_fail_rc(const char *file, int line, const char *what, int rc) __attribute__((noreturn));

#endif
