/* wal: the batches of a target's log, their records, and how the log ends. */
#include <inttypes.h>
#include <string.h>

#include <daos_errno.h>

#include "base/bytes.h"
#include "server/vos_dump/dump.h"
#include "store/heap/heap_inspect.h"
#include "store/wal/wal_inspect.h"

static const char *const end_name[] = {"clean", "torn", "damaged"};
static const char *const end_text[] = {
    "the log ends with a whole batch",
    "the last write was torn by a crash: what it carried had not been acknowledged",
    "a batch that had been durable is damaged: later ones exist",
};

struct log_walk {
	struct dump *d;
	FILE *out;
	bool records;
	json_t *batches;
	uint64_t range_nr;
	bool malformed;
};

/* The ranges of one record, as [offset, length] pairs; NULL when it is malformed. */
static json_t *
show_rec(struct log_walk *w, const uint8_t *rec, uint32_t max, uint32_t idx, uint32_t *ret_len)
{
	struct heap_rec_range range;
	struct heap_rec_iter it;
	json_t *ranges;

	if (heap_rec_begin(rec, max, ret_len, &it) != 0)
		return NULL;
	ranges = json_array();
	if (w->records)
		fprintf(w->out, "    record %u, %u bytes:", idx, *ret_len);
	while (heap_rec_next(&it, &range)) {
		w->range_nr++;
		if (w->records) {
			fprintf(w->out, " %#" PRIx64 "+%u", range.off, range.len);
			json_array_append_new(
			    ranges, json_pack("[o,I]", json_big(range.off), (json_int_t)range.len));
		}
	}
	if (w->records)
		fprintf(w->out, "\n");
	return ranges;
}

static json_t *
show_recs(struct log_walk *w, const struct wal_inspect_batch *b)
{
	json_t *recs = json_array(), *ranges;
	uint32_t pos = 0, i, len;

	for (i = 0; i < b->rec_nr; i++, pos += len) {
		ranges = show_rec(w, b->recs + pos, b->recs_bytes - pos, i, &len);
		if (ranges == NULL)
			break;
		json_array_append_new(
		    recs, json_pack("{s:I,s:o}", "bytes", (json_int_t)len, "ranges", ranges));
	}
	if (i < b->rec_nr || pos != b->recs_bytes) {
		fprintf(w->out, "    record %u is MALFORMED\n", i);
		w->malformed = true;
	}
	return recs;
}

static int co_fn
see_batch(const struct wal_inspect_batch *b, void *arg)
{
	struct log_walk *w = arg;
	json_t *recs, *o;

	fprintf(w->out,
		"  lsn %#" PRIx64 "  %u bytes  %u records  incarnation %u  at ring %#" PRIx64
		"  crc %08x\n",
		b->lsn, b->len_bytes, b->rec_nr, b->inc, b->ring_off, b->crc);
	recs = show_recs(w, b);
	if (!cli_json(w->d->cli)) {
		json_decref(recs);
		return 0;
	}
	o = json_pack("{s:o,s:o,s:I,s:I,s:I,s:o,s:I,s:I}", "lsn", json_big(b->lsn), "ring_offset",
		      json_big(b->ring_off), "bytes", (json_int_t)b->len_bytes, "records",
		      (json_int_t)b->rec_nr, "incarnation", (json_int_t)b->inc, "durable_lsn",
		      json_big(b->durable_lsn), "crc", (json_int_t)b->crc, "previous_crc",
		      (json_int_t)b->prev_crc);
	if (w->records)
		json_object_set(o, "record", recs);
	json_decref(recs);
	json_array_append_new(w->batches, o);
	return 0;
}

static json_t *
super_json(const struct wal_inspect *wi)
{
	json_t *all = json_array();
	int i;

	for (i = 0; i < 2; i++) {
		const struct wal_inspect_super *s = &wi->super[i];

		if (!s->valid)
			json_array_append_new(all, json_pack("{s:b}", "valid", 0));
		else
			json_array_append_new(
			    all,
			    json_pack("{s:b,s:b,s:I,s:o,s:o,s:o,s:I}", "valid", 1, "used",
				      i == wi->super_used, "version", (json_int_t)s->version, "seq",
				      json_big(s->seq), "ring_bytes", json_big(s->ring_bytes),
				      "tail_lsn", json_big(s->tail_lsn), "incarnation",
				      (json_int_t)s->inc));
	}
	return all;
}

static void
print_supers(FILE *out, const struct wal_inspect *wi)
{
	char ring[BYTES_STR_LEN];
	int i;

	for (i = 0; i < 2; i++) {
		const struct wal_inspect_super *s = &wi->super[i];

		if (!s->valid)
			fprintf(out, "super block %d: not valid\n", i);
		else
			fprintf(out,
				"super block %d: seq %" PRIu64 ", ring of %s, tail %#" PRIx64
				", incarnation %u%s\n",
				i, s->seq, bytes_fmt_bin(s->ring_bytes, ring), s->tail_lsn, s->inc,
				i == wi->super_used ? "  (this one counts)" : "");
	}
}

int co_fn
dump_wal(struct dump *d)
{
	struct log_walk w = {
	    .d = d,
	    .out = cli_out(d->cli),
	    .records = cli_flag(d->cli, "records"),
	    .batches = json_array(),
	};
	const struct target_name *target;
	struct wal_inspect wi = {0};
	char name[TARGET_NAME_MAX + 8];
	struct dev *dev = NULL;
	int rc;

	rc = dump_target(d, &target);
	if (rc != 0) {
		json_decref(w.batches);
		return rc;
	}
	snprintf(name, sizeof(name), "%s.wal", target->name);
	fprintf(w.out, "%s\n", name);
	rc = d->dir->ops->open(d->dir, d->xs, name, true, &dev);
	if (rc == 0)
		rc = wal_inspect(d->xs, dev, see_batch, &w, &wi);
	dev_close(dev);
	if (rc == 0) {
		print_supers(w.out, &wi);
		fprintf(w.out,
			"%" PRIu64 " batches, %" PRIu64 " records, %" PRIu64 " ranges, %" PRIu64
			" bytes; end at %#" PRIx64 ": %s\n",
			wi.batch_nr, wi.rec_nr, w.range_nr, wi.bytes, wi.end_lsn, end_text[wi.end]);
	}
	cli_respond(d->cli,
		    json_pack("{s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:s}", "target", target->name,
			      "super_blocks", super_json(&wi), "batches", w.batches, "batch_nr",
			      json_big(wi.batch_nr), "record_nr", json_big(wi.rec_nr), "bytes",
			      json_big(wi.bytes), "end_lsn", json_big(wi.end_lsn), "end",
			      rc == 0 ? end_name[wi.end] : "unknown"));
	if (rc != 0)
		return cli_fail_der(d->cli, rc, "%s", name);
	if (wi.end == WAL_END_DAMAGED || w.malformed)
		return cli_fail_der(d->cli, -DER_CSUM, "%s", name);
	return 0;
}
