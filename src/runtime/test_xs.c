/* The event loop: timers, sources, hooks, mailbox and sleep with real threads, fork. */
#include "runtime/test_support.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <daos_errno.h>

#include "runtime/fork_gen.h"
#include "runtime/xs_internal.h"

#define MS 1000000ull

static bool
never(void *arg)
{
	return false;
}

static bool
is_set(void *arg)
{
	return *(bool *)arg;
}

static double
cpu_seconds(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
	       (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

/* --- timers -------------------------------------------------------------------------------------
 */

struct timers {
	uint64_t last_at;
	uint64_t last_seq;
	uint32_t fired;
};
struct seq_timer {
	struct xs_timer timer;
	uint64_t seq;
	struct timers *all;
};

static void
timer_fired(struct xs_timer *t)
{
	struct seq_timer *s = container_of(t, struct seq_timer, timer);
	struct timers *all = s->all;

	assert_true(xs_now_ns(t->xs) >= t->at_ns);
	assert_true(t->at_ns > all->last_at ||
		    (t->at_ns == all->last_at && s->seq > all->last_seq));
	all->last_at = t->at_ns;
	all->last_seq = s->seq;
	all->fired++;
}

/* Random times with many equal ones, some moved, some cancelled: fire in order of (time, arming).
 */
static void
test_timer_order(void **state)
{
	enum { NR = 3000 };
	struct timers all = {0};
	struct seq_timer *ts = calloc(NR, sizeof(*ts));
	struct test_xs t;
	uint64_t base;
	uint64_t seq = 0;
	uint32_t cancelled = 0;
	uint32_t i;

	test_xs_open(&t);
	srand(7);
	base = xs_now_ns(t.xs);
	for (i = 0; i < NR; i++) {
		xs_timer_init(&ts[i].timer, timer_fired, NULL);
		ts[i].all = &all;
		ts[i].seq = ++seq;
		xs_timer_arm(t.xs, &ts[i].timer, base + (uint64_t)(rand() % 500) * 20000);
	}
	for (i = 0; i < NR; i++) {
		switch (rand() % 3) {
		case 0:
			xs_timer_cancel(&ts[i].timer);
			xs_timer_cancel(&ts[i].timer);
			assert_int_equal(ts[i].timer.heap_idx, 0);
			cancelled++;
			break;
		case 1:
			ts[i].seq = ++seq;
			xs_timer_arm(t.xs, &ts[i].timer, base + (uint64_t)(rand() % 500) * 20000);
			break;
		}
	}
	assert_int_equal(xs_run_until(t.xs, never, NULL, base + 15 * MS), -DER_TIMEDOUT);
	assert_int_equal(all.fired, NR - cancelled);
	assert_true(xs_next_timer_ns(t.xs) == UINT64_MAX);
	free(ts);
	test_xs_close(&t);
}

struct rearm {
	struct xs_timer timer;
	struct xs_timer victim;
	int nr;
	bool done;
};

static void
victim_fired(struct xs_timer *t)
{
	fail_msg("a cancelled timer has fired");
}

static void
rearm_fired(struct xs_timer *t)
{
	struct rearm *r = t->arg;

	xs_timer_cancel(&r->victim); /* due in the same turn */
	if (++r->nr == 5)
		r->done = true;
	else
		xs_timer_arm(t->xs, t, t->at_ns); /* in the past: again in the next turn */
}

static void
test_timer_rearm(void **state)
{
	struct rearm r = {0};
	struct test_xs t;
	uint64_t now;

	test_xs_open(&t);
	now = xs_now_ns(t.xs);
	xs_timer_init(&r.timer, rearm_fired, &r);
	xs_timer_init(&r.victim, victim_fired, &r);
	xs_timer_arm(t.xs, &r.timer, now);
	xs_timer_arm(t.xs, &r.victim, now);
	assert_true(xs_step(t.xs));
	assert_int_equal(r.nr, 1);
	assert_int_equal(xs_run_until(t.xs, is_set, &r.done, now + 1000 * MS), 0);
	assert_int_equal(r.nr, 5);
	test_xs_close(&t);
}

/* --- sources and hooks ---------------------------------------------------------------------------
 */

struct pipe_source {
	struct xs_source src;
	struct xs_hook hook;
	int fds[2];
	uint32_t polled;
	uint32_t hooked;
	char got;
	bool done;
};

static uint32_t
pipe_poll(struct xs_source *src)
{
	struct pipe_source *p = src->arg;

	p->polled++;
	if (read(p->fds[0], &p->got, 1) != 1)
		return 0;
	p->done = true;
	return 1;
}

static void
hook_ran(struct xs_hook *h)
{
	struct pipe_source *p = h->arg;

	p->hooked++;
}

static void *
write_later(void *arg)
{
	struct pipe_source *p = arg;

	usleep(20000);
	assert_int_equal(write(p->fds[1], "x", 1), 1);
	return NULL;
}

static void
test_source(void **state)
{
	struct pipe_source p = {0};
	struct test_xs t;
	pthread_t thread;
	uint64_t start;

	test_xs_open(&t);
	assert_int_equal(pipe2(p.fds, O_NONBLOCK), 0);
	p.src = (struct xs_source){.fd = p.fds[0], .poll = pipe_poll, .arg = &p};
	p.hook = (struct xs_hook){.fn = hook_ran, .arg = &p};
	assert_int_equal(xs_source_add(t.xs, &p.src), 0);
	xs_hook_add(t.xs, &p.hook);
	xs_step(t.xs);
	assert_int_equal(p.hooked, 0); /* nothing ran */
	pthread_create(&thread, NULL, write_later, &p);
	start = xs_now_fresh_ns(t.xs);
	assert_int_equal(xs_run_until(t.xs, is_set, &p.done, start + 10000 * MS), 0);
	pthread_join(thread, NULL);
	assert_int_equal(p.got, 'x');
	assert_int_equal(p.hooked, 1);
	assert_true(xs_now_fresh_ns(t.xs) - start < 5000 * MS);
	assert_true(t.xs->wake_nr >= 1);
	xs_source_del(t.xs, &p.src);
	xs_hook_del(t.xs, &p.hook);
	p.polled = 0;
	xs_step(t.xs);
	assert_int_equal(p.polled, 0);
	/* a descriptor that cannot be watched */
	p.src.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	close(p.src.fd);
	assert_int_not_equal(xs_source_add(t.xs, &p.src), 0);
	close(p.fds[0]);
	close(p.fds[1]);
	test_xs_close(&t);
}

/* A source may remove itself and its neighbours while it is polled. */
struct chain_source {
	struct xs_source src;
	struct chain_source *victim;
	uint32_t polled;
};

static uint32_t
chain_poll(struct xs_source *src)
{
	struct chain_source *c = src->arg;

	c->polled++;
	if (c->victim != NULL)
		xs_source_del(xs_self(), &c->victim->src);
	c->victim = NULL;
	return 0;
}

static void
test_source_del_in_poll(void **state)
{
	struct chain_source c[4] = {0};
	struct test_xs t;
	int i;

	test_xs_open(&t);
	for (i = 0; i < 4; i++) {
		c[i].src = (struct xs_source){.fd = -1, .poll = chain_poll, .arg = &c[i]};
		assert_int_equal(xs_source_add(t.xs, &c[i].src), 0);
	}
	c[0].victim = &c[1]; /* the next */
	c[2].victim = &c[2]; /* itself */
	xs_step(t.xs);
	assert_int_equal(c[0].polled, 1);
	assert_int_equal(c[1].polled, 0);
	assert_int_equal(c[2].polled, 1);
	assert_int_equal(c[3].polled, 1);
	xs_source_del(t.xs, &c[0].src);
	xs_source_del(t.xs, &c[3].src);
	test_xs_close(&t);
}

/* --- mailbox
 * -------------------------------------------------------------------------------------- */

enum { SENDERS = 4, PER_SENDER = 3000 };

struct counted {
	struct xs_msg msg;
	uint32_t sender;
	uint32_t seq;
	struct mail_test *all;
};
struct mail_test {
	struct xs *xs;
	uint32_t next_seq[SENDERS]; /* receiver's */
	uint32_t got;
	_Atomic bool finished;
};
struct sender {
	pthread_t thread;
	struct mail_test *all;
	uint32_t id;
	struct counted *msgs;
};

static void
count_msg(struct xs_msg *msg)
{
	struct counted *c = container_of(msg, struct counted, msg);
	struct mail_test *all = c->all;

	assert_ptr_equal(xs_self(), all->xs);
	assert_int_equal(c->seq, all->next_seq[c->sender]++);
	if (++all->got == SENDERS * PER_SENDER)
		atomic_store(&all->finished, true);
}

static void *
sender_main(void *arg)
{
	struct sender *s = arg;
	uint32_t i;

	for (i = 0; i < PER_SENDER; i++) {
		struct counted *c = &s->msgs[i];

		c->all = s->all;
		c->sender = s->id;
		c->seq = i;
		c->msg.fn = count_msg;
		xs_post(s->all->xs, &c->msg);
		/* let the receiver fall asleep from time to time, at every phase of its fall */
		if (i % 50 == 0)
			usleep((i / 50) % 7 * 15);
	}
	return NULL;
}

static void
test_mail_stress(void **state)
{
	struct mail_test all = {0};
	struct sender senders[SENDERS];
	struct test_xs t;
	int waited = 0;
	uint32_t i;

	test_xs_open(&t);
	all.xs = t.xs;
	assert_int_equal(xs_thread_start(t.xs), 0);
	for (i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){.all = &all, .id = i};
		senders[i].msgs = calloc(PER_SENDER, sizeof(struct counted));
		assert_int_equal(pthread_create(&senders[i].thread, NULL, sender_main, &senders[i]),
				 0);
	}
	for (i = 0; i < SENDERS; i++)
		pthread_join(senders[i].thread, NULL);
	/* a lost wake-up would leave mail lying about: nobody else wakes the receiver */
	while (!atomic_load(&all.finished) && waited++ < 2000)
		usleep(1000);
	assert_true(atomic_load(&all.finished));
	xs_stop(t.xs);
	xs_thread_join(t.xs);
	assert_int_equal(all.got, SENDERS * PER_SENDER);
	for (i = 0; i < SENDERS; i++)
		free(senders[i].msgs);
	test_xs_close(&t);
}

/* --- calls between threads
 * -------------------------------------------------------------------------- */

struct remote {
	struct xs *to;
	uint64_t sum; /* touched on to only */
};

static int
remote_add(void *arg)
{
	struct remote *r = arg;

	assert_ptr_equal(co_xs(), r->to);
	if (r->sum % 3 == 0)
		co_yield();
	r->sum++;
	return (int)r->sum;
}

static int
call_many(void *arg)
{
	struct remote *r = arg;
	int last = 0;
	int i;

	for (i = 0; i < 300; i++) {
		int rc = xs_call_remote(r->to, remote_add, r);

		assert_true(rc > last);
		last = rc;
	}
	return 0;
}

static int
call_many_from_four(void *arg)
{
	struct co_group g;
	int i;

	co_group_init(&g);
	for (i = 0; i < 4; i++)
		assert_int_equal(co_group_spawn(&g, call_many, arg), 0);
	return co_group_join(&g);
}

static void
test_call_remote(void **state)
{
	struct test_xs a;
	struct test_xs b;
	struct remote r = {0};

	test_xs_open(&a);
	test_xs_open(&b);
	r.to = b.xs;
	assert_int_equal(xs_thread_start(b.xs), 0);
	/* from a loop driven by this thread */
	assert_int_equal(xs_call(a.xs, call_many_from_four, &r), 0);
	/* from another thread's loop, itself called from a thread without one */
	assert_int_equal(xs_thread_start(a.xs), 0);
	assert_int_equal(xs_call(a.xs, call_many, &r), 0);
	assert_int_equal(xs_call(b.xs, remote_add, &r), 1501);
	xs_stop(a.xs);
	xs_thread_join(a.xs);
	xs_stop(b.xs);
	xs_thread_join(b.xs);
	assert_int_equal(r.sum, 1501);
	test_xs_close(&a);
	test_xs_close(&b);
}

/* --- stop
 * --------------------------------------------------------------------------------------------- */

static void
test_stop(void **state)
{
	struct test_xs t;
	int i;

	test_xs_open(&t);
	xs_stop(t.xs); /* before it runs: remembered */
	xs_run(t.xs);
	for (i = 0; i < 50; i++) { /* at every phase of starting and falling asleep */
		assert_int_equal(xs_thread_start(t.xs), 0);
		usleep((useconds_t)(i * 5));
		xs_stop(t.xs);
		xs_thread_join(t.xs);
	}
	test_xs_close(&t);
}

/* --- idle costs nothing
 * --------------------------------------------------------------------------------- */

struct heartbeat {
	struct xs_timer timer;
	uint32_t beats;
};

static void
beat(struct xs_timer *t)
{
	struct heartbeat *h = t->arg;

	h->beats++;
	xs_timer_arm(t->xs, t, xs_now_ns(t->xs) + 10 * MS);
}

static void
test_idle(void **state)
{
	enum { NR = 4 };
	struct test_xs t[NR];
	struct heartbeat h = {0};
	double cpu;
	int i;

	for (i = 0; i < NR; i++)
		test_xs_open(&t[i]);
	/* one with a timer every 10 ms, the others with nothing to wait for */
	xs_timer_init(&h.timer, beat, &h);
	xs_timer_arm(t[0].xs, &h.timer, xs_now_ns(t[0].xs));
	for (i = 0; i < NR; i++)
		assert_int_equal(xs_thread_start(t[i].xs), 0);
	usleep(20000);
	cpu = cpu_seconds();
	usleep(300000);
	cpu = cpu_seconds() - cpu;
	for (i = 0; i < NR; i++) {
		xs_stop(t[i].xs);
		xs_thread_join(t[i].xs);
	}
	xs_timer_cancel(&h.timer);
	assert_true(h.beats >= 5);
	assert_true(cpu < 0.015); /* 5 % of one core, mostly this test's own threads */
	assert_true(t[1].xs->wake_nr <= 3);
	for (i = 0; i < NR; i++)
		test_xs_close(&t[i]);
}

/* --- spinning is for those whom it serves -------------------------------------------------------
 */

static void
ignore_msg(struct xs_msg *msg)
{
}

static int
return_0(void *arg)
{
	return 0;
}

/* Calls to and fro until the loop spins again, 3 s at most. */
static int
call_until_credit(void *arg)
{
	struct xs *to = arg;
	uint64_t give_up = xs_now_fresh_ns(co_xs()) + 3000 * MS;

	while (co_xs()->spin_credit < XS_SPIN_MIN && xs_now_fresh_ns(co_xs()) < give_up)
		xs_call_remote(to, return_0, NULL);
	return (int)co_xs()->spin_credit;
}

static void
test_spin_credit(void **state)
{
	struct xs_msg msgs[8];
	struct test_xs t;
	struct test_xs other;
	int i;

	test_xs_open(&t);
	assert_int_equal(t.xs->spin_credit, XS_SPIN_FULL);
	assert_int_equal(xs_thread_start(t.xs), 0);
	for (i = 0; i < 8; i++) {
		usleep(3000);
		msgs[i].fn = ignore_msg;
		xs_post(t.xs, &msgs[i]);
	}
	usleep(3000);
	xs_stop(t.xs);
	xs_thread_join(t.xs);
	/* rare messages: it has learnt to sleep at once */
	assert_true(t.xs->spin_credit < XS_SPIN_MIN);
	/* a busy exchange, with both sides asleep at first: it learns the opposite */
	test_xs_open(&other);
	other.xs->spin_credit = 0;
	t.xs->spin_credit = 0;
	assert_int_equal(xs_thread_start(other.xs), 0);
	assert_true(xs_call(t.xs, call_until_credit, other.xs) >= XS_SPIN_MIN);
	xs_stop(other.xs);
	xs_thread_join(other.xs);
	test_xs_close(&other);
	test_xs_close(&t);
}

/* --- one loop, driven by one thread after another
 * ---------------------------------------------------------- */

struct relay {
	struct xs *xs;
	struct co_waitq wq;
	uint32_t steps;
	bool stop;
};

static void
relay_co(void *arg)
{
	struct relay *r = arg;

	while (!r->stop) {
		assert_ptr_equal(co_xs(), r->xs);
		assert_ptr_equal(xs_self(), r->xs);
		co_waitq_wait(&r->wq, 0);
		r->steps++;
	}
	r->xs = NULL;
}

static void *
relay_drive(void *arg)
{
	struct relay *r = arg;

	co_waitq_wake_all(&r->wq);
	while (xs_step(r->xs))
		;
	return NULL;
}

static void
test_threads_take_turns(void **state)
{
	struct relay r = {0};
	struct test_xs t;
	pthread_t thread;
	int i;

	test_xs_open(&t);
	r.xs = t.xs;
	co_waitq_init(&r.wq);
	assert_int_equal(co_spawn(t.xs, relay_co, &r), 0);
	while (xs_step(t.xs))
		;
	for (i = 0; i < 10; i++) {
		pthread_create(&thread, NULL, relay_drive, &r);
		pthread_join(thread, NULL);
		assert_int_equal(r.steps, 2 * i + 1);
		relay_drive(&r);
		assert_int_equal(r.steps, 2 * i + 2);
	}
	r.stop = true;
	co_waitq_wake_all(&r.wq);
	while (xs_step(t.xs))
		;
	assert_null(r.xs);
	test_xs_close(&t);
}

/* --- fork
 * -----------------------------------------------------------------------------------------------------
 */

static int
wait_long(void *arg)
{
	co_sleep_ns(30 * MS);
	return 5;
}

static void
test_fork(void **state)
{
	uint32_t gen = fork_gen();
	struct test_xs t;
	int status;
	pid_t pid;

	test_xs_open(&t);
	pid = fork();
	if (pid == 0) {
		bool ok = fork_gen() != gen && xs_call(t.xs, wait_long, NULL) == -DER_UNINIT &&
			  xs_run_until(t.xs, never, NULL, 1) == -DER_UNINIT;
		struct test_xs own;

		xs_destroy(t.xs);
		test_xs_open(&own);
		ok = ok && xs_call(own.xs, wait_long, NULL) == 5;
		test_xs_close(&own);
		_exit(ok ? 0 : 1);
	}
	assert_int_equal(xs_call(t.xs, wait_long, NULL), 5);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(fork_gen(), gen);
	assert_int_equal(xs_call(t.xs, wait_long, NULL), 5);
	test_xs_close(&t);
}

/* --- env
 * --------------------------------------------------------------------------------------------------------
 */

static void
test_env(void **state)
{
	uint32_t seen[7] = {0};
	struct env env;
	uint64_t a;
	uint64_t b;
	int i;

	env_init_real(&env);
	a = env_mono_ns(&env);
	b = env_mono_ns(&env);
	assert_true(b >= a);
	assert_true(env_real_ns(&env) / 1000000000 - (uint64_t)time(NULL) + 1 <= 2);
	assert_true(env_rand_u64(&env) != env_rand_u64(&env));
	for (i = 0; i < 2000; i++) {
		uint64_t v = env_rand_below(&env, 7);

		assert_true(v < 7);
		seen[v]++;
	}
	for (i = 0; i < 7; i++) /* about 286 each */
		assert_true(seen[i] > 150);
	assert_int_equal(env_rand_below(&env, 1), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_timer_order), cmocka_unit_test(test_timer_rearm),
	    cmocka_unit_test(test_source),      cmocka_unit_test(test_source_del_in_poll),
	    cmocka_unit_test(test_mail_stress), cmocka_unit_test(test_call_remote),
	    cmocka_unit_test(test_stop),        cmocka_unit_test(test_idle),
	    cmocka_unit_test(test_spin_credit), cmocka_unit_test(test_threads_take_turns),
	    cmocka_unit_test(test_fork),        cmocka_unit_test(test_env),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
