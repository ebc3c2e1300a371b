/*
 * Simulator kernel: many xstreams ("nodes") in one thread on virtual time, everything decided by
 * one seed.
 *
 * The scheduler picks the next xstream with work from the seed; when nobody has work it advances
 * virtual time to the earliest timer or event. The simulated network (net/fabric/sim) and disks
 * (store/dev/mem) post their completions as sim events. A run with the same seed and program is
 * bit-exact: sim_hash() folds in every event.
 */
#ifndef RUNTIME_SIM_H
#define RUNTIME_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "runtime/xs.h"

struct sim;

int sim_create(uint64_t seed, struct sim **ret_sim);
void sim_destroy(struct sim *sim);
uint64_t sim_seed(const struct sim *sim);
uint64_t sim_now_ns(const struct sim *sim);
/* Stream of pseudo-random numbers of the scheduler and the fault injection. */
uint64_t sim_rand_u64(struct sim *sim);
uint64_t sim_rand_below(struct sim *sim, uint64_t bound);
bool sim_chance(struct sim *sim, double p);
/* Running digest of the schedule: equal for equal runs. */
uint64_t sim_hash(const struct sim *sim);
void sim_hash_add(struct sim *sim, uint64_t v);

/*
 * An env on virtual time with its own stream of random numbers. skew_ns offsets its wall clock.
 * Freed with the sim. NULL when there is no memory.
 */
struct env *sim_env_create(struct sim *sim, int64_t skew_ns);
/* Let the wall clock of env jump to another offset. */
void sim_env_skew(struct env *env, int64_t skew_ns);

/* Stop an xstream in its tracks and let it go on (what SIGSTOP and SIGCONT do to a process). */
void sim_freeze(struct xs *xs, bool frozen);

/*
 * A one-shot event at a virtual time; fn runs outside any coroutine and xstream and may wake
 * coroutines of any of them. Embedded in the user's struct; zeroed before its first use.
 */
struct sim_event {
	uint64_t at_ns;
	uint64_t seq;
	uint32_t heap_idx; /* 0 = not scheduled */
	void (*fn)(struct sim_event *ev);
	void *arg;
};
void sim_event_at(struct sim *sim, struct sim_event *ev, uint64_t at_ns);
/* Let the calling coroutine's operation take its time: half to one and a half of ns. Nothing
 * without a simulator (NULL). */
void co_fn sim_delay(struct sim *sim, uint64_t ns);
void sim_event_cancel(struct sim *sim, struct sim_event *ev);

/*
 * Run until done(arg); -DER_TIMEDOUT when virtual time limit_ns (0 = none) is reached first,
 * -DER_CANCELED when nothing is left that could happen (deadlock).
 */
int sim_run_until(struct sim *sim, bool (*done)(void *arg), void *arg, uint64_t limit_ns);
/* Run for ns of virtual time. */
void sim_run_for(struct sim *sim, uint64_t ns);

/*
 * Crash of a node: there is no call for it. The owner first cuts the node off (its simulated disks
 * stop at the crash point: nothing later reaches them and every call returns an error; its network
 * endpoints drop everything and every pending call ends with an error), then shuts the node's
 * objects down in the ordinary way, which now cannot affect anything outside. So every wait must
 * end when its edge fails; the simulator proves that too.
 */

#endif
