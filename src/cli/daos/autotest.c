/*
 * daos pool autotest: does everything a user does, in a pool that may hold other data: containers,
 * layouts, values of several sizes written, read back and compared, removed. A table of numbered
 * steps; a step that fails jumps to the teardown of what was set up before it.
 */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gurt/common.h>

#include "cli/daos/daos_cmd.h"

enum {
	DEPTH = 64, /* operations in flight */
	S1_LAYOUTS = 1000000,
	SX_LAYOUTS = 10000,
	KV_128 = 20000, /* values per step */
	KV_4K = 5000,
	KV_1M = 100,
	CONT_NR = 3,
};

struct autotest {
	struct cli *cli;
	FILE *out;
	struct target t;
	daos_handle_t coh[CONT_NR];
	char label[CONT_NR][64];
	bool created[CONT_NR], opened[CONT_NR];
	daos_handle_t eq;
	daos_obj_id_t oid;
	bool skip_big;
	uint64_t deadline_ns; /* 0 = none */
	json_t *steps;
	bool failed;
};

enum result { PASS, FAIL, SKIP };

/* What a step reports: comment is printed in the last column. */
struct report {
	enum result result;
	char comment[128];
};

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void __attribute__((format(printf, 3, 4)))
conclude(struct report *r, enum result result, const char *fmt, ...)
{
	va_list ap;

	r->result = result;
	va_start(ap, fmt);
	vsnprintf(r->comment, sizeof(r->comment), fmt, ap);
	va_end(ap);
}

static void
fail_der(struct report *r, const char *what, int rc)
{
	conclude(r, FAIL, "%s: %s(%d)", what, d_errstr(rc), rc);
}

/* --- setting up
 * ---------------------------------------------------------------------------------------- */

static void
step_init(struct autotest *a, struct report *r)
{
	int rc = daos_eq_create(&a->eq);

	if (rc != 0)
		fail_der(r, "event queue", rc);
}

static void
step_connect(struct autotest *a, struct report *r)
{
	int rc = daos_pool_connect(a->t.pool, cli_value(a->cli, "sys-name"), DAOS_PC_RW, &a->t.poh,
				   &a->t.pool_info, NULL);

	if (rc != 0)
		fail_der(r, "connect", rc);
	else
		a->t.connected = true;
}

static void
step_create(struct autotest *a, struct report *r)
{
	static const char *const names[] = {"def", "rf1", "rf2"};
	uint32_t i;

	for (i = 0; i < CONT_NR; i++) {
		daos_prop_t *prop = daos_prop_alloc(1);
		int rc;

		prop->dpp_entries[0].dpe_type = DAOS_PROP_CO_REDUN_FAC;
		prop->dpp_entries[0].dpe_val = i;
		/* two runs at a time do not meet */
		snprintf(a->label[i], sizeof(a->label[i]), "autotest_cont_%s_%d", names[i],
			 (int)getpid());
		rc = daos_cont_create_with_label(a->t.poh, a->label[i], prop, NULL, NULL);
		daos_prop_free(prop);
		if (rc != 0) {
			fail_der(r, a->label[i], rc);
			return;
		}
		a->created[i] = true;
	}
}

static void
step_open(struct autotest *a, struct report *r)
{
	uint32_t i;

	for (i = 0; i < CONT_NR; i++) {
		int rc = daos_cont_open(a->t.poh, a->label[i], DAOS_COO_RW, &a->coh[i], NULL, NULL);

		if (rc != 0) {
			fail_der(r, a->label[i], rc);
			return;
		}
		a->opened[i] = true;
	}
}

static void
layouts(struct autotest *a, struct report *r, daos_oclass_id_t cid, uint32_t nr)
{
	uint32_t i;

	for (i = 0; i < nr; i++) {
		daos_obj_id_t oid = {.lo = i, .hi = 0};
		int rc = daos_obj_generate_oid(a->coh[0], &oid, 0, cid, 0, 0);

		if (rc != 0) {
			fail_der(r, "object id", rc);
			return;
		}
	}
}

static void
step_s1(struct autotest *a, struct report *r)
{
	layouts(a, r, OC_S1, S1_LAYOUTS);
}

static void
step_sx(struct autotest *a, struct report *r)
{
	layouts(a, r, OC_SX, SX_LAYOUTS);
}

/* --- values
 * ---------------------------------------------------------------------------------------------- */

struct op {
	daos_event_t ev;
	uint32_t idx;
	char key[32];
	daos_size_t size;
	uint8_t *buf;
};

/* Value i is full of bytes that depend on i and on the place. */
static void
value_fill(uint8_t *buf, size_t size, uint32_t i)
{
	uint64_t x = i * 0x9e3779b97f4a7c15ull + 1;
	size_t k;

	for (k = 0; k + 8 <= size; k += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(buf + k, &x, 8);
	}
	memset(buf + k, i, size - k);
}

struct kv_run {
	struct autotest *a;
	daos_handle_t oh;
	size_t size;
	uint32_t nr;
	bool put;
	struct op ops[DEPTH];
	struct op *idle[DEPTH];
	uint32_t idle_nr;
	uint8_t *want; /* for comparing */
	uint32_t done_nr;
};

static int
op_start(struct kv_run *k, struct op *op, uint32_t idx)
{
	int rc = daos_event_init(&op->ev, k->a->eq, NULL);

	if (rc != 0)
		return rc;
	op->idx = idx;
	op->size = k->size;
	snprintf(op->key, sizeof(op->key), "key%u", idx);
	if (k->put) {
		value_fill(op->buf, k->size, idx);
		return daos_kv_put(k->oh, DAOS_TX_NONE, 0, op->key, k->size, op->buf, &op->ev);
	}
	return daos_kv_get(k->oh, DAOS_TX_NONE, 0, op->key, &op->size, op->buf, &op->ev);
}

static int
op_finish(struct kv_run *k, struct op *op, struct report *r)
{
	int rc = op->ev.ev_error;

	daos_event_fini(&op->ev);
	k->idle[k->idle_nr++] = op;
	k->done_nr++;
	if (rc != 0) {
		fail_der(r, op->key, rc);
		return rc;
	}
	if (k->put)
		return 0;
	value_fill(k->want, k->size, op->idx);
	if (op->size == k->size && memcmp(k->want, op->buf, k->size) == 0)
		return 0;
	conclude(r, FAIL, "%s: what was read is not what was written", op->key);
	return -DER_MISMATCH;
}

/* Keep DEPTH operations in flight until all are done or one failed; then wait for those in flight.
 */
static void
kv_loop(struct kv_run *k, struct report *r)
{
	uint32_t next = 0, flying;
	daos_event_t *evs[DEPTH];
	int rc = 0, n, i;

	for (;;) {
		while (rc == 0 && k->idle_nr > 0 && next < k->nr &&
		       (k->a->deadline_ns == 0 || now_ns() < k->a->deadline_ns)) {
			struct op *op = k->idle[--k->idle_nr];

			rc = op_start(k, op, next++);
			if (rc != 0) {
				k->idle[k->idle_nr++] = op;
				fail_der(r, "start", rc);
			}
		}
		flying = DEPTH - k->idle_nr;
		if (flying == 0)
			break;
		n = daos_eq_poll(k->a->eq, 1, DAOS_EQ_WAIT, DEPTH, evs);
		if (n < 0) {
			fail_der(r, "event queue", n);
			break;
		}
		for (i = 0; i < n; i++) {
			int one = op_finish(k, container_of(evs[i], struct op, ev), r);

			rc = rc != 0 ? rc : one;
		}
	}
}

static void
kv_run(struct autotest *a, struct report *r, uint32_t cont, size_t size, uint32_t nr, bool put)
{
	struct kv_run *k = calloc(1, sizeof(*k));
	uint64_t start = now_ns();
	double seconds;
	uint32_t i;
	int rc;

	if (k == NULL) {
		conclude(r, FAIL, "out of memory");
		return;
	}
	k->a = a;
	k->size = size;
	k->nr = nr;
	k->put = put;
	k->want = malloc(size);
	for (i = 0; i < DEPTH; i++) {
		k->ops[i].buf = malloc(size);
		if (k->ops[i].buf == NULL || k->want == NULL) {
			conclude(r, FAIL, "out of memory");
			goto out;
		}
		k->idle[k->idle_nr++] = &k->ops[i];
	}
	if (put) {
		a->oid = (daos_obj_id_t){.lo = size, .hi = 1};
		rc = daos_obj_generate_oid(a->coh[cont], &a->oid, DAOS_OT_KV_HASHED,
					   cont == 0 ? OC_SX : OC_UNKNOWN, 0, 0);
		if (rc != 0) {
			fail_der(r, "object id", rc);
			goto out;
		}
	}
	rc = daos_kv_open(a->coh[cont], a->oid, DAOS_OO_RW, &k->oh, NULL);
	if (rc != 0) {
		fail_der(r, "open", rc);
		goto out;
	}
	kv_loop(k, r);
	daos_kv_close(k->oh, NULL);
	seconds = (now_ns() - start) / 1e9;
	if (r->result == PASS)
		conclude(r, PASS, "%8.2fK IO/sec, %.1f MiB/s", k->done_nr / seconds / 1000,
			 k->done_nr * (double)size / seconds / (1 << 20));
out:
	for (i = 0; i < DEPTH; i++)
		free(k->ops[i].buf);
	free(k->want);
	free(k);
}

static void
step_put_128(struct autotest *a, struct report *r)
{
	kv_run(a, r, 0, 128, KV_128, true);
}

static void
step_get_128(struct autotest *a, struct report *r)
{
	kv_run(a, r, 0, 128, KV_128, false);
}

static void
step_put_4k(struct autotest *a, struct report *r)
{
	kv_run(a, r, 0, 4096, KV_4K, true);
}

static void
step_get_4k(struct autotest *a, struct report *r)
{
	kv_run(a, r, 0, 4096, KV_4K, false);
}

static void
step_put_1m(struct autotest *a, struct report *r)
{
	if (a->skip_big)
		conclude(r, SKIP, "skipped");
	else
		kv_run(a, r, 0, 1 << 20, KV_1M, true);
}

static void
step_get_1m(struct autotest *a, struct report *r)
{
	if (a->skip_big)
		conclude(r, SKIP, "skipped");
	else
		kv_run(a, r, 0, 1 << 20, KV_1M, false);
}

static void
step_punch(struct autotest *a, struct report *r)
{
	daos_size_t size = 0;
	daos_handle_t oh;
	int rc;

	rc = daos_kv_open(a->coh[0], a->oid, DAOS_OO_RW, &oh, NULL);
	if (rc != 0) {
		fail_der(r, "open", rc);
		return;
	}
	rc = daos_kv_destroy(oh, DAOS_TX_NONE, NULL);
	if (rc != 0)
		fail_der(r, "punch", rc);
	else if (daos_kv_get(oh, DAOS_TX_NONE, 0, "key0", &size, NULL, NULL) == 0 && size != 0)
		conclude(r, FAIL, "a key is still there");
	daos_kv_close(oh, NULL);
}

/* Protected classes: whether this pool and this version can hold them is learned by asking. */
static void
protected_run(struct autotest *a, struct report *r, uint32_t cont, bool put)
{
	daos_obj_id_t oid = {.lo = 4096, .hi = 1};
	daos_handle_t oh;
	int rc;

	rc = daos_obj_generate_oid(a->coh[cont], &oid, DAOS_OT_KV_HASHED, OC_UNKNOWN, 0, 0);
	if (rc == -DER_INVAL) {
		conclude(r, SKIP, "the pool has too few fault domains (%u ranks)",
			 a->t.pool_info.pi_nnodes);
		return;
	}
	if (rc == 0)
		rc = daos_kv_open(a->coh[cont], oid, DAOS_OO_RW, &oh, NULL);
	if (rc == -DER_NOSYS) {
		conclude(r, SKIP, "this version does not store protected objects");
		return;
	}
	if (rc != 0) {
		fail_der(r, "open", rc);
		return;
	}
	daos_kv_close(oh, NULL);
	a->oid = oid;
	kv_run(a, r, cont, 4096, KV_4K, put);
}

static void
step_put_rf1(struct autotest *a, struct report *r)
{
	protected_run(a, r, 1, true);
}

static void
step_get_rf1(struct autotest *a, struct report *r)
{
	protected_run(a, r, 1, false);
}

static void
step_put_rf2(struct autotest *a, struct report *r)
{
	protected_run(a, r, 2, true);
}

static void
step_get_rf2(struct autotest *a, struct report *r)
{
	protected_run(a, r, 2, false);
}

/* --- tearing down
 * ------------------------------------------------------------------------------------------ */

static void
step_close(struct autotest *a, struct report *r)
{
	uint32_t i;

	for (i = 0; i < CONT_NR; i++) {
		int rc = a->opened[i] ? daos_cont_close(a->coh[i], NULL) : 0;

		a->opened[i] = false;
		if (rc != 0)
			fail_der(r, a->label[i], rc);
	}
}

static void
step_destroy(struct autotest *a, struct report *r)
{
	uint32_t i;

	for (i = 0; i < CONT_NR; i++) {
		int rc = a->created[i] ? daos_cont_destroy(a->t.poh, a->label[i], 1, NULL) : 0;

		a->created[i] = false;
		if (rc != 0)
			fail_der(r, a->label[i], rc);
	}
}

static void
step_disconnect(struct autotest *a, struct report *r)
{
	int rc = a->t.connected ? daos_pool_disconnect(a->t.poh, NULL) : 0;

	a->t.connected = false;
	if (rc != 0)
		fail_der(r, "disconnect", rc);
}

static void
step_fini(struct autotest *a, struct report *r)
{
	int rc = daos_eq_destroy(a->eq, DAOS_EQ_DESTROY_FORCE);

	if (rc != 0)
		fail_der(r, "event queue", rc);
}

static const struct step {
	int nr;
	const char *name;
	void (*fn)(struct autotest *a, struct report *r);
	int on_failure; /* step to go on with */
} steps[] = {
    {0, "Initializing DAOS", step_init, 100},
    {1, "Connecting to pool", step_connect, 99},
    {2, "Creating containers", step_create, 97},
    {3, "Opening container", step_open, 96},
    {10, "Generating 1M S1 layouts", step_s1, 96},
    {11, "Generating 10K SX layouts", step_sx, 96},
    {20, "Inserting 128B values", step_put_128, 96},
    {21, "Reading 128B values back", step_get_128, 96},
    {23, "Punching object", step_punch, 96},
    {24, "Inserting 4KB values", step_put_4k, 96},
    {25, "Reading 4KB values back", step_get_4k, 96},
    {27, "Punching object", step_punch, 96},
    {28, "Inserting 1MB values", step_put_1m, 96},
    {29, "Reading 1MB values back", step_get_1m, 96},
    {31, "Punching object", step_punch, 96},
    {40, "Inserting into RF1 cont", step_put_rf1, 96},
    {41, "Reading RF1 values back", step_get_rf1, 96},
    {42, "Inserting into RF2 cont", step_put_rf2, 96},
    {43, "Reading RF2 values back", step_get_rf2, 96},
    {96, "Closing containers", step_close, 97},
    {97, "Destroying containers", step_destroy, 98},
    {98, "Disconnecting from pool", step_disconnect, 99},
    {99, "Tearing down DAOS", step_fini, 100},
};

static void
step_print(struct autotest *a, const struct step *s, const struct report *r, double seconds)
{
	static const char *const words[] = {[PASS] = "\033[0;32mPASS\033[0m",
					    [FAIL] = "\033[0;31mFAIL\033[0m",
					    [SKIP] = "\033[0;33mSKIP\033[0m"};
	static const char *const plain[] = {[PASS] = "PASS", [FAIL] = "FAIL", [SKIP] = "SKIP"};

	fprintf(a->out, "%3d  %-27s  %s  %8.3f  %s\n", s->nr, s->name, words[r->result], seconds,
		r->comment);
	fflush(a->out);
	json_array_append_new(a->steps, json_pack("{s:i,s:s,s:s,s:f,s:s}", "step", s->nr,
						  "operation", s->name, "status", plain[r->result],
						  "seconds", seconds, "comment", r->comment));
}

static void
run_steps(struct autotest *a)
{
	size_t i = 0;

	fprintf(a->out,
		"\033[1;35mStep Operation                   Status Time(sec) Comment\033[0m\n");
	while (i < sizeof(steps) / sizeof(steps[0])) {
		const struct step *s = &steps[i++];
		struct report r = {.result = PASS};
		uint64_t start = now_ns();

		if (a->deadline_ns != 0 && start > a->deadline_ns && s->nr < 96)
			conclude(&r, SKIP, "the deadline has passed");
		else
			s->fn(a, &r);
		step_print(a, s, &r, (now_ns() - start) / 1e9);
		if (r.result != FAIL)
			continue;
		a->failed = true;
		while (i < sizeof(steps) / sizeof(steps[0]) && steps[i].nr < s->on_failure)
			i++;
	}
	if (a->failed)
		fprintf(a->out, "\nSome steps \033[0;31mfailed\033[0m.\n");
	else
		fprintf(a->out, "\nAll steps \033[0;32mpassed\033[0m.\n");
}

int
run_autotest(struct cli *cli)
{
	struct autotest a = {
	    .cli = cli, .out = cli_out(cli), .skip_big = cli_flag(cli, "skip-big")};
	const char *limit = cli_value(cli, "deadline-limit");
	int rc;

	rc = target_pool(cli, &a.t);
	if (rc != 0)
		return rc;
	if (limit != NULL) {
		char *end;
		double s = strtod(limit, &end);

		if (end == limit || *end != '\0' || s <= 0)
			return cli_fail(
			    cli, 0, "--deadline-limit: \"%s\" is not a number of seconds", limit);
		a.deadline_ns = now_ns() + s * 1e9;
	}
	a.steps = json_array();
	run_steps(&a);
	cli_respond(cli, json_pack("{s:o,s:b}", "steps", a.steps, "passed", !a.failed));
	target_close(&a.t);
	return a.failed ? cli_fail(cli, -DER_MISC, "autotest failed: some steps did not pass") : 0;
}
