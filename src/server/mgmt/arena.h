/* Memory of one request: everything in it goes at once. NULL when there is none. */
#ifndef MGMT_ARENA_H
#define MGMT_ARENA_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct arena_chunk {
	struct arena_chunk *next;
	uint64_t data[];
};

struct arena {
	struct arena_chunk *chunks;
	uint8_t *p;
	size_t left;
};

enum { ARENA_CHUNK = 8192 };

/* Zeroed, aligned to 8. */
static inline void *
arena_alloc(struct arena *a, size_t size)
{
	void *ret;

	size = (size + 7) & ~(size_t)7;
	if (size == 0)
		size = 8;
	if (size > a->left) {
		size_t want = size > ARENA_CHUNK ? size : ARENA_CHUNK;
		struct arena_chunk *c = (struct arena_chunk *)mem_calloc(1, sizeof(*c) + want);

		if (c == NULL)
			return NULL;
		c->next = a->chunks;
		a->chunks = c;
		a->p = (uint8_t *)c->data;
		a->left = want;
	}
	ret = a->p;
	a->p += size;
	a->left -= size;
	return ret;
}

static inline void *
arena_dup(struct arena *a, const void *src, size_t len)
{
	void *p = arena_alloc(a, len);

	if (p != NULL && len != 0)
		memcpy(p, src, len);
	return p;
}

static inline char *
arena_str(struct arena *a, const char *s)
{
	return (char *)arena_dup(a, s, strlen(s) + 1);
}

static inline void
arena_fini(struct arena *a)
{
	while (a->chunks != NULL) {
		struct arena_chunk *next = a->chunks->next;

		free(a->chunks);
		a->chunks = next;
	}
	a->left = 0;
}

#endif
