/*
 * A server for tests and benchmarks: a handful of operations that show what an RPC layer can get
 * wrong. Header only, so that each test program has its own copy.
 */
#ifndef NET_RPC_TEST_SERVER_H
#define NET_RPC_TEST_SERVER_H

#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/codec.h"
#include "net/rpc/rpc.h"

enum {
	T_ECHO = 1,   /* reply = request */
	T_SLEEP,      /* u64 ns: sleep, then reply */
	T_PULL,       /* bulk description: pull all; reply u64 sum of the bytes */
	T_PUSH,       /* bulk description: fill it with t_pattern() */
	T_PULL_SLEEP, /* u64 ns, description: sleep, then pull */
	T_PUSH_SLEEP,
	T_NO_REPLY,
	T_STATUS,    /* i32: reply with this status */
	T_STOP,      /* reply, then end the server */
	T_COUNT,     /* how many echoes were handled so far */
	T_PUSH_LOOP, /* u64 ns, description: push again and again for so long */
	T_PULL_LOOP,
	T_GARBAGE, /* u64: pulls that succeeded with other bytes than the client registered */
};

struct t_server {
	struct xs *xs;
	struct rpc_ep *ep;
	bool stop;
	struct co_waitq stopping;
	uint64_t echo_nr;
	/* Tests look at these from other threads. */
	uint64_t garbage_nr;
	_Atomic uint64_t move_nr; /* transfers begun */
	_Atomic int last_bulk_rc;
	_Atomic uint64_t bulk_timeout_ns; /* 0 = default */
};

static inline uint8_t
t_pattern(uint64_t off)
{
	return (uint8_t)(off * 7 + (off >> 12));
}

static inline void
t_echo(struct rpc_in *in, void *arg)
{
	struct iovec iov = {.iov_base = (void *)in->body, .iov_len = in->body_len};

	((struct t_server *)arg)->echo_nr++;
	rpc_reply_set(in, in->map_ver + 1, in->hlc + 1);
	rpc_reply(in, 0, &iov, 1);
}

static inline void
t_sleep(struct rpc_in *in, void *arg)
{
	struct codec_rd rd;

	codec_rd_init(&rd, in->body, in->body_len);
	co_sleep_ns(codec_rd_u64(&rd));
	rpc_reply(in, 0, NULL, 0);
}

static inline void
t_move(struct rpc_in *in, struct t_server *srv, bool sleep, bool put, bool loop)
{
	struct rpc_bulk_desc desc;
	struct codec_rd rd;
	struct iovec iov;
	uint64_t i, ns = 0, size, sum = 0, until;
	uint8_t *buf;
	uint8_t reply[8];
	int rc;

	codec_rd_init(&rd, in->body, in->body_len);
	if (sleep || loop)
		ns = codec_rd_u64(&rd);
	desc.bytes = rd.p;
	desc.len = (uint32_t)codec_rd_left(&rd);
	size = rpc_bulk_desc_size(&desc);
	buf = malloc(size + 1);
	for (i = 0; put && i < size; i++)
		buf[i] = t_pattern(i);
	if (sleep)
		co_sleep_ns(ns);
	iov.iov_base = buf;
	iov.iov_len = size;
	srv->move_nr++;
	until = xs_now_ns(srv->xs) + (loop ? ns : 0);
	do {
		uint64_t deadline =
		    srv->bulk_timeout_ns != 0 ? xs_now_ns(srv->xs) + srv->bulk_timeout_ns : 0;

		if (put)
			rc = rpc_bulk_push(in, &desc, 0, &iov, 1, deadline);
		else
			rc = rpc_bulk_pull(in, &desc, 0, &iov, 1, deadline);
		/* What t_check_bulk() put into memory of one piece. */
		for (i = 0; loop && rc == 0 && !put && i < size; i++) {
			if (buf[i] == (uint8_t)(i * 13))
				continue;
			srv->garbage_nr++;
			break;
		}
	} while (rc == 0 && xs_now_ns(srv->xs) < until);
	srv->last_bulk_rc = rc;
	for (i = 0; rc == 0 && !put && i < size; i++)
		sum = sum * 31 + buf[i];
	sum = htole64(sum);
	memcpy(reply, &sum, 8);
	iov.iov_base = reply;
	iov.iov_len = 8;
	rpc_reply(in, rc, &iov, 1);
	free(buf);
}

static inline void
t_pull(struct rpc_in *in, void *arg)
{
	t_move(in, arg, false, false, false);
}

static inline void
t_push(struct rpc_in *in, void *arg)
{
	t_move(in, arg, false, true, false);
}

static inline void
t_pull_sleep(struct rpc_in *in, void *arg)
{
	t_move(in, arg, true, false, false);
}

static inline void
t_push_sleep(struct rpc_in *in, void *arg)
{
	t_move(in, arg, true, true, false);
}

static inline void
t_push_loop(struct rpc_in *in, void *arg)
{
	t_move(in, arg, false, true, true);
}

static inline void
t_pull_loop(struct rpc_in *in, void *arg)
{
	t_move(in, arg, false, false, true);
}

static inline void
t_no_reply(struct rpc_in *in, void *arg)
{
}

static inline void
t_status(struct rpc_in *in, void *arg)
{
	struct codec_rd rd;

	codec_rd_init(&rd, in->body, in->body_len);
	rpc_reply(in, codec_rd_i32(&rd), NULL, 0);
}

static inline void
t_stop(struct rpc_in *in, void *arg)
{
	struct t_server *srv = arg;

	rpc_reply(in, 0, NULL, 0);
	srv->stop = true;
	co_waitq_wake_all(&srv->stopping);
}

static inline void
t_count(struct rpc_in *in, void *arg)
{
	struct t_server *srv = arg;
	uint64_t nr = htole64(srv->echo_nr);
	struct iovec iov = {.iov_base = &nr, .iov_len = sizeof(nr)};

	rpc_reply(in, 0, &iov, 1);
}

static inline void
t_garbage(struct rpc_in *in, void *arg)
{
	struct t_server *srv = arg;
	uint64_t nr = htole64(srv->garbage_nr);
	struct iovec iov = {.iov_base = &nr, .iov_len = sizeof(nr)};

	rpc_reply(in, 0, &iov, 1);
}

static inline int
t_server_open(struct t_server *srv, struct xs *xs, struct net *net, uint16_t port)
{
	static const struct {
		uint32_t opc;
		rpc_handler_t fn;
	} ops[] = {
	    {T_ECHO, t_echo},         {T_SLEEP, t_sleep},           {T_PULL, t_pull},
	    {T_PUSH, t_push},         {T_PULL_SLEEP, t_pull_sleep}, {T_PUSH_SLEEP, t_push_sleep},
	    {T_NO_REPLY, t_no_reply}, {T_STATUS, t_status},         {T_STOP, t_stop},
	    {T_COUNT, t_count},       {T_PUSH_LOOP, t_push_loop},   {T_PULL_LOOP, t_pull_loop},
	    {T_GARBAGE, t_garbage},
	};
	struct rpc_ep_conf conf = {.xs = xs, .net = net, .port = port, .accept_calls = true};
	size_t i;
	int rc;

	memset(srv, 0, sizeof(*srv));
	srv->xs = xs;
	co_waitq_init(&srv->stopping);
	rc = rpc_ep_open(&conf, &srv->ep);
	for (i = 0; rc == 0 && i < sizeof(ops) / sizeof(ops[0]); i++)
		rc = rpc_register(srv->ep, ops[i].opc, ops[i].fn, srv);
	return rc;
}

/* A coroutine: serve until told to stop, then close and stop the loop. */
static inline void
t_server_run(void *arg)
{
	struct t_server *srv = arg;

	while (!srv->stop)
		(void)co_waitq_wait(&srv->stopping, 0);
	rpc_ep_close(srv->ep);
	srv->ep = NULL;
	xs_stop(srv->xs);
}

#endif
