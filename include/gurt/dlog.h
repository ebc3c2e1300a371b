/*
 * The log: facilities, priorities, masks.
 *
 * A message has a priority or debug bits, and a facility. Each facility has a mask: the lowest
 * priority it lets through, or the set of debug bits. D_LOG_MASK (default "ERR") sets masks as
 * PRIO[,FAC=PRIO...], DD_MASK chooses debug bits by name, DD_SUBSYS enables facilities by name,
 * D_LOG_FILE names the file, DD_STDERR the priority from which messages also go to standard error.
 *
 * One int carries it all: facility in bits 0-7, debug bits in 8-23, priority in 24-27.
 */
#ifndef GURT_DLOG_H
#define GURT_DLOG_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>

typedef uint64_t d_dbug_t;

/** What a line starts with, and where it goes besides the file. */
#define DLOG_FLV_LOGPID (1 << 0)
#define DLOG_FLV_FQDN   (1 << 1)
#define DLOG_FLV_FAC    (1 << 2)
#define DLOG_FLV_YEAR   (1 << 3)
#define DLOG_FLV_TAG    (1 << 4)
#define DLOG_FLV_STDOUT (1 << 5)
#define DLOG_FLV_STDERR (1 << 6)

#define DLOG_FLV_DEFAULT (DLOG_FLV_FAC | DLOG_FLV_LOGPID | DLOG_FLV_TAG | DLOG_FLV_YEAR)

/** Send this one message also to standard error or standard output. */
#define DLOG_STDERR 0x20000000
#define DLOG_STDOUT 0x10000000
/** Priority and debug bits. */
#define DLOG_PRIMASK 0x0fffff00

/** Priorities, highest first: ACTION(name, short name, long name, value, arg). */
#define D_FOREACH_PRIO_MASK(ACTION, arg)                                                           \
	ACTION(DLOG_EMIT, emit, emit, 0x08000000, arg)                                             \
	ACTION(DLOG_EMERG, fatal, fatal, 0x07000000, arg)                                          \
	ACTION(DLOG_ALERT, alert, alert, 0x06000000, arg)                                          \
	ACTION(DLOG_CRIT, crit, crit, 0x05000000, arg)                                             \
	ACTION(DLOG_ERR, err, err, 0x04000000, arg)                                                \
	ACTION(DLOG_WARN, warn, warn, 0x03000000, arg)                                             \
	ACTION(DLOG_NOTE, note, note, 0x02000000, arg)                                             \
	ACTION(DLOG_INFO, info, info, 0x01000000, arg)                                             \
	ACTION(DLOG_DBG, debug, debug, 0x00ffff00, arg)

#define D_NOOP(...)
#define D_PRIO_ENUM(name, id, longid, mask, arg) name = mask,

enum { D_FOREACH_PRIO_MASK(D_PRIO_ENUM, D_NOOP) };

/** For d_log_dbg_grp_alloc(). */
enum d_log_flag_bits {
	D_LOG_SET_AS_DEFAULT = 1U,
};

#define DLOG_PRISHIFT  24
#define DLOG_DPRISHIFT 8
#define DLOG_PRINDMASK 0x0f000000
#define DLOG_FACMASK   0x000000ff
#define DLOG_UNINIT    0x80000000
#define DLOG_PRI(flag) (((flag)&DLOG_PRINDMASK) >> DLOG_PRISHIFT)

#define DD_MASK_ENV     "DD_MASK"
#define DD_MASK_DEFAULT "all"
#define DD_SEP          ","
#define DD_STDERR_ENV   "DD_STDERR"
#define DD_FAC_ENV      "DD_SUBSYS"
#define DD_FAC_ALL      "all"

struct dlog_fac {
	char *fac_aname; /* short name, for output */
	char *fac_lname; /* long name, may be NULL */
	int fac_mask;
	bool is_enabled; /* by DD_SUBSYS; errors pass anyway */
};

/** State of the open log. tag is NULL while it is closed. */
struct d_log_xstate {
	char *tag;
	struct dlog_fac *dlog_facs;
	char *nodename;
	int fac_cnt;
};

struct d_debug_data {
	d_dbug_t dd_mask;     /* debug bits let through */
	d_dbug_t dd_prio_err; /* lowest priority copied to standard error */
	int dbg_bit_cnt;
	int dbg_grp_cnt;
};

struct d_debug_priority {
	char *dd_name;
	d_dbug_t dd_prio;
	size_t dd_name_size;
};

struct d_debug_bit {
	d_dbug_t *db_bit;
	char *db_name;
	char *db_lname;
	size_t db_name_size;
	size_t db_lname_size;
};

struct d_debug_grp {
	char *dg_name;
	size_t dg_name_size;
	d_dbug_t dg_mask;
};

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

extern struct d_log_xstate d_log_xst;
extern struct d_debug_data d_dbglog_data;

/** Register a named debug bit: *dbgbit is given a free bit, or the one the name already has. */
int d_log_dbg_bit_alloc(d_dbug_t *dbgbit, char *name, char *lname);
int d_log_dbg_bit_dealloc(char *name);

/** Register a name for a set of debug bits. */
int d_log_dbg_grp_alloc(d_dbug_t dbgmask, char *grpname, uint32_t flags);
int d_log_dbg_grp_dealloc(char *grpname);

/** 0 when a message with these flags would be dropped, else the flags to pass to d_log(). */
static inline int
d_log_check(int flags)
{
	int fac = flags & DLOG_FACMASK;
	int lvl = flags & DLOG_PRIMASK;
	const struct dlog_fac *f;

	if (d_log_xst.tag == NULL)
		return 0;
	if (fac >= d_log_xst.fac_cnt)
		fac = 0;
	f = &d_log_xst.dlog_facs[fac];
	if (!f->is_enabled && lvl < DLOG_ERR)
		return 0;
	if (lvl >= DLOG_INFO ? lvl < f->fac_mask : (lvl & f->fac_mask) == 0)
		return 0;
	return lvl | fac;
}

/** Write one message; flags come from d_log_check(). */
void d_vlog(int flags, const char *fmt, va_list ap);

static inline void d_log(int flags, const char *fmt, ...)
    __attribute__((__format__(__printf__, 2, 3)));

static inline void
d_log(int flags, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	d_vlog(flags, fmt, ap);
	va_end(ap);
}

/** Number of a new (or already known) facility, -1 when there is no room. */
int d_log_allocfacility(const char *aname, const char *lname);

/** Open the log as the environment says. Counted; undone by d_log_fini(). */
int d_log_init(void);

/** Name the calling execution stream and user-level thread for the start of a line. */
typedef void (*d_log_id_cb_t)(uint32_t *xs_id, uint64_t *ult_id);

/**
 * As d_log_init() with everything given: tag, file (NULL: standard output), DLOG_FLV_*, mask of new
 * facilities, lowest priority for standard error, optional id callback.
 */
int d_log_init_adv(char *log_tag, char *log_file, unsigned int flavor, d_dbug_t def_mask,
		   d_dbug_t err_mask, d_log_id_cb_t id_cb);
void d_log_fini(void);
void d_log_close(void);

/** From now on lines carry this rank. */
void d_log_rank_setup(int rank);

/** Read D_LOG_MASK, DD_MASK and DD_SUBSYS again and apply them. */
void d_log_sync_mask(void);

/** Apply these masks instead of the environment's; NULL leaves one alone. */
void d_log_sync_mask_ex(const char *log_mask, const char *dd_mask);

int d_log_open(char *tag, int maxfac_hint, int default_mask, int stderr_mask, char *logfile,
	       int flags, d_log_id_cb_t id_cb);

/** Set a facility's mask; returns the old one, -1 if there is no such facility. */
int d_log_setlogmask(int facility, int mask);

/** Apply a mask string of mlen bytes (0: up to its NUL). */
int d_log_setmasks(const char *mstr, int mlen);

/**
 * Write all masks as "fac=PRIO," text into buf, leaving out the first discard bytes. Returns the
 * number of bytes that were (or, with buf NULL, would be) written. unterm: no NUL at the end.
 */
int d_log_getmasks(char *buf, int discard, int len, int unterm);

/** Register an array of nr cached decisions, set to DLOG_UNINIT whenever a mask changes. */
void d_log_add_cache(int *cache, int nr);

/** Flush to the file. */
void d_log_sync(void);

/** Write nothing more, without taking any lock: for a child after fork. */
void d_log_disable_logging(void);

/** Forget inherited state so that a child after fork can open its own log. */
void d_log_reset(void);

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* GURT_DLOG_H */
