/*
 * Erasure code: p parity cells computed from k data cells, any k of the k + p give the rest back.
 *
 * A code never changes after creation and may be shared by threads. Cells are plain memory of equal
 * length and any alignment (64 bytes is fastest); nothing here allocates but creation. What a code
 * computes is stored data: it never changes.
 */
#ifndef BASE_EC_H
#define BASE_EC_H

#include <stddef.h>
#include <stdint.h>

enum { EC_DATA_MAX = 16, EC_PARITY_MAX = 4, EC_CELL_MAX = EC_DATA_MAX + EC_PARITY_MAX };

struct ec_code;

/* -DER_INVAL: k or p is 0 or beyond its limit. -DER_NOMEM. */
int ec_code_create(unsigned int k, unsigned int p, struct ec_code **ret_code);
void ec_code_destroy(struct ec_code *code); /* NULL is fine */
unsigned int ec_code_data_nr(const struct ec_code *code);
unsigned int ec_code_parity_nr(const struct ec_code *code);

/* Compute all parity cells. A data cell that is NULL counts as zeros. */
void ec_encode(const struct ec_code *code, size_t len, const uint8_t *const *data,
	       uint8_t *const *parity);

/* One data cell changed by `delta` (old XOR new): bring the parity cells up to date. A parity cell
 * that is NULL is left out. */
void ec_update(const struct ec_code *code, size_t len, unsigned int data_idx, const uint8_t *delta,
	       uint8_t *const *parity);

/*
 * cells[k + p], data first. The cells of the bit mask `have` hold their content; those of `want`
 * are computed into the memory given; the others are not looked at. `have` must name at least k
 * cells, else -DER_DATA_LOSS; a cell in both masks is -DER_INVAL.
 */
int ec_recover(const struct ec_code *code, size_t len, uint32_t have, uint32_t want,
	       uint8_t *const *cells);

#endif
