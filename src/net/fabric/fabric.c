/* What is common to all networks. */
#include "net/fabric/fabric.h"
#include "net/rpc/rpc.h"

void
net_close(struct net *net)
{
	if (net != NULL)
		net->ops->close(net);
}

const char *
net_provider(const struct net *net)
{
	return net->provider;
}
