/* dmg system: the ranks of the system, starting and stopping them. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "cli/dmg/dmg.h"

static const struct {
	const char *word;  /* in JSON */
	const char *title; /* for people */
} states[] = {
    {"unknown", "Unknown"},
    {"awaitformat", "AwaitFormat"},
    {"starting", "Starting"},
    {"ready", "Ready"},
    {"joined", "Joined"},
    {"stopping", "Stopping"},
    {"stopped", "Stopped"},
    {"excluded", "Excluded"},
    {"adminexcluded", "AdminExcluded"},
    {"errored", "Errored"},
    {"unresponsive", "Unresponsive"},
    {"checkerstarted", "CheckerStarted"},
};

static const char *
state_title(const char *word)
{
	size_t i;

	for (i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcasecmp(states[i].word, word) == 0)
			return states[i].title;
	return "Unknown";
}

/* --- which members are shown
 * ---------------------------------------------------------------------- */

static int
check_states(struct cli *cli)
{
	const char *p = cli_value(cli, "with-states");

	while (p != NULL && *p != '\0') {
		size_t n = strcspn(p, ",");
		size_t i;

		for (i = 0; i < sizeof(states) / sizeof(states[0]); i++)
			if (strlen(states[i].word) == n && strncasecmp(states[i].word, p, n) == 0)
				break;
		if (i == sizeof(states) / sizeof(states[0]))
			return cli_fail(cli, -DER_INVAL, "--with-states: '%.*s' is not a state",
					(int)n, p);
		p += n + (p[n] == ',');
	}
	return 0;
}

static bool
in_states(const char *list, const char *word)
{
	size_t len = strlen(word);

	while (*list != '\0') {
		size_t n = strcspn(list, ",");

		if (n == len && strncasecmp(list, word, n) == 0)
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

static bool
shown(struct cli *cli, const json_t *member)
{
	const char *state = json_str(member, "state");
	const char *list = cli_value(cli, "with-states");

	if (cli_flag(cli, "not-ok") && strcmp(state, "joined") == 0)
		return false;
	return list == NULL || in_states(list, state);
}

static void
members_filter(struct cli *cli, json_t *members)
{
	size_t i = 0;

	while (i < json_array_size(members)) {
		if (shown(cli, json_array_get(members, i)))
			i++;
		else
			json_array_remove(members, i);
	}
}

/* --- output
 * ------------------------------------------------------------------------------------------ */

/* Ranks grouped by what value() says of each; one row per group, in order of first appearance. */
static void
print_grouped(struct cli *cli, const json_t *list, const char *const *titles, uint32_t col_nr,
	      void (*cells)(const json_t *m, const char **out))
{
	struct cli_table *t = cli_table_create(titles, col_nr);
	size_t nr = json_array_size(list);
	bool *done = calloc(nr + 1, sizeof(*done));
	uint32_t *ranks = calloc(nr + 1, sizeof(*ranks));
	size_t i, j;
	uint32_t c;

	for (i = 0; t != NULL && done != NULL && ranks != NULL && i < nr; i++) {
		const char *mine[8] = {NULL}, *other[8] = {NULL};
		uint32_t rank_nr = 0;
		char *text;

		if (done[i])
			continue;
		cells(json_array_get(list, i), mine + 1);
		for (j = i; j < nr; j++) {
			bool same = true;

			cells(json_array_get(list, j), other + 1);
			for (c = 1; c < col_nr; c++)
				same = same && strcmp(mine[c], other[c]) == 0;
			if (!same)
				continue;
			done[j] = true;
			ranks[rank_nr++] = json_u64(json_array_get(list, j), "rank");
		}
		text = cli_ranks_text(ranks, rank_nr, true);
		mine[0] = text;
		cli_table_row(t, mine);
		free(text);
	}
	cli_table_print(t, cli_out(cli), "");
	cli_table_destroy(t);
	free(done);
	free(ranks);
	fprintf(cli_out(cli), "\n");
}

static void
cells_state(const json_t *m, const char **out)
{
	out[0] = state_title(json_str(m, "state"));
}

static void
cells_result(const json_t *m, const char **out)
{
	out[0] = json_str(m, "action");
	out[1] = json_is_true(json_object_get(m, "errored")) ? json_str(m, "msg") : "OK";
}

static void
print_members(struct cli *cli, const json_t *members)
{
	static const char *const titles[] = {"Rank",         "UUID",  "Control Address",
					     "Fault Domain", "State", "Reason"};
	struct cli_table *t = cli_table_create(titles, 6);
	size_t i;

	for (i = 0; i < json_array_size(members); i++) {
		const json_t *m = json_array_get(members, i);
		char rank[16];
		const char *row[] = {rank,
				     json_str(m, "uuid"),
				     json_str(m, "addr"),
				     json_str(m, "fault_domain"),
				     state_title(json_str(m, "state")),
				     json_str(m, "info")};

		snprintf(rank, sizeof(rank), "%u", (unsigned)json_u64(m, "rank"));
		cli_table_row(t, row);
	}
	cli_table_print(t, cli_out(cli), "");
	cli_table_destroy(t);
	fprintf(cli_out(cli), "\n");
}

static int
run_query(struct cli *cli)
{
	static const char *const titles[] = {"Rank", "State"};
	const char *ranks = cli_value(cli, "ranks");
	json_t *rep = NULL;
	json_t *members;
	int rc;

	rc = check_states(cli);
	if (rc != 0)
		return rc;
	rc = dmg_call(cli, "system-query", json_pack("{s:s}", "ranks", ranks == NULL ? "" : ranks),
		      DMG_QUERY_MS, "system query failed", &rep);
	if (rc != 0)
		return rc;
	members = json_object_get(rep, "members");
	members_filter(cli, members);
	if (json_array_size(members) == 0)
		fprintf(cli_out(cli), "Query matches no ranks in system\n");
	else if (cli_flag(cli, "verbose"))
		print_members(cli, members);
	else
		print_grouped(cli, members, titles, 2, cells_state);
	json_object_del(rep, "replicas");
	json_object_del(rep, "leader");
	json_object_del(rep, "service_up");
	cli_respond(cli, rep);
	return 0;
}

static int
run_change(struct cli *cli, const char *method, const char *what)
{
	static const char *const titles[] = {"Rank", "Operation", "Result"};
	json_t *req = json_object();
	json_t *ranks = NULL;
	json_t *rep = NULL;
	json_t *results;
	int rc;

	rc = dmg_ranks_opt(cli, &ranks);
	if (rc != 0) {
		json_decref(req);
		return rc;
	}
	if (ranks != NULL)
		json_object_set_new(req, "ranks", ranks);
	json_object_set_new(req, "force", json_boolean(cli_flag(cli, "force")));
	rc = dmg_call(cli, method, req, DMG_CHANGE_MS, what, &rep);
	if (rc != 0)
		return rc;
	results = json_object_get(rep, "results");
	if (json_array_size(results) == 0)
		fprintf(cli_out(cli), "No results returned\n");
	else
		print_grouped(cli, results, titles, 3, cells_result);
	cli_respond(cli, rep);
	return 0;
}

static int
run_stop(struct cli *cli)
{
	return run_change(cli, "system-stop", "system stop failed");
}

static int
run_start(struct cli *cli)
{
	return run_change(cli, "system-start", "system start failed");
}

static int
run_leader(struct cli *cli)
{
	json_t *rep = NULL, *members, *replicas, *addrs, *m;
	const char *leader = "";
	size_t i, j;
	int rc;

	rc = dmg_call(cli, "system-query", NULL, DMG_QUERY_MS, "system leader-query failed", &rep);
	if (rc != 0)
		return rc;
	members = json_object_get(rep, "members");
	replicas = json_object_get(rep, "replicas");
	addrs = json_array();
	fprintf(cli_out(cli), "Current Leader: ");
	json_array_foreach(members, i, m)
	{
		if ((json_int_t)json_u64(m, "rank") ==
		    json_integer_value(json_object_get(rep, "leader")))
			leader = json_str(m, "addr");
		for (j = 0; j < json_array_size(replicas); j++)
			if (json_u64(m, "rank") ==
			    (uint64_t)json_integer_value(json_array_get(replicas, j)))
				json_array_append_new(addrs, json_string(json_str(m, "addr")));
	}
	fprintf(cli_out(cli), "%s\n   Replica Set: ", leader);
	for (i = 0; i < json_array_size(addrs); i++)
		fprintf(cli_out(cli), "%s%s", i == 0 ? "" : ",",
			json_string_value(json_array_get(addrs, i)));
	fprintf(cli_out(cli), "\n  Unresponsive Replicas: \n");
	cli_respond(cli, json_pack("{s:s,s:o,s:n}", "current_leader", leader, "replicas", addrs,
				   "down_replicas"));
	json_decref(rep);
	return 0;
}

static const struct cli_opt query_opts[] = {
    {"ranks", 'r', "RANKS", "only these, as in 0-3,7", false},
    {"verbose", 'v', NULL, "one row per rank with its address and fault domain", false},
    {"not-ok", 0, NULL, "only ranks that are not joined", false},
    {"with-states", 0, "STATES", "only ranks in these states", false},
    {0},
};
static const struct cli_opt change_opts[] = {
    {"ranks", 'r', "RANKS", "only these, as in 0-3,7", false},
    {"force", 0, NULL, "do not wait for requests under way", false},
    {0},
};
const struct cli_cmd dmg_system_cmds[] = {
    {"leader-query", NULL, "where the management service's leader is", NULL, NULL, NULL, run_leader,
     0, 0},
    {"query", NULL, "state of the ranks", NULL, query_opts, NULL, run_query, 0, 0},
    {"start", NULL, "start stopped ranks", NULL, change_opts, NULL, run_start, 0, 0},
    {"stop", NULL, "stop ranks in an orderly way", NULL, change_opts, NULL, run_stop, 0, 0},
    {0},
};
