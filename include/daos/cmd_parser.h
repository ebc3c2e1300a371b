/*
 * A line-oriented command prompt for diagnostic programs.
 */
#ifndef DAOS_CMD_PARSER_H
#define DAOS_CMD_PARSER_H

#include <getopt.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

/**
 * Read commands from standard input until "quit", an end of file, or cmd_func() fails. A command is
 * one of opts by name or letter and, if the option has an argument, the rest of the line.
 */
int cmd_parser(struct option *opts, const char *prompt, int (*cmd_func)(char opc, char *args));

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* DAOS_CMD_PARSER_H */
