/*
 * Pools of prepared objects, see gurt/slab.h. A released object waits on the pending list until
 * d_slab_restock() resets it, or until an acquire finds nothing better.
 */
#include <gurt/common.h>
#include <gurt/slab.h>

static d_list_t *
link_of(struct d_slab_type *type, void *desc)
{
	return (d_list_t *)((char *)desc + type->st_reg.sr_offset);
}

static void *
desc_of(struct d_slab_type *type, d_list_t *link)
{
	return (char *)link - type->st_reg.sr_offset;
}

static void
desc_free_locked(struct d_slab_type *type, void *desc)
{
	if (type->st_reg.sr_release != NULL)
		type->st_reg.sr_release(desc);
	type->st_release_count++;
	type->st_count--;
	d_free(desc);
}

/* Reset an object; one that cannot be is freed and NULL returned. */
static void *
desc_reset_locked(struct d_slab_type *type, void *desc)
{
	type->st_reset_count++;
	if (type->st_reg.sr_reset == NULL || type->st_reg.sr_reset(desc))
		return desc;
	desc_free_locked(type, desc);
	return NULL;
}

static void *
desc_new_locked(struct d_slab_type *type)
{
	void *desc;

	if (type->st_reg.sr_max_desc != 0 && type->st_count >= type->st_reg.sr_max_desc)
		return NULL;
	desc = d_calloc(1, (size_t)type->st_reg.sr_size);
	if (desc == NULL)
		return NULL;
	D_INIT_LIST_HEAD(link_of(type, desc));
	type->st_count++;
	type->st_init_count++;
	if (type->st_reg.sr_init != NULL)
		type->st_reg.sr_init(desc, type->st_arg);
	return desc_reset_locked(type, desc);
}

static void *
list_pop(struct d_slab_type *type, d_list_t *list, int *count)
{
	d_list_t *link;

	if (d_list_empty(list))
		return NULL;
	link = list->next;
	d_list_del_init(link);
	(*count)--;
	return desc_of(type, link);
}

static void
free_put_locked(struct d_slab_type *type, void *desc)
{
	d_list_add(link_of(type, desc), &type->st_free_list);
	type->st_free_count++;
}

int
d_slab_init(struct d_slab *slab, void *arg)
{
	int rc;

	rc = D_MUTEX_INIT(&slab->slab_lock, NULL);
	if (rc != 0)
		return rc;
	D_INIT_LIST_HEAD(&slab->slab_list);
	slab->slab_arg = arg;
	slab->slab_init = true;
	return 0;
}

int
d_slab_register(struct d_slab *slab, struct d_slab_reg *reg, void *arg, struct d_slab_type **type)
{
	struct d_slab_type *t;
	void *desc;
	int rc;

	if (!slab->slab_init || reg == NULL || type == NULL || reg->sr_offset < 0 ||
	    reg->sr_size < reg->sr_offset + (int)sizeof(d_list_t))
		return -DER_INVAL;
	t = d_calloc(1, sizeof(*t));
	if (t == NULL)
		return -DER_NOMEM;
	rc = D_MUTEX_INIT(&t->st_lock, NULL);
	if (rc != 0) {
		d_free(t);
		return rc;
	}
	t->st_reg = *reg;
	t->st_slab = slab;
	t->st_arg = arg != NULL ? arg : slab->slab_arg;
	D_INIT_LIST_HEAD(&t->st_free_list);
	D_INIT_LIST_HEAD(&t->st_pending_list);

	/* One object now shows whether the type works at all. */
	desc = desc_new_locked(t);
	if (desc == NULL) {
		pthread_mutex_destroy(&t->st_lock);
		d_free(t);
		return -DER_INVAL;
	}
	free_put_locked(t, desc);
	pthread_mutex_lock(&slab->slab_lock);
	d_list_add_tail(&t->st_type_list, &slab->slab_list);
	pthread_mutex_unlock(&slab->slab_lock);
	*type = t;
	return 0;
}

void *
d_slab_acquire(struct d_slab_type *type)
{
	void *desc;

	pthread_mutex_lock(&type->st_lock);
	type->st_no_restock++;
	type->st_no_restock_hwm = MAX(type->st_no_restock_hwm, type->st_no_restock);
	desc = list_pop(type, &type->st_free_list, &type->st_free_count);
	while (desc == NULL && !d_list_empty(&type->st_pending_list)) {
		type->st_op_reset++;
		desc = desc_reset_locked(
		    type, list_pop(type, &type->st_pending_list, &type->st_pending_count));
	}
	if (desc == NULL) {
		type->st_op_init++;
		desc = desc_new_locked(type);
	}
	pthread_mutex_unlock(&type->st_lock);
	return desc;
}

void
d_slab_release(struct d_slab_type *type, void *desc)
{
	pthread_mutex_lock(&type->st_lock);
	d_list_add_tail(link_of(type, desc), &type->st_pending_list);
	type->st_pending_count++;
	pthread_mutex_unlock(&type->st_lock);
}

void
d_slab_restock(struct d_slab_type *type)
{
	int max_free = type->st_reg.sr_max_free_desc;
	void *desc;

	pthread_mutex_lock(&type->st_lock);
	type->st_no_restock = 0;
	while ((desc = list_pop(type, &type->st_pending_list, &type->st_pending_count)) != NULL) {
		if (max_free != 0 && type->st_free_count >= max_free) {
			desc_free_locked(type, desc);
			continue;
		}
		desc = desc_reset_locked(type, desc);
		if (desc != NULL)
			free_put_locked(type, desc);
	}
	if (type->st_free_count == 0 && type->st_reg.sr_max_desc == 0) {
		desc = desc_new_locked(type);
		if (desc != NULL)
			free_put_locked(type, desc);
	}
	pthread_mutex_unlock(&type->st_lock);
}

bool
d_slab_reclaim(struct d_slab *slab)
{
	struct d_slab_type *type;
	bool in_use = false;
	void *desc;

	pthread_mutex_lock(&slab->slab_lock);
	d_list_for_each_entry (type, &slab->slab_list, st_type_list) {
		pthread_mutex_lock(&type->st_lock);
		while ((desc = list_pop(type, &type->st_pending_list, &type->st_pending_count)) !=
		       NULL)
			desc_free_locked(type, desc);
		while ((desc = list_pop(type, &type->st_free_list, &type->st_free_count)) != NULL)
			desc_free_locked(type, desc);
		if (type->st_count > 0) {
			D_INFO("%d objects of type %s are in use\n", type->st_count,
			       type->st_reg.sr_name);
			in_use = true;
		}
		pthread_mutex_unlock(&type->st_lock);
	}
	pthread_mutex_unlock(&slab->slab_lock);
	return in_use;
}

void
d_slab_destroy(struct d_slab *slab)
{
	struct d_slab_type *type;

	if (!slab->slab_init)
		return;
	if (d_slab_reclaim(slab))
		D_WARN("a slab is destroyed with objects in use\n");
	while ((type = d_list_pop_entry(&slab->slab_list, struct d_slab_type, st_type_list)) !=
	       NULL) {
		pthread_mutex_destroy(&type->st_lock);
		d_free(type);
	}
	pthread_mutex_destroy(&slab->slab_lock);
	slab->slab_init = false;
}
