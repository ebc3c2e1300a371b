/*
 * Merging by aggregation: small neighbours become one extent, in the right tier and in exactly as
 * many bytes as they need; snapshots read the same before and after; space that is mostly unused
 * comes back; updates and reads in the middle of it are right.
 */
#include "store/vos/test_vos_util.h"

#include "base/hash.h"
#include "store/vos/vos_internal.h"

enum { ARRAY_MAX = 4 << 20 };

struct m {
	struct tpool t;
	struct vos_cont *cont;
	uint64_t epoch;
	uint8_t *want, *got;
};

/* All of it is run without checksums and with some. */
static struct vos_cont_conf conf;

static const uuid_t uuid = {1};
static const struct vos_oid oid = {.id = {.lo = 1, .hi = (uint64_t)DAOS_OT_MULTI_HASHED << 56}};

static int co_fn
m_open(struct m *m)
{
	struct tpool *t = &m->t;

	check_rc(vos_pool_create(t->dir, t->xs, &t->conf), 0);
	check_rc(vos_pool_open(t->dir, t->xs, &t->conf, &t->pool), 0);
	check_rc(vos_cont_create_with(t->pool, uuid, &conf), 0);
	check_rc(vos_cont_open(t->pool, uuid, &m->cont), 0);
	m->epoch = 100;
	m->want = malloc(ARRAY_MAX);
	m->got = malloc(ARRAY_MAX);
	memset(m->want, 0xee, ARRAY_MAX);
	return 0;
}

static int co_fn
m_close(struct m *m)
{
	vos_pool_settle(m->t.pool);
	check_rc(vos_pool_verify(m->t.pool), 0);
	vos_cont_close(m->cont);
	vos_pool_close(m->t.pool);
	check_rc(vos_pool_open(m->t.dir, m->t.xs, &m->t.conf, &m->t.pool), 0);
	check_rc(vos_pool_verify(m->t.pool), 0);
	vos_pool_close(m->t.pool);
	free(m->want);
	free(m->got);
	return 0;
}

/* Write [off, off + len) of the array, and of what it should hold. */
static int co_fn
put(struct m *m, const char *akey, uint64_t off, uint64_t len)
{
	daos_recx_t recx = {.rx_idx = off, .rx_nr = len};
	uint64_t i;

	m->epoch++;
	for (i = 0; i < len; i++)
		m->want[off + i] = hash_u64(m->epoch * 77 + i / 8) >> (8 * (i % 8));
	return tput(m->cont, oid, m->epoch, 0, skey("d"), akey, &recx, 1, m->want + off, len, NULL);
}

static int co_fn
same_at(struct m *m, const char *akey, uint64_t epoch, const uint8_t *want)
{
	daos_recx_t recx = {.rx_idx = 0, .rx_nr = ARRAY_MAX};

	check(tget(m->cont, oid, epoch, 0, skey("d"), akey, &recx, m->got, ARRAY_MAX, NULL) ==
	      ARRAY_MAX);
	for (uint64_t i = 0; i < ARRAY_MAX; i++)
		if (m->got[i] != want[i]) {
			fprintf(stderr, "byte %llu at epoch %llu\n", (unsigned long long)i,
				(unsigned long long)epoch);
			return -DER_MISC;
		}
	return 0;
}

static int co_fn
aggregate(struct m *m, uint64_t below, const uint64_t *keep, uint32_t keep_nr)
{
	bool more = true;

	while (more)
		check_rc(vos_aggregate(m->cont, below, keep, keep_nr, 1000, &more), 0);
	vos_pool_settle(m->t.pool);
	return vos_pool_verify(m->t.pool);
}

struct shape {
	uint32_t segs, vers, counted;
	bool tree;
	uint64_t used_blk; /* of the pool */
	uint64_t heap;     /* used bytes of the pool */
};

static int
look(struct m *m, const char *akey, struct shape *s)
{
	struct heap *heap = m->t.pool->heap;
	daos_key_t name = skey(akey), dname = skey("d");
	struct vos_seg_iter it;
	struct vos_key dkey, ak;
	struct vos_krec k;
	uint64_t obj, d, a;
	struct vos_seg seg;
	struct heap_stats hs;
	int rc;

	*s = (struct shape){0};
	check_rc(vos_key_check(BTREE_HASH, &dname, &dkey), 0);
	check_rc(vos_key_check(BTREE_HASH, &name, &ak), 0);
	check_rc(vos_path_find(m->cont, &oid, &dkey, &obj, &d), 0);
	check_rc(vos_child_find(heap, d, VOS_KEY_DKEY, BTREE_HASH, &ak, &a), 0);
	check_rc(vos_krec_get(heap, a, VOS_KEY_AKEY, &k), 0);
	check_rc(vos_seg_iter_init(&it, heap, &k), 0);
	s->tree = k.tag == VOS_CHILD_TREE;
	rc = vos_seg_iter_seek(&it, BTREE_FIRST, 0);
	for (; rc == 0; rc = vos_seg_iter_next(&it)) {
		struct vos_ver_df ver;

		check_rc(vos_seg_iter_get(&it, &seg), 0);
		s->segs++;
		for (ver = seg.df.ver;; ver = *(struct vos_ver_df *)heap_ptr(heap, ver.older)) {
			s->vers++;
			s->counted += ver.kind == VOS_VER_COUNTED;
			if (ver.older == 0)
				break;
		}
	}
	vos_seg_iter_fini(&it);
	if (m->t.pool->space != NULL) {
		struct space_stats ss;

		space_stats(m->t.pool->space, &ss);
		s->used_blk = ss.used_blk;
	}
	heap_stats(heap, &hs);
	s->heap = hs.used_bytes;
	return 0;
}

static void
run(int (*fn)(void *), uint64_t nvme_bytes)
{
	struct m m;

	tpool_init(&m.t, 32 << 20, nvme_bytes);
	tpool_run(&m.t, fn, &m);
	tpool_fini(&m.t);
}

/* A log that grows by small appends: pieces in the heap become blocks. */
static int
appends(void *arg)
{
	struct m *m = arg;
	struct shape before, after;
	uint64_t i;

	check_rc(m_open(m), 0);
	for (i = 0; i < 160; i++)
		check_rc(put(m, "a", i * 100, 100), 0);
	check_rc(look(m, "a", &before), 0);
	check(before.segs == 160 && before.used_blk == 0 && before.tree);
	check_rc(aggregate(m, m->epoch, NULL, 0), 0);
	check_rc(look(m, "a", &after), 0);
	check(after.segs == 1 && after.vers == 1 && !after.tree);
	check(after.used_blk == 4); /* 16,000 bytes */
	check(before.heap > 160 * (112 + 56) && after.heap < 5000);
	check_rc(same_at(m, "a", UINT64_MAX, m->want), 0);
	/* a few more: not worth copying the large one for, but they merge with each other */
	for (; i < 163; i++)
		check_rc(put(m, "a", i * 100, 100), 0);
	check_rc(aggregate(m, m->epoch, NULL, 0), 0);
	check_rc(look(m, "a", &after), 0);
	check(after.segs == 2 && after.used_blk == 4);
	/* and once they are many, all do */
	for (; i < 400; i++)
		check_rc(put(m, "a", i * 100, 100), 0);
	check_rc(aggregate(m, m->epoch, NULL, 0), 0);
	check_rc(look(m, "a", &after), 0);
	check(after.segs == 1 && after.used_blk == 10);
	check_rc(same_at(m, "a", UINT64_MAX, m->want), 0);
	return m_close(m);
}

static void
test_appends(void **state)
{
	run(appends, 64 << 20);
}

/* The same without an NVMe tier: it stays in the heap, in larger pieces. */
static int
appends_scm(void *arg)
{
	struct m *m = arg;
	struct shape before, after;
	uint64_t i;

	check_rc(m_open(m), 0);
	for (i = 0; i < 1000; i++)
		check_rc(put(m, "a", i * 100, 100), 0);
	check_rc(look(m, "a", &before), 0);
	check_rc(aggregate(m, m->epoch, NULL, 0), 0);
	check_rc(look(m, "a", &after), 0);
	check(after.segs <= 4 && after.heap < before.heap - 35000);
	check_rc(same_at(m, "a", UINT64_MAX, m->want), 0);
	return m_close(m);
}

static void
test_appends_scm(void **state)
{
	run(appends_scm, 0);
}

/* Blocks written one after the other are joined without being read or written. */
static int
sequential(void *arg)
{
	struct m *m = arg;
	struct data_stats before, after;
	struct shape s;
	uint64_t i;

	check_rc(m_open(m), 0);
	for (i = 0; i < 200; i++)
		check_rc(put(m, "a", i * 4096, 4096), 0);
	check_rc(look(m, "a", &s), 0);
	check(s.segs == 200 && s.used_blk == 200);
	data_stats(m->t.pool->data, &before);
	check_rc(aggregate(m, m->epoch, NULL, 0), 0);
	data_stats(m->t.pool->data, &after);
	check(before.write_nr == after.write_nr && before.read_nr == after.read_nr);
	check_rc(look(m, "a", &s), 0);
	check(s.segs == 1 && s.vers == 1 && s.used_blk == 200 && !s.tree);
	check_rc(same_at(m, "a", UINT64_MAX, m->want), 0);
	/* cut out of the middle again: all its blocks come back */
	check_rc(put(m, "a", 4096, 198 * 4096), 0);
	check_rc(look(m, "a", &s), 0);
	check(s.segs == 3 && s.used_blk >= 200 &&
	      s.used_blk <= 200 + 2 * (conf.csum_chunk + 4095) / 4096);
	check_rc(same_at(m, "a", UINT64_MAX, m->want), 0);
	/* with checksums the rest of the chunks at both sides comes back now */
	check_rc(aggregate(m, m->epoch, NULL, 0), 0);
	check_rc(look(m, "a", &s), 0);
	check(s.used_blk == 200);
	check_rc(same_at(m, "a", UINT64_MAX, m->want), 0);
	return m_close(m);
}

static void
test_sequential(void **state)
{
	run(sequential, 64 << 20);
}

/* Neighbours that lie apart on the device are copied, until they are large enough. */
static int
scattered(void *arg)
{
	struct m *m = arg;
	struct data_stats before, after;
	struct shape s;
	uint64_t i;

	check_rc(m_open(m), 0);
	/* even ones first, then odd ones */
	for (i = 0; i < 512; i++)
		check_rc(put(m, "a", (i * 2 % 512 + (i >= 256)) * 5000, 5000), 0);
	check_rc(look(m, "a", &s), 0);
	check(s.segs == 512 && s.used_blk == 1024);
	data_stats(m->t.pool->data, &before);
	check_rc(aggregate(m, m->epoch, NULL, 0), 0);
	data_stats(m->t.pool->data, &after);
	check_rc(look(m, "a", &s), 0);
	check(s.segs <= 3 && s.used_blk <= 512 * 5000 / 4096 + s.segs);
	/* each byte once, in large writes */
	check(after.written_bytes - before.written_bytes <= s.used_blk * 4096);
	check(after.write_req_nr - before.write_req_nr <= 3);
	check_rc(same_at(m, "a", UINT64_MAX, m->want), 0);
	return m_close(m);
}

static void
test_scattered(void **state)
{
	run(scattered, 64 << 20);
}

/* Snapshots: layers merge each for itself, and read the same. */
static int
snapshots(void *arg)
{
	struct m *m = arg;
	uint8_t *at_s[2] = {malloc(ARRAY_MAX), malloc(ARRAY_MAX)};
	uint64_t keep[2], i, n;
	struct shape s;

	check_rc(m_open(m), 0);
	check_rc(vos_cont_set_keep(m->cont, 1, NULL, 0), 0);
	for (n = 0; n < 2; n++) {
		for (i = 0; i < 100; i++)
			check_rc(put(m, "a", i * 200, 200), 0);
		keep[n] = m->epoch;
		memcpy(at_s[n], m->want, ARRAY_MAX);
	}
	/* over parts of it again, at other borders, twice */
	for (n = 0; n < 2; n++)
		for (i = 0; i < 50; i++)
			check_rc(put(m, "a", 9000 + i * 100, 100), 0);
	check_rc(aggregate(m, m->epoch, keep, 2), 0);
	check_rc(same_at(m, "a", keep[0], at_s[0]), 0);
	check_rc(same_at(m, "a", keep[1], at_s[1]), 0);
	check_rc(same_at(m, "a", UINT64_MAX, m->want), 0);
	check_rc(look(m, "a", &s), 0);
	/* two layers everywhere, three where it was written again */
	check(s.segs == 3 && s.vers == 2 + 3 + 2);
	check(s.counted == 0);
	/* one snapshot goes */
	check_rc(aggregate(m, m->epoch, keep + 1, 1), 0);
	check_rc(same_at(m, "a", keep[1], at_s[1]), 0);
	check_rc(same_at(m, "a", UINT64_MAX, m->want), 0);
	check_rc(look(m, "a", &s), 0);
	check(s.vers == s.segs + 1 && s.segs == 3);
	/* and the other */
	check_rc(aggregate(m, ++m->epoch, NULL, 0), 0);
	check_rc(same_at(m, "a", UINT64_MAX, m->want), 0);
	check_rc(look(m, "a", &s), 0);
	check(s.vers == 1 && s.segs == 1 && s.used_blk == 5);
	free(at_s[0]);
	free(at_s[1]);
	return m_close(m);
}

static void
test_snapshots(void **state)
{
	run(snapshots, 64 << 20);
}

/* Neighbours, one written before a snapshot and one after it: they merge only when it goes. */
static int
across(void *arg)
{
	struct m *m = arg;
	uint8_t *at_s = malloc(ARRAY_MAX);
	struct shape s;
	uint64_t keep;

	check_rc(m_open(m), 0);
	check_rc(vos_cont_set_keep(m->cont, 1, NULL, 0), 0);
	check_rc(put(m, "a", 0, 300), 0);
	keep = m->epoch;
	memcpy(at_s, m->want, ARRAY_MAX);
	check_rc(put(m, "a", 300, 300), 0);
	check_rc(aggregate(m, m->epoch, &keep, 1), 0);
	check_rc(look(m, "a", &s), 0);
	check(s.segs == 2);
	check_rc(same_at(m, "a", keep, at_s), 0);
	check_rc(same_at(m, "a", UINT64_MAX, m->want), 0);
	check_rc(aggregate(m, m->epoch, NULL, 0), 0);
	check_rc(look(m, "a", &s), 0);
	check(s.segs == 1);
	check_rc(same_at(m, "a", UINT64_MAX, m->want), 0);
	free(at_s);
	return m_close(m);
}

static void
test_across(void **state)
{
	run(across, 64 << 20);
}

/* Of a shared extent little is still used: its blocks come back. */
static int
mostly_dead(void *arg)
{
	struct m *m = arg;
	struct shape s;
	uint64_t i;

	check_rc(m_open(m), 0);
	check_rc(put(m, "a", 0, 1 << 20), 0);
	/* small writes, not at block borders: what is between shares the extent */
	for (i = 0; i < 8; i++)
		check_rc(put(m, "a", 1000 + i * 131072, 100), 0);
	check_rc(look(m, "a", &s), 0);
	check(s.counted == 9 && s.used_blk == 256);
	/* most of it is overwritten elsewhere */
	for (i = 0; i < 8; i++)
		check_rc(put(m, "a", 1100 + i * 131072, 120000), 0);
	check_rc(look(m, "a", &s), 0);
	check(s.counted >= 8 && s.used_blk >= 256 + 8 * 29);
	check_rc(aggregate(m, m->epoch, NULL, 0), 0);
	check_rc(look(m, "a", &s), 0);
	check(s.counted == 0 && s.used_blk <= 256 + 8);
	check_rc(same_at(m, "a", UINT64_MAX, m->want), 0);
	return m_close(m);
}

static void
test_mostly_dead(void **state)
{
	run(mostly_dead, 64 << 20);
}

/* The last user of a shared extent gets it for itself; what it does not use comes back. */
static int
last_user(void *arg)
{
	struct m *m = arg;
	struct shape s;

	check_rc(m_open(m), 0);
	check_rc(put(m, "a", 0, 1 << 20), 0);
	check_rc(put(m, "a", 500000, 100), 0);
	check_rc(put(m, "a", 0, 500000), 0);
	check_rc(look(m, "a", &s), 0);
	check(s.counted == 1 && s.used_blk == 256 + 123);
	check_rc(aggregate(m, m->epoch, NULL, 0), 0);
	check_rc(look(m, "a", &s), 0);
	check(s.counted == 0 && s.used_blk == 123 + (256 - 500100 / 4096) + 0);
	check_rc(same_at(m, "a", UINT64_MAX, m->want), 0);
	return m_close(m);
}

static void
test_last_user(void **state)
{
	run(last_user, 64 << 20);
}

/* Above `below` nothing merges: something may still come between. */
static int
late(void *arg)
{
	struct m *m = arg;
	uint64_t i, half;
	struct shape s;

	check_rc(m_open(m), 0);
	for (i = 0; i < 10; i++)
		check_rc(put(m, "a", i * 100, 100), 0);
	half = m->epoch;
	for (; i < 20; i++)
		check_rc(put(m, "a", i * 100, 100), 0);
	check_rc(aggregate(m, half, NULL, 0), 0);
	check_rc(look(m, "a", &s), 0);
	check(s.segs == 11);
	check_rc(aggregate(m, m->epoch, NULL, 0), 0);
	check_rc(look(m, "a", &s), 0);
	check(s.segs == 1);
	check_rc(same_at(m, "a", UINT64_MAX, m->want), 0);
	return m_close(m);
}

static void
test_late(void **state)
{
	run(late, 64 << 20);
}

/* The threshold, of the container or the pool, says where values go; accounts follow to the byte.
 */
static int
tiers(void *arg)
{
	struct m *m = arg;
	struct vos_cont_space was, is;
	struct vos_space pool;
	struct shape s;
	uint64_t i;

	check_rc(m_open(m), 0);
	vos_cont_space(m->cont, &was);
	check(was.scm_used == heap_alloc_size(sizeof(struct vos_cont_df)) && was.nvme_used == 0);
	check_rc(put(m, "a", 0, 4095), 0);
	vos_cont_space(m->cont, &is);
	check(is.scm_used > 4095 && is.nvme_used == 0);
	check_rc(put(m, "a", 5000, 4096), 0);
	vos_cont_space(m->cont, &is);
	check(is.nvme_used == 4096);
	/* everything to the NVMe tier */
	check_rc(vos_cont_set_data_thresh(m->cont, 1), 0);
	check_rc(put(m, "a", 10000, 10), 0);
	vos_cont_space(m->cont, &is);
	check(is.nvme_used == 2 * 4096);
	/* nothing, also in a pool that says otherwise, and after it was opened again */
	check_rc(vos_cont_set_data_thresh(m->cont, VOS_THRESH_SCM), 0);
	vos_cont_close(m->cont);
	vos_pool_close(m->t.pool);
	check_rc(vos_pool_open(m->t.dir, m->t.xs, &m->t.conf, &m->t.pool), 0);
	check_rc(vos_cont_open(m->t.pool, uuid, &m->cont), 0);
	vos_pool_set_data_thresh(m->t.pool, 1);
	check_rc(put(m, "a", 20000, 200000), 0);
	vos_cont_space(m->cont, &is);
	check(is.nvme_used == 2 * 4096 && is.scm_used > 200000);
	/* what cannot stay goes after all */
	check_rc(put(m, "a", 1 << 20, 600 << 10), 0);
	vos_cont_space(m->cont, &is);
	check(is.nvme_used == 2 * 4096 + (600 << 10));
	check_rc(put(m, "a", 2 << 20, 2 << 20), 0);
	/* as the pool again; what merges moves */
	check_rc(vos_cont_set_data_thresh(m->cont, 0), 0);
	check_rc(put(m, "a", 20000, 10), 0);
	vos_pool_set_data_thresh(m->t.pool, 8192);
	for (i = 0; i < 100; i++)
		check_rc(put(m, "b", i * 100, 100), 0);
	vos_cont_space(m->cont, &was);
	check_rc(aggregate(m, m->epoch, NULL, 0), 0);
	check_rc(look(m, "b", &s), 0);
	check(s.segs == 1);
	vos_cont_space(m->cont, &is);
	vos_pool_space(m->t.pool, &pool);
	check(is.scm_used < was.scm_used - 10000);
	check(pool.nvme_used == is.nvme_used && pool.nvme_used == s.used_blk * 4096);
	check(pool.nvme_used + pool.nvme_free + pool.nvme_reserved + pool.nvme_freeing <=
	      pool.nvme_total);
	return m_close(m);
}

static void
test_tiers(void **state)
{
	run(tiers, 64 << 20);
}

/* That all is aggregated is known after a restart too, until something is written, or a snapshot
 * goes. */
static int
settled(void *arg)
{
	struct m *m = arg;
	uint64_t keep;

	check_rc(m_open(m), 0);
	check_rc(put(m, "a", 0, 100), 0);
	check(!vos_cont_settled(m->cont));
	keep = m->epoch;
	check_rc(put(m, "a", 0, 100), 0);
	check_rc(aggregate(m, m->epoch, &keep, 1), 0);
	check(vos_cont_settled(m->cont));
	vos_cont_close(m->cont);
	vos_pool_close(m->t.pool);
	check_rc(vos_pool_open(m->t.dir, m->t.xs, &m->t.conf, &m->t.pool), 0);
	check_rc(vos_cont_open(m->t.pool, uuid, &m->cont), 0);
	check(vos_cont_settled(m->cont));
	check_rc(vos_cont_set_keep(m->cont, UINT64_MAX, &keep, 1), 0);
	check(vos_cont_settled(m->cont));
	check_rc(vos_cont_set_keep(m->cont, UINT64_MAX, NULL, 0), 0);
	check(!vos_cont_settled(m->cont));
	check_rc(aggregate(m, m->epoch, NULL, 0), 0);
	check(vos_cont_settled(m->cont));
	check_rc(put(m, "a", 0, 100), 0);
	check(!vos_cont_settled(m->cont));
	return m_close(m);
}

static void
test_settled(void **state)
{
	run(settled, 64 << 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_appends),     cmocka_unit_test(test_appends_scm),
	    cmocka_unit_test(test_sequential),  cmocka_unit_test(test_scattered),
	    cmocka_unit_test(test_snapshots),   cmocka_unit_test(test_across),
	    cmocka_unit_test(test_mostly_dead), cmocka_unit_test(test_last_user),
	    cmocka_unit_test(test_late),        cmocka_unit_test(test_tiers),
	    cmocka_unit_test(test_settled),
	};

	static const struct vos_cont_conf confs[] = {
	    {0},
	    {.csum_type = DAOS_PROP_CO_CSUM_CRC32, .csum_chunk = 32768},
	    {.csum_type = DAOS_PROP_CO_CSUM_CRC32, .csum_chunk = 4096},
	    {.csum_type = DAOS_PROP_CO_CSUM_SHA1, .csum_chunk = 5000},
	};
	int failed = 0;
	size_t i;

	for (i = 0; i < sizeof(confs) / sizeof(confs[0]); i++) {
		conf = confs[i];
		failed += cmocka_run_group_tests(tests, NULL, NULL);
	}
	return failed;
}
