/*
 * Read timestamps; vos_ts.h says what they are.
 *
 * Each level has an entry with two values: `self` is raised by reads of all that is beneath
 * (listings, existence), `sub` by reads of something beneath. A write of an akey must stay above
 * self of the akey, the dkey, the object and the container; the punch of a dkey or an object also
 * above its sub.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_ts.h"

#include "base/hash.h"

enum {
	BUCKET_ENTRIES = 4,
	ENTRIES_DEFAULT = 4096,
	LEVELS = 4, /* container, object, dkey, akey */
};

/* A timestamp and who raised it to this; owner 0 = several, or nobody in particular. */
struct ts {
	uint64_t epoch;
	uint64_t owner;
};

enum { SELF, SUB, KINDS };

struct entry {
	uint64_t hash; /* 0 = free */
	struct ts ts[KINDS];
};

struct bucket {
	uint64_t floor[KINDS]; /* of what was evicted */
	struct entry entry[BUCKET_ENTRIES];
};

struct vos_ts_table {
	uint64_t mask;
	struct bucket bucket[];
};

uint64_t
vos_ts_owner(const struct vos_dtx_id *self)
{
	if (self == NULL)
		return 0;
	return hash_combine(hash_combine(self->client[0], self->client[1]), self->seq) | 1;
}

/* Hashes of the levels a scope has; returns how many. */
static uint32_t
scope_hashes(const struct vos_cont *cont, const struct vos_scope *scope, uint64_t hash[LEVELS])
{
	uint64_t h = hash_u64(cont->id) | 1;

	hash[0] = h;
	if (scope->oid == NULL)
		return 1;
	h = hash_combine(h, scope->oid->id.lo);
	h = hash_combine(h, scope->oid->id.hi);
	h = hash_combine(h, scope->oid->shard) | 1;
	hash[1] = h;
	if (scope->dkey == NULL)
		return 2;
	h = hash_bytes(scope->dkey->buf, scope->dkey->len, h) | 1;
	hash[2] = h;
	if (scope->akey == NULL)
		return 3;
	hash[3] = hash_bytes(scope->akey->buf, scope->akey->len, h ^ 0x616b6579) | 1;
	return 4;
}

static struct vos_ts_table *
table_get(struct vos_pool *pool)
{
	uint64_t nr = 1, want = pool->ts_entries != 0 ? pool->ts_entries : ENTRIES_DEFAULT;
	struct vos_ts_table *t = pool->ts;

	if (t != NULL)
		return t;
	while (nr * BUCKET_ENTRIES < want)
		nr *= 2;
	t = mem_calloc(1, sizeof(*t) + nr * sizeof(t->bucket[0]));
	if (t == NULL)
		return NULL;
	t->mask = nr - 1;
	pool->ts = t;
	return t;
}

static struct bucket *
bucket_of(struct vos_ts_table *t, uint64_t hash)
{
	return &t->bucket[(hash >> 1) & t->mask];
}

static uint64_t
entry_age(const struct entry *e)
{
	return e->ts[SELF].epoch > e->ts[SUB].epoch ? e->ts[SELF].epoch : e->ts[SUB].epoch;
}

/* The entry of a hash, made by evicting the lowest one if need be. */
static struct entry *
entry_get(struct vos_ts_table *t, uint64_t hash)
{
	struct bucket *b = bucket_of(t, hash);
	struct entry *e, *lowest = &b->entry[0];
	uint32_t i, k;

	for (i = 0; i < BUCKET_ENTRIES; i++) {
		e = &b->entry[i];
		if (e->hash == hash)
			return e;
		if (lowest->hash != 0 && (e->hash == 0 || entry_age(e) < entry_age(lowest)))
			lowest = e;
	}
	for (k = 0; k < KINDS; k++)
		if (lowest->ts[k].epoch > b->floor[k])
			b->floor[k] = lowest->ts[k].epoch;
	*lowest = (struct entry){.hash = hash};
	/* it may have been here before */
	for (k = 0; k < KINDS; k++)
		lowest->ts[k].epoch = b->floor[k];
	return lowest;
}

static void
ts_raise(struct ts *ts, uint64_t epoch, uint64_t owner)
{
	if (epoch > ts->epoch)
		*ts = (struct ts){.epoch = epoch, .owner = owner};
	else if (epoch == ts->epoch && owner != ts->owner)
		ts->owner = 0;
}

void
vos_ts_read(struct vos_cont *cont, const struct vos_scope *scope, uint64_t epoch, uint64_t owner)
{
	struct vos_pool *pool = cont->pool;
	struct vos_ts_table *t;
	uint64_t hash[LEVELS];
	uint32_t i, nr;

	if (epoch <= pool->ts_floor)
		return;
	t = table_get(pool);
	if (t == NULL) {
		pool->ts_floor = epoch; /* no memory: as if everything had been read */
		return;
	}
	nr = scope_hashes(cont, scope, hash);
	/* nothing asks what was read beneath a container */
	for (i = nr == 1 ? 0 : 1; i < nr; i++)
		ts_raise(&entry_get(t, hash[i])->ts[i == nr - 1 ? SELF : SUB], epoch, owner);
}

/* Raise *epoch above a timestamp of somebody else. */
static void
above(uint64_t *epoch, uint64_t asked, uint64_t owner, struct ts ts)
{
	bool mine = owner != 0 && owner == ts.owner && ts.epoch == asked;

	if (ts.epoch >= *epoch && !mine)
		*epoch = ts.epoch + 1;
}

uint64_t
vos_ts_write(const struct vos_cont *cont, const struct vos_scope *scope, uint64_t epoch,
	     uint64_t owner)
{
	struct vos_ts_table *t = cont->pool->ts;
	uint64_t hash[LEVELS], min = epoch;
	uint32_t i, j, k, nr;

	above(&min, epoch, owner, (struct ts){.epoch = cont->pool->ts_floor});
	if (t == NULL)
		return min;
	nr = scope_hashes(cont, scope, hash);
	for (i = 0; i < nr; i++) {
		const struct bucket *b = bucket_of(t, hash[i]);
		const struct entry *e = NULL;

		for (j = 0; j < BUCKET_ENTRIES && e == NULL; j++)
			if (b->entry[j].hash == hash[i])
				e = &b->entry[j];
		/* what is beneath counts only for the last level */
		for (k = SELF; k <= (i == nr - 1 ? SUB : SELF); k++)
			above(&min, epoch, owner,
			      e != NULL ? e->ts[k] : (struct ts){.epoch = b->floor[k]});
	}
	return min;
}

void
vos_ts_fini(struct vos_pool *pool)
{
	free(pool->ts);
	pool->ts = NULL;
}

void
vos_cont_read_floor(struct vos_cont *cont, uint64_t epoch)
{
	vos_ts_read(cont, &(struct vos_scope){0}, epoch, 0);
}
