/*
 * The bytes of an intent: operations encoded so that they can be done later, also by a process that
 * never saw them.
 *
 *	u16 version, u16 0, u32 number of operations, u32 length, participants
 *	each operation:
 *		u8 kind, u8 0, u16 op_nr, oid (u64 hi, u64 lo, u32 shard), u64 conditions,
 *		u32 length, dkey; u32 number of akeys
 *		punch:  each akey: u32 length, bytes
 *		update: each akey: u32 length, bytes, u8 type, u64 size, u64 flags, u32 number of
 *			extents, extents (u64, u64), u32 number of pieces; each piece:
 *			u8 kind, u64 idx, u64 nr, u64 rec_size, u32 length, checksums, then by
 *			kind the bytes, or u32 number of runs, runs (u64 block, u32 blocks)
 *
 * Blocks named here are allocated: they belong to the intent until it is committed (then to the
 * index) or dropped. Cut into objects of up to VOS_BODY_MAX bytes, each with a checksum.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_dtx.h"
#include "store/vos/vos_update.h"

#include "base/codec.h"
#include "base/crc.h"
#include "base/log.h"

enum { BODY_VERSION = 1, BODY_BYTES_MAX = HEAP_TX_LOG_MAX };

void
vos_dtx_key(const struct vos_dtx_id *id, uint8_t key[VOS_DTX_KEY])
{
	uint64_t be = __builtin_bswap64(id->seq);

	memcpy(key, id->client, 16);
	memcpy(key + 16, &be, 8);
}

void
vos_dtx_id_of(const uint8_t key[VOS_DTX_KEY], struct vos_dtx_id *ret_id)
{
	uint64_t be;

	memcpy(ret_id->client, key, 16);
	memcpy(&be, key + 16, 8);
	ret_id->seq = __builtin_bswap64(be);
}

/* --- encoding
 * ------------------------------------------------------------------------------------- */

static void
put_key(struct codec_wr *wr, const struct vos_key *key)
{
	codec_wr_u32(wr, key->len);
	codec_wr_bytes(wr, key->buf, key->len);
}

static void
put_piece(struct codec_wr *wr, const struct vos_piece *piece)
{
	uint32_t i;

	codec_wr_u8(wr, piece->kind);
	codec_wr_u64(wr, piece->idx);
	codec_wr_u64(wr, piece->nr);
	codec_wr_u64(wr, piece->rec_size);
	codec_wr_u32(wr, piece->sum == NULL ? 0 : piece->sum_bytes);
	if (piece->sum != NULL)
		codec_wr_bytes(wr, piece->sum, piece->sum_bytes);
	if (piece->kind == VOS_VER_INLINE)
		codec_wr_bytes(wr, piece->buf, piece->bytes);
	if (piece->kind != VOS_VER_NVME && piece->kind != VOS_VER_LIST)
		return;
	codec_wr_u32(wr, piece->ext_nr);
	for (i = 0; i < piece->ext_nr; i++) {
		codec_wr_u64(wr, piece->ext[i].blk);
		codec_wr_u32(wr, piece->ext[i].blk_nr);
	}
}

static void
put_update(struct codec_wr *wr, const struct vos_update *up)
{
	uint32_t i, j;

	codec_wr_u32(wr, up->io.iod_nr);
	for (i = 0; i < up->io.iod_nr; i++) {
		const daos_iod_t *iod = &up->io.iods[i];
		const struct update_iod *ui = &up->iods[i];
		uint32_t recx_nr = iod->iod_type == DAOS_IOD_ARRAY ? iod->iod_nr : 0;

		put_key(wr, &ui->akey);
		codec_wr_u8(wr, iod->iod_type);
		codec_wr_u64(wr, iod->iod_size);
		codec_wr_u64(wr, iod->iod_flags);
		codec_wr_u32(wr, recx_nr);
		for (j = 0; j < recx_nr; j++) {
			codec_wr_u64(wr, iod->iod_recxs[j].rx_idx);
			codec_wr_u64(wr, iod->iod_recxs[j].rx_nr);
		}
		codec_wr_u32(wr, ui->piece_nr);
		for (j = 0; j < ui->piece_nr; j++)
			put_piece(wr, &up->pieces[ui->piece_first + j]);
	}
}

static void
put_op(struct codec_wr *wr, const struct vos_ops_one *one)
{
	const struct vos_punch *p = &one->punch;
	const struct vos_update *up = one->up;
	const struct vos_oid *oid = up != NULL ? &up->io.oid : &p->oid;
	uint32_t i;

	codec_wr_u8(wr, up != NULL ? VOS_OP_UPDATE : VOS_OP_PUNCH);
	codec_wr_u8(wr, 0);
	codec_wr_u16(wr, one->op_nr);
	codec_wr_u64(wr, oid->id.hi);
	codec_wr_u64(wr, oid->id.lo);
	codec_wr_u32(wr, oid->shard);
	codec_wr_u64(wr, up != NULL ? up->io.cond_flags : p->cond_flags);
	put_key(wr, up != NULL ? &up->dkey : &p->dkey);
	if (up != NULL) {
		put_update(wr, up);
		return;
	}
	codec_wr_u32(wr, p->akey_nr);
	for (i = 0; i < p->akey_nr; i++)
		put_key(wr, &p->akeys[i]);
}

int
vos_body_encode(const struct vos_ops *ops, const void *part, uint32_t part_len, uint8_t **ret_body,
		uint32_t *ret_bytes)
{
	struct codec_wr wr;
	size_t len;
	uint32_t i;
	int rc;

	codec_wr_init(&wr, BODY_BYTES_MAX);
	codec_wr_u16(&wr, BODY_VERSION);
	codec_wr_u16(&wr, 0);
	codec_wr_u32(&wr, ops->nr);
	codec_wr_u32(&wr, part_len);
	codec_wr_bytes(&wr, part, part_len);
	for (i = 0; i < ops->nr; i++)
		put_op(&wr, &ops->one[i]);
	rc = codec_wr_err(&wr);
	if (rc != 0) {
		codec_wr_fini(&wr);
		return rc == -DER_OVERFLOW ? -DER_REC2BIG : rc;
	}
	*ret_body = codec_wr_take(&wr, &len);
	*ret_bytes = len;
	return 0;
}

/* --- decoding
 * -------------------------------------------------------------------------------------- */

static int
get_key(struct codec_rd *rd, struct vos_key *key)
{
	key->len = codec_rd_u32(rd);
	key->buf = codec_rd_ref(rd, key->len);
	if (key->len == 0)
		key->buf = NULL;
	return rd->err;
}

/* A count of things of at least so many bytes each. */
static uint32_t
get_count(struct codec_rd *rd, size_t each)
{
	uint32_t nr = codec_rd_u32(rd);

	if (nr > codec_rd_left(rd) / each) {
		codec_rd_fail(rd);
		return 0;
	}
	return nr;
}

/* What an update needs of everything, found by a first pass. */
struct sizes {
	uint32_t recx_nr, piece_nr, ext_nr;
};

enum { PIECE_MIN = 29, EXT_BYTES = 12, RECX_BYTES = 16, IOD_MIN = 29, KEY_MIN = 4, OP_MIN = 40 };

static void
skip_piece(struct codec_rd *rd, struct sizes *sz)
{
	uint8_t kind = codec_rd_u8(rd);
	uint64_t nr, rec_size, bytes;
	uint32_t exts;

	codec_rd_u64(rd);
	nr = codec_rd_u64(rd);
	rec_size = codec_rd_u64(rd);
	codec_rd_ref(rd, codec_rd_u32(rd));
	sz->piece_nr++;
	if (nr == 0 || kind < VOS_VER_PUNCH || kind > VOS_VER_LIST || kind == VOS_VER_COUNTED ||
	    __builtin_mul_overflow(nr, rec_size, &bytes)) {
		codec_rd_fail(rd);
		return;
	}
	if (kind == VOS_VER_INLINE)
		codec_rd_ref(rd, bytes);
	if (kind != VOS_VER_NVME && kind != VOS_VER_LIST)
		return;
	exts = get_count(rd, EXT_BYTES);
	if (exts == 0 || (kind == VOS_VER_NVME && exts != 1))
		codec_rd_fail(rd);
	sz->ext_nr += exts;
	codec_rd_ref(rd, (size_t)exts * EXT_BYTES);
}

static void
skip_iods(struct codec_rd rd, uint32_t iod_nr, struct sizes *sz, int *ret_err)
{
	struct vos_key key;
	uint32_t i, j, nr;

	for (i = 0; i < iod_nr && rd.err == 0; i++) {
		get_key(&rd, &key);
		codec_rd_ref(&rd, 17);
		nr = get_count(&rd, RECX_BYTES);
		sz->recx_nr += nr;
		codec_rd_ref(&rd, (size_t)nr * RECX_BYTES);
		nr = get_count(&rd, PIECE_MIN);
		for (j = 0; j < nr && rd.err == 0; j++)
			skip_piece(&rd, sz);
	}
	*ret_err = rd.err;
}

static void
get_piece(struct codec_rd *rd, struct vos_update *up)
{
	struct vos_piece *piece = &up->pieces[up->piece_nr++];
	uint32_t i;

	*piece = (struct vos_piece){.kind = codec_rd_u8(rd)};
	piece->idx = codec_rd_u64(rd);
	piece->nr = codec_rd_u64(rd);
	piece->rec_size = codec_rd_u64(rd);
	piece->bytes = piece->nr * piece->rec_size;
	piece->sum_bytes = codec_rd_u32(rd);
	piece->sum = (uint8_t *)codec_rd_ref(rd, piece->sum_bytes);
	if (piece->sum_bytes == 0)
		piece->sum = NULL;
	up->sums_bytes += piece->sum_bytes;
	if (piece->kind == VOS_VER_INLINE) {
		piece->buf = (uint8_t *)codec_rd_ref(rd, piece->bytes);
		up->buf_bytes += piece->bytes;
	}
	if (piece->kind != VOS_VER_NVME && piece->kind != VOS_VER_LIST)
		return;
	piece->allocated = true;
	piece->ext_nr = codec_rd_u32(rd);
	piece->ext = &up->exts[up->ext_nr];
	for (i = 0; i < piece->ext_nr; i++) {
		struct space_ext *ext = &up->exts[up->ext_nr++];

		ext->blk = codec_rd_u64(rd);
		ext->blk_nr = codec_rd_u32(rd);
	}
}

/* The sizes were found, so nothing runs over. */
static void
get_iods(struct codec_rd *rd, struct vos_update *up, daos_iod_t *iods, daos_recx_t *recx)
{
	uint32_t i, j, nr;

	for (i = 0; i < up->io.iod_nr; i++) {
		struct update_iod *ui = &up->iods[i];
		daos_iod_t *iod = &iods[i];

		*ui = (struct update_iod){.piece_first = up->piece_nr};
		if (get_key(rd, &ui->akey) == 0 && ui->akey.len == 0)
			codec_rd_fail(rd);
		iod->iod_type = codec_rd_u8(rd);
		iod->iod_size = codec_rd_u64(rd);
		iod->iod_flags = codec_rd_u64(rd);
		nr = codec_rd_u32(rd);
		iod->iod_nr = iod->iod_type == DAOS_IOD_ARRAY ? nr : 1;
		iod->iod_recxs = recx;
		for (j = 0; j < nr; j++, recx++) {
			recx->rx_idx = codec_rd_u64(rd);
			recx->rx_nr = codec_rd_u64(rd);
		}
		ui->piece_nr = codec_rd_u32(rd);
		for (j = 0; j < ui->piece_nr; j++)
			get_piece(rd, up);
	}
}

static int
get_update(struct codec_rd *rd, struct vos_update *up)
{
	struct sizes sz = {0};
	daos_iod_t *iods;
	int err;

	up->written = true;
	up->io.iod_nr = get_count(rd, IOD_MIN);
	skip_iods(*rd, up->io.iod_nr, &sz, &err);
	if (err != 0 || up->io.iod_nr == 0) {
		codec_rd_fail(rd);
		up->io.iod_nr = 0;
		return 0;
	}
	iods = mem_calloc(1, up->io.iod_nr * sizeof(*iods) + sz.recx_nr * sizeof(daos_recx_t));
	up->own_iods = iods;
	if (iods == NULL)
		return -DER_NOMEM;
	up->io.iods = iods;
	if (up->io.iod_nr > IOD_INL)
		up->iods = mem_calloc(up->io.iod_nr, sizeof(*up->iods));
	if (sz.piece_nr > PIECE_INL)
		up->pieces = mem_calloc(sz.piece_nr, sizeof(*up->pieces));
	if (sz.ext_nr > PIECE_INL)
		up->exts = mem_calloc(sz.ext_nr, sizeof(*up->exts));
	if (up->iods == NULL || up->pieces == NULL || up->exts == NULL)
		return -DER_NOMEM; /* release frees NULL and the others */
	get_iods(rd, up, iods, (daos_recx_t *)(iods + up->io.iod_nr));
	return 0;
}

static int
get_op(struct codec_rd *rd, struct vos_cont *cont, struct vos_ops_one *one)
{
	uint8_t kind = codec_rd_u8(rd);
	struct vos_oid oid = {0};
	struct vos_key dkey;
	uint64_t cond;
	uint32_t i;

	codec_rd_u8(rd);
	one->op_nr = codec_rd_u16(rd);
	oid.id.hi = codec_rd_u64(rd);
	oid.id.lo = codec_rd_u64(rd);
	oid.shard = codec_rd_u32(rd);
	cond = codec_rd_u64(rd);
	get_key(rd, &dkey);
	if (rd->err != 0 || kind > VOS_OP_PUNCH || (kind == VOS_OP_UPDATE && dkey.len == 0)) {
		codec_rd_fail(rd);
		return 0;
	}
	if (kind == VOS_OP_UPDATE) {
		one->up = vos_update_alloc(cont);
		if (one->up == NULL)
			return -DER_NOMEM;
		one->owned = true;
		one->up->io = (struct vos_io){.oid = oid, .cond_flags = cond};
		one->up->dkey = dkey;
		return get_update(rd, one->up);
	}
	one->punch = (struct vos_punch){.oid = oid, .cond_flags = cond, .dkey = dkey};
	one->punch.akey_nr = get_count(rd, KEY_MIN);
	if (one->punch.akey_nr == 0)
		return 0;
	one->punch.akeys = mem_calloc(one->punch.akey_nr, sizeof(*one->punch.akeys));
	if (one->punch.akeys == NULL)
		return -DER_NOMEM;
	for (i = 0; i < one->punch.akey_nr; i++)
		if (get_key(rd, &one->punch.akeys[i]) == 0 && one->punch.akeys[i].len == 0)
			codec_rd_fail(rd);
	if (dkey.len == 0)
		codec_rd_fail(rd);
	return 0;
}

int
vos_body_decode(struct vos_cont *cont, const uint8_t *body, uint32_t bytes, struct vos_ops *ret_ops,
		const void **ret_part, uint32_t *ret_part_len)
{
	struct vos_ops ops = {.cont = cont};
	const void *part;
	struct codec_rd rd;
	uint32_t i, nr, part_len;
	int rc = 0;

	codec_rd_init(&rd, body, bytes);
	if (codec_rd_u16(&rd) != BODY_VERSION)
		codec_rd_fail(&rd);
	codec_rd_u16(&rd);
	nr = codec_rd_u32(&rd);
	part_len = codec_rd_u32(&rd);
	part = codec_rd_ref(&rd, part_len);
	if (nr == 0 || nr > codec_rd_left(&rd) / OP_MIN)
		codec_rd_fail(&rd);
	if (rd.err == 0) {
		ops.one = mem_calloc(nr, sizeof(*ops.one));
		if (ops.one == NULL)
			return -DER_NOMEM;
	}
	for (i = 0; rc == 0 && rd.err == 0 && i < nr; i++) {
		ops.nr = i + 1;
		rc = get_op(&rd, cont, &ops.one[i]);
	}
	if (rc == 0 && codec_rd_end(&rd) != 0) {
		log_err("pool %s: an intent of %u bytes makes no sense", cont->pool->name, bytes);
		rc = -DER_CSUM;
	}
	if (rc != 0) {
		vos_ops_fini(&ops);
		return rc;
	}
	*ret_ops = ops;
	if (ret_part != NULL) {
		*ret_part = part;
		*ret_part_len = part_len;
	}
	return 0;
}

/* --- objects in the heap
 * ------------------------------------------------------------------------------ */

int
vos_body_store(struct vos_tx *t, const uint8_t *body, uint32_t bytes, uint64_t *ret_off)
{
	uint64_t next = 0, off;
	uint32_t rest = bytes;
	int rc;

	/* from the end, so that each knows its successor */
	while (rest != 0) {
		uint32_t len = rest % VOS_BODY_MAX != 0 ? rest % VOS_BODY_MAX : VOS_BODY_MAX;
		struct vos_body_df *df;

		rc = heap_alloc(t->tx, sizeof(*df) + len, 0, &off);
		if (rc != 0)
			return rc;
		rest -= len;
		df = heap_ptr(t->heap, off);
		df->next = next;
		df->len = len;
		memcpy(df->bytes, body + rest, len);
		df->csum = crc32c(0, df->bytes, len);
		next = off;
	}
	*ret_off = next;
	return 0;
}

/* One object of a body, whole. */
static int
body_at(struct heap *heap, uint64_t off, const struct vos_body_df **ret_df)
{
	const struct vos_body_df *df = heap_try_df(heap, off, sizeof(*df));

	if (df == NULL)
		return HEAP_MISS;
	if (df->len == 0 || df->len > VOS_BODY_MAX) {
		log_err("heap offset %#llx: not an intent", (unsigned long long)off);
		return -DER_CSUM;
	}
	if (heap_try(heap, off, sizeof(*df) + df->len) == NULL)
		return HEAP_MISS;
	if (crc32c(0, df->bytes, df->len) != df->csum) {
		log_err("heap offset %#llx: intent is damaged", (unsigned long long)off);
		return -DER_CSUM;
	}
	*ret_df = df;
	return 0;
}

int
vos_body_load(struct heap *heap, uint64_t off, uint32_t bytes, uint8_t **ret_body)
{
	const struct vos_body_df *df;
	uint32_t at = 0;
	uint8_t *body;
	int rc = 0;

	if (bytes == 0 || bytes > BODY_BYTES_MAX)
		return -DER_CSUM;
	body = mem_alloc(bytes);
	if (body == NULL)
		return -DER_NOMEM;
	for (; rc == 0 && off != 0; off = df->next) {
		rc = body_at(heap, off, &df);
		if (rc != 0)
			break;
		if (df->len > bytes - at) {
			rc = -DER_CSUM;
			break;
		}
		memcpy(body + at, df->bytes, df->len);
		at += df->len;
	}
	if (rc == 0 && at != bytes)
		rc = -DER_CSUM;
	if (rc != 0) {
		free(body);
		return rc;
	}
	*ret_body = body;
	return 0;
}

int
vos_body_free(struct vos_tx *t, uint64_t off)
{
	const struct vos_body_df *df;
	uint64_t next;
	int rc = 0;

	for (; rc == 0 && off != 0; off = next) {
		df = heap_try_df(t->heap, off, sizeof(*df));
		if (df == NULL)
			return HEAP_MISS;
		next = df->next;
		rc = heap_free(t->tx, off);
	}
	return rc;
}

int
vos_body_walk(struct heap *heap, uint64_t off, int (*fn)(void *arg, uint64_t off), void *arg)
{
	const struct vos_body_df *df;
	int rc = 0;

	for (; rc == 0 && off != 0; off = df->next) {
		rc = body_at(heap, off, &df);
		if (rc == 0)
			rc = fn(arg, off);
	}
	return rc;
}
