/*
 * A target with one of everything: a pool whose first half is in its pages and whose second half is
 * still in the log.
 */
#include <stdlib.h>

#include <daos_prop.h>

#include "store/vos/vos.h"
#include "tests/formats/sample.h"

enum {
	SCM = 4 << 20,
	NVME = 2 << 20,
	WAL = 4 << 20,
	BIG = 50000,
	MANY = 120,
	VERSIONS = 20,
	INTENT_EPOCH = 530
};

static const uuid_t history = {0xaa, 1}, summed = {0xbb, 2}, gone = {0xcc, 3};

static daos_key_t
skey(const char *s)
{
	return (daos_key_t){.iov_buf = (void *)s, .iov_buf_len = strlen(s), .iov_len = strlen(s)};
}

static daos_key_t
nkey(uint64_t *n)
{
	return (daos_key_t){.iov_buf = n, .iov_buf_len = sizeof(*n), .iov_len = sizeof(*n)};
}

static struct vos_oid
oid_of(enum daos_otype_t type, uint64_t lo)
{
	return (struct vos_oid){.id = {.lo = lo, .hi = (uint64_t)type << 56}};
}

static void
content(uint8_t *buf, uint32_t len, uint32_t seed)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		buf[i] = (i / 64 + i * seed) & 0x3f;
}

static uint64_t last_seq; /* of the operations of the one client */

/* One value (recx NULL) or extent of records of rec_size bytes; 0: punched. */
static int co_fn
put(struct vos_cont *cont, struct vos_oid oid, uint64_t epoch, daos_key_t dkey, const char *akey,
    daos_recx_t *recx, uint32_t rec_size, uint32_t seed)
{
	struct vos_opid opid = {.client = {1, 2}, .seq = ++last_seq, .low_seq = 1};
	daos_iod_t iod = {
	    .iod_name = skey(akey),
	    .iod_type = recx == NULL ? DAOS_IOD_SINGLE : DAOS_IOD_ARRAY,
	    .iod_size = rec_size,
	    .iod_nr = 1,
	    .iod_recxs = recx,
	};
	struct vos_io io = {
	    .oid = oid, .epoch = epoch, .dkey = &dkey, .iods = &iod, .iod_nr = 1, .opid = &opid};
	uint32_t len = rec_size * (recx == NULL ? 1 : recx->rx_nr), done = 0, nr, i;
	uint8_t *buf = malloc(len + 1);
	const struct iovec *iov;
	struct vos_update *up;
	int rc;

	content(buf, len, seed);
	rc = vos_update_begin(cont, &io, &up);
	if (rc == 0) {
		iov = vos_update_iov(up, 0, &nr);
		for (i = 0; i < nr; i++) {
			memcpy(iov[i].iov_base, buf + done, iov[i].iov_len);
			done += iov[i].iov_len;
		}
		rc = done == len ? vos_update_end(up) : -DER_MISC;
	}
	free(buf);
	return rc;
}

/* What is read at epoch is what put() wrote with this seed; len 0: nothing is there. */
static int co_fn
expect(struct vos_cont *cont, struct vos_oid oid, uint64_t epoch, daos_key_t dkey, const char *akey,
       daos_recx_t *recx, uint32_t len, uint32_t seed)
{
	daos_iod_t iod = {
	    .iod_name = skey(akey),
	    .iod_type = recx == NULL ? DAOS_IOD_SINGLE : DAOS_IOD_ARRAY,
	    .iod_nr = 1,
	    .iod_recxs = recx,
	};
	struct vos_io io = {.oid = oid, .epoch = epoch, .dkey = &dkey, .iods = &iod, .iod_nr = 1};
	uint8_t *want = malloc(len + 1);
	const struct iovec *iov;
	struct vos_fetch *f;
	uint32_t nr, i, done = 0;
	bool same = true;

	content(want, len, seed);
	check_rc(vos_fetch_begin(cont, &io, 0, &f), 0);
	iov = vos_fetch_iov(f, 0, &nr);
	for (i = 0; i < nr && same; i++) {
		if (iov[i].iov_base == NULL)
			continue;
		same = done + iov[i].iov_len <= len &&
		       memcmp(want + done, iov[i].iov_base, iov[i].iov_len) == 0;
		done += iov[i].iov_len;
	}
	vos_fetch_end(f);
	free(want);
	check(same && done == len);
	return 0;
}

/* --- making ---------------------------------------------------------------------------------- */

/* Every kind of key and value, with what older versions and punches leave behind. */
static int co_fn
fill_history(struct vos_cont *cont)
{
	struct vos_oid hash = oid_of(DAOS_OT_MULTI_HASHED, 1),
		       lex = oid_of(DAOS_OT_MULTI_LEXICAL, 2), num = oid_of(DAOS_OT_ARRAY_BYTE, 3),
		       many = oid_of(DAOS_OT_MULTI_UINT64, 4),
		       small = oid_of(DAOS_OT_MULTI_HASHED, 5),
		       dead = oid_of(DAOS_OT_MULTI_HASHED, 6),
		       deep = oid_of(DAOS_OT_MULTI_HASHED, 7);
	daos_recx_t whole = {0, BIG}, part = {5000, 100}, some = {10, 20}, hole = {15, 5};
	daos_key_t punched = skey("punched");
	char longkey[300];
	uint64_t n = 7, keep[] = {150, 250}, i;

	memset(longkey, 'k', sizeof(longkey) - 1);
	longkey[sizeof(longkey) - 1] = '\0';
	check_rc(vos_cont_set_keep(cont, 1, keep, 2), 0);
	check_rc(put(cont, hash, 100, skey("dkey"), "single", NULL, 20, 1), 0);
	check_rc(put(cont, hash, 110, skey("dkey"), "single", NULL, BIG, 2), 0);
	check_rc(put(cont, hash, 120, skey("dkey"), "single", NULL, 0, 0), 0);
	check_rc(put(cont, hash, 130, skey("dkey"), "other", NULL, 3000, 3), 0);
	check_rc(put(cont, hash, 140, skey("punched"), "a", NULL, 9, 4), 0);
	check_rc(vos_punch(cont, &hash, 150, 0, &punched, NULL, 0, NULL), 0);
	check_rc(put(cont, lex, 160, skey(longkey), "arr", &some, 8, 5), 0);
	check_rc(put(cont, lex, 170, skey(longkey), "arr", &hole, 0, 0), 0);
	check_rc(put(cont, lex, 175, skey("b"), longkey, NULL, 1, 6), 0);
	check_rc(put(cont, num, 180, nkey(&n), "0", &whole, 1, 7), 0);
	check_rc(put(cont, num, 190, nkey(&n), "0", &part, 1, 8), 0);
	for (i = 0; i < MANY; i++)
		check_rc(put(cont, many, 200 + i, nkey(&i), "\1\2\3\4\5\6\7\1", NULL, 30, 9), 0);
	check_rc(put(cont, small, 400, skey("."), "0", NULL, 100, 10), 0);
	check_rc(put(cont, dead, 410, skey("x"), "y", NULL, 10, 11), 0);
	check_rc(vos_punch(cont, &dead, 420, 0, NULL, NULL, 0, NULL), 0);
	/* more versions than a plain list holds */
	for (i = 0; i < VERSIONS; i++) {
		check_rc(put(cont, deep, 430 + i, skey("d"), "single", NULL, 10 + i, i), 0);
		check_rc(put(cont, deep, 430 + i, skey("d"), "array", &some, 4, i), 0);
	}
	return 0;
}

/* An intent: a single value and the punch of a dkey. */
static int co_fn
prepare(struct vos_cont *cont, uint64_t seq)
{
	struct vos_dtx_ref ref = {.id = {.client = {7, 8}, .seq = seq},
				  .attempt = 1,
				  .epoch = INTENT_EPOCH,
				  .map_ver = 4};
	daos_key_t dkey = skey("intent"), gone_key = skey("d");
	daos_iod_t iod = {
	    .iod_name = skey("a"), .iod_type = DAOS_IOD_SINGLE, .iod_size = 16, .iod_nr = 1};
	struct vos_io io = {.oid = oid_of(DAOS_OT_MULTI_HASHED, 50 + seq),
			    .epoch = INTENT_EPOCH,
			    .dkey = &dkey,
			    .iods = &iod,
			    .iod_nr = 1};
	struct vos_op ops[2] = {
	    {.kind = VOS_OP_UPDATE},
	    {.kind = VOS_OP_PUNCH, .op_nr = 1, .oid = io.oid, .dkey = &gone_key},
	};
	const struct iovec *iov;
	uint32_t nr;

	check_rc(vos_update_begin(cont, &io, &ops[0].up), 0);
	iov = vos_update_iov(ops[0].up, 0, &nr);
	check(nr == 1 && iov->iov_len == 16);
	content(iov->iov_base, 16, 20 + seq);
	return vos_dtx_prepare(cont, &ref, 1, "participants", 12, ops, 2, NULL);
}

static int co_fn
fill_summed(struct vos_cont *cont)
{
	struct vos_oid oid = oid_of(DAOS_OT_MULTI_HASHED, 1);
	daos_recx_t whole = {0, 20000}, part = {3000, 2000};

	check_rc(put(cont, oid, 500, skey("d"), "single", NULL, 64, 12), 0);
	check_rc(put(cont, oid, 510, skey("d"), "array", &whole, 1, 13), 0);
	check_rc(put(cont, oid, 520, skey("d"), "array", &part, 1, 14), 0);
	check_rc(prepare(cont, 1), 0);
	check_rc(prepare(cont, 2), 0);
	return vos_dtx_abort(cont, &(struct vos_dtx_ref){.id = {.client = {7, 8}, .seq = 2},
							 .attempt = 1,
							 .epoch = INTENT_EPOCH,
							 .map_ver = 4});
}

static int co_fn
fill_one(struct vos_pool *pool, const uuid_t uuid, int co_fn (*fill)(struct vos_cont *cont))
{
	struct vos_cont *cont;
	int rc;

	check_rc(vos_cont_open(pool, uuid, &cont), 0);
	rc = fill(cont);
	vos_cont_close(cont);
	return rc;
}

int co_fn
target_make(struct dev_dir *dir, struct xs *xs)
{
	struct vos_pool_conf conf = {
	    .name = SAMPLE_TARGET, .scm_bytes = SCM, .nvme_bytes = NVME, .wal_bytes = WAL};
	struct vos_cont_conf cc = {.csum_type = DAOS_PROP_CO_CSUM_CRC32, .csum_chunk = 4096};
	struct vos_pool *pool;

	uuid_parse(SAMPLE_POOL, conf.pool_uuid);
	check_rc(vos_pool_create(dir, xs, &conf), 0);
	check_rc(vos_pool_open(dir, xs, &conf, &pool), 0);
	check_rc(vos_cont_create(pool, history), 0);
	check_rc(fill_one(pool, history, fill_history), 0);
	vos_pool_close(pool);
	check_rc(vos_pool_open(dir, xs, &conf, &pool), 0);
	check_rc(vos_cont_create_with(pool, summed, &cc), 0);
	check_rc(vos_cont_create(pool, gone), 0);
	check_rc(fill_one(pool, summed, fill_summed), 0);
	return vos_cont_destroy(pool, gone);
}

/* --- checking -------------------------------------------------------------------------------- */

static int co_fn
check_history(struct vos_cont *cont)
{
	struct vos_oid hash = oid_of(DAOS_OT_MULTI_HASHED, 1),
		       lex = oid_of(DAOS_OT_MULTI_LEXICAL, 2), num = oid_of(DAOS_OT_ARRAY_BYTE, 3),
		       many = oid_of(DAOS_OT_MULTI_UINT64, 4),
		       small = oid_of(DAOS_OT_MULTI_HASHED, 5),
		       dead = oid_of(DAOS_OT_MULTI_HASHED, 6),
		       deep = oid_of(DAOS_OT_MULTI_HASHED, 7);
	daos_recx_t front = {0, 5000}, part = {5000, 100}, whole = {0, BIG}, first = {10, 5},
		    some = {10, 20};
	char longkey[300];
	uint64_t n = 7, i;

	memset(longkey, 'k', sizeof(longkey) - 1);
	longkey[sizeof(longkey) - 1] = '\0';
	check_rc(expect(cont, hash, 105, skey("dkey"), "single", NULL, 20, 1), 0);
	check_rc(expect(cont, hash, 115, skey("dkey"), "single", NULL, BIG, 2), 0);
	check_rc(expect(cont, hash, UINT64_MAX, skey("dkey"), "single", NULL, 0, 0), 0);
	check_rc(expect(cont, hash, UINT64_MAX, skey("dkey"), "other", NULL, 3000, 3), 0);
	check_rc(expect(cont, hash, 145, skey("punched"), "a", NULL, 9, 4), 0);
	check_rc(expect(cont, hash, UINT64_MAX, skey("punched"), "a", NULL, 0, 0), 0);
	check_rc(expect(cont, lex, UINT64_MAX, skey(longkey), "arr", &first, 40, 5), 0);
	check_rc(expect(cont, lex, UINT64_MAX, skey("b"), longkey, NULL, 1, 6), 0);
	check_rc(expect(cont, num, UINT64_MAX, nkey(&n), "0", &front, 5000, 7), 0);
	check_rc(expect(cont, num, UINT64_MAX, nkey(&n), "0", &part, 100, 8), 0);
	check_rc(expect(cont, num, 185, nkey(&n), "0", &whole, BIG, 7), 0);
	for (i = 0; i < MANY; i++)
		check_rc(expect(cont, many, UINT64_MAX, nkey(&i), "\1\2\3\4\5\6\7\1", NULL, 30, 9),
			 0);
	check_rc(expect(cont, small, UINT64_MAX, skey("."), "0", NULL, 100, 10), 0);
	check_rc(expect(cont, dead, 415, skey("x"), "y", NULL, 10, 11), 0);
	check_rc(expect(cont, dead, UINT64_MAX, skey("x"), "y", NULL, 0, 0), 0);
	for (i = 0; i < VERSIONS; i += VERSIONS - 1) {
		check_rc(expect(cont, deep, 430 + i, skey("d"), "single", NULL, 10 + i, i), 0);
		check_rc(expect(cont, deep, 430 + i, skey("d"), "array", &some, 80, i), 0);
	}
	return 0;
}

static int co_fn
check_summed(struct vos_cont *cont)
{
	struct vos_oid oid = oid_of(DAOS_OT_MULTI_HASHED, 1);
	daos_recx_t front = {0, 3000}, part = {3000, 2000};
	struct vos_cont_conf cc;

	check(vos_dtx_oldest(cont) == INTENT_EPOCH || vos_dtx_oldest(cont) == UINT64_MAX);
	vos_cont_conf_get(cont, &cc);
	check(cc.csum_type == DAOS_PROP_CO_CSUM_CRC32 && cc.csum_chunk == 4096);
	check_rc(expect(cont, oid, UINT64_MAX, skey("d"), "single", NULL, 64, 12), 0);
	check_rc(expect(cont, oid, UINT64_MAX, skey("d"), "array", &front, 3000, 13), 0);
	check_rc(expect(cont, oid, UINT64_MAX, skey("d"), "array", &part, 2000, 14), 0);
	return 0;
}

static int co_fn
check_all(struct vos_pool *pool)
{
	check_rc(vos_pool_verify(pool), 0);
	check_rc(fill_one(pool, history, check_history), 0);
	check_rc(fill_one(pool, summed, check_summed), 0);
	return 0;
}

/* The one that was prepared commits, and is then seen; the one that was aborted stays so. */
static int co_fn
decide(struct vos_cont *cont)
{
	struct vos_dtx_ref ref = {
	    .id = {.client = {7, 8}, .seq = 1}, .attempt = 1, .epoch = INTENT_EPOCH, .map_ver = 4};
	struct vos_oid oid = oid_of(DAOS_OT_MULTI_HASHED, 51);
	struct vos_dtx_info info;

	check(vos_dtx_oldest(cont) == INTENT_EPOCH);
	check_rc(vos_dtx_status(cont, &ref.id, &info), 0);
	check(info.state == VOS_DTX_PREPARED && info.ref.attempt == 1 && info.ref.map_ver == 4);
	check_rc(vos_dtx_commit(cont, &ref), 0);
	check_rc(expect(cont, oid, UINT64_MAX, skey("intent"), "a", NULL, 16, 21), 0);
	ref.id.seq = 2;
	check_rc(vos_dtx_commit(cont, &ref), -DER_MISMATCH);
	return 0;
}

/* What an engine would do with it: recover, reclaim, change, aggregate, and all that again. */
int co_fn
target_check(struct dev_dir *dir, struct xs *xs)
{
	struct vos_pool_conf conf = {.name = SAMPLE_TARGET, .debug_shadow = true};
	struct vos_oid fresh = oid_of(DAOS_OT_MULTI_HASHED, 99);
	uint64_t keep[] = {105, 115, 145, 185, 415, 430, 430 + VERSIONS - 1};
	struct vos_cont *cont;
	struct vos_pool *pool;
	bool more = true;
	uuid_t uuid, want;

	check_rc(vos_pool_open(dir, xs, &conf, &pool), 0);
	uuid_parse(SAMPLE_POOL, want);
	vos_pool_uuid(pool, uuid);
	check(uuid_compare(uuid, want) == 0);
	check(vos_pool_max_epoch(pool) == INTENT_EPOCH);
	check_rc(check_all(pool), 0);
	check_rc(vos_cont_open(pool, gone, &cont), -DER_NONEXIST);
	check_rc(vos_cont_open(pool, history, &cont), 0);
	check_rc(put(cont, fresh, 600, skey("new"), "a", NULL, 5000, 15), -DER_ALREADY);
	last_seq = 10000;
	check_rc(put(cont, fresh, 600, skey("new"), "a", NULL, 5000, 15), 0);
	while (more)
		check_rc(vos_aggregate(cont, 590, keep, 7, UINT64_MAX / 2, &more), 0);
	vos_cont_close(cont);
	check_rc(fill_one(pool, summed, decide), 0);
	vos_pool_settle(pool);
	check_rc(check_all(pool), 0);
	vos_pool_close(pool);
	check_rc(vos_pool_open(dir, xs, &conf, &pool), 0);
	check_rc(check_all(pool), 0);
	vos_pool_close(pool);
	return 0;
}
