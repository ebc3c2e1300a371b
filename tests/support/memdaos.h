/*
 * A double of libdaos in memory: the object interface as libdfs and libduns use it, without a
 * system behind it. Linked in place of libdaos by their unit tests.
 *
 * It is the plainest thing with the right meaning: one lock around everything, only the newest
 * version of each value, no redundancy. What tests need besides: the number of calls of each kind,
 * a hook before each call (to fail it, or to do something else at that very moment), operations
 * with an event that run only when polled, short pages of listings, handles left open.
 */
#ifndef TESTS_MEMDAOS_H
#define TESTS_MEMDAOS_H

#include <stdbool.h>
#include <stdint.h>

#include <daos.h>

enum mem_op {
	MEM_OP_POOL,
	MEM_OP_CONT, /* open, create, properties, ... */
	MEM_OP_ALLOC_OIDS,
	MEM_OP_FETCH,
	MEM_OP_UPDATE,
	MEM_OP_PUNCH_OBJ,
	MEM_OP_PUNCH_DKEYS,
	MEM_OP_PUNCH_AKEYS,
	MEM_OP_LIST_DKEY,
	MEM_OP_LIST_AKEY,
	MEM_OP_MAX_EPOCH,
	MEM_OP_ARRAY_READ,
	MEM_OP_ARRAY_WRITE,
	MEM_OP_ARRAY_PUNCH,
	MEM_OP_ARRAY_SIZE, /* size and stat */
	MEM_OP_ARRAY_SET_SIZE,
	MEM_OP_NR,
};

/* A new, empty world with one pool; the old one must have no open handles. */
void memdaos_reset(const char *pool_label);

/* Handles that are open. */
uint32_t memdaos_handles(void);

/* Calls since the last reset of the counts. */
uint32_t memdaos_count(enum mem_op op);
uint32_t memdaos_count_all(void); /* but for pool and container calls */
void memdaos_count_reset(void);

/* Called before each operation, without any lock; a result other than 0 fails it. NULL: none. */
typedef int (*memdaos_hook_t)(enum mem_op op, void *arg);
void memdaos_set_hook(memdaos_hook_t hook, void *arg);

/* Operations with an event run when somebody polls. */
void memdaos_set_deferred(bool on);

/* Most keys of one page of a listing, 0: no limit; pages without a key in between. */
void memdaos_set_page(uint32_t max_keys, bool empty_pages);

/* Number of redundancy groups that "as many as there is room for" means. */
void memdaos_set_groups(uint32_t nr);

/* Objects of this class cannot be opened; 0: all can. */
void memdaos_refuse_class(daos_oclass_id_t cid);

/* Objects that have something in them. */
uint32_t memdaos_objects(daos_handle_t coh);
/* Does an object have anything in it? */
bool memdaos_object_exists(daos_handle_t coh, daos_obj_id_t oid);

#endif
