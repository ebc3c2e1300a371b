/*
 * Allocation with faults by count. In production these are calloc and friends; a test arms
 * mem_fail_at(n) and the n-th allocation from then on fails, so that each error path can be made to
 * run once. Release with free().
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed. NULL when there is no memory, when nr * size overflows, or when a fault was asked for. */
void *mem_calloc(size_t nr, size_t size) __attribute__((malloc, warn_unused_result));
/* Not zeroed. */
void *mem_alloc(size_t size) __attribute__((malloc, warn_unused_result));
/* Not zeroed; align: a power of two, at least that of a pointer. */
void *mem_aligned(size_t align, size_t size) __attribute__((malloc, warn_unused_result));
/* NULL leaves p as it was. */
void *mem_realloc(void *p, size_t nr, size_t size) __attribute__((warn_unused_result));
void *mem_dup(const void *src, size_t len) __attribute__((warn_unused_result));
char *mem_strdup(const char *s) __attribute__((malloc, warn_unused_result));
char *mem_strndup(const char *s, size_t len) __attribute__((malloc, warn_unused_result));
/* NULL when there is no memory. */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2), warn_unused_result));

#define mem_new(type) ((type *)mem_calloc(1, sizeof(type)))

/* The nth allocation from now (1 = the next) fails, once; 0 disarms. For tests; process-wide. */
void mem_fail_at(uint64_t nth);
/* Whether an armed fault has happened. */
bool mem_fail_fired(void);

#endif
