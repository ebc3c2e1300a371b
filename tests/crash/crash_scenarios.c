/*
 * The scenarios of the crash points. To add one: write its main function with what crash.h offers,
 * and a row in the table; meson runs each row as a test of its own (name it in meson.build, which
 * has the same list, so that scenarios run beside each other).
 */
#include "tests/crash/crash.h"

enum { SAFE_LAG = 64 /* aggregation stays this far behind the newest epoch */ };

static void co_fn
mixed_beside(struct crash_run *r)
{
	switch (vm_below(crash_rng(r), 4)) {
	case 0:
		crash_checkpoint(r);
		break;
	case 1:
		crash_aggregate(r, SAFE_LAG);
		break;
	default:
		crash_step_b(r);
		break;
	}
}

static void co_fn
mixed(struct crash_run *r)
{
	crash_work(r, 20, mixed_beside, 12);
}

static void co_fn
singles(struct crash_run *r)
{
	crash_work(r, 30, NULL, 0);
}

/* Objects, dkeys and akeys are punched again and again, with what comes late after them. */
static void co_fn
punches(struct crash_run *r)
{
	struct vm_op op;
	uint32_t n, w;

	for (n = 0; n < 24; n++) {
		crash_work(r, 2, NULL, 0);
		w = vm_below(crash_rng(r), 2);
		do
			vm_op_random(crash_rng(r), crash_expect(r)->epoch + 1, 100, &op);
		while (op.kind == VM_UPDATE);
		op.epoch -= vm_below(crash_rng(r), 6);
		crash_op_do(r, w, &op);
	}
}

static void co_fn
aggregate_beside(struct crash_run *r)
{
	crash_aggregate(r, 8);
}

static void co_fn
aggregation(struct crash_run *r)
{
	crash_watch(r, false);
	crash_work(r, 25, NULL, 0);
	crash_watch(r, true);
	crash_work(r, 10, aggregate_beside, 40);
	while (crash_expect(r)->epoch - crash_expect(r)->floor > 1 &&
	       crash_expect(r)->floor != UINT64_MAX) {
		crash_aggregate(r, 1);
		if (vm_below(crash_rng(r), 4) == 0)
			break;
	}
}

static void co_fn
checkpoint_beside(struct crash_run *r)
{
	crash_checkpoint(r);
}

static void co_fn
checkpoint(struct crash_run *r)
{
	crash_work(r, 25, checkpoint_beside, 40);
}

/* Values of a size that makes the log go round while crash points are looked at. */
static void co_fn
log_wrap(struct crash_run *r)
{
	struct heap_stats hs;
	uint64_t ring;

	crash_watch(r, false);
	heap_stats(crash_pool(r)->heap, &hs);
	ring = hs.log_bytes;
	do {
		crash_work(r, 4, NULL, 0);
		heap_stats(crash_pool(r)->heap, &hs);
	} while (hs.log_written_bytes % ring < ring - (150 << 10));
	crash_watch(r, true);
	crash_work(r, 16, checkpoint_beside, 2);
}

struct burst {
	struct crash_run *r;
	uint32_t worker;
};

static int co_fn
burst_main(void *arg)
{
	struct burst *b = arg;
	struct vm_op op = {.kind = VM_UPDATE, .iod_nr = 1};
	uint32_t n;

	for (n = 0; n < 8; n++) {
		op.dkey = vm_below(crash_rng(b->r), 2);
		op.epoch = crash_expect(b->r)->epoch + 1;
		op.seed = vm_rand(crash_rng(b->r));
		op.iod[0] =
		    (struct vm_iod){.akey = n % 2, .size = 1 + vm_below(crash_rng(b->r), 50000)};
		crash_op_do(b->r, b->worker, &op);
	}
	return 0;
}

/* Records so large that the log has two writes under way. */
static void co_fn
burst(struct crash_run *r)
{
	struct burst b[CRASH_WORKERS_MAX];
	struct co_group group;
	uint32_t i;

	co_group_init(&group);
	for (i = 0; i < CRASH_WORKERS_MAX; i++) {
		b[i] = (struct burst){.r = r, .worker = i};
		crash_must(r, co_group_spawn(&group, burst_main, &b[i]), "a worker");
	}
	co_group_join(&group);
}

static void co_fn
full(struct crash_run *r)
{
	crash_watch(r, false);
	crash_work(r, 30, NULL, 0);
	crash_watch(r, true);
	crash_work(r, 20, mixed_beside, 8);
}

static void co_fn
destroy(struct crash_run *r)
{
	uint32_t n;

	for (n = 0; n < 30; n++) {
		crash_step_b(r);
		if (vm_below(crash_rng(r), 4) == 0)
			crash_work(r, 1, NULL, 0);
		if (vm_below(crash_rng(r), 4) == 0)
			vos_pool_settle(crash_pool(r));
	}
}

/* Some of everything, short: for faults injected one at a time. */
static void co_fn
brief(struct crash_run *r)
{
	crash_work(r, 5, mixed_beside, 3);
	crash_step_b(r);
	crash_step_b(r);
	crash_checkpoint(r);
	crash_aggregate(r, 4);
	crash_work(r, 2, NULL, 0);
}

const struct crash_scenario crash_scenarios[] = {
    {
	.name = "mixed",
	.what = "updates, punches, checkpoints, aggregation, containers; two tiers",
	.workers = 3,
	.conf = {.nvme_bytes = 6 << 20, .data_thresh = 2048},
	.max_bytes = 6000,
	.lag = 4,
	.main = mixed,
    },
    {
	.name = "scm",
	.what = "the same without a data device, with a small part of the heap in memory",
	.workers = 3,
	.conf = {.scm_cache_bytes = 512 << 10},
	.max_bytes = 3000,
	.lag = 4,
	.main = mixed,
    },
    {
	.name = "history",
	.what = "every version stays readable; epochs out of order",
	.workers = 2,
	.conf = {.nvme_bytes = 6 << 20, .data_thresh = 1024},
	.max_bytes = 5000,
	.lag = 12,
	.history = true,
	.main = singles,
    },
    {
	.name = "punches",
	.what = "punches at every level, and late updates under them",
	.workers = 2,
	.conf = {.nvme_bytes = 6 << 20, .data_thresh = 1024},
	.max_bytes = 2000,
	.lag = 6,
	.history = true,
	.main = punches,
    },
    {
	.name = "aggregate",
	.what = "aggregation right behind the newest epoch, beside updates",
	.workers = 2,
	.conf = {.nvme_bytes = 6 << 20, .data_thresh = 1024},
	.max_bytes = 4000,
	.lag = 4,
	.history = true,
	.main = aggregation,
    },
    {
	.name = "checkpoint",
	.what = "one checkpoint after the other beside updates",
	.workers = 3,
	.conf = {.nvme_bytes = 6 << 20},
	.max_bytes = 3000,
	.lag = 4,
	.main = checkpoint,
    },
    {
	.name = "wrap",
	.what = "the log goes round",
	.workers = 2,
	.conf = {.data_thresh = 1 << 20},
	.max_bytes = 11000,
	.lag = 4,
	.main = log_wrap,
    },
    {
	.name = "burst",
	.what = "large records: two writes of the log under way",
	.workers = 4,
	.conf = {.data_thresh = 1 << 20},
	.max_bytes = 20000,
	.main = burst,
    },
    {
	.name = "full",
	.what = "a data device that is full",
	.workers = 2,
	.conf = {.nvme_bytes = 256 << 10, .data_thresh = 1024, .discard = true, .discard_ms = 1},
	.max_bytes = 8000,
	.lag = 4,
	.may_be_full = true,
	.main = full,
    },
    {
	.name = "destroy",
	.what = "containers are created, filled and destroyed",
	.workers = 1,
	.conf = {.nvme_bytes = 6 << 20, .data_thresh = 1024},
	.max_bytes = 4000,
	.lag = 4,
	.main = destroy,
    },
    {
	.name = "brief",
	.what = "some of everything, short",
	.workers = 2,
	.conf = {.nvme_bytes = 6 << 20, .data_thresh = 1024},
	.max_bytes = 6000,
	.lag = 4,
	.history = true,
	.main = brief,
    },
    {.name = NULL},
};
