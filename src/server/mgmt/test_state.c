/*
 * The state machine alone: commands give what they should, equal commands give equal snapshots, a
 * snapshot restored is the same state, repeated commands are executed once, nonsense does no harm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include <daos_cont.h>
#include <daos_errno.h>
#include <daos_pool.h>
#include <daos_prop.h>
#include <daos_security.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/mgmt/mscmd.pb-c.h"
#include "server/mgmt/prop.h"
#include "server/mgmt/state.h"

#define GIB (1ull << 30)

/* Applies each command to two states and, now and then, carries the second one over a snapshot. */
struct twin {
	struct state *a;
	struct state *b;
	uint32_t nr;
	uint64_t seq;
};

static void
compare(struct twin *t)
{
	void *x;
	void *y;
	size_t xl;
	size_t yl;

	assert_int_equal(state_snapshot(t->a, &x, &xl), 0);
	assert_int_equal(state_snapshot(t->b, &y, &yl), 0);
	assert_int_equal(xl, yl);
	assert_memory_equal(x, y, xl);
	free(x);
	free(y);
}

static void
through_snapshot(struct twin *t)
{
	struct state *st;
	void *buf;
	size_t len;

	assert_int_equal(state_snapshot(t->b, &buf, &len), 0);
	assert_int_equal(state_restore(buf, len, &st), 0);
	free(buf);
	state_destroy(t->b);
	t->b = st;
}

static int
apply(struct twin *t, const Ms__Cmd *cmd, uint64_t *ret_number)
{
	size_t len = ms__cmd__get_packed_size(cmd);
	uint8_t *buf = malloc(len + 1);
	void *ra = NULL;
	void *rb = NULL;
	size_t la = 0;
	size_t lb = 0;
	int rc;

	ms__cmd__pack(cmd, buf);
	rc = state_apply(t->a, buf, len, &ra, &la);
	assert_int_equal(state_apply(t->b, buf, len, &rb, &lb), rc);
	assert_int_equal(la, lb);
	if (la != 0)
		assert_memory_equal(ra, rb, la);
	if (ret_number != NULL && rc == 0) {
		Ms__CmdRep *rep = ms__cmd_rep__unpack(NULL, la, ra);

		assert_non_null(rep);
		*ret_number = rep->number;
		ms__cmd_rep__free_unpacked(rep, NULL);
	}
	free(buf);
	free(ra);
	free(rb);
	if (++t->nr % 7 == 0)
		through_snapshot(t);
	if (t->nr % 5 == 0 && t->nr < 500)
		compare(t);
	return rc;
}

static void
start(Ms__Cmd *cmd, struct twin *t, uint32_t kind)
{
	ms__cmd__init(cmd);
	cmd->kind = kind;
	cmd->now_ms = 1000000 + t->nr;
	cmd->now_hlc = 1000 + t->nr;
}

static void
bytes16(ProtobufCBinaryData *b, const void *data)
{
	b->data = (uint8_t *)data;
	b->len = 16;
}

/* Pack a request into a command. */
#define PUT_REQ(cmd_, msg_, buf_)                                                                  \
	do {                                                                                       \
		assert_true(protobuf_c_message_get_packed_size(&(msg_)->base) <= sizeof(buf_));    \
		(cmd_)->req.len = protobuf_c_message_pack(&(msg_)->base, buf_);                    \
		(cmd_)->req.data = buf_;                                                           \
	} while (0)

static int
setup(void **state)
{
	static uint8_t key[CAP_KEY_BYTES] = {1, 2, 3};
	static uint8_t uuid[16] = {0xff};
	struct twin *t = calloc(1, sizeof(*t));
	Ms__Cmd cmd;

	assert_int_equal(state_create(&t->a), 0);
	assert_int_equal(state_create(&t->b), 0);
	start(&cmd, t, MS_CMD_RANK_STATE);
	assert_int_equal(apply(t, &cmd, NULL), -DER_UNINIT);
	start(&cmd, t, MS_CMD_INIT);
	bytes16(&cmd.pool, uuid);
	cmd.blob.data = key;
	cmd.blob.len = sizeof(key);
	cmd.name = "daos_server";
	cmd.user = "uri0";
	cmd.number = 77;
	assert_int_equal(apply(t, &cmd, NULL), 0);
	assert_int_equal(apply(t, &cmd, NULL), -DER_ALREADY);
	*state = t;
	return 0;
}

static int
teardown(void **state)
{
	struct twin *t = *state;

	compare(t);
	state_destroy(t->a);
	state_destroy(t->b);
	free(t);
	return 0;
}

static int
join(struct twin *t, uint8_t id, uint32_t rank, const char *uri, uint64_t *ret_rank)
{
	Mgmt__JoinReq req = MGMT__JOIN_REQ__INIT;
	uint8_t uuid[16] = {0xee, id};
	uint8_t buf[512];
	Ms__Cmd cmd;

	start(&cmd, t, MS_CMD_JOIN);
	bytes16(&req.uuid, uuid);
	req.rank = rank;
	req.uri = (char *)uri;
	req.target_nr = 4;
	req.fault_domain = "/host";
	req.control_addr = "host:1";
	req.incarnation = t->nr;
	req.scm_total = 10 * GIB;
	req.nvme_total = 100 * GIB;
	PUT_REQ(&cmd, &req, buf);
	return apply(t, &cmd, ret_rank);
}

/* Ranks 0 to 2. */
static void
joined(struct twin *t)
{
	uint64_t rank;

	assert_int_equal(join(t, 0, MGMT_RANK_NONE, "uri0", &rank), 0);
	assert_int_equal(rank, 0);
	assert_int_equal(join(t, 1, 1, "uri1", &rank), 0);
	assert_int_equal(join(t, 2, MGMT_RANK_NONE, "uri2", &rank), 0);
	assert_int_equal(rank, 2);
}

static int
pool_begin_id(struct twin *t, const uint8_t *uuid, const char *label, uint64_t scm,
	      const uint8_t *client, uint64_t seq)
{
	Mgmt__PoolCreateReq req = MGMT__POOL_CREATE_REQ__INIT;
	static uint32_t ranks[] = {0, 1, 2};
	struct blob props = {0};
	uint8_t buf[512];
	Ms__Cmd cmd;
	int rc;

	start(&cmd, t, MS_CMD_POOL_BEGIN);
	if (client != NULL) {
		bytes16(&cmd.client, client);
		cmd.seq = seq;
	}
	bytes16(&req.uuid, uuid);
	req.label = (char *)label;
	req.scm_bytes = scm;
	req.nvme_bytes = GIB;
	assert_int_equal(prop_complete(NULL, 0, false, NULL, &props), 0);
	cmd.ranks = ranks;
	cmd.n_ranks = 3;
	cmd.blob.data = props.data;
	cmd.blob.len = props.len;
	PUT_REQ(&cmd, &req, buf);
	rc = apply(t, &cmd, NULL);
	blob_fini(&props);
	return rc;
}

static int
pool_begin(struct twin *t, const uint8_t *uuid, const char *label, uint64_t scm)
{
	return pool_begin_id(t, uuid, label, scm, NULL, 0);
}

static int
pool_cmd(struct twin *t, uint32_t kind, const uint8_t *uuid, int rc)
{
	Ms__Cmd cmd;

	start(&cmd, t, kind);
	bytes16(&cmd.pool, uuid);
	cmd.rc = rc;
	return apply(t, &cmd, NULL);
}

static int
pool_destroy(struct twin *t, const uint8_t *uuid, bool force, bool recursive)
{
	Mgmt__PoolDestroyReq req = MGMT__POOL_DESTROY_REQ__INIT;
	uint8_t buf[64];
	Ms__Cmd cmd;

	start(&cmd, t, MS_CMD_POOL_DESTROY);
	bytes16(&cmd.pool, uuid);
	req.force = force;
	req.recursive = recursive;
	PUT_REQ(&cmd, &req, buf);
	return apply(t, &cmd, NULL);
}

static int
reaped(struct twin *t, uint32_t kind, const uint8_t *uuid, uint32_t rank)
{
	Ms__Cmd cmd;

	start(&cmd, t, kind);
	if (kind == MS_CMD_POOL_REAPED)
		bytes16(&cmd.pool, uuid);
	else
		bytes16(&cmd.cont, uuid);
	cmd.ranks = &rank;
	cmd.n_ranks = 1;
	return apply(t, &cmd, NULL);
}

static int
connect_pool(struct twin *t, const uint8_t *pool, const uint8_t *handle, uint64_t flags,
	     const char *user)
{
	Mgmt__PoolConnectReq req = MGMT__POOL_CONNECT_REQ__INIT;
	Mgmt__Credential cred = MGMT__CREDENTIAL__INIT;
	char *groups[] = {"wheel@", "users@"};
	uint8_t buf[512];
	Ms__Cmd cmd;

	start(&cmd, t, MS_CMD_POOL_CONNECT);
	bytes16(&cmd.pool, pool);
	bytes16(&req.handle, handle);
	req.flags = flags;
	cred.user = (char *)user;
	cred.group = "staff@";
	cred.machine = "node1";
	cred.groups = groups;
	cred.n_groups = 2;
	req.cred = &cred;
	cmd.number = DAOS_ACL_PERM_POOL_ALL;
	PUT_REQ(&cmd, &req, buf);
	return apply(t, &cmd, NULL);
}

static int
close_handle(struct twin *t, uint32_t kind, const uint8_t *handle)
{
	Ms__Cmd cmd;

	start(&cmd, t, kind);
	bytes16(&cmd.handle, handle);
	return apply(t, &cmd, NULL);
}

static int
cont_create(struct twin *t, const uint8_t *pool, const uint8_t *uuid, const char *label)
{
	Mgmt__ContCreateReq req = MGMT__CONT_CREATE_REQ__INIT;
	static struct blob props;
	uint8_t buf[64];
	Ms__Cmd cmd;

	if (props.data == NULL)
		assert_int_equal(prop_complete(NULL, 0, true, NULL, &props), 0);
	start(&cmd, t, MS_CMD_CONT_CREATE);
	bytes16(&cmd.pool, pool);
	bytes16(&req.uuid, uuid);
	cmd.name = (char *)label;
	cmd.blob.data = props.data;
	cmd.blob.len = props.len;
	PUT_REQ(&cmd, &req, buf);
	return apply(t, &cmd, NULL);
}

static int
cont_open(struct twin *t, const uint8_t *pool, const uint8_t *cont, const uint8_t *ph,
	  const uint8_t *handle, uint64_t flags)
{
	Mgmt__ContOpenReq req = MGMT__CONT_OPEN_REQ__INIT;
	uint8_t buf[128];
	Ms__Cmd cmd;

	start(&cmd, t, MS_CMD_CONT_OPEN);
	bytes16(&cmd.pool, pool);
	bytes16(&cmd.cont, cont);
	bytes16(&req.pool_handle, ph);
	bytes16(&req.handle, handle);
	req.flags = flags;
	cmd.number = 3;
	PUT_REQ(&cmd, &req, buf);
	return apply(t, &cmd, NULL);
}

static int
cont_destroy(struct twin *t, const uint8_t *pool, const uint8_t *cont, bool force)
{
	Mgmt__ContDestroyReq req = MGMT__CONT_DESTROY_REQ__INIT;
	uint8_t buf[64];
	Ms__Cmd cmd;

	start(&cmd, t, MS_CMD_CONT_DESTROY);
	bytes16(&cmd.pool, pool);
	bytes16(&cmd.cont, cont);
	req.force = force;
	PUT_REQ(&cmd, &req, buf);
	return apply(t, &cmd, NULL);
}

static const uint8_t P1[16] = {0x10};
static const uint8_t P2[16] = {0x20};
static const uint8_t H1[16] = {0x31};
static const uint8_t H2[16] = {0x32};
static const uint8_t C1[16] = {0x41};
static const uint8_t C2[16] = {0x42};
static const uint8_t O1[16] = {0x51};
static const uint8_t O2[16] = {0x52};

/* A ready pool P1 "tank" with handle H1 and containers C1 "home", C2. */
static void
furnished(struct twin *t)
{
	joined(t);
	assert_int_equal(pool_begin(t, P1, "tank", GIB), 0);
	assert_int_equal(pool_cmd(t, MS_CMD_POOL_READY, P1, 0), 0);
	assert_int_equal(connect_pool(t, P1, H1, DAOS_PC_RW, "joe@"), 0);
	assert_int_equal(cont_create(t, P1, C1, "home"), 0);
	assert_int_equal(cont_create(t, P1, C2, ""), 0);
}

/* --- tests ----------------------------------------------------------------------------------- */

static void
test_join(void **state)
{
	struct twin *t = *state;
	uint64_t version;
	uint64_t rank;

	joined(t);
	assert_int_equal(state_rank(t->a, 0)->raft_id, 77); /* the first replica's address */
	assert_int_equal(state_rank(t->a, 1)->raft_id, 0);
	assert_int_equal(join(t, 9, 1, "uri9", &rank), -DER_EXIST);
	/* Again, in another incarnation: keeps its rank, nobody needs to hear. */
	version = t->a->sys_version;
	assert_int_equal(join(t, 1, MGMT_RANK_NONE, "uri1", &rank), 0);
	assert_int_equal(rank, 1);
	assert_int_equal(t->a->sys_version, version);
	/* At another address: maps with it get a new version. */
	assert_int_equal(pool_begin(t, P1, "tank", GIB), 0);
	assert_int_equal(pool_cmd(t, MS_CMD_POOL_READY, P1, 0), 0);
	version = t->a->sys_version;
	assert_int_equal(join(t, 1, MGMT_RANK_NONE, "elsewhere", &rank), 0);
	assert_true(t->a->sys_version > version);
	assert_int_equal(state_pool(t->a, P1)->map_version, 2);
	assert_int_equal(state_pool(t->a, P1)->changed_at, t->a->sys_version);
}

static void
test_pools(void **state)
{
	struct twin *t = *state;
	uint32_t i;

	joined(t);
	assert_int_equal(pool_begin(t, P1, "tank", GIB), 0);
	assert_int_equal(pool_begin(t, P1, "other", GIB), -DER_EXIST);
	assert_int_equal(pool_begin(t, P2, "tank", GIB), -DER_EXIST);
	assert_int_equal(pool_begin(t, P2, "big", 9 * GIB + 1), -DER_NOSPACE);
	assert_int_equal(connect_pool(t, P1, H1, DAOS_PC_RW, "joe@"), -DER_BUSY);
	assert_int_equal(pool_destroy(t, P1, true, true), -DER_BUSY);
	assert_int_equal(pool_cmd(t, MS_CMD_POOL_READY, P1, 0), 0);
	assert_int_equal(state_pool(t->a, P1)->target_nr, 12);
	assert_ptr_equal(state_pool_by_name(t->a, "tank"), state_pool(t->a, P1));
	assert_ptr_equal(state_pool_by_name(t->a, "10000000-0000-0000-0000-000000000000"),
			 state_pool(t->a, P1));
	assert_int_equal(connect_pool(t, P1, H1, DAOS_PC_EX, "joe@"), 0);
	assert_int_equal(connect_pool(t, P1, H1, DAOS_PC_EX, "joe@"), 0);
	assert_int_equal(connect_pool(t, P1, H2, DAOS_PC_RO, "joe@"), -DER_BUSY);
	assert_int_equal(pool_destroy(t, P1, false, false), -DER_BUSY);
	assert_int_equal(close_handle(t, MS_CMD_POOL_DISCONNECT, H1), 0);
	assert_int_equal(close_handle(t, MS_CMD_POOL_DISCONNECT, H1), 0);
	assert_int_equal(cont_create(t, P1, C1, "home"), 0);
	assert_int_equal(pool_destroy(t, P1, false, false), -DER_BUSY);
	assert_int_equal(pool_destroy(t, P1, false, true), 0);
	assert_int_equal(pool_destroy(t, P1, false, true), -DER_NONEXIST);
	/* Its label is free, its space not yet. */
	assert_int_equal(pool_begin(t, P2, "tank", 9 * GIB + 1), -DER_NOSPACE);
	for (i = 0; i < 3; i++)
		assert_int_equal(reaped(t, MS_CMD_POOL_REAPED, P1, i), 0);
	assert_null(state_pool(t->a, P1));
	assert_int_equal(pool_begin(t, P2, "tank", 9 * GIB + 1), 0);
	assert_int_equal(pool_cmd(t, MS_CMD_POOL_FAILED, P2, -DER_NOSPACE), -DER_NOSPACE);
	assert_int_equal(state_pool(t->a, P2)->state, POOL_ST_DESTROYING);
	compare(t);
	for (i = 0; i < 3; i++)
		assert_int_equal(reaped(t, MS_CMD_POOL_REAPED, P2, i), 0);
	assert_int_equal(t->a->pools.nr, 0);
}

static void
test_conts(void **state)
{
	struct twin *t = *state;
	const struct st_cont *cont;

	furnished(t);
	assert_int_equal(cont_create(t, P1, C1, "x"), -DER_EXIST);
	assert_int_equal(cont_create(t, P1, O1, "home"), -DER_EXIST);
	assert_int_equal(cont_create(t, P2, O1, "home"), -DER_NONEXIST);
	cont = state_cont_by_name(state_pool(t->a, P1), "home");
	assert_memory_equal(cont->uuid, C1, 16);

	assert_int_equal(cont_open(t, P1, C1, H2, O1, DAOS_COO_RW), -DER_NO_HDL);
	assert_int_equal(cont_open(t, P1, C1, H1, O1, DAOS_COO_RW), 0);
	assert_int_equal(cont_open(t, P1, C1, H1, O1, DAOS_COO_RW), 0);
	assert_int_equal(cont_open(t, P1, C1, H1, O2, DAOS_COO_EX), -DER_BUSY);
	assert_int_equal(cont->generation, 1);
	assert_int_equal(cont_open(t, P1, C1, H1, O2, DAOS_COO_EX | DAOS_COO_EVICT_ALL), 0);
	assert_int_equal(cont->generation, 2);
	assert_null(state_handle(t->a, O1));
	assert_int_equal(cont_open(t, P1, C1, H1, O1, DAOS_COO_RO), -DER_BUSY);
	/* The same user's may go; another one's not. */
	assert_int_equal(connect_pool(t, P1, H2, DAOS_PC_RW, "ann@"), 0);
	assert_int_equal(cont_open(t, P1, C1, H2, O1, DAOS_COO_RW | DAOS_COO_EVICT), -DER_BUSY);
	assert_int_equal(cont_open(t, P1, C1, H1, O1, DAOS_COO_RW | DAOS_COO_EVICT), 0);
	assert_null(state_handle(t->a, O2));
	assert_int_equal(close_handle(t, MS_CMD_POOL_DISCONNECT, H1), -DER_BUSY);
	assert_int_equal(cont_destroy(t, P1, C1, false), -DER_BUSY);
	assert_int_equal(cont_destroy(t, P1, C1, true), 0);
	assert_int_equal(cont_destroy(t, P1, C1, true), -DER_NONEXIST);
	assert_null(state_handle(t->a, O1));
	assert_int_equal(t->a->tomb_nr, 1);
	assert_int_equal(reaped(t, MS_CMD_CONT_REAPED, C1, 0), 0);
	compare(t);
	assert_int_equal(close_handle(t, MS_CMD_POOL_DISCONNECT, H1), 0);
}

static void
test_forget(void **state)
{
	struct twin *t = *state;
	Ms__Cmd cmd;
	uint32_t i;

	furnished(t);
	assert_int_equal(cont_destroy(t, P1, C1, false), 0);
	for (i = 0; i < 3; i++) {
		start(&cmd, t, MS_CMD_CONT_FORGET);
		cmd.number = UINT64_MAX;
		assert_int_equal(apply(t, &cmd, NULL), 0);
		assert_int_equal(t->a->tomb_nr, 1); /* some rank still has it */
		assert_int_equal(reaped(t, MS_CMD_CONT_REAPED, C1, i), 0);
	}
	start(&cmd, t, MS_CMD_CONT_FORGET);
	cmd.number = 1; /* too young */
	assert_int_equal(apply(t, &cmd, NULL), 0);
	assert_int_equal(t->a->tomb_nr, 1);
	cmd.number = UINT64_MAX;
	assert_int_equal(apply(t, &cmd, NULL), 0);
	assert_int_equal(t->a->tomb_nr, 0);
}

static int
attrs(struct twin *t, uint32_t kind, const char *name, const void *value, size_t len)
{
	Mgmt__AttrReq req = MGMT__ATTR_REQ__INIT;
	Mgmt__Attr attr = MGMT__ATTR__INIT;
	Mgmt__Attr *ptr = &attr;
	static uint8_t buf[64 << 10];
	Ms__Cmd cmd;

	start(&cmd, t, kind);
	bytes16(&cmd.pool, P1);
	bytes16(&cmd.cont, C1);
	attr.name = (char *)name;
	attr.value.data = (uint8_t *)value;
	attr.value.len = len;
	req.n_attrs = 1;
	req.attrs = &ptr;
	PUT_REQ(&cmd, &req, buf);
	return apply(t, &cmd, NULL);
}

static void
test_attrs(void **state)
{
	struct twin *t = *state;
	static uint8_t big[32 << 10];
	char name[16];
	int rc = 0;
	int i;

	furnished(t);
	assert_int_equal(attrs(t, MS_CMD_CONT_ATTR_SET, "b", "1", 1), 0);
	assert_int_equal(attrs(t, MS_CMD_CONT_ATTR_SET, "a", "22", 2), 0);
	assert_int_equal(attrs(t, MS_CMD_CONT_ATTR_SET, "b", "333", 3), 0);
	assert_int_equal(attrs(t, MS_CMD_CONT_ATTR_DEL, "c", NULL, 0), -DER_NONEXIST);
	assert_int_equal(attrs(t, MS_CMD_CONT_ATTR_DEL, "a", NULL, 0), 0);
	assert_int_equal(attrs(t, MS_CMD_POOL_ATTR_SET, "p", "", 0), 0);
	/* Bounded. */
	for (i = 0; rc == 0 && i < 100; i++) {
		snprintf(name, sizeof(name), "big%d", i);
		rc = attrs(t, MS_CMD_POOL_ATTR_SET, name, big, sizeof(big));
	}
	assert_int_equal(rc, -DER_NOSPACE);
	assert_int_equal(attrs(t, MS_CMD_POOL_ATTR_DEL, "big0", NULL, 0), 0);
}

static int
set_label(struct twin *t, uint32_t kind, uint32_t type, const uint8_t *cont, const char *label)
{
	Mgmt__PropSetReq req = MGMT__PROP_SET_REQ__INIT;
	Mgmt__Prop prop = MGMT__PROP__INIT;
	Mgmt__Prop *ptr = &prop;
	uint8_t buf[256];
	Ms__Cmd cmd;

	start(&cmd, t, kind);
	bytes16(&cmd.pool, P1);
	bytes16(&cmd.cont, cont);
	prop.type = type;
	prop.kind = PROP_KIND_STR;
	prop.str = (char *)label;
	req.n_props = 1;
	req.props = &ptr;
	PUT_REQ(&cmd, &req, buf);
	return apply(t, &cmd, NULL);
}

static void
test_labels(void **state)
{
	struct twin *t = *state;
	const struct st_pool *pool;

	furnished(t);
	pool = state_pool(t->a, P1);
	assert_int_equal(set_label(t, MS_CMD_CONT_PROP_SET, DAOS_PROP_CO_LABEL, C2, "home"),
			 -DER_EXIST);
	assert_int_equal(set_label(t, MS_CMD_CONT_PROP_SET, DAOS_PROP_CO_LABEL, C1, "house"), 0);
	assert_null(state_cont_by_label(pool, "home"));
	assert_int_equal(set_label(t, MS_CMD_CONT_PROP_SET, DAOS_PROP_CO_LABEL, C2, "home"), 0);
	assert_memory_equal(state_cont_by_label(pool, "house")->uuid, C1, 16);
	assert_memory_equal(state_cont_by_label(pool, "home")->uuid, C2, 16);
	assert_int_equal(set_label(t, MS_CMD_POOL_PROP_SET, DAOS_PROP_PO_LABEL, C1, "lake"), 0);
	assert_null(state_pool_by_label(t->a, "tank"));
	assert_ptr_equal(state_pool_by_label(t->a, "lake"), pool);
}

static int
alloc(struct twin *t, const uint8_t *client, uint64_t seq, uint64_t low)
{
	Ms__Cmd cmd;

	start(&cmd, t, MS_CMD_CONT_ALLOC_OIDS);
	bytes16(&cmd.pool, P1);
	bytes16(&cmd.cont, C1);
	bytes16(&cmd.client, client);
	cmd.seq = seq;
	cmd.low_seq = low;
	cmd.number = 10;
	return apply(t, &cmd, NULL);
}

static void
test_once(void **state)
{
	static const uint8_t client[16] = {0xaa};
	struct twin *t = *state;
	const struct st_cont *cont;
	const struct st_session *s;
	Ms__Cmd cmd;

	furnished(t);
	cont = state_cont(state_pool(t->a, P1), C1);
	assert_int_equal(alloc(t, client, 1, 1), 0);
	assert_int_equal(cont->oid_next, 11);
	assert_int_equal(alloc(t, client, 1, 1), 0);
	assert_int_equal(cont->oid_next, 11);
	assert_int_equal(alloc(t, client, 3, 1), 0);
	assert_int_equal(alloc(t, client, 2, 1), 0); /* they may overtake each other */
	assert_int_equal(cont->oid_next, 31);
	s = state_session(t->a, client);
	assert_int_equal(s->result_nr, 3);
	assert_int_equal(alloc(t, client, 4, 4), 0);
	assert_int_equal(s->result_nr, 1);
	/* From before the mark: refused, not executed. */
	assert_int_equal(alloc(t, client, 2, 1), -DER_CANCELED);
	assert_int_equal(cont->oid_next, 41);

	/* A pool: the beginning is not the result. */
	assert_int_equal(pool_begin_id(t, P2, "p2", GIB, client, 5), 0);
	assert_int_equal(pool_begin_id(t, C1, "p2", GIB, client, 5), -DER_INPROGRESS);
	start(&cmd, t, MS_CMD_POOL_FAILED);
	bytes16(&cmd.pool, P2);
	bytes16(&cmd.client, client);
	cmd.seq = 5;
	cmd.rc = -DER_NOSPACE;
	assert_int_equal(apply(t, &cmd, NULL), -DER_NOSPACE);
	assert_int_equal(pool_begin_id(t, C1, "p2", GIB, client, 5), -DER_NOSPACE);

	/* Silent clients are forgotten. */
	start(&cmd, t, MS_CMD_SYS_CHANGED);
	cmd.now_ms += ST_SESSION_LIFE_MS + 1000;
	assert_int_equal(apply(t, &cmd, NULL), 0);
	assert_null(state_session(t->a, client));
}

static void
test_nonsense(void **state)
{
	struct twin *t = *state;
	uint64_t seed = 3;
	void *snap;
	size_t snap_len;
	uint32_t i;

	furnished(t);
	assert_int_equal(state_snapshot(t->a, &snap, &snap_len), 0);
	/* Commands with every kind and no content. */
	for (i = 0; i < 60; i++) {
		Ms__Cmd cmd;

		start(&cmd, t, i);
		if (i != MS_CMD_INIT)
			apply(t, &cmd, NULL);
	}
	/* Damaged snapshots: an error or a state, never worse. */
	for (i = 0; i < 3000; i++) {
		uint8_t *copy = mem_dup(snap, snap_len);
		struct state *st;
		size_t len = snap_len;

		seed = hash_u64(seed);
		copy[seed % snap_len] ^= (uint8_t)(1 + (seed >> 40) % 255);
		if (i % 3 == 0)
			len = (seed >> 20) % snap_len;
		if (state_restore(copy, len, &st) == 0)
			state_destroy(st);
		free(copy);
	}
	free(snap);
}

/* Ten thousand containers are ordinary. */
static void
test_many(void **state)
{
	struct twin *t = *state;
	struct timespec begin;
	struct timespec end;
	void *snap;
	size_t len;
	uint32_t i;

	furnished(t);
	t->nr = 1000000; /* not every seventh command, please */
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (i = 0; i < 10000; i++) {
		uint8_t uuid[16] = {0x99};
		uint64_t h = hash_u64(i);
		char label[32];

		t->nr = 1;
		memcpy(uuid + 4, &h, 8);
		snprintf(label, sizeof(label), "cont-%u", i);
		assert_int_equal(cont_create(t, P1, uuid, label), 0);
	}
	for (i = 0; i < 10000; i++) {
		char label[32];

		snprintf(label, sizeof(label), "cont-%u", i);
		assert_non_null(state_cont_by_label(state_pool(t->a, P1), label));
	}
	assert_int_equal(state_snapshot(t->a, &snap, &len), 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	print_message("10000 containers twice and a snapshot of %zu KiB: %ld ms\n", len >> 10,
		      (end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000);
	free(snap);
	through_snapshot(t);
}

static uint8_t *
acl_make(uint8_t type, const char *name, uint64_t perms, size_t *ret_len)
{
	size_t nlen = name != NULL ? strlen(name) + 1 : 0;
	size_t ace_len = sizeof(struct daos_ace) + ((nlen + 7) & ~(size_t)7);
	struct daos_acl acl = {.dal_ver = DAOS_ACL_VERSION, .dal_len = (uint32_t)ace_len};
	struct daos_ace ace = {
	    .dae_access_types = DAOS_ACL_ACCESS_ALLOW,
	    .dae_principal_type = type,
	    .dae_principal_len = (uint16_t)nlen,
	    .dae_allow_perms = perms,
	};
	uint8_t *buf = calloc(1, sizeof(acl) + ace_len);

	memcpy(buf, &acl, sizeof(acl));
	memcpy(buf + sizeof(acl), &ace, sizeof(ace));
	if (name != NULL)
		memcpy(buf + sizeof(acl) + sizeof(ace), name, nlen);
	*ret_len = sizeof(acl) + ace_len;
	return buf;
}

static uint64_t
perms_with(uint8_t type, const char *name, uint64_t perms, bool is_cont,
	   const struct access_who *who)
{
	Mgmt__Prop acl = MGMT__PROP__INIT;
	Mgmt__Prop owner = MGMT__PROP__INIT;
	Mgmt__Prop group = MGMT__PROP__INIT;
	Mgmt__Prop *props[] = {&acl, &owner, &group};
	struct blob list = {0};
	uint64_t got;

	acl.type = is_cont ? DAOS_PROP_CO_ACL : DAOS_PROP_PO_ACL;
	acl.kind = PROP_KIND_BLOB;
	acl.blob.data = acl_make(type, name, perms, &acl.blob.len);
	owner.type = is_cont ? DAOS_PROP_CO_OWNER : DAOS_PROP_PO_OWNER;
	owner.kind = PROP_KIND_STR;
	owner.str = "joe@";
	group.type = is_cont ? DAOS_PROP_CO_OWNER_GROUP : DAOS_PROP_PO_OWNER_GROUP;
	group.kind = PROP_KIND_STR;
	group.str = "staff@";
	assert_int_equal(prop_check_all(props, 3, is_cont, PROP_AT_CREATE), 0);
	assert_int_equal(prop_complete(props, 3, is_cont, NULL, &list), 0);
	got = access_perms(&list, is_cont, who);
	blob_fini(&list);
	free(acl.blob.data);
	return got;
}

static void
test_access(void **state)
{
	char *groups[] = {"users@"};
	const struct access_who joe = {.user = "joe@", .group = "x@"};
	const struct access_who ann = {
	    .user = "ann@there", .group = "staff@", .groups = groups, .group_nr = 1};
	const uint64_t rw = DAOS_ACL_PERM_READ | DAOS_ACL_PERM_WRITE;
	const uint64_t pool_rw = DAOS_ACL_PERM_POOL_ALL;
	const uint64_t acl_always = DAOS_ACL_PERM_GET_ACL | DAOS_ACL_PERM_SET_ACL;
	uint8_t bad[64] = {1};

	assert_int_equal(perms_with(DAOS_ACL_OWNER, NULL, rw, false, &joe), pool_rw);
	assert_int_equal(perms_with(DAOS_ACL_OWNER, NULL, rw, false, &ann), 0);
	assert_int_equal(perms_with(DAOS_ACL_USER, "ann@", rw, false, &ann), pool_rw);
	assert_int_equal(perms_with(DAOS_ACL_OWNER_GROUP, NULL, rw, false, &ann), pool_rw);
	assert_int_equal(perms_with(DAOS_ACL_GROUP, "users@", rw, true, &ann), rw);
	assert_int_equal(perms_with(DAOS_ACL_GROUP, "others@", rw, true, &ann), 0);
	assert_int_equal(perms_with(DAOS_ACL_EVERYONE, NULL, rw, true, &ann), rw);
	/* A container's owner can always reach its ACL. */
	assert_int_equal(perms_with(DAOS_ACL_USER, "ann@", rw, true, &joe), acl_always);
	/* An entry without permissions denies. */
	assert_int_equal(perms_with(DAOS_ACL_OWNER, NULL, 0, false, &joe), 0);
	assert_int_equal(access_acl_check(bad, sizeof(bad)), -DER_INVAL);
	assert_int_equal(access_acl_check(bad, 3), -DER_INVAL);
	assert_int_equal(access_acl_check(NULL, 0), -DER_INVAL);
}

static int
check_num(uint32_t type, uint64_t v, bool is_cont, enum prop_when when)
{
	Mgmt__Prop p = MGMT__PROP__INIT;

	p.type = type;
	p.kind = PROP_KIND_NUM;
	p.num = v;
	return prop_check(&p, is_cont, when);
}

static void
test_props(void **state)
{
	Mgmt__Prop p = MGMT__PROP__INIT;
	struct blob pool = {0};
	struct blob cont = {0};

	assert_int_equal(check_num(DAOS_PROP_CO_REDUN_FAC, 4, true, PROP_AT_CREATE), 0);
	assert_int_equal(check_num(DAOS_PROP_CO_REDUN_FAC, 5, true, PROP_AT_CREATE), -DER_INVAL);
	assert_int_equal(check_num(DAOS_PROP_CO_REDUN_FAC, 1, true, PROP_AT_SET), -DER_INVAL);
	assert_int_equal(check_num(DAOS_PROP_CO_EC_CELL_SZ, 131072, true, PROP_AT_CREATE), 0);
	assert_int_equal(check_num(DAOS_PROP_CO_EC_CELL_SZ, 131073, true, PROP_AT_CREATE),
			 -DER_INVAL);
	assert_int_equal(check_num(DAOS_PROP_CO_LABEL, 1, true, PROP_AT_CREATE), -DER_INVAL);
	assert_int_equal(check_num(DAOS_PROP_PO_GLOBAL_VERSION, 1, false, PROP_AT_SET), -DER_INVAL);
	assert_int_equal(check_num(DAOS_PROP_PO_SCRUB_MODE, 2, false, PROP_AT_SET), 0);
	assert_int_equal(check_num(0x7777, 2, false, PROP_AT_SET), -DER_INVAL);
	assert_int_equal(check_num(DAOS_PROP_CO_STATUS,
				   DAOS_PROP_CO_STATUS_VAL(DAOS_PROP_CO_UNCLEAN, 0, 0), true,
				   PROP_AT_SET),
			 -DER_INVAL);
	p.type = DAOS_PROP_PO_LABEL;
	p.kind = PROP_KIND_STR;
	p.str = "a b";
	assert_int_equal(prop_check(&p, false, PROP_AT_SET), -DER_INVAL);
	p.str = "10000000-0000-0000-0000-000000000000";
	assert_int_equal(prop_check(&p, false, PROP_AT_SET), -DER_INVAL);

	assert_int_equal(prop_complete(NULL, 0, false, NULL, &pool), 0);
	assert_int_equal(prop_set_num(&pool, DAOS_PROP_PO_REDUN_FAC, 2), 0);
	assert_int_equal(prop_complete(NULL, 0, true, &pool, &cont), 0);
	assert_int_equal(prop_num(&cont, DAOS_PROP_CO_REDUN_FAC, 9), 2);
	assert_int_equal(prop_num(&cont, DAOS_PROP_CO_EC_CELL_SZ, 9), 131072);
	assert_int_equal(prop_num(&cont, DAOS_PROP_CO_CSUM, 9), 0);
	blob_fini(&pool);
	blob_fini(&cont);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_join, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_pools, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_conts, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_forget, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_attrs, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_labels, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_nonsense, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_many, setup, teardown),
	    cmocka_unit_test(test_access),
	    cmocka_unit_test(test_props),
	};

	log_set_mask("NONE");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
