/*
 * Log messages: levels per facility, the line form, the default sink.
 *
 * This is the one place with process-wide state, since a message must come out wherever it is
 * written. The macros look only at log_max_level, the highest level of any facility; the table of
 * facilities is looked through for messages that pass it. A line is written by one write(), so
 * lines of several threads and processes do not mix.
 */
#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <daos_errno.h>

#include "base/log.h"

enum { FACILITY_MAX = 32, FACILITY_LEN = 24, LINE_MAX_BYTES = 4096 };

struct facility {
	char name[FACILITY_LEN];
	int level;
};

struct levels {
	int fallback;
	int nr;
	struct facility table[FACILITY_MAX];
};

static struct levels levels = {.fallback = LOG_LVL_ERR};
static pthread_rwlock_t levels_lock = PTHREAD_RWLOCK_INITIALIZER;
_Atomic int log_max_level = LOG_LVL_ERR;

static log_sink_fn sink_fn;
static void *sink_ctx;
static _Atomic int sink_fd = STDERR_FILENO;
static char program[32];
static uint64_t (*_Atomic ult_fn)(void);

static const char *const level_names[] = {
    [LOG_LVL_NONE] = "NONE",  [LOG_LVL_CRIT] = "CRIT", [LOG_LVL_ERR] = "ERR ",
    [LOG_LVL_WARN] = "WARN",  [LOG_LVL_NOTE] = "NOTE", [LOG_LVL_INFO] = "INFO",
    [LOG_LVL_DEBUG] = "DBUG",
};

int
log_level_parse(const char *name, enum log_level *ret_level)
{
	static const struct {
		const char *name;
		enum log_level level;
	} names[] = {
	    {"NONE", LOG_LVL_NONE},    {"EMIT", LOG_LVL_CRIT},   {"EMRG", LOG_LVL_CRIT},
	    {"FATAL", LOG_LVL_CRIT},   {"ALRT", LOG_LVL_CRIT},   {"CRIT", LOG_LVL_CRIT},
	    {"ERR", LOG_LVL_ERR},      {"ERROR", LOG_LVL_ERR},   {"WARN", LOG_LVL_WARN},
	    {"WARNING", LOG_LVL_WARN}, {"NOTE", LOG_LVL_NOTE},   {"NOTICE", LOG_LVL_NOTE},
	    {"INFO", LOG_LVL_INFO},    {"DEBUG", LOG_LVL_DEBUG}, {"DBUG", LOG_LVL_DEBUG},
	    {"TRACE", LOG_LVL_DEBUG},
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcasecmp(name, names[i].name) == 0) {
			*ret_level = names[i].level;
			return 0;
		}
	}
	return -DER_INVAL;
}

static void
levels_set(const struct levels *new_levels)
{
	int max = new_levels->fallback;
	int i;

	for (i = 0; i < new_levels->nr; i++) {
		if (new_levels->table[i].level > max)
			max = new_levels->table[i].level;
	}
	pthread_rwlock_wrlock(&levels_lock);
	levels = *new_levels;
	atomic_store(&log_max_level, max);
	pthread_rwlock_unlock(&levels_lock);
}

void
log_set_level(enum log_level level)
{
	struct levels l;

	pthread_rwlock_rdlock(&levels_lock);
	l = levels;
	pthread_rwlock_unlock(&levels_lock);
	l.fallback = level;
	levels_set(&l);
}

/* One item of a mask, "LEVEL" or "facility=LEVEL". */
static int
mask_item(struct levels *l, char *item)
{
	char *eq = strchr(item, '=');
	enum log_level level;
	int rc;

	rc = log_level_parse(eq == NULL ? item : eq + 1, &level);
	if (rc != 0)
		return rc;
	if (eq == NULL) {
		l->fallback = level;
		return 0;
	}
	*eq = '\0';
	if (l->nr == FACILITY_MAX || item[0] == '\0' || strlen(item) >= FACILITY_LEN)
		return -DER_INVAL;
	strcpy(l->table[l->nr].name, item);
	l->table[l->nr++].level = level;
	return 0;
}

int
log_set_mask(const char *mask)
{
	struct levels l = {.fallback = LOG_LVL_ERR};
	char buf[1024];
	char *save = NULL;
	char *item;
	size_t len = strlen(mask);

	if (len >= sizeof(buf))
		return -DER_INVAL;
	memcpy(buf, mask, len + 1);
	for (item = strtok_r(buf, ", \t", &save); item != NULL;
	     item = strtok_r(NULL, ", \t", &save)) {
		int rc = mask_item(&l, item);

		if (rc != 0)
			return rc;
	}
	levels_set(&l);
	return 0;
}

bool
log_passes(enum log_level level, const char *facility)
{
	bool passes;
	int i;

	if (level > atomic_load_explicit(&log_max_level, memory_order_relaxed))
		return false;
	pthread_rwlock_rdlock(&levels_lock);
	passes = level <= levels.fallback;
	for (i = 0; i < levels.nr; i++) {
		if (strcasecmp(levels.table[i].name, facility) == 0)
			passes = level <= levels.table[i].level;
	}
	pthread_rwlock_unlock(&levels_lock);
	return passes;
}

/* --- sinks ------------------------------------------------------------------------------------ */

void
log_set_sink(log_sink_fn fn, void *ctx)
{
	sink_fn = fn;
	sink_ctx = ctx;
}

void
log_set_fd(int fd)
{
	atomic_store(&sink_fd, fd);
}

void
log_set_program(const char *name)
{
	snprintf(program, sizeof(program), "%s", name);
}

void
log_set_ult_fn(uint64_t (*fn)(void))
{
	atomic_store(&ult_fn, fn);
}

size_t
log_format(const struct log_rec *rec, const struct timespec *now, char *buf, size_t size)
{
	char host[64] = "localhost";
	uint64_t (*ult)(void) = atomic_load(&ult_fn);
	struct tm tm;
	int n;

	gethostname(host, sizeof(host) - 1);
	host[strcspn(host, ".")] = '\0';
	localtime_r(&now->tv_sec, &tm);
	n = snprintf(
	    buf, size, "%02d/%02d-%02d:%02d:%02d.%02d %s %s[%d/%ld/%llu] %s %s %s:%d %s() %s",
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
	    (int)(now->tv_nsec / 10000000), host,
	    program[0] != '\0' ? program : program_invocation_short_name, (int)getpid(),
	    syscall(SYS_gettid), ult == NULL ? 0ull : (unsigned long long)ult(), rec->facility,
	    level_names[rec->level], rec->file, rec->line, rec->func, rec->text);
	if (n < 0 || size < 2)
		return 0;
	if ((size_t)n > size - 2)
		n = (int)size - 2;
	buf[n] = '\n';
	buf[n + 1] = '\0';
	return (size_t)n + 1;
}

static void
default_sink(const struct log_rec *rec)
{
	char line[LINE_MAX_BYTES];
	struct timespec now;
	size_t len;
	size_t off = 0;

	clock_gettime(CLOCK_REALTIME, &now);
	len = log_format(rec, &now, line, sizeof(line));
	while (off < len) {
		ssize_t n = write(atomic_load(&sink_fd), line + off, len - off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* nowhere to report that */
		off += (size_t)n;
	}
}

/* The build gives paths from its own folder; keep what follows the last "src/". */
static const char *
short_file(const char *file)
{
	const char *best = file;
	const char *p = file;

	while ((p = strstr(p, "src/")) != NULL) {
		p += 4;
		best = p;
	}
	return best;
}

void
log_vwrite(enum log_level level, const char *facility, const char *file, int line, const char *func,
	   const char *fmt, va_list ap)
{
	struct log_rec rec = {.level = level, .facility = facility, .line = line, .func = func};
	char text[LINE_MAX_BYTES - 256];
	int saved_errno = errno;
	int n;

	if (level == LOG_LVL_NONE || !log_passes(level, facility))
		return;
	n = vsnprintf(text, sizeof(text), fmt, ap);
	if (n < 0)
		n = snprintf(text, sizeof(text), "(bad format) %s", fmt);
	if ((size_t)n >= sizeof(text))
		n = sizeof(text) - 1;
	while (n > 0 && text[n - 1] == '\n')
		n--;
	text[n] = '\0';
	rec.file = short_file(file);
	rec.text = text;
	rec.text_len = (size_t)n;
	if (sink_fn != NULL)
		sink_fn(sink_ctx, &rec);
	else
		default_sink(&rec);
	errno = saved_errno;
}

void
log_write(enum log_level level, const char *facility, const char *file, int line, const char *func,
	  const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vwrite(level, facility, file, line, func, fmt, ap);
	va_end(ap);
}

bool
log_rate_pass(struct log_rate *rate, uint32_t period_ms, uint32_t *ret_skipped)
{
	struct timespec ts;
	uint64_t now;
	uint64_t next;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	now = (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
	next = atomic_load_explicit(&rate->next_ns, memory_order_relaxed);
	if (now < next ||
	    !atomic_compare_exchange_strong(&rate->next_ns, &next, now + period_ms * 1000000ull)) {
		atomic_fetch_add_explicit(&rate->skipped_nr, 1, memory_order_relaxed);
		return false;
	}
	*ret_skipped = atomic_exchange_explicit(&rate->skipped_nr, 0, memory_order_relaxed);
	return true;
}
