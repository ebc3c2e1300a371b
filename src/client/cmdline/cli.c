/*
 * Command lines by tables (see cli.h).
 *
 * One pass over the arguments: a word that is an option is looked up in the options of the command
 * path found so far and in the tool's own; a word that is not selects a sub-command while a group
 * is current, and is a positional afterwards.
 * "--" ends option parsing. An option may stand before its command: options unknown so far are kept
 * and resolved when the command is known, which needs to know whether they take a value: the whole
 * tree is searched for their name then.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "client/cmdline/cli.h"

enum {
	GIVEN_MAX = 256,
	ARG_MAX_NR = 256,
};

struct given {
	const struct cli_opt *opt;
	const char *value; /* NULL for a flag */
};

struct cli {
	const struct cli_tool *tool;
	const struct cli_cmd *path[8];
	uint32_t path_nr;
	struct given given[GIVEN_MAX];
	uint32_t given_nr;
	const char *args[ARG_MAX_NR];
	uint32_t arg_nr;
	bool json;
	bool help;
	FILE *out;
	json_t *response;
	char *error;
	int status;
	bool failed;
};

static const struct cli_opt common_opts[] = {
    {"json", 'j', NULL, "print one JSON document", false},
    {"help", 'h', NULL, "show this help", false},
    {0},
};

static const struct cli_opt *
opt_find(const struct cli_opt *opts, const char *name, size_t len, char letter)
{
	for (; opts != NULL && opts->name != NULL; opts++) {
		if (letter != 0 && opts->letter == letter)
			return opts;
		if (letter == 0 && strlen(opts->name) == len && memcmp(opts->name, name, len) == 0)
			return opts;
	}
	return NULL;
}

/* Search a subtree: for options that stand before the command they belong to. */
static const struct cli_opt *
opt_find_below(const struct cli_cmd *cmds, const char *name, size_t len, char letter)
{
	const struct cli_opt *opt;

	for (; cmds != NULL && cmds->name != NULL; cmds++) {
		opt = opt_find(cmds->opts, name, len, letter);
		if (opt == NULL)
			opt = opt_find_below(cmds->subs, name, len, letter);
		if (opt != NULL)
			return opt;
	}
	return NULL;
}

static const struct cli_opt *
opt_lookup(const struct cli *cli, const char *name, size_t len, char letter)
{
	const struct cli_opt *opt;
	uint32_t i;

	for (i = cli->path_nr; i > 0; i--) {
		opt = opt_find(cli->path[i - 1]->opts, name, len, letter);
		if (opt != NULL)
			return opt;
	}
	opt = opt_find(cli->tool->opts, name, len, letter);
	if (opt == NULL)
		opt = opt_find(common_opts, name, len, letter);
	if (opt == NULL && (cli->path_nr == 0 || cli->path[cli->path_nr - 1]->run == NULL))
		opt = opt_find_below(cli->path_nr == 0 ? cli->tool->cmds
						       : cli->path[cli->path_nr - 1]->subs,
				     name, len, letter);
	return opt;
}

static bool
name_matches(const struct cli_cmd *cmd, const char *word)
{
	const char *p = cmd->aliases;
	size_t len = strlen(word);

	if (strcmp(cmd->name, word) == 0)
		return true;
	while (p != NULL && *p != '\0') {
		size_t n = strcspn(p, ",");

		if (n == len && memcmp(p, word, len) == 0)
			return true;
		p += n + (p[n] == ',');
	}
	return false;
}

static const struct cli_cmd *
cmd_find(const struct cli_cmd *cmds, const char *word)
{
	for (; cmds != NULL && cmds->name != NULL; cmds++)
		if (name_matches(cmds, word))
			return cmds;
	return NULL;
}

static const struct cli_cmd *
cmd_current(const struct cli *cli)
{
	return cli->path_nr == 0 ? NULL : cli->path[cli->path_nr - 1];
}

static const struct cli_cmd *
cmd_choices(const struct cli *cli)
{
	const struct cli_cmd *cmd = cmd_current(cli);

	if (cmd == NULL)
		return cli->tool->cmds;
	return cmd->run == NULL ? cmd->subs : NULL;
}

/* "a, b or c" of the commands that could stand here. */
static void
choices_text(const struct cli_cmd *cmds, char *buf, size_t len)
{
	size_t used = 0;

	buf[0] = '\0';
	for (; cmds != NULL && cmds->name != NULL && used < len; cmds++) {
		const char *sep = used == 0 ? "" : cmds[1].name == NULL ? " or " : ", ";

		used += snprintf(buf + used, len - used, "%s%s", sep, cmds->name);
	}
}

static int
fail_v(struct cli *cli, int der, const char *tail, const char *fmt, va_list ap)
{
	char *text = NULL;
	char *all = NULL;

	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	if (asprintf(&all, "%s%s", text == NULL ? "out of memory" : text, tail) < 0)
		all = NULL;
	free(text);
	free(cli->error);
	cli->error = all;
	cli->status = der != 0 ? der : -1025;
	cli->failed = true;
	return cli->status;
}

int
cli_fail(struct cli *cli, int der, const char *fmt, ...)
{
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = fail_v(cli, der, "", fmt, ap);
	va_end(ap);
	return rc;
}

int
cli_fail_der(struct cli *cli, int der, const char *fmt, ...)
{
	char tail[256];
	va_list ap;
	int rc;

	snprintf(tail, sizeof(tail), ": %s(%d): %s", err_name(der), der, err_text(der));
	va_start(ap, fmt);
	rc = fail_v(cli, der, tail, fmt, ap);
	va_end(ap);
	return rc;
}

int
cli_fail_errno(struct cli *cli, int en, const char *fmt, ...)
{
	char tail[256];
	va_list ap;
	int rc;

	snprintf(tail, sizeof(tail), ": errno %d (%s)", en, strerror(en));
	va_start(ap, fmt);
	rc = fail_v(cli, 0, tail, fmt, ap);
	va_end(ap);
	return rc;
}

static int
give(struct cli *cli, const struct cli_opt *opt, const char *value)
{
	if (cli->given_nr == GIVEN_MAX)
		return cli_fail(cli, 0, "too many options");
	cli->given[cli->given_nr].opt = opt;
	cli->given[cli->given_nr].value = value;
	cli->given_nr++;
	if (strcmp(opt->name, "json") == 0)
		cli->json = true;
	if (strcmp(opt->name, "help") == 0)
		cli->help = true;
	return 0;
}

/* --name, --name=value, --name value */
static int
parse_long(struct cli *cli, char **argv, int argc, int *i)
{
	const char *word = argv[*i] + 2;
	size_t len = strcspn(word, "=");
	const struct cli_opt *opt = opt_lookup(cli, word, len, 0);

	if (opt == NULL)
		return cli_fail(cli, 0, "unknown flag `%.*s'", (int)len, word);
	if (opt->value == NULL) {
		if (word[len] == '=')
			return cli_fail(cli, 0, "bool flag `--%s' cannot have an argument",
					opt->name);
		return give(cli, opt, NULL);
	}
	if (word[len] == '=')
		return give(cli, opt, word + len + 1);
	if (*i + 1 >= argc)
		return cli_fail(cli, 0, "expected argument for flag `--%s'", opt->name);
	return give(cli, opt, argv[++*i]);
}

/* -v, -vj, -ovalue, -o value, -o=value */
static int
parse_short(struct cli *cli, char **argv, int argc, int *i)
{
	const char *p;
	int rc;

	for (p = argv[*i] + 1; *p != '\0'; p++) {
		const struct cli_opt *opt = opt_lookup(cli, NULL, 0, *p);

		if (opt == NULL)
			return cli_fail(cli, 0, "unknown flag `%c'", *p);
		if (opt->value == NULL) {
			rc = give(cli, opt, NULL);
			if (rc != 0)
				return rc;
			continue;
		}
		if (p[1] != '\0')
			return give(cli, opt, p[1] == '=' ? p + 2 : p + 1);
		if (*i + 1 >= argc)
			return cli_fail(cli, 0, "expected argument for flag `-%c'", *p);
		return give(cli, opt, argv[++*i]);
	}
	return 0;
}

static int
parse_word(struct cli *cli, const char *word)
{
	const struct cli_cmd *choices = cmd_choices(cli);
	const struct cli_cmd *cmd;
	char text[1024];

	if (choices == NULL) {
		if (cli->arg_nr == ARG_MAX_NR)
			return cli_fail(cli, 0, "too many arguments");
		cli->args[cli->arg_nr++] = word;
		return 0;
	}
	cmd = cmd_find(choices, word);
	if (cmd == NULL) {
		choices_text(choices, text, sizeof(text));
		return cli_fail(cli, 0, "Unknown command `%s'. Please specify one command of: %s",
				word, text);
	}
	cli->path[cli->path_nr++] = cmd;
	return 0;
}

static int
parse(struct cli *cli, int argc, char **argv)
{
	bool words_only = false;
	int rc = 0;
	int i;

	for (i = 1; i < argc && rc == 0; i++) {
		const char *w = argv[i];

		if (!words_only && strcmp(w, "--") == 0)
			words_only = true;
		else if (!words_only && w[0] == '-' && w[1] == '-')
			rc = parse_long(cli, argv, argc, &i);
		else if (!words_only && w[0] == '-' && w[1] != '\0')
			rc = parse_short(cli, argv, argc, &i);
		else
			rc = parse_word(cli, w);
	}
	return rc;
}

/* After the command is known: does each given option belong to it? And are there as many
 * positionals as it takes? */
static int
check(struct cli *cli)
{
	const struct cli_cmd *cmd = cmd_current(cli);
	char text[1024];
	uint32_t i;

	if (cmd == NULL || cmd->run == NULL) {
		choices_text(cmd_choices(cli), text, sizeof(text));
		return cli_fail(cli, 0, "Please specify one command of: %s", text);
	}
	for (i = 0; i < cli->given_nr; i++) {
		const struct cli_opt *o = cli->given[i].opt;

		if (opt_lookup(cli, o->name, strlen(o->name), 0) != o)
			return cli_fail(cli, 0, "unknown flag `%s'", o->name);
	}
	if (cli->arg_nr < cmd->args_min)
		return cli_fail(cli, 0, "missing argument: %s takes %s", cmd->name,
				cmd->args == NULL ? "none" : cmd->args);
	if (cli->arg_nr > cmd->args_max)
		return cli_fail(cli, 0, "unexpected argument \"%s\"%s%s", cli->args[cmd->args_max],
				cmd->args == NULL ? "" : ": it takes ",
				cmd->args == NULL ? "" : cmd->args);
	return 0;
}

static void
help_opts(const struct cli_opt *opts, const char *title)
{
	if (opts == NULL || opts->name == NULL)
		return;
	printf("\n%s:\n", title);
	for (; opts->name != NULL; opts++) {
		char left[64];

		snprintf(left, sizeof(left), "%c%c%s --%s%s%s", opts->letter != 0 ? '-' : ' ',
			 opts->letter != 0 ? opts->letter : ' ', opts->letter != 0 ? "," : " ",
			 opts->name, opts->value != NULL ? "=" : "",
			 opts->value != NULL ? opts->value : "");
		printf("  %-34s %s\n", left, opts->help);
	}
}

static void
help(const struct cli *cli)
{
	const struct cli_cmd *cmd = cmd_current(cli);
	const struct cli_cmd *c;
	uint32_t i;

	printf("Usage:\n  %s [OPTIONS]", cli->tool->name);
	for (i = 0; i < cli->path_nr; i++)
		printf(" %s", cli->path[i]->name);
	if (cmd_choices(cli) != NULL)
		printf(" <command>");
	else if (cmd->opts != NULL)
		printf(" [%s-OPTIONS]", cmd->name);
	if (cmd != NULL && cmd->run != NULL && cmd->args != NULL)
		printf(" %s", cmd->args);
	printf("\n\n%s\n", cmd == NULL ? cli->tool->help : cmd->help);
	help_opts(cli->tool->opts, "Application Options");
	help_opts(common_opts, "Help Options");
	for (i = 0; i < cli->path_nr; i++)
		help_opts(cli->path[i]->opts, "Command Options");
	c = cmd_choices(cli);
	if (c == NULL)
		return;
	printf("\nAvailable commands:\n");
	for (; c->name != NULL; c++) {
		printf("  %-16s %s", c->name, c->help);
		if (c->aliases != NULL)
			printf(" (aliases: %s)", c->aliases);
		printf("\n");
	}
}

static int
report(struct cli *cli)
{
	if (cli->json) {
		json_t *doc = json_object();

		json_object_set_new(doc, "response",
				    cli->response != NULL ? cli->response : json_null());
		json_object_set_new(doc, "error",
				    cli->failed ? json_string(cli->error == NULL ? "" : cli->error)
						: json_null());
		json_object_set_new(doc, "status", json_integer(cli->failed ? cli->status : 0));
		json_dumpf(doc, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
		printf("\n");
		json_decref(doc);
	} else {
		json_decref(cli->response);
	}
	cli->response = NULL;
	fflush(stdout);
	if (cli->failed)
		fprintf(stderr, "ERROR: %s: %s\n", cli->tool->name,
			cli->error == NULL ? "out of memory" : cli->error);
	return cli->failed ? 1 : 0;
}

int
cli_main(const struct cli_tool *tool, int argc, char **argv)
{
	struct cli *cli = calloc(1, sizeof(*cli));
	int rc;

	if (cli == NULL) {
		fprintf(stderr, "ERROR: %s: out of memory\n", tool->name);
		return 1;
	}
	cli->tool = tool;
	cli->out = stdout;
	rc = parse(cli, argc, argv);
	if (rc == 0 && cli->path_nr == 0 && tool->default_cmd != NULL && !cli->help)
		rc = parse_word(cli, tool->default_cmd);
	if (rc == 0 && cli->help) {
		help(cli);
		goto out;
	}
	if (rc == 0)
		rc = check(cli);
	if (rc == 0) {
		if (cli->json)
			cli->out = fopen("/dev/null", "w");
		if (cli->out == NULL)
			cli->out = stdout;
		rc = cmd_current(cli)->run(cli);
		if (rc != 0 && !cli->failed)
			cli_fail_der(cli, rc, "%s failed", cmd_current(cli)->name);
		if (cli->out != stdout)
			fclose(cli->out);
	}
	rc = report(cli);
out:
	free(cli->error);
	free(cli);
	return rc;
}

const char *
cli_value_nth(const struct cli *cli, const char *opt, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < cli->given_nr; i++)
		if (strcmp(cli->given[i].opt->name, opt) == 0 && n-- == 0)
			return cli->given[i].value;
	return NULL;
}

/* The last one given counts. */
const char *
cli_value(const struct cli *cli, const char *opt)
{
	uint32_t i;

	for (i = cli->given_nr; i > 0; i--)
		if (strcmp(cli->given[i - 1].opt->name, opt) == 0)
			return cli->given[i - 1].value;
	return NULL;
}

bool
cli_flag(const struct cli *cli, const char *opt)
{
	uint32_t i;

	for (i = 0; i < cli->given_nr; i++)
		if (strcmp(cli->given[i].opt->name, opt) == 0)
			return true;
	return false;
}

uint32_t
cli_arg_nr(const struct cli *cli)
{
	return cli->arg_nr;
}

const char *
cli_arg(const struct cli *cli, uint32_t i)
{
	return i < cli->arg_nr ? cli->args[i] : NULL;
}

bool
cli_json(const struct cli *cli)
{
	return cli->json;
}

const struct cli_tool *
cli_tool(const struct cli *cli)
{
	return cli->tool;
}

FILE *
cli_out(struct cli *cli)
{
	return cli->out;
}

void
cli_respond(struct cli *cli, json_t *response)
{
	json_decref(cli->response);
	cli->response = response;
}
