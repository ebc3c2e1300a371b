/*
 * The superblock is a small device with two slots that are written in turn, so that a torn write
 * costs the newest state only, which nobody was told about yet. The valid slot with the higher
 * sequence counts. superblock_format.h has the bytes.
 */
#define LOG_FACILITY "engine"

#include "server/engine/superblock.h"

#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/codec.h"
#include "base/crc.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/mgmt_defs.h"
#include "runtime/xs.h"
#include "server/engine/superblock_format.h"

/* --- encoding --- */

static void
body_encode(const struct superblock *sb, struct codec_wr *wr)
{
	codec_wr_uuid(wr, sb->uuid);
	codec_wr_uuid(wr, sb->system_uuid);
	codec_wr_str(wr, sb->system_name);
	codec_wr_u32(wr, sb->rank);
	codec_wr_u32(wr, sb->target_nr);
	codec_wr_u64(wr, sb->epoch_ceiling);
	codec_wr_varint(wr, sb->pool_nr);
	for (uint32_t i = 0; i < sb->pool_nr; i++) {
		codec_wr_uuid(wr, sb->pools[i].uuid);
		codec_wr_u64(wr, sb->pools[i].scm_bytes);
		codec_wr_u64(wr, sb->pools[i].nvme_bytes);
		codec_wr_u32(wr, sb->pools[i].data_thresh);
	}
	codec_wr_varint(wr, sb->uri_nr);
	for (uint32_t i = 0; i < sb->uri_nr; i++)
		codec_wr_str(wr, sb->uris[i]);
}

static int
body_decode(struct superblock *sb, const uint8_t *buf, size_t len)
{
	struct codec_rd rd;
	uint32_t pool_nr;

	codec_rd_init(&rd, buf, len);
	codec_rd_uuid(&rd, sb->uuid);
	codec_rd_uuid(&rd, sb->system_uuid);
	codec_rd_str(&rd, sb->system_name, sizeof(sb->system_name));
	sb->rank = codec_rd_u32(&rd);
	sb->target_nr = codec_rd_u32(&rd);
	sb->epoch_ceiling = codec_rd_u64(&rd);
	pool_nr = (uint32_t)codec_rd_varint_max(&rd, SB_POOL_MAX);
	for (uint32_t i = 0; i < pool_nr && rd.err == 0; i++) {
		struct sb_pool pool;
		int rc;

		codec_rd_uuid(&rd, pool.uuid);
		pool.scm_bytes = codec_rd_u64(&rd);
		pool.nvme_bytes = codec_rd_u64(&rd);
		pool.data_thresh = codec_rd_u32(&rd);
		rc = rd.err == 0 ? sb_pool_add(sb, &pool) : 0;
		if (rc != 0)
			return rc;
	}
	sb->uri_nr = (uint32_t)codec_rd_varint_max(&rd, SB_URI_MAX);
	for (uint32_t i = 0; i < sb->uri_nr; i++)
		codec_rd_str(&rd, sb->uris[i], sizeof(sb->uris[i]));
	return codec_rd_end(&rd) != 0 ? -DER_CSUM : 0;
}

/* --- slots --- */

struct slot {
	uint64_t seq;
	uint32_t body_len;
	bool valid;
	bool blank; /* never written */
	uint32_t version;
};

static struct slot
slot_check(const uint8_t *buf)
{
	struct slot s = {0};
	struct codec_rd rd;
	uint64_t magic;
	uint32_t crc;

	codec_rd_init(&rd, buf, SB_HEAD_BYTES);
	magic = codec_rd_u64(&rd);
	s.version = codec_rd_u32(&rd);
	crc = codec_rd_u32(&rd);
	s.seq = codec_rd_u64(&rd);
	s.body_len = codec_rd_u32(&rd);
	if (magic == 0 && s.version == 0 && crc == 0 && s.seq == 0) {
		s.blank = true;
		return s;
	}
	s.valid = magic == SB_MAGIC && s.body_len <= SB_SLOT_BYTES - SB_HEAD_BYTES &&
		  crc32c(0, buf + SB_CRC_FROM, SB_HEAD_BYTES - SB_CRC_FROM + s.body_len) == crc;
	return s;
}

static int co_fn
sb_load(struct superblock *sb, bool *ret_new)
{
	uint8_t *buf = dev_buf_alloc(2 * SB_SLOT_BYTES);
	struct slot slots[2];
	int best = -1;
	int rc;

	if (buf == NULL)
		return -DER_NOMEM;
	rc = dev_read(sb->dev, 0, buf, 2 * SB_SLOT_BYTES);
	for (int i = 0; rc == 0 && i < 2; i++) {
		slots[i] = slot_check(buf + i * SB_SLOT_BYTES);
		if (slots[i].valid && (best < 0 || slots[i].seq > slots[best].seq))
			best = i;
	}
	*ret_new = false;
	if (rc == 0 && best < 0) {
		/* A new superblock is written to slot 1, then to slot 0: while that is blank nobody
		 * relied on it. */
		if (slots[0].blank)
			*ret_new = true;
		else
			rc = -DER_CSUM;
	} else if (rc == 0 && slots[best].version != SB_VERSION) {
		rc = -DER_DF_INCOMPT;
	} else if (rc == 0) {
		sb->seq = slots[best].seq;
		rc = body_decode(sb, buf + best * SB_SLOT_BYTES + SB_HEAD_BYTES,
				 slots[best].body_len);
	}
	dev_buf_free(buf, 2 * SB_SLOT_BYTES);
	return rc;
}

static int co_fn
slot_write(struct superblock *sb, uint8_t *buf)
{
	struct codec_wr head, body;
	size_t len;
	int rc;

	memset(buf, 0, SB_SLOT_BYTES);
	codec_wr_init_fixed(&body, buf + SB_HEAD_BYTES, SB_SLOT_BYTES - SB_HEAD_BYTES);
	body_encode(sb, &body);
	if (codec_wr_err(&body) != 0)
		return -DER_NOSPACE;
	codec_wr_init_fixed(&head, buf, SB_HEAD_BYTES);
	codec_wr_u64(&head, SB_MAGIC);
	codec_wr_u32(&head, SB_VERSION);
	codec_wr_u32(&head, 0);
	codec_wr_u64(&head, sb->seq + 1);
	codec_wr_u32(&head, (uint32_t)body.len);
	codec_wr_u32(&head, 0);
	codec_wr_patch_u32(&head, 12,
			   crc32c(0, buf + SB_CRC_FROM, SB_HEAD_BYTES - SB_CRC_FROM + body.len));
	len = (SB_HEAD_BYTES + body.len + DEV_BLOCK - 1) / DEV_BLOCK * DEV_BLOCK;
	rc = dev_write(sb->dev, (sb->seq + 1) % 2 * SB_SLOT_BYTES, buf, len, DEV_WRITE_SYNC);
	if (rc == 0)
		sb->seq++;
	return rc;
}

int co_fn
sb_write(struct superblock *sb)
{
	uint8_t *buf = dev_buf_alloc(SB_SLOT_BYTES);
	int rc;

	if (buf == NULL)
		return -DER_NOMEM;
	co_mutex_lock(&sb->lock);
	rc = slot_write(sb, buf);
	if (rc == 0 && sb->seq == 1)
		rc = slot_write(sb, buf);
	co_mutex_unlock(&sb->lock);
	dev_buf_free(buf, SB_SLOT_BYTES);
	return rc;
}

int co_fn
sb_open(struct dev_dir *dir, struct xs *xs, struct superblock **ret_sb, bool *ret_new)
{
	struct superblock *sb = mem_new(struct superblock);
	int rc;

	if (sb == NULL)
		return -DER_NOMEM;
	co_mutex_init(&sb->lock);
	sb->rank = MGMT_RANK_NONE;
	rc = dir->ops->open(dir, xs, SB_DEV_NAME, false, &sb->dev);
	if (rc == -DER_NONEXIST)
		rc = dir->ops->create(dir, xs, SB_DEV_NAME, 2 * SB_SLOT_BYTES, true, &sb->dev);
	if (rc == 0 && sb->dev->size_bytes < 2 * SB_SLOT_BYTES) {
		/* the creation itself was interrupted: nothing can have been written */
		dev_close(sb->dev);
		sb->dev = NULL;
		rc = dir->ops->unlink(dir, SB_DEV_NAME);
		if (rc == 0)
			rc = dir->ops->create(dir, xs, SB_DEV_NAME, 2 * SB_SLOT_BYTES, true,
					      &sb->dev);
	}
	if (rc != 0)
		sb->dev = NULL;
	else
		rc = sb_load(sb, ret_new);
	if (rc != 0) {
		sb_close(sb);
		return rc;
	}
	*ret_sb = sb;
	return 0;
}

void
sb_close(struct superblock *sb)
{
	if (sb == NULL)
		return;
	dev_close(sb->dev);
	free(sb->pools);
	free(sb);
}

/* --- content --- */

struct sb_pool *
sb_pool_find(struct superblock *sb, const uuid_t uuid)
{
	for (uint32_t i = 0; i < sb->pool_nr; i++) {
		if (uuid_compare(sb->pools[i].uuid, uuid) == 0)
			return &sb->pools[i];
	}
	return NULL;
}

int
sb_pool_add(struct superblock *sb, const struct sb_pool *pool)
{
	if (sb_pool_find(sb, pool->uuid) != NULL)
		return -DER_EXIST;
	if (sb->pool_nr >= SB_POOL_MAX)
		return -DER_NOSPACE;
	if (sb->pool_nr == sb->pool_cap) {
		uint32_t cap = sb->pool_cap == 0 ? 8 : sb->pool_cap * 2;
		struct sb_pool *p = mem_realloc(sb->pools, cap, sizeof(*p));

		if (p == NULL)
			return -DER_NOMEM;
		sb->pools = p;
		sb->pool_cap = cap;
	}
	sb->pools[sb->pool_nr++] = *pool;
	return 0;
}

void
sb_pool_del(struct superblock *sb, const uuid_t uuid)
{
	struct sb_pool *p = sb_pool_find(sb, uuid);

	if (p != NULL)
		*p = sb->pools[--sb->pool_nr];
}

bool
sb_set_uris(struct superblock *sb, char *const *uris, size_t nr)
{
	char old[SB_URI_MAX][RPC_URI_MAX];
	uint32_t old_nr = sb->uri_nr;

	memcpy(old, sb->uris, sizeof(old));
	memset(sb->uris, 0, sizeof(sb->uris));
	sb->uri_nr = 0;
	for (size_t i = 0; i < nr && sb->uri_nr < SB_URI_MAX; i++) {
		size_t len = uris[i] != NULL ? strlen(uris[i]) : 0;

		if (len > 0 && len < RPC_URI_MAX)
			memcpy(sb->uris[sb->uri_nr++], uris[i], len + 1);
	}
	return old_nr != sb->uri_nr || memcmp(old, sb->uris, sizeof(old)) != 0;
}
