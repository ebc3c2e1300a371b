/*
 * Pools of prepared objects: acquiring one on a critical path costs a list operation, preparing
 * happens elsewhere, in d_slab_restock().
 */
#ifndef GURT_SLAB_H
#define GURT_SLAB_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include <gurt/list.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

/** A type of object. */
struct d_slab_reg {
	/** Once for a new (zeroed) object; handle is the type's arg. Optional. */
	void (*sr_init)(void *desc, void *handle);
	/** Make an object ready for use, also after an earlier use; false: it cannot be. Optional.
	 */
	bool (*sr_reset)(void *desc);
	/** Before an object is freed. Optional. */
	void (*sr_release)(void *desc);
	char *sr_name;
	int sr_size;          /* bytes of an object */
	int sr_offset;        /* of a d_list_t in it that is the pool's between uses */
	int sr_max_desc;      /* most objects at a time, 0: no limit */
	int sr_max_free_desc; /* most kept unused, 0: no limit */
};

/** For the designated initialiser of a struct d_slab_reg: objects of this struct and member. */
#define POOL_TYPE_INIT(itype, imember)                                                             \
	.sr_size = sizeof(struct itype), .sr_offset = offsetof(struct itype, imember),             \
	.sr_name = #itype,

struct d_slab_type {
	struct d_slab_reg st_reg;
	d_list_t st_type_list;    /* in the manager */
	d_list_t st_free_list;    /* ready for use */
	d_list_t st_pending_list; /* to be reset */
	pthread_mutex_t st_lock;
	struct d_slab *st_slab;
	void *st_arg;

	int st_count; /* objects that exist */
	int st_free_count;
	int st_pending_count;

	/* Statistics: calls so far; those made in d_slab_acquire(); acquires without a restock. */
	int st_init_count;
	int st_reset_count;
	int st_release_count;
	int st_op_init;
	int st_op_reset;
	int st_no_restock;
	int st_no_restock_hwm;
};

struct d_slab {
	d_list_t slab_list;
	void *slab_arg;
	pthread_mutex_t slab_lock;
	bool slab_init;
};

int d_slab_init(struct d_slab *slab, void *arg) __attribute__((warn_unused_result, nonnull(1)));

/** All objects must have been released. */
void d_slab_destroy(struct d_slab *slab);

/** Register a type; arg (NULL: the manager's) goes to sr_init. */
int d_slab_register(struct d_slab *slab, struct d_slab_reg *reg, void *arg,
		    struct d_slab_type **type);

/** An object ready for use; NULL at the limit or out of memory. */
void *d_slab_acquire(struct d_slab_type *type);
void d_slab_release(struct d_slab_type *type, void *desc);

/** Reset what was released, and have at least one object ready. */
void d_slab_restock(struct d_slab_type *type);

/** Free all unused objects of all types; true if some are still in use. */
bool d_slab_reclaim(struct d_slab *slab) __attribute__((warn_unused_result, nonnull));

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* GURT_SLAB_H */
