/* Scatter/gather lists of the public interface as lists of struct iovec. */
#ifndef CLIENT_SGL_H
#define CLIENT_SGL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include <gurt/types.h>

/* A growing list; small ones need no memory. sgl_vec_fini() when done. */
enum { SGL_VEC_FIXED = 8 };
struct sgl_vec {
	struct iovec *iov;
	uint32_t nr;
	uint32_t max;
	struct iovec fixed[SGL_VEC_FIXED];
};
void sgl_vec_init(struct sgl_vec *vec);
void sgl_vec_fini(struct sgl_vec *vec);
/* Append a piece; joins it to the last one when they are neighbours. */
int sgl_vec_add(struct sgl_vec *vec, void *buf, size_t len);

/* Bytes to be read (data in use) or room to be filled. A NULL list has none. */
uint64_t sgl_data_bytes(const d_sg_list_t *sgl);
uint64_t sgl_room_bytes(const d_sg_list_t *sgl);
/* Append the first len bytes of data or room. The list must have them. */
int sgl_to_vec(const d_sg_list_t *sgl, bool room, uint64_t len, struct sgl_vec *vec);
/* Record that the first len bytes of room were filled: sg_nr_out and each iov_len. */
void sgl_set_filled(d_sg_list_t *sgl, uint64_t len);

#endif
