/*
 * The client as a process has it: real threads, the loopback interface, an agent's socket, fork().
 * The system is the fake one, on a thread of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <endian.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <daos.h>

#include "client/core/client.h"
#include "client/lib/fake_system.h"
#include "client/lib/scenes.h"
#include "proto/agent.pb-c.h"
#include "proto/mgmt_defs.h"

enum { PORT = 27116, TARGET_NR = 3, THREAD_NR = 6, OP_NR = 60 };

static struct {
	struct env env;
	struct net *net;
	struct xs *xs;
	struct fake *fake;
	char dir[64];
	int agent_fd;
	pthread_t agent;
	daos_handle_t oh;
} w;

/* --- the system --- */

static int
server_open(void *arg)
{
	return fake_open(w.xs, w.net, PORT, TARGET_NR, &w.fake);
}

static int
server_close(void *arg)
{
	fake_close(w.fake);
	return 0;
}

struct remote {
	struct xs_msg msg;
	int (*fn)(void *arg);
	int rc;
	_Atomic bool done;
};

static void
remote_entry(void *arg)
{
	struct remote *r = arg;

	r->rc = r->fn(NULL);
	atomic_store(&r->done, true);
}

static void
remote_msg(struct xs_msg *msg)
{
	co_spawn(w.xs, remote_entry, container_of(msg, struct remote, msg));
}

/* Run fn on the system's thread. */
static int
on_server(int (*fn)(void *arg))
{
	struct remote r = {.msg.fn = remote_msg, .fn = fn};

	xs_post(w.xs, &r.msg);
	while (!atomic_load(&r.done))
		usleep(1000);
	return r.rc;
}

/* --- the agent --- */

static void
agent_answer(int fd)
{
	Agent__Request *req;
	Agent__Response rep = AGENT__RESPONSE__INIT;
	Mgmt__AttachInfoRep info = MGMT__ATTACH_INFO_REP__INIT;
	Mgmt__Credential cred = MGMT__CREDENTIAL__INIT;
	Mgmt__Rank rank = MGMT__RANK__INIT, *ranks[] = {&rank};
	uint32_t replicas[] = {0};
	uint8_t buf[4096], body[1024];
	uint32_t len;

	if (recv(fd, &len, 4, MSG_WAITALL) != 4)
		return;
	len = le32toh(len);
	if (len > sizeof(buf) || recv(fd, buf, len, MSG_WAITALL) != (ssize_t)len)
		return;
	req = agent__request__unpack(NULL, len, buf);
	if (req == NULL)
		return;
	if (req->system[0] != 0 && strcmp(req->system, "daos_server") != 0) {
		rep.status = -DER_NONEXIST;
		rep.error = (char *)"no such system";
	} else if (req->method == AGENT_ATTACH_INFO) {
		rank.uri = (char *)fake_uri(w.fake);
		info.system = (char *)"daos_server";
		info.provider = (char *)net_provider(w.net);
		info.ranks = ranks;
		info.n_ranks = 1;
		info.replica_ranks = replicas;
		info.n_replica_ranks = 1;
		rep.body.data = body;
		rep.body.len = mgmt__attach_info_rep__pack(&info, body);
	} else {
		cred.user = (char *)"me@";
		rep.body.data = body;
		rep.body.len = mgmt__credential__pack(&cred, body);
	}
	agent__request__free_unpacked(req, NULL);
	len = (uint32_t)agent__response__pack(&rep, buf + 4);
	memcpy(buf, &(uint32_t){htole32(len)}, 4);
	if (send(fd, buf, len + 4, MSG_NOSIGNAL) < 0)
		return;
}

static void *
agent_main(void *arg)
{
	for (;;) {
		int fd = accept(w.agent_fd, NULL, NULL);

		if (fd < 0)
			return NULL;
		agent_answer(fd);
		close(fd);
	}
}

static void
agent_start(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/daos_agent.sock", w.dir);
	w.agent_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(w.agent_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(w.agent_fd, 8), 0);
	assert_int_equal(pthread_create(&w.agent, NULL, agent_main, NULL), 0);
}

static int
setup(void **state)
{
	struct xs_conf conf = {.name = "fake", .env = &w.env, .cpu = -1};
	struct net_conf nc = {.interface = "lo"};

	strcpy(w.dir, "/tmp/test_threads.XXXXXX");
	assert_non_null(mkdtemp(w.dir));
	setenv("DAOS_AGENT_DRPC_DIR", w.dir, 1);
	setenv("D_INTERFACE", "lo", 1);
	env_init_real(&w.env);
	assert_int_equal(net_open_fabric(&nc, &w.net), 0);
	assert_int_equal(xs_create(&conf, &w.xs), 0);
	assert_int_equal(xs_thread_start(w.xs), 0);
	assert_int_equal(on_server(server_open), 0);
	return 0;
}

static int
teardown(void **state)
{
	char cmd[128];

	if (w.agent_fd > 0) {
		shutdown(w.agent_fd, SHUT_RDWR);
		pthread_join(w.agent, NULL);
		close(w.agent_fd);
	}
	assert_int_equal(on_server(server_close), 0);
	xs_stop(w.xs);
	xs_thread_join(w.xs);
	xs_destroy(w.xs);
	net_close(w.net);
	snprintf(cmd, sizeof(cmd), "%s/daos_agent.sock", w.dir);
	unlink(cmd);
	rmdir(w.dir);
	return 0;
}

/* --- init, agent --- */

static void
test_init(void **state)
{
	struct daos_sys_info *info;
	daos_handle_t poh, eqh;
	daos_event_t ev;

	assert_int_equal(daos_fini(), -DER_UNINIT);
	assert_int_equal(daos_pool_connect("tank", NULL, DAOS_PC_RW, &poh, NULL, NULL),
			 -DER_UNINIT);
	assert_int_equal(daos_eq_create(&eqh), -DER_UNINIT);
	assert_int_equal(daos_event_init(&ev, DAOS_HDL_INVAL, NULL), -DER_UNINIT);
	assert_int_equal(daos_init(), 0);
	assert_int_equal(daos_init(), 0);
	/* nobody there yet */
	assert_int_equal(daos_pool_connect("tank", NULL, DAOS_PC_RW, &poh, NULL, NULL),
			 -DER_AGENT_COMM);
	agent_start();
	assert_int_equal(daos_pool_connect("tank", "other", DAOS_PC_RW, &poh, NULL, NULL),
			 -DER_NONEXIST);
	assert_int_equal(daos_pool_connect("tank", NULL, DAOS_PC_RW, &poh, NULL, NULL), 0);
	assert_int_equal(daos_pool_disconnect(poh, NULL), 0);
	assert_int_equal(daos_pool_connect("tank", "daos_server", DAOS_PC_RW, &poh, NULL, NULL), 0);
	assert_int_equal(daos_pool_connect("tank", "other", DAOS_PC_RW, &poh, NULL, NULL),
			 -DER_NONEXIST);
	assert_int_equal(daos_mgmt_get_sys_info(NULL, &info), 0);
	assert_string_equal(info->dsi_system_name, "daos_server");
	assert_int_equal(info->dsi_nr_ranks, 1);
	assert_string_equal(info->dsi_ranks[0].dru_uri, fake_uri(w.fake));
	daos_mgmt_put_sys_info(info);
	assert_int_equal(daos_fini(), 0);
	assert_int_equal(daos_pool_disconnect(poh, NULL), 0);
	assert_int_equal(daos_cont_create_with_label(poh, "home", NULL, NULL, NULL), -DER_NO_HDL);
	assert_int_equal(daos_fini(), 0);
	assert_int_equal(daos_pool_disconnect(poh, NULL), -DER_UNINIT);
}

static int
scene_begin(void **state)
{
	assert_int_equal(daos_init(), 0);
	assert_int_equal(daos_pool_connect("tank", NULL, DAOS_PC_RW, &scene.poh, NULL, NULL), 0);
	(void)daos_cont_create_with_label(scene.poh, "home", NULL, NULL, NULL);
	assert_int_equal(daos_cont_open(scene.poh, "home", DAOS_COO_RW, &scene.coh, NULL, NULL), 0);
	scene.target_nr = TARGET_NR;
	w.oh = scene_open_obj(DAOS_OT_MULTI_HASHED, OC_SX);
	return 0;
}

static int
scene_end(void **state)
{
	assert_int_equal(daos_obj_close(w.oh, NULL), 0);
	assert_int_equal(daos_cont_close(scene.coh, NULL), 0);
	assert_int_equal(daos_pool_disconnect(scene.poh, NULL), 0);
	assert_int_equal(daos_fini(), 0);
	return 0;
}

/* --- threads --- */

static void
put_and_get(int who, int i)
{
	char key[32], back[32] = "";
	struct scene_io o;

	snprintf(key, sizeof(key), "t%d-%d", who, i);
	scene_one_single(&o, key, "a", key, strlen(key));
	assert_int_equal(scene_put(w.oh, &o, 0), 0);
	scene_one_single(&o, key, "a", back, strlen(key));
	assert_int_equal(scene_get(w.oh, &o, 0), 0);
	assert_string_equal(back, key);
}

static void *
blocking_main(void *arg)
{
	int i;

	for (i = 0; i < OP_NR; i++)
		put_and_get((int)(intptr_t)arg, i);
	return NULL;
}

static void
run_threads(void *(*fn)(void *arg))
{
	pthread_t threads[THREAD_NR];
	int i;

	for (i = 0; i < THREAD_NR; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, fn, (void *)(intptr_t)i), 0);
	for (i = 0; i < THREAD_NR; i++)
		pthread_join(threads[i], NULL);
}

static void
test_blocking(void **state)
{
	int i;

	run_threads(blocking_main);
	/* the second generation takes over the contexts of the first */
	for (i = 0; i < 3; i++)
		run_threads(blocking_main);
}

/* All start operations in one queue, and all poll it. */
static daos_handle_t shared_eqh;
static _Atomic int taken;

static void *
shared_eq_main(void *arg)
{
	struct scene_io o[OP_NR];
	daos_event_t evs[OP_NR], *done[4];
	char keys[OP_NR][32];
	int i, n;

	for (i = 0; i < OP_NR; i++) {
		snprintf(keys[i], sizeof(keys[i]), "q%d-%d", (int)(intptr_t)arg, i);
		scene_one_single(&o[i], keys[i], "a", keys[i], strlen(keys[i]));
		assert_int_equal(daos_event_init(&evs[i], shared_eqh, NULL), 0);
		assert_int_equal(daos_obj_update(w.oh, DAOS_TX_NONE, 0, &o[i].dkey, 1, &o[i].iod,
						 &o[i].sgl, &evs[i]),
				 0);
		if (i % 7 == 0) {
			n = daos_eq_poll(shared_eqh, 0, DAOS_EQ_NOWAIT, 4, done);
			assert_true(n >= 0);
			atomic_fetch_add(&taken, n);
		}
	}
	while (atomic_load(&taken) < THREAD_NR * OP_NR) {
		n = daos_eq_poll(shared_eqh, 1, 10000, 4, done);
		assert_true(n >= 0);
		for (i = 0; i < n; i++)
			assert_int_equal(done[i]->ev_error, 0);
		atomic_fetch_add(&taken, n);
	}
	return NULL;
}

static void
test_shared_eq(void **state)
{
	atomic_store(&taken, 0);
	assert_int_equal(daos_eq_create(&shared_eqh), 0);
	run_threads(shared_eq_main);
	assert_int_equal(daos_eq_query(shared_eqh, DAOS_EQR_ALL, 0, NULL), 0);
	assert_int_equal(daos_eq_destroy(shared_eqh, 0), 0);
}

/* Events without a queue share a context; each thread waits for its own. */
static void *
no_queue_main(void *arg)
{
	struct scene_io o;
	daos_event_t ev;
	char key[32];
	bool flag;
	int i;

	assert_int_equal(daos_event_init(&ev, DAOS_HDL_INVAL, NULL), 0);
	for (i = 0; i < OP_NR; i++) {
		snprintf(key, sizeof(key), "n%d-%d", (int)(intptr_t)arg, i);
		scene_one_single(&o, key, "a", key, strlen(key));
		assert_int_equal(
		    daos_obj_update(w.oh, DAOS_TX_NONE, 0, &o.dkey, 1, &o.iod, &o.sgl, &ev), 0);
		assert_int_equal(daos_event_test(&ev, DAOS_EQ_WAIT, &flag), 0);
		assert_true(flag);
		assert_int_equal(ev.ev_error, 0);
	}
	assert_int_equal(daos_event_fini(&ev), 0);
	return NULL;
}

static void
test_no_queue(void **state)
{
	run_threads(no_queue_main);
}

/* Handles are opened, used and closed from everywhere. */
static void *
handles_main(void *arg)
{
	daos_obj_id_t oid = {.lo = 1000 + (intptr_t)arg};
	daos_handle_t oh;
	struct scene_io o;
	int i;

	assert_int_equal(daos_obj_generate_oid(scene.coh, &oid, 0, OC_S1, 0, 0), 0);
	for (i = 0; i < OP_NR; i++) {
		assert_int_equal(daos_obj_open(scene.coh, oid, DAOS_OO_RW, &oh, NULL), 0);
		scene_one_single(&o, "d", "a", "x", 1);
		assert_int_equal(scene_put(oh, &o, 0), 0);
		assert_int_equal(daos_obj_close(oh, NULL), 0);
		assert_int_equal(scene_put(oh, &o, 0), -DER_NO_HDL);
	}
	return NULL;
}

static void
test_handles(void **state)
{
	run_threads(handles_main);
}

/* --- fork --- */

static void
test_fork(void **state)
{
	int status;
	pid_t pid;

	put_and_get(100, 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* the parent's handles, with connections of our own */
		struct scene_io o;
		char back[8] = "";

		scene_one_single(&o, "t100-0", "a", back, 6);
		if (scene_get(w.oh, &o, 0) != 0 || strcmp(back, "t100-0") != 0)
			_exit(1);
		scene_one_single(&o, "child", "a", "c", 1);
		if (scene_put(w.oh, &o, 0) != 0)
			_exit(2);
		if (daos_reinit() != 0)
			_exit(3);
		if (daos_obj_close(w.oh, NULL) != -DER_NO_HDL)
			_exit(4);
		if (daos_fini() != 0)
			_exit(5);
		_exit(0);
	}
	put_and_get(100, 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	put_and_get(100, 2);
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, scene_begin, scene_end)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_init), /* starts the agent */
	    T(test_blocking),
	    T(test_shared_eq),
	    T(test_no_queue),
	    T(test_handles),
	    T(test_fork),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
