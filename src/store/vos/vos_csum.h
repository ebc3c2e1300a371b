/*
 * Checksums of values within VOS. Private; the interface is in vos.h, the bytes are in
 * vos_format.h, README.md says what is checked when.
 *
 * An extent that is written has a checksum for each chunk of the container's grid that it touches,
 * over the part of the chunk that lies in the extent. What is left of a version after overwrites
 * keeps the checksums of the chunks it still has records in, and the bytes these cover: `pre`
 * records in front of its segment, `post` records behind it, are no longer part of the value but
 * stay in its storage until its last record in their chunk is gone. So every record that can be
 * read can be checked at any time, nothing is read to split an extent, and what is kept is less
 * than a chunk at each end. Merging (aggregation) writes them anew.
 */
#ifndef STORE_VOS_CSUM_H
#define STORE_VOS_CSUM_H

#include <stdint.h>

#include "base/csum.h"
#include "base/iov.h"
#include "store/vos/vos.h"
#include "store/vos/vos_format.h"

struct heap;
struct vos_cont;
struct vos_piece;
struct vos_tx;

/* The checksums of a version of a segment: covered are the records of the segment, `pre` in front
 * of it and `post` behind. */
struct vos_sums {
	uint64_t pre, post;
	uint64_t nr;        /* checksums, one for each chunk the covered records touch */
	const uint8_t *sum; /* in the heap, or in the version given; NULL: it has none */
};

/* Those of a version of [start, start + len). Does not need the container: post is enough to know
 * how much storage there is (`cont` NULL: nr and sum are not set). -DER_CSUM, HEAP_MISS. */
int vos_sums_get(struct heap *heap, const struct vos_cont *cont, const struct vos_ver_df *ver,
		 uint64_t start, uint64_t len, struct vos_sums *ret_sums);
/* Give a version checksums (copied); what it names so far is not freed. sum may lie in the heap. */
int vos_sums_set(struct vos_tx *t, struct vos_ver_df *ver, const struct vos_sums *sums);
/* The same for those that fit into the version itself, of one that was never cut. */
enum { VOS_SUMS_HERE_MAX = 4 };
void vos_sums_here(struct vos_ver_df *ver, const uint8_t *sum, uint32_t bytes);
/* Free what the field names; the field is left. */
int vos_sums_free(struct vos_tx *t, const struct vos_ver_df *ver);
static inline bool
vos_sums_has(const struct vos_ver_df *ver)
{
	return ver->csum_tag != 0;
}
/* Heap offset of the checksums' own object; 0 = none. */
uint64_t vos_sums_off(const struct vos_ver_df *ver);

/* Bytes of the checksums of [idx, idx + nr) when written in one piece; 0: the container has none.
 */
uint64_t vos_sums_bytes(const struct vos_cont *cont, uint64_t idx, uint64_t nr, uint64_t rec_size);
/* Compute them; the data are the next nr * rec_size bytes of `it`. */
void vos_sums_make(struct vos_cont *cont, uint64_t idx, uint64_t nr, uint64_t rec_size,
		   struct iov_iter *it, uint8_t *ret_sum);
/* Compare with what the records [idx, idx + nr) give, whose first and last chunk are cut off at idx
 * and idx + nr. True when all agree; otherwise *ret_bad is the first record of the first chunk
 * that does not, *ret_bad_nr its number of records. */
bool vos_sums_check(struct vos_cont *cont, uint64_t idx, uint64_t nr, uint64_t rec_size,
		    struct iov_iter *it, const uint8_t *sum, uint64_t *ret_bad,
		    uint64_t *ret_bad_nr);

/* New data of [idx, idx + nr) must be cut, and this is the most that one piece may take: how many
 * it takes so that the cut is between chunks, if it reaches that far. */
uint64_t vos_sums_cut(const struct vos_cont *cont, uint64_t idx, uint64_t nr, uint64_t rec_size);
/* Log, count and pass on a find. */
void vos_csum_report(struct vos_cont *cont, const struct vos_csum_event *ev);

/* Where the records that the checksums of a version cover lie. */
struct vos_span {
	uint8_t
	    kind; /* VOS_VER_INLINE: addr is a heap offset; VOS_VER_NVME: a byte of the device */
	uint64_t addr;
	uint64_t idx, nr; /* records */
};
int vos_span_get(struct heap *heap, const struct vos_ver_df *ver, uint64_t start, uint64_t len,
		 const struct vos_sums *sums, struct vos_span *ret_span);

#endif
