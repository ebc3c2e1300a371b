/* File data: reads and writes, waiting and with events, sizes, holes. */
#include "client/dfs/test_dfs.h"

static dfs_obj_t *file;

enum { CHUNK = 4096 };

static d_iov_t iov;
static d_sg_list_t sgl = {.sg_nr = 1, .sg_iovs = &iov};

static d_sg_list_t *
list(void *buf, size_t n)
{
	d_iov_set(&iov, buf, n);
	return &sgl;
}

static void
put(uint64_t off, const void *buf, size_t n)
{
	ok(dfs_write(t_dfs, file, list((void *)buf, n), off, NULL));
}

static uint64_t
get(uint64_t off, void *buf, size_t n)
{
	daos_size_t got = 77;

	ok(dfs_read(t_dfs, file, list(buf, n), off, &got, NULL));
	return got;
}

static uint64_t
size_of(void)
{
	daos_size_t size;
	struct stat st;

	ok(dfs_get_size(t_dfs, file, &size));
	ok(dfs_ostat(t_dfs, file, &st));
	assert_int_equal(size, st.st_size);
	return size;
}

static void
test_read_write(void **state)
{
	static uint8_t out[5 * CHUNK], in[6 * CHUNK];
	size_t i;

	for (i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 31 + i / 251);
	assert_int_equal(get(0, in, sizeof(in)), 0);
	assert_int_equal(get(1 << 30, in, sizeof(in)), 0);
	put(100, out, sizeof(out));
	assert_int_equal(size_of(), 100 + sizeof(out));
	memset(in, 0xee, sizeof(in));
	assert_int_equal(get(0, in, sizeof(in)), 100 + sizeof(out));
	for (i = 0; i < 100; i++)
		assert_int_equal(in[i], 0);
	assert_memory_equal(in + 100, out, sizeof(out));
	assert_int_equal(in[100 + sizeof(out)], 0xee); /* behind the end nothing is touched */
	assert_int_equal(get(100 + sizeof(out) - 3, in, 10), 3);
	assert_int_equal(get(100 + sizeof(out), in, 10), 0);
	/* a hole far inside */
	put(1000000, "x", 1);
	memset(in, 0xee, 100);
	assert_int_equal(get(500000, in, 100), 100);
	assert_int_equal(in[0], 0);
	assert_int_equal(in[99], 0);
	/* nothing at all */
	put(5000000, "", 0);
	assert_int_equal(size_of(), 1000001);
	assert_int_equal(get(0, in, 0), 0);
	sgl.sg_nr = 0;
	ok(dfs_write(t_dfs, file, &sgl, 0, NULL));
	sgl.sg_nr = 1;
}

static void
test_bad_io(void **state)
{
	dfs_obj_t *d = t_dir(NULL, "d"), *ro, *wo;
	daos_size_t got;
	char c = 'x';

	rc_is(dfs_write(t_dfs, d, list(&c, 1), 0, NULL), EINVAL);
	rc_is(dfs_read(t_dfs, d, list(&c, 1), 0, &got, NULL), EINVAL);
	rc_is(dfs_punch(t_dfs, d, 0, 1), EINVAL);
	rc_is(dfs_get_size(t_dfs, d, &got), EINVAL);
	rc_is(dfs_write(t_dfs, file, NULL, 0, NULL), EINVAL);
	rc_is(dfs_read(t_dfs, file, &sgl, 0, NULL, NULL), EINVAL);
	rc_is(dfs_write(NULL, file, &sgl, 0, NULL), EINVAL);
	rc_is(dfs_write(t_dfs, file, list(&c, 1), UINT64_MAX, NULL), EFBIG);
	ok(dfs_dup(t_dfs, file, O_RDONLY, &ro));
	rc_is(dfs_write(t_dfs, ro, list(&c, 1), 0, NULL), EPERM);
	ok(dfs_dup(t_dfs, file, O_WRONLY, &wo));
	ok(dfs_write(t_dfs, wo, list(&c, 1), 0, NULL));
	ok(dfs_release(wo));
	ok(dfs_release(ro));
	ok(dfs_release(d));
}

static void
test_ranges(void **state)
{
	daos_range_t rgs[3] = {{0, 4}, {CHUNK - 2, 4}, {3 * CHUNK, 4}};
	dfs_iod_t iod = {.iod_nr = 3, .iod_rgs = rgs};
	char in[12];
	daos_size_t got;

	ok(dfs_writex(t_dfs, file, &iod, list("aaaabbbbcccc", 12), NULL));
	assert_int_equal(size_of(), 3 * CHUNK + 4);
	ok(dfs_readx(t_dfs, file, &iod, list(in, 12), &got, NULL));
	assert_int_equal(got, 12);
	assert_memory_equal(in, "aaaabbbbcccc", 12);
	rgs[2].rg_idx += 2;
	ok(dfs_readx(t_dfs, file, &iod, list(in, 12), &got, NULL));
	assert_int_equal(got, 10);
	/* lists that do not agree */
	rc_is(dfs_writex(t_dfs, file, &iod, list(in, 11), NULL), EINVAL);
	rc_is(dfs_readx(t_dfs, file, &iod, list(in, 11), &got, NULL), EINVAL);
	iod.iod_nr = 0;
	ok(dfs_readx(t_dfs, file, &iod, list(in, 0), &got, NULL));
	assert_int_equal(got, 0);
	iod.iod_nr = 1;
	iod.iod_rgs = NULL;
	rc_is(dfs_writex(t_dfs, file, &iod, list(in, 4), NULL), EINVAL);
}

/* --- events --- */

static int
count_cb(void *arg, daos_event_t *ev, int rc)
{
	++*(int *)arg;
	return 0;
}

/* Until so many are complete. */
static void
reap(daos_handle_t eq, int want, daos_event_t **done)
{
	int n, nr = 0;

	while (nr < want) {
		n = daos_eq_poll(eq, 1, DAOS_EQ_WAIT, want - nr, done + nr);
		assert_in_range(n, 1, want - nr);
		nr += n;
	}
}

/* Started from a frame that is gone when it runs. */
static void __attribute__((noinline))
start(daos_event_t *ev, bool write, d_sg_list_t *l, uint64_t off, daos_size_t *got)
{
	if (write)
		ok(dfs_write(t_dfs, file, l, off, ev));
	else
		ok(dfs_read(t_dfs, file, l, off, got, ev));
}

static void __attribute__((noinline))
start_ranges(daos_event_t *ev, bool write, d_sg_list_t *l, daos_size_t *got)
{
	daos_range_t rgs[2] = {{10, 2}, {20, 2}};
	dfs_iod_t iod = {.iod_nr = 2, .iod_rgs = rgs};

	if (write)
		ok(dfs_writex(t_dfs, file, &iod, l, ev));
	else
		ok(dfs_readx(t_dfs, file, &iod, l, got, ev));
	memset(rgs, 0xff, sizeof(rgs));
}

static void __attribute__((noinline)) scribble(void)
{
	volatile char junk[4096];
	size_t i;

	for (i = 0; i < sizeof(junk); i++)
		junk[i] = (char)0xa5;
}

static void
test_events(void **state)
{
	bool deferred = *state != NULL;
	daos_event_t ev[4], *done[4];
	daos_handle_t eq;
	daos_size_t got[4] = {9, 9, 9, 9};
	char in[4][8];
	d_iov_t v[4];
	d_sg_list_t l[4];
	int i, called = 0;

	memdaos_set_deferred(deferred);
	ok(daos_eq_create(&eq));
	for (i = 0; i < 4; i++) {
		ok(daos_event_init(&ev[i], eq, NULL));
		ok(daos_event_register_comp_cb(&ev[i], count_cb, &called));
		l[i] = (d_sg_list_t){.sg_nr = 1, .sg_iovs = &v[i]};
	}
	d_iov_set(&v[0], "abcd", 4);
	start(&ev[0], true, &l[0], 0, NULL);
	d_iov_set(&v[1], "WXYZ", 4);
	start_ranges(&ev[1], true, &l[1], NULL);
	scribble();
	reap(eq, 2, done);
	assert_int_equal(done[0]->ev_error, 0);
	assert_int_equal(called, 2);
	assert_int_equal(size_of(), 22);
	for (i = 0; i < 4; i++)
		d_iov_set(&v[i], in[i], 4);
	start(&ev[0], false, &l[0], 20, &got[0]);
	start_ranges(&ev[1], false, &l[1], &got[1]);
	start(&ev[2], false, &l[2], 5000, &got[2]);
	/* nothing to read, or to write, still completes */
	d_iov_set(&v[3], in[3], 0);
	start(&ev[3], false, &l[3], 0, &got[3]);
	scribble();
	reap(eq, 4, done);
	assert_int_equal(got[0], 2);
	assert_int_equal(got[1], 4);
	assert_memory_equal(in[1], "WXYZ", 4);
	assert_int_equal(got[2], 0);
	assert_int_equal(got[3], 0);
	start(&ev[3], true, &l[3], 0, NULL);
	reap(eq, 1, done);
	assert_int_equal(done[0]->ev_error, 0);
	for (i = 0; i < 4; i++)
		ok(daos_event_fini(&ev[i]));
	/* without a queue */
	ok(daos_event_init(&ev[0], DAOS_HDL_INVAL, NULL));
	d_iov_set(&v[0], in[0], 4);
	start(&ev[0], false, &l[0], 0, &got[0]);
	{
		bool flag = false;

		ok(daos_event_test(&ev[0], DAOS_EQ_WAIT, &flag));
		assert_true(flag);
	}
	assert_int_equal(got[0], 4);
	assert_memory_equal(in[0], "abcd", 4);
	ok(daos_event_fini(&ev[0]));
	ok(daos_eq_destroy(eq, 0));
}

static void
test_events_deferred(void **state)
{
	void *yes = &yes;

	test_events(&yes);
}

static int
fail_writes(enum mem_op op, void *arg)
{
	return op == MEM_OP_ARRAY_WRITE || op == MEM_OP_ARRAY_READ ? -DER_NOSPACE : 0;
}

/* Errors of dfs calls are errno values, also in events; the next user of the event has his own. */
static void
test_event_errors(void **state)
{
	daos_range_t rg = {0, 10};
	dfs_iod_t iod = {.iod_nr = 1, .iod_rgs = &rg};
	daos_event_t ev, *done;
	daos_handle_t eq;
	daos_size_t got = 5;
	char buf[10];
	daos_array_iod_t aiod = {.arr_nr = 1, .arr_rgs = &rg};

	ok(daos_eq_create(&eq));
	ok(daos_event_init(&ev, eq, NULL));
	ok(dfs_writex(t_dfs, file, &iod, list(buf, 5), &ev));
	reap(eq, 1, &done);
	assert_int_equal(ev.ev_error, EINVAL);
	memdaos_set_hook(fail_writes, NULL);
	rc_is(dfs_write(t_dfs, file, list(buf, 10), 0, NULL), ENOSPC);
	ok(dfs_write(t_dfs, file, list(buf, 10), 0, &ev));
	reap(eq, 1, &done);
	assert_int_equal(ev.ev_error, ENOSPC);
	ok(dfs_read(t_dfs, file, list(buf, 10), 0, &got, &ev));
	reap(eq, 1, &done);
	assert_int_equal(ev.ev_error, ENOSPC);
	assert_int_equal(got, 0);
	ok(daos_array_write(file->oh, DAOS_TX_NONE, &aiod, list(buf, 10), &ev));
	reap(eq, 1, &done);
	assert_int_equal(ev.ev_error, -DER_NOSPACE);
	memdaos_set_hook(NULL, NULL);
	/* an event that is under way is refused, and nothing of that call stays */
	memdaos_set_deferred(true);
	ok(dfs_write(t_dfs, file, list(buf, 10), 0, &ev));
	rc_is(dfs_write(t_dfs, file, list(buf, 10), 0, &ev), EPERM);
	reap(eq, 1, &done);
	assert_int_equal(ev.ev_error, 0);
	ok(daos_event_fini(&ev));
	rc_is(dfs_write(t_dfs, file, list(buf, 10), 0, &ev), EINVAL);
	ok(daos_eq_destroy(eq, 0));
}

/* --- sizes and holes --- */

static void
test_truncate(void **state)
{
	static char buf[3 * CHUNK];
	dfs_obj_t *again;
	char in[16];

	ok(dfs_punch(t_dfs, file, 10, DFS_MAX_FSIZE));
	assert_int_equal(size_of(), 10);
	assert_int_equal(get(0, in, 16), 10);
	ok(dfs_punch(t_dfs, file, 9, DFS_MAX_FSIZE - 1)); /* no overflow */
	assert_int_equal(size_of(), 9);
	ok(dfs_punch(t_dfs, file, 0, DFS_MAX_FSIZE));
	assert_int_equal(size_of(), 0);
	memset(buf, 'q', sizeof(buf));
	put(0, buf, sizeof(buf));
	ok(dfs_punch(t_dfs, file, CHUNK + 5, DFS_MAX_FSIZE));
	assert_int_equal(size_of(), CHUNK + 5);
	memdaos_count_reset();
	ok(dfs_open(t_dfs, NULL, "f", S_IFREG, O_RDWR | O_TRUNC, 0, 0, NULL, &again));
	assert_int_equal(memdaos_count(MEM_OP_ARRAY_SIZE), 0);
	assert_int_equal(memdaos_count_all(), 2); /* entry, object */
	ok(dfs_release(again));
	assert_int_equal(size_of(), 0);
	put(0, buf, CHUNK + 5);
	/* what was cut off does not come back */
	ok(dfs_punch(t_dfs, file, sizeof(buf), DFS_MAX_FSIZE));
	assert_int_equal(size_of(), sizeof(buf));
	assert_int_equal(get(CHUNK, in, 8), 8);
	assert_memory_equal(in, "qqqqq\0\0\0", 8);
	ok(dfs_punch(t_dfs, file, 1ull << 40, DFS_MAX_FSIZE));
	assert_int_equal(size_of(), 1ull << 40);
}

static void
test_holes(void **state)
{
	char buf[100], in[100];

	memset(buf, 'q', sizeof(buf));
	put(0, buf, 100);
	ok(dfs_punch(t_dfs, file, 10, 10));
	assert_int_equal(size_of(), 100);
	assert_int_equal(get(8, in, 14), 14);
	assert_memory_equal(in, "qq\0\0\0\0\0\0\0\0\0\0qq", 14);
	/* behind the end: nothing; up to it: the file ends there */
	ok(dfs_punch(t_dfs, file, 100, 50));
	ok(dfs_punch(t_dfs, file, 500, 50));
	ok(dfs_punch(t_dfs, file, 50, 0));
	assert_int_equal(size_of(), 100);
	ok(dfs_punch(t_dfs, file, 90, 10));
	assert_int_equal(size_of(), 90);
	ok(dfs_punch(t_dfs, file, 0, 1000));
	assert_int_equal(size_of(), 0);
	/* the mount's kind keeps bytes */
	put(0, buf, 100);
	ok(dfs_zero(t_dfs, file, 90, 10));
	assert_int_equal(size_of(), 100);
	ok(dfs_zero(t_dfs, file, 95, 25));
	assert_int_equal(size_of(), 120);
	ok(dfs_zero(t_dfs, file, 200, 10));
	assert_int_equal(size_of(), 210);
	ok(dfs_zero(t_dfs, file, 0, 10));
	assert_int_equal(size_of(), 210);
	assert_int_equal(get(0, in, 100), 100);
	assert_int_equal(in[9], 0);
	assert_int_equal(in[10], 'q');
	assert_int_equal(in[89], 'q');
	assert_int_equal(in[90], 0);
	rc_is(dfs_zero(t_dfs, file, 10, UINT64_MAX), EFBIG);
}

static void
test_by_oid(void **state)
{
	daos_handle_t oh;
	daos_size_t size;

	put(0, "12345", 5);
	ok(dfs_get_size_by_oid(t_dfs, file->oid, CHUNK, &size));
	assert_int_equal(size, 5);
	rc_is(dfs_get_size_by_oid(t_dfs, t_dfs->root_oid, 0, &size), EINVAL);
	ok(dfs_get_file_oh(file, &oh));
	assert_int_equal(oh.cookie, file->oh.cookie);
}

static int
setup(void **state)
{
	t_setup(state);
	return dfs_open(t_dfs, NULL, "f", S_IFREG | 0644, O_CREAT | O_RDWR, 0, CHUNK, NULL, &file);
}

static int
teardown(void **state)
{
	ok(dfs_release(file));
	return t_teardown(state);
}

#define T(_f) cmocka_unit_test_setup_teardown(_f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_read_write), T(test_bad_io),          T(test_ranges),
	    T(test_events),     T(test_events_deferred), T(test_event_errors),
	    T(test_truncate),   T(test_holes),           T(test_by_oid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
