/*
 * How long a client takes from daos_init() to a mounted container: dfs_start POOL CONTAINER
 * [TIMES].
 *
 * Each time in a new process, as a program that starts would. One JSON line a time, in
 * milliseconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <daos.h>
#include <daos_fs.h>

static double
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static int
check(int rc, const char *what)
{
	if (rc != 0)
		fprintf(stderr, "dfs_start: %s: %d\n", what, rc);
	return rc;
}

static int
once(const char *pool, const char *cont)
{
	daos_handle_t poh, coh;
	dfs_t *dfs;
	double t[5];

	t[0] = now_ms();
	if (check(daos_init(), "daos_init") != 0)
		return 1;
	t[1] = now_ms();
	if (check(daos_pool_connect(pool, NULL, DAOS_PC_RW, &poh, NULL, NULL), "pool") != 0)
		return 1;
	t[2] = now_ms();
	if (check(daos_cont_open(poh, cont, DAOS_COO_RW, &coh, NULL, NULL), "container") != 0)
		return 1;
	t[3] = now_ms();
	if (check(dfs_mount(poh, coh, O_RDWR, &dfs), "dfs_mount") != 0)
		return 1;
	t[4] = now_ms();
	if (check(dfs_umount(dfs), "dfs_umount") != 0 ||
	    check(daos_cont_close(coh, NULL), "daos_cont_close") != 0 ||
	    check(daos_pool_disconnect(poh, NULL), "daos_pool_disconnect") != 0 ||
	    check(daos_fini(), "daos_fini") != 0)
		return 1;
	printf("{\"init_ms\": %.3f, \"connect_ms\": %.3f, \"open_ms\": %.3f, \"mount_ms\": %.3f, "
	       "\"total_ms\": %.3f, \"close_ms\": %.3f}\n",
	       t[1] - t[0], t[2] - t[1], t[3] - t[2], t[4] - t[3], t[4] - t[0], now_ms() - t[4]);
	fflush(stdout);
	return 0;
}

int
main(int argc, char **argv)
{
	int i, status, times = argc > 3 ? atoi(argv[3]) : 5;

	if (argc < 3 || times < 1) {
		fprintf(stderr, "usage: dfs_start POOL CONTAINER [TIMES]\n");
		return 2;
	}
	for (i = 0; i < times; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(once(argv[1], argv[2]));
		if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
		    WEXITSTATUS(status) != 0)
			return 1;
	}
	return 0;
}
