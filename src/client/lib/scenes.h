/*
 * What any system must do for its clients, through the public interface: run against the fake
 * system (test_client.c) and against real engines (tests/api).
 */
#ifndef CLIENT_SCENES_H
#define CLIENT_SCENES_H

#include <daos.h>

/* The pool and container the scenes play in, set by the test program for each. */
struct scene {
	daos_handle_t poh;
	daos_handle_t coh; /* open for writing, called "home" */
	uint32_t target_nr;
};
extern struct scene scene;

/* An update or fetch of one akey. */
struct scene_io {
	daos_key_t dkey;
	daos_iod_t iod;
	daos_recx_t recx;
	d_iov_t iov;
	d_sg_list_t sgl;
};
void scene_one_single(struct scene_io *o, const char *dkey, const char *akey, void *buf,
		      size_t size);
void scene_one_array(struct scene_io *o, const char *dkey, const char *akey, uint64_t idx,
		     void *buf, size_t nr);
int scene_put(daos_handle_t oh, struct scene_io *o, uint64_t flags);
int scene_get(daos_handle_t oh, struct scene_io *o, uint64_t flags);

/* A new object, open. */
daos_handle_t scene_open_obj(enum daos_otype_t type, daos_oclass_id_t cid);
/* Bytes that differ by place and seed. */
void scene_fill(uint8_t *buf, size_t len, uint32_t seed);
/* Write or read bytes of an array; *ret_short: cells beyond its end. */
void scene_array_rw(daos_handle_t oh, bool write, uint64_t idx, uint64_t len, uint8_t *buf,
		    uint64_t *ret_short);

/* --- the scenes, as cmocka tests --- */

void scene_pool(void **state);
void scene_cont_list(void **state);
void scene_attrs(void **state);
void scene_props(void **state);
void scene_oid(void **state);
void scene_single(void **state);
void scene_conditions(void **state);
void scene_array_values(void **state);
void scene_large(void **state);
void scene_array_scattered(void **state);
void scene_multi(void **state);
void scene_lists(void **state);
void scene_recx_and_query(void **state);
void scene_kv(void **state);
void scene_array(void **state);
void scene_array_ranges(void **state);
void scene_eq(void **state);
void scene_event_parent(void **state);
void scene_tasks(void **state);
void scene_nosys(void **state);

/* clang-format off */
#define SCENES(X) \
	X(scene_pool) \
	X(scene_cont_list) \
	X(scene_attrs) \
	X(scene_props) \
	X(scene_oid) \
	X(scene_single) \
	X(scene_conditions) \
	X(scene_array_values) \
	X(scene_large) \
	X(scene_array_scattered) \
	X(scene_multi) \
	X(scene_lists) \
	X(scene_recx_and_query) \
	X(scene_kv) \
	X(scene_array) \
	X(scene_array_ranges) \
	X(scene_eq) \
	X(scene_event_parent) \
	X(scene_tasks) \
	X(scene_nosys)
/* clang-format on */

#endif
