/* A position in the log and what to do once it is durable. Used by the heap's interface too. */
#ifndef STORE_WAL_DURABLE_H
#define STORE_WAL_DURABLE_H

#include <stdint.h>

#include "base/list.h"

struct durable_cb {
	struct list link;
	uint64_t lsn;
	/* rc 0: durable; otherwise it never will be, or not as far as one can know. Must not yield.
	 */
	void (*fn)(struct durable_cb *cb, int rc);
};

#endif
