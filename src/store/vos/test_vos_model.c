/*
 * Random operations on VOS and on the reference model: updates and punches at all levels with
 * epochs out of order, conditions, reads at all epochs that must be answered, listings in pieces,
 * queries, aggregation, restarts.
 *
 * A run is a list of steps, each of which carries all its chances with it, so that a list with
 * steps left out is a run too. A run that fails, in a process of its own, is shrunk: steps are left
 * out as long as it fails still, and what remains is printed in a form that can be run again:
 *
 *	VOS_SEED=n		one seed, shrunk if it fails
 *	VOS_STEPS=n		steps of each seed
 *	VOS_MODEL_STEPS=n	seeds until so many steps were done in all
 *	VOS_REPLAY=file		run these steps (a file with the lines that a failure printed)
 */
#include "store/vos/test_vos_util.h"

#include <inttypes.h>
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "store/vos/vos_model.h"

enum {
	KEEP_MAX = 6,
	LAG = 30,
	STEPS = 400,
	STEPS_MAX = 1 << 20,
	CHILD_SECONDS = 600,
	BATCH = 25, /* seeds run by one process */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	MODEL_STEPS = 4000,
	SCALE = 20, /* one of so many of the steps asked for */
#else
	MODEL_STEPS = 40000,
	SCALE = 1,
#endif
};

enum kind { STEP_OP, STEP_READ_OBJ, STEP_READ_ALL, STEP_AGGREGATE, STEP_RESTART, STEP_KINDS };
static const char *const kind_names[STEP_KINDS] = {"op", "read-obj", "read-all", "aggregate",
						   "restart"};

struct step {
	enum kind kind;
	uint64_t now;  /* epochs in use are at most this */
	uint64_t seed; /* of everything by chance in it */
	uint32_t obj, dkey;
	uint32_t look; /* what is compared afterwards: 0 nothing, 1 the dkey, 2 the object */
};

struct run {
	struct tpool t;
	uint64_t seed;
	uint32_t steps;
	const struct step *step;
	bool all; /* keep all history; otherwise only the latest */
	struct vos_cont_conf conf;
	struct vm_rng rng;
	struct vm_model *model;
	struct vos_cont *cont;
	uint64_t now;
	uint64_t below; /* aggregated up to here */
	uint64_t keep[KEEP_MAX];
	uint32_t keep_nr;
	struct vm_op op;
	uint32_t at;
	uint32_t restarted; /* reads at epochs out of reach */
};

static const uuid_t cont_uuid = {0xc0};

/* --- steps ---------------------------------------------------------------------------------------
 */

/* Must a read at this epoch be answered? */
static bool
in_reach(const struct run *r, uint64_t epoch)
{
	uint32_t i;

	for (i = 0; i < r->keep_nr; i++)
		if (r->keep[i] == epoch)
			return true;
	return epoch == UINT64_MAX || (r->all && epoch >= r->below);
}

/* dkey VM_DKEYS: all. */
static int
compare_at(struct run *r, uint64_t epoch, uint32_t obj, uint32_t dkey)
{
	int rc;

	if (dkey < VM_DKEYS)
		rc = vm_compare_dkey(r->model, r->cont, epoch, obj, dkey, &r->rng, false);
	else
		rc = vm_compare(r->model, r->cont, epoch, obj, &r->rng, false);
	if (rc == -DER_TX_RESTART && !in_reach(r, epoch)) {
		r->restarted++;
		return 0;
	}
	check_rc(rc, 0);
	return 0;
}

static int
do_op(struct run *r, uint32_t obj, uint32_t dkey)
{
	uint64_t epoch = r->now - vm_below(&r->rng, vm_below(&r->rng, 2) ? 3 : LAG);
	int want, rc;

	if (epoch <= r->below)
		epoch = r->below + 1;
	vm_op_random(&r->rng, epoch, 9000, &r->op);
	r->op.obj = obj;
	r->op.dkey = dkey;
	want = vm_expect(r->model, &r->op);
	rc = vm_run(r->cont, &r->op, NULL);
	if (rc == -DER_TX_RESTART && r->op.cond != 0 && !in_reach(r, epoch)) {
		r->restarted++;
		return 0;
	}
	check_rc(rc, want);
	if (rc == 0)
		vm_apply(r->model, &r->op);
	return 0;
}

static int
do_aggregate(struct run *r, const struct step *s)
{
	uint64_t below = r->now - vm_below(&r->rng, LAG + 60);
	uint64_t keep[KEEP_MAX];
	uint32_t keep_nr = 0, i;
	bool more;

	if (below <= r->below + 1 || below > r->now)
		return 0;
	/* only epochs that are still whole can be kept */
	for (i = 0; i < r->keep_nr; i++)
		if (vm_below(&r->rng, 3) != 0)
			keep[keep_nr++] = r->keep[i];
	if (r->all && keep_nr < KEEP_MAX)
		keep[keep_nr++] = r->below + 1 + vm_below(&r->rng, below - r->below - 1);
	r->below = below;
	memcpy(r->keep, keep, sizeof(keep));
	r->keep_nr = keep_nr;
	do {
		check_rc(vos_aggregate(r->cont, below, keep, keep_nr, vm_below(&r->rng, 2) * 20000,
				       &more),
			 0);
		if (more && vm_below(&r->rng, 2))
			check_rc(do_op(r, s->obj, s->dkey), 0);
	} while (more);
	return 0;
}

static int
do_restart(struct run *r)
{
	struct tpool *t = &r->t;

	if (vm_below(&r->rng, 2))
		vos_pool_settle(t->pool);
	check_rc(vos_pool_verify(t->pool), 0);
	vos_cont_close(r->cont);
	vos_pool_close(t->pool);
	check_rc(vos_pool_open(t->dir, t->xs, &t->conf, &t->pool), 0);
	check_rc(vos_cont_open(t->pool, cont_uuid, &r->cont), 0);
	check_rc(vos_pool_verify(t->pool), 0);
	return 0;
}

static uint64_t
some_epoch(struct run *r)
{
	if (vm_below(&r->rng, 4) == 0)
		return UINT64_MAX;
	if (r->keep_nr != 0 && vm_below(&r->rng, 3) == 0)
		return r->keep[vm_below(&r->rng, r->keep_nr)];
	return 1 + vm_below(&r->rng, r->now);
}

static int
do_step(struct run *r, const struct step *s)
{
	r->rng.state = s->seed;
	r->now = s->now;
	switch (s->kind) {
	case STEP_RESTART:
		check_rc(do_restart(r), 0);
		break;
	case STEP_AGGREGATE:
		check_rc(do_aggregate(r, s), 0);
		break;
	case STEP_READ_OBJ:
		check_rc(compare_at(r, some_epoch(r), s->obj, VM_DKEYS), 0);
		break;
	case STEP_READ_ALL:
		check_rc(compare_at(r, some_epoch(r), VM_OBJS, VM_DKEYS), 0);
		break;
	default:
		check_rc(do_op(r, s->obj, s->dkey), 0);
		break;
	}
	if (s->look == 0)
		return 0;
	check_rc(compare_at(r, UINT64_MAX, s->obj, s->look == 1 ? s->dkey : VM_DKEYS), 0);
	if (r->op.epoch > 1)
		check_rc(compare_at(r, r->op.epoch, s->obj, s->dkey), 0);
	return 0;
}

static void
steps_random(uint64_t seed, struct step *step, uint32_t nr)
{
	struct vm_rng rng = {.state = hash_u64(seed)};
	uint64_t now = 100;
	uint32_t i, obj = 0, dkey = 0;

	for (i = 0; i < nr; i++) {
		uint64_t dice = vm_below(&rng, 1000), look = vm_below(&rng, 64);

		now += 1 + vm_below(&rng, 3);
		/* stay at one place for a while */
		if (vm_below(&rng, 3) == 0) {
			obj = vm_below(&rng, VM_OBJS);
			dkey = vm_below(&rng, VM_DKEYS);
		}
		step[i] = (struct step){
		    .kind = dice < 6    ? STEP_RESTART
			    : dice < 30 ? STEP_AGGREGATE
			    : dice < 50 ? STEP_READ_OBJ
			    : dice < 55 ? STEP_READ_ALL
					: STEP_OP,
		    .now = now,
		    .seed = vm_rand(&rng),
		    .obj = obj,
		    .dkey = dkey,
		    .look = look < 2 ? 2 : look < 16,
		};
	}
}

/* --- a run ---------------------------------------------------------------------------------------
 */

static int
steps_main(void *arg)
{
	struct run *r = arg;
	struct tpool *t = &r->t;

	r->model = vm_create();
	check_rc(vos_pool_create(t->dir, t->xs, &t->conf), 0);
	check_rc(vos_pool_open(t->dir, t->xs, &t->conf, &t->pool), 0);
	check_rc(vos_cont_create_with(t->pool, cont_uuid, &r->conf), 0);
	check_rc(vos_cont_open(t->pool, cont_uuid, &r->cont), 0);
	if (r->all)
		check_rc(vos_cont_set_keep(r->cont, 1, NULL, 0), 0);
	r->now = 100;
	r->op.epoch = 1;
	for (r->at = 0; r->at < r->steps; r->at++) {
		if (do_step(r, &r->step[r->at]) != 0) {
			fprintf(stderr, "step %u of %u; last operation:\n", r->at, r->steps);
			vm_op_print(&r->op);
			return -DER_MISC;
		}
	}
	check_rc(compare_at(r, UINT64_MAX, VM_OBJS, VM_DKEYS), 0);
	check_rc(do_restart(r), 0);
	vos_cont_close(r->cont);
	vos_pool_close(t->pool);
	vm_destroy(r->model);
	return 0;
}

/* Three of four with checksums, mostly in chunks smaller than what is written. */
static void
conf_random(struct vm_rng *rng, struct vos_cont_conf *conf)
{
	static const uint32_t chunk[] = {256, 1000, 4096, 5000, 32768};

	if (vm_below(rng, 4) == 0)
		return;
	conf->csum_type = vm_below(rng, 2) ? DAOS_PROP_CO_CSUM_CRC32
					   : 1 + vm_below(rng, DAOS_PROP_CO_CSUM_ADLER32);
	conf->csum_chunk = chunk[vm_below(rng, sizeof(chunk) / sizeof(chunk[0]))];
	conf->csum_verify = vm_below(rng, 2);
}

static bool
run_one(uint64_t seed, const struct step *step, uint32_t nr)
{
	struct run r = {.seed = seed, .step = step, .steps = nr};
	struct vm_rng rng = {.state = seed << 32};
	int rc;

	r.all = vm_rand(&rng) & 1;
	tpool_init(&r.t, 32 << 20, vm_below(&rng, 4) ? 64 << 20 : 0);
	r.t.conf.scm_cache_bytes = vm_below(&rng, 3) ? 0 : 512 << 10;
	r.t.conf.data_thresh = vm_below(&rng, 2) ? 0 : 512;
	r.t.conf.debug_shadow = vm_below(&rng, 4) == 0;
	conf_random(&rng, &r.conf);
	rc = xs_call(r.t.xs, steps_main, &r);
	if (rc == 0)
		tpool_fini(&r.t);
	return rc == 0;
}

/* fn in a process of its own: did it return true? */
static bool
in_child(bool (*fn)(void *arg), void *arg, bool quiet)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (quiet && freopen("/dev/null", "w", stderr) == NULL)
			_exit(1);
		alarm(CHILD_SECONDS);
		if (!fn(arg))
			_exit(1);
		exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		abort();
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

struct list_run {
	uint64_t seed;
	const struct step *step;
	uint32_t nr;
};

static bool
list_main(void *arg)
{
	struct list_run *l = arg;

	return run_one(l->seed, l->step, l->nr);
}

static bool
survives(uint64_t seed, const struct step *step, uint32_t nr, bool quiet)
{
	struct list_run l = {.seed = seed, .step = step, .nr = nr};

	return in_child(list_main, &l, quiet);
}

struct batch {
	uint64_t first;
	uint32_t seeds;
	struct step *step;
	uint32_t nr;
};

static bool
batch_main(void *arg)
{
	const struct batch *b = arg;
	uint32_t i;

	for (i = 0; i < b->seeds; i++) {
		steps_random(b->first + i, b->step, b->nr);
		if (!run_one(b->first + i, b->step, b->nr))
			return false;
	}
	return true;
}

/* --- shrinking -----------------------------------------------------------------------------------
 */

/* Leave out as much as possible; returns the number of steps left. */
static uint32_t
shrink(uint64_t seed, struct step *step, uint32_t nr)
{
	struct step *less = malloc(nr * sizeof(*less));
	uint32_t part, i;
	bool smaller;

	assert_non_null(less);
	for (part = nr / 2; part > 0; part = smaller ? part : part / 2) {
		smaller = false;
		for (i = nr; i > 0;) {
			uint32_t from = i > part ? i - part : 0, cut = i - from;

			memcpy(less, step, from * sizeof(*step));
			memcpy(less + from, step + i, (nr - i) * sizeof(*step));
			if (!survives(seed, less, nr - cut, true)) {
				nr -= cut;
				memcpy(step, less, nr * sizeof(*step));
				smaller = part > 1;
			}
			i = from;
		}
		if (part >= nr && nr > 1)
			part = nr / 2;
	}
	/* comparisons that are not needed */
	for (i = 0; i < nr; i++) {
		uint32_t look = step[i].look;

		step[i].look = 0;
		if (look != 0 && survives(seed, step, nr, true))
			step[i].look = look;
	}
	free(less);
	return nr;
}

static void
steps_print(FILE *f, uint64_t seed, const struct step *step, uint32_t nr)
{
	uint32_t i;

	fprintf(f, "seed %" PRIu64 "\n", seed);
	for (i = 0; i < nr; i++)
		fprintf(f, "%s %" PRIu64 " %" PRIu64 " %u %u %u\n", kind_names[step[i].kind],
			step[i].now, step[i].seed, step[i].obj, step[i].dkey, step[i].look);
}

static uint32_t
steps_read(FILE *f, uint64_t *ret_seed, struct step *step, uint32_t max)
{
	char line[256], name[32];
	uint32_t nr = 0, i;

	while (fgets(line, sizeof(line), f) != NULL) {
		struct step *s = &step[nr];

		if (sscanf(line, "seed %" SCNu64, ret_seed) == 1)
			continue;
		if (nr == max || sscanf(line, "%31s %" SCNu64 " %" SCNu64 " %u %u %u", name,
					&s->now, &s->seed, &s->obj, &s->dkey, &s->look) != 6)
			continue;
		for (i = 0; i < STEP_KINDS && strcmp(kind_names[i], name) != 0; i++)
			;
		if (i == STEP_KINDS || s->obj >= VM_OBJS || s->dkey >= VM_DKEYS)
			continue;
		s->kind = i;
		nr++;
	}
	return nr;
}

/* --- tests ---------------------------------------------------------------------------------------
 */

static uint64_t
env_num(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s != NULL ? strtoull(s, NULL, 0) : otherwise;
}

static void
replay(const char *path)
{
	struct step *step = calloc(STEPS_MAX, sizeof(*step));
	FILE *f = fopen(path, "r");
	uint64_t seed = 1;
	uint32_t nr;

	assert_non_null(f);
	assert_non_null(step);
	nr = steps_read(f, &seed, step, STEPS_MAX);
	fclose(f);
	printf("%u steps\n", nr);
	assert_true(survives(seed, step, nr, false));
	free(step);
}

/* One of these seeds fails. Does not return. */
static void
find_failure(const struct batch *b)
{
	uint32_t i, left;

	for (i = 0; i < b->seeds; i++) {
		uint64_t seed = b->first + i;

		steps_random(seed, b->step, b->nr);
		if (survives(seed, b->step, b->nr, false))
			continue;
		left = shrink(seed, b->step, b->nr);
		printf("seed %" PRIu64
		       " fails; the shortest list of steps that does (VOS_REPLAY):\n",
		       seed);
		steps_print(stdout, seed, b->step, left);
		survives(seed, b->step, left, false);
		fail();
	}
	in_child(batch_main, (void *)b, false);
	fail_msg("seeds from %" PRIu64 " fail, but each passes alone", b->first);
}

static void
test_model(void **state)
{
	uint64_t want = env_num("VOS_MODEL_STEPS", (uint64_t)MODEL_STEPS * SCALE) / SCALE, done = 0;
	uint64_t seed = env_num("VOS_SEED", 1), first = seed;
	uint32_t nr = env_num("VOS_STEPS", STEPS);
	const char *file = getenv("VOS_REPLAY"), *is_long = getenv("DAOS_TEST_LONG");
	struct step *step = calloc(nr, sizeof(*step));
	struct batch b = {.step = step, .nr = nr};

	if (file != NULL) {
		replay(file);
		free(step);
		return;
	}
	assert_non_null(step);
	if (is_long != NULL && strcmp(is_long, "1") == 0)
		want *= 10;
	if (getenv("DAOS_TEST_BRIEF") != NULL && want > MODEL_STEPS)
		want = MODEL_STEPS;
	if (getenv("VOS_SEED") != NULL && getenv("VOS_MODEL_STEPS") == NULL)
		want = nr;
	for (; done < want; seed += b.seeds) {
		b.first = seed;
		b.seeds = (want - done + nr - 1) / nr < BATCH ? (want - done + nr - 1) / nr : BATCH;
		if (!in_child(batch_main, &b, true))
			find_failure(&b);
		done += (uint64_t)b.seeds * nr;
	}
	printf("model steps: %" PRIu64 " (%" PRIu64 " runs from seed %" PRIu64 ")\n", done,
	       seed - first, first);
	fflush(stdout);
	free(step);
}

/* Lists with holes are runs, and come back from their printed form. */
static void
test_shrunk_form(void **state)
{
	struct step a[30], b[30];
	uint64_t seed = 0;
	FILE *f = tmpfile();
	uint32_t i;

	assert_non_null(f);
	steps_random(3, a, 30);
	steps_print(f, 77, a, 30);
	rewind(f);
	assert_int_equal(steps_read(f, &seed, b, 30), 30);
	fclose(f);
	assert_int_equal(seed, 77);
	for (i = 0; i < 30; i++) {
		assert_int_equal(a[i].kind, b[i].kind);
		assert_true(a[i].now == b[i].now && a[i].seed == b[i].seed);
		assert_true(a[i].obj == b[i].obj && a[i].dkey == b[i].dkey &&
			    a[i].look == b[i].look);
		if (i % 3 == 1)
			a[i / 3] = a[i];
	}
	assert_true(survives(3, a, 10, false));
}

/* Every allocation of an operation fails once: it answers so and has changed nothing. */
static int
nomem_main(void *arg)
{
	struct run *r = arg;
	struct tpool *t = &r->t;
	uint32_t nomem = 0, i, nth;

	r->model = vm_create();
	check_rc(vos_pool_create(t->dir, t->xs, &t->conf), 0);
	check_rc(vos_pool_open(t->dir, t->xs, &t->conf, &t->pool), 0);
	check_rc(vos_cont_create_with(t->pool, cont_uuid, &r->conf), 0);
	check_rc(vos_cont_open(t->pool, cont_uuid, &r->cont), 0);
	check_rc(vos_cont_set_keep(r->cont, 1, NULL, 0), 0);
	for (i = 0; i < r->steps; i++) {
		vm_op_random(&r->rng, 100 + i, 9000, &r->op);
		for (nth = 1;; nth++) {
			int want = vm_expect(r->model, &r->op), rc;

			mem_fail_at(nth);
			rc = vm_run(r->cont, &r->op, NULL);
			mem_fail_at(0);
			if (rc == want) {
				if (rc == 0)
					vm_apply(r->model, &r->op);
				break;
			}
			check_rc(rc, -DER_NOMEM);
			nomem++;
		}
		if (i % 8 == 0)
			check_rc(vm_compare(r->model, r->cont, UINT64_MAX, r->op.obj, NULL, false),
				 0);
	}
	check_rc(vm_compare(r->model, r->cont, UINT64_MAX, VM_OBJS, NULL, false), 0);
	check_rc(vos_pool_verify(t->pool), 0);
	check(nomem > r->steps / 10);
	vos_cont_close(r->cont);
	vos_pool_close(t->pool);
	vm_destroy(r->model);
	return 0;
}

static void
test_nomem(void **state)
{
	struct run r = {.seed = 5,
			.steps = 300,
			.rng.state = 5,
			.conf = {.csum_type = DAOS_PROP_CO_CSUM_CRC64, .csum_chunk = 1000}};

	tpool_init(&r.t, 32 << 20, 64 << 20);
	tpool_run(&r.t, nomem_main, &r);
	tpool_fini(&r.t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_model),
	    cmocka_unit_test(test_shrunk_form),
	    cmocka_unit_test(test_nomem),
	};

	/* pools come and go: keep their memory */
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
