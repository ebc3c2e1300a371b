/*
 * Object codec: random messages survive a round trip; cut short or disturbed they decode to an
 * error or to something valid, never outside the buffer (the buffers are exact allocations, so the
 * sanitizer builds see it); limits hold; the sizes and speed of the common requests are what they
 * were designed to be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "base/hash.h"
#include "proto/obj_proto.h"

static uint64_t rnd_state;

static uint64_t
rnd(void)
{
	return hash_u64(rnd_state++);
}

static uint64_t
rnd_below(uint64_t n)
{
	return rnd() % n;
}

/* Numbers of every magnitude. */
static uint64_t
rnd_any(void)
{
	return rnd() >> rnd_below(64);
}

static uint8_t pool_bytes[64 * 1024];

static void
rnd_key(daos_key_t *key)
{
	size_t len = rnd_below(10) == 0 ? rnd_below(600) : 1 + rnd_below(16);

	d_iov_set(key, pool_bytes + rnd_below(1024), len);
}

static daos_recx_t
rnd_recx(void)
{
	daos_recx_t rx = {.rx_idx = rnd_any() >> 1, .rx_nr = 1 + (rnd_any() >> 2)};

	return rx;
}

static void
rnd_head(struct obj_head *h)
{
	*h = (struct obj_head){0};
	memcpy(h->cap_id, pool_bytes + rnd_below(1000), 16);
	if (rnd_below(3) == 0) {
		h->cap = pool_bytes + rnd_below(1000);
		h->cap_len = (uint32_t)rnd_below(200);
	}
	h->oid.lo = rnd_any();
	h->oid.hi = rnd();
	h->shard = (uint32_t)rnd_any();
	switch (rnd_below(3)) {
	case 0:
		h->epoch = UINT64_MAX;
		break;
	case 1:
		h->epoch = rnd_any();
		break;
	}
	if (rnd_below(2))
		h->flags = rnd_any();
	if (rnd_below(2)) {
		h->client[0] = rnd();
		h->client[1] = rnd();
		h->seq = rnd_any();
		h->low_seq = rnd_any();
	}
}

static struct obj_groups
rnd_set(void)
{
	struct obj_groups set = {.prefix = (uint32_t)rnd_below(1000)};
	uint32_t at = set.prefix;

	if (set.prefix == 0)
		return set;
	set.nr = (uint32_t)rnd_below(OBJ_GROUPS_SINGLE_MAX + 1);
	for (uint32_t i = 0; i < set.nr; i++) {
		set.single[i] = at + (uint32_t)rnd_below(1000);
		at = set.single[i] + 1;
	}
	return set;
}

static void
check_head(const struct obj_head *a, const struct obj_head *b)
{
	assert_memory_equal(a->cap_id, b->cap_id, 16);
	assert_int_equal(a->cap != NULL, b->cap != NULL);
	assert_int_equal(a->cap_len, b->cap_len);
	if (a->cap != NULL && a->cap_len > 0)
		assert_memory_equal(a->cap, b->cap, a->cap_len);
	assert_int_equal(a->oid.lo, b->oid.lo);
	assert_int_equal(a->oid.hi, b->oid.hi);
	assert_int_equal(a->shard, b->shard);
	assert_int_equal(a->epoch, b->epoch);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->client[0], b->client[0]);
	assert_int_equal(a->client[1], b->client[1]);
	assert_int_equal(a->seq, b->seq);
	assert_int_equal(a->low_seq, b->low_seq);
}

static void
check_key(const daos_key_t *a, const daos_key_t *b)
{
	assert_int_equal(a->iov_len, b->iov_len);
	if (a->iov_len > 0)
		assert_memory_equal(a->iov_buf, b->iov_buf, a->iov_len);
}

/* Decodes msg at every shorter length and with disturbed bytes: only its return matters, and what a
 * sanitizer sees. */
static void
disturb(const struct codec_wr *w, int (*decode)(const uint8_t *buf, size_t len))
{
	size_t step = 1 + w->len / 64;

	for (size_t len = 0; len < w->len; len += len < 64 ? 1 : step) {
		uint8_t *cut = malloc(len + 1);

		assert_non_null(cut);
		/* the last byte of the allocation is the first that must not be read */
		memcpy(cut + 1, w->base, len);
		assert_int_equal(decode(cut + 1, len), -DER_PROTO);
		free(cut);
	}
	for (int i = 0; i < 32 && w->len > 0; i++) {
		uint8_t *bad = malloc(w->len);
		int rc;

		assert_non_null(bad);
		memcpy(bad, w->base, w->len);
		for (uint64_t n = 1 + rnd_below(3); n > 0; n--)
			bad[rnd_below(w->len)] = (uint8_t)rnd();
		rc = decode(bad, w->len);
		assert_true(rc == 0 || rc == -DER_PROTO);
		free(bad);
	}
}

/* --- rw --- */

static int
decode_rw(const uint8_t *buf, size_t len)
{
	struct obj_scratch s = {0};
	struct obj_rw m;
	int rc = obj_rw_decode(buf, len, &s, &m);

	obj_scratch_fini(&s);
	return rc;
}

static void
test_rw(void **state)
{
	for (int round = 0; round < 300; round++) {
		daos_iod_t iods[20];
		daos_recx_t recxs[20][12];
		uint64_t sizes[20];
		struct obj_scratch s = {0};
		struct codec_wr w;
		struct obj_rw m = {0}, got;

		rnd_head(&m.head);
		m.rw_flags = (uint32_t)rnd_any();
		rnd_key(&m.dkey);
		m.iod_nr = (uint32_t)rnd_below(rnd_below(4) == 0 ? 20 : 3);
		m.iods = iods;
		for (uint32_t i = 0; i < m.iod_nr; i++) {
			iods[i] = (daos_iod_t){.iod_type = DAOS_IOD_SINGLE, .iod_nr = 1};
			rnd_key(&iods[i].iod_name);
			iods[i].iod_size = rnd_any();
			iods[i].iod_flags = rnd_below(2) ? rnd_any() : 0;
			if (rnd_below(2)) {
				iods[i].iod_type = DAOS_IOD_ARRAY;
				iods[i].iod_nr = (uint32_t)rnd_below(12);
				iods[i].iod_recxs = recxs[i];
				for (uint32_t j = 0; j < iods[i].iod_nr; j++)
					recxs[i][j] = rnd_recx();
			}
			sizes[i] = rnd_any();
		}
		if (rnd_below(2))
			m.data_sizes = sizes;
		if (rnd_below(2)) {
			m.bulk = pool_bytes + 7;
			m.bulk_len = (uint32_t)rnd_below(300);
		}
		if (rnd_below(2)) {
			m.inl = pool_bytes;
			m.inl_len = (uint32_t)rnd_below(OBJ_INLINE_MAX + 1);
		}

		if (m.rw_flags & OBJ_RW_PROOF)
			m.proof = rnd();

		codec_wr_init(&w, 0);
		obj_rw_encode(&w, &m);
		assert_int_equal(codec_wr_err(&w), 0);
		assert_int_equal(obj_rw_decode(w.base, w.len, &s, &got), 0);

		check_head(&m.head, &got.head);
		assert_int_equal(m.rw_flags, got.rw_flags);
		assert_int_equal(m.proof, got.proof);
		check_key(&m.dkey, &got.dkey);
		assert_int_equal(m.iod_nr, got.iod_nr);
		for (uint32_t i = 0; i < m.iod_nr; i++) {
			check_key(&iods[i].iod_name, &got.iods[i].iod_name);
			assert_int_equal(iods[i].iod_type, got.iods[i].iod_type);
			assert_int_equal(iods[i].iod_size, got.iods[i].iod_size);
			assert_int_equal(iods[i].iod_flags, got.iods[i].iod_flags);
			assert_int_equal(iods[i].iod_nr, got.iods[i].iod_nr);
			for (uint32_t j = 0; iods[i].iod_recxs != NULL && j < iods[i].iod_nr; j++) {
				assert_int_equal(recxs[i][j].rx_idx,
						 got.iods[i].iod_recxs[j].rx_idx);
				assert_int_equal(recxs[i][j].rx_nr, got.iods[i].iod_recxs[j].rx_nr);
			}
			if (m.data_sizes != NULL)
				assert_int_equal(sizes[i], got.data_sizes[i]);
		}
		assert_int_equal(m.data_sizes != NULL, got.data_sizes != NULL);
		assert_int_equal(m.bulk_len, got.bulk_len);
		if (m.bulk_len > 0)
			assert_memory_equal(m.bulk, got.bulk, m.bulk_len);
		assert_int_equal(m.inl_len, got.inl_len);
		if (m.inl_len > 0)
			assert_memory_equal(m.inl, got.inl, m.inl_len);

		disturb(&w, decode_rw);
		obj_scratch_fini(&s);
		codec_wr_fini(&w);
	}
}

static int
decode_rw_rep(const uint8_t *buf, size_t len)
{
	struct obj_scratch s = {0};
	struct obj_rw_rep m;
	int rc = obj_rw_rep_decode(buf, len, &s, &m);

	obj_scratch_fini(&s);
	return rc;
}

static void
test_rw_rep(void **state)
{
	for (int round = 0; round < 300; round++) {
		uint64_t sizes[20], pieces[200];
		uint32_t piece_nr[20], recx_nr[20];
		daos_recx_t recxs[200];
		uint32_t piece_all = 0, recx_all = 0;
		struct obj_scratch s = {0};
		struct codec_wr w;
		struct obj_rw_rep m = {0}, got;

		m.epoch = rnd();
		m.iod_nr = (uint32_t)rnd_below(20);
		m.sizes = sizes;
		for (uint32_t i = 0; i < m.iod_nr; i++) {
			sizes[i] = rnd_any();
			piece_nr[i] = (uint32_t)rnd_below(10);
			piece_all += piece_nr[i];
			recx_nr[i] = (uint32_t)rnd_below(10);
			recx_all += recx_nr[i];
		}
		if (rnd_below(2)) {
			m.piece_nr = piece_nr;
			m.piece_len = pieces;
		}
		for (uint32_t i = 0; i < piece_all; i++)
			pieces[i] = (rnd_any() >> 1) | (rnd_below(2) ? OBJ_PIECE_HOLE : 0);
		if (rnd_below(2)) {
			m.recx_nr = recx_nr;
			m.recxs = recxs;
		}
		for (uint32_t i = 0; i < recx_all; i++)
			recxs[i] = rnd_recx();
		if (rnd_below(2)) {
			m.inl = pool_bytes + 3;
			m.inl_len = (uint32_t)rnd_below(5000);
		}

		codec_wr_init(&w, 0);
		obj_rw_rep_encode(&w, &m);
		assert_int_equal(codec_wr_err(&w), 0);
		assert_int_equal(obj_rw_rep_decode(w.base, w.len, &s, &got), 0);
		assert_int_equal(m.epoch, got.epoch);
		assert_int_equal(m.iod_nr, got.iod_nr);
		assert_memory_equal(sizes, got.sizes, sizeof(*sizes) * m.iod_nr + 0);
		assert_int_equal(m.piece_nr != NULL, got.piece_nr != NULL);
		if (m.piece_nr != NULL) {
			assert_memory_equal(piece_nr, got.piece_nr, sizeof(*piece_nr) * m.iod_nr);
			assert_memory_equal(pieces, got.piece_len, sizeof(*pieces) * piece_all);
		}
		assert_int_equal(m.recx_nr != NULL, got.recx_nr != NULL);
		if (m.recx_nr != NULL) {
			assert_memory_equal(recx_nr, got.recx_nr, sizeof(*recx_nr) * m.iod_nr);
			assert_memory_equal(recxs, got.recxs, sizeof(*recxs) * recx_all);
		}
		assert_int_equal(m.inl_len, got.inl_len);
		if (m.inl_len > 0)
			assert_memory_equal(m.inl, got.inl, m.inl_len);

		disturb(&w, decode_rw_rep);
		obj_scratch_fini(&s);
		codec_wr_fini(&w);
	}
}

/* --- punch, list, query --- */

static int
decode_punch(const uint8_t *buf, size_t len)
{
	struct obj_scratch s = {0};
	struct obj_punch m;
	int rc = obj_punch_decode(buf, len, &s, &m);

	obj_scratch_fini(&s);
	return rc;
}

static void
test_punch(void **state)
{
	for (int round = 0; round < 200; round++) {
		daos_key_t akeys[50];
		struct obj_scratch s = {0};
		struct codec_wr w;
		struct obj_punch m = {0}, got;

		rnd_head(&m.head);
		m.has_dkey = rnd_below(3) > 0;
		if (m.has_dkey) {
			rnd_key(&m.dkey);
			m.akey_nr = (uint32_t)rnd_below(50);
			m.akeys = akeys;
			for (uint32_t i = 0; i < m.akey_nr; i++)
				rnd_key(&akeys[i]);
		} else {
			m.groups = (uint8_t)rnd_below(OBJ_PUNCH_LAST + 1);
			m.seen = m.groups == OBJ_PUNCH_LAST ? rnd() : 0;
		}
		codec_wr_init(&w, 0);
		obj_punch_encode(&w, &m);
		assert_int_equal(obj_punch_decode(w.base, w.len, &s, &got), 0);
		check_head(&m.head, &got.head);
		assert_int_equal(m.has_dkey, got.has_dkey);
		assert_int_equal(m.groups, got.groups);
		assert_int_equal(m.seen, got.seen);
		check_key(&m.dkey, &got.dkey);
		assert_int_equal(m.akey_nr, got.akey_nr);
		for (uint32_t i = 0; i < m.akey_nr; i++)
			check_key(&akeys[i], &got.akeys[i]);
		disturb(&w, decode_punch);
		obj_scratch_fini(&s);
		codec_wr_fini(&w);
	}
}

static int
decode_list(const uint8_t *buf, size_t len)
{
	struct obj_scratch s = {0};
	struct obj_list m;

	return obj_list_decode(buf, len, &s, &m);
}

static void
test_list(void **state)
{
	for (int round = 0; round < 200; round++) {
		struct obj_scratch s = {0};
		struct codec_wr w;
		struct obj_list m = {0}, got;

		rnd_head(&m.head);
		m.kind = (uint8_t)rnd_below(5);
		m.descending = rnd_below(2);
		m.max_nr = (uint32_t)rnd_any();
		m.max_bytes = (uint32_t)rnd_any();
		if (m.kind >= OBJ_LIST_AKEY)
			rnd_key(&m.dkey);
		if (m.kind >= OBJ_LIST_RECX)
			rnd_key(&m.akey);
		memcpy(m.anchor, pool_bytes + 5, rnd_below(OBJ_ANCHOR_BYTES + 1));
		m.want_set = rnd_below(2);
		codec_wr_init(&w, 0);
		obj_list_encode(&w, &m);
		assert_int_equal(obj_list_decode(w.base, w.len, &s, &got), 0);
		check_head(&m.head, &got.head);
		assert_int_equal(m.kind, got.kind);
		assert_int_equal(m.descending, got.descending);
		assert_int_equal(m.max_nr, got.max_nr);
		assert_int_equal(m.max_bytes, got.max_bytes);
		assert_int_equal(m.want_set, got.want_set);
		check_key(&m.dkey, &got.dkey);
		check_key(&m.akey, &got.akey);
		assert_memory_equal(m.anchor, got.anchor, OBJ_ANCHOR_BYTES);
		disturb(&w, decode_list);
		codec_wr_fini(&w);
	}
}

static uint8_t list_kind;

static int
decode_list_rep(const uint8_t *buf, size_t len)
{
	struct obj_scratch s = {0};
	struct obj_list_rep m;
	int rc = obj_list_rep_decode(buf, len, list_kind, &s, &m);

	obj_scratch_fini(&s);
	return rc;
}

static void
test_list_rep(void **state)
{
	enum { NR = 60 };

	for (int round = 0; round < 300; round++) {
		daos_key_t keys[NR];
		daos_recx_t recxs[NR];
		uint64_t rec_sizes[NR], epochs[NR];
		daos_obj_id_t oids[NR];
		uint32_t shards[NR];
		struct obj_scratch s = {0};
		struct codec_wr w;
		struct obj_list_rep m = {0}, got;

		list_kind = (uint8_t)rnd_below(5);
		memcpy(m.anchor, pool_bytes + 5, rnd_below(OBJ_ANCHOR_BYTES + 1));
		m.eof = rnd_below(2);
		m.epoch = rnd();
		m.key2big = rnd_below(4) == 0 ? rnd_any() : 0;
		m.set = rnd_set();
		m.nr = (uint32_t)rnd_below(NR);
		for (uint32_t i = 0; i < m.nr; i++) {
			rnd_key(&keys[i]);
			recxs[i] = rnd_recx();
			rec_sizes[i] = rnd_any();
			epochs[i] = rnd();
			oids[i] = (daos_obj_id_t){.lo = rnd(), .hi = rnd()};
			shards[i] = (uint32_t)rnd_any();
		}
		m.keys = keys;
		m.recxs = recxs;
		m.rec_sizes = rec_sizes;
		m.epochs = epochs;
		m.oids = oids;
		m.shards = shards;
		codec_wr_init(&w, 0);
		obj_list_rep_encode(&w, list_kind, &m);
		assert_int_equal(obj_list_rep_decode(w.base, w.len, list_kind, &s, &got), 0);
		assert_memory_equal(m.anchor, got.anchor, OBJ_ANCHOR_BYTES);
		assert_int_equal(m.eof, got.eof);
		assert_int_equal(m.epoch, got.epoch);
		assert_int_equal(m.key2big, got.key2big);
		assert_memory_equal(&m.set, &got.set, sizeof(m.set));
		assert_int_equal(m.nr, got.nr);
		for (uint32_t i = 0; i < m.nr; i++) {
			switch (list_kind) {
			case OBJ_LIST_OBJ:
				assert_memory_equal(&oids[i], &got.oids[i], sizeof(oids[i]));
				assert_int_equal(shards[i], got.shards[i]);
				assert_int_equal(epochs[i], got.epochs[i]);
				break;
			case OBJ_LIST_DKEY:
			case OBJ_LIST_AKEY:
				check_key(&keys[i], &got.keys[i]);
				break;
			case OBJ_LIST_RECX:
				assert_memory_equal(&recxs[i], &got.recxs[i], sizeof(recxs[i]));
				/* fall through */
			case OBJ_LIST_SINGLE:
				assert_int_equal(rec_sizes[i], got.rec_sizes[i]);
				assert_int_equal(epochs[i], got.epochs[i]);
				break;
			}
		}
		disturb(&w, decode_list_rep);
		obj_scratch_fini(&s);
		codec_wr_fini(&w);
	}
}

static int
decode_query(const uint8_t *buf, size_t len)
{
	struct obj_scratch s = {0};
	struct obj_query m;

	return obj_query_decode(buf, len, &s, &m);
}

static int
decode_query_rep(const uint8_t *buf, size_t len)
{
	struct obj_query_rep m;

	return obj_query_rep_decode(buf, len, &m);
}

static void
test_query(void **state)
{
	for (int round = 0; round < 200; round++) {
		struct obj_scratch s = {0};
		struct codec_wr w;
		struct obj_query m = {0}, got;
		struct obj_query_rep r = {0}, got_r;

		rnd_head(&m.head);
		m.query_flags = rnd_any();
		m.dkey = rnd();
		rnd_key(&m.akey);
		m.want_set = rnd_below(2);
		codec_wr_init(&w, 0);
		obj_query_encode(&w, &m);
		assert_int_equal(obj_query_decode(w.base, w.len, &s, &got), 0);
		check_head(&m.head, &got.head);
		assert_int_equal(m.query_flags, got.query_flags);
		assert_int_equal(m.dkey, got.dkey);
		check_key(&m.akey, &got.akey);
		assert_int_equal(m.want_set, got.want_set);
		disturb(&w, decode_query);
		codec_wr_fini(&w);

		r.dkey = rnd();
		r.akey = rnd();
		r.recx = rnd_recx();
		r.max_epoch = rnd();
		r.found = rnd_below(2);
		r.seen = rnd();
		r.set = rnd_set();
		codec_wr_init(&w, 0);
		obj_query_rep_encode(&w, &r);
		assert_int_equal(obj_query_rep_decode(w.base, w.len, &got_r), 0);
		assert_int_equal(r.dkey, got_r.dkey);
		assert_int_equal(r.akey, got_r.akey);
		assert_int_equal(r.recx.rx_idx, got_r.recx.rx_idx);
		assert_int_equal(r.recx.rx_nr, got_r.recx.rx_nr);
		assert_int_equal(r.max_epoch, got_r.max_epoch);
		assert_int_equal(r.found, got_r.found);
		assert_int_equal(r.seen, got_r.seen);
		assert_memory_equal(&r.set, &got_r.set, sizeof(r.set));
		disturb(&w, decode_query_rep);
		codec_wr_fini(&w);
	}
}

static int
decode_punch_rep(const uint8_t *buf, size_t len)
{
	struct obj_punch_rep m;

	return obj_punch_rep_decode(buf, len, &m);
}

static int
decode_enter(const uint8_t *buf, size_t len)
{
	struct obj_enter m;

	return obj_enter_decode(buf, len, &m);
}

static int
decode_enter_rep(const uint8_t *buf, size_t len)
{
	struct obj_enter_rep m;

	return obj_enter_rep_decode(buf, len, &m);
}

static void
test_groups(void **state)
{
	for (int round = 0; round < 200; round++) {
		struct obj_punch_rep pr = {
		    .epoch = rnd(), .done = rnd_below(2), .set_stays = rnd_below(2), .seen = rnd()};
		struct obj_enter_rep er = {.proof = rnd(), .set = rnd_set()}, got_er;
		struct obj_punch_rep got_pr;
		struct obj_enter m = {0}, got;
		struct codec_wr w;

		pr.set = rnd_set();
		codec_wr_init(&w, 0);
		obj_punch_rep_encode(&w, &pr);
		assert_int_equal(obj_punch_rep_decode(w.base, w.len, &got_pr), 0);
		assert_int_equal(pr.epoch, got_pr.epoch);
		assert_int_equal(pr.done, got_pr.done);
		assert_int_equal(pr.set_stays, got_pr.set_stays);
		assert_int_equal(pr.seen, got_pr.seen);
		assert_memory_equal(&pr.set, &got_pr.set, sizeof(pr.set));
		disturb(&w, decode_punch_rep);
		codec_wr_fini(&w);

		rnd_head(&m.head);
		m.set = obj_groups_first(1 + (uint32_t)rnd_below(2));
		m.total = 2 + (uint32_t)rnd_below(UINT32_MAX - 2);
		m.last = (uint32_t)rnd_below(m.total);
		m.first = (uint32_t)rnd_below((uint64_t)m.last + 1);
		m.dense = rnd_below(2);
		codec_wr_init(&w, 0);
		obj_enter_encode(&w, &m);
		assert_int_equal(obj_enter_decode(w.base, w.len, &got), 0);
		check_head(&m.head, &got.head);
		assert_int_equal(m.total, got.total);
		assert_int_equal(m.first, got.first);
		assert_int_equal(m.last, got.last);
		assert_int_equal(m.dense, got.dense);
		assert_memory_equal(&m.set, &got.set, sizeof(m.set));
		disturb(&w, decode_enter);
		codec_wr_fini(&w);
		/* groups that the object does not have */
		codec_wr_init(&w, 0);
		m.last = m.total;
		obj_enter_encode(&w, &m);
		assert_int_equal(obj_enter_decode(w.base, w.len, &got), -DER_PROTO);
		codec_wr_fini(&w);

		codec_wr_init(&w, 0);
		obj_enter_rep_encode(&w, &er);
		assert_int_equal(obj_enter_rep_decode(w.base, w.len, &got_er),
				 er.set.prefix == 0 ? -DER_PROTO : 0);
		if (er.set.prefix != 0) {
			assert_int_equal(er.proof, got_er.proof);
			assert_memory_equal(&er.set, &got_er.set, sizeof(er.set));
		}
		disturb(&w, decode_enter_rep);
		codec_wr_fini(&w);
	}
}

/* --- limits, size, speed --- */

static void
common_update(struct obj_rw *m, daos_iod_t *iod, daos_recx_t *rx)
{
	static uint64_t dkey = 17;
	static char akey = '0';

	*m = (struct obj_rw){0};
	memcpy(m->head.cap_id, pool_bytes, 16);
	m->head.oid = (daos_obj_id_t){.lo = 0x1234567890ull,
				      .hi = 13ull << 56 | 1ull << 48 | 4ull << 32 | 77};
	m->head.shard = 3;
	m->head.client[0] = rnd();
	m->head.client[1] = rnd();
	m->head.seq = 1000000;
	m->head.low_seq = 999990;
	d_iov_set(&m->dkey, &dkey, sizeof(dkey));
	*rx = (daos_recx_t){.rx_idx = 1 << 20, .rx_nr = 4096};
	*iod =
	    (daos_iod_t){.iod_type = DAOS_IOD_ARRAY, .iod_size = 1, .iod_nr = 1, .iod_recxs = rx};
	d_iov_set(&iod->iod_name, &akey, 1);
	m->iod_nr = 1;
	m->iods = iod;
	m->inl_len = 4096; /* bytes added by the sender */
}

static void
test_limits(void **state)
{
	struct obj_scratch s = {0};
	struct codec_wr w;
	struct obj_rw m, got;
	daos_iod_t iod;
	daos_recx_t rx;
	uint64_t bytes;

	common_update(&m, &iod, &rx);
	m.inl_len = 0;

	/* extents that are empty or end beyond the last index */
	rx = (daos_recx_t){.rx_idx = 5, .rx_nr = 0};
	codec_wr_init(&w, 0);
	obj_rw_encode(&w, &m);
	assert_int_equal(obj_rw_decode(w.base, w.len, &s, &got), -DER_PROTO);
	codec_wr_fini(&w);
	rx = (daos_recx_t){.rx_idx = UINT64_MAX, .rx_nr = 1};
	codec_wr_init(&w, 0);
	obj_rw_encode(&w, &m);
	assert_int_equal(obj_rw_decode(w.base, w.len, &s, &got), -DER_PROTO);
	codec_wr_fini(&w);

	/* keys that are too long */
	rx = (daos_recx_t){.rx_idx = 0, .rx_nr = 1};
	d_iov_set(&m.dkey, pool_bytes, OBJ_KEY_MAX);
	codec_wr_init(&w, 0);
	obj_rw_encode(&w, &m);
	assert_int_equal(obj_rw_decode(w.base, w.len, &s, &got), 0);
	codec_wr_fini(&w);
	d_iov_set(&m.dkey, pool_bytes, OBJ_KEY_MAX + 1);
	codec_wr_init(&w, 0);
	obj_rw_encode(&w, &m);
	assert_int_equal(obj_rw_decode(w.base, w.len, &s, &got), -DER_PROTO);
	codec_wr_fini(&w);
	obj_scratch_fini(&s);

	/* sums that overflow */
	iod.iod_size = UINT64_MAX;
	rx.rx_nr = 2;
	assert_int_equal(obj_iod_bytes(&iod, &bytes), -DER_OVERFLOW);
	iod.iod_size = 3;
	assert_int_equal(obj_iod_bytes(&iod, &bytes), 0);
	assert_int_equal(bytes, 6);
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void
test_size_and_speed(void **state)
{
	enum { ROUNDS = 200000 };
	uint8_t fixed[512];
	struct codec_wr w;
	struct obj_rw m, got;
	daos_iod_t iod;
	daos_recx_t rx;
	uint64_t t0, t1, t2, sum = 0;

	common_update(&m, &iod, &rx);
	codec_wr_init_fixed(&w, fixed, sizeof(fixed));
	obj_rw_encode(&w, &m);
	assert_int_equal(codec_wr_err(&w), 0);
	printf("update of one extent: %zu bytes beside the data\n", w.len);
	assert_true(w.len < 200);

	t0 = now_ns();
	for (int i = 0; i < ROUNDS; i++) {
		codec_wr_init_fixed(&w, fixed, sizeof(fixed));
		obj_rw_encode(&w, &m);
		sum += w.len;
	}
	t1 = now_ns();
	m.inl_len = 0;
	codec_wr_init_fixed(&w, fixed, sizeof(fixed));
	obj_rw_encode(&w, &m);
	for (int i = 0; i < ROUNDS; i++) {
		struct obj_scratch s;

		obj_scratch_init(&s);
		sum += (uint64_t)obj_rw_decode(fixed, w.len, &s, &got);
		sum += got.iod_nr;
		obj_scratch_fini(&s);
	}
	t2 = now_ns();
	assert_true(sum > ROUNDS);
	printf("encode %.1f ns, decode %.1f ns\n", (double)(t1 - t0) / ROUNDS,
	       (double)(t2 - t1) / ROUNDS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rw),
	    cmocka_unit_test(test_rw_rep),
	    cmocka_unit_test(test_punch),
	    cmocka_unit_test(test_list),
	    cmocka_unit_test(test_list_rep),
	    cmocka_unit_test(test_query),
	    cmocka_unit_test(test_groups),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_size_and_speed),
	};
	const char *seed = getenv("TEST_SEED");

	rnd_state = seed != NULL ? strtoull(seed, NULL, 0) : 42;
	for (size_t i = 0; i < sizeof(pool_bytes); i++)
		pool_bytes[i] = (uint8_t)rnd();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
