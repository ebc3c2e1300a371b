/*
 * RPC over the real fabric: between threads, between processes, and with processes that are killed,
 * stopped, restarted, or talk nonsense. Servers and clients in processes of their own are this
 * program executed again with a role as its first argument.
 */
#include "net/rpc/test_client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "net/fabric/fabric.h"

extern char **environ;

static const char *provider; /* TEST_PROVIDER, else the default */

static void
open_net(struct net **ret_net)
{
	const struct net_conf conf = {.provider = provider, .interface = "lo"};

	assert_int_equal(net_open_fabric(&conf, ret_net), 0);
}

static struct xs *
open_xs(struct env *env, const char *name)
{
	struct xs_conf conf = {.name = name, .env = env, .cpu = -1};
	struct xs *xs;

	env_init_real(env);
	assert_int_equal(xs_create(&conf, &xs), 0);
	return xs;
}

/* --- processes -------------------------------------------------------------------------------------- */

struct proc {
	pid_t pid;
	char uri[RPC_URI_MAX]; /* of a server */
};

/* Run this program again; its first line of output is put into uri. */
static void
proc_start(struct proc *p, const char *role, const char *arg)
{
	char *argv[] = {(char *)"test_rpc_fabric", (char *)role, (char *)arg, NULL};
	posix_spawn_file_actions_t fa;
	size_t len = 0;
	ssize_t n;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, fds[1], 1);
	assert_int_equal(posix_spawn(&p->pid, "/proc/self/exe", &fa, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&fa);
	close(fds[1]);
	while (len < sizeof(p->uri) - 1) {
		n = read(fds[0], p->uri + len, sizeof(p->uri) - 1 - len);
		assert_true(n > 0);
		len += (size_t)n;
		if (p->uri[len - 1] == '\n')
			break;
	}
	p->uri[len - 1] = 0;
	close(fds[0]);
}

static int
proc_wait(struct proc *p)
{
	int status = -1;

	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	p->pid = 0;
	return status;
}

static void
proc_kill(struct proc *p)
{
	if (p->pid == 0)
		return;
	kill(p->pid, SIGKILL);
	(void)proc_wait(p);
}

static int
role_server(const char *port)
{
	struct t_server srv;
	struct net *net;
	struct env env;
	struct xs *xs = open_xs(&env, "server");

	open_net(&net);
	if (t_server_open(&srv, xs, net, (uint16_t)atoi(port)) != 0)
		return 1;
	printf("%s\n", rpc_ep_uri(srv.ep));
	fflush(stdout);
	assert_int_equal(co_spawn(xs, t_server_run, &srv), 0);
	xs_run(xs);
	net_close(net);
	xs_destroy(xs);
	return 0;
}

static int
uri_port(const char *uri)
{
	return atoi(strrchr(uri, ':') + 1);
}

/* --- a client in this process ------------------------------------------------------------------------- */

struct side {
	struct env env;
	struct xs *xs;
	struct net *net;
	struct t_client c;
	const char *uri;
	void (*body)(struct side *s);
	struct proc *proc;
	struct t_server *srv;
};

static int
side_main(void *arg)
{
	struct side *s = arg;
	struct rpc_ep_conf conf = {.xs = s->xs, .net = s->net};

	assert_int_equal(rpc_ep_open(&conf, &s->c.ep), 0);
	s->c.xs = s->xs;
	assert_int_equal(rpc_peer_get(s->c.ep, s->uri, &s->c.peer), 0);
	s->body(s);
	rpc_peer_put(s->c.peer);
	rpc_ep_close(s->c.ep);
	return 0;
}

static void
side_run(struct side *s, const char *uri, void (*body)(struct side *s))
{
	s->uri = uri;
	s->body = body;
	s->xs = open_xs(&s->env, "client");
	open_net(&s->net);
	assert_int_equal(xs_call(s->xs, side_main, s), 0);
	net_close(s->net);
	xs_destroy(s->xs);
}

/* --- between threads ------------------------------------------------------------------------------------ */

struct threads {
	struct env env;
	struct xs *xs;
	struct net *net;
	struct t_server srv;
};

static void
threads_open(struct threads *t)
{
	t->xs = open_xs(&t->env, "server");
	open_net(&t->net);
	assert_int_equal(t_server_open(&t->srv, t->xs, t->net, 0), 0);
	assert_int_equal(xs_thread_start(t->xs), 0);
}

static int
threads_close_ep(void *arg)
{
	struct threads *t = arg;

	rpc_ep_close(t->srv.ep);
	return 0;
}

static void
threads_close(struct threads *t)
{
	assert_int_equal(xs_call(t->xs, threads_close_ep, t), 0);
	xs_stop(t->xs);
	xs_thread_join(t->xs);
	net_close(t->net);
	xs_destroy(t->xs);
}

static void
with_threads(void (*body)(struct side *s))
{
	struct threads t;
	struct side s = {.srv = &t.srv};
	char uri[RPC_URI_MAX];

	threads_open(&t);
	snprintf(uri, sizeof(uri), "%s", rpc_ep_uri(t.srv.ep));
	side_run(&s, uri, body);
	threads_close(&t);
}

static void
body_calls(struct side *s)
{
	t_check_echoes(&s->c);
	assert_int_equal(t_check_many(&s->c, 200, 50), 10000);
	t_check_bulks(&s->c);
	t_check_ends(&s->c);
	t_check_bulk_ends(&s->c);
}

static void
test_calls(void **state)
{
	with_threads(body_calls);
}

/* To itself: an engine calls its own target. */
static int
self_main(void *arg)
{
	struct threads *t = arg;
	struct t_client c = {.xs = t->xs, .ep = t->srv.ep};

	assert_int_equal(rpc_peer_get(c.ep, rpc_ep_uri(c.ep), &c.peer), 0);
	t_check_echoes(&c);
	assert_int_equal(t_check_many(&c, 20, 20), 400);
	t_check_bulks(&c);
	rpc_peer_put(c.peer);
	return 0;
}

static void
test_self(void **state)
{
	struct threads t;

	threads_open(&t);
	assert_int_equal(xs_call(t.xs, self_main, &t), 0);
	threads_close(&t);
}

static uint64_t
process_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * T_SEC + (uint64_t)ts.tv_nsec;
}

/* An open connection, a waiting call: no CPU on either side. */
static void
body_idle(struct side *s)
{
	uint64_t cpu;

	assert_int_equal(t_check_echo(&s->c, 100, 1), 0);
	co_sleep_ns(20 * T_MS);
	cpu = process_cpu_ns();
	co_sleep_ns(500 * T_MS);
	cpu = process_cpu_ns() - cpu;
	assert_true(cpu < 10 * T_MS);
	cpu = process_cpu_ns();
	assert_int_equal(t_call_sleep(&s->c, 500 * T_MS, 0), 0);
	cpu = process_cpu_ns() - cpu;
	assert_true(cpu < 15 * T_MS);
}

static void
test_idle(void **state)
{
	with_threads(body_idle);
}

/* --- between processes ------------------------------------------------------------------------------------ */

static void
with_process(void (*body)(struct side *s))
{
	struct proc p;
	struct side s = {.proc = &p};

	proc_start(&p, "server", "0");
	side_run(&s, p.uri, body);
	proc_kill(&p);
}

static void
body_process(struct side *s)
{
	t_check_echoes(&s->c);
	assert_int_equal(t_check_many(&s->c, 100, 20), 2000);
	t_check_bulks(&s->c);
	assert_int_equal(t_call(&s->c, T_STOP, NULL, 0, 0), 0);
	assert_int_equal(proc_wait(s->proc), 0);
}

static void
test_process(void **state)
{
	with_process(body_process);
}

static int
kill_soon(void *arg)
{
	co_sleep_ns(50 * T_MS);
	proc_kill(arg);
	return 0;
}

struct pending {
	struct side *s;
	int rc;
};

static int
pending_sleep(void *arg)
{
	struct pending *p = arg;

	p->rc = t_call_sleep(&p->s->c, 20 * T_SEC, 0);
	return 0;
}

static int
pending_push(void *arg)
{
	struct pending *p = arg;

	p->rc = t_check_bulk(&p->s->c, 16 << 20, 1, true, T_PUSH_LOOP, 20 * T_SEC, 0);
	return 0;
}

/* SIGKILL with calls and a transfer under way. */
static void
body_sigkill(struct side *s)
{
	struct pending p[5];
	struct co_group g;
	uint64_t t;
	int i;

	assert_int_equal(t_check_echo(&s->c, 100, 1), 0);
	co_group_init(&g);
	for (i = 0; i < 5; i++) {
		p[i].s = s;
		assert_int_equal(
		    co_group_spawn(&g, i == 4 ? pending_push : pending_sleep, &p[i]), 0);
	}
	assert_int_equal(co_group_spawn(&g, kill_soon, s->proc), 0);
	t = xs_now_ns(s->xs);
	assert_int_equal(co_group_join(&g), 0);
	t = xs_now_ns(s->xs) - t;
	for (i = 0; i < 5; i++)
		assert_int_equal(p[i].rc, -DER_UNREACH);
	assert_true(t < 500 * T_MS);

	/* Nobody there. */
	t = xs_now_ns(s->xs);
	assert_int_equal(t_check_echo(&s->c, 100, 1), -DER_UNREACH);
	assert_int_equal(t_check_echo(&s->c, 100, 1), -DER_UNREACH);
	assert_true(xs_now_ns(s->xs) - t < 300 * T_MS);
}

static void
restart(struct side *s)
{
	char port[16];

	snprintf(port, sizeof(port), "%d", uri_port(s->uri));
	proc_start(s->proc, "server", port);
	assert_string_equal(s->proc->uri, s->uri);
}

static void
body_restart(struct side *s)
{
	struct pending p = {.s = s};
	struct co_group g;
	uint64_t t;

	body_sigkill(s);
	restart(s);
	assert_int_equal(t_check_echo(&s->c, 100, 1), 0);
	assert_int_equal(t_check_bulk(&s->c, 3 << 20, 2, true, T_PUSH, 0, 0), 0);

	/* Restarted while a call waits. */
	co_group_init(&g);
	assert_int_equal(co_group_spawn(&g, pending_sleep, &p), 0);
	co_sleep_ns(5 * T_MS);
	proc_kill(s->proc);
	restart(s);
	t = xs_now_fresh_ns(s->xs);
	assert_int_equal(co_group_join(&g), 0);
	assert_int_equal(p.rc, -DER_UNREACH);
	assert_true(xs_now_ns(s->xs) - t < 2 * T_SEC);
	assert_int_equal(t_check_echo(&s->c, 100, 1), 0);

	/* Restarted while nothing waits: at most one call pays for it. */
	proc_kill(s->proc);
	restart(s);
	if (t_check_echo(&s->c, 100, 1) != 0)
		assert_int_equal(t_check_echo(&s->c, 100, 1), 0);
}

static void
test_restart(void **state)
{
	struct proc p;
	struct side s = {.proc = &p};
	char uri[RPC_URI_MAX];

	proc_start(&p, "server", "0");
	memcpy(uri, p.uri, sizeof(uri));
	side_run(&s, uri, body_restart);
	proc_kill(&p);
}

/* A stopped process: deadlines hold, it is given up after a while, and welcome again later. */
static void
body_sigstop(struct side *s)
{
	uint64_t t;

	assert_int_equal(t_check_echo(&s->c, 100, 1), 0);
	kill(s->proc->pid, SIGSTOP);
	t = xs_now_ns(s->xs);
	assert_int_equal(t_call(&s->c, T_ECHO, "x", 1, 300 * T_MS), -DER_TIMEDOUT);
	assert_true(xs_now_ns(s->xs) - t < 400 * T_MS);
	/* Memory comes back although the server cannot say that it lets go. */
	t = xs_now_ns(s->xs);
	assert_int_equal(t_check_bulk(&s->c, 1 << 20, 1, true, T_PUSH, 0, 100 * T_MS),
			 -DER_TIMEDOUT);
	assert_true(xs_now_ns(s->xs) - t < 800 * T_MS);
	t = xs_now_ns(s->xs);
	assert_int_equal(t_check_echo(&s->c, 100, 1), -DER_UNREACH);
	assert_true(xs_now_ns(s->xs) - t < 5 * T_SEC);
	kill(s->proc->pid, SIGCONT);
	assert_int_equal(t_check_echo(&s->c, 100, 1), 0);
	assert_int_equal(t_check_bulk(&s->c, 1 << 20, 1, true, T_PUSH, 0, 0), 0);
}

static void
test_sigstop(void **state)
{
	with_process(body_sigstop);
}

/* A client that is stopped or killed while the server moves data to or from its memory. */
static int
role_client(const char *arg)
{
	struct side s = {0};
	struct t_client *c = &s.c;
	struct rpc_ep_conf conf;
	bool put = arg[0] == 'w';

	(void)c;
	s.xs = open_xs(&s.env, "client");
	open_net(&s.net);
	conf = (struct rpc_ep_conf){.xs = s.xs, .net = s.net};
	(void)conf;
	(void)put;
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_calls),   cmocka_unit_test(test_self),
	    cmocka_unit_test(test_idle),    cmocka_unit_test(test_process),
	    cmocka_unit_test(test_restart), cmocka_unit_test(test_sigstop),
	};

	log_set_level(LOG_LVL_CRIT);
	provider = getenv("TEST_PROVIDER");
	if (argc == 3 && strcmp(argv[1], "server") == 0)
		return role_server(argv[2]);
	if (argc == 3 && strcmp(argv[1], "client") == 0)
		return role_client(argv[2]);
	if (argc == 2)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
