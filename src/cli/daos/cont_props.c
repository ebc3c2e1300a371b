/*
 * Container properties as people write and read them: one table gives name, title, number, how the
 * value is written and whether create or set-prop may give it.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <daos_security.h>

#include "base/bytes.h"
#include "base/csum.h"
#include "cli/daos/daos_cmd.h"

enum kind { WORD, NUMBER, SIZE, TEXT, ACL, ROOTS, STATUS, DOMAIN };
enum { CREATE = 1, SET = 2 };

struct word {
	const char *name;
	uint64_t value;
};

struct prop {
	const char *name;
	const char *title;
	uint32_t type;
	enum kind kind;
	int when; /* CREATE | SET; 0: read-only */
	uint64_t min, max;
	const struct word *words;
	bool json_number;
};

static const struct word on_off[] = {{"off", 0}, {"on", 1}, {0}};
static const struct word csum_words[] = {{"off", DAOS_PROP_CO_CSUM_OFF},
					 {"adler32", DAOS_PROP_CO_CSUM_ADLER32},
					 {"crc16", DAOS_PROP_CO_CSUM_CRC16},
					 {"crc32", DAOS_PROP_CO_CSUM_CRC32},
					 {"crc64", DAOS_PROP_CO_CSUM_CRC64},
					 {"sha1", DAOS_PROP_CO_CSUM_SHA1},
					 {"sha256", DAOS_PROP_CO_CSUM_SHA256},
					 {"sha512", DAOS_PROP_CO_CSUM_SHA512},
					 {0}};
static const struct word compress_words[] = {
    {"off", DAOS_PROP_CO_COMPRESS_OFF},           {"lz4", DAOS_PROP_CO_COMPRESS_LZ4},
    {"deflate", DAOS_PROP_CO_COMPRESS_DEFLATE},   {"deflate1", DAOS_PROP_CO_COMPRESS_DEFLATE1},
    {"deflate2", DAOS_PROP_CO_COMPRESS_DEFLATE2}, {"deflate3", DAOS_PROP_CO_COMPRESS_DEFLATE3},
    {"deflate4", DAOS_PROP_CO_COMPRESS_DEFLATE4}, {0}};
static const struct word encrypt_words[] = {{"off", DAOS_PROP_CO_ENCRYPT_OFF},
					    {"aes-xts128", DAOS_PROP_CO_ENCRYPT_AES_XTS128},
					    {"aes-xts256", DAOS_PROP_CO_ENCRYPT_AES_XTS256},
					    {"aes-cbc128", DAOS_PROP_CO_ENCRYPT_AES_CBC128},
					    {"aes-cbc192", DAOS_PROP_CO_ENCRYPT_AES_CBC192},
					    {"aes-cbc256", DAOS_PROP_CO_ENCRYPT_AES_CBC256},
					    {"aes-gcm128", DAOS_PROP_CO_ENCRYPT_AES_GCM128},
					    {"aes-gcm256", DAOS_PROP_CO_ENCRYPT_AES_GCM256},
					    {0}};
static const struct word dedup_words[] = {{"off", DAOS_PROP_CO_DEDUP_OFF},
					  {"memcmp", DAOS_PROP_CO_DEDUP_MEMCMP},
					  {"hash", DAOS_PROP_CO_DEDUP_HASH},
					  {0}};
static const struct word level_words[] = {{"rank", DAOS_PROP_CO_REDUN_RANK},
					  {"node", DAOS_PROP_CO_REDUN_NODE},
					  {"1", DAOS_PROP_CO_REDUN_RANK},
					  {"2", DAOS_PROP_CO_REDUN_NODE},
					  {0}};
static const struct word domain_words[] = {{"root", 255}, {"group", 200}, {0}};
static const struct word bool_words[] = {{"false", 0}, {"true", 1}, {0}};
static const struct word layout_words[] = {
    {"unknown", DAOS_PROP_CO_LAYOUT_UNKNOWN}, {"POSIX", DAOS_PROP_CO_LAYOUT_POSIX},
    {"HDF5", DAOS_PROP_CO_LAYOUT_HDF5},       {"PYTHON", DAOS_PROP_CO_LAYOUT_PYTHON},
    {"SPARK", DAOS_PROP_CO_LAYOUT_SPARK},     {"DATABASE", DAOS_PROP_CO_LAYOUT_DATABASE},
    {"ROOT", DAOS_PROP_CO_LAYOUT_ROOT},       {"SEISMIC", DAOS_PROP_CO_LAYOUT_SEISMIC},
    {"METEO", DAOS_PROP_CO_LAYOUT_METEO},     {0}};

/* In the order of the output. */
static const struct prop props[] = {
    {"acl", "Access Control List", DAOS_PROP_CO_ACL, ACL, 0, 0, 0, NULL, false},
    {"alloc_oid", "Highest Allocated OID", DAOS_PROP_CO_ALLOCED_OID, NUMBER, 0, 0, 0, NULL, true},
    {"cksum", "Checksum", DAOS_PROP_CO_CSUM, WORD, CREATE, 0, 0, csum_words, false},
    {"cksum_size", "Checksum Chunk Size", DAOS_PROP_CO_CSUM_CHUNK_SIZE, SIZE, CREATE,
     CSUM_CHUNK_MIN, UINT32_MAX, NULL, true},
    {"compression", "Compression", DAOS_PROP_CO_COMPRESS, WORD, CREATE, 0, 0, compress_words,
     false},
    {"dedup", "Deduplication", DAOS_PROP_CO_DEDUP, WORD, CREATE, 0, 0, dedup_words, false},
    {"dedup_threshold", "Dedupe Threshold", DAOS_PROP_CO_DEDUP_THRESHOLD, SIZE, CREATE, 1,
     UINT32_MAX, NULL, true},
    {"ec_cell_sz", "EC Cell Size", DAOS_PROP_CO_EC_CELL_SZ, SIZE, CREATE, 4096, 1 << 20, NULL,
     true},
    {"ec_pda", "Performance domain affinity level of EC", DAOS_PROP_CO_EC_PDA, NUMBER, CREATE, 0,
     UINT32_MAX, NULL, false},
    {"encryption", "Encryption", DAOS_PROP_CO_ENCRYPT, WORD, CREATE, 0, 0, encrypt_words, false},
    {"global_version", "Global Version", DAOS_PROP_CO_GLOBAL_VERSION, NUMBER, 0, 0, 0, NULL, false},
    {"group", "Group", DAOS_PROP_CO_OWNER_GROUP, TEXT, 0, 0, 0, NULL, false},
    {"label", "Label", DAOS_PROP_CO_LABEL, TEXT, CREATE | SET, 0, 0, NULL, false},
    {"layout_type",
     "Layout Type (unknown, POSIX, HDF5, PYTHON, SPARK, DATABASE, ROOT, SEISMIC, METEO)",
     DAOS_PROP_CO_LAYOUT_TYPE, WORD, 0, 0, 0, layout_words, false},
    {"layout_version", "Layout Version", DAOS_PROP_CO_LAYOUT_VER, NUMBER, 0, 0, 0, NULL, true},
    {"max_snapshot", "Max Snapshot", DAOS_PROP_CO_SNAPSHOT_MAX, NUMBER, 0, 0, 0, NULL, true},
    {"obj_version", "Object Version", DAOS_PROP_CO_OBJ_VERSION, NUMBER, 0, 0, 0, NULL, false},
    {"owner", "Owner", DAOS_PROP_CO_OWNER, TEXT, 0, 0, 0, NULL, false},
    {"perf_domain", "Performance domain level", DAOS_PROP_CO_PERF_DOMAIN, DOMAIN, CREATE, 0, 0,
     domain_words, false},
    {"rd_fac", "Redundancy Factor (0-4)", DAOS_PROP_CO_REDUN_FAC, NUMBER, CREATE, 0, DAOS_RF_MAX,
     NULL, false},
    {"rd_lvl", "Redundancy Level (rank=1, node=2)", DAOS_PROP_CO_REDUN_LVL, WORD, CREATE, 0, 0,
     level_words, false},
    {"root_oids", "Root OIDs", DAOS_PROP_CO_ROOTS, ROOTS, 0, 0, 0, NULL, false},
    {"rp_pda", "Performance domain affinity level of RP", DAOS_PROP_CO_RP_PDA, NUMBER, CREATE, 0,
     UINT32_MAX, NULL, false},
    {"scrub_disabled", "Scrubber Disabled", DAOS_PROP_CO_SCRUBBER_DISABLED, WORD, 0, 0, 0,
     bool_words, false},
    {"srv_cksum", "Server Checksumming", DAOS_PROP_CO_CSUM_SERVER_VERIFY, WORD, CREATE, 0, 0,
     on_off, false},
    {"status", "Health", DAOS_PROP_CO_STATUS, STATUS, SET, 0, 0, NULL, false},
};
enum { PROP_NR = sizeof(props) / sizeof(props[0]) };

static const struct prop *
find(const char *name)
{
	size_t i;

	if (strcasecmp(name, "rf") == 0)
		name = "rd_fac";
	if (strcasecmp(name, "rf_lvl") == 0)
		name = "rd_lvl";
	for (i = 0; i < PROP_NR; i++)
		if (strcasecmp(props[i].name, name) == 0)
			return &props[i];
	return NULL;
}

static const char *
word_of(const struct word *words, uint64_t value)
{
	for (; words->name != NULL; words++)
		if (words->value == value)
			return words->name;
	return "unknown";
}

const char *
cont_layout_name(uint64_t layout)
{
	return word_of(layout_words, layout);
}

bool
cont_layout_parse(const char *name, uint64_t *ret_layout)
{
	const struct word *w;

	for (w = layout_words; w->name != NULL; w++) {
		if (strcasecmp(w->name, name) == 0) {
			*ret_layout = w->value;
			return true;
		}
	}
	return false;
}

const char *
cont_health_name(uint64_t status)
{
	struct daos_co_status st;

	daos_prop_val_2_co_status(status, &st);
	return st.dcs_status == DAOS_PROP_CO_HEALTHY ? "HEALTHY" : "UNCLEAN";
}

/* --- reading
 * ------------------------------------------------------------------------------------------ */

static bool
value_parse(const struct prop *p, const char *text, uint64_t *ret)
{
	const struct word *w;
	char *end;

	switch (p->kind) {
	case WORD:
	case DOMAIN:
		for (w = p->words; w->name != NULL; w++) {
			if (strcasecmp(w->name, text) == 0) {
				*ret = w->value;
				return true;
			}
		}
		return false;
	case SIZE:
		return bytes_parse(text, ret) == 0 && *ret >= p->min && *ret <= p->max &&
		       (p->type != DAOS_PROP_CO_EC_CELL_SZ || *ret % 32 == 0);
	case NUMBER:
		if (text[0] < '0' || text[0] > '9')
			return false;
		*ret = strtoull(text, &end, 10);
		return *end == '\0' && *ret >= p->min && *ret <= p->max;
	case STATUS:
		if (strcasecmp(text, "healthy") != 0)
			return false;
		*ret = DAOS_PROP_CO_STATUS_VAL(DAOS_PROP_CO_HEALTHY, DAOS_PROP_CO_CLEAR, 0);
		return true;
	default:
		return false;
	}
}

static int
fail_unknown(struct cli *cli, const char *name, int when)
{
	char valid[1024] = "";
	size_t used = 0, i;

	for (i = 0; i < PROP_NR && used < sizeof(valid); i++) {
		if ((props[i].when & when) == 0 && !(when == CREATE && props[i].kind == STATUS))
			continue;
		/* old names stand beside their successors */
		if (when == CREATE && strcmp(props[i].name, "rp_pda") == 0)
			used += snprintf(valid + used, sizeof(valid) - used, ",rf,rf_lvl");
		used += snprintf(valid + used, sizeof(valid) - used, "%s%s", used == 0 ? "" : ",",
				 props[i].name);
	}
	return cli_fail(cli, 0, "\"%s\" is not a settable property (valid: %s)", name, valid);
}

static int
pair_parse(struct cli *cli, char *pair, int when, struct daos_prop_entry *e)
{
	char *value = strchr(pair, ':');
	const struct prop *p;
	uint64_t v = 0;

	if (value == NULL || value == pair || value[1] == '\0')
		return cli_fail(cli, 0, "invalid property \"%s\" (must be key:val)", pair);
	*value++ = '\0';
	p = find(pair);
	if (p == NULL || (p->when & when) == 0)
		return fail_unknown(cli, pair, when);
	e->dpe_type = p->type;
	if (p->kind == TEXT) {
		if (!daos_label_is_valid(value))
			return cli_fail(cli, 0, "invalid label \"%s\"", value);
		e->dpe_str = strdup(value);
		return e->dpe_str == NULL ? cli_fail(cli, -DER_NOMEM, "out of memory") : 0;
	}
	if (!value_parse(p, value, &v))
		return cli_fail(cli, 0, "invalid value \"%s\" for property \"%s\"", value, p->name);
	e->dpe_val = v;
	return 0;
}

int
cont_props_parse(struct cli *cli, const char *text, bool set_prop, daos_prop_t **ret_prop)
{
	char *copy = strdup(text);
	daos_prop_t *prop;
	char *save = NULL;
	char *pair;
	uint32_t nr = 1, i;
	int rc = 0;

	for (i = 0; text[i] != '\0'; i++)
		nr += text[i] == ',';
	prop = copy == NULL ? NULL : daos_prop_alloc(nr);
	if (prop == NULL) {
		free(copy);
		return cli_fail(cli, -DER_NOMEM, "out of memory, or too many properties");
	}
	nr = 0;
	for (pair = strtok_r(copy, ",", &save); rc == 0 && pair != NULL;
	     pair = strtok_r(NULL, ",", &save))
		rc = pair_parse(cli, pair, set_prop ? SET : CREATE, &prop->dpp_entries[nr++]);
	free(copy);
	prop->dpp_nr = nr;
	for (i = 0; rc == 0 && i + 1 < nr; i++)
		if (prop->dpp_entries[i].dpe_type == prop->dpp_entries[nr - 1].dpe_type)
			rc = cli_fail(cli, 0, "a property is given twice in \"%s\"", text);
	if (rc == 0 && nr == 0)
		rc = cli_fail(cli, 0, "no property is given");
	if (rc != 0)
		daos_prop_free(prop);
	else
		*ret_prop = prop;
	return rc;
}

/* --- printing
 * ----------------------------------------------------------------------------------------- */

static char *
list_text(const json_t *list)
{
	char *text = NULL;
	size_t len = 0, i;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return NULL;
	for (i = 0; i < json_array_size(list); i++)
		fprintf(f, "%s%s", i == 0 ? "" : ", ", json_string_value(json_array_get(list, i)));
	fclose(f);
	return text;
}

static json_t *
acl_json(struct daos_acl *acl)
{
	json_t *a = json_array();
	char **strs = NULL;
	size_t nr = 0, i;

	if (acl == NULL || daos_acl_to_strs(acl, &strs, &nr) != 0)
		return a;
	for (i = 0; i < nr; i++) {
		json_array_append_new(a, json_string(strs[i]));
		free(strs[i]);
	}
	free(strs);
	return a;
}

static json_t *
roots_json(const struct daos_prop_co_roots *roots)
{
	json_t *a = json_array();
	char text[64];
	int i;

	for (i = 0; roots != NULL && i < 4; i++) {
		if (roots->cr_oids[i].hi == 0 && roots->cr_oids[i].lo == 0)
			continue;
		snprintf(text, sizeof(text), "%llu.%llu", (unsigned long long)roots->cr_oids[i].hi,
			 (unsigned long long)roots->cr_oids[i].lo);
		json_array_append_new(a, json_string(text));
	}
	return a;
}

/* The value as JSON, and as text in *ret_text (malloced). */
static json_t *
value_json(const struct prop *p, const struct daos_prop_entry *e, char **ret_text)
{
	char text[256] = "";
	json_t *o = NULL;

	switch (p->kind) {
	case WORD:
		snprintf(text, sizeof(text), "%s", word_of(p->words, e->dpe_val));
		break;
	case DOMAIN:
		snprintf(text, sizeof(text), "%s (%llu)", word_of(p->words, e->dpe_val),
			 (unsigned long long)e->dpe_val);
		break;
	case NUMBER:
		snprintf(text, sizeof(text), "%llu", (unsigned long long)e->dpe_val);
		break;
	case SIZE:
		bytes_fmt_bin(e->dpe_val, text);
		break;
	case TEXT:
		snprintf(text, sizeof(text), "%s",
			 e->dpe_str == NULL || strcmp(e->dpe_str, DAOS_PROP_NO_CO_LABEL) == 0
			     ? ""
			     : e->dpe_str);
		break;
	case STATUS:
		snprintf(text, sizeof(text), "%s", cont_health_name(e->dpe_val));
		break;
	case ACL:
		o = acl_json(e->dpe_val_ptr);
		break;
	case ROOTS:
		o = roots_json(e->dpe_val_ptr);
		break;
	}
	*ret_text = o != NULL ? list_text(o) : strdup(text);
	if (o == NULL)
		o = p->json_number ? json_integer(e->dpe_val) : json_string(text);
	return o;
}

/* Is name in the comma separated list? */
static bool
wanted(const struct prop *p, const char *names)
{
	while (*names != '\0') {
		size_t n = strcspn(names, ",");
		char one[64];

		snprintf(one, sizeof(one), "%.*s", (int)n, names);
		if (find(one) == p)
			return true;
		names += n + (names[n] == ',');
	}
	return false;
}

static int
names_check(struct cli *cli, const char *names)
{
	while (*names != '\0') {
		size_t n = strcspn(names, ",");
		char one[64];

		snprintf(one, sizeof(one), "%.*s", (int)n, names);
		if (find(one) == NULL)
			return cli_fail(cli, 0, "\"%s\" is not a known property", one);
		names += n + (names[n] == ',');
	}
	return 0;
}

int
cont_props_print(struct cli *cli, const char *cont, daos_prop_t *prop, const char *names)
{
	static const char *const titles[] = {"Name", "Value"};
	bool all = names == NULL || names[0] == '\0' || strcasecmp(names, "all") == 0;
	struct cli_table *t;
	json_t *list;
	size_t i;
	int rc;

	rc = all ? 0 : names_check(cli, names);
	if (rc != 0)
		return rc;
	t = cli_table_create(titles, 2);
	list = json_array();
	for (i = 0; i < PROP_NR; i++) {
		const struct prop *p = &props[i];
		struct daos_prop_entry *e = daos_prop_entry_get(prop, p->type);
		char name[160];
		char *text = NULL;
		json_t *v;

		if (e == NULL || !daos_prop_is_set(e) || (!all && !wanted(p, names)))
			continue;
		v = value_json(p, e, &text);
		snprintf(name, sizeof(name), "%s (%s)", p->title, p->name);
		cli_table_row(t, (const char *[]){name, text});
		json_array_append_new(list, json_pack("{s:o,s:s,s:s}", "value", v, "name", p->name,
						      "description", p->title));
		free(text);
	}
	fprintf(cli_out(cli), "Properties for container %s\n", cont);
	cli_table_print(t, cli_out(cli), "");
	cli_table_destroy(t);
	cli_respond(cli, list);
	return 0;
}
