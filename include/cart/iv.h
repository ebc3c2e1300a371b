/*
 * Incast variables: internal to the engine and the client libraries, so nothing is declared here
 * but the types.
 */
#ifndef CART_IV_H
#define CART_IV_H

#include <cart/types.h>

#endif /* CART_IV_H */
