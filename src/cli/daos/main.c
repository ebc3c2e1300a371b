/* daos: the user's command line, on the public client API only. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <gurt/common.h>

#include "base/bytes.h"
#include "cli/daos/daos_cmd.h"

/* --- targets
 * --------------------------------------------------------------------------------------- */

static int
take_path(struct cli *cli, struct target *t)
{
	struct duns_attr_t attr = {0};
	const char *path = cli_value(cli, "path");
	int rc;

	rc = duns_resolve_path(path, &attr);
	if (rc != 0)
		return cli_fail_errno(cli, rc, "failed to resolve path %s", path);
	snprintf(t->pool, sizeof(t->pool), "%s", attr.da_pool);
	snprintf(t->cont, sizeof(t->cont), "%s", attr.da_cont);
	if (attr.da_rel_path != NULL)
		t->rel_path = strdup(attr.da_rel_path);
	duns_destroy_attr(&attr);
	return 0;
}

static int
take_name(struct cli *cli, struct target *t, const char *what, char *name, size_t len)
{
	const char *arg = cli_arg(cli, t->arg_next);

	if (arg == NULL)
		return cli_fail(cli, 0, "no %s label or UUID supplied", what);
	if (strlen(arg) >= len || arg[0] == '\0')
		return cli_fail(cli, 0, "invalid label \"%s\"", arg);
	snprintf(name, len, "%s", arg);
	t->arg_next++;
	return 0;
}

int
target_pool(struct cli *cli, struct target *t)
{
	if (cli_value(cli, "path") != NULL)
		return take_path(cli, t);
	if (cli_value(cli, "pool") != NULL) {
		snprintf(t->pool, sizeof(t->pool), "%s", cli_value(cli, "pool"));
		return 0;
	}
	return take_name(cli, t, "pool", t->pool, sizeof(t->pool));
}

int
target_cont(struct cli *cli, struct target *t)
{
	int rc = target_pool(cli, t);

	if (rc != 0 || t->cont[0] != '\0')
		return rc;
	if (cli_value(cli, "cont") != NULL) {
		snprintf(t->cont, sizeof(t->cont), "%s", cli_value(cli, "cont"));
		return 0;
	}
	return take_name(cli, t, "container", t->cont, sizeof(t->cont));
}

int
target_connect(struct cli *cli, struct target *t, unsigned flags, uint64_t info_bits)
{
	int rc;

	t->pool_info.pi_bits = info_bits;
	rc = daos_pool_connect(t->pool, cli_value(cli, "sys-name"), flags, &t->poh, &t->pool_info,
			       NULL);
	if (rc != 0)
		return cli_fail_der(cli, rc, "failed to connect to pool");
	t->connected = true;
	return 0;
}

int
target_open(struct cli *cli, struct target *t, unsigned flags)
{
	int rc;

	rc = daos_cont_open(t->poh, t->cont, flags, &t->coh, &t->cont_info, NULL);
	if (rc != 0)
		return cli_fail_der(cli, rc, "failed to open container \"%s\"", t->cont);
	t->opened = true;
	return 0;
}

void
target_close(struct target *t)
{
	if (t->opened)
		daos_cont_close(t->coh, NULL);
	if (t->connected)
		daos_pool_disconnect(t->poh, NULL);
	free(t->rel_path);
	memset(t, 0, sizeof(*t));
}

/* --- values
 * ------------------------------------------------------------------------------------------ */

/* Nanoseconds without trailing zeros, as the field's tools print them. */
char *
hlc_text(uint64_t hlc, char *buf, size_t len)
{
	struct timespec ts = {0};
	struct tm tm;
	char date[32], frac[16];
	size_t n;

	if (daos_hlc2timespec(hlc, &ts) != 0)
		memset(&ts, 0, sizeof(ts));
	gmtime_r(&ts.tv_sec, &tm);
	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(frac, sizeof(frac), ".%09ld", ts.tv_nsec);
	for (n = strlen(frac); n > 1 && frac[n - 1] == '0'; n--)
		frac[n - 1] = '\0';
	snprintf(buf, len, "%s%s +0000 UTC", date, frac[1] == '\0' ? "" : frac);
	return buf;
}

int
size_value(struct cli *cli, const char *opt, uint64_t *ret)
{
	const char *text = cli_value(cli, opt);

	*ret = 0;
	if (text == NULL)
		return 0;
	if (bytes_parse(text, ret) != 0 || *ret == 0)
		return cli_fail(cli, 0, "--%s: invalid size \"%s\"", opt, text);
	return 0;
}

int
oclass_value(struct cli *cli, const char *opt, daos_oclass_id_t *ret)
{
	const char *text = cli_value(cli, opt);

	*ret = OC_UNKNOWN;
	if (text == NULL)
		return 0;
	*ret = daos_oclass_name2id(text);
	if (*ret == OC_UNKNOWN)
		return cli_fail(cli, 0, "--%s: unknown object class \"%s\"", opt, text);
	return 0;
}

static int
run_version(struct cli *cli)
{
	fprintf(cli_out(cli), "DAOS CLI version %s, libdaos v%d.%d.%d\n", DAOS_VERSION_STR,
		DAOS_API_VERSION_MAJOR, DAOS_API_VERSION_MINOR, DAOS_API_VERSION_FIX);
	cli_respond(cli, json_pack("{s:s,s:s}", "name", "DAOS CLI", "version", DAOS_VERSION_STR));
	return 0;
}

static const struct cli_opt global_opts[] = {
    {"sys-name", 'G', "NAME", "system (default: the agent's)", false},
    {"debug", 0, NULL, "log more", false},
    {"verbose", 0, NULL, "log what is done", false},
    {0},
};
static const struct cli_cmd cmds[] = {
    {"container", "cont", "containers of a pool", NULL, NULL, daos_cont_cmds, NULL, 0, 0},
    {"filesystem", "fs", "POSIX containers", NULL, NULL, daos_fs_cmds, NULL, 0, 0},
    {"pool", NULL, "pools", NULL, NULL, daos_pool_cmds, NULL, 0, 0},
    {"version", NULL, "print the version", NULL, NULL, NULL, run_version, 0, 0},
    {0},
};
static const struct cli_tool tool = {
    .name = "daos",
    .title = "DAOS CLI",
    .help = "Works with the pools and containers of a DAOS system.",
    .opts = global_opts,
    .cmds = cmds,
};

int
main(int argc, char **argv)
{
	int rc, i;

	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--debug") == 0)
			setenv("D_LOG_MASK", "DEBUG", 0);
		else if (strcmp(argv[i], "--verbose") == 0)
			setenv("D_LOG_MASK", "INFO", 0);
	}
	rc = daos_init();
	if (rc != 0) {
		fprintf(stderr, "ERROR: daos: failed to start the client library: %s(%d): %s\n",
			d_errstr(rc), rc, d_errdesc(rc));
		return 1;
	}
	rc = cli_main(&tool, argc, argv);
	daos_fini();
	return rc;
}
