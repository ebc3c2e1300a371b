/* Shared by the files of the crash points; not for scenarios. */
#ifndef TESTS_CRASH_INTERNAL_H
#define TESTS_CRASH_INTERNAL_H

#include "tests/crash/crash.h"

enum { CRASH_DEPTH_MAX = 2 };

/* Where we are, for messages and to replay one state. */
struct crash_place {
	uint64_t point[CRASH_DEPTH_MAX], variant[CRASH_DEPTH_MAX];
	uint32_t depth;
};

struct crash_run {
	const struct crash_scenario *sc;
	uint64_t seed;
	struct crash_disk *disk;
	struct crash_journal *journal; /* marks go here; NULL: nowhere */
	struct dev_dir *dir;
	struct xs *xs;
	struct vos_pool_conf conf;
	struct vos_pool *pool;
	struct vos_cont *cont;
	struct crash_expect ex;
	struct vm_rng rng;
	uint32_t workers_left;
	bool failed;
	struct crash_place place;
	/* what a recovery shall do */
	bool go_on; /* work, clean shutdown, open again */
	bool longer;
	/* one I/O or allocation goes wrong: then such answers are excused, once it has */
	bool faulty;
	int fault_rc; /* the first of them */
};

/* What the journal says of the program's doings. */
struct crash_mark {
	enum {
		MARK_BEGIN,
		MARK_END,
		MARK_B,
		MARK_POOL,
		MARK_CONT,
		MARK_FLOOR,
		MARK_BELOW,
		MARK_WATCH
	} kind;
	uint32_t worker;
	bool applied; /* END: it changed something; WATCH: on */
	uint64_t value;
	struct crash_flight flight;
};

void crash_expect_init(struct crash_expect *ex);
void crash_expect_fini(struct crash_expect *ex);
void crash_expect_copy(struct crash_expect *to, const struct crash_expect *from);
void crash_expect_mark(struct crash_expect *ex, const struct crash_mark *m);

struct vos_pool_conf crash_conf(const struct crash_scenario *sc);
void crash_fail(struct crash_run *r, const char *what, int rc);
/* For xs_call(): do the scenario from nothing; open what is there and check it. */
int co_fn crash_scenario_main(void *run);
int co_fn crash_recovery_main(void *run);

/* crash_faults.c: every stride-th fault; only: this one (0: all). */
bool crash_faults(const struct crash_scenario *sc, uint64_t seed, uint64_t only, uint64_t stride);

#endif
