/*
 * Hybrid logical clock: 64-bit stamps that never repeat on one clock, follow the wall clock and
 * respect what came in messages. A stamp counts 16 units per nanosecond since 2021-01-01 00:00:00
 * UTC (enough until 2057).
 *
 * After S. Kulkarni et al., "Logical Physical Clocks" (2014); here both parts share one number: the
 * physical time is a lower bound and the logical part is simply added.
 */
#ifndef BASE_HLC_H
#define BASE_HLC_H

#include <stdint.h>

#include <daos_errno.h>

#define HLC_EPOCH_NS     1609459200000000000ull /* 2021-01-01 in ns since 1970 */
#define HLC_UNITS_PER_NS 16ull
#define HLC_AHEAD_MAX_NS 1000000000ull /* a peer's stamp further ahead is refused */

/* One per engine or client; used from one thread. */
struct hlc {
	uint64_t last; /* highest stamp given out or received; 0 at the start */
};

static inline uint64_t
hlc_from_ns(uint64_t real_ns)
{
	return real_ns < HLC_EPOCH_NS ? 0 : (real_ns - HLC_EPOCH_NS) * HLC_UNITS_PER_NS;
}

/* ns since 1970, rounded down. */
static inline uint64_t
hlc_to_ns(uint64_t stamp)
{
	return stamp / HLC_UNITS_PER_NS + HLC_EPOCH_NS;
}

/* A new stamp: above every stamp before it. */
static inline uint64_t
hlc_now(struct hlc *hlc, uint64_t real_ns)
{
	uint64_t phys = hlc_from_ns(real_ns);

	hlc->last = phys > hlc->last ? phys : hlc->last + 1;
	return hlc->last;
}

/*
 * Take note of a stamp from elsewhere: later stamps of ours are above it. -DER_HLC_SYNC, and
 * nothing changes, if it is more than a second ahead of the local clock.
 */
static inline int
hlc_recv(struct hlc *hlc, uint64_t real_ns, uint64_t remote)
{
	if (remote <= hlc->last)
		return 0;
	if (remote > hlc_from_ns(real_ns) + HLC_AHEAD_MAX_NS * HLC_UNITS_PER_NS)
		return -DER_HLC_SYNC;
	hlc->last = remote;
	return 0;
}

#endif
