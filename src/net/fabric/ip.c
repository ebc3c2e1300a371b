/* IPv4 addresses, see ip.h. */
#define LOG_FACILITY "net"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <daos_errno.h>

#include "base/err.h"
#include "base/log.h"
#include "net/fabric/ip.h"

int
ip_of_interface(const char *name, struct in_addr *ret_ip)
{
	const struct ifaddrs *ifa;
	struct ifaddrs *all;
	bool found = false;
	bool lo;

	if (name != NULL && strchr(name, ',') != NULL) {
		log_err("one interface is used, not several: %s", name);
		return -DER_INVAL;
	}
	if (getifaddrs(&all) != 0)
		return err_from_errno(errno);
	for (ifa = all; ifa != NULL; ifa = ifa->ifa_next) {
		if (ifa->ifa_addr == NULL || ifa->ifa_addr->sa_family != AF_INET ||
		    (ifa->ifa_flags & IFF_UP) == 0)
			continue;
		lo = (ifa->ifa_flags & IFF_LOOPBACK) != 0;
		if (name != NULL ? strcmp(name, ifa->ifa_name) != 0 : found && lo)
			continue;
		*ret_ip = ((const struct sockaddr_in *)ifa->ifa_addr)->sin_addr;
		found = true;
		if (name != NULL || !lo)
			break;
	}
	freeifaddrs(all);
	if (found)
		return 0;
	log_err("no IPv4 address on interface %s", name != NULL ? name : "(any)");
	return -DER_NONEXIST;
}

int
ip_parse(const char *addr, struct sockaddr_in *ret_sin)
{
	const char *colon = strrchr(addr, ':');
	char ip[INET_ADDRSTRLEN];
	unsigned long port;
	char *end;

	if (colon == NULL || (size_t)(colon - addr) >= sizeof(ip) || colon[1] < '0' ||
	    colon[1] > '9')
		return -DER_INVAL;
	memcpy(ip, addr, (size_t)(colon - addr));
	ip[colon - addr] = 0;
	port = strtoul(colon + 1, &end, 10);
	if (*end != 0 || port == 0 || port > UINT16_MAX)
		return -DER_INVAL;
	memset(ret_sin, 0, sizeof(*ret_sin));
	ret_sin->sin_family = AF_INET;
	ret_sin->sin_port = htons((uint16_t)port);
	return inet_pton(AF_INET, ip, &ret_sin->sin_addr) == 1 ? 0 : -DER_INVAL;
}

int
ip_uri(const char *provider, const struct sockaddr_in *sin, char *buf, size_t size)
{
	char ip[INET_ADDRSTRLEN];
	int n;

	inet_ntop(AF_INET, &sin->sin_addr, ip, sizeof(ip));
	n = snprintf(buf, size, "ofi+%s://%s:%u", provider, ip, ntohs(sin->sin_port));
	return n > 0 && (size_t)n < size ? 0 : -DER_OVERFLOW;
}

bool
ip_same(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
	return a->sin_addr.s_addr == b->sin_addr.s_addr && a->sin_port == b->sin_port;
}

int
ip_probe(const struct sockaddr_in *sin, int *fd)
{
	socklen_t len = sizeof(int);
	struct pollfd pfd;
	int err = 0;

	if (*fd < 0) {
		*fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (*fd < 0)
			return 0;
		if (connect(*fd, (const struct sockaddr *)sin, sizeof(*sin)) != 0)
			err = errno;
		if (err == EINPROGRESS)
			return -DER_AGAIN;
	} else {
		pfd = (struct pollfd){.fd = *fd, .events = POLLOUT};
		if (poll(&pfd, 1, 0) == 0)
			return -DER_AGAIN;
		(void)getsockopt(*fd, SOL_SOCKET, SO_ERROR, &err, &len);
	}
	close(*fd);
	*fd = -1;
	return err == ECONNREFUSED ? -DER_UNREACH : 0;
}
