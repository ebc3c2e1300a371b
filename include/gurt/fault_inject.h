/*
 * Fault injection points, set up by the YAML file named in D_FI_CONFIG or by calls.
 */
#ifndef GURT_FAULT_INJECT_H
#define GURT_FAULT_INJECT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <gurt/debug.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

#define D_FAULT_CONFIG_ENV "D_FI_CONFIG"

/** Non-zero while injection is enabled for the process. */
extern unsigned int d_fault_inject;
/** Non-zero when a configuration file was read. */
extern unsigned int d_fault_config_file;
/** The point that allocation macros ask (id 0), NULL when not configured. */
extern struct d_fault_attr_t *d_fault_attr_mem;

struct d_fault_attr_t {
	uint32_t fa_id;
	/** Fail each fa_interval-th hit that probability lets through; 0 and 1: every one. */
	uint32_t fa_interval;
	/** Stop after this many faults, 0: no limit. */
	uint64_t fa_max_faults;
	uint64_t fa_num_faults; /* faults so far */
	uint64_t fa_num_hits;   /* times the point was asked */
	char *fa_argument;
	pthread_spinlock_t fa_lock;
	int32_t fa_err_code; /* what the point should return */
	unsigned short fa_rand_state[3];
	/** Fail with probability x in y; y 0: never at random. */
	uint32_t fa_probability_x;
	uint32_t fa_probability_y;
};

int d_fault_inject_init(void);
int d_fault_inject_fini(void);
int d_fault_inject_enable(void);
int d_fault_inject_disable(void);
bool d_fault_inject_is_enabled(void);

/** For the calling thread only; and the state new threads start in. */
void d_fault_inject_thread_enable(bool enabled);
void d_fault_inject_thread_default_enable(bool enabled);

/** Count a hit and decide. NULL never fails. */
bool d_should_fail(struct d_fault_attr_t *fault_attr_ptr);

#define D_SHOULD_FAIL(fault_attr)                                                                  \
	({                                                                                         \
		bool __should_fail = d_fault_inject != 0 && d_should_fail(fault_attr);             \
		if (__should_fail)                                                                 \
			D_WARN("fault_id %d, injecting fault.\n", (int)(fault_attr)->fa_id);       \
		__should_fail;                                                                     \
	})

/** Create or change a point. */
int d_fault_attr_set(uint32_t fault_id, struct d_fault_attr_t fa_in);

/** fa_err_code of a point, 0 if it does not exist. */
int d_fault_attr_err_code(uint32_t fault_id);
struct d_fault_attr_t *d_fault_attr_lookup(uint32_t fault_id);

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* GURT_FAULT_INJECT_H */
