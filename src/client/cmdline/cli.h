/*
 * What every command line tool shares: a tree of verbs described by tables, options that may stand
 *anywhere on the line, one way to report an error, one way to print JSON.
 *
 *	--opt=value  --opt value  -ovalue  -o value  -o=value      and single flags combined: -jv
 *
 * Exit status: 0 for success and --help, 1 for every failure. With -j exactly one JSON document
 *goes to stdout:
 * {"response": ..., "error": null | text, "status": 0 | negative DER number}.
 */
#ifndef CLIENT_CMDLINE_CLI_H
#define CLIENT_CMDLINE_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <jansson.h>

struct cli;

struct cli_opt {
	const char *name;  /* long name without dashes; the key for cli_value() */
	char letter;       /* 0 = none */
	const char *value; /* what the value is called in the help, NULL = a flag */
	const char *help;
	bool repeat; /* may be given several times: cli_value_nth() */
};

/* A command or a group of commands. Tables end with an entry whose name is NULL. */
struct cli_cmd {
	const char *name;
	const char *aliases;         /* comma separated, NULL = none */
	const char *help;            /* one line */
	const char *args;            /* positionals in the usage line, NULL = none */
	const struct cli_opt *opts;  /* NULL = none */
	const struct cli_cmd *subs;  /* a group: its commands, run is NULL */
	int (*run)(struct cli *cli); /* 0 or an error number the tool gave to cli_fail(); returns
					cli_fail(...)'s value */
	uint32_t args_min, args_max; /* how many positionals; more is an error */
};

struct cli_tool {
	const char *name;  /* "daos": as in "ERROR: daos: ..." */
	const char *title; /* "DAOS CLI": as in version output */
	const char *help;
	const struct cli_opt
	    *opts; /* global options besides -h/--help and -j/--json, which every tool has */
	const struct cli_cmd *cmds;
	const char
	    *default_cmd; /* run this one when no command is named; NULL = that is an error */
};

/* Parse, run, report. Returns the exit status. */
int cli_main(const struct cli_tool *tool, int argc, char **argv);

/* --- for commands
 * ----------------------------------------------------------------------------------------------------
 */
const char *cli_value(const struct cli *cli, const char *opt); /* NULL when not given */
const char *cli_value_nth(const struct cli *cli, const char *opt, uint32_t n);
bool cli_flag(const struct cli *cli, const char *opt);
uint32_t cli_arg_nr(const struct cli *cli);
const char *cli_arg(const struct cli *cli, uint32_t i); /* NULL when there is none */
bool cli_json(const struct cli *cli);
const struct cli_tool *cli_tool(const struct cli *cli);

/* Where human output goes: stdout, or nowhere with -j. */
FILE *cli_out(struct cli *cli);
/* The response of a -j run; takes the reference. May be given together with an error. */
void cli_respond(struct cli *cli, json_t *response);
/* Report a failure; der: negative DER number, or 0 when there is none (status -1025 in JSON). The
 * text does not end in a newline and is printed as "ERROR: tool: text". Returns der, or -1025 for
 * 0, so that commands can return it. */
int cli_fail(struct cli *cli, int der, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same with ": DER_NAME(-number): description" appended. */
int cli_fail_der(struct cli *cli, int der, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with ": errno N (text)" appended; en is a positive errno. */
int cli_fail_errno(struct cli *cli, int en, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* --- tables: header, dashes as wide as each title, padded columns
 * ------------------------------------------------------ */
struct cli_table;
struct cli_table *cli_table_create(const char *const *titles, uint32_t col_nr);
void cli_table_row(struct cli_table *t, const char *const *cells);
void cli_table_print(const struct cli_table *t, FILE *out, const char *indent);
void cli_table_destroy(struct cli_table *t);
/* "  Key : value" blocks: a title line may precede; keys padded to equal width. */
struct cli_pair {
	const char *key;
	const char *value;
};
void cli_pairs_print(FILE *out, const char *indent, const struct cli_pair *pairs, uint32_t nr);

/* --- rank lists (sizes: base/bytes.h)
 * --------------------------------------------------------------------------------------------------------------
 */
/* "0-2,5" from a sorted or unsorted list; brackets: "[0-2,5]" when there is more than one rank.
 * malloced. */
char *cli_ranks_text(const uint32_t *ranks, uint32_t nr, bool brackets);
/* The reverse; 0 or -DER_INVAL. Accepts brackets. *ret_ranks malloced, sorted, unique. */
int cli_ranks_parse(const char *text, uint32_t **ret_ranks, uint32_t *ret_nr);
json_t *cli_json_ranks(const uint32_t *ranks, uint32_t nr);

#endif
