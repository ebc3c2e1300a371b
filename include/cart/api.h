/*
 * RPCs: internal to the engine and the client libraries, so nothing is declared here but the types.
 */
#ifndef CART_API_H
#define CART_API_H

#include <cart/types.h>

#endif /* CART_API_H */
