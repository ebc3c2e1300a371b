/* Looking inside: a pool with one of everything, left by a power failure, is shown as it is, the
 * same each time, and not a byte of it changes. */
#include "store/vos/test_vos_util.h"

#include <daos_prop.h>

#include "base/log.h"
#include "store/heap/heap_format.h"
#include "store/vos/vos_inspect.h"

enum { TEXT_MAX = 1 << 20, BIG = 40000 };

static const uuid_t cont_a = {0xa, 1}, cont_b = {0xb, 2};
static uint8_t big[BIG];

struct look {
	struct vos_pool *pool;
	char *text;
	size_t len;
	uint64_t key_off;               /* of the last key seen */
	uint64_t single_off, array_off; /* on the data device: of what was seen there first */
	uint32_t obj_nr, dkey_nr, akey_nr, ver_nr;
	int rc;
};

static void __attribute__((format(printf, 2, 3))) say(struct look *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	l->len += vsnprintf(l->text + l->len, TEXT_MAX - l->len, fmt, ap);
	va_end(ap);
}

static int co_fn
see_cont(const struct vos_inspect_cont *cont, void *arg)
{
	struct look *l = arg;

	say(l, "cont %02x%s keep %u\n", cont->uuid[0], cont->dying ? " dying" : "", cont->keep_nr);
	return 0;
}

static int co_fn
see_key(const struct vos_inspect_key *key, void *arg)
{
	static const char *const name[] = {"obj", "dkey", "akey"};
	struct look *l = arg;
	uint32_t i;

	l->key_off = key->heap_off;
	l->obj_nr += key->level == VOS_INSPECT_OBJ;
	l->dkey_nr += key->level == VOS_INSPECT_DKEY;
	l->akey_nr += key->level == VOS_INSPECT_AKEY;
	say(l, "%s ", name[key->level]);
	if (key->level == VOS_INSPECT_OBJ)
		say(l, "%llu", (unsigned long long)key->oid.id.lo);
	else if (key->is_uint)
		say(l, "%llu", (unsigned long long)*(const uint64_t *)key->key);
	else
		say(l, "%.*s", key->key_len, (const char *)key->key);
	for (i = 0; i < key->punch_nr; i++)
		say(l, " punched@%llu", (unsigned long long)key->punches[i].epoch);
	say(l, "\n");
	return 0;
}

static int co_fn
see_ver(const struct vos_inspect_key *akey, const struct vos_inspect_ver *ver, void *arg)
{
	static const char *const place[] = {"none", "heap", "blocks"};
	uint64_t sum = 0, i;
	struct look *l = arg;
	uint8_t *buf;

	l->ver_nr++;
	if (ver->place == VOS_PLACE_BLOCKS && akey->holds == VOS_HOLDS_SINGLE)
		l->single_off = ver->runs[0].dev_off;
	if (ver->place == VOS_PLACE_BLOCKS && akey->holds == VOS_HOLDS_ARRAY && l->array_off == 0)
		l->array_off = ver->runs[0].dev_off;
	say(l, "  @%llu [%llu+%llu) %llu %s%s", (unsigned long long)ver->ord.epoch,
	    (unsigned long long)ver->idx, (unsigned long long)ver->nr,
	    (unsigned long long)ver->bytes, place[ver->place], ver->users > 0 ? " shared" : "");
	if (ver->place != VOS_PLACE_NONE && ver->bytes > 0) {
		buf = malloc(ver->bytes);
		l->rc = vos_inspect_read(l->pool, ver, 0, buf, ver->bytes);
		for (i = 0; l->rc == 0 && i < ver->bytes; i++)
			sum = sum * 31 + buf[i];
		free(buf);
		say(l, " sum %llx", (unsigned long long)sum);
		if (l->rc == 0)
			l->rc = vos_inspect_read(l->pool, ver, ver->bytes, &sum, 1) == -DER_INVAL
				    ? 0
				    : -DER_MISC;
	}
	say(l, "\n");
	return l->rc;
}

static uint64_t
sum_of(const uint8_t *buf, uint64_t len)
{
	uint64_t sum = 0, i;

	for (i = 0; i < len; i++)
		sum = sum * 31 + buf[i];
	return sum;
}

static int co_fn
fill(struct tpool *t, struct vos_cont *cont)
{
	struct vos_oid hash = toid(DAOS_OT_MULTI_HASHED, 1), num = toid(DAOS_OT_ARRAY_BYTE, 2),
		       lex = toid(DAOS_OT_MULTI_LEXICAL, 3);
	daos_recx_t whole = {0, BIG}, middle = {5000, 100}, small = {0, 10}, gap = {2, 3};
	uint64_t n = 77;
	daos_key_t nkey = {.iov_buf = &n, .iov_buf_len = 8, .iov_len = 8};
	daos_key_t punched = skey("gone");
	uint32_t i;

	for (i = 0; i < BIG; i++)
		big[i] = i * 7 + i / 256;
	check_rc(vos_cont_set_keep(cont, 1, NULL, 0), 0);
	check_rc(tput(cont, hash, 10, 0, skey("d"), "single", NULL, 20, big, 20, NULL), 0);
	check_rc(tput(cont, hash, 11, 0, skey("d"), "single", NULL, BIG, big, BIG, NULL), 0);
	check_rc(tput(cont, hash, 12, 0, skey("d"), "single", NULL, 0, NULL, 0, NULL), 0);
	check_rc(tput(cont, hash, 13, 0, skey("gone"), "a", NULL, 3, big, 3, NULL), 0);
	check_rc(vos_punch(cont, &hash, 14, 0, &punched, NULL, 0, NULL), 0);
	check_rc(tput(cont, num, 20, 0, nkey, "0", &whole, 1, big, BIG, NULL), 0);
	check_rc(tput(cont, num, 21, 0, nkey, "0", &middle, 1, big, 100, NULL), 0);
	check_rc(tput(cont, lex, 30, 0, skey("key"), "arr", &small, 4, big, 40, NULL), 0);
	check_rc(tput(cont, lex, 31, 0, skey("key"), "arr", &gap, 0, NULL, 0, NULL), 0);
	check_rc(vos_punch(cont, &lex, 32, 0, NULL, NULL, 0, NULL), 0);
	return 0;
}

static int co_fn
look_all(struct look *l)
{
	struct vos_inspect_fns fns = {.key = see_key, .ver = see_ver};
	struct vos_inspect_path path = {0};

	l->len = 0;
	check_rc(vos_inspect_conts(l->pool, see_cont, l), 0);
	check_rc(vos_inspect_walk(l->pool, cont_a, &path, VOS_INSPECT_VALUE, &fns, l), 0);
	return 0;
}

static int co_fn
look_paths(struct look *l)
{
	struct vos_inspect_fns fns = {.key = see_key, .ver = see_ver};
	struct vos_oid oid = toid(DAOS_OT_MULTI_HASHED, 1);
	daos_key_t dkey = skey("d"), akey = skey("single"), none = skey("none");
	struct vos_inspect_path path = {.oid = &oid};
	static const uuid_t no_cont = {0xc};

	l->obj_nr = l->dkey_nr = l->akey_nr = l->ver_nr = 0;
	check_rc(vos_inspect_walk(l->pool, cont_a, &path, VOS_INSPECT_DKEY, &fns, l), 0);
	check(l->obj_nr == 1 && l->dkey_nr == 2 && l->akey_nr == 0);
	path.dkey = &dkey;
	path.akey = &akey;
	l->obj_nr = l->dkey_nr = 0;
	check_rc(vos_inspect_walk(l->pool, cont_a, &path, VOS_INSPECT_VALUE, &fns, l), 0);
	check(l->obj_nr == 1 && l->dkey_nr == 1 && l->akey_nr == 1 && l->ver_nr == 3);
	path.dkey = &none;
	check_rc(vos_inspect_walk(l->pool, cont_a, &path, VOS_INSPECT_VALUE, &fns, l),
		 -DER_NONEXIST);
	path.dkey = NULL;
	oid.shard = 1;
	check_rc(vos_inspect_walk(l->pool, cont_a, &path, VOS_INSPECT_OBJ, &fns, l), -DER_NONEXIST);
	path.any_shard = true;
	check_rc(vos_inspect_walk(l->pool, cont_a, &path, VOS_INSPECT_OBJ, &fns, l), 0);
	check_rc(vos_inspect_walk(l->pool, no_cont, &path, VOS_INSPECT_OBJ, &fns, l),
		 -DER_NONEXIST);
	return 0;
}

static void
add_free(uint64_t blk, uint64_t blk_nr, void *arg)
{
	*(uint64_t *)arg += blk_nr;
}

/* A bit of an object's page is flipped: verification and the walk both say so. */
static int co_fn
find_rot(struct tpool *t, const struct vos_pool_conf *ro, struct look *l)
{
	static const char heap_name[] = POOL_NAME ".heap";
	struct vos_inspect_fns fns = {.key = see_key, .ver = see_ver};
	struct vos_inspect_path path = {0};
	struct heap_super_df super;
	struct dev *dev;
	uint64_t bit;
	uint8_t *buf = dev_buf_alloc(DEV_BLOCK);

	check_rc(vos_pool_open(t->dir, t->xs, ro, &l->pool), 0);
	check_rc(vos_inspect_verify(l->pool), 0);
	check_rc(look_all(l), 0);
	vos_pool_close(l->pool);
	check_rc(t->dir->ops->open(t->dir, t->xs, heap_name, true, &dev), 0);
	check_rc(dev_read(dev, 0, buf, DEV_BLOCK), 0);
	dev_close(dev);
	memcpy(&super, buf, sizeof(super));
	dev_buf_free(buf, DEV_BLOCK);
	bit = (super.page_blk * DEV_BLOCK + l->key_off) * 8 + 1;
	check_rc(mem_disk_flip_bit(t->disk, heap_name, bit), 0);
	/* what a checkpoint wrote last would be put right again */
	check_rc(mem_disk_flip_bit(t->disk, heap_name, (super.dw_blk * DEV_BLOCK + 8) * 8), 0);
	log_set_level(LOG_LVL_CRIT);
	check_rc(vos_pool_open(t->dir, t->xs, ro, &l->pool), 0);
	check_rc(vos_inspect_walk(l->pool, cont_a, &path, VOS_INSPECT_VALUE, &fns, l), -DER_CSUM);
	check_rc(vos_inspect_verify(l->pool), -DER_CSUM);
	vos_pool_close(l->pool);
	log_set_level(LOG_LVL_ERR);
	check_rc(mem_disk_flip_bit(t->disk, heap_name, bit), 0);
	check_rc(vos_pool_open(t->dir, t->xs, ro, &l->pool), 0);
	check_rc(vos_inspect_verify(l->pool), 0);
	vos_pool_close(l->pool);
	return 0;
}

static int co_fn
do_inspect(void *arg)
{
	struct tpool *t = arg;
	struct vos_pool_conf ro = t->conf;
	struct vos_inspect_figures fig;
	struct look l = {.text = calloc(1, TEXT_MAX)};
	struct dev_dir *over;
	struct vos_cont *cont;
	uint64_t writes, free_blk = 0;
	char *first, line[100];
	int rc;

	check_rc(vos_pool_create(t->dir, t->xs, &t->conf), 0);
	check_rc(vos_pool_open(t->dir, t->xs, &t->conf, &t->pool), 0);
	check_rc(vos_cont_create(t->pool, cont_a), 0);
	check_rc(vos_cont_create(t->pool, cont_b), 0);
	check_rc(vos_cont_open(t->pool, cont_a, &cont), 0);
	check_rc(fill(t, cont), 0);
	check_rc(vos_cont_destroy(t->pool, cont_b), 0);
	mem_disk_stop(t->disk);
	vos_cont_close(cont);
	log_set_level(LOG_LVL_CRIT);
	vos_pool_close(t->pool);
	log_set_level(LOG_LVL_ERR);
	dev_dir_close(t->dir);
	mem_disk_restart(t->disk, NULL, NULL);
	check_rc(mem_disk_open(t->disk, &t->dir), 0);

	writes = mem_disk_writes(t->disk);
	check_rc(dev_dir_overlay(t->dir, &over), 0);
	ro.read_only = true;
	check_rc(vos_pool_open(over, t->xs, &ro, &l.pool), 0);
	vos_inspect_figures(l.pool, &fig);
	check(fig.heap.replay_bytes > 0 && fig.max_epoch == 32);
	check_rc(vos_inspect_verify(l.pool), 0);
	check_rc(vos_inspect_free_runs(l.pool, add_free, &free_blk), 0);
	check(free_blk == fig.space.total_blk - fig.space.used_blk);
	check_rc(look_all(&l), 0);
	check(l.obj_nr == 3 && l.dkey_nr == 4 && l.akey_nr == 4);
	check(strstr(l.text, "cont 0a keep 0\ncont 0b dying") != NULL);
	snprintf(
	    line, sizeof(line),
	    "akey single\n  @12 [0+0) 0 none\n  @11 [0+0) %u blocks sum %llx\n  @10 [0+0) 20 heap",
	    BIG, (unsigned long long)sum_of(big, BIG));
	check(strstr(l.text, line) != NULL);
	check(strstr(l.text, "dkey gone punched@14") != NULL);
	/* the middle of a large extent replaced, what was there kept: its storage is shared */
	snprintf(line, sizeof(line), "  @21 [5000+100) 100 heap sum %llx\n  @20 [5000+100) 100 ",
		 (unsigned long long)sum_of(big, 100));
	check(strstr(l.text, line) != NULL);
	check(strstr(l.text, "blocks shared") != NULL);
	check(strstr(l.text, "obj 3 punched@32") != NULL);
	check(strstr(l.text, "  @31 [2+3) 0 none\n  @30 [2+3) 12 heap") != NULL);
	check_rc(look_paths(&l), 0);
	vos_pool_close(l.pool);

	/* Refused without harm: a change. And the second look is like the first. */
	check_rc(vos_pool_open(t->dir, t->xs, &ro, &l.pool), 0);
	check_rc(vos_cont_create(l.pool, cont_b), -DER_NO_PERM);
	first = l.text;
	first[strstr(first, "obj 1") - first - 1] = '\0';
	l.text = calloc(1, TEXT_MAX);
	check_rc(look_all(&l), 0);
	vos_pool_close(l.pool);
	check(strncmp(first, l.text, strlen(first)) == 0);
	check(mem_disk_writes(t->disk) == writes);
	dev_dir_close(over);

	free(first);

	/* Only a pool that does not change can be looked at. */
	check_rc(vos_pool_open(t->dir, t->xs, &t->conf, &t->pool), 0);
	check_rc(vos_inspect_conts(t->pool, see_cont, &l), -DER_INVAL);
	vos_pool_settle(t->pool);
	vos_pool_close(t->pool);
	rc = find_rot(t, &ro, &l);
	free(l.text);
	return rc;
}

/* Values in a container with checksums are compared with them, single and array, also the ones
 * that only cover what was cut off. */
static int co_fn
do_sums(void *arg)
{
	struct tpool *t = arg;
	struct vos_pool_conf ro = t->conf;
	struct vos_cont_conf cc = {.csum_type = DAOS_PROP_CO_CSUM_CRC32, .csum_chunk = 4096};
	struct look l = {.text = calloc(1, TEXT_MAX)};
	struct vos_inspect_fns fns = {.key = see_key, .ver = see_ver, .check_sums = true};
	struct vos_inspect_path path = {0};
	struct vos_oid oid = toid(DAOS_OT_MULTI_HASHED, 1);
	daos_recx_t whole = {100, 20000}, part = {3000, 2000};
	static const char data_name[] = POOL_NAME ".data";
	struct vos_cont *cont;
	uint32_t i;

	for (i = 0; i < BIG; i++)
		big[i] = i * 11;
	ro.read_only = true;
	check_rc(vos_pool_create(t->dir, t->xs, &t->conf), 0);
	check_rc(vos_pool_open(t->dir, t->xs, &t->conf, &t->pool), 0);
	check_rc(vos_cont_create_with(t->pool, cont_a, &cc), 0);
	check_rc(vos_cont_open(t->pool, cont_a, &cont), 0);
	check_rc(vos_cont_set_keep(cont, 1, NULL, 0), 0);
	check_rc(tput(cont, oid, 10, 0, skey("d"), "s", NULL, BIG, big, BIG, NULL), 0);
	check_rc(tput(cont, oid, 11, 0, skey("d"), "a", &whole, 1, big, 20000, NULL), 0);
	check_rc(tput(cont, oid, 12, 0, skey("d"), "a", &part, 1, big, 2000, NULL), 0);
	for (i = 0; i < 20; i++)
		check_rc(tput(cont, oid, 20 + i, 0, skey("d"), "h", NULL, 8, &big[i], 8, NULL), 0);
	vos_cont_close(cont);
	vos_pool_close(t->pool);
	check_rc(vos_pool_open(t->dir, t->xs, &ro, &l.pool), 0);
	check_rc(vos_inspect_walk(l.pool, cont_a, &path, VOS_INSPECT_VALUE, &fns, &l), 0);
	vos_pool_close(l.pool);
	/* one single value, three segments of the array and what is beneath the middle, a history
	 */
	check(l.ver_nr == 1 + 4 + 20);
	/* the last one is padding: behind the single value, in its last block */
	const uint64_t spots[] = {l.single_off,      l.single_off + 20000, l.single_off + BIG - 1,
				  l.array_off,       l.array_off + 3000,   l.array_off + 19999,
				  l.single_off + BIG};
	log_set_level(LOG_LVL_CRIT);
	for (i = 0; i < 7; i++) {
		check_rc(mem_disk_flip_bit(t->disk, data_name, spots[i] * 8), 0);
		check_rc(vos_pool_open(t->dir, t->xs, &ro, &l.pool), 0);
		l.len = 0;
		check_rc(vos_inspect_walk(l.pool, cont_a, &path, VOS_INSPECT_VALUE, &fns, &l),
			 i == 6 ? 0 : -DER_CSUM);
		vos_pool_close(l.pool);
		check_rc(mem_disk_flip_bit(t->disk, data_name, spots[i] * 8), 0);
	}
	log_set_level(LOG_LVL_ERR);
	free(l.text);
	return 0;
}

static void
test_sums(void **state)
{
	struct tpool t;

	tpool_init(&t, 16 << 20, 64 << 20);
	tpool_run(&t, do_sums, &t);
	tpool_fini(&t);
}

static void
test_inspect(void **state)
{
	struct tpool t;

	tpool_init(&t, 16 << 20, 64 << 20);
	tpool_run(&t, do_inspect, &t);
	tpool_fini(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_inspect),
	    cmocka_unit_test(test_sums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
