/*
 * Opening and closing objects, and finding the targets of a group.
 *
 * Opening makes no request: the id says class and type, the pool map where the shards are. The
 * places of a group's shards are computed at its first use and remembered with the map they were
 * computed from; a new map starts an empty layout. A place is one word, written by whoever computes
 * it first: everybody computes the same.
 */
#define LOG_FACILITY "object"

#include <stdlib.h>
#include <string.h>

#include "client/event/event.h"
#include "client/object/obj_internal.h"
#include "client/object/obj_layout.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

/* --- life --- */

struct obj *
obj_ref(struct obj *obj)
{
	atomic_fetch_add_explicit(&obj->refs, 1, memory_order_relaxed);
	return obj;
}

void
obj_unref(struct obj *obj)
{
	if (obj == NULL || atomic_fetch_sub_explicit(&obj->refs, 1, memory_order_acq_rel) != 1)
		return;
	obj_layout_put(obj->layout);
	cont_unref(obj->cont);
	pthread_mutex_destroy(&obj->lock);
	free(obj);
}

static void
obj_hdl_free(void *arg)
{
	obj_unref(arg);
}

struct obj *
obj_hdl_get(struct client *client, daos_handle_t oh)
{
	return handle_get(client_handles(client), oh, DAOS_HTYPE_OBJ);
}

void
obj_hdl_put(struct client *client, daos_handle_t oh)
{
	handle_put(client_handles(client), oh);
}

int
obj_open(struct cont *cont, daos_obj_id_t oid, uint32_t mode, struct obj **ret_obj)
{
	struct pool_map *map = pool_cur_map(cont->pool);
	struct oclass_shape shape;
	struct obj *obj;
	int rc;

	rc = oclass_shape(map, daos_obj_id2class(oid), cont->redun_lvl == DAOS_PROP_CO_REDUN_RANK,
			  &shape);
	pool_map_put(map);
	if (rc != 0)
		return rc;
	if (shape.parity_nr > 0) {
		log_err("object %016lx.%016lx: class 0x%x is not available yet: no erasure code",
			oid.hi, oid.lo, daos_obj_id2class(oid));
		return -DER_NOSYS;
	}
	obj = mem_new(struct obj);
	if (obj == NULL)
		return -DER_NOMEM;
	atomic_init(&obj->refs, 1);
	pthread_mutex_init(&obj->lock, NULL);
	obj->client = cont->client;
	obj->cont = cont_ref(cont);
	obj->oid = oid;
	obj->mode = mode;
	obj->shape = shape;
	*ret_obj = obj;
	return 0;
}

int
obj_check_writable(const struct obj *obj)
{
	bool cont_rw = (obj->cont->flags & (DAOS_COO_RW | DAOS_COO_EX)) != 0;

	return cont_rw && !(obj->mode & DAOS_OO_RO) ? 0 : -DER_NO_PERM;
}

int
obj_check_tx(daos_handle_t th)
{
	return daos_handle_is_inval(th) ? 0 : -DER_NO_HDL;
}

int
daos_obj_open(daos_handle_t coh, daos_obj_id_t oid, unsigned int mode, daos_handle_t *oh,
	      daos_event_t *ev)
{
	struct client *client = client_default();
	struct cont *cont;
	struct obj *obj;
	int rc;

	if (client == NULL)
		return -DER_UNINIT;
	if (oh == NULL)
		return -DER_INVAL;
	cont = cont_hdl_get(client, coh);
	if (cont == NULL)
		return op_done(ev, -DER_NO_HDL);
	rc = obj_open(cont, oid, mode, &obj);
	cont_hdl_put(client, coh);
	if (rc == 0) {
		rc = handle_add(client_handles(client), DAOS_HTYPE_OBJ, obj, obj_hdl_free, oh);
		if (rc != 0)
			obj_unref(obj);
	}
	return op_done(ev, rc);
}

int
daos_obj_close(daos_handle_t oh, daos_event_t *ev)
{
	struct client *client = client_default();

	if (client == NULL)
		return -DER_UNINIT;
	return op_done(ev, handle_close(client_handles(client), oh, DAOS_HTYPE_OBJ));
}

/* --- layout --- */

struct obj_layout {
	_Atomic uint32_t refs;
	struct pool_map *map;      /* counted */
	_Atomic uint64_t places[]; /* per shard, 0 = not computed */
};

/* A computed place: rank, target index within the rank, and flags. */
#define PLACE_SET           1ull
#define PLACE_ABSENT        2ull
#define PLACE_OF(rank, idx) (((uint64_t)(rank) << 32) | ((uint64_t)(idx) << 2) | PLACE_SET)

struct pool_map *
obj_layout_map(const struct obj_layout *layout)
{
	return layout->map;
}

void
obj_layout_put(struct obj_layout *layout)
{
	if (layout == NULL ||
	    atomic_fetch_sub_explicit(&layout->refs, 1, memory_order_acq_rel) != 1)
		return;
	pool_map_put(layout->map);
	free(layout);
}

static int
layout_create(struct obj *obj, struct obj_layout **ret_layout)
{
	size_t shard_nr = (size_t)obj->shape.group_nr * obj->shape.group_size;
	struct obj_layout *layout =
	    mem_calloc(1, sizeof(*layout) + shard_nr * sizeof(layout->places[0]));

	if (layout == NULL)
		return -DER_NOMEM;
	atomic_init(&layout->refs, 1);
	layout->map = pool_cur_map(obj->cont->pool);
	*ret_layout = layout;
	return 0;
}

int
obj_layout_get(struct obj *obj, struct obj_layout **ret_layout)
{
	uint32_t ver = atomic_load_explicit(&obj->cont->pool->map_ver, memory_order_acquire);
	struct obj_layout *layout, *made;
	int rc = 0;

	pthread_mutex_lock(&obj->lock);
	layout = obj->layout;
	if (layout == NULL || pool_map_version(layout->map) < ver) {
		rc = layout_create(obj, &made);
		if (rc == 0) {
			obj->layout = made;
			obj_layout_put(layout);
			layout = made;
		}
	}
	if (rc == 0) {
		atomic_fetch_add_explicit(&layout->refs, 1, memory_order_relaxed);
		*ret_layout = layout;
	}
	pthread_mutex_unlock(&obj->lock);
	return rc;
}

/* Compute the places of a whole group. */
static int
layout_fill(const struct obj *obj, struct obj_layout *layout, uint32_t group)
{
	struct place_shard shards[PLACE_SHARD_MAX];
	uint32_t size = obj->shape.group_size;
	int rc;

	rc = place_group(layout->map, obj->oid, &obj->shape, group, shards);
	if (rc != 0)
		return rc;
	for (uint32_t i = 0; i < size; i++) {
		const struct map_target *target =
		    pool_map_target_find(layout->map, shards[i].target_id);
		uint64_t place;

		if (target == NULL)
			return -DER_NONEXIST;
		place = PLACE_OF(target->rank, target->index);
		if (shards[i].absent)
			place |= PLACE_ABSENT;
		atomic_store_explicit(&layout->places[group * size + i], place,
				      memory_order_relaxed);
	}
	return 0;
}

int
obj_layout_target(const struct obj *obj, struct obj_layout *layout, uint32_t group, uint32_t member,
		  struct obj_target *ret_target)
{
	_Atomic uint64_t *at = &layout->places[group * obj->shape.group_size + member];
	uint64_t place = atomic_load_explicit(at, memory_order_relaxed);

	if (place == 0) {
		int rc = layout_fill(obj, layout, group);

		if (rc != 0)
			return rc;
		place = atomic_load_explicit(at, memory_order_relaxed);
	}
	ret_target->rank = (uint32_t)(place >> 32);
	ret_target->index = (uint32_t)place >> 2;
	ret_target->absent = (place & PLACE_ABSENT) != 0;
	return 0;
}

/* --- keys --- */

uint32_t
obj_group_of(const struct obj *obj, const daos_key_t *dkey)
{
	if (obj->shape.group_nr == 1)
		return 0;
	return place_dkey_group(obj->oid, &obj->shape, dkey->iov_buf, dkey->iov_len);
}

uint32_t
obj_leader_of(const struct obj *obj, const daos_key_t *dkey)
{
	return place_leader(obj->oid, &obj->shape, dkey != NULL ? dkey->iov_buf : NULL,
			    dkey != NULL ? dkey->iov_len : 0);
}

static int
check_key(const daos_key_t *key, bool integer)
{
	if (key == NULL || key->iov_buf == NULL || key->iov_len == 0)
		return -DER_INVAL;
	if (key->iov_len > OBJ_KEY_MAX)
		return -DER_KEY2BIG;
	return integer && key->iov_len != sizeof(uint64_t) ? -DER_INVAL : 0;
}

int
obj_check_dkey(const struct obj *obj, const daos_key_t *dkey)
{
	return check_key(dkey, daos_is_dkey_uint64(obj->oid));
}

int
obj_check_akey(const struct obj *obj, const daos_key_t *akey)
{
	return check_key(akey, daos_is_akey_uint64(obj->oid));
}
