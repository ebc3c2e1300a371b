/*
 * Samples of every stored format.
 *
 *	format_sample make DIR    the files of an engine, as a crash would leave them
 *	format_sample check DIR   opens them as the engine does, over an overlay; DIR stays as it is
 *
 * Clock and randomness are the same in each run, so that the same code makes the same files.
 */
#include <stdlib.h>
#include <unistd.h>

#include "tests/formats/sample.h"

struct job {
	struct dev_dir *dir;
	struct xs *xs;
	bool make;
};

static uint64_t
fixed_real_ns(void *ctx)
{
	return 1700000000000000000ull;
}

static void
fixed_fill(void *ctx, void *buf, size_t len)
{
	static uint64_t s = 1;
	uint8_t *p = buf;

	while (len-- > 0) {
		s = s * 6364136223846793005ull + 1442695040888963407ull;
		*p++ = s >> 56;
	}
}

static int co_fn
run(void *arg)
{
	struct job *j = arg;
	struct part {
		const char *name;
		int co_fn (*make)(struct dev_dir *dir, struct xs *xs);
		int co_fn (*check)(struct dev_dir *dir, struct xs *xs);
	} parts[] = {
	    {"superblock", superblock_make, superblock_check},
	    {"management service", service_make, service_check},
	    {"target", target_make, target_check},
	};
	size_t i;
	int bad = 0;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		int rc = (j->make ? parts[i].make : parts[i].check)(j->dir, j->xs);

		if (rc == 0)
			continue;
		bad = rc;
		if (j->make)
			fprintf(stderr, "%s: cannot be made\n", parts[i].name);
		else
			fprintf(stderr,
				"%s: the sample of the format cannot be used any more. If that is "
				"meant, bump the version in its _format.h; then regenerate the "
				"samples with tests/formats/regenerate.sh BUILDDIR\n",
				parts[i].name);
	}
	return bad;
}

int
main(int argc, char **argv)
{
	struct clock_ops clock;
	struct rand_ops rnd = {.fill = fixed_fill};
	struct dev_dir *dir = NULL, *lower = NULL;
	struct job j;
	struct env env;
	int rc;

	if (argc != 3 || (strcmp(argv[1], "make") != 0 && strcmp(argv[1], "check") != 0)) {
		fprintf(stderr, "usage: format_sample make|check DIR\n");
		return 2;
	}
	env_init_real(&env);
	clock = *env.clock;
	clock.real_ns = fixed_real_ns;
	env.clock = &clock;
	env.rand = &rnd;
	j = (struct job){.make = strcmp(argv[1], "make") == 0};
	rc = xs_create(&(struct xs_conf){.name = "sample", .env = &env, .cpu = -1}, &j.xs);
	if (rc == 0 && j.make)
		rc = dev_dir_open_files(argv[2], &dir);
	else if (rc == 0) {
		rc = dev_dir_open_files_ro(argv[2], false, &lower);
		if (rc == 0)
			rc = dev_dir_overlay(lower, &dir);
	}
	if (rc != 0) {
		fprintf(stderr, "%s: cannot open: %d\n", argv[2], rc);
		return 1;
	}
	j.dir = dir;
	rc = xs_call(j.xs, run, &j);
	/* The pool that was made stays as it is: nothing is checkpointed. */
	if (j.make || rc != 0)
		_exit(rc == 0 ? 0 : 1);
	dev_dir_close(dir);
	dev_dir_close(lower);
	xs_destroy(j.xs);
	return 0;
}
