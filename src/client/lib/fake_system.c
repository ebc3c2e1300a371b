/*
 * The fake system. Everything is a linked list; every handler decodes, does, encodes.
 *
 * Array values are bytes with a map of which are there, up to 64 MiB; records are not told apart
 * beyond their size.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <daos_prop.h>

#include "client/lib/fake_system.h"
#include "base/list.h"
#include "proto/capability.h"
#include "proto/mgmt.pb-c.h"
#include "proto/mgmt_defs.h"
#include "proto/obj_proto.h"
#include "proto/opcodes.h"

enum {
	EP_MAX = FAKE_TARGET_MAX + 1,
	CAP_KNOWN_MAX = 16,
	OPC_MAX = 0x500,
	IDENT_MAX = 4096,
	CONT_MAX = 8,
	ATTR_MAX = 16,
	PROP_MAX = 40,
	LIST_PAGE = 2,
	LIST_KEYS_MAX = 7, /* small, so that listings come in several replies */
};

struct akey {
	struct list link;
	uint8_t *name;
	size_t len;
	uint64_t rec_size;
	bool single;
	uint8_t *data;
	uint8_t *there; /* per byte */
	uint64_t cap;
};
struct dkey {
	struct list link;
	uint8_t *name;
	size_t len;
	struct list akeys;
};
struct fobj {
	struct list link;
	uuid_t cont;
	daos_obj_id_t oid;
	struct list dkeys;
};
/* What is remembered of the groups of an object. */
struct fset {
	struct list link;
	daos_obj_id_t oid;
	struct obj_groups set; /* prefix 0: none */
	uint64_t entered;
	uint64_t punched;
};
struct target {
	struct fake *fake;
	struct rpc_ep *ep;
	struct list objs;
	struct list sets;
};
struct fcont {
	bool used;
	uuid_t uuid;
	uuid_t handle;
	Mgmt__Prop *props[PROP_MAX];
	size_t prop_nr;
	Mgmt__Attr *attrs[ATTR_MAX];
	size_t attr_nr;
	uint32_t open_nr;
	uint64_t next_oid;
};
struct ident {
	uint64_t client[2];
	uint64_t seq;
};
struct fake {
	struct xs *xs;
	uint32_t target_nr;
	struct target targets[EP_MAX]; /* 0: the system's */
	uuid_t pool;
	uint32_t map_ver;
	uint64_t epoch;
	uint8_t key[CAP_KEY_BYTES];
	uint64_t cap_gen; /* capabilities below it are refused */
	uint8_t known[CAP_KNOWN_MAX][16];
	uint32_t known_nr;
	struct fcont conts[CONT_MAX];
	struct fcont pool_attrs; /* only its attributes */
	struct ident idents[IDENT_MAX];
	uint32_t ident_nr;
	uint32_t repeated_nr;
	uint32_t count[OPC_MAX];
	struct {
		uint32_t opc;
		int status;
		uint32_t nr;
		bool execute;
	} inject;
	bool hold;
	struct co_waitq holdq;
};

/* --- control --- */

void
fake_inject(struct fake *fake, uint32_t opc, int status, uint32_t nr, bool execute)
{
	fake->inject.opc = opc;
	fake->inject.status = status;
	fake->inject.nr = nr;
	fake->inject.execute = execute;
}

uint32_t
fake_count(const struct fake *fake, uint32_t opc)
{
	return fake->count[opc];
}

uint32_t
fake_repeated(const struct fake *fake)
{
	return fake->repeated_nr;
}

void
fake_forget_caps(struct fake *fake, bool revoke)
{
	fake->known_nr = 0;
	if (revoke)
		fake->cap_gen++;
}

void
fake_new_map(struct fake *fake)
{
	fake->map_ver++;
}

void
fake_hold(struct fake *fake, bool hold)
{
	fake->hold = hold;
	if (!hold)
		co_waitq_wake_all(&fake->holdq);
}

/* --- store --- */

static void
akey_free(struct akey *a)
{
	list_del(&a->link);
	free(a->name);
	free(a->data);
	free(a->there);
	free(a);
}

static void
dkey_free(struct dkey *d)
{
	while (!list_empty(&d->akeys))
		akey_free(list_first(&d->akeys, struct akey, link));
	list_del(&d->link);
	free(d->name);
	free(d);
}

static void
fobj_free(struct fobj *o)
{
	while (!list_empty(&o->dkeys))
		dkey_free(list_first(&o->dkeys, struct dkey, link));
	list_del(&o->link);
	free(o);
}

static void *
copy_of(const void *p, size_t len)
{
	void *q = malloc(len + 1);

	memcpy(q, p, len);
	return q;
}

static struct fobj *
fobj_find(struct target *t, const uuid_t cont, daos_obj_id_t oid, bool create)
{
	struct list *pos;
	struct fobj *o;

	list_for_each (pos, &t->objs) {
		o = list_entry(pos, struct fobj, link);
		if (o->oid.lo == oid.lo && o->oid.hi == oid.hi && uuid_compare(o->cont, cont) == 0)
			return o;
	}
	if (!create)
		return NULL;
	o = calloc(1, sizeof(*o));
	uuid_copy(o->cont, cont);
	o->oid = oid;
	list_init(&o->dkeys);
	list_push_back(&t->objs, &o->link);
	return o;
}

static struct fset *
fset_of(struct target *t, daos_obj_id_t oid)
{
	struct list *pos;
	struct fset *fs;

	list_for_each (pos, &t->sets) {
		fs = list_entry(pos, struct fset, link);
		if (fs->oid.lo == oid.lo && fs->oid.hi == oid.hi)
			return fs;
	}
	fs = calloc(1, sizeof(*fs));
	fs->oid = oid;
	list_push_back(&t->sets, &fs->link);
	return fs;
}

static struct dkey *
dkey_find(struct fobj *o, const daos_key_t *key, bool create)
{
	struct list *pos;
	struct dkey *d;

	if (o == NULL)
		return NULL;
	list_for_each (pos, &o->dkeys) {
		d = list_entry(pos, struct dkey, link);
		if (d->len == key->iov_len && memcmp(d->name, key->iov_buf, d->len) == 0)
			return d;
	}
	if (!create)
		return NULL;
	d = calloc(1, sizeof(*d));
	d->name = copy_of(key->iov_buf, key->iov_len);
	d->len = key->iov_len;
	list_init(&d->akeys);
	list_push_back(&o->dkeys, &d->link);
	return d;
}

static struct akey *
akey_find(struct dkey *d, const daos_key_t *key, bool create)
{
	struct list *pos;
	struct akey *a;

	if (d == NULL)
		return NULL;
	list_for_each (pos, &d->akeys) {
		a = list_entry(pos, struct akey, link);
		if (a->len == key->iov_len && memcmp(a->name, key->iov_buf, a->len) == 0)
			return a;
	}
	if (!create)
		return NULL;
	a = calloc(1, sizeof(*a));
	a->name = copy_of(key->iov_buf, key->iov_len);
	a->len = key->iov_len;
	list_push_back(&d->akeys, &a->link);
	return a;
}

static void
akey_room(struct akey *a, uint64_t end)
{
	if (end <= a->cap)
		return;
	end = (end + 4095) & ~4095ull;
	a->data = realloc(a->data, end);
	a->there = realloc(a->there, end);
	memset(a->data + a->cap, 0, end - a->cap);
	memset(a->there + a->cap, 0, end - a->cap);
	a->cap = end;
}

/* End of the last byte that is there. */
static uint64_t
akey_end(const struct akey *a)
{
	uint64_t end = a->cap;

	while (end > 0 && !a->there[end - 1])
		end--;
	return end;
}

static bool
dkey_is_empty(const struct dkey *d)
{
	struct list *pos;

	list_for_each (pos, &d->akeys)
		if (akey_end(list_entry(pos, struct akey, link)) > 0)
			return false;
	return true;
}

/* --- answering --- */

static void
reply(struct rpc_in *in, struct fake *fake, int status, const void *buf, size_t len)
{
	struct iovec iov = {.iov_base = (void *)buf, .iov_len = len};

	if (fake->inject.nr > 0 && fake->inject.opc == in->opc) {
		fake->inject.nr--;
		status = fake->inject.status;
	}
	rpc_reply_set(in, fake->map_ver, fake->epoch);
	rpc_reply(in, status, &iov, len > 0 ? 1 : 0);
}

static void
reply_msg(struct rpc_in *in, struct fake *fake, int status, const ProtobufCMessage *msg)
{
	uint8_t buf[32 * 1024];

	if (msg == NULL || status != 0)
		reply(in, fake, status, NULL, 0);
	else
		reply(in, fake, 0, buf, protobuf_c_message_pack(msg, buf));
}

/* Count; true when the request was already answered by an injected fault. */
static bool
arrived(struct rpc_in *in, struct fake *fake)
{
	fake->count[in->opc]++;
	if (fake->inject.nr > 0 && fake->inject.opc == in->opc && !fake->inject.execute) {
		reply(in, fake, 0, NULL, 0);
		return true;
	}
	return false;
}

/* --- capabilities --- */

static void
make_cap(struct fake *fake, const struct fcont *c, uint8_t out[CAP_BYTES])
{
	struct capability cap = {
	    .rights = CAP_READ | CAP_WRITE, .expires_ms = UINT64_MAX, .generation = fake->cap_gen};

	uuid_copy(cap.pool, fake->pool);
	uuid_copy(cap.cont, c->uuid);
	uuid_copy(cap.handle, c->handle);
	cap_encode(&cap, fake->key, out);
}

/* -DER_NO_HDL unless the request's capability is known or comes along. There is one container per
 * test that writes, so whose it is does not matter. */
static int
check_head(struct fake *fake, const struct obj_head *head, uint32_t map_ver, uuid_t ret_cont)
{
	struct capability cap;
	uint32_t i;
	int rc;

	memset(ret_cont, 0, sizeof(uuid_t));
	if (map_ver < fake->map_ver)
		return -DER_STALE;
	for (i = 0; i < fake->known_nr; i++)
		if (memcmp(fake->known[i], head->cap_id, 16) == 0)
			return 0;
	if (head->cap == NULL)
		return -DER_NO_HDL;
	rc = cap_decode(head->cap, head->cap_len, fake->key, &cap);
	if (rc != 0)
		return rc;
	if (cap.generation < fake->cap_gen)
		return -DER_NO_HDL;
	assert(fake->known_nr < CAP_KNOWN_MAX);
	memcpy(fake->known[fake->known_nr++], head->cap_id, 16);
	return 0;
}

/* True when this change was executed before. */
static bool
check_ident(struct fake *fake, const struct obj_head *head)
{
	uint32_t i;

	assert(head->seq > 0 && head->low_seq > 0 && head->low_seq <= head->seq);
	for (i = 0; i < fake->ident_nr; i++) {
		if (fake->idents[i].seq == head->seq &&
		    fake->idents[i].client[0] == head->client[0] &&
		    fake->idents[i].client[1] == head->client[1]) {
			fake->repeated_nr++;
			return true;
		}
	}
	assert(fake->ident_nr < IDENT_MAX);
	fake->idents[fake->ident_nr++] =
	    (struct ident){{head->client[0], head->client[1]}, head->seq};
	return false;
}

/* --- object requests --- */

static int
check_conds(struct fobj *o, const struct obj_rw *m)
{
	struct dkey *d = dkey_find(o, &m->dkey, false);
	uint64_t f = m->head.flags;
	uint32_t i;

	if ((f & DAOS_COND_DKEY_INSERT) && d != NULL)
		return -DER_EXIST;
	if ((f & (DAOS_COND_DKEY_UPDATE | DAOS_COND_DKEY_FETCH)) && d == NULL)
		return -DER_NONEXIST;
	for (i = 0; i < m->iod_nr; i++) {
		bool there = akey_find(d, &m->iods[i].iod_name, false) != NULL;
		uint64_t af = f & DAOS_COND_PER_AKEY ? m->iods[i].iod_flags : f;

		if ((af & DAOS_COND_AKEY_INSERT) && there)
			return -DER_EXIST;
		if ((af & (DAOS_COND_AKEY_UPDATE | DAOS_COND_AKEY_FETCH)) && !there)
			return -DER_NONEXIST;
	}
	return 0;
}

static void
update_iod(struct dkey *d, const daos_iod_t *iod, const uint8_t **data)
{
	struct akey *a = akey_find(d, &iod->iod_name, true);
	uint32_t i;

	a->single = iod->iod_type == DAOS_IOD_SINGLE;
	if (a->single) {
		a->cap = 0;
		free(a->data);
		free(a->there);
		a->data = a->there = NULL;
		akey_room(a, iod->iod_size);
		memcpy(a->data, *data, iod->iod_size);
		memset(a->there, 1, iod->iod_size);
		a->rec_size = iod->iod_size;
		*data += iod->iod_size;
		return;
	}
	if (iod->iod_size != 0)
		a->rec_size = iod->iod_size;
	for (i = 0; i < iod->iod_nr; i++) {
		uint64_t off = iod->iod_recxs[i].rx_idx * a->rec_size;
		uint64_t len = iod->iod_recxs[i].rx_nr * a->rec_size;

		if (iod->iod_size == 0) { /* punch */
			uint64_t end = off + len < a->cap ? off + len : a->cap;

			for (; off < end; off++)
				a->there[off] = 0;
			continue;
		}
		akey_room(a, off + len);
		memcpy(a->data + off, *data, len);
		memset(a->there + off, 1, len);
		*data += len;
	}
}

static void co_fn
h_update(struct rpc_in *in, void *arg)
{
	struct target *t = arg;
	struct fake *fake = t->fake;
	struct obj_scratch s = {0};
	struct obj_rw_rep rep = {0};
	uint8_t *bulk = NULL;
	const uint8_t *data;
	struct codec_wr w;
	struct fobj *o;
	struct obj_rw m;
	uint32_t i;
	uuid_t cont;
	int rc;

	if (arrived(in, fake))
		return;
	while (fake->hold)
		co_waitq_wait(&fake->holdq, 0);
	rc = obj_rw_decode(in->body, in->body_len, &s, &m);
	assert(rc == 0);
	rc = check_head(fake, &m.head, in->map_ver, cont);
	data = m.inl;
	if (rc == 0 && (m.rw_flags & OBJ_RW_PROOF) && m.proof <= fset_of(t, m.head.oid)->punched)
		rc = -DER_EP_OLD;
	if (rc == 0 && (m.rw_flags & OBJ_RW_BULK)) {
		struct rpc_bulk_desc desc = {.bytes = m.bulk, .len = m.bulk_len};
		struct iovec iov = {.iov_len = rpc_bulk_desc_size(&desc)};

		assert(iov.iov_len > OBJ_INLINE_MAX);
		bulk = iov.iov_base = malloc(iov.iov_len);
		rc = rpc_bulk_pull(in, &desc, 0, &iov, 1, 0);
		data = bulk;
	}
	if (rc == 0 && !check_ident(fake, &m.head)) {
		o = fobj_find(t, cont, m.head.oid, true);
		rc = check_conds(o, &m);
		for (i = 0; rc == 0 && i < m.iod_nr; i++)
			update_iod(dkey_find(o, &m.dkey, true), &m.iods[i], &data);
		rep.epoch = ++fake->epoch;
	}
	codec_wr_init(&w, 0);
	obj_rw_rep_encode(&w, &rep);
	reply(in, fake, rc, w.base, w.len);
	codec_wr_fini(&w);
	free(bulk);
	obj_scratch_fini(&s);
}

enum { PIECES_MAX = 4096 };

/* Lay one iod's records out: pieces, inline bytes or bytes at their place in the bulk image. */
static uint32_t
fetch_iod(struct akey *a, const daos_iod_t *iod, uint64_t *pieces, uint8_t *inl, uint32_t *inl_len,
	  uint8_t *image, uint64_t image_off)
{
	uint32_t i, nr = 0;

	for (i = 0; i < iod->iod_nr; i++) {
		uint64_t rec = a == NULL ? 0 : a->rec_size;
		uint64_t size = rec != 0 ? rec : iod->iod_size;
		uint64_t off =
		    iod->iod_type == DAOS_IOD_SINGLE ? 0 : iod->iod_recxs[i].rx_idx * size;
		uint64_t len =
		    iod->iod_type == DAOS_IOD_SINGLE ? rec : iod->iod_recxs[i].rx_nr * size;
		uint64_t k = 0;

		while (k < len) {
			bool there = a != NULL && off + k < a->cap && a->there[off + k];
			uint64_t begin = k;

			while (k < len &&
			       (a != NULL && off + k < a->cap && a->there[off + k]) == there)
				k++;
			if (nr == PIECES_MAX)
				return UINT32_MAX; /* the caller asks for too much at once */
			pieces[nr++] = (k - begin) | (there ? 0 : OBJ_PIECE_HOLE);
			if (there && image != NULL) {
				memcpy(image + image_off, a->data + off + begin, k - begin);
			} else if (there) {
				memcpy(inl + *inl_len, a->data + off + begin, k - begin);
				*inl_len += k - begin;
			}
			image_off += k - begin;
		}
	}
	return nr;
}

/* Extents that exist within those asked for. */
static uint32_t
fetch_recxs(struct akey *a, const daos_iod_t *iod, daos_recx_t *recxs)
{
	uint32_t i, nr = 0;
	uint64_t r;

	if (a == NULL || iod->iod_type == DAOS_IOD_SINGLE)
		return 0;
	for (i = 0; i < iod->iod_nr; i++) {
		for (r = iod->iod_recxs[i].rx_idx;
		     r < iod->iod_recxs[i].rx_idx + iod->iod_recxs[i].rx_nr; r++) {
			uint64_t off = r * a->rec_size;

			if (off >= a->cap || !a->there[off])
				continue;
			if (nr > 0 && recxs[nr - 1].rx_idx + recxs[nr - 1].rx_nr == r)
				recxs[nr - 1].rx_nr++;
			else
				recxs[nr++] = (daos_recx_t){.rx_idx = r, .rx_nr = 1};
		}
	}
	return nr;
}

/* Only what exists: push piece by piece so that the caller's holes stay untouched. */
static int co_fn
push_pieces(struct rpc_in *in, const struct obj_rw *m, uint8_t *image, const uint32_t *piece_nr,
	    const uint64_t *pieces)
{
	struct rpc_bulk_desc desc = {.bytes = m->bulk, .len = m->bulk_len};
	uint64_t base = 0, p = 0;
	uint32_t i, j;
	int rc = 0;

	for (i = 0; rc == 0 && i < m->iod_nr; i++) {
		uint64_t off = base;

		for (j = 0; rc == 0 && j < piece_nr[i]; j++, p++) {
			uint64_t len = pieces[p] & ~OBJ_PIECE_HOLE;
			struct iovec iov = {.iov_base = image + off, .iov_len = len};

			if (!(pieces[p] & OBJ_PIECE_HOLE))
				rc = rpc_bulk_push(in, &desc, off, &iov, 1, 0);
			off += len;
		}
		base += m->data_sizes[i];
	}
	return rc;
}

static void co_fn
h_fetch(struct rpc_in *in, void *arg)
{
	struct target *t = arg;
	struct fake *fake = t->fake;
	struct obj_scratch s = {0};
	struct obj_rw_rep rep = {0};
	uint64_t *pieces, sizes[64], total = 0, base = 0;
	uint32_t piece_nr[64], recx_nr[64], i, p = 0, recx = 0, inl_len = 0;
	uint8_t *image = NULL, *inl;
	daos_recx_t *recxs;
	struct codec_wr w;
	struct fobj *o;
	struct obj_rw m;
	uuid_t cont;
	int rc;

	if (arrived(in, fake))
		return;
	while (fake->hold)
		co_waitq_wait(&fake->holdq, 0);
	rc = obj_rw_decode(in->body, in->body_len, &s, &m);
	assert(rc == 0 && m.iod_nr <= 64 && m.data_sizes != NULL);
	rc = check_head(fake, &m.head, in->map_ver, cont);
	pieces = calloc(PIECES_MAX, sizeof(*pieces));
	recxs = calloc(PIECES_MAX, sizeof(*recxs));
	inl = malloc(OBJ_INLINE_MAX);
	o = fobj_find(t, cont, m.head.oid, false);
	if (rc == 0)
		rc = check_conds(o, &m);
	for (i = 0; i < m.iod_nr; i++)
		total += m.data_sizes[i];
	if (m.rw_flags & OBJ_RW_BULK)
		image = calloc(1, total + 1);
	else
		assert(total <= OBJ_INLINE_MAX);
	for (i = 0; rc == 0 && i < m.iod_nr; i++) {
		struct akey *a =
		    akey_find(dkey_find(o, &m.dkey, false), &m.iods[i].iod_name, false);

		sizes[i] = a == NULL ? 0 : a->rec_size;
		if (a != NULL && a->single && a->rec_size > m.data_sizes[i] &&
		    !(m.rw_flags & OBJ_RW_SIZE_ONLY))
			rc = -DER_REC2BIG;
	}
	for (i = 0; rc == 0 && i < m.iod_nr; i++) {
		struct akey *a =
		    akey_find(dkey_find(o, &m.dkey, false), &m.iods[i].iod_name, false);

		recx_nr[i] =
		    m.rw_flags & OBJ_RW_RECX ? fetch_recxs(a, &m.iods[i], recxs + recx) : 0;
		recx += recx_nr[i];
		piece_nr[i] = 0;
		if (!(m.rw_flags & OBJ_RW_SIZE_ONLY))
			piece_nr[i] =
			    fetch_iod(a, &m.iods[i], pieces + p, inl, &inl_len, image, base);
		if (piece_nr[i] == UINT32_MAX) {
			assert(m.iod_nr == 1);
			rc = -DER_OVERFLOW;
			break;
		}
		p += piece_nr[i];
		base += m.data_sizes[i];
	}
	if (rc == 0 && image != NULL)
		rc = push_pieces(in, &m, image, piece_nr, pieces);
	rep.iod_nr = m.iod_nr;
	rep.sizes = sizes;
	rep.epoch = fake->epoch;
	if (rc == 0) {
		rep.piece_nr = piece_nr;
		rep.piece_len = pieces;
		rep.recx_nr = m.rw_flags & OBJ_RW_RECX ? recx_nr : NULL;
		rep.recxs = recxs;
		rep.inl = inl;
		rep.inl_len = inl_len;
	}
	codec_wr_init(&w, 0);
	if (rc == 0 || rc == -DER_REC2BIG)
		obj_rw_rep_encode(&w, &rep);
	reply(in, fake, rc, w.base, w.len);
	codec_wr_fini(&w);
	free(image);
	free(inl);
	free(pieces);
	free(recxs);
	obj_scratch_fini(&s);
}

static int
punch(struct target *t, const uuid_t cont, const struct obj_punch *m)
{
	struct fobj *o = fobj_find(t, cont, m->head.oid, false);
	struct dkey *d = m->has_dkey ? dkey_find(o, &m->dkey, false) : NULL;
	bool cond = (m->head.flags & DAOS_COND_PUNCH) != 0;
	uint32_t i;

	if (!m->has_dkey) {
		if (o == NULL)
			return cond ? -DER_NONEXIST : 0;
		fobj_free(o);
		return 0;
	}
	if (d == NULL)
		return cond ? -DER_NONEXIST : 0;
	if (m->akey_nr == 0) {
		dkey_free(d);
		return 0;
	}
	for (i = 0; i < m->akey_nr; i++) {
		struct akey *a = akey_find(d, &m->akeys[i], false);

		if (a != NULL)
			akey_free(a);
		else if (cond)
			return -DER_NONEXIST;
	}
	return 0;
}

/* A whole object: what its groups' sets say about it. True: nothing else is to be done. */
static bool
punch_set(struct target *t, const struct obj_punch *m, struct obj_punch_rep *rep)
{
	struct fset *fs = fset_of(t, m->head.oid);

	if (m->groups == OBJ_PUNCH_ALONE && fs->set.prefix != 0) {
		rep->set = fs->set;
		rep->seen = t->fake->epoch;
		return true;
	}
	rep->done = true;
	if (m->groups == OBJ_PUNCH_MEMBER)
		fs->punched = t->fake->epoch;
	if (m->groups == OBJ_PUNCH_LAST && fs->entered > m->seen)
		rep->set_stays = true;
	else if (m->groups == OBJ_PUNCH_LAST)
		fs->set.prefix = 0;
	return false;
}

static void co_fn
h_punch(struct rpc_in *in, void *arg)
{
	struct target *t = arg;
	struct obj_scratch s = {0};
	struct obj_punch_rep rep = {0};
	struct obj_punch m;
	struct codec_wr w;
	uuid_t cont;
	int rc;

	if (arrived(in, t->fake))
		return;
	rc = obj_punch_decode(in->body, in->body_len, &s, &m);
	assert(rc == 0);
	rc = check_head(t->fake, &m.head, in->map_ver, cont);
	if (rc == 0 && !punch_set(t, &m, &rep) && !check_ident(t->fake, &m.head)) {
		rc = punch(t, cont, &m);
		t->fake->epoch++;
	}
	codec_wr_init(&w, 0);
	obj_punch_rep_encode(&w, &rep);
	reply(in, t->fake, rc, w.base, rc == 0 ? w.len : 0);
	codec_wr_fini(&w);
	obj_scratch_fini(&s);
}

static void
h_groups(struct rpc_in *in, void *arg)
{
	struct target *t = arg;
	struct obj_enter_rep rep = {0};
	struct obj_enter m;
	struct codec_wr w;
	struct fset *fs;
	uuid_t cont;
	int rc;

	if (arrived(in, t->fake))
		return;
	rc = obj_enter_decode(in->body, in->body_len, &m);
	assert(rc == 0);
	rc = check_head(t->fake, &m.head, in->map_ver, cont);
	if (rc == 0) {
		fs = fset_of(t, m.head.oid);
		if (fs->set.prefix == 0)
			fs->set = m.set;
		obj_groups_add(&fs->set, m.total, m.first, m.last, m.dense);
		rep.set = fs->set;
		rep.proof = fs->entered = ++t->fake->epoch;
	}
	codec_wr_init(&w, 0);
	obj_enter_rep_encode(&w, &rep);
	reply(in, t->fake, rc, w.base, rc == 0 ? w.len : 0);
	codec_wr_fini(&w);
}

/* Keys or extents by number: the anchor is how many were given out. */
static int
list(struct target *t, const uuid_t cont, const struct obj_list *m, struct obj_list_rep *rep)
{
	struct fobj *o = fobj_find(t, cont, m->head.oid, false);
	struct dkey *d = m->kind == OBJ_LIST_DKEY ? NULL : dkey_find(o, &m->dkey, false);
	uint64_t pos = 0, start, bytes = 0;
	struct list *head = NULL, *l;

	memcpy(&start, m->anchor, sizeof(start));
	rep->eof = true;
	if (m->kind == OBJ_LIST_RECX) {
		struct akey *a = akey_find(d, &m->akey, false);
		daos_recx_t all = {.rx_nr =
				       a == NULL || a->rec_size == 0 ? 0 : a->cap / a->rec_size};
		daos_iod_t iod = {.iod_type = DAOS_IOD_ARRAY, .iod_nr = 1, .iod_recxs = &all};
		static daos_recx_t recxs[PIECES_MAX];
		uint32_t nr = fetch_recxs(a, &iod, recxs), i;

		for (i = start; i < nr && rep->nr < m->max_nr && rep->nr < LIST_KEYS_MAX; i++) {
			rep->recxs[rep->nr] = recxs[m->descending ? nr - 1 - i : i];
			rep->rec_sizes[rep->nr] = a->rec_size;
			rep->epochs[rep->nr++] = t->fake->epoch;
		}
		rep->eof = i >= nr;
		pos = i;
		memcpy(rep->anchor, &pos, sizeof(pos));
		return 0;
	}
	if (m->kind == OBJ_LIST_DKEY && o != NULL)
		head = &o->dkeys;
	else if (m->kind == OBJ_LIST_AKEY && d != NULL)
		head = &d->akeys;
	if (head == NULL)
		return 0;
	list_for_each (l, head) {
		/* struct dkey and struct akey begin alike */
		struct akey *k = list_entry(l, struct akey, link);

		if (pos++ < start)
			continue;
		if (rep->nr == m->max_nr || rep->nr == LIST_KEYS_MAX ||
		    bytes + k->len > m->max_bytes) {
			pos--;
			rep->eof = false;
			if (rep->nr == 0)
				rep->key2big = k->len;
			break;
		}
		d_iov_set(&rep->keys[rep->nr++], k->name, k->len);
		bytes += k->len;
	}
	memcpy(rep->anchor, &pos, sizeof(pos));
	return 0;
}

static void co_fn
h_list(struct rpc_in *in, void *arg)
{
	struct target *t = arg;
	daos_key_t keys[LIST_KEYS_MAX];
	daos_recx_t recxs[LIST_KEYS_MAX];
	uint64_t sizes[LIST_KEYS_MAX], epochs[LIST_KEYS_MAX];
	struct obj_list_rep rep = {
	    .keys = keys, .recxs = recxs, .rec_sizes = sizes, .epochs = epochs};
	struct obj_scratch s = {0};
	struct codec_wr w;
	struct obj_list m;
	uuid_t cont;
	int rc;

	if (arrived(in, t->fake))
		return;
	rc = obj_list_decode(in->body, in->body_len, &s, &m);
	assert(rc == 0);
	rc = check_head(t->fake, &m.head, in->map_ver, cont);
	if (rc == 0)
		rc = list(t, cont, &m, &rep);
	if (m.want_set)
		rep.set = fset_of(t, m.head.oid)->set;
	codec_wr_init(&w, 0);
	obj_list_rep_encode(&w, m.kind, &rep);
	reply(in, t->fake, rc, w.base, rc == 0 ? w.len : 0);
	codec_wr_fini(&w);
	obj_scratch_fini(&s);
}

static void
query(struct target *t, const uuid_t cont, const struct obj_query *m, struct obj_query_rep *rep)
{
	struct fobj *o = fobj_find(t, cont, m->head.oid, false);
	bool min = (m->query_flags & DAOS_GET_MIN) != 0;
	struct list *l;

	rep->max_epoch = o == NULL ? 0 : t->fake->epoch;
	if (o == NULL || m->query_flags == 0)
		return;
	list_for_each (l, &o->dkeys) {
		struct dkey *d = list_entry(l, struct dkey, link);
		struct akey *a = m->akey.iov_len > 0 ? akey_find(d, &m->akey, false) : NULL;
		uint64_t v = 0;

		memcpy(&v, d->name, sizeof(v));
		if (!(m->query_flags & DAOS_GET_DKEY) && v != m->dkey)
			continue;
		if (dkey_is_empty(d))
			continue;
		if ((m->query_flags & DAOS_GET_RECX) &&
		    (a == NULL || a->single || akey_end(a) == 0))
			continue;
		if (rep->found && (min ? v > rep->dkey : v < rep->dkey))
			continue;
		rep->found = true;
		rep->dkey = v;
		if (m->query_flags & DAOS_GET_RECX) {
			uint64_t last = (akey_end(a) - 1) / a->rec_size;

			rep->recx = (daos_recx_t){.rx_idx = last, .rx_nr = 1};
		}
	}
}

static void co_fn
h_query(struct rpc_in *in, void *arg)
{
	struct target *t = arg;
	struct obj_query_rep rep = {0};
	struct obj_scratch s = {0};
	struct obj_query m;
	struct codec_wr w;
	uuid_t cont;
	int rc;

	if (arrived(in, t->fake))
		return;
	rc = obj_query_decode(in->body, in->body_len, &s, &m);
	assert(rc == 0);
	rc = check_head(t->fake, &m.head, in->map_ver, cont);
	if (rc == 0)
		query(t, cont, &m, &rep);
	if (m.want_set) {
		rep.set = fset_of(t, m.head.oid)->set;
		rep.seen = t->fake->epoch;
	}
	codec_wr_init(&w, 0);
	obj_query_rep_encode(&w, &rep);
	reply(in, t->fake, rc, w.base, rc == 0 ? w.len : 0);
	codec_wr_fini(&w);
	obj_scratch_fini(&s);
}

/* --- management --- */

/* Everything that a map message points to. */
struct map_msg {
	Mgmt__PoolMap map;
	Mgmt__Target t[FAKE_TARGET_MAX], *tp[FAKE_TARGET_MAX];
	Mgmt__Rank rank, *rankp;
	uint8_t rank_uuid[16];
};

static void
map_fill(struct fake *fake, struct map_msg *m)
{
	uint32_t i;

	mgmt__pool_map__init(&m->map);
	mgmt__rank__init(&m->rank);
	memset(m->rank_uuid, 7, 16);
	m->map.pool_uuid.data = fake->pool;
	m->map.pool_uuid.len = 16;
	m->map.version = fake->map_ver;
	for (i = 0; i < fake->target_nr; i++) {
		mgmt__target__init(&m->t[i]);
		m->t[i].index = i;
		m->t[i].id = i;
		m->t[i].state = TGT_ST_UPIN;
		m->t[i].in_ver = 1;
		m->tp[i] = &m->t[i];
	}
	m->map.targets = m->tp;
	m->map.n_targets = fake->target_nr;
	m->rank.uuid.data = m->rank_uuid;
	m->rank.uuid.len = 16;
	m->rank.uri = (char *)fake_uri(fake);
	m->rank.target_nr = fake->target_nr;
	m->rank.fault_domain = (char *)"/host";
	m->rank.state = SYS_ST_JOINED;
	m->rankp = &m->rank;
	m->map.ranks = &m->rankp;
	m->map.n_ranks = 1;
}

static struct fcont *
cont_by_name(struct fake *fake, const char *name)
{
	char text[37];
	uint32_t i;
	size_t j;

	for (i = 0; i < CONT_MAX; i++) {
		struct fcont *c = &fake->conts[i];

		if (!c->used)
			continue;
		uuid_unparse_lower(c->uuid, text);
		if (strcmp(text, name) == 0)
			return c;
		for (j = 0; j < c->prop_nr; j++)
			if (c->props[j]->type == DAOS_PROP_CO_LABEL &&
			    strcmp(c->props[j]->str, name) == 0)
				return c;
	}
	return NULL;
}

static struct fcont *
cont_by_handle(struct fake *fake, const ProtobufCBinaryData *handle)
{
	uint32_t i;

	for (i = 0; i < CONT_MAX; i++)
		if (fake->conts[i].used && fake->conts[i].open_nr > 0 && handle->len == 16 &&
		    memcmp(fake->conts[i].handle, handle->data, 16) == 0)
			return &fake->conts[i];
	return NULL;
}

static void
cont_free(struct fcont *c)
{
	size_t i;

	for (i = 0; i < c->prop_nr; i++)
		mgmt__prop__free_unpacked(c->props[i], NULL);
	for (i = 0; i < c->attr_nr; i++)
		mgmt__attr__free_unpacked(c->attrs[i], NULL);
	memset(c, 0, sizeof(*c));
}

/* A copy by the long way, which also shows that the message survives it. */
static void *
msg_dup(const ProtobufCMessage *msg)
{
	uint8_t buf[4096];
	size_t len = protobuf_c_message_pack(msg, buf);

	return protobuf_c_message_unpack(msg->descriptor, NULL, len, buf);
}

static void
cont_set_prop(struct fcont *c, const Mgmt__Prop *prop)
{
	size_t i;

	for (i = 0; i < c->prop_nr && c->props[i]->type != prop->type; i++)
		;
	if (i < c->prop_nr)
		mgmt__prop__free_unpacked(c->props[i], NULL);
	else
		c->prop_nr++;
	assert(i < PROP_MAX);
	c->props[i] = msg_dup(&prop->base);
}

static void
attr_set(struct fcont *c, const Mgmt__Attr *attr, bool set)
{
	size_t i;

	for (i = 0; i < c->attr_nr && strcmp(c->attrs[i]->name, attr->name) != 0; i++)
		;
	if (i < c->attr_nr) {
		mgmt__attr__free_unpacked(c->attrs[i], NULL);
		c->attrs[i] = c->attrs[--c->attr_nr];
	}
	if (set) {
		assert(c->attr_nr < ATTR_MAX);
		c->attrs[c->attr_nr++] = msg_dup(&attr->base);
	}
}

static void
info_fill(const struct fcont *c, Mgmt__ContInfo *info)
{
	size_t i;

	mgmt__cont_info__init(info);
	info->uuid.data = (uint8_t *)c->uuid;
	info->uuid.len = 16;
	info->handle_nr = c->open_nr;
	for (i = 0; i < c->prop_nr; i++)
		if (c->props[i]->type == DAOS_PROP_CO_LABEL)
			info->label = c->props[i]->str;
}

static void
h_pool_connect(struct rpc_in *in, void *arg)
{
	struct fake *fake = arg;
	Mgmt__PoolConnectReq *req;
	Mgmt__PoolConnectRep rep = MGMT__POOL_CONNECT_REP__INIT;
	Mgmt__PoolInfo info = MGMT__POOL_INFO__INIT;
	struct map_msg map;
	int rc = 0;

	if (arrived(in, fake))
		return;
	req = mgmt__pool_connect_req__unpack(NULL, in->body_len, in->body);
	assert(req != NULL && req->id != NULL && req->id->client.len == 16 && req->id->seq > 0);
	assert(req->cred != NULL && req->cred->user[0] != 0);
	if (strcmp(req->pool, "tank") != 0)
		rc = -DER_NONEXIST;
	map_fill(fake, &map);
	rep.map = &map.map;
	rep.info = &info;
	rep.rights = req->flags;
	reply_msg(in, fake, rc, &rep.base);
	mgmt__pool_connect_req__free_unpacked(req, NULL);
}

static void
h_ok(struct rpc_in *in, void *arg)
{
	if (!arrived(in, arg))
		reply(in, arg, 0, NULL, 0);
}

static void
h_map_get(struct rpc_in *in, void *arg)
{
	struct fake *fake = arg;
	Mgmt__PoolMapGetReq *req;
	Mgmt__PoolMapGetRep rep = MGMT__POOL_MAP_GET_REP__INIT;
	struct map_msg map;

	if (arrived(in, fake))
		return;
	req = mgmt__pool_map_get_req__unpack(NULL, in->body_len, in->body);
	assert(req != NULL);
	map_fill(fake, &map);
	if (req->known_version < fake->map_ver)
		rep.map = &map.map;
	reply_msg(in, fake, 0, &rep.base);
	mgmt__pool_map_get_req__free_unpacked(req, NULL);
}

static void
h_pool_query(struct rpc_in *in, void *arg)
{
	struct fake *fake = arg;
	Mgmt__PoolQueryRep rep = MGMT__POOL_QUERY_REP__INIT;
	Mgmt__PoolInfo info = MGMT__POOL_INFO__INIT;
	Mgmt__TierSpace scm = MGMT__TIER_SPACE__INIT;
	uint32_t ranks[1] = {0};

	if (arrived(in, fake))
		return;
	scm.total = 1000;
	scm.free = 900;
	info.map_version = fake->map_ver;
	rep.info = &info;
	rep.target_nr = rep.active_target_nr = fake->target_nr;
	rep.rank_nr = 1;
	rep.scm = &scm;
	rep.enabled_ranks = ranks;
	rep.n_enabled_ranks = 1;
	reply_msg(in, fake, 0, &rep.base);
}

static void
h_cont_create(struct rpc_in *in, void *arg)
{
	struct fake *fake = arg;
	Mgmt__ContCreateReq *req;
	uint32_t i;
	size_t j;
	int rc = 0;

	if (arrived(in, fake))
		return;
	req = mgmt__cont_create_req__unpack(NULL, in->body_len, in->body);
	assert(req != NULL && req->id != NULL && req->uuid.len == 16);
	for (j = 0; j < req->n_props; j++)
		if (req->props[j]->type == DAOS_PROP_CO_LABEL &&
		    cont_by_name(fake, req->props[j]->str) != NULL)
			rc = -DER_EXIST;
	for (i = 0; i < CONT_MAX && fake->conts[i].used; i++)
		;
	assert(i < CONT_MAX);
	if (rc == 0) {
		fake->conts[i].used = true;
		memcpy(fake->conts[i].uuid, req->uuid.data, 16);
		for (j = 0; j < req->n_props; j++)
			cont_set_prop(&fake->conts[i], req->props[j]);
	}
	reply(in, fake, rc, NULL, 0);
	mgmt__cont_create_req__free_unpacked(req, NULL);
}

static void
h_cont_destroy(struct rpc_in *in, void *arg)
{
	struct fake *fake = arg;
	Mgmt__ContDestroyReq *req;
	struct fcont *c;
	int rc = 0;

	if (arrived(in, fake))
		return;
	req = mgmt__cont_destroy_req__unpack(NULL, in->body_len, in->body);
	assert(req != NULL);
	c = cont_by_name(fake, req->cont);
	if (c == NULL)
		rc = -DER_NONEXIST;
	else if (c->open_nr > 0 && !req->force)
		rc = -DER_BUSY;
	else
		cont_free(c);
	reply(in, fake, rc, NULL, 0);
	mgmt__cont_destroy_req__free_unpacked(req, NULL);
}

static void
h_cont_open(struct rpc_in *in, void *arg)
{
	struct fake *fake = arg;
	Mgmt__ContOpenReq *req;
	Mgmt__ContOpenRep rep = MGMT__CONT_OPEN_REP__INIT;
	Mgmt__ContInfo info;
	uint8_t cap[CAP_BYTES];
	struct fcont *c;

	if (arrived(in, fake))
		return;
	req = mgmt__cont_open_req__unpack(NULL, in->body_len, in->body);
	assert(req != NULL && req->handle.len == 16);
	c = cont_by_name(fake, req->cont);
	if (c == NULL) {
		reply(in, fake, -DER_NONEXIST, NULL, 0);
	} else {
		memcpy(c->handle, req->handle.data, 16);
		c->open_nr++;
		make_cap(fake, c, cap);
		info_fill(c, &info);
		rep.info = &info;
		rep.props = c->props;
		rep.n_props = c->prop_nr;
		rep.capability.data = cap;
		rep.capability.len = sizeof(cap);
		rep.cap_expire_ms = CAP_LIFE_MS;
		reply_msg(in, fake, 0, &rep.base);
	}
	mgmt__cont_open_req__free_unpacked(req, NULL);
}

static void
h_cont_close(struct rpc_in *in, void *arg)
{
	struct fake *fake = arg;
	Mgmt__ContCloseReq *req;
	struct fcont *c;

	if (arrived(in, fake))
		return;
	req = mgmt__cont_close_req__unpack(NULL, in->body_len, in->body);
	assert(req != NULL);
	c = cont_by_handle(fake, &req->handle);
	if (c != NULL)
		c->open_nr--;
	reply(in, fake, c == NULL ? -DER_NO_HDL : 0, NULL, 0);
	mgmt__cont_close_req__free_unpacked(req, NULL);
}

static void
h_cont_query(struct rpc_in *in, void *arg)
{
	struct fake *fake = arg;
	Mgmt__ContQueryReq *req;
	Mgmt__ContQueryRep rep = MGMT__CONT_QUERY_REP__INIT;
	Mgmt__ContInfo info;
	struct fcont *c;

	if (arrived(in, fake))
		return;
	req = mgmt__cont_query_req__unpack(NULL, in->body_len, in->body);
	assert(req != NULL);
	c = cont_by_handle(fake, &req->cont_handle);
	if (c != NULL) {
		info_fill(c, &info);
		rep.info = &info;
		rep.props = c->props;
		rep.n_props = c->prop_nr;
	}
	reply_msg(in, fake, c == NULL ? -DER_NO_HDL : 0, &rep.base);
	mgmt__cont_query_req__free_unpacked(req, NULL);
}

static void
h_cont_list(struct rpc_in *in, void *arg)
{
	struct fake *fake = arg;
	Mgmt__ContListReq *req;
	Mgmt__ContListRep rep = MGMT__CONT_LIST_REP__INIT;
	Mgmt__ContInfo infos[CONT_MAX], *ptrs[CONT_MAX];
	bool started;
	uint32_t i;

	if (arrived(in, fake))
		return;
	req = mgmt__cont_list_req__unpack(NULL, in->body_len, in->body);
	assert(req != NULL);
	started = req->after.len == 0;
	for (i = 0; i < CONT_MAX; i++) {
		struct fcont *c = &fake->conts[i];

		if (!c->used)
			continue;
		if (!started) {
			started = memcmp(c->uuid, req->after.data, 16) == 0;
			continue;
		}
		if (rep.n_conts == LIST_PAGE) {
			rep.more = true;
			break;
		}
		info_fill(c, &infos[rep.n_conts]);
		ptrs[rep.n_conts] = &infos[rep.n_conts];
		rep.n_conts++;
	}
	rep.conts = ptrs;
	reply_msg(in, fake, 0, &rep.base);
	mgmt__cont_list_req__free_unpacked(req, NULL);
}

static void
h_cont_set_prop(struct rpc_in *in, void *arg)
{
	struct fake *fake = arg;
	Mgmt__PropSetReq *req;
	struct fcont *c;
	size_t i;

	if (arrived(in, fake))
		return;
	req = mgmt__prop_set_req__unpack(NULL, in->body_len, in->body);
	assert(req != NULL);
	c = cont_by_handle(fake, &req->cont_handle);
	for (i = 0; c != NULL && i < req->n_props; i++)
		cont_set_prop(c, req->props[i]);
	reply(in, fake, c == NULL ? -DER_NO_HDL : 0, NULL, 0);
	mgmt__prop_set_req__free_unpacked(req, NULL);
}

static void
h_attr(struct rpc_in *in, void *arg)
{
	struct fake *fake = arg;
	Mgmt__AttrReq *req;
	Mgmt__AttrRep rep = MGMT__ATTR_REP__INIT;
	struct fcont *c;
	size_t i;

	if (arrived(in, fake))
		return;
	req = mgmt__attr_req__unpack(NULL, in->body_len, in->body);
	assert(req != NULL);
	c = in->opc < OPC_MS_CONT_CREATE ? &fake->pool_attrs
					 : cont_by_handle(fake, &req->cont_handle);
	assert(c != NULL);
	for (i = 0; i < req->n_attrs; i++) {
		if (in->opc == OPC_MS_POOL_ATTR_SET || in->opc == OPC_MS_CONT_ATTR_SET)
			attr_set(c, req->attrs[i], true);
		if (in->opc == OPC_MS_POOL_ATTR_DEL || in->opc == OPC_MS_CONT_ATTR_DEL)
			attr_set(c, req->attrs[i], false);
	}
	rep.attrs = c->attrs;
	rep.n_attrs = c->attr_nr;
	reply_msg(in, fake, 0, &rep.base);
	mgmt__attr_req__free_unpacked(req, NULL);
}

static void
h_alloc_oids(struct rpc_in *in, void *arg)
{
	struct fake *fake = arg;
	Mgmt__ContAllocOidsReq *req;
	Mgmt__ContAllocOidsRep rep = MGMT__CONT_ALLOC_OIDS_REP__INIT;
	struct fcont *c;

	if (arrived(in, fake))
		return;
	req = mgmt__cont_alloc_oids_req__unpack(NULL, in->body_len, in->body);
	assert(req != NULL);
	c = cont_by_handle(fake, &req->cont_handle);
	assert(c != NULL);
	rep.first = c->next_oid;
	c->next_oid += req->nr;
	reply_msg(in, fake, 0, &rep.base);
	mgmt__cont_alloc_oids_req__free_unpacked(req, NULL);
}

static void
h_cont_renew(struct rpc_in *in, void *arg)
{
	struct fake *fake = arg;
	Mgmt__ContRenewReq *req;
	Mgmt__ContRenewRep rep = MGMT__CONT_RENEW_REP__INIT;
	uint8_t cap[CAP_BYTES];
	struct fcont *c;

	if (arrived(in, fake))
		return;
	req = mgmt__cont_renew_req__unpack(NULL, in->body_len, in->body);
	assert(req != NULL);
	c = cont_by_handle(fake, &req->cont_handle);
	if (c != NULL) {
		make_cap(fake, c, cap);
		rep.capability.data = cap;
		rep.capability.len = sizeof(cap);
		rep.cap_expire_ms = CAP_LIFE_MS;
	}
	reply_msg(in, fake, c == NULL ? -DER_NO_HDL : 0, &rep.base);
	mgmt__cont_renew_req__free_unpacked(req, NULL);
}

/* --- life --- */

static const struct {
	uint32_t opc;
	rpc_handler_t fn;
} ms_handlers[] =
    {
	{OPC_MS_POOL_CONNECT, h_pool_connect},   {OPC_MS_POOL_DISCONNECT, h_ok},
	{OPC_MS_POOL_QUERY, h_pool_query},       {OPC_MS_POOL_MAP_GET, h_map_get},
	{OPC_MS_POOL_ATTR_SET, h_attr},          {OPC_MS_POOL_ATTR_GET, h_attr},
	{OPC_MS_POOL_ATTR_LIST, h_attr},         {OPC_MS_POOL_ATTR_DEL, h_attr},
	{OPC_MS_CONT_CREATE, h_cont_create},     {OPC_MS_CONT_DESTROY, h_cont_destroy},
	{OPC_MS_CONT_OPEN, h_cont_open},         {OPC_MS_CONT_CLOSE, h_cont_close},
	{OPC_MS_CONT_QUERY, h_cont_query},       {OPC_MS_CONT_LIST, h_cont_list},
	{OPC_MS_CONT_SET_PROP, h_cont_set_prop}, {OPC_MS_CONT_ATTR_SET, h_attr},
	{OPC_MS_CONT_ATTR_GET, h_attr},          {OPC_MS_CONT_ATTR_LIST, h_attr},
	{OPC_MS_CONT_ATTR_DEL, h_attr},          {OPC_MS_CONT_ALLOC_OIDS, h_alloc_oids},
	{OPC_MS_CONT_RENEW, h_cont_renew},
},
  obj_handlers[] = {
      {OPC_OBJ_UPDATE, h_update}, {OPC_OBJ_FETCH, h_fetch},     {OPC_OBJ_PUNCH, h_punch},
      {OPC_OBJ_LIST, h_list},     {OPC_OBJ_QUERY_KEY, h_query}, {OPC_OBJ_GROUPS, h_groups},
};

int co_fn
fake_open(struct xs *xs, struct net *net, uint16_t port, uint32_t target_nr, struct fake **ret_fake)
{
	struct fake *fake = calloc(1, sizeof(*fake));
	uint32_t i, j;
	int rc = 0;

	assert(target_nr <= FAKE_TARGET_MAX);
	fake->xs = xs;
	fake->target_nr = target_nr;
	fake->map_ver = 1;
	fake->epoch = 1000;
	co_waitq_init(&fake->holdq);
	env_rand_fill(xs_env(xs), fake->pool, sizeof(fake->pool));
	env_rand_fill(xs_env(xs), fake->key, sizeof(fake->key));
	for (i = 0; rc == 0 && i <= target_nr; i++) {
		struct target *t = &fake->targets[i];
		struct rpc_ep_conf conf = {
		    .xs = xs, .net = net, .port = port + i, .accept_calls = true};

		t->fake = fake;
		list_init(&t->objs);
		list_init(&t->sets);
		rc = rpc_ep_open(&conf, &t->ep);
		for (j = 0; rc == 0 && i == 0 && j < sizeof(ms_handlers) / sizeof(ms_handlers[0]);
		     j++)
			rc = rpc_register(t->ep, ms_handlers[j].opc, ms_handlers[j].fn, fake);
		for (j = 0; rc == 0 && i > 0 && j < sizeof(obj_handlers) / sizeof(obj_handlers[0]);
		     j++)
			rc = rpc_register(t->ep, obj_handlers[j].opc, obj_handlers[j].fn, t);
	}
	*ret_fake = fake;
	return rc;
}

void co_fn
fake_close(struct fake *fake)
{
	uint32_t i;

	for (i = 0; i <= fake->target_nr; i++) {
		rpc_ep_close(fake->targets[i].ep);
		while (!list_empty(&fake->targets[i].objs))
			fobj_free(list_first(&fake->targets[i].objs, struct fobj, link));
		while (!list_empty(&fake->targets[i].sets)) {
			struct fset *fs = list_first(&fake->targets[i].sets, struct fset, link);

			list_del(&fs->link);
			free(fs);
		}
	}
	for (i = 0; i < CONT_MAX; i++)
		cont_free(&fake->conts[i]);
	cont_free(&fake->pool_attrs);
	free(fake);
}

const char *
fake_uri(const struct fake *fake)
{
	return rpc_ep_uri(fake->targets[0].ep);
}
