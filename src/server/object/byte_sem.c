/*
 * Waiters stand in a queue; who gives back serves its head as long as it fits and wakes it with its
 * bytes already taken, so nobody who comes later can slip in between.
 */
#include "server/object/byte_sem.h"

#include <assert.h>
#include <stdbool.h>

struct waiter {
	struct list link;
	struct co *co;
	uint64_t bytes;
	bool served;
};

void
byte_sem_init(struct byte_sem *s, uint64_t total)
{
	s->total = total;
	s->free = total;
	list_init(&s->waiters);
}

uint64_t co_fn
byte_sem_get(struct byte_sem *s, uint64_t bytes)
{
	struct waiter w = {.co = co_self(), .bytes = bytes < s->total ? bytes : s->total};

	if (list_empty(&s->waiters) && w.bytes <= s->free) {
		s->free -= w.bytes;
		return w.bytes;
	}
	list_push_back(&s->waiters, &w.link);
	while (!w.served)
		co_park();
	return w.bytes;
}

void
byte_sem_put(struct byte_sem *s, uint64_t taken)
{
	struct waiter *w;

	assert(taken <= s->total - s->free);
	s->free += taken;
	while ((w = list_first(&s->waiters, struct waiter, link)) != NULL && w->bytes <= s->free) {
		s->free -= w->bytes;
		list_del(&w->link);
		w->served = true;
		co_wake(w->co);
	}
}
