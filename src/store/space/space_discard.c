/*
 * Space: giving freed blocks back to the device, or to the file system that holds its file.
 *
 * Each group remembers which blocks became free since the last discard. When nothing has been freed
 * in a group for a while (what is freed and used again at once is not worth it), or after four such
 * whiles at the latest, its longer runs are discarded, some MiB at a time and not faster than a
 * given rate. While a run is being discarded its blocks are busy, so nobody can be given them; and
 * blocks get here only when their freeing is durable and no reader is left. What a crash
 * interrupts is not repeated: those blocks are given back when they have been used and freed again.
 *
 * A run in hand counts as "being freed": who finds no space waits for it as for any other.
 */
#define LOG_FACILITY "space"
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/space/space_internal.h"

enum {
	DELAY_MS = 10000,
	RATE = 256 << 20,
	RUN_MIN = 64,   /* blocks: shorter runs cost more than they give */
	RUN_MAX = 4096, /* in one call */
	LATEST = 4,     /* delays until it is done in any case */
};

static void discard_due(struct xs_timer *t);

void
space_discard_init(struct space *space, struct dev *dev)
{
	struct space_discard *d = &space->discard;

	d->dev = dev;
	d->delay_ms = DELAY_MS;
	d->bytes_per_s = RATE;
	xs_timer_init(&d->timer, discard_due, space);
	co_waitq_init(&d->done_wq);
}

void
space_discard_conf(struct space *space, uint32_t delay_ms, uint64_t bytes_per_s)
{
	space->discard.delay_ms = delay_ms;
	space->discard.bytes_per_s = bytes_per_s;
}

static uint64_t
delay_ns(const struct space *space)
{
	return space->discard.delay_ms * 1000000ull;
}

static void
arm(struct space *space)
{
	struct xs *xs = heap_xs(space->heap);

	if (!space->discard.running && !space->discard.stopping &&
	    space->discard.timer.heap_idx == 0)
		xs_timer_arm(xs, &space->discard.timer, xs_now_ns(xs) + delay_ns(space));
}

void
space_discard_note(struct space *space, uint32_t g, uint32_t pos, uint32_t nr)
{
	struct group *group = &space->groups[g];

	if (space->discard.dev == NULL || space->discard.stopping)
		return;
	if (group->freed == NULL)
		group->freed = mem_calloc(MAP_WORDS, sizeof(*group->freed));
	if (group->freed == NULL)
		return; /* it is only a service */
	space_change_bits(group->freed, pos, nr, true);
	group->freed_last_ns = xs_now_ns(heap_xs(space->heap));
	if (group->freed_first_ns == 0)
		group->freed_first_ns = group->freed_last_ns;
	arm(space);
}

/* How many blocks may be taken away for a moment. */
static uint32_t
chunk_max(const struct space *space)
{
	uint64_t busy = space_busy_blks(space);
	uint64_t part = (space->df.blk_nr - busy) / 8;

	return part < RUN_MAX ? part : RUN_MAX;
}

/* Discard blocks that are free, and have been freed, of a group. */
static int co_fn
discard_run(struct space *space, uint32_t g, uint32_t pos, uint32_t nr)
{
	struct space_discard *d = &space->discard;
	struct group *group = &space->groups[g];
	uint64_t blk = space->df.first_blk + (uint64_t)g * SPACE_GROUP_BLKS + pos;
	int rc;

	space_change_bits(group->busy, pos, nr, true);
	space_change_bits(group->freed, pos, nr, false);
	space->freeing_blk += nr;
	rc = dev_discard(d->dev, blk * SPACE_BLOCK, (uint64_t)nr * SPACE_BLOCK);
	space->freeing_blk -= nr;
	space_group_release(space, g, pos, nr);
	if (rc != 0)
		return rc;
	d->blk_nr += nr;
	if (d->bytes_per_s != 0 && !d->stopping)
		co_sleep_ns((uint64_t)nr * SPACE_BLOCK * 1000000000ull / d->bytes_per_s);
	return 0;
}

/* All runs of a group that are long enough. Shorter ones stay noted, until they have grown. */
static int co_fn
discard_group(struct space *space, uint32_t g)
{
	struct group *group = &space->groups[g];
	uint32_t pos = 0, end, nr;
	int rc = 0;

	group->freed_first_ns = 0;
	while (rc == 0 && !space->discard.stopping &&
	       (pos = space_next_bit(group->freed, pos, true)) < SPACE_GROUP_BLKS) {
		end = space_next_bit(group->freed, pos, false);
		nr = end - pos;
		if (nr < RUN_MIN) {
			pos = end;
			continue;
		}
		nr = nr < chunk_max(space) ? nr : chunk_max(space);
		if (nr < RUN_MIN) {
			group->freed_first_ns = group->freed_last_ns; /* space is short: later */
			return 0;
		}
		rc = discard_run(space, g, pos, nr);
		pos += nr;
	}
	return rc;
}

/* One round over the groups that are due. *ret_more: others are to come. */
static int co_fn
discard_round(struct space *space, bool *ret_more)
{
	uint32_t g;
	int rc = 0;

	*ret_more = false;
	for (g = 0; rc == 0 && g < space->df.group_nr && !space->discard.stopping; g++) {
		const struct group *group = &space->groups[g];
		uint64_t now = xs_now_ns(heap_xs(space->heap));

		if (group->freed == NULL || group->freed_first_ns == 0)
			continue;
		if (now - group->freed_last_ns >= delay_ns(space) ||
		    now - group->freed_first_ns >= LATEST * delay_ns(space))
			rc = discard_group(space, g);
		*ret_more = *ret_more || group->freed_first_ns != 0;
	}
	return rc;
}

static void co_fn
discard_main(void *arg)
{
	struct space *space = arg;
	struct space_discard *d = &space->discard;
	bool more = false;
	int rc;

	rc = discard_round(space, &more);
	d->running = false;
	if (rc != 0) {
		log_warn("freed space is not given back any more: " ERR_F, ERR_P(rc));
		d->dev = NULL;
	} else if (more) {
		arm(space);
	}
	co_waitq_wake_all(&d->done_wq);
}

static void
discard_due(struct xs_timer *t)
{
	struct space *space = t->arg;

	space->discard.running = true;
	if (co_spawn(heap_xs(space->heap), discard_main, space) != 0)
		space->discard.running = false; /* the next freeing tries again */
}

void co_fn
space_discard_stop(struct space *space)
{
	space->discard.stopping = true;
	xs_timer_cancel(&space->discard.timer);
	while (space->discard.running)
		co_waitq_wait(&space->discard.done_wq, 0);
}
