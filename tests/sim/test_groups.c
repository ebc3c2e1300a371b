/*
 * Does the set of groups that an object's home group keeps ever miss one? Several clients write to
 * the same objects, in chunks of every group, and punch them at the same time, while engines lose
 * power and messages are late, lost or doubled. Whenever everything has come to rest:
 *
 *	- the size that the library tells, which asks the groups of the set, is that of the bytes
 *	  found by reading every chunk, which asks nobody
 *	- listing finds every dkey that has something
 *	- after a punch without anybody else nothing can be read any more, in no group, and the set
 *	  is gone: one request tells the size
 *
 *	test_sim_groups				SIM_RUNS (6) seeds from SIM_FIRST (1) on
 *	SIM_SEED=0x1234 test_sim_groups		that one
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "cluster.h"
#include "server/engine/engine_internal.h"

enum {
	ENGINE_NR = 3,
	TARGET_NR = 2,
	CLIENT_NR = 3,
	SCM_BYTES = 24 << 20, /* per target */
	OBJ_NR = 4,
	CHUNK_CELLS = 32,
	CHUNK_NR = 20,
	KEY_NR = 24, /* of objects with other dkeys */
	OP_NR = 10,  /* under way at a time */
	ROUND_NR = 8,
};

struct gobj {
	daos_obj_id_t oid;
	bool array;
	daos_handle_t oh[CLIENT_NR];
};

struct gop {
	bool busy;
	daos_event_t ev;
	uint8_t buf[CHUNK_CELLS * CHUNK_NR];
	char key[8];
	daos_key_t dkey;
	daos_iod_t iod;
	daos_range_t rg;
	daos_array_iod_t aiod;
	d_iov_t iov;
	d_sg_list_t sgl;
};

struct world {
	struct sc sc;
	struct gobj objs[OBJ_NR];
	daos_handle_t eq[CLIENT_NR];
	struct gop ops[OP_NR];
	uint32_t busy_nr;
	uint64_t restart_ns[ENGINE_NR];
	uint64_t op_nr, punch_nr, check_nr, crash_nr;
};

static uint32_t
roll(struct world *w, uint32_t below)
{
	return (uint32_t)sim_rand_below(w->sc.sim, below);
}

/* --- operations --- */

static void
one_value(struct gop *g, uint32_t key)
{
	snprintf(g->key, sizeof(g->key), "k%u", key);
	d_iov_set(&g->dkey, g->key, strlen(g->key));
	memset(&g->iod, 0, sizeof(g->iod));
	d_iov_set(&g->iod.iod_name, (void *)"a", 1);
	g->iod.iod_type = DAOS_IOD_SINGLE;
	g->iod.iod_nr = 1;
	g->iod.iod_size = 1;
	d_iov_set(&g->iov, g->buf, 1);
	g->sgl = (d_sg_list_t){.sg_nr = 1, .sg_iovs = &g->iov};
}

static void
range(struct gop *g, uint32_t cell, uint32_t len)
{
	g->rg = (daos_range_t){.rg_idx = cell, .rg_len = len};
	g->aiod = (daos_array_iod_t){.arr_nr = 1, .arr_rgs = &g->rg};
	d_iov_set(&g->iov, g->buf, len);
	g->sgl = (d_sg_list_t){.sg_nr = 1, .sg_iovs = &g->iov};
}

static void
start_array(struct world *w, struct gop *g, daos_handle_t oh)
{
	uint32_t cell = CHUNK_CELLS * roll(w, CHUNK_NR - 1) + roll(w, CHUNK_CELLS);
	uint32_t len = 1 + roll(w, roll(w, 4) == 0 ? CHUNK_CELLS * CHUNK_NR - cell : 8);

	switch (roll(w, 8)) {
	case 0:
		SC_RC(daos_array_destroy(oh, DAOS_TX_NONE, &g->ev));
		w->punch_nr++;
		break;
	case 1:
		SC_RC(daos_array_set_size(oh, DAOS_TX_NONE, roll(w, 2) == 0 ? 0 : cell, &g->ev));
		break;
	default:
		range(g, cell, len);
		SC_RC(daos_array_write(oh, DAOS_TX_NONE, &g->aiod, &g->sgl, &g->ev));
	}
}

static void
start_keys(struct world *w, struct gop *g, daos_handle_t oh)
{
	one_value(g, roll(w, KEY_NR));
	switch (roll(w, 8)) {
	case 0:
		SC_RC(daos_obj_punch(oh, DAOS_TX_NONE, 0, &g->ev));
		w->punch_nr++;
		break;
	case 1:
		SC_RC(daos_obj_punch_dkeys(oh, DAOS_TX_NONE, 0, 1, &g->dkey, &g->ev));
		break;
	default:
		SC_RC(daos_obj_update(oh, DAOS_TX_NONE, 0, &g->dkey, 1, &g->iod, &g->sgl, &g->ev));
	}
}

static void
start(struct world *w, struct gop *g)
{
	struct gobj *o = &w->objs[roll(w, OBJ_NR)];
	uint32_t c = roll(w, CLIENT_NR);

	sc_use(&w->sc, c);
	SC_RC(daos_event_init(&g->ev, w->eq[c], NULL));
	memset(g->buf, 1, sizeof(g->buf));
	g->busy = true;
	w->busy_nr++;
	w->op_nr++;
	if (o->array)
		start_array(w, g, o->oh[c]);
	else
		start_keys(w, g, o->oh[c]);
}

static void
turn(struct world *w, uint64_t ns)
{
	daos_event_t *evs[OP_NR];

	for (uint32_t c = 0; c < CLIENT_NR; c++) {
		int nr;

		sc_use(&w->sc, c);
		nr = daos_eq_poll(w->eq[c], 0, (int64_t)(ns / CLIENT_NR / 1000), OP_NR, evs);
		for (int i = 0; i < nr; i++) {
			struct gop *g = container_of(evs[i], struct gop, ev);

			SC_RC(g->ev.ev_error);
			SC_RC(daos_event_fini(&g->ev));
			g->busy = false;
			w->busy_nr--;
		}
	}
}

/* --- faults --- */

static void
harm(struct world *w)
{
	struct sim_link link = sim_link_default;
	uint32_t node = roll(w, ENGINE_NR);

	switch (roll(w, 3)) {
	case 0:
		if (w->sc.nodes[node].engine == NULL)
			break;
		if (roll(w, 2) == 0) {
			mem_disk_stop_at(w->sc.nodes[node].disk,
					 mem_disk_writes(w->sc.nodes[node].disk) + 1 + roll(w, 20));
			break;
		}
		sc_crash(&w->sc, node);
		w->restart_ns[node] = sim_now_ns(w->sc.sim) + roll(w, 500) * SC_MS;
		w->crash_nr++;
		break;
	default:
		link.delay_max_ns = link.delay_min_ns + roll(w, 20) * SC_MS / 4;
		link.loss = (double)roll(w, 20) / 1000;
		link.dup = (double)roll(w, 20) / 1000;
		link.reorder = (double)roll(w, 200) / 1000;
		link.reorder_ns = roll(w, 10) * SC_MS;
		SC_RC(sim_net_set_link(w->sc.sn, SIM_NODE_ANY, SIM_NODE_ANY, &link));
	}
}

static void
look_after_engines(struct world *w, bool end)
{
	for (uint32_t i = 0; i < ENGINE_NR; i++) {
		struct sc_node *n = &w->sc.nodes[i];

		if (n->engine != NULL && mem_disk_stopped(n->disk)) {
			sc_crash(&w->sc, i);
			w->restart_ns[i] = sim_now_ns(w->sc.sim) + roll(w, 500) * SC_MS;
			w->crash_nr++;
		}
		if (end)
			mem_disk_stop_at(n->disk, 0);
		if (n->engine == NULL && (end || sim_now_ns(w->sc.sim) >= w->restart_ns[i]))
			sc_start(&w->sc, i);
	}
}

/* --- checks --- */

static void
wrong(struct world *w, const struct gobj *o, const char *what, uint64_t a, uint64_t b)
{
	char text[160];

	snprintf(text, sizeof(text), "object %zu (%s): %s: %" PRIu64 ", by reading all %" PRIu64,
		 (size_t)(o - w->objs), o->array ? "array" : "keys", what, a, b);
	sc_fail(__FILE__, __LINE__, text);
}

/* Read everything there could be, without asking which groups are used. Returns the array's size,
 * or how many keys there are. */
static uint64_t
read_all(struct gobj *o, daos_handle_t oh, bool there[])
{
	static struct gop g;
	uint64_t size = 0, dkey;

	memset(there, 0, KEY_NR * sizeof(there[0]));
	for (uint32_t i = 0; i < (o->array ? CHUNK_NR : KEY_NR); i++) {
		daos_recx_t recx = {.rx_nr = CHUNK_CELLS};

		memset(g.buf, 0xee, sizeof(g.buf)); /* stays in holes */
		one_value(&g, i);
		if (o->array) {
			dkey = i + 1;
			d_iov_set(&g.dkey, &dkey, sizeof(dkey));
			d_iov_set(&g.iod.iod_name, (void *)"0", 1);
			g.iod.iod_type = DAOS_IOD_ARRAY;
			g.iod.iod_recxs = &recx;
			d_iov_set(&g.iov, g.buf, CHUNK_CELLS);
		}
		SC_RC(daos_obj_fetch(oh, DAOS_TX_NONE, 0, &g.dkey, 1, &g.iod, &g.sgl, NULL, NULL));
		for (uint32_t j = 0; o->array && j < CHUNK_CELLS; j++) {
			if (g.buf[j] == 0xee)
				continue;
			there[i] = true;
			size = (uint64_t)i * CHUNK_CELLS + j + 1;
		}
		if (!o->array && g.iod.iod_size != 0) {
			there[i] = true;
			size++;
		}
	}
	return size;
}

/* Every dkey that has something is listed (also others, whose extents are punched). */
static void
check_list(struct world *w, struct gobj *o, daos_handle_t oh, const bool there[])
{
	bool listed[KEY_NR] = {false};
	daos_anchor_t anchor = {0};
	daos_key_desc_t kds[5];
	uint8_t buf[5 * 8 + 1] = {0};
	d_iov_t iov;
	d_sg_list_t sgl = {.sg_nr = 1, .sg_iovs = &iov};

	while (!daos_anchor_is_eof(&anchor)) {
		uint32_t nr = 5;
		uint8_t *p = buf;

		d_iov_set(&iov, buf, sizeof(buf) - 1);
		SC_RC(daos_obj_list_dkey(oh, DAOS_TX_NONE, &nr, kds, &sgl, &anchor, NULL));
		for (uint32_t i = 0; i < nr; p += kds[i++].kd_key_len) {
			uint64_t v = 0;

			if (o->array) {
				memcpy(&v, p, sizeof(v));
				v--;
			} else {
				v = strtoul((const char *)p + 1, NULL, 10);
			}
			SC_CHECK(v < KEY_NR);
			listed[v] = true;
		}
		memset(buf, 0, sizeof(buf));
	}
	for (uint32_t i = 0; i < KEY_NR; i++)
		if (there[i] && !listed[i])
			wrong(w, o, "a dkey is not listed", i, i);
}

static void
check_obj(struct world *w, struct gobj *o, uint32_t c)
{
	bool there[KEY_NR];
	daos_handle_t oh, raw;
	daos_size_t size;
	uint64_t all;

	sc_use(&w->sc, c);
	SC_RC(daos_obj_open(w->sc.clients[c].coh, o->oid, DAOS_OO_RW, &raw, NULL));
	all = read_all(o, raw, there);
	check_list(w, o, raw, there);
	SC_RC(daos_obj_close(raw, NULL));
	if (!o->array)
		return;
	SC_RC(daos_array_get_size(o->oh[c], DAOS_TX_NONE, &size, NULL));
	if (size != all)
		wrong(w, o, "size by a handle that was used", size, all);
	SC_RC(daos_array_open_with_attr(w->sc.clients[c].coh, o->oid, DAOS_TX_NONE, DAOS_OO_RO, 1,
					CHUNK_CELLS, &oh, NULL));
	SC_RC(daos_array_get_size(oh, DAOS_TX_NONE, &size, NULL));
	if (size != all)
		wrong(w, o, "size by a new handle", size, all);
	SC_RC(daos_array_close(oh, NULL));
}

static uint64_t
queries(struct world *w)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < ENGINE_NR; i++)
		for (uint32_t t = 0; t < TARGET_NR; t++)
			sum += w->sc.nodes[i].engine->targets[t].objs.stats.query_nr;
	return sum;
}

/* Alone: nothing may be left anywhere. */
static void
check_punch(struct world *w, struct gobj *o, uint32_t c)
{
	bool there[KEY_NR];
	daos_epoch_t epoch;
	daos_handle_t oh;
	uint64_t before, all;

	sc_use(&w->sc, c);
	SC_RC(daos_obj_open(w->sc.clients[c].coh, o->oid, DAOS_OO_RW, &oh, NULL));
	SC_RC(daos_obj_punch(oh, DAOS_TX_NONE, 0, NULL));
	all = read_all(o, oh, there);
	if (all != 0)
		wrong(w, o, "punched", 0, all);
	SC_RC(daos_obj_close(oh, NULL));
	SC_RC(daos_obj_open(w->sc.clients[c].coh, o->oid, DAOS_OO_RW, &oh, NULL));
	before = queries(w);
	SC_RC(daos_obj_query_max_epoch(oh, DAOS_TX_NONE, &epoch, NULL));
	if (queries(w) != before + 1)
		wrong(w, o, "groups left in the set", queries(w) - before, 1);
	SC_RC(daos_obj_close(oh, NULL));
}

/* --- a run --- */

static void
world_open(struct world *w)
{
	struct sc *sc = &w->sc;

	for (uint32_t c = 0; c < CLIENT_NR; c++) {
		struct sc_client *cl = &sc->clients[c];

		sc_use(sc, c);
		SC_RC(daos_pool_connect("tank", NULL, DAOS_PC_RW, &cl->poh, NULL, NULL));
		if (c == 0)
			SC_RC(daos_cont_create_with_label(cl->poh, "home", NULL, NULL, NULL));
		SC_RC(daos_cont_open(cl->poh, "home", DAOS_COO_RW, &cl->coh, NULL, NULL));
		SC_RC(daos_eq_create(&w->eq[c]));
		for (uint32_t i = 0; i < OBJ_NR; i++) {
			struct gobj *o = &w->objs[i];

			o->array = i != 0;
			o->oid = (daos_obj_id_t){.lo = i + 1};
			SC_RC(daos_obj_generate_oid(
			    cl->coh, &o->oid, o->array ? DAOS_OT_ARRAY_BYTE : DAOS_OT_MULTI_HASHED,
			    OC_SX, 0, 0));
			if (o->array)
				SC_RC(daos_array_open_with_attr(cl->coh, o->oid, DAOS_TX_NONE,
								DAOS_OO_RW, 1, CHUNK_CELLS,
								&o->oh[c], NULL));
			else
				SC_RC(daos_obj_open(cl->coh, o->oid, DAOS_OO_RW, &o->oh[c], NULL));
		}
	}
}

static void
world_close(struct world *w)
{
	for (uint32_t c = 0; c < CLIENT_NR; c++) {
		struct sc_client *cl = &w->sc.clients[c];

		sc_use(&w->sc, c);
		for (uint32_t i = 0; i < OBJ_NR; i++)
			SC_RC(w->objs[i].array ? daos_array_close(w->objs[i].oh[c], NULL)
					       : daos_obj_close(w->objs[i].oh[c], NULL));
		SC_RC(daos_eq_destroy(w->eq[c], 0));
		SC_RC(daos_cont_close(cl->coh, NULL));
		SC_RC(daos_pool_disconnect(cl->poh, NULL));
	}
}

static void
run(uint64_t seed)
{
	struct sc_conf conf = {
	    .seed = seed,
	    .engine_nr = ENGINE_NR,
	    .target_nr = TARGET_NR,
	    .client_nr = CLIENT_NR,
	    .skew_ns = 100 * SC_MS,
	};
	struct world *w = calloc(1, sizeof(*w));

	SC_CHECK(w != NULL);
	sc_open(&w->sc, &conf);
	SC_CHECK(sc_wait_replicas(&w->sc, 3, 60 * SC_SEC));
	SC_RC(sc_pool_create(&w->sc, "tank", (uint64_t)SCM_BYTES * TARGET_NR, 0));
	world_open(w);
	for (uint32_t round = 0; round < ROUND_NR; round++) {
		uint64_t until = sim_now_ns(w->sc.sim) + SC_SEC;

		while (sim_now_ns(w->sc.sim) < until) {
			for (uint32_t i = 0; i < OP_NR; i++)
				if (!w->ops[i].busy)
					start(w, &w->ops[i]);
			turn(w, SC_MS);
			look_after_engines(w, false);
			if (roll(w, 100) == 0)
				harm(w);
		}
		SC_RC(sim_net_set_link(w->sc.sn, SIM_NODE_ANY, SIM_NODE_ANY, &sim_link_default));
		look_after_engines(w, true);
		for (int i = 0; w->busy_nr > 0 && i < 60000; i++)
			turn(w, SC_MS);
		SC_CHECK(w->busy_nr == 0);
		SC_CHECK(sc_wait_joined(&w->sc, 60 * SC_SEC));
		for (uint32_t i = 0; i < OBJ_NR; i++) {
			for (uint32_t c = 0; c < CLIENT_NR; c++)
				check_obj(w, &w->objs[i], c);
			w->check_nr++;
			if (roll(w, 2) == 0)
				check_punch(w, &w->objs[i], roll(w, CLIENT_NR));
		}
	}
	printf("sim: groups: seed %#" PRIx64 ": %" PRIu64 " operations, %" PRIu64
	       " of them punches, %" PRIu64 " objects checked, %" PRIu64 " engines lost\n",
	       seed, w->op_nr, w->punch_nr, w->check_nr, w->crash_nr);
	world_close(w);
	sc_close(&w->sc);
	free(w);
}

int
main(int argc, char **argv)
{
	const char *one = getenv("SIM_SEED"), *runs = getenv("SIM_RUNS");
	const char *from = getenv("SIM_FIRST"), *longer = getenv("DAOS_TEST_LONG");
	uint64_t first = from != NULL ? strtoull(from, NULL, 0) : 1;
	uint64_t nr = longer != NULL && atoi(longer) != 0 ? 200 : 6;
	char text[200];

	if (runs != NULL)
		nr = strtoull(runs, NULL, 0);
	if (one != NULL) {
		first = strtoull(one, NULL, 0);
		nr = 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	log_set_level(LOG_LVL_NONE);
	if (getenv("D_LOG_MASK") != NULL)
		log_set_mask(getenv("D_LOG_MASK"));
	for (uint64_t seed = first; seed < first + nr; seed++) {
		snprintf(text, sizeof(text), "replay: SIM_SEED=%#" PRIx64 " %s", seed, argv[0]);
		sc_fail_hint(text);
		run(seed);
	}
	return 0;
}
