/* Heap on the in-memory disk: transactions, allocation, recovery, checkpoint, damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/log.h"
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

/* --- damage ---------------------------------------------------------------------------------- */

static int
fill_root_obj(struct heap_tx *tx, void *arg)
{
	struct fixture *f = arg;
	uint64_t *off, i;
	int rc;

	/* Two objects of a page each, with recognisable content. */
	rc = heap_tx_add(tx, heap_root(f->heap), 16);
	if (rc != 0)
		return rc;
	off = heap_ptr(f->heap, heap_root(f->heap));
	for (i = 0; i < 2; i++) {
		rc = heap_alloc(tx, HEAP_PAGE, 0, &off[i]);
		if (rc != 0)
			return rc;
		memset(heap_ptr(f->heap, off[i]), 0xc0 + i, HEAP_PAGE);
	}
	return 0;
}

/* Where on the device of pages the block full of v lies. */
static uint64_t
find_block(struct fixture *f, uint8_t v)
{
	uint8_t *buf = dev_buf_alloc(DEV_BLOCK);
	uint64_t at, found = 0;

	for (at = 0; at < f->heap_bytes; at += DEV_BLOCK) {
		assert_int_equal(dev_read(f->pages, at, buf, DEV_BLOCK), 0);
		if (buf[0] == v && memcmp(buf, buf + 1, DEV_BLOCK - 1) == 0)
			found = at; /* the last one: the first is in the double-write area */
	}
	dev_buf_free(buf, DEV_BLOCK);
	return found;
}

static int
do_damage(void *arg)
{
	struct fixture *f = arg;
	uint64_t off[2], bad;
	uint8_t *obj;

	assert_int_equal(heap_tx_run(f->heap, 32 << 10, 0, 0, fill_root_obj, f, NULL), 0);
	memcpy(off, heap_ptr(f->heap, heap_root(f->heap)), sizeof(off));
	reopen(f, true);
	bad = find_block(f, 0xc0);
	assert_int_not_equal(bad, 0);
	log_set_level(LOG_LVL_CRIT);

	/* A rotten page is an error for who needs it, and for nobody else. */
	heap_close(f->heap, false);
	mem_disk_flip_bit(f->disk, "heap", (bad + 1234) * 8 + 5);
	/* The double-write area still has the page: it is repaired. */
	assert_int_equal(heap_open(&f->conf, f->pages, f->log, &f->heap), 0);
	assert_int_equal(heap_fault(f->heap, off[0], 10), 0);
	heap_close(f->heap, false);
	/* Spoil that, too. */
	mem_disk_flip_bit(f->disk, "heap", (2 * DEV_BLOCK + 8) * 8);
	mem_disk_flip_bit(f->disk, "heap", (bad + 1234) * 8 + 5);
	assert_int_equal(heap_open(&f->conf, f->pages, f->log, &f->heap), 0);
	assert_int_equal(heap_fault(f->heap, off[0], 10), -DER_CSUM);
	assert_int_equal(heap_load_all(f->heap), -DER_CSUM);
	assert_non_null(heap_try(f->heap, off[1], 10));
	assert_null(heap_try(f->heap, off[0], 10));
	assert_int_equal(heap_fault(f->heap, off[1], 10), 0);
	obj = heap_ptr(f->heap, off[1]);
	assert_int_equal(obj[4095], 0xc1);
	assert_int_equal(heap_verify(f->heap, NULL, NULL), 0);
	heap_close(f->heap, false);
	mem_disk_flip_bit(f->disk, "heap", (bad + 1234) * 8 + 5);
	assert_int_equal(heap_open(&f->conf, f->pages, f->log, &f->heap), 0);
	assert_int_equal(heap_load_all(f->heap), 0);
	heap_close(f->heap, false);

	/* The checksum table protects itself. It follows the double-write area. */
	mem_disk_flip_bit(f->disk, "heap", (3 + 256) * DEV_BLOCK * 8ull + 999);
	assert_int_equal(heap_open(&f->conf, f->pages, f->log, &f->heap), -DER_CSUM);
	mem_disk_flip_bit(f->disk, "heap", (3 + 256) * DEV_BLOCK * 8ull + 999);

	/* One super block is enough; a log of another heap is refused. */
	mem_disk_flip_bit(f->disk, "heap", 77);
	assert_int_equal(heap_open(&f->conf, f->pages, f->log, &f->heap), 0);
	heap_close(f->heap, false);
	mem_disk_flip_bit(f->disk, "heap", DEV_BLOCK * 8 + 77);
	assert_int_equal(heap_open(&f->conf, f->pages, f->log, &f->heap), -DER_DF_INVAL);
	mem_disk_flip_bit(f->disk, "heap", DEV_BLOCK * 8 + 77);
	mem_disk_flip_bit(f->disk, "log", 8 * 17);
	mem_disk_flip_bit(f->disk, "log", 8 * (DEV_BLOCK + 17));
	assert_int_equal(heap_open(&f->conf, f->pages, f->log, &f->heap), -DER_DF_INVAL);
	mem_disk_flip_bit(f->disk, "log", 8 * 17);
	mem_disk_flip_bit(f->disk, "log", 8 * (DEV_BLOCK + 17));

	/* An I/O error is reported and can be got over. */
	assert_int_equal(heap_open(&f->conf, f->pages, f->log, &f->heap), 0);
	mem_disk_fail_at(f->disk, 1, 0);
	assert_int_equal(heap_fault(f->heap, off[1], 10), -DER_IO);
	assert_int_equal(heap_fault(f->heap, off[1], 10), 0);
	log_set_level(LOG_LVL_ERR);
	return 0;
}

static void
test_damage(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xs_call(f->xs, do_damage, f), 0);
}

/* --- full ------------------------------------------------------------------------------------ */

struct chain {
	struct fixture *f;
	uint32_t size;
};

/* Objects in a list from the root: each begins with the offset of the next. */
static int
push_obj(struct heap_tx *tx, void *arg)
{
	struct chain *c = arg;
	struct heap *heap = c->f->heap;
	uint64_t off, *root = heap_try(heap, heap_root(heap), 8);
	int rc;

	if (root == NULL)
		return HEAP_MISS;
	rc = heap_alloc(tx, c->size, HEAP_ALLOC_RAW, &off);
	if (rc == 0)
		rc = heap_tx_write(tx, off, root, 8);
	return rc == 0 ? heap_tx_write(tx, heap_root(heap), &off, 8) : rc;
}

static int
pop_obj(struct heap_tx *tx, void *arg)
{
	struct chain *c = arg;
	struct heap *heap = c->f->heap;
	uint64_t *next, *root = heap_try(heap, heap_root(heap), 8);
	int rc;

	if (root == NULL)
		return HEAP_MISS;
	if (*root == 0)
		return -DER_NONEXIST;
	next = heap_try(heap, *root, 8);
	if (next == NULL)
		return HEAP_MISS;
	rc = heap_free(tx, *root);
	return rc == 0 ? heap_tx_write(tx, heap_root(heap), next, 8) : rc;
}

static int
do_full(void *arg)
{
	struct fixture *f = arg;
	struct chain c = {.f = f};
	struct heap_stats st;
	struct heap_resv resv;
	uint64_t n = 0, popped = 0;
	int rc, i;

	for (i = 0; i < 3; i++) {
		const uint32_t sizes[] = {3000, 100000, 50};

		c.size = sizes[i];
		while ((rc = heap_tx_run(f->heap, 1000, 0, 0, push_obj, &c, NULL)) == 0)
			n++;
		assert_int_equal(rc, -DER_NOSPACE);
		assert_int_equal(heap_verify(f->heap, NULL, NULL), 0);
	}
	heap_stats(f->heap, &st);
	assert_true(st.free_bytes < 100000);
	assert_int_equal(heap_reserve(f->heap, 0, 100000, 0, &resv), -DER_NOSPACE);
	/* Who gives space back gets what it needs for that. */
	assert_int_equal(heap_reserve(f->heap, 0, 100000, HEAP_RESV_RECLAIM, &resv), 0);
	heap_unreserve(f->heap, &resv);
	c.size = 3000;
	assert_int_equal(heap_tx_run(f->heap, 1000, 0, HEAP_RESV_RECLAIM, push_obj, &c, NULL), 0);
	n++;
	reopen(f, false);
	while ((rc = heap_tx_run(f->heap, 2000, 0, 0, pop_obj, &c, NULL)) == 0)
		popped++;
	assert_int_equal(rc, -DER_NONEXIST);
	assert_int_equal(popped, n);
	heap_stats(f->heap, &st);
	assert_int_equal(st.used_bytes, 0);
	assert_int_equal(heap_verify(f->heap, NULL, NULL), 0);
	return 0;
}

static void
test_full(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xs_call(f->xs, do_full, f), 0);
}

/* --- a small log under many writers
 * ---------------------------------------------------------------- */

static int
big_tx(struct heap_tx *tx, void *arg)
{
	uint64_t off;
	int rc;

	rc = heap_alloc(tx, 30000, 0, &off);
	return rc == 0 ? heap_free(tx, off) : rc;
}

static int
big_writer(void *arg)
{
	struct fixture *f = arg;
	uint64_t lsn;
	int i, rc = 0;

	for (i = 0; rc == 0 && i < 40; i++) {
		rc = heap_tx_run(f->heap, 64 << 10, 0, i % 5 == 0 ? HEAP_RESV_RECLAIM : 0, big_tx,
				 f, &lsn);
		if (rc == 0 && i % 3 == 0)
			rc = heap_wait_durable(f->heap, lsn);
	}
	return rc;
}

static int
do_pressure(void *arg)
{
	struct fixture *f = arg;
	struct co_group group;
	struct heap_stats st;
	int i;

	co_group_init(&group);
	for (i = 0; i < 100; i++)
		assert_int_equal(co_group_spawn(&group, big_writer, f), 0);
	assert_int_equal(co_group_join(&group), 0);
	heap_stats(f->heap, &st);
	assert_true(st.ckpt_nr > 10);
	assert_true(st.log_written_bytes > 10 * f->log_bytes);
	assert_int_equal(st.used_bytes, 0);
	assert_int_equal(heap_verify(f->heap, NULL, NULL), 0);
	return 0;
}

static void
test_pressure(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xs_call(f->xs, do_pressure, f), 0);
}

/* --- hooks, callbacks, read-only
 * ----------------------------------------------------------------------- */

struct event {
	struct heap_tx_hook hook;
	struct durable_cb cb;
	struct heap *heap;
	char *log;
	char name;
};

static void
event_durable(struct durable_cb *cb, int rc)
{
	struct event *e = container_of(cb, struct event, cb);

	sprintf(e->log + strlen(e->log), "%c%s ", e->name, rc == 0 ? "!" : "?");
}

static void
event_end(struct heap_tx_hook *hook, bool committed, uint64_t lsn)
{
	struct event *e = container_of(hook, struct event, hook);

	sprintf(e->log + strlen(e->log), "%c%c ", e->name, committed ? '+' : '-');
	if (committed)
		heap_on_durable(e->heap, &e->cb, lsn);
}

static int
do_hooks(void *arg)
{
	struct fixture *f = arg;
	char log[100] = "";
	struct event a = {.log = log, .name = 'a', .hook.fn = event_end, .cb.fn = event_durable};
	struct event b = {.log = log, .name = 'b', .hook.fn = event_end, .cb.fn = event_durable};
	struct heap_resv resv;
	struct heap_tx *tx;
	uint64_t v = 5, writes;

	a.heap = b.heap = f->heap;
	tx = begin(f, &resv);
	heap_tx_hook_add(tx, &a.hook);
	heap_tx_hook_add(tx, &b.hook);
	assert_int_equal(heap_tx_write(tx, heap_root(f->heap), &v, 8), 0);
	heap_tx_abort(tx);
	tx = heap_tx_begin(f->heap, &resv);
	heap_tx_hook_add(tx, &a.hook);
	heap_tx_hook_add(tx, &b.hook);
	assert_int_equal(heap_tx_write(tx, heap_root(f->heap), &v, 8), 0);
	commit_durable(f, tx);
	assert_string_equal(log, "b- a- a+ b+ a! b! ");
	assert_int_equal(heap_read_lsn(f->heap, heap_root(f->heap), 8), heap_last_lsn(f->heap));

	/* Read-only: sees everything, writes nothing. */
	heap_close(f->heap, false);
	writes = mem_disk_writes(f->disk);
	f->conf.read_only = true;
	assert_int_equal(heap_open(&f->conf, f->pages, f->log, &f->heap), 0);
	assert_int_equal(heap_fault(f->heap, heap_root(f->heap), 8), 0);
	assert_memory_equal(heap_ptr(f->heap, heap_root(f->heap)), &v, 8);
	assert_int_equal(heap_reserve(f->heap, 0, 0, 0, &resv), -DER_NO_PERM);
	assert_int_equal(heap_verify(f->heap, NULL, NULL), 0);
	heap_close(f->heap, true);
	assert_int_equal(mem_disk_writes(f->disk), writes);
	f->conf.read_only = false;
	assert_int_equal(heap_open(&f->conf, f->pages, f->log, &f->heap), 0);
	return 0;
}

static void
test_hooks(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xs_call(f->xs, do_hooks, f), 0);
}

/* --- replay of more than may be in memory
 * ----------------------------------------------------------- */

enum { MANY = 3000 };

struct many {
	struct fixture *f;
	uint64_t off[MANY];
	uint32_t i;
};

static int
many_make(struct heap_tx *tx, void *arg)
{
	struct many *m = arg;

	return heap_alloc(tx, HEAP_PAGE, 0, &m->off[m->i]);
}

static int
many_fill(struct heap_tx *tx, void *arg)
{
	struct many *m = arg;
	uint32_t word = 0x5eed0000 + m->i;

	return heap_tx_write(tx, m->off[m->i] + 128, &word, sizeof(word));
}

static int
do_many(void *arg)
{
	struct many *m = arg;
	struct fixture *f = m->f;
	uint64_t lsn = 0;
	uint32_t word;

	for (m->i = 0; m->i < MANY; m->i++)
		assert_int_equal(heap_tx_run(f->heap, 8192, HEAP_PAGE, 0, many_make, m, &lsn), 0);
	assert_int_equal(heap_checkpoint(f->heap), 0);
	for (m->i = 0; m->i < MANY; m->i++)
		assert_int_equal(heap_tx_run(f->heap, 0, 0, 0, many_fill, m, &lsn), 0);
	assert_int_equal(heap_wait_durable(f->heap, lsn), 0);
	heap_close(f->heap, false);
	f->conf.resident_max = 64 * HEAP_PAGE;
	assert_int_equal(heap_open(&f->conf, f->pages, f->log, &f->heap), 0);
	for (m->i = 0; m->i < MANY; m->i++) {
		assert_int_equal(heap_fault(f->heap, m->off[m->i], HEAP_PAGE), 0);
		memcpy(&word, (uint8_t *)heap_ptr(f->heap, m->off[m->i]) + 128, sizeof(word));
		assert_int_equal(word, 0x5eed0000 + m->i);
	}
	return 0;
}

/* Pages wait for what the log says of them, however few may be in memory. */
static void
test_replay_many(void **state)
{
	struct many m = {.f = *state};

	assert_int_equal(xs_call(m.f->xs, do_many, &m), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_basic, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_replay_many, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_model, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_full, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_pressure, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_hooks, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
