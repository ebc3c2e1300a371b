/* Scatter/gather lists of the public interface as lists of struct iovec. */
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "client/object/sgl.h"
#include "base/mem.h"

void
sgl_vec_init(struct sgl_vec *vec)
{
	vec->iov = vec->fixed;
	vec->nr = 0;
	vec->max = SGL_VEC_FIXED;
}

void
sgl_vec_fini(struct sgl_vec *vec)
{
	if (vec->iov != vec->fixed)
		free(vec->iov);
	sgl_vec_init(vec);
}

static int
vec_grow(struct sgl_vec *vec)
{
	struct iovec *iov;
	uint32_t max = vec->max * 4;

	if (vec->iov == vec->fixed) {
		iov = mem_alloc(max * sizeof(*iov));
		if (iov != NULL)
			memcpy(iov, vec->fixed, vec->nr * sizeof(*iov));
	} else {
		iov = mem_realloc(vec->iov, max, sizeof(*iov));
	}
	if (iov == NULL)
		return -DER_NOMEM;
	vec->iov = iov;
	vec->max = max;
	return 0;
}

int
sgl_vec_add(struct sgl_vec *vec, void *buf, size_t len)
{
	struct iovec *last = vec->nr == 0 ? NULL : &vec->iov[vec->nr - 1];

	if (len == 0)
		return 0;
	if (last != NULL && (char *)last->iov_base + last->iov_len == (char *)buf) {
		last->iov_len += len;
		return 0;
	}
	if (vec->nr == vec->max && vec_grow(vec) != 0)
		return -DER_NOMEM;
	vec->iov[vec->nr].iov_base = buf;
	vec->iov[vec->nr++].iov_len = len;
	return 0;
}

static size_t
piece_bytes(const d_iov_t *iov, bool room)
{
	if (iov->iov_buf == NULL)
		return 0;
	return room ? iov->iov_buf_len : iov->iov_len;
}

static uint64_t
sgl_bytes(const d_sg_list_t *sgl, bool room)
{
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; sgl != NULL && sgl->sg_iovs != NULL && i < sgl->sg_nr; i++)
		sum += piece_bytes(&sgl->sg_iovs[i], room);
	return sum;
}

uint64_t
sgl_data_bytes(const d_sg_list_t *sgl)
{
	return sgl_bytes(sgl, false);
}

uint64_t
sgl_room_bytes(const d_sg_list_t *sgl)
{
	return sgl_bytes(sgl, true);
}

int
sgl_to_vec(const d_sg_list_t *sgl, bool room, uint64_t len, struct sgl_vec *vec)
{
	uint32_t i;
	int rc = 0;

	for (i = 0; rc == 0 && len > 0; i++) {
		size_t n;

		if (i == sgl->sg_nr)
			return -DER_REC2BIG;
		n = piece_bytes(&sgl->sg_iovs[i], room);
		if (n > len)
			n = len;
		rc = sgl_vec_add(vec, sgl->sg_iovs[i].iov_buf, n);
		len -= n;
	}
	return rc;
}

void
sgl_set_filled(d_sg_list_t *sgl, uint64_t len)
{
	uint32_t i;

	if (sgl == NULL)
		return;
	sgl->sg_nr_out = 0;
	for (i = 0; i < sgl->sg_nr; i++) {
		d_iov_t *iov = &sgl->sg_iovs[i];
		size_t n = piece_bytes(iov, true);

		if (n > len)
			n = len;
		iov->iov_len = n;
		len -= n;
		if (n > 0)
			sgl->sg_nr_out = i + 1;
	}
}
