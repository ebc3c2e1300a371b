/*
 * Small object operations: obj_io [-t SECONDS] [-i] POOL CONTAINER.
 *
 * Updates and fetches of 64 B single values under random ones of 10,000 dkeys of one object that
 * spreads over all targets; blocking, and 16 in flight through an event queue that is waited on.
 * Speaks the protocol of md.c: "ready PHASE", a line on standard input with -i, one JSON line. The
 * object is punched at the end.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <daos.h>

enum { KEY_NR = 10000, VALUE_BYTES = 64, DEPTH_MAX = 16 };

/* One operation's arguments; they must stay until it is complete. */
struct slot {
	daos_event_t ev;
	uint64_t key;
	daos_key_t dkey;
	daos_iod_t iod;
	d_iov_t iov;
	d_sg_list_t sgl;
	char value[VALUE_BYTES];
};

struct obj_io {
	double seconds;
	bool interactive;
	daos_handle_t poh, coh, oh, eqh;
	struct slot slots[DEPTH_MAX];
	uint64_t rng;
};

static double
clock_s(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
check(int rc, const char *what)
{
	if (rc == 0)
		return;
	fprintf(stderr, "obj_io: %s: %d\n", what, rc);
	exit(1);
}

static int
submit(struct obj_io *o, struct slot *s, uint64_t key, bool update, daos_event_t *ev)
{
	s->key = key;
	d_iov_set(&s->dkey, &s->key, sizeof(s->key));
	memset(&s->iod, 0, sizeof(s->iod));
	d_iov_set(&s->iod.iod_name, "a", 1);
	s->iod.iod_type = DAOS_IOD_SINGLE;
	s->iod.iod_size = VALUE_BYTES;
	s->iod.iod_nr = 1;
	d_iov_set(&s->iov, s->value, sizeof(s->value));
	s->sgl = (d_sg_list_t){.sg_nr = 1, .sg_iovs = &s->iov};
	if (update) {
		memset(s->value, (int)key, sizeof(s->value));
		return daos_obj_update(o->oh, DAOS_TX_NONE, 0, &s->dkey, 1, &s->iod, &s->sgl, ev);
	}
	return daos_obj_fetch(o->oh, DAOS_TX_NONE, 0, &s->dkey, 1, &s->iod, &s->sgl, NULL, ev);
}

static void
verify(const struct slot *s, bool update)
{
	if (!update && (s->iod.iod_size != VALUE_BYTES || s->value[0] != (char)s->key))
		check(-DER_MISMATCH, "fetched value");
}

static uint64_t
next_key(struct obj_io *o)
{
	o->rng ^= o->rng << 13;
	o->rng ^= o->rng >> 7;
	o->rng ^= o->rng << 17;
	return o->rng % KEY_NR;
}

static uint64_t
run_blocking(struct obj_io *o, bool update, double end)
{
	uint64_t ops = 0;

	for (; clock_s(CLOCK_MONOTONIC) < end; ops++) {
		check(submit(o, &o->slots[0], next_key(o), update, NULL), "operation");
		verify(&o->slots[0], update);
	}
	return ops;
}

/* Keep depth operations in flight until the end, or until each key was used once (fill). */
static uint64_t
run_events(struct obj_io *o, uint32_t depth, bool update, double end, bool fill)
{
	uint64_t started = 0, ops = 0;
	daos_event_t *done[DEPTH_MAX];
	uint32_t i;
	int nr;

	for (i = 0; i < depth; i++, started++)
		check(
		    submit(o, &o->slots[i], fill ? started : next_key(o), update, &o->slots[i].ev),
		    "operation");
	while (ops < started) {
		bool more = fill ? started < KEY_NR : clock_s(CLOCK_MONOTONIC) < end;

		nr = daos_eq_poll(o->eqh, 1, DAOS_EQ_WAIT, depth, done);
		check(nr < 0 ? nr : 0, "daos_eq_poll");
		for (i = 0; i < (uint32_t)nr; i++) {
			struct slot *s =
			    (struct slot *)((char *)done[i] - offsetof(struct slot, ev));

			check(done[i]->ev_error, "operation");
			verify(s, update);
			ops++;
			if (!more || (fill && started == KEY_NR))
				continue;
			check(submit(o, s, fill ? started : next_key(o), update, &s->ev),
			      "operation");
			started++;
		}
	}
	return ops;
}

static void
phase(struct obj_io *o, const char *name, uint32_t depth, bool update)
{
	double wall, cpu;
	uint64_t ops;
	char line[16];

	if (o->interactive) {
		printf("ready %s\n", name);
		fflush(stdout);
		if (fgets(line, sizeof(line), stdin) == NULL)
			exit(1);
	}
	wall = clock_s(CLOCK_MONOTONIC);
	cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID);
	ops = depth == 1 ? run_blocking(o, update, wall + o->seconds)
			 : run_events(o, depth, update, wall + o->seconds, false);
	wall = clock_s(CLOCK_MONOTONIC) - wall;
	cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	printf("{\"name\": \"%s\", \"ops\": %llu, \"wall_s\": %.6f, \"cpu_s\": %.6f, \"rate\": "
	       "%.1f}\n",
	       name, (unsigned long long)ops, wall, cpu, (double)ops / wall);
	fflush(stdout);
}

static void
obj_create(struct obj_io *o)
{
	/* nobody else's id: the library gives out ids from small numbers on */
	daos_obj_id_t oid = {.lo = 0x62656e63680000ull + (uint64_t)getpid()};
	uint32_t i;

	check(daos_obj_generate_oid(o->coh, &oid, DAOS_OT_DKEY_UINT64, OC_SX, 0, 0), "object id");
	check(daos_obj_open(o->coh, oid, DAOS_OO_RW, &o->oh, NULL), "daos_obj_open");
	check(daos_eq_create(&o->eqh), "daos_eq_create");
	for (i = 0; i < DEPTH_MAX; i++)
		check(daos_event_init(&o->slots[i].ev, o->eqh, NULL), "daos_event_init");
	run_events(o, DEPTH_MAX, true, 0, true);
}

static void
obj_remove(struct obj_io *o)
{
	uint32_t i;

	for (i = 0; i < DEPTH_MAX; i++)
		daos_event_fini(&o->slots[i].ev);
	check(daos_eq_destroy(o->eqh, 0), "daos_eq_destroy");
	check(daos_obj_punch(o->oh, DAOS_TX_NONE, 0, NULL), "daos_obj_punch");
	check(daos_obj_close(o->oh, NULL), "daos_obj_close");
}

int
main(int argc, char **argv)
{
	static struct obj_io o = {.seconds = 2, .rng = 88172645463325252ull};
	int opt;

	while ((opt = getopt(argc, argv, "t:ih")) != -1) {
		if (opt == 't')
			o.seconds = atof(optarg);
		else if (opt == 'i')
			o.interactive = true;
		else
			optind = argc;
	}
	if (argc - optind != 2) {
		fprintf(stderr, "usage: obj_io [-t SECONDS] [-i] POOL CONTAINER\n");
		return 2;
	}
	check(daos_init(), "daos_init");
	check(daos_pool_connect(argv[optind], NULL, DAOS_PC_RW, &o.poh, NULL, NULL), "pool");
	check(daos_cont_open(o.poh, argv[optind + 1], DAOS_COO_RW, &o.coh, NULL, NULL),
	      "container");
	obj_create(&o);
	phase(&o, "update-1", 1, true);
	phase(&o, "fetch-1", 1, false);
	phase(&o, "update-16", DEPTH_MAX, true);
	phase(&o, "fetch-16", DEPTH_MAX, false);
	obj_remove(&o);
	check(daos_cont_close(o.coh, NULL), "daos_cont_close");
	check(daos_pool_disconnect(o.poh, NULL), "daos_pool_disconnect");
	check(daos_fini(), "daos_fini");
	return 0;
}
