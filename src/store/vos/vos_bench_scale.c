/*
 * Two measurements of vos_bench that need a large target.
 *
 * Files: N times a directory entry and a file object (what DFS makes of a small file), the rate of
 * each tenth, and the heap they take beyond names, inodes and contents. By CPU time too, which
 * other users of the machine disturb less.
 *
 * Restart: a child process makes N keys, overwrites them at random and is killed with SIGKILL; then
 * the pool is opened: time to the first answer, and what of it was replay of the log.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "runtime/xs.h"
#include "store/vos/vos_bench.h"
#include "store/vos/vos_internal.h"

enum {
	WORKERS = 64,
	PARTS = 10,
	DIR_ENTRIES = 10000, /* in one directory */
	INODE_BYTES = 88,
	CONTENT_BYTES = 64,
	VALUE_BYTES = 64,
	DKEYS = 1024, /* of one object */
	LOAD_SECONDS = 2,
};

struct scale {
	const struct scale_conf *conf;
	struct xs *xs;
	struct dev_dir *dir;
	struct vos_pool *pool;
	struct vos_cont *cont;
	uint64_t next, end; /* numbers of the operations to do */
	uint64_t epoch;
	uint64_t content; /* bytes stored that are names, inodes, contents */
	uint64_t rng;     /* restart: 0 = in order */
	int (*one)(struct scale *s, uint64_t n);
	int ready_fd; /* restart, child: tell that the keys are there */
	int rc;
};

static const uuid_t cont_uuid = {1};

static struct vos_pool_conf
pool_conf(uint64_t scm_bytes)
{
	return (struct vos_pool_conf){
	    .name = "scale",
	    .scm_bytes = scm_bytes,
	    .nvme_bytes = 64 << 20,
	    .wal_bytes = 256 << 20,
	};
}

static double
cpu_seconds(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return ru.ru_utime.tv_sec + ru.ru_stime.tv_sec +
	       (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

/* --- operations --------------------------------------------------------------------------------
 */

static int co_fn
make_file(struct scale *s, uint64_t n)
{
	char name[32];
	uint64_t chunk = 1;
	daos_key_t dkey = {.iov_buf = name};
	daos_recx_t recx = {.rx_nr = CONTENT_BYTES};
	daos_iod_t iod = {
	    .iod_name = {.iov_buf = "DFS_INODE", .iov_len = 9},
	    .iod_type = DAOS_IOD_SINGLE,
	    .iod_size = INODE_BYTES,
	    .iod_nr = 1,
	    .iod_recxs = &recx,
	};
	struct vos_io io = {
	    .oid.id = {.lo = 7 + n / DIR_ENTRIES, .hi = (uint64_t)DAOS_OT_MULTI_HASHED << 56},
	    .epoch = ++s->epoch,
	    .cond_flags = DAOS_COND_DKEY_INSERT,
	    .dkey = &dkey,
	    .iods = &iod,
	    .iod_nr = 1,
	};
	int rc;

	dkey.iov_len = snprintf(name, sizeof(name), "file.%08llu.txt", (unsigned long long)n);
	s->content += dkey.iov_len + INODE_BYTES + CONTENT_BYTES;
	rc = bench_put(s->cont, &io, (int)n);
	if (rc != 0)
		return rc;
	io.oid.id = (daos_obj_id_t){.lo = 1 << 20, .hi = (uint64_t)DAOS_OT_ARRAY_BYTE << 56 | n};
	io.epoch = ++s->epoch;
	io.cond_flags = 0;
	dkey = (daos_key_t){.iov_buf = &chunk, .iov_len = sizeof(chunk)};
	iod.iod_name = (daos_key_t){.iov_buf = "0", .iov_len = 1};
	iod.iod_type = DAOS_IOD_ARRAY;
	iod.iod_size = 1;
	return bench_put(s->cont, &io, (int)n);
}

struct key_io {
	uint64_t dkey_num;
	daos_key_t dkey;
	daos_iod_t iod;
	struct vos_io io;
};

static void
key_io(uint64_t n, uint64_t epoch, struct key_io *k)
{
	*k = (struct key_io){.dkey_num = n % DKEYS};
	k->dkey = (daos_key_t){.iov_buf = &k->dkey_num, .iov_len = sizeof(k->dkey_num)};
	k->iod = (daos_iod_t){
	    .iod_name = {.iov_buf = "akey0000", .iov_len = 8},
	    .iod_type = DAOS_IOD_SINGLE,
	    .iod_size = VALUE_BYTES,
	    .iod_nr = 1,
	};
	k->io = (struct vos_io){
	    .oid.id = {.lo = 1 + n / DKEYS, .hi = (uint64_t)DAOS_OT_MULTI_UINT64 << 56},
	    .epoch = epoch,
	    .dkey = &k->dkey,
	    .iods = &k->iod,
	    .iod_nr = 1,
	};
}

static int co_fn
put_key(struct scale *s, uint64_t n)
{
	struct key_io k;

	if (s->rng != 0) {
		s->rng ^= s->rng << 13;
		s->rng ^= s->rng >> 7;
		s->rng ^= s->rng << 17;
		n = s->rng % s->conf->nr;
	}
	key_io(n, ++s->epoch, &k);
	return bench_put(s->cont, &k.io, (int)n);
}

static int co_fn
get_key(struct scale *s, uint64_t n)
{
	const struct iovec *iov;
	struct vos_fetch *f;
	struct key_io k;
	uint32_t nr;
	int rc;

	key_io(n, UINT64_MAX, &k);
	rc = vos_fetch_begin(s->cont, &k.io, 0, &f);
	if (rc != 0)
		return rc;
	iov = vos_fetch_iov(f, 0, &nr);
	if (nr != 1 || iov->iov_base == NULL || *(uint8_t *)iov->iov_base != (uint8_t)n)
		rc = -DER_MISC;
	vos_fetch_end(f);
	return rc;
}

static int co_fn
worker(void *arg)
{
	struct scale *s = arg;

	while (s->rc == 0 && s->next < s->end) {
		int rc = s->one(s, s->next++);

		if (rc != 0 && s->rc == 0)
			s->rc = rc;
	}
	return 0;
}

/* Operations up to number `end`. */
static int co_fn
run(struct scale *s, uint64_t end)
{
	struct co_group g;
	int i;

	s->end = end;
	co_group_init(&g);
	for (i = 0; i < WORKERS; i++)
		co_group_spawn(&g, worker, s);
	co_group_join(&g);
	return s->rc;
}

static int co_fn
open_pool(struct scale *s)
{
	struct vos_pool_conf conf = pool_conf(0);
	int rc;

	conf.scm_cache_bytes = s->conf->resident_bytes;
	rc = vos_pool_open(s->dir, s->xs, &conf, &s->pool);
	return rc != 0 ? rc : vos_cont_open(s->pool, cont_uuid, &s->cont);
}

static int co_fn
make_pool(struct scale *s, uint64_t scm_bytes)
{
	struct vos_pool_conf conf = pool_conf(scm_bytes);
	int rc;

	rc = vos_pool_create(s->dir, s->xs, &conf);
	if (rc != 0)
		return rc;
	rc = vos_pool_open(s->dir, s->xs, &conf, &s->pool);
	if (rc == 0)
		rc = vos_cont_create(s->pool, cont_uuid);
	vos_pool_close(s->pool);
	s->pool = NULL;
	return rc != 0 ? rc : open_pool(s);
}

static void co_fn
close_pool(struct scale *s, bool destroy)
{
	vos_cont_close(s->cont);
	vos_pool_close(s->pool);
	if (destroy)
		vos_pool_destroy(s->dir, s->xs, "scale");
}

/* --- files ------------------------------------------------------------------------------------ */

static int
files_main(void *arg)
{
	struct scale *s = arg;
	double wall[PARTS], cpu[PARTS], total = 0, each;
	uint64_t nr = s->conf->nr, start;
	struct heap_stats h0, h1;
	int i, rc;

	s->one = make_file;
	rc = make_pool(s, nr * 512 + (256ull << 20));
	if (rc != 0)
		return rc;
	heap_stats(s->pool->heap, &h0);
	for (i = 0; rc == 0 && i < PARTS; i++) {
		cpu[i] = cpu_seconds();
		start = xs_now_fresh_ns(s->xs);
		rc = run(s, nr / PARTS * (i + 1));
		wall[i] = (xs_now_fresh_ns(s->xs) - start) / 1e9;
		cpu[i] = cpu_seconds() - cpu[i];
		total += wall[i];
		if (rc == 0 && s->conf->json == NULL)
			printf("files, part %2d of %d: %10.0f /s %6.2f us cpu\n", i + 1, PARTS,
			       nr / PARTS / wall[i], cpu[i] * 1e6 / (nr / PARTS));
		fflush(stdout);
	}
	heap_stats(s->pool->heap, &h1);
	each = (double)(h1.used_bytes - h0.used_bytes - s->content) / (nr / PARTS * PARTS);
	if (rc == 0)
		printf("files: %llu made, %.0f /s, CPU of the last tenth %.2f times the first's, "
		       "%.1f B "
		       "of heap each beyond name, inode and content\n",
		       (unsigned long long)nr, nr / total, cpu[PARTS - 1] / cpu[0], each);
	if (rc == 0 && s->conf->json != NULL)
		fprintf(
		    s->conf->json,
		    "{\"group\": \"vos\", \"name\": \"files\", \"value\": %.0f, \"unit\": "
		    "\"op/s\", "
		    "\"last_to_first\": %.4f, \"last_to_first_cpu\": %.4f, \"heap_bytes\": %.2f}",
		    nr / total, wall[0] / wall[PARTS - 1], cpu[0] / cpu[PARTS - 1], each);
	close_pool(s, true);
	return rc;
}

/* --- restart -----------------------------------------------------------------------------------
 */

/* The child: fill, tell, and change until killed. */
static int
fill_main(void *arg)
{
	struct scale *s = arg;
	int rc;

	s->one = put_key;
	rc = make_pool(s, s->conf->nr * 224 + (256ull << 20));
	if (rc == 0)
		rc = run(s, s->conf->nr);
	if (rc == 0 && write(s->ready_fd, "", 1) != 1)
		rc = -DER_MISC;
	if (rc == 0) {
		s->rng = 88172645463325252ull;
		rc = run(s, UINT64_MAX);
	}
	fprintf(stderr, "vos_bench: " ERR_F "\n", ERR_P(rc));
	_exit(1);
}

static int
restart_main(void *arg)
{
	struct scale *s = arg;
	uint64_t start = xs_now_fresh_ns(s->xs), i;
	double open_s, first_s, replay_s;
	struct heap_stats h;
	int rc;

	rc = open_pool(s);
	open_s = (xs_now_fresh_ns(s->xs) - start) / 1e9;
	if (rc == 0)
		rc = get_key(s, s->conf->nr / 2);
	if (rc != 0)
		return rc;
	first_s = (xs_now_fresh_ns(s->xs) - start) / 1e9;
	heap_stats(s->pool->heap, &h);
	replay_s = h.replay_ns / 1e9;
	/* every key is there */
	for (i = 0; rc == 0 && i < s->conf->nr; i += s->conf->nr / 1000 + 1)
		rc = get_key(s, i);
	printf("restart: %llu keys, first answer after %.3f s (open %.3f s), of which replay %.3f "
	       "s for "
	       "%.1f MiB of log (%.2f GB/s)\n",
	       (unsigned long long)s->conf->nr, first_s, open_s, replay_s,
	       h.replay_bytes / 1048576.0, h.replay_bytes / 1e9 / replay_s);
	if (s->conf->json != NULL)
		fprintf(
		    s->conf->json,
		    "{\"group\": \"vos\", \"name\": \"restart\", \"value\": %.4f, \"unit\": \"s\", "
		    "\"replay_s\": %.4f, \"replay_bytes\": %llu}",
		    first_s, replay_s, (unsigned long long)h.replay_bytes);
	close_pool(s, true);
	return rc;
}

/* --- frame ---------------------------------------------------------------------------------------
 */

static int
on_xs(const struct scale_conf *conf, int ready_fd, int (*fn)(void *arg))
{
	struct scale s = {.conf = conf, .ready_fd = ready_fd};
	struct env env;
	int rc;

	env_init_real(&env);
	rc = xs_create(&(struct xs_conf){.name = "scale", .env = &env, .cpu = -1}, &s.xs);
	if (rc == 0)
		rc = dev_dir_open_files(conf->path, &s.dir);
	if (rc == 0)
		rc = xs_call(s.xs, fn, &s);
	if (s.dir != NULL)
		dev_dir_close(s.dir);
	if (s.xs != NULL)
		xs_destroy(s.xs);
	return rc;
}

int
scale_files(const struct scale_conf *conf)
{
	return on_xs(conf, -1, files_main);
}

/* Wait until the child has filled the pool, give it time to fill the log, kill it. */
static int
kill_loaded(pid_t child, int fd)
{
	int status, rc = 0;
	char c;

	if (read(fd, &c, 1) == 1)
		sleep(LOAD_SECONDS);
	else
		rc = -DER_MISC;
	kill(child, SIGKILL);
	if (waitpid(child, &status, 0) != child || (rc == 0 && !WIFSIGNALED(status)))
		rc = -DER_MISC;
	return rc;
}

int
scale_restart(const struct scale_conf *conf)
{
	int fds[2], rc;
	pid_t child;

	if (pipe(fds) != 0)
		return -DER_IO;
	child = fork();
	if (child == 0) {
		close(fds[0]);
		on_xs(conf, fds[1], fill_main);
		_exit(1);
	}
	close(fds[1]);
	rc = child < 0 ? -DER_MISC : kill_loaded(child, fds[0]);
	close(fds[0]);
	return rc != 0 ? rc : on_xs(conf, -1, restart_main);
}
