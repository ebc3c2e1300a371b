/*
 * The task engine, see daos/tse.h.
 *
 * A task is in one of these states, and from WAIT to RUN on the list of that name in its scheduler:
 *
 *	INIT --schedule--> WAIT (for dependencies) --> READY --> RUN --complete--> DONE
 *	          \------> SLEEP (for a time) ------/             |                 |
 *	                     ^------------------ reinit ----------+-----------------+
 *	INIT <---------------------------- reset -----------------------------------+
 *
 * Rules:
 *
 * 1. Everything about a task but its reference count is guarded by its scheduler's lock. No lock is
 *    held while a body or callback runs, and never two locks at once, so tasks of different
 *    schedulers may depend on each other.
 * 2. A task has one reference from its creation, which completion drops. Every dependency record
 *    holds one on the task that waits.
 * 3. The result is the first error of: a dependency, a prepare callback, the argument of complete,
 *    a completion callback.
 * 4. A task that waits for dependencies registered while it runs completes by itself when the last
 *    of them is done, but not before its body has returned. So does a task without a body.
 * 5. Completion callbacks run last registered first. One that starts the task again, or gives it
 *new dependencies, ends the completion; the callbacks left are for the next one.
 * 6. A task started again without delay waits for the next call of progress, so that a body which
 *    fails at once and tries again does not keep progress from returning.
 *
 * The private parts live inside the fixed sizes of the public structs.
 */
#define D_LOGFAC DD_FAC(common)
#include <daos/common.h>
#include <daos/tse.h>

enum task_state {
	TASK_INIT,
	TASK_WAIT,
	TASK_SLEEP,
	TASK_READY,
	TASK_RUN,
	TASK_DONE,
};

struct sched {
	pthread_mutex_t lock;
	pthread_cond_t done_cond; /* a task was completed */
	d_list_t wait;
	d_list_t sleep; /* by wake-up time */
	d_list_t ready;
	d_list_t run;
	d_list_t comp_cbs; /* struct sched_cb */
	uint32_t task_nr;  /* tasks on the lists */
	ATOMIC uint32_t ref_nr;
	bool live;       /* the lock is initialised */
	bool completing; /* tse_sched_complete() was called */
	bool cancelling;
};

struct task {
	struct sched *sched;
	d_list_t link;       /* of the state's list */
	d_list_t user_link;  /* of a caller's list */
	d_list_t dependents; /* struct dependency: who waits for this task */
	d_list_t prep_cbs;   /* struct task_cb, first to run first */
	d_list_t comp_cbs;
	tse_task_func_t func; /* NULL: no body */
	void *priv;
	uint64_t wakeup_us; /* in SLEEP */
	ATOMIC uint32_t ref_nr;
	uint16_t dep_nr;      /* dependencies that are not done */
	uint16_t arg_used;    /* bytes of the argument space given out */
	uint16_t run_nr;      /* counts reinit: is this still the same run? */
	uint16_t dep_add_nr;  /* counts register_deps: were there new ones? */
	uint8_t state;        /* enum task_state */
	bool in_body : 1;     /* prepare callbacks or body are being run */
	bool in_complete : 1; /* completion callbacks are being run */
	bool auto_due : 1;    /* all dependencies were done while in_body */
	bool no_propagate : 1;
};

struct task_cb {
	d_list_t link;
	tse_task_cb_t func;
	void *arg; /* used when nothing was copied */
	char arg_copy[];
};

struct sched_cb {
	d_list_t link;
	tse_sched_comp_cb_t func;
	void *arg;
};

struct dependency {
	d_list_t link;    /* in dependents of the task to be done first */
	tse_task_t *task; /* the one that waits; a reference */
};

/* The argument space is behind the private struct, at a fixed place. */
#define TASK_PRIV_SIZE (TSE_PRIV_SIZE - TSE_TASK_ARG_LEN)

static_assert(sizeof(struct task) <= TASK_PRIV_SIZE, "private part of a task is too large");
static_assert(sizeof(struct sched) <= sizeof(((tse_sched_t *)0)->ds_private),
	      "private part of a scheduler is too large");
static_assert(offsetof(tse_task_t, dt_private) % 8 == 0 && TASK_PRIV_SIZE % 8 == 0,
	      "private part of a task is not aligned");

static struct task *
priv_of(tse_task_t *task)
{
	return (struct task *)(void *)task->dt_private.dt_space;
}

static tse_task_t *
task_of(struct task *t)
{
	return (tse_task_t *)(void *)((char *)t - offsetof(tse_task_t, dt_private));
}

static struct sched *
sched_priv(tse_sched_t *sched)
{
	return (struct sched *)(void *)&sched->ds_private;
}

static tse_sched_t *
sched_of(struct sched *s)
{
	return (tse_sched_t *)(void *)((char *)s - offsetof(tse_sched_t, ds_private));
}

static uint64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void *
tse_task2arg(tse_task_t *task)
{
	return task->dt_private.dt_space + TASK_PRIV_SIZE;
}

tse_sched_t *
tse_task2sched(tse_task_t *task)
{
	return sched_of(priv_of(task)->sched);
}

/* ---- References ---- */

static void
cbs_free(d_list_t *cbs)
{
	struct task_cb *cb;

	while ((cb = d_list_pop_entry(cbs, struct task_cb, link)) != NULL)
		d_free(cb);
}

void
tse_task_addref(tse_task_t *task)
{
	atomic_fetch_add(&priv_of(task)->ref_nr, 1);
}

void
tse_task_decref(tse_task_t *task)
{
	struct task *t = priv_of(task);
	uint32_t old = atomic_fetch_sub(&t->ref_nr, 1);

	D_ASSERT(old > 0);
	if (old > 1)
		return;
	D_ASSERT(d_list_empty(&t->dependents) && d_list_empty(&t->link));
	cbs_free(&t->prep_cbs);
	cbs_free(&t->comp_cbs);
	d_free(task);
}

static void
sched_release(struct sched *s)
{
	if (!s->live)
		return;
	s->live = false;
	pthread_cond_destroy(&s->done_cond);
	pthread_mutex_destroy(&s->lock);
}

void
tse_sched_addref(tse_sched_t *sched)
{
	atomic_fetch_add(&sched_priv(sched)->ref_nr, 1);
}

void
tse_sched_decref(tse_sched_t *sched)
{
	struct sched *s = sched_priv(sched);
	uint32_t old = atomic_fetch_sub(&s->ref_nr, 1);

	D_ASSERT(old > 0);
	if (old == 1)
		tse_sched_fini(sched);
}

int
tse_sched_register_comp_cb(tse_sched_t *sched, tse_sched_comp_cb_t comp_cb, void *arg)
{
	struct sched *s = sched_priv(sched);
	struct sched_cb *cb;

	cb = d_calloc(1, sizeof(*cb));
	if (cb == NULL)
		return -DER_NOMEM;
	cb->func = comp_cb;
	cb->arg = arg;
	pthread_mutex_lock(&s->lock);
	d_list_add(&cb->link, &s->comp_cbs);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

int
tse_sched_init(tse_sched_t *sched, tse_sched_comp_cb_t comp_cb, void *udata)
{
	struct sched *s = sched_priv(sched);
	int rc;

	memset(sched, 0, sizeof(*sched));
	D_INIT_LIST_HEAD(&s->wait);
	D_INIT_LIST_HEAD(&s->sleep);
	D_INIT_LIST_HEAD(&s->ready);
	D_INIT_LIST_HEAD(&s->run);
	D_INIT_LIST_HEAD(&s->comp_cbs);
	atomic_init(&s->ref_nr, 1);
	rc = D_MUTEX_INIT(&s->lock, NULL);
	if (rc != 0)
		return rc;
	rc = D_COND_INIT(&s->done_cond, NULL);
	if (rc != 0) {
		pthread_mutex_destroy(&s->lock);
		return rc;
	}
	s->live = true;
	sched->ds_udata = udata;
	if (comp_cb != NULL) {
		rc = tse_sched_register_comp_cb(sched, comp_cb, udata);
		if (rc != 0)
			sched_release(s);
	}
	return rc;
}

void
tse_sched_fini(tse_sched_t *sched)
{
	struct sched *s = sched_priv(sched);
	struct sched_cb *cb;

	D_ASSERT(s->task_nr == 0);
	while ((cb = d_list_pop_entry(&s->comp_cbs, struct sched_cb, link)) != NULL)
		d_free(cb);
	sched_release(s);
}

/* ---- Tasks ---- */

int
tse_task_create(tse_task_func_t task_func, tse_sched_t *sched, void *priv, tse_task_t **taskp)
{
	tse_task_t *task;
	struct task *t;

	if (sched == NULL || taskp == NULL)
		return -DER_INVAL;
	task = d_calloc(1, sizeof(*task));
	if (task == NULL)
		return -DER_NOMEM;
	t = priv_of(task);
	t->sched = sched_priv(sched);
	D_INIT_LIST_HEAD(&t->link);
	D_INIT_LIST_HEAD(&t->user_link);
	D_INIT_LIST_HEAD(&t->dependents);
	D_INIT_LIST_HEAD(&t->prep_cbs);
	D_INIT_LIST_HEAD(&t->comp_cbs);
	t->func = task_func;
	t->priv = priv;
	t->state = TASK_INIT;
	atomic_init(&t->ref_nr, 1);
	*taskp = task;
	return 0;
}

void *
tse_task_buf_embedded(tse_task_t *task, int size)
{
	struct task *t = priv_of(task);

	if (size < 0 || D_ALIGNUP((size_t)size, 8) > TSE_TASK_ARG_LEN)
		return NULL;
	t->arg_used = (uint16_t)MAX((size_t)t->arg_used, D_ALIGNUP((size_t)size, 8));
	return tse_task2arg(task);
}

void *
tse_task_get_priv(tse_task_t *task)
{
	return priv_of(task)->priv;
}

void *
tse_task_set_priv(tse_task_t *task, void *priv)
{
	struct task *t = priv_of(task);
	void *old = t->priv;

	t->priv = priv;
	return old;
}

void
tse_disable_propagate(tse_task_t *task)
{
	priv_of(task)->no_propagate = true;
}

static struct task_cb *
cb_new(tse_task_cb_t func, void *arg, size_t arg_size)
{
	struct task_cb *cb = d_calloc(1, sizeof(*cb) + arg_size);

	if (cb == NULL)
		return NULL;
	cb->func = func;
	cb->arg = arg;
	if (arg != NULL && arg_size > 0) {
		memcpy(cb->arg_copy, arg, arg_size);
		cb->arg = cb->arg_copy;
	}
	return cb;
}

int
tse_task_register_cbs(tse_task_t *task, tse_task_cb_t prep_cb, void *prep_data,
		      size_t prep_data_size, tse_task_cb_t comp_cb, void *comp_data,
		      size_t comp_data_size)
{
	struct task *t = priv_of(task);
	struct task_cb *prep = NULL;
	struct task_cb *comp = NULL;
	int rc = 0;

	if (prep_cb != NULL) {
		prep = cb_new(prep_cb, prep_data, prep_data_size);
		if (prep == NULL)
			return -DER_NOMEM;
	}
	if (comp_cb != NULL) {
		comp = cb_new(comp_cb, comp_data, comp_data_size);
		if (comp == NULL) {
			d_free(prep);
			return -DER_NOMEM;
		}
	}
	pthread_mutex_lock(&t->sched->lock);
	if (t->state == TASK_DONE) {
		rc = -DER_NO_PERM;
	} else {
		if (prep != NULL)
			d_list_add_tail(&prep->link, &t->prep_cbs);
		if (comp != NULL)
			d_list_add(&comp->link, &t->comp_cbs);
	}
	pthread_mutex_unlock(&t->sched->lock);
	if (rc != 0) {
		d_free(prep);
		d_free(comp);
	}
	return rc;
}

int
tse_task_register_comp_cb(tse_task_t *task, tse_task_cb_t comp_cb, void *arg, size_t arg_size)
{
	if (comp_cb == NULL)
		return -DER_INVAL;
	return tse_task_register_cbs(task, NULL, NULL, 0, comp_cb, arg, arg_size);
}

/* ---- Dependencies ---- */

/* Make task wait for dep. Two locks, one after the other: see rule 1. */
static int
dependency_add(tse_task_t *task, tse_task_t *dep)
{
	struct task *t = priv_of(task);
	struct task *d = priv_of(dep);
	struct dependency *link;
	bool dep_done;
	int rc = 0;

	if (task == dep)
		return -DER_INVAL;
	link = d_calloc(1, sizeof(*link));
	if (link == NULL)
		return -DER_NOMEM;
	link->task = task;

	/* Count it first, so that dep finishing in between cannot bring the count below zero. */
	pthread_mutex_lock(&t->sched->lock);
	if (t->state == TASK_DONE) {
		rc = -DER_NO_PERM;
	} else if (t->dep_nr == UINT16_MAX) {
		rc = -DER_OVERFLOW;
	} else {
		t->dep_nr++;
		t->dep_add_nr++;
		if (t->state == TASK_READY) {
			t->state = TASK_WAIT;
			d_list_move_tail(&t->link, &t->sched->wait);
		}
	}
	pthread_mutex_unlock(&t->sched->lock);
	if (rc != 0) {
		d_free(link);
		return rc;
	}

	tse_task_addref(task);
	pthread_mutex_lock(&d->sched->lock);
	dep_done = d->state == TASK_DONE;
	if (!dep_done)
		d_list_add_tail(&link->link, &d->dependents);
	pthread_mutex_unlock(&d->sched->lock);
	if (!dep_done)
		return 0;

	/* Nothing to wait for. */
	d_free(link);
	pthread_mutex_lock(&t->sched->lock);
	t->dep_nr--;
	if (t->dep_nr == 0 && t->state == TASK_WAIT) {
		t->state = TASK_READY;
		d_list_move_tail(&t->link, &t->sched->ready);
	}
	pthread_mutex_unlock(&t->sched->lock);
	tse_task_decref(task);
	return 0;
}

int
tse_task_register_deps(tse_task_t *task, int num_deps, tse_task_t *dep_tasks[])
{
	int rc = 0;
	int i;

	for (i = 0; i < num_deps && rc == 0; i++)
		rc = dep_tasks[i] == NULL ? -DER_INVAL : dependency_add(task, dep_tasks[i]);
	return rc;
}

/* One dependency of task is done, with this result. Drops the record's reference. */
static void
dependency_done(tse_task_t *task, int result)
{
	struct task *t = priv_of(task);
	struct sched *s = t->sched;
	bool complete = false;

	pthread_mutex_lock(&s->lock);
	D_ASSERT(t->dep_nr > 0);
	t->dep_nr--;
	if (t->state != TASK_DONE && task->dt_result == 0 && !t->no_propagate)
		task->dt_result = result;
	if (t->dep_nr == 0 && t->state == TASK_WAIT) {
		t->state = TASK_READY;
		d_list_move_tail(&t->link, &s->ready);
	} else if (t->dep_nr == 0 && t->state == TASK_RUN) {
		if (t->in_body)
			t->auto_due = true;
		else
			complete = !t->in_complete;
	}
	pthread_mutex_unlock(&s->lock);
	if (complete)
		tse_task_complete(task, 0);
	tse_task_decref(task);
}

/* ---- Completion ---- */

/*
 * Run completion callbacks until none is left (true), or one of them has started the task again or
 * given it new dependencies (false). With the lock held, which is dropped around each.
 */
static bool
comp_cbs_run_locked(tse_task_t *task)
{
	struct task *t = priv_of(task);
	uint16_t run_nr = t->run_nr;
	uint16_t dep_add_nr = t->dep_add_nr;
	struct task_cb *cb;
	int rc;

	while ((cb = d_list_pop_entry(&t->comp_cbs, struct task_cb, link)) != NULL) {
		pthread_mutex_unlock(&t->sched->lock);
		rc = cb->func(task, cb->arg);
		d_free(cb);
		pthread_mutex_lock(&t->sched->lock);
		/* Another run may be under way on another thread: nothing here is ours any more. */
		if (t->run_nr != run_nr)
			return false;
		if (task->dt_result == 0)
			task->dt_result = rc;
		if (t->dep_add_nr != dep_add_nr && t->dep_nr > 0) {
			t->in_complete = false;
			return false;
		}
		dep_add_nr = t->dep_add_nr;
	}
	return true;
}

void
tse_task_complete(tse_task_t *task, int ret)
{
	struct task *t = priv_of(task);
	struct sched *s = t->sched;
	struct dependency *dep;
	d_list_t dependents;
	int result;

	/* A callback may start the task again, and that run may end and be freed before we are
	 * done. */
	tse_task_addref(task);
	pthread_mutex_lock(&s->lock);
	if (t->state == TASK_DONE) {
		pthread_mutex_unlock(&s->lock);
		tse_task_decref(task);
		return;
	}
	if (task->dt_result == 0)
		task->dt_result = ret;
	if (t->in_complete) {
		pthread_mutex_unlock(&s->lock);
		tse_task_decref(task);
		return;
	}
	t->in_complete = true;
	if (!comp_cbs_run_locked(task)) {
		pthread_mutex_unlock(&s->lock);
		tse_task_decref(task);
		return;
	}
	t->in_complete = false;
	if (t->state != TASK_INIT) {
		d_list_del_init(&t->link);
		D_ASSERT(s->task_nr > 0);
		s->task_nr--;
	}
	t->state = TASK_DONE;
	result = task->dt_result;
	if (sched_of(s)->ds_result == 0)
		sched_of(s)->ds_result = result;
	D_INIT_LIST_HEAD(&dependents);
	d_list_splice_init(&t->dependents, &dependents);
	pthread_cond_broadcast(&s->done_cond);
	pthread_mutex_unlock(&s->lock);

	while ((dep = d_list_pop_entry(&dependents, struct dependency, link)) != NULL) {
		dependency_done(dep->task, result);
		d_free(dep);
	}
	tse_task_decref(task); /* the scheduler's */
	tse_task_decref(task);
}

/* ---- Running ---- */

/* Put a task to sleep until a time; sorted, equal times in order of arrival. */
static void
sleep_locked(struct task *t, uint64_t wakeup_us)
{
	struct sched *s = t->sched;
	struct task *other;
	d_list_t *pos = &s->sleep;

	d_list_for_each_entry_reverse(other, &s->sleep, link) if (other->wakeup_us <= wakeup_us)
	{
		pos = &other->link;
		break;
	}
	t->wakeup_us = wakeup_us;
	t->state = TASK_SLEEP;
	d_list_add(&t->link, pos);
}

static void
wait_or_ready_locked(struct task *t)
{
	t->state = t->dep_nr > 0 ? TASK_WAIT : TASK_READY;
	d_list_add_tail(&t->link, t->dep_nr > 0 ? &t->sched->wait : &t->sched->ready);
}

/*
 * Prepare callbacks and body of a task that is in RUN. The caller has a reference. A task that is
 * completed or started again on the way is left alone from there on.
 */
static void
task_run(tse_task_t *task)
{
	struct task *t = priv_of(task);
	struct sched *s = t->sched;
	uint16_t run_nr;
	struct task_cb *cb;
	bool complete = false;
	int rc;

	pthread_mutex_lock(&s->lock);
	run_nr = t->run_nr;
	t->in_body = true;
	t->auto_due = false;
	while (t->run_nr == run_nr && t->state == TASK_RUN &&
	       (cb = d_list_pop_entry(&t->prep_cbs, struct task_cb, link)) != NULL) {
		pthread_mutex_unlock(&s->lock);
		rc = cb->func(task, cb->arg);
		d_free(cb);
		pthread_mutex_lock(&s->lock);
		if (t->run_nr == run_nr && task->dt_result == 0)
			task->dt_result = rc;
	}
	if (t->run_nr == run_nr && t->state == TASK_RUN && t->func != NULL) {
		pthread_mutex_unlock(&s->lock);
		t->func(task);
		pthread_mutex_lock(&s->lock);
	}
	if (t->run_nr == run_nr) {
		t->in_body = false;
		complete = t->state == TASK_RUN && t->auto_due && t->dep_nr == 0;
	}
	pthread_mutex_unlock(&s->lock);
	if (complete)
		tse_task_complete(task, 0);
}

int
tse_task_schedule_with_delay(tse_task_t *task, bool instant, uint64_t delay)
{
	struct task *t = priv_of(task);
	struct sched *s = t->sched;
	bool run = false;
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	if (t->state != TASK_INIT) {
		rc = -DER_NO_PERM;
	} else if (s->cancelling) {
		rc = -DER_CANCELED;
	} else {
		s->task_nr++;
		if (t->func == NULL) {
			/* Waits in RUN for whoever completes it: the caller, or its dependencies.
			 */
			t->state = TASK_RUN;
			d_list_add_tail(&t->link, &s->run);
		} else if (instant && t->dep_nr == 0 && d_list_empty(&t->prep_cbs)) {
			t->state = TASK_RUN;
			d_list_add_tail(&t->link, &s->run);
			run = true;
		} else if (delay > 0) {
			sleep_locked(t, now_us() + delay);
		} else {
			wait_or_ready_locked(t);
		}
	}
	if (run)
		tse_task_addref(task);
	pthread_mutex_unlock(&s->lock);

	if (rc == -DER_CANCELED)
		tse_task_complete(task, rc);
	if (run) {
		task_run(task);
		tse_task_decref(task);
	}
	return rc;
}

int
tse_task_schedule(tse_task_t *task, bool instant)
{
	return tse_task_schedule_with_delay(task, instant, 0);
}

/* Sleepers whose time has come. Those started again without delay sleep until time 0. */
static void
wake_locked(struct sched *s)
{
	uint64_t now;
	struct task *t;

	if (d_list_empty(&s->sleep))
		return;
	now = now_us();
	while (!d_list_empty(&s->sleep)) {
		t = d_list_entry(s->sleep.next, struct task, link);
		if (t->wakeup_us > now)
			return;
		d_list_del_init(&t->link);
		wait_or_ready_locked(t);
	}
}

void
tse_sched_progress(tse_sched_t *sched)
{
	struct sched *s = sched_priv(sched);
	struct task *t;

	pthread_mutex_lock(&s->lock);
	wake_locked(s);
	while (!s->cancelling && !d_list_empty(&s->ready)) {
		t = d_list_entry(s->ready.next, struct task, link);
		t->state = TASK_RUN;
		d_list_move_tail(&t->link, &s->run);
		tse_task_addref(task_of(t));
		pthread_mutex_unlock(&s->lock);
		task_run(task_of(t));
		tse_task_decref(task_of(t));
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
}

bool
tse_sched_check_complete(tse_sched_t *sched)
{
	struct sched *s = sched_priv(sched);
	bool complete;

	pthread_mutex_lock(&s->lock);
	complete = s->task_nr == 0;
	pthread_mutex_unlock(&s->lock);
	return complete;
}

/*
 * A task to abort, with a reference: any that has not started, or one that runs and waits for
 * nothing of ours. NULL when only tasks are left whose dependencies will end them.
 */
static struct task *
abort_pick_locked(struct sched *s)
{
	d_list_t *const lists[] = {&s->ready, &s->sleep, &s->wait, &s->run};
	struct task *t;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lists); i++)
		d_list_for_each_entry (t, lists[i], link) {
			/* A body on another thread will see the task completed when it returns. */
			if (t->in_complete)
				continue;
			tse_task_addref(task_of(t));
			return t;
		}
	return NULL;
}

static void
sched_abort_all(struct sched *s)
{
	struct task *t;

	pthread_mutex_lock(&s->lock);
	while ((t = abort_pick_locked(s)) != NULL) {
		pthread_mutex_unlock(&s->lock);
		tse_task_complete(task_of(t), -DER_CANCELED);
		tse_task_decref(task_of(t));
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
}

/* Wait until a task is completed, but not long: sleepers may be due. */
static void
sched_wait_a_little(struct sched *s)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	d_timeinc_ms(&until, 1);
	pthread_mutex_lock(&s->lock);
	if (s->task_nr > 0 && d_list_empty(&s->ready))
		pthread_cond_timedwait(&s->done_cond, &s->lock, &until);
	pthread_mutex_unlock(&s->lock);
}

void
tse_sched_complete(tse_sched_t *sched, int ret, bool cancel)
{
	struct sched *s = sched_priv(sched);
	struct sched_cb *cb;
	int rc;

	pthread_mutex_lock(&s->lock);
	if (s->completing) {
		pthread_mutex_unlock(&s->lock);
		return;
	}
	s->completing = true;
	s->cancelling = cancel;
	if (sched->ds_result == 0)
		sched->ds_result = ret;
	pthread_mutex_unlock(&s->lock);

	for (;;) {
		if (cancel)
			sched_abort_all(s);
		else
			tse_sched_progress(sched);
		if (tse_sched_check_complete(sched))
			break;
		sched_wait_a_little(s);
	}
	while ((cb = d_list_pop_entry(&s->comp_cbs, struct sched_cb, link)) != NULL) {
		rc = cb->func(cb->arg, sched->ds_result);
		if (sched->ds_result == 0)
			sched->ds_result = rc;
		d_free(cb);
	}
	sched->ds_udata = NULL;
	tse_sched_decref(sched);
}

/* ---- Again ---- */

/* Back from RUN or DONE to the scheduler. With the lock held. */
static int
reinit_locked(tse_task_t *task, uint64_t delay)
{
	struct task *t = priv_of(task);
	struct sched *s = t->sched;

	if (s->cancelling)
		return -DER_NO_PERM;
	if (t->func == NULL)
		return -DER_INVAL;
	if (t->state == TASK_DONE) {
		/* The scheduler's reference was dropped. */
		tse_task_addref(task);
		s->task_nr++;
	} else if (t->state == TASK_RUN) {
		d_list_del_init(&t->link);
	} else {
		return -DER_NO_PERM;
	}
	t->run_nr++;
	t->in_body = false;
	t->in_complete = false;
	t->auto_due = false;
	task->dt_result = 0;
	sleep_locked(t, delay > 0 ? now_us() + delay : 0);
	return 0;
}

int
tse_task_reinit_with_delay(tse_task_t *task, uint64_t delay)
{
	struct task *t = priv_of(task);
	int rc;

	pthread_mutex_lock(&t->sched->lock);
	rc = reinit_locked(task, delay);
	pthread_mutex_unlock(&t->sched->lock);
	return rc;
}

int
tse_task_reinit(tse_task_t *task)
{
	return tse_task_reinit_with_delay(task, 0);
}

int
tse_task_register_comp_cb_and_reinit(tse_task_t *task, tse_task_cb_t comp_cb, void *arg,
				     size_t arg_size, uint64_t delay)
{
	struct task *t = priv_of(task);
	struct task_cb *cb;
	int rc;

	if (comp_cb == NULL)
		return -DER_INVAL;
	cb = cb_new(comp_cb, arg, arg_size);
	if (cb == NULL)
		return -DER_NOMEM;
	pthread_mutex_lock(&t->sched->lock);
	rc = reinit_locked(task, delay);
	if (rc == 0)
		d_list_add(&cb->link, &t->comp_cbs);
	pthread_mutex_unlock(&t->sched->lock);
	if (rc != 0)
		d_free(cb);
	return rc;
}

int
tse_task_reset(tse_task_t *task, tse_task_func_t task_func, void *priv)
{
	struct task *t = priv_of(task);
	int rc = 0;

	pthread_mutex_lock(&t->sched->lock);
	if (t->sched->cancelling || (t->state != TASK_DONE && t->state != TASK_INIT) ||
	    !d_list_empty(&t->user_link) || !d_list_empty(&t->dependents) ||
	    !d_list_empty(&t->prep_cbs) || !d_list_empty(&t->comp_cbs)) {
		rc = -DER_NO_PERM;
	} else {
		t->state = TASK_INIT;
		t->run_nr++;
		t->func = task_func;
		t->priv = priv;
		t->auto_due = false;
		task->dt_result = 0;
	}
	pthread_mutex_unlock(&t->sched->lock);
	return rc;
}

/* ---- Lists of the caller ---- */

int
tse_task_list_add(tse_task_t *task, d_list_t *head)
{
	struct task *t = priv_of(task);
	int rc = 0;

	pthread_mutex_lock(&t->sched->lock);
	if (t->state == TASK_RUN || t->state == TASK_DONE || !d_list_empty(&t->user_link))
		rc = -DER_NO_PERM;
	else
		d_list_add_tail(&t->user_link, head);
	pthread_mutex_unlock(&t->sched->lock);
	return rc;
}

void
tse_task_list_del(tse_task_t *task)
{
	d_list_del_init(&priv_of(task)->user_link);
}

tse_task_t *
tse_task_list_first(d_list_t *head)
{
	if (d_list_empty(head))
		return NULL;
	return task_of(d_list_entry(head->next, struct task, user_link));
}

void
tse_task_list_sched(d_list_t *head, bool instant)
{
	tse_task_t *task;

	while ((task = tse_task_list_first(head)) != NULL) {
		tse_task_list_del(task);
		tse_task_schedule(task, instant);
	}
}

void
tse_task_list_abort(d_list_t *head, int rc)
{
	tse_task_t *task;

	while ((task = tse_task_list_first(head)) != NULL) {
		tse_task_list_del(task);
		tse_task_complete(task, rc);
	}
}

int
tse_task_list_depend(d_list_t *head, tse_task_t *task)
{
	struct task *t;
	int rc = 0;

	d_list_for_each_entry (t, head, user_link) {
		rc = dependency_add(task_of(t), task);
		if (rc != 0)
			break;
	}
	return rc;
}

int
tse_task_depend_list(tse_task_t *task, d_list_t *head)
{
	struct task *t;
	int rc = 0;

	d_list_for_each_entry (t, head, user_link) {
		rc = dependency_add(task, task_of(t));
		if (rc != 0)
			break;
	}
	return rc;
}

int
tse_task_list_traverse(d_list_t *head, tse_task_cb_t cb, void *arg)
{
	struct task *t;
	struct task *next;
	int rc;
	int ret = 0;

	d_list_for_each_entry_safe (t, next, head, user_link) {
		rc = cb(task_of(t), arg);
		if (rc != 0)
			ret = rc;
	}
	return ret;
}

int
tse_task_list_traverse_adv(d_list_t *head, tse_task_cb_t cb, void *arg)
{
	d_list_t *link = head->next;
	int rc;
	int ret = 0;

	/* Look at nothing of the list or of the task after the last callback: both may be gone. */
	while (link != head) {
		d_list_t *next = link->next;
		bool last = next == head;

		rc = cb(task_of(d_list_entry(link, struct task, user_link)), arg);
		if (rc != 0)
			ret = rc;
		if (last)
			break;
		link = next;
	}
	return ret;
}
