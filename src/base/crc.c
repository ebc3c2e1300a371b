/* CRC-32C by ISA-L, which picks the processor's instructions; it leaves the inversions to us. */
#include <isa-l/crc.h>

#include "base/crc.h"

uint32_t
crc32c(uint32_t crc, const void *buf, size_t len)
{
	const size_t chunk_max = (size_t)1 << 30; /* the library takes an int */
	const uint8_t *p = buf;

	crc = ~crc;
	while (len > 0) {
		size_t n = len < chunk_max ? len : chunk_max;

		/* the cast only drops a const that the library's prototype forgot */
		crc = crc32_iscsi((unsigned char *)p, (int)n, crc);
		p += n;
		len -= n;
	}
	return ~crc;
}
