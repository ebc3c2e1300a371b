/*
 * The life of an engine on its system xstream.
 *
 *	superblock -> clock -> management service (if a replica) -> pools -> READY -> join -> JOINED
 *-> heartbeats
 *
 * Join is repeated for ever: an engine without a management service waits for it. Heartbeats go
 *every HEARTBEAT_MS; each answer extends the lease, counted from the moment before its request was
 *sent, so the lease ends here before it ends for anybody else. An answer also brings what changed:
 *pool maps, destroyed containers, replicas. The lease is extended only by an answer that leaves
 *nothing to fetch: an engine that may serve knows everything that was decided before.
 *
 * Clock. No target gives out an epoch above the persisted ceiling, which is moved on in steps while
 *something is written. After a crash the ceiling bounds every epoch given out before: the new
 *clocks start above it. As it may lie a little ahead of the wall clock, and stamps from the future
 *are refused elsewhere, the start waits until it does not.
 */
#define LOG_FACILITY "engine"

#include "server/engine/engine_internal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/opcodes.h"

enum {
	RETRY_MS = 1000,
	HEARTBEAT_DEADLINE_MS = 1000, /* then again, with a later beginning of the lease */
	CLOCK_WAIT_MAX_MS = 2000,
	CLOCK_WAIT_SLACK_MS = 100,
};

static uint64_t
ms_to_hlc(uint64_t ms)
{
	return ms * 1000000 * HLC_UNITS_PER_NS;
}

static void co_fn
life_sleep(struct engine *e, uint64_t until_ns)
{
	while (!e->stopping && xs_now_ns(e->sys) < until_ns)
		co_waitq_wait(&e->wake, until_ns);
}

static void
tell_state(struct engine *e, uint32_t state)
{
	if (e->conf.on_state != NULL && !e->stopping)
		e->conf.on_state(state, atomic_load(&e->rank), e->conf.cb_arg);
}

/* The end of this life; the process decides what to do. */
static void __attribute__((format(printf, 2, 3))) fail(struct engine *e, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (e->stopping)
		return;
	log_crit("%s", text);
	tell_state(e, SYS_ST_ERRORED);
	if (e->conf.on_error != NULL)
		e->conf.on_error(text, e->conf.cb_arg);
}

/* --- superblock and clock --- */

static int co_fn
open_superblock(struct engine *e)
{
	struct superblock *sb;
	bool is_new;
	int rc;

	rc = sb_open(e->dir, e->sys, &sb, &is_new);
	if (rc != 0) {
		fail(e, "superblock of the engine cannot be read: %s (%d)", err_text(rc), rc);
		return rc;
	}
	e->sb = sb;
	if (is_new) {
		env_rand_fill(e->env, sb->uuid, sizeof(sb->uuid));
		sb->uuid[6] = (sb->uuid[6] & 0x0f) | 0x40; /* RFC 4122, version 4 */
		sb->uuid[8] = (sb->uuid[8] & 0x3f) | 0x80;
		strncpy(sb->system_name, e->conf.system_name, sizeof(sb->system_name) - 1);
		sb->target_nr = e->conf.target_nr;
		rc = sb_write(sb);
		if (rc != 0)
			fail(e, "superblock of the engine cannot be written: %s (%d)", err_text(rc),
			     rc);
		return rc;
	}
	if (strcmp(sb->system_name, e->conf.system_name) != 0) {
		fail(e, "storage belongs to system '%s', not to '%s'", sb->system_name,
		     e->conf.system_name);
		return -DER_INVAL;
	}
	if (sb->target_nr != e->conf.target_nr) {
		fail(e, "storage was formatted for %u targets, %u are configured", sb->target_nr,
		     e->conf.target_nr);
		return -DER_INVAL;
	}
	if (e->conf.rank != MGMT_RANK_NONE && sb->rank != MGMT_RANK_NONE &&
	    sb->rank != e->conf.rank)
		log_warn("storage is that of rank %u; the wanted rank %u is ignored", sb->rank,
			 e->conf.rank);
	if (sb->rank != MGMT_RANK_NONE)
		atomic_store(&e->rank, sb->rank);
	return 0;
}

static int co_fn
floor_there(struct target *t, void *arg)
{
	uint64_t floor = *(const uint64_t *)arg;

	obj_svc_floor(&t->objs, floor);
	return 0;
}

static int co_fn
set_clock(struct engine *e)
{
	uint64_t ceiling = e->sb->epoch_ceiling;
	uint64_t begin = xs_now_ns(e->sys);

	while (!e->stopping && xs_now_ns(e->sys) - begin < CLOCK_WAIT_MAX_MS * 1000000ull) {
		uint64_t clock = hlc_from_ns(env_real_ns(e->env));

		if (ceiling <= clock + ms_to_hlc(CLOCK_WAIT_SLACK_MS))
			break;
		life_sleep(e, xs_now_ns(e->sys) + 10 * 1000000ull);
	}
	if (ceiling > hlc_from_ns(env_real_ns(e->env)) + ms_to_hlc(CLOCK_WAIT_SLACK_MS))
		log_err("the clock is behind what it was before the restart; going on from there");
	atomic_store(&e->epoch_ceiling, ceiling);
	return engine_each_target(e, floor_there, &ceiling);
}

int co_fn
engine_ceiling_raise(struct engine *e, uint64_t epoch)
{
	uint64_t clock, want, was;
	int rc = 0;

	co_mutex_lock(&e->ceiling_ops);
	was = atomic_load(&e->epoch_ceiling);
	clock = hlc_from_ns(env_real_ns(e->env));
	want = (epoch > clock ? epoch : clock) + ms_to_hlc(CEILING_AHEAD_MS);
	if (e->sb == NULL) {
		rc = -DER_SHUTDOWN;
	} else if (epoch > was || want > was + ms_to_hlc(CEILING_AHEAD_MS - CEILING_RENEW_MS) / 2) {
		uint64_t stored = e->sb->epoch_ceiling;

		e->sb->epoch_ceiling = want;
		rc = sb_write(e->sb);
		if (rc == 0)
			atomic_store(&e->epoch_ceiling, want);
		else
			e->sb->epoch_ceiling = stored;
	}
	co_mutex_unlock(&e->ceiling_ops);
	return rc;
}

static void co_fn
ceiling_renew(void *arg)
{
	struct engine *e = arg;

	engine_ceiling_raise(e, 0);
	atomic_store(&e->ceiling_asked, false);
	engine_helper_end(e);
}

void
engine_ceiling_msg(struct xs_msg *msg)
{
	struct engine *e = container_of(msg, struct engine, ceiling_msg);

	if (engine_helper(e, ceiling_renew, e) != 0)
		atomic_store(&e->ceiling_asked, false);
}

/* --- pools --- */

/* Devices of pools that are not in the superblock: creations that a crash interrupted. */
struct leftovers {
	struct engine *e;
	char names[64][64];
	uint32_t nr;
};

static int
find_leftover(const char *name, uint64_t size, void *arg)
{
	struct leftovers *l = arg;
	char text[37];
	uuid_t uuid;

	if (strlen(name) < 38 || name[36] != '.' || strlen(name) >= sizeof(l->names[0]))
		return 0;
	memcpy(text, name, 36);
	text[36] = '\0';
	if (uuid_parse(text, uuid) != 0 || sb_pool_find(l->e->sb, uuid) != NULL)
		return 0;
	strcpy(l->names[l->nr++], name);
	return l->nr == sizeof(l->names) / sizeof(l->names[0]) ? 1 : 0;
}

static void co_fn
remove_leftovers(struct engine *e)
{
	struct leftovers *l = mem_new(struct leftovers);
	int rc;

	if (l == NULL)
		return;
	do {
		l->e = e;
		l->nr = 0;
		rc = e->dir->ops->list(e->dir, find_leftover, l);
		for (uint32_t i = 0; rc >= 0 && i < l->nr; i++) {
			int rc2 = e->dir->ops->unlink(e->dir, l->names[i]);

			log_note("removed %s, left over from an interrupted creation: " ERR_F,
				 l->names[i], ERR_P(rc2));
			if (rc2 != 0)
				rc = rc2;
		}
	} while (rc == 1);
	free(l);
}

struct open_pools {
	const struct sb_pool *pools;
	uint32_t nr;
	uint64_t cache_bytes;
};

static int co_fn
open_pools_there(struct target *t, void *arg)
{
	const struct open_pools *op = arg;

	for (uint32_t i = 0; i < op->nr && !t->stopping; i++) {
		struct pool_shard_conf conf = {
		    .data_thresh = op->pools[i].data_thresh,
		    .read_floor = atomic_load(&t->engine->epoch_ceiling),
		};
		struct pool_shard *shard;

		/* A shard that does not open is reported and answers with its error; the others
		 * serve. */
		if (pool_shard_open(&t->pools, op->pools[i].uuid, &conf) != 0)
			continue;
		shard = pool_shard_find(&t->pools, op->pools[i].uuid);
		obj_svc_floor(&t->objs, vos_pool_max_epoch(shard->vos));
	}
	return 0;
}

static int co_fn
open_pools(struct engine *e)
{
	struct open_pools op = {.pools = e->sb->pools, .nr = e->sb->pool_nr};
	uint64_t begin = xs_now_ns(e->sys);
	int rc;

	/* No control request changes the list before the engine has joined. */
	rc = engine_each_target(e, open_pools_there, &op);
	if (rc == 0 && op.nr > 0)
		log_note("%u pools opened in %lu ms", op.nr,
			 (unsigned long)((xs_now_ns(e->sys) - begin) / 1000000));
	return rc;
}

void
engine_space(struct engine *e, uint64_t *scm_total, uint64_t *scm_free, uint64_t *nvme_total,
	     uint64_t *nvme_free)
{
	uint64_t scm_used = 0, nvme_used = 0, fs_free, fs_total;

	for (uint32_t i = 0; i < e->sb->pool_nr; i++) {
		scm_used += e->sb->pools[i].scm_bytes * e->target_nr;
		nvme_used += e->sb->pools[i].nvme_bytes * e->target_nr;
	}
	*scm_total = e->conf.scm_bytes;
	*nvme_total = e->conf.nvme_bytes;
	*scm_free = *scm_total > scm_used ? *scm_total - scm_used : 0;
	*nvme_free = *nvme_total > nvme_used ? *nvme_total - nvme_used : 0;
	if (e->conf.scm_bytes == 0 &&
	    e->conf.dir->ops->space(e->conf.dir, &fs_free, &fs_total) == 0) {
		*scm_total = fs_total;
		*scm_free = fs_free;
	}
	if (e->conf.nvme_bytes == 0 && e->conf.bulk_dir != NULL &&
	    e->conf.bulk_dir->ops->space(e->conf.bulk_dir, &fs_free, &fs_total) == 0) {
		*nvme_total = fs_total;
		*nvme_free = fs_free;
	}
}

/* --- management service --- */

static const char *
hint_uri(uint32_t i, void *arg)
{
	struct engine *e = arg;

	if (e->sb != NULL) {
		if (i < e->sb->uri_nr)
			return e->sb->uris[i];
		i -= e->sb->uri_nr;
	}
	return i < e->conf.ms_uri_nr ? e->conf.ms_uris[i] : NULL;
}

static struct mgmt_conf
mgmt_conf_of(struct engine *e)
{
	struct mgmt_conf mc = {
	    .xs = e->sys,
	    .ep = e->ep,
	    .dir = e->conf.dir,
	    .system_name = e->conf.system_name,
	    .provider = net_provider(e->conf.net),
	    .bootstrap = e->conf.bootstrap,
	    .insecure = e->conf.insecure,
	    .hints = &e->hints,
	};

	return mc;
}

static int co_fn
start_mgmt(struct engine *e)
{
	struct mgmt_conf mc;
	int rc;

	e->hints = (struct mgmt_hints){.replica_uri = hint_uri, .arg = e};
	mc = mgmt_conf_of(e);
	co_mutex_lock(&e->ms_start);
	rc = mgmt_start(&mc, &e->mgmt);
	if (rc != 0)
		e->mgmt = NULL;
	co_mutex_unlock(&e->ms_start);
	if (rc == 0)
		return 0;
	if (rc != -DER_NONEXIST)
		log_crit("the replica of the management service stored here does not start: " ERR_F,
			 ERR_P(rc));
	return mgmt_register_hints(e->ep, &e->hints);
}

/* End the replica, if there is one (that failed). */
static void co_fn
end_mgmt(struct engine *e, bool only_failed)
{
	struct mgmt *mgmt;

	co_mutex_lock(&e->ms_start);
	mgmt = e->mgmt;
	if (mgmt != NULL && (!only_failed || mgmt_failed(mgmt))) {
		e->mgmt = NULL;
		mgmt_stop(mgmt);
	}
	co_mutex_unlock(&e->ms_start);
}

void co_fn
engine_end_mgmt(struct engine *e)
{
	end_mgmt(e, false);
}

int co_fn
engine_start_member(struct engine *e, uint64_t raft_id, char *const *uris, size_t nr)
{
	struct mgmt_conf mc = mgmt_conf_of(e);
	int rc = 0;

	mc.bootstrap = false;
	co_mutex_lock(&e->ms_start);
	if (e->mgmt != NULL && mgmt_raft_id(e->mgmt) != raft_id) {
		struct mgmt *old = e->mgmt;

		e->mgmt = NULL;
		mgmt_stop(old);
	}
	if (e->stopping) {
		rc = -DER_SHUTDOWN;
	} else if (e->mgmt == NULL) {
		rc = mgmt_start_member(&mc, raft_id, (const char *const *)uris, (uint32_t)nr,
				       &e->mgmt);
		if (rc != 0)
			e->mgmt = NULL;
	}
	co_mutex_unlock(&e->ms_start);
	return rc;
}

static int co_fn
connect_ms(struct engine *e)
{
	const char *uris[SB_URI_MAX + 1];
	uint32_t nr = 0;
	int rc;

	if (e->mgmt != NULL)
		uris[nr++] = e->uri;
	for (uint32_t i = 0; i < e->sb->uri_nr; i++)
		uris[nr++] = e->sb->uris[i];
	rc = ms_conn_create(e->ep, uris, nr, &e->ms);
	if (rc != 0) {
		e->ms = NULL;
		return rc;
	}
	return e->conf.ms_uri_nr > 0 ? ms_conn_set_uris(e->ms, e->conf.ms_uris, e->conf.ms_uri_nr)
				     : 0;
}

static int co_fn
key_there(struct target *t, void *arg)
{
	cont_tab_set_key(&t->conts, arg);
	return 0;
}

static int co_fn
take_key(struct engine *e, const ProtobufCBinaryData *key)
{
	if (key->len != CAP_KEY_BYTES ||
	    (e->has_key && memcmp(e->cap_key, key->data, CAP_KEY_BYTES) == 0))
		return 0;
	memcpy(e->cap_key, key->data, CAP_KEY_BYTES);
	e->has_key = true;
	return engine_each_target(e, key_there, e->cap_key);
}

static int co_fn
map_there(struct target *t, void *arg)
{
	pool_tab_set_map(&t->pools, arg);
	return 0;
}

struct new_settings {
	uuid_t pool;
	struct pool_settings settings;
};

static int co_fn
settings_there(struct target *t, void *arg)
{
	const struct new_settings *n = arg;

	pool_tab_set_settings(&t->pools, n->pool, &n->settings);
	target_agg_wake(t);
	return 0;
}

static int co_fn
take_settings(struct engine *e, const Mgmt__PoolMap *msg)
{
	struct new_settings n;

	if (msg->settings == NULL || msg->pool_uuid.len != sizeof(uuid_t))
		return 0;
	memcpy(n.pool, msg->pool_uuid.data, sizeof(uuid_t));
	n.settings = (struct pool_settings){
	    .version = msg->settings->version,
	    .data_thresh = msg->settings->data_thresh,
	    .reclaim = msg->settings->reclaim,
	};
	return engine_each_target(e, settings_there, &n);
}

int co_fn
engine_take_maps(struct engine *e, Mgmt__PoolMap *const *maps, size_t nr)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < nr; i++) {
		struct pool_map *map;

		rc = pool_map_from_msg(maps[i], &map);
		if (rc == -DER_INVAL) {
			log_err("a pool map of the management service is inconsistent");
			rc = 0;
			continue;
		}
		if (rc == 0) {
			rc = engine_each_target(e, map_there, map);
			pool_map_put(map);
		}
		if (rc == 0)
			rc = take_settings(e, maps[i]);
	}
	return rc;
}

struct dead_one {
	const uint8_t *ids; /* pool and container */
	uint64_t now_ms;
};

static int co_fn
dead_there(struct target *t, void *arg)
{
	const struct dead_one *d = arg;

	return cont_tab_destroy(&t->conts, d->ids, d->ids + 16, d->now_ms);
}

int co_fn
engine_take_dead(struct engine *e, const ProtobufCBinaryData *dead, size_t nr)
{
	struct dead_one d = {.now_ms = env_real_ns(e->env) / 1000000};
	int rc = 0;

	for (size_t i = 0; i < nr; i++) {
		int rc2;

		if (dead[i].len != 32)
			continue;
		d.ids = dead[i].data;
		rc2 = engine_each_target(e, dead_there, &d);
		/* A shard that cannot be opened cannot be cleaned either; it does not serve. */
		if (rc2 == -DER_NOMEM)
			rc = rc2;
	}
	return rc;
}

static void
take_uris(struct engine *e, char *const *uris, size_t nr, bool *ret_changed)
{
	if (nr == 0)
		return;
	if (sb_set_uris(e->sb, uris, nr))
		*ret_changed = true;
	ms_conn_set_uris(e->ms, (const char *const *)uris, (uint32_t)nr);
}

/* --- join --- */

static int co_fn
take_join(struct engine *e, const Mgmt__JoinRep *rep)
{
	bool changed = false;
	int rc;

	if (rep->system_uuid.len == 16 && !uuid_is_null(e->sb->system_uuid) &&
	    uuid_compare(e->sb->system_uuid, rep->system_uuid.data) != 0) {
		fail(e, "storage belongs to another system of the same name");
		return -DER_INVAL;
	}
	if (rep->cap_key.len != CAP_KEY_BYTES || rep->rank == MGMT_RANK_NONE)
		return -DER_PROTO;
	if (rep->system_uuid.len == 16 && uuid_is_null(e->sb->system_uuid)) {
		uuid_copy(e->sb->system_uuid, rep->system_uuid.data);
		changed = true;
	}
	if (e->sb->rank != rep->rank) {
		e->sb->rank = rep->rank;
		changed = true;
	}
	take_uris(e, rep->replica_uris, rep->n_replica_uris, &changed);
	rc = changed ? sb_write(e->sb) : 0;
	if (rc == 0)
		rc = take_key(e, &rep->cap_key);
	if (rc == 0)
		rc = engine_take_dead(e, rep->dead_conts, rep->n_dead_conts);
	if (rc == 0)
		rc = engine_take_maps(e, rep->maps, rep->n_maps);
	if (rc == 0) {
		atomic_store(&e->rank, rep->rank);
		e->sys_version = rep->sys_version;
	}
	return rc;
}

static int co_fn
join_once(struct engine *e)
{
	uint64_t scm_free, nvme_free;
	Mgmt__JoinReq req = MGMT__JOIN_REQ__INIT;
	ProtobufCMessage *rep = NULL;
	int rc;

	req.uuid = (ProtobufCBinaryData){.data = e->sb->uuid, .len = 16};
	req.rank = e->sb->rank != MGMT_RANK_NONE ? e->sb->rank : e->conf.rank;
	req.uri = e->uri;
	req.target_nr = e->target_nr;
	req.fault_domain = (char *)(e->conf.fault_domain != NULL ? e->conf.fault_domain : "");
	req.incarnation = e->incarnation;
	req.control_addr = (char *)(e->conf.control_addr != NULL ? e->conf.control_addr : "");
	engine_space(e, &req.scm_total, &scm_free, &req.nvme_total, &nvme_free);
	rc = ms_call(e->ms, OPC_MS_JOIN, &req.base, &mgmt__join_rep__descriptor, &rep, 0);
	if (rc == 0)
		rc = take_join(e, (const Mgmt__JoinRep *)rep);
	if (rep != NULL)
		protobuf_c_message_free_unpacked(rep, NULL);
	return rc;
}

static bool co_fn
join(struct engine *e)
{
	while (!e->stopping) {
		int rc = join_once(e);

		if (rc == 0) {
			log_note("joined as rank %u", e->sb->rank);
			return true;
		}
		if (!e->stopping)
			log_every(10000, LOG_LVL_ERR, "cannot join the system, trying on: " ERR_F,
				  ERR_P(rc));
		life_sleep(e, xs_now_ns(e->sys) + RETRY_MS * 1000000ull);
	}
	return false;
}

/* --- heartbeats --- */

enum beat {
	BEAT_OK,
	BEAT_MORE,
	BEAT_REJOIN,
	BEAT_FAILED,
};

static enum beat co_fn
take_beat(struct engine *e, const Mgmt__HeartbeatRep *rep, uint64_t sent_ns)
{
	uint64_t lease_ms = rep->lease_ms < LEASE_MS ? rep->lease_ms : LEASE_MS;
	bool changed = false;
	int rc;

	if (rep->rejoin)
		return BEAT_REJOIN;
	rc = take_key(e, &rep->cap_key);
	if (rc == 0)
		rc = engine_take_dead(e, rep->dead_conts, rep->n_dead_conts);
	if (rc == 0)
		rc = engine_take_maps(e, rep->maps, rep->n_maps);
	if (rc != 0)
		return BEAT_FAILED;
	take_uris(e, rep->replica_uris, rep->n_replica_uris, &changed);
	if (changed)
		sb_write(e->sb); /* only a help for the next start */
	e->sys_version = rep->sys_version;
	if (rep->more)
		return BEAT_MORE;
	if (!e->stopping)
		atomic_store(&e->lease_until_ns, sent_ns + lease_ms * 1000000);
	return BEAT_OK;
}

static enum beat co_fn
beat_once(struct engine *e)
{
	uint64_t sent_ns = xs_now_fresh_ns(e->sys);
	Mgmt__HeartbeatReq req = MGMT__HEARTBEAT_REQ__INIT;
	ProtobufCMessage *rep = NULL;
	uint64_t scm_total, nvme_total;
	enum beat beat;
	int rc;

	req.rank = e->sb->rank;
	req.incarnation = e->incarnation;
	req.sys_version = e->sys_version;
	engine_space(e, &scm_total, &req.scm_free, &nvme_total, &req.nvme_free);
	rc = ms_call(e->ms, OPC_MS_HEARTBEAT, &req.base, &mgmt__heartbeat_rep__descriptor, &rep,
		     sent_ns + HEARTBEAT_DEADLINE_MS * 1000000ull);
	if (rc != 0) {
		log_every(10000, LOG_LVL_WARN, "no answer to the heartbeat: " ERR_F, ERR_P(rc));
		return BEAT_FAILED;
	}
	beat = take_beat(e, (const Mgmt__HeartbeatRep *)rep, sent_ns);
	protobuf_c_message_free_unpacked(rep, NULL);
	return beat;
}

/* Until the service does not know this incarnation any more, or the end. */
static void co_fn
heartbeats(struct engine *e)
{
	while (!e->stopping) {
		uint64_t begin = xs_now_ns(e->sys);

		switch (beat_once(e)) {
		case BEAT_MORE:
			continue;
		case BEAT_REJOIN:
			atomic_store(&e->lease_until_ns, 0);
			return;
		case BEAT_OK:
		case BEAT_FAILED:
			end_mgmt(e, true);
			life_sleep(e, begin + HEARTBEAT_MS * 1000000ull);
			break;
		}
	}
}

void co_fn
engine_refresh_map(struct engine *e, const uuid_t pool, uint32_t known)
{
	Mgmt__PoolMapGetReq req = MGMT__POOL_MAP_GET_REQ__INIT;
	ProtobufCMessage *msg = NULL;
	int rc;

	if (e->ms == NULL)
		return;
	req.pool = (ProtobufCBinaryData){.data = (uint8_t *)pool, .len = 16};
	req.known_version = known;
	rc = ms_call(e->ms, OPC_MS_POOL_MAP_GET, &req.base, &mgmt__pool_map_get_rep__descriptor,
		     &msg, xs_now_ns(e->sys) + LEASE_MS * 1000000ull);
	if (rc != 0)
		return; /* a heartbeat or the next request brings it */
	if (((Mgmt__PoolMapGetRep *)msg)->map != NULL)
		engine_take_maps(e, &((Mgmt__PoolMapGetRep *)msg)->map, 1);
	protobuf_c_message_free_unpacked(msg, NULL);
}

/* --- all of it --- */

static int co_fn
boot(struct engine *e)
{
	int rc;

	tell_state(e, SYS_ST_STARTING);
	rc = open_superblock(e);
	if (rc != 0)
		return rc; /* told already */
	rc = set_clock(e);
	if (rc == 0)
		rc = start_mgmt(e);
	if (rc == 0)
		rc = connect_ms(e);
	if (rc == 0) {
		remove_leftovers(e);
		rc = open_pools(e);
	}
	if (rc != 0)
		fail(e, "the engine cannot start: %s (%d)", err_text(rc), rc);
	return rc;
}

void co_fn
engine_life(void *arg)
{
	struct engine *e = arg;

	if (boot(e) == 0 && !e->stopping) {
		tell_state(e, SYS_ST_READY);
		while (join(e)) {
			tell_state(e, SYS_ST_JOINED);
			heartbeats(e);
		}
	}
	co_future_complete(&e->life_done, 0);
}
