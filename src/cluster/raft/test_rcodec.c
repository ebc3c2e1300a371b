/* Messages between replicas: round trips, every truncation, random damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <daos_errno.h>

#include "base/hash.h"
#include "cluster/raft/rcodec.h"

static struct raft_configuration conf;
static struct raft_buffer change;
static struct raft_entry entries[3];
static struct raft_message messages[6];
static uint8_t big[5000];

static int
setup(void **state)
{
	raft_configuration_init(&conf);
	assert_int_equal(raft_configuration_add(&conf, 5, "ofi+net://127.0.0.1:1", RAFT_VOTER), 0);
	assert_int_equal(raft_configuration_add(&conf, 6, "ofi+net://127.0.0.1:2", RAFT_SPARE), 0);
	assert_int_equal(raft_configuration_encode(&conf, &change), 0);
	memset(big, 7, sizeof(big));
	entries[0] =
	    (struct raft_entry){.term = 3, .type = RAFT_COMMAND, .buf = {big, sizeof(big)}};
	entries[1] = (struct raft_entry){.term = 3, .type = RAFT_BARRIER, .buf = {big, 0}};
	entries[2] = (struct raft_entry){.term = 4, .type = RAFT_CHANGE, .buf = change};
	messages[0].type = RAFT_IO_APPEND_ENTRIES;
	messages[0].append_entries = (struct raft_append_entries){
	    .term = 9,
	    .prev_log_index = 1,
	    .prev_log_term = 2,
	    .leader_commit = 3,
	    .entries = entries,
	    .n_entries = 3,
	};
	messages[1].type = RAFT_IO_APPEND_ENTRIES_RESULT;
	messages[1].append_entries_result =
	    (struct raft_append_entries_result){.term = 9, .rejected = 8, .last_log_index = 7};
	messages[2].type = RAFT_IO_REQUEST_VOTE;
	messages[2].request_vote = (struct raft_request_vote){
	    .term = 9,
	    .candidate_id = 6,
	    .last_log_index = 5,
	    .last_log_term = 4,
	    .disrupt_leader = true,
	    .pre_vote = false,
	};
	messages[3].type = RAFT_IO_REQUEST_VOTE_RESULT;
	messages[3].request_vote_result = (struct raft_request_vote_result){
	    .term = 9, .vote_granted = true, .pre_vote = raft_tribool_false};
	messages[4].type = RAFT_IO_INSTALL_SNAPSHOT;
	messages[4].install_snapshot = (struct raft_install_snapshot){
	    .term = 9,
	    .last_index = 8,
	    .last_term = 7,
	    .conf_index = 6,
	    .conf = conf,
	    .data = {big, 100},
	};
	messages[5].type = RAFT_IO_TIMEOUT_NOW;
	messages[5].timeout_now =
	    (struct raft_timeout_now){.term = 9, .last_log_index = 8, .last_log_term = 7};
	return 0;
}

static int
teardown(void **state)
{
	raft_configuration_close(&conf);
	raft_free(change.base);
	return 0;
}

static void
encode(unsigned i, struct codec_wr *wr)
{
	codec_wr_init(wr, 0);
	rcodec_msg_put(wr, &messages[i]);
	assert_int_equal(codec_wr_err(wr), 0);
}

static void
same_entries(const struct raft_append_entries *m)
{
	unsigned i;

	assert_int_equal(m->n_entries, 3);
	for (i = 0; i < 3; i++) {
		assert_int_equal(m->entries[i].term, entries[i].term);
		assert_int_equal(m->entries[i].type, entries[i].type);
		assert_int_equal(m->entries[i].buf.len, entries[i].buf.len);
		assert_memory_equal(m->entries[i].buf.base, entries[i].buf.base,
				    entries[i].buf.len);
		assert_ptr_equal(m->entries[i].batch, m->entries[0].batch);
	}
}

static void
test_round_trip(void **state)
{
	struct raft_message m;
	struct codec_wr wr;
	struct codec_rd rd;
	unsigned i;

	for (i = 0; i < 6; i++) {
		encode(i, &wr);
		codec_rd_init(&rd, wr.base, wr.len);
		assert_int_equal(rcodec_msg_get(&rd, &m), 0);
		assert_int_equal(codec_rd_end(&rd), 0);
		assert_int_equal(m.type, messages[i].type);
		switch (m.type) {
		case RAFT_IO_APPEND_ENTRIES:
			assert_int_equal(m.append_entries.leader_commit, 3);
			assert_int_equal(m.append_entries.prev_log_term, 2);
			same_entries(&m.append_entries);
			break;
		case RAFT_IO_APPEND_ENTRIES_RESULT:
			assert_int_equal(m.append_entries_result.rejected, 8);
			assert_int_equal(m.append_entries_result.last_log_index, 7);
			break;
		case RAFT_IO_REQUEST_VOTE:
			assert_int_equal(m.request_vote.candidate_id, 6);
			assert_true(m.request_vote.disrupt_leader);
			assert_false(m.request_vote.pre_vote);
			break;
		case RAFT_IO_REQUEST_VOTE_RESULT:
			assert_true(m.request_vote_result.vote_granted);
			assert_int_equal(m.request_vote_result.pre_vote, raft_tribool_false);
			break;
		case RAFT_IO_INSTALL_SNAPSHOT:
			assert_int_equal(m.install_snapshot.conf_index, 6);
			assert_int_equal(m.install_snapshot.conf.n, 2);
			assert_string_equal(m.install_snapshot.conf.servers[1].address,
					    "ofi+net://127.0.0.1:2");
			assert_int_equal(m.install_snapshot.conf.servers[1].role, RAFT_SPARE);
			assert_int_equal(m.install_snapshot.data.len, 100);
			break;
		default:
			assert_int_equal(m.timeout_now.last_log_term, 7);
		}
		rcodec_msg_fini(&m);
		codec_wr_fini(&wr);
	}
}

static void
test_truncated(void **state)
{
	struct raft_message m;
	struct codec_wr wr;
	struct codec_rd rd;
	unsigned i;
	size_t len;

	for (i = 0; i < 6; i++) {
		encode(i, &wr);
		for (len = 0; len < wr.len; len++) {
			uint8_t *exact = malloc(len + 1);

			memcpy(exact, wr.base, len);
			codec_rd_init(&rd, exact, len);
			assert_int_equal(rcodec_msg_get(&rd, &m), -DER_PROTO);
			free(exact);
		}
		codec_wr_fini(&wr);
	}
}

static void
test_damaged(void **state)
{
	struct raft_message m;
	struct codec_wr wr;
	struct codec_rd rd;
	uint64_t seed = 1;
	unsigned i;
	unsigned k;

	for (i = 0; i < 6; i++) {
		encode(i, &wr);
		for (k = 0; k < 3000; k++) {
			uint8_t *copy = malloc(wr.len);

			memcpy(copy, wr.base, wr.len);
			seed = hash_u64(seed);
			/* Mostly where the structure is. */
			copy[seed % (k % 2 == 0 && wr.len > 64 ? 64 : wr.len)] ^=
			    (uint8_t)(1 + (seed >> 50) % 255);
			codec_rd_init(&rd, copy, wr.len);
			if (rcodec_msg_get(&rd, &m) == 0)
				rcodec_msg_fini(&m);
			free(copy);
		}
		codec_wr_fini(&wr);
	}
}

/* libraft would read a bad configuration without looking at its bounds. */
static void
test_bad_change(void **state)
{
	struct raft_message m;
	struct codec_wr wr;
	struct codec_rd rd;
	size_t keep = entries[2].buf.len;

	for (entries[2].buf.len = 0; entries[2].buf.len < 60; entries[2].buf.len++) {
		encode(0, &wr);
		codec_rd_init(&rd, wr.base, wr.len);
		assert_int_equal(rcodec_msg_get(&rd, &m), -DER_PROTO);
		codec_wr_fini(&wr);
	}
	entries[2].buf.len = keep;
}

static void
test_envelope(void **state)
{
	struct rcodec_env env = {
	    .group = {1}, .from = 2, .to = 3, .term = 9, .addr = "a", .msg_nr = 4};
	struct rcodec_env got;
	struct codec_wr wr;
	struct codec_rd rd;

	codec_wr_init(&wr, 0);
	rcodec_env_put(&wr, &env);
	codec_rd_init(&rd, wr.base, wr.len);
	assert_int_equal(rcodec_env_get(&rd, &got), 0);
	assert_int_equal(codec_rd_end(&rd), 0);
	assert_memory_equal(got.group, env.group, 16);
	assert_int_equal(got.from, 2);
	assert_int_equal(got.to, 3);
	assert_int_equal(got.term, 9);
	assert_string_equal(got.addr, "a");
	assert_int_equal(got.msg_nr, 4);
	wr.base[0]++; /* another version */
	codec_rd_init(&rd, wr.base, wr.len);
	assert_int_equal(rcodec_env_get(&rd, &got), -DER_PROTO);
	codec_wr_fini(&wr);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip), cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_damaged),    cmocka_unit_test(test_bad_change),
	    cmocka_unit_test(test_envelope),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
