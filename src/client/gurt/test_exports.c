/*
 * Does a shared library export every function that the public headers declare in its name, and no
 * symbol without a public prefix?
 *
 *	test_exports LIBRARY FILE		for instance: libgurt /path/to/libgurt.so.4
 *
 * Missing functions are found by loading the file, surplus ones by reading its dynamic symbols.
 */
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct row {
	const char *lib;
	const char *name;
};

static const struct row rows[] = {
#define API(lib, name, ...) {#lib, #name},
#include "api_functions.inc"
#undef API
};

#define ROW_NR (sizeof(rows) / sizeof(rows[0]))

/* Every public name starts with one of these. */
static const char *const prefixes[] = {"d_",
				       "D_",
				       "daos_",
				       "dfs_",
				       "duns_",
				       "ds3_",
				       "dc_",
				       "tse_",
				       "DB_",
				       "DP_",
				       "cmd_parser",
				       "crt_",
				       "rank_list_to_uint32_array",
				       "uint32_array_to_rank_list"};

static int
count_missing(const char *lib, void *handle)
{
	int missing = 0;
	int found = 0;
	size_t i;

	for (i = 0; i < ROW_NR; i++) {
		if (strcmp(rows[i].lib, lib) != 0)
			continue;
		found++;
		if (dlsym(handle, rows[i].name) != NULL)
			continue;
		fprintf(stderr, "%s does not export %s\n", lib, rows[i].name);
		missing++;
	}
	printf("%s: %d functions checked\n", lib, found);
	return found == 0 ? 1 : missing;
}

static bool
is_public(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	/* Of the linker and of sanitizers. */
	return name[0] == '_';
}

/* Walk the dynamic symbol table of a file that the loader has accepted. */
static int
count_surplus(const char *file)
{
	const unsigned char *map;
	const Elf64_Ehdr *ehdr;
	const Elf64_Shdr *shdr;
	struct stat st;
	int surplus = 0;
	int fd;
	int i;

	fd = open(file, O_RDONLY);
	if (fd < 0 || fstat(fd, &st) != 0) {
		perror(file);
		return 1;
	}
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (map == MAP_FAILED) {
		perror(file);
		return 1;
	}
	ehdr = (const Elf64_Ehdr *)map;
	shdr = (const Elf64_Shdr *)(map + ehdr->e_shoff);
	for (i = 0; i < ehdr->e_shnum; i++) {
		const Elf64_Sym *sym = (const Elf64_Sym *)(map + shdr[i].sh_offset);
		const char *strings = (const char *)map + shdr[shdr[i].sh_link].sh_offset;
		size_t nr = shdr[i].sh_size / sizeof(*sym);
		size_t j;

		if (shdr[i].sh_type != SHT_DYNSYM)
			continue;
		for (j = 1; j < nr; j++) {
			const char *name = strings + sym[j].st_name;

			if (sym[j].st_shndx == SHN_UNDEF || is_public(name))
				continue;
			fprintf(stderr, "%s exports %s\n", file, name);
			surplus++;
		}
	}
	munmap((void *)map, (size_t)st.st_size);
	return surplus;
}

int
main(int argc, char **argv)
{
	void *handle;
	int bad;

	if (argc != 3) {
		fprintf(stderr, "usage: %s LIBRARY FILE\n", argv[0]);
		return 2;
	}
	handle = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	bad = count_missing(argv[1], handle) + count_surplus(argv[2]);
	dlclose(handle);
	return bad == 0 ? 0 : 1;
}
