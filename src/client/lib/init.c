/*
 * daos_init() and its like: the process-wide client, its log, its life.
 *
 * Init makes a client and asks nobody: the agent is asked at the first call that needs the system.
 * In a child after fork() everything that holds connections is made anew when it is next used, so
 * daos_reinit() has only to drop what was inherited.
 */
#define LOG_FACILITY "client"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <daos.h>
#include <gurt/common.h>

#include "client/core/client.h"
#include "client/core/agent.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

/* Calls of daos_init() without their daos_fini(). The interface is process-wide, so this is too. */
static pthread_mutex_t init_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int init_nr;

/* --- log --- */

/* A line of ours in the application's log file, which is libgurt's. */
static void
log_to_gurt(void *ctx, const struct log_rec *rec)
{
	static const int prio[] = {
	    [LOG_LVL_NONE] = DLOG_DBG,  [LOG_LVL_CRIT] = DLOG_CRIT, [LOG_LVL_ERR] = DLOG_ERR,
	    [LOG_LVL_WARN] = DLOG_WARN, [LOG_LVL_NOTE] = DLOG_NOTE, [LOG_LVL_INFO] = DLOG_INFO,
	    [LOG_LVL_DEBUG] = DLOG_DBG,
	};
	int fac = d_log_allocfacility((char *)rec->facility, (char *)rec->facility);
	int flags = d_log_check((fac < 0 ? 0 : fac) | prio[rec->level]);

	if (flags != 0)
		d_log(flags, "%s:%d %s() %.*s\n", rec->file, rec->line, rec->func,
		      (int)rec->text_len, rec->text);
}

static void
log_setup(void)
{
	const char *mask = getenv("D_LOG_MASK");

	/* A mask that names facilities of other programs is not an error. */
	if (mask != NULL && mask[0] != '\0')
		(void)log_set_mask(mask);
	if (getenv("D_LOG_FILE") != NULL && d_log_init() == 0)
		log_set_sink(log_to_gurt, NULL);
}

/* --- init and fini --- */

static int
init_locked(void)
{
	struct client_conf conf = {0};
	struct client *client;
	int rc;

	log_setup();
	rc = client_create(&conf, &client);
	if (rc == 0)
		client_set_default(client);
	return rc;
}

int
daos_init(void)
{
	int rc = 0;

	pthread_mutex_lock(&init_lock);
	if (init_nr == 0)
		rc = init_locked();
	if (rc == 0)
		init_nr++;
	pthread_mutex_unlock(&init_lock);
	return rc;
}

int
daos_fini(void)
{
	int rc = 0;

	pthread_mutex_lock(&init_lock);
	if (init_nr == 0)
		rc = -DER_UNINIT;
	else if (--init_nr == 0)
		client_destroy(client_set_default(NULL));
	pthread_mutex_unlock(&init_lock);
	return rc;
}

int
daos_reinit(void)
{
	int rc;

	/* The lock may have been held by another thread when the parent forked. */
	pthread_mutex_init(&init_lock, NULL);
	client_destroy(client_set_default(NULL));
	rc = init_locked();
	init_nr = rc == 0 ? 1 : 0;
	return rc;
}

/* --- the system --- */

static int
sys_info_ranks(const Mgmt__AttachInfoRep *rep, struct daos_sys_info *info)
{
	size_t i;

	info->dsi_ranks = mem_calloc(rep->n_ranks + 1, sizeof(*info->dsi_ranks));
	info->dsi_ms_ranks = mem_calloc(rep->n_replica_ranks + 1, sizeof(*info->dsi_ms_ranks));
	if (info->dsi_ranks == NULL || info->dsi_ms_ranks == NULL)
		return -DER_NOMEM;
	for (i = 0; i < rep->n_ranks; i++) {
		info->dsi_ranks[i].dru_rank = rep->ranks[i]->rank;
		info->dsi_ranks[i].dru_uri = mem_strdup(rep->ranks[i]->uri);
		if (info->dsi_ranks[i].dru_uri == NULL)
			return -DER_NOMEM;
		info->dsi_nr_ranks++;
	}
	for (i = 0; i < rep->n_replica_ranks; i++)
		info->dsi_ms_ranks[i] = rep->replica_ranks[i];
	info->dsi_nr_ms_ranks = (uint32_t)rep->n_replica_ranks;
	return 0;
}

int
daos_mgmt_get_sys_info(const char *sys, struct daos_sys_info **ret_info)
{
	struct client *client = client_default();
	const Mgmt__AttachInfoRep *rep;
	struct daos_sys_info *info;
	int rc;

	if (client == NULL)
		return -DER_UNINIT;
	if (ret_info == NULL)
		return -DER_INVAL;
	rc = client_attach(client, sys);
	if (rc != 0)
		return rc;
	rep = client_attach_info(client);
	if (rep == NULL)
		return -DER_NOTATTACH;
	info = mem_new(struct daos_sys_info);
	if (info == NULL)
		return -DER_NOMEM;
	strncpy(info->dsi_system_name, rep->system, DAOS_SYS_INFO_STRING_MAX);
	strncpy(info->dsi_fabric_provider, rep->provider, DAOS_SYS_INFO_STRING_MAX);
	rc = agent_socket_path(info->dsi_agent_path, sizeof(info->dsi_agent_path));
	if (rc == 0)
		rc = sys_info_ranks(rep, info);
	if (rc != 0) {
		daos_mgmt_put_sys_info(info);
		return rc;
	}
	*ret_info = info;
	return 0;
}

void
daos_mgmt_put_sys_info(struct daos_sys_info *info)
{
	uint32_t i;

	if (info == NULL)
		return;
	for (i = 0; i < info->dsi_nr_ranks; i++)
		free(info->dsi_ranks[i].dru_uri);
	free(info->dsi_ranks);
	free(info->dsi_ms_ranks);
	free(info);
}
