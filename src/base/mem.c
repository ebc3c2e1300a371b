/* Allocation with faults by count. Unarmed it costs one load and one branch. */
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Allocations until the fault; 0 = none asked for. */
static _Atomic uint64_t fail_in;
static _Atomic bool fired;

void
mem_fail_at(uint64_t nth)
{
	atomic_store(&fired, false);
	atomic_store(&fail_in, nth);
}

bool
mem_fail_fired(void)
{
	return atomic_load(&fired);
}

static bool
fail_now(void)
{
	uint64_t left = atomic_load_explicit(&fail_in, memory_order_relaxed);

	while (left > 0) {
		if (!atomic_compare_exchange_weak(&fail_in, &left, left - 1))
			continue;
		if (left > 1)
			return false;
		atomic_store(&fired, true);
		errno = ENOMEM;
		return true;
	}
	return false;
}

void *
mem_calloc(size_t nr, size_t size)
{
	size_t total;

	/* checked here, since sanitizers' calloc ends the program */
	if (__builtin_mul_overflow(nr, size, &total) || fail_now())
		return NULL;
	return calloc(nr, size);
}

void *
mem_alloc(size_t size)
{
	return fail_now() ? NULL : malloc(size);
}

void *
mem_aligned(size_t align, size_t size)
{
	void *p;

	return fail_now() || posix_memalign(&p, align, size) != 0 ? NULL : p;
}

void *
mem_realloc(void *p, size_t nr, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(nr, size, &total) || fail_now())
		return NULL;
	return realloc(p, total);
}

void *
mem_dup(const void *src, size_t len)
{
	void *p = mem_alloc(len != 0 ? len : 1);

	if (p != NULL && len != 0)
		memcpy(p, src, len);
	return p;
}

char *
mem_strdup(const char *s)
{
	return fail_now() ? NULL : strdup(s);
}

char *
mem_strndup(const char *s, size_t len)
{
	return fail_now() ? NULL : strndup(s, len);
}

char *
mem_printf(const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	if (fail_now())
		return NULL;
	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : s;
}
