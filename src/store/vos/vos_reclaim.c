/*
 * Background reclamation: one coroutine per pool that runs while there is something to do.
 *
 * Two sources. What a punch hid from every read that must be answered is dropped soon after the
 * punch (its tombstone stays until an aggregation). Destroyed containers are freed piece by piece;
 * the list of them is in the heap, so a restart goes on with it. Jobs for punches are only in
 * memory: what is lost with a restart is found by the next aggregation.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_dtx.h"
#include "store/vos/vos_trim.h"

#include "base/err.h"
#include "base/log.h"

/* More waiting jobs than this and whole containers are swept instead. */
enum { JOB_MAX = 4096 };

/* Who finds the pool full waits this long, and often, for space that is on its way. */
enum { SPACE_WAIT_NS = 1000000, SPACE_TRIES = 2000 };

struct vos_reclaim_job {
	struct list link;
	struct vos_trim *trim;
	struct vos_cont *cont; /* referenced */
};

static void
job_destroy(struct vos_pool *pool, struct vos_reclaim_job *job)
{
	list_del(&job->link);
	pool->reclaim_nr--;
	vos_trim_destroy(job->trim);
	vos_cont_close(job->cont);
	free(job);
}

static int co_fn
job_run(struct vos_pool *pool, struct vos_reclaim_job *job)
{
	bool more = true;
	int rc = 0;

	while (rc == 0 && more && !pool->closing && !job->cont->dead) {
		rc = vos_trim_step(job->trim, &more);
		co_yield();
	}
	return rc;
}

/* --- containers that are gone
 * ------------------------------------------------------------------------ */

static int
no_free(struct heap_tx *tx, uint64_t val_off, void *arg)
{
	return 0;
}

struct dying {
	struct vos_cont *cont;
	bool more;
};

/* Nothing is left but the record itself and the identities of operations. */
static int
dying_finish_tx(struct vos_tx *t, void *arg)
{
	struct dying *d = arg;
	struct vos_cont_df *df = d->cont->df;
	uint64_t off = d->cont->df_off, link;
	struct btree opids = btree_at(t->heap, off + offsetof(struct vos_cont_df, opids));
	bool empty;
	int rc;

	rc = vos_dtx_clear(t, d->cont, 4, &empty);
	if (rc == 0 && empty)
		rc = btree_clear(t->tx, opids, 256, no_free, NULL, &empty);
	d->more = !empty;
	if (rc != 0 || !empty)
		return rc;
	rc = btree_destroy(t->tx, opids);
	if (rc == 0)
		rc = btree_destroy(t->tx,
				   btree_at(t->heap, off + offsetof(struct vos_cont_df, dtxs)));
	if (rc == 0)
		rc = btree_destroy(t->tx,
				   btree_at(t->heap, off + offsetof(struct vos_cont_df, objs)));
	if (rc == 0)
		rc = heap_free(t->tx, df->keep);
	if (rc != 0)
		return rc;
	/* others may have been put in front of it */
	link = t->pool->df_off + offsetof(struct vos_pool_df, dying);
	while (*(uint64_t *)heap_ptr(t->heap, link) != off) {
		uint64_t other = *(uint64_t *)heap_ptr(t->heap, link);

		link = other + offsetof(struct vos_cont_df, dying);
		if (other == 0 || heap_try(t->heap, link, sizeof(link)) == NULL)
			return other == 0 ? -DER_CSUM : HEAP_MISS;
	}
	rc = heap_tx_write(t->tx, link, &df->dying, sizeof(df->dying));
	t->cont = NULL; /* nothing left to keep accounts of */
	return rc != 0 ? rc : heap_free(t->tx, off);
}

static int co_fn
dying_finish(struct vos_pool *pool, struct vos_cont *cont)
{
	struct dying d = {.cont = cont, .more = true};
	struct vos_tx_args args = {
	    .pool = pool,
	    .cont = cont,
	    .trim = true,
	    .log_bytes = 512 << 10,
	    .flags = HEAP_RESV_RECLAIM,
	    .fn = dying_finish_tx,
	    .arg = &d,
	};
	int rc = 0;

	while (rc == 0 && d.more && !pool->closing) {
		rc = vos_tx_run(&args);
		co_yield();
	}
	return rc;
}

/* Free everything in the first container of the list. */
static int co_fn
dying_run(struct vos_pool *pool)
{
	struct vos_cont *cont = mem_new(struct vos_cont);
	struct vos_trim *trim = NULL;
	bool more = true;
	int rc;

	if (cont == NULL)
		return -DER_NOMEM;
	list_init(&cont->link);
	list_init(&cont->flights);
	cont->pool = pool;
	cont->refs = 1;
	cont->df_off = pool->df->dying;
	rc = heap_fault(pool->heap, cont->df_off, sizeof(*cont->df));
	if (rc != 0) {
		free(cont);
		return rc;
	}
	heap_pin(pool->heap, cont->df_off, sizeof(*cont->df));
	cont->df = heap_ptr(pool->heap, cont->df_off);
	cont->id = cont->df->id;
	rc = vos_trim_create(cont, VOS_TRIM_ALL, 0, &trim);
	while (rc == 0 && more && !pool->closing) {
		rc = vos_trim_step(trim, &more);
		co_yield();
	}
	if (rc == 0 && !more)
		rc = dying_finish(pool, cont);
	vos_trim_destroy(trim);
	heap_unpin(pool->heap, cont->df_off, sizeof(*cont->df));
	free(cont);
	return rc;
}

/* --- the coroutine
 * ----------------------------------------------------------------------------------------- */

static void
reclaim_main(void *arg)
{
	struct vos_pool *pool = arg;
	int rc;

	while (!pool->closing) {
		if (!list_empty(&pool->reclaim)) {
			struct vos_reclaim_job *job =
			    list_first(&pool->reclaim, struct vos_reclaim_job, link);

			rc = job_run(pool, job);
			job_destroy(pool, job);
		} else if (pool->df->dying != 0) {
			rc = dying_run(pool);
		} else {
			break;
		}
		if (rc == -DER_SHUTDOWN || rc == -DER_IO)
			break;
		if (rc != 0 && rc != -DER_NO_HDL) {
			log_warn("pool %s: reclamation stopped: " ERR_F, pool->name, ERR_P(rc));
			break;
		}
	}
	pool->reclaim_running = false;
	co_waitq_wake_all(&pool->reclaim_done);
}

static void
reclaim_start(struct vos_pool *pool)
{
	if (pool->reclaim_running || pool->closing)
		return;
	pool->reclaim_running = true;
	if (co_spawn(pool->xs, reclaim_main, pool) != 0)
		pool->reclaim_running = false; /* the next one tries again */
}

void
vos_reclaim_dying(struct vos_pool *pool)
{
	if (pool->df->dying != 0)
		reclaim_start(pool);
}

void
vos_reclaim_punched(struct vos_cont *cont, const struct vos_oid *oid, const struct vos_key *dkey)
{
	struct vos_pool *pool = cont->pool;
	struct vos_reclaim_job *job;
	int rc;

	if (pool->closing || cont->dead || pool->reclaim_nr >= JOB_MAX)
		return;
	job = mem_new(struct vos_reclaim_job);
	if (job == NULL)
		return;
	rc = vos_trim_create(cont, VOS_TRIM_FLOOR, 0, &job->trim);
	if (rc == 0) /* the last place in the queue: everything, for all that will not fit */
		rc = pool->reclaim_nr == JOB_MAX - 1 ? 0 : vos_trim_scope(job->trim, oid, dkey);
	if (rc != 0) {
		vos_trim_destroy(job->trim);
		free(job);
		return;
	}
	job->cont = cont;
	cont->refs++;
	list_push_back(&pool->reclaim, &job->link);
	pool->reclaim_nr++;
	reclaim_start(pool);
}

void co_fn
vos_reclaim_stop(struct vos_pool *pool)
{
	pool->closing = true;
	while (pool->reclaim_running)
		co_waitq_wait(&pool->reclaim_done, 0);
	while (!list_empty(&pool->reclaim))
		job_destroy(pool, list_first(&pool->reclaim, struct vos_reclaim_job, link));
}

bool co_fn
vos_space_comes(struct vos_pool *pool, uint32_t *tries)
{
	struct space_stats ss = {0};

	if (pool->space != NULL)
		space_stats(pool->space, &ss);
	if ((!pool->reclaim_running && ss.freeing_blk == 0) || *tries >= SPACE_TRIES)
		return false;
	if (heap_wait_durable(pool->heap, heap_last_lsn(pool->heap)) != 0)
		return false;
	if ((*tries)++ == 0)
		co_yield();
	else
		co_sleep_ns(SPACE_WAIT_NS);
	return true;
}

void co_fn
vos_pool_settle(struct vos_pool *pool)
{
	while (pool->reclaim_running)
		co_waitq_wait(&pool->reclaim_done, 0);
}
