/* What belongs to the engine, not to a target: its superblock, and a replica of the management
 * service (log, term and vote, a snapshot of the state). */
#include <stdlib.h>

#include "base/mem.h"
#include "cluster/raft/rlog.h"
#include "server/engine/superblock.h"
#include "server/mgmt/state.h"
#include "tests/formats/sample.h"

static const char system_name[] = "sample_system";

/* --- superblock ------------------------------------------------------------------------------ */

int co_fn
superblock_make(struct dev_dir *dir, struct xs *xs)
{
	struct sb_pool pool = {.scm_bytes = 4 << 20, .nvme_bytes = 2 << 20, .data_thresh = 4096};
	char *uris[] = {"ofi+tcp://127.0.0.1:31416", "ofi+tcp://127.0.0.1:31420"};
	struct superblock *sb;
	bool is_new;

	check_rc(sb_open(dir, xs, &sb, &is_new), 0);
	check(is_new);
	memset(sb->uuid, 0x11, sizeof(uuid_t));
	memset(sb->system_uuid, 0x22, sizeof(uuid_t));
	strcpy(sb->system_name, system_name);
	sb->rank = 3;
	sb->target_nr = 1;
	sb->epoch_ceiling = 1000;
	uuid_parse(SAMPLE_POOL, pool.uuid);
	check_rc(sb_pool_add(sb, &pool), 0);
	sb_set_uris(sb, uris, 2);
	check_rc(sb_write(sb), 0);
	sb_close(sb);
	return 0;
}

int co_fn
superblock_check(struct dev_dir *dir, struct xs *xs)
{
	struct superblock *sb;
	bool is_new;

	check_rc(sb_open(dir, xs, &sb, &is_new), 0);
	check(!is_new && sb->rank == 3 && sb->target_nr == 1 && sb->epoch_ceiling == 1000);
	check(sb->uuid[0] == 0x11 && sb->system_uuid[15] == 0x22);
	check(strcmp(sb->system_name, system_name) == 0);
	check(sb->pool_nr == 1 && sb->pools[0].scm_bytes == 4 << 20 &&
	      sb->pools[0].nvme_bytes == 2 << 20 && sb->pools[0].data_thresh == 4096);
	check(sb->uri_nr == 2 && strcmp(sb->uris[1], "ofi+tcp://127.0.0.1:31420") == 0);
	sb_close(sb);
	return 0;
}

/* --- state of the management service --------------------------------------------------------- */

static struct st_rank *
rank_new(uint32_t nr)
{
	struct st_rank *r = mem_new(struct st_rank);

	r->rank = nr;
	memset(r->uuid, 0x30 + nr, sizeof(uuid_t));
	r->uri = mem_printf("ofi+tcp://127.0.0.1:%u", 31416 + nr);
	r->fault_domain = mem_printf("/host%u", nr);
	r->control_addr = mem_strdup("127.0.0.1:10001");
	r->target_nr = 1;
	r->state = SYS_ST_JOINED;
	r->incarnation = 77 + nr;
	r->scm_total = 1 << 30;
	r->nvme_total = 1ull << 34;
	r->raft_id = nr == 0 ? 1 : 0;
	return r;
}

static int
state_fill(struct state *st)
{
	uint8_t client[16] = {9, 9, 9}, packed[] = {0x08, 0x01};
	uuid_t uuid = {0x5a, 1}, cont_uuid = {0x6a, 2}, handle_uuid = {0x7a, 3};
	struct st_session *session;
	struct st_handle *h;
	struct st_tomb *tomb;
	struct st_pool *pool;
	struct st_cont *cont;
	uint32_t i;

	st->inited = true;
	memset(st->uuid, 0x22, sizeof(uuid_t));
	st->name = mem_strdup(system_name);
	st->boot_uri = mem_strdup("ofi+tcp://127.0.0.1:31416");
	memset(st->cap_key, 0x33, sizeof(st->cap_key));
	st->sys_version = 12;
	st->raft_id_next = 2;
	st->boot_raft_id = 1;
	st->now_ms = 1000000;
	check_rc(blob_set(&st->attrs, packed, sizeof(packed)), 0);
	for (i = 0; i < 2; i++)
		check_rc(state_rank_add(st, rank_new(i)), 0);
	pool = state_pool_new(uuid);
	pool->state = POOL_ST_READY;
	pool->scm_bytes = 1 << 28;
	pool->nvme_bytes = 1ull << 32;
	pool->map_version = 4;
	pool->changed_at = 11;
	pool->targets = mem_calloc(2, sizeof(*pool->targets));
	pool->target_nr = 2;
	pool->target_id_next = 2;
	pool->ranks = mem_calloc(2, sizeof(*pool->ranks));
	pool->rank_nr = 2;
	for (i = 0; i < 2; i++) {
		pool->targets[i] = (struct st_target){.id = i, .rank = i, .state = TGT_ST_UPIN};
		pool->ranks[i] = i;
	}
	check_rc(blob_set(&pool->props, packed, sizeof(packed)), 0);
	memset(pool->create_client, 9, sizeof(uuid_t));
	pool->create_seq = 5;
	check_rc(state_pool_link(st, pool), 0);
	state_pool_set_label(st, pool, "tank");
	cont = state_cont_new(pool, cont_uuid);
	cont->oid_next = 4096;
	cont->generation = 3;
	cont->open_hlc = 800;
	cont->modify_hlc = 900;
	check_rc(blob_set(&cont->attrs, packed, sizeof(packed)), 0);
	check_rc(state_cont_link(cont), 0);
	state_cont_set_label(cont, "home");
	h = state_handle_new(handle_uuid);
	h->pool = pool;
	h->flags = 2;
	h->rights = 7;
	h->opened_ms = 999000;
	h->user = mem_strdup("user@");
	h->group = mem_strdup("group@");
	h->machine = mem_strdup("host0");
	state_handle_link(st, h);
	tomb = mem_new(struct st_tomb);
	memcpy(tomb->pool, uuid, sizeof(uuid_t));
	memset(tomb->cont, 0x44, sizeof(uuid_t));
	tomb->died_ms = 998000;
	tomb->changed_at = 10;
	tomb->pending = mem_calloc(1, sizeof(*tomb->pending));
	tomb->pending_nr = 1;
	list_push_back(&st->tombs, &tomb->link);
	st->tomb_nr = 1;
	session = state_session_new(st, client);
	session->low_seq = 4;
	session->last_ms = 999500;
	check_rc(state_session_add(session, 5, -DER_EXIST, packed, sizeof(packed)), 0);
	return 0;
}

static int
state_look(const struct state *st)
{
	const struct st_pool *pool = state_pool_by_label(st, "tank");
	const struct st_cont *cont = pool == NULL ? NULL : state_cont_by_label(pool, "home");
	uint8_t client[16] = {9, 9, 9};

	check(st->inited && strcmp(st->name, system_name) == 0 && st->sys_version == 12);
	check(state_rank(st, 1) != NULL && state_rank(st, 1)->incarnation == 78);
	check(pool != NULL && pool->target_nr == 2 && pool->targets[1].rank == 1);
	check(pool->map_version == 4 && pool->handle_nr == 1);
	check(cont != NULL && cont->oid_next == 4096 && cont->generation == 3);
	check(st->tomb_nr == 1 && state_session(st, client) != NULL);
	check(state_session(st, client)->result_nr == 1);
	return 0;
}

/* --- the replica's log ----------------------------------------------------------------------- */

static const struct rlog_ident ident = {.id = 1, .group = {1, 2, 3, 4}};

enum { ENTRIES = 20, SNAP_AT = 12, TRAILING = 4 };

static void
entry_fill(uint8_t buf[64], uint32_t idx)
{
	uint32_t i;

	for (i = 0; i < 64; i++)
		buf[i] = idx * 3 + i;
}

static int co_fn
append(struct rlog *log, uint32_t first, uint32_t last, uint64_t term)
{
	uint8_t buf[64];
	uint32_t i;

	for (i = first; i <= last; i++) {
		struct raft_entry e = {
		    .term = term,
		    .type = RAFT_COMMAND,
		    .buf = {.base = buf, .len = sizeof(buf)},
		};

		entry_fill(buf, i);
		check_rc(rlog_append(log, i, &e, 1), 0);
	}
	return 0;
}

static int co_fn
save_snapshot(struct rlog *log)
{
	struct raft_snapshot snap = {.index = SNAP_AT, .term = 1, .configuration_index = 1};
	struct raft_buffer buf;
	struct state *st;
	int rc;

	check_rc(state_create(&st), 0);
	check_rc(state_fill(st), 0);
	check_rc(state_look(st), 0);
	check_rc(state_snapshot(st, &buf.base, &buf.len), 0);
	state_destroy(st);
	raft_configuration_init(&snap.configuration);
	check_rc(
	    raft_configuration_add(&snap.configuration, 1, "ofi+tcp://127.0.0.1:31416", RAFT_VOTER),
	    0);
	snap.bufs = &buf;
	snap.n_bufs = 1;
	rc = rlog_snap_save(log, &snap, TRAILING);
	raft_configuration_close(&snap.configuration);
	free(buf.base);
	check_rc(rc, 0);
	return 0;
}

static void
entries_free(struct raft_entry *entries, size_t nr)
{
	void *last = NULL;
	size_t i;

	for (i = 0; i < nr; i++) {
		if (entries[i].batch != last)
			raft_free(entries[i].batch);
		last = entries[i].batch;
	}
	raft_free(entries);
}

int co_fn
service_make(struct dev_dir *dir, struct xs *xs)
{
	struct raft_configuration conf;
	struct raft_snapshot *snap;
	struct raft_entry *entries;
	raft_index start;
	struct rlog *log;
	size_t nr;

	raft_configuration_init(&conf);
	check_rc(raft_configuration_add(&conf, 1, "ofi+tcp://127.0.0.1:31416", RAFT_VOTER), 0);
	check_rc(rlog_format(xs, dir, "ms", &ident, &conf, &log), 0);
	raft_configuration_close(&conf);
	/* as a replica does before it appends */
	check_rc(rlog_load(log, &snap, &start, &entries, &nr), 0);
	check(snap == NULL && nr == 1);
	entries_free(entries, nr);
	check_rc(append(log, 2, SNAP_AT + 4, 1), 0);
	check_rc(save_snapshot(log), 0);
	/* a later term overwrites the last entries */
	check_rc(rlog_meta_set(log, 2, 1), 0);
	check_rc(append(log, SNAP_AT + 2, ENTRIES, 2), 0);
	rlog_close(log);
	return 0;
}

static int
entries_check(const struct raft_entry *entries, size_t nr, raft_index start)
{
	uint8_t want[64];
	size_t i;

	check(start + nr - 1 == ENTRIES && start <= SNAP_AT + 1);
	for (i = 0; i < nr; i++) {
		if (start + i == 1) {
			check(entries[i].type == RAFT_CHANGE); /* the first configuration */
			continue;
		}
		entry_fill(want, start + i);
		check(entries[i].term == (start + i >= SNAP_AT + 2 ? 2 : 1));
		check(entries[i].type == RAFT_COMMAND && entries[i].buf.len == sizeof(want));
		check(memcmp(entries[i].buf.base, want, sizeof(want)) == 0);
	}
	return 0;
}

/* The state in the snapshot is what was put in, and gives the very bytes again. */
static int
snapshot_check(const struct raft_snapshot *snap)
{
	struct state *st;
	size_t len;
	void *buf;

	check(snap->index == SNAP_AT && snap->term == 1 && snap->n_bufs == 1);
	check(snap->configuration.n == 1 && snap->configuration.servers[0].id == 1);
	check_rc(state_restore(snap->bufs[0].base, snap->bufs[0].len, &st), 0);
	check_rc(state_look(st), 0);
	check_rc(state_snapshot(st, &buf, &len), 0);
	check(len == snap->bufs[0].len && memcmp(buf, snap->bufs[0].base, len) == 0);
	free(buf);
	state_destroy(st);
	return 0;
}

int co_fn
service_check(struct dev_dir *dir, struct xs *xs)
{
	struct raft_snapshot *snap;
	struct raft_entry *entries;
	raft_index start;
	struct rlog *log;
	size_t nr;

	check_rc(rlog_open(xs, dir, "ms", &log), 0);
	check(memcmp(rlog_ident(log), &ident, sizeof(ident)) == 0);
	check(rlog_term(log) == 2 && rlog_vote(log) == 1);
	check_rc(rlog_load(log, &snap, &start, &entries, &nr), 0);
	check(rlog_last(log) == ENTRIES);
	check(snap != NULL);
	check_rc(entries_check(entries, nr, start), 0);
	check_rc(snapshot_check(snap), 0);
	rlog_snap_free(snap);
	entries_free(entries, nr);
	check_rc(append(log, ENTRIES + 1, ENTRIES + 3, 3), 0);
	rlog_close(log);
	return 0;
}
