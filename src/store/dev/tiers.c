/*
 * Two directories as one: what is named *.data (the NVMe tier of a pool shard) lives in the second,
 * everything else in the first.
 */
#include "store/dev/dev.h"

#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/list.h"
#include "base/mem.h"

struct tier_dir {
	struct dev_dir dir;
	struct dev_dir *scm;
	struct dev_dir *nvme;
};

static struct tier_dir *
tier(struct dev_dir *dir)
{
	return container_of(dir, struct tier_dir, dir);
}

static struct dev_dir *
route(struct dev_dir *dir, const char *name)
{
	static const char suffix[] = ".data";
	size_t len = strlen(name);

	if (len >= sizeof(suffix) - 1 && strcmp(name + len - (sizeof(suffix) - 1), suffix) == 0)
		return tier(dir)->nvme;
	return tier(dir)->scm;
}

static int co_fn
tier_create(struct dev_dir *dir, struct xs *xs, const char *name, uint64_t size, bool zeroed,
	    struct dev **ret_dev)
{
	struct dev_dir *to = route(dir, name);

	return to->ops->create(to, xs, name, size, zeroed, ret_dev);
}

static int co_fn
tier_open(struct dev_dir *dir, struct xs *xs, const char *name, bool read_only,
	  struct dev **ret_dev)
{
	struct dev_dir *to = route(dir, name);

	return to->ops->open(to, xs, name, read_only, ret_dev);
}

static int co_fn
tier_unlink(struct dev_dir *dir, const char *name)
{
	struct dev_dir *to = route(dir, name);

	return to->ops->unlink(to, name);
}

static int co_fn
tier_rename(struct dev_dir *dir, const char *from, const char *to_name)
{
	struct dev_dir *to = route(dir, from);

	if (route(dir, to_name) != to)
		return -DER_INVAL;
	return to->ops->rename(to, from, to_name);
}

struct names {
	struct name {
		char text[64];
		uint64_t size;
	} * names;
	size_t nr, cap;
};

static int
names_add(const char *name, uint64_t size, void *arg)
{
	struct names *n = arg;

	if (n->nr == n->cap) {
		size_t cap = n->cap == 0 ? 32 : n->cap * 2;
		void *p = mem_realloc(n->names, cap, sizeof(*n->names));

		if (p == NULL)
			return -DER_NOMEM;
		n->names = p;
		n->cap = cap;
	}
	strncpy(n->names[n->nr].text, name, sizeof(n->names[n->nr].text) - 1);
	n->names[n->nr].text[sizeof(n->names[n->nr].text) - 1] = '\0';
	n->names[n->nr++].size = size;
	return 0;
}

static int
names_cmp(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

static int co_fn
tier_list(struct dev_dir *dir, int (*fn)(const char *name, uint64_t size, void *arg), void *arg)
{
	struct tier_dir *td = tier(dir);
	struct names n = {0};
	int rc;

	rc = td->scm->ops->list(td->scm, names_add, &n);
	if (rc == 0)
		rc = td->nvme->ops->list(td->nvme, names_add, &n);
	if (rc == 0 && n.nr > 0)
		qsort(n.names, n.nr, sizeof(*n.names), names_cmp);
	for (size_t i = 0; rc == 0 && i < n.nr; i++)
		rc = fn(n.names[i].text, n.names[i].size, arg);
	free(n.names);
	return rc;
}

static int
tier_space(struct dev_dir *dir, uint64_t *ret_free, uint64_t *ret_total)
{
	return tier(dir)->scm->ops->space(tier(dir)->scm, ret_free, ret_total);
}

static void
tier_close(struct dev_dir *dir)
{
	free(tier(dir)); /* the two directories are their owners' */
}

int
dev_dir_tiers(struct dev_dir *scm, struct dev_dir *nvme, struct dev_dir **ret_dir)
{
	static const struct dev_dir_ops ops = {
	    .create = tier_create,
	    .open = tier_open,
	    .unlink = tier_unlink,
	    .rename = tier_rename,
	    .list = tier_list,
	    .space = tier_space,
	    .close = tier_close,
	};
	struct tier_dir *td = mem_new(struct tier_dir);

	if (td == NULL)
		return -DER_NOMEM;
	td->dir.ops = &ops;
	td->scm = scm;
	td->nvme = nvme;
	*ret_dir = &td->dir;
	return 0;
}
