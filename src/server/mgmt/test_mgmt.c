/* The service with one replica and with three, over cardboard engines, in the simulator. */
#include "server/mgmt/test_cluster.h"

static const uint8_t ph[16] = {1};
static const uint8_t ch[16] = {2};
static const uint8_t cu[16] = {3};

/* MGMT_SEED=N replays, or explores, another schedule. */
static uint64_t
seed_of(uint64_t otherwise)
{
	const char *s = getenv("MGMT_SEED");
	uint64_t seed = s != NULL ? strtoull(s, NULL, 0) : otherwise;

	print_message("seed %llu (MGMT_SEED)\n", (unsigned long long)seed);
	return seed;
}

/* --- one replica ----------------------------------------------------------------------------- */

static void
body_single(struct tc *tc)
{
	uint8_t raw[CAP_BYTES];
	uint8_t ph2[16] = {9};
	uint8_t ch2[16] = {8};
	uint64_t first = 0;
	uuid_t pool;
	uuid_t other;

	tc_settle(tc, 2, 1);
	assert_int_equal(tc_pool_create(tc, "tank", TC_GIB, pool), 0);
	assert_int_equal(tc->nodes[0].pool_nr, 1);
	assert_int_equal(tc->nodes[1].pool_nr, 1);
	assert_int_equal(tc_pool_create(tc, "tank", TC_GIB, other), -DER_EXIST);
	assert_int_equal(tc_pool_create(tc, "huge", 100 * TC_GIB, other), -DER_NOSPACE);
	/* 9 of 10 are left. */
	assert_int_equal(tc_pool_create(tc, "big", 10 * TC_GIB, other), -DER_NOSPACE);
	assert_int_equal(tc_pool_create(tc, "big", 9 * TC_GIB, other), 0);
	assert_int_equal(tc_pool_destroy(tc, "big", false, false), 0);
	assert_int_equal(tc_pool_destroy(tc, "big", false, false), -DER_NONEXIST);
	assert_int_equal(tc_pool_create(tc, "big", 9 * TC_GIB, other), 0);
	assert_int_equal(tc_pool_nr(tc), 2);

	assert_int_equal(tc_connect(tc, "nopool", ph, DAOS_PC_RW), -DER_NONEXIST);
	assert_int_equal(tc_connect(tc, "tank", ph, 0), -DER_INVAL);
	assert_int_equal(tc_connect(tc, "tank", ph, DAOS_PC_RW), 0);
	assert_int_equal(tc_connect(tc, "tank", ph2, DAOS_PC_EX), -DER_BUSY);
	assert_int_equal(tc_connect(tc, "tank", ph2, DAOS_PC_RO), 0);
	assert_int_equal(tc_cont_create(tc, pool, ph2, cu, "home"), -DER_NO_PERM);
	assert_int_equal(tc_cont_create(tc, pool, cu, cu, "home"), -DER_NO_HDL);
	assert_int_equal(tc_cont_create(tc, pool, ph, cu, "home"), 0);
	assert_int_equal(tc_cont_create(tc, pool, ph, cu, "home2"), -DER_EXIST);
	assert_int_equal(tc_cont_create(tc, pool, ph, ch, "home"), -DER_EXIST);
	assert_int_equal(tc_cont_create(tc, pool, ph, ch, "a/b"), -DER_INVAL);
	assert_int_equal(tc_cont_open(tc, pool, ph, "nocont", ch, DAOS_COO_RW, NULL, NULL),
			 -DER_NONEXIST);
	assert_int_equal(tc_cont_open(tc, pool, ph2, "home", ch, DAOS_COO_RW, NULL, NULL),
			 -DER_NO_PERM);
	assert_int_equal(tc_cont_open(tc, pool, ph, "home", ch, DAOS_COO_RW, NULL, raw), 0);
	assert_int_equal(tc_cont_open(tc, pool, ph, "home", ch2, DAOS_COO_EX, NULL, NULL),
			 -DER_BUSY);
	assert_int_equal(tc_alloc(tc, pool, ch, 10, &first), 0);
	assert_int_equal(first, 1);
	assert_int_equal(tc_alloc(tc, pool, ch, 5, &first), 0);
	assert_int_equal(first, 11);
	assert_int_equal(tc_disconnect(tc, pool, ph), -DER_BUSY);
	assert_int_equal(tc_cont_destroy(tc, pool, ph, "home", false), -DER_BUSY);
	assert_int_equal(tc_cont_close(tc, pool, ch), 0);
	assert_int_equal(tc_cont_close(tc, pool, ch), 0);
	assert_int_equal(tc_pool_destroy(tc, "tank", false, true), -DER_BUSY);
	assert_int_equal(tc_disconnect(tc, pool, ph2), 0);

	/* Everything is there after a restart of everything. */
	tc_crash(tc, 1);
	tc_crash(tc, 0);
	tc_up(tc, 0);
	tc_up(tc, 1);
	assert_int_equal(tc_pool_nr(tc), 2);
	assert_int_equal(tc_cont_open(tc, pool, ph, "home", ch, DAOS_COO_EX, NULL, raw), 0);
	assert_int_equal(tc_alloc(tc, pool, ch, 1, &first), 0);
	assert_int_equal(first, 16);
	assert_int_equal(tc_cont_destroy(tc, pool, ph, "home", true), 0);
	assert_int_equal(tc_cont_destroy(tc, pool, ph, "home", true), -DER_NONEXIST);
	assert_int_equal(tc_alloc(tc, pool, ch, 1, &first), -DER_NO_HDL);
	tc_settle(tc, 2, 1);
	co_sleep_ns(5000000000ull);
	assert_int_equal(tc->nodes[0].dead_conts, 1);
	assert_int_equal(tc->nodes[1].dead_conts, 1);
	assert_int_equal(tc_disconnect(tc, pool, ph), 0);
	assert_int_equal(tc_pool_destroy(tc, "tank", false, false), 0);
	assert_int_equal(tc->nodes[0].pool_nr, 1);
}

static void
test_single(void **state)
{
	tc_run(seed_of(1), 2, body_single);
}

/* --- three replicas -------------------------------------------------------------------------- */

static uint32_t
leader_node(struct tc *tc)
{
	uint32_t i;
	uint32_t tries;

	for (tries = 0; tries < 1000; tries++) {
		for (i = 0; i < tc->node_nr; i++)
			if (tc->nodes[i].up && tc->nodes[i].mgmt != NULL &&
			    mgmt_is_leader(tc->nodes[i].mgmt))
				return i;
		co_sleep_ns(10000000);
	}
	fail_msg("no leader");
	return 0;
}

static void
body_three(struct tc *tc)
{
	uint8_t raw[CAP_BYTES];
	uint64_t first = 0;
	uint64_t last = 0;
	uuid_t pool;
	uint32_t round;

	tc_settle(tc, 3, 3);
	assert_int_equal(tc_pool_create(tc, "tank", TC_GIB, pool), 0);
	assert_int_equal(tc_connect(tc, "tank", ph, DAOS_PC_RW), 0);
	assert_int_equal(tc_cont_create(tc, pool, ph, cu, "home"), 0);
	assert_int_equal(tc_cont_open(tc, pool, ph, "home", ch, DAOS_COO_RW, NULL, raw), 0);

	/* Whoever leads dies; the others go on, and it comes back. */
	for (round = 0; round < 6; round++) {
		uint32_t l = leader_node(tc);
		uint32_t i;

		if (round % 2 == 0)
			tc_crash(tc, l);
		else
			tc_stop(tc, l);
		for (i = 0; i < 20; i++) {
			assert_int_equal(tc_alloc(tc, pool, ch, 1, &first), 0);
			assert_true(first > last); /* never given twice */
			last = first;
		}
		tc_up(tc, l);
		assert_int_equal(tc_alloc(tc, pool, ch, 1, &first), 0);
		assert_true(first > last);
		last = first;
	}
	/* All at once. */
	tc_crash(tc, 0);
	tc_crash(tc, 1);
	tc_crash(tc, 2);
	tc_up(tc, 2);
	tc_up(tc, 1);
	assert_int_equal(tc_alloc(tc, pool, ch, 1, &first), 0);
	assert_int_equal(first, last + 1);
	tc_up(tc, 0);
	tc_settle(tc, 3, 3);
	/* Four of five calls and the rest: exactly as many ids as were asked for. */
	assert_int_equal(first, 6 * 21 + 1);
	assert_int_equal(tc_pool_nr(tc), 1);
}

static void
test_three(void **state)
{
	tc_run(seed_of(7), 3, body_three);
}

/* A leader cut off from the others must not answer, and serves again as a follower. */
static void
body_partition(struct tc *tc)
{
	uint64_t first = 0;
	uuid_t pool;
	uint32_t round;
	uint64_t last = 0;

	tc_settle(tc, 3, 3);
	assert_int_equal(tc_pool_create(tc, "tank", TC_GIB, pool), 0);
	assert_int_equal(tc_connect(tc, "tank", ph, DAOS_PC_RW), 0);
	assert_int_equal(tc_cont_create(tc, pool, ph, cu, "home"), 0);
	assert_int_equal(tc_cont_open(tc, pool, ph, "home", ch, DAOS_COO_RW, NULL, NULL), 0);
	for (round = 0; round < 4; round++) {
		uint32_t l = leader_node(tc);
		uint32_t i;

		for (i = 0; i < 3; i++) {
			if (i == l)
				continue;
			sim_net_cut(tc->sn, l, i, true);
			sim_net_cut(tc->sn, i, l, true);
		}
		/* The client still reaches both sides. */
		for (i = 0; i < 10; i++) {
			assert_int_equal(tc_alloc(tc, pool, ch, 1, &first), 0);
			assert_int_equal(first, last + 1);
			last = first;
		}
		assert_false(mgmt_is_leader(tc->nodes[l].mgmt));
		sim_net_heal(tc->sn);
		co_sleep_ns(2000000000ull);
	}
	tc_settle(tc, 3, 3);
}

static void
test_partition(void **state)
{
	tc_run(seed_of(11), 3, body_partition);
}

/* A replica whose disk was lost is replaced under a new id. */
static void
body_lost_disk(struct tc *tc)
{
	uint64_t before;
	uint32_t l;
	uint32_t i;
	uuid_t pool;

	tc_settle(tc, 3, 3);
	l = leader_node(tc);
	i = (l + 1) % 3;
	before = mgmt_raft_id(tc->nodes[i].mgmt);
	tc_crash(tc, i);
	mem_disk_destroy(tc->nodes[i].disk);
	assert_int_equal(mem_disk_create(tc->sim, 256 << 20, &tc->nodes[i].disk), 0);
	tc->nodes[i].no_bootstrap = true;
	tc_up(tc, i);
	co_sleep_ns(30000000000ull);
	tc_settle(tc, 3, 3);
	assert_non_null(tc->nodes[i].mgmt);
	assert_true(mgmt_raft_id(tc->nodes[i].mgmt) != before);
	/* It counts again: the service survives the loss of another one. */
	assert_int_equal(tc_pool_create(tc, "tank", TC_GIB, pool), 0);
	tc_crash(tc, l);
	assert_int_equal(tc_connect(tc, "tank", ph, DAOS_PC_RW), 0);
	tc_up(tc, l);
}

static void
test_lost_disk(void **state)
{
	tc_run(seed_of(13), 3, body_lost_disk);
}

/* --- pools that fail or are left half way ---------------------------------------------------- */

struct create {
	struct tc *tc;
	const char *label;
	uuid_t uuid;
	int rc;
	bool over;
};

static void
create_run(void *arg)
{
	struct create *c = arg;

	c->rc = tc_pool_create(c->tc, c->label, TC_GIB, c->uuid);
	c->over = true;
}

static uint32_t
parts(const struct tc *tc)
{
	uint32_t nr = 0;
	uint32_t i;

	for (i = 0; i < tc->node_nr; i++)
		nr += tc->nodes[i].pool_nr;
	return nr;
}

static void
body_creation(struct tc *tc)
{
	struct create c = {.tc = tc, .label = "tank"};
	uuid_t uuid;
	uint32_t l;
	uint32_t i;

	tc_settle(tc, 3, 3);
	/* One engine has no room: nothing is left anywhere. */
	tc->nodes[1].fail_create = -DER_NOSPACE;
	assert_int_equal(tc_pool_create(tc, "tank", TC_GIB, uuid), -DER_NOSPACE);
	co_sleep_ns(5000000000ull);
	assert_int_equal(tc_pool_nr(tc), 0);
	assert_int_equal(parts(tc), 0);

	/* The leader dies in the middle: its successor finishes, and the client hears of one pool.
	 */
	l = leader_node(tc);
	tc->nodes[(l + 1) % 3].hang_create = true;
	assert_int_equal(co_spawn(tc->xs, create_run, &c), 0);
	co_sleep_ns(500000000ull);
	assert_int_equal(tc_pool_nr(tc), 1);
	assert_false(c.over);
	tc_crash(tc, l);
	co_sleep_ns(1500000000ull);
	tc_up(tc, l);
	assert_false(c.over);
	tc->nodes[(l + 1) % 3].hang_create = false;
	while (!c.over)
		co_sleep_ns(10000000);
	assert_int_equal(c.rc, 0);
	assert_int_equal(tc_pool_nr(tc), 1);
	for (i = 0; i < 3; i++) {
		assert_int_equal(tc->nodes[i].pool_nr, 1);
		assert_memory_equal(tc->nodes[i].pools[0], c.uuid, 16);
	}

	/* Destroyed while a rank is away: it is told when it comes back. */
	l = leader_node(tc);
	tc_crash(tc, (l + 1) % 3);
	assert_int_equal(tc_pool_destroy(tc, "tank", false, false), 0);
	assert_int_equal(tc_pool_nr(tc), 1); /* destroying */
	assert_int_equal(tc_pool_create(tc, "nope", TC_GIB, uuid), -DER_UNREACH);
	tc_up(tc, (l + 1) % 3);
	co_sleep_ns(8000000000ull);
	assert_int_equal(tc_pool_nr(tc), 0);
	assert_int_equal(parts(tc), 0);
}

static void
test_creation(void **state)
{
	tc_run(seed_of(17), 3, body_creation);
}

/* --- what is shown --------------------------------------------------------------------------- */

static uint32_t
state_of(struct tc *tc, uint32_t rank)
{
	Mgmt__SystemQueryRep *rep = tc_system(tc, "");
	uint32_t st = SYS_ST_UNKNOWN;
	size_t i;

	for (i = 0; i < rep->n_ranks; i++)
		if (rep->ranks[i]->rank == rank)
			st = rep->ranks[i]->state;
	mgmt__system_query_rep__free_unpacked(rep, NULL);
	return st;
}

static void
check_pool_query(struct tc *tc)
{
	Mgmt__PoolQueryReq req = MGMT__POOL_QUERY_REQ__INIT;
	Mgmt__PoolQueryRep *rep = NULL;

	req.pool = "tank";
	req.mask = UINT64_MAX;
	assert_int_equal(TC_CALL(tc, OPC_MS_POOL_QUERY, &req, Mgmt__PoolQueryRep,
				 &mgmt__pool_query_rep__descriptor, &rep),
			 0);
	assert_int_equal(rep->target_nr, 3 * TC_TARGETS);
	assert_int_equal(rep->rank_nr, 3);
	assert_int_equal(rep->disabled_nr, 0);
	assert_int_equal(rep->n_enabled_ranks, 3);
	assert_int_equal(rep->n_dead_ranks, 0);
	assert_int_equal(rep->scm->total, 3 * TC_TARGETS * 100);
	assert_int_equal(rep->scm->min, 50);
	assert_int_equal(rep->scm->max, 50 + TC_TARGETS - 1);
	assert_int_equal(rep->nvme->free, 3 * TC_TARGETS * 900);
	assert_int_equal(rep->info->n_svc_ranks, 3);
	assert_string_equal(rep->info->label, "tank");
	mgmt__pool_query_rep__free_unpacked(rep, NULL);
}

static void
check_system(struct tc *tc)
{
	Mgmt__SystemQueryRep *rep = tc_system(tc, "0,2-7");
	Mgmt__SystemQueryReq req = MGMT__SYSTEM_QUERY_REQ__INIT;
	Mgmt__AttachInfoReq areq = MGMT__ATTACH_INFO_REQ__INIT;
	Mgmt__AttachInfoRep *arep = NULL;
	void *none = NULL;

	assert_int_equal(rep->n_ranks, 2);
	assert_int_equal(rep->ranks[1]->rank, 2);
	assert_int_equal(rep->n_replica_ranks, 3);
	assert_string_equal(rep->name, "daos_server");
	mgmt__system_query_rep__free_unpacked(rep, NULL);
	req.ranks = "1-";
	assert_int_equal(TC_CALL(tc, OPC_MS_SYSTEM_QUERY, &req, void,
				 &mgmt__system_query_rep__descriptor, &none),
			 -DER_INVAL);
	assert_int_equal(TC_CALL(tc, OPC_MS_ATTACH_INFO, &areq, Mgmt__AttachInfoRep,
				 &mgmt__attach_info_rep__descriptor, &arep),
			 0);
	assert_int_equal(arep->n_ranks, 3);
	assert_string_equal(arep->provider, "sim");
	mgmt__attach_info_rep__free_unpacked(arep, NULL);
}

static int
set_prop(struct tc *tc, const char *cont, uint32_t type, uint64_t v)
{
	Mgmt__PropSetReq req = MGMT__PROP_SET_REQ__INIT;
	Mgmt__Prop prop = MGMT__PROP__INIT;
	Mgmt__Prop *ptr = &prop;
	struct ms_cmd cmd;
	int rc;

	ms_cmd_begin(tc->ms, &cmd);
	req.id = &cmd.id;
	req.pool = "tank";
	req.cont = (char *)cont;
	prop.type = type;
	prop.kind = PROP_KIND_NUM;
	prop.num = v;
	req.n_props = 1;
	req.props = &ptr;
	rc = TC_CALL(tc, cont[0] != 0 ? OPC_MS_CONT_SET_PROP : OPC_MS_POOL_SET_PROP, &req, void,
		     NULL, NULL);
	ms_cmd_end(&cmd);
	return rc;
}

static uint64_t
get_prop(struct tc *tc, const char *cont, uint32_t type, size_t *ret_nr)
{
	Mgmt__PropGetReq req = MGMT__PROP_GET_REQ__INIT;
	Mgmt__PropGetRep *rep = NULL;
	uint64_t v = UINT64_MAX;
	size_t i;

	req.pool = "tank";
	req.cont = (char *)cont;
	assert_int_equal(TC_CALL(tc, cont[0] != 0 ? OPC_MS_CONT_GET_PROP : OPC_MS_POOL_GET_PROP,
				 &req, Mgmt__PropGetRep, &mgmt__prop_get_rep__descriptor, &rep),
			 0);
	for (i = 0; i < rep->n_props; i++)
		if (rep->props[i]->type == type)
			v = rep->props[i]->num;
	*ret_nr = rep->n_props;
	mgmt__prop_get_rep__free_unpacked(rep, NULL);
	return v;
}

static int
attr_call(struct tc *tc, uint32_t opc, const void *handle, const char *name, const char *value,
	  Mgmt__AttrRep **ret_rep)
{
	Mgmt__AttrReq req = MGMT__ATTR_REQ__INIT;
	Mgmt__Attr attr = MGMT__ATTR__INIT;
	Mgmt__Attr *ptr = &attr;
	struct ms_cmd cmd;
	int rc;

	ms_cmd_begin(tc->ms, &cmd);
	req.id = &cmd.id;
	req.pool = "tank";
	req.cont = "home";
	tc_bytes(&req.cont_handle, handle);
	attr.name = (char *)name;
	attr.value.data = (uint8_t *)value;
	attr.value.len = strlen(value);
	req.n_attrs = name[0] != 0 ? 1 : 0;
	req.attrs = &ptr;
	rc = TC_CALL(tc, opc, &req, Mgmt__AttrRep,
		     ret_rep != NULL ? &mgmt__attr_rep__descriptor : NULL, ret_rep);
	ms_cmd_end(&cmd);
	return rc;
}

static void
check_attrs(struct tc *tc)
{
	Mgmt__AttrRep *rep = NULL;

	assert_int_equal(attr_call(tc, OPC_MS_CONT_ATTR_SET, ch, "b", "two", NULL), 0);
	assert_int_equal(attr_call(tc, OPC_MS_CONT_ATTR_SET, ch, "a", "one", NULL), 0);
	assert_int_equal(attr_call(tc, OPC_MS_CONT_ATTR_SET, ph, "a", "one", NULL), -DER_NO_HDL);
	assert_int_equal(attr_call(tc, OPC_MS_CONT_ATTR_GET, ch, "b", "", &rep), 0);
	assert_int_equal(rep->n_attrs, 1);
	assert_memory_equal(rep->attrs[0]->value.data, "two", 3);
	mgmt__attr_rep__free_unpacked(rep, NULL);
	assert_int_equal(attr_call(tc, OPC_MS_CONT_ATTR_LIST, ch, "", "", &rep), 0);
	assert_int_equal(rep->n_attrs, 2);
	assert_string_equal(rep->attrs[0]->name, "a");
	mgmt__attr_rep__free_unpacked(rep, NULL);
	assert_int_equal(attr_call(tc, OPC_MS_CONT_ATTR_DEL, ch, "a", "", NULL), 0);
	assert_int_equal(attr_call(tc, OPC_MS_CONT_ATTR_GET, ch, "a", "", &rep), -DER_NONEXIST);
}

/* More containers than fit into one answer. */
static void
check_list(struct tc *tc, const uuid_t pool)
{
	Mgmt__ContListReq req = MGMT__CONT_LIST_REQ__INIT;
	uint8_t after[16];
	uint32_t pages = 0;
	uint32_t nr = 0;
	bool more = true;
	uint32_t i;

	for (i = 0; i < 1000; i++) {
		uint8_t uuid[16] = {0x77};
		uint64_t h = hash_u64(i);
		char label[32];

		memcpy(uuid + 2, &h, 8);
		snprintf(label, sizeof(label), "list-%u", i);
		assert_int_equal(tc_cont_create(tc, pool, ph, uuid, label), 0);
	}
	req.pool = "tank";
	while (more) {
		Mgmt__ContListRep *rep = NULL;

		assert_int_equal(TC_CALL(tc, OPC_MS_CONT_LIST, &req, Mgmt__ContListRep,
					 &mgmt__cont_list_rep__descriptor, &rep),
				 0);
		assert_true(rep->n_conts > 0);
		assert_int_equal(rep->n_layouts, rep->n_conts);
		nr += (uint32_t)rep->n_conts;
		pages++;
		more = rep->more;
		memcpy(after, rep->conts[rep->n_conts - 1]->uuid.data, 16);
		tc_bytes(&req.after, after);
		mgmt__cont_list_rep__free_unpacked(rep, NULL);
	}
	assert_int_equal(nr, 1001);
	assert_true(pages > 1);
}

static void
check_capability(struct tc *tc, const uuid_t pool)
{
	Mgmt__ContRenewReq req = MGMT__CONT_RENEW_REQ__INIT;
	Mgmt__ContRenewRep *rep = NULL;

	tc_bytes(&req.pool, pool);
	tc_bytes(&req.cont_handle, ch);
	assert_int_equal(TC_CALL(tc, OPC_MS_CONT_RENEW, &req, Mgmt__ContRenewRep,
				 &mgmt__cont_renew_rep__descriptor, &rep),
			 0);
	assert_int_equal(rep->capability.len, CAP_BYTES);
	assert_int_equal(rep->cap_expire_ms, CAP_LIFE_MS);
	mgmt__cont_renew_rep__free_unpacked(rep, NULL);
	tc_bytes(&req.cont_handle, ph);
	assert_int_equal(TC_CALL(tc, OPC_MS_CONT_RENEW, &req, Mgmt__ContRenewRep,
				 &mgmt__cont_renew_rep__descriptor, &rep),
			 -DER_NO_HDL);
}

static void
check_evict(struct tc *tc)
{
	Mgmt__PoolEvictReq req = MGMT__POOL_EVICT_REQ__INIT;
	struct ms_cmd cmd;
	uint64_t first;
	uuid_t none = {0};

	ms_cmd_begin(tc->ms, &cmd);
	req.id = &cmd.id;
	req.pool = "tank";
	assert_int_equal(TC_CALL(tc, OPC_MS_POOL_EVICT, &req, void, NULL, NULL), 0);
	ms_cmd_end(&cmd);
	assert_int_equal(tc_alloc(tc, none, ch, 1, &first), -DER_NO_HDL);
}

static int
nonsense(void *arg)
{
	static const uint32_t opcs[] = {OPC_MS_JOIN, OPC_MS_POOL_CREATE, OPC_MS_CONT_OPEN,
					OPC_RAFT_MSG};
	struct tc *tc = arg;
	uint8_t junk[100];
	uint32_t i;
	uint32_t k;

	for (i = 0; i < 200; i++) {
		struct iovec iov = {.iov_base = junk, .iov_len = 1 + i % sizeof(junk)};
		struct rpc_call call = {.opc = opcs[i % 4], .body = &iov, .body_nr = 1};
		struct rpc_peer *peer;

		for (k = 0; k < sizeof(junk); k++)
			junk[k] = (uint8_t)sim_rand_u64(tc->sim);
		junk[0] = i % 4 == 3 ? (uint8_t)(i / 4 % 5) : junk[0];
		assert_int_equal(rpc_peer_get(tc->ep, tc->uris[i % 3], &peer), 0);
		assert_int_equal(rpc_call_send(tc->ep, peer, &call), 0);
		rpc_call_fini(&call);
		rpc_peer_put(peer);
	}
	return 0;
}

/* What engines need to know of the properties reaches them at once; those that are away, later. */
static void
check_settings(struct tc *tc)
{
	uint32_t away = (leader_node(tc) + 1) % 3;
	uint32_t i;

	assert_int_equal(set_prop(tc, "", DAOS_PROP_PO_DATA_THRESH, 0), 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(tc->nodes[i].data_thresh, 0);
		assert_int_equal(tc->nodes[i].reclaim, DAOS_RECLAIM_LAZY);
	}
	tc_crash(tc, away);
	assert_int_equal(set_prop(tc, "", DAOS_PROP_PO_RECLAIM, DAOS_RECLAIM_DISABLED), 0);
	assert_int_equal(set_prop(tc, "", DAOS_PROP_PO_DATA_THRESH, UINT32_MAX), 0);
	tc_up(tc, away);
	tc_settle(tc, 3, 3);
	co_sleep_ns(2000000000ull);
	for (i = 0; i < 3; i++) {
		assert_int_equal(tc->nodes[i].data_thresh, UINT32_MAX);
		assert_int_equal(tc->nodes[i].reclaim, DAOS_RECLAIM_DISABLED);
	}
	assert_int_equal(set_prop(tc, "", DAOS_PROP_PO_RECLAIM, 9), -DER_INVAL);
}

static void
body_shown(struct tc *tc)
{
	Mgmt__SystemStopReq stop = MGMT__SYSTEM_STOP_REQ__INIT;
	uint32_t ranks[] = {0, 99};
	uint32_t l;
	uint32_t i;
	uuid_t pool;
	size_t nr;

	tc_settle(tc, 3, 3);
	nonsense(tc);
	assert_int_equal(tc_pool_create(tc, "tank", TC_GIB, pool), 0);
	check_system(tc);
	check_pool_query(tc);
	assert_int_equal(tc_connect(tc, "tank", ph, DAOS_PC_RW), 0);
	assert_int_equal(tc_cont_create(tc, pool, ph, cu, "home"), 0);
	assert_int_equal(tc_cont_open(tc, pool, ph, "home", ch, DAOS_COO_RW, NULL, NULL), 0);
	assert_int_equal(set_prop(tc, "", DAOS_PROP_PO_SPACE_RB, 7), 0);
	assert_int_equal(set_prop(tc, "", DAOS_PROP_PO_SPACE_RB, 101), -DER_INVAL);
	check_settings(tc);
	assert_int_equal(get_prop(tc, "", DAOS_PROP_PO_SPACE_RB, &nr), 7);
	assert_true(nr >= DAOS_PROP_PO_NUM - 1); /* all but the list of service ranks */
	assert_int_equal(set_prop(tc, "home", DAOS_PROP_CO_STATUS, 0), 0);
	assert_int_equal(set_prop(tc, "home", DAOS_PROP_CO_CSUM, 1), -DER_INVAL);
	assert_int_equal(get_prop(tc, "home", DAOS_PROP_CO_STATUS, &nr), 1); /* map version 1 */
	assert_true(nr >= DAOS_PROP_CO_NUM - 1); /* all but the roots, which are not set */
	check_attrs(tc);
	check_capability(tc, pool);
	check_list(tc, pool);
	co_sleep_ns(1500000000ull); /* heartbeats */
	for (i = 0; i < 3; i++)
		assert_true(tc->nodes[i].map_nr > 0);

	/* Silence is shown; nothing else happens. */
	l = leader_node(tc);
	i = (l + 1) % 3;
	tc_crash(tc, i);
	co_sleep_ns(7000000000ull);
	assert_int_equal(state_of(tc, tc->nodes[i].rank), SYS_ST_UNRESPONSIVE);
	tc_up(tc, i);
	tc_settle(tc, 3, 3);
	check_evict(tc);

	/* Stop. */
	stop.ranks = ranks;
	stop.n_ranks = 2;
	assert_int_equal(TC_CALL(tc, OPC_MS_SYSTEM_STOP, &stop, void, NULL, NULL), -DER_NONEXIST);
	stop.n_ranks = 0;
	assert_int_equal(TC_CALL(tc, OPC_MS_SYSTEM_STOP, &stop, void, NULL, NULL), 0);
	assert_int_equal(state_of(tc, 0), SYS_ST_STOPPED);
	co_sleep_ns(500000000ull);
	for (i = 0; i < 3; i++)
		assert_int_equal(tc->nodes[i].stops, 1);
}

static void
test_shown(void **state)
{
	tc_run(seed_of(19), 3, body_shown);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_single),    cmocka_unit_test(test_three),
	    cmocka_unit_test(test_partition), cmocka_unit_test(test_lost_disk),
	    cmocka_unit_test(test_creation),  cmocka_unit_test(test_shown),
	};

	if (getenv("D_LOG_MASK") != NULL)
		log_set_mask(getenv("D_LOG_MASK"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
