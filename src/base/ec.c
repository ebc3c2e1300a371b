/*
 * Erasure code over GF(2^8), by ISA-L.
 *
 * The generator matrix is the identity on top of a Cauchy matrix: every k of its k + p rows are
 * independent, for all sizes used here. (A Vandermonde matrix is not safe for all of them.) Lost
 * cells come back by inverting the rows of k surviving cells; a lost parity cell is its own row
 * times that inverse, so one multiplication serves any mixture of lost data and parity.
 *
 * Cells that count as zeros (holes, the end of a short stripe) are left out of the product by
 * building tables for the present ones only.
 */
#include "base/ec.h"

#include <stdlib.h>
#include <string.h>

#include <isa-l.h>

#include <daos_errno.h>

#include "base/mem.h"

enum { TABLE_BYTES = 32 }; /* of one coefficient, as ISA-L expands it */

struct ec_code {
	unsigned int k, p;
	uint8_t matrix[EC_CELL_MAX * EC_DATA_MAX]; /* k + p rows of k */
	uint8_t *tables;                           /* of the parity rows */
};

int
ec_code_create(unsigned int k, unsigned int p, struct ec_code **ret_code)
{
	struct ec_code *code;

	if (k == 0 || p == 0 || k > EC_DATA_MAX || p > EC_PARITY_MAX)
		return -DER_INVAL;
	code = mem_calloc(1, sizeof(*code));
	if (code == NULL)
		return -DER_NOMEM;
	code->tables = mem_alloc((size_t)TABLE_BYTES * k * p);
	if (code->tables == NULL) {
		free(code);
		return -DER_NOMEM;
	}
	code->k = k;
	code->p = p;
	gf_gen_cauchy1_matrix(code->matrix, (int)(k + p), (int)k);
	ec_init_tables((int)k, (int)p, code->matrix + (size_t)k * k, code->tables);
	*ret_code = code;
	return 0;
}

void
ec_code_destroy(struct ec_code *code)
{
	if (code == NULL)
		return;
	free(code->tables);
	free(code);
}

unsigned int
ec_code_data_nr(const struct ec_code *code)
{
	return code->k;
}

unsigned int
ec_code_parity_nr(const struct ec_code *code)
{
	return code->p;
}

/* out[r] = sum over i of rows[r * row_len + col[i]] * in[i] */
static void
multiply(const uint8_t *rows, unsigned int row_len, unsigned int row_nr, const unsigned int *col,
	 unsigned int in_nr, size_t len, uint8_t *const *in, uint8_t *const *out)
{
	uint8_t packed[EC_PARITY_MAX * EC_DATA_MAX];
	uint8_t tables[TABLE_BYTES * EC_PARITY_MAX * EC_DATA_MAX];

	for (unsigned int r = 0; r < row_nr; r++) {
		for (unsigned int i = 0; i < in_nr; i++)
			packed[r * in_nr + i] = rows[r * row_len + col[i]];
	}
	ec_init_tables((int)in_nr, (int)row_nr, packed, tables);
	ec_encode_data((int)len, (int)in_nr, (int)row_nr, tables, (uint8_t **)in, (uint8_t **)out);
}

void
ec_encode(const struct ec_code *code, size_t len, const uint8_t *const *data,
	  uint8_t *const *parity)
{
	uint8_t *in[EC_DATA_MAX];
	unsigned int col[EC_DATA_MAX];
	unsigned int nr = 0;

	for (unsigned int i = 0; i < code->k; i++) {
		if (data[i] == NULL)
			continue;
		in[nr] = (uint8_t *)data[i];
		col[nr++] = i;
	}
	if (nr == code->k) {
		ec_encode_data((int)len, (int)code->k, (int)code->p, code->tables, in,
			       (uint8_t **)parity);
	} else if (nr > 0) {
		multiply(code->matrix + (size_t)code->k * code->k, code->k, code->p, col, nr, len,
			 in, parity);
	} else {
		for (unsigned int r = 0; r < code->p; r++)
			memset(parity[r], 0, len);
	}
}

void
ec_update(const struct ec_code *code, size_t len, unsigned int data_idx, const uint8_t *delta,
	  uint8_t *const *parity)
{
	for (unsigned int r = 0; r < code->p; r++) {
		if (parity[r] != NULL)
			gf_vect_mad((int)len, (int)code->k, (int)data_idx,
				    code->tables + (size_t)TABLE_BYTES * code->k * r,
				    (uint8_t *)delta, parity[r]);
	}
}

/* Rows that give the cells of `want` from the k cells named in src. */
static void
recovery_rows(const struct ec_code *code, const unsigned int *src, uint32_t want, uint8_t *ret_rows)
{
	unsigned int k = code->k, r = 0;
	uint8_t part[EC_DATA_MAX * EC_DATA_MAX], inverse[EC_DATA_MAX * EC_DATA_MAX];

	for (unsigned int i = 0; i < k; i++)
		memcpy(part + (size_t)i * k, code->matrix + (size_t)src[i] * k, k);
	gf_invert_matrix(part, inverse, (int)k); /* a Cauchy matrix: always possible */
	for (unsigned int cell = 0; cell < k + code->p; cell++) {
		const uint8_t *row = code->matrix + (size_t)cell * k;

		if (!(want & 1u << cell))
			continue;
		for (unsigned int c = 0; c < k; c++) {
			uint8_t sum = 0;

			for (unsigned int i = 0; i < k; i++)
				sum ^= gf_mul(row[i], inverse[i * k + c]);
			ret_rows[r * k + c] = sum;
		}
		r++;
	}
}

int
ec_recover(const struct ec_code *code, size_t len, uint32_t have, uint32_t want,
	   uint8_t *const *cells)
{
	unsigned int all = code->k + code->p, k = code->k, nr = 0, out_nr = 0;
	uint8_t *in[EC_DATA_MAX], *out[EC_PARITY_MAX];
	uint8_t rows[EC_PARITY_MAX * EC_DATA_MAX];
	unsigned int src[EC_DATA_MAX], col[EC_DATA_MAX];

	if ((have & want) != 0)
		return -DER_INVAL;
	for (unsigned int i = 0; i < all; i++) {
		if ((have & 1u << i) && nr < k) {
			in[nr] = cells[i];
			col[nr] = nr;
			src[nr++] = i;
		} else if ((want & 1u << i) && out_nr < code->p)
			out[out_nr++] = cells[i];
	}
	if (nr < k)
		return -DER_DATA_LOSS;
	if (out_nr == 0)
		return 0;
	recovery_rows(code, src, want, rows);
	multiply(rows, k, out_nr, col, k, len, in, out);
	return 0;
}
