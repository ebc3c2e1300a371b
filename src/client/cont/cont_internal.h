/* Between the files of client/pool and client/cont. */
#ifndef CLIENT_CONT_INTERNAL_H
#define CLIENT_CONT_INTERNAL_H

#include <daos_types.h>

#include "proto/mgmt.pb-c.h"
#include "proto/mgmt_defs.h"

void cont_info_from_msg(const Mgmt__ContInfo *msg, daos_cont_info_t *info);

#endif
