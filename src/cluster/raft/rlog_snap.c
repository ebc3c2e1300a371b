/*
 * Snapshots on devices: written under another name, made durable, renamed; then what they make
 * unnecessary is removed, oldest first.
 */
#define LOG_FACILITY "raft"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/cleanup.h"
#include "base/codec.h"
#include "base/crc.h"
#include "cluster/raft/rcodec.h"
#include "cluster/raft/rlog_internal.h"

enum {
	SNAP_IO_BYTES = 1 << 20,
};

static void
name_snap_tmp(const struct rlog *log, char *buf)
{
	snprintf(buf, RLOG_NAME_MAX, "%s.snap-new", log->prefix);
}

void
rlog_snap_free(struct raft_snapshot *snap)
{
	unsigned i;

	if (snap == NULL)
		return;
	raft_configuration_close(&snap->configuration);
	for (i = 0; i < snap->n_bufs; i++)
		raft_free(snap->bufs[i].base);
	raft_free(snap->bufs);
	raft_free(snap);
}

/* Write pieces one behind the other from the start of the device, whole blocks at a time. */
struct out_stream {
	struct dev *dev;
	uint64_t off;
	uint8_t *buf;
	size_t fill;
};

static int co_fn
out_put(struct out_stream *s, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len > 0) {
		size_t n = SNAP_IO_BYTES - s->fill;

		if (n > len)
			n = len;
		memcpy(s->buf + s->fill, p, n);
		s->fill += n;
		p += n;
		len -= n;
		if (s->fill == SNAP_IO_BYTES) {
			int rc = dev_write(s->dev, s->off, s->buf, SNAP_IO_BYTES, 0);

			if (rc != 0)
				return rc;
			s->off += SNAP_IO_BYTES;
			s->fill = 0;
		}
	}
	return 0;
}

static int co_fn
out_end(struct out_stream *s)
{
	size_t n = (s->fill + DEV_BLOCK - 1) / DEV_BLOCK * DEV_BLOCK;
	int rc = 0;

	memset(s->buf + s->fill, 0, n - s->fill);
	if (n > 0)
		rc = dev_write(s->dev, s->off, s->buf, n, 0);
	if (rc == 0)
		rc = dev_sync(s->dev);
	return rc;
}

static uint32_t
snap_header_crc(const struct rlog_snap_df *df)
{
	return crc32c(0, (const uint8_t *)df + 8, sizeof(*df) - 8);
}

static int co_fn
snap_write(struct rlog *log, const struct raft_snapshot *snap, const char *name)
{
	struct rlog_snap_df df = {.magic = htole32(RLOG_SNAP_MAGIC)};
	CLEANUP(dev_closep)
	struct dev *dev = NULL;
	struct out_stream s = {0};
	struct codec_wr conf;
	uint64_t data = 0;
	uint32_t crc;
	unsigned i;
	int rc;

	codec_wr_init(&conf, 1 << 20);
	rcodec_conf_put(&conf, &snap->configuration);
	rc = codec_wr_err(&conf);
	for (i = 0; i < snap->n_bufs; i++)
		data += snap->bufs[i].len;
	if (rc == 0 && data > RLOG_SNAP_MAX)
		rc = -DER_OVERFLOW;
	if (rc != 0)
		goto out;
	df.version = htole32(RLOG_VERSION);
	df.conf_bytes = htole32((uint32_t)conf.len);
	df.index = htole64(snap->index);
	df.term = htole64(snap->term);
	df.conf_index = htole64(snap->configuration_index);
	df.data_bytes = htole64(data);
	crc = crc32c(snap_header_crc(&df), conf.base, conf.len);
	for (i = 0; i < snap->n_bufs; i++)
		crc = crc32c(crc, snap->bufs[i].base, snap->bufs[i].len);
	df.crc = htole32(crc);

	rc = log->dir->ops->unlink(log->dir, name); /* left over from a crash */
	if (rc != 0 && rc != -DER_NONEXIST)
		goto out;
	rc = log->dir->ops->create(
	    log->dir, log->xs, name,
	    (sizeof(df) + conf.len + data + DEV_BLOCK - 1) / DEV_BLOCK * DEV_BLOCK, false, &dev);
	if (rc != 0)
		goto out;
	s.dev = dev;
	s.buf = dev_buf_alloc(SNAP_IO_BYTES);
	if (s.buf == NULL) {
		rc = -DER_NOMEM;
		goto out;
	}
	rc = out_put(&s, &df, sizeof(df));
	if (rc == 0)
		rc = out_put(&s, conf.base, conf.len);
	for (i = 0; rc == 0 && i < snap->n_bufs; i++)
		rc = out_put(&s, snap->bufs[i].base, snap->bufs[i].len);
	if (rc == 0)
		rc = out_end(&s);
	dev_buf_free(s.buf, SNAP_IO_BYTES);
out:
	codec_wr_fini(&conf);
	return rc;
}

static int co_fn
snap_read(struct rlog *log, uint64_t index, struct raft_snapshot **ret_snap)
{
	char name[RLOG_NAME_MAX];
	CLEANUP(dev_closep)
	struct dev *dev = NULL;
	struct raft_snapshot *snap = NULL;
	struct rlog_snap_df df;
	struct codec_rd rd;
	uint8_t *buf = NULL;
	uint8_t *all = NULL;
	uint64_t total;
	uint64_t off;
	int rc;

	rlog_name_snap(log, index, name);
	rc = log->dir->ops->open(log->dir, log->xs, name, true, &dev);
	if (rc != 0)
		return rc;
	buf = dev_buf_alloc(SNAP_IO_BYTES);
	if (buf == NULL)
		return -DER_NOMEM;
	rc = dev->size_bytes >= DEV_BLOCK ? dev_read(dev, 0, buf, DEV_BLOCK) : -DER_CSUM;
	if (rc != 0)
		goto out;
	memcpy(&df, buf, sizeof(df));
	rc = -DER_CSUM;
	if (le32toh(df.magic) != RLOG_SNAP_MAGIC || le64toh(df.data_bytes) > RLOG_SNAP_MAX ||
	    le64toh(df.index) != index)
		goto out;
	total = le32toh(df.conf_bytes) + le64toh(df.data_bytes);
	if (sizeof(df) + total > dev->size_bytes)
		goto out;
	rc = -DER_NOMEM;
	all = malloc(total != 0 ? total : 1);
	if (all == NULL)
		goto out;
	for (off = 0; off < sizeof(df) + total; off += SNAP_IO_BYTES) {
		uint64_t n = dev->size_bytes - off;
		uint64_t skip = off == 0 ? sizeof(df) : 0;
		uint64_t at = off + skip - sizeof(df);
		uint64_t take;

		if (n > SNAP_IO_BYTES)
			n = SNAP_IO_BYTES;
		rc = dev_read(dev, off, buf, n);
		if (rc != 0)
			goto out;
		take = n - skip < total - at ? n - skip : total - at;
		memcpy(all + at, buf + skip, take);
	}
	rc = -DER_CSUM;
	if (crc32c(snap_header_crc(&df), all, total) != le32toh(df.crc))
		goto out;
	rc = -DER_DF_INCOMPT;
	if (le32toh(df.version) != RLOG_VERSION)
		goto out;

	rc = -DER_NOMEM;
	snap = raft_calloc(1, sizeof(*snap));
	if (snap == NULL)
		goto out;
	raft_configuration_init(&snap->configuration);
	snap->index = index;
	snap->term = le64toh(df.term);
	snap->configuration_index = le64toh(df.conf_index);
	snap->bufs = raft_calloc(1, sizeof(*snap->bufs));
	if (snap->bufs == NULL)
		goto out;
	snap->n_bufs = 1;
	snap->bufs[0].len = le64toh(df.data_bytes);
	snap->bufs[0].base = raft_malloc(snap->bufs[0].len != 0 ? snap->bufs[0].len : 1);
	if (snap->bufs[0].base == NULL)
		goto out;
	memcpy(snap->bufs[0].base, all + le32toh(df.conf_bytes), snap->bufs[0].len);
	codec_rd_init(&rd, all, le32toh(df.conf_bytes));
	rc = rcodec_conf_get(&rd, &snap->configuration);
	if (rc == 0)
		rc = codec_rd_end(&rd);
	if (rc != 0)
		goto out;
	*ret_snap = steal_ptr(snap);
out:
	rlog_snap_free(snap);
	free(all);
	dev_buf_free(buf, SNAP_IO_BYTES);
	return rc;
}

int co_fn
rlog_snap_load(struct rlog *log, struct raft_snapshot **ret_snap)
{
	struct rlog_found f;
	int rc;

	rc = rlog_found_scan(log->dir, log->prefix, &f);
	if (rc == 0 && f.snap_nr == 0)
		rc = -DER_NONEXIST;
	/* A snapshot has its name only when it is whole: a bad one is damage, and what it replaced
	 * is gone. */
	if (rc == 0)
		rc = snap_read(log, f.snaps[f.snap_nr - 1], ret_snap);
	if (rc == 0) {
		log->snap_index = (*ret_snap)->index;
		log->snap_term = (*ret_snap)->term;
	}
	rlog_found_fini(&f);
	return rc;
}

int co_fn
rlog_snap_save(struct rlog *log, const struct raft_snapshot *snap, uint32_t trailing)
{
	char tmp[RLOG_NAME_MAX];
	char name[RLOG_NAME_MAX];
	uint64_t keep_from;
	struct rlog_found f;
	uint32_t i;
	int rc;

	name_snap_tmp(log, tmp);
	rlog_name_snap(log, snap->index, name);
	rc = snap_write(log, snap, tmp);
	if (rc != 0)
		return rc;
	rc = log->dir->ops->rename(log->dir, tmp, name);
	if (rc != 0)
		return rc;
	log->snap_index = snap->index;
	log->snap_term = snap->term;

	rc = rlog_found_scan(log->dir, log->prefix, &f);
	for (i = 0; rc == 0 && i < f.snap_nr; i++) {
		if (f.snaps[i] >= snap->index)
			continue;
		rlog_name_snap(log, f.snaps[i], name);
		rc = log->dir->ops->unlink(log->dir, name);
	}
	rlog_found_fini(&f);
	if (rc != 0)
		return rc;

	if (trailing == 0) {
		while (rc == 0 && log->seg_nr > 0)
			rc = rlog_seg_drop_first(log);
		log->index_last = 0;
		return rc;
	}
	keep_from = snap->index > trailing ? snap->index - trailing + 1 : 1;
	while (rc == 0 && log->seg_nr > 1 && log->segs[0].index_max < keep_from)
		rc = rlog_seg_drop_first(log);
	return rc;
}
