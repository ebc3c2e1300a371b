/* Metadata benchmark: what a way to reach a file system has to offer. One table per program. */
#ifndef BENCH_MD_H
#define BENCH_MD_H

struct md_ops {
	const char *usage; /* the arguments that say where: passed on to open */
	int arg_nr;
	/*
	 * All return 0 or a positive errno. open is called once in each process, after fork; the
	 * directory is the process's own and exists after a successful enter.
	 */
	int (*open)(char **args, void **ret_ctx);
	int (*enter)(void *ctx, const char *dir);
	int (*create)(void *ctx, const char *name);
	int (*stat)(void *ctx, const char *name);
	int (*unlink)(void *ctx, const char *name);
	int (*leave)(void *ctx, const char *dir);
	void (*close)(void *ctx);
};

int md_main(int argc, char **argv, const struct md_ops *ops);

#endif
