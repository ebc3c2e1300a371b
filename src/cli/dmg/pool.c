/* dmg pool: create, destroy, list, query. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/bytes.h"
#include "cli/dmg/dmg.h"
#include "cli/pool/pool_text.h"

enum { SCM_MIN_PER_TARGET = 16 << 20 };
#define SCM_RATIO_DEFAULT 0.06

static bool
label_ok(const char *label)
{
	size_t len = strlen(label);

	return len > 0 && len <= 127 &&
	       strspn(label,
		      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:") == len;
}

/* --- create
 * ------------------------------------------------------------------------------------------ */

/* "6", "6,94", "6%,94%", "0.06,0.94": fraction of the first tier. */
static int
ratio_parse(struct cli *cli, const char *text, double *ret)
{
	char *end;
	double a = strtod(text, &end);
	double b;

	if (end == text || a < 0)
		goto bad;
	if (*end == '%')
		end++;
	if (*end == ',') {
		const char *second = end + 1;

		b = strtod(second, &end);
		if (end == second || b < 0)
			goto bad;
		if (*end == '%')
			end++;
		if (*end != '\0' || (fabs(a + b - 100) > 0.01 && fabs(a + b - 1) > 0.0001))
			goto bad;
		*ret = a / (a + b);
		return 0;
	}
	if (*end != '\0' || a > 100)
		goto bad;
	*ret = a / 100;
	return 0;
bad:
	return cli_fail(cli, -DER_INVAL,
			"--tier-ratio: '%s' is not a ratio of two tiers (as in 6,94)", text);
}

static int
size_opt(struct cli *cli, const char *opt, uint64_t *ret)
{
	const char *text = cli_value(cli, opt);
	int rc;

	*ret = 0;
	if (text == NULL)
		return 0;
	rc = bytes_parse(text, ret);
	if (rc != 0)
		return cli_fail(cli, rc, "--%s: '%s' is not a size (as in 50GB or 4TiB)", opt,
				text);
	return 0;
}

/* Free space per rank and tier: what a percentage is taken of. */
static int
free_space(struct cli *cli, uint64_t *ret_scm, uint64_t *ret_nvme)
{
	json_t *rep = NULL, *e;
	uint64_t scm = UINT64_MAX, nvme = UINT64_MAX;
	size_t i;
	int rc;

	rc = dmg_call(cli, "storage-usage", NULL, DMG_QUERY_MS, "pool create failed", &rep);
	if (rc != 0)
		return rc;
	json_array_foreach(json_object_get(rep, "engines"), i, e)
	{
		uint64_t s = json_u64(json_object_get(e, "scm"), "avail_bytes");
		uint64_t n = json_u64(json_object_get(e, "nvme"), "avail_bytes");

		scm = s < scm ? s : scm;
		nvme = n < nvme ? n : nvme;
	}
	json_decref(rep);
	*ret_scm = scm == UINT64_MAX ? 0 : scm;
	*ret_nvme = nvme == UINT64_MAX ? 0 : nvme;
	return 0;
}

static int
create_sizes(struct cli *cli, json_t *req)
{
	const char *size = cli_value(cli, "size");
	const char *ratio_text = cli_value(cli, "tier-ratio");
	char text[BYTES_STR_LEN], text2[BYTES_STR_LEN];
	double ratio = SCM_RATIO_DEFAULT, percent;
	uint64_t total, scm, nvme, meta, data;
	int rc;

	if ((rc = size_opt(cli, "scm-size", &scm)) != 0 ||
	    (rc = size_opt(cli, "nvme-size", &nvme)) != 0 ||
	    (rc = size_opt(cli, "meta-size", &meta)) != 0 ||
	    (rc = size_opt(cli, "data-size", &data)) != 0)
		return rc;
	scm = scm != 0 ? scm : meta;
	nvme = nvme != 0 ? nvme : data;
	if (size == NULL && scm == 0)
		return cli_fail(cli, -DER_INVAL,
				"the size is missing: give --size, or --scm-size and --nvme-size");
	if (size != NULL && (scm != 0 || nvme != 0))
		return cli_fail(cli, -DER_INVAL, "--size cannot be combined with sizes per tier");
	if (ratio_text != NULL && (rc = ratio_parse(cli, ratio_text, &ratio)) != 0)
		return rc;
	if (size == NULL) {
		fprintf(
		    cli_out(cli),
		    "Creating DAOS pool with manual per-engine storage allocation: %s SCM, %s NVMe "
		    "(%.2f%% ratio)\n",
		    bytes_fmt_dec(scm, text), bytes_fmt_dec(nvme, text2),
		    100.0 * scm / (double)(scm + nvme));
	} else if (percent_parse(size, &percent) == 0) {
		if (percent <= 0)
			return cli_fail(cli, -DER_INVAL,
					"Creating DAOS pool with invalid full size ratio %s: "
					"allowed range 0 < ratio <= 100",
					size);
		rc = free_space(cli, &scm, &nvme);
		if (rc != 0)
			return rc;
		scm = scm * (percent / 100);
		nvme = nvme * (percent / 100);
		fprintf(cli_out(cli), "Creating DAOS pool with %s of all storage\n", size);
	} else {
		if ((rc = size_opt(cli, "size", &total)) != 0)
			return rc;
		fprintf(cli_out(cli),
			"Creating DAOS pool with automatic storage allocation: %s total, %.2f%% "
			"storage "
			"tier ratio\n",
			bytes_fmt_dec(total, text), 100 * ratio);
		json_object_set_new(req, "total_bytes", json_integer(total));
		json_object_set_new(req, "scm_ratio", json_real(ratio));
		return 0;
	}
	json_object_set_new(req, "scm_bytes", json_integer(scm));
	json_object_set_new(req, "nvme_bytes", json_integer(nvme));
	return 0;
}

static int
create_ranks(struct cli *cli, json_t *req)
{
	const char *nranks = cli_value(cli, "nranks");
	json_t *ranks = NULL;
	int rc;

	rc = dmg_ranks_opt(cli, &ranks);
	if (rc != 0)
		return rc;
	if (ranks != NULL && nranks != NULL) {
		json_decref(ranks);
		return cli_fail(cli, -DER_INVAL, "--nranks and --ranks cannot be combined");
	}
	if (nranks != NULL) {
		json_t *rep = NULL, *m;
		char *end;
		unsigned long want = strtoul(nranks, &end, 10);
		size_t i;

		if (*end != '\0' || want == 0 || nranks[0] == '-')
			return cli_fail(cli, -DER_INVAL, "--nranks: '%s' is not a number of ranks",
					nranks);
		rc = dmg_call(cli, "system-query", NULL, DMG_QUERY_MS, "pool create failed", &rep);
		if (rc != 0)
			return rc;
		ranks = json_array();
		json_array_foreach(json_object_get(rep, "members"), i, m)
		{
			if (strcmp(json_str(m, "state"), "joined") == 0 &&
			    json_array_size(ranks) < want)
				json_array_append_new(ranks, json_integer(json_u64(m, "rank")));
		}
		json_decref(rep);
		if (json_array_size(ranks) < want) {
			rc =
			    cli_fail(cli, -DER_INVAL, "--nranks: %lu ranks wanted, %zu have joined",
				     want, json_array_size(ranks));
			json_decref(ranks);
			return rc;
		}
	}
	if (ranks != NULL)
		json_object_set_new(req, "ranks", ranks);
	return 0;
}

static void
create_print(struct cli *cli, const json_t *rep)
{
	json_t *tiers = json_object_get(rep, "tier_bytes");
	uint64_t scm = json_integer_value(json_array_get(tiers, 0));
	uint64_t nvme = json_integer_value(json_array_get(tiers, 1));
	uint32_t svc_nr, tgt_nr;
	uint32_t *svc = json_ranks(json_object_get(rep, "svc_reps"), &svc_nr);
	uint32_t *tgt = json_ranks(json_object_get(rep, "tgt_ranks"), &tgt_nr);
	char *svc_text = cli_ranks_text(svc, svc_nr, true);
	char *tgt_text = cli_ranks_text(tgt, tgt_nr, true);
	char leader[16], total[BYTES_STR_LEN], a[BYTES_STR_LEN], b[BYTES_STR_LEN];
	char tier0[96], tier1[96], title[128];
	double all = (double)scm + nvme;
	size_t i;

	snprintf(leader, sizeof(leader), "%u", (unsigned)json_u64(rep, "svc_ldr"));
	bytes_fmt_dec((scm + nvme) * tgt_nr, total);
	snprintf(tier0, sizeof(tier0), "%s (%s / rank)", bytes_fmt_dec(scm * tgt_nr, a),
		 bytes_fmt_dec(scm, b));
	snprintf(tier1, sizeof(tier1), "%s (%s / rank)", bytes_fmt_dec(nvme * tgt_nr, a),
		 bytes_fmt_dec(nvme, b));
	snprintf(title, sizeof(title), "Pool created with %.2f%%,%.2f%% storage tier ratio",
		 all == 0 ? 0 : 100 * scm / all, all == 0 ? 0 : 100 * nvme / all);
	fprintf(cli_out(cli), "%s\n", title);
	for (i = 0; i < strlen(title); i++)
		fputc('-', cli_out(cli));
	fputc('\n', cli_out(cli));
	cli_pairs_print(cli_out(cli), "  ",
			(struct cli_pair[]){
			    {"UUID", json_str(rep, "uuid")},
			    {"Service Leader", leader},
			    {"Service Ranks", svc_text},
			    {"Storage Ranks", tgt_text},
			    {"Total Size", total},
			    {"Storage tier 0 (SCM)", tier0},
			    {"Storage tier 1 (NVMe)", tier1},
			},
			7);
	fprintf(cli_out(cli), "\n");
	free(svc);
	free(tgt);
	free(svc_text);
	free(tgt_text);
}

static int
run_create(struct cli *cli)
{
	const char *label = cli_arg(cli, 0);
	json_t *req, *rep = NULL;
	json_t *props = NULL;
	char joined[300];
	int rc;

	if (cli_arg_nr(cli) > 1 || !label_ok(label)) {
		snprintf(joined, sizeof(joined), "%s%s%s", label, cli_arg_nr(cli) > 1 ? " " : "",
			 cli_arg_nr(cli) > 1 ? cli_arg(cli, 1) : "");
		return cli_fail(cli, -DER_INVAL, "invalid label \"%s\"", joined);
	}
	if (cli_value(cli, "acl-file") != NULL)
		return cli_fail(cli, -DER_NOSYS, "--acl-file is not supported yet");
	if (cli_value(cli, "nsvc") != NULL)
		return cli_fail(cli, -DER_NOSYS,
				"--nsvc is not supported: pools are served by the replicas of the "
				"management service, whose number follows from the ranks");
	req = json_pack("{s:s}", "label", label);
	rc = create_sizes(cli, req);
	if (rc == 0)
		rc = create_ranks(cli, req);
	if (rc == 0 && cli_value(cli, "properties") != NULL) {
		rc = pool_props_parse(cli, cli_value(cli, "properties"), &props);
		if (rc == 0)
			json_object_set_new(req, "props", props);
	}
	if (rc == 0 && cli_value(cli, "user") != NULL)
		json_object_set_new(req, "user", json_string(cli_value(cli, "user")));
	if (rc == 0 && cli_value(cli, "group") != NULL)
		json_object_set_new(req, "group", json_string(cli_value(cli, "group")));
	if (rc != 0) {
		json_decref(req);
		return rc;
	}
	rc = dmg_call(cli, "pool-create", req, DMG_CHANGE_MS, NULL, &rep);
	if (rc != 0)
		return rc;
	create_print(cli, rep);
	cli_respond(cli, rep);
	return 0;
}

/* --- the others
 * ----------------------------------------------------------------------------------------- */

static int
run_destroy(struct cli *cli)
{
	const char *pool = cli_arg(cli, 0);
	json_t *rep = NULL;
	int rc;

	rc = dmg_call(cli, "pool-destroy",
		      json_pack("{s:s,s:b,s:b}", "pool", pool, "force", cli_flag(cli, "force"),
				"recursive", cli_flag(cli, "recursive")),
		      DMG_CHANGE_MS, NULL, &rep);
	json_decref(rep);
	if (rc != 0)
		return rc;
	fprintf(cli_out(cli), "Pool-destroy command succeeded\n");
	return 0;
}

static int
run_list(struct cli *cli)
{
	json_t *rep = NULL;
	int rc;

	rc = dmg_call(cli, "pool-list", json_pack("{s:b}", "no_query", cli_flag(cli, "no-query")),
		      DMG_QUERY_MS, NULL, &rep);
	if (rc != 0)
		return rc;
	pool_list_print(cli, json_object_get(rep, "pools"), cli_flag(cli, "no-query"),
			cli_flag(cli, "verbose"));
	cli_respond(cli, rep);
	return 0;
}

static int
run_query(struct cli *cli)
{
	json_t *rep = NULL;
	int rc;

	rc = dmg_call(cli, "pool-query",
		      json_pack("{s:s,s:b}", "pool", cli_arg(cli, 0), "health_only",
				cli_flag(cli, "health-only")),
		      DMG_QUERY_MS, NULL, &rep);
	if (rc != 0)
		return rc;
	pool_query_print(cli, rep, cli_flag(cli, "show-enabled"));
	if (!cli_flag(cli, "show-enabled"))
		json_object_del(rep, "enabled_ranks");
	json_object_del(rep, "label");
	json_object_del(rep, "dead_ranks");
	cli_respond(cli, rep);
	return 0;
}

static const struct cli_opt create_opts[] = {
    {"size", 'z', "SIZE", "whole pool, as in 50GB, or percent of what is free", false},
    {"tier-ratio", 't', "A,B", "how --size is split over the tiers (default 6,94)", false},
    {"scm-size", 's', "SIZE", "SCM tier, per engine", false},
    {"nvme-size", 'n', "SIZE", "NVMe tier, per engine", false},
    {"meta-size", 0, "SIZE", "another name of --scm-size", false},
    {"data-size", 0, "SIZE", "another name of --nvme-size", false},
    {"nranks", 'k', "N", "on so many ranks", false},
    {"ranks", 'r', "RANKS", "on these ranks, as in 0-3,7", false},
    {"nsvc", 'v', "N", "replicas of the pool's service", false},
    {"properties", 'P', "NAME:VALUE,...", "properties of the pool", false},
    {"user", 'u', "NAME@", "owner", false},
    {"group", 'g', "NAME@", "owner group", false},
    {"acl-file", 'a', "FILE", "access control list", false},
    {0},
};
static const struct cli_opt destroy_opts[] = {
    {"recursive", 'r', NULL, "although it has containers", false},
    {"force", 'f', NULL, "although it is in use", false},
    {0},
};
static const struct cli_opt list_opts[] = {
    {"verbose", 'v', NULL, "UUIDs, replicas, tiers", false},
    {"no-query", 'n', NULL, "do not ask the pools for their space", false},
    {0},
};
static const struct cli_opt query_opts[] = {
    {"health-only", 't', NULL, "without the space", false},
    {"show-enabled", 'e', NULL, "show the enabled ranks", false},
    {0},
};
const struct cli_cmd dmg_pool_cmds[] = {
    {"create", NULL, "create a pool", "<pool label>", create_opts, NULL, run_create, 1, 2},
    {"destroy", NULL, "destroy a pool and everything in it", "<pool label or UUID>", destroy_opts,
     NULL, run_destroy, 1, 1},
    {"list", "ls", "the pools of the system", NULL, list_opts, NULL, run_list, 0, 0},
    {"query", NULL, "health and space of a pool", "<pool label or UUID>", query_opts, NULL,
     run_query, 1, 1},
    {0},
};
