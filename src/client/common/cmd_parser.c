/*
 * The prompt of diagnostic programs, see daos/cmd_parser.h.
 */
#define D_LOGFAC DD_FAC(common)
#include <daos/common.h>

static const struct option *
option_find(const struct option *opts, const char *word)
{
	for (; opts->name != NULL; opts++)
		if (strcmp(word, opts->name) == 0 ||
		    (word[0] == (char)opts->val && word[1] == '\0'))
			return opts;
	return NULL;
}

static void
usage(const struct option *opts)
{
	for (; opts->name != NULL; opts++)
		printf("%c, %s%s\n", (char)opts->val, opts->name,
		       opts->has_arg == no_argument ? "" : " ARGUMENT");
	printf("quit\n");
}

int
cmd_parser(struct option *opts, const char *prompt, int (*cmd_func)(char opc, char *args))
{
	const struct option *opt;
	char *line = NULL;
	size_t size = 0;
	char *args;
	char *word;
	int rc = 0;

	while (rc == 0) {
		printf("%s", prompt);
		fflush(stdout);
		if (getline(&line, &size, stdin) < 0)
			break;
		word = daos_str_trimwhite(line);
		if (word == NULL)
			continue;
		args = word + strcspn(word, " \t");
		if (*args != '\0') {
			*args++ = '\0';
			args += strspn(args, " \t");
		}
		if (strcmp(word, "quit") == 0)
			break;
		opt = option_find(opts, word);
		if (opt == NULL || (opt->has_arg == required_argument && *args == '\0')) {
			usage(opts);
			continue;
		}
		rc = cmd_func((char)opt->val, opt->has_arg == no_argument ? NULL : args);
	}
	free(line);
	return rc;
}
