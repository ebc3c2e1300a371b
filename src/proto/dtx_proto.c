/*
 * The codec of struct dtx_resolve:
 *
 *	request: pool 16 | cont 16 | u8 verb | v nr | (client 8 + 8, v seq, map version 4, epoch 8)
 *each reply:   v nr | u8 state each
 */
#include "proto/dtx_proto.h"

void
dtx_resolve_encode(struct codec_wr *w, const struct dtx_resolve *m)
{
	codec_wr_bytes(w, m->pool, sizeof(uuid_t));
	codec_wr_bytes(w, m->cont, sizeof(uuid_t));
	codec_wr_u8(w, m->verb);
	codec_wr_varint(w, m->nr);
	for (uint32_t i = 0; i < m->nr; i++) {
		codec_wr_u64(w, m->refs[i].client[0]);
		codec_wr_u64(w, m->refs[i].client[1]);
		codec_wr_varint(w, m->refs[i].seq);
		codec_wr_u32(w, m->refs[i].map_ver);
		codec_wr_u64(w, m->refs[i].epoch);
	}
}

static uint32_t
rd_nr(struct codec_rd *rd)
{
	uint64_t nr = codec_rd_varint(rd);

	if (nr > DTX_REFS_MAX || nr > codec_rd_left(rd)) {
		codec_rd_fail(rd);
		return 0;
	}
	return (uint32_t)nr;
}

int
dtx_resolve_decode(const uint8_t *buf, size_t len, struct dtx_ref *refs, struct dtx_resolve *ret_m)
{
	struct dtx_resolve *m = ret_m;
	struct codec_rd rd;

	codec_rd_init(&rd, buf, len);
	codec_rd_bytes(&rd, m->pool, sizeof(uuid_t));
	codec_rd_bytes(&rd, m->cont, sizeof(uuid_t));
	m->verb = codec_rd_u8(&rd);
	if (m->verb < DTX_ASK || m->verb >= DTX_VERB_END)
		codec_rd_fail(&rd);
	m->nr = rd_nr(&rd);
	m->refs = refs;
	for (uint32_t i = 0; i < m->nr; i++) {
		refs[i].client[0] = codec_rd_u64(&rd);
		refs[i].client[1] = codec_rd_u64(&rd);
		refs[i].seq = codec_rd_varint(&rd);
		refs[i].map_ver = codec_rd_u32(&rd);
		refs[i].epoch = codec_rd_u64(&rd);
	}
	return codec_rd_end(&rd);
}

void
dtx_resolve_rep_encode(struct codec_wr *w, const struct dtx_resolve_rep *m)
{
	codec_wr_varint(w, m->nr);
	for (uint32_t i = 0; i < m->nr; i++)
		codec_wr_u8(w, m->states[i]);
}

int
dtx_resolve_rep_decode(const uint8_t *buf, size_t len, uint8_t *states,
		       struct dtx_resolve_rep *ret_m)
{
	struct codec_rd rd;

	codec_rd_init(&rd, buf, len);
	ret_m->nr = rd_nr(&rd);
	ret_m->states = states;
	for (uint32_t i = 0; i < ret_m->nr; i++) {
		states[i] = codec_rd_u8(&rd);
		if (states[i] < DTX_ST_UNKNOWN || states[i] >= DTX_ST_END)
			codec_rd_fail(&rd);
	}
	return codec_rd_end(&rd);
}
