/*
 * Membership by gossip: internal to the engine and the client libraries, so nothing is declared
 * here but the types.
 */
#ifndef CART_SWIM_H
#define CART_SWIM_H

#include <cart/types.h>

#endif /* CART_SWIM_H */
