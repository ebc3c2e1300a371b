/*
 * Events and event queues: how a call is made without waiting for it.
 *
 * A call given an event returns at once; the event completes later, with the result in ev_error.
 * Nothing progresses by itself: daos_eq_poll() on the event's queue, or daos_event_test() for an
 * event without a queue, does the work. Events may have children: a parent completes when its
 * barrier was set and all children are complete.
 */
#ifndef DAOS_EVENT_H
#define DAOS_EVENT_H

#include <daos_types.h>
#include <daos_errno.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

int daos_eq_create(daos_handle_t *eqh);

/** Destroy even if events are in flight: they are aborted. */
#define DAOS_EQ_DESTROY_FORCE 1

/** -DER_EQ_BUSY while events are in the queue, unless forced. */
int daos_eq_destroy(daos_handle_t eqh, int flags);

/**
 * Make progress and take completed events out of the queue.
 *
 * \param wait_running	when set, wait only while events are in flight
 * \param timeout	microseconds, DAOS_EQ_WAIT or DAOS_EQ_NOWAIT
 * \param nevents	room in events
 *
 * \return		number of events taken, or a negative DER code
 */
int daos_eq_poll(daos_handle_t eqh, int wait_running, int64_t timeout, unsigned int nevents,
		 daos_event_t **events);

/** Number of events in the queue, and the first nevents of them, without taking them out. */
int daos_eq_query(daos_handle_t eqh, daos_eq_query_t query, unsigned int nevents,
		  daos_event_t **events);

/** Prepare an event. The queue may be DAOS_HDL_INVAL; parent may be NULL. */
int daos_event_init(daos_event_t *ev, daos_handle_t eqh, daos_event_t *parent);

/** Done with an event; -DER_BUSY while it or a child is in flight. */
int daos_event_fini(daos_event_t *ev);

/** First child (child NULL) or the one after child; NULL at the end. */
daos_event_t *daos_event_next(daos_event_t *parent, daos_event_t *child);

/** Progress and say in *flag whether the event is complete; a negative code only for misuse. */
int daos_event_test(struct daos_event *ev, int64_t timeout, bool *flag);

/** Called when an event completes, with its result; the return value replaces that result. */
typedef int (*daos_event_comp_cb_t)(void *, daos_event_t *, int);

/** Register a callback on an event that is not in flight; it is used once. */
int daos_event_register_comp_cb(struct daos_event *ev, daos_event_comp_cb_t cb, void *arg);

/** No more children will be launched: the parent completes with the last of them. */
int daos_event_parent_barrier(struct daos_event *ev);

/** Try to stop an operation; it completes as usual if it is too late for that. */
int daos_event_abort(daos_event_t *ev);

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* DAOS_EVENT_H */
