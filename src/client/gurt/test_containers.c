/*
 * Binary heaps, slabs, and metrics.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <gurt/heap.h>
#include <gurt/slab.h>
#include <gurt/telemetry_consumer.h>
#include <gurt/telemetry_producer.h>

struct item {
	struct d_binheap_node node;
	int key;
};

static int entered;

static bool
item_less(struct d_binheap_node *a, struct d_binheap_node *b)
{
	return container_of(a, struct item, node)->key < container_of(b, struct item, node)->key;
}

static int
item_enter(struct d_binheap *h, struct d_binheap_node *e)
{
	if (container_of(e, struct item, node)->key < 0)
		return -DER_INVAL;
	entered++;
	return 0;
}

static int
item_exit(struct d_binheap *h, struct d_binheap_node *e)
{
	entered--;
	return 0;
}

static struct d_binheap_ops item_ops = {
    .hop_compare = item_less, .hop_enter = item_enter, .hop_exit = item_exit};

static void
test_heap(void **state)
{
	static const uint32_t feats[] = {0, DBH_FT_NOLOCK, DBH_FT_RWLOCK};
	static struct item items[2000];
	struct item bad = {.key = -1};
	struct d_binheap *heap;
	size_t f;
	int last;
	int i;

	assert_int_equal(d_binheap_create(0, 0, NULL, NULL, &heap), -DER_INVAL);
	for (f = 0; f < ARRAY_SIZE(feats); f++) {
		entered = 0;
		d_srand(7);
		assert_int_equal(d_binheap_create(feats[f], 16, NULL, &item_ops, &heap), 0);
		assert_true(d_binheap_is_empty(heap));
		assert_null(d_binheap_remove_root(heap));
		for (i = 0; i < 2000; i++) {
			items[i].key = (int)(d_rand() % 500);
			assert_int_equal(d_binheap_insert(heap, &items[i].node), 0);
		}
		assert_int_equal(d_binheap_insert(heap, &bad.node), -DER_INVAL);
		assert_int_equal(d_binheap_size(heap), 2000);
		/* Out of the middle, in no order. */
		for (i = 0; i < 2000; i += 3) {
			d_binheap_remove(heap, &items[i].node);
			assert_int_equal(items[i].node.chn_idx, DBH_POISON);
		}
		assert_int_equal(entered, d_binheap_size(heap));
		last = -1;
		while (!d_binheap_is_empty(heap)) {
			struct d_binheap_node *root = d_binheap_root(heap);
			struct item *item = container_of(root, struct item, node);

			assert_ptr_equal(d_binheap_remove_root(heap), root);
			assert_true(item->key >= last);
			last = item->key;
		}
		assert_int_equal(entered, 0);
		d_binheap_destroy(heap);
	}
	assert_int_equal(d_binheap_size(NULL), -DER_INVAL);
}

struct thing {
	int magic;
	int resets;
	d_list_t link;
	char *mem;
};

static int live;
static bool reset_ok = true;

static void
thing_init(void *desc, void *arg)
{
	struct thing *t = desc;

	t->magic = *(int *)arg;
	live++;
}

static bool
thing_reset(void *desc)
{
	struct thing *t = desc;

	t->resets++;
	return reset_ok;
}

static void
thing_release(void *desc)
{
	assert_int_equal(((struct thing *)desc)->magic, 99);
	live--;
}

static void
test_slab(void **state)
{
	struct d_slab_reg reg = {.sr_init = thing_init,
				 .sr_reset = thing_reset,
				 .sr_release = thing_release,
				 .sr_max_desc = 3,
				 .sr_max_free_desc = 2,
				 POOL_TYPE_INIT(thing, link)};
	struct d_slab_type *type;
	struct d_slab slab = {0};
	struct thing *t[3];
	int magic = 99;
	int i;

	assert_int_equal(d_slab_init(&slab, &magic), 0);
	assert_int_equal(d_slab_register(&slab, &reg, NULL, &type), 0);
	assert_int_equal(live, 1);
	for (i = 0; i < 3; i++) {
		t[i] = d_slab_acquire(type);
		assert_non_null(t[i]);
		assert_int_equal(t[i]->magic, 99);
		assert_int_equal(t[i]->resets, 1);
	}
	assert_null(d_slab_acquire(type));
	assert_true(d_slab_reclaim(&slab));
	for (i = 0; i < 3; i++)
		d_slab_release(type, t[i]);
	d_slab_restock(type);
	assert_int_equal(live, 2);
	t[0] = d_slab_acquire(type);
	assert_int_equal(t[0]->resets, 2);
	/* One that cannot be reset is gone. */
	d_slab_release(type, t[0]);
	reset_ok = false;
	d_slab_restock(type);
	reset_ok = true;
	assert_int_equal(live, 1);
	assert_false(d_slab_reclaim(&slab));
	assert_int_equal(live, 0);
	t[0] = d_slab_acquire(type);
	assert_int_equal(t[0]->resets, 1);
	d_slab_release(type, t[0]);
	d_slab_destroy(&slab);
	assert_int_equal(live, 0);
	reg.sr_offset = 1000;
	assert_int_equal(d_slab_init(&slab, NULL), 0);
	assert_int_equal(d_slab_register(&slab, &reg, &magic, &type), -DER_INVAL);
	d_slab_destroy(&slab);
}

static void
test_metrics(void **state)
{
	char leaf_name[] = "ops";
	char dir_name[] = "io";
	char unit[] = "ops";
	struct d_tm_stats_t stats = {0};
	struct d_tm_metric_t metric = {.dtm_stats = &stats, .dtm_units = unit};
	struct d_tm_node_t leaf = {
	    .dtn_name = leaf_name, .dtn_type = D_TM_STATS_GAUGE, .dtn_metric = &metric};
	struct d_tm_node_t dir = {
	    .dtn_name = dir_name, .dtn_type = D_TM_DIRECTORY, .dtn_child = &leaf};
	struct d_tm_nodeList_t *list = NULL;
	struct d_tm_node_t *node = &dir;
	struct d_tm_stats_t got;
	char *text = NULL;
	size_t size;
	uint64_t val;
	FILE *stream;

	/* Trees are refused, clearly, and a metric that is not there is ignored. */
	assert_int_equal(d_tm_init(0, 1 << 20, 0), -DER_NOSYS);
	assert_int_equal(d_tm_add_metric(&node, D_TM_COUNTER, NULL, NULL, "a/%d", 1), -DER_NOSYS);
	assert_null(node);
	d_tm_inc_counter(node, 1);
	assert_null(d_tm_open(0));

	d_tm_set_gauge(&leaf, 2);
	d_tm_set_gauge(&leaf, 4);
	d_tm_inc_gauge(&leaf, 3);
	d_tm_dec_gauge(&leaf, 1);
	d_tm_set_counter(&leaf, 1000); /* not a counter */
	assert_int_equal(d_tm_get_counter(NULL, &val, &leaf), -DER_OP_NOT_PERMITTED);
	assert_int_equal(d_tm_get_gauge(NULL, &val, &got, &leaf), 0);
	assert_int_equal(val, 6);
	assert_int_equal(got.dtm_min, 2);
	assert_int_equal(got.dtm_max, 7);
	assert_int_equal(got.sample_size, 4);
	assert_true(got.mean > 4.74 && got.mean < 4.76);
	assert_true(got.std_dev > 2.21 && got.std_dev < 2.22);
	assert_int_equal(d_tm_count_metrics(NULL, &dir, D_TM_ALL_NODES), 2);
	assert_int_equal(d_tm_list(NULL, &list, &dir, D_TM_STATS_GAUGE), 0);
	assert_ptr_equal(list->dtnl_node, &leaf);
	assert_null(list->dtnl_next);
	d_tm_list_free(list);

	stream = open_memstream(&text, &size);
	d_tm_print_node(NULL, &leaf, 1, dir_name, D_TM_STANDARD, 0, stream);
	d_tm_print_node(NULL, &leaf, 1, dir_name, D_TM_CSV, D_TM_INCLUDE_TYPE, stream);
	fclose(stream);
	assert_non_null(strstr(text, "    ops: 6 ops, min: 2, max: 7, mean: 4.75"));
	assert_non_null(strstr(text, "\nio/ops,gauge,6,2,7,4.75"));
	free(text);
	d_tm_reset_node(NULL, &leaf, 0, NULL, 0, 0, NULL);
	assert_int_equal(stats.sample_size, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_heap),
	    cmocka_unit_test(test_slab),
	    cmocka_unit_test(test_metrics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
