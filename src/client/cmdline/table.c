/* Tables and key/value blocks for people: see cli.h. */
#include <stdlib.h>
#include <string.h>

#include "client/cmdline/cli.h"

struct cli_table {
	uint32_t col_nr;
	uint32_t row_nr;
	uint32_t row_cap;
	char **titles;
	char **cells; /* row_nr * col_nr */
};

struct cli_table *
cli_table_create(const char *const *titles, uint32_t col_nr)
{
	struct cli_table *t = calloc(1, sizeof(*t));
	uint32_t i;

	if (t == NULL)
		return NULL;
	t->col_nr = col_nr;
	t->titles = calloc(col_nr, sizeof(*t->titles));
	for (i = 0; t->titles != NULL && i < col_nr; i++)
		t->titles[i] = strdup(titles[i]);
	return t;
}

void
cli_table_row(struct cli_table *t, const char *const *cells)
{
	uint32_t i;

	if (t == NULL)
		return;
	if (t->row_nr == t->row_cap) {
		uint32_t cap = t->row_cap == 0 ? 16 : 2 * t->row_cap;
		char **more = realloc(t->cells, (size_t)cap * t->col_nr * sizeof(*more));

		if (more == NULL)
			return;
		t->cells = more;
		t->row_cap = cap;
	}
	for (i = 0; i < t->col_nr; i++)
		t->cells[(size_t)t->row_nr * t->col_nr + i] =
		    strdup(cells[i] == NULL ? "" : cells[i]);
	t->row_nr++;
}

/* Columns are counted in characters, not bytes. */
static size_t
width(const char *s)
{
	size_t n = 0;

	for (; s != NULL && *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void
print_row(const struct cli_table *t, FILE *out, const char *indent, char *const *cells,
	  const size_t *widths)
{
	uint32_t i;

	fputs(indent, out);
	for (i = 0; i < t->col_nr; i++) {
		const char *cell = cells[i] == NULL ? "" : cells[i];

		fprintf(out, "%s%*s ", cell, (int)(widths[i] - width(cell)), "");
	}
	fputc('\n', out);
}

void
cli_table_print(const struct cli_table *t, FILE *out, const char *indent)
{
	size_t widths[64] = {0};
	uint32_t i, r;

	if (t == NULL || t->titles == NULL || t->col_nr > 64)
		return;
	if (indent == NULL)
		indent = "";
	for (i = 0; i < t->col_nr; i++) {
		widths[i] = width(t->titles[i]);
		for (r = 0; r < t->row_nr; r++) {
			size_t w = width(t->cells[(size_t)r * t->col_nr + i]);

			if (w > widths[i])
				widths[i] = w;
		}
	}
	print_row(t, out, indent, t->titles, widths);
	fputs(indent, out);
	for (i = 0; i < t->col_nr; i++) {
		size_t n = width(t->titles[i]);
		size_t j;

		for (j = 0; j < n; j++)
			fputc('-', out);
		fprintf(out, "%*s ", (int)(widths[i] - n), "");
	}
	fputc('\n', out);
	for (r = 0; r < t->row_nr; r++)
		print_row(t, out, indent, t->cells + (size_t)r * t->col_nr, widths);
}

void
cli_table_destroy(struct cli_table *t)
{
	size_t i;

	if (t == NULL)
		return;
	for (i = 0; t->titles != NULL && i < t->col_nr; i++)
		free(t->titles[i]);
	for (i = 0; i < (size_t)t->row_nr * t->col_nr; i++)
		free(t->cells[i]);
	free(t->titles);
	free(t->cells);
	free(t);
}

void
cli_pairs_print(FILE *out, const char *indent, const struct cli_pair *pairs, uint32_t nr)
{
	size_t key_w = 0, value_w = 0;
	uint32_t i;

	for (i = 0; i < nr; i++) {
		if (width(pairs[i].key) > key_w)
			key_w = width(pairs[i].key);
		if (width(pairs[i].value) > value_w)
			value_w = width(pairs[i].value);
	}
	for (i = 0; i < nr; i++)
		fprintf(out, "%s%s%*s: %s%*s\n", indent, pairs[i].key,
			(int)(key_w - width(pairs[i].key)), "",
			pairs[i].value == NULL ? "" : pairs[i].value,
			(int)(value_w - width(pairs[i].value)), "");
}
