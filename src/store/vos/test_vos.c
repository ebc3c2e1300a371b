/* VOS through its interface: pools, containers, values, arrays, punches, conditions, listings,
 * space. */
#include "store/vos/test_vos_util.h"

static const uuid_t cont_a = {0xa, 1}, cont_b = {0xb, 2};

/* --- pools ------------------------------------------------------------------------------------ */

static int
pool_life(void *arg)
{
	struct tpool *t = arg;
	struct vos_space space;
	uuid_t uuid;

	check_rc(vos_pool_open(t->dir, t->xs, &t->conf, &t->pool), -DER_NONEXIST);
	check_rc(vos_pool_create(t->dir, t->xs, &t->conf), 0);
	check_rc(vos_pool_create(t->dir, t->xs, &t->conf), -DER_EXIST);
	check_rc(vos_pool_open(t->dir, t->xs, &t->conf, &t->pool), 0);
	vos_pool_space(t->pool, &space);
	check(space.scm_total > 0 && space.scm_free > 0 && space.scm_free <= space.scm_total);
	check(space.nvme_total == t->conf.nvme_bytes && space.nvme_free > 0);
	vos_pool_uuid(t->pool, uuid);
	check(memcmp(uuid, t->conf.pool_uuid, sizeof(uuid_t)) == 0);
	check(vos_pool_max_epoch(t->pool) == 0);
	check_rc(vos_pool_verify(t->pool), 0);
	vos_pool_close(t->pool);
	check_rc(vos_pool_destroy(t->dir, t->xs, POOL_NAME), 0);
	check_rc(vos_pool_destroy(t->dir, t->xs, POOL_NAME), -DER_NONEXIST);
	check_rc(vos_pool_open(t->dir, t->xs, &t->conf, &t->pool), -DER_NONEXIST);
	return 0;
}

static void
test_pool_life(void **state)
{
	struct tpool t;

	tpool_init(&t, 16 << 20, 64 << 20);
	tpool_run(&t, pool_life, &t);
	tpool_fini(&t);
}

static int
pool_bad_conf(void *arg)
{
	struct tpool *t = arg;
	struct vos_pool_conf conf = t->conf;

	conf.scm_bytes = 1024;
	check_rc(vos_pool_create(t->dir, t->xs, &conf), -DER_INVAL);
	conf = t->conf;
	conf.name = "0123456789012345678901234567890123456789012345678901234567890123";
	check_rc(vos_pool_create(t->dir, t->xs, &conf), -DER_INVAL);
	conf = t->conf;
	conf.nvme_bytes = 64ull << 30; /* larger than the disk */
	check_rc(vos_pool_create(t->dir, t->xs, &conf), -DER_NOSPACE);
	/* nothing is left of the failed attempt */
	check_rc(vos_pool_create(t->dir, t->xs, &t->conf), 0);
	check_rc(vos_pool_destroy(t->dir, t->xs, POOL_NAME), 0);
	return 0;
}

static void
test_pool_bad_conf(void **state)
{
	struct tpool t;

	tpool_init(&t, 16 << 20, 64 << 20);
	tpool_run(&t, pool_bad_conf, &t);
	tpool_fini(&t);
}

/* --- frame of the tests with a pool --------------------------------------------------------------
 */

struct with_pool {
	struct tpool t;
	struct vos_cont *cont;
	int (*fn)(struct with_pool *w);
};

static int
reopen(struct with_pool *w)
{
	struct tpool *t = &w->t;

	vos_cont_close(w->cont);
	vos_pool_close(t->pool);
	check_rc(vos_pool_open(t->dir, t->xs, &t->conf, &t->pool), 0);
	check_rc(vos_cont_open(t->pool, cont_a, &w->cont), 0);
	return 0;
}

static int
with_pool_main(void *arg)
{
	struct with_pool *w = arg;
	struct tpool *t = &w->t;
	int rc;

	check_rc(vos_pool_create(t->dir, t->xs, &t->conf), 0);
	check_rc(vos_pool_open(t->dir, t->xs, &t->conf, &t->pool), 0);
	check_rc(vos_cont_create(t->pool, cont_a), 0);
	check_rc(vos_cont_open(t->pool, cont_a, &w->cont), 0);
	rc = w->fn(w);
	if (rc != 0)
		return rc; /* the pool is left as it is: the test has failed */
	vos_pool_settle(t->pool);
	check_rc(vos_pool_verify(t->pool), 0);
	vos_cont_close(w->cont);
	vos_pool_close(t->pool);
	return 0;
}

static void
run_with_pool(int (*fn)(struct with_pool *w), uint64_t scm_bytes, uint64_t nvme_bytes)
{
	struct with_pool w = {.fn = fn};

	tpool_init(&w.t, scm_bytes, nvme_bytes);
	tpool_run(&w.t, with_pool_main, &w);
	tpool_fini(&w.t);
}

/* --- containers
 * --------------------------------------------------------------------------------------- */

static int
count_cb(const uuid_t uuid, void *arg)
{
	int *n = arg;

	(*n)++;
	return 0;
}

static int
conts(struct with_pool *w)
{
	struct tpool *t = &w->t;
	struct vos_cont *b, *b2;
	struct vos_oid oid = toid(DAOS_OT_MULTI_HASHED, 1);
	struct vos_space before, after;
	uint8_t big[8192] = {1};
	int n = 0, i;

	check_rc(vos_cont_create(t->pool, cont_a), -DER_EXIST);
	check_rc(vos_cont_open(t->pool, cont_b, &b), -DER_NONEXIST);
	check_rc(vos_cont_destroy(t->pool, cont_b), -DER_NONEXIST);
	/* structures that stay once they are there */
	check_rc(
	    tput(w->cont, oid, 5, 0, skey("d"), "a", NULL, sizeof(big), big, sizeof(big), NULL), 0);
	vos_pool_space(t->pool, &before);
	check_rc(vos_cont_create(t->pool, cont_b), 0);
	check_rc(vos_cont_open(t->pool, cont_b, &b), 0);
	check_rc(vos_cont_open(t->pool, cont_b, &b2), 0);
	check(b == b2);
	vos_cont_close(b2);
	check_rc(vos_cont_list(t->pool, count_cb, &n), 0);
	check(n == 2);
	for (i = 0; i < 300; i++) {
		char name[16];

		snprintf(name, sizeof(name), "d%d", i);
		check_rc(tput(b, oid, 10 + i, 0, skey(name), "a", NULL, i % 2 ? 20 : sizeof(big),
			      big, i % 2 ? 20 : sizeof(big), NULL),
			 0);
	}
	check_rc(vos_cont_destroy(t->pool, cont_b), 0);
	check_rc(vos_cont_destroy(t->pool, cont_b), -DER_NONEXIST);
	check_rc(tput(b, oid, 1000, 0, skey("d"), "a", NULL, 1, "x", 1, NULL), -DER_NO_HDL);
	vos_cont_close(b);
	check_rc(vos_cont_open(t->pool, cont_b, &b), -DER_NONEXIST);
	/* the name is free at once, and everything comes back */
	check_rc(vos_cont_create(t->pool, cont_b), 0);
	check_rc(vos_cont_destroy(t->pool, cont_b), 0);
	vos_pool_settle(t->pool);
	vos_pool_space(t->pool, &after);
	/* free space of the heap is counted in whole slabs */
	check(after.scm_free + (128 << 10) >= before.scm_free);
	check(after.nvme_free == before.nvme_free);
	check(vos_pool_max_epoch(t->pool) == 309);
	check_rc(reopen(w), 0);
	check(vos_pool_max_epoch(t->pool) == 309);
	n = 0;
	check_rc(vos_cont_list(t->pool, count_cb, &n), 0);
	check(n == 1);
	return 0;
}

static void
test_conts(void **state)
{
	run_with_pool(conts, 16 << 20, 64 << 20);
}

/* Destroyed just before the pool is closed: the next open goes on with it. */
static int
conts_dying(struct with_pool *w)
{
	struct tpool *t = &w->t;
	struct vos_oid oid = toid(DAOS_OT_MULTI_HASHED, 1);
	struct vos_space before, after;
	struct vos_cont *b;
	int i;

	vos_pool_space(t->pool, &before);
	check_rc(vos_cont_create(t->pool, cont_b), 0);
	check_rc(vos_cont_open(t->pool, cont_b, &b), 0);
	for (i = 0; i < 2000; i++) {
		char name[16];

		snprintf(name, sizeof(name), "d%d", i);
		check_rc(tput(b, oid, 10 + i, 0, skey(name), "a", NULL, 20, "01234567890123456789",
			      20, NULL),
			 0);
	}
	vos_cont_close(b);
	check_rc(vos_cont_destroy(t->pool, cont_b), 0);
	check_rc(reopen(w), 0);
	vos_pool_settle(t->pool);
	vos_pool_space(t->pool, &after);
	check(after.scm_free + (128 << 10) >= before.scm_free);
	return 0;
}

static void
test_conts_dying(void **state)
{
	run_with_pool(conts_dying, 16 << 20, 0);
}

/* --- values
 * ---------------------------------------------------------------------------------------------- */

static int
singles(struct with_pool *w)
{
	struct vos_oid oid = toid(DAOS_OT_MULTI_HASHED, 7);
	static const uint64_t sizes[] = {1, 64, 100, 4095, 4096, 4097, 70000, 3 << 20, 9 << 20};
	uint8_t *data = malloc((9 << 20) + 16), *back = malloc(9 << 20);
	uint64_t size;
	uint32_t i, j;

	for (i = 0; i < (9 << 20) + 16; i++)
		data[i] = i * 7 + i / 256;
	check(tget(w->cont, oid, UINT64_MAX, 0, skey("d"), "a", NULL, back, 10, &size) == 0);
	check(size == 0);
	for (j = 0; j < 2; j++) {
		for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			uint64_t n = sizes[j == 0 ? i : 8 - i];

			check_rc(tput(w->cont, oid, 100 + j * 50 + i, 0, skey("d"), "a", NULL, n,
				      data + i, n, NULL),
				 0);
			check(tget(w->cont, oid, UINT64_MAX, 0, skey("d"), "a", NULL, back, 9 << 20,
				   &size) == (int64_t)n);
			check(size == n);
			check(memcmp(back, data + i, n) == 0);
			if (i % 3 == 1)
				check_rc(reopen(w), 0);
			check(tget(w->cont, oid, UINT64_MAX, 0, skey("d"), "a", NULL, back, 9 << 20,
				   &size) == (int64_t)n);
			check(memcmp(back, data + i, n) == 0);
		}
	}
	/* punch the value, and write again */
	check_rc(tput(w->cont, oid, 300, 0, skey("d"), "a", NULL, 0, NULL, 0, NULL), 0);
	check(tget(w->cont, oid, UINT64_MAX, 0, skey("d"), "a", NULL, back, 10, &size) == 0);
	check(size == 0);
	check_rc(tput(w->cont, oid, 299, 0, skey("d"), "a", NULL, 3, "old", 3, NULL), 0);
	check(tget(w->cont, oid, UINT64_MAX, 0, skey("d"), "a", NULL, back, 10, &size) == 0);
	check_rc(tput(w->cont, oid, 301, 0, skey("d"), "a", NULL, 3, "new", 3, NULL), 0);
	check(tget(w->cont, oid, UINT64_MAX, 0, skey("d"), "a", NULL, back, 10, &size) == 3);
	check(memcmp(back, "new", 3) == 0);
	free(data);
	free(back);
	return 0;
}

static void
test_singles(void **state)
{
	run_with_pool(singles, 32 << 20, 64 << 20);
}

static int
bad_args(struct with_pool *w)
{
	struct vos_oid oid = toid(DAOS_OT_MULTI_UINT64, 7);
	daos_recx_t recx = {.rx_idx = UINT64_MAX, .rx_nr = 2};
	daos_key_t dkey = {.iov_buf = "12345678", .iov_buf_len = 8, .iov_len = 8};
	uint64_t size;

	check_rc(tput(w->cont, oid, 1, 0, skey("abc"), "12345678", NULL, 1, "x", 1, NULL),
		 -DER_INVAL);
	check_rc(tput(w->cont, oid, 1, 0, dkey, "abc", NULL, 1, "x", 1, NULL), -DER_INVAL);
	check_rc(tput(w->cont, oid, 0, 0, dkey, "12345678", NULL, 1, "x", 1, NULL), -DER_INVAL);
	check_rc(tput(w->cont, oid, UINT64_MAX, 0, dkey, "12345678", NULL, 1, "x", 1, NULL),
		 -DER_INVAL);
	check_rc(tput(w->cont, oid, 1, 0, dkey, "12345678", &recx, 1, "xy", 2, NULL), -DER_INVAL);
	recx.rx_idx = 5;
	check_rc(tput(w->cont, oid, 1, 0, dkey, "12345678", &recx, 1, "xy", 2, NULL), 0);
	/* other record size, other kind of value */
	check_rc(tput(w->cont, oid, 2, 0, dkey, "12345678", &recx, 2, "xyxy", 4, NULL), -DER_INVAL);
	check_rc(tput(w->cont, oid, 2, 0, dkey, "12345678", NULL, 2, "xy", 2, NULL), -DER_INVAL);
	check(tget(w->cont, oid, UINT64_MAX, 0, dkey, "12345678", NULL, &size, 8, &size) ==
	      -DER_INVAL);
	/* after a punch the record size may change */
	check_rc(vos_punch(w->cont, &oid, 5, 0, &dkey, NULL, 0, NULL), 0);
	check_rc(tput(w->cont, oid, 6, 0, dkey, "12345678", &recx, 2, "xyxy", 4, NULL), 0);
	/* whichever level was punched */
	check_rc(vos_punch(w->cont, &oid, 7, 0, NULL, NULL, 0, NULL), 0);
	check_rc(tput(w->cont, oid, 8, 0, dkey, "12345678", &recx, 3, "xyzxyz", 6, NULL), 0);
	return 0;
}

static void
test_bad_args(void **state)
{
	run_with_pool(bad_args, 16 << 20, 16 << 20);
}

static int
arrays(struct with_pool *w)
{
	struct vos_oid oid = toid(DAOS_OT_ARRAY_BYTE, 9);
	uint64_t chunk = 1, size, free0;
	daos_key_t dkey = {.iov_buf = &chunk, .iov_buf_len = 8, .iov_len = 8};
	uint8_t *data = malloc(2 << 20), *back = malloc(2 << 20);
	struct vos_space space;
	daos_recx_t recx;
	uint32_t i;

	vos_pool_space(w->t.pool, &space);
	free0 = space.nvme_free;
	for (i = 0; i < 2 << 20; i++)
		data[i] = i * 13 + i / 251;
	/* 1 MiB, then holes punched and overwritten inside */
	recx = (daos_recx_t){.rx_idx = 0, .rx_nr = 1 << 20};
	check_rc(tput(w->cont, oid, 10, 0, dkey, "0", &recx, 1, data, 1 << 20, NULL), 0);
	vos_pool_space(w->t.pool, &space);
	check(free0 - space.nvme_free == 1 << 20);
	recx = (daos_recx_t){.rx_idx = 8192, .rx_nr = 4096};
	check_rc(tput(w->cont, oid, 11, 0, dkey, "0", &recx, 0, NULL, 0, NULL), 0);
	vos_pool_space(w->t.pool, &space);
	check(free0 - space.nvme_free == (1 << 20) - 4096);
	recx = (daos_recx_t){.rx_idx = 100, .rx_nr = 10};
	check_rc(tput(w->cont, oid, 12, 0, dkey, "0", &recx, 1, "ABCDEFGHIJ", 10, NULL), 0);
	recx = (daos_recx_t){.rx_idx = 50000, .rx_nr = 10000};
	check_rc(tput(w->cont, oid, 13, 0, dkey, "0", &recx, 1, data, 10000, NULL), 0);
	for (i = 0; i < 2; i++) {
		recx = (daos_recx_t){.rx_idx = 0, .rx_nr = 2 << 20};
		check(tget(w->cont, oid, UINT64_MAX, 0, dkey, "0", &recx, back, 2 << 20, &size) ==
		      2 << 20);
		check(size == 1);
		check(memcmp(back, data, 100) == 0 && memcmp(back + 100, "ABCDEFGHIJ", 10) == 0);
		check(memcmp(back + 110, data + 110, 8192 - 110) == 0);
		check(back[8192] == 0xee && back[12287] == 0xee);
		check(memcmp(back + 12288, data + 12288, 50000 - 12288) == 0);
		check(memcmp(back + 50000, data, 10000) == 0);
		check(memcmp(back + 60000, data + 60000, (1 << 20) - 60000) == 0);
		check(back[1 << 20] == 0xee);
		check_rc(reopen(w), 0);
	}
	/* cut the head off a long extent, far in and not at a block border */
	recx = (daos_recx_t){.rx_idx = 60000, .rx_nr = 40001};
	check_rc(tput(w->cont, oid, 14, 0, dkey, "0", &recx, 1, data + 3, 40001, NULL), 0);
	recx = (daos_recx_t){.rx_idx = 0, .rx_nr = 1 << 20};
	check(tget(w->cont, oid, UINT64_MAX, 0, dkey, "0", &recx, back, 2 << 20, &size) == 1 << 20);
	check(memcmp(back + 60000, data + 3, 40001) == 0);
	check(memcmp(back + 100001, data + 100001, (1 << 20) - 100001) == 0);
	/* overwrite everything: only the new data remain */
	recx = (daos_recx_t){.rx_idx = 0, .rx_nr = 1 << 20};
	check_rc(tput(w->cont, oid, 20, 0, dkey, "0", &recx, 1, data + 5, 1 << 20, NULL), 0);
	vos_pool_space(w->t.pool, &space);
	check(free0 - space.nvme_free == 1 << 20);
	/* and nothing after punch and aggregation */
	check_rc(vos_punch(w->cont, &oid, 30, 0, NULL, NULL, 0, NULL), 0);
	vos_pool_settle(w->t.pool);
	vos_pool_space(w->t.pool, &space);
	check(space.nvme_free == free0);
	free(data);
	free(back);
	return 0;
}

static void
test_arrays(void **state)
{
	run_with_pool(arrays, 32 << 20, 64 << 20);
}

/* --- conditions
 * ---------------------------------------------------------------------------------------------- */

static int
conditions(struct with_pool *w)
{
	struct vos_oid oid = toid(DAOS_OT_MULTI_HASHED, 3);
	daos_key_t d = skey("d"), a = skey("a");
	uint8_t buf[8];
	struct vos_opid id = {.client = {1, 2}, .seq = 5, .low_seq = 1};

	check_rc(tput(w->cont, oid, 10, DAOS_COND_DKEY_UPDATE, d, "a", NULL, 1, "x", 1, NULL),
		 -DER_NONEXIST);
	check(tget(w->cont, oid, UINT64_MAX, DAOS_COND_DKEY_FETCH, d, "a", NULL, buf, 8, NULL) ==
	      -DER_NONEXIST);
	check_rc(vos_punch(w->cont, &oid, 10, DAOS_COND_PUNCH, &d, NULL, 0, NULL), -DER_NONEXIST);
	check_rc(tput(w->cont, oid, 10, DAOS_COND_DKEY_INSERT, d, "a", NULL, 1, "x", 1, &id), 0);
	check_rc(tput(w->cont, oid, 11, DAOS_COND_DKEY_INSERT, d, "a", NULL, 1, "y", 1, NULL),
		 -DER_EXIST);
	/* the same request again is known, before any condition is looked at */
	check_rc(tput(w->cont, oid, 11, DAOS_COND_DKEY_INSERT, d, "a", NULL, 1, "x", 1, &id),
		 -DER_ALREADY);
	check_rc(reopen(w), 0);
	check_rc(tput(w->cont, oid, 11, DAOS_COND_DKEY_INSERT, d, "a", NULL, 1, "x", 1, &id),
		 -DER_ALREADY);
	/* a failed one is not recorded */
	id.seq = 6;
	check_rc(tput(w->cont, oid, 11, DAOS_COND_DKEY_INSERT, d, "a", NULL, 1, "x", 1, &id),
		 -DER_EXIST);
	check_rc(tput(w->cont, oid, 12, DAOS_COND_AKEY_INSERT, d, "b", NULL, 1, "x", 1, &id), 0);
	check_rc(tput(w->cont, oid, 13, DAOS_COND_AKEY_INSERT, d, "b", NULL, 1, "x", 1, NULL),
		 -DER_EXIST);
	check_rc(tput(w->cont, oid, 13, DAOS_COND_AKEY_UPDATE, d, "c", NULL, 1, "x", 1, NULL),
		 -DER_NONEXIST);
	/* the mark moved far: everything below is refused */
	id.seq = 5000;
	id.low_seq = 4000;
	check_rc(tput(w->cont, oid, 14, 0, d, "b", NULL, 1, "z", 1, &id), 0);
	id.seq = 7;
	check_rc(tput(w->cont, oid, 15, 0, d, "b", NULL, 1, "w", 1, &id), -DER_STALE);
	check(tget(w->cont, oid, UINT64_MAX, DAOS_COND_AKEY_FETCH, d, "b", NULL, buf, 8, NULL) ==
	      1);
	check(buf[0] == 'z');
	/* a key whose values are all punched does not exist */
	check_rc(vos_punch(w->cont, &oid, 20, DAOS_COND_PUNCH, &d, &a, 1, NULL), 0);
	check_rc(vos_punch(w->cont, &oid, 21, DAOS_COND_PUNCH, &d, &a, 1, NULL), -DER_NONEXIST);
	check_rc(tput(w->cont, oid, 22, DAOS_COND_DKEY_INSERT, d, "a", NULL, 1, "x", 1, NULL),
		 -DER_EXIST);
	check_rc(vos_punch(w->cont, &oid, 23, DAOS_COND_PUNCH, &d, NULL, 0, NULL), 0);
	check_rc(tput(w->cont, oid, 24, DAOS_COND_DKEY_INSERT, d, "a", NULL, 1, "x", 1, NULL), 0);
	return 0;
}

static void
test_conditions(void **state)
{
	run_with_pool(conditions, 16 << 20, 16 << 20);
}

/* --- history
 * ----------------------------------------------------------------------------------------------------
 */

static int
history(struct with_pool *w)
{
	struct vos_oid oid = toid(DAOS_OT_MULTI_HASHED, 3);
	daos_key_t d = skey("d");
	uint64_t keep[] = {15, 15, 5}, i, epoch;
	uint8_t buf[8];
	bool more;

	check_rc(vos_cont_set_keep(w->cont, 1, NULL, 0), 0);
	for (i = 1; i <= 30; i++)
		check_rc(tput(w->cont, oid, i, 0, d, "a", NULL, 1, &(uint8_t){i}, 1, NULL), 0);
	check_rc(reopen(w), 0);
	for (i = 1; i <= 30; i++) {
		check(tget(w->cont, oid, i, 0, d, "a", NULL, buf, 8, NULL) == 1);
		check(buf[0] == i);
	}
	check_rc(vos_aggregate(w->cont, 20, keep, 3, UINT64_MAX / 2, &more), 0);
	check(!more);
	for (i = 1; i <= 30; i++) {
		int64_t rc = tget(w->cont, oid, i, 0, d, "a", NULL, buf, 8, NULL);

		if (i == 5 || i == 15 || i >= 20)
			check(rc == 1 && buf[0] == i);
		else
			check(rc == -DER_TX_RESTART);
	}
	check_rc(tput(w->cont, oid, 20, 0, d, "a", NULL, 1, "x", 1, NULL), -DER_TX_RESTART);
	check_rc(vos_punch(w->cont, &oid, 20, 0, &d, NULL, 0, NULL), -DER_TX_RESTART);
	check_rc(vos_punch(w->cont, &oid, 40, 0, NULL, NULL, 0, NULL), 0);
	check_rc(vos_obj_max_epoch(w->cont, &oid, &epoch), 0);
	check(epoch == 40);
	check_rc(vos_aggregate(w->cont, 50, NULL, 0, UINT64_MAX / 2, &more), 0);
	check_rc(vos_obj_max_epoch(w->cont, &oid, &epoch), -DER_NONEXIST);
	/* what is gone altogether was there: a read from that time is not told "nothing" */
	check(tget(w->cont, oid, 35, 0, d, "a", NULL, buf, 8, NULL) == -DER_TX_RESTART);
	/* a punched value above an aggregation still hides what comes late */
	check_rc(tput(w->cont, oid, 100, 0, d, "a", NULL, 0, NULL, 0, NULL), 0);
	check_rc(vos_aggregate(w->cont, 60, NULL, 0, UINT64_MAX / 2, &more), 0);
	check_rc(tput(w->cont, oid, 90, 0, d, "a", NULL, 1, "x", 1, NULL), 0);
	check(tget(w->cont, oid, UINT64_MAX, 0, d, "a", NULL, buf, 8, NULL) == 0);
	return 0;
}

static void
test_history(void **state)
{
	run_with_pool(history, 16 << 20, 16 << 20);
}

/* --- long listings
 * ------------------------------------------------------------------------------------------------
 */

struct long_list {
	uint32_t seen[3000];
	uint32_t nr, take;
	struct with_pool *w;
};

static int
long_cb(const struct vos_entry *e, void *arg)
{
	struct long_list *l = arg;
	char name[300] = {0};

	if (l->take == 0)
		return 1;
	l->take--;
	memcpy(name, e->key, e->key_len < 299 ? e->key_len : 299);
	l->seen[atoi(name + e->key_len - 5)]++;
	l->nr++;
	return 0;
}

/* Keys come and go between the pieces of a listing: those that stay are seen exactly once. */
static int
list_kind(struct with_pool *w, enum daos_otype_t type, uint32_t key_len)
{
	struct vos_oid oid = toid(type, 100 + key_len);
	struct long_list *l = calloc(1, sizeof(*l));
	struct vos_list list = {.kind = VOS_LIST_DKEY, .oid = oid, .epoch = UINT64_MAX};
	struct vos_anchor anchor = {0};
	uint64_t epoch = vos_pool_max_epoch(w->t.pool) + 1;
	char name[300];
	uint32_t i, round = 0;
	daos_key_t key;
	bool more;

	memset(name, 'p', sizeof(name));
	key = (daos_key_t){.iov_buf = name, .iov_buf_len = key_len, .iov_len = key_len};
	for (i = 0; i < 1500; i += 1) {
		char digits[8];

		snprintf(digits, sizeof(digits), "%05u", i);
		memcpy(name + key_len - 5, digits, 5);
		check_rc(tput(w->cont, oid, epoch++, 0, key, "a", NULL, 4, "data", 4, NULL), 0);
	}
	while (anchor.state != 2) {
		l->take = 40;
		check_rc(vos_list(w->cont, &list, &anchor, long_cb, l), 0);
		/* odd ones are removed for good, some new ones appear */
		for (i = 0; i < 30; i++) {
			uint32_t n = (round * 30 + i) * 2 + 1;
			char digits[8];

			if (n >= 1500)
				break;
			snprintf(digits, sizeof(digits), "%05u", n);
			memcpy(name + key_len - 5, digits, 5);
			check_rc(vos_punch(w->cont, &oid, epoch++, 0, &key, NULL, 0, NULL), 0);
			snprintf(digits, sizeof(digits), "%05u", 1500 + n / 2);
			memcpy(name + key_len - 5, digits, 5);
			check_rc(tput(w->cont, oid, epoch++, 0, key, "a", NULL, 4, "data", 4, NULL),
				 0);
		}
		check_rc(vos_aggregate(w->cont, epoch++, NULL, 0, UINT64_MAX / 2, &more), 0);
		round++;
	}
	for (i = 0; i < 1500; i += 2)
		check(l->seen[i] == 1);
	for (i = 1; i < 3000; i++)
		check(l->seen[i] <= 1);
	free(l);
	return 0;
}

/* The key at which a listing stopped is removed, and nobody in memory knows it any more. */
static int
list_removed(struct with_pool *w)
{
	enum { LEN = 94, NR = 7, FIRST = 3 };
	struct vos_oid oid = toid(DAOS_OT_MULTI_LEXICAL, 77);
	struct long_list *l = calloc(1, sizeof(*l));
	struct vos_list list = {.kind = VOS_LIST_DKEY, .oid = oid, .epoch = UINT64_MAX};
	uint64_t epoch = vos_pool_max_epoch(w->t.pool) + 1;
	daos_key_t key = {.iov_buf_len = LEN, .iov_len = LEN};
	struct vos_anchor anchor = {0};
	char name[NR][LEN + 1];
	uint32_t i;
	bool more;

	for (i = 0; i < NR; i++) {
		snprintf(name[i], sizeof(name[i]), "%0*u", LEN, i);
		key.iov_buf = name[i];
		check_rc(tput(w->cont, oid, epoch++, 0, key, "a", NULL, 4, "data", 4, NULL), 0);
	}
	l->take = FIRST;
	check_rc(vos_list(w->cont, &list, &anchor, long_cb, l), 0);
	check(l->nr == FIRST);
	check_rc(reopen(w), 0);
	key.iov_buf = name[FIRST - 1];
	check_rc(vos_punch(w->cont, &oid, epoch++, 0, &key, NULL, 0, NULL), 0);
	check_rc(vos_aggregate(w->cont, epoch++, NULL, 0, UINT64_MAX / 2, &more), 0);
	l->take = NR;
	check_rc(vos_list(w->cont, &list, &anchor, long_cb, l), 0);
	for (i = 0; i < NR; i++)
		check(l->seen[i] <= 1); /* none twice; those behind it all */
	for (i = FIRST + 1; i < NR; i++)
		check(l->seen[i] == 1);
	free(l);
	return 0;
}

static int
listings(struct with_pool *w)
{
	check_rc(list_removed(w), 0);
	check_rc(list_kind(w, DAOS_OT_MULTI_HASHED, 12), 0);
	check_rc(list_kind(w, DAOS_OT_MULTI_LEXICAL, 12), 0);
	check_rc(list_kind(w, DAOS_OT_MULTI_LEXICAL, 94), 0);
	check_rc(list_kind(w, DAOS_OT_MULTI_HASHED, 250), 0);
	return 0;
}

static void
test_listings(void **state)
{
	run_with_pool(listings, 64 << 20, 16 << 20);
}

/* --- full
 * --------------------------------------------------------------------------------------------------------------
 */

static int
fill_tier(struct with_pool *w, uint64_t size, uint64_t *epoch, uint32_t *ret_nr)
{
	struct vos_oid oid = toid(DAOS_OT_MULTI_HASHED, 1);
	uint8_t *data = calloc(1, size);
	uint32_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < 1000000; i++) {
		char name[16];

		snprintf(name, sizeof(name), "k%u", i);
		memset(data, i, size < 64 ? size : 64);
		rc = tput(w->cont, oid, (*epoch)++, 0, skey(name), "a", NULL, size, data, size,
			  NULL);
	}
	free(data);
	*ret_nr = i - 1;
	return rc;
}

static int
full(struct with_pool *w, uint64_t size)
{
	struct vos_oid oid = toid(DAOS_OT_MULTI_HASHED, 1);
	uint64_t epoch = 10, got;
	uint32_t nr, nr2, i;
	uint8_t *back = malloc(size);
	bool more;

	check_rc(fill_tier(w, size, &epoch, &nr), -DER_NOSPACE);
	check(nr > 10);
	check_rc(vos_pool_verify(w->t.pool), 0);
	for (i = 0; i < nr; i++) {
		char name[16];

		snprintf(name, sizeof(name), "k%u", i);
		check(tget(w->cont, oid, UINT64_MAX, 0, skey(name), "a", NULL, back, size, &got) ==
		      (int64_t)size);
		check(back[0] == (uint8_t)i);
	}
	free(back);
	/* a full pool can be emptied */
	check_rc(vos_punch(w->cont, &oid, epoch++, 0, NULL, NULL, 0, NULL), 0);
	vos_pool_settle(w->t.pool);
	check_rc(vos_aggregate(w->cont, epoch++, NULL, 0, UINT64_MAX / 2, &more), 0);
	check_rc(fill_tier(w, size, &epoch, &nr2), -DER_NOSPACE);
	check(nr2 >= nr - nr / 20 - 1);
	return reopen(w);
}

static int
full_nvme(struct with_pool *w)
{
	return full(w, 30000);
}

static int
full_scm(struct with_pool *w)
{
	return full(w, 1000);
}

static void
test_full_nvme(void **state)
{
	run_with_pool(full_nvme, 16 << 20, 8 << 20);
}

static void
test_full_scm(void **state)
{
	run_with_pool(full_scm, 8 << 20, 16 << 20);
}

/* Verification when most of the index, and the maps of the blocks, are not in memory. */
static int
cold(struct with_pool *w)
{
	struct vos_oid oid = toid(DAOS_OT_MULTI_HASHED, 1);
	static uint8_t data[30000];

	check_rc(tput(w->cont, oid, 10, 0, skey("large"), "a", NULL, sizeof(data), data,
		      sizeof(data), NULL),
		 0);
	for (uint64_t i = 0; i < 4000; i++) {
		char name[16];

		snprintf(name, sizeof(name), "k%lu", i);
		check_rc(
		    tput(w->cont, oid, 11 + i, 0, skey(name), "a", NULL, 1000, data, 1000, NULL),
		    0);
	}
	w->t.conf.debug_shadow = false;
	w->t.conf.scm_cache_bytes = 1 << 20;
	check_rc(reopen(w), 0);
	check_rc(vos_pool_verify(w->t.pool), 0);
	return 0;
}

static void
test_cold(void **state)
{
	run_with_pool(cold, 16 << 20, 16 << 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pool_life), cmocka_unit_test(test_pool_bad_conf),
	    cmocka_unit_test(test_conts),     cmocka_unit_test(test_conts_dying),
	    cmocka_unit_test(test_singles),   cmocka_unit_test(test_bad_args),
	    cmocka_unit_test(test_arrays),    cmocka_unit_test(test_conditions),
	    cmocka_unit_test(test_history),   cmocka_unit_test(test_listings),
	    cmocka_unit_test(test_full_nvme), cmocka_unit_test(test_full_scm),
	    cmocka_unit_test(test_cold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
