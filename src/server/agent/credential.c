/* Who a client is: names of the user and groups the kernel says are at the other end of the socket.
 */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <daos_errno.h>

#include "proto/mgmt.pb-c.h"
#include "server/agent/agent.h"

/* "name@", or the number when nobody knows a name for it. */
static char *
user_text(uid_t uid, char name[256])
{
	struct passwd pw, *res = NULL;
	char buf[4096];
	char *text = NULL;

	snprintf(name, 256, "%u", uid);
	if (getpwuid_r(uid, &pw, buf, sizeof(buf), &res) == 0 && res != NULL)
		snprintf(name, 256, "%s", res->pw_name);
	if (asprintf(&text, "%s@", name) < 0)
		return NULL;
	return text;
}

static char *
group_text(gid_t gid)
{
	struct group gr, *res = NULL;
	char buf[65536];
	char *text = NULL;
	int rc;

	if (getgrgid_r(gid, &gr, buf, sizeof(buf), &res) == 0 && res != NULL)
		rc = asprintf(&text, "%s@", res->gr_name);
	else
		rc = asprintf(&text, "%u@", gid);
	return rc < 0 ? NULL : text;
}

int
agent_credential_pack(uid_t uid, gid_t gid, uint8_t **ret_buf, size_t *ret_len)
{
	Mgmt__Credential cred = MGMT__CREDENTIAL__INIT;
	gid_t gids[AGENT_GROUP_MAX];
	char *groups[AGENT_GROUP_MAX];
	char user[256], host[256] = "";
	int gid_nr = AGENT_GROUP_MAX;
	int rc = -DER_NOMEM;
	int i;

	cred.user = user_text(uid, user);
	cred.group = group_text(gid);
	/* more groups than fit: the first ones count */
	if (getgrouplist(user, gid, gids, &gid_nr) < 0)
		gid_nr = gid_nr < AGENT_GROUP_MAX ? gid_nr : AGENT_GROUP_MAX;
	for (i = 0; i < gid_nr; i++) {
		groups[i] = group_text(gids[i]);
		if (groups[i] == NULL)
			break;
	}
	cred.groups = groups;
	cred.n_groups = i;
	gethostname(host, sizeof(host) - 1);
	cred.machine = host;
	cred.made_s = time(NULL);
	cred.uid = uid;
	cred.gid = gid;
	if (cred.user != NULL && cred.group != NULL && i == gid_nr) {
		*ret_len = mgmt__credential__get_packed_size(&cred);
		*ret_buf = malloc(*ret_len);
		if (*ret_buf != NULL) {
			mgmt__credential__pack(&cred, *ret_buf);
			rc = 0;
		}
	}
	while (i > 0)
		free(groups[--i]);
	free(cred.user);
	free(cred.group);
	return rc;
}
