/*
 * Microbenchmark of the RPC layer: two processes over the real fabric on one machine.
 *
 *	rpc_bench [-p PROVIDER] [-i INTERFACE] [-s SECONDS] [-c CPU_SERVER,CPU_CLIENT]
 *
 * Prints, for each case, operations per second, time per operation and CPU time per operation on
 * both sides. The server is a child process, forked before anything is opened.
 */
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "net/rpc/test_server.h"

static uint64_t
cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static uint64_t
mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static long
rss_kib(void)
{
	long total, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL)
		return 0;
	if (fscanf(f, "%ld %ld", &total, &resident) != 2)
		resident = 0;
	fclose(f);
	return resident * 4;
}

enum {
	T_CPU = 200,  /* reply: u64 CPU ns of the server so far */
	T_BENCH_PULL, /* u64, description: move it all, look at nothing */
	T_BENCH_PUSH,
};

static uint8_t bulk_mem[16 << 20];

static void
bench_move(struct rpc_in *in, bool put)
{
	struct rpc_bulk_desc desc = {.bytes = in->body + 8, .len = in->body_len - 8};
	struct iovec iov = {.iov_base = bulk_mem, .iov_len = rpc_bulk_desc_size(&desc)};

	rpc_reply(in,
		  put ? rpc_bulk_push(in, &desc, 0, &iov, 1, 0)
		      : rpc_bulk_pull(in, &desc, 0, &iov, 1, 0),
		  NULL, 0);
}

static void
bench_pull(struct rpc_in *in, void *arg)
{
	bench_move(in, false);
}

static void
bench_push(struct rpc_in *in, void *arg)
{
	bench_move(in, true);
}

static void
t_cpu(struct rpc_in *in, void *arg)
{
	uint64_t ns = cpu_ns();
	struct iovec iov = {.iov_base = &ns, .iov_len = sizeof(ns)};

	rpc_reply(in, 0, &iov, 1);
}

static void
pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

static int
server(const struct net_conf *conf, int pipe_fd, int cpu)
{
	struct t_server srv;
	struct net *net;
	struct env env;
	struct xs *xs;
	char uri[RPC_URI_MAX] = "";
	int rc;

	pin(cpu);
	env_init_real(&env);
	rc = xs_create(&(struct xs_conf){.name = "server", .env = &env, .cpu = -1}, &xs);
	if (rc == 0)
		rc = net_open_fabric(conf, &net);
	if (rc == 0)
		rc = t_server_open(&srv, xs, net, 0);
	if (rc == 0)
		rc = rpc_register(srv.ep, T_CPU, t_cpu, NULL);
	if (rc == 0)
		rc = rpc_register(srv.ep, T_BENCH_PULL, bench_pull, NULL);
	if (rc == 0)
		rc = rpc_register(srv.ep, T_BENCH_PUSH, bench_push, NULL);
	if (rc != 0) {
		fprintf(stderr, "server: " ERR_F "\n", ERR_P(rc));
		return 1;
	}
	snprintf(uri, sizeof(uri), "%s", rpc_ep_uri(srv.ep));
	if (write(pipe_fd, uri, sizeof(uri)) != (ssize_t)sizeof(uri))
		return 1;
	rc = co_spawn(xs, t_server_run, &srv);
	xs_run(xs);
	net_close(net);
	xs_destroy(xs);
	return rc;
}

struct bench {
	struct xs *xs;
	struct rpc_ep *ep;
	struct rpc_peer *peer;
	uint64_t run_ns;
	uint64_t until_ns;
	uint64_t done_nr;
	int failed;
	/* of the case */
	uint32_t opc;
	struct iovec body[2];
	uint32_t body_nr;
};

static int
worker(void *arg)
{
	struct bench *b = arg;
	int rc = 0;

	while (rc == 0 && xs_now_ns(b->xs) < b->until_ns) {
		struct rpc_call call = {.opc = b->opc, .body = b->body, .body_nr = b->body_nr};

		rc = rpc_call_send(b->ep, b->peer, &call);
		if (rc == 0)
			rc = call.status;
		rpc_call_fini(&call);
		b->done_nr++;
	}
	return rc;
}

static uint64_t
server_cpu(struct bench *b)
{
	struct rpc_call call = {.opc = T_CPU};
	uint64_t ns = 0;

	if (rpc_call_send(b->ep, b->peer, &call) == 0 && call.reply_len == 8)
		memcpy(&ns, call.reply, 8);
	rpc_call_fini(&call);
	return ns;
}

static void
bench_case(struct bench *b, const char *name, uint32_t depth, uint64_t bytes)
{
	uint64_t start, cpu, scpu, ns;
	struct co_group g;
	uint32_t i;
	int rc;

	co_group_init(&g);
	scpu = server_cpu(b);
	cpu = cpu_ns();
	start = mono_ns();
	b->done_nr = 0;
	b->until_ns = xs_now_ns(b->xs) + b->run_ns;
	for (i = 0; i < depth; i++)
		(void)co_group_spawn(&g, worker, b);
	rc = co_group_join(&g);
	ns = mono_ns() - start;
	cpu = cpu_ns() - cpu;
	scpu = server_cpu(b) - scpu;
	if (rc != 0) {
		printf("%-24s failed: " ERR_F "\n", name, ERR_P(rc));
		b->failed = 1;
		return;
	}
	printf("%-24s %9.0f/s  %8.2f us/op  CPU us/op client %6.2f server %6.2f", name,
	       (double)b->done_nr * 1e9 / (double)ns, (double)ns / 1e3 * depth / (double)b->done_nr,
	       (double)cpu / 1e3 / (double)b->done_nr, (double)scpu / 1e3 / (double)b->done_nr);
	if (bytes >= 65536)
		printf("  %6.2f GB/s  core-s/GiB %.2f", (double)(b->done_nr * bytes) / (double)ns,
		       (double)(cpu + scpu) / 1e9 / ((double)(b->done_nr * bytes) / (1 << 30)));
	printf("\n");
}

static void
bench_echo(struct bench *b, uint32_t size, uint32_t depth)
{
	static uint8_t bytes[RPC_INLINE_MAX];
	char name[64];

	b->opc = T_ECHO;
	b->body[0] = (struct iovec){.iov_base = bytes, .iov_len = size};
	b->body_nr = 1;
	snprintf(name, sizeof(name), "echo %u B x %u", size, depth);
	bench_case(b, name, depth, size);
}

static void
bench_bulk(struct bench *b, uint64_t size, uint32_t depth, bool put)
{
	uint8_t *buf = calloc(1, size);
	struct iovec iov = {.iov_base = buf, .iov_len = size};
	struct rpc_bulk *bulk;
	struct rpc_bulk_desc desc;
	char name[64];
	uint64_t zero = 0;

	if (buf == NULL ||
	    rpc_bulk_create(b->ep, &iov, 1, put ? RPC_BULK_WRITE : RPC_BULK_READ, &bulk) != 0) {
		b->failed = 1;
		return;
	}
	desc = rpc_bulk_describe(bulk);
	b->opc = put ? T_BENCH_PUSH : T_BENCH_PULL;
	b->body[0] = (struct iovec){.iov_base = &zero, .iov_len = 8};
	b->body[1] = (struct iovec){.iov_base = (void *)desc.bytes, .iov_len = desc.len};
	b->body_nr = 2;
	snprintf(name, sizeof(name), "%s %lu KiB x %u", put ? "push" : "pull",
		 (unsigned long)(size >> 10), depth);
	bench_case(b, name, depth, size);
	rpc_bulk_destroy(bulk);
	free(buf);
}

static int
client(void *arg)
{
	struct bench *b = arg;
	struct rpc_call stop = {.opc = T_STOP};

	bench_echo(b, 64, 1);
	bench_echo(b, 64, 1);
	bench_echo(b, 64, 32);
	bench_echo(b, 4096, 1);
	bench_echo(b, 4096, 32);
	bench_echo(b, 32768, 1);
	bench_echo(b, 32768, 8);
	bench_bulk(b, 65536, 1, false);
	bench_bulk(b, 65536, 1, true);
	bench_bulk(b, 1 << 20, 1, false);
	bench_bulk(b, 1 << 20, 1, true);
	bench_bulk(b, 1 << 20, 8, false);
	bench_bulk(b, 1 << 20, 8, true);
	bench_bulk(b, 16 << 20, 1, false);
	bench_bulk(b, 16 << 20, 1, true);
	(void)rpc_call_send(b->ep, b->peer, &stop);
	rpc_call_fini(&stop);
	rpc_peer_put(b->peer);
	rpc_ep_close(b->ep);
	return 0;
}

int
main(int argc, char **argv)
{
	struct net_conf conf = {.interface = "lo"};
	struct bench b = {.run_ns = 1000000000};
	int cpus[2] = {-1, -1};
	char uri[RPC_URI_MAX];
	uint64_t t0, t1, t2;
	struct net *net;
	struct env env;
	int fds[2];
	long rss;
	pid_t pid;
	int opt, rc;

	while ((opt = getopt(argc, argv, "p:i:s:c:")) != -1) {
		if (opt == 'p')
			conf.provider = optarg;
		else if (opt == 'i')
			conf.interface = optarg;
		else if (opt == 's')
			b.run_ns = (uint64_t)(strtod(optarg, NULL) * 1e9);
		else if (opt != 'c' || sscanf(optarg, "%d,%d", &cpus[0], &cpus[1]) != 2)
			return 2;
	}
	if (pipe(fds) != 0)
		return 1;
	pid = fork();
	if (pid == 0)
		return server(&conf, fds[1], cpus[0]);
	pin(cpus[1]);
	if (pid < 0 || read(fds[0], uri, sizeof(uri)) != (ssize_t)sizeof(uri))
		return 1;
	env_init_real(&env);
	rss = rss_kib();
	t0 = mono_ns();
	rc = xs_create(&(struct xs_conf){.name = "client", .env = &env, .cpu = -1}, &b.xs);
	if (rc == 0)
		rc = net_open_fabric(&conf, &net);
	t1 = mono_ns();
	if (rc == 0)
		rc = rpc_ep_open(&(struct rpc_ep_conf){.xs = b.xs, .net = net}, &b.ep);
	t2 = mono_ns();
	if (rc == 0)
		rc = rpc_peer_get(b.ep, uri, &b.peer);
	if (rc != 0) {
		fprintf(stderr, "client: " ERR_F "\n", ERR_P(rc));
		return 1;
	}
	printf("%s: network open %.2f ms, endpoint open %.2f ms, RSS +%ld KiB\n", uri,
	       (double)(t1 - t0) / 1e6, (double)(t2 - t1) / 1e6, rss_kib() - rss);
	(void)xs_call(b.xs, client, &b);
	net_close(net);
	xs_destroy(b.xs);
	(void)waitpid(pid, NULL, 0);
	return b.failed;
}
