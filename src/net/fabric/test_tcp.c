/* The TCP fabric by itself: transfers taken back or revoked in the middle, broken connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <daos_errno.h>

#include "base/log.h"
#include "net/fabric/fabric.h"
#include "net/rpc/rpc.h"

enum { SIZE = 32 << 20 };

struct end {
	struct fab_ep *ep;
	struct fab_peer *peer; /* the other end */
	uint32_t lost_nr;
	uint32_t sent_nr;
	uint32_t recv_nr;
	int sent_rc;
	uint8_t last; /* first byte of the last message */
};

struct pair {
	struct env env;
	struct xs *xs;
	struct net *net;
	struct end a;
	struct end b;
	uint8_t *a_mem;
	uint8_t *b_mem;
	struct fab_mr *mr; /* b_mem */
	struct fab_rma op;
	bool op_ended;
	int op_rc;
};

static void
on_recv(void *arg, struct fab_rx *rx, const uint8_t *msg, uint32_t len)
{
	struct end *e = arg;

	e->recv_nr++;
	e->last = msg[0];
}

static void
on_ready(void *arg)
{
}

static void
on_lost(void *arg, void *peer_arg)
{
	struct end *e = arg;

	assert_ptr_equal(peer_arg, e);
	e->lost_nr++;
}

static void
on_sent(struct fab_tx *tx, int rc)
{
	struct end *e = tx->arg;

	e->sent_nr++;
	e->sent_rc = rc;
	fab_tx_free(e->ep, tx);
}

static void
on_moved(struct fab_rma *op, int rc)
{
	struct pair *p = op->arg;

	assert_false(p->op_ended);
	p->op_ended = true;
	p->op_rc = rc;
}

static void
end_open(struct pair *p, struct end *e)
{
	static const struct fab_events events = {
	    .recv = on_recv, .ready = on_ready, .lost = on_lost};
	struct fab_ep_conf conf = {.xs = p->xs, .events = &events, .arg = e};

	assert_int_equal(fab_ep_open(p->net, &conf, &e->ep), 0);
}

static void
message(struct pair *p, struct end *from, struct end *to, uint8_t what)
{
	struct fab_tx *tx = fab_tx_alloc(from->ep, 100);
	uint32_t nr = to->recv_nr;
	int i;

	memset(tx->buf, what, 100);
	tx->len = 100;
	tx->done = on_sent;
	tx->arg = from;
	assert_int_equal(fab_send(from->ep, from->peer, tx), 0);
	for (i = 0; i < 100000 && to->recv_nr == nr; i++)
		(void)xs_step(p->xs);
	assert_int_equal(to->recv_nr, nr + 1);
	assert_int_equal(to->last, what);
}

static void
pair_open(struct pair *p)
{
	const struct net_conf conf = {.interface = "lo"};
	size_t i;

	memset(p, 0, sizeof(*p));
	env_init_real(&p->env);
	assert_int_equal(
	    xs_create(&(struct xs_conf){.name = "t", .env = &p->env, .cpu = -1}, &p->xs), 0);
	assert_int_equal(net_open_fabric(&conf, &p->net), 0);
	end_open(p, &p->a);
	end_open(p, &p->b);
	assert_int_equal(fab_peer_open(p->a.ep, p->b.ep->uri, &p->a, &p->a.peer), 0);
	assert_int_equal(fab_peer_open(p->b.ep, p->a.ep->uri, &p->b, &p->b.peer), 0);
	p->a_mem = malloc(SIZE);
	p->b_mem = malloc(SIZE);
	memset(p->a_mem, 0xaa, SIZE);
	for (i = 0; i < SIZE; i++)
		p->b_mem[i] = (uint8_t)(i * 31 >> 3);
	assert_int_equal(
	    fab_mr_open(p->b.ep, p->b_mem, SIZE, FAB_REMOTE_READ | FAB_REMOTE_WRITE, &p->mr), 0);
	message(p, &p->a, &p->b, 1);
	message(p, &p->b, &p->a, 2);
}

/* Both directions still work, over the connection there was. */
static void
pair_close(struct pair *p, bool lost)
{
	if (!lost) {
		message(p, &p->a, &p->b, 3);
		message(p, &p->b, &p->a, 4);
		assert_int_equal(p->a.lost_nr + p->b.lost_nr, 0);
	}
	fab_mr_close(p->b.ep, p->mr);
	fab_peer_close(p->a.ep, p->a.peer);
	fab_ep_close(p->a.ep);
	if (p->b.ep != NULL) {
		fab_peer_close(p->b.ep, p->b.peer);
		fab_ep_close(p->b.ep);
	}
	net_close(p->net);
	xs_destroy(p->xs);
	free(p->a_mem);
	free(p->b_mem);
}

static void
move(struct pair *p, bool put, uint64_t off, size_t len)
{
	p->op = (struct fab_rma){.put = put,
				 .iov_nr = 2,
				 .iov = {{p->a_mem, len / 3}, {p->a_mem + len / 3, len - len / 3}},
				 .key = p->mr->key,
				 .addr = p->mr->addr + off,
				 .done = on_moved,
				 .arg = p};
	p->op_ended = false;
	assert_int_equal(fab_rma(p->a.ep, p->a.peer, &p->op), 0);
}

static void
wait_op(struct pair *p, int rc)
{
	int i;

	for (i = 0; i < 1000000 && !p->op_ended; i++)
		(void)xs_step(p->xs);
	assert_true(p->op_ended);
	assert_int_equal(p->op_rc, rc);
}

/* Until some, but not all, has arrived. */
static void
wait_some(struct pair *p, const uint8_t *mem, uint8_t before)
{
	int i;

	for (i = 0; i < 1000000 && mem[1000] == before; i++)
		(void)xs_step(p->xs);
	assert_int_not_equal(mem[1000], before);
	assert_false(p->op_ended);
}

static void
settle(struct pair *p)
{
	int i;

	for (i = 0; i < 1000; i++)
		(void)xs_step(p->xs);
}

static void
test_move(void **state)
{
	struct pair p;

	pair_open(&p);
	move(&p, false, 0, SIZE);
	wait_op(&p, 0);
	assert_memory_equal(p.a_mem, p.b_mem, SIZE);
	memset(p.a_mem, 0xaa, SIZE);
	move(&p, true, 7, 1000001);
	wait_op(&p, 0);
	assert_memory_equal(p.b_mem + 7, p.a_mem, 1000001);
	assert_int_equal(p.b_mem[1000008], (uint8_t)(1000008u * 31 >> 3));
	/* Beyond the end, and with a wrong key. */
	move(&p, true, SIZE - 10, 11);
	wait_op(&p, -DER_CANCELED);
	move(&p, false, SIZE - 10, 11);
	wait_op(&p, -DER_CANCELED);
	move(&p, false, UINT64_MAX - 4, 11);
	wait_op(&p, -DER_CANCELED);
	p.mr->key++;
	move(&p, false, 0, 10);
	p.mr->key--;
	wait_op(&p, -DER_CANCELED);
	move(&p, false, SIZE - 10, 10);
	wait_op(&p, 0);
	pair_close(&p, false);
}

/* Registrations that allow only one way. */
static void
test_access(void **state)
{
	struct pair p;

	pair_open(&p);
	fab_mr_close(p.b.ep, p.mr);
	assert_int_equal(fab_mr_open(p.b.ep, p.b_mem, SIZE, FAB_REMOTE_READ, &p.mr), 0);
	move(&p, true, 0, 10);
	wait_op(&p, -DER_CANCELED);
	assert_int_equal(p.b_mem[8], 8 * 31 >> 3);
	move(&p, false, 0, 10);
	wait_op(&p, 0);
	pair_close(&p, false);
}

/* The target closes its registration while the bytes are leaving or arriving. */
static void
test_revoke(void **state)
{
	struct pair p;
	int put;

	for (put = 0; put < 2; put++) {
		pair_open(&p);
		if (put)
			memset(p.b_mem, 0xbb, SIZE);
		move(&p, put, 0, SIZE);
		wait_some(&p, put ? p.b_mem : p.a_mem, put ? 0xbb : 0xaa);
		fab_mr_close(p.b.ep, p.mr);
		p.mr = NULL;
		memset(p.b_mem, 0xee, SIZE);
		wait_op(&p, -DER_CANCELED);
		assert_true(p.b_mem[0] == 0xee && memcmp(p.b_mem, p.b_mem + 1, SIZE - 1) == 0);
		/* And what was not sent yet is not what is there now. */
		assert_true(put || memchr(p.a_mem, 0xee, 100) == NULL || p.a_mem[SIZE - 1] != 0xee);
		assert_true(put || p.a_mem[SIZE - 1] == 0);
		pair_close(&p, false);
	}
}

/* The initiator takes the transfer back: at once, and in the middle. */
static void
test_cancel(void **state)
{
	struct pair p;
	int put, middle;

	for (put = 0; put < 2; put++) {
		for (middle = 0; middle < 2; middle++) {
			pair_open(&p);
			if (put)
				memset(p.b_mem, 0xbb, SIZE);
			move(&p, put, 0, SIZE);
			if (middle)
				wait_some(&p, put ? p.b_mem : p.a_mem, put ? 0xbb : 0xaa);
			assert_int_equal(fab_rma_cancel(p.a.ep, &p.op), 0);
			memset(p.a_mem, 0xee, SIZE);
			memset(&p.op, 0xee, sizeof(p.op));
			settle(&p);
			assert_false(p.op_ended);
			assert_true(p.a_mem[0] == 0xee &&
				    memcmp(p.a_mem, p.a_mem + 1, SIZE - 1) == 0);
			assert_true(!put || memchr(p.b_mem, 0xee, SIZE) == NULL);
			move(&p, false, 5, 100);
			wait_op(&p, 0);
			assert_memory_equal(p.a_mem, p.b_mem + 5, 100);
			pair_close(&p, false);
		}
	}
}

/* Cancelled after it ended, before that was reported. */
static void
test_cancel_late(void **state)
{
	struct pair p;

	pair_open(&p);
	move(&p, false, 0, 10);
	settle(&p);
	assert_true(p.op_ended);
	move(&p, true, SIZE, 10);
	assert_int_equal(fab_peer_reset(p.a.ep, p.a.peer), 0);
	assert_false(p.op_ended); /* has ended, is not reported */
	assert_int_equal(fab_rma_cancel(p.a.ep, &p.op), 0);
	settle(&p);
	assert_false(p.op_ended);
	assert_int_equal(p.b.lost_nr, 1);
	assert_int_equal(p.a.lost_nr, 0);
	pair_close(&p, true);
}

/* One end goes away in the middle of a transfer. */
static void
test_lost(void **state)
{
	struct pair p;
	struct fab_tx *tx;
	int rc;

	pair_open(&p);
	move(&p, false, 0, SIZE);
	wait_some(&p, p.a_mem, 0xaa);
	fab_mr_close(p.b.ep, p.mr);
	p.mr = NULL;
	fab_peer_close(p.b.ep, p.b.peer);
	fab_ep_close(p.b.ep);
	p.b.ep = NULL;
	wait_op(&p, -DER_UNREACH);
	settle(&p);
	assert_int_equal(p.a.lost_nr, 1);
	while ((rc = fab_peer_probe(p.a.ep, p.a.peer)) == -DER_AGAIN)
		(void)xs_step(p.xs);
	assert_int_equal(rc, -DER_UNREACH);
	/* A refusal may come at once or a moment later. */
	tx = fab_tx_alloc(p.a.ep, 100);
	tx->len = 100;
	tx->done = on_sent;
	tx->arg = &p.a;
	p.a.sent_nr = 0;
	rc = fab_send(p.a.ep, p.a.peer, tx);
	if (rc != 0) {
		assert_int_equal(rc, -DER_UNREACH);
		fab_tx_free(p.a.ep, tx);
	} else {
		while (p.a.sent_nr == 0)
			(void)xs_step(p.xs);
		assert_int_equal(p.a.sent_rc, -DER_UNREACH);
	}
	pair_close(&p, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_move),        cmocka_unit_test(test_access),
	    cmocka_unit_test(test_revoke),      cmocka_unit_test(test_cancel),
	    cmocka_unit_test(test_cancel_late), cmocka_unit_test(test_lost),
	};

	log_set_level(LOG_LVL_CRIT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
