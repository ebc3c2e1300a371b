/* The log alone, on the in-memory disk: round trips, truncation, snapshots, damage, crashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <daos_errno.h>

#include "base/hash.h"
#include "cluster/raft/rlog.h"
#include "runtime/xs.h"
#include "store/dev/dev.h"

static const struct rlog_ident ident = {.id = 7, .group = {1, 2, 3}};

struct ctx {
	struct env env;
	struct xs *xs;
	struct mem_disk *disk;
	struct dev_dir *dir;
	struct rlog *log;
	uint64_t rnd;
	int (*fn)(struct ctx *c);
};

static uint64_t
rnd_next(void *arg)
{
	uint64_t *s = arg;

	*s = hash_u64(*s + 1);
	return *s;
}

static int
trampoline(void *arg)
{
	struct ctx *c = arg;

	return c->fn(c);
}

/* Run fn in a coroutine. */
static int
in_co(struct ctx *c, int (*fn)(struct ctx *c))
{
	c->fn = fn;
	return xs_call(c->xs, trampoline, c);
}

static int
setup(void **state)
{
	struct ctx *c = calloc(1, sizeof(*c));

	env_init_real(&c->env);
	assert_int_equal(
	    xs_create(&(struct xs_conf){.name = "t", .env = &c->env, .cpu = -1}, &c->xs), 0);
	assert_int_equal(mem_disk_create(NULL, 256 << 20, &c->disk), 0);
	assert_int_equal(mem_disk_open(c->disk, &c->dir), 0);
	*state = c;
	return 0;
}

static int
teardown(void **state)
{
	struct ctx *c = *state;

	rlog_close(c->log);
	dev_dir_close(c->dir);
	mem_disk_destroy(c->disk);
	xs_destroy(c->xs);
	free(c);
	return 0;
}

/* Content of the entry that was the nr-th ever written. */
static size_t
fill(uint8_t *buf, uint64_t nr)
{
	size_t len = nr % 11 == 0 ? 5000 : nr % 97;
	size_t i;

	for (i = 0; i < len; i++)
		buf[i] = (uint8_t)(nr * 31 + i);
	return len;
}

static int
append(struct rlog *log, uint64_t first, uint32_t n, uint64_t term, uint64_t nr)
{
	struct raft_entry entries[64] = {0};
	static uint8_t data[64][5000];
	uint32_t i;

	for (i = 0; i < n; i++) {
		entries[i].term = term;
		entries[i].type = RAFT_COMMAND;
		entries[i].buf.base = data[i];
		entries[i].buf.len = fill(data[i], nr + i);
	}
	return rlog_append(log, first, entries, n);
}

static void
entries_free(struct raft_entry *entries, size_t n)
{
	void *last = NULL;
	size_t i;

	for (i = 0; i < n; i++) {
		if (entries[i].batch != last)
			raft_free(entries[i].batch);
		last = entries[i].batch;
	}
	raft_free(entries);
}

static int
reopen(struct ctx *c)
{
	rlog_close(c->log);
	c->log = NULL;
	dev_dir_close(c->dir);
	assert_int_equal(mem_disk_open(c->disk, &c->dir), 0);
	return rlog_open(c->xs, c->dir, "ms", &c->log);
}

struct loaded {
	struct raft_snapshot *snap;
	raft_index start;
	struct raft_entry *entries;
	size_t n;
};

static int
load(struct ctx *c, struct loaded *l)
{
	memset(l, 0, sizeof(*l));
	return rlog_load(c->log, &l->snap, &l->start, &l->entries, &l->n);
}

static void
unload(struct loaded *l)
{
	entries_free(l->entries, l->n);
	rlog_snap_free(l->snap);
}

static void
check_entry(const struct raft_entry *e, uint64_t term, uint64_t nr)
{
	uint8_t want[5000];
	size_t len = fill(want, nr);

	assert_int_equal(e->term, term);
	assert_int_equal(e->buf.len, len);
	assert_memory_equal(e->buf.base, want, len);
}

static int
save_snap(struct rlog *log, uint64_t index, uint64_t term, const char *text, uint32_t trailing)
{
	struct raft_snapshot snap = {.index = index, .term = term, .configuration_index = 1};
	struct raft_buffer bufs[2] = {{(void *)text, strlen(text)}, {"!", 1}};
	int rc;

	raft_configuration_init(&snap.configuration);
	assert_int_equal(raft_configuration_add(&snap.configuration, 7, "addr", RAFT_VOTER), 0);
	snap.bufs = bufs;
	snap.n_bufs = 2;
	rc = rlog_snap_save(log, &snap, trailing);
	raft_configuration_close(&snap.configuration);
	return rc;
}

/* --- tests ----------------------------------------------------------------------------------- */

static int
body_round_trip(struct ctx *c)
{
	struct raft_configuration conf;
	struct loaded l;
	uint64_t i;

	assert_int_equal(rlog_open(c->xs, c->dir, "ms", &c->log), -DER_NONEXIST);
	raft_configuration_init(&conf);
	assert_int_equal(raft_configuration_add(&conf, 7, "addr", RAFT_VOTER), 0);
	assert_int_equal(rlog_format(c->xs, c->dir, "ms", &ident, &conf, &c->log), 0);
	raft_configuration_close(&conf);
	assert_int_equal(load(c, &l), 0);
	assert_null(l.snap);
	assert_int_equal(l.start, 1);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.entries[0].type, RAFT_CHANGE);
	unload(&l);

	assert_int_equal(rlog_meta_set(c->log, 5, 3), 0);
	for (i = 0; i < 100; i++)
		assert_int_equal(append(c->log, 2 + i * 10, 10, 2, i * 10), 0);
	/* Truncate to 500 and go on in another term. */
	assert_int_equal(append(c->log, 500, 3, 4, 5000), 0);
	assert_int_equal(rlog_last(c->log), 502);
	assert_int_equal(rlog_meta_set(c->log, 6, 0), 0);

	assert_int_equal(reopen(c), 0);
	assert_int_equal(rlog_term(c->log), 6);
	assert_int_equal(rlog_vote(c->log), 0);
	assert_int_equal(rlog_ident(c->log)->id, 7);
	assert_memory_equal(rlog_ident(c->log)->group, ident.group, 16);
	assert_int_equal(load(c, &l), 0);
	assert_int_equal(l.start, 1);
	assert_int_equal(l.n, 502);
	for (i = 2; i < 500; i++)
		check_entry(&l.entries[i - 1], 2, i - 2);
	for (i = 500; i <= 502; i++)
		check_entry(&l.entries[i - 1], 4, 5000 + i - 500);
	unload(&l);
	/* It goes on from there. */
	assert_int_equal(append(c->log, 503, 1, 4, 5003), 0);
	assert_int_equal(reopen(c), 0);
	assert_int_equal(load(c, &l), 0);
	assert_int_equal(l.n, 503);
	check_entry(&l.entries[502], 4, 5003);
	unload(&l);
	return 0;
}

static void
test_round_trip(void **state)
{
	assert_int_equal(in_co(*state, body_round_trip), 0);
}

static int
count_names(const char *name, uint64_t size, void *arg)
{
	(*(uint32_t *)arg)++;
	return 0;
}

static int
body_snapshots(struct ctx *c)
{
	struct loaded l;
	uint32_t names = 0;
	uint64_t i;

	assert_int_equal(rlog_format(c->xs, c->dir, "ms", &ident, NULL, &c->log), 0);
	assert_int_equal(load(c, &l), 0);
	assert_int_equal(l.n, 0);
	assert_int_equal(l.start, 1);
	unload(&l);
	/* Several segments: 4 MiB hold 1023 batches of one block. */
	for (i = 1; i <= 3000; i++)
		assert_int_equal(append(c->log, i, 1, 1, i * 11 + 1), 0);
	assert_true(rlog_live_bytes(c->log) > 2 * RLOG_SEG_BYTES);
	assert_int_equal(save_snap(c->log, 2900, 1, "state at 2900", 100), 0);
	assert_true(rlog_live_bytes(c->log) <= 2 * RLOG_SEG_BYTES);
	assert_int_equal(save_snap(c->log, 2950, 1, "state at 2950", 100), 0);

	assert_int_equal(reopen(c), 0);
	assert_int_equal(load(c, &l), 0);
	assert_int_equal(l.snap->index, 2950);
	assert_int_equal(l.snap->configuration.n, 1);
	assert_string_equal(l.snap->configuration.servers[0].address, "addr");
	assert_int_equal(l.snap->bufs[0].len, 14);
	assert_memory_equal(l.snap->bufs[0].base, "state at 2950!", 14);
	assert_true(l.start <= 2850);
	assert_int_equal(l.start + l.n - 1, 3000);
	check_entry(&l.entries[2999 - l.start], 1, 2999 * 11 + 1);
	unload(&l);

	/* One from the leader replaces everything; the log then starts behind it. */
	assert_int_equal(save_snap(c->log, 2980, 9, "from the leader", 0), 0);
	assert_int_equal(rlog_last(c->log), 0);
	assert_int_equal(append(c->log, 2981, 2, 9, 1), 0);
	assert_int_equal(reopen(c), 0);
	assert_int_equal(load(c, &l), 0);
	assert_int_equal(l.snap->index, 2980);
	assert_int_equal(l.start, 2981);
	assert_int_equal(l.n, 2);
	check_entry(&l.entries[1], 9, 2);
	unload(&l);
	assert_int_equal(c->dir->ops->list(c->dir, count_names, &names), 0);
	assert_int_equal(names, 3); /* meta, one snapshot, one segment */

	rlog_close(c->log);
	c->log = NULL;
	assert_int_equal(rlog_destroy(c->xs, c->dir, "ms"), 0);
	names = 0;
	assert_int_equal(c->dir->ops->list(c->dir, count_names, &names), 0);
	assert_int_equal(names, 0);
	return 0;
}

static void
test_snapshots(void **state)
{
	assert_int_equal(in_co(*state, body_snapshots), 0);
}

static int
body_damage(struct ctx *c)
{
	struct loaded l;
	uint64_t i;

	assert_int_equal(rlog_format(c->xs, c->dir, "ms", &ident, NULL, &c->log), 0);
	assert_int_equal(load(c, &l), 0);
	for (i = 1; i <= 10; i++)
		assert_int_equal(append(c->log, i, 1, 1, 11), 0); /* two blocks each */
	/* A bit in the last batch looks like a torn write. */
	assert_int_equal(
	    mem_disk_flip_bit(c->disk, "ms.log.0000000000000001", (1 + 9 * 2) * 4096 * 8 + 1000),
	    0);
	assert_int_equal(reopen(c), 0);
	assert_int_equal(load(c, &l), 0);
	assert_int_equal(l.n, 9);
	unload(&l);
	/* In one before it, it does not. */
	assert_int_equal(
	    mem_disk_flip_bit(c->disk, "ms.log.0000000000000001", (1 + 4 * 2) * 4096 * 8 + 5000),
	    0);
	assert_int_equal(reopen(c), 0);
	assert_int_equal(load(c, &l), -DER_CSUM);
	rlog_close(c->log);
	c->log = NULL;
	/* One bad meta block leaves the other; two are no replica. */
	assert_int_equal(rlog_format(c->xs, c->dir, "ms", &ident, NULL, &c->log), 0);
	assert_int_equal(rlog_meta_set(c->log, 2, 0), 0);
	assert_int_equal(rlog_meta_set(c->log, 3, 1), 0);
	assert_int_equal(mem_disk_flip_bit(c->disk, "ms.meta", 4096 * 8 + 100), 0);
	assert_int_equal(reopen(c), 0);
	assert_int_equal(rlog_term(c->log), 2);
	assert_int_equal(mem_disk_flip_bit(c->disk, "ms.meta", 100), 0);
	assert_int_equal(reopen(c), -DER_NONEXIST);
	c->log = NULL;
	return 0;
}

static void
test_damage(void **state)
{
	assert_int_equal(in_co(*state, body_damage), 0);
}

/* --- crash at every write -------------------------------------------------------------------- */

/* What the log must contain: entry i (from 1) has terms[i] and content nrs[i]. */
struct model {
	uint64_t snap; /* index of the newest snapshot */
	uint64_t last;
	uint64_t terms[2048];
	uint64_t nrs[2048];
};

static struct model before; /* the interrupted step */
static struct model after;

/* One step of a fixed scenario; false when it is over. */
static int
step(struct ctx *c, uint32_t i, struct model *m, bool *ret_more)
{
	uint64_t first = m->last + 1;
	uint64_t term = 1 + i / 8;
	uint32_t n = 1 + i % 5;
	uint32_t k;
	int rc;

	*ret_more = i < 40;
	if (i % 13 == 12) { /* a snapshot of our own */
		m->snap = m->last - 1;
		rc = save_snap(c->log, m->snap, m->terms[m->snap], "mine", 6);
		return rc;
	}
	if (i == 25) { /* the leader's, over a conflicting log */
		m->snap = m->last - 3;
		m->terms[m->snap] = 50;
		m->nrs[m->snap] = 0;
		m->last = m->snap;
		return save_snap(c->log, m->snap, 50, "leader's", 0);
	}
	if (i == 31) { /* and far ahead of it */
		m->snap = m->last + 100;
		m->terms[m->snap] = 60;
		m->last = m->snap;
		return save_snap(c->log, m->snap, 60, "ahead", 0);
	}
	if (i % 6 == 5 && m->last > m->snap + 3)
		first -= 2; /* truncation */
	for (k = 0; k < n; k++) {
		m->terms[first + k] = term;
		m->nrs[first + k] = i * 100 + k;
	}
	m->last = first + n - 1;
	return append(c->log, first, n, term, i * 100);
}

static bool
matches(const struct model *m, const struct loaded *l)
{
	uint64_t last = l->n != 0 ? l->start + l->n - 1 : l->snap != NULL ? l->snap->index : 0;
	uint64_t i;

	if ((l->snap != NULL ? l->snap->index : 0) != m->snap || last != m->last)
		return false;
	for (i = m->snap + 1; i <= m->last; i++) {
		const struct raft_entry *e;
		uint8_t want[5000];
		size_t len = fill(want, m->nrs[i]);

		if (i < l->start)
			return false;
		e = &l->entries[i - l->start];
		if (e->term != m->terms[i] || e->buf.len != len ||
		    memcmp(e->buf.base, want, len) != 0)
			return false;
	}
	return true;
}

static uint32_t crash_states;

static int
body_crash(struct ctx *c)
{
	uint64_t stop;

	for (stop = 1;; stop++) {
		bool more = true;
		uint32_t i;
		uint64_t base;
		struct loaded l;
		int rc;

		assert_int_equal(rlog_format(c->xs, c->dir, "ms", &ident, NULL, &c->log), 0);
		assert_int_equal(load(c, &l), 0);
		memset(&before, 0, sizeof(before));
		after = before;
		base = mem_disk_writes(c->disk);
		mem_disk_stop_at(c->disk, base + stop);
		for (i = 0, rc = 0; rc == 0 && more; i++) {
			before = after;
			rc = step(c, i, &after, &more);
		}
		rlog_close(c->log);
		c->log = NULL;
		dev_dir_close(c->dir);
		if (rc == 0) { /* survived whole */
			mem_disk_stop_at(c->disk, 0);
			assert_int_equal(mem_disk_open(c->disk, &c->dir), 0);
			return 0;
		}
		assert_int_equal(rc, -DER_SHUTDOWN);
		mem_disk_stop_at(c->disk, 0);
		mem_disk_restart(c->disk, stop % 4 == 0 ? NULL : rnd_next, &c->rnd);
		assert_int_equal(mem_disk_open(c->disk, &c->dir), 0);
		assert_int_equal(rlog_open(c->xs, c->dir, "ms", &c->log), 0);
		assert_int_equal(load(c, &l), 0);
		crash_states++;
		if (!matches(&before, &l) && !matches(&after, &l))
			fail_msg("crash at write %llu, step %u: neither before nor after",
				 (unsigned long long)stop, i - 1);
		/* And it can be written to: what comes now is found again. */
		assert_int_equal(append(c->log, l.start + l.n, 1, 99, 77), 0);
		unload(&l);
		assert_int_equal(reopen(c), 0);
		assert_int_equal(load(c, &l), 0);
		assert_int_equal(l.entries[l.n - 1].term, 99);
		unload(&l);
		rlog_close(c->log);
		c->log = NULL;
	}
}

static void
test_crash(void **state)
{
	struct ctx *c = *state;
	uint64_t seed;

	for (seed = 0; seed < 4; seed++) {
		c->rnd = seed;
		assert_int_equal(in_co(c, body_crash), 0);
	}
	print_message("%u crash states\n", crash_states);
	assert_true(crash_states > 200);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_snapshots, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_crash, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
