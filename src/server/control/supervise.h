/*
 * Engines as child processes: start, watch, restart.
 *
 *	AWAIT_FORMAT -> STARTING -> READY -> JOINED -> (process ends) -> STARTING again after a
 *pause, or STOPPED when the management service asked it to stop, or ERRORED when restarting is
 *disabled.
 *
 * The first engine of a server that may form a new system is started first; the others learn its
 *address. A process that ends is reaped before its successor starts, so there is never a second one
 *on the same storage. Children get SIGTERM when this process dies. Runs on the main thread;
 *sup_snapshot() and the requests may come from any thread.
 */
#ifndef SERVER_CONTROL_SUPERVISE_H
#define SERVER_CONTROL_SUPERVISE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/control/server_conf.h"

struct sup;

struct sup_engine {      /* what is known of one engine */
	uint32_t state;  /* enum sys_rank_state */
	uint32_t rank;   /* MGMT_RANK_NONE while unknown */
	char uri[96];    /* of tag 0, "" while unknown */
	char error[160]; /* why the last process ended */
	int pid;         /* 0 = none */
	uint32_t restarts;
};

struct sup_conf {
	const struct server_conf *conf;
	const char *engine_path;  /* daos_engine */
	const char *control_addr; /* told to the engines */
	bool auto_format;
	bool insecure;
	bool bootstrap;             /* this server's first engine may form a new system */
	const char *const *ms_uris; /* replicas on other servers */
	uint32_t ms_uri_nr;
};
int sup_create(const struct sup_conf *conf, struct sup **ret_sup);
void sup_destroy(struct sup *sup);

/* Start what should run, then watch until stop_fd is readable; then end every engine and return. */
int sup_run(struct sup *sup, int stop_fd);

/* --- any thread --- */
uint32_t sup_engine_nr(const struct sup *sup);
void sup_snapshot(struct sup *sup, uint32_t idx, struct sup_engine *ret_engine);
/* Start stopped engines whose rank is in the list (nr 0: all); returns how many. */
uint32_t sup_start_ranks(struct sup *sup, const uint32_t *ranks, uint32_t nr);
/* Let engines in AWAIT_FORMAT begin; returns how many. */
uint32_t sup_format(struct sup *sup);

#endif
