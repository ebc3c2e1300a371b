/*
 * Lists of ranks, and of ranges of ranks.
 */
#include <gurt/common.h>

static int
rank_cmp(const void *a, const void *b)
{
	d_rank_t x = *(const d_rank_t *)a;
	d_rank_t y = *(const d_rank_t *)b;

	return (x > y) - (x < y);
}

d_rank_list_t *
d_rank_list_alloc(uint32_t size)
{
	d_rank_list_t *list = d_calloc(1, sizeof(*list));
	uint32_t i;

	if (list == NULL)
		return NULL;
	if (size == 0)
		return list;
	list->rl_ranks = d_calloc(size, sizeof(d_rank_t));
	if (list->rl_ranks == NULL) {
		d_free(list);
		return NULL;
	}
	list->rl_nr = size;
	for (i = 0; i < size; i++)
		list->rl_ranks[i] = i;
	return list;
}

int
d_rank_list_resize(d_rank_list_t *ptr, uint32_t size)
{
	d_rank_t *ranks;

	if (ptr == NULL)
		return -DER_INVAL;
	if (size == 0) {
		D_FREE(ptr->rl_ranks);
		ptr->rl_nr = 0;
		return 0;
	}
	ranks = d_realloc(ptr->rl_ranks, (size_t)size * sizeof(d_rank_t));
	if (ranks == NULL)
		return -DER_NOMEM;
	if (size > ptr->rl_nr)
		memset(ranks + ptr->rl_nr, 0, (size_t)(size - ptr->rl_nr) * sizeof(d_rank_t));
	ptr->rl_ranks = ranks;
	ptr->rl_nr = size;
	return 0;
}

void
d_rank_list_free(d_rank_list_t *rank_list)
{
	if (rank_list == NULL)
		return;
	d_free(rank_list->rl_ranks);
	d_free(rank_list);
}

int
d_rank_list_dup(d_rank_list_t **dst, const d_rank_list_t *src)
{
	d_rank_list_t *list;

	if (dst == NULL)
		return -DER_INVAL;
	*dst = NULL;
	if (src == NULL)
		return 0;
	list = d_rank_list_alloc(src->rl_nr);
	if (list == NULL)
		return -DER_NOMEM;
	if (src->rl_nr > 0)
		memcpy(list->rl_ranks, src->rl_ranks, src->rl_nr * sizeof(d_rank_t));
	*dst = list;
	return 0;
}

/* Drop duplicates from a sorted list. The memory beyond the new end is kept. */
static void
rank_list_uniq(d_rank_list_t *list)
{
	uint32_t nr = 0;
	uint32_t i;

	for (i = 0; i < list->rl_nr; i++)
		if (i == 0 || list->rl_ranks[i] != list->rl_ranks[nr - 1])
			list->rl_ranks[nr++] = list->rl_ranks[i];
	list->rl_nr = nr;
}

int
d_rank_list_dup_sort_uniq(d_rank_list_t **dst, const d_rank_list_t *src)
{
	int rc = d_rank_list_dup(dst, src);

	if (rc != 0 || *dst == NULL)
		return rc;
	d_rank_list_sort(*dst);
	rank_list_uniq(*dst);
	return 0;
}

int
d_rank_list_copy(d_rank_list_t *dst, d_rank_list_t *src)
{
	int rc;

	if (dst == NULL || src == NULL)
		return -DER_INVAL;
	if (dst->rl_nr != src->rl_nr) {
		rc = d_rank_list_resize(dst, src->rl_nr);
		if (rc != 0)
			return rc;
	}
	if (src->rl_nr > 0)
		memcpy(dst->rl_ranks, src->rl_ranks, src->rl_nr * sizeof(d_rank_t));
	return 0;
}

void
d_rank_list_filter(d_rank_list_t *src_set, d_rank_list_t *dst_set, bool exclude)
{
	uint32_t nr = 0;
	uint32_t i;

	if (src_set == NULL || dst_set == NULL || dst_set->rl_ranks == NULL)
		return;
	for (i = 0; i < dst_set->rl_nr; i++)
		if (d_rank_in_rank_list(src_set, dst_set->rl_ranks[i]) != exclude)
			dst_set->rl_ranks[nr++] = dst_set->rl_ranks[i];
	dst_set->rl_nr = nr;
}

int
d_rank_list_merge(d_rank_list_t *src_set, d_rank_list_t *merge_set)
{
	uint32_t old_nr;
	uint32_t add_nr = 0;
	uint32_t i;
	int rc;

	if (src_set == NULL || merge_set == NULL)
		return -DER_INVAL;
	for (i = 0; i < merge_set->rl_nr; i++)
		add_nr += !d_rank_in_rank_list(src_set, merge_set->rl_ranks[i]);
	if (add_nr == 0)
		return 0;

	old_nr = src_set->rl_nr;
	rc = d_rank_list_resize(src_set, old_nr + add_nr);
	if (rc != 0)
		return rc;
	src_set->rl_nr = old_nr;
	for (i = 0; i < merge_set->rl_nr; i++)
		if (!d_rank_in_rank_list(src_set, merge_set->rl_ranks[i]))
			src_set->rl_ranks[src_set->rl_nr++] = merge_set->rl_ranks[i];
	return 0;
}

void
d_rank_list_shuffle(d_rank_list_t *rank_list)
{
	uint32_t i;

	if (rank_list == NULL)
		return;
	for (i = rank_list->rl_nr; i > 1; i--) {
		uint32_t j = (uint32_t)((uint64_t)d_rand() * i / ((uint64_t)D_RAND_MAX + 1));
		d_rank_t tmp = rank_list->rl_ranks[i - 1];

		rank_list->rl_ranks[i - 1] = rank_list->rl_ranks[j];
		rank_list->rl_ranks[j] = tmp;
	}
}

void
d_rank_list_sort(d_rank_list_t *rank_list)
{
	if (rank_list != NULL && rank_list->rl_nr > 1)
		qsort(rank_list->rl_ranks, rank_list->rl_nr, sizeof(d_rank_t), rank_cmp);
}

bool
d_rank_list_bsearch(d_rank_list_t *rank_list, d_rank_t rank, int *idx)
{
	d_rank_t *found;

	if (rank_list == NULL || rank_list->rl_nr == 0)
		return false;
	found = bsearch(&rank, rank_list->rl_ranks, rank_list->rl_nr, sizeof(d_rank_t), rank_cmp);
	if (found == NULL)
		return false;
	if (idx != NULL)
		*idx = (int)(found - rank_list->rl_ranks);
	return true;
}

bool
d_rank_list_find(d_rank_list_t *rank_list, d_rank_t rank, int *idx)
{
	uint32_t i;

	if (rank_list == NULL || rank_list->rl_ranks == NULL)
		return false;
	for (i = 0; i < rank_list->rl_nr; i++) {
		if (rank_list->rl_ranks[i] != rank)
			continue;
		if (idx != NULL)
			*idx = (int)i;
		return true;
	}
	return false;
}

void
d_rank_list_del_at(d_rank_list_t *list, int idx)
{
	if (list == NULL || idx < 0 || (uint32_t)idx >= list->rl_nr)
		return;
	memmove(&list->rl_ranks[idx], &list->rl_ranks[idx + 1],
		(list->rl_nr - (uint32_t)idx - 1) * sizeof(d_rank_t));
	list->rl_nr--;
}

int
d_rank_list_del(d_rank_list_t *rank_list, d_rank_t rank)
{
	int idx;

	if (rank_list == NULL)
		return -DER_INVAL;
	if (d_rank_list_find(rank_list, rank, &idx))
		d_rank_list_del_at(rank_list, idx);
	return 0;
}

bool
d_rank_list_identical(d_rank_list_t *rank_list1, d_rank_list_t *rank_list2)
{
	if (rank_list1 == rank_list2)
		return true;
	if (rank_list1 == NULL || rank_list2 == NULL || rank_list1->rl_nr != rank_list2->rl_nr)
		return false;
	return rank_list1->rl_nr == 0 || memcmp(rank_list1->rl_ranks, rank_list2->rl_ranks,
						rank_list1->rl_nr * sizeof(d_rank_t)) == 0;
}

bool
d_rank_in_rank_list(d_rank_list_t *rank_list, d_rank_t rank)
{
	return d_rank_list_find(rank_list, rank, NULL);
}

int
d_idx_in_rank_list(d_rank_list_t *rank_list, d_rank_t rank, uint32_t *idx)
{
	int pos;

	if (rank_list == NULL || idx == NULL)
		return -DER_INVAL;
	if (!d_rank_list_find(rank_list, rank, &pos))
		return -DER_NONEXIST;
	*idx = (uint32_t)pos;
	return 0;
}

int
d_rank_list_append(d_rank_list_t *rank_list, d_rank_t rank)
{
	uint32_t nr;
	int rc;

	if (rank_list == NULL)
		return -DER_INVAL;
	nr = rank_list->rl_nr;
	rc = d_rank_list_resize(rank_list, nr + 1);
	if (rc != 0)
		return rc;
	rank_list->rl_ranks[nr] = rank;
	return 0;
}

int
d_rank_list_dump(d_rank_list_t *rank_list, d_string_t name, int name_len)
{
	struct d_string_buffer_t buf = {0};
	uint32_t i;
	int rc;

	if (rank_list == NULL || name == NULL || name_len < 0 ||
	    strnlen(name, (size_t)name_len + 1) > (size_t)name_len)
		return -DER_INVAL;
	for (i = 0; i < rank_list->rl_nr; i++)
		d_write_string_buffer(&buf, " %u", rank_list->rl_ranks[i]);
	rc = buf.status;
	if (rc == 0)
		D_DEBUG(DB_TRACE, "%s, %u ranks:%s\n", name, rank_list->rl_nr,
			buf.str == NULL ? "" : buf.str);
	d_free_string(&buf);
	return rc;
}

d_rank_list_t *
uint32_array_to_rank_list(uint32_t *ints, size_t len)
{
	d_rank_list_t *list;

	if (len > UINT32_MAX)
		return NULL;
	list = d_rank_list_alloc((uint32_t)len);
	if (list != NULL && len > 0)
		memcpy(list->rl_ranks, ints, len * sizeof(d_rank_t));
	return list;
}

int
rank_list_to_uint32_array(d_rank_list_t *rl, uint32_t **ints, size_t *len)
{
	uint32_t *array;

	/* One entry more, so that an empty list gives memory that can be freed too. */
	array = d_calloc((size_t)rl->rl_nr + 1, sizeof(*array));
	if (array == NULL)
		return -DER_NOMEM;
	if (rl->rl_nr > 0)
		memcpy(array, rl->rl_ranks, rl->rl_nr * sizeof(d_rank_t));
	*ints = array;
	*len = rl->rl_nr;
	return 0;
}

int
d_rank_list_to_str(d_rank_list_t *rank_list, char **rank_str)
{
	d_rank_list_t *sorted = NULL;
	d_rank_range_list_t *ranges;
	int rc;

	if (rank_str == NULL)
		return -DER_INVAL;
	rc = d_rank_list_dup_sort_uniq(&sorted, rank_list);
	if (rc != 0)
		return rc;
	ranges = d_rank_range_list_create_from_ranks(sorted);
	d_rank_list_free(sorted);
	if (ranges == NULL)
		return -DER_NOMEM;
	rc = d_rank_range_list_str(ranges, rank_str);
	d_rank_range_list_free(ranges);
	return rc;
}

d_rank_range_list_t *
d_rank_range_list_alloc(uint32_t size)
{
	d_rank_range_list_t *list = d_calloc(1, sizeof(*list));

	if (list == NULL || size == 0)
		return list;
	list->rrl_ranges = d_calloc(size, sizeof(d_rank_range_t));
	if (list->rrl_ranges == NULL) {
		d_free(list);
		return NULL;
	}
	list->rrl_nr = size;
	return list;
}

d_rank_range_list_t *
d_rank_range_list_realloc(d_rank_range_list_t *range_list, uint32_t size)
{
	d_rank_range_t *ranges;

	if (range_list == NULL)
		return d_rank_range_list_alloc(size);
	if (size == 0) {
		D_FREE(range_list->rrl_ranges);
		range_list->rrl_nr = 0;
		return range_list;
	}
	ranges = d_realloc(range_list->rrl_ranges, (size_t)size * sizeof(*ranges));
	if (ranges == NULL)
		return NULL;
	if (size > range_list->rrl_nr)
		memset(ranges + range_list->rrl_nr, 0,
		       (size_t)(size - range_list->rrl_nr) * sizeof(*ranges));
	range_list->rrl_ranges = ranges;
	range_list->rrl_nr = size;
	return range_list;
}

d_rank_range_list_t *
d_rank_range_list_create_from_ranks(d_rank_list_t *rank_list)
{
	d_rank_range_list_t *list;
	uint32_t nr = 0;
	uint32_t i;

	if (rank_list == NULL || rank_list->rl_nr == 0)
		return d_rank_range_list_alloc(0);
	d_rank_list_sort(rank_list);
	rank_list_uniq(rank_list);

	list = d_rank_range_list_alloc(rank_list->rl_nr);
	if (list == NULL)
		return NULL;
	for (i = 0; i < rank_list->rl_nr; i++) {
		d_rank_t rank = rank_list->rl_ranks[i];

		if (nr > 0 && list->rrl_ranges[nr - 1].hi + 1 == rank) {
			list->rrl_ranges[nr - 1].hi = rank;
			continue;
		}
		list->rrl_ranges[nr].lo = rank;
		list->rrl_ranges[nr].hi = rank;
		nr++;
	}
	list->rrl_nr = nr;
	return list;
}

int
d_rank_range_list_str(d_rank_range_list_t *list, char **ranks_str)
{
	struct d_string_buffer_t buf = {0};
	uint32_t i;

	if (list == NULL || ranks_str == NULL)
		return -DER_INVAL;
	d_write_string_buffer(&buf, "[");
	for (i = 0; i < list->rrl_nr; i++) {
		const d_rank_range_t *r = &list->rrl_ranges[i];

		d_write_string_buffer(&buf, "%s%u", i == 0 ? "" : ",", r->lo);
		if (r->hi != r->lo)
			d_write_string_buffer(&buf, "-%u", r->hi);
	}
	d_write_string_buffer(&buf, "]");
	if (buf.status != 0) {
		int rc = buf.status;

		d_free_string(&buf);
		return rc;
	}
	*ranks_str = buf.str;
	return 0;
}

void
d_rank_range_list_free(d_rank_range_list_t *range_list)
{
	if (range_list == NULL)
		return;
	d_free(range_list->rrl_ranges);
	d_free(range_list);
}
