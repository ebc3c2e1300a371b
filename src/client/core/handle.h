/*
 * Handles: 64-bit cookies given to applications, and the objects behind them.
 *
 * Cookie: bits 0-3 the type (DAOS_HTYPE_*), 4-31 the slot, 32-63 the slot's generation, so that a
 * cookie used after its close is recognised as such. Looking one up pins the object: it stays until
 * handle_put(), whoever closes the handle meanwhile. Lookup and put take no lock.
 */
#ifndef CLIENT_HANDLE_H
#define CLIENT_HANDLE_H

#include <stdint.h>
#include <daos_types.h>

struct handle_tbl;

/* Called once, when the handle is closed and nobody uses the object any more. */
typedef void (*handle_free_t)(void *obj);

/* gen: generation the slots start with; any number, better a random one. */
int handle_tbl_create(uint32_t gen, struct handle_tbl **ret_tbl);
/* Frees the objects of handles still open. Nobody may be using the table. */
void handle_tbl_destroy(struct handle_tbl *tbl);

/* A handle for obj. -DER_NOMEM; then obj stays the caller's. */
int handle_add(struct handle_tbl *tbl, uint32_t type, void *obj, handle_free_t free_fn,
	       daos_handle_t *ret_hdl);
/* The object, pinned; NULL when hdl is not an open handle of that type. */
void *handle_get(struct handle_tbl *tbl, daos_handle_t hdl, uint32_t type);
void handle_put(struct handle_tbl *tbl, daos_handle_t hdl);
/* From now on lookups fail. The object is freed with the last pin, perhaps here. -DER_NO_HDL. */
int handle_close(struct handle_tbl *tbl, daos_handle_t hdl, uint32_t type);
/* Handles open. */
uint32_t handle_nr(const struct handle_tbl *tbl);

#endif
