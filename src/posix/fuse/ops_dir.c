/*
 * Listing directories. An open directory keeps what was listed so far; the kernel's offset is the
 * index of the next entry, so it may go back. Offset 0 with something listed begins anew
 * (rewinddir).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "posix/fuse/dfuse.h"

struct listing {
	pthread_mutex_t lock;
	daos_anchor_t anchor;
	struct dirent *ents;
	struct stat *stats;        /* valid where known */
	struct dfs_entry *entries; /* likewise */
	bool *known;
	uint32_t nr, cap;
	bool read_any;
};

void
op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct listing *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	pthread_mutex_init(&l->lock, NULL);
	fi->fh = (uint64_t)(uintptr_t)l;
	if (fuse_reply_open(req, fi) == -ENOENT)
		free(l);
}

void
op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct listing *l = (struct listing *)(uintptr_t)fi->fh;

	pthread_mutex_destroy(&l->lock);
	free(l->ents);
	free(l->stats);
	free(l->entries);
	free(l->known);
	free(l);
	fuse_reply_err(req, 0);
}

static bool
grow_one(void **p, size_t nr, size_t size)
{
	void *more = realloc(*p, nr * size);

	if (more != NULL)
		*p = more;
	return more != NULL;
}

static int
grow(struct listing *l)
{
	uint32_t cap = l->cap == 0 ? READDIR_BATCH : 2 * l->cap;

	if (l->cap - l->nr >= READDIR_BATCH)
		return 0;
	if (!grow_one((void **)&l->ents, cap, sizeof(*l->ents)) ||
	    !grow_one((void **)&l->stats, cap, sizeof(*l->stats)) ||
	    !grow_one((void **)&l->entries, cap, sizeof(*l->entries)) ||
	    !grow_one((void **)&l->known, cap, sizeof(*l->known)))
		return ENOMEM;
	l->cap = cap;
	return 0;
}

/* Some more entries, with attributes or without. */
static int
more(struct dfuse *d, struct node *n, struct listing *l, bool plus)
{
	uint32_t nr = READDIR_BATCH;
	uint32_t i;
	int rc;

	rc = grow(l);
	if (rc != 0)
		return rc;
	if (plus)
		rc = dfs_readdir_entries(d->dfs, n->obj, &l->anchor, &nr, l->ents + l->nr,
					 l->stats + l->nr, l->entries + l->nr);
	else
		rc = dfs_readdir(d->dfs, n->obj, &l->anchor, &nr, l->ents + l->nr);
	for (i = 0; rc == 0 && i < nr; i++)
		l->known[l->nr + i] = plus;
	if (rc == 0)
		l->nr += nr;
	l->read_any = true;
	return rc;
}

/* "." and ".." come first, at offsets 0 and 1. */
static size_t
add_dot(fuse_req_t req, struct node *n, bool plus, char *buf, size_t room, off_t off)
{
	const char *name = off == 0 ? "." : "..";
	struct stat st = {.st_mode = S_IFDIR, .st_ino = node_ino(n)};
	struct fuse_entry_param e = {.attr = st};

	return plus ? fuse_add_direntry_plus(req, buf, room, name, &e, off + 1)
		    : fuse_add_direntry(req, buf, room, name, &st, off + 1);
}

/* The node of a listed entry, with a reference for the kernel. */
static struct node *
entry_node(struct dfuse *d, struct node *dir, const struct listing *l, uint32_t i)
{
	struct node *n = NULL;
	dfs_obj_t *obj;

	if (!S_ISLNK(l->entries[i].mode)) {
		n = node_find(d, l->entries[i].oid, &l->stats[i]);
		if (n != NULL)
			return n;
	}
	if (dfs_open_entry(d->dfs, dir->obj, l->ents[i].d_name, &l->entries[i], d->dfs->amode,
			   &obj) != 0)
		return NULL;
	return node_get(d, obj, &l->stats[i], &n) == 0 ? n : NULL;
}

/* Add entry i; 0: it does not fit. */
static size_t
add_entry(fuse_req_t req, struct dfuse *d, struct node *dir, struct listing *l, uint32_t i,
	  bool plus, char *buf, size_t room)
{
	const char *name = l->ents[i].d_name;
	struct fuse_entry_param e = {0};
	struct stat st = {0};
	struct node *n = NULL;
	size_t len;

	if (!plus) {
		if (l->known[i])
			st = l->stats[i];
		st.st_ino = l->known[i] && st.st_ino != 0 ? st.st_ino : 1;
		return fuse_add_direntry(req, buf, room, name, &st, i + 3);
	}
	if (fuse_add_direntry_plus(req, NULL, 0, name, NULL, 0) > room)
		return 0;
	n = l->known[i] ? entry_node(d, dir, l, i) : NULL;
	if (n != NULL)
		entry_fill(d, n, &l->stats[i], &e);
	else
		e.attr.st_ino = 1; /* the kernel will look it up */
	len = fuse_add_direntry_plus(req, buf, room, name, &e, i + 3);
	/* handed over once: later requests for the same entry take a new look */
	l->known[i] = false;
	return len;
}

static void
list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi, bool plus)
{
	struct dfuse *d = fuse_req_userdata(req);
	struct node *n = node_of(d, ino);
	struct listing *l = (struct listing *)(uintptr_t)fi->fh;
	char *buf = malloc(size);
	size_t used = 0, len;
	int rc = buf == NULL ? ENOMEM : 0;

	pthread_mutex_lock(&l->lock);
	if (off == 0 && l->read_any) {
		memset(&l->anchor, 0, sizeof(l->anchor));
		l->nr = 0;
		l->read_any = false;
	}
	while (rc == 0) {
		if (off < 2) {
			len = add_dot(req, n, plus, buf + used, size - used, off);
		} else {
			uint64_t i = off - 2;

			if (i >= l->nr) {
				if (daos_anchor_is_eof(&l->anchor))
					break;
				/* what is there already goes out before more is asked for */
				if (used > 0)
					break;
				rc = more(d, n, l, plus);
				continue;
			}
			len = add_entry(req, d, n, l, i, plus, buf + used, size - used);
		}
		if (len == 0 || len > size - used)
			break;
		used += len;
		off++;
	}
	pthread_mutex_unlock(&l->lock);
	if (rc != 0)
		fuse_reply_err(req, rc);
	else
		fuse_reply_buf(req, buf, used);
	free(buf);
}

void
op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	list(req, ino, size, off, fi, false);
}

void
op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	list(req, ino, size, off, fi, true);
}
