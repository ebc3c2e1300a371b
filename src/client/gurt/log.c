/*
 * The log of the public interface (gurt/dlog.h, gurt/debug.h).
 *
 * One log per process. Facilities live in a table that never moves, so that d_log_check() may read
 * masks without a lock; everything that changes state takes log_lock. A mask text ("ERR,object=
 * DEBUG") is kept and applied again whenever a facility or a debug bit is registered, so it does
 * not matter which comes first.
 *
 * A line is formatted on the caller's stack and written by one write(): lines of several threads
 * and processes do not mix, and nothing is lost in a crash.
 *
 * Line: MM/DD-HH:MM:SS.cc host TAG[pid/tid/ult] facility LEVEL file:line func() text
 */
#include <ctype.h>
#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>

#include <gurt/common.h>
#include <gurt/atomic.h>

#define FAC_MAX   256 /* the facility has 8 bits in a message's flags */
#define BIT_FIRST 8   /* debug bits are bits 8 to 23 of the flags */
#define BIT_MAX   16
#define GRP_MAX   32
#define NAME_MAX_ 32 /* longest name of a facility, bit or group, with the NUL */
#define LINE_MAX_ 4096
#define CACHE_MAX 64
#define SIZE_MIN  (1ull << 20)
#define SIZE_DFLT (2ull << 30)

/* The interface has these as variables of the process. */
struct d_log_xstate d_log_xst;
struct d_debug_data d_dbglog_data;
void (*d_alt_assert)(const int, const char *, const char *, const int);

D_FOREACH_GURT_FAC(D_LOG_INSTANTIATE_FAC, D_NOOP)
D_FOREACH_GURT_DB(D_LOG_INSTANTIATE_DB, D_NOOP)

struct named_bits {
	char name[NAME_MAX_];
	d_dbug_t bits; /* 0: the slot is free */
};

struct cache {
	int *flags;
	int nr;
};

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

/* Guarded by log_lock, but for fd, which the writer reads. */
static struct {
	int open_nr; /* d_log_init() calls without their d_log_fini() */
	_Atomic int fd;
	int default_mask; /* of new facilities, before mask_text */
	int stderr_mask;  /* lowest priority copied to standard error, 0: none */
	unsigned int flavor;
	_Atomic int rank; /* -1: not known */
	d_log_id_cb_t id_cb;
	char *path; /* NULL: standard output */
	char *mask_text;
	char *dd_text;
	char *fac_text;
	uint64_t size_max; /* rotate beyond this */
	_Atomic uint64_t size;
	struct named_bits bits[BIT_MAX];
	struct named_bits grps[GRP_MAX];
	struct cache caches[CACHE_MAX];
	int cache_nr;
} lg = {.fd = -1, .rank = -1};

static struct dlog_fac facs[FAC_MAX];
static char host_name[64];
static char log_tag[64];

struct prio_name {
	const char *name;
	const char *shown;
	int mask;
};

/* The last is an alternative spelling for parsing only. */
static const struct prio_name prio_names[] = {
    {"EMIT", "EMIT", DLOG_EMIT},   {"FATAL", "FATL", DLOG_EMERG}, {"ALERT", "ALRT", DLOG_ALERT},
    {"CRIT", "CRIT", DLOG_CRIT},   {"ERR", "ERR ", DLOG_ERR},     {"WARN", "WARN", DLOG_WARN},
    {"NOTE", "NOTE", DLOG_NOTE},   {"INFO", "INFO", DLOG_INFO},   {"DEBUG", "DBUG", DLOG_DBG},
    {"EMERG", "FATL", DLOG_EMERG}, {"ERROR", "ERR ", DLOG_ERR},   {"DBUG", "DBUG", DLOG_DBG},
};

/* ---- Masks ---- */

/* A priority by name of len bytes; -1 if unknown. */
static int
prio_parse(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(prio_names); i++)
		if (strlen(prio_names[i].name) == len &&
		    strncasecmp(prio_names[i].name, name, len) == 0)
			return prio_names[i].mask;
	return -1;
}

static const struct prio_name *
prio_of(int lvl)
{
	int prio = lvl & DLOG_PRINDMASK;
	size_t i;

	for (i = 0; prio != 0 && i < ARRAY_SIZE(prio_names); i++)
		if (prio_names[i].mask == prio)
			return &prio_names[i];
	return &prio_names[8]; /* DEBUG */
}

/* What a facility's mask is for a priority: for DEBUG the debug bits that are on. */
static int
prio_to_mask(int prio)
{
	if (prio != DLOG_DBG)
		return prio;
	return (int)(d_dbglog_data.dd_mask & DLOG_DBG);
}

static bool
name_is(const char *name, const char *text, size_t len)
{
	return name != NULL && strlen(name) == len && strncasecmp(name, text, len) == 0;
}

static void
fac_set_mask_named(const char *name, size_t len, int mask)
{
	int i;

	for (i = 0; i < d_log_xst.fac_cnt; i++)
		if (name_is(facs[i].fac_aname, name, len) || name_is(facs[i].fac_lname, name, len))
			facs[i].fac_mask = mask;
}

/*
 * Apply "PRIO" (all facilities) and "FAC=PRIO" items. Names of facilities that are not registered
 * (yet) are fine. -DER_INVAL, with the items before it applied, for a priority that is none.
 */
static int
masks_apply_locked(const char *text, size_t text_len)
{
	const char *end = text + text_len;
	int i;

	while (text < end) {
		size_t len = strcspn(text, ",");
		const char *eq;
		int prio;

		len = MIN(len, (size_t)(end - text));
		eq = memchr(text, '=', len);
		if (eq == NULL)
			prio = prio_parse(text, len);
		else
			prio = prio_parse(eq + 1, len - (size_t)(eq + 1 - text));
		if (len > 0 && prio < 0)
			return -DER_INVAL;
		if (len > 0 && eq != NULL)
			fac_set_mask_named(text, (size_t)(eq - text), prio_to_mask(prio));
		for (i = 0; len > 0 && eq == NULL && i < d_log_xst.fac_cnt; i++)
			facs[i].fac_mask = prio_to_mask(prio);
		text += len + 1;
	}
	return 0;
}

/* The bits that a comma-separated list of names stands for; unknown names count for nothing. */
static d_dbug_t
bits_parse_locked(const char *text)
{
	d_dbug_t bits = 0;
	size_t len;
	int i;

	for (; *text != '\0'; text += len + (text[len] == ',')) {
		len = strcspn(text, ",");
		if (name_is(DB_ALL_BITS, text, len))
			bits |= DLOG_DBG;
		for (i = 0; i < BIT_MAX; i++)
			if (lg.bits[i].bits != 0 && name_is(lg.bits[i].name, text, len))
				bits |= lg.bits[i].bits;
		for (i = 0; i < GRP_MAX; i++)
			if (lg.grps[i].bits != 0 && name_is(lg.grps[i].name, text, len))
				bits |= lg.grps[i].bits;
	}
	return bits;
}

static bool
fac_is_listed(const struct dlog_fac *fac, const char *text)
{
	size_t len;

	for (; *text != '\0'; text += len + (text[len] == ',')) {
		len = strcspn(text, ",");
		if (name_is(DD_FAC_ALL, text, len) || name_is(fac->fac_aname, text, len) ||
		    name_is(fac->fac_lname, text, len))
			return true;
	}
	return false;
}

/* Compute everything again from the texts. */
static void
masks_refresh_locked(void)
{
	int i;
	int j;

	d_dbglog_data.dd_mask = lg.dd_text != NULL ? bits_parse_locked(lg.dd_text) : DLOG_DBG;
	for (i = 0; i < d_log_xst.fac_cnt; i++) {
		facs[i].fac_mask = prio_to_mask(lg.default_mask);
		facs[i].is_enabled = lg.fac_text == NULL || fac_is_listed(&facs[i], lg.fac_text);
	}
	if (lg.mask_text != NULL)
		masks_apply_locked(lg.mask_text, strlen(lg.mask_text));
	for (i = 0; i < lg.cache_nr; i++)
		for (j = 0; j < lg.caches[i].nr; j++)
			lg.caches[i].flags[j] = (int)DLOG_UNINIT;
}

static void
text_replace(char **text, const char *value)
{
	free(*text);
	*text = value != NULL ? strdup(value) : NULL;
}

static void
text_from_env(char **text, const char *name)
{
	char *val;

	d_agetenv_str(&val, name);
	text_replace(text, val);
	d_freeenv_str(&val);
}

void
d_log_sync_mask(void)
{
	pthread_mutex_lock(&log_lock);
	text_from_env(&lg.mask_text, D_LOG_MASK_ENV);
	text_from_env(&lg.dd_text, DD_MASK_ENV);
	text_from_env(&lg.fac_text, DD_FAC_ENV);
	masks_refresh_locked();
	pthread_mutex_unlock(&log_lock);
}

void
d_log_sync_mask_ex(const char *log_mask, const char *dd_mask)
{
	pthread_mutex_lock(&log_lock);
	if (log_mask != NULL)
		text_replace(&lg.mask_text, log_mask);
	if (dd_mask != NULL)
		text_replace(&lg.dd_text, dd_mask);
	masks_refresh_locked();
	pthread_mutex_unlock(&log_lock);
}

int
d_log_setlogmask(int facility, int mask)
{
	int old = -1;

	pthread_mutex_lock(&log_lock);
	if (facility >= 0 && facility < d_log_xst.fac_cnt) {
		old = facs[facility].fac_mask;
		facs[facility].fac_mask = mask & DLOG_PRIMASK;
	}
	pthread_mutex_unlock(&log_lock);
	return old;
}

int
d_log_setmasks(const char *mstr, int mlen)
{
	int rc;

	if (mstr == NULL || mlen < 0)
		return -DER_INVAL;
	pthread_mutex_lock(&log_lock);
	rc = masks_apply_locked(mstr, mlen == 0 ? strlen(mstr) : strnlen(mstr, (size_t)mlen));
	pthread_mutex_unlock(&log_lock);
	return rc;
}

int
d_log_getmasks(char *buf, int discard, int len, int unterm)
{
	struct d_string_buffer_t all = {0};
	int out = 0;
	int i;

	pthread_mutex_lock(&log_lock);
	for (i = 0; i < d_log_xst.fac_cnt; i++)
		d_write_string_buffer(&all, "%s%s=%s", i == 0 ? "" : ",", facs[i].fac_aname,
				      prio_of(facs[i].fac_mask)->name);
	pthread_mutex_unlock(&log_lock);

	if (all.status == 0 && discard >= 0 && (size_t)discard < all.str_size)
		out = (int)all.str_size - discard;
	if (buf != NULL && len > 0) {
		out = MIN(out, unterm ? len : len - 1);
		if (out > 0)
			memcpy(buf, all.str + discard, (size_t)out);
		if (!unterm)
			buf[out] = '\0';
	}
	d_free_string(&all);
	return out;
}

void
d_log_add_cache(int *cache, int nr)
{
	int i;

	pthread_mutex_lock(&log_lock);
	for (i = 0; i < nr; i++)
		cache[i] = (int)DLOG_UNINIT;
	if (lg.cache_nr < CACHE_MAX)
		lg.caches[lg.cache_nr++] = (struct cache){.flags = cache, .nr = nr};
	pthread_mutex_unlock(&log_lock);
}

/* ---- Registration ---- */

/* With log_lock held. -1 when the table is full. */
static int
fac_alloc_locked(const char *aname, const char *lname)
{
	struct dlog_fac *fac;
	int i;

	for (i = 0; i < d_log_xst.fac_cnt; i++)
		if (name_is(facs[i].fac_aname, aname, strlen(aname)))
			return i;
	if (i == FAC_MAX)
		return -1;
	fac = &facs[i];
	fac->fac_aname = strdup(aname);
	fac->fac_lname = lname != NULL ? strdup(lname) : NULL;
	if (fac->fac_aname == NULL || (lname != NULL && fac->fac_lname == NULL)) {
		free(fac->fac_aname);
		free(fac->fac_lname);
		memset(fac, 0, sizeof(*fac));
		return -1;
	}
	d_log_xst.dlog_facs = facs;
	d_log_xst.fac_cnt = i + 1;
	return i;
}

int
d_log_allocfacility(const char *aname, const char *lname)
{
	int fac;

	if (aname == NULL || strlen(aname) >= NAME_MAX_)
		return -1;
	pthread_mutex_lock(&log_lock);
	fac = fac_alloc_locked(aname, lname);
	masks_refresh_locked();
	pthread_mutex_unlock(&log_lock);
	return fac;
}

static struct named_bits *
named_find(struct named_bits *table, int nr, const char *name)
{
	int i;

	for (i = 0; i < nr; i++)
		if (table[i].bits != 0 && name_is(table[i].name, name, strlen(name)))
			return &table[i];
	return NULL;
}

static struct named_bits *
named_add(struct named_bits *table, int nr, const char *name)
{
	int i;

	if (strlen(name) >= NAME_MAX_)
		return NULL;
	for (i = 0; i < nr && table[i].bits != 0; i++)
		;
	if (i == nr)
		return NULL;
	snprintf(table[i].name, sizeof(table[i].name), "%s", name);
	return &table[i];
}

int
d_log_dbg_bit_alloc(d_dbug_t *dbgbit, char *name, char *lname)
{
	struct named_bits *bit;

	if (dbgbit == NULL || name == NULL)
		return -1;
	if (name_is(DB_ALL_BITS, name, strlen(name))) {
		*dbgbit = DLOG_DBG;
		return 0;
	}
	pthread_mutex_lock(&log_lock);
	bit = named_find(lg.bits, BIT_MAX, name);
	if (bit == NULL) {
		bit = named_add(lg.bits, BIT_MAX, name);
		if (bit != NULL) {
			bit->bits = 1u << (BIT_FIRST + (bit - lg.bits));
			d_dbglog_data.dbg_bit_cnt++;
			masks_refresh_locked();
		}
	}
	if (bit != NULL)
		*dbgbit = bit->bits;
	pthread_mutex_unlock(&log_lock);
	return bit != NULL ? 0 : -1;
}

int
d_log_dbg_bit_dealloc(char *name)
{
	struct named_bits *bit;

	if (name_is(DB_ALL_BITS, name, strlen(name)))
		return 0;
	pthread_mutex_lock(&log_lock);
	bit = named_find(lg.bits, BIT_MAX, name);
	if (bit != NULL) {
		memset(bit, 0, sizeof(*bit));
		d_dbglog_data.dbg_bit_cnt--;
		masks_refresh_locked();
	}
	pthread_mutex_unlock(&log_lock);
	return bit != NULL ? 0 : -1;
}

int
d_log_dbg_grp_alloc(d_dbug_t dbgmask, char *grpname, uint32_t flags)
{
	struct named_bits *grp;

	if (grpname == NULL || (dbgmask & DLOG_DBG) == 0)
		return -1;
	pthread_mutex_lock(&log_lock);
	grp = named_find(lg.grps, GRP_MAX, grpname);
	if (grp == NULL) {
		grp = named_add(lg.grps, GRP_MAX, grpname);
		d_dbglog_data.dbg_grp_cnt += grp != NULL;
	}
	if (grp != NULL) {
		grp->bits = dbgmask & DLOG_DBG;
		if ((flags & D_LOG_SET_AS_DEFAULT) && lg.dd_text == NULL)
			text_replace(&lg.dd_text, grpname);
		masks_refresh_locked();
	}
	pthread_mutex_unlock(&log_lock);
	return grp != NULL ? 0 : -1;
}

int
d_log_dbg_grp_dealloc(char *grpname)
{
	struct named_bits *grp;

	pthread_mutex_lock(&log_lock);
	grp = named_find(lg.grps, GRP_MAX, grpname);
	if (grp != NULL) {
		memset(grp, 0, sizeof(*grp));
		d_dbglog_data.dbg_grp_cnt--;
		masks_refresh_locked();
	}
	pthread_mutex_unlock(&log_lock);
	return grp != NULL ? 0 : -1;
}

int
d_log_getdbgbit(d_dbug_t *dbgbit, char *bitname)
{
	d_dbug_t bits;

	if (dbgbit == NULL || bitname == NULL)
		return -DER_INVAL;
	pthread_mutex_lock(&log_lock);
	bits = bits_parse_locked(bitname);
	pthread_mutex_unlock(&log_lock);
	if (bits == 0)
		return -DER_INVAL;
	*dbgbit = bits;
	return 0;
}

/* ---- Output ---- */

static int
file_open(const char *path, bool truncate)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | (truncate ? O_TRUNC : 0),
		    0644);
}

/*
 * The file grew beyond its limit: keep it as ".old" and start another. The new file takes the
 * number of the old descriptor, so that writers that have read it need no lock.
 */
static void
file_rotate(void)
{
	char old[PATH_MAX];
	struct stat st;
	int fd;

	pthread_mutex_lock(&log_lock);
	if (lg.path == NULL || lg.fd < 0 || atomic_load(&lg.size) <= lg.size_max)
		goto out;
	/* Another process may have done it. */
	if (stat(lg.path, &st) != 0 || (uint64_t)st.st_size > lg.size_max) {
		snprintf(old, sizeof(old), "%s.old", lg.path);
		rename(lg.path, old);
	}
	fd = file_open(lg.path, false);
	if (fd >= 0) {
		dup3(fd, lg.fd, O_CLOEXEC);
		close(fd);
	}
	atomic_store(&lg.size, 0);
out:
	pthread_mutex_unlock(&log_lock);
}

/* The time of day, with a calendar that is computed once a second for each thread. */
static int
time_print(char *buf, size_t size)
{
	static __thread time_t last_s;
	static __thread struct tm tm;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec != last_s) {
		localtime_r(&now.tv_sec, &tm);
		last_s = now.tv_sec;
	}
	return snprintf(buf, size, "%02d/%02d-%02d:%02d:%02d.%02ld", tm.tm_mon + 1, tm.tm_mday,
			tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 10000000);
}

static int
head_print(char *buf, size_t size, int lvl, int fac)
{
	uint64_t ult_id = 0;
	uint32_t xs_id;
	int len;

	xs_id = (uint32_t)gettid();
	if (lg.id_cb != NULL)
		lg.id_cb(&xs_id, &ult_id);
	len = time_print(buf, size);
	len += snprintf(buf + len, size - len, " %s %s", host_name, log_tag);
	if (lg.flavor & DLOG_FLV_LOGPID)
		len +=
		    snprintf(buf + len, size - len, "[%d/%u/%" PRIu64 "]", getpid(), xs_id, ult_id);
	if (lg.flavor & DLOG_FLV_FAC)
		len += snprintf(buf + len, size - len, " %-6s", facs[fac].fac_aname);
	len += snprintf(buf + len, size - len, " %s ", prio_of(lvl)->shown);
	return len;
}

static void
write_all(int fd, const char *buf, size_t len)
{
	/* One call, and no second try: a log that cannot be written must not stop the program. */
	if (write(fd, buf, len) < 0)
		return;
}

void
d_vlog(int flags, const char *fmt, va_list ap)
{
	int saved_errno = errno;
	int fac = flags & DLOG_FACMASK;
	int lvl = flags & DLOG_PRIMASK;
	char line[LINE_MAX_];
	size_t len;
	int fd;
	int rc;

	if (d_log_xst.tag == NULL || lvl == 0)
		return;
	if (fac >= d_log_xst.fac_cnt)
		fac = 0;
	len = (size_t)head_print(line, sizeof(line) / 2, lvl, fac);
	rc = vsnprintf(line + len, sizeof(line) - len, fmt, ap);
	if (rc < 0)
		goto out;
	len = MIN(len + (size_t)rc, sizeof(line) - 2);
	if (line[len - 1] != '\n')
		line[len++] = '\n';

	fd = atomic_load(&lg.fd);
	if (fd >= 0) {
		write_all(fd, line, len);
		if (atomic_fetch_add(&lg.size, len) + len > lg.size_max)
			file_rotate();
	}
	if ((flags & DLOG_STDERR) || (lg.flavor & DLOG_FLV_STDERR) ||
	    (lg.stderr_mask != 0 && lvl >= lg.stderr_mask))
		write_all(STDERR_FILENO, line, len);
	if (((flags & DLOG_STDOUT) || (lg.flavor & DLOG_FLV_STDOUT)) && fd != STDOUT_FILENO)
		write_all(STDOUT_FILENO, line, len);
out:
	errno = saved_errno;
}

void
d_log_memory(const uint8_t *ptr, size_t size)
{
	size_t off;
	size_t i;

	for (off = 0; off < size; off += 16) {
		char text[16 * 3 + 1];

		for (i = 0; i < 16 && off + i < size; i++)
			snprintf(text + i * 3, 4, " %02x", ptr[off + i]);
		D_ERROR("%p:%s\n", (const void *)(ptr + off), text);
	}
}

void
d_log_sync(void)
{
	/* Lines are not buffered here; this is for what the kernel holds. */
	int fd = atomic_load(&lg.fd);

	if (fd > STDERR_FILENO)
		fdatasync(fd);
}

/* ---- Opening and closing ---- */

static char *
path_make(const char *logfile, int rank)
{
	bool append_pid = false;
	bool append_rank = false;
	char *path = NULL;
	int rc;

	if (logfile == NULL)
		return NULL;
	d_getenv_bool(D_LOG_FILE_APPEND_PID_ENV, &append_pid);
	d_getenv_bool(D_LOG_FILE_APPEND_RANK_ENV, &append_rank);
	append_rank = append_rank && rank >= 0;
	if (append_pid && append_rank)
		rc = asprintf(&path, "%s.%d.%d", logfile, rank, getpid());
	else if (append_pid || append_rank)
		rc = asprintf(&path, "%s.%d", logfile, append_pid ? getpid() : rank);
	else
		rc = asprintf(&path, "%s", logfile);
	return rc < 0 ? NULL : path;
}

/* D_LOG_SIZE: a number with an optional K, M or G. */
static uint64_t
size_from_env(void)
{
	static const char suffixes[] = "kmg";
	uint64_t size;
	const char *suffix;
	char *end;
	char *val;

	if (d_agetenv_str(&val, D_LOG_SIZE_ENV) != 0)
		return SIZE_DFLT;
	size = strtoull(val, &end, 10);
	suffix = *end != '\0' ? strchr(suffixes, tolower((unsigned char)*end)) : NULL;
	if (suffix != NULL)
		size <<= 10 * (suffix - suffixes + 1);
	d_freeenv_str(&val);
	return size == 0 ? SIZE_DFLT : MAX(size, SIZE_MIN);
}

static int
prio_from_env(const char *name, int dflt)
{
	char *val;
	int prio;

	if (d_agetenv_str(&val, name) != 0)
		return dflt;
	prio = prio_parse(val, strlen(val));
	d_freeenv_str(&val);
	return prio < 0 ? dflt : prio;
}

static void
gurt_register(void)
{
	int rc;

	rc = D_LOG_REGISTER_FAC(D_FOREACH_GURT_FAC);
	if (rc == 0)
		rc = D_LOG_REGISTER_DB(D_FOREACH_GURT_DB);
	if (rc != 0)
		D_PRINT_ERR("cannot register facilities: " DF_RC "\n", DP_RC(rc));
}

/* With log_lock held and the log closed. */
static int
open_locked(const char *tag, int default_mask, int stderr_mask, const char *logfile, int flags,
	    d_log_id_cb_t id_cb)
{
	bool truncate = false;
	bool stderr_in_log = false;
	struct stat st;
	int fd = STDOUT_FILENO;

	d_getenv_bool(D_LOG_TRUNCATE_ENV, &truncate);
	d_getenv_bool(D_LOG_STDERR_IN_LOG_ENV, &stderr_in_log);
	if (logfile != NULL) {
		lg.path = path_make(logfile, lg.rank);
		if (lg.path == NULL)
			return -DER_NOMEM;
		fd = file_open(lg.path, truncate);
		if (fd < 0) {
			int rc = d_errno2der(errno);

			free(lg.path);
			lg.path = NULL;
			return rc;
		}
		if (stderr_in_log) {
			fflush(stderr);
			dup2(fd, STDERR_FILENO);
		}
	}
	if (gethostname(host_name, sizeof(host_name) - 1) != 0)
		snprintf(host_name, sizeof(host_name), "localhost");
	if ((flags & DLOG_FLV_FQDN) == 0)
		host_name[strcspn(host_name, ".")] = '\0';
	snprintf(log_tag, sizeof(log_tag), "%s", tag);
	lg.flavor = (unsigned int)flags;
	lg.default_mask = default_mask;
	lg.stderr_mask = stderr_mask;
	lg.id_cb = id_cb;
	lg.size_max = lg.path != NULL ? size_from_env() : UINT64_MAX;
	atomic_store(&lg.size, lg.path != NULL && fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0);
	atomic_store(&lg.fd, fd);
	text_from_env(&lg.mask_text, D_LOG_MASK_ENV);
	text_from_env(&lg.dd_text, DD_MASK_ENV);
	text_from_env(&lg.fac_text, DD_FAC_ENV);
	d_dbglog_data.dd_prio_err = (d_dbug_t)stderr_mask;
	d_log_xst.nodename = host_name;
	d_log_xst.dlog_facs = facs;
	/* Last: it is what d_log_check() looks at first. */
	d_log_xst.tag = log_tag;
	return 0;
}

int
d_log_open(char *tag, int maxfac_hint, int default_mask, int stderr_mask, char *logfile, int flags,
	   d_log_id_cb_t id_cb)
{
	int rc = -1;

	(void)maxfac_hint;
	if (tag == NULL)
		return -1;
	pthread_mutex_lock(&log_lock);
	if (d_log_xst.tag == NULL)
		rc = open_locked(tag, default_mask, stderr_mask, logfile, flags, id_cb);
	pthread_mutex_unlock(&log_lock);
	if (rc != 0)
		return -1;
	gurt_register();
	return 0;
}

int
d_log_init_adv(char *log_tag_, char *log_file, unsigned int flavor, d_dbug_t def_mask,
	       d_dbug_t err_mask, d_log_id_cb_t id_cb)
{
	char tag[sizeof(log_tag)];
	int rc = 0;

	if (log_tag_ == NULL)
		return -DER_INVAL;
	snprintf(tag, sizeof(tag), "%s", log_tag_);
	pthread_mutex_lock(&log_lock);
	if (lg.open_nr == 0 && d_log_xst.tag == NULL)
		rc = open_locked(tag, (int)def_mask, (int)err_mask, log_file, (int)flavor, id_cb);
	if (rc == 0)
		lg.open_nr++;
	pthread_mutex_unlock(&log_lock);
	if (rc == 0)
		gurt_register();
	else
		D_PRINT_ERR("cannot open log file %s: " DF_RC "\n", log_file, DP_RC(rc));
	return rc;
}

int
d_log_init(void)
{
	char *path;
	char tag[] = "DAOS";
	int rc;

	d_agetenv_str(&path, D_LOG_FILE_ENV);
	if (path != NULL && path[0] == '\0')
		d_freeenv_str(&path);
	rc = d_log_init_adv(tag, path, DLOG_FLV_LOGPID | DLOG_FLV_FAC | DLOG_FLV_TAG, DLOG_ERR,
			    (d_dbug_t)prio_from_env(DD_STDERR_ENV, DLOG_CRIT), NULL);
	d_freeenv_str(&path);
	return rc;
}

static void
close_locked(void)
{
	int i;

	d_log_xst.tag = NULL;
	if (lg.path != NULL && lg.fd > STDERR_FILENO)
		close(lg.fd);
	atomic_store(&lg.fd, -1);
	free(lg.path);
	lg.path = NULL;
	text_replace(&lg.mask_text, NULL);
	text_replace(&lg.dd_text, NULL);
	text_replace(&lg.fac_text, NULL);
	for (i = 0; i < d_log_xst.fac_cnt; i++) {
		free(facs[i].fac_aname);
		free(facs[i].fac_lname);
		memset(&facs[i], 0, sizeof(facs[i]));
	}
	memset(lg.bits, 0, sizeof(lg.bits));
	memset(lg.grps, 0, sizeof(lg.grps));
	lg.cache_nr = 0;
	lg.open_nr = 0;
	memset(&d_log_xst, 0, sizeof(d_log_xst));
	memset(&d_dbglog_data, 0, sizeof(d_dbglog_data));
}

void
d_log_close(void)
{
	pthread_mutex_lock(&log_lock);
	close_locked();
	pthread_mutex_unlock(&log_lock);
}

void
d_log_fini(void)
{
	pthread_mutex_lock(&log_lock);
	if (lg.open_nr > 0 && --lg.open_nr == 0)
		close_locked();
	pthread_mutex_unlock(&log_lock);
}

void
d_log_rank_setup(int rank)
{
	bool append_rank = false;
	char *path = NULL;
	int fd;

	d_getenv_bool(D_LOG_FILE_APPEND_RANK_ENV, &append_rank);
	pthread_mutex_lock(&log_lock);
	atomic_store(&lg.rank, rank);
	if (append_rank && lg.path != NULL && rank >= 0 &&
	    asprintf(&path, "%s.%d", lg.path, rank) > 0) {
		fd = file_open(path, false);
		if (fd >= 0) {
			dup3(fd, lg.fd, O_CLOEXEC);
			close(fd);
			free(lg.path);
			lg.path = path;
			path = NULL;
		}
	}
	free(path);
	pthread_mutex_unlock(&log_lock);
}

void
d_log_disable_logging(void)
{
	/* For a child after fork: the lock may be held by a thread that does not exist here. */
	d_log_xst.tag = NULL;
	atomic_store(&lg.fd, -1);
}

void
d_log_reset(void)
{
	pthread_mutex_init(&log_lock, NULL);
	close_locked();
}

int
d_register_alt_assert(void (*alt_assert)(const int, const char *, const char *, const int))
{
	if (alt_assert == NULL)
		return -DER_INVAL;
	d_alt_assert = alt_assert;
	return 0;
}
