/*
 * Basic types shared by every public interface: memory vectors, ranks and lists of them, strings.
 */
#ifndef GURT_TYPES_H
#define GURT_TYPES_H

#include <uuid/uuid.h>
#include <unistd.h>
#include <stdbool.h>
#include <string.h>
#include <errno.h>
#include <inttypes.h>
#include <time.h>
#include <limits.h>
#include <stdlib.h>
#include <stdio.h>
#include <pthread.h>
#include <byteswap.h>

#if defined(__cplusplus)
extern "C" {
#else
/** True (at compile time) when var has one of the types a uuid is passed as. C only. */
#define d_is_uuid(var)                                                                             \
	(__builtin_types_compatible_p(__typeof__(var), uuid_t) ||                                  \
	 __builtin_types_compatible_p(__typeof__(var), const uuid_t) ||                            \
	 __builtin_types_compatible_p(__typeof__(var), unsigned char *) ||                         \
	 __builtin_types_compatible_p(__typeof__(var), const unsigned char *))

/** True (at compile time) when var is a string: pointer to char, or array of char. C only. */
#define d_is_string(var)                                                                           \
	(__builtin_types_compatible_p(__typeof__(var), char *) ||                                  \
	 __builtin_types_compatible_p(__typeof__(var), const char *) ||                            \
	 __builtin_types_compatible_p(__typeof__(var), char[]) ||                                  \
	 __builtin_types_compatible_p(__typeof__(var), const char[]))
#endif

#if defined(__has_warning)
#define D_HAS_WARNING(gcc_version, warning) __has_warning(warning)
#else
#define D_HAS_WARNING(gcc_version, warning) ((gcc_version) <= __GNUC__)
#endif

/** A uuid as a struct, so that it can be assigned and returned. */
struct d_uuid {
	uuid_t uuid;
};

/** One piece of memory. iov_len is how much of the iov_buf_len bytes is in use or was filled. */
typedef struct {
	void *iov_buf;
	size_t iov_buf_len;
	size_t iov_len;
} d_iov_t;

/** Number of an engine process within its system. */
typedef uint32_t d_rank_t;

typedef struct {
	d_rank_t *rl_ranks;
	uint32_t rl_nr;
} d_rank_list_t;

typedef d_rank_list_t *d_rank_list_ptr_t;

/** Ranks lo to hi, both included. */
typedef struct {
	d_rank_t lo;
	d_rank_t hi;
} d_rank_range_t;

typedef struct {
	d_rank_range_t *rrl_ranges;
	uint32_t rrl_nr;
} d_rank_range_list_t;

typedef char *d_string_t;
typedef const char *d_const_string_t;

/** A scatter/gather list. sg_nr entries are there, sg_nr_out of them were filled by the callee. */
typedef struct {
	uint32_t sg_nr;
	uint32_t sg_nr_out;
	d_iov_t *sg_iovs;
} d_sg_list_t;

/**
 * A growing string, see d_write_string_buffer(). Starts zeroed. status keeps the first failure
 * (negative DER), after which nothing more is added.
 */
struct d_string_buffer_t {
	int status;
	size_t str_size; /* bytes in use, terminating NUL not counted */
	size_t buf_size; /* bytes allocated */
	char *str;       /* released by d_free_string() */
};

/** Let iov describe size bytes at buf, all of them in use. */
static inline void
d_iov_set(d_iov_t *iov, void *buf, size_t size)
{
	iov->iov_buf = buf;
	iov->iov_buf_len = size;
	iov->iov_len = size;
}

#if defined(__cplusplus)
}
#endif

#endif /* GURT_TYPES_H */
