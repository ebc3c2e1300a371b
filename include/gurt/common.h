/*
 * General helpers: allocation and locking macros, hashes, rank lists, scatter/gather lists,
 * environment, strings, time, hybrid clock, back-off.
 */
#ifndef GURT_COMMON_H
#define GURT_COMMON_H

#include <uuid/uuid.h>
#include <unistd.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <errno.h>
#include <inttypes.h>
#include <time.h>
#include <limits.h>
#include <stdlib.h>
#include <stdio.h>
#include <pthread.h>
#include <byteswap.h>

#include <daos_errno.h>

#ifdef D_HAS_VALGRIND
#include <valgrind/valgrind.h>
#include <valgrind/memcheck.h>
#define D_ON_VALGRIND RUNNING_ON_VALGRIND
#else
#define D_ON_VALGRIND                                             0
#define VALGRIND_MAKE_MEM_DEFINED(addr, len)                      ((void)(addr), (void)(len))
#define VALGRIND_DISABLE_ADDR_ERROR_REPORTING_IN_RANGE(addr, len) ((void)(addr), (void)(len))
#define VALGRIND_ENABLE_ADDR_ERROR_REPORTING_IN_RANGE(addr, len)  ((void)(addr), (void)(len))
#endif

#include <gurt/types.h>
#include <gurt/debug.h>
#include <gurt/fault_inject.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

#ifndef likely
#define likely(x) __builtin_expect(!!(x), 1)
#endif
#ifndef unlikely
#define unlikely(x) __builtin_expect(!!(x), 0)
#endif

#define D_BIT_IS_SET(val, bit) (((val) & (bit)) ? 1 : 0)

#if !defined(container_of)
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#endif

/** Round x up to a multiple of a, a power of two. */
#define D_ALIGNUP(x, a) (((x) + ((a)-1)) & ~((a)-1))

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(arr) (sizeof(arr) / sizeof((arr)[0]))
#endif

#ifndef MIN
#define MIN(a, b) (((a) < (b)) ? (a) : (b))
#endif
#ifndef MAX
#define MAX(a, b) (((a) > (b)) ? (a) : (b))
#endif
#ifndef __cplusplus
#ifndef min
#define min(x, y) ((x) < (y) ? (x) : (y))
#endif
#ifndef max
#define max(x, y) ((x) > (y) ? (x) : (y))
#endif
#endif
#ifndef min_t
#define min_t(type, x, y)                                                                          \
	({                                                                                         \
		type __min_x = (x);                                                                \
		type __min_y = (y);                                                                \
		__min_x < __min_y ? __min_x : __min_y;                                             \
	})
#endif
#ifndef max_t
#define max_t(type, x, y)                                                                          \
	({                                                                                         \
		type __max_x = (x);                                                                \
		type __max_y = (y);                                                                \
		__max_x > __max_y ? __max_x : __max_y;                                             \
	})
#endif

#define D_SWAP16(x)  bswap_16(x)
#define D_SWAP32(x)  bswap_32(x)
#define D_SWAP64(x)  bswap_64(x)
#define D_SWAP16S(x) ((void)(*(x) = D_SWAP16(*(x))))
#define D_SWAP32S(x) ((void)(*(x) = D_SWAP32(*(x))))
#define D_SWAP64S(x) ((void)(*(x) = D_SWAP64(*(x))))

/* ---- Pseudo-random numbers, one sequence per process, not for secrets ---- */

#define D_RAND_MAX 0x7fffffff

void d_srand(long int);

/** 0 to D_RAND_MAX. */
long int d_rand(void);

/** 0 (included) to 1 (excluded). */
double d_randd(void);

/* ---- Memory. Everything these return is released by d_free(). ---- */

#if HAVE_DEALLOC
#define _dalloc_ __attribute__((malloc, malloc(d_free)))
#else
#define _dalloc_ __attribute__((malloc))
#endif

void d_free(void *ptr);
void *d_calloc(size_t nmemb, size_t size) _dalloc_ __attribute__((alloc_size(1, 2)));
void *d_malloc(size_t size) _dalloc_ __attribute__((alloc_size(1)));
void *d_realloc(void *, size_t) __attribute__((alloc_size(2)));
char *d_strndup(const char *s, size_t n) _dalloc_;
int d_asprintf(char **strp, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** As asprintf(), returning the string (NULL on failure) and its length in *rc. */
char *d_asprintf2(int *rc, const char *fmt, ...) _dalloc_ __attribute__((format(printf, 2, 3)));
void *d_aligned_alloc(size_t alignment, size_t size, bool zero) _dalloc_
    __attribute__((alloc_size(2)));
char *d_realpath(const char *path, char *resolved_path);

/** Callbacks told of every allocation and release made here, with its size. */
typedef void (*d_alloc_track_cb_t)(void *arg, size_t size);
void d_set_alloc_track_cb(d_alloc_track_cb_t alloc_cb, d_alloc_track_cb_t free_cb, void *arg);

/** Let fault injection take an allocation away, and log a failed one. */
#define D_CHECK_ALLOC(ptr, size)                                                                   \
	do {                                                                                       \
		if ((ptr) != NULL && D_SHOULD_FAIL(d_fault_attr_mem)) {                            \
			d_free((void *)(ptr));                                                     \
			(ptr) = NULL;                                                              \
		}                                                                                  \
		if ((ptr) == NULL)                                                                 \
			D_ERROR("out of memory: '%s' (%zu bytes)\n", #ptr, (size_t)(size));        \
	} while (0)

/*
 * Allocation macros assign to ptr, NULL on failure. Memory is zeroed, except by those with _NZ.
 */
#define D_ALLOC_CORE(ptr, size, count)                                                             \
	do {                                                                                       \
		(ptr) = (__typeof__(ptr))d_calloc((count), (size));                                \
		D_CHECK_ALLOC(ptr, (size_t)(count) * (size));                                      \
	} while (0)

#define D_ALLOC_CORE_NZ(ptr, size, count)                                                          \
	do {                                                                                       \
		(ptr) = (__typeof__(ptr))d_malloc((size_t)(count) * (size));                       \
		D_CHECK_ALLOC(ptr, (size_t)(count) * (size));                                      \
	} while (0)

#define D_ALLOC(ptr, size)           D_ALLOC_CORE(ptr, size, 1)
#define D_ALLOC_PTR(ptr)             D_ALLOC(ptr, sizeof(*(ptr)))
#define D_ALLOC_ARRAY(ptr, count)    D_ALLOC_CORE(ptr, sizeof(*(ptr)), count)
#define D_ALLOC_NZ(ptr, size)        D_ALLOC_CORE_NZ(ptr, size, 1)
#define D_ALLOC_PTR_NZ(ptr)          D_ALLOC_NZ(ptr, sizeof(*(ptr)))
#define D_ALLOC_ARRAY_NZ(ptr, count) D_ALLOC_CORE_NZ(ptr, sizeof(*(ptr)), count)

/** At most n bytes of s, and a NUL. */
#define D_STRNDUP(ptr, s, n)                                                                       \
	do {                                                                                       \
		(ptr) = d_strndup(s, n);                                                           \
		D_CHECK_ALLOC(ptr, strnlen(s, n) + 1);                                             \
	} while (0)

/** Copy of a string literal or character array. */
#define D_STRNDUP_S(ptr, s)                                                                        \
	do {                                                                                       \
		(ptr) = d_strndup(s, sizeof(s));                                                   \
		D_CHECK_ALLOC(ptr, sizeof(s));                                                     \
	} while (0)

#define D_ASPRINTF(ptr, ...)                                                                       \
	do {                                                                                       \
		int __asprintf_len = 0;                                                            \
		(ptr) = d_asprintf2(&__asprintf_len, __VA_ARGS__);                                 \
		D_CHECK_ALLOC(ptr, __asprintf_len + 1);                                            \
	} while (0)

/** Resolved path; on failure NULL and errno. */
#define D_REALPATH(ptr, path)                                                                      \
	do {                                                                                       \
		(ptr) = d_realpath((path), NULL);                                                  \
		if ((ptr) == NULL)                                                                 \
			break;                                                                     \
		D_CHECK_ALLOC(ptr, strlen(ptr) + 1);                                               \
		if ((ptr) == NULL)                                                                 \
			errno = ENOMEM;                                                            \
	} while (0)

#define D_ALIGNED_ALLOC(ptr, alignment, size)                                                      \
	do {                                                                                       \
		(ptr) = (__typeof__(ptr))d_aligned_alloc(alignment, size, true);                   \
		D_CHECK_ALLOC(ptr, size);                                                          \
	} while (0)

#define D_ALIGNED_ALLOC_NZ(ptr, alignment, size)                                                   \
	do {                                                                                       \
		(ptr) = (__typeof__(ptr))d_aligned_alloc(alignment, size, false);                  \
		D_CHECK_ALLOC(ptr, size);                                                          \
	} while (0)

/*
 * Resize oldptr into newptr, which must be another variable. On success oldptr becomes NULL and
 * the bytes from oldsize on are zero; on failure newptr is NULL and oldptr is as before.
 */
#define D_REALLOC_COMMON(newptr, oldptr, oldsize, size, cnt)                                       \
	do {                                                                                       \
		size_t __realloc_old = (size_t)(oldsize);                                          \
		size_t __realloc_new = (size_t)(size) * (size_t)(cnt);                             \
		D_ASSERT((void *)&(newptr) != (void *)&(oldptr));                                  \
		if (D_SHOULD_FAIL(d_fault_attr_mem))                                               \
			(newptr) = NULL;                                                           \
		else                                                                               \
			(newptr) = (__typeof__(newptr))d_realloc(                                  \
			    (oldptr), __realloc_new == 0 ? 1 : __realloc_new);                     \
		if ((newptr) == NULL) {                                                            \
			D_ERROR("out of memory: '%s' (%zu bytes)\n", #newptr, __realloc_new);      \
			break;                                                                     \
		}                                                                                  \
		(oldptr) = NULL;                                                                   \
		if (__realloc_old < __realloc_new)                                                 \
			memset((char *)(newptr) + __realloc_old, 0,                                \
			       __realloc_new - __realloc_old);                                     \
	} while (0)

#define D_REALLOC(newptr, oldptr, oldsize, size) D_REALLOC_COMMON(newptr, oldptr, oldsize, size, 1)
#define D_REALLOC_ARRAY(newptr, oldptr, oldcount, count)                                           \
	D_REALLOC_COMMON(newptr, oldptr, (oldcount) * sizeof(*(oldptr)), sizeof(*(oldptr)), count)
#define D_REALLOC_NZ(newptr, oldptr, size) D_REALLOC_COMMON(newptr, oldptr, size, size, 1)
#define D_REALLOC_ARRAY_NZ(newptr, oldptr, count)                                                  \
	D_REALLOC_COMMON(newptr, oldptr, (count) * sizeof(*(oldptr)), sizeof(*(oldptr)), count)
#define D_REALLOC_Z(newptr, oldptr, size) D_REALLOC_COMMON(newptr, oldptr, 0, size, 1)
#define D_REALLOC_ARRAY_Z(newptr, oldptr, count)                                                   \
	D_REALLOC_COMMON(newptr, oldptr, 0, sizeof(*(oldptr)), count)

/** Release and set to NULL. */
#define D_FREE(ptr)                                                                                \
	do {                                                                                       \
		d_free((void *)(ptr));                                                             \
		(ptr) = NULL;                                                                      \
	} while (0)

/** Evaluate rc (usually an assignment) and go to label. */
#define D_GOTO(label, rc)                                                                          \
	do {                                                                                       \
		__typeof__(rc) __goto_rc = (rc);                                                   \
		(void)__goto_rc;                                                                   \
		goto label;                                                                        \
	} while (0)

/** fprintf() that gives 0 or -DER_IO. */
#define D_FPRINTF(...)                                                                             \
	({                                                                                         \
		int __fprintf_rc = fprintf(__VA_ARGS__) < 0 ? -DER_IO : 0;                         \
		if (__fprintf_rc != 0)                                                             \
			D_ERROR("failed to print to stream\n");                                    \
		__fprintf_rc;                                                                      \
	})

/** DER code (negative) for a system error number; -DER_MISC when there is no closer one. */
static inline int
d_errno2der(int err)
{
	switch (err) {
	case 0:
		return 0;
	case EACCES:
	case EPERM:
		return -DER_NO_PERM;
	case EBUSY:
		return -DER_BUSY;
	case ECANCELED:
		return -DER_CANCELED;
	case EEXIST:
		return -DER_EXIST;
	case ENOENT:
		return -DER_NONEXIST;
	case ENOMEM:
		return -DER_NOMEM;
	case EDQUOT:
	case ENOSPC:
		return -DER_NOSPACE;
	default:
		return -DER_MISC;
	}
}

/* ---- Locks: pthread calls that give DER codes and assert what cannot fail. ---- */

#define __D_PTHREAD(fn, x)                                                                         \
	({                                                                                         \
		int __pthread_rc = fn(x);                                                          \
		D_ASSERTF(__pthread_rc == 0, #fn ": %s\n", strerror(__pthread_rc));                \
		d_errno2der(__pthread_rc);                                                         \
	})

#define __D_PTHREAD_TRYLOCK(fn, x)                                                                 \
	({                                                                                         \
		int __pthread_rc = fn(x);                                                          \
		D_ASSERTF(__pthread_rc == 0 || __pthread_rc == EBUSY, #fn ": %s\n",                \
			  strerror(__pthread_rc));                                                 \
		d_errno2der(__pthread_rc);                                                         \
	})

#define __D_PTHREAD_INIT(fn, x, y)                                                                 \
	({                                                                                         \
		int __pthread_rc = fn(x, y);                                                       \
		if (__pthread_rc != 0)                                                             \
			D_ERROR(#fn ": %s\n", strerror(__pthread_rc));                             \
		d_errno2der(__pthread_rc);                                                         \
	})

#define D_SPIN_LOCK(x)     __D_PTHREAD(pthread_spin_lock, x)
#define D_SPIN_UNLOCK(x)   __D_PTHREAD(pthread_spin_unlock, x)
#define D_MUTEX_LOCK(x)    __D_PTHREAD(pthread_mutex_lock, x)
#define D_MUTEX_UNLOCK(x)  __D_PTHREAD(pthread_mutex_unlock, x)
#define D_RWLOCK_WRLOCK(x) __D_PTHREAD(pthread_rwlock_wrlock, x)
#define D_RWLOCK_RDLOCK(x) __D_PTHREAD(pthread_rwlock_rdlock, x)
#define D_RWLOCK_UNLOCK(x) __D_PTHREAD(pthread_rwlock_unlock, x)
/** 0, or -DER_BUSY when the lock is held. */
#define D_MUTEX_TRYLOCK(x)    __D_PTHREAD_TRYLOCK(pthread_mutex_trylock, x)
#define D_RWLOCK_TRYWRLOCK(x) __D_PTHREAD_TRYLOCK(pthread_rwlock_trywrlock, x)
#define D_MUTEX_INIT(x, y)    __D_PTHREAD_INIT(pthread_mutex_init, x, y)
#define D_SPIN_INIT(x, y)     __D_PTHREAD_INIT(pthread_spin_init, x, y)
#define D_RWLOCK_INIT(x, y)   __D_PTHREAD_INIT(pthread_rwlock_init, x, y)
#define D_COND_INIT(x, y)     __D_PTHREAD_INIT(pthread_cond_init, x, y)
#define D_MUTEX_DESTROY(x)    __D_PTHREAD(pthread_mutex_destroy, x)
#define D_SPIN_DESTROY(x)     __D_PTHREAD(pthread_spin_destroy, x)
#define D_RWLOCK_DESTROY(x)   __D_PTHREAD(pthread_rwlock_destroy, x)
#define D_COND_DESTROY(x)     __D_PTHREAD(pthread_cond_destroy, x)

/* ---- Hashes. Their values are stored by applications and must never change. ---- */

#define DGOLDEN_RATIO_PRIME_64 0xcbf29ce484222325ULL
#define DGOLDEN_RATIO_PRIME_32 0x9e370001UL

/** Multiplicative hash of val into bits (1 to 64) bits. */
static inline uint64_t
d_u64_hash(uint64_t val, unsigned int bits)
{
	return (val * DGOLDEN_RATIO_PRIME_64) >> (64 - bits);
}

/** Multiplicative hash of key into bits (1 to 32) bits. */
static inline uint32_t
d_u32_hash(uint64_t key, unsigned int bits)
{
	return (uint32_t)((DGOLDEN_RATIO_PRIME_32 * key) >> (32 - bits));
}

/** Thomas Wang's 64-bit integer mix. */
uint64_t d_hash_mix64(uint64_t key);

/** Robert Jenkins' 96-bit mix of three words into one. */
uint32_t d_hash_mix96(uint32_t a, uint32_t b, uint32_t c);

/** Index of the entry of a sorted ring of hashes that owns value (consistent hashing). */
unsigned int d_hash_srch_u64(uint64_t *hashes, unsigned int nhashes, uint64_t value);

/** Bernstein's string hash (times 33, plus), of len bytes. */
uint32_t d_hash_string_u32(const char *string, unsigned int len);

/** MurmurHash64A. */
uint64_t d_hash_murmur64(const unsigned char *key, unsigned int key_len, unsigned int seed);

/** Lamping and Veach's jump consistent hash: bucket of key among num_buckets. */
uint32_t d_hash_jump(uint64_t key, uint32_t num_buckets);

#define LOWEST_BIT_SET(x) ((x) & ~((x)-1))

/** Smallest n with 2^n >= val. */
static inline unsigned int
d_power2_nbits(unsigned int val)
{
	unsigned int n = 0;

	while (n < 32 && (1ULL << n) < val)
		n++;
	return n;
}

/* ---- Lists of ranks. Owned by the caller, released by d_rank_list_free(). ---- */

int d_rank_list_dup(d_rank_list_t **dst, const d_rank_list_t *src);

/** A copy, sorted and without duplicates. */
int d_rank_list_dup_sort_uniq(d_rank_list_t **dst, const d_rank_list_t *src);

/** Keep in dst_set only what is in src_set too, or (exclude) what is not. */
void d_rank_list_filter(d_rank_list_t *src_set, d_rank_list_t *dst_set, bool exclude);

/** Add to src_set the ranks of merge_set that it lacks. */
int d_rank_list_merge(d_rank_list_t *src_set, d_rank_list_t *merge_set);

/** A list of size ranks, numbered 0, 1, 2...; NULL when out of memory. */
d_rank_list_t *d_rank_list_alloc(uint32_t size);
int d_rank_list_resize(d_rank_list_t *ptr, uint32_t size);
void d_rank_list_free(d_rank_list_t *rank_list);
int d_rank_list_copy(d_rank_list_t *dst, d_rank_list_t *src);
void d_rank_list_shuffle(d_rank_list_t *rank_list);
void d_rank_list_sort(d_rank_list_t *rank_list);

/** In a sorted list; idx (may be NULL) gets the position. */
bool d_rank_list_bsearch(d_rank_list_t *rank_list, d_rank_t rank, int *idx);
bool d_rank_list_find(d_rank_list_t *rank_list, d_rank_t rank, int *idx);
void d_rank_list_del_at(d_rank_list_t *list, int idx);

/** Remove a rank; 0 also if it was not there. */
int d_rank_list_del(d_rank_list_t *rank_list, d_rank_t rank);
bool d_rank_list_identical(d_rank_list_t *rank_list1, d_rank_list_t *rank_list2);
bool d_rank_in_rank_list(d_rank_list_t *rank_list, d_rank_t rank);

/** Position of a rank; -DER_NONEXIST. */
int d_idx_in_rank_list(d_rank_list_t *rank_list, d_rank_t rank, uint32_t *idx);
int d_rank_list_append(d_rank_list_t *rank_list, d_rank_t rank);

/** Write the list to the debug log under a name. */
int d_rank_list_dump(d_rank_list_t *rank_list, d_string_t name, int name_len);
d_rank_list_t *uint32_array_to_rank_list(uint32_t *ints, size_t len);
int rank_list_to_uint32_array(d_rank_list_t *rl, uint32_t **ints, size_t *len);

/** Text such as "[0-3,7]", released by the caller. */
int d_rank_list_to_str(d_rank_list_t *rank_list, char **rank_str);

d_rank_range_list_t *d_rank_range_list_alloc(uint32_t size);
d_rank_range_list_t *d_rank_range_list_realloc(d_rank_range_list_t *range_list, uint32_t size);

/** The ranges of a list; sorts the given list and removes its duplicates. */
d_rank_range_list_t *d_rank_range_list_create_from_ranks(d_rank_list_t *rank_list);
int d_rank_range_list_str(d_rank_range_list_t *list, char **ranks_str);
void d_rank_range_list_free(d_rank_range_list_t *range_list);

/* ---- Scatter/gather lists ---- */

/** Make a list of nr empty entries; 0 or -DER_NOMEM. */
static inline int
d_sgl_init(d_sg_list_t *sgl, unsigned int nr)
{
	sgl->sg_nr = nr;
	sgl->sg_nr_out = 0;
	sgl->sg_iovs = NULL;
	if (nr == 0)
		return 0;
	D_ALLOC_ARRAY(sgl->sg_iovs, nr);
	return sgl->sg_iovs == NULL ? -DER_NOMEM : 0;
}

/** Release the entries, and if free_iovs also the memory they describe. */
static inline void
d_sgl_fini(d_sg_list_t *sgl, bool free_iovs)
{
	uint32_t i;

	if (sgl == NULL || sgl->sg_iovs == NULL)
		return;
	for (i = 0; free_iovs && i < sgl->sg_nr; i++)
		D_FREE(sgl->sg_iovs[i].iov_buf);
	D_FREE(sgl->sg_iovs);
	sgl->sg_nr = 0;
	sgl->sg_nr_out = 0;
}

/** Room in all entries together, in bytes. */
static inline size_t __attribute__((nonnull)) d_sgl_buf_size(d_sg_list_t *sgl)
{
	size_t size = 0;
	uint32_t i;

	for (i = 0; sgl->sg_iovs != NULL && i < sgl->sg_nr; i++)
		size += sgl->sg_iovs[i].iov_buf_len;
	return size;
}

/** Copy entry by entry; dst must have as many entries, each as large. */
static inline void
d_sgl_buf_copy(d_sg_list_t *dst_sgl, d_sg_list_t *src_sgl)
{
	uint32_t i;

	D_ASSERT(dst_sgl->sg_nr >= src_sgl->sg_nr);
	for (i = 0; i < src_sgl->sg_nr; i++) {
		d_iov_t *dst = &dst_sgl->sg_iovs[i];
		const d_iov_t *src = &src_sgl->sg_iovs[i];

		D_ASSERT(dst->iov_buf_len >= src->iov_buf_len);
		memcpy(dst->iov_buf, src->iov_buf, src->iov_buf_len);
		dst->iov_len = src->iov_len;
		dst->iov_buf_len = src->iov_buf_len;
	}
}

/* ---- Environment, under one lock so that threads may read and change it ---- */

bool d_isenv_def(char *name);

/**
 * Copy a variable into str_val. Returns the length of the full value, as snprintf() does: a result
 * of str_size or more means it was cut. -DER_NONEXIST if unset.
 */
int d_getenv_str(char *str_val, size_t str_size, const char *name);

/** A copy of a variable, released by d_freeenv_str(). -DER_NONEXIST, -DER_NOMEM. */
int d_agetenv_str(char **str_val, const char *name);
void d_freeenv_str(char **str_val);

/*
 * Parse a variable. -DER_NONEXIST if unset, -DER_INVAL if it is not of that type; the result is
 * then left alone. False are 0, n, no, false and off; true are 1, y, yes, true, on.
 */
int d_getenv_bool(const char *name, bool *bool_val);
int d_getenv_char(const char *name, char *char_val);
int d_getenv_int(const char *name, unsigned int *uint_val)
    __attribute__((deprecated("use d_getenv_uint")));
int d_getenv_uint(const char *name, unsigned int *uint_val);
int d_getenv_uint32_t(const char *name, uint32_t *uint32_val);
int d_getenv_uint64_t(const char *name, uint64_t *uint64_val);

/** As the C library's, returning -1 and errno on failure. */
int d_putenv(char *name);
int d_setenv(const char *name, const char *value, int overwrite);
int d_unsetenv(const char *name);
int d_clearenv(void);

/* ---- Strings ---- */

/** Append formatted text; 0 or a negative DER code, which also stays in buf->status. */
int d_write_string_buffer(struct d_string_buffer_t *buf, const char *fmt, ...);
void d_free_string(struct d_string_buffer_t *buf);

/* ---- Time. Monotonic, so only differences mean something. ---- */

#ifndef NSEC_PER_SEC
#define NSEC_PER_SEC 1000000000
#endif
#ifndef NSEC_PER_MSEC
#define NSEC_PER_MSEC 1000000
#endif
#ifndef NSEC_PER_USEC
#define NSEC_PER_USEC 1000
#endif

static inline int
d_gettime(struct timespec *t)
{
	return clock_gettime(CLOCK_MONOTONIC, t) == 0 ? 0 : d_errno2der(errno);
}

/** Cheaper, and only as fine as the kernel's tick. */
static inline int
d_gettime_coarse(struct timespec *t)
{
	return clock_gettime(CLOCK_MONOTONIC_COARSE, t) == 0 ? 0 : d_errno2der(errno);
}

/** t2 - t1 in nanoseconds. */
static inline int64_t
d_timediff_ns(const struct timespec *t1, const struct timespec *t2)
{
	return (int64_t)(t2->tv_sec - t1->tv_sec) * NSEC_PER_SEC + (t2->tv_nsec - t1->tv_nsec);
}

/** t2 - t1, with the nanoseconds between 0 and 10^9. */
static inline struct timespec
d_timediff(const struct timespec *t1, const struct timespec *t2)
{
	struct timespec diff;

	diff.tv_sec = t2->tv_sec - t1->tv_sec;
	diff.tv_nsec = t2->tv_nsec - t1->tv_nsec;
	if (diff.tv_nsec < 0) {
		diff.tv_nsec += NSEC_PER_SEC;
		diff.tv_sec--;
	}
	return diff;
}

static inline bool
d_timenull(const struct timespec *t)
{
	return t->tv_sec == 0 && t->tv_nsec == 0;
}

/** t1 earlier than t2? */
static inline bool
d_timeless(const struct timespec *t1, const struct timespec *t2)
{
	return t1->tv_sec == t2->tv_sec ? t1->tv_nsec < t2->tv_nsec : t1->tv_sec < t2->tv_sec;
}

/** Nanoseconds until expiration, 0 when it has passed. */
static inline int64_t
d_timeleft_ns(const struct timespec *expiration)
{
	struct timespec now;
	int64_t left;

	d_gettime(&now);
	left = d_timediff_ns(&now, expiration);
	return left > 0 ? left : 0;
}

static inline struct timespec
d_time_elapsed(const struct timespec start)
{
	struct timespec now;

	d_gettime(&now);
	return d_timediff(&start, &now);
}

/** The time sec_diff seconds from now, in microseconds. */
static inline uint64_t
d_timeus_secdiff(unsigned int sec_diff)
{
	struct timespec now;

	d_gettime(&now);
	return ((uint64_t)now.tv_sec + sec_diff) * 1000000 + now.tv_nsec / NSEC_PER_USEC;
}

static inline void
d_timeinc(struct timespec *now, uint64_t ns)
{
	uint64_t nsec = (uint64_t)now->tv_nsec + ns % NSEC_PER_SEC;

	now->tv_sec += (time_t)(ns / NSEC_PER_SEC + nsec / NSEC_PER_SEC);
	now->tv_nsec = (long)(nsec % NSEC_PER_SEC);
}

static inline void
d_timeinc_ms(struct timespec *now, unsigned int ms)
{
	d_timeinc(now, (uint64_t)ms * NSEC_PER_MSEC);
}

static inline struct timespec
d_time_ms(unsigned int ms)
{
	struct timespec t;

	t.tv_sec = ms / 1000;
	t.tv_nsec = (long)(ms % 1000) * NSEC_PER_MSEC;
	return t;
}

static inline double
d_time2ms(struct timespec t)
{
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static inline double
d_time2us(struct timespec t)
{
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static inline double
d_time2s(struct timespec t)
{
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/**
 * Randomised exponential back-off: after bos_nzeros zeros, each value is random below a bound that
 * grows by bos_factor up to bos_max.
 */
struct d_backoff_seq {
	uint8_t bos_flags;
	uint8_t bos_nzeros;
	uint16_t bos_factor;
	uint32_t bos_max;
	uint32_t bos_next;
};

int d_backoff_seq_init(struct d_backoff_seq *seq, uint8_t nzeros, uint16_t factor, uint32_t next,
		       uint32_t max);
void d_backoff_seq_fini(struct d_backoff_seq *seq);
uint32_t d_backoff_seq_next(struct d_backoff_seq *seq);

/** Whether ptr lies just above the caller's frame, that is, is a local variable nearby. */
static inline bool
is_on_stack(void *ptr)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	return (uintptr_t)ptr > here && (uintptr_t)ptr < here + 100;
}

/** As d_iov_set(), refusing memory of the caller's own frame. */
static inline void
d_iov_set_safe(d_iov_t *iov, void *buf, size_t size)
{
	D_ASSERTF(!is_on_stack(buf), "buf (%p) is on the stack.\n", buf);
	d_iov_set(iov, buf, size);
}

/** Standard deviation of nr numbers. */
double d_stand_div(double *array, int nr);

/* ---- Hybrid logical clock: 16 units per nanosecond since 2021-01-01 00:00:00 UTC. ---- */

/** A new stamp, larger than every stamp given or seen before. */
uint64_t d_hlc_get(void);

/**
 * Merge a stamp that came in a message and get a new one above both. -DER_HLC_SYNC when msg is
 * further ahead than the epsilon; *offset (optional) says how far.
 */
int d_hlc_get_msg(uint64_t msg, uint64_t *hlc_out, uint64_t *offset);

/** Nanoseconds since the start of the clock (not Unix time). */
uint64_t d_hlc2nsec(uint64_t hlc);

static inline uint64_t
d_hlc2usec(uint64_t hlc)
{
	return d_hlc2nsec(hlc) / 1000;
}

static inline uint64_t
d_hlc2msec(uint64_t hlc)
{
	return d_hlc2nsec(hlc) / 1000000;
}

static inline uint64_t
d_hlc2sec(uint64_t hlc)
{
	return d_hlc2nsec(hlc) / 1000000000;
}

uint64_t d_nsec2hlc(uint64_t nsec);

static inline uint64_t
d_usec2hlc(uint64_t usec)
{
	return d_nsec2hlc(usec * 1000);
}

static inline uint64_t
d_msec2hlc(uint64_t msec)
{
	return d_nsec2hlc(msec * 1000000);
}

static inline uint64_t
d_sec2hlc(uint64_t sec)
{
	return d_nsec2hlc(sec * 1000000000);
}

/** Unix time in nanoseconds, and as a timespec. */
uint64_t d_hlc2unixnsec(uint64_t hlc);
int d_hlc2timespec(uint64_t hlc, struct timespec *ts);
int d_timespec2hlc(struct timespec ts, uint64_t *hlc);

/** 0 for times before the clock's start. */
uint64_t d_unixnsec2hlc(uint64_t unixnsec);

/** Largest difference between clocks that is believed, in stamp units. */
void d_hlc_epsilon_set(uint64_t epsilon);
uint64_t d_hlc_epsilon_get(void);

/** Upper bound of the stamps an event not later than hlc may have been given elsewhere. */
uint64_t d_hlc_epsilon_get_bound(uint64_t hlc);

/** Seconds since the stamp was taken, 0 for the future. */
uint64_t d_hlc_age2sec(uint64_t hlc);

/** The clients' clock: only follows stamps it is shown, never runs by itself. */
uint64_t d_hlct_get(void);
void d_hlct_sync(uint64_t msg);

/** A growing array of pointers. */
struct d_vec_pointers {
	void **p_buf;
	uint32_t p_cap;
	uint32_t p_len;
};

int d_vec_pointers_init(struct d_vec_pointers *pointers, uint32_t cap);
void d_vec_pointers_fini(struct d_vec_pointers *pointers);
int d_vec_pointers_append(struct d_vec_pointers *pointers, void *pointer);

/** Print a stack trace on fatal signals: whether, and install the handlers. */
void d_signal_stack_enable(bool enabled);
void d_signal_register(void);

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* GURT_COMMON_H */
