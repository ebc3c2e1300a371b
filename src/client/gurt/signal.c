/*
 * Stack traces on fatal signals.
 *
 * d_signal_register() installs handlers that write the signal and a backtrace to standard error and
 * then let the default action happen (a core file stays possible). Off with
 * DAOS_SIGNAL_REGISTER=0 or d_signal_stack_enable(false).
 */
#include <execinfo.h>
#include <signal.h>

#include <gurt/common.h>
#include <gurt/atomic.h>

#define FRAMES_MAX 64

static ATOMIC bool stack_enabled = true;

static const int fatal_signals[] = {SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV};

/* Only async-signal-safe calls from here on. backtrace() is one once libgcc is loaded, see below.
 */
static void
on_fatal(int signo, siginfo_t *info, void *context)
{
	static const char msg[] = "*** fatal signal, stack trace follows ***\n";
	void *frames[FRAMES_MAX];
	int nr;

	if (atomic_load(&stack_enabled)) {
		if (write(STDERR_FILENO, msg, sizeof(msg) - 1) < 0)
			_exit(128 + signo);
		nr = backtrace(frames, FRAMES_MAX);
		backtrace_symbols_fd(frames, nr, STDERR_FILENO);
	}
	/* SA_RESETHAND restored the default action: raise it again and die of it. */
	raise(signo);
}

void
d_signal_stack_enable(bool enabled)
{
	atomic_store(&stack_enabled, enabled);
}

void
d_signal_register(void)
{
	struct sigaction act = {.sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_RESETHAND};
	struct sigaction old;
	bool wanted = true;
	void *frame;
	size_t i;

	d_getenv_bool("DAOS_SIGNAL_REGISTER", &wanted);
	if (!wanted)
		return;
	/* The first call loads libgcc, which allocates: do it here and not in the handler. */
	backtrace(&frame, 1);
	sigemptyset(&act.sa_mask);
	for (i = 0; i < ARRAY_SIZE(fatal_signals); i++) {
		/* A program's own handler stays. */
		if (sigaction(fatal_signals[i], NULL, &old) != 0 || old.sa_handler != SIG_DFL)
			continue;
		sigaction(fatal_signals[i], &act, NULL);
	}
}
