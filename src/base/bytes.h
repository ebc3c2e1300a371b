/* Sizes as people write them. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * "50GB", "128 KiB", "1.5TiB", "4096", "10g", "7 B": decimal suffixes are powers of 1000 (K or KB),
 * binary ones (Ki or KiB) powers of 1024; case is ignored; up to E. -DER_INVAL for anything else,
 * -DER_OVERFLOW beyond 64 bits. A fraction of a byte is cut off.
 */
int bytes_parse(const char *s, uint64_t *ret_bytes);

/* "35%" or "12.5 %": 0 to 100. -DER_INVAL for anything else. */
int percent_parse(const char *s, double *ret_percent);

/* "6.0 TB", "200 TB", "512 B": one decimal below ten units. buf of BYTES_STR_LEN; returns buf. */
enum { BYTES_STR_LEN = 32 };
char *bytes_fmt_dec(uint64_t bytes, char *buf);
/* The same by powers of 1024: "128 KiB", "1.0 MiB". */
char *bytes_fmt_bin(uint64_t bytes, char *buf);

#endif
