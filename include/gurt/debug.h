/*
 * Logging and assertion macros.
 */
#ifndef GURT_DEBUG_H
#define GURT_DEBUG_H

#include <stdio.h>
#include <stddef.h>
#include <string.h>
#include <assert.h>
#include <gurt/debug_setup.h>
#include <daos_errno.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

/** libgurt's own facilities. */
#define D_FOREACH_GURT_FAC(ACTION, arg)                                                            \
	ACTION(misc, misc, arg)                                                                    \
	ACTION(mem, mem, arg)                                                                      \
	ACTION(swim, swim, arg)                                                                    \
	ACTION(fi, fi, arg)                                                                        \
	ACTION(telem, telem, arg)

/** Replaces abort() when an assertion fails, see d_register_alt_assert(). */
extern void (*d_alt_assert)(const int, const char *, const char *, const int);

#define DB_ALL_BITS "all"

/** Environment variables of the log. */
#define D_LOG_FILE_ENV             "D_LOG_FILE"
#define D_LOG_MASK_ENV             "D_LOG_MASK"
#define D_LOG_SIZE_ENV             "D_LOG_SIZE"
#define D_LOG_FILE_APPEND_PID_ENV  "D_LOG_FILE_APPEND_PID"
#define D_LOG_FILE_APPEND_RANK_ENV "D_LOG_FILE_APPEND_RANK"
#define D_LOG_TRUNCATE_ENV         "D_LOG_TRUNCATE"
#define D_LOG_FLUSH_ENV            "D_LOG_FLUSH"
#define D_LOG_STDERR_IN_LOG_ENV    "D_LOG_STDERR_IN_LOG"

#ifdef D_USE_GURT_FAC
D_FOREACH_GURT_FAC(D_LOG_DECLARE_FAC, D_NOOP)
#else
extern int d_misc_logfac;
#endif

D_FOREACH_GURT_DB(D_LOG_DECLARE_DB, D_NOOP)

/** Would a message with this priority or debug bit be written for the file's facility? */
#define D_LOG_ENABLED(flag) (d_log_check((int)DD_FLAG(flag, D_LOGFAC)) != 0)

/*
 * The message macros. The facility is the file's D_LOGFAC. The format gets no newline added: end it
 * with one. The D_TRACE forms also print a pointer that identifies the subject.
 */
#define D_DEBUG(flag, fmt, ...)                                                                    \
	do {                                                                                       \
		int __dlog_mask = d_log_check((int)DD_FLAG(flag, D_LOGFAC));                       \
		if (__builtin_expect(__dlog_mask != 0, 0))                                         \
			d_log(__dlog_mask, "%s:%d %s() " fmt, __FILE__, __LINE__, __func__,        \
			      ##__VA_ARGS__);                                                      \
	} while (0)

#define D_TRACE_DEBUG(flag, ptr, fmt, ...)                                                         \
	do {                                                                                       \
		int __dlog_mask = d_log_check((int)DD_FLAG(flag, D_LOGFAC));                       \
		if (__builtin_expect(__dlog_mask != 0, 0))                                         \
			d_log(__dlog_mask, "%s:%d %s(%p) " fmt, __FILE__, __LINE__, __func__,      \
			      (const void *)(ptr), ##__VA_ARGS__);                                 \
	} while (0)

/** One of two levels, by a condition. */
#define D_CDEBUG(cond, flag_true, flag_false, ...)                                                 \
	do {                                                                                       \
		if (cond)                                                                          \
			D_DEBUG(flag_true, __VA_ARGS__);                                           \
		else                                                                               \
			D_DEBUG(flag_false, __VA_ARGS__);                                          \
	} while (0)

#define DL_CDEBUG(cond, flag_true, flag_false, _rc, _fmt, ...)                                     \
	D_CDEBUG(cond, flag_true, flag_false, _fmt ": " DF_RC "\n", ##__VA_ARGS__, DP_RC(_rc))

/** Life of an object in the log: who made it, that it is gone. */
#define D_TRACE_UP(flag, ptr, parent, type)                                                        \
	D_TRACE_DEBUG(flag, ptr, "Registered new '%s' from %p\n", type, (const void *)(parent))
#define D_TRACE_DOWN(flag, ptr) D_TRACE_DEBUG(flag, ptr, "Deregistered\n")
#define D_TRACE_ROOT(flag, ptr, type)                                                              \
	D_TRACE_DEBUG(flag, ptr, "Registered new '%s' as root\n", type)

#define D_INFO(fmt, ...)  D_DEBUG(DLOG_INFO, fmt, ##__VA_ARGS__)
#define D_NOTE(fmt, ...)  D_DEBUG(DLOG_NOTE, fmt, ##__VA_ARGS__)
#define D_WARN(fmt, ...)  D_DEBUG(DLOG_WARN, fmt, ##__VA_ARGS__)
#define D_ERROR(fmt, ...) D_DEBUG(DLOG_ERR, fmt, ##__VA_ARGS__)
#define D_ALERT(fmt, ...) D_DEBUG(DLOG_ALERT, fmt, ##__VA_ARGS__)
#define D_CRIT(fmt, ...)  D_DEBUG(DLOG_CRIT, fmt, ##__VA_ARGS__)
#define D_FATAL(fmt, ...) D_DEBUG(DLOG_EMERG, fmt, ##__VA_ARGS__)
#define D_EMIT(fmt, ...)  D_DEBUG(DLOG_EMIT, fmt, ##__VA_ARGS__)

#define D_TRACE_INFO(ptr, fmt, ...)  D_TRACE_DEBUG(DLOG_INFO, ptr, fmt, ##__VA_ARGS__)
#define D_TRACE_NOTE(ptr, fmt, ...)  D_TRACE_DEBUG(DLOG_NOTE, ptr, fmt, ##__VA_ARGS__)
#define D_TRACE_WARN(ptr, fmt, ...)  D_TRACE_DEBUG(DLOG_WARN, ptr, fmt, ##__VA_ARGS__)
#define D_TRACE_ERROR(ptr, fmt, ...) D_TRACE_DEBUG(DLOG_ERR, ptr, fmt, ##__VA_ARGS__)
#define D_TRACE_ALERT(ptr, fmt, ...) D_TRACE_DEBUG(DLOG_ALERT, ptr, fmt, ##__VA_ARGS__)
#define D_TRACE_CRIT(ptr, fmt, ...)  D_TRACE_DEBUG(DLOG_CRIT, ptr, fmt, ##__VA_ARGS__)
#define D_TRACE_FATAL(ptr, fmt, ...) D_TRACE_DEBUG(DLOG_EMERG, ptr, fmt, ##__VA_ARGS__)
#define D_TRACE_EMIT(ptr, fmt, ...)  D_TRACE_DEBUG(DLOG_EMIT, ptr, fmt, ##__VA_ARGS__)

/*
 * Message plus return code. DL and DS print a DER code and an errno; DHL and DHS print a subject
 * pointer as well. No newline in the format.
 */
#define DL_INFO(_rc, _fmt, ...)  D_INFO(_fmt ": " DF_RC "\n", ##__VA_ARGS__, DP_RC(_rc))
#define DL_WARN(_rc, _fmt, ...)  D_WARN(_fmt ": " DF_RC "\n", ##__VA_ARGS__, DP_RC(_rc))
#define DL_ERROR(_rc, _fmt, ...) D_ERROR(_fmt ": " DF_RC "\n", ##__VA_ARGS__, DP_RC(_rc))
#define DHL_INFO(_desc, _rc, _fmt, ...)                                                            \
	D_TRACE_INFO(_desc, _fmt ": " DF_RC "\n", ##__VA_ARGS__, DP_RC(_rc))
#define DHL_WARN(_desc, _rc, _fmt, ...)                                                            \
	D_TRACE_WARN(_desc, _fmt ": " DF_RC "\n", ##__VA_ARGS__, DP_RC(_rc))
#define DHL_ERROR(_desc, _rc, _fmt, ...)                                                           \
	D_TRACE_ERROR(_desc, _fmt ": " DF_RC "\n", ##__VA_ARGS__, DP_RC(_rc))
#define DS_INFO(_rc, _fmt, ...)  D_INFO(_fmt ": %d (%s)\n", ##__VA_ARGS__, _rc, strerror(_rc))
#define DS_WARN(_rc, _fmt, ...)  D_WARN(_fmt ": %d (%s)\n", ##__VA_ARGS__, _rc, strerror(_rc))
#define DS_ERROR(_rc, _fmt, ...) D_ERROR(_fmt ": %d (%s)\n", ##__VA_ARGS__, _rc, strerror(_rc))
#define DHS_INFO(_desc, _rc, _fmt, ...)                                                            \
	D_TRACE_INFO(_desc, _fmt ": %d (%s)\n", ##__VA_ARGS__, _rc, strerror(_rc))
#define DHS_WARN(_desc, _rc, _fmt, ...)                                                            \
	D_TRACE_WARN(_desc, _fmt ": %d (%s)\n", ##__VA_ARGS__, _rc, strerror(_rc))
#define DHS_ERROR(_desc, _rc, _fmt, ...)                                                           \
	D_TRACE_ERROR(_desc, _fmt ": %d (%s)\n", ##__VA_ARGS__, _rc, strerror(_rc))

/** Straight to standard error, for use before the log is open. */
#define D_PRINT_ERR(fmt, ...)                                                                      \
	do {                                                                                       \
		fprintf(stderr, "%s:%d:%s() " fmt, __FILE__, __LINE__, __func__, ##__VA_ARGS__);   \
		fflush(stderr);                                                                    \
	} while (0)

#define D_PRINT(fmt, ...)                                                                          \
	do {                                                                                       \
		fprintf(stdout, fmt, ##__VA_ARGS__);                                               \
		fflush(stdout);                                                                    \
	} while (0)

static inline int
d_add_log_facility(const char *aname, const char *lname)
{
	return d_log_allocfacility(aname, lname);
}

/** Register a facility and store its number; 0 or -DER_UNINIT. */
static inline int
d_init_log_facility(int *fac, const char *aname, const char *lname)
{
	int nr = d_add_log_facility(aname, lname);

	*fac = nr;
	if (nr >= 0)
		return 0;
	D_PRINT_ERR("no room for log facility %s\n", aname);
	return -DER_UNINIT;
}

/** The bits of a debug bit or group by name, -DER_INVAL if unknown. */
int d_log_getdbgbit(d_dbug_t *dbgbit, char *bitname);

/** Call alt_assert(result, expression, file, line) before aborting on a failed assertion. */
int d_register_alt_assert(void (*alt_assert)(const int, const char *, const char *, const int));

/** Write a hex dump at error priority. */
void d_log_memory(const uint8_t *ptr, size_t size);

/** The end of a failed assertion, after its message: flush, call the hook, abort. */
static inline void
d_assert_abort(const char *expr, const char *file, int line)
{
	d_log_sync();
	if (d_alt_assert != NULL)
		d_alt_assert(0, expr, file, line);
	fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expr);
	abort();
}

/** Assertions that stay in release builds; the F forms add a formatted message. */
#define D_ASSERTF(cond, fmt, ...)                                                                  \
	do {                                                                                       \
		if (__builtin_expect(!!(cond), 1))                                                 \
			break;                                                                     \
		D_FATAL("Assertion '%s' failed: " fmt, #cond, ##__VA_ARGS__);                      \
		d_assert_abort(#cond, __FILE__, __LINE__);                                         \
	} while (0)

#define D_ASSERT(e) D_ASSERTF(e, "\n")

#define D_ASSERTF_MEM(cond, ptr, size, fmt, ...)                                                   \
	do {                                                                                       \
		if (__builtin_expect(!!(cond), 1))                                                 \
			break;                                                                     \
		D_FATAL("Assertion '%s' failed: " fmt, #cond, ##__VA_ARGS__);                      \
		d_log_memory((const uint8_t *)(ptr), size);                                        \
		d_assert_abort(#cond, __FILE__, __LINE__);                                         \
	} while (0)

/** Checked at compile time; text may follow the condition. */
#if defined(__cplusplus)
#define D_CASSERT(cond, ...) static_assert(cond, #cond ": " __VA_ARGS__)
#else
#define D_CASSERT(cond, ...) _Static_assert(cond, #cond ": " __VA_ARGS__)
#endif

#define DF_U64 "%" PRIu64
#define DF_X64 "%" PRIx64

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* GURT_DEBUG_H */
