/* A heap on the in-memory disk, for unit tests of what is built on it. Include after <cmocka.h>. */
#ifndef STORE_HEAP_FIXTURE_H
#define STORE_HEAP_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "runtime/co.h"
#include "runtime/sim.h"
#include "runtime/xs.h"
#include "store/heap/heap.h"

#define MIB (1ull << 20)

struct fixture {
	struct sim *sim; /* NULL: I/O completes at once, on the real clock */
	struct env env;
	struct xs *xs;
	struct mem_disk *disk;
	struct dev_dir *dir;
	struct dev *pages, *log;
	struct heap *heap;
	struct heap_conf conf;
	uint64_t heap_bytes, log_bytes;
	uint64_t rnd;
};

static inline uint64_t
next_rnd(void *arg)
{
	uint64_t *s = arg;

	*s = *s * 6364136223846793005ull + 1442695040888963407ull;
	return *s >> 33;
}

static inline void
open_devs(struct fixture *f)
{
	assert_int_equal(mem_disk_open(f->disk, &f->dir), 0);
	assert_int_equal(f->dir->ops->open(f->dir, f->xs, "heap", false, &f->pages), 0);
	assert_int_equal(f->dir->ops->open(f->dir, f->xs, "log", false, &f->log), 0);
}

static inline void
close_devs(struct fixture *f)
{
	dev_close(f->pages);
	dev_close(f->log);
	dev_dir_close(f->dir);
}

static inline int
do_format(void *arg)
{
	struct fixture *f = arg;

	assert_int_equal(mem_disk_open(f->disk, &f->dir), 0);
	assert_int_equal(
	    f->dir->ops->create(f->dir, f->xs, "heap", f->heap_bytes, false, &f->pages), 0);
	assert_int_equal(f->dir->ops->create(f->dir, f->xs, "log", f->log_bytes, true, &f->log), 0);
	assert_int_equal(heap_create(&f->conf, f->pages, f->log), 0);
	assert_int_equal(heap_open(&f->conf, f->pages, f->log, &f->heap), 0);
	return 0;
}

static inline int
setup_sized(void **state, struct sim *sim, uint64_t heap_bytes, uint64_t log_bytes)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct xs_conf xc = {.name = "test", .env = &f->env, .cpu = -1};

	f->sim = sim;
	if (sim != NULL)
		xc.env = sim_env_create(sim, 0);
	else
		env_init_real(&f->env);
	assert_int_equal(xs_create(&xc, &f->xs), 0);
	assert_int_equal(mem_disk_create(sim, 1024 * MIB, &f->disk), 0);
	f->conf.xs = f->xs;
	f->conf.shadow = true;
	f->rnd = 42;
	f->heap_bytes = heap_bytes;
	f->log_bytes = log_bytes;
	assert_int_equal(xs_call(f->xs, do_format, f), 0);
	*state = f;
	return 0;
}

static inline int
setup_on(void **state, struct sim *sim)
{
	return setup_sized(state, sim, 32 * MIB, 4 * MIB);
}

static inline int
setup(void **state)
{
	return setup_on(state, NULL);
}

/* On virtual time: I/O takes time and overtakes. */
static inline int
setup_sim(void **state)
{
	struct sim *sim;

	assert_int_equal(sim_create(42, &sim), 0);
	return setup_on(state, sim);
}

static inline int
do_close(void *arg)
{
	struct fixture *f = arg;

	heap_close(f->heap, false);
	close_devs(f);
	return 0;
}

static inline int
teardown(void **state)
{
	struct fixture *f = *state;

	xs_call(f->xs, do_close, f);
	xs_destroy(f->xs);
	mem_disk_destroy(f->disk);
	if (f->sim != NULL)
		sim_destroy(f->sim);
	free(f);
	return 0;
}

/* Close without checkpoint and open again: what was committed comes from the log. */
static inline void
reopen(struct fixture *f, bool checkpoint)
{
	heap_close(f->heap, checkpoint);
	close_devs(f);
	open_devs(f);
	assert_int_equal(heap_open(&f->conf, f->pages, f->log, &f->heap), 0);
}

#endif
