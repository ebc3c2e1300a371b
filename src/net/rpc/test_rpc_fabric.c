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
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "net/fabric/fabric.h"
#include "net/rpc/wire.h"
#include "runtime/co_switch.h"

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

/* --- processes -------------------------------------------------------------------------------- */

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

/* --- a client in this process ----------------------------------------------------------------- */

struct side {
	struct env env;
	struct xs *xs;
	struct net *net;
	struct t_client c;
	const char *uri;
	void (*body)(struct side *s);
	struct proc *proc;
	struct t_server *srv;
	bool put;
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

/* --- between threads -------------------------------------------------------------------------- */

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
	assert_true(cpu < T_SLACK * 10 * T_MS);
	cpu = process_cpu_ns();
	assert_int_equal(t_call_sleep(&s->c, 500 * T_MS, 0), 0);
	cpu = process_cpu_ns() - cpu;
	assert_true(cpu < T_SLACK * 15 * T_MS);
}

static void
test_idle(void **state)
{
	with_threads(body_idle);
}

/* --- between processes ------------------------------------------------------------------------ */

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
		assert_int_equal(co_group_spawn(&g, i == 4 ? pending_push : pending_sleep, &p[i]),
				 0);
	}
	assert_int_equal(co_group_spawn(&g, kill_soon, s->proc), 0);
	t = xs_now_ns(s->xs);
	assert_int_equal(co_group_join(&g), 0);
	t = xs_now_ns(s->xs) - t;
	for (i = 0; i < 5; i++)
		assert_int_equal(p[i].rc, -DER_UNREACH);
	assert_true(t < T_SLACK * 500 * T_MS);

	/* Nobody there. */
	t = xs_now_ns(s->xs);
	assert_int_equal(t_check_echo(&s->c, 100, 1), -DER_UNREACH);
	assert_int_equal(t_check_echo(&s->c, 100, 1), -DER_UNREACH);
	assert_true(xs_now_ns(s->xs) - t < T_SLACK * 300 * T_MS);
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
	assert_true(xs_now_ns(s->xs) - t < T_SLACK * 2 * T_SEC);
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
	assert_true(xs_now_ns(s->xs) - t < T_SLACK * 400 * T_MS);
	/* Memory comes back although the server cannot say that it lets go. */
	t = xs_now_ns(s->xs);
	assert_int_equal(t_check_bulk(&s->c, 1 << 20, 1, true, T_PUSH, 0, 100 * T_MS),
			 -DER_TIMEDOUT);
	assert_true(xs_now_ns(s->xs) - t < T_SLACK * 800 * T_MS);
	t = xs_now_ns(s->xs);
	assert_int_equal(t_check_echo(&s->c, 100, 1), -DER_UNREACH);
	assert_true(xs_now_ns(s->xs) - t < T_SLACK * 5 * T_SEC);
	kill(s->proc->pid, SIGCONT);
	assert_int_equal(t_check_echo(&s->c, 100, 1), 0);
	assert_int_equal(t_check_bulk(&s->c, 1 << 20, 1, true, T_PUSH, 0, 0), 0);
}

static void
test_sigstop(void **state)
{
	with_process(body_sigstop);
}

/*
 * A client in a process of its own, whose server is this process: it says "ready" and then has the
 * server move data to or from its memory for a long time.
 */
static void
body_mover(struct side *s)
{
	int rc;

	assert_int_equal(t_check_echo(&s->c, 100, 1), 0);
	printf("ready\n");
	fflush(stdout);
	rc = t_check_bulk(&s->c, 4 << 20, 1, s->put, s->put ? T_PUSH_LOOP : T_PULL_LOOP, 60 * T_SEC,
			  0);
	assert_true(rc == -DER_UNREACH || rc == -DER_TIMEDOUT);
	assert_int_equal(t_check_bulk(&s->c, 1 << 20, 1, true, T_PUSH, 0, 0), 0);
}

static int
role_client(const char *uri, bool put)
{
	struct side s = {.put = put};

	side_run(&s, uri, body_mover);
	return 0;
}

/* A second client, in this process, is served all the time. */
static int
bystander(void *arg)
{
	struct side *s = arg;
	uint64_t t, worst = 0;
	int i;

	for (i = 0; i < 70; i++) {
		t = xs_now_fresh_ns(s->xs);
		assert_int_equal(t_check_echo(&s->c, 1000, (uint8_t)i), 0);
		t = xs_now_fresh_ns(s->xs) - t;
		if (t > worst)
			worst = t;
		co_sleep_ns(10 * T_MS);
	}
	assert_true(worst < T_SLACK * 300 * T_MS);
	return 0;
}

/* Start such a client and return when its transfers have begun. */
static void
mover_start(struct side *s, struct proc *p, bool put)
{
	struct t_server *srv = s->srv;
	uint64_t nr = srv->move_nr;

	srv->last_bulk_rc = 1;
	proc_start(p, put ? "client-push" : "client-pull", s->uri);
	assert_string_equal(p->uri, "ready");
	while (srv->move_nr == nr)
		co_sleep_ns(T_MS);
}

static int
mover_result(struct side *s)
{
	struct t_server *srv = s->srv;
	int i;

	for (i = 0; i < 3000 && srv->last_bulk_rc == 1; i++)
		co_sleep_ns(T_MS);
	return srv->last_bulk_rc;
}

static void
client_stopped(struct side *s, bool put, bool watch)
{
	struct co_group g;
	struct proc p;

	mover_start(s, &p, put);
	co_sleep_ns(20 * T_MS);
	kill(p.pid, SIGSTOP);
	co_group_init(&g);
	if (watch)
		assert_int_equal(co_group_spawn(&g, bystander, s), 0);
	assert_int_equal(mover_result(s), -DER_TIMEDOUT);
	assert_int_equal(co_group_join(&g), 0);
	/* It wakes up, learns that its call is lost, and works again. */
	kill(p.pid, SIGCONT);
	while (waitpid(p.pid, &(int){0}, WNOHANG) == 0)
		co_sleep_ns(10 * T_MS);
	assert_int_equal(s->srv->last_bulk_rc, 0);
}

static void
body_client_stopped(struct side *s)
{
	int i;

	s->srv->bulk_timeout_ns = 500 * T_MS;
	client_stopped(s, true, true);
	client_stopped(s, false, true);
	if (provider != NULL)
		return; /* the library needs a second each to break a connection */
	s->srv->bulk_timeout_ns = 150 * T_MS;
	for (i = 0; i < 8; i++)
		client_stopped(s, i % 2 == 0, false);
	assert_int_equal(t_number(&s->c, T_GARBAGE), 0);
}

static void
test_client_stopped(void **state)
{
	with_threads(body_client_stopped);
}

static void
body_client_killed(struct side *s)
{
	struct proc p;
	int i;

	for (i = 0; i < 4; i++) {
		mover_start(s, &p, i % 2 == 0);
		co_sleep_ns((uint64_t)i * 7 * T_MS);
		proc_kill(&p);
		assert_int_equal(mover_result(s), -DER_UNREACH);
		assert_int_equal(t_check_echo(&s->c, 1000, 1), 0);
		assert_int_equal(t_check_bulk(&s->c, 3 << 20, 2, false, T_PULL, 0, 0), 0);
	}
}

static void
test_client_killed(void **state)
{
	with_threads(body_client_killed);
}

/* A forked child lets go of its parent's endpoint and opens its own; the parent goes on. */
static int
fork_echo(void *arg)
{
	struct side *s = arg;

	return t_check_echo(&s->c, 1000, 3);
}

static int
fork_close(void *arg)
{
	struct side *s = arg;

	rpc_peer_put(s->c.peer);
	rpc_ep_close(s->c.ep);
	return 0;
}

static void
fork_child_body(struct side *s)
{
	t_check_echoes(&s->c);
}

static int
fork_child(struct side *parent, const char *uri)
{
	struct side s = {0};

	rpc_peer_put(parent->c.peer);
	rpc_ep_drop(parent->c.ep);
	xs_destroy(parent->xs);
	side_run(&s, uri, fork_child_body);
	return 0;
}

static void
test_fork(void **state)
{
	struct proc p;
	struct side s = {0};
	struct rpc_ep_conf conf;
	int i, status;
	pid_t pid;

	proc_start(&p, "server", "0");
	s.xs = open_xs(&s.env, "client");
	open_net(&s.net);
	conf = (struct rpc_ep_conf){.xs = s.xs, .net = s.net};
	assert_int_equal(rpc_ep_open(&conf, &s.c.ep), 0);
	s.c.xs = s.xs;
	assert_int_equal(rpc_peer_get(s.c.ep, p.uri, &s.c.peer), 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(xs_call(s.xs, fork_echo, &s), 0);
		pid = fork();
		if (pid == 0)
			_exit(fork_child(&s, p.uri));
		assert_int_equal(xs_call(s.xs, fork_echo, &s), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	assert_int_equal(xs_call(s.xs, fork_echo, &s), 0);
	assert_int_equal(xs_call(s.xs, fork_close, &s), 0);
	net_close(s.net);
	xs_destroy(s.xs);
	proc_kill(&p);
}

/* --- nonsense --------------------------------------------------------------------------------- */

static int
raw_connect(const char *uri)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
				  .sin_port = htons((uint16_t)uri_port(uri)),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	return fd;
}

static void
raw_send(int fd, const void *buf, size_t len)
{
	(void)!send(fd, buf, len, MSG_NOSIGNAL);
}

/* Bytes that are no connection, straight to the listening port; some connections stay open. */
static void
body_garbage(struct side *s)
{
	uint8_t junk[4096];
	int fds[40];
	uint32_t seed = 1;
	int i, j;

	for (i = 0; i < 40; i++) {
		fds[i] = raw_connect(s->uri);
		for (j = 0; j < 4096; j++) {
			seed = seed * 1103515245 + 12345;
			junk[j] = (uint8_t)(seed >> 16);
		}
		if (i % 4 == 1) {
			/* Looks like the library's request to connect, announces more, stops. */
			memset(junk, 0, sizeof(junk));
			junk[0] = 4;
			junk[1] = 1;
			junk[2] = 0;
			junk[3] = 200;
		}
		raw_send(fds[i], junk, i % 4 == 0 ? 1 : i % 4 == 1 ? 8 : i % 4 == 2 ? 100 : 4096);
		if (i % 3 == 0)
			shutdown(fds[i], SHUT_WR);
		assert_int_equal(t_check_echo(&s->c, 1000, (uint8_t)i), 0);
	}
	for (i = 0; i < 40; i++)
		close(fds[i]);
	assert_int_equal(t_check_bulk(&s->c, 3 << 20, 2, false, T_PULL, 0, 0), 0);
}

static void
test_garbage(void **state)
{
	with_threads(body_garbage);
}

/* Messages that are no packets, over a proper connection. */
static struct fab_ep *junk_ep;
static uint32_t junk_done_nr;
static uint32_t junk_reply_nr;

static void
junk_recv(void *arg, struct fab_rx *rx, const uint8_t *msg, uint32_t len)
{
	junk_reply_nr++;
}

static void
junk_ready(void *arg)
{
}

static void
junk_lost(void *arg, void *peer_arg)
{
}

static void
junk_sent(struct fab_tx *tx, int rc)
{
	junk_done_nr++;
	fab_tx_free(junk_ep, tx);
}

static void
junk_send(struct fab_peer *peer, const void *bytes, uint32_t len)
{
	struct fab_tx *tx = fab_tx_alloc(junk_ep, FAB_MSG_MAX);
	uint32_t want = junk_done_nr + 1;

	assert_non_null(tx);
	memcpy(tx->buf, bytes, len);
	tx->len = len;
	tx->done = junk_sent;
	while (fab_send(junk_ep, peer, tx) == -DER_AGAIN)
		co_sleep_ns(T_MS);
	while (junk_done_nr != want)
		co_sleep_ns(T_MS / 10);
}

struct stats_of {
	struct rpc_ep *ep;
	struct rpc_ep_stats *stats;
};

static int
stats_read(void *arg)
{
	struct stats_of *so = arg;

	rpc_ep_stats(so->ep, so->stats);
	return 0;
}

static void
server_stats(struct side *s, struct rpc_ep_stats *stats)
{
	struct stats_of so = {.ep = s->srv->ep, .stats = stats};

	assert_int_equal(xs_call(s->srv->xs, stats_read, &so), 0);
}

static void
body_malformed(struct side *s)
{
	static const struct fab_events events = {
	    .recv = junk_recv, .ready = junk_ready, .lost = junk_lost};
	struct fab_ep_conf conf = {.xs = s->xs, .events = &events};
	struct wire_frame frame = {
	    .type = WIRE_REQUEST, .id = 7, .opc_status = T_ECHO, .left_ms = 9};
	struct rpc_ep_stats before, after;
	static uint8_t bytes[FAB_MSG_MAX];
	struct fab_peer *peer;
	uint32_t i, len, seed = 5;

	server_stats(s, &before);
	assert_int_equal(fab_ep_open(s->net, &conf, &junk_ep), 0);
	assert_int_equal(fab_peer_open(junk_ep, s->uri, NULL, &peer), 0);
	for (i = 0; i < 200; i++) {
		len = wire_pkt_encode(bytes, 99, 0, strstr(junk_ep->uri, "://") + 3,
				      (uint32_t)strlen(strstr(junk_ep->uri, "://") + 3));
		(void)wire_frame_encode(bytes + len, &frame);
		len += WIRE_FRAME_HDR;
		wire_pkt_finish(bytes, 1, len, 0);
		seed = seed * 1103515245 + 12345;
		if (i > 0)
			bytes[(seed >> 8) % len] ^= (uint8_t)(1u << (seed >> 28) % 8);
		junk_send(peer, bytes, i % 10 == 9 ? len - i / 10 : len);
	}
	/* A request whose body is cut off is refused by its number. (A new incarnation: damaged
	 * packets may have made 99 an old one.) */
	len = wire_pkt_encode(bytes, 12345, 0, strstr(junk_ep->uri, "://") + 3,
			      (uint32_t)strlen(strstr(junk_ep->uri, "://") + 3));
	frame.body_len = 1000;
	(void)wire_frame_encode(bytes + len, &frame);
	len += WIRE_FRAME_HDR;
	wire_pkt_finish(bytes, 1, len, 0);
	co_sleep_ns(20 * T_MS);
	i = junk_reply_nr;
	junk_send(peer, bytes, len);
	co_sleep_ns(20 * T_MS);
	assert_int_equal(junk_reply_nr, i + 1);
	assert_int_equal(t_check_echo(&s->c, 1000, 1), 0);
	server_stats(s, &after);
	assert_true(after.malformed_nr > before.malformed_nr + 50);
	fab_peer_close(junk_ep, peer);
	fab_ep_close(junk_ep);
}

static void
test_malformed(void **state)
{
	with_threads(body_malformed);
}

/* --- many endpoints --------------------------------------------------------------------------- */

enum { CROWD = 20 };

struct crowd {
	struct side *s;
	struct t_server srv[CROWD];
};

static long
rss_kib(void)
{
	long total, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%ld %ld", &total, &resident), 2);
	fclose(f);
	return resident * 4;
}

/* Each talks to each; what it costs in memory. */
static void
body_crowd(struct side *s)
{
	static struct crowd cr;
	struct t_client c = {.xs = s->xs};
	char uri[CROWD][RPC_URI_MAX];
	long rss = rss_kib();
	int i, j;

	for (i = 0; i < CROWD; i++) {
		assert_int_equal(t_server_open(&cr.srv[i], s->xs, s->net, 0), 0);
		snprintf(uri[i], sizeof(uri[i]), "%s", rpc_ep_uri(cr.srv[i].ep));
	}
	for (i = 0; i < CROWD; i++) {
		for (j = 0; j < CROWD; j++) {
			c.ep = cr.srv[i].ep;
			assert_int_equal(rpc_peer_get(c.ep, uri[j], &c.peer), 0);
			assert_int_equal(t_check_echo(&c, 500, (uint8_t)(i + j)), 0);
			rpc_peer_put(c.peer);
		}
	}
	rss = rss_kib() - rss;
	print_message("%ld KiB for each of %d endpoints with %d peers\n", rss / CROWD, CROWD,
		      CROWD);
#if !defined(CO_TSAN) /* ThreadSanitizer has its own idea of memory */
	assert_true(rss / CROWD < 2048);
#endif
	for (i = 0; i < CROWD; i++)
		rpc_ep_close(cr.srv[i].ep);
}

static void
test_crowd(void **state)
{
	with_threads(body_crowd);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_calls),          cmocka_unit_test(test_self),
	    cmocka_unit_test(test_idle),           cmocka_unit_test(test_process),
	    cmocka_unit_test(test_restart),        cmocka_unit_test(test_sigstop),
	    cmocka_unit_test(test_client_stopped), cmocka_unit_test(test_client_killed),
	    cmocka_unit_test(test_fork),           cmocka_unit_test(test_garbage),
	    cmocka_unit_test(test_malformed),      cmocka_unit_test(test_crowd),
	};

	log_set_level(LOG_LVL_CRIT);
	provider = getenv("TEST_PROVIDER");
	if (argc == 3) {
		log_set_level(LOG_LVL_ERR);
		/* Not to be left behind by a test that fails. */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	}
	if (argc == 3 && strcmp(argv[1], "server") == 0)
		return role_server(argv[2]);
	if (argc == 3 && strncmp(argv[1], "client-", 7) == 0)
		return role_client(argv[2], strcmp(argv[1], "client-push") == 0);
	if (argc == 2)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
