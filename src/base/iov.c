/* Lists of memory segments. */
#include <string.h>

#include <daos_errno.h>

#include "base/iov.h"

uint64_t
iov_total(const struct iovec *iov, int nr)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < nr; i++)
		sum += iov[i].iov_len;
	return sum;
}

bool
iov_iter_next(struct iov_iter *it, size_t max, void **ret_buf, size_t *ret_len)
{
	size_t len;

	while (it->nr > 0 && it->off == it->iov->iov_len) {
		it->iov++;
		it->nr--;
		it->off = 0;
	}
	if (it->nr <= 0 || max == 0)
		return false;
	len = it->iov->iov_len - it->off;
	if (len > max)
		len = max;
	*ret_buf = (uint8_t *)it->iov->iov_base + it->off;
	*ret_len = len;
	it->off += len;
	return true;
}

uint64_t
iov_iter_skip(struct iov_iter *it, uint64_t len)
{
	uint64_t done = 0;
	size_t n;
	void *p;

	while (iov_iter_next(it, len - done, &p, &n))
		done += n;
	return done;
}

size_t
iov_iter_read(struct iov_iter *it, void *dst, size_t len)
{
	size_t done = 0;
	size_t n;
	void *p;

	while (iov_iter_next(it, len - done, &p, &n)) {
		memcpy((uint8_t *)dst + done, p, n);
		done += n;
	}
	return done;
}

size_t
iov_iter_write(struct iov_iter *it, const void *src, size_t len)
{
	size_t done = 0;
	size_t n;
	void *p;

	while (iov_iter_next(it, len - done, &p, &n)) {
		memcpy(p, (const uint8_t *)src + done, n);
		done += n;
	}
	return done;
}

size_t
iov_iter_zero(struct iov_iter *it, size_t len)
{
	size_t done = 0;
	size_t n;
	void *p;

	while (iov_iter_next(it, len - done, &p, &n)) {
		memset(p, 0, n);
		done += n;
	}
	return done;
}

uint64_t
iov_copy(const struct iovec *dst, int dst_nr, uint64_t dst_off, const struct iovec *src, int src_nr,
	 uint64_t src_off, uint64_t len)
{
	struct iov_iter d;
	struct iov_iter s;
	uint64_t done = 0;
	size_t n;
	void *p;

	iov_iter_init(&d, dst, dst_nr);
	iov_iter_init(&s, src, src_nr);
	if (iov_iter_skip(&d, dst_off) < dst_off || iov_iter_skip(&s, src_off) < src_off)
		return 0;
	while (iov_iter_next(&s, len - done, &p, &n)) {
		size_t copied = iov_iter_write(&d, p, n);

		done += copied;
		if (copied < n)
			break;
	}
	return done;
}

uint64_t
iov_to_buf(const struct iovec *src, int nr, uint64_t off, void *dst, uint64_t len)
{
	struct iov_iter it;

	iov_iter_init(&it, src, nr);
	if (iov_iter_skip(&it, off) < off)
		return 0;
	return iov_iter_read(&it, dst, len);
}

uint64_t
iov_from_buf(const struct iovec *dst, int nr, uint64_t off, const void *src, uint64_t len)
{
	struct iov_iter it;

	iov_iter_init(&it, dst, nr);
	if (iov_iter_skip(&it, off) < off)
		return 0;
	return iov_iter_write(&it, src, len);
}

int
iov_slice(const struct iovec *src, int nr, uint64_t off, uint64_t len, struct iovec *dst,
	  int dst_max)
{
	struct iov_iter it;
	int dst_nr = 0;
	size_t n;
	void *p;

	iov_iter_init(&it, src, nr);
	if (iov_iter_skip(&it, off) < off)
		return -DER_INVAL;
	while (iov_iter_next(&it, len, &p, &n)) {
		if (dst_nr == dst_max)
			return -DER_TRUNC;
		dst[dst_nr].iov_base = p;
		dst[dst_nr++].iov_len = n;
		len -= n;
	}
	return len > 0 ? -DER_INVAL : dst_nr;
}
