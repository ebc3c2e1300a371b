/*
 * What a read at an epoch sees.
 *
 * A punch of an object, dkey or akey hides everything beneath that is older than it from every read
 * at or above it. So a version is seen at epoch E if it is the newest at or below E of its value
 * and not older than the latest punch at or below E of any ancestor. (A version and a punch with
 * the same epoch and operation number: the version is seen.) A key exists if a version beneath it
 * is seen.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_internal.h"

#include "base/log.h"

int
vos_punches_get(struct heap *heap, const struct vos_krec *k, const struct vos_punches_df **ret_list)
{
	const struct vos_punches_df *list;

	*ret_list = NULL;
	if (k->punch == 0)
		return 0;
	list = heap_try_df(heap, k->punch, sizeof(*list));
	if (list == NULL)
		return HEAP_MISS;
	if (list->nr > list->cap || list->cap > HEAP_ALLOC_MAX / sizeof(list->ord[0]))
		return -DER_CSUM;
	if (heap_try(heap, k->punch, sizeof(*list) + list->cap * sizeof(list->ord[0])) == NULL)
		return HEAP_MISS;
	*ret_list = list;
	return 0;
}

static struct vos_ord
list_at(const struct vos_punches_df *list, uint64_t epoch)
{
	uint32_t i;

	for (i = 0; list != NULL && i < list->nr; i++)
		if (list->ord[i].epoch <= epoch)
			return (struct vos_ord){list->ord[i].epoch, list->ord[i].op};
	return (struct vos_ord){0};
}

static struct vos_ord
ord_max(struct vos_ord a, struct vos_ord b)
{
	return vos_ord_cmp(a, b) >= 0 ? a : b;
}

struct vos_ord
vos_punch_at(const struct vos_punches *p, uint64_t epoch)
{
	struct vos_ord max = {0};
	int i;

	for (i = 0; i < 3; i++)
		if (p->level[i] != NULL)
			max = ord_max(max, list_at(p->level[i], epoch));
	return max;
}

struct vos_ord
vos_punch_newest(const struct vos_punches_df *list)
{
	return list_at(list, UINT64_MAX);
}

bool
vos_punch_after(const struct vos_punches *p, struct vos_ord ord, struct vos_ord *ret_ord)
{
	bool found = false;
	uint32_t j;
	int i;

	for (i = 0; i < 3; i++) {
		const struct vos_punches_df *list = p->level[i];

		/* newest first: the last one that is still after ord is the earliest */
		for (j = 0; list != NULL && j < list->nr; j++) {
			struct vos_ord o = {list->ord[j].epoch, list->ord[j].op};

			if (vos_ord_cmp(o, ord) <= 0)
				break;
			if (!found || vos_ord_cmp(o, *ret_ord) < 0)
				*ret_ord = o;
			found = true;
		}
	}
	return found;
}

int
vos_hidden(struct heap *heap, const struct vos_krec *k, uint64_t epoch, struct vos_ord hidden,
	   struct vos_ord *ret_hidden)
{
	const struct vos_punches_df *list;
	int rc;

	*ret_hidden = hidden;
	if (k->punch == 0)
		return 0;
	rc = vos_punches_get(heap, k, &list);
	if (rc == 0)
		*ret_hidden = ord_max(hidden, list_at(list, epoch));
	return rc;
}

/* --- history kept --------------------------------------------------------------------------- */

static bool
kept(const struct vos_cont *cont, uint64_t epoch)
{
	uint32_t i;

	for (i = 0; i < cont->keep_nr; i++)
		if (cont->keep[i] == epoch)
			return true;
	return false;
}

/*
 * What is missing altogether either never was or was removed by an aggregation above it. What has
 * not changed since epoch is complete. Otherwise versions may have been dropped up to low_epoch.
 */
int
vos_readable(struct vos_cont *cont, uint64_t epoch, uint64_t obj, bool with_dkey, uint64_t dkey)
{
	struct heap *heap = cont->pool->heap;
	const struct vos_punches_df *list;
	struct vos_krec k;
	uint64_t low = cont->df->low_epoch;
	int rc;

	if (epoch >= low && epoch >= cont->df->agg_epoch)
		return 0;
	if (kept(cont, epoch))
		return 0;
	if (epoch < cont->df->agg_epoch)
		return -DER_TX_RESTART;
	if (obj == 0)
		return 0;
	rc = vos_krec_get(heap, obj, VOS_KEY_OBJ, &k);
	if (rc != 0)
		return rc;
	if (k.chg_epoch <= epoch)
		return 0;
	rc = vos_punches_get(heap, &k, &list);
	if (rc != 0)
		return rc;
	if (with_dkey && vos_punch_newest(list).epoch <= epoch) {
		if (dkey == 0)
			return 0;
		rc = vos_krec_get(heap, dkey, VOS_KEY_DKEY, &k);
		if (rc != 0)
			return rc;
		if (k.chg_epoch <= epoch)
			return 0;
	}
	return -DER_TX_RESTART;
}

bool
vos_needed(const struct vos_tx *t, uint64_t ver, uint64_t next)
{
	const struct vos_cont *cont = t->cont;
	uint64_t floor = cont->df->floor;
	uint32_t i;

	if (next <= ver)
		return false;
	if (t->below != 0)
		floor = t->below;
	if (next > floor)
		return true;
	for (i = 0; i < cont->keep_nr; i++)
		if (cont->keep[i] >= ver && cont->keep[i] < next)
			return true;
	return false;
}

/* --- changing the list of punches --------------------------------------------------------------
 */

/* Replace the list of a key by these (nr may be 0). The old list is not touched. */
static int
punches_set(struct vos_tx *t, const struct vos_krec *k, enum vos_key_kind kind,
	    const struct vos_ord_df *ord, uint32_t nr)
{
	struct vos_punches_df *list;
	uint64_t new_off = 0;
	int rc;

	if (nr != 0) {
		uint32_t bytes = sizeof(*list) + nr * sizeof(list->ord[0]);

		rc = heap_alloc(t->tx, bytes, 0, &new_off);
		if (rc != 0)
			return rc;
		list = heap_ptr(t->heap, new_off);
		list->nr = nr;
		list->cap = nr;
		memcpy(list->ord, ord, nr * sizeof(list->ord[0]));
	}
	rc = heap_free(t->tx, k->punch);
	return rc != 0 ? rc : vos_krec_set_punch(t, k->off, kind, new_off);
}

int
vos_punch_add(struct vos_tx *t, uint64_t off, enum vos_key_kind kind, struct vos_ord ord)
{
	const struct vos_punches_df *list;
	CLEANUP(freep)
	struct vos_ord_df *out = NULL;
	struct vos_ord newer = {0};
	struct vos_krec k;
	uint32_t i, nr = 0;
	bool placed = false;
	int rc;

	rc = vos_krec_get(t->heap, off, kind, &k);
	if (rc != 0)
		return rc;
	rc = vos_punches_get(t->heap, &k, &list);
	if (rc != 0)
		return rc;
	out = mem_alloc(((list == NULL ? 0 : list->nr) + 1) * sizeof(*out));
	if (out == NULL)
		return -DER_NOMEM;
	/* merge, newest first; what a newer one supersedes and nobody needs is left out */
	for (i = 0; !placed || (list != NULL && i < list->nr);) {
		struct vos_ord_df o = {.epoch = ord.epoch, .op = ord.op};
		bool take_new = true;

		if (list != NULL && i < list->nr) {
			struct vos_ord have = {list->ord[i].epoch, list->ord[i].op};
			int c = placed ? 1 : vos_ord_cmp(have, ord);

			if (c == 0)
				return 0;
			take_new = c < 0;
		}
		if (!take_new)
			o = list->ord[i++];
		else
			placed = true;
		if (newer.epoch != 0 && !vos_needed(t, o.epoch, newer.epoch)) {
			vos_dropped(t, o.epoch, newer.epoch);
			continue;
		}
		out[nr++] = o;
		newer = (struct vos_ord){o.epoch, o.op};
	}
	return punches_set(t, &k, kind, out, nr);
}

int
vos_punches_filter(struct vos_tx *t, uint64_t off, enum vos_key_kind kind,
		   bool (*drop)(struct vos_tx *t, const struct vos_punches_df *list, uint32_t i,
				void *arg),
		   void *arg)
{
	const struct vos_punches_df *list;
	CLEANUP(freep)
	struct vos_ord_df *out = NULL;
	struct vos_krec k;
	uint32_t i, nr = 0;
	int rc;

	rc = vos_krec_get(t->heap, off, kind, &k);
	if (rc != 0)
		return rc;
	rc = vos_punches_get(t->heap, &k, &list);
	if (rc != 0 || list == NULL)
		return rc;
	out = mem_alloc((list->nr + 1) * sizeof(*out));
	if (out == NULL)
		return -DER_NOMEM;
	for (i = 0; i < list->nr; i++)
		if (!drop(t, list, i, arg))
			out[nr++] = list->ord[i];
	return nr == list->nr ? 0 : punches_set(t, &k, kind, out, nr);
}

/* --- does a key exist ----------------------------------------------------------------------------
 */

static int
array_visible(struct heap *heap, const struct vos_krec *k, uint64_t epoch, struct vos_ord hidden)
{
	struct vos_seg_iter it;
	struct vos_seg seg;
	struct vos_ver_df ver;
	bool found = false;
	int rc;

	rc = vos_seg_iter_init(&it, heap, k);
	if (rc == 0)
		rc = vos_seg_iter_seek(&it, BTREE_FIRST, 0);
	while (rc == 0) {
		rc = vos_seg_iter_get(&it, &seg);
		if (rc == 0)
			rc = vos_ver_find(heap, &seg.df, epoch, hidden, &ver, &found);
		if (rc != 0 || found)
			break;
		rc = vos_seg_iter_next(&it);
	}
	vos_seg_iter_fini(&it);
	if (rc == -DER_NONEXIST)
		return 0;
	return rc != 0 ? rc : found;
}

int
vos_akey_visible(struct heap *heap, uint64_t akey, uint64_t epoch, struct vos_ord hidden)
{
	struct vos_sv sv;
	struct vos_krec k;
	int rc;

	rc = vos_krec_get(heap, akey, VOS_KEY_AKEY, &k);
	if (rc != 0)
		return rc;
	rc = vos_hidden(heap, &k, epoch, hidden, &hidden);
	if (rc != 0)
		return rc;
	if (k.upd_epoch < hidden.epoch)
		return 0;
	switch (k.tag) {
	case 0:
		return 0;
	case VOS_CHILD_SV:
		rc = vos_sv_find(heap, &k, epoch, hidden, &sv);
		return rc != 0 ? rc : sv.off != 0;
	default:
		return array_visible(heap, &k, epoch, hidden);
	}
}

static int
any_child_visible(struct heap *heap, uint64_t off, enum vos_key_kind kind,
		  enum btree_kind dkey_kind, enum btree_kind akey_kind, uint64_t epoch,
		  struct vos_ord hidden)
{
	struct vos_krec k;
	struct vos_iter it;
	uint64_t child;
	int seen = 0, rc;

	rc = vos_krec_get(heap, off, kind, &k);
	if (rc != 0)
		return rc;
	rc = vos_hidden(heap, &k, epoch, hidden, &hidden);
	if (rc != 0)
		return rc;
	if (k.upd_epoch < hidden.epoch || k.child == 0)
		return 0;
	rc = vos_iter_init(&it, heap, off, kind, kind == VOS_KEY_OBJ ? dkey_kind : akey_kind);
	if (rc == 0)
		rc = vos_iter_seek(&it, BTREE_FIRST, NULL);
	while (rc == 0) {
		rc = vos_iter_get(&it, NULL, NULL, &child);
		if (rc != 0)
			break;
		seen = kind == VOS_KEY_OBJ ? vos_dkey_visible(heap, child, akey_kind, epoch, hidden)
					   : vos_akey_visible(heap, child, epoch, hidden);
		if (seen != 0)
			break;
		rc = vos_iter_next(&it);
	}
	vos_iter_fini(&it);
	if (rc == -DER_NONEXIST)
		return 0;
	return rc != 0 ? rc : seen;
}

int
vos_dkey_visible(struct heap *heap, uint64_t dkey, enum btree_kind akey_kind, uint64_t epoch,
		 struct vos_ord hidden)
{
	return any_child_visible(heap, dkey, VOS_KEY_DKEY, 0, akey_kind, epoch, hidden);
}

int
vos_obj_visible(struct heap *heap, uint64_t obj, enum btree_kind dkey_kind,
		enum btree_kind akey_kind, uint64_t epoch)
{
	return any_child_visible(heap, obj, VOS_KEY_OBJ, dkey_kind, akey_kind, epoch,
				 (struct vos_ord){0});
}
