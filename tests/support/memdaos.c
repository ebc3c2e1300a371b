/*
 * The double of libdaos (memdaos.h).
 *
 * Everything is lists: pools of containers of objects of dkeys of akeys. Keys are kept in the order
 * of a hash, which is the order of listings; an anchor holds the hash of the last key returned.
 * Arrays of records are kept record by record in sorted extents that never overlap.
 */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <daos.h>
#include <daos/common.h>

#include "memdaos.h"

struct ext {
	struct ext *next;
	uint64_t idx, nr;
	uint8_t *data;
};

struct akey {
	struct akey *next;
	uint64_t hash;
	d_iov_t name;
	daos_iod_type_t type;
	uint64_t size; /* of the value, or of a record */
	uint8_t *value;
	struct ext *exts;
};

struct dkey {
	struct dkey *next;
	uint64_t hash;
	d_iov_t name;
	struct akey *akeys;
};

struct object {
	struct object *next;
	daos_obj_id_t oid;
	uint64_t epoch; /* newest change */
	struct dkey *dkeys;
};

struct container {
	struct container *next;
	uuid_t uuid;
	daos_prop_t *props;
	struct object *objects;
	uint64_t next_oid;
	uint32_t opens;
};

struct pool {
	uuid_t uuid;
	char label[DAOS_PROP_LABEL_MAX_LEN + 1];
	struct container *containers;
};

struct handle {
	int type; /* DAOS_HTYPE_*, 0: free */
	struct container *cont;
	daos_obj_id_t oid;
	unsigned mode;
	uint64_t cell, chunk; /* arrays */
	struct event *queue;  /* queues: completed or deferred events, oldest first */
};

struct callback {
	struct callback *next;
	daos_event_comp_cb_t fn;
	void *arg;
};

struct call;

/* The private words of an event. */
struct event {
	struct event *next; /* in the queue */
	uint64_t magic;
	daos_handle_t eqh;
	struct callback *callbacks;
	struct call *call; /* deferred */
	int state;         /* daos_ev_status_t */
	bool errno_rc;
};
static_assert(sizeof(struct event) <= sizeof(((daos_event_t *)0)->ev_private), "fits");

/* A call with its arguments, so that it can be made later. */
struct call {
	enum mem_op op;
	daos_handle_t oh;
	uint64_t flags;
	daos_key_t *dkey;
	unsigned nr;
	daos_iod_t *iods;
	d_sg_list_t *sgls;
	daos_iom_t *ioms;
	daos_array_iod_t *iod;
	daos_array_stbuf_t *stbuf;
	daos_size_t *size;
	daos_size_t new_size;
	daos_epoch_t *epoch;
};

enum { HANDLES = 65536, EV_MAGIC = 0x7e57 };

static struct {
	pthread_mutex_t lock;
	pthread_cond_t cond; /* an event came into a queue */
	struct pool pool;
	struct handle *handles; /* HANDLES */
	uint32_t free_at;
	uint32_t counts[MEM_OP_NR];
	memdaos_hook_t hook;
	void *hook_arg;
	bool deferred;
	uint32_t page;
	bool empty_pages;
	uint32_t page_turn;
	uint32_t groups;
	daos_oclass_id_t refused;
	int inits;
} mem = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER, .groups = 4};

/* --- the world --- */

static void *
must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static uint64_t
hash_of(const d_iov_t *key)
{
	const uint8_t *p = key->iov_buf;
	uint64_t h = 0xcbf29ce484222325ull;
	size_t i;

	for (i = 0; i < key->iov_len; i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	h ^= h >> 31;
	h *= 0x9e3779b97f4a7c15ull;
	return h == 0 ? 1 : h;
}

static void
akey_clear(struct akey *a)
{
	while (a->exts != NULL) {
		struct ext *e = a->exts;

		a->exts = e->next;
		free(e->data);
		free(e);
	}
	free(a->value);
	a->value = NULL;
}

static void
akey_free(struct akey *a)
{
	akey_clear(a);
	free(a->name.iov_buf);
	free(a);
}

static void
dkey_free(struct dkey *d)
{
	while (d->akeys != NULL) {
		struct akey *a = d->akeys;

		d->akeys = a->next;
		akey_free(a);
	}
	free(d->name.iov_buf);
	free(d);
}

static void
object_clear(struct object *o)
{
	while (o->dkeys != NULL) {
		struct dkey *d = o->dkeys;

		o->dkeys = d->next;
		dkey_free(d);
	}
}

static void
container_free(struct container *c)
{
	while (c->objects != NULL) {
		struct object *o = c->objects;

		c->objects = o->next;
		object_clear(o);
		free(o);
	}
	daos_prop_free(c->props);
	free(c);
}

void
memdaos_reset(const char *pool_label)
{
	while (mem.pool.containers != NULL) {
		struct container *c = mem.pool.containers;

		mem.pool.containers = c->next;
		container_free(c);
	}
	free(mem.handles);
	mem.handles = must(calloc(HANDLES, sizeof(*mem.handles)));
	mem.free_at = 1;
	uuid_generate(mem.pool.uuid);
	snprintf(mem.pool.label, sizeof(mem.pool.label), "%s", pool_label);
	memset(mem.counts, 0, sizeof(mem.counts));
	mem.hook = NULL;
	mem.deferred = false;
	mem.page = 0;
	mem.empty_pages = false;
	mem.groups = 4;
	mem.refused = 0;
	mem.inits = 0;
}

uint32_t
memdaos_handles(void)
{
	uint32_t i, nr = 0;

	pthread_mutex_lock(&mem.lock);
	for (i = 0; i < HANDLES; i++)
		nr += mem.handles[i].type != 0;
	pthread_mutex_unlock(&mem.lock);
	return nr;
}

uint32_t
memdaos_count(enum mem_op op)
{
	uint32_t n;

	pthread_mutex_lock(&mem.lock);
	n = mem.counts[op];
	pthread_mutex_unlock(&mem.lock);
	return n;
}

uint32_t
memdaos_count_all(void)
{
	uint32_t n = 0, i;

	pthread_mutex_lock(&mem.lock);
	for (i = MEM_OP_ALLOC_OIDS; i < MEM_OP_NR; i++)
		n += mem.counts[i];
	pthread_mutex_unlock(&mem.lock);
	return n;
}

void
memdaos_count_reset(void)
{
	pthread_mutex_lock(&mem.lock);
	memset(mem.counts, 0, sizeof(mem.counts));
	pthread_mutex_unlock(&mem.lock);
}

void
memdaos_set_hook(memdaos_hook_t hook, void *arg)
{
	mem.hook = hook;
	mem.hook_arg = arg;
}

void
memdaos_set_deferred(bool on)
{
	mem.deferred = on;
}

void
memdaos_set_page(uint32_t max_keys, bool empty_pages)
{
	mem.page = max_keys;
	mem.empty_pages = empty_pages;
}

void
memdaos_set_groups(uint32_t nr)
{
	mem.groups = nr;
}

void
memdaos_refuse_class(daos_oclass_id_t cid)
{
	mem.refused = cid;
}

/* Count, and ask the hook. */
static int
enter(enum mem_op op)
{
	memdaos_hook_t hook;

	pthread_mutex_lock(&mem.lock);
	mem.counts[op]++;
	hook = mem.hook;
	pthread_mutex_unlock(&mem.lock);
	return hook == NULL ? 0 : hook(op, mem.hook_arg);
}

/* --- handles --- */

static daos_handle_t
handle_new_locked(int type, struct container *cont, struct handle **ret)
{
	uint32_t i;

	for (i = 0; i < HANDLES; i++) {
		uint32_t at = (mem.free_at + i) % HANDLES;

		if (at == 0 || mem.handles[at].type != 0)
			continue;
		mem.free_at = at + 1;
		mem.handles[at] = (struct handle){.type = type, .cont = cont};
		*ret = &mem.handles[at];
		return (daos_handle_t){(uint64_t)at << 8 | (unsigned)type};
	}
	abort();
}

static struct handle *
handle_locked(daos_handle_t h, int type)
{
	uint64_t at = h.cookie >> 8;

	if ((h.cookie & 0xff) != (unsigned)type || at == 0 || at >= HANDLES ||
	    mem.handles[at].type != type)
		return NULL;
	return &mem.handles[at];
}

static int
handle_close(daos_handle_t h, int type)
{
	struct handle *hp;

	pthread_mutex_lock(&mem.lock);
	hp = handle_locked(h, type);
	if (hp != NULL) {
		if (type == DAOS_HTYPE_CO)
			hp->cont->opens--;
		hp->type = 0;
	}
	pthread_mutex_unlock(&mem.lock);
	return hp == NULL ? -DER_NO_HDL : 0;
}

/* --- keys --- */

static struct object *
object_locked(struct container *c, daos_obj_id_t oid, bool make)
{
	struct object *o;

	for (o = c->objects; o != NULL; o = o->next)
		if (o->oid.lo == oid.lo && o->oid.hi == oid.hi)
			return o;
	if (!make)
		return NULL;
	o = must(calloc(1, sizeof(*o)));
	o->oid = oid;
	o->next = c->objects;
	c->objects = o;
	return o;
}

static bool
same_key(const d_iov_t *a, const d_iov_t *b)
{
	return a->iov_len == b->iov_len && memcmp(a->iov_buf, b->iov_buf, a->iov_len) == 0;
}

static void
key_set(d_iov_t *dst, const d_iov_t *src)
{
	void *copy = must(malloc(src->iov_len + 1));

	memcpy(copy, src->iov_buf, src->iov_len);
	d_iov_set(dst, copy, src->iov_len);
}

static struct dkey *
dkey_locked(struct object *o, const d_iov_t *name, bool make)
{
	uint64_t h = hash_of(name);
	struct dkey **p, *d;

	if (o == NULL)
		return NULL;
	for (p = &o->dkeys; *p != NULL && (*p)->hash < h; p = &(*p)->next)
		;
	if (*p != NULL && (*p)->hash == h && same_key(&(*p)->name, name))
		return *p;
	if (!make)
		return NULL;
	d = must(calloc(1, sizeof(*d)));
	d->hash = h;
	key_set(&d->name, name);
	d->next = *p;
	*p = d;
	return d;
}

static struct akey *
akey_locked(struct dkey *d, const d_iov_t *name, bool make)
{
	uint64_t h = hash_of(name);
	struct akey **p, *a;

	if (d == NULL)
		return NULL;
	for (p = &d->akeys; *p != NULL && (*p)->hash < h; p = &(*p)->next)
		;
	if (*p != NULL && (*p)->hash == h && same_key(&(*p)->name, name))
		return *p;
	if (!make)
		return NULL;
	a = must(calloc(1, sizeof(*a)));
	a->hash = h;
	key_set(&a->name, name);
	a->next = *p;
	*p = a;
	return a;
}

/* A key without content does not exist. */
static void
prune_locked(struct object *o)
{
	struct dkey **dp = &o->dkeys;

	while (*dp != NULL) {
		struct akey **ap = &(*dp)->akeys;

		while (*ap != NULL) {
			struct akey *a = *ap;

			if (a->value != NULL || a->exts != NULL) {
				ap = &a->next;
				continue;
			}
			*ap = a->next;
			akey_free(a);
		}
		if ((*dp)->akeys == NULL) {
			struct dkey *d = *dp;

			*dp = d->next;
			dkey_free(d);
		} else {
			dp = &(*dp)->next;
		}
	}
}

/* --- extents --- */

static struct ext *
ext_new(uint64_t idx, uint64_t nr, uint64_t size, const uint8_t *data, struct ext *next)
{
	struct ext *e = must(malloc(sizeof(*e)));

	*e = (struct ext){.next = next, .idx = idx, .nr = nr, .data = must(malloc(nr * size))};
	memcpy(e->data, data, nr * size);
	return e;
}

/* Take records out. */
static void
exts_punch(struct akey *a, uint64_t idx, uint64_t nr)
{
	uint64_t end = idx + nr;
	struct ext **p = &a->exts;

	while (*p != NULL) {
		struct ext *e = *p, *right = e->next;
		uint64_t e_end = e->idx + e->nr;

		if (e_end <= idx || e->idx >= end) {
			p = &e->next;
			continue;
		}
		*p = right;
		if (e_end > end)
			*p = ext_new(end, e_end - end, a->size, e->data + (end - e->idx) * a->size,
				     right);
		if (e->idx < idx)
			*p = ext_new(e->idx, idx - e->idx, a->size, e->data, *p);
		free(e->data);
		free(e);
	}
}

static void
exts_write(struct akey *a, uint64_t idx, uint64_t nr, const uint8_t *data)
{
	struct ext **p;

	exts_punch(a, idx, nr);
	for (p = &a->exts; *p != NULL && (*p)->idx < idx; p = &(*p)->next)
		;
	*p = ext_new(idx, nr, a->size, data, *p);
}

/* --- scatter lists, by a position in their bytes --- */

static uint64_t
sgl_bytes(const d_sg_list_t *sgl, bool room)
{
	uint64_t n = 0;
	uint32_t i;

	for (i = 0; sgl != NULL && i < sgl->sg_nr; i++)
		n += room ? sgl->sg_iovs[i].iov_buf_len : sgl->sg_iovs[i].iov_len;
	return n;
}

static void
sgl_copy(const d_sg_list_t *sgl, bool room, uint64_t off, uint8_t *buf, uint64_t len, bool in)
{
	uint32_t i;

	for (i = 0; i < sgl->sg_nr && len > 0; i++) {
		const d_iov_t *v = &sgl->sg_iovs[i];
		uint64_t have = room ? v->iov_buf_len : v->iov_len;
		uint64_t n;

		if (off >= have) {
			off -= have;
			continue;
		}
		n = have - off < len ? have - off : len;
		if (in)
			memcpy(buf, (uint8_t *)v->iov_buf + off, n);
		else
			memcpy((uint8_t *)v->iov_buf + off, buf, n);
		buf += n;
		len -= n;
		off = 0;
	}
}

static void
sgl_filled(d_sg_list_t *sgl, uint64_t bytes)
{
	uint32_t i;

	sgl->sg_nr_out = 0;
	for (i = 0; i < sgl->sg_nr; i++) {
		d_iov_t *v = &sgl->sg_iovs[i];

		v->iov_len = bytes < v->iov_buf_len ? bytes : v->iov_buf_len;
		bytes -= v->iov_len;
		if (v->iov_len > 0)
			sgl->sg_nr_out = i + 1;
	}
}

/* --- update, fetch --- */

static int
cond_check(struct dkey *d, const struct call *c, bool change)
{
	unsigned i;

	if ((c->flags & DAOS_COND_DKEY_INSERT) != 0 && d != NULL)
		return -DER_EXIST;
	if ((c->flags & (DAOS_COND_DKEY_UPDATE | DAOS_COND_DKEY_FETCH)) != 0 && d == NULL)
		return -DER_NONEXIST;
	for (i = 0; i < c->nr; i++) {
		uint64_t f = (c->flags & DAOS_COND_PER_AKEY) ? c->iods[i].iod_flags : c->flags;
		struct akey *a = akey_locked(d, &c->iods[i].iod_name, false);

		if ((f & DAOS_COND_AKEY_INSERT) != 0 && a != NULL)
			return -DER_EXIST;
		if ((f & (DAOS_COND_AKEY_UPDATE | DAOS_COND_AKEY_FETCH)) != 0 && a == NULL)
			return -DER_NONEXIST;
	}
	return 0;
}

static uint64_t
iod_bytes(const daos_iod_t *iod)
{
	uint64_t n = 0;
	uint32_t i;

	if (iod->iod_type == DAOS_IOD_SINGLE)
		return iod->iod_size;
	for (i = 0; i < iod->iod_nr; i++)
		n += iod->iod_recxs[i].rx_nr * iod->iod_size;
	return n;
}

static void
update_array(struct akey *a, const daos_iod_t *iod, const d_sg_list_t *sgl)
{
	uint64_t off = 0;
	uint32_t i;

	for (i = 0; i < iod->iod_nr; i++) {
		const daos_recx_t *rx = &iod->iod_recxs[i];
		uint8_t *buf;

		if (iod->iod_size == 0) {
			exts_punch(a, rx->rx_idx, rx->rx_nr);
			continue;
		}
		buf = must(malloc(rx->rx_nr * iod->iod_size));
		sgl_copy(sgl, false, off, buf, rx->rx_nr * iod->iod_size, true);
		exts_write(a, rx->rx_idx, rx->rx_nr, buf);
		off += rx->rx_nr * iod->iod_size;
		free(buf);
	}
}

static int
update_locked(struct handle *h, const struct call *c)
{
	struct object *o = object_locked(h->cont, h->oid, true);
	struct dkey *d = dkey_locked(o, c->dkey, false);
	unsigned i;
	int rc;

	rc = cond_check(d, c, true);
	for (i = 0; rc == 0 && i < c->nr; i++) {
		const daos_iod_t *iod = &c->iods[i];
		struct akey *a = akey_locked(d, &iod->iod_name, false);

		if (iod_bytes(iod) > (c->sgls == NULL ? 0 : sgl_bytes(&c->sgls[i], false)))
			rc = -DER_REC2BIG;
		else if (iod->iod_type == DAOS_IOD_SINGLE && iod->iod_nr != 1)
			rc = -DER_INVAL;
		else if (a != NULL && a->type != iod->iod_type)
			rc = -DER_INVAL;
		else if (a != NULL && iod->iod_type == DAOS_IOD_ARRAY && iod->iod_size != 0 &&
			 a->size != iod->iod_size)
			rc = -DER_INVAL;
	}
	if (rc != 0)
		return rc;
	d = dkey_locked(o, c->dkey, true);
	for (i = 0; i < c->nr; i++) {
		const daos_iod_t *iod = &c->iods[i];
		struct akey *a = akey_locked(d, &iod->iod_name, true);

		a->type = iod->iod_type;
		if (iod->iod_type == DAOS_IOD_ARRAY) {
			if (iod->iod_size != 0)
				a->size = iod->iod_size;
			update_array(a, iod, c->sgls == NULL ? NULL : &c->sgls[i]);
			continue;
		}
		akey_clear(a);
		a->size = iod->iod_size;
		if (iod->iod_size > 0) {
			a->value = must(malloc(iod->iod_size));
			sgl_copy(&c->sgls[i], false, 0, a->value, iod->iod_size, true);
		}
	}
	o->epoch = d_hlc_get();
	prune_locked(o);
	return 0;
}

static int
fetch_array(const struct akey *a, daos_iod_t *iod, d_sg_list_t *sgl)
{
	uint64_t off = 0, end = 0, size = a == NULL ? 0 : a->size;
	uint32_t i;

	if (iod->iod_size != DAOS_REC_ANY && sgl != NULL && sgl_bytes(sgl, true) < iod_bytes(iod))
		return -DER_REC2BIG;
	for (i = 0; a != NULL && sgl != NULL && i < iod->iod_nr; i++) {
		const daos_recx_t *rx = &iod->iod_recxs[i];
		const struct ext *e;

		for (e = a->exts; e != NULL; e = e->next) {
			uint64_t lo = e->idx > rx->rx_idx ? e->idx : rx->rx_idx;
			uint64_t hi = e->idx + e->nr < rx->rx_idx + rx->rx_nr
					  ? e->idx + e->nr
					  : rx->rx_idx + rx->rx_nr;

			if (lo >= hi)
				continue;
			sgl_copy(sgl, true, off + (lo - rx->rx_idx) * size,
				 e->data + (lo - e->idx) * size, (hi - lo) * size, false);
			end = off + (hi - rx->rx_idx) * size;
		}
		off += rx->rx_nr * size;
	}
	iod->iod_size = a == NULL ? 0 : size;
	if (sgl != NULL)
		sgl_filled(sgl, end);
	return 0;
}

static int
fetch_locked(struct handle *h, const struct call *c)
{
	struct dkey *d = dkey_locked(object_locked(h->cont, h->oid, false), c->dkey, false);
	unsigned i;
	int rc;

	rc = cond_check(d, c, false);
	for (i = 0; rc == 0 && i < c->nr; i++) {
		daos_iod_t *iod = &c->iods[i];
		struct akey *a = akey_locked(d, &iod->iod_name, false);
		d_sg_list_t *sgl = c->sgls == NULL ? NULL : &c->sgls[i];

		if (iod->iod_type == DAOS_IOD_ARRAY) {
			rc = fetch_array(a, iod, sgl);
			continue;
		}
		iod->iod_size = a == NULL ? 0 : a->size;
		if (sgl == NULL)
			continue;
		if (iod->iod_size > sgl_bytes(sgl, true)) {
			rc = -DER_REC2BIG;
			continue;
		}
		if (a != NULL)
			sgl_copy(sgl, true, 0, a->value, a->size, false);
		sgl_filled(sgl, iod->iod_size);
	}
	return rc;
}

/* --- arrays: chunk c is dkey c + 1, akey "0" --- */

static struct akey *
chunk_locked(struct object *o, uint64_t chunk, bool make)
{
	uint64_t n = chunk + 1;
	char zero[] = "0";
	d_iov_t dk, ak;
	struct akey *a;

	d_iov_set(&dk, &n, sizeof(n));
	d_iov_set(&ak, zero, 1);
	a = akey_locked(dkey_locked(o, &dk, make), &ak, make);
	if (a != NULL && make) {
		a->type = DAOS_IOD_ARRAY;
		a->size = 1;
	}
	return a;
}

static uint64_t
array_size_locked(struct object *o, uint64_t chunk)
{
	uint64_t end = 0;
	struct dkey *d;

	for (d = o == NULL ? NULL : o->dkeys; d != NULL; d = d->next) {
		const struct ext *e;
		uint64_t n;

		memcpy(&n, d->name.iov_buf, sizeof(n));
		for (e = d->akeys->exts; n > 0 && e != NULL; e = e->next)
			if ((n - 1) * chunk + e->idx + e->nr > end)
				end = (n - 1) * chunk + e->idx + e->nr;
	}
	return end;
}

static void
array_bytes_locked(struct object *o, uint64_t chunk, uint64_t at, uint8_t *buf, uint64_t len,
		   enum mem_op op)
{
	while (len > 0) {
		uint64_t idx = at % chunk;
		uint64_t n = chunk - idx < len ? chunk - idx : len;
		struct akey *a = chunk_locked(o, at / chunk, op == MEM_OP_ARRAY_WRITE);
		const struct ext *e;

		if (op == MEM_OP_ARRAY_WRITE) {
			exts_write(a, idx, n, buf);
		} else if (op == MEM_OP_ARRAY_PUNCH) {
			if (a != NULL)
				exts_punch(a, idx, n);
		} else {
			memset(buf, 0, n);
			for (e = a == NULL ? NULL : a->exts; e != NULL; e = e->next) {
				uint64_t lo = e->idx > idx ? e->idx : idx;
				uint64_t hi = e->idx + e->nr < idx + n ? e->idx + e->nr : idx + n;

				if (lo < hi)
					memcpy(buf + lo - idx, e->data + lo - e->idx, hi - lo);
			}
		}
		at += n;
		len -= n;
		buf = buf == NULL ? NULL : buf + n;
	}
}

static int
array_io_locked(struct handle *h, const struct call *c)
{
	bool read = c->op == MEM_OP_ARRAY_READ, punch = c->op == MEM_OP_ARRAY_PUNCH;
	struct object *o = object_locked(h->cont, h->oid, !read);
	uint64_t size = array_size_locked(o, h->chunk);
	uint64_t total = 0, off = 0, past = 0, i;
	daos_array_iod_t *iod = c->iod;
	uint8_t zero = 0;

	for (i = 0; i < iod->arr_nr; i++)
		total += iod->arr_rgs[i].rg_len;
	if (!punch && total != sgl_bytes(c->sgls, false))
		return -DER_INVAL;
	for (i = 0; i < iod->arr_nr; i++) {
		daos_range_t *rg = &iod->arr_rgs[i];
		uint64_t n = rg->rg_len;
		uint8_t *buf = punch || n == 0 ? NULL : must(malloc(n));

		if (read) {
			n = rg->rg_idx >= size               ? 0
			    : size - rg->rg_idx < rg->rg_len ? size - rg->rg_idx
							     : rg->rg_len;
			past += rg->rg_len - n;
		} else if (!punch && n > 0) {
			sgl_copy(c->sgls, false, off, buf, n, true);
		}
		array_bytes_locked(o, h->chunk, rg->rg_idx, buf, n, c->op);
		if (read && n > 0)
			sgl_copy(c->sgls, false, off, buf, n, false);
		off += rg->rg_len;
		free(buf);
	}
	if (read) {
		iod->arr_nr_short_read = past;
		iod->arr_nr_read = total - past;
		return 0;
	}
	if (punch && array_size_locked(o, h->chunk) < size)
		array_bytes_locked(o, h->chunk, size - 1, &zero, 1, MEM_OP_ARRAY_WRITE);
	if (total > 0)
		o->epoch = d_hlc_get();
	prune_locked(o);
	return 0;
}

static int
array_set_size_locked(struct handle *h, uint64_t size)
{
	struct object *o = object_locked(h->cont, h->oid, true);
	uint64_t cur = array_size_locked(o, h->chunk);
	uint8_t zero = 0;
	struct dkey *d;

	if (size == cur)
		return 0;
	for (d = o->dkeys; d != NULL; d = d->next) {
		uint64_t n, first;

		memcpy(&n, d->name.iov_buf, sizeof(n));
		first = (n - 1) * h->chunk;
		if (first + h->chunk > size)
			exts_punch(d->akeys, size > first ? size - first : 0,
				   h->chunk - (size > first ? size - first : 0));
	}
	if (size > 0 && array_size_locked(o, h->chunk) < size)
		array_bytes_locked(o, h->chunk, size - 1, &zero, 1, MEM_OP_ARRAY_WRITE);
	o->epoch = d_hlc_get();
	prune_locked(o);
	return 0;
}

/* --- calls, now or later --- */

static bool
call_changes(enum mem_op op)
{
	return op == MEM_OP_UPDATE || op == MEM_OP_ARRAY_WRITE || op == MEM_OP_ARRAY_PUNCH ||
	       op == MEM_OP_ARRAY_SET_SIZE;
}

static int
call_make(const struct call *c)
{
	int type = c->op >= MEM_OP_ARRAY_READ ? DAOS_HTYPE_ARRAY : DAOS_HTYPE_OBJ;
	struct object *o;
	struct handle *h;
	int rc;

	rc = enter(c->op);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&mem.lock);
	h = handle_locked(c->oh, type);
	if (h == NULL) {
		rc = -DER_NO_HDL;
		goto out;
	}
	if (call_changes(c->op) && h->mode == DAOS_OO_RO) {
		rc = -DER_NO_PERM;
		goto out;
	}
	switch (c->op) {
	case MEM_OP_UPDATE:
		rc = update_locked(h, c);
		break;
	case MEM_OP_FETCH:
		rc = fetch_locked(h, c);
		break;
	case MEM_OP_MAX_EPOCH:
		o = object_locked(h->cont, h->oid, false);
		*c->epoch = o == NULL ? 0 : o->epoch;
		break;
	case MEM_OP_ARRAY_SIZE:
		o = object_locked(h->cont, h->oid, false);
		if (c->size != NULL)
			*c->size = array_size_locked(o, h->chunk);
		if (c->stbuf != NULL) {
			c->stbuf->st_size = array_size_locked(o, h->chunk);
			c->stbuf->st_max_epoch = o == NULL ? 0 : o->epoch;
		}
		break;
	case MEM_OP_ARRAY_SET_SIZE:
		rc = array_set_size_locked(h, c->new_size);
		break;
	default:
		rc = array_io_locked(h, c);
		break;
	}
out:
	pthread_mutex_unlock(&mem.lock);
	return rc;
}

static struct event *
event_private(daos_event_t *ev)
{
	return (struct event *)&ev->ev_private;
}

static daos_event_t *
event_public(struct event *e)
{
	return (daos_event_t *)((char *)e - offsetof(daos_event_t, ev_private));
}

static void
event_complete(struct event *e, int rc)
{
	while (e->callbacks != NULL) {
		struct callback *cb = e->callbacks;
		int rc2;

		e->callbacks = cb->next;
		rc2 = cb->fn(cb->arg, event_public(e), rc);
		free(cb);
		if (rc == 0)
			rc = rc2;
	}
	event_public(e)->ev_error = e->errno_rc ? daos_der2errno(rc) : rc;
	e->errno_rc = false;
	e->state = DAOS_EVS_COMPLETED;
}

static int
run(const struct call *c, daos_event_t *ev)
{
	struct event *e, **p;
	struct handle *q;

	if (ev == NULL)
		return call_make(c);
	e = event_private(ev);
	if (e->magic != EV_MAGIC)
		return -DER_INVAL;
	if (e->state != DAOS_EVS_READY)
		return -DER_NO_PERM;
	e->state = DAOS_EVS_RUNNING;
	e->next = NULL;
	if (mem.deferred) {
		e->call = must(malloc(sizeof(*e->call)));
		*e->call = *c;
	} else {
		event_complete(e, call_make(c));
	}
	pthread_mutex_lock(&mem.lock);
	q = handle_locked(e->eqh, DAOS_HTYPE_EQ);
	if (q != NULL) {
		for (p = &q->queue; *p != NULL; p = &(*p)->next)
			;
		*p = e;
		pthread_cond_broadcast(&mem.cond);
	}
	pthread_mutex_unlock(&mem.lock);
	return 0;
}

static void
event_run(struct event *e)
{
	struct call c;

	if (e->call == NULL)
		return;
	c = *e->call;
	free(e->call);
	e->call = NULL;
	event_complete(e, call_make(&c));
}

/* --- the interface: events --- */

int
daos_eq_create(daos_handle_t *eqh)
{
	struct handle *h;

	pthread_mutex_lock(&mem.lock);
	*eqh = handle_new_locked(DAOS_HTYPE_EQ, NULL, &h);
	pthread_mutex_unlock(&mem.lock);
	return 0;
}

int
daos_eq_destroy(daos_handle_t eqh, int flags)
{
	struct handle *h;
	struct event *e;

	pthread_mutex_lock(&mem.lock);
	h = handle_locked(eqh, DAOS_HTYPE_EQ);
	e = h == NULL ? NULL : h->queue;
	if (h != NULL && e == NULL)
		h->type = 0;
	if (h != NULL && e != NULL && (flags & DAOS_EQ_DESTROY_FORCE) != 0) {
		h->queue = NULL;
		h->type = 0;
	}
	pthread_mutex_unlock(&mem.lock);
	if (h == NULL)
		return -DER_NONEXIST;
	if (e != NULL && (flags & DAOS_EQ_DESTROY_FORCE) == 0)
		return -DER_EQ_BUSY;
	for (; e != NULL; e = e->next) {
		free(e->call);
		if (e->call != NULL)
			event_complete(e, -DER_CANCELED);
		e->call = NULL;
	}
	return 0;
}

int
daos_eq_poll(daos_handle_t eqh, int wait_running, int64_t timeout, unsigned int nevents,
	     daos_event_t **events)
{
	unsigned nr = 0;
	struct handle *h;
	struct event *e;

	while (nr < nevents) {
		pthread_mutex_lock(&mem.lock);
		h = handle_locked(eqh, DAOS_HTYPE_EQ);
		if (h == NULL) {
			pthread_mutex_unlock(&mem.lock);
			return -DER_NONEXIST;
		}
		e = h->queue;
		if (e != NULL)
			h->queue = e->next;
		pthread_mutex_unlock(&mem.lock);
		if (e == NULL)
			break;
		event_run(e);
		e->state = DAOS_EVS_READY;
		events[nr++] = event_public(e);
	}
	return (int)nr;
}

int
daos_event_init(daos_event_t *ev, daos_handle_t eqh, daos_event_t *parent)
{
	struct event *e = event_private(ev);

	memset(ev, 0, sizeof(*ev));
	e->magic = EV_MAGIC;
	e->eqh = eqh;
	e->state = DAOS_EVS_READY;
	return parent == NULL ? 0 : -DER_NOSYS;
}

int
daos_event_fini(daos_event_t *ev)
{
	struct event *e = event_private(ev);

	if (e->magic != EV_MAGIC)
		return -DER_INVAL;
	if (e->state == DAOS_EVS_RUNNING)
		return -DER_BUSY;
	while (e->callbacks != NULL) {
		struct callback *cb = e->callbacks;

		e->callbacks = cb->next;
		free(cb);
	}
	e->magic = 0;
	return 0;
}

int
daos_event_test(struct daos_event *ev, int64_t timeout, bool *flag)
{
	struct event *e = event_private(ev);

	if (e->magic != EV_MAGIC)
		return -DER_INVAL;
	event_run(e);
	e->state = DAOS_EVS_READY;
	*flag = true;
	return 0;
}

int
daos_event_register_comp_cb(struct daos_event *ev, daos_event_comp_cb_t fn, void *arg)
{
	struct event *e = event_private(ev);
	struct callback **p, *cb;

	if (e->magic != EV_MAGIC)
		return -DER_INVAL;
	if (e->state != DAOS_EVS_READY)
		return -DER_NO_PERM;
	cb = must(calloc(1, sizeof(*cb)));
	cb->fn = fn;
	cb->arg = arg;
	for (p = &e->callbacks; *p != NULL; p = &(*p)->next)
		;
	*p = cb;
	return 0;
}

void daos_event_errno_rc(struct daos_event *ev);
void
daos_event_errno_rc(struct daos_event *ev)
{
	event_private(ev)->errno_rc = true;
}

/* --- the interface: objects --- */

int
daos_obj_generate_oid2(daos_handle_t coh, daos_obj_id_t *oid, enum daos_otype_t type,
		       daos_oclass_id_t cid, daos_oclass_hints_t hints, uint32_t args)
{
	uint32_t redun = cid == OC_UNKNOWN ? OR_RP_1 : cid >> OC_REDUN_SHIFT;
	uint32_t groups = cid & MAX_NUM_GROUPS;

	if (oid->hi >> OID_FMT_INTR_BITS != 0)
		return -DER_INVAL;
	if (cid == OC_UNKNOWN)
		groups = daos_is_array_type(type) ? MAX_NUM_GROUPS : 1;
	if ((hints & DAOS_OCH_SHD_TINY) != 0)
		groups = 1;
	else if ((hints & DAOS_OCH_SHD_MAX) != 0 || groups == MAX_NUM_GROUPS)
		groups = mem.groups;
	oid->hi |= (uint64_t)type << OID_FMT_TYPE_SHIFT | (uint64_t)redun << OID_FMT_CLASS_SHIFT |
		   (uint64_t)groups << OID_FMT_META_SHIFT;
	return 0;
}

int
daos_oclass_id2name(daos_oclass_id_t oc_id, char *name)
{
	if (oc_id >> OC_REDUN_SHIFT == 0)
		return -1;
	snprintf(name, MAX_OBJ_CLASS_NAME_LEN, "%x", oc_id);
	return 0;
}

static int
object_open(daos_handle_t coh, int type, daos_obj_id_t oid, unsigned mode, uint64_t cell,
	    uint64_t chunk, daos_handle_t *oh)
{
	struct handle *c, *h;
	int rc = 0;

	pthread_mutex_lock(&mem.lock);
	c = handle_locked(coh, DAOS_HTYPE_CO);
	if (c == NULL) {
		rc = -DER_NO_HDL;
	} else if (c->mode == DAOS_COO_RO && mode == DAOS_OO_RW) {
		rc = -DER_NO_PERM;
	} else if (mem.refused != 0 && daos_obj_id2class(oid) == mem.refused) {
		rc = -DER_NOSYS;
	} else {
		*oh = handle_new_locked(type, c->cont, &h);
		h->oid = oid;
		h->mode = mode;
		h->cell = cell;
		h->chunk = chunk;
	}
	pthread_mutex_unlock(&mem.lock);
	return rc;
}

int
daos_obj_open(daos_handle_t coh, daos_obj_id_t oid, unsigned int mode, daos_handle_t *oh,
	      daos_event_t *ev)
{
	return object_open(coh, DAOS_HTYPE_OBJ, oid, mode, 0, 0, oh);
}

int
daos_obj_close(daos_handle_t oh, daos_event_t *ev)
{
	return handle_close(oh, DAOS_HTYPE_OBJ);
}

int
daos_obj_update(daos_handle_t oh, daos_handle_t th, uint64_t flags, daos_key_t *dkey,
		unsigned int nr, daos_iod_t *iods, d_sg_list_t *sgls, daos_event_t *ev)
{
	struct call c = {MEM_OP_UPDATE, .oh = oh,     .flags = flags, .dkey = dkey,
			 .nr = nr,      .iods = iods, .sgls = sgls};

	return run(&c, ev);
}

int
daos_obj_fetch(daos_handle_t oh, daos_handle_t th, uint64_t flags, daos_key_t *dkey,
	       unsigned int nr, daos_iod_t *iods, d_sg_list_t *sgls, daos_iom_t *ioms,
	       daos_event_t *ev)
{
	struct call c = {MEM_OP_FETCH, .oh = oh,     .flags = flags, .dkey = dkey,
			 .nr = nr,     .iods = iods, .sgls = sgls,   .ioms = ioms};

	return run(&c, ev);
}

int
daos_obj_query_max_epoch(daos_handle_t oh, daos_handle_t th, daos_epoch_t *epoch, daos_event_t *ev)
{
	struct call c = {MEM_OP_MAX_EPOCH, .oh = oh, .epoch = epoch};

	return run(&c, ev);
}

enum punch_kind { PUNCH_OBJ, PUNCH_DKEYS, PUNCH_AKEYS };

static int
punch(daos_handle_t oh, enum punch_kind kind, uint64_t flags, unsigned nr, daos_key_t *keys,
      daos_key_t *dkey)
{
	struct handle *h;
	struct object *o;
	unsigned i;
	int rc;

	rc = enter(kind == PUNCH_OBJ     ? MEM_OP_PUNCH_OBJ
		   : kind == PUNCH_DKEYS ? MEM_OP_PUNCH_DKEYS
					 : MEM_OP_PUNCH_AKEYS);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&mem.lock);
	h = handle_locked(oh, DAOS_HTYPE_OBJ);
	if (h == NULL || h->mode == DAOS_OO_RO) {
		rc = h == NULL ? -DER_NO_HDL : -DER_NO_PERM;
		goto out;
	}
	o = object_locked(h->cont, h->oid, true);
	if (kind == PUNCH_OBJ && o->dkeys == NULL && (flags & DAOS_COND_PUNCH) != 0)
		rc = -DER_NONEXIST;
	if (kind == PUNCH_OBJ)
		object_clear(o);
	for (i = 0; rc == 0 && i < nr; i++) {
		struct dkey *d = dkey_locked(o, kind == PUNCH_DKEYS ? &keys[i] : dkey, false);
		struct akey *a;

		if (kind == PUNCH_DKEYS) {
			if (d == NULL && (flags & DAOS_COND_PUNCH) != 0)
				rc = -DER_NONEXIST;
			for (a = d == NULL ? NULL : d->akeys; a != NULL; a = a->next)
				akey_clear(a);
		} else {
			a = akey_locked(d, &keys[i], false);
			if (a == NULL && (flags & DAOS_COND_PUNCH) != 0)
				rc = -DER_NONEXIST;
			if (a != NULL)
				akey_clear(a);
		}
	}
	if (rc == 0)
		o->epoch = d_hlc_get();
	prune_locked(o);
out:
	pthread_mutex_unlock(&mem.lock);
	return rc;
}

int
daos_obj_punch(daos_handle_t oh, daos_handle_t th, uint64_t flags, daos_event_t *ev)
{
	return punch(oh, PUNCH_OBJ, flags, 0, NULL, NULL);
}

int
daos_obj_punch_dkeys(daos_handle_t oh, daos_handle_t th, uint64_t flags, unsigned int nr,
		     daos_key_t *dkeys, daos_event_t *ev)
{
	return punch(oh, PUNCH_DKEYS, flags, nr, dkeys, NULL);
}

int
daos_obj_punch_akeys(daos_handle_t oh, daos_handle_t th, uint64_t flags, daos_key_t *dkey,
		     unsigned int nr, daos_key_t *akeys, daos_event_t *ev)
{
	return punch(oh, PUNCH_AKEYS, flags, nr, akeys, dkey);
}

/* What an anchor holds: hash of the last key, and the last hash of its part (0: all). */
struct position {
	uint64_t last, end;
};

struct lister {
	uint32_t max, nr;
	daos_key_desc_t *kds;
	d_sg_list_t *sgl;
	uint64_t used;
	uint64_t last;
	int rc;
	bool full;
};

static void
lister_add(struct lister *l, uint64_t hash, const d_iov_t *key)
{
	if (l->nr == l->max || (l->nr > 0 && l->used + key->iov_len > sgl_bytes(l->sgl, true))) {
		l->full = true;
		return;
	}
	if (key->iov_len > sgl_bytes(l->sgl, true)) {
		l->kds[0].kd_key_len = key->iov_len;
		l->rc = -DER_KEY2BIG;
		l->full = true;
		return;
	}
	sgl_copy(l->sgl, true, l->used, key->iov_buf, key->iov_len, false);
	l->used += key->iov_len;
	l->kds[l->nr].kd_val_type = 0;
	l->kds[l->nr++].kd_key_len = key->iov_len;
	l->last = hash;
}

static int
list(daos_handle_t oh, daos_key_t *dkey, uint32_t *nr, daos_key_desc_t *kds, d_sg_list_t *sgl,
     daos_anchor_t *anchor)
{
	struct lister l = {.kds = kds, .sgl = sgl};
	struct position pos;
	struct handle *h;
	struct dkey *d;
	struct akey *a;
	int rc;

	rc = enter(dkey == NULL ? MEM_OP_LIST_DKEY : MEM_OP_LIST_AKEY);
	if (rc != 0)
		return rc;
	if (anchor->da_type == DAOS_ANCHOR_TYPE_EOF) {
		*nr = 0;
		return 0;
	}
	memcpy(&pos, anchor->da_buf, sizeof(pos));
	pthread_mutex_lock(&mem.lock);
	l.max = mem.page != 0 && mem.page < *nr ? mem.page : *nr;
	if (mem.empty_pages && mem.page_turn++ % 2 == 0) {
		pthread_mutex_unlock(&mem.lock);
		*nr = 0;
		anchor->da_type = DAOS_ANCHOR_TYPE_HKEY;
		return 0;
	}
	h = handle_locked(oh, DAOS_HTYPE_OBJ);
	if (h == NULL) {
		pthread_mutex_unlock(&mem.lock);
		return -DER_NO_HDL;
	}
	l.last = pos.last;
	d = NULL;
	if (object_locked(h->cont, h->oid, false) != NULL)
		d = object_locked(h->cont, h->oid, false)->dkeys;
	if (dkey != NULL) {
		d = dkey_locked(object_locked(h->cont, h->oid, false), dkey, false);
		for (a = d == NULL ? NULL : d->akeys; a != NULL && !l.full; a = a->next)
			if (a->hash > pos.last)
				lister_add(&l, a->hash, &a->name);
	} else {
		for (; d != NULL && !l.full; d = d->next)
			if (d->hash > pos.last && (pos.end == 0 || d->hash <= pos.end))
				lister_add(&l, d->hash, &d->name);
	}
	pthread_mutex_unlock(&mem.lock);
	*nr = l.nr;
	sgl_filled(sgl, l.used);
	if (l.rc != 0)
		return l.rc;
	pos.last = l.last;
	memcpy(anchor->da_buf, &pos, sizeof(pos));
	anchor->da_type = l.full ? DAOS_ANCHOR_TYPE_HKEY : DAOS_ANCHOR_TYPE_EOF;
	return 0;
}

int
daos_obj_list_dkey(daos_handle_t oh, daos_handle_t th, uint32_t *nr, daos_key_desc_t *kds,
		   d_sg_list_t *sgl, daos_anchor_t *anchor, daos_event_t *ev)
{
	return list(oh, NULL, nr, kds, sgl, anchor);
}

int
daos_obj_list_akey(daos_handle_t oh, daos_handle_t th, daos_key_t *dkey, uint32_t *nr,
		   daos_key_desc_t *kds, d_sg_list_t *sgl, daos_anchor_t *anchor, daos_event_t *ev)
{
	return list(oh, dkey, nr, kds, sgl, anchor);
}

static int
anchor_part(daos_handle_t oh, uint32_t index, uint32_t nr, daos_anchor_t *anchor)
{
	struct position pos = {0};
	uint64_t step = nr == 1 ? 0 : UINT64_MAX / nr;

	if (index >= nr)
		return -DER_INVAL;
	memset(anchor, 0, sizeof(*anchor));
	pos.last = step * index;
	pos.end = index + 1 == nr ? 0 : step * (index + 1);
	memcpy(anchor->da_buf, &pos, sizeof(pos));
	return 0;
}

int
daos_obj_anchor_split(daos_handle_t oh, uint32_t *nr, daos_anchor_t *anchors)
{
	uint32_t i;

	if (*nr == 0)
		*nr = mem.groups;
	for (i = 0; anchors != NULL && i < *nr; i++)
		anchor_part(oh, i, *nr, &anchors[i]);
	return 0;
}

int
daos_obj_anchor_set(daos_handle_t oh, uint32_t index, daos_anchor_t *anchor)
{
	return anchor_part(oh, index, mem.groups, anchor);
}

int
daos_obj_key2anchor(daos_handle_t oh, daos_handle_t th, daos_key_t *dkey, daos_key_t *akey,
		    daos_anchor_t *anchor, daos_event_t *ev)
{
	struct position pos = {.last = hash_of(akey != NULL ? akey : dkey)};

	memset(anchor, 0, sizeof(*anchor));
	memcpy(anchor->da_buf, &pos, sizeof(pos));
	anchor->da_type = DAOS_ANCHOR_TYPE_HKEY;
	return 0;
}

/* --- the interface: arrays --- */

int
daos_array_open_with_attr(daos_handle_t coh, daos_obj_id_t oid, daos_handle_t th, unsigned int mode,
			  daos_size_t cell_size, daos_size_t chunk_size, daos_handle_t *oh,
			  daos_event_t *ev)
{
	if (cell_size != 1 || chunk_size == 0 || daos_obj_id2type(oid) != DAOS_OT_ARRAY_BYTE)
		return -DER_INVAL;
	return object_open(coh, DAOS_HTYPE_ARRAY, oid, mode, cell_size, chunk_size, oh);
}

int
daos_array_close(daos_handle_t oh, daos_event_t *ev)
{
	return handle_close(oh, DAOS_HTYPE_ARRAY);
}

int
daos_array_read(daos_handle_t oh, daos_handle_t th, daos_array_iod_t *iod, d_sg_list_t *sgl,
		daos_event_t *ev)
{
	struct call c = {MEM_OP_ARRAY_READ, .oh = oh, .iod = iod, .sgls = sgl};

	return run(&c, ev);
}

int
daos_array_write(daos_handle_t oh, daos_handle_t th, daos_array_iod_t *iod, d_sg_list_t *sgl,
		 daos_event_t *ev)
{
	struct call c = {MEM_OP_ARRAY_WRITE, .oh = oh, .iod = iod, .sgls = sgl};

	return run(&c, ev);
}

int
daos_array_punch(daos_handle_t oh, daos_handle_t th, daos_array_iod_t *iod, daos_event_t *ev)
{
	struct call c = {MEM_OP_ARRAY_PUNCH, .oh = oh, .iod = iod};

	return run(&c, ev);
}

int
daos_array_get_size(daos_handle_t oh, daos_handle_t th, daos_size_t *size, daos_event_t *ev)
{
	struct call c = {MEM_OP_ARRAY_SIZE, .oh = oh, .size = size};

	return run(&c, ev);
}

int
daos_array_stat(daos_handle_t oh, daos_handle_t th, daos_array_stbuf_t *stbuf, daos_event_t *ev)
{
	struct call c = {MEM_OP_ARRAY_SIZE, .oh = oh, .stbuf = stbuf};

	return run(&c, ev);
}

int
daos_array_set_size(daos_handle_t oh, daos_handle_t th, daos_size_t size, daos_event_t *ev)
{
	struct call c = {MEM_OP_ARRAY_SET_SIZE, .oh = oh, .new_size = size};

	return run(&c, ev);
}

/* --- the interface: library, pools, containers --- */

int
daos_init(void)
{
	mem.inits++;
	return 0;
}

int
daos_fini(void)
{
	if (mem.inits == 0)
		return -DER_UNINIT;
	mem.inits--;
	return 0;
}

int
daos_pool_connect2(const char *pool, const char *sys, unsigned int flags, daos_handle_t *poh,
		   daos_pool_info_t *info, daos_event_t *ev)
{
	struct handle *h;
	uuid_t uuid;
	int rc;

	rc = enter(MEM_OP_POOL);
	if (rc != 0)
		return rc;
	if (strcmp(pool, mem.pool.label) != 0 &&
	    (uuid_parse(pool, uuid) != 0 || uuid_compare(uuid, mem.pool.uuid) != 0))
		return -DER_NONEXIST;
	pthread_mutex_lock(&mem.lock);
	*poh = handle_new_locked(DAOS_HTYPE_POOL, NULL, &h);
	h->mode = flags;
	pthread_mutex_unlock(&mem.lock);
	return 0;
}

int
daos_pool_disconnect(daos_handle_t poh, daos_event_t *ev)
{
	return handle_close(poh, DAOS_HTYPE_POOL);
}

int
daos_pool_query(daos_handle_t poh, d_rank_list_t **ranks, daos_pool_info_t *info, daos_prop_t *prop,
		daos_event_t *ev)
{
	if (info != NULL)
		uuid_copy(info->pi_uuid, mem.pool.uuid);
	return 0;
}

/* A blob is a magic number, a mode and a uuid. */
enum { BLOB_BYTES = 24, BLOB_MAGIC = 0x6d656d31 };

static int
blob_put(d_iov_t *glob, uint32_t mode, const uuid_t uuid)
{
	uint32_t head[2] = {BLOB_MAGIC, mode};

	if (glob->iov_buf == NULL) {
		glob->iov_buf_len = BLOB_BYTES;
		return 0;
	}
	if (glob->iov_buf_len < BLOB_BYTES) {
		glob->iov_buf_len = BLOB_BYTES;
		return -DER_TRUNC;
	}
	memcpy(glob->iov_buf, head, sizeof(head));
	memcpy((char *)glob->iov_buf + 8, uuid, sizeof(uuid_t));
	glob->iov_len = BLOB_BYTES;
	return 0;
}

static int
blob_get(const d_iov_t *glob, uint32_t *mode, uuid_t uuid)
{
	uint32_t head[2];

	if (glob->iov_buf == NULL || glob->iov_len < BLOB_BYTES)
		return -DER_INVAL;
	memcpy(head, glob->iov_buf, sizeof(head));
	memcpy(uuid, (char *)glob->iov_buf + 8, sizeof(uuid_t));
	*mode = head[1];
	return head[0] == BLOB_MAGIC ? 0 : -DER_INVAL;
}

int
daos_pool_local2global(daos_handle_t poh, d_iov_t *glob)
{
	return blob_put(glob, DAOS_PC_RW, mem.pool.uuid);
}

int
daos_pool_global2local(d_iov_t glob, daos_handle_t *poh)
{
	struct handle *h;
	uint32_t mode;
	uuid_t uuid;
	int rc;

	rc = blob_get(&glob, &mode, uuid);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&mem.lock);
	*poh = handle_new_locked(DAOS_HTYPE_POOL, NULL, &h);
	h->mode = mode;
	pthread_mutex_unlock(&mem.lock);
	return 0;
}

static struct container *
container_locked(const char *name)
{
	struct container *c;
	uuid_t uuid;
	bool by_uuid = uuid_parse(name, uuid) == 0;

	for (c = mem.pool.containers; c != NULL; c = c->next) {
		struct daos_prop_entry *e = daos_prop_entry_get(c->props, DAOS_PROP_CO_LABEL);

		if (by_uuid ? uuid_compare(uuid, c->uuid) == 0
			    : e != NULL && e->dpe_str != NULL && strcmp(e->dpe_str, name) == 0)
			return c;
	}
	return NULL;
}

int
daos_cont_create2(daos_handle_t poh, uuid_t *uuid, daos_prop_t *prop, daos_event_t *ev)
{
	struct daos_prop_entry *e;
	struct container *c;
	int rc;

	rc = enter(MEM_OP_CONT);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&mem.lock);
	e = prop == NULL ? NULL : daos_prop_entry_get(prop, DAOS_PROP_CO_LABEL);
	if (e != NULL && e->dpe_str != NULL && container_locked(e->dpe_str) != NULL) {
		rc = -DER_EXIST;
	} else {
		c = must(calloc(1, sizeof(*c)));
		uuid_generate(c->uuid);
		c->props =
		    must(prop == NULL ? daos_prop_alloc(0) : daos_prop_dup(prop, false, true));
		c->next_oid = 1;
		c->next = mem.pool.containers;
		mem.pool.containers = c;
		uuid_copy(*uuid, c->uuid);
	}
	pthread_mutex_unlock(&mem.lock);
	return rc;
}

int
daos_cont_create_with_label(daos_handle_t poh, const char *label, daos_prop_t *cont_prop,
			    uuid_t *uuid, daos_event_t *ev)
{
	daos_prop_t *own = must(daos_prop_alloc(1)), *merged;
	uuid_t got;
	int rc;

	own->dpp_entries[0].dpe_type = DAOS_PROP_CO_LABEL;
	own->dpp_entries[0].dpe_str = must(strdup(label));
	merged = cont_prop == NULL ? own : must(daos_prop_merge(cont_prop, own));
	rc = daos_cont_create2(poh, &got, merged, ev);
	if (merged != own)
		daos_prop_free(merged);
	daos_prop_free(own);
	if (rc == 0 && uuid != NULL)
		uuid_copy(*uuid, got);
	return rc;
}

static daos_handle_t
container_open_locked(struct container *c, unsigned mode)
{
	struct handle *h;
	daos_handle_t coh = handle_new_locked(DAOS_HTYPE_CO, c, &h);

	h->mode = mode & (DAOS_COO_RO | DAOS_COO_RW);
	c->opens++;
	return coh;
}

int
daos_cont_open2(daos_handle_t poh, const char *cont, unsigned int flags, daos_handle_t *coh,
		daos_cont_info_t *info, daos_event_t *ev)
{
	struct container *c;
	int rc;

	rc = enter(MEM_OP_CONT);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&mem.lock);
	c = container_locked(cont);
	if (c != NULL) {
		*coh = container_open_locked(c, flags);
		if (info != NULL) {
			memset(info, 0, sizeof(*info));
			uuid_copy(info->ci_uuid, c->uuid);
		}
	}
	pthread_mutex_unlock(&mem.lock);
	return c == NULL ? -DER_NONEXIST : 0;
}

int
daos_cont_close(daos_handle_t coh, daos_event_t *ev)
{
	return handle_close(coh, DAOS_HTYPE_CO);
}

int
daos_cont_destroy2(daos_handle_t poh, const char *cont, int force, daos_event_t *ev)
{
	struct container *c, **p;
	int rc = -DER_NONEXIST;

	pthread_mutex_lock(&mem.lock);
	c = container_locked(cont);
	for (p = &mem.pool.containers; c != NULL && *p != NULL; p = &(*p)->next) {
		if (*p != c)
			continue;
		if (c->opens > 0) { /* handles keep pointing at it */
			rc = -DER_BUSY;
			break;
		}
		*p = c->next;
		container_free(c);
		rc = 0;
		break;
	}
	pthread_mutex_unlock(&mem.lock);
	return rc;
}

int
daos_cont_local2global(daos_handle_t coh, d_iov_t *glob)
{
	struct handle *h;
	uint32_t mode = 0;
	uuid_t uuid;

	pthread_mutex_lock(&mem.lock);
	h = handle_locked(coh, DAOS_HTYPE_CO);
	if (h != NULL) {
		mode = h->mode;
		uuid_copy(uuid, h->cont->uuid);
	}
	pthread_mutex_unlock(&mem.lock);
	return h == NULL ? -DER_NO_HDL : blob_put(glob, mode, uuid);
}

int
daos_cont_global2local(daos_handle_t poh, d_iov_t glob, daos_handle_t *coh)
{
	struct container *c;
	char text[37];
	uint32_t mode;
	uuid_t uuid;
	int rc;

	rc = blob_get(&glob, &mode, uuid);
	if (rc != 0)
		return rc;
	uuid_unparse(uuid, text);
	pthread_mutex_lock(&mem.lock);
	c = container_locked(text);
	if (c != NULL)
		*coh = container_open_locked(c, mode);
	pthread_mutex_unlock(&mem.lock);
	return c == NULL ? -DER_NONEXIST : 0;
}

int
daos_cont_query(daos_handle_t coh, daos_cont_info_t *info, daos_prop_t *prop, daos_event_t *ev)
{
	struct handle *h;
	uint32_t i;
	int rc = 0;

	rc = enter(MEM_OP_CONT);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&mem.lock);
	h = handle_locked(coh, DAOS_HTYPE_CO);
	if (h == NULL) {
		pthread_mutex_unlock(&mem.lock);
		return -DER_NO_HDL;
	}
	if (info != NULL)
		uuid_copy(info->ci_uuid, h->cont->uuid);
	for (i = 0; rc == 0 && prop != NULL && i < prop->dpp_nr; i++) {
		struct daos_prop_entry *want = &prop->dpp_entries[i];
		struct daos_prop_entry *have = daos_prop_entry_get(h->cont->props, want->dpe_type);

		if (have != NULL)
			rc = daos_prop_entry_copy(have, want);
		else if (want->dpe_type == DAOS_PROP_CO_EC_CELL_SZ)
			want->dpe_val = 128 * 1024;
		else
			want->dpe_val = 0;
	}
	pthread_mutex_unlock(&mem.lock);
	return rc;
}

int
daos_cont_set_prop(daos_handle_t coh, daos_prop_t *prop, daos_event_t *ev)
{
	daos_prop_t *merged;
	struct handle *h;
	int rc;

	rc = enter(MEM_OP_CONT);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&mem.lock);
	h = handle_locked(coh, DAOS_HTYPE_CO);
	if (h != NULL) {
		merged = must(daos_prop_merge(h->cont->props, prop));
		daos_prop_free(h->cont->props);
		h->cont->props = merged;
	}
	pthread_mutex_unlock(&mem.lock);
	return h == NULL ? -DER_NO_HDL : 0;
}

int
daos_cont_set_owner_no_check(daos_handle_t coh, d_string_t user, d_string_t group, daos_event_t *ev)
{
	return 0;
}

int
daos_cont_alloc_oids(daos_handle_t coh, daos_size_t num_oids, uint64_t *oid, daos_event_t *ev)
{
	struct handle *h;
	int rc;

	rc = enter(MEM_OP_ALLOC_OIDS);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&mem.lock);
	h = handle_locked(coh, DAOS_HTYPE_CO);
	if (h != NULL) {
		*oid = h->cont->next_oid;
		h->cont->next_oid += num_oids;
	}
	pthread_mutex_unlock(&mem.lock);
	return h == NULL ? -DER_NO_HDL : 0;
}

uint32_t
memdaos_objects(daos_handle_t coh)
{
	struct object *o;
	uint32_t nr = 0;

	pthread_mutex_lock(&mem.lock);
	for (o = handle_locked(coh, DAOS_HTYPE_CO)->cont->objects; o != NULL; o = o->next)
		nr += o->dkeys != NULL;
	pthread_mutex_unlock(&mem.lock);
	return nr;
}

bool
memdaos_object_exists(daos_handle_t coh, daos_obj_id_t oid)
{
	struct object *o;
	bool yes;

	pthread_mutex_lock(&mem.lock);
	o = object_locked(handle_locked(coh, DAOS_HTYPE_CO)->cont, oid, false);
	yes = o != NULL && o->dkeys != NULL;
	pthread_mutex_unlock(&mem.lock);
	return yes;
}
