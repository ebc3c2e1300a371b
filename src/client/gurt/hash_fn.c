/*
 * Hash functions. All are published algorithms; applications store their values, so none may ever
 * change. Words are read in the machine's byte order, which is little-endian wherever this runs.
 */
#include <gurt/common.h>

uint64_t
d_hash_mix64(uint64_t key)
{
	key = ~key + (key << 21);
	key ^= key >> 24;
	key *= 265; /* 1 + 8 + 256 */
	key ^= key >> 14;
	key *= 21; /* 1 + 4 + 16 */
	key ^= key >> 28;
	key += key << 31;
	return key;
}

uint32_t
d_hash_mix96(uint32_t a, uint32_t b, uint32_t c)
{
	/* Right, left, right shift of each of the three rounds. */
	static const uint8_t shifts[3][3] = {{13, 8, 13}, {12, 16, 5}, {3, 10, 15}};
	int round;

	for (round = 0; round < 3; round++) {
		a = (a - b - c) ^ (c >> shifts[round][0]);
		b = (b - c - a) ^ (a << shifts[round][1]);
		c = (c - a - b) ^ (b >> shifts[round][2]);
	}
	return c;
}

unsigned int
d_hash_srch_u64(uint64_t *hashes, unsigned int nhashes, uint64_t value)
{
	unsigned int lo = 0;
	unsigned int hi = nhashes;

	/* The last hash that is not above value lies in [lo, hi), or there is none and lo stays. */
	while (hi - lo > 1) {
		unsigned int mid = lo + (hi - lo) / 2;

		if (hashes[mid] <= value)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

uint32_t
d_hash_string_u32(const char *string, unsigned int len)
{
	uint32_t hash = 5381;
	unsigned int i;

	for (i = 0; i < len; i++)
		hash = hash * 33 + (unsigned char)string[i];
	return hash;
}

uint64_t
d_hash_murmur64(const unsigned char *key, unsigned int key_len, unsigned int seed)
{
	const uint64_t mul = 0xc6a4a7935bd1e995ULL;
	const unsigned int rot = 47;
	uint64_t hash = seed ^ (key_len * mul);
	uint64_t word;

	for (; key_len >= sizeof(word); key_len -= sizeof(word), key += sizeof(word)) {
		memcpy(&word, key, sizeof(word));
		word *= mul;
		word ^= word >> rot;
		word *= mul;
		hash ^= word;
		hash *= mul;
	}
	if (key_len > 0) {
		word = 0;
		memcpy(&word, key, key_len);
		hash ^= word;
		hash *= mul;
	}
	hash ^= hash >> rot;
	hash *= mul;
	hash ^= hash >> rot;
	return hash;
}

uint32_t
d_hash_jump(uint64_t key, uint32_t num_buckets)
{
	int64_t bucket = -1;
	int64_t next = 0;

	while (next < (int64_t)num_buckets) {
		bucket = next;
		key = key * 2862933555777941757ULL + 1;
		next = (int64_t)((double)(bucket + 1) *
				 ((double)(1LL << 31) / (double)((key >> 33) + 1)));
	}
	return (uint32_t)bucket;
}
