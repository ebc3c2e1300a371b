/*
 * Concurrent updates, fetches, punches and listings on simulated devices with latencies, a cache
 * much smaller than the data and little free space, so that blocks are read from the device while
 * others overwrite, free and reuse them. Each value names itself: a fetch must give one whole
 * value, never older than what was durable when it began. One array is written in small pieces that
 * aggregation merges all the while.
 */
#include "store/vos/test_vos_util.h"

#include "base/hash.h"
#include "runtime/sim.h"
#include "store/vos/vos_internal.h"
#include "store/vos/vos_model.h"

enum {
	KEYS = 300,
	VALUE = 24000,
	WRITERS = 6,
	READERS = 8,
	OPS = 150,
	PIECES = 128, /* of one array */
	PIECE = 700,
	PIECE_WRITERS = 2,
	PIECE_READERS = 3,
	BUSY = 32,
};

struct conc {
	struct sim *sim;
	struct xs *xs;
	struct mem_disk *disk;
	struct dev_dir *dir;
	struct vos_pool_conf conf;
	struct vos_pool *pool;
	struct vos_cont *cont;
	struct vm_rng rng;
	uint64_t epoch;
	uint64_t durable[KEYS]; /* epoch of the newest acknowledged update */
	uint64_t reads, listed;
	uint64_t busy[BUSY];    /* epochs of updates under way */
	uint64_t piece[PIECES]; /* as durable */
	uint32_t piece_writers; /* still at work */
};

static const struct vos_oid oid = {.id = {.lo = 5, .hi = (uint64_t)DAOS_OT_MULTI_UINT64 << 56}};

static uint8_t
value_byte(uint64_t key, uint64_t epoch, uint64_t i)
{
	return hash_u64(key * 1000003 + epoch * 31 + i / 512);
}

static uint64_t *
busy_begin(struct conc *c, uint64_t epoch)
{
	uint32_t i = 0;

	while (c->busy[i] != 0)
		i++;
	assert(i < BUSY);
	c->busy[i] = epoch;
	return &c->busy[i];
}

/* The newest epoch at or below which nothing is to come. */
static uint64_t
settled(const struct conc *c)
{
	uint64_t e = c->epoch;
	uint32_t i;

	for (i = 0; i < BUSY; i++)
		if (c->busy[i] != 0 && c->busy[i] <= e)
			e = c->busy[i] - 1;
	return e;
}

struct kv {
	uint64_t dnum, anum;
	daos_key_t dkey;
	daos_iod_t iod;
	daos_recx_t recx;
	struct vos_io io;
};

static void
kv_init(struct kv *kv, uint64_t key, uint64_t epoch)
{
	bool array = key % 2;

	kv->dnum = key;
	kv->anum = 1;
	kv->dkey = (daos_key_t){.iov_buf = &kv->dnum, .iov_buf_len = 8, .iov_len = 8};
	kv->recx = (daos_recx_t){.rx_idx = key * 10, .rx_nr = VALUE};
	kv->iod = (daos_iod_t){
	    .iod_name = {.iov_buf = &kv->anum, .iov_buf_len = 8, .iov_len = 8},
	    .iod_type = array ? DAOS_IOD_ARRAY : DAOS_IOD_SINGLE,
	    .iod_size = array ? 1 : VALUE,
	    .iod_nr = 1,
	    .iod_recxs = &kv->recx,
	};
	kv->io = (struct vos_io){
	    .oid = oid, .epoch = epoch, .dkey = &kv->dkey, .iods = &kv->iod, .iod_nr = 1};
}

static int co_fn
write_key(struct conc *c, uint64_t key)
{
	uint64_t epoch = ++c->epoch, pos = 0, *busy = busy_begin(c, epoch);
	const struct iovec *iov;
	struct vos_update *up;
	struct kv kv;
	uint32_t i, nr;
	size_t j;

	kv_init(&kv, key, epoch);
	check_rc(vos_update_begin(c->cont, &kv.io, &up), 0);
	/* the data takes its time to arrive */
	if (vm_below(&c->rng, 4) == 0)
		co_sleep_ns(vm_below(&c->rng, 300000));
	iov = vos_update_iov(up, 0, &nr);
	for (i = 0; i < nr; i++)
		for (j = 0; j < iov[i].iov_len; j++, pos++) {
			uint8_t *p = (uint8_t *)iov[i].iov_base + j;

			*p = pos < 8 ? (uint8_t)(epoch >> (8 * pos)) : value_byte(key, epoch, pos);
		}
	check(pos == VALUE);
	check_rc(vos_update_end(up), 0);
	*busy = 0;
	if (epoch > c->durable[key])
		c->durable[key] = epoch;
	return 0;
}

static int co_fn
read_key(struct conc *c, uint64_t key)
{
	uint64_t least = c->durable[key], pos = 0, epoch = 0;
	const struct iovec *iov;
	struct vos_fetch *f;
	struct kv kv;
	uint32_t i, nr;
	size_t j;

	kv_init(&kv, key, UINT64_MAX);
	check_rc(vos_fetch_begin(c->cont, &kv.io, 0, &f), 0);
	/* what was given stays as it is, whatever happens meanwhile */
	if (vm_below(&c->rng, 3) == 0)
		co_sleep_ns(vm_below(&c->rng, 1000000));
	iov = vos_fetch_iov(f, 0, &nr);
	for (i = 0; i < nr; i++) {
		check(iov[i].iov_base != NULL);
		for (j = 0; j < iov[i].iov_len; j++, pos++) {
			uint8_t b = ((uint8_t *)iov[i].iov_base)[j];

			if (pos < 8)
				epoch |= (uint64_t)b << (8 * pos);
			else
				check(b == value_byte(key, epoch, pos));
		}
	}
	check(pos == VALUE || (nr == 0 && least == 0));
	check(epoch >= least && epoch <= c->epoch);
	vos_fetch_end(f);
	c->reads++;
	return 0;
}

static int co_fn
writer(void *arg)
{
	struct conc *c = arg;
	int i;

	for (i = 0; i < OPS; i++)
		check_rc(write_key(c, vm_below(&c->rng, KEYS)), 0);
	return 0;
}

static int co_fn
reader(void *arg)
{
	struct conc *c = arg;
	int i;

	for (i = 0; i < OPS * 2; i++)
		check_rc(read_key(c, vm_below(&c->rng, KEYS)), 0);
	return 0;
}

static int
list_cb(const struct vos_entry *e, void *arg)
{
	struct conc *c = arg;

	c->listed++;
	return vm_below(&c->rng, 50) == 0;
}

/* All keys are there from the start: each listing sees all of them, or stops and goes on. */
static int co_fn
lister(void *arg)
{
	struct conc *c = arg;
	struct vos_list list = {.kind = VOS_LIST_DKEY, .oid = oid, .epoch = UINT64_MAX};
	int i;

	for (i = 0; i < 20; i++) {
		struct vos_anchor anchor = {0};
		uint64_t before = c->listed, stops = 0;

		while (anchor.state != 2) {
			check_rc(vos_list(c->cont, &list, &anchor, list_cb, c), 0);
			stops += anchor.state != 2;
			co_sleep_ns(50000);
		}
		check(c->listed - before == KEYS + stops);
	}
	return 0;
}

/* Punches and containers beside it, which must not touch the keys above. */
static int co_fn
breaker(void *arg)
{
	static const uuid_t other = {9};
	struct conc *c = arg;
	struct vos_oid victim = oid;
	struct vos_cont *cont;
	uint64_t *busy;
	int i;

	victim.id.lo++;
	for (i = 0; i < 40; i++) {
		daos_key_t dkey = {.iov_buf = "abcdefgh", .iov_buf_len = 8, .iov_len = 8};
		uint8_t data[9000];

		memset(data, i, sizeof(data));
		check_rc(vos_cont_create(c->pool, other), 0);
		check_rc(vos_cont_open(c->pool, other, &cont), 0);
		check_rc(tput(cont, victim, ++c->epoch, 0, dkey, "12345678", NULL, sizeof(data),
			      data, sizeof(data), NULL),
			 0);
		busy = busy_begin(c, ++c->epoch);
		check_rc(tput(c->cont, victim, *busy, 0, dkey, "12345678", NULL, sizeof(data), data,
			      sizeof(data), NULL),
			 0);
		*busy = 0;
		vos_cont_close(cont);
		check_rc(vos_cont_destroy(c->pool, other), 0);
		busy = busy_begin(c, ++c->epoch);
		check_rc(vos_punch(c->cont, &victim, *busy, 0, NULL, NULL, 0, NULL), 0);
		*busy = 0;
	}
	return 0;
}

/* --- an array in pieces, merged while it is written and read -----------------------------------
 */

static const struct vos_oid array_oid = {
    .id = {.lo = 77, .hi = (uint64_t)DAOS_OT_MULTI_HASHED << 56}};

static int co_fn
write_piece(struct conc *c, uint64_t i)
{
	daos_recx_t recx = {.rx_idx = i * PIECE, .rx_nr = PIECE};
	uint64_t epoch = ++c->epoch, pos, *busy = busy_begin(c, epoch);
	uint8_t data[PIECE];

	for (pos = 0; pos < PIECE; pos++)
		data[pos] = pos < 8 ? (uint8_t)(epoch >> (8 * pos)) : value_byte(i, epoch, pos);
	check_rc(tput(c->cont, array_oid, epoch, 0, skey("d"), "a", &recx, 1, data, PIECE, NULL),
		 0);
	*busy = 0;
	if (epoch > c->piece[i])
		c->piece[i] = epoch;
	return 0;
}

static int co_fn
piece_writer(void *arg)
{
	struct conc *c = arg;
	int i;

	for (i = 0; i < OPS * 4; i++) {
		check_rc(write_piece(c, vm_below(&c->rng, PIECES)), 0);
		if (vm_below(&c->rng, 8) == 0)
			co_sleep_ns(vm_below(&c->rng, 500000));
	}
	c->piece_writers--;
	return 0;
}

/* Read a stretch of pieces: each is one that somebody wrote, and not an old one. */
static int co_fn
piece_reader(void *arg)
{
	struct conc *c = arg;
	uint8_t *data = malloc(PIECES * PIECE);
	uint64_t least[PIECES], i, pos, epoch;

	while (c->piece_writers != 0) {
		uint64_t lo = vm_below(&c->rng, PIECES), nr = 1 + vm_below(&c->rng, PIECES - lo);
		daos_recx_t recx = {.rx_idx = lo * PIECE, .rx_nr = nr * PIECE};

		memcpy(least, c->piece, sizeof(least));
		check(tget(c->cont, array_oid, UINT64_MAX, 0, skey("d"), "a", &recx, data,
			   nr * PIECE, NULL) == nr * PIECE);
		for (i = 0; i < nr; i++) {
			const uint8_t *p = data + i * PIECE;

			memcpy(&epoch, p, sizeof(epoch));
			check(epoch >= least[lo + i] && epoch <= c->epoch);
			for (pos = 8; pos < PIECE; pos++)
				check(p[pos] == value_byte(lo + i, epoch, pos));
		}
		co_sleep_ns(vm_below(&c->rng, 200000));
	}
	free(data);
	return 0;
}

static int co_fn
merger(void *arg)
{
	struct conc *c = arg;
	bool more;

	while (c->piece_writers != 0) {
		uint64_t below = settled(c);

		do
			check_rc(vos_aggregate(c->cont, below, NULL, 0, 10000, &more), 0);
		while (more);
		co_sleep_ns(vm_below(&c->rng, 300000));
	}
	check(c->pool->merged_nr > PIECES);
	return 0;
}

static int
conc_main(void *arg)
{
	static const uuid_t uuid = {1};
	struct conc *c = arg;
	struct co_group g;
	uint64_t key;
	int i;

	check_rc(mem_disk_open(c->disk, &c->dir), 0);
	check_rc(vos_pool_create(c->dir, c->xs, &c->conf), 0);
	check_rc(vos_pool_open(c->dir, c->xs, &c->conf, &c->pool), 0);
	check_rc(vos_cont_create(c->pool, uuid), 0);
	check_rc(vos_cont_open(c->pool, uuid, &c->cont), 0);
	for (key = 0; key < KEYS; key++)
		check_rc(write_key(c, key), 0);
	for (i = 0; i < PIECES; i++)
		check_rc(write_piece(c, i), 0);
	c->piece_writers = PIECE_WRITERS;
	co_group_init(&g);
	for (i = 0; i < PIECE_WRITERS; i++)
		check_rc(co_group_spawn(&g, piece_writer, c), 0);
	for (i = 0; i < PIECE_READERS; i++)
		check_rc(co_group_spawn(&g, piece_reader, c), 0);
	check_rc(co_group_spawn(&g, merger, c), 0);
	for (i = 0; i < WRITERS; i++)
		check_rc(co_group_spawn(&g, writer, c), 0);
	for (i = 0; i < READERS; i++)
		check_rc(co_group_spawn(&g, reader, c), 0);
	check_rc(co_group_spawn(&g, lister, c), 0);
	check_rc(co_group_spawn(&g, breaker, c), 0);
	check_rc(co_group_join(&g), 0);
	vos_pool_settle(c->pool);
	check_rc(vos_pool_verify(c->pool), 0);
	vos_cont_close(c->cont);
	vos_pool_close(c->pool);
	dev_dir_close(c->dir);
	return 0;
}

/* --- what is not durable yet -------------------------------------------------------------------
 */

/* Two keys, written over and over on a device that writes slowly: most reads come while the newest
 * value is on its way to the device. */
enum { HOT = 2, HOT_WRITES = 200 };

static int co_fn
hot_writer(void *arg)
{
	struct conc *c = arg;
	int i;

	for (i = 0; i < HOT_WRITES; i++)
		check_rc(write_key(c, i % HOT), 0);
	c->piece_writers--;
	return 0;
}

static int co_fn
hot_reader(void *arg)
{
	struct conc *c = arg;

	while (c->piece_writers != 0) {
		check_rc(read_key(c, vm_below(&c->rng, HOT)), 0);
		co_sleep_ns(vm_below(&c->rng, 100000));
	}
	return 0;
}

struct insert {
	struct conc *c;
	uint64_t epoch;
	daos_key_t dkey;
	bool done;
};

static int co_fn
insert_run(void *arg)
{
	struct insert *in = arg;

	check_rc(tput(in->c->cont, array_oid, in->epoch, DAOS_COND_DKEY_INSERT, in->dkey, "a", NULL,
		      8, "inserted", 8, NULL),
		 0);
	in->done = true;
	return 0;
}

/* An insert that is refused because of another one is answered after that one: else a crash could
 * make the answer untrue. */
static int co_fn
refused_in_order(struct conc *c)
{
	struct heap *heap = c->pool->heap;
	int i;

	for (i = 0; i < 50; i++) {
		char name[16];
		struct insert in = {.c = c, .epoch = ++c->epoch};
		uint64_t lsn = heap_last_lsn(heap);
		struct co_group g;

		snprintf(name, sizeof(name), "n%d", i);
		in.dkey = skey(name);
		co_group_init(&g);
		check_rc(co_group_spawn(&g, insert_run, &in), 0);
		while (heap_last_lsn(heap) == lsn)
			co_yield();
		lsn = heap_last_lsn(heap);
		check(!in.done && heap_durable_lsn(heap) < lsn);
		check_rc(tput(c->cont, array_oid, ++c->epoch, DAOS_COND_DKEY_INSERT, in.dkey, "a",
			      NULL, 8, "too late", 8, NULL),
			 -DER_EXIST);
		check(heap_durable_lsn(heap) >= lsn);
		check_rc(co_group_join(&g), 0);
	}
	return 0;
}

static int
hot_main(struct conc *c)
{
	struct co_group g;
	uint64_t key;
	int i;

	for (key = 0; key < HOT; key++)
		check_rc(write_key(c, key), 0);
	c->piece_writers = 1;
	co_group_init(&g);
	check_rc(co_group_spawn(&g, hot_writer, c), 0);
	for (i = 0; i < 4; i++)
		check_rc(co_group_spawn(&g, hot_reader, c), 0);
	check_rc(co_group_join(&g), 0);
	return refused_in_order(c);
}

static int
hot_open(void *arg)
{
	static const uuid_t uuid = {1};
	struct conc *c = arg;

	check_rc(mem_disk_open(c->disk, &c->dir), 0);
	check_rc(vos_pool_create(c->dir, c->xs, &c->conf), 0);
	check_rc(vos_pool_open(c->dir, c->xs, &c->conf, &c->pool), 0);
	check_rc(vos_cont_create(c->pool, uuid), 0);
	check_rc(vos_cont_open(c->pool, uuid, &c->cont), 0);
	check_rc(hot_main(c), 0);
	vos_pool_settle(c->pool);
	check_rc(vos_pool_verify(c->pool), 0);
	vos_cont_close(c->cont);
	vos_pool_close(c->pool);
	dev_dir_close(c->dir);
	return 0;
}

static void
test_hot(void **state)
{
	struct conc *c = calloc(1, sizeof(*c));
	struct xs_conf xc = {.name = "hot", .cpu = -1};

	c->rng.state = 7;
	c->conf = (struct vos_pool_conf){
	    .name = "hot",
	    .scm_bytes = 8 << 20,
	    .nvme_bytes = 16 << 20,
	    .wal_bytes = 4 << 20,
	    .cache_bytes = 4 << 20,
	    .debug_shadow = true,
	};
	assert_int_equal(sim_create(7, &c->sim), 0);
	xc.env = sim_env_create(c->sim, 0);
	assert_int_equal(xs_create(&xc, &c->xs), 0);
	assert_int_equal(mem_disk_create(c->sim, 64 << 20, &c->disk), 0);
	mem_disk_latency(c->disk, 10000, 1000000, 10000);
	assert_int_equal(xs_call(c->xs, hot_open, c), 0);
	assert_true(c->reads > HOT_WRITES);
	xs_destroy(c->xs);
	mem_disk_destroy(c->disk);
	sim_destroy(c->sim);
	free(c);
}

static void
run_conc(uint64_t seed)
{
	struct conc *c = calloc(1, sizeof(*c));
	struct xs_conf xc = {.name = "conc", .cpu = -1};
	int rc;

	c->rng.state = seed << 32;
	c->conf = (struct vos_pool_conf){
	    .name = "conc",
	    .scm_bytes = 8 << 20,
	    .nvme_bytes = 12 << 20,
	    .wal_bytes = 4 << 20,
	    .cache_bytes = 4 << 20,
	    .scm_cache_bytes = seed % 2 ? 256 << 10 : 0,
	    .discard = seed % 2 == 0,
	    .discard_ms = 1,
	    .debug_shadow = true,
	};
	assert_int_equal(sim_create(seed, &c->sim), 0);
	xc.env = sim_env_create(c->sim, 0);
	assert_int_equal(xs_create(&xc, &c->xs), 0);
	assert_int_equal(mem_disk_create(c->sim, 64 << 20, &c->disk), 0);
	/* slow reads and fast writes: much can happen to blocks that are being read */
	if (seed % 3 != 0)
		mem_disk_latency(c->disk, 20000000, 20000, 10000);
	rc = xs_call(c->xs, conc_main, c);
	if (rc != 0)
		fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
	assert_int_equal(rc, 0);
	assert_int_equal(c->reads, READERS * OPS * 2);
	xs_destroy(c->xs);
	mem_disk_destroy(c->disk);
	sim_destroy(c->sim);
	free(c);
}

static void
test_conc(void **state)
{
	const char *seed_s = getenv("VOS_SEED");
	uint64_t seed = seed_s != NULL ? strtoull(seed_s, NULL, 0) : 1, nr = seed_s != NULL ? 1 : 4;

	for (; nr > 0; nr--)
		run_conc(seed++);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_conc),
	    cmocka_unit_test(test_hot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
