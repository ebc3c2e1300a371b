/* Reading the heap's records in a log. For tools. */
#ifndef STORE_HEAP_INSPECT_H
#define STORE_HEAP_INSPECT_H

#include <stdbool.h>
#include <stdint.h>

struct heap_rec_iter {
	const uint8_t *next;
	uint32_t left_nr;
};

/* At HEAP_DEP_OFF (heap_format.h) it is a heap_dep_df, what the record depends on. */
struct heap_rec_range {
	uint64_t off;
	uint32_t len;
	const uint8_t *bytes;
};

/* The record at rec, of which and what follows max bytes are there. -DER_CSUM: malformed. */
int heap_rec_begin(const uint8_t *rec, uint32_t max, uint32_t *ret_len, struct heap_rec_iter *it);
bool heap_rec_next(struct heap_rec_iter *it, struct heap_rec_range *ret);

#endif
