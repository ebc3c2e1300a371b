/*
 * Nodes (see dfuse.h): found by object id, counted by the kernel's lookups and by open handles.
 *
 * An unlinked file lives on while it is open: its object is punched when the last handle goes. A
 * node leaves the table when its object's name goes, so that a later object of the same id (there
 * is none: ids are not reused) or place is a new node; its memory stays until the kernel forgets
 * it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "posix/fuse/dfuse.h"

uint64_t
dfuse_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static uint32_t
bucket_of(daos_obj_id_t oid)
{
	uint64_t x = (oid.lo ^ oid.hi << 32 ^ oid.hi >> 32) * 0x9e3779b97f4a7c15ull;

	return x >> 48 & (NODE_BUCKETS - 1);
}

static uint64_t
name_hash(const char *name)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3ull;
	return h;
}

/* Links have no object: something that names their place stands for one. */
static daos_obj_id_t
key_of(const dfs_obj_t *obj)
{
	daos_obj_id_t key = obj->oid;

	if (!S_ISLNK(obj->mode))
		return key;
	key.lo = name_hash(obj->name) ^ obj->parent_oid.lo << 17;
	key.hi = obj->parent_oid.hi ^ 1ull << 63;
	return key;
}

int
node_table_init(struct dfuse *d)
{
	pthread_mutex_init(&d->lock, NULL);
	pthread_mutex_init(&d->space_lock, NULL);
	d->buckets = calloc(NODE_BUCKETS, sizeof(*d->buckets));
	d->places = calloc(NODE_BUCKETS, sizeof(*d->places));
	return d->buckets == NULL || d->places == NULL ? ENOMEM : 0;
}

static void
node_free(struct node *n)
{
	if (n->obj != NULL)
		dfs_release(n->obj);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

void
node_table_fini(struct dfuse *d)
{
	uint32_t i;

	for (i = 0; d->buckets != NULL && i < NODE_BUCKETS; i++) {
		struct node *n = d->buckets[i];

		while (n != NULL) {
			struct node *next = n->next;

			node_free(n);
			n = next;
		}
	}
	free(d->buckets);
	free(d->places);
	d->buckets = d->places = NULL;
}

static struct node *
find_locked(struct dfuse *d, daos_obj_id_t key)
{
	struct node *n;

	for (n = d->buckets[bucket_of(key)]; n != NULL; n = n->next)
		if (n->oid.lo == key.lo && n->oid.hi == key.hi)
			return n;
	return NULL;
}

/* The bucket of a name in a directory. */
static struct node **
place_of(struct dfuse *d, daos_obj_id_t dir, const char *name)
{
	uint64_t h = name_hash(name) ^ dir.lo << 17 ^ dir.hi;

	return &d->places[h * 0x9e3779b97f4a7c15ull >> 48 & (NODE_BUCKETS - 1)];
}

static void
remove_locked(struct dfuse *d, struct node *n)
{
	struct node **p = &d->buckets[bucket_of(n->oid)];

	while (*p != NULL && *p != n)
		p = &(*p)->next;
	if (*p == n)
		*p = n->next;
	n->next = NULL;
	p = place_of(d, n->obj->parent_oid, n->obj->name);
	while (*p != NULL && *p != n)
		p = &(*p)->pnext;
	if (*p == n)
		*p = n->pnext;
	n->pnext = NULL;
}

static void
insert_locked(struct dfuse *d, struct node *n)
{
	struct node **p = &d->buckets[bucket_of(n->oid)];

	n->next = *p;
	*p = n;
	p = place_of(d, n->obj->parent_oid, n->obj->name);
	n->pnext = *p;
	*p = n;
}

struct node *
node_expect(struct dfuse *d, const struct node *parent, const char *name)
{
	daos_obj_id_t dir = parent->obj->oid;
	struct node *n;

	pthread_mutex_lock(&d->lock);
	for (n = *place_of(d, dir, name); n != NULL; n = n->pnext)
		if (n->obj->parent_oid.lo == dir.lo && n->obj->parent_oid.hi == dir.hi &&
		    n != d->root && !S_ISLNK(n->mode) && strcmp(n->obj->name, name) == 0)
			break;
	if (n != NULL)
		n->refs++;
	pthread_mutex_unlock(&d->lock);
	return n;
}

void
node_tell(struct node *n, const struct stat *st, pid_t pid, uint64_t began_ns, uint64_t nr)
{
	pthread_mutex_lock(&n->lock);
	if (n->change_nr == nr) {
		n->st = *st;
		n->told_pid = pid;
		n->told_ns = began_ns;
	}
	pthread_mutex_unlock(&n->lock);
}

bool
node_told(struct node *n, pid_t pid, struct stat *st)
{
	bool told;

	pthread_mutex_lock(&n->lock);
	told = pid != 0 && n->told_pid == pid && dfuse_now_ns() - n->told_ns < TOLD_US * 1000ull;
	if (told) {
		*st = n->st;
		n->told_pid = 0;
	}
	pthread_mutex_unlock(&n->lock);
	return told;
}

void
node_changed(struct node *n)
{
	pthread_mutex_lock(&n->lock);
	n->change_nr++;
	n->told_pid = 0;
	pthread_mutex_unlock(&n->lock);
}

uint64_t
node_change_nr(struct node *n)
{
	uint64_t nr;

	pthread_mutex_lock(&n->lock);
	nr = n->change_nr;
	pthread_mutex_unlock(&n->lock);
	return nr;
}

void
node_stat_set(struct node *n, const struct stat *st)
{
	pthread_mutex_lock(&n->lock);
	n->st = *st;
	n->told_pid = 0;
	pthread_mutex_unlock(&n->lock);
}

void
node_stat_get(struct node *n, struct stat *st)
{
	pthread_mutex_lock(&n->lock);
	*st = n->st;
	pthread_mutex_unlock(&n->lock);
}

struct node *
node_find(struct dfuse *d, daos_obj_id_t oid, const struct stat *st)
{
	struct node *n;

	pthread_mutex_lock(&d->lock);
	n = find_locked(d, oid);
	if (n != NULL)
		n->refs++;
	pthread_mutex_unlock(&d->lock);
	if (n != NULL)
		node_stat_set(n, st);
	return n;
}

static bool
place_differs(const dfs_obj_t *a, const dfs_obj_t *b)
{
	return a->parent_oid.lo != b->parent_oid.lo || a->parent_oid.hi != b->parent_oid.hi ||
	       strcmp(a->name, b->name) != 0;
}

int
node_get(struct dfuse *d, dfs_obj_t *obj, const struct stat *st, struct node **ret_node)
{
	daos_obj_id_t key = key_of(obj);
	struct node *fresh = calloc(1, sizeof(*fresh));
	struct node *n;

	if (fresh == NULL) {
		dfs_release(obj);
		return ENOMEM;
	}
	pthread_mutex_lock(&d->lock);
	n = find_locked(d, key);
	/* a link that was replaced by another one at the same place */
	if (n != NULL && S_ISLNK(obj->mode) && strcmp(n->obj->value, obj->value) != 0) {
		remove_locked(d, n);
		n->unlinked = true;
		n = NULL;
	}
	if (n != NULL && place_differs(n->obj, obj)) {
		/* renamed through another mount */
		remove_locked(d, n);
		dfs_update_parent(n->obj, obj, obj->name);
		n->oid = key_of(n->obj);
		insert_locked(d, n);
	}
	if (n == NULL) {
		n = fresh;
		fresh = NULL;
		n->oid = key;
		n->mode = obj->mode;
		n->obj = obj;
		pthread_mutex_init(&n->lock, NULL);
		insert_locked(d, n);
	} else {
		dfs_release(obj);
	}
	n->refs++;
	pthread_mutex_unlock(&d->lock);
	free(fresh);
	node_stat_set(n, st);
	*ret_node = n;
	return 0;
}

void
node_forget(struct dfuse *d, struct node *n, uint64_t nr)
{
	bool gone;

	if (n == d->root)
		return;
	pthread_mutex_lock(&d->lock);
	n->refs -= nr < n->refs ? nr : n->refs;
	gone = n->refs == 0 && n->open_nr == 0;
	if (gone && !n->unlinked)
		remove_locked(d, n);
	pthread_mutex_unlock(&d->lock);
	if (gone)
		node_free(n);
}

int
node_open(struct dfuse *d, struct node *n)
{
	int rc = 0;

	pthread_mutex_lock(&d->lock);
	if (n->punched)
		rc = ENOENT;
	else
		n->open_nr++;
	pthread_mutex_unlock(&d->lock);
	return rc;
}

void
node_release(struct dfuse *d, struct node *n)
{
	bool punch, gone;

	pthread_mutex_lock(&d->lock);
	n->open_nr--;
	punch = n->open_nr == 0 && n->unlinked && !n->punched;
	if (punch)
		n->punched = true;
	gone = n->open_nr == 0 && n->refs == 0;
	if (gone && !n->unlinked)
		remove_locked(d, n);
	pthread_mutex_unlock(&d->lock);
	if (punch)
		dfs_punch_object(d->dfs, n->obj->oid, n->mode);
	if (gone)
		node_free(n);
}

int
node_unlinked(struct dfuse *d, daos_obj_id_t oid, mode_t mode)
{
	struct node *n;
	bool later = false;

	pthread_mutex_lock(&d->lock);
	n = find_locked(d, oid);
	if (n != NULL) {
		remove_locked(d, n);
		n->unlinked = true;
		node_changed(n);
		later = n->open_nr > 0;
		n->punched = !later;
	}
	pthread_mutex_unlock(&d->lock);
	return later ? 0 : dfs_punch_object(d->dfs, oid, mode);
}

void
node_moved(struct dfuse *d, daos_obj_id_t oid, const struct node *parent, const char *name)
{
	struct node *n;

	pthread_mutex_lock(&d->lock);
	n = find_locked(d, oid);
	if (n != NULL) {
		remove_locked(d, n);
		dfs_set_place(n->obj, parent->obj, name);
		n->oid = key_of(n->obj);
		insert_locked(d, n);
		node_changed(n);
	}
	pthread_mutex_unlock(&d->lock);
}

ino_t
node_ino(const struct node *n)
{
	return (n->oid.hi & UINT32_MAX) ^ n->oid.lo << 32;
}
