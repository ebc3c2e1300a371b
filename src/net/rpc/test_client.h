/* What every network must be able to do: checks run in a coroutine of the client against a
 * t_server (test_server.h). */
#ifndef NET_RPC_TEST_CLIENT_H
#define NET_RPC_TEST_CLIENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "net/rpc/test_server.h"

struct t_client {
	struct xs *xs;
	struct rpc_ep *ep;
	struct rpc_peer *peer;
	bool sim;
	bool lossy; /* errors are part of the game, wrong results are not */
};

#define T_MS  1000000ull
#define T_SEC 1000000000ull

/* Upper bounds of times are for an ordinary build on a machine that has other things to do, too. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define T_SLACK 4
#else
#define T_SLACK 2
#endif

static inline int
t_call(struct t_client *c, uint32_t opc, const void *body, size_t len, uint64_t timeout_ns)
{
	struct iovec iov = {.iov_base = (void *)body, .iov_len = len};
	struct rpc_call call = {.opc = opc, .body = &iov, .body_nr = 1};
	int rc;

	if (timeout_ns != 0)
		call.deadline_ns = xs_now_ns(c->xs) + timeout_ns;
	rc = rpc_call_send(c->ep, c->peer, &call);
	if (rc == 0)
		rc = call.status;
	rpc_call_fini(&call);
	return rc;
}

static inline int
t_call_sleep(struct t_client *c, uint64_t ns, uint64_t timeout_ns)
{
	uint64_t le = htole64(ns);

	return t_call(c, T_SLEEP, &le, sizeof(le), timeout_ns);
}

/* One echo of len bytes in two pieces; every field of the reply is checked. */
static inline int
t_check_echo(struct t_client *c, size_t len, uint8_t salt)
{
	uint8_t *buf = malloc(len + 1);
	struct iovec iov[2] = {{.iov_base = buf, .iov_len = len / 3},
			       {.iov_base = buf + len / 3, .iov_len = len - len / 3}};
	struct rpc_call call = {
	    .opc = T_ECHO, .body = iov, .body_nr = 2, .map_ver = 41, .hlc = salt};
	size_t i;
	int rc;

	for (i = 0; i < len; i++)
		buf[i] = (uint8_t)(t_pattern(i) + salt);
	rc = rpc_call_send(c->ep, c->peer, &call);
	if (rc == 0)
		rc = call.status;
	if (rc == 0) {
		assert_int_equal(call.reply_map_ver, 42);
		assert_int_equal(call.reply_hlc, salt + 1);
		assert_int_equal(call.reply_len, len);
		assert_memory_equal(call.reply, buf, len);
	}
	rpc_call_fini(&call);
	free(buf);
	return rc;
}

static inline void
t_check_echoes(struct t_client *c)
{
	static const size_t sizes[] = {0,
				       1,
				       7,
				       8,
				       9,
				       64,
				       1000,
				       1024,
				       1025,
				       4000,
				       4096,
				       10000,
				       32768,
				       RPC_INLINE_MAX - 1,
				       RPC_INLINE_MAX};
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		assert_int_equal(t_check_echo(c, sizes[i], (uint8_t)i), 0);
	assert_int_equal(t_check_echo(c, RPC_INLINE_MAX + 1, 1), -DER_INVAL);
}

struct t_many {
	struct t_client *c;
	uint32_t seed;
	uint32_t rounds;
	uint32_t ok_nr;
};

static inline int
t_many_one(void *arg)
{
	struct t_many *m = arg;
	uint32_t i;
	int rc;

	for (i = 0; i < m->rounds; i++) {
		m->seed = m->seed * 1103515245 + 12345;
		rc = t_check_echo(m->c, (m->seed >> 16) % ((m->seed & 15) == 0 ? 40000 : 300),
				  (uint8_t)m->seed);
		if (rc == 0)
			m->ok_nr++;
		else if (!m->c->lossy)
			return rc;
		else
			assert_true(rc == -DER_TIMEDOUT || rc == -DER_UNREACH);
	}
	return 0;
}

/* Many calls at a time; returns how many succeeded. */
static inline uint32_t
t_check_many(struct t_client *c, uint32_t width, uint32_t rounds)
{
	struct t_many *m = calloc(width, sizeof(*m));
	struct co_group g;
	uint32_t i, ok = 0;

	co_group_init(&g);
	for (i = 0; i < width; i++) {
		m[i] = (struct t_many){.c = c, .seed = i * 7919 + 1, .rounds = rounds};
		assert_int_equal(co_group_spawn(&g, t_many_one, &m[i]), 0);
	}
	assert_int_equal(co_group_join(&g), 0);
	for (i = 0; i < width; i++)
		ok += m[i].ok_nr;
	free(m);
	return ok;
}

/* Register len bytes in pieces, have the server move them, compare. */
static inline int
t_check_bulk(struct t_client *c, uint64_t len, uint32_t pieces, bool put, uint32_t opc,
	     uint64_t sleep_ns, uint64_t timeout_ns)
{
	uint8_t *mem = calloc(1, 2 * len + 64);
	struct iovec iov[RPC_BULK_SEG_MAX], body[2];
	struct rpc_call call = {.opc = opc, .body = body, .body_nr = 2};
	uint64_t le = htole64(sleep_ns), sum = 0, got, off = 0, i;
	struct rpc_bulk_desc desc;
	struct rpc_bulk *bulk;
	uint32_t p;
	int rc;

	assert_non_null(mem);
	/* A hole after each piece shows whether it is respected. */
	for (p = 0; p < pieces; p++) {
		iov[p].iov_len = len / pieces + (p < len % pieces);
		iov[p].iov_base = mem + off + p % 7;
		off += iov[p].iov_len + (pieces > 1 ? len / pieces : 0);
		if (off > 2 * len)
			off = 2 * len;
		for (i = 0; i < iov[p].iov_len; i++) {
			((uint8_t *)iov[p].iov_base)[i] = (uint8_t)(i * 13 + p);
			sum = sum * 31 + (uint8_t)(i * 13 + p);
		}
	}
	rc = rpc_bulk_create(c->ep, iov, pieces, put ? RPC_BULK_WRITE : RPC_BULK_READ, &bulk);
	assert_int_equal(rc, 0);
	desc = rpc_bulk_describe(bulk);
	assert_int_equal(rpc_bulk_desc_size(&desc), len);
	body[0] = (struct iovec){.iov_base = &le, .iov_len = 8};
	body[1] = (struct iovec){.iov_base = (void *)desc.bytes, .iov_len = desc.len};
	if (opc == T_PULL || opc == T_PUSH) {
		call.body = &body[1];
		call.body_nr = 1;
	}
	if (timeout_ns != 0)
		call.deadline_ns = xs_now_ns(c->xs) + timeout_ns;
	rc = rpc_call_send(c->ep, c->peer, &call);
	rpc_bulk_destroy(bulk);
	if (rc == 0)
		rc = call.status;
	if (rc == 0 && !put) {
		assert_int_equal(call.reply_len, 8);
		memcpy(&got, call.reply, 8);
		assert_true(le64toh(got) == sum);
	}
	if (rc == 0 && put) {
		for (off = 0, p = 0; p < pieces; p++)
			for (i = 0; i < iov[p].iov_len; i++, off++)
				assert_int_equal(((uint8_t *)iov[p].iov_base)[i], t_pattern(off));
	}
	rpc_call_fini(&call);
	/* Whatever is still under way must not reach this memory any more. */
	memset(mem, 0xee, 2 * len + 64);
	if (rc != 0)
		co_sleep_ns(20 * T_MS);
	assert_true(mem[0] == 0xee && memcmp(mem, mem + 1, 2 * len + 63) == 0);
	free(mem);
	return rc;
}

static inline void
t_check_bulks(struct t_client *c)
{
	static const uint64_t sizes[] = {
	    1, 2, 4095, 4096, 65536, 1 << 20, (1 << 20) + 1, 5000000, 16 << 20};
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]) - c->sim; i++) {
		assert_int_equal(t_check_bulk(c, sizes[i], 1, false, T_PULL, 0, 0), 0);
		assert_int_equal(t_check_bulk(c, sizes[i], 1, true, T_PUSH, 0, 0), 0);
	}
	assert_int_equal(t_check_bulk(c, 100000, 37, false, T_PULL, 0, 0), 0);
	assert_int_equal(t_check_bulk(c, 100000, 37, true, T_PUSH, 0, 0), 0);
	assert_int_equal(t_check_bulk(c, 300000, RPC_BULK_SEG_MAX, false, T_PULL, 0, 0), 0);
	assert_int_equal(t_check_bulk(c, 300000, RPC_BULK_SEG_MAX, true, T_PUSH, 0, 0), 0);
	/* Moved the wrong way. */
	assert_int_equal(t_check_bulk(c, 100, 1, false, T_PUSH, 0, 0), -DER_NO_PERM);
	assert_int_equal(t_check_bulk(c, 100, 1, true, T_PULL, 0, 0), -DER_NO_PERM);
}

/* Results, refusals, deadlines, cancellation. */
static inline int
t_cancel_later(void *arg)
{
	co_sleep_ns(20 * T_MS);
	rpc_call_cancel(arg);
	return 0;
}

static inline void
t_check_ends(struct t_client *c)
{
	struct rpc_call call = {.opc = T_SLEEP};
	uint64_t le = htole64(800 * T_MS);
	int32_t status = (int32_t)htole32((uint32_t)-DER_NONEXIST);
	struct iovec iov = {.iov_base = &le, .iov_len = 8};
	struct co_group g;
	uint64_t t;

	assert_int_equal(t_call(c, T_STATUS, &status, 4, 0), -DER_NONEXIST);
	assert_int_equal(t_call(c, 77, NULL, 0, 0), -DER_UNREG);
	assert_int_equal(t_call(c, 0x70000000, NULL, 0, 0), -DER_UNREG);
	assert_int_equal(t_call(c, T_NO_REPLY, NULL, 0, 0), -DER_MISC);
	assert_int_equal(t_call(c, T_PULL, "nonsense", 8, 0), -DER_PROTO);
	assert_int_equal(t_call(c, T_PULL, NULL, 0, 0), -DER_PROTO);

	t = xs_now_ns(c->xs);
	assert_int_equal(t_call_sleep(c, 800 * T_MS, 30 * T_MS), -DER_TIMEDOUT);
	t = xs_now_ns(c->xs) - t;
	assert_true(t >= 30 * T_MS && t < T_SLACK * 150 * T_MS);

	call.body = &iov;
	call.body_nr = 1;
	co_group_init(&g);
	assert_int_equal(co_group_spawn(&g, t_cancel_later, &call), 0);
	t = xs_now_ns(c->xs);
	assert_int_equal(rpc_call_send(c->ep, c->peer, &call), -DER_CANCELED);
	assert_true(xs_now_ns(c->xs) - t < T_SLACK * 150 * T_MS);
	assert_int_equal(co_group_join(&g), 0);

	/* The late reply of the call that timed out finds nobody. */
	co_sleep_ns(900 * T_MS);
	assert_int_equal(t_check_echo(c, 100, 9), 0);

	/* A deadline in the past is not even sent. */
	call.deadline_ns = 1;
	assert_int_equal(rpc_call_send(c->ep, c->peer, &call), -DER_TIMEDOUT);
}

/* A number the server keeps. */
static inline uint64_t
t_number(struct t_client *c, uint32_t opc)
{
	struct rpc_call call = {.opc = opc};
	uint64_t nr = UINT64_MAX;

	assert_int_equal(rpc_call_send(c->ep, c->peer, &call), 0);
	assert_int_equal(call.reply_len, 8);
	memcpy(&nr, call.reply, 8);
	rpc_call_fini(&call);
	return le64toh(nr);
}

/* Memory handed to a server that is slow to use it comes back at the deadline, untouched. */
static inline void
t_check_bulk_ends(struct t_client *c)
{
	/* How long it takes until transfers have certainly begun. */
	const uint64_t mid_ms = c->sim ? 3 : 150;
	uint64_t i;

	assert_int_equal(t_check_bulk(c, 1 << 20, 1, false, T_PULL_SLEEP, 100 * T_MS, 20 * T_MS),
			 -DER_TIMEDOUT);
	assert_int_equal(t_check_bulk(c, 1 << 20, 1, true, T_PUSH_SLEEP, 100 * T_MS, 20 * T_MS),
			 -DER_TIMEDOUT);
	/* In the middle of transfers. */
	for (i = 0; i < 4; i++) {
		assert_int_equal(
		    t_check_bulk(c, 4 << 20, 1, true, T_PUSH_LOOP, 2 * T_SEC, (mid_ms + i) * T_MS),
		    -DER_TIMEDOUT);
		assert_int_equal(
		    t_check_bulk(c, 4 << 20, 1, false, T_PULL_LOOP, 2 * T_SEC, (mid_ms + i) * T_MS),
		    -DER_TIMEDOUT);
	}
	co_sleep_ns(150 * T_MS);
	assert_int_equal(t_number(c, T_GARBAGE), 0);
	assert_int_equal(t_check_echo(c, 100, 9), 0);
	assert_int_equal(t_check_bulk(c, 1 << 20, 3, false, T_PULL, 0, 0), 0);
	assert_int_equal(t_check_bulk(c, 1 << 20, 3, true, T_PUSH, 0, 0), 0);
}

#endif
