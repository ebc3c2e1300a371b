/*
 * Kept so that programs which include it compile: there is no profiling interface here. Use perf
 * and the metrics instead.
 */
#ifndef DAOS_PROFILE_H
#define DAOS_PROFILE_H

#include <daos_errno.h>
#include <daos/debug.h>
#include <daos_types.h>

#endif /* DAOS_PROFILE_H */
