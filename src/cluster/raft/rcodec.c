/*
 * Encoding and decoding of Raft messages; the layout is in rcodec.h. Counts and lengths from the
 * wire are checked against what is left of the message before memory is taken for them, so a short
 * message cannot make us allocate much.
 */
#include "cluster/raft/rcodec.h"

#include <string.h>

#include <daos_errno.h>

void
rcodec_conf_put(struct codec_wr *wr, const struct raft_configuration *conf)
{
	unsigned i;

	codec_wr_varint(wr, conf->n);
	for (i = 0; i < conf->n; i++) {
		codec_wr_u64(wr, conf->servers[i].id);
		codec_wr_str(wr, conf->servers[i].address);
		codec_wr_u8(wr, (uint8_t)conf->servers[i].role);
	}
}

int
rcodec_conf_get(struct codec_rd *rd, struct raft_configuration *conf)
{
	uint64_t n = codec_rd_varint_max(rd, RCODEC_SERVERS_MAX);
	uint64_t i;

	for (i = 0; i < n && rd->err == 0; i++) {
		char addr[RCODEC_ADDR_MAX];
		uint64_t id = codec_rd_u64(rd);
		uint8_t role;
		int rv;

		codec_rd_str(rd, addr, sizeof(addr));
		role = codec_rd_u8(rd);
		if (rd->err != 0)
			break;
		if (id == 0 || addr[0] == '\0' || role > RAFT_SPARE) {
			codec_rd_fail(rd);
			break;
		}
		rv = raft_configuration_add(conf, id, addr, role);
		if (rv == RAFT_NOMEM) {
			rd->err = -DER_NOMEM;
			break;
		}
		if (rv != 0)
			codec_rd_fail(rd); /* the same id or address twice */
	}
	if (rd->err != 0) {
		raft_configuration_close(conf);
		raft_configuration_init(conf);
	}
	return rd->err;
}

void
rcodec_env_put(struct codec_wr *wr, const struct rcodec_env *env)
{
	codec_wr_u8(wr, RCODEC_VERSION);
	codec_wr_uuid(wr, env->group);
	codec_wr_u64(wr, env->from);
	codec_wr_u64(wr, env->to);
	codec_wr_u64(wr, env->term);
	codec_wr_str(wr, env->addr);
	codec_wr_varint(wr, env->msg_nr);
}

int
rcodec_env_get(struct codec_rd *rd, struct rcodec_env *ret_env)
{
	if (codec_rd_u8(rd) != RCODEC_VERSION)
		codec_rd_fail(rd);
	codec_rd_uuid(rd, ret_env->group);
	ret_env->from = codec_rd_u64(rd);
	ret_env->to = codec_rd_u64(rd);
	ret_env->term = codec_rd_u64(rd);
	codec_rd_str(rd, ret_env->addr, sizeof(ret_env->addr));
	ret_env->msg_nr = codec_rd_varint_max(rd, RCODEC_ENTRIES_MAX);
	if (ret_env->from == 0 || ret_env->addr[0] == '\0')
		codec_rd_fail(rd);
	return rd->err;
}

static void
entries_put(struct codec_wr *wr, const struct raft_entry *entries, unsigned n)
{
	unsigned i;

	codec_wr_varint(wr, n);
	for (i = 0; i < n; i++) {
		codec_wr_varint(wr, entries[i].term);
		codec_wr_u8(wr, (uint8_t)entries[i].type);
		codec_wr_blob(wr, entries[i].buf.base, entries[i].buf.len);
	}
}

/*
 * A configuration inside a RAFT_CHANGE entry is in libraft's own encoding, which its decoder does
 * not bounds-check: version u8 = 1, number u64, then id u64, address with final zero, role u8 each.
 */
static bool
change_ok(const void *data, size_t len)
{
	struct codec_rd rd;
	uint64_t n;

	codec_rd_init(&rd, data, len);
	if (codec_rd_u8(&rd) != 1)
		return false;
	n = codec_rd_u64(&rd);
	if (n == 0 || n > RCODEC_SERVERS_MAX)
		return false;
	for (; n > 0 && rd.err == 0; n--) {
		const uint8_t *end;

		if (codec_rd_u64(&rd) == 0 || rd.err != 0)
			return false;
		end = memchr(rd.p, 0, codec_rd_left(&rd));
		if (end == NULL || end - rd.p >= RCODEC_ADDR_MAX)
			return false;
		codec_rd_ref(&rd, (size_t)(end - rd.p) + 1);
		if (codec_rd_u8(&rd) > RAFT_SPARE)
			return false;
	}
	return rd.err == 0;
}

/* Two passes over the same bytes: first how much there is, then into one allocation ("batch"). */
static int
entries_get(struct codec_rd *rd, struct raft_entry **ret_entries, unsigned *ret_nr)
{
	uint64_t n = codec_rd_varint_max(rd, RCODEC_ENTRIES_MAX);
	struct codec_rd scan;
	struct raft_entry *entries;
	uint8_t *batch;
	size_t bytes = 0;
	uint64_t i;

	*ret_entries = NULL;
	*ret_nr = 0;
	if (rd->err != 0 || n == 0)
		return rd->err;
	if (n > codec_rd_left(rd) / 3) { /* each takes at least 3 bytes */
		codec_rd_fail(rd);
		return rd->err;
	}
	scan = *rd;
	for (i = 0; i < n; i++) {
		uint64_t term = codec_rd_varint(&scan);
		uint8_t type = codec_rd_u8(&scan);
		const void *data;
		size_t len;

		data = codec_rd_blob(&scan, RCODEC_ENVELOPE_MAX, &len);
		if (term == 0 || type < RAFT_COMMAND || type > RAFT_CHANGE)
			codec_rd_fail(&scan);
		if (type == RAFT_CHANGE && scan.err == 0 && !change_ok(data, len))
			codec_rd_fail(&scan);
		bytes += (len + 7) & ~(size_t)7;
	}
	if (scan.err != 0) {
		codec_rd_fail(rd);
		return rd->err;
	}
	entries = raft_calloc(n, sizeof(*entries));
	batch = raft_malloc(bytes != 0 ? bytes : 8);
	if (entries == NULL || batch == NULL) {
		raft_free(entries);
		raft_free(batch);
		rd->err = -DER_NOMEM;
		return rd->err;
	}
	for (bytes = 0, i = 0; i < n; i++) {
		const void *data;
		size_t len;

		entries[i].term = codec_rd_varint(rd);
		entries[i].type = codec_rd_u8(rd);
		data = codec_rd_blob(rd, RCODEC_ENVELOPE_MAX, &len);
		entries[i].batch = batch;
		entries[i].buf.base = batch + bytes;
		entries[i].buf.len = len;
		if (len != 0)
			memcpy(batch + bytes, data, len);
		bytes += (len + 7) & ~(size_t)7;
	}
	*ret_entries = entries;
	*ret_nr = (unsigned)n;
	return 0;
}

void
rcodec_msg_put(struct codec_wr *wr, const struct raft_message *msg)
{
	codec_wr_u8(wr, (uint8_t)msg->type);
	switch (msg->type) {
	case RAFT_IO_APPEND_ENTRIES: {
		const struct raft_append_entries *m = &msg->append_entries;

		codec_wr_u64(wr, m->term);
		codec_wr_u64(wr, m->prev_log_index);
		codec_wr_u64(wr, m->prev_log_term);
		codec_wr_u64(wr, m->leader_commit);
		entries_put(wr, m->entries, m->n_entries);
		break;
	}
	case RAFT_IO_APPEND_ENTRIES_RESULT: {
		const struct raft_append_entries_result *m = &msg->append_entries_result;

		codec_wr_u64(wr, m->term);
		codec_wr_u64(wr, m->rejected);
		codec_wr_u64(wr, m->last_log_index);
		break;
	}
	case RAFT_IO_REQUEST_VOTE: {
		const struct raft_request_vote *m = &msg->request_vote;

		codec_wr_u64(wr, m->term);
		codec_wr_u64(wr, m->candidate_id);
		codec_wr_u64(wr, m->last_log_index);
		codec_wr_u64(wr, m->last_log_term);
		codec_wr_bool(wr, m->disrupt_leader);
		codec_wr_bool(wr, m->pre_vote);
		break;
	}
	case RAFT_IO_REQUEST_VOTE_RESULT: {
		const struct raft_request_vote_result *m = &msg->request_vote_result;

		codec_wr_u64(wr, m->term);
		codec_wr_bool(wr, m->vote_granted);
		codec_wr_u8(wr, (uint8_t)m->pre_vote);
		break;
	}
	case RAFT_IO_INSTALL_SNAPSHOT: {
		const struct raft_install_snapshot *m = &msg->install_snapshot;

		codec_wr_u64(wr, m->term);
		codec_wr_u64(wr, m->last_index);
		codec_wr_u64(wr, m->last_term);
		codec_wr_u64(wr, m->conf_index);
		rcodec_conf_put(wr, &m->conf);
		codec_wr_blob(wr, m->data.base, m->data.len);
		break;
	}
	case RAFT_IO_TIMEOUT_NOW: {
		const struct raft_timeout_now *m = &msg->timeout_now;

		codec_wr_u64(wr, m->term);
		codec_wr_u64(wr, m->last_log_index);
		codec_wr_u64(wr, m->last_log_term);
		break;
	}
	default:
		wr->err = -DER_INVAL;
	}
}

static void
install_snapshot_get(struct codec_rd *rd, struct raft_install_snapshot *m)
{
	const void *data;
	size_t len;

	raft_configuration_init(&m->conf);
	m->data.base = NULL;
	m->term = codec_rd_u64(rd);
	m->last_index = codec_rd_u64(rd);
	m->last_term = codec_rd_u64(rd);
	m->conf_index = codec_rd_u64(rd);
	if (rcodec_conf_get(rd, &m->conf) != 0)
		return;
	data = codec_rd_blob(rd, RCODEC_ENVELOPE_MAX, &len);
	if (rd->err == 0 && (m->last_index == 0 || m->last_term == 0 || m->conf.n == 0))
		codec_rd_fail(rd);
	if (rd->err != 0)
		return;
	m->data.base = raft_malloc(len != 0 ? len : 1);
	if (m->data.base == NULL) {
		rd->err = -DER_NOMEM;
		return;
	}
	memcpy(m->data.base, data, len);
	m->data.len = len;
}

int
rcodec_msg_get(struct codec_rd *rd, struct raft_message *ret_msg)
{
	struct raft_message msg;

	memset(&msg, 0, sizeof(msg));
	msg.type = codec_rd_u8(rd);
	switch (msg.type) {
	case RAFT_IO_APPEND_ENTRIES: {
		struct raft_append_entries *m = &msg.append_entries;

		m->term = codec_rd_u64(rd);
		m->prev_log_index = codec_rd_u64(rd);
		m->prev_log_term = codec_rd_u64(rd);
		m->leader_commit = codec_rd_u64(rd);
		entries_get(rd, &m->entries, &m->n_entries);
		break;
	}
	case RAFT_IO_APPEND_ENTRIES_RESULT: {
		struct raft_append_entries_result *m = &msg.append_entries_result;

		m->term = codec_rd_u64(rd);
		m->rejected = codec_rd_u64(rd);
		m->last_log_index = codec_rd_u64(rd);
		break;
	}
	case RAFT_IO_REQUEST_VOTE: {
		struct raft_request_vote *m = &msg.request_vote;

		m->term = codec_rd_u64(rd);
		m->candidate_id = codec_rd_u64(rd);
		m->last_log_index = codec_rd_u64(rd);
		m->last_log_term = codec_rd_u64(rd);
		m->disrupt_leader = codec_rd_bool(rd);
		m->pre_vote = codec_rd_bool(rd);
		if (m->candidate_id == 0)
			codec_rd_fail(rd);
		break;
	}
	case RAFT_IO_REQUEST_VOTE_RESULT: {
		struct raft_request_vote_result *m = &msg.request_vote_result;
		uint8_t pre;

		m->term = codec_rd_u64(rd);
		m->vote_granted = codec_rd_bool(rd);
		pre = codec_rd_u8(rd);
		if (pre > raft_tribool_false)
			codec_rd_fail(rd);
		m->pre_vote = (raft_tribool)pre;
		break;
	}
	case RAFT_IO_INSTALL_SNAPSHOT:
		install_snapshot_get(rd, &msg.install_snapshot);
		break;
	case RAFT_IO_TIMEOUT_NOW: {
		struct raft_timeout_now *m = &msg.timeout_now;

		m->term = codec_rd_u64(rd);
		m->last_log_index = codec_rd_u64(rd);
		m->last_log_term = codec_rd_u64(rd);
		break;
	}
	default:
		codec_rd_fail(rd);
	}
	if (rd->err != 0) {
		rcodec_msg_fini(&msg);
		return rd->err;
	}
	*ret_msg = msg;
	return 0;
}

void
rcodec_msg_fini(struct raft_message *msg)
{
	switch (msg->type) {
	case RAFT_IO_APPEND_ENTRIES:
		if (msg->append_entries.entries != NULL) {
			raft_free(msg->append_entries.entries[0].batch);
			raft_free(msg->append_entries.entries);
		}
		break;
	case RAFT_IO_INSTALL_SNAPSHOT:
		raft_configuration_close(&msg->install_snapshot.conf);
		raft_free(msg->install_snapshot.data.base);
		break;
	default:
		break;
	}
	memset(msg, 0, sizeof(*msg));
}
