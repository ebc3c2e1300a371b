/* User attributes: the same four verbs for pools and containers. */
#include <stdlib.h>
#include <string.h>

#include "cli/daos/daos_cmd.h"

enum { ATTR_NR_MAX = 4096, ATTR_NAME_MAX = 511 };

struct names {
	char *text; /* owns the characters */
	const char *v[ATTR_NR_MAX];
	int nr;
};

static int
names_fetch(struct cli *cli, const struct attr_target *t, struct names *n)
{
	size_t size = 0;
	char *p;
	int rc;

	rc = t->list(t->h, NULL, &size, NULL);
	if (rc == 0 && size > 0) {
		n->text = calloc(1, size + 1);
		rc = n->text == NULL ? -DER_NOMEM : t->list(t->h, n->text, &size, NULL);
	}
	if (rc != 0)
		return cli_fail_der(cli, rc, "failed to list attributes for %s %s", t->kind,
				    t->name);
	for (p = n->text; p != NULL && p < n->text + size && *p != '\0' && n->nr < ATTR_NR_MAX;
	     p += strlen(p) + 1)
		n->v[n->nr++] = p;
	return 0;
}

static int
names_split(struct cli *cli, const char *keys, struct names *n)
{
	char *save = NULL;
	char *p;

	n->text = strdup(keys);
	for (p = n->text == NULL ? NULL : strtok_r(n->text, ",", &save); p != NULL;
	     p = strtok_r(NULL, ",", &save)) {
		if (n->nr == ATTR_NR_MAX || strlen(p) > ATTR_NAME_MAX)
			return cli_fail(
			    cli, 0, "attribute name \"%.64s\" is too long, or there are too many",
			    p);
		n->v[n->nr++] = p;
	}
	return n->nr == 0 ? cli_fail(cli, 0, "no attribute is named") : 0;
}

static void
values_free(char **values, int nr)
{
	int i;

	for (i = 0; values != NULL && i < nr; i++)
		free(values[i]);
	free(values);
}

/* Values of the named attributes; sizes[] their lengths. */
static int
values_fetch(struct cli *cli, const struct attr_target *t, const struct names *n,
	     char ***ret_values, size_t *sizes)
{
	char **values = calloc(n->nr + 1, sizeof(*values));
	int i, rc;

	for (i = 0; i < n->nr; i++)
		sizes[i] = 0;
	rc = values == NULL ? -DER_NOMEM : t->get(t->h, n->nr, n->v, NULL, sizes, NULL);
	if (rc != 0) {
		free(values);
		return cli_fail_der(
		    cli, rc, "failed to get attributes for %s %s: failed to get %s attribute sizes",
		    t->kind, t->name, t->kind);
	}
	for (i = 0; i < n->nr && rc == 0; i++) {
		values[i] = calloc(1, sizes[i] + 1);
		rc = values[i] == NULL ? -DER_NOMEM : 0;
	}
	if (rc == 0)
		rc = t->get(t->h, n->nr, n->v, (void *const *)values, sizes, NULL);
	if (rc != 0) {
		values_free(values, n->nr);
		return cli_fail_der(cli, rc, "failed to get attributes for %s %s", t->kind,
				    t->name);
	}
	*ret_values = values;
	return 0;
}

/* Values are bytes, so JSON carries them in base64. */
static json_t *
base64(const char *data, size_t len)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *text = malloc(4 * ((len + 2) / 3) + 1);
	json_t *o;
	size_t i, n = 0;

	if (text == NULL)
		return json_null();
	for (i = 0; i < len; i += 3) {
		uint32_t v = (uint8_t)data[i] << 16;

		v |= i + 1 < len ? (uint8_t)data[i + 1] << 8 : 0;
		v |= i + 2 < len ? (uint8_t)data[i + 2] : 0;
		text[n++] = digits[v >> 18];
		text[n++] = digits[v >> 12 & 63];
		text[n++] = i + 1 < len ? digits[v >> 6 & 63] : '=';
		text[n++] = i + 2 < len ? digits[v & 63] : '=';
	}
	text[n] = '\0';
	o = json_string(text);
	free(text);
	return o;
}

static void
print_title(struct cli *cli, const struct attr_target *t, int nr)
{
	fprintf(cli_out(cli), "Attributes for %s %s:\n", t->kind, t->name);
	if (nr == 0)
		fprintf(cli_out(cli), "  No attributes found.\n");
}

static int
print_values(struct cli *cli, const struct attr_target *t, const struct names *n, bool single)
{
	static const char *const titles[] = {"Name", "Value"};
	size_t *sizes = calloc(n->nr + 1, sizeof(*sizes));
	struct cli_table *table;
	char **values = NULL;
	json_t *list;
	int rc, i;

	rc = sizes == NULL ? cli_fail(cli, -DER_NOMEM, "out of memory") : 0;
	if (rc == 0 && n->nr > 0)
		rc = values_fetch(cli, t, n, &values, sizes);
	if (rc != 0) {
		free(sizes);
		return rc;
	}
	print_title(cli, t, n->nr);
	table = cli_table_create(titles, 2);
	list = json_array();
	for (i = 0; i < n->nr; i++) {
		cli_table_row(table, (const char *[]){n->v[i], values[i]});
		json_array_append_new(list, json_pack("{s:s,s:o}", "name", n->v[i], "value",
						      base64(values[i], sizes[i])));
	}
	if (n->nr > 0)
		cli_table_print(table, cli_out(cli), "");
	cli_table_destroy(table);
	if (single && n->nr == 1) {
		cli_respond(cli, json_incref(json_array_get(list, 0)));
		json_decref(list);
	} else {
		cli_respond(cli, list);
	}
	values_free(values, n->nr);
	free(sizes);
	return 0;
}

static void
print_names(struct cli *cli, const struct attr_target *t, const struct names *n)
{
	static const char *const titles[] = {"Name"};
	struct cli_table *table = cli_table_create(titles, 1);
	json_t *list = json_array();
	int i;

	print_title(cli, t, n->nr);
	for (i = 0; i < n->nr; i++) {
		cli_table_row(table, &n->v[i]);
		json_array_append_new(list, json_string(n->v[i]));
	}
	if (n->nr > 0)
		cli_table_print(table, cli_out(cli), "");
	cli_table_destroy(table);
	cli_respond(cli, list);
}

int
attr_list(struct cli *cli, const struct attr_target *t, bool with_values)
{
	struct names *n = calloc(1, sizeof(*n));
	int rc;

	if (n == NULL)
		return cli_fail(cli, -DER_NOMEM, "out of memory");
	rc = names_fetch(cli, t, n);
	if (rc == 0 && with_values)
		rc = print_values(cli, t, n, false);
	else if (rc == 0)
		print_names(cli, t, n);
	free(n->text);
	free(n);
	return rc;
}

int
attr_get(struct cli *cli, const struct attr_target *t, const char *keys)
{
	struct names *n = calloc(1, sizeof(*n));
	int rc;

	if (n == NULL)
		return cli_fail(cli, -DER_NOMEM, "out of memory");
	rc = keys == NULL ? names_fetch(cli, t, n) : names_split(cli, keys, n);
	if (rc == 0)
		rc = print_values(cli, t, n, keys != NULL);
	free(n->text);
	free(n);
	return rc;
}

int
attr_set(struct cli *cli, const struct attr_target *t, const char *pairs)
{
	struct names *n = calloc(1, sizeof(*n));
	const void *values[256];
	size_t sizes[256];
	int rc, i;

	if (n == NULL)
		return cli_fail(cli, -DER_NOMEM, "out of memory");
	rc = names_split(cli, pairs, n);
	if (rc == 0 && n->nr > 256)
		rc = cli_fail(cli, 0, "too many attributes in one command (at most 256)");
	for (i = 0; rc == 0 && i < n->nr; i++) {
		char *colon = strchr(n->v[i], ':');

		if (colon == NULL || colon == n->v[i] || colon[1] == '\0') {
			rc =
			    cli_fail(cli, 0, "invalid attribute \"%s\" (must be key:val)", n->v[i]);
			break;
		}
		*colon = '\0';
		values[i] = colon + 1;
		sizes[i] = strlen(colon + 1);
	}
	if (rc == 0) {
		rc = t->set(t->h, n->nr, n->v, values, sizes, NULL);
		if (rc != 0)
			rc = cli_fail_der(cli, rc, "failed to set attributes on %s %s", t->kind,
					  t->name);
		else
			fprintf(cli_out(cli), "Attributes successfully set on %s \"%s\"\n", t->kind,
				t->name);
	}
	free(n->text);
	free(n);
	return rc;
}

int
attr_del(struct cli *cli, const struct attr_target *t, const char *keys)
{
	struct names *n = calloc(1, sizeof(*n));
	int rc;

	if (n == NULL)
		return cli_fail(cli, -DER_NOMEM, "out of memory");
	rc = names_split(cli, keys, n);
	if (rc == 0) {
		rc = t->del(t->h, n->nr, n->v, NULL);
		if (rc != 0)
			rc = cli_fail_der(cli, rc, "failed to delete attributes on %s %s", t->kind,
					  t->name);
		else
			fprintf(cli_out(cli), "Attribute(s) %s successfully deleted on %s \"%s\"\n",
				keys, t->kind, t->name);
	}
	free(n->text);
	free(n);
	return rc;
}
