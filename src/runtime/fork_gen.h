/*
 * Fork generation: how many forks lie between this process and the program's start. Descriptors,
 * rings and epoll sets survive a fork as shared kernel objects, so a child that uses or orderly
 * closes what its parent opened would disturb the parent. Whoever owns such a thing remembers the
 * generation of its creation and, when it differs, drops its own memory and descriptors without any
 * further call on them.
 */
#ifndef RUNTIME_FORK_GEN_H
#define RUNTIME_FORK_GEN_H

#include <stdint.h>

/* Changes in the child of every fork(); never 0. Cheap, thread-safe. (vfork and posix_spawn
 * children never see it.) */
uint32_t fork_gen(void);

#endif
