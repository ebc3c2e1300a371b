/* The real clock and randomness, and what is the same for every implementation of them. */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "runtime/fork_gen.h"
#include "runtime/xs.h"

static uint64_t
clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static uint64_t
real_mono_ns(void *ctx)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static uint64_t
real_real_ns(void *ctx)
{
	return clock_ns(CLOCK_REALTIME);
}

static void
real_fill(void *ctx, void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len > 0) {
		ssize_t n = getrandom(p, len, 0);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			abort(); /* no kernel we run on lacks it */
		}
		p += n;
		len -= (size_t)n;
	}
}

static const struct clock_ops real_clock = {.mono_ns = real_mono_ns, .real_ns = real_real_ns};
static const struct rand_ops real_rand = {.fill = real_fill};

void
env_init_real(struct env *env)
{
	*env = (struct env){.clock = &real_clock, .rand = &real_rand};
}

uint64_t
env_mono_ns(const struct env *env)
{
	return env->clock->mono_ns(env->clock_ctx);
}

uint64_t
env_real_ns(const struct env *env)
{
	return env->clock->real_ns(env->clock_ctx);
}

void
env_rand_fill(const struct env *env, void *buf, size_t len)
{
	env->rand->fill(env->rand_ctx, buf, len);
}

uint64_t
env_rand_u64(const struct env *env)
{
	uint64_t v;

	env_rand_fill(env, &v, sizeof(v));
	return v;
}

/* By multiplication; D. Lemire, "Fast Random Integer Generation in an Interval" (2019). */
uint64_t
env_rand_below(const struct env *env, uint64_t bound)
{
	unsigned __int128 m;

	assert(bound > 0);
	m = (unsigned __int128)env_rand_u64(env) * bound;
	if ((uint64_t)m < bound) {
		uint64_t threshold = -bound % bound;

		while ((uint64_t)m < threshold)
			m = (unsigned __int128)env_rand_u64(env) * bound;
	}
	return (uint64_t)(m >> 64);
}

/* --- fork generation -------------------------------------------------------------------------- */

static _Atomic uint32_t generation = 1;
static pthread_once_t generation_once = PTHREAD_ONCE_INIT;

static void
forked_child(void)
{
	atomic_fetch_add(&generation, 1);
}

static void
generation_init(void)
{
	pthread_atfork(NULL, NULL, forked_child);
}

uint32_t
fork_gen(void)
{
	pthread_once(&generation_once, generation_init);
	return atomic_load_explicit(&generation, memory_order_relaxed);
}
