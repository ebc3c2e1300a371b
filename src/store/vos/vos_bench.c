/*
 * Speed of VOS alone on one core, on real files: vos_bench [-d DIR] [-t SECONDS] [-k KEYS]
 * [-n NVME_MIB] [-c CKSUM] [-C CKSUM_SIZE] [-j FILE] [CASE...], or, for large targets
 * (vos_bench_scale.c), vos_bench [-d DIR] [-m MIB] [-j FILE] -F FILES | -R KEYS
 *
 * Every case runs a number of coroutines ("depth") that each do one operation after the other;
 * updates count when they are durable. Prints operations per second, CPU time per operation of the
 * whole process, and how many transactions one log write carried.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "runtime/xs.h"
#include "store/vos/vos_bench.h"
#include "store/vos/vos_internal.h"

struct bench_case {
	const char *name;
	const char *help;
	bool update;
	bool array;
	bool fresh; /* every operation makes a new dkey */
	bool file;  /* ... or a directory entry and a file of one extent */
	bool list;  /* list dkeys; each counts as one */
	uint32_t size;
	uint32_t depth;
	bool cold; /* over more than the cache holds */
};

static const struct bench_case cases[] = {
    {"u64-1", "64 B values, update, one at a time", true, false, false, false, false, 64, 1},
    {"u64-64", "64 B values, update", true, false, false, false, false, 64, 64},
    {"u64-256", "64 B values, update", true, false, false, false, false, 64, 256},
    {"f64-1", "64 B values, fetch", false, false, false, false, false, 64, 1},
    {"f64-64", "64 B values, fetch", false, false, false, false, false, 64, 64},
    {"u4k-1", "4 KiB extents, overwrite, one at a time", true, true, false, false, false, 4096, 1},
    {"u4k-64", "4 KiB extents, overwrite", true, true, false, false, false, 4096, 64},
    {"u4k-256", "4 KiB extents, overwrite", true, true, false, false, false, 4096, 256},
    {"f4k-1", "4 KiB extents, fetch", false, true, false, false, false, 4096, 1},
    {"f4k-64", "4 KiB extents, fetch", false, true, false, false, false, 4096, 64},
    {"c64-64", "64 B values, new keys", true, false, true, false, false, 64, 64},
    {"file-64", "new small files: entry, object, 1 KiB", true, true, true, true, false, 1024, 64},
    {"list-1", "listing of dkeys", false, false, false, false, true, 64, 1},
    {"u1m-8", "1 MiB extents, overwrite", true, true, false, false, false, 1 << 20, 8},
    {"f1m-8", "1 MiB extents, fetch", false, true, false, false, false, 1 << 20, 8},
    {"r1m-8", "1 MiB extents, fetch from the device", false, true, false, false, false, 1 << 20, 8,
     true},
};
enum { CASE_NR = sizeof(cases) / sizeof(cases[0]) };

struct bench {
	struct env env;
	struct xs *xs;
	struct dev_dir *dir;
	struct vos_pool *pool;
	struct vos_cont *cont;
	const char *path;
	double seconds;
	uint64_t keys;
	uint64_t nvme_bytes;
	struct vos_cont_conf conf;
	FILE *json;
	bool selected[CASE_NR];
	bool any;
	/* the case under way */
	const struct bench_case *c;
	uint64_t keys_now;
	uint64_t end_ns;
	uint64_t ops;
	uint64_t epoch;
	uint64_t rng;
	uint64_t fresh;
	uint64_t left; /* operations still to start; UINT64_MAX: until end_ns */
	bool sequential;
	int rc;
};

static uint64_t
next_rand(struct bench *b)
{
	b->rng ^= b->rng << 13;
	b->rng ^= b->rng >> 7;
	b->rng ^= b->rng << 17;
	return b->rng;
}

static double
cpu_seconds(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return ru.ru_utime.tv_sec + ru.ru_stime.tv_sec +
	       (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

/* Where operation number n goes: 64 extents to a dkey, 1024 dkeys to an object. */
struct place {
	struct vos_oid oid;
	uint64_t dkey_num;
	daos_key_t dkey;
	daos_recx_t recx;
	daos_iod_t iod;
	struct vos_io io;
};

static void
place(const struct bench_case *c, uint64_t n, uint64_t epoch, struct place *p)
{
	uint64_t per_dkey = c->size >= 1 << 20 ? 1 : 64;

	memset(p, 0, sizeof(*p));
	p->dkey_num = c->array ? n / per_dkey : n;
	p->oid.id.hi = (uint64_t)(c->array ? DAOS_OT_ARRAY_BYTE : DAOS_OT_MULTI_UINT64) << 56;
	p->oid.id.lo = 1 + c->size + (uint64_t)c->fresh + p->dkey_num / 1024 * 16;
	p->dkey = (daos_key_t){.iov_buf = &p->dkey_num, .iov_buf_len = 8, .iov_len = 8};
	p->recx = (daos_recx_t){.rx_idx = n % per_dkey * c->size, .rx_nr = c->size};
	p->iod = (daos_iod_t){
	    .iod_name = {.iov_buf = c->array ? "0" : "akey0000", .iov_len = c->array ? 1 : 8},
	    .iod_type = c->array ? DAOS_IOD_ARRAY : DAOS_IOD_SINGLE,
	    .iod_size = c->array ? 1 : c->size,
	    .iod_nr = 1,
	    .iod_recxs = &p->recx,
	};
	p->io = (struct vos_io){
	    .oid = p->oid,
	    .epoch = epoch,
	    .dkey = &p->dkey,
	    .iods = &p->iod,
	    .iod_nr = 1,
	};
}

/* What a file system does for a new small file: an entry in a directory of 10,000, and its content.
 */
static int co_fn
one_file(struct bench *b, uint64_t n)
{
	char name[32];
	uint64_t chunk = 1;
	daos_key_t dkey = {.iov_buf = name};
	daos_recx_t recx = {0};
	daos_iod_t iod = {
	    .iod_name = {.iov_buf = "DFS_INODE", .iov_len = 9},
	    .iod_type = DAOS_IOD_SINGLE,
	    .iod_size = 88,
	    .iod_nr = 1,
	    .iod_recxs = &recx,
	};
	struct vos_io io = {
	    .oid = {.id = {.lo = 7 + n / 10000, .hi = (uint64_t)DAOS_OT_MULTI_HASHED << 56}},
	    .epoch = ++b->epoch,
	    .cond_flags = DAOS_COND_DKEY_INSERT,
	    .dkey = &dkey,
	    .iods = &iod,
	    .iod_nr = 1,
	};
	int rc;

	dkey.iov_len = snprintf(name, sizeof(name), "file.%08llu.txt", (unsigned long long)n);
	rc = bench_put(b->cont, &io, (int)n);
	if (rc != 0)
		return rc;
	io.oid.id = (daos_obj_id_t){.lo = 1 << 20, .hi = (uint64_t)DAOS_OT_ARRAY_BYTE << 56 | n};
	io.epoch = ++b->epoch;
	io.cond_flags = 0;
	dkey = (daos_key_t){.iov_buf = &chunk, .iov_len = 8};
	iod.iod_name = (daos_key_t){.iov_buf = "0", .iov_len = 1};
	iod.iod_type = DAOS_IOD_ARRAY;
	iod.iod_size = 1;
	recx.rx_nr = b->c->size;
	return bench_put(b->cont, &io, (int)n);
}

static int co_fn
one_update(struct bench *b, uint64_t n)
{
	struct place p;

	place(b->c, n, ++b->epoch, &p);
	return bench_put(b->cont, &p.io, (int)n);
}

static int co_fn
one_fetch(struct bench *b, uint64_t n)
{
	struct place p;
	struct vos_fetch *f;
	const struct iovec *iov;
	uint32_t nr;
	int rc;

	place(b->c, n, UINT64_MAX, &p);
	rc = vos_fetch_begin(b->cont, &p.io, 0, &f);
	if (rc != 0)
		return rc;
	iov = vos_fetch_iov(f, 0, &nr);
	if (nr == 0 || iov[0].iov_base == NULL || *(uint8_t *)iov[0].iov_base != (uint8_t)n)
		rc = -DER_MISC;
	vos_fetch_end(f);
	return rc;
}

static int
list_cb(const struct vos_entry *e, void *arg)
{
	struct bench *b = arg;

	b->ops++;
	return 0;
}

static int co_fn
one_list(struct bench *b, uint64_t n)
{
	struct vos_anchor anchor = {0};
	struct place p;
	struct vos_list list = {.kind = VOS_LIST_DKEY, .epoch = UINT64_MAX};

	place(b->c, n, 1, &p);
	list.oid = p.oid;
	b->ops--; /* the caller counts one */
	return vos_list(b->cont, &list, &anchor, list_cb, b);
}

static int co_fn
one_op(struct bench *b, uint64_t n)
{
	if (b->c->file)
		return one_file(b, n);
	if (b->c->list)
		return one_list(b, n);
	return b->c->update ? one_update(b, n) : one_fetch(b, n);
}

static int co_fn
worker(void *arg)
{
	struct bench *b = arg;

	while (b->rc == 0 && b->left > 0) {
		uint64_t n;
		int rc;

		if (b->left != UINT64_MAX)
			b->left--;
		else if (xs_now_ns(b->xs) >= b->end_ns)
			break;
		n = b->sequential || b->c->fresh ? b->fresh++ : next_rand(b) % b->keys_now;
		rc = one_op(b, n);
		if (rc != 0 && b->rc == 0)
			b->rc = rc;
		b->ops++;
		if (!b->c->update && b->ops % 256 == 0) {
			xs_now_fresh_ns(b->xs);
			co_yield();
		}
	}
	return 0;
}

static int co_fn
workers(struct bench *b, uint32_t nr)
{
	struct co_group g;
	uint32_t i;

	co_group_init(&g);
	for (i = 0; i < nr; i++)
		co_group_spawn(&g, worker, b);
	co_group_join(&g);
	return b->rc;
}

/* Write every place once, so that the case finds something. */
static int co_fn
prefill(struct bench *b, const struct bench_case *c)
{
	struct bench_case fill = *c;
	int rc;

	fill.update = true;
	fill.list = false;
	b->c = &fill;
	b->fresh = 0;
	b->sequential = true;
	b->left = b->keys_now;
	rc = workers(b, 64);
	b->sequential = false;
	return rc;
}

static void
report(struct bench *b, double wall, double cpu, const struct heap_stats *h0,
       const struct heap_stats *h1, const struct data_stats *d0, const struct data_stats *d1)
{
	const struct bench_case *c = b->c;
	double rate = b->ops / wall, us = cpu * 1e6 / b->ops;
	uint64_t logs = h1->log_write_nr - h0->log_write_nr;
	uint64_t writes = d1->write_nr - d0->write_nr;
	double bytes = c->update ? (double)b->ops * c->size : INFINITY;
	double amp_log = (double)(h1->log_written_bytes - h0->log_written_bytes) / bytes;
	double amp_ckpt = (double)(h1->ckpt_page_nr - h0->ckpt_page_nr) * 8192 / bytes;
	double amp_data = (double)(d1->written_bytes - d0->written_bytes) / bytes;
	double amp = amp_log + amp_ckpt + amp_data;

	printf("%-9s %-40s %10.0f /s %7.2f us cpu", c->name, c->help, rate, us);
	if (c->size >= 1 << 20)
		printf("  %6.0f MiB/s", rate * c->size / (1 << 20));
	if (c->update)
		printf("  %5.1f tx/log write, %5.1f updates/data write, amplification %.2f (data "
		       "%.2f, log %.2f, checkpoint %.2f)",
		       logs == 0 ? 0.0 : (double)(h1->tx_nr - h0->tx_nr) / logs,
		       writes == 0 ? 0.0 : (double)b->ops / writes, amp, amp_data, amp_log,
		       amp_ckpt);
	if (c->fresh)
		printf(", %.0f B of heap each beside the data",
		       (double)(h1->used_bytes - h0->used_bytes) / b->ops - c->size);
	printf("\n");
	fflush(stdout);
	if (b->json != NULL)
		fprintf(b->json,
			"%s{\"group\": \"vos\", \"name\": \"%s\", \"value\": %.0f, \"unit\": "
			"\"op/s\", \"cpu_us_per_op\": %.3f, \"amplification\": %.3f, "
			"\"amplification_data\": %.3f, \"amplification_log\": %.3f, "
			"\"amplification_checkpoint\": %.3f}",
			b->any ? ",\n" : "", c->name, rate, us, amp, amp_data, amp_log, amp_ckpt);
	b->any = true;
}

static int co_fn
run_case(struct bench *b, const struct bench_case *c)
{
	struct heap_stats h0, h1;
	struct data_stats d0, d1;
	uint64_t start;
	double cpu;
	int rc = 0;

	if (c->size >= 1 << 20)
		b->keys_now = c->cold ? 1024 : 64;
	else
		b->keys_now = c->size >= 4096 ? b->keys / 4 : b->keys;
	if (!c->fresh)
		rc = prefill(b, c);
	if (rc != 0)
		return rc;
	b->c = c;
	b->ops = 0;
	b->left = UINT64_MAX;
	heap_stats(b->pool->heap, &h0);
	data_stats(b->pool->data, &d0);
	cpu = cpu_seconds();
	start = xs_now_fresh_ns(b->xs);
	b->end_ns = start + b->seconds * 1e9;
	rc = workers(b, c->depth);
	cpu = cpu_seconds() - cpu;
	heap_stats(b->pool->heap, &h1);
	data_stats(b->pool->data, &d1);
	if (rc == 0)
		report(b, (xs_now_fresh_ns(b->xs) - start) / 1e9, cpu, &h0, &h1, &d0, &d1);
	return rc;
}

static int
bench_main(void *arg)
{
	struct bench *b = arg;
	static const uuid_t uuid = {1};
	struct vos_pool_conf conf = {
	    .name = "bench",
	    .scm_bytes = 1ull << 30,
	    .nvme_bytes = b->nvme_bytes,
	    .wal_bytes = 256 << 20,
	    .cache_bytes = 256 << 20,
	};
	uint32_t i;
	int rc;

	rc = vos_pool_create(b->dir, b->xs, &conf);
	if (rc == 0)
		rc = vos_pool_open(b->dir, b->xs, &conf, &b->pool);
	if (rc != 0)
		return rc;
	rc = vos_cont_create_with(b->pool, uuid, &b->conf);
	if (rc == 0)
		rc = vos_cont_open(b->pool, uuid, &b->cont);
	for (i = 0; rc == 0 && i < CASE_NR; i++)
		if (b->selected[i])
			rc = run_case(b, &cases[i]);
	vos_cont_close(b->cont);
	vos_pool_close(b->pool);
	if (rc == 0)
		rc = vos_pool_destroy(b->dir, b->xs, conf.name);
	return rc;
}

static int
usage(void)
{
	uint32_t i;

	fprintf(stderr,
		"usage: vos_bench [-d DIR] [-t SECONDS] [-k KEYS] [-n NVME_MIB] [-c CKSUM] "
		"[-C CKSUM_SIZE] [-j FILE] [CASE...]\n"
		"       vos_bench [-d DIR] [-m MIB] [-j FILE] -F FILES | -R KEYS\n"
		"-F: rate of making files, and the heap they take; -R: restart after a kill "
		"with so many keys;\n-m: of the heap kept in memory (all)\ncases:\n");
	for (i = 0; i < CASE_NR; i++)
		fprintf(stderr, "  %-9s %s, depth %u\n", cases[i].name, cases[i].help,
			cases[i].depth);
	return 2;
}

static bool
select_case(struct bench *b, const char *name)
{
	bool found = false;
	uint32_t i;

	for (i = 0; i < CASE_NR; i++)
		if (strncmp(cases[i].name, name, strlen(name)) == 0)
			found = b->selected[i] = true;
	return found;
}

/* By the name of the property's value; what does not exist is refused by vos_cont_create. */
static uint32_t
csum_type(const char *name)
{
	uint32_t type;

	for (type = 0; strcmp(csum_name(type), "?") != 0; type++)
		if (strcmp(csum_name(type), name) == 0)
			break;
	return type;
}

int
main(int argc, char **argv)
{
	struct bench b = {
	    .seconds = 2,
	    .keys = 100000,
	    .nvme_bytes = 4ull << 30,
	    .rng = 88172645463325252ull,
	    .conf.csum_chunk = 32768,
	};
	char path[] = "/tmp/vos_bench.XXXXXX";
	struct scale_conf scale = {0};
	bool restart = false;
	int opt, i, rc;

	while ((opt = getopt(argc, argv, "d:t:k:n:c:C:j:F:R:m:h")) != -1) {
		if (opt == 'd')
			b.path = optarg;
		else if (opt == 't')
			b.seconds = atof(optarg);
		else if (opt == 'k')
			b.keys = strtoull(optarg, NULL, 0);
		else if (opt == 'n')
			b.nvme_bytes = strtoull(optarg, NULL, 0) << 20;
		else if (opt == 'c')
			b.conf.csum_type = csum_type(optarg);
		else if (opt == 'C')
			b.conf.csum_chunk = strtoul(optarg, NULL, 0);
		else if (opt == 'j')
			b.json = fopen(optarg, "w");
		else if (opt == 'm')
			scale.resident_bytes = strtoull(optarg, NULL, 0) << 20;
		else if (opt == 'F' || opt == 'R') {
			scale.nr = strtoull(optarg, NULL, 0);
			restart = opt == 'R';
		} else
			return usage();
	}
	if (b.seconds <= 0 || b.keys < 64)
		return usage();
	for (i = optind; i < argc; i++)
		if (!select_case(&b, argv[i]))
			return usage();
	if (optind == argc)
		memset(b.selected, 1, sizeof(b.selected));
	if (b.path == NULL)
		b.path = mkdtemp(path);
	if (b.path == NULL) {
		fprintf(stderr, "vos_bench: no directory: %s\n", strerror(errno));
		return 1;
	}
	if (b.json != NULL)
		fprintf(b.json, "[");
	if (scale.nr != 0) {
		scale.path = b.path;
		scale.json = b.json;
		rc = restart ? scale_restart(&scale) : scale_files(&scale);
		goto out;
	}
	env_init_real(&b.env);
	rc = xs_create(&(struct xs_conf){.name = "bench", .env = &b.env, .cpu = -1}, &b.xs);
	if (rc == 0)
		rc = dev_dir_open_files(b.path, &b.dir);
	if (rc == 0)
		rc = xs_call(b.xs, bench_main, &b);
out:
	if (b.json != NULL) {
		fprintf(b.json, "]\n");
		fclose(b.json);
	}
	if (b.dir != NULL)
		dev_dir_close(b.dir);
	if (b.xs != NULL)
		xs_destroy(b.xs);
	if (b.path == path)
		rmdir(path);
	if (rc != 0)
		fprintf(stderr, "vos_bench: " ERR_F "\n", ERR_P(rc));
	return rc != 0;
}
