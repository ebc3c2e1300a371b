/*
 * Two tables over hash_table.c with reference counts of their own: handles with generated keys, and
 * records keyed by uuid.
 *
 * A handle key is a number that is never used again, shifted left by D_HTYPE_BITS, with the type in
 * the low bits. Types are odd, so a key differs from the address of anything aligned; with the
 * pointer type the key is the address of the link. Both kinds are looked up in the table, never
 * dereferenced: a stale handle is not found.
 */
#include <gurt/common.h>
#include <gurt/hash.h>

static struct d_rlink *
rlink_of(d_list_t *link)
{
	return container_of(link, struct d_rlink, rl_link);
}

static void
rlink_init(struct d_rlink *rlink)
{
	D_INIT_LIST_HEAD(&rlink->rl_link);
	atomic_init(&rlink->rl_ref, 1); /* the caller's */
	rlink->rl_initialized = 1;
}

static void
rlink_addref(struct d_hash_table *htable, d_list_t *link)
{
	atomic_fetch_add(&rlink_of(link)->rl_ref, 1);
}

static bool
rlink_decref(struct d_hash_table *htable, d_list_t *link)
{
	uint32_t old = atomic_fetch_sub(&rlink_of(link)->rl_ref, 1);

	D_ASSERT(old > 0);
	return old == 1;
}

static bool
rlink_linked(struct d_rlink *rlink)
{
	return rlink->rl_initialized && !d_list_empty(&rlink->rl_link);
}

/* ---- Handles ---- */

struct d_hhash {
	struct d_hash_table table;
	ATOMIC uint64_t next_nr; /* number of the next key */
	ATOMIC bool is_ptr;      /* keys are addresses */
};

static struct d_hlink *
hlink_of(d_list_t *link)
{
	return container_of(rlink_of(link), struct d_hlink, hl_link);
}

static uint32_t
hkey_hash(uint64_t key)
{
	return (uint32_t)(key >> D_HTYPE_BITS);
}

static bool
hlink_key_cmp(struct d_hash_table *htable, d_list_t *link, const void *key, unsigned int ksize)
{
	return hlink_of(link)->hl_key == *(const uint64_t *)key;
}

static void
hlink_key_init(struct d_hash_table *htable, d_list_t *link, void *arg)
{
	struct d_hhash *hhash = container_of(htable, struct d_hhash, table);
	struct d_hlink *hlink = hlink_of(link);
	int type = *(int *)arg;

	if (type == D_HTYPE_PTR)
		hlink->hl_key = (uintptr_t)hlink;
	else
		hlink->hl_key = (atomic_fetch_add(&hhash->next_nr, 1) << D_HTYPE_BITS) |
				((uint64_t)type & D_HTYPE_MASK);
}

static uint32_t
hlink_key_hash(struct d_hash_table *htable, const void *key, unsigned int ksize)
{
	return hkey_hash(*(const uint64_t *)key);
}

static uint32_t
hlink_rec_hash(struct d_hash_table *htable, d_list_t *link)
{
	return hkey_hash(hlink_of(link)->hl_key);
}

static void
hlink_free(struct d_hash_table *htable, d_list_t *link)
{
	struct d_hlink *hlink = hlink_of(link);

	if (hlink->hl_ops != NULL && hlink->hl_ops->hop_free != NULL)
		hlink->hl_ops->hop_free(hlink);
}

static d_hash_table_ops_t hhash_ops = {
    .hop_key_cmp = hlink_key_cmp,
    .hop_key_init = hlink_key_init,
    .hop_key_hash = hlink_key_hash,
    .hop_rec_hash = hlink_rec_hash,
    .hop_rec_addref = rlink_addref,
    .hop_rec_decref = rlink_decref,
    .hop_rec_free = hlink_free,
};

int
d_hhash_create(uint32_t feats, uint32_t bits, struct d_hhash **hhash)
{
	struct d_hhash *hh = d_calloc(1, sizeof(*hh));
	int rc;

	if (hh == NULL)
		return -DER_NOMEM;
	atomic_init(&hh->next_nr, 1);
	/* Keys come from an atomic counter: no lock is needed to make one. */
	rc = d_hash_table_create_inplace(feats | D_HASH_FT_NO_KEYINIT_LOCK, bits, NULL, &hhash_ops,
					 &hh->table);
	if (rc != 0) {
		d_free(hh);
		return rc;
	}
	*hhash = hh;
	return 0;
}

void
d_hhash_destroy(struct d_hhash *hhash)
{
	if (hhash == NULL)
		return;
	d_hash_table_destroy_inplace(&hhash->table, true);
	d_free(hhash);
}

int
d_hhash_set_ptrtype(struct d_hhash *hhash)
{
	if (d_hash_rec_first(&hhash->table) != NULL)
		return -DER_ALREADY;
	atomic_store(&hhash->is_ptr, true);
	return 0;
}

bool
d_hhash_is_ptrtype(struct d_hhash *hhash)
{
	return atomic_load(&hhash->is_ptr);
}

void
d_hhash_hlink_init(struct d_hlink *hlink, struct d_hlink_ops *hl_ops)
{
	hlink->hl_key = 0;
	hlink->hl_ops = hl_ops;
	rlink_init(&hlink->hl_link);
}

void
d_hhash_link_insert(struct d_hhash *hhash, struct d_hlink *hlink, int type)
{
	int rc;

	D_ASSERT(hlink->hl_link.rl_initialized);
	D_ASSERT(type == D_HTYPE_PTR || (type & 1) == 1);
	rc = d_hash_rec_insert_anonym(&hhash->table, &hlink->hl_link.rl_link, &type);
	D_ASSERT(rc == 0);
}

struct d_hlink *
d_hhash_link_lookup(struct d_hhash *hhash, uint64_t key)
{
	d_list_t *link = d_hash_rec_find(&hhash->table, &key, sizeof(key));

	return link != NULL ? hlink_of(link) : NULL;
}

void
d_hhash_link_getref(struct d_hhash *hhash, struct d_hlink *hlink)
{
	d_hash_rec_addref(&hhash->table, &hlink->hl_link.rl_link);
}

void
d_hhash_link_putref(struct d_hhash *hhash, struct d_hlink *hlink)
{
	d_hash_rec_decref(&hhash->table, &hlink->hl_link.rl_link);
}

bool
d_hhash_link_delete(struct d_hhash *hhash, struct d_hlink *hlink)
{
	return d_hash_rec_delete_at(&hhash->table, &hlink->hl_link.rl_link);
}

bool
d_hhash_link_empty(struct d_hlink *hlink)
{
	return !rlink_linked(&hlink->hl_link);
}

void
d_hhash_link_key(struct d_hlink *hlink, uint64_t *key)
{
	*key = hlink->hl_key;
}

int
d_hhash_key_type(uint64_t key)
{
	return d_hhash_key_isptr(key) ? D_HTYPE_PTR : (int)(key & D_HTYPE_MASK);
}

bool
d_hhash_key_isptr(uint64_t key)
{
	return (key & 1) == 0;
}

struct traverse_arg {
	d_hhash_traverse_cb_t cb;
	void *arg;
	int type;
};

static int
traverse_one(d_list_t *link, void *arg)
{
	struct traverse_arg *ta = arg;
	struct d_hlink *hlink = hlink_of(link);

	if (d_hhash_key_type(hlink->hl_key) != ta->type)
		return 0;
	return ta->cb(hlink, ta->arg);
}

int
d_hhash_traverse(struct d_hhash *hhash, int type, d_hhash_traverse_cb_t cb, void *arg)
{
	struct traverse_arg ta = {.cb = cb, .arg = arg, .type = type};

	if (cb == NULL)
		return -DER_INVAL;
	return d_hash_table_traverse(&hhash->table, traverse_one, &ta);
}

/* ---- Records keyed by uuid ---- */

/* What goes through the generic table's key pointer. */
struct ukey {
	struct d_uuid *uuid;
	void *cmp_args;
};

static struct d_ulink *
ulink_of(d_list_t *link)
{
	return container_of(rlink_of(link), struct d_ulink, ul_link);
}

static uint32_t
uuid_hash(const struct d_uuid *uuid)
{
	return (uint32_t)d_hash_murmur64(uuid->uuid, sizeof(uuid->uuid), 2077);
}

static bool
ulink_key_cmp(struct d_hash_table *htable, d_list_t *link, const void *key, unsigned int ksize)
{
	const struct ukey *ukey = key;
	struct d_ulink *ulink = ulink_of(link);

	if (uuid_compare(ulink->ul_uuid.uuid, ukey->uuid->uuid) != 0)
		return false;
	if (ulink->ul_ops == NULL || ulink->ul_ops->uop_cmp == NULL)
		return true;
	return ulink->ul_ops->uop_cmp(ulink, ukey->cmp_args);
}

static uint32_t
ulink_key_hash(struct d_hash_table *htable, const void *key, unsigned int ksize)
{
	return uuid_hash(((const struct ukey *)key)->uuid);
}

static uint32_t
ulink_rec_hash(struct d_hash_table *htable, d_list_t *link)
{
	return uuid_hash(&ulink_of(link)->ul_uuid);
}

static void
ulink_free(struct d_hash_table *htable, d_list_t *link)
{
	struct d_ulink *ulink = ulink_of(link);

	if (ulink->ul_ops != NULL && ulink->ul_ops->uop_free != NULL)
		ulink->ul_ops->uop_free(ulink);
}

static d_hash_table_ops_t uhash_ops = {
    .hop_key_cmp = ulink_key_cmp,
    .hop_key_hash = ulink_key_hash,
    .hop_rec_hash = ulink_rec_hash,
    .hop_rec_addref = rlink_addref,
    .hop_rec_decref = rlink_decref,
    .hop_rec_free = ulink_free,
};

int
d_uhash_create(uint32_t feats, uint32_t bits, struct d_hash_table **htable)
{
	return d_hash_table_create(feats, bits, NULL, &uhash_ops, htable);
}

void
d_uhash_destroy(struct d_hash_table *htable)
{
	if (htable != NULL)
		d_hash_table_destroy(htable, true);
}

void
d_uhash_ulink_init(struct d_ulink *ulink, struct d_ulink_ops *ul_ops)
{
	memset(&ulink->ul_uuid, 0, sizeof(ulink->ul_uuid));
	ulink->ul_ops = ul_ops;
	rlink_init(&ulink->ul_link);
}

bool
d_uhash_link_empty(struct d_ulink *ulink)
{
	return !rlink_linked(&ulink->ul_link);
}

bool
d_uhash_link_last_ref(struct d_ulink *ulink)
{
	return atomic_load(&ulink->ul_link.rl_ref) == 1;
}

void
d_uhash_link_addref(struct d_hash_table *htable, struct d_ulink *ulink)
{
	d_hash_rec_addref(htable, &ulink->ul_link.rl_link);
}

void
d_uhash_link_putref(struct d_hash_table *htable, struct d_ulink *ulink)
{
	d_hash_rec_decref(htable, &ulink->ul_link.rl_link);
}

void
d_uhash_link_delete(struct d_hash_table *htable, struct d_ulink *ulink)
{
	d_hash_rec_delete_at(htable, &ulink->ul_link.rl_link);
}

int
d_uhash_link_insert(struct d_hash_table *htable, struct d_uuid *key, void *cmp_args,
		    struct d_ulink *ulink)
{
	struct ukey ukey = {.uuid = key, .cmp_args = cmp_args};

	D_ASSERT(ulink->ul_link.rl_initialized);
	uuid_copy(ulink->ul_uuid.uuid, key->uuid);
	return d_hash_rec_insert(htable, &ukey, sizeof(ukey), &ulink->ul_link.rl_link, true);
}

struct d_ulink *
d_uhash_link_lookup(struct d_hash_table *htable, struct d_uuid *key, void *cmp_args)
{
	struct ukey ukey = {.uuid = key, .cmp_args = cmp_args};
	d_list_t *link = d_hash_rec_find(htable, &ukey, sizeof(ukey));

	return link != NULL ? ulink_of(link) : NULL;
}
