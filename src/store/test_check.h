/* What tests check inside coroutines. */
#ifndef STORE_TEST_CHECK_H
#define STORE_TEST_CHECK_H

#include <stdio.h>

#include <daos_errno.h>

/* Inside coroutines: a failed assertion must not jump across stacks, so report and return. */
#define check(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #cond);       \
			return -DER_MISC;                                                          \
		}                                                                                  \
	} while (0)
#define check_rc(expr, want)                                                                       \
	do {                                                                                       \
		int check_rc_ = (expr);                                                            \
		if (check_rc_ != (want)) {                                                         \
			fprintf(stderr, "%s:%d: %s gives %d, expected %d\n", __FILE__, __LINE__,   \
				#expr, check_rc_, (want));                                         \
			return -DER_MISC;                                                          \
		}                                                                                  \
	} while (0)

#endif
