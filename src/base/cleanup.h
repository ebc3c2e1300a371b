/*
 * Scoped cleanup. CLEANUP(fn) on a local variable calls fn(&variable) when the variable leaves its
 * scope, on every path. Modules give x_putp()/x_closep() functions that accept the address of a
 * pointer and do nothing for NULL.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* For any pointer from malloc: CLEANUP(freep) char *s = NULL; */
static inline void
freep(void *p)
{
	free(*(void **)p);
}

/* For file descriptors; negative means none. */
static inline void
close_fdp(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Hand a pointer over to somebody else: returns it and leaves NULL behind, so that its CLEANUP()
 * does nothing. */
#define steal_ptr(ptr)                                                                             \
	({                                                                                         \
		__typeof__(ptr) steal_tmp_ = (ptr);                                                \
		(ptr) = NULL;                                                                      \
		steal_tmp_;                                                                        \
	})

#endif
