/*
 * File I/O for coroutines: one io_uring per xstream, created on first use.
 *
 * What the coroutines of one loop turn ask for is handed to the kernel by one system call at the
 * end of the turn. Completions are taken in the loop; while nothing is outstanding, the ring costs
 * nothing. Buffers must stay in place until the call returns (they do: the caller waits).
 *
 * Every call returns 0 or a -DER_* code made from errno: -DER_NOSPACE, -DER_IO, … and -DER_NOSYS
 * where the kernel or a container's rules do not allow io_uring (or inside the simulator, which has
 * no files).
 */
#ifndef RUNTIME_URING_H
#define RUNTIME_URING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "runtime/co.h"

struct xs;

/* Whether this process may use io_uring: 0, or -DER_NOSYS (the reason is logged once). Makes the
 * ring of xs. */
int uring_probe(struct xs *xs);

/*
 * Read or write at off. With ret_bytes NULL a transfer that ends short is an error (-DER_IO;
 * -DER_NOSPACE when the device is full); otherwise *ret_bytes says how much was transferred.
 * rw_flags: RWF_DSYNC and others of preadv2.
 */
int co_fn uring_readv(struct xs *xs, int fd, const struct iovec *iov, int iov_nr, uint64_t off,
		      size_t *ret_bytes);
int co_fn uring_writev(struct xs *xs, int fd, const struct iovec *iov, int iov_nr, uint64_t off,
		       int rw_flags, size_t *ret_bytes);

/* fdatasync (metadata = false) or fsync. */
int co_fn uring_fsync(struct xs *xs, int fd, bool metadata);

/* fallocate(2) with its modes. */
int co_fn uring_fallocate(struct xs *xs, int fd, int mode, uint64_t off, uint64_t len);

#endif
