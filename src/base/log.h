/*
 * Log messages. A message has a level, a facility (the subsystem; the .c file names it by defining
 * LOG_FACILITY before its includes), the place in the source and a text. Messages above the level
 * of their facility cost one load and one branch. What passes goes to the process-wide sink:
 * standard error until somebody sets another one.
 *
 * Line form: MM/DD-HH:MM:SS.cc host PROC[pid/tid/ult] facility LEVEL file:line func() text
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#ifndef LOG_FACILITY
#define LOG_FACILITY "daos"
#endif

enum log_level {
	LOG_LVL_NONE, /* for log_set_level() only: nothing passes */
	LOG_LVL_CRIT,
	LOG_LVL_ERR,
	LOG_LVL_WARN,
	LOG_LVL_NOTE,
	LOG_LVL_INFO,
	LOG_LVL_DEBUG,
};

/* One message on its way to a sink. All strings are valid during the call only. */
struct log_rec {
	enum log_level level;
	int line;
	const char *facility;
	const char *file; /* relative to the source folder */
	const char *func;
	const char *text; /* no newline */
	size_t text_len;
};

/* The sink is called with no lock held, by any thread. */
typedef void (*log_sink_fn)(void *ctx, const struct log_rec *rec);

/* Replace the sink; NULL restores the default (lines to standard error). Not while other threads
 * log. */
void log_set_sink(log_sink_fn fn, void *ctx);

/* Lines go to this descriptor (not owned; written by one write() each, so append-mode files may be
 * shared). */
void log_set_fd(int fd);

/* Program name in the lines, copied; the default is the name of the executable. */
void log_set_program(const char *name);

/* Number of the running coroutine for the lines; the runtime sets it. */
void log_set_ult_fn(uint64_t (*fn)(void));

/* Highest level that passes, for every facility without a level of its own. The default is
 * LOG_LVL_ERR. */
void log_set_level(enum log_level level);

/*
 * Levels as text: "LEVEL" for all and "facility=LEVEL" for one, separated by commas, case ignored,
 * for instance "WARN,rpc=DEBUG,wal=INFO". Replaces every earlier setting. -DER_INVAL (nothing
 * changes) for an unknown level or more than 32 facilities.
 */
int log_set_mask(const char *mask);

/* -DER_INVAL when name is none of CRIT ERR WARN NOTE INFO DEBUG (and the usual synonyms). */
int log_level_parse(const char *name, enum log_level *ret_level);

/* Format rec as one line with its newline, cut to size; returns the length. */
size_t log_format(const struct log_rec *rec, const struct timespec *now, char *buf, size_t size);

/* --- what the macros call
 * -------------------------------------------------------------------------------------- */

extern _Atomic int log_max_level; /* the highest level of any facility */

/* Whether a message of this level and facility passes. */
bool log_passes(enum log_level level, const char *facility);

/* Formats and hands to the sink; asks log_passes() itself. */
void log_write(enum log_level level, const char *facility, const char *file, int line,
	       const char *func, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
void log_vwrite(enum log_level level, const char *facility, const char *file, int line,
		const char *func, const char *fmt, va_list ap)
    __attribute__((format(printf, 6, 0)));

#define log_enabled(level)                                                                         \
	__builtin_expect((level) <= atomic_load_explicit(&log_max_level, memory_order_relaxed), 0)

#define log_at(level, ...)                                                                         \
	do {                                                                                       \
		if (log_enabled(level))                                                            \
			log_write(level, LOG_FACILITY, __FILE__, __LINE__, __func__, __VA_ARGS__); \
	} while (0)

#define log_crit(...)  log_at(LOG_LVL_CRIT, __VA_ARGS__)
#define log_err(...)   log_at(LOG_LVL_ERR, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_LVL_WARN, __VA_ARGS__)
#define log_note(...)  log_at(LOG_LVL_NOTE, __VA_ARGS__)
#define log_info(...)  log_at(LOG_LVL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LVL_DEBUG, __VA_ARGS__)

/* State of one rate-limited place in the code. */
struct log_rate {
	_Atomic uint64_t next_ns;
	_Atomic uint32_t skipped_nr;
};
/* True at most once per period; *ret_skipped = messages held back since the last one. */
bool log_rate_pass(struct log_rate *rate, uint32_t period_ms, uint32_t *ret_skipped);

/* At most one message per period_ms from this place; it ends with the number held back before it.
 */
#define log_every(period_ms, level, fmt, ...)                                                      \
	do {                                                                                       \
		static struct log_rate log_rate_;                                                  \
		uint32_t log_skipped_;                                                             \
                                                                                                   \
		if (log_enabled(level) && log_passes(level, LOG_FACILITY) &&                       \
		    log_rate_pass(&log_rate_, period_ms, &log_skipped_)) {                         \
			if (log_skipped_ == 0)                                                     \
				log_write(level, LOG_FACILITY, __FILE__, __LINE__, __func__, fmt,  \
					  ##__VA_ARGS__);                                          \
			else                                                                       \
				log_write(level, LOG_FACILITY, __FILE__, __LINE__, __func__,       \
					  fmt " (%u more like this)", ##__VA_ARGS__,               \
					  log_skipped_);                                           \
		}                                                                                  \
	} while (0)

#endif
