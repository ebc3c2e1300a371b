/*
 * The client against the fake system, on simulated time and network: every public call, and what
 * happens when requests are lost, refused or answered twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <daos.h>
#include <gurt/common.h>

#include "client/core/client.h"
#include "client/lib/fake_system.h"
#include "client/lib/scenes.h"
#include "net/fabric/sim.h"
#include "proto/obj_proto.h"
#include "proto/opcodes.h"
#include "runtime/sim.h"

enum { SERVER_NODE = 1, CLIENT_NODE = 2, OTHER_NODE = 3, PORT = 31416, TARGET_NR = 4 };

struct world {
	struct sim *sim;
	struct sim_net *sn;
	struct net *server_net;
	struct net *client_net;
	struct net *other_net;
	struct xs *server_xs;
	struct fake *fake;
	struct client *client;
	struct client *other; /* on another node */
	daos_handle_t poh;
	daos_handle_t coh;
};

static struct world w;

static int
server_open(void *arg)
{
	return fake_open(w.server_xs, w.server_net, PORT, TARGET_NR, &w.fake);
}

static int
server_close(void *arg)
{
	fake_close(w.fake);
	return 0;
}

static void
make_client(struct net *net, struct client **ret_client)
{
	const char *uris[] = {fake_uri(w.fake)};
	struct client_conf conf = {.env = sim_env_create(w.sim, 0),
				   .net = net,
				   .ms_uris = uris,
				   .ms_uri_nr = 1,
				   .user = "me@",
				   .group = "us@"};

	assert_int_equal(client_create(&conf, ret_client), 0);
}

static int
setup_world(void **state)
{
	struct xs_conf conf = {.name = "server", .cpu = -1};

	memset(&w, 0, sizeof(w));
	assert_int_equal(sim_create(1, &w.sim), 0);
	assert_int_equal(sim_net_create(w.sim, &w.sn), 0);
	assert_int_equal(net_open_sim(w.sn, SERVER_NODE, &w.server_net), 0);
	assert_int_equal(net_open_sim(w.sn, CLIENT_NODE, &w.client_net), 0);
	assert_int_equal(net_open_sim(w.sn, OTHER_NODE, &w.other_net), 0);
	conf.env = sim_env_create(w.sim, 0);
	assert_int_equal(xs_create(&conf, &w.server_xs), 0);
	assert_int_equal(xs_thread_start(w.server_xs), 0);
	assert_int_equal(xs_call(w.server_xs, server_open, NULL), 0);
	make_client(w.client_net, &w.client);
	client_set_default(w.client);
	assert_int_equal(daos_pool_connect("tank", NULL, DAOS_PC_RW, &w.poh, NULL, NULL), 0);
	assert_int_equal(daos_cont_create_with_label(w.poh, "home", NULL, NULL, NULL), 0);
	assert_int_equal(daos_cont_open(w.poh, "home", DAOS_COO_RW, &w.coh, NULL, NULL), 0);
	scene = (struct scene){.poh = w.poh, .coh = w.coh, .target_nr = TARGET_NR};
	return 0;
}

static int
teardown_world(void **state)
{
	if (daos_handle_is_valid(w.coh))
		assert_int_equal(daos_cont_close(w.coh, NULL), 0);
	assert_int_equal(daos_pool_disconnect(w.poh, NULL), 0);
	assert_int_equal(handle_nr(client_handles(w.client)), 0);
	client_destroy(client_set_default(NULL));
	client_destroy(w.other);
	assert_int_equal(xs_call(w.server_xs, server_close, NULL), 0);
	xs_stop(w.server_xs);
	xs_thread_join(w.server_xs);
	xs_destroy(w.server_xs);
	net_close(w.server_net);
	net_close(w.client_net);
	net_close(w.other_net);
	sim_net_destroy(w.sn);
	sim_destroy(w.sim);
	return 0;
}

/* --- faults --- */

static void
test_retries(void **state)
{
	daos_handle_t oh = scene_open_obj(DAOS_OT_MULTI_HASHED, OC_SX);
	uint32_t before;
	struct scene_io o;
	char c;

	scene_one_single(&o, "d0", "a", "1", 1); /* makes the capability known */
	assert_int_equal(scene_put(oh, &o, 0), 0);
	/* the answer says "again" although it was done: the repetition must not do it twice */
	scene_one_single(&o, "d", "a", "1", 1);
	fake_inject(w.fake, OPC_OBJ_UPDATE, -DER_AGAIN, 3, true);
	assert_int_equal(scene_put(oh, &o, DAOS_COND_DKEY_INSERT), 0);
	assert_int_equal(fake_repeated(w.fake), 3);
	/* not done at all */
	scene_one_single(&o, "d2", "a", "2", 1);
	fake_inject(w.fake, OPC_OBJ_UPDATE, -DER_INPROGRESS, 2, false);
	assert_int_equal(scene_put(oh, &o, 0), 0);
	/* the engines have a newer map */
	fake_new_map(w.fake);
	before = fake_count(w.fake, OPC_MS_POOL_MAP_GET);
	scene_one_single(&o, "d2", "a", &c, 1);
	assert_int_equal(scene_get(oh, &o, 0), 0);
	assert_int_equal(c, '2');
	assert_int_equal(fake_count(w.fake, OPC_MS_POOL_MAP_GET), before + 1);
	/* engines restarted: they want to see the capability again */
	fake_forget_caps(w.fake, false);
	assert_int_equal(scene_get(oh, &o, 0), 0);
	assert_int_equal(fake_count(w.fake, OPC_MS_CONT_RENEW), 0);
	/* it is no longer good */
	fake_forget_caps(w.fake, true);
	assert_int_equal(scene_get(oh, &o, 0), 0);
	assert_int_equal(fake_count(w.fake, OPC_MS_CONT_RENEW), 1);
	/* a definite answer is not repeated */
	before = fake_count(w.fake, OPC_OBJ_FETCH);
	fake_inject(w.fake, OPC_OBJ_FETCH, -DER_IO, 1, false);
	assert_int_equal(scene_get(oh, &o, 0), -DER_IO);
	assert_int_equal(fake_count(w.fake, OPC_OBJ_FETCH), before + 1);
	assert_int_equal(daos_obj_close(oh, NULL), 0);
}

/* --- groups that were ever used --- */

enum { CHUNK = 1000 };

/* Requests that concern data since the last call. */
static uint32_t
requests(void)
{
	static const uint32_t opcs[] = {OPC_OBJ_UPDATE, OPC_OBJ_FETCH,     OPC_OBJ_PUNCH,
					OPC_OBJ_LIST,   OPC_OBJ_QUERY_KEY, OPC_OBJ_GROUPS};
	static uint32_t before;
	uint32_t sum = 0, nr;
	size_t i;

	for (i = 0; i < sizeof(opcs) / sizeof(opcs[0]); i++)
		sum += fake_count(w.fake, opcs[i]);
	nr = sum - before;
	before = sum;
	return nr;
}

static daos_handle_t
open_bytes(daos_obj_id_t *oid)
{
	daos_handle_t oh;

	oid->lo = 70;
	oid->hi = 0;
	assert_int_equal(daos_obj_generate_oid(w.coh, oid, DAOS_OT_ARRAY_BYTE, OC_SX, 0, 0), 0);
	assert_int_equal(
	    daos_array_open_with_attr(w.coh, *oid, DAOS_TX_NONE, DAOS_OO_RW, 1, CHUNK, &oh, NULL),
	    0);
	requests();
	return oh;
}

static uint64_t
size_of(daos_handle_t oh)
{
	daos_size_t size;

	assert_int_equal(daos_array_get_size(oh, DAOS_TX_NONE, &size, NULL), 0);
	return size;
}

/* What fits the first chunk costs one request for everything; others what they use. */
static void
test_array_requests(void **state)
{
	uint8_t buf[4 * CHUNK];
	daos_obj_id_t oid;
	daos_handle_t oh = open_bytes(&oid), oh2;

	memset(buf, 1, sizeof(buf));
	assert_int_equal(size_of(oh), 0); /* makes the capability known */
	requests();
	assert_int_equal(size_of(oh), 0);
	assert_int_equal(requests(), 1);
	scene_array_rw(oh, true, 0, CHUNK, buf, NULL);
	assert_int_equal(requests(), 1);
	assert_int_equal(size_of(oh), CHUNK);
	assert_int_equal(requests(), 1);
	assert_int_equal(daos_array_destroy(oh, DAOS_TX_NONE, NULL), 0);
	assert_int_equal(requests(), 1);
	assert_int_equal(size_of(oh), 0);
	assert_int_equal(requests(), 1);
	/* the second chunk: its group is entered, and the size needs both groups */
	scene_array_rw(oh, true, CHUNK + 5, 1, buf, NULL);
	assert_int_equal(requests(), 2);
	scene_array_rw(oh, true, CHUNK + 6, 1, buf, NULL);
	assert_int_equal(requests(), 1);
	assert_int_equal(size_of(oh), CHUNK + 7);
	assert_int_equal(requests(), 2);
	/* also for who opens it now, and then it takes two rounds */
	assert_int_equal(
	    daos_array_open_with_attr(w.coh, oid, DAOS_TX_NONE, DAOS_OO_RW, 1, CHUNK, &oh2, NULL),
	    0);
	assert_int_equal(size_of(oh2), CHUNK + 7);
	assert_int_equal(requests(), 2);
	/* all at once: one entry, all chunks */
	scene_array_rw(oh2, true, 0, sizeof(buf), buf, NULL);
	assert_int_equal(requests(), 1 + TARGET_NR);
	assert_int_equal(size_of(oh), sizeof(buf));
	assert_int_equal(requests(), TARGET_NR);
	/* punched: a look at the home group, every other one, the home group */
	assert_int_equal(daos_array_destroy(oh2, DAOS_TX_NONE, NULL), 0);
	assert_int_equal(requests(), 1 + TARGET_NR);
	assert_int_equal(daos_array_close(oh2, NULL), 0);
	/* the other handle still believes that its groups are entered: it is told */
	scene_array_rw(oh, true, CHUNK, 1, buf, NULL);
	assert_int_equal(requests(), 3);
	assert_int_equal(
	    daos_array_open_with_attr(w.coh, oid, DAOS_TX_NONE, DAOS_OO_RW, 1, CHUNK, &oh2, NULL),
	    0);
	assert_int_equal(size_of(oh2), CHUNK + 1);
	assert_int_equal(daos_array_close(oh2, NULL), 0);
	assert_int_equal(daos_array_close(oh, NULL), 0);
}

/* An update that was executed although its proof was refused later is not executed again. */
static void
test_group_refused(void **state)
{
	daos_handle_t oh = scene_open_obj(DAOS_OT_MULTI_HASHED, OC_SX);
	char key[8];
	struct scene_io o;
	uint32_t i;

	for (i = 0; i < 8; i++) { /* some of them go to other groups than the home group */
		snprintf(key, sizeof(key), "k%u", i);
		scene_one_single(&o, key, "a", "1", 1);
		assert_int_equal(scene_put(oh, &o, DAOS_COND_DKEY_INSERT), 0);
	}
	/* all groups are entered: the proofs that are refused are renewed */
	for (i = 0; i < 8; i++) {
		uint32_t entered = fake_count(w.fake, OPC_OBJ_GROUPS);
		int rc;

		snprintf(key, sizeof(key), "l%u", i);
		scene_one_single(&o, key, "a", "1", 1);
		fake_inject(w.fake, OPC_OBJ_UPDATE, -DER_EP_OLD, 1, true);
		rc = scene_put(oh, &o, DAOS_COND_DKEY_INSERT);
		if (fake_count(w.fake, OPC_OBJ_GROUPS) == entered)
			assert_int_equal(rc,
					 -DER_EP_OLD); /* of the home group: no proof was sent */
		else
			assert_int_equal(rc, 0);
	}
	assert_true(fake_repeated(w.fake) > 0);
	assert_int_equal(daos_obj_close(oh, NULL), 0);
}

/* A listing visits what is used, whoever used it. */
static void
test_list_requests(void **state)
{
	daos_handle_t oh = scene_open_obj(DAOS_OT_MULTI_UINT64, OC_SX);
	uint64_t dkey, akey = 1, keys[8];
	daos_anchor_t anchor = {0};
	daos_key_desc_t kds[8];
	struct scene_io o;
	d_iov_t iov;
	d_sg_list_t sgl = {.sg_nr = 1, .sg_iovs = &iov};
	uint32_t nr, all = 0, round;

	requests();
	for (round = 0; round < 3; round++) {
		static const uint32_t want[] = {2, 1, 2}; /* the first sends the capability */

		nr = 8;
		memset(&anchor, 0, sizeof(anchor));
		d_iov_set(&iov, keys, sizeof(keys));
		assert_int_equal(
		    daos_obj_list_dkey(oh, DAOS_TX_NONE, &nr, kds, &sgl, &anchor, NULL), 0);
		assert_true(daos_anchor_is_eof(&anchor));
		assert_int_equal(nr, round);
		assert_int_equal(requests(), want[round]);
		all += nr;
		dkey = round + 1; /* the home group, then its neighbour */
		scene_one_single(&o, "12345678", "12345678", "v", 1);
		d_iov_set(&o.dkey, &dkey, sizeof(dkey));
		d_iov_set(&o.iod.iod_name, &akey, sizeof(akey));
		assert_int_equal(scene_put(oh, &o, 0), 0);
		requests();
	}
	assert_int_equal(all, 3);
	assert_int_equal(daos_obj_punch(oh, DAOS_TX_NONE, DAOS_COND_PUNCH, NULL), 0);
	requests();
	assert_int_equal(daos_obj_punch(oh, DAOS_TX_NONE, DAOS_COND_PUNCH, NULL), -DER_NONEXIST);
	assert_int_equal(requests(), 1);
	assert_int_equal(daos_obj_close(oh, NULL), 0);
}

/* Half a capability's life later it is renewed on the way. */
static void
test_cap_renewal(void **state)
{
	daos_handle_t oh = scene_open_obj(DAOS_OT_MULTI_HASHED, OC_S1);
	struct scene_io o;
	char c;

	scene_one_single(&o, "d", "a", "1", 1);
	assert_int_equal(scene_put(oh, &o, 0), 0);
	assert_int_equal(fake_count(w.fake, OPC_MS_CONT_RENEW), 0);
	sim_run_for(w.sim, 6 * 60 * 1000000000ull);
	scene_one_single(&o, "d", "a", &c, 1);
	assert_int_equal(scene_get(oh, &o, 0), 0);
	assert_int_equal(scene_get(oh, &o, 0), 0);
	assert_int_equal(fake_count(w.fake, OPC_MS_CONT_RENEW), 1);
	/* the service does not answer: the old one is good for a while, I/O goes on */
	sim_run_for(w.sim, 6 * 60 * 1000000000ull);
	fake_inject(w.fake, OPC_MS_CONT_RENEW, -DER_AGAIN, 1000, false);
	assert_int_equal(scene_get(oh, &o, 0), 0);
	assert_int_equal(daos_obj_close(oh, NULL), 0);
	fake_inject(w.fake, 0, 0, 0, false);
}

static void
test_service_hints(void **state)
{
	daos_pool_info_t info = {0};

	fake_inject(w.fake, OPC_MS_POOL_QUERY, -DER_NOTLEADER, 5, false);
	assert_int_equal(daos_pool_query(w.poh, NULL, &info, NULL, NULL), 0);
	assert_int_equal(fake_count(w.fake, OPC_MS_POOL_QUERY), 6);
}

/* The link is cut for a while: the call waits and then goes through. */
static void
test_cut_link(void **state)
{
	daos_handle_t oh = scene_open_obj(DAOS_OT_MULTI_HASHED, OC_S1);
	uint8_t big[70000], back[70000];
	struct scene_io o;
	struct daos_event ev;
	bool flag;

	scene_fill(big, sizeof(big), 9);
	scene_one_single(&o, "d", "a", big, sizeof(big));
	assert_int_equal(scene_put(oh, &o, 0), 0);
	sim_net_cut(w.sn, SERVER_NODE, CLIENT_NODE, true);
	sim_net_cut(w.sn, CLIENT_NODE, SERVER_NODE, true);
	scene_one_single(&o, "d", "a", back, sizeof(back));
	assert_int_equal(daos_event_init(&ev, DAOS_HDL_INVAL, NULL), 0);
	assert_int_equal(daos_obj_fetch(oh, DAOS_TX_NONE, 0, &o.dkey, 1, &o.iod, &o.sgl, NULL, &ev),
			 0);
	assert_int_equal(daos_event_test(&ev, 20 * 1000000, &flag), 0);
	assert_false(flag);
	sim_net_heal(w.sn);
	assert_int_equal(daos_event_test(&ev, DAOS_EQ_WAIT, &flag), 0);
	assert_true(flag);
	assert_int_equal(ev.ev_error, 0);
	assert_memory_equal(big, back, sizeof(big));
	assert_int_equal(daos_event_fini(&ev), 0);
	assert_int_equal(daos_obj_close(oh, NULL), 0);
}

/* --- events --- */

static int
fail_cb(void *arg, daos_event_t *ev, int rc)
{
	return -DER_MISC;
}

static void
test_event_states(void **state)
{
	daos_handle_t oh = scene_open_obj(DAOS_OT_MULTI_HASHED, OC_S1), eqh;
	daos_event_t ev, ev2, *done[2];
	struct scene_io o;
	bool flag;

	assert_int_equal(daos_eq_create(&eqh), 0);
	fake_hold(w.fake, true);
	scene_one_single(&o, "d", "a", "v", 1);
	assert_int_equal(daos_event_init(&ev, eqh, NULL), 0);
	assert_int_equal(daos_obj_update(oh, DAOS_TX_NONE, 0, &o.dkey, 1, &o.iod, &o.sgl, &ev), 0);
	assert_int_equal(daos_obj_update(oh, DAOS_TX_NONE, 0, &o.dkey, 1, &o.iod, &o.sgl, &ev),
			 -DER_NO_PERM);
	assert_int_equal(daos_event_fini(&ev), -DER_BUSY);
	assert_int_equal(daos_eq_destroy(eqh, 0), -DER_EQ_BUSY);
	assert_int_equal(daos_eq_poll(eqh, 0, 1000, 2, done), 0);
	assert_int_equal(daos_event_test(&ev, 1000, &flag), 0);
	assert_false(flag);
	fake_hold(w.fake, false);
	assert_int_equal(daos_event_test(&ev, DAOS_EQ_WAIT, &flag), 0);
	assert_true(flag);
	assert_int_equal(ev.ev_error, 0);
	assert_int_equal(daos_eq_query(eqh, DAOS_EQR_ALL, 0, NULL), 0);
	/* used again; a callback makes it fail */
	assert_int_equal(daos_event_register_comp_cb(&ev, fail_cb, NULL), 0);
	assert_int_equal(daos_obj_update(oh, DAOS_TX_NONE, 0, &o.dkey, 1, &o.iod, &o.sgl, &ev), 0);
	assert_int_equal(daos_eq_poll(eqh, 0, DAOS_EQ_WAIT, 2, done), 1);
	assert_ptr_equal(done[0], &ev);
	assert_int_equal(ev.ev_error, -DER_MISC);
	/* a bad handle is told through the event */
	assert_int_equal(
	    daos_obj_update(DAOS_HDL_INVAL, DAOS_TX_NONE, 0, &o.dkey, 1, &o.iod, &o.sgl, &ev), 0);
	assert_int_equal(daos_eq_poll(eqh, 0, DAOS_EQ_WAIT, 2, done), 1);
	assert_int_equal(ev.ev_error, -DER_NO_HDL);
	/* an operation that needs no request */
	assert_int_equal(daos_event_init(&ev2, DAOS_HDL_INVAL, NULL), 0);
	assert_int_equal(daos_obj_close(oh, &ev2), 0);
	assert_int_equal(daos_event_test(&ev2, 0, &flag), 0);
	assert_true(flag);
	assert_int_equal(daos_event_fini(&ev2), 0);
	assert_int_equal(daos_event_fini(&ev), 0);
	assert_int_equal(daos_event_fini(&ev), -DER_INVAL);
	assert_int_equal(daos_eq_destroy(eqh, 0), 0);
}

static void
test_event_abort(void **state)
{
	daos_handle_t oh = scene_open_obj(DAOS_OT_MULTI_HASHED, OC_S1), eqh;
	daos_pool_info_t info = {0};
	daos_event_t ev, ev2, *done[1];
	uint8_t big[50000];
	struct scene_io o;
	bool flag;

	fake_hold(w.fake, true);
	scene_fill(big, sizeof(big), 1);
	scene_one_single(&o, "d", "a", big, sizeof(big));
	assert_int_equal(daos_event_init(&ev, DAOS_HDL_INVAL, NULL), 0);
	assert_int_equal(daos_event_abort(&ev), -DER_NO_PERM);
	assert_int_equal(daos_obj_update(oh, DAOS_TX_NONE, 0, &o.dkey, 1, &o.iod, &o.sgl, &ev), 0);
	assert_int_equal(daos_event_test(&ev, 5000, &flag), 0);
	assert_false(flag);
	assert_int_equal(daos_event_abort(&ev), 0);
	assert_int_equal(daos_event_test(&ev, DAOS_EQ_WAIT, &flag), 0);
	assert_true(flag);
	assert_int_equal(ev.ev_error, -DER_OP_CANCELED);
	/* a queue destroyed with operations in it */
	assert_int_equal(daos_eq_create(&eqh), 0);
	assert_int_equal(daos_event_init(&ev2, eqh, NULL), 0);
	assert_int_equal(daos_obj_update(oh, DAOS_TX_NONE, 0, &o.dkey, 1, &o.iod, &o.sgl, &ev2), 0);
	assert_int_equal(daos_eq_destroy(eqh, DAOS_EQ_DESTROY_FORCE), 0);
	assert_int_equal(ev2.ev_error, -DER_OP_CANCELED);
	fake_hold(w.fake, false);
	/* one that waits for the management service */
	fake_inject(w.fake, OPC_MS_POOL_QUERY, -DER_AGAIN, UINT32_MAX, false);
	assert_int_equal(daos_eq_create(&eqh), 0);
	assert_int_equal(daos_event_init(&ev2, eqh, NULL), 0);
	assert_int_equal(daos_pool_query(w.poh, NULL, &info, NULL, &ev2), 0);
	assert_int_equal(daos_eq_poll(eqh, 0, 3000000, 1, done), 0);
	assert_int_equal(daos_eq_destroy(eqh, DAOS_EQ_DESTROY_FORCE), 0);
	assert_int_equal(ev2.ev_error, -DER_OP_CANCELED);
	fake_inject(w.fake, 0, 0, 0, false);
	assert_int_equal(daos_event_fini(&ev), 0);
	assert_int_equal(daos_obj_close(oh, NULL), 0);
}

/* --- another process --- */

static void *
to_global(int (*fn)(daos_handle_t, d_iov_t *), daos_handle_t hdl, d_iov_t *glob)
{
	memset(glob, 0, sizeof(*glob));
	assert_int_equal(fn(hdl, glob), 0);
	assert_true(glob->iov_buf_len > 0);
	glob->iov_buf = malloc(glob->iov_buf_len);
	glob->iov_buf_len--;
	assert_int_equal(fn(hdl, glob), -DER_TRUNC);
	assert_int_equal(fn(hdl, glob), 0);
	assert_int_equal(glob->iov_len, glob->iov_buf_len);
	return glob->iov_buf;
}

static void
test_global(void **state)
{
	daos_obj_id_t oid = {.lo = 90};
	d_iov_t pg, cg, ag;
	daos_handle_t poh, coh, aoh, oh;
	uint8_t byte = 7, back = 0;
	size_t i;

	assert_int_equal(daos_obj_generate_oid(w.coh, &oid, DAOS_OT_ARRAY_BYTE, OC_SX, 0, 0), 0);
	assert_int_equal(
	    daos_array_open_with_attr(w.coh, oid, DAOS_TX_NONE, DAOS_OO_RW, 1, 1000, &oh, NULL), 0);
	scene_array_rw(oh, true, 5000, 1, &byte, NULL);
	to_global(daos_pool_local2global, w.poh, &pg);
	to_global(daos_cont_local2global, w.coh, &cg);
	to_global(daos_array_local2global, oh, &ag);

	make_client(w.other_net, &w.other);
	client_set_default(w.other);
	assert_int_equal(daos_pool_global2local(pg, &poh), 0);
	assert_int_equal(daos_cont_global2local(poh, cg, &coh), 0);
	assert_int_equal(daos_array_global2local(coh, ag, 0, &aoh), 0);
	scene_array_rw(aoh, false, 5000, 1, &back, NULL);
	assert_int_equal(back, 7);
	assert_int_equal(daos_array_close(aoh, NULL), 0);
	assert_int_equal(daos_cont_close(coh, NULL), 0);
	assert_int_equal(daos_pool_disconnect(poh, NULL), 0);
	/* garbage */
	assert_int_equal(daos_pool_global2local(cg, &poh), -DER_INVAL);
	for (i = 0; i < 40; i++) {
		d_iov_t cut = pg;

		cut.iov_len = cut.iov_buf_len = i;
		assert_int_equal(daos_pool_global2local(cut, &poh), -DER_INVAL);
	}
	client_set_default(w.client);
	/* the other's close did not end our connection */
	scene_array_rw(oh, false, 5000, 1, &back, NULL);
	assert_int_equal(daos_array_close(oh, NULL), 0);
	free(pg.iov_buf);
	free(cg.iov_buf);
	free(ag.iov_buf);
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup_world, teardown_world),
	const struct CMUnitTest tests[] = {
	    SCENES(T) /* */
	    T(test_retries) T(test_array_requests) T(test_group_refused) T(test_list_requests)
		T(test_cap_renewal) T(test_service_hints) T(test_cut_link) T(test_event_states)
		    T(test_event_abort) T(test_global)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
