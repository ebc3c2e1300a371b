/* 64-bit hashes for tables in memory and for placement. Stable: equal on every machine and in every
 * version. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* XXH3, 64 bits. */
uint64_t hash_bytes(const void *buf, size_t len, uint64_t seed);

/* A bijection that spreads every input bit over the whole word (the finisher of splitmix64). */
static inline uint64_t
hash_u64(uint64_t v)
{
	v += 0x9e3779b97f4a7c15ull;
	v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9ull;
	v = (v ^ (v >> 27)) * 0x94d049bb133111ebull;
	return v ^ (v >> 31);
}

static inline uint64_t
hash_combine(uint64_t a, uint64_t b)
{
	return hash_u64(a ^ (b + 0x9e3779b97f4a7c15ull + (a << 6) + (a >> 2)));
}

#endif
