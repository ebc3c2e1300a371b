/*
 * Hash tables: every lock feature, reference rules of ordinary and ephemeral tables, LRU, handle
 * and uuid tables, threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <gurt/common.h>
#include <gurt/hash.h>

struct rec {
	d_list_t link;
	ATOMIC int ref;
	int key;
};

static ATOMIC int freed_nr;

static struct rec *
rec_of(d_list_t *link)
{
	return container_of(link, struct rec, link);
}

static bool
rec_cmp(struct d_hash_table *ht, d_list_t *link, const void *key, unsigned int ksize)
{
	return rec_of(link)->key == *(const int *)key;
}

static void
rec_key_init(struct d_hash_table *ht, d_list_t *link, void *arg)
{
	rec_of(link)->key = (*(int *)arg)++;
}

static uint32_t
rec_hash(struct d_hash_table *ht, d_list_t *link)
{
	return d_hash_string_u32((const char *)&rec_of(link)->key, sizeof(int));
}

static void
rec_add(struct d_hash_table *ht, d_list_t *link)
{
	atomic_fetch_add(&rec_of(link)->ref, 1);
}

static bool
rec_dec(struct d_hash_table *ht, d_list_t *link)
{
	int old = atomic_fetch_sub(&rec_of(link)->ref, 1);

	assert_true(old > 0);
	return old == 1;
}

static void
rec_free(struct d_hash_table *ht, d_list_t *link)
{
	assert_int_equal(rec_of(link)->ref, 0);
	d_free(rec_of(link));
	atomic_fetch_add(&freed_nr, 1);
}

static d_hash_table_ops_t ops = {
    .hop_key_cmp = rec_cmp,
    .hop_key_init = rec_key_init,
    .hop_rec_hash = rec_hash,
    .hop_rec_addref = rec_add,
    .hop_rec_decref = rec_dec,
    .hop_rec_free = rec_free,
};

static d_hash_table_ops_t ops_nohash = {
    .hop_key_cmp = rec_cmp,
    .hop_rec_addref = rec_add,
    .hop_rec_decref = rec_dec,
    .hop_rec_free = rec_free,
};

static struct rec *
rec_new(int key)
{
	struct rec *rec = d_calloc(1, sizeof(*rec));

	D_INIT_LIST_HEAD(&rec->link);
	rec->key = key;
	rec->ref = 1;
	return rec;
}

static int
count_cb(d_list_t *link, void *arg)
{
	(*(int *)arg)++;
	return 0;
}

static void
drive(uint32_t feats, d_hash_table_ops_t *table_ops)
{
	bool ephemeral = feats & D_HASH_FT_EPHEMERAL;
	struct d_hash_table *ht;
	struct rec *recs[64];
	d_list_t *link;
	int key = 7;
	int nr = 0;
	int i;

	freed_nr = 0;
	assert_int_equal(d_hash_table_create(feats, 4, NULL, table_ops, &ht), 0);
	assert_null(d_hash_rec_first(ht));
	for (i = 0; i < 64; i++) {
		recs[i] = rec_new(i);
		assert_int_equal(d_hash_rec_insert(ht, &i, sizeof(i), &recs[i]->link, true), 0);
		assert_int_equal(recs[i]->ref, ephemeral ? 1 : 2);
	}
	/* Exclusive insert of the same key fails; find_insert gives the one that is there. */
	struct rec *twin = rec_new(7);

	assert_int_equal(d_hash_rec_insert(ht, &key, sizeof(key), &twin->link, true), -DER_EXIST);
	assert_true(d_hash_rec_unlinked(&twin->link));
	assert_ptr_equal(d_hash_rec_find_insert(ht, &key, sizeof(key), &twin->link),
			 &recs[7]->link);
	d_hash_rec_decref(ht, &recs[7]->link);
	d_free(twin);

	link = d_hash_rec_find(ht, &key, sizeof(key));
	assert_ptr_equal(link, &recs[7]->link);
	assert_int_equal(recs[7]->ref, ephemeral ? 2 : 3);
	d_hash_rec_addref(ht, link);
	assert_int_equal(d_hash_rec_ndecref(ht, 2, link), 0);
	assert_int_equal(recs[7]->ref, ephemeral ? 1 : 2);
	assert_int_equal(d_hash_rec_ndecref(ht, 0, link), -DER_INVAL);
	key = 1000;
	assert_null(d_hash_rec_find(ht, &key, sizeof(key)));
	assert_false(d_hash_rec_delete(ht, &key, sizeof(key)));
	assert_int_equal(d_hash_table_traverse(ht, count_cb, &nr), 0);
	assert_int_equal(nr, 64);
	assert_int_equal(d_hash_table_destroy(ht, false), -DER_BUSY);

	/* Drop the creator's references. */
	for (i = 0; i < 32; i++)
		d_hash_rec_decref(ht, &recs[i]->link);
	key = 3;
	link = d_hash_rec_find(ht, &key, sizeof(key));
	if (ephemeral) {
		assert_int_equal(freed_nr, 32);
		assert_null(link);
	} else {
		assert_int_equal(freed_nr, 0);
		assert_true(d_hash_rec_delete(ht, &key, sizeof(key)));
		assert_true(d_hash_rec_unlinked(link));
		assert_int_equal(freed_nr, 0);
		d_hash_rec_decref(ht, link);
		assert_int_equal(freed_nr, 1);
	}
	/* Deleting by link, with the creator's reference still held. */
	assert_true(d_hash_rec_delete_at(ht, &recs[40]->link));
	assert_false(d_hash_rec_delete_at(ht, &recs[40]->link));
	for (i = 32; i < 64; i++)
		if (ephemeral || i == 40)
			d_hash_rec_decref(ht, &recs[i]->link);
	if (!ephemeral)
		for (i = 32; i < 64; i++)
			if (i != 40)
				d_hash_rec_decref(ht, &recs[i]->link);
	assert_int_equal(d_hash_table_destroy(ht, !ephemeral), 0);
	assert_int_equal(freed_nr, 64);
}

static void
test_features(void **state)
{
	static const uint32_t locks[] = {0, D_HASH_FT_NOLOCK, D_HASH_FT_MUTEX, D_HASH_FT_RWLOCK};
	static const uint32_t more[] = {0, D_HASH_FT_EPHEMERAL, D_HASH_FT_LRU,
					D_HASH_FT_EPHEMERAL | D_HASH_FT_LRU, D_HASH_FT_GLOCK};
	size_t i;
	size_t j;

	for (i = 0; i < ARRAY_SIZE(locks); i++)
		for (j = 0; j < ARRAY_SIZE(more); j++) {
			drive(locks[i] | more[j], &ops);
			drive(locks[i] | more[j], &ops_nohash);
		}
}

static void
test_bad_args(void **state)
{
	static d_hash_table_ops_t none;
	struct d_hash_table *ht;
	struct rec *rec = rec_new(1);
	int key = 1;

	assert_int_equal(d_hash_table_create(0, 4, NULL, &none, &ht), -DER_INVAL);
	assert_int_equal(d_hash_table_create(0, 40, NULL, &ops, &ht), -DER_INVAL);
	assert_int_equal(d_hash_table_create(0, 2, NULL, &ops_nohash, &ht), 0);
	assert_int_equal(d_hash_rec_insert_anonym(ht, &rec->link, &key), -DER_INVAL);
	assert_int_equal(d_hash_rec_insert(ht, NULL, 0, &rec->link, false), -DER_INVAL);
	assert_int_equal(d_hash_table_traverse(ht, NULL, NULL), -DER_INVAL);
	assert_false(d_hash_rec_evict(ht, &key, sizeof(key)));
	assert_int_equal(d_hash_table_destroy(ht, false), 0);
	d_free(rec);
}

static void
test_lru_order(void **state)
{
	struct d_hash_table *ht;
	struct rec *recs[4];
	int key = 0;
	int i;

	freed_nr = 0;
	/* One bucket: its order shows. */
	assert_int_equal(d_hash_table_create(D_HASH_FT_LRU, 0, NULL, &ops, &ht), 0);
	for (i = 0; i < 4; i++) {
		recs[i] = rec_new(i);
		assert_int_equal(d_hash_rec_insert_anonym(ht, &recs[i]->link, &key), 0);
		assert_int_equal(recs[i]->key, i);
		d_hash_rec_decref(ht, &recs[i]->link);
	}
	key = 1;
	d_hash_rec_decref(ht, d_hash_rec_find(ht, &key, sizeof(key)));
	assert_ptr_equal(d_hash_rec_first(ht), &recs[1]->link);
	assert_true(d_hash_rec_evict(ht, &key, sizeof(key)));
	assert_ptr_equal(d_hash_rec_first(ht), &recs[3]->link);
	assert_false(d_hash_rec_evict_at(ht, &recs[1]->link));
	assert_true(d_hash_rec_evict_at(ht, &recs[3]->link));
	assert_ptr_equal(d_hash_rec_first(ht), &recs[2]->link);
	assert_int_equal(d_hash_table_destroy(ht, true), 0);
	assert_int_equal(freed_nr, 4);
}

struct obj {
	struct d_hlink hlink;
	struct d_ulink ulink;
};

static void
hobj_free(struct d_hlink *hlink)
{
	d_free(container_of(hlink, struct obj, hlink));
	atomic_fetch_add(&freed_nr, 1);
}

static struct d_hlink_ops hobj_ops = {.hop_free = hobj_free};

static int
hcount_cb(struct d_hlink *hlink, void *arg)
{
	(*(int *)arg)++;
	return 0;
}

static void
test_handles(void **state)
{
	struct d_hhash *hh;
	struct obj *objs[100];
	uint64_t keys[100];
	int nr = 0;
	int i;

	freed_nr = 0;
	assert_int_equal(d_hhash_create(0, 4, &hh), 0);
	for (i = 0; i < 100; i++) {
		objs[i] = d_calloc(1, sizeof(*objs[i]));
		d_hhash_hlink_init(&objs[i]->hlink, &hobj_ops);
		assert_true(d_hhash_link_empty(&objs[i]->hlink));
		d_hhash_link_insert(hh, &objs[i]->hlink, i % 2 == 0 ? 3 : 5);
		d_hhash_link_key(&objs[i]->hlink, &keys[i]);
		assert_int_equal(d_hhash_key_type(keys[i]), i % 2 == 0 ? 3 : 5);
		assert_false(d_hhash_key_isptr(keys[i]));
		d_hhash_link_putref(hh, &objs[i]->hlink);
	}
	assert_int_equal(d_hhash_set_ptrtype(hh), -DER_ALREADY);
	assert_int_equal(d_hhash_traverse(hh, 5, hcount_cb, &nr), 0);
	assert_int_equal(nr, 50);
	for (i = 0; i < 100; i++) {
		assert_ptr_equal(d_hhash_link_lookup(hh, keys[i]), &objs[i]->hlink);
		assert_true(d_hhash_link_delete(hh, &objs[i]->hlink));
		assert_null(d_hhash_link_lookup(hh, keys[i]));
		assert_int_equal(freed_nr, i);
		d_hhash_link_putref(hh, &objs[i]->hlink);
		assert_int_equal(freed_nr, i + 1);
	}
	assert_null(d_hhash_link_lookup(hh, 0));
	assert_int_equal(d_hhash_set_ptrtype(hh), 0);
	assert_true(d_hhash_is_ptrtype(hh));
	objs[0] = d_calloc(1, sizeof(*objs[0]));
	d_hhash_hlink_init(&objs[0]->hlink, &hobj_ops);
	d_hhash_link_insert(hh, &objs[0]->hlink, D_HTYPE_PTR);
	d_hhash_link_key(&objs[0]->hlink, &keys[0]);
	assert_true(d_hhash_key_isptr(keys[0]));
	assert_ptr_equal(d_hhash_link_lookup(hh, keys[0]), &objs[0]->hlink);
	d_hhash_link_putref(hh, &objs[0]->hlink);
	d_hhash_link_putref(hh, &objs[0]->hlink);
	d_hhash_destroy(hh);
	assert_int_equal(freed_nr, 101);
}

static void
uobj_free(struct d_ulink *ulink)
{
	d_free(container_of(ulink, struct obj, ulink));
	atomic_fetch_add(&freed_nr, 1);
}

static bool
uobj_cmp(struct d_ulink *ulink, void *args)
{
	return args == NULL || args == ulink;
}

static struct d_ulink_ops uobj_ops = {.uop_free = uobj_free, .uop_cmp = uobj_cmp};

static void
test_uuids(void **state)
{
	struct d_hash_table *ht;
	struct obj *a = d_calloc(1, sizeof(*a));
	struct obj *b = d_calloc(1, sizeof(*b));
	struct d_uuid id;

	freed_nr = 0;
	uuid_generate(id.uuid);
	assert_int_equal(d_uhash_create(D_HASH_FT_EPHEMERAL, 4, &ht), 0);
	d_uhash_ulink_init(&a->ulink, &uobj_ops);
	d_uhash_ulink_init(&b->ulink, &uobj_ops);
	assert_int_equal(d_uhash_link_insert(ht, &id, NULL, &a->ulink), 0);
	assert_int_equal(d_uhash_link_insert(ht, &id, NULL, &b->ulink), -DER_EXIST);
	/* Another comparison argument is another key. */
	assert_int_equal(d_uhash_link_insert(ht, &id, &b->ulink, &b->ulink), 0);
	assert_ptr_equal(d_uhash_link_lookup(ht, &id, &a->ulink), &a->ulink);
	assert_false(d_uhash_link_last_ref(&a->ulink));
	d_uhash_link_putref(ht, &a->ulink);
	assert_true(d_uhash_link_last_ref(&a->ulink));
	d_uhash_link_putref(ht, &a->ulink);
	assert_int_equal(freed_nr, 1);
	d_uhash_link_delete(ht, &b->ulink);
	assert_true(d_uhash_link_empty(&b->ulink));
	d_uhash_link_putref(ht, &b->ulink);
	assert_int_equal(freed_nr, 2);
	d_uhash_destroy(ht);
}

/* Threads race for find-or-insert and last decref of the same few keys. */
static void *
racer(void *arg)
{
	struct d_hash_table *ht = arg;
	int i;

	for (i = 0; i < 20000; i++) {
		int key = i % 4;
		struct rec *mine = rec_new(key);
		d_list_t *link = d_hash_rec_find_insert(ht, &key, sizeof(key), &mine->link);

		if (link != &mine->link)
			d_free(mine);
		assert_true(rec_of(link)->key == key);
		d_hash_rec_decref(ht, link);
	}
	return NULL;
}

static void
test_threads(void **state)
{
	static const uint32_t locks[] = {0, D_HASH_FT_MUTEX, D_HASH_FT_RWLOCK};
	struct d_hash_table *ht;
	pthread_t threads[3];
	size_t i;
	int t;

	for (i = 0; i < ARRAY_SIZE(locks); i++) {
		assert_int_equal(
		    d_hash_table_create(locks[i] | D_HASH_FT_EPHEMERAL, 2, NULL, &ops, &ht), 0);
		for (t = 0; t < 3; t++)
			assert_int_equal(pthread_create(&threads[t], NULL, racer, ht), 0);
		for (t = 0; t < 3; t++)
			pthread_join(threads[t], NULL);
		assert_null(d_hash_rec_first(ht));
		assert_int_equal(d_hash_table_destroy(ht, false), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_features),  cmocka_unit_test(test_bad_args),
	    cmocka_unit_test(test_lru_order), cmocka_unit_test(test_handles),
	    cmocka_unit_test(test_uuids),     cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
