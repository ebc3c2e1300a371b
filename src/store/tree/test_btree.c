/* B+tree against a sorted array: random inserts, deletes, lookups, cursors, aborts, for all kinds
 * of keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/heap/heap_fixture.h"
#include "store/tree/btree.h"

enum { KEYS = 3000, VAL = 24 };

/* One possible key: present or not. Sorted in the order of the tree. */
struct ent {
	struct btree_key key;
	bool in;
	uint8_t val[VAL];
};

struct model {
	struct fixture *f;
	struct btree bt;
	struct btree_conf conf;
	struct ent *ents;
	uint32_t nr; /* possible keys */
	uint64_t *owned;
	uint32_t owned_nr;
};

static int
ent_cmp(const struct btree_conf *conf, const struct btree_key *a, const struct btree_key *b)
{
	uint32_t min = a->len < b->len ? a->len : b->len;
	int cmp;

	if (conf->kind == BTREE_UINT)
		return a->num < b->num ? -1 : a->num > b->num;
	if (conf->kind == BTREE_HASH) {
		if (a->hash[0] != b->hash[0])
			return a->hash[0] < b->hash[0] ? -1 : 1;
		if (a->hash[1] != b->hash[1])
			return a->hash[1] < b->hash[1] ? -1 : 1;
	}
	cmp = memcmp(a->buf, b->buf, min);
	return cmp != 0 ? cmp : a->len < b->len ? -1 : a->len > b->len;
}

static int
sort_cmp(const void *a, const void *b, void *arg)
{
	return ent_cmp(arg, &((const struct ent *)a)->key, &((const struct ent *)b)->key);
}

/* Keys with shared beginnings, of many lengths; few_hashes makes hashes collide. */
static void
make_keys(struct model *m, bool few_hashes)
{
	uint32_t i, j, out = 0;

	m->ents = calloc(KEYS, sizeof(*m->ents));
	for (i = 0; i < KEYS; i++) {
		struct btree_key *k = &m->ents[i].key;
		uint64_t r = next_rnd(&m->f->rnd);
		uint32_t len = r % 10 < 6 ? r % 20 : r % 10 < 9 ? r % 80 : r % 700;
		uint8_t *buf = malloc(len + 1);

		for (j = 0; j < len; j++)
			buf[j] = next_rnd(&m->f->rnd) % 16 == 0 ? next_rnd(&m->f->rnd) : 'x';
		*k = btree_key_buf(buf, len);
		k->num = r % 8 == 0 ? next_rnd(&m->f->rnd) << 32 | r : r % 5000;
		btree_hash(m->conf.seed, buf, len, k->hash);
		if (few_hashes) {
			k->has_hash = true;
			k->hash[0] = k->hash[0] % 2 ? 7 : 1ull << 63;
			k->hash[1] %= 3;
		}
	}
	qsort_r(m->ents, KEYS, sizeof(*m->ents), sort_cmp, &m->conf);
	for (i = 0; i < KEYS; i++) {
		if (out > 0 && sort_cmp(&m->ents[out - 1], &m->ents[i], &m->conf) == 0)
			free((void *)m->ents[i].key.buf);
		else
			m->ents[out++] = m->ents[i];
	}
	m->nr = out;
}

static int
note_owned(void *arg, uint64_t off)
{
	struct model *m = arg;

	m->owned[m->owned_nr++] = off;
	return 0;
}

static bool
is_owned(void *arg, uint64_t off, uint32_t size)
{
	const struct model *m = arg;
	uint32_t i;

	for (i = 0; i < m->owned_nr; i++) {
		if (m->owned[i] == off)
			return true;
	}
	return false;
}

/* Everything the tree says against the array, forwards and backwards, and no heap object lost. */
static void
check_all(struct model *m)
{
	struct btree_cursor cur;
	uint64_t nr, want = 0;
	struct btree_key key;
	uint32_t i;
	int rc;

	m->owned = calloc(KEYS * 4, sizeof(*m->owned));
	m->owned_nr = 0;
	do {
		m->owned_nr = 0;
		rc = btree_verify(m->bt, note_owned, m, &nr);
	} while (heap_retry(m->f->heap, &rc));
	assert_int_equal(rc, 0);
	assert_int_equal(heap_verify(m->f->heap, is_owned, m), 0);
	free(m->owned);

	btree_cursor_init(&cur, m->bt);
	do
		rc = btree_seek(&cur, BTREE_FIRST, NULL);
	while (heap_retry(m->f->heap, &rc));
	for (i = 0; i < m->nr; i++) {
		uint64_t val;

		if (!m->ents[i].in)
			continue;
		want++;
		assert_int_equal(rc, 0);
		assert_int_equal(btree_cursor_get(&cur, &key, &val), 0);
		assert_int_equal(ent_cmp(&m->conf, &key, &m->ents[i].key), 0);
		assert_memory_equal(heap_ptr(m->f->heap, val), m->ents[i].val, m->conf.val_bytes);
		do
			rc = btree_next(&cur);
		while (heap_retry(m->f->heap, &rc));
	}
	assert_int_equal(rc, -DER_NONEXIST);
	assert_int_equal(nr, want);
	rc = btree_seek(&cur, BTREE_LAST, NULL);
	for (i = m->nr; i-- > 0;) {
		if (!m->ents[i].in)
			continue;
		assert_int_equal(rc, 0);
		assert_int_equal(btree_cursor_get(&cur, &key, NULL), 0);
		assert_int_equal(ent_cmp(&m->conf, &key, &m->ents[i].key), 0);
		rc = btree_prev(&cur);
	}
	assert_int_equal(rc, -DER_NONEXIST);
	btree_cursor_fini(&cur);
}

/* Seek in every way from a key that may or may not be there. */
static void
check_seek(struct model *m, uint32_t at)
{
	const enum btree_seek how[] = {BTREE_EQ, BTREE_GE, BTREE_GT, BTREE_LE, BTREE_LT};
	struct btree_cursor cur;
	struct btree_key key;
	uint32_t h;

	btree_cursor_init(&cur, m->bt);
	for (h = 0; h < 5; h++) {
		int64_t i = at;
		int rc;

		if (how[h] == BTREE_GT)
			i++;
		if (how[h] == BTREE_LT)
			i--;
		while (how[h] != BTREE_EQ && i >= 0 && i < m->nr && !m->ents[i].in)
			i += how[h] == BTREE_GE || how[h] == BTREE_GT ? 1 : -1;
		do
			rc = btree_seek(&cur, how[h], &m->ents[at].key);
		while (heap_retry(m->f->heap, &rc));
		if (i < 0 || i >= m->nr || !m->ents[i].in) {
			assert_int_equal(rc, -DER_NONEXIST);
			continue;
		}
		assert_int_equal(rc, 0);
		assert_int_equal(btree_cursor_get(&cur, &key, NULL), 0);
		assert_int_equal(ent_cmp(&m->conf, &key, &m->ents[i].key), 0);
	}
	btree_cursor_fini(&cur);
}

struct step {
	struct model *m;
	uint32_t at[4];
	uint8_t what[4];
	uint8_t val[4][VAL];
	int nr;
	bool fail;
	struct ent undo[4];
};

static int
run_step(struct heap_tx *tx, void *arg)
{
	struct step *s = arg;
	struct model *m = s->m;
	int i, rc = 0;

	for (i = 0; rc == 0 && i < s->nr; i++) {
		struct ent *e = &m->ents[s->at[i]];
		uint8_t old[VAL];
		uint64_t off;

		s->undo[i] = *e;
		if (s->what[i] == 0) {
			rc = btree_insert(tx, m->bt, &e->key, s->val[i], &off);
			if (rc == -DER_EXIST) {
				assert_true(e->in);
				assert_memory_equal(heap_ptr(m->f->heap, off), e->val,
						    m->conf.val_bytes);
				rc = 0;
			} else if (rc == 0) {
				assert_false(e->in);
				memcpy(e->val, s->val[i], VAL);
				e->in = true;
			}
		} else if (s->what[i] == 1) {
			rc = btree_upsert(tx, m->bt, &e->key, s->val[i], NULL);
			if (rc == 0) {
				memcpy(e->val, s->val[i], VAL);
				e->in = true;
			}
		} else {
			rc = btree_delete(tx, m->bt, &e->key, old);
			if (rc == -DER_NONEXIST) {
				assert_false(e->in);
				rc = 0;
			} else if (rc == 0) {
				assert_true(e->in);
				assert_memory_equal(old, e->val, m->conf.val_bytes);
				e->in = false;
			}
		}
	}
	if (rc == 0 && !s->fail)
		return 0;
	while (i-- > 0)
		m->ents[s->at[i]] = s->undo[i];
	return rc == 0 ? -DER_CANCELED : rc;
}

/* Keys apart: a value says which of two equal sets of keys holds its key. */
static struct model *apart_model;

static void
apart_val(struct model *m, uint32_t at, uint8_t *val)
{
	uint64_t rec = (uint64_t)at * 2 + next_rnd(&m->f->rnd) % 2;

	memcpy(val, &rec, sizeof(rec));
}

static int
apart_key_of(struct heap *heap, uint64_t rec, struct btree_key *ret_key)
{
	assert_true(rec / 2 < apart_model->nr);
	*ret_key = apart_model->ents[rec / 2].key;
	return 0;
}

static void
random_steps(struct model *m, int steps, int del_weight)
{
	struct step s = {.m = m};
	int i, j, rc;

	while (steps-- > 0) {
		s.nr = 1 + next_rnd(&m->f->rnd) % 4;
		s.fail = next_rnd(&m->f->rnd) % 10 == 0;
		for (i = 0; i < s.nr; i++) {
			s.at[i] = next_rnd(&m->f->rnd) % m->nr;
			s.what[i] = (int)(next_rnd(&m->f->rnd) % 10) < del_weight
					? 2
					: next_rnd(&m->f->rnd) % 2;
			for (j = 0; j < VAL; j++)
				s.val[i][j] = next_rnd(&m->f->rnd);
			if (m->conf.keys_apart)
				apart_val(m, s.at[i], s.val[i]);
		}
		rc = heap_tx_run(m->f->heap, 128 << 10, 0, 0, run_step, &s, NULL);
		assert_int_equal(rc, s.fail ? -DER_CANCELED : 0);
		if (steps % 16 == 0)
			check_seek(m, next_rnd(&m->f->rnd) % m->nr);
		if (steps % 400 == 0)
			co_yield();
	}
}

/* Walk with one cursor while the tree changes all the time: it must show every key that stays, in
 * order. */
static void
check_walk(struct model *m, bool forward)
{
	struct btree_cursor cur;
	int64_t at = forward ? -1 : (int64_t)m->nr, next;
	struct btree_key key;
	int rc;

	btree_cursor_init(&cur, m->bt);
	do
		rc = btree_seek(&cur, forward ? BTREE_FIRST : BTREE_LAST, NULL);
	while (heap_retry(m->f->heap, &rc));
	for (;;) {
		next = at + (forward ? 1 : -1);
		while (next >= 0 && next < m->nr && !m->ents[next].in)
			next += forward ? 1 : -1;
		if (next < 0 || next >= m->nr)
			break;
		assert_int_equal(rc, 0);
		do
			rc = btree_cursor_get(&cur, &key, NULL);
		while (heap_retry(m->f->heap, &rc));
		assert_int_equal(rc, 0);
		assert_int_equal(ent_cmp(&m->conf, &key, &m->ents[next].key), 0);
		at = next;
		if (next_rnd(&m->f->rnd) % 3 == 0)
			random_steps(m, 1, 4);
		do
			rc = forward ? btree_next(&cur) : btree_prev(&cur);
		while (heap_retry(m->f->heap, &rc));
	}
	assert_int_equal(rc, -DER_NONEXIST);
	btree_cursor_fini(&cur);
}

static int
create_tree(struct heap_tx *tx, void *arg)
{
	struct model *m = arg;

	return btree_create(tx, heap_root(m->f->heap), &m->conf);
}

struct clear {
	struct model *m;
	uint32_t max, seen;
	bool empty;
};

static int
clear_seen(struct heap_tx *tx, uint64_t val_off, void *arg)
{
	((struct clear *)arg)->seen++;
	return 0;
}

static int
clear_some(struct heap_tx *tx, void *arg)
{
	struct clear *c = arg;

	c->seen = 0;
	return btree_clear(tx, c->m->bt, c->max, clear_seen, c, &c->empty);
}

/* Drain the tree from the front in portions of 37. */
static void
drain(struct model *m)
{
	struct clear c = {.m = m, .max = 37};
	uint32_t i = 0;

	while (!c.empty) {
		assert_int_equal(heap_tx_run(m->f->heap, 512 << 10, 0, 0, clear_some, &c, NULL), 0);
		for (; c.seen > 0; i++) {
			assert_true(i < m->nr);
			c.seen -= m->ents[i].in;
			m->ents[i].in = false;
		}
	}
	for (; i < m->nr; i++)
		assert_false(m->ents[i].in);
}

static int
destroy_tree(struct heap_tx *tx, void *arg)
{
	return btree_destroy(tx, ((struct model *)arg)->bt);
}

static void
run_model(struct fixture *f, const struct btree_conf *conf, bool few_hashes)
{
	struct model m = {.f = f, .conf = *conf};
	uint32_t i;

	m.conf.seed = 99;
	apart_model = &m;
	make_keys(&m, few_hashes);
	m.bt = btree_keys_at(f->heap, heap_root(f->heap), apart_key_of);
	assert_int_equal(heap_tx_run(f->heap, 0, 0, 0, create_tree, &m, NULL), 0);
	random_steps(&m, 1500, 2);
	check_all(&m);
	reopen(f, false);
	m.bt.heap = f->heap;
	check_all(&m);
	random_steps(&m, 1000, 5);
	check_all(&m);
	check_walk(&m, true);
	check_walk(&m, false);
	random_steps(&m, 3000, 9);
	check_all(&m);
	random_steps(&m, 300, 1);
	reopen(f, true);
	m.bt.heap = f->heap;
	drain(&m);
	check_all(&m);
	assert_int_equal(heap_tx_run(f->heap, 0, 0, 0, destroy_tree, &m, NULL), 0);
	for (i = 0; i < m.nr; i++)
		free((void *)m.ents[i].key.buf);
	free(m.ents);
}

static int
do_models(void *arg)
{
	static const struct {
		struct btree_conf conf;
		bool few_hashes;
	} kinds[] = {
	    {.conf = {.kind = BTREE_UINT, .val_bytes = 8}},
	    {.conf = {.kind = BTREE_UINT}},
	    {.conf = {.kind = BTREE_LEX, .val_bytes = 24}},
	    {.conf = {.kind = BTREE_HASH, .val_bytes = 16}},
	    {.conf = {.kind = BTREE_HASH, .val_bytes = 3}, .few_hashes = true},
	    {.conf = {.kind = BTREE_HASH, .val_bytes = 8, .keys_apart = true}},
	    {.conf = {.kind = BTREE_HASH, .val_bytes = 8, .keys_apart = true}, .few_hashes = true},
	};
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		run_model(arg, &kinds[i].conf, kinds[i].few_hashes);
	return 0;
}

static void
test_models(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xs_call(f->xs, do_models, f), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_models, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
