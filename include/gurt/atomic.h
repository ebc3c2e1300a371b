/*
 * Short names over C11 atomics. In C++ the types are plain, so that structs with atomic members
 * keep their layout, and the operations are not available.
 */
#ifndef GURT_ATOMIC_H
#define GURT_ATOMIC_H

#ifdef __cplusplus
#define ATOMIC
#else
#include <stdatomic.h>
#define ATOMIC _Atomic
#endif

/** Weak compare-and-swap without ordering; on failure oldvalue (an lvalue) is reloaded. */
#define atomic_compare_exchange(ptr, oldvalue, newvalue)                                           \
	atomic_compare_exchange_weak_explicit((ptr), &(oldvalue), (newvalue),                      \
					      memory_order_relaxed, memory_order_relaxed)

#define atomic_store_release(ptr, value) atomic_store_explicit((ptr), (value), memory_order_release)
#define atomic_store_relaxed(ptr, value) atomic_store_explicit((ptr), (value), memory_order_relaxed)
#define atomic_load_relaxed(ptr)         atomic_load_explicit((ptr), memory_order_relaxed)
#define atomic_fetch_sub_relaxed(ptr, value)                                                       \
	atomic_fetch_sub_explicit((ptr), (value), memory_order_relaxed)
#define atomic_fetch_add_relaxed(ptr, value)                                                       \
	atomic_fetch_add_explicit((ptr), (value), memory_order_relaxed)

#endif /* GURT_ATOMIC_H */
