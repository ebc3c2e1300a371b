/* IPv4 addresses: of interfaces, and as the text that endpoints are known by ("10.0.0.1:31416"). */
#ifndef NET_FABRIC_IP_H
#define NET_FABRIC_IP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

/* The address of an interface; without a name that of the first one that is up, preferring any to
 * loopback. -DER_NONEXIST if there is none. */
int ip_of_interface(const char *name, struct in_addr *ret_ip);

/* -DER_INVAL unless addr is a dotted address, a colon and a port other than zero. */
int ip_parse(const char *addr, struct sockaddr_in *ret_sin);
/* "ofi+PROVIDER://IP:PORT". */
int ip_uri(const char *provider, const struct sockaddr_in *sin, char *buf, size_t size);

bool ip_same(const struct sockaddr_in *a, const struct sockaddr_in *b);

/*
 * Try to connect to a listening port, only to see whether it is there: 0 it is, or nothing can be
 * said; -DER_UNREACH refused; -DER_AGAIN not known yet, call again. *fd is the attempt under way,
 * -1 when there is none (and before the first call).
 */
int ip_probe(const struct sockaddr_in *sin, int *fd);

#endif
