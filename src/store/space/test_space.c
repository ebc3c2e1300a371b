/* Space allocator against a table of who owns each block: random reserve, publish, cancel, free,
 * aborts, restarts; where extents are put; figures; discards beside all that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/heap/heap_fixture.h"
#include "store/space/space.h"

enum { FIRST = 7, BLKS = 100000, EXTS = 300 };

struct model {
	struct fixture *f;
	struct space *space;
	uint8_t *own; /* per block: 0 free, 1 reserved, 2 published */
	struct space_ext ext[EXTS];
	uint8_t state[EXTS]; /* the same */
};

static int
format(struct model *m)
{
	return space_create(m->f->heap, heap_root(m->f->heap), FIRST * SPACE_BLOCK,
			    (uint64_t)BLKS * SPACE_BLOCK + 123);
}

static void
set_own(struct model *m, const struct space_ext *ext, uint8_t from, uint8_t to)
{
	uint32_t i;

	assert_true(ext->blk >= FIRST && ext->blk + ext->blk_nr <= FIRST + BLKS);
	for (i = 0; i < ext->blk_nr; i++) {
		assert_int_equal(m->own[ext->blk - FIRST + i], from);
		m->own[ext->blk - FIRST + i] = to;
	}
}

static bool
known(void *arg, uint64_t blk, uint32_t blk_nr)
{
	const struct model *m = arg;
	uint32_t i;

	for (i = 0; i < blk_nr; i++) {
		if (m->own[blk - FIRST + i] != 2)
			return false;
	}
	return true;
}

static void
check(struct model *m)
{
	struct space_stats st;
	uint64_t used = 0, reserved = 0, i;

	assert_int_equal(space_verify(m->space, known, m), 0);
	space_stats(m->space, &st);
	for (i = 0; i < BLKS; i++) {
		used += m->own[i] == 2;
		reserved += m->own[i] == 1;
	}
	assert_int_equal(st.used_blk, used);
	assert_int_equal(st.reserved_blk, reserved);
	assert_int_equal(st.total_blk, BLKS);
}

static int
reserve(struct model *m, uint32_t nr, uint64_t hint, uint32_t flags, struct space_ext *ext)
{
	int rc;

	do
		rc = space_reserve(m->space, nr, hint, flags, ext);
	while (heap_retry(m->f->heap, &rc));
	return rc;
}

struct change {
	struct model *m;
	uint32_t at[6];
	int nr;
	bool fail;
};

static int
change_tx(struct heap_tx *tx, void *arg)
{
	struct change *c = arg;
	int i, rc = 0;

	for (i = 0; rc == 0 && i < c->nr; i++) {
		const struct space_ext *ext = &c->m->ext[c->at[i]];

		if (c->m->state[c->at[i]] == 1)
			rc = space_publish(tx, c->m->space, ext);
		else if (c->m->state[c->at[i]] == 2)
			rc = space_free(tx, c->m->space, ext);
	}
	return rc == 0 && c->fail ? -DER_CANCELED : rc;
}

static void
random_step(struct model *m)
{
	struct change c = {.m = m};
	uint32_t first = next_rnd(&m->f->rnd) % (EXTS - 6);
	uint64_t lsn;
	int i, rc;

	for (i = 0; i < 6; i++) {
		uint32_t at = first + i, nr = 1 + next_rnd(&m->f->rnd) % 8;

		if (m->state[at] == 0) {
			if (next_rnd(&m->f->rnd) % 8 == 0)
				nr = 1 + next_rnd(&m->f->rnd) % 3000;
			rc = reserve(m, nr, 0, 0, &m->ext[at]);
			if (rc == -DER_NOSPACE)
				continue;
			assert_int_equal(rc, 0);
			assert_true(m->ext[at].blk_nr <= nr);
			set_own(m, &m->ext[at], 0, 1);
			m->state[at] = 1;
		} else if (m->state[at] == 1 && next_rnd(&m->f->rnd) % 4 == 0) {
			space_cancel(m->space, &m->ext[at]);
			set_own(m, &m->ext[at], 1, 0);
			m->state[at] = 0;
		} else {
			c.at[c.nr++] = at;
		}
	}
	c.fail = next_rnd(&m->f->rnd) % 5 == 0;
	rc = heap_tx_run(m->f->heap, 64 << 10, 0, 0, change_tx, &c, &lsn);
	assert_int_equal(rc, c.fail ? -DER_CANCELED : 0);
	if (rc != 0)
		return;
	for (i = 0; i < c.nr; i++) {
		set_own(m, &m->ext[c.at[i]], m->state[c.at[i]], m->state[c.at[i]] == 1 ? 2 : 0);
		m->state[c.at[i]] = m->state[c.at[i]] == 1 ? 2 : 0;
	}
	/* What was freed must not come back before it is durable; the model would see it twice. */
	if (next_rnd(&m->f->rnd) % 3 == 0)
		assert_int_equal(heap_wait_durable(m->f->heap, lsn), 0);
}

static void
forget_reserved(struct model *m)
{
	int i;

	for (i = 0; i < EXTS; i++) {
		if (m->state[i] == 1) {
			set_own(m, &m->ext[i], 1, 0);
			m->state[i] = 0;
		}
	}
}

static int
do_model(void *arg)
{
	struct model m = {.f = arg};
	int i;

	m.own = calloc(1, BLKS);
	assert_int_equal(format(&m), 0);
	for (i = 0; i < 4000; i++) {
		if (i % 500 == 0) {
			if (m.space != NULL) {
				check(&m);
				space_close(m.space);
				forget_reserved(&m);
			}
			reopen(m.f, i % 1000 == 0);
			assert_int_equal(
			    space_open(m.f->heap, heap_root(m.f->heap), NULL, &m.space), 0);
			check(&m);
		}
		random_step(&m);
	}
	check(&m);
	space_close(m.space);
	free(m.own);
	return 0;
}

static int
free_one(struct heap_tx *tx, void *arg)
{
	struct change *c = arg;

	return space_free(tx, c->m->space, &c->m->ext[0]);
}

static int
publish_one(struct heap_tx *tx, void *arg)
{
	struct change *c = arg;

	return space_publish(tx, c->m->space, &c->m->ext[0]);
}

/* Full, adjacent, held, damaged. */
static int
do_rules(void *arg)
{
	struct model m = {.f = arg};
	struct change c = {.m = &m};
	struct space_hold hold;
	struct space_stats st;
	struct space_ext a, b;
	uint64_t lsn;
	int rc;

	assert_int_equal(format(&m), 0);
	assert_int_equal(space_open(m.f->heap, heap_root(m.f->heap), NULL, &m.space), 0);
	assert_int_equal(reserve(&m, 3, 0, 0, &a), 0);
	assert_int_equal(reserve(&m, 5, 0, 0, &b), 0);
	assert_int_equal(b.blk, a.blk + 3);
	assert_int_equal(a.blk, FIRST + 3 * 32768); /* the stretch that is not whole */
	space_cancel(m.space, &a);
	space_cancel(m.space, &b);

	/* A freed extent stays away while somebody reads. */
	assert_int_equal(reserve(&m, 1000, 0, SPACE_CONTIG, &m.ext[0]), 0);
	assert_int_equal(heap_tx_run(m.f->heap, 0, 0, 0, publish_one, &c, NULL), 0);
	assert_int_equal(heap_tx_run(m.f->heap, 0, 0, 0, publish_one, &c, NULL), -DER_CSUM);
	/* ... and until its freeing is durable. */
	assert_int_equal(heap_tx_run(m.f->heap, 0, 0, 0, free_one, &c, &lsn), 0);
	space_stats(m.space, &st);
	assert_int_equal(st.freeing_blk, 1000);
	assert_int_equal(heap_wait_durable(m.f->heap, lsn), 0);
	space_stats(m.space, &st);
	assert_int_equal(st.freeing_blk, 0);
	assert_int_equal(reserve(&m, 1000, FIRST + 8, SPACE_CONTIG, &m.ext[0]), 0);
	assert_int_equal(heap_tx_run(m.f->heap, 0, 0, 0, publish_one, &c, NULL), 0);
	space_hold(m.space, &hold);
	assert_int_equal(heap_tx_run(m.f->heap, 0, 0, 0, free_one, &c, &lsn), 0);
	assert_int_equal(heap_wait_durable(m.f->heap, lsn), 0);
	space_stats(m.space, &st);
	assert_int_equal(st.freeing_blk, 1000);
	space_release(m.space, &hold);
	space_stats(m.space, &st);
	assert_int_equal(st.freeing_blk, 0);
	assert_int_equal(st.used_blk, 0);
	assert_int_equal(heap_tx_run(m.f->heap, 0, 0, 0, free_one, &c, NULL), -DER_CSUM);
	m.ext[0].blk = FIRST + BLKS - 1;
	assert_int_equal(heap_tx_run(m.f->heap, 0, 0, 0, free_one, &c, NULL), -DER_CSUM);

	/* Everything can be reserved but the part kept back; that only with SPACE_RECLAIM. */
	while ((rc = reserve(&m, 32768, 0, 0, &a)) == 0)
		continue;
	assert_int_equal(rc, -DER_NOSPACE);
	space_stats(m.space, &st);
	assert_int_equal(st.free_blk, 0);
	assert_int_equal(st.reserved_blk, BLKS - BLKS / 50);
	while ((rc = reserve(&m, 32768, 0, SPACE_RECLAIM, &a)) == 0)
		continue;
	assert_int_equal(rc, -DER_NOSPACE);
	space_stats(m.space, &st);
	assert_int_equal(st.reserved_blk, BLKS);
	space_close(m.space);
	return 0;
}

/* Cut up what is free: of every 12 blocks 4 stay free, of the first 3000 all do. */
static void
scatter(struct model *m)
{
	struct change c = {.m = m};
	struct space_ext *gap = calloc(BLKS / 12 + 1, sizeof(*gap));
	uint32_t i, nr = 0;

	assert_int_equal(reserve(m, 3000, FIRST, SPACE_CONTIG, &gap[nr++]), 0);
	assert_int_equal(gap[0].blk, FIRST);
	while (reserve(m, 8, 0, SPACE_CONTIG | SPACE_RECLAIM, &m->ext[0]) == 0) {
		assert_int_equal(heap_tx_run(m->f->heap, 0, 0, 0, publish_one, &c, NULL), 0);
		if (reserve(m, 4, 0, SPACE_CONTIG | SPACE_RECLAIM, &gap[nr]) != 0)
			break;
		nr++;
	}
	for (i = 0; i < nr; i++)
		space_cancel(m->space, &gap[i]);
	free(gap);
}

/* Small ones beside each other and away from long runs, large ones whole, each in its best place.
 */
static int
do_places(void *arg)
{
	struct model m = {.f = arg};
	struct space_ext a, b, large, cold;
	struct space_frag frag;
	struct space_stats st;
	uint64_t scattered;
	uint32_t i;

	assert_int_equal(format(&m), 0);
	assert_int_equal(space_open(m.f->heap, heap_root(m.f->heap), NULL, &m.space), 0);
	assert_int_equal(space_frag(m.space, &frag), 0);
	assert_int_equal(frag.free_blk, BLKS);
	assert_int_equal(frag.run_nr, 4);
	assert_int_equal(frag.longest_blk, 32768);
	assert_int_equal(frag.class_run_nr[15], 3);
	assert_int_equal(frag.class_blk[10], BLKS - 3 * 32768);

	/* Small requests between large ones stay together; so do the large ones. */
	assert_int_equal(reserve(&m, 1, 0, SPACE_CONTIG, &a), 0);
	assert_int_equal(reserve(&m, 2000, 0, SPACE_CONTIG, &large), 0);
	for (i = 0; i < 200; i++) {
		assert_int_equal(reserve(&m, 1 + i % 5, 0, SPACE_CONTIG, &b), 0);
		assert_int_equal(b.blk, a.blk + a.blk_nr);
		a = b;
		if (i % 20 == 0) {
			assert_int_equal(reserve(&m, 256, 0, SPACE_CONTIG, &b), 0);
			assert_int_equal(b.blk, large.blk + large.blk_nr);
			large = b;
		}
		if (i == 100) {
			assert_int_equal(reserve(&m, 3, 0, SPACE_RECLAIM, &cold), 0);
			assert_true(cold.blk > a.blk + 1000 || cold.blk + 1000 < a.blk);
		}
	}
	space_close(m.space);

	assert_int_equal(space_open(m.f->heap, heap_root(m.f->heap), NULL, &m.space), 0);
	scatter(&m);
	assert_int_equal(space_frag(m.space, &frag), 0);
	assert_int_equal(frag.longest_blk, 3000);
	assert_true(frag.class_run_nr[2] > 7000);
	space_stats(m.space, &st);
	assert_int_equal(frag.free_blk, BLKS - st.used_blk - st.reserved_blk - st.freeing_blk);
	scattered = st.scattered_nr;
	/* the only place that holds it */
	assert_int_equal(reserve(&m, 2900, 0, SPACE_CONTIG, &large), 0);
	assert_int_equal(large.blk, FIRST);
	assert_int_equal(reserve(&m, 101, 0, SPACE_CONTIG, &a), -DER_NOSPACE);
	space_stats(m.space, &st);
	assert_int_equal(st.scattered_nr, scattered + 1);
	/* what is not cut up goes first, then the pieces are used, all of them */
	assert_int_equal(reserve(&m, 101, 0, 0, &a), 0);
	assert_int_equal(a.blk_nr, 100);
	assert_int_equal(a.blk, FIRST + 2900);
	for (i = 0; reserve(&m, 4, 0, SPACE_CONTIG | SPACE_RECLAIM, &a) == 0; i++)
		assert_int_equal(a.blk_nr, 4);
	assert_true(i > 7000);
	space_close(m.space);
	return 0;
}

/* Publish, as one of two devices' writes. */
static int
depend_one(struct heap_tx *tx, void *arg)
{
	struct change *c = arg;
	const struct space_ext *ext = &c->m->ext[0];
	int rc;

	rc = space_publish(tx, c->m->space, ext);
	return rc != 0
		   ? rc
		   : heap_tx_dep(tx, &(struct heap_dep){.blk = ext->blk, .blk_nr = ext->blk_nr});
}

/* Written and freed at once: not to be written again before the log tells that it was durable, or a
 * recovery that looks at the blocks would take it for not written. */
static int
do_unproven(void *arg)
{
	struct model m = {.f = arg};
	struct change c = {.m = &m};
	struct space_stats st;
	uint64_t lsn, lsn2;
	int i;

	assert_int_equal(format(&m), 0);
	assert_int_equal(space_open(m.f->heap, heap_root(m.f->heap), NULL, &m.space), 0);
	assert_int_equal(reserve(&m, 10, 0, SPACE_CONTIG, &m.ext[0]), 0);
	assert_int_equal(heap_tx_run(m.f->heap, 0, 0, 0, depend_one, &c, &lsn), 0);
	assert_int_equal(heap_tx_run(m.f->heap, 0, 0, 0, free_one, &c, &lsn2), 0);
	co_sleep_ns(5000000);
	assert_true(heap_durable_lsn(m.f->heap) < lsn);
	heap_dep_done(m.f->heap, lsn, 0);
	assert_int_equal(heap_wait_durable(m.f->heap, lsn2), 0);
	assert_true(heap_proven_lsn(m.f->heap) < heap_dep_lsn(m.f->heap));
	space_stats(m.space, &st);
	assert_int_equal(st.freeing_blk, 10);
	for (i = 0; st.freeing_blk != 0 && i < 200; i++) {
		co_sleep_ns(5000000);
		space_stats(m.space, &st);
	}
	assert_int_equal(st.freeing_blk, 0);
	assert_true(heap_proven_lsn(m.f->heap) >= lsn);

	/* Who needs the space does not wait for the timer; nor does a close. */
	assert_int_equal(reserve(&m, 10, 0, SPACE_CONTIG, &m.ext[0]), 0);
	assert_int_equal(heap_tx_run(m.f->heap, 0, 0, 0, depend_one, &c, &lsn), 0);
	assert_int_equal(heap_tx_run(m.f->heap, 0, 0, 0, free_one, &c, &lsn2), 0);
	heap_dep_done(m.f->heap, lsn, 0);
	assert_int_equal(heap_wait_durable(m.f->heap, lsn2), 0);
	assert_int_equal(reserve(&m, BLKS, 0, SPACE_CONTIG, &m.ext[1]), -DER_INVAL);
	while (reserve(&m, 1000, 0, SPACE_CONTIG, &m.ext[1]) == 0)
		;
	assert_int_equal(heap_wait_durable(m.f->heap, heap_last_lsn(m.f->heap)), 0);
	space_stats(m.space, &st);
	assert_int_equal(st.freeing_blk, 0);
	space_close(m.space);
	return 0;
}

static void
test_unproven(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xs_call(f->xs, do_unproven, f), 0);
}

/* --- discards -------------------------------------------------------------------------------- */

struct tagged {
	struct model m;
	struct dev *data;
	uint8_t *buf;
	uint64_t tag[EXTS];
};

static void
tag_io(struct tagged *t, uint32_t at, bool write)
{
	const struct space_ext *ext = &t->m.ext[at];
	const uint32_t len = ext->blk_nr * SPACE_BLOCK;
	uint32_t i;

	if (write) {
		t->tag[at]++;
		for (i = 0; i < ext->blk_nr; i++)
			memcpy(t->buf + (size_t)i * SPACE_BLOCK, &t->tag[at], 8);
		assert_int_equal(
		    dev_write(t->data, ext->blk * SPACE_BLOCK, t->buf, len, DEV_WRITE_SYNC), 0);
		return;
	}
	assert_int_equal(dev_read(t->data, ext->blk * SPACE_BLOCK, t->buf, len), 0);
	for (i = 0; i < ext->blk_nr; i++)
		assert_memory_equal(t->buf + (size_t)i * SPACE_BLOCK, &t->tag[at], 8);
}

/* Extents come and go while what they leave is discarded: nothing in use ever loses its content. */
static int
do_discard(void *arg)
{
	struct tagged t = {.m.f = arg};
	struct model *m = &t.m;
	struct change c = {.m = m, .nr = 1};
	struct space_stats st;
	uint64_t dev_bytes = (uint64_t)(FIRST + BLKS + 1) * SPACE_BLOCK;
	uint32_t i;

	m->own = calloc(1, BLKS);
	t.buf = dev_buf_alloc(1024 * SPACE_BLOCK);
	memset(t.buf, 0x77, 1024 * SPACE_BLOCK);
	assert_int_equal(
	    m->f->dir->ops->create(m->f->dir, m->f->xs, "data", dev_bytes, false, &t.data), 0);
	assert_int_equal(format(m), 0);
	assert_int_equal(space_open(m->f->heap, heap_root(m->f->heap), t.data, &m->space), 0);
	space_discard_conf(m->space, 1, 0);
	for (i = 0; i < 6000; i++) {
		uint32_t at = next_rnd(&m->f->rnd) % EXTS;
		uint64_t lsn;

		if (m->state[at] == 0) {
			uint32_t nr = 1 + next_rnd(&m->f->rnd) % (i % 16 == 0 ? 1000 : 100);

			assert_int_equal(reserve(m, nr, 0, SPACE_CONTIG, &m->ext[at]), 0);
			set_own(m, &m->ext[at], 0, 1);
			tag_io(&t, at, true);
			m->state[at] = 1;
		}
		tag_io(&t, at, false);
		c.at[0] = at;
		assert_int_equal(heap_tx_run(m->f->heap, 0, 0, 0, change_tx, &c, &lsn), 0);
		set_own(m, &m->ext[at], m->state[at], m->state[at] == 1 ? 2 : 0);
		m->state[at] = m->state[at] == 1 ? 2 : 0;
		if (next_rnd(&m->f->rnd) % 32 == 0)
			co_sleep_ns(1000000);
		else
			co_yield();
	}
	for (i = 0; i < EXTS; i++)
		if (m->state[i] == 2)
			tag_io(&t, i, false);
	for (i = 0; i < 100; i++) {
		space_stats(m->space, &st);
		if (st.freeing_blk == 0 && st.discarded_blk > 1000)
			break;
		co_sleep_ns(5000000);
	}
	assert_true(st.discarded_blk > 1000);
	assert_int_equal(st.freeing_blk, 0);
	assert_int_equal(space_verify(m->space, known, m), 0);

	/* What is gone for good reads as zeros: it really left. */
	m->ext[0] = (struct space_ext){.blk_nr = 1000};
	assert_int_equal(reserve(m, 1000, 0, SPACE_CONTIG, &m->ext[0]), 0);
	tag_io(&t, 0, true);
	assert_int_equal(heap_tx_run(m->f->heap, 0, 0, 0, publish_one, &c, NULL), 0);
	assert_int_equal(heap_tx_run(m->f->heap, 0, 0, 0, free_one, &c, NULL), 0);
	for (i = 0; i < 200 && t.buf[SPACE_BLOCK - 1] != 0; i++) {
		co_sleep_ns(2000000);
		assert_int_equal(dev_read(t.data, m->ext[0].blk * SPACE_BLOCK, t.buf, SPACE_BLOCK),
				 0);
	}
	assert_int_equal(t.buf[SPACE_BLOCK - 1], 0);
	space_close(m->space);
	dev_close(t.data);
	dev_buf_free(t.buf, 1024 * SPACE_BLOCK);
	free(m->own);
	return 0;
}

static void
test_places(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xs_call(f->xs, do_places, f), 0);
}

static void
test_discard(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xs_call(f->xs, do_discard, f), 0);
}

static void
test_model(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xs_call(f->xs, do_model, f), 0);
}

static void
test_rules(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xs_call(f->xs, do_rules, f), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_model, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_rules, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_places, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_unproven, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_discard, setup_sim, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
