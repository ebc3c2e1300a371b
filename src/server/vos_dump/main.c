/* vos_dump: the command line. */
#include "base/log.h"
#include "server/vos_dump/dump.h"

static int
run_list(struct cli *cli)
{
	return dump_run(cli, dump_list);
}

static int
run_show(struct cli *cli)
{
	return dump_run(cli, dump_show);
}

static int
run_verify(struct cli *cli)
{
	return dump_run(cli, dump_verify);
}

static int
run_space(struct cli *cli)
{
	return dump_run(cli, dump_space);
}

static int
run_wal(struct cli *cli)
{
	return dump_run(cli, dump_wal);
}

static const struct cli_opt global_opts[] = {
    {"nvme", 'n', "DIR", "where the NVMe tier is (default: DIR itself, or ../nvme beside it)",
     false},
    {"force-read", 'f', NULL, "look although an engine has the files open", false},
    {0},
};
static const struct cli_opt show_opts[] = {
    {"value", 'x', NULL, "the bytes of each version in hexadecimal", false},
    {"bytes", 'b', "N", "at most so many bytes of each (default 256)", false},
    {0},
};
static const struct cli_opt wal_opts[] = {
    {"records", 'r', NULL, "each record with the ranges of the heap it changes", false},
    {0},
};
static const struct cli_cmd cmds[] = {
    {"list", "ls", "targets; containers of one; objects; dkeys; akeys",
     "DIR [TARGET [CONTAINER [OBJECT [DKEY]]]]", NULL, NULL, run_list, 1, 5},
    {"show", NULL, "everything beneath a container, object or key: versions, and where they lie",
     "DIR TARGET CONTAINER [OBJECT [DKEY [AKEY]]]", show_opts, NULL, run_show, 3, 6},
    {"verify", NULL, "check every invariant and checksum of one target or all", "DIR [TARGET]",
     NULL, NULL, run_verify, 1, 2},
    {"space", NULL, "what is used, and how it is scattered", "DIR [TARGET]", NULL, NULL, run_space,
     1, 2},
    {"wal", NULL, "batches of the log, and how it ends", "DIR [TARGET]", wal_opts, NULL, run_wal, 1,
     2},
    {0},
};
static const struct cli_tool tool = {
    .name = "vos_dump",
    .title = "DAOS storage viewer",
    .help = "Looks inside the files of an engine that does not run. Never changes them.\n"
	    "DIR is the engine's SCM directory (scm_mount); TARGET the beginning of POOL.INDEX as "
	    "list shows it.",
    .opts = global_opts,
    .cmds = cmds,
};

int
main(int argc, char **argv)
{
	log_set_program("vos_dump");
	return cli_main(&tool, argc, argv);
}
