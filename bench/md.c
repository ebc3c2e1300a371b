/*
 * Metadata benchmark: creates, stats and unlinks per second by some processes, each in a directory
 * of its own.
 *
 * A process creates files for the given time, stats the files it made in a scattered order for the
 * given time, and removes all of them. The phases begin together in all processes. Before each
 * phase the program prints "ready PHASE" and waits for a line on its standard input, and prints the
 * result as one JSON line after it, so that whoever runs it can look at other processes in between.
 * Without that (no -i) the phases follow one another.
 */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "md.h"

enum phase { PHASE_CREATE, PHASE_STAT, PHASE_UNLINK, PHASE_NR };
static const char *const phase_names[] = {"create", "stat", "unlink"};

enum { PROC_MAX = 64, FILE_MAX = 1 << 22 };

/* Seen by all processes. */
struct shared {
	_Atomic uint32_t ready_nr; /* processes that have arrived at the phase's start */
	_Atomic uint32_t go;       /* phases begun */
	_Atomic uint32_t failed;   /* errno of the first failure */
	struct {
		uint64_t ops;
		double wall_s, cpu_s;
	} result[PHASE_NR][PROC_MAX];
};

struct md {
	const struct md_ops *ops;
	struct shared *sh;
	uint32_t proc_nr;
	uint64_t file_max;
	double seconds;
	bool interactive;
	bool null_server; /* see -0 */
	bool selected[PHASE_NR];
	/* one process */
	uint32_t me;
	void *ctx;
	uint64_t file_nr;
};

static double
clock_s(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
fail(struct md *m, int err, const char *what, const char *name)
{
	uint32_t none = 0;

	if (err == 0)
		err = EIO;
	if (atomic_compare_exchange_strong(&m->sh->failed, &none, (uint32_t)err))
		fprintf(stderr, "%s %s: %s\n", what, name, strerror(err));
}

static int
one_op(struct md *m, enum phase p, uint64_t i)
{
	char name[64];
	int rc;

	snprintf(name, sizeof(name), "%c%u.%llu", p == PHASE_CREATE && m->null_server ? 'n' : 'f',
		 m->me, (unsigned long long)i);
	rc = p == PHASE_CREATE ? m->ops->create(m->ctx, name)
	     : p == PHASE_STAT ? m->ops->stat(m->ctx, name)
			       : m->ops->unlink(m->ctx, name);
	if (rc != 0)
		fail(m, rc, phase_names[p], name);
	return rc;
}

static void
run_phase(struct md *m, enum phase p)
{
	double start = clock_s(CLOCK_MONOTONIC), cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID), now;
	/* scattered but every file equally often: steps of a number that shares no factor */
	uint64_t n = m->file_nr, step = n % 7919 != 0 ? 7919 : 1, at = 0, i;

	for (i = 0;; i++) {
		now = clock_s(CLOCK_MONOTONIC);
		if (p == PHASE_UNLINK ? i == n : now - start >= m->seconds || i == m->file_max)
			break;
		if (one_op(m, p, p == PHASE_STAT ? at : i) != 0)
			break;
		at = n == 0 ? 0 : (at + step) % n;
	}
	if (p == PHASE_CREATE)
		m->file_nr = i;
	m->sh->result[p][m->me].ops = i;
	m->sh->result[p][m->me].wall_s = now - start;
	m->sh->result[p][m->me].cpu_s = clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
}

/* Wait until the parent has begun phase number nr. Sleeps: the first phase may be long in coming.
 */
static bool
wait_go(struct md *m, uint32_t nr)
{
	atomic_fetch_add(&m->sh->ready_nr, 1);
	while (atomic_load(&m->sh->go) < nr && atomic_load(&m->sh->failed) == 0)
		usleep(200);
	return atomic_load(&m->sh->failed) == 0;
}

static int
child(struct md *m, char **args)
{
	char dir[64];
	uint32_t nr = 0, p;
	int rc;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(dir, sizeof(dir), "d%u.%d", m->me, m->null_server ? 0 : (int)getppid());
	rc = m->ops->open(args, &m->ctx);
	if (rc == 0)
		rc = m->ops->enter(m->ctx, dir);
	if (rc != 0)
		fail(m, rc, "directory", dir);
	m->file_nr = 10000; /* of an empty server that has every file */
	for (p = 0; p < PHASE_NR; p++)
		if (m->selected[p] && wait_go(m, ++nr))
			run_phase(m, p);
	if (rc == 0) {
		m->ops->leave(m->ctx, dir);
		m->ops->close(m->ctx);
	}
	/* arrived at the end: the parent must not read the last phase's result before */
	atomic_fetch_add(&m->sh->ready_nr, 1);
	return atomic_load(&m->sh->failed) != 0;
}

static void
print_result(const struct md *m, uint32_t p)
{
	double wall = 0, cpu = 0;
	uint64_t ops = 0;
	uint32_t i;

	for (i = 0; i < m->proc_nr; i++) {
		ops += m->sh->result[p][i].ops;
		cpu += m->sh->result[p][i].cpu_s;
		if (m->sh->result[p][i].wall_s > wall)
			wall = m->sh->result[p][i].wall_s;
	}
	printf(
	    "{\"name\": \"%s\", \"procs\": %u, \"ops\": %llu, \"wall_s\": %.6f, \"cpu_s\": %.6f, "
	    "\"rate\": %.1f}\n",
	    phase_names[p], m->proc_nr, (unsigned long long)ops, wall, cpu,
	    wall == 0 ? 0 : (double)ops / wall);
	fflush(stdout);
}

/* All processes have arrived for the nth time, or something failed, or one has died. */
static bool
all_ready(struct md *m, uint32_t n)
{
	siginfo_t info;

	while (atomic_load(&m->sh->ready_nr) < n * m->proc_nr) {
		if (atomic_load(&m->sh->failed) != 0)
			return false;
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0 &&
		    (info.si_code != CLD_EXITED || info.si_status != 0)) {
			fail(m, ECHILD, "a process", "ended early");
			return false;
		}
		usleep(500);
	}
	return true;
}

static bool
parent(struct md *m)
{
	uint32_t p, nr = 0;
	char line[16];

	for (p = 0; p < PHASE_NR; p++) {
		if (!m->selected[p])
			continue;
		if (!all_ready(m, ++nr))
			return false;
		if (m->interactive) {
			printf("ready %s\n", phase_names[p]);
			fflush(stdout);
			if (fgets(line, sizeof(line), stdin) == NULL) {
				fail(m, ECANCELED, "waiting for", phase_names[p]);
				return false;
			}
		}
		atomic_store(&m->sh->go, nr);
		if (!all_ready(m, nr + 1))
			return false;
		print_result(m, p);
	}
	return true;
}

static int
usage(const char *program, const struct md_ops *ops)
{
	fprintf(
	    stderr,
	    "usage: %s [-n PROCESSES] [-t SECONDS] [-m FILES] [-i] [-0] [-p create,stat,unlink] "
	    "%s\n",
	    program, ops->usage);
	return 2;
}

static bool
select_phases(struct md *m, char *list)
{
	char *save = NULL, *w;
	uint32_t p;

	memset(m->selected, 0, sizeof(m->selected));
	for (w = strtok_r(list, ",", &save); w != NULL; w = strtok_r(NULL, ",", &save)) {
		for (p = 0; p < PHASE_NR && strcmp(w, phase_names[p]) != 0; p++)
			;
		if (p == PHASE_NR)
			return false;
		m->selected[p] = true;
	}
	return true;
}

int
md_main(int argc, char **argv, const struct md_ops *ops)
{
	struct md m = {.ops = ops,
		       .proc_nr = 1,
		       .file_max = FILE_MAX,
		       .seconds = 2,
		       .selected = {true, true, true}};
	bool ok = true;
	int opt, status;
	uint32_t i;

	while ((opt = getopt(argc, argv, "n:t:m:p:i0h")) != -1) {
		if (opt == 'n')
			m.proc_nr = (uint32_t)atoi(optarg);
		else if (opt == 't')
			m.seconds = atof(optarg);
		else if (opt == 'm')
			m.file_max = strtoull(optarg, NULL, 0);
		else if (opt == 'i')
			m.interactive = true;
		else if (opt == '0')
			m.null_server = true;
		else if (opt != 'p' || !select_phases(&m, optarg))
			return usage(argv[0], ops);
	}
	if (argc - optind != ops->arg_nr || m.proc_nr == 0 || m.proc_nr > PROC_MAX ||
	    m.seconds <= 0)
		return usage(argv[0], ops);
	m.sh = mmap(NULL, sizeof(*m.sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (m.sh == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	for (i = 0; i < m.proc_nr; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			m.me = i;
			_exit(child(&m, argv + optind));
		}
		if (pid < 0)
			fail(&m, errno, "fork", "");
	}
	ok = parent(&m);
	while (wait(&status) > 0)
		ok = ok && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	return ok ? 0 : 1;
}
