/*
 * Memory, strings and pointer arrays.
 *
 * Allocation goes to the C library. Tracking callbacks may be set once for the process; they are
 * told the usable size of each block, so that the amounts of allocation and release agree without a
 * header of ours in front of every block.
 */
#include <malloc.h>
#include <stdarg.h>

#include <gurt/common.h>

/* The interface has one set of callbacks for the process. */
static struct {
	d_alloc_track_cb_t alloc_cb;
	d_alloc_track_cb_t free_cb;
	void *arg;
} track;

void
d_set_alloc_track_cb(d_alloc_track_cb_t alloc_cb, d_alloc_track_cb_t free_cb, void *arg)
{
	track.alloc_cb = alloc_cb;
	track.free_cb = free_cb;
	track.arg = arg;
}

static void *
track_alloc(void *ptr)
{
	if (track.alloc_cb != NULL && ptr != NULL)
		track.alloc_cb(track.arg, malloc_usable_size(ptr));
	return ptr;
}

void
d_free(void *ptr)
{
	if (track.free_cb != NULL && ptr != NULL)
		track.free_cb(track.arg, malloc_usable_size(ptr));
	free(ptr);
}

void *
d_calloc(size_t nmemb, size_t size)
{
	return track_alloc(calloc(nmemb, size));
}

void *
d_malloc(size_t size)
{
	return track_alloc(malloc(size));
}

void *
d_realloc(void *ptr, size_t size)
{
	size_t old = 0;
	void *grown;

	if (track.free_cb != NULL && ptr != NULL)
		old = malloc_usable_size(ptr);
	grown = realloc(ptr, size);
	if (grown != NULL && old != 0)
		track.free_cb(track.arg, old);
	return track_alloc(grown);
}

char *
d_strndup(const char *s, size_t n)
{
	return track_alloc(strndup(s, n));
}

int
d_asprintf(char **strp, const char *fmt, ...)
{
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = vasprintf(strp, fmt, ap);
	va_end(ap);
	if (rc < 0)
		*strp = NULL;
	track_alloc(*strp);
	return rc;
}

char *
d_asprintf2(int *rc, const char *fmt, ...)
{
	char *str;
	va_list ap;

	va_start(ap, fmt);
	*rc = vasprintf(&str, fmt, ap);
	va_end(ap);
	return *rc < 0 ? NULL : track_alloc(str);
}

void *
d_aligned_alloc(size_t alignment, size_t size, bool zero)
{
	void *ptr;

	/* posix_memalign: unlike aligned_alloc it takes any size, but it wants whole pointers. */
	if (posix_memalign(&ptr, MAX(alignment, sizeof(void *)), size) != 0)
		return NULL;
	if (zero)
		memset(ptr, 0, size);
	return track_alloc(ptr);
}

char *
d_realpath(const char *path, char *resolved_path)
{
	char *res = realpath(path, resolved_path);

	return resolved_path == NULL ? track_alloc(res) : res;
}

int
d_write_string_buffer(struct d_string_buffer_t *buf, const char *fmt, ...)
{
	va_list ap;
	size_t room;
	char *grown;
	int len;

	if (buf == NULL || fmt == NULL)
		return -DER_INVAL;
	if (buf->status != 0)
		return buf->status;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0)
		return buf->status = -DER_TRUNC;

	room = buf->buf_size - buf->str_size;
	if (buf->str == NULL || (size_t)len >= room) {
		size_t size = MAX(2 * buf->buf_size, buf->str_size + len + 1);

		size = MAX(size, (size_t)64);
		grown = d_realloc(buf->str, size);
		if (grown == NULL)
			return buf->status = -DER_NOMEM;
		buf->str = grown;
		buf->buf_size = size;
		room = size - buf->str_size;
	}
	va_start(ap, fmt);
	vsnprintf(buf->str + buf->str_size, room, fmt, ap);
	va_end(ap);
	buf->str_size += len;
	return 0;
}

void
d_free_string(struct d_string_buffer_t *buf)
{
	if (buf == NULL)
		return;
	d_free(buf->str);
	memset(buf, 0, sizeof(*buf));
}

int
d_vec_pointers_init(struct d_vec_pointers *pointers, uint32_t cap)
{
	memset(pointers, 0, sizeof(*pointers));
	if (cap == 0)
		return 0;
	pointers->p_buf = d_calloc(cap, sizeof(void *));
	if (pointers->p_buf == NULL)
		return -DER_NOMEM;
	pointers->p_cap = cap;
	return 0;
}

void
d_vec_pointers_fini(struct d_vec_pointers *pointers)
{
	d_free(pointers->p_buf);
	memset(pointers, 0, sizeof(*pointers));
}

int
d_vec_pointers_append(struct d_vec_pointers *pointers, void *pointer)
{
	if (pointers->p_len == pointers->p_cap) {
		uint32_t cap = pointers->p_cap == 0 ? 8 : pointers->p_cap * 2;
		void **grown;

		if (cap <= pointers->p_cap)
			return -DER_OVERFLOW;
		grown = d_realloc(pointers->p_buf, (size_t)cap * sizeof(void *));
		if (grown == NULL)
			return -DER_NOMEM;
		pointers->p_buf = grown;
		pointers->p_cap = cap;
	}
	pointers->p_buf[pointers->p_len++] = pointer;
	return 0;
}
