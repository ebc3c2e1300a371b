/*
 * Macros by which a component declares its log facilities and debug bits.
 *
 * A component lists its facilities as MY_FACS(ACTION, arg) { ACTION(name, long name, arg) ... },
 * says D_LOG_DECLARE_FAC in a header and D_LOG_INSTANTIATE_FAC in one file, and registers them
 * once after the log is open. A source file picks its facility by defining D_LOGFAC (and DD_FAC if
 * its facility variables are named differently) before it includes gurt/common.h.
 */
#ifndef GURT_DEBUG_SETUP_H
#define GURT_DEBUG_SETUP_H

#include <gurt/dlog.h>

/** Name of the variable that holds the number of one of libgurt's own facilities. */
#define DD_GURT_FAC(name) d_##name##_logfac

#ifndef DD_FAC
#define DD_FAC DD_GURT_FAC
#define D_USE_GURT_FAC
#endif

#define DD_FAC_DECL(name) DD_FAC(name)

/** Facility of the messages of the including file. */
#ifndef D_LOGFAC
#define D_LOGFAC DD_GURT_FAC(misc)
#endif

/** Debug bits everybody shares: ACTION(variable, name, long name, 0, arg). */
#define D_FOREACH_GURT_DB(ACTION, arg)                                                             \
	ACTION(DB_ALL, all, all, 0, arg)                                                           \
	ACTION(DB_ANY, any, any, 0, arg)                                                           \
	ACTION(DB_TRACE, trace, trace, 0, arg)                                                     \
	ACTION(DB_MEM, mem, mem, 0, arg)                                                           \
	ACTION(DB_NET, net, net, 0, arg)                                                           \
	ACTION(DB_IO, io, io, 0, arg)                                                              \
	ACTION(DB_TEST, test, test, 0, arg)

/** The (run-time) value of a priority or debug bit for a facility. */
#define DD_FLAG(mask, fac) ((mask) | (fac))

#define D_LOG_DECLARE_DB(flag, s_name, l_name, mask, arg)     extern d_dbug_t flag;
#define D_LOG_INSTANTIATE_DB(flag, s_name, l_name, mask, arg) d_dbug_t flag;

#define _D_LOG_ALLOCATE_DBG_BIT(dbgbit, s_name, l_name, mask, rc)                                  \
	if ((rc) == 0 && d_log_dbg_bit_alloc(&dbgbit, (char *)#s_name, (char *)#l_name) < 0)       \
		rc = -DER_UNINIT;

#define _D_LOG_DEALLOCATE_DBG_BIT(dbgbit, s_name, l_name, mask, rc)                                \
	if ((rc) == 0 && d_log_dbg_bit_dealloc((char *)#s_name) < 0)                               \
		rc = -DER_UNINIT;

/** Give bits to every entry of a list such as D_FOREACH_GURT_DB; 0 or -DER_UNINIT. */
#define D_LOG_REGISTER_DB(db_foreach)                                                              \
	({                                                                                         \
		int __reg_rc = 0;                                                                  \
		db_foreach(_D_LOG_ALLOCATE_DBG_BIT, __reg_rc);                                     \
		__reg_rc;                                                                          \
	})

#define D_LOG_DEREGISTER_DB(db_foreach)                                                            \
	({                                                                                         \
		int __reg_rc = 0;                                                                  \
		db_foreach(_D_LOG_DEALLOCATE_DBG_BIT, __reg_rc);                                   \
		__reg_rc;                                                                          \
	})

#define D_LOG_DECLARE_FAC(s_name, l_name, user_dbg_bits)     extern int DD_FAC_DECL(s_name);
#define D_LOG_INSTANTIATE_FAC(s_name, l_name, user_dbg_bits) int DD_FAC_DECL(s_name);

#define _D_LOG_ALLOCATE_LOG_FACILITY(s_name, l_name, rc)                                           \
	if ((rc) == 0)                                                                             \
		rc = d_init_log_facility(&DD_FAC_DECL(s_name), #s_name, #l_name);

/** Register every facility of a list; 0 or -DER_UNINIT. */
#define D_LOG_REGISTER_FAC(fac_foreach)                                                            \
	({                                                                                         \
		int __reg_rc = 0;                                                                  \
		fac_foreach(_D_LOG_ALLOCATE_LOG_FACILITY, __reg_rc);                               \
		__reg_rc;                                                                          \
	})

#endif /* GURT_DEBUG_SETUP_H */
