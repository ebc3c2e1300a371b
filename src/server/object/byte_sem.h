/* A bound on bytes in use by the coroutines of one xstream: first come, first served, so large
 * requests do not starve. */
#ifndef SERVER_BYTE_SEM_H
#define SERVER_BYTE_SEM_H

#include <stdint.h>

#include "base/list.h"
#include "runtime/co.h"

struct byte_sem {
	uint64_t total;
	uint64_t free;
	struct list waiters;
};

void byte_sem_init(struct byte_sem *s, uint64_t total);
/* Returns what was taken, to be given back: bytes, or the whole if a request is larger than that.
 */
uint64_t co_fn byte_sem_get(struct byte_sem *s, uint64_t bytes);
void byte_sem_put(struct byte_sem *s, uint64_t taken);

#endif
