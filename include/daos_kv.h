/*
 * Key-value objects: a string key, one value of any bytes under it. Object types DAOS_OT_KV_*.
 */
#ifndef DAOS_KV_H
#define DAOS_KV_H

#include <daos_types.h>
#include <daos_obj.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

/** Conditions; -DER_EXIST or -DER_NONEXIST when they do not hold. */
#define DAOS_COND_KEY_INSERT DAOS_COND_DKEY_INSERT
#define DAOS_COND_KEY_UPDATE DAOS_COND_DKEY_UPDATE
#define DAOS_COND_KEY_GET    DAOS_COND_DKEY_FETCH
#define DAOS_COND_KEY_REMOVE DAOS_COND_PUNCH

int daos_kv_open(daos_handle_t coh, daos_obj_id_t oid, unsigned int mode, daos_handle_t *oh,
		 daos_event_t *ev);
int daos_kv_close(daos_handle_t oh, daos_event_t *ev);

/** Punch the whole object; the handle stays open. */
int daos_kv_destroy(daos_handle_t oh, daos_handle_t th, daos_event_t *ev);
int daos_kv_put(daos_handle_t oh, daos_handle_t th, uint64_t flags, const char *key,
		daos_size_t size, const void *buf, daos_event_t *ev);

/**
 * Read a value.
 *
 * \param size	in: room in buf; out: size of the value, 0 when the key is absent
 * \param buf	NULL asks for the size only
 *
 * \return	0; -DER_REC2BIG with *size set when the value does not fit
 */
int daos_kv_get(daos_handle_t oh, daos_handle_t th, uint64_t flags, const char *key,
		daos_size_t *size, void *buf, daos_event_t *ev);
int daos_kv_remove(daos_handle_t oh, daos_handle_t th, uint64_t flags, const char *key,
		   daos_event_t *ev);

/** List keys, as daos_obj_list_dkey() does. */
int daos_kv_list(daos_handle_t oh, daos_handle_t th, uint32_t *nr, daos_key_desc_t *kds,
		 d_sg_list_t *sgl, daos_anchor_t *anchor, daos_event_t *ev);

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* DAOS_KV_H */
