/* Reference model of VOS; vos_model.h says what it is for. */
#include "store/vos/vos_model.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

/* One value version, extent version or punch. */
struct rec {
	enum { REC_SINGLE, REC_ARRAY, REC_PUNCH } kind;
	uint32_t obj;
	int dkey, akey; /* punches: -1 = all */
	uint64_t epoch;
	uint32_t op;
	bool hole;
	uint64_t size; /* single value: bytes; array: record size */
	uint64_t lo, hi;
	uint64_t seed;
};

/* The records of one object, in order of arrival. */
struct recs {
	struct rec *rec;
	uint32_t nr, cap;
};

struct vm_model {
	struct recs obj[VM_OBJS];
};

static void *
must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

struct vm_model *
vm_create(void)
{
	return must(calloc(1, sizeof(struct vm_model)));
}

struct vm_model *
vm_clone(const struct vm_model *m)
{
	struct vm_model *c = vm_create();
	uint32_t i;

	for (i = 0; i < VM_OBJS; i++) {
		const struct recs *from = &m->obj[i];
		struct recs *to = &c->obj[i];

		if (from->nr == 0)
			continue;
		to->cap = from->nr + 8;
		to->rec = must(calloc(to->cap, sizeof(*to->rec)));
		to->nr = from->nr;
		memcpy(to->rec, from->rec, from->nr * sizeof(*to->rec));
	}
	return c;
}

void
vm_cut(struct vm_model *m, uint64_t above)
{
	uint32_t i, j, nr;

	for (i = 0; i < VM_OBJS; i++) {
		struct recs *recs = &m->obj[i];

		for (j = 0, nr = 0; j < recs->nr; j++)
			if (recs->rec[j].epoch <= above)
				recs->rec[nr++] = recs->rec[j];
		recs->nr = nr;
	}
}

void
vm_destroy(struct vm_model *m)
{
	uint32_t i;

	if (m == NULL)
		return;
	for (i = 0; i < VM_OBJS; i++)
		free(m->obj[i].rec);
	free(m);
}

uint64_t
vm_rand(struct vm_rng *rng)
{
	rng->state++;
	return hash_u64(rng->state);
}

uint64_t
vm_below(struct vm_rng *rng, uint64_t bound)
{
	return vm_rand(rng) % bound;
}

/* --- names ------------------------------------------------------------------------------------ */

static const enum daos_otype_t obj_types[VM_OBJS] = {
    DAOS_OT_MULTI_HASHED, DAOS_OT_MULTI_UINT64, DAOS_OT_MULTI_LEXICAL,
    DAOS_OT_ARRAY_BYTE,   DAOS_OT_DKEY_LEXICAL, DAOS_OT_AKEY_UINT64,
};

static const uint64_t rec_sizes[VM_AKEYS] = {0, 0, 1, 8, 100};

struct vos_oid
vm_oid(uint32_t obj)
{
	return (struct vos_oid){
	    .id = {.lo = 1000 + obj, .hi = (uint64_t)obj_types[obj] << 56 | (obj & 1)},
	    .shard = obj == 4 ? 3 : 0,
	};
}

struct name {
	uint8_t buf[400];
	daos_key_t key;
	uint32_t len;
};

static void
make_name(bool uint_kind, bool lexical, uint32_t i, struct name *n)
{
	static const uint64_t nums[] = {0, 1, 300, 1ull << 40, UINT64_MAX};
	static const char *const words[] = {"0", "ab", "abc", "", ""};

	if (uint_kind) {
		memcpy(n->buf, &nums[i], 8);
		n->len = 8;
	} else if (i < 3) {
		n->len = strlen(words[i]);
		memcpy(n->buf, words[i], n->len);
	} else {
		/* long ones, alike for long */
		memset(n->buf, 'x', sizeof(n->buf));
		n->len = lexical ? 200 + i : 60 + i;
		n->buf[n->len - 1] = (uint8_t)('0' + i);
	}
	n->key = (daos_key_t){.iov_buf = n->buf, .iov_buf_len = n->len, .iov_len = n->len};
}

static void
dkey_name(uint32_t obj, uint32_t i, struct name *n)
{
	daos_obj_id_t id = vm_oid(obj).id;

	make_name(daos_is_dkey_uint64(id), daos_is_dkey_lexical(id), i, n);
}

static void
akey_name(uint32_t obj, uint32_t i, struct name *n)
{
	daos_obj_id_t id = vm_oid(obj).id;

	make_name(daos_is_akey_uint64(id), daos_is_akey_lexical(id), i, n);
}

/* --- operations ---------------------------------------------------------------------------------
 */

static uint8_t
data_byte(uint64_t seed, uint64_t pos)
{
	return hash_u64(seed + (pos >> 3)) >> (8 * (pos & 7));
}

/* Whether buf holds the len bytes of the stream made by seed from position pos on. */
static bool
data_equal(uint64_t seed, uint64_t pos, const uint8_t *buf, uint64_t len)
{
	for (; len > 0 && (pos & 7) != 0; len--)
		if (*buf++ != data_byte(seed, pos++))
			return false;
	for (; len >= 8; len -= 8, buf += 8, pos += 8) {
		uint64_t want = hash_u64(seed + (pos >> 3)), got;

		memcpy(&got, buf, sizeof(got));
		if (got != want)
			return false;
	}
	for (; len > 0; len--)
		if (*buf++ != data_byte(seed, pos++))
			return false;
	return true;
}

static void
random_recx(struct vm_rng *rng, uint64_t rec_size, uint64_t max_bytes, bool punch, daos_recx_t *r)
{
	uint64_t span = (rec_size == 1 ? 12000 : 6000) / rec_size + 1;
	uint64_t max = max_bytes / rec_size;

	if (max > span)
		max = span;
	r->rx_idx = vm_below(rng, span);
	if (vm_below(rng, 4) == 0) /* whole blocks */
		r->rx_idx = r->rx_idx * rec_size / 4096 * 4096 / rec_size;
	r->rx_nr = 1 + vm_below(rng, vm_below(rng, 2) ? max : max / 16 + 1);
	if (vm_below(rng, 8) == 0)
		r->rx_nr = 4096 / rec_size < max ? 4096 / rec_size : max;
	switch (vm_below(rng, 24)) {
	case 0: /* far away */
		r->rx_idx += 1ull << 40;
		break;
	case 1: /* to the end of the world */
		if (punch)
			r->rx_nr = UINT64_MAX - r->rx_idx;
		break;
	}
}

void
vm_op_random(struct vm_rng *rng, uint64_t epoch, uint64_t max_bytes, struct vm_op *op)
{
	static const uint64_t conds[] = {DAOS_COND_DKEY_INSERT, DAOS_COND_DKEY_UPDATE,
					 DAOS_COND_AKEY_INSERT, DAOS_COND_AKEY_UPDATE};
	uint64_t what = vm_below(rng, 100);
	uint32_t i, j, first;

	memset(op, 0, sizeof(*op));
	op->kind = what < 82   ? VM_UPDATE
		   : what < 85 ? VM_PUNCH_OBJ
		   : what < 92 ? VM_PUNCH_DKEY
			       : VM_PUNCH_AKEYS;
	op->obj = vm_below(rng, VM_OBJS);
	op->dkey = vm_below(rng, VM_DKEYS);
	op->epoch = epoch;
	op->seed = vm_rand(rng);
	if (op->kind == VM_UPDATE) {
		op->op_nr = vm_below(rng, 8) == 0 ? vm_below(rng, 3) : 0;
		op->cond = vm_below(rng, 5) == 0 ? conds[vm_below(rng, 4)] : 0;
	} else {
		op->cond = vm_below(rng, 3) == 0 ? DAOS_COND_PUNCH : 0;
	}
	if (op->kind == VM_PUNCH_OBJ || op->kind == VM_PUNCH_DKEY)
		return;
	op->iod_nr = 1 + vm_below(rng, VM_IODS);
	first = vm_below(rng, VM_AKEYS);
	for (i = 0; i < op->iod_nr; i++) {
		struct vm_iod *iod = &op->iod[i];

		iod->akey = (first + i) % VM_AKEYS;
		iod->punch = vm_below(rng, 8) == 0;
		if (iod->akey < 2) {
			iod->size = 1 + vm_below(rng, vm_below(rng, 3) ? 100 : max_bytes);
			continue;
		}
		iod->recx_nr = 1 + vm_below(rng, VM_RECXS);
		for (j = 0; j < iod->recx_nr; j++)
			random_recx(rng, rec_sizes[iod->akey], max_bytes, iod->punch,
				    &iod->recx[j]);
	}
}

void
vm_op_print(const struct vm_op *op)
{
	static const char *const kinds[] = {"update", "punch obj", "punch dkey", "punch akeys"};
	uint32_t i, j;

	fprintf(stderr, "  %s obj %u dkey %u epoch %" PRIu64 ".%u cond %#" PRIx64, kinds[op->kind],
		op->obj, op->dkey, op->epoch, op->op_nr, op->cond);
	for (i = 0; i < op->iod_nr; i++) {
		const struct vm_iod *iod = &op->iod[i];

		fprintf(stderr, " akey %u%s", iod->akey, iod->punch ? " (punch)" : "");
		if (iod->akey < 2)
			fprintf(stderr, " %" PRIu64 "B", iod->size);
		for (j = 0; j < iod->recx_nr; j++)
			fprintf(stderr, " [%" PRIu64 ",+%" PRIu64 ")", iod->recx[j].rx_idx,
				iod->recx[j].rx_nr);
	}
	fprintf(stderr, "\n");
}

static struct rec *
rec_add(struct vm_model *model, const struct vm_op *op)
{
	struct recs *m = &model->obj[op->obj];
	struct rec *r;

	if (m->nr == m->cap) {
		m->cap = m->cap == 0 ? 256 : m->cap * 2;
		m->rec = must(realloc(m->rec, m->cap * sizeof(*m->rec)));
	}
	r = &m->rec[m->nr++];
	memset(r, 0, sizeof(*r));
	r->obj = op->obj;
	r->dkey = op->dkey;
	r->akey = -1;
	r->epoch = op->epoch;
	r->op = op->op_nr;
	return r;
}

static uint64_t
iod_seed(const struct vm_op *op, uint32_t i, uint32_t j)
{
	return hash_u64(op->seed + i * 16 + j);
}

void
vm_apply(struct vm_model *m, const struct vm_op *op)
{
	struct rec *r;
	uint32_t i, j;

	switch (op->kind) {
	case VM_PUNCH_OBJ:
	case VM_PUNCH_DKEY:
		r = rec_add(m, op);
		r->kind = REC_PUNCH;
		if (op->kind == VM_PUNCH_OBJ)
			r->dkey = -1;
		return;
	case VM_PUNCH_AKEYS:
		for (i = 0; i < op->iod_nr; i++) {
			r = rec_add(m, op);
			r->kind = REC_PUNCH;
			r->akey = op->iod[i].akey;
		}
		return;
	case VM_UPDATE:
		break;
	}
	for (i = 0; i < op->iod_nr; i++) {
		const struct vm_iod *iod = &op->iod[i];

		if (iod->akey < 2) {
			r = rec_add(m, op);
			r->kind = REC_SINGLE;
			r->akey = iod->akey;
			r->hole = iod->punch;
			r->size = iod->size;
			r->seed = iod_seed(op, i, 0);
		}
		for (j = 0; j < iod->recx_nr; j++) {
			r = rec_add(m, op);
			r->kind = REC_ARRAY;
			r->akey = iod->akey;
			r->hole = iod->punch;
			r->size = rec_sizes[iod->akey];
			r->lo = iod->recx[j].rx_idx;
			r->hi = r->lo + iod->recx[j].rx_nr;
			r->seed = iod_seed(op, i, j);
		}
	}
}

/* --- what a read sees
 * ------------------------------------------------------------------------------ */

static int
ord_cmp(uint64_t e1, uint32_t o1, uint64_t e2, uint32_t o2)
{
	if (e1 != e2)
		return e1 < e2 ? -1 : 1;
	return o1 < o2 ? -1 : o1 > o2;
}

/* The latest punch of any ancestor, at or below epoch. */
static void
punched(const struct vm_model *model, uint32_t obj, int dkey, int akey, uint64_t epoch,
	uint64_t *ret_e, uint32_t *ret_o)
{
	const struct recs *m = &model->obj[obj];
	uint32_t i;

	*ret_e = 0;
	*ret_o = 0;
	for (i = 0; i < m->nr; i++) {
		const struct rec *r = &m->rec[i];

		if (r->kind != REC_PUNCH || r->obj != obj || r->epoch > epoch ||
		    (r->dkey != -1 && r->dkey != dkey) || (r->akey != -1 && r->akey != akey))
			continue;
		if (ord_cmp(r->epoch, r->op, *ret_e, *ret_o) > 0) {
			*ret_e = r->epoch;
			*ret_o = r->op;
		}
	}
}

static const struct rec *
single_at(const struct vm_model *model, uint32_t obj, int dkey, int akey, uint64_t epoch)
{
	const struct recs *m = &model->obj[obj];
	const struct rec *best = NULL;
	uint64_t pe;
	uint32_t po, i;

	for (i = 0; i < m->nr; i++) {
		const struct rec *r = &m->rec[i];

		if (r->kind == REC_SINGLE && r->obj == obj && r->dkey == dkey && r->akey == akey &&
		    r->epoch <= epoch &&
		    (best == NULL || ord_cmp(r->epoch, r->op, best->epoch, best->op) >= 0))
			best = r;
	}
	if (best == NULL || best->hole)
		return NULL;
	punched(model, obj, dkey, akey, epoch, &pe, &po);
	return ord_cmp(best->epoch, best->op, pe, po) >= 0 ? best : NULL;
}

/* Visible extents of an array, ascending, cut wherever any write has a border. */
struct part {
	uint64_t lo, hi;
	const struct rec *rec;
};
struct parts {
	struct part *v;
	uint32_t nr;
};

static int
u64_cmp(const void *x, const void *y)
{
	const uint64_t *a = x, *b = y;

	return *a < *b ? -1 : *a > *b;
}

static struct parts
array_at(const struct vm_model *model, uint32_t obj, int dkey, int akey, uint64_t epoch)
{
	const struct recs *m = &model->obj[obj];
	const struct rec **use = must(calloc(m->nr + 1, sizeof(*use)));
	uint64_t *cut = must(calloc(2 * m->nr + 1, sizeof(*cut)));
	struct parts p = {0};
	uint32_t use_nr = 0, cut_nr = 0, i, j, po;
	uint64_t pe;

	punched(model, obj, dkey, akey, epoch, &pe, &po);
	for (i = 0; i < m->nr; i++) {
		const struct rec *r = &m->rec[i];

		if (r->kind != REC_ARRAY || r->obj != obj || r->dkey != dkey || r->akey != akey ||
		    r->epoch > epoch || ord_cmp(r->epoch, r->op, pe, po) < 0)
			continue;
		use[use_nr++] = r;
		cut[cut_nr++] = r->lo;
		cut[cut_nr++] = r->hi;
	}
	qsort(cut, cut_nr, sizeof(*cut), u64_cmp);
	p.v = must(calloc(cut_nr + 1, sizeof(*p.v)));
	for (i = 0; i + 1 < cut_nr; i++) {
		const struct rec *best = NULL;

		if (cut[i] == cut[i + 1])
			continue;
		for (j = 0; j < use_nr; j++)
			if (use[j]->lo <= cut[i] && use[j]->hi > cut[i] &&
			    (best == NULL ||
			     ord_cmp(use[j]->epoch, use[j]->op, best->epoch, best->op) >= 0))
				best = use[j];
		if (best != NULL && !best->hole)
			p.v[p.nr++] = (struct part){cut[i], cut[i + 1], best};
	}
	free(use);
	free(cut);
	return p;
}

static bool
akey_there(const struct vm_model *m, uint32_t obj, int dkey, int akey, uint64_t epoch)
{
	struct parts p;

	if (akey < 2)
		return single_at(m, obj, dkey, akey, epoch) != NULL;
	p = array_at(m, obj, dkey, akey, epoch);
	free(p.v);
	return p.nr != 0;
}

static bool
dkey_there(const struct vm_model *m, uint32_t obj, int dkey, uint64_t epoch)
{
	int i;

	for (i = 0; i < VM_AKEYS; i++)
		if (akey_there(m, obj, dkey, i, epoch))
			return true;
	return false;
}

static bool
obj_there(const struct vm_model *m, uint32_t obj, uint64_t epoch)
{
	int i;

	for (i = 0; i < VM_DKEYS; i++)
		if (dkey_there(m, obj, i, epoch))
			return true;
	return false;
}

int
vm_expect(const struct vm_model *m, const struct vm_op *op)
{
	bool there;
	uint32_t i;

	if (op->cond == 0)
		return 0;
	if (op->kind == VM_PUNCH_OBJ)
		return obj_there(m, op->obj, op->epoch) ? 0 : -DER_NONEXIST;
	if (op->kind == VM_PUNCH_DKEY)
		return dkey_there(m, op->obj, op->dkey, op->epoch) ? 0 : -DER_NONEXIST;
	if (op->cond & (DAOS_COND_DKEY_INSERT | DAOS_COND_DKEY_UPDATE)) {
		there = dkey_there(m, op->obj, op->dkey, op->epoch);
		if ((op->cond & DAOS_COND_DKEY_INSERT) && there)
			return -DER_EXIST;
		if ((op->cond & DAOS_COND_DKEY_UPDATE) && !there)
			return -DER_NONEXIST;
		return 0;
	}
	for (i = 0; i < op->iod_nr; i++) {
		there = akey_there(m, op->obj, op->dkey, op->iod[i].akey, op->epoch);
		if ((op->cond & DAOS_COND_AKEY_INSERT) && there)
			return -DER_EXIST;
		if ((op->cond & (DAOS_COND_AKEY_UPDATE | DAOS_COND_PUNCH)) && !there)
			return -DER_NONEXIST;
	}
	return 0;
}

/* --- running on VOS
 * ----------------------------------------------------------------------------------- */

/* Write bytes [0, len) of the stream made by seed, starting at stream position pos, into the iovs.
 */
struct filler {
	const struct iovec *iov;
	uint32_t nr;
	size_t used;
};

static void
fill(struct filler *f, uint64_t seed, uint64_t pos, uint64_t len)
{
	uint64_t word = hash_u64(seed + (pos >> 3));

	while (len-- > 0) {
		while (f->nr > 0 && f->used == f->iov->iov_len) {
			f->iov++;
			f->nr--;
			f->used = 0;
		}
		if (f->nr == 0)
			abort(); /* fewer buffers than promised */
		((uint8_t *)f->iov->iov_base)[f->used++] = word >> (8 * (pos & 7));
		if ((++pos & 7) == 0)
			word = hash_u64(seed + (pos >> 3));
	}
}

/* An update or punch in the form VOS wants; everything it points to. */
struct vm_built {
	struct name dkey, akeys[VM_IODS];
	daos_iod_t iods[VM_IODS];
	daos_key_t keys[VM_IODS];
	struct vos_io io;
	struct vos_op op;
	struct vm_op from;
};

static int co_fn
build_update(struct vos_cont *cont, struct vm_built *b, const struct vos_opid *opid)
{
	const struct vm_op *op = &b->from;
	struct vos_update *up;
	uint32_t i, j;
	int rc;

	b->io = (struct vos_io){
	    .oid = vm_oid(op->obj),
	    .epoch = op->epoch,
	    .op_nr = op->op_nr,
	    .cond_flags = op->cond,
	    .dkey = &b->dkey.key,
	    .iods = b->iods,
	    .iod_nr = op->iod_nr,
	    .opid = opid,
	};
	for (i = 0; i < op->iod_nr; i++) {
		const struct vm_iod *iod = &op->iod[i];

		b->iods[i] = (daos_iod_t){
		    .iod_name = b->akeys[i].key,
		    .iod_type = iod->akey < 2 ? DAOS_IOD_SINGLE : DAOS_IOD_ARRAY,
		    .iod_size = iod->punch      ? 0
				: iod->akey < 2 ? iod->size
						: rec_sizes[iod->akey],
		    .iod_nr = iod->akey < 2 ? 1 : iod->recx_nr,
		    .iod_recxs = iod->akey < 2 ? NULL : (daos_recx_t *)iod->recx,
		};
	}
	rc = vos_update_begin(cont, &b->io, &up);
	if (rc != 0)
		return rc;
	for (i = 0; i < op->iod_nr; i++) {
		const struct vm_iod *iod = &op->iod[i];
		struct filler f = {0};

		if (iod->punch)
			continue;
		f.iov = vos_update_iov(up, i, &f.nr);
		if (iod->akey < 2) {
			fill(&f, iod_seed(op, i, 0), 0, iod->size);
			continue;
		}
		for (j = 0; j < iod->recx_nr; j++)
			fill(&f, iod_seed(op, i, j), iod->recx[j].rx_idx * rec_sizes[iod->akey],
			     iod->recx[j].rx_nr * rec_sizes[iod->akey]);
	}
	b->op.up = up;
	return 0;
}

static int co_fn
build(struct vos_cont *cont, const struct vm_op *op, const struct vos_opid *opid,
      struct vm_built *b)
{
	uint32_t i;

	b->from = *op;
	dkey_name(op->obj, op->dkey, &b->dkey);
	for (i = 0; i < op->iod_nr; i++) {
		akey_name(op->obj, op->iod[i].akey, &b->akeys[i]);
		b->keys[i] = b->akeys[i].key;
	}
	b->op = (struct vos_op){.kind = VOS_OP_UPDATE, .op_nr = op->op_nr};
	if (op->kind == VM_UPDATE)
		return build_update(cont, b, opid);
	b->op.kind = VOS_OP_PUNCH;
	b->op.oid = vm_oid(op->obj);
	b->op.cond_flags = op->cond;
	b->op.dkey = op->kind == VM_PUNCH_OBJ ? NULL : &b->dkey.key;
	b->op.akeys = b->keys;
	b->op.akey_nr = op->kind == VM_PUNCH_AKEYS ? op->iod_nr : 0;
	return 0;
}

int co_fn
vm_build(struct vos_cont *cont, const struct vm_op *op, struct vm_built **ret_b)
{
	struct vm_built *b = must(calloc(1, sizeof(*b)));
	int rc = build(cont, op, NULL, b);

	if (rc != 0) {
		free(b);
		return rc;
	}
	*ret_b = b;
	return 0;
}

struct vos_op *
vm_built_op(struct vm_built *b)
{
	return &b->op;
}

void
vm_built_free(struct vm_built *b)
{
	free(b);
}

int co_fn
vm_run(struct vos_cont *cont, const struct vm_op *op, const struct vos_opid *opid)
{
	struct vos_oid oid = vm_oid(op->obj);
	struct vm_built b;
	int rc;

	rc = build(cont, op, opid, &b);
	if (rc != 0)
		return rc;
	if (op->kind == VM_UPDATE)
		return vos_update_end(b.op.up);
	return vos_punch(cont, &oid, op->epoch, op->cond, b.op.dkey, b.op.akeys, b.op.akey_nr,
			 opid);
}

/* --- comparing
 * --------------------------------------------------------------------------------------------- */

/* Intents are not in the model. */
static const struct vos_order blind = {.flags = VOS_ORDER_IGNORE};

struct cmp {
	const struct vm_model *m;
	struct vos_cont *cont;
	uint64_t epoch;
	struct vm_rng *rng;
	bool quiet;
};

static int __attribute__((format(printf, 2, 3))) differ(const struct cmp *c, const char *fmt, ...)
{
	va_list ap;

	if (!c->quiet) {
		va_start(ap, fmt);
		fprintf(stderr, "at epoch %" PRIu64 ": ", c->epoch);
		vfprintf(stderr, fmt, ap);
		fprintf(stderr, "\n");
		va_end(ap);
	}
	return 1;
}

/* The answer of a fetch as flat bytes, and which of them are data. */
struct flat {
	uint8_t *data, *is_data;
	uint64_t len;
};

static int
flatten(const struct vos_fetch *f, struct flat *out, uint64_t len)
{
	const struct iovec *iov;
	uint64_t pos = 0;
	uint32_t i, nr;

	iov = vos_fetch_iov(f, 0, &nr);
	out->data = must(calloc(1, len + 1));
	out->is_data = must(calloc(1, len + 1));
	out->len = 0;
	for (i = 0; i < nr; i++) {
		if (pos + iov[i].iov_len > len)
			return 1;
		if (iov[i].iov_base != NULL) {
			memcpy(out->data + pos, iov[i].iov_base, iov[i].iov_len);
			memset(out->is_data + pos, 1, iov[i].iov_len);
		}
		pos += iov[i].iov_len;
	}
	out->len = pos;
	return 0;
}

static void
flat_fini(struct flat *f)
{
	free(f->data);
	free(f->is_data);
}

static int co_fn
fetch_one(const struct cmp *c, uint32_t obj, uint32_t dkey, uint32_t akey, daos_recx_t *recx,
	  uint64_t cond, uint32_t flags, struct vos_fetch **ret_f)
{
	struct name dn, an;
	daos_iod_t iod = {
	    .iod_type = recx == NULL ? DAOS_IOD_SINGLE : DAOS_IOD_ARRAY,
	    .iod_size = rec_sizes[akey],
	    .iod_nr = 1,
	    .iod_recxs = recx,
	};
	struct vos_io io = {
	    .oid = vm_oid(obj),
	    .epoch = c->epoch,
	    .cond_flags = cond,
	    .dkey = &dn.key,
	    .iods = &iod,
	    .iod_nr = 1,
	    .order = &blind,
	};

	dkey_name(obj, dkey, &dn);
	akey_name(obj, akey, &an);
	iod.iod_name = an.key;
	return vos_fetch_begin(c->cont, &io, flags, ret_f);
}

int co_fn
vm_fetch_order(struct vos_cont *cont, uint32_t obj, uint32_t dkey, uint32_t akey, daos_recx_t *recx,
	       uint64_t epoch, const struct vos_order *order)
{
	struct name dn, an;
	daos_iod_t iod = {
	    .iod_type = recx == NULL ? DAOS_IOD_SINGLE : DAOS_IOD_ARRAY,
	    .iod_nr = 1,
	    .iod_recxs = recx,
	};
	struct vos_io io = {
	    .oid = vm_oid(obj),
	    .epoch = epoch,
	    .dkey = &dn.key,
	    .iods = &iod,
	    .iod_nr = 1,
	    .order = order,
	};
	struct vos_fetch *f;
	int rc;

	dkey_name(obj, dkey, &dn);
	akey_name(obj, akey, &an);
	iod.iod_name = an.key;
	rc = vos_fetch_begin(cont, &io, 0, &f);
	if (rc == 0)
		vos_fetch_end(f);
	return rc;
}

static int co_fn
compare_single(const struct cmp *c, uint32_t obj, uint32_t dkey, uint32_t akey)
{
	const struct rec *want = single_at(c->m, obj, dkey, akey, c->epoch);
	struct vos_fetch *f;
	struct flat flat = {0};
	uint64_t size, i;
	int rc;

	rc = fetch_one(c, obj, dkey, akey, NULL, 0, 0, &f);
	if (rc != 0)
		return rc;
	size = vos_fetch_size(f, 0);
	if (size != (want == NULL ? 0 : want->size))
		rc = differ(c, "obj %u dkey %u akey %u: size %" PRIu64 ", expected %" PRIu64, obj,
			    dkey, akey, size, want == NULL ? 0 : want->size);
	else if (flatten(f, &flat, size) != 0 || flat.len != size)
		rc = differ(c, "obj %u dkey %u akey %u: %" PRIu64 " bytes given, size %" PRIu64,
			    obj, dkey, akey, flat.len, size);
	if (rc == 0 && size > 0 && memchr(flat.is_data, 0, size) == NULL &&
	    data_equal(want->seed, 0, flat.data, size))
		size = 0;
	for (i = 0; rc == 0 && i < size; i++)
		if (!flat.is_data[i] || flat.data[i] != data_byte(want->seed, i))
			rc = differ(c, "obj %u dkey %u akey %u: wrong byte at %" PRIu64, obj, dkey,
				    akey, i);
	flat_fini(&flat);
	vos_fetch_end(f);
	if (rc != 0)
		return rc;
	rc = fetch_one(c, obj, dkey, akey, NULL, DAOS_COND_AKEY_FETCH, VOS_FETCH_SIZE_ONLY, &f);
	if (rc == 0)
		vos_fetch_end(f);
	if ((rc == 0) != (want != NULL) || (rc != 0 && rc != -DER_NONEXIST))
		return differ(c, "obj %u dkey %u akey %u: conditional fetch gives %d", obj, dkey,
			      akey, rc);
	return 0;
}

/* Fetch [lo, hi) and compare with the parts. */
static int co_fn
compare_range(const struct cmp *c, uint32_t obj, uint32_t dkey, uint32_t akey,
	      const struct parts *p, uint64_t lo, uint64_t hi)
{
	uint64_t rs = rec_sizes[akey], pos, base;
	daos_recx_t recx = {.rx_idx = lo, .rx_nr = hi - lo};
	struct vos_fetch *f;
	struct flat flat = {0};
	const uint8_t *extra;
	uint32_t i, rx_nr;
	bool any = false;
	int rc;

	rc = fetch_one(c, obj, dkey, akey, &recx, 0, VOS_FETCH_NEED_RECX, &f);
	if (rc != 0)
		return rc;
	if (flatten(f, &flat, (hi - lo) * rs) != 0 || flat.len != (hi - lo) * rs)
		rc = differ(
		    c, "obj %u dkey %u akey %u: [%" PRIu64 ",+%" PRIu64 ") gives %" PRIu64 " bytes",
		    obj, dkey, akey, lo, hi - lo, flat.len);
	/* mark what the model says: data where a part is */
	for (i = 0; rc == 0 && i < p->nr; i++) {
		uint64_t a = p->v[i].lo > lo ? p->v[i].lo : lo;
		uint64_t b = p->v[i].hi < hi ? p->v[i].hi : hi;

		if (a >= b)
			continue;
		any = true;
		base = lo * rs;
		if (memchr(flat.is_data + a * rs - base, 0, (b - a) * rs) == NULL &&
		    data_equal(p->v[i].rec->seed, a * rs, flat.data + a * rs - base,
			       (b - a) * rs)) {
			memset(flat.is_data + a * rs - base, 0, (b - a) * rs);
			continue;
		}
		/* find the first wrong byte */
		for (pos = a * rs; rc == 0 && pos < b * rs; pos++) {
			if (!flat.is_data[pos - base] ||
			    flat.data[pos - base] != data_byte(p->v[i].rec->seed, pos))
				rc = differ(
				    c, "obj %u dkey %u akey %u: wrong byte at %" PRIu64 " (%s)",
				    obj, dkey, akey, pos,
				    flat.is_data[pos - base] ? "data" : "hole");
			flat.is_data[pos - base] = 0;
		}
	}
	extra = rc == 0 ? memchr(flat.is_data, 1, flat.len) : NULL;
	if (extra != NULL)
		rc = differ(c, "obj %u dkey %u akey %u: data at %" PRIu64 ", expected a hole", obj,
			    dkey, akey, lo * rs + (uint64_t)(extra - flat.is_data));
	if (rc == 0 && vos_fetch_size(f, 0) != (any ? rs : 0))
		rc = differ(c, "obj %u dkey %u akey %u: record size %" PRIu64, obj, dkey, akey,
			    vos_fetch_size(f, 0));
	vos_fetch_recxs(f, 0, &rx_nr);
	if (rc == 0 && (rx_nr != 0) != any)
		rc = differ(c, "obj %u dkey %u akey %u: %u extents reported", obj, dkey, akey,
			    rx_nr);
	flat_fini(&flat);
	vos_fetch_end(f);
	return rc;
}

/* Listed extents, which must be disjoint and in order, as one list of covered ranges. */
struct covered {
	struct part *v;
	uint32_t nr, cap;
	bool descending;
	bool broken;
	struct vm_rng *rng;
};

static int
cover_cb(const struct vos_entry *e, void *arg)
{
	struct covered *cv = arg;
	uint64_t lo = e->recx.rx_idx, hi = lo + e->recx.rx_nr;

	if (cv->rng != NULL && vm_below(cv->rng, 4) == 0)
		return 1;
	if (hi <= lo)
		cv->broken = true;
	if (cv->nr != 0) {
		struct part *last = &cv->v[cv->nr - 1];

		if (cv->descending ? hi > last->lo : lo < last->hi)
			cv->broken = true;
		if (!cv->descending && lo == last->hi) {
			last->hi = hi;
			return 0;
		}
		if (cv->descending && hi == last->lo) {
			last->lo = lo;
			return 0;
		}
	}
	if (cv->nr == cv->cap) {
		cv->cap = cv->cap == 0 ? 64 : cv->cap * 2;
		cv->v = must(realloc(cv->v, cv->cap * sizeof(*cv->v)));
	}
	cv->v[cv->nr++] = (struct part){.lo = lo, .hi = hi};
	return 0;
}

/* List to the end, in as many calls as it takes. */
static int co_fn
list_all(const struct cmp *c, const struct vos_list *list,
	 int (*fn)(const struct vos_entry *e, void *arg), void *arg)
{
	struct vos_anchor anchor = {0};
	int rc = 0;

	while (rc == 0 && anchor.state != 2)
		rc = vos_list(c->cont, list, &anchor, fn, arg);
	return rc;
}

static int co_fn
compare_extents(const struct cmp *c, uint32_t obj, uint32_t dkey, uint32_t akey,
		const struct parts *p, bool descending)
{
	struct covered cv = {.descending = descending, .rng = c->rng};
	struct name dn, an;
	struct vos_list list = {
	    .kind = VOS_LIST_RECX,
	    .oid = vm_oid(obj),
	    .epoch = c->epoch,
	    .dkey = &dn.key,
	    .akey = &an.key,
	    .descending = descending,
	    .order = &blind,
	};
	uint32_t i, at = 0;
	int rc;

	dkey_name(obj, dkey, &dn);
	akey_name(obj, akey, &an);
	rc = list_all(c, &list, cover_cb, &cv);
	if (rc == 0 && cv.broken)
		rc = differ(c, "obj %u dkey %u akey %u: extents listed out of order", obj, dkey,
			    akey);
	/* merge the model's parts and compare */
	for (i = 0; rc == 0 && i < p->nr; at++) {
		uint64_t lo = p->v[i].lo, hi = p->v[i].hi;
		uint32_t idx;

		for (i++; i < p->nr && p->v[i].lo == hi; i++)
			hi = p->v[i].hi;
		idx = descending ? cv.nr - 1 - at : at;
		if (at >= cv.nr || cv.v[idx].lo != lo || cv.v[idx].hi != hi)
			rc = differ(c,
				    "obj %u dkey %u akey %u: extent [%" PRIu64 ",%" PRIu64
				    ") is not listed so",
				    obj, dkey, akey, lo, hi);
	}
	if (rc == 0 && at != cv.nr)
		rc = differ(c, "obj %u dkey %u akey %u: %u extents listed, %u expected", obj, dkey,
			    akey, cv.nr, at);
	free(cv.v);
	return rc;
}

static int co_fn
compare_array(const struct cmp *c, uint32_t obj, uint32_t dkey, uint32_t akey)
{
	struct parts p = array_at(c->m, obj, dkey, akey, c->epoch);
	uint64_t rs = rec_sizes[akey], span = 24000 / rs;
	uint32_t i;
	int rc;

	rc = compare_range(c, obj, dkey, akey, &p, 0, span);
	if (rc == 0 && c->rng != NULL) {
		uint64_t lo = vm_below(c->rng, span - 1);

		rc =
		    compare_range(c, obj, dkey, akey, &p, lo, lo + 1 + vm_below(c->rng, span - lo));
	}
	for (i = 0; rc == 0 && i < p.nr; i++)
		if (p.v[i].hi > span)
			rc = compare_range(c, obj, dkey, akey, &p, p.v[i].lo, p.v[i].hi);
	if (rc == 0)
		rc = compare_extents(c, obj, dkey, akey, &p, false);
	if (rc == 0)
		rc = compare_extents(c, obj, dkey, akey, &p, true);
	free(p.v);
	return rc;
}

/* --- keys
 * -----------------------------------------------------------------------------------------------------
 */

struct seen {
	struct vm_rng *rng;
	uint32_t obj;
	bool dkeys;
	uint32_t limit;
	uint32_t count[8];
	bool unknown, disorder;
	uint8_t last[400];
	uint32_t last_len;
	bool any, uint_kind, lexical;
};

static int
cmp_bytes(const void *a, uint32_t alen, const void *b, uint32_t blen)
{
	int r = memcmp(a, b, alen < blen ? alen : blen);

	return r != 0 ? r : alen < blen ? -1 : alen > blen;
}

static int
key_cb(const struct vos_entry *e, void *arg)
{
	struct seen *s = arg;
	struct name n;
	uint32_t i;

	if (s->rng != NULL && vm_below(s->rng, 3) == 0)
		return 1;
	for (i = 0; i < s->limit; i++) {
		if (s->dkeys)
			dkey_name(s->obj, i, &n);
		else
			akey_name(s->obj, i, &n);
		if (n.len == e->key_len && memcmp(n.buf, e->key, n.len) == 0)
			break;
	}
	if (i == s->limit)
		s->unknown = true;
	else
		s->count[i]++;
	if (s->any && s->uint_kind) {
		uint64_t a, b;

		memcpy(&a, s->last, 8);
		memcpy(&b, e->key, 8);
		s->disorder |= a >= b;
	} else if (s->any && s->lexical) {
		s->disorder |= cmp_bytes(s->last, s->last_len, e->key, e->key_len) >= 0;
	}
	s->any = true;
	s->last_len = e->key_len < sizeof(s->last) ? e->key_len : sizeof(s->last);
	memcpy(s->last, e->key, s->last_len);
	return 0;
}

static int co_fn
compare_keys(const struct cmp *c, uint32_t obj, bool dkeys, uint32_t dkey)
{
	daos_obj_id_t id = vm_oid(obj).id;
	struct seen s = {
	    .rng = c->rng,
	    .obj = obj,
	    .dkeys = dkeys,
	    .limit = dkeys ? VM_DKEYS : VM_AKEYS,
	    .uint_kind = dkeys ? daos_is_dkey_uint64(id) : daos_is_akey_uint64(id),
	    .lexical = dkeys ? daos_is_dkey_lexical(id) : daos_is_akey_lexical(id),
	};
	struct name dn;
	struct vos_list list = {
	    .kind = dkeys ? VOS_LIST_DKEY : VOS_LIST_AKEY,
	    .oid = vm_oid(obj),
	    .epoch = c->epoch,
	    .dkey = &dn.key,
	    .order = &blind,
	};
	uint32_t i;
	int rc;

	dkey_name(obj, dkey, &dn);
	rc = list_all(c, &list, key_cb, &s);
	if (rc != 0)
		return rc;
	if (s.unknown || s.disorder)
		return differ(c, "obj %u: listing of %s: %s", obj, dkeys ? "dkeys" : "akeys",
			      s.unknown ? "unknown key" : "out of order");
	for (i = 0; i < s.limit; i++) {
		bool there = dkeys ? dkey_there(c->m, obj, i, c->epoch)
				   : akey_there(c->m, obj, dkey, i, c->epoch);

		if (s.count[i] != there)
			return differ(c, "obj %u dkey %u: %s %u listed %u times, expected %d", obj,
				      dkey, dkeys ? "dkey" : "akey", i, s.count[i], there);
	}
	return 0;
}

struct objs_seen {
	struct vm_rng *rng;
	uint32_t count[VM_OBJS];
	bool unknown;
};

static int
obj_cb(const struct vos_entry *e, void *arg)
{
	struct objs_seen *s = arg;
	uint32_t i;

	if (s->rng != NULL && vm_below(s->rng, 3) == 0)
		return 1;
	for (i = 0; i < VM_OBJS; i++) {
		struct vos_oid oid = vm_oid(i);

		if (oid.id.lo == e->oid.id.lo && oid.id.hi == e->oid.id.hi &&
		    oid.shard == e->oid.shard) {
			s->count[i]++;
			return 0;
		}
	}
	s->unknown = true;
	return 0;
}

static int co_fn
compare_objs(const struct cmp *c)
{
	struct objs_seen s = {.rng = c->rng};
	struct vos_list list = {.kind = VOS_LIST_OBJ, .epoch = c->epoch, .order = &blind};
	uint32_t i;
	int rc;

	rc = list_all(c, &list, obj_cb, &s);
	if (rc != 0)
		return rc;
	if (s.unknown)
		return differ(c, "unknown object listed");
	for (i = 0; i < VM_OBJS; i++)
		if (s.count[i] != obj_there(c->m, i, c->epoch))
			return differ(c, "object %u listed %u times", i, s.count[i]);
	return 0;
}

/* --- queries
 * -----------------------------------------------------------------------------------------------------
 */

static uint64_t
name_num(const struct name *n)
{
	uint64_t num;

	memcpy(&num, n->buf, sizeof(num));
	return num;
}

/* Largest or smallest dkey that has an array in akey, and the extent there. Names of integer keys
 * ascend with their index. */
static int co_fn
compare_query(const struct cmp *c, uint32_t obj, uint32_t akey, bool max)
{
	struct name an, dn;
	struct vos_query q = {
	    .oid = vm_oid(obj),
	    .epoch = c->epoch,
	    .flags = (max ? DAOS_GET_MAX : DAOS_GET_MIN) | DAOS_GET_DKEY | DAOS_GET_RECX,
	    .akey = &an.key,
	    .order = &blind,
	};
	int i, found = -1, rc;
	uint64_t edge = 0;

	if (!daos_is_dkey_uint64(q.oid.id))
		return 0;
	akey_name(obj, akey, &an);
	for (i = 0; i < VM_DKEYS; i++) {
		struct parts p = array_at(c->m, obj, i, akey, c->epoch);

		if (p.nr != 0 && (max || found < 0)) {
			found = i;
			edge = max ? p.v[p.nr - 1].hi : p.v[0].lo;
		}
		free(p.v);
	}
	rc = vos_query_key(c->cont, &q);
	if (rc != 0 && rc != -DER_NONEXIST)
		return rc;
	if ((rc == 0) != (found >= 0))
		return differ(c, "obj %u akey %u: query gives %d", obj, akey, rc);
	if (rc != 0)
		return 0;
	dkey_name(obj, found, &dn);
	if (q.dkey != name_num(&dn) || (max ? q.recx.rx_idx + q.recx.rx_nr : q.recx.rx_idx) != edge)
		return differ(c,
			      "obj %u akey %u: query gives dkey %" PRIu64 " [%" PRIu64 ",+%" PRIu64
			      "), expected dkey %d edge %" PRIu64,
			      obj, akey, q.dkey, q.recx.rx_idx, q.recx.rx_nr, found, edge);
	return 0;
}

static int co_fn
compare_obj(const struct cmp *c, uint32_t obj)
{
	uint32_t d, a;
	int rc;

	rc = compare_keys(c, obj, true, 0);
	for (d = 0; rc == 0 && d < VM_DKEYS; d++) {
		rc = compare_keys(c, obj, false, d);
		for (a = 0; rc == 0 && a < VM_AKEYS; a++)
			rc = a < 2 ? compare_single(c, obj, d, a) : compare_array(c, obj, d, a);
	}
	for (a = 2; rc == 0 && a < VM_AKEYS; a++) {
		rc = compare_query(c, obj, a, true);
		if (rc == 0)
			rc = compare_query(c, obj, a, false);
	}
	return rc;
}

int co_fn
vm_compare_dkey(const struct vm_model *m, struct vos_cont *cont, uint64_t epoch, uint32_t obj,
		uint32_t dkey, struct vm_rng *rng, bool quiet)
{
	struct cmp c = {.m = m, .cont = cont, .epoch = epoch, .rng = rng, .quiet = quiet};
	uint32_t a;
	int rc;

	rc = compare_keys(&c, obj, false, dkey);
	for (a = 0; rc == 0 && a < VM_AKEYS; a++)
		rc = a < 2 ? compare_single(&c, obj, dkey, a) : compare_array(&c, obj, dkey, a);
	return rc;
}

int co_fn
vm_compare(const struct vm_model *m, struct vos_cont *cont, uint64_t epoch, uint32_t only_obj,
	   struct vm_rng *rng, bool quiet)
{
	struct cmp c = {.m = m, .cont = cont, .epoch = epoch, .rng = rng, .quiet = quiet};
	uint32_t i;
	int rc;

	if (only_obj < VM_OBJS)
		return compare_obj(&c, only_obj);
	rc = compare_objs(&c);
	for (i = 0; rc == 0 && i < VM_OBJS; i++)
		rc = compare_obj(&c, i);
	return rc;
}
