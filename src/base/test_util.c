/* The small helpers: errors, sizes, segments, hash table, checksums, clock, allocation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/crc.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/hlc.h"
#include "base/htable.h"
#include "base/iov.h"
#include "base/list.h"
#include "base/mem.h"

static void
test_err(void **state)
{
	assert_string_equal(err_name(0), "DER_SUCCESS");
	assert_string_equal(err_name(-1007), "DER_NOSPACE");
	assert_string_equal(err_name(1007), "DER_NOSPACE");
	assert_string_equal(err_name(-DER_NO_PERM), "DER_NO_PERM");
	assert_string_equal(err_name(-DER_QUOTA_LIMIT), "DER_QUOTA_LIMIT");
	assert_string_equal(err_name(-DER_IO), "DER_IO");
	assert_string_equal(err_name(-DER_IGNORE), "DER_IGNORE");
	assert_string_equal(err_name(-1000), "DER_UNKNOWN");
	assert_string_equal(err_name(-DER_QUOTA_LIMIT - 1), "DER_UNKNOWN");
	assert_string_equal(err_name(-2000), "DER_UNKNOWN");
	assert_string_equal(err_name(-DER_IGNORE - 1), "DER_UNKNOWN");
	assert_string_equal(err_name(INT32_MIN), "DER_UNKNOWN");
	assert_string_equal(err_text(-DER_NOSPACE), "Storage tier is full");
	assert_int_equal(err_from_errno(0), 0);
	assert_int_equal(err_from_errno(ENOSPC), -DER_NOSPACE);
	assert_int_equal(err_from_errno(-ENOENT), -DER_NONEXIST);
	assert_int_equal(err_from_errno(EXDEV), -DER_MISC);
}

static uint64_t
parsed(const char *s)
{
	uint64_t v = 12345;

	assert_int_equal(bytes_parse(s, &v), 0);
	return v;
}

static void
test_bytes_parse(void **state)
{
	static const char *const bad[] = {"",    " ",     "GB",  "-1",   "1x",  "1KiBB",
					  "1 2", "1..2",  "1iB", "0x10", "1e9", "1KB extra",
					  ".",   "1kib3", "50%", "1bb"};
	uint64_t v = 77;
	double pct = 0;
	size_t i;

	assert_true(parsed("0") == 0);
	assert_true(parsed("4096") == 4096);
	assert_true(parsed("7 B") == 7);
	assert_true(parsed("50GB") == 50000000000ull);
	assert_true(parsed("128KiB") == 131072);
	assert_true(parsed("128 KiB ") == 131072);
	assert_true(parsed("10g") == 10000000000ull);
	assert_true(parsed("10Gi") == 10737418240ull);
	assert_true(parsed("1.5TiB") == 1649267441664ull);
	assert_true(parsed("0.1kb") == 100);
	assert_true(parsed(".5k") == 500);
	assert_true(parsed("1.0000000001k") == 1000);
	assert_true(parsed("15EiB") == 15ull << 60);
	assert_true(parsed("18446744073709551615") == UINT64_MAX);
	assert_int_equal(bytes_parse("18446744073709551616", &v), -DER_OVERFLOW);
	assert_int_equal(bytes_parse("16EiB", &v), -DER_OVERFLOW);
	assert_int_equal(bytes_parse("15.999999999999999999999EiB", &v), 0);
	v = 77;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(bytes_parse(bad[i], &v), -DER_INVAL);
	assert_int_equal(v, 77);

	assert_int_equal(percent_parse("35%", &pct), 0);
	assert_true(pct == 35.0);
	assert_int_equal(percent_parse(" 12.5 % ", &pct), 0);
	assert_true(pct == 12.5);
	assert_int_equal(percent_parse("100%", &pct), 0);
	assert_int_equal(percent_parse("100.1%", &pct), -DER_INVAL);
	assert_int_equal(percent_parse("35", &pct), -DER_INVAL);
	assert_int_equal(percent_parse("%", &pct), -DER_INVAL);
	assert_int_equal(percent_parse("5%%", &pct), -DER_INVAL);
}

static void
test_bytes_fmt(void **state)
{
	char buf[BYTES_STR_LEN];

	assert_string_equal(bytes_fmt_dec(0, buf), "0 B");
	assert_string_equal(bytes_fmt_dec(999, buf), "999 B");
	assert_string_equal(bytes_fmt_dec(1000, buf), "1.0 kB");
	assert_string_equal(bytes_fmt_dec(6000000000000ull, buf), "6.0 TB");
	assert_string_equal(bytes_fmt_dec(200000000000000ull, buf), "200 TB");
	assert_string_equal(bytes_fmt_dec(6449000000ull, buf), "6.4 GB");
	assert_string_equal(bytes_fmt_dec(9960000ull, buf), "10 MB");
	assert_string_equal(bytes_fmt_dec(999999, buf), "1.0 MB");
	assert_string_equal(bytes_fmt_dec(UINT64_MAX, buf), "18 EB");
	assert_string_equal(bytes_fmt_bin(1023, buf), "1023 B");
	assert_string_equal(bytes_fmt_bin(131072, buf), "128 KiB");
	assert_string_equal(bytes_fmt_bin(1048576, buf), "1.0 MiB");
	assert_string_equal(bytes_fmt_bin(1048575, buf), "1.0 MiB");
	assert_string_equal(bytes_fmt_bin(4096, buf), "4.0 KiB");
}

static void
test_iov(void **state)
{
	char a[] = "abc", b[] = "defgh", c[] = "ij";
	struct iovec src[] = {{a, 3}, {NULL, 0}, {b, 5}, {c, 2}};
	char out[32] = {0};
	char d1[4] = {0}, d2[6] = {0};
	struct iovec dst[] = {{d1, 4}, {d2, 6}};
	struct iovec part[4];
	struct iov_iter it;

	assert_int_equal(iov_total(src, 4), 10);
	assert_int_equal(iov_to_buf(src, 4, 0, out, 32), 10);
	assert_memory_equal(out, "abcdefghij", 10);
	assert_int_equal(iov_to_buf(src, 4, 4, out, 3), 3);
	assert_memory_equal(out, "efg", 3);
	assert_int_equal(iov_to_buf(src, 4, 11, out, 3), 0);
	assert_int_equal(iov_copy(dst, 2, 1, src, 4, 2, 100), 8);
	assert_memory_equal(d1, "\0cde", 4);
	assert_memory_equal(d2, "fghij\0", 6);
	assert_int_equal(iov_copy(dst, 2, 5, src, 4, 0, 100), 5); /* the target is the shorter */
	assert_memory_equal(d2, "fabcde", 6);
	assert_int_equal(iov_from_buf(dst, 2, 3, "XYZ", 3), 3);
	assert_int_equal(d1[3], 'X');
	assert_memory_equal(d2, "YZ", 2);

	assert_int_equal(iov_slice(src, 4, 2, 7, part, 4), 3);
	assert_int_equal(part[0].iov_len, 1);
	assert_int_equal(part[1].iov_len, 5);
	assert_int_equal(part[2].iov_len, 1);
	assert_ptr_equal(part[2].iov_base, c);
	assert_int_equal(iov_slice(src, 4, 2, 7, part, 2), -DER_TRUNC);
	assert_int_equal(iov_slice(src, 4, 2, 9, part, 4), -DER_INVAL);
	assert_int_equal(iov_slice(src, 4, 10, 0, part, 4), 0);

	iov_iter_init(&it, src, 4);
	assert_int_equal(iov_iter_skip(&it, 9), 9);
	assert_int_equal(iov_iter_read(&it, out, 8), 1);
	assert_int_equal(iov_iter_skip(&it, 1), 0);
	iov_iter_init(&it, dst, 2);
	assert_int_equal(iov_iter_zero(&it, 100), 10);
	assert_memory_equal(d2, "\0\0\0\0\0\0", 6);
}

struct entry {
	struct hnode node;
	uint32_t key;
	bool seen;
};

static int
walk_remove_odd(struct hnode *n, void *arg)
{
	struct entry *e = container_of(n, struct entry, node);

	assert_false(e->seen);
	e->seen = true;
	if (e->key % 2 == 1)
		htable_remove(arg, n);
	return 0;
}

static int
walk_stop(struct hnode *n, void *arg)
{
	return ++*(int *)arg == 5 ? 42 : 0;
}

static struct entry *
find(struct htable *h, uint32_t key)
{
	struct hnode *n;

	for (n = htable_first(h, hash_u64(key % 700)); n != NULL; n = htable_next(n)) {
		struct entry *e = container_of(n, struct entry, node);

		if (e->key == key)
			return e;
	}
	return NULL;
}

static void
test_htable(void **state)
{
	enum { NR = 1000 };
	struct entry *e = calloc(NR, sizeof(*e));
	struct htable h;
	int stop = 0;
	uint32_t i;

	htable_init(&h);
	assert_null(find(&h, 1));
	for (i = 0; i < NR; i++) {
		e[i].key = i;
		htable_insert(&h, &e[i].node, hash_u64(i % 700)); /* some hashes are equal */
	}
	assert_int_equal(htable_nr(&h), NR);
	for (i = 0; i < NR; i++)
		assert_ptr_equal(find(&h, i), &e[i]);
	assert_null(find(&h, NR));
	assert_int_equal(htable_walk(&h, walk_remove_odd, &h), 0);
	for (i = 0; i < NR; i++) {
		assert_true(e[i].seen);
		assert_ptr_equal(find(&h, i), i % 2 == 0 ? &e[i] : NULL);
	}
	assert_int_equal(htable_nr(&h), NR / 2);
	assert_int_equal(htable_walk(&h, walk_stop, &stop), 42);
	htable_fini(&h);
	free(e);
}

static void
test_crc(void **state)
{
	char zeros[32] = {0};

	/* RFC 3720, B.4 and the usual check value */
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aa);
	assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
	assert_int_equal(crc32c(0, NULL, 0), 0);
}

static void
test_hash(void **state)
{
	/* the reference value of XXH3 for no bytes: hashes are stored, so they must never change */
	assert_true(hash_bytes("", 0, 0) == 0x2d06800538d394c2ull);
	assert_true(hash_bytes("abc", 3, 0) != hash_bytes("abc", 3, 1));
	assert_true(hash_u64(0) == 0xe220a8397b1dcdafull); /* splitmix64's first number */
	assert_true(hash_combine(1, 2) != hash_combine(2, 1));
}

static void
test_hlc(void **state)
{
	const uint64_t t = HLC_EPOCH_NS + 5000000000ull;
	struct hlc h = {0};
	uint64_t a;
	uint64_t b;

	assert_true(hlc_from_ns(HLC_EPOCH_NS) == 0);
	assert_true(hlc_from_ns(0) == 0);
	assert_true(hlc_to_ns(hlc_from_ns(t)) == t);
	a = hlc_now(&h, t);
	assert_true(a == 5000000000ull * 16);
	b = hlc_now(&h, t); /* the clock stands */
	assert_true(b == a + 1);
	b = hlc_now(&h, t - 1000000); /* and goes back */
	assert_true(b == a + 2);
	assert_int_equal(hlc_recv(&h, t, hlc_from_ns(t + 900000000)), 0);
	assert_true(hlc_now(&h, t) == hlc_from_ns(t + 900000000) + 1);
	b = h.last;
	assert_int_equal(hlc_recv(&h, t, hlc_from_ns(t + 1000000001)), -DER_HLC_SYNC);
	assert_true(h.last == b);
	assert_int_equal(hlc_recv(&h, t, hlc_from_ns(t)), 0); /* an old one changes nothing */
	assert_true(h.last == b);
	assert_true(hlc_now(&h, t + 2000000000) == hlc_from_ns(t + 2000000000));
}

static void
test_mem(void **state)
{
	CLEANUP(freep)
	char *s = NULL;
	char *p;
	int i;

	assert_null(mem_calloc(SIZE_MAX, 2));
	for (i = 1; i <= 4; i++) {
		char *got[4];
		int j;

		mem_fail_at((uint64_t)i);
		got[0] = mem_calloc(1, 10);
		got[1] = mem_strdup("x");
		got[2] = mem_dup("yz", 2);
		got[3] = mem_printf("%d", 5);
		for (j = 0; j < 4; j++) {
			assert_true((got[j] == NULL) == (j == i - 1));
			free(got[j]);
		}
		assert_true(mem_fail_fired());
	}
	mem_fail_at(1);
	mem_fail_at(0);
	s = mem_strndup("hello", 4);
	assert_string_equal(s, "hell");
	assert_false(mem_fail_fired());
	p = mem_realloc(s, 10, 1);
	assert_non_null(p);
	s = NULL;
	mem_fail_at(1);
	assert_null(mem_realloc(p, 20, 1));
	assert_string_equal(p, "hell");
	s = steal_ptr(p);
	assert_null(p);
}

struct item {
	struct list link;
	int v;
};

static void
test_list(void **state)
{
	struct list head = LIST_INIT(head);
	struct list other = LIST_INIT(other);
	struct item it[4] = {{.v = 0}, {.v = 1}, {.v = 2}, {.v = 3}};
	struct list *l;
	struct list *tmp;
	int expect = 0;
	int i;

	assert_null(list_first(&head, struct item, link));
	for (i = 1; i < 3; i++)
		list_push_back(&head, &it[i].link);
	list_push_front(&head, &it[0].link);
	list_push_back(&other, &it[3].link);
	list_splice_back(&head, &other);
	assert_true(list_empty(&other));
	list_splice_back(&head, &other);
	list_for_each_safe (l, tmp, &head) {
		assert_int_equal(list_entry(l, struct item, link)->v, expect++);
		list_del(l);
		list_del(l);
	}
	assert_int_equal(expect, 4);
	assert_true(list_empty(&head));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_err),       cmocka_unit_test(test_bytes_parse),
	    cmocka_unit_test(test_bytes_fmt), cmocka_unit_test(test_iov),
	    cmocka_unit_test(test_htable),    cmocka_unit_test(test_crc),
	    cmocka_unit_test(test_hash),      cmocka_unit_test(test_hlc),
	    cmocka_unit_test(test_mem),       cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
