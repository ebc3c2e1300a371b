/*
 * Requests of the leader to engines: one, or the same one to many at a time. Nothing here retries:
 * whoever needs an answer in the end asks again later.
 */
#define LOG_FACILITY "mgmt"

#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/mem.h"
#include "server/mgmt/mgmt_internal.h"

int co_fn
ms_engine_call_uri(struct mgmt *mgmt, const char *uri, uint32_t opc, const ProtobufCMessage *msg,
		   const ProtobufCMessageDescriptor *rep_desc, ProtobufCMessage **ret_rep,
		   uint32_t timeout_ms)
{
	struct rpc_call call = {.opc = opc};
	struct rpc_peer *peer;
	struct iovec iov = {0};
	uint8_t *buf = NULL;
	int rc;

	if (msg != NULL) {
		buf = mem_alloc(protobuf_c_message_get_packed_size(msg) + 1);
		if (buf == NULL)
			return -DER_NOMEM;
		iov.iov_base = buf;
		iov.iov_len = protobuf_c_message_pack(msg, buf);
	}
	rc = rpc_peer_get(mgmt->conf.ep, uri, &peer);
	if (rc != 0) {
		free(buf);
		return rc;
	}
	call.body = &iov;
	call.body_nr = iov.iov_len != 0 ? 1 : 0;
	call.deadline_ns = xs_now_fresh_ns(mgmt->xs) + timeout_ms * 1000000ull;
	rc = rpc_call_send(mgmt->conf.ep, peer, &call);
	if (rc == 0)
		rc = call.status;
	if (rc == 0 && rep_desc != NULL) {
		*ret_rep = protobuf_c_message_unpack(rep_desc, NULL, call.reply_len, call.reply);
		if (*ret_rep == NULL)
			rc = -DER_PROTO;
	}
	rpc_call_fini(&call);
	rpc_peer_put(peer);
	free(buf);
	return rc;
}

int co_fn
ms_engine_call(struct mgmt *mgmt, uint32_t rank, uint32_t opc, const ProtobufCMessage *msg,
	       const ProtobufCMessageDescriptor *rep_desc, ProtobufCMessage **ret_rep,
	       uint32_t timeout_ms)
{
	const struct st_rank *r = state_rank(mgmt->st, rank);
	char uri[RPC_URI_MAX];

	if (r == NULL || strlen(r->uri) >= sizeof(uri))
		return -DER_NONEXIST;
	strcpy(uri, r->uri); /* the record may go while the call is under way */
	return ms_engine_call_uri(mgmt, uri, opc, msg, rep_desc, ret_rep, timeout_ms);
}

struct leg {
	struct mgmt *mgmt;
	struct co_sem *sem;
	struct ms_answer *answer;
	uint32_t opc;
	const ProtobufCMessage *msg;
	const ProtobufCMessageDescriptor *rep_desc;
	uint32_t timeout_ms;
};

static int co_fn
leg_run(void *arg)
{
	struct leg *leg = arg;

	leg->answer->rc = ms_engine_call(leg->mgmt, leg->answer->rank, leg->opc, leg->msg,
					 leg->rep_desc, &leg->answer->rep, leg->timeout_ms);
	co_sem_put(leg->sem);
	return leg->answer->rc;
}

int co_fn
ms_fanout(struct mgmt *mgmt, uint32_t opc, const ProtobufCMessage *msg,
	  const ProtobufCMessageDescriptor *rep_desc, struct ms_answer *answers, uint32_t nr,
	  uint32_t timeout_ms)
{
	struct leg *legs = mem_calloc(nr + 1, sizeof(*legs));
	struct co_group group;
	struct co_sem sem;
	uint32_t i;
	int rc;

	if (legs == NULL)
		return -DER_NOMEM;
	co_group_init(&group);
	co_sem_init(&sem, MS_FANOUT_MAX);
	for (i = 0; i < nr; i++) {
		legs[i] = (struct leg){
		    .mgmt = mgmt,
		    .sem = &sem,
		    .answer = &answers[i],
		    .opc = opc,
		    .msg = msg,
		    .rep_desc = rep_desc,
		    .timeout_ms = timeout_ms,
		};
		co_sem_get(&sem);
		answers[i].rc = co_group_spawn(&group, leg_run, &legs[i]);
		if (answers[i].rc != 0)
			co_sem_put(&sem);
	}
	rc = co_group_join(&group);
	for (i = 0; i < nr && rc == 0; i++)
		rc = answers[i].rc;
	free(legs);
	return rc;
}

void
ms_answers_free(struct ms_answer *answers, uint32_t nr)
{
	uint32_t i;

	for (i = 0; i < nr; i++)
		if (answers[i].rep != NULL)
			protobuf_c_message_free_unpacked(answers[i].rep, NULL);
	free(answers);
}
