/*
 * Data path of the NVMe tier: block cache and merging writer.
 *
 * Cache. Memory is one reservation cut into frames of a block each. A frame is free, cached (in the
 * hash table under its block), or orphaned (unlinked while somebody still uses it). Frames are
 * taken by a hand that goes round (CLOCK: a second chance for what was used since the last visit),
 * so a view usually gets neighbouring frames and needs few segments. A view first claims its number
 * of blocks from a budget and waits while there is none left. Operations may hold one view and ask
 * for another; so that they never wait for each other for ever, who has waited long is served from
 * frames beyond the budget, whose memory is given back as soon as they are let go.
 *
 * Writer. data_view_write() queues the view; at the end of the loop turn the queue, sorted, is
 * split into groups of neighbours up to merge_max_bytes, and each group becomes one synchronous
 * device write by a coroutine of its own. With many groups under way the rest waits and is joined
 * with what comes later.
 */
#define LOG_FACILITY "data"
#include "store/space/data.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <daos_errno.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/xs.h"

enum {
	CACHE_DEFAULT = 64 << 20,
	CACHE_MIN = 4 << 20,
	IDLE_MS = 10000,
	MERGE_DEFAULT = 1 << 20,
	WRITES_INFLIGHT = 16,
	READ_MERGE_BLKS = 256,
	OVERDRAFT = 4, /* frames there are for each one in the budget */
	CLAIM_PATIENCE_MS = 100,
	RETRY_NS = 10000000, /* after a lack of memory */
	RETRIES = 100,
	FRAME_NONE = UINT32_MAX,
};

struct frame {
	uint64_t blk;
	uint32_t next; /* in the hash chain */
	uint32_t pin_nr;
	bool linked;  /* in the hash table */
	bool used;    /* since the hand passed */
	bool loading; /* its content is on the way */
	bool bad;     /* it did not arrive */
	bool trusted; /* compared with checksums since it came */
};

struct claim_waiter {
	struct list link;
	uint32_t blk_nr;
	struct co_future done;
};

struct data {
	struct data_conf conf;
	struct dev *dev;
	uint8_t *mem;
	struct frame *frames;
	uint32_t *buckets;
	uint32_t bucket_mask;
	uint32_t frame_nr;  /* the budget */
	uint32_t frame_max; /* with the overdraft */
	uint32_t hand;
	uint32_t claimed_nr;
	uint32_t live_nr; /* frames with memory: linked or pinned */
	struct list claim_waiters;
	struct co_waitq load_wq;

	struct list queue; /* data_write */
	uint32_t queue_nr;
	uint32_t writing_nr;
	struct xs_hook hook;
	struct co_waitq quiet_wq; /* the last write ended */
	struct xs_timer retry_timer;

	struct xs_timer idle_timer;
	bool used; /* since the idle timer looked */
	struct data_stats stats;
};

static uint8_t *
frame_mem(const struct data *d, uint32_t f)
{
	return d->mem + (uint64_t)f * SPACE_BLOCK;
}

/* --- hash table
 * ------------------------------------------------------------------------------------------ */

static uint32_t *
bucket(const struct data *d, uint64_t blk)
{
	return &d->buckets[hash_u64(blk) & d->bucket_mask];
}

static uint32_t
lookup(const struct data *d, uint64_t blk)
{
	uint32_t f = *bucket(d, blk);

	while (f != FRAME_NONE && d->frames[f].blk != blk)
		f = d->frames[f].next;
	return f;
}

static void
link_frame(struct data *d, uint32_t f, uint64_t blk)
{
	uint32_t *head = bucket(d, blk);

	d->frames[f].blk = blk;
	d->frames[f].next = *head;
	d->frames[f].linked = true;
	*head = f;
}

static void
unlink_frame(struct data *d, uint32_t f)
{
	struct frame *frame = &d->frames[f];
	uint32_t *at = bucket(d, frame->blk);

	if (!frame->linked)
		return;
	while (*at != f)
		at = &d->frames[*at].next;
	*at = frame->next;
	frame->linked = false;
	if (frame->pin_nr == 0)
		d->live_nr--;
}

/* --- frames
 * ------------------------------------------------------------------------------------------------
 */

static void
pin(struct data *d, uint32_t f)
{
	d->frames[f].pin_nr++;
	d->frames[f].used = true;
}

static void
unpin(struct data *d, uint32_t f)
{
	struct frame *frame = &d->frames[f];

	assert(frame->pin_nr > 0);
	frame->pin_nr--;
	if (frame->pin_nr > 0)
		return;
	if (!frame->linked)
		d->live_nr--;
	if (f >= d->frame_nr) {
		unlink_frame(d, f);
		madvise(frame_mem(d, f), SPACE_BLOCK, MADV_DONTNEED);
	}
}

/* A frame for new content, pinned. There is one: its block was claimed. */
static uint32_t
take_frame(struct data *d)
{
	/* Every frame within the budget may be in use while the overdraft is. */
	uint32_t end = d->claimed_nr > d->frame_nr ? d->frame_max : d->frame_nr;

	for (;;) {
		uint32_t f = d->hand < end ? d->hand : 0;
		struct frame *frame = &d->frames[f];

		d->hand = f + 1;
		if (frame->pin_nr > 0)
			continue;
		if (frame->linked && frame->used) {
			frame->used = false;
			continue;
		}
		unlink_frame(d, f);
		d->live_nr++;
		frame->loading = false;
		frame->bad = false;
		frame->trusted = false;
		pin(d, f);
		return f;
	}
}

static void
idle_arm(struct data *d)
{
	d->used = true;
	if (d->idle_timer.heap_idx == 0)
		xs_timer_arm(d->conf.xs, &d->idle_timer,
			     xs_now_ns(d->conf.xs) + d->conf.idle_ms * 1000000ull);
}

/* Nothing happened for a while: give the memory of all frames not in use back. */
static void
idle_due(struct xs_timer *t)
{
	struct data *d = t->arg;
	uint32_t f;

	if (d->used || d->claimed_nr > 0) {
		d->used = false;
		xs_timer_arm(d->conf.xs, t, xs_now_ns(d->conf.xs) + d->conf.idle_ms * 1000000ull);
		return;
	}
	for (f = 0; f < d->frame_nr; f++)
		unlink_frame(d, f);
	madvise(d->mem, (uint64_t)d->frame_nr * SPACE_BLOCK, MADV_DONTNEED);
	madvise(d->frames, d->frame_nr * sizeof(*d->frames), MADV_DONTNEED);
	d->hand = 0;
}

/* --- claims
 * --------------------------------------------------------------------------------------------------
 */

static int co_fn
claim(struct data *d, uint32_t blk_nr)
{
	struct claim_waiter w = {.blk_nr = blk_nr};
	int rc;

	idle_arm(d);
	if (list_empty(&d->claim_waiters) && d->claimed_nr + blk_nr <= d->frame_nr) {
		d->claimed_nr += blk_nr;
		return 0;
	}
	co_future_init(&w.done);
	list_push_back(&d->claim_waiters, &w.link);
	rc = co_future_wait(&w.done, xs_now_ns(d->conf.xs) + CLAIM_PATIENCE_MS * (uint64_t)1000000);
	if (rc != -DER_TIMEDOUT || w.done.done)
		return w.done.rc;
	list_del(&w.link);
	if (d->claimed_nr + blk_nr > d->frame_max)
		return -DER_NOMEM;
	d->claimed_nr += blk_nr;
	return 0;
}

static void
unclaim(struct data *d, uint32_t blk_nr)
{
	struct claim_waiter *w;

	d->claimed_nr -= blk_nr;
	while ((w = list_first(&d->claim_waiters, struct claim_waiter, link)) != NULL) {
		if (d->claimed_nr + w->blk_nr > d->frame_nr)
			break;
		list_del(&w->link);
		d->claimed_nr += w->blk_nr;
		co_future_complete(&w->done, 0);
	}
}

/* --- views
 * -----------------------------------------------------------------------------------------------------
 */

static void
view_free(struct data_view *view)
{
	if (view->frame != view->frame_inl)
		free(view->frame);
	if (view->iov != view->iov_inl)
		free(view->iov);
	memset(view, 0, sizeof(*view));
}

/* Claims blk_nr blocks and makes an empty view of them. */
static int co_fn
view_init(struct data *d, uint64_t blk, uint32_t blk_nr, struct data_view *view)
{
	const uint32_t inl = sizeof(view->frame_inl) / sizeof(view->frame_inl[0]);
	int rc;

	memset(view, 0, sizeof(*view));
	if (blk_nr == 0 || blk_nr > DATA_VIEW_BLOCKS_MAX ||
	    (blk + blk_nr) * SPACE_BLOCK > d->dev->size_bytes)
		return -DER_INVAL;
	view->d = d;
	view->blk = blk;
	view->blk_nr = blk_nr;
	view->frame = blk_nr <= inl ? view->frame_inl : mem_calloc(blk_nr, sizeof(*view->frame));
	rc = view->frame == NULL ? -DER_NOMEM : claim(d, blk_nr);
	if (rc != 0)
		view_free(view);
	return rc;
}

/* All frames are there: describe them in segments. */
static int
view_describe(struct data_view *view)
{
	const uint32_t inl = sizeof(view->iov_inl) / sizeof(view->iov_inl[0]);
	uint32_t i, nr = 1;

	for (i = 1; i < view->blk_nr; i++)
		nr += view->frame[i] != view->frame[i - 1] + 1;
	view->iov = nr <= inl ? view->iov_inl : mem_calloc(nr, sizeof(*view->iov));
	if (view->iov == NULL)
		return -DER_NOMEM;
	nr = 0;
	for (i = 0; i < view->blk_nr; i++) {
		if (i > 0 && view->frame[i] == view->frame[i - 1] + 1)
			view->iov[nr - 1].iov_len += SPACE_BLOCK;
		else
			view->iov[nr++] = (struct iovec){
			    .iov_base = frame_mem(view->d, view->frame[i]), .iov_len = SPACE_BLOCK};
	}
	view->iov_nr = nr;
	return 0;
}

void
data_view_put(struct data_view *view)
{
	struct data *d = view->d;
	uint32_t i;

	if (d == NULL)
		return;
	for (i = 0; i < view->blk_nr; i++)
		unpin(d, view->frame[i]);
	unclaim(d, view->blk_nr);
	view_free(view);
}

int co_fn
data_view_alloc(struct data *d, uint64_t blk, uint32_t blk_nr, struct data_view *view)
{
	uint32_t i;
	int rc;

	rc = view_init(d, blk, blk_nr, view);
	if (rc != 0)
		return rc;
	for (i = 0; i < blk_nr; i++)
		view->frame[i] = take_frame(d);
	rc = view_describe(view);
	if (rc != 0)
		data_view_put(view);
	return rc;
}

/* --- reading
 * ---------------------------------------------------------------------------------------------------
 */

/* Read blocks [first, first + nr) of the view, all marked as loading by us. */
static int co_fn
load_run(struct data_view *view, uint32_t first, uint32_t nr)
{
	struct data *d = view->d;
	struct iovec iov[READ_MERGE_BLKS];
	uint32_t i, iov_nr = 0;
	int rc;

	for (i = first; i < first + nr; i++) {
		if (i > first && view->frame[i] == view->frame[i - 1] + 1)
			iov[iov_nr - 1].iov_len += SPACE_BLOCK;
		else
			iov[iov_nr++] = (struct iovec){.iov_base = frame_mem(d, view->frame[i]),
						       .iov_len = SPACE_BLOCK};
	}
	d->stats.read_nr++;
	d->stats.read_bytes += (uint64_t)nr * SPACE_BLOCK;
	rc = dev_readv(d->dev, (view->blk + first) * SPACE_BLOCK, iov, iov_nr);
	for (i = first; i < first + nr; i++) {
		struct frame *frame = &d->frames[view->frame[i]];

		frame->loading = false;
		frame->bad = rc != 0;
		if (rc != 0 && frame->linked)
			unlink_frame(d, view->frame[i]);
	}
	co_waitq_wake_all(&d->load_wq);
	return rc;
}

struct read_job {
	struct data_view *view;
	uint32_t first, nr;
};

static int co_fn
load_job(void *arg)
{
	struct read_job *job = arg;

	return load_run(job->view, job->first, job->nr);
}

/* Load what was not cached, gap by gap; several gaps at the same time. */
static int co_fn
load_missing(struct data_view *view, const bool *missing)
{
	struct read_job *jobs;
	struct co_group group;
	uint32_t i, job_nr = 0;
	int rc = 0, rc2;

	jobs = mem_calloc(view->blk_nr, sizeof(*jobs));
	if (jobs == NULL)
		return -DER_NOMEM;
	for (i = 0; i < view->blk_nr; i++) {
		if (!missing[i])
			continue;
		if (job_nr > 0 && jobs[job_nr - 1].first + jobs[job_nr - 1].nr == i &&
		    jobs[job_nr - 1].nr < READ_MERGE_BLKS)
			jobs[job_nr - 1].nr++;
		else
			jobs[job_nr++] = (struct read_job){.view = view, .first = i, .nr = 1};
	}
	co_group_init(&group);
	for (i = 1; i < job_nr; i++) {
		if (co_group_spawn(&group, load_job, &jobs[i]) != 0)
			break;
	}
	if (job_nr > 0)
		rc = load_job(&jobs[0]);
	for (; job_nr > 0 && i < job_nr; i++) { /* those that could not be spawned */
		rc2 = load_job(&jobs[i]);
		rc = rc != 0 ? rc : rc2;
	}
	rc2 = co_group_join(&group);
	free(jobs);
	return rc != 0 ? rc : rc2;
}

/* Find or take a frame for each block; *ret_nr of them are to be loaded by us. */
static void
gather(struct data_view *view, bool *missing, uint32_t *ret_nr)
{
	struct data *d = view->d;
	uint32_t i;

	*ret_nr = 0;
	for (i = 0; i < view->blk_nr; i++) {
		uint32_t f = lookup(d, view->blk + i);

		missing[i] = f == FRAME_NONE;
		if (missing[i]) {
			f = take_frame(d);
			link_frame(d, f, view->blk + i);
			d->frames[f].loading = true;
			(*ret_nr)++;
		} else {
			pin(d, f);
		}
		view->frame[i] = f;
	}
	d->stats.miss_nr += *ret_nr;
	d->stats.hit_nr += view->blk_nr - *ret_nr;
}

/* Wait for what others are loading. */
static int co_fn
await_others(struct data_view *view)
{
	struct data *d = view->d;
	uint32_t i;

	for (i = 0; i < view->blk_nr; i++) {
		while (d->frames[view->frame[i]].loading)
			co_waitq_wait(&d->load_wq, 0);
		if (d->frames[view->frame[i]].bad)
			return -DER_IO;
	}
	return 0;
}

/* Nothing to load was left behind half way: whoever waits for these frames gets an error. */
static void
abandon(struct data_view *view, const bool *missing)
{
	struct data *d = view->d;
	uint32_t i;

	for (i = 0; i < view->blk_nr; i++) {
		struct frame *frame = &d->frames[view->frame[i]];

		if (!missing[i] || !frame->loading)
			continue;
		frame->loading = false;
		frame->bad = true;
		unlink_frame(d, view->frame[i]);
	}
	co_waitq_wake_all(&d->load_wq);
}

int co_fn
data_view_read(struct data *d, uint64_t blk, uint32_t blk_nr, struct data_view *view)
{
	bool missing[DATA_VIEW_BLOCKS_MAX];
	uint32_t nr;
	int rc;

	rc = view_init(d, blk, blk_nr, view);
	if (rc != 0)
		return rc;
	gather(view, missing, &nr);
	if (nr > 0) {
		rc = load_missing(view, missing);
		if (rc != 0)
			abandon(view, missing);
	}
	if (rc == 0)
		rc = await_others(view);
	if (rc == 0)
		rc = view_describe(view);
	if (rc != 0)
		data_view_put(view);
	return rc;
}

/* --- writing
 * -----------------------------------------------------------------------------------------------------
 */

/* Requests that become one device write. */
struct write_job {
	struct data *d;
	struct list reqs;
	uint64_t blk;
	uint32_t blk_nr;
	uint32_t iov_nr;
};

void
data_view_show(struct data_view *view)
{
	struct data *d = view->d;
	uint32_t i, old;

	if (view->shown)
		return;
	view->shown = true;
	for (i = 0; i < view->blk_nr; i++) {
		old = lookup(d, view->blk + i);
		if (old == view->frame[i])
			continue;
		if (old != FRAME_NONE)
			unlink_frame(d, old);
		link_frame(d, view->frame[i], view->blk + i);
	}
}

static void
forget_view(struct data_view *view)
{
	uint32_t i, old;

	for (i = 0; i < view->blk_nr; i++) {
		old = lookup(view->d, view->blk + i);
		if (old != FRAME_NONE)
			unlink_frame(view->d, old);
	}
}

static int co_fn
write_out(struct write_job *job)
{
	struct data *d = job->d;
	struct iovec iov[DEV_IOV_MAX];
	struct list *pos;
	uint32_t nr = 0;

	list_for_each (pos, &job->reqs) {
		const struct data_view *view = list_entry(pos, struct data_write, link)->view;

		/* A single view may have more segments than fit: the device splits it. */
		if (view->iov_nr > DEV_IOV_MAX) {
			assert(job->reqs.next->next == &job->reqs);
			return dev_writev(d->dev, job->blk * SPACE_BLOCK, view->iov, view->iov_nr,
					  DEV_WRITE_SYNC);
		}
		memcpy(&iov[nr], view->iov, view->iov_nr * sizeof(*iov));
		nr += view->iov_nr;
	}
	return dev_writev(d->dev, job->blk * SPACE_BLOCK, iov, nr, DEV_WRITE_SYNC);
}

static void co_fn
write_job_main(void *arg)
{
	struct write_job *job = arg;
	struct data *d = job->d;
	struct data_write *req;
	int rc, tries;

	d->stats.write_nr++;
	d->stats.written_bytes += (uint64_t)job->blk_nr * SPACE_BLOCK;
	rc = write_out(job);
	for (tries = 0; rc == -DER_NOMEM && tries < RETRIES; tries++) {
		co_sleep_ns(RETRY_NS);
		rc = write_out(job);
	}
	while ((req = list_first(&job->reqs, struct data_write, link)) != NULL) {
		list_del(&req->link);
		if (rc == 0)
			data_view_show(req->view);
		else
			forget_view(req->view);
		req->done(req, rc);
	}
	free(job);
	d->writing_nr--; /* the end of this turn starts what waits */
	if (d->writing_nr == 0)
		co_waitq_wake_all(&d->quiet_wq);
}

static bool
job_takes(const struct write_job *job, const struct data_view *view, uint32_t merge_max)
{
	return job->blk + job->blk_nr == view->blk &&
	       ((uint64_t)job->blk_nr + view->blk_nr) * SPACE_BLOCK <= merge_max &&
	       job->iov_nr + view->iov_nr <= DEV_IOV_MAX;
}

/* Keep the queue sorted by block; nearly always the newest is the last. */
static void
enqueue(struct data *d, struct data_write *req)
{
	struct list *pos = d->queue.prev;

	while (pos != &d->queue &&
	       list_entry(pos, struct data_write, link)->view->blk > req->view->blk)
		pos = pos->prev;
	list_push_front(pos, &req->link);
	d->queue_nr++;
}

/* No memory: a transaction may be committed that needs this write, so it is tried until it works.
 */
static void
dispatch_later(struct data *d)
{
	xs_timer_arm(d->conf.xs, &d->retry_timer, xs_now_ns(d->conf.xs) + RETRY_NS);
}

/* Start as many device writes as may run, each with all neighbours from the queue. */
static void
dispatch(struct data *d)
{
	struct data_write *req;

	while (d->writing_nr < WRITES_INFLIGHT &&
	       (req = list_first(&d->queue, struct data_write, link)) != NULL) {
		struct write_job *job = mem_new(struct write_job);

		if (job == NULL) {
			dispatch_later(d);
			return;
		}
		job->d = d;
		job->blk = req->view->blk;
		list_init(&job->reqs);
		do {
			list_del(&req->link);
			list_push_back(&job->reqs, &req->link);
			d->queue_nr--;
			job->blk_nr += req->view->blk_nr;
			job->iov_nr += req->view->iov_nr;
			req = list_first(&d->queue, struct data_write, link);
		} while (req != NULL && job_takes(job, req->view, d->conf.merge_max_bytes));
		d->writing_nr++;
		if (co_spawn(d->conf.xs, write_job_main, job) != 0) {
			d->writing_nr--;
			while ((req = list_first(&job->reqs, struct data_write, link)) != NULL) {
				list_del(&req->link);
				enqueue(d, req);
			}
			free(job);
			dispatch_later(d);
			return;
		}
	}
}

static void
end_of_turn(struct xs_hook *h)
{
	struct data *d = h->arg;

	if (d->queue_nr > 0 && d->retry_timer.heap_idx == 0)
		dispatch(d);
}

static void
retry_due(struct xs_timer *t)
{
	dispatch(t->arg);
}

void
data_view_write_start(struct data_view *view, struct data_write *w)
{
	w->view = view;
	view->d->stats.write_req_nr++;
	enqueue(view->d, w);
}

/* One who waits for his write. */
struct waiting_write {
	struct data_write w;
	struct co_future done;
};

static void
wake_waiting(struct data_write *w, int rc)
{
	co_future_complete(&container_of(w, struct waiting_write, w)->done, rc);
}

int co_fn
data_view_write(struct data_view *view)
{
	struct waiting_write ww = {.w.done = wake_waiting};

	co_future_init(&ww.done);
	data_view_write_start(view, &ww.w);
	return co_future_wait(&ww.done, 0);
}

/* --- trust
 * ------------------------------------------------------------------------------------------------
 */

bool
data_is_trusted(const struct data *d, uint64_t blk, uint64_t blk_nr)
{
	uint64_t i;

	for (i = 0; i < blk_nr; i++) {
		uint32_t f = lookup(d, blk + i);

		if (f == FRAME_NONE || !d->frames[f].trusted)
			return false;
	}
	return true;
}

bool
data_view_is_trusted(const struct data_view *view, uint32_t first, uint32_t nr)
{
	uint32_t i;

	assert(first + nr <= view->blk_nr);
	for (i = first; i < first + nr; i++)
		if (!view->d->frames[view->frame[i]].trusted)
			return false;
	return true;
}

void
data_view_trust(struct data_view *view, uint32_t first, uint32_t nr)
{
	uint32_t i;

	assert(first + nr <= view->blk_nr);
	for (i = first; i < first + nr; i++)
		view->d->frames[view->frame[i]].trusted = true;
}

/* --- convenience
 * ---------------------------------------------------------------------------------------------------
 */

/* Copy from a list of segments, position *at in segment *i, into a view; the rest becomes zero. */
static void
fill_view(struct data_view *view, const struct iovec *iov, int iov_nr, int *i, size_t *at)
{
	uint32_t seg;

	for (seg = 0; seg < view->iov_nr; seg++) {
		uint8_t *dst = view->iov[seg].iov_base;
		size_t room = view->iov[seg].iov_len;

		while (room > 0 && *i < iov_nr) {
			size_t n = iov[*i].iov_len - *at < room ? iov[*i].iov_len - *at : room;

			memcpy(dst, (const uint8_t *)iov[*i].iov_base + *at, n);
			dst += n;
			room -= n;
			*at += n;
			if (*at == iov[*i].iov_len) {
				*at = 0;
				(*i)++;
			}
		}
		memset(dst, 0, room);
	}
}

int co_fn
data_write(struct data *d, uint64_t blk, const struct iovec *iov, int iov_nr)
{
	uint64_t left = 0;
	size_t at = 0;
	int i, seg = 0, rc = 0;

	for (i = 0; i < iov_nr; i++)
		left += iov[i].iov_len;
	left = (left + SPACE_BLOCK - 1) / SPACE_BLOCK;
	while (rc == 0 && left > 0) {
		uint32_t nr = left < DATA_VIEW_BLOCKS_MAX ? left : DATA_VIEW_BLOCKS_MAX;
		struct data_view view;

		rc = data_view_alloc(d, blk, nr, &view);
		if (rc != 0)
			break;
		fill_view(&view, iov, iov_nr, &seg, &at);
		rc = data_view_write(&view);
		data_view_put(&view);
		blk += nr;
		left -= nr;
	}
	return rc;
}

int co_fn
data_read(struct data *d, uint64_t off, void *buf, size_t len)
{
	uint8_t *dst = buf;
	int rc = 0;

	while (rc == 0 && len > 0) {
		uint64_t blk = off / SPACE_BLOCK, last = (off + len - 1) / SPACE_BLOCK;
		uint32_t nr =
		    last - blk + 1 < DATA_VIEW_BLOCKS_MAX ? last - blk + 1 : DATA_VIEW_BLOCKS_MAX;
		size_t skip = off % SPACE_BLOCK;
		struct data_view view;
		uint32_t seg;

		rc = data_view_read(d, blk, nr, &view);
		if (rc != 0)
			break;
		for (seg = 0; seg < view.iov_nr && len > 0; seg++) {
			size_t n = view.iov[seg].iov_len - skip;

			n = n < len ? n : len;
			memcpy(dst, (uint8_t *)view.iov[seg].iov_base + skip, n);
			skip = 0;
			dst += n;
			off += n;
			len -= n;
		}
		data_view_put(&view);
	}
	return rc;
}

void
data_forget(struct data *d, uint64_t blk, uint64_t blk_nr)
{
	uint64_t i;

	for (i = 0; i < blk_nr; i++) {
		uint32_t f = lookup(d, blk + i);

		if (f != FRAME_NONE && !d->frames[f].loading)
			unlink_frame(d, f);
	}
}

/* --- life
 * ------------------------------------------------------------------------------------------------------------
 */

static void *
reserve_memory(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, bytes, MADV_NOHUGEPAGE);
	return p;
}

static void
data_free(struct data *d)
{
	if (d->mem != NULL)
		munmap(d->mem, (uint64_t)d->frame_max * SPACE_BLOCK);
	if (d->frames != NULL)
		munmap(d->frames, d->frame_max * sizeof(*d->frames));
	free(d->buckets);
	free(d);
}

int
data_open(const struct data_conf *conf, struct dev *dev, struct data **ret_data)
{
	struct data *d = mem_new(struct data);
	uint64_t cache = conf->cache_bytes != 0 ? conf->cache_bytes : CACHE_DEFAULT;
	uint32_t bucket_nr = 1;

	if (d == NULL)
		return -DER_NOMEM;
	d->conf = *conf;
	if (d->conf.idle_ms == 0)
		d->conf.idle_ms = IDLE_MS;
	if (d->conf.merge_max_bytes == 0)
		d->conf.merge_max_bytes = MERGE_DEFAULT;
	d->dev = dev;
	if (cache < CACHE_MIN)
		cache = CACHE_MIN;
	if (cache > (uint64_t)(FRAME_NONE / OVERDRAFT) * SPACE_BLOCK)
		cache = (uint64_t)(FRAME_NONE / OVERDRAFT) * SPACE_BLOCK;
	d->frame_nr = cache / SPACE_BLOCK;
	d->frame_max = d->frame_nr * OVERDRAFT;
	while (bucket_nr < d->frame_nr && bucket_nr < 1u << 30)
		bucket_nr *= 2;
	d->bucket_mask = bucket_nr - 1;
	d->mem = reserve_memory((uint64_t)d->frame_max * SPACE_BLOCK);
	d->frames = reserve_memory(d->frame_max * sizeof(*d->frames));
	d->buckets = mem_alloc(bucket_nr * sizeof(*d->buckets));
	if (d->mem == NULL || d->frames == NULL || d->buckets == NULL) {
		data_free(d);
		return -DER_NOMEM;
	}
	memset(d->buckets, 0xff, bucket_nr * sizeof(*d->buckets));
	list_init(&d->claim_waiters);
	list_init(&d->queue);
	co_waitq_init(&d->load_wq);
	co_waitq_init(&d->quiet_wq);
	xs_timer_init(&d->idle_timer, idle_due, d);
	xs_timer_init(&d->retry_timer, retry_due, d);
	d->hook = (struct xs_hook){.fn = end_of_turn, .arg = d};
	xs_hook_add(conf->xs, &d->hook);
	*ret_data = d;
	return 0;
}

void co_fn
data_close(struct data *d)
{
	if (d == NULL)
		return;
	while (d->writing_nr > 0)
		co_waitq_wait(&d->quiet_wq, 0);
	assert(d->claimed_nr == 0 && d->queue_nr == 0);
	xs_timer_cancel(&d->idle_timer);
	xs_timer_cancel(&d->retry_timer);
	xs_hook_del(d->conf.xs, &d->hook);
	data_free(d);
}

void
data_stats(const struct data *d, struct data_stats *ret_stats)
{
	*ret_stats = d->stats;
	ret_stats->cache_bytes = (uint64_t)d->live_nr * SPACE_BLOCK;
	ret_stats->pinned_bytes = (uint64_t)d->claimed_nr * SPACE_BLOCK;
}
