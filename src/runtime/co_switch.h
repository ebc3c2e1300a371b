/*
 * Stacks and the switch between them, private to the runtime.
 *
 * A switch saves the callee-saved registers on the old stack, stores the stack pointer and loads
 * the new one; everything else the compiler has saved already, since to it this is a function call.
 * The floating-point control registers are not part of it: nobody in this project changes them.
 * Where there is no assembly for the processor, or with CO_FORCE_UCONTEXT defined, ucontext does
 * the same (50 to 100 times slower, two system calls a switch).
 *
 * Under AddressSanitizer and ThreadSanitizer each switch is announced; under valgrind each stack.
 */
#ifndef RUNTIME_CO_SWITCH_H
#define RUNTIME_CO_SWITCH_H

#include <stddef.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__)
#define CO_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CO_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define CO_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CO_TSAN 1
#endif
#endif

#if (defined(__x86_64__) || defined(__aarch64__)) && !defined(CO_FORCE_UCONTEXT)
#define CO_ASM 1
#else
#include <ucontext.h>
#endif

/* One flow of control: a thread's own (the loop) or a coroutine's. */
struct co_ctx {
#ifdef CO_ASM
	void *sp; /* valid while switched away */
#else
	ucontext_t uc;
#endif
#ifdef CO_ASAN
	const void *stack_bottom; /* of a thread: learned at the first switch away */
	size_t stack_size;
	void *fake_stack;
#endif
#ifdef CO_TSAN
	void *fiber;
#endif
};

/* A mapping with a guard page at its low end. */
struct co_stack {
	uint8_t *map;
	size_t map_size;
	unsigned int valgrind_id;
};

/* Map a stack of size usable bytes (whole pages); 0 or -DER_NOMEM. */
int co_stack_map(struct co_stack *stack, size_t size);
void co_stack_unmap(struct co_stack *stack);

/*
 * Prepare ctx so that the first switch to it calls fn(arg) on the stack below top (16-byte
 * aligned). fn must not return.
 */
void co_ctx_make(struct co_ctx *ctx, const struct co_stack *stack, void *top, void (*fn)(void *arg),
		 void *arg);
/* Release what the sanitizers keep; the context is not running. */
void co_ctx_fini(struct co_ctx *ctx);

/* Called on the thread before it switches to a coroutine: note what the sanitizers need of it. */
void co_ctx_thread(struct co_ctx *ctx);

/*
 * Leave from and continue to; returns when somebody switches back to from. ends: from has nothing
 * live on its stack any more and will next be continued as if new (sanitizers drop its shadow).
 */
#if defined(CO_ASM) && !defined(CO_ASAN) && !defined(CO_TSAN)
void co_switch_asm(void **save_sp, void *to_sp) __attribute__((visibility("hidden")));

static inline void
co_ctx_switch(struct co_ctx *from, struct co_ctx *to, int ends)
{
	co_switch_asm(&from->sp, to->sp);
}
#else
#define CO_SWITCH_SLOW 1
void co_ctx_switch(struct co_ctx *from, struct co_ctx *to, int ends);
#endif

/* What a coroutine does first when continued by its very first switch. */
void co_ctx_entered(struct co_ctx *self, struct co_ctx *from);

#endif
