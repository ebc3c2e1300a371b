/* space: how much of both tiers is used, and how the free space of the NVMe tier is scattered. */
#include <inttypes.h>
#include <string.h>

#include <daos_errno.h>

#include "base/bytes.h"
#include "server/vos_dump/dump.h"

enum { RUN_CLASSES = 8 };

/* Free runs by size. */
struct scatter {
	uint64_t run_nr;
	uint64_t free_blk;
	uint64_t largest_blk;
	uint64_t class_nr[RUN_CLASSES]; /* runs below 16 KiB, 64 KiB, 256 KiB, 1 MiB, ... */
	uint64_t class_blk[RUN_CLASSES];
};

static const char *const class_name[RUN_CLASSES] = {"4-16KiB",     "16-64KiB",    "64-256KiB",
						    "256KiB-1MiB", "1-4MiB",      "4-16MiB",
						    "16-64MiB",    "64MiB and up"};

static void
note_run(uint64_t blk, uint64_t blk_nr, void *arg)
{
	struct scatter *s = arg;
	uint64_t limit = 4;
	int i;

	for (i = 0; i < RUN_CLASSES - 1 && blk_nr >= limit; i++)
		limit *= 4;
	s->run_nr++;
	s->free_blk += blk_nr;
	s->largest_blk = blk_nr > s->largest_blk ? blk_nr : s->largest_blk;
	s->class_nr[i]++;
	s->class_blk[i] += blk_nr;
}

/* Percent of the free space that lies outside the largest free run: 0 = in one piece. */
static double
scattered(const struct scatter *s)
{
	return s->free_blk == 0 ? 0 : 100.0 - 100.0 * s->largest_blk / s->free_blk;
}

static json_t *
space_json(const struct target_name *target, const struct vos_inspect_figures *f,
	   const struct scatter *s)
{
	json_t *runs = json_array();
	int i;

	for (i = 0; i < RUN_CLASSES; i++)
		json_array_append_new(runs, json_pack("{s:s,s:o,s:o}", "size", class_name[i],
						      "runs", json_big(s->class_nr[i]), "bytes",
						      json_big(s->class_blk[i] * SPACE_BLOCK)));
	return json_pack("{s:s,s:{s:o,s:o,s:o,s:o},s:{s:o,s:o},s:{s:o,s:o,s:o,s:o,s:o,s:f,s:o}}",
			 "target", target->name, "scm", "device_bytes", json_big(f->scm_bytes),
			 "total_bytes", json_big(f->heap.total_bytes), "used_bytes",
			 json_big(f->heap.used_bytes), "free_bytes", json_big(f->heap.free_bytes),
			 "log", "total_bytes", json_big(f->heap.log_bytes), "used_bytes",
			 json_big(f->heap.log_used_bytes), "nvme", "total_bytes",
			 json_big(f->space.total_blk * SPACE_BLOCK), "used_bytes",
			 json_big(f->space.used_blk * SPACE_BLOCK), "free_bytes",
			 json_big(s->free_blk * SPACE_BLOCK), "free_runs", json_big(s->run_nr),
			 "largest_free_bytes", json_big(s->largest_blk * SPACE_BLOCK),
			 "scattered_percent", scattered(s), "runs", runs);
}

static void
print_space(FILE *out, const struct target_name *target, const struct vos_inspect_figures *f,
	    const struct scatter *s)
{
	char b[3][BYTES_STR_LEN];
	int i;

	fprintf(out, "%s\n", target->name);
	fprintf(out, "  SCM   %s used of %s, %s free\n", bytes_fmt_bin(f->heap.used_bytes, b[0]),
		bytes_fmt_bin(f->heap.total_bytes, b[1]), bytes_fmt_bin(f->heap.free_bytes, b[2]));
	fprintf(out, "  log   %s used of %s\n", bytes_fmt_bin(f->heap.log_used_bytes, b[0]),
		bytes_fmt_bin(f->heap.log_bytes, b[1]));
	if (f->nvme_bytes == 0) {
		fprintf(out, "  NVMe  none\n");
		return;
	}
	fprintf(out, "  NVMe  %s used of %s, %s free\n",
		bytes_fmt_bin(f->space.used_blk * SPACE_BLOCK, b[0]),
		bytes_fmt_bin(f->space.total_blk * SPACE_BLOCK, b[1]),
		bytes_fmt_bin(s->free_blk * SPACE_BLOCK, b[2]));
	fprintf(out, "        %" PRIu64 " free runs, the largest %s; %.1f %% outside of it\n",
		s->run_nr, bytes_fmt_bin(s->largest_blk * SPACE_BLOCK, b[0]), scattered(s));
	for (i = 0; i < RUN_CLASSES; i++)
		if (s->class_nr[i] > 0)
			fprintf(out, "        %-14s %8" PRIu64 " runs  %s\n", class_name[i],
				s->class_nr[i], bytes_fmt_bin(s->class_blk[i] * SPACE_BLOCK, b[0]));
}

static int co_fn
space_of(struct dump *d, const struct target_name *target, json_t *all)
{
	struct vos_inspect_figures fig;
	struct scatter s = {0};
	struct vos_pool *pool;
	int rc;

	rc = dump_pool_open(d, target, &pool);
	if (rc != 0)
		return rc;
	vos_inspect_figures(pool, &fig);
	rc = vos_inspect_free_runs(pool, note_run, &s);
	vos_pool_close(pool);
	if (rc != 0)
		return cli_fail_der(d->cli, rc, "%s", target->name);
	print_space(cli_out(d->cli), target, &fig, &s);
	json_array_append_new(all, space_json(target, &fig, &s));
	return 0;
}

int co_fn
dump_space(struct dump *d)
{
	json_t *all = json_array();
	const struct target_name *one = NULL;
	uint32_t i;
	int rc = 0;

	if (cli_arg(d->cli, 1) != NULL)
		rc = dump_target(d, &one);
	for (i = 0; rc == 0 && i < d->target_nr; i++)
		if (one == NULL || one == &d->targets[i])
			rc = space_of(d, &d->targets[i], all);
	cli_respond(d->cli, json_pack("{s:o}", "targets", all));
	return rc;
}
