/* Lists of memory segments (struct iovec). */
#ifndef BASE_IOV_H
#define BASE_IOV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Sum of the lengths. */
uint64_t iov_total(const struct iovec *iov, int nr);

/* A position in a list. */
struct iov_iter {
	const struct iovec *iov;
	int nr;     /* segments left, the current one included */
	size_t off; /* bytes of the current one that are used up */
};

static inline void
iov_iter_init(struct iov_iter *it, const struct iovec *iov, int nr)
{
	it->iov = iov;
	it->nr = nr;
	it->off = 0;
}

/* The next contiguous piece of at most max bytes, stepping over it; false at the end. */
bool iov_iter_next(struct iov_iter *it, size_t max, void **ret_buf, size_t *ret_len);
/* Step over len bytes; returns how many there were. */
uint64_t iov_iter_skip(struct iov_iter *it, uint64_t len);
/* Copy between the position and plain memory, stepping; return the bytes copied (short at the end
 * of the list). */
size_t iov_iter_read(struct iov_iter *it, void *dst, size_t len);
size_t iov_iter_write(struct iov_iter *it, const void *src, size_t len);
size_t iov_iter_zero(struct iov_iter *it, size_t len);

/* Copy len bytes from src at src_off to dst at dst_off; returns the bytes copied (short when either
 * list ends). */
uint64_t iov_copy(const struct iovec *dst, int dst_nr, uint64_t dst_off, const struct iovec *src,
		  int src_nr, uint64_t src_off, uint64_t len);
/* List to memory and back. */
uint64_t iov_to_buf(const struct iovec *src, int nr, uint64_t off, void *dst, uint64_t len);
uint64_t iov_from_buf(const struct iovec *dst, int nr, uint64_t off, const void *src, uint64_t len);

/*
 * The part [off, off + len) of a list as a list of its own. Returns the number of segments put into
 * dst, or -DER_TRUNC if dst_max are not enough, -DER_INVAL if the list is shorter.
 */
int iov_slice(const struct iovec *src, int nr, uint64_t off, uint64_t len, struct iovec *dst,
	      int dst_max);

#endif
