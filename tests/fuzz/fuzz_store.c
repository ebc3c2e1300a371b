/*
 * Fuzz target of what the store reads from its files. A pool with known content is damaged as the
 * input says, and then opened, verified, listed, read, changed and aggregated. The damage comes
 * with right checksums: what the checksums would have caught is test_flips' business; here it goes
 * on to those who follow pointers, lengths and counts. Whatever they make of it, they may answer
 * with errors, but must neither end the program nor go on without end.
 *
 * Input: the first byte chooses,
 *
 *	0	pages of the heap: patches {page 2, offset 2, length 1 (1..8), bytes}
 *	1	the heap's super blocks: patches {offset 1, byte 1}
 *	2	the log's super blocks: the same
 *	3	the rest is a record of the log: checked, and applied if it is found right
 *
 * With FUZZ_RUNS_MAIN: a program that tries the files named and then pseudo-random inputs
 * (fuzz_store_runs [NUMBER [FIRST]]); otherwise a libFuzzer target.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/crc.h"
#include "base/hash.h"
#include "base/log.h"
#include "runtime/sim.h"
#include "store/heap/heap_inspect.h"
#include "store/heap/heap_internal.h"
#include "store/vos/vos_internal.h"
#include "store/vos/vos_model.h"
#include "store/wal/wal_internal.h"
#include "tests/crash/crash_disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPS = 80, ENTRIES_MAX = 5000, FETCH_MAX = 24000, REGION = 64 << 10 };

struct fuzz {
	struct sim *sim;
	struct xs *xs;
	struct crash_disk *disk;
	struct dev_dir *dir;
	struct vos_pool_conf conf;
	struct vos_pool *pool;
	struct vos_cont *cont;
	uint64_t epoch;
};

static const uuid_t cont_uuid = {0xf2};
#define HEAP_FILE "fuzz.heap"
#define WAL_FILE  "fuzz.wal"

/* --- the pool ----------------------------------------------------------------------------------
 */

static int
build(void *arg)
{
	struct fuzz *f = arg;
	struct vm_rng rng = {.state = 3};
	struct vm_op op;
	uint32_t i;
	int rc;

	f->epoch = 100;
	rc = vos_pool_create(f->dir, f->xs, &f->conf);
	if (rc == 0)
		rc = vos_pool_open(f->dir, f->xs, &f->conf, &f->pool);
	if (rc == 0)
		rc = vos_cont_create(f->pool, cont_uuid);
	if (rc == 0)
		rc = vos_cont_open(f->pool, cont_uuid, &f->cont);
	if (rc == 0)
		rc = vos_cont_set_keep(f->cont, 1, NULL, 0);
	for (i = 0; rc == 0 && i < OPS; i++) {
		vm_op_random(&rng, ++f->epoch, 6000, &op);
		op.cond = 0;
		rc = vm_run(f->cont, &op, NULL);
	}
	vos_cont_close(f->cont);
	vos_pool_close(f->pool);
	return rc;
}

static struct fuzz *
fuzz_get(void)
{
	static struct fuzz *f;
	struct xs_conf xc = {.name = "fuzz", .cpu = -1};
	static const uint8_t zeros[DEV_BLOCK];
	struct heap_super_df super;

	if (f != NULL)
		return f;
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		abort();
	mallopt(M_MMAP_MAX, 0);
	log_set_level(LOG_LVL_NONE);
	f->conf = (struct vos_pool_conf){
	    .name = "fuzz",
	    .scm_bytes = 4 << 20,
	    .nvme_bytes = 6 << 20,
	    .wal_bytes = 4 << 20,
	    .cache_bytes = 4 << 20,
	    .data_thresh = 1024,
	};
	if (sim_create(1, &f->sim) != 0)
		abort();
	xc.env = sim_env_create(f->sim, 0);
	if (xs_create(&xc, &f->xs) != 0)
		abort();
	f->disk = crash_disk_create();
	f->dir = crash_disk_open(f->disk, NULL);
	if (xs_call(f->xs, build, f) != 0)
		abort();
	/* nothing shall be put back over the damage */
	crash_disk_peek(f->disk, HEAP_FILE, 0, &super, sizeof(super));
	crash_disk_poke(f->disk, HEAP_FILE, super.dw_blk * DEV_BLOCK, zeros, DEV_BLOCK);
	crash_disk_commit(f->disk);
	return f;
}

/* --- damage ------------------------------------------------------------------------------------
 */

static void
patch_page(struct fuzz *f, const struct heap_super_df *super, uint32_t page, uint32_t off,
	   const uint8_t *bytes, uint32_t len)
{
	static uint8_t image[HEAP_PAGE];
	uint64_t at = (super->page_blk + page) * DEV_BLOCK;
	uint64_t sum_at = (super->sum_blk + page / HEAP_SUM_PER_BLK) * DEV_BLOCK;
	struct heap_sum_df sum;

	crash_disk_peek(f->disk, HEAP_FILE, sum_at, &sum, sizeof(sum));
	if (sum.page_crc[page % HEAP_SUM_PER_BLK] == 0)
		return; /* never written */
	crash_disk_peek(f->disk, HEAP_FILE, at, image, sizeof(image));
	if (len > sizeof(image) - off)
		len = sizeof(image) - off;
	memcpy(image + off, bytes, len);
	crash_disk_poke(f->disk, HEAP_FILE, at, image, sizeof(image));
	sum.page_crc[page % HEAP_SUM_PER_BLK] = heap_page_crc(image);
	sum.crc = heap_sum_crc(&sum);
	crash_disk_poke(f->disk, HEAP_FILE, sum_at, &sum, sizeof(sum));
}

static void
damage_pages(struct fuzz *f, const uint8_t *p, size_t size)
{
	struct heap_super_df super;

	crash_disk_peek(f->disk, HEAP_FILE, 0, &super, sizeof(super));
	while (size > 5) {
		uint32_t page = (p[0] | p[1] << 8) % super.page_nr;
		uint32_t off = (p[2] | p[3] << 8) % HEAP_PAGE, len = 1 + p[4] % 8;

		p += 5;
		size -= 5;
		if (len > size)
			len = size;
		patch_page(f, &super, page, off, p, len);
		p += len;
		size -= len;
	}
}

static void
damage_super(struct fuzz *f, const uint8_t *p, size_t size)
{
	struct heap_super_df super;

	crash_disk_peek(f->disk, HEAP_FILE, 0, &super, sizeof(super));
	for (; size >= 2; p += 2, size -= 2)
		((uint8_t *)&super)[p[0] % sizeof(super)] = p[1];
	super.crc = 0;
	super.crc = crc32c(0, &super, sizeof(super));
	crash_disk_poke(f->disk, HEAP_FILE, 0, &super, sizeof(super));
	crash_disk_poke(f->disk, HEAP_FILE, DEV_BLOCK, &super, sizeof(super));
}

static void
damage_wal_super(struct fuzz *f, const uint8_t *p, size_t size)
{
	struct wal_super_df super;
	uint32_t i;

	for (i = 0; i < WAL_SUPER_NR; i++) {
		const uint8_t *q = p;
		size_t left = size;

		crash_disk_peek(f->disk, WAL_FILE, i * DEV_BLOCK, &super, sizeof(super));
		for (; left >= 2; q += 2, left -= 2)
			((uint8_t *)&super)[q[0] % sizeof(super)] = q[1];
		super.crc = wal_super_crc(&super);
		crash_disk_poke(f->disk, WAL_FILE, i * DEV_BLOCK, &super, sizeof(super));
	}
}

/* --- use ---------------------------------------------------------------------------------------
 */

struct lister {
	struct fuzz *f;
	uint32_t left;
	struct key {
		uint8_t buf[512];
		uint32_t len;
	} key[16];
	uint32_t nr;
};

static int
list_cb(const struct vos_entry *e, void *arg)
{
	struct lister *l = arg;

	if (l->left == 0)
		return -DER_CANCELED;
	l->left--;
	if (e->key != NULL && l->nr < 16) {
		struct key *k = &l->key[l->nr++];

		k->len = e->key_len < sizeof(k->buf) ? e->key_len : sizeof(k->buf);
		memcpy(k->buf, e->key, k->len);
	}
	return 0;
}

static void co_fn
list(struct fuzz *f, struct vos_list *list, struct lister *l)
{
	struct vos_anchor anchor = {0};

	l->f = f;
	l->left = ENTRIES_MAX;
	l->nr = 0;
	while (anchor.state != 2 && vos_list(f->cont, list, &anchor, list_cb, l) == 0)
		;
}

static volatile uint8_t sink;

static void co_fn
fetch(struct fuzz *f, struct vos_oid oid, const daos_key_t *dkey, const daos_key_t *akey,
      bool array)
{
	daos_recx_t recx = {.rx_idx = 0, .rx_nr = FETCH_MAX};
	daos_iod_t iod = {
	    .iod_name = *akey,
	    .iod_type = array ? DAOS_IOD_ARRAY : DAOS_IOD_SINGLE,
	    .iod_nr = 1,
	    .iod_recxs = array ? &recx : NULL,
	};
	struct vos_io io = {
	    .oid = oid,
	    .epoch = UINT64_MAX,
	    .dkey = dkey,
	    .iods = &iod,
	    .iod_nr = 1,
	};
	const struct iovec *iov;
	struct vos_fetch *fe;
	uint32_t nr, i;
	size_t j;

	if (vos_fetch_begin(f->cont, &io, VOS_FETCH_NEED_RECX, &fe) != 0)
		return;
	iov = vos_fetch_iov(fe, 0, &nr);
	for (i = 0; i < nr; i++)
		for (j = 0; iov[i].iov_base != NULL && j < iov[i].iov_len; j++)
			sink ^= ((const uint8_t *)iov[i].iov_base)[j];
	vos_fetch_end(fe);
}

static daos_key_t
as_key(struct key *k)
{
	return (daos_key_t){.iov_buf = k->buf, .iov_buf_len = k->len, .iov_len = k->len};
}

static void co_fn
read_dkey(struct fuzz *f, struct vos_oid oid, struct key *dk)
{
	daos_key_t dkey = as_key(dk), akey;
	struct vos_list li = {
	    .kind = VOS_LIST_AKEY, .oid = oid, .epoch = UINT64_MAX, .dkey = &dkey};
	struct lister *l = calloc(1, sizeof(*l)), *l2 = calloc(1, sizeof(*l2));
	uint32_t i;

	if (l == NULL || l2 == NULL)
		abort();
	list(f, &li, l);
	for (i = 0; i < l->nr; i++) {
		akey = as_key(&l->key[i]);
		fetch(f, oid, &dkey, &akey, false);
		fetch(f, oid, &dkey, &akey, true);
		li = (struct vos_list){.kind = VOS_LIST_RECX,
				       .oid = oid,
				       .epoch = UINT64_MAX,
				       .dkey = &dkey,
				       .akey = &akey};
		list(f, &li, l2);
	}
	free(l);
	free(l2);
}

static void co_fn
use_cont(struct fuzz *f)
{
	struct lister *l = calloc(1, sizeof(*l));
	struct vm_rng rng = {.state = 99};
	struct vos_list li = {.kind = VOS_LIST_OBJ, .epoch = UINT64_MAX};
	uint64_t epoch = f->epoch;
	struct vm_op op;
	uint32_t obj, i;
	bool more = true;

	if (l == NULL)
		abort();
	list(f, &li, l);
	for (obj = 0; obj < VM_OBJS; obj++) {
		li = (struct vos_list){
		    .kind = VOS_LIST_DKEY, .oid = vm_oid(obj), .epoch = UINT64_MAX};
		list(f, &li, l);
		for (i = 0; i < l->nr; i++)
			read_dkey(f, vm_oid(obj), &l->key[i]);
	}
	for (i = 0; i < 20; i++) {
		vm_op_random(&rng, ++epoch, 6000, &op);
		vm_run(f->cont, &op, NULL);
	}
	for (i = 0; more && i < 500; i++)
		if (vos_aggregate(f->cont, epoch, NULL, 0, 1000000, &more) != 0)
			break;
	free(l);
}

static int
use(void *arg)
{
	struct fuzz *f = arg;

	f->pool = NULL;
	f->cont = NULL;
	if (vos_pool_open(f->dir, f->xs, &f->conf, &f->pool) != 0)
		return 0;
	vos_pool_verify(f->pool);
	if (vos_cont_open(f->pool, cont_uuid, &f->cont) == 0)
		use_cont(f);
	vos_pool_settle(f->pool);
	vos_pool_verify(f->pool);
	vos_cont_close(f->cont);
	crash_disk_power(f->disk, false);
	vos_pool_close(f->pool);
	crash_disk_power(f->disk, true);
	return 0;
}

/* A record that is found right may be applied: it stays inside. */
static void
record(const uint8_t *p, size_t size)
{
	static uint8_t *image;
	struct heap heap = {.size = REGION};
	uint32_t len = 0;
	uint8_t *copy;

	if (image == NULL) {
		uint8_t *map = mmap(NULL, REGION + 2 * HEAP_PAGE, PROT_NONE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (map == MAP_FAILED ||
		    mprotect(map + HEAP_PAGE, REGION, PROT_READ | PROT_WRITE) != 0)
			abort();
		image = map + HEAP_PAGE;
	}
	copy = malloc(size + 1);
	if (copy == NULL)
		abort();
	memcpy(copy, p, size);
	if (heap_rec_check(&heap, copy, size, &len) == 0) {
		if (len > size)
			abort();
		heap_rec_apply(image, copy);
	}
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz *f = fuzz_get();

	if (size == 0)
		return 0;
	switch (data[0] % 4) {
	case 0:
		damage_pages(f, data + 1, size - 1);
		break;
	case 1:
		damage_super(f, data + 1, size - 1);
		break;
	case 2:
		damage_wal_super(f, data + 1, size - 1);
		break;
	default:
		record(data + 1, size - 1);
		return 0;
	}
	if (xs_call(f->xs, use, f) != 0)
		abort();
	crash_disk_rollback(f->disk, 0);
	return 0;
}

#ifdef FUZZ_RUNS_MAIN
/* Inputs that hit: pages in use are the first ones, small values and small changes are likelier. */
static size_t
make_input(uint64_t nr, uint8_t *buf)
{
	struct vm_rng rng = {.state = hash_u64(nr)};
	size_t len = 0;
	uint32_t i, n;

	buf[len++] = vm_below(&rng, 8) == 0 ? 1 + vm_below(&rng, 3) : 0;
	switch (buf[0]) {
	case 0:
		for (n = 1 + vm_below(&rng, 3); n > 0; n--) {
			uint64_t page = vm_below(&rng, vm_below(&rng, 2) ? 100 : 1024);
			uint64_t off = vm_below(&rng, 512) * (vm_below(&rng, 4) ? 8 : 1);
			uint32_t bytes = 1 + vm_below(&rng, 8);

			memcpy(buf + len, &page, 2);
			memcpy(buf + len + 2, &off, 2);
			buf[len + 4] = bytes - 1;
			len += 5;
			for (i = 0; i < bytes; i++)
				buf[len++] = vm_below(&rng, 3) ? vm_below(&rng, 4) : vm_rand(&rng);
		}
		break;
	case 3: { /* a record nearly right */
		struct heap_rec_df hdr = {.range_nr = 1 + vm_below(&rng, 3)};
		uint8_t *rec = buf + len;

		len += sizeof(hdr);
		for (i = 0; i < hdr.range_nr; i++) {
			uint64_t bytes = vm_below(&rng, 40);
			uint64_t off =
			    vm_below(&rng, 4) ? vm_below(&rng, REGION + 50) : vm_rand(&rng) >> 24;
			uint64_t word = off << HEAP_RANGE_LEN_BITS | bytes;

			memcpy(buf + len, &word, 8);
			len += 8 + bytes;
		}
		hdr.len_bytes = buf + len - rec - (vm_below(&rng, 8) == 0);
		memcpy(rec, &hdr, sizeof(hdr));
		break;
	}
	default:
		for (n = 1 + vm_below(&rng, 3); n > 0; n--) {
			buf[len++] = vm_rand(&rng);
			buf[len++] = vm_rand(&rng);
		}
		break;
	}
	return len;
}

int
main(int argc, char **argv)
{
	const char *is_long = getenv("DAOS_TEST_LONG");
	uint64_t nr = argc > 1 ? strtoull(argv[1], NULL, 0) : FUZZ_RUNS, i;
	uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 0) : 0;
	static uint8_t buf[4096];

	if (is_long != NULL && strcmp(is_long, "1") == 0)
		nr *= 100;
	for (i = first; i < first + nr; i++) {
		if (getenv("FUZZ_SAY") != NULL)
			fprintf(stderr, "input %llu\n", (unsigned long long)i);
		memset(buf, 0, sizeof(buf));
		LLVMFuzzerTestOneInput(buf, make_input(i, buf));
	}
	printf("%llu damaged pools\n", (unsigned long long)nr);
	return 0;
}
#endif
