/*
 * What the fuzz targets of this folder share: with FUZZ_CORPUS_MAIN a main() that runs the target
 * over every file of the directories given, each also cut short at every length and with every byte
 * disturbed. Include after the system's headers.
 */
#ifndef NET_FUZZ_CORPUS_H
#define NET_FUZZ_CORPUS_H

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifdef FUZZ_CORPUS_MAIN
/* A copy of exactly that size, so that a sanitizer sees the first byte read beyond it. */
static void
run_copy(const uint8_t *data, size_t size, size_t disturb, uint8_t with)
{
	uint8_t *copy = malloc(size != 0 ? size : 1);

	memcpy(copy, data, size);
	if (disturb < size)
		copy[disturb] ^= with;
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static int
run_file(const char *path)
{
	static const uint8_t with[] = {0x01, 0x80, 0xff};
	static uint8_t data[65536];
	FILE *f = fopen(path, "rb");
	size_t size, i, j;

	if (f == NULL)
		return -1;
	size = fread(data, 1, sizeof(data), f);
	fclose(f);
	run_copy(data, size, SIZE_MAX, 0);
	for (i = 0; i < size; i++) {
		run_copy(data, i, SIZE_MAX, 0);
		for (j = 0; j < sizeof(with); j++)
			run_copy(data, size, i, with[j]);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	char path[4096];
	struct dirent *d;
	int nr = 0, i;
	DIR *dir;

	for (i = 1; i < argc; i++) {
		dir = opendir(argv[i]);
		if (dir == NULL)
			return 1;
		while ((d = readdir(dir)) != NULL) {
			if (d->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "%s/%s", argv[i], d->d_name);
			if (run_file(path) != 0)
				return 1;
			nr++;
		}
		closedir(dir);
	}
	printf("%d files\n", nr);
	return nr > 0 ? 0 : 1;
}
#endif

#endif
