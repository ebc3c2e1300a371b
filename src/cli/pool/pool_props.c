/* Properties of pools as people write them, by a table: name, number, how its value is read, and
 * its limits. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <daos_errno.h>
#include <daos_prop.h>

#include "base/bytes.h"
#include "cli/pool/pool_text.h"

enum value_kind { NUMBER, SIZE, PERCENT, WORD, FLAGS, TEXT, READ_ONLY };

struct word {
	const char *name;
	uint64_t value;
};

struct prop {
	const char *name;
	uint32_t type;
	enum value_kind kind;
	uint64_t min, max;
	const struct word *words;
};

static const struct word reclaim_words[] = {{"disabled", DAOS_RECLAIM_DISABLED},
					    {"lazy", DAOS_RECLAIM_LAZY},
					    {"time", DAOS_RECLAIM_TIME},
					    {0}};
static const struct word scrub_words[] = {{"off", DAOS_SCRUB_MODE_OFF},
					  {"lazy", DAOS_SCRUB_MODE_LAZY},
					  {"timed", DAOS_SCRUB_MODE_TIMED},
					  {0}};
static const struct word checkpoint_words[] = {{"disabled", DAOS_CHECKPOINT_DISABLED},
					       {"timed", DAOS_CHECKPOINT_TIMED},
					       {"lazy", DAOS_CHECKPOINT_LAZY},
					       {0}};
static const struct word reint_words[] = {{"data_sync", DAOS_REINT_MODE_DATA_SYNC},
					  {"no_data_sync", DAOS_REINT_MODE_NO_DATA_SYNC},
					  {"incremental", DAOS_REINT_MODE_INCREMENTAL},
					  {0}};
static const struct word domain_words[] = {
    {"root", DAOS_PROP_PERF_DOMAIN_ROOT}, {"group", DAOS_PROP_PERF_DOMAIN_GROUP}, {0}};
static const struct word heal_words[] = {{"none", 0},
					 {"exclude", DAOS_SELF_HEAL_AUTO_EXCLUDE},
					 {"rebuild", DAOS_SELF_HEAL_AUTO_REBUILD},
					 {"delay_rebuild", DAOS_SELF_HEAL_DELAY_REBUILD},
					 {0}};

static const struct prop props[] = {
    {"checkpoint", DAOS_PROP_PO_CHECKPOINT_MODE, WORD, 0, 0, checkpoint_words},
    {"checkpoint_freq", DAOS_PROP_PO_CHECKPOINT_FREQ, NUMBER, DAOS_PROP_PO_CHECKPOINT_FREQ_MIN,
     DAOS_PROP_PO_CHECKPOINT_FREQ_MAX, NULL},
    {"checkpoint_thresh", DAOS_PROP_PO_CHECKPOINT_THRESH, NUMBER,
     DAOS_PROP_PO_CHECKPOINT_THRESH_MIN, DAOS_PROP_PO_CHECKPOINT_THRESH_MAX, NULL},
    {"data_thresh", DAOS_PROP_PO_DATA_THRESH, SIZE, 0, UINT32_MAX, NULL},
    {"ec_cell_sz", DAOS_PROP_PO_EC_CELL_SZ, SIZE, 4096, 1 << 20, NULL},
    {"ec_pda", DAOS_PROP_PO_EC_PDA, NUMBER, 0, UINT32_MAX, NULL},
    {"global_version", DAOS_PROP_PO_GLOBAL_VERSION, READ_ONLY, 0, 0, NULL},
    {"label", DAOS_PROP_PO_LABEL, TEXT, 1, DAOS_PROP_LABEL_MAX_LEN, NULL},
    {"perf_domain", DAOS_PROP_PO_PERF_DOMAIN, WORD, 0, 0, domain_words},
    {"rd_fac", DAOS_PROP_PO_REDUN_FAC, NUMBER, 0, DAOS_PROP_PO_REDUN_FAC_MAX, NULL},
    {"reclaim", DAOS_PROP_PO_RECLAIM, WORD, 0, 0, reclaim_words},
    {"reintegration", DAOS_PROP_PO_REINT_MODE, WORD, 0, 0, reint_words},
    {"rp_pda", DAOS_PROP_PO_RP_PDA, NUMBER, 0, UINT32_MAX, NULL},
    {"scrub", DAOS_PROP_PO_SCRUB_MODE, WORD, 0, 0, scrub_words},
    {"scrub_freq", DAOS_PROP_PO_SCRUB_FREQ, NUMBER, 1, UINT32_MAX, NULL},
    {"scrub_thresh", DAOS_PROP_PO_SCRUB_THRESH, NUMBER, 0, UINT32_MAX, NULL},
    {"self_heal", DAOS_PROP_PO_SELF_HEAL, FLAGS, 0, 0, heal_words},
    {"space_rb", DAOS_PROP_PO_SPACE_RB, PERCENT, 0, 100, NULL},
    {"svc_list", DAOS_PROP_PO_SVC_LIST, READ_ONLY, 0, 0, NULL},
    {"svc_ops_enabled", DAOS_PROP_PO_SVC_OPS_ENABLED, NUMBER, 0, 1, NULL},
    {"svc_ops_entry_age", DAOS_PROP_PO_SVC_OPS_ENTRY_AGE, NUMBER,
     DAOS_PROP_PO_SVC_OPS_ENTRY_AGE_MIN, DAOS_PROP_PO_SVC_OPS_ENTRY_AGE_MAX, NULL},
    {"svc_rf", DAOS_PROP_PO_SVC_REDUN_FAC, NUMBER, 0, DAOS_PROP_PO_SVC_REDUN_FAC_MAX, NULL},
    {"upgrade_status", DAOS_PROP_PO_UPGRADE_STATUS, READ_ONLY, 0, 0, NULL},
};
enum { PROP_NR = sizeof(props) / sizeof(props[0]) };

static const struct prop *
find(const char *name)
{
	size_t i;

	if (strcasecmp(name, "rf") == 0) /* its old name */
		name = "rd_fac";
	for (i = 0; i < PROP_NR; i++)
		if (strcasecmp(props[i].name, name) == 0)
			return &props[i];
	return NULL;
}

static bool
word_value(const struct word *words, const char *text, size_t len, uint64_t *ret)
{
	for (; words->name != NULL; words++) {
		if (strlen(words->name) == len && strncasecmp(words->name, text, len) == 0) {
			*ret = words->value;
			return true;
		}
	}
	return false;
}

/* False: not a value of this property. */
static bool
value_parse(const struct prop *p, const char *text, uint64_t *ret)
{
	double percent;
	char *end;
	uint64_t v = 0, one;

	switch (p->kind) {
	case NUMBER:
		if (text[0] < '0' || text[0] > '9')
			return false;
		v = strtoull(text, &end, 10);
		if (*end != '\0')
			return false;
		break;
	case SIZE:
		if (bytes_parse(text, &v) != 0)
			return false;
		break;
	case PERCENT:
		if (strchr(text, '%') != NULL) {
			if (percent_parse(text, &percent) != 0)
				return false;
			v = percent;
		} else {
			v = strtoull(text, &end, 10);
			if (end == text || *end != '\0')
				return false;
		}
		break;
	case WORD:
		return word_value(p->words, text, strlen(text), ret);
	case FLAGS:
		for (;;) {
			size_t n = strcspn(text, ";");

			if (!word_value(p->words, text, n, &one))
				return false;
			v |= one;
			if (text[n] == '\0')
				break;
			text += n + 1;
		}
		*ret = v;
		return true;
	default:
		return false;
	}
	*ret = v;
	return v >= p->min && v <= p->max;
}

static int
fail_unknown(struct cli *cli, const char *name)
{
	char valid[1024];
	size_t used = 0, i;

	for (i = 0; i < PROP_NR && used < sizeof(valid); i++)
		used += snprintf(valid + used, sizeof(valid) - used, "%s%s", i == 0 ? "" : ",",
				 props[i].name);
	return cli_fail(cli, 0, "\"%s\" is not a settable property (valid: %s)", name, valid);
}

static int
one_parse(struct cli *cli, char *pair, json_t *list)
{
	char *value = strchr(pair, ':');
	const struct prop *p;
	uint64_t num = 0;

	if (value == NULL || value == pair || value[1] == '\0')
		return cli_fail(cli, 0, "invalid property \"%s\" (must be name:value)", pair);
	*value++ = '\0';
	p = find(pair);
	if (p == NULL)
		return fail_unknown(cli, pair);
	if (p->kind == READ_ONLY)
		return cli_fail(cli, 0, "property \"%s\" is read-only", p->name);
	if (p->kind == TEXT) {
		if (strlen(value) > p->max)
			return cli_fail(cli, 0, "invalid value for \"%s\": longer than %llu bytes",
					p->name, (unsigned long long)p->max);
		json_array_append_new(
		    list, json_pack("{s:I,s:s}", "type", (json_int_t)p->type, "str", value));
		return 0;
	}
	if (!value_parse(p, value, &num))
		return cli_fail(cli, 0, "invalid value \"%s\" for property \"%s\"", value, p->name);
	json_array_append_new(
	    list, json_pack("{s:I,s:I}", "type", (json_int_t)p->type, "num", (json_int_t)num));
	return 0;
}

int
pool_props_parse(struct cli *cli, const char *text, json_t **ret_props)
{
	char *copy = strdup(text);
	json_t *list = json_array();
	char *save = NULL;
	char *pair;
	int rc = 0;

	if (copy == NULL || list == NULL)
		rc = cli_fail(cli, -DER_NOMEM, "out of memory");
	for (pair = rc != 0 ? NULL : strtok_r(copy, ",", &save); rc == 0 && pair != NULL;
	     pair = strtok_r(NULL, ",", &save))
		rc = one_parse(cli, pair, list);
	free(copy);
	if (rc != 0)
		json_decref(list);
	else
		*ret_props = list;
	return rc;
}
