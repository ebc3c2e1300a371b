/*
 * Which groups of an object were ever used (proto/obj_groups.h): kept here for objects whose home
 * group is on this target, and enforced here for objects that have another group on it.
 *
 * A client may write to a group other than the home group only with a proof: the moment at which
 * the home group had that group durably in its set. So whoever looks at the set sees every group
 * that holds something acknowledged. Sets only grow; one disappears when its object is punched:
 *
 *	1. the client looks at the set, and learns the moment (seen) it did so
 *	2. it punches all groups of the set but the home group; each of them refuses, from before
 *the epoch of its punch is chosen, every proof up to that moment, which is after `seen`
 *	3. it punches the home group, which drops the set only if nobody entered a group after
 *`seen`
 *
 * A proof from before `seen` is refused by the groups it speaks of, a proof from after it keeps the
 * set. A writer that was let through before step 2 has an epoch below the punch: what it writes is
 * hidden. A client that stops in the middle leaves a set that is larger than it need be, never one
 * that is too small.
 *
 * Both memories, of the last punch and of the last entry, are volatile and by hash of the object:
 * what is not known is taken as having just happened (floor: everything that an earlier life of
 * this engine did is below it). A wrong guess costs one more request, or a set that stays.
 *
 * Entering and dropping exclude each other by the slot's mutex: an entry must not find its group
 * in a set whose removal is on the way to the log.
 */
#define LOG_FACILITY "object"

#include <endian.h>
#include <stddef.h>
#include <string.h>

#include <daos_errno.h>

#include "base/crc.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "proto/opcodes.h"
#include "server/object/groups_format.h"
#include "server/object/obj_internal.h"

/* --- what happened lately --- */

void
obj_group_tab_init(struct obj_group_tab *tab)
{
	memset(tab, 0, sizeof(*tab));
	for (uint32_t i = 0; i < OBJ_GROUP_SLOTS; i++)
		co_mutex_init(&tab->slots[i].lock);
}

static struct obj_group_slot *
slot_of(struct obj_svc *svc, const struct obj_head *head)
{
	return &svc->groups
		    .slots[hash_u64(head->oid.lo ^ hash_u64(head->oid.hi)) % OBJ_GROUP_SLOTS];
}

static uint64_t
at_least(uint64_t stamp, uint64_t floor)
{
	return stamp > floor ? stamp : floor;
}

bool
obj_groups_proven(struct obj_svc *svc, const struct obj_rw *m)
{
	if (!(m->rw_flags & OBJ_RW_PROOF))
		return true;
	return m->proof > at_least(slot_of(svc, &m->head)->punched, svc->groups.floor);
}

void
obj_groups_punched(struct obj_svc *svc, const struct obj_head *head)
{
	slot_of(svc, head)->punched = svc->hlc.last;
}

/* --- the stored set --- */

static uint64_t zero_key;

static void
set_io(const struct obj_head *head, struct vos_io *io, daos_key_t *dkey, daos_iod_t *iod)
{
	*io = (struct vos_io){
	    .oid = {.id = head->oid, .shard = OBJ_SHARD_GROUPS},
	    .epoch = UINT64_MAX,
	    .dkey = dkey,
	    .iods = iod,
	    .iod_nr = 1,
	};
	*iod = (daos_iod_t){
	    .iod_type = DAOS_IOD_SINGLE, .iod_nr = 1, .iod_size = sizeof(struct groups_df)};
	d_iov_set(dkey, &zero_key, sizeof(zero_key));
	d_iov_set(&iod->iod_name, &zero_key, sizeof(zero_key));
}

static void
set_to_df(const struct obj_groups *set, struct groups_df *df)
{
	df->version = htole32(GROUPS_DF_VERSION);
	df->prefix = htole32(set->prefix);
	df->nr = htole32(set->nr);
	for (uint32_t i = 0; i < OBJ_GROUPS_SINGLE_MAX; i++)
		df->single[i] = htole32(set->single[i]);
	df->csum = htole32(crc32c(0, df, offsetof(struct groups_df, csum)));
}

static int
set_from_df(const struct groups_df *df, struct obj_groups *ret_set)
{
	struct obj_groups set = {.prefix = le32toh(df->prefix), .nr = le32toh(df->nr)};

	if (le32toh(df->csum) != crc32c(0, df, offsetof(struct groups_df, csum)))
		return -DER_CSUM;
	if (le32toh(df->version) != GROUPS_DF_VERSION)
		return -DER_DF_INCOMPT;
	for (uint32_t i = 0; i < OBJ_GROUPS_SINGLE_MAX; i++)
		set.single[i] = le32toh(df->single[i]);
	if (!obj_groups_valid(&set))
		return -DER_DF_INVAL;
	*ret_set = set;
	return 0;
}

int co_fn
obj_groups_read(struct vos_cont *vos, const struct obj_head *head, struct obj_groups *ret_set)
{
	const struct iovec *iov;
	struct groups_df df;
	struct vos_fetch *f;
	struct vos_io io;
	daos_key_t dkey;
	daos_iod_t iod;
	uint32_t nr;
	int rc;

	*ret_set = (struct obj_groups){0};
	set_io(head, &io, &dkey, &iod);
	if (head->epoch != 0)
		io.epoch = head->epoch;
	rc = vos_fetch_begin(vos, &io, 0, &f);
	if (rc != 0)
		return rc == -DER_NONEXIST ? 0 : rc;
	if (vos_fetch_size(f, 0) == sizeof(df)) {
		iov = vos_fetch_iov(f, 0, &nr);
		rc = iov_to_buf(iov, (int)nr, 0, &df, sizeof(df)) == sizeof(df)
			 ? set_from_df(&df, ret_set)
			 : -DER_DF_INVAL;
	} else if (vos_fetch_size(f, 0) != 0) {
		rc = -DER_DF_INVAL;
	}
	vos_fetch_end(f);
	if (rc != 0)
		log_err("object %016lx.%016lx: its set of groups is damaged: " ERR_F, head->oid.hi,
			head->oid.lo, ERR_P(rc));
	return rc;
}

static int co_fn
set_write(struct obj_svc *svc, struct vos_cont *vos, const struct obj_head *head,
	  const struct obj_groups *set)
{
	const struct iovec *iov;
	struct vos_update *up;
	struct groups_df df;
	struct vos_io io;
	uint64_t epoch;
	daos_key_t dkey;
	daos_iod_t iod;
	uint32_t nr;
	int rc;

	set_to_df(set, &df);
	set_io(head, &io, &dkey, &iod);
	rc = obj_epoch_next(svc, &epoch);
	if (rc != 0)
		return rc;
	io.epoch = epoch;
	rc = vos_update_begin(vos, &io, &up);
	if (rc != 0)
		return rc;
	iov = vos_update_iov(up, 0, &nr);
	iov_from_buf(iov, (int)nr, 0, &df, sizeof(df));
	return vos_update_end(up);
}

int co_fn
obj_groups_drop(struct obj_svc *svc, struct vos_cont *vos, const struct obj_head *head,
		uint64_t seen, bool *ret_stays)
{
	struct obj_group_slot *slot = slot_of(svc, head);
	struct vos_oid oid = {.id = head->oid, .shard = OBJ_SHARD_GROUPS};
	struct obj_groups set;
	uint64_t epoch;
	int rc;

	*ret_stays = false;
	co_mutex_lock(&slot->lock);
	rc = obj_groups_read(vos, head, &set);
	if (rc == 0 && set.prefix != 0) {
		if (at_least(slot->entered, svc->groups.floor) > seen)
			*ret_stays = true;
		else
			rc = obj_epoch_next(svc, &epoch);
		if (rc == 0 && !*ret_stays)
			rc = vos_punch(vos, &oid, epoch, 0, NULL, NULL, 0, NULL);
	}
	co_mutex_unlock(&slot->lock);
	return rc;
}

/* --- entering --- */

static int co_fn
enter_run(struct obj_svc *svc, const struct obj_enter *m, struct cont_shard *cont,
	  struct obj_enter_rep *rep)
{
	struct vos_cont *vos;
	int rc;

	rc = cont_vos(cont, true, &vos);
	if (rc == 0)
		rc = obj_groups_read(vos, &m->head, &rep->set);
	if (rc != 0)
		return rc;
	if (rep->set.prefix == 0)
		rep->set = m->set;
	if (obj_groups_add(&rep->set, m->total, m->first, m->last, m->dense)) {
		rc = set_write(svc, vos, &m->head, &rep->set);
		if (rc == 0)
			svc->ops->wrote(svc->ops_arg, cont);
	}
	return rc;
}

static int co_fn
enter_serve(struct obj_svc *svc, struct rpc_in *in, const struct obj_enter *m,
	    struct cont_shard **ret_cont, struct obj_enter_rep *rep)
{
	struct obj_group_slot *slot = slot_of(svc, &m->head);
	int rc;

	rc = obj_begin(svc, in, &m->head, CAP_WRITE, ret_cont);
	if (rc != 0)
		return rc;
	co_mutex_lock(&slot->lock);
	rc = enter_run(svc, m, *ret_cont, rep);
	if (rc == 0) {
		/* After the set is durable: who looked before this moment may not have seen it. */
		slot->entered = hlc_now(&svc->hlc, env_real_ns(xs_env(svc->xs)));
		rep->proof = slot->entered;
		rc = svc->ops->epoch_reserve(svc->ops_arg, rep->proof);
	}
	co_mutex_unlock(&slot->lock);
	return rc;
}

void
obj_groups_handle(struct rpc_in *in, void *arg)
{
	struct obj_svc *svc = arg;
	struct cont_shard *cont = NULL;
	struct obj_enter_rep rep = {0};
	struct obj_enter m;
	struct codec_wr wr;
	struct iovec body;
	uint8_t buf[96];
	int rc;

	rc = obj_enter_decode(in->body, in->body_len, &m);
	if (rc == 0)
		rc = enter_serve(svc, in, &m, &cont, &rep);
	codec_wr_init_fixed(&wr, buf, sizeof(buf));
	if (rc == 0)
		obj_enter_rep_encode(&wr, &rep);
	body = (struct iovec){.iov_base = wr.base, .iov_len = wr.len};
	obj_reply(svc, in, cont, rc, &body, rc == 0 ? 1 : 0);
	if (cont != NULL)
		cont_leave(cont);
}
