/* Heap on the in-memory disk: transactions, allocation, recovery, checkpoint, damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/heap/heap_fixture.h"

static struct heap_tx *
begin(struct fixture *f, struct heap_resv *resv)
{
	assert_int_equal(heap_reserve(f->heap, 256 << 10, 0, 0, resv), 0);
	return heap_tx_begin(f->heap, resv);
}

static void
commit_durable(struct fixture *f, struct heap_tx *tx)
{
	uint64_t lsn;

	heap_tx_commit(tx, &lsn);
	assert_int_equal(heap_wait_durable(f->heap, lsn), 0);
	assert_true(heap_durable_lsn(f->heap) >= lsn);
}

static int
do_basic(void *arg)
{
	struct fixture *f = arg;
	uint64_t *root, off;
	struct heap_resv resv;
	struct heap_stats st;
	struct heap_tx *tx;
	int i;

	/* Commit survives, abort does not. */
	tx = begin(f, &resv);
	assert_int_equal(heap_tx_add(tx, heap_root(f->heap), 16), 0);
	root = heap_ptr(f->heap, heap_root(f->heap));
	root[0] = 0x1234;
	assert_int_equal(heap_alloc(tx, 100, 0, &off), 0);
	root[1] = off;
	memset(heap_ptr(f->heap, off), 0x5a, 100);
	commit_durable(f, tx);
	assert_int_equal(resv.log_bytes, 0);

	tx = begin(f, &resv);
	assert_int_equal(heap_tx_add(tx, heap_root(f->heap), 16), 0);
	root[0] = 0x9999;
	assert_int_equal(heap_tx_add(tx, off + 10, 10), 0);
	memset(heap_ptr(f->heap, off + 10), 0, 10);
	assert_int_equal(heap_free(tx, off), 0);
	assert_int_equal(heap_alloc(tx, 100, 0, &off), 0);
	assert_int_not_equal(off, root[1]); /* not reused before commit */
	heap_tx_abort(tx);
	heap_unreserve(f->heap, &resv);
	assert_int_equal(root[0], 0x1234);
	assert_int_equal(heap_verify(f->heap, NULL, NULL), 0);

	for (i = 0; i < 3; i++) {
		const uint8_t *obj;
		int j;

		reopen(f, i == 1);
		heap_stats(f->heap, &st);
		assert_int_equal(st.replay_bytes == 0, i >= 1); /* 1 closed with a checkpoint */
		assert_int_equal(heap_fault(f->heap, heap_root(f->heap), 16), 0);
		root = heap_ptr(f->heap, heap_root(f->heap));
		assert_int_equal(root[0], 0x1234);
		assert_int_equal(heap_fault(f->heap, root[1], 100), 0);
		obj = heap_ptr(f->heap, root[1]);
		for (j = 0; j < 100; j++)
			assert_int_equal(obj[j], 0x5a);
		assert_int_equal(heap_verify(f->heap, NULL, NULL), 0);
	}
	return 0;
}

static void
test_basic(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xs_call(f->xs, do_basic, f), 0);
}

/* Random allocation, freeing, filling and aborting against a table of what should be there. */
enum { MODEL_OBJS = 400 };
struct model {
	uint64_t off[MODEL_OBJS];
	uint32_t size[MODEL_OBJS];
	uint8_t fill[MODEL_OBJS];
};

static bool
model_knows(void *arg, uint64_t off, uint32_t size)
{
	const struct model *m = arg;
	int i;

	for (i = 0; i < MODEL_OBJS; i++) {
		if (m->off[i] == off)
			return size >= m->size[i] && size == heap_alloc_size(m->size[i]);
	}
	return false;
}

static void
model_check(struct fixture *f, const struct model *m)
{
	uint32_t i, j;

	assert_int_equal(heap_verify(f->heap, model_knows, (void *)m), 0);
	for (i = 0; i < MODEL_OBJS; i++) {
		const uint8_t *p;

		if (m->off[i] == 0)
			continue;
		assert_int_equal(heap_fault(f->heap, m->off[i], m->size[i]), 0);
		p = heap_ptr(f->heap, m->off[i]);
		for (j = 0; j < m->size[i]; j++)
			assert_int_equal(p[j], m->fill[i]);
	}
}

static uint32_t
random_size(struct fixture *f)
{
	switch (next_rnd(&f->rnd) % 16) {
	case 0:
		return 1 + next_rnd(&f->rnd) % 200000;
	case 1:
	case 2:
		return 1 + next_rnd(&f->rnd) % 9000;
	default:
		return 1 + next_rnd(&f->rnd) % 300;
	}
}

/* One random step on slot i of the model. */
static int
model_step(struct fixture *f, struct heap_tx *tx, struct model *m, uint32_t i)
{
	int rc;

	if (m->off[i] == 0) {
		m->size[i] = random_size(f);
		m->fill[i] = next_rnd(&f->rnd);
		rc = heap_alloc(tx, m->size[i], next_rnd(&f->rnd) % 2 ? HEAP_ALLOC_RAW : 0,
				&m->off[i]);
		if (rc == 0)
			rc = heap_tx_add(tx, m->off[i], m->size[i]);
		if (rc == 0)
			memset(heap_ptr(f->heap, m->off[i]), m->fill[i], m->size[i]);
		return rc;
	}
	if (next_rnd(&f->rnd) % 2) {
		rc = heap_free(tx, m->off[i]);
		m->off[i] = 0;
		return rc;
	}
	m->fill[i] = next_rnd(&f->rnd);
	rc = heap_tx_add(tx, m->off[i], m->size[i]);
	if (rc == 0)
		memset(heap_ptr(f->heap, m->off[i]), m->fill[i], m->size[i]);
	return rc;
}

static void
model_tx(struct fixture *f, struct model *m)
{
	struct heap_resv resv;
	int rc = 0;

	assert_int_equal(heap_reserve(f->heap, 1 << 20, 0, 0, &resv), 0);
	do {
		struct model copy = *m;
		uint64_t rnd = f->rnd;
		struct heap_tx *tx = heap_tx_begin(f->heap, &resv);
		int i, steps = 1 + next_rnd(&f->rnd) % 5;

		for (i = 0, rc = 0; rc == 0 && i < steps; i++)
			rc = model_step(f, tx, &copy, next_rnd(&f->rnd) % MODEL_OBJS);
		if (rc == 0 && next_rnd(&f->rnd) % 8 != 0) {
			heap_tx_commit(tx, NULL);
			*m = copy;
		} else {
			heap_tx_abort(tx);
			if (rc == HEAP_MISS)
				f->rnd = rnd;
		}
	} while (heap_retry(f->heap, &rc));
	heap_unreserve(f->heap, &resv);
	assert_true(rc == 0 || rc == -DER_NOSPACE);
}

static int
do_model(void *arg)
{
	struct fixture *f = arg;
	struct model *m = calloc(1, sizeof(*m));
	struct heap_stats st;
	int i;

	f->conf.resident_max = 2 * MIB;
	reopen(f, false);
	for (i = 0; i < 3000; i++) {
		model_tx(f, m);
		if (i % 100 == 0)
			co_yield();
		if (i % 500 == 0)
			model_check(f, m);
		if (i % 701 == 0)
			reopen(f, i % 3 == 0);
		if (i % 311 == 0)
			assert_int_equal(heap_checkpoint(f->heap), 0);
	}
	model_check(f, m);
	heap_stats(f->heap, &st);
	assert_true(st.tx_nr > 100);
	free(m);
	return 0;
}

static void
test_model(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xs_call(f->xs, do_model, f), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_basic, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_model, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
