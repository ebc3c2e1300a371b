/* Hash table with chains: doubles when there are more entries than chains. */
#include <assert.h>
#include <stdlib.h>

#include "base/htable.h"

void
htable_init(struct htable *h)
{
	h->one = NULL;
	h->buckets = &h->one;
	h->mask = 0;
	h->nr = 0;
}

void
htable_fini(struct htable *h)
{
	if (h->buckets != &h->one)
		free(h->buckets);
	htable_init(h);
}

static void
htable_grow(struct htable *h)
{
	uint64_t nr = h->mask == 0 ? 16 : (h->mask + 1) * 2;
	struct hnode **buckets = calloc(nr, sizeof(struct hnode *));
	uint64_t i;

	if (buckets == NULL)
		return; /* longer chains, then */
	for (i = 0; i <= h->mask; i++) {
		struct hnode *n = h->buckets[i];
		struct hnode *chain = NULL;

		/* turned round twice, so that entries of equal hash keep their order */
		while (n != NULL) {
			struct hnode *next = n->next;

			n->next = chain;
			chain = n;
			n = next;
		}
		while (chain != NULL) {
			struct hnode *next = chain->next;

			chain->next = buckets[chain->hash & (nr - 1)];
			buckets[chain->hash & (nr - 1)] = chain;
			chain = next;
		}
	}
	if (h->buckets != &h->one)
		free(h->buckets);
	h->buckets = buckets;
	h->mask = nr - 1;
}

void
htable_insert(struct htable *h, struct hnode *n, uint64_t hash)
{
	struct hnode **head;

	if (h->nr > h->mask)
		htable_grow(h);
	head = &h->buckets[hash & h->mask];
	n->hash = hash;
	n->next = *head;
	*head = n;
	h->nr++;
}

void
htable_remove(struct htable *h, struct hnode *n)
{
	struct hnode **pp = &h->buckets[n->hash & h->mask];

	while (*pp != n) {
		assert(*pp != NULL);
		pp = &(*pp)->next;
	}
	*pp = n->next;
	n->next = NULL;
	h->nr--;
}

int
htable_walk(struct htable *h, int (*fn)(struct hnode *n, void *arg), void *arg)
{
	uint64_t i;

	for (i = 0; i <= h->mask; i++) {
		struct hnode *n = h->buckets[i];

		while (n != NULL) {
			struct hnode *next = n->next;
			int rc = fn(n, arg);

			if (rc != 0)
				return rc;
			n = next;
		}
	}
	return 0;
}
