/*
 * list and show: what a target holds, down to the versions and the places of their bytes.
 *
 * Both are one walk over objects, dkeys, akeys and values; list names what lies one level beneath
 * its arguments, show prints all of it. The document of -j is built while walking: each object,
 * dkey and akey is an object with an array for what is beneath.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/csum.h"
#include "base/err.h"
#include "server/vos_dump/dump.h"

enum { VALUE_BYTES = 256, VALUE_BYTES_MAX = 1 << 20 };

/* --- targets and containers ------------------------------------------------------------------ */

static json_t *
system_json(const struct dump *d)
{
	char uuid[CONT_TEXT];

	if (d->sb == NULL)
		return json_null();
	uuid_unparse_lower(d->sb->uuid, uuid);
	return json_pack("{s:s,s:s,s:I,s:I,s:o}", "name", d->sb->system_name, "uuid", uuid, "rank",
			 (json_int_t)d->sb->rank, "targets", (json_int_t)d->sb->target_nr,
			 "epoch_ceiling", json_epoch(d->sb->epoch_ceiling));
}

struct sizes {
	const struct dump *d;
	json_t *others;
	uint64_t *bytes; /* of each target */
};

static int
note_size(const char *name, uint64_t size, void *arg)
{
	struct sizes *s = arg;
	uint32_t i;

	for (i = 0; i < s->d->target_nr; i++) {
		size_t len = strlen(s->d->targets[i].name);

		if (strncmp(name, s->d->targets[i].name, len) == 0 && name[len] == '.') {
			s->bytes[i] += size;
			return 0;
		}
	}
	json_array_append_new(s->others,
			      json_pack("{s:s,s:o}", "name", name, "bytes", json_big(size)));
	return 0;
}

static void
print_head(struct dump *d)
{
	FILE *out = cli_out(d->cli);
	char epoch[EPOCH_TEXT];

	if (d->sb_rc != 0)
		fprintf(out, "superblock: %s\n", err_text(d->sb_rc));
	else if (d->sb == NULL)
		fprintf(out, "no superblock\n");
	else if (d->sb->rank == UINT32_MAX)
		fprintf(out, "system %s, no rank yet\n", d->sb->system_name);
	else
		fprintf(out, "system %s, rank %u, %u targets, epochs below %s\n",
			d->sb->system_name, d->sb->rank, d->sb->target_nr,
			epoch_text(d->sb->epoch_ceiling, epoch));
}

static int co_fn
list_targets(struct dump *d)
{
	static const char *const titles[] = {"Target", "Size", "State"};
	struct sizes s = {.d = d, .others = json_array()};
	struct cli_table *t = cli_table_create(titles, 3);
	json_t *all = json_array(), *o;
	FILE *out = cli_out(d->cli);
	size_t k;
	uint32_t i;
	int rc;

	s.bytes = calloc(d->target_nr + 1, sizeof(*s.bytes));
	rc = s.bytes == NULL ? -DER_NOMEM : d->dir->ops->list(d->dir, note_size, &s);
	print_head(d);
	for (i = 0; rc == 0 && i < d->target_nr; i++) {
		const struct target_name *tn = &d->targets[i];
		const char *state = tn->named ? "in use" : d->sb == NULL ? "unknown" : "left over";
		char size[BYTES_STR_LEN], uuid[CONT_TEXT];

		uuid_unparse_lower(tn->pool, uuid);
		bytes_fmt_bin(s.bytes[i], size);
		cli_table_row(t, (const char *[]){tn->name, size, state});
		json_array_append_new(all,
				      json_pack("{s:s,s:s,s:I,s:o,s:s}", "target", tn->name, "pool",
						uuid, "index", (json_int_t)tn->idx, "bytes",
						json_big(s.bytes[i]), "state", state));
	}
	if (d->target_nr > 0)
		cli_table_print(t, out, "");
	json_array_foreach(s.others, k, o)
	{
		fprintf(out, "%s%s", k == 0 ? "other files: " : ", ",
			json_string_value(json_object_get(o, "name")));
	}
	if (json_array_size(s.others) > 0)
		fprintf(out, "\n");
	cli_table_destroy(t);
	free(s.bytes);
	cli_respond(d->cli, json_pack("{s:o,s:o,s:o}", "system", system_json(d), "targets", all,
				      "other_files", s.others));
	return rc == 0 ? 0 : cli_fail_der(d->cli, rc, "%s", d->path);
}

struct cont_list {
	struct dump *d;
	json_t *all;
};

static int co_fn
list_cont(const struct vos_inspect_cont *cont, void *arg)
{
	struct cont_list *cl = arg;
	FILE *out = cli_out(cl->d->cli);
	char uuid[CONT_TEXT], epoch[3][EPOCH_TEXT], used[2][BYTES_STR_LEN];
	json_t *keep = json_array();
	uint32_t i;

	uuid_unparse_lower(cont->uuid, uuid);
	fprintf(out, "%s%s\n", uuid, cont->dying ? "  destroyed, being reclaimed" : "");
	fprintf(out, "  newest change %s, exact from %s, aggregated to %s\n",
		epoch_text(cont->max_epoch, epoch[0]), epoch_text(cont->low_epoch, epoch[1]),
		epoch_text(cont->agg_epoch, epoch[2]));
	fprintf(out, "  %s of SCM, %s of NVMe used\n", bytes_fmt_bin(cont->scm_used, used[0]),
		bytes_fmt_bin(cont->nvme_used, used[1]));
	if (cont->csum_type != 0)
		fprintf(out, "  checksums %s, one for %u bytes\n", csum_name(cont->csum_type),
			cont->csum_chunk);
	if (cont->floor != UINT64_MAX)
		fprintf(out, "  history kept from %s on\n", epoch_text(cont->floor, epoch[0]));
	for (i = 0; i < cont->keep_nr; i++) {
		fprintf(out, "  kept: %s\n", epoch_text(cont->keep[i], epoch[0]));
		json_array_append_new(keep, json_epoch(cont->keep[i]));
	}
	json_array_append_new(
	    cl->all,
	    json_pack("{s:s,s:b,s:o,s:o,s:o,s:o,s:o,s:o,s:s,s:I,s:I,s:o,s:o}", "container", uuid,
		      "destroyed", (int)cont->dying, "id", json_big(cont->id), "max_epoch",
		      json_epoch(cont->max_epoch), "low_epoch", json_epoch(cont->low_epoch),
		      "aggregated_epoch", json_epoch(cont->agg_epoch), "floor",
		      json_epoch(cont->floor), "keep", keep, "checksum",
		      cont->csum_type != 0 ? csum_name(cont->csum_type) : "off", "checksum_chunk",
		      (json_int_t)cont->csum_chunk, "data_threshold", (json_int_t)cont->data_thresh,
		      "scm_used_bytes", json_big(cont->scm_used), "nvme_used_bytes",
		      json_big(cont->nvme_used)));
	return 0;
}

static int co_fn
list_conts(struct dump *d, const struct target_name *target)
{
	struct cont_list cl = {.d = d, .all = json_array()};
	struct vos_pool *pool;
	int rc;

	rc = dump_pool_open(d, target, &pool);
	if (rc == 0) {
		rc = vos_inspect_conts(pool, list_cont, &cl);
		if (rc != 0)
			rc = cli_fail_der(d->cli, rc, "%s", target->name);
		vos_pool_close(pool);
	}
	cli_respond(d->cli, json_pack("{s:s,s:o}", "target", target->name, "containers", cl.all));
	return rc;
}

/* --- the walk -------------------------------------------------------------------------------- */

struct tree {
	struct dump *d;
	struct vos_pool *pool;
	FILE *out;
	enum vos_inspect_level named; /* the first level that is printed */
	enum vos_inspect_level down_to;
	uint64_t value_bytes;                   /* of each version; 0 = none */
	json_t *beneath[VOS_INSPECT_VALUE + 1]; /* where the next of each level goes; borrowed */
	struct vos_inspect_key akey;
	bool akey_is_array;
};

static const char *const level_name[] = {"object", "dkey", "akey"};
static const char *const level_list[] = {"objects", "dkeys", "akeys", "versions"};
static const char *const holds_name[] = {"nothing", "keys", "single", "array"};

static const char *
indent_of(const struct tree *t, enum vos_inspect_level level)
{
	static const char spaces[] = "        ";
	uint32_t deep = level > t->named ? level - t->named : 0;

	return spaces + sizeof(spaces) - 1 - 2 * deep;
}

static json_t *
ord_json(struct vos_inspect_ord ord)
{
	return json_pack("{s:o,s:I}", "epoch", json_epoch(ord.epoch), "op", (json_int_t)ord.op);
}

static void
print_key(struct tree *t, const struct vos_inspect_key *key, const char *text)
{
	const char *ind = indent_of(t, key->level);
	char epoch[2][EPOCH_TEXT];
	uint32_t i;

	if (t->down_to < VOS_INSPECT_VALUE) {
		fprintf(t->out, "%s\n", text);
		return;
	}
	fprintf(t->out, "%s%s %s", ind, level_name[key->level], text);
	if (key->level == VOS_INSPECT_AKEY)
		fprintf(t->out, " (%s)", holds_name[key->holds]);
	fprintf(t->out, "  updated %s, changed %s, heap %#" PRIx64 "\n",
		epoch_text(key->upd_epoch, epoch[0]), epoch_text(key->chg_epoch, epoch[1]),
		key->heap_off);
	for (i = 0; i < key->punch_nr; i++)
		fprintf(t->out, "%s  punched at %s op %u\n", ind,
			epoch_text(key->punches[i].epoch, epoch[0]), key->punches[i].op);
}

static json_t *
key_json(const struct vos_inspect_key *key, const char *text)
{
	CLEANUP(freep)
	char *hex = NULL;
	json_t *o = json_object(), *punches = json_array();
	uint32_t i;

	if (key->level == VOS_INSPECT_OBJ) {
		char oid[OID_TEXT];

		snprintf(oid, sizeof(oid), "%" PRIu64 ".%" PRIu64, key->oid.id.hi, key->oid.id.lo);
		json_object_set_new(o, "oid", json_string(oid));
		json_object_set_new(o, "shard", json_integer(key->oid.shard));
	} else {
		hex = hex_text(key->key, key->key_len);
		json_object_set_new(o, "key", json_string(text));
		json_object_set_new(o, "key_hex", json_string(hex != NULL ? hex : ""));
	}
	json_object_set_new(o, "updated", json_epoch(key->upd_epoch));
	json_object_set_new(o, "changed", json_epoch(key->chg_epoch));
	json_object_set_new(o, "heap_offset", json_big(key->heap_off));
	json_object_set_new(o, "holds", json_string(holds_name[key->holds]));
	for (i = 0; i < key->punch_nr; i++)
		json_array_append_new(punches, ord_json(key->punches[i]));
	json_object_set_new(o, "punches", punches);
	return o;
}

static int co_fn
see_key(const struct vos_inspect_key *key, void *arg)
{
	struct tree *t = arg;
	CLEANUP(freep)
	char *text = NULL;
	json_t *o, *list;

	if (key->level < t->named)
		return 0;
	if (key->level == VOS_INSPECT_OBJ) {
		text = malloc(OID_TEXT);
		if (text != NULL)
			oid_text(&key->oid, text);
	} else {
		text = key_text(key->key, key->key_len, key->is_uint);
	}
	if (text == NULL)
		return -DER_NOMEM;
	print_key(t, key, text);
	if (!cli_json(t->d->cli))
		return 0;
	o = key_json(key, text);
	json_array_append_new(t->beneath[key->level], o);
	if (key->level < t->down_to) {
		list = json_array();
		json_object_set_new(o, level_list[key->level + 1], list);
		t->beneath[key->level + 1] = list;
	}
	return 0;
}

/* --- versions -------------------------------------------------------------------------------- */

static void
print_ver(struct tree *t, const struct vos_inspect_key *akey, const struct vos_inspect_ver *ver)
{
	const char *ind = indent_of(t, VOS_INSPECT_VALUE);
	CLEANUP(freep)
	char *sums = NULL;
	char epoch[EPOCH_TEXT];
	uint32_t i;

	fprintf(t->out, "%s", ind);
	if (akey->holds == VOS_HOLDS_ARRAY)
		fprintf(t->out, "[%" PRIu64 ", %" PRIu64 "]  ", ver->idx, ver->idx + ver->nr - 1);
	fprintf(t->out, "epoch %s op %u  ", epoch_text(ver->ord.epoch, epoch), ver->ord.op);
	if (ver->place == VOS_PLACE_NONE) {
		fprintf(t->out, "punched\n");
		return;
	}
	fprintf(t->out, "%" PRIu64 " bytes", ver->bytes);
	if (akey->holds == VOS_HOLDS_ARRAY && ver->rec_size != 1)
		fprintf(t->out, " (records of %" PRIu64 ")", ver->rec_size);
	if (ver->place == VOS_PLACE_HEAP)
		fprintf(t->out, "  SCM heap %#" PRIx64, ver->heap_off);
	for (i = 0; i < ver->run_nr; i++)
		fprintf(t->out, "  NVMe %#" PRIx64 "+%" PRIu64, ver->runs[i].dev_off,
			ver->runs[i].bytes);
	if (ver->users > 0)
		fprintf(t->out, "  shared by %u", ver->users);
	if (ver->sum_nr > 0) {
		sums = hex_text(ver->sums, ver->sum_len);
		fprintf(t->out, "  checksum %s", sums != NULL ? sums : "?");
		if (ver->sum_nr > 1)
			fprintf(t->out, " and %u more", ver->sum_nr - 1);
		if (ver->pre > 0 || ver->post > 0)
			fprintf(t->out, " (covering %" PRIu64 " before, %" PRIu64 " behind)",
				ver->pre, ver->post);
	}
	fprintf(t->out, "\n");
}

static json_t *
ver_json(const struct vos_inspect_key *akey, const struct vos_inspect_ver *ver)
{
	static const char *const place[] = {"none", "scm", "nvme"};
	json_t *o = ord_json(ver->ord), *runs = json_array(), *sums = json_array();
	uint32_t i;

	if (akey->holds == VOS_HOLDS_ARRAY) {
		json_object_set_new(o, "index", json_big(ver->idx));
		json_object_set_new(o, "records", json_big(ver->nr));
		json_object_set_new(o, "record_size", json_big(ver->rec_size));
	}
	json_object_set_new(o, "punched", json_boolean(ver->place == VOS_PLACE_NONE));
	json_object_set_new(o, "bytes", json_big(ver->bytes));
	json_object_set_new(o, "place", json_string(place[ver->place]));
	if (ver->place == VOS_PLACE_HEAP)
		json_object_set_new(o, "heap_offset", json_big(ver->heap_off));
	for (i = 0; i < ver->run_nr; i++)
		json_array_append_new(runs, json_pack("{s:o,s:o}", "offset",
						      json_big(ver->runs[i].dev_off), "bytes",
						      json_big(ver->runs[i].bytes)));
	json_object_set_new(o, "runs", runs);
	json_object_set_new(o, "users", json_integer(ver->users));
	for (i = 0; i < ver->sum_nr; i++) {
		CLEANUP(freep)
		char *hex = hex_text(ver->sums + (size_t)i * ver->sum_len, ver->sum_len);

		json_array_append_new(sums, json_string(hex != NULL ? hex : ""));
	}
	json_object_set_new(o, "checksums", sums);
	json_object_set_new(o, "covered_before", json_big(ver->pre));
	json_object_set_new(o, "covered_behind", json_big(ver->post));
	return o;
}

/* The first bytes of a version; o may be NULL. */
static int co_fn
show_value(struct tree *t, const struct vos_inspect_ver *ver, json_t *o)
{
	uint64_t len = ver->bytes < t->value_bytes ? ver->bytes : t->value_bytes;
	CLEANUP(freep)
	uint8_t *buf = malloc(len + 1);
	CLEANUP(freep)
	char *hex = NULL;
	char ind[16];
	int rc;

	if (buf == NULL)
		return -DER_NOMEM;
	rc = vos_inspect_read(t->pool, ver, 0, buf, len);
	if (rc != 0)
		return rc;
	snprintf(ind, sizeof(ind), "%s  ", indent_of(t, VOS_INSPECT_VALUE));
	hex_dump(t->out, ind, 0, buf, len);
	if (len < ver->bytes)
		fprintf(t->out, "%s... %" PRIu64 " more\n", ind, ver->bytes - len);
	hex = hex_text(buf, len);
	if (o != NULL)
		json_object_set_new(o, "value_hex", json_string(hex != NULL ? hex : ""));
	return 0;
}

static int co_fn
see_ver(const struct vos_inspect_key *akey, const struct vos_inspect_ver *ver, void *arg)
{
	struct tree *t = arg;
	json_t *o = NULL;

	print_ver(t, akey, ver);
	if (cli_json(t->d->cli)) {
		o = ver_json(akey, ver);
		json_array_append_new(t->beneath[VOS_INSPECT_VALUE], o);
	}
	if (t->value_bytes == 0 || ver->place == VOS_PLACE_NONE)
		return 0;
	return show_value(t, ver, o);
}

/* --- the arguments --------------------------------------------------------------------------- */

struct where {
	uuid_t cont;
	struct vos_oid oid;
	daos_key_t dkey, akey;
	struct vos_inspect_path path;
};

static int
where_parse(struct cli *cli, struct where *w)
{
	const char *cont = cli_arg(cli, 2), *oid = cli_arg(cli, 3), *dkey = cli_arg(cli, 4);
	const char *akey = cli_arg(cli, 5);

	memset(w, 0, sizeof(*w));
	if (uuid_parse(cont, w->cont) != 0)
		return cli_fail(cli, -DER_INVAL, "'%s' is not the uuid of a container", cont);
	if (oid == NULL)
		return 0;
	if (!oid_parse(oid, &w->oid, &w->path.any_shard))
		return cli_fail(cli, -DER_INVAL, "'%s' is not an object id (HI.LO, or HI.LO.SHARD)",
				oid);
	w->path.oid = &w->oid;
	if (dkey == NULL)
		return 0;
	if (!key_parse(dkey, daos_is_dkey_uint64(w->oid.id), &w->dkey))
		return cli_fail(cli, -DER_INVAL, "'%s' is not a dkey of this kind of object", dkey);
	w->path.dkey = &w->dkey;
	if (akey == NULL)
		return 0;
	if (!key_parse(akey, daos_is_akey_uint64(w->oid.id), &w->akey))
		return cli_fail(cli, -DER_INVAL, "'%s' is not an akey of this kind of object",
				akey);
	w->path.akey = &w->akey;
	return 0;
}

static void
where_free(struct where *w)
{
	free(w->dkey.iov_buf);
	free(w->akey.iov_buf);
}

static const char *const dtx_state[] = {
    [VOS_DTX_UNKNOWN] = "unknown",     [VOS_DTX_PREPARED] = "prepared",
    [VOS_DTX_COMMITTED] = "committed", [VOS_DTX_ABORTED] = "aborted",
    [VOS_DTX_FORGOTTEN] = "forgotten",
};

struct dtx_show {
	struct tree *t;
	json_t *all;
};

/* An intent, or an attempt that was aborted. */
static int
see_dtx(const struct vos_dtx_info *info, void *arg)
{
	const struct vos_dtx_ref *ref = &info->ref;
	struct dtx_show *s = arg;
	FILE *out = s->t->out;
	json_t *keys = json_array();
	char epoch[EPOCH_TEXT], oid[OID_TEXT], id[64];
	uint32_t i;

	snprintf(id, sizeof(id), "%016" PRIx64 "%016" PRIx64 ".%" PRIu64, ref->id.client[0],
		 ref->id.client[1], ref->id.seq);
	fprintf(out, "transaction %s attempt %" PRIu64 " %s  epoch %s, pool map %u\n", id,
		ref->attempt, dtx_state[info->state], epoch_text(ref->epoch, epoch), ref->map_ver);
	for (i = 0; i < info->key_nr; i++) {
		const struct vos_dtx_key *k = &info->keys[i];
		CLEANUP(freep)
		char *dkey = key_text(k->dkey, k->dkey_len, daos_is_dkey_uint64(k->oid.id));
		CLEANUP(freep)
		char *akey = key_text(k->akey, k->akey_len, daos_is_akey_uint64(k->oid.id));

		fprintf(out, "  %s %s", k->punch ? "punches" : "updates", oid_text(&k->oid, oid));
		if (k->dkey != NULL)
			fprintf(out, " dkey %s", dkey != NULL ? dkey : "?");
		if (k->akey != NULL)
			fprintf(out, " akey %s", akey != NULL ? akey : "?");
		fprintf(out, "\n");
		json_array_append_new(keys, json_pack("{s:s,s:s?,s:s?,s:b}", "object", oid, "dkey",
						      k->dkey != NULL ? dkey : NULL, "akey",
						      k->akey != NULL ? akey : NULL, "punch",
						      (int)k->punch));
	}
	json_array_append_new(s->all,
			      json_pack("{s:s,s:o,s:s,s:o,s:I,s:o}", "id", id, "attempt",
					json_big(ref->attempt), "state", dtx_state[info->state],
					"epoch", json_epoch(ref->epoch), "map_version",
					(json_int_t)ref->map_ver, "keys", keys));
	return 0;
}

/* Transactions that are not decided, or were aborted. A container being reclaimed has none. */
static int co_fn
show_dtxs(struct tree *t, const struct where *w, json_t *all)
{
	struct dtx_show s = {.t = t, .all = all};
	struct vos_dtx_id after = {0};
	struct vos_cont *cont;
	int rc;

	if (t->down_to != VOS_INSPECT_VALUE || w->path.oid != NULL)
		return 0;
	rc = vos_cont_open(t->pool, w->cont, &cont);
	if (rc != 0)
		return rc == -DER_NONEXIST ? 0 : rc;
	rc = vos_dtx_list(cont, 0, &after, see_dtx, &s);
	vos_cont_close(cont);
	return rc;
}

static int co_fn
walk(struct tree *t, const struct where *w, const struct target_name *target)
{
	struct vos_inspect_fns fns = {.key = see_key, .ver = see_ver};
	const char *last = cli_arg(t->d->cli, cli_arg_nr(t->d->cli) - 1);
	json_t *top = json_array(), *dtxs = json_array();
	char uuid[CONT_TEXT];
	int rc;

	t->beneath[t->named] = top;
	t->out = cli_out(t->d->cli);
	rc = dump_pool_open(t->d, target, &t->pool);
	if (rc == 0) {
		rc = show_dtxs(t, w, dtxs);
		if (rc == 0)
			rc = vos_inspect_walk(t->pool, w->cont, &w->path, t->down_to, &fns, t);
		if (rc == -DER_NONEXIST)
			rc = cli_fail(t->d->cli, rc, "%s: there is no '%s'", target->name, last);
		else if (rc != 0)
			rc = cli_fail_der(t->d->cli, rc, "%s", target->name);
		vos_pool_close(t->pool);
	}
	uuid_unparse_lower(w->cont, uuid);
	cli_respond(t->d->cli, json_pack("{s:s,s:s,s:o,s:o}", "target", target->name, "container",
					 uuid, "transactions", dtxs, level_list[t->named], top));
	return rc;
}

int co_fn
dump_list(struct dump *d)
{
	uint32_t arg_nr = cli_arg_nr(d->cli);
	const struct target_name *target;
	struct tree t = {.d = d};
	struct where w;
	int rc;

	if (arg_nr == 1)
		return list_targets(d);
	rc = dump_target(d, &target);
	if (rc != 0 || arg_nr == 2)
		return rc != 0 ? rc : list_conts(d, target);
	rc = where_parse(d->cli, &w);
	t.named = arg_nr - 3;
	t.down_to = t.named;
	if (rc == 0)
		rc = walk(&t, &w, target);
	where_free(&w);
	return rc;
}

static int
value_bytes(struct cli *cli, uint64_t *ret_bytes)
{
	const char *text = cli_value(cli, "bytes");

	*ret_bytes = cli_flag(cli, "value") || text != NULL ? VALUE_BYTES : 0;
	if (text == NULL)
		return 0;
	if (bytes_parse(text, ret_bytes) != 0 || *ret_bytes == 0 || *ret_bytes > VALUE_BYTES_MAX)
		return cli_fail(cli, -DER_INVAL, "--bytes: '%s' is not a number from 1 to %u", text,
				VALUE_BYTES_MAX);
	return 0;
}

int co_fn
dump_show(struct dump *d)
{
	const struct target_name *target;
	struct tree t = {.d = d, .down_to = VOS_INSPECT_VALUE};
	struct where w;
	int rc;

	rc = dump_target(d, &target);
	if (rc == 0)
		rc = value_bytes(d->cli, &t.value_bytes);
	if (rc != 0)
		return rc;
	rc = where_parse(d->cli, &w);
	if (rc == 0)
		rc = walk(&t, &w, target);
	where_free(&w);
	return rc;
}
