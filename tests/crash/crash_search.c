/*
 * All states that power failures in a scenario could leave: makes them from the recording, counts
 * the distinct ones, has each recovered and checked; and the command line.
 */
#include "tests/crash/crash_internal.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/log.h"
#include "runtime/sim.h"

enum {
	VARIANTS_MAX = 16, /* of each crash point */
	DEEP_EACH = 24,    /* one in so many states goes on working and is recorded */
	LONGER_EACH = 8,   /* one in so many is closed and opened again */
	DEEP_POINTS = 40,  /* crash points looked at in a recovery */
	DEEP_VARIANTS = 3,
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	STATES_DEFAULT = 250,
	FAULT_STRIDE = 7, /* one of so many */
#else
	STATES_DEFAULT = 10400,
	FAULT_STRIDE = 1,
#endif
};

/* Hashes of the states seen: open addressing. */
struct seen {
	uint64_t *v;
	uint64_t nr, cap;
};

static bool
seen_add(struct seen *s, uint64_t hash)
{
	uint64_t i, *old = s->v, old_cap = s->cap;

	hash += hash == 0;
	if (s->nr * 2 >= s->cap) {
		s->cap = s->cap == 0 ? 4096 : s->cap * 2;
		s->v = calloc(s->cap, sizeof(*s->v));
		if (s->v == NULL)
			abort();
		s->nr = 0;
		for (i = 0; i < old_cap; i++)
			if (old[i] != 0)
				seen_add(s, old[i]);
		free(old);
	}
	for (i = hash & (s->cap - 1); s->v[i] != 0; i = (i + 1) & (s->cap - 1))
		if (s->v[i] == hash)
			return false;
	s->v[i] = hash;
	s->nr++;
	return true;
}

struct search {
	const struct crash_scenario *sc;
	uint64_t seed;
	uint64_t want;           /* states */
	struct crash_place only; /* depth != 0: this state only */
	struct seen images;      /* distinct disk images: what is counted */
	struct seen checked;     /* image and what was expected of it */
	uint64_t points, recoveries, deep;
	struct sim *sim; /* of the recoveries */
	struct xs *xs;
	struct crash_disk *disk;
	bool failed;
};

struct level {
	struct search *s;
	struct crash_expect ex;
	bool watch;
};

static void
on_mark(const void *m, void *arg)
{
	struct level *l = arg;
	const struct crash_mark *mk = m;

	if (mk->kind == MARK_WATCH)
		l->watch = mk->applied;
	crash_expect_mark(&l->ex, mk);
}

static void explore(struct search *s, const struct crash_journal *journal,
		    const struct crash_expect *ex, struct crash_place place, bool undo);

/* Cheap identity of what is expected: it only ever grows along a journal. */
static uint64_t
expect_hash(const struct crash_expect *ex)
{
	uint64_t h = hash_combine(ex->seq, ex->b);
	uint32_t i;

	for (i = 0; i < CRASH_WORKERS_MAX; i++)
		h = hash_combine(h, ex->flight[i].on);
	return hash_combine(h, ex->pool_there + 2 * ex->cont_there);
}

/* The disk is as the crash left it: recover and check. Leaves the disk changed. */
static void
check_state(struct search *s, const struct crash_expect *ex, struct crash_place place)
{
	uint32_t d = place.depth - 1;
	uint64_t salt = hash_combine(hash_combine(s->seed, place.point[d]), place.variant[d]);
	struct crash_run r = {
	    .sc = s->sc,
	    .seed = s->seed,
	    .disk = s->disk,
	    .xs = s->xs,
	    .conf = crash_conf(s->sc),
	    .rng.state = salt << 32,
	    .place = place,
	    .go_on = hash_u64(salt) % DEEP_EACH == 0,
	    .longer = hash_u64(salt + 1) % LONGER_EACH == 0,
	};
	size_t before = crash_disk_height(s->disk);

	r.conf.debug_shadow = r.go_on;
	crash_expect_copy(&r.ex, ex);
	r.dir = crash_disk_open(s->disk, NULL);
	if (r.go_on && place.depth < CRASH_DEPTH_MAX)
		r.journal = crash_journal_create();
	crash_disk_record(s->disk, r.journal);
	if (xs_call(s->xs, crash_recovery_main, &r) != 0)
		crash_fail(&r, "recovery could not run", -1);
	crash_disk_record(s->disk, NULL);
	dev_dir_close(r.dir);
	s->recoveries++;
	s->failed = s->failed || r.failed;
	if (r.journal != NULL && !s->failed) {
		s->deep++;
		crash_disk_rollback(s->disk, before);
		explore(s, r.journal, ex, place, true);
	}
	crash_journal_destroy(r.journal);
	crash_expect_fini(&r.ex);
}

static void
one_point(struct search *s, struct crash_replay *replay, const struct crash_expect *ex,
	  struct crash_place place)
{
	uint32_t d = place.depth - 1, open = crash_replay_open_sectors(replay);
	uint64_t nr = open == 0 ? 1 : open < VARIANTS_MAX ? open + 2 : VARIANTS_MAX, v;
	size_t before = crash_disk_height(s->disk);

	if (d > 0 && nr > DEEP_VARIANTS)
		nr = DEEP_VARIANTS;
	for (v = 0; v < nr && !s->failed; v++) {
		uint64_t image;

		place.variant[d] = v;
		if (d < s->only.depth && v != s->only.variant[d])
			continue;
		crash_replay_survive(replay, v, hash_combine(s->seed, place.point[d]));
		image = crash_disk_hash(s->disk);
		seen_add(&s->images, image);
		if (seen_add(&s->checked, hash_combine(image, expect_hash(ex))))
			check_state(s, ex, place);
		crash_disk_rollback(s->disk, before);
	}
}

/* Every point of a journal. The disk must be as it was when that began; with undo it is so again
 * afterwards. */
static void
explore(struct search *s, const struct crash_journal *journal, const struct crash_expect *ex,
	struct crash_place place, bool undo)
{
	struct level l = {.s = s, .watch = true};
	struct crash_replay *replay;
	size_t before = crash_disk_height(s->disk);
	uint32_t d = place.depth++;
	/* when few states are wanted, points from the whole scenario */
	uint64_t nr = 0, stride = 1 + (d == 0 ? crash_journal_len(journal) / s->want : 0);

	crash_expect_copy(&l.ex, ex);
	replay = crash_replay_create(s->disk, journal, undo, on_mark, &l);
	while (!s->failed && s->images.nr < s->want && crash_replay_next(replay)) {
		nr++;
		if (d > 0 && nr > DEEP_POINTS)
			break;
		if (!l.watch || (s->only.depth == 0 && hash_u64(s->seed + nr) % stride != 0) ||
		    (d < s->only.depth && nr != s->only.point[d]))
			continue;
		place.point[d] = nr;
		s->points++;
		one_point(s, replay, &l.ex, place);
	}
	crash_replay_destroy(replay);
	crash_expect_fini(&l.ex);
	if (undo)
		crash_disk_rollback(s->disk, before);
}

/* One run of the scenario and all its states. */
static void
one_seed(struct search *s)
{
	struct crash_journal *journal = crash_journal_create();
	struct crash_expect fresh;
	struct crash_run r = {
	    .sc = s->sc,
	    .seed = s->seed,
	    .journal = journal,
	    .conf = crash_conf(s->sc),
	    .rng.state = s->seed << 32,
	};
	struct crash_place place = {0};
	struct sim *sim;
	struct xs_conf xc = {.name = "crash", .cpu = -1};

	s->disk = r.disk = crash_disk_create();
	/* other identities in each scenario: no image is counted in two of them */
	if (sim_create(hash_bytes(s->sc->name, strlen(s->sc->name), s->seed), &sim) != 0)
		abort();
	xc.env = sim_env_create(sim, 0);
	if (xs_create(&xc, &r.xs) != 0)
		abort();
	crash_expect_init(&r.ex);
	crash_expect_init(&fresh);
	r.conf.debug_shadow = true;
	r.dir = crash_disk_open(r.disk, sim);
	crash_disk_record(r.disk, journal);
	if (xs_call(r.xs, crash_scenario_main, &r) != 0)
		crash_fail(&r, "the scenario could not run", -1);
	crash_disk_record(r.disk, NULL);
	dev_dir_close(r.dir);
	xs_destroy(r.xs);
	sim_destroy(sim);
	crash_disk_rollback(r.disk, 0);
	s->failed = r.failed;
	if (!s->failed)
		explore(s, journal, &fresh, place, false);
	crash_disk_destroy(s->disk);
	crash_journal_destroy(journal);
	crash_expect_fini(&r.ex);
	crash_expect_fini(&fresh);
}

static double
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static bool
run_scenario(const struct crash_scenario *sc, uint64_t want, uint64_t seed,
	     const struct crash_place *only)
{
	struct search s = {.sc = sc, .seed = seed, .want = want, .only = *only};
	struct xs_conf xc = {.name = "recover", .cpu = -1};
	double start = now_s(), took;
	uint64_t seeds = 0;

	if (sim_create(1, &s.sim) != 0)
		abort();
	xc.env = sim_env_create(s.sim, 0);
	if (xs_create(&xc, &s.xs) != 0)
		abort();
	do {
		one_seed(&s);
		s.seed++;
		seeds++;
	} while (!s.failed && s.images.nr < want && only->depth == 0);
	took = now_s() - start;
	printf("crash states: %llu distinct (%s: %llu points of %llu runs, %llu recoveries, %llu "
	       "of them crashed again; %.0f states/s)\n",
	       (unsigned long long)s.images.nr, sc->name, (unsigned long long)s.points,
	       (unsigned long long)seeds, (unsigned long long)s.recoveries,
	       (unsigned long long)s.deep, s.images.nr / (took + 1e-9));
	fflush(stdout);
	free(s.images.v);
	free(s.checked.v);
	xs_destroy(s.xs);
	sim_destroy(s.sim);
	return !s.failed;
}

static uint64_t
number(const char *s)
{
	char *end;
	uint64_t v = strtoull(s, &end, 0);

	if (*s == '\0' || *end != '\0') {
		fprintf(stderr, "not a number: %s\n", s);
		exit(2);
	}
	return v;
}

static void
usage(void)
{
	const struct crash_scenario *sc;

	printf(
	    "usage: test_crash_points [SCENARIO...] [--states N] [--seed S]\n"
	    "                         [--point P --variant V [--point P --variant V]]\n"
	    "Without a scenario: all. With --point: only this state, the second pair in the\n"
	    "recovery from the first. --faults: instead of crashes every allocation and every "
	    "disk\n"
	    "operation fails in turn (--point: this one). DAOS_TEST_LONG=1: ten times the states, "
	    "DAOS_TEST_BRIEF=1: a twentieth.\n\n");
	for (sc = crash_scenarios; sc->name != NULL; sc++)
		printf("  %-10s %s\n", sc->name, sc->what);
}

int
main(int argc, char **argv)
{
	const char *is_long = getenv("DAOS_TEST_LONG");
	uint64_t want = STATES_DEFAULT, seed = 1;
	const struct crash_scenario *sc;
	struct crash_place only = {0};
	bool named = false, ok = true, faults = false;
	uint64_t stride = FAULT_STRIDE;
	int i;

	/* memory is taken and given back for every state: keep it */
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	log_set_level(LOG_LVL_NONE);
	if (getenv("CRASH_LOG") != NULL)
		log_set_level(LOG_LVL_WARN);
	if (is_long != NULL && strcmp(is_long, "1") == 0)
		want *= 10;
	if (getenv("DAOS_TEST_BRIEF") != NULL)
		want /= 20;
	for (i = 1; i < argc; i++) {
		const char *next = i + 1 < argc ? argv[i + 1] : NULL;

		if (argv[i][0] != '-') {
			named = true;
			continue;
		}
		if (strcmp(argv[i], "--help") == 0) {
			usage();
			return 0;
		}
		if (strcmp(argv[i], "--faults") == 0) {
			faults = true;
			argv[i] = "-";
			continue;
		}
		if (next == NULL) {
			fprintf(stderr, "%s needs a number\n", argv[i]);
			return 2;
		}
		if (strcmp(argv[i], "--states") == 0)
			want = number(next);
		else if (strcmp(argv[i], "--seed") == 0)
			seed = number(next);
		else if (strcmp(argv[i], "--point") == 0 && only.depth < CRASH_DEPTH_MAX)
			only.point[only.depth++] = number(next);
		else if (strcmp(argv[i], "--variant") == 0 && only.depth > 0)
			only.variant[only.depth - 1] = number(next);
		else {
			fprintf(stderr, "unknown option %s (--help)\n", argv[i]);
			return 2;
		}
		i++;
		argv[i] = "-";
	}
	for (sc = crash_scenarios; sc->name != NULL && ok; sc++) {
		bool mine = !named;

		for (i = 1; i < argc; i++)
			mine = mine || strcmp(argv[i], sc->name) == 0;
		if (mine && faults)
			ok = crash_faults(sc, seed, only.depth != 0 ? only.point[0] : 0, stride);
		else if (mine)
			ok = run_scenario(sc, want, seed, &only);
	}
	return ok ? 0 : 1;
}
