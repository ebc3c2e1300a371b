/* What daemons need of their host: directories, and telling the service manager that they are
 * ready. */
#ifndef CLIENT_CONTROL_HOST_H
#define CLIENT_CONTROL_HOST_H

#include <sys/types.h>

/* Create a directory with its parents (those with 0755, the last one with mode); 0 (also when it
 * exists) or -errno. */
int host_dir_make(const char *path, mode_t mode);

/* Tell a service manager that listens on $NOTIFY_SOCKET (systemd) that we are ready. */
void host_notify_ready(void);

#endif
