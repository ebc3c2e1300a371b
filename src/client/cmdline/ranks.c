/* Lists of ranks as people write them: "0-3,7". */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "client/cmdline/cli.h"

enum { RANK_TEXT_MAX = 1 << 20 }; /* ranks in one list */

static int
cmp_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static uint32_t
sort_unique(uint32_t *v, uint32_t nr)
{
	uint32_t i, n = 0;

	qsort(v, nr, sizeof(*v), cmp_u32);
	for (i = 0; i < nr; i++)
		if (n == 0 || v[n - 1] != v[i])
			v[n++] = v[i];
	return n;
}

char *
cli_ranks_text(const uint32_t *ranks, uint32_t nr, bool brackets)
{
	uint32_t *v = malloc((nr + 1) * sizeof(*v));
	char *text = NULL;
	size_t len = 0;
	FILE *f = v == NULL ? NULL : open_memstream(&text, &len);
	uint32_t i, j, n;

	if (f == NULL) {
		free(v);
		return NULL;
	}
	if (nr > 0)
		memcpy(v, ranks, nr * sizeof(*v));
	n = sort_unique(v, nr);
	if (brackets && n > 1)
		fputc('[', f);
	for (i = 0; i < n; i = j) {
		for (j = i + 1; j < n && v[j] == v[j - 1] + 1; j++)
			;
		fprintf(f, "%s%u", i == 0 ? "" : ",", v[i]);
		if (j - i > 1)
			fprintf(f, "-%u", v[j - 1]);
	}
	if (brackets && n > 1)
		fputc(']', f);
	fclose(f);
	free(v);
	return text;
}

/* One number without sign or blanks; moves *p behind it. */
static bool
parse_u32(const char **p, uint32_t *ret)
{
	unsigned long n;
	char *end;

	if (**p < '0' || **p > '9')
		return false;
	errno = 0;
	n = strtoul(*p, &end, 10);
	if (errno != 0 || n > UINT32_MAX - 1)
		return false;
	*p = end;
	*ret = n;
	return true;
}

int
cli_ranks_parse(const char *text, uint32_t **ret_ranks, uint32_t *ret_nr)
{
	const char *p = text;
	bool bracket = *p == '[';
	uint32_t *v = NULL;
	uint32_t nr = 0, cap = 0;

	p += bracket;
	for (;;) {
		uint32_t a, b;

		if (!parse_u32(&p, &a))
			goto bad;
		b = a;
		if (*p == '-') {
			p++;
			if (!parse_u32(&p, &b))
				goto bad;
		}
		if (b < a || b - a >= RANK_TEXT_MAX || nr + (b - a) >= RANK_TEXT_MAX)
			goto bad;
		if (nr + (b - a) + 1 > cap) {
			uint32_t *more;

			cap = 2 * (nr + (b - a) + 1);
			more = realloc(v, cap * sizeof(*v));
			if (more == NULL) {
				free(v);
				return -DER_NOMEM;
			}
			v = more;
		}
		for (; a <= b; a++)
			v[nr++] = a;
		if (*p != ',')
			break;
		p++;
	}
	if (bracket && *p++ != ']')
		goto bad;
	if (*p != '\0')
		goto bad;
	*ret_nr = sort_unique(v, nr);
	*ret_ranks = v;
	return 0;
bad:
	free(v);
	return -DER_INVAL;
}

json_t *
cli_json_ranks(const uint32_t *ranks, uint32_t nr)
{
	json_t *a = json_array();
	uint32_t i;

	for (i = 0; i < nr; i++)
		json_array_append_new(a, json_integer(ranks[i]));
	return a;
}
