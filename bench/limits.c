/*
 * The limits of this machine in this hour: limits [-d DIR] [-t SECONDS] NAME...
 *
 * What the disk, the loopback network and the memory give to a program that does nothing else. Each
 * NAME prints one JSON line with operations per second and CPU time per operation; `-l` lists the
 * names. Disk: io_uring, O_DIRECT, a preallocated file full of zeros. Network: TCP over loopback
 * between two threads, once both on one core and sleeping in recv(), once on two cores and polling;
 * waking a thread on another core would otherwise be most of what is measured. The better one is
 * reported.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <liburing.h>

#include "base/crc.h"

#define DISK_BYTES (1ull << 30)
#define MIB        (1ull << 20)

struct limits {
	const char *dir;
	double seconds;
	int disk_fd; /* -1 until the first use */
};

struct limit {
	const char *name, *help;
	int (*run)(struct limits *l, const struct limit *x);
	/* meaning depends on run */
	uint32_t size, depth, flags;
};

enum { DISK_WRITE = 1, DISK_SYNC = 2, DISK_SEQ = 4 };

static double
clock_s(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Time and CPU of the whole process since begin(). */
struct watch {
	double wall, cpu;
};

static struct watch
begin(void)
{
	return (struct watch){clock_s(CLOCK_MONOTONIC), clock_s(CLOCK_PROCESS_CPUTIME_ID)};
}

static double
elapsed(const struct watch *w)
{
	return clock_s(CLOCK_MONOTONIC) - w->wall;
}

static void
report(const struct limit *x, double ops, double wall, double cpu)
{
	printf("{\"name\": \"%s\", \"ops_per_s\": %.1f, \"bytes_per_s\": %.0f, \"cpu_us_per_op\": "
	       "%.4f, \"wall_s\": %.4f, \"cpu_s\": %.4f}\n",
	       x->name, ops / wall, ops / wall * x->size, cpu * 1e6 / ops, wall, cpu);
	fflush(stdout);
}

static uint64_t
next_rand(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* ---- Disk ---- */

static void *
buffer(size_t bytes)
{
	void *p;

	if (posix_memalign(&p, 4096, bytes) != 0) {
		fprintf(stderr, "limits: out of memory\n");
		exit(1);
	}
	memset(p, 0x5a, bytes);
	return p;
}

static int
disk_open(struct limits *l)
{
	char path[4096], *zero;
	uint64_t off;
	int fd;

	if (l->disk_fd >= 0)
		return 0;
	snprintf(path, sizeof(path), "%s/limits.XXXXXX", l->dir);
	fd = mkostemp(path, O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlink(path);
	zero = buffer(MIB);
	memset(zero, 0, MIB);
	if (fallocate(fd, 0, 0, DISK_BYTES) != 0)
		goto fail;
	for (off = 0; off < DISK_BYTES; off += MIB)
		if (pwrite(fd, zero, MIB, (off_t)off) != (ssize_t)MIB)
			goto fail;
	free(zero);
	fsync(fd);
	l->disk_fd = fd;
	return 0;
fail:
	free(zero);
	close(fd);
	return errno != 0 ? -errno : -EIO;
}

struct disk_job {
	const struct limit *x;
	struct io_uring ring;
	char *buf;
	int fd;
	uint64_t rng, next;
};

static void
disk_submit(struct disk_job *j, uint64_t slot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&j->ring);
	uint32_t size = j->x->size;
	uint64_t blocks = DISK_BYTES / size;
	uint64_t off = (j->x->flags & DISK_SEQ ? j->next++ : next_rand(&j->rng)) % blocks * size;

	if (j->x->flags & DISK_WRITE)
		io_uring_prep_write(sqe, j->fd, j->buf + slot * size, size, off);
	else
		io_uring_prep_read(sqe, j->fd, j->buf + slot * size, size, off);
	if (j->x->flags & DISK_SYNC)
		sqe->rw_flags = RWF_DSYNC;
	io_uring_sqe_set_data64(sqe, slot);
}

/* Completions until none is left; a new operation for each until the time is over. */
static int
disk_loop(struct disk_job *j, double seconds, uint64_t *ret_ops)
{
	struct watch w = begin();
	struct io_uring_cqe *cqe;
	uint32_t i, in_flight = j->x->depth;
	uint64_t ops = 0;
	bool more = true;
	int rc;

	for (i = 0; i < in_flight; i++)
		disk_submit(j, i);
	while (in_flight > 0) {
		rc = io_uring_submit_and_wait(&j->ring, 1);
		if (rc < 0 && rc != -EINTR)
			return rc;
		more = more && elapsed(&w) < seconds;
		while (io_uring_peek_cqe(&j->ring, &cqe) == 0) {
			uint64_t slot = io_uring_cqe_get_data64(cqe);

			if (cqe->res != (int)j->x->size)
				return cqe->res < 0 ? cqe->res : -EIO;
			io_uring_cqe_seen(&j->ring, cqe);
			ops++;
			if (more)
				disk_submit(j, slot);
			else
				in_flight--;
		}
	}
	*ret_ops = ops;
	return 0;
}

static int
disk_run(struct limits *l, const struct limit *x)
{
	struct disk_job j = {.x = x, .rng = 88172645463325252ull};
	struct io_uring_params p = {.flags =
					IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
	struct watch w;
	uint64_t ops = 0;
	int rc = disk_open(l);

	if (rc != 0)
		return rc;
	j.fd = l->disk_fd;
	rc = io_uring_queue_init_params(64, &j.ring, &p);
	if (rc != 0)
		return rc;
	j.buf = buffer((size_t)x->size * x->depth);
	w = begin();
	rc = disk_loop(&j, l->seconds, &ops);
	if (rc == 0)
		report(x, (double)ops, elapsed(&w), clock_s(CLOCK_PROCESS_CPUTIME_ID) - w.cpu);
	io_uring_queue_exit(&j.ring);
	free(j.buf);
	return rc;
}

/*
 * What durable updates of 4 KiB ask of a disk, by nothing else: x->depth chains, each of a
 * synchronous write of its share of 64 blocks, then a synchronous write of the log records that
 * name them. One operation is one block. flags: bytes of one record; 0: the blocks themselves go
 * to the log, and there is no other write.
 */
enum { PAIR_OPS = 64, PAIR_LOG_AT = 768 << 20, PAIR_LOG_BYTES = 256 << 20 };

struct pair_job {
	const struct limit *x;
	struct io_uring ring;
	char *buf;
	int fd;
	uint64_t data_next, log_next;
};

static void
pair_submit(struct pair_job *j, uint64_t chain, bool log)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&j->ring);
	uint32_t ops = PAIR_OPS / j->x->depth, rec = j->x->flags;
	uint32_t len = ops * 4096,
		 log_len = rec == 0 ? len + 4096 : (ops * rec + 4095) / 4096 * 4096;
	uint64_t off;

	if (log) {
		if (j->log_next + log_len > PAIR_LOG_BYTES)
			j->log_next = 0;
		off = PAIR_LOG_AT + j->log_next;
		j->log_next += log_len;
		len = log_len;
	} else {
		off = j->data_next;
		j->data_next = (j->data_next + len) % PAIR_LOG_AT;
	}
	io_uring_prep_write(sqe, j->fd, j->buf, len, off);
	sqe->rw_flags = RWF_DSYNC;
	io_uring_sqe_set_data64(sqe, chain * 2 + log);
}

static int
pair_loop(struct pair_job *j, double seconds, uint64_t *ret_ops)
{
	struct watch w = begin();
	struct io_uring_cqe *cqe;
	uint32_t i, in_flight = j->x->depth;
	bool more = true;
	int rc;

	for (i = 0; i < in_flight; i++)
		pair_submit(j, i, j->x->flags == 0);
	while (in_flight > 0) {
		rc = io_uring_submit_and_wait(&j->ring, 1);
		if (rc < 0 && rc != -EINTR)
			return rc;
		more = more && elapsed(&w) < seconds;
		while (io_uring_peek_cqe(&j->ring, &cqe) == 0) {
			uint64_t tag = io_uring_cqe_get_data64(cqe);

			if (cqe->res <= 0 || cqe->res % 4096 != 0)
				return cqe->res < 0 ? cqe->res : -EIO;
			io_uring_cqe_seen(&j->ring, cqe);
			if (tag % 2 == 0) {
				pair_submit(j, tag / 2, true);
				continue;
			}
			*ret_ops += PAIR_OPS / j->x->depth;
			if (more)
				pair_submit(j, tag / 2, j->x->flags == 0);
			else
				in_flight--;
		}
	}
	return 0;
}

static int
pair_run(struct limits *l, const struct limit *x)
{
	struct pair_job j = {.x = x};
	struct io_uring_params p = {.flags =
					IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
	struct watch w;
	uint64_t ops = 0;
	int rc = disk_open(l);

	if (rc != 0)
		return rc;
	j.fd = l->disk_fd;
	rc = io_uring_queue_init_params(64, &j.ring, &p);
	if (rc != 0)
		return rc;
	j.buf = buffer((PAIR_OPS + 1) * 4096);
	w = begin();
	rc = pair_loop(&j, l->seconds, &ops);
	if (rc == 0)
		report(x, (double)ops, elapsed(&w), clock_s(CLOCK_PROCESS_CPUTIME_ID) - w.cpu);
	io_uring_queue_exit(&j.ring);
	free(j.buf);
	return rc;
}

/* Overwrite a block and wait until it is durable. */
static int
fdatasync_run(struct limits *l, const struct limit *x)
{
	uint64_t rng = 88172645463325252ull, ops = 0;
	char *buf = buffer(x->size);
	struct watch w;
	int rc = disk_open(l);

	for (w = begin(); rc == 0 && elapsed(&w) < l->seconds; ops++) {
		off_t off = (off_t)(next_rand(&rng) % (DISK_BYTES / x->size) * x->size);

		if (pwrite(l->disk_fd, buf, x->size, off) != (ssize_t)x->size ||
		    fdatasync(l->disk_fd) != 0)
			rc = -errno;
	}
	if (rc == 0)
		report(x, (double)ops, elapsed(&w), clock_s(CLOCK_PROCESS_CPUTIME_ID) - w.cpu);
	free(buf);
	return rc;
}

/* ---- Network ---- */

enum { REQUEST_BYTES = 64, TCP_BUF = 1 << 20 };

struct tcp_job {
	const struct limit *x;
	int server_fd, client_fd;
	bool one_core; /* and sleeping; otherwise two cores and polling */
	bool stream;   /* one way: the server only receives */
	_Atomic bool stop;
};

static void
pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % (int)sysconf(_SC_NPROCESSORS_ONLN), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* At least one byte, 0 when the other side has closed or the job is to stop. */
static ssize_t
tcp_recv(struct tcp_job *j, int fd, void *buf, size_t len)
{
	ssize_t n;

	do {
		n = recv(fd, buf, len, j->one_core ? 0 : MSG_DONTWAIT);
	} while (n < 0 && (errno == EAGAIN || errno == EINTR) && !atomic_load(&j->stop));
	return n < 0 ? 0 : n;
}

static bool
tcp_send_all(int fd, const char *buf, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, buf, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			buf += n;
			len -= (size_t)n;
		}
	}
	return true;
}

static void *
tcp_server(void *arg)
{
	struct tcp_job *j = arg;
	char *in = buffer(TCP_BUF), *out = buffer((size_t)j->x->size * j->x->depth);
	size_t have = 0;
	ssize_t n;

	pin(j->one_core ? 0 : 1);
	while ((n = tcp_recv(j, j->server_fd, in, TCP_BUF)) > 0) {
		size_t requests;

		if (j->stream)
			continue;
		have += (size_t)n;
		requests = have / REQUEST_BYTES;
		have %= REQUEST_BYTES;
		if (requests > 0 && !tcp_send_all(j->server_fd, out, requests * j->x->size))
			break;
	}
	free(in);
	free(out);
	return NULL;
}

/* As many requests in flight as the depth says; those that became possible together leave together.
 */
static uint64_t
tcp_requests(struct tcp_job *j, double seconds)
{
	char *in = buffer(TCP_BUF), *out = buffer((size_t)REQUEST_BYTES * j->x->depth);
	struct watch w = begin();
	uint64_t ops = 0;
	size_t have = 0, to_send = j->x->depth;
	ssize_t n;

	while (elapsed(&w) < seconds) {
		if (to_send > 0 && !tcp_send_all(j->client_fd, out, to_send * REQUEST_BYTES))
			break;
		n = tcp_recv(j, j->client_fd, in, TCP_BUF);
		if (n <= 0)
			break;
		have += (size_t)n;
		to_send = have / j->x->size;
		have %= j->x->size;
		ops += to_send;
	}
	free(in);
	free(out);
	return ops;
}

static uint64_t
tcp_stream(struct tcp_job *j, double seconds)
{
	char *out = buffer(j->x->size);
	struct watch w = begin();
	uint64_t ops = 0;

	while (elapsed(&w) < seconds && tcp_send_all(j->client_fd, out, j->x->size))
		ops++;
	free(out);
	return ops;
}

static int
tcp_connect(struct tcp_job *j)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(addr);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	j->client_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || j->client_fd < 0 || bind(fd, (struct sockaddr *)&addr, len) != 0 ||
	    listen(fd, 1) != 0 || getsockname(fd, (struct sockaddr *)&addr, &len) != 0 ||
	    connect(j->client_fd, (struct sockaddr *)&addr, len) != 0)
		return -errno;
	j->server_fd = accept(fd, NULL, NULL);
	close(fd);
	if (j->server_fd < 0)
		return -errno;
	setsockopt(j->client_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(j->server_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return 0;
}

static int
tcp_once(struct tcp_job *j, double seconds, double *ret_ops, double *ret_wall, double *ret_cpu)
{
	cpu_set_t before;
	pthread_t server;
	struct watch w;
	int rc = tcp_connect(j);

	if (rc != 0)
		return rc;
	sched_getaffinity(0, sizeof(before), &before);
	atomic_store(&j->stop, false);
	if (pthread_create(&server, NULL, tcp_server, j) != 0)
		return -EAGAIN;
	pin(0);
	w = begin();
	*ret_ops = (double)(j->stream ? tcp_stream(j, seconds) : tcp_requests(j, seconds));
	*ret_wall = elapsed(&w);
	*ret_cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID) - w.cpu;
	atomic_store(&j->stop, true);
	shutdown(j->client_fd, SHUT_RDWR);
	pthread_join(server, NULL);
	close(j->client_fd);
	close(j->server_fd);
	sched_setaffinity(0, sizeof(before), &before);
	return *ret_ops == 0 ? -EIO : 0;
}

static int
tcp_run(struct limits *l, const struct limit *x)
{
	double best_ops = 0, best_wall = 1, best_cpu = 0, ops = 0, wall = 1, cpu = 0;
	int mode, rc;

	for (mode = 0; mode < 2; mode++) {
		struct tcp_job j = {.x = x, .one_core = mode == 0, .stream = x->depth == 0};

		if (!j.one_core && sysconf(_SC_NPROCESSORS_ONLN) < 2)
			break;
		rc = tcp_once(&j, l->seconds / 2, &ops, &wall, &cpu);
		if (rc != 0)
			return rc;
		if (ops / wall > best_ops / best_wall) {
			best_ops = ops;
			best_wall = wall;
			best_cpu = cpu;
		}
	}
	report(x, best_ops, best_wall, best_cpu);
	return 0;
}

/* ---- Memory ---- */

static int
memcpy_run(struct limits *l, const struct limit *x)
{
	uint64_t area = 256 * MIB, off = 0, ops = 0;
	char *from = buffer(area), *to = buffer(area);
	struct watch w;

	for (w = begin(); elapsed(&w) < l->seconds; ops++) {
		memcpy(to + off, from + off, x->size);
		off = (off + x->size) % area;
		__asm__ volatile("" ::: "memory");
	}
	report(x, (double)ops, elapsed(&w), clock_s(CLOCK_PROCESS_CPUTIME_ID) - w.cpu);
	free(from);
	free(to);
	return 0;
}

static int
crc_run(struct limits *l, const struct limit *x)
{
	char *buf = buffer(x->size);
	uint64_t ops = 0;
	uint32_t crc = 0;
	struct watch w;

	for (w = begin(); elapsed(&w) < l->seconds; ops++)
		crc = crc32c(crc, buf, x->size);
	__asm__ volatile("" ::"r"(crc));
	report(x, (double)ops, elapsed(&w), clock_s(CLOCK_PROCESS_CPUTIME_ID) - w.cpu);
	free(buf);
	return 0;
}

/* Reads each of which names the next one, all over 256 MiB: what a lookup in a large tree is made
 * of. */
static int
chase_run(struct limits *l, const struct limit *x)
{
	uint64_t nr = 256 * MIB / x->size, i, ops = 0, at = 0, rng = 88172645463325252ull;
	uint64_t stride = x->size / sizeof(uint64_t);
	uint64_t *area = buffer(256 * MIB);
	struct watch w;

	for (i = 0; i < nr; i++)
		area[i * stride] = i;
	for (i = nr - 1; i > 0; i--) { /* one cycle through all (Sattolo) */
		uint64_t k = next_rand(&rng) % i, tmp = area[i * stride];

		area[i * stride] = area[k * stride];
		area[k * stride] = tmp;
	}
	for (w = begin(); elapsed(&w) < l->seconds; ops += 64)
		for (i = 0; i < 64; i++)
			at = area[at * stride];
	__asm__ volatile("" ::"r"(at));
	report(x, (double)ops, elapsed(&w), clock_s(CLOCK_PROCESS_CPUTIME_ID) - w.cpu);
	free(area);
	return 0;
}

static const struct limit limits[] = {
    {"disk-read-1", "4 KiB random read, depth 1", disk_run, 4096, 1, 0},
    {"disk-read-32", "4 KiB random read, depth 32", disk_run, 4096, 32, 0},
    {"disk-write-1", "4 KiB random write, depth 1", disk_run, 4096, 1, DISK_WRITE},
    {"disk-write-32", "4 KiB random write, depth 32", disk_run, 4096, 32, DISK_WRITE},
    {"disk-append-4k", "4 KiB append, O_DSYNC", disk_run, 4096, 1,
     DISK_WRITE | DISK_SYNC | DISK_SEQ},
    {"disk-append-64k", "64 KiB append, O_DSYNC", disk_run, 65536, 1,
     DISK_WRITE | DISK_SYNC | DISK_SEQ},
    {"disk-seq-read", "1 MiB sequential read, depth 8", disk_run, 1 << 20, 8, DISK_SEQ},
    {"disk-seq-write", "1 MiB sequential write, depth 8", disk_run, 1 << 20, 8,
     DISK_WRITE | DISK_SEQ},
    {"disk-update-1", "64 blocks and then their log records, O_DSYNC, in 1 chain", pair_run, 4096,
     1, 256},
    {"disk-update-2", "... in 2 chains", pair_run, 4096, 2, 256},
    {"disk-update-4", "... in 4 chains", pair_run, 4096, 4, 256},
    {"disk-update-8", "... in 8 chains", pair_run, 4096, 8, 256},
    {"disk-log-1", "64 blocks in the log, O_DSYNC, in 1 chain", pair_run, 4096, 1, 0},
    {"disk-log-2", "... in 2 chains", pair_run, 4096, 2, 0},
    {"disk-log-4", "... in 4 chains", pair_run, 4096, 4, 0},
    {"disk-fdatasync", "4 KiB overwrite and fdatasync", fdatasync_run, 4096, 1, 0},
    {"tcp-64-1", "64 B request, 64 B reply, depth 1", tcp_run, 64, 1, 0},
    {"tcp-64-4", "64 B request, 64 B reply, depth 4", tcp_run, 64, 4, 0},
    {"tcp-64-16", "64 B request, 64 B reply, depth 16", tcp_run, 64, 16, 0},
    {"tcp-4k-1", "64 B request, 4 KiB reply, depth 1", tcp_run, 4096, 1, 0},
    {"tcp-4k-16", "64 B request, 4 KiB reply, depth 16", tcp_run, 4096, 16, 0},
    {"tcp-stream", "1 MiB sends, one way", tcp_run, 1 << 20, 0, 0},
    {"memcpy-4k", "4 KiB at a time over 256 MiB", memcpy_run, 4096, 1, 0},
    {"memcpy-1m", "1 MiB at a time over 256 MiB", memcpy_run, 1 << 20, 1, 0},
    {"crc32c", "CRC-32C of 64 KiB in cache", crc_run, 65536, 1, 0},
    {"memory-read", "dependent random reads over 256 MiB", chase_run, 64, 1, 0},
};
enum { LIMIT_NR = sizeof(limits) / sizeof(limits[0]) };

static int
run_named(struct limits *l, const char *name)
{
	uint32_t i;
	int rc;

	for (i = 0; i < LIMIT_NR && strcmp(limits[i].name, name) != 0; i++)
		;
	if (i == LIMIT_NR) {
		fprintf(stderr, "limits: nothing is called '%s' (-l lists the names)\n", name);
		return 2;
	}
	rc = limits[i].run(l, &limits[i]);
	if (rc != 0)
		fprintf(stderr, "limits: %s: %s\n", name, strerror(-rc));
	return rc != 0;
}

int
main(int argc, char **argv)
{
	struct limits l = {.dir = ".", .seconds = 1, .disk_fd = -1};
	int opt, i, rc = 0;

	while ((opt = getopt(argc, argv, "d:t:lh")) != -1) {
		if (opt == 'd') {
			l.dir = optarg;
		} else if (opt == 't') {
			l.seconds = atof(optarg);
		} else if (opt == 'l') {
			for (i = 0; i < LIMIT_NR; i++)
				printf("%-16s %s\n", limits[i].name, limits[i].help);
			return 0;
		} else {
			fprintf(stderr, "usage: limits [-d DIR] [-t SECONDS] [-l] NAME...\n");
			return 2;
		}
	}
	for (i = optind; rc == 0 && i < argc; i++)
		rc = run_named(&l, argv[i]);
	if (l.disk_fd >= 0)
		close(l.disk_fd);
	return rc;
}
