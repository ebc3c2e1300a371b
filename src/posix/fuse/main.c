/*
 * dfuse, the program: options, and going to the background.
 *
 * The parent waits until the mount works or has failed, prints the reason in the latter case, and
 * exits accordingly. The fork comes before the client library starts, which a child could not use
 * otherwise.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <daos_uns.h>

#include "posix/fuse/dfuse.h"

enum opt {
	OPT_POOL = 256,
	OPT_CONT,
	OPT_PATH,
	OPT_SYS,
	OPT_ENABLE_CACHING,
	OPT_DISABLE_CACHING,
	OPT_ENABLE_WB,
	OPT_DISABLE_WB,
	OPT_FLOCK,
	OPT_MULTI_USER,
	OPT_READ_ONLY,
};

static const struct option options[] = {
    {"mountpoint", required_argument, NULL, 'm'},
    {"pool", required_argument, NULL, OPT_POOL},
    {"container", required_argument, NULL, OPT_CONT},
    {"cont", required_argument, NULL, OPT_CONT},
    {"path", required_argument, NULL, OPT_PATH},
    {"sys-name", required_argument, NULL, OPT_SYS},
    {"thread-count", required_argument, NULL, 't'},
    {"eq-count", required_argument, NULL, 'e'},
    {"foreground", no_argument, NULL, 'f'},
    {"enable-caching", no_argument, NULL, OPT_ENABLE_CACHING},
    {"disable-caching", no_argument, NULL, OPT_DISABLE_CACHING},
    {"enable-wb-cache", no_argument, NULL, OPT_ENABLE_WB},
    {"disable-wb-cache", no_argument, NULL, OPT_DISABLE_WB},
    {"enable-local-flock", no_argument, NULL, OPT_FLOCK},
    {"multi-user", no_argument, NULL, OPT_MULTI_USER},
    {"read-only", no_argument, NULL, OPT_READ_ONLY},
    {"version", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static void
usage(FILE *out)
{
	fprintf(
	    out,
	    "usage: dfuse [OPTIONS] [mountpoint [pool container]]\n"
	    "\n"
	    "Mount a POSIX container.\n"
	    "\n"
	    "  -m --mountpoint=DIR     where; must exist\n"
	    "     --pool=POOL          label or UUID\n"
	    "     --container=CONT     label or UUID (also --cont)\n"
	    "     --path=PATH          take pool and container from a path\n"
	    "     --sys-name=NAME      system (default: the agent's)\n"
	    "  -t --thread-count=N     threads that serve requests (default %d)\n"
	    "  -e --eq-count=N         accepted; each thread has its own queue\n"
	    "  -f --foreground         stay in the foreground\n"
	    "     --enable-caching     let the kernel cache (default)\n"
	    "     --disable-caching    cache nothing\n"
	    "     --enable-wb-cache    let the kernel delay writes until close or fsync\n"
	    "     --disable-wb-cache   every write is durable when it returns (default)\n"
	    "     --enable-local-flock locks hold on this node only (default)\n"
	    "     --multi-user         let other users in (needs user_allow_other in fuse.conf)\n"
	    "     --read-only          mount read-only\n"
	    "  -o OPTS                 mount options: ro, multi_user, pool=, container=\n"
	    "  -v --version            print the version\n"
	    "  -h --help               show this help\n"
	    "\n"
	    "Unmount with fusermount3 -u DIR.\n",
	    DFUSE_THREADS_DEFAULT);
}

static int
fail(const char *fmt, const char *arg)
{
	fprintf(stderr, "ERROR: dfuse: ");
	fprintf(stderr, fmt, arg);
	fprintf(stderr, "\n");
	return 1;
}

/* Words of -o; what is meant for mount itself (rw, nosuid, ...) is not ours. */
static int
mount_opts(struct dfuse_conf *c, char *text)
{
	char *save = NULL;
	char *w;

	for (w = strtok_r(text, ",", &save); w != NULL; w = strtok_r(NULL, ",", &save)) {
		if (strcmp(w, "ro") == 0)
			c->read_only = true;
		else if (strcmp(w, "multi_user") == 0 || strcmp(w, "multi-user") == 0)
			c->multi_user = true;
		else if (strncmp(w, "pool=", 5) == 0)
			c->pool = w + 5;
		else if (strncmp(w, "container=", 10) == 0)
			c->cont = w + 10;
	}
	return 0;
}

static int
number(const char *text, uint32_t max, uint32_t *ret)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || v == 0 || v > max)
		return -1;
	*ret = v;
	return 0;
}

static int
take_path(struct dfuse_conf *c, const char *path)
{
	struct duns_attr_t attr = {0};
	int rc = duns_resolve_path(path, &attr);

	if (rc != 0) {
		fprintf(stderr, "ERROR: dfuse: --path %s: %s\n", path,
			rc == ENODATA ? "it leads to no container" : strerror(rc));
		return 1;
	}
	c->pool = strdup(attr.da_pool);
	c->cont = strdup(attr.da_cont);
	duns_destroy_attr(&attr);
	return 0;
}

/* 0: go on; otherwise exit with status - 1. */
static int
parse(int argc, char **argv, struct dfuse_conf *c)
{
	uint32_t unused;
	int o;

	while ((o = getopt_long(argc, argv, "m:t:e:fo:vh", options, NULL)) >= 0) {
		switch (o) {
		case 'm':
			c->mountpoint = optarg;
			break;
		case OPT_POOL:
			c->pool = optarg;
			break;
		case OPT_CONT:
			c->cont = optarg;
			break;
		case OPT_PATH:
			if (take_path(c, optarg) != 0)
				return 2;
			break;
		case OPT_SYS:
			c->sys = optarg;
			break;
		case 't':
			if (number(optarg, 256, &c->thread_nr) != 0)
				return 1 +
				       fail("--thread-count: '%s' is not within 1 and 256", optarg);
			break;
		case 'e':
			if (number(optarg, 256, &unused) != 0)
				return 1 + fail("--eq-count: '%s' is not within 1 and 256", optarg);
			break;
		case 'f':
			c->foreground = true;
			break;
		case OPT_ENABLE_CACHING:
			c->disable_caching = false;
			break;
		case OPT_DISABLE_CACHING:
			c->disable_caching = true;
			break;
		case OPT_ENABLE_WB:
			c->wb_cache = true;
			break;
		case OPT_DISABLE_WB:
			c->wb_cache = false;
			break;
		case OPT_FLOCK:
			c->local_flock = true;
			break;
		case OPT_MULTI_USER:
			c->multi_user = true;
			break;
		case OPT_READ_ONLY:
			c->read_only = true;
			break;
		case 'o':
			mount_opts(c, optarg);
			break;
		case 'v':
			printf("dfuse version %s, libdaos %d.%d.%d\nUsing fuse %s\n",
			       DAOS_VERSION_STR, DAOS_API_VERSION_MAJOR, DAOS_API_VERSION_MINOR,
			       DAOS_API_VERSION_FIX, fuse_pkgversion());
			return 1;
		case 'h':
			usage(stdout);
			return 1;
		default:
			fprintf(stderr, "dfuse: --help shows the options\n");
			return 2;
		}
	}
	if (optind < argc)
		c->mountpoint = argv[optind++];
	if (optind < argc)
		c->pool = argv[optind++];
	if (optind < argc)
		c->cont = argv[optind++];
	if (optind < argc)
		return 1 + fail("unexpected argument '%s'", argv[optind]);
	return 0;
}

static bool
is_mounted(const char *path)
{
	char line[PATH_MAX + 512], dir[PATH_MAX];
	FILE *f = fopen("/proc/self/mounts", "r");
	bool found = false;

	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL)
		found = sscanf(line, "%*s %4095s fuse", dir) == 1 && strcmp(dir, path) == 0 &&
			strstr(line, " fuse") != NULL;
	if (f != NULL)
		fclose(f);
	return found;
}

static int
check_place(struct dfuse_conf *c)
{
	static char real[PATH_MAX];
	struct stat st;

	if (c->mountpoint == NULL)
		return fail("no mountpoint is given%s", " (--help shows the options)");
	if (c->pool == NULL || c->cont == NULL)
		return fail("%s", c->pool == NULL ? "no pool is given" : "no container is given");
	if (is_mounted(c->mountpoint))
		return fail("%s is mounted already", c->mountpoint);
	if (realpath(c->mountpoint, real) == NULL) {
		fprintf(stderr, "ERROR: dfuse: mountpoint %s: %s\n", c->mountpoint,
			strerror(errno));
		return 1;
	}
	c->mountpoint = real;
	if (is_mounted(real))
		return fail("%s is mounted already", real);
	if (stat(real, &st) != 0 || !S_ISDIR(st.st_mode))
		return fail("mountpoint %s is not a directory", real);
	return 0;
}

/* In the background: the child serves, the parent waits for one byte that says the mount works, or
 * for a reason. */
static int
run_background(const struct dfuse_conf *c)
{
	char err[512] = "";
	char first;
	int ready[2], status = 1;
	ssize_t n;
	pid_t pid;
	int rc;

	if (pipe2(ready, O_CLOEXEC) != 0 || (pid = fork()) < 0)
		return fail("cannot go to the background: %s", strerror(errno));
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		close(ready[0]);
		setsid();
		if (chdir("/") != 0)
			_exit(1);
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		rc = dup(ready[1]); /* op_init closes the one it is given */
		if (dfuse_run(c, ready[1], err, sizeof(err)) != 0 && err[0] != '\0') {
			if (write(rc, err, strlen(err)) < 0)
				_exit(1);
			_exit(1);
		}
		_exit(0);
	}
	close(ready[1]);
	n = read(ready[0], &first, 1);
	if (n == 1 && first == 'R')
		return 0;
	if (n == 1) {
		err[0] = first;
		n = read(ready[0], err + 1, sizeof(err) - 2);
	}
	waitpid(pid, &status, 0);
	return fail("%s", err[0] != '\0' ? err : "the daemon ended without saying why");
}

int
main(int argc, char **argv)
{
	struct dfuse_conf conf = {.thread_nr = DFUSE_THREADS_DEFAULT};
	char err[512] = "";
	int rc;

	rc = parse(argc, argv, &conf);
	if (rc != 0)
		return rc - 1;
	if (check_place(&conf) != 0)
		return 1;
	if (!conf.foreground)
		return run_background(&conf);
	rc = dfuse_run(&conf, -1, err, sizeof(err));
	if (rc != 0)
		return fail("%s", err[0] != '\0' ? err : "out of memory");
	return 0;
}
