/*
 * Crash points under VOS: a scenario runs once on a recording disk (crash_disk.h); then every state
 * that a power failure could have left is made, recovered and checked. README.md tells the whole.
 */
#ifndef TESTS_CRASH_H
#define TESTS_CRASH_H

#include <stdbool.h>
#include <stdint.h>

#include "store/vos/vos_internal.h"
#include "store/vos/vos_model.h"
#include "tests/crash/crash_disk.h"

enum { CRASH_WORKERS_MAX = 4 };

/* An operation whose outcome is not known. */
struct crash_flight {
	bool on;
	struct vm_op op;
	struct vos_opid id;
};

/* The second container, which scenarios create, fill and destroy. */
enum crash_b { CRASH_B_NONE, CRASH_B_CREATING, CRASH_B_THERE, CRASH_B_GOING };

/* What was acknowledged up to some moment. Each object has one worker and a model of its own. */
struct crash_expect {
	struct vm_model *model[CRASH_WORKERS_MAX];
	struct crash_flight flight[CRASH_WORKERS_MAX];
	uint64_t epoch; /* highest in use */
	uint64_t seq;
	uint64_t floor; /* reads at or above it must be answered; UINT64_MAX: only the latest */
	uint64_t below; /* aggregated up to here, or about to be */
	enum crash_b b;
	bool pool_there, cont_there;
};

struct crash_run;

struct crash_scenario {
	const char *name;
	const char *what; /* one line */
	uint32_t workers; /* objects in use */
	struct vos_pool_conf conf;
	uint64_t max_bytes; /* of each value or extent */
	uint64_t lag;       /* epochs may be late by less than this */
	bool history;       /* set_keep(1): everything stays readable */
	bool may_be_full;   /* -DER_NOSPACE is an ordinary answer */
	/* The work. Runs in a coroutine with pool and container open; use the functions below, so
	 * that the harness knows what was acknowledged. Under way when the power fails: anything.
	 */
	void co_fn (*main)(struct crash_run *r);
};
/* Ends with a row without a name. */
extern const struct crash_scenario crash_scenarios[];

/* --- for scenarios ---------------------------------------------------------------------------- */

struct vos_pool *crash_pool(struct crash_run *r);
struct vos_cont *crash_cont(struct crash_run *r);
struct vm_rng *crash_rng(struct crash_run *r);
struct crash_expect *crash_expect(struct crash_run *r);
/* A random operation on the worker's object, compared with the model's answer. */
void co_fn crash_op(struct crash_run *r, uint32_t worker);
/* This operation. */
void co_fn crash_op_do(struct crash_run *r, uint32_t worker, const struct vm_op *op);
/* All workers, ops_each operations each, with beside() (may be NULL) called again and again
 * meanwhile, up to rounds times. */
void co_fn crash_work(struct crash_run *r, uint32_t ops_each,
		      void co_fn (*beside)(struct crash_run *), uint32_t rounds);
/* One step in the life of the second container. */
void co_fn crash_step_b(struct crash_run *r);
void co_fn crash_aggregate(struct crash_run *r, uint64_t behind);
void co_fn crash_checkpoint(struct crash_run *r);
/* From here on (not) every write is a crash point; at first it is. For long preparations. */
void crash_watch(struct crash_run *r, bool on);
/* rc must be 0, or the error of an injected fault. True if it is 0. */
bool crash_must(struct crash_run *r, int rc, const char *what);

#endif
