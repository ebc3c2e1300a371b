/* verify: everything that can be checked, of one target or of all. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "server/vos_dump/dump.h"

enum { FINDINGS_MAX = 1000 };

struct counts {
	uint64_t cont_nr, obj_nr, dkey_nr, akey_nr, ver_nr, summed_nr;
	uint64_t scm_bytes, nvme_bytes; /* of values */
};

struct check {
	struct dump *d;
	struct vos_pool *pool;
	json_t *findings; /* what the store logged about the target at hand */
	uint64_t finding_nr;
	struct counts counts;
	int first_rc; /* of the containers */
};

static void
note_finding(void *ctx, const struct log_rec *rec)
{
	struct check *c = ctx;

	if (rec->level > LOG_LVL_ERR)
		return;
	if (c->finding_nr++ < FINDINGS_MAX)
		json_array_append_new(c->findings, json_stringn(rec->text, rec->text_len));
}

static int co_fn
count_key(const struct vos_inspect_key *key, void *arg)
{
	struct check *c = arg;

	c->counts.obj_nr += key->level == VOS_INSPECT_OBJ;
	c->counts.dkey_nr += key->level == VOS_INSPECT_DKEY;
	c->counts.akey_nr += key->level == VOS_INSPECT_AKEY;
	return 0;
}

static int co_fn
count_ver(const struct vos_inspect_key *akey, const struct vos_inspect_ver *ver, void *arg)
{
	struct check *c = arg;

	c->counts.ver_nr++;
	c->counts.summed_nr += ver->sum_nr != 0;
	c->counts.scm_bytes += ver->place == VOS_PLACE_HEAP ? ver->bytes : 0;
	c->counts.nvme_bytes += ver->place == VOS_PLACE_BLOCKS ? ver->bytes : 0;
	return 0;
}

static int co_fn
count_cont(const struct vos_inspect_cont *cont, void *arg)
{
	struct vos_inspect_fns fns = {.key = count_key, .ver = count_ver, .check_sums = true};
	struct vos_inspect_path path = {0};
	struct check *c = arg;

	int rc;

	c->counts.cont_nr++;
	rc = vos_inspect_walk(c->pool, cont->uuid, &path, VOS_INSPECT_VALUE, &fns, c);
	if (c->first_rc == 0)
		c->first_rc = rc;
	return 0; /* what is wrong with one says nothing about the others */
}

static json_t *
result_json(const struct check *c, const struct target_name *target,
	    const struct vos_inspect_figures *fig, int rc)
{
	const struct counts *n = &c->counts;

	return json_pack("{s:s,s:s,s:i,s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:o,s:o,s:I,s:O}", "target",
			 target->name, "result", rc == 0 ? "ok" : "damaged", "status", rc,
			 "containers", (json_int_t)n->cont_nr, "objects", (json_int_t)n->obj_nr,
			 "dkeys", (json_int_t)n->dkey_nr, "akeys", (json_int_t)n->akey_nr,
			 "versions", (json_int_t)n->ver_nr, "versions_with_checksums",
			 (json_int_t)n->summed_nr, "scm_value_bytes", json_big(n->scm_bytes),
			 "nvme_value_bytes", json_big(n->nvme_bytes), "replayed_bytes",
			 json_big(fig->heap.replay_bytes), "restored_pages",
			 (json_int_t)fig->heap.torn_page_nr, "findings", c->findings);
}

static void
print_result(const struct check *c, const struct target_name *target,
	     const struct vos_inspect_figures *fig, int rc)
{
	const struct counts *n = &c->counts;
	FILE *out = cli_out(c->d->cli);
	json_t *f;
	size_t i;

	fprintf(out, "%s: ", target->name);
	if (rc == 0)
		fprintf(out,
			"ok  %" PRIu64 " containers, %" PRIu64 " objects, %" PRIu64
			" dkeys, %" PRIu64 " akeys, %" PRIu64 " versions (%" PRIu64
			" with checksums); replayed %" PRIu64 " bytes of log, %" PRIu64
			" torn pages\n",
			n->cont_nr, n->obj_nr, n->dkey_nr, n->akey_nr, n->ver_nr, n->summed_nr,
			fig->heap.replay_bytes, fig->heap.torn_page_nr);
	else if (rc == -DER_DF_INCOMPT)
		fprintf(out, "CANNOT BE READ (%s)\n", err_text(rc));
	else
		fprintf(out, "DAMAGED (%s)\n", err_text(rc));
	json_array_foreach(c->findings, i, f) fprintf(out, "  %s\n", json_string_value(f));
	if (c->finding_nr > FINDINGS_MAX)
		fprintf(out, "  ... and %" PRIu64 " more\n", c->finding_nr - FINDINGS_MAX);
}

/* *ret_rc: what is wrong with it, 0 = nothing. */
static json_t *co_fn
check_target(struct check *c, const struct target_name *target, int *ret_rc)
{
	struct vos_pool_conf conf = {.name = target->name, .read_only = true};
	struct vos_inspect_figures fig = {0};
	json_t *result;
	int rc, rc2;

	c->findings = json_array();
	c->finding_nr = 0;
	memset(&c->counts, 0, sizeof(c->counts));
	log_set_sink(note_finding, c);
	rc = vos_pool_open(c->d->dir, c->d->xs, &conf, &c->pool);
	if (rc == 0) {
		vos_inspect_figures(c->pool, &fig);
		rc = vos_inspect_verify(c->pool);
		c->first_rc = 0;
		rc2 = vos_inspect_conts(c->pool, count_cont, c);
		if (rc == 0)
			rc = rc2 != 0 ? rc2 : c->first_rc;
		vos_pool_close(c->pool);
	}
	log_set_sink(NULL, NULL);
	/* What was logged as an error is one, whatever was returned. */
	if (rc == 0 && c->finding_nr > 0)
		rc = -DER_CSUM;
	print_result(c, target, &fig, rc);
	result = result_json(c, target, &fig, rc);
	json_decref(c->findings);
	*ret_rc = rc;
	return result;
}

int co_fn
dump_verify(struct dump *d)
{
	bool all = cli_arg(d->cli, 1) == NULL;
	struct check c = {.d = d};
	const struct target_name *one = NULL;
	json_t *results = json_array();
	uint32_t i, nr = 0, bad = 0;
	int rc = 0, first = 0;

	if (d->sb_rc != 0)
		first = d->sb_rc;
	if (!all)
		rc = dump_target(d, &one);
	for (i = 0; rc == 0 && i < d->target_nr; i++) {
		int found;

		if (!all && &d->targets[i] != one)
			continue;
		json_array_append_new(results, check_target(&c, &d->targets[i], &found));
		nr++;
		bad += found != 0;
		if (first == 0)
			first = found;
	}
	cli_respond(d->cli, json_pack("{s:s,s:o}", "superblock",
				      d->sb_rc != 0   ? "damaged"
				      : d->sb == NULL ? "none"
						      : "ok",
				      "targets", results));
	if (rc != 0)
		return rc;
	if (bad > 0)
		return cli_fail_der(d->cli, first, "%u of %u targets are damaged", bad, nr);
	if (first != 0)
		return cli_fail_der(d->cli, first, "the superblock is damaged");
	return 0;
}
