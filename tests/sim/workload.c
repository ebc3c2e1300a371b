/*
 * The workload. Operations are started with events, because the test must be able to crash and
 * restart engines while they wait; each client has an event queue, and polling it makes virtual
 * time pass. Single values are replaced, punched and read back; arrays get extents at random places
 * and are punched as a whole. A read that runs as an operation checks what it found when it ends:
 * its slot has no other operation then, so the model has exactly one answer.
 */
#include "workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"

static uint64_t
rnd(struct wl *wl, uint64_t below)
{
	return sim_rand_below(wl->sc->sim, below);
}

static void
fill(uint8_t *buf, uint32_t len, uint32_t serial)
{
	for (uint32_t i = 0; i < len; i += 8) {
		uint64_t v = hash_u64(((uint64_t)serial << 32) + i);

		memcpy(buf + i, &v, len - i < 8 ? len - i : 8);
	}
}

/* --- one operation --- */

static void
describe(struct wl_slot *s, uint32_t off, uint32_t len)
{
	if (s->kind == WL_ARRAY)
		d_iov_set(&s->dkey, &s->int_key, sizeof(s->int_key));
	else
		d_iov_set(&s->dkey, s->key, strlen(s->key));
	memset(&s->iod, 0, sizeof(s->iod));
	d_iov_set(&s->iod.iod_name, (void *)"0", 1);
	s->iod.iod_nr = 1;
	if (s->kind == WL_ARRAY) {
		s->iod.iod_type = DAOS_IOD_ARRAY;
		s->iod.iod_size = 1;
		s->recx = (daos_recx_t){.rx_idx = off, .rx_nr = len};
		s->iod.iod_recxs = &s->recx;
	} else {
		s->iod.iod_type = DAOS_IOD_SINGLE;
		s->iod.iod_size = len;
	}
	d_iov_set(&s->iov, s->buf, len);
	s->sgl = (d_sg_list_t){.sg_nr = 1, .sg_iovs = &s->iov};
}

static void
start_put(struct wl_slot *s)
{
	struct wl *wl = s->wl;
	uint32_t max = s->kind == WL_ARRAY ? WL_ARRAY_BYTES : WL_VALUE_BYTES;
	uint64_t flags = 0;

	s->off = s->kind == WL_ARRAY ? (uint32_t)rnd(wl, max) : 0;
	/* mostly small; sometimes beyond what a message carries */
	s->op_len =
	    1 + (uint32_t)rnd(wl, rnd(wl, 4) == 0 ? max - s->off
						  : (max - s->off < 900 ? max - s->off : 900));
	fill(s->buf, s->op_len, ++wl->serial);
	describe(s, s->off, s->op_len);
	/* the first value is inserted: a request that was executed must not find itself in its way
	 */
	if (s->kind == WL_SINGLE && s->len == 0) {
		flags = DAOS_COND_DKEY_INSERT;
	} else if (s->kind == WL_SINGLE && rnd(wl, 10) == 0) {
		flags = DAOS_COND_DKEY_INSERT;
		s->expect = -DER_EXIST;
	}
	SC_RC(daos_obj_update(s->oh[s->client], DAOS_TX_NONE, flags, &s->dkey, 1, &s->iod, &s->sgl,
			      &s->ev));
	wl->put_nr++;
}

static void
start_punch(struct wl_slot *s)
{
	uint64_t flags = 0;

	describe(s, 0, 1);
	if (s->kind == WL_SINGLE) {
		flags = DAOS_COND_PUNCH;
		s->expect = s->len > 0 ? 0 : -DER_NONEXIST;
	}
	SC_RC(daos_obj_punch_dkeys(s->oh[s->client], DAOS_TX_NONE, flags, 1, &s->dkey, &s->ev));
	s->wl->punch_nr++;
}

static void
start_check(struct wl_slot *s)
{
	uint32_t len = s->kind == WL_ARRAY ? WL_ARRAY_BYTES : WL_VALUE_BYTES;

	memset(s->buf, 0xee, len);
	describe(s, 0, len);
	if (s->kind == WL_SINGLE)
		s->iod.iod_size = DAOS_REC_ANY;
	SC_RC(daos_obj_fetch(s->oh[s->client], DAOS_TX_NONE, 0, &s->dkey, 1, &s->iod, &s->sgl, NULL,
			     &s->ev));
	s->wl->check_nr++;
}

static void
mismatch(const struct wl_slot *s, const char *what, uint32_t at)
{
	char text[160];

	snprintf(text, sizeof(text), "slot %u (%s, client %u): %s at byte %u", s->number,
		 s->kind == WL_ARRAY ? "array" : "single", s->client, what, at);
	sc_fail(__FILE__, __LINE__, text);
}

/* buf was filled with 0xee before the read; size is what iod_size said. */
static void
compare(const struct wl_slot *s, const uint8_t *buf, uint64_t size)
{
	if (s->kind == WL_SINGLE) {
		if (size != s->len)
			mismatch(s, size < s->len ? "value too short" : "value too long",
				 (uint32_t)size);
		if (memcmp(buf, s->model, s->len) != 0)
			mismatch(s, "wrong value", 0);
		return;
	}
	for (uint32_t i = 0; i < WL_ARRAY_BYTES; i++) {
		if (buf[i] != (s->written[i] ? s->model[i] : 0xee))
			mismatch(s, s->written[i] ? "acknowledged byte lost" : "byte from nowhere",
				 i);
	}
}

static void
finish(struct wl_slot *s)
{
	if (s->ev.ev_error != s->expect)
		sc_fail_rc(__FILE__, __LINE__, "an operation", s->ev.ev_error);
	switch (s->op) {
	case WL_PUT:
		if (s->expect != 0)
			break;
		memcpy(s->model + s->off, s->buf, s->op_len);
		if (s->kind == WL_ARRAY)
			memset(s->written + s->off, 1, s->op_len);
		else
			s->len = s->op_len;
		break;
	case WL_PUNCH:
		s->len = 0;
		if (s->kind == WL_ARRAY)
			memset(s->written, 0, WL_ARRAY_BYTES);
		break;
	case WL_CHECK:
		compare(s, s->buf, s->iod.iod_size);
		break;
	}
	SC_RC(daos_event_fini(&s->ev));
	s->busy = false;
	s->wl->busy_nr--;
	s->wl->done_nr++;
}

static void
begin(struct wl_slot *s)
{
	uint64_t dice = rnd(s->wl, 20);

	sc_use(s->wl->sc, s->client);
	SC_RC(daos_event_init(&s->ev, s->wl->eq[s->client], NULL));
	s->busy = true;
	s->expect = 0;
	s->wl->busy_nr++;
	if (dice < 3) {
		s->op = WL_PUNCH;
		start_punch(s);
	} else if (dice < 9) {
		s->op = WL_CHECK;
		start_check(s);
	} else {
		s->op = WL_PUT;
		start_put(s);
	}
}

/* --- many --- */

static void
poll_client(struct wl *wl, uint32_t client, uint64_t ns)
{
	daos_event_t *evs[16];
	int nr;

	sc_use(wl->sc, client);
	nr = daos_eq_poll(wl->eq[client], 0, (int64_t)(ns / 1000), 16, evs);
	if (nr < 0 && nr != -DER_TIMEDOUT)
		sc_fail_rc(__FILE__, __LINE__, "daos_eq_poll", nr);
	for (int i = 0; i < nr; i++)
		finish(container_of(evs[i], struct wl_slot, ev));
}

void
wl_turn(struct wl *wl, uint32_t par, uint64_t ns)
{
	uint32_t client_nr = wl->sc->conf.client_nr;

	for (uint32_t tries = 0; tries < 8 && wl->busy_nr < par; tries++) {
		struct wl_slot *s = &wl->slots[rnd(wl, wl->slot_nr)];

		if (!s->busy)
			begin(s);
	}
	for (uint32_t c = 0; c < client_nr; c++)
		poll_client(wl, c, ns / client_nr);
}

bool
wl_drain(struct wl *wl, uint64_t limit_ns)
{
	uint64_t until = sim_now_ns(wl->sc->sim) + limit_ns;

	while (wl->busy_nr > 0 && sim_now_ns(wl->sc->sim) < until) {
		for (uint32_t c = 0; c < wl->sc->conf.client_nr; c++)
			poll_client(wl, c, 10 * SC_MS);
	}
	return wl->busy_nr == 0;
}

void
wl_verify(struct wl *wl)
{
	uint8_t *buf = malloc(WL_ARRAY_BYTES);

	SC_CHECK(buf != NULL && wl->busy_nr == 0);
	for (uint32_t c = 0; c < wl->sc->conf.client_nr; c++) {
		sc_use(wl->sc, c);
		for (uint32_t i = 0; i < wl->slot_nr; i++) {
			struct wl_slot *s = &wl->slots[i];
			uint8_t *own = s->buf;

			s->buf = buf;
			memset(buf, 0xee, WL_ARRAY_BYTES);
			describe(s, 0, s->kind == WL_ARRAY ? WL_ARRAY_BYTES : WL_VALUE_BYTES);
			if (s->kind == WL_SINGLE)
				s->iod.iod_size = DAOS_REC_ANY;
			SC_RC(daos_obj_fetch(s->oh[c], DAOS_TX_NONE, 0, &s->dkey, 1, &s->iod,
					     &s->sgl, NULL, NULL));
			compare(s, buf, s->iod.iod_size);
			s->buf = own;
		}
	}
	free(buf);
}

/* --- life --- */

static void
slot_open(struct wl *wl, uint32_t number, const daos_obj_id_t *oids)
{
	struct wl_slot *s = &wl->slots[number];

	s->wl = wl;
	s->number = number;
	s->client = number % wl->sc->conf.client_nr;
	s->kind = number % 3 == 0 ? WL_ARRAY : WL_SINGLE;
	s->int_key = number;
	snprintf(s->key, sizeof(s->key), "key.%u", number);
	s->model = calloc(1, WL_ARRAY_BYTES);
	s->written = calloc(1, WL_ARRAY_BYTES);
	s->buf = calloc(1, WL_ARRAY_BYTES);
	SC_CHECK(s->model != NULL && s->written != NULL && s->buf != NULL);
	for (uint32_t c = 0; c < wl->sc->conf.client_nr; c++) {
		sc_use(wl->sc, c);
		SC_RC(daos_obj_open(wl->sc->clients[c].coh,
				    oids[s->kind == WL_ARRAY ? 0 : 1 + number % 2], DAOS_OO_RW,
				    &s->oh[c], NULL));
	}
}

void
wl_open(struct wl *wl, struct sc *sc, const char *pool, bool replicated)
{
	static const struct {
		enum daos_otype_t type;
		daos_oclass_id_t plain, replicated;
	} objs[3] = {
	    {DAOS_OT_ARRAY_BYTE, OC_SX, OC_RP_2GX},
	    {DAOS_OT_MULTI_HASHED, OC_SX, OC_RP_3GX},
	    {DAOS_OT_MULTI_HASHED, OC_S1, OC_RP_2G1},
	};
	daos_obj_id_t oids[3] = {{.lo = 1}, {.lo = 2}, {.lo = 3}};

	memset(wl, 0, sizeof(*wl));
	wl->sc = sc;
	for (uint32_t c = 0; c < sc->conf.client_nr; c++) {
		struct sc_client *cl = &sc->clients[c];

		sc_use(sc, c);
		SC_RC(daos_pool_connect(pool, NULL, DAOS_PC_RW, &cl->poh, NULL, NULL));
		if (c == 0)
			SC_RC(daos_cont_create_with_label(cl->poh, "home", NULL, NULL, NULL));
		SC_RC(daos_cont_open(cl->poh, "home", DAOS_COO_RW, &cl->coh, NULL, NULL));
		SC_RC(daos_eq_create(&wl->eq[c]));
	}
	sc_use(sc, 0);
	for (int i = 0; i < 3; i++)
		SC_RC(daos_obj_generate_oid(sc->clients[0].coh, &oids[i], objs[i].type,
					    replicated ? objs[i].replicated : objs[i].plain, 0, 0));
	wl->slot_nr = WL_SLOTS * sc->conf.client_nr;
	wl->slots = calloc(wl->slot_nr, sizeof(*wl->slots));
	SC_CHECK(wl->slots != NULL);
	for (uint32_t i = 0; i < wl->slot_nr; i++)
		slot_open(wl, i, oids);
}

void
wl_close(struct wl *wl)
{
	for (uint32_t c = 0; c < wl->sc->conf.client_nr; c++) {
		struct sc_client *cl = &wl->sc->clients[c];

		sc_use(wl->sc, c);
		for (uint32_t i = 0; i < wl->slot_nr; i++)
			SC_RC(daos_obj_close(wl->slots[i].oh[c], NULL));
		SC_RC(daos_eq_destroy(wl->eq[c], 0));
		SC_RC(daos_cont_close(cl->coh, NULL));
		SC_RC(daos_pool_disconnect(cl->poh, NULL));
	}
	for (uint32_t i = 0; i < wl->slot_nr; i++) {
		free(wl->slots[i].model);
		free(wl->slots[i].written);
		free(wl->slots[i].buf);
	}
	free(wl->slots);
}
