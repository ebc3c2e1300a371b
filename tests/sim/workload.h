/*
 * What clients do to a cluster while it is tormented, and the model that says what they must find.
 * Each slot is one dkey that one client changes, one operation at a time; what was acknowledged
 * must be read ever after, by everybody.
 */
#ifndef SIM_WORKLOAD_H
#define SIM_WORKLOAD_H

#include "cluster.h"

enum {
	WL_SLOTS = 24, /* per client */
	WL_ARRAY_BYTES = 96 * 1024,
	WL_VALUE_BYTES = 40 * 1024,
};

enum wl_kind {
	WL_SINGLE, /* a single value, hashed key */
	WL_ARRAY,  /* byte extents, integer dkey */
};

struct wl_slot {
	struct wl *wl;
	uint32_t client;
	uint32_t number; /* of all */
	enum wl_kind kind;
	daos_handle_t oh[SC_CLIENTS_MAX]; /* open by every client */
	char key[24];
	uint64_t int_key;
	/* what must be there */
	uint8_t *model;
	uint32_t len;     /* single: of the value, 0 = none */
	uint8_t *written; /* array: which bytes are there */
	/* the operation under way */
	bool busy;
	enum wl_op { WL_PUT, WL_PUNCH, WL_CHECK } op;
	uint32_t off, op_len;
	int expect; /* how it must end */
	uint8_t *buf;
	daos_event_t ev;
	daos_key_t dkey;
	daos_iod_t iod;
	daos_recx_t recx;
	d_iov_t iov;
	d_sg_list_t sgl;
};

struct wl {
	struct sc *sc;
	struct wl_slot *slots;
	uint32_t slot_nr;
	daos_handle_t eq[SC_CLIENTS_MAX];
	uint32_t busy_nr;
	uint64_t done_nr, put_nr, check_nr, punch_nr;
	uint32_t serial; /* makes every value different */
};

/* Connects every client to the pool, makes and opens the container, opens the objects; replicated:
 * of classes with two and three copies. */
void wl_open(struct wl *wl, struct sc *sc, const char *pool, bool replicated);
/* Closes everything; nothing may be under way. */
void wl_close(struct wl *wl);
/* Start operations on idle slots (up to par under way), then let this much virtual time pass and
 * take what ended. */
void wl_turn(struct wl *wl, uint32_t par, uint64_t ns);
/* Let everything under way end. False after limit_ns. */
bool wl_drain(struct wl *wl, uint64_t limit_ns);
/* Every client reads everything and compares. */
void wl_verify(struct wl *wl);

#endif
