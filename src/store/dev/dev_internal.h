/* Shared by the kinds of devices. */
#ifndef STORE_DEV_INTERNAL_H
#define STORE_DEV_INTERNAL_H

#include "store/dev/dev.h"

/* Whether name follows the rules of dev_dir. */
bool dev_name_ok(const char *name);

#endif
