/*
 * Stacks and the switch between them: see co_switch.h for what a switch does and does not save.
 *
 * x86-64: the six callee-saved registers of the System V ABI are pushed, the stack pointer is
 * exchanged, the six are popped and the return address is jumped to (not returned to: the
 * processor's return predictor would be wrong every time). aarch64: x19 to x30 and d8 to d15. A new
 * stack is laid out as if it had been switched away from, with the address of a stub to continue
 * at.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <daos_errno.h>

#include "runtime/co_switch.h"

#ifdef CO_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#ifdef CO_TSAN
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned int flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned int flags);
#endif
#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif

#ifdef CO_ASM
void co_switch_asm(void **save_sp, void *to_sp) __attribute__((visibility("hidden")));
void co_stub_asm(void) __attribute__((visibility("hidden")));
#endif

/* clang-format off */
#if defined(CO_ASM) && defined(__x86_64__)
__asm__(
	"	.text\n"
	"	.p2align 4\n"
	"	.globl	co_switch_asm\n"
	"	.hidden	co_switch_asm\n"
	"	.type	co_switch_asm, @function\n"
	"co_switch_asm:\n"
	"	.cfi_startproc\n"
	"	pushq	%rbp\n"
	"	pushq	%rbx\n"
	"	pushq	%r12\n"
	"	pushq	%r13\n"
	"	pushq	%r14\n"
	"	pushq	%r15\n"
	"	movq	%rsp, (%rdi)\n"
	"	movq	%rsi, %rsp\n"
	"	popq	%r15\n"
	"	popq	%r14\n"
	"	popq	%r13\n"
	"	popq	%r12\n"
	"	popq	%rbx\n"
	"	popq	%rbp\n"
	"	popq	%rcx\n"
	"	jmp	*%rcx\n"
	"	.cfi_endproc\n"
	"	.size	co_switch_asm, . - co_switch_asm\n"
	"\n"
	"	.globl	co_stub_asm\n"
	"	.hidden	co_stub_asm\n"
	"	.type	co_stub_asm, @function\n"
	"co_stub_asm:\n"
	"	.cfi_startproc\n"
	"	.cfi_undefined rip\n" /* where backtraces end */
	"	movq	%r12, %rdi\n"
	"	call	*%r13\n"
	"	ud2\n"
	"	.cfi_endproc\n"
	"	.size	co_stub_asm, . - co_stub_asm\n");
#elif defined(CO_ASM) && defined(__aarch64__)
__asm__(
	"	.text\n"
	"	.p2align 4\n"
	"	.globl	co_switch_asm\n"
	"	.hidden	co_switch_asm\n"
	"	.type	co_switch_asm, %function\n"
	"co_switch_asm:\n"
	"	sub	sp, sp, #160\n"
	"	stp	x19, x20, [sp, #0]\n"
	"	stp	x21, x22, [sp, #16]\n"
	"	stp	x23, x24, [sp, #32]\n"
	"	stp	x25, x26, [sp, #48]\n"
	"	stp	x27, x28, [sp, #64]\n"
	"	stp	x29, x30, [sp, #80]\n"
	"	stp	d8, d9, [sp, #96]\n"
	"	stp	d10, d11, [sp, #112]\n"
	"	stp	d12, d13, [sp, #128]\n"
	"	stp	d14, d15, [sp, #144]\n"
	"	mov	x9, sp\n"
	"	str	x9, [x0]\n"
	"	mov	sp, x1\n"
	"	ldp	x19, x20, [sp, #0]\n"
	"	ldp	x21, x22, [sp, #16]\n"
	"	ldp	x23, x24, [sp, #32]\n"
	"	ldp	x25, x26, [sp, #48]\n"
	"	ldp	x27, x28, [sp, #64]\n"
	"	ldp	x29, x30, [sp, #80]\n"
	"	ldp	d8, d9, [sp, #96]\n"
	"	ldp	d10, d11, [sp, #112]\n"
	"	ldp	d12, d13, [sp, #128]\n"
	"	ldp	d14, d15, [sp, #144]\n"
	"	add	sp, sp, #160\n"
	"	br	x30\n"
	"	.size	co_switch_asm, . - co_switch_asm\n"
	"\n"
	"	.globl	co_stub_asm\n"
	"	.hidden	co_stub_asm\n"
	"	.type	co_stub_asm, %function\n"
	"co_stub_asm:\n"
	"	.cfi_startproc\n"
	"	.cfi_undefined x30\n"
	"	mov	x0, x19\n"
	"	blr	x20\n"
	"	brk	#0\n"
	"	.cfi_endproc\n"
	"	.size	co_stub_asm, . - co_stub_asm\n");
#endif
/* clang-format on */

int
co_stack_map(struct co_stack *stack, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *map;

	size = (size + page - 1) & ~(page - 1);
	map = mmap(NULL, size + page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return -DER_NOMEM;
	if (mprotect(map, page, PROT_NONE) != 0) {
		munmap(map, size + page);
		return -DER_NOMEM;
	}
	stack->map = map;
	stack->map_size = size + page;
	stack->valgrind_id = 0;
#ifdef VALGRIND_STACK_REGISTER
	stack->valgrind_id = VALGRIND_STACK_REGISTER(map + page, map + page + size);
#endif
#ifdef CO_ASAN
	__lsan_register_root_region(map + page, size);
#endif
	return 0;
}

void
co_stack_unmap(struct co_stack *stack)
{
#ifdef VALGRIND_STACK_DEREGISTER
	VALGRIND_STACK_DEREGISTER(stack->valgrind_id);
#endif
#ifdef CO_ASAN
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	__lsan_unregister_root_region(stack->map + page, stack->map_size - page);
	__asan_unpoison_memory_region(stack->map + page, stack->map_size - page);
#endif
	munmap(stack->map, stack->map_size);
}

#ifndef CO_ASM
/* makecontext passes ints only. */
static void
uc_stub(unsigned int fn_hi, unsigned int fn_lo, unsigned int arg_hi, unsigned int arg_lo)
{
	void (*fn)(void *) = (void (*)(void *))(((uintptr_t)fn_hi << 32) | fn_lo);

	fn((void *)(((uintptr_t)arg_hi << 32) | arg_lo));
	abort();
}
#endif

void
co_ctx_make(struct co_ctx *ctx, const struct co_stack *stack, void *top, void (*fn)(void *arg),
	    void *arg)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *bottom = stack->map + page;

	(void)bottom;
	memset(ctx, 0, sizeof(*ctx));
#if defined(CO_ASM) && defined(__x86_64__)
	/* r15 r14 r13 r12 rbx rbp, then where to go; above it two words that end the chain */
	uint64_t *sp = (uint64_t *)top - 9;

	memset(sp, 0, 9 * sizeof(*sp));
	sp[2] = (uintptr_t)fn;
	sp[3] = (uintptr_t)arg;
	sp[6] = (uintptr_t)co_stub_asm;
	ctx->sp = sp;
#elif defined(CO_ASM)
	uint64_t *sp = (uint64_t *)top - 20;

	memset(sp, 0, 20 * sizeof(*sp));
	sp[0] = (uintptr_t)arg;
	sp[1] = (uintptr_t)fn;
	sp[11] = (uintptr_t)co_stub_asm; /* x30 */
	ctx->sp = sp;
#else
	getcontext(&ctx->uc);
	ctx->uc.uc_stack.ss_sp = bottom;
	ctx->uc.uc_stack.ss_size = (size_t)((uint8_t *)top - bottom);
	ctx->uc.uc_link = NULL;
	makecontext(&ctx->uc, (void (*)(void))uc_stub, 4, (unsigned int)((uintptr_t)fn >> 32),
		    (unsigned int)(uintptr_t)fn, (unsigned int)((uintptr_t)arg >> 32),
		    (unsigned int)(uintptr_t)arg);
#endif
#ifdef CO_ASAN
	ctx->stack_bottom = bottom;
	ctx->stack_size = (size_t)((uint8_t *)top - bottom);
#endif
#ifdef CO_TSAN
	ctx->fiber = __tsan_create_fiber(0);
#endif
}

void
co_ctx_fini(struct co_ctx *ctx)
{
#ifdef CO_TSAN
	if (ctx->fiber != NULL)
		__tsan_destroy_fiber(ctx->fiber);
	ctx->fiber = NULL;
#endif
}

void
co_ctx_thread(struct co_ctx *ctx)
{
#ifdef CO_TSAN
	ctx->fiber = __tsan_get_current_fiber();
#endif
}

__attribute__((no_sanitize_address)) void
co_ctx_entered(struct co_ctx *self, struct co_ctx *from)
{
#ifdef CO_ASAN
	__sanitizer_finish_switch_fiber(NULL, &from->stack_bottom, &from->stack_size);
#endif
}

#ifdef CO_SWITCH_SLOW
__attribute__((no_sanitize_address)) void
co_ctx_switch(struct co_ctx *from, struct co_ctx *to, int ends)
{
#ifdef CO_ASAN
	from->fake_stack = NULL;
	__sanitizer_start_switch_fiber(ends ? NULL : &from->fake_stack, to->stack_bottom,
				       to->stack_size);
#endif
#ifdef CO_TSAN
	__tsan_switch_to_fiber(to->fiber, 0);
#endif
#ifdef CO_ASM
	co_switch_asm(&from->sp, to->sp);
#else
	swapcontext(&from->uc, &to->uc);
#endif
#ifdef CO_ASAN
	/* What continued us is what we left for; if it is a thread's loop, its bounds may be new.
	 */
	__sanitizer_finish_switch_fiber(from->fake_stack, &to->stack_bottom, &to->stack_size);
#endif
}
#endif
