/*
 * A whole system for tests of the client, in a few hundred lines and in memory: one rank with some
 * targets, one pool, containers, objects. It keeps no history and obeys injected faults. What it
 * answers follows proto/; how a real engine gets there is not its business.
 */
#ifndef CLIENT_FAKE_SYSTEM_H
#define CLIENT_FAKE_SYSTEM_H

#include <stdbool.h>
#include <stdint.h>

#include "net/rpc/rpc.h"

struct fake;

enum { FAKE_TARGET_MAX = 16 };

/* On the loop of xs, in a coroutine. port: of tag 0; the targets follow. */
int co_fn fake_open(struct xs *xs, struct net *net, uint16_t port, uint32_t target_nr,
		    struct fake **ret_fake);
void co_fn fake_close(struct fake *fake);
const char *fake_uri(const struct fake *fake);

/* The next nr requests of opc are answered with status; executed first if wanted. */
void fake_inject(struct fake *fake, uint32_t opc, int status, uint32_t nr, bool execute);
/* Requests of opc that arrived, injected ones included. */
uint32_t fake_count(const struct fake *fake, uint32_t opc);
/* Changes that came again under an identity already executed. */
uint32_t fake_repeated(const struct fake *fake);
/* Engines forget the capabilities they know; revoke: and refuse those given out until now. */
void fake_forget_caps(struct fake *fake, bool revoke);
/* A new map version; requests stamped with an older one are refused. */
void fake_new_map(struct fake *fake);
/* Requests for data wait until told to go on. */
void fake_hold(struct fake *fake, bool hold);

#endif
