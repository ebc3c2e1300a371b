/*
 * What a small operation costs: one engine in this process on a disk in memory, over the loopback
 * interface. usage: bench_client [ENGINES [TARGETS [SECONDS]]]
 *
 * Engine and client are threads of one process, so the CPU time is that of both; the client's own
 * is that of the calling thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <daos.h>

#include "client/lib/scenes.h"
#include "support/cluster.h"

#define MIB (1ull << 20)

enum { KEY_NR = 1000, DEPTH = 16, VALUE_MAX = 1 << 20 };

static struct cluster cluster;
static uint8_t *value;
static daos_handle_t oh;
static double run_s = 1;

static double
clock_s(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

struct sample {
	double wall, own, all;
};

static struct sample
now(void)
{
	return (struct sample){clock_s(CLOCK_MONOTONIC), clock_s(CLOCK_THREAD_CPUTIME_ID),
			       clock_s(CLOCK_PROCESS_CPUTIME_ID)};
}

static void
report(const char *name, struct sample a, uint64_t nr)
{
	struct sample b = now();

	printf("%-28s %9.0f/s  wall %6.2f us  client %6.2f us  both %6.2f us\n", name,
	       (double)nr / (b.wall - a.wall), (b.wall - a.wall) / (double)nr * 1e6,
	       (b.own - a.own) / (double)nr * 1e6, (b.all - a.all) / (double)nr * 1e6);
}

static void
check(int rc, const char *what)
{
	if (rc != 0) {
		fprintf(stderr, "%s: %d\n", what, rc);
		exit(1);
	}
}

static void
io_init(struct scene_io *o, char *key, uint64_t i, size_t size)
{
	snprintf(key, 16, "key%llu", (unsigned long long)(i % KEY_NR));
	scene_one_array(o, key, "a", 0, value, size);
}

static void
bench_blocking(const char *name, size_t size, bool write)
{
	struct scene_io o;
	struct sample a = now();
	char key[16];
	uint64_t i;

	for (i = 0; i % 64 != 0 || clock_s(CLOCK_MONOTONIC) - a.wall < run_s; i++) {
		io_init(&o, key, i, size);
		check(write ? scene_put(oh, &o, 0) : scene_get(oh, &o, 0), name);
	}
	report(name, a, i);
}

static void
bench_events(const char *name, size_t size, bool write)
{
	static struct scene_io o[DEPTH];
	static daos_event_t evs[DEPTH];
	static char keys[DEPTH][16];
	daos_event_t *done[DEPTH];
	daos_handle_t eqh;
	struct sample a;
	uint64_t nr = 0;
	int i, n, rc;

	check(daos_eq_create(&eqh), "eq");
	for (i = 0; i < DEPTH; i++)
		check(daos_event_init(&evs[i], eqh, NULL), "event");
	a = now();
	for (i = 0; i < DEPTH; i++)
		done[i] = &evs[i];
	n = DEPTH;
	while (clock_s(CLOCK_MONOTONIC) - a.wall < run_s) {
		for (i = 0; i < n; i++) {
			int k = (int)(done[i] - evs);

			check(done[i]->ev_error, name);
			io_init(&o[k], keys[k], nr++, size);
			rc = write ? daos_obj_update(oh, DAOS_TX_NONE, 0, &o[k].dkey, 1, &o[k].iod,
						     &o[k].sgl, &evs[k])
				   : daos_obj_fetch(oh, DAOS_TX_NONE, 0, &o[k].dkey, 1, &o[k].iod,
						    &o[k].sgl, NULL, &evs[k]);
			check(rc, name);
		}
		n = daos_eq_poll(eqh, 1, DAOS_EQ_WAIT, DEPTH, done);
	}
	while (daos_eq_poll(eqh, 1, DAOS_EQ_WAIT, DEPTH, done) > 0)
		;
	report(name, a, nr);
	check(daos_eq_destroy(eqh, 0), "eq");
}

int
main(int argc, char **argv)
{
	struct cluster_conf conf = {.engine_nr = argc > 1 ? (uint32_t)atoi(argv[1]) : 1,
				    .target_nr = argc > 2 ? (uint32_t)atoi(argv[2]) : 1};
	daos_handle_t poh, coh;

	if (argc > 3)
		run_s = atof(argv[3]);
	value = malloc(VALUE_MAX);
	scene_fill(value, VALUE_MAX, 1);
	check(cluster_start(&cluster, &conf), "start");
	client_set_default(cluster.client);
	check(cluster_pool_create(&cluster, "tank", 256 * MIB, 1024 * MIB), "pool");
	check(daos_pool_connect("tank", NULL, DAOS_PC_RW, &poh, NULL, NULL), "connect");
	check(daos_cont_create_with_label(poh, "home", NULL, NULL, NULL), "create");
	check(daos_cont_open(poh, "home", DAOS_COO_RW, &coh, NULL, NULL), "open");
	scene = (struct scene){.poh = poh, .coh = coh};
	oh = scene_open_obj(DAOS_OT_MULTI_HASHED, OC_SX);
	bench_blocking("update 64 B", 64, true);
	bench_blocking("fetch 64 B", 64, false);
	bench_events("update 64 B, 16 in flight", 64, true);
	bench_events("fetch 64 B, 16 in flight", 64, false);
	bench_blocking("update 4 KiB", 4096, true);
	bench_blocking("fetch 4 KiB", 4096, false);
	bench_events("fetch 4 KiB, 16 in flight", 4096, false);
	bench_blocking("update 128 KiB", 128 << 10, true);
	bench_blocking("fetch 128 KiB", 128 << 10, false);
	check(daos_obj_close(oh, NULL), "close");
	check(daos_cont_close(coh, NULL), "close");
	check(daos_pool_disconnect(poh, NULL), "disconnect");
	client_set_default(NULL);
	cluster_stop(&cluster);
	free(value);
	return 0;
}
