/*
 * Log facilities and debug bits of the client and of the daemons, over gurt/debug.h.
 *
 * Include this (or daos/common.h) before any gurt header: the including file's messages then belong
 * to a facility of this list. A file chooses one by defining D_LOGFAC as DD_FAC(name) first.
 */
#ifndef DAOS_DEBUG_H
#define DAOS_DEBUG_H

#include <stdio.h>
#include <daos_errno.h>

#ifndef DD_FAC
#define DD_FAC(name) daos_##name##_logfac
#endif

#ifndef D_LOGFAC
#define D_LOGFAC DD_FAC(daos)
#endif

#include <gurt/debug_setup.h>

/** Facilities: ACTION(name, long name, arg). */
#define DAOS_FOREACH_LOG_FAC(ACTION, arg)                                                          \
	ACTION(daos, daos, arg)                                                                    \
	ACTION(array, array, arg)                                                                  \
	ACTION(kv, kv, arg)                                                                        \
	ACTION(common, common, arg)                                                                \
	ACTION(tree, tree, arg)                                                                    \
	ACTION(vos, vos, arg)                                                                      \
	ACTION(client, client, arg)                                                                \
	ACTION(server, server, arg)                                                                \
	ACTION(rdb, rdb, arg)                                                                      \
	ACTION(rsvc, rsvc, arg)                                                                    \
	ACTION(pool, pool, arg)                                                                    \
	ACTION(container, container, arg)                                                          \
	ACTION(object, object, arg)                                                                \
	ACTION(placement, placement, arg)                                                          \
	ACTION(rebuild, rebuild, arg)                                                              \
	ACTION(mgmt, mgmt, arg)                                                                    \
	ACTION(bio, bio, arg)                                                                      \
	ACTION(tests, tests, arg)                                                                  \
	ACTION(dfs, dfs, arg)                                                                      \
	ACTION(duns, duns, arg)                                                                    \
	ACTION(drpc, drpc, arg)                                                                    \
	ACTION(security, security, arg)                                                            \
	ACTION(dtx, dtx, arg)                                                                      \
	ACTION(chk, chk, arg)                                                                      \
	ACTION(dfuse, dfuse, arg)                                                                  \
	ACTION(il, il, arg)                                                                        \
	ACTION(csum, csum, arg)                                                                    \
	ACTION(pipeline, pipeline, arg)                                                            \
	ACTION(stack, stack, arg)

/** Debug bits: ACTION(variable, name, long name, 0, arg). */
#define DAOS_FOREACH_DB(ACTION, arg)                                                               \
	ACTION(DB_MD, md, metadata, 0, arg)                                                        \
	ACTION(DB_PL, pl, placement, 0, arg)                                                       \
	ACTION(DB_MGMT, mgmt, management, 0, arg)                                                  \
	ACTION(DB_EPC, epc, epoch, 0, arg)                                                         \
	ACTION(DB_DF, df, durable_format, 0, arg)                                                  \
	ACTION(DB_REBUILD, rebuild, rebuild, 0, arg)                                               \
	ACTION(DB_SEC, sec, security, 0, arg)                                                      \
	ACTION(DB_CSUM, csum, checksum, 0, arg)

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

/* Declared first: the inline functions of the gurt headers log to the file's facility. */
#define DAOS_DECLARE_FAC(name, long_name, arg) extern int daos_##name##_logfac;

DAOS_FOREACH_DB(D_LOG_DECLARE_DB, D_NOOP)
DAOS_FOREACH_LOG_FAC(DAOS_DECLARE_FAC, D_NOOP)

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#include <gurt/debug.h>
#include <gurt/common.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

#define DB_DEFAULT DLOG_DBG
#define DB_NULL    0

/**
 * Open the log with these facilities: in D_LOG_FILE, else in logfile, else on standard output.
 * Counted, undone by daos_debug_fini(). logmask is what facilities let through by default.
 */
int daos_debug_init(char *logfile);
int daos_debug_init_ex(char *logfile, d_dbug_t logmask);
void daos_debug_set_id_cb(d_log_id_cb_t id_cb);
void daos_debug_fini(void);

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* DAOS_DEBUG_H */
