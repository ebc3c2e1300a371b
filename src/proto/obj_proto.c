/*
 * The compact codec of object I/O.
 *
 * A message is a sequence of fields without names. Numbers that are usually small are varints,
 *random ones (ids, epochs, clocks) 8 bytes. Each message has one or two bytes of presence bits, so
 *that what a typical request does not carry costs nothing:
 *
 *	head:    u8 bits | cap_id 16 | [cap blob] | oid lo, hi 8 + 8 | v shard | [epoch 8] | [v
 *flags] | [client 8 + 8, v seq, v low_seq] rw:      head | u8 bits | v rw_flags | dkey blob | v
 *iod_nr | iods | [v data_size each] | [bulk blob] | [v inl_len, inline bytes to the end] iod: u8
 *bits (2 type, flags, unused) | akey blob | v size | [v iod_flags] | array: v nr, (v idx, v nr)
 *each rw_rep:  u8 bits | epoch 8 | v iod_nr | v size each | [v piece_nr each, v (len << 1 | hole)
 *each] | [v recx_nr each, recxs] | [v inl_len, inline bytes to the end]
 *
 * ("v": varint; "blob": varint length and bytes.) An array's memory is taken only after its count
 *was checked against the bytes that are left (every element takes at least one), so a short message
 *can never make its receiver allocate much. Bits that have no meaning must be zero.
 */
#include "proto/obj_proto.h"

#include "base/mem.h"

enum head_bits {
	HEAD_CAP = 1,
	HEAD_EPOCH = 2,
	HEAD_EPOCH_MAX = 4, /* instead of HEAD_EPOCH: all ones */
	HEAD_FLAGS = 8,
	HEAD_OPID = 16,
	HEAD_ALL = 31,
};
enum rw_bits {
	RW_SIZES = 1,
	RW_BULK = 2,
	RW_INL = 4,
	RW_PROOF = 8,
	RW_ALL = 15,
};
enum rw_rep_bits {
	REP_PIECES = 1,
	REP_RECXS = 2,
	REP_INL = 4,
	REP_ALL = 7,
};
enum iod_bits {
	IOD_TYPE_MASK = 3,
	IOD_FLAGS = 4,
	IOD_ALL = 7,
};

enum { CAP_BLOB_MAX = 512 };

/* --- scratch --- */

struct scratch_block {
	struct scratch_block *next;
	uint64_t data[];
};

void
obj_scratch_fini(struct obj_scratch *s)
{
	struct scratch_block *b = s->blocks;

	while (b != NULL) {
		struct scratch_block *next = b->next;

		free(b);
		b = next;
	}
	s->blocks = NULL;
	s->used = 0;
}

/* Not zeroed. nr * size is bounded by the callers (element counts come from the length of a
 * message). */
static void *
scratch_alloc(struct obj_scratch *s, size_t nr, size_t size)
{
	size_t bytes = (nr * size + 7) & ~(size_t)7;
	struct scratch_block *b;

	if (bytes <= sizeof(s->fixed) - s->used) {
		void *p = (uint8_t *)s->fixed + s->used;

		s->used += (uint32_t)bytes;
		return p;
	}
	b = mem_alloc(sizeof(*b) + bytes);
	if (b == NULL)
		return NULL;
	b->next = s->blocks;
	s->blocks = b;
	return b->data;
}

/* An array of nr elements, each of which takes at least one more byte of the message. NULL with the
 * error set. */
static void *
rd_array(struct codec_rd *rd, struct obj_scratch *s, uint64_t nr, size_t size)
{
	void *p;

	if (rd->err != 0 || nr > codec_rd_left(rd)) {
		codec_rd_fail(rd);
		return NULL;
	}
	p = scratch_alloc(s, nr, size);
	if (p == NULL) {
		codec_rd_fail(rd);
		rd->err = -DER_NOMEM;
	}
	return p;
}

/* --- small pieces --- */

static inline void
wr_var(struct codec_wr *w, uint64_t v)
{
	if (v < 0x80)
		codec_wr_u8(w, (uint8_t)v);
	else
		codec_wr_varint(w, v);
}

static inline uint64_t
rd_var(struct codec_rd *rd)
{
	if (rd->p < rd->end && *rd->p < 0x80)
		return *rd->p++;
	return codec_rd_varint(rd);
}

static inline uint64_t
rd_var_max(struct codec_rd *rd, uint64_t max)
{
	uint64_t v = rd_var(rd);

	if (v > max) {
		codec_rd_fail(rd);
		return 0;
	}
	return v;
}

static inline void
wr_blob(struct codec_wr *w, const void *p, size_t len)
{
	wr_var(w, len);
	codec_wr_bytes(w, p, len);
}

static inline const void *
rd_blob(struct codec_rd *rd, size_t max, uint32_t *ret_len)
{
	uint64_t len = rd_var_max(rd, max);
	const void *p = codec_rd_ref(rd, len);

	*ret_len = p != NULL ? (uint32_t)len : 0;
	return p;
}

static inline void
wr_key(struct codec_wr *w, const daos_key_t *key)
{
	wr_blob(w, key->iov_buf, key->iov_len);
}

static inline void
rd_key(struct codec_rd *rd, daos_key_t *ret_key)
{
	uint32_t len;
	const void *p = rd_blob(rd, OBJ_KEY_MAX, &len);

	d_iov_set(ret_key, (void *)p, len);
}

static inline uint8_t
rd_bits(struct codec_rd *rd, uint8_t all)
{
	uint8_t bits = codec_rd_u8(rd);

	if ((bits & ~all) != 0)
		codec_rd_fail(rd);
	return bits;
}

static inline void
wr_recx(struct codec_wr *w, const daos_recx_t *rx)
{
	wr_var(w, rx->rx_idx);
	wr_var(w, rx->rx_nr);
}

static inline void
rd_recx(struct codec_rd *rd, daos_recx_t *ret_rx)
{
	ret_rx->rx_idx = rd_var(rd);
	ret_rx->rx_nr = rd_var(rd);
	if (ret_rx->rx_nr == 0 || ret_rx->rx_nr > UINT64_MAX - ret_rx->rx_idx)
		codec_rd_fail(rd);
}

static daos_recx_t *
rd_recxs(struct codec_rd *rd, struct obj_scratch *s, uint64_t nr)
{
	daos_recx_t *rxs = rd_array(rd, s, nr, sizeof(*rxs));

	for (uint64_t i = 0; rxs != NULL && i < nr; i++)
		rd_recx(rd, &rxs[i]);
	return rxs;
}

static uint64_t *
rd_vars(struct codec_rd *rd, struct obj_scratch *s, uint64_t nr)
{
	uint64_t *v = rd_array(rd, s, nr, sizeof(*v));

	for (uint64_t i = 0; v != NULL && i < nr; i++)
		v[i] = rd_var(rd);
	return v;
}

static uint32_t *
rd_vars32(struct codec_rd *rd, struct obj_scratch *s, uint64_t nr, uint64_t *ret_sum)
{
	uint32_t *v = rd_array(rd, s, nr, sizeof(*v));
	uint64_t sum = 0;

	for (uint64_t i = 0; v != NULL && i < nr; i++) {
		v[i] = (uint32_t)rd_var_max(rd, UINT32_MAX);
		sum += v[i];
	}
	*ret_sum = sum;
	return v;
}

/* Positions are almost always shorter than their room: the zeros at the end do not travel. */
static void
wr_anchor(struct codec_wr *w, const uint8_t anchor[OBJ_ANCHOR_BYTES])
{
	size_t len = OBJ_ANCHOR_BYTES;

	while (len > 0 && anchor[len - 1] == 0)
		len--;
	wr_blob(w, anchor, len);
}

static void
rd_anchor(struct codec_rd *rd, uint8_t ret_anchor[OBJ_ANCHOR_BYTES])
{
	uint32_t len;
	const void *p = rd_blob(rd, OBJ_ANCHOR_BYTES, &len);

	memset(ret_anchor, 0, OBJ_ANCHOR_BYTES);
	if (p != NULL)
		memcpy(ret_anchor, p, len);
}

/* A set of groups; one without a beginning is none. */
static void
wr_set(struct codec_wr *w, const struct obj_groups *set)
{
	wr_var(w, set->prefix);
	if (set->prefix == 0)
		return;
	wr_var(w, set->nr);
	for (uint32_t i = 0; i < set->nr; i++)
		wr_var(w, set->single[i]);
}

static void
rd_set(struct codec_rd *rd, struct obj_groups *ret_set)
{
	*ret_set = (struct obj_groups){.prefix = (uint32_t)rd_var_max(rd, UINT32_MAX)};
	if (ret_set->prefix == 0)
		return;
	ret_set->nr = (uint32_t)rd_var_max(rd, OBJ_GROUPS_SINGLE_MAX);
	for (uint32_t i = 0; i < ret_set->nr; i++)
		ret_set->single[i] = (uint32_t)rd_var_max(rd, UINT32_MAX);
	if (!obj_groups_valid(ret_set))
		codec_rd_fail(rd);
}

/* Inline data ends the message; the sender may add the bytes itself. */
static void
wr_inl(struct codec_wr *w, const uint8_t *inl, uint32_t len)
{
	wr_var(w, len);
	if (inl != NULL)
		codec_wr_bytes(w, inl, len);
}

/* --- head --- */

static void
wr_head(struct codec_wr *w, const struct obj_head *h)
{
	uint8_t bits = 0;

	if (h->cap != NULL)
		bits |= HEAD_CAP;
	if (h->epoch == UINT64_MAX)
		bits |= HEAD_EPOCH_MAX;
	else if (h->epoch != 0)
		bits |= HEAD_EPOCH;
	if (h->flags != 0)
		bits |= HEAD_FLAGS;
	if ((h->client[0] | h->client[1] | h->seq | h->low_seq) != 0)
		bits |= HEAD_OPID;

	codec_wr_u8(w, bits);
	codec_wr_bytes(w, h->cap_id, OBJ_CAP_ID_BYTES);
	if (bits & HEAD_CAP)
		wr_blob(w, h->cap, h->cap_len);
	codec_wr_u64(w, h->oid.lo);
	codec_wr_u64(w, h->oid.hi);
	wr_var(w, h->shard);
	if (bits & HEAD_EPOCH)
		codec_wr_u64(w, h->epoch);
	if (bits & HEAD_FLAGS)
		wr_var(w, h->flags);
	if (bits & HEAD_OPID) {
		codec_wr_u64(w, h->client[0]);
		codec_wr_u64(w, h->client[1]);
		wr_var(w, h->seq);
		wr_var(w, h->low_seq);
	}
}

static void
rd_head(struct codec_rd *rd, struct obj_head *ret_h)
{
	struct obj_head *h = ret_h;
	uint8_t bits = rd_bits(rd, HEAD_ALL);
	const void *id;

	if ((bits & HEAD_EPOCH) && (bits & HEAD_EPOCH_MAX))
		codec_rd_fail(rd);
	*h = (struct obj_head){0};
	id = codec_rd_ref(rd, OBJ_CAP_ID_BYTES);
	if (id != NULL)
		memcpy(h->cap_id, id, OBJ_CAP_ID_BYTES);
	if (bits & HEAD_CAP)
		h->cap = rd_blob(rd, CAP_BLOB_MAX, &h->cap_len);
	h->oid.lo = codec_rd_u64(rd);
	h->oid.hi = codec_rd_u64(rd);
	h->shard = (uint32_t)rd_var_max(rd, UINT32_MAX);
	if (bits & HEAD_EPOCH)
		h->epoch = codec_rd_u64(rd);
	else if (bits & HEAD_EPOCH_MAX)
		h->epoch = UINT64_MAX;
	if (bits & HEAD_FLAGS)
		h->flags = rd_var(rd);
	if (bits & HEAD_OPID) {
		h->client[0] = codec_rd_u64(rd);
		h->client[1] = codec_rd_u64(rd);
		h->seq = rd_var(rd);
		h->low_seq = rd_var(rd);
	}
}

/* --- update and fetch --- */

int
obj_iod_bytes(const daos_iod_t *iod, uint64_t *ret_bytes)
{
	uint64_t recs = 1;
	uint64_t bytes;

	if (iod->iod_type == DAOS_IOD_ARRAY) {
		recs = 0;
		for (uint32_t i = 0; i < iod->iod_nr; i++) {
			if (__builtin_add_overflow(recs, iod->iod_recxs[i].rx_nr, &recs))
				return -DER_OVERFLOW;
		}
	}
	if (__builtin_mul_overflow(recs, iod->iod_size, &bytes))
		return -DER_OVERFLOW;
	*ret_bytes = bytes;
	return 0;
}

static void
wr_iod(struct codec_wr *w, const daos_iod_t *iod)
{
	codec_wr_u8(
	    w, (uint8_t)((iod->iod_type & IOD_TYPE_MASK) | (iod->iod_flags != 0 ? IOD_FLAGS : 0)));
	wr_key(w, &iod->iod_name);
	wr_var(w, iod->iod_size);
	if (iod->iod_flags != 0)
		wr_var(w, iod->iod_flags);
	if (iod->iod_type != DAOS_IOD_ARRAY)
		return;
	wr_var(w, iod->iod_nr);
	for (uint32_t i = 0; i < iod->iod_nr; i++)
		wr_recx(w, &iod->iod_recxs[i]);
}

static void
rd_iod(struct codec_rd *rd, struct obj_scratch *s, uint64_t *recx_left, daos_iod_t *ret_iod)
{
	daos_iod_t *iod = ret_iod;
	uint8_t bits = rd_bits(rd, IOD_ALL);

	*iod = (daos_iod_t){.iod_type = (daos_iod_type_t)(bits & IOD_TYPE_MASK)};
	rd_key(rd, &iod->iod_name);
	iod->iod_size = rd_var(rd);
	if (bits & IOD_FLAGS)
		iod->iod_flags = rd_var(rd);
	switch (iod->iod_type) {
	case DAOS_IOD_SINGLE:
		iod->iod_nr = 1;
		break;
	case DAOS_IOD_ARRAY:
		iod->iod_nr = (uint32_t)rd_var_max(rd, *recx_left);
		*recx_left -= iod->iod_nr;
		iod->iod_recxs = rd_recxs(rd, s, iod->iod_nr);
		break;
	default:
		codec_rd_fail(rd);
	}
}

void
obj_rw_encode(struct codec_wr *w, const struct obj_rw *m)
{
	uint8_t bits = 0;

	if (m->data_sizes != NULL)
		bits |= RW_SIZES;
	if (m->bulk != NULL)
		bits |= RW_BULK;
	if (m->inl_len > 0)
		bits |= RW_INL;
	if (m->rw_flags & OBJ_RW_PROOF)
		bits |= RW_PROOF;
	wr_head(w, &m->head);
	codec_wr_u8(w, bits);
	wr_var(w, m->rw_flags);
	if (bits & RW_PROOF)
		codec_wr_u64(w, m->proof);
	wr_key(w, &m->dkey);
	wr_var(w, m->iod_nr);
	for (uint32_t i = 0; i < m->iod_nr; i++)
		wr_iod(w, &m->iods[i]);
	for (uint32_t i = 0; (bits & RW_SIZES) && i < m->iod_nr; i++)
		wr_var(w, m->data_sizes[i]);
	if (bits & RW_BULK)
		wr_blob(w, m->bulk, m->bulk_len);
	if (bits & RW_INL)
		wr_inl(w, m->inl, m->inl_len);
}

int
obj_rw_decode(const uint8_t *buf, size_t len, struct obj_scratch *s, struct obj_rw *ret_m)
{
	struct obj_rw *m = ret_m;
	uint64_t recx_left = OBJ_RECX_MAX;
	struct codec_rd rd;
	uint8_t bits;

	codec_rd_init(&rd, buf, len);
	rd_head(&rd, &m->head);
	bits = rd_bits(&rd, RW_ALL);
	m->rw_flags = (uint32_t)rd_var_max(&rd, UINT32_MAX);
	if (((bits & RW_PROOF) != 0) != ((m->rw_flags & OBJ_RW_PROOF) != 0))
		codec_rd_fail(&rd);
	m->proof = (bits & RW_PROOF) ? codec_rd_u64(&rd) : 0;
	rd_key(&rd, &m->dkey);
	m->iod_nr = (uint32_t)rd_var_max(&rd, OBJ_IOD_MAX);
	m->iods = rd_array(&rd, s, m->iod_nr, sizeof(*m->iods));
	for (uint32_t i = 0; rd.err == 0 && i < m->iod_nr; i++)
		rd_iod(&rd, s, &recx_left, &m->iods[i]);
	m->data_sizes = (bits & RW_SIZES) ? rd_vars(&rd, s, m->iod_nr) : NULL;
	m->bulk = NULL;
	m->bulk_len = 0;
	if (bits & RW_BULK)
		m->bulk = rd_blob(&rd, OBJ_BULK_DESC_MAX, &m->bulk_len);
	m->inl = NULL;
	m->inl_len = 0;
	if (bits & RW_INL)
		m->inl = rd_blob(&rd, OBJ_INLINE_MAX, &m->inl_len);
	return codec_rd_end(&rd);
}

void
obj_rw_rep_encode(struct codec_wr *w, const struct obj_rw_rep *m)
{
	uint64_t piece = 0, recx = 0;
	uint8_t bits = 0;

	if (m->piece_nr != NULL)
		bits |= REP_PIECES;
	if (m->recx_nr != NULL)
		bits |= REP_RECXS;
	if (m->inl_len > 0)
		bits |= REP_INL;
	codec_wr_u8(w, bits);
	codec_wr_u64(w, m->epoch);
	wr_var(w, m->iod_nr);
	for (uint32_t i = 0; i < m->iod_nr; i++)
		wr_var(w, m->sizes[i]);
	if (bits & REP_PIECES) {
		for (uint32_t i = 0; i < m->iod_nr; i++) {
			wr_var(w, m->piece_nr[i]);
			piece += m->piece_nr[i];
		}
		for (uint64_t i = 0; i < piece; i++)
			wr_var(w, m->piece_len[i] << 1 | m->piece_len[i] >> 63);
	}
	if (bits & REP_RECXS) {
		for (uint32_t i = 0; i < m->iod_nr; i++) {
			wr_var(w, m->recx_nr[i]);
			recx += m->recx_nr[i];
		}
		for (uint64_t i = 0; i < recx; i++)
			wr_recx(w, &m->recxs[i]);
	}
	if (bits & REP_INL)
		wr_inl(w, m->inl, m->inl_len);
}

int
obj_rw_rep_decode(const uint8_t *buf, size_t len, struct obj_scratch *s, struct obj_rw_rep *ret_m)
{
	struct obj_rw_rep *m = ret_m;
	struct codec_rd rd;
	uint64_t nr;
	uint8_t bits;

	*m = (struct obj_rw_rep){0};
	codec_rd_init(&rd, buf, len);
	bits = rd_bits(&rd, REP_ALL);
	m->epoch = codec_rd_u64(&rd);
	m->iod_nr = (uint32_t)rd_var_max(&rd, OBJ_IOD_MAX);
	m->sizes = rd_vars(&rd, s, m->iod_nr);
	if (bits & REP_PIECES) {
		m->piece_nr = rd_vars32(&rd, s, m->iod_nr, &nr);
		m->piece_len = rd_vars(&rd, s, nr);
		for (uint64_t i = 0; rd.err == 0 && i < nr; i++)
			m->piece_len[i] = m->piece_len[i] >> 1 | m->piece_len[i] << 63;
	}
	if (bits & REP_RECXS) {
		m->recx_nr = rd_vars32(&rd, s, m->iod_nr, &nr);
		m->recxs = rd_recxs(&rd, s, nr);
	}
	if (bits & REP_INL)
		m->inl = rd_blob(&rd, UINT32_MAX, &m->inl_len);
	return codec_rd_end(&rd);
}

/* --- punch --- */

void
obj_punch_encode(struct codec_wr *w, const struct obj_punch *m)
{
	wr_head(w, &m->head);
	codec_wr_bool(w, m->has_dkey);
	if (!m->has_dkey) {
		codec_wr_u8(w, m->groups);
		if (m->groups == OBJ_PUNCH_LAST)
			codec_wr_u64(w, m->seen);
		return;
	}
	wr_key(w, &m->dkey);
	wr_var(w, m->akey_nr);
	for (uint32_t i = 0; i < m->akey_nr; i++)
		wr_key(w, &m->akeys[i]);
}

int
obj_punch_decode(const uint8_t *buf, size_t len, struct obj_scratch *s, struct obj_punch *ret_m)
{
	struct obj_punch *m = ret_m;
	struct codec_rd rd;

	*m = (struct obj_punch){0};
	codec_rd_init(&rd, buf, len);
	rd_head(&rd, &m->head);
	m->has_dkey = codec_rd_bool(&rd);
	if (!m->has_dkey) {
		m->groups = codec_rd_u8(&rd);
		if (m->groups > OBJ_PUNCH_LAST)
			codec_rd_fail(&rd);
		if (m->groups == OBJ_PUNCH_LAST)
			m->seen = codec_rd_u64(&rd);
	} else {
		rd_key(&rd, &m->dkey);
		m->akey_nr = (uint32_t)rd_var_max(&rd, OBJ_IOD_MAX);
		m->akeys = rd_array(&rd, s, m->akey_nr, sizeof(*m->akeys));
		for (uint32_t i = 0; rd.err == 0 && i < m->akey_nr; i++)
			rd_key(&rd, &m->akeys[i]);
	}
	return codec_rd_end(&rd);
}

void
obj_punch_rep_encode(struct codec_wr *w, const struct obj_punch_rep *m)
{
	codec_wr_u64(w, m->epoch);
	codec_wr_bool(w, m->done);
	codec_wr_bool(w, m->set_stays);
	codec_wr_u64(w, m->seen);
	wr_set(w, &m->set);
}

int
obj_punch_rep_decode(const uint8_t *buf, size_t len, struct obj_punch_rep *ret_m)
{
	struct codec_rd rd;

	codec_rd_init(&rd, buf, len);
	ret_m->epoch = codec_rd_u64(&rd);
	ret_m->done = codec_rd_bool(&rd);
	ret_m->set_stays = codec_rd_bool(&rd);
	ret_m->seen = codec_rd_u64(&rd);
	rd_set(&rd, &ret_m->set);
	return codec_rd_end(&rd);
}

/* --- entering groups --- */

void
obj_enter_encode(struct codec_wr *w, const struct obj_enter *m)
{
	wr_head(w, &m->head);
	wr_var(w, m->total);
	wr_set(w, &m->set);
	wr_var(w, m->first);
	wr_var(w, m->last);
	codec_wr_bool(w, m->dense);
}

int
obj_enter_decode(const uint8_t *buf, size_t len, struct obj_enter *ret_m)
{
	struct obj_enter *m = ret_m;
	struct codec_rd rd;

	codec_rd_init(&rd, buf, len);
	rd_head(&rd, &m->head);
	m->total = (uint32_t)rd_var_max(&rd, UINT32_MAX);
	rd_set(&rd, &m->set);
	m->first = (uint32_t)rd_var_max(&rd, UINT32_MAX);
	m->last = (uint32_t)rd_var_max(&rd, UINT32_MAX);
	m->dense = codec_rd_bool(&rd);
	if (m->first > m->last || m->last >= m->total || m->set.prefix == 0 ||
	    obj_groups_at(&m->set, obj_groups_nr(&m->set) - 1) >= m->total)
		codec_rd_fail(&rd);
	return codec_rd_end(&rd);
}

void
obj_enter_rep_encode(struct codec_wr *w, const struct obj_enter_rep *m)
{
	codec_wr_u64(w, m->proof);
	wr_set(w, &m->set);
}

int
obj_enter_rep_decode(const uint8_t *buf, size_t len, struct obj_enter_rep *ret_m)
{
	struct codec_rd rd;

	codec_rd_init(&rd, buf, len);
	ret_m->proof = codec_rd_u64(&rd);
	rd_set(&rd, &ret_m->set);
	if (ret_m->set.prefix == 0)
		codec_rd_fail(&rd);
	return codec_rd_end(&rd);
}

/* --- listing --- */

void
obj_list_encode(struct codec_wr *w, const struct obj_list *m)
{
	wr_head(w, &m->head);
	codec_wr_u8(w, m->kind);
	codec_wr_bool(w, m->descending);
	wr_var(w, m->max_nr);
	wr_var(w, m->max_bytes);
	if (m->kind >= OBJ_LIST_AKEY)
		wr_key(w, &m->dkey);
	if (m->kind >= OBJ_LIST_RECX)
		wr_key(w, &m->akey);
	wr_anchor(w, m->anchor);
	codec_wr_bool(w, m->want_set);
}

int
obj_list_decode(const uint8_t *buf, size_t len, struct obj_scratch *s, struct obj_list *ret_m)
{
	struct obj_list *m = ret_m;
	struct codec_rd rd;

	(void)s;
	codec_rd_init(&rd, buf, len);
	rd_head(&rd, &m->head);
	m->kind = codec_rd_u8(&rd);
	if (m->kind > OBJ_LIST_SINGLE)
		codec_rd_fail(&rd);
	m->descending = codec_rd_bool(&rd);
	m->max_nr = (uint32_t)rd_var_max(&rd, UINT32_MAX);
	m->max_bytes = (uint32_t)rd_var_max(&rd, UINT32_MAX);
	m->dkey = (daos_key_t){0};
	m->akey = (daos_key_t){0};
	if (m->kind >= OBJ_LIST_AKEY)
		rd_key(&rd, &m->dkey);
	if (m->kind >= OBJ_LIST_RECX)
		rd_key(&rd, &m->akey);
	rd_anchor(&rd, m->anchor);
	m->want_set = codec_rd_bool(&rd);
	return codec_rd_end(&rd);
}

void
obj_list_rep_encode(struct codec_wr *w, uint8_t kind, const struct obj_list_rep *m)
{
	wr_anchor(w, m->anchor);
	codec_wr_bool(w, m->eof);
	codec_wr_u64(w, m->epoch);
	wr_var(w, m->key2big);
	wr_set(w, &m->set);
	wr_var(w, m->nr);
	for (uint32_t i = 0; i < m->nr; i++) {
		switch (kind) {
		case OBJ_LIST_OBJ:
			codec_wr_u64(w, m->oids[i].lo);
			codec_wr_u64(w, m->oids[i].hi);
			wr_var(w, m->shards[i]);
			codec_wr_u64(w, m->epochs[i]);
			break;
		case OBJ_LIST_DKEY:
		case OBJ_LIST_AKEY:
			wr_key(w, &m->keys[i]);
			break;
		case OBJ_LIST_RECX:
			wr_recx(w, &m->recxs[i]);
			wr_var(w, m->rec_sizes[i]);
			codec_wr_u64(w, m->epochs[i]);
			break;
		case OBJ_LIST_SINGLE:
			wr_var(w, m->rec_sizes[i]);
			codec_wr_u64(w, m->epochs[i]);
			break;
		}
	}
}

int
obj_list_rep_decode(const uint8_t *buf, size_t len, uint8_t kind, struct obj_scratch *s,
		    struct obj_list_rep *ret_m)
{
	struct obj_list_rep *m = ret_m;
	struct codec_rd rd;

	*m = (struct obj_list_rep){0};
	codec_rd_init(&rd, buf, len);
	if (kind > OBJ_LIST_SINGLE)
		codec_rd_fail(&rd);
	rd_anchor(&rd, m->anchor);
	m->eof = codec_rd_bool(&rd);
	m->epoch = codec_rd_u64(&rd);
	m->key2big = rd_var(&rd);
	rd_set(&rd, &m->set);
	m->nr = (uint32_t)rd_var_max(&rd, OBJ_LIST_MAX);
	if (kind == OBJ_LIST_DKEY || kind == OBJ_LIST_AKEY) {
		m->keys = rd_array(&rd, s, m->nr, sizeof(*m->keys));
	} else {
		m->epochs = rd_array(&rd, s, m->nr, sizeof(*m->epochs));
		if (kind == OBJ_LIST_OBJ) {
			m->oids = rd_array(&rd, s, m->nr, sizeof(*m->oids));
			m->shards = rd_array(&rd, s, m->nr, sizeof(*m->shards));
		} else {
			m->rec_sizes = rd_array(&rd, s, m->nr, sizeof(*m->rec_sizes));
		}
		if (kind == OBJ_LIST_RECX)
			m->recxs = rd_array(&rd, s, m->nr, sizeof(*m->recxs));
	}
	for (uint32_t i = 0; rd.err == 0 && i < m->nr; i++) {
		switch (kind) {
		case OBJ_LIST_OBJ:
			m->oids[i].lo = codec_rd_u64(&rd);
			m->oids[i].hi = codec_rd_u64(&rd);
			m->shards[i] = (uint32_t)rd_var_max(&rd, UINT32_MAX);
			m->epochs[i] = codec_rd_u64(&rd);
			break;
		case OBJ_LIST_DKEY:
		case OBJ_LIST_AKEY:
			rd_key(&rd, &m->keys[i]);
			break;
		case OBJ_LIST_RECX:
			rd_recx(&rd, &m->recxs[i]);
			m->rec_sizes[i] = rd_var(&rd);
			m->epochs[i] = codec_rd_u64(&rd);
			break;
		case OBJ_LIST_SINGLE:
			m->rec_sizes[i] = rd_var(&rd);
			m->epochs[i] = codec_rd_u64(&rd);
			break;
		}
	}
	return codec_rd_end(&rd);
}

/* --- key query --- */

void
obj_query_encode(struct codec_wr *w, const struct obj_query *m)
{
	wr_head(w, &m->head);
	wr_var(w, m->query_flags);
	codec_wr_u64(w, m->dkey);
	wr_key(w, &m->akey);
	codec_wr_bool(w, m->want_set);
}

int
obj_query_decode(const uint8_t *buf, size_t len, struct obj_scratch *s, struct obj_query *ret_m)
{
	struct obj_query *m = ret_m;
	struct codec_rd rd;

	(void)s;
	codec_rd_init(&rd, buf, len);
	rd_head(&rd, &m->head);
	m->query_flags = rd_var(&rd);
	m->dkey = codec_rd_u64(&rd);
	rd_key(&rd, &m->akey);
	m->want_set = codec_rd_bool(&rd);
	return codec_rd_end(&rd);
}

void
obj_query_rep_encode(struct codec_wr *w, const struct obj_query_rep *m)
{
	codec_wr_bool(w, m->found);
	codec_wr_u64(w, m->dkey);
	codec_wr_u64(w, m->akey);
	wr_var(w, m->recx.rx_idx);
	wr_var(w, m->recx.rx_nr);
	codec_wr_u64(w, m->max_epoch);
	codec_wr_u64(w, m->seen);
	wr_set(w, &m->set);
}

int
obj_query_rep_decode(const uint8_t *buf, size_t len, struct obj_query_rep *ret_m)
{
	struct obj_query_rep *m = ret_m;
	struct codec_rd rd;

	*m = (struct obj_query_rep){0};
	codec_rd_init(&rd, buf, len);
	m->found = codec_rd_bool(&rd);
	m->dkey = codec_rd_u64(&rd);
	m->akey = codec_rd_u64(&rd);
	m->recx.rx_idx = rd_var(&rd);
	m->recx.rx_nr = rd_var(&rd);
	m->max_epoch = codec_rd_u64(&rd);
	m->seen = codec_rd_u64(&rd);
	rd_set(&rd, &m->set);
	return codec_rd_end(&rd);
}
