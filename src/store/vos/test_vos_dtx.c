/* Order and intents through the interface: what is refused, what waits, what a decision does. */
#include "store/vos/test_vos_util.h"

#include "base/mem.h"

static const uuid_t cont_uuid = {0xc1};

struct fix {
	struct tpool t;
	struct vos_cont *cont;
	struct vos_oid oid;
};

static struct vos_dtx_ref
dref(uint64_t seq, uint64_t attempt, uint64_t epoch)
{
	return (struct vos_dtx_ref){
	    .id = {.client = {77, 88}, .seq = seq},
	    .map_ver = 5,
	    .attempt = attempt,
	    .epoch = epoch,
	};
}

/* An update ready to be given to a transaction. Everything it points to must outlive it. */
struct one {
	daos_key_t dkey;
	daos_recx_t recx;
	daos_iod_t iod;
	struct vos_update *up;
};

static int co_fn
begin(struct fix *f, struct one *o, const char *dkey, const char *akey, uint64_t idx, uint64_t nr,
      uint64_t cond, char fill)
{
	struct vos_io io = {
	    .oid = f->oid,
	    .epoch = 1,
	    .cond_flags = cond,
	    .dkey = &o->dkey,
	    .iods = &o->iod,
	    .iod_nr = 1,
	};
	const struct iovec *iov;
	uint32_t i, iov_nr;
	int rc;

	o->dkey = skey(dkey);
	o->recx = (daos_recx_t){.rx_idx = idx, .rx_nr = nr};
	o->iod = (daos_iod_t){
	    .iod_name = skey(akey),
	    .iod_type = idx == UINT64_MAX ? DAOS_IOD_SINGLE : DAOS_IOD_ARRAY,
	    .iod_size = idx == UINT64_MAX ? nr : 1,
	    .iod_nr = 1,
	    .iod_recxs = idx == UINT64_MAX ? NULL : &o->recx,
	};
	rc = vos_update_begin(f->cont, &io, &o->up);
	if (rc != 0)
		return rc;
	iov = vos_update_iov(o->up, 0, &iov_nr);
	for (i = 0; i < iov_nr; i++)
		memset(iov[i].iov_base, fill, iov[i].iov_len);
	return 0;
}

/* Prepare one single value or extent. */
static int co_fn
prep(struct fix *f, struct vos_dtx_ref ref, const char *dkey, const char *akey, uint64_t idx,
     uint64_t nr, uint64_t cond, char fill, struct vos_conflict *conflict)
{
	struct one o;
	struct vos_op op = {.kind = VOS_OP_UPDATE};
	int rc;

	rc = begin(f, &o, dkey, akey, idx, nr, cond, fill);
	if (rc != 0)
		return rc;
	op.up = o.up;
	rc = vos_dtx_prepare(f->cont, &ref, 1, "part", 4, &op, 1, conflict);
	vos_update_cancel(op.up);
	return rc;
}
#define SINGLE UINT64_MAX

static int co_fn
punch_dkey(struct fix *f, struct vos_dtx_ref ref, const char *dkey, uint64_t cond,
	   struct vos_conflict *conflict)
{
	daos_key_t key = skey(dkey);
	struct vos_op op = {.kind = VOS_OP_PUNCH, .oid = f->oid, .dkey = &key, .cond_flags = cond};

	return vos_dtx_prepare(f->cont, &ref, 1, NULL, 0, &op, 1, conflict);
}

static int co_fn
reopen(struct fix *f)
{
	vos_cont_close(f->cont);
	vos_pool_close(f->t.pool);
	check_rc(vos_pool_open(f->t.dir, f->t.xs, &f->t.conf, &f->t.pool), 0);
	check_rc(vos_cont_open(f->t.pool, cont_uuid, &f->cont), 0);
	check_rc(vos_pool_verify(f->t.pool), 0);
	return 0;
}

/* The first byte of a value or extent; 0 = nothing there; negative: an error. */
static int co_fn
get_at(struct fix *f, uint64_t epoch, const char *dkey, const char *akey, uint64_t idx)
{
	daos_recx_t recx = {.rx_idx = idx, .rx_nr = 1};
	static char buf[1 << 20];
	int64_t n;

	n = tget(f->cont, f->oid, epoch, 0, skey(dkey), akey, idx == SINGLE ? NULL : &recx, buf,
		 sizeof(buf), NULL);
	return n < 0 ? n : n == 0 || (uint8_t)buf[0] == 0xee ? 0 : buf[0];
}

static enum vos_dtx_state co_fn
state_of(struct fix *f, uint64_t seq)
{
	struct vos_dtx_ref ref = dref(seq, 0, 0);
	struct vos_dtx_info info = {.state = 99};

	vos_dtx_status(f->cont, &ref.id, &info);
	return info.state;
}

#define REF(...) (&(struct vos_dtx_ref[]){dref(__VA_ARGS__)}[0])

/* --- life of an intent --------------------------------------------------------------------------
 */

static int
life(struct fix *f, uint64_t bytes)
{
	struct vos_space before, held, after;
	struct vos_conflict c;

	check_rc(prep(f, dref(1, 1, 100), "d", "a", SINGLE, bytes, 0, 'x', &c), 0);
	vos_pool_space(f->t.pool, &before);
	check(state_of(f, 1) == VOS_DTX_PREPARED);
	check(vos_dtx_oldest(f->cont) == 100);
	check_rc(vos_pool_verify(f->t.pool), 0);
	/* reads meet it at and above its epoch */
	check_rc(get_at(f, 99, "d", "a", SINGLE), 0);
	check_rc(get_at(f, 100, "d", "a", SINGLE), -DER_INPROGRESS);
	check_rc(get_at(f, UINT64_MAX, "d", "a", SINGLE), -DER_INPROGRESS);
	check_rc(get_at(f, 100, "d", "b", SINGLE), 0);
	/* again: known */
	check_rc(prep(f, dref(1, 1, 100), "d", "a", SINGLE, bytes, 0, 'x', &c), -DER_ALREADY);
	check_rc(reopen(f), 0);
	check(state_of(f, 1) == VOS_DTX_PREPARED);
	check_rc(get_at(f, 100, "d", "a", SINGLE), -DER_INPROGRESS);
	/* another attempt is not meant */
	check_rc(vos_dtx_commit(f->cont, REF(1, 2, 0)), -DER_MISMATCH);
	check_rc(vos_dtx_commit(f->cont, REF(2, 1, 0)), -DER_NONEXIST);
	check_rc(vos_dtx_commit(f->cont, REF(1, 1, 50)), -DER_INVAL);
	check_rc(vos_dtx_commit(f->cont, REF(1, 1, 0)), 0);
	check_rc(vos_dtx_commit(f->cont, REF(1, 1, 0)), 0);
	check_rc(vos_dtx_abort(f->cont, REF(1, 1, 0)), -DER_MISMATCH);
	check(state_of(f, 1) == VOS_DTX_COMMITTED);
	check(vos_dtx_oldest(f->cont) == UINT64_MAX);
	check_rc(get_at(f, 100, "d", "a", SINGLE), 'x');
	check_rc(get_at(f, 99, "d", "a", SINGLE), 0);
	check_rc(vos_pool_verify(f->t.pool), 0);
	check_rc(prep(f, dref(1, 2, 200), "d", "a", SINGLE, bytes, 0, 'y', &c), -DER_ALREADY);

	/* abort gives everything back */
	vos_pool_space(f->t.pool, &before);
	check_rc(prep(f, dref(3, 1, 200), "d", "a", SINGLE, bytes, 0, 'y', &c), 0);
	vos_pool_space(f->t.pool, &held);
	check(held.scm_free < before.scm_free);
	check_rc(vos_dtx_abort(f->cont, REF(3, 1, 0)), 0);
	check_rc(vos_dtx_abort(f->cont, REF(3, 1, 0)), 0);
	check(state_of(f, 3) == VOS_DTX_ABORTED);
	check_rc(vos_dtx_commit(f->cont, REF(3, 1, 0)), -DER_MISMATCH);
	check_rc(prep(f, dref(3, 1, 300), "d", "a", SINGLE, bytes, 0, 'y', &c), -DER_STALE);
	check_rc(get_at(f, 300, "d", "a", SINGLE), 'x');
	/* an abort that comes first holds */
	check_rc(vos_dtx_abort(f->cont, REF(4, 3, 0)), 0);
	check_rc(prep(f, dref(4, 3, 300), "d", "a", SINGLE, bytes, 0, 'z', &c), -DER_STALE);
	check_rc(prep(f, dref(4, 4, 300), "d", "a", SINGLE, bytes, 0, 'z', &c), 0);
	check_rc(vos_dtx_abort(f->cont, REF(4, 3, 0)), 0);
	check(state_of(f, 4) == VOS_DTX_PREPARED);
	check_rc(vos_dtx_forget(f->cont, &REF(4, 3, 0)->id, 1), -DER_BUSY);
	/* a newer attempt takes its place; commit later than it asked for */
	check_rc(prep(f, dref(4, 5, 310), "d", "a", SINGLE, bytes / 2, 0, 'w', &c), 0);
	check_rc(vos_pool_verify(f->t.pool), 0);
	check_rc(vos_dtx_commit(f->cont, REF(4, 4, 0)), -DER_MISMATCH);
	check_rc(vos_dtx_commit(f->cont, REF(4, 5, 320)), 0);
	check_rc(get_at(f, 319, "d", "a", SINGLE), 'x');
	check_rc(get_at(f, 320, "d", "a", SINGLE), 'w');
	check_rc(vos_dtx_forget(
		     f->cont,
		     (struct vos_dtx_id[]){REF(1, 0, 0)->id, REF(3, 0, 0)->id, REF(4, 0, 0)->id},
		     3),
		 0);
	check(state_of(f, 1) == VOS_DTX_COMMITTED && state_of(f, 3) == VOS_DTX_UNKNOWN);
	check_rc(vos_pool_verify(f->t.pool), 0);
	vos_pool_settle(f->t.pool);
	vos_pool_space(f->t.pool, &after);
	check(bytes < 8192 || after.nvme_free + bytes / 2 + 8192 >= before.nvme_free);
	return 0;
}

static int
test_life_small_main(void *arg)
{
	return life(arg, 60);
}

static int
test_life_large_main(void *arg)
{
	return life(arg, 100000);
}

/* --- order
 * ----------------------------------------------------------------------------------------- */

static int co_fn
read_at(struct fix *f, uint64_t epoch, const char *dkey, const char *akey,
	const struct vos_order *order)
{
	daos_key_t key = skey(dkey);
	daos_iod_t iod = {.iod_name = skey(akey), .iod_type = DAOS_IOD_SINGLE, .iod_nr = 1};
	struct vos_io io = {
	    .oid = f->oid,
	    .epoch = epoch,
	    .dkey = &key,
	    .iods = &iod,
	    .iod_nr = 1,
	    .order = order,
	};
	struct vos_fetch *fetch;
	int rc;

	rc = vos_fetch_begin(f->cont, &io, 0, &fetch);
	if (rc == 0)
		vos_fetch_end(fetch);
	return rc;
}

static int
none(const struct vos_entry *e, void *arg)
{
	return 0;
}

static int co_fn
list_at(struct fix *f, enum vos_list_kind kind, const char *dkey, uint64_t epoch,
	const struct vos_order *order)
{
	daos_key_t key = skey(dkey);
	struct vos_list list = {
	    .kind = kind, .oid = f->oid, .epoch = epoch, .dkey = &key, .order = order};
	struct vos_anchor anchor = {0};

	return vos_list(f->cont, &list, &anchor, none, NULL);
}

static int
test_order_main(void *arg)
{
	struct fix *f = arg;
	struct vos_conflict c, rc_c;
	struct vos_dtx_id self = dref(50, 0, 0).id;
	struct vos_order read = {.flags = VOS_ORDER_READ, .conflict = &rc_c};
	struct vos_order mine = {.flags = VOS_ORDER_READ, .self = &self, .conflict = &rc_c};
	struct vos_order blind = {.flags = VOS_ORDER_IGNORE};
	struct vos_order but = {.ignore = &self, .ignore_nr = 1, .conflict = &rc_c};

	/* what was read stays as it was */
	check_rc(read_at(f, 100, "d", "a", &read), 0);
	check_rc(prep(f, dref(1, 1, 100), "d", "a", SINGLE, 8, 0, 'x', &c), -DER_TX_RESTART);
	check(c.min_epoch == 101);
	check_rc(prep(f, dref(1, 1, 100), "d", "b", SINGLE, 8, 0, 'x', &c), 0);
	check_rc(vos_dtx_commit(f->cont, REF(1, 1, 0)), 0);
	/* also what is above it, when punched */
	check_rc(punch_dkey(f, dref(2, 1, 99), "d", 0, &c), -DER_TX_RESTART);
	check(c.min_epoch == 101);
	/* a listing covers what is beneath */
	check_rc(list_at(f, VOS_LIST_AKEY, "e", 120, &read), 0);
	check_rc(prep(f, dref(2, 1, 110), "e", "new", SINGLE, 8, 0, 'x', &c), -DER_TX_RESTART);
	check(c.min_epoch == 121);
	check_rc(list_at(f, VOS_LIST_DKEY, "", 130, &read), 0);
	check_rc(prep(f, dref(2, 1, 125), "q", "new", SINGLE, 8, 0, 'x', &c), -DER_TX_RESTART);
	check(c.min_epoch == 131);
	check_rc(list_at(f, VOS_LIST_OBJ, "", 140, &read), 0);
	f->oid.id.lo += 7;
	check_rc(prep(f, dref(2, 1, 140), "q", "new", SINGLE, 8, 0, 'x', &c), -DER_TX_RESTART);
	check(c.min_epoch == 141);
	f->oid.id.lo -= 7;
	/* a transaction's own reads do not hinder it; others' at the same epoch do */
	check_rc(read_at(f, 150, "d", "a", &mine), 0);
	check_rc(prep(f, dref(50, 1, 150), "d", "a", SINGLE, 8, 0, 'x', &c), 0);
	check_rc(vos_dtx_abort(f->cont, REF(50, 1, 0)), 0);
	check_rc(read_at(f, 150, "d", "a", &read), 0);
	check_rc(prep(f, dref(50, 2, 150), "d", "a", SINGLE, 8, 0, 'x', &c), -DER_TX_RESTART);
	/* committed changes */
	check_rc(prep(f, dref(3, 1, 200), "d", "a", SINGLE, 8, 0, 'x', &c), 0);
	check_rc(vos_dtx_commit(f->cont, REF(3, 1, 0)), 0);
	check_rc(prep(f, dref(4, 1, 200), "d", "a", SINGLE, 8, 0, 'x', &c), -DER_TX_RESTART);
	check(c.min_epoch == 201);
	check_rc(punch_dkey(f, dref(5, 1, 220), "d", 0, &c), 0);
	/* an intent above, an intent below */
	check_rc(prep(f, dref(6, 1, 210), "d", "zz", SINGLE, 8, 0, 'x', &c), -DER_TX_RESTART);
	check(c.min_epoch == 221);
	check_rc(prep(f, dref(6, 1, 230), "d", "zz", SINGLE, 8, 0, 'x', &c), 0);
	check_rc(prep(f, dref(7, 1, 240), "d", "zz", SINGLE, 8, DAOS_COND_AKEY_INSERT, 'x', &c),
		 -DER_INPROGRESS);
	check(c.dtx_nr == 2 && !c.more);
	check_rc(vos_dtx_commit(f->cont, REF(5, 1, 0)), 0);
	check_rc(prep(f, dref(7, 1, 210), "d", "zz", SINGLE, 8, 0, 'x', &c), -DER_TX_RESTART);
	check(c.min_epoch == 241);
	check_rc(vos_dtx_abort(f->cont, REF(6, 1, 0)), 0);
	check_rc(prep(f, dref(7, 1, 240), "d", "zz", SINGLE, 8, DAOS_COND_AKEY_UPDATE, 'x', &c),
		 -DER_NONEXIST);
	check_rc(prep(f, dref(8, 1, 245), "d", "zz", SINGLE, 8, DAOS_COND_AKEY_INSERT, 'x', &c), 0);
	/* a condition that was seen holds */
	check_rc(prep(f, dref(9, 1, 244), "d", "zz", SINGLE, 8, 0, 'x', &c), -DER_TX_RESTART);
	check(c.min_epoch == 246);
	/* reads: who is in the way, and who may pass */
	check_rc(read_at(f, 250, "d", "zz", &read), -DER_INPROGRESS);
	check(rc_c.dtx_nr == 1 && rc_c.dtx[0].id.seq == 8 && rc_c.dtx[0].epoch == 245);
	self.seq = 8;
	check_rc(read_at(f, 250, "d", "zz", &but), 0);
	check_rc(read_at(f, 250, "d", "zz", &blind), 0);
	check_rc(read_at(f, 244, "d", "zz", &blind), 0);
	check_rc(list_at(f, VOS_LIST_AKEY, "d", 250, &read), -DER_INPROGRESS);
	check_rc(list_at(f, VOS_LIST_AKEY, "d", 250, &but), 0);
	check_rc(list_at(f, VOS_LIST_DKEY, "", 250, NULL), -DER_INPROGRESS);
	check_rc(list_at(f, VOS_LIST_OBJ, "", 250, NULL), -DER_INPROGRESS);
	check_rc(list_at(f, VOS_LIST_OBJ, "", 244, NULL), 0);
	check_rc(vos_dtx_commit(f->cont, REF(8, 1, 0)), 0);
	/* whether it is a value or an array must be decided first */
	check_rc(prep(f, dref(10, 1, 300), "d", "arr", 0, 10, 0, 'x', &c), 0);
	check_rc(prep(f, dref(11, 1, 310), "d", "arr", SINGLE, 10, 0, 'x', &c), -DER_INPROGRESS);
	check_rc(prep(f, dref(11, 1, 310), "d", "arr", 5, 10, 0, 'y', &c), 0);
	/* other extents are free */
	check_rc(prep(f, dref(12, 1, 305), "d", "arr", 15, 10, 0, 'z', &c), 0);
	check_rc(prep(f, dref(13, 1, 305), "d", "arr", 14, 10, 0, 'z', &c), -DER_TX_RESTART);
	check(c.min_epoch == 311);
	check_rc(get_at(f, 320, "d", "arr", 30), 0);
	check_rc(get_at(f, 320, "d", "arr", 20), -DER_INPROGRESS);
	/* in any order */
	check_rc(vos_dtx_commit(f->cont, REF(11, 1, 0)), 0);
	check_rc(vos_dtx_commit(f->cont, REF(10, 1, 0)), 0);
	check_rc(vos_dtx_commit(f->cont, REF(12, 1, 0)), 0);
	check_rc(get_at(f, 320, "d", "arr", 4), 'x');
	check_rc(get_at(f, 320, "d", "arr", 5), 'y');
	check_rc(get_at(f, 320, "d", "arr", 16), 'z');
	/* a punch is in the way of what it would hide, whatever is there */
	check_rc(prep(f, dref(20, 1, 330), "pd", "a", SINGLE, 1, 0, 'x', &c), 0);
	check_rc(vos_dtx_commit(f->cont, REF(20, 1, 0)), 0);
	check_rc(punch_dkey(f, dref(21, 1, 340), "pd", 0, &c), 0);
	check_rc(vos_dtx_commit(f->cont, REF(21, 1, 0)), 0);
	check_rc(prep(f, dref(22, 1, 335), "pd", "b", SINGLE, 1, 0, 'x', &c), -DER_TX_RESTART);
	check(c.min_epoch == 341);
	/* snapshots: all of the container was read */
	vos_cont_read_floor(f->cont, 400);
	check_rc(prep(f, dref(14, 1, 400), "n", "n", SINGLE, 1, 0, 'x', &c), -DER_TX_RESTART);
	check(c.min_epoch == 401);
	/* what was read before a restart is below the floor given */
	f->t.conf.ts_floor = 500;
	check_rc(reopen(f), 0);
	check_rc(prep(f, dref(14, 1, 450), "n", "n", SINGLE, 1, 0, 'x', &c), -DER_TX_RESTART);
	check(c.min_epoch == 501);
	return vos_pool_verify(f->t.pool);
}

/* The table of timestamps is small: it may answer too high, never too low. */
static int
test_ts_main(void *arg)
{
	struct fix *f = arg;
	struct vos_order read = {.flags = VOS_ORDER_READ};
	struct vos_conflict c;
	char name[16];
	int i;

	for (i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		check_rc(read_at(f, 1000 + i, name, "a", &read), 0);
	}
	for (i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		check_rc(prep(f, dref(1, 1, 1000 + i), name, "a", SINGLE, 1, 0, 'x', &c),
			 -DER_TX_RESTART);
		check(c.min_epoch > 1000 + i && c.min_epoch <= 1400);
		check_rc(punch_dkey(f, dref(1, 1, 1000 + i), name, 0, &c), -DER_TX_RESTART);
		check(c.min_epoch > 1000 + i && c.min_epoch <= 1400);
	}
	check_rc(prep(f, dref(1, 1, 1400), "k1", "a", SINGLE, 1, 0, 'x', &c), 0);
	return 0;
}

/* --- several at once
 * ---------------------------------------------------------------------------------- */

static int
seen_cb(const struct vos_dtx_info *info, void *arg)
{
	uint64_t *sum = arg;

	*sum = *sum * 100 + info->ref.id.seq * 10 + info->key_nr;
	return info->part_len == 4 && memcmp(info->part, "four", 4) == 0 ? 0 : -DER_MISC;
}

static int
test_ops_main(void *arg)
{
	struct fix *f = arg;
	struct vos_oid first = f->oid, second = toid(DAOS_OT_MULTI_HASHED, 4711);
	struct vos_dtx_id after = {0};
	struct vos_conflict c;
	struct one a, b, x;
	daos_key_t d = skey("d");
	uint64_t sum = 0;

	/* a later condition sees what an earlier operation did; either all or nothing */
	check_rc(begin(f, &a, "d", "a", SINGLE, 100, 0, 'a'), 0);
	f->oid = second;
	check_rc(begin(f, &b, "e", "b", 0, 50000, DAOS_COND_DKEY_INSERT, 'b'), 0);
	f->oid = first;
	check_rc(begin(f, &x, "d", "x", SINGLE, 10, DAOS_COND_DKEY_UPDATE, 'c'), 0);
	{
		struct vos_op ops[] = {
		    {.kind = VOS_OP_UPDATE, .op_nr = 1, .up = a.up},
		    {.kind = VOS_OP_UPDATE, .op_nr = 2, .up = b.up},
		    {.kind = VOS_OP_PUNCH, .op_nr = 3, .oid = first, .dkey = &d},
		    {.kind = VOS_OP_UPDATE, .op_nr = 4, .up = x.up},
		};

		check_rc(vos_apply(f->cont, 100, ops, 4, NULL, NULL), -DER_NONEXIST);
		check(ops[0].up != NULL && ops[3].up != NULL);
		check_rc(get_at(f, 200, "d", "a", SINGLE), 0);
		check_rc(vos_pool_verify(f->t.pool), 0);
		/* other way round: the update is there when it is asked for, then punched */
		ops[2].op_nr = 4;
		ops[3].op_nr = 3;
		{
			struct vos_op t = ops[2];

			ops[2] = ops[3];
			ops[3] = t;
		}
		check_rc(vos_apply(f->cont, 100, ops, 4, NULL, NULL), 0);
		check(ops[0].up == NULL && ops[1].up == NULL && ops[2].up == NULL);
	}
	check_rc(get_at(f, 200, "d", "a", SINGLE), 0);
	check_rc(get_at(f, 200, "d", "x", SINGLE), 0);
	f->oid = second;
	check_rc(get_at(f, 200, "e", "b", 49999), 'b');
	f->oid = first;
	check_rc(vos_pool_verify(f->t.pool), 0);

	/* the same as an intent, over two objects, across a restart, then at another epoch */
	check_rc(begin(f, &a, "d", "a", SINGLE, 100, DAOS_COND_DKEY_INSERT, 'A'), 0);
	f->oid = second;
	check_rc(begin(f, &b, "e", "b", 10, 50000, 0, 'B'), 0);
	f->oid = first;
	{
		struct vos_op ops[] = {
		    {.kind = VOS_OP_UPDATE, .op_nr = 1, .up = a.up},
		    {.kind = VOS_OP_UPDATE, .op_nr = 2, .up = b.up},
		    {.kind = VOS_OP_PUNCH, .op_nr = 3, .oid = toid(DAOS_OT_MULTI_HASHED, 9)},
		};

		check_rc(vos_dtx_prepare(f->cont, REF(1, 1, 300), 1, "four", 4, ops, 3, &c), 0);
	}
	check_rc(reopen(f), 0);
	check_rc(get_at(f, 400, "d", "a", SINGLE), -DER_INPROGRESS);
	f->oid = second;
	check_rc(get_at(f, 400, "e", "b", 49999), -DER_INPROGRESS);
	check_rc(get_at(f, 400, "e", "b", 5), 'b');
	check_rc(vos_dtx_list(f->cont, 1 << VOS_DTX_PREPARED, &after, seen_cb, &sum), 0);
	check(sum == 13);
	check_rc(vos_dtx_move(f->cont, REF(1, 1, 0), REF(1, 2, 90), &c), -DER_TX_RESTART);
	check(c.min_epoch == 101);
	check_rc(vos_dtx_move(f->cont, REF(1, 7, 0), REF(1, 8, 310), &c), -DER_NONEXIST);
	check_rc(vos_dtx_move(f->cont, REF(1, 1, 0), REF(1, 2, 310), &c), 0);
	check_rc(vos_pool_verify(f->t.pool), 0);
	check_rc(get_at(f, 309, "e", "b", 49999), 'b');
	check_rc(get_at(f, 310, "e", "b", 49999), -DER_INPROGRESS);
	check_rc(vos_dtx_commit(f->cont, REF(1, 1, 0)), -DER_MISMATCH);
	{
		struct vos_dtx_ref refs[] = {dref(9, 1, 0), dref(1, 2, 0)};
		int rcs[2];

		check_rc(vos_dtx_commit_batch(f->cont, refs, 2, rcs), 0);
		check(rcs[0] == -DER_NONEXIST && rcs[1] == 0);
	}
	check_rc(get_at(f, 400, "e", "b", 49999), 'B');
	check_rc(get_at(f, 309, "e", "b", 49999), 'b');
	f->oid = first;
	check_rc(get_at(f, 310, "d", "a", SINGLE), 'A');
	return vos_pool_verify(f->t.pool);
}

/* --- space
 * ------------------------------------------------------------------------------------------------
 */

/* Fill the pool with plain updates while intents are outstanding: they can all be committed. */
static int
test_full_main(void *arg)
{
	struct fix *f = arg;
	static char data[6000];
	struct vos_conflict c;
	char name[32];
	uint64_t i, nr = 40;
	bool more = true;
	int rc = 0;

	for (i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "dkey%d", (int)i);
		check_rc(prep(f, dref(i + 1, 1, 1000 + i), name, "a", SINGLE, 3000, 0, 'x', &c), 0);
	}
	for (i = 0; rc == 0; i++) {
		snprintf(name, sizeof(name), "fill%d", (int)i);
		rc = tput(f->cont, f->oid, 5000 + i, 0, skey(name), "a", NULL, 3000, data, 3000,
			  NULL);
	}
	check_rc(rc, -DER_NOSPACE);
	/* aggregation stays below them, whatever is asked for */
	check_rc(vos_aggregate(f->cont, 100000, NULL, 0, 1000000000, &more), 0);
	check_rc(punch_dkey(f, dref(99, 1, 999), "dkey0", 0, &c), -DER_TX_RESTART);
	check(c.min_epoch == 1001);
	check_rc(punch_dkey(f, dref(99, 1, 1000), "other", 0, &c), 0);
	check_rc(vos_dtx_abort(f->cont, REF(99, 1, 0)), 0);
	for (i = 0; i < nr; i++) {
		if (i % 8 == 7)
			check_rc(vos_dtx_abort(f->cont, REF(i + 1, 1, 0)), 0);
		else
			check_rc(vos_dtx_commit(f->cont, REF(i + 1, 1, 0)), 0);
	}
	check_rc(vos_pool_verify(f->t.pool), 0);
	for (i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "dkey%d", (int)i);
		check_rc(get_at(f, UINT64_MAX, name, "a", SINGLE), i % 8 == 7 ? 0 : 'x');
	}
	check_rc(vos_aggregate(f->cont, 100000, NULL, 0, 1000000000, &more), 0);
	check_rc(punch_dkey(f, dref(98, 1, 4000), "late", 0, &c), -DER_TX_RESTART);
	check(c.min_epoch == 100001);
	return vos_pool_verify(f->t.pool);
}

/* Without history a commit that comes late may have no place any more: its space comes back. */
static int
test_late_main(void *arg)
{
	struct fix *f = arg;
	struct vos_conflict c;

	check_rc(vos_cont_set_keep(f->cont, UINT64_MAX, NULL, 0), 0);
	check_rc(prep(f, dref(1, 1, 100), "d", "a", SINGLE, 100000, 0, 'x', &c), 0);
	check_rc(prep(f, dref(2, 1, 200), "d", "a", SINGLE, 100000, 0, 'y', &c), 0);
	check_rc(prep(f, dref(3, 1, 100), "d", "b", 0, 100000, 0, 'x', &c), 0);
	check_rc(prep(f, dref(4, 1, 200), "d", "b", 0, 100000, 0, 'y', &c), 0);
	check_rc(vos_dtx_commit(f->cont, REF(2, 1, 0)), 0);
	check_rc(vos_dtx_commit(f->cont, REF(1, 1, 0)), 0);
	check_rc(vos_dtx_commit(f->cont, REF(4, 1, 0)), 0);
	check_rc(vos_dtx_commit(f->cont, REF(3, 1, 0)), 0);
	check_rc(get_at(f, UINT64_MAX, "d", "a", SINGLE), 'y');
	check_rc(get_at(f, UINT64_MAX, "d", "b", 0), 'y');
	return vos_pool_verify(f->t.pool);
}

/* Another record size, and its removal by a discard: the old size is the size again. */
static int
test_discard_main(void *arg)
{
	struct fix *f = arg;
	daos_recx_t recx = {.rx_idx = 0, .rx_nr = 16};
	static char data[16 * 8];
	struct vos_conflict c;
	bool more;

	check_rc(tput(f->cont, f->oid, 10, 0, skey("d"), "a", &recx, 1, data, 16, NULL), 0);
	check_rc(tput(f->cont, f->oid, 10, 0, skey("e"), "a", &recx, 1, data, 16, NULL), 0);
	check_rc(vos_punch(f->cont, &f->oid, 20, 0, &(daos_key_t[]){skey("d")}[0], NULL, 0, NULL),
		 0);
	check_rc(tput(f->cont, f->oid, 30, 0, skey("d"), "a", &recx, 8, data, 128, NULL), 0);
	check_rc(prep(f, dref(1, 1, 31), "d", "b", SINGLE, 10, 0, 'x', &c), 0);
	check_rc(prep(f, dref(2, 1, 14), "d", "b", SINGLE, 10, 0, 'y', &c), -DER_TX_RESTART);
	check_rc(vos_discard(f->cont, &f->oid, 15, 1000000000, &more), -DER_BUSY);
	do
		check_rc(vos_discard(f->cont, NULL, 15, 0, &more), 0);
	while (more);
	check(state_of(f, 1) == VOS_DTX_ABORTED);
	check_rc(vos_pool_verify(f->t.pool), 0);
	check(get_at(f, UINT64_MAX, "d", "a", 3) == 0); /* byte 0 is there: no hole */
	check_rc(tput(f->cont, f->oid, 40, 0, skey("d"), "a", &recx, 8, data, 128, NULL),
		 -DER_INVAL);
	check_rc(tput(f->cont, f->oid, 40, 0, skey("d"), "a", &recx, 1, data, 16, NULL), 0);
	/* what was not touched since keeps its epochs, what was has lower ones */
	check_rc(vos_discard(f->cont, NULL, 5, 1000000000, &more), 0);
	check_rc(list_at(f, VOS_LIST_OBJ, "", UINT64_MAX, NULL), 0);
	check_rc(vos_obj_max_epoch(f->cont, &f->oid, &(uint64_t){0}), -DER_NONEXIST);
	return vos_pool_verify(f->t.pool);
}

/* A container goes with intents in it: nothing stays. */
static int
test_destroy_main(void *arg)
{
	struct fix *f = arg;
	struct vos_space before, after;
	struct vos_conflict c;

	vos_pool_space(f->t.pool, &before);
	check_rc(prep(f, dref(1, 1, 100), "d", "a", SINGLE, 200000, 0, 'x', &c), 0);
	check_rc(prep(f, dref(2, 1, 100), "d", "b", SINGLE, 20, 0, 'x', &c), 0);
	check_rc(vos_dtx_commit(f->cont, REF(2, 1, 0)), 0);
	check_rc(vos_cont_destroy(f->t.pool, cont_uuid), 0);
	check_rc(vos_dtx_commit(f->cont, REF(1, 1, 0)), -DER_NO_HDL);
	vos_cont_close(f->cont);
	vos_pool_settle(f->t.pool);
	check_rc(vos_pool_verify(f->t.pool), 0);
	vos_pool_space(f->t.pool, &after);
	check(after.nvme_free == before.nvme_free);
	check_rc(vos_cont_create(f->t.pool, cont_uuid), 0);
	return vos_cont_open(f->t.pool, cont_uuid, &f->cont);
}

/* --- main
 * ---------------------------------------------------------------------------------------------------
 */

struct job {
	struct fix f;
	int (*fn)(void *arg);
};

static int
job_main(void *arg)
{
	struct job *j = arg;
	struct fix *f = &j->f;
	int rc;

	check_rc(vos_pool_create(f->t.dir, f->t.xs, &f->t.conf), 0);
	check_rc(vos_pool_open(f->t.dir, f->t.xs, &f->t.conf, &f->t.pool), 0);
	check_rc(vos_cont_create(f->t.pool, cont_uuid), 0);
	check_rc(vos_cont_open(f->t.pool, cont_uuid, &f->cont), 0);
	check_rc(vos_cont_set_keep(f->cont, 1, NULL, 0), 0);
	rc = j->fn(f);
	if (rc != 0)
		return rc;
	vos_cont_close(f->cont);
	vos_pool_close(f->t.pool);
	return 0;
}

static void
run(int (*fn)(void *arg), uint64_t scm_bytes, uint32_t ts_entries)
{
	struct job j = {.fn = fn, .f.oid = toid(DAOS_OT_MULTI_HASHED, 1)};

	tpool_init(&j.f.t, scm_bytes, 64 << 20);
	j.f.t.conf.ts_entries = ts_entries;
	tpool_run(&j.f.t, job_main, &j);
	tpool_fini(&j.f.t);
}

static void
test_life(void **state)
{
	run(test_life_small_main, 16 << 20, 0);
	run(test_life_large_main, 16 << 20, 0);
}

static void
test_order(void **state)
{
	run(test_order_main, 16 << 20, 0);
}

static void
test_timestamps(void **state)
{
	run(test_ts_main, 16 << 20, 64);
	run(test_ts_main, 16 << 20, 4);
}

static void
test_ops(void **state)
{
	run(test_ops_main, 16 << 20, 0);
}

static void
test_full(void **state)
{
	run(test_full_main, 8 << 20, 0);
}

static void
test_late(void **state)
{
	run(test_late_main, 16 << 20, 0);
}

static void
test_discard(void **state)
{
	run(test_discard_main, 16 << 20, 0);
}

static void
test_destroy(void **state)
{
	run(test_destroy_main, 16 << 20, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_life),       cmocka_unit_test(test_order),
	    cmocka_unit_test(test_timestamps), cmocka_unit_test(test_ops),
	    cmocka_unit_test(test_full),       cmocka_unit_test(test_destroy),
	    cmocka_unit_test(test_late),       cmocka_unit_test(test_discard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
