/*
 * Checksums of values: what is stored and given back for whom, what is compared when, and bits
 * that flip in every kind of data: always found, rightly reported, and nothing else affected.
 */
#include "store/vos/test_vos_util.h"

#include "base/csum.h"
#include "base/hash.h"
#include "base/mem.h"
#include "store/vos/vos_internal.h"

enum { ARRAY_MAX = 256 << 10 };

struct cs {
	struct tpool t;
	struct vos_cont *cont;
	struct vos_cont_conf conf;
	uint64_t epoch;
	uint64_t rnd;
	uint64_t seed;
	uint32_t rec_size;
	bool keep_all;
	uint64_t cache_bytes; /* 0: as usual */
	uint8_t *want, *got;
	/* what was reported */
	uint32_t event_nr;
	struct vos_csum_event event;
	char dkey[16], akey[16];
};

static const uuid_t uuid = {0xc5};
static const struct vos_oid oid = {.id = {.lo = 77, .hi = (uint64_t)DAOS_OT_MULTI_HASHED << 56}};

static uint64_t
rnd_below(struct cs *c, uint64_t n)
{
	c->rnd = hash_u64(c->rnd + 0x9e3779b97f4a7c15ull);
	return n == 0 ? 0 : c->rnd % n;
}

static void
on_event(const struct vos_csum_event *ev, void *arg)
{
	struct cs *c = arg;

	c->event_nr++;
	c->event = *ev;
	snprintf(c->dkey, sizeof(c->dkey), "%.*s", (int)ev->dkey.iov_len,
		 (const char *)ev->dkey.iov_buf);
	snprintf(c->akey, sizeof(c->akey), "%.*s", (int)ev->akey.iov_len,
		 (const char *)ev->akey.iov_buf);
}

static int co_fn
cs_open(struct cs *c)
{
	struct tpool *t = &c->t;

	check_rc(vos_pool_create(t->dir, t->xs, &t->conf), 0);
	check_rc(vos_pool_open(t->dir, t->xs, &t->conf, &t->pool), 0);
	check_rc(vos_cont_create_with(t->pool, uuid, &c->conf), 0);
	check_rc(vos_cont_open(t->pool, uuid, &c->cont), 0);
	vos_pool_on_csum(t->pool, on_event, c);
	c->epoch = 100;
	c->rec_size = c->rec_size == 0 ? 1 : c->rec_size;
	c->rnd = c->seed;
	c->want = malloc(ARRAY_MAX);
	c->got = malloc(ARRAY_MAX);
	memset(c->want, 0xee, ARRAY_MAX);
	if (c->keep_all)
		check_rc(vos_cont_set_keep(c->cont, 1, NULL, 0), 0);
	return 0;
}

/* Nothing of the data device stays in memory. */
static int co_fn
cs_reopen(struct cs *c)
{
	struct tpool *t = &c->t;

	vos_pool_settle(t->pool);
	check_rc(vos_pool_verify(t->pool), 0);
	vos_cont_close(c->cont);
	vos_pool_close(t->pool);
	check_rc(vos_pool_open(t->dir, t->xs, &t->conf, &t->pool), 0);
	check_rc(vos_cont_open(t->pool, uuid, &c->cont), 0);
	vos_pool_on_csum(t->pool, on_event, c);
	return vos_pool_verify(t->pool); /* has all of the heap in memory after */
}

static int co_fn
cs_close(struct cs *c)
{
	check_rc(cs_reopen(c), 0);
	vos_cont_close(c->cont);
	vos_pool_close(c->t.pool);
	free(c->want);
	free(c->got);
	return 0;
}

static void
run(int (*fn)(void *), struct cs *c)
{
	tpool_init(&c->t, 32 << 20, 64 << 20);
	if (c->cache_bytes != 0)
		c->t.conf.cache_bytes = c->cache_bytes;
	tpool_run(&c->t, fn, c);
	tpool_fini(&c->t);
}

static void
fill(uint8_t *p, uint64_t len, uint64_t salt)
{
	uint64_t i;

	for (i = 0; i < len; i++)
		p[i] = hash_u64(salt * 1000003 + i / 8) >> 8 * (i % 8);
}

/* Write records [idx, idx + nr) of the array, and of what it should hold. */
static int co_fn
put(struct cs *c, uint64_t idx, uint64_t nr)
{
	daos_recx_t recx = {.rx_idx = idx, .rx_nr = nr};
	uint64_t r = c->rec_size;

	c->epoch++;
	fill(c->want + idx * r, nr * r, c->epoch);
	return tput(c->cont, oid, c->epoch, 0, skey("dkey"), "array", &recx, r, c->want + idx * r,
		    nr * r, NULL);
}

static int64_t co_fn
get(struct cs *c, uint64_t idx, uint64_t nr)
{
	daos_recx_t recx = {.rx_idx = idx, .rx_nr = nr};

	return tget(c->cont, oid, UINT64_MAX, 0, skey("dkey"), "array", &recx,
		    c->got + idx * c->rec_size, nr * c->rec_size, NULL);
}

/* --- where things lie --- */

enum { RUNS_MAX = 2000 };

struct runs {
	uint32_t nr;
	struct {
		uint64_t off, len; /* bytes of the device */
	} v[RUNS_MAX];
};

static int co_fn
akey_rec(struct cs *c, const char *akey, struct vos_krec *ret_k)
{
	struct heap *heap = c->t.pool->heap;
	daos_key_t name = skey(akey), dkey = skey("dkey");
	uint64_t obj, d, a;
	struct vos_key dk, ak;

	check_rc(vos_key_check(BTREE_HASH, &dkey, &dk), 0);
	check_rc(vos_key_check(BTREE_HASH, &name, &ak), 0);
	check_rc(vos_path_find(c->cont, &oid, &dk, &obj, &d), 0);
	check_rc(vos_child_find(heap, d, VOS_KEY_DKEY, BTREE_HASH, &ak, &a), 0);
	return vos_krec_get(heap, a, VOS_KEY_AKEY, ret_k);
}

/* The blocks behind the newest versions of an akey's value. */
static int co_fn
runs_of(struct cs *c, const char *akey, struct runs *ret)
{
	struct heap *heap = c->t.pool->heap;
	struct vos_seg_iter it;
	struct vos_sums sums;
	struct vos_span span;
	struct vos_krec k;
	struct vos_seg seg;
	int rc;

	ret->nr = 0;
	check_rc(akey_rec(c, akey, &k), 0);
	if (k.tag == VOS_CHILD_SV) {
		const struct vos_run_df *run;
		struct vos_sv sv;

		check_rc(vos_sv_find(heap, &k, UINT64_MAX, (struct vos_ord){0}, &sv), 0);
		run = vos_sv_runs(&sv, &ret->nr);
		for (uint32_t i = 0; i < ret->nr; i++) {
			ret->v[i].off = run[i].blk * SPACE_BLOCK;
			ret->v[i].len = run[i].blk_nr * SPACE_BLOCK;
		}
		return 0;
	}
	check_rc(vos_seg_iter_init(&it, heap, &k), 0);
	rc = vos_seg_iter_seek(&it, BTREE_FIRST, 0);
	for (; rc == 0 && ret->nr < RUNS_MAX; rc = vos_seg_iter_next(&it)) {
		check_rc(vos_seg_iter_get(&it, &seg), 0);
		if (seg.df.ver.kind == VOS_VER_PUNCH)
			continue;
		check_rc(vos_sums_get(heap, c->cont, &seg.df.ver, seg.start, seg.df.len, &sums), 0);
		check_rc(vos_span_get(heap, &seg.df.ver, seg.start, seg.df.len, &sums, &span), 0);
		if (span.kind != VOS_VER_NVME)
			continue;
		ret->v[ret->nr].off = span.addr;
		ret->v[ret->nr++].len = span.nr * seg.df.ver.rec_size;
	}
	vos_seg_iter_fini(&it);
	return 0;
}

/* Some byte of them, or a little behind. */
static uint64_t
some_byte(struct cs *c, const struct runs *runs)
{
	uint32_t i = rnd_below(c, runs->nr);

	return runs->v[i].off + rnd_below(c, runs->v[i].len + 100);
}

static int co_fn
flip(struct cs *c, uint64_t byte, uint32_t bit)
{
	check_rc(mem_disk_flip_bit(c->t.disk, POOL_NAME ".data", byte * 8 + bit), 0);
	data_forget(c->t.pool->data, byte / SPACE_BLOCK, 1);
	return 0;
}

/* --- what is asked for ------------------------------------------------------------------------ */

/* One fetch with checksums of everything asked for, compared with those of the answer. */
static int co_fn
sums_of(struct cs *c, const char *akey, daos_recx_t *recx, uint32_t recx_nr, uint64_t len)
{
	daos_key_t dkey = skey("dkey");
	daos_iod_t iod = {
	    .iod_name = skey(akey),
	    .iod_type = recx == NULL ? DAOS_IOD_SINGLE : DAOS_IOD_ARRAY,
	    .iod_nr = recx == NULL ? 1 : recx_nr,
	    .iod_recxs = recx,
	};
	struct vos_io io = {
	    .oid = oid, .epoch = UINT64_MAX, .dkey = &dkey, .iods = &iod, .iod_nr = 1};
	uint64_t recs = csum_chunk_recs(c->conf.csum_chunk, c->rec_size), pos, end, next, at = 0;
	uint8_t *plain = malloc(len + 1), *there = malloc(len + 1), want[CSUM_LEN_MAX];
	const struct iovec *iov;
	const uint8_t *sum;
	uint32_t i, nr, bytes;
	struct vos_fetch *f;
	struct csum csum;

	check_rc(csum_init(&csum, c->conf.csum_type), 0);
	check_rc(vos_fetch_begin(c->cont, &io, VOS_FETCH_NEED_SUMS, &f), 0);
	iov = vos_fetch_iov(f, 0, &nr);
	for (i = 0; i < nr; at += iov[i++].iov_len) {
		check(at + iov[i].iov_len <= len);
		memset(there + at, iov[i].iov_base != NULL, iov[i].iov_len);
		if (iov[i].iov_base != NULL)
			memcpy(plain + at, iov[i].iov_base, iov[i].iov_len);
	}
	check(at == len);
	sum = vos_fetch_sums(f, 0, &bytes);
	if (recx == NULL) {
		check(bytes == csum.len);
		csum_buf(&csum, plain, len, want);
		check(memcmp(sum, want, csum.len) == 0);
	}
	for (i = 0, at = 0; recx != NULL && i < recx_nr; i++) {
		end = recx[i].rx_idx + recx[i].rx_nr;
		for (pos = recx[i].rx_idx; pos < end; pos = next) {
			uint64_t stop, any = 0;

			next = csum_chunk_end(pos, recs) < end ? csum_chunk_end(pos, recs) : end;
			stop = at + (next - pos) * c->rec_size;
			csum_begin(&csum);
			for (; at < stop; at++)
				if (there[at]) {
					csum_update(&csum, &plain[at], 1);
					any++;
				}
			memset(want, 0, sizeof(want));
			if (any != 0)
				csum_end(&csum, want);
			check(bytes >= csum.len && memcmp(sum, want, csum.len) == 0);
			sum += csum.len;
			bytes -= csum.len;
		}
	}
	check(recx == NULL || bytes == 0);
	vos_fetch_end(f);
	csum_fini(&csum);
	free(plain);
	free(there);
	return 0;
}

/* Writes of all sizes, over each other; asked for in all ways. */
static int
need_sums(void *arg)
{
	struct cs *c = arg;
	uint64_t max, i, j;
	daos_recx_t recx[3];

	check_rc(cs_open(c), 0);
	max = ARRAY_MAX / c->rec_size;
	for (i = 0; i < 60; i++) {
		uint64_t nr =
		    1 + rnd_below(c, rnd_below(c, 2) ? 20000 / c->rec_size : 500 / c->rec_size);

		check_rc(put(c, rnd_below(c, max - nr), nr), 0);
		if (i % 20 == 10)
			check_rc(cs_reopen(c), 0);
		for (j = 0; j < 3; j++) {
			recx[j].rx_nr = 1 + rnd_below(c, 30000 / c->rec_size);
			recx[j].rx_idx = rnd_below(c, max - recx[j].rx_nr);
		}
		/* the record size is known as soon as one is there */
		recx[0].rx_idx = 0;
		recx[0].rx_nr = max;
		check_rc(sums_of(c, "array", recx, 3,
				 (recx[0].rx_nr + recx[1].rx_nr + recx[2].rx_nr) * c->rec_size),
			 0);
	}
	for (i = 0; i < 3; i++) {
		uint64_t len = i == 0 ? 5 : i == 1 ? 3000 : 200000;

		fill(c->got, len, i);
		check_rc(tput(c->cont, oid, ++c->epoch, 0, skey("dkey"), "one", NULL, len, c->got,
			      len, NULL),
			 0);
		check_rc(sums_of(c, "one", NULL, 0, len), 0);
	}
	return cs_close(c);
}

static void
test_need_sums(void **state)
{
	uint32_t type, i;

	for (type = 1, i = 0; type <= DAOS_PROP_CO_CSUM_ADLER32; type++, i++) {
		struct cs c = {
		    .conf = {.csum_type = type, .csum_chunk = i % 2 ? 4096 : 1000},
		    .rec_size = i % 3 == 0 ? 7 : i % 3,
		    .seed = 40 + i,
		    .keep_all = i % 2,
		};

		run(need_sums, &c);
	}
}

/* --- checksums that come with the data -------------------------------------------------------- */

/* Write with the caller's checksums; spoil: which byte of them is wrong (-1: none). */
static int co_fn
put_with(struct cs *c, const char *akey, daos_recx_t *recx, const uint8_t *data, uint64_t len,
	 const uint8_t *sum, uint32_t sum_bytes)
{
	daos_key_t dkey = skey("dkey");
	daos_iod_t iod = {
	    .iod_name = skey(akey),
	    .iod_type = recx == NULL ? DAOS_IOD_SINGLE : DAOS_IOD_ARRAY,
	    .iod_size = recx == NULL ? len : c->rec_size,
	    .iod_nr = 1,
	    .iod_recxs = recx,
	};
	struct vos_iod_sums sums = {.sum = sum, .bytes = sum_bytes};
	struct vos_io io = {.oid = oid,
			    .epoch = ++c->epoch,
			    .dkey = &dkey,
			    .iods = &iod,
			    .iod_nr = 1,
			    .sums = &sums};
	const struct iovec *iov;
	struct vos_update *up;
	uint64_t at = 0;
	uint32_t i, nr;

	check_rc(vos_update_begin(c->cont, &io, &up), 0);
	iov = vos_update_iov(up, 0, &nr);
	for (i = 0; i < nr; at += iov[i++].iov_len)
		memcpy(iov[i].iov_base, data + at, iov[i].iov_len);
	check(at == len);
	return vos_update_end(up);
}

static uint32_t
make_sums(struct cs *c, uint64_t idx, const uint8_t *data, uint64_t nr, uint8_t *sum)
{
	uint64_t recs = csum_chunk_recs(c->conf.csum_chunk, c->rec_size), end = idx + nr, next;
	struct csum csum;
	uint32_t bytes = 0;

	if (csum_init(&csum, c->conf.csum_type) != 0)
		return 0;
	for (; idx < end; idx = next, bytes += csum.len) {
		next = csum_chunk_end(idx, recs) < end ? csum_chunk_end(idx, recs) : end;
		csum_buf(&csum, data, (next - idx) * c->rec_size, sum + bytes);
		data += (next - idx) * c->rec_size;
	}
	csum_fini(&csum);
	return bytes;
}

static int
given(void *arg)
{
	struct cs *c = arg;
	daos_recx_t recx = {.rx_idx = 100, .rx_nr = 10000};
	uint8_t data[10000], sum[64 * CSUM_LEN_MAX], one[CSUM_LEN_MAX];
	struct csum csum;
	uint32_t bytes;

	check_rc(cs_open(c), 0);
	fill(data, sizeof(data), 1);
	bytes = make_sums(c, 100, data, sizeof(data), sum);
	check_rc(csum_init(&csum, c->conf.csum_type), 0);
	csum_buf(&csum, data, 777, one);
	check_rc(put_with(c, "array", &recx, data, sizeof(data), sum, bytes), 0);
	check_rc(put_with(c, "one", NULL, data, 777, one, csum.len), 0);
	check_rc(sums_of(c, "array", &recx, 1, sizeof(data)), 0);
	check_rc(sums_of(c, "one", NULL, 0, 777), 0);
	check(c->event_nr == 0);
	/* not as many as there should be */
	check_rc(put_with(c, "array", &recx, data, sizeof(data), sum, bytes - 1), -DER_INVAL);
	check_rc(put_with(c, "one", NULL, data, 777, one, csum.len + 1), -DER_INVAL);
	/* the data changed on the way */
	data[5000] ^= 4;
	data[700] ^= 1;
	if (c->conf.csum_verify) {
		check_rc(put_with(c, "array", &recx, data, sizeof(data), sum, bytes), -DER_CSUM);
		check(c->event_nr == 1 && c->event.found == VOS_CSUM_UPDATE);
		check(!c->event.single && c->event.recx.rx_idx == 100);
		check_rc(put_with(c, "one", NULL, data, 777, one, csum.len), -DER_CSUM);
		check(c->event_nr == 2 && c->event.single);
		/* what was there is untouched */
		check_rc(sums_of(c, "array", &recx, 1, sizeof(data)), 0);
		check_rc(sums_of(c, "one", NULL, 0, 777), 0);
	} else {
		/* stored as it came, and found by who reads it: also in memory */
		check_rc(put_with(c, "array", &recx, data, sizeof(data), sum, bytes), 0);
		check_rc(put_with(c, "one", NULL, data, 777, one, csum.len), 0);
		check(tget(c->cont, oid, UINT64_MAX, 0, skey("dkey"), "array", &recx, c->got,
			   ARRAY_MAX, NULL) == -DER_CSUM);
		check(c->event_nr == 1 && c->event.found == VOS_CSUM_FETCH && c->event.nvme);
		check(strcmp(c->dkey, "dkey") == 0 && strcmp(c->akey, "array") == 0);
		check(c->event.oid.id.lo == oid.id.lo && c->event.epoch == c->epoch - 1);
		check(memcmp(c->event.cont, uuid, sizeof(uuid)) == 0);
		check(tget(c->cont, oid, UINT64_MAX, 0, skey("dkey"), "one", NULL, c->got,
			   ARRAY_MAX, NULL) == -DER_CSUM);
		check(c->event_nr == 2 && c->event.single && !c->event.nvme);
		check(strcmp(c->akey, "one") == 0);
	}
	csum_fini(&csum);
	return cs_close(c);
}

static void
test_given(void **state)
{
	struct cs a = {.conf = {.csum_type = DAOS_PROP_CO_CSUM_CRC32, .csum_chunk = 1000}};
	struct cs b = {.conf = {.csum_type = DAOS_PROP_CO_CSUM_SHA256,
				.csum_chunk = 32768,
				.csum_verify = true}};

	run(given, &a);
	run(given, &b);
}

/* --- flipped bits ----------------------------------------------------------------------------- */

/* Read everything in pieces: each is right, or refused because of the chunk that was reported. */
static int co_fn
read_all(struct cs *c, uint32_t *ret_bad)
{
	uint64_t max = ARRAY_MAX / c->rec_size, idx, nr, r = c->rec_size;
	int64_t n;

	*ret_bad = 0;
	for (idx = 0; idx < max; idx += nr) {
		nr = 1 + rnd_below(c, 6000 / r);
		if (nr > max - idx)
			nr = max - idx;
		c->event_nr = 0;
		n = get(c, idx, nr);
		if (n == -DER_CSUM) {
			check(c->event_nr == 1 && c->event.found == VOS_CSUM_FETCH);
			check(strcmp(c->dkey, "dkey") == 0 && strcmp(c->akey, "array") == 0);
			(*ret_bad)++;
			continue;
		}
		if (n == 0) /* all hole: of no known record size */
			memset(c->got + idx * r, 0xee, nr * r);
		check((n == 0 || n == (int64_t)(nr * r)) && c->event_nr == 0);
		check(memcmp(c->got + idx * r, c->want + idx * r, nr * r) == 0);
	}
	return 0;
}

/* Extents of all sizes, cut by each other, some merged. */
static int co_fn
many_extents(struct cs *c)
{
	uint64_t max = ARRAY_MAX / c->rec_size, r = c->rec_size, i, nr;
	bool more = true;

	for (i = 0; i < 40; i++) {
		nr = 1 + rnd_below(c, (i < 10 ? 60000 : i % 3 ? 9000 : 300) / r);
		check_rc(put(c, rnd_below(c, max - nr), nr), 0);
		if (i == 20 && !c->keep_all)
			while (more)
				check_rc(vos_aggregate(c->cont, c->epoch, NULL, 0, 1000, &more), 0);
	}
	return 0;
}

/* A whole walk of the scrubber, in steps. */
static int co_fn
scrub(struct cs *c, uint64_t step, uint64_t *ret_bytes)
{
	struct vos_csum_stats before, after;
	struct vos_scrub *scrub;
	uint64_t bytes;
	bool more = true;

	vos_pool_csum_stats(c->t.pool, &before);
	c->event_nr = 0;
	*ret_bytes = 0;
	check_rc(vos_scrub_create(c->cont, &scrub), 0);
	while (more) {
		check_rc(vos_scrub_step(scrub, step, &bytes, &more), 0);
		*ret_bytes += bytes;
	}
	vos_scrub_destroy(scrub);
	vos_pool_csum_stats(c->t.pool, &after);
	check(after.scrub_bytes - before.scrub_bytes == *ret_bytes);
	check(after.scrub_bad_nr - before.scrub_bad_nr == c->event_nr);
	check(after.bad_nr == before.bad_nr);
	return 0;
}

static int
flips(void *arg)
{
	struct cs *c = arg;
	struct runs *runs = malloc(sizeof(*runs));
	uint32_t bad, hit = 0, i;
	uint64_t byte, all, bytes;

	check_rc(cs_open(c), 0);
	check_rc(many_extents(c), 0);
	check_rc(cs_reopen(c), 0);
	check_rc(runs_of(c, "array", runs), 0);
	check_rc(read_all(c, &bad), 0);
	check(bad == 0);
	check_rc(scrub(c, UINT64_MAX, &all), 0);
	check(c->event_nr == 0 && all > 100000);
	for (i = 0; i < 150; i++) {
		uint32_t bit = rnd_below(c, 8);

		byte = some_byte(c, runs);
		check_rc(flip(c, byte, bit), 0);
		check_rc(read_all(c, &bad), 0);
		if (bad != 0) {
			check(c->event.nvme && byte >= c->event.dev_off);
			check(byte < c->event.dev_off + c->event.recx.rx_nr * c->rec_size);
			hit++;
		}
		/* the scrubber finds it without a reader, also where nothing reads any more */
		check_rc(scrub(c, i % 2 ? 1 : 20000, &bytes), 0);
		check(bytes == all && c->event_nr >= (bad != 0));
		if (c->event_nr != 0) {
			check(c->event.found == VOS_CSUM_SCRUB && c->event.nvme);
			check(strcmp(c->dkey, "dkey") == 0 && strcmp(c->akey, "array") == 0);
			check(byte >= c->event.dev_off);
			check(byte < c->event.dev_off + c->event.recx.rx_nr * c->rec_size);
		}
		/* it was only that bit */
		check_rc(flip(c, byte, bit), 0);
		check_rc(read_all(c, &bad), 0);
		check(bad == 0);
	}
	check(hit > 100);
	free(runs);
	return cs_close(c);
}

static void
test_flips(void **state)
{
	static const struct cs cases[] = {
	    {.conf = {DAOS_PROP_CO_CSUM_CRC32, 32768, true}, .rec_size = 1, .seed = 1},
	    {.conf = {DAOS_PROP_CO_CSUM_CRC32, 4096, true},
	     .rec_size = 1,
	     .seed = 2,
	     .keep_all = true},
	    {.conf = {DAOS_PROP_CO_CSUM_CRC16, 5000, true}, .rec_size = 7, .seed = 3},
	    {.conf = {DAOS_PROP_CO_CSUM_CRC64, 300, true}, .rec_size = 8, .seed = 4},
	    {.conf = {DAOS_PROP_CO_CSUM_SHA512, 32768, true}, .rec_size = 3, .seed = 5},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cs c = cases[i];

		run(flips, &c);
	}
}

/* Values that are not arrays, in blocks; and values in the heap, in memory. */
static int
flips_other(void *arg)
{
	struct cs *c = arg;
	daos_recx_t recx = {.rx_idx = 5, .rx_nr = 1000};
	uint8_t *data = malloc(100000), *p;
	uint64_t byte, i, size, hit = 0;
	struct runs *runs = malloc(sizeof(*runs));
	struct heap *heap;

	check_rc(cs_open(c), 0);
	heap = c->t.pool->heap;
	fill(data, 100000, 9);
	check_rc(tput(c->cont, oid, 101, 0, skey("dkey"), "big", NULL, 100000, data, 100000, NULL),
		 0);
	check_rc(tput(c->cont, oid, 102, 0, skey("dkey"), "small", NULL, 500, data, 500, NULL), 0);
	check_rc(tput(c->cont, oid, 103, 0, skey("dkey"), "bytes", &recx, 1, data, 1000, NULL), 0);
	check_rc(runs_of(c, "big", runs), 0);
	for (i = 0; i < 60; i++) {
		byte = some_byte(c, runs);
		check_rc(flip(c, byte, 3), 0);
		c->event_nr = 0;
		if (tget(c->cont, oid, UINT64_MAX, 0, skey("dkey"), "big", NULL, c->got, ARRAY_MAX,
			 &size) == -DER_CSUM) {
			check(c->event_nr == 1 && c->event.single && c->event.nvme);
			check(strcmp(c->akey, "big") == 0 && c->event.epoch == 101);
			check(byte >= c->event.dev_off && byte < c->event.dev_off + 100000);
			hit++;
		} else {
			check(c->event_nr == 0 && memcmp(c->got, data, 100000) == 0);
		}
		/* the others do not mind */
		check(tget(c->cont, oid, UINT64_MAX, 0, skey("dkey"), "small", NULL, c->got,
			   ARRAY_MAX, &size) == 500);
		check_rc(flip(c, byte, 3), 0);
	}
	check(hit > 50);
	free(runs);
	check(tget(c->cont, oid, UINT64_MAX, 0, skey("dkey"), "big", NULL, c->got, ARRAY_MAX,
		   &size) == 100000);
	/* a stray write into memory: find the values' bytes in the heap */
	for (i = 0; i < 2; i++) {
		const char *akey = i == 0 ? "small" : "bytes";
		struct vos_krec k;
		struct vos_sv sv;
		struct vos_seg seg;
		uint64_t at;

		check_rc(akey_rec(c, akey, &k), 0);
		if (i == 0) {
			check_rc(vos_sv_find(heap, &k, UINT64_MAX, (struct vos_ord){0}, &sv), 0);
			at = heap_off(heap, sv.data);
		} else {
			check_rc(vos_seg_find(heap, &k, BTREE_FIRST, 0, &seg), 0);
			at = seg.df.ver.addr;
		}
		p = heap_ptr(heap, at + 321);
		*p ^= 0x10;
		c->event_nr = 0;
		check(tget(c->cont, oid, UINT64_MAX, 0, skey("dkey"), akey, i == 0 ? NULL : &recx,
			   c->got, ARRAY_MAX, &size) == -DER_CSUM);
		check(c->event_nr == 1 && !c->event.nvme && c->event.single == (i == 0));
		check(c->event.dev_off <= at + 321 && strcmp(c->akey, akey) == 0);
		*p ^= 0x10;
		check(tget(c->cont, oid, UINT64_MAX, 0, skey("dkey"), akey, i == 0 ? NULL : &recx,
			   c->got, ARRAY_MAX, &size) > 0);
	}
	free(data);
	return cs_close(c);
}

static void
test_flips_other(void **state)
{
	struct cs c = {.conf = {.csum_type = DAOS_PROP_CO_CSUM_CRC32, .csum_chunk = 32768}};

	run(flips_other, &c);
}

/* --- when it is compared ---------------------------------------------------------------------- */

static int
trust(void *arg)
{
	struct cs *c = arg;
	struct vos_csum_stats a, b;
	struct data_stats da, db;
	struct runs *runs = malloc(sizeof(*runs));
	struct vos_pool *pool;
	uint64_t at;
	uint32_t bad;

	check_rc(cs_open(c), 0);
	check_rc(put(c, 0, 200000), 0);
	check_rc(runs_of(c, "array", runs), 0);
	check(runs->nr == 1 && runs->v[0].len == 200000);
	at = runs->v[0].off;
	free(runs);
	pool = c->t.pool;
	/* what was just written was summed up in the same memory */
	vos_pool_csum_stats(pool, &a);
	check(get(c, 0, 200000) == 200000);
	vos_pool_csum_stats(pool, &b);
	check(b.checked_bytes == a.checked_bytes && b.trusted_bytes == a.trusted_bytes + 200000);
	check_rc(cs_reopen(c), 0);
	pool = c->t.pool;
	/* from the device: the chunk around it, once */
	check(get(c, 40000, 100) == 100);
	vos_pool_csum_stats(pool, &a);
	check(a.checked_bytes == 32768 && a.trusted_bytes == 0);
	check(get(c, 35000, 30000) == 30000);
	vos_pool_csum_stats(pool, &b);
	check(b.checked_bytes == 32768 && b.trusted_bytes == 30000);
	/* and in a single read */
	data_stats(pool->data, &da);
	check(get(c, 70000, 100) == 100);
	data_stats(pool->data, &db);
	check(db.read_nr == da.read_nr + 1 && db.read_bytes == da.read_bytes + 32768);
	check(memcmp(c->got + 70000, c->want + 70000, 100) == 0);
	/* rot below memory that was compared does no harm, until it leaves memory */
	check_rc(mem_disk_flip_bit(c->t.disk, POOL_NAME ".data", (at + 40000) * 8), 0);
	check(get(c, 40000, 100) == 100);
	data_forget(pool->data, (at + 40000) / SPACE_BLOCK, 1);
	check(get(c, 40000, 100) == -DER_CSUM);
	check_rc(mem_disk_flip_bit(c->t.disk, POOL_NAME ".data", (at + 40000) * 8), 0);
	/* in memory, bad; on the device, good: read again, and no report */
	c->event_nr = 0;
	check_rc(flip(c, at + 150000, 1), 0);
	check_rc(data_read(pool->data, at + 150000, c->got, 1), 0);
	check_rc(mem_disk_flip_bit(c->t.disk, POOL_NAME ".data", (at + 150000) * 8 + 1), 0);
	check(get(c, 150000, 100) == 100 && c->event_nr == 0);
	check(memcmp(c->got + 150000, c->want + 150000, 100) == 0);
	check_rc(read_all(c, &bad), 0);
	check(bad == 0);
	return cs_close(c);
}

static void
test_trust(void **state)
{
	struct cs c = {.conf = {.csum_type = DAOS_PROP_CO_CSUM_CRC32, .csum_chunk = 32768}};

	run(trust, &c);
}

/* Blocks that are trusted when a fetch looks, but leave memory for what else it reads. */
static int
evicted(void *arg)
{
	enum { HALF = 2 << 20 };
	struct cs *c = arg;
	daos_recx_t a = {.rx_idx = 0, .rx_nr = HALF}, b = {.rx_idx = HALF, .rx_nr = HALF};
	daos_recx_t both = {.rx_idx = 0, .rx_nr = 2 * HALF};
	uint8_t *data = malloc(2 * HALF), *got = malloc(2 * HALF);
	struct runs *runs = malloc(sizeof(*runs));
	daos_key_t k = skey("dkey");
	uint64_t at, i;

	check_rc(cs_open(c), 0);
	fill(data, 2 * HALF, 6);
	check_rc(tput(c->cont, oid, 101, 0, k, "array", &b, 1, data + HALF, HALF, NULL), 0);
	check_rc(runs_of(c, "array", runs), 0);
	at = runs->v[0].off + 12345;
	check_rc(tput(c->cont, oid, 102, 0, k, "array", &a, 1, data, HALF, NULL), 0);
	check_rc(tput(c->cont, oid, 103, 0, k, "other", &a, 1, data, HALF, NULL), 0);
	for (i = 0; i < 2; i++) {
		check_rc(cs_reopen(c), 0);
		check(tget(c->cont, oid, UINT64_MAX, 0, k, "array", &b, got, HALF, NULL) == HALF);
		check(tget(c->cont, oid, UINT64_MAX, 0, k, "other", &a, got, HALF, NULL) == HALF);
		check(data_is_trusted(c->t.pool->data, at / SPACE_BLOCK, 1));
		/* rots where it is not in memory; the second time it does not */
		if (i == 0)
			check_rc(mem_disk_flip_bit(c->t.disk, POOL_NAME ".data", at * 8), 0);
		check(tget(c->cont, oid, UINT64_MAX, 0, k, "array", &both, got, 2 * HALF, NULL) ==
		      (i == 0 ? -DER_CSUM : 2 * HALF));
		check(i == 0 || memcmp(got, data, 2 * HALF) == 0);
		if (i == 0)
			check_rc(mem_disk_flip_bit(c->t.disk, POOL_NAME ".data", at * 8), 0);
	}
	free(runs);
	free(data);
	free(got);
	return cs_close(c);
}

static void
test_evicted(void **state)
{
	struct cs c = {.conf = {.csum_type = DAOS_PROP_CO_CSUM_CRC32, .csum_chunk = 32768},
		       .cache_bytes = 4 << 20};

	run(evicted, &c);
}

/* What is larger than the cache may hold goes through memory of its own, and is compared too. */
static int
large(void *arg)
{
	struct cs *c = arg;
	uint64_t len = 6 << 20, i;
	daos_recx_t recx = {.rx_idx = 1000, .rx_nr = len};
	uint8_t *data = malloc(len), *got = malloc(len);
	struct runs *runs = malloc(sizeof(*runs));

	check_rc(cs_open(c), 0);
	fill(data, len, 3);
	check_rc(
	    tput(c->cont, oid, ++c->epoch, 0, skey("dkey"), "array", &recx, 1, data, len, NULL), 0);
	check_rc(tput(c->cont, oid, ++c->epoch, 0, skey("dkey"), "one", NULL, len, data, len, NULL),
		 0);
	check_rc(cs_reopen(c), 0);
	for (i = 0; i < 2; i++) {
		daos_recx_t *r = i == 0 ? &recx : NULL;
		const char *akey = i == 0 ? "array" : "one";

		check(tget(c->cont, oid, UINT64_MAX, 0, skey("dkey"), akey, r, got, len, NULL) ==
		      (int64_t)len);
		check(memcmp(got, data, len) == 0);
		check_rc(runs_of(c, akey, runs), 0);
		check_rc(flip(c, runs->v[runs->nr - 1].off + 1000, 7), 0);
		c->event_nr = 0;
		check(tget(c->cont, oid, UINT64_MAX, 0, skey("dkey"), akey, r, got, len, NULL) ==
		      -DER_CSUM);
		check(c->event_nr == 1 && c->event.single == (i == 1));
		check_rc(flip(c, runs->v[runs->nr - 1].off + 1000, 7), 0);
	}
	check_rc(sums_of(c, "array", &recx, 1, len), 0);
	free(runs);
	free(data);
	free(got);
	return cs_close(c);
}

static void
test_large(void **state)
{
	struct cs c = {.conf = {.csum_type = DAOS_PROP_CO_CSUM_CRC32, .csum_chunk = 32768}};

	run(large, &c);
}

/* --- merging ---------------------------------------------------------------------------------- */

/* Aggregation copies no rot: what does not agree is reported and stays as it is. */
static int
merge(void *arg)
{
	struct cs *c = arg;
	struct vos_csum_stats st;
	struct runs *runs = malloc(sizeof(*runs));
	bool more = true;
	uint64_t i, at;
	uint32_t bad;

	check_rc(cs_open(c), 0);
	for (i = 0; i < 20; i++) /* not in order: they must be copied */
		check_rc(put(c, (i * 7 % 20) * 5000, 5000), 0);
	check_rc(cs_reopen(c), 0);
	check_rc(runs_of(c, "array", runs), 0);
	at = runs->v[14].off;
	free(runs);
	check_rc(flip(c, at + 100, 0), 0);
	c->event_nr = 0;
	while (more)
		check_rc(vos_aggregate(c->cont, c->epoch, NULL, 0, 1000, &more), 0);
	vos_pool_csum_stats(c->t.pool, &st);
	check(c->event_nr > 0 && st.bad_nr == c->event_nr && c->event.found == VOS_CSUM_MERGE);
	check(c->event.nvme && c->event.dev_off == at);
	check(strcmp(c->dkey, "dkey") == 0 && strcmp(c->akey, "array") == 0);
	check(get(c, 14 * 5000, 5000) == -DER_CSUM);
	check(get(c, 0, 5000) == 5000);
	check_rc(flip(c, at + 100, 0), 0);
	check_rc(read_all(c, &bad), 0);
	check(bad == 0);
	more = true;
	c->epoch++;
	while (more)
		check_rc(vos_aggregate(c->cont, c->epoch, NULL, 0, 1000, &more), 0);
	check_rc(cs_reopen(c), 0);
	check_rc(read_all(c, &bad), 0);
	check(bad == 0);
	return cs_close(c);
}

static void
test_merge(void **state)
{
	struct cs c = {.conf = {.csum_type = DAOS_PROP_CO_CSUM_CRC32, .csum_chunk = 32768}};

	run(merge, &c);
}

/* --- scrubbing ------------------------------------------------------------------------------- */

/* Keys, objects, histories short and long: everything is compared once. */
static int
scrub_all(void *arg)
{
	struct cs *c = arg;
	uint8_t *data = malloc(20000);
	uint64_t want = 0, bytes, len, i, j, n;
	daos_recx_t recx = {0};
	char dkey[16], akey[16];
	struct vos_scrub *s;
	bool more = true;

	check_rc(cs_open(c), 0);
	fill(data, 20000, 5);
	for (i = 0; i < 40; i++) {
		struct vos_oid o = {.id = {.lo = i / 4, .hi = oid.id.hi}, .shard = i % 2};

		n = i % 7 == 0 ? 30 : 1 + i % 3;
		snprintf(dkey, sizeof(dkey), "d%u", (unsigned)(i % 4));
		for (j = 0; j < n; j++) {
			snprintf(akey, sizeof(akey), "a%u", (unsigned)(j % 2));
			len = i % 5 == 0 ? 10000 : 100 + i;
			recx.rx_nr = len;
			check_rc(tput(c->cont, o, ++c->epoch, 0, skey(dkey), akey,
				      j % 2 ? &recx : NULL, j % 2 ? 1 : len, data, len, NULL),
				 0);
			want += len;
		}
	}
	check_rc(scrub(c, 1, &bytes), 0);
	check(bytes == want && c->event_nr == 0);
	check_rc(cs_reopen(c), 0);
	check_rc(scrub(c, 50000, &bytes), 0);
	check(bytes == want && c->event_nr == 0);
	/* changes under way: what is there from beginning to end is compared all the same */
	check_rc(vos_scrub_create(c->cont, &s), 0);
	for (i = 0; more; i++) {
		check_rc(vos_scrub_step(s, 3000, &bytes, &more), 0);
		recx.rx_idx = rnd_below(c, 10000);
		recx.rx_nr = 1 + rnd_below(c, 5000);
		check_rc(i > 100 ? 0
				 : tput(c->cont, oid, ++c->epoch, 0, skey("dkey"), "array", &recx,
					1, data, recx.rx_nr, NULL),
			 0);
		check(i < 10000);
	}
	vos_scrub_destroy(s);
	check(c->event_nr == 0);
	/* a container that is destroyed ends it */
	check_rc(vos_scrub_create(c->cont, &s), 0);
	check_rc(vos_cont_destroy(c->t.pool, uuid), 0);
	check_rc(vos_scrub_step(s, 3000, &bytes, &more), -DER_NO_HDL);
	check(!more);
	vos_scrub_destroy(s);
	vos_cont_close(c->cont);
	vos_pool_close(c->t.pool);
	free(data);
	free(c->want);
	free(c->got);
	return 0;
}

static void
test_scrub_all(void **state)
{
	struct cs c = {.conf = {.csum_type = DAOS_PROP_CO_CSUM_CRC32, .csum_chunk = 4096},
		       .keep_all = true};

	run(scrub_all, &c);
}

/* --- arguments -------------------------------------------------------------------------------- */

static int
args(void *arg)
{
	struct cs *c = arg;
	struct vos_cont_conf conf = {.csum_type = 99, .csum_chunk = 32768};
	static const uuid_t other = {0xc6};

	check_rc(cs_open(c), 0);
	check_rc(vos_cont_create_with(c->t.pool, other, &conf), -DER_INVAL);
	conf = (struct vos_cont_conf){DAOS_PROP_CO_CSUM_CRC32, CSUM_CHUNK_MIN - 1, false};
	check_rc(vos_cont_create_with(c->t.pool, other, &conf), -DER_INVAL);
	check_rc(cs_reopen(c), 0);
	vos_cont_conf_get(c->cont, &conf);
	check(conf.csum_type == DAOS_PROP_CO_CSUM_CRC64 && conf.csum_chunk == 65536 &&
	      conf.csum_verify);
	return cs_close(c);
}

static void
test_args(void **state)
{
	struct cs c = {.conf = {DAOS_PROP_CO_CSUM_CRC64, 65536, true}};

	run(args, &c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_need_sums), cmocka_unit_test(test_given),
	    cmocka_unit_test(test_flips),     cmocka_unit_test(test_flips_other),
	    cmocka_unit_test(test_trust),     cmocka_unit_test(test_large),
	    cmocka_unit_test(test_merge),     cmocka_unit_test(test_scrub_all),
	    cmocka_unit_test(test_evicted),   cmocka_unit_test(test_args),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
