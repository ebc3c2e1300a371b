/*
 * Trimming of long histories (vos_hist.c): the same decisions as for short ones, but a bounded
 * number of versions at a time, so that a step stays short however many there are. Where it stopped
 * is kept by order, and found again through the index.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_trim.h"

/* A version as far as trimming needs it. */
struct item {
	struct vos_ord ord;
	uint64_t off, older;
	uint8_t kind;
	struct vos_ver_df ver; /* arrays */
};

static int
item_get(const struct vos_hist *h, uint64_t off, struct item *it)
{
	struct vos_sv sv;
	const void *p;
	int rc;

	it->off = off;
	if (h->akey != NULL) {
		rc = vos_sv_get(h->heap, h->akey, off, &sv);
		if (rc != 0)
			return rc;
		it->ord = vos_sv_ord(&sv);
		it->older = sv.older;
		it->kind = sv.kind;
		return 0;
	}
	p = heap_try(h->heap, off, sizeof(it->ver));
	if (p == NULL)
		return HEAP_MISS;
	memcpy(&it->ver, p, sizeof(it->ver));
	it->ord = vos_ver_ord(&it->ver);
	it->older = it->ver.older;
	it->kind = it->ver.kind;
	return 0;
}

bool
vos_trim_drops(struct vos_tx *t, const struct vos_trim *trim, struct vos_ord ord,
	       const struct vos_ord *newer, const struct vos_punches *p)
{
	struct vos_ord next, after;
	bool hidden = newer != NULL;

	if (trim->mode == VOS_TRIM_ABOVE)
		return ord.epoch > trim->below;
	if (hidden)
		next = *newer;
	if (vos_punch_after(p, ord, &after) && (!hidden || vos_ord_cmp(after, next) < 0)) {
		next = after;
		hidden = true;
	}
	if (trim->mode != VOS_TRIM_ALL && (!hidden || vos_needed(t, ord.epoch, next.epoch)))
		return false;
	if (hidden)
		vos_dropped(t, ord.epoch, next.epoch);
	return true;
}

static int
drop(struct vos_tx *t, struct vos_hist *h, uint64_t newer, const struct item *it, uint64_t len)
{
	int rc;

	rc = vos_hist_remove(t, h, newer, it->off);
	if (rc == 0 && h->akey != NULL)
		return vos_sv_free(t, it->off);
	if (rc == 0)
		rc = vos_ver_free(t, &it->ver, len);
	return rc != 0 ? rc : heap_free(t->tx, it->off);
}

static bool
spend(uint32_t *budget)
{
	if (*budget < VOS_TRIM_COST)
		return false;
	*budget -= VOS_TRIM_COST;
	return true;
}

/* From the newest to the oldest, behind the place where the walk stopped. */
static int
walk_down(struct vos_tx *t, const struct vos_trim *trim, struct vos_trim_pos *pos, uint32_t *budget,
	  struct vos_hist *h, struct vos_ord top, uint64_t len, const struct vos_punches *p)
{
	uint64_t *retained = &pos->level[VOS_TRIM_AKEY].retained, newer = 0, off;
	struct vos_ord above = pos->hist_set ? pos->hist : top;
	struct item it;
	int rc;

	if (!pos->hist_set) {
		rc = vos_hist_first(t->heap, h->older, &off);
	} else {
		rc = vos_hist_near(h, above, &newer, &off);
		if (rc == 0 && off != 0)
			rc = item_get(h, off, &it);
		if (rc == 0 && off != 0 && vos_ord_cmp(it.ord, above) == 0) {
			newer = off;
			off = it.older;
		}
	}
	while (rc == 0 && off != 0) {
		if (!spend(budget))
			return VOS_TRIM_PAUSED;
		rc = item_get(h, off, &it);
		if (rc != 0)
			break;
		if (vos_trim_drops(t, trim, it.ord, &above, p)) {
			rc = drop(t, h, newer, &it, len);
		} else {
			newer = off;
			if (it.ord.epoch < *retained)
				*retained = it.ord.epoch;
		}
		above = it.ord;
		pos->hist_set = true;
		pos->hist = above;
		off = it.older;
	}
	return rc;
}

/* Tombstones with nothing older left. */
static int
walk_up(struct vos_tx *t, const struct vos_trim *trim, uint32_t *budget, struct vos_hist *h,
	uint64_t len)
{
	struct vos_ord oldest;
	uint64_t off, newer;
	struct item it;
	int rc;

	while (trim->mode == VOS_TRIM_BELOW && vos_hist_indexed(h->older)) {
		rc = vos_hist_oldest(h, &oldest);
		if (rc == 0)
			rc = vos_hist_near(h, oldest, &newer, &off);
		if (rc == 0)
			rc = item_get(h, off, &it);
		if (rc != 0)
			return rc;
		if (it.kind != VOS_VER_PUNCH || it.ord.epoch > trim->below)
			break;
		if (!spend(budget))
			return VOS_TRIM_PAUSED;
		rc = drop(t, h, newer, &it, len);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int
vos_trim_hist(struct vos_tx *t, const struct vos_trim *trim, struct vos_trim_pos *pos,
	      uint32_t *budget, struct vos_hist *h, struct vos_ord top, uint64_t len,
	      const struct vos_punches *p)
{
	int rc = 0;

	if (!pos->hist_done)
		rc = walk_down(t, trim, pos, budget, h, top, len, p);
	if (rc != 0)
		return rc;
	pos->hist_done = true;
	rc = walk_up(t, trim, budget, h, len);
	if (rc == 0)
		pos->hist_set = pos->hist_done = false;
	return rc;
}
