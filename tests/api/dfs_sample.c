/*
 * The smallest program a user of libdfs writes: a file in a container, written, read back,
 * compared. Uses nothing but installed headers and libraries:
 *
 *	cc dfs_sample.c -I PREFIX/include -L PREFIX/lib64 -ldaos -ldfs -o dfs_sample
 *	./dfs_sample POOL CONTAINER [MIB]
 *
 * The container is made if there is none. Exit status 0 only if every byte came back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <daos.h>
#include <daos_fs.h>

#define FILE_NAME "dfs_sample.data"

static int
say(const char *what, int rc)
{
	if (rc != 0)
		fprintf(stderr, "ERROR: dfs_sample: %s: %s\n", what, strerror(rc));
	return rc;
}

static void
fill(unsigned char *buf, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		buf[i] = (unsigned char)(i * 131 + i / 4099);
}

/* Write everything, read it back one byte further, compare. */
static int
round_trip(dfs_t *dfs, dfs_obj_t *file, unsigned char *out, unsigned char *in, size_t len)
{
	daos_size_t got = 0, size = 0;
	d_iov_t iov;
	d_sg_list_t sgl = {.sg_nr = 1, .sg_iovs = &iov};
	int rc;

	fill(out, len);
	d_iov_set(&iov, out, len);
	rc = say("dfs_write", dfs_write(dfs, file, &sgl, 0, NULL));
	if (rc == 0)
		rc = say("dfs_get_size", dfs_get_size(dfs, file, &size));
	if (rc == 0) {
		d_iov_set(&iov, in, len + 1);
		rc = say("dfs_read", dfs_read(dfs, file, &sgl, 0, &got, NULL));
	}
	if (rc == 0 && (size != len || got != len || memcmp(in, out, len) != 0)) {
		fprintf(stderr, "ERROR: dfs_sample: %zu bytes written, size %llu, %llu read%s\n",
			len, (unsigned long long)size, (unsigned long long)got,
			got == len ? ", and they differ" : "");
		rc = EIO;
	}
	return rc;
}

int
main(int argc, char **argv)
{
	size_t len = (argc > 3 ? strtoul(argv[3], NULL, 10) : 10) << 20;
	unsigned char *out = malloc(len), *in = malloc(len + 1);
	dfs_obj_t *file = NULL;
	dfs_t *dfs = NULL;
	int rc;

	if (argc < 3 || len == 0) {
		fprintf(stderr, "usage: %s POOL CONTAINER [MIB]\n", argv[0]);
		return 2;
	}
	if (out == NULL || in == NULL)
		return say("memory", ENOMEM) != 0;
	if (say("dfs_init", dfs_init()) != 0)
		return 1;
	rc = say("dfs_connect", dfs_connect(argv[1], NULL, argv[2], O_CREAT | O_RDWR, NULL, &dfs));
	if (rc == 0) {
		rc = say("dfs_open",
			 dfs_open(dfs, NULL, FILE_NAME, S_IFREG | S_IRUSR | S_IWUSR,
				  O_CREAT | O_RDWR | O_TRUNC, OC_SX, 1 << 20, NULL, &file));
		if (rc == 0) {
			rc = round_trip(dfs, file, out, in, len);
			rc |= say("dfs_release", dfs_release(file));
			rc |= say("dfs_remove", dfs_remove(dfs, NULL, FILE_NAME, false, NULL));
		}
		rc |= say("dfs_disconnect", dfs_disconnect(dfs));
	}
	rc |= say("dfs_fini", dfs_fini());
	free(out);
	free(in);
	if (rc == 0)
		printf("%zu bytes written and read back\n", len);
	return rc != 0;
}
