/*
 * The property table, see prop_desc.h.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <daos_errno.h>

#include "client/common/prop_desc.h"

#include "base/csum.h"

#define KIB 1024ull
#define MIB (1024ull * KIB)
#define RW  (PROP_CREATE | PROP_SET)

static const struct prop_word reclaim_words[] = {{"disabled", DAOS_RECLAIM_DISABLED},
						 {"lazy", DAOS_RECLAIM_LAZY},
						 {"time", DAOS_RECLAIM_TIME},
						 {0}};
static const struct prop_word self_heal_words[] = {{"none", 0},
						   {"exclude", DAOS_SELF_HEAL_AUTO_EXCLUDE},
						   {"rebuild", DAOS_SELF_HEAL_AUTO_REBUILD},
						   {"delay_rebuild", DAOS_SELF_HEAL_DELAY_REBUILD},
						   {0}};
static const struct prop_word domain_words[] = {
    {"root", DAOS_PROP_PERF_DOMAIN_ROOT}, {"group", DAOS_PROP_PERF_DOMAIN_GROUP}, {0}};
static const struct prop_word scrub_words[] = {{"off", DAOS_SCRUB_MODE_OFF},
					       {"lazy", DAOS_SCRUB_MODE_LAZY},
					       {"timed", DAOS_SCRUB_MODE_TIMED},
					       {0}};
static const struct prop_word checkpoint_words[] = {{"disabled", DAOS_CHECKPOINT_DISABLED},
						    {"timed", DAOS_CHECKPOINT_TIMED},
						    {"lazy", DAOS_CHECKPOINT_LAZY},
						    {0}};
static const struct prop_word reint_words[] = {{"data_sync", DAOS_REINT_MODE_DATA_SYNC},
					       {"no_data_sync", DAOS_REINT_MODE_NO_DATA_SYNC},
					       {"incremental", DAOS_REINT_MODE_INCREMENTAL},
					       {0}};
static const struct prop_word upgrade_words[] = {{"not started", DAOS_UPGRADE_STATUS_NOT_STARTED},
						 {"in progress", DAOS_UPGRADE_STATUS_IN_PROGRESS},
						 {"completed", DAOS_UPGRADE_STATUS_COMPLETED},
						 {"failed", DAOS_UPGRADE_STATUS_FAILED},
						 {0}};
static const struct prop_word layout_words[] = {
    {"unknown", DAOS_PROP_CO_LAYOUT_UNKNOWN}, {"POSIX", DAOS_PROP_CO_LAYOUT_POSIX},
    {"HDF5", DAOS_PROP_CO_LAYOUT_HDF5},       {"PYTHON", DAOS_PROP_CO_LAYOUT_PYTHON},
    {"SPARK", DAOS_PROP_CO_LAYOUT_SPARK},     {"DATABASE", DAOS_PROP_CO_LAYOUT_DATABASE},
    {"ROOT", DAOS_PROP_CO_LAYOUT_ROOT},       {"SEISMIC", DAOS_PROP_CO_LAYOUT_SEISMIC},
    {"METEO", DAOS_PROP_CO_LAYOUT_METEO},     {0}};
static const struct prop_word csum_words[] = {{"off", DAOS_PROP_CO_CSUM_OFF},
					      {"crc16", DAOS_PROP_CO_CSUM_CRC16},
					      {"crc32", DAOS_PROP_CO_CSUM_CRC32},
					      {"crc64", DAOS_PROP_CO_CSUM_CRC64},
					      {"sha1", DAOS_PROP_CO_CSUM_SHA1},
					      {"sha256", DAOS_PROP_CO_CSUM_SHA256},
					      {"sha512", DAOS_PROP_CO_CSUM_SHA512},
					      {"adler32", DAOS_PROP_CO_CSUM_ADLER32},
					      {0}};
static const struct prop_word on_off_words[] = {{"off", 0}, {"on", 1}, {0}};
static const struct prop_word bool_words[] = {{"false", 0}, {"true", 1}, {0}};
static const struct prop_word level_words[] = {
    {"rank", DAOS_PROP_CO_REDUN_RANK}, {"node", DAOS_PROP_CO_REDUN_NODE}, {0}};
static const struct prop_word dedup_words[] = {{"off", DAOS_PROP_CO_DEDUP_OFF},
					       {"memcmp", DAOS_PROP_CO_DEDUP_MEMCMP},
					       {"hash", DAOS_PROP_CO_DEDUP_HASH},
					       {0}};
static const struct prop_word compress_words[] = {
    {"off", DAOS_PROP_CO_COMPRESS_OFF},           {"lz4", DAOS_PROP_CO_COMPRESS_LZ4},
    {"deflate", DAOS_PROP_CO_COMPRESS_DEFLATE},   {"deflate1", DAOS_PROP_CO_COMPRESS_DEFLATE1},
    {"deflate2", DAOS_PROP_CO_COMPRESS_DEFLATE2}, {"deflate3", DAOS_PROP_CO_COMPRESS_DEFLATE3},
    {"deflate4", DAOS_PROP_CO_COMPRESS_DEFLATE4}, {0}};
static const struct prop_word encrypt_words[] = {{"off", DAOS_PROP_CO_ENCRYPT_OFF},
						 {"aes-xts128", DAOS_PROP_CO_ENCRYPT_AES_XTS128},
						 {"aes-xts256", DAOS_PROP_CO_ENCRYPT_AES_XTS256},
						 {"aes-cbc128", DAOS_PROP_CO_ENCRYPT_AES_CBC128},
						 {"aes-cbc192", DAOS_PROP_CO_ENCRYPT_AES_CBC192},
						 {"aes-cbc256", DAOS_PROP_CO_ENCRYPT_AES_CBC256},
						 {"aes-gcm128", DAOS_PROP_CO_ENCRYPT_AES_GCM128},
						 {"aes-gcm256", DAOS_PROP_CO_ENCRYPT_AES_GCM256},
						 {0}};
/* The only status a user may set; see DAOS_PROP_CO_STATUS_VAL(). */
static const struct prop_word status_words[] = {
    {"healthy", DAOS_PROP_CO_STATUS_VAL(DAOS_PROP_CO_HEALTHY, DAOS_PROP_CO_CLEAR, 0)}, {0}};

/* clang-format off */
static const struct prop_desc pool_descs[] = {
    {.type = DAOS_PROP_PO_LABEL, .name = "label", .kind = PROP_STR, .flags = RW},
    {.type = DAOS_PROP_PO_ACL, .name = "acl", .kind = PROP_ACL, .flags = RW},
    {.type = DAOS_PROP_PO_SPACE_RB, .name = "space_rb", .flags = RW, .max = 100, .dflt = 5},
    {.type = DAOS_PROP_PO_SELF_HEAL, .name = "self_heal", .flags = RW | PROP_FLAGS,
     .words = self_heal_words, .max = 7,
     .dflt = DAOS_SELF_HEAL_AUTO_EXCLUDE | DAOS_SELF_HEAL_AUTO_REBUILD},
    {.type = DAOS_PROP_PO_RECLAIM, .name = "reclaim", .flags = RW, .words = reclaim_words,
     .max = DAOS_RECLAIM_TIME, .dflt = DAOS_RECLAIM_LAZY},
    {.type = DAOS_PROP_PO_OWNER, .name = "owner", .kind = PROP_STR, .flags = PROP_CREATE},
    {.type = DAOS_PROP_PO_OWNER_GROUP, .name = "group", .kind = PROP_STR, .flags = PROP_CREATE},
    {.type = DAOS_PROP_PO_SVC_LIST, .name = "svc_list", .kind = PROP_RANKS},
    {.type = DAOS_PROP_PO_EC_CELL_SZ, .name = "ec_cell_sz", .flags = RW | PROP_BYTES,
     .min = 4 * KIB, .max = MIB, .multiple = 32, .dflt = 128 * KIB},
    {.type = DAOS_PROP_PO_DATA_THRESH, .name = "data_thresh", .flags = RW | PROP_BYTES,
     .max = UINT32_MAX, .dflt = DAOS_PROP_PO_DATA_THRESH_DEFAULT},
    {.type = DAOS_PROP_PO_REDUN_FAC, .name = "rd_fac", .old_name = "rf", .flags = RW,
     .max = DAOS_PROP_PO_REDUN_FAC_MAX, .dflt = DAOS_PROP_PO_REDUN_FAC_DEFAULT},
    {.type = DAOS_PROP_PO_EC_PDA, .name = "ec_pda", .flags = RW, .max = UINT32_MAX,
     .dflt = DAOS_PROP_PO_EC_PDA_DEFAULT},
    {.type = DAOS_PROP_PO_RP_PDA, .name = "rp_pda", .flags = RW, .max = UINT32_MAX,
     .dflt = DAOS_PROP_PO_RP_PDA_DEFAULT},
    {.type = DAOS_PROP_PO_GLOBAL_VERSION, .name = "global_version", .max = UINT32_MAX},
    {.type = DAOS_PROP_PO_UPGRADE_STATUS, .name = "upgrade_status", .words = upgrade_words,
     .max = DAOS_UPGRADE_STATUS_FAILED},
    {.type = DAOS_PROP_PO_SCRUB_MODE, .name = "scrub", .flags = RW, .words = scrub_words,
     .max = DAOS_SCRUB_MODE_TIMED, .dflt = DAOS_PROP_PO_SCRUB_MODE_DEFAULT},
    {.type = DAOS_PROP_PO_SCRUB_FREQ, .name = "scrub_freq", .flags = RW, .max = UINT64_MAX,
     .dflt = DAOS_PROP_PO_SCRUB_FREQ_DEFAULT},
    {.type = DAOS_PROP_PO_SCRUB_THRESH, .name = "scrub_thresh", .flags = RW, .max = UINT64_MAX,
     .dflt = DAOS_PROP_PO_SCRUB_THRESH_DEFAULT},
    {.type = DAOS_PROP_PO_SVC_REDUN_FAC, .name = "svc_rf", .flags = PROP_CREATE,
     .max = DAOS_PROP_PO_SVC_REDUN_FAC_MAX, .dflt = DAOS_PROP_PO_SVC_REDUN_FAC_DEFAULT},
    {.type = DAOS_PROP_PO_OBJ_VERSION, .name = "obj_version", .max = UINT32_MAX},
    {.type = DAOS_PROP_PO_PERF_DOMAIN, .name = "perf_domain", .flags = PROP_CREATE,
     .words = domain_words, .min = DAOS_PROP_PERF_DOMAIN_GROUP, .max = DAOS_PROP_PERF_DOMAIN_ROOT,
     .dflt = DAOS_PROP_PO_PERF_DOMAIN_DEFAULT},
    {.type = DAOS_PROP_PO_CHECKPOINT_MODE, .name = "checkpoint", .flags = RW,
     .words = checkpoint_words, .max = DAOS_CHECKPOINT_LAZY,
     .dflt = DAOS_PROP_PO_CHECKPOINT_MODE_DEFAULT},
    {.type = DAOS_PROP_PO_CHECKPOINT_FREQ, .name = "checkpoint_freq", .flags = RW,
     .min = DAOS_PROP_PO_CHECKPOINT_FREQ_MIN, .max = DAOS_PROP_PO_CHECKPOINT_FREQ_MAX,
     .dflt = DAOS_PROP_PO_CHECKPOINT_FREQ_DEFAULT},
    {.type = DAOS_PROP_PO_CHECKPOINT_THRESH, .name = "checkpoint_thresh", .flags = RW,
     .min = DAOS_PROP_PO_CHECKPOINT_THRESH_MIN, .max = DAOS_PROP_PO_CHECKPOINT_THRESH_MAX,
     .dflt = DAOS_PROP_PO_CHECKPOINT_THRESH_DEFAULT},
    {.type = DAOS_PROP_PO_REINT_MODE, .name = "reintegration", .flags = RW, .words = reint_words,
     .max = DAOS_REINT_MODE_INCREMENTAL, .dflt = DAOS_PROP_PO_REINT_MODE_DEFAULT},
    {.type = DAOS_PROP_PO_SVC_OPS_ENABLED, .name = "svc_ops_enabled", .flags = RW, .max = 1,
     .dflt = DAOS_PROP_PO_SVC_OPS_ENABLED_DEFAULT},
    {.type = DAOS_PROP_PO_SVC_OPS_ENTRY_AGE, .name = "svc_ops_entry_age", .flags = RW,
     .min = DAOS_PROP_PO_SVC_OPS_ENTRY_AGE_MIN, .max = DAOS_PROP_PO_SVC_OPS_ENTRY_AGE_MAX,
     .dflt = DAOS_PROP_PO_SVC_OPS_ENTRY_AGE_DEFAULT},
};

static const struct prop_desc cont_descs[] = {
    {.type = DAOS_PROP_CO_LABEL, .name = "label", .kind = PROP_STR, .flags = RW},
    {.type = DAOS_PROP_CO_LAYOUT_TYPE, .name = "layout_type", .words = layout_words,
     .max = DAOS_PROP_CO_LAYOUT_MAX - 1},
    {.type = DAOS_PROP_CO_LAYOUT_VER, .name = "layout_version", .max = UINT64_MAX, .dflt = 1},
    {.type = DAOS_PROP_CO_CSUM, .name = "cksum", .flags = PROP_CREATE, .words = csum_words,
     .max = DAOS_PROP_CO_CSUM_ADLER32, .dflt = DAOS_PROP_CO_CSUM_OFF},
    {.type = DAOS_PROP_CO_CSUM_CHUNK_SIZE, .name = "cksum_size", .flags = PROP_CREATE | PROP_BYTES,
     .min = CSUM_CHUNK_MIN, .max = UINT32_MAX, .dflt = 32 * KIB},
    {.type = DAOS_PROP_CO_CSUM_SERVER_VERIFY, .name = "srv_cksum", .flags = PROP_CREATE,
     .words = on_off_words, .max = 1, .dflt = DAOS_PROP_CO_CSUM_SV_OFF},
    {.type = DAOS_PROP_CO_REDUN_FAC, .name = "rd_fac", .old_name = "rf", .flags = PROP_CREATE,
     .max = DAOS_RF_MAX},
    {.type = DAOS_PROP_CO_REDUN_LVL, .name = "rd_lvl", .old_name = "rf_lvl", .flags = PROP_CREATE,
     .words = level_words, .min = DAOS_PROP_CO_REDUN_MIN, .max = DAOS_PROP_CO_REDUN_MAX,
     .dflt = DAOS_PROP_CO_REDUN_DEFAULT},
    {.type = DAOS_PROP_CO_SNAPSHOT_MAX, .name = "max_snapshot", .max = UINT64_MAX},
    {.type = DAOS_PROP_CO_ACL, .name = "acl", .kind = PROP_ACL},
    {.type = DAOS_PROP_CO_COMPRESS, .name = "compression", .flags = PROP_CREATE,
     .words = compress_words, .max = DAOS_PROP_CO_COMPRESS_DEFLATE4},
    {.type = DAOS_PROP_CO_ENCRYPT, .name = "encryption", .flags = PROP_CREATE,
     .words = encrypt_words, .max = DAOS_PROP_CO_ENCRYPT_AES_GCM256},
    {.type = DAOS_PROP_CO_OWNER, .name = "owner", .kind = PROP_STR},
    {.type = DAOS_PROP_CO_OWNER_GROUP, .name = "group", .kind = PROP_STR},
    {.type = DAOS_PROP_CO_DEDUP, .name = "dedup", .flags = PROP_CREATE, .words = dedup_words,
     .max = DAOS_PROP_CO_DEDUP_HASH},
    {.type = DAOS_PROP_CO_DEDUP_THRESHOLD, .name = "dedup_threshold",
     .flags = PROP_CREATE | PROP_BYTES, .min = 4 * KIB, .max = UINT32_MAX, .dflt = 4 * KIB},
    {.type = DAOS_PROP_CO_ROOTS, .name = "root_oids", .kind = PROP_ROOTS},
    {.type = DAOS_PROP_CO_STATUS, .name = "status", .flags = PROP_SET, .words = status_words,
     .max = UINT64_MAX},
    {.type = DAOS_PROP_CO_ALLOCED_OID, .name = "alloc_oid", .max = UINT64_MAX},
    {.type = DAOS_PROP_CO_EC_CELL_SZ, .name = "ec_cell_sz", .flags = PROP_CREATE | PROP_BYTES,
     .min = 4 * KIB, .max = MIB, .multiple = 32, .dflt = 128 * KIB},
    {.type = DAOS_PROP_CO_EC_PDA, .name = "ec_pda", .flags = PROP_CREATE, .max = UINT32_MAX,
     .dflt = DAOS_PROP_PO_EC_PDA_DEFAULT},
    {.type = DAOS_PROP_CO_RP_PDA, .name = "rp_pda", .flags = PROP_CREATE, .max = UINT32_MAX,
     .dflt = DAOS_PROP_PO_RP_PDA_DEFAULT},
    {.type = DAOS_PROP_CO_GLOBAL_VERSION, .name = "global_version", .max = UINT32_MAX},
    {.type = DAOS_PROP_CO_SCRUBBER_DISABLED, .name = "scrub_disabled", .words = bool_words,
     .max = 1},
    {.type = DAOS_PROP_CO_OBJ_VERSION, .name = "obj_version", .max = UINT32_MAX},
    {.type = DAOS_PROP_CO_PERF_DOMAIN, .name = "perf_domain", .flags = PROP_CREATE,
     .words = domain_words, .min = DAOS_PROP_PERF_DOMAIN_GROUP, .max = DAOS_PROP_PERF_DOMAIN_ROOT,
     .dflt = DAOS_PROP_CO_PERF_DOMAIN_DEFAULT},
};
/* clang-format on */

#define ROW_NR(table) (sizeof(table) / sizeof((table)[0]))

_Static_assert(ROW_NR(pool_descs) == DAOS_PROP_PO_NUM, "a pool property has no description");
_Static_assert(ROW_NR(cont_descs) == DAOS_PROP_CO_NUM, "a container property has no description");

const struct prop_desc *
prop_descs(bool pool, size_t *ret_nr)
{
	*ret_nr = pool ? ROW_NR(pool_descs) : ROW_NR(cont_descs);
	return pool ? pool_descs : cont_descs;
}

const struct prop_desc *
prop_desc_of(uint32_t type)
{
	if (type > DAOS_PROP_PO_MIN && type < DAOS_PROP_PO_MAX)
		return &pool_descs[type - DAOS_PROP_PO_MIN - 1];
	if (type > DAOS_PROP_CO_MIN && type < DAOS_PROP_CO_MAX)
		return &cont_descs[type - DAOS_PROP_CO_MIN - 1];
	return NULL;
}

static bool
text_eq(const char *word, const char *text, size_t text_len)
{
	return word != NULL && strlen(word) == text_len && strncasecmp(word, text, text_len) == 0;
}

const struct prop_desc *
prop_desc_named(bool pool, const char *name, size_t name_len)
{
	const struct prop_desc *descs;
	size_t nr;
	size_t i;

	descs = prop_descs(pool, &nr);
	for (i = 0; i < nr; i++)
		if (text_eq(descs[i].name, name, name_len) ||
		    text_eq(descs[i].old_name, name, name_len))
			return &descs[i];
	return NULL;
}

bool
prop_num_is_valid(const struct prop_desc *desc, uint64_t val)
{
	if (desc->kind != PROP_NUM || val < desc->min || val > desc->max)
		return false;
	if (desc->multiple != 0 && val % desc->multiple != 0)
		return false;
	/* Between the two performance domain levels there is nothing. */
	if (desc->words == domain_words)
		return val == DAOS_PROP_PERF_DOMAIN_ROOT || val == DAOS_PROP_PERF_DOMAIN_GROUP;
	return true;
}

static const struct prop_word *
word_find(const struct prop_word *words, const char *text, size_t text_len)
{
	for (; words != NULL && words->word != NULL; words++)
		if (text_eq(words->word, text, text_len))
			return words;
	return NULL;
}

/* Words separated by semicolons. */
static int
flags_parse(const struct prop_desc *desc, const char *text, size_t text_len, uint64_t *ret_val)
{
	const char *end = text + text_len;
	uint64_t val = 0;

	while (text < end) {
		const char *semi = memchr(text, ';', (size_t)(end - text));
		size_t len = (size_t)((semi != NULL ? semi : end) - text);
		const struct prop_word *word = word_find(desc->words, text, len);

		if (word == NULL)
			return -DER_INVAL;
		val |= word->val;
		text += len + 1;
	}
	*ret_val = val;
	return 0;
}

/* Factor of a size suffix: k, kB: 1000 (but a lone k: 1024, as programs use it), KiB: 1024. */
static uint64_t
suffix_factor(const char *text, size_t len)
{
	static const char units[] = "kmgt";
	const char *unit;
	uint64_t base = 1024;
	uint64_t factor = 1;

	if (len == 0 || (len == 1 && tolower((unsigned char)text[0]) == 'b'))
		return 1;
	unit = strchr(units, tolower((unsigned char)text[0]));
	if (unit == NULL)
		return 0;
	if (len == 2 && tolower((unsigned char)text[1]) == 'b')
		base = 1000;
	else if (len != 1 && !(len == 3 && strncasecmp(text + 1, "ib", 2) == 0))
		return 0;
	for (; unit >= units; unit--)
		factor *= base;
	return factor;
}

int
prop_num_parse(const struct prop_desc *desc, const char *text, size_t text_len, uint64_t *ret_val)
{
	const struct prop_word *word = word_find(desc->words, text, text_len);
	uint64_t factor = 1;
	uint64_t val;
	char buf[32];
	char *end;

	if (desc->kind != PROP_NUM || text_len == 0 || text_len >= sizeof(buf))
		return -DER_INVAL;
	if (word != NULL) {
		*ret_val = word->val;
		return 0;
	}
	if (desc->flags & PROP_FLAGS)
		return flags_parse(desc, text, text_len, ret_val);
	/* A status has no number that a user could mean. */
	if (desc->words == status_words)
		return -DER_INVAL;
	memcpy(buf, text, text_len);
	buf[text_len] = '\0';
	errno = 0;
	val = strtoull(buf, &end, 10);
	if (!isdigit((unsigned char)buf[0]) || errno != 0)
		return -DER_INVAL;
	if (desc->flags & PROP_BYTES) {
		end += strspn(end, " ");
		factor = suffix_factor(end, strlen(end));
	} else if (desc->type == DAOS_PROP_PO_SPACE_RB && strcmp(end, "%") == 0) {
		end++;
	}
	if (!(desc->flags & PROP_BYTES) && *end != '\0')
		return -DER_INVAL;
	if (factor == 0 || val > UINT64_MAX / factor || !prop_num_is_valid(desc, val * factor))
		return -DER_INVAL;
	*ret_val = val * factor;
	return 0;
}

static int
flags_print(const struct prop_desc *desc, uint64_t val, char *buf, size_t size)
{
	const struct prop_word *word;
	int len = 0;

	for (word = desc->words; word->word != NULL; word++) {
		bool is_none = word->val == 0;

		if (is_none ? val != 0 : (val & word->val) == 0)
			continue;
		len += snprintf(buf + ((size_t)len < size ? (size_t)len : size),
				(size_t)len < size ? size - (size_t)len : 0, "%s%s",
				len > 0 ? ";" : "", word->word);
	}
	return len;
}

int
prop_num_print(const struct prop_desc *desc, uint64_t val, char *buf, size_t size)
{
	const struct prop_word *word;

	if (desc->flags & PROP_FLAGS)
		return flags_print(desc, val, buf, size);
	if (desc->words == status_words) {
		struct daos_co_status status;

		daos_prop_val_2_co_status(val, &status);
		return snprintf(buf, size, "%s",
				status.dcs_status == DAOS_PROP_CO_HEALTHY ? "HEALTHY" : "UNCLEAN");
	}
	for (word = desc->words; word != NULL && word->word != NULL; word++)
		if (word->val == val)
			return snprintf(buf, size, "%s", word->word);
	return snprintf(buf, size, "%llu", (unsigned long long)val);
}
