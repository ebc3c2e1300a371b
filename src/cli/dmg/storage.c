/* dmg storage: capacity of the servers, formatting. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <daos_errno.h>

#include "base/bytes.h"
#include "cli/dmg/dmg.h"
#include "client/control/conf.h"
#include "client/control/http.h"

struct host_usage {
	char *host;
	json_t *rep; /* NULL: it did not answer */
	char err[HTTP_ERR_LEN];
};

/* Ask every host; one that does not answer is an entry with an error. */
static int
ask_hosts(struct cli *cli, const char *method, uint32_t timeout_ms, struct host_usage **ret,
	  uint32_t *ret_nr)
{
	char **hosts = NULL;
	struct host_usage *all;
	uint32_t nr = 0, i;
	uint16_t port;
	int rc;

	rc = dmg_hosts(cli, &hosts, &nr, &port);
	if (rc != 0)
		return rc;
	all = calloc(nr, sizeof(*all));
	if (all == NULL) {
		conf_hosts_free(hosts, nr);
		return cli_fail(cli, -DER_NOMEM, "out of memory");
	}
	for (i = 0; i < nr; i++) {
		all[i].host = hosts[i];
		if (http_call(hosts[i], port, method, NULL, timeout_ms, &all[i].rep, all[i].err) !=
		    0)
			all[i].rep = NULL;
	}
	free(hosts);
	*ret = all;
	*ret_nr = nr;
	return 0;
}

static void
usage_free(struct host_usage *all, uint32_t nr)
{
	uint32_t i;

	for (i = 0; i < nr; i++) {
		free(all[i].host);
		json_decref(all[i].rep);
	}
	free(all);
}

struct tier_sum {
	uint64_t total, avail;
};

static struct tier_sum
tier_sum(const json_t *rep, const char *tier)
{
	struct tier_sum s = {0};
	json_t *e;
	size_t i;

	json_array_foreach(json_object_get(rep, "engines"), i, e)
	{
		s.total += json_u64(json_object_get(e, tier), "total_bytes");
		s.avail += json_u64(json_object_get(e, tier), "avail_bytes");
	}
	return s;
}

static void
used_text(struct tier_sum s, char *buf, size_t len)
{
	if (s.total == 0)
		snprintf(buf, len, "N/A");
	else
		snprintf(buf, len, "%llu %%",
			 (unsigned long long)((s.total - s.avail) * 100 / s.total));
}

/* One host in the shape scripts know: tiers as namespaces with a mount each. */
static json_t *
host_json(const struct host_usage *h)
{
	json_t *scm = json_array(), *nvme = json_array(), *e;
	size_t i;

	json_array_foreach(json_object_get(h->rep, "engines"), i, e)
	{
		json_t *s = json_object_get(e, "scm");
		json_t *n = json_object_get(e, "nvme");

		json_array_append_new(
		    scm, json_pack("{s:s,s:s,s:s,s:I,s:I,s:{s:s,s:n,s:s,s:s,s:I,s:I,s:I,s:I}}",
				   "uuid", "", "blockdev", "file", "dev", "", "numa_node",
				   (json_int_t)0, "size", (json_int_t)json_u64(s, "total_bytes"),
				   "mount", "class", "file", "device_list", "info", "", "path",
				   json_str(s, "path"), "rank", (json_int_t)json_u64(s, "rank"),
				   "total_bytes", (json_int_t)json_u64(s, "total_bytes"),
				   "avail_bytes", (json_int_t)json_u64(s, "avail_bytes"),
				   "usable_bytes", (json_int_t)json_u64(s, "avail_bytes")));
		if (json_str(n, "path")[0] != '\0')
			json_array_append_new(
			    nvme, json_pack("{s:s,s:I,s:I,s:I}", "path", json_str(n, "path"),
					    "rank", (json_int_t)json_u64(n, "rank"), "total_bytes",
					    (json_int_t)json_u64(n, "total_bytes"), "avail_bytes",
					    (json_int_t)json_u64(n, "avail_bytes")));
	}
	return json_pack("{s:{s:o,s:n,s:o,s:n,s:n,s:b},s:s}", "storage", "nvme_devices", nvme,
			 "scm_modules", "scm_namespaces", scm, "scm_mount_points", "smd_info",
			 "reboot_required", 0, "hosts", json_str(h->rep, "host"));
}

static int
run_usage(struct cli *cli)
{
	static const char *const titles[] = {"Hosts",      "SCM-Total", "SCM-Free", "SCM-Used",
					     "NVMe-Total", "NVMe-Free", "NVMe-Used"};
	struct cli_table *t = cli_table_create(titles, 7);
	json_t *errors = json_object(), *storage = json_object();
	struct host_usage *all = NULL;
	uint32_t nr = 0, i, bad = 0;
	int rc;

	rc = ask_hosts(cli, "storage-usage", DMG_QUERY_MS, &all, &nr);
	for (i = 0; rc == 0 && i < nr; i++) {
		struct tier_sum scm, nvme;
		char c[6][BYTES_STR_LEN];
		char key[32];

		if (all[i].rep == NULL) {
			json_object_set_new(errors, all[i].host, json_string(all[i].err));
			fprintf(stderr, "ERROR: dmg: %s: %s\n", all[i].host, all[i].err);
			bad++;
			continue;
		}
		scm = tier_sum(all[i].rep, "scm");
		nvme = tier_sum(all[i].rep, "nvme");
		bytes_fmt_dec(scm.total, c[0]);
		bytes_fmt_dec(scm.avail, c[1]);
		used_text(scm, c[2], sizeof(c[2]));
		bytes_fmt_dec(nvme.total, c[3]);
		bytes_fmt_dec(nvme.avail, c[4]);
		used_text(nvme, c[5], sizeof(c[5]));
		cli_table_row(t, (const char *[]){all[i].host, c[0], c[1], c[2], c[3], c[4], c[5]});
		snprintf(key, sizeof(key), "%u", i + 1);
		json_object_set_new(storage, key, host_json(&all[i]));
	}
	if (rc == 0 && bad < nr)
		cli_table_print(t, cli_out(cli), "");
	cli_table_destroy(t);
	usage_free(all, nr);
	cli_respond(cli, json_pack("{s:o,s:o}", "host_errors", errors, "HostStorage", storage));
	if (rc == 0 && bad > 0)
		rc = cli_fail(cli, -DER_UNREACH, "%u of %u hosts did not answer", bad, nr);
	return rc;
}

/* --- devices and pools of the NVMe tier ------------------------------------------------------- */

struct smd_filter {
	uint32_t *ranks; /* NULL: all */
	uint32_t rank_nr;
	const char *uuid; /* NULL: all */
	bool evicted;
};

static bool
smd_wanted(const struct smd_filter *f, const json_t *o)
{
	const char *state = json_str(json_object_get(o, "ctrlr"), "dev_state");
	uint32_t i;

	if (f->uuid != NULL && strcasecmp(f->uuid, json_str(o, "uuid")) != 0)
		return false;
	if (f->evicted && strcmp(state, "EVICTED") != 0)
		return false;
	for (i = 0; i < f->rank_nr; i++)
		if (f->ranks[i] == json_u64(o, "rank"))
			return true;
	return f->rank_nr == 0;
}

static void
print_numbers(FILE *out, const char *name, const json_t *a)
{
	json_t *v;
	size_t i;

	fprintf(out, "%s:[", name);
	json_array_foreach(a, i, v)
	    fprintf(out, "%s%" JSON_INTEGER_FORMAT, i > 0 ? " " : "", json_integer_value(v));
	fprintf(out, "]");
}

static json_t *
smd_devices(FILE *out, const json_t *rep, const struct smd_filter *f)
{
	json_t *kept = json_array(), *o;
	size_t i;

	json_array_foreach(json_object_get(rep, "devices"), i, o)
	{
		json_t *ctrlr = json_object_get(o, "ctrlr");

		if (!smd_wanted(f, o))
			continue;
		if (json_array_size(kept) == 0)
			fprintf(out, "  Devices\n");
		json_array_append(kept, o);
		fprintf(out, "    UUID:%s [TrAddr:%s]\n      Roles:%s ", json_str(o, "uuid"),
			json_str(ctrlr, "pci_addr"), json_str(o, "roles"));
		print_numbers(out, "Targets", json_object_get(o, "tgt_ids"));
		fprintf(out, " Rank:%" JSON_INTEGER_FORMAT " State:%s LED:%s\n",
			json_integer_value(json_object_get(o, "rank")),
			json_str(ctrlr, "dev_state"), json_str(ctrlr, "led_state"));
	}
	if (json_array_size(kept) > 0)
		return kept;
	fprintf(out, "  No devices found\n");
	json_decref(kept);
	return json_null();
}

/* By uuid: what each rank has of it. */
static json_t *
smd_pools(FILE *out, const json_t *rep, const struct smd_filter *f, bool verbose)
{
	json_t *kept = json_object(), *list, *o;
	const char *uuid;
	size_t i;

	json_array_foreach(json_object_get(rep, "pools"), i, o)
	{
		if (!smd_wanted(f, o))
			continue;
		list = json_object_get(kept, json_str(o, "uuid"));
		if (list == NULL) {
			list = json_array();
			json_object_set_new(kept, json_str(o, "uuid"), list);
		}
		json_array_append(list, o);
	}
	fprintf(out, json_object_size(kept) > 0 ? "  Pools\n" : "  No pools with NVMe found\n");
	json_object_foreach(kept, uuid, list)
	{
		fprintf(out, "    UUID:%s\n", uuid);
		json_array_foreach(list, i, o)
		{
			fprintf(out, "      Rank:%" JSON_INTEGER_FORMAT " ",
				json_integer_value(json_object_get(o, "rank")));
			print_numbers(out, "Targets", json_object_get(o, "tgt_ids"));
			if (verbose)
				print_numbers(out, " Blobs", json_object_get(o, "blobs"));
			fprintf(out, "\n");
		}
		fprintf(out, "\n");
	}
	return kept;
}

static int
smd_query(struct cli *cli, bool devices)
{
	struct smd_filter f = {.uuid = cli_value(cli, "uuid")};
	json_t *errors = json_object(), *map = json_object();
	const char *ranks = cli_value(cli, "rank");
	struct host_usage *all = NULL;
	FILE *out = cli_out(cli);
	uint32_t nr = 0, i, bad = 0;
	int rc = 0;

	f.evicted = devices && cli_flag(cli, "show-evicted");
	if (ranks != NULL && cli_ranks_parse(ranks, &f.ranks, &f.rank_nr) != 0)
		rc = cli_fail(cli, -DER_INVAL, "--rank: '%s' is not a rank", ranks);
	if (rc == 0)
		rc = ask_hosts(cli, "storage-smd", DMG_QUERY_MS, &all, &nr);
	for (i = 0; rc == 0 && i < nr; i++) {
		json_t *dev = json_null(), *pools = json_object();
		char line[128], key[16];

		if (all[i].rep == NULL) {
			json_object_set_new(errors, all[i].host, json_string(all[i].err));
			fprintf(stderr, "ERROR: dmg: %s: %s\n", all[i].host, all[i].err);
			json_decref(pools);
			bad++;
			continue;
		}
		memset(line, '-', sizeof(line));
		line[strlen(all[i].host) < sizeof(line) ? strlen(all[i].host) : 127] = '\0';
		fprintf(out, "%s\n%s\n%s\n", line, all[i].host, line);
		if (devices) {
			dev = smd_devices(out, all[i].rep, &f);
		} else {
			json_decref(pools);
			pools = smd_pools(out, all[i].rep, &f, cli_flag(cli, "verbose"));
		}
		snprintf(key, sizeof(key), "%u", i + 1);
		json_object_set_new(map, key,
				    json_pack("{s:{s:n,s:n,s:n,s:n,s:{s:o,s:o},s:b,s:n},s:s}",
					      "storage", "nvme_devices", "scm_modules",
					      "scm_namespaces", "scm_mount_points", "smd_info",
					      "devices", dev, "pools", pools, "reboot_required", 0,
					      "mem_info", "hosts", json_str(all[i].rep, "host")));
	}
	usage_free(all, nr);
	free(f.ranks);
	cli_respond(cli, json_pack("{s:o,s:o}", "host_errors", errors, "host_storage_map", map));
	if (rc == 0 && bad > 0)
		rc = cli_fail(cli, -DER_UNREACH, "%u of %u hosts did not answer", bad, nr);
	return rc;
}

static int
run_list_devices(struct cli *cli)
{
	if (cli_flag(cli, "health"))
		return cli_fail(cli, -DER_NOTSUPPORTED,
				"--health: tiers that are files have no device health");
	return smd_query(cli, true);
}

static int
run_list_pools(struct cli *cli)
{
	return smd_query(cli, false);
}

static int
run_format(struct cli *cli)
{
	struct host_usage *all = NULL;
	uint32_t nr = 0, i, bad = 0;
	json_t *done = json_array();
	int rc;

	rc = ask_hosts(cli, "storage-format", DMG_CHANGE_MS, &all, &nr);
	for (i = 0; rc == 0 && i < nr; i++) {
		if (all[i].rep == NULL) {
			fprintf(stderr, "ERROR: dmg: %s: %s\n", all[i].host, all[i].err);
			bad++;
			continue;
		}
		fprintf(cli_out(cli), "%s: formatted the storage of %u engines\n", all[i].host,
			(unsigned)json_u64(all[i].rep, "engines"));
		json_array_append(done, all[i].rep);
	}
	usage_free(all, nr);
	cli_respond(cli, json_pack("{s:o}", "hosts", done));
	if (rc == 0 && bad > 0)
		rc = cli_fail(cli, -DER_MISC, "%u of %u hosts were not formatted", bad, nr);
	return rc;
}

static const struct cli_opt device_opts[] = {
    {"rank", 'r', "RANK", "only those of these ranks", false},
    {"health", 'b', NULL, "include device health", false},
    {"uuid", 'u', "UUID", "only this device", false},
    {"show-evicted", 'e', NULL, "only evicted devices", false},
    {0},
};
static const struct cli_opt pool_opts[] = {
    {"rank", 'r', "RANK", "only those of these ranks", false},
    {"uuid", 'u', "UUID", "only this pool", false},
    {"verbose", 'v', NULL, "with the files' inode numbers", false},
    {0},
};
static const struct cli_cmd query_cmds[] = {
    {"list-devices", NULL, "devices of the NVMe tier", NULL, device_opts, NULL, run_list_devices, 0,
     0},
    {"list-pools", NULL, "pools with NVMe on the servers", NULL, pool_opts, NULL, run_list_pools, 0,
     0},
    {"usage", NULL, "capacity and free space per host", NULL, NULL, NULL, run_usage, 0, 0},
    {0},
};
const struct cli_cmd dmg_storage_cmds[] = {
    {"format", NULL, "format storage that is not formatted and start its engines", NULL, NULL, NULL,
     run_format, 0, 0},
    {"query", NULL, "what the servers have", NULL, NULL, query_cmds, NULL, 0, 0},
    {0},
};
