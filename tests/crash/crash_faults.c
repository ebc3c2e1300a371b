/*
 * One thing goes wrong: the n-th allocation, or the n-th operation on the disk, of a scenario, for
 * n = 1, 2, 3 ... until it goes through without meeting the fault. Whatever that does to the
 * operation under way, it must answer with that error; the others go on or get errors too; the pool
 * closes; and opened again without faults it has everything that was acknowledged.
 */
#include "tests/crash/crash_internal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/sim.h"

enum fault { FAULT_ALLOC, FAULT_DISK, FAULTS };
static const char *const fault_names[FAULTS] = {"allocation", "disk operation"};

/* For a program that ends on the way: what it was doing. */
static char doing[200];

static void
tell(int sig)
{
	if (write(STDERR_FILENO, doing, strlen(doing)) < 0)
		_exit(1);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void
arm(struct crash_run *r, enum fault fault, uint64_t nth)
{
	if (fault == FAULT_ALLOC)
		mem_fail_at(nth);
	else
		crash_disk_fail_at(r->disk, nth);
}

/* Whether it happened; disarms. */
static bool
fired(struct crash_run *r, enum fault fault)
{
	bool yes = fault == FAULT_ALLOC ? mem_fail_fired() : crash_disk_fail_fired(r->disk);

	arm(r, fault, 0);
	return yes;
}

/* Two phases: from nothing; or, late, from opening a pool that the scenario has used before. */
static bool
one_fault(const struct crash_scenario *sc, uint64_t seed, enum fault fault, bool late, uint64_t nth,
	  bool *ret_failed)
{
	struct xs_conf xc = {.name = "faults", .cpu = -1};
	struct crash_run r = {
	    .sc = sc,
	    .seed = seed,
	    .conf = crash_conf(sc),
	    .rng.state = seed << 32,
	};
	struct sim *sim;
	bool hit;
	int rc;

	r.conf.debug_shadow = true;
	r.place.depth = 1;
	r.place.point[0] = nth;
	r.place.variant[0] = fault;
	if (sim_create(seed, &sim) != 0)
		abort();
	xc.env = sim_env_create(sim, 0);
	if (xs_create(&xc, &r.xs) != 0)
		abort();
	r.disk = crash_disk_create();
	r.dir = crash_disk_open(r.disk, NULL);
	crash_expect_init(&r.ex);
	if (late && (xs_call(r.xs, crash_scenario_main, &r) != 0 || r.failed))
		crash_fail(&r, "the scenario without faults", -1);
	r.faulty = true;
	r.go_on = late;
	arm(&r, fault, nth);
	rc = xs_call(r.xs, late ? crash_recovery_main : crash_scenario_main, &r);
	hit = fired(&r, fault);
	if (rc != 0 && !hit)
		crash_fail(&r, "it could not run", rc);
	r.faulty = false;
	r.fault_rc = 0;
	r.go_on = true;
	if (!r.failed && xs_call(r.xs, crash_recovery_main, &r) != 0)
		crash_fail(&r, "recovery could not run", -1);
	*ret_failed = r.failed;
	crash_expect_fini(&r.ex);
	dev_dir_close(r.dir);
	xs_destroy(r.xs);
	crash_disk_destroy(r.disk);
	sim_destroy(sim);
	return hit;
}

bool
crash_faults(const struct crash_scenario *sc, uint64_t seed, uint64_t only, uint64_t stride)
{
	uint64_t nr[FAULTS] = {0}, n;
	bool failed = false;
	int fault, late;

	signal(SIGABRT, tell);
	signal(SIGSEGV, tell);
	for (fault = 0; fault < FAULTS; fault++) {
		for (late = 0; late < 2; late++) {
			for (n = only != 0 ? only : 1; !failed; n += stride) {
				snprintf(doing, sizeof(doing),
					 "the program ended: %s %llu of %s, %s, seed %llu\n",
					 fault_names[fault], (unsigned long long)n, sc->name,
					 late ? "opened again" : "from nothing",
					 (unsigned long long)seed);
				if (!one_fault(sc, seed, fault, late, n, &failed))
					break;
				nr[fault]++;
				if (failed)
					fprintf(stderr, "%s %llu, %s\n", fault_names[fault],
						(unsigned long long)n,
						late ? "opened again" : "from nothing");
				if (only != 0)
					break;
			}
		}
	}
	printf("faults: %llu allocations and %llu disk operations failed, one at a time (%s)\n",
	       (unsigned long long)nr[FAULT_ALLOC], (unsigned long long)nr[FAULT_DISK], sc->name);
	fflush(stdout);
	return !failed;
}
