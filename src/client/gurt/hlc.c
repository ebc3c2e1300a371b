/*
 * The process-wide hybrid logical clock of the public interface, and conversions.
 *
 * A stamp is a count of 1/16 ns since 2021-01-01 UTC. The wall clock is a lower bound of the next
 * stamp; when it has not moved past the last one, the last one plus 1 is taken, so stamps are
 * unique and rise in each process. Contexts inside the project have clocks of their own; this one
 * serves programs that call d_hlc_*.
 */
#include <gurt/common.h>
#include <gurt/atomic.h>

#define UNITS_PER_NS  16ull
#define CLOCK_START_S 1609459200ull
/* Clocks further apart than this are not believed. */
#define EPSILON_DEFAULT_NS 1000000000ull

static ATOMIC uint64_t hlc_last;
static ATOMIC uint64_t hlct_last;
static ATOMIC uint64_t hlc_epsilon = EPSILON_DEFAULT_NS * UNITS_PER_NS;

static uint64_t
hlc_wall(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	/* A clock that was never set gives the start, and stamps still rise. */
	if ((uint64_t)now.tv_sec < CLOCK_START_S)
		return 0;
	return (((uint64_t)now.tv_sec - CLOCK_START_S) * NSEC_PER_SEC + now.tv_nsec) * UNITS_PER_NS;
}

/* Advance the clock to at least floor and above every stamp before. */
static uint64_t
hlc_advance(uint64_t floor)
{
	uint64_t last = atomic_load(&hlc_last);
	uint64_t next;

	do {
		next = MAX(floor, last + 1);
	} while (!atomic_compare_exchange_weak(&hlc_last, &last, next));
	return next;
}

uint64_t
d_hlc_get(void)
{
	return hlc_advance(hlc_wall());
}

int
d_hlc_get_msg(uint64_t msg, uint64_t *hlc_out, uint64_t *offset)
{
	uint64_t wall = hlc_wall();
	uint64_t ahead = msg > wall ? msg - wall : 0;
	uint64_t next;

	if (offset != NULL)
		*offset = ahead;
	if (ahead > atomic_load(&hlc_epsilon) || msg == UINT64_MAX)
		return -DER_HLC_SYNC;
	next = hlc_advance(MAX(wall, msg + 1));
	if (hlc_out != NULL)
		*hlc_out = next;
	return 0;
}

uint64_t
d_hlc2nsec(uint64_t hlc)
{
	return hlc / UNITS_PER_NS;
}

uint64_t
d_nsec2hlc(uint64_t nsec)
{
	return nsec * UNITS_PER_NS;
}

uint64_t
d_hlc2unixnsec(uint64_t hlc)
{
	return d_hlc2nsec(hlc) + CLOCK_START_S * NSEC_PER_SEC;
}

uint64_t
d_unixnsec2hlc(uint64_t unixnsec)
{
	const uint64_t start_ns = CLOCK_START_S * NSEC_PER_SEC;

	if (unixnsec < start_ns || unixnsec - start_ns > UINT64_MAX / UNITS_PER_NS)
		return 0;
	return (unixnsec - start_ns) * UNITS_PER_NS;
}

int
d_hlc2timespec(uint64_t hlc, struct timespec *ts)
{
	uint64_t nsec;

	if (ts == NULL)
		return -DER_INVAL;
	nsec = d_hlc2nsec(hlc);
	ts->tv_sec = (time_t)(nsec / NSEC_PER_SEC + CLOCK_START_S);
	ts->tv_nsec = (long)(nsec % NSEC_PER_SEC);
	return 0;
}

int
d_timespec2hlc(struct timespec ts, uint64_t *hlc)
{
	if (hlc == NULL)
		return -DER_INVAL;
	*hlc = (((uint64_t)ts.tv_sec - CLOCK_START_S) * NSEC_PER_SEC + (uint64_t)ts.tv_nsec) *
	       UNITS_PER_NS;
	return 0;
}

void
d_hlc_epsilon_set(uint64_t epsilon)
{
	atomic_store(&hlc_epsilon, epsilon);
}

uint64_t
d_hlc_epsilon_get(void)
{
	return atomic_load(&hlc_epsilon);
}

uint64_t
d_hlc_epsilon_get_bound(uint64_t hlc)
{
	uint64_t epsilon = atomic_load(&hlc_epsilon);

	return hlc > UINT64_MAX - epsilon ? UINT64_MAX : hlc + epsilon;
}

uint64_t
d_hlc_age2sec(uint64_t hlc)
{
	uint64_t wall = hlc_wall();

	return wall <= hlc ? 0 : d_hlc2sec(wall - hlc);
}

uint64_t
d_hlct_get(void)
{
	return atomic_load(&hlct_last);
}

void
d_hlct_sync(uint64_t msg)
{
	uint64_t last = atomic_load(&hlct_last);

	while (msg > last && !atomic_compare_exchange_weak(&hlct_last, &last, msg))
		;
}
