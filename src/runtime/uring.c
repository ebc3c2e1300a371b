/*
 * File I/O for coroutines by io_uring.
 *
 * A call prepares its submission entry and parks; the loop's hook at the end of the turn submits
 * all entries of the turn by one system call; the loop's poll takes completions and wakes the
 * callers. While something is outstanding the ring's descriptor, a member of the epoll set, ends
 * the loop's sleep. The number of operations in flight stays below the size of the completion
 * ring, so none is ever dropped or queued aside by the kernel.
 */
#define LOG_FACILITY "rt"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <daos_errno.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/fork_gen.h"
#include "runtime/uring.h"
#include "runtime/xs_internal.h"

enum {
	SQ_ENTRIES = 256,
	CQ_ENTRIES = 2048,
};

struct uring {
	struct io_uring ring;
	struct xs *xs;
	struct xs_source source;
	struct xs_hook hook;
	struct co_sem slots; /* CQ_ENTRIES less those in flight */
	uint32_t unsubmitted;
	uint32_t in_flight; /* submitted and not completed */
	uint32_t fork_gen;
};

/* One operation, on the stack of its coroutine. */
struct uring_op {
	struct co *co;
	int res;
	bool done;
};

static void
uring_submit(struct uring *u)
{
	int n = io_uring_submit(&u->ring);

	if (n >= 0) {
		u->unsubmitted -= (uint32_t)n;
		u->in_flight += (uint32_t)n;
	} else if (n != -EAGAIN && n != -EBUSY && n != -EINTR) {
		/* entries are checked one by one in their completions: this is a bug of ours */
		log_crit("%s: io_uring submission: %s", u->xs->name, strerror(-n));
		abort();
	}
	/* what is left is tried again by the next poll */
}

static uint32_t
uring_poll(struct xs_source *src)
{
	struct uring *u = src->arg;
	struct io_uring_cqe *cqe;
	uint32_t nr = 0;

	if (u->unsubmitted > 0)
		uring_submit(u);
	while (u->in_flight > 0 && io_uring_peek_cqe(&u->ring, &cqe) == 0) {
		struct uring_op *op = io_uring_cqe_get_data(cqe);

		op->res = cqe->res;
		op->done = true;
		io_uring_cqe_seen(&u->ring, cqe);
		u->in_flight--;
		co_wake(op->co);
		nr++;
	}
	return nr;
}

static bool
uring_prepare_sleep(struct xs_source *src)
{
	struct uring *u = src->arg;

	return u->unsubmitted == 0 && (u->in_flight == 0 || io_uring_cq_ready(&u->ring) == 0);
}

static void
uring_flush(struct xs_hook *hook)
{
	struct uring *u = hook->arg;

	if (u->unsubmitted > 0)
		uring_submit(u);
}

/*
 * On an xstream with a thread of its own, completions need not interrupt that thread: it looks for
 * them anyway. (A loop that several threads drive in turn may leave the one that submitted.)
 */
static int
ring_init(struct xs *xs, struct io_uring *ring, struct io_uring_params *params)
{
	const struct io_uring_params base = {
	    .flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
	    .cq_entries = CQ_ENTRIES,
	};
	int rc;

	if (xs->threaded) {
		*params = base;
		params->flags |= IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
		rc = io_uring_queue_init_params(SQ_ENTRIES, ring, params);
		if (rc != -EINVAL) /* kernels before 5.19 do not know them */
			return rc;
	}
	*params = base;
	return io_uring_queue_init_params(SQ_ENTRIES, ring, params);
}

static int
uring_create(struct xs *xs, struct uring **ret_uring)
{
	struct uring *u = mem_new(struct uring);
	struct io_uring_params params;
	int rc;

	if (u == NULL)
		return -DER_NOMEM;
	rc = ring_init(xs, &u->ring, &params);
	if (rc != 0) {
		log_every(60000, LOG_LVL_ERR, "%s: io_uring is not available: %s%s", xs->name,
			  strerror(-rc),
			  rc == -EPERM ? " (switched off by the kernel setting io_uring_disabled?)"
				       : "");
		free(u);
		return rc == -ENOMEM ? -DER_NOMEM : -DER_NOSYS;
	}
	io_uring_ring_dontfork(&u->ring);
	u->xs = xs;
	u->fork_gen = fork_gen();
	co_sem_init(&u->slots, params.cq_entries);
	u->source = (struct xs_source){
	    .fd = u->ring.ring_fd,
	    .poll = uring_poll,
	    .prepare_sleep = uring_prepare_sleep,
	    .arg = u,
	};
	u->hook = (struct xs_hook){.fn = uring_flush, .arg = u};
	rc = xs_source_add(xs, &u->source);
	if (rc != 0) {
		io_uring_queue_exit(&u->ring);
		free(u);
		return rc;
	}
	xs_hook_add(xs, &u->hook);
	*ret_uring = u;
	return 0;
}

void
uring_destroy(struct xs *xs)
{
	struct uring *u = xs->uring;

	if (u == NULL)
		return;
	xs->uring = NULL;
	xs_hook_del(xs, &u->hook);
	xs_source_del(xs, &u->source);
	if (u->fork_gen == fork_gen()) {
		assert(u->in_flight == 0 && u->unsubmitted == 0);
		io_uring_queue_exit(&u->ring);
	} else {
		/* a forked child: its rings are not mapped here, the descriptor is all there is */
		close(u->ring.ring_fd);
	}
	free(u);
}

static int
uring_get(struct xs *xs, struct uring **ret_uring)
{
	int rc;

	if (xs->sim != NULL)
		return -DER_NOSYS;
	if (xs->uring == NULL) {
		rc = uring_create(xs, &xs->uring);
		if (rc != 0)
			return rc;
	}
	assert(xs->uring->fork_gen == fork_gen());
	*ret_uring = xs->uring;
	return 0;
}

int
uring_probe(struct xs *xs)
{
	struct uring *u;

	return uring_get(xs, &u);
}

/* A free entry. It must be filled in and handed to uring_wait() without a yield between. */
static int co_fn
uring_begin(struct xs *xs, struct uring **ret_uring, struct io_uring_sqe **ret_sqe)
{
	struct io_uring_sqe *sqe;
	struct uring *u;
	int rc;

	assert(co_xs() == xs);
	rc = uring_get(xs, &u);
	if (rc != 0)
		return rc;
	co_sem_get(&u->slots);
	while ((sqe = io_uring_get_sqe(&u->ring)) == NULL) {
		uring_submit(u);
		if (io_uring_sq_space_left(&u->ring) == 0)
			co_yield(); /* the kernel is short of something; completions will help */
	}
	*ret_uring = u;
	*ret_sqe = sqe;
	return 0;
}

/* Wait for the operation; its result as the kernel gives it. */
static int co_fn
uring_wait(struct uring *u, struct io_uring_sqe *sqe)
{
	struct uring_op op = {.co = co_self()};

	io_uring_sqe_set_data(sqe, &op);
	u->unsubmitted++;
	while (!op.done)
		co_park();
	co_sem_put(&u->slots);
	return op.res;
}

/* Outcome of a transfer of want bytes. */
static int
transfer_rc(int res, uint64_t want, bool write, size_t *ret_bytes)
{
	if (res < 0)
		return res == -ENOSPC || res == -EDQUOT ? -DER_NOSPACE : err_from_errno(res);
	if (ret_bytes != NULL) {
		*ret_bytes = (size_t)res;
		return 0;
	}
	if ((uint64_t)res == want)
		return 0;
	return write ? -DER_NOSPACE : -DER_IO;
}

static uint64_t
total(const struct iovec *iov, int nr)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < nr; i++)
		sum += iov[i].iov_len;
	return sum;
}

int co_fn
uring_readv(struct xs *xs, int fd, const struct iovec *iov, int iov_nr, uint64_t off,
	    size_t *ret_bytes)
{
	struct io_uring_sqe *sqe;
	struct uring *u;
	int rc;

	rc = uring_begin(xs, &u, &sqe);
	if (rc != 0)
		return rc;
	/* one segment needs no array to be copied and checked */
	if (iov_nr == 1)
		io_uring_prep_read(sqe, fd, iov->iov_base, (unsigned int)iov->iov_len, off);
	else
		io_uring_prep_readv(sqe, fd, iov, (unsigned int)iov_nr, off);
	rc = uring_wait(u, sqe);
	return transfer_rc(rc, total(iov, iov_nr), false, ret_bytes);
}

int co_fn
uring_writev(struct xs *xs, int fd, const struct iovec *iov, int iov_nr, uint64_t off, int rw_flags,
	     size_t *ret_bytes)
{
	struct io_uring_sqe *sqe;
	struct uring *u;
	int rc;

	rc = uring_begin(xs, &u, &sqe);
	if (rc != 0)
		return rc;
	if (iov_nr == 1)
		io_uring_prep_write(sqe, fd, iov->iov_base, (unsigned int)iov->iov_len, off);
	else
		io_uring_prep_writev(sqe, fd, iov, (unsigned int)iov_nr, off);
	sqe->rw_flags = rw_flags;
	rc = uring_wait(u, sqe);
	return transfer_rc(rc, total(iov, iov_nr), true, ret_bytes);
}

int co_fn
uring_fsync(struct xs *xs, int fd, bool metadata)
{
	struct io_uring_sqe *sqe;
	struct uring *u;
	int rc;

	rc = uring_begin(xs, &u, &sqe);
	if (rc != 0)
		return rc;
	io_uring_prep_fsync(sqe, fd, metadata ? 0 : IORING_FSYNC_DATASYNC);
	return err_from_errno(uring_wait(u, sqe));
}

int co_fn
uring_fallocate(struct xs *xs, int fd, int mode, uint64_t off, uint64_t len)
{
	struct io_uring_sqe *sqe;
	struct uring *u;
	int rc;

	rc = uring_begin(xs, &u, &sqe);
	if (rc != 0)
		return rc;
	io_uring_prep_fallocate(sqe, fd, mode, (off_t)off, (off_t)len);
	return err_from_errno(uring_wait(u, sqe));
}
