/* File I/O of coroutines, on a temporary file. */
#include "runtime/test_support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <daos_errno.h>

#include "runtime/uring.h"

enum { BLOCK = 4096, BLOCKS = 64 };

struct file {
	int fd;
	uint8_t *buf; /* BLOCKS blocks */
};

static void
file_open(struct file *f)
{
	char path[] = "/tmp/test_uring.XXXXXX";

	f->fd = mkstemp(path);
	assert_true(f->fd >= 0);
	unlink(path);
	f->buf = malloc(BLOCK * BLOCKS);
	assert_non_null(f->buf);
}

static void
file_close(struct file *f)
{
	free(f->buf);
	close(f->fd);
}

static int
basic(void *arg)
{
	struct file *f = arg;
	struct xs *xs = co_xs();
	uint8_t a[BLOCK], b[BLOCK], c[2 * BLOCK];
	struct iovec iov[2] = {{a, sizeof(a)}, {b, sizeof(b)}};
	struct iovec one = {c, sizeof(c)};
	struct stat st;
	size_t n;

	memset(a, 0xa1, sizeof(a));
	memset(b, 0xb2, sizeof(b));
	assert_int_equal(ftruncate(f->fd, 0), 0);
	assert_int_equal(uring_fallocate(xs, f->fd, 0, 0, 16 * BLOCK), 0);
	assert_int_equal(fstat(f->fd, &st), 0);
	assert_int_equal(st.st_size, 16 * BLOCK);
	assert_int_equal(uring_writev(xs, f->fd, iov, 2, 3 * BLOCK, 0, NULL), 0);
	assert_int_equal(uring_fsync(xs, f->fd, false), 0);
	assert_int_equal(uring_fsync(xs, f->fd, true), 0);
	assert_int_equal(uring_readv(xs, f->fd, &one, 1, 3 * BLOCK, NULL), 0);
	assert_memory_equal(c, a, BLOCK);
	assert_memory_equal(c + BLOCK, b, BLOCK);
	/* the other way round: one segment out, two in, durable at once */
	memset(c, 0x3c, sizeof(c));
	assert_int_equal(uring_writev(xs, f->fd, &one, 1, 0, RWF_DSYNC, NULL), 0);
	assert_int_equal(uring_readv(xs, f->fd, iov, 2, 0, NULL), 0);
	assert_memory_equal(b, c + BLOCK, BLOCK);
	/* the end of the file */
	assert_int_equal(uring_readv(xs, f->fd, &one, 1, 15 * BLOCK, NULL), -DER_IO);
	assert_int_equal(uring_readv(xs, f->fd, &one, 1, 15 * BLOCK, &n), 0);
	assert_int_equal(n, BLOCK);
	/* errors of the kernel */
	assert_int_equal(uring_readv(xs, -1, &one, 1, 0, NULL), -DER_NO_HDL);
	assert_int_equal(uring_fsync(xs, -1, false), -DER_NO_HDL);
	assert_int_equal(uring_fallocate(xs, f->fd, 0, 0, 0), -DER_INVAL);
	return 0;
}

static void
test_basic(void **state)
{
	struct test_xs t;
	struct file f;

	test_xs_open(&t);
	file_open(&f);
	assert_int_equal(xs_call(t.xs, basic, &f), 0);
	file_close(&f);
	test_xs_close(&t);
}

struct block_job {
	struct file *f;
	uint32_t idx;
};

static int
block_round_trip(void *arg)
{
	struct block_job *j = arg;
	struct iovec out = {j->f->buf + (j->idx % BLOCKS) * BLOCK, BLOCK};
	uint8_t back[BLOCK];
	struct iovec in = {back, BLOCK};
	int rc;

	rc = uring_writev(co_xs(), j->f->fd, &out, 1, (uint64_t)j->idx * BLOCK, 0, NULL);
	if (rc != 0)
		return rc;
	rc = uring_readv(co_xs(), j->f->fd, &in, 1, (uint64_t)j->idx * BLOCK, NULL);
	if (rc != 0)
		return rc;
	return memcmp(back, out.iov_base, BLOCK) == 0 ? 0 : -DER_CSUM;
}

/* More at once than the submission and completion rings hold. */
static int
many(void *arg)
{
	enum { NR = TEST_COS_MAX };
	struct file *f = arg;
	struct block_job *jobs = calloc(NR, sizeof(*jobs));
	struct co_group g;
	uint32_t i;
	int rc;

	for (i = 0; i < BLOCK * BLOCKS; i++)
		f->buf[i] = (uint8_t)(i * 7 + i / BLOCK);
	co_group_init(&g);
	for (i = 0; i < NR; i++) {
		jobs[i] = (struct block_job){.f = f, .idx = i};
		assert_int_equal(co_group_spawn(&g, block_round_trip, &jobs[i]), 0);
	}
	rc = co_group_join(&g);
	free(jobs);
	return rc;
}

static void
test_many(void **state)
{
	struct test_xs t;
	struct file f;

	test_xs_open(&t);
	file_open(&f);
	assert_int_equal(xs_call(t.xs, many, &f), 0);
	file_close(&f);
	test_xs_close(&t);
}

/* A loop that sleeps while a slow read (an empty pipe) is outstanding uses no processor time. */
struct slow {
	int fds[2];
};

static int
slow_read(void *arg)
{
	struct slow *s = arg;
	char c[4];
	struct iovec iov = {c, sizeof(c)};
	size_t n = 0;

	assert_int_equal(uring_readv(co_xs(), s->fds[0], &iov, 1, (uint64_t)-1, &n), 0);
	return (int)n;
}

static int
slow_write(void *arg)
{
	struct slow *s = arg;

	co_sleep_ns(200 * 1000000ull);
	return write(s->fds[1], "abc", 3) == 3 ? 0 : -DER_IO;
}

static int
slow_both(void *arg)
{
	struct co_group g;
	int rc;

	co_group_init(&g);
	assert_int_equal(co_group_spawn(&g, slow_write, arg), 0);
	rc = slow_read(arg);
	assert_int_equal(co_group_join(&g), 0);
	return rc;
}

static double
cpu_seconds(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
	       (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

static void
test_sleeps_meanwhile(void **state)
{
	struct test_xs t;
	struct slow s;
	double cpu;

	test_xs_open(&t);
	assert_int_equal(pipe(s.fds), 0);
	cpu = cpu_seconds();
	assert_int_equal(xs_call(t.xs, slow_both, &s), 3);
	assert_true(cpu_seconds() - cpu < 0.05);
	close(s.fds[0]);
	close(s.fds[1]);
	test_xs_close(&t);
}

/* The same on a thread of its own, where the ring is set up differently. */
static void
test_thread(void **state)
{
	struct test_xs t;
	struct slow s;
	struct file f;
	double cpu;

	test_xs_open(&t);
	file_open(&f);
	assert_int_equal(xs_thread_start(t.xs), 0);
	assert_int_equal(xs_call(t.xs, basic, &f), 0);
	assert_int_equal(xs_call(t.xs, many, &f), 0);
	assert_int_equal(pipe(s.fds), 0);
	cpu = cpu_seconds();
	assert_int_equal(xs_call(t.xs, slow_both, &s), 3);
	assert_true(cpu_seconds() - cpu < 0.05);
	close(s.fds[0]);
	close(s.fds[1]);
	xs_stop(t.xs);
	xs_thread_join(t.xs);
	/* afterwards this thread may drive the loop */
	assert_int_equal(xs_call(t.xs, basic, &f), 0);
	file_close(&f);
	test_xs_close(&t);
}

/* A child may destroy its copy; the parent's ring goes on working. */
static void
test_fork(void **state)
{
	struct test_xs t;
	struct file f;
	int status;
	pid_t pid;

	test_xs_open(&t);
	file_open(&f);
	assert_int_equal(xs_call(t.xs, basic, &f), 0);
	pid = fork();
	if (pid == 0) {
		bool refused = xs_call(t.xs, basic, &f) == -DER_UNINIT;
		struct test_xs own;

		xs_destroy(t.xs);
		test_xs_open(&own); /* one of its own works */
		_exit(refused && xs_call(own.xs, basic, &f) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(xs_call(t.xs, basic, &f), 0);
	file_close(&f);
	test_xs_close(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_basic),
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_sleeps_meanwhile),
	    cmocka_unit_test(test_thread),
	    cmocka_unit_test(test_fork),
	};
	struct test_xs t;
	int rc;

	test_xs_open(&t);
	rc = uring_probe(t.xs);
	test_xs_close(&t);
	if (rc == -DER_NOSYS) {
		puts("skipped: this kernel does not let us use io_uring");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
