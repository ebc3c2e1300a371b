/* Between the implementations of the fabric and net_open_fabric(). */
#ifndef NET_FABRIC_INTERNAL_H
#define NET_FABRIC_INTERNAL_H

struct net;
struct net_conf;

int net_open_tcp(const struct net_conf *conf, struct net **ret_net);
/* provider: the name libfabric knows it by. */
int net_open_ofi(const struct net_conf *conf, const char *provider, struct net **ret_net);

#endif
