/*
 * Timers: an intrusive 4-ary min-heap. Four children share a cache line and a half, so a sift down
 * touches half as many lines as in a binary heap. Equal times fire in the order of arming.
 */
#define LOG_FACILITY "rt"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "runtime/xs_internal.h"

static inline bool
slot_before(const struct timer_slot *a, const struct timer_slot *b)
{
	return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->seq < b->seq);
}

static inline void
slot_put(struct timer_heap *h, uint32_t idx, struct timer_slot s)
{
	h->slots[idx] = s;
	s.timer->heap_idx = idx;
}

/* Children of slot i are 4i-2 .. 4i+1; its parent is (i+2)/4. */
static void
sift_up(struct timer_heap *h, uint32_t idx, struct timer_slot s)
{
	while (idx > 1) {
		uint32_t parent = (idx + 2) / 4;

		if (!slot_before(&s, &h->slots[parent]))
			break;
		slot_put(h, idx, h->slots[parent]);
		idx = parent;
	}
	slot_put(h, idx, s);
}

static void
sift_down(struct timer_heap *h, uint32_t idx, struct timer_slot s)
{
	for (;;) {
		uint32_t child = 4 * idx - 2;
		uint32_t end = child + 4 <= h->nr + 1 ? child + 4 : h->nr + 1;
		uint32_t best = child;
		uint32_t i;

		if (child > h->nr)
			break;
		for (i = child + 1; i < end; i++) {
			if (slot_before(&h->slots[i], &h->slots[best]))
				best = i;
		}
		if (!slot_before(&h->slots[best], &s))
			break;
		slot_put(h, idx, h->slots[best]);
		idx = best;
	}
	slot_put(h, idx, s);
}

/*
 * Arming cannot fail for its callers, and the array is a few bytes beside the stack of whoever
 * waits for the timer: a process that cannot have them is at its end.
 */
static void
heap_grow(struct timer_heap *h)
{
	uint32_t cap = h->cap == 0 ? 64 : h->cap * 2;
	struct timer_slot *slots = realloc(h->slots, cap * sizeof(*slots));

	if (slots == NULL) {
		log_crit("no memory for %u timers", cap);
		abort();
	}
	h->slots = slots;
	h->cap = cap;
}

static void
heap_remove(struct timer_heap *h, uint32_t idx)
{
	struct timer_slot last = h->slots[h->nr--];

	h->slots[idx].timer->heap_idx = 0;
	if (idx > h->nr)
		return;
	if (idx > 1 && slot_before(&last, &h->slots[(idx + 2) / 4]))
		sift_up(h, idx, last);
	else
		sift_down(h, idx, last);
}

void
timer_heap_fini(struct timer_heap *h)
{
	free(h->slots);
	h->slots = NULL;
	h->nr = 0;
	h->cap = 0;
}

uint32_t
timer_heap_fire(struct timer_heap *h, uint64_t now_ns)
{
	uint64_t seq_end = h->seq;
	uint32_t fired = 0;

	/* one armed by a handler for a time already past waits for the next turn */
	while (h->nr > 0 && h->slots[1].at_ns <= now_ns && h->slots[1].seq < seq_end) {
		struct xs_timer *t = h->slots[1].timer;

		heap_remove(h, 1);
		fired++;
		t->fn(t);
	}
	return fired;
}

void
xs_timer_init(struct xs_timer *t, void (*fn)(struct xs_timer *t), void *arg)
{
	t->at_ns = 0;
	t->heap_idx = 0;
	t->xs = NULL;
	t->fn = fn;
	t->arg = arg;
}

void
xs_timer_arm(struct xs *xs, struct xs_timer *t, uint64_t at_ns)
{
	struct timer_heap *h = &xs->timers;
	struct timer_slot s = {.at_ns = at_ns, .timer = t};

	assert(xs_is_mine(xs));
	xs_timer_cancel(t);
	if (h->nr + 2 > h->cap)
		heap_grow(h);
	s.seq = h->seq++;
	t->xs = xs;
	t->at_ns = at_ns;
	sift_up(h, ++h->nr, s);
}

void
xs_timer_cancel(struct xs_timer *t)
{
	if (t->heap_idx == 0)
		return;
	assert(xs_is_mine(t->xs));
	heap_remove(&t->xs->timers, t->heap_idx);
}

uint64_t
xs_next_timer_ns(const struct xs *xs)
{
	return xs->timers.nr == 0 ? UINT64_MAX : xs->timers.slots[1].at_ns;
}
