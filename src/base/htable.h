/*
 * Intrusive hash table with chains. An entry embeds a struct hnode; the caller computes the 64-bit
 *hash and compares keys itself while walking the entries of equal hash:
 *
 *	for (n = htable_first(&h, hash); n != NULL; n = htable_next(n))
 *		if (same(container_of(n, struct thing, node), key)) ...
 *
 * Grows by doubling; when memory for that is short it simply gets slower, so inserting never fails.
 *One table must stay at its address while in use.
 */
#ifndef BASE_HTABLE_H
#define BASE_HTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hnode {
	struct hnode *next;
	uint64_t hash;
};

struct htable {
	struct hnode **buckets; /* mask + 1 chains; &one while there is a single one */
	struct hnode *one;
	uint64_t mask;
	uint64_t nr;
};

void htable_init(struct htable *h);
/* Frees the chains' heads only; entries that are still in it stay the caller's. */
void htable_fini(struct htable *h);

/* Later entries of equal hash come first. */
void htable_insert(struct htable *h, struct hnode *n, uint64_t hash);
/* n must be in h. */
void htable_remove(struct htable *h, struct hnode *n);

/* First entry with this hash, NULL if none. */
static inline struct hnode *
htable_first(const struct htable *h, uint64_t hash)
{
	struct hnode *n = h->buckets[hash & h->mask];

	while (n != NULL && n->hash != hash)
		n = n->next;
	return n;
}

/* Next entry of the same hash. */
static inline struct hnode *
htable_next(const struct hnode *prev)
{
	struct hnode *n = prev->next;

	while (n != NULL && n->hash != prev->hash)
		n = n->next;
	return n;
}

static inline uint64_t
htable_nr(const struct htable *h)
{
	return h->nr;
}

/*
 * Call fn for every entry; fn may remove the entry it was given (and free it), nothing else. Stops
 * at the first non-zero result and returns it. The order is that of the hashes' low bits, so it is
 * the same in every run when the hashes are.
 */
int htable_walk(struct htable *h, int (*fn)(struct hnode *n, void *arg), void *arg);

#endif
