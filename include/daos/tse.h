/*
 * The task engine: functions that run when what they depend on is done.
 *
 * A scheduler holds tasks. A task is created with a body, may be made to depend on other tasks, and
 * is scheduled once. When its dependencies are complete, tse_sched_progress() calls its prepare
 * callbacks and its body; the body, or whatever it started, calls tse_task_complete() in the end,
 * which runs the completion callbacks and releases those that depend on it. The first error of a
 * dependency becomes the task's result before its body runs. Nothing happens by itself: somebody
 * calls tse_sched_progress(). Schedulers and tasks may be used from several threads.
 */
#ifndef DAOS_TSE_H
#define DAOS_TSE_H

#include <gurt/list.h>
#include <pthread.h>
#include <inttypes.h>
#include <stdbool.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

#define TSE_TASK_ARG_LEN (840 + sizeof(pthread_mutex_t))
#define TSE_PRIV_SIZE    (TSE_TASK_ARG_LEN + 136)
#define TSE_TASK_SIZE    (TSE_PRIV_SIZE + 8)

typedef struct tse_task {
	int dt_result; /* 0 or negative DER */
	int dt_pad32;
	struct {
		char dt_space[TSE_PRIV_SIZE];
	} dt_private;
} tse_task_t;

typedef struct {
	int ds_result; /* first error of a task */
	void *ds_udata;
	struct {
		uint64_t ds_space[48];
	} ds_private;
} tse_sched_t;

typedef int (*tse_sched_comp_cb_t)(void *args, int rc);

/** A body. Its return value does not complete the task: tse_task_complete() does. */
typedef int (*tse_task_func_t)(tse_task_t *);

/** A callback; a completion callback's non-zero return becomes the result if there was none. */
typedef int (*tse_task_cb_t)(tse_task_t *, void *arg);

/** Space inside the task for its arguments (TSE_TASK_ARG_LEN bytes less stack pushes). */
void *tse_task2arg(tse_task_t *task);
tse_sched_t *tse_task2sched(tse_task_t *task);

/** Prepare a scheduler; comp_cb (may be NULL) is called with udata once it is completed. */
int tse_sched_init(tse_sched_t *sched, tse_sched_comp_cb_t comp_cb, void *udata);

/** Release a scheduler that has no tasks left. */
void tse_sched_fini(tse_sched_t *sched);
void tse_sched_addref(tse_sched_t *sched);
void tse_sched_decref(tse_sched_t *sched);

/**
 * No more tasks will come: run or (cancel) abort what is left, then call the completion callbacks.
 */
void tse_sched_complete(tse_sched_t *sched, int ret, bool cancel);
int tse_sched_register_comp_cb(tse_sched_t *sched, tse_sched_comp_cb_t comp_cb, void *arg);

/** Run everything that is ready, and what becomes ready by that. */
void tse_sched_progress(tse_sched_t *sched);

/** True when no task is left in the scheduler. */
bool tse_sched_check_complete(tse_sched_t *sched);

/** A task with one reference, which its completion drops. A task without body is completed by the
 * caller, or by the tasks it depends on. */
int tse_task_create(tse_task_func_t task_func, tse_sched_t *sched, void *priv, tse_task_t **taskp);

/** Hand a task to its scheduler; instant runs it in this call if it depends on nothing. */
int tse_task_schedule(tse_task_t *task, bool instant);

/** As tse_task_schedule(), not before delay microseconds have passed. */
int tse_task_schedule_with_delay(tse_task_t *task, bool instant, uint64_t delay);

/** Callbacks run last registered first; arg_size bytes of arg are copied (0: arg itself is passed).
 */
int tse_task_register_comp_cb(tse_task_t *task, tse_task_cb_t comp_cb, void *arg, size_t arg_size);

/** From inside a completion callback: register and run the task again after a delay. */
int tse_task_register_comp_cb_and_reinit(tse_task_t *task, tse_task_cb_t comp_cb, void *arg,
					 size_t arg_size, uint64_t delay);
void tse_task_complete(tse_task_t *task, int ret);

/** Take size bytes of the argument space; NULL when it is used up. Always the same memory. */
void *tse_task_buf_embedded(tse_task_t *task, int size);

/** The caller's pointer; set returns the old one. */
void *tse_task_get_priv(tse_task_t *task);
void *tse_task_set_priv(tse_task_t *task, void *priv);

/**
 * Run task only when all of dep_tasks are complete. For a task that runs already: complete it when
 * they are. -DER_NO_PERM for a complete task, -DER_NOMEM.
 */
int tse_task_register_deps(tse_task_t *task, int num_deps, tse_task_t *dep_tasks[]);
int tse_task_register_cbs(tse_task_t *task, tse_task_cb_t prep_cb, void *prep_data,
			  size_t prep_data_size, tse_task_cb_t comp_cb, void *comp_data,
			  size_t comp_data_size);

/** Run a task again: from its completion callback, or when it is complete. */
int tse_task_reinit(tse_task_t *task);
int tse_task_reinit_with_delay(tse_task_t *task, uint64_t delay);

/**
 * Give a task that is complete or not scheduled a new body; it must then be scheduled. The caller
 * must hold a reference, which becomes the scheduler's as after creation. -DER_NO_PERM.
 */
int tse_task_reset(tse_task_t *task, tse_task_func_t task_func, void *priv);
void tse_task_addref(tse_task_t *task);
void tse_task_decref(tse_task_t *task);

/* Lists of tasks that belong to the caller: a task is on at most one. No references are taken. */
int tse_task_list_add(tse_task_t *task, d_list_t *head);
void tse_task_list_del(tse_task_t *task);
tse_task_t *tse_task_list_first(d_list_t *head);

/** Schedule all, or complete all with rc. */
void tse_task_list_sched(d_list_t *head, bool instant);
void tse_task_list_abort(d_list_t *head, int rc);

/** All tasks of the list wait for task; and task waits for all of the list. */
int tse_task_list_depend(d_list_t *head, tse_task_t *task);
int tse_task_depend_list(tse_task_t *task, d_list_t *head);

/**
 * Call cb for each task; it may take its task off the list. Returns the last non-zero result. adv:
 * the list itself may be gone after the last call.
 */
int tse_task_list_traverse(d_list_t *head, tse_task_cb_t cb, void *arg);
int tse_task_list_traverse_adv(d_list_t *head, tse_task_cb_t cb, void *arg);

/** Do not take over the errors of dependencies. */
void tse_disable_propagate(tse_task_t *task);

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* DAOS_TSE_H */
