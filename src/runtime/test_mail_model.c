/*
 * The mailbox and the sleep protocol under every schedule.
 *
 * This test compiles xs.c into itself with MODEL_POINT() defined, and runs senders, a stopper and
 * the receiving loop as fibers of one thread. At each such point it decides who goes on; a search
 * over these decisions runs the program once for every schedule with at most PREEMPTIONS_MAX
 * switches away from somebody who could have gone on (M. Musuvathi, S. Qadeer, "Iterative context
 * bounding", 2007). epoll_wait() and the write to the eventfd are replaced, so that a lost wake-up
 * shows as what it is: the receiver waits, nobody else is left, and mail is not delivered.
 *
 * What it does not show is reordering by compiler and processor: that is for ThreadSanitizer, in
 * test_xs.c.
 */
#include "runtime/test_support.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void model_point(void);
static int model_epoll_wait(int fd, struct epoll_event *ev, int nr, int timeout);
static ssize_t model_write(int fd, const void *buf, size_t len);

#define MODEL_POINT() model_point()
#define epoll_wait    model_epoll_wait
#define write         model_write
#include "runtime/xs.c"
#undef epoll_wait
#undef write

enum {
	PREEMPTIONS_MAX = 3,
	FIBERS = 3,
	STEPS_MAX = 400,
	PER_SENDER = 2,
};

struct fiber {
	struct co_ctx ctx;
	struct co_stack stack;
	void (*fn)(int id);
	bool done;
	bool waiting; /* in epoll_wait */
};

/* One decision: who went on, out of how many. */
struct choice {
	uint8_t taken;
	uint8_t options;
};

struct model_msg {
	struct xs_msg msg;
	bool delivered;
};

static struct {
	struct co_ctx scheduler;
	struct fiber fibers[FIBERS];
	int running; /* -1: the scheduler */
	bool armed;  /* points count */
	struct choice choices[STEPS_MAX];
	uint32_t depth;       /* decisions of this run so far */
	uint32_t prefix;      /* of them, given by the search */
	uint32_t preemptions; /* of this run so far */
	struct xs *xs;
	uint64_t clock_ns;
	bool kicked; /* the eventfd has an edge that nobody saw */
	uint32_t kicks;
	uint32_t sleeps;
	uint32_t delivered;
	uint32_t stop_after; /* the receiver stops itself after so many messages; 0 = never */
	struct model_msg msgs[2][PER_SENDER];
} m;

/* --- fibers -------------------------------------------------------------------------------------
 */

static void
fiber_main(void *arg)
{
	int id = (int)(intptr_t)arg;

	co_ctx_entered(&m.fibers[id].ctx, &m.scheduler);
	for (;;) { /* once per schedule */
		m.fibers[id].fn(id);
		m.fibers[id].done = true;
		co_ctx_switch(&m.fibers[id].ctx, &m.scheduler, 1);
	}
}

static void
to_scheduler(void)
{
	int id = m.running;

	co_ctx_switch(&m.fibers[id].ctx, &m.scheduler, 0);
}

static void
model_point(void)
{
	if (m.armed && m.running >= 0)
		to_scheduler();
}

static int
model_epoll_wait(int fd, struct epoll_event *ev, int nr, int timeout)
{
	m.sleeps++;
	m.fibers[m.running].waiting = true;
	to_scheduler();
	assert_true(m.kicked);
	m.kicked = false;
	return 1;
}

static ssize_t
model_write(int fd, const void *buf, size_t len)
{
	m.kicked = true;
	m.kicks++;
	return (ssize_t)len;
}

static bool
can_run(int id)
{
	return !m.fibers[id].done && (!m.fibers[id].waiting || m.kicked);
}

/* Choose who goes on; -1 if nobody can. The one who ran last comes first: that is no preemption. */
static int
choose(int last)
{
	int options[FIBERS];
	uint32_t nr = 0;
	bool last_can = last >= 0 && can_run(last);
	struct choice *c;
	int i;

	if (last_can)
		options[nr++] = last;
	if (!last_can || m.preemptions < PREEMPTIONS_MAX) {
		for (i = 0; i < FIBERS; i++) {
			if (i != last && can_run(i))
				options[nr++] = i;
		}
	}
	if (nr == 0)
		return -1;
	assert_true(m.depth < STEPS_MAX);
	c = &m.choices[m.depth];
	if (m.depth >= m.prefix)
		c->taken = 0;
	c->options = (uint8_t)nr;
	m.depth++;
	if (last_can && c->taken > 0)
		m.preemptions++;
	return options[c->taken];
}

/* Run the program once under the schedule so far and the default beyond it. */
static void
run_schedule(void)
{
	int last = -1;

	m.depth = 0;
	m.preemptions = 0;
	m.armed = true;
	co_ctx_thread(&m.scheduler);
	while ((last = choose(last)) >= 0) {
		m.running = last;
		m.fibers[last].waiting = false;
		co_ctx_switch(&m.scheduler, &m.fibers[last].ctx, 0);
		m.running = -1;
	}
	m.armed = false;
}

/* The next schedule in depth-first order; false when all have been run. */
static bool
next_schedule(void)
{
	while (m.depth > 0) {
		struct choice *c = &m.choices[m.depth - 1];

		if (c->taken + 1 < c->options) {
			c->taken++;
			m.prefix = m.depth;
			return true;
		}
		m.depth--;
	}
	return false;
}

/* --- the program
 * ---------------------------------------------------------------------------------- */

/* Each reading is a millisecond later: no spin, every sleep counts as long. */
static uint64_t
model_clock(void *ctx)
{
	return m.clock_ns += 1000000;
}

static void
msg_arrived(struct xs_msg *msg)
{
	struct model_msg *mm = container_of(msg, struct model_msg, msg);

	assert_false(mm->delivered);
	mm->delivered = true;
	if (++m.delivered == m.stop_after)
		xs_stop(m.xs);
}

static void
receiver(int id)
{
	xs_run(m.xs);
}

static void
sender(int id)
{
	int i;

	for (i = 0; i < PER_SENDER; i++) {
		struct model_msg *mm = &m.msgs[id - 1][i];

		mm->msg.fn = msg_arrived;
		xs_post(m.xs, &mm->msg);
	}
}

static void
stopper(int id)
{
	xs_stop(m.xs);
}

static void
explore(void (*second)(int id), void (*third)(int id), uint32_t stop_after, uint32_t *ret_runs,
	uint32_t *ret_slept)
{
	void (*const fns[FIBERS])(int id) = {receiver, second, third};
	struct clock_ops clock = {.mono_ns = model_clock, .real_ns = model_clock};
	struct env env;
	struct xs_conf conf = {.name = "model", .env = &env, .cpu = -1};
	int i;

	env_init_real(&env);
	env.clock = &clock;
	memset(&m, 0, sizeof(m));
	m.running = -1;
	*ret_runs = 0;
	*ret_slept = 0;
	for (i = 0; i < FIBERS; i++) {
		struct fiber *f = &m.fibers[i];

		assert_int_equal(co_stack_map(&f->stack, 256 * 1024), 0);
		co_ctx_make(&f->ctx, &f->stack, f->stack.map + f->stack.map_size, fiber_main,
			    (void *)(intptr_t)i);
		f->fn = fns[i];
	}
	assert_int_equal(xs_create(&conf, &m.xs), 0);
	do {
		for (i = 0; i < FIBERS; i++)
			m.fibers[i].done = false;
		memset(m.msgs, 0, sizeof(m.msgs));
		m.kicked = false;
		m.kicks = 0;
		m.sleeps = 0;
		m.delivered = 0;
		m.stop_after = stop_after;
		run_schedule();
		/* nobody hangs: above all, the receiver does not sleep on mail or a stop */
		for (i = 0; i < FIBERS; i++)
			assert_true(m.fibers[i].done);
		if (stop_after > 0)
			assert_int_equal(m.delivered, stop_after);
		/* one kick for a sleep at most, and the receiver knows of each */
		assert_true(m.kicks <= m.xs->wake_nr + 1);
		assert_true(atomic_load(&m.xs->kicks_done) == m.xs->kicks_owed);
		(*ret_runs)++;
		if (m.sleeps > 0)
			(*ret_slept)++;
		/* leave nothing to the next run */
		m.xs->wake_nr = 0;
		mail_take(m.xs);
		atomic_store(&m.xs->stop, false);
	} while (next_schedule());
	xs_destroy(m.xs);
	for (i = 0; i < FIBERS; i++) {
		co_ctx_fini(&m.fibers[i].ctx);
		co_stack_unmap(&m.fibers[i].stack);
	}
}

static void
test_two_senders(void **state)
{
	uint32_t runs;
	uint32_t slept;

	explore(sender, sender, 2 * PER_SENDER, &runs, &slept);
	print_message("%u schedules, the receiver slept in %u of them\n", runs, slept);
	assert_true(runs > 1000 && slept > 100);
}

static void
test_sender_and_stopper(void **state)
{
	uint32_t runs;
	uint32_t slept;

	explore(sender, stopper, 0, &runs, &slept);
	print_message("%u schedules, the receiver slept in %u of them\n", runs, slept);
	assert_true(runs > 1000 && slept > 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_two_senders),
	    cmocka_unit_test(test_sender_and_stopper),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
