/*
 * Fetches: comparing what is read with its checksums.
 *
 * Values in the heap are compared during the lookup, each time (they are short). For those in
 * blocks the lookup widens what is read to the chunks that the checksums cover, and notes what to
 * compare when all is in memory. Blocks that were compared are marked in the cache as trusted
 * (data.h): as long as they stay there they are neither compared again nor read with more around
 * them. Should they have left the cache between lookup and read, the fetch starts again and then
 * trusts nothing. So every byte that comes from the device is compared before it is returned.
 *
 * A mismatch may have arisen in memory or on the way: the blocks are read from the device once more
 * before it is reported.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_fetch.h"

#include "base/log.h"

enum { CHECK_TURN_BYTES = 4 << 20 }; /* compared between two yields, about */

static int
mismatch(struct vos_fetch *f, uint32_t iod, struct vos_csum_event *ev)
{
	ev->found = VOS_CSUM_FETCH;
	ev->oid = f->io.oid;
	ev->dkey = *f->io.dkey;
	ev->akey = f->io.iods[iod].iod_name;
	vos_csum_report(f->cont, ev);
	return -DER_CSUM;
}

/* Copy stored checksums. */
static int
sums_note(struct vos_fetch *f, const uint8_t *sum, uint64_t bytes, uint64_t *ret_at)
{
	int rc;

	rc = vos_fetch_grow((void **)&f->sums, f->sums_inl, f->sums_bytes, f->sums_bytes + bytes,
			    &f->sums_cap, 1);
	if (rc != 0)
		return rc;
	memcpy(f->sums + f->sums_bytes, sum, bytes);
	*ret_at = f->sums_bytes;
	f->sums_bytes += bytes;
	return 0;
}

static int
reuse_note(struct vos_fetch *f, uint32_t iod, uint32_t recx, uint64_t idx, uint64_t nr,
	   const uint8_t *sum)
{
	struct fetch_reuse *r;
	int rc;

	rc = vos_fetch_grow32((void **)&f->reuse, NULL, f->reuse_nr, &f->reuse_cap,
			      sizeof(*f->reuse));
	if (rc != 0)
		return rc;
	r = &f->reuse[f->reuse_nr];
	*r = (struct fetch_reuse){.iod = iod, .recx = recx, .idx = idx, .nr = nr};
	rc = sums_note(f, sum, nr * f->cont->csum.len, &r->sum);
	f->reuse_nr += rc == 0;
	return rc;
}

static int
check_note(struct vos_fetch *f, const struct fetch_check *check, const uint8_t *sum,
	   uint64_t sum_bytes)
{
	struct fetch_check *c;
	int rc;

	rc = vos_fetch_grow32((void **)&f->checks, f->check_inl, f->check_nr, &f->check_cap,
			      sizeof(*f->checks));
	if (rc != 0)
		return rc;
	c = &f->checks[f->check_nr];
	*c = *check;
	rc = c->whole ? sums_note(f, sum, sum_bytes, &c->sum) : 0;
	f->check_nr += rc == 0;
	return rc;
}

/* --- lookup ----------------------------------------------------------------------------------- */

/* The chunks that a part of a version touches. */
struct cover {
	uint64_t idx, nr;   /* records */
	const uint8_t *sum; /* of the first chunk */
	uint64_t sum_nr;
	uint64_t addr; /* of the first record */
	bool head_ok, tail_ok;
};

static struct cover
cover_of(uint64_t recs, uint32_t sum_len, const struct vos_ver_df *ver, const struct vos_sums *sums,
	 const struct vos_span *span, uint64_t lo, uint64_t hi)
{
	uint64_t first = span->idx, last = span->idx + span->nr;
	uint64_t grid = lo / recs * recs, end = csum_chunk_end(hi - 1, recs);
	bool alone = ver->kind != VOS_VER_COUNTED;
	struct cover c;

	c.idx = grid > first ? grid : first;
	if (end > last)
		end = last;
	c.nr = end - c.idx;
	c.sum = sums->sum + (c.idx / recs - first / recs) * sum_len;
	c.sum_nr = csum_chunk_nr(c.idx, c.nr, recs);
	c.addr = span->addr + (c.idx - first) * ver->rec_size;
	/* the blocks of a counted extent hold others' bytes too */
	c.head_ok = alone && c.idx == first;
	c.tail_ok = alone && end == last;
	return c;
}

/* Which of the chunks' checksums are just what is asked for? */
static int
reuse_find(struct vos_fetch *f, uint32_t iod, uint32_t recx, uint64_t recs, const struct cover *c,
	   uint64_t lo, uint64_t hi)
{
	const daos_recx_t *r = &f->io.iods[iod].iod_recxs[recx];
	uint64_t r_end = r->rx_idx + r->rx_nr, end = c->idx + c->nr, pos, next, idx = 0, nr = 0;
	const uint8_t *sum = c->sum, *first = NULL;

	for (pos = c->idx; pos < end; pos = next, sum += f->cont->csum.len) {
		uint64_t grid = pos / recs * recs, grid_end = csum_chunk_end(pos, recs);

		next = grid_end < end ? grid_end : end;
		/* all of it is given, and nothing else of this chunk is asked for */
		if (pos < lo || next > hi || pos != (grid > r->rx_idx ? grid : r->rx_idx) ||
		    next != (grid_end < r_end ? grid_end : r_end))
			continue;
		if (nr++ == 0) {
			idx = pos;
			first = sum;
		}
	}
	return nr == 0 ? 0 : reuse_note(f, iod, recx, idx, nr, first);
}

static int
cover_inline(struct vos_fetch *f, uint32_t iod, const struct vos_ver_df *ver, const struct cover *c,
	     const uint8_t **ret_p)
{
	struct vos_csum_event ev = {.epoch = ver->epoch};
	uint64_t bytes = c->nr * ver->rec_size, bad, bad_nr;
	const uint8_t *p = heap_try(f->cont->pool->heap, c->addr, bytes);
	struct iovec iov = {(void *)p, bytes};
	struct iov_iter it;

	if (p == NULL)
		return HEAP_MISS;
	*ret_p = p;
	iov_iter_init(&it, &iov, 1);
	f->cont->pool->csum_stats.checked_bytes += bytes;
	if (vos_sums_check(f->cont, c->idx, c->nr, ver->rec_size, &it, c->sum, &bad, &bad_nr))
		return 0;
	ev.recx = (daos_recx_t){.rx_idx = bad, .rx_nr = bad_nr};
	ev.dev_off = c->addr + (bad - c->idx) * ver->rec_size;
	return mismatch(f, iod, &ev);
}

static bool
trusted(const struct vos_fetch *f, uint64_t off, uint64_t len)
{
	uint64_t blk = off / SPACE_BLOCK, end = (off + len + SPACE_BLOCK - 1) / SPACE_BLOCK;

	return !f->distrust && data_is_trusted(f->cont->pool->data, blk, end - blk);
}

int
vos_fetch_checked(struct vos_fetch *f, uint32_t iod, uint32_t recx, const struct vos_seg *seg,
		  const struct vos_ver_df *ver, uint64_t lo, uint64_t hi, const void **ret_data)
{
	struct heap *heap = f->cont->pool->heap;
	uint64_t recs = csum_chunk_recs(f->cont->csum_chunk, ver->rec_size), skip;
	struct fetch_check check;
	const uint8_t *p = NULL;
	struct vos_sums sums;
	struct vos_span span;
	struct cover c;
	int rc;

	rc = vos_sums_get(heap, f->cont, ver, seg->start, seg->df.len, &sums);
	if (rc == 0)
		rc = vos_span_get(heap, ver, seg->start, seg->df.len, &sums, &span);
	if (rc != 0)
		return rc;
	c = cover_of(recs, f->cont->csum.len, ver, &sums, &span, lo, hi);
	if (f->flags & VOS_FETCH_NEED_SUMS)
		rc = reuse_find(f, iod, recx, recs, &c, lo, hi);
	if (rc != 0)
		return rc;
	skip = (lo - c.idx) * ver->rec_size;
	if (span.kind == VOS_VER_INLINE) {
		rc = cover_inline(f, iod, ver, &c, &p);
		*ret_data = p + skip;
		return rc;
	}
	*ret_data = NULL;
	check = (struct fetch_check){
	    .iod = iod,
	    .head_ok = c.head_ok,
	    .tail_ok = c.tail_ok,
	    .rec_size = ver->rec_size,
	    .len = (hi - lo) * ver->rec_size,
	    .idx = c.idx,
	    .nr = c.nr,
	    .dev_off = c.addr,
	    .epoch = ver->epoch,
	};
	check.whole = !trusted(f, c.addr + skip, check.len);
	check.at = f->nvme_bytes + (check.whole ? skip : 0);
	check.cover_at = f->nvme_bytes;
	check.cover_len = c.nr * ver->rec_size;
	rc = check_note(f, &check, c.sum, c.sum_nr * f->cont->csum.len);
	if (rc != 0)
		return rc;
	if (!check.whole)
		return vos_fetch_nvme(f, c.addr + skip, check.len, c.addr + skip, check.len);
	return vos_fetch_nvme(f, c.addr + skip, check.len, c.addr, check.cover_len);
}

static int
single_inline(struct vos_fetch *f, uint32_t iod, const struct vos_sv *sv)
{
	struct vos_csum_event ev = {
	    .single = true,
	    .epoch = sv->epoch,
	    .dev_off = heap_off(f->cont->pool->heap, sv->data),
	};
	uint8_t got[CSUM_LEN_MAX];

	f->cont->pool->csum_stats.checked_bytes += sv->size;
	csum_buf(&f->cont->csum, sv->data, sv->size, got);
	return memcmp(got, sv->sum, sv->sum_len) == 0 ? 0 : mismatch(f, iod, &ev);
}

int
vos_fetch_checked_single(struct vos_fetch *f, uint32_t iod, const struct vos_sv *sv)
{
	const struct vos_run_df *run;
	struct fetch_check check = {
	    .iod = iod,
	    .single = true,
	    .whole = true,
	    .head_ok = true,
	    .tail_ok = true,
	    .at = f->nvme_bytes,
	    .len = sv->size,
	    .cover_at = f->nvme_bytes,
	    .cover_len = sv->size,
	    .epoch = sv->epoch,
	};
	uint32_t run_nr;
	int rc = 0;

	if (sv->sum_len != f->cont->csum.len)
		return -DER_CSUM;
	if (f->flags & VOS_FETCH_NEED_SUMS)
		rc = reuse_note(f, iod, 0, 0, 1, sv->sum);
	if (rc != 0)
		return rc;
	if (sv->kind == VOS_VER_INLINE)
		return single_inline(f, iod, sv);
	run = vos_sv_runs(sv, &run_nr);
	check.dev_off = run_nr != 0 ? run[0].blk * SPACE_BLOCK : 0;
	return check_note(f, &check, sv->sum, sv->sum_len);
}

/* --- comparing -------------------------------------------------------------------------------- */

/* Part of a view, in the course of a walk over a range of the stream. */
struct span_part {
	struct fetch_view *v;
	uint64_t skip, len; /* within it */
};

/* Call fn for each view that has a part of [at, at + len) of the stream. */
static int
for_views(struct vos_fetch *f, uint64_t at, uint64_t len,
	  int (*fn)(struct vos_fetch *f, const struct span_part *part, void *arg), void *arg)
{
	uint64_t pos = 0, end = at + len;
	uint32_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < f->view_nr && pos < end; i++) {
		struct fetch_view *v = &f->views[i];
		struct span_part part = {.v = v, .skip = at > pos ? at - pos : 0};

		if (part.skip < v->len) {
			part.len = (end - pos < v->len ? end - pos : v->len) - part.skip;
			rc = fn(f, &part, arg);
		}
		pos += v->len;
	}
	return rc;
}

static int
add_iov(struct vos_fetch *f, const struct span_part *part, void *arg)
{
	return vos_fetch_iov_view(f, part->v, part->skip, part->len);
}

static int
is_trusted(struct vos_fetch *f, const struct span_part *part, void *arg)
{
	uint64_t off = part->v->off + part->skip;
	uint64_t first = off / SPACE_BLOCK, end = (off + part->len + SPACE_BLOCK - 1) / SPACE_BLOCK;

	return part->v->own == NULL &&
		       data_view_is_trusted(&part->v->view, first - part->v->view.blk, end - first)
		   ? 0
		   : 1;
}

/* Trust the blocks of which everything that is in use was compared. */
static int
trust(struct vos_fetch *f, const struct span_part *part, void *arg)
{
	const struct fetch_check *c = arg;
	struct fetch_view *v = part->v;
	uint64_t off = v->off + part->skip, end = off + part->len;
	/* a view's end inside the range is at a block border, but for those of single values */
	bool head = off == c->dev_off ? c->head_ok : true;
	bool tail = end == c->dev_off + c->cover_len ? c->tail_ok : c->single;
	uint64_t first = head ? off / SPACE_BLOCK : (off + SPACE_BLOCK - 1) / SPACE_BLOCK;
	uint64_t last = tail ? (end + SPACE_BLOCK - 1) / SPACE_BLOCK : end / SPACE_BLOCK;

	if (v->own == NULL && first < last)
		data_view_trust(&v->view, first - v->view.blk, last - first);
	return 0;
}

static int
forget(struct vos_fetch *f, const struct span_part *part, void *arg)
{
	uint64_t off = part->v->off + part->skip;
	uint64_t first = off / SPACE_BLOCK, end = (off + part->len + SPACE_BLOCK - 1) / SPACE_BLOCK;

	data_forget(f->cont->pool->data, first, end - first);
	return 0;
}

/* Compare; *ret_bad: the first record that is under a checksum that does not agree. */
static bool
compare(struct vos_fetch *f, const struct fetch_check *c, uint64_t *ret_bad, uint64_t *ret_bad_nr)
{
	const uint8_t *sum = f->sums + c->sum;
	uint8_t got[CSUM_LEN_MAX];
	struct iov_iter it;

	iov_iter_init(&it, f->iovs, f->iov_nr);
	f->cont->pool->csum_stats.checked_bytes += c->cover_len;
	if (!c->single)
		return vos_sums_check(f->cont, c->idx, c->nr, c->rec_size, &it, sum, ret_bad,
				      ret_bad_nr);
	*ret_bad = 0;
	*ret_bad_nr = 1;
	csum_iov(&f->cont->csum, &it, c->cover_len, got);
	return memcmp(got, sum, f->cont->csum.len) == 0;
}

static int
check_one(struct vos_fetch *f, struct fetch_check *c)
{
	struct vos_csum_event ev = {.single = c->single, .epoch = c->epoch, .nvme = true};
	uint64_t bad, bad_nr;
	int rc;

	if (!f->distrust && for_views(f, c->at, c->len, is_trusted, NULL) == 0) {
		f->cont->pool->csum_stats.trusted_bytes += c->len;
		c->cover_len = 0;
		return 0;
	}
	if (!c->whole) {
		f->distrust = true;
		return FETCH_AGAIN;
	}
	f->iov_nr = 0;
	rc = for_views(f, c->cover_at, c->cover_len, add_iov, NULL);
	if (rc != 0)
		return rc;
	if (compare(f, c, &bad, &bad_nr))
		return for_views(f, c->cover_at, c->cover_len, trust, c);
	if (!f->reread) {
		f->reread = true;
		for_views(f, c->cover_at, c->cover_len, forget, NULL);
		return FETCH_AGAIN;
	}
	ev.recx = (daos_recx_t){.rx_idx = bad, .rx_nr = bad_nr};
	ev.dev_off = c->dev_off + (bad - c->idx) * c->rec_size;
	return mismatch(f, c->iod, &ev);
}

int co_fn
vos_fetch_check(struct vos_fetch *f)
{
	uint64_t bytes = 0;
	uint32_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < f->check_nr; i++) {
		rc = check_one(f, &f->checks[i]);
		bytes += f->checks[i].cover_len;
		if (rc == 0 && bytes >= CHECK_TURN_BYTES) {
			co_yield();
			bytes = 0;
		}
	}
	return rc;
}

/* --- checksums of the answer ------------------------------------------------------------------ */

/* Walks over an iod's answer, holes included. */
struct answer {
	const struct iovec *iov;
	uint32_t nr;
	size_t off;
};

/* Step over bytes; sum != NULL: with the checksum of what is there. */
static void
answer_take(struct vos_fetch *f, struct answer *a, uint64_t bytes, uint8_t *sum)
{
	struct csum *c = &f->cont->csum;
	bool any = false;

	if (sum != NULL)
		csum_begin(c);
	while (bytes > 0) {
		uint64_t n = a->iov->iov_len - a->off;

		assert(a->nr != 0);
		if (n > bytes)
			n = bytes;
		if (sum != NULL && a->iov->iov_base != NULL) {
			csum_update(c, (const uint8_t *)a->iov->iov_base + a->off, n);
			any = true;
		}
		bytes -= n;
		a->off += n;
		if (a->off == a->iov->iov_len) {
			a->iov++;
			a->nr--;
			a->off = 0;
		}
	}
	if (sum != NULL && any)
		csum_end(c, sum);
}

static void
array_out(struct vos_fetch *f, uint32_t i, uint64_t rec_size, uint32_t *reuse, uint8_t *out)
{
	const daos_iod_t *iod = &f->io.iods[i];
	uint64_t recs = csum_chunk_recs(f->cont->csum_chunk, rec_size);
	struct answer a = {&f->iovs[f->iods[i].iov_first], f->iods[i].iov_nr, 0};
	uint32_t len = f->cont->csum.len, j;

	for (j = 0; j < iod->iod_nr; j++) {
		uint64_t pos = iod->iod_recxs[j].rx_idx, end = pos + iod->iod_recxs[j].rx_nr, next;

		for (; pos < end; pos = next, out += len) {
			const struct fetch_reuse *r = &f->reuse[*reuse];

			next = csum_chunk_end(pos, recs);
			if (next > end)
				next = end;
			while (*reuse < f->reuse_nr &&
			       (r->iod < i || (r->iod == i && r->recx < j) ||
				(r->iod == i && r->recx == j &&
				 r->idx / recs + r->nr <= pos / recs))) {
				r++;
				(*reuse)++;
			}
			if (*reuse < f->reuse_nr && r->iod == i && r->recx == j && r->idx <= pos) {
				memcpy(out, f->sums + r->sum + (pos / recs - r->idx / recs) * len,
				       len);
				answer_take(f, &a, (next - pos) * rec_size, NULL);
				continue;
			}
			answer_take(f, &a, (next - pos) * rec_size, out);
		}
	}
}

/* Record size of the answer: that of the array or, if all is holes, the caller's. */
static uint64_t
rec_size_of(const struct vos_fetch *f, uint32_t i)
{
	return f->iods[i].size != 0 ? f->iods[i].size : f->io.iods[i].iod_size;
}

static uint64_t
out_bytes(const struct vos_fetch *f, uint32_t i)
{
	const daos_iod_t *iod = &f->io.iods[i];
	uint64_t bytes = 0;
	uint32_t j;

	if (rec_size_of(f, i) == 0 || f->flags & VOS_FETCH_SIZE_ONLY)
		return 0;
	if (iod->iod_type == DAOS_IOD_SINGLE)
		return f->iods[i].size == 0 ? 0 : f->cont->csum.len;
	for (j = 0; j < iod->iod_nr; j++)
		bytes += vos_sums_bytes(f->cont, iod->iod_recxs[j].rx_idx, iod->iod_recxs[j].rx_nr,
					rec_size_of(f, i));
	return bytes;
}

int
vos_fetch_sums_out(struct vos_fetch *f)
{
	uint64_t total = 0, bytes;
	uint32_t i, reuse = 0;

	for (i = 0; i < f->io.iod_nr; i++) {
		bytes = f->cont->csum.len == 0 ? 0 : out_bytes(f, i);
		if (bytes > UINT32_MAX)
			return -DER_REC2BIG;
		f->iods[i].sums_first = total;
		f->iods[i].sums_bytes = bytes;
		total += bytes;
	}
	if (total == 0)
		return 0;
	f->out = mem_calloc(total, 1);
	if (f->out == NULL)
		return -DER_NOMEM;
	for (i = 0; i < f->io.iod_nr; i++) {
		uint8_t *out = f->out + f->iods[i].sums_first;

		if (f->iods[i].sums_bytes == 0)
			continue;
		if (f->io.iods[i].iod_type != DAOS_IOD_SINGLE) {
			array_out(f, i, rec_size_of(f, i), &reuse, out);
			continue;
		}
		while (f->reuse[reuse].iod < i)
			reuse++;
		memcpy(out, f->sums + f->reuse[reuse].sum, f->cont->csum.len);
	}
	return 0;
}
