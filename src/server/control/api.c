/*
 * The management API (see api.h). libmicrohttpd gives each connection a thread; a method is a row
 * of the table: a function from a JSON request to a JSON response. Most of them ask the management
 * service through a session; what concerns this server alone (its processes, its storage
 * directories) is answered from the supervisor.
 */
#define LOG_FACILITY "control"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>
#include <jansson.h>
#include <microhttpd.h>
#include <uuid/uuid.h>

#include <daos_errno.h>
#include <daos_prop.h>

#include "base/err.h"
#include "base/hlc.h"
#include "base/log.h"
#include "net/rpc/rpc.h"
#include "proto/mgmt.pb-c.h"
#include "proto/mgmt_defs.h"
#include "proto/opcodes.h"
#include "server/control/api.h"
#include "server/control/session.h"
#include "server/control/smd.h"

enum {
	REQUEST_MAX = 1 << 20, /* bytes of a request */
	CONNECTION_MAX = 128,
	MS_QUERY_MS = 5000,
	MS_SHORT_MS = 1500, /* where there is another source of the answer */
	MS_CHANGE_MS = 120000,
};

struct api {
	struct api_conf c;
	struct MHD_Daemon *daemon;
};

/* One request on its way through a method. */
struct call {
	struct api *api;
	json_t *req;
	json_t *response; /* result */
	char error[512];  /* result: one line when the method failed */
};

static int __attribute__((format(printf, 3, 4)))
fail(struct call *call, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(call->error, sizeof(call->error), fmt, ap);
	va_end(ap);
	return rc;
}

/* "what: DER_NAME(-number): text" */
static int
fail_der(struct call *call, int rc, const char *what)
{
	return fail(call, rc, "%s: %s(%d): %s", what, err_name(rc), rc, err_text(rc));
}

static int
call_session(struct call *call, struct session **ret_s)
{
	struct api *api = call->api;
	const char *uris[SERVER_ENGINE_MAX + 64];
	struct sup_engine engines[SERVER_ENGINE_MAX];
	uint32_t nr = 0;
	uint32_t i;
	int rc;

	for (i = 0; i < sup_engine_nr(api->c.sup); i++) {
		sup_snapshot(api->c.sup, i, &engines[i]);
		if (engines[i].uri[0] != '\0' && engines[i].pid != 0)
			uris[nr++] = engines[i].uri;
	}
	for (i = 0; i < api->c.ms_uri_nr && i < 64; i++)
		uris[nr++] = api->c.ms_uris[i];
	if (nr == 0)
		return fail(call, -DER_UNREACH, "no rank of the system is running");
	rc = session_open(api->c.net, uris, nr, ret_s);
	if (rc != 0)
		return fail_der(call, rc, "cannot reach the management service");
	return 0;
}

/* One question to the management service. */
static int
ms_ask(struct call *call, uint32_t opc, const ProtobufCMessage *req,
       const ProtobufCMessageDescriptor *desc, ProtobufCMessage **ret_rep, uint32_t timeout_ms)
{
	struct session *s = NULL;
	int rc = call_session(call, &s);

	if (rc != 0)
		return rc;
	rc = session_call(s, opc, req, desc, ret_rep, timeout_ms);
	session_close(s);
	return rc;
}

static void
uuid_text(const ProtobufCBinaryData *b, char text[37])
{
	uuid_t uuid = {0};

	if (b->len == sizeof(uuid_t))
		memcpy(uuid, b->data, sizeof(uuid_t));
	uuid_unparse_lower(uuid, text);
}

static json_t *
ranks_json(const uint32_t *ranks, size_t nr)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < nr; i++)
		json_array_append_new(a, json_integer(ranks[i]));
	return a;
}

static const char *
str_of(const struct call *call, const char *key)
{
	const char *s = json_string_value(json_object_get(call->req, key));

	return s == NULL ? "" : s;
}

static uint64_t
u64_of(const struct call *call, const char *key)
{
	return json_integer_value(json_object_get(call->req, key));
}

static bool
bool_of(const struct call *call, const char *key)
{
	return json_is_true(json_object_get(call->req, key));
}

/* Integer array of the request; malloced, NULL with *ret_nr 0 when absent. */
static uint32_t *
ranks_of(const struct call *call, const char *key, size_t *ret_nr)
{
	json_t *a = json_object_get(call->req, key);
	size_t nr = json_array_size(a);
	uint32_t *v = nr == 0 ? NULL : malloc(nr * sizeof(*v));
	size_t i;

	*ret_nr = v == NULL ? 0 : nr;
	for (i = 0; i < *ret_nr; i++)
		v[i] = json_integer_value(json_array_get(a, i));
	return v;
}

/* --- system
 * ---------------------------------------------------------------------------------------- */

static const char *
state_name(uint32_t state)
{
	static const char *const names[] = {
	    [SYS_ST_UNKNOWN] = "unknown",
	    [SYS_ST_AWAIT_FORMAT] = "awaitformat",
	    [SYS_ST_STARTING] = "starting",
	    [SYS_ST_READY] = "ready",
	    [SYS_ST_JOINED] = "joined",
	    [SYS_ST_STOPPING] = "stopping",
	    [SYS_ST_STOPPED] = "stopped",
	    [SYS_ST_EXCLUDED] = "excluded",
	    [SYS_ST_ERRORED] = "errored",
	    [SYS_ST_UNRESPONSIVE] = "unresponsive",
	    [SYS_ST_ADMIN_EXCLUDED] = "adminexcluded",
	};

	return state < sizeof(names) / sizeof(names[0]) && names[state] != NULL ? names[state]
										: "unknown";
}

static json_t *
member_json(uint32_t rank, const char *uuid, const char *addr, const char *domain,
	    const char *state, const char *uri, uint32_t contexts, uint64_t incarnation,
	    const char *info)
{
	struct timespec now;
	struct tm tm;
	char when[64], full[96];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(full, sizeof(full), "%s.%09ldZ", when, now.tv_nsec);
	return json_pack("{s:s,s:s,s:s,s:I,s:I,s:s,s:s,s:n,s:I,s:n,s:s,s:s}", "addr", addr, "state",
			 state, "fault_domain", domain, "rank", (json_int_t)rank, "incarnation",
			 (json_int_t)incarnation, "uuid", uuid, "fabric_uri", uri,
			 "secondary_fabric_uris", "fabric_contexts", (json_int_t)contexts,
			 "secondary_fabric_contexts", "info", info, "last_update", full);
}

/* What the supervisor knows, for when the whole system is down. */
static json_t *
members_local(struct call *call)
{
	struct api *api = call->api;
	json_t *members = json_array();
	uint32_t i;

	for (i = 0; i < sup_engine_nr(api->c.sup); i++) {
		struct sup_engine e;

		sup_snapshot(api->c.sup, i, &e);
		if (e.rank == MGMT_RANK_NONE && e.state != SYS_ST_AWAIT_FORMAT &&
		    e.state != SYS_ST_ERRORED)
			continue;
		json_array_append_new(
		    members, member_json(e.rank == MGMT_RANK_NONE ? i : e.rank,
					 "00000000-0000-0000-0000-000000000000",
					 api->c.control_addr, api->c.conf->engines[i].domain,
					 state_name(e.state), e.uri, 0, 0, e.error));
	}
	return members;
}

static json_t *
members_ms(const Mgmt__SystemQueryRep *rep)
{
	json_t *members = json_array();
	size_t i;

	for (i = 0; i < rep->n_ranks; i++) {
		const Mgmt__Rank *r = rep->ranks[i];
		char uuid[37];

		uuid_text(&r->uuid, uuid);
		json_array_append_new(members,
				      member_json(r->rank, uuid, r->control_addr, r->fault_domain,
						  state_name(r->state), r->uri, r->target_nr + 1,
						  r->incarnation, ""));
	}
	return members;
}

static int
do_system_query(struct call *call)
{
	Mgmt__SystemQueryReq req = MGMT__SYSTEM_QUERY_REQ__INIT;
	Mgmt__SystemQueryRep *rep = NULL;
	json_t *members;
	json_t *replicas = json_array();
	uint32_t leader = MGMT_RANK_NONE;
	size_t i;
	int rc;

	req.ranks = (char *)str_of(call, "ranks");
	rc = ms_ask(call, OPC_MS_SYSTEM_QUERY, &req.base, &mgmt__system_query_rep__descriptor,
		    (ProtobufCMessage **)&rep, MS_SHORT_MS);
	if (rc == -DER_INVAL) {
		json_decref(replicas);
		return fail(call, rc, "'%s' is not a list of ranks", req.ranks);
	}
	if (rc == 0) {
		members = members_ms(rep);
		leader = rep->leader_rank;
		for (i = 0; i < rep->n_replica_ranks; i++)
			json_array_append_new(replicas, json_integer(rep->replica_ranks[i]));
		mgmt__system_query_rep__free_unpacked(rep, NULL);
	} else {
		members = members_local(call);
	}
	call->response = json_pack(
	    "{s:o,s:[s],s:s,s:o,s:I,s:b}", "members", members, "providers",
	    call->api->c.net == NULL ? "" : net_provider(call->api->c.net), "sys_self_heal_policy",
	    "exclude;pool_exclude;pool_rebuild", "replicas", replicas, "leader",
	    leader == MGMT_RANK_NONE ? (json_int_t)-1 : (json_int_t)leader, "service_up", rc == 0);
	return 0;
}

static json_t *
stop_results(struct call *call, const char *action, const uint32_t *ranks, size_t nr)
{
	json_t *results = json_array();
	uint32_t i;
	size_t j;

	for (i = 0; i < sup_engine_nr(call->api->c.sup); i++) {
		struct sup_engine e;

		sup_snapshot(call->api->c.sup, i, &e);
		for (j = 0; j < nr && ranks[j] != e.rank; j++)
			;
		if (e.rank == MGMT_RANK_NONE || (nr != 0 && j == nr))
			continue;
		json_array_append_new(results,
				      json_pack("{s:s,s:I,s:s,s:b,s:s,s:s}", "addr",
						call->api->c.control_addr, "rank",
						(json_int_t)e.rank, "action", action, "errored", 0,
						"msg", "", "state", state_name(e.state)));
	}
	return results;
}

/* Wait until the engines of this server that were asked have ended (or run), at most so long. */
static void
wait_states(struct call *call, const uint32_t *ranks, size_t nr, bool running)
{
	uint32_t tries, i;
	size_t j;

	for (tries = 0; tries < 600; tries++) {
		bool all = true;

		for (i = 0; i < sup_engine_nr(call->api->c.sup); i++) {
			struct sup_engine e;

			sup_snapshot(call->api->c.sup, i, &e);
			for (j = 0; j < nr && ranks[j] != e.rank; j++)
				;
			if (nr != 0 && j == nr)
				continue;
			all = all && (running ? e.state == SYS_ST_JOINED : e.pid == 0);
		}
		if (all)
			return;
		usleep(50000);
	}
}

static int
do_system_stop(struct call *call)
{
	Mgmt__SystemStopReq req = MGMT__SYSTEM_STOP_REQ__INIT;
	uint32_t *ranks;
	size_t nr;
	int rc;

	ranks = ranks_of(call, "ranks", &nr);
	req.ranks = ranks;
	req.n_ranks = nr;
	req.force = bool_of(call, "force");
	rc = ms_ask(call, OPC_MS_SYSTEM_STOP, &req.base, NULL, NULL, MS_CHANGE_MS);
	if (rc == -DER_NONEXIST)
		rc = fail(call, rc, "a rank in the list is not a member of the system");
	else if (rc != 0 && call->error[0] == '\0')
		rc = fail_der(call, rc, "system stop failed");
	if (rc == 0) {
		wait_states(call, ranks, nr, false);
		call->response =
		    json_pack("{s:o}", "results", stop_results(call, "stop", ranks, nr));
	}
	free(ranks);
	return rc;
}

static int
do_system_start(struct call *call)
{
	uint32_t *ranks;
	size_t nr;

	ranks = ranks_of(call, "ranks", &nr);
	if (sup_start_ranks(call->api->c.sup, ranks, nr) > 0)
		wait_states(call, ranks, nr, true);
	call->response = json_pack("{s:o}", "results", stop_results(call, "start", ranks, nr));
	free(ranks);
	return 0;
}

static int
do_storage_format(struct call *call)
{
	uint32_t nr = sup_format(call->api->c.sup);

	if (nr == 0)
		return fail(call, -DER_ALREADY, "storage format invoked on a running system");
	wait_states(call, NULL, 0, true);
	call->response =
	    json_pack("{s:s,s:I}", "host", call->api->c.control_addr, "engines", (json_int_t)nr);
	return 0;
}

/* Capacity of one tier of one engine: what is configured, else what the file system has; free: what
 * pools left of it. */
static json_t *
tier_json(const char *dir, uint64_t configured, uint32_t rank)
{
	struct statvfs vfs;
	uint64_t total = configured, avail = 0;

	if (dir != NULL && statvfs(dir, &vfs) == 0) {
		if (total == 0)
			total = (uint64_t)vfs.f_blocks * vfs.f_frsize;
		avail = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	}
	return json_pack("{s:s,s:I,s:I,s:I}", "path", dir == NULL ? "" : dir, "rank",
			 rank == MGMT_RANK_NONE ? (json_int_t)-1 : (json_int_t)rank, "total_bytes",
			 (json_int_t)total, "avail_bytes",
			 (json_int_t)(avail < total ? avail : total));
}

static int
do_storage_usage(struct call *call)
{
	struct api *api = call->api;
	Mgmt__SystemQueryReq req = MGMT__SYSTEM_QUERY_REQ__INIT;
	Mgmt__SystemQueryRep *rep = NULL;
	json_t *engines = json_array();
	uint32_t i;
	size_t r;

	req.ranks = "";
	if (ms_ask(call, OPC_MS_SYSTEM_QUERY, &req.base, &mgmt__system_query_rep__descriptor,
		   (ProtobufCMessage **)&rep, MS_SHORT_MS) != 0)
		rep = NULL;
	for (i = 0; i < sup_engine_nr(api->c.sup); i++) {
		const struct conf_engine *ce = &api->c.conf->engines[i];
		json_t *scm, *nvme;
		struct sup_engine e;

		sup_snapshot(api->c.sup, i, &e);
		scm = tier_json(ce->scm_dir, ce->scm_bytes, e.rank);
		nvme = tier_json(ce->nvme_dir, ce->nvme_bytes, e.rank);
		for (r = 0; rep != NULL && r < rep->n_ranks; r++) {
			if (rep->ranks[r]->rank != e.rank)
				continue;
			json_object_set_new(scm, "total_bytes",
					    json_integer(rep->ranks[r]->scm_total));
			json_object_set_new(scm, "avail_bytes",
					    json_integer(rep->ranks[r]->scm_free));
			json_object_set_new(nvme, "total_bytes",
					    json_integer(rep->ranks[r]->nvme_total));
			json_object_set_new(nvme, "avail_bytes",
					    json_integer(rep->ranks[r]->nvme_free));
		}
		json_array_append_new(engines, json_pack("{s:o,s:o}", "scm", scm, "nvme", nvme));
	}
	if (rep != NULL)
		mgmt__system_query_rep__free_unpacked(rep, NULL);
	call->response = json_pack("{s:s,s:o}", "host", api->c.control_addr, "engines", engines);
	return 0;
}

/* Uuid of a rank's storage; "" while the service cannot be asked. */
static void
storage_uuid(const Mgmt__SystemQueryRep *rep, uint32_t rank, char uuid[37])
{
	size_t r;

	uuid[0] = '\0';
	for (r = 0; rep != NULL && r < rep->n_ranks; r++)
		if (rep->ranks[r]->rank == rank)
			uuid_text(&rep->ranks[r]->uuid, uuid);
}

/* Devices of the NVMe tier here, and the pools on them. */
static int
do_storage_smd(struct call *call)
{
	struct api *api = call->api;
	Mgmt__SystemQueryReq req = MGMT__SYSTEM_QUERY_REQ__INIT;
	Mgmt__SystemQueryRep *rep = NULL;
	json_t *devices = json_array(), *pools = json_array();
	uint32_t i;

	req.ranks = "";
	if (ms_ask(call, OPC_MS_SYSTEM_QUERY, &req.base, &mgmt__system_query_rep__descriptor,
		   (ProtobufCMessage **)&rep, MS_SHORT_MS) != 0)
		rep = NULL;
	for (i = 0; i < sup_engine_nr(api->c.sup); i++) {
		const struct conf_engine *ce = &api->c.conf->engines[i];
		struct sup_engine e;
		char uuid[37];
		int64_t rank;

		if (ce->nvme_dir == NULL)
			continue;
		sup_snapshot(api->c.sup, i, &e);
		rank = e.rank == MGMT_RANK_NONE ? -1 : (int64_t)e.rank;
		storage_uuid(rep, e.rank, uuid);
		json_array_append_new(devices, smd_device(ce->nvme_dir, uuid, rank,
							  ce->targets != NULL ? *ce->targets : 1));
		smd_pools(ce->nvme_dir, rank, pools);
	}
	if (rep != NULL)
		mgmt__system_query_rep__free_unpacked(rep, NULL);
	call->response = json_pack("{s:s,s:o,s:o}", "host", api->c.control_addr, "devices", devices,
				   "pools", pools);
	return 0;
}

/* --- pools
 * ------------------------------------------------------------------------------------------- */

static const char *
pool_state_name(uint32_t state)
{
	switch (state) {
	case POOL_ST_CREATING:
		return "Creating";
	case POOL_ST_READY:
		return "Ready";
	case POOL_ST_DESTROYING:
		return "Destroying";
	case POOL_ST_TARGETS_EXCLUDED:
		return "TargetsExcluded";
	default:
		return "Unknown";
	}
}

/* The two ways the service says that there is no such pool, in words. */
static int
fail_pool(struct call *call, int rc, const char *verb, const char *pool)
{
	uuid_t uuid;

	if (call->error[0] != '\0')
		return rc;
	if (rc == -DER_NONEXIST)
		return fail(call, -DER_MISC, "unable to find pool service with %s \"%s\"",
			    uuid_parse(pool, uuid) == 0 ? "uuid" : "label", pool);
	return fail(call, rc, "pool %s failed: %s(%d): %s", verb, err_name(rc), rc, err_text(rc));
}

static json_t *
tier_stats(const Mgmt__TierSpace *t, const char *media)
{
	Mgmt__TierSpace none = MGMT__TIER_SPACE__INIT;

	if (t == NULL)
		t = &none;
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:s}", "total", (json_int_t)t->total, "free",
			 (json_int_t)t->free, "min", (json_int_t)t->min, "max", (json_int_t)t->max,
			 "mean", (json_int_t)t->mean, "media_type", media);
}

/* Imbalance: how far the emptiest target is from the fullest, in percent of a target's size. */
static json_t *
tier_usage(const Mgmt__TierSpace *t, const char *name, uint32_t target_nr)
{
	uint64_t per_target = t == NULL || target_nr == 0 ? 0 : t->total / target_nr;

	return json_pack("{s:s,s:I,s:I,s:I}", "tier_name", name, "size",
			 (json_int_t)(t == NULL ? 0 : t->total), "free",
			 (json_int_t)(t == NULL ? 0 : t->free), "imbalance",
			 (json_int_t)(per_target == 0 ? 0 : (t->max - t->min) * 100 / per_target));
}

static json_t *
pool_json(const Mgmt__PoolQueryRep *rep, const char *mask, bool space)
{
	char uuid[37];
	json_t *o;

	uuid_text(&rep->info->uuid, uuid);
	o = json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "query_mask", mask, "state",
		      pool_state_name(rep->info->state), "uuid", uuid, "label", rep->info->label,
		      "total_targets", (json_int_t)rep->target_nr, "active_targets",
		      (json_int_t)rep->active_target_nr, "total_engines", (json_int_t)rep->rank_nr,
		      "disabled_targets", (json_int_t)rep->disabled_nr, "version",
		      (json_int_t)rep->info->map_version, "svc_ldr",
		      (json_int_t)rep->info->svc_leader, "svc_reps",
		      ranks_json(rep->info->svc_ranks, rep->info->n_svc_ranks));
	json_object_set_new(
	    o, "rebuild",
	    json_pack("{s:I,s:s,s:s,s:I,s:I,s:I,s:b}", "status", (json_int_t)rep->rebuild_status,
		      "state", "idle", "derived_state", "idle", "objects",
		      (json_int_t)rep->rebuild_objs, "records", (json_int_t)rep->rebuild_recs,
		      "total_objects", (json_int_t)0, "degraded", rep->disabled_nr != 0));
	if (space)
		json_object_set_new(
		    o, "tier_stats",
		    json_pack("[o,o]", tier_stats(rep->scm, "scm"), tier_stats(rep->nvme, "nvme")));
	else
		json_object_set_new(o, "tier_stats", json_null());
	json_object_set_new(o, "enabled_ranks",
			    ranks_json(rep->enabled_ranks, rep->n_enabled_ranks));
	json_object_set_new(o, "disabled_ranks",
			    ranks_json(rep->disabled_ranks, rep->n_disabled_ranks));
	json_object_set_new(o, "dead_ranks", ranks_json(rep->dead_ranks, rep->n_dead_ranks));
	json_object_set_new(o, "pool_layout_ver", json_integer(1));
	json_object_set_new(o, "upgrade_layout_ver", json_integer(1));
	json_object_set_new(o, "mem_file_bytes",
			    json_integer(rep->scm == NULL ? 0 : rep->scm->total));
	json_object_set_new(o, "md_on_ssd_active", json_false());
	json_object_set_new(o, "self_heal_policy", json_string(""));
	if (space)
		json_object_set_new(o, "usage",
				    json_pack("[o,o]", tier_usage(rep->scm, "SCM", rep->target_nr),
					      tier_usage(rep->nvme, "NVME", rep->target_nr)));
	return o;
}

static int
pool_query(struct call *call, struct session *s, const char *pool, bool space, json_t **ret_json)
{
	Mgmt__PoolQueryReq req = MGMT__POOL_QUERY_REQ__INIT;
	Mgmt__PoolQueryRep *rep = NULL;
	int rc;

	req.pool = (char *)pool;
	req.mask = space ? UINT64_MAX : ~1ull;
	rc = session_call(s, OPC_MS_POOL_QUERY, &req.base, &mgmt__pool_query_rep__descriptor,
			  (ProtobufCMessage **)&rep, MS_QUERY_MS);
	if (rc != 0)
		return rc;
	*ret_json = pool_json(rep,
			      space ? "disabled_engines,rebuild,self_heal_policy,space"
				    : "dead_engines,disabled_engines,rebuild,self_heal_policy",
			      space);
	mgmt__pool_query_rep__free_unpacked(rep, NULL);
	return 0;
}

static int
do_pool_query(struct call *call)
{
	struct session *s = NULL;
	const char *pool = str_of(call, "pool");
	int rc = call_session(call, &s);

	if (rc != 0)
		return rc;
	rc = pool_query(call, s, pool, !bool_of(call, "health_only"), &call->response);
	session_close(s);
	return rc == 0 ? 0 : fail_pool(call, rc, "query", pool);
}

static json_t *
pool_brief(const Mgmt__PoolInfo *info)
{
	char uuid[37];

	uuid_text(&info->uuid, uuid);
	return json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:n,s:n}", "query_mask", "",
			 "state", pool_state_name(info->state), "uuid", uuid, "label", info->label,
			 "total_targets", (json_int_t)0, "active_targets", (json_int_t)0,
			 "total_engines", (json_int_t)0, "disabled_targets", (json_int_t)0,
			 "version", (json_int_t)0, "svc_ldr", (json_int_t)info->svc_leader,
			 "svc_reps", ranks_json(info->svc_ranks, info->n_svc_ranks), "rebuild",
			 "tier_stats");
}

static int
do_pool_list(struct call *call)
{
	Mgmt__PoolListReq req = MGMT__POOL_LIST_REQ__INIT;
	Mgmt__PoolListRep *rep = NULL;
	struct session *s = NULL;
	json_t *pools = json_array();
	size_t i;
	int rc = call_session(call, &s);

	if (rc == 0)
		rc = session_call(s, OPC_MS_POOL_LIST, &req.base, &mgmt__pool_list_rep__descriptor,
				  (ProtobufCMessage **)&rep, MS_QUERY_MS);
	for (i = 0; rc == 0 && i < rep->n_pools; i++) {
		const Mgmt__PoolInfo *info = rep->pools[i];
		json_t *one = NULL;
		char uuid[37];

		uuid_text(&info->uuid, uuid);
		if (bool_of(call, "no_query") || info->state != POOL_ST_READY ||
		    pool_query(call, s, uuid, true, &one) != 0)
			one = pool_brief(info);
		json_array_append_new(pools, one);
	}
	session_close(s);
	if (rep != NULL)
		mgmt__pool_list_rep__free_unpacked(rep, NULL);
	if (rc != 0) {
		json_decref(pools);
		return call->error[0] != '\0' ? rc : fail_der(call, rc, "pool list failed");
	}
	call->response = json_pack("{s:I,s:o}", "status", (json_int_t)0, "pools", pools);
	return 0;
}

/* {"number": {"kind": "num"|"str", ...}} is what dmg has made of names and values: [{type,
 * num|str}]. */
static size_t
props_of(const struct call *call, Mgmt__Prop *props, Mgmt__Prop **ptrs, size_t max)
{
	json_t *a = json_object_get(call->req, "props");
	size_t nr = json_array_size(a);
	size_t i;

	for (i = 0; i < nr && i < max; i++) {
		json_t *p = json_array_get(a, i);
		const char *str = json_string_value(json_object_get(p, "str"));

		mgmt__prop__init(&props[i]);
		props[i].type = json_integer_value(json_object_get(p, "type"));
		props[i].num = json_integer_value(json_object_get(p, "num"));
		props[i].kind = PROP_KIND_NUM;
		if (str != NULL) {
			props[i].str = (char *)str;
			props[i].kind = PROP_KIND_STR;
		}
		ptrs[i] = &props[i];
	}
	return i;
}

static int
do_pool_create(struct call *call)
{
	Mgmt__PoolCreateReq req = MGMT__POOL_CREATE_REQ__INIT;
	Mgmt__PoolCreateRep *rep = NULL;
	Mgmt__Prop props[64];
	Mgmt__Prop *prop_ptrs[64];
	struct session *s = NULL;
	uuid_t uuid;
	uint32_t *ranks;
	size_t nr;
	char text[37];
	int rc = call_session(call, &s);

	if (rc != 0)
		return rc;
	ranks = ranks_of(call, "ranks", &nr);
	uuid_generate(uuid);
	req.id = session_cmd_id(s);
	req.uuid.data = uuid;
	req.uuid.len = sizeof(uuid);
	req.label = (char *)str_of(call, "label");
	req.total_bytes = u64_of(call, "total_bytes");
	req.scm_ratio = json_number_value(json_object_get(call->req, "scm_ratio"));
	req.scm_bytes = u64_of(call, "scm_bytes");
	req.nvme_bytes = u64_of(call, "nvme_bytes");
	req.svc_nr = u64_of(call, "nsvc");
	req.user = (char *)str_of(call, "user");
	req.group = (char *)str_of(call, "group");
	req.ranks = ranks;
	req.n_ranks = nr;
	req.props = prop_ptrs;
	req.n_props = props_of(call, props, prop_ptrs, 64);
	rc = session_call(s, OPC_MS_POOL_CREATE, &req.base, &mgmt__pool_create_rep__descriptor,
			  (ProtobufCMessage **)&rep, MS_CHANGE_MS);
	session_close(s);
	free(ranks);
	if (rc == -DER_INVAL)
		return fail(call, rc,
			    "pool create failed: a tier is too small (at least 16 MiB of SCM and, "
			    "if there is any, 64 MiB of NVMe per target), or a value is out of "
			    "range: %s(%d)",
			    err_name(rc), rc);
	if (rc == -DER_EXIST)
		return fail(call, rc,
			    "pool create failed: a pool with label \"%s\" exists already: %s(%d)",
			    req.label, err_name(rc), rc);
	if (rc != 0)
		return fail_pool(call, rc, "create", req.label);
	uuid_text(&rep->uuid, text);
	call->response = json_pack(
	    "{s:s,s:I,s:o,s:o,s:[I,I],s:I,s:b}", "uuid", text, "svc_ldr",
	    (json_int_t)rep->svc_leader, "svc_reps", ranks_json(rep->svc_ranks, rep->n_svc_ranks),
	    "tgt_ranks", ranks_json(rep->tgt_ranks, rep->n_tgt_ranks), "tier_bytes",
	    (json_int_t)rep->scm_bytes, (json_int_t)rep->nvme_bytes, "mem_file_bytes",
	    (json_int_t)rep->scm_bytes, "md_on_ssd_active", 0);
	mgmt__pool_create_rep__free_unpacked(rep, NULL);
	return 0;
}

static int
do_pool_destroy(struct call *call)
{
	Mgmt__PoolDestroyReq req = MGMT__POOL_DESTROY_REQ__INIT;
	struct session *s = NULL;
	int rc = call_session(call, &s);

	if (rc != 0)
		return rc;
	req.id = session_cmd_id(s);
	req.pool = (char *)str_of(call, "pool");
	req.force = bool_of(call, "force");
	req.recursive = bool_of(call, "recursive");
	rc = session_call(s, OPC_MS_POOL_DESTROY, &req.base, NULL, NULL, MS_CHANGE_MS);
	session_close(s);
	if (rc == -DER_BUSY)
		return fail(call, rc,
			    "pool destroy failed: it has open handles (--force) or containers "
			    "(--recursive): %s(%d)",
			    err_name(rc), rc);
	return rc == 0 ? 0 : fail_pool(call, rc, "destroy", req.pool);
}

/* --- requests
 * ------------------------------------------------------------------------------------------ */

static const struct method {
	const char *name;
	int (*fn)(struct call *call);
} methods[] = {
    {"system-query", do_system_query},   {"system-stop", do_system_stop},
    {"system-start", do_system_start},   {"storage-format", do_storage_format},
    {"storage-usage", do_storage_usage}, {"storage-smd", do_storage_smd},
    {"pool-create", do_pool_create},     {"pool-destroy", do_pool_destroy},
    {"pool-list", do_pool_list},         {"pool-query", do_pool_query},
};

static enum MHD_Result
send_body(struct MHD_Connection *conn, unsigned code, const char *type, void *body, size_t len)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result res;

	if (r == NULL) {
		free(body);
		return MHD_NO;
	}
	MHD_add_response_header(r, "Content-Type", type);
	res = MHD_queue_response(conn, code, r);
	MHD_destroy_response(r);
	return res;
}

static enum MHD_Result
send_answer(struct MHD_Connection *conn, unsigned code, int status, const char *error,
	    json_t *response)
{
	json_t *doc = json_pack("{s:i,s:o,s:o}", "status", status, "error",
				status == 0 ? json_null() : json_string(error), "response",
				response == NULL ? json_null() : response);
	char *text = json_dumps(doc, JSON_COMPACT);

	json_decref(doc);
	if (text == NULL)
		return MHD_NO;
	return send_body(conn, code, "application/json", text, strlen(text));
}

static enum MHD_Result
serve_attach_info(struct api *api, struct MHD_Connection *conn)
{
	struct call call = {.api = api};
	Mgmt__AttachInfoReq req = MGMT__ATTACH_INFO_REQ__INIT;
	Mgmt__AttachInfoRep *rep = NULL;
	uint8_t *buf;
	size_t len;
	int rc;

	rc = ms_ask(&call, OPC_MS_ATTACH_INFO, &req.base, &mgmt__attach_info_rep__descriptor,
		    (ProtobufCMessage **)&rep, MS_QUERY_MS);
	if (rc != 0) {
		if (call.error[0] == '\0')
			fail_der(&call, rc, "the management service does not answer");
		return send_answer(conn, 503, rc, call.error, NULL);
	}
	len = mgmt__attach_info_rep__get_packed_size(rep);
	buf = malloc(len + 1);
	if (buf != NULL)
		mgmt__attach_info_rep__pack(rep, buf);
	mgmt__attach_info_rep__free_unpacked(rep, NULL);
	return buf == NULL ? MHD_NO : send_body(conn, 200, "application/octet-stream", buf, len);
}

struct upload {
	char *data;
	size_t len;
	bool too_large;
};

static enum MHD_Result
serve_method(struct api *api, struct MHD_Connection *conn, const char *name,
	     const struct upload *up)
{
	struct call call = {.api = api};
	json_error_t je;
	enum MHD_Result res;
	size_t i;
	int rc;

	for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(methods[i].name, name) == 0)
			break;
	if (i == sizeof(methods) / sizeof(methods[0]))
		return send_answer(conn, 404, -DER_NOSYS, "this server has no such method", NULL);
	if (up->too_large)
		return send_answer(conn, 413, -DER_INVAL, "the request is too large", NULL);
	call.req = up->len == 0 ? json_object() : json_loadb(up->data, up->len, 0, &je);
	if (!json_is_object(call.req)) {
		json_decref(call.req);
		return send_answer(conn, 400, -DER_INVAL, "the request is not a JSON object", NULL);
	}
	rc = methods[i].fn(&call);
	if (rc != 0 && call.error[0] == '\0')
		fail_der(&call, rc, name);
	if (rc != 0)
		log_note("%s: %s", name, call.error);
	res = send_answer(conn, 200, rc, call.error, rc == 0 ? call.response : NULL);
	if (rc != 0)
		json_decref(call.response);
	json_decref(call.req);
	return res;
}

static enum MHD_Result
on_request(void *arg, struct MHD_Connection *conn, const char *url, const char *method,
	   const char *version, const char *data, size_t *data_len, void **con_cls)
{
	struct api *api = arg;
	struct upload *up = *con_cls;
	static const char prefix[] = "/v1/";

	if (up == NULL) {
		*con_cls = calloc(1, sizeof(*up));
		return *con_cls == NULL ? MHD_NO : MHD_YES;
	}
	if (*data_len > 0) {
		char *more = up->len + *data_len > REQUEST_MAX
				 ? NULL
				 : realloc(up->data, up->len + *data_len);

		if (more == NULL) {
			up->too_large = true;
		} else {
			up->data = more;
			memcpy(up->data + up->len, data, *data_len);
			up->len += *data_len;
		}
		*data_len = 0;
		return MHD_YES;
	}
	if (strncmp(url, prefix, sizeof(prefix) - 1) != 0)
		return send_answer(conn, 404, -DER_NOSYS, "this server has no such path", NULL);
	if (strcmp(method, "GET") == 0 && strcmp(url, "/v1/attach-info") == 0)
		return serve_attach_info(api, conn);
	if (strcmp(method, "POST") != 0)
		return send_answer(conn, 405, -DER_INVAL, "methods are called by POST", NULL);
	return serve_method(api, conn, url + sizeof(prefix) - 1, up);
}

static void
on_done(void *arg, struct MHD_Connection *conn, void **con_cls,
	enum MHD_RequestTerminationCode code)
{
	struct upload *up = *con_cls;

	if (up != NULL)
		free(up->data);
	free(up);
	*con_cls = NULL;
}

int
api_start(const struct api_conf *conf, struct api **ret_api, char err[CONF_ERR_LEN])
{
	struct api *api = calloc(1, sizeof(*api));
	struct sockaddr_in sa4 = {.sin_family = AF_INET, .sin_port = htons(conf->port)};
	struct sockaddr_in6 sa6 = {.sin6_family = AF_INET6, .sin6_port = htons(conf->port)};
	unsigned flags =
	    MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL;
	struct sockaddr *sa = (struct sockaddr *)&sa4;

	if (api == NULL)
		return -DER_NOMEM;
	api->c = *conf;
	if (inet_pton(AF_INET, conf->address, &sa4.sin_addr) != 1) {
		if (inet_pton(AF_INET6, conf->address, &sa6.sin6_addr) != 1) {
			snprintf(err, CONF_ERR_LEN, "'%s' is not an address", conf->address);
			free(api);
			return -DER_INVAL;
		}
		sa = (struct sockaddr *)&sa6;
		flags |= MHD_USE_IPv6;
	}
	errno = 0;
	api->daemon =
	    MHD_start_daemon(flags, conf->port, NULL, NULL, on_request, api, MHD_OPTION_SOCK_ADDR,
			     sa, MHD_OPTION_CONNECTION_LIMIT, CONNECTION_MAX,
			     MHD_OPTION_CONNECTION_TIMEOUT, 30u, MHD_OPTION_LISTENING_ADDRESS_REUSE,
			     1u, MHD_OPTION_NOTIFY_COMPLETED, on_done, NULL, MHD_OPTION_END);
	if (api->daemon == NULL) {
		snprintf(err, CONF_ERR_LEN, "cannot listen on %s port %u: %s", conf->address,
			 conf->port, errno != 0 ? strerror(errno) : "unknown error");
		free(api);
		return -DER_BUSY;
	}
	*ret_api = api;
	return 0;
}

void
api_stop(struct api *api)
{
	if (api == NULL)
		return;
	MHD_stop_daemon(api->daemon);
	free(api);
}
