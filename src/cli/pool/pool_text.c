/* Pools in words: see pool_text.h. Input is the JSON that -j prints, so both forms always agree. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cli/pool/pool_text.h"

static uint64_t
u64(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static const char *
str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s == NULL ? "" : s;
}

static char *
ranks_text(const json_t *a, bool brackets)
{
	uint32_t nr = json_array_size(a);
	uint32_t *v = calloc(nr + 1, sizeof(*v));
	char *text;
	uint32_t i;

	for (i = 0; v != NULL && i < nr; i++)
		v[i] = json_integer_value(json_array_get(a, i));
	text = v == NULL ? NULL : cli_ranks_text(v, nr, brackets);
	free(v);
	return text;
}

static void
ranks_line(FILE *out, const char *title, const json_t *a)
{
	char *text;

	if (json_array_size(a) == 0)
		return;
	text = ranks_text(a, false);
	fprintf(out, "- %s ranks: %s\n", title, text == NULL ? "?" : text);
	free(text);
}

static const char *
tier_name(const json_t *tier)
{
	return strcmp(str(tier, "media_type"), "scm") == 0 ? "SCM" : "NVME";
}

static void
health_print(FILE *out, const json_t *pool, bool show_enabled)
{
	const json_t *rb = json_object_get(pool, "rebuild");

	fprintf(out, "Pool health info:\n");
	if (show_enabled)
		ranks_line(out, "Enabled", json_object_get(pool, "enabled_ranks"));
	ranks_line(out, "Disabled", json_object_get(pool, "disabled_ranks"));
	ranks_line(out, "Dead", json_object_get(pool, "dead_ranks"));
	if (!json_is_object(rb))
		fprintf(out, "- No rebuild status available.\n");
	else if (json_integer_value(json_object_get(rb, "status")) == 0)
		fprintf(out, "- Rebuild %s, %llu objs, %llu recs\n", str(rb, "derived_state"),
			(unsigned long long)u64(rb, "objects"),
			(unsigned long long)u64(rb, "records"));
	else
		fprintf(out, "- Rebuild %s (state=%s, status=%lld)\n", str(rb, "derived_state"),
			str(rb, "state"),
			(long long)json_integer_value(json_object_get(rb, "status")));
	fprintf(out, "- Data redundancy: %s\n",
		json_is_true(json_object_get(rb, "degraded")) ? "degraded" : "normal");
}

void
pool_query_print(struct cli *cli, const json_t *pool, bool show_enabled)
{
	FILE *out = cli_out(cli);
	const json_t *tiers = json_object_get(pool, "tier_stats");
	char a[BYTES_STR_LEN], b[BYTES_STR_LEN], c[BYTES_STR_LEN], d[BYTES_STR_LEN];
	size_t i;

	fprintf(out, "Pool %s, ntarget=%llu, disabled=%llu, leader=%llu, version=%llu, state=%s\n",
		str(pool, "uuid"), (unsigned long long)u64(pool, "total_targets"),
		(unsigned long long)u64(pool, "disabled_targets"),
		(unsigned long long)u64(pool, "svc_ldr"), (unsigned long long)u64(pool, "version"),
		str(pool, "state"));
	if (u64(pool, "pool_layout_ver") != u64(pool, "upgrade_layout_ver"))
		fprintf(out,
			"Pool layout out of date (%llu < %llu) -- see `dmg pool upgrade` for "
			"details.\n",
			(unsigned long long)u64(pool, "pool_layout_ver"),
			(unsigned long long)u64(pool, "upgrade_layout_ver"));
	health_print(out, pool, show_enabled);
	if (!json_is_array(tiers))
		return;
	fprintf(out, "Pool space info:\n- Target count:%llu\n",
		(unsigned long long)u64(pool, "active_targets"));
	for (i = 0; i < json_array_size(tiers); i++) {
		const json_t *t = json_array_get(tiers, i);

		fprintf(out,
			"- Storage tier %zu (%s):\n  Total size: %s\n  Free: %s, min:%s, max:%s, "
			"mean:%s\n",
			i, tier_name(t), bytes_fmt_dec(u64(t, "total"), a),
			bytes_fmt_dec(u64(t, "free"), b), bytes_fmt_dec(u64(t, "min"), c),
			bytes_fmt_dec(u64(t, "max"), d),
			bytes_fmt_dec(u64(t, "mean"), (char[BYTES_STR_LEN]){0}));
	}
}

/* --- lists
 * ------------------------------------------------------------------------------------------ */

struct cells {
	char text[12][64];
	const char *row[12];
};

static void
percent(char out[64], uint64_t part, uint64_t whole)
{
	snprintf(out, 64, "%llu%%", whole == 0 ? 0ull : (unsigned long long)(part * 100 / whole));
}

static const json_t *
tier(const json_t *pool, size_t i)
{
	return json_array_get(json_object_get(pool, "tier_stats"), i);
}

static uint64_t
imbalance(const json_t *pool, size_t i)
{
	return u64(json_array_get(json_object_get(pool, "usage"), i), "imbalance");
}

/* Sizes add up over the tiers; usage is that of the fuller one. */
static void
row_normal(const json_t *pool, struct cells *c)
{
	uint64_t total = 0, used_max = 0, imb = 0;
	char size[BYTES_STR_LEN];
	size_t i;

	for (i = 0; i < 2; i++) {
		uint64_t t = u64(tier(pool, i), "total");
		uint64_t used = t == 0 ? 0 : (t - u64(tier(pool, i), "free")) * 100 / t;

		total += t;
		used_max = used > used_max ? used : used_max;
		imb = imbalance(pool, i) > imb ? imbalance(pool, i) : imb;
	}
	snprintf(c->text[1], 64, "%s", bytes_fmt_dec(total, size));
	snprintf(c->text[3], 64, "%llu%%", (unsigned long long)used_max);
	snprintf(c->text[4], 64, "%llu%%", (unsigned long long)imb);
	snprintf(c->text[5], 64, "%llu/%llu", (unsigned long long)u64(pool, "disabled_targets"),
		 (unsigned long long)u64(pool, "total_targets"));
	snprintf(c->text[2], 64, "%s", str(pool, "state"));
}

static void
row_verbose(const json_t *pool, struct cells *c)
{
	char size[BYTES_STR_LEN];
	char *svc = ranks_text(json_object_get(pool, "svc_reps"), true);
	const json_t *rb = json_object_get(pool, "rebuild");
	size_t i;

	snprintf(c->text[1], 64, "%s", str(pool, "uuid"));
	snprintf(c->text[2], 64, "%s", str(pool, "state"));
	snprintf(c->text[3], 64, "%s", svc == NULL ? "" : svc);
	for (i = 0; i < 2; i++) {
		uint64_t total = u64(tier(pool, i), "total");
		uint64_t used = total - u64(tier(pool, i), "free");

		snprintf(c->text[4 + 3 * i], 64, "%s", bytes_fmt_dec(total, size));
		snprintf(c->text[5 + 3 * i], 64, "%s", bytes_fmt_dec(used, size));
		percent(c->text[6 + 3 * i], imbalance(pool, i), 100);
	}
	snprintf(c->text[10], 64, "%llu/%llu", (unsigned long long)u64(pool, "disabled_targets"),
		 (unsigned long long)u64(pool, "total_targets"));
	snprintf(c->text[11], 64, "%s", json_is_object(rb) ? str(rb, "derived_state") : "unknown");
	free(svc);
}

void
pool_list_print(struct cli *cli, const json_t *pools, bool brief, bool verbose)
{
	static const char *const brief_titles[] = {"Pool", "State"};
	static const char *const titles[] = {"Pool", "Size",      "State",
					     "Used", "Imbalance", "Disabled"};
	static const char *const verbose_titles[] = {
	    "Label",    "UUID",           "State",        "SvcReps",   "SCM Size",
	    "SCM Used", "SCM Imbalance",  "NVME Size",    "NVME Used", "NVME Imbalance",
	    "Disabled", "UpgradeNeeded?", "Rebuild State"};
	struct cli_table *t;
	size_t i, j;

	if (json_array_size(pools) == 0) {
		fprintf(cli_out(cli), "No pools in system\n");
		return;
	}
	if (verbose)
		t = cli_table_create(verbose_titles, 13);
	else
		t = brief ? cli_table_create(brief_titles, 2) : cli_table_create(titles, 6);
	for (i = 0; i < json_array_size(pools); i++) {
		const json_t *pool = json_array_get(pools, i);
		const char *name =
		    str(pool, "label")[0] != '\0' ? str(pool, "label") : str(pool, "uuid");
		struct cells c = {0};
		const char *row[13];

		if (verbose)
			row_verbose(pool, &c);
		else if (brief)
			snprintf(c.text[1], 64, "%s", str(pool, "state"));
		else
			row_normal(pool, &c);
		row[0] = name;
		for (j = 1; j < 11; j++)
			row[j] = c.text[j];
		row[11] = "None";
		row[12] = c.text[11];
		cli_table_row(t, row);
	}
	cli_table_print(t, cli_out(cli), "");
	cli_table_destroy(t);
	fprintf(cli_out(cli), "\n");
}
