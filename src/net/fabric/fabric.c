/* What is common to all networks, and which one a configuration means. */
#include <stdbool.h>
#include <string.h>

#include "net/fabric/fabric.h"
#include "net/fabric/fabric_internal.h"
#include "net/rpc/rpc.h"

/* The names under which the sites' files ask for plain TCP. */
static bool
is_tcp(const char *name)
{
	static const char *const names[] = {"tcp", "tcp;ofi_rxm", "sockets"};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

int
net_open_fabric(const struct net_conf *conf, struct net **ret_net)
{
	const char *name = conf->provider != NULL ? conf->provider : "tcp";

	if (strncmp(name, "ofi+", 4) == 0)
		name += 4;
	return is_tcp(name) ? net_open_tcp(conf, ret_net) : net_open_ofi(conf, name, ret_net);
}

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
